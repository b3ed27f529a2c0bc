//! The bridges of networks: made when needed, known to the rules.

use std::{
    net::Ipv4Addr,
    sync::{Arc, MutexGuard, PoisonError},
};

use longshore_network::{
    bridge::{Bridge, enable_forwarding, enable_forwarding6},
    endpoint::MacvlanMode,
    firewall::{self, Firewall, Published},
};

use super::{
    BRIDGE, DefaultBridge, Error, Networks, Record, Result, macvlan,
    open::{config4, config6, ranges, subnet6},
    step,
};

const PREFIX: &str = "com.docker.network.bridge.";

/// What the options of a network say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) bridge: String,
    pub(super) mtu: u32,
    /// Whether its containers reach each other.
    pub(super) icc: bool,
    pub(super) masquerade: bool,
    pub(super) mode: GatewayMode,
    /// The same for IPv6.
    pub(super) mode6: GatewayMode,
    /// Where ports are published that name no address.
    pub(super) binding: Ipv4Addr,
    /// Of networks that are parts of an interface.
    pub(super) macvlan: Option<(String, MacvlanMode)>,
}

/// How what is outside reaches the containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GatewayMode {
    /// By published ports.
    Nat,
    /// By their own addresses: nothing is translated.
    Routed,
    /// Both.
    Unprotected,
    /// Not at all, not even the host.
    Isolated,
}

impl Options {
    /// Reads a network's.
    pub(super) fn of(record: &Record, mtu: u32) -> Result<Self> {
        let get = |key: &str| record.options.get(key).map(String::as_str).filter(|value| !value.is_empty());
        let own = |key: &str| get(&format!("{PREFIX}{key}"));
        let bad = |option: &str, value: &str| Error::BadOption { option: option.into(), value: value.into() };
        let truth = |key: &str| match own(key).map(str::to_ascii_lowercase).as_deref() {
            None | Some("1" | "t" | "true") => Ok(true),
            Some("0" | "f" | "false") => Ok(false),
            Some(value) => Err(bad(&format!("{PREFIX}{key}"), value)),
        };
        let short = record.id.get(..12).unwrap_or(&record.id);
        let bridge = own("name").map_or_else(|| format!("br-{short}"), str::to_owned);
        let letters = bridge.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':');
        if bridge.len() > 15 || !letters || matches!(bridge.as_str(), "." | "..") {
            return Err(bad(&format!("{PREFIX}name"), &bridge));
        }
        let mtu = match get("com.docker.network.driver.mtu") {
            None | Some("0") => mtu,
            Some(text) => {
                let mtu = text.parse().ok().filter(|mtu| (68..=65_535).contains(mtu));
                mtu.ok_or_else(|| bad("com.docker.network.driver.mtu", text))?
            }
        };
        let mode = |key: &str| match own(key) {
            None | Some("nat") => Ok(GatewayMode::Nat),
            Some("routed") => Ok(GatewayMode::Routed),
            Some("nat-unprotected") => Ok(GatewayMode::Unprotected),
            Some("isolated") if record.internal => Ok(GatewayMode::Isolated),
            Some(value) => Err(bad(&format!("{PREFIX}{key}"), value)),
        };
        let (mode, mode6) = (mode("gateway_mode_ipv4")?, mode("gateway_mode_ipv6")?);
        let binding = match own("host_binding_ipv4") {
            None => Ipv4Addr::UNSPECIFIED,
            Some(text) => text.parse().map_err(|_| bad(&format!("{PREFIX}host_binding_ipv4"), text))?,
        };
        let (icc, masquerade) = (truth("enable_icc")?, truth("enable_ip_masquerade")?);
        let macvlan = macvlan::of(record)?;
        Ok(Self { bridge, mtu, icc, masquerade, mode, mode6, binding, macvlan })
    }

    fn rules(&self, record: &Record) -> firewall::Network {
        firewall::Network {
            bridge: self.bridge.clone(),
            subnet: ranges(record).0,
            masquerade: self.masquerade && self.mode != GatewayMode::Routed,
            internal: record.internal,
            open: matches!(self.mode, GatewayMode::Routed | GatewayMode::Unprotected),
            masquerade6: self.masquerade && self.mode6 != GatewayMode::Routed && record.enable_ipv6,
            open6: matches!(self.mode6, GatewayMode::Routed | GatewayMode::Unprotected),
        }
    }
}

impl Networks {
    /// Has the bridge of a network there, and the rules know it.
    pub(super) fn bring_up(&self, id: &str) -> Result<()> {
        let mut firewall = self.lock_firewall();
        let Some(mut record) = self.lookup(id) else {
            return Err(Error::NoSuchNetwork { word: id.into() });
        };
        if self.state().networks.get(id).is_some_and(|network| network.is_up) {
            return Ok(());
        }
        if let Some((parent, _)) = Options::of(&record, self.0.settings.mtu)?.macvlan {
            self.bring_up_parent(&record, &parent)?;
            if let Some(network) = self.state().networks.get_mut(id) {
                network.is_up = true;
            }
            return Ok(());
        }
        if record.name == BRIDGE && !self.0.links.exists(&self.0.settings.bridge)? {
            // Somebody may have taken the range since.
            let before = record.clone();
            self.fill_default(&mut record)?;
            if before != record {
                self.keep(record.clone())?;
            }
        }
        let options = Options::of(&record, self.0.settings.mtu)?;
        let rules = self.firewall(&mut firewall)?;
        if self.0.settings.forwarding {
            enable_forwarding()?;
        }
        let is_given = record.name == BRIDGE && self.0.settings.default_bridge == DefaultBridge::Given;
        let gateway = config4(&record).and_then(|config| config.gateway.parse().ok());
        let gateway6 = config6(&record).and_then(|config| config.gateway.parse().ok());
        if self.0.settings.forwarding && subnet6(&record).is_some() {
            enable_forwarding6()?;
        }
        let gateway = gateway.filter(|_| options.mode != GatewayMode::Isolated);
        let gateway6 = gateway6.filter(|_| options.mode6 != GatewayMode::Isolated);
        let owner = format!("{}:{}", self.0.settings.table, record.id);
        let bridge = Bridge {
            name: options.bridge.clone(),
            owner,
            gateway: gateway.zip(ranges(&record).0),
            gateway6: gateway6.zip(subnet6(&record)),
            mtu: options.mtu,
            is_given,
        };
        step("network.bridge.make")?;
        self.0.links.ensure_bridge(&bridge)?;
        step("network.bridge.rules")?;
        // One that is there already, from before the rules were put in place.
        if let Some(rules) = rules {
            rules.remove_network(&options.bridge)?;
            rules.add_network(options.rules(&record))?;
        }
        if let Some(network) = self.state().networks.get_mut(id) {
            network.is_up = true;
        }
        Ok(())
    }

    /// Takes the bridge of a network away. One that is not there is fine.
    pub(super) fn take_down(&self, record: &Record) -> Result<()> {
        let firewall = self.lock_firewall();
        let options = Options::of(record, self.0.settings.mtu)?;
        let owner = format!("{}:{}", self.0.settings.table, record.id);
        let link = options.macvlan.as_ref().map_or(&options.bridge, |(parent, _)| parent);
        if self.0.links.all()?.iter().any(|other| other.name == *link && other.owner == owner) {
            self.0.links.delete(link)?;
        }
        if let Some(firewall) = firewall.as_ref() {
            firewall.remove_network(&options.bridge)?;
        }
        if let Some(network) = self.state().networks.get_mut(&record.id) {
            network.is_up = false;
        }
        Ok(())
    }

    /// The rules, once there are any.
    pub(super) fn rules(&self) -> Option<Arc<Firewall>> {
        self.lock_firewall().clone()
    }

    /// Puts the rules of what runs in place of those of an earlier daemon, in one step.
    pub(super) fn install_rules(&self, networks: &[Record], ports: &[Published]) -> Result<()> {
        let mut firewall = self.lock_firewall();
        if !self.0.settings.rules {
            return Ok(());
        }
        let rules = networks.iter().map(|record| Ok(Options::of(record, self.0.settings.mtu)?.rules(record)));
        let rules: Vec<firewall::Network> = rules.collect::<Result<_>>()?;
        let installed = Firewall::install(&self.0.settings.table, rules, ports.iter().copied())?;
        let installed = Arc::new(installed);
        watch(&installed);
        *firewall = Some(installed);
        Ok(())
    }

    fn firewall(&self, slot: &mut Option<Arc<Firewall>>) -> Result<Option<Arc<Firewall>>> {
        if slot.is_some() || !self.0.settings.rules {
            return Ok(slot.clone());
        }
        let firewall = Arc::new(Firewall::install(&self.0.settings.table, [], [])?);
        watch(&firewall);
        *slot = Some(firewall);
        Ok(slot.clone())
    }

    fn lookup(&self, id: &str) -> Option<Record> {
        self.state().networks.get(id).map(|network| network.record.clone())
    }

    pub(super) fn lock_firewall(&self) -> MutexGuard<'_, Option<Arc<Firewall>>> {
        self.0.firewall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the table put back when others take it away. Without, the next change of it does so.
fn watch(firewall: &Arc<Firewall>) {
    if let Err(error) = firewall.watch() {
        tracing::warn!(error = crate::line(&error), "cannot watch over the table of rules");
    }
}
