//! Paths in a container: by their letters, and as the kernel resolves them with the container's root as `/`.

use std::{
    collections::VecDeque,
    ffi::CString,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat},
    io::Errno,
};

/// Links that one path may go through; as the evaluation that Docker does of them.
const LINKS: u32 = 255;
/// A walk that meets a rename is done again so often.
const TRIES: u32 = 128;

/// `path` as an absolute one without `.`, `..` and double slashes, but with the `/` or `/.` at its end that says that
/// it is a directory.
pub(super) fn absolute(path: &[u8]) -> Vec<u8> {
    let mut clean = cleaned(path);
    let current = path == b"." || path.ends_with(b"/.");
    if current {
        if clean != b"/" {
            clean.push(b'/');
        }
        clean.push(b'.');
    } else if path.ends_with(b"/") && clean != b"/" {
        clean.push(b'/');
    }
    clean
}

/// By the letters alone; `..` ends at the root.
pub(super) fn cleaned(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    [b"/".as_slice(), &parts.join(&b'/')].concat()
}

/// The last part: `/` for the root, `.` where the path ends so.
pub(super) fn base(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    if end == 0 {
        return b"/";
    }
    let start = path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    &path[start..end]
}

/// Opens `path` in the root. Links lead where they would inside; those of `/proc` that are none lead nowhere.
pub(super) fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match openat2(root, &path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
            Err(Errno::AGAIN) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

/// Where `path` leads: without links as far as it exists, and by its letters from there on.
pub(super) fn follow(root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let parts = |path: &[u8]| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<VecDeque<_>>();
    let mut left = parts(path);
    let mut done: Vec<u8> = b"/".to_vec();
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        let next = match part.as_slice() {
            b"" | b"." => continue,
            part => cleaned(&[done.as_slice(), b"/", part].concat()),
        };
        if part == b".." {
            done = next;
            continue;
        }
        let found = match open(root, &next, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let rest = left.iter().flat_map(|part| [b"/".as_slice(), part]);
                return Ok(cleaned(
                    &std::iter::once(next.as_slice()).chain(rest).collect::<Vec<_>>().concat(),
                ));
            }
            Err(errno) => return Err(errno),
        };
        if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::Symlink {
            done = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            return Err(Errno::LOOP);
        }
        let target = readlinkat(&found, c"", Vec::new())?.into_bytes();
        if target.starts_with(b"/") {
            done = b"/".to_vec();
        }
        for part in parts(&target).into_iter().rev() {
            left.push_front(part);
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::{absolute, base, cleaned};

    #[test]
    fn what_ends_a_path_is_kept() {
        for (path, expected) in [
            ("/", "/"),
            (".", "/."),
            ("/.", "/."),
            ("a", "/a"),
            ("/a/", "/a/"),
            ("/a/.", "/a/."),
            ("/a/./", "/a/"),
            ("/a/..", "/"),
            ("../../a//b", "/a/b"),
            ("/a/b/../.", "/a/."),
        ] {
            assert_eq!(String::from_utf8_lossy(&absolute(path.as_bytes())), expected, "{path}");
        }
        assert_eq!(cleaned(b"/a/./b/.."), b"/a");
    }

    #[test]
    fn last_parts() {
        for (path, expected) in
            [("/", "/"), ("/a", "a"), ("/a/", "a"), ("/a/.", "."), ("/a/b", "b"), ("//", "/")]
        {
            assert_eq!(base(path.as_bytes()), expected.as_bytes(), "{path}");
        }
    }
}
