//! Networks that come to a container, or leave it.

use std::net::IpAddr;

use longshore_types::container::EndpointSettings;

use super::{Container, Containers, Record, Result, blocking, create::step, to_the_end};
use crate::{
    db::Durability,
    etc::{self, EtcInputs},
    network::{self, Change},
};

impl Containers {
    /// Puts a container on a network: now if it runs, else at its next start.
    pub async fn connect(
        &self,
        container: &Container,
        network: &str,
        settings: EndpointSettings,
    ) -> Result<()> {
        let word = network.to_owned();
        self.rewire(container, move |networks, record| networks.connect(record, &word, settings)).await
    }

    /// Takes a container from a network.
    pub async fn disconnect(&self, container: &Container, network: &str) -> Result<()> {
        let word = network.to_owned();
        self.rewire(container, move |networks, record| networks.disconnect(record, &word)).await
    }

    async fn rewire(
        &self,
        container: &Container,
        change: impl FnOnce(&network::Networks, &super::Record) -> network::Result<Change> + Send + 'static,
    ) -> Result<()> {
        let (containers, container) = (self.clone(), container.clone());
        to_the_end(async move {
            let turn = container.lock().await;
            let this = container.clone();
            let done = blocking(move || {
                let before = this.record();
                let change = change(containers.networks(), &before)?;
                step("container.rewire.row")?;
                containers.update(&this, Durability::Disk, |record| {
                    let endpoints = record.networking.endpoints_config.get_or_insert_default();
                    match change.endpoint {
                        Some(endpoint) => drop(endpoints.insert(change.network, Some(endpoint))),
                        None => {
                            let is_it = |word: &str| network::same(word, &change.network, &change.id);
                            endpoints.retain(|word, _| !is_it(word));
                        }
                    }
                    if let Some(ports) = change.ports {
                        record.ports = ports;
                    }
                    Ok(())
                })?;
                containers.rewrite_files(&this, &before)
            })
            .await;
            drop(turn);
            done
        })
        .await
    }

    /// Brings the files of a running container up to its networks.
    fn rewrite_files(&self, container: &Container, before: &Record) -> Result<()> {
        let now = container.record();
        if !now.state.phase.has_processes() || now.config.network_disabled {
            return Ok(());
        }
        let (old, new) = (own_hosts(before), own_hosts(&now));
        let only = |these: &[(String, IpAddr)], others: &[(String, IpAddr)]| -> Vec<(String, IpAddr)> {
            these.iter().filter(|line| !others.contains(line)).cloned().collect()
        };
        etc::rewrite_hosts(container.data_dir(), &only(&old, &new), &only(&new, &old))?;
        if self.networks().is_served(container.id().as_str()) {
            let without = self.etc_inputs();
            let with = EtcInputs { nameservers: vec![network::NAMESERVER], ..without.clone() };
            etc::rewrite_resolv(&now, container.data_dir(), &without, &with)?;
        }
        Ok(())
    }
}

/// The lines of a container's `hosts` that are its own.
fn own_hosts(record: &Record) -> Vec<(String, IpAddr)> {
    let endpoints = record.networking.endpoints_config.iter().flatten().filter_map(|(_, own)| own.as_ref());
    let addresses = endpoints
        .flat_map(|own| [&own.ip_address, &own.global_ipv6_address])
        .filter_map(|text| text.parse().ok());
    addresses.map(|address| (record.config.hostname.clone(), address)).collect()
}
