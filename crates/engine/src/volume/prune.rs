//! Taking away what nobody uses.

use std::sync::atomic::Ordering;

use longshore_types::{Filters, filter::has_label};

use super::{Error, Result, Volume, Volumes, list::passes};

/// What a prune may be narrowed down by.
const FILTERS: [&str; 3] = ["all", "label", "label!"];

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub names: Vec<String>,
    /// Bytes.
    pub reclaimed: u64,
}

impl Volumes {
    /// Removes volumes that no container uses: those that nobody named, or with the filter `all` all of them. One
    /// whose driver was told something stays. Blocks.
    pub fn prune(&self, filters: &Filters) -> Result<Pruned> {
        filters.check(&FILTERS)?;
        let all = filters.flag("all", false)?;
        if self.0.pruning.swap(true, Ordering::Acquire) {
            return Err(Error::Pruning);
        }
        let pruned = self.prune_those(|volume: &Volume| {
            let barred = filters.values("label!").any(|word| has_label(&volume.labels, word));
            volume.options.is_empty() && (all || volume.is_anonymous()) && passes(filters, volume) && !barred
        });
        self.0.pruning.store(false, Ordering::Release);
        let reclaimed = pruned.reclaimed.to_string();
        self.publish("prune", "", &[("reclaimed", &reclaimed)]);
        Ok(pruned)
    }

    fn prune_those(&self, wanted: impl Fn(&Volume) -> bool) -> Pruned {
        let mut pruned = Pruned::default();
        let unused = self
            .table()
            .iter()
            .filter(|entry| entry.users.is_empty() && wanted(&entry.volume))
            .map(|entry| entry.volume.name.clone())
            .collect::<Vec<_>>();
        for name in unused {
            let bytes = self.size(&name);
            // Somebody may use it by now.
            match self.take(&name, Some(&wanted)) {
                Ok(()) => {
                    pruned.reclaimed += bytes;
                    pruned.names.push(name);
                }
                Err(Error::InUse { .. } | Error::NoSuchVolume { .. }) => {}
                Err(error) => {
                    tracing::warn!(volume = name, error = crate::line(&error), "cannot remove a volume");
                }
            }
        }
        pruned
    }
}
