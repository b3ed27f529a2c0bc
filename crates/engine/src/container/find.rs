//! Finding a container by what a user calls it.

use super::{Container, Containers, Error, Result};

impl Containers {
    /// The container with this ID, or name, or the only one whose ID begins so; in this order, as in Docker.
    pub fn find(&self, word: &str) -> Result<Container> {
        let table = self.table();
        if let Some(container) = table.get(word) {
            return Ok(container.clone());
        }
        let none = || Error::NoSuchContainer { word: word.into() };
        let name = word.strip_prefix('/').unwrap_or(word);
        if name.is_empty() {
            return Err(none());
        }
        let named = self.names().get(name).cloned();
        if let Some(container) = named.and_then(|id| table.get(id.as_str())) {
            return Ok(container.clone());
        }
        if let Some((parent, alias)) = name.split_once('/') {
            drop(table);
            return self.linked(parent, alias).ok_or_else(none);
        }
        let mut matches = table
            .range(word.to_owned()..)
            .take_while(|(id, _)| id.starts_with(word))
            .map(|(_, container)| container);
        match (matches.next(), matches.next()) {
            (Some(container), None) => Ok(container.clone()),
            (Some(_), Some(_)) => Err(Error::Ambiguous { prefix: word.into() }),
            (None, _) => Err(none()),
        }
    }
}
