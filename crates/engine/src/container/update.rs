//! Changes of what is kept.

use std::sync::{Arc, PoisonError};

use super::{Container, Containers, Error, Record, Result, blocking};
use crate::db::{Durability, Table};

impl Containers {
    /// Changes a container's record: in the database, then for everybody who watches. Changes of one container come
    /// one after the other; one that fails changes nothing. Blocks.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`] when it has been removed.
    pub fn update<T>(
        &self,
        container: &Container,
        durability: Durability,
        change: impl FnOnce(&mut Record) -> Result<T>,
    ) -> Result<T> {
        let writing = container.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = container.record();
        let mut record = Record::clone(&before);
        if record.state.removed {
            return Err(Error::NoSuchContainer { word: container.id().to_string() });
        }
        let changed = change(&mut record)?;
        if record == *before && durability == Durability::Kernel {
            return Ok(changed);
        }
        self.db().put(Table::Containers, container.id().as_str(), &record.name, &record, durability)?;
        container.0.record.send_replace(Arc::new(record));
        drop(writing);
        Ok(changed)
    }

    /// [`Containers::update`] on a thread that may block.
    pub async fn change<T: Send + 'static>(
        &self,
        container: &Container,
        durability: Durability,
        change: impl FnOnce(&mut Record) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (containers, container) = (self.clone(), container.clone());
        blocking(move || containers.update(&container, durability, change)).await
    }
}
