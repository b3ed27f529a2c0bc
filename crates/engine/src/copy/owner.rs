//! The user of a container's configuration, in the container's own lists. Nothing of the host is asked, and nothing of
//! the container is loaded.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{FileType, OFlags, fstat},
    io::Errno,
};

use super::{Error, Result, path::open};

/// Bytes of a list that are read.
const LONGEST: u64 = 16 << 20;

/// User and group of `user[:group]`, names or numbers. As in a start: a number need not be in the lists.
pub(super) fn find(root: BorrowedFd<'_>, text: &str) -> Result<(u32, u32)> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let (mut uid, mut gid) = (0, 0);
    if !user.is_empty() {
        (uid, gid) = in_passwd(&list(root, "/etc/passwd")?, user)
            .ok_or_else(|| Error::NoSuchUser { what: "user", name: user.into() })?;
    }
    if !group.is_empty() {
        gid = match number(group) {
            Some(gid) => gid,
            None => in_group(&list(root, "/etc/group")?, group)
                .ok_or_else(|| Error::NoSuchUser { what: "group", name: group.into() })?,
        };
    }
    Ok((uid, gid))
}

/// The longest that the kernel takes for an id is one less, and Docker's stop at half of it.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id <= i32::MAX.unsigned_abs())
}

/// Lines of `name:password:uid:gid:…`.
fn in_passwd(list: &str, user: &str) -> Option<(u32, u32)> {
    let wanted = number(user);
    let entries = list.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid: u32 = fields.nth(1)?.trim().parse().ok()?;
        let gid: u32 = fields.next()?.trim().parse().ok()?;
        Some((name, uid, gid))
    });
    let mut fits = entries.filter(|(name, uid, _)| wanted.map_or(*name == user, |wanted| *uid == wanted));
    fits.next().map(|(_, uid, gid)| (uid, gid)).or(wanted.map(|uid| (uid, 0)))
}

/// Lines of `name:password:gid:…`.
fn in_group(list: &str, group: &str) -> Option<u32> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == group).then(|| fields.nth(1)?.trim().parse().ok())?
    })
}

/// A list of the container; empty where it has none.
fn list(root: BorrowedFd<'_>, path: &'static str) -> Result<String> {
    let fail = |errno: Errno| Error::Io { operation: "read", path: path.into(), source: errno.into() };
    // What is opened may be a pipe.
    let file = match open(root, path.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(String::new()),
        file => file.map_err(fail)?,
    };
    if FileType::from_raw_mode(fstat(file.as_fd()).map_err(fail)?.st_mode) != FileType::RegularFile {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(LONGEST).read_to_end(&mut bytes);
    read.map_err(|source| Error::Io { operation: "read", path: path.into(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{in_group, in_passwd};

    #[test]
    fn users_and_groups() {
        let list = "root:x:0:0::/:/bin/sh\nbroken\nwww:x:33:34:::\n77:x:5:6:::\n";
        for (user, expected) in [
            ("root", Some((0, 0))),
            ("www", Some((33, 34))),
            ("33", Some((33, 34))),
            ("77", Some((77, 0))),
            ("x", None),
        ] {
            assert_eq!(in_passwd(list, user), expected, "{user}");
        }
        assert_eq!(in_group("root:x:0:\nstaff:x:50:a,b\n", "staff"), Some(50));
        assert_eq!(in_group("", "staff"), None);
    }
}
