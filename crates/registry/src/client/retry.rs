//! How often to try again, and how long to wait before.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

use super::repository::{Observer, Retry};
use crate::{Error, config::Patience};

/// Seconds or a date (RFC 9110, section 10.2.3); nothing for anything else.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The wait after the `failures`th failure in a row: doubling, with a quarter of jitter, and not less than the
/// server asks for.
pub(crate) fn wait(patience: &Patience, failures: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled =
        patience.first_wait.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let jittered = doubled.min(patience.longest_wait).mul_f64(0.75 + 0.5 * random.clamp(0.0, 1.0));
    jittered.max(asked.unwrap_or_default()).min(patience.longest_wait)
}

/// What is known of one thing that is tried several times.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    patience: &'a Patience,
    observer: &'a Observer,
    failures: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) const fn new(patience: &'a Patience, observer: &'a Observer) -> Self {
        Self { patience, observer, failures: 0 }
    }

    /// Waits after a failure that may pass, or gives the error back: for good.
    pub(crate) async fn failed(&mut self, error: Error) -> Result<(), Error> {
        self.failures += 1;
        if !error.is_transient() {
            return Err(error);
        }
        after_failure(self.patience, self.observer, self.failures, error).await
    }
}

/// Waits after the `failures`th failure, or fails when that was the last, or the wait would be too long.
pub(crate) async fn after_failure(
    patience: &Patience,
    observer: &Observer,
    failures: u32,
    error: Error,
) -> Result<(), Error> {
    if failures >= patience.attempts {
        return Err(if failures > 1 {
            Error::GaveUp { attempts: failures, last: Box::new(error) }
        } else {
            error
        });
    }
    if error.retry_after().is_some_and(|asked| asked > patience.longest_wait) {
        return Err(error);
    }
    let wait = wait(patience, failures, error.retry_after(), fastrand::f64());
    tracing::debug!(failures, wait = ?wait, error = %error, "trying again");
    observer.retrying(&Retry { failures, wait, error });
    tokio::time::sleep(wait).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};

    use super::{retry_after, wait};
    use crate::config::Patience;

    #[test]
    fn c5_67_retry_after_in_all_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (value, expected) in [
            ("0", Some(0)),
            ("86400", Some(86400)),
            (" 7 ", Some(7)),
            ("Tue, 14 Nov 2023 22:13:30 GMT", Some(10)),
            ("Tue, 14 Nov 2000 22:13:30 GMT", Some(0)),
            ("-1", None),
            ("1e9", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn waits_double_and_end() {
        let patience = Patience::default();
        let plain = |failures| wait(&patience, failures, None, 0.5);
        assert_eq!([1, 2, 3, 4].map(plain), [1, 2, 4, 8].map(Duration::from_secs));
        assert_eq!(plain(100), Duration::from_mins(1));
        assert_eq!(wait(&patience, 1, None, 0.0), Duration::from_millis(750));
        assert_eq!(wait(&patience, 1, None, 1.0), Duration::from_millis(1250));
        assert_eq!(wait(&patience, 1, Some(Duration::from_secs(30)), 0.5), Duration::from_secs(30));
        assert_eq!(wait(&patience, 1, Some(Duration::from_hours(24)), 0.5), Duration::from_mins(1));
        assert_eq!(wait(&patience, 5, Some(Duration::ZERO), 0.5), Duration::from_secs(16));
    }
}
