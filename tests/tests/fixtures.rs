//! Are the fixtures what they say? Real images in a real registry, read back by skopeo.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use testkit::dockerd::Dockerd;
use testkit::images::{self, ALL};
use testkit::registry::{Options, PASSWORD, Registry, USER};
use testkit::tool;

fn inspect(image: &str, options: &[&str]) -> Value {
    let memory = tempfile::tempdir().expect("a directory");
    let mut command = tool::skopeo("inspect", memory.path());
    let output = tool::output(command.args(options).arg(format!("docker://{image}")));
    serde_json::from_slice(&output).expect("JSON")
}

fn layer_types(manifest: &Value) -> BTreeSet<&str> {
    let layers = manifest["layers"].as_array().expect("layers");
    layers.iter().map(|layer| layer["mediaType"].as_str().expect("a type")).collect()
}

#[test]
fn a_registry_starts_stops_and_comes_back() {
    let mut registry = Registry::start();
    let host = registry.host().to_owned();
    TcpStream::connect(&host).expect("it listens");
    registry.stop();
    TcpStream::connect(&host).expect_err("it does not listen any more");
    registry.resume();
    assert_eq!(registry.host(), host, "{}", registry.log());
    let storage = registry.storage();
    drop(registry);
    TcpStream::connect(&host).expect_err("it does not listen any more");
    assert!(!storage.exists());
}

#[test]
fn a_dockerd_pulls_and_is_gone() {
    let registry = images::ready().registry();
    let dockerd = Dockerd::start();
    let image = registry.image("lib/built:1");
    let said = tool::output(&mut dockerd.docker(&["pull", &image]));
    assert!(String::from_utf8_lossy(&said).contains("Downloaded newer image"), "{said:?}");
    let id = tool::output(&mut dockerd.docker(&["image", "inspect", "--format", "{{.Id}}", &image]));
    let manifest = inspect(&image, &["--raw"]);
    assert_eq!(manifest["config"]["digest"], String::from_utf8_lossy(&id).trim());
    let (dir, pid) = (dockerd.dir().to_owned(), dockerd.pid());
    drop(dockerd);
    assert!(!dir.exists());
    assert!(!fs::exists(format!("/proc/{pid}/fd/0")).is_ok_and(|exists| exists));
}

#[test]
fn every_form_is_there() {
    let registry = images::ready().registry();
    let manifest = |name: &str| inspect(&registry.image(name), &["--raw"]);
    let oci = "application/vnd.oci.image.layer.v1.tar";
    let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    for (name, layer) in [
        ("lib/docker:1", docker.to_owned()),
        ("lib/built:1", docker.to_owned()),
        ("lib/oci:1", format!("{oci}+gzip")),
        ("lib/corpus:1", format!("{oci}+gzip")),
        ("lib/zstd:1", format!("{oci}+zstd")),
        ("lib/corpus-zstd:1", format!("{oci}+zstd")),
        ("lib/plain:1", oci.to_owned()),
    ] {
        assert_eq!(layer_types(&manifest(name)), BTreeSet::from([layer.as_str()]), "{name}");
    }
    // One image in four forms: the same ID.
    let ids: BTreeSet<String> = ["lib/docker:1", "lib/oci:1", "lib/zstd:1", "lib/plain:1"]
        .map(|name| manifest(name)["config"]["digest"].as_str().expect("a digest").to_owned())
        .into();
    assert_eq!(ids.len(), 1, "{ids:?}");

    for (name, media_type) in [
        ("lib/multi:1", "application/vnd.oci.image.index.v1+json"),
        ("lib/list:1", "application/vnd.docker.distribution.manifest.list.v2+json"),
    ] {
        let index = manifest(name);
        assert_eq!(index["mediaType"], media_type);
        let platforms: Vec<String> = index["manifests"]
            .as_array()
            .expect("manifests")
            .iter()
            .map(|entry| format!("{}/{}", entry["platform"]["architecture"], entry["platform"]["variant"]))
            .map(|platform| platform.replace('"', ""))
            .collect();
        assert_eq!(platforms, ["arm64/v8", "arm/v7", "amd64/null"], "{name}");
    }
    for name in ALL {
        manifest(name);
    }
}

#[test]
fn the_corpus_has_every_kind_of_entry() {
    let images = images::ready();
    let tree = images.corpus_tree();
    let entry = |path: &str| tree.join(path).symlink_metadata();
    let there = |path: &str| entry(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(there("devices/null").file_type().is_char_device());
    assert!(there("devices/loop").file_type().is_block_device());
    assert!(there("devices/fifo").file_type().is_fifo());
    assert_eq!(there("devices/wide").rdev(), rustix::fs::makedev(4000, 100_000));
    assert_eq!(there("modes/4755").mode(), 0o104_755);
    assert_eq!(there("owners/setuid").mode(), 0o104_755);
    assert_eq!(
        (there("owners/2097152-4000000").uid(), there("owners/2097152-4000000").gid()),
        (2_097_152, 4_000_000)
    );
    assert_eq!(there("links/a/two").ino(), there("links/b/three").ino());
    assert_eq!(there("times/almost").mtime_nsec(), 999_999_999);
    assert_eq!(there("times/after-2038").mtime(), 4_294_967_297);
    assert_eq!(there("sizes/sparse").len(), (12 << 20) + 4);
    assert!(
        there("sizes/sparse").blocks() * 512 < 1 << 20 || there("sizes/sparse").blocks() * 512 >= 12 << 20
    );
    let mut value = [0; 64];
    let length = rustix::fs::lgetxattr(tree.join("attributes/ping"), "security.capability", &mut value[..]);
    assert_eq!(length, Ok(20));

    for gone in
        ["gone", "gone-file", "gone-link", "changed-to-link", "links/a/one", "opaque/old", "returns/old"]
    {
        entry(gone).expect_err(gone);
    }
    for here in ["opaque/new", "returns/new", "names-that-look-like.wh.", "becomes-a-directory/inside"] {
        there(here);
    }
    assert!(there("becomes-a-file").is_file());
    assert!(there("becomes-a-real-directory").is_dir());
    entry("nested/opaque/deep").expect_err("hidden by an opaque directory");
    assert_eq!(fs::read(tree.join("changed")).expect("a file"), b"after, and longer");
}

#[test]
fn a_login_is_asked_for() {
    let registry = images::ready().registry_with(Options { login: true, ..Options::default() });
    let image = registry.image("lib/oci:1");
    let memory = tempfile::tempdir().expect("a directory");
    let mut command = tool::skopeo("inspect", memory.path());
    let refused = command.arg(format!("docker://{image}")).output().expect("skopeo");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("auth"), "{refused:?}");
    inspect(&image, &["--raw", "--creds", &format!("{USER}:{PASSWORD}")]);
}

#[test]
fn tls_is_signed_by_the_authority() {
    let options = Options { tls: true, client_certificate: true, ..Options::default() };
    let registry = images::ready().registry_with(options);
    let certificates = tempfile::tempdir().expect("a directory");
    fs::copy(registry.authority(), certificates.path().join("ca.crt")).expect("the authority");
    let (certificate, key) = registry.client();
    fs::copy(certificate, certificates.path().join("client.cert")).expect("a certificate");
    fs::copy(key, certificates.path().join("client.key")).expect("a key");
    let dir = certificates.path().display().to_string();
    inspect(&registry.image("lib/oci:1"), &["--raw", "--tls-verify=true", "--cert-dir", &dir]);
}

#[test]
fn the_archives_are_skopeos() {
    let images = images::ready();
    let memory = tempfile::tempdir().expect("a directory");
    for name in [
        format!("docker-archive:{}:fixture/built:1", images.docker_archive().display()),
        format!("oci-archive:{}:multi", images.oci_archive().display()),
        format!("oci:{}:corpus", images.layout().display()),
    ] {
        tool::run(tool::skopeo("inspect", memory.path()).arg("--raw").arg(name));
    }
}
