//! Media types of images, and what they are.

/// The media types by name (image-spec `media-types.md`; Docker's image manifest v2.2).
pub mod media_type {
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    pub const OCI_FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    pub const OCI_FOREIGN_LAYER_GZIP: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    pub const OCI_FOREIGN_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
    pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";
    pub const DOCKER_FOREIGN_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
}

use media_type as t;

/// What a request for a manifest accepts, best first.
pub const ACCEPTED: [&str; 4] = [t::OCI_INDEX, t::DOCKER_LIST, t::OCI_MANIFEST, t::DOCKER_MANIFEST];

/// How a layer claims to be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// What a media type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    OciManifest,
    DockerManifest,
    OciIndex,
    DockerList,
    OciConfig,
    DockerConfig,
    /// A file system layer; a foreign one may not be distributed and lives elsewhere.
    Layer {
        compression: Compression,
        foreign: bool,
    },
    /// Docker's first manifests, signed or not.
    Schema1,
    /// The empty object of an artifact.
    Empty,
    /// Anything else.
    Unknown,
}

impl MediaKind {
    /// What `media_type` stands for; parameters (`; charset=…`) do not count.
    #[must_use]
    pub fn of(media_type: &str) -> Self {
        let layer = |compression, foreign| Self::Layer { compression, foreign };
        match essence(media_type).as_str() {
            t::OCI_MANIFEST => Self::OciManifest,
            t::OCI_INDEX => Self::OciIndex,
            t::OCI_CONFIG => Self::OciConfig,
            t::OCI_EMPTY => Self::Empty,
            t::DOCKER_MANIFEST => Self::DockerManifest,
            t::DOCKER_LIST => Self::DockerList,
            t::DOCKER_CONFIG => Self::DockerConfig,
            t::DOCKER_SCHEMA1 | t::DOCKER_SCHEMA1_SIGNED => Self::Schema1,
            t::OCI_LAYER | t::DOCKER_LAYER => layer(Compression::None, false),
            t::OCI_LAYER_GZIP | t::DOCKER_LAYER_GZIP => layer(Compression::Gzip, false),
            t::OCI_LAYER_ZSTD | t::DOCKER_LAYER_ZSTD => layer(Compression::Zstd, false),
            t::OCI_FOREIGN_LAYER | t::DOCKER_FOREIGN_LAYER => layer(Compression::None, true),
            t::OCI_FOREIGN_LAYER_GZIP | t::DOCKER_FOREIGN_LAYER_GZIP => layer(Compression::Gzip, true),
            t::OCI_FOREIGN_LAYER_ZSTD => layer(Compression::Zstd, true),
            _ => Self::Unknown,
        }
    }

    /// An image manifest of either family.
    #[must_use]
    pub const fn is_manifest(self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest)
    }

    /// An index or manifest list.
    #[must_use]
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }

    /// The configuration of an image.
    #[must_use]
    pub const fn is_config(self) -> bool {
        matches!(self, Self::OciConfig | Self::DockerConfig)
    }

    /// A file system layer.
    #[must_use]
    pub const fn is_layer(self) -> bool {
        matches!(self, Self::Layer { .. })
    }
}

/// A media type without parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
