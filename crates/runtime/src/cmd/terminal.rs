//! The caller's own terminal, while a container's process in the foreground uses it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags},
    termios::{
        OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
    },
};

/// The caller's terminal in raw mode; as it was before once dropped.
#[derive(Debug)]
pub(super) struct RawTerminal {
    fd: OwnedFd,
    before: Termios,
}

impl RawTerminal {
    /// Finds the terminal among the standard streams, which may be redirected one by one, or as the
    /// controlling one, and makes it raw.
    pub(super) fn take() -> io::Result<Self> {
        let fd = find()?;
        let before = tcgetattr(&fd)?;
        let mut raw = before.clone();
        raw.make_raw();
        // Lines of our own messages still start at the left.
        raw.output_modes |= OutputModes::OPOST;
        tcsetattr(&fd, OptionalActions::Now, &raw)?;
        Ok(Self { fd, before })
    }

    /// Gives the container's terminal `console` the size of this one.
    pub(super) fn copy_size(&self, console: BorrowedFd<'_>) -> io::Result<()> {
        Ok(tcsetwinsize(console, tcgetwinsize(&self.fd)?)?)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that went away needs no restoring.
        let _ = tcsetattr(&self.fd, OptionalActions::Now, &self.before);
    }
}

fn find() -> io::Result<OwnedFd> {
    let streams = [rustix::stdio::stderr(), rustix::stdio::stdout(), rustix::stdio::stdin()];
    match streams.into_iter().find(|stream| isatty(stream)) {
        Some(stream) => stream.try_clone_to_owned(),
        None => Ok(rustix::fs::open("/dev/tty", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?),
    }
}

/// Whether a standard stream is a terminal that the container must not get hold of.
pub(super) fn is_terminal(stream: impl AsFd) -> bool {
    isatty(stream)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::{
        fs::{Mode, OFlags},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::{LocalModes, Winsize, tcgetattr, tcgetwinsize, tcsetwinsize},
    };

    use super::RawTerminal;

    fn pty() -> (OwnedFd, OwnedFd) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave =
            rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        (master, slave)
    }

    fn raw(slave: &OwnedFd) -> RawTerminal {
        let fd = slave.try_clone().unwrap();
        let before = tcgetattr(&fd).unwrap();
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&fd, rustix::termios::OptionalActions::Now, &raw).unwrap();
        RawTerminal { fd, before }
    }

    #[test]
    fn dropping_it_restores_the_terminal() {
        let (_master, slave) = pty();
        let echo = || tcgetattr(&slave).unwrap().local_modes.contains(LocalModes::ECHO);
        assert!(echo());
        let terminal = raw(&slave);
        assert!(!echo());
        drop(terminal);
        assert!(echo());
    }

    #[test]
    fn the_size_is_copied() {
        let (_master, slave) = pty();
        let size = Winsize { ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        let (console, _inner) = pty();
        raw(&slave).copy_size(console.as_fd()).unwrap();
        let copied = tcgetwinsize(&console).unwrap();
        assert_eq!((copied.ws_row, copied.ws_col), (33, 99));
    }
}
