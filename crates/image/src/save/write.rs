//! Writing the archive that was planned.

use std::{
    io::{self, PipeReader, Write},
    thread,
};

use longshore_archive::{
    entry::{Entry, Kind},
    tar::{WriteError, Writer},
};
use longshore_types::DiffId;

use super::{
    SaveError,
    plan::{Plan, Source},
};
use crate::{Result, layer_tar};

impl Plan<'_> {
    /// Writes everything, sorted by name.
    pub(super) fn write(self, out: impl Write) -> Result<()> {
        let mut tar = Writer::new(out);
        if !self.blobs.is_empty() {
            for name in ["blobs/", "blobs/sha256/"] {
                let entry = Entry { kind: Kind::Directory, mode: 0o755, ..file(name, 0) };
                tar.entry(&entry, io::empty()).map_err(SaveError::from)?;
            }
        }
        for (digest, source) in &self.blobs {
            let name = format!("blobs/sha256/{}", digest.hex());
            match source {
                Source::Bytes(bytes) => {
                    tar.entry(&file(&name, bytes.len() as u64), bytes.as_slice()).map_err(SaveError::from)?;
                }
                Source::Store(size) => {
                    let blob = self.images.store().blob(digest)?;
                    tar.entry(&file(&name, *size), blob).map_err(SaveError::from)?;
                }
                Source::Layer(size) => self.layer_again(&DiffId(digest.clone()), |content| {
                    Ok(tar.entry(&file(&name, *size), content)?)
                })?,
            }
        }
        let documents = if self.blobs.is_empty() { Vec::new() } else { self.documents() };
        for (name, bytes) in documents {
            tar.entry(&file(name, bytes.len() as u64), bytes.as_slice()).map_err(SaveError::from)?;
        }
        tar.finish().map_err(SaveError::from)?;
        Ok(())
    }

    /// Gives the tar of a layer to `take`, and fails if it is not what its DiffID says.
    fn layer_again(
        &self,
        diff_id: &DiffId,
        take: impl FnOnce(PipeReader) -> Result<(), SaveError>,
    ) -> Result<()> {
        let store = self.images.store();
        let read = |source| SaveError::Layer { diff_id: diff_id.clone(), source };
        let (reader, mut pipe) = io::pipe().map_err(read)?;
        let (taken, written) = thread::scope(|scope| -> Result<_> {
            let writing = thread::Builder::new().name("save".to_owned());
            let writing = writing.spawn_scoped(scope, move || layer_tar::write(store, diff_id, &mut pipe));
            let writing = writing.map_err(read)?;
            let taken = take(reader);
            Ok((taken, writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        })?;
        match (taken, written) {
            // Who takes it gave up first, or else the layer could not be read.
            (Err(error @ SaveError::Write(WriteError::Write(_))), _) | (Err(error), Ok(_)) => {
                Err(error.into())
            }
            (_, Err(error)) => Err(error),
            (Ok(()), Ok(_)) => Ok(()),
        }
    }
}

/// A file of the archive: nobody's, from the beginning of time.
fn file(name: &str, size: u64) -> Entry {
    Entry { path: name.as_bytes().to_vec(), mode: 0o644, size, ..Entry::default() }
}
