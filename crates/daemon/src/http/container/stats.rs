//! `docker stats`.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::stream;
use longshore_api::{
    Version,
    stats::{Blkio, BlkioEntry, Cpu, CpuUsage, Memory, Network, Pids, Stats as Shown, Throttling},
};
use longshore_engine::{
    container::Containers,
    stats::{Interface, Listener, Sample, Stats, Usage},
};
use longshore_runtime::cgroup;
use longshore_types::Timestamp;

use crate::{
    app::App,
    http::{error::Failure, query::Query, version::Requested},
};

/// The first version that knows samples without one before them, and the first that names the system.
const ONE_SHOT: Version = Version(41);
const OS_TYPE: Version = Version(50);

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/stats", get(stats))
}

async fn stats(
    State(containers): State<Containers>,
    State(stats): State<Stats>,
    Path(id): Path<String>,
    Requested(version): Requested,
    query: Query,
) -> Result<Response, Failure> {
    let container = containers.find(&id)?;
    let mut form = Form { version, before: None };
    if query.flag_or("stream", true) {
        let json = [(header::CONTENT_TYPE, "application/json")];
        return Ok((json, Body::from_stream(pieces(stats.listen(&container), form))).into_response());
    }
    let phase = container.record().state.phase;
    let sample = if !phase.has_processes() || (version >= ONE_SHOT && query.flag("one-shot")) {
        stats.once(&container).await?
    } else {
        let mut listener = stats.listen(&container);
        let (first, second) = (listener.next().await, listener.next().await);
        form.before = first.map(|first| (first.read, cpu(first.usage.as_ref())));
        let gone = || Failure::new(StatusCode::NOT_FOUND, format!("No such container: {id}"));
        (*second.ok_or_else(gone)?).clone()
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], form.line(&sample)?).into_response())
}

/// A line for each sample.
fn pieces(listener: Listener, form: Form) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold((listener, form), |(mut listener, mut form)| async move {
        let sample = listener.next().await?;
        let line = form.line(&sample).map_err(|failure| std::io::Error::other(failure.message));
        Some((line.map(Bytes::from), (listener, form)))
    })
}

/// How samples are shown to one caller.
#[derive(Debug)]
struct Form {
    version: Version,
    /// What the sample before had.
    before: Option<(Timestamp, Cpu)>,
}

impl Form {
    fn line(&mut self, sample: &Sample) -> Result<Vec<u8>, Failure> {
        let mut shown = Shown {
            id: sample.id.clone(),
            name: format!("/{}", sample.name),
            read: sample.read,
            cpu_stats: cpu(sample.usage.as_ref()),
            ..Shown::default()
        };
        if self.version >= OS_TYPE {
            "linux".clone_into(&mut shown.os_type);
        }
        if let Some(usage) = &sample.usage {
            shown.memory_stats = memory(usage);
            shown.pids_stats = Pids { current: usage.cgroup.pids.current, limit: usage.cgroup.pids.limit };
            shown.blkio_stats = blkio(usage);
            shown.networks =
                usage.networks.iter().map(|(name, interface)| (name.clone(), network(interface))).collect();
        }
        if let Some((read, cpu)) = self.before.replace((shown.read, shown.cpu_stats.clone())) {
            (shown.preread, shown.precpu_stats) = (read, cpu);
        }
        let mut line = serde_json::to_vec(&shown)
            .map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        line.push(b'\n');
        Ok(line)
    }
}

fn cpu(usage: Option<&Usage>) -> Cpu {
    let Some(usage) = usage else { return Cpu::default() };
    let (cpu, throttling) = (&usage.cgroup.cpu.usage, &usage.cgroup.cpu.throttling);
    Cpu {
        cpu_usage: CpuUsage {
            total_usage: cpu.total,
            percpu_usage: cpu.percpu.clone(),
            usage_in_kernelmode: cpu.kernel,
            usage_in_usermode: cpu.user,
        },
        system_cpu_usage: usage.system_cpu,
        online_cpus: usage.online_cpus,
        throttling_data: Throttling {
            periods: throttling.periods,
            throttled_periods: throttling.throttled_periods,
            throttled_time: throttling.throttled_time,
        },
    }
}

fn memory(usage: &Usage) -> Memory {
    let memory = &usage.cgroup.memory;
    Memory {
        usage: memory.usage.usage,
        // Docker does not say it of version 2.
        max_usage: if usage.unified { 0 } else { memory.usage.max },
        stats: memory.raw.clone(),
        failcnt: memory.usage.failcnt,
        limit: memory.usage.limit,
    }
}

fn blkio(usage: &Usage) -> Blkio {
    let blkio = &usage.cgroup.blkio;
    let lower = usage.unified;
    let table = |entries: &[cgroup::BlkioEntry]| {
        let entry = |entry: &cgroup::BlkioEntry| BlkioEntry {
            major: entry.major,
            minor: entry.minor,
            op: if lower { entry.op.to_ascii_lowercase() } else { entry.op.clone() },
            value: entry.value,
        };
        entries.iter().map(entry).collect::<Vec<_>>()
    };
    if usage.unified {
        let bytes = table(&blkio.io_service_bytes_recursive);
        return Blkio {
            io_service_bytes_recursive: (!bytes.is_empty()).then_some(bytes),
            ..Blkio::default()
        };
    }
    Blkio {
        io_service_bytes_recursive: Some(table(&blkio.io_service_bytes_recursive)),
        io_serviced_recursive: Some(table(&blkio.io_serviced_recursive)),
        io_queue_recursive: Some(table(&blkio.io_queued_recursive)),
        io_service_time_recursive: Some(table(&blkio.io_service_time_recursive)),
        io_wait_time_recursive: Some(table(&blkio.io_wait_time_recursive)),
        io_merged_recursive: Some(table(&blkio.io_merged_recursive)),
        io_time_recursive: Some(table(&blkio.io_time_recursive)),
        sectors_recursive: Some(table(&blkio.sectors_recursive)),
    }
}

fn network(interface: &Interface) -> Network {
    Network {
        rx_bytes: interface.rx_bytes,
        rx_packets: interface.rx_packets,
        rx_errors: interface.rx_errors,
        rx_dropped: interface.rx_dropped,
        tx_bytes: interface.tx_bytes,
        tx_packets: interface.tx_packets,
        tx_errors: interface.tx_errors,
        tx_dropped: interface.tx_dropped,
    }
}
