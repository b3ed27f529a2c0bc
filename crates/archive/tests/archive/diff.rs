//! Directories to archives and back.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_archive::apply::Whiteouts;
use longshore_archive::diff::{Change, ChangeKind, Written, changes, write_layer, write_tree};
use longshore_archive::limits::Limits;
use longshore_archive::tar::Reader;
use proptest::prelude::*;

use crate::apply::Root;
use crate::layer::{Item, block_device, char_device, dir, fifo, file, hardlink, symlink as link};
use crate::mount::Mount;
use crate::tree::{assert_same, differences, look, paths};

fn layer_of(root: &Path) -> (Vec<u8>, Written) {
    let mut bytes = Vec::new();
    let written = write_layer(fs::File::open(root).expect("open").as_fd(), &mut bytes).expect("written");
    (bytes, written)
}

fn tree_of(root: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_tree(fs::File::open(root).expect("open").as_fd(), &mut bytes).expect("written");
    bytes
}

/// The names in an archive, in its order.
fn names(archive: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(archive, &Limits::default());
    let mut names = Vec::new();
    while let Some(entry) = reader.next().expect("an archive") {
        names.push(String::from_utf8_lossy(&entry.path).into_owned());
    }
    names
}

pub(crate) fn everything() -> Vec<Item> {
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    vec![
        dir("bin").mode(0o2755).owner(0, 50).time(1_500_000_000, 123_456_789),
        file("bin/ping", "program").mode(0o4755).xattr("security.capability", &capability),
        hardlink("bin/pong", "bin/ping").mode(0o4755),
        link("bin/sh", "/bin/ping").owner(5, 6).time(1_400_000_000, 1),
        hardlink("bin/zsh", "bin/sh").owner(5, 6).time(1_400_000_000, 1),
        char_device("dev/null", 1, 3).mode(0o666),
        block_device("dev/sda", 8, 0).mode(0o660).owner(0, 6),
        fifo("dev/initctl"),
        file("old", "").time(-5, 500_000_000),
        file("later", "").time(10_000_000_000, 0),
        file("owned", "x").owner(4_000_000_000, 3_000_000),
        dir("acl").mode(0o750).xattr("system.posix_acl_default", &default_acl()),
        file("acl/inside", "").mode(0o600),
        file("d/.wh.gone", ""),
        file("opaque/.wh..wh..opq", ""),
        file("opaque/x", "").xattr("user.a", b"1").xattr("user.b", b"\0\xff"),
        dir("empty").time(7, 7),
        file("n".repeat(255), "long name"),
        file(format!("{}file", "deep/".repeat(100)), "deep"),
    ]
}

/// `user::rwx,user:9:rwx,group::r-x,mask::rwx,other::---` as the kernel stores it.
fn default_acl() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, u32::MAX), (2, 7, 9), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 0, u32::MAX)];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

#[test]
fn a_layer_there_and_back_and_copied() {
    let first = Root::new();
    first.applied(&everything());
    let (bytes, written) = layer_of(&first.path());
    assert_eq!(written.tar_bytes, bytes.len() as u64);

    let second = Root::new();
    let applied = second.apply_bytes(&bytes).expect("applied");
    assert_same(&look(&second.path()), &look(&first.path()));
    assert_eq!((applied.entries, applied.bytes, applied.whiteouts), (written.entries, written.bytes, 2));
    assert_eq!(layer_of(&second.path()).0, bytes);

    let copy = first.beside("copy");
    let status = Command::new("cp").arg("-a").args([&first.path(), &copy]).status().expect("cp");
    assert!(status.success());
    assert_eq!(layer_of(&copy).0, bytes, "a copy elsewhere is the same layer");
}

#[test]
fn names_are_sorted_and_markers_beside_their_directory() {
    let root = Root::new();
    root.applied(&[
        file("b/y", ""),
        file("b-c", ""),
        file("b/.wh..wh..opq", ""),
        file("b/.wh.a", ""),
        hardlink("a", "b/y"),
        file(".wh.c", ""),
        file(".wh..wh..opq", ""),
    ]);
    let expected = [".wh..wh..opq", "a", "b/", "b/.wh..wh..opq", "b/.wh.a", "b/y", "b-c", ".wh.c"];
    assert_eq!(names(&layer_of(&root.path()).0), expected);
    // The first name is the file, whatever came first when it was made.
    let (bytes, written) = layer_of(&root.path());
    let mut reader = Reader::new(bytes.as_slice(), &Limits::default());
    let mut links = Vec::new();
    while let Some(entry) = reader.next().expect("an archive") {
        if !entry.link.is_empty() {
            links.push((entry.path, entry.link));
        }
    }
    assert_eq!(links, [(b"b/y".to_vec(), b"a".to_vec())]);
    assert_eq!(written.inodes, 3);
}

#[test]
fn a_plain_tree_has_no_markers_and_no_sockets() {
    let root = Root::with(Whiteouts::Literal);
    root.applied(&[file(".wh.x", ""), char_device("zero", 0, 0), dir("d").xattr("user.x", b"1")]);
    let _socket = UnixListener::bind(root.at("socket")).expect("bind");
    let archive = tree_of(&root.path());
    assert_eq!(names(&archive), [".wh.x", "d/", "zero"]);
    let copy = Root::with(Whiteouts::Literal);
    copy.apply_bytes(&archive).expect("applied");
    fs::remove_file(root.at("socket")).expect("remove");
    assert_same(&look(&copy.path()), &look(&root.path()));
    // In a layer the name would delete something.
    let upper = fs::File::open(root.path()).expect("open");
    let error = write_layer(upper.as_fd(), &mut Vec::new()).expect_err("reserved");
    assert_eq!(error.kind(), longshore_types::Kind::InvalidInput);
    assert!(error.to_string().starts_with("`.wh.x` cannot be stored in a layer"), "{error}");
}

#[test]
fn what_overlay_left_below_is_refused() {
    let root = Root::new();
    root.applied(&[dir("moved")]);
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(root.at("moved"), "trusted.overlay.redirect", b"from", flags).expect("setxattr");
    let upper = fs::File::open(root.path()).expect("open");
    let error = write_layer(upper.as_fd(), &mut Vec::new()).expect_err("incomplete");
    assert_eq!(error.kind(), longshore_types::Kind::Unsupported);
    assert!(error.to_string().contains("redirect_dir=off"), "{error}");
}

/// Whiteouts that are no devices, as overlay makes them where devices cannot be made.
#[test]
fn whiteouts_by_attribute() {
    let root = Root::new();
    root.applied(&[file("d/gone", ""), file("d/stays", ""), file("other/stays", "")]);
    let flags = rustix::fs::XattrFlags::empty();
    for path in ["d/gone", "other/stays"] {
        rustix::fs::setxattr(root.at(path), "trusted.overlay.whiteout", b"y", flags).expect("setxattr");
    }
    rustix::fs::setxattr(root.at("d"), "trusted.overlay.opaque", b"x", flags).expect("setxattr");
    assert_eq!(names(&layer_of(&root.path()).0), ["d/", "d/.wh.gone", "d/stays", "other/", "other/stays"]);
}

#[test]
fn a_link_is_not_followed_out_of_the_tree() {
    let root = Root::new();
    symlink("/etc", root.at("etc")).expect("symlink");
    symlink("/etc/passwd", root.at("passwd")).expect("symlink");
    assert_eq!(names(&layer_of(&root.path()).0), ["etc", "passwd"]);
}

fn odd_name() -> impl Strategy<Value = Vec<u8>> {
    let odd = [
        b"a".to_vec(),
        b" ".to_vec(),
        b"new\nline".to_vec(),
        b"\xff\xfe".to_vec(),
        "ö".into(),
        b"-".to_vec(),
        b"..a".to_vec(),
        b"=1 x=y".to_vec(),
        vec![b'n'; 255],
        b"\\".to_vec(),
    ];
    prop::sample::select(odd.to_vec())
}

fn trees() -> impl Strategy<Value = Vec<Item>> {
    let path = prop::collection::vec(odd_name(), 1..4).prop_map(|parts| parts.join(&b'/'));
    let kind = prop::sample::select(&b"005263"[..]);
    let facts = (0..0o10000u32, 0..3u32, prop_oneof![Just(0u32), Just(70_000), Just(3_000_000)]);
    let time = (-10i64..4_000_000_000, prop_oneof![Just(0u32), 0..1_000_000_000u32]);
    let xattr = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    let content = prop::collection::vec(any::<u8>(), 0..2000);
    let item =
        (path, kind, facts, time, xattr, content).prop_map(|(path, kind, facts, time, xattr, content)| {
            let mut item = match kind {
                b'5' => dir(""),
                b'2' => link("", "target/of\nlink"),
                b'3' => char_device("", facts.1 + 1, 7),
                b'6' => fifo(""),
                _ => Item { content, ..file("", "") },
            };
            item.path = path;
            if let Some(value) = xattr {
                item = item.xattr("trusted.x", &value);
            }
            item.mode(facts.0).owner(facts.1, facts.2).time(time.0, time.1)
        });
    prop::collection::vec(item, 0..12)
}

#[test]
fn any_tree_there_and_back() {
    let memory = Mount::tmpfs();
    let [first, second] = [(); 2].map(|()| Root::below(&memory.path(), Whiteouts::Overlay));
    let config = ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(items in trees())| {
        first.renew();
        second.renew();
        // A file in the way of a directory ends it early, which leaves a tree all the same.
        drop(first.apply(&items));
        let (bytes, _) = layer_of(&first.path());
        second.apply_bytes(&bytes).expect("applied");
        prop_assert_eq!(differences(&look(&second.path()), &look(&first.path())), Vec::<String>::new());
        prop_assert_eq!(layer_of(&second.path()).0, bytes);
    });
}

/// What `docker diff` shows, through a real overlay file system.
#[test]
fn changes_as_docker_lists_them() {
    let memory = Mount::tmpfs();
    let [lower, upper, work, bottom] =
        ["lower", "upper", "work", "bottom"].map(|name| memory.path().join(name));
    for dir in [&upper, &work, &bottom, &lower] {
        fs::create_dir(dir).expect("mkdir");
    }
    for path in
        ["etc/passwd", "etc/group", "usr/bin/x", "usr/lib/y", "opt/app/a", "opt/app/b", "var/log/z", "kept/k"]
    {
        fs::create_dir_all(lower.join(path).parent().expect("a parent")).expect("mkdir");
        fs::write(lower.join(path), "lower").expect("write");
    }
    let text = |path: &PathBuf| path.to_str().expect("text").to_owned();
    let merged = Mount::writable(&text(&lower), &text(&upper), &text(&work));
    let at = |path: &str| merged.path().join(path);
    fs::write(at("etc/passwd"), "changed").expect("write");
    fs::write(at("etc/new"), "").expect("write");
    fs::remove_file(at("usr/bin/x")).expect("remove");
    fs::remove_dir_all(at("opt/app")).expect("remove");
    fs::create_dir(at("opt/app")).expect("mkdir");
    fs::write(at("opt/app/c"), "").expect("write");
    fs::write(at("var/log/z"), "changed in place").expect("write");
    fs::create_dir_all(at("added/deep")).expect("mkdir");
    drop(merged);

    let open = |path: &Path| fs::File::open(path).expect("open");
    let read_only = Mount::overlay(&[&lower, &bottom]);
    let found = changes(open(&upper).as_fd(), open(&read_only.path()).as_fd()).expect("changes");
    let lines: Vec<String> = found
        .iter()
        .map(|Change { kind, path }| {
            let letter = match kind {
                ChangeKind::Modified => 'C',
                ChangeKind::Added => 'A',
                ChangeKind::Deleted => 'D',
            };
            format!("{letter} {}", path.display())
        })
        .collect();
    let expected = [
        "A /added",
        "A /added/deep",
        "C /etc",
        "A /etc/new",
        "C /etc/passwd",
        "C /opt",
        "D /opt/app",
        "A /opt/app/c",
        "C /usr",
        "C /usr/bin",
        "D /usr/bin/x",
        "C /var/log/z",
    ];
    // A directory that was only copied up, with its time, is not listed.
    let listed_usr = lines.iter().any(|line| line == "C /usr");
    let expected: Vec<&str> = expected.into_iter().filter(|line| *line != "C /usr" || listed_usr).collect();
    assert_eq!(lines, expected);

    // The layer of these changes says the same as the kernel's overlay.
    let (bytes, _) = layer_of(&upper);
    let again = Root::below(&memory.path(), Whiteouts::Overlay);
    again.apply_bytes(&bytes).expect("applied");
    let ours = Mount::overlay(&[&again.path(), &lower]);
    let theirs = Mount::overlay(&[&upper, &lower]);
    assert_same(&look(&ours.path()), &look(&theirs.path()));
    assert!(paths(&ours.path()).contains(&"opt/app/c".to_owned()));
}

#[test]
fn holes_are_written_as_zeros() {
    let root = Root::new();
    let sparse = fs::File::create(root.at("sparse")).expect("create");
    sparse.set_len(3 << 20).expect("set_len");
    let (bytes, written) = layer_of(&root.path());
    assert_eq!(written.bytes, 3 << 20);
    assert!(bytes.len() > 3 << 20);
}
