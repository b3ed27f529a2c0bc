//! Finding volumes.

use std::path::Path;

use longshore_types::Filters;

use super::{Error, LOCAL, Result, Volume, Volumes};

/// What a list may be narrowed down by.
const FILTERS: [&str; 4] = ["dangling", "driver", "label", "name"];

impl Volumes {
    /// The volume of this name.
    pub fn inspect(&self, name: &str) -> Result<Volume> {
        let table = self.table();
        let found = table.iter().find(|entry| entry.volume.name == name);
        found.map(|entry| entry.volume.clone()).ok_or_else(|| Error::NoSuchVolume { name: name.into() })
    }

    /// Those that pass the filters, by name.
    pub fn list(&self, filters: &Filters) -> Result<Vec<Volume>> {
        filters.check(&FILTERS)?;
        let dangling = filters.has("dangling").then(|| filters.flag("dangling", false)).transpose()?;
        let mut volumes: Vec<Volume> = self
            .table()
            .iter()
            .filter(|entry| dangling.is_none_or(|dangling| entry.users.is_empty() == dangling))
            .filter(|entry| passes(filters, &entry.volume))
            .map(|entry| entry.volume.clone())
            .collect();
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    /// The containers that use a volume, by ID.
    #[must_use]
    pub fn users(&self, name: &str) -> Vec<String> {
        let table = self.table();
        let found = table.iter().find(|entry| entry.volume.name == name);
        found.map(|entry| entry.users.iter().cloned().collect()).unwrap_or_default()
    }

    /// The bytes of a volume's files, each counted once. Reads all of its directories: blocks.
    #[must_use]
    pub fn size(&self, name: &str) -> u64 {
        size(&self.path(name), &mut std::collections::HashSet::new())
    }
}

/// Whether a volume passes all filters but the one that asks who uses it.
pub(super) fn passes(filters: &Filters, volume: &Volume) -> bool {
    let name = !filters.has("name") || filters.values("name").any(|word| volume.name.contains(word));
    name && filters.exactly("driver", LOCAL) && filters.labels("label", &volume.labels)
}

/// Of what is mounted below nothing is counted.
fn size(directory: &Path, seen: &mut std::collections::HashSet<u64>) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(top) = std::fs::symlink_metadata(directory) else { return 0 };
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(status) = entry.metadata() else { continue };
        if status.dev() != top.dev() || !seen.insert(status.ino()) {
            continue;
        }
        bytes += if status.is_dir() { size(&entry.path(), seen) } else { status.len() };
    }
    bytes
}
