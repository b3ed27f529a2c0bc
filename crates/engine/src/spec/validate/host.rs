use std::net::IpAddr;

use longshore_runtime::cgroup::Driver;
use longshore_types::container::{Config, HostConfig, MountType, NetworkingConfig, PortMap, RestartPolicy};

use super::{Invalid, config::is_port};
use crate::spec::{
    Error, Host, Settings, capability,
    mode::{self, Mode},
    point, security, sysctl, tmpfs,
};

/// The word for the host's address towards its containers.
pub(super) const HOST_GATEWAY: &str = "host-gateway";

/// Modes that exclude each other.
pub(super) fn modes(config: &Config, host: &HostConfig) -> Result<(), Invalid> {
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if host.network_mode == "container" || mode::network_of(&host.network_mode).is_some() {
        let ports = host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty());
        let exposed = config.exposed_ports.as_ref().is_some_and(|ports| !ports.is_empty());
        if mode::network_of(&host.network_mode).is_none_or(str::is_empty) {
            return Err(Invalid::NetworkContainer);
        }
        if !config.hostname.is_empty() {
            return Err(Invalid::AndNetworkMode { option: "hostname" });
        }
        if some(&host.links) {
            return Err(Invalid::LinksAndContainerNetwork);
        }
        if some(&host.dns) {
            return Err(Invalid::AndNetworkMode { option: "dns" });
        }
        if some(&host.extra_hosts) {
            return Err(Invalid::AndNetworkMode { option: "custom host-to-IP mapping" });
        }
        if ports || host.publish_all_ports {
            return Err(Invalid::AndContainerNetwork { option: "port publishing" });
        }
        if exposed {
            return Err(Invalid::AndContainerNetwork { option: "port exposing" });
        }
    }
    if mode::plain(&host.uts_mode) == Some(Mode::Host) && !config.hostname.is_empty() {
        return Err(Invalid::HostnameAndUts);
    }
    if host.network_mode == "host" && some(&host.links) {
        return Err(Invalid::LinksAndHostNetwork);
    }
    if !matches!(host.isolation.to_lowercase().as_str(), "" | "default") {
        return Err(Invalid::Isolation { isolation: host.isolation.clone() });
    }
    Ok(())
}

/// What does not depend on this machine.
pub(super) fn check(host: &HostConfig) -> Result<(), Error> {
    restart(&host.restart_policy, host.auto_remove)?;
    for mount in host.mounts.iter().flatten() {
        point::check(mount, true)?;
    }
    points(host)?;
    for text in host.extra_hosts.iter().flatten() {
        extra_host(text)?;
    }
    ports(host.port_bindings.as_ref())?;
    names(host)?;
    if host.annotations.iter().flatten().any(|(key, _)| key.is_empty()) {
        return Err(Invalid::EmptyAnnotation.into());
    }
    Ok(())
}

pub(super) fn restart(policy: &RestartPolicy, auto_remove: bool) -> Result<(), Invalid> {
    if auto_remove && !matches!(policy.name.as_str(), "" | "no") {
        return Err(Invalid::AutoRemove);
    }
    let count = policy.maximum_retry_count;
    match policy.name.as_str() {
        "always" | "unless-stopped" | "no" | "on-unhealthy" if count != 0 => {
            Err(Invalid::RetryCount { negative: count < 0 })
        }
        "on-failure" if count < 0 => Err(Invalid::NegativeRetries),
        "" | "always" | "unless-stopped" | "no" | "on-failure" | "on-unhealthy" => Ok(()),
        other => Err(Invalid::RestartPolicy { policy: other.into() }),
    }
}

/// All destinations, each once.
fn points(host: &HostConfig) -> Result<(), Error> {
    let mut taken = std::collections::BTreeSet::new();
    for text in host.binds.iter().flatten() {
        let point = point::parse(text, &host.volume_driver)?;
        let destination = point::clean(&point.mount.target);
        let tmpfs = host.tmpfs.iter().flatten().any(|(path, _)| point::clean(path) == destination);
        if taken.contains(&destination) || tmpfs {
            return Err(point::PointError::Duplicate { destination }.into());
        }
        taken.insert(destination);
    }
    for mount in host.mounts.iter().flatten() {
        let destination = point::clean(&mount.target);
        if taken.contains(&destination) {
            return Err(point::PointError::Duplicate { destination: mount.target.clone() }.into());
        }
        taken.insert(destination);
    }
    for text in host.volumes_from.iter().flatten() {
        point::parse_from(text)?;
    }
    Ok(())
}

/// `name:address`, with the first colon between them, or `name=address`.
fn extra_host(text: &str) -> Result<(), Invalid> {
    let bad = || Invalid::ExtraHost { host: text.into() };
    let (name, address) = text.split_once(':').ok_or_else(bad)?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
        return Err(bad());
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if address == HOST_GATEWAY || bare.parse::<IpAddr>().is_ok() {
        Ok(())
    } else {
        Err(Invalid::ExtraHostAddress { address: address.into() })
    }
}

fn ports(ports: Option<&PortMap>) -> Result<(), Invalid> {
    for (port, bindings) in ports.into_iter().flatten() {
        if !is_port(port) || port.contains('-') {
            return Err(bound(port));
        }
        for binding in bindings.iter().flatten() {
            let host = &binding.host_port;
            // 0 asks for any, as nothing does.
            if !host.is_empty() && host != "0" && (!is_port(host) || host.contains('/')) {
                return Err(Invalid::Port { port: host.clone() });
            }
            let address = &binding.host_ip;
            if !address.is_empty() && address.parse::<IpAddr>().is_err() {
                return Err(Invalid::DnsAddress { address: address.clone() });
            }
        }
    }
    Ok(())
}

/// What is wrong with the port of a binding.
fn bound(text: &str) -> Invalid {
    let (port, protocol) = text.split_once('/').unwrap_or((text, ""));
    if port.parse::<u16>().is_ok() && !protocol.is_empty() {
        return Invalid::Port { port: text.into() };
    }
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let why = if is_number { "value out of range" } else { "invalid syntax" };
    Invalid::BoundPort { port: port.into(), why }
}

/// Words that end up in files of the container, or name things of its.
fn names(host: &HostConfig) -> Result<(), Invalid> {
    for address in host.dns.iter().flatten() {
        let bare = address.split('%').next().unwrap_or_default();
        if bare.parse::<IpAddr>().is_err() || address.contains(char::is_whitespace) {
            return Err(Invalid::DnsAddress { address: address.clone() });
        }
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || ";#".contains(c);
    for domain in host.dns_search.iter().flatten() {
        if domain.contains(odd) || domain.len() > 255 {
            return Err(Invalid::DnsSearch { domain: domain.clone() });
        }
    }
    for option in host.dns_options.iter().flatten() {
        if option.is_empty() || option.contains(odd) {
            return Err(Invalid::DnsOption { option: option.clone() });
        }
    }
    for link in host.links.iter().flatten() {
        let (container, alias) = link.split_once(':').unwrap_or((link, link));
        if container.is_empty() || alias.is_empty() || link.contains(odd) {
            return Err(Invalid::Link { link: link.clone() });
        }
    }
    for group in host.group_add.iter().flatten() {
        if group.is_empty() || group.contains([':', '\n', '\0']) {
            return Err(Invalid::Group { group: group.clone() });
        }
    }
    Ok(())
}

/// What depends on this machine and this daemon.
pub(super) fn platform(
    config: &HostConfig,
    settings: &Settings,
    host: &Host,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    capability::normal(config.cap_add.as_ref(), host).map_err(Error::CapAdd)?;
    capability::normal(config.cap_drop.as_ref(), host).map_err(Error::CapDrop)?;
    let bad = |mode: &String, of: fn(&str) -> Option<Mode<'_>>| of(mode).is_none().then(|| mode.clone());
    if let Some(mode) = bad(&config.ipc_mode, mode::ipc) {
        return Err(Invalid::IpcMode { mode }.into());
    }
    if let Some(mode) = bad(&config.pid_mode, mode::pid) {
        return Err(Invalid::PidMode { mode }.into());
    }
    if config.shm_size < 0 {
        return Err(Invalid::ShmSize.into());
    }
    if let Some(mode) = bad(&config.uts_mode, mode::plain) {
        return Err(Invalid::UtsMode { mode }.into());
    }
    if let Some(mode) = bad(&config.userns_mode, mode::plain) {
        return Err(Invalid::UsernsMode { mode }.into());
    }
    if !(-1000..=1000).contains(&config.oom_score_adj) {
        return Err(Invalid::OomScore { value: config.oom_score_adj }.into());
    }
    let network = config.network_mode.as_str();
    if !host.ipv4_forwarding && !matches!(network, "host" | "none") {
        warnings.push("IPv4 forwarding is disabled. Networking will not work.".into());
    }
    let published = config.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty());
    if network == "host" && published {
        warnings.push("Published ports are discarded when using host network mode".into());
    }
    cgroup(config, settings, host, warnings)?;
    if !settings.knows_runtime(&config.runtime) {
        return Err(Invalid::Runtime { name: config.runtime.clone() }.into());
    }
    for (destination, options) in config.tmpfs.iter().flatten() {
        point::target(destination).map_err(|why| Invalid::TmpfsTarget { why })?;
        tmpfs::mount(destination.clone(), options.split(','))?;
    }
    security::parse(config, settings)?;
    sysctl::check(config)?;
    if let Some((key, _)) = config.storage_opt.iter().flatten().next() {
        return Err(Invalid::StorageOpt { key: key.clone() }.into());
    }
    let bridged = matches!(network, "" | "default" | "bridge");
    if bridged && config.links.as_ref().is_some_and(|links| !links.is_empty()) {
        warnings.push("Links on the default bridge network are deprecated and will be removed in a future release. Use a custom network instead.".into());
    }
    daemon_root(config, settings)
}

fn cgroup(
    config: &HostConfig,
    settings: &Settings,
    host: &Host,
    warnings: &mut Vec<String>,
) -> Result<(), Invalid> {
    let parent = &config.resources.cgroup_parent;
    if !parent.is_empty() && settings.cgroup_driver == Driver::Systemd {
        if parent.len() <= 6 || !parent.ends_with(".slice") {
            return Err(Invalid::Slice);
        }
    } else if parent.split('/').any(|part| part == ".." || part.len() > 255) || parent.contains(['\n', '\0'])
    {
        return Err(Invalid::CgroupParent { parent: parent.clone() });
    }
    match mode::cgroup(&config.cgroupns_mode) {
        None => return Err(Invalid::CgroupnsMode { mode: config.cgroupns_mode.clone() }),
        Some(Mode::Private) if !host.cgroup_namespaces => warnings.push(
            "Your kernel does not support cgroup namespaces.  Cgroup namespace setting discarded.".into(),
        ),
        Some(_) => {}
    }
    Ok(())
}

/// A container must not hold on to mounts of the daemon: what comes and goes below its root must come and go
/// inside too.
fn daemon_root(config: &HostConfig, settings: &Settings) -> Result<(), Error> {
    let Some(root) = settings.data_root.to_str() else { return Ok(()) };
    let binds = config.binds.iter().flatten().filter_map(|text| point::parse(text, "").ok());
    let mounts = binds.map(|point| point.mount).chain(config.mounts.iter().flatten().cloned());
    for mount in mounts.filter(|mount| mount.kind == MountType::Bind) {
        let propagation = mount.bind_options.map(|options| options.propagation).unwrap_or_default();
        if is_daemon_root(&mount.source, root) && !matches!(propagation.as_str(), "" | "rslave" | "rshared") {
            let (root, source_path) = (root.to_owned(), mount.source);
            return Err(Invalid::DaemonRoot { root, source_path, propagation }.into());
        }
    }
    Ok(())
}

/// Whether one is within the other.
pub(crate) fn is_daemon_root(source: &str, root: &str) -> bool {
    let (source, root) = (std::path::PathBuf::from(point::clean(source)), std::path::Path::new(root));
    source.starts_with(root) || root.starts_with(&source)
}

/// Addresses that were asked for are addresses.
pub(super) fn networks(networking: &NetworkingConfig) -> Result<(), Invalid> {
    for endpoint in networking.endpoints_config.iter().flatten().filter_map(|(_, endpoint)| endpoint.as_ref())
    {
        let Some(asked) = &endpoint.ipam_config else { continue };
        let locals = asked.link_local_ips.iter().flatten();
        let four = [&asked.ipv4_address].into_iter().map(|text| ("IPv4", text, false));
        let six = [&asked.ipv6_address].into_iter().map(|text| ("IPv6", text, true));
        for (family, text, is_six) in four.chain(six).filter(|(_, text, _)| !text.is_empty()) {
            if text.parse::<IpAddr>().map_or(true, |address| address.is_ipv6() != is_six) {
                return Err(Invalid::Endpoint { why: format!("invalid {family} address: {text}") });
            }
        }
        for text in locals {
            if text.parse::<IpAddr>().is_err() {
                return Err(Invalid::Endpoint { why: format!("invalid link-local IP address: {text}") });
            }
        }
    }
    Ok(())
}
