use std::net::SocketAddrV4;

use longshore_network::{
    Error,
    firewall::{Firewall, Network, Published},
    port::{Ports, Protocol},
};

use crate::world::{Guest, Host, address, ask, at, serve};

/// A host at 192.0.2.2 with two networks, a container on each, and a neighbour at 192.0.2.1 that knows the way in.
struct Site {
    neighbour: Host,
    host: Host,
    one: Guest,
    two: Guest,
    firewall: Firewall,
}

fn network(bridge: &str) -> Network {
    let subnet = if bridge == "br1" { "10.1.1.0/24" } else { "10.2.2.0/24" };
    Network {
        bridge: bridge.into(),
        subnet: subnet.parse().ok(),
        masquerade: true,
        internal: false,
        open: false,
        masquerade6: true,
        open6: false,
    }
}

fn published(on: &str, port: u16, to: SocketAddrV4) -> Published {
    Published { address: address(on), port, protocol: Protocol::Tcp, to }
}

fn site(one: Network, two: Network) -> Site {
    let (neighbour, host) = (Host::new(), Host::new());
    neighbour.bridge("lan", "192.0.2.0/24");
    let mut inside = host.namespace.inside().expect("a site");
    let uplink = neighbour.interface("lan", "192.0.2.2", "uplink");
    uplink.plug(&neighbour.links, &host.namespace, &mut inside).expect("a site");
    inside.set_default_route(address("192.0.2.1")).expect("a site");
    host.bridge("br1", "10.1.1.0/24");
    host.bridge("br2", "10.2.2.0/24");
    neighbour.namespace.inside().expect("a site").set_default_route(address("192.0.2.2")).expect("a site");
    let firewall = host.run(|| Firewall::install("longshore-test", [one, two], [])).expect("a site");
    let (one, two) = (host.guest("br1", "10.1.1.2"), host.guest("br2", "10.2.2.2"));
    serve(&one.namespace, 80);
    serve(&two.namespace, 80);
    serve(&neighbour.namespace, 80);
    Site { neighbour, host, one, two, firewall }
}

#[test]
fn networks_reach_out_but_not_each_other() {
    let site = site(network("br1"), network("br2"));
    // As the host, for who is outside.
    let outside = at("192.0.2.1", 80);
    assert_eq!(ask(&site.one.namespace, outside), Some(address("192.0.2.2").into()));
    assert_eq!(ask(&site.one.namespace, at("10.2.2.2", 80)), None);
    assert_eq!(ask(&site.two.namespace, at("10.1.1.2", 80)), None);
    // The way in is known, and closed.
    assert_eq!(ask(&site.neighbour.namespace, at("10.1.1.2", 80)), None);
    assert!(ask(&site.host.namespace, at("10.1.1.2", 80)).is_some());
}

#[test]
fn an_internal_network_is_closed_and_an_open_one_is_not() {
    let internal = Network { internal: true, ..network("br1") };
    let open = Network { open: true, masquerade: false, ..network("br2") };
    let site = site(internal, open);
    let outside = at("192.0.2.1", 80);
    assert_eq!(ask(&site.one.namespace, outside), None);
    assert_eq!(ask(&site.one.namespace, at("10.2.2.2", 80)), None);
    assert_eq!(ask(&site.two.namespace, outside), Some(address("10.2.2.2").into()));
    let neighbour = ask(&site.neighbour.namespace, at("10.2.2.2", 80));
    assert_eq!(neighbour, Some(address("192.0.2.1").into()));
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    let site = site(network("br1"), network("br2"));
    let port = published("0.0.0.0", 8080, at("10.1.1.2", 80));
    let (lan, loopback) = (at("192.0.2.2", 8080), at("127.0.0.1", 8080));
    assert_eq!(ask(&site.neighbour.namespace, lan), None);
    site.firewall.publish(&[port]).unwrap();
    // The source stays what it was.
    assert_eq!(ask(&site.neighbour.namespace, lan), Some(address("192.0.2.1").into()));
    assert!(ask(&site.host.namespace, lan).is_some());
    assert_eq!(ask(&site.host.namespace, loopback), Some(address("10.1.1.1").into()));
    // From the container itself, from its own network's gateway, and from another network.
    assert!(ask(&site.one.namespace, lan).is_some());
    assert!(ask(&site.one.namespace, at("10.1.1.1", 8080)).is_some());
    assert!(ask(&site.two.namespace, lan).is_some());
    // What is led through this host to another is not ours.
    assert_eq!(ask(&site.one.namespace, at("192.0.2.1", 8080)), None);
    site.firewall.withdraw(&[port]).unwrap();
    assert_eq!(ask(&site.neighbour.namespace, lan), None);
    assert_eq!(ask(&site.host.namespace, loopback), None);
    // Again is nothing.
    site.firewall.withdraw(&[port]).unwrap();
}

#[test]
fn a_port_of_loopback_is_the_hosts_alone() {
    let site = site(network("br1"), network("br2"));
    site.firewall.publish(&[published("127.0.0.1", 8080, at("10.1.1.2", 80))]).unwrap();
    assert!(ask(&site.host.namespace, at("127.0.0.1", 8080)).is_some());
    assert_eq!(ask(&site.neighbour.namespace, at("192.0.2.2", 8080)), None);
    assert_eq!(ask(&site.two.namespace, at("10.2.2.1", 8080)), None);
    // A neighbour that sends what is for 127.0.0.1 to the host.
    let mut inside = site.two.namespace.inside().unwrap();
    inside.drop_address("lo", address("127.0.0.1"), "127.0.0.0/8".parse().unwrap()).unwrap();
    site.two
        .namespace
        .enter(|| std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1"))
        .unwrap()
        .unwrap();
    serve(&site.host.namespace, 8081);
    for port in [8080, 8081] {
        assert_eq!(ask(&site.two.namespace, at("127.0.0.1", port)), None);
    }
}

#[test]
fn rules_that_somebody_took_away_come_back() {
    let site = site(network("br1"), network("br2"));
    let (first, second) =
        (published("0.0.0.0", 8080, at("10.1.1.2", 80)), published("192.0.2.2", 8081, at("10.2.2.2", 80)));
    let flush = || {
        let other = site.host.run(|| Firewall::install("longshore-test", [], [])).unwrap();
        other.remove().unwrap();
        assert!(!site.firewall.is_there().unwrap());
    };
    site.firewall.publish(&[first]).unwrap();
    flush();
    site.firewall.reinstall().unwrap();
    assert!(ask(&site.neighbour.namespace, at("192.0.2.2", 8080)).is_some());
    flush();
    // A change finds the table gone, and puts back what it knew.
    site.firewall.publish(&[second]).unwrap();
    for port in [8080, 8081] {
        assert!(ask(&site.neighbour.namespace, at("192.0.2.2", port)).is_some(), "{port}");
    }
    flush();
    site.firewall.remove_network("br2").unwrap();
    assert!(site.firewall.is_there().unwrap());
}

#[test]
fn a_table_that_is_watched_comes_back_by_itself() {
    let site = site(network("br1"), network("br2"));
    site.firewall.publish(&[published("0.0.0.0", 8080, at("10.1.1.2", 80))]).unwrap();
    let firewall = std::sync::Arc::new(site.firewall);
    site.host.run(|| firewall.watch()).unwrap();
    for round in 0..3 {
        let other = site.host.run(|| Firewall::install("longshore-test", [], [])).unwrap();
        if round > 0 {
            other.remove().unwrap();
        }
        let until = std::time::Instant::now() + testkit::patience();
        // Each try takes its time when nobody answers.
        while ask(&site.neighbour.namespace, at("192.0.2.2", 8080)).is_none() {
            assert!(std::time::Instant::now() < until, "round {round}");
        }
    }
    // What is taken away in order stays away.
    firewall.remove().unwrap();
    assert!(!firewall.is_there().unwrap());
    firewall.reinstall().unwrap();
    assert!(!firewall.is_there().unwrap());
}

#[test]
fn a_batch_that_fails_changes_nothing() {
    let site = site(network("br1"), network("br2"));
    let taken = published("0.0.0.0", 8080, at("10.1.1.2", 80));
    site.firewall.publish(&[taken]).unwrap();
    let other = published("0.0.0.0", 8081, at("10.1.1.2", 80));
    // The same port to somewhere else.
    let error = site.firewall.publish(&[other, published("0.0.0.0", 8080, at("10.2.2.2", 80))]).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert_eq!(ask(&site.neighbour.namespace, at("192.0.2.2", 8081)), None);
    site.firewall.reinstall().unwrap();
    assert_eq!(ask(&site.neighbour.namespace, at("192.0.2.2", 8081)), None);
    assert!(ask(&site.neighbour.namespace, at("192.0.2.2", 8080)).is_some());
}

#[test]
fn many_ports_are_one_batch() {
    let site = site(network("br1"), network("br2"));
    let ports: Vec<Published> =
        (10_000..20_000).map(|port| published("0.0.0.0", port, at("10.1.1.2", 80))).collect();
    site.firewall.publish(&ports).unwrap();
    for port in [10_000, 14_999, 19_999] {
        assert!(ask(&site.neighbour.namespace, at("192.0.2.2", port)).is_some(), "{port}");
    }
    site.firewall.reinstall().unwrap();
    assert!(ask(&site.neighbour.namespace, at("192.0.2.2", 19_999)).is_some());
    site.firewall.withdraw(&ports).unwrap();
    assert_eq!(ask(&site.neighbour.namespace, at("192.0.2.2", 19_999)), None);
}

#[test]
fn a_port_is_given_once() {
    let host = Host::new();
    host.run(|| {
        let ports = Ports::new(40_000..=40_002);
        let any = address("0.0.0.0");
        let first = ports.reserve(any, Some(8080..=8080), Protocol::Tcp).unwrap();
        let again = ports.reserve(address("127.0.0.1"), Some(8080..=8080), Protocol::Tcp).unwrap_err();
        assert_eq!(again.to_string(), "Bind for 127.0.0.1:8080 failed: port is already allocated");
        ports.reserve(any, Some(8080..=8080), Protocol::Udp).unwrap();
        drop(first);
        // A program of the host has it.
        let program = std::net::TcpListener::bind("127.0.0.1:8080").unwrap();
        let error = ports.reserve(any, Some(8080..=8080), Protocol::Tcp).unwrap_err();
        let message = error.to_string();
        let wanted = "failed to bind host port 0.0.0.0:8080/tcp: address already in use: process ";
        assert!(message.starts_with(wanted), "{message}");
        assert!(message.contains(&std::process::id().to_string()), "{message}");
        // Of a range, the next.
        let next = ports.reserve(any, Some(8080..=8082), Protocol::Tcp).unwrap();
        assert_eq!(next.port(), 8081);
        drop(program);
        let free: Vec<_> = (0..3).map(|_| ports.reserve(any, None, Protocol::Tcp).unwrap()).collect();
        assert_eq!(free.iter().map(|one| one.port()).collect::<Vec<_>>(), [40_000, 40_001, 40_002]);
        assert!(matches!(ports.reserve(any, None, Protocol::Tcp), Err(Error::PortsExhausted { .. })));
        drop(free);
        assert_eq!(ports.reserve(any, None, Protocol::Tcp).unwrap().port(), 40_000);
    });
}
