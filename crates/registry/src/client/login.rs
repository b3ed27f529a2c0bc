//! Checking an account with a registry.

use http::StatusCode;
use longshore_types::Reference;

use super::{
    endpoint::Endpoint,
    reply::refusal,
    send::{Call, Link},
    shared::Client,
};
use crate::{
    Error, Secret,
    auth::{Account, Challenge, Credentials},
    config::ConfigError,
    error::shown,
    mirror,
};

/// What a registry gave for an account that it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// To be kept in place of the password.
    pub identity_token: Option<Secret>,
}

impl Client {
    /// Asks the registry of `host` (`docker.io`, `reg.example:5000`) whether it knows an account.
    pub async fn login(&self, host: &str, account: &Account) -> Result<Login, Error> {
        let bad = || ConfigError::Host { host: shown(host) };
        let name = Reference::parse(&format!("{host}/x")).map_err(|_| bad())?;
        let place = mirror::itself(name.domain(), &self.0.config)?;
        // Of its own, so that nothing learnt with other accounts counts.
        let endpoint = Endpoint::new(place);
        let route = endpoint.route(&self.0).await?;
        let link =
            Link { shared: &self.0, endpoint: &endpoint, route, account: Some(account), repository: "" };
        let call = Call::get(link.url("")?, &[], "logging in to");
        let mut response = link.send(&call).await.map_err(|error| named(error, call.url.as_str()))?;
        // A registry that nobody needs an account for has no answer.
        let mut identity_token = None;
        if let Some(Challenge::Bearer { realm, service }) = endpoint.challenge() {
            let mut request = link.token_request(&realm, service, &[])?;
            request.offline = true;
            let origin = link.origin("logging in to");
            let token = self.0.tokens.get(&self.0, &request, &origin, None).await;
            let token = token.map_err(|error| named(error, call.url.as_str()))?;
            identity_token = token.identity;
            if response.status() == StatusCode::UNAUTHORIZED {
                response = link.send(&call).await?;
            }
        }
        if response.status().is_success() {
            return Ok(Login { identity_token });
        }
        Err(refusal(response, &link.origin("logging in to"), call.url.as_str(), "GET").await)
    }

    /// Whether the registry of `host` is there and takes these credentials; `login` without an account.
    pub async fn ping(&self, host: &str, credentials: &Credentials) -> Result<(), Error> {
        let bad = || ConfigError::Host { host: shown(host) };
        let name = Reference::parse(&format!("{host}/x")).map_err(|_| bad())?;
        let place = mirror::itself(name.domain(), &self.0.config)?;
        let account = credentials.account(&place.host, true).await?;
        let endpoint = self.0.endpoint(place);
        let route = endpoint.route(&self.0).await?;
        let link =
            Link { shared: &self.0, endpoint: &endpoint, route, account: account.as_ref(), repository: "" };
        let call = Call::get(link.url("")?, &[], "reaching");
        link.success(&call).await.map(drop)
    }
}

/// A refusal of the token server as the registry's own: it is the registry that the user knows.
fn named(error: Error, registry: &str) -> Error {
    match error {
        Error::Unauthorized { reply, .. } => {
            Error::Unauthorized { method: "Get".to_owned(), url: registry.to_owned(), reply }
        }
        error => error,
    }
}
