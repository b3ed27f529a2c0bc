//! Archives as no honest program writes them.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One header with its content, written as the letter of POSIX wants it, whatever it says.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
    pub(crate) link: Vec<u8>,
    pub(crate) device: (u32, u32),
    pub(crate) content: Vec<u8>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

fn item(path: impl AsRef<Path>, kind: u8, mode: u32) -> Item {
    Item {
        path: path.as_ref().as_os_str().as_bytes().to_vec(),
        kind,
        mode,
        uid: 0,
        gid: 0,
        seconds: 1_600_000_000,
        nanoseconds: 0,
        link: Vec::new(),
        device: (0, 0),
        content: Vec::new(),
        xattrs: Vec::new(),
    }
}

pub(crate) fn file(path: impl AsRef<Path>, content: &str) -> Item {
    Item { content: content.as_bytes().to_vec(), ..item(path, b'0', 0o644) }
}

pub(crate) fn dir(path: impl AsRef<Path>) -> Item {
    item(path, b'5', 0o755)
}

pub(crate) fn symlink(path: impl AsRef<Path>, target: &str) -> Item {
    Item { link: target.as_bytes().to_vec(), ..item(path, b'2', 0o777) }
}

pub(crate) fn hardlink(path: impl AsRef<Path>, target: &str) -> Item {
    Item { link: target.as_bytes().to_vec(), ..item(path, b'1', 0o644) }
}

pub(crate) fn char_device(path: impl AsRef<Path>, major: u32, minor: u32) -> Item {
    Item { device: (major, minor), ..item(path, b'3', 0o600) }
}

pub(crate) fn block_device(path: impl AsRef<Path>, major: u32, minor: u32) -> Item {
    Item { device: (major, minor), ..item(path, b'4', 0o600) }
}

pub(crate) fn fifo(path: impl AsRef<Path>) -> Item {
    item(path, b'6', 0o600)
}

impl Item {
    pub(crate) fn mode(self, mode: u32) -> Item {
        Item { mode, ..self }
    }

    pub(crate) fn owner(self, uid: u32, gid: u32) -> Item {
        Item { uid, gid, ..self }
    }

    pub(crate) fn time(self, seconds: i64, nanoseconds: u32) -> Item {
        Item { seconds, nanoseconds, ..self }
    }

    pub(crate) fn xattr(mut self, name: &str, value: &[u8]) -> Item {
        self.xattrs.push((name.as_bytes().to_vec(), value.to_vec()));
        self
    }
}

/// The archive of these items.
pub(crate) fn layer(items: &[Item]) -> Vec<u8> {
    let mut archive = Vec::new();
    for item in items {
        append(&mut archive, item);
    }
    archive.extend_from_slice(&[0; 1024]);
    archive
}

fn append(archive: &mut Vec<u8>, item: &Item) {
    let mut records = Vec::new();
    if item.path.len() > 100 || !item.path.is_ascii() {
        record(&mut records, b"path", &item.path);
    }
    if item.link.len() > 100 || !item.link.is_ascii() {
        record(&mut records, b"linkpath", &item.link);
    }
    if item.nanoseconds != 0 || item.seconds < 0 {
        let text = if item.seconds < 0 && item.nanoseconds != 0 {
            format!("-{}.{:09}", -(item.seconds + 1), 1_000_000_000 - item.nanoseconds)
        } else {
            format!("{}.{:09}", item.seconds, item.nanoseconds)
        };
        record(&mut records, b"mtime", text.as_bytes());
    }
    for (name, id) in [("uid", item.uid), ("gid", item.gid)] {
        if id > 0o7777777 {
            record(&mut records, name.as_bytes(), id.to_string().as_bytes());
        }
    }
    for (name, value) in &item.xattrs {
        record(&mut records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    if !records.is_empty() {
        let name = Item { path: b"PaxHeaders/x".to_vec(), link: Vec::new(), ..item.clone() };
        header(archive, &name, b'x', records.len());
        body(archive, &records);
    }
    header(archive, item, item.kind, item.content.len());
    body(archive, &item.content);
}

fn record(records: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let rest = name.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(name);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn header(archive: &mut Vec<u8>, item: &Item, kind: u8, size: usize) {
    let mut block = [0u8; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &item.path[..item.path.len().min(100)]);
    put(100, format!("{:07o}", item.mode).as_bytes());
    put(108, format!("{:07o}", item.uid & 0o7777777).as_bytes());
    put(116, format!("{:07o}", item.gid & 0o7777777).as_bytes());
    put(124, format!("{size:011o}").as_bytes());
    put(136, format!("{:011o}", item.seconds.max(0)).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, &item.link[..item.link.len().min(100)]);
    put(257, b"ustar\x0000");
    put(329, format!("{:07o}", item.device.0).as_bytes());
    put(337, format!("{:07o}", item.device.1).as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend_from_slice(&block);
}

fn body(archive: &mut Vec<u8>, bytes: &[u8]) {
    archive.extend_from_slice(bytes);
    archive.resize(archive.len().next_multiple_of(512), 0);
}
