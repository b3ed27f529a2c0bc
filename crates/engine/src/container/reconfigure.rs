//! Docker's `update`: other limits, another restart policy, while a container runs or not.

use longshore_runtime::cgroup::{self, Cgroup};
use longshore_types::container::{HostConfig, Resources, RestartPolicy};

use super::{Container, Containers, Error, Phase, Result, blocking, create::step, launch, to_the_end};
use crate::{db::Durability, spec};

impl Containers {
    /// Changes what `changes` says of limits and restart policy; what is absent or zero stays. Returns warnings.
    pub async fn reconfigure(&self, container: &Container, changes: HostConfig) -> Result<Vec<String>> {
        let (containers, container) = (self.clone(), container.clone());
        to_the_end(async move {
            let turn = container.lock().await;
            let done = blocking(move || containers.reconfigure_blocking(&container, changes)).await;
            drop(turn);
            done
        })
        .await
    }

    fn reconfigure_blocking(&self, container: &Container, mut changes: HostConfig) -> Result<Vec<String>> {
        let record = container.record();
        if matches!(record.state.phase, Phase::Removing | Phase::Dead) {
            return Err(Error::UpdateRemoving);
        }
        changes.auto_remove = false;
        let warnings = spec::validate_update(&mut changes, self.host()?)?;
        let mut host = record.host.clone();
        merge(&mut host, &changes)?;
        let runs = record.state.phase.has_processes();
        step("container.update.row")?;
        self.update(container, Durability::Disk, |record| {
            record.host = host;
            record.state.limits_due = runs;
            Ok(())
        })?;
        if runs && let Err(error) = self.set_limits(container) {
            // As it was: what is shown is what holds.
            self.apply_limits(container, &record.host.resources).ok();
            self.update(container, Durability::Disk, |new| {
                new.host.clone_from(&record.host);
                new.state.limits_due = false;
                Ok(())
            })?;
            return Err(error);
        }
        container.publish(self.events(), "update", []);
        Ok(warnings)
    }

    /// Gives a container that runs the limits on record. Blocks.
    pub(super) fn set_limits(&self, container: &Container) -> Result<()> {
        step("container.update.limits")?;
        self.apply_limits(container, &container.record().host.resources)?;
        let noted = step("container.update.done").and_then(|()| {
            self.update(container, Durability::Kernel, |record| {
                record.state.limits_due = false;
                Ok(())
            })
        });
        // They hold; the next daemon sets them once more.
        if let Err(error) = noted {
            tracing::warn!(id = %container.id(), error = error.line(), "cannot note that its limits are set");
        }
        Ok(())
    }

    fn apply_limits(&self, container: &Container, resources: &Resources) -> Result<()> {
        let at = container.state_dir().join(launch::CGROUP);
        let text = std::fs::read(&at).map_err(super::io("read", &at))?;
        let record: cgroup::Record = serde_json::from_slice(&text)
            .map_err(|source| super::io("read", &at)(std::io::Error::other(source)))?;
        let limits = spec::resources::limits(resources).map_err(spec::Error::from)?;
        Ok(Cgroup::open(&record)?.update(&limits)?)
    }
}

/// Takes over what is set.
fn merge(host: &mut HostConfig, changes: &HostConfig) -> Result<()> {
    let conflict = |what: &'static str| Err(Error::UpdateConflict { what });
    let (old, new) = (&mut host.resources, &changes.resources);
    if new.nano_cpus > 0 && old.cpu_period > 0 {
        return conflict("Nano CPUs cannot be updated as CPU Period has already been set");
    }
    if new.nano_cpus > 0 && old.cpu_quota > 0 {
        return conflict("Nano CPUs cannot be updated as CPU Quota has already been set");
    }
    if new.cpu_period > 0 && old.nano_cpus > 0 {
        return conflict("CPU Period cannot be updated as NanoCPUs has already been set");
    }
    if new.cpu_quota > 0 && old.nano_cpus > 0 {
        return conflict("CPU Quota cannot be updated as NanoCPUs has already been set");
    }
    if new.memory > old.memory_swap && old.memory_swap > 0 && new.memory_swap == 0 {
        return Err(Error::UpdateMemory);
    }
    if !changes.restart_policy.name.is_empty() {
        if host.auto_remove && changes.restart_policy.name != "no" {
            return Err(Error::UpdateAutoRemove);
        }
        host.restart_policy = RestartPolicy::clone(&changes.restart_policy);
    }
    let old = &mut host.resources;
    for (old, new) in [
        (&mut old.cpu_shares, new.cpu_shares),
        (&mut old.nano_cpus, new.nano_cpus),
        (&mut old.cpu_period, new.cpu_period),
        (&mut old.cpu_quota, new.cpu_quota),
        (&mut old.cpu_realtime_period, new.cpu_realtime_period),
        (&mut old.cpu_realtime_runtime, new.cpu_realtime_runtime),
        (&mut old.memory, new.memory),
        (&mut old.memory_swap, new.memory_swap),
        (&mut old.memory_reservation, new.memory_reservation),
    ] {
        if new != 0 {
            *old = new;
        }
    }
    if new.blkio_weight != 0 {
        old.blkio_weight = new.blkio_weight;
    }
    for (old, new) in [(&mut old.cpuset_cpus, &new.cpuset_cpus), (&mut old.cpuset_mems, &new.cpuset_mems)] {
        if !new.is_empty() {
            old.clone_from(new);
        }
    }
    if new.pids_limit.is_some() {
        old.pids_limit = new.pids_limit;
    }
    if new.blkio_weight_device.is_some() {
        old.blkio_weight_device.clone_from(&new.blkio_weight_device);
    }
    for (old, new) in [
        (&mut old.blkio_device_read_bps, &new.blkio_device_read_bps),
        (&mut old.blkio_device_write_bps, &new.blkio_device_write_bps),
        (&mut old.blkio_device_read_iops, &new.blkio_device_read_iops),
        (&mut old.blkio_device_write_iops, &new.blkio_device_write_iops),
    ] {
        if new.is_some() {
            old.clone_from(new);
        }
    }
    Ok(())
}
