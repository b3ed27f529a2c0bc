use longshore_registry::{Credentials, Error};
use longshore_types::{Kind, oci::media_type};

use crate::{
    fake::{Door, Fake, Fault, Reply},
    scene::{app, app_of, blob, client, config, download, everything, is_clean, manifest},
};

#[tokio::test]
async fn c5_67_storms_that_pass() {
    let fake = Fake::start().await.unwrap();
    let bytes = manifest(&fake);
    for status in [408, 429, 500, 502, 503, 504] {
        fake.fail("GET", "/manifests/", 4, Fault::status(status, ""));
        assert_eq!(app(&fake).resolve("latest").await.unwrap().bytes, bytes, "{status}");
    }
    for wait in ["0", "soon", "Tue, 14 Nov 2000 22:13:30 GMT"] {
        let reply = Reply::new(429, "").with("retry-after", wait);
        fake.fail("GET", "/manifests/", 1, Fault::Reply(reply));
        assert_eq!(app(&fake).resolve("latest").await.unwrap().bytes, bytes, "{wait}");
    }
}

#[tokio::test]
async fn c5_67_storms_that_do_not_pass() {
    let fake = Fake::start().await.unwrap();
    manifest(&fake);
    for status in [408, 429, 500, 502, 503, 504] {
        fake.heal();
        fake.fail("GET", "/manifests/", usize::MAX, Fault::status(status, "<html>Bad gateway</html>"));
        let before = fake.count("GET", "/manifests/");
        let error = app(&fake).resolve("latest").await.unwrap_err();
        assert!(matches!(error, Error::GaveUp { attempts: 5, .. }), "{error:?}");
        assert_eq!(error.status(), Some(status));
        assert_eq!(fake.count("GET", "/manifests/"), before + 5, "{status}");
        is_clean(&error);
    }
}

#[tokio::test]
async fn c5_67_a_wait_that_is_too_long_is_an_error_at_once() {
    let fake = Fake::start().await.unwrap();
    let message =
        r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
    let reply = Reply::new(429, message).with("retry-after", "86400");
    fake.fail("GET", "/manifests/", usize::MAX, Fault::Reply(reply));
    let error = app(&fake).resolve("latest").await.unwrap_err();
    assert_eq!(fake.count("GET", "/manifests/"), 1);
    let text = error.to_string();
    assert!(
        text.starts_with("toomanyrequests: You have reached your pull rate limit. (it asks to wait 86400 s)"),
        "{text}"
    );
}

#[tokio::test]
async fn c5_67_refusals_are_final() {
    let fake = Fake::start().await.unwrap();
    manifest(&fake);
    for (status, kind, words) in [
        (403, Kind::NotFound, "pull access denied for"),
        (404, Kind::NotFound, "not found: manifest unknown"),
        (418, Kind::InvalidInput, "status 418"),
        (400, Kind::InvalidInput, "status 400"),
    ] {
        fake.fail("GET", "/manifests/", 1, Fault::status(status, ""));
        let before = fake.count("GET", "/manifests/");
        let error = app(&fake).resolve("latest").await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!((error.kind(), fake.count("GET", "/manifests/")), (kind, before + 1), "{error}");
        is_clean(&error);
    }
}

#[tokio::test]
async fn c5_67_refusing_credentials_for_ever() {
    let fake = Fake::start().await.unwrap();
    fake.set_door(Door::Token { realm: None, account: None });
    let challenge = format!("Bearer realm=\"{}/token\",service=\"x\"", fake.base());
    let reply = Reply::new(401, "").with("www-authenticate", challenge);
    fake.fail("GET", "/manifests/", usize::MAX, Fault::Reply(reply));
    let repository = app_of(&client(config()), &fake, Credentials::password("user", "secret-password"));
    let error = repository.resolve("latest").await.unwrap_err();
    assert!(fake.count("GET", "/manifests/") <= 3);
    assert!(error.to_string().contains("pull access denied"), "{error}");
    is_clean(&error);
}

#[tokio::test]
async fn c5_65_manifests_that_are_not_what_they_say() {
    let fake = Fake::start().await.unwrap();
    let bytes = manifest(&fake);
    let digest = longshore_types::Digest::of(&bytes);
    let lie = longshore_types::Digest::of(b"other").to_string();
    let repository = app(&fake);

    fake.fail("GET", "/manifests/", 1, Fault::alter(|reply| reply.body.push(b' ')));
    let error = repository.resolve(digest.as_str()).await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    fake.fail(
        "GET",
        "/manifests/",
        1,
        Fault::alter(move |reply| reply.set("docker-content-digest", lie.clone())),
    );
    let error = repository.resolve("latest").await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    for junk in ["sha256:../../x", "md5:00", "", "\u{e9}"] {
        fake.fail(
            "GET",
            "/manifests/",
            1,
            Fault::alter(move |reply| reply.set("docker-content-digest", junk)),
        );
        assert_eq!(repository.resolve("latest").await.unwrap().descriptor.digest, digest, "{junk}");
    }
    for label in ["text/plain", "application/json; charset=utf-8"] {
        fake.fail("GET", "/manifests/", 1, Fault::alter(move |reply| reply.set("content-type", label)));
        let resolved = repository.resolve("latest").await.unwrap();
        assert_eq!(resolved.descriptor.media_type, media_type::OCI_MANIFEST);
        resolved.content().unwrap();
    }
    fake.fail(
        "GET",
        "/manifests/",
        1,
        Fault::alter(|reply| reply.set("content-type", media_type::OCI_INDEX)),
    );
    let error = repository.resolve("latest").await.unwrap().content().unwrap_err();
    assert!(error.to_string().contains("says it is"), "{error}");
}

#[tokio::test]
async fn c5_68_redirects() {
    let (fake, cdn) = (Fake::start().await.unwrap(), Fake::start().await.unwrap());
    fake.set_door(Door::Basic { user: "user".into(), password: "secret-password".into() });
    let (descriptor, content) = blob(&fake, 1000);
    cdn.add_blob(&content);
    let repository = app_of(&client(config()), &fake, Credentials::password("user", "secret-password"));

    // Another host gets the request and nothing that says who we are.
    let there = format!("{}/v2/any/blobs/{}?signature=x", cdn.base(), descriptor.digest);
    for status in [301, 302, 303, 307, 308] {
        // The first request may be the one that learns what the door wants.
        repository.has_blob(&descriptor).await.unwrap();
        fake.fail("GET", "/blobs/", 1, Fault::redirect(status, &there));
        assert_eq!(download(&repository, &descriptor, 0).await.unwrap(), content, "{status}");
    }
    assert_eq!(cdn.count("GET", "signature=x"), 5);
    assert!(!everything(&cdn).contains("authorization"), "{}", everything(&cdn));

    // Not even back at the first host, once another was visited.
    let back = format!("{}/v2/app/blobs/{}", fake.base(), descriptor.digest);
    fake.fail("GET", "/blobs/", 1, Fault::redirect(307, &there));
    cdn.fail("GET", "/blobs/", 1, Fault::redirect(307, &back));
    let before = fake.seen().len();
    download(&repository, &descriptor, 0).await.unwrap_err();
    let last = &fake.seen()[before..];
    assert_eq!(last.len(), 2, "{last:?}");
    assert_eq!(last[1].header("authorization"), None);

    // Round and round.
    fake.fail("GET", "/blobs/", usize::MAX, Fault::redirect(302, &back));
    let before = fake.count("GET", "/blobs/");
    let error = download(&repository, &descriptor, 0).await.unwrap_err();
    assert!(error.to_string().contains("redirects more than 10 times"), "{error}");
    assert_eq!(fake.count("GET", "/blobs/"), before + 11);
    is_clean(&error);
    fake.heal();

    for to in ["file:///etc/passwd", "unix:///run/x.sock", "http://169.254.169.254/latest", "http://[::"] {
        fake.fail("GET", "/blobs/", 1, Fault::redirect(302, to));
        let error = download(&repository, &descriptor, 0).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{to}: {error}");
        is_clean(&error);
        fake.heal();
    }
}
