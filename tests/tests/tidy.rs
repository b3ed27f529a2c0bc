//! Rules about the source itself: who may depend on whom, how long things get, where `unsafe` is.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Layer and permitted dependencies of each crate, as in ARCHITECTURE.md. Nothing points up.
const CRATES: &[(&str, u32, &[&str])] = &[
    ("types", 0, &[]),
    ("sys", 0, &[]),
    ("archive", 1, &["types", "sys"]),
    ("dockerfile", 1, &["types"]),
    ("api", 1, &["types"]),
    ("registry", 1, &["types"]),
    ("runtime", 1, &["types", "sys"]),
    ("network", 1, &["types", "sys"]),
    ("store", 2, &["types", "sys", "archive"]),
    ("compose", 2, &["types", "api"]),
    ("image", 3, &["types", "archive", "registry", "store"]),
    ("build", 4, &["types", "archive", "dockerfile", "runtime", "network", "store", "image"]),
    ("engine", 4, &["types", "archive", "runtime", "network", "store", "image"]),
    ("cri", 5, &["types", "engine", "image"]),
    (
        "daemon",
        6,
        &[
            "types",
            "sys",
            "archive",
            "dockerfile",
            "api",
            "registry",
            "runtime",
            "network",
            "store",
            "image",
            "build",
            "engine",
            "cri",
        ],
    ),
    ("cli", 6, &["types", "api", "compose"]),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]).current_dir(workspace());
    let output = command.output().expect("execute cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON of cargo")
}

/// A list in JSON.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// All source files, relative to the workspace.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for dir in ["crates", "tests", "benches", "fuzz"] {
        walk(&workspace().join(dir), &mut found);
    }
    assert!(found.len() > 20, "only {} files", found.len());
    found
}

fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            found.push((path.strip_prefix(workspace()).expect("inside").to_owned(), text));
        }
    }
}

/// The code of a line, without a comment. Good enough for what is looked for here.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn the_table_of_crates_points_down() {
    let layers: BTreeMap<&str, u32> = CRATES.iter().map(|(name, layer, _)| (*name, *layer)).collect();
    for (name, layer, dependencies) in CRATES {
        for dependency in *dependencies {
            let below = layers[dependency] < *layer;
            assert!(below, "{name} (L{layer}) may not use {dependency} (L{})", layers[dependency]);
        }
    }
}

#[test]
fn dependencies_are_those_of_the_table() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = package["name"].as_str().unwrap_or_default();
        // Tools of the project may use every crate; no crate may use them.
        let Some(name) = name.strip_prefix("longshore-").filter(|name| *name != "benches") else { continue };
        let Some((_, _, allowed)) = CRATES.iter().find(|(known, ..)| *known == name) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        let path = package["manifest_path"].as_str().unwrap_or_default();
        if !path.ends_with(&format!("/crates/{name}/Cargo.toml")) {
            wrong.push(format!("{name} is in {path}"));
        }
        for dependency in
            list(&package["dependencies"]).iter().filter(|dependency| dependency["path"].is_string())
        {
            // The fixtures, for tests only.
            if dependency["name"] == "testkit" && dependency["kind"] == "dev" {
                continue;
            }
            let dependency = dependency["name"].as_str().unwrap_or_default();
            let known =
                dependency.strip_prefix("longshore-").is_some_and(|dependency| allowed.contains(&dependency));
            if !known {
                wrong.push(format!("{name} uses {dependency}"));
            }
        }
    }
    assert_none("dependencies", &wrong);
}

#[test]
fn one_integration_binary_per_crate() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = package["name"].as_str().unwrap_or_default();
        let is_test = |target: &&Value| list(&target["kind"]).iter().any(|kind| kind == "test");
        let manifest =
            fs::read_to_string(package["manifest_path"].as_str().unwrap_or_default()).expect("a manifest");
        // A program of its own is what needs a process with one thread.
        let own_programs = manifest.matches("harness = false").count();
        let count = list(&package["targets"]).iter().filter(is_test).count() - own_programs;
        // The suites are one binary each.
        if count > 1 && name != "testkit" {
            wrong.push(format!("{name} has {count}"));
        }
    }
    assert_none("integration binaries", &wrong);
}

#[test]
fn files_stay_below_800_lines() {
    let long = sources().into_iter().filter(|(_, text)| text.lines().count() > 800);
    let long: Vec<String> =
        long.map(|(path, text)| format!("{}: {}", path.display(), text.lines().count())).collect();
    assert_none("files past 800 lines have a seam", &long);
}

#[test]
fn functions_stay_below_100_lines() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let words: Vec<&str> = trimmed.split_whitespace().take(6).collect();
            if !words.contains(&"fn") || trimmed.starts_with("//") || trimmed.ends_with(['}', ';']) {
                continue;
            }
            // Formatted code closes a function where it began.
            let end = format!("{}}}", &line[..line.len() - trimmed.len()]);
            let length = lines[number..].iter().position(|line| *line == end).unwrap_or(0);
            if length > 100 {
                found.push(format!("{}:{}: {length} lines", path.display(), number + 1));
            }
        }
    }
    assert_none("functions past 100 lines have a seam", &found);
}

#[test]
fn unsafe_code_is_in_sys_alone() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        if path.starts_with("crates/sys") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = code(line).split_whitespace().collect();
            let pairs = words.windows(2);
            if pairs
                .into_iter()
                .any(|pair| pair[0] == "unsafe" && ["{", "fn", "impl", "extern"].contains(&pair[1]))
            {
                found.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert_none("unsafe code outside of crates/sys", &found);
}

#[test]
fn crates_take_the_lints_of_the_workspace() {
    let mut wrong = Vec::new();
    for package in list(&metadata()["packages"]) {
        let path = package["manifest_path"].as_str().unwrap_or_default();
        let text = fs::read_to_string(path).expect("a manifest");
        if !text.contains("[lints]\nworkspace = true") && package["name"] != "longshore-sys" {
            wrong.push(path.to_owned());
        }
    }
    assert_none("manifests without the lints of the workspace", &wrong);
}

#[test]
fn every_module_with_parts_says_what_it_owns() {
    let silent = sources().into_iter().filter(|(path, text)| {
        let has_parts = ["mod.rs", "lib.rs"].iter().any(|name| path.ends_with(name));
        has_parts && !path.iter().any(|part| part == "tests") && !text.starts_with("//!")
    });
    let silent: Vec<String> = silent.map(|(path, _)| path.display().to_string()).collect();
    assert_none("modules without a comment", &silent);
}

#[test]
fn modules_have_names_that_mean_something() {
    let vague = BTreeSet::from(["utils", "util", "common", "helpers", "helper", "manager", "misc"]);
    let files = sources().into_iter().map(|(path, _)| path);
    let found = files.filter(|path| {
        path.iter().any(|part| {
            vague.contains(Path::new(part).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default())
        })
    });
    let found: Vec<String> = found.map(|path| path.display().to_string()).collect();
    assert_none("vague names", &found);
}

#[test]
fn tests_wait_for_events_and_not_for_time() {
    let mut found = Vec::new();
    let is_test = |path: &Path| path.iter().any(|part| part == "tests" || part == "tests.rs");
    for (path, text) in sources().into_iter().filter(|(path, _)| is_test(path)) {
        for (number, line) in text.lines().enumerate() {
            if code(line).contains(concat!("thread::", "sleep(")) {
                found.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert_none("sleeps", &found);
}

#[test]
fn nothing_is_left_half_done() {
    let words =
        [concat!("to", "do!("), concat!("unim", "plemented!("), concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert_none("unfinished work", &found);
}

#[test]
fn the_repository_names_no_machine() {
    let words = [concat!("/wo", "rk/"), concat!("crates", ".io/"), concat!("/home/", "runner")];
    let mut files = sources();
    for name in
        ["Makefile", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "STYLE.md", ".ci/run", "Cargo.toml"]
    {
        let text =
            fs::read_to_string(workspace().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        files.push((name.into(), text));
    }
    for dir in ["scripts", "docs"] {
        for entry in fs::read_dir(workspace().join(dir)).into_iter().flatten().flatten() {
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push((entry.path(), text));
            }
        }
    }
    let mut found = Vec::new();
    for (path, text) in files {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert_none("names of a machine", &found);
}
