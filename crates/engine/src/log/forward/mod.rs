//! Sending what containers write to where their log drivers say.
//!
//! The monitor writes every container's output to files here, whatever the driver, and waits for nobody. For each
//! container whose driver sends away there is one task: it reads those files from the place that was reached, sends
//! what comes, and notes how far it has come. So a daemon that ends, or a collector that is not there, holds no
//! container up, and memory holds one batch; what has not been sent is on the disk for as long as rotation leaves it.
//!
//! Invariants: records are sent in the order of the file; each at least once, unless the files went round before it
//! could be sent or the options limit the attempts.

mod cursor;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, task::spawn_blocking};

pub(super) use cursor::Place;

use super::{
    Driver, Error, Query,
    read::Reader,
    remote::{Connection, Facts, Remote},
    watch::Watcher,
};
use crate::container::{Container, Record};
use cursor::Cursor;

/// How long a removal waits for what has not been sent, as in Docker.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest time between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Those whose output is sent away.
#[derive(Clone, Debug, Default)]
pub struct Forwards {
    watcher: Watcher,
    /// By ID: how many runs' output has been sent whole, while none is under way.
    tasks: Arc<Mutex<HashMap<String, watch::Receiver<Option<u64>>>>>,
}

/// Why sending stops for now.
enum Stop {
    /// All that the runs until now wrote has been sent.
    Done,
    Removed,
    Failed(Error),
}

impl Forwards {
    /// Sends what a container wrote and writes, until it is removed. Does nothing for a driver that keeps output here,
    /// or when that is done already.
    pub fn begin(&self, container: &Container) {
        let forwards = Driver::named(&container.record().host.log_config.kind).is_ok_and(Driver::forwards);
        if !forwards {
            return;
        }
        let id = container.id().to_string();
        let mut tasks = self.tasks();
        if tasks.contains_key(&id) {
            return;
        }
        let sent = watch::Sender::new(None);
        tasks.insert(id.clone(), sent.subscribe());
        drop(tasks);
        let (this, container) = (self.clone(), container.clone());
        tokio::spawn(async move {
            this.run(&container, &sent).await;
            this.tasks().remove(&id);
        });
    }

    /// Waits until all output of a container that has ended is sent, for a limited time.
    pub async fn finish(&self, container: &Container) {
        let Some(mut sent) = self.tasks().get(container.id().as_str()).cloned() else { return };
        let ends = container.record().state.ends;
        let done = sent.wait_for(|sent| sent.is_some_and(|sent| sent >= ends));
        match tokio::time::timeout(PATIENCE, done).await {
            // An error means that the task is over.
            Ok(_) => {}
            Err(_) => {
                tracing::warn!(id = %container.id(), "it is removed before all its output could be sent")
            }
        }
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<u64>>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, container: &Container, sent: &watch::Sender<Option<u64>>) {
        let mut watch = container.watch();
        loop {
            let stop = self.forward(container, sent).await;
            match stop {
                Stop::Done => {}
                Stop::Removed => return,
                Stop::Failed(error) => {
                    let id = container.id();
                    tracing::error!(%id, error = crate::line(&error), "cannot send its output to where it should go");
                    // Nobody is to wait for what does not come.
                    sent.send_replace(Some(container.record().state.ends));
                }
            }
            let ends = container.record().state.ends;
            let next = watch.wait_for(|record| {
                record.state.removed || record.state.phase.has_processes() || record.state.ends > ends
            });
            match next.await {
                Ok(record) if !record.state.removed => {}
                _ => return,
            }
        }
    }

    /// Sends until the container has ended and all is sent.
    async fn forward(&self, container: &Container, sent: &watch::Sender<Option<u64>>) -> Stop {
        match self.try_forward(container, sent).await {
            Ok(stop) => stop,
            Err(_) if container.record().state.removed => Stop::Removed,
            Err(error) => Stop::Failed(error),
        }
    }

    async fn try_forward(
        &self,
        container: &Container,
        sent: &watch::Sender<Option<u64>>,
    ) -> Result<Stop, Error> {
        let mut record = container.watch();
        let now = record.borrow_and_update().clone();
        let Some(source) = Source::open(container, &now).await? else {
            sent.send_replace(Some(now.state.ends));
            return Ok(Stop::Done);
        };
        let Source { remote, directory, mut reader, mut cursor } = source;
        let mut changes = self.watcher.watch(&directory)?;
        let mut delivery = Delivery { connection: None, remote, container: container.clone() };
        loop {
            // Asked before the read, which then sees all that was written until the end.
            let (has_ended, ends) = ended(&record.borrow_and_update());
            let read = spawn_blocking(move || {
                let read = cursor.save(reader.place()).and_then(|()| reader.next());
                (reader, cursor, read)
            });
            let (read_on, kept, piece) = read.await.map_err(|source| Error::Task { source })?;
            (reader, cursor) = (read_on, kept);
            let piece = piece.map_err(|source| Error::Read {
                operation: "read",
                object: directory.display().to_string(),
                source,
            })?;
            if !piece.is_empty() {
                if delivery.deliver(&piece, &mut record).await.is_none() {
                    return Ok(Stop::Removed);
                }
                continue;
            }
            if has_ended {
                cursor.save(reader.place()).ok();
                sent.send_replace(Some(ends));
                return Ok(Stop::Done);
            }
            tokio::select! {
                _ = changes.changes.changed() => {}
                changed = record.wait_for(|record| ended(record).0) => {
                    if changed.is_err() {
                        return Ok(Stop::Removed);
                    }
                }
            }
        }
    }
}

/// Whether nothing runs, and how many runs there were.
fn ended(record: &Record) -> (bool, u64) {
    (!record.state.phase.has_processes(), record.state.ends)
}

/// What is sent, and from where on.
struct Source {
    remote: Remote,
    directory: std::path::PathBuf,
    reader: Box<Reader>,
    cursor: Cursor,
}

impl Source {
    /// `None` where the container has never run.
    async fn open(container: &Container, record: &Record) -> Result<Option<Self>, Error> {
        let driver = Driver::named(&record.host.log_config.kind)?;
        let options = record.host.log_config.config.clone().unwrap_or_default();
        let Some(base) = super::path(record, container.data_dir())? else { return Ok(None) };
        let directory = base.parent().unwrap_or(container.data_dir()).to_owned();
        let Some(remote) = Remote::read(driver, &options)? else { return Ok(None) };
        let mut encoder = remote.encoder(&Facts::of(record)?);
        let data_dir = container.data_dir().to_owned();
        let failed_on = directory.display().to_string();
        let opened = spawn_blocking(move || {
            if !directory.is_dir() {
                return Ok(None);
            }
            let cursor = Cursor::open(&data_dir)?;
            let query = Query { stdout: true, stderr: true, follow: true, ..Query::default() };
            let encode = Box::new(move |line: &super::Line<'_>, out: &mut Vec<u8>| encoder.encode(line, out));
            let reader = Box::new(Reader::open_at(&base, cursor.place(), query, encode)?);
            Ok(Some(Self { remote, directory, reader, cursor }))
        });
        let opened = opened.await.map_err(|source| Error::Task { source })?;
        opened.map_err(|source| Error::Read { operation: "open", object: failed_on, source })
    }
}

/// The way to a collector.
struct Delivery {
    connection: Option<Connection>,
    remote: Remote,
    container: Container,
}

impl Delivery {
    /// Sends a batch, however long that takes. `None` when the container was removed before.
    async fn deliver(&mut self, piece: &Bytes, record: &mut watch::Receiver<Arc<Record>>) -> Option<()> {
        let id = self.container.id().to_string();
        let mut wait = self.remote.retry.wait;
        let mut attempts = 0_u32;
        loop {
            let removed = record.wait_for(|record| record.state.removed);
            let tried = tokio::select! {
                tried = Self::attempt(&mut self.connection, &self.remote, piece) => tried,
                _ = removed => return None,
            };
            let Err(error) = tried else {
                if attempts > 0 {
                    tracing::info!(id, attempts, "its output is sent on");
                }
                return Some(());
            };
            self.connection = None;
            if attempts == 0 {
                tracing::warn!(
                    id,
                    error = crate::line(&error),
                    "its output cannot be sent; it is tried again"
                );
            }
            attempts += 1;
            if self.remote.retry.most.is_some_and(|most| attempts > most) {
                tracing::warn!(id, attempts, "output is given up that could not be sent");
                return Some(());
            }
            let removed = record.wait_for(|record| record.state.removed);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = removed => return None,
            }
            wait = (wait * 3 / 2).min(LONGEST_WAIT.max(self.remote.retry.wait));
        }
    }

    async fn attempt(
        connection: &mut Option<Connection>,
        remote: &Remote,
        piece: &Bytes,
    ) -> std::io::Result<()> {
        let kept = connection.take().and_then(|mut kept| (!kept.is_spent()).then_some(kept));
        let mut open = match kept {
            Some(kept) => kept,
            None => Connection::open(remote).await?,
        };
        open.send(piece).await?;
        *connection = Some(open);
        Ok(())
    }
}
