//! The container's share of the host's network devices (`linux.netDevices`).
//!
//! Each device goes to the container's network namespace under its new name, with its permanent
//! addresses of global scope, and is set up there. What the kernel refuses stays as it was: the device
//! is not set down before, since the move itself does that. When a later device fails, those before it
//! stay with the namespace, whose end is theirs too (config-linux.md, Network Devices; as runc does).

mod address;
mod netlink;

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use longshore_sys::{clone::flags, namespace};
use rustix::{
    fs::{Mode, OFlags, fstat},
    io::Errno,
};

use crate::{
    init::{At, Step, StepError},
    spec::NetDevice,
};
use address::Address;
use netlink::{Request, Socket, flag, kind};

/// Attributes of a link.
const NAME: u16 = 3;
const NAMESPACE_FD: u16 = 28;
/// The flag of a link that is up.
const UP: u32 = 1;
/// How often a list is read again because it changed meanwhile.
const MAX_TRIES: u32 = 16;
/// As many devices as the kernel numbers by one template.
const MAX_NUMBER: u32 = 32 * 1024;

/// The network namespace of this thread.
const HOME: &str = "/proc/thread-self/ns/net";

/// Moves `devices` from this thread's network namespace to that of the process `pid`.
pub(super) fn move_all(devices: &BTreeMap<String, NetDevice>, pid: i32) -> Result<(), StepError> {
    let path = format!("/proc/{pid}/ns/net");
    let target = open_namespace(&path).on(Step::Namespace, path)?;
    move_into(devices, target.as_fd())
}

/// Moves `devices` from this thread's network namespace to `target`, for a container that joins it.
pub(super) fn move_into(
    devices: &BTreeMap<String, NetDevice>,
    target: BorrowedFd<'_>,
) -> Result<(), StepError> {
    let home = open_namespace(HOME).on(Step::Namespace, HOME)?;
    if is_same(home.as_fd(), target).on(Step::Namespace, HOME)? {
        let text = "the container's network namespace is the one that they are in";
        return Err(io::Error::other(text)).on(Step::NetDevice, "of linux.netDevices");
    }
    let mut here = Socket::open().on(Step::NetDevice, "by rtnetlink")?;
    let mut there = open_in(target, home.as_fd())?;
    devices.iter().try_for_each(|(name, device)| move_one(&mut here, &mut there, target, name, &device.name))
}

fn open_namespace(path: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Opens a socket in `target`; this thread is back `home` afterwards.
fn open_in(target: BorrowedFd<'_>, home: BorrowedFd<'_>) -> Result<Socket, StepError> {
    namespace::join(target, flags::NEWNET).on(Step::Namespace, "of the container's network")?;
    let socket = Socket::open();
    namespace::join(home, flags::NEWNET).on(Step::Namespace, "of the caller's network")?;
    socket.on(Step::NetDevice, "by rtnetlink")
}

fn move_one(
    here: &mut Socket,
    there: &mut Socket,
    target: BorrowedFd<'_>,
    name: &str,
    wanted: &str,
) -> Result<(), StepError> {
    let index = find(here, name).and_then(|found| found.ok_or(Errno::NODEV.into()));
    let index = index.on(Step::NetDevice, name)?;
    // Before the move: it takes them away.
    let addresses = addresses(here, index).on(Step::NetDevice, format_args!("{name}: list its addresses"))?;
    let wanted = if wanted.is_empty() { name } else { wanted };
    // Before the move: the kernel renames after it, so a name in use would leave the device there.
    let new = free_name(there, wanted).on(Step::NetDevice, format_args!("{name} as {wanted}"))?;
    let request = link(index, 0)
        .with(NAME, &terminated(&new))
        .with(NAMESPACE_FD, &target.as_raw_fd().cast_unsigned().to_ne_bytes());
    here.tell(request).on(Step::NetDevice, format_args!("{name} as {new}"))?;
    // It has another number if its own was taken there.
    let index = find(there, &new).and_then(|found| found.ok_or(Errno::NODEV.into()));
    let index = index.on(Step::NetDevice, format_args!("{name}: find {new} in the container"))?;
    for address in &addresses {
        let added = there.tell(address.request(index));
        added.on(Step::NetDevice, format_args!("{name}: add {address} to {new} in the container"))?;
    }
    let up = there.tell(link(index, UP));
    up.on(Step::NetDevice, format_args!("{name}: set {new} up in the container"))
}

/// A change of the device `index`, with the flags `set` added to its own.
fn link(index: u32, set: u32) -> Request {
    Request::new(kind::NEW_LINK, flag::ACK, &link_part(index, set))
}

/// The fixed part of a link's message: family and type (none), number, flags, and which flags count.
fn link_part(index: u32, set: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&set.to_ne_bytes());
    fixed[12..].copy_from_slice(&set.to_ne_bytes());
    fixed
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

/// The number of the device `name`, if there is one.
fn find(socket: &mut Socket, name: &str) -> io::Result<Option<u32>> {
    let request = Request::new(kind::GET_LINK, flag::ACK, &link_part(0, 0)).with(NAME, &terminated(name));
    let mut index = None;
    let answer = socket.ask(request, |got, payload| {
        if got == kind::NEW_LINK {
            index = netlink::u32_at(payload, 4);
        }
    });
    match answer {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => Ok(None),
        answer => answer.map(|()| index),
    }
}

/// The addresses of the device `index` that go with it.
fn addresses(socket: &mut Socket, index: u32) -> io::Result<Vec<Address>> {
    let mut tries = 0;
    loop {
        let mut found = Vec::new();
        let request = Request::new(kind::GET_ADDRESS, flag::DUMP, &[0; 8]);
        let answer = socket.ask(request, |got, payload| {
            if got == kind::NEW_ADDRESS {
                found.extend(Address::parse(payload, index));
            }
        });
        tries += 1;
        match answer {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && tries < MAX_TRIES => {}
            answer => return answer.map(|()| found),
        }
    }
}

/// The name itself if no device there has it; a template with `%d`, with the least number that is free.
fn free_name(there: &mut Socket, wanted: &str) -> io::Result<String> {
    if !wanted.contains("%d") {
        return match find(there, wanted)? {
            None => Ok(wanted.to_owned()),
            Some(_) => Err(taken("the container's network namespace has a device of that name")),
        };
    }
    const MAX_NAME: usize = 15;
    let candidates = (0..MAX_NUMBER).map(|number| wanted.replacen("%d", &number.to_string(), 1));
    for name in candidates.take_while(|name| name.len() <= MAX_NAME) {
        if find(there, &name)?.is_none() {
            return Ok(name);
        }
    }
    Err(taken("the container's network namespace has all of these names"))
}

fn taken(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, text)
}

#[cfg(test)]
mod tests;
