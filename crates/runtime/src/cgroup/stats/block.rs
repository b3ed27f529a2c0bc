//! Block I/O, whose files differ by the host's I/O scheduler.

use super::{Blkio, BlkioEntry, content, parse};
use crate::cgroup::{CgroupError, Group};

/// One table of [`Blkio`].
type Table = fn(&mut Blkio) -> &mut Vec<BlkioEntry>;

/// The files of BFQ and of the older CFQ, which differ in their prefix.
const SCHEDULER: [(&str, Table); 8] = [
    ("sectors_recursive", |blkio| &mut blkio.sectors_recursive),
    ("io_service_time_recursive", |blkio| &mut blkio.io_service_time_recursive),
    ("io_wait_time_recursive", |blkio| &mut blkio.io_wait_time_recursive),
    ("io_merged_recursive", |blkio| &mut blkio.io_merged_recursive),
    ("io_queued_recursive", |blkio| &mut blkio.io_queued_recursive),
    ("time_recursive", |blkio| &mut blkio.io_time_recursive),
    ("io_serviced_recursive", |blkio| &mut blkio.io_serviced_recursive),
    ("io_service_bytes_recursive", |blkio| &mut blkio.io_service_bytes_recursive),
];

/// Reads the first set of files with any content, from the one that says most to the one that every
/// kernel has.
pub(super) fn read_v1(group: &Group, blkio: &mut Blkio) -> Result<(), CgroupError> {
    for (prefix, suffix, tables) in [
        ("blkio.bfq", "", &SCHEDULER[..]),
        ("blkio.bfq", "", &SCHEDULER[6..]),
        ("blkio", "", &SCHEDULER[..]),
        ("blkio.throttle", "_recursive", &SCHEDULER[6..]),
        ("blkio.throttle", "", &SCHEDULER[6..]),
    ] {
        let mut found = true;
        for (index, (name, table)) in tables.iter().enumerate() {
            let name = name.strip_suffix("_recursive").filter(|_| prefix == "blkio.throttle").unwrap_or(name);
            let entries = entries(&content(group, &format!("{prefix}.{name}{suffix}"))?);
            if index == 0 && entries.is_empty() {
                found = false;
                break;
            }
            *table(blkio) = entries;
        }
        if found {
            break;
        }
    }
    Ok(())
}

/// Lines of `8:0 Read 1282048` or `8:0 6792`; `Total 3477504` ends them.
fn entries(content: &str) -> Vec<BlkioEntry> {
    content
        .lines()
        .filter_map(|line| {
            let (device, rest) = line.split_once(' ')?;
            let (major, minor) = device.split_once(':')?;
            let (op, value) = rest.split_once(' ').unwrap_or(("", rest));
            Some(BlkioEntry {
                major: parse(major),
                minor: parse(minor),
                op: op.to_owned(),
                value: parse(value),
            })
        })
        .collect()
}

/// `io.stat`: lines of `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`, in version 1's tables.
pub(super) fn read_v2(content: &str) -> Blkio {
    let mut blkio = Blkio::default();
    for line in content.lines() {
        let mut fields = line.split(' ');
        let Some((major, minor)) = fields.next().and_then(|device| device.split_once(':')) else { continue };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            let (table, op) = match key {
                "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
                "rios" => (&mut blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut blkio.io_serviced_recursive, "Write"),
                _ => continue,
            };
            table.push(BlkioEntry {
                major: parse(major),
                minor: parse(minor),
                op: op.to_owned(),
                value: parse(value),
            });
        }
    }
    blkio
}

#[cfg(test)]
mod tests {
    use super::{entries, read_v2};

    #[test]
    fn entries_of_version_1() {
        let entries = entries("8:0 Read 5\n8:16 Write 6\n8:0 7\n8:0 Total 11\nTotal 11\n");
        let seen: Vec<_> = entries.iter().map(|e| (e.major, e.minor, &*e.op, e.value)).collect();
        assert_eq!(seen, [(8, 0, "Read", 5), (8, 16, "Write", 6), (8, 0, "", 7), (8, 0, "Total", 11)]);
    }

    #[test]
    fn entries_of_version_2() {
        let blkio = read_v2("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0\n");
        let values: Vec<_> = blkio.io_service_bytes_recursive.iter().map(|e| (&*e.op, e.value)).collect();
        assert_eq!(values, [("Read", 1), ("Write", 2)]);
        assert_eq!(blkio.io_serviced_recursive.len(), 2);
    }
}
