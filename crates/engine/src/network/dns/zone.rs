//! What a container's nameserver knows itself.

use std::net::{IpAddr, SocketAddr};

use longshore_network::dns::{Answer, Code, Query, kind};

use super::{
    super::{BRIDGE, Inner, Sandbox, State, attach::way_out},
    forward::Upstream,
    upstream,
};

/// What the host is called by its containers, as with Docker Desktop.
const HOST_NAMES: [&str; 2] = ["host.docker.internal", "gateway.docker.internal"];

/// What becomes of a question.
#[derive(Debug)]
pub(super) enum Fate {
    /// This is the answer.
    Answered(Vec<u8>),
    /// These are to be asked.
    Forward(Upstream),
}

impl Inner {
    /// What becomes of a question of a container. An answer has at most `limit` bytes.
    pub(super) fn judge(&self, container: &str, query: &Query, limit: usize) -> Fate {
        let state = self.lock_state();
        let Some(sandbox) = state.sandboxes.get(container) else {
            return Fate::Answered(query.reply(Code::ServerFailure, &[], limit));
        };
        if let Some(mut answers) = state.own_answers(sandbox, query, &self.settings.host_gateways) {
            drop(state);
            fastrand::shuffle(&mut answers);
            return Fate::Answered(query.reply(Code::NoError, &answers, limit));
        }
        let leads_out = sandbox.endpoints.values().any(|endpoint| endpoint.gateway.is_some());
        let servers: Vec<SocketAddr> =
            sandbox.servers.iter().filter_map(|word| upstream::server(word)).collect();
        drop(state);
        if !servers.is_empty() {
            return Fate::Forward(Upstream { servers, place: Some(self.key(container)) });
        }
        if !leads_out {
            // Who is not to reach what is outside does not do so by names either.
            return Fate::Answered(query.reply(Code::ServerFailure, &[], limit));
        }
        Fate::Forward(Upstream { servers: self.dns.of_host.now().to_vec(), place: None })
    }
}

impl State {
    /// The records that we have for it; none if the name is not ours.
    fn own_answers(&self, sandbox: &Sandbox, query: &Query, host_gateways: &[IpAddr]) -> Option<Vec<Answer>> {
        let wanted = query.kind()?;
        match wanted {
            kind::PTR => self.name_of(sandbox, query.reverse()?).map(|name| vec![Answer::Name(name)]),
            // That there is no mailer, of a name that there is, means the host itself.
            kind::A | kind::AAAA | kind::MX => {
                let mut found = self.addresses_of(sandbox, query.name(), host_gateways)?;
                found.retain(|address| match address {
                    IpAddr::V4(_) => wanted == kind::A,
                    IpAddr::V6(_) => wanted == kind::AAAA,
                });
                Some(found.into_iter().map(Answer::Address).collect())
            }
            _ => None,
        }
    }

    fn addresses_of(&self, sandbox: &Sandbox, name: &str, host_gateways: &[IpAddr]) -> Option<Vec<IpAddr>> {
        if name.is_empty() {
            return None;
        }
        let networks =
            || sandbox.endpoints.iter().filter_map(|(id, endpoint)| Some((self.networks.get(id)?, endpoint)));
        for (network, endpoint) in networks() {
            for (target, alias) in endpoint.settings.links.iter().flatten().filter_map(|text| link(text)) {
                if alias.eq_ignore_ascii_case(name)
                    && let Some(found) = network.names.find(&target.to_ascii_lowercase())
                {
                    return Some(found);
                }
            }
        }
        let of_network = name.rsplit_once('.');
        for (network, _) in networks() {
            let with_network = of_network.filter(|(_, of)| network.record.name.eq_ignore_ascii_case(of));
            let found = network.names.find(name);
            if let Some(found) = found.or_else(|| network.names.find(with_network?.0)) {
                return Some(found);
            }
        }
        if HOST_NAMES.contains(&name) {
            let endpoints: Vec<_> =
                sandbox.endpoints.iter().map(|(id, endpoint)| (id.clone(), endpoint.clone())).collect();
            return way_out(&endpoints).map(|endpoint| {
                let own = endpoint.gateway.map(IpAddr::V4).into_iter().collect();
                if host_gateways.is_empty() { own } else { host_gateways.to_vec() }
            });
        }
        None
    }

    fn name_of(&self, sandbox: &Sandbox, address: IpAddr) -> Option<String> {
        sandbox.endpoints.keys().filter_map(|id| self.networks.get(id)).find_map(|network| {
            let name = network.names.name_of(address)?;
            Some(format!("{name}.{}", network.record.name))
        })
    }

    /// Lets the others on its networks know a container by its names.
    pub(in crate::network) fn announce(&mut self, container: &str) {
        let Some(sandbox) = self.sandboxes.get(container) else { return };
        for (id, endpoint) in &sandbox.endpoints {
            if let Some(network) = self.networks.get_mut(id).filter(|network| network.record.name != BRIDGE) {
                let names = endpoint.settings.dns_names.as_deref().unwrap_or_default();
                network.names.add(&endpoint.settings.endpoint_id, names, &endpoint.addresses());
            }
        }
    }
}

/// A link: whom it means, and by what name.
fn link(text: &str) -> Option<(&str, &str)> {
    let (target, alias) = text.split_once(':').unwrap_or((text, text));
    (!target.is_empty() && !alias.is_empty()).then_some((target, alias))
}
