//! D-Bus messages (D-Bus specification, "Marshaling"), as far as talking to systemd needs them.
//!
//! Little-endian alone; no descriptors, no nesting beyond a unit's properties.

use serde::{Deserialize, Serialize};

/// The largest message that is read, in bytes. Systemd's answers have a few hundred.
pub(super) const MAX_MESSAGE: usize = 1 << 20;

/// The fixed part of a message's head.
pub(super) const HEAD: usize = 16;

pub(super) const CALL: u8 = 1;
pub(super) const RETURN: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const SIGNAL: u8 = 4;

/// The value of a unit's property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cgroup) enum Value {
    Bool(bool),
    Number(u64),
    /// A signal's number.
    Signal(i32),
    Text(String),
    /// PIDs.
    Numbers(Vec<u32>),
    /// A mask of CPUs or memory nodes.
    Bytes(Vec<u8>),
    /// Names of units, or paths.
    Texts(Vec<String>),
    /// `DeviceAllow`: node or group, and access.
    Pairs(Vec<(String, String)>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::Number(_) => "t",
            Self::Signal(_) => "i",
            Self::Texts(_) => "as",
            Self::Text(_) => "s",
            Self::Numbers(_) => "au",
            Self::Bytes(_) => "ay",
            Self::Pairs(_) => "a(ss)",
        }
    }
}

/// A body, or a whole message, in the making.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.u32(value.into());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.u32(length(text.len()));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// An array of elements that begin at multiples of `to`.
    fn array(&mut self, to: usize, write: impl FnOnce(&mut Self)) {
        self.u32(0);
        let at = self.0.len() - 4;
        self.align(to);
        let begin = self.0.len();
        write(self);
        let size = length(self.0.len() - begin);
        self.0[at..at + 4].copy_from_slice(&size.to_le_bytes());
    }

    /// `a(sv)`: the properties of a unit.
    pub(super) fn properties(&mut self, properties: &[(String, Value)]) {
        self.array(8, |out| {
            for (name, value) in properties {
                out.align(8);
                out.text(name);
                out.signature(value.signature());
                out.value(value);
            }
        });
    }

    /// `a(sa(sv))` without elements: no further units.
    pub(super) fn no_units(&mut self) {
        self.array(8, |_| {});
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => self.bool(*value),
            Value::Number(value) => {
                self.align(8);
                self.0.extend(value.to_le_bytes());
            }
            Value::Signal(number) => self.u32(number.cast_unsigned()),
            Value::Texts(texts) => self.array(4, |out| texts.iter().for_each(|text| out.text(text))),
            Value::Text(text) => self.text(text),
            Value::Numbers(numbers) => self.array(4, |out| numbers.iter().for_each(|n| out.u32(*n))),
            Value::Bytes(bytes) => self.array(1, |out| out.0.extend(bytes)),
            Value::Pairs(pairs) => self.array(8, |out| {
                for (first, second) in pairs {
                    out.align(8);
                    out.text(first);
                    out.text(second);
                }
            }),
        }
    }
}

fn length(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// A method call's whole message.
pub(super) fn call(serial: u32, to: &Method<'_>, signature: &str, body: &Writer) -> Vec<u8> {
    let mut out = Writer(vec![b'l', CALL, 0, 1]);
    out.u32(length(body.0.len()));
    out.u32(serial);
    out.array(8, |out| {
        for (code, kind, text) in
            [(1, "o", to.path), (2, "s", to.interface), (3, "s", to.name), (6, "s", to.destination)]
        {
            out.align(8);
            out.0.push(code);
            out.signature(kind);
            out.text(text);
        }
        if !signature.is_empty() {
            out.align(8);
            out.0.push(8);
            out.signature("g");
            out.signature(signature);
        }
    });
    out.align(8);
    out.0.extend(&body.0);
    out.0
}

/// What to call.
#[derive(Debug)]
pub(super) struct Method<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) name: &'a str,
}

/// A message that was received, as far as it is understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) reply_to: u32,
    /// The method or signal, or an error's name.
    pub(super) name: String,
    body: Vec<u8>,
}

/// The size of a message whose first [`HEAD`] bytes are `head`; `None` for no such message.
pub(super) fn size(head: &[u8; HEAD]) -> Option<usize> {
    let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let (body, fields) = (usize::try_from(number(4)?).ok()?, usize::try_from(number(12)?).ok()?);
    let size = HEAD.checked_add(fields)?.checked_next_multiple_of(8)?.checked_add(body)?;
    (head[0] == b'l' && size <= MAX_MESSAGE).then_some(size)
}

impl Message {
    /// Reads a whole message; `None` for a malformed one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 12 };
        let mut message = Self { kind: *bytes.get(1)?, ..Self::default() };
        let fields = usize::try_from(reader.u32()?).ok()?.checked_add(HEAD)?;
        while reader.at < fields {
            reader.align(8);
            let code = reader.byte()?;
            let kind = reader.signature()?;
            match (code, kind) {
                (3 | 4, "s") => message.name = reader.text()?.to_owned(),
                (5, "u") => message.reply_to = reader.u32()?,
                (_, "s" | "o") => drop(reader.text()?),
                (_, "g") => drop(reader.signature()?),
                (_, "u") => drop(reader.u32()?),
                _ => return None,
            }
        }
        reader.at = fields.checked_next_multiple_of(8)?;
        message.body = bytes.get(reader.at..)?.to_vec();
        Some(message)
    }

    /// The body's arguments, read one by one.
    pub(super) fn arguments(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0 }
    }
}

/// Reads values off a body or head; every step ends in `None` at the end of the bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A string or an object path.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let size = usize::try_from(self.u32()?).ok()?;
        let text = self.take(size)?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }

    fn signature(&mut self) -> Option<&'a str> {
        let size = self.byte()?;
        let text = self.take(size.into())?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CALL, HEAD, Message, Method, Value, Writer, call, size};

    const STOP: Method<'_> = Method { destination: "a.b", path: "/a", interface: "a.b.C", name: "Do" };

    #[test]
    fn a_call_reads_back() {
        let mut body = Writer::default();
        body.text("x.scope");
        body.u32(7);
        let bytes = call(3, &STOP, "su", &body);
        assert_eq!(size(bytes[..HEAD].try_into().unwrap()), Some(bytes.len()));
        let message = Message::read(&bytes).unwrap();
        assert_eq!((message.kind, &*message.name), (CALL, "Do"));
        let mut arguments = message.arguments();
        assert_eq!((arguments.text(), arguments.u32(), arguments.u32()), (Some("x.scope"), Some(7), None));
    }

    #[test]
    fn properties_as_the_specification_has_them() {
        let mut body = Writer::default();
        body.properties(&[("A".into(), Value::Bool(true)), ("Bc".into(), Value::Bytes(vec![3]))]);
        let expected: &[u8] = &[
            0x21, 0, 0, 0, 0, 0, 0, 0, // size of the array, padding to a struct
            1, 0, 0, 0, b'A', 0, 1, b'b', 0, 0, 0, 0, 1, 0, 0, 0, // "A", variant b, true
            2, 0, 0, 0, b'B', b'c', 0, 2, b'a', b'y', 0, 0, 1, 0, 0, 0, 3, // "Bc", variant ay
        ];
        assert_eq!(body.0, expected);
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_no_message(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Message::read(&bytes);
            if bytes.len() >= HEAD {
                bytes[0] = b'l';
                size(bytes[..HEAD].try_into().unwrap());
            }
        }
    }
}
