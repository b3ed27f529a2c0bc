//! Questions that others answer: the servers that the container or the daemon names, else the host's.
//!
//! The host's are asked from the host's namespace: what the host reaches (a resolver of its own at 127.0.0.53, a VPN's)
//! the containers do too. Those that somebody names are asked from the container's, as in Docker: one may be on its
//! networks alone. Each question leaves by a port of its own with a number of its own, and what comes back must have
//! both and the question.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use longshore_network::{
    dns::{Code, Query, Response},
    namespace::Namespace,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

use super::{Dns, cache::Key};

/// For one server.
const PATIENCE: Duration = Duration::from_secs(2);
/// All servers are asked so often.
const ROUNDS: usize = 2;

/// Who is asked, and from where.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) servers: Vec<SocketAddr>,
    /// The container's namespace; none for the host's.
    pub(super) place: Option<PathBuf>,
}

/// How the client asks, and so do we.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Datagram,
    Stream,
}

impl Dns {
    /// Has a question answered by one of the servers. That none can is an answer too.
    pub(super) async fn forward(
        &self,
        query: &Query,
        bytes: &[u8],
        upstream: &Upstream,
        way: Way,
    ) -> Vec<u8> {
        let servers = upstream.servers.as_slice();
        let failure = || query.reply(Code::ServerFailure, &[], query.datagram());
        let key = Key::new(bytes, servers, upstream.place.as_deref());
        if let Some(answer) = self.cache.get(&key, query.id(), Instant::now()) {
            return answer;
        }
        let Ok(_permit) = self.flights.try_acquire() else { return failure() };
        let mut last = None;
        for server in (0..ROUNDS).flat_map(|_| servers) {
            let asked = timeout(PATIENCE, ask(query, bytes, *server, (upstream.place.as_deref(), way))).await;
            let Ok(Ok((mut answer, response))) = asked else { continue };
            answer[..2].copy_from_slice(&query.id().to_be_bytes());
            match response.code {
                // Another may know.
                2 | 4 | 5 => last = last.or(Some(answer)),
                _ => {
                    if let Some(seconds) = response.life.filter(|_| way == Way::Datagram) {
                        self.cache.put(key, &answer, response.into_ttls(), seconds, Instant::now());
                    }
                    return answer;
                }
            }
            if last.is_some() && servers.len() == 1 {
                break;
            }
        }
        last.unwrap_or_else(failure)
    }
}

async fn ask(
    query: &Query,
    bytes: &[u8],
    server: SocketAddr,
    (place, way): (Option<&Path>, Way),
) -> io::Result<(Vec<u8>, Response)> {
    let id = fastrand::u16(..);
    let mut bytes = bytes.to_vec();
    bytes[..2].copy_from_slice(&id.to_be_bytes());
    let check = |answer: &[u8]| Response::parse(answer, id, query.question());
    let socket = open(server, way, place).await?;
    if way == Way::Stream {
        let socket = TcpSocket::from_std_stream(socket.into());
        let answer = ask_stream(&bytes, socket.connect(server).await?).await?;
        let response = check(&answer).ok_or(io::ErrorKind::InvalidData)?;
        return Ok((answer, response));
    }
    let socket = UdpSocket::from_std(socket.into())?;
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What is none is somebody else's attempt; ours may still come.
        if let Some(response) = check(&buffer[..length]) {
            buffer.truncate(length);
            return Ok((buffer, response));
        }
    }
}

/// A socket in a namespace, which it is of from then on, whoever uses it.
async fn open(server: SocketAddr, way: Way, place: Option<&Path>) -> io::Result<OwnedFd> {
    let open = move || -> io::Result<OwnedFd> {
        let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let kind = if way == Way::Stream { SocketType::STREAM } else { SocketType::DGRAM };
        Ok(socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
    };
    let Some(place) = place.map(Path::to_owned) else { return open() };
    let entered = move || Namespace::open(&place).and_then(|namespace| namespace.enter(open));
    match tokio::task::spawn_blocking(entered).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(error) => Err(io::Error::other(error)),
    }
}

async fn ask_stream(bytes: &[u8], mut stream: TcpStream) -> io::Result<Vec<u8>> {
    stream.write_all(&framed(bytes)).await?;
    read_framed(&mut stream).await
}

/// A message with its length before it.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let bytes = &bytes[..usize::from(length)];
    [&length.to_be_bytes(), bytes].concat()
}

/// A message that came with its length before it.
pub(super) async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
