//! Through a proxy: `CONNECT` with a name and a password, whole URLs for plain http, and exceptions.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use longshore_registry::{Client, Config, Error, Proxies};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    fake::Fake,
    scene::{blob, config, download, is_clean, manifest},
    tls::{app, tls, trust},
};

/// `user:secret-password`, as a header has it.
const LOGIN: &str = "Basic dXNlcjpzZWNyZXQtcGFzc3dvcmQ=";

/// A proxy that leads every name to this machine; ends with the value.
struct Proxy {
    port: u16,
    /// The first lines of what came.
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&all)));
            }
        });
        Self { port, seen, task }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Settings with this proxy for both schemes.
    fn settings(&self, login: &str, exceptions: &str, certs: &Path) -> Config {
        let proxy = Some(format!("http://{login}127.0.0.1:{}", self.port));
        // Nobody but the proxy knows the names.
        let names = BTreeMap::from([("near.test".to_owned(), vec!["127.0.0.1".parse().unwrap()])]);
        let certs_dirs = vec![certs.to_owned()];
        Config { proxies: Proxies::new(proxy.clone(), proxy, exceptions), certs_dirs, names, ..config() }
    }
}

/// One connection: its head is read, and if the password is right it becomes a tunnel.
async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().to_owned();
    seen.lock().unwrap().push(line.clone());
    let login = head.lines().find_map(|line| line.split_once(": "));
    let known = head.lines().any(|line| {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        name.eq_ignore_ascii_case("proxy-authorization") && value == LOGIN
    });
    assert!(login.is_some());
    if !known {
        let reply = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\
                     Content-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(reply.as_bytes()).await.ok();
        return;
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let authority = target.trim_start_matches("http://").split('/').next().unwrap();
    let port: u16 = authority.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    if method == "CONNECT" {
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    } else {
        // One request for each connection is enough here.
        let path = target.trim_start_matches("http://").trim_start_matches(authority);
        let rest = head.split_once("\r\n").unwrap().1;
        let head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{rest}");
        server.write_all(head.as_bytes()).await.unwrap();
    }
    copy_bidirectional(&mut stream, &mut server).await.ok();
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_with_a_login() {
    let fake = Fake::start_tls(tls("server", false)).await.unwrap();
    let bytes = manifest(&fake);
    let (descriptor, content) = blob(&fake, 300_000);
    let proxy = Proxy::start().await;
    let dir = tempfile::tempdir().unwrap();
    let host = format!("reg.test:{}", fake.port());
    trust(dir.path(), &host);
    let client = Client::new(proxy.settings("user:secret-password@", "", dir.path())).unwrap();
    let repository = app(&client, &host);
    assert_eq!(repository.resolve("latest").await.unwrap().bytes, bytes);
    assert_eq!(download(&repository, &descriptor, 0).await.unwrap(), content);
    let seen = proxy.seen();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|line| *line == format!("CONNECT {host} HTTP/1.1")), "{seen:?}");
    // What is for the proxy is not for the registry.
    let headers = crate::scene::everything(&fake);
    assert!(!headers.to_lowercase().contains("proxy-authorization"), "{headers}");
}

#[tokio::test]
async fn plain_http_is_asked_of_the_proxy_by_its_whole_url() {
    let fake = Fake::start().await.unwrap();
    let bytes = manifest(&fake);
    let proxy = Proxy::start().await;
    let dir = tempfile::tempdir().unwrap();
    let settings = proxy.settings("user:secret-password@", "", dir.path());
    let insecure_registries = vec!["reg.test".to_owned()];
    let client = Client::new(Config { insecure_registries, ..settings }).unwrap();
    let host = format!("reg.test:{}", fake.port());
    assert_eq!(app(&client, &host).resolve("latest").await.unwrap().bytes, bytes);
    // Later requests use the same connection, whose first line is what this proxy notes.
    let wanted = format!("GET http://{host}/v2/");
    assert!(proxy.seen().iter().any(|line| line.starts_with(&wanted)), "{:?}", proxy.seen());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_as_what_refused() {
    let fake = Fake::start_tls(tls("server", false)).await.unwrap();
    manifest(&fake);
    let proxy = Proxy::start().await;
    let dir = tempfile::tempdir().unwrap();
    let host = format!("reg.test:{}", fake.port());
    trust(dir.path(), &host);
    for login in ["", "user:wrong-secret@"] {
        let client = Client::new(proxy.settings(login, "", dir.path())).unwrap();
        let error = app(&client, &host).resolve("latest").await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("proxy"), "{error}");
        is_clean(&error);
    }
    // Nobody at the proxy's address.
    let nobody = Proxies::new(None, Some("http://127.0.0.1:1".to_owned()), "");
    let settings = Config { proxies: nobody, ..proxy.settings("", "", dir.path()) };
    let error = app(&Client::new(settings).unwrap(), &host).resolve("latest").await.unwrap_err();
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn exceptions_go_without_the_proxy() {
    let fake = Fake::start_tls(tls("server", false)).await.unwrap();
    manifest(&fake);
    let proxy = Proxy::start().await;
    let dir = tempfile::tempdir().unwrap();
    for (name, exceptions, through) in
        [("near.test", "near.test", false), ("near.test", ".test", false), ("near.test", "other.test", true)]
    {
        let host = format!("{name}:{}", fake.port());
        trust(dir.path(), &host);
        let before = proxy.seen().len();
        let client = Client::new(proxy.settings("user:secret-password@", exceptions, dir.path())).unwrap();
        // The certificate is for another name: that is seen either way, and before it who was asked.
        let error = app(&client, &host).resolve("latest").await.unwrap_err();
        assert!(matches!(error, Error::Certificate { .. }), "{error}");
        assert_eq!(proxy.seen().len() > before, through, "{exceptions}");
    }
}
