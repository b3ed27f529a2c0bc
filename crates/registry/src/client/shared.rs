use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, Method};
use longshore_types::Reference;
use reqwest::Body;
use url::Url;

use super::{
    connection::{Connections, Trust, failure},
    dns::Reach,
    endpoint::{Endpoint, SharedEndpoint},
    redirect::{may_be_local, same_origin},
    repository::Repository,
    send::{Origin, RateLimit},
};
use crate::{
    Credentials, Error,
    auth::token::Tokens,
    config::{
        Config, ConfigError, certs,
        certs::Tls,
        insecure::{Insecure, Verdict},
    },
    mirror::{self, Place, host_of},
};

/// A client of all registries. Cheap to clone; clones share connections, tokens and what is known of each host.
#[derive(Clone, Debug)]
pub struct Client(pub(crate) Arc<Shared>);

/// What all transfers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) insecure: Insecure,
    pub(crate) proxies: crate::config::ProxyRules,
    pub(crate) connections: Connections,
    pub(crate) tokens: Tokens,
    /// Guards the map of hosts met so far.
    endpoints: Mutex<HashMap<Place, SharedEndpoint>>,
    /// Guards what each host last said about how much it still gives.
    pub(crate) limits: Mutex<HashMap<String, RateLimit>>,
}

impl Client {
    /// Reads the settings; speaks with nobody yet.
    pub fn new(config: Config) -> Result<Self, Error> {
        let insecure = Insecure::read(&config.insecure_registries)?;
        let connections = Connections::new(&config)?;
        let proxies = config.proxies.read()?;
        Ok(Self(Arc::new(Shared {
            config,
            insecure,
            proxies,
            connections,
            tokens: Tokens::default(),
            endpoints: Mutex::default(),
            limits: Mutex::default(),
        })))
    }

    /// The repository that `reference` is in; its tag and digest do not matter.
    pub fn repository(&self, reference: &Reference, credentials: Credentials) -> Result<Repository, Error> {
        let places = mirror::places(&self.0.config, reference.domain())?;
        let endpoints = places.into_iter().map(|place| self.0.endpoint(place)).collect();
        Ok(Repository::new(Arc::clone(&self.0), reference, endpoints, credentials))
    }

    /// What the registry of `host` last said about how much it still gives.
    #[must_use]
    pub fn rate_limit(&self, host: &str) -> Option<RateLimit> {
        self.0.limits.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }
}

impl Shared {
    /// How long nothing may come.
    pub(crate) const fn stall(&self) -> Duration {
        self.config.patience.stall
    }

    /// The endpoint of a place, made when it is first met.
    pub(crate) fn endpoint(&self, place: Place) -> SharedEndpoint {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(endpoints.entry(place.clone()).or_insert_with(|| Arc::new(Endpoint::new(place))))
    }

    /// The HTTP client for a URL that a registry, not the user, named.
    pub(crate) fn http_for(&self, url: &Url, reach: Reach) -> Result<reqwest::Client, ConfigError> {
        let mut tls = Tls::default();
        certs::add(&mut tls, &self.config.certs_dirs, &host_of(url))?;
        let port = url.port_or_known_default().unwrap_or(443);
        tls.skip_verify = self.insecure.judge(url.host_str().unwrap_or_default(), port) == Verdict::Insecure;
        self.connections.get(&Trust { tls, reach, pinned: None, dial: None })
    }

    /// Whom a redirect of `registry` may lead to.
    pub(crate) fn redirect_reach(&self, registry: &Url) -> Reach {
        if may_be_local(registry, &self.insecure) { Reach::Told } else { Reach::Redirected }
    }

    /// One request to a token server; redirects are not followed.
    pub(crate) async fn ask_realm(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Body,
        origin: &Origin<'_>,
    ) -> Result<reqwest::Response, Error> {
        // A token server on the registry's own host is spoken to as the registry is.
        let http = match &origin.route {
            Some(route) if same_origin(&url, &route.base) => route.http.clone(),
            _ => self.http_for(&url, Reach::Told)?,
        };
        let host = host_of(&url);
        let limit = self.config.patience.connect + self.stall();
        let reply =
            tokio::time::timeout(limit, http.request(method, url).headers(headers).body(body).send()).await;
        let reply = reply.map_err(|_| Error::Stalled { host: host.clone(), seconds: limit.as_secs() })?;
        reply.map_err(|error| failure(&host, error))
    }
}
