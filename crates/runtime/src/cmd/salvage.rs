//! What `delete --force` can do about a container whose record cannot be read.

use std::{fs, os::fd::AsFd};

use longshore_runtime::{
    cgroup::{self, Cgroup, Driver, GroupRecord, Hierarchy, Layout, Record, Version},
    state::{Dir, EXEC_FIFO, Identity},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::Signal,
};

use super::{failure::Failure, global::Global, log::chain, signal};

/// Ends what can still be found of the container of `dir`, and removes the directory.
///
/// Its cgroups are known from the spec if that is whole, or from an init that waits. They are not
/// guessed from the ID: somebody else's container may have that name.
pub(super) fn salvage(global: &Global, dir: Dir) -> Result<(), Failure> {
    let host = Layout::detect()?;
    let inits = waiting(&dir);
    let mut records = Vec::new();
    for init in &inits {
        records.extend(Layout::of_process(init.pid).ok().map(|seen| cgroups_of(&seen, &host)));
    }
    for init in inits {
        end(init)?;
    }
    match dir.spec() {
        Ok(spec) => {
            let driver = if global.systemd_cgroup { Driver::Systemd } else { Driver::Cgroupfs };
            let plan = cgroup::plan(&spec, dir.id(), driver, &host, global.rootless)?;
            Cgroup::open(&plan.record())?.kill_all(Signal::KILL)?;
            records.push(plan.record());
        }
        Err(error) if records.is_empty() => global.log.warning(&format!(
            "the cgroups of container {} are unknown and left alone: {}",
            dir.id(),
            chain(&error)
        )),
        Err(_) => {}
    }
    for record in records {
        Cgroup::open(&record)?.remove()?;
    }
    Ok(dir.remove()?)
}

/// Kills `init` and waits for its end.
fn end(init: Identity) -> Result<(), Failure> {
    let failed = |source| Failure::System { action: "kill init", source };
    let Some(process) = init.open().map_err(failed)? else { return Ok(()) };
    init.signal(signal::KILL).map_err(failed)?;
    let mut fds = [PollFd::new(&process, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut fds, None)).map_err(|errno| failed(errno.into()))?;
    Ok(())
}

/// The cgroups that a process has to itself: where `seen`, its hierarchies, differ from ours.
fn cgroups_of(seen: &Layout, host: &Layout) -> Record {
    let own = |group: &&Hierarchy| !group.own.as_os_str().is_empty() && !host.hierarchies().contains(group);
    let groups = seen.hierarchies().iter().filter(own).map(|group| GroupRecord {
        version: if group.version == Version::V1 { 1 } else { 2 },
        controllers: group.controllers.clone(),
        path: group.mountpoint.join(&group.own),
    });
    Record { driver: Driver::Cgroupfs, unit: None, groups: groups.collect() }
}

/// The processes that wait for `start` at this container's FIFO. Nobody else keeps it open.
fn waiting(dir: &Dir) -> Vec<Identity> {
    let Ok(gate) = rustix::fs::statat(dir.as_fd(), EXEC_FIFO, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) else {
        return Vec::new();
    };
    let is_gate = |path: std::path::PathBuf| {
        rustix::fs::stat(&path).is_ok_and(|file| (file.st_dev, file.st_ino) == (gate.st_dev, gate.st_ino))
    };
    let holds_gate = |pid: i32| {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
        entries.flatten().any(|entry| is_gate(entry.path()))
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| holds_gate(*pid)).filter_map(|pid| Identity::of(pid).ok()).collect()
}

#[cfg(test)]
mod tests {
    use longshore_runtime::state::{Identity, Root};
    use longshore_types::ContainerId;
    use rustix::fs::{Mode, OFlags};

    use super::{EXEC_FIFO, waiting};

    #[test]
    fn whoever_waits_at_the_gate_is_found() {
        let scratch = std::env::temp_dir().join(format!("longshore-salvage-{}", std::process::id()));
        std::fs::create_dir(&scratch).unwrap();
        let dir = Root::new(&scratch).create(&ContainerId::new("c").unwrap()).unwrap();
        assert_eq!(waiting(&dir), []);
        rustix::fs::mkfifoat(&dir, EXEC_FIFO, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(waiting(&dir), []);
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let gate = rustix::fs::openat(&dir, EXEC_FIFO, flags, Mode::empty()).unwrap();
        let own = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(waiting(&dir), [own]);
        drop(gate);
        dir.remove().unwrap();
        std::fs::remove_dir(&scratch).unwrap();
    }
}
