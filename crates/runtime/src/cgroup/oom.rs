//! Word from the kernel that a container ran out of memory.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{self, Mode, OFlags, inotify},
};

use super::{Cgroup, CgroupError, Group, file, layout::Version, process::gone};

/// What a readable [`OomWatch`] had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomEvent {
    /// Out of memory: version 1 before, version 2 after a process was killed for it.
    Oom,
    /// No process is left, or the cgroup is gone.
    End,
    /// Something else changed.
    Nothing,
}

/// A descriptor that becomes readable at each event of a container's memory.
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
    /// Version 1: the file whose events come through `fd`.
    _control: Option<OwnedFd>,
    dir: OwnedFd,
    version: Version,
    /// Version 2: how many processes had been killed when it was looked last.
    killed: u64,
}

impl Cgroup {
    /// Watches the container's memory.
    pub fn watch_oom(&self) -> Result<OomWatch, CgroupError> {
        let group = self.group("memory").ok_or(CgroupError::Absent { controller: "memory" })?;
        let watch = match group.version {
            Version::V1 => watch_v1(group),
            Version::V2 => watch_v2(group),
        };
        watch.map_err(|source| CgroupError::Watch { path: group.path.clone(), source })
    }

    /// How often the kernel killed a process of the container for want of memory.
    pub fn oom_kills(&self) -> Result<u64, CgroupError> {
        let Some(group) = self.group("memory") else { return Ok(0) };
        let name = match group.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        match value_of(&group.dir, name, "oom_kill") {
            Ok(count) => Ok(count),
            Err(error) if gone(&error) => Ok(0),
            Err(source) => Err(CgroupError::Read { path: group.path.join(name), source }),
        }
    }
}

fn watch_v1(group: &Group) -> io::Result<OomWatch> {
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let control =
        fs::openat(&group.dir, "memory.oom_control", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let request = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
    file::write(&group.dir, "cgroup.event_control", &request)?;
    let dir = group.dir.try_clone()?;
    Ok(OomWatch { fd, _control: Some(control), dir, version: Version::V1, killed: 0 })
}

fn watch_v2(group: &Group) -> io::Result<OomWatch> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    for name in ["memory.events", "cgroup.events"] {
        inotify::add_watch(&fd, group.path.join(name), inotify::WatchFlags::MODIFY)?;
    }
    let dir = group.dir.try_clone()?;
    let killed = value_of(&dir, "memory.events", "oom_kill")?;
    Ok(OomWatch { fd, _control: None, dir, version: Version::V2, killed })
}

/// The number after `key` in a file of lines `key number`; 0 without one.
fn value_of(dir: impl AsFd, name: &str, key: &str) -> io::Result<u64> {
    let content = file::read(dir, name)?;
    let value = content.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok());
    Ok(value.unwrap_or(0))
}

impl OomWatch {
    /// Takes what `poll` announced; [`OomEvent::Nothing`] also when there was nothing.
    pub fn read(&mut self) -> io::Result<OomEvent> {
        // One counter of eight bytes, or as many inotify events as fit: only that they came counts.
        match rustix::io::read(&self.fd, &mut [0_u8; 4096]) {
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(OomEvent::Nothing),
            Err(error) => return Err(error.into()),
        }
        match self.version {
            // The counter also rises when the cgroup is removed.
            Version::V1 => match file::read(&self.dir, "memory.oom_control") {
                Ok(_) => Ok(OomEvent::Oom),
                Err(error) if gone(&error) => Ok(OomEvent::End),
                Err(error) => Err(error),
            },
            Version::V2 => self.read_v2(),
        }
    }

    fn read_v2(&mut self) -> io::Result<OomEvent> {
        match value_of(&self.dir, "memory.events", "oom_kill") {
            Ok(killed) if killed > self.killed => {
                self.killed = killed;
                return Ok(OomEvent::Oom);
            }
            Err(error) if gone(&error) => return Ok(OomEvent::End),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        match value_of(&self.dir, "cgroup.events", "populated") {
            Ok(0) => Ok(OomEvent::End),
            Err(error) if gone(&error) => Ok(OomEvent::End),
            Ok(_) => Ok(OomEvent::Nothing),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
