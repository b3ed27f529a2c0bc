//! The `tag` of log records: Go's templates, as far as tags need them.

use longshore_types::ContainerId;

use super::Error;
use crate::container::Record;

/// Digits of an ID that a tag shows.
const SHORT: usize = 12;

/// Fills `{{.Name}}` and the like in.
pub(super) fn expand(template: &str, record: &Record) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (action, after) = after.split_once("}}").ok_or_else(|| wrong(template, "unclosed action"))?;
        let field = action.trim_matches(['-', ' ']);
        out.push_str(&value(field, record).ok_or_else(|| wrong(template, &format!("no field {field}")))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(field: &str, record: &Record) -> Option<String> {
    let id = |id: &ContainerId| id.as_str().get(..SHORT).unwrap_or(id.as_str()).to_owned();
    let image = record.image.id.to_string();
    Some(match field {
        ".ID" => id(&record.id),
        ".FullID" => record.id.to_string(),
        ".Name" => record.name.clone(),
        ".ImageID" => {
            let hex = image.split_once(':').map_or(image.as_str(), |(_, hex)| hex);
            hex.get(..SHORT).unwrap_or(hex).to_owned()
        }
        ".ImageFullID" => image,
        ".ImageName" => record.config.image.clone(),
        ".DaemonName" => "docker".into(),
        ".Command" => record.command().join(" "),
        _ => return None,
    })
}

fn wrong(template: &str, what: &str) -> Error {
    Error::Value { reason: format!("template: log-tag: {what} in {template}") }
}
