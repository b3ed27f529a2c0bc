//! A tree that nobody may touch, and the proof that nobody did.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory outside of every root file system, and what it held when it was made.
#[derive(Debug)]
pub struct Canary {
    dir: PathBuf,
    before: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    links: u64,
    modified: (i64, i64),
    content: Option<Vec<u8>>,
}

impl Canary {
    /// Fills `dir` with a few files and directories and remembers them.
    ///
    /// # Panics
    /// If that fails.
    pub fn new(dir: &Path) -> Canary {
        fs::create_dir_all(dir.join("inner/deep")).expect("canary");
        for (name, mode) in [("secret", 0o600), ("public", 0o644), ("inner/file", 0o640), ("null", 0o644)] {
            let path = dir.join(name);
            fs::write(&path, format!("canary {name}\n")).expect("canary");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("canary");
        }
        let mut canary = Canary { dir: dir.to_owned(), before: BTreeMap::new() };
        canary.before = canary.look();
        canary
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Asserts that nothing in it changed, came or went.
    ///
    /// # Panics
    /// If something did.
    #[track_caller]
    pub fn assert_untouched(&self) {
        let now = self.look();
        for (path, entry) in &now {
            assert_eq!(Some(entry), self.before.get(path), "{} changed", path.display());
        }
        for path in self.before.keys() {
            assert!(now.contains_key(path), "{} is gone", path.display());
        }
    }

    fn look(&self) -> BTreeMap<PathBuf, Entry> {
        let mut found = BTreeMap::new();
        look(&self.dir, &mut found);
        found
    }
}

fn look(path: &Path, found: &mut BTreeMap<PathBuf, Entry>) {
    let metadata = fs::symlink_metadata(path).expect("canary");
    let entry = Entry {
        inode: metadata.ino(),
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        links: metadata.nlink(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        content: metadata.is_file().then(|| fs::read(path).expect("canary")),
    };
    found.insert(path.to_owned(), entry);
    if metadata.is_dir() {
        for entry in fs::read_dir(path).expect("canary") {
            look(&entry.expect("canary").path(), found);
        }
    }
}
