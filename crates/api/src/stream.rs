//! Streams on the wire: output of two kinds in one stream, and lines of JSON.
//!
//! Where a process has no terminal, its output comes as frames: one byte that says of what kind it is, three zeroes,
//! the length in four bytes (big-endian), and so many bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;

/// The media type of frames (API 1.42 and newer).
pub const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
/// The media type of what comes as it is; before API 1.42, of frames too.
pub const RAW: &str = "application/vnd.docker.raw-stream";
/// The bytes before each frame's.
pub const HEADER: usize = 8;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    Stdin = 0,
    Stdout = 1,
    Stderr = 2,
    /// An error of the daemon's own, at the end.
    System = 3,
}

/// The bytes before a frame of this length.
#[must_use]
pub fn header(stream: Stream, length: u32) -> [u8; HEADER] {
    let [a, b, c, d] = length.to_be_bytes();
    [stream as u8, 0, 0, 0, a, b, c, d]
}

/// A frame. What is longer than a length can say is several.
#[must_use]
pub fn frame(stream: Stream, bytes: &[u8]) -> Bytes {
    let mut frames = BytesMut::with_capacity(bytes.len() + HEADER);
    for piece in bytes.chunks(u32::MAX as usize) {
        frames.put_slice(&header(stream, u32::try_from(piece.len()).unwrap_or(u32::MAX)));
        frames.put_slice(piece);
    }
    frames.freeze()
}

/// Why a stream has no frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame begins with {0}, which names no stream")]
    Stream(u8),
}

/// Takes frames apart, however their bytes come.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
    /// Of the frame that is under way: what it carries, and how much is to come.
    current: Option<(Stream, usize)>,
}

impl Frames {
    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece of a frame, as far as it has come: never more than was pushed, whatever a header says.
    pub fn next_piece(&mut self) -> Result<Option<(Stream, Bytes)>, FrameError> {
        loop {
            if let Some((stream, left)) = self.current {
                let length = left.min(self.buffer.len());
                if length == 0 && left > 0 {
                    return Ok(None);
                }
                self.current = (left > length).then_some((stream, left - length));
                if length == 0 {
                    continue;
                }
                return Ok(Some((stream, self.buffer.split_to(length).freeze())));
            }
            if self.buffer.len() < HEADER {
                return Ok(None);
            }
            let stream = match self.buffer.get_u32().to_be_bytes()[0] {
                0 => Stream::Stdin,
                1 => Stream::Stdout,
                2 => Stream::Stderr,
                3 => Stream::System,
                other => return Err(FrameError::Stream(other)),
            };
            self.current = Some((stream, self.buffer.get_u32() as usize));
        }
    }
}

/// A document and the end of its line, as events and statistics are sent.
pub fn line<T: Serialize>(document: &T) -> Result<Bytes, serde_json::Error> {
    let mut text = serde_json::to_vec(document)?;
    text.push(b'\n');
    Ok(text.into())
}

/// A document and the end of its line, as progress is sent.
pub fn progress_line<T: Serialize>(document: &T) -> Result<Bytes, serde_json::Error> {
    let mut text = serde_json::to_vec(document)?;
    text.extend_from_slice(b"\r\n");
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_is_dockers() {
        assert_eq!(&frame(Stream::Stderr, b"hi\n")[..], b"\x02\0\0\0\0\0\0\x03hi\n");
        assert_eq!(&frame(Stream::Stdout, b"")[..], b"");
    }

    #[test]
    fn a_header_of_4_gib_takes_no_memory() {
        let mut frames = Frames::default();
        frames.push(&header(Stream::Stdout, u32::MAX));
        frames.push(b"x");
        assert_eq!(frames.next_piece(), Ok(Some((Stream::Stdout, Bytes::from_static(b"x")))));
        assert_eq!(frames.next_piece(), Ok(None));
        frames.push(b"\xff");
        assert!(frames.buffer.capacity() < 4096);
    }

    #[test]
    fn what_is_no_frame_is_told() {
        let mut frames = Frames::default();
        frames.push(b"HTTP/1.1 200 OK");
        assert_eq!(frames.next_piece(), Err(FrameError::Stream(b'H')));
    }

    proptest! {
        #[test]
        fn frames_come_apart_wherever_they_are_cut(
            pieces in prop::collection::vec((1u8..3, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
            cut in 1usize..20,
        ) {
            let mut wire = Vec::new();
            let mut expected = [Vec::new(), Vec::new()];
            for (stream, bytes) in &pieces {
                let kind = if *stream == 1 { Stream::Stdout } else { Stream::Stderr };
                wire.extend_from_slice(&frame(kind, bytes));
                expected[usize::from(*stream) - 1].extend_from_slice(bytes);
            }
            let mut frames = Frames::default();
            let mut found = [Vec::new(), Vec::new()];
            for part in wire.chunks(cut) {
                frames.push(part);
                while let Some((stream, bytes)) = frames.next_piece().expect("frames") {
                    found[stream as usize - 1].extend_from_slice(&bytes);
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
