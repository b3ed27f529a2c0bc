//! The other end of `--console-socket`: takes the terminal that the runtime sends.

use crate::wait;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A listening socket for one terminal.
#[derive(Debug)]
pub struct ConsoleSocket {
    path: PathBuf,
    listener: UnixListener,
}

/// The master side of a container's terminal.
#[derive(Debug)]
pub struct Terminal {
    master: File,
    seen: Vec<u8>,
}

impl ConsoleSocket {
    /// Listens at `path`, which must be short.
    ///
    /// # Panics
    /// If that fails.
    pub fn new(path: &Path) -> ConsoleSocket {
        let listener = UnixListener::bind(path).expect("console socket");
        ConsoleSocket { path: path.to_owned(), listener }
    }

    /// Its path.
    pub fn path(&self) -> &str {
        self.path.to_str().expect("a path of ours")
    }

    /// Takes the terminal.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn accept(&self) -> Terminal {
        let (descriptor, _) = self.accept_with_message();
        Terminal { master: descriptor.into(), seen: Vec::new() }
    }

    /// Takes any descriptor, and the text that came with it.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn accept_with_message(&self) -> (OwnedFd, String) {
        assert!(wait::readable(self.listener.as_fd(), wait::patience()), "no connection for the terminal");
        let (stream, _) = self.listener.accept().expect("accept");
        let mut text = [0; 65536];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received =
            rustix::net::recvmsg(&stream, &mut [IoSliceMut::new(&mut text)], &mut ancillary, flags);
        let length = received.expect("a message").bytes;
        let mut descriptors: Vec<OwnedFd> = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        assert_eq!(descriptors.len(), 1, "the message carries one descriptor");
        (descriptors.pop().expect("counted"), String::from_utf8_lossy(&text[..length]).into_owned())
    }
}

impl Terminal {
    /// Types.
    ///
    /// # Panics
    /// If nobody holds the other side.
    pub fn write(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("write to the terminal");
    }

    /// Sets the size.
    ///
    /// # Panics
    /// If this is no terminal.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size).expect("a terminal");
    }

    /// Waits until the output holds `text` and returns everything up to its end.
    ///
    /// # Panics
    /// If it does not come in time.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        loop {
            let seen = String::from_utf8_lossy(&self.seen).into_owned();
            if let Some(at) = seen.find(text) {
                let end = at + text.len();
                self.seen = seen.as_bytes()[end..].to_vec();
                return seen[..end].to_owned();
            }
            assert!(wait::readable(self.master.as_fd(), wait::patience()), "no {text:?} after {seen:?}");
            let mut chunk = [0; 4096];
            match self.master.read(&mut chunk) {
                Ok(count) if count > 0 => self.seen.extend_from_slice(&chunk[..count]),
                // EIO: nobody has the other side open any more.
                _ => panic!("the terminal closed before {text:?}, after {seen:?}"),
            }
        }
    }
}
