//! Certificates for a host, in the form of Docker's `certs.d/<host[:port]>/`: `*.crt` are CAs, `name.cert` with
//! `name.key` is a client certificate.
//!
//! A directory or file that somebody but root or ourselves could have written is left alone, with a warning: who can
//! name a CA can read every password.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::ConfigError;

/// How to speak TLS with a host. Equal ones share connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tls {
    /// PEM files of CAs, beside the system's.
    pub(crate) authorities: Vec<PathBuf>,
    /// PEM files of a certificate and its key, which may be one file.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Take any certificate.
    pub(crate) skip_verify: bool,
}

/// Adds to `tls` what `dirs` have for `host`, with its port if it was given one.
pub(crate) fn add(tls: &mut Tls, dirs: &[PathBuf], host: &str) -> Result<(), ConfigError> {
    for dir in dirs {
        let dir = dir.join(host);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            Err(error) => return Err(ConfigError::File { path: dir, message: error.to_string() }),
        };
        if !is_trusted(&dir) {
            continue;
        }
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("crt") if is_trusted(&file) => tls.authorities.push(file),
                Some("cert") if is_trusted(&file) => {
                    let key = file.with_extension("key");
                    if !key.exists() {
                        let message = format!("has no key: expected {}", key.display());
                        return Err(ConfigError::File { path: file, message });
                    }
                    tls.identity.get_or_insert((file, key));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether only root and ourselves can have written `path`.
pub(crate) fn is_trusted(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    let ours = fs::metadata("/proc/self").map_or(0, |own| own.uid());
    let trusted = (metadata.uid() == 0 || metadata.uid() == ours) && metadata.mode() & 0o022 == 0;
    if !trusted {
        tracing::warn!(path = %path.display(), "left alone: users other than root can write to it");
    }
    trusted
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::{Tls, add};

    #[test]
    fn finds_authorities_and_identities() {
        let dir = tempfile::tempdir().unwrap();
        let host = dir.path().join("reg.example:5000");
        fs::create_dir(&host).unwrap();
        for name in ["ca.crt", "b.crt", "client.cert", "client.key", "README"] {
            fs::write(host.join(name), "x").unwrap();
        }
        let dirs = [dir.path().to_owned(), dir.path().join("absent")];
        let mut tls = Tls::default();
        add(&mut tls, &dirs, "reg.example:5000").unwrap();
        assert_eq!(tls.authorities, [host.join("b.crt"), host.join("ca.crt")]);
        assert_eq!(tls.identity, Some((host.join("client.cert"), host.join("client.key"))));

        let mut other = Tls::default();
        add(&mut other, &dirs, "reg.example").unwrap();
        assert_eq!(other, Tls::default());

        fs::remove_file(host.join("client.key")).unwrap();
        let error = add(&mut Tls::default(), &dirs, "reg.example:5000").unwrap_err();
        assert!(error.to_string().contains("has no key"), "{error}");
    }

    #[test]
    fn c10_119_what_others_can_write_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let host = dir.path().join("reg.example");
        fs::create_dir(&host).unwrap();
        fs::write(host.join("ca.crt"), "x").unwrap();
        let dirs = [dir.path().to_owned()];
        let count = || {
            let mut tls = Tls::default();
            add(&mut tls, &dirs, "reg.example").unwrap();
            tls.authorities.len()
        };
        assert_eq!(count(), 1);
        fs::set_permissions(host.join("ca.crt"), fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(count(), 0);
        fs::set_permissions(host.join("ca.crt"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&host, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(count(), 0);
    }
}
