use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use tokio::net::UdpSocket;

use super::{Lookup, Reach, ask};

#[tokio::test]
async fn localhost_is_this_machine() {
    let found = Lookup::default().addresses("LOCALHOST").await.unwrap();
    assert!(found.iter().all(std::net::IpAddr::is_loopback) && found.len() == 2);
}

#[test]
fn reach_grows_with_who_named_the_host() {
    for (address, named, told, redirected) in [
        ("192.0.2.1", true, true, true),
        ("10.0.0.1", true, true, true),
        ("127.0.0.1", true, true, false),
        ("::1", true, true, false),
        ("169.254.169.254", true, false, false),
        ("fd00:ec2::254", true, false, false),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(Reach::Named.allows(address), named, "{address}");
        assert_eq!(Reach::Told.allows(address), told, "{address}");
        assert_eq!(Reach::Redirected.allows(address), redirected, "{address}");
    }
}

/// What a name server does with a question.
#[derive(Clone, Copy)]
enum Server {
    /// Answers every name with an address.
    Address([u8; 4]),
    /// Refuses with a code.
    Code(u8),
    Silent,
    Nonsense,
}

/// A resolver whose one server is this one.
async fn resolver(server: Server) -> TokioResolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut connection = ConnectionConfig::udp();
    connection.port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            if let Some(answer) = answer(&question[..length], server) {
                socket.send_to(&answer, from).await.ok();
            }
        }
    });
    let server = NameServerConfig::new(IpAddr::from([127, 0, 0, 1]), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    (options.timeout, options.attempts, options.try_tcp_on_error) = (Duration::from_millis(200), 1, false);
    builder.build().unwrap()
}

/// RFC 1035: the head and the question again, with an answer behind them.
fn answer(question: &[u8], server: Server) -> Option<Vec<u8>> {
    // One name, then its type and class; what follows is EDNS.
    let name = 12 + question[12..].iter().position(|byte| *byte == 0)? + 1;
    let is_a = question[name..name + 2] == [0, 1];
    let mut answer = question[..name + 4].to_vec();
    let (code, count) = match server {
        Server::Address(_) => (0, u8::from(is_a)),
        Server::Code(code) => (code, 0),
        Server::Silent => return None,
        Server::Nonsense => return Some(vec![0xff; 7]),
    };
    answer[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    if let (Server::Address(address), true) = (server, is_a) {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address);
    }
    Some(answer)
}

#[tokio::test]
async fn servers_that_fail_are_told_in_one_line_and_in_time() {
    let found = ask(&resolver(Server::Address([192, 0, 2, 7])).await, "reg.example").await.unwrap();
    assert_eq!(found, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    for (server, words) in [
        (
            Server::Code(3),
            "lookup reg.example: no such host; check the name, or the servers in /etc/resolv.conf",
        ),
        (Server::Code(2), "; check the servers in /etc/resolv.conf"),
        (Server::Code(5), "; check the servers in /etc/resolv.conf"),
        (Server::Silent, "; check the servers in /etc/resolv.conf"),
        (Server::Nonsense, "; check the servers in /etc/resolv.conf"),
    ] {
        let start = Instant::now();
        let error = ask(&resolver(server).await, "reg.example").await.unwrap_err();
        assert!(error.starts_with("lookup reg.example: ") && error.ends_with(words), "{error}");
        assert!(!error.contains('\n') && error.len() < 300, "{error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{error}");
    }
}
