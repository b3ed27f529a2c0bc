//! TCP, and what systemd listens on for us.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs},
    os::fd::OwnedFd,
};

use rustix::{
    net::{AddressFamily, sockopt},
    process::{PidfdFlags, PidfdGetfdFlags},
};

use super::{ListenError, Listener};

impl Listener {
    /// Listens on every address of a name. What is not loopback's needs TLS with clients' certificates, or the user's
    /// word that it does not.
    pub(crate) fn tcp(address: &str, is_safe: bool) -> Result<Vec<Self>, ListenError> {
        let failed = |source| ListenError::Tcp { address: address.into(), source };
        let resolved: Vec<SocketAddr> = address.to_socket_addrs().map_err(failed)?.collect();
        if !is_safe && let Some(open) = resolved.iter().find(|address| !is_loopback(address.ip())) {
            return Err(ListenError::Open { address: open.to_string() });
        }
        resolved.iter().map(|address| Ok(Self::Tcp(TcpListener::bind(address).map_err(failed)?))).collect()
    }

    /// The sockets that systemd passed: all, or the one with this number (from 3 on) or name.
    pub(crate) fn inherited(which: Option<&str>) -> Result<Vec<Self>, ListenError> {
        let failed = |source| ListenError::Inherited { source };
        // Read again for each `fd://`: the environment stays until the daemon is ready.
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut found = Vec::new();
        for number in sd_notify::listen_fds().map_err(failed)? {
            let name = names.next().unwrap_or_default();
            if which.is_some_and(|which| which != name && which != number.to_string()) {
                continue;
            }
            let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty());
            let descriptor =
                own.and_then(|own| rustix::process::pidfd_getfd(own, number, PidfdGetfdFlags::empty()));
            found.push(Self::of(descriptor.map_err(|errno| failed(errno.into()))?)?);
        }
        if found.is_empty() {
            return Err(ListenError::NoneInherited { which: which.unwrap_or("*").into() });
        }
        Ok(found)
    }

    fn of(socket: OwnedFd) -> Result<Self, ListenError> {
        let domain = sockopt::socket_domain(&socket);
        match domain.map_err(|errno| ListenError::Inherited { source: errno.into() })? {
            AddressFamily::UNIX => Ok(Self::Unix(socket.into(), None)),
            _ => Ok(Self::Tcp(socket.into())),
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
