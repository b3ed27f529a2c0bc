use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use longshore_registry::{Account, Client, Config, Content, Credentials, Error, Pushed, Repository, Secret};
use longshore_types::{Digest, Kind, oci::Descriptor};

use crate::{
    image::Image,
    server::{Demands, Server, certificate},
};

/// An image of two layers, pushed by skopeo as `name:latest`.
fn push(server: &Server, name: &str, arguments: &[&str]) -> Image {
    let image = Image::of_noise(&[3_000_000, 10]);
    let layout = server.dir().join("layout");
    image.write(&layout);
    let source = format!("oci:{}:latest", layout.display());
    let target = format!("docker://{}/{name}:latest", server.host);
    let mut all = vec!["copy", "--quiet", "--dest-tls-verify=false"];
    if !arguments.contains(&"--format") {
        all.push("--preserve-digests");
    }
    all.extend(arguments);
    all.extend([source.as_str(), target.as_str()]);
    server.skopeo(&all);
    image
}

async fn download(repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Vec<u8>, Error> {
    let pieces: Vec<_> = repository.blob(descriptor, offset)?.into_stream().try_collect().await?;
    Ok(pieces.concat())
}

async fn pulls(repository: &Repository, image: &Image) {
    let resolved = repository.resolve("latest").await.unwrap();
    assert_eq!(resolved.bytes, image.manifest);
    assert_eq!(resolved.descriptor, image.descriptor());
    let Content::Manifest(manifest) = resolved.content().unwrap() else { panic!("an index") };
    let config = repository.blob_bytes(&manifest.config, 1 << 20).await.unwrap();
    assert_eq!(config, image.config);
    for (layer, content) in &image.layers {
        assert_eq!(download(repository, layer, 0).await.unwrap(), *content);
    }
}

#[tokio::test]
async fn pulls_what_skopeo_pushed() {
    let server = Server::start(Demands::default());
    let image = push(&server, "a/b", &[]);
    let repository = server.repository("a/b");
    pulls(&repository, &image).await;

    let digest = image.descriptor().digest;
    assert_eq!(repository.resolve(digest.as_str()).await.unwrap().bytes, image.manifest);
    assert_eq!(repository.manifest(&image.descriptor()).await.unwrap().bytes, image.manifest);
    assert_eq!(repository.head("latest").await.unwrap(), Some(image.descriptor()));
    let (layer, content) = &image.layers[0];
    for offset in [1, 2_999_999, 3_000_000] {
        let rest = download(&repository, layer, offset).await.unwrap();
        assert_eq!(rest, &content[usize::try_from(offset).unwrap()..]);
    }
    assert!(repository.has_blob(layer).await.unwrap());
    assert!(!repository.has_blob(&Descriptor::of("", b"something else")).await.unwrap());
}

#[tokio::test]
async fn docker_schema_2_too() {
    let server = Server::start(Demands::default());
    push(&server, "v2", &["--format", "v2s2"]);
    let resolved = server.repository("v2").resolve("latest").await.unwrap();
    assert_eq!(resolved.descriptor.media_type, "application/vnd.docker.distribution.manifest.v2+json");
    let Content::Manifest(manifest) = resolved.content().unwrap() else { panic!("an index") };
    manifest.check_image().unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_said_as_docker_says_it() {
    let server = Server::start(Demands::default());
    push(&server, "app", &[]);
    let host = &server.host;
    let error = server.repository("app").resolve("nope").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("manifest for {host}/app:nope not found: manifest unknown: manifest unknown")
    );
    assert_eq!(error.kind(), Kind::NotFound);
    let digest = Digest::of(b"nope");
    let error = server.repository("app").resolve(digest.as_str()).await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("manifest for {host}/app@{digest} not found: ")),
        "{error}"
    );
    let error = server.repository("other").resolve("latest").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let error = download(&server.repository("app"), &Descriptor::of("", b"nope"), 0).await.unwrap_err();
    assert!(error.to_string().contains("has no blob"), "{error}");
}

#[tokio::test]
async fn passwords_are_given_when_asked_for() {
    let server = Server::start(Demands { password: true, ..Demands::default() });
    let image = push(&server, "secret", &["--dest-creds", "user:secret-password"]);
    let client = Client::new(Config::bare()).unwrap();
    let repository = |credentials| server.repository_of(&client, "secret", credentials);

    pulls(&repository(Credentials::password("user", "secret-password")), &image).await;
    let error = repository(Credentials::Anonymous).resolve("latest").await.unwrap_err();
    assert!(error.to_string().ends_with("no basic auth credentials"), "{error}");
    let error =
        repository(Credentials::password("user", "wrong-password")).resolve("latest").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert!(error.to_string().contains("unauthorized: authentication required"), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong-password"));
}

#[tokio::test]
async fn tls_with_a_ca_of_its_own() {
    let server = Server::start(Demands { tls: true, password: true });
    let image = push(&server, "tls", &["--dest-creds", "user:secret-password"]);

    // A literal loopback address may go unverified.
    let client = Client::new(Config::bare()).unwrap();
    let credentials = || Credentials::password("user", "secret-password");
    pulls(&server.repository_of(&client, "tls", credentials()), &image).await;

    // A name may not, whatever address it has.
    let port = server.host.rsplit_once(':').unwrap().1;
    let name = format!("registry.localhost.test:{port}");
    let hosts = server.dir().join("hosts");
    std::fs::create_dir_all(hosts.join(&name)).unwrap();
    let ca = certificate("ca.crt");
    let file = format!("server = \"https://127.0.0.1:{port}\"\nca = {:?}\n", ca.display().to_string());
    std::fs::write(hosts.join(&name).join("hosts.toml"), file).unwrap();
    let config = Config { hosts_dirs: vec![hosts], ..Config::bare() };
    let client = Client::new(config).unwrap();
    let reference = longshore_types::Reference::parse(&format!("{name}/tls")).unwrap();
    // The password is for the registry of the name, and this is another host.
    let error = client.repository(&reference, credentials()).unwrap().resolve("latest").await.unwrap_err();
    assert!(error.to_string().ends_with("no basic auth credentials"), "{error}");
}

#[tokio::test]
async fn logs_in() {
    let server = Server::start(Demands { password: true, ..Demands::default() });
    let client = Client::new(Config::bare()).unwrap();
    let account = |password: &str| Account::Password { user: "user".into(), password: Secret::new(password) };
    let login = client.login(&server.host, &account("secret-password")).await.unwrap();
    assert_eq!(login.identity_token, None);
    let error = client.login(&server.host, &account("wrong-password")).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    let expected = format!("GET \"http://{}/v2/\": unauthorized: authentication required", server.host);
    assert_eq!(error.to_string(), expected);
    client.ping(&server.host, &Credentials::Given(account("secret-password"))).await.unwrap();
    client.ping(&server.host, &Credentials::Anonymous).await.unwrap_err();
    let error = client.ping("127.0.0.1:1", &Credentials::Anonymous).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot reach 127.0.0.1:1: connection refused; check the port, and whether the registry runs"
    );
}

#[tokio::test]
async fn skopeo_reads_what_was_pushed() {
    let server = Server::start(Demands { password: true, tls: true });
    let image = Image::of_noise(&[3_000_000, 10]);
    let client = Client::new(Config { upload_chunk: Some(1_000_000), ..Config::bare() }).unwrap();
    let credentials = Credentials::password("user", "secret-password");
    let repository = server.repository_of(&client, "pushed", credentials.clone());
    let config = (Descriptor::of("", &image.config), image.config.clone());
    for (descriptor, content) in image.layers.iter().chain([&config]) {
        for expected in [Pushed::Uploaded, Pushed::Present] {
            let content = Bytes::from(content.clone());
            let pushed = repository.push_blob(descriptor, &content, &[], Arc::new(|_| {})).await.unwrap();
            assert_eq!(pushed, expected);
        }
    }
    let descriptor = image.descriptor();
    let manifest = Bytes::from(image.manifest.clone());
    let digest = repository.put_manifest("latest", &descriptor.media_type, manifest).await.unwrap();
    assert_eq!(digest, descriptor.digest);
    assert_eq!(repository.tags(10).await.unwrap().items, ["latest"]);
    assert_eq!(repository.referrers(&digest, None).await.unwrap(), []);

    let source = format!("docker://{}/pushed:latest", server.host);
    let copy = format!("dir:{}", server.dir().join("copy").display());
    let arguments = ["copy", "--quiet", "--preserve-digests", "--src-tls-verify=false", "--src-creds"];
    server.skopeo(&[&arguments[..], &["user:secret-password", &source, &copy]].concat());
    assert_eq!(std::fs::read(server.dir().join("copy/manifest.json")).unwrap(), image.manifest);

    // Another repository of the registry takes the layers over.
    let other = server.repository_of(&client, "other", credentials);
    let (layer, content) = &image.layers[0];
    let from = [repository.name().clone()];
    let content = Bytes::from(content.clone());
    let pushed = other.push_blob(layer, &content, &from, Arc::new(|_| {})).await.unwrap();
    assert_eq!(pushed, Pushed::Mounted { from: repository.name().clone() });
}
