use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE};
use futures_util::future::join_all;
use longshore_registry::{Account, Credentials, Error, Keychain, Secret};

use crate::{
    fake::{Door, Fake, Fault, Reply},
    scene::{app, app_of, blob, client, config, download, everything, is_clean, manifest},
};

fn user() -> Credentials {
    Credentials::password("user", "secret-password")
}

fn door() -> Door {
    Door::Token { realm: None, account: Some(("user".into(), "secret-password".into())) }
}

#[tokio::test]
async fn one_token_serves_all_layers() {
    let fake = Fake::start().await.unwrap();
    fake.set_door(door());
    let bytes = manifest(&fake);
    let (descriptor, content) = blob(&fake, 1000);
    let client = client(config());
    let repository = app_of(&client, &fake, user());
    let downloads = join_all((0..20).map(|_| download(&repository, &descriptor, 0)));
    assert!(downloads.await.into_iter().all(|found| found.unwrap() == content));
    assert_eq!(repository.resolve("latest").await.unwrap().bytes, bytes);
    assert_eq!(fake.count("GET", "/token"), 1);
    // Another look at the same repository needs no other token either.
    assert_eq!(app_of(&client, &fake, user()).resolve("latest").await.unwrap().bytes, bytes);
    assert_eq!(fake.count("GET", "/token"), 1);
    let asked = fake.seen().into_iter().find(|seen| seen.path.starts_with("/token")).unwrap().path;
    assert_eq!(asked, "/token?service=fake&scope=repository%3Aapp%3Apull&account=user");
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced() {
    let fake = Fake::start().await.unwrap();
    fake.set_door(door());
    let bytes = manifest(&fake);
    let repository = app_of(&client(config()), &fake, user());
    for tokens in 1..=3 {
        assert_eq!(repository.resolve("latest").await.unwrap().bytes, bytes);
        assert_eq!(fake.count("GET", "/token"), tokens);
        fake.revoke_tokens();
    }
}

#[tokio::test]
async fn wrong_passwords_are_said_and_not_shown() {
    let fake = Fake::start().await.unwrap();
    fake.set_door(door());
    manifest(&fake);
    let repository = app_of(&client(config()), &fake, Credentials::password("user", "secret-other"));
    let error = repository.resolve("latest").await.unwrap_err();
    assert!(error.to_string().contains("incorrect username or password"), "{error}");
    is_clean(&error);
    // A server that repeats what it was sent.
    let echo = Fault::status(401, r#"{"details":"no such password: secret-other"}"#);
    fake.fail("GET", "/token", 1, echo);
    let error = repository.resolve("latest").await.unwrap_err();
    assert!(error.to_string().contains("no such password: ***"), "{error}");
    is_clean(&error);
}

#[tokio::test]
async fn identity_tokens_are_exchanged() {
    let fake = Fake::start().await.unwrap();
    fake.set_door(door());
    let bytes = manifest(&fake);
    let client = client(config());
    let account = Account::Password { user: "user".into(), password: Secret::new("secret-password") };
    let login = client.login(&fake.host(), &account).await.unwrap();
    assert_eq!(login.identity_token, Some(Secret::new("identity-user")));
    let credentials = Credentials::Given(Account::IdentityToken { token: login.identity_token.unwrap() });
    assert_eq!(app_of(&client, &fake, credentials).resolve("latest").await.unwrap().bytes, bytes);
    assert_eq!(fake.count("POST", "/token"), 1);

    let header = BASE64_URL_SAFE.encode(r#"{"registrytoken":"token-1"}"#);
    let credentials = Credentials::from_header(&header).unwrap();
    assert_eq!(app_of(&client, &fake, credentials).resolve("latest").await.unwrap().bytes, bytes);
    let credentials = Credentials::Given(Account::RegistryToken { token: Secret::new("secret-token") });
    let error = app_of(&client, &fake, credentials).resolve("latest").await.unwrap_err();
    is_clean(&error);
}

#[tokio::test]
async fn c5_69_answers_of_a_token_server_that_make_no_sense() {
    let fake = Fake::start().await.unwrap();
    fake.set_door(door());
    let bytes = manifest(&fake);
    for (name, body, words) in [
        ("no JSON", "<html>".to_owned(), "not JSON"),
        ("nothing", "{}".to_owned(), "holds none"),
        ("a number", r#"{"token":7}"#.to_owned(), "not JSON"),
        ("a header in it", "{\"token\":\"a\\r\\nx: y\"}".to_owned(), "no header may have"),
        ("long", format!(r#"{{"token":"{}"}}"#, "a".repeat(70_000)), "too long"),
        ("huge", format!(r#"{{"token":"{}"}}"#, "a".repeat(2 << 20)), "larger than 1048576 bytes"),
    ] {
        fake.fail("GET", "/token", 1, Fault::status(200, body));
        let error = app_of(&client(config()), &fake, user()).resolve("latest").await.unwrap_err();
        assert!(error.to_string().contains(words), "{name}: {error}");
        is_clean(&error);
    }
    for expires in ["-1", "0", "1e99", "99999999999999999999", "300"] {
        let change = move |reply: &mut Reply| {
            let text = String::from_utf8(reply.body.clone()).unwrap();
            reply.body =
                text.replace("\"expires_in\":300", &format!("\"expires_in\":{expires}")).into_bytes();
        };
        fake.fail("GET", "/token", 1, Fault::alter(change));
        let repository = app_of(&client(config()), &fake, user());
        for _ in 0..2 {
            assert_eq!(repository.resolve("latest").await.unwrap().bytes, bytes, "{expires}");
        }
    }
    let redirect = Fault::redirect(307, "http://127.0.0.1:1/token");
    fake.fail("GET", "/token", 1, redirect);
    let error = app_of(&client(config()), &fake, user()).resolve("latest").await.unwrap_err();
    assert!(error.to_string().contains("it redirects"), "{error}");
}

#[tokio::test]
async fn c5_69_scopes_are_ours_and_not_the_servers() {
    let fake = Fake::start().await.unwrap();
    fake.set_door(door());
    manifest(&fake);
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"a\\\"b&c=d\",scope=\"repository:other:push\nx\"",
        fake.base()
    )
    .replace('\n', " ");
    let refusal = Reply::new(401, "").with("www-authenticate", challenge);
    fake.fail("GET", "/manifests/", 1, Fault::Reply(refusal));
    app_of(&client(config()), &fake, user()).resolve("latest").await.unwrap();
    let asked = fake.seen().into_iter().rfind(|seen| seen.path.starts_with("/token")).unwrap().path;
    assert_eq!(asked, "/token?service=a%22b%26c%3Dd&scope=repository%3Aapp%3Apull&account=user");
}

#[tokio::test]
async fn a6_119_realms_of_others_get_nothing() {
    let (fake, evil) = (Fake::start().await.unwrap(), Fake::start().await.unwrap());
    manifest(&fake);
    for realm in [
        "http://evil.test/token",
        "http://169.254.169.254/token",
        "ftp://127.0.0.1/",
        "http://u:p@127.0.0.1/",
    ] {
        fake.set_door(Door::Token { realm: Some(realm.to_owned()), account: None });
        let error = app_of(&client(config()), &fake, user()).resolve("latest").await.unwrap_err();
        assert!(matches!(error, Error::Realm { .. }), "{realm}: {error}");
        is_clean(&error);
    }
    assert!(evil.seen().is_empty());
}

#[tokio::test]
async fn credentials_are_not_for_mirrors() {
    let (mirror, registry) = (Fake::start().await.unwrap(), Fake::start().await.unwrap());
    mirror.set_door(Door::Basic { user: "user".into(), password: "secret-password".into() });
    let bytes = manifest(&registry);
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(registry.host())).unwrap();
    let text = format!("[host.\"{}\"]\n", mirror.base());
    std::fs::write(dir.path().join(registry.host()).join("hosts.toml"), text).unwrap();
    let client = client(longshore_registry::Config { hosts_dirs: vec![dir.path().to_owned()], ..config() });
    assert_eq!(app_of(&client, &registry, user()).resolve("latest").await.unwrap().bytes, bytes);
    assert!(!mirror.seen().is_empty() && !everything(&mirror).contains("authorization"));

    // A keychain that knows the mirror is another matter.
    let auth = r#"{"auths":{"HOST":{"username":"user","password":"secret-password"}}}"#
        .replace("HOST", &mirror.host());
    let keychain = Keychain::parse(auth.as_bytes(), "/c".as_ref()).unwrap();
    manifest(&mirror);
    let found = app_of(&client, &registry, keychain.into()).resolve("latest").await.unwrap();
    assert_eq!(found.host, mirror.host());
}

/// A directory with a helper called `docker-credential-<name>`, which runs `script`.
fn helper(dir: &std::path::Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(format!("docker-credential-{name}"));
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a2_58_helpers_and_their_failures() {
    let (fake, other) = (Fake::start().await.unwrap(), Fake::start().await.unwrap());
    fake.set_door(door());
    other.set_door(door());
    let bytes = manifest(&fake);
    let dir = tempfile::tempdir().unwrap();
    let good = format!(
        "read host; echo $host >> {}/asked; echo '{{\"Username\":\"user\",\"Secret\":\"secret-password\"}}'",
        dir.path().display()
    );
    helper(dir.path(), "good", &good);
    helper(dir.path(), "none", "echo 'credentials not found in native keychain'; exit 1");
    helper(dir.path(), "bad", "echo 'locked'; exit 1");
    helper(dir.path(), "junk", "echo 'secret-junk'");
    helper(dir.path(), "huge", "yes secret-huge");
    helper(dir.path(), "token", "echo '{\"Username\":\"<token>\",\"Secret\":\"identity-user\"}'");
    // One process per test: nobody else sees the variable.
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let program = std::env::current_exe().unwrap();
    if std::env::var("LONGSHORE_TEST_HELPERS").is_err() {
        let status = std::process::Command::new(program)
            .args(["--exact", "auth::a2_58_helpers_and_their_failures", "--nocapture"])
            .env("PATH", path)
            .env("LONGSHORE_TEST_HELPERS", dir.path())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let start = Instant::now();
    for (name, words) in [
        ("good", None),
        ("token", None),
        ("none", Some("incorrect username or password")),
        ("bad", Some("credential helper docker-credential-bad failed for HOST: locked")),
        ("junk", Some("credential helper docker-credential-junk gave no usable answer for HOST")),
        ("huge", Some("credential helper docker-credential-huge gave no usable answer for HOST")),
        ("absent", Some("docker-credential-absent: No such file")),
        ("../good", Some("no part of a program's name")),
    ] {
        // Somebody else's password is there too; it is for nobody here.
        let text = r#"{"auths":{"HOST":{"username":"user","password":"secret-password"}},"credHelpers":{"HOST":"NAME"}}"#;
        let text = text.replace("HOST", &fake.host()).replace("NAME", name);
        let keychain = Keychain::parse(text.as_bytes(), "/c".as_ref()).unwrap();
        let result = app_of(&client(config()), &fake, keychain.into()).resolve("latest").await;
        match words {
            None => assert_eq!(result.unwrap().bytes, bytes, "{name}"),
            Some(words) => {
                let error = result.unwrap_err();
                assert!(error.to_string().contains(&words.replace("HOST", &fake.host())), "{name}: {error}");
                is_clean(&error);
            }
        }
    }
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn nobody_asks_for_a_token_at_an_open_door() {
    let fake = Fake::start().await.unwrap();
    let bytes = manifest(&fake);
    assert_eq!(app(&fake).resolve("latest").await.unwrap().bytes, bytes);
    assert!(!everything(&fake).contains("authorization") && fake.count("GET", "/token") == 0);
}
