//! Lists of containers, narrowed down as Docker does.

use std::collections::HashSet;

use longshore_types::{Filters, ImageId, filter::FilterError};
use regex_lite::Regex;

use super::{Container, Containers, Error, Phase, Record, Result, blocking};

/// What a list is asked for.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Those that do not run too.
    pub all: bool,
    /// The last so many, running or not; 0 for no limit.
    pub limit: usize,
    pub filters: Filters,
}

const KEYS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const HEALTHS: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// Filters, read.
#[derive(Debug)]
struct Sieve {
    filters: Filters,
    exited: Vec<i32>,
    /// `None` where they are not asked for.
    images: Option<HashSet<ImageId>>,
    before: Option<Container>,
    since: Option<Container>,
    names: Vec<(String, Option<Regex>)>,
    ids: Option<HashSet<String>>,
    published: Vec<Ports>,
    exposed: Vec<Ports>,
    is_task: bool,
}

/// Ports of a protocol, the last one included.
#[derive(Debug, PartialEq, Eq)]
struct Ports {
    first: u16,
    last: u16,
    protocol: String,
}

impl Containers {
    /// Containers, the last made first.
    pub async fn list(&self, list: List) -> Result<Vec<Container>> {
        let containers = self.clone();
        blocking(move || containers.list_blocking(list)).await
    }

    fn list_blocking(&self, list: List) -> Result<Vec<Container>> {
        let all = list.all || list.limit > 0 || list.filters.has("status");
        let sieve = self.sieve(list.filters)?;
        let mut found: Vec<(Container, std::sync::Arc<Record>)> =
            self.all().into_iter().map(|container| (container.clone(), container.record())).collect();
        found.sort_by_key(|(_, record)| std::cmp::Reverse(record.created));
        if let Some(before) = &sieve.before {
            let place = found.iter().position(|(container, _)| container.id() == before.id());
            found.drain(..place.map_or(0, |place| place + 1));
        }
        if let Some(since) = &sieve.since
            && let Some(place) = found.iter().position(|(container, _)| container.id() == since.id())
        {
            found.truncate(place);
        }
        let kept = found
            .into_iter()
            .filter(|(_, record)| (all || record.state.phase.is_up()) && sieve.takes(record));
        let limit = if list.limit == 0 { usize::MAX } else { list.limit };
        Ok(kept.take(limit).map(|(container, _)| container).collect())
    }

    fn sieve(&self, filters: Filters) -> Result<Sieve> {
        filters.check(&KEYS).map_err(Error::Filter)?;
        let exited = filters.values("exited").map(|text| text.parse().map_err(|_| value("exited", text)));
        let exited = exited.collect::<Result<_>>()?;
        if let Some(text) =
            filters.values("status").find(|text| !Phase::ALL.iter().any(|phase| phase.name() == *text))
        {
            return Err(value("status", text));
        }
        if let Some(text) = filters.values("health").find(|text| !HEALTHS.contains(text)) {
            return Err(value("health", text));
        }
        let is_task = filters.flag("is-task", false).map_err(Error::Filter)?;
        let last = |key: &str| filters.values(key).last().map(|word| self.find(word)).transpose();
        let (before, since) = (last("before")?, last("since")?);
        let images = filters.has("ancestor").then(|| self.descendants(&filters)).transpose()?;
        let ports = |key| filters.values(key).map(|text| ports(key, text)).collect::<Result<Vec<_>>>();
        let (published, exposed) = (ports("publish")?, ports("expose")?);
        let names = filters.values("name").map(|name| (name.to_owned(), Regex::new(name).ok())).collect();
        let ids = filters.has("id").then(|| {
            filters.values("id").filter_map(|word| Some(self.find(word).ok()?.id().to_string())).collect()
        });
        Ok(Sieve { exited, images, before, since, names, ids, published, exposed, is_task, filters })
    }

    /// The images that the filter names, and those that were made from them.
    fn descendants(&self, filters: &Filters) -> Result<HashSet<ImageId>> {
        let images = self.images();
        let mut found: HashSet<ImageId> = HashSet::new();
        for word in filters.values("ancestor") {
            if let Ok(resolved) = images.resolve(word) {
                found.extend(resolved.images);
            }
        }
        let mut tops = Vec::new();
        for id in &found {
            if let Some(image) = images.store().image(id)? {
                tops.push(image.layers);
            }
        }
        tops.retain(|layers| !layers.is_empty());
        for container in self.all() {
            let record = container.record();
            if tops.iter().any(|layers| record.image.layers.starts_with(layers)) {
                found.insert(record.image.id.clone());
            }
        }
        Ok(found)
    }
}

impl Sieve {
    fn takes(&self, record: &Record) -> bool {
        let state = &record.state;
        let filters = &self.filters;
        let none = std::collections::BTreeMap::new();
        let health = record.health.as_ref().map_or("none", |health| health.status.name());
        self.ids.as_ref().is_none_or(|ids| ids.contains(record.id.as_str()))
            && self.takes_name(&record.name)
            && !self.is_task
            && filters.labels("label", record.config.labels.as_ref().unwrap_or(&none))
            && filters.exactly("isolation", &record.host.isolation)
            && (self.exited.is_empty()
                || self.exited.contains(&state.exit_code) && !state.phase.is_up() && state.ends > 0)
            && filters.exactly("status", state.phase.name())
            && filters.exactly("health", health)
            && self.images.as_ref().is_none_or(|images| images.contains(&record.image.id))
            && self.takes_volume(record)
            && self.takes_network(record)
            && self.takes_ports(record)
    }

    /// A name as it is, with its slash, or as an expression.
    fn takes_name(&self, name: &str) -> bool {
        let slashed = format!("/{name}");
        self.names.is_empty()
            || self.names.iter().any(|(wanted, expression)| {
                [name, &slashed].into_iter().any(|name| {
                    name == wanted || expression.as_ref().is_some_and(|expression| expression.is_match(name))
                })
            })
    }

    fn takes_volume(&self, record: &Record) -> bool {
        let mut wanted = self.filters.values("volume").peekable();
        wanted.peek().is_none()
            || wanted.any(|wanted| {
                record.mounts.iter().any(|mount| mount.name == wanted || mount.destination == wanted)
            })
    }

    fn takes_network(&self, record: &Record) -> bool {
        let mut wanted = self.filters.values("network").peekable();
        let networks = || record.networking.endpoints_config.iter().flatten();
        wanted.peek().is_none()
            || wanted.any(|wanted| {
                networks().any(|(name, endpoint)| {
                    let id = endpoint.as_ref().map_or("", |endpoint| &endpoint.network_id);
                    name == wanted || !id.is_empty() && id.starts_with(wanted)
                })
            })
    }

    fn takes_ports(&self, record: &Record) -> bool {
        let has = |wanted: &[Ports], mut keys: Box<dyn Iterator<Item = &String> + '_>| {
            wanted.is_empty() || keys.any(|key| wanted.iter().any(|ports| ports.holds(key)))
        };
        has(&self.published, Box::new(record.host.port_bindings.iter().flatten().map(|(key, _)| key)))
            && has(&self.exposed, Box::new(record.config.exposed_ports.iter().flatten().map(|(key, _)| key)))
    }
}

impl Ports {
    fn holds(&self, key: &str) -> bool {
        let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        protocol == self.protocol
            && port.parse().is_ok_and(|port: u16| (self.first..=self.last).contains(&port))
    }
}

fn value(key: &str, text: &str) -> Error {
    Error::Filter(FilterError::Value { key: key.into(), values: vec![text.into()] })
}

/// `80`, `80/udp`, `80-90/tcp`.
fn ports(key: &str, text: &str) -> Result<Ports> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last && matches!(protocol, "tcp" | "udp" | "sctp") => {
            Ok(Ports { first, last, protocol: protocol.into() })
        }
        _ => Err(value(key, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Ports, ports};

    #[test]
    fn ports_and_ranges() {
        let made = |first, last, protocol: &str| Ports { first, last, protocol: protocol.into() };
        assert_eq!(ports("expose", "80").unwrap(), made(80, 80, "tcp"));
        assert_eq!(ports("expose", "80-82/udp").unwrap(), made(80, 82, "udp"));
        for text in ["", "x", "82-80", "1/icmp", "70000", "-1"] {
            assert!(ports("expose", text).is_err(), "{text}");
        }
        assert!(made(80, 82, "tcp").holds("81/tcp"));
        assert!(!made(80, 82, "tcp").holds("81/udp"));
        assert!(!made(80, 82, "tcp").holds("83"));
    }
}
