//! Limits, from Docker's words to the runtime's.

use longshore_runtime::spec::{
    BlockIo, BlockIoThrottle, BlockIoWeight, Cpu, Memory, Pids, Resources as Limits,
};
use longshore_types::container::{Resources, ThrottleDevice};

use super::device::{self, DeviceError};

/// The period of a share of processors that was given as such, in microseconds.
const PERIOD: u64 = 100_000;

/// The limits that cgroups hold. Device rules are not among them.
pub(crate) fn limits(resources: &Resources) -> Result<Limits, DeviceError> {
    Ok(Limits {
        memory: memory(resources),
        cpu: cpu(resources),
        pids: resources.pids_limit.map(|limit| Pids { limit: Some(if limit <= 0 { -1 } else { limit }) }),
        block_io: block_io(resources)?,
        ..Limits::default()
    })
}

fn memory(resources: &Resources) -> Option<Memory> {
    let set = |value: i64| (value > 0).then_some(value);
    let memory = Memory {
        limit: set(resources.memory),
        reservation: set(resources.memory_reservation),
        // −1 takes the limit on swap away, which has a meaning only where memory is limited.
        swap: match resources.memory_swap {
            -1 if resources.memory > 0 => Some(-1),
            swap => set(swap),
        },
        swappiness: resources.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        disable_oom_killer: resources.oom_kill_disable.filter(|disable| *disable),
        ..Memory::default()
    };
    (memory != Memory::default()).then_some(memory)
}

fn cpu(resources: &Resources) -> Option<Cpu> {
    let unsigned = |value: i64| u64::try_from(value).ok().filter(|value| *value != 0);
    let signed = |value: i64| (value != 0).then_some(value);
    let mut cpu = Cpu {
        // The kernel takes 2 to 262144, and Docker leaves it to clamp what it is given.
        shares: unsigned(resources.cpu_shares).map(|shares| shares.clamp(2, 262_144)),
        period: unsigned(resources.cpu_period),
        quota: signed(resources.cpu_quota),
        realtime_period: unsigned(resources.cpu_realtime_period),
        realtime_runtime: signed(resources.cpu_realtime_runtime),
        cpus: resources.cpuset_cpus.clone(),
        mems: resources.cpuset_mems.clone(),
        ..Cpu::default()
    };
    if resources.nano_cpus > 0 {
        cpu.period = Some(PERIOD);
        let quota = i128::from(resources.nano_cpus) * i128::from(PERIOD) / 1_000_000_000;
        // The kernel's least quota is a millisecond.
        cpu.quota = i64::try_from(quota).ok().map(|quota| quota.max(1000));
    }
    (cpu != Cpu::default()).then_some(cpu)
}

fn block_io(resources: &Resources) -> Result<Option<BlockIo>, DeviceError> {
    let mut weights = Vec::new();
    for device in resources.blkio_weight_device.iter().flatten() {
        let (major, minor) = device::number(&device.path)?;
        weights.push(BlockIoWeight { major, minor, weight: Some(device.weight), leaf_weight: None });
    }
    let io = BlockIo {
        weight: (resources.blkio_weight != 0).then_some(resources.blkio_weight),
        weight_device: weights,
        throttle_read_bps_device: throttles(resources.blkio_device_read_bps.as_deref())?,
        throttle_write_bps_device: throttles(resources.blkio_device_write_bps.as_deref())?,
        throttle_read_iops_device: throttles(resources.blkio_device_read_iops.as_deref())?,
        throttle_write_iops_device: throttles(resources.blkio_device_write_iops.as_deref())?,
        ..BlockIo::default()
    };
    Ok((io != BlockIo::default()).then_some(io))
}

fn throttles(devices: Option<&[ThrottleDevice]>) -> Result<Vec<BlockIoThrottle>, DeviceError> {
    let throttle = |device: &ThrottleDevice| {
        let (major, minor) = device::number(&device.path)?;
        Ok(BlockIoThrottle { major, minor, rate: device.rate })
    };
    devices.unwrap_or_default().iter().map(throttle).collect()
}

#[cfg(test)]
mod tests {
    use longshore_types::container::{Resources, ThrottleDevice};

    use super::limits;

    #[test]
    fn nothing_is_nothing() {
        let limits = limits(&Resources { oom_kill_disable: Some(false), ..Resources::default() }).unwrap();
        assert_eq!(limits, longshore_runtime::spec::Resources::default());
    }

    #[test]
    fn shares_of_processors() {
        let cpu = |nano_cpus| {
            let cpu = limits(&Resources { nano_cpus, ..Resources::default() }).unwrap().cpu.unwrap();
            (cpu.quota, cpu.period)
        };
        assert_eq!(cpu(1_500_000_000), (Some(150_000), Some(100_000)));
        assert_eq!(cpu(1), (Some(1000), Some(100_000)));
    }

    #[test]
    fn memory_and_swap() {
        let memory = |memory, memory_swap| {
            let resources = Resources { memory, memory_swap, ..Resources::default() };
            limits(&resources).unwrap().memory.map(|memory| (memory.limit, memory.swap))
        };
        assert_eq!(memory(8 << 20, 16 << 20), Some((Some(8 << 20), Some(16 << 20))));
        assert_eq!(memory(8 << 20, -1), Some((Some(8 << 20), Some(-1))));
        assert_eq!(memory(0, -1), None);
    }

    #[test]
    fn no_limit_on_tasks() {
        for (asked, limit) in [(0, -1), (-1, -1), (5, 5)] {
            let resources = Resources { pids_limit: Some(asked), ..Resources::default() };
            assert_eq!(limits(&resources).unwrap().pids.unwrap().limit, Some(limit));
        }
    }

    #[test]
    fn devices_of_throttles() {
        let one = |path: &str| Some(vec![ThrottleDevice { path: path.into(), rate: 7 }]);
        let resources = Resources { blkio_device_read_bps: one("/dev/null"), ..Resources::default() };
        let io = limits(&resources).unwrap().block_io.unwrap();
        let throttle = &io.throttle_read_bps_device[0];
        assert_eq!((throttle.major, throttle.minor, throttle.rate), (1, 3, 7));
        let resources = Resources { blkio_device_write_iops: one("/no/device"), ..Resources::default() };
        let error = limits(&resources).unwrap_err();
        assert_eq!(error.to_string(), "stat /no/device: no such file or directory");
    }
}
