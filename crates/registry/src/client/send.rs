//! One request: with credentials if the host asks for them, along redirects, without retries.

use std::{pin::pin, sync::PoisonError, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Body, RequestBuilder, Response};
use tokio::time::timeout;
use url::Url;

use super::{
    connection::failure,
    dns::Reach,
    endpoint::{Endpoint, Route},
    redirect::{self, MAX_HOPS, RedirectError, same_origin},
    reply::refusal,
    retry::Attempts,
    shared::Shared,
    upload::Sent,
};
use crate::{
    Error, Secret,
    auth::{Account, Challenge, RealmRules, token::Request, token::sensitive},
    client::repository::Observer,
    config::Patience,
    error::shown,
    mirror::host_of,
};

/// How often one request may be refused for its credentials.
const MAX_ROUNDS: u32 = 3;

/// What a host said about how much it still gives (Docker Hub's `ratelimit-*` headers).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    pub limit: Option<u64>,
    pub remaining: Option<u64>,
    /// The time that the limit is for.
    pub window: Option<Duration>,
}

/// Whom a request is for: what its errors say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) host: &'a str,
    pub(crate) repository: &'a str,
    pub(crate) action: &'static str,
    pub(crate) account: Option<&'a Account>,
    pub(crate) route: Option<&'a Route>,
    pub(crate) stall: Duration,
}

/// A host and who we are to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) route: &'a Route,
    pub(crate) account: Option<&'a Account>,
    pub(crate) repository: &'a str,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What a token must be good for.
    pub(crate) scopes: &'a [String],
    pub(crate) action: &'static str,
}

impl<'a> Call<'a> {
    pub(crate) fn get(url: Url, scopes: &'a [String], action: &'static str) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), scopes, action }
    }

    pub(crate) fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    pub(crate) fn body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }
}

/// A value for `Authorization`.
enum Proof {
    Basic(Secret),
    Token(Secret),
}

impl<'a> Link<'a> {
    /// The host's name, for messages.
    pub(crate) fn host(&self) -> &'a str {
        &self.endpoint.place.host
    }

    pub(crate) fn stall(&self) -> Duration {
        self.shared.stall()
    }

    /// The URL of something under `/v2/`.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Error> {
        let mut url =
            self.route.base.join(path).map_err(|_| self.broken("it has an address that is no URL"))?;
        if let Some(namespace) = &self.endpoint.place.namespace {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        Ok(url)
    }

    /// The URL of something of the repository.
    pub(crate) fn repository_url(&self, path: &str) -> Result<Url, Error> {
        self.url(&format!("{}/{path}", self.repository))
    }

    pub(crate) fn broken(&self, what: &str) -> Error {
        Error::Protocol { host: self.host().to_owned(), what: what.to_owned() }
    }

    pub(crate) const fn origin(&self, action: &'static str) -> Origin<'a> {
        Origin {
            host: self.endpoint.place.host.as_str(),
            repository: self.repository,
            action,
            account: self.account,
            route: Some(self.route),
            stall: self.shared.config.patience.stall,
        }
    }

    /// Sends until it succeeds or fails for good.
    pub(crate) async fn persist(
        &self,
        call: &Call<'_>,
        patience: &Patience,
        observer: &Observer,
    ) -> Result<Response, Error> {
        let mut attempts = Attempts::new(patience, observer);
        loop {
            match self.success(call).await {
                Ok(response) => return Ok(response),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    /// Sends once; a reply that is no success is an error.
    pub(crate) async fn success(&self, call: &Call<'_>) -> Result<Response, Error> {
        let response = self.send(call).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response, &self.origin(call.action), call.url.as_str(), call.method.as_str()).await)
    }

    /// Sends, and proves who we are if the host asks.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Response, Error> {
        let mut stale = None;
        for round in 1.. {
            let proof = self.proof(call, stale.as_ref()).await?;
            let (response, crossed) = self.follow(call, proof.as_ref()).await?;
            if response.status() != StatusCode::UNAUTHORIZED || crossed || round == MAX_ROUNDS {
                return Ok(response);
            }
            match self.refused(&response, proof, call)? {
                Some(token) => stale = Some(token),
                None => return Ok(response),
            }
        }
        Err(self.broken("it refuses credentials for ever"))
    }

    /// What to do about a refusal: try again (with the token that was refused, or an empty one), or nothing.
    fn refused(
        &self,
        response: &Response,
        proof: Option<Proof>,
        call: &Call<'_>,
    ) -> Result<Option<Secret>, Error> {
        let Some(challenge) = Challenge::of(response.headers()) else { return Ok(None) };
        self.endpoint.learn(challenge.clone());
        match (challenge, proof) {
            (Challenge::Basic, Some(Proof::Basic(_))) => Ok(None),
            (Challenge::Basic, _) if !matches!(self.account, Some(Account::Password { .. })) => {
                let url = call.url.as_str().split('?').next().unwrap_or_default().to_owned();
                Err(Error::NoBasicCredentials { method: call.method.to_string(), url })
            }
            // A token that the user gave cannot be replaced.
            (_, Some(Proof::Token(_))) if matches!(self.account, Some(Account::RegistryToken { .. })) => {
                Ok(None)
            }
            (_, Some(Proof::Token(token))) => Ok(Some(token)),
            (_, _) => Ok(Some(Secret::default())),
        }
    }

    /// What the host is known to ask for.
    async fn proof(&self, call: &Call<'_>, stale: Option<&Secret>) -> Result<Option<Proof>, Error> {
        if let Some(Account::RegistryToken { token }) = self.account {
            return Ok(Some(Proof::Token(token.clone())));
        }
        match self.endpoint.challenge() {
            None => Ok(None),
            Some(Challenge::Basic) => match self.account {
                Some(Account::Password { user, password }) => {
                    if self.route.base.scheme() == "http" && !self.route.insecure {
                        return Err(Error::PlainPassword { host: self.host().to_owned() });
                    }
                    Ok(Some(Proof::Basic(Account::basic(user, password))))
                }
                _ => Ok(None),
            },
            Some(Challenge::Bearer { realm, service }) => {
                let request = self.token_request(&realm, service, call.scopes)?;
                let token =
                    self.shared.tokens.get(self.shared, &request, &self.origin(call.action), stale).await?;
                Ok(Some(Proof::Token(token.value)))
            }
        }
    }

    /// The request for a token, if its server may be asked.
    pub(crate) fn token_request(
        &self,
        realm: &str,
        service: String,
        scopes: &[String],
    ) -> Result<Request, Error> {
        let rules = RealmRules { registry: &self.route.base, insecure: &self.shared.insecure };
        let url = rules.check(realm).map_err(|reason| {
            // What stands in front of an `@`, or after a `?`, may be a secret.
            let shown_realm = shown(realm.split(['?', '#']).next().unwrap_or_default());
            let shown_realm = match shown_realm.rsplit_once('@') {
                Some((_, rest)) => rest.to_owned(),
                None => shown_realm,
            };
            Error::Realm { host: self.host().to_owned(), realm: shown_realm, reason }
        })?;
        let mut scopes = scopes.to_vec();
        scopes.sort();
        scopes.dedup();
        Ok(Request { realm: url, service, scopes, account: self.account.cloned(), offline: false })
    }

    /// Sends along redirects; says whether the reply is from another origin.
    ///
    /// Credentials go to the first origin only, and not even there once another has been visited.
    async fn follow(&self, call: &Call<'_>, proof: Option<&Proof>) -> Result<(Response, bool), Error> {
        let redirected = |source| Error::Redirect { host: self.host().to_owned(), source };
        let is_safe = matches!(call.method, Method::GET | Method::HEAD);
        let mut url = call.url.clone();
        let mut crossed = !same_origin(&url, &self.route.base);
        for _ in 0..=MAX_HOPS {
            let response = self.once(call, &url, proof.filter(|_| !crossed)).await?;
            let status = response.status();
            let follows = is_safe && matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
            if !follows {
                if !crossed {
                    self.note_limits(response.headers());
                }
                return Ok((response, crossed));
            }
            let location = response.headers().get(header::LOCATION);
            let location = location.ok_or_else(|| redirected(RedirectError::NoLocation))?;
            let location = location.to_str().map_err(|_| redirected(RedirectError::Invalid))?;
            url = redirect::next(&url, location, &self.route.base, &self.shared.insecure)
                .map_err(redirected)?;
            crossed |= !same_origin(&url, &self.route.base);
        }
        Err(redirected(RedirectError::TooMany))
    }

    async fn once(&self, call: &Call<'_>, url: &Url, proof: Option<&Proof>) -> Result<Response, Error> {
        let request = self.request(&call.method, url, call.headers.clone(), proof)?;
        let request =
            if call.body.is_empty() { request } else { request.body(Body::from(call.body.clone())) };
        let limit = self.endpoint.dial(self.shared) + self.stall();
        let host = self.name_of(url);
        let reply = timeout(limit, request.send()).await;
        let reply = reply.map_err(|_| Error::Stalled { host: host.clone(), seconds: limit.as_secs() })?;
        reply.map_err(|error| failure(&host, error))
    }

    /// What messages call the host of `url`.
    fn name_of(&self, url: &Url) -> String {
        if same_origin(url, &self.route.base) { self.host().to_owned() } else { host_of(url) }
    }

    fn request(
        &self,
        method: &Method,
        url: &Url,
        mut headers: HeaderMap,
        proof: Option<&Proof>,
    ) -> Result<RequestBuilder, Error> {
        let own = same_origin(url, &self.route.base);
        let http = if own {
            self.route.http.clone()
        } else {
            self.shared.http_for(url, self.shared.redirect_reach(&self.route.base))?
        };
        // A blob is hashed as it comes: nobody may pack it for the way.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if own {
            headers.extend(self.endpoint.headers());
        }
        if let Some(proof) = proof.filter(|_| own) {
            let value = match proof {
                Proof::Basic(value) => sensitive(value.expose()),
                Proof::Token(token) => sensitive(&format!("Bearer {}", token.expose())),
            };
            let value = value.ok_or_else(|| self.broken("the credentials cannot be put into a header"))?;
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(http.request(method.clone(), url.clone()).headers(headers))
    }

    /// Sends a body that comes as a stream, once. A refusal of credentials is remembered for the next time and is an
    /// error that may pass.
    pub(crate) async fn stream(
        &self,
        call: &Call<'_>,
        body: Body,
        sent: &Sent,
        refused: &mut u32,
    ) -> Result<Response, Error> {
        let proof = self.proof(call, None).await?;
        let request = self.request(&call.method, &call.url, call.headers.clone(), proof.as_ref())?.body(body);
        let response = self.watch(&call.url, request, sent).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !same_origin(&call.url, &self.route.base) {
            return Ok(response);
        }
        *refused += 1;
        if *refused < MAX_ROUNDS
            && let Some(stale) = self.refused(&response, proof, call)?
        {
            drop(self.proof(call, Some(&stale)).await?);
            return Err(Error::Broken {
                host: self.host().to_owned(),
                message: "the token ran out".to_owned(),
            });
        }
        Ok(response)
    }

    /// Waits for the reply to a request whose body is still being sent, as long as it moves.
    async fn watch(&self, url: &Url, request: RequestBuilder, sent: &Sent) -> Result<Response, Error> {
        let patience = &self.shared.config.patience;
        let mut reply = pin!(request.send());
        let mut before = sent.bytes();
        loop {
            let complete = sent.is_complete();
            let limit = if complete { patience.finish } else { patience.stall };
            if let Ok(reply) = timeout(limit, &mut reply).await {
                return reply.map_err(|error| failure(&self.name_of(url), error));
            }
            let now = sent.bytes();
            if complete || now == before {
                return Err(Error::Stalled { host: self.name_of(url), seconds: limit.as_secs() });
            }
            before = now;
        }
    }

    /// The URL of a `Location` that a registry gave for an upload.
    ///
    /// Behind a proxy that ends TLS, registries name themselves `http`: on their own host that is read as `https`.
    pub(crate) fn location(&self, response: &Response) -> Result<Url, Error> {
        let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| self.broken("its upload has no location"))?;
        let current = response.url();
        let base = &self.route.base;
        let joined = current.join(location).ok();
        if let Some(mut url) = joined
            && base.scheme() == "https"
            && url.scheme() == "http"
            && url.host_str() == base.host_str()
        {
            let port = url.port().or(base.port());
            if url.set_scheme("https").is_ok() && url.set_port(port).is_ok() {
                return Ok(url);
            }
        }
        redirect::next(current, location, base, &self.shared.insecure)
            .map_err(|source| Error::Redirect { host: self.host().to_owned(), source })
    }

    fn note_limits(&self, headers: &HeaderMap) {
        let read = |name: &str| {
            let text = headers.get(name)?.to_str().ok()?;
            let (count, window) = text.split_once(';').unwrap_or((text, ""));
            let window = window.trim().strip_prefix("w=").and_then(|seconds| seconds.parse().ok());
            Some((count.trim().parse().ok()?, window.map(Duration::from_secs)))
        };
        let (limit, remaining) = (read("ratelimit-limit"), read("ratelimit-remaining"));
        if limit.is_none() && remaining.is_none() {
            return;
        }
        let window = remaining.or(limit).and_then(|(_, window)| window);
        let found = RateLimit {
            limit: limit.map(|(count, _)| count),
            remaining: remaining.map(|(count, _)| count),
            window,
        };
        let mut limits = self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.insert(self.host().to_owned(), found);
    }
}

/// One request to a host that is not a registry: no credentials, https only, along redirects.
pub(crate) async fn fetch_elsewhere(
    shared: &Shared,
    start: &Url,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let host = host_of(start);
    let redirected = |source| Error::Redirect { host: host.clone(), source };
    let mut url = start.clone();
    for _ in 0..=MAX_HOPS {
        let request = shared.http_for(&url, Reach::Redirected)?.get(url.clone()).headers(headers.clone());
        let request = request.header(header::ACCEPT_ENCODING, "identity");
        let limit = shared.config.patience.connect + shared.stall();
        let reply = timeout(limit, request.send()).await;
        let reply = reply.map_err(|_| Error::Stalled { host: host_of(&url), seconds: limit.as_secs() })?;
        let response = reply.map_err(|error| failure(&host_of(&url), error))?;
        if !response.status().is_redirection() {
            return Ok(response);
        }
        let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| redirected(RedirectError::NoLocation))?;
        url = redirect::next(&url, location, start, &shared.insecure).map_err(redirected)?;
    }
    Err(redirected(RedirectError::TooMany))
}
