//! Images as OCI layouts, for skopeo to push.

use std::{fs, path::Path};

use longshore_types::oci::{Descriptor, media_type};
use serde_json::json;

/// An image in a directory, tagged `latest`.
pub(crate) struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    /// Descriptors and contents of the layers.
    pub(crate) layers: Vec<(Descriptor, Vec<u8>)>,
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

impl Image {
    /// An image whose layers are noise of these lengths.
    pub(crate) fn of_noise(lengths: &[usize]) -> Self {
        let layers: Vec<_> = lengths
            .iter()
            .enumerate()
            .map(|(number, length)| {
                let content = noise(number as u64, *length);
                (Descriptor::of(media_type::OCI_LAYER, &content), content)
            })
            .collect();
        let diff_ids: Vec<_> = layers.iter().map(|(layer, _)| layer.digest.clone()).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": Descriptor::of(media_type::OCI_CONFIG, &config),
            "layers": layers.iter().map(|(layer, _)| layer).collect::<Vec<_>>(),
        });
        Self { manifest: manifest.to_string().into_bytes(), config, layers }
    }

    /// The descriptor of its manifest.
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::of(media_type::OCI_MANIFEST, &self.manifest)
    }

    /// Writes it as an OCI layout.
    pub(crate) fn write(&self, dir: &Path) {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("a directory");
        let contents = self.layers.iter().map(|(_, content)| content).chain([&self.manifest, &self.config]);
        for content in contents {
            let digest = longshore_types::Digest::of(content);
            fs::write(blobs.join(digest.hex()), content).expect("write");
        }
        let mut entry = serde_json::to_value(self.descriptor()).expect("JSON");
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        fs::write(dir.join("index.json"), index.to_string()).expect("write");
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write");
    }
}
