use std::{
    error::Error,
    fs,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{Cause, Kind, MAX_OUTPUT, run, run_all};
use crate::spec::Hook;

fn shell(script: &str) -> Hook {
    Hook { path: "/bin/sh".into(), args: vec!["sh".into(), "-c".into(), script.into()], ..Hook::default() }
}

/// A file name for a hook to write to, removed at the end.
struct Output(PathBuf);

impl Output {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("longshore-hook-{}-{name}", std::process::id()));
        drop(fs::remove_file(&path));
        Self(path)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn a_hook_reads_the_state_and_sees_its_environment_alone() {
    let output = Output::new("stdin");
    let mut hook = shell(&format!("exec >{}; cat; echo; env | sort; echo $0", output.0.display()));
    hook.args[0] = "my-name".into();
    hook.args.push("zero".into());
    hook.env = vec!["A=1".into(), "B=x=y".into()];
    run(Kind::Prestart, &[hook], br#"{"id":"c"}"#).unwrap();
    // PWD, SHLVL and _ are the shell's own.
    let lines: Vec<_> = output
        .text()
        .lines()
        .filter(|line| !["PWD=", "SHLVL=", "_=", "OLDPWD="].iter().any(|own| line.starts_with(own)))
        .map(String::from)
        .collect();
    assert_eq!(lines, [r#"{"id":"c"}"#, "A=1", "B=x=y", "zero"]);
}

#[test]
fn argv_is_the_specs_own() {
    let output = Output::new("argv");
    let script = format!("tr '\\0' ' ' </proc/$$/cmdline >{}", output.0.display());
    let mut hook = shell(&script);
    hook.args[0] = "not-the-path".into();
    hook.env = vec!["PATH=/usr/bin:/bin".into()];
    run(Kind::Prestart, &[hook], b"{}").unwrap();
    assert!(output.text().starts_with("not-the-path -c"), "{}", output.text());
}

#[test]
fn a_state_larger_than_a_pipe_reaches_the_hook() {
    let output = Output::new("large");
    let state = vec![b'x'; 1 << 20];
    run(Kind::Prestart, &[shell(&format!("wc -c >{}", output.0.display()))], &state).unwrap();
    assert_eq!(output.text().trim(), "1048576");
    // One that never reads it is no failure either.
    run(Kind::Prestart, &[shell("exit 0")], &state).unwrap();
}

#[test]
fn the_first_failure_stops_and_names_the_hook() {
    let output = Output::new("stops");
    let mark = |text: &str| shell(&format!("echo {text} >>{}", output.0.display()));
    let failing = shell("echo out; echo 'bad luck' >&2; exit 7");
    let hooks = [mark("first"), failing, mark("third")];
    let error = run(Kind::CreateRuntime, &hooks, b"{}").unwrap_err();
    assert_eq!(error.to_string(), "createRuntime hook #1 (/bin/sh)");
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, r#"exit status: 7, printed "out\nbad luck""#);
    assert_eq!(output.text(), "first\n");

    let errors = run_all(Kind::Poststop, &hooks, b"{}");
    assert_eq!(errors.iter().map(|error| error.index).collect::<Vec<_>>(), [1]);
    assert_eq!(output.text(), "first\nfirst\nthird\n");
}

#[test]
fn a_hook_that_cannot_run_is_an_error() {
    let hook = |path: &str, timeout| Hook { path: path.into(), timeout, ..Hook::default() };
    let cause = |hook| run(Kind::Poststart, &[hook], b"{}").unwrap_err().cause;
    assert!(matches!(cause(hook("bin/true", None)), Cause::RelativePath));
    assert!(matches!(cause(hook("/nonexistent", None)), Cause::Run { action: "run it", .. }));
    assert!(matches!(cause(hook("/bin/true", Some(0))), Cause::BadTimeout { seconds: 0 }));
    assert!(matches!(cause(hook("/bin/true", Some(-1))), Cause::BadTimeout { seconds: -1 }));
    run(Kind::Poststart, &[hook("/bin/true", Some(i64::MAX))], b"{}").unwrap();
}

#[test]
fn output_is_bounded_and_never_blocks_the_hook() {
    let failing = shell(
        "i=0; while [ $i -lt 5000 ]; do echo 0123456789012345678901234567890; i=$((i+1)); done; exit 1",
    );
    let error = run(Kind::Prestart, &[failing], b"{}").unwrap_err();
    let Cause::Failed { output, .. } = error.cause else { panic!("{error:?}") };
    assert_eq!(output.len(), MAX_OUTPUT);
}

#[test]
fn time_out_kills_the_whole_group() {
    let output = Output::new("group");
    // Both of the group sleep far longer than the test; the lock tells when they are gone.
    let script =
        format!("exec 9>{0}; flock -x 9; sleep 600 & echo waiting >&2; sleep 600", output.0.display());
    let mut hook = shell(&script);
    hook.env = vec!["PATH=/usr/bin:/bin".into()];
    hook.timeout = Some(1);
    let start = Instant::now();
    let error = run(Kind::Prestart, &[hook], b"{}").unwrap_err();
    assert!(start.elapsed() >= Duration::from_secs(1));
    let Cause::TimedOut { seconds: 1, output: printed } = &error.cause else { panic!("{error:?}") };
    assert_eq!(printed, "waiting\n");
    let file = fs::File::options().write(true).open(&output.0).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(start.elapsed() < Duration::from_secs(300));
}

#[test]
fn one_left_behind_does_not_hold_up_the_rest() {
    let start = Instant::now();
    let mut hook = shell("sleep 5 & exit 0");
    hook.env = vec!["PATH=/usr/bin:/bin".into()];
    run(Kind::Prestart, &[hook], b"{}").unwrap();
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn no_descriptor_leaks_into_a_hook() {
    let secret = Output::new("secret");
    let mut file = fs::File::options().append(true).create(true).open(&secret.0).unwrap();
    file.write_all(b"secret").unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let output = Output::new("fds");
    let mut hook = shell(&format!("exec ls /proc/self/fd >{}", output.0.display()));
    hook.env = vec!["PATH=/usr/bin:/bin".into()];
    run(Kind::Prestart, &[hook], b"{}").unwrap();
    // 3 is what `ls` itself opened.
    assert_eq!(output.text().split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}
