//! `HEALTHCHECK [--flag=value …] CMD … | NONE`.

use longshore_types::oci::Healthcheck;

use super::{Problem, json_words};
use longshore_types::time::parse_duration;

pub(super) fn parse(text: &str) -> Result<Healthcheck, Problem> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        set(&mut check, flag)?;
        rest = after.trim_start();
    }
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    check.test = match kind.to_ascii_uppercase().as_str() {
        "NONE" if rest.is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err(Problem::Arguments { command: "HEALTHCHECK NONE", wanted: "no arguments" }),
        "CMD" if rest.is_empty() => {
            return Err(Problem::Arguments { command: "HEALTHCHECK CMD", wanted: "a command" });
        }
        "CMD" => match json_words(rest) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), rest.to_owned()],
        },
        _ => return Err(Problem::Healthcheck { text: kind.to_owned() }),
    };
    Ok(check)
}

fn set(check: &mut Healthcheck, flag: &str) -> Result<(), Problem> {
    let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
    let wrong = |wanted| Problem::Flag { flag: name.to_owned(), value: value.to_owned(), wanted };
    let duration = || {
        let nanos = parse_duration(value).ok_or_else(|| wrong("a duration such as 30s"))?;
        // As Docker: 0 is the default, what is shorter than a millisecond is a mistake.
        if nanos != 0 && nanos < 1_000_000 {
            return Err(wrong("at least 1ms"));
        }
        Ok(nanos)
    };
    match name {
        "interval" => check.interval = duration()?,
        "timeout" => check.timeout = duration()?,
        "start-period" => check.start_period = duration()?,
        "start-interval" => check.start_interval = duration()?,
        "retries" => {
            let retries = value.parse::<u32>().map_err(|_| wrong("a whole number, not negative"))?;
            check.retries = retries.into();
        }
        _ => return Err(Problem::UnknownFlag { flag: name.to_owned() }),
    }
    Ok(())
}
