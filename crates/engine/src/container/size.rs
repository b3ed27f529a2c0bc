use std::time::Duration;

use super::{Container, Containers, Result, blocking};

/// What a container takes on the disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// What it wrote.
    pub own: u64,
    /// That, and its image.
    pub whole: u64,
}

impl Containers {
    /// The size of a container's files, counted anew if the last count is older than `age`.
    pub async fn size(&self, container: &Container, age: Duration) -> Result<Size> {
        let (containers, container) = (self.clone(), container.clone());
        blocking(move || {
            let store = containers.images().store();
            let record = container.record();
            let own = store.find_snapshot(record.snapshot)?.usage(age)?.bytes;
            let mut whole = own;
            for layer in &record.image.layers {
                whole += store.layer(layer)?.map_or(0, |layer| layer.facts.bytes);
            }
            Ok(Size { own, whole })
        })
        .await
    }
}
