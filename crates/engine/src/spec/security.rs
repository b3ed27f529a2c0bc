//! `--security-opt`.

use longshore_types::container::HostConfig;

use super::Settings;

/// What the words of `SecurityOpt` say together; of two that contradict the last one stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Security {
    pub(super) no_new_privileges: bool,
    pub(super) writable_cgroups: Option<bool>,
    /// Empty for the default.
    pub(super) apparmor: String,
    /// Empty for the default, `unconfined`, `builtin`, or the text of a profile.
    pub(super) seccomp: String,
    /// Without this, `MaskedPaths` and `ReadonlyPaths` count.
    pub(super) paths_unconfined: bool,
}

/// Words that mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    #[error("invalid --security-opt 1: {word:?}")]
    NoValue { word: String },
    #[error("invalid --security-opt 2: {word:?}")]
    Unknown { word: String },
}

pub(super) fn parse(config: &HostConfig, settings: &Settings) -> Result<Security, SecurityError> {
    let mut security = Security { no_new_privileges: settings.no_new_privileges, ..Security::default() };
    for word in config.security_opt.iter().flatten() {
        match word.as_str() {
            "no-new-privileges" => security.no_new_privileges = true,
            "writable-cgroups" => security.writable_cgroups = Some(true),
            // SELinux labels, which have no meaning on a host without it.
            "disable" => {}
            _ => {
                let separator = if word.contains('=') { '=' } else { ':' };
                let unknown = || SecurityError::Unknown { word: word.clone() };
                let (key, value) = word
                    .split_once(separator)
                    .ok_or_else(|| SecurityError::NoValue { word: word.clone() })?;
                match key {
                    "label" => {}
                    "apparmor" => value.clone_into(&mut security.apparmor),
                    "seccomp" => value.clone_into(&mut security.seccomp),
                    "no-new-privileges" => security.no_new_privileges = boolean(value).ok_or_else(unknown)?,
                    "writable-cgroups" => {
                        security.writable_cgroups = Some(boolean(value).ok_or_else(unknown)?);
                    }
                    // The command line turns it into empty lists of paths; others may send it as it is.
                    "systempaths" if value == "unconfined" => security.paths_unconfined = true,
                    _ => return Err(unknown()),
                }
            }
        }
    }
    Ok(security)
}

/// As Go reads it.
pub(super) fn boolean(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use longshore_types::container::HostConfig;

    use super::{Security, parse};
    use crate::spec::Settings;

    fn read(words: &[&str]) -> Result<Security, String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let config = HostConfig { security_opt: Some(words), ..HostConfig::default() };
        parse(&config, &Settings::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn words() {
        let none = Security::default();
        for (words, security) in [
            (&[][..], none.clone()),
            (&["no-new-privileges"], Security { no_new_privileges: true, ..none.clone() }),
            (&["no-new-privileges:true", "no-new-privileges=0"], none.clone()),
            (&["seccomp=unconfined"], Security { seccomp: "unconfined".into(), ..none.clone() }),
            (&["seccomp:{\"a\":\"b\"}"], Security { seccomp: "{\"a\":\"b\"}".into(), ..none.clone() }),
            (&["apparmor:x"], Security { apparmor: "x".into(), ..none.clone() }),
            (&["label=disable", "disable", "label:type:svirt"], none.clone()),
            (&["writable-cgroups=false"], Security { writable_cgroups: Some(false), ..none.clone() }),
            (&["systempaths=unconfined"], Security { paths_unconfined: true, ..none }),
        ] {
            assert_eq!(read(words), Ok(security), "{words:?}");
        }
    }

    #[test]
    fn nonsense() {
        for (word, message) in [
            ("x", "invalid --security-opt 1: \"x\""),
            ("x=y", "invalid --security-opt 2: \"x=y\""),
            ("no-new-privileges=maybe", "invalid --security-opt 2: \"no-new-privileges=maybe\""),
            ("systempaths=x", "invalid --security-opt 2: \"systempaths=x\""),
        ] {
            assert_eq!(read(&[word]), Err(message.to_owned()));
        }
    }
}
