use super::{Error, Networks, Record, Result, is_predefined, macvlan::has_link, step};
use crate::db::{Durability, Table};

impl Networks {
    /// Removes a network that no running container is on. Blocks.
    pub fn remove(&self, word: &str) -> Result<()> {
        let record = self.find(word)?;
        if is_predefined(&record.name) {
            return Err(Error::PredefinedRemove { name: record.name });
        }
        self.remove_record(&record)
    }

    fn remove_record(&self, record: &Record) -> Result<()> {
        if record.config_only && self.all().iter().any(|other| other.config_from.network == record.name) {
            return Err(Error::ConfigInUse { name: record.name.clone() });
        }
        // Nobody comes to it once it is not in the table.
        let mut state = self.state();
        let on = state.sandboxes.values().filter_map(|sandbox| {
            let endpoint = sandbox.endpoints.get(&record.id)?;
            Some(format!(
                "name:{:?} id:{:?}",
                sandbox.name,
                endpoint.settings.endpoint_id.get(..12).unwrap_or_default()
            ))
        });
        let endpoints: Vec<String> = on.collect();
        if !endpoints.is_empty() {
            return Err(Error::ActiveEndpoints {
                name: record.name.clone(),
                endpoints: endpoints.join(", "),
            });
        }
        let Some(network) = state.networks.remove(&record.id) else {
            return Err(Error::NoSuchNetwork { word: record.name.clone() });
        };
        drop(state);
        // A bridge without a row is swept away by the next start.
        let forgotten = step("network.remove.row")
            .and_then(|()| Ok(self.0.db.delete(Table::Networks, &record.id, Durability::Disk)?));
        let removed = forgotten.and_then(|_| {
            let taken = step("network.remove.bridge").and_then(|()| self.take_bridge(record));
            if taken.is_err() {
                // The first failure is the one to tell.
                self.0.db.put(Table::Networks, &record.id, &record.name, record, Durability::Disk).ok();
            }
            taken
        });
        if let Err(error) = removed {
            self.state().networks.insert(record.id.clone(), network);
            if has_link(record) {
                // The first failure is the one to tell.
                self.bring_up(&record.id).ok();
            }
            return Err(error);
        }
        self.publish("destroy", record, []);
        Ok(())
    }

    fn take_bridge(&self, record: &Record) -> Result<()> {
        if has_link(record) { self.take_down(record) } else { Ok(()) }
    }

    /// Removes those that `is_wanted` says and nobody uses; `in_use` has the names and IDs that stopped containers
    /// name. The names of those removed. Blocks.
    pub fn prune(&self, is_wanted: impl Fn(&Record) -> bool, in_use: &[String]) -> Vec<String> {
        let mut removed = Vec::new();
        for record in self.all() {
            let kept = is_predefined(&record.name)
                || !is_wanted(&record)
                || in_use.contains(&record.name)
                || in_use.contains(&record.id);
            if kept {
                continue;
            }
            match self.remove_record(&record) {
                Ok(()) => removed.push(record.name),
                Err(
                    Error::ActiveEndpoints { .. } | Error::NoSuchNetwork { .. } | Error::ConfigInUse { .. },
                ) => {}
                Err(error) => {
                    tracing::warn!(
                        network = record.name,
                        error = crate::line(&error),
                        "cannot prune a network"
                    );
                }
            }
        }
        removed
    }
}
