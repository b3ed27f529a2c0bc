//! The service that reads logs.

use bytes::Bytes;
use tokio::{sync::watch, task::spawn_blocking};

use super::{
    Encode, Error, Query, path,
    read::Reader,
    watch::{Watched, Watcher},
};
use crate::container::{Container, Record};

/// Reads what containers wrote.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    watcher: Watcher,
}

/// What a container wrote, piece by piece.
#[derive(Debug)]
pub struct Pieces {
    reader: Option<Box<Reader>>,
    follow: Option<Follow>,
}

#[derive(Debug)]
struct Follow {
    directory: Watched,
    record: watch::Receiver<std::sync::Arc<Record>>,
    /// The start of the run that is followed.
    started: longshore_types::Timestamp,
}

impl Logs {
    /// Begins to read.
    ///
    /// # Errors
    /// Docker's refusals: no stream asked for, a container that is being removed, a driver that keeps nothing.
    pub async fn read(
        &self,
        container: &Container,
        mut query: Query,
        encode: Encode,
    ) -> Result<Pieces, Error> {
        if !query.stdout && !query.stderr {
            return Err(Error::NoStream);
        }
        let mut watch = container.watch();
        let record = watch.borrow_and_update().clone();
        if record.state.removing || matches!(record.state.phase, crate::container::Phase::Dead) {
            return Err(Error::Removed);
        }
        let base = match path(&record, container.data_dir())? {
            Some(base) if !cache_is_off(&record) => base,
            _ => return Err(Error::NotReadable),
        };
        // As in Docker what does not run is not waited for.
        query.follow &= record.state.phase.has_processes();
        let follow = if query.follow {
            // Watched before the first read, so that nothing falls between the two.
            let directory = self.watcher.watch(base.parent().unwrap_or(container.data_dir()))?;
            Some(Follow { directory, record: watch, started: record.state.started_at })
        } else {
            None
        };
        let failed_on = base.display().to_string();
        let reader = spawn_blocking(move || Reader::open(&base, query, encode)).await;
        let reader = reader.map_err(|source| Error::Task { source })?.map_err(|source| Error::Read {
            operation: "read",
            object: failed_on,
            source,
        })?;
        Ok(Pieces { reader: Some(Box::new(reader)), follow })
    }
}

impl Pieces {
    /// What comes next; `None` at the end. When it is dropped meanwhile, nothing more comes.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let mut reader = self.reader.take()?;
            // Asked before the read, which then sees all that was written until the end.
            let ended = self.follow.as_mut().is_none_or(Follow::has_ended);
            let read = spawn_blocking(move || {
                let piece = reader.next();
                (reader, piece)
            });
            let (reader, piece) = match read.await {
                Ok(read) => read,
                Err(source) => return Some(Err(Error::Task { source })),
            };
            let piece = match piece {
                Ok(piece) => piece,
                Err(source) => {
                    return Some(Err(Error::Read { operation: "read", object: "log".into(), source }));
                }
            };
            let is_over = reader.is_over() || (ended && piece.is_empty());
            if !is_over {
                self.reader = Some(reader);
            }
            if !piece.is_empty() {
                return Some(Ok(piece));
            }
            if is_over {
                return None;
            }
            self.follow.as_mut()?.wait().await;
        }
    }
}

impl Follow {
    /// Whether the run that is followed has ended: all its output is in the log then.
    fn has_ended(&mut self) -> bool {
        let record = self.record.borrow_and_update();
        !record.state.phase.has_processes() || record.state.started_at != self.started
    }

    /// Waits for output, or the end.
    async fn wait(&mut self) {
        let Self { directory, record, started } = self;
        let ended = record
            .wait_for(|record| !record.state.phase.has_processes() || record.state.started_at != *started);
        tokio::select! {
            _ = directory.changes.changed() => {}
            // An error means that the container is gone, which is the end too.
            _ = ended => {}
        }
    }
}

/// Whether output that is sent away is not kept for reading.
fn cache_is_off(record: &Record) -> bool {
    let options = record.host.log_config.config.as_ref();
    options.and_then(|options| options.get("cache-disabled")).is_some_and(|value| value == "true")
}
