//! Which registries may go without verified TLS.

use std::{collections::HashSet, net::IpAddr};

use super::ConfigError;

/// The user's list, read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Insecure {
    /// `host` or `host:port`, in lower case; an IPv6 address in brackets.
    names: HashSet<String>,
    networks: Vec<Network>,
}

/// A network in CIDR form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u8,
}

/// What is known of a host by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Secure,
    Insecure,
    /// It is a name, and there are networks: only if all its addresses are in them, and only to those addresses.
    ByAddress,
}

impl Insecure {
    /// Reads the entries of `insecure-registries`.
    pub(crate) fn read(entries: &[String]) -> Result<Self, ConfigError> {
        let mut list = Self::default();
        for entry in entries {
            // Docker takes a URL with a warning.
            let text = entry.trim().to_ascii_lowercase();
            let text =
                text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(&text);
            if let Some(network) = Network::parse(text) {
                list.networks.push(network);
            } else if !text.is_empty() && !text.contains(['/', '@', ' ', '?', '#']) {
                list.names.insert(text.to_owned());
            } else {
                return Err(ConfigError::Insecure { entry: entry.chars().take(100).collect() });
            }
        }
        Ok(list)
    }

    /// Judges `host`, an IPv6 address in brackets, and its port.
    ///
    /// Loopback counts only as a literal address or as `localhost`, which never reaches a DNS server: a name that
    /// somebody's DNS answers with 127.0.0.1 is still a stranger's name.
    pub(crate) fn judge(&self, host: &str, port: u16) -> Verdict {
        let host = host.to_ascii_lowercase();
        if self.names.contains(&host) || self.names.contains(&format!("{host}:{port}")) {
            return Verdict::Insecure;
        }
        if host == "localhost" {
            return Verdict::Insecure;
        }
        match literal(&host) {
            Some(address) if is_loopback(address) || self.has(address) => Verdict::Insecure,
            Some(_) => Verdict::Secure,
            None if self.networks.is_empty() => Verdict::Secure,
            None => Verdict::ByAddress,
        }
    }

    /// Whether one of the networks holds `address`.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(address))
    }
}

impl Network {
    /// Reads `address/prefix`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let prefix: u8 = prefix.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= longest).then_some(Self { address, prefix })
    }

    /// Whether `address` is inside.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(32 - prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(128 - prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// The address that a host in a URL spells, if it is one.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// 127.0.0.0/8 and ::1, also as an IPv4 address in IPv6 form.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Addresses that only the machine itself or its cloud's metadata service answers.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            // 100.100.100.200 is the metadata service of one cloud, outside of 169.254.0.0/16.
            address.is_link_local() || address.is_unspecified() || address.octets() == [100, 100, 100, 200]
        }
        IpAddr::V6(address) => {
            let link_local = address.segments()[0] & 0xffc0 == 0xfe80;
            link_local
                || address.is_unspecified()
                || address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Insecure, Network, Verdict, is_link_local};

    fn list(entries: &[&str]) -> Insecure {
        Insecure::read(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn names_ports_and_networks() {
        let list =
            list(&["Reg.example", "other.example:5000", "10.0.0.0/8", "http://url.example:80", "fd00::/8"]);
        for (host, port, verdict) in [
            ("reg.example", 443, Verdict::Insecure),
            ("REG.EXAMPLE", 5000, Verdict::Insecure),
            ("other.example", 5000, Verdict::Insecure),
            ("url.example", 80, Verdict::Insecure),
            ("other.example", 443, Verdict::ByAddress),
            ("10.1.2.3", 443, Verdict::Insecure),
            ("[::ffff:10.1.2.3]", 443, Verdict::Insecure),
            ("11.0.0.1", 443, Verdict::Secure),
            ("[fd12::1]", 443, Verdict::Insecure),
            ("[fe12::1]", 443, Verdict::Secure),
        ] {
            assert_eq!(list.judge(host, port), verdict, "{host}:{port}");
        }
    }

    #[test]
    fn a2_55_loopback_is_literal() {
        let list = list(&[]);
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "[::1]", "[::ffff:127.0.0.1]"] {
            assert_eq!(list.judge(host, 5000), Verdict::Insecure, "{host}");
        }
        for host in
            ["localhost.example", "x.localhost", "127.0.0.1.example", "128.0.0.1", "[::2]", "reg.example"]
        {
            assert_eq!(list.judge(host, 5000), Verdict::Secure, "{host}");
        }
    }

    #[test]
    fn refuses_what_is_no_host() {
        for entry in ["", "a/b", "10.0.0.0/33", "user@host", "http://a/b"] {
            assert!(Insecure::read(&[entry.to_owned()]).is_err(), "{entry}");
        }
    }

    #[test]
    fn networks_have_edges() {
        let has =
            |network: &str, address: &str| Network::parse(network).unwrap().has(address.parse().unwrap());
        assert!(has("0.0.0.0/0", "255.255.255.255") && !has("0.0.0.0/0", "::1"));
        assert!(has("::/0", "ffff::1"));
        assert!(has("192.168.1.1/32", "192.168.1.1") && !has("192.168.1.1/32", "192.168.1.2"));
        assert!(has("192.168.0.0/23", "192.168.1.255") && !has("192.168.0.0/23", "192.168.2.0"));
    }

    #[test]
    fn knows_metadata_services() {
        for address in ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.0.1", "0.0.0.0", "::"]
        {
            assert!(is_link_local(address.parse().unwrap()), "{address}");
        }
        for address in ["10.0.0.1", "127.0.0.1", "fd00::1", "2001:db8::1", "100.100.100.201"] {
            assert!(!is_link_local(address.parse().unwrap()), "{address}");
        }
    }
}
