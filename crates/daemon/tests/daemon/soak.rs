//! Operations at random, from a model that knows what each may lead to. `LONGSHORE_SOAK_SECONDS` makes it longer,
//! `LONGSHORE_SOAK_SEED` repeats one.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::longshored::{Answer, Exchange};

use crate::streams::bed::Bed;

/// Containers that there may be at a time.
const SLOTS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Absent,
    Created,
    Running,
    Paused,
    Exited,
}
use Phase::{Absent, Created, Exited, Paused, Running};

#[derive(Clone, Copy, Debug)]
enum Verb {
    Create,
    Start,
    Stop,
    Kill,
    Restart,
    Pause,
    Unpause,
    Remove,
    RemoveByForce,
    Rename,
    Update,
    Exec,
    Commit,
    Inspect,
    Logs,
    Top,
    KillDaemon,
    StopDaemon,
}

/// How often each is chosen.
const VERBS: [(Verb, usize); 18] = [
    (Verb::Create, 10),
    (Verb::Start, 12),
    (Verb::Stop, 5),
    (Verb::Kill, 4),
    (Verb::Restart, 3),
    (Verb::Pause, 5),
    (Verb::Unpause, 5),
    (Verb::Remove, 5),
    (Verb::RemoveByForce, 4),
    (Verb::Rename, 3),
    (Verb::Update, 4),
    (Verb::Exec, 5),
    (Verb::Commit, 1),
    (Verb::Inspect, 3),
    (Verb::Logs, 2),
    (Verb::Top, 2),
    (Verb::KillDaemon, 2),
    (Verb::StopDaemon, 1),
];

/// What an operation is answered with, and what comes of it.
fn outcome(verb: Verb, phase: Phase) -> (u16, Phase) {
    match (verb, phase) {
        (Verb::Create, Absent) => (201, Created),
        (Verb::Create, phase) => (409, phase),
        (_, Absent) => (404, Absent),
        (Verb::Start, Created | Exited) => (204, Running),
        (Verb::Start, Running) => (304, Running),
        (Verb::Start, Paused) => (409, Paused),
        (Verb::Stop, Running | Paused) => (204, Exited),
        (Verb::Stop, phase) => (304, phase),
        (Verb::Kill, Running | Paused) => (204, Exited),
        (Verb::Kill, phase) => (409, phase),
        (Verb::Restart, _) => (204, Running),
        (Verb::Pause, Running) => (204, Paused),
        (Verb::Pause, phase) => (409, phase),
        (Verb::Unpause, Paused) => (204, Running),
        // As in Docker.
        (Verb::Unpause, phase) => (500, phase),
        (Verb::Remove, Created | Exited) => (204, Absent),
        (Verb::Remove, phase) => (409, phase),
        (Verb::RemoveByForce, _) => (204, Absent),
        (Verb::Rename, phase) => (204, phase),
        (Verb::Exec, Running) => (200, Running),
        (Verb::Exec, phase) => (409, phase),
        (Verb::Commit, phase) => (201, phase),
        (Verb::Top, Running | Paused) => (200, phase),
        (Verb::Top, phase) => (409, phase),
        (Verb::Update | Verb::Inspect | Verb::Logs | Verb::KillDaemon | Verb::StopDaemon, phase) => {
            (200, phase)
        }
    }
}

struct Soak {
    bed: Bed,
    random: fastrand::Rng,
    /// The names of the slots, and what is there.
    model: BTreeMap<String, Phase>,
    names: u32,
    /// What was done, for whoever wants to know.
    done: Vec<String>,
}

impl Soak {
    fn new(seed: u64) -> Self {
        let model = (0..SLOTS).map(|slot| (format!("slot{slot}"), Absent)).collect();
        let random = fastrand::Rng::with_seed(seed);
        Self { bed: Bed::new(), random, model, names: 0, done: Vec::new() }
    }

    fn choose(&mut self) -> Verb {
        let mut at = self.random.usize(..VERBS.iter().map(|(_, weight)| weight).sum::<usize>());
        for (verb, weight) in VERBS {
            if at < weight {
                return verb;
            }
            at -= weight;
        }
        Verb::Inspect
    }

    fn step(&mut self) {
        let verb = self.choose();
        let slot = self.random.usize(..self.model.len());
        let (name, phase) = self.model.iter().nth(slot).map(|(name, phase)| (name.clone(), *phase)).unwrap();
        self.done.push(format!("{verb:?} {name} ({phase:?})"));
        let (status, next) = outcome(verb, phase);
        let answer = self.act(verb, &name);
        if let Some(answer) = answer {
            assert_eq!(answer.status, status, "{}: {}", self.story(), answer.text());
            if matches!(verb, Verb::Rename) && status == 204 {
                self.model.remove(&name);
                self.model.insert(self.new_name(), next);
                return;
            }
        }
        self.model.insert(name, next);
        if self.done.len().is_multiple_of(10) {
            self.compare();
        }
    }

    fn new_name(&self) -> String {
        format!("other{}", self.names)
    }

    fn act(&mut self, verb: Verb, name: &str) -> Option<Answer> {
        let post =
            |bed: &Bed, path: &str| bed.daemon.post(&format!("/containers/{name}/{path}"), &Value::Null);
        let bed = &mut self.bed;
        Some(match verb {
            Verb::Create => {
                let body = json!({
                    "Image": "busybox", "Cmd": ["sleep", "1000"], "Volumes": { "/v": {} },
                    "HostConfig": { "NetworkMode": "none", "IpcMode": "shareable" },
                });
                bed.daemon.post(&format!("/containers/create?name={name}"), &body)
            }
            Verb::Start => post(bed, "start"),
            Verb::Stop => post(bed, "stop?t=0"),
            Verb::Kill => post(bed, "kill"),
            Verb::Restart => post(bed, "restart?t=0"),
            Verb::Pause => post(bed, "pause"),
            Verb::Unpause => post(bed, "unpause"),
            Verb::Remove => bed.daemon.delete(&format!("/containers/{name}?v=1")),
            Verb::RemoveByForce => bed.daemon.delete(&format!("/containers/{name}?v=1&force=1")),
            Verb::Rename => {
                self.names += 1;
                post(bed, &format!("rename?name=other{}", self.names))
            }
            Verb::Update => {
                let change = json!({ "PidsLimit": self.random.u32(10..100) });
                bed.daemon.post(&format!("/containers/{name}/update"), &change)
            }
            Verb::Exec => {
                let body = json!({ "Cmd": ["true"], "AttachStdout": true });
                let made = bed.daemon.post(&format!("/containers/{name}/exec"), &body);
                if made.status != 201 {
                    return Some(made);
                }
                let exec = made.json()["Id"].as_str().unwrap().to_owned();
                bed.daemon.post(&format!("/exec/{exec}/start"), &json!({ "Detach": true }))
            }
            Verb::Commit => bed.daemon.post(&format!("/commit?container={name}&repo=soaked"), &Value::Null),
            Verb::Inspect => bed.daemon.get(&format!("/containers/{name}/json")),
            Verb::Logs => bed.daemon.get(&format!("/containers/{name}/logs?stdout=1")),
            Verb::Top => bed.daemon.get(&format!("/containers/{name}/top")),
            Verb::KillDaemon => {
                bed.daemon.kill();
                bed.daemon.start_again();
                return None;
            }
            Verb::StopDaemon => {
                assert_eq!(bed.daemon.stop(), 0);
                bed.daemon.start_again();
                return None;
            }
        })
    }

    /// What the daemon shows is what the model says.
    fn compare(&self) {
        let listed = self.bed.daemon.get("/containers/json?all=1").expect(200).json();
        let name = |one: &Value| one["Names"][0].as_str().unwrap().trim_start_matches('/').to_owned();
        let found: BTreeMap<String, String> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (name(one), one["State"].as_str().unwrap().to_owned()))
            .collect();
        let expected: BTreeMap<String, String> = self
            .model
            .iter()
            .filter(|(_, phase)| **phase != Absent)
            .map(|(name, phase)| (name.clone(), format!("{phase:?}").to_lowercase()))
            .collect();
        assert_eq!(found, expected, "{}", self.story());
    }

    fn story(&self) -> String {
        let from = self.done.len().saturating_sub(30);
        format!(
            "after {} operations, the last ones {:#?}\n{}",
            self.done.len(),
            &self.done[from..],
            self.bed.daemon.log()
        )
    }

    /// Removes all, and looks at what is left.
    fn end(self) {
        self.compare();
        for name in self.model.iter().filter(|(_, phase)| **phase != Absent).map(|(name, _)| name) {
            drop(self.bed.daemon.delete(&format!("/containers/{name}?v=1&force=1")).expect(204));
        }
        for place in ["data/containers", "exec/containers", "data/snapshots", "exec/mounts", "exec/netns"] {
            let left = fs::read_dir(self.bed.daemon.dir().join(place)).into_iter().flatten().count();
            assert_eq!(left, 0, "{place}: {}", self.story());
        }
        let volumes = self.bed.daemon.get("/volumes").expect(200).json();
        assert!(volumes["Volumes"].as_array().is_none_or(Vec::is_empty), "{volumes}");
        let usage = self.bed.daemon.get("/system/df").expect(200).json();
        assert_eq!(usage["Ledger"]["Unaccounted"], 0, "{usage:#}");
        assert!(!self.bed.daemon.log().contains("panicked"), "{}", self.story());
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn duration() -> Duration {
    Duration::from_secs(number("LONGSHORE_SOAK_SECONDS").unwrap_or(4))
}

#[test]
fn one_after_the_other_they_lead_where_the_model_says() {
    let seed = number("LONGSHORE_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    crate::say(&format!("LONGSHORE_SOAK_SEED={seed}"));
    let mut soak = Soak::new(seed);
    let end = Instant::now() + duration();
    while Instant::now() < end || soak.done.len() < 100 {
        soak.step();
    }
    crate::say(&format!("{} operations", soak.done.len()));
    soak.end();
}

/// At the same time on the same containers: each is done or refused, never a fault, and nobody waits for ever.
#[test]
fn at_the_same_time_they_are_done_or_refused() {
    let seed = number("LONGSHORE_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    crate::say(&format!("LONGSHORE_SOAK_SEED={seed}"));
    let bed = Bed::new();
    let end = Instant::now() + duration();
    let socket = bed.daemon.socket();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let socket = &socket;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed.wrapping_add(thread));
                while Instant::now() < end {
                    storm(&mut random, socket);
                }
            });
        }
    });
    for slot in 0..SLOTS {
        let status = bed.daemon.delete(&format!("/containers/slot{slot}?v=1&force=1")).status;
        assert!([204, 404].contains(&status), "{status}\n{}", bed.daemon.log());
    }
    for place in ["data/containers", "exec/containers", "data/snapshots", "exec/mounts"] {
        assert_eq!(fs::read_dir(bed.daemon.dir().join(place)).into_iter().flatten().count(), 0, "{place}");
    }
    assert!(!bed.daemon.log().contains("panicked"), "{}", bed.daemon.log());
}

fn storm(random: &mut fastrand::Rng, socket: &std::path::Path) {
    let slot = format!("slot{}", random.usize(..SLOTS));
    let body =
        json!({ "Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "none" } });
    let (method, path) = match random.usize(..11) {
        0 | 1 => ("POST", format!("/containers/create?name={slot}")),
        2 | 3 => ("POST", format!("/containers/{slot}/start")),
        4 => ("POST", format!("/containers/{slot}/stop?t=0")),
        5 => ("POST", format!("/containers/{slot}/kill")),
        6 => ("POST", format!("/containers/{slot}/pause")),
        7 => ("POST", format!("/containers/{slot}/unpause")),
        8 => ("POST", format!("/containers/{slot}/restart?t=0")),
        9 => ("DELETE", format!("/containers/{slot}?v=1&force=1")),
        _ => ("GET", format!("/containers/{slot}/json")),
    };
    let exchange =
        Exchange::new(method, &path).json(if path.contains("create") { &body } else { &Value::Null });
    let answer = exchange.send(socket).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let is_fine = answer.status < 500 || path.contains("unpause");
    assert!(is_fine, "{method} {path}: {} {}", answer.status, answer.text());
}
