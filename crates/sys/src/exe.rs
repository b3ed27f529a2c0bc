//! Running from a copy of the own program that nobody can write to (CVE-2019-5736).
//!
//! A process in a container can open `/proc/PID/exe` of whatever enters it, or have `/proc/self/exe`
//! executed as an interpreter, and so reach the runtime's own file on the host. So the runtime
//! executes itself once more through a read-only, detached clone of the mount that its file is on:
//! every way to that file then ends at a read-only mount that no namespace contains and nobody can
//! remount. That costs one exec; a copy into a sealed memory file, the fallback, costs the copy too.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::{ffi::OsStringExt, fs::MetadataExt},
    },
};

use crate::{check, exec, mount};

const SEALS: i32 = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
const MFD_EXEC: u32 = 0x10;

/// Whether the running program's file can already not be written through `/proc/self/exe`: it is on
/// a read-only mount or a sealed memory file.
pub fn is_sealed() -> io::Result<bool> {
    // Seals are not shown to a descriptor that only names the file.
    let exe = open(c"/proc/self/exe", libc::O_RDONLY)?;
    // SAFETY: an integer request on an open descriptor.
    let seals = unsafe { libc::fcntl(exe.as_raw_fd(), libc::F_GET_SEALS) };
    if seals >= 0 && seals & SEALS == SEALS {
        return Ok(true);
    }
    // A file without links is the detached clone or a memory file, never an installed program on a
    // mount that somebody may remount writable.
    let status = rustix::fs::fstatvfs(&exe)?;
    Ok(status.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) && is_detached(&exe)?)
}

/// Executes this program again, with the same arguments and environment, from a read-only clone.
///
/// Returns when the program runs sealed already, or with the error that kept it from doing so.
pub fn reexec_sealed() -> io::Result<()> {
    if is_sealed()? {
        return Ok(());
    }
    let program = match clone_read_only() {
        Ok(program) => program,
        // Old kernel, or no privilege for mounts (rootless).
        Err(_) => copy_sealed()?,
    };
    let args = c_strings(std::env::args_os().map(OsStringExt::into_vec))?;
    let env = c_strings(std::env::vars_os().map(|(name, value)| {
        let mut pair = name.into_vec();
        pair.push(b'=');
        pair.extend(value.into_vec());
        pair
    }))?;
    Err(exec::fexecve(program.as_fd(), &args, &env))
}

fn open_self() -> io::Result<OwnedFd> {
    open(c"/proc/self/exe", libc::O_PATH)
}

fn open(path: &CStr, flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: a C string and integers.
    let fd = check(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) }.into())?;
    // SAFETY: the call just made it and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}

/// A mount in no namespace has no line in mountinfo, and the kernel shows its files' paths from the
/// mount's own root: the root of a clone of a file is the file.
fn is_detached(exe: &OwnedFd) -> io::Result<bool> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", exe.as_raw_fd()))?;
    Ok(link.as_os_str() == "/")
}

fn clone_read_only() -> io::Result<OwnedFd> {
    let exe = open_self()?;
    let flags = rustix::mount::OpenTreeFlags::OPEN_TREE_CLONE
        | rustix::mount::OpenTreeFlags::OPEN_TREE_CLOEXEC
        | rustix::mount::OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(&exe, c"", flags)?;
    let change = mount::Change { set: mount::attr::RDONLY, ..Default::default() };
    mount::set_attributes(tree.as_fd(), false, change, None)?;
    Ok(tree)
}

fn copy_sealed() -> io::Result<OwnedFd> {
    let mut exe = File::open("/proc/self/exe")?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let name = c"longshore-runtime";
    // SAFETY: a C string and integers.
    let mut fd = check(unsafe { libc::memfd_create(name.as_ptr(), flags | MFD_EXEC) }.into());
    if fd.is_err() {
        // Kernels before 6.3 know no MFD_EXEC.
        // SAFETY: a C string and integers.
        fd = check(unsafe { libc::memfd_create(name.as_ptr(), flags) }.into());
    }
    // SAFETY: the call just made it and nobody else has it.
    let mut copy = unsafe { File::from_raw_fd(i32::try_from(fd?).unwrap_or(-1)) };
    let copied = io::copy(&mut exe, &mut copy)?;
    if copied != exe.metadata()?.size() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    copy.flush()?;
    // SAFETY: integers alone.
    check(unsafe { libc::fcntl(copy.as_raw_fd(), libc::F_ADD_SEALS, SEALS) }.into())?;
    // Executing a file that is open for writing answers ETXTBSY, so it is opened anew.
    let path = CString::new(format!("/proc/self/fd/{}", copy.as_raw_fd()))?;
    open(&path, libc::O_RDONLY)
}

fn c_strings(strings: impl Iterator<Item = Vec<u8>>) -> io::Result<Vec<CString>> {
    strings.map(|s| CString::new(s).map_err(io::Error::from)).collect()
}
