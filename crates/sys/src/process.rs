//! Attributes of this process: credentials, `prctl`, personality, limits, signals.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use crate::check;

/// Sets real, effective and saved user id of this thread.
pub fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: integers alone.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    Ok(())
}

/// Sets real, effective and saved group id of this thread.
pub fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: integers alone.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    Ok(())
}

/// Sets the supplementary groups of this thread.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: a slice of ids and its length.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    Ok(())
}

/// Whether others may trace this process and open what it has open (`PR_SET_DUMPABLE`).
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    // SAFETY: integers alone.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, u64::from(dumpable), 0u64, 0u64, 0u64) }.into())?;
    Ok(())
}

/// Forbids this process and its children to gain privileges by exec; there is no way back.
pub fn set_no_new_privileges() -> io::Result<()> {
    // SAFETY: integers alone.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1u64, 0u64, 0u64, 0u64) }.into())?;
    Ok(())
}

/// Makes orphaned descendants children of this process.
pub fn set_child_subreaper(on: bool) -> io::Result<()> {
    // SAFETY: integers alone.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, u64::from(on), 0u64, 0u64, 0u64) }.into())?;
    Ok(())
}

/// Sets the name that `ps` shows, cut at 15 bytes.
pub fn set_name(name: &CStr) -> io::Result<()> {
    // SAFETY: a C string, of which the kernel copies at most 16 bytes.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0u64, 0u64, 0u64) }.into())?;
    Ok(())
}

/// Sets the execution domain (`personality(2)`).
pub fn set_personality(persona: u32) -> io::Result<()> {
    // SAFETY: an integer.
    check(unsafe { libc::personality(persona.into()) }.into())?;
    Ok(())
}

/// Sets the soft and hard limit of `resource` (`RLIMIT_*`) for this process.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: a structure that the kernel reads, and no place for the old one.
    check(unsafe { libc::prlimit(0, resource, &raw const limit, ptr::null_mut()) }.into())?;
    Ok(())
}

/// Gives every signal its default action and unblocks all: what a program expects to start with.
pub fn reset_signals() -> io::Result<()> {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL runs no code of ours. SIGKILL, SIGSTOP and the two numbers that the C
        // library keeps for itself answer EINVAL, which is right to ignore.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let none = 0u64;
    // SAFETY: the kernel's signal set is 8 bytes; there is no place for the old one.
    check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            ptr::null_mut::<u64>(),
            8usize,
        )
    })?;
    Ok(())
}

/// Marks all descriptors from `first` on close-on-exec.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: with CLOEXEC nothing is closed now, so no owner loses its descriptor.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })?;
    Ok(())
}

/// Closes all descriptors from `first` on but `kept`, whoever owns them: for a process that is about to
/// execute another program, and neither uses nor drops an owner of the rest again, whatever fails.
pub fn close_all_but(first: u32, kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut numbers: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd().cast_unsigned()).collect();
    numbers.sort_unstable();
    let mut from = first;
    for number in numbers.into_iter().filter(|number| *number >= first) {
        if number > from {
            close_range(from, number - 1)?;
        }
        from = number + 1;
    }
    close_range(from, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: by the rule above no owner uses or closes its descriptor again.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    Ok(())
}

/// Closes the descriptors from `first` on that whoever executed this program left open: what the
/// program opened itself is close-on-exec, what came through an exec cannot be.
pub fn close_inherited(first: u32) -> io::Result<()> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    for number in numbers.into_iter().filter(|number| number.cast_unsigned() >= first) {
        // SAFETY: an integer request.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
            // SAFETY: nothing in this program owns it, by the rule above.
            unsafe { libc::close(number) };
        }
    }
    Ok(())
}

/// Takes close-on-exec from the descriptors 3 to 3 + `count` − 1, those that are open.
pub fn keep_on_exec(count: u32) -> io::Result<()> {
    for number in 3..3 + count.cast_signed() {
        // SAFETY: integers alone; who owns the descriptor goes on owning it.
        match check(unsafe { libc::fcntl(number, libc::F_SETFD, 0) }.into()) {
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
            result => drop(result?),
        }
    }
    Ok(())
}

/// Makes `fd` the descriptor `number` (0, 1 or 2) of this process, without close-on-exec.
pub fn replace_stdio(fd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    if !(0..=2).contains(&number) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if fd.as_raw_fd() == number {
        // dup2 would leave close-on-exec as it is.
        // SAFETY: integers alone.
        check(unsafe { libc::fcntl(number, libc::F_SETFD, 0) }.into())?;
        return Ok(());
    }
    // SAFETY: the standard descriptors have no owner in Rust's sense that would be confused.
    check(unsafe { libc::dup2(fd.as_raw_fd(), number) }.into())?;
    Ok(())
}

/// Makes the terminal `fd` the controlling one of this (session leader) process.
pub fn set_controlling_terminal(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request takes an integer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) }.into())?;
    Ok(())
}

/// Gives the allocator's free pages back to the kernel.
pub fn trim_heap() {
    // SAFETY: only the C library's own free lists are touched.
    unsafe { libc::malloc_trim(0) };
}

/// Ends this process at once, without destructors or buffers: the way out of a forked child.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: the process is gone; nothing can observe what was left behind.
    unsafe { libc::_exit(code) }
}

/// Sets the NIS domain name of the UTS namespace.
pub fn set_domain_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: bytes and their number.
    check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }.into())?;
    Ok(())
}

/// Sets the host name of the UTS namespace.
pub fn set_host_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: bytes and their number.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }.into())?;
    Ok(())
}
