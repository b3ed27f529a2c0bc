//! A connection to a collector.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use rustix::{
    fs::{MemfdFlags, SealFlags},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags},
};
use std::os::fd::AsFd;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest},
    net::{TcpStream, UdpSocket, UnixDatagram, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{
    Limits, PATIENCE, Remote,
    address::{self, Target},
    frame::{self, Frame},
};

/// Where the machine's own syslog may listen.
pub(super) const OWN: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
/// How long an answer may take unless the options say.
const ANSWER: Duration = Duration::from_secs(60);

/// What is written to as one stream.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Stream for T {}

#[derive(Debug)]
enum Link {
    Stream(Box<dyn Stream>),
    Udp(UdpSocket),
    Unixgram(UnixDatagram),
}

/// A connection that messages are sent on.
#[derive(Debug)]
pub(in crate::log) struct Connection {
    link: Link,
    limits: Limits,
    since: Instant,
}

impl Connection {
    /// Connects.
    pub(in crate::log) async fn open(remote: &Remote) -> io::Result<Self> {
        let link = timeout(PATIENCE, Link::open(remote)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(Self { link, limits: remote.limits, since: Instant::now() })
    }

    /// Whether it is to be given up: the other side has closed it, or its time is over.
    pub(in crate::log) fn is_spent(&mut self) -> bool {
        if self.limits.age.is_some_and(|age| self.since.elapsed() >= age) {
            return true;
        }
        let Link::Stream(stream) = &mut self.link else { return false };
        let mut byte = [0];
        matches!(stream.read(&mut byte).now_or_never(), Some(Ok(0) | Err(_)))
    }

    /// Sends all messages of a buffer, and waits for the answers to those that get one.
    ///
    /// # Errors
    /// Some may have been sent by then.
    pub(in crate::log) async fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        match &mut self.link {
            Link::Udp(socket) => {
                for frame in frame::all(frames) {
                    lost(socket.send(frame.message).await)?;
                }
                Ok(())
            }
            Link::Unixgram(socket) => {
                for frame in frame::all(frames) {
                    unixgram(socket, frame.message).await?;
                }
                Ok(())
            }
            Link::Stream(stream) => {
                let bytes: Vec<u8> = frame::all(frames).flat_map(|frame| frame.message).copied().collect();
                let written = async {
                    stream.write_all(&bytes).await?;
                    stream.flush().await
                };
                within(self.limits.write, written).await?;
                for frame in frame::all(frames).filter(|frame| !frame.ack.is_empty()) {
                    within(Some(self.limits.read.unwrap_or(ANSWER)), answer(stream, frame)).await?;
                }
                Ok(())
            }
        }
    }
}

impl Link {
    async fn open(remote: &Remote) -> io::Result<Self> {
        Ok(match &remote.target {
            Target::Tcp(place) => Self::Stream(Box::new(TcpStream::connect(place).await?)),
            Target::Tls(place) => {
                let tls = remote.tls.clone();
                let config = tokio::task::spawn_blocking(move || tls.config()).await?;
                let config = config.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                let name = ServerName::try_from(address::host(place).to_owned());
                let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                let stream = TcpStream::connect(place).await?;
                Self::Stream(Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
            }
            Target::Unix(path) => Self::Stream(Box::new(UnixStream::connect(path).await?)),
            Target::Unixgram(path) => Self::Unixgram(unbound(path)?),
            Target::Udp(place) => Self::Udp(udp(place).await?),
            Target::Syslog => {
                if let Some(socket) = OWN.iter().find_map(|path| unbound(path.as_ref()).ok()) {
                    return Ok(Self::Unixgram(socket));
                }
                for path in OWN {
                    if let Ok(stream) = UnixStream::connect(path).await {
                        return Ok(Self::Stream(Box::new(stream)));
                    }
                }
                return Err(io::Error::new(io::ErrorKind::NotFound, "no syslog listens on this machine"));
            }
        })
    }
}

fn unbound(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}

async fn udp(place: &str) -> io::Result<UdpSocket> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in tokio::net::lookup_host(place).await? {
        let own = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(own).await?;
        match socket.connect(address).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// That nobody listened to the datagram before, or that one is too large, is no reason to send again.
fn lost(sent: io::Result<usize>) -> io::Result<()> {
    match sent {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused || is_too_large(&error) => Ok(()),
        sent => sent.map(drop),
    }
}

fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

/// Sends a datagram; what is too large for one goes as a file, which the journal takes.
async fn unixgram(socket: &UnixDatagram, message: &[u8]) -> io::Result<()> {
    match socket.send(message).await {
        Err(error) if is_too_large(&error) => {}
        sent => return sent.map(drop),
    }
    let file = rustix::fs::memfd_create(c"log", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = message;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&file, rest)?..];
    }
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL,
    )?;
    let fds = [file.as_fd()];
    let send = || {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        Ok(rustix::net::sendmsg(socket, &[], &mut control, SendFlags::NOSIGNAL)?)
    };
    socket.async_io(Interest::WRITABLE, send).await.map(drop)
}

/// Reads `{"ack": id}` in MessagePack.
async fn answer(stream: &mut Box<dyn Stream>, frame: Frame<'_>) -> io::Result<()> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let wrong =
        || io::Error::new(io::ErrorKind::InvalidData, "the answer is no acknowledgement of what was sent");
    if head != *b"\x81\xa3ack" {
        return Err(wrong());
    }
    let length = match stream.read_u8().await? {
        fixed @ 0xa0..=0xbf => fixed & 0x1f,
        0xd9 => stream.read_u8().await?,
        _ => return Err(wrong()),
    };
    let mut id = vec![0; usize::from(length)];
    stream.read_exact(&mut id).await?;
    if id == frame.ack { Ok(()) } else { Err(wrong()) }
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        Some(limit) => timeout(limit, work).await.map_err(|_| io::ErrorKind::TimedOut)?,
        None => work.await,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[tokio::test]
    async fn what_no_datagram_holds_goes_as_a_file() {
        use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let receiver = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let socket = unbound(&path).unwrap();
        unixgram(&socket, b"small").await.unwrap();
        let mut small = [0; 16];
        assert_eq!(receiver.recv(&mut small).unwrap(), 5);
        let large = vec![b'x'; 8 << 20];
        unixgram(&socket, &large).await.unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        rustix::net::recvmsg(&receiver, &mut [], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
        let file = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let file: OwnedFd = file.unwrap();
        assert_eq!(rustix::fs::fstat(&file).unwrap().st_size, 8 << 20);
    }
}
