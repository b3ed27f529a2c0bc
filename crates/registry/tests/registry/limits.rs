use longshore_registry::{Credentials, Error, Listing};
use longshore_types::{
    Digest, Reference,
    oci::{Descriptor, media_type},
};

use crate::{
    fake::{Fake, Fault, Reply},
    scene::{app, app_of, blob, client, config, download, everything, is_clean, manifest},
};

#[tokio::test]
async fn c5_71_replies_without_an_end() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, _) = blob(&fake, 1000);
    let piece = vec![b'x'; 64 << 10];
    let chunk = [b"10000\r\n".as_slice(), &piece, b"\r\n"].concat();
    let head = |status: u16, rest: &str| format!("HTTP/1.1 {status} X\r\n{rest}\r\n\r\n").into_bytes();
    // An error of a gibibyte, and one without an end.
    for rest in ["content-length: 1073741824", "transfer-encoding: chunked"] {
        let repeated = if rest.contains("chunked") { chunk.clone() } else { piece.clone() };
        fake.fail("GET", "/manifests/", 1, Fault::Endless { head: head(404, rest), repeated });
        let error = app(&fake).resolve("latest").await.unwrap_err();
        assert!(error.to_string().contains("not found"), "{error}");
        is_clean(&error);
    }
    for rest in ["content-length: 1073741824", "transfer-encoding: chunked"] {
        fake.fail("GET", "/manifests/", 1, Fault::Endless { head: head(200, rest), repeated: chunk.clone() });
        let error = app(&fake).resolve("latest").await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 4_194_304, .. }), "{error}");
        is_clean(&error);
    }
    fake.fail(
        "GET",
        "/blobs/",
        1,
        Fault::Endless { head: head(200, "transfer-encoding: chunked"), repeated: chunk },
    );
    let error = download(&app(&fake), &descriptor, 0).await.unwrap_err();
    assert!(matches!(error, Error::WrongSize { .. }), "{error}");
    // Headers without an end.
    let many = Fault::Endless {
        head: b"HTTP/1.1 200 OK\r\n".to_vec(),
        repeated: b"x-header: yyyyyyyyyy\r\n".repeat(100),
    };
    fake.fail("GET", "/manifests/", 5, many);
    let error = app(&fake).resolve("latest").await.unwrap_err();
    is_clean(&error);
}

#[tokio::test]
async fn c5_71_what_is_no_http() {
    let fake = Fake::start().await.unwrap();
    for bytes in [
        "",
        "garbage\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 99999 X\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ] {
        fake.heal();
        fake.fail("GET", "/manifests/", usize::MAX, Fault::Raw(bytes.into()));
        let error = app(&fake).resolve("latest").await.unwrap_err();
        is_clean(&error);
    }
}

#[tokio::test]
async fn c5_72_lists_end() {
    let fake = Fake::start().await.unwrap();
    let repository = app(&fake);
    let page = |tags: &str, link: &str| {
        let reply = Reply::new(200, format!("{{\"name\":\"app\",\"tags\":{tags}}}"));
        Fault::Reply(if link.is_empty() {
            reply
        } else {
            reply.with("link", format!("<{link}>; rel=\"next\""))
        })
    };
    let listing = |items: &[&str], complete| Listing {
        items: items.iter().map(|&tag| tag.to_owned()).collect(),
        complete,
    };

    fake.fail("GET", "/tags/list", 1, page(r#"["a","b\u001b[31m","c"]"#, "/v2/app/tags/list?n=2&last=c"));
    fake.fail("GET", "last=c", 1, page("null", "?last=d"));
    fake.fail("GET", "last=d", 1, page(r#"["d"]"#, ""));
    assert_eq!(repository.tags(10).await.unwrap(), listing(&["a", "c", "d"], true));

    fake.fail("GET", "/tags/list", 2, page(r#"["a"]"#, "/v2/app/tags/list?x=y"));
    let error = repository.tags(10).await.unwrap_err();
    assert!(error.to_string().contains("leads back to one before"), "{error}");
    fake.heal();

    for elsewhere in ["http://127.0.0.1:1/v2/app/tags/list", "https://evil.test/", "//evil.test/x"] {
        fake.fail("GET", "/tags/list", 1, page(r#"["a"]"#, elsewhere));
        let error = repository.tags(10).await.unwrap_err();
        assert!(error.to_string().contains("goes on at another host"), "{error}");
    }

    let tags: Vec<String> = (0..100_000).map(|number| format!("t{number}")).collect();
    fake.fail("GET", "/tags/list", 1, page(&serde_json::json!(tags).to_string(), "?last=z"));
    let found = repository.tags(50).await.unwrap();
    assert!(found.items.len() == 50 && !found.complete);
    let tags: Vec<String> = (0..1_000_000).map(|number| format!("t{number}")).collect();
    fake.fail("GET", "/tags/list", 1, page(&serde_json::json!(tags).to_string(), ""));
    let error = repository.tags(50).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn c5_72_a_list_that_always_goes_on() {
    let fake = Fake::start().await.unwrap();
    let counter = std::sync::atomic::AtomicUsize::new(0);
    let more = Fault::alter(move |reply| {
        let next = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        reply.set("link", format!("</v2/app/tags/list?last={next}>; rel=next"));
    });
    fake.fail("GET", "/tags/list", usize::MAX, more);
    let error = app(&fake).tags(10).await.unwrap_err();
    assert!(error.to_string().contains("too many pages"), "{error}");
    assert_eq!(fake.count("GET", "/tags/list"), 1000);
}

#[tokio::test]
async fn referrers_by_the_list_and_by_tag() {
    for has_list in [true, false] {
        let fake = Fake::start().await.unwrap();
        if !has_list {
            fake.without_referrers();
        }
        let subject = Descriptor::of(media_type::OCI_MANIFEST, &manifest(&fake));
        let repository = app(&fake);
        assert_eq!(repository.referrers(&subject.digest, None).await.unwrap(), []);
        for kind in ["a/sbom", "a/signature"] {
            let config = Descriptor::of(media_type::OCI_EMPTY, b"{}");
            let bytes = serde_json::json!({
                "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "artifactType": kind,
                "config": config, "layers": [config], "subject": subject,
            });
            let bytes = bytes.to_string().into_bytes();
            let digest = Digest::of(&bytes);
            let put = repository.put_manifest(digest.as_str(), media_type::OCI_MANIFEST, bytes.into()).await;
            assert_eq!(put.unwrap(), digest);
        }
        assert_eq!(repository.referrers(&subject.digest, None).await.unwrap().len(), 2, "{has_list}");
        let found = repository.referrers(&subject.digest, Some("a/sbom")).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].artifact_type.as_deref(), Some("a/sbom"));
    }
}

#[tokio::test]
async fn c5_74_foreign_layers_are_off() {
    let (fake, evil) = (Fake::start().await.unwrap(), Fake::start().await.unwrap());
    let (mut descriptor, _) = blob(&fake, 10);
    evil.add_blob(b"x");
    descriptor.media_type = media_type::DOCKER_FOREIGN_LAYER_GZIP.to_owned();
    descriptor.urls =
        vec![format!("{}/v2/x/blobs/{}", evil.base(), descriptor.digest), "https://u:p@cdn.test/x".into()];
    let credentials = Credentials::password("user", "secret-password");
    let repository = app_of(&client(config()), &fake, credentials.clone());
    let error = download(&repository, &descriptor, 0).await.unwrap_err();
    assert!(
        error.to_string().contains("foreign layers are off; allow them to fetch it from cdn.test"),
        "{error}"
    );
    is_clean(&error);

    // Allowed, but plain http is not.
    let allowed = client(longshore_registry::Config { allow_foreign_layers: true, ..config() });
    descriptor.urls.pop();
    let error = download(&app_of(&allowed, &fake, credentials), &descriptor, 0).await.unwrap_err();
    assert!(matches!(error, Error::ForeignAddress { .. }), "{error}");
    assert!(evil.seen().is_empty() && fake.seen().is_empty(), "{}", everything(&evil));

    // Addresses of a layer that is not foreign mean nothing.
    descriptor.media_type = media_type::OCI_LAYER_GZIP.to_owned();
    descriptor.urls = vec![format!("{}/x", evil.base())];
    download(&app(&fake), &descriptor, 0).await.unwrap();
    assert!(evil.seen().is_empty());
}

#[tokio::test]
async fn what_a_host_still_gives_is_known() {
    let fake = Fake::start().await.unwrap();
    manifest(&fake);
    let limits = |reply: &mut Reply| {
        reply.set("ratelimit-limit", "100;w=21600");
        reply.set("ratelimit-remaining", "76;w=21600");
    };
    fake.fail("GET", "/manifests/", 1, Fault::alter(limits));
    let client = client(config());
    assert_eq!(client.rate_limit(&fake.host()), None);
    app_of(&client, &fake, Credentials::Anonymous).resolve("latest").await.unwrap();
    let found = client.rate_limit(&fake.host()).unwrap();
    assert_eq!((found.limit, found.remaining, found.window.unwrap().as_secs()), (Some(100), Some(76), 21600));
}

#[tokio::test]
async fn searches() {
    let fake = Fake::start().await.unwrap();
    let results = r#"{"num_results":3,"results":[
        {"name":"app","description":"good\u001b[31m one","star_count":5,"is_official":true},
        {"name":"../x","description":""}, {"name":"other/app","description":null}]}"#;
    fake.fail("GET", "/v1/search?q=app&n=25", 1, Fault::status(200, results));
    let term = format!("{}/app", fake.host());
    let found = client(config()).search(&term, 25, &Credentials::Anonymous).await.unwrap();
    assert_eq!(found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["app", "other/app"]);
    assert!(found[0].is_official && found[0].star_count == 5 && found[0].description == "good[31m one");
}

#[tokio::test]
async fn a6_123_what_is_no_digest_reaches_no_server() {
    let fake = Fake::start().await.unwrap();
    let repository = app(&fake);
    let long = format!("sha256:{}", "a".repeat(1 << 20));
    for version in ["sha256:../../x", "sha256:", "../x", "a/b", "", &long, "sha512:aa"] {
        let error = repository.resolve(version).await.unwrap_err();
        assert!(matches!(error, Error::NotADigest { .. }), "{error}");
        is_clean(&error);
    }
    assert!(fake.seen().is_empty());
    let unknown =
        client(config()).repository(&Reference::parse("registry:99999/x").unwrap(), Credentials::Anonymous);
    assert!(unknown.unwrap_err().to_string().contains("port from 1 to 65535"));
}
