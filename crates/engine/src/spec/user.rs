//! Who a container's process is: names of its own `/etc/passwd` and `/etc/group` as numbers.

use std::{
    io::Read,
    os::fd::{BorrowedFd, OwnedFd},
};

use longshore_runtime::spec::User;
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 10 << 20;
/// The highest number that Docker takes.
const MAX_ID: u32 = i32::MAX.unsigned_abs();

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("unable to find user {name}: no matching entries in passwd file")]
    NoUser { name: String },
    #[error("unable to find group {name}: no matching entries in group file")]
    NoGroup { name: String },
    #[error("uids and gids must be in range 0-{MAX_ID}")]
    Range,
    #[error("read {file} of the container")]
    Read { file: &'static str, source: std::io::Error },
}

impl UserError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> longshore_types::Kind {
        match self {
            Self::Read { .. } => longshore_types::Kind::Internal,
            _ => longshore_types::Kind::InvalidInput,
        }
    }
}

/// The user `text` (`user[:group]`, names or numbers; empty is root) of the tree at `root`, with the groups
/// `more` besides.
///
/// # Errors
/// A name that the tree's files do not have.
pub fn resolve(root: BorrowedFd<'_>, text: &str, more: &[String]) -> Result<User, UserError> {
    // Numbers alone need no files unless they name groups of the user.
    let passwd =
        file(root, "etc/passwd").map_err(|source| UserError::Read { file: "/etc/passwd", source })?;
    let group = file(root, "etc/group").map_err(|source| UserError::Read { file: "/etc/group", source })?;
    find(&passwd, &group, text, more)
}

fn find(passwd: &str, group: &str, text: &str, more: &[String]) -> Result<User, UserError> {
    let (user, wanted_group) = text.split_once(':').unwrap_or((text, ""));
    let number = |text: &str| text.parse::<u32>().ok();
    let mut found = User::default();
    let mut name = None;
    if user.is_empty() {
        // Root's entry gives the group, as for a name.
        if let Some(entry) = entries(passwd).find(|entry| entry.get(2) == Some(&"0")) {
            found.gid = entry.get(3).and_then(|gid| number(gid)).unwrap_or(0);
            name = entry.first().copied();
        }
    } else {
        let entry = entries(passwd)
            .find(|entry| entry.first() == Some(&user) || entry.get(2) == Some(&user))
            .and_then(|entry| Some((*entry.first()?, number(entry.get(2)?)?, number(entry.get(3)?)?)));
        match entry {
            Some((known, uid, gid)) => {
                (found.uid, found.gid) = (uid, gid);
                name = Some(known);
            }
            None if is_number(user) => found.uid = number(user).unwrap_or(u32::MAX),
            None => return Err(UserError::NoUser { name: user.into() }),
        }
    }
    let mut groups = Vec::new();
    if wanted_group.is_empty() {
        if let Some(name) = name {
            let member = |entry: &Vec<&str>| {
                entry.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
            };
            let of_user = entries(group).filter(member);
            groups.extend(of_user.filter_map(|entry| number(entry.get(2)?)));
        }
    } else {
        found.gid = find_group(group, wanted_group)?;
    }
    for name in more {
        groups.push(find_group(group, name)?);
    }
    // The primary group is among them (CVE-2022-36109).
    found.additional_gids = vec![found.gid];
    found.additional_gids.extend(groups);
    let ids = found.additional_gids.iter().chain([&found.uid]);
    if ids.into_iter().any(|id| *id > MAX_ID) {
        return Err(UserError::Range);
    }
    Ok(found)
}

fn find_group(group: &str, name: &str) -> Result<u32, UserError> {
    let entry = entries(group).find(|entry| entry.first() == Some(&name));
    if let Some(gid) = entry.and_then(|entry| entry.get(2)?.parse().ok()) {
        return Ok(gid);
    }
    if is_number(name) {
        return name.parse().map_err(|_| UserError::Range);
    }
    Err(UserError::NoGroup { name: name.into() })
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.trim().split(':').collect())
}

/// A file of the container; empty where there is none, or what is there is no plain file.
fn file(root: BorrowedFd<'_>, path: &str) -> std::io::Result<String> {
    let Some(file) = open(root, path)? else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    std::fs::File::from(file).take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn open(root: BorrowedFd<'_>, path: &str) -> std::io::Result<Option<OwnedFd>> {
    // A FIFO that was put there must not hold anybody up.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root, path, flags, Mode::empty(), inside) {
        Ok(file) => {
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
            Ok((kind == FileType::RegularFile).then_some(file))
        }
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::{find, resolve};

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1001::/home/ann:/bin/sh\n12:x:13:14::/:\n";
    const GROUP: &str = "root:x:0:\nann:x:1001:\nwheel:x:10:ann,bob\ndocker:x:999:ann\n77:x:78:\n";

    fn ids(text: &str, more: &[&str]) -> Result<(u32, u32, Vec<u32>), String> {
        let more: Vec<String> = more.iter().map(|name| (*name).to_owned()).collect();
        find(PASSWD, GROUP, text, &more)
            .map(|user| (user.uid, user.gid, user.additional_gids))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn users() {
        for (text, more, uid, gid, groups) in [
            ("", &[][..], 0, 0, &[0][..]),
            ("ann", &[], 1000, 1001, &[1001, 10, 999]),
            ("1000", &[], 1000, 1001, &[1001, 10, 999]),
            ("ann:wheel", &[], 1000, 10, &[10]),
            ("5:6", &[], 5, 6, &[6]),
            ("5", &["wheel", "88"], 5, 0, &[0, 10, 88]),
            ("12", &[], 13, 14, &[14]),
            ("0:77", &[], 0, 78, &[78]),
        ] {
            assert_eq!(ids(text, more), Ok((uid, gid, groups.to_vec())), "{text}");
        }
    }

    #[test]
    fn nobody() {
        for (text, message) in [
            ("bob", "unable to find user bob: no matching entries in passwd file"),
            ("ann:x", "unable to find group x: no matching entries in group file"),
            ("-1", "uids and gids must be in range 0-2147483647"),
            ("4294967295", "uids and gids must be in range 0-2147483647"),
            ("99999999999", "uids and gids must be in range 0-2147483647"),
            ("0:-5", "uids and gids must be in range 0-2147483647"),
        ] {
            assert_eq!(ids(text, &[]), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn hostile_files() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        let fd = std::fs::File::open(root.path()).unwrap();
        assert_eq!(resolve(fd.as_fd(), "7", &[]).unwrap().uid, 7);
        // A link leads nowhere outside, a FIFO holds nobody up.
        std::os::unix::fs::symlink("/etc/passwd", etc.join("passwd")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, etc.join("group"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(resolve(fd.as_fd(), "root", &[]).is_err());
        assert_eq!(resolve(fd.as_fd(), "0", &[]).unwrap().uid, 0);
    }
}
