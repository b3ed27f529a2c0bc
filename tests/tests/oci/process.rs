//! What is executed, where and with which environment.

use serde_json::json;
use testkit::{Bed, beyond_reference};

#[test]
fn arguments_environment_and_directory() {
    let bed = Bed::new("prargs");
    let mut bundle = bed.bundle();
    bundle.args(&["/probe", "report"]);
    bundle.set("/process/env", json!(["A=1", "EMPTY=", "B=x=y", "PATH=/bin", "ODD=\u{e4}\n\t"]));
    bundle.set("/process/cwd", "/tmp".into());
    let report = bed.run(&bundle).report();
    assert_eq!(report.args, ["/probe", "report"]);
    assert_eq!(report.cwd, "/tmp");
    for (name, value) in [("A", "1"), ("EMPTY", ""), ("B", "x=y"), ("PATH", "/bin"), ("ODD", "\u{e4}\n\t")] {
        assert_eq!(report.env[name], value, "{name}");
    }
}

#[test]
fn the_last_value_of_a_variable_counts() {
    let bed = Bed::new("prenv");
    let mut bundle = bed.bundle();
    bundle.set("/process/env", json!(["PATH=/bin", "A=1", "A=2"])).sh("echo $A");
    assert_eq!(bed.run(&bundle).ok().stdout, "2\n");
}

#[test]
fn home_is_that_of_the_user() {
    let bed = Bed::new("prhome");
    let mut bundle = bed.bundle();
    bundle.set("/process/env", json!(["PATH=/bin"])).sh("echo $HOME");
    assert_eq!(bed.run(&bundle).ok().stdout, "/root\n");
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    assert_eq!(bed.run(&bundle).ok().stdout, "/home/user\n");
    bundle.set("/process/user", json!({ "uid": 4242, "gid": 4242 }));
    assert_eq!(bed.run(&bundle).ok().stdout, "/\n");
    bundle.set("/process/env", json!(["PATH=/bin", "HOME=/given"]));
    assert_eq!(bed.run(&bundle).ok().stdout, "/given\n");
}

#[test]
fn programs_are_found_by_the_containers_path() {
    let bed = Bed::new("prpath");
    let mut bundle = bed.bundle();
    bundle.args(&["echo", "found"]);
    assert_eq!(bed.run(&bundle).ok().stdout, "found\n");
    bundle.set("/process/env", json!(["PATH=/nowhere"]));
    let error = bed.run(&bundle).refused();
    assert!(error.contains("echo"), "{error}");
}

#[test]
fn a_working_directory_that_is_not_there_is_made() {
    let bed = Bed::new("prcwd");
    let mut bundle = bed.bundle();
    bundle.set("/process/cwd", "/made/for/you".into()).args(&["/bin/readlink", "/proc/self/cwd"]);
    assert_eq!(bed.run(&bundle).ok().stdout, "/made/for/you\n");
}

#[test]
fn signal_dispositions_are_the_defaults() {
    let bed = Bed::new("prsig");
    let report = bed.run(&bed.bundle()).report();
    let ignored = u64::from_str_radix(report.status("SigIgn"), 16).unwrap();
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let own = u64::from_str_radix(own.trim(), 16).unwrap();
    // The probe's own standard library ignores SIGPIPE; the caller's choice is passed on, and so
    // are 32 and 33, which posix_spawn of the C library ignores.
    assert_eq!(ignored & !(own | 1 << 12 | 3 << 31), 0, "{ignored:x}, the caller {own:x}");
    assert_eq!(report.status("SigBlk"), "0000000000000000");
}

#[test]
fn the_runtimes_own_processors_are_not_the_containers() {
    let bed = Bed::new("pcaff");
    beyond_reference!(bed, "all processors for a container, which runc gives from 1.4");
    let mut bundle = bed.bundle();
    bundle.args(&["/bin/grep", "Cpus_allowed_list", "/proc/self/status"]);
    let all = bed.run(&bundle).ok().stdout;
    let before = rustix::thread::sched_getaffinity(None).unwrap();
    let mut one = rustix::thread::CpuSet::new();
    one.set((0..64).find(|number| before.is_set(*number)).unwrap());
    rustix::thread::sched_setaffinity(None, &one).unwrap();
    let kept = bed.run(&bundle).ok().stdout;
    rustix::thread::sched_setaffinity(None, &before).unwrap();
    assert_eq!(kept, all);
}
