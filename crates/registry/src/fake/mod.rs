//! A registry in this process, for tests: correct until it is told to fail.
//!
//! It speaks HTTP/1.1 by hand, so that every lie and every break of a reply can be made. [`Fake::fail`] adds a fault
//! for the next requests that match; [`Fake::seen`] tells what came, headers included.
//!
//! * `http`: reading requests, writing replies. `registry`: what a correct registry answers. `fault`: how not to.

mod fault;
mod http;
mod registry;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use longshore_types::Digest;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub use fault::{End, Fault, Reply};
pub use http::Seen;

/// What the registry asks of its users.
#[derive(Clone, Debug, Default)]
pub enum Door {
    #[default]
    Open,
    /// A name and a password, with every request.
    Basic { user: String, password: String },
    /// A token of a realm, by default its own `/token`; that asks for a name and a password if there are any here.
    Token { realm: Option<String>, account: Option<(String, String)> },
}

#[derive(Default)]
struct State {
    door: Door,
    blobs: HashMap<Digest, Vec<u8>>,
    /// By repository and tag or digest: media type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// By number: what has come.
    uploads: HashMap<u64, Vec<u8>>,
    has_referrers: bool,
    /// How many tokens were given, and how many of them are worthless.
    tokens: u64,
    revoked: u64,
    counter: u64,
    rules: Vec<Rule>,
    seen: Vec<Seen>,
}

struct Rule {
    method: String,
    path: String,
    times: usize,
    fault: Fault,
}

struct Shared {
    /// Guards all that the registry knows.
    state: Mutex<State>,
    /// Wakes whoever waits for a request.
    came: Notify,
    base: String,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running fake; ends with the value.
pub struct Fake {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fake").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// A registry on a free loopback port, without TLS.
    pub async fn start() -> std::io::Result<Self> {
        Self::serve(None).await
    }

    /// The same with TLS, as `config` says.
    pub async fn start_tls(config: rustls::ServerConfig) -> std::io::Result<Self> {
        Self::serve(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(tls: Option<TlsAcceptor>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            state: Mutex::new(State { has_referrers: true, ..State::default() }),
            came: Notify::new(),
            base: format!("{scheme}://{address}"),
        });
        let (all, acceptor) = (Arc::clone(&shared), tls);
        let task = tokio::spawn(async move {
            // Ends every connection with the fake.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                let (shared, acceptor) = (Arc::clone(&all), acceptor.clone());
                connections.spawn(async move {
                    match acceptor {
                        None => serve_plain(&shared, stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve_stream(&shared, stream).await;
                            }
                        }
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { shared, address, task })
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.shared.base
    }

    /// Asks users for something from now on.
    pub fn set_door(&self, door: Door) {
        self.shared.state().door = door;
    }

    /// Forgets the referrers API: what a registry of distribution-spec 1.0 has.
    pub fn without_referrers(&self) {
        self.shared.state().has_referrers = false;
    }

    /// Makes the tokens given so far worthless.
    pub fn revoke_tokens(&self) {
        let mut state = self.shared.state();
        state.revoked = state.tokens;
    }

    /// Puts a blob into every repository.
    pub fn add_blob(&self, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        self.shared.state().blobs.insert(digest.clone(), content.to_vec());
        digest
    }

    /// Takes a blob away.
    pub fn remove_blob(&self, digest: &Digest) {
        self.shared.state().blobs.remove(digest);
    }

    /// Puts a manifest into a repository under a tag and its digest.
    pub fn add_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let mut state = self.shared.state();
        for version in [tag.to_owned(), digest.to_string()] {
            let entry = (media_type.to_owned(), bytes.to_vec());
            state.manifests.insert((repository.to_owned(), version), entry);
        }
        digest
    }

    /// The blob that was pushed, if it was.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.shared.state().blobs.get(digest).cloned()
    }

    /// Media type and bytes of a manifest, if there is one.
    #[must_use]
    pub fn manifest(&self, repository: &str, version: &str) -> Option<(String, Vec<u8>)> {
        self.shared.state().manifests.get(&(repository.to_owned(), version.to_owned())).cloned()
    }

    /// Makes the next `times` requests of `method` whose path and query contain `path` fail; older faults come first.
    pub fn fail(&self, method: &str, path: &str, times: usize, fault: Fault) {
        let rule = Rule { method: method.to_owned(), path: path.to_owned(), times, fault };
        self.shared.state().rules.push(rule);
    }

    /// Forgets all faults.
    pub fn heal(&self) {
        self.shared.state().rules.clear();
    }

    /// What came so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// How many requests of `method` came whose path and query contain `path`.
    #[must_use]
    pub fn count(&self, method: &str, path: &str) -> usize {
        let state = self.shared.state();
        state.seen.iter().filter(|seen| seen.method == method && seen.path.contains(path)).count()
    }

    /// Waits until a request of `method` came whose path and query contain `path`.
    pub async fn wait_for(&self, method: &str, path: &str) {
        loop {
            let came = self.shared.came.notified();
            if self.count(method, path) > 0 {
                return;
            }
            came.await;
        }
    }
}

async fn serve_plain(shared: &Shared, stream: TcpStream) {
    serve_stream(shared, stream).await;
}

async fn serve_stream<S: AsyncRead + AsyncWrite + Unpin + Breakable>(shared: &Shared, stream: S) {
    let mut connection = http::Connection::new(stream);
    while let Ok(Some(request)) = connection.read(shared).await {
        let fault = {
            let mut state = shared.state();
            state.seen.push(request.seen.clone());
            let found = state.rules.iter().position(|rule| {
                rule.method == request.seen.method && request.seen.path.contains(&rule.path)
            });
            found.map(|at| {
                let rule = &mut state.rules[at];
                rule.times -= 1;
                let fault = rule.fault.clone();
                if rule.times == 0 {
                    state.rules.remove(at);
                }
                fault
            })
        };
        shared.came.notify_waiters();
        // Where another reply stands in, nothing is done.
        let is_replaced =
            matches!(fault, Some(Fault::Reply(_) | Fault::Silence | Fault::Raw(_) | Fault::Endless { .. }));
        let reply = if is_replaced { Reply::default() } else { registry::answer(shared, &request) };
        if !fault::deliver(&mut connection, &request, reply, fault).await {
            return;
        }
    }
}

/// A stream that can be reset.
pub(crate) trait Breakable {
    /// Makes closing send RST.
    fn reset(&self);
}

impl Breakable for TcpStream {
    fn reset(&self) {
        drop(self.set_zero_linger());
    }
}

impl Breakable for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}
