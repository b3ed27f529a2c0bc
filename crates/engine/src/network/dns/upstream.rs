//! The servers that the host uses now.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6},
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, PoisonError},
};

use longshore_network::dns::ADDRESS;

const FILE: &str = "/etc/resolv.conf";
/// At most so many are asked, as by the C library.
const MOST: usize = 3;
/// Where the host names none, as Docker's.
const FALLBACK: [Ipv4Addr; 2] = [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];

/// What tells one state of the file from another.
type Mark = (u64, u64, i64, i64);

/// The host's servers, as its file says at the moment.
#[derive(Debug, Default)]
pub(super) struct OfHost(Mutex<Option<(Mark, Arc<[SocketAddr]>)>>);

impl OfHost {
    /// Reads the file if it is another than the last time.
    pub(super) fn now(&self) -> Arc<[SocketAddr]> {
        let mark = fs::metadata(FILE).map(|meta| (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
        let mark = mark.unwrap_or_default();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref() {
            Some((seen, servers)) if *seen == mark => Arc::clone(servers),
            _ => {
                let servers: Arc<[SocketAddr]> =
                    servers(&fs::read_to_string(FILE).unwrap_or_default()).into();
                *known = Some((mark, Arc::clone(&servers)));
                servers
            }
        }
    }
}

/// The servers that such a file names.
fn servers(text: &str) -> Vec<SocketAddr> {
    let words = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next())?
    });
    let mut servers: Vec<SocketAddr> = words.filter_map(server).take(MOST).collect();
    if servers.is_empty() {
        servers = FALLBACK.map(|address| SocketAddr::new(address.into(), 53)).to_vec();
    }
    servers
}

/// The server that a word names. Not the container's own.
pub(super) fn server(word: &str) -> Option<SocketAddr> {
    if let Some((address, zone)) = word.split_once('%') {
        let index = zone.parse().ok().or_else(|| {
            let text = fs::read_to_string(format!("/sys/class/net/{zone}/ifindex"));
            text.ok()?.trim().parse().ok()
        });
        return Some(SocketAddrV6::new(address.parse().ok()?, 53, 0, index?).into());
    }
    let address: IpAddr = word.parse().ok()?;
    (address != ADDRESS).then(|| SocketAddr::new(address, 53))
}

#[cfg(test)]
mod tests {
    use super::{server, servers};

    #[test]
    fn the_servers_of_a_file() {
        let of = |text: &str| servers(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        let file =
            "# nameserver 9.9.9.9\nnameserver 127.0.0.53\nnameserver  fd00::1 # x\nsearch nameserver\n";
        assert_eq!(of(file), ["127.0.0.53:53", "[fd00::1]:53"]);
        assert_eq!(of("nameserver 1.1.1.1\n".repeat(5).as_str()).len(), 3);
        assert_eq!(of("nameserver x\n"), ["8.8.8.8:53", "8.8.4.4:53"]);
        assert_eq!(server("fe80::1%1").unwrap().to_string(), "[fe80::1%1]:53");
        assert_eq!((server("127.0.0.11"), server("fe80::1%nosuch")), (None, None));
    }
}
