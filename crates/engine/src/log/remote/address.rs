//! Where the other side listens.

use std::path::PathBuf;

/// A socket to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `host:port`.
    Udp(String),
    Tcp(String),
    Tls(String),
    /// A stream to a Unix socket.
    Unix(PathBuf),
    /// Datagrams to a Unix socket.
    Unixgram(PathBuf),
    /// The machine's own syslog, wherever that is.
    Syslog,
}

impl Target {
    /// As Go's programs write it before what went wrong.
    pub(super) fn dial(&self) -> String {
        match self {
            Self::Udp(address) => format!("dial udp {address}"),
            Self::Tcp(address) | Self::Tls(address) => format!("dial tcp {address}"),
            Self::Unix(path) => format!("dial unix {}", path.display()),
            Self::Unixgram(path) => format!("dial unixgram {}", path.display()),
            Self::Syslog => "dial unixgram /dev/log".into(),
        }
    }
}

/// An address as it is written: `scheme://host:port/path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address<'a> {
    pub(super) scheme: &'a str,
    /// Host and port.
    pub(super) authority: &'a str,
    /// With its slash.
    pub(super) path: &'a str,
}

impl<'a> Address<'a> {
    /// Takes it apart; without a scheme it has an empty one.
    pub(super) fn read(text: &'a str) -> Self {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Self { scheme, authority, path }
    }

    /// Host and port, each empty where it is not said. `None` where this is no address.
    pub(super) fn host_and_port(self) -> Option<(&'a str, &'a str)> {
        let text = self.authority;
        if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']')?;
            return match port.strip_prefix(':') {
                Some(port) => is_port(port).then_some((host, port)),
                None => port.is_empty().then_some((host, "")),
            };
        }
        match text.split_once(':') {
            Some((host, port)) => is_port(port).then_some((host, port)),
            None => Some((text, "")),
        }
    }
}

/// `host:port` for who resolves it.
pub(super) fn join(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The host of what [`join`] made.
pub(super) fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Address, host, join};

    #[test]
    fn addresses_are_taken_apart() {
        let parts = |text| Address::read(text).host_and_port();
        assert_eq!(parts("tcp://a:1"), Some(("a", "1")));
        assert_eq!(parts("tcp://a"), Some(("a", "")));
        assert_eq!(parts("udp://[::1]:514"), Some(("::1", "514")));
        assert_eq!(parts("udp://[::1]"), Some(("::1", "")));
        assert_eq!(parts("localhost:24224"), Some(("localhost", "24224")));
        for wrong in ["tcp://a:b", "tcp://a:70000", "tcp://[::1", "tcp://[::1]x", "tcp://a:1:2"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
        let path = Address::read("unix:///run/x");
        assert_eq!((path.scheme, path.authority, path.path), ("unix", "", "/run/x"));
        assert_eq!(host(&join("::1", "5")), "::1");
        assert_eq!(host(&join("a", "5")), "a");
    }
}
