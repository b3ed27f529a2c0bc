use super::{
    format::{Frame, duration, terminal, users},
    host::{check, parse},
    process::Process,
};

const STAT: &str =
    "1234 (a) b) S 1 1234 1234 34816 1234 4194560 100 0 0 0 150 50 0 0 20 0 1 0 6000 4096 1 184";
const STATUS: &str = "Name:\ta) b\nUid:\t0\t1000\t0\t0\nGid:\t0\t0\t0\t0\n";

#[test]
fn a_process_is_read() {
    let process = Process::parse(STAT, STATUS, b"sh\0-c\0 x  y\0").expect("a process");
    let expected = Process {
        pid: 1234,
        parent: 1,
        uid: 1000,
        terminal: 34816,
        time: 200,
        start: 6000,
        command: "sh -c x y".into(),
    };
    assert_eq!(process, expected);
    assert_eq!(Process::parse(STAT, STATUS, b"").expect("a process").command, "[a) b]");
    let zombie = Process::parse(&STAT.replace(") S ", ") Z "), STATUS, b"").expect("a process");
    assert_eq!(zombie.command, "[a) b] <defunct>");
    assert_eq!(Process::parse("", STATUS, b""), None);
}

#[test]
fn a_row_is_that_of_ps() {
    let process = Process::parse(STAT, STATUS, b"sleep\0inf\0").expect("a process");
    // 1 January 2020, 12:00, 100 s after the boot.
    let mut frame =
        Frame { users: users("root:x:0:0\nverylongname:x:1000:0\n"), uptime: 10_000, now: 1_577_880_000 };
    assert_eq!(
        frame.row(&process),
        ["verylon+", "1234", "1", "5", "11:59", "pts/0", "00:00:02", "sleep inf"]
    );
    frame.uptime += 86_400 * 100;
    assert_eq!(frame.row(&process)[4], "2019");
    frame.now += 86_400 * 40;
    assert_eq!(frame.row(&process)[4], "Feb09");
    frame.users.clear();
    assert_eq!(frame.row(&process)[0], "1000");
}

#[test]
fn terminals_and_times() {
    for (device, name) in [
        (0, "?"),
        (0x8800, "pts/0"),
        (0x8907, "pts/263"),
        (0x0401, "tty1"),
        (0x0440, "ttyS0"),
        (0x0501, "console"),
    ] {
        assert_eq!(terminal(device), name, "{device:x}");
    }
    for (seconds, text) in [(0, "00:00:00"), (3_725, "01:02:05"), (90_061, "1-01:01:01")] {
        assert_eq!(duration(seconds), text);
    }
}

#[test]
fn output_of_ps_is_filtered() {
    let output = "  PID TTY  CMD\n    1 ?    init -x  y\n    - -    -\n    7 pts/0 sleep 1\n    - -    - \n   70 ?    z\n";
    let top = parse(output, &[7, 9]).expect("a table");
    assert_eq!(top.titles, ["PID", "TTY", "CMD"]);
    assert_eq!(top.processes, [vec!["7", "pts/0", "sleep 1"], vec!["-", "-", "-"]]);
    assert!(parse("UID\n0\n", &[7]).is_err());
    assert!(parse("PID\nx\n", &[7]).is_err());
}

#[test]
fn the_title_of_processes_is_not_given_away() {
    for (arguments, allowed) in [
        ("", true),
        ("-ef", true),
        ("-o pid=PID -o ppid", true),
        ("-o pid=PID -o ppid=PID", false),
        ("ae -o uid=PID", false),
        ("ae -o uid= PIDX", false),
        ("-o uid=X", true),
        ("uid=PID", true),
    ] {
        assert_eq!(check(arguments).is_ok(), allowed, "{arguments}");
    }
}
