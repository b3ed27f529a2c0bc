//! Which hosts serve a registry's images, in the order of asking: mirrors, then the registry itself.
//!
//! Sources, strongest first: containerd's `hosts.toml` for the registry, Docker's `registry-mirrors` for Docker Hub.

use std::time::Duration;

use url::Url;

use crate::config::{
    Config, ConfigError, certs,
    certs::Tls,
    hosts::{self, Capabilities, HostEntry, HostsFile},
    insecure::literal,
};

/// Docker Hub by the name in references, and by the name of its host.
const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";

/// One host to ask. Equal ones are the same endpoint and share what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Up to and including `/v2/`.
    pub(crate) base: Url,
    /// Host and port, as passwords and certificates are kept under.
    pub(crate) host: String,
    pub(crate) capabilities: Capabilities,
    pub(crate) tls: Tls,
    /// Sent to this host alone.
    pub(crate) headers: Vec<(String, crate::Secret)>,
    /// How long a connection to it may take to be made, where that was said.
    pub(crate) dial: Option<Duration>,
    /// The registry whose images a mirror is asked for, where it wants to be told.
    pub(crate) namespace: Option<String>,
    /// The registry of the name itself, and not a mirror of it.
    pub(crate) own: bool,
    /// The user wrote `http://`, or asked to skip verification.
    pub(crate) scheme_is_given: bool,
}

/// The hosts for `domain`, the first part of a reference.
pub(crate) fn places(config: &Config, domain: &str) -> Result<Vec<Place>, ConfigError> {
    let file = hosts::find(&config.hosts_dirs, domain)?;
    let has_file = file.is_some();
    let HostsFile { mirrors, server } = file.unwrap_or_default();
    let mut found = Vec::new();
    for mirror in mirrors {
        let mut place = place(mirror, domain, config)?;
        place.namespace = (!place.own).then(|| domain.to_owned());
        found.push(place);
    }
    if domain == HUB && !has_file {
        for url in &config.mirrors {
            let fail = |message| ConfigError::Mirror { url: shown(url), message };
            let base = hosts::base(url, false).map_err(fail)?;
            let entry = HostEntry {
                base,
                capabilities: Capabilities::MIRROR,
                tls: Tls::default(),
                headers: Vec::new(),
                dial: None,
            };
            found.push(place(entry, domain, config)?);
        }
    }
    let own = match server {
        Some(server) => place(server, domain, config)?,
        None => itself(domain, config)?,
    };
    // A file may list the registry itself among its hosts.
    if !found.iter().any(|place| place.base == own.base) {
        found.push(own);
    }
    Ok(found)
}

/// The registry itself, without any file about it.
pub(crate) fn itself(domain: &str, config: &Config) -> Result<Place, ConfigError> {
    let host = if domain == HUB { HUB_HOST } else { domain };
    let bad = || ConfigError::Host { host: shown(domain) };
    let base = Url::parse(&format!("https://{host}/v2/")).map_err(|_| bad())?;
    if base.port() == Some(0) || base.host_str().is_none_or(str::is_empty) {
        return Err(bad());
    }
    let (capabilities, tls) = (Capabilities::ALL, Tls::default());
    let entry = HostEntry { base, capabilities, tls, headers: Vec::new(), dial: None };
    let mut place = place(entry, domain, config)?;
    place.scheme_is_given = false;
    if domain != HUB {
        // As it was written: an explicit `:443` is part of the name that things are kept under.
        domain.clone_into(&mut place.host);
        place.tls = Tls::default();
        certs::add(&mut place.tls, &config.certs_dirs, domain)?;
    }
    Ok(place)
}

fn place(entry: HostEntry, domain: &str, config: &Config) -> Result<Place, ConfigError> {
    let HostEntry { base, capabilities, mut tls, headers, dial } = entry;
    let host = host_of(&base);
    certs::add(&mut tls, &config.certs_dirs, &host)?;
    let own = host == domain || (domain == HUB && host == HUB_HOST);
    let headers = headers.into_iter().map(|(name, value)| (name, crate::Secret::new(value))).collect();
    let scheme_is_given = base.scheme() == "http" || tls.skip_verify;
    Ok(Place { base, host, capabilities, tls, headers, dial, namespace: None, own, scheme_is_given })
}

/// Host and, unless it is the scheme's own, port of a URL.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None if url.scheme() == "http" && literal(host).is_none() => format!("{host}:80"),
        None => host.to_owned(),
    }
}

fn shown(text: &str) -> String {
    // A mirror's URL may hold a password in front of an `@`.
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::{Place, places};
    use crate::Config;

    fn bases(places: &[Place]) -> Vec<String> {
        places.iter().map(|place| place.base.to_string()).collect()
    }

    #[test]
    fn hub_has_mirrors_and_another_name() {
        let config =
            Config { mirrors: vec!["https://m.example/x".into(), "http://n:5000".into()], ..Config::bare() };
        let hub = places(&config, "docker.io").unwrap();
        assert_eq!(
            bases(&hub),
            ["https://m.example/x/v2/", "http://n:5000/v2/", "https://registry-1.docker.io/v2/"]
        );
        assert!(!hub[0].own && !hub[0].capabilities.push && hub[1].scheme_is_given);
        assert!(hub[2].own && hub[2].capabilities.push && !hub[2].scheme_is_given);
        assert_eq!(bases(&places(&config, "quay.io").unwrap()), ["https://quay.io/v2/"]);
        let config = Config { mirrors: vec!["https://u:hunter2@m".into()], ..Config::bare() };
        let error = places(&config, "docker.io").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_hosts_file_decides() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("reg.example")).unwrap();
        let text =
            "[host.\"http://mirror:5000\"]\n[host.\"https://reg.example\"]\ncapabilities = [\"pull\"]\n";
        std::fs::write(dir.path().join("reg.example/hosts.toml"), text).unwrap();
        let config = Config { hosts_dirs: vec![dir.path().to_owned()], ..Config::bare() };
        let found = places(&config, "reg.example").unwrap();
        assert_eq!(bases(&found), ["http://mirror:5000/v2/", "https://reg.example/v2/"]);
        assert_eq!(found[0].namespace.as_deref(), Some("reg.example"));
        assert!(found[1].own && found[1].namespace.is_none() && !found[1].capabilities.push);
    }

    #[test]
    fn hosts_that_are_none() {
        for domain in ["registry:99999", "registry:0", "[::1]:99999"] {
            let error = places(&Config::bare(), domain).unwrap_err().to_string();
            assert!(error.contains("no host with an optional port"), "{error}");
        }
    }
}
