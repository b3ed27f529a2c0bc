//! Which ports of a container are to be where on the host.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    ops::RangeInclusive,
};

use longshore_network::{
    firewall::Published,
    port::{Ports, Protocol, Reservation},
};
use longshore_types::container::{PortBinding, PortMap};

use super::{Error, Result};
use crate::container::Record;

/// A port of a container, and where it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// As Docker writes it: `80/tcp`.
    key: String,
    port: u16,
    protocol: Protocol,
    address: Ipv4Addr,
    range: Option<RangeInclusive<u16>>,
}

/// All ports of a container that are to be published.
pub(super) fn wanted(record: &Record, binding: Ipv4Addr) -> Result<Vec<Wanted>> {
    let mut all = Vec::new();
    for (key, bindings) in record.host.port_bindings.iter().flatten() {
        let (port, protocol) = parse(key)?;
        for one in bindings.iter().flatten() {
            let address = address(key, one, binding)?;
            let key = format!("{port}/{protocol}");
            all.push(Wanted { key, port, protocol, address, range: range(&one.host_port)? });
        }
    }
    if record.host.publish_all_ports {
        for key in record.config.exposed_ports.iter().flat_map(BTreeMap::keys) {
            let (port, protocol) = parse(key)?;
            let key = format!("{port}/{protocol}");
            if !all.iter().any(|wanted| wanted.key == key) {
                all.push(Wanted { key, port, protocol, address: binding, range: None });
            }
        }
    }
    // A range is served after those who want one in particular.
    all.sort_by_key(|wanted| match &wanted.range {
        Some(range) if range.start() == range.end() => 0,
        Some(_) => 1,
        None => 2,
    });
    Ok(all)
}

/// What was taken of the host, and what `inspect` shows of it.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) reservations: Vec<Reservation>,
    pub(super) published: Vec<Published>,
    pub(super) map: PortMap,
}

/// Takes the ports, all or none.
pub(super) fn take(ports: &Ports, wanted: &[Wanted], to: Ipv4Addr) -> longshore_network::Result<Taken> {
    let mut taken = Taken::default();
    for one in wanted {
        let reservation = ports.reserve(one.address, one.range.clone(), one.protocol)?;
        taken.published.push(Published {
            address: one.address,
            port: reservation.port(),
            protocol: one.protocol,
            to: SocketAddrV4::new(to, one.port),
        });
        let binding =
            PortBinding { host_ip: one.address.to_string(), host_port: reservation.port().to_string() };
        taken.map.entry(one.key.clone()).or_default().get_or_insert_default().push(binding);
        taken.reservations.push(reservation);
    }
    Ok(taken)
}

/// Ports that are exposed and nowhere on the host are shown, too.
pub(super) fn add_exposed(map: &mut PortMap, record: &Record) {
    let keys = record.config.exposed_ports.iter().flat_map(BTreeMap::keys);
    for (port, protocol) in keys.filter_map(|key| parse(key).ok()) {
        map.entry(format!("{port}/{protocol}")).or_default();
    }
}

/// What a running container has published, from its record.
pub(super) fn published(map: &PortMap, to: Ipv4Addr) -> Vec<Published> {
    let mut all = Vec::new();
    for (key, bindings) in map {
        let Ok((port, protocol)) = parse(key) else { continue };
        for binding in bindings.iter().flatten() {
            if let (Ok(address), Ok(host)) = (binding.host_ip.parse(), binding.host_port.parse()) {
                all.push(Published { address, port: host, protocol, to: SocketAddrV4::new(to, port) });
            }
        }
    }
    all
}

/// `80/tcp`, or `80`, which means the same.
fn parse(key: &str) -> Result<(u16, Protocol)> {
    let bad = || Error::BadPort { text: key.into() };
    let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?;
    Ok((port, protocol.parse().map_err(|()| bad())?))
}

fn address(key: &str, binding: &PortBinding, default: Ipv4Addr) -> Result<Ipv4Addr> {
    match binding.host_ip.as_str() {
        // Every address, of which there are those of IPv4 alone.
        "" => Ok(default),
        "::" | "[::]" => Ok(Ipv4Addr::UNSPECIFIED),
        text => text.parse().map_err(|_| Error::PublishIpv6 { port: key.into(), address: text.into() }),
    }
}

/// None: any.
fn range(text: &str) -> Result<Option<RangeInclusive<u16>>> {
    let bad = || Error::BadPort { text: text.into() };
    let number = |text: &str| text.parse::<u16>().map_err(|_| bad());
    match text.split_once('-') {
        None if text.is_empty() || text == "0" => Ok(None),
        None => number(text).map(|port| Some(port..=port)),
        Some((first, last)) => {
            let range = number(first)?..=number(last)?;
            if range.is_empty() || *range.start() == 0 { Err(bad()) } else { Ok(Some(range)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Protocol, parse, range};

    #[test]
    fn ports_are_read_as_docker_does() {
        assert_eq!(parse("80/tcp").unwrap(), (80, Protocol::Tcp));
        assert_eq!(parse("53/UDP").unwrap(), (53, Protocol::Udp));
        assert_eq!(parse("80").unwrap(), (80, Protocol::Tcp));
        for text in ["", "0/tcp", "80/", "80/foo", "65536/tcp", "-1", "80-81/tcp"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(range("").unwrap(), None);
        assert_eq!(range("0").unwrap(), None);
        assert_eq!(range("80").unwrap(), Some(80..=80));
        assert_eq!(range("80-90").unwrap(), Some(80..=90));
        for text in ["90-80", "a", "80-", "0-5", "70000"] {
            assert!(range(text).is_err(), "{text}");
        }
    }
}
