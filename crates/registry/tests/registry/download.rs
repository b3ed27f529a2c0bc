use std::{sync::Arc, time::Duration};

use longshore_registry::{Credentials, Error};

use crate::{
    fake::{End, Fake, Fault, Reply},
    scene::{app, app_of, blob, client, config, download, impatient, is_clean},
};

#[tokio::test]
async fn c5_64_cut_at_every_byte() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 100);
    let repository = app(&fake);
    for end in [End::Close, End::Reset] {
        for after in 0..100 {
            fake.fail("GET", "/blobs/", 1, Fault::Cut { after, end });
            let before = fake.count("GET", "/blobs/");
            assert_eq!(download(&repository, &descriptor, 0).await.unwrap(), content, "{after} {end:?}");
            let seen = fake.seen();
            let last = seen.last().unwrap();
            // A reset may take bytes with it that were on their way.
            let ranged = last.header("range").is_none_or(|range| range.starts_with("bytes="));
            assert!(ranged && fake.count("GET", "/blobs/") == before + 2, "{after} {last:?}");
            if end == End::Close && after > 0 {
                assert_eq!(last.header("range"), Some(format!("bytes={after}-").as_str()));
            }
        }
    }
}

#[tokio::test]
async fn c5_64_goes_on_where_an_earlier_process_stopped() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 100_000);
    fake.fail("GET", "/blobs/", 1, Fault::Cut { after: 10_000, end: End::Close });
    assert_eq!(download(&app(&fake), &descriptor, 70_000).await.unwrap(), &content[70_000..]);
    let ranges: Vec<_> =
        fake.seen().iter().filter_map(|seen| seen.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["bytes=70000-", "bytes=80000-"]);
}

#[tokio::test]
async fn c5_64_stalls_and_drops_are_broken_off() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 10_000);
    let repository = app_of(&client(impatient()), &fake, Credentials::Anonymous);
    fake.fail("GET", "/blobs/", 1, Fault::Cut { after: 5000, end: End::Stall });
    fake.fail("GET", "/blobs/", 1, Fault::Trickle { every: Duration::from_millis(5) });
    assert_eq!(download(&repository, &descriptor, 0).await.unwrap(), content);
    assert_eq!(fake.count("GET", "/blobs/"), 3);
}

#[tokio::test]
async fn c5_64_gives_up_after_five_attempts() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, _) = blob(&fake, 1000);
    fake.fail("GET", "/blobs/", usize::MAX, Fault::Cut { after: 10, end: End::Close });
    let retries = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&retries);
    let observer = longshore_registry::Observer::new(move |retry| told.lock().unwrap().push(retry.failures));
    let error = download(&app(&fake).observed_by(observer), &descriptor, 0).await.unwrap_err();
    assert_eq!(fake.count("GET", "/blobs/"), 5);
    assert_eq!(*retries.lock().unwrap(), [1, 2, 3, 4]);
    assert!(matches!(error, Error::GaveUp { attempts: 5, .. }), "{error:?}");
    is_clean(&error);
}

#[tokio::test]
async fn c5_64_real_progress_starts_the_count_afresh() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 12 << 20);
    fake.fail("GET", "/blobs/", 9, Fault::Cut { after: (1 << 20) + 1, end: End::Close });
    assert_eq!(download(&app(&fake), &descriptor, 0).await.unwrap(), content);
    assert_eq!(fake.count("GET", "/blobs/"), 10);
}

#[tokio::test]
async fn c5_65_other_bytes_under_the_same_digest() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 1000);
    let repository = app(&fake);
    let other = Fault::alter(|reply| reply.body[500] ^= 1);
    fake.fail("GET", "/blobs/", 1, other.clone());
    let error = repository.blob_bytes(&descriptor, 1 << 20).await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    is_clean(&error);

    // Right at first, other bytes after the break.
    fake.fail("GET", "/blobs/", 1, Fault::Cut { after: 400, end: End::Close });
    fake.fail("GET", "/blobs/", 1, other);
    let error = repository.blob_bytes(&descriptor, 1 << 20).await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    assert_eq!(repository.blob_bytes(&descriptor, 1 << 20).await.unwrap(), content);
}

#[tokio::test]
async fn c5_65_another_version_after_a_break() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 1000);
    fake.fail("GET", "/blobs/", 1, Fault::Cut { after: 400, end: End::Close });
    fake.fail("GET", "/blobs/", 1, Fault::alter(|reply| reply.set("etag", "\"other\"")));
    let error = download(&app(&fake), &descriptor, 0).await.unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");

    // A weak one says nothing about bytes.
    fake.fail("GET", "/blobs/", 1, Fault::Cut { after: 400, end: End::Close });
    fake.fail("GET", "/blobs/", 1, Fault::alter(|reply| reply.set("etag", "W/\"other\"")));
    assert_eq!(download(&app(&fake), &descriptor, 0).await.unwrap(), content);
}

#[tokio::test]
async fn c5_66_answers_to_a_range() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 1000);
    let repository = app(&fake);
    let whole = content.clone();
    let multipart = |reply: &mut Reply| {
        reply.set("content-type", "multipart/byteranges; boundary=x");
        reply.unset("content-range");
    };
    for (name, fault, requests) in [
        ("all of it", Fault::Reply(Reply::new(200, whole)), 2),
        ("wrong offset", Fault::alter(|reply| reply.set("content-range", "bytes 0-999/1000")), 3),
        ("multipart", Fault::alter(multipart), 3),
        ("no range", Fault::alter(|reply| reply.unset("content-range")), 3),
        ("unsatisfied", Fault::alter(|reply| reply.set("content-range", "bytes */0")), 3),
        ("refused", Fault::status(416, ""), 3),
        ("length below", Fault::alter(|reply| reply.set("content-length", "10")), 3),
    ] {
        fake.fail("GET", "/blobs/", 1, Fault::Cut { after: 400, end: End::Close });
        fake.fail("GET", "/blobs/", 1, fault);
        let before = fake.count("GET", "/blobs/");
        assert_eq!(download(&repository, &descriptor, 0).await.unwrap(), content, "{name}");
        assert_eq!(fake.count("GET", "/blobs/"), before + requests, "{name}");
    }
    for (name, fault) in [
        ("another total", Fault::alter(|reply| reply.set("content-range", "bytes 400-999/2000"))),
        ("length 2^63", Fault::Reply(Reply::new(200, "x").with("content-length", "9223372036854775808"))),
        ("too long", Fault::Reply(Reply::new(200, vec![0; 1001]))),
    ] {
        fake.fail("GET", "/blobs/", 1, Fault::Cut { after: 400, end: End::Close });
        fake.fail("GET", "/blobs/", 1, fault);
        let error = download(&repository, &descriptor, 0).await.unwrap_err();
        is_clean(&error);
        assert!(matches!(error, Error::WrongSize { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn c5_66_bodies_without_a_length() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 1000);
    let until_close = |body: &[u8]| {
        let mut all = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        all.extend_from_slice(body);
        Fault::Raw(all)
    };
    fake.fail("GET", "/blobs/", 1, until_close(&content));
    assert_eq!(download(&app(&fake), &descriptor, 0).await.unwrap(), content);
    fake.fail("GET", "/blobs/", 1, until_close(&content[..900]));
    assert_eq!(download(&app(&fake), &descriptor, 0).await.unwrap(), content);
    let long = [content.as_slice(), b"x"].concat();
    fake.fail("GET", "/blobs/", 1, until_close(&long));
    let error = download(&app(&fake), &descriptor, 0).await.unwrap_err();
    assert!(matches!(error, Error::WrongSize { .. }), "{error}");
}

#[tokio::test]
async fn c5_71_content_that_was_packed_for_the_way() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 1000);
    // A label on the bytes as they are does no harm.
    fake.fail("GET", "/blobs/", 1, Fault::alter(|reply| reply.set("content-encoding", "gzip")));
    assert_eq!(download(&app(&fake), &descriptor, 0).await.unwrap(), content);
    let packed = Reply::new(200, vec![0x1f, 0x8b, 8]).with("content-encoding", "gzip");
    fake.fail("GET", "/blobs/", 1, Fault::Reply(packed));
    let error = download(&app(&fake), &descriptor, 0).await.unwrap_err();
    assert!(error.to_string().contains("content-encoding"), "{error}");
    let asked: Vec<_> = fake.seen().into_iter().filter(|seen| seen.path.contains("/blobs/")).collect();
    assert!(asked.iter().all(|seen| seen.header("accept-encoding") == Some("identity")), "{asked:?}");
}

#[tokio::test]
async fn c5_67_dropping_a_download_ends_it() {
    let fake = Fake::start().await.unwrap();
    let (descriptor, content) = blob(&fake, 1000);
    fake.fail("GET", "/blobs/", 1, Fault::Cut { after: 10, end: End::Stall });
    let repository = app(&fake);
    let download_of = (repository.clone(), descriptor.clone());
    let task = tokio::spawn(async move { download(&download_of.0, &download_of.1, 0).await });
    fake.wait_for("GET", "/blobs/").await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(download(&repository, &descriptor, 0).await.unwrap(), content);
}

#[tokio::test]
async fn mirrors_take_over_from_each_other() {
    let (mirror, other, registry) =
        (Fake::start().await.unwrap(), Fake::start().await.unwrap(), Fake::start().await.unwrap());
    let (descriptor, content) = blob(&mirror, 1000);
    registry.add_blob(&content);
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(registry.host())).unwrap();
    let text = format!("[host.\"{}\"]\n[host.\"{}\"]\n", other.base(), mirror.base());
    std::fs::write(dir.path().join(registry.host()).join("hosts.toml"), text).unwrap();
    let client = client(longshore_registry::Config { hosts_dirs: vec![dir.path().to_owned()], ..config() });
    let repository = app_of(&client, &registry, Credentials::password("user", "secret-password"));

    // The first has nothing, the second breaks off for good, the registry goes on from there.
    mirror.fail("GET", "/blobs/", 1, Fault::Cut { after: 300, end: End::Close });
    mirror.fail("GET", "/blobs/", usize::MAX, Fault::status(500, ""));
    assert_eq!(download(&repository, &descriptor, 0).await.unwrap(), content);
    assert_eq!(registry.seen().last().unwrap().header("range"), Some("bytes=300-"));
    let asked = mirror.seen();
    let namespace = format!("ns={}", registry.host().replace(':', "%3A"));
    assert!(asked.iter().all(|seen| seen.path.contains(&namespace)), "{asked:?}");
    assert_eq!(other.count("GET", "/blobs/"), 1);
}
