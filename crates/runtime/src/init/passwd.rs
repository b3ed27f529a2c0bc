//! The container's own `/etc/passwd`, read without any name service of the C library.

use std::io::Read;

use rustix::fs::{FileType, Mode, OFlags};

/// The largest file that is looked at, in bytes (containerd's limit).
const MAX_BYTES: u64 = 10 << 20;

/// The home directory of `uid`. `None` where the file is absent, no plain file, or has no such user.
pub(super) fn home_of(uid: u32) -> Option<Vec<u8>> {
    // A FIFO put there must not block the start.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open("/etc/passwd", flags, Mode::empty()).ok()?;
    let status = rustix::fs::fstat(&file).ok()?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut text = Vec::new();
    std::fs::File::from(file).take(MAX_BYTES).read_to_end(&mut text).ok()?;
    find_home(&text, uid)
}

fn find_home(text: &[u8], uid: u32) -> Option<Vec<u8>> {
    let uid = uid.to_string();
    text.split(|c| *c == b'\n').find_map(|line| {
        let mut fields = line.split(|c| *c == b':').skip(2);
        if fields.next()? != uid.as_bytes() {
            return None;
        }
        let home = fields.nth(2)?;
        (!home.is_empty() && !home.contains(&0)).then(|| home.to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::find_home;

    const TEXT: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nbroken\n\n1000:x:0:0::/zero:\nann:x:1000:1000::/home/ann:/bin/sh\nnohome:x:7:7:::\n";

    #[test]
    fn finds_the_home_by_number_and_never_by_name() {
        assert_eq!(find_home(TEXT, 0), Some(b"/root".to_vec()));
        assert_eq!(find_home(TEXT, 1000), Some(b"/home/ann".to_vec()));
        assert_eq!(find_home(TEXT, 7), None);
        assert_eq!(find_home(TEXT, 8), None);
        assert_eq!(find_home(b"", 0), None);
    }
}
