use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use longshore_types::Kind;
use rustix::fs::OFlags;
use serde::de::DeserializeOwned;

use super::Spec;

/// The largest `config.json` read, in bytes: far above any real one, far below trouble.
pub const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// Why a JSON document (spec, process, resources) could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} is larger than {MAX_CONFIG_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("{}: field `{field}`", path.display())]
    Field { path: PathBuf, field: String, source: serde_json::Error },
    #[error("{} is no valid JSON", path.display())]
    Syntax { path: PathBuf, source: serde_json::Error },
}

impl LoadError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::NotFound,
            Self::Read { .. } => Kind::Internal,
            Self::NotAFile { .. } | Self::TooLarge { .. } | Self::Field { .. } | Self::Syntax { .. } => {
                Kind::InvalidInput
            }
        }
    }
}

/// Loads a bundle's `config.json`.
pub fn load(path: &Path) -> Result<Spec, LoadError> {
    let read_error = |source| LoadError::Read { path: path.into(), source };
    // Opening a FIFO must not wait for a writer.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(read_error)?;
    let metadata = file.metadata().map_err(read_error)?;
    if !metadata.is_file() {
        return Err(LoadError::NotAFile { path: path.into() });
    }
    let mut text = Vec::with_capacity(usize::try_from(metadata.len().min(MAX_CONFIG_BYTES)).unwrap_or(0) + 1);
    file.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut text).map_err(read_error)?;
    if text.len() as u64 > MAX_CONFIG_BYTES {
        return Err(LoadError::TooLarge { path: path.into() });
    }
    parse(path, &text)
}

/// Parses the JSON `text` read from `path`, which only names it in errors.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, LoadError> {
    // The plain parser first: tracking the path of every field costs a third more.
    if let Ok(value) = serde_json::from_slice(text) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let tracked: Result<T, _> = serde_path_to_error::deserialize(&mut deserializer);
    match tracked {
        Err(error) if !error.inner().is_data() => {
            Err(LoadError::Syntax { path: path.into(), source: error.into_inner() })
        }
        Err(error) => Err(LoadError::Field {
            path: path.into(),
            field: error.path().to_string(),
            source: error.into_inner(),
        }),
        // Only what follows the document can be wrong now.
        Ok(value) => match deserializer.end() {
            Ok(()) => Ok(value),
            Err(source) => Err(LoadError::Syntax { path: path.into(), source }),
        },
    }
}
