//! What is there when the daemon starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Mutex,
};

use longshore_network::{Addresses6, Subnet, Subnet6, bridge::Links, ipam, port::Ports};
use longshore_types::{
    Timestamp,
    network::{Ipam, IpamConfig, Network as Record},
};

use super::{
    BRIDGE, DefaultBridge, Error, HOST, Inner, NONE, Network, Networks, Result, Settings, State, random_id,
};
use crate::{
    db::{Db, Durability, Table},
    event::Events,
};

/// What Docker calls the address of a gateway that is not the bridge's.
pub(super) const DEFAULT_GATEWAY: &str = "DefaultGatewayIPv4";

impl Networks {
    /// Reads what is kept, and makes what every Docker has. Changes nothing on the host.
    pub fn open(settings: Settings, db: Db, events: Events) -> Result<Self> {
        let mut networks = BTreeMap::new();
        for record in db.all::<Record>(Table::Networks)? {
            match record {
                Ok(record) => {
                    networks.insert(record.id.clone(), Network::new(record));
                }
                Err(error) => tracing::error!(error = %error, "a network cannot be read and is left out"),
            }
        }
        let inner = Inner {
            settings,
            db,
            events,
            links: Links::open()?,
            ports: Ports::default(),
            firewall: Mutex::default(),
            dns: super::dns::Dns::new(),
            state: Mutex::new(State { networks, sandboxes: BTreeMap::new() }),
        };
        let networks = Self(std::sync::Arc::new(inner));
        let without = networks.0.settings.default_bridge == DefaultBridge::None;
        if without && let Ok(known) = networks.find(BRIDGE) {
            networks.0.db.delete(Table::Networks, &known.id, Durability::Disk)?;
            networks.state().networks.remove(&known.id);
        }
        for (name, driver) in [(BRIDGE, "bridge"), (HOST, "host"), (NONE, "null")] {
            if name == BRIDGE && without {
                continue;
            }
            networks.ensure_predefined(name, driver)?;
        }
        Ok(networks)
    }

    fn ensure_predefined(&self, name: &str, driver: &str) -> Result<()> {
        let known = self.find(name).ok();
        if known.is_some() && name != BRIDGE {
            return Ok(());
        }
        let mut record = known.clone().unwrap_or_else(|| Record {
            name: name.into(),
            id: random_id(),
            created: Timestamp::now(),
            scope: "local".into(),
            driver: driver.into(),
            enable_ipv4: true,
            ipam: Ipam { driver: "default".into(), ..Ipam::default() },
            ..Record::default()
        });
        if name == BRIDGE {
            match self.fill_default(&mut record) {
                // Whoever wants to be on it will be told.
                Err(error @ Error::PoolsExhausted { .. }) => {
                    tracing::warn!(error = crate::line(&error), "the default network has no addresses");
                }
                other => other?,
            }
        }
        if known.as_ref() != Some(&record) {
            self.keep(record)?;
        }
        Ok(())
    }

    /// Keeps a network that nobody is on.
    pub(super) fn keep(&self, record: Record) -> Result<()> {
        self.0.db.put(Table::Networks, &record.id, &record.name, &record, Durability::Disk)?;
        self.state().networks.insert(record.id.clone(), Network::new(record));
        Ok(())
    }

    /// The default network, with a subnet that nobody uses now.
    pub(super) fn fill_default(&self, record: &mut Record) -> Result<()> {
        let settings = &self.0.settings;
        let given = match settings.default_bridge {
            DefaultBridge::Given if !self.0.links.exists(&settings.bridge)? => {
                return Err(Error::NoGivenBridge { name: settings.bridge.clone() });
            }
            DefaultBridge::Given => self.0.links.address_of(&settings.bridge)?,
            DefaultBridge::Own | DefaultBridge::None => None,
        };
        let fixed = settings.fixed.map(|subnet| (first(subnet), subnet));
        let (gateway, subnet) = match settings.bip.or(given).or(fixed) {
            Some(bip) => bip,
            None => {
                let taken = self.taken(Some(&record.id))?;
                let (kept, _) = ranges(record);
                let kept = kept.filter(|kept| !taken.iter().any(|(other, _)| other.overlaps(*kept)));
                let subnet = kept.map_or_else(|| self.choose(&taken), Ok)?;
                (first(subnet), subnet)
            }
        };
        let mut config =
            IpamConfig { subnet: subnet.to_string(), gateway: gateway.to_string(), ..IpamConfig::default() };
        if let Some(fixed) = settings.fixed.filter(|fixed| *fixed != subnet) {
            let option = || Error::BadOption { option: "fixed-cidr".into(), value: fixed.to_string() };
            config.ip_range =
                Some(fixed).filter(|fixed| subnet.includes(*fixed)).ok_or_else(option)?.to_string();
        }
        if let Some(gateway) = settings.gateway {
            let option = || Error::BadOption { option: "default-gateway".into(), value: gateway.to_string() };
            let gateway = Some(gateway).filter(|gateway| subnet.contains(*gateway)).ok_or_else(option)?;
            config.auxiliary = Some([(DEFAULT_GATEWAY.to_owned(), gateway.to_string())].into());
        }
        let mut configs = vec![config];
        if settings.ipv6 {
            let kept = config6(record).and_then(|config| config.subnet.parse().ok());
            let subnet = settings.fixed6.or(kept).unwrap_or_else(|| self.choose6());
            configs.push(IpamConfig {
                subnet: subnet.to_string(),
                gateway: subnet.first().to_string(),
                ..IpamConfig::default()
            });
        }
        record.enable_ipv6 = settings.ipv6;
        record.ipam.config = Some(configs);
        let options = [
            ("com.docker.network.bridge.default_bridge", "true"),
            ("com.docker.network.bridge.enable_icc", &settings.icc.to_string()),
            ("com.docker.network.bridge.enable_ip_masquerade", &settings.masquerade.to_string()),
            ("com.docker.network.bridge.host_binding_ipv4", &settings.binding.to_string()),
            ("com.docker.network.bridge.name", &settings.bridge),
            ("com.docker.network.driver.mtu", &settings.mtu.to_string()),
        ];
        record.options = options.map(|(key, value)| (key.into(), value.into())).into();
        Ok(())
    }

    pub(super) fn choose(&self, taken: &[(Subnet, String)]) -> Result<Subnet> {
        let ranges: Vec<Subnet> = taken.iter().map(|(subnet, _)| *subnet).collect();
        ipam::choose(&self.0.settings.pools, &ranges).map_err(|_| {
            let networks = taken.iter().filter_map(|(_, with)| with.strip_prefix("network "));
            let mut holders: Vec<&str> = networks.collect();
            holders.sort_unstable();
            Error::PoolsExhausted { holders: holders.join(", ") }
        })
    }

    /// The ranges in use, and by whom, but for those of one network.
    pub(super) fn taken(&self, except: Option<&str>) -> Result<Vec<(Subnet, String)>> {
        let state = self.state();
        let others = state.networks.values().filter(|network| Some(network.record.id.as_str()) != except);
        let mut taken: Vec<(Subnet, String)> = others
            .filter_map(|network| {
                Some((ranges(&network.record).0?, format!("network {}", network.record.name)))
            })
            .collect();
        drop(state);
        let links = self.0.links.all()?;
        let own = links.iter().filter(|link| link.owner.starts_with(&format!("{}:", self.0.settings.table)));
        let own: BTreeSet<u32> = own.map(|link| link.index).collect();
        let host = self.0.links.host_subnets(&own)?;
        taken.extend(host.into_iter().map(|subnet| (subnet, "the host".into())));
        Ok(taken)
    }
}

impl Network {
    pub(super) fn new(record: Record) -> Self {
        let addresses = match ranges(&record) {
            (Some(subnet), range) => {
                let mut addresses = longshore_network::ipam::Addresses::new(subnet, range);
                let config = config4(&record);
                let aux = config
                    .and_then(|config| config.auxiliary.as_ref())
                    .into_iter()
                    .flat_map(BTreeMap::values);
                let gateway = config.map(|config| &config.gateway);
                for address in aux.chain(gateway).filter_map(|text| text.parse().ok()) {
                    // It may be told twice, and then it is taken already.
                    addresses.reserve(address).ok();
                }
                Some(addresses)
            }
            (None, _) => None,
        };
        let addresses6 = subnet6(&record).map(|subnet| {
            let config = config6(&record);
            let range = config.and_then(|config| config.ip_range.parse().ok());
            let mut addresses = Addresses6::new(subnet, range);
            let told = config.into_iter().flat_map(|config| {
                config.auxiliary.iter().flat_map(BTreeMap::values).chain([&config.gateway])
            });
            for address in told.filter_map(|text| text.parse().ok()) {
                // It may be told twice, and then it is taken already.
                addresses.reserve(address).ok();
            }
            addresses
        });
        Self { record, addresses, addresses6, is_up: false, names: super::dns::Names::default() }
    }
}

/// What a network says of its IPv4 addresses.
pub(super) fn config4(record: &Record) -> Option<&IpamConfig> {
    record.ipam.config.iter().flatten().find(|config| !config.subnet.contains(':'))
}

/// What a network says of its IPv6 addresses.
pub(super) fn config6(record: &Record) -> Option<&IpamConfig> {
    record.ipam.config.iter().flatten().find(|config| config.subnet.contains(':'))
}

/// The IPv6 subnet of a network.
pub(super) fn subnet6(record: &Record) -> Option<Subnet6> {
    config6(record).filter(|_| record.enable_ipv6)?.subnet.parse().ok()
}

/// The subnet of a network, and the range that addresses are given from.
pub(super) fn ranges(record: &Record) -> (Option<Subnet>, Option<Subnet>) {
    let config = config4(record);
    let parse = |text: &String| text.parse().ok();
    (config.and_then(|config| parse(&config.subnet)), config.and_then(|config| parse(&config.ip_range)))
}

/// The address of a network's gateway, unless it says.
pub(super) fn first(subnet: Subnet) -> Ipv4Addr {
    let base = subnet.address().to_bits();
    Ipv4Addr::from_bits(if subnet.prefix() < 32 { base | 1 } else { base })
}
