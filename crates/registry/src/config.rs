//! What the user has decided about registries: mirrors, trust, proxies, and how patient to be.
//!
//! Reading is pure where it can be: `hosts`, `insecure` and `proxy` take text and are tested by tables.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use longshore_types::Kind;

pub(crate) mod certs;
pub(crate) mod hosts;
pub(crate) mod insecure;
mod proxy;

pub use proxy::Proxies;
pub(crate) use proxy::Rules as ProxyRules;

/// Settings of a [`Client`](crate::Client). The default is what a daemon without settings uses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Docker's `registry-mirrors`: URLs that are asked before Docker Hub.
    pub mirrors: Vec<String>,
    /// Docker's `insecure-registries`: hosts, `host:port`, or networks in CIDR form. They may go without TLS or with
    /// a certificate that nobody vouches for. Literal loopback addresses and `localhost` always may.
    pub insecure_registries: Vec<String>,
    /// Directories with `<host[:port]>/*.crt`, `*.cert` and `*.key`, in the form of Docker's `certs.d`.
    pub certs_dirs: Vec<PathBuf>,
    /// Directories with `<host>/hosts.toml`, in the form of containerd.
    pub hosts_dirs: Vec<PathBuf>,
    /// Addresses of names that are not to be looked up.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Which proxy to use for what.
    pub proxies: Proxies,
    /// Timeouts and attempts.
    pub patience: Patience,
    /// Whether layers may be fetched from the `urls` of their descriptors: over https, without credentials.
    pub allow_foreign_layers: bool,
    /// The largest body of one request of an upload; `None` for all in one.
    pub upload_chunk: Option<u64>,
    /// What the client calls itself.
    pub user_agent: String,
}

impl Default for Config {
    fn default() -> Self {
        let under =
            |name: &str| ["/etc/longshore", "/etc/docker"].map(|dir| PathBuf::from(dir).join(name)).to_vec();
        let mut hosts_dirs = under("certs.d");
        hosts_dirs.push(PathBuf::from("/etc/containerd/certs.d"));
        Self {
            certs_dirs: under("certs.d"),
            hosts_dirs,
            proxies: Proxies::from_environment(),
            ..Self::bare()
        }
    }
}

impl Config {
    /// Settings that look at no file and no environment variable.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            mirrors: Vec::new(),
            insecure_registries: Vec::new(),
            certs_dirs: Vec::new(),
            hosts_dirs: Vec::new(),
            names: BTreeMap::new(),
            proxies: Proxies::default(),
            patience: Patience::default(),
            allow_foreign_layers: false,
            upload_chunk: None,
            user_agent: concat!("longshore/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// How long to wait and how often to try.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// Without progress, after which a transfer is broken off.
    pub stall: Duration,
    /// Bytes that must come within `stall` to count as progress.
    pub least: u64,
    /// For a registry to accept an upload that it has got completely.
    pub finish: Duration,
    /// Attempts of one request, and of one blob without real progress between them. Docker has 5.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles.
    pub first_wait: Duration,
    /// The longest wait, also when the server asks for a longer one; then it is an error at once.
    pub longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            least: 4096,
            finish: Duration::from_mins(10),
            attempts: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(1),
        }
    }
}

/// Why settings are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("registry mirror {url:?}: {message}")]
    Mirror { url: String, message: String },
    #[error("insecure registry {entry:?} is neither host, host:port nor a network in CIDR form")]
    Insecure { entry: String },
    #[error("proxy of {variable}: {message}")]
    Proxy { variable: &'static str, message: String },
    #[error("{}: {message}", path.display())]
    File { path: PathBuf, message: String },
    #[error("registry {host:?} is no host with an optional port from 1 to 65535")]
    Host { host: String },
    #[error("cannot set up TLS: {message}")]
    Tls { message: String },
}

impl ConfigError {
    /// Always the user's setting.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}
