//! Messages in a buffer: the length of the acknowledgement that is waited for, that of the message, both.
//!
//! Invariant: a buffer holds whole frames; only this module writes them.

/// A message that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// What the other side names when it has the message; empty when it does not say so.
    pub(super) ack: &'a [u8],
    pub(super) message: &'a [u8],
}

/// Appends a message.
pub(super) fn push(out: &mut Vec<u8>, ack: &[u8], message: &[u8]) {
    for part in [ack, message] {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    out.extend_from_slice(ack);
    out.extend_from_slice(message);
}

/// All messages of a buffer.
pub(super) fn all(mut bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || {
        let (ack, rest) = bytes.split_first_chunk()?;
        let (message, rest) = rest.split_first_chunk()?;
        let length = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).unwrap_or(usize::MAX);
        let (ack, rest) = rest.split_at_checked(length(ack))?;
        let (message, rest) = rest.split_at_checked(length(message))?;
        bytes = rest;
        Some(Frame { ack, message })
    })
}

#[cfg(test)]
mod tests {
    use super::{Frame, all, push};

    #[test]
    fn what_is_pushed_comes_back() {
        let mut out = Vec::new();
        push(&mut out, b"", b"one");
        push(&mut out, b"id", b"");
        let frames: Vec<Frame<'_>> = all(&out).collect();
        assert_eq!(frames, [Frame { ack: b"", message: b"one" }, Frame { ack: b"id", message: b"" }]);
        assert_eq!(all(&out[..out.len() - 1]).count(), 1);
    }
}
