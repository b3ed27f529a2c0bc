//! Flags, the file of settings, SIGHUP, metrics.

use rustix::process::Signal;
use serde_json::json;
use std::{
    fs,
    io::{BufReader, Read, Write},
    net::TcpStream,
    process::Command,
    time::Instant,
};
use testkit::longshored::{self, Exchange, Longshored};

fn run(args: &[&str], file: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daemon.json");
    fs::write(&path, file).unwrap();
    let mut daemon = Command::new(longshored::program());
    daemon.arg("--config-file").arg(&path).arg("--validate").args(args);
    let output = daemon.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn settings_can_be_checked() {
    assert_eq!(run(&["--debug"], r#"{"labels": ["a=b"]}"#), (true, "configuration OK\n".into()));
    let (is_fine, message) = run(&["--debug"], r#"{"debug": true}"#);
    let expected = "the following directives are specified both as a flag and in the configuration file: debug: (from \
                    flag: true, from file: true)";
    assert!(!is_fine && message.contains(expected), "{message}");
    let (is_fine, message) = run(&[], r#"{"colour": true}"#);
    let expected = "the following directives don't match any configuration option: colour";
    assert!(!is_fine && message.contains(expected), "{message}");
}

#[test]
fn settings_are_read_again_at_sighup() {
    let daemon = Longshored::start();
    let info = daemon.get("/info").expect(200).json();
    assert_eq!((&info["Debug"], &info["Labels"]), (&json!(false), &json!([])));
    let file = r#"{"debug": true, "labels": ["a=b"], "registry-mirrors": ["http://127.0.0.1:1/"],
        "insecure-registries": ["10.0.0.0/8"], "runtimes": {"x": {"path": "/y"}}, "default-runtime": "x"}"#;
    fs::write(daemon.dir().join("daemon.json"), file).unwrap();
    daemon.signal(Signal::HUP);
    wait_for(&daemon, "settings were read again");
    let info = daemon.get("/info").expect(200).json();
    assert_eq!((&info["DefaultRuntime"], &info["Runtimes"]["x"]["path"]), (&json!("x"), &json!("/y")));
    assert_eq!(info["RegistryConfig"]["Mirrors"], json!(["http://127.0.0.1:1/"]));
    let info = daemon.get("/info").expect(200).json();
    assert_eq!((&info["Debug"], &info["Labels"]), (&json!(true), &json!(["a=b"])));
    fs::write(daemon.dir().join("daemon.json"), r#"{"default-runtime": "nonsense"}"#).unwrap();
    daemon.signal(Signal::HUP);
    wait_for(&daemon, "settings stay as they are");
    assert_eq!(daemon.get("/info").expect(200).json()["Labels"], json!(["a=b"]));
}

/// Waits for a line of the log.
fn wait_for(daemon: &Longshored, text: &str) {
    let end = Instant::now() + testkit::patience();
    while !daemon.log().contains(text) {
        assert!(Instant::now() < end, "no {text:?} in\n{}", daemon.log());
        daemon.get("/_ping").expect(200);
    }
}

#[test]
fn what_the_daemon_tells_of_itself() {
    let daemon = Longshored::start_with(&["--label", "a=b", "--log-format", "json"]);
    let info = daemon.get("/v1.44/info").expect(200).json();
    assert_eq!(info["ID"].as_str().unwrap().len(), 36);
    assert_eq!(info["Containers"], 0);
    assert_eq!(info["Images"], 0);
    assert_eq!(info["Labels"], json!(["a=b"]));
    assert_eq!(info["NCPU"], std::thread::available_parallelism().unwrap().get());
    assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    assert_eq!(info["RuncCommit"]["Expected"], info["RuncCommit"]["ID"]);
    let newest = daemon.get("/info").expect(200).json();
    assert!(newest["RuncCommit"].get("Expected").is_none());
    assert_eq!(newest["ID"], info["ID"]);
    let version = daemon.get("/version").expect(200).json();
    assert_eq!((&version["ApiVersion"], &version["MinAPIVersion"]), (&json!("1.55"), &json!("1.24")));
    assert_eq!(version["Version"], info["ServerVersion"]);
    let log = daemon.log();
    let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).expect("a log in JSON");
    assert_eq!(first["level"], "INFO");
}

#[test]
fn the_engine_keeps_its_id() {
    let mut daemon = Longshored::start();
    let before = daemon.get("/info").expect(200).json()["ID"].clone();
    daemon.stop();
    daemon.start_again();
    assert_eq!(daemon.get("/info").expect(200).json()["ID"], before);
}

#[test]
fn the_stock_client_is_content() {
    let daemon = Longshored::start();
    let output =
        daemon.docker(&["info", "--format", "{{.ServerErrors}}{{.Swarm.LocalNodeState}}"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[]inactive", "{output:?}");
    let output = daemon.docker(&["version", "--format", "{{.Server.APIVersion}}"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1.55", "{output:?}");
    let output = daemon.docker(&["node", "ls"]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("This node is not a swarm manager."), "{message}");
    let output = daemon.docker(&["plugin", "ls", "--quiet"]).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn metrics_are_prometheus() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let daemon = Longshored::start_with(&["--metrics-addr", &format!("127.0.0.1:{port}")]);
    daemon.get("/nothing").expect(404);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(&Exchange::new("GET", "/metrics").head()).unwrap();
    let answer = longshored::Answer::read(&mut BufReader::new(&mut stream), "GET").unwrap();
    let text = answer.expect(200).text();
    for line in [
        "engine_daemon_container_states_containers{state=\"running\"} 0",
        "engine_daemon_container_actions_seconds_count{action=\"start\"} 0",
        "longshore_http_requests_total{class=\"4xx\"} 1",
        "# TYPE engine_daemon_container_actions_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn sockets_of_systemd_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    // What systemd does: a socket that listens is descriptor 3 of a process that it starts.
    let script = r#"
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(16)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"#;
    let mut command = Command::new("python3");
    command.args(["-c", script, &at("sock")]).arg(longshored::program());
    command.args(["--data-root", &at("data"), "--exec-root", &at("exec"), "-H", "fd://"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("API listen on") {
        line.clear();
        let length = std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
        assert!(length > 0, "it ended");
    }
    let answer = Exchange::new("GET", "/_ping").send(&dir.path().join("sock"));
    child.kill().unwrap();
    child.wait().unwrap();
    stderr.read_to_string(&mut line).unwrap();
    answer.unwrap().expect(200);
}
