//! The root of a container, as its processes see it or would see it.

use std::{
    io::Read,
    os::fd::{AsFd, OwnedFd},
};

use longshore_store::Over;
use longshore_types::container::MountType;
use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use super::{Error, PathStat, Result, Source, Target, Unpack};
use crate::container::{Container, Containers, Record};

impl Containers {
    /// Opens what is at a path of a container, running or not. Blocks.
    pub fn copy_from(&self, word: &str, path: &str) -> Result<Source> {
        let root = place(self, &self.find(word)?)?;
        Source::open(root.as_fd(), path, word)
    }

    /// What is at a path of a container, running or not. Blocks.
    pub fn path_stat(&self, word: &str, path: &str) -> Result<PathStat> {
        Ok(self.copy_from(word, path)?.stat)
    }

    /// Unpacks an archive in a directory of a container, running or not; `to_user` makes everything belong to the
    /// container's user. Blocks.
    pub fn copy_into(
        &self,
        word: &str,
        path: &str,
        unpack: Unpack<'_>,
        to_user: bool,
        archive: impl Read,
    ) -> Result<()> {
        let container = self.find(word)?;
        let record = container.record();
        let root = place(self, &container)?;
        let unpack = Unpack {
            owner: to_user.then_some(record.config.user.as_str()),
            root_read_only: record.host.readonly_rootfs,
            ..unpack
        };
        Target::open(root.as_fd(), path, word)?.unpack(root.as_fd(), &unpack, archive)
    }
}

/// The root with all that is mounted in it. A running container's is its own; of another the snapshot is mounted, and
/// the directories of the host that the container has.
fn place(containers: &Containers, container: &Container) -> Result<OwnedFd> {
    let record = container.record();
    let path = || record.name.clone();
    if record.state.phase.has_processes() {
        let root = containers.root(container)?;
        let root = root.as_fd().try_clone_to_owned();
        return root.map_err(|source| Error::Io { operation: "open the root of", path: path(), source });
    }
    let snapshot = record.snapshot;
    let fail = |source| Error::Store { snapshot, source };
    let found = containers.images().store().find_snapshot(snapshot).map_err(fail)?;
    let mount = found.mount_with(&over(&record)).map_err(fail)?;
    // A detached mount can be looked up in, and not be read; it stays as long as something of it is open.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(&mount, c".", flags, Mode::empty()).map_err(|errno: Errno| Error::Io {
        operation: "open the root of",
        path: path(),
        source: errno.into(),
    })
}

/// Volumes and directories of the host, outer ones first.
fn over(record: &Record) -> Vec<Over> {
    let kinds = [MountType::Bind, MountType::Volume];
    let wanted = record.mounts.iter().filter(|mount| kinds.contains(&mount.kind) && !mount.source.is_empty());
    let mut over: Vec<Over> = wanted
        .map(|mount| Over {
            source: mount.source.clone().into(),
            destination: mount.destination.clone().into(),
            read_only: !mount.rw,
        })
        .collect();
    over.sort_by_key(|over| over.destination.components().count());
    over
}
