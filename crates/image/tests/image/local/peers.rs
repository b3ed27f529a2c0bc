//! What we save, others load, with the same digests: skopeo, as Docker's archive and as an OCI layout; umoci; podman.

use std::process::Command;

use serde_json::Value;
use testkit::tool;

use super::{
    Place,
    archive::{Image, docker, tar},
    loaded,
    save::{json, saved},
};

/// A directory for what skopeo remembers.
fn memory(place: &Place) -> std::path::PathBuf {
    let dir = place.beside("memory");
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn inspect(place: &Place, what: &str, options: &[&str]) -> Value {
    let mut command = tool::skopeo("inspect", &memory(place));
    serde_json::from_slice(&tool::output(command.args(options).arg(what))).expect("JSON")
}

fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let fixtures = testkit::images::ready();
    let layers = [tar(&[("etc/a", b"a"), ("gone", b"")]), tar(&[("etc/b", b"b"), (".wh.gone", b"")])];
    vec![
        ("fixture/built:1", std::fs::read(fixtures.docker_archive()).expect("an archive")),
        ("plain:1", docker(&[Image::new(&["plain:1"], &layers, 7)])),
        ("multi:latest", std::fs::read(fixtures.oci_archive()).expect("an archive")),
    ]
}

#[test]
fn skopeo_reads_both_forms() {
    for (name, archive) in archives() {
        let place = Place::new();
        let images = place.images();
        loaded(&images, &archive);
        let id = images.find(name, None).expect("there");
        let file = place.beside("saved.tar");
        let archive = saved(&images, &[name]);
        std::fs::write(&file, &archive).expect("a file");
        let path = file.display();
        // The configuration that Docker's form gives is the image, to the byte.
        let config = tool::output(
            tool::skopeo("inspect", &memory(&place))
                .args(["--config", "--raw"])
                .arg(format!("docker-archive:{path}")),
        );
        assert_eq!(longshore_types::Digest::of(&config), id.0, "{name}");
        let index = json(&archive, "index.json");
        let reference = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
            .as_str()
            .expect("a tag");
        let raw = tool::output(
            tool::skopeo("inspect", &memory(&place))
                .arg("--raw")
                .arg(format!("oci-archive:{path}:{reference}")),
        );
        assert_eq!(index["manifests"][0]["digest"], longshore_types::Digest::of(&raw).to_string(), "{name}");
        let layers = inspect(&place, &format!("oci-archive:{path}:{reference}"), &[]);
        assert!(!layers["Layers"].as_array().expect("layers").is_empty());
        // A copy reads and checks every layer.
        let copy = place.beside("copy");
        tool::run(
            tool::skopeo("copy", &memory(&place))
                .arg(format!("docker-archive:{path}"))
                .arg(format!("dir:{}", copy.display())),
        );
        let there = place.beside("there.tar");
        tool::run(
            tool::skopeo("copy", &memory(&place))
                .arg(format!("oci-archive:{path}:{reference}"))
                .arg(format!("docker-archive:{}:back:1", there.display())),
        );
        let back = Place::new();
        assert_eq!(loaded(&back.images(), &std::fs::read(&there).expect("an archive")), [id], "{name}");
    }
}

#[test]
fn umoci_unpacks_what_is_saved() {
    let place = Place::new();
    let images = place.images();
    loaded(&images, &archives()[1].1);
    let layout = place.beside("layout");
    std::fs::create_dir(&layout).expect("a directory");
    let file = place.beside("saved.tar");
    std::fs::write(&file, saved(&images, &["plain:1"])).expect("a file");
    tool::run(Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&layout));
    let bundle = place.beside("bundle");
    tool::run(
        Command::new("umoci").args(["unpack", "--image"]).arg(format!("{}:1", layout.display())).arg(&bundle),
    );
    assert_eq!(std::fs::read(bundle.join("rootfs/etc/b")).expect("a file"), b"b");
    assert!(!bundle.join("rootfs/gone").exists());
    let manifest = json(&saved(&images, &["plain:1"]), "index.json");
    assert_eq!(manifest["manifests"].as_array().expect("a list").len(), 1);
}

#[test]
fn docker_loads_what_is_saved_and_saves_what_is_loaded() {
    let docker = testkit::dockerd::Dockerd::start();
    for (name, archive) in archives() {
        let place = Place::new();
        let images = place.images();
        loaded(&images, &archive);
        let id = images.find(name, None).expect("there").to_string();
        let file = place.beside("saved.tar");
        std::fs::write(&file, saved(&images, &[name])).expect("a file");
        let file = file.to_str().expect("a path");
        let said = tool::output(&mut docker.docker(&["load", "-q", "-i", file]));
        assert_eq!(String::from_utf8_lossy(&said).trim(), format!("Loaded image: {name}"));
        let found = tool::output(&mut docker.docker(&["image", "inspect", "-f", "{{.Id}}", name]));
        assert_eq!(String::from_utf8_lossy(&found).trim(), id, "{name}");
        let theirs = place.beside("theirs.tar");
        tool::run(&mut docker.docker(&["save", "-o", theirs.to_str().expect("a path"), name]));
        let back = Place::new();
        let ids = loaded(&back.images(), &std::fs::read(&theirs).expect("an archive"));
        assert_eq!(ids[0].to_string(), id, "{name}");
    }
}
