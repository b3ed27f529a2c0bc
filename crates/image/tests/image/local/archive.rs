//! Archives made by hand, good and bad.

use std::io::Write;

use longshore_archive::{
    entry::{Entry, Kind},
    tar::Writer,
};
use longshore_types::Digest;
use serde_json::{Value, json};

/// A tar of files: name and content.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (name, content) in files {
        tar.entry(&file(name, content), *content).expect("an entry");
    }
    tar.finish().expect("an archive")
}

pub(crate) fn file(name: &str, content: &[u8]) -> Entry {
    Entry { path: name.as_bytes().to_vec(), mode: 0o644, size: content.len() as u64, ..Entry::default() }
}

pub(crate) fn symlink(name: &str, target: &str) -> Entry {
    Entry { path: name.into(), kind: Kind::Symlink, link: target.into(), mode: 0o777, ..Entry::default() }
}

/// An image to be put into an archive.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) tags: Vec<String>,
    /// Tars, lowest first.
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) config: Value,
    pub(crate) parent: Option<String>,
}

impl Image {
    /// An image with these layers; `created` is a second of the year 2000.
    pub(crate) fn new(tags: &[&str], layers: &[Vec<u8>], created: u32) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let history: Vec<_> =
            (0..layers.len()).map(|at| json!({"created_by": format!("step {at}")})).collect();
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "created": format!("2000-01-01T00:{:02}:{:02}Z", created / 60, created % 60),
            "config": {"Labels": {"n": created.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        Self { tags, layers: layers.to_vec(), config, parent: None }
    }

    pub(crate) fn config_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.config).expect("JSON")
    }

    pub(crate) fn id(&self) -> String {
        Digest::of(&self.config_bytes()).to_string()
    }

    /// The images on it, in a chain, say that it is their parent.
    pub(crate) fn on(mut self, parent: &Self) -> Self {
        self.parent = Some(parent.id());
        self
    }
}

/// An archive as Docker wrote it before 25: layers first, `manifest.json` last.
pub(crate) fn docker(images: &[Image]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    let mut items = Vec::new();
    let mut written = Vec::new();
    for image in images {
        let mut layers = Vec::new();
        for layer in &image.layers {
            let name = format!("{}/layer.tar", Digest::of(layer).hex());
            if !written.contains(&name) {
                tar.entry(&file(&name, layer), layer.as_slice()).expect("a layer");
                written.push(name.clone());
            }
            layers.push(name);
        }
        let config = image.config_bytes();
        let name = format!("{}.json", Digest::of(&config).hex());
        tar.entry(&file(&name, &config), config.as_slice()).expect("a configuration");
        let mut item = json!({"Config": name, "RepoTags": image.tags, "Layers": layers});
        if let Some(parent) = &image.parent {
            item["Parent"] = parent.clone().into();
        }
        items.push(item);
    }
    let manifest = serde_json::to_vec(&items).expect("JSON");
    tar.entry(&file("manifest.json", &manifest), manifest.as_slice()).expect("the manifest");
    tar.finish().expect("an archive")
}

/// An archive of these entries.
pub(crate) fn raw(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (entry, content) in entries {
        tar.entry(entry, *content).expect("an entry");
    }
    tar.finish().expect("an archive")
}

/// Packs with a tool of the system.
pub(crate) fn packed(tool: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new(tool)
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&bytes).expect("written"));
    let output = child.wait_with_output().expect("an output");
    writing.join().expect("a thread");
    assert!(output.status.success(), "{tool}");
    output.stdout
}
