//! One host that serves a registry: what was decided about it, how it was reached, and what it asks for.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::HeaderMap;
use tokio::sync::OnceCell;
use url::Url;

use super::{
    connection::{Trust, failure},
    dns::Reach,
    shared::Shared,
};
use crate::{
    Error,
    auth::Challenge,
    config::insecure::{Verdict, literal},
    mirror::Place,
};

/// A host, shared by all transfers with it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) place: Place,
    route: OnceCell<Route>,
    /// What the last refusal asked for, so that the next request brings it along.
    challenge: Mutex<Option<Challenge>>,
}

/// How a host is reached.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Up to and including `/v2/`, with the scheme that works.
    pub(crate) base: Url,
    pub(crate) http: reqwest::Client,
    /// Whether the user lets this host go without verified TLS.
    pub(crate) insecure: bool,
}

impl Endpoint {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, route: OnceCell::new(), challenge: Mutex::default() }
    }

    pub(crate) fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn learn(&self, challenge: Challenge) {
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
    }

    /// How to reach it; decided once.
    ///
    /// Only a host that may go without verified TLS is ever spoken to in plain http, and only after https failed.
    pub(crate) async fn route(&self, shared: &Shared) -> Result<&Route, Error> {
        self.route.get_or_try_init(|| self.decide(shared)).await
    }

    async fn decide(&self, shared: &Shared) -> Result<Route, Error> {
        let base = self.place.base.clone();
        let host = base.host_str().unwrap_or_default().to_owned();
        let port = base.port_or_known_default().unwrap_or(443);
        let mut trust =
            Trust { tls: self.place.tls.clone(), reach: Reach::Named, pinned: None, dial: self.place.dial };
        let mut verdict = shared.insecure.judge(&host, port);
        if verdict == Verdict::ByAddress {
            verdict = Verdict::Secure;
            if let Some(addresses) = insecure_addresses(shared, &base, &host).await {
                verdict = Verdict::Insecure;
                trust.pinned = Some((host.clone(), addresses));
            }
        }
        let insecure = verdict == Verdict::Insecure;
        trust.tls.skip_verify |= insecure;
        let http = shared.connections.get(&trust)?;
        if !insecure || self.place.scheme_is_given {
            let insecure = insecure || self.place.scheme_is_given;
            return Ok(Route { base, http, insecure });
        }
        self.probe(shared, base, http).await
    }

    /// Finds out whether a host that may go without TLS has it.
    async fn probe(&self, shared: &Shared, base: Url, http: reqwest::Client) -> Result<Route, Error> {
        let secured = self.ping(shared, &base, &http).await;
        let Err(secured) = secured else { return Ok(Route { base, http, insecure: true }) };
        let mut plain = base.clone();
        if plain.set_scheme("http").is_err() {
            return Err(secured);
        }
        match self.ping(shared, &plain, &http).await {
            Ok(()) => Ok(Route { base: plain, http, insecure: true }),
            // What went wrong with https says more, unless it was only that nobody spoke it.
            Err(error) if matches!(secured, Error::PlainHttp { .. } | Error::Unreachable { .. }) => {
                Err(error)
            }
            Err(_) => Err(secured),
        }
    }

    async fn ping(&self, shared: &Shared, base: &Url, http: &reqwest::Client) -> Result<(), Error> {
        let host = &self.place.host;
        let request = http.get(base.clone()).headers(self.headers()).send();
        let limit = self.dial(shared) + shared.stall();
        let reply = tokio::time::timeout(limit, request).await;
        let reply = reply.map_err(|_| Error::Stalled { host: host.clone(), seconds: limit.as_secs() })?;
        let response = reply.map_err(|error| failure(host, error))?;
        if let Some(challenge) = Challenge::of(response.headers()) {
            self.learn(challenge);
        }
        Ok(())
    }

    /// How long a connection to it may take to be made.
    pub(crate) fn dial(&self, shared: &Shared) -> Duration {
        self.place.dial.unwrap_or(shared.config.patience.connect)
    }

    /// The headers that the user's settings have for this host.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.place.headers {
            let name = http::HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Some(value)) = (name, crate::auth::token::sensitive(value.expose())) {
                headers.append(name, value);
            }
        }
        headers
    }
}

/// The addresses of a name if all of them are in networks that may go without TLS, and no proxy stands between.
async fn insecure_addresses(shared: &Shared, base: &Url, host: &str) -> Option<Vec<SocketAddr>> {
    if literal(host).is_some() || shared.proxies.proxy(base).is_some() {
        return None;
    }
    let found = shared.connections.lookup.addresses(host).await.ok()?;
    let all = !found.is_empty() && found.iter().all(|address| shared.insecure.has(*address));
    all.then(|| found.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
}

/// Endpoints are compared and shared by what they are.
pub(crate) type SharedEndpoint = Arc<Endpoint>;
