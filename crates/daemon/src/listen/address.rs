//! What `--host` names.

use std::path::PathBuf;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// `host:port`; an IPv6 address in brackets.
    Tcp(String),
    /// Sockets of systemd's: all, or the one with this number or name.
    Inherited(Option<String>),
}

/// Why it names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("invalid bind address ({text}): it is unix://PATH, tcp://HOST:PORT or fd://")]
    Form { text: String },
    #[error("invalid bind address ({text}): the path of a Unix socket begins with a slash")]
    Relative { text: String },
    #[error("invalid bind address ({text}): unsupported proto {protocol}")]
    Protocol { text: String, protocol: String },
}

impl Address {
    /// Reads it as dockerd does. `socket` is the one of `unix://` alone; without a port, TCP is 2376 with TLS and 2375
    /// without.
    pub(crate) fn parse(text: &str, tls: bool, socket: &str) -> Result<Self, AddressError> {
        let trimmed = text.trim();
        let (protocol, rest) = match trimmed.split_once("://") {
            Some(parts) => parts,
            // `:2375` and `host:2375` are TCP.
            None if trimmed.is_empty() => ("tcp", ""),
            None if trimmed.contains(':') => ("tcp", trimmed),
            None => return Err(AddressError::Form { text: text.into() }),
        };
        match protocol {
            "unix" if rest.is_empty() => Ok(Self::Unix(socket.into())),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(AddressError::Relative { text: text.into() }),
            "tcp" => tcp(rest, tls).map(Self::Tcp).ok_or_else(|| AddressError::Form { text: text.into() }),
            "fd" => Ok(Self::Inherited(
                Some(rest.into()).filter(|name: &String| !matches!(name.as_str(), "" | "*")),
            )),
            _ => Err(AddressError::Protocol { text: text.into(), protocol: protocol.into() }),
        }
    }
}

fn tcp(rest: &str, tls: bool) -> Option<String> {
    let port = if tls { 2376 } else { 2375 };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Some(format!("localhost:{port}"));
    }
    let (host, digits) = match rest.rsplit_once(':') {
        Some((host, digits)) if !digits.contains(']') => (host, Some(digits)),
        _ => (rest, None),
    };
    let host = if host.is_empty() { "localhost" } else { host };
    let is_bare_v6 = host.contains(':') && !host.starts_with('[');
    if is_bare_v6 || host.contains('/') {
        return None;
    }
    let port = match digits {
        Some(digits) => digits.parse::<u16>().ok()?,
        None => port,
    };
    Some(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_dockers() {
        let read = |text| Address::parse(text, false, "/run/s").expect(text);
        let tcp = |text: &str| Address::Tcp(text.into());
        assert_eq!(read("unix:///a/b"), Address::Unix("/a/b".into()));
        assert_eq!(read("unix://"), Address::Unix("/run/s".into()));
        assert_eq!(read("tcp://"), tcp("localhost:2375"));
        assert_eq!(Address::parse("tcp://0.0.0.0", true, ""), Ok(tcp("0.0.0.0:2376")));
        assert_eq!(read("tcp://:7777"), tcp("localhost:7777"));
        assert_eq!(read("tcp://[::1]:5555"), tcp("[::1]:5555"));
        assert_eq!(read("tcp://[::1]"), tcp("[::1]:2375"));
        assert_eq!(read(":0"), tcp("localhost:0"));
        assert_eq!(read("fd://"), Address::Inherited(None));
        assert_eq!(read("fd://*"), Address::Inherited(None));
        assert_eq!(read("fd://4"), Address::Inherited(Some("4".into())));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "x",
            "unix://a",
            "tcp://a:b",
            "tcp://::1",
            "tcp://a:70000",
            "http://a",
            "npipe://x",
            "tcp://a/b:1",
        ] {
            Address::parse(text, false, "/run/s").expect_err(text);
        }
    }
}
