//! Waiting for a process that runs in the foreground: its signals, its streams, its end.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use longshore_runtime::init::ProcessIo;
use longshore_sys::{event, pidfd};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{WaitOptions, WaitStatus, wait},
};

use super::{
    failure::Failure,
    notify::Relay,
    pump::Stream,
    signal,
    terminal::{self, RawTerminal},
};

/// How long to wait for output that is on its way once the process ended, in milliseconds. A
/// process that it left behind may hold its streams for ever.
const LAST_OUTPUT: i64 = 100;

/// What has to be in place before the process is made, so that no signal is lost.
#[derive(Debug)]
pub(super) struct Foreground {
    signals: OwnedFd,
    streams: Vec<Stream>,
    /// The container's way to the service manager, until it was ready.
    pub(super) relay: Option<Relay>,
}

impl Foreground {
    /// Takes all signals, and makes the streams for a process without a terminal of its own.
    ///
    /// A stream that is no terminal is handed on as it is. A terminal is not: the process could type
    /// into it (`TIOCSTI`) and read what is meant for others.
    pub(super) fn new(has_terminal: bool) -> Result<(Self, ProcessIo), Failure> {
        let failed = |action| move |source| Failure::System { action, source };
        let all: Vec<i32> = (1..=signal::MAX).filter(|number| is_taken(*number)).collect();
        event::block_signals(&all).map_err(failed("block signals"))?;
        let signals = event::signalfd(&all).map_err(failed("open a signalfd"))?;
        let mut foreground = Self { signals, streams: Vec::new(), relay: None };
        let mut io = ProcessIo { keep_line_ends: has_terminal, ..ProcessIo::default() };
        if !has_terminal {
            foreground.shield(&mut io).map_err(failed("make pipes for the standard streams"))?;
        }
        Ok((foreground, io))
    }

    fn shield(&mut self, io: &mut ProcessIo) -> io::Result<()> {
        let (stdin, stdout, stderr) =
            (rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr());
        if terminal::is_terminal(stdin) {
            let (reader, writer) = io::pipe()?;
            self.streams.push(Stream::new(stdin.try_clone_to_owned()?, writer.into(), false));
            io.stdin = Some(reader.into());
        }
        for (own, slot) in [(stdout, &mut io.stdout), (stderr, &mut io.stderr)] {
            if terminal::is_terminal(own) {
                let (reader, writer) = io::pipe()?;
                self.streams.push(Stream::new(reader.into(), own.try_clone_to_owned()?, true));
                *slot = Some(writer.into());
            }
        }
        Ok(())
    }

    /// Connects the caller's terminal with the container's, whose master is `console`.
    pub(super) fn attach(&mut self, console: &OwnedFd) -> io::Result<RawTerminal> {
        let stdin = rustix::stdio::stdin().try_clone_to_owned()?;
        let stdout = rustix::stdio::stdout().try_clone_to_owned()?;
        self.streams.push(Stream::new(stdin, console.try_clone()?, false));
        self.streams.push(Stream::new(console.try_clone()?, stdout, true));
        let own = RawTerminal::take()?;
        // A terminal of no size is no reason to stop.
        drop(own.copy_size(console.as_fd()));
        Ok(own)
    }

    /// Forwards signals and copies streams until the process `pid` ends. Returns its exit code,
    /// 128 + n for signal n.
    pub(super) fn wait(
        &mut self,
        pid: i32,
        process: &OwnedFd,
        terminal: Option<(&RawTerminal, &OwnedFd)>,
    ) -> io::Result<u8> {
        let code = loop {
            if self.turn(None)? {
                while let Some(info) = event::read_signal(self.signals.as_fd())? {
                    match (info.signal, terminal) {
                        (signal::WINCH, Some((own, console))) => drop(own.copy_size(console.as_fd())),
                        (signal::CHLD | signal::URG, _) => {}
                        // It may have ended just now; SIGCHLD tells.
                        (number, _) => drop(pidfd::send_signal(process.as_fd(), number)),
                    }
                }
                if let Some(code) = reap(pid)? {
                    break code;
                }
            }
        };
        self.streams.retain(|stream| stream.is_output);
        while self.streams.iter().any(|stream| stream.interest().is_some()) {
            if self.turn(Some(LAST_OUTPUT))? {
                break;
            }
        }
        Ok(code)
    }

    /// Waits for something to happen and moves what can be moved. Without a `limit` it is true when
    /// there are signals to read; with one (in milliseconds) signals do not count, and it is true
    /// when nothing happened for so long.
    fn turn(&mut self, limit: Option<i64>) -> io::Result<bool> {
        let timeout = limit.map(|millis| Timespec { tv_sec: 0, tv_nsec: millis * 1_000_000 });
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if limit.is_some() {
            fds[0] = PollFd::new(&self.signals, PollFlags::empty());
        }
        let mut polled = Vec::with_capacity(self.streams.len());
        for (index, stream) in self.streams.iter().enumerate() {
            if let Some(interest) = stream.interest() {
                fds.push(interest);
                polled.push(index);
            }
        }
        let streams_end = fds.len();
        fds.extend(self.relay.as_ref().map(|relay| PollFd::new(relay, PollFlags::IN)));
        let count = match poll(&mut fds, timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let signalled = ready(&fds[0]);
        let active: Vec<usize> = polled
            .into_iter()
            .zip(&fds[1..streams_end])
            .filter(|(_, fd)| ready(fd))
            .map(|(index, _)| index)
            .collect();
        let notified = fds.get(streams_end).is_some_and(ready);
        drop(fds);
        if notified {
            self.pass_on();
        }
        for index in active {
            self.streams[index].step()?;
        }
        Ok(if limit.is_some() { count == 0 } else { signalled })
    }

    /// Tells the service manager. It watches this process, which ends with the container's.
    fn pass_on(&mut self) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        // With a manager that went away there is nothing to wait for.
        if self.relay.as_ref().is_some_and(|relay| relay.pass_on(own).unwrap_or(true)) {
            self.relay = None;
        }
    }
}

/// Whether a signal is taken and forwarded: all that can be, but those that say that this very
/// program is broken, and the two numbers that the C library keeps for itself.
fn is_taken(number: i32) -> bool {
    !matches!(number, 4 | 5 | 7 | 8 | 9 | 11 | 19 | 31 | 32 | 33)
}

/// Reaps all children that ended, orphans of the container among them, and finds the one that counts.
fn reap(pid: i32) -> io::Result<Option<u8>> {
    let mut found = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((ended, status))) if ended.as_raw_pid() == pid => found = Some(exit_code(status)),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return Ok(found),
            // None left is fine only when the one that counts was the last.
            Err(Errno::CHILD) if found.is_some() => return Ok(found),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The exit code that stands for `status`, as shells count.
fn exit_code(status: WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    };
    u8::try_from(code & 0xff).unwrap_or(255)
}
