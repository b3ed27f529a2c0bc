//! Whether the other side is there, asked when a container starts: a user hears of a wrong address at once.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs, UdpSocket},
    os::unix::net::{UnixDatagram, UnixStream},
    path::Path,
};

use super::{Format, PATIENCE, Remote, address::Target, connection};
use crate::log::Error;

impl Remote {
    /// Connects, and gives the connection up. Blocks for as long as that takes, [`PATIENCE`] at most.
    pub(in crate::log) fn probe(&self) -> Result<(), Error> {
        if matches!(self.target, Target::Tls(_)) {
            self.tls.config()?;
        }
        if self.is_lazy {
            return Ok(());
        }
        self.connect().map_err(|error| {
            let reason = match &self.format {
                Format::Journald => "journald is not enabled on this host".to_owned(),
                Format::Syslog(_) if self.target == Target::Syslog => "Unix syslog delivery error".to_owned(),
                Format::Gelf(_) => {
                    let place = self.target.dial();
                    let place = place.rsplit(' ').next().unwrap_or_default();
                    format!("gelf: cannot connect to GELF endpoint: {place} {}", said(&self.target, &error))
                }
                _ => said(&self.target, &error),
            };
            Error::Unreachable { reason }
        })
    }

    fn connect(&self) -> io::Result<()> {
        match &self.target {
            Target::Tcp(place) | Target::Tls(place) => tcp(place),
            Target::Udp(place) => UdpSocket::bind("[::]:0")
                .or_else(|_| UdpSocket::bind("0.0.0.0:0"))
                .and_then(|_| place.to_socket_addrs())
                .map(drop),
            Target::Unix(path) => UnixStream::connect(path).map(drop),
            Target::Unixgram(path) => datagrams(path),
            Target::Syslog => connection::OWN
                .iter()
                .find_map(|path| {
                    datagrams(path.as_ref()).or_else(|_| UnixStream::connect(path).map(drop)).ok()
                })
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }
}

fn tcp(place: &str) -> io::Result<()> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in place.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn datagrams(path: &Path) -> io::Result<()> {
    UnixDatagram::unbound()?.connect(path)
}

/// `dial tcp 127.0.0.1:1: connect: connection refused`, as Go's programs say it.
fn said(target: &Target, error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let text: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    let call = if error.raw_os_error().is_some() { "connect: " } else { "" };
    format!("{}: {call}{text}", target.dial())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::log::Driver;

    #[test]
    fn who_is_not_there_is_named_as_by_docker() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("sock");
        let listener = UnixStream::pair().unwrap();
        drop(listener);
        let options = BTreeMap::from([("fluentd-address".to_owned(), format!("unix://{}", gone.display()))]);
        let remote = Remote::read(Driver::Fluentd, &options).unwrap().unwrap();
        let said = remote.probe().unwrap_err().to_string();
        let expected = format!(
            "failed to initialize logging driver: dial unix {}: connect: no such file or directory",
            gone.display()
        );
        assert_eq!(said, expected);
        let lazy = options.into_iter().chain([("fluentd-async".to_owned(), "true".to_owned())]).collect();
        Remote::read(Driver::Fluentd, &lazy).unwrap().unwrap().probe().unwrap();
    }
}
