//! Getting tokens, and keeping them until they expire.
//!
//! One token is fetched once, however many transfers wait for it. Expiry is measured from our own monotonic clock:
//! what the server's clock says does not count.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, Method, header};
use reqwest::Body;
use serde::Deserialize;
use url::Url;

use super::Account;
use crate::{
    Error, Secret,
    client::{Origin, Shared, read_bounded, refusal},
    error::shown,
};

/// The longest answer of a token server, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// The longest token, in bytes; registries take far shorter headers.
const MAX_TOKEN: usize = 64 << 10;
/// How long a token is good when its server does not say, or says less (distribution, `auth/token`).
const SHORTEST: Duration = Duration::from_mins(1);
/// The longest time to trust a token, whatever its server says.
const LONGEST: Duration = Duration::from_hours(1);
/// How long before its end a token is replaced.
const MARGIN: Duration = Duration::from_secs(10);
/// What we call ourselves to a token server.
const CLIENT_ID: &str = "longshore";
/// The most tokens kept.
const MAX_KEPT: usize = 1000;

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) realm: Url,
    pub(crate) service: String,
    /// As in `repository:library/debian:pull`, sorted.
    pub(crate) scopes: Vec<String>,
    pub(crate) account: Option<Account>,
    /// Whether to ask for a token that outlives this one: a login.
    pub(crate) offline: bool,
}

/// What a token server gave.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) value: Secret,
    /// For later, in place of the password.
    pub(crate) identity: Option<Secret>,
    expires: Instant,
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// Tokens by what they are for.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// Guards the map; a slot is locked while its token is being fetched, so that it is fetched once.
    slots: Mutex<HashMap<Request, Slot>>,
}

impl Tokens {
    /// The token for `request`: a kept one unless it is `stale`, else a new one.
    pub(crate) async fn get(
        &self,
        shared: &Shared,
        request: &Request,
        origin: &Origin<'_>,
        stale: Option<&Secret>,
    ) -> Result<Token, Error> {
        let slot = self.slot(request);
        let mut kept = slot.lock().await;
        if let Some(token) = kept.as_ref() {
            let fresh = token.expires.saturating_duration_since(Instant::now()) > MARGIN;
            if fresh && stale != Some(&token.value) {
                return Ok(token.clone());
            }
        }
        *kept = None;
        let token = fetch(shared, request, origin).await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    fn slot(&self, request: &Request) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_KEPT {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        slots.entry(request.clone()).or_default().clone()
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<Secret>,
    #[serde(default)]
    access_token: Option<Secret>,
    #[serde(default)]
    refresh_token: Option<Secret>,
    #[serde(default)]
    expires_in: Option<serde_json::Number>,
}

async fn fetch(shared: &Shared, request: &Request, origin: &Origin<'_>) -> Result<Token, Error> {
    let asked = Instant::now();
    let realm_host = shown(request.realm.host_str().unwrap_or_default());
    let fail = |reason| Error::Token { host: origin.host.to_owned(), realm: realm_host.clone(), reason };
    let response = match &request.account {
        Some(Account::IdentityToken { token }) => exchange(shared, request, origin, token).await?,
        account => ask(shared, request, origin, account.as_ref()).await?,
    };
    if response.status().is_redirection() {
        return Err(fail("it redirects, which nobody with credentials follows"));
    }
    if !response.status().is_success() {
        let origin = Origin { action: "getting a token for", ..*origin };
        let mut error = refusal(response, &origin, request.realm.as_str(), "GET").await;
        if let (Some(account), Error::Unauthorized { reply, .. } | Error::Status { reply, .. }) =
            (&request.account, &mut error)
        {
            reply.message = account.redact(&reply.message);
        }
        return Err(error);
    }
    let body =
        read_bounded(response, MAX_ANSWER, "the answer of its token server", origin.host, shared.stall())
            .await?;
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| fail("its answer is not JSON"))?;
    let value = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
    let value = value.ok_or_else(|| fail("its answer holds none"))?;
    if value.expose().len() > MAX_TOKEN {
        return Err(fail("it is too long for a header"));
    }
    if !value.expose().bytes().all(|c| c.is_ascii_graphic()) {
        return Err(fail("it has characters that no header may have"));
    }
    let seconds = answer.expires_in.and_then(|number| number.as_u64()).unwrap_or_default();
    let life = Duration::from_secs(seconds).clamp(SHORTEST, LONGEST);
    let identity = answer.refresh_token.filter(|token| !token.is_empty());
    Ok(Token { value, identity, expires: asked + life })
}

/// GET with a password, or with nothing (distribution, `auth/token`).
async fn ask(
    shared: &Shared,
    request: &Request,
    origin: &Origin<'_>,
    account: Option<&Account>,
) -> Result<reqwest::Response, Error> {
    let mut url = request.realm.clone();
    let mut headers = HeaderMap::new();
    {
        let mut query = url.query_pairs_mut();
        if !request.service.is_empty() {
            query.append_pair("service", &request.service);
        }
        for scope in &request.scopes {
            query.append_pair("scope", scope);
        }
        if request.offline {
            query.append_pair("offline_token", "true").append_pair("client_id", CLIENT_ID);
        }
        if let Some(Account::Password { user, .. }) = account {
            query.append_pair("account", user);
        }
    }
    if let Some(Account::Password { user, password }) = account {
        let value = sensitive(Account::basic(user, password).expose());
        headers.insert(header::AUTHORIZATION, value.ok_or_else(|| unusable(origin))?);
    }
    shared.ask_realm(Method::GET, url, headers, Body::default(), origin).await
}

/// POST with an identity token (distribution, `auth/oauth`).
async fn exchange(
    shared: &Shared,
    request: &Request,
    origin: &Origin<'_>,
    token: &Secret,
) -> Result<reqwest::Response, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    shared.ask_realm(Method::POST, request.realm.clone(), headers, form(request, token).into(), origin).await
}

fn form(request: &Request, token: &Secret) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", token.expose())
        .append_pair("service", &request.service)
        .append_pair("client_id", CLIENT_ID);
    if !request.scopes.is_empty() {
        form.append_pair("scope", &request.scopes.join(" "));
    }
    form.finish()
}

fn unusable(origin: &Origin<'_>) -> Error {
    Error::Protocol {
        host: origin.host.to_owned(),
        what: "the credentials cannot be put into a header".to_owned(),
    }
}

/// A header's value that its own `Debug` hides.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
