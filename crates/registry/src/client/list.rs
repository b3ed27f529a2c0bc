//! Lists: tags, repositories, referrers. They come in pages, and end whatever a registry sends.

use std::collections::HashSet;

use bytes::Bytes;
use http::{HeaderMap, header};
use longshore_types::{
    Digest, Reference,
    oci::{Descriptor, Index, MAX_MANIFEST, Manifest, media_type},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Map;
use url::Url;

use super::{
    redirect::same_origin,
    reply::read_bounded,
    repository::{Observer, Repository},
    send::{Call, Link},
    shared::Client,
};
use crate::{Credentials, Error, config::ConfigError, error::shown, mirror};

/// The most pages of one list.
const MAX_PAGES: usize = 1000;
/// The longest page, in bytes.
const MAX_PAGE: u64 = 4 << 20;
/// How many entries a page is asked to have.
const PAGE: usize = 1000;

/// The beginning of a list, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    pub items: Vec<T>,
    /// Whether these are all.
    pub complete: bool,
}

#[derive(Deserialize)]
struct RawTags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawCatalog {
    #[serde(default)]
    repositories: Option<Vec<String>>,
}

impl Repository {
    /// Its tags, at most `limit`.
    pub async fn tags(&self, limit: usize) -> Result<Listing<String>, Error> {
        let hosts = self.0.able(|can| can.resolve);
        let Some(at) = hosts.last() else { return Err(self.0.nobody("resolve")) };
        let link = self.0.link(*at).await?;
        let scopes = [self.scope("pull")];
        let mut url = link.repository_url("tags/list")?;
        url.query_pairs_mut().append_pair("n", &PAGE.min(limit).to_string());
        let pages =
            Pages { link: &link, scopes: &scopes, action: "listing tags of", observer: &self.0.observer };
        let read = |page: RawTags| page.tags.unwrap_or_default();
        // What is no tag cannot be asked for, and must not reach a terminal.
        let is_tag = |tag: &String| self.name().with_tag(tag).is_ok();
        let listed = pages.all(url, limit, |bytes, _| json(&link, bytes).map(read), is_tag).await;
        listed.map_err(|error| self.denied(error))
    }

    /// What refers to a manifest: signatures, attestations and the like, of one type or of all.
    pub async fn referrers(
        &self,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let hosts = self.0.able(|can| can.resolve);
        let Some(at) = hosts.last() else { return Err(self.0.nobody("resolve")) };
        let link = self.0.link(*at).await?;
        let scopes = [self.scope("pull")];
        let mut url = link.repository_url(&format!("referrers/{digest}"))?;
        if let Some(artifact_type) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", artifact_type);
        }
        let pages = Pages {
            link: &link,
            scopes: &scopes,
            action: "listing referrers of",
            observer: &self.0.observer,
        };
        let wanted = |entry: &Descriptor| {
            artifact_type.is_none_or(|wanted| entry.artifact_type.as_deref() == Some(wanted))
        };
        let found =
            pages.all(url, longshore_types::oci::MAX_ENTRIES, |bytes, _| index(&link, bytes), wanted).await;
        match found {
            Ok(listing) => Ok(listing.items),
            // The registry is older than the list, or knows no such repository.
            Err(Error::Status { status: 404 | 405, .. } | Error::Document { .. }) => {
                let mut entries = self.referrers_by_tag(digest).await?;
                entries.retain(wanted);
                Ok(entries)
            }
            Err(error) => Err(error),
        }
    }

    async fn referrers_by_tag(&self, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
        match self.resolve(&referrers_tag(digest)).await {
            Ok(resolved) => {
                let index = Index::read(&resolved.bytes, &resolved.descriptor.media_type);
                let host = resolved.host;
                Ok(index.map_err(|source| Error::Document { host, source })?.manifests)
            }
            Err(Error::ManifestUnknown { .. } | Error::RepositoryUnknown { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Adds a manifest that has a subject to the list of the subject's referrers.
    pub(super) async fn note_referrer(
        &self,
        link: &Link<'_>,
        media_type: &str,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        // Whoever pushes may push anything; only what has a subject is of interest.
        let (subject, artifact_type, annotations) = match Manifest::read(bytes, media_type) {
            Ok(manifest) => {
                let artifact_type = manifest.artifact_type.unwrap_or(manifest.config.media_type);
                (manifest.subject, Some(artifact_type), manifest.annotations)
            }
            Err(_) => match Index::read(bytes, media_type) {
                Ok(index) => (index.subject, index.artifact_type, index.annotations),
                Err(_) => return Ok(()),
            },
        };
        let Some(subject) = subject else { return Ok(()) };
        let mut entry = Descriptor::of(media_type, bytes);
        entry.artifact_type = artifact_type;
        entry.annotations = annotations;
        let mut manifests = self.referrers_by_tag(&subject.digest).await?;
        if manifests.iter().any(|known| known.digest == entry.digest) {
            return Ok(());
        }
        manifests.push(entry);
        let index = Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: std::collections::BTreeMap::new(),
            other: Map::new(),
        };
        let text = serde_json::to_vec(&index).map_err(|_| link.broken("a list of referrers is no JSON"))?;
        self.put_version(link, &referrers_tag(&subject.digest), media_type::OCI_INDEX, text.into()).await?;
        Ok(())
    }
}

/// The tag that stands in for the list of referrers (distribution-spec, "Referrers Tag Schema").
fn referrers_tag(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), &digest.hex()[..64])
}

impl Client {
    /// The repositories of the registry of `host`, at most `limit`. Docker Hub has no such list.
    pub async fn catalog(
        &self,
        host: &str,
        credentials: &Credentials,
        limit: usize,
    ) -> Result<Listing<String>, Error> {
        let bad = || ConfigError::Host { host: shown(host) };
        let name = Reference::parse(&format!("{host}/x")).map_err(|_| bad())?;
        let place = mirror::itself(name.domain(), &self.0.config)?;
        let account = credentials.account(&place.host, true).await?;
        let endpoint = self.0.endpoint(place);
        let route = endpoint.route(&self.0).await?;
        let link =
            Link { shared: &self.0, endpoint: &endpoint, route, account: account.as_ref(), repository: "" };
        let mut url = link.url("_catalog")?;
        url.query_pairs_mut().append_pair("n", &PAGE.min(limit).to_string());
        let scopes = ["registry:catalog:*".to_owned()];
        let observer = Observer::default();
        let pages =
            Pages { link: &link, scopes: &scopes, action: "listing repositories of", observer: &observer };
        let read = |page: RawCatalog| page.repositories.unwrap_or_default();
        let is_name = |name: &String| Reference::parse(&format!("{host}/{name}")).is_ok();
        pages.all(url, limit, |bytes, _| json(&link, bytes).map(read), is_name).await
    }
}

/// How to get one page after another.
struct Pages<'a> {
    link: &'a Link<'a>,
    scopes: &'a [String],
    action: &'static str,
    observer: &'a Observer,
}

impl Pages<'_> {
    async fn all<T>(
        &self,
        first: Url,
        limit: usize,
        read: impl Fn(&Bytes, &HeaderMap) -> Result<Vec<T>, Error>,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Listing<T>, Error> {
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(first);
        while let Some(url) = next {
            if !seen.insert(url.clone()) {
                return Err(self.link.broken("a page of its list leads back to one before"));
            }
            if seen.len() > MAX_PAGES {
                return Err(self.link.broken("its list has too many pages"));
            }
            let call = Call::get(url.clone(), self.scopes, self.action);
            let patience = &self.link.shared.config.patience;
            let response = self.link.persist(&call, patience, self.observer).await?;
            let headers = response.headers().clone();
            let body =
                read_bounded(response, MAX_PAGE, "a page of a list", self.link.host(), self.link.stall())
                    .await?;
            items.extend(read(&body, &headers)?.into_iter().filter(&keep));
            if items.len() > limit {
                items.truncate(limit);
                return Ok(Listing { items, complete: false });
            }
            next = self.next(&url, &headers)?;
            if next.is_some() && items.len() == limit {
                return Ok(Listing { items, complete: false });
            }
        }
        Ok(Listing { items, complete: true })
    }

    /// Where the next page is; it must be at the same host.
    fn next(&self, url: &Url, headers: &HeaderMap) -> Result<Option<Url>, Error> {
        let Some(link) = headers.get(header::LINK).and_then(|link| link.to_str().ok()) else {
            return Ok(None);
        };
        let Some(target) = next_link(link) else { return Ok(None) };
        let next =
            url.join(target).map_err(|_| self.link.broken("its list goes on at something that is no URL"))?;
        if same_origin(&next, &self.link.route.base) {
            Ok(Some(next))
        } else {
            Err(self.link.broken("its list goes on at another host"))
        }
    }
}

/// The target of `rel="next"` (RFC 8288).
fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|entry| {
        let (target, parameters) = entry.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
        });
        is_next.then_some(target)
    })
}

fn json<T: DeserializeOwned>(link: &Link<'_>, bytes: &Bytes) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|_| link.broken("a page of its list is not the JSON it should be"))
}

fn index(link: &Link<'_>, bytes: &Bytes) -> Result<Vec<Descriptor>, Error> {
    debug_assert!(bytes.len() <= MAX_MANIFEST);
    let index = Index::read(bytes, media_type::OCI_INDEX);
    index
        .map(|index| index.manifests)
        .map_err(|source| Error::Document { host: link.host().to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::next_link;

    #[test]
    fn finds_the_next_page() {
        for (header, expected) in [
            ("</v2/a/tags/list?n=2&last=b>; rel=\"next\"", Some("/v2/a/tags/list?n=2&last=b")),
            ("<https://a/p>;rel=prev, <https://a/n> ; x=y; REL=Next", Some("https://a/n")),
            ("<https://a/p>; rel=\"prev\"", None),
            ("https://a/n; rel=next", None),
            ("<unclosed; rel=next", None),
            ("", None),
        ] {
            assert_eq!(next_link(header), expected, "{header}");
        }
    }
}
