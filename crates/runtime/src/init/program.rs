//! Finding the program to execute, and executing it.

use std::{ffi::CString, io};

use rustix::{
    fs::{Access, AtFlags, CWD, FileType, accessat},
    io::Errno,
};

/// The path search of programs without an environment `PATH` (runc's default).
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds `name` as `execvp` would, but tells a missing file from one that may not be executed.
pub(super) fn find(name: &CString, env: &[CString]) -> io::Result<CString> {
    if name.as_bytes().contains(&b'/') {
        executable(name)?;
        return Ok(name.clone());
    }
    if name.is_empty() {
        return Err(Errno::NOENT.into());
    }
    let path = env.iter().find_map(|pair| pair.as_bytes().strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    let mut denied = false;
    for directory in path.split(|c| *c == b':') {
        let mut candidate = if directory.is_empty() { b".".to_vec() } else { directory.to_vec() };
        candidate.push(b'/');
        candidate.extend(name.as_bytes());
        let candidate = CString::new(candidate)?;
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::ACCESS) => denied = true,
            Err(_) => {}
        }
    }
    if denied {
        return Err(Errno::ACCESS.into());
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "executable file not found in $PATH"))
}

fn executable(path: &CString) -> Result<(), Errno> {
    let status = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    // By the effective rights, as exec asks: a capability may stand in for a missing permission bit.
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}
