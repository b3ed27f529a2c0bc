//! A container's end of a network: one interface in its namespace, the other a port of the bridge.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd},
    str::FromStr,
};

use rustix::io::Errno;

use crate::{
    Mac, Result, Subnet, Subnet6,
    bridge::{
        IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, INFO_KIND, Links, NEWLINK, UP,
        add_address, add_address6, delete, index, link_header, sysctl,
    },
    error::io,
    namespace::{Inside, Namespace},
    netlink::{CREATE, EXCLUSIVE, Message, REPLACE},
};

const INFO_DATA: u16 = 2;
const INFO_SLAVE_KIND: u16 = 4;
const INFO_SLAVE_DATA: u16 = 5;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_LINK: u16 = 5;
const IFLA_NET_NS_FD: u16 = 28;
/// `VETH_INFO_PEER`.
const PEER: u16 = 1;
/// `IFLA_BRPORT_MODE`: a frame may go back where it came from.
const HAIRPIN: u16 = 4;
/// `IFLA_BRPORT_ISOLATED`: no frames between such ports.
const ISOLATED: u16 = 33;
const NEWNEIGH: u16 = 28;

/// How parts of an interface reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacvlanMode {
    Private = 1,
    Vepa = 2,
    Bridge = 4,
    Passthru = 8,
}

impl FromStr for MacvlanMode {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        match text {
            "private" => Ok(Self::Private),
            "vepa" => Ok(Self::Vepa),
            "bridge" => Ok(Self::Bridge),
            "passthru" => Ok(Self::Passthru),
            _ => Err(()),
        }
    }
}

/// An interface as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// In the container: `eth0`.
    pub name: String,
    /// On the host.
    pub host_name: String,
    /// The name of the bridge, or of the interface of the host whose it is a part.
    pub bridge: String,
    /// Where it is no pair but a part of an interface of the host.
    pub macvlan: Option<MacvlanMode>,
    pub mac: Mac,
    pub address: Ipv4Addr,
    pub subnet: Subnet,
    /// On networks that have IPv6.
    pub address6: Option<(Ipv6Addr, Subnet6)>,
    pub mtu: u32,
    /// Whether other containers on the bridge are out of reach.
    pub isolated: bool,
    /// Settings of its own: keys below `/proc/sys/net`, in which `IFNAME` stands for its name, and values.
    pub sysctls: Vec<(String, String)>,
}

impl Interface {
    /// The address that goes with an IP address: the same for the same, so that nobody's cache is ever wrong.
    #[must_use]
    pub fn mac_of(address: Ipv4Addr) -> Mac {
        let [a, b, c, d] = address.octets();
        Mac([0x02, 0x42, a, b, c, d])
    }

    /// Makes it, up and with its address. What was made before a failure is taken away.
    pub fn plug(&self, links: &Links, namespace: &Namespace, inside: &mut Inside) -> Result<()> {
        match self.macvlan {
            None => self.make(links, namespace)?,
            Some(mode) => self.make_part(links, namespace, mode)?,
        }
        let enabled = self.address6.map_or(Ok(()), |_| self.enable6(namespace));
        let done = enabled.and_then(|()| self.set(namespace)).and_then(|()| self.settle(links, inside));
        if done.is_err() {
            // The first failure is the one to tell.
            self.unplug(links, inside).ok();
        }
        done
    }

    /// Takes it away. None is fine. Waits for the kernel: milliseconds.
    pub fn unplug(&self, links: &Links, inside: &mut Inside) -> Result<()> {
        match self.macvlan {
            None => links.delete(&self.host_name),
            Some(_) => delete(inside.socket(), &self.name),
        }
    }

    fn make_part(&self, links: &Links, namespace: &Namespace, mode: MacvlanMode) -> Result<()> {
        let mut socket = links.socket();
        let parent = index(&mut socket, &self.bridge)?;
        let fd = namespace.as_fd().as_raw_fd().cast_unsigned();
        let part = Message::new(NEWLINK, CREATE | EXCLUSIVE, &link_header(0, 0, 0))
            .put_name(IFLA_IFNAME, &self.name)
            .put(IFLA_ADDRESS, &self.mac.0)
            .put(IFLA_LINK, &parent.to_ne_bytes())
            .put(IFLA_NET_NS_FD, &fd.to_ne_bytes())
            .nest(IFLA_LINKINFO, &[], |info| {
                info.put_name(INFO_KIND, "macvlan")
                    .nest(INFO_DATA, &[], |data| data.put(1, &(mode as u32).to_ne_bytes()))
            });
        socket.call("make a part of interface", &self.bridge, part)
    }

    fn make(&self, links: &Links, namespace: &Namespace) -> Result<()> {
        let mut socket = links.socket();
        let bridge = index(&mut socket, &self.bridge)?;
        let fd = namespace.as_fd().as_raw_fd().cast_unsigned();
        let pair = Message::new(NEWLINK, CREATE | EXCLUSIVE, &link_header(0, UP, UP))
            .put_name(IFLA_IFNAME, &self.host_name)
            .put(IFLA_MTU, &self.mtu.to_ne_bytes())
            .put(IFLA_ADDRESS, &Mac::random().0)
            .put(IFLA_MASTER, &bridge.to_ne_bytes())
            .nest(IFLA_LINKINFO, &[], |info| {
                info.put_name(INFO_KIND, "veth").nest(INFO_DATA, &[], |data| {
                    // It cannot be up before the pair is one.
                    data.nest(PEER, &link_header(0, 0, 0), |peer| {
                        peer.put_name(IFLA_IFNAME, &self.name)
                            .put(IFLA_MTU, &self.mtu.to_ne_bytes())
                            .put(IFLA_ADDRESS, &self.mac.0)
                            .put(IFLA_NET_NS_FD, &fd.to_ne_bytes())
                    })
                })
            });
        socket.call("make interface", &self.host_name, pair)
    }

    fn set(&self, namespace: &Namespace) -> Result<()> {
        if self.sysctls.is_empty() {
            return Ok(());
        }
        namespace.enter(|| {
            let each = |(key, value): &(String, String)| sysctl(&key.replace("IFNAME", &self.name), value);
            self.sysctls.iter().try_for_each(each)
        })?
    }

    /// An interface without IPv6, as all are at first, takes no address of it.
    fn enable6(&self, namespace: &Namespace) -> Result<()> {
        namespace.enter(|| {
            // Its address is nobody else's: to wait for who might say otherwise takes a second.
            sysctl(&format!("ipv6/conf/{}/accept_dad", self.name), "0")?;
            sysctl(&format!("ipv6/conf/{}/disable_ipv6", self.name), "0")
        })?
    }

    fn settle(&self, links: &Links, inside: &mut Inside) -> Result<()> {
        if self.macvlan.is_some() {
            return self.settle_inside(inside);
        }
        let mut socket = links.socket();
        let port = index(&mut socket, &self.host_name)?;
        let isolated = u8::from(self.isolated);
        let settings = Message::new(NEWLINK, 0, &link_header(port, 0, 0))
            .nest(IFLA_LINKINFO, &[], |info| {
                info.put_name(INFO_SLAVE_KIND, "bridge")
                    .nest(INFO_SLAVE_DATA, &[], |data| data.put(HAIRPIN, &[1]).put(ISOLATED, &[isolated]))
            })
            // AF_INET6: no link-local address on a bridge's port.
            .nest(IFLA_AF_SPEC, &[], |spec| spec.nest(10, &[], |inet6| inet6.put(8, &[1])));
        // The bridge may still know this address at the port of a container that has ended.
        // AF_BRIDGE, NUD_NOARP, NTF_MASTER: it stays at this port as long as that is there.
        let mut neighbour = [7, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 4, 0];
        neighbour[4..8].copy_from_slice(&port.to_ne_bytes());
        let learn = Message::new(NEWNEIGH, CREATE | REPLACE, &neighbour).put(2, &self.mac.0);
        match socket.call_all("configure interface", &self.host_name, [settings, learn]) {
            // A kernel without IPv6 knows no such setting.
            Err(error) if error.errno() == Some(Errno::AFNOSUPPORT) => {}
            other => other?,
        }
        self.settle_inside(inside)?;
        // The bridge forwards to a port that it knows to be connected, and has a carrier once one is; without this,
        // both would be so some time later.
        for name in [&self.host_name, &self.bridge] {
            longshore_sys::link::carrier(socket.as_fd(), name).map_err(io("look at", name))?;
        }
        Ok(())
    }

    fn settle_inside(&self, inside: &mut Inside) -> Result<()> {
        let own_socket = inside.socket();
        let own = index(own_socket, &self.name)?;
        let up = Message::new(NEWLINK, 0, &link_header(own, UP, UP));
        let address = add_address(own, self.address, self.subnet);
        let address6 = self.address6.map(|(address, subnet)| add_address6(own, address, subnet));
        let all = [up, address].into_iter().chain(address6);
        own_socket.call_all("configure interface", &self.name, all)
    }
}
