//! Taking volumes away, and letting them go.

use std::collections::HashSet;

use longshore_types::{ContainerId, container::MountPoint};

use super::{Entry, Error, LOCAL, Result, Volumes, driver, io, private, step};
use crate::db::{Durability, Table};

/// Where directories are that belong to no volume any more.
const REMOVED: &str = ".removed";

impl Volumes {
    /// Takes a volume away with all that is in it. With `force` one that is not there is fine. Blocks.
    ///
    /// # Errors
    /// [`Error::InUse`] while a container has it, whether that runs or not.
    pub fn remove(&self, name: &str, force: bool) -> Result<()> {
        match self.take(name, None) {
            Err(Error::NoSuchVolume { .. }) if force => Ok(()),
            other => other,
        }
    }

    /// Has a container no longer use its volumes; with `anonymous`, those of them that nobody named and nobody
    /// else uses go too. Blocks.
    pub fn release(&self, id: &ContainerId, mounts: &[MountPoint], anonymous: bool) -> Result<()> {
        for name in mounts.iter().map(|mount| &mount.name).filter(|name| !name.is_empty()) {
            let mut table = self.table();
            let Some(entry) = table.iter_mut().find(|entry| entry.volume.name == *name) else { continue };
            entry.users.remove(id.as_str());
            entry.running.remove(id.as_str());
            if entry.volume.made_for.as_deref() == Some(id.as_str()) {
                entry.volume.made_for = None;
                step("volume.release.row")?;
                self.0.db.put(Table::Volumes, name, name, &entry.volume, Durability::Kernel)?;
            }
            let goes = anonymous && entry.users.is_empty() && entry.volume.is_anonymous();
            drop(table);
            if goes {
                match self.take(name, None) {
                    Ok(()) | Err(Error::NoSuchVolume { .. } | Error::InUse { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Has a container that could not be made use nothing; what was made for it goes.
    pub(super) fn forget(&self, id: &str, made: &[String]) {
        for entry in self.table().iter_mut() {
            entry.users.remove(id);
        }
        for name in made {
            if let Err(error) = self.take(name, None) {
                tracing::warn!(volume = name, error = crate::line(&error), "cannot remove a volume again");
            }
        }
    }

    /// Removes it, unless somebody uses it.
    pub(super) fn take(&self, name: &str, wanted: Option<&dyn Fn(&super::Volume) -> bool>) -> Result<()> {
        let none = || Error::NoSuchVolume { name: name.into() };
        let mut table = self.table();
        let place = table.iter().position(|entry| entry.volume.name == name).ok_or_else(none)?;
        let entry = &table[place];
        if wanted.is_some_and(|wanted| !wanted(&entry.volume)) {
            return Err(none());
        }
        if !entry.users.is_empty() {
            let users = entry.users.iter().cloned().collect();
            return Err(Error::InUse { name: name.into(), users });
        }
        let data = self.path(name);
        if entry.volume.needs_mount() {
            driver::unmount(&data)?;
        }
        step("volume.remove.directory")?;
        // The name is free at once; what was behind it goes afterwards.
        let from = self.0.root.join(name);
        let removed = self.0.root.join(REMOVED);
        private(&removed)?;
        let to = removed.join(format!("{name}@{:016x}", fastrand::u64(..)));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io("remove", &from)(error));
            }
            _ => {}
        }
        let forgotten = step("volume.remove.row")
            .and_then(|()| Ok(self.0.db.delete(Table::Volumes, name, Durability::Disk)?));
        if let Err(error) = forgotten {
            // The first failure is the one to tell.
            std::fs::rename(&to, &from).ok();
            return Err(error);
        }
        table.remove(place);
        drop(table);
        // It is gone for everybody; the next start tries again with what is left.
        if let Err(error) = step("volume.remove.clear").and_then(|()| clear(&to)) {
            tracing::warn!(volume = name, error = crate::line(&error), "cannot delete a volume's files");
        }
        self.publish("destroy", name, &[("driver", LOCAL)]);
        Ok(())
    }

    /// Takes away what was made for containers that never came to be, and what is mounted for starts that did not.
    /// `known` are the containers that there are. Blocks.
    pub fn sweep(&self, known: &HashSet<String>) -> Result<()> {
        let table = self.table();
        let is_left = |entry: &&Entry| {
            entry.volume.made_for.as_ref().is_some_and(|id| !known.contains(id)) && entry.users.is_empty()
        };
        let left: Vec<String> = table.iter().filter(is_left).map(|entry| entry.volume.name.clone()).collect();
        for entry in table.iter().filter(|entry| entry.running.is_empty() && entry.volume.needs_mount()) {
            driver::unmount(&self.path(&entry.volume.name))?;
        }
        drop(table);
        left.iter().try_for_each(|name| self.take(name, None))
    }

    /// Ends removals that were begun, and takes away what belongs to nobody.
    pub(super) fn finish_removals(&self) -> Result<()> {
        let removed = self.0.root.join(REMOVED);
        for entry in std::fs::read_dir(&removed).into_iter().flatten().flatten() {
            let file = entry.file_name();
            let name = file.to_string_lossy();
            let name = name.rsplit_once('@').map_or("", |(name, _)| name);
            let mut table = self.table();
            // Its row was to go, and its directory is away.
            if !self.0.root.join(name).exists()
                && let Some(place) = table.iter().position(|entry| entry.volume.name == name)
            {
                self.0.db.delete(Table::Volumes, name, Durability::Disk)?;
                table.remove(place);
            }
            drop(table);
            clear(&entry.path())?;
        }
        let known: Vec<String> = self.table().iter().map(|entry| entry.volume.name.clone()).collect();
        for entry in std::fs::read_dir(&self.0.root).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != REMOVED && !known.contains(&name) {
                // One that was being made is empty; what is not is left for whoever knows what it is.
                let empty = std::fs::remove_dir(entry.path().join("_data"))
                    .and_then(|()| std::fs::remove_dir(entry.path()));
                if let Err(error) = empty {
                    let path = entry.path();
                    tracing::warn!(path = %path.display(), %error, "a directory that belongs to no volume");
                }
            }
        }
        Ok(())
    }
}

fn clear(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}
