//! Properties of the scope that annotations ask for: `org.systemd.property.<Name>`, as runc has them.
//!
//! The value is a GVariant's text (`true`, `uint64 5`, `'text'`, `['a', 'b']`). A name that ends in `Sec` takes seconds,
//! and systemd gets it as `…USec`. Only what is in [`ALLOWED`] is taken: an annotation that came from elsewhere must
//! neither move the scope nor widen what it may do.

use std::collections::BTreeMap;

use super::wire::Value;
use crate::cgroup::CgroupError;

const PREFIX: &str = "org.systemd.property.";

#[derive(Clone, Copy)]
enum Type {
    Bool,
    Signal,
    Number,
    Text,
    Texts,
}

/// What may be set: how the scope ends, what it waits for, and weights that systemd alone knows.
const ALLOWED: &[(&str, Type)] = &[
    ("After", Type::Texts),
    ("Before", Type::Texts),
    ("BindsTo", Type::Texts),
    ("CPUWeight", Type::Number),
    ("CollectMode", Type::Text),
    ("DefaultDependencies", Type::Bool),
    ("Description", Type::Text),
    ("IOWeight", Type::Number),
    ("KillMode", Type::Text),
    ("KillSignal", Type::Signal),
    ("ManagedOOMMemoryPressure", Type::Text),
    ("ManagedOOMSwap", Type::Text),
    ("PartOf", Type::Texts),
    ("RequiresMountsFor", Type::Texts),
    ("RuntimeMaxUSec", Type::Number),
    ("SendSIGHUP", Type::Bool),
    ("SendSIGKILL", Type::Bool),
    ("TimeoutStopUSec", Type::Number),
    ("Wants", Type::Texts),
];

/// Reads them out of a container's annotations.
pub(in crate::cgroup) fn properties(
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<(String, Value)>, CgroupError> {
    let ours = annotations.range(PREFIX.to_owned()..).take_while(|(key, _)| key.starts_with(PREFIX));
    ours.map(|(key, text)| {
        let field = || format!("annotations[{key:?}]");
        let asked = &key[PREFIX.len()..];
        let (name, seconds) = match asked.strip_suffix("Sec").filter(|rest| !rest.ends_with('U')) {
            Some(rest) => (format!("{rest}USec"), true),
            None => (asked.to_owned(), false),
        };
        let Some((_, kind)) = ALLOWED.iter().find(|(allowed, _)| *allowed == name) else {
            return Err(CgroupError::Unsupported {
                field: field(),
                reason: "no container may set this property of its scope",
            });
        };
        match value(text.trim(), *kind, seconds) {
            Some(value) => Ok((name, value)),
            None => Err(CgroupError::Value {
                field: field(),
                value: format!("{text:?}"),
                expected: match kind {
                    Type::Bool => "true or false",
                    Type::Signal | Type::Number => "a number",
                    Type::Text => "a text in quotes",
                    Type::Texts => "a list of texts in quotes",
                },
            }),
        }
    })
    .collect()
}

fn value(text: &str, kind: Type, seconds: bool) -> Option<Value> {
    match kind {
        Type::Bool => Some(Value::Bool(text.parse().ok()?)),
        Type::Signal => {
            let signal = number(text)?.parse().ok()?;
            (1..=64).contains(&signal).then_some(Value::Signal(signal))
        }
        Type::Number if seconds => {
            let seconds: f64 = number(text)?.parse().ok()?;
            if !(0.0..1e12).contains(&seconds) {
                return None;
            }
            Some(Value::Number(u64::try_from(std::time::Duration::from_secs_f64(seconds).as_micros()).ok()?))
        }
        Type::Number => Some(Value::Number(number(text)?.parse().ok()?)),
        Type::Text => match quoted(text)? {
            (text, "") => Some(Value::Text(text)),
            _ => None,
        },
        Type::Texts => {
            let mut rest = text.trim_start_matches("@as").trim().strip_prefix('[')?.trim_start();
            let mut texts = Vec::new();
            while !rest.starts_with(']') {
                let (text, after) = quoted(rest)?;
                texts.push(text);
                rest = after.trim_start();
                rest = rest.strip_prefix(',').or_else(|| rest.starts_with(']').then_some(rest))?.trim_start();
            }
            (rest == "]").then_some(Value::Texts(texts))
        }
    }
}

/// The digits of a number, without the name of its type.
fn number(text: &str) -> Option<&str> {
    let types = ["byte ", "int16 ", "uint16 ", "int32 ", "uint32 ", "int64 ", "uint64 ", "double "];
    let text = types.iter().find_map(|name| text.strip_prefix(name)).unwrap_or(text).trim();
    text.starts_with(|first: char| first.is_ascii_digit()).then_some(text)
}

/// A text in quotes at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let mut content = String::new();
    let mut rest = text[1..].char_indices();
    while let Some((at, next)) = rest.next() {
        match next {
            '\\' => content.push(rest.next()?.1),
            '\0' => return None,
            _ if next == quote => return Some((content, &text[at + 2..])),
            _ => content.push(next),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Value, properties};

    fn read(name: &str, text: &str) -> Result<Vec<(String, Value)>, String> {
        let key = format!("org.systemd.property.{name}");
        let others = [("org.systemd.propertx", "1"), ("a", "b")].map(|(key, text)| (key.into(), text.into()));
        let mut annotations = BTreeMap::from(others);
        annotations.insert(key, text.to_owned());
        properties(&annotations).map_err(|error| error.to_string())
    }

    #[test]
    fn values_of_all_types() {
        let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|&text| text.to_owned()).collect());
        for (name, text, property, value) in [
            ("CollectMode", "'inactive-or-failed'", "CollectMode", Value::Text("inactive-or-failed".into())),
            ("Description", r#""it's \"mine\"""#, "Description", Value::Text("it's \"mine\"".into())),
            ("SendSIGHUP", "true", "SendSIGHUP", Value::Bool(true)),
            ("KillSignal", "int32 15", "KillSignal", Value::Signal(15)),
            ("TimeoutStopUSec", "uint64 5000000", "TimeoutStopUSec", Value::Number(5_000_000)),
            ("TimeoutStopSec", "1.5", "TimeoutStopUSec", Value::Number(1_500_000)),
            ("RuntimeMaxSec", "uint64 2", "RuntimeMaxUSec", Value::Number(2_000_000)),
            ("After", "['a.service', 'b.service']", "After", texts(&["a.service", "b.service"])),
            ("Wants", "@as []", "Wants", texts(&[])),
        ] {
            assert_eq!(read(name, text), Ok(vec![(property.to_owned(), value)]), "{name} {text}");
        }
    }

    #[test]
    fn a1_31_what_moves_the_scope_or_widens_it_is_refused() {
        for name in
            ["Slice", "PIDs", "Delegate", "DeviceAllow", "DevicePolicy", "MemoryMax", "ExecStart", "", "Sec"]
        {
            let error = read(name, "'x'").unwrap_err();
            assert!(error.contains(&format!("org.systemd.property.{name}")), "{error}");
        }
        for (name, text) in [
            ("KillSignal", "0"),
            ("KillSignal", "99"),
            ("KillMode", "none"),
            ("KillMode", "'a' 'b'"),
            ("KillMode", "'a"),
            ("SendSIGKILL", "1"),
            ("TimeoutStopSec", "-1"),
            ("TimeoutStopSec", "1e300"),
            ("TimeoutStopUSec", "uint64 18446744073709551616"),
            ("After", "['a' 'b']"),
            ("After", "['a'"),
            ("After", "[]x"),
        ] {
            read(name, text).unwrap_err();
        }
    }
}
