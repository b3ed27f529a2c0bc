//! The query of a request, by the rules of Docker's handlers.

use std::str::FromStr;

use axum::{extract::FromRequestParts, http::request::Parts};
use longshore_types::Filters;
use url::form_urlencoded;

use super::error::Failure;

/// The parameters behind the question mark. Of several with one name, the first counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Query {
    fn parse(text: &str) -> Result<Self, Failure> {
        if text.contains(';') {
            return Err(Failure::bad("invalid semicolon separator in query"));
        }
        for (at, _) in text.match_indices('%') {
            let escape: String = text[at..].chars().take(3).collect();
            if escape.len() != 3 || !escape[1..].bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Failure::bad(format!("invalid URL escape {escape:?}")));
            }
        }
        Ok(Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect()))
    }

    /// The first value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// The first value of a parameter, where an empty one is none.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// All values of a parameter, in order.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter says yes: anything but nothing, `0`, `no`, `false` and `none`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let text = self.text(name).unwrap_or_default().trim().to_ascii_lowercase();
        !matches!(text.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// As [`Self::flag`]; `default` when the parameter is not there at all.
    pub(crate) fn flag_or(&self, name: &str, default: bool) -> bool {
        if self.text(name).is_some() { self.flag(name) } else { default }
    }

    /// A number, if the parameter is there and not empty.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        let read = |text: &str| {
            text.parse()
                .map_err(|_| Failure::bad(format!("invalid value {text:?} of {name}: it takes a number")))
        };
        self.word(name).map(read).transpose()
    }

    /// A number, or 0 where there is none that can be read, which some parameters of Docker's mean.
    pub(crate) fn number_or_zero(&self, name: &str) -> i64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// What `filters` says.
    pub(crate) fn filters(&self) -> Result<Filters, Failure> {
        Ok(Filters::parse(self.text("filters").unwrap_or_default())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_docker_reads_them() {
        let query = Query::parse("all=1&all=0&size=False&x&name=a%20b%2Bc+d&t=30&none=none&signal=")
            .expect("a query");
        assert!(query.flag("all"));
        assert!(!query.flag("size"));
        assert!(!query.flag("x"));
        assert!(!query.flag("none"));
        assert!(!query.flag("missing"));
        assert!(query.flag_or("missing", true));
        assert!(!query.flag_or("x", true));
        assert_eq!(query.text("name"), Some("a b+c d"));
        assert_eq!(query.texts("all").collect::<Vec<_>>(), ["1", "0"]);
        assert_eq!(query.word("signal"), None);
        assert_eq!(query.number::<i32>("t").expect("a number"), Some(30));
        assert_eq!(query.number::<i32>("signal").expect("none"), None);
        assert!(query.number::<i32>("name").is_err());
        assert!(query.number::<u8>("t").is_ok());
        assert_eq!(query.number_or_zero("name"), 0);
    }

    #[test]
    fn what_is_no_query_is_refused_as_go_does() {
        let refused = |text| Query::parse(text).expect_err(text).message;
        assert_eq!(refused("a=%zz"), "invalid URL escape \"%zz\"");
        assert_eq!(refused("a=%2"), "invalid URL escape \"%2\"");
        assert_eq!(refused("a=1;b=2"), "invalid semicolon separator in query");
    }
}
