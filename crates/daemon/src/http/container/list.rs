use std::time::Duration;

use axum::{Router, extract::State, routing::get};
use longshore_api::container::{HealthSummary, HostSummary, NetworkSummary, Port, Summary};
use longshore_engine::container::{Containers, List, Phase, Record};
use longshore_types::Timestamp;

use super::{
    super::{body::Json, error::Failure, query::Query, version::Requested},
    inspect::networks,
};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/json", get(list))
}

async fn list(
    State(containers): State<Containers>,
    Requested(version): Requested,
    query: Query,
) -> Result<Json<Vec<Summary>>, Failure> {
    let limit = usize::try_from(query.number::<i64>("limit")?.unwrap_or(0)).unwrap_or(0);
    let list = List { all: query.flag("all"), limit, filters: query.filters()? };
    let found = containers.list(list).await?;
    let links = containers.names_by_links();
    let mut summaries = Vec::with_capacity(found.len());
    for container in found {
        let mut summary = summary(&container.record());
        summary.names.extend(links.get(summary.id.as_str()).into_iter().flatten().cloned());
        if query.flag("size") {
            let size = containers.size(&container, Duration::ZERO).await?;
            summary.size_rw = Some(size.own);
            summary.size_root_fs = Some(size.whole);
        }
        summaries.push(summary.for_version(version));
    }
    Ok(Json(summaries))
}

/// A container as it is shown in a list, without sizes.
pub(in crate::http) fn summary(record: &Record) -> Summary {
    Summary {
        id: record.id.to_string(),
        names: vec![format!("/{}", record.name)],
        image: record.config.image.clone(),
        image_id: record.image.id.to_string(),
        command: record.command().join(" "),
        created: record.created.seconds(),
        ports: ports(record),
        size_rw: None,
        size_root_fs: None,
        labels: record.config.labels.clone().unwrap_or_default(),
        state: record.state.phase.name().into(),
        status: status(record),
        host_config: HostSummary {
            network_mode: record.host.network_mode.clone(),
            annotations: record.host.annotations.clone(),
        },
        health: record.health.as_ref().map(|health| HealthSummary {
            status: health.status.name().into(),
            failing_streak: health.failing_streak,
        }),
        network_settings: NetworkSummary { networks: networks(&record.networking) },
        mounts: record.mounts.clone(),
    }
}

/// The ports that are exposed, and where they are on the host.
fn ports(record: &Record) -> Vec<Port> {
    let mut all = Vec::new();
    for (key, bindings) in &record.ports {
        let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        let Ok(private) = port.parse() else { continue };
        let mut add = |ip: &str, public| {
            all.push(Port { ip: ip.to_owned(), private, public, protocol: protocol.to_owned() });
        };
        match bindings.as_deref() {
            None | Some([]) => add("", None),
            Some(bindings) => bindings.iter().for_each(|one| add(&one.host_ip, one.host_port.parse().ok())),
        }
    }
    all.sort();
    all
}

/// Docker's words for a state.
fn status(record: &Record) -> String {
    let state = &record.state;
    let ago = |time: Timestamp| human(Timestamp::now().since(time));
    match state.phase {
        Phase::Created => "Created".into(),
        Phase::Removing => "Removal In Progress".into(),
        Phase::Dead => "Dead".into(),
        Phase::Exited if state.started_at == Timestamp::NEVER => "Created".into(),
        Phase::Exited => format!("Exited ({}) {} ago", state.exit_code, ago(state.finished_at)),
        Phase::Restarting => format!("Restarting ({}) {} ago", state.exit_code, ago(state.finished_at)),
        Phase::Paused => format!("Up {} (Paused)", ago(state.started_at)),
        Phase::Running => match &record.health {
            Some(health) if health.status.name() == "starting" => {
                format!("Up {} (health: starting)", ago(state.started_at))
            }
            Some(health) if health.status.name() != "none" => {
                format!("Up {} ({})", ago(state.started_at), health.status.name())
            }
            _ => format!("Up {}", ago(state.started_at)),
        },
    }
}

/// A duration as Docker tells it to people.
fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // Rounded.
    let hours = (seconds + 1800) / 3600;
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        _ if seconds < 60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::human;

    #[test]
    fn durations_as_docker_tells_them() {
        let hour = 3600;
        let table = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (hour, "About an hour"),
            (hour * 47, "47 hours"),
            (hour * 48, "2 days"),
            (hour * 24 * 14, "2 weeks"),
            (hour * 24 * 60, "2 months"),
            (hour * 24 * 730, "2 years"),
        ];
        for (seconds, text) in table {
            assert_eq!(human(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }
}
