//! Bytes set aside so that something can be removed when the disk is full.
//!
//! A removal writes its rows before it frees anything, and a write-ahead log grows. When there is no room for that,
//! the reserve is given up, the removal done, and the reserve made again from what it freed.

use rustix::fs::FallocateFlags;

use crate::{
    db,
    dir::Dir,
    error::{At, Error, Result},
    root::Inner,
};

const NAME: &str = "reserve";

impl Inner {
    /// Does what frees space. If there is no room even for that, gives up the reserve and does it again.
    pub(crate) fn removing<T>(&self, mut act: impl FnMut() -> Result<T>) -> Result<T> {
        match act() {
            Err(error) if needs_room(&error) => {
                give_up(&self.dirs.root)?;
                let done = act();
                // The space comes when the trash is deleted; where it does not, the next open tries again.
                self.make_reserve().ok();
                done
            }
            done => done,
        }
    }

    /// Sets the reserve aside, if there is room.
    pub(crate) fn make_reserve(&self) -> Result<()> {
        let root = &self.dirs.root;
        let size = self.options.reserve;
        if size == 0 {
            return root.unlink(NAME);
        }
        let found = root.stat(NAME)?.map(|stat| (db::size(stat.st_size), db::size(stat.st_blocks) * 512));
        if found.is_some_and(|(length, allocated)| length == size && allocated >= size) {
            return Ok(());
        }
        let file = root.create(NAME)?;
        rustix::fs::ftruncate(&file, 0).at("write", root.join(NAME))?;
        let made =
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size).at("write", root.join(NAME));
        if made.is_err() {
            rustix::fs::ftruncate(&file, 0).at("write", root.join(NAME))?;
        }
        made
    }
}

/// Gives the reserve back to the file system.
pub(crate) fn give_up(root: &Dir) -> Result<()> {
    root.unlink(NAME)
}

/// Whether it failed for lack of room.
pub(crate) fn needs_room(error: &Error) -> bool {
    // What SQLite cannot write to its shared memory for lack of space is an I/O error to it.
    let is_database_io = matches!(error, Error::Database(error)
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure));
    error.is_full() || is_database_io
}
