use std::{fs, net::IpAddr};

use longshore_types::container::{Config, HostConfig};

use super::{EtcError, EtcInputs, resolv, rewrite_hosts, write};
use crate::spec::tests::record;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn list(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn files_of_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let host = HostConfig {
        extra_hosts: list(&["db:10.0.0.9", "six:[::2]", "gate:host-gateway", "evil:1.1.1.1\n6.6.6.6 bank"]),
        dns: list(&["9.9.9.9"]),
        dns_search: list(&["."]),
        ..HostConfig::default()
    };
    let inputs = EtcInputs {
        hosts: vec![("h\nx".into(), address("172.17.0.2"))],
        gateways: vec![address("172.17.0.1")],
        ..EtcInputs::default()
    };
    let record = record(Config { hostname: "h".into(), ..Config::default() }, host);
    let paths = write(&record, dir.path(), &inputs).unwrap();
    let hosts = fs::read_to_string(paths.hosts.as_ref().unwrap()).unwrap();
    assert!(hosts.starts_with("127.0.0.1\tlocalhost\n"));
    let end = "10.0.0.9\tdb\n::2\tsix\n172.17.0.1\tgate\n172.17.0.2\thx\n";
    assert!(hosts.ends_with(end), "{hosts}");
    assert_eq!(fs::read_to_string(paths.hostname.unwrap()).unwrap(), "h\n");
    let resolv = fs::read_to_string(paths.resolv_conf.unwrap()).unwrap();
    assert!(resolv.contains("nameserver 9.9.9.9\n") && !resolv.contains("search"), "{resolv}");
    // A network that is joined later: the same file, which is mounted somewhere.
    let path = paths.hosts.unwrap();
    let before = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
    fs::write(&path, fs::read_to_string(&path).unwrap() + "1.1.1.1 mine").unwrap();
    let line = |text: &str| [("h".to_owned(), address(text))];
    rewrite_hosts(dir.path(), &[], &line("10.1.0.2")).unwrap();
    rewrite_hosts(dir.path(), &line("10.1.0.2"), &line("10.1.0.3")).unwrap();
    rewrite_hosts(dir.path(), &[], &line("10.1.0.3")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with("172.17.0.2\thx\n1.1.1.1 mine\n10.1.0.3\th\n"), "{text}");
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap()), before);
}

#[test]
fn a_gateway_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let host = HostConfig { extra_hosts: list(&["a:host-gateway"]), ..HostConfig::default() };
    let error = write(&record(Config::default(), host), dir.path(), &EtcInputs::default()).unwrap_err();
    assert!(matches!(error, EtcError::NoGateway));
}

#[test]
fn a_link_in_the_directory_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::write(&outside, "mine").unwrap();
    for name in ["hosts", "hostname", "resolv.conf", ".hostname.new"] {
        std::os::unix::fs::symlink(&outside, dir.path().join(name)).unwrap();
    }
    let record = record(Config::default(), HostConfig::default());
    assert!(write(&record, dir.path(), &EtcInputs::default()).is_err());
    fs::remove_file(dir.path().join(".hostname.new")).unwrap();
    write(&record, dir.path(), &EtcInputs::default()).unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");
}

#[test]
fn files_of_another_container() {
    let host = HostConfig { network_mode: "container:a".into(), ..HostConfig::default() };
    let inputs = EtcInputs { shared: Some("/other".into()), ..EtcInputs::default() };
    let paths = write(&record(Config::default(), host), "/nowhere".as_ref(), &inputs).unwrap();
    assert_eq!(paths.hosts.unwrap(), std::path::Path::new("/other/hosts"));
}

#[test]
fn resolvers() {
    let host = "# x\nnameserver 127.0.0.1\nnameserver ::1\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch a\nsearch b c\noptions ndots:2\n";
    let none = resolv::Settings::default();
    let own = |settings: &resolv::Settings| {
        let text = resolv::file(host, settings, false);
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        own(&none),
        ["nameserver 10.0.0.1", "nameserver fe80::1%eth0", "search b c", "options ndots:2"]
    );
    let settings = resolv::Settings {
        nameservers: vec!["127.0.0.11".into()],
        search: vec!["x\ny".into()],
        options: vec!["ndots:x".into(), "edns0".into()],
        internal: Some(Vec::new()),
    };
    let asked = "# ExtServers: [host(127.0.0.1) host(::1) host(10.0.0.1) host(fe80::1%eth0)]";
    assert_eq!(own(&settings), ["nameserver 127.0.0.11", "search xy", "options edns0 ndots:0", asked]);
    assert_eq!(resolv::file(host, &none, true), host);
    assert!(resolv::file("nameserver 127.0.0.53\n", &none, false).contains("nameserver 8.8.8.8\n"));
}
