//! Networks, and the containers' ends of them. One file is one verb.
//!
//! A network is a row in `engine.db`. Its bridge is made with it, or when it is first needed after a boot; the default
//! network's when the first container wants it, so that a daemon without containers changes nothing on the host.
//!
//! What a running container has (addresses, ports) is in its record, and in memory here. A network namespace is bound
//! to `netns/<first 12 digits of the ID>` below the exec root, so that it outlives the daemon; a file there that no
//! running container owns is swept away at start, and its interfaces go with it.
//!
//! Locks: `state` is held for decisions, never while the kernel works, but for making a network's bridge, which has
//! a lock of its own, taken before `state`.

mod attach;
mod bridge;
mod connect;
mod create;
mod dns;
mod endpoint;
mod error;
mod find;
mod heal;
mod macvlan;
mod open;
mod port;
mod remove;
mod restore;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use longshore_network::{
    Addresses6, Subnet, Subnet6,
    bridge::Links,
    endpoint::Interface,
    firewall::{Firewall, Published},
    ipam::{Addresses, Pool},
    namespace::Namespace,
    port::{Ports, Reservation},
};
use longshore_types::{
    container::{EndpointSettings, PortMap},
    network::Network as Record,
};

pub use attach::at_rest;
pub use connect::Change;
pub use create::Create;
pub use error::{Error, Result};

use crate::{db::Db, event::Events, spec::NetworkNamespace};

/// The name of the network for whoever names none.
pub const BRIDGE: &str = "bridge";
/// The name of the host's own.
pub const HOST: &str = "host";
/// The name of the network without others.
pub const NONE: &str = "none";

/// Where containers on networks of users find their nameserver.
pub const NAMESERVER: IpAddr = IpAddr::V4(longshore_network::dns::ADDRESS);

/// How networks are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `netns/` in it has the namespaces of what runs.
    pub exec_root: PathBuf,
    /// The name of the default network's bridge.
    pub bridge: String,
    pub default_bridge: DefaultBridge,
    /// The address of the default network's bridge, with its subnet.
    pub bip: Option<(Ipv4Addr, Subnet)>,
    /// Where containers of the default network get their addresses from.
    pub fixed: Option<Subnet>,
    /// Whether the default network has IPv6.
    pub ipv6: bool,
    /// The IPv6 subnet of the default network.
    pub fixed6: Option<Subnet6>,
    /// Where containers of the default network send what is for outside, if not to its bridge.
    pub gateway: Option<Ipv4Addr>,
    /// What containers call the host, if not the gateway of their network.
    pub host_gateways: Vec<IpAddr>,
    /// Whether there are rules at all. Without, nothing is masqueraded, published or kept apart.
    pub rules: bool,
    /// Whether the host is made to route.
    pub forwarding: bool,
    /// Options of new networks that do not have them, by driver.
    pub default_options: BTreeMap<String, BTreeMap<String, String>>,
    /// The name of the table of rules, and of whose the bridges are.
    pub table: String,
    /// What networks are cut from that name no subnet.
    pub pools: Vec<Pool>,
    /// Of interfaces, unless the network says.
    pub mtu: u32,
    /// Whether containers of the default network reach each other.
    pub icc: bool,
    /// Whether what leaves the default network gets the host's address.
    pub masquerade: bool,
    /// Where ports of the default network are published that name no address.
    pub binding: Ipv4Addr,
    /// Of containers that name none.
    pub dns: Resolvers,
}

/// Where the default network's bridge comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultBridge {
    /// It is made when it is needed.
    Own,
    /// Somebody else's, which stays as it is.
    Given,
    /// There is no default network.
    None,
}

/// What the daemon's configuration says of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolvers {
    pub servers: Vec<String>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

/// What a container got for one start.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    pub namespace: NetworkNamespace,
    /// Its ends by the names of the networks, as they are: for its record.
    pub endpoints: BTreeMap<String, EndpointSettings>,
    /// Where its ports are on the host: for its record.
    pub ports: PortMap,
    /// For its `/etc/hosts`.
    pub hosts: Vec<(String, IpAddr)>,
    /// The host, as it sees it.
    pub gateways: Vec<IpAddr>,
    /// Its networks' own nameserver, if one of them has one.
    pub nameservers: Vec<IpAddr>,
}

/// All networks.
#[derive(Clone, Debug)]
pub struct Networks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    db: Db,
    events: Events,
    links: Links,
    ports: Ports,
    /// None until a bridge is needed. Held while a bridge is made or taken away.
    firewall: Mutex<Option<Arc<Firewall>>>,
    dns: dns::Dns,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By ID.
    networks: BTreeMap<String, Network>,
    /// By the container's ID.
    sandboxes: BTreeMap<String, Sandbox>,
}

/// A network, and what is in use of it.
#[derive(Debug)]
struct Network {
    record: Record,
    /// None for those that have none.
    addresses: Option<Addresses>,
    addresses6: Option<Addresses6>,
    /// Whether its bridge was seen to be there since the start.
    is_up: bool,
    names: dns::Names,
}

/// A running container's networks.
#[derive(Debug)]
struct Sandbox {
    /// The container's name when it started.
    name: String,
    /// None for the host's, and for those that the runtime makes.
    namespace: Option<Namespace>,
    /// By the network's ID.
    endpoints: BTreeMap<String, Endpoint>,
    reservations: Vec<Reservation>,
    published: Vec<Published>,
    /// None where no network of a user is.
    nameserver: Option<dns::Serving>,
    /// Whom it asks for what we do not know: what the container says, or the daemon.
    servers: Vec<String>,
}

/// A running container's end of a network.
#[derive(Clone, Debug)]
struct Endpoint {
    settings: EndpointSettings,
    /// None on networks without interfaces.
    interface: Option<Interface>,
    gateway: Option<Ipv4Addr>,
    gateway6: Option<Ipv6Addr>,
}

/// A running container's end of a network, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub container: String,
    /// The container's name when it started.
    pub name: String,
    pub endpoint: String,
    pub mac: String,
    /// `address/prefix`, or empty.
    pub address: String,
    pub address6: String,
}

/// What is in use of a network's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub subnet: Subnet,
    /// With those that nobody can have.
    pub in_use: u64,
    /// For whoever asks for none in particular.
    pub available: u64,
}

impl Networks {
    /// What is in use of a network's addresses, if it has any.
    #[must_use]
    pub fn usage(&self, network: &str) -> Option<Usage> {
        let state = self.state();
        let addresses = state.networks.get(network)?.addresses.as_ref()?;
        Some(Usage { subnet: addresses.subnet(), in_use: addresses.used(), available: addresses.available() })
    }

    /// The path of a running container's network namespace.
    #[must_use]
    pub fn sandbox_key(&self, container: &str) -> PathBuf {
        self.0.key(container)
    }

    /// All networks, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Record> {
        let mut all: Vec<Record> =
            self.state().networks.values().map(|network| network.record.clone()).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// The running containers on a network.
    #[must_use]
    pub fn members(&self, network: &str) -> Vec<Member> {
        let state = self.state();
        let member = |(container, sandbox): (&String, &Sandbox)| {
            let settings = &sandbox.endpoints.get(network)?.settings;
            let prefix = settings.ip_prefix_len;
            let address = Some(&settings.ip_address).filter(|address| !address.is_empty());
            Some(Member {
                container: container.clone(),
                name: sandbox.name.clone(),
                endpoint: settings.endpoint_id.clone(),
                mac: settings.mac_address.clone(),
                address: address.map(|address| format!("{address}/{prefix}")).unwrap_or_default(),
                address6: match settings.global_ipv6_address.as_str() {
                    "" => String::new(),
                    address => format!("{address}/{}", settings.global_ipv6_prefix_len),
                },
            })
        };
        state.sandboxes.iter().filter_map(member).collect()
    }

    /// Whether a running container has a nameserver of ours.
    #[must_use]
    pub fn is_served(&self, container: &str) -> bool {
        self.state().sandboxes.get(container).is_some_and(|sandbox| sandbox.nameserver.is_some())
    }

    /// How names are resolved for those who do not say.
    #[must_use]
    pub fn resolvers(&self) -> &Resolvers {
        &self.0.settings.dns
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock_state()
    }
}

impl Inner {
    fn key(&self, container: &str) -> PathBuf {
        self.settings.exec_root.join("netns").join(container.get(..12).unwrap_or(container))
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    fn addresses(&self) -> Vec<IpAddr> {
        let Some(interface) = &self.interface else { return Vec::new() };
        let six = interface.address6.map(|(address, _)| IpAddr::V6(address));
        [IpAddr::V4(interface.address)].into_iter().chain(six).collect()
    }
}

/// A place where tests stop the daemon.
fn step(name: &'static str) -> Result<()> {
    let failed = |source| Error::Io { operation: "take the step", object: name.into(), source };
    longshore_runtime::failpoint::step(name).map_err(failed)
}

/// 64 random hexadecimal digits.
fn random_id() -> String {
    format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..))
}

/// Whether Docker makes a network of this name itself.
#[must_use]
pub fn is_predefined(name: &str) -> bool {
    matches!(name, BRIDGE | HOST | NONE)
}

/// Whether a word of a container's configuration means the network of this name and ID.
#[must_use]
pub fn same(word: &str, name: &str, id: &str) -> bool {
    create::of_mode(word) == name || word == id
}
