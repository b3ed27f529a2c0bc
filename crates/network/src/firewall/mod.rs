//! The rules of one engine: one table of nftables, named after it.
//!
//! ```text
//! table inet NAME
//!   sets   bridges, internal                     names of bridges
//!          masquerade, masquerade6, open, open6  the same, by family
//!          same                                  bridge . bridge: both sides of what stays on one
//!          near                                  address . bridge: where each source is
//!   maps   ports     protocol . port            -> address . port
//!          ports_at  address . protocol . port  -> address . port
//!   chains raw         prerouting, before connections are looked up: nothing from a container is for 127.0.0.0/8
//!          prerouting, output   published ports: to the container, if the packet is for this host
//!          postrouting          masquerade what leaves a bridge; what comes back to the same bridge; 127.0.0.1
//!          forward              into a bridge goes what answers, what is published, what is from the same; no more
//! ```
//!
//! A packet costs the same however many networks and ports there are, and a change is a few elements in one batch.
//! The table is put in place as a whole when the engine starts, in one transaction: there is no moment without rules.

mod element;
mod expression;
mod table;
mod watch;

pub(crate) use table::{batch, resolver};

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;

use crate::{
    Result, Subnet,
    netlink::{Family, Message, Socket},
    port::Protocol,
};

/// What the rules know of a bridge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    /// Its name.
    pub bridge: String,
    /// The addresses on it.
    pub subnet: Option<Subnet>,
    /// What leaves it gets the host's address.
    pub masquerade: bool,
    /// Nothing leaves it, and nothing comes in.
    pub internal: bool,
    /// Everything may come in: its addresses are routed from elsewhere.
    pub open: bool,
    /// The same of IPv6.
    pub masquerade6: bool,
    pub open6: bool,
}

/// A published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// Of the host; `0.0.0.0` for all.
    pub address: Ipv4Addr,
    pub port: u16,
    pub protocol: Protocol,
    /// In the container.
    pub to: SocketAddrV4,
}

/// The table, and what is in it.
#[derive(Debug)]
pub struct Firewall(Mutex<State>);

#[derive(Debug)]
struct State {
    socket: Socket,
    /// The number that the kernel knows the socket by.
    port: u32,
    /// The table's name.
    name: String,
    networks: BTreeSet<Network>,
    ports: BTreeSet<Published>,
    /// Whether it was taken away in order.
    is_gone: bool,
}

impl Firewall {
    /// Puts the table in place of what has its name, with this in it.
    pub fn install(
        name: &str,
        networks: impl IntoIterator<Item = Network>,
        ports: impl IntoIterator<Item = Published>,
    ) -> Result<Self> {
        let socket = Socket::open(Family::Netfilter)?;
        let mut state = State {
            port: socket.port()?,
            socket,
            name: name.into(),
            networks: networks.into_iter().collect(),
            ports: ports.into_iter().collect(),
            is_gone: false,
        };
        state.install()?;
        Ok(Self(Mutex::new(state)))
    }

    /// Puts the table in place again, whoever changed it.
    pub fn reinstall(&self) -> Result<()> {
        self.state().install()
    }

    /// Whether the table is there.
    pub fn is_there(&self) -> Result<bool> {
        let mut state = self.state();
        let message = table::get(&state.name);
        let name = state.name.clone();
        match state.socket.get("find table", &name, message) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Some(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes the table away, for good.
    pub fn remove(&self) -> Result<()> {
        let mut state = self.state();
        state.is_gone = true;
        let messages = table::remove(&state.name);
        state.transact("remove table", messages)
    }

    /// Lets a bridge be a network.
    pub fn add_network(&self, network: Network) -> Result<()> {
        let mut state = self.state();
        let messages = element::of_network(&state.name, &network, element::ADD);
        state.change("add network to table", messages, |state| {
            state.networks.insert(network);
        })
    }

    /// The bridge is none any more.
    pub fn remove_network(&self, bridge: &str) -> Result<()> {
        let mut state = self.state();
        let Some(network) = state.networks.iter().find(|network| network.bridge == bridge).cloned() else {
            return Ok(());
        };
        let messages = element::of_network(&state.name, &network, element::REMOVE);
        state.change("remove network from table", messages, |state| {
            state.networks.remove(&network);
        })
    }

    /// Publishes ports, all or none.
    pub fn publish(&self, ports: &[Published]) -> Result<()> {
        let mut state = self.state();
        let messages = element::of_ports(&state.name, ports, element::ADD);
        state.change("publish ports in table", messages, |state| state.ports.extend(ports))
    }

    /// Ends the publishing of those of them that are published.
    pub fn withdraw(&self, ports: &[Published]) -> Result<()> {
        let mut state = self.state();
        let known: Vec<Published> = ports.iter().filter(|port| state.ports.contains(port)).copied().collect();
        let messages = element::of_ports(&state.name, &known, element::REMOVE);
        state.change("withdraw ports from table", messages, |state| {
            for port in &known {
                state.ports.remove(port);
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn install(&mut self) -> Result<()> {
        if self.is_gone {
            return Ok(());
        }
        let mut messages = table::replace(&self.name);
        for network in &self.networks {
            messages.extend(element::of_network(&self.name, network, element::ADD));
        }
        let ports: Vec<Published> = self.ports.iter().copied().collect();
        messages.extend(element::of_ports(&self.name, &ports, element::ADD));
        self.transact("install table", messages)
    }

    /// Does it and remembers. Where somebody took the table away, it is put in place with the change.
    fn change(
        &mut self,
        operation: &'static str,
        messages: Vec<Message>,
        remember: impl FnOnce(&mut Self),
    ) -> Result<()> {
        let (networks, ports) = (self.networks.clone(), self.ports.clone());
        remember(self);
        let done = match self.transact(operation, messages) {
            Err(error) if error.errno() == Some(Errno::NOENT) => self.install(),
            other => other,
        };
        if done.is_err() {
            (self.networks, self.ports) = (networks, ports);
        }
        done
    }

    fn transact(&mut self, operation: &'static str, messages: Vec<Message>) -> Result<()> {
        self.socket.transact(operation, &self.name, table::batch(), messages)
    }
}
