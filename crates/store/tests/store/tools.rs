//! Other tools read the store: it is an OCI image layout.

use std::process::Command;

use longshore_store::{Prepared, Target};

use crate::bed::{Bed, image, name, stored};

fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo").args(arguments).output().expect("skopeo, from scripts/setup.sh");
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn skopeo_sees_the_same_images() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, digest, mut prepared) = image(&store, &["one", "two"]);
    for tag in ["app:1", "registry.example:5000/team/app:2"] {
        prepared.push(Prepared::Tag(name(tag), Target::Manifest(digest.clone())));
    }
    store.commit_all(prepared).unwrap();
    stored(&store, &["three"], "other");
    let layout = store.layout().display().to_string();
    for tag in ["docker.io/library/app:1", "registry.example:5000/team/app:2"] {
        let source = format!("oci:{layout}:{tag}");
        let found: serde_json::Value = serde_json::from_str(&skopeo(&["inspect", &source])).unwrap();
        assert_eq!(found["Digest"], digest.as_str());
        assert_eq!(found["Layers"].as_array().map(Vec::len), Some(2));
        let config = skopeo(&["inspect", "--raw", "--config", &source]);
        assert_eq!(longshore_types::Digest::of(config.as_bytes()), id.0);
    }
    // It reads every blob, and verifies each.
    let target = format!("dir:{}", bed.beside("copy").display());
    skopeo(&["--insecure-policy", "copy", "-q", &format!("oci:{layout}:docker.io/library/app:1"), &target]);
    let copied = std::fs::read(bed.beside("copy/manifest.json")).unwrap();
    assert_eq!(longshore_types::Digest::of(&copied), digest);
    store.untag(&name("app:1")).unwrap();
    let gone = format!("oci:{layout}:docker.io/library/app:1");
    assert!(!Command::new("skopeo").args(["inspect", &gone]).output().unwrap().status.success());
}
