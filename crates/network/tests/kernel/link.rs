use std::{collections::BTreeSet, path::Path};

use longshore_network::{
    endpoint::MacvlanMode,
    namespace::{Namespace, unbind},
};

use crate::world::{Host, address, ask, at, serve};

#[test]
fn containers_of_a_bridge_reach_each_other_and_the_host() {
    let host = Host::new();
    host.bridge("br0", "10.9.0.0/24");
    let (one, two) = (host.guest("br0", "10.9.0.2"), host.guest("br0", "10.9.0.3"));
    serve(&two.namespace, 80);
    serve(&host.namespace, 81);
    assert_eq!(ask(&one.namespace, at("10.9.0.3", 80)), Some(address("10.9.0.2").into()));
    assert_eq!(ask(&host.namespace, at("10.9.0.3", 80)), Some(address("10.9.0.1").into()));
    assert_eq!(ask(&one.namespace, at("10.9.0.1", 81)), Some(address("10.9.0.2").into()));
}

#[test]
fn isolated_ports_reach_the_host_alone() {
    let host = Host::new();
    host.bridge("br0", "10.9.0.0/24");
    let guest = |own: &str| {
        let (namespace, mut inside) = Namespace::create().unwrap();
        let mut interface = host.interface("br0", own, "eth0");
        interface.isolated = true;
        interface.plug(&host.links, &namespace, &mut inside).unwrap();
        namespace
    };
    let (one, two) = (guest("10.9.0.2"), guest("10.9.0.3"));
    serve(&two, 80);
    serve(&host.namespace, 81);
    assert_eq!(ask(&one, at("10.9.0.1", 81)), Some(address("10.9.0.2").into()));
    assert_eq!(ask(&one, at("10.9.0.3", 80)), None);
}

#[test]
fn parts_of_an_interface_reach_each_other_and_go() {
    let host = Host::new();
    host.bridge("lan", "10.9.0.0/24");
    // An interface that leads to somebody: without a carrier its parts have none.
    let _neighbour = host.guest("lan", "10.9.0.9");
    let guest = |own: &str| {
        let (namespace, mut inside) = Namespace::create().unwrap();
        let mut interface = host.interface("lan", own, "eth0");
        interface.macvlan = Some(MacvlanMode::Bridge);
        interface.plug(&host.links, &namespace, &mut inside).unwrap();
        (namespace, inside, interface)
    };
    let (one, ..) = guest("10.9.0.2");
    let (two, mut inside, interface) = guest("10.9.0.3");
    serve(&two, 80);
    assert_eq!(ask(&one, at("10.9.0.3", 80)), Some(address("10.9.0.2").into()));
    assert_eq!(inside.names().unwrap(), ["eth0"]);
    interface.unplug(&host.links, &mut inside).unwrap();
    interface.unplug(&host.links, &mut inside).unwrap();
    assert!(inside.names().unwrap().is_empty());
}

#[test]
fn an_address_moves_to_the_next_container_at_once() {
    let host = Host::new();
    host.bridge("br0", "10.9.0.0/24");
    let mut first = host.guest("br0", "10.9.0.2");
    let witness = host.guest("br0", "10.9.0.9");
    serve(&first.namespace, 80);
    for namespace in [&host.namespace, &witness.namespace] {
        assert!(ask(namespace, at("10.9.0.2", 80)).is_some());
    }
    let (own, subnet) = (first.interface.address, first.interface.subnet);
    first.inside.drop_address("eth0", own, subnet).unwrap();
    // Its interface still stands.
    let (namespace, mut inside) = Namespace::create().unwrap();
    let mut interface = host.interface("br0", "10.9.0.2", "eth0");
    interface.host_name = "vethnext".into();
    interface.plug(&host.links, &namespace, &mut inside).unwrap();
    serve(&namespace, 81);
    for witness in [&host.namespace, &witness.namespace] {
        assert!(ask(witness, at("10.9.0.2", 81)).is_some());
        assert_eq!(ask(witness, at("10.9.0.2", 80)), None);
    }
}

#[test]
fn a_bridge_is_taken_up_again_and_known_by_its_owner() {
    let host = Host::new();
    host.bridge("br0", "10.9.0.0/24");
    let index = |name: &str| {
        let all = host.links.all().unwrap();
        all.into_iter().find(|link| link.name == name && link.owner == "test").map(|link| link.index)
    };
    let before = index("br0");
    assert!(before.is_some());
    host.bridge("br0", "10.9.0.0/24");
    assert_eq!(index("br0"), before);
    host.links.delete("br0").unwrap();
    host.links.delete("br0").unwrap();
    assert!(!host.links.exists("br0").unwrap());
}

#[test]
fn the_ranges_of_the_host_are_known() {
    let host = Host::new();
    host.bridge("br0", "10.9.0.0/24");
    host.bridge("br1", "10.10.0.0/16");
    let own: BTreeSet<u32> =
        host.links.all().unwrap().iter().filter(|link| link.name == "br1").map(|link| link.index).collect();
    let found = host.links.host_subnets(&own).unwrap();
    assert!(found.contains(&"10.9.0.0/24".parse().unwrap()), "{found:?}");
    assert!(!found.contains(&"10.10.0.0/16".parse().unwrap()), "{found:?}");
}

#[test]
fn an_interface_that_fails_half_way_leaves_nothing() {
    let host = Host::new();
    host.bridge("br0", "10.9.0.0/24");
    let mut guest = host.guest("br0", "10.9.0.2");
    let before = host.links.all().unwrap();
    // The name is taken inside.
    let again = host.interface("br0", "10.9.0.3", "eth0");
    again.plug(&host.links, &guest.namespace, &mut guest.inside).unwrap_err();
    // There is no such bridge.
    let nowhere = host.interface("br9", "10.9.0.3", "eth1");
    nowhere.plug(&host.links, &guest.namespace, &mut guest.inside).unwrap_err();
    assert_eq!(host.links.all().unwrap(), before);
    assert_eq!(guest.inside.names().unwrap(), ["eth0"]);
}

#[test]
fn a_bound_namespace_lasts_and_is_found_by_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ns");
    let (namespace, _) = Namespace::create().unwrap();
    namespace.bind(&path).unwrap();
    let _guard = Bound(&path);
    let mine = namespace.enter(|| std::fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap();
    drop(namespace);
    let found = Namespace::open(&path).unwrap();
    assert_eq!(found.enter(|| std::fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap(), mine);
    assert_ne!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), mine);
    unbind(&path).unwrap();
    assert!(!path.exists());
    unbind(&path).unwrap();
}

struct Bound<'a>(&'a Path);

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        unbind(self.0).ok();
    }
}
