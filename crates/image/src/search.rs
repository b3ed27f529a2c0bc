//! Searching a registry.

use longshore_registry::{Credentials, Found};

use crate::{Images, Result};

impl Images {
    /// Searches for `term`, which may begin with a registry; at most `limit` images.
    pub async fn search(&self, term: &str, limit: usize, credentials: &Credentials) -> Result<Vec<Found>> {
        Ok(self.registry().search(term, limit, credentials).await?)
    }
}
