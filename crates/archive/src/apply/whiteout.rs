//! Deletions: markers of a layer, and old files that make way for new ones.
//!
//! A whiteout hides what *lower* layers have, as the OCI specification says; what the same layer put
//! there stays, whichever came first. (Docker 20 and containerd fail here with "file exists" on overlay,
//! and delete the layer's own file on a plain tree.)

use std::{
    io::Read,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, StatxAttributes, StatxFlags, mknodat, statat, statx, unlinkat, utimensat},
    io::Errno,
};

use super::{
    Applier, Whiteouts,
    error::{Failure, Refusal},
    node::times,
    touched::{open, prune, remove},
};
use crate::entry::Entry;

impl<R: Read> Applier<'_, '_, R> {
    /// The marker that deletes `name` in the directory where the chain is.
    pub(super) fn whiteout(&mut self, name: &[u8]) -> Result<(), Failure> {
        self.applied.whiteouts += 1;
        if self.options.whiteouts == Whiteouts::Delete {
            return self.delete(name);
        }
        let parent = self.chain.parent();
        match mknodat(parent.fd, name, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => {
                self.applied.inodes += 1;
                // The same each time the layer is applied.
                return utimensat(parent.fd, name, &times(&Entry::default()), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(Failure::of("set the time"));
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Failure::System("make the whiteout", errno)),
        }
        let stat = statat(parent.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Failure::of("look at the old file"))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            self.chain.push(name)?;
            self.chain.make_opaque()?;
        }
        Ok(())
    }

    /// The marker that hides all that lower layers have in the directory where the chain is.
    pub(super) fn opaque(&mut self) -> Result<(), Failure> {
        self.applied.whiteouts += 1;
        self.applied.opaque_root |= self.chain.at_root();
        if self.options.whiteouts == Whiteouts::Overlay {
            return self.chain.make_opaque();
        }
        let parent = self.chain.parent();
        prune(parent.fd, &self.touched).map_err(Failure::of("empty the directory"))?;
        self.chain.forget()
    }

    /// Deletes `name` from a plain tree, but not what this layer put there.
    fn delete(&mut self, name: &[u8]) -> Result<(), Failure> {
        let parent = self.chain.parent();
        let failed = Failure::of("delete the file");
        if !self.touched.has(parent.inode, name) {
            remove(parent.fd, name).map_err(failed)?;
        } else if let Ok(fd) = open(parent.fd, name) {
            prune(fd.as_fd(), &self.touched).map_err(failed)?;
        }
        self.chain.forget()
    }

    /// Deletes what has the name that a new file needs.
    pub(super) fn clear(&mut self, name: &[u8]) -> Result<(), Failure> {
        self.replaced = true;
        let parent = self.chain.parent();
        let stat = match statat(parent.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat.map_err(Failure::of("look at the old file"))?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory && self.options.keep_kinds {
            return Err(Refusal::OverDirectory.into());
        }
        if self.options.within.is_some() && is_mounted(parent.fd, name)? {
            // Deleting a name takes away what other namespaces have mounted there.
            return Err(Failure::System("replace what is mounted there", Errno::BUSY));
        }
        if kind == FileType::Directory {
            remove(parent.fd, name).map_err(Failure::of("replace the old directory"))?;
        } else {
            unlinkat(parent.fd, name, AtFlags::empty()).map_err(Failure::of("replace the old file"))?;
        }
        if !matches!(kind, FileType::Directory | FileType::Symlink) {
            return Ok(());
        }
        self.chain.forget()
    }
}

fn is_mounted(parent: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Failure> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let found = statx(parent, name, flags, StatxFlags::TYPE).map_err(Failure::of("look at the old file"))?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
