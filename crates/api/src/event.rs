//! Events on the wire.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Version;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The words of before API 1.22, gone from 1.52.
    #[serde(flatten)]
    pub legacy: Option<Legacy>,
    #[serde(rename = "Type")]
    pub object: &'static str,
    #[serde(rename = "Action")]
    pub action: String,
    #[serde(rename = "Actor")]
    pub actor: Actor,
    pub scope: &'static str,
    /// Seconds since 1970.
    pub time: i64,
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// What something happened to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Actor {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

/// What clients of before API 1.22 look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Legacy {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
}

impl Message {
    /// The event as a version has it; nothing if the version does not know of it.
    #[must_use]
    pub fn at(mut self, version: Version) -> Option<Self> {
        if version < Version(46) && (self.object, self.action.as_str()) == ("image", "create") {
            return None;
        }
        if version < Version(52) {
            self.legacy = match self.object {
                "container" => {
                    let from = self.actor.attributes.get("image").cloned().unwrap_or_default();
                    Some(Legacy { status: self.action.clone(), id: self.actor.id.clone(), from })
                }
                "image" => Some(Legacy {
                    status: self.action.clone(),
                    id: self.actor.id.clone(),
                    from: String::new(),
                }),
                _ => None,
            };
        }
        Some(self)
    }
}

/// The forms in which a stream of documents is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One document a line, under the name of before API 1.52.
    Json,
    JsonLines,
    NdJson,
    /// RFC 7464: a record separator before each.
    JsonSequence,
}

impl Form {
    /// What a client accepts, by its header; else what its version takes for granted.
    #[must_use]
    pub fn negotiate(accept: &str, version: Version) -> Self {
        for one in accept.split(',') {
            match one.split(';').next().unwrap_or_default().trim() {
                "application/jsonl" => return Self::JsonLines,
                "application/x-ndjson" => return Self::NdJson,
                "application/json-seq" => return Self::JsonSequence,
                _ => {}
            }
        }
        if version < Version(52) { Self::Json } else { Self::JsonLines }
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/jsonl",
            Self::NdJson => "application/x-ndjson",
            Self::JsonSequence => "application/json-seq",
        }
    }

    /// What comes before each document.
    #[must_use]
    pub fn prefix(self) -> &'static [u8] {
        if self == Self::JsonSequence { b"\x1e" } else { b"" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_have_the_old_words() {
        let message = || Message {
            legacy: None,
            object: "container",
            action: "start".into(),
            actor: Actor { id: "c1".into(), attributes: [("image".into(), "busybox".into())].into() },
            scope: "local",
            time: 1,
            time_nano: 1_000_000_002,
        };
        let text = |version| serde_json::to_string(&message().at(Version(version)).unwrap()).unwrap();
        let new = r#"{"Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{"image":"busybox"}},"scope":"local","time":1,"timeNano":1000000002}"#;
        assert_eq!(text(52), new);
        let old = format!(r#"{{"status":"start","id":"c1","from":"busybox",{}"#, &new[1..]);
        assert_eq!(text(51), old);
        let create = Message { object: "image", action: "create".into(), ..message() };
        assert_eq!(create.clone().at(Version(45)), None);
        assert!(create.at(Version(46)).is_some());
    }

    #[test]
    fn the_form_is_what_the_client_takes() {
        for (accept, version, form) in [
            ("", 51, Form::Json),
            ("", 52, Form::JsonLines),
            ("*/*", 52, Form::JsonLines),
            ("text/plain, application/x-ndjson;q=0.5", 41, Form::NdJson),
            ("application/json-seq", 55, Form::JsonSequence),
        ] {
            assert_eq!(Form::negotiate(accept, Version(version)), form, "{accept} {version}");
        }
    }
}
