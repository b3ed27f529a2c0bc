use longshore_image::LoadOptions;
use longshore_types::{Platform, progress::Silent};
use serde_json::Value;

use super::{
    Place,
    archive::{Image, docker, file, packed, raw, symlink, tar},
    load, loaded, tags,
};

fn two() -> [Image; 2] {
    let base = tar(&[("etc/base", b"base"), ("gone", b"x")]);
    let top = tar(&[("etc/top", b"top"), (".wh.gone", b"")]);
    [
        Image::new(&["base:1", "base:2"], std::slice::from_ref(&base), 1),
        Image::new(&["r.example/lib/app:1"], &[base, top], 2),
    ]
}

#[test]
fn several_images_of_a_docker_archive() {
    let place = Place::new();
    let images = place.images();
    let [base, app] = two();
    let (done, said) = load(&images, &docker(&[base.clone(), app.clone()]));
    let ids: Vec<_> = done.expect("loaded").into_iter().map(|one| one.image.to_string()).collect();
    assert_eq!(ids, [base.id(), app.id()]);
    assert_eq!(said, ["Loaded image: base:1", "Loaded image: base:2", "Loaded image: r.example/lib/app:1"]);
    let app = images.find("r.example/lib/app:1", None).expect("it is there");
    let layers = images.store().image(&app).expect("read").expect("there").layers;
    assert_eq!(layers.len(), 2);
    assert_eq!(images.store().layers().expect("layers").len(), 2, "the shared one is there once");
    let path = images.inspect("r.example/lib/app:1", None).expect("details").layers[1].dir.clone();
    assert_eq!(std::fs::read(path.expect("a directory").join("etc/top")).expect("a file"), b"top");
    // Again: the same words, nothing new.
    let (_, again) = load(&images, &docker(&two()));
    assert_eq!(again, said);
    assert_eq!(images.store().ledger(std::time::Duration::ZERO).expect("a ledger").unaccounted, 0);
}

#[test]
fn a_tag_that_moves_is_said() {
    let place = Place::new();
    let images = place.images();
    let old = Image::new(&["a:1"], &[tar(&[("a", b"1")])], 1);
    let new = Image::new(&["a:1"], &[tar(&[("a", b"2")])], 2);
    loaded(&images, &docker(std::slice::from_ref(&old)));
    let (_, said) = load(&images, &docker(std::slice::from_ref(&new)));
    let renaming =
        format!("The image a:1 already exists, renaming the old one with ID {} to empty string", old.id());
    assert_eq!(said, [renaming.as_str(), "Loaded image: a:1"]);
    assert_eq!(images.find("a:1", None).expect("there").to_string(), new.id());
    let (_, said) = load(&images, &docker(&[Image::new(&[], &[tar(&[("b", b"")])], 3)]));
    assert!(said[0].starts_with("Loaded image ID: sha256:"), "{said:?}");
}

#[test]
fn every_compression() {
    let archive = docker(&two());
    for tool in ["gzip", "bzip2", "xz", "zstd"] {
        let place = Place::new();
        let ids = loaded(&place.images(), &packed(tool, &archive));
        assert_eq!(ids.len(), 2, "{tool}");
    }
}

#[test]
fn compressed_layers_stay_as_they_came() {
    let place = Place::new();
    let images = place.images();
    let layer = tar(&[("a", &[7; 100_000])]);
    let image = Image::new(&["a:1"], std::slice::from_ref(&layer), 1);
    let blob = packed("gzip", &layer);
    let config = image.config_bytes();
    let manifest = br#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}]"#;
    let archive = raw(&[
        (file("l.tar", &blob), &blob),
        (file("c.json", &config), &config),
        (file("manifest.json", manifest), manifest),
    ]);
    loaded(&images, &archive);
    let digest = longshore_types::Digest::of(&blob);
    assert_eq!(images.store().read_blob(&digest, 1 << 20).expect("the blob"), blob);
    images.store().collect().expect("collected");
    assert!(images.store().has_blob(&digest).expect("read"), "a layer's form is no garbage");
}

#[test]
fn layers_that_are_links_to_others() {
    let place = Place::new();
    let images = place.images();
    let layer = tar(&[("a", b"a")]);
    let image = Image::new(&["a:1"], &[layer.clone(), layer.clone()], 1);
    let config = image.config_bytes();
    let manifest = br#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["1/layer.tar","2/layer.tar"]}]"#;
    let archive = raw(&[
        (file("1/VERSION", b"1.0"), b"1.0"),
        (file("1/json", b"{}"), b"{}"),
        (file("1/layer.tar", &layer), &layer),
        (symlink("2/layer.tar", "../1/layer.tar"), b""),
        (file("c.json", &config), &config),
        (file("manifest.json", manifest), manifest),
        (file("repositories", b"{}"), b"{}"),
    ]);
    assert_eq!(loaded(&images, &archive)[0].to_string(), image.id());
    let history = images.history("a:1", None).expect("a history");
    assert_eq!(history.iter().map(|step| step.size).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn archives_of_skopeo() {
    let fixtures = testkit::images::ready();
    let place = Place::new();
    let images = place.images();
    let archive = std::fs::read(fixtures.docker_archive()).expect("an archive");
    let (done, said) = load(&images, &archive);
    assert_eq!(done.unwrap_or_else(|error| panic!("{}", error.line())).len(), 1);
    assert_eq!(said, ["Loaded image: fixture/built:1"]);
    let archive = std::fs::read(fixtures.oci_archive()).expect("an archive");
    let (done, said) = load(&images, &archive);
    let done = done.unwrap_or_else(|error| panic!("{}", error.line()));
    assert_eq!(said, ["Loaded image: multi:latest"]);
    assert_eq!(done.len(), 3, "all platforms");
    for one in &done {
        assert_eq!(tags(&images, &one.image), ["multi:latest"]);
    }
    let host = images.inspect("multi", None).expect("details");
    assert_eq!(host.config.architecture, "amd64");
    let arm = Platform::parse("linux/arm64").expect("a platform");
    assert_eq!(images.inspect("multi", Some(&arm)).expect("details").config.architecture, "arm64");
    let states: Vec<_> = host.manifests.iter().map(|one| (one.available, one.unpacked > 0)).collect();
    assert_eq!(states, [(true, true); 3]);
    let index: Value = serde_json::to_value(host.descriptor).expect("JSON");
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
}

#[test]
fn one_platform_of_several() {
    let place = Place::new();
    let images = place.images();
    let archive = std::fs::read(testkit::images::ready().oci_archive()).expect("an archive");
    let platform = Some(Platform::parse("linux/arm64").expect("a platform"));
    let done = images.load(archive.as_slice(), &LoadOptions { platform }, &Silent).expect("loaded");
    assert_eq!(done.len(), 1);
    let details = images.inspect("multi", None).expect("details");
    assert_eq!(details.config.architecture, "arm64");
    let available: Vec<_> = details.manifests.iter().map(|one| one.available).collect();
    assert_eq!(available.iter().filter(|one| **one).count(), 1);
}
