//! What a registry has under a name, without pulling it.

use longshore_registry::{Content, Credentials};
use longshore_types::{
    Platform, Reference,
    oci::{Descriptor, ImageConfig, MAX_CONFIG},
};

use crate::{Images, Result};

/// What a registry has under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// Of the manifest or index.
    pub descriptor: Descriptor,
    /// What it runs on, as far as it says.
    pub platforms: Vec<Platform>,
}

impl Images {
    /// Asks the registry of `name` what it has; without tag and digest, of the tag `latest`.
    pub async fn remote(&self, name: &Reference, credentials: Credentials) -> Result<Remote> {
        let name = name.clone().with_default_tag();
        let repository = self.registry().repository(&name, credentials)?;
        let version = match (name.digest(), name.tag()) {
            (Some(digest), _) => digest.as_str(),
            (None, tag) => tag.unwrap_or("latest"),
        };
        let resolved = repository.resolve(version).await?;
        let platforms = match resolved.content()? {
            Content::Index(index) => index.manifests.into_iter().filter_map(|one| one.platform).collect(),
            Content::Manifest(manifest) if manifest.config.kind().is_config() => {
                let bytes = repository.blob_bytes(&manifest.config, MAX_CONFIG as u64).await?;
                vec![ImageConfig::read(&bytes)?.platform()]
            }
            Content::Manifest(_) => Vec::new(),
        };
        Ok(Remote { descriptor: resolved.descriptor, platforms })
    }
}
