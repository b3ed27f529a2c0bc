//! Values of a driver's options, read as Docker reads them.

use std::{collections::BTreeMap, time::Duration};

use crate::log::Error;

/// All options of a container's driver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a>(pub(super) &'a BTreeMap<String, String>);

/// A value that means nothing, in Docker's words.
pub(super) fn bad(reason: impl Into<String>) -> Error {
    Error::BadOption { reason: reason.into() }
}

impl<'a> Options<'a> {
    /// What was said; `None` where nothing was.
    pub(super) fn get(self, option: &str) -> Option<&'a str> {
        self.0.get(option).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether an option is there, whatever its value.
    pub(super) fn has(self, option: &str) -> bool {
        self.0.contains_key(option)
    }

    pub(super) fn flag(self, option: &str) -> Result<bool, Error> {
        let Some(value) = self.get(option) else { return Ok(false) };
        crate::log::open::go_bool(value)
            .ok_or_else(|| bad(format!("strconv.ParseBool: parsing \"{value}\": invalid syntax")))
    }

    /// A number from 0 on.
    pub(super) fn number(self, option: &str) -> Result<Option<u32>, Error> {
        let wrong = |_| bad(format!("{option:?} must be a positive integer"));
        self.get(option).map(|value| value.parse().map_err(wrong)).transpose()
    }

    /// A duration of Go's: `1s`, `500ms`, `1h2m`.
    pub(super) fn duration(self, option: &str) -> Result<Option<Duration>, Error> {
        let read = |value: &str| {
            let invalid = || {
                bad(format!(
                    "invalid value for {option}: value must be a duration: time: invalid duration {value:?}"
                ))
            };
            if value.starts_with('-') {
                let negative = "value must be a duration that is non-negative";
                return Err(bad(format!("invalid value for {option}: {negative}")));
            }
            duration(value).ok_or_else(invalid)
        };
        self.get(option).map(read).transpose()
    }
}

/// Numbers with units, each possibly with a fraction; `0` needs none.
fn duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0.0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters =
            after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let factor = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Duration, duration};

    #[test]
    fn durations_are_go_s() {
        for (text, millis) in [("0", 0), ("1s", 1000), ("1.5s", 1500), ("500ms", 500), ("1h2m3s", 3_723_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "1", "s", "1x", "-1s", "1s2", ".s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
