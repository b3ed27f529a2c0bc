use super::{Absent, CgroupError, Home, Order, Sheet, Version, bad_value, only_v1};
use crate::spec::Memory;

const LIMIT: &str = "memory.limit";
const RESERVATION: &str = "memory.reservation";
const SWAP: &str = "memory.swap";

pub(super) fn compile(memory: &Memory, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    let limit = amount(LIMIT, memory.limit)?;
    let reservation = amount(RESERVATION, memory.reservation)?;
    let swap = amount(SWAP, memory.swap)?;
    if let Some(field) = first([(LIMIT, limit), (SWAP, swap), (RESERVATION, reservation)]) {
        let home = sheet.home("memory", field)?;
        match home.version {
            Version::V1 => v1(home, limit, reservation, swap, sheet),
            Version::V2 => v2(home, limit, reservation, swap, sheet)?,
        }
    }
    kernel(memory, sheet)?;
    behaviour(memory, sheet)
}

/// A limit in bytes; −1 is none, 0 and absence leave it.
fn amount(field: &str, value: Option<i64>) -> Result<Option<i64>, CgroupError> {
    match value {
        Some(bytes) if bytes < -1 => Err(bad_value(field, bytes, "−1 or a number of bytes")),
        Some(0) | None => Ok(None),
        set => Ok(set),
    }
}

fn first<const N: usize>(fields: [(&'static str, Option<i64>); N]) -> Option<&'static str> {
    fields.into_iter().find(|(_, value)| value.is_some()).map(|(field, _)| field)
}

/// `limit` must never be above `memsw`: whichever is refused comes again after the other.
fn v1(
    home: Home<'_>,
    limit: Option<i64>,
    reservation: Option<i64>,
    swap: Option<i64>,
    sheet: &mut Sheet<'_>,
) {
    if let Some(limit) = limit {
        sheet.put(home, LIMIT, "memory.limit_in_bytes", limit).order = Order::Again;
    }
    // No limit on memory alone means none on both, as runc reads it.
    if let Some(swap) = swap.or(limit.filter(|limit| *limit == -1)) {
        let write = sheet.put(home, SWAP, "memory.memsw.limit_in_bytes", swap);
        write.order = Order::Again;
        if swap == -1 {
            write.absent = Absent::Fine;
        }
    }
    if let Some(reservation) = reservation {
        sheet.put(home, RESERVATION, "memory.soft_limit_in_bytes", reservation);
    }
}

fn v2(
    home: Home<'_>,
    limit: Option<i64>,
    reservation: Option<i64>,
    swap: Option<i64>,
    sheet: &mut Sheet<'_>,
) -> Result<(), CgroupError> {
    if let Some(swap) = swap_alone(limit, swap)? {
        let write = sheet.put(home, SWAP, "memory.swap.max", or_max(swap));
        // Without swap accounting there is no swap to forbid, and none to allow.
        if swap <= 0 {
            write.absent = Absent::Fine;
        }
    }
    if let Some(limit) = limit {
        sheet.put(home, LIMIT, "memory.max", or_max(limit));
    }
    if let Some(reservation) = reservation {
        sheet.put(home, RESERVATION, "memory.low", or_max(reservation));
    }
    Ok(())
}

/// Version 2's limit on swap alone for the spec's limit on memory and swap together.
pub(in crate::cgroup) fn swap_alone(
    limit: Option<i64>,
    swap: Option<i64>,
) -> Result<Option<i64>, CgroupError> {
    match (limit, swap) {
        (Some(-1), None) => Ok(Some(-1)),
        (_, None | Some(-1)) => Ok(swap),
        (Some(-1), Some(_)) => Ok(swap),
        (None, Some(swap)) => {
            Err(bad_value(SWAP, swap, "with a memory.limit, without which cgroup v2 cannot hold it"))
        }
        (Some(limit), Some(swap)) if swap < limit => {
            Err(bad_value(SWAP, swap, "at least memory.limit, which it includes"))
        }
        (Some(limit), Some(swap)) => Ok(Some(swap - limit)),
    }
}

fn or_max(value: i64) -> String {
    if value == -1 { "max".to_owned() } else { value.to_string() }
}

/// Limits on the kernel's memory. `kernel` itself lost its meaning in Linux 5.16, and the runtime
/// specification lets it be ignored: it is written where its file still is.
fn kernel(memory: &Memory, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    let limits = [
        ("memory.kernel", "memory.kmem.limit_in_bytes", amount("memory.kernel", memory.kernel)?),
        (
            "memory.kernelTCP",
            "memory.kmem.tcp.limit_in_bytes",
            amount("memory.kernelTCP", memory.kernel_tcp)?,
        ),
    ];
    for (field, file, limit) in limits {
        let Some(limit) = limit else { continue };
        let tolerated = field == "memory.kernel" || limit == -1;
        let home = match sheet.home("memory", field) {
            Ok(home) if home.version == Version::V1 => home,
            _ if tolerated => continue,
            Ok(home) => return only_v1(home, field),
            Err(error) => return Err(error),
        };
        let write = sheet.put(home, field, file, limit);
        if tolerated {
            write.absent = Absent::Fine;
        }
    }
    Ok(())
}

fn behaviour(memory: &Memory, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    const SWAPPINESS: &str = "memory.swappiness";
    const OOM: &str = "memory.disableOOMKiller";
    if let Some(swappiness) = memory.swappiness {
        let home = sheet.home("memory", SWAPPINESS)?;
        only_v1(home, SWAPPINESS)?;
        if swappiness > 100 {
            return Err(bad_value(SWAPPINESS, swappiness, "0 to 100"));
        }
        sheet.put(home, SWAPPINESS, SWAPPINESS, swappiness);
    }
    if memory.disable_oom_killer == Some(true) {
        let home = sheet.home("memory", OOM)?;
        only_v1(home, OOM)?;
        sheet.put(home, OOM, "memory.oom_control", 1);
    }
    if memory.use_hierarchy == Some(true)
        && let Ok(home) = sheet.home("memory", "memory.useHierarchy")
        && home.version == Version::V1
    {
        sheet.put(home, "memory.useHierarchy", "memory.use_hierarchy", 1).absent = Absent::Fine;
    }
    Ok(())
}
