use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use longshore_registry::{Client, Config, Credentials, Error, Repository};
use longshore_types::Reference;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::{
    fake::{Door, Fake, Fault},
    scene::{config, is_clean, manifest},
    server::certificate,
};

/// TLS with a certificate of `tests/registry/certs`.
pub(crate) fn tls(name: &str, asks_for_clients: bool) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.unwrap();
    let builder = if asks_for_clients {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate("ca.crt")).unwrap()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_file(certificate(&format!("{name}.crt"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate(&format!("{name}.key"))).unwrap();
    builder.with_single_cert(chain, key).unwrap()
}

/// A client to which `reg.test` and `other.test` are this machine, as an attacker's DNS might say.
pub(crate) fn client(certs: &Path) -> Client {
    let names = ["reg.test", "other.test"].map(|name| (name.to_owned(), vec!["127.0.0.1".parse().unwrap()]));
    let certs_dirs = vec![certs.to_owned()];
    Client::new(Config { names: BTreeMap::from(names), certs_dirs, ..config() }).unwrap()
}

pub(crate) fn app(client: &Client, host: &str) -> Repository {
    let reference = Reference::parse(&format!("{host}/app")).unwrap();
    client.repository(&reference, Credentials::password("user", "secret-password")).unwrap()
}

/// Trusts the CA for a host.
pub(crate) fn trust(dir: &Path, host: &str) {
    fs::create_dir_all(dir.join(host)).unwrap();
    fs::copy(certificate("ca.crt"), dir.join(host).join("ca.crt")).unwrap();
}

#[tokio::test]
async fn c5_70_certificates() {
    let dir = tempfile::tempdir().unwrap();
    for (name, works) in [("server", true), ("other", false), ("expired", false), ("self", false)] {
        let fake = Fake::start_tls(tls(name, false)).await.unwrap();
        let bytes = manifest(&fake);
        let host = format!("reg.test:{}", fake.port());
        // Without the CA nobody is trusted.
        let error = app(&client(dir.path()), &host).resolve("latest").await.unwrap_err();
        assert!(matches!(error, Error::Certificate { .. }), "{name}: {error}");
        assert!(error.to_string().contains(&format!("/etc/docker/certs.d/{host}/ca.crt")), "{error}");
        trust(dir.path(), &host);
        let result = app(&client(dir.path()), &host).resolve("latest").await;
        match result {
            Ok(resolved) => assert!(works && resolved.bytes == bytes, "{name}"),
            Err(error) => assert!(!works && matches!(error, Error::Certificate { .. }), "{name}: {error}"),
        }
        assert_eq!(fake.count("GET", "") > 0, works, "{name}");
    }
}

#[tokio::test]
async fn a_certificate_that_signs_itself_is_trusted_where_it_is_named() {
    let fake = Fake::start_tls(tls("anchor", false)).await.unwrap();
    let bytes = manifest(&fake);
    let dir = tempfile::tempdir().unwrap();
    let name = |host: &str| format!("{host}:{}", fake.port());
    for host in ["reg.test", "other.test"] {
        let place = dir.path().join(name(host));
        fs::create_dir_all(&place).unwrap();
        fs::copy(certificate("anchor.crt"), place.join("own.crt")).unwrap();
    }
    let resolved = app(&client(dir.path()), &name("reg.test")).resolve("latest").await.unwrap();
    assert_eq!(resolved.bytes, bytes);
    // It is trusted for its own names alone, and by who was given it.
    let error = app(&client(dir.path()), &name("other.test")).resolve("latest").await.unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }), "{error}");
    let nobody = tempfile::tempdir().unwrap();
    let error = app(&client(nobody.path()), &name("reg.test")).resolve("latest").await.unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }), "{error}");
}

#[tokio::test]
async fn a2_55_a_name_with_a_loopback_address_needs_tls() {
    // A1 36 and A2 36: nothing is said in plain text, whatever the name resolves to.
    let fake = Fake::start().await.unwrap();
    manifest(&fake);
    let dir = tempfile::tempdir().unwrap();
    let error =
        app(&client(dir.path()), &format!("reg.test:{}", fake.port())).resolve("latest").await.unwrap_err();
    assert!(error.to_string().contains("server gave HTTP response to HTTPS client"), "{error}");
    is_clean(&error);
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn insecure_registries_by_name_and_by_network() {
    let fake = Fake::start().await.unwrap();
    let bytes = manifest(&fake);
    let self_signed = Fake::start_tls(tls("self", false)).await.unwrap();
    manifest(&self_signed);
    for (entries, works) in
        [(&["reg.test"][..], true), (&["127.0.0.0/8"], true), (&["10.0.0.0/8", "reg.test:1"], false)]
    {
        let names = BTreeMap::from([("reg.test".to_owned(), vec!["127.0.0.1".parse().unwrap()])]);
        let insecure_registries = entries.iter().map(|&entry| entry.to_owned()).collect();
        let client = Client::new(Config { names, insecure_registries, ..config() }).unwrap();
        for server in [&fake, &self_signed] {
            let result = app(&client, &format!("reg.test:{}", server.port())).resolve("latest").await;
            assert_eq!(result.is_ok_and(|resolved| resolved.bytes == bytes), works, "{entries:?}");
        }
    }
    // One address of several is not enough.
    let addresses = ["127.0.0.1", "192.0.2.1"].map(|address| address.parse().unwrap()).to_vec();
    let names = BTreeMap::from([("reg.test".to_owned(), addresses)]);
    let insecure_registries = vec!["127.0.0.0/8".to_owned()];
    let client = Client::new(Config { names, insecure_registries, ..config() }).unwrap();
    let before = fake.seen().len();
    app(&client, &format!("reg.test:{}", fake.port())).resolve("latest").await.unwrap_err();
    assert_eq!(fake.seen().len(), before);
}

#[tokio::test]
async fn client_certificates() {
    let fake = Fake::start_tls(tls("server", true)).await.unwrap();
    let bytes = manifest(&fake);
    let dir = tempfile::tempdir().unwrap();
    let host = format!("reg.test:{}", fake.port());
    trust(dir.path(), &host);
    let error = app(&client(dir.path()), &host).resolve("latest").await.unwrap_err();
    is_clean(&error);
    assert!(fake.seen().is_empty());
    fs::copy(certificate("client.crt"), dir.path().join(&host).join("client.cert")).unwrap();
    fs::copy(certificate("client.key"), dir.path().join(&host).join("client.key")).unwrap();
    assert_eq!(app(&client(dir.path()), &host).resolve("latest").await.unwrap().bytes, bytes);
}

#[tokio::test]
async fn c5_68_never_from_https_to_http() {
    let fake = Fake::start_tls(tls("server", false)).await.unwrap();
    let plain = Fake::start().await.unwrap();
    manifest(&fake);
    manifest(&plain);
    let dir = tempfile::tempdir().unwrap();
    let host = format!("reg.test:{}", fake.port());
    trust(dir.path(), &host);
    let client = client(dir.path());
    for to in [format!("{}/v2/app/manifests/latest", plain.base()), format!("http://{host}/x")] {
        fake.fail("GET", "/manifests/", 1, Fault::redirect(307, &to));
        let error = app(&client, &host).resolve("latest").await.unwrap_err();
        assert!(error.to_string().contains("from https to plain http"), "{error}");
    }
    // Nor to this machine by a name that somebody else's DNS has.
    fake.fail(
        "GET",
        "/manifests/",
        1,
        Fault::redirect(307, &format!("https://other.test:{}/x", fake.port())),
    );
    let error = app(&client, &host).resolve("latest").await.unwrap_err();
    assert!(error.to_string().contains("no address that a registry may lead to"), "{error}");
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn a6_122_realms_are_verified_too() {
    let fake = Fake::start_tls(tls("server", false)).await.unwrap();
    let realm = Fake::start_tls(tls("self", false)).await.unwrap();
    let plain = Fake::start().await.unwrap();
    manifest(&fake);
    let dir = tempfile::tempdir().unwrap();
    let host = format!("reg.test:{}", fake.port());
    trust(dir.path(), &host);
    let at = |address: String| fake.set_door(Door::Token { realm: Some(address), account: None });

    at(format!("https://other.test:{}/token", realm.port()));
    let error = app(&client(dir.path()), &host).resolve("latest").await.unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }), "{error}");
    at(format!("{}/token", plain.base()));
    let error = app(&client(dir.path()), &host).resolve("latest").await.unwrap_err();
    assert!(error.to_string().contains("plain http while the registry is https"), "{error}");
    assert!(error.to_string().ends_with("no credentials were sent"), "{error}");
    assert!(realm.seen().is_empty() && plain.seen().is_empty());
    // Over verified TLS another host may give tokens.
    at(format!("https://reg.test:{}/token", fake.port()));
    app(&client(dir.path()), &host).resolve("latest").await.unwrap();
}
