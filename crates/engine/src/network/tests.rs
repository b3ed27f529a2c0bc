//! Against the kernel, as root, each test in a network namespace of its own that plays the host.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use longshore_network::namespace::{Namespace, unbind};
use longshore_types::{
    container::EndpointSettings,
    network::{Ipam, IpamConfig},
};
use serde_json::{Value, json};

use super::{BRIDGE, Create, Error, Networks, Settings};
use crate::{container::Record, db::Db, event::Events, spec::NetworkNamespace};

/// A data root, and what is bound in it.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(super) fn open(&self) -> (Networks, Events) {
        let events = Events::default();
        let db = Db::open(&self.0.path().join("engine.db")).expect("a database");
        let settings = Settings::new(self.0.path());
        (Networks::open(settings, db, events.clone()).expect("networks"), events)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.0.path().join("netns")).into_iter().flatten().flatten() {
            unbind(&entry.path()).ok();
        }
    }
}

/// Plays the host.
pub(super) fn on_a_host(test: impl FnOnce() + Send) {
    let (host, _) = Namespace::create().expect("a namespace");
    host.enter(test).expect("enter");
}

pub(super) fn container(name: &str, host: &Value, networks: &Value) -> Record {
    let id: String = name.bytes().cycle().map(|byte| format!("{byte:02x}")).take(32).collect();
    let exposed = json!({ "80/tcp": {}, "81/udp": {} });
    serde_json::from_value(json!({
        "id": id, "name": name, "created": "2026-01-01T00:00:00Z",
        "image": {
            "id": format!("sha256:{}", "a".repeat(64)),
            "platform": { "os": "linux", "architecture": "amd64" },
            "layers": [],
        },
        "config": { "Hostname": format!("{name}-host"), "ExposedPorts": exposed },
        "host": host, "networking": { "EndpointsConfig": networks }, "mounts": [], "snapshot": 1, "state": {},
        "ports": {},
    }))
    .expect("a record")
}

/// Attaches it and notes what it got, as its start does.
pub(super) fn start(networks: &Networks, record: &mut Record) -> super::Result<NetworkNamespace> {
    let attachment = networks.attach(record, None)?;
    let endpoints = attachment.endpoints.into_iter().map(|(name, settings)| (name, Some(settings)));
    record.networking.endpoints_config = Some(endpoints.collect());
    record.ports = attachment.ports;
    record.state.phase = crate::container::Phase::Running;
    Ok(attachment.namespace)
}

fn endpoint<'a>(record: &'a Record, network: &str) -> &'a EndpointSettings {
    record.networking.endpoints_config.as_ref().expect("endpoints")[network].as_ref().expect("an endpoint")
}

/// Answers on port 80 in a namespace with a name.
pub(super) fn serve(place: &NetworkNamespace, name: &'static str) {
    let NetworkNamespace::Path(path) = place else { panic!("{place:?}") };
    let namespace = Namespace::open(path).expect("its namespace");
    let listener = namespace.enter(|| TcpListener::bind("0.0.0.0:80").expect("listen")).expect("enter");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.write_all(name.as_bytes()).ok();
        }
    });
}

fn ask(to: &str) -> Option<String> {
    let to: SocketAddr = to.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2)).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

fn ask_from(place: &NetworkNamespace, to: &str) -> Option<String> {
    let NetworkNamespace::Path(path) = place else { panic!("{place:?}") };
    Namespace::open(path).expect("its namespace").enter(|| ask(to)).expect("enter")
}

fn actions(events: &Events) -> Vec<String> {
    events.subscribe().history.iter().map(|event| event.action.clone()).collect()
}

#[test]
fn the_default_network_is_there_and_changes_nothing_until_it_is_used() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, events) = place.open();
        let names: Vec<_> = networks.all().into_iter().map(|network| network.name).collect();
        assert_eq!(names, ["bridge", "host", "none"]);
        let record = networks.find(BRIDGE).unwrap();
        let config = &record.ipam.config.as_ref().unwrap()[0];
        assert_eq!((config.subnet.as_str(), config.gateway.as_str()), ("172.17.0.0/16", "172.17.0.1"));
        let link = &record.options["com.docker.network.bridge.name"];
        let links = longshore_network::bridge::Links::open().unwrap();
        assert!(!links.exists(link).unwrap());
        let mut one = container("one", &json!({ "NetworkMode": "default" }), &Value::Null);
        let namespace = start(&networks, &mut one).unwrap();
        assert!(links.exists(link).unwrap());
        assert_eq!(endpoint(&one, BRIDGE).ip_address, "172.17.0.2");
        assert_eq!(endpoint(&one, BRIDGE).mac_address, "02:42:ac:11:00:02");
        assert_eq!(endpoint(&one, BRIDGE).dns_names, None);
        serve(&namespace, "one");
        assert_eq!(ask("172.17.0.2:80").as_deref(), Some("one"));
        let members = networks.members(&record.id);
        assert_eq!((members.len(), members[0].address.as_str()), (1, "172.17.0.2/16"));
        networks.detach(one.id.as_str()).unwrap();
        assert!(networks.members(&record.id).is_empty());
        assert!(!networks.sandbox_key(one.id.as_str()).exists());
        assert_eq!(actions(&events), ["connect", "disconnect"]);
        networks.close().unwrap();
        assert!(!links.exists(link).unwrap());
    });
}

#[test]
fn none_and_host_have_no_interfaces() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, _) = place.open();
        for (mode, wanted) in [("none", NetworkNamespace::New), ("host", NetworkNamespace::Host)] {
            let mut one = container("one", &json!({ "NetworkMode": mode }), &Value::Null);
            assert_eq!(start(&networks, &mut one).unwrap(), wanted);
            assert_eq!(endpoint(&one, mode).ip_address, "");
            assert_eq!(endpoint(&one, mode).endpoint_id.len(), 64);
            networks.detach(one.id.as_str()).unwrap();
        }
        let mut joined = container("joined", &json!({ "NetworkMode": "container:one" }), &Value::Null);
        assert!(matches!(start(&networks, &mut joined), Err(Error::JoinStopped { .. })));
        assert!(
            matches!(start(&networks, &mut container("x", &json!({ "NetworkMode": "no" }), &Value::Null)),
            Err(Error::NoSuchNetwork { word }) if word == "no")
        );
    });
}

#[test]
fn ports_are_published_and_given_back() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, _) = place.open();
        let ports = json!({ "80/tcp": [{ "HostPort": "8080" }, { "HostIp": "127.0.0.1" }] });
        let mut one = container("one", &json!({ "PortBindings": ports }), &Value::Null);
        let namespace = start(&networks, &mut one).unwrap();
        serve(&namespace, "one");
        assert_eq!(ask("127.0.0.1:8080").as_deref(), Some("one"));
        let bound = one.ports["80/tcp"].clone().unwrap();
        assert_eq!((bound[0].host_ip.as_str(), bound[0].host_port.as_str()), ("0.0.0.0", "8080"));
        assert_eq!(bound[1].host_ip, "127.0.0.1");
        assert_eq!(ask(&format!("127.0.0.1:{}", bound[1].host_port)).as_deref(), Some("one"));
        assert_eq!(one.ports["81/udp"], None);
        // Nothing is left of one that cannot have its port.
        let mut two = container("two", &json!({ "PortBindings": ports }), &Value::Null);
        let error = start(&networks, &mut two).unwrap_err();
        let line = crate::line(&error);
        assert!(
            line.starts_with("driver failed programming external connectivity on endpoint two ("),
            "{line}"
        );
        assert!(
            line.ends_with("): Bind for 0.0.0.0:8080 failed: port is already allocated to container one"),
            "{line}"
        );
        assert!(!networks.sandbox_key(two.id.as_str()).exists());
        networks.detach(one.id.as_str()).unwrap();
        let namespace = start(&networks, &mut two).unwrap();
        assert_eq!(endpoint(&two, BRIDGE).ip_address, "172.17.0.2");
        serve(&namespace, "two");
        assert_eq!(ask("127.0.0.1:8080").as_deref(), Some("two"));
        networks.detach(two.id.as_str()).unwrap();
        let mut all = container("all", &json!({ "PublishAllPorts": true }), &Value::Null);
        start(&networks, &mut all).unwrap();
        assert!(all.ports.values().all(|bound| bound.as_ref().is_some_and(|bound| bound.len() == 1)));
    });
}

pub(super) fn create(name: &str, subnet: &str) -> Create {
    let config = IpamConfig { subnet: subnet.into(), ..IpamConfig::default() };
    let configs = (!subnet.is_empty()).then(|| vec![config]);
    Create { name: name.into(), ipam: Some(Ipam { config: configs, ..Ipam::default() }), ..Create::default() }
}

#[test]
fn networks_of_users() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, events) = place.open();
        let made = networks.create(create("blue", "")).unwrap();
        assert_eq!(made.ipam.config.as_ref().unwrap()[0].subnet, "172.18.0.0/16");
        let red = networks.create(create("red", "10.7.0.0/24")).unwrap();
        assert_eq!(red.ipam.config.as_ref().unwrap()[0].gateway, "10.7.0.1");
        assert_eq!(networks.find(&red.id[..20]).unwrap().name, "red");
        let message = |error: Error| (crate::line(&error), error.kind());
        let (line, kind) = message(networks.create(create("red", "")).unwrap_err());
        assert_eq!(
            (line.as_str(), kind),
            ("network with name red already exists", longshore_types::Kind::Conflict)
        );
        let (line, _) = message(networks.create(create("green", "10.7.0.128/25")).unwrap_err());
        assert!(line.contains("Pool overlaps with other one on this address space"), "{line}");
        assert!(matches!(networks.create(create("green", "10.8.0.1/24")), Err(Error::BadSubnet { .. })));
        assert!(matches!(networks.create(create("host", "")), Err(Error::PredefinedCreate { .. })));
        assert!(matches!(networks.create(create("a b", "")), Err(Error::BadName { .. })));
        let config = json!({ "red": { "IPAMConfig": { "IPv4Address": "10.7.0.9" }, "Aliases": ["db"] } });
        let mut one = container("one", &json!({ "NetworkMode": "red" }), &config);
        let namespace = start(&networks, &mut one).unwrap();
        assert_eq!(endpoint(&one, "red").ip_address, "10.7.0.9");
        let names = endpoint(&one, "red").dns_names.clone().unwrap();
        assert_eq!(names, ["one", "db", &one.id.as_str()[..12], "one-host"]);
        serve(&namespace, "one");
        assert_eq!(ask("10.7.0.9:80").as_deref(), Some("one"));
        let (line, _) = message(networks.remove("red").unwrap_err());
        let short = &endpoint(&one, "red").endpoint_id[..12];
        let wanted = format!(
            "error while removing network: network red has active endpoints (name:\"one\" id:\"{short}\")"
        );
        assert_eq!(line, wanted);
        networks.detach(one.id.as_str()).unwrap();
        networks.remove("red").unwrap();
        let pruned = networks.prune(|_| true, &["nobody".into()]);
        assert_eq!(pruned, ["blue"]);
        assert!(matches!(networks.remove("bridge"), Err(Error::PredefinedRemove { .. })));
        let link = format!("br-{}", &red.id[..12]);
        assert!(!longshore_network::bridge::Links::open().unwrap().exists(&link).unwrap());
        let wanted = ["create", "create", "connect", "disconnect", "destroy", "destroy"];
        assert_eq!(actions(&events), wanted);
    });
}

#[test]
fn a_running_container_comes_to_networks_and_leaves_them() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, _) = place.open();
        networks.create(create("red", "10.7.0.0/24")).unwrap();
        let mut server = container("server", &json!({ "NetworkMode": "red" }), &Value::Null);
        let served = start(&networks, &mut server).unwrap();
        serve(&served, "server");
        let ports = json!({ "80/tcp": [{ "HostPort": "8080" }] });
        let mut one = container("one", &json!({ "PortBindings": ports }), &Value::Null);
        let namespace = start(&networks, &mut one).unwrap();
        serve(&namespace, "one");
        let change = networks.connect(&one, "red", EndpointSettings::default()).unwrap();
        let settings = change.endpoint.unwrap();
        assert_eq!((change.network.as_str(), settings.ip_address.as_str()), ("red", "10.7.0.3"));
        assert_eq!(ask_from(&namespace, "10.7.0.2:80").as_deref(), Some("server"));
        one.networking.endpoints_config.as_mut().unwrap().insert("red".into(), Some(settings));
        let again = networks.connect(&one, "red", EndpointSettings::default()).unwrap_err();
        assert_eq!(again.to_string(), "endpoint with name one already exists in network red");
        // What is published goes on by the network that is left.
        assert_eq!(ask("127.0.0.1:8080").as_deref(), Some("one"));
        let change = networks.disconnect(&one, BRIDGE).unwrap();
        one.networking.endpoints_config.as_mut().unwrap().remove(BRIDGE);
        assert!(change.ports.unwrap().contains_key("80/tcp"));
        assert_eq!(ask("127.0.0.1:8080").as_deref(), Some("one"));
        assert!(matches!(networks.disconnect(&one, BRIDGE), Err(Error::NotConnected { .. })));
        assert!(matches!(
            networks.connect(&one, "none", EndpointSettings::default()),
            Err(Error::PrivateMode)
        ));
        assert!(matches!(networks.connect(&one, "host", EndpointSettings::default()), Err(Error::HostMode)));
    });
}

#[test]
fn what_runs_goes_on_without_the_daemon_and_is_taken_up() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, _) = place.open();
        networks.create(create("red", "10.7.0.0/24")).unwrap();
        let ports = json!({ "80/tcp": [{ "HostPort": "8080" }] });
        let mut one = container("one", &json!({ "PortBindings": ports, "NetworkMode": "red" }), &Value::Null);
        let namespace = start(&networks, &mut one).unwrap();
        serve(&namespace, "one");
        let mut lost = container("lost", &json!({ "NetworkMode": "red" }), &Value::Null);
        start(&networks, &mut lost).unwrap();
        let gone = networks.create(create("gone", "")).unwrap();
        // Killed, and a row was lost with the machine's power.
        drop(networks);
        Db::open(&place.0.path().join("engine.db"))
            .unwrap()
            .delete(crate::db::Table::Networks, &gone.id, crate::db::Durability::Disk)
            .unwrap();
        assert_eq!(ask("127.0.0.1:8080").as_deref(), Some("one"));
        let (networks, _) = place.open();
        networks.restore(&[Arc::new(one.clone())]).unwrap();
        assert_eq!(ask("127.0.0.1:8080").as_deref(), Some("one"));
        assert!(!networks.sandbox_key(lost.id.as_str()).exists());
        let links = longshore_network::bridge::Links::open().unwrap();
        assert!(!links.exists(&format!("br-{}", &gone.id[..12])).unwrap());
        // Neither its address nor its port is given to another.
        let mut two = container("two", &json!({ "NetworkMode": "red" }), &Value::Null);
        start(&networks, &mut two).unwrap();
        assert_eq!(endpoint(&two, "red").ip_address, "10.7.0.3");
        let mut three = container("three", &json!({ "PortBindings": ports }), &Value::Null);
        assert!(matches!(start(&networks, &mut three), Err(Error::Publish { .. })));
        assert!(matches!(networks.remove("red"), Err(Error::ActiveEndpoints { .. })));
        networks.detach(one.id.as_str()).unwrap();
        assert_eq!(
            TcpStream::connect("127.0.0.1:8080").map(drop).unwrap_err().kind(),
            std::io::ErrorKind::ConnectionRefused
        );
        start(&networks, &mut three).unwrap();
    });
}

#[test]
fn what_a_killed_daemon_left_half_done_is_mended() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, _) = place.open();
        for (name, subnet) in [("blue", "10.8.0.0/24"), ("red", "10.7.0.0/24")] {
            networks.create(create(name, subnet)).unwrap();
        }
        let mut server = container("server", &json!({ "NetworkMode": "blue" }), &Value::Null);
        let served = start(&networks, &mut server).unwrap();
        serve(&served, "server");
        let mut one = container("one", &json!({ "NetworkMode": "red" }), &json!({ "red": {}, "blue": {} }));
        let namespace = start(&networks, &mut one).unwrap();
        // Killed while it took one end away, and while it made another that is on no record.
        let links = longshore_network::bridge::Links::open().unwrap();
        let host_name = format!("veth{}", &endpoint(&one, "blue").endpoint_id[..8]);
        links.delete(&host_name).unwrap();
        let lost = {
            let state = networks.state();
            let own = &state.sandboxes[one.id.as_str()].endpoints[&endpoint(&one, "red").network_id];
            let mut lost = own.interface.clone().unwrap();
            lost.name = "eth7".into();
            lost.host_name = "vethdeadbeef".into();
            lost.address = "10.7.0.77".parse().unwrap();
            lost.mac = longshore_network::Mac::random();
            lost
        };
        let NetworkNamespace::Path(path) = &namespace else { panic!("{namespace:?}") };
        let own = Namespace::open(path).unwrap();
        lost.plug(&links, &own, &mut own.inside().unwrap()).unwrap();
        drop(networks);
        let (networks, _) = place.open();
        networks.restore(&[Arc::new(one.clone()), Arc::new(server)]).unwrap();
        assert_eq!(ask_from(&namespace, "10.8.0.2:80").as_deref(), Some("server"));
        assert!(links.exists(&host_name).unwrap() && !links.exists("vethdeadbeef").unwrap());
        let mut names = own.inside().unwrap().names().unwrap();
        names.sort();
        assert_eq!(names, ["eth0", "eth1"]);
        networks.detach(one.id.as_str()).unwrap();
    });
}

#[test]
fn containers_reach_each_other_by_both_families() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, _) = place.open();
        let red = Create { enable_ipv6: Some(true), ..create("red", "10.7.0.0/24") };
        let red = networks.create(red).unwrap();
        let configs = red.ipam.config.unwrap();
        assert!(configs[1].subnet.starts_with("fd") && configs[1].gateway.ends_with("::1"), "{configs:?}");
        let six = |subnet: &str| IpamConfig { subnet: subnet.into(), ..IpamConfig::default() };
        let ipam = Ipam { config: Some(vec![six("fd00:7::/64")]), ..Ipam::default() };
        let asked = |name: &str| Create {
            name: name.into(),
            enable_ipv6: Some(true),
            ipam: Some(ipam.clone()),
            ..Create::default()
        };
        let blue = networks.create(asked("blue")).unwrap();
        assert_eq!(blue.ipam.config.as_ref().unwrap().len(), 2);
        assert!(matches!(networks.create(asked("again")), Err(Error::Overlap { .. })));
        let mut one = container("one", &json!({ "NetworkMode": "blue" }), &Value::Null);
        let config = json!({ "blue": { "IPAMConfig": { "IPv6Address": "fd00:7::9" } } });
        let mut two = container("two", &json!({ "NetworkMode": "blue" }), &config);
        let mut far = container("far", &json!({ "NetworkMode": "red" }), &Value::Null);
        let first = start(&networks, &mut one).unwrap();
        let second = start(&networks, &mut two).unwrap();
        let third = start(&networks, &mut far).unwrap();
        assert_eq!(endpoint(&one, "blue").global_ipv6_address, "fd00:7::2");
        assert_eq!(endpoint(&one, "blue").ipv6_gateway, "fd00:7::1");
        assert_eq!(endpoint(&two, "blue").global_ipv6_address, "fd00:7::9");
        let NetworkNamespace::Path(path) = &second else { panic!("{second:?}") };
        let listener =
            Namespace::open(path).unwrap().enter(|| TcpListener::bind("[::]:81").unwrap()).unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let peer = stream.peer_addr().unwrap().ip().to_string();
                stream.write_all(peer.as_bytes()).ok();
            }
        });
        assert_eq!(ask_from(&first, "[fd00:7::9]:81").as_deref(), Some("fd00:7::2"));
        assert_eq!(ask("[fd00:7::9]:81").as_deref(), Some("fd00:7::1"));
        // Networks are kept apart by this family too.
        assert_eq!(ask_from(&third, "[fd00:7::9]:81"), None);
        let members = networks.members(&blue.id);
        assert!(members.iter().any(|member| member.address6 == "fd00:7::9/64"), "{members:?}");
        drop(networks);
        let (networks, _) = place.open();
        networks.restore(&[Arc::new(one), Arc::new(two.clone())]).unwrap();
        networks.detach(two.id.as_str()).unwrap();
        start(&networks, &mut two).unwrap();
        let mut three = container("three", &json!({ "NetworkMode": "blue" }), &Value::Null);
        start(&networks, &mut three).unwrap();
        assert_eq!(endpoint(&three, "blue").global_ipv6_address, "fd00:7::3");
    });
}

#[test]
fn neighbours_of_the_host() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, _) = place.open();
        let asked = |name: &str, options: &[(&str, &str)]| Create {
            driver: Some("macvlan".into()),
            options: Some(options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()),
            ..create(name, "10.7.0.0/24")
        };
        let missing = networks.create(asked("lan", &[("parent", "eth9")])).unwrap_err();
        assert!(matches!(missing, Error::NoParent { .. }), "{missing}");
        let bad = networks.create(asked("lan", &[("parent", "lo")])).unwrap_err();
        assert!(matches!(bad, Error::BadOption { .. }), "{bad}");
        // Any interface will do that leads to somebody.
        let plain = networks.create(create("plain", "10.6.0.0/24")).unwrap();
        start(&networks, &mut container("other", &json!({ "NetworkMode": "plain" }), &Value::Null)).unwrap();
        let parent = format!("br-{}", &plain.id[..12]);
        let bad = networks.create(asked("lan", &[("parent", &parent), ("macvlan_mode", "x")])).unwrap_err();
        assert!(matches!(bad, Error::BadOption { .. }), "{bad}");
        networks.create(asked("lan", &[("parent", &parent)])).unwrap();
        let ports = json!({ "80/tcp": [{ "HostPort": "8080" }] });
        let mut one = container("one", &json!({ "NetworkMode": "lan", "PortBindings": ports }), &Value::Null);
        let mut two = container("two", &json!({ "NetworkMode": "lan" }), &Value::Null);
        let first = start(&networks, &mut one).unwrap();
        let second = start(&networks, &mut two).unwrap();
        serve(&first, "one");
        assert_eq!(ask_from(&second, "10.7.0.2:80").as_deref(), Some("one"));
        assert_eq!(one.ports["80/tcp"], None);
        networks.disconnect(&two, "lan").unwrap();
        let NetworkNamespace::Path(path) = &second else { panic!("{second:?}") };
        assert!(Namespace::open(path).unwrap().inside().unwrap().names().unwrap().is_empty());
        drop(networks);
        let (networks, _) = place.open();
        networks.restore(&[Arc::new(one.clone())]).unwrap();
        networks.detach(one.id.as_str()).unwrap();
        networks.remove("lan").unwrap();
        assert!(longshore_network::bridge::Links::open().unwrap().exists(&parent).unwrap());
    });
}

#[test]
fn who_holds_the_addresses_is_told() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, _) = place.open();
        let mut last = Ok(());
        for number in 0..40 {
            last = networks.create(create(&format!("n{number}"), "")).map(drop);
            if last.is_err() {
                break;
            }
        }
        let error = last.unwrap_err();
        let line = error.to_string();
        assert!(line.starts_with("all predefined address pools have been fully subnetted"), "{line}");
        assert!(line.contains("n0, ") && line.contains("bridge"), "{line}");
    });
}

#[test]
fn an_interface_as_its_container_wants_it() {
    on_a_host(|| {
        let place = Place::new();
        let (networks, _) = place.open();
        networks.create(create("red", "10.7.0.0/24")).unwrap();
        let options = json!({
            "com.docker.network.endpoint.ifname": "dmz0",
            "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1",
        });
        let config = json!({ "red": { "DriverOpts": options } });
        let mut one = container("one", &json!({ "NetworkMode": "red" }), &config);
        let namespace = start(&networks, &mut one).unwrap();
        let NetworkNamespace::Path(path) = &namespace else { panic!("{namespace:?}") };
        let own = Namespace::open(path).unwrap();
        assert_eq!(own.inside().unwrap().names().unwrap(), ["dmz0"]);
        let key = "/proc/sys/net/ipv4/conf/dmz0/log_martians";
        let setting = own.enter(|| std::fs::read_to_string(key).unwrap()).unwrap();
        assert_eq!(setting, "1\n");
    });
}
