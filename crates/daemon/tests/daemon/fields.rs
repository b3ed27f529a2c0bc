//! C3 34 and 41: each field that the specification's requests have, given what it should not have. Whatever the answer
//! is, it is no fault of the daemon's, and the daemon lives.
//!
//! `tests/data/fields.txt` has a line for each: the operation, where the field is (query, header, body), its name or
//! pointer (`*` is a key, `-` an item), its type.

use std::{
    cell::{Cell, RefCell},
    io::{BufReader, Read, Write},
};

use longshore_api::operation::{OPERATIONS, Operation};
use longshore_network::namespace::Namespace;
use serde_json::{Map, Value, json};
use testkit::longshored::{Answer, Exchange};

use crate::streams::bed::Bed;

const FIELDS: &str = include_str!("../data/fields.txt");

/// These ask somebody else, whose silence is no client's fault.
const OUTSIDE: [&str; 4] = ["DistributionInspect", "ImagePush", "ImageSearch", "SystemAuth"];

struct Field {
    operation: &'static Operation,
    place: &'static str,
    name: &'static str,
    kind: &'static str,
}

fn fields() -> impl Iterator<Item = Field> {
    FIELDS.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("four words");
        let (id, place, name, kind) = (word(), word(), word(), word());
        let operation = OPERATIONS.iter().find(|operation| operation.id == id).expect("an operation");
        (!OUTSIDE.contains(&id) && !["fromImage", "fromSrc"].contains(&name)).then_some(Field {
            operation,
            place,
            name,
            kind,
        })
    })
}

/// What a field of a document is given: what every type is but this one, and this one's extremes.
fn values(kind: &str) -> Vec<Value> {
    let mut values =
        vec![Value::Null, json!(true), json!(-1), json!(1.5), json!("x"), json!([null]), json!({ "": [] })];
    match kind {
        "integer" | "number" => {
            values.extend([
                json!(0),
                json!(1),
                json!(i64::MAX),
                json!(i64::MIN),
                json!(u64::MAX),
                json!(1e300),
            ]);
        }
        "string" => values.extend(
            ["", "\u{0}\u{202e}\n../../etc", "/../..", "%s%n", "18446744073709551616", "-1", "a,b=c:d;e"]
                .map(Value::from),
        ),
        "array" => values.push(json!(vec!["x"; 1000])),
        "map" => values.push(json!({ "a": "b", "\n": "\u{0}", "../..": "x" })),
        _ => {}
    }
    if kind == "string" {
        values.push(json!("y".repeat(70_000)));
    }
    values
}

/// What a parameter of a query or a header is given.
const WORDS: [&str; 16] = [
    "",
    "x",
    "-1",
    "0",
    "1e400",
    "NaN",
    "18446744073709551616",
    "%00",
    "%FF%FE",
    "%7B",
    "%5B%5D",
    "%7B%22a%22:1%7D",
    "%7B%22label%22:%5B%22%5C%22%22%5D%7D",
    "..%2F..",
    "a%0Ab",
    "%E2%80%AE",
];

/// A document with one field, at a pointer.
fn document(pointer: &str, value: Value) -> Value {
    let mut document = value;
    for word in pointer.split('/').rev().filter(|word| !word.is_empty()) {
        document = match word {
            "-" => json!([document]),
            "*" => json!({ "80/tcp": document }),
            name => Value::Object(Map::from_iter([(name.to_owned(), document)])),
        };
    }
    document
}

/// Lays one document over another.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// What the operations are done to.
struct Target {
    bed: Bed,
    running: String,
    faults: RefCell<Vec<String>>,
    /// Containers that could be made.
    made: Cell<usize>,
}

impl Target {
    fn new() -> Self {
        let bed = Bed::new();
        let running = bed.run(&["sleep", "1000"], &json!({ "HostConfig": { "NetworkMode": "none" } }));
        Self { bed, running, faults: RefCell::default(), made: Cell::default() }
    }

    /// A request that would be fine.
    fn request(&self, operation: &Operation) -> (String, Value) {
        let ends = ["ContainerStop", "ContainerRestart", "ContainerKill", "ContainerDelete", "ContainerWait"];
        let id = match operation.id {
            // It is made when it is not there.
            _ if ends.contains(&operation.id) => {
                let body =
                    json!({ "Image": "busybox", "Cmd": ["true"], "HostConfig": { "NetworkMode": "none" } });
                drop(self.bed.daemon.post("/containers/create?name=idle", &body));
                "idle".to_owned()
            }
            "ExecStart" | "ExecResize" | "ExecInspect" => {
                self.bed.exec(&self.running, &["true"], &Value::Null)
            }
            id if id.starts_with("Network") => "none".into(),
            _ => self.running.clone(),
        };
        let path = operation.path.replace("{id}", &id).replace("{name}", "busybox");
        let body = match operation.id {
            "ContainerCreate" => {
                json!({ "Image": "busybox", "Cmd": ["true"], "HostConfig": { "NetworkMode": "none" } })
            }
            "ContainerExec" => json!({ "Cmd": ["true"] }),
            "ExecStart" => json!({ "Detach": true }),
            "NetworkConnect" | "NetworkDisconnect" => json!({ "Container": self.running }),
            "NetworkCreate" => json!({ "Name": "fuzzed" }),
            _ => json!({}),
        };
        (path, body)
    }

    /// Sends a request, and reads the head of its answer: some are streams. A fault is noted.
    fn ask(&self, exchange: &Exchange, what: &str) -> u16 {
        let mut stream = self.bed.daemon.connect();
        stream.write_all(&exchange.head()).unwrap();
        // It may have had enough before it has read everything.
        stream.write_all(exchange.bytes()).ok();
        let mut reader = BufReader::new(stream);
        let answer = Answer::head(&mut reader);
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}\n{}", self.bed.daemon.log()));
        if answer.status >= 500 && ![501, 503].contains(&answer.status) {
            let mut text = String::new();
            reader.read_to_string(&mut text).ok();
            self.faults.borrow_mut().push(format!("{what}: {} {:.300}", answer.status, text.trim()));
        }
        answer.status
    }

    fn try_field(&self, field: &Field) {
        let Field { operation, place, name, kind } = field;
        if *place == "body" {
            for value in values(kind) {
                let (path, mut body) = self.request(operation);
                let what = format!("{} {name} {:.80}", operation.id, value.to_string());
                merge(&mut body, document(name, value));
                let exchange =
                    Exchange::new(operation.method, &path).header("Content-Type", "application/json");
                let status = self.ask(&exchange.body(body.to_string()), &what);
                if operation.id == "ContainerCreate" && status == 201 {
                    self.start_and_remove(&what);
                }
            }
            return;
        }
        for word in WORDS {
            let (path, body) = self.request(operation);
            let what = format!("{} {name}={word}", operation.id);
            let mut exchange = match *place {
                "query" => Exchange::new(operation.method, &format!("{path}?{name}={word}")),
                _ => Exchange::new(operation.method, &path).header(name, word),
            };
            if !body.as_object().is_some_and(Map::is_empty) {
                exchange = exchange.json(&body);
            }
            self.ask(&exchange, &what);
        }
    }

    fn start_and_remove(&self, what: &str) {
        let listed = self.bed.daemon.get("/containers/json?all=1&limit=1").expect(200).json();
        let id = listed[0]["Id"].as_str().expect("a container");
        if id == self.running {
            return;
        }
        self.made.set(self.made.get() + 1);
        if self.made.get().is_multiple_of(every()) {
            let started = Exchange::new("POST", &format!("/containers/{id}/start"));
            self.ask(&started, &format!("start after {what}"));
        }
        let removed = Exchange::new("DELETE", &format!("/containers/{id}?force=1&v=1"));
        self.ask(&removed, &format!("remove after {what}"));
    }
}

/// Of so many containers that could be made, one is started: all with `LONGSHORE_FUZZ=1`.
fn every() -> usize {
    std::env::var("LONGSHORE_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// Nothing of the host is reached from here.
fn on_a_host(work: impl FnOnce() + Send) {
    let (host, _) = Namespace::create().expect("a network namespace");
    host.enter(work).expect("enter");
}

fn try_all(is_wanted: impl Fn(&Field) -> bool + Sync) {
    on_a_host(|| {
        let target = Target::new();
        let mut count = 0;
        for field in fields().filter(|field| is_wanted(field)) {
            target.try_field(&field);
            count += 1;
        }
        assert!(count > 50, "{count} fields");
        let faults = target.faults.take();
        assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
        assert!(!target.bed.daemon.log().contains("panicked"), "{}", target.bed.daemon.log());
    });
}

#[test]
fn c3_34_fields_of_new_containers() {
    try_all(|field| field.operation.id == "ContainerCreate" && field.place == "body");
}

#[test]
fn c3_34_fields_of_other_documents() {
    try_all(|field| field.operation.id != "ContainerCreate" && field.place == "body");
}

#[test]
fn c3_41_fields_of_queries_and_headers() {
    try_all(|field| field.place != "body");
}
