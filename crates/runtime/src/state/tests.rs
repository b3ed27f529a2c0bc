use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use longshore_types::ContainerId;

use super::{Dir, EXEC_FIFO, Identity, Presence, Record, Root, StateError, Status};
use crate::spec::Spec;

/// A root in a directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("longshore-state-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn root(&self) -> Root {
        Root::new(self.0.join("a/root"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn id(text: &str) -> ContainerId {
    ContainerId::new(text).unwrap()
}

fn record(text: &str) -> Record {
    Record::new(id(text), Path::new("/bundle"), Path::new("/bundle/rootfs"))
}

fn own_identity() -> Identity {
    Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap()
}

#[test]
fn a_container_lives_from_create_to_remove() {
    let scratch = Scratch::new("life");
    let root = scratch.root();
    assert_eq!(root.list().unwrap(), []);
    assert!(matches!(root.open(&id("c")), Err(StateError::NotFound { .. })));

    let dir = root.create(&id("c")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&scratch.0.join("a/root")), 0o700);
    assert_eq!(mode(dir.path()), 0o711);

    let saved = record("c");
    let spec = Spec { hostname: "host".into(), ..Spec::default() };
    dir.save_spec(&spec).unwrap();
    dir.save_record(&saved).unwrap();
    let again = root.open(&id("c")).unwrap();
    assert_eq!(again.record().unwrap(), saved);
    assert_eq!(again.spec().unwrap(), spec);
    assert_eq!(mode(&dir.path().join("state.json")), 0o600);

    root.create(&id("b")).unwrap();
    assert_eq!(root.list().unwrap(), [id("b"), id("c")]);
    dir.remove().unwrap();
    assert_eq!(root.list().unwrap(), [id("b")]);
    assert!(matches!(again.record(), Err(StateError::NotFound { .. })));
}

#[test]
fn an_id_is_given_once() {
    let scratch = Scratch::new("once");
    let root = scratch.root();
    let dir = root.create(&id("c")).unwrap();
    let taken = root.create(&id("c")).unwrap_err();
    assert_eq!(taken.to_string(), "container with given ID already exists");
    drop(dir);
    assert!(matches!(root.create(&id("c")), Err(StateError::Exists { .. })));
}

/// Every prefix of what `create` and `delete` do to the directory can be listed and removed.
#[test]
fn every_crash_point_can_be_deleted() {
    let steps: [fn(&Dir); 6] = [
        |_| {},
        |dir| fs::write(dir.path().join("spec.json.new"), "{\"ociVer").unwrap(),
        |dir| dir.save_spec(&Spec::default()).unwrap(),
        |dir| fs::write(dir.path().join("state.json.new"), "{").unwrap(),
        |dir| rustix::fs::mkfifoat(dir, EXEC_FIFO, rustix::fs::Mode::RUSR).unwrap(),
        |dir| fs::create_dir_all(dir.path().join("notify/x")).unwrap(),
    ];
    for crash_after in 0..steps.len() {
        let scratch = Scratch::new(&format!("crash{crash_after}"));
        let root = scratch.root();
        let dir = root.create(&id("c")).unwrap();
        for step in &steps[..=crash_after] {
            step(&dir);
        }
        drop(dir);

        assert_eq!(root.list().unwrap(), [id("c")]);
        let dir = root.open(&id("c")).unwrap();
        assert!(matches!(dir.presence().unwrap(), Presence::Broken), "after step {crash_after}");
        dir.lock().unwrap();
        dir.remove().unwrap();
        assert_eq!(root.list().unwrap(), []);
        assert!(!scratch.0.join("a/root/c").exists());
    }
}

#[test]
fn a_directory_made_by_mkdir_alone_is_broken() {
    let scratch = Scratch::new("mkdir");
    let root = scratch.root();
    fs::create_dir_all(scratch.0.join("a/root/c")).unwrap();
    fs::create_dir_all(scratch.0.join("a/root/not an id")).unwrap();
    fs::write(scratch.0.join("a/root/file"), "").unwrap();
    assert_eq!(root.list().unwrap(), [id("c")]);
    let dir = root.open(&id("c")).unwrap();
    assert!(matches!(dir.record(), Err(StateError::Broken { .. })));
    dir.remove().unwrap();
    assert_eq!(root.list().unwrap(), []);
}

#[test]
fn a_link_in_place_of_a_container_is_not_followed() {
    let scratch = Scratch::new("link");
    let root = scratch.root();
    fs::create_dir_all(scratch.0.join("a/root")).unwrap();
    fs::create_dir(scratch.0.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(scratch.0.join("elsewhere"), scratch.0.join("a/root/c")).unwrap();
    assert!(matches!(root.open(&id("c")), Err(StateError::File { action: "open", .. })));
    assert_eq!(root.list().unwrap(), []);
}

#[test]
fn a_state_of_another_format_or_of_no_sense_is_refused() {
    let scratch = Scratch::new("format");
    let root = scratch.root();
    let dir = root.create(&id("c")).unwrap();
    dir.save_record(&Record { format: 2, ..record("c") }).unwrap();
    let error = dir.record().unwrap_err();
    assert_eq!(error.to_string(), "container c has a state of format 2, not 1");
    fs::write(dir.path().join("state.json"), r#"{"format":1,"id":"../x"}"#).unwrap();
    assert!(matches!(dir.record(), Err(StateError::Load { .. })));
}

#[test]
fn status_follows_init_fifo_freezer_and_lock() {
    let scratch = Scratch::new("status");
    let dir = scratch.root().create(&id("c")).unwrap();
    let mut record = record("c");
    assert_eq!(Status::of(&dir, &record, || panic!("there is no cgroup yet")), Status::Stopped);

    record.init = Some(own_identity());
    rustix::fs::mkfifoat(&dir, EXEC_FIFO, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(Status::of(&dir, &record, || false), Status::Created);
    rustix::fs::unlinkat(&dir, EXEC_FIFO, rustix::fs::AtFlags::empty()).unwrap();
    assert_eq!(Status::of(&dir, &record, || false), Status::Running);
    assert_eq!(Status::of(&dir, &record, || true), Status::Paused);

    record.init = Some(Identity { start_ticks: 1, ..own_identity() });
    assert_eq!(Status::of(&dir, &record, || false), Status::Stopped);
}

/// The variable that tells the test binary, run again as a child, which directory to lock.
const LOCK_ME: &str = "LONGSHORE_TEST_LOCK_ME";

/// Not a test of its own: what the child process of the lock tests runs.
#[test]
fn hold_a_lock_as_a_child() {
    let Ok(path) = std::env::var(LOCK_ME) else { return };
    let root = Root::new(Path::new(&path).parent().unwrap());
    let dir = root.open(&id("c")).unwrap();
    dir.lock().unwrap();
    writeln!(std::io::stdout(), "\nlocked").unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn lock_in_child(dir: &Path) -> Child {
    let mut child = Command::new("/proc/self/exe")
        .args(["--exact", "--nocapture", "state::tests::hold_a_lock_as_a_child"])
        .env(LOCK_ME, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "locked"));
    child
}

#[test]
fn the_lock_of_a_killed_process_is_free() {
    let scratch = Scratch::new("killed");
    let root = scratch.root();
    let dir = root.create(&id("c")).unwrap();
    dir.unlock().unwrap();

    let mut child = lock_in_child(dir.path());
    assert!(dir.is_locked_by_another());
    assert!(matches!(dir.presence().unwrap(), Presence::Busy));
    assert_eq!(Status::of(&dir, &record("c"), || false), Status::Creating);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!dir.is_locked_by_another());
    assert!(matches!(dir.presence().unwrap(), Presence::Broken));
    dir.lock().unwrap();
}

#[test]
fn whoever_waited_for_the_lock_of_a_deleted_container_is_told() {
    let scratch = Scratch::new("deleted");
    let root = scratch.root();
    let deleting = root.create(&id("c")).unwrap();
    let late = root.open(&id("c")).unwrap();
    let never_locked = root.open(&id("c")).unwrap();
    assert!(!late.is_locked_by_another());
    deleting.remove().unwrap();
    assert!(matches!(late.lock(), Err(StateError::NotFound { .. })));
    assert!(matches!(never_locked.lock(), Err(StateError::NotFound { .. })));
}
