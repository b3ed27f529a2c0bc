//! The user's `config.json`: passwords in it, or the names of helpers that keep them.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use longshore_types::Kind;
use serde::{Deserialize, Deserializer};
use tokio::sync::OnceCell;

use super::{Account, credentials::RawAuth, program};
use crate::{Error, error::shown};

/// The longest `config.json`, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// What Docker Hub is called where passwords are kept.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Why there is no keychain. Never repeats what the file holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    #[error("{}: {message}", path.display())]
    File { path: PathBuf, message: String },
    #[error("{}: not valid JSON at line {line}", path.display())]
    Json { path: PathBuf, line: usize },
    #[error("{}: the entry of {host} under auths has no usable auth", path.display())]
    Entry { path: PathBuf, host: String },
}

impl KeychainError {
    /// Always the user's file.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawFile {
    #[serde(deserialize_with = "or_default")]
    auths: HashMap<String, RawAuth>,
    #[serde(deserialize_with = "or_default")]
    cred_helpers: HashMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    creds_store: String,
}

/// Accounts by host. Each helper is asked once per host.
#[derive(Clone, Default)]
pub struct Keychain(Arc<Content>);

#[derive(Default)]
struct Content {
    path: PathBuf,
    /// By normalised host. An entry that cannot be read is an error only for whoever needs it.
    auths: HashMap<String, Result<Option<Account>, ()>>,
    helpers: HashMap<String, String>,
    store: Option<String>,
    /// Guards the map; the cells are filled outside of the lock.
    asked: Mutex<HashMap<String, Arc<OnceCell<Option<Account>>>>>,
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keychain").field(&self.0.path).finish()
    }
}

impl Keychain {
    /// Reads `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; an absent file is an empty one.
    pub fn of_user() -> Result<Self, KeychainError> {
        let dir = std::env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
        dir.or_else(home).map_or_else(|| Ok(Self::default()), |dir| Self::read(&dir.join("config.json")))
    }

    /// Reads the file at `path`; an absent file is an empty one.
    pub fn read(path: &Path) -> Result<Self, KeychainError> {
        let fail = |message: String| KeychainError::File { path: path.to_owned(), message };
        match fs::metadata(path) {
            Ok(metadata) if metadata.len() > MAX_FILE => {
                Err(fail(format!("is larger than {MAX_FILE} bytes")))
            }
            Ok(_) => {
                let text = fs::read(path).map_err(|error| fail(error.to_string()))?;
                Self::parse(&text, path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(fail(error.to_string())),
        }
    }

    /// Reads `text` of the file at `path`.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, KeychainError> {
        let raw: RawFile = serde_json::from_slice(text)
            .map_err(|error| KeychainError::Json { path: path.to_owned(), line: error.line() })?;
        let accounts = raw.auths.into_iter().map(|(host, auth)| (normalized(&host), auth.account()));
        Ok(Self(Arc::new(Content {
            path: path.to_owned(),
            auths: accounts.collect(),
            helpers: raw.cred_helpers.into_iter().map(|(host, name)| (normalized(&host), name)).collect(),
            store: Some(raw.creds_store).filter(|name| !name.is_empty()),
            asked: Mutex::default(),
        })))
    }

    /// The account for `host`, which may have a port.
    pub(crate) async fn account(&self, host: &str) -> Result<Option<Account>, Error> {
        let host = normalized(host);
        let Some(name) = self.0.helpers.get(&host).or(self.0.store.as_ref()) else {
            let entry = self.0.auths.get(&host).cloned();
            let unusable = || KeychainError::Entry { path: self.0.path.clone(), host: shown(&host) };
            return Ok(entry.transpose().map_err(|()| unusable())?.flatten());
        };
        let cell = {
            let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.entry(host.clone()).or_default().clone()
        };
        let key = if host == HUB { HUB_KEY } else { &host };
        Ok(cell.get_or_try_init(|| program::ask(name, key)).await?.clone())
    }
}

/// The one name of Docker Hub's hosts.
const HUB: &str = "docker.io";

/// A host as keys of `auths` name it: without scheme and path, Docker Hub under one name.
pub(crate) fn normalized(key: &str) -> String {
    let key = key.trim().to_ascii_lowercase();
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(&key);
    let host = key.split('/').next().unwrap_or_default();
    match host {
        "index.docker.io" | "registry-1.docker.io" | HUB => HUB.to_owned(),
        host => host.to_owned(),
    }
}

/// What other tools write for nothing is `null`; takes it as that.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    reader: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Account, Keychain, normalized};
    use crate::Secret;

    fn parse(text: &str) -> Keychain {
        Keychain::parse(text.as_bytes(), Path::new("/c/config.json")).unwrap()
    }

    #[test]
    fn hosts_have_many_spellings() {
        for (key, host) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("https://reg.example/v2/", "reg.example"),
            ("http://Reg.example:5000", "reg.example:5000"),
            ("reg.example:5000/path", "reg.example:5000"),
        ] {
            assert_eq!(normalized(key), host);
        }
    }

    #[tokio::test]
    async fn accounts_are_those_of_their_host() {
        let keychain = parse(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOnNlY3JldA=="},
                "reg.example:5000": {"username": "u", "password": "p"},
                "token.example": {"identitytoken": "t"},
                "empty.example": {},
                "bad.example": {"auth": "%%%"}
            }, "credHelpers": null, "HttpHeaders": {"a": "b"}}"#,
        );
        let password = |user: &str, password: &str| {
            Some(Account::Password { user: user.into(), password: Secret::new(password) })
        };
        assert_eq!(keychain.account("docker.io").await.unwrap(), password("hub", "secret"));
        assert_eq!(keychain.account("reg.example:5000").await.unwrap(), password("u", "p"));
        for none in ["reg.example", "reg.example:5001", "example", "empty.example"] {
            assert_eq!(keychain.account(none).await.unwrap(), None, "{none}");
        }
        let token = Some(Account::IdentityToken { token: Secret::new("t") });
        assert_eq!(keychain.account("token.example").await.unwrap(), token);
        let error = keychain.account("bad.example").await.unwrap_err().to_string();
        assert_eq!(error, "/c/config.json: the entry of bad.example under auths has no usable auth");
    }

    #[test]
    fn a_broken_file_is_named_and_not_shown() {
        let error = Keychain::parse(b"{\n\"auths\": {\"hunter2", Path::new("/c")).unwrap_err().to_string();
        assert_eq!(error, "/c: not valid JSON at line 2");
        assert!(!format!("{:?}", parse(r#"{"auths":{"a":{"password":"hunter2"}}}"#)).contains("hunter2"));
    }
}
