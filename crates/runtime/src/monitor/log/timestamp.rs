use std::io::Write;

use rustix::time::{ClockId, clock_gettime};

/// The wall clock, in nanoseconds since the epoch.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + nanoseconds
}

/// Appends `time` as Go's `time.RFC3339Nano` prints it in UTC: no trailing zeros in the fraction.
pub(super) fn write_rfc3339(time: u64, out: &mut Vec<u8>) {
    let (seconds, mut fraction) = (time / 1_000_000_000, time % 1_000_000_000);
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    // Writing to a vector cannot fail.
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").ok();
    if fraction != 0 {
        let mut width = 9;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        write!(out, ".{fraction:0width$}").ok();
    }
    out.push(b'Z');
}

/// The date `days` after 1970-01-01 in the Gregorian calendar. Counts from 0000-03-01, so that
/// a leap day is the last of its year.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::write_rfc3339;

    #[test]
    fn prints_as_go_does() {
        for (time, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
            (951_868_799_100_000_000, "2000-02-29T23:59:59.1Z"),
            (1_703_980_799_123_456_000, "2023-12-30T23:59:59.123456Z"),
            (1_735_689_600_000_000_010, "2025-01-01T00:00:00.00000001Z"),
            (4_107_542_400_999_999_999, "2100-03-01T00:00:00.999999999Z"),
        ] {
            let mut out = Vec::new();
            write_rfc3339(time, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
