//! Network interfaces of the current network namespace, as far as a container's start needs them.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use crate::check;

/// `IFF_UP | IFF_RUNNING` in the type of the request's field.
const UP_AND_RUNNING: libc::c_short = 0x41;

/// Sets the loopback interface up.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: integers alone.
    let fd = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }.into())?;
    // SAFETY: the call just made it and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) };
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = UP_AND_RUNNING;
    // SAFETY: the request reads an `ifreq`.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }.into())?;
    Ok(())
}

/// `ETHTOOL_GLINK`.
const GET_LINK: u32 = 0xa;

/// `struct ethtool_value`.
#[repr(C)]
#[derive(Debug)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Whether the interface `name` has a carrier, in the network namespace of `socket`, which may be of any kind. A
/// change of it that is still to be worked off by the kernel is worked off first (since Linux 6.7).
pub fn carrier(socket: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    let mut value = EthtoolValue { command: GET_LINK, data: 0 };
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request reads an `ifreq` and reads and writes the `ethtool_value` that it points to; both outlive it.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) }.into())?;
    Ok(value.data != 0)
}
