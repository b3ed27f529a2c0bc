use std::{
    fs::File,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use longshore_registry::{Config, Credentials, Error, FileSource, Pushed, Repository, Source};
use longshore_types::{
    Digest, Reference,
    oci::{Descriptor, media_type},
};

use crate::{
    fake::{Door, Fake, Fault, Reply},
    image::noise,
    scene::{app, app_of, client, config, impatient, is_clean},
};

fn content(length: usize) -> (Descriptor, Bytes) {
    let content = noise(9, length);
    (Descriptor::of(media_type::OCI_LAYER_GZIP, &content), content.into())
}

async fn send(repository: &Repository, descriptor: &Descriptor, source: &dyn Source) -> Result<(), Error> {
    repository.upload_blob(descriptor, source, Arc::new(|_| {})).await
}

fn methods(fake: &Fake) -> Vec<String> {
    fake.seen().into_iter().map(|seen| seen.method).collect()
}

#[tokio::test]
async fn small_and_large_blobs() {
    let fake = Fake::start().await.unwrap();
    let repository = app(&fake);
    for (length, expected) in
        [(0, &["POST", "PUT"][..]), (1000, &["POST", "PUT"]), (3 << 20, &["POST", "PATCH", "PUT"])]
    {
        let (descriptor, bytes) = content(length);
        let before = fake.seen().len();
        let told = Arc::new(AtomicU64::new(0));
        let most = Arc::clone(&told);
        let progress = Arc::new(move |sent| {
            most.fetch_max(sent, Ordering::Relaxed);
        });
        repository.upload_blob(&descriptor, &bytes, progress).await.unwrap();
        assert_eq!(fake.blob(&descriptor.digest).unwrap(), bytes);
        let sent = methods(&fake);
        // The first request of a process finds out how the host is reached.
        let sent: Vec<_> = sent[before..].iter().filter(|method| *method != "GET").collect();
        assert_eq!(sent, expected, "{length}");
        assert_eq!(told.load(Ordering::Relaxed), length as u64);
    }
}

#[tokio::test]
async fn a_file_in_pieces() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, bytes) = content(3_000_000);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let client = client(Config { upload_chunk: Some(700_000), ..config() });
    let repository = app_of(&client, &fake, Credentials::Anonymous);
    send(&repository, &descriptor, &FileSource::new(file)).await.unwrap();
    assert_eq!(fake.blob(&descriptor.digest).unwrap(), bytes);
    let ranges: Vec<_> =
        fake.seen().iter().filter_map(|seen| seen.header("content-range").map(str::to_owned)).collect();
    let expected = ["0-699999", "700000-1399999", "1400000-2099999", "2100000-2799999", "2800000-2999999"];
    assert_eq!(ranges, expected);
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, bytes) = content(3_000_000);
    fake.fail("PATCH", "/blobs/uploads/", 1, Fault::CutRequest { after: 1_234_567 });
    send(&app(&fake), &descriptor, &bytes).await.unwrap();
    assert_eq!(fake.blob(&descriptor.digest).unwrap(), bytes);
    let ranges: Vec<_> =
        fake.seen().iter().filter_map(|seen| seen.header("content-range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["0-2999999", "1234567-2999999"]);
}

#[tokio::test]
async fn storms_lost_sessions_and_limits() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, bytes) = content(3_000_000);
    for (name, method, fault) in [
        ("post 503", "POST", Fault::status(503, "")),
        ("patch 500", "PATCH", Fault::status(500, "")),
        ("patch 429", "PATCH", Fault::Reply(Reply::new(429, "").with("retry-after", "0"))),
        ("session lost", "PATCH", Fault::status(404, "")),
        ("put 502", "PUT", Fault::status(502, "")),
        ("out of order", "PATCH", Fault::status(416, "")),
        ("put reset", "PUT", Fault::CutRequest { after: 0 }),
    ] {
        fake.remove_blob(&descriptor.digest);
        fake.fail(method, "/blobs/uploads/", 1, fault);
        send(&app(&fake), &descriptor, &bytes).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fake.blob(&descriptor.digest).unwrap(), bytes, "{name}");
    }
    let (large, bytes) = content(40 << 20);
    fake.fail("PATCH", "/blobs/uploads/", 1, Fault::status(413, ""));
    send(&app(&fake), &large, &bytes).await.unwrap();
    assert_eq!(fake.blob(&large.digest).unwrap(), bytes);
}

#[tokio::test]
async fn uploads_that_fail_for_good() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, bytes) = content(3_000_000);
    for (method, status, attempts) in [("POST", 403, 1), ("PATCH", 503, 5), ("PUT", 400, 1), ("POST", 500, 5)]
    {
        fake.heal();
        fake.fail(method, "/blobs/uploads/", usize::MAX, Fault::status(status, ""));
        let before = fake.count(method, "/blobs/uploads/");
        let error = send(&app(&fake), &descriptor, &bytes).await.unwrap_err();
        is_clean(&error);
        assert_eq!(error.status(), Some(status), "{error}");
        assert_eq!(fake.count(method, "/blobs/uploads/"), before + attempts, "{method} {status}: {error}");
    }
    fake.heal();
    // What is sent is not what was promised.
    let other = Bytes::from(noise(10, 3_000_000));
    let error = send(&app(&fake), &descriptor, &other).await.unwrap_err();
    assert!(error.to_string().contains("digest invalid"), "{error}");
    let short = other.slice(..10);
    let error = send(&app(&fake), &descriptor, &short).await.unwrap_err();
    is_clean(&error);
    assert_eq!(fake.blob(&descriptor.digest), None);
}

#[tokio::test]
async fn an_upload_that_is_never_accepted_is_broken_off() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, bytes) = content(100);
    let mut config = impatient();
    config.patience.finish = config.patience.stall;
    config.patience.attempts = 2;
    let silence = Fault::Silence;
    fake.fail("PUT", "/blobs/uploads/", usize::MAX, silence);
    let error =
        send(&app_of(&client(config), &fake, Credentials::Anonymous), &descriptor, &bytes).await.unwrap_err();
    assert!(error.to_string().contains("gave up after 2 attempts"), "{error}");
    is_clean(&error);
}

#[tokio::test]
async fn tokens_that_run_out_on_the_way() {
    let fake = Fake::start().await.unwrap();
    fake.set_door(Door::Token { realm: None, account: Some(("user".into(), "secret-password".into())) });
    let (descriptor, bytes) = content(3_000_000);
    let client = client(Config { upload_chunk: Some(1_000_000), ..config() });
    let repository = app_of(&client, &fake, Credentials::password("user", "secret-password"));
    let refused = Reply::new(401, "")
        .with("www-authenticate", format!("Bearer realm=\"{}/token\",service=\"fake\"", fake.base()));
    fake.fail("PATCH", "/blobs/uploads/", 1, Fault::Reply(refused));
    send(&repository, &descriptor, &bytes).await.unwrap();
    assert_eq!(fake.blob(&descriptor.digest).unwrap(), bytes);
    assert_eq!(fake.count("GET", "/token"), 2);
}

#[tokio::test]
async fn what_is_there_is_not_sent() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, bytes) = content(1000);
    let repository = app(&fake);
    let push = |others: Vec<Reference>| {
        let (repository, descriptor, bytes) = (repository.clone(), descriptor.clone(), bytes.clone());
        async move { repository.push_blob(&descriptor, &bytes, &others, Arc::new(|_| {})).await }
    };
    assert_eq!(push(vec![]).await.unwrap(), Pushed::Uploaded);
    assert_eq!(push(vec![]).await.unwrap(), Pushed::Present);
    let other = Reference::parse(&format!("{}/other", fake.host())).unwrap();
    let elsewhere = Reference::parse("elsewhere.test/other").unwrap();
    fake.fail("HEAD", "/blobs/", 1, Fault::status(404, ""));
    let mounted = push(vec![elsewhere, other.clone()]).await.unwrap();
    assert_eq!(mounted, Pushed::Mounted { from: other.clone() });
    let asked = fake.seen().into_iter().rfind(|seen| seen.method == "POST").unwrap().path;
    assert!(asked.contains("mount=sha256%3A") && asked.ends_with("&from=other"), "{asked}");

    // A registry that will not mount begins an upload, which is taken back.
    fake.remove_blob(&descriptor.digest);
    assert_eq!(push(vec![other]).await.unwrap(), Pushed::Uploaded);
    assert_eq!(fake.count("DELETE", "/blobs/uploads/"), 1);
}

#[tokio::test]
async fn locations_of_others_get_no_credentials() {
    let (fake, evil) = (Fake::start().await.unwrap(), Fake::start().await.unwrap());
    fake.set_door(Door::Basic { user: "user".into(), password: "secret-password".into() });
    let (descriptor, bytes) = content(1000);
    let there = format!("{}/v2/app/blobs/uploads/1", evil.base());
    let to_evil = Fault::alter(move |reply| {
        if reply.status == 202 {
            reply.set("location", there.clone())
        }
    });
    let repository = app_of(&client(config()), &fake, Credentials::password("user", "secret-password"));
    repository.has_blob(&descriptor).await.unwrap();
    fake.fail("POST", "/blobs/uploads/", 1, to_evil);
    let error = send(&repository, &descriptor, &bytes).await.map(|()| "sent");
    // Nobody there knows the upload: it is begun anew at the registry.
    assert_eq!(error.unwrap(), "sent");
    assert!(!evil.seen().is_empty());
    assert!(evil.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn manifests_are_put() {
    let fake = Fake::start().await.unwrap();
    let repository = app(&fake);
    let bytes = Bytes::from_static(b"{\"schemaVersion\":2}");
    let digest = repository.put_manifest("v1", media_type::OCI_MANIFEST, bytes.clone()).await.unwrap();
    assert_eq!(digest, Digest::of(&bytes));
    assert_eq!(fake.manifest("app", "v1"), Some((media_type::OCI_MANIFEST.to_owned(), bytes.to_vec())));
    let lie = Digest::of(b"lie").to_string();
    fake.fail(
        "PUT",
        "/manifests/",
        1,
        Fault::alter(move |reply| reply.set("docker-content-digest", lie.clone())),
    );
    let error = repository.put_manifest("v1", media_type::OCI_MANIFEST, bytes.clone()).await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    let message = r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    fake.fail("PUT", "/manifests/", 1, Fault::status(403, message));
    let error = repository.put_manifest("v1", media_type::OCI_MANIFEST, bytes).await.unwrap_err();
    assert!(error.to_string().starts_with("denied: requested access to the resource is denied"), "{error}");
    let large = Bytes::from(vec![0; 5 << 20]);
    repository.put_manifest("v1", media_type::OCI_MANIFEST, large).await.unwrap_err();
}

#[test]
fn files_are_read_from_anywhere() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        use futures_util::TryStreamExt;
        let bytes = noise(1, 1_500_000);
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &bytes).unwrap();
        let source = FileSource::new(File::open(path.path()).unwrap());
        for offset in [0, 1, 1_499_999, 1_500_000, 2_000_000] {
            let read: Vec<Bytes> = source.open(offset).unwrap().try_collect().await.unwrap();
            assert_eq!(read.concat(), &bytes[usize::try_from(offset).unwrap().min(bytes.len())..]);
        }
    });
}
