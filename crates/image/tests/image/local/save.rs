//! What is saved is what was loaded, always with the same bytes.

use longshore_image::{Images, SaveOptions};
use longshore_types::{Platform, progress::Silent};
use serde_json::Value;

use super::{
    Place,
    archive::{Image, docker, packed, tar},
    loaded, tags,
};

pub(super) fn saved(images: &Images, words: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
    images.save(&words, &SaveOptions::default(), &mut out).unwrap_or_else(|error| panic!("{}", error.line()));
    out
}

/// The files of an archive.
pub(super) fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let limits = longshore_archive::limits::Limits::default();
    let mut tar = longshore_archive::tar::Reader::new(archive, &limits);
    let mut found = Vec::new();
    while let Some(entry) = tar.next().expect("an entry") {
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut tar, &mut content).expect("content");
        found.push((String::from_utf8(entry.path).expect("a name"), content));
    }
    found
}

pub(super) fn json(archive: &[u8], name: &str) -> Value {
    let files = files(archive);
    let (_, bytes) = files.iter().find(|(found, _)| found == name).expect(name);
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn there_and_back() {
    let place = Place::new();
    let images = place.images();
    let base = tar(&[("etc/base", b"base"), ("b", &[0; 70_000])]);
    let top = tar(&[("etc/top", b"top"), ("etc/.wh.base", b"")]);
    let all = [
        Image::new(&["base:1", "base:2"], std::slice::from_ref(&base), 1),
        Image::new(&["r.example/lib/app:1"], &[base.clone(), top.clone()], 2),
        Image::new(&[], &[top], 3),
    ];
    loaded(&images, &docker(&all));
    let archive = saved(&images, &["base", "r.example/lib/app:1", &all[2].id()]);
    assert_eq!(archive, saved(&images, &["base", "r.example/lib/app:1", &all[2].id()]), "the same bytes");
    let names: Vec<_> = files(&archive)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("blobs/sha256/"))
        .collect();
    assert_eq!(names, ["blobs/", "index.json", "manifest.json", "oci-layout", "repositories"]);
    let manifest = json(&archive, "manifest.json");
    assert_eq!(manifest[0]["RepoTags"], serde_json::json!(["base:1", "base:2"]));
    assert_eq!(manifest[2]["RepoTags"], Value::Null);
    assert_eq!(
        json(&archive, "index.json")["manifests"][2]["annotations"]["io.containerd.image.name"],
        "r.example/lib/app:1"
    );
    let other = Place::new();
    let images = other.images();
    let ids = loaded(&images, &archive);
    let ids: Vec<_> = ids.iter().map(|id| (id.to_string(), tags(&images, id))).collect();
    let expected: Vec<_> = all.iter().map(|image| (image.id(), image.tags.clone())).collect();
    assert_eq!(ids, expected);
    assert_eq!(saved(&images, &["base", "r.example/lib/app:1", &all[2].id()]), archive, "and again the same");
}

#[test]
fn an_index_stays_what_it_is() {
    let place = Place::new();
    let images = place.images();
    let original = std::fs::read(testkit::images::ready().oci_archive()).expect("an archive");
    loaded(&images, &original);
    let archive = saved(&images, &["multi"]);
    let digest = |archive: &[u8]| json(archive, "index.json")["manifests"][0]["digest"].clone();
    assert_eq!(digest(&archive), digest(&original));
    let blobs = |archive: &[u8]| {
        let mut names: Vec<_> =
            files(archive).into_iter().map(|(name, _)| name).filter(|name| name.len() > 70).collect();
        names.sort();
        names
    };
    assert_eq!(blobs(&archive), blobs(&original));
    let mut out = Vec::new();
    let platform = Some(Platform::parse("linux/arm64").expect("a platform"));
    images.save(&["multi".to_owned()], &SaveOptions { platform }, &mut out).expect("saved");
    assert!(out.len() < archive.len());
    let other = Place::new();
    assert_eq!(loaded(&other.images(), &out).len(), 1);
}

#[test]
fn compressed_layers_are_saved_as_they_are() {
    let place = Place::new();
    let images = place.images();
    loaded(&images, &std::fs::read(testkit::images::ready().docker_archive()).expect("an archive"));
    let archive = saved(&images, &["fixture/built:1"]);
    let again = Place::new();
    let ids = loaded(&again.images(), &packed("zstd", &archive));
    assert_eq!(ids[0], images.find("fixture/built:1", None).expect("there"));
}

#[test]
fn without_names_and_with_wrong_ones() {
    let place = Place::new();
    let images = place.images();
    assert_eq!(files(&saved(&images, &[])), []);
    let mut out = Vec::new();
    let error =
        images.save(&["nosuch".to_owned()], &SaveOptions::default(), &mut out).expect_err("not there");
    assert_eq!(error.line(), "No such image: nosuch");
    assert!(out.is_empty());
    let error =
        images.load(out.as_slice(), &longshore_image::LoadOptions::default(), &Silent).expect_err("nothing");
    assert!(error.line().starts_with("not an archive of images"), "{}", error.line());
}
