//! How networks are made, as the daemon's configuration says.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use longshore_network::{
    Subnet, Subnet6,
    ipam::{self, Pool},
};
use serde_json::{Map, Value};

use super::{DefaultBridge, Error, NONE, Result, Settings};

impl Settings {
    /// Docker's defaults, with names that no other daemon has: they follow from the exec root.
    #[must_use]
    pub fn new(exec_root: &Path) -> Self {
        let suffix = (exec_root != Path::new("/run/longshore")).then(|| {
            // FNV-1a: the same for the same path, for ever.
            let bytes = exec_root.as_os_str().as_encoded_bytes().iter();
            let hash =
                bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
            format!("{hash:08x}")
        });
        Self {
            exec_root: exec_root.into(),
            bridge: suffix.as_ref().map_or("longshore0".into(), |suffix| format!("ls-{suffix}")),
            table: suffix.as_ref().map_or("longshore".into(), |suffix| format!("longshore-{suffix}")),
            default_bridge: DefaultBridge::Own,
            bip: None,
            fixed: None,
            ipv6: false,
            fixed6: None,
            gateway: None,
            host_gateways: Vec::new(),
            rules: true,
            forwarding: true,
            default_options: BTreeMap::new(),
            pools: ipam::default_pools(),
            mtu: 1500,
            icc: true,
            masquerade: true,
            binding: Ipv4Addr::UNSPECIFIED,
            dns: super::Resolvers::default(),
        }
    }

    /// What the daemon's configuration says, by the names of its directives. Those that are not known here are left.
    ///
    /// # Errors
    /// [`Error::BadOption`] that names the directive.
    pub fn apply(&mut self, directives: &Map<String, Value>) -> Result<()> {
        for (key, value) in directives {
            let bad = || Error::BadOption { option: key.clone(), value: value.to_string() };
            let text = value.as_str();
            match key.as_str() {
                "bip" if text != Some("") => {
                    let bip = text.and_then(|text| Subnet::parse_with_host(text).ok());
                    self.bip = Some(bip.filter(|(own, net)| *own != net.address()).ok_or_else(bad)?);
                }
                "bridge" => {
                    self.default_bridge = match text.ok_or_else(bad)? {
                        "" => DefaultBridge::Own,
                        NONE => DefaultBridge::None,
                        name => {
                            name.clone_into(&mut self.bridge);
                            DefaultBridge::Given
                        }
                    };
                }
                "fixed-cidr" if text != Some("") => {
                    self.fixed = Some(text.and_then(|text| text.parse().ok()).ok_or_else(bad)?);
                }
                "default-gateway" if text != Some("") => {
                    self.gateway = Some(text.and_then(|text| text.parse().ok()).ok_or_else(bad)?);
                }
                "host-gateway-ips" => {
                    let list = value.as_array().map(|list| list.iter().map(address).collect());
                    self.host_gateways =
                        list.unwrap_or_else(|| address(value).map(|one| vec![one])).ok_or_else(bad)?;
                }
                "ipv6" => self.ipv6 = value.as_bool().ok_or_else(bad)?,
                "fixed-cidr-v6" | "bip6" if text != Some("") => {
                    let subnet = text.and_then(|text| Subnet6::parse_with_host(text).ok()).ok_or_else(bad)?;
                    self.fixed6 = Some(subnet.1);
                }
                "iptables" => self.rules = value.as_bool().ok_or_else(bad)?,
                "ip-forward" => self.forwarding = value.as_bool().ok_or_else(bad)?,
                "default-network-opts" => {
                    self.default_options = options(value).ok_or_else(bad)?;
                }
                "mtu" => {
                    let mtu = value.as_u64().and_then(|mtu| u32::try_from(mtu).ok());
                    let mtu = mtu.filter(|mtu| *mtu == 0 || (68..=65_535).contains(mtu)).ok_or_else(bad)?;
                    self.mtu = if mtu == 0 { self.mtu } else { mtu };
                }
                "icc" => self.icc = value.as_bool().ok_or_else(bad)?,
                "ip-masq" => self.masquerade = value.as_bool().ok_or_else(bad)?,
                "ip" if text != Some("") => {
                    self.binding = text.and_then(|text| text.parse().ok()).ok_or_else(bad)?;
                }
                "default-address-pools" => {
                    let pools = value.as_array().ok_or_else(bad)?;
                    let pools: Option<Vec<Pool>> = pools.iter().map(pool).collect();
                    let pools = pools.ok_or_else(bad)?;
                    if !pools.is_empty() {
                        self.pools = pools;
                    }
                }
                _ => {}
            }
        }
        if self.default_bridge == DefaultBridge::Given && self.bip.is_some() {
            return Err(Error::BridgeAndAddress);
        }
        Ok(())
    }
}

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}

/// Options of new networks, by driver: `{"bridge": {"key": "value"}}`, or from the command line `{"bridge": "key=value"}`.
fn options(value: &Value) -> Option<BTreeMap<String, BTreeMap<String, String>>> {
    let of_driver = |value: &Value| match value {
        Value::String(text) => {
            let (key, value) = text.split_once('=')?;
            Some(BTreeMap::from([(key.to_owned(), value.to_owned())]))
        }
        Value::Object(pairs) => {
            pairs.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        }
        _ => None,
    };
    value.as_object()?.iter().map(|(driver, pairs)| Some((driver.clone(), of_driver(pairs)?))).collect()
}

/// `{"base": "10.0.0.0/8", "size": 24}`.
fn pool(value: &Value) -> Option<Pool> {
    let base: Subnet = value.get("base")?.as_str()?.parse().ok()?;
    let size = u8::try_from(value.get("size")?.as_u64()?).ok()?;
    (size >= base.prefix() && size <= 30).then_some(Pool { base, size })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::{DefaultBridge, Settings};

    #[test]
    fn names_on_the_host_follow_from_the_exec_root() {
        assert_eq!(Settings::new(Path::new("/run/longshore")).bridge, "longshore0");
        let (one, other) = (Settings::new(Path::new("/a")), Settings::new(Path::new("/b")));
        assert!(one.bridge.len() < 16 && one.bridge != other.bridge && one.table != other.table);
    }

    #[test]
    fn directives_of_the_daemon() {
        let mut settings = Settings::new(Path::new("/a"));
        let said = json!({
            "bip": "10.9.0.1/24", "mtu": 1400, "icc": false, "ip-masq": false, "ip": "127.0.0.1",
            "default-address-pools": [{ "base": "10.0.0.0/8", "size": 24 }], "firewall-backend": "nftables",
            "fixed-cidr": "10.9.0.128/25", "default-gateway": "10.9.0.2", "host-gateway-ips": ["10.1.1.1", "fd00::1"],
            "iptables": false, "ip-forward": false, "default-network-opts": { "bridge": { "a": "b" } },
        });
        settings.apply(said.as_object().unwrap()).unwrap();
        assert_eq!(settings.bip.unwrap().1.to_string(), "10.9.0.0/24");
        assert_eq!((settings.mtu, settings.icc, settings.masquerade), (1400, false, false));
        assert_eq!((settings.binding.to_string().as_str(), settings.pools[0].size), ("127.0.0.1", 24));
        assert_eq!(settings.fixed.unwrap().to_string(), "10.9.0.128/25");
        assert_eq!((settings.rules, settings.forwarding, settings.host_gateways.len()), (false, false, 2));
        assert_eq!(settings.default_options["bridge"]["a"], "b");
        let given = json!({ "bridge": "br7" });
        assert!(settings.clone().apply(given.as_object().unwrap()).is_err());
        let mut other = Settings::new(Path::new("/a"));
        other.apply(given.as_object().unwrap()).unwrap();
        assert_eq!((other.bridge.as_str(), other.default_bridge), ("br7", DefaultBridge::Given));
        for (key, value) in [
            ("bridge", json!(1)),
            ("fixed-cidr", json!("10.9.0.1/24")),
            ("default-gateway", json!("x")),
            ("host-gateway-ips", json!(["x"])),
            ("iptables", json!("no")),
            ("default-network-opts", json!({ "bridge": "x" })),
            ("bip", json!("10.9.0.0/24")),
            ("bip", json!("x")),
            ("mtu", json!(1)),
            ("ip", json!("::1")),
            ("default-address-pools", json!([{ "base": "10.0.0.0/24", "size": 16 }])),
        ] {
            let said = json!({ key: value });
            assert!(settings.apply(said.as_object().unwrap()).is_err(), "{said}");
        }
    }
}
