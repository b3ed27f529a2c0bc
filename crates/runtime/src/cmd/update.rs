use std::{io::Read, path::Path};

use longshore_runtime::{
    spec::{self, BlockIo, Cpu, Memory, Pids, Resources},
    state::Status,
};

use super::{
    Command, Matches, Outcome, container,
    failure::Failure,
    flag::{Arguments, Flag, Syntax, UsageError},
    global::Global,
    size::parse_size,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "update",
        flags: &[&[
            Flag::value(
                "resources",
                "file",
                "read `resources` as JSON from FILE, or from stdin for -; other flags are ignored",
            )
            .short('r'),
            Flag::value("blkio-weight", "weight", "block I/O weight, 10 to 1000"),
            Flag::value("cpu-period", "us", "CPU bandwidth period in microseconds"),
            Flag::value("cpu-quota", "us", "CPU time allowed in a period in microseconds; -1 for no limit"),
            Flag::value("cpu-burst", "us", "CPU time that may be saved up in microseconds"),
            Flag::value("cpu-share", "shares", "CPU shares, relative to other containers"),
            Flag::value("cpu-rt-period", "us", "realtime CPU period in microseconds"),
            Flag::value("cpu-rt-runtime", "us", "realtime CPU time allowed in a period in microseconds"),
            Flag::value("cpu-idle", "0|1", "whether tasks run only where nobody else wants to"),
            Flag::value("cpuset-cpus", "list", "CPUs to use"),
            Flag::value("cpuset-mems", "list", "memory nodes to use"),
            Flag::value("memory", "bytes", "memory limit; -1 for no limit"),
            Flag::value("memory-reservation", "bytes", "soft memory limit; -1 for none"),
            Flag::value("memory-swap", "bytes", "limit of memory and swap together; -1 for no limit"),
            Flag::value("pids-limit", "n", "largest number of tasks; -1 for no limit"),
            Flag::value("l3-cache-schema", "schema", "not supported").hidden(),
            Flag::value("mem-bw-schema", "schema", "not supported").hidden(),
            Flag::value("kernel-memory", "bytes", "ignored").hidden(),
            Flag::value("kernel-memory-tcp", "bytes", "ignored").hidden(),
        ]],
        arguments: Arguments::Exactly(1),
        flags_first: false,
    },
    arguments: "<container-id>",
    about: "change the resource limits of a container",
    failed: 1,
    enters: false,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    for name in ["kernel-memory", "kernel-memory-tcp"] {
        if matches.text(name).is_some() {
            global.log.warning(&format!("--{name} is ignored: the kernel has no such limit any more"));
        }
    }
    let dir = container::open(global, matches)?;
    let change = match matches.text("resources").filter(|path| !path.is_empty()) {
        Some(path) => read_change(path)?,
        None => change(matches)?,
    };
    dir.lock()?;
    let record = dir.record()?;
    if container::status(&dir, &record) == Status::Stopped {
        return Err(Failure::NotRunning);
    }
    container::cgroup(&record)?.update(&change)?;
    let mut spec = dir.spec()?;
    let resources = &mut spec.linux.get_or_insert_default().resources;
    *resources = Some(merge(resources.take().unwrap_or_default(), change));
    dir.save_spec(&spec)?;
    Ok(0)
}

/// Reads the change from the file at `path`, or from stdin for `-`.
fn read_change(path: &str) -> Result<Resources, Failure> {
    let failed = |source| Failure::File { action: "read", path: path.into(), source };
    let mut text = Vec::new();
    let limit = spec::MAX_CONFIG_BYTES;
    let read = match path {
        "-" => std::io::stdin().take(limit).read_to_end(&mut text),
        _ => std::fs::File::open(path).map_err(failed)?.take(limit).read_to_end(&mut text),
    };
    read.map_err(failed)?;
    Ok(spec::parse(Path::new(path), &text)?)
}

/// The change that the flags ask for. What they do not name is absent, and so is a zero: runc's
/// word for "not given", except where zero is a setting.
fn change(matches: &Matches) -> Result<Resources, Failure> {
    for name in ["l3-cache-schema", "mem-bw-schema"] {
        if let Some(value) = matches.text(name).filter(|value| !value.is_empty()) {
            let (value, reason) = (value.into(), "resctrl is not supported".into());
            return Err(UsageError::BadValue { name, value, reason }.into());
        }
    }
    let unsigned = |name| Ok::<_, UsageError>(matches.number::<u64>(name)?.filter(|n| *n != 0));
    let signed = |name| Ok::<_, UsageError>(matches.number::<i64>(name)?.filter(|n| *n != 0));
    let bytes = |name| Ok::<_, UsageError>(matches.parsed(name, parse_size)?.filter(|n| *n != 0));
    let cpu = Cpu {
        shares: unsigned("cpu-share")?,
        quota: signed("cpu-quota")?,
        burst: matches.number("cpu-burst")?,
        period: unsigned("cpu-period")?,
        realtime_runtime: signed("cpu-rt-runtime")?,
        realtime_period: unsigned("cpu-rt-period")?,
        cpus: matches.text("cpuset-cpus").unwrap_or_default().into(),
        mems: matches.text("cpuset-mems").unwrap_or_default().into(),
        idle: matches.number("cpu-idle")?,
    };
    let mut memory = Memory {
        limit: bytes("memory")?,
        reservation: bytes("memory-reservation")?,
        swap: bytes("memory-swap")?,
        ..Memory::default()
    };
    // Memory without a limit cannot stay under one of memory and swap together.
    if memory.limit == Some(-1) && memory.swap.is_none() {
        memory.swap = Some(-1);
    }
    let weight = matches.number::<u16>("blkio-weight")?.filter(|weight| *weight != 0);
    let pids = Pids { limit: signed("pids-limit")? };
    Ok(Resources {
        cpu: (cpu != Cpu::default()).then_some(cpu),
        memory: (memory != Memory::default()).then_some(memory),
        pids: (pids != Pids::default()).then_some(pids),
        block_io: weight.map(|_| BlockIo { weight, ..BlockIo::default() }),
        ..Resources::default()
    })
}

/// `base` with all that `change` sets.
fn merge(mut base: Resources, change: Resources) -> Resources {
    let Resources { devices, memory, cpu, pids, block_io, hugepage_limits, network, rdma, unified } = change;
    if let Some(new) = memory {
        let old = base.memory.get_or_insert_default();
        put(&mut old.limit, new.limit);
        put(&mut old.reservation, new.reservation);
        put(&mut old.swap, new.swap);
        put(&mut old.kernel, new.kernel);
        put(&mut old.kernel_tcp, new.kernel_tcp);
        put(&mut old.swappiness, new.swappiness);
        put(&mut old.disable_oom_killer, new.disable_oom_killer);
        put(&mut old.use_hierarchy, new.use_hierarchy);
        put(&mut old.check_before_update, new.check_before_update);
    }
    if let Some(new) = cpu {
        let old = base.cpu.get_or_insert_default();
        put(&mut old.shares, new.shares);
        put(&mut old.quota, new.quota);
        put(&mut old.burst, new.burst);
        put(&mut old.period, new.period);
        put(&mut old.realtime_runtime, new.realtime_runtime);
        put(&mut old.realtime_period, new.realtime_period);
        put(&mut old.idle, new.idle);
        replace(&mut old.cpus, new.cpus, String::is_empty);
        replace(&mut old.mems, new.mems, String::is_empty);
    }
    if let Some(new) = pids {
        put(&mut base.pids.get_or_insert_default().limit, new.limit);
    }
    if let Some(new) = block_io {
        let old = base.block_io.get_or_insert_default();
        put(&mut old.weight, new.weight);
        put(&mut old.leaf_weight, new.leaf_weight);
        replace(&mut old.weight_device, new.weight_device, Vec::is_empty);
        replace(&mut old.throttle_read_bps_device, new.throttle_read_bps_device, Vec::is_empty);
        replace(&mut old.throttle_write_bps_device, new.throttle_write_bps_device, Vec::is_empty);
        replace(&mut old.throttle_read_iops_device, new.throttle_read_iops_device, Vec::is_empty);
        replace(&mut old.throttle_write_iops_device, new.throttle_write_iops_device, Vec::is_empty);
    }
    put(&mut base.network, network);
    replace(&mut base.devices, devices, Vec::is_empty);
    replace(&mut base.hugepage_limits, hugepage_limits, Vec::is_empty);
    base.rdma.extend(rdma);
    base.unified.extend(unified);
    base
}

fn put<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}

fn replace<T>(old: &mut T, new: T, is_absent: impl FnOnce(&T) -> bool) {
    if !is_absent(&new) {
        *old = new;
    }
}

#[cfg(test)]
mod tests {
    use longshore_runtime::spec::Resources;
    use serde_json::{Value, json};

    use super::{COMMAND, change, merge};

    fn asked(line: &str) -> Result<Value, String> {
        let matches = COMMAND.syntax.read(&mut line.split_whitespace().map(Into::into)).unwrap();
        let change = change(&matches).map_err(|failure| failure.to_string())?;
        Ok(serde_json::to_value(change).unwrap())
    }

    #[test]
    fn every_flag_has_its_field() {
        let line = "c --blkio-weight 500 --cpu-period 1000 --cpu-quota -1 --cpu-burst 0 --cpu-share 2 \
                    --cpu-rt-period 3 --cpu-rt-runtime 4 --cpu-idle 0 --cpuset-cpus 0-1 --cpuset-mems 0 \
                    --memory 1g --memory-reservation 512m --memory-swap -1 --pids-limit 10";
        let expected = json!({
            "blockIO": { "weight": 500 },
            "cpu": {
                "period": 1000, "quota": -1, "burst": 0, "shares": 2, "realtimePeriod": 3,
                "realtimeRuntime": 4, "idle": 0, "cpus": "0-1", "mems": "0"
            },
            "memory": { "limit": 1 << 30, "reservation": 512 << 20, "swap": -1 },
            "pids": { "limit": 10 }
        });
        assert_eq!(asked(line).unwrap(), expected);
    }

    #[test]
    fn what_is_not_asked_for_is_absent() {
        assert_eq!(asked("c").unwrap(), json!({}));
        assert_eq!(asked("c --memory 0 --cpu-quota 0 --pids-limit 0 --cpuset-cpus=").unwrap(), json!({}));
        assert_eq!(asked("c --memory -1").unwrap(), json!({ "memory": { "limit": -1, "swap": -1 } }));
    }

    #[test]
    fn bad_values_are_named() {
        for (line, error) in [
            ("c --memory lots", "invalid value \"lots\" for flag -memory: unknown unit \"lots\""),
            ("c --cpu-share -1", "invalid value \"-1\" for flag -cpu-share: invalid digit found in string"),
            (
                "c --l3-cache-schema L3:0=f",
                "invalid value \"L3:0=f\" for flag -l3-cache-schema: resctrl is not supported",
            ),
        ] {
            assert_eq!(asked(line).unwrap_err(), error);
        }
    }

    #[test]
    fn a_change_leaves_the_rest() {
        let base: Resources = serde_json::from_value(json!({
            "cpu": { "shares": 5, "cpus": "0" }, "memory": { "limit": 1 }, "unified": { "a": "1", "b": "2" },
            "devices": [{ "allow": false }]
        }))
        .unwrap();
        let change: Resources = serde_json::from_value(json!({
            "cpu": { "quota": 7 }, "memory": { "limit": 2, "swap": 3 }, "pids": { "limit": 9 },
            "unified": { "b": "3" }
        }))
        .unwrap();
        let expected = json!({
            "cpu": { "shares": 5, "cpus": "0", "quota": 7 }, "memory": { "limit": 2, "swap": 3 },
            "pids": { "limit": 9 }, "unified": { "a": "1", "b": "3" }, "devices": [{ "allow": false }]
        });
        assert_eq!(serde_json::to_value(merge(base, change)).unwrap(), expected);
    }
}
