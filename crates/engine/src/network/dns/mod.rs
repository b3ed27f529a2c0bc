//! The nameserver of containers on networks of users: 127.0.0.11, in each container's own namespace.
//!
//! ```text
//! container ── 127.0.0.11:53 ── rule in its namespace ─▶ sockets of the daemon ─▶ zone: names, aliases, links,
//!                                                                                 addresses, the host
//!                                                             │ not ours
//!                                                             ▼
//!                                                        cache ─▶ forward: from the host's namespace
//! ```
//!
//! The sockets are opened by a thread that enters the namespace and ends; after that they are the async runtime's, two
//! tasks a container. They end with the daemon, and the next one opens others (see [`Networks::serve_names`]). What
//! we know ourselves is answered in the task that received the question; what is forwarded has a task, of which there
//! is a limit.

mod cache;
mod forward;
mod names;
#[cfg(test)]
mod tests;
mod upstream;
mod zone;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use longshore_network::{
    dns::{Query, Sockets},
    namespace::Namespace,
};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    runtime::Handle,
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

pub(super) use self::names::Names;
use self::{
    cache::Cache,
    forward::{Upstream, Way, framed, read_framed},
    upstream::OfHost,
    zone::Fate,
};
use super::{Inner, Networks, Result};

/// Questions of all containers that wait for other servers.
const FLIGHTS: usize = 1024;
/// Of one container.
const FLIGHTS_EACH: usize = 128;
/// Connections of one container.
const STREAMS: usize = 32;
/// Datagrams that are answered before others get their turn.
const TURN: usize = 64;
/// The longest question.
const LONGEST: usize = 4096;
/// How long a connection may say nothing.
const SILENCE: Duration = Duration::from_secs(10);

/// What all nameservers share.
#[derive(Debug)]
pub(super) struct Dns {
    /// None where nobody serves: then there are no nameservers.
    runtime: Option<Handle>,
    of_host: OfHost,
    cache: Cache,
    flights: Semaphore,
}

/// A container's nameserver. Ends when dropped.
#[derive(Debug)]
pub(super) struct Serving([AbortHandle; 2]);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Dns {
    /// Serves on the async runtime of the caller, if there is one.
    pub(super) fn new() -> Self {
        Self {
            runtime: Handle::try_current().ok(),
            of_host: OfHost::default(),
            cache: Cache::default(),
            flights: Semaphore::new(FLIGHTS),
        }
    }
}

impl Networks {
    /// Begins to answer a container, in place of who did before. Says whether anybody does. Blocks.
    pub(super) fn serve_names(&self, container: &str, namespace: &Namespace) -> Result<bool> {
        let Some(runtime) = &self.0.dns.runtime else { return Ok(false) };
        let sockets = Sockets::open(namespace)?;
        let fail = |source| super::Error::Io {
            operation: "serve",
            object: format!("the nameserver of container {container}"),
            source,
        };
        let _entered = runtime.enter();
        let udp = UdpSocket::from_std(sockets.udp).map_err(fail)?;
        let tcp = TcpListener::from_std(sockets.tcp).map_err(fail)?;
        let this = Asked { networks: Arc::downgrade(&self.0), container: container.into() };
        let udp = runtime.spawn(datagrams(this.clone(), Arc::new(udp)));
        let tcp = runtime.spawn(streams(this, tcp));
        let serving = Serving([udp.abort_handle(), tcp.abort_handle()]);
        if let Some(sandbox) = self.state().sandboxes.get_mut(container) {
            sandbox.nameserver = Some(serving);
        }
        Ok(true)
    }
}

/// Whose questions they are.
#[derive(Clone, Debug)]
struct Asked {
    networks: Weak<Inner>,
    container: Arc<str>,
}

/// A question that others are to answer.
struct Pending {
    query: Query,
    bytes: Vec<u8>,
    upstream: Upstream,
}

enum Outcome {
    Answer(Vec<u8>),
    Pending(Box<Pending>),
    Nothing,
}

impl Asked {
    fn judge(&self, bytes: &[u8], way: Way) -> Outcome {
        let query = match Query::parse(bytes) {
            Ok(query) => query,
            Err(error) => return error.reply().map_or(Outcome::Nothing, Outcome::Answer),
        };
        let Some(networks) = self.networks.upgrade() else { return Outcome::Nothing };
        let limit = if way == Way::Stream { usize::from(u16::MAX) } else { query.datagram() };
        match networks.judge(&self.container, &query, limit) {
            Fate::Answered(answer) => Outcome::Answer(answer),
            Fate::Forward(upstream) => {
                Outcome::Pending(Box::new(Pending { query, bytes: bytes.to_vec(), upstream }))
            }
        }
    }

    async fn forward(&self, pending: &Pending, way: Way) -> Option<Vec<u8>> {
        let networks = self.networks.upgrade()?;
        Some(networks.dns.forward(&pending.query, &pending.bytes, &pending.upstream, way).await)
    }
}

async fn datagrams(asked: Asked, socket: Arc<UdpSocket>) {
    // They end with this task.
    let mut flights = JoinSet::new();
    loop {
        while flights.try_join_next().is_some() {}
        if socket.readable().await.is_err() {
            return;
        }
        let (_, pending) = drain(&asked, &socket);
        for (pending, from) in pending {
            // Who has so many open questions asks again.
            if flights.len() < FLIGHTS_EACH {
                let (asked, socket) = (asked.clone(), Arc::clone(&socket));
                flights.spawn(async move {
                    if let Some(answer) = asked.forward(&pending, Way::Datagram).await {
                        // Who asked may be gone.
                        socket.send_to(&answer, from).await.ok();
                    }
                });
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Answers what is there, and returns what others are to answer.
fn drain(asked: &Asked, socket: &UdpSocket) -> (usize, Vec<(Box<Pending>, SocketAddr)>) {
    let mut buffer = [0; LONGEST];
    let mut rest = Vec::new();
    for count in 0..TURN {
        let (length, from) = match socket.try_recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (count, rest),
            // Word of an earlier answer that did not arrive.
            Err(_) => continue,
        };
        match asked.judge(&buffer[..length], Way::Datagram) {
            // Who does not read what it asked for loses it.
            Outcome::Answer(answer) => drop(socket.try_send_to(&answer, from)),
            Outcome::Pending(pending) => rest.push((pending, from)),
            Outcome::Nothing => {}
        }
    }
    (TURN, rest)
}

async fn streams(asked: Asked, listener: TcpListener) {
    let mut open = JoinSet::new();
    loop {
        while open.len() >= STREAMS {
            open.join_next().await;
        }
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => drop(open.spawn(stream_of(asked.clone(), stream))),
            // No descriptor is left: others may give theirs back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn stream_of(asked: Asked, mut stream: TcpStream) {
    use tokio::io::AsyncWriteExt;
    while let Ok(Ok(bytes)) = timeout(SILENCE, read_framed(&mut stream)).await {
        let answer = match asked.judge(&bytes, Way::Stream) {
            Outcome::Answer(answer) => Some(answer),
            Outcome::Pending(pending) => asked.forward(&pending, Way::Stream).await,
            Outcome::Nothing => None,
        };
        let Some(answer) = answer else { return };
        if !matches!(timeout(SILENCE, stream.write_all(&framed(&answer))).await, Ok(Ok(()))) {
            return;
        }
    }
}
