//! The one table of limits for archives that others made.
//!
//! A limit is there so that a hostile archive costs bounded time, memory and disk. Each is far above what
//! real images need; the reason stands beside it. Whoever applies archives may lower them.

/// What an archive may ask for at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of one archive. The largest real layers have some hundred thousand; an empty entry costs
    /// about 50 µs to make, so this bounds the time for one layer to minutes.
    pub entries: u64,
    /// Bytes of a path or of a link's target: `PATH_MAX`, the kernel takes no more.
    pub path_bytes: usize,
    /// Components of a path. Nothing real goes past 50; every level costs an open descriptor or a lookup.
    pub depth: usize,
    /// Bytes of one file as it will be on disk, holes included: what ext4 can hold.
    pub file_bytes: u64,
    /// Bytes of the whole archive, uncompressed. Model images reach 200 GB.
    pub archive_bytes: u64,
    /// How much longer the uncompressed form may be than the compressed one, past `ratio_free_bytes`. Real
    /// file systems stay below 20; zeros reach 1032 with deflate and far more with others.
    pub ratio: u64,
    /// The first bytes of output, on which `ratio` is not applied. Honest layers do hold a few GiB of zeros:
    /// `lastlog` with a large user id, an empty database.
    pub ratio_free_bytes: u64,
    /// Bytes that zstd or xz may keep as their window or dictionary. `zstd -19` uses 8 MiB, `--ultra` and
    /// `--long` 128 MiB (the most `zstd -d` itself takes unasked); `xz -9` uses 64 MiB.
    pub window_bytes: u64,
    /// Bytes of zstd frames that hold no data, all together. Those of seekable formats (a table of
    /// contents) are a few MiB.
    pub skippable_bytes: u64,
    /// Bytes of one PAX extended header, or of one long name. As Go's reader.
    pub extension_bytes: u64,
    /// Extended attributes of one entry. ext4 holds 4 KiB of them.
    pub xattrs: usize,
    /// Bytes of one attribute's value: the kernel's `XATTR_SIZE_MAX`.
    pub xattr_bytes: usize,
    /// Pieces of data in one sparse file; 24 bytes of memory each.
    pub sparse_pieces: usize,
    /// Zero bytes after the end of the archive. Tape records are 10 KiB, the largest in use 1 MiB.
    pub padding_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            entries: 5_000_000,
            path_bytes: 4096,
            depth: 512,
            file_bytes: 16 << 40,
            archive_bytes: 1 << 40,
            ratio: 256,
            ratio_free_bytes: 4 << 30,
            window_bytes: 128 << 20,
            skippable_bytes: 64 << 20,
            extension_bytes: 1 << 20,
            xattrs: 256,
            xattr_bytes: 64 << 10,
            sparse_pieces: 1 << 20,
            padding_bytes: 16 << 20,
        }
    }
}
