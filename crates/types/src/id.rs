use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest container ID accepted, in bytes: it must fit a file name with a suffix.
const MAX_LEN: usize = 200;

/// The name of a container as its runtime knows it, safe to use as a file and cgroup name.
///
/// The rule is runc's (`libcontainer/factory_linux.go`): letters, digits, `_`, `+`, `-` and `.`,
/// not empty, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

/// Why a string is no container ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContainerIdError {
    #[error("container ID is empty")]
    Empty,
    #[error("container ID has {len} bytes, more than {MAX_LEN}")]
    TooLong { len: usize },
    #[error("container ID {id:?} has a character other than letters, digits and _+-.")]
    BadCharacter { id: String },
    #[error("container ID {id:?} is a directory's own name")]
    Dots { id: String },
}

impl ContainerId {
    /// Checks `id` and takes it.
    pub fn new(id: impl Into<String>) -> Result<Self, ContainerIdError> {
        let id = id.into();
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"_+-.".contains(&c);
        match id.as_str() {
            "" => Err(ContainerIdError::Empty),
            s if s.len() > MAX_LEN => Err(ContainerIdError::TooLong { len: s.len() }),
            s if !s.bytes().all(allowed) => Err(ContainerIdError::BadCharacter { id }),
            "." | ".." => Err(ContainerIdError::Dots { id }),
            _ => Ok(Self(id)),
        }
    }

    /// The ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ContainerId {
    type Error = ContainerIdError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::{ContainerId, ContainerIdError};

    #[test]
    fn takes_what_runc_takes() {
        for id in ["a", "web_1", "x+y-z.0", "...", "-", &"a".repeat(200)] {
            assert_eq!(ContainerId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn refuses_anything_that_could_leave_its_directory() {
        for (id, error) in [
            ("", ContainerIdError::Empty),
            (".", ContainerIdError::Dots { id: ".".into() }),
            ("..", ContainerIdError::Dots { id: "..".into() }),
            ("a/b", ContainerIdError::BadCharacter { id: "a/b".into() }),
            ("a\0", ContainerIdError::BadCharacter { id: "a\0".into() }),
            ("é", ContainerIdError::BadCharacter { id: "é".into() }),
        ] {
            assert_eq!(ContainerId::new(id), Err(error));
        }
        assert_eq!(ContainerId::new("a".repeat(201)), Err(ContainerIdError::TooLong { len: 201 }));
    }
}
