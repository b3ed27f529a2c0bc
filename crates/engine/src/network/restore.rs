//! What an earlier daemon left: the networks of containers that run are taken up, the rest is swept away.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
};

use longshore_network::{
    Mac,
    firewall::Published,
    namespace::{Namespace, unbind},
};
use longshore_types::container::EndpointSettings;

use super::{
    BRIDGE, DefaultBridge, Endpoint, Networks, Record as Network, Result, Sandbox, attach,
    bridge::Options,
    macvlan::has_link,
    open::{ranges, subnet6},
    port,
};
use crate::container::Record;

impl Networks {
    /// Takes up the networks of the containers that run, and sweeps away what belongs to none. What goes wrong with
    /// one container is told, and the others go on. Blocks.
    pub fn restore(&self, running: &[Arc<Record>]) -> Result<()> {
        let there = self.sweep_ports(running)?;
        for record in running {
            if let Err(error) = self.adopt(record, &there) {
                tracing::error!(container = %record.id, error = crate::line(&error), "cannot take up its networks");
            }
        }
        let (owned, is_swept) = self.sweep_links()?;
        self.sweep_namespaces(running);
        let ports: Vec<Published> =
            self.state().sandboxes.values().flat_map(|sandbox| sandbox.published.clone()).collect();
        if is_swept || !owned.is_empty() || !ports.is_empty() {
            self.install_rules(&owned, &ports)?;
        }
        Ok(())
    }

    /// Notes what a running container has.
    fn adopt(&self, record: &Record, there: &BTreeSet<String>) -> Result<()> {
        let mut endpoints = BTreeMap::new();
        let configured = record.networking.endpoints_config.iter().flatten();
        for (word, settings) in configured.filter_map(|(word, settings)| Some((word, settings.as_ref()?))) {
            if settings.endpoint_id.is_empty() {
                continue;
            }
            let Ok(network) = self.find(word) else { continue };
            let endpoint = self.endpoint_of(&network, settings)?;
            endpoints.insert(network.id, endpoint);
        }
        if endpoints.is_empty() {
            return Ok(());
        }
        let namespace = self.namespace_of(record);
        let links = namespace.as_ref().and_then(|namespace| namespace.inside().ok()?.links().ok());
        let links = links.unwrap_or_default();
        let mut free = (0..).map(|index| format!("eth{index}")).filter(|name| {
            let taken = links.iter().any(|(other, _)| other == name);
            !taken
        });
        for interface in endpoints.values_mut().filter_map(|endpoint| endpoint.interface.as_mut()) {
            let known = links.iter().find(|(_, mac)| *mac == interface.mac).map(|(name, _)| name.clone());
            interface.name = known.or_else(|| free.next()).unwrap_or_default();
        }
        if let Some(namespace) = &namespace
            && let Err(error) = self.plug_again(namespace, &mut endpoints, there)
        {
            tracing::error!(container = %record.id, error = crate::line(&error), "cannot plug it in again");
        }
        let mut published = Vec::new();
        for interface in endpoints.values().filter_map(|endpoint| endpoint.interface.as_ref()) {
            if endpoints.len() == 1 || published.is_empty() {
                published = port::published(&record.ports, interface.address);
            }
        }
        let mut reservations = Vec::new();
        for one in &published {
            match self.0.ports.reserve(one.address, Some(one.port..=one.port), one.protocol) {
                Ok(reservation) => reservations.push(reservation),
                // It goes on: the rules come before the program that took the port.
                Err(error) => {
                    tracing::warn!(container = %record.id, error = crate::line(&error), "a port was taken")
                }
            }
        }
        let all: Vec<(String, Endpoint)> = endpoints.clone().into_iter().collect();
        let sandbox = Sandbox {
            name: record.name.clone(),
            namespace,
            endpoints,
            reservations,
            published,
            nameserver: None,
            servers: self.servers(record),
        };
        self.state().sandboxes.insert(record.id.to_string(), sandbox);
        self.state().announce(record.id.as_str());
        if self.has_names(&all)
            && let Some(namespace) = self.namespace_of(record)
        {
            self.serve_names(record.id.as_str(), &namespace)?;
        }
        Ok(())
    }

    fn endpoint_of(&self, network: &Network, settings: &EndpointSettings) -> Result<Endpoint> {
        let address: Option<Ipv4Addr> = settings.ip_address.parse().ok();
        let (Some(address), (Some(subnet), _)) = (address, ranges(network)) else {
            return Ok(Endpoint {
                settings: settings.clone(),
                interface: None,
                gateway: None,
                gateway6: None,
            });
        };
        let options = Options::of(network, self.0.settings.mtu)?;
        let mac = settings.mac_address.parse().unwrap_or_else(|()| Mac::random());
        let mut interface = attach::interface(settings, &options, ("eth0", mac, address, subnet));
        interface.address6 = settings.global_ipv6_address.parse().ok().zip(subnet6(network));
        if let Some(addresses) =
            self.state().networks.get_mut(&network.id).and_then(|one| one.addresses.as_mut())
        {
            addresses.reserve(address)?;
        }
        if let Some((address, _)) = interface.address6
            && let Some(addresses) =
                self.state().networks.get_mut(&network.id).and_then(|one| one.addresses6.as_mut())
        {
            addresses.reserve(address)?;
        }
        let gateway6 = settings.ipv6_gateway.parse().ok().filter(|_| !network.internal);
        let gateway = settings.gateway.parse().ok().filter(|_| !network.internal);
        Ok(Endpoint { settings: settings.clone(), interface: Some(interface), gateway, gateway6 })
    }

    fn namespace_of(&self, record: &Record) -> Option<Namespace> {
        let bound = self.sandbox_key(record.id.as_str());
        let of_init = PathBuf::from(format!("/proc/{}/ns/net", record.state.pid));
        [bound, of_init].iter().find_map(|path| Namespace::open(path).ok())
    }

    /// Takes away bridges that were ours and are no network's. The networks whose bridges are there, and whether any
    /// bridge was taken away.
    fn sweep_links(&self) -> Result<(Vec<Network>, bool)> {
        let prefix = format!("{}:", self.0.settings.table);
        let (mut there, mut is_swept) = (Vec::new(), false);
        for link in self.0.links.all()? {
            let Some(id) = link.owner.strip_prefix(&prefix) else { continue };
            let record = self.state().networks.get_mut(id).map(|network| {
                network.is_up = true;
                network.record.clone()
            });
            match record {
                Some(record) if record.driver != "bridge" => {}
                Some(record) => there.push(record),
                None => {
                    self.0.links.delete(&link.name)?;
                    is_swept = true;
                }
            }
        }
        there.extend(self.given_in_use());
        Ok((there, is_swept))
    }

    /// The default network where its bridge is somebody else's and a container is on it.
    fn given_in_use(&self) -> Option<Network> {
        let given = self.0.settings.default_bridge == DefaultBridge::Given;
        let record = self.find(BRIDGE).ok().filter(|_| given)?;
        let mut state = self.state();
        let mut sandboxes = state.sandboxes.values();
        sandboxes.find(|sandbox| sandbox.endpoints.contains_key(&record.id))?;
        state.networks.get_mut(&record.id)?.is_up = true;
        Some(record)
    }

    fn sweep_namespaces(&self, running: &[Arc<Record>]) {
        let directory = self.0.settings.exec_root.join("netns");
        let owned: BTreeSet<PathBuf> =
            running.iter().map(|record| self.sandbox_key(record.id.as_str())).collect();
        for path in attach::bound(&directory).iter().filter(|path| !owned.contains(*path)) {
            sweep(path);
        }
    }

    /// Takes away what nobody uses, when the daemon ends in order: without running containers, the host is as it was.
    pub fn close(&self) -> Result<()> {
        let is_idle = self
            .state()
            .sandboxes
            .values()
            .all(|sandbox| sandbox.endpoints.values().all(|endpoint| endpoint.interface.is_none()));
        if !is_idle {
            return Ok(());
        }
        for record in self.all().iter().filter(|record| has_link(record)) {
            self.take_down(record)?;
        }
        let firewall = self.lock_firewall().take();
        firewall.map_or(Ok(()), |firewall| Ok(firewall.remove()?))
    }
}

fn sweep(path: &Path) {
    if let Err(error) = unbind(path) {
        tracing::warn!(error = crate::line(&error), "cannot take away a network namespace that nobody uses");
    }
}
