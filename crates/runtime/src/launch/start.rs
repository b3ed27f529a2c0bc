use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType},
};

use super::{LaunchError, address, connect_to};
use crate::{
    spawner,
    wire::{self, Kind, Reply},
};

/// Held by whoever starts the spawner.
const LOCK: &str = "spawner.lock";

/// Opens the spawner's directory, made when absent, and checks that it is nobody else's.
pub(super) fn open_directory(path: &Path) -> Result<OwnedFd, LaunchError> {
    let fail = |operation| {
        move |errno: Errno| LaunchError::Directory { operation, path: path.into(), source: errno.into() }
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|source| LaunchError::Directory {
            operation: "create",
            path: parent.into(),
            source,
        })?;
    }
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(fail("create")(errno)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(fail("open"))?;
    let status = rustix::fs::fstat(&directory).map_err(fail("examine"))?;
    if status.st_uid != rustix::process::geteuid().as_raw() || status.st_mode & 0o077 != 0 {
        return Err(LaunchError::Exposed { path: path.into() });
    }
    Ok(directory)
}

/// Starts a spawner and connects to it. Of several callers at once one starts it, under a lock, and
/// the others find it.
pub(super) fn start(directory: BorrowedFd<'_>, path: &Path, binary: &Path) -> Result<OwnedFd, LaunchError> {
    let fail = |operation| {
        move |errno: Errno| LaunchError::Directory { operation, path: path.into(), source: errno.into() }
    };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::openat(directory, LOCK, flags, Mode::RUSR | Mode::WUSR).map_err(fail("lock"))?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))
        .map_err(fail("lock"))?;
    if let Ok(socket) = connect_to(directory, spawner::SOCKET) {
        return Ok(socket);
    }
    // The socket listens before the program starts, so clients wait in its queue and nobody has to
    // be told that it is ready.
    let listener = listen(directory).map_err(fail("listen in"))?;
    let start = |source: io::Error| LaunchError::Start { binary: binary.into(), source };
    let environment =
        std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"LONGSHORE_"));
    let output = Command::new(binary)
        .args(["spawner", "--socket-fd", "0"])
        .env_clear()
        .envs(environment)
        .current_dir("/")
        .stdin(Stdio::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(start)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(LaunchError::SpawnerFailed { binary: binary.into(), status: output.status, message });
    }
    let socket = connect_to(directory, spawner::SOCKET).map_err(|_| LaunchError::SpawnerGone)?;
    ping(&socket)?;
    Ok(socket)
}

/// Asks the spawner at `socket` for its PID.
pub(super) fn ping(socket: &OwnedFd) -> Result<u32, LaunchError> {
    wire::send(socket, Kind::Ping, 1, &[], &[])?;
    let Some(received) = wire::receive(socket)? else { return Err(LaunchError::SpawnerGone) };
    match wire::decode(&received.payload)? {
        Reply::Pong { pid, .. } => Ok(pid),
        Reply::Refused(refusal) => Err(LaunchError::Refused(refusal)),
        other => Err(LaunchError::Unexpected { what: format!("{other:?}") }),
    }
}

fn listen(directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    match rustix::fs::unlinkat(directory, spawner::SOCKET, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::bind(&socket, &address(directory.as_fd(), spawner::SOCKET)?)?;
    rustix::net::listen(&socket, 1024)?;
    Ok(socket)
}
