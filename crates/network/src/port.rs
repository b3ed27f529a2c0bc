//! Ports of the host: which are given out, and a socket for each so that nobody else on the host takes it.
//!
//! Nothing is ever accepted on those sockets: the rules lead what comes to the container before it gets there.

use std::{
    collections::BTreeMap,
    fmt, fs,
    net::{Ipv4Addr, SocketAddrV4},
    ops::RangeInclusive,
    os::fd::OwnedFd,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt},
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Ports for whoever asked for none, if the host does not say.
const EPHEMERAL: RangeInclusive<u16> = 32768..=60999;

/// What a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// The number in an IP header.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(()),
        }
    }
}

/// All ports that were given out.
#[derive(Clone, Debug)]
pub struct Ports(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    given: BTreeMap<(Protocol, u16), Vec<Ipv4Addr>>,
    ephemeral: RangeInclusive<u16>,
    /// The next to try for whoever asks for none in particular.
    next: u16,
}

/// A port that is given out. Given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    table: Ports,
    address: Ipv4Addr,
    port: u16,
    protocol: Protocol,
    /// None where the kernel knows no such protocol.
    _socket: Option<OwnedFd>,
}

impl Default for Ports {
    fn default() -> Self {
        Self::new(ephemeral())
    }
}

impl Ports {
    /// None is given out. Who asks for none in particular gets one of `ephemeral`.
    #[must_use]
    pub fn new(ephemeral: RangeInclusive<u16>) -> Self {
        let next = *ephemeral.start();
        Self(Arc::new(Mutex::new(Table { given: BTreeMap::new(), ephemeral, next })))
    }

    /// Takes the first that is free of `range`, or any when there is none.
    ///
    /// # Errors
    /// [`Error::PortAllocated`] and [`Error::PortInUse`] when the range is one port.
    pub fn reserve(
        &self,
        address: Ipv4Addr,
        range: Option<RangeInclusive<u16>>,
        protocol: Protocol,
    ) -> Result<Reservation> {
        let mut table = self.table();
        let one = |port: u16| {
            let given = table.given.get(&(protocol, port));
            if given.into_iter().flatten().any(|other| overlap(*other, address)) {
                return Err(Error::PortAllocated { address, port, holder: String::new() });
            }
            hold(address, port, protocol)
        };
        let (port, socket) = match &range {
            Some(range) if range.start() == range.end() => (*range.start(), one(*range.start())?),
            Some(range) => {
                let (first, last) = (*range.start(), *range.end());
                let none = Error::PortsExhausted { address, first, last };
                first_of(range.clone(), one)?.ok_or(none)?
            }
            None => {
                let (first, last) = (*table.ephemeral.start(), *table.ephemeral.end());
                let none = Error::PortsExhausted { address, first, last };
                let found = first_of((table.next..=last).chain(first..table.next), one)?.ok_or(none)?;
                table.next = if found.0 >= last { first } else { found.0 + 1 };
                found
            }
        };
        table.given.entry((protocol, port)).or_default().push(address);
        Ok(Reservation { table: self.clone(), address, port, protocol, _socket: socket })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first port that works. One that is taken is passed over; any other failure ends the search.
fn first_of(
    ports: impl IntoIterator<Item = u16>,
    mut one: impl FnMut(u16) -> Result<Option<OwnedFd>>,
) -> Result<Option<(u16, Option<OwnedFd>)>> {
    for port in ports {
        match one(port) {
            Ok(socket) => return Ok(Some((port, socket))),
            Err(Error::PortAllocated { .. } | Error::PortInUse { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn overlap(one: Ipv4Addr, other: Ipv4Addr) -> bool {
    one == other || one.is_unspecified() || other.is_unspecified()
}

/// A socket that has the port.
fn hold(address: Ipv4Addr, port: u16, protocol: Protocol) -> Result<Option<OwnedFd>> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let fail = |errno| match errno {
        Errno::ADDRINUSE => {
            let holder =
                holder(protocol, port).map(|holder| format!(": {holder} has it")).unwrap_or_default();
            Error::PortInUse { address, port, protocol, holder }
        }
        errno => Error::Bind { address, port, protocol, source: errno.into() },
    };
    let socket = match socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, Some(number)) {
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) => return Ok(None),
        other => other.map_err(fail)?,
    };
    if kind == SocketType::STREAM {
        // What an earlier holder left in TIME-WAIT is no reason to wait.
        sockopt::set_socket_reuseaddr(&socket, true).map_err(fail)?;
    }
    bind(&socket, &SocketAddrV4::new(address, port)).map_err(fail)?;
    if kind == SocketType::STREAM {
        listen(&socket, 1).map_err(fail)?;
    }
    Ok(Some(socket))
}

/// The process that has a port of the host.
fn holder(protocol: Protocol, port: u16) -> Option<String> {
    let inodes: Vec<String> = ["", "6"]
        .iter()
        .filter_map(|six| fs::read_to_string(format!("/proc/thread-self/net/{protocol}{six}")).ok())
        .flat_map(|table| sockets(&table, protocol, port))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut processes = processes.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    processes.find_map(|process| {
        let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find(|file| {
            let target = fs::read_link(file.path()).unwrap_or_default();
            target
                .to_str()
                .is_some_and(|target| inodes.iter().any(|inode| target == format!("socket:[{inode}]")))
        })?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("process {} ({})", process.file_name().to_string_lossy(), name.trim()))
    })
}

/// The numbers of the sockets that wait on a port, from the kernel's table of them.
fn sockets(table: &str, protocol: Protocol, port: u16) -> Vec<String> {
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let own = words.get(1)?.rsplit_once(':')?.1;
        let waits = protocol != Protocol::Tcp || *words.get(3)? == "0A";
        let is_it = waits && u16::from_str_radix(own, 16) == Ok(port);
        words.get(9).filter(|_| is_it).map(|inode| (*inode).to_owned())
    };
    table.lines().skip(1).filter_map(of_line).collect()
}

/// The host's own range.
fn ephemeral() -> RangeInclusive<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last && first > 0 => first..=last,
        _ => EPHEMERAL,
    }
}

impl Reservation {
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut table = self.table.table();
        if let Some(given) = table.given.get_mut(&(self.protocol, self.port)) {
            if let Some(at) = given.iter().position(|address| *address == self.address) {
                given.swap_remove(at);
            }
            if given.is_empty() {
                table.given.remove(&(self.protocol, self.port));
            }
        }
    }
}
