//! Messages: a header, the fixed part of their kind, then attributes, all aligned to 4 bytes.

/// Bytes of `nlmsghdr`.
pub(crate) const HEADER: usize = 16;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// The bits of an attribute's kind that are its kind.
const KIND: u16 = 0x3fff;

/// A message in the making.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Begins with a header and the fixed part.
    pub(crate) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | super::REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        let mut message = Self { bytes };
        message.pad();
        message
    }

    /// Adds an attribute.
    pub(crate) fn put(mut self, kind: u16, payload: &[u8]) -> Self {
        self.add(kind, payload);
        self
    }

    /// Adds a text with the zero behind it.
    pub(crate) fn put_name(self, kind: u16, name: &str) -> Self {
        let mut payload = name.as_bytes().to_vec();
        payload.push(0);
        self.put(kind, &payload)
    }

    /// Adds an attribute made of attributes, behind `fixed`.
    pub(crate) fn nest(mut self, kind: u16, fixed: &[u8], inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        self.bytes.extend_from_slice(fixed);
        self.pad();
        let mut message = inner(self);
        let length = u16::try_from(message.bytes.len() - start).unwrap_or(u16::MAX);
        message.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        message
    }

    fn add(&mut self, kind: u16, payload: &[u8]) {
        let length = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The finished bytes, under this number and with more flags.
    pub(crate) fn finish(mut self, sequence: u32, flags: u16) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | flags;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// The attributes in some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(&'a [u8]);

/// Reads attributes. What is cut off is left out.
pub(crate) fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes(bytes)
}

impl<'a> Attributes<'a> {
    /// The payload of the first of a kind.
    pub(crate) fn get(self, wanted: u16) -> Option<&'a [u8]> {
        self.into_iter().find(|(kind, _)| *kind == wanted).map(|(_, payload)| payload)
    }

    /// A text.
    pub(crate) fn name(self, wanted: u16) -> Option<&'a str> {
        let bytes = self.get(wanted)?;
        std::str::from_utf8(bytes.strip_suffix(b"\0").unwrap_or(bytes)).ok()
    }

    /// Four bytes, in the machine's order.
    pub(crate) fn number(self, wanted: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(self.get(wanted)?.try_into().ok()?))
    }

    /// Four bytes.
    pub(crate) fn four(self, wanted: u16) -> Option<[u8; 4]> {
        self.get(wanted)?.try_into().ok()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_at_checked(4)?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]])).checked_sub(4)?;
        let kind = u16::from_ne_bytes([head[2], head[3]]) & KIND;
        let payload = rest.get(..length)?;
        self.0 = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER, Message, attributes};

    #[test]
    fn what_is_put_is_got() {
        let message = Message::new(16, 0, &[9; 6])
            .put(1, &[1, 2, 3])
            .nest(2, &[7; 4], |inner| inner.put_name(3, "eth0"))
            .put(4, &5_u32.to_ne_bytes());
        let bytes = message.finish(77, super::super::ACK);
        assert_eq!(bytes.len(), u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize);
        assert_eq!(bytes[6], 5);
        assert_eq!(bytes[8..12], 77_u32.to_ne_bytes());
        let list = attributes(&bytes[HEADER + 8..]);
        assert_eq!(list.get(1), Some(&[1, 2, 3][..]));
        assert_eq!(list.number(4), Some(5));
        let nested = list.get(2).unwrap();
        assert_eq!(nested[..4], [7; 4]);
        assert_eq!(attributes(&nested[4..]).name(3), Some("eth0"));
        assert_eq!(list.get(9), None);
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        for bytes in [&[][..], &[1], &[0, 0, 0, 0], &[3, 0, 1, 0], &[9, 0, 1, 0, 1, 2]] {
            assert_eq!(attributes(bytes).count(), 0, "{bytes:?}");
        }
    }
}
