//! Small real images, made by other people's tools (GNU tar, umoci, buildah, skopeo) in every form
//! that is out there. All of them are made once, kept beside the build's output and shared by all
//! tests; a test gets a registry of its own that has them all.
//!
//! | name | what it is |
//! |---|---|
//! | `lib/docker:1` | Docker schema 2, gzip, one layer (busybox) |
//! | `lib/oci:1` | the same as OCI, gzip: layers and image ID are those of `lib/docker:1` |
//! | `lib/zstd:1` | the same as OCI, zstd |
//! | `lib/plain:1` | the same as OCI, layers not compressed |
//! | `lib/built:1` | Docker schema 2 from a Dockerfile: three layers, history, every setting |
//! | `lib/corpus:1` | OCI, gzip: three layers with every kind of entry ([`corpus`]) |
//! | `lib/corpus-zstd:1` | the same, zstd |
//! | `lib/multi:1` | OCI index: linux/arm64/v8, linux/arm/v7, linux/amd64, in this order |
//! | `lib/list:1` | the same as a Docker manifest list |
//! | `lib/foreign:1` | OCI index without an image for linux/amd64 |

mod corpus;
mod make;

use crate::registry::{Options, Registry};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// The names of all images, as in the registry.
pub const ALL: &[&str] = &[
    "lib/docker:1",
    "lib/oci:1",
    "lib/zstd:1",
    "lib/plain:1",
    "lib/built:1",
    "lib/corpus:1",
    "lib/corpus-zstd:1",
    "lib/multi:1",
    "lib/list:1",
    "lib/foreign:1",
];

/// What is made when these change is something else: the key of the kept images.
const SOURCES: [&str; 3] =
    [include_str!("images.rs"), include_str!("images/corpus.rs"), include_str!("images/make.rs")];

/// The images of this machine. They are read, never written.
#[derive(Debug, Clone)]
pub struct Images {
    dir: PathBuf,
}

/// Makes the images, unless an earlier test did; waits if another one is at it.
///
/// # Panics
/// If a tool is missing or fails, with what it said.
pub fn ready() -> Images {
    let mut key = DefaultHasher::new();
    SOURCES.hash(&mut key);
    let all = crate::bed::profile_dir().join("test-images");
    let dir = all.join(format!("{:016x}", key.finish()));
    fs::create_dir_all(&all).expect("the directory of all images");
    let lock = File::create(all.join("lock")).expect("a lock");
    lock.lock().expect("a lock");
    if !dir.exists() {
        let new = dir.with_extension("new");
        if new.exists() {
            fs::remove_dir_all(&new).expect("what a killed test left");
        }
        make::all(&new);
        fs::rename(&new, &dir).expect("the images' directory");
    }
    Images { dir }
}

impl Images {
    /// A registry of the test's own that has all images.
    pub fn registry(&self) -> Registry {
        self.registry_with(Options::default())
    }

    /// The same with a login or TLS.
    pub fn registry_with(&self, options: Options) -> Registry {
        Registry::with(Options { storage: Some(self.dir.join("storage")), ..options })
    }

    /// An OCI layout made by umoci with the references `base` (`lib/oci:1`), `corpus`, `arm64`,
    /// `arm` and `amd64` (those of `lib/multi:1`).
    pub fn layout(&self) -> PathBuf {
        self.dir.join("layout")
    }

    /// The corpus as `umoci unpack` makes it: the tree to compare with.
    pub fn corpus_tree(&self) -> PathBuf {
        self.dir.join("corpus/rootfs")
    }

    /// The layers of the corpus, not compressed.
    pub fn corpus_layers(&self) -> [PathBuf; 3] {
        [1, 2, 3].map(|number| self.dir.join(format!("corpus-{number}.tar")))
    }

    /// `lib/built:1` as an archive for `docker load`, by skopeo: tag `fixture/built:1`.
    pub fn docker_archive(&self) -> PathBuf {
        self.dir.join("docker-archive.tar")
    }

    /// `lib/multi:1` as an archive of an OCI layout, by skopeo: reference `multi`.
    pub fn oci_archive(&self) -> PathBuf {
        self.dir.join("oci-archive.tar")
    }
}
