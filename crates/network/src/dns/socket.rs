//! The sockets of a container's nameserver: in its namespace, at 127.0.0.11.
//!
//! They are not on port 53, which the container may want for all of its addresses; rules in the namespace lead there
//! what is for it.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::{
    Result,
    error::io,
    firewall::{batch, resolver},
    namespace::Namespace,
    netlink::{Family, Socket},
};

/// Where containers find their nameserver.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The table in the container's namespace.
const TABLE: &str = "longshore-dns";

/// The sockets. They do not block.
#[derive(Debug)]
pub struct Sockets {
    pub udp: UdpSocket,
    pub tcp: TcpListener,
}

impl Sockets {
    /// Opens them in a namespace. What led to earlier ones leads to these.
    pub fn open(namespace: &Namespace) -> Result<Self> {
        namespace.enter(|| {
            let fail = || io("open", "a nameserver's sockets");
            let udp = UdpSocket::bind((ADDRESS, 0)).map_err(fail())?;
            let tcp = TcpListener::bind((ADDRESS, 0)).map_err(fail())?;
            udp.set_nonblocking(true).map_err(fail())?;
            tcp.set_nonblocking(true).map_err(fail())?;
            let ports = [udp.local_addr().map_err(fail())?.port(), tcp.local_addr().map_err(fail())?.port()];
            let mut socket = Socket::open(Family::Netfilter)?;
            socket.transact("install table", TABLE, batch(), resolver(TABLE, ADDRESS, ports))?;
            Ok(Self { udp, tcp })
        })?
    }
}
