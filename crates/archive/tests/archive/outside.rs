//! What no layer may reach: a tree beside the root, and the proof that nobody touched it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::tree::{Tree, look_with_root};

pub(crate) struct Outside {
    dir: PathBuf,
    before: (Tree, Vec<[i64; 4]>),
}

impl Outside {
    /// Fills the directory `dir`, which is made.
    pub(crate) fn new(dir: &Path) -> Outside {
        fs::create_dir_all(dir.join("inner/deep")).expect("canary");
        for name in ["secret", "passwd", "inner/file", "x"] {
            fs::write(dir.join(name), "canary\n").expect("canary");
        }
        let mut outside = Outside { dir: dir.to_owned(), before: Default::default() };
        outside.before = outside.look();
        outside
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The change time and the number of links tell of what was only tried, too.
    fn look(&self) -> (Tree, Vec<[i64; 4]>) {
        let tree = look_with_root(&self.dir);
        let traces = tree.keys().map(|path| {
            let metadata = fs::symlink_metadata(self.dir.join(path)).expect("canary");
            let number = |value: u64| i64::try_from(value).expect("a number");
            [number(metadata.ino()), number(metadata.nlink()), metadata.ctime(), metadata.ctime_nsec()]
        });
        let traces = traces.collect();
        (tree, traces)
    }

    #[track_caller]
    pub(crate) fn assert_untouched(&self, what: &dyn std::fmt::Debug) {
        assert_eq!(self.look(), self.before, "touched by {what:?}");
    }
}
