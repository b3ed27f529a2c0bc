use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use longshore_types::Kind;
use serde::Deserialize;

use super::{Keychain, KeychainError};
use crate::{Error, Secret};

/// The longest encoded value that is read.
const MAX_ENCODED: usize = 64 << 10;

/// Proof of identity for one host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// A name and a password.
    Password { user: String, password: Secret },
    /// What a login gave in place of a password; exchanged for tokens at the registry's token server.
    IdentityToken { token: Secret },
    /// A token that is sent as it is.
    RegistryToken { token: Secret },
}

impl Account {
    /// Everything that must not appear in a message.
    pub(crate) fn redact(&self, text: &str) -> String {
        match self {
            Self::Password { password, .. } => password.redact(text),
            Self::IdentityToken { token } | Self::RegistryToken { token } => token.redact(text),
        }
    }

    /// The value of an `Authorization` header of scheme Basic.
    pub(crate) fn basic(user: &str, password: &Secret) -> Secret {
        let encoded = engine(&STANDARD).encode(format!("{user}:{}", password.expose()));
        Secret::new(format!("Basic {encoded}"))
    }
}

/// Where proof of identity comes from.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Nowhere.
    #[default]
    Anonymous,
    /// From the caller, for the registry of the image and for no mirror of it.
    Given(Account),
    /// From the user's `config.json`, for each host its own.
    Keychain(Keychain),
}

/// Why a header of the caller holds no credentials. Never repeats any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error("X-Registry-Auth is longer than {MAX_ENCODED} bytes")]
    TooLong,
    #[error("X-Registry-Auth is not base64url")]
    Encoding,
    #[error("X-Registry-Auth does not hold an object of credentials in JSON")]
    Json,
}

impl CredentialsError {
    /// Always the caller's input.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}

/// An entry of `auths` and the content of `X-Registry-Auth` (Docker's `AuthConfig`).
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RawAuth {
    #[serde(deserialize_with = "super::keychain::or_default")]
    username: String,
    #[serde(deserialize_with = "super::keychain::or_default")]
    password: Secret,
    #[serde(deserialize_with = "super::keychain::or_default")]
    auth: Secret,
    #[serde(deserialize_with = "super::keychain::or_default")]
    identitytoken: Secret,
    #[serde(deserialize_with = "super::keychain::or_default")]
    registrytoken: Secret,
}

impl RawAuth {
    /// The account in it; the strongest form wins, as in Docker.
    pub(super) fn account(self) -> Result<Option<Account>, ()> {
        if !self.registrytoken.is_empty() {
            return Ok(Some(Account::RegistryToken { token: self.registrytoken }));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(Account::IdentityToken { token: self.identitytoken }));
        }
        if !self.auth.is_empty() {
            let pair = decode(&STANDARD, self.auth.expose()).ok_or(())?;
            let pair = String::from_utf8(pair).map_err(|_| ())?;
            let (user, password) = pair.split_once(':').ok_or(())?;
            // Docker once padded passwords with zeros.
            let password = Secret::new(password.trim_end_matches('\0'));
            return Ok(Some(Account::Password { user: user.to_owned(), password }));
        }
        if self.username.is_empty() && self.password.is_empty() {
            return Ok(None);
        }
        Ok(Some(Account::Password { user: self.username, password: self.password }))
    }
}

impl Credentials {
    /// A name and a password.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Given(Account::Password { user: user.into(), password: Secret::new(password) })
    }

    /// Reads the value of an `X-Registry-Auth` header; without one, or with an empty object, there are none.
    pub fn from_header(value: &str) -> Result<Self, CredentialsError> {
        let value = value.trim();
        if value.len() > MAX_ENCODED {
            return Err(CredentialsError::TooLong);
        }
        if value.is_empty() {
            return Ok(Self::Anonymous);
        }
        let decoded = decode(&URL_SAFE, value).or_else(|| decode(&STANDARD, value));
        let decoded = decoded.ok_or(CredentialsError::Encoding)?;
        let raw: Option<RawAuth> = serde_json::from_slice(&decoded).map_err(|_| CredentialsError::Json)?;
        let account = raw.unwrap_or_default().account().map_err(|()| CredentialsError::Json)?;
        Ok(account.map_or(Self::Anonymous, Self::Given))
    }

    /// The account for `host`; `own` says whether that is the registry of the image's name, and not a mirror.
    pub(crate) async fn account(&self, host: &str, own: bool) -> Result<Option<Account>, Error> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Given(account) => Ok(own.then(|| account.clone())),
            Self::Keychain(keychain) => keychain.account(host).await,
        }
    }
}

impl From<Keychain> for Credentials {
    fn from(keychain: Keychain) -> Self {
        Self::Keychain(keychain)
    }
}

impl From<KeychainError> for CredentialsError {
    fn from(_: KeychainError) -> Self {
        Self::Json
    }
}

const fn engine(alphabet: &base64::alphabet::Alphabet) -> GeneralPurpose {
    // People and tools differ about padding.
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

fn decode(alphabet: &base64::alphabet::Alphabet, text: &str) -> Option<Vec<u8>> {
    engine(alphabet).decode(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use base64::{
        Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE, prelude::BASE64_URL_SAFE_NO_PAD,
    };

    use super::{Account, Credentials, CredentialsError};
    use crate::Secret;

    fn header(json: &str) -> Result<Credentials, CredentialsError> {
        Credentials::from_header(&BASE64_URL_SAFE.encode(json))
    }

    fn account(json: &str) -> Option<Account> {
        match header(json).unwrap() {
            Credentials::Given(account) => Some(account),
            _ => None,
        }
    }

    #[test]
    fn headers_of_all_kinds() {
        let password = Some(Account::Password { user: "u".into(), password: Secret::new("p:w") });
        assert_eq!(account(r#"{"username":"u","password":"p:w","serveraddress":"x"}"#), password);
        let auth = BASE64_STANDARD.encode("u:p:w");
        assert_eq!(account(&format!(r#"{{"auth":"{auth}","email":null}}"#)), password);
        let token = |name: &str| account(&format!(r#"{{"username":"u","password":"p","{name}":"t"}}"#));
        assert_eq!(token("identitytoken"), Some(Account::IdentityToken { token: Secret::new("t") }));
        assert_eq!(token("registrytoken"), Some(Account::RegistryToken { token: Secret::new("t") }));
        for nothing in ["{}", r#"{"auth":""}"#, "null", r#"{"username":null}"#] {
            assert_eq!(account(nothing), None, "{nothing}");
        }
        assert!(matches!(Credentials::from_header(""), Ok(Credentials::Anonymous)));
        let bare = BASE64_URL_SAFE_NO_PAD.encode(r#"{"username":"u?>","password":"p"}"#);
        assert!(matches!(Credentials::from_header(&bare), Ok(Credentials::Given(_))));
    }

    #[test]
    fn headers_that_are_refused_are_not_repeated() {
        for (value, error) in [
            ("!hunter2!".to_owned(), CredentialsError::Encoding),
            (BASE64_STANDARD.encode("hunter2"), CredentialsError::Json),
            (BASE64_STANDARD.encode("[1]"), CredentialsError::Json),
            (BASE64_STANDARD.encode(r#"{"auth":"hunter2"}"#), CredentialsError::Json),
            ("a".repeat(1 << 20), CredentialsError::TooLong),
        ] {
            let found = Credentials::from_header(&value).unwrap_err();
            assert_eq!(found, error);
            assert!(!found.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn debug_hides_secrets() {
        let credentials = Credentials::password("u", "hunter2");
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
