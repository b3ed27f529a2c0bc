//! exec: more processes in a running container.

use super::idle;
use serde_json::json;
use std::fs;
use testkit::report::Report;
use testkit::{Bed, Container};

fn probe(container: &Container<'_>, options: &[&str]) -> Report {
    container.exec_with(options, &["/probe"]).report()
}

#[test]
fn exec_returns_the_exit_code_and_the_output() {
    let bed = Bed::new("exec");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    let output = container.exec(&["/bin/sh", "-c", "echo out; echo err >&2; exit 9"]);
    assert_eq!((output.code, output.stdout.as_str()), (9, "out\n"), "{output:?}");
    assert!(output.stderr.contains("err\n"), "{output:?}");
    assert_eq!(container.exec(&["/bin/sh", "-c", "kill -9 $$"]).code, 128 + 9);
}

#[test]
fn exec_passes_standard_input() {
    let bed = Bed::new("execin");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    let input = bed.dir().join("input");
    fs::write(&input, "from outside\n").unwrap();
    let call = container.call("exec", &[]).arg("/bin/cat").stdin(fs::File::open(&input).unwrap());
    assert_eq!(call.output().ok().stdout, "from outside\n");
}

#[test]
fn exec_is_in_all_namespaces_of_init() {
    let bed = Bed::new("execns");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    let seen = probe(&container, &[]);
    for kind in ["mnt", "net", "uts", "pid", "ipc", "cgroup", "user", "time"] {
        let path = format!("/proc/{}/ns/{kind}", container.pid());
        let of_init = std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        assert_eq!(seen.namespaces[kind], of_init, "{kind}");
    }
    assert_eq!(seen.hostname, "longshore");
}

#[test]
fn exec_has_the_identity_of_the_container() {
    let bed = Bed::new("execid");
    let mut bundle = bed.bundle();
    bundle.set("/process/oomScoreAdj", 100.into());
    let container = idle(&bed, &mut bundle);
    let seen = probe(&container, &[]);
    let mask = testkit::identity::CAPABILITY_MASK;
    assert_eq!(seen.capabilities(), [0, mask, mask, mask, 0]);
    assert_eq!((seen.status("Seccomp"), seen.status("Seccomp_filters")), ("2", "1"));
    assert_eq!(seen.oom_score_adj, "100");
    assert_eq!(seen.status("Umask"), "0022");
    assert_eq!(seen.mount("/proc/sys").unwrap().options.iter().filter(|option| *option == "ro").count(), 1);
}

#[test]
fn options_of_exec() {
    let bed = Bed::new("execopt");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    let seen = probe(&container, &["--env", "A=1", "--env", "B=two words", "--cwd", "/tmp"]);
    assert_eq!((seen.env["A"].as_str(), seen.env["B"].as_str()), ("1", "two words"));
    assert_eq!(seen.cwd, "/tmp");
    assert!(seen.env["PATH"].contains("/usr/bin"), "the container's own environment stays");
    let seen =
        probe(&container, &["--user", "1000:1001", "--additional-gids", "7", "--additional-gids", "8"]);
    assert_eq!((seen.status("Uid"), seen.status("Gid")), ("1000 1000 1000 1000", "1001 1001 1001 1001"));
    let mut groups: Vec<&str> = seen.status("Groups").split_whitespace().collect();
    groups.retain(|group| ["7", "8"].contains(group));
    assert_eq!(groups, ["7", "8"]);
    let seen = probe(&container, &["--no-new-privs"]);
    assert_eq!(seen.status("NoNewPrivs"), "1");
    let seen = probe(&container, &["--cap", "CAP_NET_ADMIN"]);
    assert_ne!(seen.capabilities()[2] & (1 << 12), 0, "{:x?}", seen.capabilities());
}

#[test]
fn exec_of_a_process_document() {
    let bed = Bed::new("execdoc");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    let document = bed.dir().join("process.json");
    let process = json!({
        "args": ["/probe"], "cwd": "/var", "env": ["ONLY=this"], "user": { "uid": 5, "gid": 6, "umask": 0o77 },
        "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 77, "hard": 88 }],
        "capabilities": { "bounding": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"] },
        "noNewPrivileges": true,
    });
    fs::write(&document, process.to_string()).unwrap();
    let call = container.call("exec", &["--process", document.to_str().unwrap()]);
    let seen = call.output().report();
    assert_eq!(seen.cwd, "/var");
    assert_eq!(seen.env["ONLY"], "this");
    assert!(!seen.env.contains_key("PATH"), "{:?}", seen.env);
    assert_eq!((seen.status("Uid"), seen.status("Gid")), ("5 5 5 5", "6 6 6 6"));
    let (soft, hard) = &seen.limits["Max open files"];
    assert_eq!(hard, "88");
    // runc 1.1 passes on the limit that Go raised for itself.
    assert!(soft == "77" || !bed.is_product(), "{soft}");
    assert_eq!(seen.capabilities()[3], 1);
    assert_eq!(seen.status("NoNewPrivs"), "1");
    if bed.is_product() {
        // runc 1.1 leaves it out in exec.
        assert_eq!(seen.status("Umask"), "0077");
    }
}

#[test]
fn exec_in_the_background() {
    let bed = Bed::new("execbg");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    container.exec(&["/bin/mkfifo", "/tmp/fifo"]).ok();
    let script = "echo up > /tmp/fifo; exec sleep 1001";
    let process = container.exec_detached(&[], &["/bin/sh", "-c", script]);
    assert_eq!(fs::read_to_string(bundle.rootfs("tmp/fifo")).unwrap(), "up\n");
    let cgroups = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert_eq!(cgroups(process.pid), cgroups(container.pid()));
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    assert_eq!(namespace(process.pid), namespace(container.pid()));
}

#[test]
fn exec_needs_a_running_container() {
    let bed = Bed::new("execno");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    container.kill("KILL").ok();
    container.wait();
    container.exec(&["/bin/true"]).refused();
}

#[test]
fn exec_of_what_is_not_there() {
    let bed = Bed::new("execabs");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    let error = container.exec(&["/no/such/program"]).refused();
    assert!(error.contains("/no/such/program"), "{error}");
    let error = container.exec(&["/etc/passwd"]).refused();
    assert!(error.contains("/etc/passwd"), "{error}");
    container.exec_with(&["--cwd", "/no/such/dir/../../.."], &["/bin/true"]);
    // Init is none the worse for it.
    assert_eq!(container.status(), "running");
}

#[test]
fn exec_finds_programs_by_the_containers_path() {
    let bed = Bed::new("execpath");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    assert_eq!(container.exec(&["echo", "found"]).ok().stdout, "found\n");
    let error = container.exec(&["no-such-name"]).refused();
    assert!(error.contains("no-such-name"), "{error}");
}

#[test]
fn many_execs_leave_nothing_in_the_container() {
    let bed = Bed::new("execmany");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    for _ in 0..20 {
        container.exec(&["/bin/true"]).ok();
    }
    let pids: Vec<i64> = container.call("ps", &["--format", "json"]).output().ok().json();
    assert_eq!(pids, [i64::from(container.pid())]);
}
