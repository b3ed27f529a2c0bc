//! The daemon's sockets: making them, and serving HTTP on what comes in.
//!
//! * A Unix socket is made with its mode and group, never widened later; one that somebody listens on is not taken.
//! * TCP without TLS that checks clients is for loopback, unless the user says otherwise in so many words.
//! * A failing `accept` never ends a listener.

mod address;
mod drain;
mod pace;
mod serve;
mod stream;
mod tcp;
pub(crate) mod tls;
mod turn;
mod unix;

use std::{io, net::TcpListener, os::unix::net::UnixListener, path::PathBuf};

pub(crate) use address::Address;
pub(crate) use serve::serve;
pub(crate) use unix::{Group, SocketFile};

/// A socket that is bound and listens.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix(UnixListener, Option<SocketFile>),
    Tcp(TcpListener),
}

impl Listener {
    /// What to call it in the log.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Unix(listener, _) => {
                let address = listener.local_addr().ok();
                address
                    .and_then(|address| Some(address.as_pathname()?.display().to_string()))
                    .unwrap_or_default()
            }
            Self::Tcp(listener) => {
                listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
            }
        }
    }
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("listen on {}", path.display())]
    Unix { path: PathBuf, source: io::Error },
    #[error(
        "{} is served by a daemon already: stop it, or name another socket with --host",
        path.display()
    )]
    Taken { path: PathBuf },
    #[error("{} is there and no socket: remove it, or name another one with --host", path.display())]
    NoSocket { path: PathBuf },
    #[error("group {name} is not in /etc/group: make it, or name another one with --group")]
    NoGroup { name: String },
    #[error("listen on tcp://{address}")]
    Tcp { address: String, source: io::Error },
    #[error(
        "tcp://{address} lets anybody who reaches it be root on this host: use --tlsverify with --tlscacert, \
         --tlscert and --tlskey, or say --tlsverify=false if you mean it"
    )]
    Open { address: String },
    #[error("take the sockets that systemd passes")]
    Inherited { source: io::Error },
    #[error(
        "no sockets found via socket activation for fd://{which}: make sure the service was started by systemd"
    )]
    NoneInherited { which: String },
}
