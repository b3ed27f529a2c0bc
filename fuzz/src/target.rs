//! What is done with an input. A target returns whether it was taken, and panics when a promise is broken.

use longshore_archive::compress::{Compression, Decoder, detect};
use longshore_archive::limits::Limits;
use longshore_archive::recipe::Recorder;
use longshore_archive::tar::{Reader, Writer};
use longshore_network::dns::{Answer, Code, Query, Response, age};
use longshore_types::Reference;
use longshore_types::oci::{ImageConfig, Index, Manifest};
use std::io::{self, Read};

/// A parser of what others wrote.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its directory in the corpus.
    pub name: &'static str,
    pub run: fn(&[u8]) -> bool,
}

/// All targets. A new one needs an entry here and a directory in `corpus/`.
pub const TARGETS: &[Target] = &[
    Target { name: "tar", run: tar },
    Target { name: "compress", run: compress },
    Target { name: "manifest", run: manifest },
    Target { name: "config", run: config },
    Target { name: "reference", run: reference },
    Target { name: "dns", run: dns },
];

fn limits() -> Limits {
    Limits { archive_bytes: 16 << 20, padding_bytes: 1 << 20, window_bytes: 8 << 20, ..Limits::default() }
}

/// Reads an archive. What is taken is written and read again, and must be the same.
fn tar(input: &[u8]) -> bool {
    let mut recorder = Recorder::new(input, io::sink(), &limits()).expect("a recorder");
    let mut reader = Reader::new(&mut recorder, &limits());
    let mut writer = Writer::new(Vec::new());
    let mut entries = Vec::new();
    loop {
        match reader.next() {
            Ok(None) => break,
            Err(error) => {
                assert!(error.to_string().len() < 2000, "a long message: {error}");
                return false;
            }
            Ok(Some(entry)) => {
                assert!(!entry.path.is_empty() && !entry.path.contains(&0), "{entry:?}");
                assert!(entry.mode <= 0o7777 && entry.modified.1 < 1_000_000_000, "{entry:?}");
                if entry.sparse.is_none() && entry.size < 1 << 20 && writer.entry(&entry, &mut reader).is_ok()
                {
                    entries.push(entry);
                }
            }
        }
    }
    assert_eq!(reader.offset(), input.len() as u64, "bytes were left over");
    recorder.finish().expect("what is read has a recipe");
    let archive = writer.finish().expect("into memory");
    let mut again = Reader::new(archive.as_slice(), &limits());
    for entry in &entries {
        let read = again.next().expect("what was written is taken");
        assert_eq!(read.as_ref(), Some(entry));
    }
    assert_eq!(again.next().expect("the end"), None);
    true
}

/// Unpacks within limits, whatever it says it is.
fn compress(input: &[u8]) -> bool {
    let compression = detect(input);
    let Ok(mut decoder) = Decoder::new(input, compression, &limits()) else { return false };
    let mut length = 0;
    let mut buffer = [0; 8192];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(_) => return false,
        }
        assert!(length <= (16 << 20) + buffer.len(), "past the limit");
    }
    compression != Compression::None
}

fn manifest(input: &[u8]) -> bool {
    use longshore_types::oci::media_type;
    let manifests = [media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST];
    let indexes = [media_type::OCI_INDEX, media_type::DOCKER_LIST];
    let manifest = manifests.iter().any(|media_type| Manifest::read(input, media_type).is_ok());
    let index = indexes.iter().any(|media_type| Index::read(input, media_type).is_ok());
    assert!(!(manifest && index), "both a manifest and an index");
    manifest || index
}

fn config(input: &[u8]) -> bool {
    ImageConfig::read(input).is_ok()
}

/// What is parsed is printed in full, and parsed again is the same.
fn reference(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(reference) = Reference::parse(text) else { return false };
    let again = Reference::parse(&reference.to_string()).expect("the full form");
    assert_eq!(again.to_string(), reference.to_string());
    true
}

/// Reads a question, and an answer. What we answer ourselves fits, and reads as an answer to the question.
fn dns(input: &[u8]) -> bool {
    let id = u16::from_be_bytes([input.first().copied().unwrap_or(0), input.get(1).copied().unwrap_or(0)]);
    let question = input.get(12..).and_then(|rest| {
        let end = rest.iter().position(|byte| *byte == 0)? + 5;
        rest.get(..end)
    });
    if let Some(found) = Response::parse(input, id, question.unwrap_or_default()) {
        let mut aged = input.to_vec();
        age(&mut aged, &found.into_ttls(), 1);
        assert_eq!(aged.len(), input.len());
    }
    let query = match Query::parse(input) {
        Ok(query) => query,
        Err(error) => {
            assert!(error.reply().is_none_or(|reply| reply.len() == 12));
            return false;
        }
    };
    assert!(query.name().len() <= 4 * 255 && query.question().len() <= 259);
    let addresses = (0..60).map(|last| Answer::Address([10, 0, 0, last].into()));
    let answers: Vec<Answer> = addresses.chain([Answer::Name("a.b".into())]).collect();
    for limit in [512, query.datagram(), 65_535] {
        let reply = query.reply(Code::NoError, &answers, limit);
        assert!(reply.len() <= limit, "{} > {limit}", reply.len());
        let read = Response::parse(&reply, query.id(), query.question()).expect("our own answer");
        assert_eq!((read.code, read.is_cut), (0, reply[7] < 61));
    }
    true
}
