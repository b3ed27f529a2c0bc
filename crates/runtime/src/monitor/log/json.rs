use super::Stream;
use super::timestamp::write_rfc3339;

/// Bytes of a line in one record: a longer line is cut, as by Docker (moby
/// `daemon/logger/copier.go`), and only its last record ends in a newline.
pub(super) const MAX_RECORD: usize = 16 << 10;

/// Turns output into lines of Docker's `json-file` format:
/// `{"log":"text\n","stream":"stdout","time":"2006-01-02T15:04:05.999999999Z"}`.
///
/// Deviation: Docker cuts a long line at exactly 16 KiB and so breaks a character that
/// lies across the cut; here the cut is before the character.
#[derive(Debug)]
pub(super) struct JsonEncoder {
    /// `,"attrs":{…}` or nothing.
    attributes: Vec<u8>,
    /// Lines that have not ended yet, at most [`MAX_RECORD`] bytes each.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl JsonEncoder {
    pub(super) fn new(attributes: &[(String, String)]) -> Self {
        let mut encoded = Vec::new();
        for (index, (key, value)) in attributes.iter().enumerate() {
            encoded.extend_from_slice(if index == 0 { b",\"attrs\":{" } else { b"," });
            write_string(key.as_bytes(), &mut encoded);
            encoded.push(b':');
            write_string(value.as_bytes(), &mut encoded);
        }
        if !encoded.is_empty() {
            encoded.push(b'}');
        }
        Self { attributes: encoded, stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Appends to `out` the records that `bytes` complete.
    pub(super) fn encode(&mut self, stream: Stream, bytes: &[u8], time: u64, out: &mut Vec<u8>) {
        let mut unfinished = std::mem::take(self.unfinished(stream));
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = MAX_RECORD - unfinished.len();
            let window = &rest[..rest.len().min(room + 1)];
            if let Some(newline) = window.iter().position(|byte| *byte == b'\n') {
                let (line, after) = rest.split_at(newline + 1);
                if unfinished.is_empty() {
                    self.record(stream, line, time, out);
                } else {
                    unfinished.extend_from_slice(line);
                    self.record(stream, &unfinished, time, out);
                    unfinished = Vec::new();
                }
                rest = after;
            } else if window.len() > room {
                let (part, after) = rest.split_at(room);
                unfinished.extend_from_slice(part);
                let begun = unfinished.split_off(whole_characters(&unfinished));
                self.record(stream, &unfinished, time, out);
                unfinished = begun;
                rest = after;
            } else {
                unfinished.extend_from_slice(rest);
                rest = &[];
            }
        }
        *self.unfinished(stream) = unfinished;
    }

    /// Appends to `out` what is left of an unfinished line.
    pub(super) fn finish(&mut self, stream: Stream, time: u64, out: &mut Vec<u8>) {
        let unfinished = std::mem::take(self.unfinished(stream));
        if !unfinished.is_empty() {
            self.record(stream, &unfinished, time, out);
        }
    }

    fn unfinished(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn record(&self, stream: Stream, text: &[u8], time: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"log\":");
        write_string(text, out);
        out.extend_from_slice(b",\"stream\":\"");
        out.extend_from_slice(stream.name().as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.attributes);
        out.extend_from_slice(b",\"time\":\"");
        write_rfc3339(time, out);
        out.extend_from_slice(b"\"}\n");
    }
}

/// How much of `text` there is before a character that has only begun; all of it when what is at
/// its end is not UTF-8 anyway.
fn whole_characters(text: &[u8]) -> usize {
    let tail = &text[text.len().saturating_sub(3)..];
    let Some(back) = tail.iter().rev().position(|byte| byte & 0xC0 != 0x80) else { return text.len() };
    let start = text.len() - 1 - back;
    let length = match text[start] {
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0.. => 4,
        _ => 1,
    };
    if start + length > text.len() { start } else { text.len() }
}

/// Appends `bytes` as a JSON string the way Go's encoder and so Docker writes it: `<`, `>`, `&`,
/// U+2028 and U+2029 escaped, what is not UTF-8 replaced by U+FFFD.
fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        let text = chunk.valid().as_bytes();
        let mut copied = 0;
        for (at, byte) in text.iter().enumerate() {
            let (escape, length): (&[u8], usize) = match byte {
                b'"' => (b"\\\"", 1),
                b'\\' => (b"\\\\", 1),
                b'\n' => (b"\\n", 1),
                b'\r' => (b"\\r", 1),
                b'\t' => (b"\\t", 1),
                0..0x20 | b'<' | b'>' | b'&' => (&[], 1),
                0xE2 if text[at..].starts_with(b"\xE2\x80\xA8") => (b"\\u2028", 3),
                0xE2 if text[at..].starts_with(b"\xE2\x80\xA9") => (b"\\u2029", 3),
                _ => continue,
            };
            out.extend_from_slice(&text[copied..at]);
            if escape.is_empty() {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            } else {
                out.extend_from_slice(escape);
            }
            copied = at + length;
        }
        out.extend_from_slice(&text[copied..]);
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{JsonEncoder, MAX_RECORD};
    use crate::monitor::log::Stream;

    fn encode(parts: &[&[u8]], attributes: &[(String, String)]) -> String {
        let mut encoder = JsonEncoder::new(attributes);
        let mut out = Vec::new();
        for part in parts {
            encoder.encode(Stream::Stdout, part, 0, &mut out);
        }
        encoder.finish(Stream::Stdout, 0, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn texts(parts: &[&[u8]]) -> Vec<String> {
        encode(parts, &[])
            .lines()
            .map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                value["log"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn a_line_is_one_record() {
        let time = ",\"time\":\"1970-01-01T00:00:00Z\"}\n";
        assert_eq!(
            encode(&[b"a", b"b\nc"], &[]),
            format!(
                "{{\"log\":\"ab\\n\",\"stream\":\"stdout\"{time}{{\"log\":\"c\",\"stream\":\"stdout\"{time}"
            )
        );
        let attributes = [("a".to_owned(), "\"".to_owned()), ("b".to_owned(), "2".to_owned())];
        assert_eq!(
            encode(&[b"x\n"], &attributes),
            format!(
                "{{\"log\":\"x\\n\",\"stream\":\"stdout\",\"attrs\":{{\"a\":\"\\\"\",\"b\":\"2\"}}{time}"
            ),
        );
    }

    #[test]
    fn escapes_as_go_does() {
        let out = encode(&["<&>\u{1}\u{2028}\u{2029}é\\\"\t\r\n".as_bytes()], &[]);
        assert!(out.starts_with(r#"{"log":"\u003c\u0026\u003e\u0001\u2028\u2029é\\\"\t\r\n","#), "{out}");
        assert!(encode(&[b"\xFF\xE2\x80a"], &[]).starts_with(r#"{"log":"\ufffd\ufffd\ufffda","#));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let full = vec![b'x'; MAX_RECORD];
        assert_eq!(texts(&[&full, b"\n"]), [format!("{}\n", "x".repeat(MAX_RECORD))]);
        assert_eq!(texts(&[&full, b"y\n"]), ["x".repeat(MAX_RECORD), "y\n".to_owned()]);
        let euro = format!("{}€\n", "x".repeat(MAX_RECORD - 2));
        assert_eq!(texts(&[euro.as_bytes()]), ["x".repeat(MAX_RECORD - 2), "€\n".to_owned()]);
        let (head, tail) = euro.as_bytes().split_at(MAX_RECORD - 1);
        assert_eq!(texts(&[head, tail]).concat(), euro);
    }

    proptest! {
        #[test]
        fn text_comes_back_however_it_was_cut(text in "(?s).{0,200}|(a|€|😀|\n){0,9000}", at in 0_usize..40_000) {
            let bytes = text.as_bytes();
            let (head, tail) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(texts(&[head, tail]).concat(), text);
        }

        #[test]
        fn any_bytes_make_valid_json(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..20)) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            texts(&parts);
        }
    }
}
