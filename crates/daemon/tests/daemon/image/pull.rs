//! Pulls, and what ends them.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use testkit::longshored::Longshored;

use super::{assert_accounted, pull, pull_path, registry};

/// Takes requests until one comes in plain HTTP, which gets no answer. It is tried after TLS.
fn first_request(listener: &TcpListener) -> TcpStream {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(testkit::patience())).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        if byte[0].is_ascii_uppercase() {
            return stream;
        }
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

#[test]
fn a_client_that_leaves_ends_its_pull() {
    let daemon = Longshored::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("{}/x", listener.local_addr().unwrap());
    let mut client = daemon.connect();
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", pull_path(&name, "1"));
    client.write_all(head.as_bytes()).unwrap();
    let mut stream = first_request(&listener);
    drop(client);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the daemon gives the registry up");
    assert_accounted(&daemon);
}

#[test]
fn sixteen_pulls_fetch_once() {
    let (daemon, registry) = (Longshored::start(), registry());
    let name = registry.image("lib/corpus");
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..16).map(|_| scope.spawn(|| pull(&daemon, &name, "1"))).collect();
        for pull in pulls {
            let text = pull.join().unwrap();
            assert!(text.contains(r#""status":"Status: "#), "{text}");
        }
    });
    let layers = daemon.get(&format!("/images/{name}:1/json")).expect(200).json();
    let layers = layers["RootFS"]["Layers"].as_array().unwrap().len();
    let log = registry.log().replace('"', "");
    let urls: Vec<_> = log
        .lines()
        .filter(|line| line.contains("msg=response completed") && line.contains("method=GET"))
        .filter_map(|line| line.split("uri=/v2/lib/corpus/blobs/").nth(1)?.split(' ').next())
        .collect();
    // Each pull may have asked for the configuration.
    let once = urls.iter().filter(|url| urls.iter().filter(|other| other == url).count() == 1).count();
    assert!(once >= layers && urls.len() <= layers + 16, "{layers} layers, {urls:#?}");
    assert_accounted(&daemon);
}

#[test]
fn what_a_registry_does_not_have_is_said() {
    let (daemon, registry) = (Longshored::start(), registry());
    let name = registry.image("lib/nosuch");
    let answer = daemon.request("POST", &pull_path(&name, "1")).expect(404);
    let message = format!("manifest for {name}:1 not found: manifest unknown: manifest unknown");
    assert_eq!(answer.message(), message);
    let name = registry.image("lib/foreign");
    let answer = daemon.request("POST", &pull_path(&name, "1")).expect(200);
    assert!(answer.text().contains("no matching manifest for linux/"), "{}", answer.text());
}
