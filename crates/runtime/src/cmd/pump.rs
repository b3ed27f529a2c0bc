//! Copying between the caller's streams and those of a process in the foreground.
//!
//! The caller's descriptors may be shared with other programs, so none of them is made non-blocking:
//! what is read is read when `poll` said so, and written in portions that `poll` promised room for.

use std::{io, os::fd::OwnedFd};

use rustix::{
    event::{PollFd, PollFlags},
    io::Errno,
};

/// How much is read and written at once: what `POLLOUT` on a pipe promises (`PIPE_BUF`).
const PORTION: usize = 4096;

/// One direction of copying.
#[derive(Debug)]
pub(super) struct Stream {
    from: OwnedFd,
    /// `None` once the copying is over.
    to: Option<OwnedFd>,
    portion: Box<[u8; PORTION]>,
    /// What of `portion` is still to be written.
    pending: std::ops::Range<usize>,
    /// Whether bytes come out of the container: they are worth waiting for.
    pub(super) is_output: bool,
}

impl Stream {
    /// Copies what can be read `from` one descriptor `to` another.
    pub(super) fn new(from: OwnedFd, to: OwnedFd, is_output: bool) -> Self {
        Self { from, to: Some(to), portion: Box::new([0; PORTION]), pending: 0..0, is_output }
    }

    /// What to poll for; `None` once the copying is over.
    pub(super) fn interest(&self) -> Option<PollFd<'_>> {
        let to = self.to.as_ref()?;
        Some(match self.pending.is_empty() {
            true => PollFd::new(&self.from, PollFlags::IN),
            false => PollFd::new(to, PollFlags::OUT),
        })
    }

    /// Reads or writes one portion, now that [`Stream::interest`] came true. The end of either side
    /// ends the copying and closes `to`.
    pub(super) fn step(&mut self) -> io::Result<()> {
        let Some(to) = &self.to else { return Ok(()) };
        let moved = if self.pending.is_empty() {
            rustix::io::read(&self.from, &mut self.portion[..]).map(|read| self.pending = 0..read)
        } else {
            rustix::io::write(to, &self.portion[self.pending.clone()])
                .map(|written| self.pending.start += written)
        };
        match moved {
            // Nothing pending after a read is the end of the file.
            Ok(()) if !self.pending.is_empty() => Ok(()),
            Ok(()) if self.pending.end > 0 => Ok(()),
            // EIO is how a terminal says that its other side is closed.
            Ok(()) | Err(Errno::IO | Errno::PIPE | Errno::CONNRESET) => {
                self.to = None;
                Ok(())
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use rustix::event::{PollFlags, poll};

    use super::Stream;

    fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
        std::io::pipe().unwrap()
    }

    /// Steps as often as `poll` says.
    fn run(stream: &mut Stream) {
        while let Some(interest) = stream.interest() {
            let mut fds = [interest];
            poll(&mut fds, None).unwrap();
            assert!(!fds[0].revents().contains(PollFlags::NVAL));
            stream.step().unwrap();
        }
    }

    #[test]
    fn copies_all_and_closes() {
        let ((from, mut source), (mut sink, to)) = (pipe(), pipe());
        let text: Vec<u8> = (0..100_000u32).map(|i| i.to_le_bytes()[0]).collect();
        let expected = text.clone();
        let feed = std::thread::spawn(move || source.write_all(&text).unwrap());
        let check = std::thread::spawn(move || {
            let mut got = Vec::new();
            sink.read_to_end(&mut got).unwrap();
            got
        });
        run(&mut Stream::new(from.into(), to.into(), true));
        feed.join().unwrap();
        assert!(check.join().unwrap() == expected);
    }

    #[test]
    fn an_empty_source_ends_at_once() {
        let ((from, source), (mut sink, to)) = (pipe(), pipe());
        drop(source);
        run(&mut Stream::new(from.into(), to.into(), false));
        assert_eq!(sink.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_closed_sink_ends_it() {
        let ((from, mut source), (sink, to)) = (pipe(), pipe());
        drop(sink);
        source.write_all(b"x").unwrap();
        run(&mut Stream::new(from.into(), to.into(), false));
    }
}
