//! Running `docker-credential-<name>`, the programs that keep passwords outside of `config.json`.

use std::{process::Stdio, time::Duration};

use longshore_types::Kind;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

use super::Account;
use crate::{Secret, error::shown};

/// How long a program may think; it may have to ask a person.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// The answer of every helper that has nothing for a host.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The name that marks the secret as an identity token.
const TOKEN_USER: &str = "<token>";

/// Why a credential helper gave no answer. Nothing else is tried then: a password must not go astray because the
/// program that knows better is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelperError {
    #[error("credential helper {name:?} has a name that is no part of a program's name")]
    Name { name: String },
    #[error("credential helper docker-credential-{name}: {message}")]
    Start { name: String, message: String },
    #[error("credential helper docker-credential-{name} failed for {host}: {message}")]
    Failed { name: String, host: String, message: String },
    #[error("credential helper docker-credential-{name} did not answer for {host} within {} s", PATIENCE.as_secs())]
    Slow { name: String, host: String },
    #[error("credential helper docker-credential-{name} gave no usable answer for {host}")]
    Answer { name: String, host: String },
}

impl HelperError {
    /// What it means to whoever asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Name { .. } => Kind::InvalidInput,
            Self::Start { .. } | Self::Failed { .. } | Self::Answer { .. } => Kind::PermissionDenied,
            Self::Slow { .. } => Kind::Timeout,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: Secret,
}

/// Asks the helper called `name` for the account of `host`.
pub(super) async fn ask(name: &str, host: &str) -> Result<Option<Account>, HelperError> {
    let is_word = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(is_word) {
        return Err(HelperError::Name { name: shown(name) });
    }
    let slow = || HelperError::Slow { name: name.to_owned(), host: host.to_owned() };
    timeout(PATIENCE, run(name, host)).await.map_err(|_| slow())?
}

async fn run(name: &str, host: &str) -> Result<Option<Account>, HelperError> {
    let start =
        |error: std::io::Error| HelperError::Start { name: name.to_owned(), message: error.to_string() };
    let mut child = Command::new(format!("docker-credential-{name}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read has its own reason; what counts is its answer.
        drop(input.write_all(host.as_bytes()).await);
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(MAX_ANSWER + 1).read_to_end(&mut answer).await.map_err(start)?;
    }
    let unusable = || HelperError::Answer { name: name.to_owned(), host: host.to_owned() };
    if answer.len() as u64 > MAX_ANSWER {
        return Err(unusable());
    }
    let status = child.wait().await.map_err(start)?;
    if !status.success() {
        let message = String::from_utf8_lossy(&answer);
        if message.trim() == NOT_FOUND {
            return Ok(None);
        }
        let message = if message.trim().is_empty() { status.to_string() } else { shown(&message) };
        return Err(HelperError::Failed { name: name.to_owned(), host: host.to_owned(), message });
    }
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| unusable())?;
    Ok(match (answer.username.as_str(), answer.secret) {
        ("", secret) if secret.is_empty() => None,
        (TOKEN_USER, token) => Some(Account::IdentityToken { token }),
        (_, password) => Some(Account::Password { user: answer.username, password }),
    })
}
