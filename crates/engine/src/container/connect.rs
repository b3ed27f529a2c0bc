//! Networks that come to a container, or leave it.

use longshore_types::container::EndpointSettings;

use super::{Container, Containers, Result, blocking, to_the_end};
use crate::{
    db::Durability,
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
                let change = change(containers.networks(), &this.record())?;
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
                })
            })
            .await;
            drop(turn);
            done
        })
        .await
    }
}
