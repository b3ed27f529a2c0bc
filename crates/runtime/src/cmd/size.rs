//! The two kinds of quantity that flags take: sizes as `docker` writes them, and Go's durations.

use std::time::Duration;

/// Reads a size in bytes: `1.5g`, `512MB`, `10KiB`, `4096`; a letter means a power of 1024. −1 is
/// "unlimited".
pub(super) fn parse_size(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(format!("unknown unit {unit:?}")),
    };
    let bad = || format!("no size: {number:?}");
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(1 << shift).ok_or_else(bad);
    }
    let bytes =
        number.parse::<f64>().map_err(|_| bad())? * f64::from(1 << (shift / 2)) * f64::from(1 << (shift / 2));
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range; a part of a byte is none")]
    if bytes.is_finite() && bytes < 9e18 { Ok(bytes as i64) } else { Err(bad()) }
}

/// Reads a Go duration: `5s`, `1m30s`, `1.5h`, `200ms`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("no duration: {text:?}");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(bad()),
        };
        let value: f64 = number.parse().map_err(|_| bad())?;
        let part = Duration::try_from_secs_f64(value * seconds).map_err(|_| bad())?;
        total = total.checked_add(part).ok_or_else(bad)?;
        rest = after;
    }
    if text.is_empty() || total.is_zero() { Err(bad()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse_duration, parse_size};

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("-1", -1),
            ("4096", 4096),
            ("1k", 1024),
            ("1kB", 1024),
            ("1KiB", 1024),
            ("10 M", 10 << 20),
            ("1.5g", 3 << 29),
            ("0.5p", 1 << 49),
            ("2T", 2 << 40),
            ("9223372036854771712", 9_223_372_036_854_771_712),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "-2", "1x", "1kk", "1..2", "9999999999999999999", "9999999p", "."] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in
            [("5s", 5000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("200ms", 200), ("2000us", 2)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "5x", "-5s", "0s", "1.2.3s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
