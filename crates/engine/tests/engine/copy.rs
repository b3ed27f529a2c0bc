//! Copying out of a root and into it. The root is a directory here; that it is a container's is the daemon's test.

use std::{
    fs,
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use longshore_archive::{
    compress::{Compression, Encoder},
    entry::{Entry, Kind},
    limits::Limits,
    tar::{Reader, Writer},
};
use longshore_engine::copy::{Error, Source, Target, Unpack};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, renameat_with};
use tempfile::TempDir;
use testkit::canary::Canary;

/// A root file system with a few things in it.
struct Place {
    dir: TempDir,
    root: OwnedFd,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("data/inner")).expect("directories");
        fs::create_dir_all(at("etc")).expect("directories");
        fs::write(at("data/file"), "content").expect("a file");
        fs::hard_link(at("data/file"), at("data/second")).expect("a link");
        fs::write(at("etc/passwd"), "root:x:0:0::/:\nwww:x:33:34::/:\n").expect("a file");
        symlink("/data", at("link")).expect("a link");
        symlink("../../../etc/passwd", at("data/up")).expect("a link");
        symlink("/nowhere/to/go", at("broken")).expect("a link");
        symlink("loop", at("loop")).expect("a link");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(dir.path(), flags, Mode::empty()).expect("the root");
        Self { dir, root }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// The names in the archive of a path, with the targets of links.
    fn names(&self, path: &str) -> Vec<String> {
        list(&self.archive(path)).into_iter().map(|(entry, _)| shown(&entry)).collect()
    }

    fn archive(&self, path: &str) -> Vec<u8> {
        let source = Source::open(self.root.as_fd(), path, "c").expect("something to copy");
        let mut tar = Vec::new();
        source.write(&mut tar).expect("an archive");
        tar
    }

    fn stat(&self, path: &str) -> (String, u32, String) {
        let stat = Source::open(self.root.as_fd(), path, "c").expect("something to look at").stat;
        (stat.name, stat.mode, stat.link_target)
    }

    fn open_error(&self, path: &str) -> String {
        Source::open(self.root.as_fd(), path, "c").expect_err("nothing to copy").to_string()
    }

    fn put(&self, path: &str, unpack: Unpack<'_>, tar: &[u8]) -> Result<(), Error> {
        Target::open(self.root.as_fd(), path, "c")?.unpack(self.root.as_fd(), &unpack, tar)
    }

    fn put_error(&self, path: &str, unpack: Unpack<'_>, tar: &[u8]) -> String {
        self.put(path, unpack, tar).expect_err("nothing to unpack").to_string()
    }
}

fn list(mut tar: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = Reader::new(&mut tar, &Limits::default());
    let mut found = Vec::new();
    while let Some(entry) = reader.next().expect("an archive") {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).expect("content");
        found.push((entry, content));
    }
    found
}

fn shown(entry: &Entry) -> String {
    let path = String::from_utf8_lossy(&entry.path);
    let link = String::from_utf8_lossy(&entry.link);
    if link.is_empty() { path.into_owned() } else { format!("{path} -> {link}") }
}

fn tar(entries: &[(&str, Kind, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (path, kind, text) in entries {
        let mut entry =
            Entry { path: path.as_bytes().to_vec(), kind: *kind, mode: 0o755, ..Entry::default() };
        match kind {
            Kind::File => entry.size = text.len() as u64,
            _ => entry.link = text.as_bytes().to_vec(),
        }
        writer.entry(&entry, text.as_bytes()).expect("an entry");
    }
    writer.finish().expect("an archive")
}

#[test]
fn archives_have_the_names_that_docker_gives_them() {
    let place = Place::new();
    let below = ["file", "inner/", "second -> X/file", "up -> ../../../etc/passwd"];
    for (path, top, prefix) in [
        ("/data", "data/", "data"),
        ("data/", "data/", "data"),
        ("/data/.", "./", "."),
        ("/link/.", "./", "."),
        ("/link/", "link/", "link"),
    ] {
        let mut expected = vec![top.to_owned()];
        expected.extend(below.map(|name| format!("{prefix}/{}", name.replace('X', prefix))));
        assert_eq!(place.names(path), expected, "{path}");
    }
    assert_eq!(place.names("/data/file"), ["file"]);
    assert_eq!(place.names("/link"), ["link -> /data"]);
    assert_eq!(place.names("/link/inner"), ["inner/"]);
    let root = place.names("/");
    assert_eq!(root[..2], ["/", "/broken -> /nowhere/to/go"]);
    assert_eq!(list(&place.archive("/data/file"))[0].1, b"content");
}

#[test]
fn what_is_at_a_path() {
    let place = Place::new();
    let directory = 1 << 31 | fs::metadata(place.path("data")).expect("there").mode() & 0o777;
    assert_eq!(place.stat("/data"), ("data".into(), directory, String::new()));
    assert_eq!(place.stat("data/"), ("data".into(), directory, String::new()));
    assert_eq!(place.stat("/data/."), (".".into(), directory, String::new()));
    let link = 1 << 27 | 0o777;
    assert_eq!(place.stat("/link"), ("link".into(), link, "/data".into()));
    assert_eq!(place.stat("/data/up"), ("up".into(), link, "/etc/passwd".into()));
    assert_eq!(place.stat("/link/up"), ("up".into(), link, "/etc/passwd".into()));
    assert_eq!(place.stat("/broken"), ("broken".into(), link, "/nowhere/to/go".into()));
    assert_eq!(place.open_error("/none"), "Could not find the file /none in container c");
    assert_eq!(place.open_error("/broken/"), "Could not find the file /broken/ in container c");
    assert_eq!(place.open_error("/data/file/"), "/data/file/ is not a directory");
    assert_eq!(place.open_error("/data/file/x"), "/data/file/x is not a directory");
    assert!(place.open_error("/loop/x").starts_with("open"), "{}", place.open_error("/loop/x"));
    assert!(place.open_error("/loop").starts_with("follow"), "{}", place.open_error("/loop"));
}

#[test]
fn archives_are_unpacked_in_a_directory() {
    let place = Place::new();
    let files = tar(&[
        ("new/deep/a", Kind::File, "a"),
        ("/absolute", Kind::File, "b"),
        ("same", Kind::Hardlink, "new/deep/a"),
        (".wh.odd", Kind::File, ""),
        ("inner", Kind::File, "no directory any more"),
    ]);
    // The link is followed, to where it leads inside.
    place.put("/link", Unpack::default(), &files).expect("unpacked");
    let read = |name: &str| fs::read_to_string(place.path(name)).expect("a file");
    assert_eq!((read("data/new/deep/a"), read("data/absolute")), ("a".into(), "b".into()));
    assert_eq!(read("data/inner"), "no directory any more");
    assert_eq!(read("data/.wh.odd"), "");
    let inode = |name: &str| fs::metadata(place.path(name)).expect("a file").ino();
    assert_eq!(inode("data/same"), inode("data/new/deep/a"));
    assert!(!Path::new("/absolute").exists());
    place.put("/", Unpack::default(), &tar(&[("top", Kind::File, "t")])).expect("unpacked");
    assert_eq!(read("top"), "t");
    // Nothing is an archive with nothing in it.
    place.put("/", Unpack::default(), b"").expect("unpacked");
}

#[test]
fn parents_that_are_links_are_followed_inside() {
    let place = Place::new();
    symlink("/etc", place.path("data/conf")).expect("a link");
    place.put("/data", Unpack::default(), &tar(&[("conf/made", Kind::File, "x")])).expect("unpacked");
    assert_eq!(fs::read_to_string(place.path("etc/made")).expect("a file"), "x");
    assert!(!Path::new("/etc/made").exists());
}

#[test]
fn compressed_archives() {
    let place = Place::new();
    let plain = tar(&[("file", Kind::File, "packed")]);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut encoder = Encoder::new(Vec::new(), compression, None).expect("an encoder");
        std::io::Write::write_all(&mut encoder, &plain).expect("written");
        let packed = encoder.finish().expect("finished");
        fs::remove_file(place.path("data/file")).expect("a file");
        place.put("/data", Unpack::default(), &packed).expect("unpacked");
        assert_eq!(fs::read_to_string(place.path("data/file")).expect("a file"), "packed");
    }
    let error = place.put("/data", Unpack::default(), b"\xfd7zXZ\0 and no more").expect_err("no archive");
    assert_eq!(error.kind(), longshore_types::Kind::InvalidInput, "{error}");
    let error = place.put("/data", Unpack::default(), &[7; 2000]).expect_err("no archive");
    assert_eq!(error.kind(), longshore_types::Kind::InvalidInput, "{error}");
}

#[test]
fn refusals_are_dockers() {
    let place = Place::new();
    let keep = Unpack { keep_kinds: true, ..Unpack::default() };
    let over = place.put_error("/data", keep, &tar(&[("inner", Kind::File, "")]));
    assert_eq!(over, "cannot overwrite directory \"inner\" with non-directory \"/data\"");
    let over = place.put_error("/data", keep, &tar(&[("file/", Kind::Directory, "")]));
    assert_eq!(over, "cannot overwrite non-directory \"file\" with directory \"/data\"");
    let plain = tar(&[("x", Kind::File, "")]);
    assert_eq!(place.put_error("/data/file", keep, &plain), "extraction point is not a directory");
    assert_eq!(place.put_error("/none", keep, &plain), "Could not find the file /none in container c");
    let read_only = Unpack { root_read_only: true, ..keep };
    assert_eq!(place.put_error("/data", read_only, &plain), "container rootfs is marked read-only");
    for name in ["../x", "a/../../x", "/.."] {
        let error = place.put("/data", keep, &tar(&[(name, Kind::File, "")])).expect_err("it leaves");
        assert_eq!(error.kind(), longshore_types::Kind::InvalidInput, "{name}: {error}");
    }
    assert!(!place.path("x").exists());
}

#[test]
fn everything_belongs_to_the_containers_user_if_wanted() {
    let place = Place::new();
    let files = tar(&[("made/x", Kind::File, ""), ("made/", Kind::Directory, ""), ("l", Kind::Symlink, "x")]);
    for (user, expected) in
        [("www", (33, 34)), ("77", (77, 0)), ("www:5", (33, 5)), (":6", (0, 6)), ("", (0, 0))]
    {
        let unpack = Unpack { owner: Some(user), ..Unpack::default() };
        place.put("/data", unpack, &files).expect("unpacked");
        for name in ["data/made/x", "data/made", "data/l"] {
            let found = fs::symlink_metadata(place.path(name)).expect("made");
            assert_eq!((found.uid(), found.gid()), expected, "{user:?} {name}");
        }
    }
    let unpack = Unpack { owner: Some("nobody-here"), ..Unpack::default() };
    let error = place.put_error("/data", unpack, &files);
    assert_eq!(error, "failed to look up user \"nobody-here\" in container");
}

/// Undoes a mount, also of a test that fails.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).ok();
    }
}

#[test]
fn what_is_mounted_is_copied_and_not_replaced() {
    let place = Place::new();
    fs::write(place.path("below"), "mounted").expect("a file");
    rustix::mount::mount_bind(place.path("below"), place.path("data/file")).expect("a mount");
    let _mounted = Mounted(place.path("data/file"));
    assert_eq!(list(&place.archive("/data/file"))[0].1, b"mounted");
    let error =
        place.put("/data", Unpack::default(), &tar(&[("file", Kind::File, "new")])).expect_err("busy");
    let line = longshore_engine::line(&error);
    assert!(line.contains("mounted"), "{line}");
    assert_eq!(fs::read_to_string(place.path("data/file")).expect("a file"), "mounted");
}

#[test]
fn read_only_mounts_are_named() {
    let place = Place::new();
    let inner = place.path("data/inner");
    rustix::mount::mount("none", &inner, "tmpfs", rustix::mount::MountFlags::RDONLY, None).expect("a mount");
    let _mounted = Mounted(inner);
    let plain = tar(&[("x", Kind::File, "")]);
    let error = place.put_error("/data/inner", Unpack::default(), &plain);
    assert_eq!(error, "mounted volume is marked read-only");
    let read_only = Unpack { root_read_only: true, ..Unpack::default() };
    assert_eq!(place.put_error("/data", read_only, &plain), "container rootfs is marked read-only");
}

/// A2 37 and 53: somebody exchanges a directory with a link to a place outside, as fast as possible.
#[test]
fn names_that_are_exchanged_never_lead_outside() {
    const ROUNDS: u32 = 2_000;
    let place = Place::new();
    let outside = tempfile::tempdir().expect("a directory");
    let canary = Canary::new(outside.path());
    symlink(outside.path(), place.path("evil")).expect("a link");
    fs::create_dir(place.path("good")).expect("a directory");
    fs::write(place.path("good/public"), "mine").expect("a file");
    let stop = AtomicBool::new(false);
    let upload = tar(&[("new", Kind::File, "x"), ("public", Kind::File, "y"), ("inner/z", Kind::File, "z")]);
    let (mut found, mut missed) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let names = (place.path("good"), place.path("evil"));
                renameat_with(CWD, &names.0, CWD, &names.1, RenameFlags::EXCHANGE).expect("exchanged");
            }
        });
        for round in 0..ROUNDS {
            let path = if round % 2 == 0 { "/good/public" } else { "/good/." };
            if let Ok(source) = Source::open(place.root.as_fd(), path, "c") {
                let mut tar = Vec::new();
                source.write(&mut tar).ok();
                assert!(!tar.windows(6).any(|bytes| bytes == b"canary"), "a file of the host was read");
                found += 1;
            } else {
                missed += 1;
            }
            let _unpacked = place.put("/good", Unpack::default(), &upload);
            let nested = tar_below("good", &upload);
            let _unpacked = place.put("/", Unpack::default(), &nested);
        }
        stop.store(true, Ordering::Relaxed);
    });
    canary.assert_untouched();
    assert!(found > 0 && missed > 0, "no race: {found} found, {missed} missed");
}

/// The same archive with its names below a directory.
fn tar_below(directory: &str, tar: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (mut entry, content) in list(tar) {
        entry.path = [directory.as_bytes(), b"/", &entry.path].concat();
        writer.entry(&entry, content.as_slice()).expect("an entry");
    }
    writer.finish().expect("an archive")
}

/// A2 39: modes of what is outside do not change.
#[test]
fn directories_through_links_change_nothing_outside() {
    let place = Place::new();
    let outside = tempfile::tempdir().expect("a directory");
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    symlink(outside.path(), place.path("data/out")).expect("a link");
    let attempts = [
        tar(&[("out/", Kind::Directory, "")]),
        tar(&[("l", Kind::Symlink, &outside.path().display().to_string()), ("l/x/", Kind::Directory, "")]),
    ];
    for attempt in attempts {
        let _unpacked = place.put("/data", Unpack::default(), &attempt);
        let found = fs::metadata(outside.path()).expect("there");
        assert_eq!(found.mode() & 0o7777, 0o700);
        assert_eq!(fs::read_dir(outside.path()).expect("a list").count(), 0);
    }
}
