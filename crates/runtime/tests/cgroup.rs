//! Cgroups against the kernel, as root: on whatever hierarchies the machine has.
//!
//! A test is a line of [`TESTS`]. The program runs them one after the other on its only thread, or
//! the one that is named on its command line.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program of tests")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::{
        fd::{AsFd, AsRawFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Instant,
};

use longshore_runtime::{
    cgroup::{Cgroup, CgroupError, Driver, GroupRecord, Layout, OomEvent, Record, plan},
    spec::{DeviceRule, Resources, Spec},
};
use longshore_sys::clone::{Cloned, clone3};
use longshore_types::ContainerId;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::Signal,
};

const TESTS: [(&str, fn()); 13] = [
    ("limits_are_there_before_anybody_is", limits_are_there_before_anybody_is),
    ("a_failure_leaves_nothing_and_names_the_limit", a_failure_leaves_nothing_and_names_the_limit),
    ("limits_that_this_kernel_has_not_are_errors", limits_that_this_kernel_has_not_are_errors),
    (
        "a_member_is_inside_every_cgroup_and_ends_with_them",
        a_member_is_inside_every_cgroup_and_ends_with_them,
    ),
    ("a_frozen_container_is_thawed_or_killed", a_frozen_container_is_thawed_or_killed),
    ("an_update_finds_the_order_that_the_kernel_takes", an_update_finds_the_order_that_the_kernel_takes),
    ("an_unlisted_device_does_not_open", an_unlisted_device_does_not_open),
    ("an_oom_kill_is_announced", an_oom_kill_is_announced),
    ("cgroups_of_the_containers_own_making_go_too", cgroups_of_the_containers_own_making_go_too),
    ("joining_is_fast", joining_is_fast),
    (
        "huge_pages_are_limited_wherever_their_controller_is",
        huge_pages_are_limited_wherever_their_controller_is,
    ),
    ("systemd_makes_a_scope", systemd_makes_a_scope),
    ("without_permission_a_limit_is_an_error", without_permission_a_limit_is_an_error),
];

fn main() {
    if std::env::var_os("MEMBER_OF").is_some() {
        return member();
    }
    if let Ok(resources) = std::env::var("UNPRIVILEGED_WITH") {
        return unprivileged(&resources);
    }
    // What test runners ask of a program of tests (cargo-nextest's book, "Custom test harnesses").
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        for (name, _) in TESTS.iter().filter(|_| !has("--ignored")) {
            println!("{name}: test");
        }
        return;
    }
    let only = arguments.iter().find(|argument| !argument.starts_with('-'));
    let mut failed = Vec::new();
    for (name, test) in TESTS {
        let chosen = only.is_none_or(|only| if has("--exact") { name == only } else { name.contains(only) });
        if !chosen {
            continue;
        }
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{} tests failed: {failed:?}", failed.len());
}

/// The directory above the cgroups of one test, removed at its end with all below.
struct Bed {
    top: &'static str,
    cgroup: Cgroup,
}

impl Drop for Bed {
    fn drop(&mut self) {
        let killed = self.cgroup.kill_all(Signal::KILL);
        let removed = self.cgroup.remove();
        let tops = Layout::detect()
            .unwrap()
            .hierarchies()
            .iter()
            .map(|hierarchy| hierarchy.mountpoint.join(self.top))
            .collect::<Vec<_>>();
        let emptied: Vec<_> = tops.iter().map(fs::remove_dir).collect();
        // A second panic would end the program before it told of the first.
        if !std::thread::panicking() {
            killed.unwrap();
            removed.unwrap();
            emptied.into_iter().for_each(|result| result.unwrap());
        }
    }
}

fn spec(path: &str, resources: &str) -> Spec {
    let json =
        format!(r#"{{"ociVersion":"1.0.2","linux":{{"cgroupsPath":"{path}","resources":{resources}}}}}"#);
    serde_json::from_str(&json).unwrap()
}

fn create(top: &'static str, resources: &str) -> Result<Bed, CgroupError> {
    let host = Layout::detect().unwrap();
    let id = ContainerId::new("t").unwrap();
    let plan = plan(&spec(&format!("/{top}/x"), resources), &id, Driver::Cgroupfs, &host, false)?;
    let packed = postcard::to_stdvec(&plan).unwrap();
    let plan = postcard::from_bytes(&packed).unwrap();
    Cgroup::create(&plan, &host).map(|cgroup| Bed { top, cgroup })
}

impl Bed {
    fn resources(&self, json: &str) -> Result<(), CgroupError> {
        self.cgroup.update(&serde_json::from_str::<Resources>(json).unwrap())
    }

    /// The content of `v1` or `v2`, whichever the machine has `controller` in.
    fn read(&self, controller: &'static str, v1: &str, v2: &str) -> String {
        let group = self.group(controller);
        read(&group.path, if group.version == 1 { v1 } else { v2 })
    }

    fn is_v1(&self, controller: &'static str) -> bool {
        self.group(controller).version == 1
    }

    fn group(&self, controller: &'static str) -> GroupRecord {
        let path = self.cgroup.path(controller).unwrap();
        self.cgroup.record().groups.into_iter().find(|group| group.path == path).unwrap()
    }
}

fn read(path: &Path, name: &str) -> String {
    fs::read_to_string(path.join(name)).unwrap().trim().to_owned()
}

/// A process with a child in the cgroup, which does what `task` says and then waits.
struct Member {
    keeper: Child,
    output: BufReader<ChildStdout>,
}

impl Member {
    fn start(cgroup: &Cgroup, task: &str) -> Self {
        let mut keeper = Command::new(std::env::current_exe().unwrap())
            .env("MEMBER_OF", serde_json::to_string(&cgroup.record()).unwrap())
            .env("MEMBER_TASK", task)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(keeper.stdout.take().unwrap());
        Self { keeper, output }
    }

    /// What the member said last: the next line that begins with `member: `.
    fn says(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the member is gone");
            if let Some(said) = line.strip_prefix("member: ") {
                return said.trim().to_owned();
            }
        }
    }

    /// Lets the member end by itself: after a `cgroup.kill` nobody could be born there again (see
    /// `Joiner::join_late`).
    fn dismiss(mut self) {
        drop(self.keeper.stdin.take());
        assert_eq!(self.end(), "ended by signal None");
    }

    /// Waits until the member is gone, and says how it went.
    fn end(mut self) -> String {
        let said = self.says();
        self.keeper.wait().unwrap();
        said
    }
}

/// What [`Member`] runs.
fn member() {
    let record: Record = serde_json::from_str(&std::env::var("MEMBER_OF").unwrap()).unwrap();
    let joiner = Cgroup::open(&record).unwrap().joiner().unwrap();
    let Cloned::Parent { pidfd, .. } = clone3(0, joiner.into.as_ref().map(AsFd::as_fd)).unwrap() else {
        let begin = Instant::now();
        joiner.join_self().unwrap();
        match &*std::env::var("MEMBER_TASK").unwrap() {
            "time" => println!("member: joined in {}", begin.elapsed().as_micros()),
            other => task(other),
        }
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    };
    let id = rustix::process::WaitId::PidFd(pidfd.as_fd());
    let status = rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED).unwrap().unwrap();
    println!("member: ended by signal {:?}", status.terminating_signal());
}

fn task(task: &str) {
    match task {
        "open" => {
            let open = |path: &str| fs::File::open(path).map(drop).map_err(|error| error.raw_os_error());
            println!("member: null {:?}, kmsg {:?}", open("/dev/null"), open("/dev/kmsg"));
        }
        "eat" => {
            println!("member: in");
            // Touched page by page, and more than any test allows.
            let mut eaten: Vec<Vec<u8>> = Vec::new();
            for _ in 0..1024 {
                eaten.push(vec![1; 1 << 20]);
            }
            println!("member: full {}", eaten.len());
        }
        _ => println!("member: in"),
    }
}

fn limits_are_there_before_anybody_is() {
    let bed = create(
        "longshore-test-limits",
        r#"{"memory":{"limit":33554432,"swap":67108864},"pids":{"limit":7},
            "cpu":{"shares":512,"quota":20000,"period":50000,"cpus":"0","mems":"0"}}"#,
    )
    .unwrap();
    for (controller, v1, value1, v2, value2) in [
        ("memory", "memory.limit_in_bytes", "33554432", "memory.max", "33554432"),
        ("memory", "memory.memsw.limit_in_bytes", "67108864", "memory.swap.max", "33554432"),
        ("pids", "pids.max", "7", "pids.max", "7"),
        ("cpu", "cpu.shares", "512", "cpu.weight", "59"),
        ("cpu", "cpu.cfs_quota_us", "20000", "cpu.max", "20000 50000"),
        ("cpu", "cpu.cfs_period_us", "50000", "cpu.max", "20000 50000"),
        ("cpuset", "cpuset.cpus", "0", "cpuset.cpus", "0"),
    ] {
        let expected = if bed.is_v1(controller) { value1 } else { value2 };
        assert_eq!(bed.read(controller, v1, v2), expected, "{v1}, {v2}");
    }
    let again = Cgroup::open(&bed.cgroup.record()).unwrap();
    assert_eq!(again.record(), bed.cgroup.record());
    drop(bed);
    assert!(again.record().groups.iter().all(|group| !group.path.exists()));
}

fn a_failure_leaves_nothing_and_names_the_limit() {
    let error = create("longshore-test-fail", r#"{"cpu":{"cpus":"4000"}}"#).err().unwrap();
    assert!(error.to_string().starts_with("cpu.cpus: cannot write \"4000\" to /sys/fs/cgroup"), "{error}");
    for hierarchy in Layout::detect().unwrap().hierarchies() {
        assert!(!hierarchy.mountpoint.join("longshore-test-fail").exists());
    }
}

fn limits_that_this_kernel_has_not_are_errors() {
    let error = create("longshore-test-huge", r#"{"hugepageLimits":[{"pageSize":"3MB","limit":1}]}"#);
    let error = error.err().unwrap().to_string();
    assert!(
        error.starts_with("hugepageLimits[3MB] cannot be held: the kernel has no hugetlb.3MB."),
        "{error}"
    );
}

fn a_member_is_inside_every_cgroup_and_ends_with_them() {
    let bed = create("longshore-test-member", r#"{"cpu":{"cpus":"0"}}"#).unwrap();
    let mut member = Member::start(&bed.cgroup, "");
    assert_eq!(member.says(), "in");
    let [pid] = bed.cgroup.pids(true).unwrap()[..] else { panic!("one process is inside") };
    let seen = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    for line in seen.lines() {
        let mounted =
            Layout::detect().unwrap().hierarchies().iter().any(|h| line.contains(&h.controllers.join(",")));
        assert!(!mounted || line.ends_with(":/longshore-test-member/x"), "{line}");
    }

    let error = create_in_place_of(&bed).unwrap_err();
    assert!(matches!(error, CgroupError::NotEmpty { processes: 1, .. }), "{error}");

    let stats = bed.cgroup.stats().unwrap();
    assert_eq!(stats.pids.current, 1);
    assert!(stats.cpu.usage.total > 0 && stats.memory.usage.usage > 0, "{stats:?}");

    bed.cgroup.kill_all(Signal::KILL).unwrap();
    assert_eq!(member.end(), "ended by signal Some(9)");
    assert_eq!(bed.cgroup.pids(true).unwrap(), [0; 0]);
}

/// Makes the cgroups of `bed` once more.
fn create_in_place_of(bed: &Bed) -> Result<(), CgroupError> {
    let host = Layout::detect().unwrap();
    let id = ContainerId::new("t").unwrap();
    let plan = plan(&spec(&format!("/{}/x", bed.top), "{}"), &id, Driver::Cgroupfs, &host, false)?;
    Cgroup::create(&plan, &host).map(drop)
}

fn a_frozen_container_is_thawed_or_killed() {
    let bed = create("longshore-test-freeze", "{}").unwrap();
    let mut member = Member::start(&bed.cgroup, "");
    assert_eq!(member.says(), "in");
    let [pid] = bed.cgroup.pids(false).unwrap()[..] else { panic!("one process is inside") };
    assert!(!bed.cgroup.is_frozen().unwrap());
    bed.cgroup.freeze().unwrap();
    assert!(bed.cgroup.is_frozen().unwrap());
    let wchan = |pid| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert!(["D", "S", "R"].contains(&wchan(pid).split(' ').nth(2).unwrap()));
    bed.cgroup.thaw().unwrap();
    assert!(!bed.cgroup.is_frozen().unwrap());

    bed.cgroup.freeze().unwrap();
    bed.cgroup.kill_all(Signal::TERM).unwrap();
    assert!(bed.cgroup.is_frozen().unwrap(), "a signal is no thaw");
    assert_eq!(bed.cgroup.pids(true).unwrap(), [pid]);
    bed.cgroup.kill_all(Signal::KILL).unwrap();
    assert!(member.end().starts_with("ended by signal Some("));

    // An empty one, left frozen by somebody, is not taken over.
    bed.cgroup.freeze().unwrap();
    assert!(matches!(create_in_place_of(&bed), Err(CgroupError::Frozen { .. })));
    bed.cgroup.thaw().unwrap();
    create_in_place_of(&bed).unwrap();
}

fn an_update_finds_the_order_that_the_kernel_takes() {
    let bed = create("longshore-test-update", r#"{"memory":{"limit":33554432,"swap":33554432}}"#).unwrap();
    let memory = || {
        (
            bed.read("memory", "memory.limit_in_bytes", "memory.max"),
            bed.read("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"),
        )
    };
    let v1 = bed.is_v1("memory");
    for (update, limit, memsw, swap) in [
        (r#"{"memory":{"limit":67108864,"swap":134217728}}"#, "67108864", "134217728", "67108864"),
        (r#"{"memory":{"limit":16777216,"swap":33554432}}"#, "16777216", "33554432", "16777216"),
        (r#"{"memory":{"limit":8388608}}"#, "8388608", "33554432", "25165824"),
        (r#"{"memory":{"swap":16777216}}"#, "8388608", "16777216", "8388608"),
    ] {
        bed.resources(update).unwrap();
        let swap = if v1 { memsw } else { swap };
        assert_eq!(memory(), (limit.to_owned(), swap.to_owned()), "{update}");
    }
    bed.resources(r#"{"memory":{"limit":-1}}"#).unwrap();
    let unlimited = if v1 { "9223372036854771712" } else { "max" };
    assert_eq!(memory(), (unlimited.to_owned(), unlimited.to_owned()));

    let cpu = || {
        let quota = bed.read("cpu", "cpu.cfs_quota_us", "cpu.max");
        if bed.is_v1("cpu") { format!("{quota} {}", bed.read("cpu", "cpu.cfs_period_us", "")) } else { quota }
    };
    for (update, expected) in [
        (r#"{"cpu":{"quota":20000}}"#, "20000 100000"),
        (r#"{"cpu":{"period":50000}}"#, "20000 50000"),
        (r#"{"cpu":{"quota":1000,"period":1000,"burst":500}}"#, "1000 1000"),
        (r#"{"cpu":{"quota":900000,"period":900000,"burst":500000}}"#, "900000 900000"),
    ] {
        bed.resources(update).unwrap();
        assert_eq!(cpu(), expected, "{update}");
    }
    let error = bed.resources(r#"{"cpu":{"quota":1}}"#).unwrap_err().to_string();
    assert!(error.starts_with("cpu.quota: cannot write "), "{error}");
    bed.resources(r#"{"pids":{"limit":3}}"#).unwrap();
    assert_eq!(bed.cgroup.stats().unwrap().pids.limit, 3);
}

fn an_unlisted_device_does_not_open() {
    let bed = create("longshore-test-devices", "{}").unwrap();
    let said = |bed: &Bed| {
        let mut member = Member::start(&bed.cgroup, "open");
        let said = member.says();
        member.dismiss();
        said
    };
    assert_eq!(said(&bed), "null Ok(()), kmsg Err(Some(1))");
    let rules = serde_json::from_str::<Vec<DeviceRule>>(
        r#"[{"allow":true,"type":"c","major":1,"minor":11,"access":"r"}]"#,
    );
    bed.cgroup.replace_devices(&rules.unwrap()).unwrap();
    assert_eq!(said(&bed), "null Ok(()), kmsg Ok(())");
    bed.cgroup.replace_devices(&[]).unwrap();
    assert_eq!(said(&bed), "null Ok(()), kmsg Err(Some(1))");
}

fn an_oom_kill_is_announced() {
    let bed = create("longshore-test-oom", r#"{"memory":{"limit":16777216,"swap":16777216}}"#).unwrap();
    let mut watch = bed.cgroup.watch_oom().unwrap();
    assert_eq!(watch.read().unwrap(), OomEvent::Nothing);
    let member = Member::start(&bed.cgroup, "eat");
    let event = loop {
        poll(&mut [PollFd::new(&watch, PollFlags::IN)], None).unwrap();
        match watch.read().unwrap() {
            OomEvent::Nothing => {}
            event => break event,
        }
    };
    assert_eq!(event, OomEvent::Oom);
    let mut member = member;
    assert_eq!(member.says(), "in");
    assert_eq!(member.end(), "ended by signal Some(9)");
    assert_eq!(bed.cgroup.oom_kills().unwrap(), 1);
}

fn cgroups_of_the_containers_own_making_go_too() {
    let bed = create("longshore-test-nested", "{}").unwrap();
    for group in bed.cgroup.record().groups {
        fs::create_dir_all(group.path.join("a/b")).unwrap();
    }
    let inner = bed.cgroup.record().groups.into_iter().map(|mut group| {
        group.path.push("a/b");
        group
    });
    let inner = Cgroup::open(&Record { groups: inner.collect(), ..bed.cgroup.record() }).unwrap();
    if bed.is_v1("cpuset") {
        for name in ["cpuset.cpus", "cpuset.mems"] {
            let path = bed.cgroup.path("cpuset").unwrap();
            fs::write(path.join("a").join(name), read(path, name)).unwrap();
            fs::write(path.join("a/b").join(name), read(path, name)).unwrap();
        }
    }
    let mut member = Member::start(&inner, "");
    assert_eq!(member.says(), "in");
    assert_eq!(bed.cgroup.pids(false).unwrap(), [0; 0]);
    let [pid] = bed.cgroup.pids(true).unwrap()[..] else { panic!("one process is inside") };
    if let Some(dir) = bed.cgroup.joiner_beside(pid).unwrap().into {
        let path = fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).unwrap();
        assert!(path.ends_with("longshore-test-nested/x/a/b"), "{}", path.display());
    }
    bed.cgroup.kill_all(Signal::KILL).unwrap();
    member.end();
    bed.cgroup.remove().unwrap();
}

/// Joining by oneself does not wait for a grace period of RCU, even when nobody joined for long.
fn joining_is_fast() {
    let bed = create("longshore-test-fast", "{}").unwrap();
    let mut fastest = u128::MAX;
    for _ in 0..5 {
        let mut member = Member::start(&bed.cgroup, "time");
        let said = member.says();
        fastest = fastest.min(said.strip_prefix("joined in ").unwrap().parse().unwrap());
        member.dismiss();
    }
    // The wait is 5 ms and more on an idle machine; the bound leaves room for an emulated one.
    assert!(fastest < 3000, "{fastest} us");
}

fn huge_pages_are_limited_wherever_their_controller_is() {
    if !Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists() {
        return println!("CANNOT RUN HERE: no huge pages of 2 MB");
    }
    let bed =
        create("longshore-test-pages", r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#).unwrap();
    assert_eq!(bed.read("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max"), "4194304");
    assert!(bed.cgroup.stats().unwrap().hugetlb.contains_key("2MB"));
}

fn systemd_makes_a_scope() {
    if !Path::new("/run/systemd/private").exists() {
        return println!("CANNOT RUN HERE: no systemd");
    }
    let host = Layout::detect().unwrap();
    let id = ContainerId::new("t").unwrap();
    let spec = spec(
        "longshore-test.slice:longshore:scope",
        r#"{"memory":{"limit":33554432,"swap":67108864},"pids":{"limit":20},"cpu":{"shares":512,"quota":20000,"period":50000,"cpus":"0"}}"#,
    );
    let plan = plan(&spec, &id, Driver::Systemd, &host, false).unwrap();
    let cgroup = Cgroup::create(&plan, &host).unwrap();
    let record = cgroup.record();
    assert_eq!(record.unit.as_deref(), Some("longshore-scope.scope"));
    for group in &record.groups {
        assert!(group.path.ends_with("longshore.slice/longshore-test.slice/longshore-scope.scope"));
    }
    let mut member = Member::start(&cgroup, "open");
    assert_eq!(member.says(), "null Ok(()), kmsg Err(Some(1))");
    assert_eq!(cgroup.pids(true).unwrap().len(), 2, "the placeholder and the member");
    cgroup.settle();

    let bed = Bed { top: "longshore.slice", cgroup: Cgroup::open(&record).unwrap() };
    assert_eq!(bed.cgroup.pids(true).unwrap().len(), 1, "the member");
    assert_eq!(bed.read("memory", "memory.limit_in_bytes", "memory.max"), "33554432");
    assert_eq!(bed.read("pids", "pids.max", "pids.max"), "20");
    let show = |property: &str| {
        let mut systemctl = Command::new("systemctl");
        let output = systemctl.args(["show", "--value", "-p", property, "longshore-scope.scope"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
    };
    assert_eq!((&*show("TasksMax"), &*show("ActiveState")), ("20", "active"));
    bed.resources(r#"{"pids":{"limit":30}}"#).unwrap();
    assert_eq!((bed.read("pids", "pids.max", "pids.max"), show("TasksMax")), ("30".into(), "30".into()));

    // What systemd sets again when it reloads is what it was told.
    Command::new("systemctl").arg("daemon-reload").status().unwrap();
    assert_eq!(bed.read("memory", "memory.limit_in_bytes", "memory.max"), "33554432");
    assert_eq!(bed.read("cpu", "cpu.shares", "cpu.weight"), if bed.is_v1("cpu") { "512" } else { "59" });

    bed.cgroup.kill_all(Signal::KILL).unwrap();
    assert_eq!(member.end(), "ended by signal Some(9)");
    bed.cgroup.remove().unwrap();
    assert!(record.groups.iter().all(|group| !group.path.exists()));
    bed.cgroup.remove().unwrap();
    assert_eq!(show("LoadState"), "not-found");
    // The slices are systemd's; they go when nothing is in them.
    Command::new("systemctl").args(["stop", "longshore-test.slice", "longshore.slice"]).status().unwrap();
    std::mem::forget(bed);
}

/// As somebody who may not make cgroups: without limits and path the container does without them,
/// and a limit is not dropped.
fn without_permission_a_limit_is_an_error() {
    for (task, expected) in [
        ("{}", "no cgroup"),
        (r#"{"pids":{"limit":5}}"#, "pids.limit needs a cgroup, and this user may not make "),
    ] {
        // Through /proc, since this user may not be able to look into the directory of the program.
        let output = Command::new("/proc/self/exe")
            .env("UNPRIVILEGED_WITH", task)
            .uid(65534)
            .gid(65534)
            .current_dir("/")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with(expected), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What [`without_permission_a_limit_is_an_error`] runs.
fn unprivileged(resources: &str) {
    let host = Layout::detect().unwrap();
    let plan =
        plan(&spec("", resources), &ContainerId::new("t").unwrap(), Driver::Cgroupfs, &host, true).unwrap();
    match Cgroup::create(&plan, &host) {
        Ok(cgroup) => {
            assert_eq!(cgroup.record().groups.len(), 0);
            println!("no cgroup");
        }
        Err(error) => println!("{error}"),
    }
}
