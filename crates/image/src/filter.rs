//! Filters of `list` and `prune`: their wire form, their words and what they match.

mod glob;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use longshore_types::{
    Kind, Reference,
    filter::has_label,
    time::{self, parse_timestamp},
};
use serde_json::Value;

pub(crate) use glob::matches;

/// The longest filter that is read, in bytes.
const LIMIT: usize = 1 << 20;

/// Filters by name, each with its values, as a client sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

/// Why a filter is not taken. The words are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("Invalid filter '{name}'")]
    Name { name: String },
    #[error("Invalid filter '{name}=[{}]'", values.join(" "))]
    Value { name: String, values: Vec<String> },
    #[error("failed to parse value as time or duration: {text:?}")]
    Time { text: String },
    #[error("more than one {name} filter specified")]
    Several { name: &'static str },
    #[error("syntax error in pattern")]
    Pattern,
    #[error("invalid filters: {message}")]
    Json { message: String },
}

impl FilterError {
    /// What it means to whoever asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}

impl Filters {
    /// Reads `{"dangling":["true"]}` or the old `{"dangling":{"true":true}}`; nothing is no filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > LIMIT {
            return Err(FilterError::Json { message: format!("{} bytes are more than {LIMIT}", text.len()) });
        }
        let wrong = |message: &str| FilterError::Json { message: message.to_owned() };
        let value: Value = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
        let Value::Object(map) = value else { return Err(wrong("not a JSON object")) };
        let mut filters = Self::default();
        for (name, values) in map {
            match values {
                Value::Array(values) => {
                    for value in values {
                        let Value::String(value) = value else {
                            return Err(wrong("a value is not a string"));
                        };
                        filters.add(&name, value);
                    }
                }
                Value::Object(values) => {
                    for (value, on) in values {
                        if on.as_bool().ok_or_else(|| wrong("a value is not true or false"))? {
                            filters.add(&name, value);
                        }
                    }
                }
                _ => return Err(wrong("the values of a filter are not a list")),
            }
        }
        Ok(filters)
    }

    /// Adds a value to a filter.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        let (values, value) = (self.0.entry(name.to_owned()).or_default(), value.into());
        if !values.contains(&value) {
            values.push(value);
        }
    }

    /// The names of the filters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The values of a filter.
    #[must_use]
    pub fn get(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Fails on a filter that is not among `known`.
    pub(crate) fn check(&self, known: &[&str]) -> Result<(), FilterError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(FilterError::Name { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// A filter that is true or false. Both at once is true, as for Docker.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, FilterError> {
        let values = self.get(name);
        let mut found = None;
        for value in values {
            match value.as_str() {
                "true" => found = Some(true),
                "false" => found = found.or(Some(false)),
                _ => {
                    let (name, values) = (name.to_owned(), values.to_vec());
                    return Err(FilterError::Value { name, values });
                }
            }
        }
        Ok(found)
    }

    /// The one time of a filter.
    pub(crate) fn time(&self, name: &'static str) -> Result<Option<(i64, u32)>, FilterError> {
        if self.get(name).len() > 1 {
            return Err(FilterError::Several { name });
        }
        Ok(self.times(name)?.first().copied())
    }

    /// All times of a filter.
    pub(crate) fn times(&self, name: &str) -> Result<Vec<(i64, u32)>, FilterError> {
        let now = time::now();
        let read = |text: &String| {
            parse_timestamp(text, now).ok_or_else(|| FilterError::Time { text: text.clone() })
        };
        self.get(name).iter().map(read).collect()
    }

    /// Whether labels have what all `label` filters want and nothing that a `label!` names.
    pub(crate) fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| has_label(labels, wanted);
        self.get("label").iter().all(has) && !self.get("label!").iter().any(has)
    }
}

/// Whether a pattern of `reference` matches: the familiar or the whole name, with its tag or without.
pub(crate) fn reference_matches(pattern: &str, name: &Reference) -> Result<bool, FilterError> {
    let forms = [name.familiar(), name.familiar_repository(), name.to_string(), name.repository()];
    forms.iter().try_fold(false, |found, form| Ok(found || matches(pattern, form)?))
}
