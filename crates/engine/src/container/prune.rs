use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use longshore_types::{Filters, filter::FilterError, time};

use super::{Containers, Error, Record, Remove, Result, Verb, create::step, state::Verdict};

/// What a pruning took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// IDs.
    pub containers: Vec<String>,
    /// Bytes.
    pub reclaimed: u64,
}

/// Says that no pruning runs any more when dropped.
struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Containers {
    /// Removes the containers that do not run. Filters: `until`, `label`, `label!`.
    ///
    /// # Errors
    /// [`Error::PruneRuns`] while another one is under way.
    pub async fn prune(&self, filters: &Filters) -> Result<Pruned> {
        filters.check(&["until", "label", "label!"]).map_err(Error::Filter)?;
        let until = until(filters)?;
        if self.0.pruning.swap(true, Ordering::Acquire) {
            return Err(Error::PruneRuns);
        }
        let running = Running(&self.0.pruning);
        let mut pruned = Pruned::default();
        for container in self.all() {
            let record = container.record();
            let goes = record.state.phase.judge(Verb::Remove) == Verdict::Go
                && until.is_none_or(|until| record.created.0 <= until)
                && takes(filters, &record);
            if !goes {
                continue;
            }
            step("container.prune")?;
            let size = self.size(&container, Duration::from_secs(3600)).await.unwrap_or_default();
            match self.remove(&container, Remove::default()).await {
                Ok(()) => {
                    pruned.containers.push(record.id.to_string());
                    pruned.reclaimed += size.own;
                }
                // It was started, or removed by somebody else.
                Err(error) => tracing::debug!(id = %record.id, error = error.line(), "not pruned"),
            }
        }
        drop(running);
        Ok(pruned)
    }
}

/// Nanoseconds since 1970 after which containers stay.
fn until(filters: &Filters) -> Result<Option<i64>> {
    let mut values = filters.values("until");
    let Some(text) = values.next() else { return Ok(None) };
    let bad = || {
        let values = filters.values("until").map(str::to_owned).collect();
        Error::Filter(FilterError::Value { key: "until".into(), values })
    };
    if values.next().is_some() {
        return Err(bad());
    }
    let (seconds, nanos) = time::parse_timestamp(text, time::now()).ok_or_else(bad)?;
    Ok(Some(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos))))
}

fn takes(filters: &Filters, record: &Record) -> bool {
    let none = std::collections::BTreeMap::new();
    let labels = record.config.labels.as_ref().unwrap_or(&none);
    filters.prunes(labels)
}
