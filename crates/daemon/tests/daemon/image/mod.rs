//! Images through the API.

mod answers;
mod archives;
mod client;
mod crash;
mod events;
mod pull;

use std::process::Command;

use testkit::{longshored::Longshored, registry::Registry};

/// A registry of its own with all images of the test kit.
fn registry() -> Registry {
    testkit::images::ready().registry()
}

/// The query that pulls an image.
fn pull_path(name: &str, tag: &str) -> String {
    format!("/images/create?fromImage={name}&tag={tag}")
}

/// Pulls an image, which works.
fn pull(daemon: &Longshored, name: &str, tag: &str) -> String {
    let answer = daemon.post(&pull_path(name, tag), &serde_json::Value::Null).expect(200);
    assert!(!answer.text().contains("errorDetail"), "{}", answer.text());
    answer.text()
}

/// The lines of a stream of documents.
fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A tar with these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let mut command = Command::new("tar");
    command.arg("--create").arg("--directory").arg(dir.path()).arg(".");
    testkit::tool::output(&mut command)
}

/// Every byte of the data root has an owner.
fn assert_accounted(daemon: &Longshored) {
    let usage = daemon.get("/system/df").expect(200).json();
    assert_eq!(usage["Ledger"]["Unaccounted"], 0, "{usage:#}");
}
