use std::{fmt, sync::Arc, time::Duration};

use longshore_types::Reference;
use tokio::sync::OnceCell;

use super::{endpoint::SharedEndpoint, send::Link, shared::Shared};
use crate::{
    Credentials, Error,
    auth::Account,
    config::{Patience, hosts::Capabilities},
};

/// Attempts at a mirror before the next host is asked.
const MIRROR_ATTEMPTS: u32 = 2;

/// A repository of a registry and who we are to it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repository(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    /// Without tag and digest.
    pub(crate) name: Reference,
    credentials: Credentials,
    /// In the order of asking, each with the account for it.
    hosts: Vec<(SharedEndpoint, OnceCell<Option<Account>>)>,
    pub(crate) observer: Observer,
}

/// A failure after which a transfer goes on.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Failures in a row.
    pub failures: u32,
    /// Until the next attempt.
    pub wait: Duration,
    pub error: Error,
}

type Watch = dyn Fn(&Retry) + Send + Sync;

/// Is told of failures after which a transfer goes on.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<Watch>>);

impl Observer {
    /// Calls `watch` before each wait.
    pub fn new(watch: impl Fn(&Retry) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watch)))
    }

    pub(crate) fn retrying(&self, retry: &Retry) {
        if let Some(watch) = &self.0 {
            watch(retry);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

impl Repository {
    pub(crate) fn new(
        shared: Arc<Shared>,
        reference: &Reference,
        endpoints: Vec<SharedEndpoint>,
        credentials: Credentials,
    ) -> Self {
        let hosts = endpoints.into_iter().map(|endpoint| (endpoint, OnceCell::new())).collect();
        let name = reference.without_version();
        Self(Arc::new(Inner { shared, name, credentials, hosts, observer: Observer::default() }))
    }

    /// The same repository; `observer` is told when something is tried again.
    #[must_use]
    pub fn observed_by(&self, observer: Observer) -> Self {
        let inner = &*self.0;
        let hosts = inner.hosts.iter().map(|(endpoint, account)| (Arc::clone(endpoint), account.clone()));
        Self(Arc::new(Inner {
            shared: Arc::clone(&inner.shared),
            name: inner.name.clone(),
            credentials: inner.credentials.clone(),
            hosts: hosts.collect(),
            observer,
        }))
    }

    /// The repository's name.
    #[must_use]
    pub fn name(&self) -> &Reference {
        &self.0.name
    }

    /// The scope of a token that may do `actions`.
    pub(crate) fn scope(&self, actions: &str) -> String {
        format!("repository:{}:{actions}", self.0.name.path())
    }
}

impl Inner {
    /// The hosts that can do something, in the order of asking.
    pub(crate) fn able(&self, can: impl Fn(Capabilities) -> bool) -> Vec<usize> {
        let able = self.hosts.iter().enumerate();
        able.filter(|(_, (endpoint, _))| can(endpoint.place.capabilities)).map(|(at, _)| at).collect()
    }

    /// The host that takes what is pushed: the registry itself if it may.
    pub(crate) async fn push_link(&self) -> Result<Link<'_>, Error> {
        let able = self.able(|can| can.push);
        let own = able.iter().find(|at| self.hosts[**at].0.place.own);
        match own.or(able.first()) {
            Some(at) => self.link(*at).await,
            None => Err(self.nobody("push")),
        }
    }

    /// The host at `at`, reached and with its account.
    pub(crate) async fn link(&self, at: usize) -> Result<Link<'_>, Error> {
        let (endpoint, account) = &self.hosts[at];
        let place = &endpoint.place;
        let account = account.get_or_try_init(|| self.credentials.account(&place.host, place.own)).await?;
        let route = endpoint.route(&self.shared).await?;
        Ok(Link {
            shared: &self.shared,
            endpoint,
            route,
            account: account.as_ref(),
            repository: self.name.path(),
        })
    }

    /// How patient to be with a host: less if there is another.
    pub(crate) fn patience(&self, is_last: bool) -> Patience {
        let mut patience = self.shared.config.patience.clone();
        if !is_last {
            patience.attempts = patience.attempts.min(MIRROR_ATTEMPTS);
        }
        patience
    }

    /// When no host can do something.
    pub(crate) fn nobody(&self, action: &str) -> Error {
        Error::Protocol {
            host: self.name.domain().to_owned(),
            what: format!("no host of hosts.toml may {action}"),
        }
    }
}
