//! What a daemon left half done that was killed while a container came to a network, or left it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use longshore_network::namespace::Namespace;

use super::{
    Endpoint, Networks, Result,
    attach::{host_name, way_out, way_out6},
};
use crate::container::Record;

impl Networks {
    /// Takes away the ports of our bridges that no running container has on record. The names of those that stay.
    pub(super) fn sweep_ports(&self, running: &[Arc<Record>]) -> Result<BTreeSet<String>> {
        let on_record = running.iter().flat_map(|record| record.networking.endpoints_config.iter().flatten());
        let on_record =
            on_record.filter_map(|(_, own)| own.as_ref().filter(|own| !own.endpoint_id.is_empty()));
        let on_record: BTreeSet<String> = on_record.map(host_name).collect();
        let links = self.0.links.all()?;
        let prefix = format!("{}:", self.0.settings.table);
        let bridges: BTreeSet<u32> =
            links.iter().filter(|link| link.owner.starts_with(&prefix)).map(|link| link.index).collect();
        let mut there = BTreeSet::new();
        for link in &links {
            if on_record.contains(&link.name) {
                there.insert(link.name.clone());
            } else if link.name.starts_with("veth")
                && link.master.is_some_and(|master| bridges.contains(&master))
            {
                self.0.links.delete(&link.name)?;
            }
        }
        Ok(there)
    }

    /// Plugs a running container's ends in again that are on record and not among those that are `there`.
    pub(super) fn plug_again(
        &self,
        namespace: &Namespace,
        endpoints: &mut BTreeMap<String, Endpoint>,
        there: &BTreeSet<String>,
    ) -> Result<()> {
        let is_gone = |endpoint: &Endpoint| {
            let pair = endpoint.interface.as_ref().filter(|interface| interface.macvlan.is_none());
            pair.is_some_and(|interface| !there.contains(&interface.host_name))
        };
        if !endpoints.values().any(is_gone) {
            return Ok(());
        }
        let mut inside = namespace.inside()?;
        let mut names = inside.names()?;
        let stays = endpoints.values_mut().filter(|endpoint| !is_gone(endpoint));
        for (interface, name) in stays.filter_map(|endpoint| endpoint.interface.as_mut()).zip(&names) {
            interface.name.clone_from(name);
        }
        for endpoint in endpoints.values_mut().filter(|endpoint| is_gone(endpoint)) {
            let Some(interface) = &mut endpoint.interface else { continue };
            let free = (0..u16::MAX).map(|index| format!("eth{index}")).find(|name| !names.contains(name));
            interface.name = free.unwrap_or_default();
            interface.plug(&self.0.links, namespace, &mut inside)?;
            names.push(interface.name.clone());
        }
        let mut all: Vec<(String, Endpoint)> = endpoints.clone().into_iter().collect();
        all.sort_by_key(|(_, endpoint)| endpoint.interface.as_ref().map(|interface| interface.name.clone()));
        if let Some(gateway) = way_out(&all).and_then(|endpoint| endpoint.gateway) {
            inside.set_default_route(gateway)?;
        }
        if let Some(gateway) = way_out6(&all) {
            inside.set_default_route6(gateway)?;
        }
        Ok(())
    }
}
