//! `config.json` that is broken, empty, huge, or of the wrong shape.

use super::refused;
use serde_json::{Value, json};
use testkit::{Bed, beyond_reference};

#[test]
fn text_that_is_no_json() {
    let bed = Bed::new("hjson");
    let bundle = bed.bundle();
    let whole = bundle.spec().to_string();
    let half = &whole[..whole.len() / 2];
    for text in [
        "",
        "{",
        "}",
        "null",
        "[]",
        "\"text\"",
        "{\"process\":",
        "\u{0}",
        "\u{feff}{",
        "{]",
        "not json",
        half,
    ] {
        bundle.write_raw(text);
        // An empty list passes for a structure without fields.
        refused(&bed, &bundle, &["config.json", "ociVersion"]);
    }
    bundle.write_raw(b"\xff\xfe\x00\x01");
    refused(&bed, &bundle, &["config.json"]);
}

#[test]
fn deeply_nested() {
    let bed = Bed::new("hdeep");
    let bundle = bed.bundle();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        bundle.write_raw(open.repeat(200_000) + &close.repeat(200_000));
        refused(&bed, &bundle, &["config.json"]);
    }
}

#[test]
fn nothing_in_it() {
    let bed = Bed::new("hempty");
    let bundle = bed.bundle();
    bundle.write_raw("{}");
    refused(&bed, &bundle, &["config.json", "ociVersion", "process", "root"]);
}

#[test]
fn missing_fields_are_named() {
    let bed = Bed::new("hmissing");
    for (pointer, named) in [
        ("/process", "process"),
        ("/process/args", "args"),
        ("/process/cwd", "cwd"),
        ("/root", "root"),
        ("/root/path", "path"),
    ] {
        let mut bundle = bed.bundle();
        bundle.remove(pointer);
        refused(&bed, &bundle, &[named]);
    }
}

#[test]
fn a_missing_version_is_named() {
    let bed = Bed::new("hversion");
    beyond_reference!(bed, "a required version, which runc takes as it comes");
    let mut bundle = bed.bundle();
    bundle.remove("/ociVersion");
    refused(&bed, &bundle, &["ociVersion"]);
}

#[test]
fn values_of_the_wrong_type_are_named() {
    let bed = Bed::new("htype");
    for (pointer, value, named) in [
        ("/process/args", json!("text"), "args"),
        ("/process/user/uid", json!(-1), "uid"),
        ("/process/user/uid", json!(4_294_967_296_u64), "uid"),
        ("/process/user/uid", json!("0"), "uid"),
        ("/process/env", json!([1]), "env"),
        ("/mounts", json!({}), "mounts"),
        ("/linux/namespaces", json!(["pid"]), "namespaces"),
        ("/linux/resources/memory", json!({ "limit": "1G" }), "limit"),
        ("/linux/resources/pids", json!({ "limit": 1.5 }), "limit"),
        ("/linux/maskedPaths", json!("/proc"), "maskedPaths"),
        ("/hooks", json!("none"), "hooks"),
        ("/process/terminal", json!("yes"), "terminal"),
    ] {
        let mut bundle = bed.bundle();
        bed.say(format_args!("{pointer}"));
        bundle.set(pointer, value);
        refused(&bed, &bundle, &[named]);
    }
}

#[test]
fn empty_arguments() {
    let bed = Bed::new("hargs");
    for args in [json!([]), json!([""])] {
        let mut bundle = bed.bundle();
        bundle.set("/process/args", args);
        refused(&bed, &bundle, &["args"]);
    }
}

#[test]
fn relative_paths_where_absolute_ones_belong() {
    let bed = Bed::new("hrel");
    let mut bundle = bed.bundle();
    bundle.set("/process/cwd", "relative".into());
    refused(&bed, &bundle, &["cwd"]);
    let mut bundle = bed.bundle();
    bundle.push("/hooks/createRuntime", json!({ "path": "relative/hook" }));
    refused(&bed, &bundle, &["hook", "path"]);
    let mut bundle = bed.bundle();
    bundle.push("/linux/devices", json!({ "path": "dev/x", "type": "z", "major": 1, "minor": 3 }));
    refused(&bed, &bundle, &["devices", "type"]);
}

#[test]
fn nul_bytes_in_strings() {
    let bed = Bed::new("hnul");
    beyond_reference!(bed, "a message for NUL bytes in every field");
    for (pointer, value, named) in [
        ("/process/args", json!(["/bin/true", "a\u{0}b"]), "args"),
        ("/process/cwd", json!("/a\u{0}b"), "cwd"),
        ("/process/env", json!(["A=\u{0}"]), "env"),
        ("/hostname", json!("a\u{0}b"), "hostname"),
        ("/root/path", json!("roo\u{0}tfs"), "root"),
        ("/mounts/0/destination", json!("/pr\u{0}oc"), "mounts"),
        ("/linux/maskedPaths/0", json!("/a\u{0}b"), "maskedPaths"),
    ] {
        let mut bundle = bed.bundle();
        bed.say(format_args!("{pointer}"));
        bundle.set(pointer, value);
        refused(&bed, &bundle, &[named]);
    }
}

#[test]
fn strings_of_a_mebibyte() {
    let bed = Bed::new("hbig");
    let long = "x".repeat(1 << 20);
    for (pointer, value) in [
        ("/hostname", json!(long)),
        ("/process/cwd", json!(format!("/{long}"))),
        ("/process/args", json!([format!("/{long}")])),
        ("/root/path", json!(format!("/{long}"))),
        ("/mounts/0/destination", json!(format!("/{long}"))),
        ("/mounts/0/options", json!([long])),
        ("/linux/cgroupsPath", json!(format!("/{long}"))),
        ("/linux/namespaces/0/type", json!(long)),
        ("/linux/seccomp/defaultAction", json!(long)),
        ("/process/rlimits", json!([{ "type": long, "soft": 1, "hard": 1 }])),
    ] {
        let mut bundle = bed.bundle();
        bed.say(format_args!("{pointer}"));
        bundle.set(pointer, value);
        refused(&bed, &bundle, &[]);
    }
}

#[test]
fn an_argument_longer_than_the_kernel_takes() {
    let bed = Bed::new("hargbig");
    let mut bundle = bed.bundle();
    bundle.set("/process/args", json!(["/bin/true", "x".repeat(1 << 20)]));
    let output = bed.run(&bundle);
    assert_ne!(output.code, 0, "{output:?}");
}

#[test]
fn long_lists() {
    let bed = Bed::new("hlists");
    let mut bundle = bed.bundle();
    let env: Vec<String> = (0..5000).map(|number| format!("VARIABLE_{number}={number}")).collect();
    bundle.set("/process/env", json!(env)).args(&["/probe"]);
    let report = bed.run(&bundle).report();
    assert_eq!(report.env["VARIABLE_4999"], "4999");
    let mut bundle = bed.bundle();
    let groups: Vec<u32> = (1..2000).collect();
    bundle.set("/process/user", json!({ "uid": 0, "gid": 0, "additionalGids": groups })).args(&["/probe"]);
    assert_eq!(bed.run(&bundle).report().status("Groups").split(' ').count(), 1999);
    let mut bundle = bed.bundle();
    let masked: Vec<String> = (0..3000).map(|number| format!("/not/there/{number}")).collect();
    bundle.set("/linux/maskedPaths", json!(masked)).args(&["/bin/true"]);
    bed.run(&bundle).ok();
}

#[test]
fn unknown_fields_are_left_alone() {
    let bed = Bed::new("hunknown");
    let mut bundle = bed.bundle();
    bundle.set("/fromTheFuture", json!({ "a": [1, 2, 3] }));
    bundle.set("/process/fromTheFuture", Value::Null);
    bundle.set("/linux/fromTheFuture", json!("x"));
    bundle.set("/windows", json!({ "layerFolders": [] }));
    bundle.args(&["/bin/true"]);
    bed.run(&bundle).ok();
}

#[test]
fn null_is_as_good_as_absent() {
    let bed = Bed::new("hnull");
    let mut bundle = bed.bundle();
    for pointer in [
        "/hooks",
        "/annotations",
        "/process/rlimits",
        "/linux/devices",
        "/linux/uidMappings",
        "/process/oomScoreAdj",
    ] {
        bundle.set(pointer, Value::Null);
    }
    bundle.args(&["/bin/true"]);
    bed.run(&bundle).ok();
}

#[test]
fn capabilities_that_do_not_exist() {
    let bed = Bed::new("hcaps");
    let mut bundle = bed.bundle();
    // runc warns and goes on; so does every caller count on.
    bundle.push("/process/capabilities/bounding", "CAP_DREAM".into());
    bundle.args(&["/bin/true"]);
    bed.run(&bundle).ok();
}
