//! Capability sets of this thread, as bit masks (bit n is capability n).

use std::io;

use crate::check;

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The three sets that `capset(2)` handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

/// Reads this thread's sets.
pub fn get() -> io::Result<Sets> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 makes the kernel write two `Data`, which is what `data` has room for.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    let join = |field: fn(&Data) -> u32| u64::from(field(&data[0])) | u64::from(field(&data[1])) << 32;
    Ok(Sets {
        effective: join(|d| d.effective),
        permitted: join(|d| d.permitted),
        inheritable: join(|d| d.inheritable),
    })
}

/// Sets this thread's sets.
pub fn set(sets: Sets) -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let low = |mask: u64| u32::try_from(mask & 0xffff_ffff).unwrap_or(0);
    let high = |mask: u64| low(mask >> 32);
    let data = [
        Data {
            effective: low(sets.effective),
            permitted: low(sets.permitted),
            inheritable: low(sets.inheritable),
        },
        Data {
            effective: high(sets.effective),
            permitted: high(sets.permitted),
            inheritable: high(sets.inheritable),
        },
    ];
    // SAFETY: version 3 makes the kernel read two `Data`, and there are two.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) })?;
    Ok(())
}

/// Takes one capability out of the bounding set. `EINVAL` when the kernel has no such capability.
pub fn drop_bounding(capability: u32) -> io::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, capability.into(), 0).map(drop)
}

/// Whether the bounding set has `capability`. `EINVAL` when the kernel has no such capability.
pub fn has_bounding(capability: u32) -> io::Result<bool> {
    prctl(libc::PR_CAPBSET_READ, capability.into(), 0).map(|value| value == 1)
}

/// Empties the ambient set.
pub fn clear_ambient() -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0).map(drop)
}

/// Adds one capability, which must be permitted and inheritable, to the ambient set.
pub fn raise_ambient(capability: u32) -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, capability.into()).map(drop)
}

/// Keeps the permitted set over the next change from user id 0.
pub fn keep_over_setuid(keep: bool) -> io::Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0).map(drop)
}

fn prctl(option: i32, second: u64, third: u64) -> io::Result<libc::c_long> {
    // SAFETY: the options used here take integers alone.
    check(unsafe { libc::prctl(option, second, third, 0u64, 0u64) }.into())
}
