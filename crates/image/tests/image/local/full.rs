//! A load onto file systems that are too small, of every size.

use std::os::fd::AsFd;

use longshore_store::{Options, Store};
use longshore_types::Kind;
use rustix::{
    fs::CWD,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
        fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
    },
};
use tempfile::TempDir;

use super::{
    archive::{Image, docker, packed, tar},
    assert_nothing, load, service,
};

/// A file system in memory, gone when dropped.
struct Memory(TempDir);

impl Drop for Memory {
    fn drop(&mut self) {
        unmount(self.0.path(), UnmountFlags::DETACH).ok();
    }
}

fn memory(bytes: u64) -> Memory {
    let dir = TempDir::new().expect("a directory");
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).expect("tmpfs");
    fsconfig_set_string(context.as_fd(), "size", bytes.to_string()).expect("a size");
    fsconfig_create(context.as_fd()).expect("a file system");
    let mount =
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).expect("a mount");
    move_mount(mount.as_fd(), "", CWD, dir.path(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .expect("it is attached");
    Memory(dir)
}

#[test]
fn load_onto_a_disk_that_is_too_small() {
    let big: Vec<u8> = (0..300_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[1]).collect();
    let base = tar(&[("a", &big), ("b", b"b")]);
    let images = [
        Image::new(&["a:1"], std::slice::from_ref(&base), 1),
        Image::new(&["b:1"], &[base, tar(&[("c", &big)])], 2),
    ];
    let plain = docker(&images);
    let (mut failed, mut done) = (0, 0);
    for archive in [packed("gzip", &plain), plain] {
        for bytes in (300_000..3_600_000).step_by(110_000) {
            let disk = memory(bytes);
            let root = disk.0.path().join("data");
            let options = || Options { reserve: 0, ..Options::default() };
            let Ok((store, _)) = Store::open(&root, options()) else { continue };
            let images = service(store);
            match load(&images, &archive).0 {
                Ok(loaded) => {
                    assert_eq!(loaded.len(), 2);
                    done += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), Kind::ResourceExhausted, "{bytes}: {}", error.line());
                    assert_nothing(&images);
                    failed += 1;
                }
            }
            drop(images);
            let (store, recovery) =
                Store::open(&root, options()).unwrap_or_else(|error| panic!("{bytes}: {error}"));
            assert_eq!(recovery.damaged, Vec::<String>::new());
            assert_eq!(store.ledger(std::time::Duration::ZERO).expect("a ledger").unaccounted, 0, "{bytes}");
        }
    }
    assert!(failed > 5 && done > 5, "{failed} failed, {done} did not");
}
