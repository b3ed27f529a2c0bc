//! Removing cgroups, with their children.

use std::{io, path::Path, thread::sleep, time::Duration};

use rustix::{fs, io::Errno};

use super::{Cgroup, CgroupError, systemd};

/// How long a cgroup may stay busy with processes that are on their way out.
const TRIES: u32 = 12;

impl Cgroup {
    /// Removes the cgroups and all below them; one that is gone is fine.
    ///
    /// Goes on after a failure and reports the first one.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let mut first = self.unit.as_deref().map_or(Ok(()), systemd::stop);
        for group in &self.groups {
            first = first.and(remove(&group.path));
        }
        first
    }
}

/// Removes one cgroup. Waits about 4 s (doubling from 1 ms) for its last processes to be gone.
fn remove(path: &Path) -> Result<(), CgroupError> {
    match fs::rmdir(path) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(_) => {}
    }
    for child in children(path)? {
        remove(&path.join(child))?;
    }
    for attempt in 0.. {
        match fs::rmdir(path) {
            Ok(()) | Err(Errno::NOENT) => break,
            Err(Errno::BUSY) if attempt < TRIES => sleep(Duration::from_millis(1 << attempt)),
            Err(error) => return Err(CgroupError::Remove { path: path.to_owned(), source: error.into() }),
        }
    }
    Ok(())
}

/// The names of the cgroups directly below `path`; none where it is gone.
pub(super) fn children(path: &Path) -> Result<Vec<std::ffi::OsString>, CgroupError> {
    let failed = |source: io::Error| CgroupError::Read { path: path.to_owned(), source };
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            names.push(entry.file_name());
        }
    }
    Ok(names)
}
