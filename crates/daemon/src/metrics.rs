//! Metrics for Prometheus, with the names of Docker's engine where it has them.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{Method, header},
    response::IntoResponse,
    routing::get,
};
use longshore_engine::container::Phase;

use crate::app::App;

/// Upper bounds of the histogram's buckets, in milliseconds.
const BOUNDS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// What is measured of containers, by Docker's name.
const ACTIONS: [&str; 5] = ["changes", "commit", "create", "delete", "start"];

static REQUESTS: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];
static DURATIONS: [Histogram; ACTIONS.len()] = [const { Histogram::new() }; ACTIONS.len()];

#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    microseconds: AtomicU64,
}

impl Histogram {
    const fn new() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BOUNDS.len()],
            count: AtomicU64::new(0),
            microseconds: AtomicU64::new(0),
        }
    }

    fn observe(&self, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            if microseconds <= bound * 1000 {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }
}

/// Which action of Docker's a request is, by its number.
pub(crate) fn action(method: &Method, path: &str) -> Option<usize> {
    let name = match (method.as_str(), path) {
        ("POST", "/commit") => "commit",
        ("POST", "/containers/create") => "create",
        ("POST", path) if path.starts_with("/containers/") && path.ends_with("/start") => "start",
        ("GET", path) if path.starts_with("/containers/") && path.ends_with("/changes") => "changes",
        ("DELETE", path) if path.starts_with("/containers/") => "delete",
        _ => return None,
    };
    ACTIONS.iter().position(|action| *action == name)
}

/// Counts an answer, and how long it took if it was an action that succeeded.
pub(crate) fn answered(status: u16, action: Option<usize>, time: Duration) {
    if let Some(counter) = REQUESTS.get(usize::from(status / 100)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(durations) = action.filter(|_| status < 400).and_then(|action| DURATIONS.get(action)) {
        durations.observe(time);
    }
}

/// `GET /metrics`, for a listener of its own.
pub(crate) fn router(app: App) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(app)
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&app))
}

fn text(app: &App) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    write_all(&mut text, app).ok();
    text
}

fn write_all(text: &mut String, app: &App) -> std::fmt::Result {
    let facts = app.system.facts();
    let family = |text: &mut String, name: &str, kind: &str, help: &str| {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
    };
    let name = "engine_daemon_engine_info";
    family(text, name, "gauge", "The engine and the host that it runs on")?;
    writeln!(
        text,
        "{name}{{architecture=\"{}\",daemon_id=\"{}\",graphdriver=\"overlay2\",kernel=\"{}\",os=\"{}\",\
         os_type=\"linux\",version=\"{}\"}} 1",
        escaped(&facts.machine),
        facts.id,
        escaped(&facts.kernel),
        escaped(&facts.operating_system),
        env!("CARGO_PKG_VERSION"),
    )?;
    family(text, "engine_daemon_engine_cpus_cpus", "gauge", "Processors of the host")?;
    writeln!(text, "engine_daemon_engine_cpus_cpus {}", facts.cpus)?;
    family(text, "engine_daemon_engine_memory_bytes", "gauge", "Memory of the host")?;
    writeln!(text, "engine_daemon_engine_memory_bytes {}", facts.memory)?;

    let name = "engine_daemon_container_states_containers";
    family(text, name, "gauge", "Containers by state")?;
    let phases: Vec<Phase> =
        app.containers.all().iter().map(|container| container.record().state.phase).collect();
    let running = phases.iter().filter(|phase| matches!(phase, Phase::Running | Phase::Restarting)).count();
    let paused = phases.iter().filter(|phase| matches!(phase, Phase::Paused)).count();
    for (state, count) in
        [("paused", paused), ("running", running), ("stopped", phases.len() - running - paused)]
    {
        writeln!(text, "{name}{{state=\"{state}\"}} {count}")?;
    }

    let name = "engine_daemon_container_actions_seconds";
    family(text, name, "histogram", "How long actions on containers took")?;
    for (action, durations) in ACTIONS.iter().zip(&DURATIONS) {
        write_histogram(text, name, action, durations)?;
    }
    family(text, "longshore_http_requests_total", "counter", "Requests by the class of their answer")?;
    for (class, counter) in REQUESTS.iter().enumerate().skip(1) {
        let count = counter.load(Ordering::Relaxed);
        writeln!(text, "longshore_http_requests_total{{class=\"{class}xx\"}} {count}")?;
    }
    Ok(())
}

fn write_histogram(text: &mut String, name: &str, action: &str, durations: &Histogram) -> std::fmt::Result {
    let seconds =
        |thousands: u64, unit: u64| format!("{}.{:03}", thousands / unit, thousands % unit * 1000 / unit);
    for (bucket, bound) in durations.buckets.iter().zip(BOUNDS) {
        let count = bucket.load(Ordering::Relaxed);
        writeln!(text, "{name}_bucket{{action=\"{action}\",le=\"{}\"}} {count}", seconds(bound, 1000))?;
    }
    let count = durations.count.load(Ordering::Relaxed);
    let sum = durations.microseconds.load(Ordering::Relaxed);
    writeln!(text, "{name}_bucket{{action=\"{action}\",le=\"+Inf\"}} {count}")?;
    writeln!(text, "{name}_sum{{action=\"{action}\"}} {}", seconds(sum, 1_000_000))?;
    writeln!(text, "{name}_count{{action=\"{action}\"}} {count}")
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
