//! What each kind of entry becomes.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_archive::apply::{Applied, Error, Options, Whiteouts, apply};
use longshore_archive::diff::measure;
use tempfile::TempDir;

use crate::layer::{Item, char_device, dir, fifo, file, hardlink, layer, symlink};
use crate::mount::Mount;
use crate::tree::{look, paths};

/// A directory to apply layers to.
pub(crate) struct Root {
    dir: TempDir,
    pub(crate) whiteouts: Whiteouts,
}

impl Root {
    pub(crate) fn new() -> Root {
        Root::with(Whiteouts::Overlay)
    }

    pub(crate) fn with(whiteouts: Whiteouts) -> Root {
        Root::below(&std::env::temp_dir(), whiteouts)
    }

    /// In a directory that is known to be fast.
    pub(crate) fn below(place: &Path, whiteouts: Whiteouts) -> Root {
        let dir = TempDir::with_prefix_in("longshore-apply-", place).expect("a directory");
        fs::create_dir(dir.path().join("fs")).expect("a directory");
        Root { dir, whiteouts }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("fs")
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// A path next to the root.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Empties the root.
    pub(crate) fn renew(&self) {
        fs::remove_dir_all(self.path()).expect("remove");
        fs::create_dir(self.path()).expect("a directory");
    }

    pub(crate) fn apply_bytes(&self, bytes: &[u8]) -> Result<Applied, Error> {
        let root = fs::File::open(self.path()).expect("open");
        let options = Options { whiteouts: self.whiteouts, ..Options::default() };
        apply(bytes, root.as_fd(), &options)
    }

    pub(crate) fn apply(&self, items: &[Item]) -> Result<Applied, Error> {
        self.apply_bytes(&layer(items))
    }

    #[track_caller]
    pub(crate) fn applied(&self, items: &[Item]) -> Applied {
        self.apply(items).expect("applied")
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("read")
}

#[test]
fn every_kind_with_all_it_has() {
    let root = Root::new();
    let applied = root.applied(&[
        dir("./"),
        dir("etc/").mode(0o2750).owner(1, 2).time(1_500_000_000, 123_456_789),
        file("etc/passwd", "root").mode(0o640).owner(1000, 70_000).time(1_400_000_000, 1),
        file("etc/suid", "x").mode(0o6755).owner(5, 6),
        file("etc/empty", ""),
        symlink("etc/link", "/nowhere").owner(7, 8).time(1_300_000_000, 999_999_999),
        hardlink("etc/hard", "etc/passwd").mode(0o640).owner(1000, 70_000).time(1_400_000_000, 1),
        hardlink("etc/hard-link", "etc/link").owner(7, 8).time(1_300_000_000, 999_999_999),
        char_device("etc/null", 1, 3).mode(0o666).owner(9, 10),
        fifo("etc/pipe").mode(0o622),
        dir("tmp").mode(0o1777),
        file("etc/late", "late"),
    ]);
    assert_eq!((applied.entries, applied.files, applied.bytes, applied.inodes), (12, 4, 9 + 8, 9));
    let tree = look(&root.path());
    let node = |path: &str| &tree[Path::new(path)];
    let facts = |path: &str| (node(path).mode, node(path).uid, node(path).gid, node(path).modified);
    assert_eq!(facts("etc"), (0o042750, 1, 2, (1_500_000_000, 123_456_789)));
    assert_eq!(facts("etc/passwd"), (0o100640, 1000, 70_000, (1_400_000_000, 1)));
    assert_eq!(facts("etc/suid"), (0o106755, 5, 6, (1_600_000_000, 0)));
    assert_eq!(facts("etc/empty"), (0o100644, 0, 0, (1_600_000_000, 0)));
    assert_eq!(facts("etc/link"), (0o120777, 7, 8, (1_300_000_000, 999_999_999)));
    assert_eq!(facts("etc/null"), (0o020666, 9, 10, (1_600_000_000, 0)));
    assert_eq!(facts("etc/pipe"), (0o010622, 0, 0, (1_600_000_000, 0)));
    assert_eq!(facts("tmp").0, 0o041777);
    assert_eq!(node("etc/link").content, b"/nowhere");
    assert_eq!(node("etc/passwd").same_as, Path::new("etc/hard"));
    assert_eq!(node("etc/link").same_as, Path::new("etc/hard-link"));
    assert_eq!(fs::metadata(root.at("etc/null")).expect("stat").rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(read(&root.at("etc/late")), "late");
}

#[test]
fn missing_parents_are_made() {
    let root = Root::new();
    let applied = root.applied(&[file("a/b/c", "x").time(1_000_000_000, 5)]);
    assert_eq!(applied.inodes, 3);
    let tree = look(&root.path());
    for path in ["a", "a/b"] {
        let node = &tree[Path::new(path)];
        assert_eq!((node.mode, node.uid, node.gid), (0o040755, 0, 0));
        assert_eq!(node.modified, (1_000_000_000, 5), "the same each time the layer is applied");
    }
}

#[test]
fn files_in_a_setgid_directory_keep_their_own_group() {
    let root = Root::new();
    root.applied(&[
        dir("d").mode(0o2775).owner(0, 50),
        file("d/f", "").owner(0, 0),
        file("d/g", "").owner(0, 50),
        dir("d/sub").mode(0o755),
        file("d/implied/f", ""),
    ]);
    let tree = look(&root.path());
    let facts = |path: &str| (tree[Path::new(path)].mode & 0o7777, tree[Path::new(path)].gid);
    assert_eq!(facts("d/f"), (0o644, 0));
    assert_eq!(facts("d/g"), (0o644, 50));
    assert_eq!(facts("d/sub"), (0o755, 0));
    assert_eq!(facts("d/implied"), (0o755, 0));
    assert_eq!(facts("d/implied/f"), (0o644, 0));
}

#[test]
fn extended_attributes_are_set_on_the_thing_itself() {
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let root = Root::new();
    root.applied(&[
        file("ping", "x").mode(0o4755).owner(3, 3).xattr("security.capability", &capability),
        file("u", "").xattr("user.a", b"1").xattr("user.b", b"\0\n="),
        dir("d").xattr("user.d", b"2"),
        symlink("l", "u").xattr("trusted.l", b"3"),
        hardlink("h", "u").xattr("user.h", b"4"),
    ]);
    let tree = look(&root.path());
    let xattr = |path: &str, name: &str| tree[Path::new(path)].xattrs.get(name.as_bytes()).cloned();
    assert_eq!(xattr("ping", "security.capability"), Some(capability.to_vec()));
    assert_eq!(xattr("u", "user.b"), Some(b"\0\n=".to_vec()));
    assert_eq!(xattr("d", "user.d"), Some(b"2".to_vec()));
    assert_eq!(xattr("l", "trusted.l"), Some(b"3".to_vec()));
    assert_eq!(xattr("u", "trusted.l"), None);
    assert_eq!(xattr("u", "user.h"), Some(b"4".to_vec()));
}

#[test]
fn whiteouts_become_overlays_form() {
    let root = Root::new();
    let applied = root.applied(&[
        dir("d"),
        file("d/.wh.gone", ""),
        file("d/.wh..wh..opq", ""),
        file("implied/.wh.x", ""),
        file(".wh..wh.aufs", ""),
        file("x/.wh.dir", ""),
    ]);
    assert_eq!(applied.whiteouts, 4);
    assert_eq!(paths(&root.path()), ["d", "d/gone", "implied", "implied/x", "x", "x/dir"]);
    for path in ["d/gone", "implied/x", "x/dir"] {
        let metadata = fs::metadata(root.at(path)).expect("stat");
        assert!(metadata.file_type().is_char_device());
        assert_eq!(metadata.rdev(), 0);
    }
    let tree = look(&root.path());
    assert_eq!(tree[Path::new("d")].xattrs[b"trusted.overlay.opaque".as_slice()], b"y");
    assert!(tree[Path::new("implied")].xattrs.is_empty());
}

#[test]
fn whiteouts_delete_from_a_plain_tree_what_came_before() {
    let root = Root::with(Whiteouts::Delete);
    root.applied(&[
        file("a/old", ""),
        file("a/sub/old", ""),
        file("b/old", ""),
        file("c", ""),
        file("d/e/f", ""),
    ]);
    root.applied(&[
        file("a/new", ""),
        file("a/sub/new", ""),
        file("a/.wh..wh..opq", ""),
        file("b/new", ""),
        file(".wh.b", ""),
        file(".wh.c", ""),
        file(".wh.absent", ""),
        file(".wh.d", ""),
        file("d/x", ""),
    ]);
    assert_eq!(paths(&root.path()), ["a", "a/new", "a/sub", "a/sub/new", "b", "b/new", "d", "d/x"]);
}

#[test]
fn literal_names_have_no_meaning() {
    let root = Root::with(Whiteouts::Literal);
    root.applied(&[file("d/.wh.gone", "x"), file("d/.wh..wh..opq", "y"), char_device("null", 0, 0)]);
    assert_eq!(paths(&root.path()), ["d", "d/.wh..wh..opq", "d/.wh.gone", "null"]);
}

#[test]
fn the_targets_of_hard_links_of_aufs() {
    let root = Root::new();
    root.applied(&[
        dir(".wh..wh.plnk"),
        file(".wh..wh.plnk/12.34", "shared"),
        hardlink("bin/a", ".wh..wh.plnk/12.34"),
        hardlink("bin/b", "/.wh..wh.plnk/12.34"),
    ]);
    assert_eq!(paths(&root.path()), ["bin", "bin/a", "bin/b"]);
    assert_eq!(read(&root.at("bin/b")), "shared");
}

#[test]
fn the_same_directory_again_keeps_its_content_and_takes_the_new_time() {
    let root = Root::new();
    root.applied(&[
        dir("d").mode(0o700).time(5, 0),
        file("d/f", "x"),
        dir("e"),
        dir("d").mode(0o711).owner(4, 4).time(7, 0),
        file("e/f", ""),
        file("d/g", ""),
    ]);
    let tree = look(&root.path());
    let node = &tree[Path::new("d")];
    assert_eq!((node.mode, node.uid, node.modified), (0o040711, 4, (7, 0)));
    assert!(tree.contains_key(Path::new("d/f")));
}

#[test]
fn deep_paths_need_few_descriptors() {
    let root = Root::new();
    let deep = |name: &str| format!("{}{name}", "d/".repeat(300));
    root.applied(&[
        file(deep("a"), "a"),
        file(format!("{}x", "d/".repeat(200)), ""),
        file(deep("b"), "b"),
        file("top", ""),
        hardlink(deep("c"), &deep("b")),
    ]);
    assert_eq!(read(&root.at(&deep("c"))), "b");
    root.apply(&[file(format!("{}x", "d/".repeat(513)), "")]).expect_err("too deep");
}

#[test]
fn an_error_names_the_entry_and_the_operation() {
    let root = Root::new();
    let error = root.apply(&[file("a", ""), file("a/b", "")]).expect_err("a file as a parent");
    assert_eq!(error.to_string(), "entry 2 `a/b`: go through a file that is no directory");
    assert_eq!(error.kind(), longshore_types::Kind::InvalidInput);
}

#[test]
fn what_was_replaced_is_not_counted() {
    let root = Root::new();
    let applied = root.applied(&[
        file("a", "long content"),
        file("a", "short"),
        hardlink("b", "a"),
        dir("d"),
        file("d/x", "gone"),
        symlink("d", "/1234"),
        file(".wh.w", ""),
    ]);
    assert_eq!((applied.files, applied.bytes, applied.inodes), (1, 5 + 5, 3));
    let fd = fs::File::open(root.path()).expect("open");
    let measured = measure(fd.as_fd()).expect("measured");
    assert_eq!((measured.files, measured.bytes, measured.inodes), (1, 10, 3));
}

#[test]
fn a_full_disk_is_said_to_be_full() {
    let small = Mount::sized("256k");
    let root = Root::below(&small.path(), Whiteouts::Overlay);
    let error = root.apply(&[file("a", ""), file("big", &"x".repeat(1 << 20))]).expect_err("full");
    assert_eq!(error.kind(), longshore_types::Kind::ResourceExhausted);
    assert_eq!(error.to_string(), "entry 2 `big`: write the file");
}

#[test]
fn sparse_files_have_holes() {
    let root = Root::new();
    let temp = root.beside("sparse");
    let made = fs::File::create(&temp).expect("create");
    made.write_all_at(b"middle", 1 << 20).expect("write");
    made.set_len(8 << 20).expect("set_len");
    for format in ["gnu", "pax"] {
        let archive = root.beside("archive");
        let output = Command::new("tar")
            .args(["--sparse", "--format", format, "-C"])
            .arg(root.beside(""))
            .arg("-cf")
            .arg(&archive)
            .arg("sparse")
            .output()
            .expect("tar");
        assert!(output.status.success());
        root.renew();
        let applied = root.apply_bytes(&fs::read(&archive).expect("read")).expect("applied");
        assert_eq!(applied.bytes, 8 << 20);
        assert_eq!(fs::read(root.at("sparse")).expect("read"), fs::read(&temp).expect("read"));
        assert!(fs::metadata(root.at("sparse")).expect("stat").blocks() * 512 < 1 << 20, "{format}");
    }
}
