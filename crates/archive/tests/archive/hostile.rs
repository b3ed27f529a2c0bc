//! Layers that were made to break out of their root. Each ends in an error or inside.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_archive::apply::Whiteouts;
use longshore_types::Kind;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::apply::Root;
use crate::layer::{Item, block_device, char_device, dir, fifo, file, hardlink, layer, symlink};
use crate::mount::Mount;
use crate::outside::Outside;
use crate::tree::{look, paths};

const WHITEOUTS: [Whiteouts; 2] = [Whiteouts::Overlay, Whiteouts::Delete];

/// Ways to have `way` lead outside, and what is then the outside's `inner` directory.
fn ways(outside: &str) -> Vec<Vec<Item>> {
    vec![
        vec![],
        vec![symlink("way", outside)],
        vec![symlink("way", "../outside")],
        vec![
            dir("d"),
            symlink("d/up", ".."),
            symlink("d/upper", "up/.."),
            symlink("way", "d/upper/../outside"),
        ],
        vec![symlink("way", outside), dir("way").mode(0o777)],
        vec![dir("way"), file("way/x", ""), symlink("way", outside)],
        vec![symlink("first", outside), hardlink("way", "first")],
        vec![symlink("w0", outside), symlink("w1", "w0"), symlink("w2", "w1"), symlink("way", "w2")],
        vec![symlink("way", "way")],
        vec![symlink("way", "/proc/self/root"), symlink("proc", "/proc")],
        vec![symlink("way", "."), file(".wh.way", ""), symlink("way", outside)],
        vec![symlink("way", "/")],
    ]
}

/// Names of files outside, or of what might be.
fn names(outside: &str) -> Vec<String> {
    let deep = format!("{}{outside}/secret", "../".repeat(20));
    let mut names: Vec<String> = [
        "way",
        "way/secret",
        "way/inner/file",
        "way/../secret",
        "way/inner/../secret",
        "../outside/secret",
        "../outside/inner",
        "a/../../outside/secret",
        "./../outside/secret",
        "way/new/deep/er",
        "../new",
        "..",
        "/",
        ".",
        "way/.",
        "way/..",
        "fs/../../outside/secret",
        "//secret",
        "way//secret",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend([deep, format!("{outside}/secret"), format!("{outside}/inner"), format!("{outside}//new")]);
    names
}

fn kinds(name: &str, outside: &str) -> Vec<Item> {
    let secret = format!("{outside}/secret");
    let (directory, last) = name.rsplit_once('/').unwrap_or(("", name));
    let beside =
        |name: &str| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
    vec![
        file(name, "overwritten").mode(0o4777).owner(1, 1),
        dir(name).mode(0o777).owner(1, 1).xattr("user.x", b"1"),
        symlink(name, &secret).owner(1, 1).xattr("trusted.x", b"1"),
        hardlink(name, &secret).mode(0o777).owner(1, 1),
        hardlink(name, "../outside/secret").mode(0o777),
        hardlink("stolen", name).mode(0o777).owner(1, 1).xattr("user.x", b"1"),
        char_device(name, 1, 1),
        fifo(name),
        file(beside(&format!(".wh.{last}")), ""),
        file(beside(".wh..wh..opq"), ""),
    ]
}

#[test]
fn a2_35_a7_126_a7_130_no_layer_of_the_corpus_leaves_its_root() {
    let mut count = 0;
    let mut kinds_seen = BTreeSet::new();
    for whiteouts in WHITEOUTS {
        let memory = Mount::tmpfs();
        let place = Root::below(&memory.path(), whiteouts);
        let outside = Outside::new(&place.beside("outside"));
        let text = outside.dir().to_str().expect("text").to_owned();
        for (number, way) in ways(&text).into_iter().enumerate() {
            for name in names(&text) {
                for item in kinds(&name, &text) {
                    let mut items = way.clone();
                    // The same again, and something in it: what the first made must not lead the second.
                    items.extend([item.clone(), item.clone(), file(format!("{name}/after"), "x")]);
                    place.renew();
                    let result = place.apply(&items);
                    kinds_seen.insert(result.is_ok());
                    count += 1;
                    outside.assert_untouched(&(number, &item, &result));
                    if let Err(error) = result {
                        assert_ne!(error.kind(), Kind::Internal, "{error:?} of {item:?}");
                    }
                }
            }
        }
    }
    assert!(count >= 200 && kinds_seen.len() == 2, "{count} layers");
}

/// The table of names of row 1, each as a file with content.
#[test]
fn c1_01_names() {
    let component = "n".repeat(4096);
    let long = "p/".repeat(32_768);
    let accepted: &[(&[u8], &str)] = &[
        (b"../x", "x"),
        (b"/abs", "abs"),
        (b"a/../../x", "x"),
        (b"./././x", "x"),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        (b"new\nline", "new\nline"),
    ];
    for (name, expected) in accepted {
        let root = Root::new();
        root.applied(&[Item { path: name.to_vec(), ..file("", "x") }]);
        assert_eq!(paths(&root.path()), [*expected], "{name:?}");
    }
    let refused: &[&[u8]] = &[b".", b"", b"/", b"..", b"x/", component.as_bytes(), long.as_bytes()];
    for name in refused {
        let root = Root::new();
        let shown = &name[..name.len().min(20)];
        let error = root.apply(&[Item { path: name.to_vec(), ..file("", "x") }]).expect_err("refused");
        assert_eq!(error.kind(), Kind::InvalidInput, "{shown:?}: {error:?}");
        assert!(paths(&root.path()).iter().all(|path| path.len() < 300), "{shown:?}");
    }
}

#[test]
fn a7_125_the_root_stays_what_it_is() {
    let root = Root::new();
    let before = fs::metadata(root.path()).expect("stat");
    for name in [".", "/", "./", "a/..", ".."] {
        root.applied(&[dir(name).mode(0).owner(5, 5).xattr("user.x", b"1")]);
        for item in [file(name, "x"), symlink(name, "/etc"), fifo(name), char_device(name, 0, 0)] {
            let error = root.apply(std::slice::from_ref(&item)).expect_err("the root is no file");
            assert_eq!(error.kind(), Kind::InvalidInput, "{item:?}");
        }
        let error = root.apply(&[file("f", ""), hardlink(name, "f")]).expect_err("the root is no link");
        assert_eq!(error.kind(), Kind::InvalidInput);
    }
    let after = fs::metadata(root.path()).expect("stat");
    assert_eq!((after.mode(), after.uid(), after.ino()), (before.mode(), before.uid(), before.ino()));
}

#[test]
fn c1_02_links_as_parents_are_followed_inside() {
    let root = Root::new();
    root.applied(&[symlink("a", "/etc"), dir("etc"), file("a/passwd", "inside")]);
    assert_eq!(fs::read_to_string(root.at("etc/passwd")).expect("read"), "inside");

    // As many as the kernel follows, then one more.
    for (links, works) in [(40, true), (41, false)] {
        let root = Root::new();
        let mut items = vec![dir("l0")];
        items.extend((1..=links).map(|n| symlink(format!("l{n}"), &format!("l{}", n - 1))));
        items.push(file(format!("l{links}/f"), "x"));
        assert_eq!(root.apply(&items).is_ok(), works, "{links} links");
        assert_eq!(root.at("l0/f").exists(), works);
    }

    let root = Root::new();
    let error = root.apply(&[symlink("a", "a"), file("a/f", "")]).expect_err("a loop");
    assert!(error.to_string().contains("follow the link"), "{error}");

    let root = Root::new();
    let error = root.apply(&[symlink("a", "../../.."), hardlink("b", "a/shadow")]).expect_err("not there");
    assert_eq!(error.to_string(), "entry 2 `b` is a hard link to a file that the layer does not have");

    // Docker does not make the directory that a link promises, either.
    let root = Root::new();
    root.apply(&[symlink("a", "/nowhere"), file("a/f", "")]).expect_err("dangling");
}

/// A directory is reached by two names, and one of them goes.
#[test]
fn c1_02_a_link_that_changes_leads_elsewhere_at_once() {
    let root = Root::new();
    root.applied(&[
        dir("one"),
        dir("two"),
        symlink("way", "one"),
        file("way/1", ""),
        symlink("way", "two"),
        file("way/2", ""),
        hardlink("way/3", "way/2"),
        dir("way"),
        file("way/4", ""),
    ]);
    assert_eq!(paths(&root.path()), ["one", "one/1", "two", "two/2", "two/3", "way", "way/4"]);

    // The name that goes is above where the archive is.
    let root = Root::new();
    let error = root
        .apply(&[
            dir("d"),
            symlink("d/root", ".."),
            file("d/root/x", ""),
            file("d/root/d", ""),
            file("d/root/y", ""),
        ])
        .expect_err("d is a file now");
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert_eq!(paths(&root.path()), ["x"], "as Docker: what was there is gone by then");
}

#[test]
fn c1_03_hard_links() {
    let refused: Vec<(Vec<Item>, &str)> = vec![
        (vec![hardlink("b", "a"), file("a", "")], "does not have"),
        (vec![hardlink("b", "/etc/passwd")], "does not have"),
        (vec![hardlink("b", "../../../../etc/passwd")], "does not have"),
        (vec![dir("a"), hardlink("b", "a")], "to a directory"),
        (vec![hardlink("b", ".")], "does not have"),
        (vec![file(".wh.a", ""), hardlink("b", "a")], "does not have"),
        (vec![file(".wh.a", ""), hardlink("b", ".wh.a")], "does not have"),
        (vec![file("b", ""), hardlink("b", "b")], "does not have"),
        (vec![file("f", ""), hardlink("b", "f/x")], "find the target"),
    ];
    for (items, reason) in refused {
        let root = Root::new();
        let error = root.apply(&items).expect_err("refused");
        assert_eq!(error.kind(), Kind::InvalidInput);
        assert!(error.to_string().contains(reason), "{error} of {items:?}");
    }
    // To a symbolic link: the link itself, whatever is where it leads.
    let root = Root::new();
    root.applied(&[symlink("a", "/etc/passwd"), hardlink("b", "a"), symlink("d", "/etc"), dir("etc")]);
    assert_eq!(fs::read_link(root.at("b")).expect("a link"), Path::new("/etc/passwd"));
}

#[test]
fn c1_05_whiteouts_reach_their_own_directory() {
    for name in [".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh..", "a/.wh..."] {
        for whiteouts in [Whiteouts::Overlay, Whiteouts::Delete] {
            let root = Root::with(whiteouts);
            let error = root.apply(&[file("a/kept", ""), file(name, "")]).expect_err("refused");
            assert!(error.to_string().ends_with("is a whiteout without a name to delete"), "{error}");
            assert_eq!(paths(&root.path()), ["a", "a/kept"]);
        }
    }
    // Only the last part of a name is a marker.
    let root = Root::new();
    root.applied(&[file(".wh.a/b", "")]);
    assert_eq!(paths(&root.path()), [".wh.a", ".wh.a/b"]);
}

/// The layer's own file stays, what is below is hidden; in any order.
#[test]
fn c1_05_a_whiteout_of_the_layers_own_file() {
    let opaque = |root: &Root, path: &str| {
        look(&root.path())[Path::new(path)].xattrs.contains_key(b"trusted.overlay.opaque".as_slice())
    };
    let root = Root::new();
    root.applied(&[file("f", "own"), file(".wh.f", ""), dir("d"), file("d/x", ""), file(".wh.d", "")]);
    assert_eq!(fs::read_to_string(root.at("f")).expect("read"), "own");
    assert!(root.at("d/x").exists() && opaque(&root, "d"));

    let root = Root::new();
    root.applied(&[
        file(".wh.f", ""),
        file("f", "own"),
        file(".wh.d", ""),
        dir("d"),
        file(".wh.e", ""),
        file("e/x", ""),
        file(".wh.f", ""),
        dir("g"),
        file("g/.wh..wh..opq", ""),
        file("h/x", ""),
        file("h/.wh..wh..opq", ""),
    ]);
    assert_eq!(fs::read_to_string(root.at("f")).expect("read"), "own");
    for path in ["d", "e", "g", "h"] {
        assert!(opaque(&root, path), "{path}");
    }
    assert!(root.at("h/x").exists());

    // A file that becomes a directory hid the directory below.
    let root = Root::new();
    root.applied(&[file("a", ""), dir("a"), dir("b"), symlink("b", "a"), dir("b")]);
    assert!(opaque(&root, "a") && opaque(&root, "b"));
}

/// Overlay does not see the mark there, so whoever stacks the layers must know.
#[test]
fn c1_05_an_opaque_root_is_reported() {
    for (items, opaque) in [
        (vec![file(".wh..wh..opq", "")], true),
        (vec![symlink("way", "/"), file("way/.wh..wh..opq", "")], true),
        (vec![file("d/.wh..wh..opq", "")], false),
    ] {
        assert_eq!(Root::new().applied(&items).opaque_root, opaque, "{items:?}");
    }
}

#[test]
fn c1_05_a_whiteout_as_a_device_is_a_whiteout() {
    let root = Root::new();
    let applied = root.applied(&[
        char_device("d/x", 0, 0).mode(0o666).owner(1, 1),
        file("y", ""),
        char_device("y", 0, 0),
    ]);
    assert_eq!(applied.whiteouts, 2);
    assert_eq!(fs::metadata(root.at("d/x")).expect("stat").mode(), 0o020000);
    assert!(root.at("y").is_file());
}

#[test]
fn c1_06_attributes() {
    let mut item = file("f", "");
    for name in [
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "trusted.overlay.metacopy",
        "trusted.overlay.origin",
        "trusted.overlay.overlay.opaque",
        "user.overlay.opaque",
        "user.overlay.redirect",
        "security.selinux",
        "security.ima",
    ] {
        item = item.xattr(name, b"y");
    }
    let item = item.xattr("user.kept", b"1").xattr("trusted.kept", b"2");
    let root = Root::new();
    let applied = root.applied(&[
        item.clone(),
        Item { path: b"d".to_vec(), kind: b'5', mode: 0o755, ..item.clone() },
        Item { path: b"l".to_vec(), kind: b'2', link: b"f".to_vec(), ..item.clone() },
        Item { path: b"h".to_vec(), kind: b'1', link: b"f".to_vec(), ..item },
    ]);
    // Nine of each are dropped; links cannot have `user.kept` on top.
    assert_eq!(applied.xattrs_left_out, 4 * 9 + 1);
    for (path, node) in look(&root.path()) {
        let names: Vec<_> =
            node.xattrs.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let link = path == Path::new("l");
        let expected: &[&str] = if link { &["trusted.kept"] } else { &["trusted.kept", "user.kept"] };
        assert_eq!(names, expected, "{}", path.display());
    }
    // More than the file system or the limits hold is an error, not silence.
    let root = Root::new();
    root.apply(&[file("f", "").xattr("user.big", &vec![b'x'; 70_000])]).expect_err("too large");
    let many = (0..10_000).fold(file("f", ""), |item, n| item.xattr(&format!("user.{n}"), b"v"));
    root.apply(&[many]).expect_err("too many");
}

#[test]
fn a2_39_a3_65_a7_129_a_directory_replaces_a_link_and_does_not_follow_it() {
    for whiteouts in WHITEOUTS {
        let root = Root::with(whiteouts);
        let outside = Outside::new(&root.beside("outside"));
        root.applied(&[symlink("d", outside.dir().to_str().expect("text")), dir("d").mode(0o777)]);
        assert!(fs::symlink_metadata(root.at("d")).expect("stat").is_dir());
        outside.assert_untouched(&"a directory over a link");
    }
}

#[test]
fn c1_07_devices() {
    let root = Root::new();
    root.applied(&[block_device("disk", 8, 0).mode(0o666), char_device("mem", 1, 1), fifo("pipe")]);
    assert_eq!(fs::metadata(root.at("disk")).expect("stat").rdev(), rustix::fs::makedev(8, 0));
    // What mknod would take for another device.
    for (major, minor) in [(4096, 0), (0, 1 << 20), (2_000_000, 1)] {
        let error = root.apply(&[char_device("odd", major, minor)]).expect_err("no such device");
        assert!(error.to_string().ends_with("has a device number that does not exist"), "{error}");
    }
}

#[test]
fn c1_11_many_entries_stop_at_the_limit() {
    use longshore_archive::{apply, limits::Limits};
    use std::os::fd::AsFd;
    let root = Root::new();
    let mut items = vec![file("target", "")];
    items.extend((0..2000).map(|n| hardlink(format!("l{n}"), "target")));
    let fd = fs::File::open(root.path()).expect("open");
    let limits = Limits { entries: 1000, ..Limits::default() };
    let options = apply::Options { limits, ..Default::default() };
    let error = apply::apply(layer(&items).as_slice(), fd.as_fd(), &options).expect_err("too many");
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert!(paths(&root.path()).len() <= 1001);
}

/// Somebody exchanges a directory of the root with a link to the outside while a layer is applied to it.
#[test]
fn a3_74_a_racer_does_not_lead_the_layer_outside() {
    let root = Root::new();
    let outside = Outside::new(&root.beside("outside"));
    let mut items = vec![dir("d").mode(0o777).owner(1, 1)];
    for number in 0..20 {
        items.push(file(format!("d/secret{number}"), "x").owner(1, 1).xattr("user.x", b"1"));
        items.push(dir("d/inner").mode(0o777).owner(1, 1));
        items.push(file("d/inner/file", "overwritten").mode(0o4777));
        items.push(file("d/.wh.passwd", ""));
        items.push(dir("d").mode(0o700 + number));
        items.push(file("d/x", ""));
        items.push(file("other/x", ""));
    }
    let stop = AtomicBool::new(false);
    let (mut applied, mut failed) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (one, other) = (root.at("d"), root.at("racer"));
            while !stop.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
            }
        });
        for _ in 0..100 {
            for entry in fs::read_dir(root.path()).expect("read") {
                let path = entry.expect("read").path();
                drop(fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)));
            }
            drop(std::os::unix::fs::symlink(outside.dir(), root.at("racer")));
            match root.apply(&items) {
                Ok(_) => applied += 1,
                Err(_) => failed += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    outside.assert_untouched(&(applied, failed));
}
