//! A data root for one test, and things to put in it.

use std::{
    fs,
    io::Write,
    os::fd::{AsRawFd, BorrowedFd},
    path::{Path, PathBuf},
};

use longshore_store::{
    Form, FormKind, LayerFacts, ManifestKind, NewImage, NewManifest, Options, Prepared, Recovery, Store,
};
use longshore_types::{DiffId, Digest, ImageId, Platform, Reference};
use tempfile::TempDir;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub(crate) struct Bed {
    dir: TempDir,
}

impl Bed {
    /// In memory where there is a file system for it: what is tested there is order, not the disk.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Self { dir: dir.expect("a temporary directory") }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Beside the data root.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn open(&self) -> (Store, Recovery) {
        open_at(&self.root())
    }

    pub(crate) fn store(&self) -> Store {
        self.open().0
    }
}

/// With a reserve that is quickly copied.
pub(crate) fn options() -> Options {
    Options { reserve: 64 << 10, ..Options::default() }
}

/// Opens the store at another place.
pub(crate) fn open_at(root: &Path) -> (Store, Recovery) {
    Store::open(root, options()).expect("open the store")
}

pub(crate) fn name(text: &str) -> Reference {
    Reference::parse(text).expect("a name").with_default_tag()
}

/// The path of an open directory.
pub(crate) fn path(fd: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

/// A layer with one file, prepared with its blob (which is no tar, and need not be).
pub(crate) fn layer(store: &Store, content: &str) -> (DiffId, Vec<Prepared>) {
    let blob = store.prepare_blob(format!("blob of {content}").as_bytes()).expect("a blob");
    let layer = store.begin_layer().expect("a layer");
    fs::create_dir(path(layer.dir()).join("dir")).expect("a directory");
    fs::write(path(layer.dir()).join("dir/file"), content).expect("a file");
    let diff_id = DiffId(Digest::of(content.as_bytes()));
    let form = Form {
        digest: blob.digest().clone(),
        size: blob.size(),
        media_type: LAYER.to_owned(),
        kind: FormKind::Compressed,
    };
    let facts = LayerFacts { bytes: content.len() as u64, inodes: 3, tar_bytes: 1024, forms: vec![form] };
    let layer = layer.prepare(diff_id.clone(), facts).expect("a prepared layer");
    (diff_id, vec![Prepared::Blob(blob), Prepared::Layer(layer)])
}

/// An image of these layers, with its manifest; all of it is to be committed.
pub(crate) fn image(store: &Store, layers: &[&str]) -> (ImageId, Digest, Vec<Prepared>) {
    let mut prepared = Vec::new();
    let mut parts = Vec::new();
    let mut diff_ids = Vec::new();
    for content in layers {
        let (diff_id, more) = layer(store, content);
        for one in &more {
            if let Prepared::Blob(blob) = one {
                parts.push((blob.digest().clone(), blob.size()));
            }
        }
        prepared.extend(more);
        diff_ids.push(diff_id);
    }
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = store.prepare_blob(config.to_string().as_bytes()).expect("a configuration");
    let id = ImageId(config.digest().clone());
    let layers: Vec<_> = parts
        .iter()
        .map(|(digest, size)| serde_json::json!({"mediaType": LAYER, "digest": digest, "size": size}))
        .collect();
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
        "config": {"mediaType": CONFIG, "digest": config.digest(), "size": config.size()},
    });
    let manifest = store.prepare_blob(document.to_string().as_bytes()).expect("a manifest");
    let digest = manifest.digest().clone();
    parts.insert(0, (config.digest().clone(), config.size()));
    prepared.push(Prepared::Manifest(NewManifest {
        digest: digest.clone(),
        kind: ManifestKind::Manifest,
        media_type: MANIFEST.to_owned(),
        size: manifest.size(),
        image: Some(id.clone()),
        parts,
    }));
    prepared.push(Prepared::Image(NewImage {
        id: id.clone(),
        layers: diff_ids,
        platform: Platform::new("linux", "amd64"),
        created: Some(1_700_000_000),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        parent: None,
    }));
    prepared.extend([Prepared::Blob(config), Prepared::Blob(manifest)]);
    (id, digest, prepared)
}

/// Writes a whole blob.
pub(crate) fn blob(store: &Store, content: &[u8]) -> Digest {
    let digest = Digest::of(content);
    let mut ingest = store.ingest(&digest, content.len() as u64).expect("an ingest");
    let offset = usize::try_from(ingest.offset()).expect("small");
    ingest.write_all(&content[offset..]).expect("written");
    ingest.commit().expect("committed")
}

/// Stores an image of these layers, with a tag if `tag` is not empty.
pub(crate) fn stored(store: &Store, layers: &[&str], tag: &str) -> (ImageId, Digest) {
    let (id, digest, mut prepared) = image(store, layers);
    if !tag.is_empty() {
        prepared.push(Prepared::Tag(name(tag), longshore_store::Target::Manifest(digest.clone())));
    }
    store.commit_all(prepared).expect("an image");
    (id, digest)
}

pub(crate) fn diff_id(content: &str) -> DiffId {
    DiffId(Digest::of(content.as_bytes()))
}

/// Bytes of regular files below `path`, hard links once; and all names.
pub(crate) fn walk(path: &Path) -> (u64, Vec<PathBuf>) {
    use std::os::unix::fs::MetadataExt;
    let mut found = (0, Vec::new());
    let mut seen = std::collections::HashSet::new();
    let mut queue = vec![path.to_owned()];
    while let Some(dir) = queue.pop() {
        for entry in fs::read_dir(dir).expect("a directory").flatten() {
            let facts = entry.metadata().expect("a file");
            if facts.is_dir() {
                queue.push(entry.path());
            } else if facts.is_file() && seen.insert((facts.dev(), facts.ino())) {
                found.0 += facts.len();
            }
            found.1.push(entry.path());
        }
    }
    found
}

/// Every byte below the data root has an owner, and the ledger's sum is the disk's.
#[track_caller]
pub(crate) fn assert_accounted(store: &Store) {
    store.wait_for_trash().expect("deleted");
    let ledger = store.ledger(std::time::Duration::ZERO).expect("a ledger");
    assert_eq!((ledger.unaccounted, &ledger.unaccounted_paths), (0, &Vec::new()));
    let (bytes, names) = walk(store.root());
    assert_eq!(ledger.total(), bytes, "{ledger:?}\n{names:#?}");
}

/// A file system that goes with its owner.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Memory, with room for so many bytes.
    pub(crate) fn memory(at: &Path, bytes: u64) -> Self {
        Self::new(at, &["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
    }

    /// The ext4 in a file. Nothing is written to it before somebody asks, or for five minutes.
    pub(crate) fn image(at: &Path, image: &Path) -> Self {
        Self::new(at, &["-o", "loop,commit=300", &image.display().to_string()])
    }

    fn new(at: &Path, arguments: &[&str]) -> Self {
        fs::create_dir_all(at).expect("a place to mount");
        let status = std::process::Command::new("mount").args(arguments).arg(at).status().expect("mount");
        assert!(status.success(), "mount {arguments:?}");
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg("--lazy").arg(&self.0).status().expect("umount");
    }
}
