use std::{
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use longshore_sys::pidfd;
use longshore_types::ContainerId;
use rustix::io::Errno;

use super::{SIGKILL, log::now};
use crate::{
    cgroup::{Cgroup, CgroupError},
    external::External,
    wire::{Exit, ExitRecord},
};

/// The container as its monitor holds it.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) started_at: u64,
    pub(super) cgroup: Cgroup,
    /// Other processes of the container outlive its init: they are in no PID namespace of its own.
    pub(super) shares_pids: bool,
    /// Whether the cgroup goes with the container.
    pub(super) remove_cgroup: bool,
    /// The runtime that made it, where that is another's.
    pub(super) external: Option<(External, ContainerId)>,
    /// It was frozen here, and not thawed since.
    pub(super) paused: bool,
    /// Whether its init was sent SIGKILL. Frozen on its way to its end it would never get there.
    pub(super) killed: bool,
}

impl Container {
    /// Sends a signal to every process in the cgroup. Those that end meanwhile are fine.
    pub(super) fn signal_all(&self, signal: i32) -> Result<(), Errno> {
        let pids = self.cgroup.pids(true).map_err(|_| Errno::IO)?;
        let mut result = Ok(());
        for pid in pids {
            match pidfd::open(pid).and_then(|process| pidfd::send_signal(process.as_fd(), signal)) {
                Ok(()) => {}
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::SRCH) | None => {}
                    Some(errno) => result = Err(errno),
                },
            }
        }
        result
    }

    /// Stops all processes in the cgroup, and waits until they are stopped.
    pub(super) fn pause(&mut self) -> Result<(), CgroupError> {
        self.cgroup.freeze()?;
        self.paused = true;
        Ok(())
    }

    /// Lets them go on; fine where they do.
    pub(super) fn resume(&mut self) -> Result<(), CgroupError> {
        if self.paused {
            self.cgroup.thaw()?;
            self.paused = false;
        }
        Ok(())
    }

    /// Ends what is left after the init.
    pub(super) fn kill_rest(&self) {
        if self.shares_pids {
            // A process that cannot be killed is not this monitor's to wait for.
            self.signal_all(SIGKILL).ok();
        }
    }

    /// The record of the init's end, which has just been learnt of.
    pub(super) fn exit_record(&self, exit: Exit) -> ExitRecord {
        ExitRecord {
            pid: self.pid,
            exit_code: exit.code,
            signal: exit.signal,
            oom_killed: self.oom_kills() > 0,
            started_at: self.started_at,
            exited_at: now(),
            unrecorded: None,
        }
    }

    /// How many of its processes the kernel has killed for want of memory in the cgroup; 0 where
    /// it does not count.
    fn oom_kills(&self) -> u64 {
        let Some(directory) = self.cgroup.path("memory").map(PathBuf::from) else { return 0 };
        ["memory.events", "memory.oom_control"]
            .iter()
            .find_map(|name| std::fs::read_to_string(directory.join(name)).ok())
            .and_then(|text| {
                text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
            })
            .unwrap_or_default()
    }
}
