//! Stopping and continuing all processes of a container at once.

use std::{
    io,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{self, Mode, OFlags},
};

use super::{Cgroup, CgroupError, Group, file, layout::Version, process::gone};

/// How long the kernel may take to stop the last process; one that sleeps uninterruptibly may be
/// at it for long.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Freezes all processes of the container, in cgroups below its own too, and waits until they are.
    ///
    /// # Errors
    /// `Timeout` after 10 s, the container thawed again; `Absent` where there is no freezer.
    pub fn freeze(&self) -> Result<(), CgroupError> {
        let group = self.freezer()?;
        let frozen = match group.version {
            Version::V1 => freeze_v1(group),
            Version::V2 => switch_v2(group, true),
        };
        frozen.inspect_err(|_| {
            // Half frozen is worse than either.
            thaw(group).ok();
        })
    }

    /// Lets a frozen container go on.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        thaw(self.freezer()?)
    }

    /// Whether the container itself is frozen; `false` where there is no freezer.
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        self.group("freezer").map_or(Ok(false), is_frozen)
    }

    fn freezer(&self) -> Result<&Group, CgroupError> {
        self.group("freezer").ok_or(CgroupError::Absent { controller: "freezer" })
    }
}

/// Whether `group` is frozen by itself, not through a cgroup above it.
pub(super) fn is_frozen(group: &Group) -> Result<bool, CgroupError> {
    let name = match group.version {
        Version::V2 => "cgroup.freeze",
        Version::V1 if group.controllers.iter().any(|name| name == "freezer") => "freezer.self_freezing",
        Version::V1 => return Ok(false),
    };
    match file::read(&group.dir, name) {
        Ok(content) => Ok(content.trim() == "1"),
        Err(error) if gone(&error) => Ok(false),
        Err(source) => Err(CgroupError::Read { path: group.path.join(name), source }),
    }
}

fn thaw(group: &Group) -> Result<(), CgroupError> {
    match group.version {
        Version::V1 => command(group, "freezer.state", "THAWED"),
        Version::V2 => switch_v2(group, false),
    }
}

fn command(group: &Group, name: &str, value: &str) -> Result<(), CgroupError> {
    file::write(&group.dir, name, value).map_err(|source| CgroupError::Control {
        path: group.path.join(name),
        value: value.to_owned(),
        source,
    })
}

/// Version 1 has no event for "frozen", and misses processes that are forked meanwhile until it is
/// told again (kernel: `freezer-subsystem.rst`).
fn freeze_v1(group: &Group) -> Result<(), CgroupError> {
    const STATE: &str = "freezer.state";
    let (begin, mut pause) = (Instant::now(), Duration::from_micros(20));
    loop {
        command(group, STATE, "FROZEN")?;
        let state = file::read(&group.dir, STATE)
            .map_err(|source| CgroupError::Read { path: group.path.join(STATE), source })?;
        if state.trim() == "FROZEN" {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err(timeout(group, "frozen"));
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

fn timeout(group: &Group, state: &'static str) -> CgroupError {
    CgroupError::Timeout { path: group.path.clone(), state, seconds: PATIENCE.as_secs() }
}

/// Writes `cgroup.freeze` and waits for `cgroup.events` to follow.
fn switch_v2(group: &Group, frozen: bool) -> Result<(), CgroupError> {
    const EVENTS: &str = "cgroup.events";
    command(group, "cgroup.freeze", if frozen { "1" } else { "0" })?;
    let (begin, state) = (Instant::now(), if frozen { "frozen" } else { "thawed" });
    let failed = |source: io::Error| CgroupError::Read { path: group.path.join(EVENTS), source };
    let events = fs::openat(&group.dir, EVENTS, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| failed(error.into()))?;
    let wanted = if frozen { "frozen 1" } else { "frozen 0" };
    loop {
        fs::seek(&events, fs::SeekFrom::Start(0)).map_err(|error| failed(error.into()))?;
        if file::read_fd(&events).map_err(failed)?.lines().any(|line| line == wanted) {
            return Ok(());
        }
        let left = PATIENCE.checked_sub(begin.elapsed()).ok_or_else(|| timeout(group, state))?;
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        // A cgroup above may hold this one frozen: no change will come then, and the time runs out.
        match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
}
