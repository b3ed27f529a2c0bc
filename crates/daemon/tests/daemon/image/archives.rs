//! Import, load and save, through plain HTTP.

use std::io::{Read, Write};

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
