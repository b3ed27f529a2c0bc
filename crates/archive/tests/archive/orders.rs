//! Entries of all kinds in any order.

use std::cell::Cell;

use longshore_archive::apply::Whiteouts;
use proptest::prelude::*;

use crate::apply::Root;
use crate::layer::{Item, char_device, dir, fifo, file, hardlink, symlink};
use crate::model::{Model, seen};
use crate::mount::Mount;
use crate::tree::look;

const PATHS: [&str; 7] = ["a", "b", "a/a", "a/b", "b/a", "a/b/a", "b/b/b"];

fn items() -> impl Strategy<Value = Vec<Item>> {
    let path = || prop::sample::select(&PATHS[..]);
    let target = prop::sample::select(&["a", "b", "/a", "..", "/", "a/b", "../b", "nowhere"][..]);
    let mode = prop::sample::select(&[0o644, 0o755, 0o600, 0o4755][..]);
    let whiteout = |path: &str| match path.rsplit_once('/') {
        Some((directory, name)) => file(format!("{directory}/.wh.{name}"), ""),
        None => file(format!(".wh.{path}"), ""),
    };
    let item = prop_oneof![
        4 => (path(), "[xyz]{0,2}", mode.clone()).prop_map(|(path, text, mode)| file(path, &text).mode(mode)),
        3 => (path(), mode.clone()).prop_map(|(path, mode)| dir(path).mode(mode)),
        2 => (path(), target).prop_map(|(path, target)| symlink(path, target)),
        2 => (path(), path(), mode).prop_map(|(path, target, mode)| hardlink(path, target).mode(mode)),
        1 => path().prop_map(|path| char_device(path, 1, 3)),
        1 => path().prop_map(|path| char_device(path, 0, 0)),
        1 => path().prop_map(fifo),
        2 => path().prop_map(whiteout),
        1 => prop::sample::select(&["a", "b", "a/b"][..]).prop_map(|path| file(format!("{path}/.wh..wh..opq"), "")),
    ];
    prop::collection::vec(item, 1..10)
}

/// A layer as honest programs make them: directories first, no links, nothing deleted.
fn base() -> impl Strategy<Value = Vec<Item>> {
    let item = prop_oneof![
        prop::sample::select(&PATHS[..]).prop_map(|path| file(path, "base")),
        prop::sample::select(&PATHS[..]).prop_map(dir),
    ];
    prop::collection::vec(item, 0..6)
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn c1_04_a_layer_is_what_the_model_says() {
    let memory = Mount::tmpfs();
    let root = Root::below(&memory.path(), Whiteouts::Overlay);
    let (refused, count) = (Cell::new(0), Cell::new(0));
    proptest!(cases(3000), |(items in items())| {
        root.renew();
        let mut model = Model::new();
        let expected = model.apply(&items);
        let result = root.apply(&items);
        count.set(count.get() + 1);
        refused.set(refused.get() + u32::from(result.is_err()));
        prop_assert_eq!(expected.is_ok(), result.is_ok(), "{:?}", result);
        if result.is_ok() {
            prop_assert_eq!(model.seen(), seen(&look(&root.path())));
        }
    });
    let (refused, count) = (refused.get(), count.get());
    assert!(refused * 10 > count && refused * 10 < count * 9, "{refused} of {count} layers are refused");
}

/// Two ways that share little: overlay's form through the kernel, and deletion from a plain tree.
#[test]
fn c1_04_overlay_shows_what_a_plain_tree_has() {
    let memory = Mount::tmpfs();
    let plain = Root::below(&memory.path(), Whiteouts::Delete);
    let [bottom, lower, upper] = [(); 3].map(|()| Root::below(&memory.path(), Whiteouts::Overlay));
    let compared = Cell::new(0);
    proptest!(cases(2000), |(base in base(), items in items())| {
        for root in [&plain, &lower, &upper] {
            root.renew();
        }
        // Not every base can be applied, and a layer may need what is below (targets of hard links,
        // links on the way), which a directory of its own does not have.
        let done = [plain.apply(&base), lower.apply(&base), plain.apply(&items), upper.apply(&items)];
        // Overlay does not look at the mark on a root.
        let whole = done[3].as_ref().is_ok_and(|applied| applied.opaque_root);
        if done.iter().all(Result::is_ok) && !whole {
            compared.set(compared.get() + 1);
            let merged = Mount::overlay(&[&upper.path(), &lower.path(), &bottom.path()]);
            // The mode of a directory that only the layer below has an entry for is Docker's 0755.
            let content = |tree| -> Vec<_> {
                let seen = seen(&tree).into_iter();
                // Overlay gives the links of one inode of a lower layer several inode numbers.
                seen.map(|(path, (mode, content, ..))| (path, mode & 0o170000, content)).collect()
            };
            prop_assert_eq!(content(look(&merged.path())), content(look(&plain.path())));
        }
    });
    assert!(compared.get() > 200, "{} layers were compared", compared.get());
}
