//! Starting and ending.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::Command;
use testkit::longshored::{self, Longshored};

#[test]
fn it_ends_when_asked_and_takes_its_socket_away() {
    let mut daemon = Longshored::start();
    let socket = daemon.socket().symlink_metadata().unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.mode() & 0o7777, 0o660);
    assert_eq!(daemon.stop(), 0);
    assert!(!daemon.socket().exists());
    daemon.start_again();
    daemon.get("/_ping").expect(200);
}

#[test]
fn it_starts_again_after_it_was_killed() {
    let mut daemon = Longshored::start();
    daemon.kill();
    assert!(daemon.socket().exists(), "nobody could take it away");
    daemon.start_again();
    daemon.get("/_ping").expect(200);
}

#[test]
fn a_second_daemon_is_refused_and_the_first_one_lives_on() {
    let daemon = Longshored::start();
    let refused = |socket: String| {
        let mut second = Command::new(longshored::program());
        second.args(daemon.roots()).args(["-H", &socket]);
        second.args(["--pidfile", &format!("{}/another.pid", daemon.dir().display())]);
        let output = second.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let message = refused(format!("unix://{}", daemon.socket().display()));
    assert!(message.contains("is served by a daemon already"), "{message}");
    let message = refused(format!("unix://{}/another", daemon.dir().display()));
    assert!(message.contains("lock") || message.contains("another"), "{message}");
    daemon.get("/_ping").expect(200);
}
