//! Id mappings: of the container's user namespace, and of single mounts.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::Command,
};

use longshore_sys::{
    clone::{Cloned, clone3, flags},
    mount::{self as sys_mount, Change, attr},
    pidfd,
    process::exit_now,
};
use rustix::{
    fs::{Mode, OFlags},
    pipe::PipeFlags,
    process::{WaitId, WaitIdOptions, waitid},
};

use crate::{
    init::{At, Step, StepError},
    plan::{IdMap, MountKind, MountStep, Plan},
    rootfs::{self, Source},
    spec::{IdMapping, NamespaceKind},
};

const SHARED: u64 = 1 << 20;
const SLAVE: u64 = 1 << 19;

fn lines(map: &[IdMapping]) -> String {
    map.iter().map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.size)).collect()
}

/// Writes the maps of the process `pid`, which has just got a new user namespace.
pub(super) fn write(plan: &Plan, pid: i32) -> Result<(), StepError> {
    let namespaces = &plan.namespaces;
    if plan.rootless && rustix::process::geteuid().as_raw() != 0 {
        return write_unprivileged(plan, pid);
    }
    write_file(pid, "uid_map", &lines(&namespaces.uid_map))?;
    write_file(pid, "gid_map", &lines(&namespaces.gid_map))
}

fn write_file(pid: i32, name: &str, text: &str) -> Result<(), StepError> {
    // One write: the kernel takes a map whole or not at all.
    fs::write(format!("/proc/{pid}/{name}"), text)
        .on(Step::IdMap, format_args!("{} to {name}", text.trim_end().replace('\n', ", ")))
}

/// One id, the caller's own, may be mapped by anybody; more need the set-user-id helpers, which know
/// what `/etc/subuid` allows.
fn write_unprivileged(plan: &Plan, pid: i32) -> Result<(), StepError> {
    let (uid_map, gid_map) = (&plan.namespaces.uid_map, &plan.namespaces.gid_map);
    let own = |map: &[IdMapping], id: u32| matches!(map, [one] if one.size == 1 && one.host_id == id);
    if own(uid_map, rustix::process::geteuid().as_raw()) {
        write_file(pid, "uid_map", &lines(uid_map))?;
    } else {
        run_helper("newuidmap", pid, uid_map)?;
    }
    if own(gid_map, rustix::process::getegid().as_raw()) {
        write_file(pid, "setgroups", "deny")?;
        write_file(pid, "gid_map", &lines(gid_map))
    } else {
        run_helper("newgidmap", pid, gid_map)
    }
}

/// Runs the helper from the directories that only root can write (never from `PATH`).
fn run_helper(name: &str, pid: i32, map: &[IdMapping]) -> Result<(), StepError> {
    let path = ["/usr/bin", "/bin", "/usr/local/bin"]
        .iter()
        .map(|directory| format!("{directory}/{name}"))
        .find(|path| fs::exists(path).unwrap_or(false))
        .ok_or_else(|| io::Error::other("it is not installed (package uidmap)"))
        .on(Step::IdMap, name)?;
    let numbers = map.iter().flat_map(|m| [m.container_id, m.host_id, m.size]).map(|n| n.to_string());
    let output =
        Command::new(path).arg(pid.to_string()).args(numbers).env_clear().output().on(Step::IdMap, name)?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {}", output.status, text.trim()))).on(Step::IdMap, name)
}

/// Prepares the bind sources with the maker's rights. One entry for each mount of the plan.
///
/// In a user namespace the init may not be able to reach them, nor to id-map them, so the trees are opened here;
/// the init mounts them if it still sees the same when it is their turn. Without one it does all of it itself.
pub(super) fn open_sources(
    plan: &Plan,
    joined_user: Option<BorrowedFd<'_>>,
) -> Result<Vec<Source>, StepError> {
    plan.rootfs.mounts.iter().map(|step| open_one(plan, step, joined_user)).collect()
}

fn open_one(plan: &Plan, step: &MountStep, joined_user: Option<BorrowedFd<'_>>) -> Result<Source, StepError> {
    let MountKind::Bind { recursive } = step.kind else {
        if step.id_map.is_some() {
            return Err(io::Error::other("only a bind mount can be id-mapped"))
                .on(Step::Mount, &step.destination);
        }
        return Ok(Source::default());
    };
    let name = || format!("source {} of {}", step.source, step.destination);
    let map = step.id_map.as_ref().map(|map| map_of(plan, map, joined_user));
    let map = map.transpose().on(Step::IdMap, name())?;
    // With rights that are the same on both sides, the init does it, in the order of the mounts.
    let same_rights = !plan.namespaces.has(NamespaceKind::User) || plan.rootless && map.is_none();
    if same_rights {
        return Ok(Source { tree: None, map });
    }
    let tree = match rootfs::open_source(&step.source, recursive) {
        // It may come with an earlier mount.
        Err(error) if error.kind() == io::ErrorKind::NotFound && map.is_none() => {
            return Ok(Source::default());
        }
        tree => tree.on(Step::Mount, name())?,
    };
    if plan.rootfs.propagation & SHARED == 0 {
        // The clone is a peer of the host's mount, and what the init mounts on it would appear
        // there. Inside the init's namespace it would have been a slave.
        let change = Change { propagation: SLAVE, ..Change::default() };
        sys_mount::set_attributes(tree.as_fd(), true, change, None).on(Step::Mount, name())?;
    }
    if let (Some(namespace), Some(map)) = (map, &step.id_map) {
        let change = Change { set: attr::IDMAP, ..Change::default() };
        sys_mount::set_attributes(tree.as_fd(), map.recursive, change, Some(namespace.as_fd()))
            .on(Step::IdMap, name())?;
    }
    Ok(Source { tree: Some(tree), map: None })
}

/// A user namespace with the maps of a mount: its own, or the container's.
fn map_of(plan: &Plan, map: &IdMap, joined_user: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let namespaces = &plan.namespaces;
    match joined_user {
        Some(joined) if map.uid.is_empty() && !namespaces.makes(NamespaceKind::User) => {
            joined.try_clone_to_owned()
        }
        _ if map.uid.is_empty() => user_namespace(&namespaces.uid_map, &namespaces.gid_map),
        _ => user_namespace(&map.uid, &map.gid),
    }
}

/// A user namespace with these maps and no process in it.
fn user_namespace(uid_map: &[IdMapping], gid_map: &[IdMapping]) -> io::Result<OwnedFd> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    match clone3(flags::NEWUSER, None)? {
        Cloned::Child => {
            drop(writer);
            // Lives until the parent closes its end, by choice or by death.
            let mut byte = [0u8];
            rustix::io::read(&reader, &mut byte).ok();
            exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            let read = || -> io::Result<OwnedFd> {
                fs::write(format!("/proc/{pid}/uid_map"), lines(uid_map))?;
                fs::write(format!("/proc/{pid}/gid_map"), lines(gid_map))?;
                let path = format!("/proc/{pid}/ns/user");
                Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
            };
            let namespace = read();
            const KILL: i32 = 9;
            pidfd::send_signal(pidfd.as_fd(), KILL).ok();
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
            namespace
        }
    }
}
