use axum::{Json, extract::State, http::HeaderMap};
use longshore_api::image::SearchResult;
use longshore_engine::image::Library;
use longshore_image::Filters;

use super::{Failure, credentials, failure, list::parse_filters};
use crate::http::query::Query;

/// The results without a limit, and the most, as Docker has them.
const DEFAULT: usize = 25;
const MOST: usize = 100;
/// The filters that a search knows.
const FILTERS: [&str; 3] = ["is-automated", "is-official", "stars"];

/// Searches a registry.
pub(super) async fn search(
    State(library): State<Library>,
    headers: HeaderMap,
    query: Query,
) -> Result<Json<Vec<SearchResult>>, Failure> {
    let limit = match query.word("limit") {
        None => DEFAULT,
        Some(text) => match text.parse() {
            Ok(0) => DEFAULT,
            Ok(limit) if limit <= MOST => limit,
            Ok(limit) => {
                return Err(Failure::bad(format!("limit {limit} is outside the range of [1, {MOST}]")));
            }
            Err(_) => return Err(Failure::bad(format!("invalid limit specified: {text:?}"))),
        },
    };
    let term = query.text("term").unwrap_or_default();
    if term.contains("://") {
        let message = format!("invalid repository name: repository name ({term}) should not have a scheme");
        return Err(Failure::bad(message));
    }
    let wanted = Wanted::read(&parse_filters(&query)?)?;
    let credentials = credentials(&headers)?;
    let found = library.images().search(term, limit, &credentials).await.map_err(|error| failure(&error))?;
    let found = found.into_iter().filter(|one| wanted.takes(one));
    let shown = found.map(|one| SearchResult {
        star_count: one.star_count,
        is_official: one.is_official,
        name: one.name,
        // Docker Hub has no automated builds any more.
        is_automated: false,
        description: one.description,
    });
    Ok(Json(shown.collect()))
}

/// What the results must be.
struct Wanted {
    automated: Option<bool>,
    official: Option<bool>,
    stars: i64,
}

impl Wanted {
    fn read(filters: &Filters) -> Result<Self, Failure> {
        if let Some(name) = filters.names().find(|name| !FILTERS.contains(name)) {
            return Err(Failure::bad(format!("invalid filter '{name}'")));
        }
        let wrong = |name: &str, value: &str| Failure::bad(format!("invalid filter '{name}=[{value}]'"));
        let flag = |name: &str| match filters.get(name) {
            [] => Ok(None),
            [value] if matches!(value.as_str(), "true" | "1") => Ok(Some(true)),
            [value] if matches!(value.as_str(), "false" | "0") => Ok(Some(false)),
            values => Err(wrong(name, &values.join(" "))),
        };
        let mut stars = 0;
        for value in filters.get("stars") {
            stars = stars.max(value.parse().map_err(|_| wrong("stars", value))?);
        }
        Ok(Self { automated: flag("is-automated")?, official: flag("is-official")?, stars })
    }

    fn takes(&self, one: &longshore_registry::Found) -> bool {
        self.automated != Some(true)
            && self.official.is_none_or(|wanted| one.is_official == wanted)
            && one.star_count >= self.stars
    }
}
