//! Health checks: whether containers are well, asked by running a program in them.
//!
//! One task hears of every start and has a task for each container that has checks and runs; it ends with the run.
//! A check is an exec like any other, with its events, whose plan is made once. Checks that are due within
//! [`GRID`] of each other come at one wake-up. What checks run is found again after the daemon's end: they belong to
//! the daemon.

mod check;
mod plan;

use std::time::Duration;

use longshore_types::{Timestamp, container::Config};
use tokio::{sync::broadcast::error::RecvError, time::Instant};

pub use plan::Plan;

use crate::{
    container::{Container, Containers, Health, HealthStatus, Phase, Probe, Record},
    event::Object,
    exec::Execs,
};

/// Checks come at multiples of this, unless they are to come more often than every second.
const GRID: Duration = Duration::from_millis(100);
/// Results that are kept.
const KEPT: usize = 5;

/// The checks of all containers.
#[derive(Clone, Debug)]
pub struct Checks {
    containers: Containers,
    execs: Execs,
    /// What the grid is counted from.
    epoch: Instant,
}

impl Checks {
    /// Begins to check what runs, and what is started from now on, for as long as the daemon runs.
    pub fn begin(execs: Execs) {
        let checks = Self { containers: execs.containers().clone(), execs, epoch: Instant::now() };
        tokio::spawn(checks.hear());
    }

    async fn hear(self) {
        let mut events = self.containers.events().subscribe().live;
        let mut watched = std::collections::HashMap::new();
        self.watch_all(&mut watched);
        loop {
            match events.recv().await {
                Ok(event) if event.object == Object::Container && event.action == "start" => {
                    if let Ok(container) = self.containers.find(&event.id) {
                        self.watch(&container, &mut watched);
                    }
                }
                Ok(event) if event.object == Object::Container && event.action == "destroy" => {
                    watched.remove(&event.id);
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.watch_all(&mut watched),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn watch_all(&self, watched: &mut std::collections::HashMap<String, Timestamp>) {
        for container in self.containers.all() {
            self.watch(&container, watched);
        }
    }

    /// Checks a run of a container from now on, unless that is done already.
    fn watch(&self, container: &Container, watched: &mut std::collections::HashMap<String, Timestamp>) {
        let record = container.record();
        let Some(plan) = Plan::of(&record.config) else { return };
        let started = record.state.started_at;
        if !record.state.phase.has_processes()
            || watched.insert(record.id.to_string(), started) == Some(started)
        {
            return;
        }
        tokio::spawn(self.clone().run(container.clone(), plan, started));
    }

    /// Checks a container until the run that began at `started` ends.
    async fn run(self, container: Container, plan: Plan, started: Timestamp) {
        let mut watch = container.watch();
        let mut health = container.record().health.clone().unwrap_or_default();
        let mut prepared = None;
        loop {
            let due = self.due(plan.interval(health.status, Timestamp::now().since(started)));
            let ended = |record: &std::sync::Arc<Record>| {
                !record.state.phase.has_processes() || record.state.started_at != started
            };
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                _ = watch.wait_for(ended) => return,
            }
            // What is paused is asked again when it goes on.
            let resumed = watch.wait_for(|record| record.state.phase != Phase::Paused || ended(record));
            if resumed.await.is_err() {
                return;
            }
            let probe = tokio::select! {
                probe = self.probe(&container, &plan, &mut prepared) => probe,
                _ = watch.wait_for(ended) => return,
            };
            let before = health.status;
            plan.judge(&mut health, probe, started);
            self.containers.show_health(&container, health.clone());
            if health.status != before {
                let action = format!("health_status: {}", health.status.name());
                container.publish(self.containers.events(), &action, []);
            }
        }
    }

    /// When the next check is due: on the grid, and never before the interval has passed.
    fn due(&self, interval: Duration) -> Instant {
        let due = Instant::now() + interval;
        if interval < Duration::from_secs(1) {
            return due;
        }
        let since = due.duration_since(self.epoch);
        let beyond = Duration::from_nanos(u64::try_from(since.as_nanos() % GRID.as_nanos()).unwrap_or(0));
        due + (GRID - beyond)
    }
}
