use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};
use serde::Serialize;

use crate::failpoint;

/// The exit record's name in the container's directory.
pub(crate) const EXIT_RECORD: &str = "exit.json";

/// The name of an exec process's record.
pub(super) fn exec_record(id: &str) -> String {
    format!("exec-{id}.json")
}

/// Removes the exit record of the container's last life: it must not be taken for that of the next.
pub(super) fn remove(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    match rustix::fs::unlinkat(directory, EXIT_RECORD, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes `record` as JSON to the file `name` so that after a power cut there is all of it or nothing.
pub(super) fn write(directory: BorrowedFd<'_>, name: &str, record: &impl Serialize) -> Result<(), Errno> {
    let text = serde_json::to_vec(record).map_err(|_| Errno::INVAL)?;
    let temporary = format!(".{name}.tmp");
    failpoint::step("monitor.record").map_err(|_| Errno::IO)?;
    let result = write_new(directory, &temporary, &text)
        .and_then(|()| rustix::fs::renameat(directory, &temporary, directory, name));
    if result.is_err() {
        // What is left of it would only be in the way.
        rustix::fs::unlinkat(directory, &temporary, AtFlags::empty()).ok();
    }
    result?;
    // The directory may have been donated by path only, which cannot be synchronised.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::fsync(rustix::fs::openat(directory, c".", flags, Mode::empty())?)
}

fn write_new(directory: BorrowedFd<'_>, name: &str, mut text: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file: OwnedFd = rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?;
    while !text.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(file.as_fd(), text))?;
        text = &text[written..];
    }
    rustix::fs::fsync(file)
}
