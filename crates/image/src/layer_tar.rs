//! The tar of a layer that is here, byte for byte as its DiffID says.
//!
//! From the best form there is: a blob, a recipe with the layer's directory, or the directory alone, which gives the
//! same bytes for what was made here. The digest decides whether it was right.

use std::{
    io::{self, BufReader, Write},
    os::fd::AsFd,
};

use longshore_archive::{
    compress::{Decoder, MAGIC_BYTES, detect},
    diff,
    limits::Limits,
    recipe,
};
use longshore_store::{Form, FormKind, Store};
use longshore_types::{Algorithm, DiffId, Hasher, Kind};

use crate::{Error, Result};

/// Bytes read at once of a blob.
const READ: usize = 256 << 10;

/// Writes the tar of a layer, and returns its length. What was written is only good if this succeeds.
pub(crate) fn write(store: &Store, diff_id: &DiffId, out: &mut impl Write) -> Result<u64> {
    let layer = store
        .layer(diff_id)?
        .ok_or_else(|| longshore_store::Error::NoSuchLayer { diff_id: diff_id.clone() })?;
    let mut out = Hashed { out, hasher: Hasher::new(Algorithm::Sha256), bytes: 0 };
    let written = match best_form(store, &layer.facts.forms)? {
        Some(form) if form.kind == FormKind::Compressed => from_blob(store, form, &mut out),
        Some(form) => {
            let recipe = BufReader::with_capacity(READ, store.blob(&form.digest)?);
            let directory = store.open_layer(diff_id)?;
            let rebuilt = recipe::rebuild(recipe, directory.as_fd(), &mut out);
            rebuilt.map(drop).map_err(|error| failure(error.kind(), error))
        }
        None => {
            let directory = store.open_layer(diff_id)?;
            let written = diff::write_layer(directory.as_fd(), &mut out);
            written.map(drop).map_err(|error| failure(error.kind(), error))
        }
    };
    let failed = |source| Error::LayerTar { layer: diff_id.clone(), source };
    written.map_err(failed)?;
    let found = DiffId(out.hasher.finish());
    if found != *diff_id {
        let text = format!("what is here makes {found}");
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, text)));
    }
    Ok(out.bytes)
}

/// A failure that says whether the disk was full.
fn failure(kind: Kind, error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    match kind {
        Kind::ResourceExhausted => io::Error::new(io::ErrorKind::StorageFull, error),
        _ => io::Error::other(error),
    }
}

/// The form that is the least work.
fn best_form<'f>(store: &Store, forms: &'f [Form]) -> Result<Option<&'f Form>> {
    let mut best: Option<&Form> = None;
    for form in forms {
        let better =
            best.is_none_or(|best| best.kind == FormKind::Recipe && form.kind == FormKind::Compressed);
        if better && store.has_blob(&form.digest)? {
            best = Some(form);
        }
    }
    Ok(best)
}

fn from_blob(store: &Store, form: &Form, out: &mut impl Write) -> io::Result<()> {
    use std::io::BufRead;
    let blob = store.blob(&form.digest).map_err(io::Error::other)?;
    let mut blob = BufReader::with_capacity(READ, blob);
    // A buffer of a file: it has the first bytes if there are any.
    let head = blob.fill_buf()?;
    let compression = detect(&head[..head.len().min(MAGIC_BYTES)]);
    let mut decoder = Decoder::new(blob, compression, &Limits::default())?;
    io::copy(&mut decoder, out).map(drop)
}

struct Hashed<'w, W> {
    out: &'w mut W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> Write for Hashed<'_, W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let length = self.out.write(piece)?;
        self.hasher.update(&piece[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
