use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use longshore_runtime::{
    cgroup::{Cgroup, OomEvent, OomWatch, Stats},
    state::Status,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use serde::Serialize;

use super::{
    Command, Matches, Outcome, container,
    failure::Failure,
    flag::{Arguments, Flag, Syntax, UsageError},
    global::Global,
    print_json,
    size::parse_duration,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "events",
        flags: &[&[
            Flag::value("interval", "duration", "how often to print statistics, every 5s by default"),
            Flag::switch("stats", "print statistics once"),
        ]],
        arguments: Arguments::Exactly(1),
        flags_first: false,
    },
    arguments: "<container-id>",
    about: "print statistics and out-of-memory events of a container",
    failed: 1,
    enters: false,
    run,
};

/// One line of output.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Stats>,
}

fn run(global: &Global, matches: &Matches) -> Outcome {
    let interval = interval(matches)?;
    let dir = container::open(global, matches)?;
    let record = dir.record()?;
    let id = dir.id().as_str();
    let failed = |source| Failure::System { action: "watch the container", source };
    let init = match container::status(&dir, &record) {
        Status::Stopped | Status::Creating => None,
        _ => record.init.map(|init| init.open()).transpose().map_err(failed)?.flatten(),
    };
    let Some(init) = init else { return Err(Failure::EventsStopped { id: dir.id().clone() }) };
    let cgroup = container::cgroup(&record)?;
    if matches.has("stats") {
        return print_stats(&cgroup, id);
    }
    // Without a memory controller there are statistics still.
    let mut oom = cgroup.watch_oom().ok();
    let mut next = Instant::now() + interval;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            print_stats(&cgroup, id)?;
            next += interval;
            continue;
        }
        let timeout = Timespec::try_from(left).ok();
        let mut fds = vec![PollFd::new(&init, PollFlags::IN)];
        fds.extend(oom.as_ref().map(|oom| PollFd::from_borrowed_fd(oom.as_fd(), PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready.get(1) == Some(&true) && !oom.as_mut().is_none_or(|oom| heard(oom, id)) {
            oom = None;
        }
        if ready[0] {
            return Ok(0);
        }
    }
}

fn interval(matches: &Matches) -> Result<Duration, UsageError> {
    Ok(matches.parsed("interval", parse_duration)?.unwrap_or(Duration::from_secs(5)))
}

/// Prints what the watch has to say; `false` when it will not say more.
fn heard(oom: &mut OomWatch, id: &str) -> bool {
    match oom.read() {
        Ok(OomEvent::Oom) => print_json(&Event { kind: "oom", id, data: None }).is_ok(),
        Ok(OomEvent::Nothing) => true,
        Ok(OomEvent::End) | Err(_) => false,
    }
}

fn print_stats(cgroup: &Cgroup, id: &str) -> Outcome {
    print_json(&Event { kind: "stats", id, data: Some(cgroup.stats()?) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{COMMAND, Event, interval};

    #[test]
    fn lines_are_runcs() {
        let oom = serde_json::to_string(&Event { kind: "oom", id: "c", data: None }).unwrap();
        assert_eq!(oom, r#"{"type":"oom","id":"c"}"#);
        let stats = Event { kind: "stats", id: "c", data: Some(super::Stats::default()) };
        let stats = serde_json::to_value(&stats).unwrap();
        for key in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"]
        {
            assert!(stats["data"].get(key).is_some(), "{key}");
        }
    }

    #[test]
    fn the_interval_is_five_seconds_or_as_asked() {
        let asked = |line: &str| {
            interval(&COMMAND.syntax.read(&mut line.split_whitespace().map(Into::into)).unwrap())
        };
        assert_eq!(asked("c").unwrap(), Duration::from_secs(5));
        assert_eq!(asked("--interval 200ms c").unwrap(), Duration::from_millis(200));
        assert!(asked("--interval 0s c").is_err());
    }
}
