use std::{collections::BTreeMap, net::Ipv4Addr};

use longshore_network::{Subnet, Subnet6};
use longshore_types::{
    Timestamp,
    network::{ConfigReference, Ipam, IpamConfig, Network as Record},
};
use serde::Deserialize;

use super::{
    BRIDGE, Error, HOST, NONE, Networks, Result,
    bridge::Options,
    is_predefined,
    macvlan::{self, has_link},
    open::first,
    random_id, step,
};
use crate::{
    db::{Durability, Table},
    event::Object,
};

/// A network as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Create {
    pub name: String,
    pub driver: Option<String>,
    pub scope: Option<String>,
    pub internal: Option<bool>,
    pub attachable: Option<bool>,
    pub ingress: Option<bool>,
    pub config_only: Option<bool>,
    pub config_from: Option<ConfigReference>,
    #[serde(rename = "IPAM")]
    pub ipam: Option<Ipam>,
    #[serde(rename = "EnableIPv4")]
    pub enable_ipv4: Option<bool>,
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: Option<bool>,
    pub options: Option<BTreeMap<String, String>>,
    pub labels: Option<BTreeMap<String, String>>,
}

impl Networks {
    /// Makes a network, with its bridge. Blocks.
    pub fn create(&self, asked: Create) -> Result<Record> {
        let mut record = read(asked)?;
        if self.all().iter().any(|other| other.name == record.name) {
            return Err(Error::Exists { name: record.name });
        }
        if !record.config_from.network.is_empty() {
            self.configure_from(&mut record)?;
        }
        for (key, value) in self.0.settings.default_options.get(&record.driver).into_iter().flatten() {
            record.options.entry(key.clone()).or_insert_with(|| value.clone());
        }
        if has_link(&record) {
            self.choose_addresses(&mut record)?;
            let options = Options::of(&record, self.0.settings.mtu)?;
            let named = |other: &Record| {
                other.driver == "bridge"
                    && Options::of(other, 0).is_ok_and(|other| other.bridge == options.bridge)
            };
            if let Some(other) = self.all().into_iter().find(|other| named(other)) {
                return Err(Error::BridgeTaken { name: options.bridge, network: other.name });
            }
        }
        step("network.create.row")?;
        self.keep(record.clone()).map_err(|error| match error {
            Error::Db(crate::db::DbError::NameTaken { .. }) => Error::Exists { name: record.name.clone() },
            error => error,
        })?;
        if has_link(&record)
            && let Err(error) = step("network.create.bridge").and_then(|()| self.bring_up(&record.id))
        {
            // The first failure is the one to tell.
            self.take_down(&record).ok();
            self.0.db.delete(Table::Networks, &record.id, Durability::Disk).ok();
            self.state().networks.remove(&record.id);
            return Err(error);
        }
        self.publish("create", &record, []);
        Ok(record)
    }

    fn configure_from(&self, record: &mut Record) -> Result<()> {
        let word = record.config_from.network.clone();
        let from = self.find(&word).ok().filter(|from| from.config_only);
        let from = from.ok_or(Error::NoSuchNetwork { word })?;
        let specific = record.ipam.config.iter().flatten().next().is_some()
            || !record.options.is_empty()
            || !record.labels.is_empty()
            || record.internal;
        if specific {
            let reason = "user supplied network-specific configuration and a configuration network".into();
            return Err(Error::BadConfig { reason });
        }
        (record.ipam, record.options) = (from.ipam, from.options);
        (record.internal, record.labels) = (from.internal, from.labels);
        Ok(())
    }

    /// Fills in what the request leaves open, and refuses what somebody uses.
    fn choose_addresses(&self, record: &mut Record) -> Result<()> {
        let taken = self.taken(Some(&record.id))?;
        let mut configs = record.ipam.config.take().unwrap_or_default();
        let is_six = |config: &IpamConfig| config.subnet.contains(':');
        if !configs.iter().any(|config| !is_six(config)) {
            configs.insert(0, IpamConfig::default());
        }
        let sixes = configs.iter().filter(|config| is_six(config)).count();
        if sixes > 1 || configs.len() - sixes > 1 {
            let reason = "only one subnet of a kind is supported in a network".into();
            return Err(Error::BadConfig { reason });
        }
        if sixes == 0 && record.enable_ipv6 {
            configs.push(IpamConfig { subnet: self.choose6().to_string(), ..IpamConfig::default() });
        }
        for config in &mut configs {
            if is_six(config) {
                self.settle6(config, &record.id)?;
                continue;
            }
            let subnet = if config.subnet.is_empty() {
                self.choose(&taken)?
            } else {
                let subnet = parse_subnet(&config.subnet)?;
                // A route of the host is the host's business: it may lead here.
                let network = taken.iter().find(|(other, with)| with != "the host" && other.overlaps(subnet));
                if let Some((_, with)) = network {
                    return Err(Error::Overlap { subnet: subnet.to_string(), with: with.clone() });
                }
                subnet
            };
            check(config, subnet)?;
            config.subnet = subnet.to_string();
            if config.gateway.is_empty() {
                let range = config.ip_range.parse::<Subnet>().unwrap_or(subnet);
                config.gateway = free_gateway(config, subnet, range).to_string();
            }
        }
        record.ipam.config = Some(configs);
        Ok(())
    }

    /// The IPv6 subnets of the other networks, and whose they are.
    fn taken6(&self, except: &str) -> Vec<(Subnet6, String)> {
        let state = self.state();
        let others = state.networks.values().filter(|network| network.record.id != except);
        others
            .filter_map(|one| {
                Some((one.addresses6.as_ref()?.subnet(), format!("network {}", one.record.name)))
            })
            .collect()
    }

    pub(super) fn choose6(&self) -> Subnet6 {
        let taken = self.taken6("");
        loop {
            let subnet = Subnet6::random();
            if !taken.iter().any(|(other, _)| other.overlaps(subnet)) {
                return subnet;
            }
        }
    }

    fn settle6(&self, config: &mut IpamConfig, id: &str) -> Result<()> {
        let bad = |reason: String| Error::BadConfig { reason };
        let text = config.subnet.clone();
        let subnet: Subnet6 =
            text.parse().map_err(|source| Error::BadSubnet { text: text.clone(), source })?;
        if let Some((_, with)) = self.taken6(id).into_iter().find(|(other, _)| other.overlaps(subnet)) {
            return Err(Error::Overlap { subnet: text, with });
        }
        if !config.ip_range.is_empty() {
            let range = &config.ip_range;
            let range = range.parse().map_err(|source| Error::BadSubnet { text: range.clone(), source })?;
            if !subnet.includes(range) {
                return Err(bad(format!("invalid ip-range {range}: it is not in subnet {subnet}")));
            }
        }
        if config.gateway.is_empty() {
            config.gateway = subnet.first().to_string();
        }
        for address in config.auxiliary.iter().flat_map(BTreeMap::values).chain([&config.gateway]) {
            if !address.parse().is_ok_and(|address| subnet.contains(address)) {
                return Err(bad(format!("invalid address {address}: it is not in subnet {subnet}")));
            }
        }
        config.subnet = subnet.to_string();
        Ok(())
    }

    /// Tells of something that happened to a network.
    pub(super) fn publish<const N: usize>(&self, action: &str, record: &Record, more: [(&str, String); N]) {
        let mut attributes: BTreeMap<String, String> =
            [("name", record.name.clone()), ("type", record.driver.clone())]
                .map(|(key, value)| (key.into(), value))
                .into();
        attributes.extend(more.map(|(key, value)| (key.into(), value)));
        self.0.events.publish(Object::Network, action, record.id.clone(), attributes);
    }
}

/// The request as a record, without addresses.
fn read(asked: Create) -> Result<Record> {
    let name = asked.name;
    let word = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    if is_predefined(&name) || name == "default" {
        return Err(Error::PredefinedCreate { name });
    }
    if !word(&name) || name.len() > 255 {
        return Err(Error::BadName { name });
    }
    let driver = asked.driver.filter(|driver| !driver.is_empty()).unwrap_or_else(|| "bridge".into());
    match driver.as_str() {
        "bridge" | macvlan::DRIVER => {}
        HOST => return Err(Error::OneInstance { name: HOST.into() }),
        "null" => return Err(Error::OneInstance { name: "null".into() }),
        "ipvlan" | "overlay" => return Err(Error::UnsupportedDriver { driver }),
        _ => return Err(Error::NoSuchDriver { driver }),
    }
    let scope = asked.scope.filter(|scope| !scope.is_empty()).unwrap_or_else(|| "local".into());
    if scope != "local" || asked.ingress == Some(true) {
        return Err(Error::UnsupportedDriver { driver: "overlay".into() });
    }
    let enable_ipv4 = asked.enable_ipv4.unwrap_or(true);
    if !enable_ipv4 {
        return Err(Error::Ipv6Alone);
    }
    let enable_ipv6 = asked.enable_ipv6.unwrap_or(false);
    let mut ipam = asked.ipam.unwrap_or_default();
    if ipam.driver.is_empty() {
        ipam.driver = "default".into();
    }
    if !matches!(ipam.driver.as_str(), "default" | "null") {
        return Err(Error::NoSuchIpam { driver: ipam.driver });
    }
    Ok(Record {
        name,
        id: random_id(),
        created: Timestamp::now(),
        scope,
        driver,
        enable_ipv4,
        enable_ipv6,
        ipam,
        internal: asked.internal.unwrap_or(false),
        attachable: asked.attachable.unwrap_or(false),
        ingress: false,
        config_from: asked.config_from.unwrap_or_default(),
        config_only: asked.config_only.unwrap_or(false),
        options: asked.options.unwrap_or_default(),
        labels: asked.labels.unwrap_or_default(),
    })
}

fn parse_subnet(text: &str) -> Result<Subnet> {
    text.parse().map_err(|source| Error::BadSubnet { text: text.into(), source })
}

fn check(config: &IpamConfig, subnet: Subnet) -> Result<()> {
    let bad = |reason: String| Error::BadConfig { reason };
    let inside = |what: &str, text: &str| {
        let address: Ipv4Addr = text.parse().map_err(|_| bad(format!("invalid {what} {text}")))?;
        if subnet.contains(address) {
            Ok(())
        } else {
            Err(bad(format!("invalid {what} {text}: it is not in subnet {subnet}")))
        }
    };
    if !config.ip_range.is_empty() {
        let range = parse_subnet(&config.ip_range)?;
        if !subnet.includes(range) {
            return Err(bad(format!("invalid ip-range {range}: it is not in subnet {subnet}")));
        }
    }
    if !config.gateway.is_empty() {
        inside("gateway address", &config.gateway)?;
    }
    for address in config.auxiliary.iter().flat_map(BTreeMap::values) {
        inside("auxiliary address", address)?;
    }
    Ok(())
}

/// The first address of the range that is not told to be somebody's.
fn free_gateway(config: &IpamConfig, subnet: Subnet, range: Subnet) -> Ipv4Addr {
    let start = if range.address() == subnet.address() { first(subnet) } else { range.address() };
    let told = |address: &Ipv4Addr| {
        config.auxiliary.iter().flat_map(BTreeMap::values).any(|text| text.parse() == Ok(*address))
    };
    let mut candidates = (start.to_bits()..=range.last().to_bits()).map(Ipv4Addr::from_bits);
    candidates.find(|address| !told(address)).unwrap_or(start)
}

/// The network that `HostConfig.NetworkMode` means.
#[must_use]
pub(super) fn of_mode(mode: &str) -> &str {
    match mode {
        "" | "default" | BRIDGE => BRIDGE,
        NONE => NONE,
        mode => mode,
    }
}
