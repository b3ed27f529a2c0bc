//! Lines of a transfer's progress, as pull, push, load and import send them.

use longshore_types::{ProgressEvent, Status};
use serde::Serialize;

/// The characters of a bar.
const WIDTH: u64 = 50;

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Message {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stream: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// The bar, for clients that do not draw their own.
    #[serde(rename = "progress", skip_serializing_if = "String::is_empty")]
    pub bar: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ErrorDetail>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<Aux>,
}

/// How far something is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Detail {
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
}

/// Why a transfer ended early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorDetail {
    pub message: String,
}

/// What a push made of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Aux {
    pub tag: String,
    pub digest: String,
    pub size: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Message {
    /// A status that is about the whole.
    #[must_use]
    pub fn status(text: impl Into<String>) -> Self {
        Self { status: text.into(), ..Self::default() }
    }

    /// Text for a terminal.
    #[must_use]
    pub fn stream(text: impl Into<String>) -> Self {
        Self { stream: text.into(), ..Self::default() }
    }

    /// The end of a transfer that failed after it had begun.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { error: message.clone(), error_detail: Some(ErrorDetail { message }), ..Self::default() }
    }

    /// The line, or the lines, of an event.
    #[must_use]
    pub fn of(event: &ProgressEvent) -> Vec<Self> {
        let text = match &event.status {
            Status::Loaded { image } if image.starts_with("sha256:") => {
                return vec![Self::stream(format!("Loaded image ID: {image}\n"))];
            }
            status @ Status::Loaded { .. } => return vec![Self::stream(format!("{status}\n"))],
            status => status.to_string(),
        };
        let mut message = Self { status: text, id: event.id.clone(), ..Self::default() };
        if let Some((current, total)) = event.status.amounts() {
            message.detail = Some(Detail { current, total });
            message.bar = bar(current, total);
        } else if !event.id.is_empty() && !matches!(event.status, Status::PullingFrom { .. }) {
            message.detail = Some(Detail::default());
        }
        let mut messages = vec![message];
        if let Status::PushedAs { tag, digest, size } = &event.status {
            let aux = Aux { tag: tag.clone(), digest: digest.clone(), size: *size };
            messages.push(Self { detail: Some(Detail::default()), aux: Some(aux), ..Self::default() });
        }
        messages
    }
}

/// A bar and its numbers, as Docker draws them.
fn bar(current: u64, total: u64) -> String {
    let amount = size(current);
    if total == 0 {
        return if current == 0 { String::new() } else { format!("{amount:>8}") };
    }
    let done = (current.saturating_mul(WIDTH) / total).min(WIDTH);
    let (filled, empty) = ("=", " ");
    let filled = (0..done).map(|_| filled).collect::<String>();
    let empty = (done..WIDTH).map(|_| empty).collect::<String>();
    let numbers =
        if current > total { format!("{amount:>8}") } else { format!("{amount:>8}/{}", size(total)) };
    format!("[{filled}>{empty}] {numbers}")
}

/// Bytes as Docker writes them: four digits, powers of a thousand.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut unit, mut scale) = (0, 1_u64);
    while bytes / scale >= 1000 && unit + 1 < UNITS.len() {
        scale *= 1000;
        unit += 1;
    }
    let whole = bytes / scale;
    let digits = match whole {
        0..=9 => 3,
        10..=99 => 2,
        _ => 1,
    };
    let power = 10_u128.pow(digits);
    // Rounded to so many digits behind the point, of which zeros at the end are not shown.
    let rounded = (u128::from(bytes) * power + u128::from(scale) / 2) / u128::from(scale);
    let (whole, rest) = (rounded / power, rounded % power);
    let mut text = whole.to_string();
    if rest > 0 && unit > 0 {
        let width = digits as usize;
        let fraction = format!("{rest:0width$}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push_str(UNITS[unit]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_dockers() {
        for (bytes, text) in [
            (0, "0B"),
            (14, "14B"),
            (999, "999B"),
            (36_445, "36.45kB"),
            (32_768, "32.77kB"),
            (1_064_659, "1.065MB"),
            (1_996_800, "1.997MB"),
            (1_000_000, "1MB"),
            (123_456_789_012, "123.5GB"),
            (u64::MAX, "18.45EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn lines_are_dockers() {
        let json = |event: ProgressEvent| {
            Message::of(&event).iter().map(|line| serde_json::to_string(line).unwrap()).collect::<Vec<_>>()
        };
        let status = Status::Downloading { current: 36_445, total: 1_064_659 };
        let bar = format!("[=>{}]  36.45kB/1.065MB", " ".repeat(49));
        let line = format!(
            r#"{{"status":"Downloading","progressDetail":{{"current":36445,"total":1064659}},"progress":"{bar}","id":"c8"}}"#
        );
        assert_eq!(json(ProgressEvent::new("c8", status)), [line]);
        assert_eq!(
            json(ProgressEvent::new("c8", Status::PullComplete)),
            [r#"{"status":"Pull complete","progressDetail":{},"id":"c8"}"#]
        );
        let status = Status::PullingFrom { repository: "lib/app".into() };
        assert_eq!(json(ProgressEvent::new("1", status)), [r#"{"status":"Pulling from lib/app","id":"1"}"#]);
        let status = Status::PushedAs { tag: "1".into(), digest: "sha256:2b".into(), size: 527 };
        assert_eq!(
            json(ProgressEvent::of_all(status)),
            [
                r#"{"status":"1: digest: sha256:2b size: 527"}"#,
                r#"{"progressDetail":{},"aux":{"Tag":"1","Digest":"sha256:2b","Size":527}}"#
            ]
        );
        let status = Status::Loaded { image: "app:1".into() };
        assert_eq!(json(ProgressEvent::of_all(status)), [r#"{"stream":"Loaded image: app:1\n"}"#]);
        assert_eq!(
            serde_json::to_string(&Message::error("no")).unwrap(),
            r#"{"errorDetail":{"message":"no"},"error":"no"}"#
        );
    }
}
