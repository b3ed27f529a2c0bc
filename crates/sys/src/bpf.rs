//! Device programs of cgroup v2: loading, attaching, replacing.
//!
//! A cgroup without a program forbids nothing; with several, all must allow. Programs stay with
//! their cgroup when the process that attached them ends, and go with the cgroup.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use crate::{check, size};

/// One instruction of eBPF, the kernel's `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u8,
    /// Destination in the low, source in the high four bits.
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;
const REPLACE: u32 = 1 << 2;

/// The most programs that one cgroup takes (`BPF_CGROUP_MAX_PROGS`).
const MAX_PROGRAMS: usize = 64;

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
    kind: u32,
    length: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// `union bpf_attr` for `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

/// `union bpf_attr` for `BPF_PROG_QUERY`, padded to eight bytes.
#[repr(C)]
struct Query {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    pad: u32,
}

fn bpf<T>(command: libc::c_int, argument: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: `T` is one of the structures above, each laid out as the command's part of
    // `union bpf_attr`, with its true size; the pointers in it are to live memory of the callers.
    check(unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(argument), size::<T>()) })
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(result).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the call that gave `result` returns a fresh descriptor of ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Loads a device program. Needs `CAP_BPF` and `CAP_NET_ADMIN`, or `CAP_SYS_ADMIN`.
pub fn load_device_program(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let length = u32::try_from(instructions.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let mut load = Load {
        kind: PROG_TYPE_CGROUP_DEVICE,
        length,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    owned(bpf(PROG_LOAD, &mut load)?)
}

/// Attaches `program` to the cgroup, beside the others there or in place of `replaced`.
pub fn attach_device_program(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut attach = Attach {
        target: number(cgroup),
        program: number(program),
        attach_type: CGROUP_DEVICE,
        flags: if replaced.is_some() { ALLOW_MULTI | REPLACE } else { ALLOW_MULTI },
        replaced: replaced.map_or(0, number),
    };
    bpf(PROG_ATTACH, &mut attach).map(drop)
}

/// Takes `program` from the cgroup.
pub fn detach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attach = Attach {
        target: number(cgroup),
        program: number(program),
        attach_type: CGROUP_DEVICE,
        flags: 0,
        replaced: 0,
    };
    bpf(PROG_DETACH, &mut attach).map(drop)
}

/// The device programs attached to the cgroup itself, oldest first.
pub fn device_programs(cgroup: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; MAX_PROGRAMS];
    let mut query = Query {
        target: number(cgroup),
        attach_type: CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: 64,
        pad: 0,
    };
    bpf(PROG_QUERY, &mut query)?;
    let count = usize::try_from(query.count).unwrap_or(0).min(MAX_PROGRAMS);
    ids[..count]
        .iter()
        .map(|&id| {
            // The id, then two fields of `union bpf_attr` that are 0.
            let mut by_id = [id, 0, 0];
            owned(bpf(PROG_GET_FD_BY_ID, &mut by_id)?)
        })
        .collect()
}
