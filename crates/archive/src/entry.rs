//! What a tar archive says about one file, whatever dialect said it.

/// One entry of an archive, without its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The name as the archive has it: not cleaned, never empty, no NUL.
    pub path: Vec<u8>,
    pub kind: Kind,
    /// Where a symbolic or hard link leads, as the archive has it.
    pub link: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky: `0o7777` at most.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970 and nanoseconds below a thousand million.
    pub modified: (i64, u32),
    /// Access time, where the archive has one.
    pub accessed: Option<(i64, u32)>,
    /// Bytes of the file as it will be on disk, holes included. 0 for what is no file.
    pub size: u64,
    /// Device numbers (major, minor) of character and block devices.
    pub device: (u32, u32),
    /// Extended attributes by name (`user.x`), as `SCHILY.xattr.*` has them, in the archive's order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// For a sparse file: (offset, length) of each piece of data, ascending, not overlapping.
    pub sparse: Option<Vec<(u64, u64)>>,
}

/// What kind of file an entry is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    #[default]
    File,
    Directory,
    Symlink,
    Hardlink,
    CharDevice,
    BlockDevice,
    Fifo,
}
