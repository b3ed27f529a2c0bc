//! What is checked how often, and what results mean: pure.

use std::time::Duration;

use longshore_types::Timestamp;

use super::{Config, Health, HealthStatus, KEPT, Probe};

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: i64 = 3;

/// How a container is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(super) command: Vec<String>,
    pub(super) timeout: Duration,
    interval: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: i64,
}

impl Plan {
    /// The checks of a container; `None` when it has none.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let health = config.healthcheck.as_ref()?;
        let (kind, rest) = health.test.as_ref()?.split_first()?;
        let command = match kind.as_str() {
            "CMD" => rest.to_vec(),
            "CMD-SHELL" => {
                let shell = config.shell.clone().filter(|shell| !shell.is_empty());
                let shell = shell.unwrap_or_else(|| ["/bin/sh", "-c"].map(Into::into).to_vec());
                shell.into_iter().chain(rest.iter().cloned()).collect()
            }
            _ => return None,
        };
        let or = |nanos: i64, default: Duration| match u64::try_from(nanos) {
            Ok(nanos @ 1..) => Duration::from_nanos(nanos),
            _ => default,
        };
        Some(Self {
            command,
            timeout: or(health.timeout, TIMEOUT),
            interval: or(health.interval, INTERVAL),
            start_period: or(health.start_period, Duration::ZERO),
            start_interval: or(health.start_interval, START_INTERVAL),
            retries: if health.retries > 0 { health.retries } else { RETRIES },
        })
    }

    /// The time until the next check, of a container that has run for so long.
    pub(super) fn interval(&self, status: HealthStatus, ran: Duration) -> Duration {
        let starts = status == HealthStatus::Starting && ran < self.start_period;
        if starts { self.start_interval } else { self.interval }
    }

    /// Takes a result into account.
    pub(super) fn judge(&self, health: &mut Health, probe: Probe, started: Timestamp) {
        if probe.exit_code == 0 {
            health.failing_streak = 0;
            health.status = HealthStatus::Healthy;
        } else {
            let starts = health.status == HealthStatus::Starting;
            // What fails while it starts does not count.
            if !starts || probe.start.since(started) >= self.start_period {
                health.failing_streak += 1;
                if health.failing_streak >= self.retries {
                    health.status = HealthStatus::Unhealthy;
                }
            }
        }
        let surplus = (health.log.len() + 1).saturating_sub(KEPT);
        health.log.drain(..surplus);
        health.log.push(probe);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_types::{
        Timestamp,
        container::{Config, HealthConfig},
    };

    use super::{Health, HealthStatus, Plan, Probe};

    fn config(test: &[&str]) -> Config {
        let test = test.iter().map(|word| (*word).to_owned()).collect();
        let healthcheck = HealthConfig {
            test: Some(test),
            start_period: 10_000_000_000,
            start_interval: 1_000_000_000,
            retries: 2,
            ..HealthConfig::default()
        };
        Config { healthcheck: Some(healthcheck), ..Config::default() }
    }

    fn probe(second: i64, exit_code: i64) -> Probe {
        Probe { start: Timestamp(second * 1_000_000_000), exit_code, ..Probe::default() }
    }

    #[test]
    fn what_runs() {
        assert_eq!(Plan::of(&Config::default()), None);
        assert_eq!(Plan::of(&config(&[])), None);
        assert_eq!(Plan::of(&config(&["NONE"])), None);
        assert_eq!(Plan::of(&config(&["CMD", "a", "b"])).unwrap().command, ["a", "b"]);
        assert_eq!(Plan::of(&config(&["CMD-SHELL", "a b"])).unwrap().command, ["/bin/sh", "-c", "a b"]);
    }

    #[test]
    fn statuses_change_as_in_docker() {
        let plan = Plan::of(&config(&["CMD", "x"])).unwrap();
        let started = Timestamp(100_000_000_000);
        let mut health = Health::default();
        assert_eq!(plan.interval(health.status, Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(plan.interval(health.status, Duration::from_secs(10)), Duration::from_secs(30));
        for (second, code, streak, status) in [
            (101, 1, 0, HealthStatus::Starting),
            (109, 1, 0, HealthStatus::Starting),
            (110, 1, 1, HealthStatus::Starting),
            (111, 0, 0, HealthStatus::Healthy),
            (112, 1, 1, HealthStatus::Healthy),
            (113, -1, 2, HealthStatus::Unhealthy),
            (114, 1, 3, HealthStatus::Unhealthy),
            (115, 0, 0, HealthStatus::Healthy),
        ] {
            plan.judge(&mut health, probe(second, code), started);
            assert_eq!((health.failing_streak, health.status), (streak, status), "at {second}");
        }
        let kept: Vec<i64> = health.log.iter().map(|probe| probe.start.seconds()).collect();
        assert_eq!(kept, [111, 112, 113, 114, 115]);
        assert_eq!(plan.interval(health.status, Duration::from_secs(1)), Duration::from_secs(30));
    }
}
