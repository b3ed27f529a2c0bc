//! Links on the default network: a container knows others by names of its own, as long as they run.
//!
//! Kept as `<ID>:<alias>`, so that they follow a container that is renamed; shown as Docker does, `/name:/parent/alias`.
//! `parent/alias` is a name of the linked container. On networks of users links are the networks' own.

use std::{collections::BTreeMap, net::IpAddr};

use longshore_types::{ContainerId, container::HostConfig};

use super::{Container, Containers, Error, Record, Result, to_the_end};
use crate::{db::Durability, etc, network::BRIDGE, spec::mode};

/// A link as it is kept.
fn parts(link: &str) -> (&str, &str) {
    let (target, alias) = link.split_once(':').unwrap_or((link, link));
    (target, alias.rsplit('/').next().unwrap_or(alias))
}

/// Whether links are the container's and not its network's.
fn has_links(host: &HostConfig) -> bool {
    matches!(host.network_mode.as_str(), "" | "default" | BRIDGE)
        && host.links.as_ref().is_some_and(|links| !links.is_empty())
}

impl Containers {
    /// Finds the containers that are to be linked, and notes who they are.
    pub(super) fn settle_links(&self, host: &mut HostConfig) -> Result<()> {
        if !has_links(host) {
            return Ok(());
        }
        for link in host.links.iter_mut().flatten() {
            let (word, alias) = parts(link);
            let mut target = self.find(word).map_err(|_| Error::NoLinkTarget { word: word.into() })?;
            // Whoever shares another's network is to be found where that one is.
            while let Some(other) = mode::network_of(&target.record().host.network_mode) {
                target = self.find(other).map_err(|_| Error::NoLinkTarget { word: other.into() })?;
            }
            *link = format!("{}:{alias}", target.id());
        }
        Ok(())
    }

    /// The links of a container, as Docker shows them.
    #[must_use]
    pub fn links(&self, record: &Record) -> Option<Vec<String>> {
        if !has_links(&record.host) {
            return record.host.links.clone();
        }
        let shown = record.host.links.iter().flatten().filter_map(|link| {
            let (target, alias) = parts(link);
            let target = self.find(target).ok()?;
            Some(format!("/{}:/{}/{alias}", target.record().name, record.name))
        });
        let shown: Vec<String> = shown.collect();
        (!shown.is_empty()).then_some(shown)
    }

    /// What containers are called by the links of others, `/parent/alias`, by their IDs.
    #[must_use]
    pub fn names_by_links(&self) -> BTreeMap<String, Vec<String>> {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for parent in self.table().values() {
            let record = parent.record();
            for link in record.host.links.iter().flatten().filter(|_| has_links(&record.host)) {
                let (target, alias) = parts(link);
                names.entry(target.into()).or_default().push(format!("/{}/{alias}", record.name));
            }
        }
        names.values_mut().for_each(|own| own.sort());
        names
    }

    /// The container that another one calls so.
    pub(super) fn linked(&self, parent: &str, alias: &str) -> Option<Container> {
        let parent = self.named(parent).or_else(|| self.find(parent).ok())?;
        let record = parent.record();
        let mut links = record.host.links.iter().flatten().map(|link| parts(link));
        let (target, _) = links.find(|(_, own)| *own == alias).filter(|_| has_links(&record.host))?;
        self.find(target).ok()
    }

    fn parents(&self, id: &ContainerId) -> Vec<(Container, String)> {
        let mut found = Vec::new();
        for parent in self.table().values() {
            let record = parent.record();
            if !has_links(&record.host) {
                continue;
            }
            let links = record.host.links.iter().flatten().map(|link| parts(link));
            let own = links.filter(|(target, _)| *target == id.as_str());
            found.extend(own.map(|(_, alias)| (parent.clone(), alias.to_owned())));
        }
        found
    }

    /// Takes a link, `parent/alias`, away.
    pub async fn unlink(&self, word: &str) -> Result<()> {
        let none = || Error::NoSuchLink { word: word.into() };
        let name = word.strip_prefix('/').unwrap_or(word);
        let (parent, alias) = name.split_once('/').ok_or_else(none)?;
        let target = self.linked(parent, alias).ok_or_else(none)?;
        let (containers, parent, alias) = (self.clone(), self.find(parent)?, alias.to_owned());
        to_the_end(async move {
            let turn = parent.lock().await;
            let gone = link_line(&target.record(), &alias);
            let done = containers
                .change(&parent, Durability::Disk, move |record| {
                    if let Some(links) = &mut record.host.links {
                        links.retain(|link| parts(link).1 != alias);
                    }
                    Ok(())
                })
                .await;
            if done.is_ok() && parent.record().state.phase.has_processes() {
                etc::rewrite_hosts(parent.data_dir(), gone.as_slice(), &[])?;
            }
            drop(turn);
            done
        })
        .await
    }

    /// The lines of a container's `hosts` for its links. All of them must run.
    pub(super) fn link_hosts(&self, record: &Record) -> Result<Vec<(String, IpAddr)>> {
        let mut lines = Vec::new();
        if !has_links(&record.host) {
            return Ok(lines);
        }
        for link in record.host.links.iter().flatten() {
            let (target, alias) = parts(link);
            // One that was removed is linked no more.
            let Ok(target) = self.find(target) else { continue };
            let target = target.record();
            let name = target.name.clone();
            if !target.state.phase.has_processes() {
                return Err(Error::LinkNotRunning { name, link: format!("/{}/{alias}", record.name) });
            }
            lines.push(link_line(&target, alias).ok_or(Error::LinkNotBridged { name })?);
        }
        Ok(lines)
    }

    /// Lets those who are linked to a container that has started know where it is now.
    pub(super) fn tell_parents(&self, container: &Container) -> Result<()> {
        if container.record().host.network_mode != BRIDGE {
            return Ok(());
        }
        for (parent, alias) in self.parents(container.id()) {
            if let Some(line) = link_line(&container.record(), &alias)
                && parent.record().state.phase.has_processes()
            {
                etc::rename_host(parent.data_dir(), &line)?;
            }
        }
        Ok(())
    }
}

/// A linked container's names and its address on the default network.
fn link_line(target: &Record, alias: &str) -> Option<(String, IpAddr)> {
    let endpoint = target.networking.endpoints_config.as_ref()?.get(BRIDGE)?.as_ref()?;
    let mut names = format!("{alias} {}", target.config.hostname);
    if alias != target.name {
        names = format!("{names} {}", target.name);
    }
    Some((names, endpoint.ip_address.parse().ok()?))
}
