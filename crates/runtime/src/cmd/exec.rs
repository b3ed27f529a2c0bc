use std::{
    io::Read,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use longshore_runtime::{
    exec::{self, ExecPlan, Running},
    init::ProcessIo,
    plan, seccomp,
    spec::{self, Process, Spec},
    state::{Dir, Record, Status},
};

use super::{
    Command, Matches, Outcome, container,
    failure::Failure,
    flag::{Arguments, Flag, Syntax},
    foreground::Foreground,
    global::{Global, absolute},
    inherited,
    launch::{console_receiver, write_pid},
    socket::Receiver,
    sub_cgroup,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "exec",
        flags: &[&[
            Flag::value("console-socket", "path", "unix socket that receives the master end of the terminal"),
            Flag::value("pidfd-socket", "path", "unix socket that receives a pidfd of the process"),
            Flag::value("cwd", "path", "current directory in the container"),
            Flag::value("env", "name=value", "add an environment variable").short('e'),
            Flag::switch("tty", "allocate a terminal").short('t'),
            Flag::value("user", "uid[:gid]", "user and group to run as").short('u'),
            Flag::value("additional-gids", "gid", "add a supplementary group").short('g'),
            Flag::value("process", "file", "read the whole process as JSON from FILE").short('p'),
            Flag::switch("detach", "do not wait for the process").short('d'),
            Flag::value("pid-file", "file", "write the process ID to FILE"),
            Flag::value("process-label", "label", "SELinux label of the process"),
            Flag::value("apparmor", "profile", "AppArmor profile of the process"),
            Flag::switch("no-new-privs", "forbid the process to gain privileges by exec"),
            Flag::value("cap", "capability", "add a capability").short('c'),
            Flag::value("preserve-fds", "n", "pass N more descriptors on, after stdio"),
            Flag::value("cgroup", "[controllers:]path", "run in this cgroup below the container's"),
            Flag::switch("ignore-paused", "allow it in a paused container"),
        ]],
        arguments: Arguments::AtLeast(1),
        flags_first: true,
    },
    arguments: "<container-id> <command> [arguments...]",
    about: "execute a program in a running container",
    failed: 255,
    enters: true,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    let pid_file = matches.owned::<PathBuf>("pid-file").as_deref().map(absolute).transpose()?;
    let dir = container::open(global, matches)?;
    let record = dir.record()?;
    match container::status(&dir, &record) {
        Status::Paused if !matches.has("ignore-paused") => return Err(Failure::ExecPaused),
        status @ (Status::Stopped | Status::Creating) => return Err(Failure::ExecNotRunning { status }),
        _ => {}
    }
    let spec = dir.spec()?;
    let process = match matches.text("process").filter(|path| !path.is_empty()) {
        Some(path) => read_process(Path::new(path))?,
        None => process(spec.process.clone().unwrap_or_default(), matches)?,
    };
    check(&process)?;
    let detached = matches.has("detach");
    let socket = matches.owned::<PathBuf>("console-socket");
    let console = console_receiver(socket.as_deref(), process.terminal, detached)?;
    let pidfd = matches.owned::<PathBuf>("pidfd-socket").as_deref().map(Receiver::connect).transpose()?;
    let plan = exec_plan(global, &dir, &record, &spec, &process, matches)?;
    if detached {
        let running = exec::spawn(&plan, &ProcessIo::default())?;
        announce(&running, console.as_ref(), pidfd.as_ref(), pid_file.as_deref())?;
        return Ok(0);
    }
    let (mut foreground, io) = Foreground::new(process.terminal)?;
    let running = exec::spawn(&plan, &io)?;
    drop(io);
    announce(&running, None, pidfd.as_ref(), pid_file.as_deref())?;
    let failed = |action| move |source| Failure::System { action, source };
    let console = running.console.as_ref();
    let terminal = console.map(|console| foreground.attach(console)).transpose();
    let terminal = terminal.map_err(failed("use the terminal"))?;
    let terminal = terminal.as_ref().zip(console);
    foreground.wait(running.pid, &running.pidfd, terminal).map_err(failed("wait for the process"))
}

/// Tells those who asked of the process, which already runs: it is killed when they cannot be told.
fn announce(
    running: &Running,
    console: Option<&Receiver>,
    pidfd: Option<&Receiver>,
    pid_file: Option<&Path>,
) -> Result<(), Failure> {
    let told = (|| {
        if let (Some(receiver), Some(console)) = (console, &running.console) {
            receiver.send(console.as_fd(), "/dev/ptmx")?;
        }
        if let Some(receiver) = pidfd {
            receiver.send(running.pidfd.as_fd(), "pidfd")?;
        }
        pid_file.map_or(Ok(()), |path| write_pid(path, running.pid))
    })();
    if told.is_err() {
        drop(longshore_sys::pidfd::send_signal(running.pidfd.as_fd(), super::signal::KILL));
    }
    told
}

fn exec_plan(
    global: &Global,
    dir: &Dir,
    record: &Record,
    spec: &Spec,
    process: &Process,
    matches: &Matches,
) -> Result<ExecPlan, Failure> {
    let mut warnings = Vec::new();
    let mut planned = plan::plan_process(process, &mut warnings)?;
    let linux = spec.linux.as_ref();
    planned.personality = linux.map(plan::personality).transpose()?.flatten();
    let profile = linux.and_then(|linux| linux.seccomp.as_ref());
    let seccomp = profile.map(seccomp::compile).transpose()?.flatten();
    warnings.extend(seccomp.iter().flat_map(|filter| filter.warnings.iter().cloned()));
    for warning in &warnings {
        global.log.warning(warning);
    }
    let mut cgroup = record.cgroup.clone().ok_or(Failure::NotRunning)?;
    sub_cgroup::descend(&mut cgroup, matches.all("cgroup"))?;
    let preserve_fds = matches.number("preserve-fds")?.unwrap_or_default();
    inherited::keep_only(0, preserve_fds)?;
    Ok(ExecPlan {
        process: planned,
        seccomp,
        init: record.init.ok_or(Failure::NotRunning)?,
        namespaces: record.namespaces.iter().fold(0, |flags, kind| flags | kind.flag()),
        cgroup,
        keyring: record.keyring.clone(),
        id: dir.id().clone(),
        bundle: record.bundle.clone(),
        annotations: record.annotations.clone(),
        preserve_fds,
        rootless: record.rootless,
    })
}

/// Reads the process from the file at `path`, or from stdin for `-`.
fn read_process(path: &Path) -> Result<Process, Failure> {
    let failed = |source| Failure::File { action: "read", path: path.into(), source };
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(spec::MAX_CONFIG_BYTES).read_to_end(&mut text).map_err(failed)?;
    Ok(spec::parse(path, &text)?)
}

/// The container's own process `base`, changed as the flags say.
fn process(mut base: Process, matches: &Matches) -> Result<Process, Failure> {
    base.args = matches.arguments.iter().skip(1).cloned().collect();
    base.terminal = matches.has("tty");
    if let Some(cwd) = matches.owned("cwd") {
        base.cwd = cwd;
    }
    if let Some(profile) = matches.owned("apparmor") {
        base.apparmor_profile = profile;
    }
    if let Some(label) = matches.owned("process-label") {
        base.selinux_label = label;
    }
    if let Some(value) = matches.text("no-new-privs") {
        base.no_new_privileges = value == "true";
    }
    for name in matches.all("cap") {
        let sets = base.capabilities.get_or_insert_default();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.push(name.into());
        }
        // The kernel takes no ambient capability that is not inheritable.
        if sets.inheritable.iter().any(|inheritable| inheritable == name) {
            sets.ambient.push(name.into());
        }
    }
    base.env.extend(matches.all("env").map(String::from));
    if let Some(user) = matches.text("user").filter(|user| !user.is_empty()) {
        let bad = || Failure::BadUser { user: user.into() };
        let (uid, gid) = user.split_once(':').map_or((user, None), |(uid, gid)| (uid, Some(gid)));
        base.user.uid = uid.parse().map_err(|_| bad())?;
        if let Some(gid) = gid {
            base.user.gid = gid.parse().map_err(|_| bad())?;
        }
    }
    for gid in matches.all("additional-gids") {
        let bad = || Failure::BadGid { gid: gid.into() };
        base.user.additional_gids.push(gid.parse().map_err(|_| bad())?);
    }
    Ok(base)
}

fn check(process: &Process) -> Result<(), Failure> {
    if process.args.is_empty() {
        return Err(Failure::NoArgs);
    }
    if !process.cwd.starts_with('/') {
        return Err(Failure::RelativeCwd { cwd: process.cwd.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longshore_runtime::spec::{Capabilities, Process};
    use serde_json::json;

    use super::{COMMAND, check, process};

    fn base() -> Process {
        Process {
            terminal: true,
            args: vec!["sh".into()],
            env: vec!["A=1".into()],
            cwd: "/".into(),
            capabilities: Some(Capabilities { bounding: vec!["CAP_KILL".into()], ..Capabilities::default() }),
            ..Process::default()
        }
    }

    fn asked(line: &str) -> Result<Process, String> {
        let matches = COMMAND.syntax.read(&mut line.split_whitespace().map(Into::into)).unwrap();
        let process = process(base(), &matches).map_err(|failure| failure.to_string())?;
        check(&process).map_err(|failure| failure.to_string())?;
        Ok(process)
    }

    #[test]
    fn every_flag_has_its_field() {
        let line = "--cwd /w -e B=2 --env C=3 -t -u 5:6 -g 7 --additional-gids 8 --process-label l \
                    --apparmor p --no-new-privs -c CAP_CHOWN c ls -l";
        let expected = json!({
            "terminal": true, "user": { "uid": 5, "gid": 6, "additionalGids": [7, 8] },
            "args": ["ls", "-l"], "env": ["A=1", "B=2", "C=3"], "cwd": "/w",
            "capabilities": {
                "bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]
            },
            "noNewPrivileges": true, "apparmorProfile": "p", "selinuxLabel": "l"
        });
        assert_eq!(serde_json::to_value(asked(line).unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_is_not_asked_for_is_the_containers() {
        let process = asked("c ls").unwrap();
        assert_eq!(process, Process { args: vec!["ls".into()], terminal: false, ..base() });
        assert_eq!(asked("-u 5 c ls").unwrap().user.gid, 0);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, error) in [
            ("c", "process args cannot be empty"),
            ("--cwd relative c ls", "process cwd \"relative\" must be an absolute path"),
            ("-u root c ls", "user \"root\" is not of the form UID[:GID]"),
            ("-u 1: c ls", "user \"1:\" is not of the form UID[:GID]"),
            ("-g -1 c ls", "\"-1\" is no group ID"),
        ] {
            assert_eq!(asked(line).unwrap_err(), error, "{line}");
        }
    }
}
