//! Restart policies: whether a container that has ended starts again, and when.
//!
//! Docker's backoff: 100 ms, doubled each time up to a minute, and 100 ms again once it has run for ten seconds.

use std::{sync::PoisonError, time::Duration};

use super::{Container, Containers, Error, Phase, Record};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// A run of this length counts as a good one.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// What happens after a container's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Start(Duration),
    Remove,
}

/// What the record says is to happen now that the container ended with `code`.
pub(super) fn next(record: &Record, code: i32, delay: Duration) -> Next {
    let policy = &record.host.restart_policy;
    let state = &record.state;
    let tries = i64::from(state.restart_count);
    let left = policy.maximum_retry_count == 0 || tries < policy.maximum_retry_count;
    let again = match policy.name.as_str() {
        "always" | "unless-stopped" => true,
        "on-failure" => code != 0 && left,
        "on-unhealthy" => left,
        _ => false,
    };
    if again && !state.stopped_by_user && !state.removing {
        Next::Start(delay)
    } else if record.host.auto_remove && !state.removing {
        Next::Remove
    } else {
        Next::Nothing
    }
}

/// Whether a container that does not run was to be removed at its end, which has been.
pub(super) fn is_to_go(record: &Record) -> bool {
    record.host.auto_remove && record.state.phase == Phase::Exited && record.state.ends > 0
}

/// Whether a container that does not run starts with the daemon.
pub(super) fn at_boot(record: &Record) -> bool {
    let state = &record.state;
    // One that never ran is not started, as in Docker.
    let ran = state.started_at != longshore_types::Timestamp::NEVER;
    match record.host.restart_policy.name.as_str() {
        "always" => ran && state.phase == Phase::Exited,
        "unless-stopped" => ran && state.phase == Phase::Exited && !state.stopped_by_user,
        _ => false,
    }
}

impl Container {
    /// How long to wait before the next start, after a run of this length.
    pub(super) fn next_delay(&self, ran: Duration) -> Duration {
        let mut delay = self.0.delay.lock().unwrap_or_else(PoisonError::into_inner);
        *delay = following(*delay, ran);
        *delay
    }
}

fn following(last: Duration, ran: Duration) -> Duration {
    if last.is_zero() || ran >= GOOD_RUN { FIRST } else { (last * 2).min(LONGEST) }
}

impl Containers {
    /// Starts a container again after a while, unless something else happens to it before.
    pub(super) fn restart_after(&self, container: &Container, delay: Duration) {
        let (containers, container) = (self.clone(), container.clone());
        tokio::spawn(async move {
            let mut watch = container.watch();
            let round = container.record().state.ends;
            let is_due = |record: &Record| {
                record.state.phase == Phase::Restarting && record.state.ends == round && !record.state.removed
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                // Stopped, removed or started by somebody.
                _ = watch.wait_for(|record| !is_due(record)) => return,
            }
            let turn = container.lock().await;
            if !is_due(&container.record()) {
                return;
            }
            let started = match super::create::step("container.restart") {
                Ok(()) => containers.start_now(&container, false).await,
                Err(error) => Err(error),
            };
            drop(turn);
            match started {
                Ok(()) | Err(Error::NoSuchContainer { .. }) => {}
                Err(error) => {
                    tracing::warn!(id = %container.id(), error = error.line(), "cannot restart it");
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::following;

    #[test]
    fn waits_twice_as_long_each_time_until_a_good_run() {
        let mut delay = Duration::ZERO;
        let mut seen = Vec::new();
        for _ in 0..12 {
            delay = following(delay, Duration::from_secs(1));
            seen.push(delay.as_millis());
        }
        assert_eq!(seen, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
        assert_eq!(following(delay, Duration::from_secs(10)), Duration::from_millis(100));
    }
}
