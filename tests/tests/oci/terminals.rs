//! Terminals.

use testkit::Bed;
use testkit::console::ConsoleSocket;
use testkit::report::Report;

#[test]
fn a_terminal_takes_input_and_changes_size() {
    let bed = Bed::new("tty");
    let mut bundle = bed.bundle();
    bundle.set("/process/terminal", true.into());
    bundle.set("/process/consoleSize", serde_json::json!({ "height": 33, "width": 77 }));
    bundle.sh("trap 'stty size' WINCH; stty size; echo ready; read line; echo got $line; read line; exit 4");
    let socket = ConsoleSocket::new(&bed.dir().join("tty.sock"));
    let container = bed.try_create(&bundle, &["--console-socket", socket.path()]).expect("create");
    let mut terminal = socket.accept();
    container.start().ok();
    assert!(terminal.until("ready\r\n").contains("33 77\r\n"));
    terminal.write("hello\n");
    terminal.until("got hello\r\n");
    terminal.resize(50, 120);
    terminal.until("50 120\r\n");
    terminal.write("\n");
    assert_eq!(container.wait(), 4);
}

#[test]
fn ctrl_c_reaches_the_foreground() {
    let bed = Bed::new("ttyint");
    let mut bundle = bed.bundle();
    bundle.set("/process/terminal", true.into());
    bundle.sh("trap 'echo interrupted; exit 6' INT; echo ready; while :; do sleep 1000 & wait $!; done");
    let socket = ConsoleSocket::new(&bed.dir().join("tty.sock"));
    let container = bed.try_create(&bundle, &["--console-socket", socket.path()]).expect("create");
    let mut terminal = socket.accept();
    container.start().ok();
    terminal.until("ready\r\n");
    terminal.write("\u{3}");
    terminal.until("interrupted\r\n");
    assert_eq!(container.wait(), 6);
}

#[test]
fn what_the_process_sees_of_its_terminal() {
    let bed = Bed::new("ttysees");
    let mut bundle = bed.bundle();
    bundle.set("/process/terminal", true.into());
    let socket = ConsoleSocket::new(&bed.dir().join("tty.sock"));
    let container = bed.try_create(&bundle, &["--console-socket", socket.path()]).expect("create");
    let mut terminal = socket.accept();
    container.start().ok();
    let report: Report = serde_json::from_str(terminal.until("}\r\n").trim()).unwrap();
    assert!(report.session.tty);
    assert_eq!(report.session.controlling, "ok");
    let targets: Vec<&str> = report.descriptors.iter().map(|descriptor| descriptor.target.as_str()).collect();
    assert_eq!(targets, ["/dev/pts/0"; 3]);
    assert_eq!(report.device("/dev/console").unwrap().kind, "char");
    container.wait();
}

#[test]
fn exec_with_a_terminal() {
    let bed = Bed::new("ttyexec");
    let mut bundle = bed.bundle();
    let container = super::idle(&bed, &mut bundle);
    let socket = ConsoleSocket::new(&bed.dir().join("tty.sock"));
    let options = ["--tty", "--console-socket", socket.path()];
    let _process = container.exec_detached(&options, &["/bin/sh", "-c", "read x; echo got $x; tty"]);
    let mut terminal = socket.accept();
    terminal.write("word\n");
    terminal.until("got word\r\n/dev/pts/0\r\n");
}

#[test]
fn a_terminal_needs_a_socket_and_a_socket_a_terminal() {
    let bed = Bed::new("ttyno");
    let mut bundle = bed.bundle();
    bundle.set("/process/terminal", true.into());
    assert!(bed.try_create(&bundle, &[]).is_err());
    bundle.set("/process/terminal", false.into());
    let socket = ConsoleSocket::new(&bed.dir().join("tty.sock"));
    assert!(bed.try_create(&bundle, &["--console-socket", socket.path()]).is_err());
}
