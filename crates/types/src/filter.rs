//! Docker's filters: keys with any number of values, as lists and prunes take them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::Kind;

/// What a list is narrowed down to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

/// Why filters are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("invalid filter")]
    Form,
    #[error("invalid filter '{key}'")]
    Key { key: String },
    #[error("invalid filter '{key}=[{}]'", values.join(" "))]
    Value { key: String, values: Vec<String> },
}

impl FilterError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}

/// Both forms of a key's values: the one of today and the one of before API 1.22.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Set(BTreeMap<String, bool>),
    List(Vec<String>),
}

impl Filters {
    /// Reads `{"key":{"value":true}}` and `{"key":["value"]}`. Nothing at all is no filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let map: Option<BTreeMap<String, Option<Values>>> =
            serde_json::from_str(text).map_err(|_| FilterError::Form)?;
        let read = |values| match values {
            Some(Values::Set(set)) => set.into_iter().filter(|(_, on)| *on).map(|(value, _)| value).collect(),
            Some(Values::List(list)) => list.into_iter().collect(),
            None => BTreeSet::new(),
        };
        Ok(Self(map.unwrap_or_default().into_iter().map(|(key, values)| (key, read(values))).collect()))
    }

    /// Adds a value.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.entry(key.into()).or_default().insert(value.into());
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key is there, with values or without.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The values of a key, in order.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> + use<'_> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Refuses keys that are not `accepted`.
    pub fn check(&self, accepted: &[&str]) -> Result<(), FilterError> {
        match self.0.keys().find(|key| !accepted.contains(&key.as_str())) {
            Some(key) => Err(FilterError::Key { key: key.clone() }),
            None => Ok(()),
        }
    }

    /// A key that says yes or no; `default` without it.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, FilterError> {
        let Some(values) = self.0.get(key) else { return Ok(default) };
        let says = |words: [&str; 2]| words.iter().any(|word| values.contains(*word));
        match (says(["1", "true"]), says(["0", "false"])) {
            (true, false) => Ok(true),
            (false, true) => Ok(false),
            _ => {
                let values = values.iter().cloned().collect();
                Err(FilterError::Value { key: key.into(), values })
            }
        }
    }

    /// Whether `value` is among the values of a key; so is everything when the key is not asked for.
    #[must_use]
    pub fn exactly(&self, key: &str, value: &str) -> bool {
        self.0.get(key).is_none_or(|values| values.is_empty() || values.contains(value))
    }

    /// Whether all of a key's values, `name` or `name=value`, are among `labels`.
    #[must_use]
    pub fn labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.values(key).all(|wanted| has_label(labels, wanted))
    }

    /// Whether a prune by `label` and `label!` takes what has these labels: all that `label` wants, and not all that
    /// `label!` names.
    #[must_use]
    pub fn prunes(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels("label", labels) && (!self.has("label!") || !self.labels("label!", labels))
    }
}

/// Whether `wanted`, `name` or `name=value`, is among `labels`.
#[must_use]
pub fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for text in [r#"{"label":{"a":true,"b=c":true,"off":false}}"#, r#"{"label":["a","b=c"]}"#] {
            let filters = Filters::parse(text).expect("filters");
            assert_eq!(filters.values("label").collect::<Vec<_>>(), ["a", "b=c"], "{text}");
        }
        for text in ["", "{}", "null"] {
            assert!(Filters::parse(text).expect("filters").is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_in_dockers_words() {
        for text in ["x", "[]", "1", r#"{"a":1}"#, r#"{"a":{"b":1}}"#, r#"{"a":[1]}"#, "{\"a\":"] {
            assert_eq!(Filters::parse(text).expect_err(text).to_string(), "invalid filter");
        }
        let filters = Filters::parse(r#"{"dangling":["maybe","1"],"x":[]}"#).expect("filters");
        assert_eq!(filters.check(&["dangling"]).expect_err("x").to_string(), "invalid filter 'x'");
        assert_eq!(filters.flag("dangling", false), Ok(true));
        let filters = Filters::parse(r#"{"dangling":["maybe","b"]}"#).expect("filters");
        let error = filters.flag("dangling", false).expect_err("no word");
        assert_eq!(error.to_string(), "invalid filter 'dangling=[b maybe]'");
    }

    #[test]
    fn labels_match_by_name_or_with_their_value() {
        let labels = BTreeMap::from([("a".into(), "1".into()), ("b".into(), String::new())]);
        let matches = |text: &str| Filters::parse(text).expect("filters").labels("label", &labels);
        assert!(matches("{}"));
        assert!(matches(r#"{"label":["a"]}"#));
        assert!(matches(r#"{"label":["a=1","b"]}"#));
        assert!(!matches(r#"{"label":["a=2"]}"#));
        assert!(!matches(r#"{"label":["a","c"]}"#));
    }
}
