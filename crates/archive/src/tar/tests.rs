use super::*;
use crate::entry::{Entry, Kind};
use crate::limits::Limits;
use std::io::{self, Read};

/// A header block with a right checksum.
pub(super) fn header(name: &str, kind: u8, size: u64) -> Block {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"14000000000");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(block)
}

pub(super) fn seal(mut block: Block) -> Block {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

pub(super) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

/// Content up to the next block.
pub(super) fn padded(content: &[u8]) -> Vec<u8> {
    let mut padded = content.to_vec();
    padded.resize(content.len().next_multiple_of(BLOCK), 0);
    padded
}

pub(super) fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
    [&header("x", b'x', data.len() as u64)[..], &padded(&data)].concat()
}

pub(super) type Listed = Vec<(Entry, Vec<u8>)>;

pub(super) fn list_limited(archive: &[u8], limits: &Limits) -> Result<Listed, Error> {
    let mut reader = Reader::new(archive, limits);
    let mut found = Vec::new();
    while let Some(entry) = reader.next()? {
        let mut content = Vec::new();
        while let Some((offset, _)) = reader.next_piece()? {
            content.resize(usize::try_from(offset).expect("small"), 0);
            loop {
                let chunk = reader.chunk()?;
                let length = chunk.len();
                if length == 0 {
                    break;
                }
                content.extend_from_slice(chunk);
                reader.advance(length);
            }
        }
        if entry.sparse.is_some() {
            content.resize(usize::try_from(entry.size).expect("small"), 0);
        }
        found.push((entry, content));
    }
    Ok(found)
}

pub(super) fn list(parts: &[&[u8]]) -> Result<Listed, Error> {
    list_limited(&[parts.concat(), vec![0; 1024]].concat(), &Limits::default())
}

pub(super) fn refusal(parts: &[&[u8]]) -> Problem {
    let error = list(parts).expect_err("refused");
    error.problem().expect("a problem of the archive").clone()
}

#[test]
fn a_plain_file_and_its_content() {
    let found = list(&[&header("a/b", b'0', 3), &padded(b"abc"), &header("d/", b'5', 0)]).expect("list");
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].0.path.as_slice(), found[0].0.kind, found[0].0.mode),
        (&b"a/b"[..], Kind::File, 0o644)
    );
    assert_eq!(found[0].1, b"abc");
    assert_eq!(found[1].0.kind, Kind::Directory);
}

#[test]
fn records_override_the_header() {
    let records = pax(&[
        ("path", b"long/name"),
        ("mtime", b"-1.5"),
        ("uid", b"4000000000"),
        ("SCHILY.xattr.user.x", b"a=b\n\0"),
    ]);
    let found = list(&[&records, &header("short", b'0', 0)]).expect("list");
    let entry = &found[0].0;
    assert_eq!((entry.path.as_slice(), entry.uid), (&b"long/name"[..], 4_000_000_000));
    assert_eq!(entry.modified, (-2, 500_000_000));
    assert_eq!(entry.xattrs, [(b"user.x".to_vec(), b"a=b\n\0".to_vec())]);
}

/// A source that gives a few bytes at a time.
struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(buffer.len());
        self.0.read(&mut buffer[..length])
    }
}

#[test]
fn the_size_of_reads_does_not_matter() {
    let content = vec![7; 1000];
    let archive =
        [&header("a", b'0', 1000)[..], &padded(&content), &header("b", b'0', 1), &padded(b"b"), &[0; 1024]]
            .concat();
    for step in [1, 7, 511, 512, 513, 4096] {
        let mut reader = Reader::new(Drip(&archive, step), &Limits::default());
        assert_eq!(reader.next().expect("first").expect("first").path, b"a");
        let mut read = vec![0; 600];
        reader.read_exact(&mut read).expect("content");
        assert_eq!(read, content[..600]);
        assert_eq!(reader.next().expect("second").expect("second").path, b"b");
        assert!(reader.next().expect("end").is_none());
        assert_eq!(reader.offset(), archive.len() as u64);
    }
}

#[test]
fn a7_127_a_pax_size_that_hides_entries_is_refused() {
    let hidden = [&header("hidden", b'0', 0)[..]].concat();
    let records = pax(&[("size", b"512")]);
    assert_eq!(refusal(&[&records, &header("a", b'0', 0), &hidden]), Problem::Sizes { pax: 512, header: 0 });
    let records = pax(&[("size", b"0")]);
    assert_eq!(
        refusal(&[&records, &header("a", b'0', 512), &hidden]),
        Problem::Sizes { pax: 0, header: 512 }
    );
}
