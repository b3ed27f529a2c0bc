//! Names to addresses: the hosts file, then DNS as `/etc/resolv.conf` says. libc is not asked: it is linked
//! statically, and its name service switch is not.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use hickory_resolver::{TokioResolver, config::ResolveHosts};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::insecure::{is_link_local, is_loopback};

/// Files that decide what a name is.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Which addresses a name may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// The user named the host: any.
    Named,
    /// A registry named it: none of the local link.
    Told,
    /// A registry redirected to it: none of the local link and none of this machine.
    Redirected,
}

impl Reach {
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Named => true,
            Self::Told => !is_link_local(address),
            Self::Redirected => !is_link_local(address) && !is_loopback(address),
        }
    }
}

/// Looks names up, and starts afresh when the files have changed.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// Guards the resolver and the times of the files that it was made from.
    current: Mutex<Option<(Stamp, TokioResolver)>>,
    /// Names that the settings have addresses for.
    names: BTreeMap<String, Vec<IpAddr>>,
}

type Stamp = [Option<SystemTime>; 2];

impl Lookup {
    /// A lookup that knows some names already.
    pub(crate) fn new(names: BTreeMap<String, Vec<IpAddr>>) -> Self {
        Self { names, ..Self::default() }
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let stamp = FILES.map(|file| fs::metadata(file).and_then(|metadata| metadata.modified()).ok());
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, resolver)) = current.as_ref().filter(|(known, _)| *known == stamp) {
            debug_assert_eq!(*known, stamp);
            return Ok(resolver.clone());
        }
        let mut builder = TokioResolver::builder_tokio().map_err(|error| error.to_string())?;
        builder.options_mut().use_hosts_file = ResolveHosts::Always;
        let resolver = builder.build().map_err(|error| error.to_string())?;
        *current = Some((stamp, resolver.clone()));
        Ok(resolver)
    }

    /// All addresses of `name`.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        // No server is asked for what can only be this machine (RFC 6761, section 6.3).
        if name.eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        if let Some(addresses) = self.names.get(name) {
            return Ok(addresses.clone());
        }
        ask(&self.resolver()?, name).await
    }
}

/// Asks the servers; Docker's words where a client may look for them.
async fn ask(resolver: &TokioResolver, name: &str) -> Result<Vec<IpAddr>, String> {
    let found = resolver.lookup_ip(name).await.map_err(|error| {
        if error.is_no_records_found() || error.is_nx_domain() {
            format!("lookup {name}: no such host; check the name, or the servers in {}", FILES[0])
        } else {
            format!("lookup {name}: {error}; check the servers in {}", FILES[0])
        }
    })?;
    Ok(found.iter().collect())
}

/// A resolver for connections of one reach.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    pub(crate) lookup: Arc<Lookup>,
    pub(crate) reach: Reach,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { lookup, reach } = self.clone();
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let addresses = lookup.addresses(&name).await?;
            let allowed: Vec<_> = addresses
                .into_iter()
                .filter(|address| reach.allows(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if allowed.is_empty() {
                return Err(format!("{name} has no address that a registry may lead to").into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
