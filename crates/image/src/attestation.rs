//! What builders stated about an image: in-toto statements in manifests beside the image's own.

use longshore_types::{
    Digest, Platform,
    oci::{Descriptor, Manifest},
};
use serde_json::Value;

use crate::{Error, Images, ManifestState, Result};

/// Where a builder says what a statement is.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// The most bytes of a manifest, and of a statement, that are read.
const LIMIT: u64 = 4 << 20;
const STATEMENT_LIMIT: u64 = 64 << 20;

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Attestation {
    pub descriptor: Descriptor,
    /// What it states, as a URI.
    pub predicate: String,
    /// The statement itself, if it was asked for.
    pub statement: Option<Value>,
}

impl Images {
    /// The statements about what `word` names, for `platform` of an index, as far as they are here. Blocks.
    pub fn attestations(
        &self,
        word: &str,
        platform: Option<&Platform>,
        with_statement: bool,
    ) -> Result<Vec<Attestation>> {
        let image = self.find(word, platform)?;
        let summaries = self.manifests(&self.resolve(word)?.target)?;
        let of_image = |state: &ManifestState| match state {
            ManifestState::Image { image: found, .. } => found.as_ref() == Some(&image),
            _ => false,
        };
        let subjects: Vec<Digest> = summaries
            .iter()
            .filter(|one| of_image(&one.kind))
            .map(|one| one.descriptor.digest.clone())
            .collect();
        let mut found = Vec::new();
        for one in &summaries {
            let ManifestState::Attestation { about: Some(about) } = &one.kind else { continue };
            if one.available && subjects.contains(about) {
                self.statements(&one.descriptor, with_statement, &mut found)?;
            }
        }
        Ok(found)
    }

    fn statements(
        &self,
        manifest: &Descriptor,
        with_statement: bool,
        found: &mut Vec<Attestation>,
    ) -> Result<()> {
        let bytes = self.store().read_blob(&manifest.digest, LIMIT)?;
        for descriptor in Manifest::read(&bytes, &manifest.media_type)?.layers {
            let Some(predicate) = descriptor.annotations.get(PREDICATE_TYPE).cloned() else { continue };
            let mut statement = None;
            if with_statement {
                let bytes = self.store().read_blob(&descriptor.digest, STATEMENT_LIMIT)?;
                let read = serde_json::from_slice(&bytes);
                let digest = descriptor.digest.clone();
                statement = Some(read.map_err(|source| Error::Statement { digest, source })?);
            }
            found.push(Attestation { descriptor, predicate, statement });
        }
        Ok(())
    }
}
