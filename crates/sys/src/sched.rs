//! CPU and I/O scheduling, CPU affinity and memory policy of this process.

use std::io;

use crate::{check, size};

/// What `sched_setattr(2)` sets; times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Sets the scheduling policy of this thread.
pub fn set_policy(policy: Policy) -> io::Result<()> {
    const SIZE: u32 = 48;
    const { assert!(size::<SchedAttr>() == SIZE as usize, "the first version of sched_attr") };
    let Policy { policy, flags, nice, priority, runtime, deadline, period } = policy;
    let attributes = SchedAttr { size: SIZE, policy, flags, nice, priority, runtime, deadline, period };
    // SAFETY: a structure that says its own size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) })?;
    Ok(())
}

/// Sets the I/O priority of this process: class (1 real time, 2 best effort, 3 idle) and level 0–7.
pub fn set_io_priority(class: u16, level: u16) -> io::Result<()> {
    const WHO_PROCESS: i32 = 1;
    let priority = i32::from(class) << 13 | i32::from(level);
    // SAFETY: integers alone.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, priority) })?;
    Ok(())
}

/// Lets this thread run on the CPUs whose bits are set (bit n of word n / 64).
pub fn set_affinity(mask: &[u64]) -> io::Result<()> {
    // SAFETY: words and their size in bytes.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(mask), mask.as_ptr()) })?;
    Ok(())
}

/// Sets the NUMA memory policy of this thread: `MPOL_*` with its flags, and the nodes' bits.
pub fn set_memory_policy(mode: i32, nodes: &[u64]) -> io::Result<()> {
    // The kernel reads one bit less than it is told (set_mempolicy(2), "BUGS" of libnuma).
    let bits = nodes.len() * 64 + 1;
    // SAFETY: words and their number in bits, the odd one not read.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, nodes.as_ptr(), bits) })?;
    Ok(())
}
