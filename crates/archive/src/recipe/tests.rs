use super::*;
use crate::apply::{self, Options};
use crate::entry::{Entry, Kind};
use crate::limits::Limits;
use crate::tar::Writer;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

fn record(archive: impl Read, root: &File) -> (Vec<u8>, Result<(), apply::Error>) {
    let mut recorder = Recorder::new(archive, Vec::new(), &Limits::default()).expect("recorder");
    let applied = apply::apply(&mut recorder, root.as_fd(), &Options::default()).map(|_| ());
    (recorder.finish().unwrap_or_default(), applied)
}

fn file(path: &str, size: u64) -> Entry {
    Entry { path: path.as_bytes().to_vec(), size, mode: 0o644, ..Entry::default() }
}

fn archive() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let long = "long/".repeat(40);
    let large: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    writer.entry(&Entry { kind: Kind::Directory, mode: 0o755, ..file("./", 0) }, io::empty()).expect("entry");
    for (path, content) in [
        ("./a", &b"content"[..]),
        ("/empty", b""),
        (&format!("{long}file"), &large),
        (".wh.gone", b""),
        ("d/.wh.strange", b"a whiteout with content"),
        ("d/../up", b"up"),
    ] {
        writer.entry(&file(path, content.len() as u64), content).expect("entry");
    }
    let link = Entry { kind: Kind::Hardlink, link: b"a".to_vec(), mode: 0o644, ..file("hard", 0) };
    writer.entry(&link, io::empty()).expect("entry");
    writer.finish().expect("finish")
}

#[test]
fn a_layer_is_made_again_byte_by_byte() {
    let dir = tempfile::tempdir().expect("directory");
    let root = File::open(dir.path()).expect("open");
    let mut archive = archive();
    // Garbage where padding is, and more zeros than needed at the end.
    let at = 512 * 2 + 100;
    archive[at] = 7;
    archive.extend_from_slice(&[0; 9000]);
    let (recipe, applied) = record(archive.as_slice(), &root);
    applied.expect("apply");
    assert!(recipe.len() < 1500, "{} bytes", recipe.len());
    let mut again = Vec::new();
    let length = rebuild(recipe.as_slice(), root.as_fd(), &mut again).expect("rebuild");
    assert_eq!(length, archive.len() as u64);
    assert!(again == archive);
}

#[test]
fn a_changed_file_is_noticed() {
    let dir = tempfile::tempdir().expect("directory");
    let root = File::open(dir.path()).expect("open");
    let (recipe, applied) = record(archive().as_slice(), &root);
    applied.expect("apply");
    std::fs::write(dir.path().join("a"), b"less").expect("write");
    let error = rebuild(recipe.as_slice(), root.as_fd(), &mut io::sink()).expect_err("changed");
    assert!(matches!(&error, RebuildError::Changed { path } if path == "./a"), "{error}");
}

#[test]
fn no_recipe_leads_outside() {
    let dir = tempfile::tempdir().expect("directory");
    let root = File::open(dir.path()).expect("open");
    let (recipe, applied) = record(archive().as_slice(), &root);
    applied.expect("apply");
    std::fs::remove_file(dir.path().join("a")).expect("remove");
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("a")).expect("link");
    let error = rebuild(recipe.as_slice(), root.as_fd(), &mut io::sink()).expect_err("outside");
    assert!(matches!(error, RebuildError::File { .. }), "{error}");
}

#[test]
fn a_truncated_archive_has_no_recipe() {
    let archive = archive();
    for length in [100, 512 * 2 + 3, 512 * 3 + 100] {
        let mut recorder = Recorder::new(&archive[..length], Vec::new(), &Limits::default()).expect("new");
        io::copy(&mut recorder, &mut io::sink()).expect("copy");
        let result = recorder.finish();
        assert!(matches!(result, Err(RecordError::Incomplete)), "{length}");
    }
}

#[test]
fn a7_124_endless_zeros_take_no_memory_and_end() {
    let dir = tempfile::tempdir().expect("directory");
    let root = File::open(dir.path()).expect("open");
    let endless = io::Cursor::new(archive()).chain(io::repeat(0));
    let mut recorder = Recorder::new(endless, Vec::new(), &Limits::default()).expect("recorder");
    let error = apply::apply(&mut recorder, root.as_fd(), &Options::default()).expect_err("endless");
    let text = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    assert!(text.contains("zero bytes after the end of the archive"), "{text}");
    let recipe = recorder.finish().expect("a recipe of what was read");
    assert!(recipe.len() < 10_000, "{} bytes", recipe.len());
}

#[test]
fn a_damaged_recipe_is_an_error() {
    let dir = tempfile::tempdir().expect("directory");
    let root = File::open(dir.path()).expect("open");
    let (recipe, applied) = record(archive().as_slice(), &root);
    applied.expect("apply");
    for length in 0..recipe.len() {
        rebuild(&recipe[..length], root.as_fd(), &mut io::sink()).expect_err("cut short");
    }
}
