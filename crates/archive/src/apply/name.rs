//! Names in an archive: where they lead, and which of them are markers instead of files.

use super::error::Refusal;

const PREFIX: &[u8] = b".wh.";
const META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Where AUFS kept the targets of hard links between layers.
pub(crate) const LINKS: &[u8] = b".wh..wh.plnk";

/// What a name in a layer stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker<'a> {
    /// A file like any other.
    File,
    /// The directory that holds it hides all that layers below have there.
    Opaque,
    /// This name in the same directory is deleted.
    Deleted(&'a [u8]),
    /// Bookkeeping of AUFS at the root of a layer. Docker ignores it, but for files that may be the
    /// targets of hard links.
    Bookkeeping,
}

/// Brings `path` into the form `a/b/c`, empty for the root, as `filepath.Clean` and a join with the
/// root do: by the letters alone, `..` ends at the root.
pub(crate) fn clean(path: &[u8], clean: &mut Vec<u8>) {
    clean.clear();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let end = clean.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                clean.truncate(end);
            }
            part => {
                if !clean.is_empty() {
                    clean.push(b'/');
                }
                clean.extend_from_slice(part);
            }
        }
    }
}

/// Whether a path as an archive has it leads out of where it begins.
pub(super) fn leaves(path: &[u8]) -> bool {
    let mut depth = 0_usize;
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

/// Splits a clean path into the directory and the name in it.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

/// What a clean path stands for in a layer.
pub(super) fn marker(path: &[u8]) -> Result<Marker<'_>, Refusal> {
    if path.starts_with(META) && path != OPAQUE {
        return Ok(Marker::Bookkeeping);
    }
    let (_, name) = split(path);
    if name == OPAQUE {
        return Ok(Marker::Opaque);
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(Marker::File),
        Some(b"" | b"." | b"..") => Err(Refusal::Whiteout),
        Some(name) => Ok(Marker::Deleted(name)),
    }
}

/// Whether a clean path is a file in the place of AUFS for hard links.
pub(super) fn is_link_target(path: &[u8]) -> bool {
    split(path).0 == LINKS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(path: &str) -> String {
        let mut buffer = Vec::new();
        clean(path.as_bytes(), &mut buffer);
        String::from_utf8(buffer).expect("text")
    }

    #[test]
    fn paths_end_at_the_root() {
        for (path, expected) in [
            ("", ""),
            (".", ""),
            ("/", ""),
            ("./", ""),
            ("..", ""),
            ("../..", ""),
            ("../x", "x"),
            ("/abs", "abs"),
            ("a/../../x", "x"),
            ("a/b/../c", "a/c"),
            ("./././x", "x"),
            ("a//b/", "a/b"),
            ("a/b/..", "a"),
            ("...", "..."),
            ("a/.../b", "a/.../b"),
        ] {
            assert_eq!(cleaned(path), expected, "{path}");
        }
    }

    #[test]
    fn paths_that_leave() {
        for (path, expected) in [
            ("a", false),
            ("a/..", false),
            ("/a/../b", false),
            ("..", true),
            ("a/../../b", true),
            ("./../a/b", true),
        ] {
            assert_eq!(leaves(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn markers() {
        let of = |path: &'static str| marker(path.as_bytes());
        assert_eq!(of("a/b").expect("a file"), Marker::File);
        assert_eq!(of(".wh").expect("a file"), Marker::File);
        assert_eq!(of("a/.wh.b").expect("deleted"), Marker::Deleted(b"b"));
        assert_eq!(of(".wh..wh..opq").expect("opaque"), Marker::Opaque);
        assert_eq!(of("a/.wh..wh..opq").expect("opaque"), Marker::Opaque);
        assert_eq!(of(".wh..wh.plnk/1.2").expect("ignored"), Marker::Bookkeeping);
        assert_eq!(of(".wh..wh.aufs").expect("ignored"), Marker::Bookkeeping);
        // Below the root only the one marker has a meaning: the rest deletes an odd name.
        assert_eq!(of("a/.wh..wh.aufs").expect("deleted"), Marker::Deleted(b".wh.aufs"));
        assert_eq!(of("a/.wh....").expect("deleted"), Marker::Deleted(b"..."));
        // Only the last part counts.
        assert_eq!(of(".wh.a/b").expect("a file"), Marker::File);
        for path in [".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh.."] {
            assert_eq!(of(path), Err(Refusal::Whiteout), "{path}");
        }
    }
}
