//! Searching for images: the old `/v1/search`, which Docker Hub and few others still have.

use longshore_types::Reference;
use serde::Deserialize;

use super::{
    reply::read_bounded,
    send::{Call, Link},
    shared::Client,
};
use crate::{Credentials, Error, config::ConfigError, error::shown, mirror};

/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// Where Docker Hub answers.
const HUB_SEARCH: &str = "index.docker.io";
/// The most results that are asked for (Docker's own limit).
const MAX_RESULTS: usize = 100;

/// An image that was found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Found {
    pub name: String,
    #[serde(default, deserialize_with = "text")]
    pub description: String,
    #[serde(default)]
    pub star_count: i64,
    #[serde(default)]
    pub is_official: bool,
    #[serde(default)]
    pub is_automated: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Found>,
}

fn text<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(reader)?.map(|text| shown(&text)).unwrap_or_default())
}

impl Client {
    /// Searches for `term`, which may begin with a registry: `reg.example/term`. At most 100 results.
    pub async fn search(
        &self,
        term: &str,
        limit: usize,
        credentials: &Credentials,
    ) -> Result<Vec<Found>, Error> {
        let (host, term) = match term.split_once('/') {
            Some((host, term)) if host.contains(['.', ':']) || host == "localhost" => (host, term),
            _ => ("docker.io", term),
        };
        let bad = || ConfigError::Host { host: shown(host) };
        let name = Reference::parse(&format!("{host}/x")).map_err(|_| bad())?;
        let mut place = mirror::itself(name.domain(), &self.0.config)?;
        let account = credentials.account(&place.host, true).await?;
        if name.domain() == "docker.io" {
            place.base.set_host(Some(HUB_SEARCH)).map_err(|_| bad())?;
        }
        place.base.set_path("/v1/");
        let endpoint = self.0.endpoint(place);
        let route = endpoint.route(&self.0).await?;
        let link =
            Link { shared: &self.0, endpoint: &endpoint, route, account: account.as_ref(), repository: "" };
        let mut url = link.url("search")?;
        // As Docker does, official images are searched for without their prefix.
        let term = term.strip_prefix("library/").unwrap_or(term);
        url.query_pairs_mut()
            .append_pair("q", term)
            .append_pair("n", &limit.clamp(1, MAX_RESULTS).to_string());
        let response = link.success(&Call::get(url, &[], "searching")).await?;
        let body = read_bounded(response, MAX_ANSWER, "a search's answer", link.host(), link.stall()).await?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| link.broken("its answer to a search is not JSON"))?;
        let mut results = answer.results;
        results.retain(|found| Reference::parse(&found.name).is_ok());
        results.truncate(limit.clamp(1, MAX_RESULTS));
        Ok(results)
    }
}
