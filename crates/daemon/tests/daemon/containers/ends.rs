//! How containers end, and what comes then.

use serde_json::{Value, json};

use crate::streams::bed::Bed;

#[test]
fn a_command_that_is_not_there_is_told_as_docker_tells_it() {
    let bed = Bed::new();
    let id = bed.create(&["nosuch"], &Value::Null);
    let refused = bed.daemon.post(&format!("/containers/{id}/start"), &Value::Null).expect(400).message();
    assert!(refused.contains("exec: \"nosuch\": executable file not found in $PATH"), "{refused}");
    let state = &bed.inspect(&id)["State"];
    assert_eq!((&state["Status"], &state["ExitCode"]), (&json!("created"), &json!(127)));
    let id = bed.create(&["/etc/passwd"], &json!({ "HostConfig": { "AutoRemove": true } }));
    let refused = bed.daemon.post(&format!("/containers/{id}/start"), &Value::Null).expect(400).message();
    assert!(refused.contains("permission denied"), "{refused}");
    bed.daemon.get(&format!("/containers/{id}/json")).expect(404);
}

#[test]
fn what_is_made_to_be_removed_is_gone_at_its_end() {
    let bed = Bed::new();
    let id = bed.create(&["sh", "-c", "exit 5"], &json!({ "HostConfig": { "AutoRemove": true } }));
    let waiting = {
        let mut stream = bed.daemon.connect();
        let exchange =
            testkit::longshored::Exchange::new("POST", &format!("/containers/{id}/wait?condition=removed"));
        std::io::Write::write_all(&mut stream, &exchange.head()).unwrap();
        let mut reader = std::io::BufReader::new(stream);
        // The head comes while the container does not run yet.
        let mut line = String::new();
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        assert!(line.contains("200"), "{line}");
        reader
    };
    bed.start(&id);
    let mut rest = String::new();
    let mut waiting = waiting;
    while !rest.contains("StatusCode") {
        assert!(std::io::BufRead::read_line(&mut waiting, &mut rest).unwrap() > 0, "{rest}");
    }
    assert!(rest.contains("\"StatusCode\":5"), "{rest}");
    bed.daemon.get(&format!("/containers/{id}/json")).expect(404);
    assert_eq!(std::fs::read_dir(bed.daemon.dir().join("data/containers")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(bed.daemon.dir().join("exec/containers")).unwrap().count(), 0);
    // And one that is restarted by its user is not.
    let id = bed.run(&["sleep", "1000"], &json!({ "HostConfig": { "AutoRemove": true } }));
    bed.daemon.post(&format!("/containers/{id}/restart?t=0"), &Value::Null).expect(204);
    assert_eq!(bed.inspect(&id)["State"]["Running"], true);
}

#[test]
fn failures_are_tried_again_so_often() {
    let bed = Bed::new();
    let policy =
        json!({ "HostConfig": { "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 2 } } });
    let id = bed.run(&["sh", "-c", "echo x >> /runs; exit 1"], &policy);
    // Each end is waited for, the last one too.
    while bed.inspect(&id)["State"]["Status"] != "exited" {
        bed.wait(&id);
    }
    let found = bed.inspect(&id);
    assert_eq!((&found["RestartCount"], &found["State"]["ExitCode"]), (&json!(2), &json!(1)));
    bed.daemon.post(&format!("/containers/{id}/stop"), &Value::Null).expect(304);
}
