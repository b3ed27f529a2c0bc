//! A container's networks, from its start to its end.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use longshore_network::{
    Mac, Subnet, Subnet6,
    endpoint::Interface,
    namespace::{Inside, Namespace, unbind},
};
use longshore_types::container::{EndpointSettings, NetworkingConfig};

use super::{
    Attachment, BRIDGE, DefaultBridge, Endpoint, Error, HOST, NONE, Network, NetworkNamespace, Networks,
    Result, Sandbox,
    bridge::Options,
    create::of_mode,
    endpoint,
    macvlan::has_link,
    open::{DEFAULT_GATEWAY, config4, config6},
    port, random_id, step,
};
use crate::container::Record;

impl Networks {
    /// Gives a container that starts its networks. `join` is the container whose network it shares, if its mode says
    /// so. When it fails, nothing is left of it. Blocks.
    pub fn attach(&self, record: &Record, join: Option<&Record>) -> Result<Attachment> {
        let mode = record.host.network_mode.as_str();
        if let Some(word) = mode.strip_prefix("container:") {
            let pid = join.map(|other| other.state.pid).filter(|pid| *pid > 0);
            let pid = pid.ok_or_else(|| Error::JoinStopped { id: word.into() })?;
            return Ok(Attachment::new(NetworkNamespace::Path(format!("/proc/{pid}/ns/net").into())));
        }
        let id = record.id.as_str();
        // What an earlier start left, of which nobody told the end.
        self.take_away(id)?;
        let asked = self.asked(record)?;
        let names: Vec<String> = asked.iter().map(|(_, name, _)| name.clone()).collect();
        for (network, ..) in &asked {
            if self.state().networks.get(network).is_some_and(|network| has_link(&network.record)) {
                self.bring_up(network)?;
            }
        }
        step("network.attach.allocate")?;
        self.allocate(record, asked)?;
        let done = self.build(record);
        if done.is_err() {
            // The first failure is the one to tell.
            self.take_away(id).ok();
        }
        let mut attachment = done?;
        if names.iter().any(|name| name == HOST) {
            attachment.namespace = NetworkNamespace::Host;
            attachment.gateways = self.host_of(Some(Ipv4Addr::LOCALHOST));
        }
        self.state().announce(id);
        self.tell(id, "connect");
        Ok(attachment)
    }

    /// Takes a container's networks from it. That it has none is fine. Blocks.
    pub fn detach(&self, container: &str) -> Result<()> {
        if self.state().sandboxes.contains_key(container) {
            self.tell(container, "disconnect");
        }
        self.take_away(container)
    }

    fn take_away(&self, container: &str) -> Result<()> {
        let (published, inside, endpoints) = {
            let mut state = self.state();
            let Some(sandbox) = state.sandboxes.get_mut(container) else {
                drop(state);
                return Ok(unbind(&self.sandbox_key(container))?);
            };
            // It holds the namespace.
            drop(sandbox.nameserver.take());
            (std::mem::take(&mut sandbox.published), sandbox.namespace.take(), sandbox.endpoints.clone())
        };
        let withdrawn = self.rules().map_or(Ok(()), |rules| rules.withdraw(&published));
        // Nobody answers for its addresses from here on, though the kernel takes its time with the rest.
        let silenced = match &inside {
            Some(namespace) => silence(namespace, endpoints.values()),
            None => Ok(()),
        };
        drop(inside);
        let stepped = step("network.detach.unbind");
        let unbound = unbind(&self.sandbox_key(container));
        let mut state = self.state();
        state.sandboxes.remove(container);
        for (network, endpoint) in &endpoints {
            state.release(network, endpoint);
        }
        drop(state);
        stepped?;
        Ok(withdrawn.and(silenced).and(unbound)?)
    }

    /// The networks that a container is made to be on, by their names: what is asked for, else the one of its mode.
    #[must_use]
    pub fn planned(&self, mode: &str, asked: NetworkingConfig) -> NetworkingConfig {
        if mode.starts_with("container:") {
            return NetworkingConfig::default();
        }
        // One that is not there is found missing at the start.
        let name = |word: &str| {
            self.find(of_mode(word)).map_or_else(|_| of_mode(word).to_owned(), |found| found.name)
        };
        let mut endpoints: BTreeMap<String, Option<EndpointSettings>> = asked
            .endpoints_config
            .unwrap_or_default()
            .into_iter()
            .map(|(word, own)| (name(&word), Some(own.unwrap_or_default())))
            .collect();
        if endpoints.is_empty() {
            endpoints.insert(name(mode), Some(EndpointSettings::default()));
        }
        NetworkingConfig { endpoints_config: Some(endpoints) }
    }

    /// The networks that a container is to be on: their IDs and names, with that of its mode first. The mode counts
    /// alone when no other is named, as in Docker.
    fn asked(&self, record: &Record) -> Result<Vec<(String, String, EndpointSettings)>> {
        let mode = of_mode(&record.host.network_mode);
        let mut asked: Vec<(String, String, EndpointSettings)> = Vec::new();
        let configured = record.networking.endpoints_config.iter().flatten();
        for (word, own) in configured {
            if of_mode(word) == BRIDGE && self.0.settings.default_bridge == DefaultBridge::None {
                continue;
            }
            let network = self.find(of_mode(word))?;
            if asked.iter().any(|(id, ..)| *id == network.id) {
                continue;
            }
            let at = if of_mode(word) == mode || network.id == mode { 0 } else { asked.len() };
            asked.insert(at, (network.id, network.name, own.clone().unwrap_or_default()));
        }
        let is_there = mode != BRIDGE || self.0.settings.default_bridge != DefaultBridge::None;
        if is_there && record.networking.endpoints_config.is_none() {
            let network = self.find(mode)?;
            asked.push((network.id, network.name, EndpointSettings::default()));
        }
        if asked.len() > 1 && asked.iter().any(|(_, name, _)| matches!(name.as_str(), NONE | HOST)) {
            return Err(Error::PrivateMode);
        }
        if let Some((_, _, settings)) = asked.first_mut()
            && settings.mac_address.is_empty()
        {
            settings.mac_address.clone_from(&record.config.mac_address);
        }
        Ok(asked)
    }

    fn allocate(&self, record: &Record, asked: Vec<(String, String, EndpointSettings)>) -> Result<()> {
        let mut state = self.state();
        let mut endpoints = BTreeMap::new();
        let mut failure = None;
        for (index, (id, _, settings)) in asked.into_iter().enumerate() {
            let made = match state.networks.get_mut(&id) {
                Some(network) => {
                    network.endpoint(record, settings, &format!("eth{index}"), self.0.settings.mtu)
                }
                None => Err(Error::NoSuchNetwork { word: id.clone() }),
            };
            match made {
                Ok(endpoint) => drop(endpoints.insert(id, endpoint)),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = failure {
            for (network, endpoint) in &endpoints {
                state.release(network, endpoint);
            }
            return Err(error);
        }
        let sandbox = Sandbox {
            name: record.name.clone(),
            namespace: None,
            endpoints,
            reservations: Vec::new(),
            published: Vec::new(),
            nameserver: None,
            servers: self.servers(record),
        };
        state.sandboxes.insert(record.id.to_string(), sandbox);
        Ok(())
    }

    /// Makes what was allocated.
    fn build(&self, record: &Record) -> Result<Attachment> {
        let id = record.id.as_str();
        let mut endpoints: Vec<(String, Endpoint)> = {
            let state = self.state();
            let sandbox = state.sandboxes.get(id).into_iter();
            sandbox.flat_map(|sandbox| sandbox.endpoints.clone()).collect()
        };
        endpoints
            .sort_by_key(|(_, endpoint)| endpoint.interface.as_ref().map(|interface| interface.name.clone()));
        let mut attachment = Attachment::new(NetworkNamespace::New);
        if endpoints.iter().any(|(_, endpoint)| endpoint.interface.is_some()) {
            let path = self.sandbox_key(id);
            if let Some(parent) = path.parent() {
                let fail =
                    |source| Error::Io { operation: "make", object: parent.display().to_string(), source };
                std::fs::create_dir_all(parent).map_err(fail)?;
            }
            let (namespace, mut inside) = Namespace::create()?;
            for interface in endpoints.iter().filter_map(|(_, endpoint)| endpoint.interface.as_ref()) {
                step("network.attach.plug")?;
                interface.plug(&self.0.links, &namespace, &mut inside)?;
            }
            let way_out = way_out(&endpoints);
            if let Some(gateway) = way_out.and_then(|endpoint| endpoint.gateway) {
                inside.set_default_route(gateway)?;
            }
            if let Some(gateway) = way_out6(&endpoints) {
                inside.set_default_route6(gateway)?;
            }
            step("network.attach.bind")?;
            namespace.bind(&path)?;
            if self.has_names(&endpoints) && self.serve_names(id, &namespace)? {
                attachment.nameservers = vec![longshore_network::dns::ADDRESS.into()];
            }
            if let Some(sandbox) = self.state().sandboxes.get_mut(id) {
                sandbox.namespace = Some(namespace);
            }
            attachment.namespace = NetworkNamespace::Path(path);
            if let Some(endpoint) = way_out {
                attachment.gateways = self.host_of(endpoint.gateway);
                attachment.ports = self.publish_ports(record, endpoint)?;
            }
        }
        port::add_exposed(&mut attachment.ports, record);
        let state = self.state();
        for (network, endpoint) in endpoints {
            let Some(name) = state.networks.get(&network).map(|network| network.record.name.clone()) else {
                continue;
            };
            if let Some(interface) = &endpoint.interface {
                let own = |address| (record.config.hostname.clone(), address);
                attachment.hosts.push(own(IpAddr::V4(interface.address)));
                attachment.hosts.extend(interface.address6.map(|(address, _)| own(IpAddr::V6(address))));
            }
            attachment.endpoints.insert(name, endpoint.settings);
        }
        Ok(attachment)
    }

    /// What a container calls the host whose way out is by this gateway.
    pub(super) fn host_of(&self, gateway: Option<Ipv4Addr>) -> Vec<IpAddr> {
        let given = &self.0.settings.host_gateways;
        if given.is_empty() { gateway.map(IpAddr::V4).into_iter().collect() } else { given.clone() }
    }

    /// Whether one of the networks knows its containers by name.
    pub(super) fn has_names(&self, endpoints: &[(String, Endpoint)]) -> bool {
        let state = self.state();
        endpoints.iter().any(|(id, endpoint)| {
            let network = state.networks.get(id).filter(|_| endpoint.interface.is_some());
            network.is_some_and(|network| network.record.name != BRIDGE)
        })
    }

    /// Whom a container asks for names that we do not know, if not those of the host.
    pub(super) fn servers(&self, record: &Record) -> Vec<String> {
        let own = record.host.dns.iter().flatten().next().is_some();
        if own { record.host.dns.clone().unwrap_or_default() } else { self.0.settings.dns.servers.clone() }
    }

    pub(super) fn publish_ports(
        &self,
        record: &Record,
        endpoint: &Endpoint,
    ) -> Result<longshore_types::container::PortMap> {
        // A neighbour of the host is reached at its own address.
        let interface = endpoint.interface.as_ref().filter(|interface| interface.macvlan.is_none());
        let Some(interface) = interface else { return Ok(BTreeMap::new()) };
        let binding = self.options(&endpoint.settings.network_id)?.binding;
        let wanted = port::wanted(record, binding)?;
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        if !self.0.settings.rules {
            return Err(Error::NoRules);
        }
        let fail = |source| Error::Publish {
            name: record.name.clone(),
            endpoint: endpoint.settings.endpoint_id.clone(),
            source: self.with_holder(source),
        };
        step("network.attach.ports")?;
        let taken = port::take(&self.0.ports, &wanted, interface.address).map_err(fail)?;
        step("network.attach.publish")?;
        if let Some(rules) = self.rules() {
            rules.publish(&taken.published).map_err(fail)?;
        }
        if let Some(sandbox) = self.state().sandboxes.get_mut(record.id.as_str()) {
            sandbox.reservations.extend(taken.reservations);
            sandbox.published.extend(taken.published);
        }
        Ok(taken.map)
    }

    /// Says whose a port is that cannot be had.
    fn with_holder(&self, error: longshore_network::Error) -> longshore_network::Error {
        let longshore_network::Error::PortAllocated { address, port, .. } = error else { return error };
        let state = self.state();
        let mut sandboxes = state.sandboxes.values();
        let has = |sandbox: &&Sandbox| sandbox.published.iter().any(|published| published.port == port);
        let holder = sandboxes.find(has).map(|sandbox| format!(" to container {}", sandbox.name));
        longshore_network::Error::PortAllocated { address, port, holder: holder.unwrap_or_default() }
    }

    pub(super) fn options(&self, network: &str) -> Result<Options> {
        let state = self.state();
        let network =
            state.networks.get(network).ok_or_else(|| Error::NoSuchNetwork { word: network.into() })?;
        Options::of(&network.record, self.0.settings.mtu)
    }

    /// Tells that a container is on its networks, or is not any more.
    fn tell(&self, container: &str, action: &str) {
        let state = self.state();
        let ids = state.sandboxes.get(container).into_iter().flat_map(|sandbox| sandbox.endpoints.keys());
        let records: Vec<_> =
            ids.filter_map(|id| state.networks.get(id)).map(|network| network.record.clone()).collect();
        drop(state);
        for record in records {
            self.publish(action, &record, [("container", container.to_owned())]);
        }
    }
}

impl Attachment {
    fn new(namespace: NetworkNamespace) -> Self {
        Self {
            namespace,
            endpoints: BTreeMap::new(),
            ports: BTreeMap::new(),
            hosts: Vec::new(),
            gateways: Vec::new(),
            nameservers: Vec::new(),
        }
    }
}

impl super::State {
    /// Gives the address of an end back.
    pub(super) fn release(&mut self, network: &str, endpoint: &Endpoint) {
        let Some(network) = self.networks.get_mut(network) else { return };
        let names = endpoint.settings.dns_names.as_deref().unwrap_or_default();
        network.names.remove(&endpoint.settings.endpoint_id, names, &endpoint.addresses());
        let Some(interface) = &endpoint.interface else { return };
        if let Some(addresses) = &mut network.addresses {
            addresses.release(interface.address);
        }
        if let (Some(addresses), Some((address, _))) = (&mut network.addresses6, interface.address6) {
            addresses.release(address);
        }
    }
}

impl Network {
    /// A container's end of this network, with an address that is its own.
    pub(super) fn endpoint(
        &mut self,
        record: &Record,
        mut settings: EndpointSettings,
        name: &str,
        mtu: u32,
    ) -> Result<Endpoint> {
        let is_named = self.record.name != BRIDGE;
        let own = endpoint::Options::of(&settings)?;
        settings.network_id.clone_from(&self.record.id);
        settings.endpoint_id = random_id();
        let asked =
            settings.ipam_config.as_ref().map(|config| config.ipv4_address.clone()).unwrap_or_default();
        let Some(addresses) = &mut self.addresses else {
            return Ok(Endpoint { settings, interface: None, gateway: None, gateway6: None });
        };
        let subnet = addresses.subnet();
        let mac = settings.mac_address.clone();
        let asked_mac: Option<Mac> = match mac.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|()| Error::BadMac { text: text.into() })?),
        };
        let options = Options::of(&self.record, mtu)?;
        let address = if asked.is_empty() {
            addresses.take()?
        } else {
            let address: Ipv4Addr = asked.parse().map_err(|_| Error::BadAddress { text: asked.clone() })?;
            match (is_named, subnet.contains(address)) {
                (false, _) => return Err(Error::AddressOnDefault),
                (true, false) => return Err(Error::AddressOutside { address: asked }),
                (true, true) => addresses.reserve(address)?,
            }
            address
        };
        let config = config4(&self.record);
        let gateway = config.map(|config| {
            let other = config.auxiliary.as_ref().and_then(|auxiliary| auxiliary.get(DEFAULT_GATEWAY));
            other.unwrap_or(&config.gateway)
        });
        let gateway: Option<Ipv4Addr> = gateway.and_then(|text| text.parse().ok());
        let mac = asked_mac.unwrap_or_else(|| Interface::mac_of(address));
        settings.mac_address = mac.to_string();
        settings.ip_address = address.to_string();
        settings.ip_prefix_len = i64::from(subnet.prefix());
        settings.gateway = gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        settings.dns_names = is_named.then(|| names(record, &settings));
        let (address6, gateway6) = match self.address6(&mut settings) {
            Ok(six) => six,
            Err(error) => {
                self.addresses.iter_mut().for_each(|addresses| addresses.release(address));
                return Err(error);
            }
        };
        let mut interface = interface(&settings, &options, (name, mac, address, subnet));
        (interface.address6, interface.sysctls) = (address6, own.sysctls);
        if let Some(name) = own.name {
            interface.name = name;
        }
        let gateway = gateway.filter(|_| !self.record.internal);
        Ok(Endpoint { settings, interface: Some(interface), gateway, gateway6 })
    }
}

/// An end's IPv6 address in its subnet, and who leads out.
type Six = (Option<(Ipv6Addr, Subnet6)>, Option<Ipv6Addr>);

impl Network {
    /// An end's IPv6 address, where the network has such, and who leads out.
    fn address6(&mut self, settings: &mut EndpointSettings) -> Result<Six> {
        let asked = settings.ipam_config.as_ref().map(|own| own.ipv6_address.clone()).unwrap_or_default();
        let Some(addresses) = &mut self.addresses6 else {
            // Docker refuses an address that no subnet has.
            let outside = Error::AddressOutside { address: asked.clone() };
            return if asked.is_empty() { Ok((None, None)) } else { Err(outside) };
        };
        let subnet = addresses.subnet();
        let address = if asked.is_empty() {
            addresses.take()?
        } else {
            let address: Ipv6Addr = asked.parse().map_err(|_| Error::BadAddress { text: asked.clone() })?;
            if !subnet.contains(address) {
                return Err(Error::AddressOutside { address: asked });
            }
            addresses.reserve(address)?;
            address
        };
        let gateway: Option<Ipv6Addr> = config6(&self.record).and_then(|config| config.gateway.parse().ok());
        settings.global_ipv6_address = address.to_string();
        settings.global_ipv6_prefix_len = i64::from(subnet.prefix());
        settings.ipv6_gateway = gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        Ok((Some((address, subnet)), gateway.filter(|_| !self.record.internal)))
    }
}

/// The name of an end's interface on the host.
pub(super) fn host_name(settings: &EndpointSettings) -> String {
    format!("veth{}", settings.endpoint_id.get(..8).unwrap_or_default())
}

/// The interface of an end. Its name on the host follows from the end's ID.
pub(super) fn interface(
    settings: &EndpointSettings,
    options: &Options,
    (name, mac, address, subnet): (&str, Mac, Ipv4Addr, Subnet),
) -> Interface {
    Interface {
        name: name.into(),
        host_name: host_name(settings),
        bridge: options.macvlan.as_ref().map_or(&options.bridge, |(parent, _)| parent).clone(),
        macvlan: options.macvlan.as_ref().map(|(_, mode)| *mode),
        mac,
        address,
        subnet,
        address6: None,
        mtu: options.mtu,
        isolated: !options.icc,
        sysctls: Vec::new(),
    }
}

/// What a container is called on a network of a user.
fn names(record: &Record, settings: &EndpointSettings) -> Vec<String> {
    let short = record.id.as_str().get(..12).unwrap_or_default().to_owned();
    let mut names = vec![record.name.clone()];
    let aliases = settings.aliases.iter().flatten().cloned();
    for name in aliases.chain([short, record.config.hostname.clone()]) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The end that leads out: the one with the highest priority, then the first by name of its interface.
pub(super) fn way_out(endpoints: &[(String, Endpoint)]) -> Option<&Endpoint> {
    let with_gateway =
        endpoints.iter().map(|(_, endpoint)| endpoint).filter(|endpoint| endpoint.gateway.is_some());
    with_gateway.reduce(
        |best, other| {
            if other.settings.gw_priority > best.settings.gw_priority { other } else { best }
        },
    )
}

/// Who leads out what is IPv6.
pub(super) fn way_out6(endpoints: &[(String, Endpoint)]) -> Option<Ipv6Addr> {
    let with_gateway = endpoints.iter().map(|(_, own)| own).filter(|own| own.gateway6.is_some());
    let best = with_gateway.reduce(|best, other| {
        if other.settings.gw_priority > best.settings.gw_priority { other } else { best }
    });
    best?.gateway6
}

fn silence<'a>(
    namespace: &Namespace,
    endpoints: impl Iterator<Item = &'a Endpoint>,
) -> longshore_network::Result<()> {
    let mut inside: Inside = namespace.inside()?;
    for interface in endpoints.filter_map(|endpoint| endpoint.interface.as_ref()) {
        inside.drop_address(&interface.name, interface.address, interface.subnet)?;
    }
    Ok(())
}

/// Where a namespace is bound.
pub(super) fn bound(directory: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// An end as it is kept while its container does not run: what was asked for.
#[must_use]
pub fn at_rest(settings: &EndpointSettings) -> EndpointSettings {
    let own = settings.ip_address.parse().ok().map(|address| Interface::mac_of(address).to_string());
    let mac_address = if own.as_ref() == Some(&settings.mac_address) {
        String::new()
    } else {
        settings.mac_address.clone()
    };
    EndpointSettings {
        ipam_config: settings.ipam_config.clone(),
        links: settings.links.clone(),
        aliases: settings.aliases.clone(),
        mac_address,
        driver_opts: settings.driver_opts.clone(),
        gw_priority: settings.gw_priority,
        network_id: settings.network_id.clone(),
        dns_names: settings.dns_names.clone(),
        ..EndpointSettings::default()
    }
}
