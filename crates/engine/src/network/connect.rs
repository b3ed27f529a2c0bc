//! Networks that come to a container, or leave it, while it runs or not.

use std::collections::BTreeSet;

use longshore_types::container::{EndpointSettings, PortMap};

use super::{
    BRIDGE, Endpoint, Error, HOST, NONE, Networks, Result,
    attach::{at_rest, way_out, way_out6},
    create::of_mode,
    port, step,
};
use crate::container::Record;

/// What changed for a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The network's name.
    pub network: String,
    /// The network's ID.
    pub id: String,
    /// Its end of it, if it has one now.
    pub endpoint: Option<EndpointSettings>,
    /// Where its ports are now, if that changed.
    pub ports: Option<PortMap>,
}

impl Networks {
    /// Puts a container on a network. Blocks.
    pub fn connect(&self, container: &Record, word: &str, settings: EndpointSettings) -> Result<Change> {
        let network = self.find(word)?;
        let (mode, name) = (of_mode(&container.host.network_mode), network.name.as_str());
        match (mode, name) {
            (HOST, _) | (_, HOST) => return Err(Error::HostMode),
            (NONE, _) | (_, NONE) => return Err(Error::PrivateMode),
            (mode, _) if mode.starts_with("container:") => return Err(Error::SharedMode),
            _ => {}
        }
        if name == BRIDGE && settings.aliases.iter().flatten().next().is_some() {
            return Err(Error::AliasOnDefault);
        }
        if self.has(container, &network.id, name) {
            return Err(Error::Connected { container: container.name.clone(), network: network.name });
        }
        let mut settings = settings;
        settings.network_id.clone_from(&network.id);
        if !container.state.phase.has_processes() {
            return Ok(Change {
                network: network.name,
                id: network.id,
                endpoint: Some(at_rest(&settings)),
                ports: None,
            });
        }
        self.bring_up(&network.id)?;
        let endpoint = self.allocate_more(container, &network.id, settings)?;
        let plugged = step("network.connect.plug")
            .and_then(|()| self.plug_in(container, &endpoint))
            .and_then(|()| step("network.connect.route"))
            .and_then(|()| self.lead_out(container));
        let ports = match plugged {
            Ok(ports) => ports,
            Err(error) => {
                // The first failure is the one to tell.
                self.unplug(container.id.as_str(), &network.id).ok();
                return Err(error);
            }
        };
        self.state().announce(container.id.as_str());
        self.publish("connect", &network, [("container", container.id.to_string())]);
        Ok(Change { network: network.name, id: network.id, endpoint: Some(endpoint.settings), ports })
    }

    /// Takes a container from a network. Blocks.
    pub fn disconnect(&self, container: &Record, word: &str) -> Result<Change> {
        let network = self.find(word)?;
        if network.name == HOST {
            return Err(Error::LeaveHost);
        }
        let not = || Error::NotConnected { id: container.id.to_string(), network: network.name.clone() };
        if !self.has(container, &network.id, &network.name) {
            return Err(not());
        }
        let mut ports = None;
        step("network.disconnect.unplug")?;
        if container.state.phase.has_processes() && self.unplug(container.id.as_str(), &network.id)? {
            ports = self.lead_out(container)?;
            self.publish("disconnect", &network, [("container", container.id.to_string())]);
        }
        Ok(Change { network: network.name, id: network.id, endpoint: None, ports })
    }

    /// Lets the others know a running container by its new name.
    pub fn renamed(&self, container: &str, name: &str) {
        let mut state = self.state();
        let state = &mut *state;
        let Some(sandbox) = state.sandboxes.get_mut(container) else { return };
        let old = std::mem::replace(&mut sandbox.name, name.to_owned());
        for (id, endpoint) in &mut sandbox.endpoints {
            let addresses = endpoint.addresses();
            let Some(names) = &mut endpoint.settings.dns_names else { continue };
            let before = names.clone();
            names.iter_mut().filter(|own| **own == old).for_each(|own| name.clone_into(own));
            if let Some(network) = state.networks.get_mut(id) {
                network.names.remove(&endpoint.settings.endpoint_id, &before, &addresses);
                network.names.add(&endpoint.settings.endpoint_id, names, &addresses);
            }
        }
    }

    fn has(&self, container: &Record, id: &str, name: &str) -> bool {
        let state = self.state();
        let runs = state
            .sandboxes
            .get(container.id.as_str())
            .is_some_and(|sandbox| sandbox.endpoints.contains_key(id));
        let configured = container.networking.endpoints_config.iter().flatten();
        let mut words = configured.map(|(word, _)| of_mode(word));
        let mode = of_mode(&container.host.network_mode);
        let by_mode = container.networking.endpoints_config.is_none() && (mode == name || mode == id);
        runs || by_mode || words.any(|word| word == name || word == id)
    }

    fn allocate_more(
        &self,
        container: &Record,
        network: &str,
        settings: EndpointSettings,
    ) -> Result<Endpoint> {
        let mut state = self.state();
        let state = &mut *state;
        let gone = || Error::NotConnected { id: container.id.to_string(), network: network.into() };
        let sandbox = state.sandboxes.get_mut(container.id.as_str()).ok_or_else(gone)?;
        let used = sandbox.endpoints.values().filter_map(|endpoint| endpoint.interface.as_ref());
        let used: BTreeSet<&str> = used.map(|interface| interface.name.as_str()).collect();
        let names = (0..u16::MAX).map(|index| format!("eth{index}"));
        let name = names.into_iter().find(|name| !used.contains(name.as_str())).unwrap_or_default();
        let network =
            state.networks.get_mut(network).ok_or_else(|| Error::NoSuchNetwork { word: network.into() })?;
        let endpoint = network.endpoint(container, settings, &name, self.0.settings.mtu)?;
        sandbox.endpoints.insert(network.record.id.clone(), endpoint.clone());
        Ok(endpoint)
    }

    fn plug_in(&self, container: &Record, endpoint: &Endpoint) -> Result<()> {
        let Some(interface) = &endpoint.interface else { return Ok(()) };
        let namespace =
            longshore_network::namespace::Namespace::open(&self.sandbox_key(container.id.as_str()))?;
        let mut inside = namespace.inside()?;
        interface.plug(&self.0.links, &namespace, &mut inside)?;
        let id = container.id.as_str();
        let is_served = self.state().sandboxes.get(id).is_none_or(|sandbox| sandbox.nameserver.is_some());
        if !is_served && self.has_names(&[(endpoint.settings.network_id.clone(), endpoint.clone())]) {
            self.serve_names(id, &namespace)?;
        }
        Ok(())
    }

    /// Takes the end of a network away, with what is published there. Says whether there was one.
    fn unplug(&self, container: &str, network: &str) -> Result<bool> {
        let mut state = self.state();
        let Some(sandbox) = state.sandboxes.get_mut(container) else { return Ok(false) };
        let Some(endpoint) = sandbox.endpoints.remove(network) else { return Ok(false) };
        let mut published = Vec::new();
        if let Some(interface) = &endpoint.interface
            && sandbox.published.iter().any(|port| *port.to.ip() == interface.address)
        {
            published = std::mem::take(&mut sandbox.published);
            sandbox.reservations.clear();
        }
        drop(state);
        let withdrawn = self.rules().map_or(Ok(()), |rules| rules.withdraw(&published));
        let interface = endpoint.interface.as_ref();
        let deleted = interface.map_or(Ok(()), |interface| match interface.macvlan {
            None => self.0.links.delete(&interface.host_name),
            Some(_) => {
                let namespace = longshore_network::namespace::Namespace::open(&self.sandbox_key(container))?;
                interface.unplug(&self.0.links, &mut namespace.inside()?)
            }
        });
        self.state().release(network, &endpoint);
        withdrawn.and(deleted)?;
        Ok(true)
    }

    /// Leads what is for outside to where it is to go now, and publishes the ports there if they are nowhere.
    fn lead_out(&self, container: &Record) -> Result<Option<PortMap>> {
        let state = self.state();
        let Some(sandbox) = state.sandboxes.get(container.id.as_str()) else { return Ok(None) };
        let mut endpoints: Vec<(String, Endpoint)> = sandbox.endpoints.clone().into_iter().collect();
        let is_published = !sandbox.published.is_empty();
        drop(state);
        endpoints
            .sort_by_key(|(_, endpoint)| endpoint.interface.as_ref().map(|interface| interface.name.clone()));
        let way_out = way_out(&endpoints);
        if let Some(gateway) = way_out.and_then(|endpoint| endpoint.gateway) {
            let namespace =
                longshore_network::namespace::Namespace::open(&self.sandbox_key(container.id.as_str()))?;
            namespace.inside()?.set_default_route(gateway)?;
        }
        if let Some(gateway) = way_out6(&endpoints) {
            let namespace =
                longshore_network::namespace::Namespace::open(&self.sandbox_key(container.id.as_str()))?;
            namespace.inside()?.set_default_route6(gateway)?;
        }
        if is_published {
            return Ok(None);
        }
        let mut ports = match way_out {
            Some(endpoint) => self.publish_ports(container, endpoint)?,
            None => PortMap::new(),
        };
        port::add_exposed(&mut ports, container);
        Ok(Some(ports))
    }
}
