use super::super::Reader;
use super::*;
use crate::limits::Limits;
use proptest::prelude::*;

fn write(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.entry(entry, content.as_slice()).expect("entry");
    }
    writer.finish().expect("finish")
}

fn read(archive: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = Reader::new(archive, &Limits::default());
    let mut found = Vec::new();
    while let Some(entry) = reader.next().expect("read") {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).expect("content");
        found.push((entry, content));
    }
    found
}

fn file(path: &str, size: u64) -> Entry {
    Entry { path: path.as_bytes().to_vec(), size, mode: 0o644, ..Entry::default() }
}

#[test]
fn what_ustar_holds_is_one_block() {
    let archive = write(&[(file("a", 3), b"abc".to_vec())]);
    assert_eq!(archive.len(), 4 * BLOCK);
    assert_eq!(&archive[..2], b"a\0");
    assert_eq!(&archive[257..265], b"ustar\x0000");
}

#[test]
fn a_short_content_is_an_error() {
    let mut writer = Writer::new(Vec::new());
    let error = writer.entry(&file("a", 4), &b"abc"[..]).expect_err("short");
    assert_eq!(error.to_string(), "a has fewer than 4 bytes now: it changed while it was archived");
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let mut writer = Writer::new(Vec::new());
    let mut entries = vec![file("", 0), file("a\0b", 0), file("a/", 0)];
    entries.push(Entry { kind: Kind::Symlink, ..file("a", 0) });
    entries.push(Entry { kind: Kind::Directory, ..file("a", 5) });
    entries.push(Entry { xattrs: vec![(b"user.a=b".to_vec(), Vec::new())], ..file("a", 0) });
    for entry in entries {
        let error = writer.entry(&entry, io::empty()).expect_err("refused");
        assert!(matches!(error, WriteError::Entry { .. }), "{entry:?}: {error}");
    }
    assert_eq!(writer.written(), 0);
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![9 => b'a'..=b'z', 2 => Just(b'/'), 1 => 1..=255u8];
    prop_oneof![3 => 1..40usize, 1 => 90..300usize]
        .prop_flat_map(move |length| prop::collection::vec(byte.clone(), length))
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::File),
        1 => Just(Kind::Directory),
        1 => Just(Kind::Symlink),
        1 => Just(Kind::Hardlink),
        1 => Just(Kind::CharDevice),
        1 => Just(Kind::BlockDevice),
        1 => Just(Kind::Fifo),
    ]
}

fn any_time() -> impl Strategy<Value = (i64, u32)> {
    let seconds = prop_oneof![0..2_000_000_000i64, -3_000_000_000..3_000_000_000i64, 0..1i64 << 50];
    let nanos = prop_oneof![Just(0), 0..1_000_000_000u32];
    (seconds, nanos)
}

prop_compose! {
    fn any_entry()(
        path in any_name(), kind in any_kind(), link in any_name(), mode in 0..=0o7777u32,
        ids in prop_oneof![(0..70_000u32, 0..70_000u32), (any::<u32>(), any::<u32>())],
        modified in any_time(), accessed in prop::option::of(any_time()),
        content in prop::collection::vec(any::<u8>(), 0..1500),
        device in (0..1u32 << 12, 0..1u32 << 20),
        xattrs in prop::collection::btree_map("[a-z.]{1,20}", prop::collection::vec(any::<u8>(), 0..30), 0..4),
    ) -> (Entry, Vec<u8>) {
        let is_file = kind == Kind::File;
        let content = if is_file { content } else { Vec::new() };
        let mut path = path;
        while is_file && path.ends_with(b"/") {
            path.push(b'f');
        }
        let is_link = matches!(kind, Kind::Symlink | Kind::Hardlink);
        let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
        let entry = Entry {
            path, kind, mode, modified, accessed, uid: ids.0, gid: ids.1,
            link: if is_link { link } else { Vec::new() },
            size: content.len() as u64,
            device: if is_device { device } else { (0, 0) },
            xattrs: xattrs.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect(),
            sparse: None,
        };
        (entry, content)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(entries in prop::collection::vec(any_entry(), 0..6)) {
        let archive = write(&entries);
        prop_assert_eq!(archive.len() % BLOCK, 0);
        prop_assert_eq!(read(&archive), entries);
    }
}

#[test]
fn large_numbers_are_read_back() {
    // Only the headers: nobody reads 9 GiB here.
    let size = 9 << 30;
    let entry = Entry { uid: u32::MAX, gid: 2_097_152, modified: (-5, 0), ..file("large", size) };
    let headers = Headers::new(&entry).expect("headers").bytes;
    let mut reader = Reader::new(headers.as_slice(), &Limits::default());
    assert_eq!(reader.next().expect("read"), Some(entry));
}
