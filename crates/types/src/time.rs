//! Times and durations as Docker's users and images write them.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(test)]
mod tests;

/// A moment: nanoseconds since 1970 in UTC. Written as RFC 3339; the zero is Docker's "never", in the year 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// What Docker writes where nothing has happened yet.
    pub const NEVER: Self = Self(0);

    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let (seconds, nanos) = now();
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos)))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// How long ago an earlier moment was; zero for a later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("0001-01-01T00:00:00Z");
        }
        let nanos = u32::try_from(self.0.rem_euclid(1_000_000_000)).unwrap_or(0);
        f.write_str(&rfc3339((self.seconds(), nanos)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with("0001-01-01") || text.is_empty() {
            return Ok(Self::NEVER);
        }
        let (seconds, nanos) = parse_rfc3339(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no RFC 3339 time")))?;
        Ok(Self(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos))))
    }
}

/// Now: seconds since 1970, and nanoseconds.
#[must_use]
pub fn now() -> (i64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

/// RFC 3339 in UTC, with nanoseconds as Go writes them: no zeros at their end.
#[must_use]
pub fn rfc3339((seconds, nanos): (i64, u32)) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos > 0 {
        let fraction = format!("{nanos:09}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// The Gregorian date of a day since 1970.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day since 1970 of a Gregorian date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Reads RFC 3339, whole (`2006-01-02T15:04:05.999999999Z07:00`).
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<(i64, u32)> {
    let (seconds, nanos, rest) = local(text)?;
    let offset = zone(rest)?;
    (text.len() > 10).then_some((seconds - offset, nanos))
}

/// What `until` and `since` may be: a duration before now, RFC 3339 or its beginnings (in UTC), or seconds since
/// 1970 with or without a fraction.
#[must_use]
pub fn parse_timestamp(text: &str, now: (i64, u32)) -> Option<(i64, u32)> {
    // A bare 0 is the beginning of 1970, as for Docker.
    if text != "0"
        && let Some(nanos) = parse_duration(text)
    {
        let now = i128::from(now.0) * 1_000_000_000 + i128::from(now.1) - i128::from(nanos);
        let seconds = i64::try_from(now.div_euclid(1_000_000_000)).ok()?;
        return Some((seconds, u32::try_from(now.rem_euclid(1_000_000_000)).ok()?));
    }
    if let Some((seconds, nanos, rest)) = local(text) {
        let offset = if rest.is_empty() { 0 } else { zone(rest)? };
        return Some((seconds - offset, nanos));
    }
    let (seconds, nanos) = text.split_once('.').unwrap_or((text, ""));
    if nanos.len() > 9 || !nanos.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((seconds.parse().ok()?, fraction(nanos)))
}

/// Digits behind a point, as nanoseconds.
fn fraction(digits: &str) -> u32 {
    let mut padded = digits.get(..digits.len().min(9)).unwrap_or_default().to_owned();
    while padded.len() < 9 {
        padded.push('0');
    }
    padded.parse().unwrap_or(0)
}

/// Date and time before the zone; what is missing of the time is 0. The rest is the zone.
fn local(text: &str) -> Option<(i64, u32, &str)> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, mut rest) = number(rest.strip_prefix('-')?, 2)?;
    if !(1..=12).contains(&month) || day < 1 || date(days(year, month, day)) != (year, month, day) {
        return None;
    }
    let mut seconds = days(year, month, day) * 86_400;
    let mut nanos = 0;
    if let Some(time) = rest.strip_prefix(['T', 't', ' ']) {
        let (hour, after) = number(time, 2)?;
        (seconds, rest) = (seconds + hour * 3600, after);
        let mut minute = 0;
        if let Some(after) = rest.strip_prefix(':') {
            (minute, rest) = number(after, 2)?;
        }
        let mut second = 0;
        if let Some(after) = rest.strip_prefix(':') {
            (second, rest) = number(after, 2)?;
        }
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        seconds += minute * 60 + second;
        if let Some(after) = rest.strip_prefix('.') {
            let length = after.bytes().take_while(u8::is_ascii_digit).count();
            if length == 0 {
                return None;
            }
            nanos = fraction(&after[..length]);
            rest = &after[length..];
        }
    }
    Some((seconds, nanos, rest))
}

/// `Z` or `+01:00`, in seconds.
fn zone(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = if text.starts_with('+') { 1 } else { -1 };
    let (hours, rest) = number(text.strip_prefix(['+', '-'])?, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?, 2)?;
    (rest.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Exactly so many digits, and what follows.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse().ok())?
        .map(|number| (number, rest))
}

/// A duration as Go writes it (`1h30m`, `-1.5s`, `100ms`, `0`), in nanoseconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (amount, after) = rest.split_at(length);
        let length = after.bytes().take_while(|byte| !byte.is_ascii_digit() && *byte != b'.').count();
        let (unit, after) = after.split_at(length);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
        if (whole.is_empty() && part.is_empty()) || whole.len() > 18 || part.contains('.') {
            return None;
        }
        total += unit
            * whole
                .parse::<i128>()
                .or_else(|error| if whole.is_empty() { Ok(0) } else { Err(error) })
                .ok()?;
        total += unit * i128::from(fraction(part)) / 1_000_000_000;
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}
