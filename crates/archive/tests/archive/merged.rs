//! Layers in directories of their own, seen through the kernel's overlay file system.

use std::path::Path;

use crate::apply::Root;
use crate::layer::{Item, char_device, dir, file, symlink};
use crate::mount::Mount;
use crate::tree::paths;

/// What is seen of layers, the lowest first.
fn merged(layers: &[Vec<Item>]) -> Vec<String> {
    let roots: Vec<Root> = layers
        .iter()
        .map(|items| {
            let root = Root::new();
            root.applied(items);
            root
        })
        .collect();
    // One layer alone is no overlay.
    let bottom = Root::new();
    let mut dirs: Vec<_> = roots.iter().rev().map(Root::path).collect();
    dirs.push(bottom.path());
    let dirs: Vec<&Path> = dirs.iter().map(|dir| dir.as_path()).collect();
    paths(&Mount::overlay(&dirs).path())
}

#[test]
fn c1_05_the_kernel_sees_the_whiteouts() {
    let lower = vec![
        file("a/1", ""),
        file("a/2", ""),
        file("b/1", ""),
        file("c/1", ""),
        file("d", ""),
        file("e/1", ""),
    ];
    let upper = vec![
        file("a/.wh.1", ""),
        file("b/2", ""),
        file("b/.wh..wh..opq", ""),
        char_device("c", 0, 0),
        file(".wh.d", ""),
        file("e", ""),
        dir("e"),
        file("e/2", ""),
    ];
    assert_eq!(merged(&[lower.clone(), upper]), ["a", "a/2", "b", "b/2", "e", "e/2"]);
    // A directory that comes after the whiteout of its name does not bring back what was there.
    let upper = vec![file(".wh.a", ""), dir("a"), file("a/3", ""), file(".wh.b", ""), file("b/3", "")];
    assert_eq!(merged(&[lower, upper]), ["a", "a/3", "b", "b/3", "c", "c/1", "d", "e", "e/1"]);
}

/// As Docker: a link in a layer below is replaced by the directory that this layer needs.
#[test]
fn links_of_lower_layers_are_not_followed() {
    let lower = vec![dir("target"), symlink("way", "target")];
    assert_eq!(merged(&[lower, vec![file("way/f", "")]]), ["target", "way", "way/f"]);
}
