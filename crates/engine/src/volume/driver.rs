//! The local driver's options: what is mounted where the files of a volume are.

use std::{collections::BTreeMap, ffi::CString, io, path::Path};

use rustix::{
    io::Errno,
    mount::{MountFlags, UnmountFlags},
};

use super::{Error, Result};

const OPTIONS: [&str; 4] = ["device", "o", "size", "type"];
const NEEDED: [(&str, &[&str]); 3] =
    [("device", &["type"]), ("type", &["device"]), ("o", &["device", "type"])];

/// Checks what the driver is told.
pub(super) fn check(name: &str, options: &BTreeMap<String, String>) -> Result<()> {
    if let Some(option) = options.keys().find(|option| !OPTIONS.contains(&option.as_str())) {
        return Err(Error::Option { name: name.into(), option: option.clone() });
    }
    if options.get("size").is_some_and(|size| !size.trim_start_matches('0').is_empty()) {
        return Err(Error::Quota { name: name.into() });
    }
    for (option, needed) in NEEDED {
        if !options.contains_key(option) {
            continue;
        }
        if let Some(option) = needed.iter().find(|option| !options.contains_key(**option)) {
            return Err(Error::MissingOption { name: name.into(), option });
        }
    }
    Ok(())
}

/// Words of `o` that are flags; all others are the file system's own.
const FLAGS: [(&str, MountFlags, bool); 20] = [
    ("ro", MountFlags::RDONLY, true),
    ("rw", MountFlags::RDONLY, false),
    ("suid", MountFlags::NOSUID, false),
    ("nosuid", MountFlags::NOSUID, true),
    ("dev", MountFlags::NODEV, false),
    ("nodev", MountFlags::NODEV, true),
    ("exec", MountFlags::NOEXEC, false),
    ("noexec", MountFlags::NOEXEC, true),
    ("sync", MountFlags::SYNCHRONOUS, true),
    ("async", MountFlags::SYNCHRONOUS, false),
    ("dirsync", MountFlags::DIRSYNC, true),
    ("atime", MountFlags::NOATIME, false),
    ("noatime", MountFlags::NOATIME, true),
    ("diratime", MountFlags::NODIRATIME, false),
    ("nodiratime", MountFlags::NODIRATIME, true),
    ("relatime", MountFlags::RELATIME, true),
    ("norelatime", MountFlags::RELATIME, false),
    ("strictatime", MountFlags::STRICTATIME, true),
    ("nostrictatime", MountFlags::STRICTATIME, false),
    ("defaults", MountFlags::empty(), true),
];

/// Mounts what the options say at `data`, unless something is mounted there.
pub(super) fn mount(options: &BTreeMap<String, String>, data: &Path) -> Result<()> {
    if is_mounted(data) {
        return Ok(());
    }
    let word = |name: &str| options.get(name).map_or("", String::as_str);
    mount_at(word("type"), word("device"), word("o"), data).map_err(|source| {
        // The message may be shown to others than those who know the password.
        Error::Mount { path: data.to_owned(), source }
    })
}

fn mount_at(kind: &str, device: &str, words: &str, data: &Path) -> io::Result<()> {
    let (mut flags, mut bind, mut rest) = (MountFlags::empty(), None, Vec::new());
    for word in words.split(',').filter(|word| !word.is_empty()) {
        match (FLAGS.iter().find(|(name, ..)| *name == word), word) {
            (Some((_, flag, true)), _) => flags |= *flag,
            (Some((_, flag, false)), _) => flags &= !*flag,
            (None, "bind") => bind = Some(false),
            (None, "rbind") => bind = Some(true),
            // Propagation of a volume is that of its containers' mounts.
            (None, "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave") => {}
            (None, word) => rest.push(resolve(kind, word)),
        }
    }
    if let Some(recursive) = bind {
        if recursive {
            rustix::mount::mount_bind_recursive(device, data)?;
        } else {
            rustix::mount::mount_bind(device, data)?;
        }
        if !flags.is_empty() {
            rustix::mount::mount_remount(data, MountFlags::BIND | flags, "")?;
        }
        return Ok(());
    }
    let rest = CString::new(rest.join(","))?;
    Ok(rustix::mount::mount(device, data, kind, flags, Some(rest.as_c_str()))?)
}

/// The kernel wants the address of a server as a number.
fn resolve(kind: &str, word: &str) -> String {
    use std::net::ToSocketAddrs;
    let Some(host) = word.strip_prefix("addr=").filter(|_| matches!(kind, "nfs" | "nfs4" | "cifs")) else {
        return word.to_owned();
    };
    let found = (host, 0).to_socket_addrs().ok().and_then(|mut found| found.next());
    found.map_or_else(|| word.to_owned(), |address| format!("addr={}", address.ip()))
}

/// Takes away what is mounted at `data`, if anything is.
pub(super) fn unmount(data: &Path) -> Result<()> {
    match rustix::mount::unmount(data, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(errno) => Err(super::io("unmount", data)(errno)),
    }
}

fn is_mounted(path: &Path) -> bool {
    let id = |path: &Path| {
        let flags = rustix::fs::AtFlags::empty();
        rustix::fs::statx(rustix::fs::CWD, path, flags, rustix::fs::StatxFlags::MNT_ID)
            .map(|s| s.stx_mnt_id)
            .ok()
    };
    path.parent().is_some_and(|parent| id(path) != id(parent))
}
