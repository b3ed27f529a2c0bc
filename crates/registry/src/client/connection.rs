//! HTTP clients, one for each kind of trust; each pools its connections.

use std::{
    collections::HashMap,
    error::Error as _,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Proxy, redirect::Policy};
use url::Url;

use super::{
    dns::{Lookup, Reach, Resolver},
    tls,
};
use crate::{
    Error,
    config::{Config, ConfigError, certs::Tls},
    error::shown,
};

/// HTTP/2 windows: a fast link far away holds this much in flight.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// The most bytes of all headers of a reply over HTTP/2; over HTTP/1 hyper has its own limit of 400 kB.
const MAX_HEADERS: u32 = 64 << 10;
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_mins(1);

/// What connections may be shared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Trust {
    pub(crate) tls: Tls,
    pub(crate) reach: Reach,
    /// A name that was judged by its addresses, and must keep them.
    pub(crate) pinned: Option<(String, Vec<SocketAddr>)>,
    /// How long a connection may take to be made, where the host has its own limit.
    pub(crate) dial: Option<Duration>,
}

/// The HTTP clients made so far.
#[derive(Debug)]
pub(crate) struct Connections {
    /// Guards the map; making a client takes about a millisecond.
    made: Mutex<HashMap<Trust, reqwest::Client>>,
    pub(crate) lookup: Arc<Lookup>,
    proxy: Proxy,
    user_agent: String,
    connect: Duration,
}

impl Connections {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let rules = config.proxies.read()?;
        Ok(Self {
            made: Mutex::default(),
            lookup: Arc::new(Lookup::new(config.names.clone())),
            proxy: Proxy::custom(move |url: &Url| rules.proxy(url).cloned()),
            user_agent: config.user_agent.clone(),
            connect: config.patience.connect,
        })
    }

    /// The client for `trust`.
    pub(crate) fn get(&self, trust: &Trust) -> Result<reqwest::Client, ConfigError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(trust) {
            return Ok(client.clone());
        }
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&trust.tls)?)
            .dns_resolver(Resolver { lookup: Arc::clone(&self.lookup), reach: trust.reach })
            .no_proxy()
            .proxy(self.proxy.clone())
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(&self.user_agent)
            .connect_timeout(trust.dial.unwrap_or(self.connect))
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_header_list_size(MAX_HEADERS)
            .http2_keep_alive_interval(Duration::from_secs(20));
        if let Some((name, addresses)) = &trust.pinned {
            builder = builder.resolve_to_addrs(name, addresses);
        }
        let client = builder
            .build()
            .map_err(|error| ConfigError::Tls { message: shown(&error.without_url().to_string()) })?;
        made.insert(trust.clone(), client.clone());
        Ok(client)
    }
}

/// What a failure of the HTTP client means, in words without its URL.
pub(crate) fn failure(host: &str, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let host = host.to_owned();
    let mut deepest = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        match tls_error(inner) {
            Some(rustls::Error::InvalidMessage(_)) if error.is_connect() => return Error::PlainHttp { host },
            Some(error @ (rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))) => {
                return Error::Certificate { host, message: shown(&error.to_string()) };
            }
            _ => {}
        }
        deepest = inner.to_string();
        source = inner.source();
    }
    if error.is_connect() {
        return Error::Unreachable { host, message: unreachable(&error, &deepest) };
    }
    Error::Broken { host, message: shown(&deepest) }
}

/// Why there is no connection, and what to try.
fn unreachable(error: &reqwest::Error, deepest: &str) -> String {
    let mut kind = None;
    let mut source = error.source();
    while let Some(inner) = source {
        kind = inner.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        source = inner.source();
    }
    match kind {
        _ if error.is_timeout() => {
            "no connection in time; check the network, or whether it needs a proxy".into()
        }
        Some(io::ErrorKind::ConnectionRefused) => {
            "connection refused; check the port, and whether the registry runs".into()
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            "no route to host; check the network, or whether it needs a proxy".into()
        }
        _ => shown(deepest),
    }
}

/// The error of TLS that an I/O error carries, however deep: an I/O error is not the source of its own content.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let found = error.downcast_ref::<rustls::Error>();
    found.or_else(|| tls_error(error.downcast_ref::<std::io::Error>()?.get_ref()?))
}
