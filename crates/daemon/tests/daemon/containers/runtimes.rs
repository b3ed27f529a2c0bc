//! Containers made by another OCI runtime: Debian's runc. (Debian's crun refuses hosts with both versions of cgroups.)

use serde_json::{Value, json};

use crate::streams::bed::Bed;

fn bed() -> Bed {
    let runtimes = ["path=/usr/sbin/runc", "other=runc", "none=/none"];
    let flags: Vec<&str> = runtimes.into_iter().flat_map(|runtime| ["--add-runtime", runtime]).collect();
    Bed::with(&flags)
}

fn with(runtime: &str) -> Value {
    json!({ "HostConfig": { "Runtime": runtime } })
}

#[test]
fn a_container_lives_as_with_our_own() {
    let mut bed = bed();
    for runtime in ["path", "other"] {
        let mut more = with(runtime);
        more["HostConfig"]["Memory"] = (64 << 20).into();
        more["HostConfig"]["Binds"] = json!(["/etc/passwd:/tmp/bound:ro"]);
        let id =
            bed.run(&["sh", "-c", "echo out; echo err >&2; read x < /tmp/bound; echo $x; sleep 1000"], &more);
        let exec = bed.exec(&id, &["sh", "-c", "kill -0 1 && echo in"], &json!({}));
        assert_eq!(bed.exec_start(&exec), ("in\n".into(), String::new(), json!(0)), "{runtime}");
        let pid = bed.inspect(&id)["State"]["Pid"].as_i64().unwrap();
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert!(groups.contains(&id), "{groups}");
        // The runtime has gone: its work is in its own state, and no other process of its is left.
        bed.daemon.kill();
        bed.daemon.start_again();
        let shown = bed.inspect(&id);
        assert_eq!(shown["HostConfig"]["Runtime"], runtime);
        assert_eq!((&shown["State"]["Running"], &shown["State"]["Pid"]), (&json!(true), &json!(pid)));
        drop(bed.daemon.post(&format!("/containers/{id}/kill"), &Value::Null).expect(204));
        assert_eq!(bed.wait(&id), 137);
        let text = bed.text(&id, "");
        assert!(text.starts_with("out\nroot:x:0") && text.ends_with("err\n"), "{text}");
        // It starts again after its end, and goes without a trace.
        bed.start(&id);
        drop(bed.daemon.delete(&format!("/containers/{id}?force=1")).expect(204));
        assert!(!bed.daemon.dir().join("exec/containers").join(&id).exists());
    }
}

#[test]
fn terminals_codes_and_failures_are_theirs() {
    let bed = bed();
    for runtime in ["path", "other"] {
        let mut more = with(runtime);
        more["Tty"] = true.into();
        let id = bed.run(&["sh", "-c", "test -t 0 && test -t 1 && echo tty; exit 7"], &more);
        assert_eq!(bed.wait(&id), 7, "{runtime}");
        assert!(String::from_utf8_lossy(&bed.logs(&id, "stdout=1").body).contains("tty"), "{runtime}");
        let id = bed.create(&["/no/such/program"], &with(runtime));
        let refused = bed.daemon.post(&format!("/containers/{id}/start"), &Value::Null);
        let message = refused.message();
        assert!(message.contains("OCI runtime") && message.contains("/no/such/program"), "{message}");
        assert_eq!(bed.inspect(&id)["State"]["ExitCode"], 127, "{message}");
    }
    let id = bed.create(&["true"], &with("none"));
    let refused = bed.daemon.post(&format!("/containers/{id}/start"), &Value::Null);
    assert_eq!(refused.message(), "OCI runtime \"/none\": executable file not found in $PATH");
    let mut document = with("unheard-of");
    (document["Image"], document["Cmd"]) = (json!("busybox"), json!(["true"]));
    let refused = bed.daemon.post("/containers/create", &document);
    assert_eq!(refused.message(), "unknown or invalid runtime name: unheard-of");
}
