//! A file at an address that the user gave, for `import`: no registry, no credentials but those in the address.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use reqwest::Response;
use tokio::time::timeout;
use url::Url;

use super::{
    connection::failure,
    dns::Reach,
    redirect::{self, MAX_HOPS, RedirectError},
    reply::{read_bounded, reply},
    shared::Client,
};
use crate::{Error, mirror::host_of};

/// How much of a refusal is read, in bytes.
const MAX_REFUSAL: u64 = 64 << 10;

/// A file that is being downloaded.
#[derive(Debug)]
pub struct Download {
    response: Response,
    host: String,
    stall: Duration,
}

impl Client {
    /// Begins to get a file. Redirects are followed, from https to https only, and not to this machine.
    pub async fn download(&self, url: &Url) -> Result<Download, Error> {
        let mut at = url.clone();
        for hop in 0..=MAX_HOPS {
            let host = host_of(&at);
            let reach = if hop == 0 { Reach::Named } else { self.0.redirect_reach(url) };
            let http = self.0.http_for(&at, reach)?;
            let limit = self.0.config.patience.connect + self.0.stall();
            let stalled = || Error::Stalled { host: host.clone(), seconds: limit.as_secs() };
            let response = timeout(limit, http.get(at.clone()).send()).await.map_err(|_| stalled())?;
            let response = response.map_err(|error| failure(&host, error))?;
            if !response.status().is_redirection() {
                return self.begun(response, url, host).await;
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let next = match location {
                Some(location) => redirect::next(&at, location, url, &self.0.insecure),
                None => Err(RedirectError::NoLocation),
            };
            at = next.map_err(|source| Error::Redirect { host, source })?;
        }
        Err(Error::Redirect { host: host_of(url), source: RedirectError::TooMany })
    }

    async fn begun(&self, response: Response, url: &Url, host: String) -> Result<Download, Error> {
        let (status, stall) = (response.status(), self.0.stall());
        if status.is_success() {
            return Ok(Download { response, host, stall });
        }
        let body = read_bounded(response, MAX_REFUSAL, "a refusal", &host, stall).await.unwrap_or_default();
        let mut shown = url.clone();
        // What is in the address may be secret.
        shown.set_password(None).ok();
        shown.set_query(None);
        Err(Error::Download { url: shown.into(), reply: reply(status, &body) })
    }
}

impl Download {
    /// How long it is, as its server says.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let stalled = || Error::Stalled { host: self.host.clone(), seconds: self.stall.as_secs() };
        let piece = timeout(self.stall, self.response.chunk()).await.map_err(|_| stalled())?;
        piece.map_err(|error| failure(&self.host, error))
    }
}
