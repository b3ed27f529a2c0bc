//! Import, load and save, through plain HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
};

use testkit::longshored::{Exchange, Longshored};

use super::{assert_accounted, lines, tar};

fn import(daemon: &Longshored, repository: &str, files: &[(&str, &[u8])]) -> String {
    let path = format!("/images/create?fromSrc=-&repo={repository}&tag=1&message=made");
    let answer = daemon.send(&Exchange::new("POST", &path).body(tar(files))).expect(200);
    lines(&answer.text())[0]["status"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_saved_is_loaded_again() {
    let daemon = Longshored::start();
    let id = import(&daemon, "a/b", &[("f", b"content")]);
    let saved = daemon.get("/images/a/b:1/get").expect(200);
    assert_eq!(saved.headers["content-type"], "application/x-tar");
    assert_eq!(daemon.get("/images/get?names=a/b:1").expect(200).body, saved.body);
    daemon.delete("/images/a/b:1").expect(200);
    daemon.get("/images/a/b:1/json").expect(404);
    let load = |query: &str| {
        let request = Exchange::new("POST", &format!("/images/load{query}")).body(saved.body.clone());
        lines(&daemon.send(&request).expect(200).text())
    };
    let loud = load("?quiet=0");
    assert_eq!(loud[0]["status"], "Loading layer");
    assert!(loud[0]["progressDetail"]["total"].as_u64().unwrap() > 0);
    assert_eq!(loud.last().unwrap()["stream"], "Loaded image: a/b:1\n");
    assert_eq!(load("").len(), 1);
    assert_eq!(daemon.get("/images/a/b:1/json").expect(200).json()["Id"], id);
    // The other one loses its name.
    let other = import(&daemon, "a/b", &[("f", b"other")]);
    let told = load("");
    assert_eq!(
        told[0]["stream"],
        format!("The image a/b:1 already exists, renaming the old one with ID {other} to empty string\n")
    );
    assert_accounted(&daemon);
}

#[test]
fn an_archive_that_is_none_is_refused() {
    let daemon = Longshored::start();
    for body in [b"nonsense".to_vec(), tar(&[("f", b"x")]), Vec::new()] {
        let answer = daemon.send(&Exchange::new("POST", "/images/load").body(body));
        let is_told = match answer.status {
            200 => answer.text().contains("errorDetail"),
            status => status == 400,
        };
        assert!(is_told, "{} {}", answer.status, answer.text());
    }
    let answer = daemon.send(&Exchange::new("POST", "/images/create?fromSrc=-").body("nonsense"));
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(daemon.get("/images/json?all=1").expect(200).json(), serde_json::json!([]));
    assert_accounted(&daemon);
}

#[test]
fn a_client_that_leaves_ends_its_load() {
    let daemon = Longshored::start();
    let mut connection = daemon.connect();
    let head = "POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(&tar(&[("f", b"half")])).unwrap();
    connection.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = String::new();
    // It may be answered, or the connection just ends.
    connection.read_to_string(&mut rest).ok();
    assert!(!rest.contains("Loaded"), "{rest}");
    assert_accounted(&daemon);
}

/// Answers so many requests by their paths; gives the address.
fn web(
    requests: usize,
    answer: impl Fn(&str) -> Vec<u8> + Send + 'static,
) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = head.next().unwrap().unwrap();
            while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(&answer(first.split(' ').nth(1).unwrap())).unwrap();
        }
    });
    (address, server)
}

#[test]
fn an_archive_is_imported_from_an_address() {
    let daemon = Longshored::start();
    let archive = tar(&[("f", b"content")]);
    let (address, server) = web(4, move |path| {
        match path {
        "/moved" => b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /a%20b.tar?x=1\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/a%20b.tar?x=1" => {
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", archive.len());
            [head.into_bytes(), archive.clone()].concat()
        }
        _ => b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\n\r\ngone".to_vec(),
    }
    });
    let import = |source: &str| {
        daemon.post(&format!("/images/create?fromSrc={source}&repo=r&tag=1"), &serde_json::Value::Null)
    };
    let told = lines(&import(&format!("http://{address}/moved")).expect(200).text());
    assert_eq!(told[0]["status"], format!("Downloading from http://{address}/moved"));
    let image = daemon.get("/images/r:1/json").expect(200).json();
    assert_eq!(told.last().unwrap()["status"], image["Id"]);
    assert_eq!(image["Comment"], format!("Imported from http://{address}/moved"));
    for source in [format!("http://{address}/none.tar"), format!("{address}/%252Fnone.tar")] {
        let refused = import(&source).expect(404).message();
        assert!(refused.starts_with("failed to GET http://") && refused.contains("gone"), "{refused}");
    }
    server.join().unwrap();
    for source in ["%252Fdata%252Ffile.tar", "file:///etc/passwd", "http://"] {
        let refused = import(source).expect(400).message();
        assert!(refused.starts_with("cannot import from"), "{refused}");
    }
}

#[test]
fn an_import_is_for_linux() {
    let daemon = Longshored::start();
    let import = |platform: &str| {
        let path = format!("/images/create?fromSrc=-&repo=r&tag=1&platform={platform}");
        daemon.send(&Exchange::new("POST", &path).body(tar(&[]))).expect(400).message()
    };
    assert!(import("%20%20").contains("is an invalid OS component"));
    assert!(import("nintendo64").contains("unknown operating system or architecture"));
    for platform in ["macos", "macos/arm64", "windows/amd64"] {
        assert!(import(platform).contains("operating system is not supported"), "{platform}");
    }
}

/// C1 14: what Go writes where nobody says a number, in a layout as its tests make it.
#[test]
fn a_layout_without_a_schema_version_is_loaded() {
    use longshore_types::Digest;
    let daemon = Longshored::start();
    let layer = tar(&[("f", b"content")]);
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer)] },
    });
    let blob = |media: &str, bytes: &[u8]| serde_json::json!({ "mediaType": media, "digest": Digest::of(bytes), "size": bytes.len() });
    let config = config.to_string().into_bytes();
    let manifest = serde_json::json!({
        "schemaVersion": 0,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("application/vnd.oci.image.config.v1+json", &config),
        "layers": [blob("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = blob("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = serde_json::json!({ "io.containerd.image.name": "docker.io/library/zero:latest" });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
    let dir = tempfile::tempdir().unwrap();
    let blobs = dir.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for bytes in [&layer, &config, &manifest] {
        std::fs::write(blobs.join(Digest::of(bytes).hex()), bytes).unwrap();
    }
    std::fs::write(dir.path().join("index.json"), index).unwrap();
    std::fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let mut command = std::process::Command::new("tar");
    let archive = testkit::tool::output(command.arg("-c").arg("-C").arg(dir.path()).arg("."));
    let told = daemon.send(&Exchange::new("POST", "/images/load").body(archive)).expect(200).text();
    assert!(told.contains("Loaded image: zero:latest"), "{told}");
    // What was taken is given again.
    daemon.get("/images/zero/get").expect(200);
    let image = daemon.get("/images/zero/json").expect(200).json();
    assert_eq!(image.get("Descriptor"), None, "{image}");
    let image = daemon.get("/images/zero/json?manifests=1").expect(200).json();
    assert_eq!(image["Descriptor"]["digest"], Digest::of(&manifest).to_string(), "{image}");
}
