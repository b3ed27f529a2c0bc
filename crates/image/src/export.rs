//! A file system as a tar stream.

use std::{
    io::Write,
    os::fd::{AsFd, BorrowedFd},
};

use longshore_archive::diff;
use longshore_store::{Life, Resource};
use longshore_types::Platform;
use rustix::fs::{Mode, OFlags, openat};

use crate::{Error, Images, Result};

impl Images {
    /// Writes a tree, a container's mounted root for example, as a tar that says the same each time. Blocks.
    pub fn export(&self, root: BorrowedFd<'_>, out: impl Write) -> Result<()> {
        // A detached mount can be looked up in, and not be read.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            openat(root, ".", flags, Mode::empty()).map_err(|error| Error::Root { source: error.into() })?;
        diff::write_tree(root.as_fd(), out)?;
        Ok(())
    }

    /// Writes what containers of an image begin with. Blocks.
    pub fn export_image(&self, word: &str, platform: Option<&Platform>, out: impl Write) -> Result<()> {
        let id = self.find(word, platform)?;
        let lease = self.store().lease("export", Life::Process)?;
        lease.add(Resource::Image(id.clone()))?;
        let image = self.store().image(&id)?.ok_or_else(|| crate::resolve::no_such_image(word))?;
        let root = self.store().mount_layers(&image.layers)?;
        self.export(root.as_fd(), out)
    }
}
