//! The command line, as what the file could have said.

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use serde_json::{Map, Value, json};

use super::{
    ConfigError,
    table::{DIRECTIVES, Directive, Shape},
};

/// The command with a flag for each directive.
pub(super) fn command() -> Command {
    let about = "A container engine that serves Docker's API";
    let mut command = Command::new("longshored").version(env!("CARGO_PKG_VERSION")).about(about);
    for directive in DIRECTIVES.iter().filter(|directive| !directive.flag.is_empty()) {
        let mut arg = Arg::new(directive.flag).long(directive.flag).help(directive.help);
        if let Some(letter) = directive.short {
            arg = arg.short(letter);
        }
        arg = match directive.shape {
            Shape::Flag => {
                let arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
                arg.action(ArgAction::Set).overrides_with(directive.flag)
            }
            // The last one counts, as for dockerd's flags.
            Shape::Text | Shape::Number => arg.action(ArgAction::Set).overrides_with(directive.flag),
            Shape::List | Shape::Pairs => arg.action(ArgAction::Append),
        };
        if matches!(directive.becomes, super::table::Becomes::Ignored(_)) {
            arg = arg.hide(true);
        }
        command = command.arg(arg.allow_hyphen_values(directive.shape != Shape::Flag));
    }
    command
}

/// What was given, by key; what has none, by flag.
pub(super) fn given(matches: &ArgMatches) -> Result<Map<String, Value>, ConfigError> {
    let mut given = Map::new();
    for directive in DIRECTIVES.iter().filter(|directive| !directive.flag.is_empty()) {
        if matches.value_source(directive.flag) != Some(ValueSource::CommandLine) {
            continue;
        }
        let texts: Vec<&str> =
            matches.get_many::<String>(directive.flag).into_iter().flatten().map(String::as_str).collect();
        let key = if directive.key.is_empty() { directive.flag } else { directive.key };
        given.insert(key.into(), value(directive, &texts)?);
    }
    Ok(given)
}

fn value(directive: &Directive, texts: &[&str]) -> Result<Value, ConfigError> {
    let last = texts.last().copied().unwrap_or_default();
    let invalid = |text: &str| ConfigError::Flag { flag: directive.flag, value: text.into() };
    match directive.shape {
        Shape::Flag => flag(last).map(Value::Bool).ok_or_else(|| invalid(last)),
        Shape::Text => Ok(last.into()),
        Shape::Number => Ok(last.parse::<i64>().map_err(|_| invalid(last))?.into()),
        Shape::List if directive.key == "default-address-pools" => {
            texts.iter().map(|text| pool(text).ok_or_else(|| invalid(text))).collect()
        }
        Shape::List => Ok(texts.iter().copied().map(Value::from).collect()),
        Shape::Pairs => {
            let pair = |text: &&str| {
                // A feature that is named is on.
                let alone = (directive.key == "features").then_some((*text, "true"));
                let (name, value) = text.split_once('=').or(alone).ok_or_else(|| invalid(text))?;
                let value = match directive.key {
                    "runtimes" => json!({ "path": value }),
                    "features" => flag(value).map(Value::Bool).ok_or_else(|| invalid(text))?,
                    "default-ulimits" => ulimit(name, value).ok_or_else(|| invalid(text))?,
                    _ => value.into(),
                };
                Ok((name.to_owned(), value))
            };
            Ok(Value::Object(texts.iter().map(pair).collect::<Result<_, ConfigError>>()?))
        }
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `base=10.0.0.0/8,size=24`.
fn pool(text: &str) -> Option<Value> {
    let mut fields = Map::new();
    for field in text.split(',') {
        let (name, value) = field.split_once('=')?;
        let value = match name {
            "base" => Value::from(value),
            "size" => value.parse::<u8>().ok()?.into(),
            _ => return None,
        };
        fields.insert(name.into(), value);
    }
    Some(Value::Object(fields))
}

/// `soft[:hard]`.
fn ulimit(name: &str, text: &str) -> Option<Value> {
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let (soft, hard): (i64, i64) = (soft.parse().ok()?, hard.parse().ok()?);
    Some(json!({ "Name": name, "Soft": soft, "Hard": hard }))
}
