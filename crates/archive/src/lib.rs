//! Layers as tar streams: reading, applying to a directory, writing.

pub mod apply;
pub mod compress;
pub mod diff;
pub mod entry;
pub mod limits;
pub mod recipe;
pub mod tar;
