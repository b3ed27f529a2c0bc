//! Launch, end, and what outlives whom.

use std::{fs, os::fd::AsFd, path::Path};

use longshore_runtime::{
    launch::{Connection, ControlError, Event, LaunchError, Launcher, connect},
    wire::{Attach, Io, LogSink, Stdin, Target},
};

use super::bed::{BINARY, Bed, How, ended, hear, hear_until, kill, parent};

#[test]
fn a_container_runs_and_its_end_is_on_disk_before_it_is_told() {
    let bed = Bed::new("end");
    let mut running = bed.launch("c", &["sh", "-c", "exit 7"], &How::default());
    let told = hear(&mut running.control).exit.unwrap();
    assert_eq!(running.exit_record().unwrap(), told);
    assert_eq!((told.exit_code, told.signal, told.pid), (7, None, running.pid));
    assert!(told.started_at <= told.exited_at);
    // The monitor goes with its container, and what is left says how that ended.
    assert!(matches!(running.control.next_event(), Err(ControlError::Gone)));
    match connect(running.directory.as_fd()).unwrap() {
        Connection::Ended(record) => assert_eq!(record, told),
        other => panic!("{other:?}"),
    }
    assert!(!running.path.join("monitor.sock").exists());
}

#[test]
fn a_signal_ends_it_and_is_on_record() {
    let bed = Bed::new("signal");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    running.control.signal(Target::Init, 9).unwrap();
    let record = running.control.wait().unwrap();
    assert_eq!((record.exit_code, record.signal), (137, Some(9)));
    assert!(!record.oom_killed);
}

#[test]
fn death_for_want_of_memory_is_on_record() {
    let bed = Bed::new("oom");
    let how = How { memory: Some(16 << 20), ..How::default() };
    let mut running = bed.launch("c", &["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"], &how);
    let record = running.control.wait().unwrap();
    assert_eq!((record.signal, record.oom_killed), (Some(9), true));
}

#[test]
fn a_real_time_signal_reaches_a_handler() {
    let bed = Bed::new("rtsig");
    let script = "trap 'echo caught; exit 3' 40; read x; echo ready; while :; do sleep 0.01; done";
    let how = How { io: Io::Pipes { stdin: Stdin::Open }, ..How::default() };
    let mut running = bed.launch("c", &["sh", "-c", script], &how);
    running.control.attach(Attach::default()).unwrap();
    running.control.input(b"\n").unwrap();
    hear_until(&mut running.control, "ready");
    running.control.signal(Target::Init, 40).unwrap();
    assert_eq!(hear(&mut running.control).exit.unwrap().exit_code, 3);
}

#[test]
fn a_container_that_cannot_start_says_which_step_and_leaves_nothing() {
    let bed = Bed::new("fail");
    let error = bed.try_launch("c", &["/nothing/here"], &How::default()).unwrap_err();
    let LaunchError::Failed { step, cause, errno } = &error else { panic!("{error:?}") };
    assert!(step.starts_with("exec"), "{error}");
    assert!(cause.contains("No such file"), "{error}");
    assert_eq!(*errno, Some(2));
    assert!(!bed.path.join("c/monitor.sock").exists());
    assert!(!bed.path.join("c/exit.json").exists());
    assert_eq!(cgroups(&bed, "c"), Vec::<String>::new());
    // And the same directory serves the next one.
    let mut running = bed.launch("c", &["true"], &How::default());
    assert_eq!(running.control.wait().unwrap().exit_code, 0);
}

/// Directories of the container's cgroup that exist.
pub(crate) fn cgroups(bed: &Bed, id: &str) -> Vec<String> {
    let name = format!("{}-{id}", bed.path.file_name().unwrap().to_str().unwrap());
    let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
    let mut places: Vec<_> = hierarchies.map(|entry| entry.path().join(&name)).collect();
    places.push(Path::new("/sys/fs/cgroup").join(&name));
    let left = places.into_iter().filter(|place| place.exists());
    left.map(|place| place.display().to_string()).collect()
}

#[test]
fn the_cgroup_goes_with_the_container() {
    let bed = Bed::new("cgroup");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    assert_ne!(cgroups(&bed, "c"), Vec::<String>::new());
    running.control.signal(Target::All, 9).unwrap();
    running.control.wait().unwrap();
    // The monitor's last act; then its end of the connection closes.
    while running.control.next_event().is_ok() {}
    assert_eq!(cgroups(&bed, "c"), Vec::<String>::new());
}

#[test]
fn a_container_outlives_the_spawner_and_the_client() {
    let bed = Bed::new("outlive");
    let how = How { io: Io::Pipes { stdin: Stdin::Open }, ..How::default() };
    let running = bed.launch("c", &["cat"], &how);
    let spawner = bed.launcher.ping().unwrap();
    kill(spawner.cast_signed());
    let super::bed::Running { directory, path, pid, control } = running;
    drop(control);
    let Connection::Running(mut control) = connect(directory.as_fd()).unwrap() else { panic!() };
    control.attach(Attach::default()).unwrap();
    control.input(b"still here\n").unwrap();
    hear_until(&mut control, "still here\n");
    let process = bed.process(&["true"], false);
    control.exec("e", &process, None, false, &[]).unwrap();
    assert_eq!(control.wait_exec("e").unwrap().exit.code, 0);
    // A new spawner is started by whoever needs it, and launches beside the old monitor.
    let other = bed.launch("d", &["true"], &How::default());
    assert_ne!(bed.launcher.ping().unwrap(), spawner);
    drop(other);
    let status = control.status().unwrap();
    assert_eq!((status.pid, status.exit), (pid, None));
    control.close_input().unwrap();
    assert_eq!(hear(&mut control).exit.unwrap().exit_code, 0);
    assert_eq!(fs::read(path.join("log")).unwrap(), b"still here\n");
}

#[test]
fn of_many_that_start_a_spawner_all_find_the_same() {
    let bed = Bed::new("race");
    kill(bed.launcher.ping().unwrap().cast_signed());
    let state = bed.path.join("state");
    let pids: Vec<u32> = std::thread::scope(|scope| {
        let starter = || Launcher::connect_or_start(&state, Path::new(BINARY)).unwrap().ping().unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(starter)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    assert_eq!(bed.launcher.ping().unwrap(), pids[0]);
}

#[test]
fn a_directory_that_others_can_enter_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let bed = Bed::new("exposed");
    let state = bed.path.join("open");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let error = Launcher::connect_or_start(&state, Path::new(BINARY)).unwrap_err();
    assert!(matches!(error, LaunchError::Exposed { .. }), "{error:?}");
}

#[test]
fn a_spawner_that_cannot_start_says_why() {
    let bed = Bed::new("nospawn");
    let error = Launcher::connect_or_start(&bed.path.join("s"), Path::new("/bin/false")).unwrap_err();
    assert!(matches!(error, LaunchError::SpawnerFailed { .. }), "{error:?}");
}

#[test]
fn orphans_are_reaped() {
    let bed = Bed::new("orphan");
    let how = How { share_pids: true, ..How::default() };
    let script = "(sleep 1000 & echo $!); echo done; exec sleep 1000";
    let mut running = bed.launch("c", &["sh", "-c", script], &how);
    let monitor = parent(running.pid);
    running.control.attach(Attach::default()).unwrap();
    // What was said before the attach is in the log alone.
    let process = bed.process(&["true"], false);
    running.control.exec("sync", &process, None, false, &[]).unwrap();
    let orphan: i32 = loop {
        let log = String::from_utf8(running.log()).unwrap();
        if log.contains("done") {
            break log.lines().next().unwrap().parse().unwrap();
        }
        running.control.status().unwrap();
    };
    assert_eq!(parent(orphan), monitor);
    let pid = rustix::process::Pid::from_raw(orphan).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    kill(orphan);
    ended(&pidfd);
    while Path::new(&format!("/proc/{orphan}")).exists() {
        running.control.status().unwrap();
    }
}

#[test]
fn what_outlives_the_init_is_killed_and_does_not_delay_the_end() {
    let bed = Bed::new("rest");
    let how = How { share_pids: true, ..How::default() };
    let mut running = bed.launch("c", &["sh", "-c", "sleep 1000 & echo started"], &how);
    let start = std::time::Instant::now();
    assert_eq!(running.control.wait().unwrap().exit_code, 0);
    // Far below the sleep, far above what a busy machine takes.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    assert_eq!(running.log(), b"started\n");
}

#[test]
fn a_killed_monitor_leaves_a_container_that_is_lost() {
    let bed = Bed::new("lost");
    // The record of an earlier life is none of this one.
    let mut earlier = bed.launch("c", &["true"], &How::default());
    while earlier.control.next_event().is_ok() {}
    assert!(earlier.exit_record().is_some());
    let running = bed.launch("c", &["sleep", "1000"], &How { log: LogSink::None, ..How::default() });
    kill(parent(running.pid));
    assert!(matches!(connect(running.directory.as_fd()).unwrap(), Connection::Lost));
    kill(running.pid);
    for place in cgroups(&bed, "c") {
        while fs::remove_dir(&place).is_err() {}
    }
}

#[test]
fn several_wait_and_all_hear_it() {
    let bed = Bed::new("waits");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let mut control = running.connect();
            control.status().unwrap();
            std::thread::spawn(move || control.wait().unwrap())
        })
        .collect();
    running.control.signal(Target::Init, 15).ok();
    running.control.signal(Target::Init, 9).unwrap();
    let records: Vec<_> = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
    let Event::Exited(record) = running.control.next_event().unwrap() else { panic!() };
    assert!(records.iter().all(|one| *one == record));
}
