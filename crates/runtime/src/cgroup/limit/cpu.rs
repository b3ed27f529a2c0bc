use super::{CgroupError, Order, Sheet, Version, bad_value, unsupported};
use crate::spec::Cpu;

/// The default of `cpu.max`'s second field, in µs (kernel: `admin-guide/cgroup-v2.rst`).
const DEFAULT_PERIOD: u64 = 100_000;

pub(super) fn compile(cpu: &Cpu, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    shares(cpu, sheet)?;
    bandwidth(cpu, sheet)?;
    if let Some(idle) = cpu.idle {
        let home = sheet.home("cpu", "cpu.idle")?;
        sheet.put(home, "cpu.idle", "cpu.idle", idle);
    }
    realtime(cpu, sheet)?;
    for (field, value) in [("cpu.cpus", &cpu.cpus), ("cpu.mems", &cpu.mems)] {
        if value.is_empty() {
            continue;
        }
        if !value.bytes().all(|c| c.is_ascii_digit() || b"-, ".contains(&c)) {
            return Err(bad_value(field, value, "a list like 0-3,7"));
        }
        let home = sheet.home("cpuset", field)?;
        sheet.put(home, field, field.replace("cpu.", "cpuset."), value);
    }
    Ok(())
}

fn shares(cpu: &Cpu, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    const FIELD: &str = "cpu.shares";
    let Some(shares) = cpu.shares.filter(|shares| *shares != 0) else { return Ok(()) };
    let home = sheet.home("cpu", FIELD)?;
    match home.version {
        // The kernel would clamp them without a word (`kernel/sched/sched.h`: MIN_SHARES, MAX_SHARES).
        Version::V1 if !(2..=262_144).contains(&shares) => Err(bad_value(FIELD, shares, "2 to 262144")),
        Version::V1 => {
            sheet.put(home, FIELD, "cpu.shares", shares);
            Ok(())
        }
        // An idle group has no weight to set, until `cpu.idle` below takes that away.
        Version::V2 if cpu.idle == Some(1) => Ok(()),
        Version::V2 => {
            sheet.put(home, FIELD, "cpu.weight", weight(shares)).order = Order::Again;
            Ok(())
        }
    }
}

/// Version 2's weight for version 1's shares: 2, 1024 and 262144 become 1, 100 and 10000.
///
/// A parabola through these three over the logarithms, as runc 1.3 and crun 1.23 have it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "1 to 10000"
)]
pub(in crate::cgroup) fn weight(shares: u64) -> u64 {
    let log = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    // The three fixed points must not rise by a rounding error of the last bit.
    ((10_f64.powf(exponent) - 1e-9).ceil() as u64).clamp(1, 10_000)
}

/// Quota, period and burst. The kernel checks each against the others, so all may come twice.
fn bandwidth(cpu: &Cpu, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    let quota = cpu.quota.filter(|quota| *quota != 0);
    let period = cpu.period.filter(|period| *period != 0);
    let field = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
    if quota.is_some() || period.is_some() {
        let home = sheet.home("cpu", field)?;
        match home.version {
            Version::V1 => {
                if let Some(period) = period {
                    sheet.put(home, "cpu.period", "cpu.cfs_period_us", period).order = Order::Again;
                }
                if let Some(quota) = quota {
                    sheet.put(home, "cpu.quota", "cpu.cfs_quota_us", quota).order = Order::Again;
                }
            }
            Version::V2 => {
                let most = quota.filter(|quota| *quota > 0).map_or("max".into(), |quota| quota.to_string());
                let value = format!("{most} {}", period.unwrap_or(DEFAULT_PERIOD));
                sheet.put(home, field, "cpu.max", value).order = Order::Again;
            }
        }
    }
    if let Some(burst) = cpu.burst {
        let home = sheet.home("cpu", "cpu.burst")?;
        let file = if home.version == Version::V1 { "cpu.cfs_burst_us" } else { "cpu.max.burst" };
        sheet.put(home, "cpu.burst", file, burst).order = Order::Again;
    }
    Ok(())
}

/// Realtime runtime is granted before the first task joins: one with a realtime policy could not.
fn realtime(cpu: &Cpu, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    let period = cpu.realtime_period.filter(|period| *period != 0).map(|period| period.to_string());
    let runtime = cpu.realtime_runtime.filter(|runtime| *runtime != 0).map(|runtime| runtime.to_string());
    for (field, file, value) in [
        ("cpu.realtimePeriod", "cpu.rt_period_us", period),
        ("cpu.realtimeRuntime", "cpu.rt_runtime_us", runtime),
    ] {
        let Some(value) = value else { continue };
        let home = sheet.home("cpu", field)?;
        if home.version == Version::V2 {
            return Err(unsupported(field, "cgroup v2 has no realtime limits"));
        }
        sheet.put(home, field, file, value).order = Order::Again;
    }
    Ok(())
}
