//! Handing a descriptor to whoever started us, over a unix socket that they listen on.

use std::{
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::failure::Failure;

/// A socket connected before anything else is done, so that a wrong path fails early.
#[derive(Debug)]
pub(super) struct Receiver {
    path: PathBuf,
    stream: UnixStream,
}

impl Receiver {
    /// Connects to the listener at `path`.
    pub(super) fn connect(path: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(path).map_err(|source| Failure::File {
            action: "connect to",
            path: path.into(),
            source,
        })?;
        Ok(Self { path: path.into(), stream })
    }

    /// Sends `fd`, with `name` as the message that carries it.
    pub(super) fn send(&self, fd: BorrowedFd<'_>, name: &str) -> Result<(), Failure> {
        send(self.stream.as_fd(), fd, name).map_err(|source| Failure::File {
            action: "send a descriptor to",
            path: self.path.clone(),
            source,
        })
    }
}

/// Sends `fd` with the message `name` over `socket`.
pub(super) fn send(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let pushed = control.push(SendAncillaryMessage::ScmRights(&fds));
    debug_assert!(pushed, "the space is for one descriptor");
    sendmsg(socket, &[io::IoSlice::new(name.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{IoSliceMut, Read, Seek, Write},
        mem::MaybeUninit,
        os::{fd::AsFd, unix::net::UnixListener},
    };

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    use super::Receiver;

    #[test]
    fn the_listener_gets_the_descriptor_and_its_name() {
        let path = std::env::temp_dir().join(format!("longshore-socket-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let receiver = Receiver::connect(&path).unwrap();
        let (stream, _) = listener.accept().unwrap();
        std::fs::remove_file(&path).unwrap();

        let memory = rustix::fs::memfd_create("sent", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut memory = File::from(memory);
        memory.write_all(b"content").unwrap();
        receiver.send(memory.as_fd(), "/dev/ptmx").unwrap();

        let mut name = [0; 64];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = [IoSliceMut::new(&mut name)];
        let received = recvmsg(&stream, &mut text, &mut control, RecvFlags::empty()).unwrap();
        assert_eq!(&name[..received.bytes], b"/dev/ptmx");
        let mut fds = Vec::new();
        for message in control.drain() {
            let RecvAncillaryMessage::ScmRights(rights) = message else { panic!() };
            fds.extend(rights);
        }
        assert_eq!(fds.len(), 1);
        let mut file = File::from(fds.pop().unwrap());
        file.rewind().unwrap();
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
    }

    #[test]
    fn a_wrong_path_is_named() {
        let error = Receiver::connect("/nonexistent/socket".as_ref()).unwrap_err();
        assert_eq!(error.to_string(), "cannot connect to /nonexistent/socket");
    }
}
