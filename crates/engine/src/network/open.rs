//! What is there when the daemon starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Mutex,
};

use longshore_network::{Subnet, bridge::Links, ipam, port::Ports};
use longshore_types::{
    Timestamp,
    network::{Ipam, IpamConfig, Network as Record},
};

use super::{BRIDGE, HOST, Inner, NONE, Network, Networks, Result, Settings, State, random_id};
use crate::{
    db::{Db, Durability, Table},
    event::Events,
};

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
        for (name, driver) in [(BRIDGE, "bridge"), (HOST, "host"), (NONE, "null")] {
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
                Err(error @ super::Error::Network(longshore_network::Error::PoolsExhausted)) => {
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
        let (gateway, subnet) = match settings.bip {
            Some(bip) => bip,
            None => {
                let taken = self.taken(Some(&record.id))?;
                let (kept, _) = ranges(record);
                let kept = kept.filter(|kept| !taken.iter().any(|(other, _)| other.overlaps(*kept)));
                let subnet = kept.map_or_else(|| self.choose(&taken), Ok)?;
                (first(subnet), subnet)
            }
        };
        let config =
            IpamConfig { subnet: subnet.to_string(), gateway: gateway.to_string(), ..IpamConfig::default() };
        record.ipam.config = Some(vec![config]);
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
        let taken: Vec<Subnet> = taken.iter().map(|(subnet, _)| *subnet).collect();
        Ok(ipam::choose(&self.0.settings.pools, &taken)?)
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
                let config = record.ipam.config.iter().flatten().next();
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
        Self { record, addresses, is_up: false, names: super::dns::Names::default() }
    }
}

/// The subnet of a network, and the range that addresses are given from.
pub(super) fn ranges(record: &Record) -> (Option<Subnet>, Option<Subnet>) {
    let config = record.ipam.config.iter().flatten().next();
    let parse = |text: &String| text.parse().ok();
    (config.and_then(|config| parse(&config.subnet)), config.and_then(|config| parse(&config.ip_range)))
}

/// The address of a network's gateway, unless it says.
pub(super) fn first(subnet: Subnet) -> Ipv4Addr {
    let base = subnet.address().to_bits();
    Ipv4Addr::from_bits(if subnet.prefix() < 32 { base | 1 } else { base })
}
