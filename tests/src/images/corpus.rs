//! A root file system with one of every kind of entry, as three layers: their trees, to be packed
//! by GNU tar.
//!
//! 1. every kind of entry, packed as PAX with extended attributes;
//! 2. changes of what the first one has, packed in GNU's own format (long names);
//! 3. whiteouts: of files, directories and links, opaque directories, and names that come back.
//!
//! Left out is what tools disagree on: times before 1970 (Docker makes them 1970), sparse files in GNU's
//! own format (umoci refuses them), and sockets (which tar cannot hold).

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The extended attribute of a file capability: `cap_net_raw=ep`.
const CAP_NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// A whole second of 2024, so that layers are the same in each run.
const SECOND: i64 = 1_704_164_645;

/// A directory tree in the making.
struct Tree(PathBuf);

impl Tree {
    fn new(root: &Path) -> Tree {
        fs::create_dir_all(root).expect("a root");
        Tree(root.to_owned())
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }

    fn dir(&self, path: impl AsRef<Path>, mode: u32) {
        fs::create_dir_all(self.at(&path)).expect("a directory");
        self.mode(path, mode);
    }

    fn file(&self, path: impl AsRef<Path>, content: &[u8], mode: u32) {
        fs::write(self.at(&path), content).expect("a file");
        self.mode(path, mode);
    }

    /// Sets a file's mode, with set-user-ID and its like.
    fn mode(&self, path: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).expect("a mode");
    }

    /// Changes the owner, which drops set-user-ID: to be done before [`Tree::mode`].
    fn owner(&self, path: impl AsRef<Path>, uid: u32, gid: u32) {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(CWD, self.at(path), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .expect("root");
    }

    fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) {
        symlink(target, self.at(path)).expect("a symbolic link");
    }

    fn hard(&self, path: impl AsRef<Path>, of: impl AsRef<Path>) {
        fs::hard_link(self.at(of), self.at(path)).expect("a hard link");
    }

    fn node(&self, path: impl AsRef<Path>, kind: FileType, mode: u32, major: u32, minor: u32) {
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(CWD, self.at(&path), kind, Mode::RUSR, device).expect("a device node");
        self.mode(path, mode);
    }

    fn xattr(&self, path: impl AsRef<Path>, name: &str, value: &[u8]) {
        rustix::fs::lsetxattr(self.at(path), name, value, XattrFlags::empty())
            .expect("an extended attribute");
    }

    fn time(&self, path: impl AsRef<Path>, seconds: i64, nanoseconds: i64) {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, self.at(path), &times, AtFlags::SYMLINK_NOFOLLOW).expect("a time");
    }

    /// A hole of 4 MiB, then data, a hole, data at the end or a hole at the end.
    fn sparse(&self, path: impl AsRef<Path>, last: u64, length: u64) {
        let file = File::create(self.at(path)).expect("a file");
        file.write_all_at(b"first", 4 << 20).expect("data");
        file.write_all_at(&[7; 70_000], 8 << 20).expect("data");
        file.write_all_at(b"last", last).expect("data");
        file.set_len(length).expect("a length");
    }

    /// Gives everything a fixed time with nanoseconds that differ by name, deepest first.
    fn settle(&self) {
        fn walk(path: &Path, paths: &mut Vec<PathBuf>) {
            if path.symlink_metadata().expect("it exists").is_dir() {
                for entry in fs::read_dir(path).expect("a directory") {
                    walk(&entry.expect("an entry").path(), paths);
                }
            }
            paths.push(path.to_owned());
        }
        let mut paths = Vec::new();
        walk(&self.0, &mut paths);
        for path in paths {
            let relative = path.strip_prefix(&self.0).expect("inside");
            let name = relative.as_os_str().as_bytes();
            let sum: i64 = name.iter().fold(7, |sum, byte| (sum * 31 + i64::from(*byte)) % 999_999_937);
            self.time(relative, SECOND + sum % 1000, sum);
        }
    }
}

/// A name that is no UTF-8.
fn latin1() -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(b"names/caf\xe9"))
}

/// A path of several hundred bytes.
fn deep() -> PathBuf {
    (0..8).fold(PathBuf::from("names"), |path, level| path.join(format!("{level}{}", "x".repeat(60))))
}

/// The first layer.
pub(super) fn first(root: &Path) {
    let tree = Tree::new(root);
    tree.mode("", 0o755);
    tree.dir("bin", 0o755);
    fs::copy("/bin/busybox", tree.at("bin/busybox")).expect("a static busybox");
    tree.mode("bin/busybox", 0o755);
    for name in ["sh", "ls", "cat", "true", "sleep", "echo", "stat"] {
        tree.link(format!("bin/{name}"), "busybox");
    }
    tree.dir("etc", 0o755);
    tree.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n", 0o644);
    tree.file("etc/group", b"root:x:0:\nuser:x:1000:\n", 0o644);

    tree.dir("sizes", 0o755);
    for size in [0_usize, 1, 511, 512, 513, 1023, 10_240, 100_001] {
        let content: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
        tree.file(format!("sizes/{size}"), &content, 0o644);
    }
    tree.sparse("sizes/sparse", 12 << 20, (12 << 20) + 4);
    tree.sparse("sizes/sparse-hole-at-end", 12 << 20, 16 << 20);

    tree.dir("modes", 0o755);
    for mode in [0o000, 0o200, 0o400, 0o644, 0o755, 0o777, 0o1644, 0o2755, 0o4755, 0o6711] {
        tree.file(format!("modes/{mode:04o}"), b"x", mode);
    }
    tree.dir("modes/sticky", 0o1777);
    tree.dir("modes/setgid", 0o2775);
    tree.dir("modes/closed", 0o500);
    tree.file("modes/closed/inside", b"inside", 0o600);

    tree.dir("owners", 0o755);
    for (uid, gid) in [(1000, 1000), (0, 5), (65_534, 65_534), (2_097_152, 4_000_000)] {
        tree.file(format!("owners/{uid}-{gid}"), b"owned", 0o644);
        tree.owner(format!("owners/{uid}-{gid}"), uid, gid);
    }
    tree.file("owners/setuid", b"x", 0o644);
    tree.owner("owners/setuid", 1000, 1000);
    tree.mode("owners/setuid", 0o4755);
    tree.dir("owners/home", 0o700);
    tree.owner("owners/home", 1000, 1000);
    tree.link("owners/link", "home");
    tree.owner("owners/link", 1000, 1001);

    links(&tree);
    names(&tree);

    tree.dir("devices", 0o755);
    tree.node("devices/null", FileType::CharacterDevice, 0o666, 1, 3);
    tree.node("devices/loop", FileType::BlockDevice, 0o660, 7, 0);
    tree.node("devices/wide", FileType::CharacterDevice, 0o600, 4000, 100_000);
    tree.node("devices/fifo", FileType::Fifo, 0o640, 0, 0);

    tree.dir("attributes", 0o755);
    tree.xattr("attributes", "user.of-a-directory", b"yes");
    tree.file("attributes/file", b"x", 0o644);
    tree.xattr("attributes/file", "user.text", b"value");
    tree.xattr("attributes/file", "user.binary", &[0, 1, 10, 61, 255]);
    tree.file("attributes/ping", b"x", 0o755);
    tree.xattr("attributes/ping", "security.capability", &CAP_NET_RAW);

    for name in ["gone", "opaque", "nested/opaque/deep", "becomes-a-file", "only-mode", "returns"] {
        tree.dir(name, 0o755);
        tree.file(Path::new(name).join("old"), b"old", 0o644);
    }
    tree.file("gone-file", b"old", 0o644);
    tree.file("becomes-a-directory", b"old", 0o644);
    tree.link("becomes-a-real-directory", "etc");
    tree.link("gone-link", "etc");
    tree.file("changed", b"before", 0o644);
    tree.file("changed-to-link", b"before", 0o644);

    tree.settle();
    tree.dir("times", 0o755);
    for (name, seconds, nanoseconds) in [
        ("epoch", 0, 0),
        ("nanosecond", 1, 1),
        ("almost", SECOND, 999_999_999),
        ("after-2038", 4_294_967_297, 5),
    ] {
        tree.file(format!("times/{name}"), b"x", 0o644);
        tree.time(format!("times/{name}"), seconds, nanoseconds);
    }
    tree.link("times/link", "epoch");
    tree.time("times/link", 1_000_000_000, 123_456_789);
    tree.time("times", SECOND, 5);
    tree.time("", SECOND, 6);
}

fn links(tree: &Tree) {
    tree.dir("links/a", 0o755);
    tree.dir("links/b", 0o755);
    tree.file("links/a/one", b"linked", 0o4755);
    tree.hard("links/a/two", "links/a/one");
    tree.hard("links/b/three", "links/a/one");
    tree.link("links/relative", "a/one");
    tree.link("links/absolute", "/etc/passwd");
    tree.link("links/out", "../../../../../../etc/passwd");
    tree.link("links/dangling", "nowhere");
    tree.link("links/loop", "loop");
    tree.link("links/long", "t/".repeat(200));
    tree.hard("links/of-a-link", "links/dangling");
}

fn names(tree: &Tree) {
    tree.dir("names", 0o755);
    let names = [
        "with space",
        "new\nline",
        "tab\tand\\backslash",
        "snow☃man",
        "-dash",
        "=equals",
        ".hidden",
        "quote\"'",
    ];
    for name in names {
        tree.file(Path::new("names").join(name), name.as_bytes(), 0o644);
    }
    tree.file(latin1(), b"latin1", 0o644);
    tree.file(Path::new("names").join("n".repeat(255)), b"long", 0o644);
    tree.dir(deep(), 0o755);
    tree.file(deep().join("file"), b"deep", 0o644);
    tree.hard(Path::new("names").join(format!("h{}", "l".repeat(150))), deep().join("file"));
    // Exactly as long as the name field of a header, and one more.
    for length in [100, 101, 155, 156] {
        tree.file(Path::new("names").join("m".repeat(length - 6)), b"edge", 0o644);
    }
}

/// The second layer.
pub(super) fn second(root: &Path) {
    let tree = Tree::new(root);
    tree.mode("", 0o755);
    tree.file("changed", b"after, and longer", 0o600);
    tree.link("changed-to-link", "changed");
    tree.file("becomes-a-file", b"file", 0o644);
    tree.dir("becomes-a-directory", 0o711);
    tree.file("becomes-a-directory/inside", b"inside", 0o644);
    tree.dir("becomes-a-real-directory", 0o755);
    tree.file("becomes-a-real-directory/inside", b"not in /etc", 0o644);
    tree.dir("only-mode", 0o700);
    tree.owner("only-mode", 7, 8);
    tree.dir(deep(), 0o755);
    tree.file(deep().join("file-of-the-second-layer"), b"gnu", 0o644);
    tree.link("long-link", "u/".repeat(150));
    tree.file("zeros", &[0; 3_000_000], 0o644);
    tree.settle();
    // GNU's format knows whole seconds only.
    tree.time("changed", SECOND + 1, 0);
}

/// The third layer, with its whiteouts in the form of the OCI specification.
pub(super) fn third(root: &Path) {
    let tree = Tree::new(root);
    tree.mode("", 0o755);
    for name in [".wh.gone", ".wh.gone-file", ".wh.gone-link", ".wh.changed-to-link"] {
        tree.file(name, b"", 0o644);
    }
    tree.dir("links/a", 0o755);
    tree.file("links/a/.wh.one", b"", 0o644);
    tree.dir("opaque", 0o750);
    tree.file("opaque/.wh..wh..opq", b"", 0o644);
    tree.file("opaque/new", b"new", 0o644);
    tree.dir("nested/opaque", 0o755);
    tree.file("nested/opaque/.wh..wh..opq", b"", 0o644);
    tree.dir("returns", 0o755);
    tree.file("returns/.wh.old", b"", 0o644);
    tree.file("returns/new", b"new", 0o644);
    tree.file("names-that-look-like.wh.", b"no whiteout", 0o644);
    tree.file("last", b"last", 0o644);
    tree.xattr("last", "user.layer", b"3");
    tree.settle();
}
