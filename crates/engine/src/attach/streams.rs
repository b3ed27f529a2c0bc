use std::{io, os::fd::OwnedFd};

use bytes::{Bytes, BytesMut};
use longshore_runtime::launch::Event;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, unix::AsyncFd},
    net::unix::pipe,
};

use super::Keys;
use crate::{monitor, ready};

/// Bytes read at once.
const CHUNK: usize = 32 << 10;

/// A stream of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Stdout,
    Stderr,
}

/// The streams of a process.
#[derive(Debug)]
pub struct Streams {
    pub output: Output,
    pub input: Option<Input>,
}

/// Where output comes from.
#[derive(Debug)]
pub enum Output {
    /// A container's, through its monitor.
    Monitor(monitor::Stream),
    /// An exec process's.
    Pipes {
        stdout: Option<pipe::Receiver>,
        stderr: Option<pipe::Receiver>,
    },
    Terminal(Terminal),
}

/// Where input goes.
#[derive(Debug)]
pub enum Input {
    Monitor {
        input: monitor::Input,
        /// Whether the client's end of input is the container's.
        ends: bool,
    },
    Pipe(pipe::Sender),
    Terminal(Terminal),
}

/// How a copy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The process has no more output.
    Output,
    /// The user typed the detach keys.
    Detached,
    /// The client has gone.
    Client,
}

impl Output {
    /// The next output; `None` at its end. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Option<(Channel, Bytes)> {
        match self {
            Self::Monitor(stream) => loop {
                match stream.next().await {
                    Ok(Event::Stdout(bytes)) => return Some((Channel::Stdout, bytes.into())),
                    Ok(Event::Stderr(bytes)) => return Some((Channel::Stderr, bytes.into())),
                    Ok(Event::ExecExited(_)) => {}
                    // A monitor that was killed takes the output with it.
                    Ok(Event::Exited(_) | Event::Dropped(_)) | Err(_) => return None,
                }
            },
            Self::Pipes { stdout, stderr } => loop {
                let (channel, bytes) = tokio::select! {
                    bytes = read(stdout), if stdout.is_some() => (Channel::Stdout, bytes),
                    bytes = read(stderr), if stderr.is_some() => (Channel::Stderr, bytes),
                    else => return None,
                };
                match (bytes, channel) {
                    (Some(bytes), _) => return Some((channel, bytes)),
                    (None, Channel::Stdout) => *stdout = None,
                    (None, Channel::Stderr) => *stderr = None,
                }
            },
            Self::Terminal(terminal) => terminal.read().await.map(|bytes| (Channel::Stdout, bytes)),
        }
    }
}

/// What a pipe has; `None` at its end.
async fn read(pipe: &mut Option<pipe::Receiver>) -> Option<Bytes> {
    let mut bytes = BytesMut::with_capacity(CHUNK);
    match pipe.as_mut()?.read_buf(&mut bytes).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(bytes.freeze()),
    }
}

impl Input {
    /// Sends all of `bytes`, as fast as the process reads. An error means that it reads no more.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Monitor { input, .. } => input.send(bytes).await.map_err(io::Error::other),
            Self::Pipe(pipe) => pipe.write_all(bytes).await,
            Self::Terminal(terminal) => terminal.write(bytes).await,
        }
    }

    /// The client has no more input.
    async fn close(self) {
        if let Self::Monitor { input, ends: true } = self {
            // The container may have ended.
            input.close().await.ok();
        }
    }
}

/// The master side of a terminal.
#[derive(Debug)]
pub struct Terminal(AsyncFd<OwnedFd>);

impl Terminal {
    /// Takes over a master.
    pub fn new(master: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&master, true)?;
        ready::watch(master).map(Self)
    }

    /// Another one for the same terminal.
    pub fn duplicate(&self) -> io::Result<Self> {
        Self::new(self.0.get_ref().try_clone()?)
    }

    async fn read(&self) -> Option<Bytes> {
        loop {
            let mut ready = self.0.readable().await.ok()?;
            let mut bytes = vec![0; CHUNK];
            match ready.try_io(|fd| Ok(rustix::io::read(fd, &mut bytes)?)) {
                // It answers EIO once nobody has its other side open.
                Ok(Ok(0) | Err(_)) => return None,
                Ok(Ok(length)) => {
                    bytes.truncate(length);
                    return Some(bytes.into());
                }
                Err(_) => {}
            }
        }
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            if let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd, bytes)?)) {
                bytes = &bytes[written?..];
            }
        }
        Ok(())
    }
}

impl Streams {
    /// Copies between the process and a client until one of them has enough. `encode` makes of output what is
    /// written; `keys` are watched for where there is a terminal. The client learns of the end when its connection is
    /// dropped.
    pub async fn copy<R, W>(
        self,
        keys: Option<Keys>,
        reader: &mut R,
        writer: &mut W,
        encode: impl Fn(Channel, Bytes) -> Bytes,
    ) -> End
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let Self { mut output, input } = self;
        let outgoing = async {
            while let Some((channel, bytes)) = output.next().await {
                if writer.write_all(&encode(channel, bytes)).await.is_err() || writer.flush().await.is_err() {
                    return End::Client;
                }
            }
            End::Output
        };
        tokio::select! {
            end = outgoing => end,
            end = incoming(input, keys, reader) => end,
        }
    }
}

/// Copies a client's input. Does not end when that does: output may still come.
async fn incoming(
    mut input: Option<Input>,
    mut keys: Option<Keys>,
    mut reader: impl AsyncRead + Unpin,
) -> End {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = match reader.read(&mut buffer).await {
            Ok(0) => break,
            Ok(length) => length,
            Err(_) => return End::Client,
        };
        let typed = &buffer[..length];
        let (bytes, leaves) = match &mut keys {
            Some(keys) => keys.filter(typed),
            None => (Vec::new(), false),
        };
        let bytes = if keys.is_some() { &bytes[..] } else { typed };
        if let Some(sink) = &mut input
            && sink.send(bytes).await.is_err()
        {
            // Nobody reads it any more; the client's is read on, so that it is not held up.
            input = None;
        }
        if leaves {
            return End::Detached;
        }
    }
    drop(buffer);
    if let Some(input) = input {
        input.close().await;
    }
    std::future::pending().await
}
