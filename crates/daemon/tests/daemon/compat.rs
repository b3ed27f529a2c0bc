//! `docs/compat/engine-api.md`, and whether it is true.

use longshore_api::operation::{OPERATIONS, State, table};
use std::{collections::BTreeSet, fs, path::Path};
use testkit::longshored::{Exchange, Longshored};

/// Operations of version 1.55.
const COUNT: usize = 108;

#[test]
fn the_table_is_the_one_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compat/engine-api.md");
    if std::env::var_os("LONGSHORE_UPDATE").is_some() {
        fs::write(&path, table()).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert_eq!(found, table(), "LONGSHORE_UPDATE=1 writes it anew");
    let names: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!((OPERATIONS.len(), names.len()), (COUNT, COUNT));
}

#[test]
fn what_the_table_promises_has_a_route() {
    let daemon = Longshored::start();
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        let path = operation.path.replace("{id}", "nothing").replace("{name}", "nothing");
        // Streams end at once; what needs a parameter says so.
        let query = if path == "/events" { "?until=1" } else { "?stream=0&term=x" };
        let exchange = Exchange::new(operation.method, &format!("{path}{query}"));
        let answer = daemon.send(&exchange);
        let missing = answer.status == 404 && answer.text().contains("page not found");
        let promised = !matches!(operation.state, State::Not(_));
        if promised && (missing || answer.status == 501 && operation.state == State::Done) {
            wrong.push(format!(
                "{} {}: {} {}",
                operation.method,
                operation.path,
                answer.status,
                answer.text()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
