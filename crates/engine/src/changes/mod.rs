//! What a container has changed of its image's files.

use std::{
    collections::BTreeSet,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use longshore_archive::diff;
pub use longshore_archive::diff::{Change, ChangeKind};
use longshore_store::Store;
use longshore_types::Kind;
use rustix::fs::{Mode, OFlags, openat};

/// Why changes could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the writable layer {snapshot} of the container")]
    Store { snapshot: u64, source: longshore_store::Error },
    #[error("open the layers of the image")]
    Layers(#[source] std::io::Error),
    #[error("compare the container with its image")]
    Compare(#[from] diff::Error),
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store { source, .. } => source.kind(),
            Self::Layers(_) => Kind::Internal,
            Self::Compare(error) => error.kind(),
        }
    }
}

/// Compares the snapshot with the layers that it stands on, in Docker's order. Blocks.
pub fn list(store: &Store, snapshot: u64) -> Result<Vec<Change>, Error> {
    let fail = |source| Error::Store { snapshot, source };
    let found = store.find_snapshot(snapshot).map_err(fail)?;
    let upper = found.upper().map_err(fail)?;
    let lower = store.mount_layers(found.layers()).map_err(fail)?;
    // A detached mount can be looked up in, and not be read.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lower = openat(&lower, c".", flags, Mode::empty()).map_err(|errno| Error::Layers(errno.into()))?;
    Ok(without_own(diff::changes(upper.as_fd(), lower.as_fd())?))
}

/// What a start makes for its own files and file systems to be mounted on; Docker has them in a layer below the
/// container's.
const OWN: [&str; 9] = [
    "/dev",
    "/dev/console",
    "/dev/pts",
    "/dev/shm",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
];

/// Leaves them out, and their directory with them where nothing else happened in it.
fn without_own(mut changes: Vec<Change>) -> Vec<Change> {
    let is_own = |change: &Change| {
        change.kind == ChangeKind::Added && OWN.iter().any(|own| change.path == Path::new(own))
    };
    let own = changes.iter().filter(|change| is_own(change));
    let above: BTreeSet<PathBuf> =
        own.filter_map(|change| change.path.parent().map(Path::to_path_buf)).collect();
    changes.retain(|change| !is_own(change));
    for directory in above {
        let other = |change: &Change| change.path != directory && change.path.starts_with(&directory);
        if !changes.iter().any(other) {
            changes.retain(|change| change.path != directory);
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::{Change, ChangeKind, without_own};

    #[test]
    fn what_a_start_makes_is_no_change() {
        let change = |kind, path: &str| Change { kind, path: path.into() };
        let etc = change(ChangeKind::Modified, "/etc");
        let hosts = change(ChangeKind::Added, "/etc/hosts");
        let own = change(ChangeKind::Added, "/etc/own");
        assert_eq!(without_own(vec![etc.clone(), hosts.clone()]), []);
        assert_eq!(without_own(vec![etc.clone(), hosts, own.clone()]), [etc.clone(), own]);
        assert_eq!(without_own(vec![etc.clone()]), [etc]);
        let shown = change(ChangeKind::Modified, "/dev");
        let made = ["/dev/pts", "/proc", "/sys"].map(|path| change(ChangeKind::Added, path));
        assert_eq!(without_own([vec![shown], made.to_vec()].concat()), []);
        let gone = change(ChangeKind::Deleted, "/etc/hosts");
        assert_eq!(without_own(vec![gone.clone()]), [gone]);
    }
}
