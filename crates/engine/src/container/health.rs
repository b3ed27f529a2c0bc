use std::sync::{Arc, PoisonError};

use longshore_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Container, Containers, Record};

/// How a container answers its health checks: Docker's `Health`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Health {
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: i64,
    /// The last probes, oldest first.
    pub log: Vec<Probe>,
}

/// What the checks say altogether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    None,
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

/// One check: Docker's `HealthcheckResult`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Probe {
    pub start: Timestamp,
    pub end: Timestamp,
    pub exit_code: i64,
    pub output: String,
}

impl HealthStatus {
    /// As Docker writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl Health {
    /// How a container stands at its start; `None` when it has no checks.
    #[must_use]
    pub fn at_start(record: &Record) -> Option<Self> {
        crate::health::Plan::of(&record.config)?;
        // What was found before stays to be looked at.
        let log = record.health.as_ref().map(|health| health.log.clone()).unwrap_or_default();
        Some(Self { status: HealthStatus::Starting, failing_streak: 0, log })
    }
}

impl Containers {
    /// Shows how a container answers its checks. It is written down with the next change of its record only: a check
    /// every second is not to write to the disk. Blocks, for microseconds.
    pub(crate) fn show_health(&self, container: &Container, health: Health) {
        let writing = container.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = Record::clone(&container.record());
        record.health = Some(health);
        container.0.record.send_replace(Arc::new(record));
        drop(writing);
    }
}
