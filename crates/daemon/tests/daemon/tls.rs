//! TCP: rows C3 44 and C10 115.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};
use testkit::longshored::{self, Longshored};

/// Files that one authority signed, and those of an authority that nobody knows.
struct Pki(tempfile::TempDir);

impl Pki {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["ours", "theirs"] {
            let place = dir.path().join(name);
            std::fs::create_dir(&place).unwrap();
            testkit::registry::make_certificates(&place);
        }
        let expired = dir.path().join("ours");
        let script = "openssl req -x509 -config openssl.cnf -extensions client -not_before 20200101000000Z -not_after \
                      20200102000000Z -subj /CN=expired -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout \
                      expired.key -out expired.crt -CA authority.crt -CAkey authority.key";
        // Older openssl has no dates for `req`; a certificate of no days is as expired.
        let output = Command::new("sh").args(["-c", script]).current_dir(&expired).output().unwrap();
        if !output.status.success() {
            let older = "openssl req -config openssl.cnf -new -subj /CN=expired -nodes -newkey ec -pkeyopt \
                         ec_paramgen_curve:P-256 -keyout expired.key -out expired.csr && openssl x509 -req -in expired.csr \
                         -CA authority.crt -CAkey authority.key -CAcreateserial -days -1 -extfile openssl.cnf -extensions \
                         client -out expired.crt";
            testkit::tool::run(Command::new("sh").args(["-c", older]).current_dir(&expired));
        }
        Self(dir)
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

/// A port of loopback that nobody listens on now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A daemon with TLS that checks clients, and its port.
fn daemon(pki: &Pki) -> (Longshored, u16) {
    let port = free_port();
    let daemon = Longshored::start_with(&[
        "-H",
        &format!("tcp://127.0.0.1:{port}"),
        "--tlsverify",
        "--tlscacert",
        &pki.at("ours/authority.crt"),
        "--tlscert",
        &pki.at("ours/server.crt"),
        "--tlskey",
        &pki.at("ours/server.key"),
    ]);
    (daemon, port)
}

/// What openssl's client gets for a ping.
fn ping(port: u16, args: &[&str]) -> String {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")]).args(args);
    let mut client =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    // A client that was refused reads nothing.
    input.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok();
    let output = client.wait_with_output().unwrap();
    drop(input);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn c3_44_clients_without_a_certificate_that_counts_are_refused() {
    let pki = Pki::new();
    let (daemon, port) = daemon(&pki);
    let with = |name: &str| [pki.at(&format!("{name}.crt")), pki.at(&format!("{name}.key"))];
    let try_with = |name: &str, more: &[&str]| {
        let [cert, key] = with(name);
        ping(port, &[&["-cert", &cert, "-key", &key], more].concat())
    };
    assert!(try_with("ours/client", &[]).contains("200 OK"), "{}", daemon.log());
    assert!(try_with("ours/client", &["-tls1_2"]).contains("200 OK"), "{}", daemon.log());
    for name in ["theirs/client", "ours/expired", "ours/server"] {
        assert!(!try_with(name, &[]).contains("200"), "{name}");
    }
    assert!(!try_with("ours/client", &["-tls1_1"]).contains("200"));
    assert!(!ping(port, &[]).contains("200"), "no certificate");
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).ok();
    assert!(!String::from_utf8_lossy(&answer).contains("200"));
    daemon.get("/_ping").expect(200);
}

#[test]
fn c3_44_half_handshakes_disturb_nobody() {
    let pki = Pki::new();
    let (daemon, port) = daemon(&pki);
    let mut half = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
        half.push(stream);
    }
    daemon.get("/_ping").expect(200);
    let (cert, key) = (pki.at("ours/client.crt"), pki.at("ours/client.key"));
    assert!(ping(port, &["-cert", &cert, "-key", &key]).contains("200 OK"));
}

/// What a daemon says that does not start.
fn refused(args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let mut daemon = Command::new(longshored::program());
    daemon.args(["--data-root", &at("data"), "--exec-root", &at("exec")]).args(args);
    let output = daemon.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn c10_115_tcp_without_tls_is_for_loopback_or_for_those_who_say_so() {
    let message = refused(&["-H", "tcp://0.0.0.0:0"]);
    assert!(message.contains("lets anybody who reaches it be root"), "{message}");
    let message = refused(&["-H", "tcp://0.0.0.0:0", "--tls"]);
    assert!(message.contains("lets anybody who reaches it be root"), "{message}");
    Longshored::start_with(&["-H", "tcp://0.0.0.0:0", "--tlsverify=false"]).get("/_ping").expect(200);
    let port = free_port();
    let daemon = Longshored::start_with(&["-H", &format!("tcp://localhost:{port}")]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("OK"), "{answer}\n{}", daemon.log());
}

#[test]
fn certificates_that_are_missing_are_named() {
    let missing = Path::new("/nothing/here/cert.pem").display().to_string();
    let message = refused(&["-H", "tcp://127.0.0.1:0", "--tls", "--tlscert", &missing, "--tlskey", &missing]);
    assert!(message.contains("could not read /nothing/here/cert.pem"), "{message}");
}
