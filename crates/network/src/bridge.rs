//! Links of the host: bridges, the host's ends of pairs, and which addresses the host uses.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;

use crate::{
    Mac, Result, Subnet, Subnet6,
    error::io,
    netlink::{CREATE, EXCLUSIVE, Family, Message, REPLACE, Socket, attributes},
};

pub(crate) const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const NEWADDR: u16 = 20;
const DELADDR: u16 = 21;
const GETADDR: u16 = 22;
const GETROUTE: u16 = 26;

pub(crate) const IFLA_ADDRESS: u16 = 1;
pub(crate) const IFLA_IFNAME: u16 = 3;
pub(crate) const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
pub(crate) const IFLA_MASTER: u16 = 10;
pub(crate) const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
pub(crate) const INFO_KIND: u16 = 1;
/// `IFF_UP`.
pub(crate) const UP: u32 = 1;

/// `ifinfomsg`.
pub(crate) fn link_header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&change.to_ne_bytes());
    fixed
}

/// A bridge as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Of the interface: at most 15 bytes.
    pub name: String,
    /// Whose it is: kept with the link, so that what was left behind is known.
    pub owner: String,
    /// The host's address on it, and the network's.
    pub gateway: Option<(Ipv4Addr, Subnet)>,
    /// The same of IPv6, if the network has it.
    pub gateway6: Option<(Ipv6Addr, Subnet6)>,
    pub mtu: u32,
    /// It is somebody else's: it must be there, and is not called ours.
    pub is_given: bool,
}

/// A link of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// What [`Bridge::owner`] was.
    pub owner: String,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
}

/// The links of the network namespace that this was opened in.
#[derive(Debug)]
pub struct Links(Mutex<Socket>);

impl Links {
    /// Opens the kernel's interface in the namespace of the thread that asks.
    pub fn open() -> Result<Self> {
        Ok(Self(Mutex::new(Socket::open(Family::Route)?)))
    }

    pub(crate) fn socket(&self) -> MutexGuard<'_, Socket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a bridge, or takes up the one of this name, and gives it what it lacks. Says whether it was made.
    pub fn ensure_bridge(&self, bridge: &Bridge) -> Result<bool> {
        let mut socket = self.socket();
        let name = bridge.name.as_str();
        let make = Message::new(NEWLINK, CREATE | EXCLUSIVE, &link_header(0, UP, UP))
            .put_name(IFLA_IFNAME, name)
            .put(IFLA_MTU, &bridge.mtu.to_ne_bytes())
            .put(IFLA_ADDRESS, &Mac::random().0)
            .nest(IFLA_LINKINFO, &[], |info| info.put_name(INFO_KIND, "bridge"));
        let done =
            if bridge.is_given { Ok(false) } else { socket.call("make bridge", name, make).map(|()| true) };
        let made = match done {
            Ok(made) => made,
            Err(error) if error.errno() == Some(Errno::EXIST) => false,
            Err(error) => return Err(error),
        };
        let mut settings =
            vec![Message::new(NEWLINK, 0, &link_header(0, UP, UP)).put_name(IFLA_IFNAME, name)];
        if !bridge.is_given {
            let owner = Message::new(NEWLINK, 0, &link_header(0, UP, UP)).put_name(IFLA_IFNAME, name);
            settings = vec![owner.put(IFLA_IFALIAS, bridge.owner.as_bytes())];
        }
        if let Some((address, subnet)) = bridge.gateway {
            let index = index(&mut socket, name)?;
            settings.push(address_message(NEWADDR, CREATE | REPLACE, index, address, subnet));
        }
        if let Some((address, subnet)) = bridge.gateway6 {
            // An interface without IPv6 takes no address of it.
            sysctl(&format!("ipv6/conf/{name}/disable_ipv6"), "0")?;
            settings.push(add_address6(index(&mut socket, name)?, address, subnet));
        }
        let done = socket.call_all("configure bridge", name, settings);
        drop(socket);
        let done = done.and_then(|()| {
            // So that what is sent to 127.0.0.1 can be led to a container; the firewall drops what comes from one.
            sysctl(&format!("ipv4/conf/{name}/route_localnet"), "1")?;
            if bridge.gateway6.is_some() || bridge.is_given {
                return Ok(());
            }
            // A network without IPv6 has no link-local addresses either.
            match sysctl(&format!("ipv6/conf/{name}/disable_ipv6"), "1") {
                Err(error) if error.errno() == Some(Errno::NOENT) => Ok(()),
                other => other,
            }
        });
        if done.is_err() && made {
            // The first failure is the one to tell.
            self.delete(name).ok();
        }
        done.map(|()| made)
    }

    /// Takes a link away, with the other end if it is one of a pair. None is fine. Waits for the kernel: milliseconds.
    pub fn delete(&self, name: &str) -> Result<()> {
        delete(&mut self.socket(), name)
    }

    /// Has an interface there that parts of it are given to containers: one that leads nowhere, or (`vlan`) the one of
    /// a VLAN of another interface. One that is there is taken as it is.
    pub fn ensure_parent(&self, name: &str, owner: &str, vlan: Option<(&str, u16)>) -> Result<()> {
        let mut socket = self.socket();
        let mut make =
            Message::new(NEWLINK, CREATE | EXCLUSIVE, &link_header(0, UP, UP)).put_name(IFLA_IFNAME, name);
        make = match vlan {
            Some((parent, id)) => {
                let parent = index(&mut socket, parent)?;
                make.put(IFLA_LINK, &parent.to_ne_bytes()).nest(IFLA_LINKINFO, &[], |info| {
                    info.put_name(INFO_KIND, "vlan").nest(2, &[], |data| data.put(1, &id.to_ne_bytes()))
                })
            }
            None => make.nest(IFLA_LINKINFO, &[], |info| info.put_name(INFO_KIND, "dummy")),
        };
        match socket.call("make interface", name, make) {
            Ok(()) => {}
            Err(error) if error.errno() == Some(Errno::EXIST) => return Ok(()),
            Err(error) => return Err(error),
        }
        let alias = Message::new(NEWLINK, 0, &link_header(0, UP, UP)).put_name(IFLA_IFNAME, name);
        socket.call("configure interface", name, alias.put(IFLA_IFALIAS, owner.as_bytes()))
    }

    /// Whether there is a link of this name.
    pub fn exists(&self, name: &str) -> Result<bool> {
        match index(&mut self.socket(), name) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Some(Errno::NODEV) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The first address of a link, and its subnet.
    pub fn address_of(&self, name: &str) -> Result<Option<(Ipv4Addr, Subnet)>> {
        let mut socket = self.socket();
        let own = index(&mut socket, name)?;
        let mut header = [0; 8];
        header[0] = 2;
        let bodies = socket.dump("list", "addresses", Message::new(GETADDR, 0, &header))?;
        let address = |body: &Vec<u8>| {
            let (head, rest) = body.split_at_checked(8)?;
            let index = u32::from_ne_bytes([head[4], head[5], head[6], head[7]]);
            let address: Ipv4Addr = attributes(rest).four(IFA_LOCAL).filter(|_| index == own)?.into();
            Some((address, Subnet::containing(address, head[1])))
        };
        Ok(bodies.iter().find_map(address))
    }

    /// All links.
    pub fn all(&self) -> Result<Vec<Link>> {
        let bodies = self.socket().dump("list", "links", Message::new(GETLINK, 0, &link_header(0, 0, 0)))?;
        Ok(bodies.iter().filter_map(|body| link(body)).collect())
    }

    /// The ranges that the host has addresses in or routes to, but for default routes and the link `except`.
    pub fn host_subnets(&self, except: &BTreeSet<u32>) -> Result<Vec<Subnet>> {
        let mut socket = self.socket();
        let mut header = [0; 8];
        header[0] = 2;
        let mut found = Vec::new();
        for body in socket.dump("list", "addresses", Message::new(GETADDR, 0, &header))? {
            let Some((head, rest)) = body.split_at_checked(8) else { continue };
            let index = u32::from_ne_bytes([head[4], head[5], head[6], head[7]]);
            if let Some(address) = attributes(rest).four(IFA_LOCAL).filter(|_| !except.contains(&index)) {
                found.push(Subnet::containing(address.into(), head[1]));
            }
        }
        let mut header = [0; 12];
        header[0] = 2;
        for body in socket.dump("list", "routes", Message::new(GETROUTE, 0, &header))? {
            let Some((head, rest)) = body.split_at_checked(12) else { continue };
            let list = attributes(rest);
            let own = list.number(RTA_OIF).is_some_and(|index| except.contains(&index));
            // A VPN may halve the default route.
            if let Some(address) = list.four(RTA_DST).filter(|_| head[1] > 3 && head[7] == UNICAST && !own) {
                found.push(Subnet::containing(address.into(), head[1]));
            }
        }
        Ok(found)
    }
}

/// `IFA_LOCAL`.
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
/// `RTN_UNICAST`.
const UNICAST: u8 = 1;

fn link(body: &[u8]) -> Option<Link> {
    let (head, rest) = body.split_at_checked(16)?;
    let list = attributes(rest);
    Some(Link {
        index: u32::from_ne_bytes([head[4], head[5], head[6], head[7]]),
        name: list.name(IFLA_IFNAME)?.into(),
        owner: list.name(IFLA_IFALIAS).unwrap_or_default().into(),
        master: list.number(IFLA_MASTER),
    })
}

/// Takes a link away. None is fine.
pub(crate) fn delete(socket: &mut Socket, name: &str) -> Result<()> {
    let message = Message::new(DELLINK, 0, &link_header(0, 0, 0)).put_name(IFLA_IFNAME, name);
    match socket.call("delete link", name, message) {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        other => other,
    }
}

/// The number of the link with this name.
pub(crate) fn index(socket: &mut Socket, name: &str) -> Result<u32> {
    let message = Message::new(GETLINK, 0, &link_header(0, 0, 0)).put_name(IFLA_IFNAME, name);
    let body = socket.get("find link", name, message)?;
    let link = link(&body);
    link.map(|link| link.index)
        .ok_or_else(|| crate::Error::Answer { operation: "find link", object: name.into() })
}

/// Gives an address to a link, or takes it.
pub(crate) fn address_message(
    kind: u16,
    flags: u16,
    index: u32,
    address: Ipv4Addr,
    subnet: Subnet,
) -> Message {
    let mut header = [2, subnet.prefix(), 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    Message::new(kind, flags, &header)
        .put(1, &address.octets())
        .put(IFA_LOCAL, &address.octets())
        .put(4, &subnet.last().octets())
}

pub(crate) fn add_address(index: u32, address: Ipv4Addr, subnet: Subnet) -> Message {
    address_message(NEWADDR, CREATE | REPLACE, index, address, subnet)
}

/// Gives an IPv6 address to a link, for use at once: nobody else can have it.
pub(crate) fn add_address6(index: u32, address: Ipv6Addr, subnet: Subnet6) -> Message {
    // AF_INET6, IFA_F_NODAD.
    let mut header = [10, subnet.prefix(), 2, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    Message::new(NEWADDR, CREATE | REPLACE, &header).put(1, &address.octets())
}

pub(crate) fn delete_address(index: u32, address: Ipv4Addr, subnet: Subnet) -> Message {
    address_message(DELADDR, 0, index, address, subnet)
}

/// Writes a setting below `/proc/sys/net` of the thread's namespace.
pub(crate) fn sysctl(key: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/net/{key}");
    std::fs::write(&path, value).map_err(io("write", path))
}

/// Lets the host route IPv6. Its interfaces go on listening to routers, which they would not when it is one itself.
pub fn enable_forwarding6() -> Result<()> {
    const PATH: &str = "/proc/sys/net/ipv6/conf";
    let read = |path: String| fs::read_to_string(&path).map_err(io("read", path));
    if read(format!("{PATH}/all/forwarding"))?.trim() == "1" {
        return Ok(());
    }
    for link in fs::read_dir(PATH).map_err(io("read", PATH))?.flatten() {
        let name = link.file_name().to_string_lossy().into_owned();
        if name != "all" && read(format!("{PATH}/{name}/accept_ra")).is_ok_and(|now| now.trim() == "1") {
            sysctl(&format!("ipv6/conf/{name}/accept_ra"), "2")?;
        }
    }
    sysctl("ipv6/conf/all/forwarding", "1")
}

/// Lets the host route, which networks need that reach out of it. Left alone if it is so already.
pub fn enable_forwarding() -> Result<()> {
    const PATH: &str = "/proc/sys/net/ipv4/ip_forward";
    let now = std::fs::read_to_string(PATH).map_err(io("read", PATH))?;
    if now.trim() == "1" { Ok(()) } else { sysctl("ipv4/ip_forward", "1") }
}
