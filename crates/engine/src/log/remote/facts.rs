use std::collections::BTreeMap;

use crate::{
    container::Record,
    log::{Error, open, tag},
};

/// Digits of an ID that is shown short.
const SHORT: usize = 12;

/// What messages say of the container that they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::log) struct Facts {
    pub(super) id: String,
    /// Without a slash.
    pub(super) name: String,
    pub(super) image_id: String,
    pub(super) image: String,
    pub(super) command: String,
    pub(super) created: String,
    pub(super) tag: String,
    /// Of this machine.
    pub(super) host_name: String,
    /// Labels and variables that the options name.
    pub(super) attributes: BTreeMap<String, String>,
}

impl Facts {
    /// # Errors
    /// A tag or a pattern that means nothing.
    pub(in crate::log) fn of(record: &Record) -> Result<Self, Error> {
        let nothing = BTreeMap::new();
        let options = record.host.log_config.config.as_ref().unwrap_or(&nothing);
        let template = options.get("tag").filter(|tag| !tag.is_empty()).map_or("{{.ID}}", String::as_str);
        Ok(Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            image_id: record.image.id.to_string(),
            image: record.config.image.clone(),
            command: record.command().join(" "),
            created: record.created.to_string(),
            tag: tag::expand(template, record)?,
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            attributes: open::attributes(record, options)?,
        })
    }

    pub(super) fn short_id(&self) -> &str {
        self.id.get(..SHORT).unwrap_or(&self.id)
    }
}

#[cfg(test)]
impl Facts {
    pub(super) fn example() -> Self {
        Self {
            id: "0123456789abcdef0123".into(),
            name: "web".into(),
            image_id: "sha256:aa".into(),
            image: "busybox".into(),
            command: "sh -c x".into(),
            created: "2026-01-02T03:04:05Z".into(),
            tag: "0123456789ab".into(),
            host_name: "harbour".into(),
            attributes: BTreeMap::from([("tier".into(), "1".into())]),
        }
    }
}
