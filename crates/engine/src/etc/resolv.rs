use std::net::IpAddr;

use super::{EtcInputs, one_line, read};
use crate::container::Record;

/// Where nobody names one.
const FALLBACK: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// What stands in place of the host's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) nameservers: Vec<String>,
    pub(super) search: Vec<String>,
    pub(super) options: Vec<String>,
    /// Whether the nameserver is the network's own. Who it asks itself is told in a comment.
    pub(super) internal: Option<Vec<String>>,
}

impl Settings {
    pub(super) fn of(record: &Record, inputs: &EtcInputs) -> Self {
        let or = |own: &Option<Vec<String>>, daemon: &[String]| match own {
            Some(own) if !own.is_empty() => own.clone(),
            _ => daemon.to_vec(),
        };
        let host = &record.host;
        let named = or(&host.dns, &inputs.dns);
        let own: Vec<String> = inputs.nameservers.iter().map(ToString::to_string).collect();
        let internal = (!own.is_empty()).then(|| named.clone());
        Self {
            // The network's own server asks those that the container names.
            nameservers: if own.is_empty() { named } else { own },
            internal,
            search: or(&host.dns_search, &inputs.dns_search),
            options: or(&host.dns_options, &inputs.dns_options),
        }
    }
}

/// The host's file; where it names the local stub of systemd alone, the one that the stub goes by.
pub(super) fn host() -> String {
    let text = read("/etc/resolv.conf");
    let servers: Vec<&str> = lines(&text, "nameserver").collect();
    if servers == ["127.0.0.53"] {
        let real = read("/run/systemd/resolve/resolv.conf");
        if !real.is_empty() {
            return real;
        }
    }
    text
}

/// The whole file. With the host's network its own servers may be on the loopback.
pub(super) fn file(host: &str, settings: &Settings, of_host: bool) -> String {
    let nothing =
        settings.nameservers.is_empty() && settings.search.is_empty() && settings.options.is_empty();
    if of_host && nothing {
        return host.to_owned();
    }
    let mut servers = settings.nameservers.clone();
    if servers.is_empty() {
        let reachable = |server: &&str| {
            let address = server.split('%').next().and_then(|text| text.parse::<IpAddr>().ok());
            address.is_some_and(|address| of_host || !address.is_loopback())
        };
        servers = lines(host, "nameserver").filter(reachable).map(str::to_owned).collect();
    }
    if servers.is_empty() {
        servers = FALLBACK.map(str::to_owned).to_vec();
    }
    let words = |own: &[String], keyword| {
        if own.is_empty() {
            // Of several lines the last one counts.
            lines(host, keyword).last().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        } else {
            own.to_vec()
        }
    };
    let mut search: Vec<String> = words(&settings.search, "search");
    // A point alone asks for none.
    search.retain(|domain| domain != ".");
    let mut options: Vec<String> = words(&settings.options, "options");
    if settings.internal.is_some() {
        let ndots = |option: &String| option.strip_prefix("ndots:").map(str::to_owned);
        options.retain(|option| ndots(option).is_none_or(|value| value.parse::<u32>().is_ok()));
        if !options.iter().any(|option| ndots(option).is_some()) {
            // A name of one word is one of the network's.
            options.push("ndots:0".into());
        }
    }
    let mut text = String::from("# Made by Longshore at the start of the container.\n");
    for server in servers {
        text.push_str(&format!("nameserver {}\n", one_line(&server)));
    }
    for (keyword, words) in [("search", search), ("options", options)] {
        if !words.is_empty() {
            text.push_str(&format!("{keyword} {}\n", one_line(&words.join(" "))));
        }
    }
    if let Some(named) = &settings.internal {
        let asked = if named.is_empty() {
            lines(host, "nameserver").map(|server| format!("host({server})")).collect()
        } else {
            named.clone()
        };
        text.push_str(&format!("# ExtServers: [{}]\n", one_line(&asked.join(" "))));
    }
    text
}

/// What follows a keyword, line by line.
fn lines<'a>(text: &'a str, keyword: &'static str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let rest = line.trim().strip_prefix(keyword)?;
        rest.starts_with([' ', '\t']).then(|| rest.trim())
    })
}
