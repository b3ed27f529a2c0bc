//! Signals as a file descriptor, for an event loop.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use crate::check;

/// One signal read from a [`signalfd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    pub signal: i32,
    /// The sender's PID, or the child's for SIGCHLD.
    pub pid: u32,
}

/// Blocks `signals` in the calling thread, so that only a [`signalfd`] receives them. Inherited
/// by forks and kept over `execve`.
pub fn block_signals(signals: &[i32]) -> io::Result<()> {
    let set = signal_set(signals)?;
    // SAFETY: `set` is initialised by `signal_set`; a null old set is allowed.
    check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) }.into())?;
    Ok(())
}

/// Opens a non-blocking, close-on-exec descriptor that reads `signals`, which must be blocked.
pub fn signalfd(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = signal_set(signals)?;
    // SAFETY: `set` is initialised by `signal_set`; -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
    check(fd.into())?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads one signal, or `None` when none is pending.
pub fn read_signal(fd: BorrowedFd<'_>) -> io::Result<Option<SignalInfo>> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: `info` has room for the `size` bytes that the kernel writes at most.
    let read = unsafe { libc::read(fd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
    match usize::try_from(read) {
        Ok(read) if read == size => {
            // SAFETY: the kernel wrote all of `info`, whose fields are plain integers.
            let info = unsafe { info.assume_init() };
            let signal = i32::try_from(info.ssi_signo).unwrap_or_default();
            Ok(Some(SignalInfo { signal, pid: info.ssi_pid }))
        }
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            error => Err(error),
        },
    }
}

fn signal_set(signals: &[i32]) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises all of `set`.
    let mut set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    };
    for signal in signals {
        // SAFETY: `set` is initialised; a bad number is reported, not acted on.
        check(unsafe { libc::sigaddset(&raw mut set, *signal) }.into())?;
    }
    Ok(set)
}
