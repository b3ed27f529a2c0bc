//! Platforms in queries, which are documents of JSON in most places.

use longshore_types::Platform;

use crate::http::{error::Failure, query::Query};

/// Reads one platform in JSON.
pub(in crate::http) fn decode(text: &str) -> Result<Platform, Failure> {
    let platform: Platform = serde_json::from_str(text)
        .map_err(|error| Failure::bad(format!("failed to parse platform: {error}")))?;
    if platform.os.is_empty() || platform.architecture.is_empty() {
        return Err(Failure::bad("both OS and Architecture must be provided"));
    }
    Ok(platform)
}

/// The one platform of a query that may have one.
pub(in crate::http) fn one(query: &Query) -> Result<Option<Platform>, Failure> {
    query.word("platform").map(decode).transpose()
}

/// The one platform of a query that may be a list to Docker.
pub(in crate::http) fn at_most_one(query: &Query, name: &str) -> Result<Option<Platform>, Failure> {
    let mut texts = query.texts(name).filter(|text| !text.is_empty());
    let first = texts.next().map(decode).transpose()?;
    match texts.next() {
        None => Ok(first),
        Some(_) => Err(Failure::bad("one platform at a time: several in one request are not supported")),
    }
}
