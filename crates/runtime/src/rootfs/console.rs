use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
    pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt},
    termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};

use super::{
    mount,
    tree::{Target, Tree},
};
use crate::spec::ConsoleSize;

const DEVPTS_MAGIC: i64 = 0x1cd1;

/// A pseudo-terminal pair of the container's own devpts.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) master: OwnedFd,
    pub(crate) slave: OwnedFd,
}

/// Opens a pair from the devpts that `ptmx` is on.
///
/// The slave comes from the master by ioctl and not by a path, which could be swapped
/// (CVE-2025-52565).
fn open_pair(ptmx: OwnedFd, size: Option<ConsoleSize>) -> io::Result<Console> {
    if rustix::fs::fstatfs(&ptmx)?.f_type as i64 != DEVPTS_MAGIC {
        return Err(io::Error::other("/dev/pts/ptmx is not on a devpts"));
    }
    unlockpt(&ptmx)?;
    let slave = ioctl_tiocgptpeer(&ptmx, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    if let Some(ConsoleSize { height, width }) = size {
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&ptmx, size)?;
    }
    Ok(Console { master: ptmx, slave })
}

/// Leaves the ends of lines to the terminal behind this one, or they would be converted twice. Before the program
/// runs: what it writes first counts too.
pub(crate) fn keep_line_ends(console: BorrowedFd<'_>) -> io::Result<()> {
    let mut modes = tcgetattr(console)?;
    modes.output_modes -= OutputModes::ONLCR;
    Ok(tcsetattr(console, OptionalActions::Now, &modes)?)
}

/// Opens a pair in the container's tree and shows its slave at `/dev/console`.
pub(super) fn set_up(tree: &Tree, size: Option<ConsoleSize>) -> io::Result<Console> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let console = open_pair(tree.open("/dev/pts/ptmx", flags)?, size)?;
    let target = tree.target("/dev/console", Target::File)?;
    mount::move_onto(mount::clone_fd(console.slave.as_fd(), false)?.as_fd(), target.as_fd())?;
    Ok(console)
}

/// Opens a pair for one more process, from inside the container.
pub(crate) fn open_inside(size: Option<ConsoleSize>) -> io::Result<Console> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pts = rustix::fs::open("/dev/pts", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let ptmx = openat(&pts, "ptmx", flags, Mode::empty()).map_err(|error| match error {
        Errno::NOENT => io::Error::other("the container has no /dev/pts/ptmx"),
        error => error.into(),
    })?;
    open_pair(ptmx, size)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::{
        fs::{Mode, OFlags},
        termios::{OutputModes, tcgetattr},
    };

    use super::{keep_line_ends, open_pair};

    #[test]
    fn line_ends_are_left_alone() {
        let ptmx = rustix::fs::open("/dev/pts/ptmx", OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let pair = open_pair(ptmx, None).unwrap();
        let (master, slave) = (pair.master, pair.slave);
        keep_line_ends(master.as_fd()).unwrap();
        rustix::io::write(&slave, b"a\n").unwrap();
        let mut text = [0; 8];
        let read = rustix::io::read(&master, &mut text).unwrap();
        assert_eq!(&text[..read], b"a\n");
        assert!(!tcgetattr(&master).unwrap().output_modes.contains(OutputModes::ONLCR));
    }
}
