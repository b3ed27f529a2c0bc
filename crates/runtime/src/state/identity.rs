use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use longshore_sys::pidfd;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

/// A process named so that a later process with the same number is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Its number in the PID namespace of whoever runs the command line.
    pub pid: i32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
    pub start_ticks: u64,
}

/// Whether a process still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    Alive,
    /// It ended, and its parent has not waited for it yet.
    Zombie,
    Gone,
}

impl Identity {
    /// Takes the identity of the running process `pid`.
    ///
    /// # Errors
    /// `NotFound` when there is no such process.
    pub fn of(pid: i32) -> io::Result<Self> {
        let (_, start_ticks) = read_stat(pid)?;
        Ok(Self { pid, start_ticks })
    }

    /// Whether this very process is still there. A `/proc` that cannot be read says "gone".
    #[must_use]
    pub fn liveness(self) -> Liveness {
        match read_stat(self.pid) {
            Ok((_, ticks)) if ticks != self.start_ticks => Liveness::Gone,
            Ok((b'Z' | b'X' | b'x', _)) => Liveness::Zombie,
            Ok(_) => Liveness::Alive,
            Err(_) => Liveness::Gone,
        }
    }

    /// Opens a pidfd of this very process; `None` when it ended.
    ///
    /// # Errors
    /// What `pidfd_open(2)` says, other than that there is no such process.
    pub fn open(self) -> io::Result<Option<OwnedFd>> {
        let fd = match pidfd::open(self.pid) {
            Ok(fd) => fd,
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_such_process(&error) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // Only now compare: from here on the number cannot go to another process unnoticed.
        Ok((self.liveness() == Liveness::Alive).then_some(fd))
    }

    /// Sends `signal` to this very process; `false` when it ended.
    ///
    /// # Errors
    /// What `pidfd_send_signal(2)` says, other than that there is no such process.
    pub fn signal(self, signal: i32) -> io::Result<bool> {
        let Some(fd) = self.open()? else { return Ok(false) };
        match pidfd::send_signal(fd.as_fd(), signal) {
            Ok(()) => Ok(true),
            Err(error) if is_no_such_process(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_no_such_process(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The state letter and the start time of `pid`.
fn read_stat(pid: i32) -> io::Result<(u8, u64)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(format!("/proc/{pid}/stat"), flags, Mode::empty())?;
    // About 300 bytes; one read gives a line of one moment.
    let mut text = [0; 1024];
    let length = rustix::io::read(&file, &mut text)?;
    parse_stat(&text[..length]).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// State (field 3) and start time (field 22) of a line of `/proc/<pid>/stat`.
fn parse_stat(line: &[u8]) -> Option<(u8, u64)> {
    // Field 2, the name, may itself hold spaces and parentheses; nothing after it does.
    let name_end = line.iter().rposition(|&byte| byte == b')')?;
    let rest = str::from_utf8(&line[name_end + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let start = fields.nth(18)?.parse().ok()?;
    Some((state, start))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{Identity, Liveness, parse_stat};

    #[test]
    fn a_name_cannot_forge_fields() {
        let line = b"7 (a) Z 1 (b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 99 1\n";
        assert_eq!(parse_stat(line), Some((b'S', 12345)));
        for broken in [&b""[..], b"7 (x)", b"7 (x) S 1 2", b"7 x S 1"] {
            assert_eq!(parse_stat(broken), None);
        }
    }

    #[test]
    fn knows_itself_and_nobody_else() {
        let own = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(own.liveness(), Liveness::Alive);
        assert!(own.signal(0).unwrap());
        let reused = Identity { start_ticks: own.start_ticks + 1, ..own };
        assert_eq!(reused.liveness(), Liveness::Gone);
        assert!(reused.open().unwrap().is_none());
        assert!(!reused.signal(0).unwrap());
    }

    #[test]
    fn tells_a_zombie_from_the_living() {
        let mut child = Command::new("/proc/self/exe")
            .arg("--list")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        let mut output = child.stdout.take().unwrap();
        std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        let fd = longshore_sys::pidfd::open(identity.pid).unwrap();
        let mut poll = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut poll, None).unwrap();
        assert_eq!(identity.liveness(), Liveness::Zombie);
        assert!(identity.open().unwrap().is_none());
        child.wait().unwrap();
        assert_eq!(identity.liveness(), Liveness::Gone);
    }
}
