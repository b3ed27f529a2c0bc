//! Nothing of the runtime may reach the container: descriptors, program file, memory.

use std::fs;
use std::path::Path;
use testkit::{Bed, Bundle, Output, beyond_reference, race_rounds, rounds};

/// Runs the runtime with host directories open at 7, 8 and 9, which it was not told to pass on.
fn with_open_descriptors(bed: &Bed, args: &[&str]) -> Output {
    let script = "exec 7</sys/fs/cgroup 8</ 9</proc \"$@\"";
    bed.call("/bin/sh")
        .args(["-c", script, "sh"])
        .arg(bed.program())
        .arg("--root")
        .arg(bed.root())
        .args(args)
        .output()
}

fn run_with_open_descriptors(bed: &Bed, bundle: &Bundle) -> Output {
    let dir = bundle.dir().to_str().expect("a path of ours");
    with_open_descriptors(bed, &["run", "--bundle", dir, &bed.container_id()])
}

fn hash(path: &Path) -> Vec<u8> {
    fs::read(path).expect("the program under test")
}

/// Executes commands in a container in which the stalker waits for them; returns its loot.
fn stalked(bed: &Bed, executions: usize, command: &[&str]) -> Vec<String> {
    let mut bundle = bed.bundle();
    bundle.args(&["/probe", "stalk"]);
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    for _ in 0..executions {
        container.exec(command);
    }
    // Init ends at once and takes this with it.
    container.exec(&["/bin/touch", "/stop"]);
    serde_json::from_str(&container.line()).expect("the stalker's answer")
}

#[test]
fn a1_02_exec_is_not_robbed_of_descriptors_while_it_joins() {
    let bed = Bed::new("a1-02");
    let loot = stalked(&bed, race_rounds(100), &["/bin/true"]);
    assert!(loot.is_empty(), "{loot:?}");
}

#[test]
fn a1_03_runtime_binary_cannot_be_opened_for_writing() {
    let bed = Bed::new("a1-03");
    let before = hash(bed.program());
    let mut bundle = bed.bundle();
    testkit::write_programs(|| fs::write(bundle.rootfs("trap"), "#!/proc/self/exe\n")).unwrap();
    let loot = stalked(&bed, race_rounds(100), &["/proc/self/exe", "--version"]);
    assert!(loot.iter().all(|what| !what.contains("writing")), "{loot:?}");
    fs::set_permissions(bundle.rootfs("trap"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for entry in ["/proc/self/exe", "/trap"] {
        bundle.args(&[entry]);
        // What it does then is nobody's promise; what it cannot do is.
        bed.run(&bundle);
        bundle.sh("exec 3<>/proc/1/exe");
    }
    assert!(before == hash(bed.program()), "the program file changed");
}

#[test]
fn a1_15_fd_leak_through_cwd() {
    let bed = Bed::new("a1-15");
    let mut bundle = bed.bundle();
    bundle.args(&["/bin/ls", "."]);
    for number in 3..3 + rounds(40) {
        bundle.set("/process/cwd", format!("/proc/self/fd/{number}").into());
        let output = run_with_open_descriptors(&bed, &bundle);
        assert_ne!(output.code, 0, "descriptor {number}: {output:?}");
    }
}

#[test]
fn a1_15_fd_leak_through_cwd_of_exec() {
    let bed = Bed::new("a1-15x");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; read x < /tmp; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    for number in 3..3 + rounds(40) {
        let cwd = format!("/proc/self/fd/{number}");
        let output = with_open_descriptors(&bed, &["exec", "--cwd", &cwd, container.id(), "/bin/ls", "."]);
        assert_ne!(output.code, 0, "descriptor {number}: {output:?}");
    }
    container.kill("KILL").ok();
}

#[test]
fn c4_45_only_standard_descriptors_in_run() {
    let bed = Bed::new("c4-45");
    let report = run_with_open_descriptors(&bed, &bed.bundle()).report();
    let numbers: Vec<i32> = report.descriptors.iter().map(|descriptor| descriptor.number).collect();
    assert_eq!(numbers, [0, 1, 2], "{:?}", report.descriptors);
    assert_eq!(report.cwd, "/");
}

#[test]
fn c4_45_only_standard_descriptors_in_exec() {
    let bed = Bed::new("c4-45x");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let report = with_open_descriptors(&bed, &["exec", container.id(), "/probe"]).report();
    let numbers: Vec<i32> = report.descriptors.iter().map(|descriptor| descriptor.number).collect();
    assert_eq!(numbers, [0, 1, 2], "{:?}", report.descriptors);
}

#[test]
fn c4_45_only_standard_descriptors_in_hooks() {
    let bed = Bed::new("c4-45h");
    beyond_reference!(bed, "hooks without inherited descriptors");
    let mut bundle = bed.bundle();
    let probe = bundle.rootfs("probe");
    // Not the whole report: most of these run on the host, whose devices and cgroups it would try.
    for hook in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let out = bed.dir().join(hook);
        let seen = if hook == "startContainer" { "/tmp/hook".to_owned() } else { out.display().to_string() };
        let (shell, probe) = match hook {
            "startContainer" => ("/bin/sh", "/probe".to_owned()),
            _ => ("/bin/sh", probe.display().to_string()),
        };
        let hooks = serde_json::json!({ "path": shell, "args": ["sh", "-c", format!("{probe} descriptors > {seen}")] });
        bundle.push(&format!("/hooks/{hook}"), hooks);
    }
    run_with_open_descriptors(&bed, &bundle).ok();
    for hook in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let file = if hook == "startContainer" { bundle.rootfs("tmp/hook") } else { bed.dir().join(hook) };
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{hook}: {error}"));
        let seen: Vec<testkit::report::Descriptor> = serde_json::from_str(&text).unwrap();
        let numbers: Vec<i32> = seen.iter().map(|descriptor| descriptor.number).collect();
        assert_eq!(numbers, [0, 1, 2], "{hook}: {seen:?}");
    }
}

#[test]
fn c4_45_preserved_descriptors_and_no_others() {
    let bed = Bed::new("c4-45p");
    let bundle = bed.bundle();
    let dir = bundle.dir().to_str().unwrap();
    let script = "exec 3</dev/zero 4</dev/full 7</ \"$@\"";
    let output = bed
        .call("/bin/sh")
        .args(["-c", script, "sh"])
        .arg(bed.program())
        .arg("--root")
        .arg(bed.root())
        .args(["run", "--preserve-fds", "2", "--bundle", dir, &bed.container_id()])
        .output();
    let report = output.report();
    let seen: Vec<(i32, &str)> =
        report.descriptors.iter().skip(3).map(|known| (known.number, known.target.as_str())).collect();
    assert_eq!(seen, [(3, "/dev/zero"), (4, "/dev/full")]);
}

#[test]
fn c4_46_program_files_of_processes_cannot_be_written() {
    let bed = Bed::new("c4-46");
    let before = hash(bed.program());
    let mut bundle = bed.bundle();
    bundle.sh(
        "for exe in /proc/self/exe /proc/1/exe; do (exec 3>>$exe) 2>/dev/null && echo $exe; done; echo end",
    );
    assert_eq!(bed.run(&bundle).ok().stdout, "end\n");
    assert!(before == hash(bed.program()), "the program file changed");
}
