//! What is refused, and what must not be: hand-made headers.

use super::tests::{header, list, list_limited, padded, pax, record, refusal, seal};
use super::*;
use crate::entry::Kind;
use crate::limits::Limits;

/// A header with bytes changed.
fn with(mut block: Block, at: usize, bytes: &[u8]) -> Block {
    block[at..at + bytes.len()].copy_from_slice(bytes);
    seal(block)
}

fn link(kind: u8, size: u64) -> Block {
    with(header("l", kind, size), 157, b"target")
}

fn long(kind: u8, name: &[u8]) -> Vec<u8> {
    [&header("././@LongLink", kind, name.len() as u64)[..], &padded(name)].concat()
}

#[test]
fn c1_9_large_sizes_as_writers_write_them() {
    let large = 9u64 << 30;
    let records = pax(&[("size", large.to_string().as_bytes())]);
    let mut binary = [0; 12];
    binary[0] = 0x80;
    binary[4..].copy_from_slice(&large.to_be_bytes());
    for field in [&b"00000000000\0"[..], b"77777777777\0", &binary] {
        let archive = [&records[..], &with(header("a", b'0', 0), 124, field)].concat();
        let mut reader = Reader::new(archive.as_slice(), &Limits::default());
        assert_eq!(reader.next().expect("read").expect("entry").size, large);
    }
    let archive = with(header("a", b'0', 0), 124, &binary);
    let mut reader = Reader::new(archive.as_slice(), &Limits::default());
    assert_eq!(reader.next().expect("read").expect("entry").size, large);
}

#[test]
fn c1_9_sizes_that_no_file_has() {
    let negative = with(header("a", b'0', 0), 124, &[0xff; 12]);
    assert_eq!(refusal(&[&negative]), Problem::Negative("size"));
    let records = pax(&[("size", b"-1")]);
    assert_eq!(refusal(&[&records, &header("a", b'0', 0)]), Problem::RecordValue("size".to_owned()));
    let records = pax(&[("size", b"9223372036854775808")]);
    assert!(matches!(refusal(&[&records, &header("a", b'0', 0)]), Problem::Limit { .. }));
    let records = pax(&[("size", b"99999999999999999999")]);
    assert_eq!(refusal(&[&records, &header("a", b'0', 0)]), Problem::RecordValue("size".to_owned()));
}

#[test]
fn sizes_of_what_has_no_content() {
    assert_eq!(list(&[&header("d/", b'5', 512), &link(b'1', 0)]).expect("list").len(), 2);
    for kind in *b"12346" {
        assert_eq!(refusal(&[&link(kind, 512)]), Problem::UnexpectedContent(512));
    }
    let records = pax(&[("size", b"512")]);
    assert_eq!(refusal(&[&records, &header("d/", b'5', 0)]), Problem::UnexpectedContent(512));
}

#[test]
fn c1_9_records_twice_or_malformed() {
    let records = pax(&[("path", b"a"), ("path", b"b")]);
    assert_eq!(refusal(&[&records, &header("a", b'0', 0)]), Problem::DuplicateRecord("path".to_owned()));
    for bad in [
        &b"11 path=a\n"[..],
        b"8 path=a\n",
        b"10 path=a ",
        b"010 path=a\n",
        b"path=a\n",
        b"10\tpath=a\n",
        b"6 =a\n\n",
        b"5 ab\n",
        b"-1 a=b\n",
        b"99999999999999999999999 a=b\n",
    ] {
        let archive = [&header("x", b'x', bad.len() as u64)[..], &padded(bad)].concat();
        let problem = refusal(&[&archive, &header("a", b'0', 0)]);
        assert!(matches!(problem, Problem::Record(0)), "{}: {problem}", bad.escape_ascii());
    }
    for (key, value) in
        [("path", &b"a\0b"[..]), ("path", b""), ("mtime", b"soon"), ("uid", b"0x1"), ("uid", b"")]
    {
        let problem = refusal(&[&pax(&[(key, value)]), &header("a", b'0', 0)]);
        assert_eq!(problem, Problem::RecordValue(key.to_owned()));
    }
}

#[test]
fn c1_9_global_headers_without_effect_only() {
    let global = |key: &str, value: &[u8]| {
        let data = record(key, value);
        [&header("g", b'g', data.len() as u64)[..], &padded(&data)].concat()
    };
    let found = list(&[&global("comment", b"a commit"), &header("a", b'0', 0)]).expect("list");
    assert_eq!(found.len(), 1);
    for key in ["path", "size", "uid", "mtime", "SCHILY.xattr.user.x", "GNU.sparse.name", "linkpath"] {
        assert_eq!(
            refusal(&[&global(key, b"1"), &header("a", b'0', 0)]),
            Problem::GlobalRecord(key.to_owned())
        );
    }
    assert_eq!(refusal(&[&pax(&[("path", b"p")]), &global("comment", b"c")]), Problem::Dangling);
    assert_eq!(refusal(&[&global("comment", b"c")]), Problem::Dangling);
}

#[test]
fn c1_9_names_said_twice() {
    let name = long(b'L', b"long\0");
    assert_eq!(list(&[&name, &header("a", b'0', 0)]).expect("list")[0].0.path, b"long");
    assert_eq!(refusal(&[&name, &name, &header("a", b'0', 0)]), Problem::DuplicateExtension);
    let records = pax(&[("path", b"p")]);
    assert_eq!(refusal(&[&records, &records, &header("a", b'0', 0)]), Problem::DuplicateExtension);
    assert!(matches!(refusal(&[&records, &name, &header("a", b'0', 0)]), Problem::Ambiguous(_)));
    assert!(matches!(refusal(&[&long(b'L', b"a\0b\0"), &header("a", b'0', 0)]), Problem::Ambiguous(_)));
    assert_eq!(refusal(&[&name]), Problem::Dangling);
    let target = long(b'K', b"far\0");
    assert_eq!(list(&[&target, &link(b'2', 0)]).expect("list")[0].0.link, b"far");
}

#[test]
fn headers_that_readers_read_differently() {
    for block in [
        with(with(header("a", b'0', 0), 257, &[0; 8]), 345, b"prefix"),
        with(with(header("a", b'0', 0), 257, b"ustar  \0"), 345, b"prefix"),
        with(header("a", b'0', 0), 257, b"ustarx00"),
        with(header("a/", b'0', 0), 257, b"ustar\x0000"),
        with(header("s", b'S', 0), 257, b"ustar\x0000"),
    ] {
        assert!(matches!(refusal(&[&block]), Problem::Ambiguous(_)));
    }
    for kind in *b"AZDN\xff" {
        assert_eq!(refusal(&[&header("a", kind, 0)]), Problem::Type(kind));
    }
    for kind in *b"MV" {
        assert_eq!(refusal(&[&header("a", kind, 0)]), Problem::MultiVolume);
    }
    let mut unsealed = header("a", b'0', 0);
    unsealed[0] = b'b';
    assert_eq!(refusal(&[&unsealed]), Problem::Checksum);
    assert_eq!(refusal(&[&with(header("", b'0', 0), 0, b"")]), Problem::NoName);
    assert_eq!(refusal(&[&header("l", b'2', 0)]), Problem::NoTarget);
}

#[test]
fn dialects_before_and_after_posix() {
    let old = with(header("d/", 0, 0), 257, &[0; 8]);
    assert_eq!(list(&[&old]).expect("list")[0].0.kind, Kind::Directory);
    let prefix = with(header("name", b'0', 0), 345, b"pre/fix");
    assert_eq!(list(&[&prefix]).expect("list")[0].0.path, b"pre/fix/name");
    let device = with(with(header("null", b'3', 0), 329, b"0000001\0"), 337, b"0000003\0");
    assert_eq!(list(&[&device]).expect("list")[0].0.device, (1, 3));
}

#[test]
fn the_end_of_an_archive() {
    let file = header("a", b'0', 0);
    let read = |archive: &[u8]| list_limited(archive, &Limits::default());
    assert_eq!(read(&file).expect("no end").len(), 1);
    assert_eq!(read(b"").expect("nothing").len(), 0);
    assert_eq!(read(&[&file[..], &[0; 512]].concat()).expect("half an end").len(), 1);
    assert_eq!(read(&[&file[..], &[0; 700]].concat()).expect("an odd end").len(), 1);
    let problem = |archive: &[u8]| read(archive).expect_err("refused").problem().cloned();
    assert_eq!(problem(&[&file[..], &[0; 512], &file].concat()), Some(Problem::LoneZeroBlock));
    assert_eq!(problem(&[&file[..], &[0; 1024], &file].concat()), Some(Problem::DataAfterEnd));
    assert_eq!(problem(&[&file[..], &[0; 9000], b"x"].concat()), Some(Problem::DataAfterEnd));
    let little = Limits { padding_bytes: 1000, ..Limits::default() };
    let error = list_limited(&[&file[..], &[0; 4000]].concat(), &little).expect_err("refused");
    assert!(matches!(error.problem(), Some(Problem::Limit { .. })), "{error}");
}

#[test]
fn c1_12_truncation_is_seen_at_every_byte() {
    let archive = [&pax(&[("path", b"p")])[..], &header("a", b'0', 600), &padded(&[7; 600])].concat();
    for length in 1..archive.len() {
        let error = list_limited(&archive[..length], &Limits::default()).expect_err("truncated");
        let problem = error.problem().expect("a problem of the archive");
        let expected = matches!(problem, Problem::Truncated | Problem::Dangling);
        assert!(expected, "{length}: {problem}");
    }
}

#[test]
fn c1_11_limits_are_errors_that_name_themselves() {
    let refused = |parts: &[&[u8]], limits: &Limits| {
        let error = list_limited(&parts.concat(), limits).expect_err("refused");
        error.to_string()
    };
    let limits =
        Limits { entries: 2, path_bytes: 10, depth: 3, extension_bytes: 40, xattrs: 1, ..Limits::default() };
    let file = header("a", b'0', 0);
    assert_eq!(
        refused(&[&file, &file, &file], &limits),
        "tar entry 3 (a) at byte 1024: more than 2 entries: past the limit"
    );
    assert!(refused(&[&header("12345678901", b'0', 0)], &limits).contains("10 bytes in a path"));
    assert!(refused(&[&header("a/b/c/d", b'0', 0)], &limits).contains("3 components in a path"));
    assert!(refused(&[&header("x", b'x', 41)], &limits).contains("40 bytes in an extended header"));
    let wide = Limits { extension_bytes: 4096, ..limits };
    let records = pax(&[("SCHILY.xattr.a", b"1"), ("SCHILY.xattr.b", b"1")]);
    assert!(refused(&[&records, &file], &wide).contains("1 extended attributes"));
}

#[test]
fn sparse_files_in_records() {
    let map = |records: &[(&str, &[u8])], stored: &[u8]| {
        list(&[&pax(records), &header("a", b'0', stored.len() as u64), &padded(stored)])
    };
    let good: &[(&str, &[u8])] = &[
        ("GNU.sparse.map", b"2,3,10,2,20,0"),
        ("GNU.sparse.numblocks", b"3"),
        ("GNU.sparse.size", b"20"),
        ("GNU.sparse.name", b"real"),
    ];
    let found = map(good, b"abcde").expect("list");
    assert_eq!(found[0].0.path, b"real");
    assert_eq!(found[0].0.sparse, Some(vec![(2, 3), (10, 2)]));
    assert_eq!(found[0].1, b"\0\0abc\0\0\0\0\0de\0\0\0\0\0\0\0\0");
    let old: &[(&str, &[u8])] = &[
        ("GNU.sparse.size", b"8"),
        ("GNU.sparse.numblocks", b"1"),
        ("GNU.sparse.offset", b"4"),
        ("GNU.sparse.numbytes", b"4"),
    ];
    assert_eq!(map(old, b"abcd").expect("list")[0].1, b"\0\0\0\0abcd");
    for (key, value) in [
        ("GNU.sparse.map", &b"2,3,4,2,20,0"[..]),
        ("GNU.sparse.map", b"10,2,2,3,20,0"),
        ("GNU.sparse.map", b"2,3,10,11,21,0"),
        ("GNU.sparse.map", b"2,3,10,1,20,0"),
        ("GNU.sparse.map", b"2,3,18446744073709551615,2,20,0"),
        ("GNU.sparse.map", b"2,3,10"),
        ("GNU.sparse.map", b"2,3,10,x,20,0"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.size", b"11"),
    ] {
        let mut records = good.to_vec();
        for record in records.iter_mut().filter(|record| record.0 == key) {
            record.1 = value;
        }
        let error = map(&records, b"abcde").expect_err("refused");
        let expected = matches!(error.problem(), Some(Problem::Sparse(_) | Problem::RecordValue(_)));
        assert!(expected, "{key}={}: {error}", value.escape_ascii());
    }
}

#[test]
fn sparse_files_with_the_map_in_the_content() {
    let records = pax(&[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"real"),
        ("GNU.sparse.realsize", b"10"),
    ]);
    let content = |map: &[u8]| [&padded(map)[..], b"ab"].concat();
    let read = |map: &[u8]| {
        let content = content(map);
        list(&[&records, &header("a", b'0', content.len() as u64), &padded(&content)])
    };
    let found = read(b"2\n4\n2\n10\n0\n").expect("list");
    assert_eq!((found[0].0.size, found[0].1.as_slice()), (10, &b"\0\0\0\0ab\0\0\0\0"[..]));
    for map in [
        &b"2\n4\n2\n"[..],
        b"1\n4\n2\nx",
        b"1\n4\n3\n",
        b"x\n",
        b"1\n99999999999999999999999\n2\n",
        b"1\n-4\n2\n",
    ] {
        let error = read(map).expect_err("refused");
        assert!(matches!(error.problem(), Some(Problem::Sparse(_))), "{}: {error}", map.escape_ascii());
    }
}

#[test]
fn sparse_files_in_the_old_form() {
    let mut block = header("s", b'S', 2);
    block[257..265].copy_from_slice(b"ustar  \0");
    block[386..398].copy_from_slice(b"00000000004\0");
    block[398..410].copy_from_slice(b"00000000002\0");
    block[483..495].copy_from_slice(b"00000000012\0");
    let good = seal(block);
    let found = list(&[&good, &padded(b"ab")]).expect("list");
    assert_eq!((found[0].0.size, found[0].1.as_slice()), (10, &b"\0\0\0\0ab\0\0\0\0"[..]));
    assert!(matches!(refusal(&[&with(good, 482, b"\x01"), &padded(b"ab")]), Problem::Sparse(_)));
    assert!(matches!(refusal(&[&with(good, 483, b"00000000005\0"), &padded(b"ab")]), Problem::Sparse(_)));
    assert!(matches!(refusal(&[&with(good, 434, b"00000000006\0"), &padded(b"ab")]), Problem::Sparse(_)));
}
