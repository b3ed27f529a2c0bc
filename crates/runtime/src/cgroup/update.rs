//! Changing the limits of a container that runs.

use std::{io, path::Path};

use super::{
    Cgroup, CgroupError, Group,
    create::{attach_program, write_all},
    device::{self, Policy},
    file,
    layout::Version,
    limit::{self, Write},
    systemd,
};
use crate::spec::{Cpu, DeviceRule, Memory, Resources};

impl Cgroup {
    /// Sets the limits of `resources`; what is absent stays as it is.
    ///
    /// Device rules are not among them, as in runc: other programs (those that add GPUs) change the
    /// list behind the runtime's back, and managers send the list of the spec with each update.
    /// See [`Cgroup::replace_devices`].
    ///
    /// # Errors
    /// The first limit that cannot be set, by name; those before it are set.
    pub fn update(&self, resources: &Resources) -> Result<(), CgroupError> {
        let mut resources = resources.clone();
        if let (Some(memory), Some(group)) = (&mut resources.memory, self.group("memory"))
            && group.version == Version::V2
        {
            complete_memory(memory, group)?;
            check_usage(memory, group)?;
        }
        if let (Some(cpu), Some(group)) = (&mut resources.cpu, self.group("cpu"))
            && group.version == Version::V2
        {
            complete_bandwidth(cpu, group)?;
        }
        let placed = limit::compile(&resources, &self.homes())?;
        if let Some(unit) = &self.unit {
            let properties = systemd::properties(&resources, &self.homes())?;
            if !properties.is_empty() {
                systemd::set(unit, &properties)?;
            }
        }
        let mut writes: Vec<Vec<Write>> = vec![Vec::new(); self.groups.len()];
        for limit in placed {
            let group = &self.groups[limit.home];
            if group.version == Version::V2 {
                enable(&group.path, &limit.controller);
            }
            writes[limit.home].push(limit.write);
        }
        self.groups.iter().zip(&writes).try_for_each(|(group, writes)| write_all(group, writes))
    }

    /// Replaces the device rules; the defaults (`device::DEFAULT_RULES`) come after them.
    pub fn replace_devices(&self, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        let rules = device::rules(rules, &[])?;
        let group = self.group("devices").ok_or(CgroupError::Absent { controller: "devices" })?;
        if group.version == Version::V2 {
            return attach_program(group, &rules);
        }
        const LIST: &str = "devices.list";
        let list = file::read(&group.dir, LIST)
            .map_err(|source| CgroupError::Read { path: group.path.join(LIST), source })?;
        for (name, value) in Policy::of(&rules)?.from(&list) {
            file::write(&group.dir, name, &value).map_err(|source| CgroupError::Write {
                field: "devices".to_owned(),
                path: group.path.join(name),
                value,
                source,
            })?;
        }
        Ok(())
    }
}

/// Version 2 limits swap alone, so the spec's sum needs both numbers: the missing one is what is in
/// force. A new limit on memory keeps the sum, as it does in version 1.
fn complete_memory(memory: &mut Memory, group: &Group) -> Result<(), CgroupError> {
    let set = |value: Option<i64>| value.filter(|value| *value != 0);
    match (set(memory.limit), set(memory.swap)) {
        (None, Some(1..)) => memory.limit = Some(number(group, "memory.max")?.unwrap_or(-1)),
        (Some(1..), None) => {
            // A sum that the new limit alone exceeds was one that this limit replaces.
            if let (Some(limit), Ok(Some(swap))) =
                (number(group, "memory.max")?, number(group, "memory.swap.max"))
            {
                memory.swap = limit.checked_add(swap).filter(|sum| Some(*sum) >= memory.limit);
            }
        }
        _ => {}
    }
    Ok(())
}

/// `cpu.max` holds quota and period: the missing one is what is in force.
fn complete_bandwidth(cpu: &mut Cpu, group: &Group) -> Result<(), CgroupError> {
    let set = (cpu.quota.is_some_and(|quota| quota != 0), cpu.period.is_some_and(|period| period != 0));
    if set.0 == set.1 {
        return Ok(());
    }
    let current = content(group, "cpu.max")?;
    let Some((quota, period)) = current.trim().split_once(' ') else { return Ok(()) };
    if set.0 {
        cpu.period = period.parse().ok();
    } else {
        cpu.quota = Some(quota.parse().unwrap_or(-1));
    }
    Ok(())
}

/// With `checkBeforeUpdate`, refuses a limit that what is in use exceeds already, instead of letting
/// the kernel reclaim and kill its way down to it. Version 1's kernel refuses by itself.
fn check_usage(memory: &Memory, group: &Group) -> Result<(), CgroupError> {
    if memory.check_before_update != Some(true) {
        return Ok(());
    }
    const CURRENT: &str = "memory.current";
    let usage = number(group, CURRENT)?.unwrap_or(0).unsigned_abs();
    for (field, limit) in [("memory.limit", memory.limit), ("memory.swap", memory.swap)] {
        let Some(value) = limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0) else {
            continue;
        };
        if value <= usage {
            return Err(CgroupError::BelowUsage {
                field: field.to_owned(),
                path: group.path.join(CURRENT),
                value,
                usage,
            });
        }
    }
    Ok(())
}

fn content(group: &Group, name: &str) -> Result<String, CgroupError> {
    file::read(&group.dir, name).map_err(|source| CgroupError::Read { path: group.path.join(name), source })
}

/// The number in a file; `None` for `max`.
fn number(group: &Group, name: &str) -> Result<Option<i64>, CgroupError> {
    Ok(content(group, name)?.trim().parse().ok())
}

/// Switches `controller` on for `path`, from the nearest cgroup above that has it downwards.
///
/// Whether it worked shows at the write of the limit.
fn enable(path: &Path, controller: &str) {
    let Some(parent) = path.parent() else { return };
    let switch_on = || {
        let dir = file::open_dir(parent)?;
        file::write(dir, "cgroup.subtree_control", &format!("+{controller}"))
    };
    match switch_on() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent.join("cgroup.procs").exists() => {
            enable(parent, controller);
            switch_on().ok();
        }
        Ok(()) | Err(_) => {}
    }
}
