//! A container's networks in its life: given at the start, taken at the end.

use longshore_types::container::NetworkingConfig;

use super::{Container, Containers, Error, Record, Result};
use crate::{
    db::Durability,
    network::{Attachment, at_rest},
    spec::mode,
};

impl Containers {
    /// Gives a container that starts its networks, and notes them. Blocks.
    pub(super) fn attach_networks(&self, container: &Container) -> Result<Attachment> {
        let record = container.record();
        let join = match mode::network_of(&record.host.network_mode) {
            Some(other) => Some(self.find(other)?.record()),
            None => None,
        };
        let attached = self.networks().attach(&record, join.as_deref());
        let attachment = attached.map_err(|source| Error::Attach { source })?;
        let (endpoints, ports) = (attachment.endpoints.clone(), attachment.ports.clone());
        let noted = self.update(container, Durability::Kernel, |record| {
            if join.is_none() {
                let endpoints = endpoints.into_iter().map(|(name, settings)| (name, Some(settings)));
                record.networking = NetworkingConfig { endpoints_config: Some(endpoints.collect()) };
            }
            record.ports = ports;
            Ok(())
        });
        if let Err(error) = noted.and_then(|()| self.tell_parents(container)) {
            self.detach_networks(container);
            return Err(error);
        }
        Ok(attachment)
    }

    /// Takes a container's networks from it. What stays behind is swept away at the daemon's next start. Blocks.
    pub(super) fn detach_networks(&self, container: &Container) {
        if let Err(error) = self.networks().detach(container.id().as_str()) {
            tracing::warn!(id = %container.id(), error = crate::line(&error), "cannot take away its networks");
        }
    }
}

/// Whether a record says nothing of networks that only a container that runs has.
pub(super) fn is_at_rest(record: &Record) -> bool {
    let mut ends = record.networking.endpoints_config.iter().flatten().filter_map(|(_, own)| own.as_ref());
    record.ports.is_empty() && ends.all(|own| *own == at_rest(own))
}

/// The networks of a container that does not run: as they were asked for.
pub(super) fn rest(record: &mut Record) {
    for settings in
        record.networking.endpoints_config.iter_mut().flatten().filter_map(|(_, own)| own.as_mut())
    {
        *settings = at_rest(settings);
    }
    record.ports.clear();
}
