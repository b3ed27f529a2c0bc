//! Images on disk.
