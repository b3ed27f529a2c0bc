//! The log sink: where a container's output is recorded.
//!
//! [`Log`] writes with one `write(2)` for what one read of a stream brought, so that records of the two
//! streams never mix. Nothing here fails the container: an error is counted, the file is cut
//! back to its last whole record, and what could not be written is lost.

mod json;
mod rotate;
mod timestamp;

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::wire::{LogSink, LogStatus};
use json::JsonEncoder;
use rotate::RotatingFile;

pub(crate) use timestamp::now;

/// One of the two streams that are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// An open log sink.
#[derive(Debug)]
pub(crate) struct Log {
    sink: Sink,
    status: LogStatus,
}

#[derive(Debug)]
enum Sink {
    None,
    Raw(OwnedFd),
    Json(Box<JsonSink>),
}

#[derive(Debug)]
struct JsonSink {
    encoder: JsonEncoder,
    file: RotatingFile,
}

impl Log {
    /// Opens the sink over the donated descriptor. `EBADF` says that one was needed.
    pub(crate) fn open(sink: LogSink, donated: Option<OwnedFd>) -> Result<Self, Errno> {
        let sink = match (sink, donated) {
            (LogSink::None, _) => Sink::None,
            (_, None) => return Err(Errno::BADF),
            (LogSink::Raw, Some(file)) => Sink::Raw(file),
            (LogSink::Json { name, max_size, max_files, attributes }, Some(directory)) => {
                let file = RotatingFile::open(directory, name, max_size, max_files)?;
                Sink::Json(Box::new(JsonSink { encoder: JsonEncoder::new(&attributes), file }))
            }
        };
        Ok(Self { sink, status: LogStatus::default() })
    }

    /// Records what was just read from `stream`.
    pub(crate) fn append(&mut self, stream: Stream, bytes: &[u8]) {
        let result = match &mut self.sink {
            Sink::None => return,
            Sink::Raw(file) => write_all(file, bytes),
            Sink::Json(json) => {
                let mut records = Vec::with_capacity(bytes.len() + bytes.len() / 2 + 256);
                json.encoder.encode(stream, bytes, now(), &mut records);
                json.file.append(&records)
            }
        };
        self.count(bytes.len(), result);
    }

    /// Records what is left of lines that never ended, once `stream` is at its end.
    pub(crate) fn finish(&mut self, stream: Stream) {
        if let Sink::Json(json) = &mut self.sink {
            let mut records = Vec::new();
            json.encoder.finish(stream, now(), &mut records);
            let result = json.file.append(&records);
            self.count(0, result);
        }
    }

    pub(crate) fn status(&self) -> LogStatus {
        self.status
    }

    fn count(&mut self, bytes: usize, result: Result<(), Errno>) {
        match result {
            Ok(()) => self.status.written += bytes as u64,
            Err(errno) => {
                self.status.lost += bytes as u64;
                self.status.errors += 1;
                self.status.last_errno = Some(errno.raw_os_error());
            }
        }
    }
}

/// Writes all of `bytes`, going on after interruptions and short writes.
fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
