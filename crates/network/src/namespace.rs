//! Network namespaces: made, bound to a file so that they last, entered by a thread.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    mount::{UnmountFlags, mount_bind, unmount},
};

use crate::{
    Error, Mac, Result, Subnet,
    bridge::{self, UP, link_header, sysctl},
    error::io,
    netlink::{CREATE, Family, Message, REPLACE, Socket},
};

/// `CLONE_NEWNET`.
const NEWNET: u64 = 0x4000_0000;
/// The namespace of the thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace. It lasts as long as a process, a file or a descriptor holds it.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
}

/// Links of a namespace, from inside.
#[derive(Debug)]
pub struct Inside(Socket);

impl Namespace {
    /// A new one, with its loopback up and without IPv6 on what is added to it.
    pub fn create() -> Result<(Self, Inside)> {
        on_a_thread(|| {
            longshore_sys::namespace::unshare(NEWNET).map_err(io("make", "a network namespace"))?;
            let namespace = Self::of_this_thread()?;
            let mut inside = Inside(Socket::open(Family::Route)?);
            // A kernel without IPv6 has no setting for it.
            match sysctl("ipv6/conf/default/disable_ipv6", "1") {
                Err(error) if error.errno() != Some(Errno::NOENT) => return Err(error),
                _ => {}
            }
            inside.0.call("set up", "lo", Message::new(bridge::NEWLINK, 0, &link_header(1, UP, UP)))?;
            Ok((namespace, inside))
        })?
    }

    /// The one of the thread that asks.
    pub fn of_this_thread() -> Result<Self> {
        Self::open(Path::new(OWN))
    }

    /// The one that a file is: bound, or in `/proc`.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(io("open", path.to_string_lossy()))?;
        Ok(Self { fd })
    }

    /// Binds it to a file, made for it. It then lasts until [`unbind`].
    pub fn bind(&self, path: &Path) -> Result<()> {
        let name = path.to_string_lossy();
        fs::File::create(path).map_err(io("make", name.clone()))?;
        let from = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        mount_bind(from.as_str(), path).map_err(|errno| {
            // The first failure is the one to tell.
            fs::remove_file(path).ok();
            io("bind a network namespace to", name)(errno)
        })
    }

    /// Does something on a thread that is in it. Costs a thread.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_a_thread(|| {
            longshore_sys::namespace::join(self.fd.as_fd(), NEWNET)
                .map_err(io("enter", "a network namespace"))?;
            Ok(work())
        })?
    }

    /// Its links.
    pub fn inside(&self) -> Result<Inside> {
        Ok(Inside(self.enter(|| Socket::open(Family::Route))??))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Ends what [`Namespace::bind`] did. None is fine. The kernel takes the namespace away later, many at once.
pub fn unbind(path: &Path) -> Result<()> {
    let name = || path.to_string_lossy();
    match unmount(path, UnmountFlags::DETACH) {
        // Not bound, or not there.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
        Err(errno) => return Err(io("unmount", name())(errno)),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", name())(error)),
        _ => Ok(()),
    }
}

impl Inside {
    pub(crate) fn socket(&mut self) -> &mut Socket {
        &mut self.0
    }

    /// Leads everything else to `gateway`, in place of who did.
    pub fn set_default_route(&mut self, gateway: Ipv4Addr) -> Result<()> {
        // AF_INET, table main, of boot, everywhere, unicast.
        let header = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        let message = Message::new(24, CREATE | REPLACE, &header).put(5, &gateway.octets());
        self.0.call("add default route", &gateway.to_string(), message)
    }

    /// The same of IPv6.
    pub fn set_default_route6(&mut self, gateway: Ipv6Addr) -> Result<()> {
        // AF_INET6, table main, of boot, everywhere, unicast.
        let header = [10, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        let message = Message::new(24, CREATE | REPLACE, &header).put(5, &gateway.octets());
        self.0.call("add default route", &gateway.to_string(), message)
    }

    /// Takes an address from a link: nobody answers for it from here on. That there is no such is fine.
    pub fn drop_address(&mut self, link: &str, address: Ipv4Addr, subnet: Subnet) -> Result<()> {
        let gone = |error: &Error| matches!(error.errno(), Some(Errno::NODEV | Errno::ADDRNOTAVAIL));
        let index = match bridge::index(&mut self.0, link) {
            Err(error) if gone(&error) => return Ok(()),
            other => other?,
        };
        match self.0.call("take address from", link, bridge::delete_address(index, address, subnet)) {
            Err(error) if gone(&error) => Ok(()),
            other => other,
        }
    }

    /// The names of its links, without the loopback's.
    pub fn names(&mut self) -> Result<Vec<String>> {
        Ok(self.links()?.into_iter().map(|(name, _)| name).collect())
    }

    /// The names and addresses of its links, without the loopback's.
    pub fn links(&mut self) -> Result<Vec<(String, Mac)>> {
        let bodies = self.0.dump("list", "links", Message::new(18, 0, &link_header(0, 0, 0)))?;
        let link = |body: &Vec<u8>| {
            let list = crate::netlink::attributes(body.get(16..)?);
            let name = list.name(bridge::IFLA_IFNAME).filter(|name| *name != "lo")?;
            let mac = list.get(bridge::IFLA_ADDRESS).and_then(|bytes| bytes.try_into().ok());
            Some((name.to_owned(), Mac(mac.unwrap_or_default())))
        };
        Ok(bodies.iter().filter_map(link).collect())
    }
}

/// Namespaces are a thread's: one of its own, so that no other task is ever in the wrong one.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<Result<T>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("netns".into()).spawn_scoped(scope, work);
        let thread = thread.map_err(io("start", "a thread"))?;
        thread.join().map_err(|panic| std::panic::resume_unwind(panic))
    })
}
