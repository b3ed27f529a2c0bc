//! Terminals: the container's own, and nobody else's.

use std::fs;
use std::os::unix::fs::symlink;
use testkit::Bed;
use testkit::canary::Canary;
use testkit::console::ConsoleSocket;

#[test]
fn c4_57_the_terminal_is_the_containers_own() {
    let bed = Bed::new("c4-57");
    let mut bundle = bed.bundle();
    bundle.set("/process/terminal", true.into());
    bundle.sh("tty; ls -1 /dev/pts; stat -c %t:%T /dev/console; echo end; read x");
    let socket = ConsoleSocket::new(&bed.dir().join("tty.sock"));
    let container = bed.try_create(&bundle, &["--console-socket", socket.path()]).expect("create");
    let mut terminal = socket.accept();
    container.start().ok();
    let seen = terminal.until("end\r\n");
    let lines: Vec<&str> = seen.split("\r\n").collect();
    assert!(lines[0] == "/dev/pts/0" || lines[0] == "/dev/console", "{seen:?}");
    assert!(lines.contains(&"0") && lines.contains(&"ptmx"), "{seen:?}");
    assert!(!lines.contains(&"1"), "another terminal is there: {seen:?}");
    assert!(lines.contains(&"88:0"), "the console is pts 0: {seen:?}");
    terminal.write("\n");
    container.wait();
}

#[test]
fn c4_57_typing_into_the_terminal_stays_in_the_container() {
    let bed = Bed::new("c4-57t");
    let mut bundle = bed.bundle();
    bundle.set("/process/terminal", true.into());
    bundle.args(&["/probe", "try", "tiocsti", "tioclinux", "tiocsti-high-bits"]);
    let socket = ConsoleSocket::new(&bed.dir().join("tty.sock"));
    let container = bed.try_create(&bundle, &["--console-socket", socket.path()]).expect("create");
    let mut terminal = socket.accept();
    container.start().ok();
    let seen = terminal.until("}\r\n");
    // The attempts run without a terminal of their own as standard input is closed to them; the
    // virtual console's commands never reach one.
    assert!(seen.contains("tioclinux\":\"ENOTTY"), "{seen:?}");
    container.wait();
}

#[test]
fn c4_57_a_session_of_its_own() {
    let bed = Bed::new("c4-57s");
    let report = bed.run(&bed.bundle()).report();
    assert_eq!((report.session.session, report.session.group), (1, 1), "{:?}", report.session);
    assert_ne!(report.session.controlling, "ok", "{:?}", report.session);
}

#[test]
fn a1_18_console_that_is_a_link_does_not_lead_out() {
    let bed = Bed::new("a1-18");
    let canary = Canary::new(&bed.dir().join("canary"));
    let mut bundle = bed.bundle();
    // The device directory of the image is the container's.
    for point in ["/dev", "/dev/mqueue", "/dev/shm"] {
        bundle.without_mount(point);
    }
    fs::create_dir(bundle.rootfs("dev/pts")).unwrap();
    let outside = format!("../../..{}", canary.dir().join("new-console").display());
    for target in [canary.dir().join("null").display().to_string(), outside] {
        drop(fs::remove_file(bundle.rootfs("dev/console")));
        symlink(&target, bundle.rootfs("dev/console")).unwrap();
        bundle.set("/process/terminal", true.into()).sh("exit 0");
        let socket = bed.dir().join("tty.sock");
        drop(fs::remove_file(&socket));
        let socket = ConsoleSocket::new(&socket);
        if let Ok(container) = bed.try_create(&bundle, &["--console-socket", socket.path()]) {
            container.start();
            container.delete_force();
        }
        canary.assert_untouched();
    }
}
