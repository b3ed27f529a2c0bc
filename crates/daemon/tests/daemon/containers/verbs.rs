//! What is asked of containers, and what is answered when it cannot be.

use serde_json::{Value, json};

use crate::streams::bed::Bed;

const FOREVER: [&str; 2] = ["sleep", "1000"];

fn post(bed: &Bed, path: &str, status: u16) -> String {
    let answer = bed.daemon.post(path, &Value::Null).expect(status);
    if status >= 400 { answer.message() } else { answer.text() }
}

#[test]
fn a_container_is_made_started_stopped_and_removed() {
    let bed = Bed::new();
    let id = bed.create(&FOREVER, &Value::Null);
    assert_eq!(bed.inspect(&id)["State"]["Status"], "created");
    bed.start(&id);
    post(&bed, &format!("/containers/{id}/start"), 304);
    let state = &bed.inspect(&id)["State"];
    assert_eq!((&state["Status"], &state["Running"]), (&json!("running"), &json!(true)));
    let pid = state["Pid"].as_i64().unwrap();
    assert!(std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().starts_with("sleep"));
    let refused = bed.daemon.delete(&format!("/containers/{id}")).expect(409).message();
    assert!(refused.contains("stop the container before removing or force remove"), "{refused}");
    post(&bed, &format!("/containers/{id}/stop?t=0"), 204);
    post(&bed, &format!("/containers/{id}/stop"), 304);
    let state = &bed.inspect(&id)["State"];
    assert_eq!(
        (&state["Status"], &state["ExitCode"], &state["Pid"]),
        (&json!("exited"), &json!(137), &json!(0))
    );
    bed.daemon.delete(&format!("/containers/{id}")).expect(204);
    let gone = bed.daemon.get(&format!("/containers/{id}/json")).expect(404).message();
    assert_eq!(gone, format!("No such container: {id}"));
}

#[test]
fn names_are_one_containers_at_a_time() {
    let bed = Bed::new();
    let body = json!({ "Image": "busybox", "Cmd": FOREVER });
    let create = |name: &str, status| {
        bed.daemon.post(&format!("/containers/create?name={name}"), &body).expect(status)
    };
    let first = create("one", 201).json()["Id"].as_str().unwrap().to_owned();
    let refused = create("one", 409).message();
    assert!(
        refused.starts_with("Conflict. The container name \"/one\" is already in use by container "),
        "{refused}"
    );
    assert!(refused.contains(&first), "{refused}");
    let refused = create("-one", 400).message();
    assert!(refused.starts_with("Invalid container name (-one)"), "{refused}");
    drop(create("two", 201));
    post(&bed, "/containers/two/rename?name=one", 409);
    post(&bed, "/containers/one/rename?name=three", 204);
    post(&bed, "/containers/two/rename?name=one", 204);
    assert_eq!(bed.inspect("three")["Id"], json!(first));
    assert_eq!(bed.inspect(&first[..12])["Name"], "/three");
    post(&bed, "/containers/three/rename?name=three", 400);
}

#[test]
fn paused_containers_are_told_apart() {
    let bed = Bed::new();
    let id = bed.create(&FOREVER, &Value::Null);
    assert!(post(&bed, &format!("/containers/{id}/pause"), 409).ends_with("is not running"));
    bed.start(&id);
    post(&bed, &format!("/containers/{id}/pause"), 204);
    assert!(post(&bed, &format!("/containers/{id}/pause"), 409).ends_with("is already paused"));
    assert_eq!(
        post(&bed, &format!("/containers/{id}/start"), 409),
        "cannot start a paused container, try unpause instead"
    );
    let listed = bed.daemon.get("/containers/json").expect(200).json();
    assert_eq!(listed[0]["State"], "paused");
    assert!(listed[0]["Status"].as_str().unwrap().ends_with("(Paused)"), "{listed}");
    post(&bed, &format!("/containers/{id}/unpause"), 204);
    post(&bed, &format!("/containers/{id}/pause"), 204);
    post(&bed, &format!("/containers/{id}/kill"), 204);
    assert_eq!(bed.inspect(&id)["State"]["ExitCode"], 137);
}

#[test]
fn lists_are_narrowed_down() {
    let bed = Bed::new();
    let first = bed.run(&FOREVER, &json!({ "Labels": { "tier": "web" } }));
    let second = bed.run(&["sh", "-c", "exit 3"], &Value::Null);
    assert_eq!(bed.wait(&second), 3);
    let list = |query: &str| {
        let query = [("{", "%7B"), ("}", "%7D"), ("[", "%5B"), ("]", "%5D"), ("\"", "%22")]
            .iter()
            .fold(query.to_owned(), |query, (plain, encoded)| query.replace(plain, encoded));
        let listed = bed.daemon.get(&format!("/containers/json?{query}")).expect(200).json();
        listed
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["Id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (one, two) = (vec![first.clone()], vec![second.clone()]);
    assert_eq!(list(""), one);
    assert_eq!(list("all=1"), [second.clone(), first.clone()]);
    assert_eq!(list("limit=1"), two);
    assert_eq!(list(r#"filters={"status":["exited"]}"#), two);
    assert_eq!(list(r#"all=1&filters={"exited":["3"]}"#), two);
    assert_eq!(list(r#"all=1&filters={"exited":["0"]}"#), Vec::<String>::new());
    assert_eq!(list(r#"all=1&filters={"label":["tier=web"]}"#), one);
    assert_eq!(list(&format!(r#"all=1&filters={{"id":["{}"]}}"#, &first[..8])), one);
    assert_eq!(list(&format!(r#"all=1&filters={{"since":["{first}"]}}"#)), two);
    assert_eq!(list(&format!(r#"all=1&filters={{"before":["{second}"]}}"#)), one);
    assert_eq!(list(r#"all=1&filters={"ancestor":["busybox"]}"#).len(), 2);
    assert_eq!(list(r#"all=1&filters={"ancestor":["nosuch"]}"#).len(), 0);
    bed.daemon.get(r#"/containers/json?filters={"status":["odd"]}"#).expect(400);
    bed.daemon.get(r#"/containers/json?filters={"odd":["1"]}"#).expect(400);
    let pruned = bed.daemon.post("/containers/prune", &Value::Null).expect(200).json();
    assert_eq!(pruned["ContainersDeleted"], json!([second]));
    assert_eq!(list("all=1"), one);
}

#[test]
fn limits_and_policies_change() {
    let bed = Bed::new();
    let id = bed.run(&FOREVER, &Value::Null);
    let change =
        json!({ "PidsLimit": 77, "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 4 } });
    bed.daemon.post(&format!("/containers/{id}/update"), &change).expect(200);
    let host = &bed.inspect(&id)["HostConfig"];
    assert_eq!((&host["PidsLimit"], &host["RestartPolicy"]["MaximumRetryCount"]), (&json!(77), &json!(4)));
    let pid = bed.inspect(&id)["State"]["Pid"].as_i64().unwrap();
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = cgroups.lines().find_map(|line| line.split_once(":pids:")).map(|(_, path)| path.to_owned());
    let path = path
        .or_else(|| cgroups.lines().find_map(|line| line.strip_prefix("0::").map(str::to_owned)))
        .unwrap();
    let found = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
        .iter()
        .find_map(|top| std::fs::read_to_string(format!("{top}{path}/pids.max")).ok());
    assert_eq!(found.as_deref(), Some("77\n"));
}
