//! What every request goes through.

use testkit::longshored::{Exchange, Longshored};

#[test]
fn every_answer_says_who_answers() {
    let daemon = Longshored::start();
    for path in ["/_ping", "/v1.24/_ping", "/nothing", "/v1.23/_ping"] {
        let answer = daemon.get(path);
        let header = |name: &str| answer.headers.get(name).cloned().unwrap_or_default();
        assert_eq!(header("api-version"), "1.55", "{path}");
        assert_eq!(header("docker-experimental"), "false", "{path}");
        assert_eq!(header("ostype"), "linux", "{path}");
        assert!(header("server").starts_with("Longshore/"), "{path}");
    }
}

#[test]
fn a_ping_says_what_is_there() {
    let daemon = Longshored::start();
    for method in ["GET", "HEAD"] {
        let answer = daemon.request(method, "/_ping").expect(200);
        assert_eq!(answer.text(), if method == "GET" { "OK" } else { "" });
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers["cache-control"], "no-cache, no-store, must-revalidate");
        assert_eq!(answer.headers["pragma"], "no-cache");
        assert_eq!(answer.headers["swarm"], "inactive");
        assert_eq!(answer.headers["builder-version"], "1");
    }
}

#[test]
fn c3_43_versions() {
    let daemon = Longshored::start();
    for minor in 24..=55 {
        daemon.get(&format!("/v1.{minor}/_ping")).expect(200);
    }
    for version in ["0.0", "1.23", "1", "0.99999999999"] {
        let message = daemon.get(&format!("/v{version}/_ping")).expect(400).message();
        assert_eq!(
            message,
            format!(
                "client version {version} is too old. Minimum supported API version is 1.24, please upgrade your \
                 client to a newer version"
            )
        );
    }
    for version in ["1.56", "1.99999999999", "2.0", "99999999999999999999"] {
        let message = daemon.get(&format!("/v{version}/_ping")).expect(400).message();
        assert_eq!(
            message,
            format!("client version {version} is too new. Maximum supported API version is 1.55")
        );
    }
    for path in ["/vx/_ping", "/v1.x/_ping", "/v-1/_ping", "/v/_ping", "/v1.40", "/v1.40/v1.40/_ping"] {
        assert_eq!(daemon.get(path).expect(404).message(), "page not found", "{path}");
    }
}

#[test]
fn what_is_not_there_is_not_found_with_any_method() {
    let daemon = Longshored::start();
    for (method, path) in [("GET", "/nothing"), ("PATCH", "/_ping"), ("POST", "/_ping"), ("TRACE", "/_ping")]
    {
        assert_eq!(daemon.request(method, path).expect(404).message(), "page not found", "{method} {path}");
    }
    daemon.request("HEAD", "/nothing").expect(404);
    daemon.get("/%zz").expect(400);
    daemon.get("/containers/%00/json").expect(400);
    let long = Exchange::new("GET", &format!("/{}", "x".repeat(100_000)));
    assert!([400, 404, 414].contains(&daemon.send(&long).status));
}

#[test]
fn a_body_that_nobody_reads_costs_no_connection() {
    use std::io::{BufReader, Write};
    let daemon = Longshored::start();
    let mut stream = daemon.connect();
    for length in [10, 70_000, 200_000] {
        let head = format!("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b'x'; length]).unwrap();
        let answer = testkit::longshored::Answer::read(&mut BufReader::new(&mut stream), "POST");
        answer.unwrap().expect(404);
    }
}
