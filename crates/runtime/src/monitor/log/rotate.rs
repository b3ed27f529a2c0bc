use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::write_all;

/// A log file `name` in a directory held by descriptor, renamed to `name.1` once it is full, as
/// `name.1` is to `name.2`, up to `max_files` in all.
#[derive(Debug)]
pub(super) struct RotatingFile {
    directory: OwnedFd,
    name: String,
    file: OwnedFd,
    /// Bytes in the file, all of them whole records.
    size: u64,
    max_size: Option<u64>,
    max_files: u32,
}

impl RotatingFile {
    pub(super) fn open(
        directory: OwnedFd,
        name: String,
        max_size: Option<u64>,
        max_files: u32,
    ) -> Result<Self, Errno> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(Errno::INVAL);
        }
        let (file, size) = open_file(&directory, &name)?;
        Ok(Self { directory, name, file, size, max_size, max_files: max_files.max(1) })
    }

    /// Appends whole records. As Docker does it, the record that makes the file too large is its last one.
    pub(super) fn append(&mut self, mut records: &[u8]) -> Result<(), Errno> {
        let mut result = Ok(());
        while !records.is_empty() {
            let mut length = records.len();
            if let Some(max) = self.max_size {
                if self.size >= max {
                    // When that fails the current file is written on.
                    result = result.and(self.rotate());
                }
                let room = usize::try_from(max.saturating_sub(self.size).max(1)).unwrap_or(usize::MAX);
                if result.is_ok() && room < length {
                    let rest = &records[room - 1..];
                    length = rest.iter().position(|byte| *byte == b'\n').map_or(length, |at| room + at);
                }
            }
            self.write(&records[..length])?;
            records = &records[length..];
        }
        result
    }

    fn write(&mut self, records: &[u8]) -> Result<(), Errno> {
        match write_all(&self.file, records) {
            Ok(()) => {
                self.size += records.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A failure leaves half a record, which the next reader would trip over.
                rustix::fs::ftruncate(&self.file, self.size).ok();
                Err(error)
            }
        }
    }

    /// Moves the files on by one. When that fails the current file is written on.
    fn rotate(&mut self) -> Result<(), Errno> {
        if self.max_files == 1 {
            rustix::fs::ftruncate(&self.file, 0)?;
            self.size = 0;
            return Ok(());
        }
        for index in (1..self.max_files).rev() {
            let from = if index == 1 { self.name.clone() } else { format!("{}.{}", self.name, index - 1) };
            let to = format!("{}.{index}", self.name);
            match rustix::fs::renameat(&self.directory, &from, &self.directory, &to) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        (self.file, self.size) = open_file(&self.directory, &self.name)?;
        Ok(())
    }
}

fn open_file(directory: impl AsFd, name: &str) -> Result<(OwnedFd, u64), Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // Docker's mode for log files.
    let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o640))?;
    let size = u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or_default();
    Ok((file, size))
}
