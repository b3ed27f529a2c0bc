//! Mounts that nobody sees, and that are gone with their descriptor.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};

pub(crate) struct Mount(OwnedFd);

impl Mount {
    fn new(kind: &str, options: &[(&str, &str)]) -> Mount {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).expect("fsopen");
        for (key, value) in options {
            fsconfig_set_string(&context, *key, *value).expect("an option of the mount");
        }
        fsconfig_create(&context).expect("make the file system");
        Mount(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).expect("fsmount"))
    }

    /// Layers as Docker mounts them, the topmost first.
    pub(crate) fn overlay(layers: &[&Path]) -> Mount {
        let layers: Vec<_> = layers.iter().map(|path| path.to_str().expect("text")).collect();
        Mount::new("overlay", &[("lowerdir", &layers.join(":"))])
    }

    /// As a container has it.
    pub(crate) fn writable(lower: &str, upper: &str, work: &str) -> Mount {
        let options = [
            ("lowerdir", lower),
            ("upperdir", upper),
            ("workdir", work),
            ("redirect_dir", "off"),
            ("metacopy", "off"),
        ];
        Mount::new("overlay", &options)
    }

    pub(crate) fn tmpfs() -> Mount {
        Mount::new("tmpfs", &[])
    }

    /// A file system in memory that is soon full.
    pub(crate) fn sized(size: &str) -> Mount {
        Mount::new("tmpfs", &[("size", size)])
    }

    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// A mount that has a place.
pub(crate) struct Attached<'p>(&'p Path);

impl Mount {
    /// Puts it there until the result is dropped.
    pub(crate) fn attach<'p>(&self, place: &'p Path) -> Attached<'p> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&self.0, "", CWD, place, flags).expect("move_mount");
        Attached(place)
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}
