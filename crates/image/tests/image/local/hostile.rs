//! Archives that were made to break something. Each test carries the number of its row.

use std::io::Read;

use longshore_image::LoadOptions;
use longshore_types::{Digest, progress::Silent};
use serde_json::json;

use super::{
    Place,
    archive::{Image, docker, file, raw, symlink, tar},
    assert_nothing, loaded, refused,
};

fn image() -> Image {
    Image::new(&["a:1"], &[tar(&[("a", b"a")])], 1)
}

/// An archive of `image` whose manifest says something else, with more entries.
fn with_manifest(
    image: &Image,
    manifest: &serde_json::Value,
    more: &[(longshore_archive::entry::Entry, &[u8])],
) -> Vec<u8> {
    let (config, manifest) = (image.config_bytes(), serde_json::to_vec(manifest).expect("JSON"));
    let mut entries = vec![
        (file("c.json", &config), config.as_slice()),
        (file("l.tar", &image.layers[0]), image.layers[0].as_slice()),
    ];
    entries.extend(more.iter().cloned());
    entries.push((file("manifest.json", &manifest), manifest.as_slice()));
    raw(&entries)
}

#[test]
fn c1_17_names_that_lead_out() {
    let place = Place::new();
    let images = place.images();
    let image = image();
    let canary = place.beside("canary");
    std::fs::write(&canary, &image.layers[0]).expect("a file");
    let canary = canary.to_str().expect("a path");
    for (config, layer) in [
        ("../../c.json", "l.tar"),
        ("c.json", "../../l.tar"),
        ("c.json", canary),
        ("/etc/passwd", "l.tar"),
        ("c.json", "a/../../l.tar"),
        ("c.json", "nothing.tar"),
        ("nothing.json", "l.tar"),
        ("", "l.tar"),
    ] {
        let manifest = json!([{"Config": config, "RepoTags": ["a:1"], "Layers": [layer]}]);
        let error = refused(&images, &with_manifest(&image, &manifest, &[]));
        assert!(error.contains("leads out") || error.contains("is not in it"), "{config} {layer}: {error}");
    }
}

#[test]
fn c1_17_links_that_lead_out() {
    let place = Place::new();
    let images = place.images();
    let image = image();
    std::fs::write(place.beside("layer.tar"), &image.layers[0]).expect("a file");
    let outside = place.beside("layer.tar");
    for target in
        [outside.to_str().expect("a path"), "../layer.tar", "../../../../etc/passwd", "loop.tar", "gone.tar"]
    {
        let manifest = json!([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["x.tar"]}]);
        let more =
            [(symlink("x.tar", target), b"".as_slice()), (symlink("loop.tar", "x.tar"), b"".as_slice())];
        let error = refused(&images, &with_manifest(&image, &manifest, &more));
        assert!(error.contains("is a link") || error.contains("is not in it"), "{target}: {error}");
    }
    let manifest = json!([{"Config": "x.json", "RepoTags": ["a:1"], "Layers": ["l.tar"]}]);
    let error = refused(&images, &with_manifest(&image, &manifest, &[(symlink("x.json", "c.json"), b"")]));
    assert!(error.contains("\"x.json\" of the archive is a link"), "{error}");
}

#[test]
fn c1_17_entries_that_lead_out() {
    let place = Place::new();
    let images = place.images();
    for name in ["../x", "a/../../x", "/abs"] {
        let error = refused(&images, &raw(&[(file(name, b"x"), b"x")]));
        assert!(error.contains("leads out of it"), "{name}: {error}");
    }
}

#[test]
fn c1_17_one_tag_for_two_images() {
    let place = Place::new();
    let images = place.images();
    let other = Image::new(&["a:1"], &[tar(&[("b", b"b")])], 2);
    assert_eq!(refused(&images, &docker(&[image(), other])), "the archive gives a:1 to two images");
    let twice = image().layers[0].clone();
    let error = refused(&images, &raw(&[(file("x", &twice), &twice), (file("./x", b"1"), b"1")]));
    assert_eq!(error, "the archive has \"x\" twice");
}

#[test]
fn c1_17_without_documents() {
    let place = Place::new();
    let images = place.images();
    let error = refused(&images, &tar(&[("etc/passwd", b"root"), ("repositories", b"{}")]));
    assert!(error.starts_with("not an archive of images"), "{error}");
    for manifest in
        ["null", "{}", "[1]", "[{}]", "[{\"Config\":1}]", "[{\"Config\":\"a\",\"Config\":\"b\"}]", "["]
    {
        let error = refused(&images, &tar(&[("manifest.json", manifest.as_bytes())]));
        assert!(error.starts_with("manifest.json of the archive is not valid"), "{manifest}: {error}");
    }
    for tag in ["a", "A:1", "a:1@sha256:00", "../a:1", ""] {
        let image = image();
        let manifest = json!([{"Config": "c.json", "RepoTags": [tag], "Layers": ["l.tar"]}]);
        let error = refused(&images, &with_manifest(&image, &manifest, &[]));
        assert!(error.contains("is no name with a tag"), "{tag}: {error}");
    }
}

#[test]
fn a2_35_ids_are_computed_and_checked() {
    let place = Place::new();
    let images = place.images();
    let image = image();
    let evil = b"evil";
    let name = format!("blobs/sha256/{}", Digest::of(b"good").hex());
    let error = refused(&images, &raw(&[(file(&name, evil), evil)]));
    assert!(error.contains("which is not its name"), "{error}");
    for name in ["blobs/sha256/../../x", "blobs/sha256/abc", "blobs/md5/00", "blobs/sha256/UPPER", "blobs/x"]
    {
        let error = refused(&images, &raw(&[(file(name, evil), evil)]));
        assert!(error.contains("leads out of it"), "{name}: {error}");
    }
    // A configuration under another's name: the ID is its digest all the same.
    let config = image.config_bytes();
    let wrong = format!("{}.json", "0".repeat(64));
    let manifest = serde_json::to_vec(&json!([{"Config": wrong, "RepoTags": ["a:1"], "Layers": ["l.tar"]}]))
        .expect("JSON");
    let archive = raw(&[
        (file(&wrong, &config), &config),
        (file("l.tar", &image.layers[0]), &image.layers[0]),
        (file("manifest.json", &manifest), &manifest),
    ]);
    assert_eq!(loaded(&images, &archive)[0].to_string(), image.id());
}

#[test]
fn c1_14_layers_that_are_not_what_the_configuration_says() {
    let place = Place::new();
    let images = place.images();
    let mut other = image();
    other.layers = vec![tar(&[("b", b"b")])];
    let manifest = json!([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l.tar"]}]);
    let error = refused(&images, &with_manifest(&other, &manifest, &[]));
    assert!(error.contains("unpacks to sha256:"), "{error}");
    for layers in [json!([]), json!(null), json!(["l.tar", "l.tar"])] {
        let manifest = json!([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": layers}]);
        let error = refused(&images, &with_manifest(&image(), &manifest, &[]));
        assert!(error.contains("but its config names 1"), "{layers}: {error}");
    }
}

#[test]
fn c1_15_indexes() {
    let place = Place::new();
    let images = place.images();
    let layout = |index: &serde_json::Value, blobs: &[Vec<u8>]| {
        let index = serde_json::to_vec(index).expect("JSON");
        let names: Vec<_> =
            blobs.iter().map(|blob| format!("blobs/sha256/{}", Digest::of(blob).hex())).collect();
        let mut entries: Vec<_> =
            names.iter().zip(blobs).map(|(name, blob)| (file(name, blob), blob.as_slice())).collect();
        let marker = br#"{"imageLayoutVersion":"1.0.0"}"#;
        entries.push((file("index.json", &index), index.as_slice()));
        entries.push((file("oci-layout", marker), marker));
        raw(&entries)
    };
    let descriptor = |bytes: &[u8], kind: &str| json!({"mediaType": format!("application/vnd.oci.image.{kind}.v1+json"), "digest": Digest::of(bytes).to_string(), "size": bytes.len()});
    let index_of = |manifests: Vec<serde_json::Value>| json!({"schemaVersion": 2, "manifests": manifests});
    // Deeper than anybody needs.
    let mut blobs = vec![serde_json::to_vec(&index_of(vec![])).expect("JSON")];
    for _ in 0..1000 {
        let last = blobs.last().expect("one");
        blobs.push(serde_json::to_vec(&index_of(vec![descriptor(last, "index")])).expect("JSON"));
    }
    let top = index_of(vec![descriptor(blobs.last().expect("one"), "index")]);
    assert!(refused(&images, &layout(&top, &blobs)).contains("is nested deeper than 4"));
    // Wider.
    let many: Vec<_> = (0..1001).map(|at: u32| descriptor(&at.to_le_bytes(), "manifest")).collect();
    assert!(refused(&images, &layout(&index_of(many), &[])).contains("more than 1000"));
    // Nothing there.
    assert!(
        refused(&images, &layout(&index_of(vec![descriptor(b"x", "manifest")]), &[]))
            .contains("is not in it")
    );
    for (size, digest) in [
        (json!(-1), Digest::of(b"x").to_string()),
        (json!(u64::MAX), Digest::of(b"x").to_string()),
        (json!(1), "sha256:../../x".to_owned()),
    ] {
        let bad = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size});
        assert!(refused(&images, &layout(&index_of(vec![bad]), &[])).contains("image index is not valid"));
    }
    // Both things at once (A3 67), and a size that is not the blob's.
    let both = json!({"schemaVersion": 2, "manifests": [], "layers": [], "config": {}});
    assert!(refused(&images, &layout(&both, &[])).contains("both layers and manifests"));
    let blob = serde_json::to_vec(&index_of(vec![])).expect("JSON");
    let mut wrong = descriptor(&blob, "index");
    wrong["size"] = json!(5);
    assert!(refused(&images, &layout(&index_of(vec![wrong]), &[blob])).contains("5 were announced"));
}

#[test]
fn c1_16_configurations() {
    let place = Place::new();
    let images = place.images();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let label = format!(
        "{{\"config\":{{\"Labels\":{{\"a\":\"{}\"}}}},\"rootfs\":{{\"type\":\"layers\"}}}}",
        "x".repeat(9 << 20)
    );
    let manifest = br#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":[]}]"#;
    for config in [
        deep.as_str(),
        &label,
        "{\"rootfs\":{\"type\":\"layers\"},\"rootfs\":{\"type\":\"layers\"}}",
        "{\"rootfs\":{}}",
        "{}",
        "null",
        "{\"rootfs\":null}",
        "",
    ] {
        let archive = raw(&[
            (file("c.json", config.as_bytes()), config.as_bytes()),
            (file("manifest.json", manifest), manifest),
        ]);
        refused(&images, &archive);
    }
}

#[test]
fn a2_78_reserved_labels_are_not_the_images() {
    let place = Place::new();
    let images = place.images();
    let mut image = image();
    image.config["config"]["Labels"] = json!({"io.longshore.runtime": "x", "ok": "y"});
    let id = loaded(&images, &docker(&[image]))[0].clone();
    let labels = images.store().image(&id).expect("read").expect("there").labels;
    assert_eq!(labels.into_keys().collect::<Vec<_>>(), ["ok"]);
}

/// A tar whose one file is longer than all memory, made as it is read.
struct Endless {
    head: std::io::Cursor<Vec<u8>>,
    left: u64,
    read: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut length = self.head.read(buffer)?;
        if length == 0 {
            length = usize::try_from(self.left.min(buffer.len() as u64)).expect("a buffer's length");
            buffer[..length].fill(b' ');
            self.left -= length as u64;
        }
        self.read += length as u64;
        Ok(length)
    }
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[test]
fn a3_71_documents_of_four_gigabytes() {
    let place = Place::new();
    let images = place.images();
    for name in ["index.json", "manifest.json", "oci-layout"] {
        let head = header_of(name, 4 << 30);
        let mut endless = Endless { head: std::io::Cursor::new(head), left: 4 << 30, read: 0 };
        let error = images.load(&mut endless, &LoadOptions::default(), &Silent).expect_err("refused");
        assert!(error.line().contains("4294967296 bytes, more than"), "{}", error.line());
        assert!(endless.read < 8 << 20, "{} bytes were read", endless.read);
    }
    assert_nothing(&images);
    assert!(peak() < 100 << 20, "{} bytes of memory", peak());
}

/// A ustar header for a file of any size.
fn header_of(name: &str, size: u64) -> Vec<u8> {
    let mut block = raw(&[(file(name, b""), b"")]);
    block.truncate(512);
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[test]
fn a2_124_zeros_without_end() {
    let place = Place::new();
    let images = place.images();
    let mut archive = docker(&[image()]);
    archive.extend(vec![0; 1 << 20]);
    struct Zeros(std::io::Cursor<Vec<u8>>, u64);
    impl Read for Zeros {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.read(buffer)?;
            if length > 0 {
                return Ok(length);
            }
            let length = usize::try_from(self.1.min(buffer.len() as u64)).expect("a buffer's length");
            buffer[..length].fill(0);
            self.1 -= length as u64;
            Ok(length)
        }
    }
    let endless = Zeros(std::io::Cursor::new(archive), 64 << 30);
    let error = images.load(endless, &LoadOptions::default(), &Silent).expect_err("refused");
    assert!(error.line().contains("zero bytes after the end"), "{}", error.line());
    assert_nothing(&images);
    // C1 20: an import takes them, and needs no memory for them.
    let padded = Zeros(std::io::Cursor::new(tar(&[("a", b"a")])), 1 << 30);
    images.import(padded, &longshore_image::ImportOptions::default(), &Silent).expect("an image");
    assert!(peak() < 100 << 20, "{} bytes of memory", peak());
}

#[test]
fn c1_12_cut_anywhere() {
    let place = Place::new();
    let images = place.images();
    let archive = docker(&[image(), Image::new(&["b:1"], &[tar(&[("b", &[1; 5000])])], 2)]);
    // Without the last blocks of zeros it is still whole.
    let whole = archive.len() - 1024;
    for length in (0..whole).step_by(512) {
        refused(&images, &archive[..length]);
    }
}
