//! Where a daemon is killed: what is there of it, and the file that says when.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use longshore_network::namespace::Namespace;
use serde_json::json;
use testkit::{cgroups, longshored::Longshored, mountinfo};

use crate::streams::bed::Bed;

/// A daemon, what it makes, and how it is killed.
pub(super) struct Place {
    pub(super) bed: Bed,
    armed: PathBuf,
    /// How often it was armed.
    times: Cell<u32>,
    /// The containers that there ever were.
    ids: RefCell<BTreeSet<String>>,
}

impl Place {
    /// Does something with one, in a network namespace that has nothing else.
    pub(super) fn on_a_host(work: impl FnOnce(&mut Self) + Send) {
        let (host, _) = Namespace::create().expect("a network namespace");
        host.enter(|| {
            let mut daemon = Longshored::prepare(&[]);
            let armed = daemon.dir().join("armed");
            daemon.set_env("LONGSHORE_FAILPOINT_ARMED", armed.to_str().unwrap());
            let mut place =
                Self { bed: Bed::of(daemon), armed, times: Cell::default(), ids: RefCell::default() };
            work(&mut place);
            place.clear();
        })
        .expect("enter");
    }

    /// Has the daemon stop at its n-th step from now on.
    pub(super) fn arm(&self, action: &str, step: usize) {
        let unfinished = self.armed.with_extension("new");
        fs::remove_file(self.steps()).ok();
        let time = self.times.get() + 1;
        self.times.set(time);
        // Each time is counted from its own beginning.
        fs::write(&unfinished, format!("{action} {} {step} {time}", self.bed.daemon.pid())).unwrap();
        fs::rename(unfinished, &self.armed).unwrap();
    }

    /// Has it go on, which it does.
    pub(super) fn disarm_alive(&self) {
        fs::remove_file(&self.armed).unwrap();
        drop(self.bed.daemon.get("/_ping").expect(200));
    }

    /// Has it go on, or the next one. The step that was disturbed, if it came to that, and
    /// those before it.
    pub(super) fn disarm(&mut self, action: &str, step: usize) -> Option<(String, Vec<String>)> {
        let file = fs::File::open(&self.armed).unwrap();
        // Whoever has read it has taken the step by then, or will not.
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
        fs::remove_file(&self.armed).unwrap();
        drop(file);
        let steps = fs::read_to_string(self.steps()).unwrap_or_default();
        let mut passed: Vec<String> = steps.lines().take(step).map(str::to_owned).collect();
        let name = if passed.len() == step { passed.pop()? } else { return None };
        if action == "kill" {
            assert_eq!(self.bed.daemon.wait_for_end(), 137);
            self.bed.daemon.start_again();
        }
        self.wait_for_removals();
        Some((name, passed))
    }

    fn steps(&self) -> PathBuf {
        self.armed.with_extension("steps")
    }

    /// Waits until the next daemon has finished what was begun.
    fn wait_for_removals(&self) {
        let end = Instant::now() + testkit::patience();
        let removing = "/containers/json?all=1&filters=%7B%22status%22%3A%5B%22removing%22%5D%7D";
        while self.bed.daemon.get(removing).expect(200).json() != json!([]) {
            assert!(Instant::now() < end, "a removal does not end\n{}", self.bed.daemon.log());
        }
    }

    /// Removes everything but the image.
    pub(super) fn clear(&self) {
        let daemon = &self.bed.daemon;
        let all = |path: &str| daemon.get(path).expect(200).json();
        for container in all("/containers/json?all=1").as_array().unwrap() {
            let path = format!("/containers/{}?force=1&v=1", container["Id"].as_str().unwrap());
            let status = daemon.delete(&path).status;
            assert!([204, 404, 409].contains(&status), "{status}");
        }
        let end = Instant::now() + testkit::patience();
        while all("/containers/json?all=1") != json!([]) {
            assert!(Instant::now() < end, "a removal does not end\n{}", daemon.log());
        }
        for volume in all("/volumes")["Volumes"].as_array().into_iter().flatten() {
            drop(daemon.delete(&format!("/volumes/{}", volume["Name"].as_str().unwrap())).expect(204));
        }
        for network in all("/networks").as_array().unwrap() {
            let name = network["Name"].as_str().unwrap();
            if !["bridge", "host", "none"].contains(&name) {
                drop(daemon.delete(&format!("/networks/{name}")).expect(204));
            }
        }
        for image in all("/images/json?all=1").as_array().unwrap() {
            let is_base =
                image["RepoTags"].as_array().is_some_and(|tags| tags.contains(&json!("busybox:latest")));
            if !is_base {
                let path = format!("/images/{}?force=1", image["Id"].as_str().unwrap());
                drop(daemon.delete(&path).expect(200));
            }
        }
    }

    /// What is there while there are no containers. The kernel takes its time with their links.
    pub(super) fn rest(&self) -> BTreeSet<String> {
        let end = Instant::now() + testkit::patience();
        loop {
            let found = self.footprint();
            if !found.iter().any(|line| line.starts_with("link veth")) {
                return found;
            }
            assert!(Instant::now() < end, "links stay: {found:?}");
        }
    }

    /// Waits until what is there is `expected`: what is thrown away is deleted in the background.
    pub(super) fn settle(&self, expected: &BTreeSet<String>, context: &str) {
        let end = Instant::now() + testkit::patience() / 2;
        loop {
            let found = self.footprint();
            if found == *expected {
                break;
            }
            if Instant::now() > end {
                let more: Vec<_> = found.difference(expected).collect();
                let less: Vec<_> = expected.difference(&found).collect();
                panic!("{context}: too much: {more:#?}\nmissing: {less:#?}\n{}", self.bed.daemon.log());
            }
            std::thread::yield_now();
        }
        let usage = self.bed.daemon.get("/system/df").expect(200).json();
        assert_eq!(usage["Ledger"]["Unaccounted"], 0, "{context}: {:#}", usage["Ledger"]);
    }

    /// Everything on the host that is there for the daemon and its containers.
    pub(super) fn footprint(&self) -> BTreeSet<String> {
        let dir = self.bed.daemon.dir();
        let mut found = BTreeSet::new();
        for (root, depth) in
            [("data", 2), ("data/store/blobs/sha256", 1), ("data/store/ingest", 1), ("exec", 3)]
        {
            files(&dir.join(root), dir, depth, &mut found);
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = mountinfo::parse(&mounts);
        let mounts = mounts.iter().filter(|mount| Path::new(&mount.point).starts_with(dir));
        found.extend(mounts.map(|mount| format!("mount {} {}", mount.kind, mount.point)));
        let mut ids = self.ids.borrow_mut();
        let listed = self.bed.daemon.get("/containers/json?all=1").expect(200).json();
        ids.extend(listed.as_array().unwrap().iter().map(|one| one["Id"].as_str().unwrap().to_owned()));
        for hierarchy in cgroups::hierarchies() {
            for id in &*ids {
                let cgroup = hierarchy.join("longshore").join(id);
                if cgroup.exists() {
                    found.insert(format!("cgroup {}", cgroup.display()));
                }
            }
        }
        for line in host("ip", &["-oneline", "link"]).lines() {
            let name = line.split(": ").nth(1).unwrap_or_default();
            found.insert(format!("link {}", name.split('@').next().unwrap_or_default()));
        }
        // The elements of a set come in any order.
        let rules = host("nft", &["list", "ruleset"]).replace("elements = {", "");
        found.extend(
            rules.split([',', '\n']).map(|rule| format!("rule {}", rule.trim_matches([' ', '\t', '}']))),
        );
        found
    }
}

fn files(at: &Path, base: &Path, depth: usize, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(at).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(base).unwrap().display().to_string();
        // Databases come with files that come and go; what is thrown away is counted by the store.
        let passing = [".db", "data/trash", "data/store/index.json"].iter().any(|word| name.contains(word));
        if passing {
            continue;
        }
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&path, base, depth - 1, found);
        }
        found.insert(name);
    }
}

fn host(program: &str, arguments: &[&str]) -> String {
    let output = testkit::tool::output(Command::new(program).args(arguments));
    String::from_utf8_lossy(&output).into_owned()
}
