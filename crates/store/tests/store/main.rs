//! What the store promises, through its public interface alone.

mod bed;
mod blobs;
mod images;
mod layers;
