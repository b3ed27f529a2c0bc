//! Signals to every process of a container.

use std::io;

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};

use super::{Cgroup, CgroupError, file, layout::Version};

/// How often to look for processes that were forked while others were killed.
const ROUNDS: usize = 20;

impl Cgroup {
    /// Sends `signal` to all processes of the container, in cgroups below its own too.
    ///
    /// `SIGKILL` ends a frozen container also. Other signals reach a frozen one when it is thawed,
    /// which it is not here.
    pub fn kill_all(&self, signal: Signal) -> Result<(), CgroupError> {
        let at_once = signal == Signal::KILL && self.kill_at_once()?;
        if at_once && self.groups.len() == 1 {
            return Ok(());
        }
        // With version 1 mounted too, a process may have left the version 2 cgroup alone.
        let was_frozen = self.is_frozen()?;
        // Best effort: without it, what is forked in between survives, until the next round.
        let frozen = was_frozen || (!at_once && self.freeze().is_ok());
        let sent = self.send(signal, if frozen || signal != Signal::KILL { 1 } else { ROUNDS });
        if frozen && (!was_frozen || signal == Signal::KILL) {
            self.thaw()?;
        }
        sent
    }

    /// Kills all of the version 2 cgroup by `cgroup.kill` (Linux 5.14). Returns whether there is one.
    fn kill_at_once(&self) -> Result<bool, CgroupError> {
        const KILL: &str = "cgroup.kill";
        let Some(group) = self.groups.iter().find(|group| group.version == Version::V2) else {
            return Ok(false);
        };
        match file::write(&group.dir, KILL, "1") {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => {
                Err(CgroupError::Control { path: group.path.join(KILL), value: "1".to_owned(), source })
            }
        }
    }

    fn send(&self, signal: Signal, rounds: usize) -> Result<(), CgroupError> {
        let mut seen = Vec::new();
        for _ in 0..rounds {
            let pids = self.pids(true)?;
            let new: Vec<i32> = pids.into_iter().filter(|pid| !seen.contains(pid)).collect();
            if new.is_empty() {
                break;
            }
            for pid in &new {
                // 0 stands for a process outside of this PID namespace.
                let Some(process) = Pid::from_raw(*pid).filter(|_| *pid > 0) else { continue };
                match kill_process(process, signal) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(error) => return Err(CgroupError::Signal { pid: *pid, source: error.into() }),
                }
            }
            seen.extend(new);
        }
        Ok(())
    }
}
