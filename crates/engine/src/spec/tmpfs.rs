//! `--tmpfs`: options in the order in which they were given, the last of two that contradict.

use longshore_runtime::spec::Mount;

use super::point::DEFAULT_PROPAGATION;

/// A word that is no option of a tmpfs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid tmpfs option {option:?}")]
pub struct TmpfsError {
    pub option: String,
}

/// Flags, two that contradict in one row; the last row is propagation, of which one word stands.
const FLAGS: [&[&str]; 12] = [
    &["ro", "rw"],
    &["suid", "nosuid"],
    &["dev", "nodev"],
    &["exec", "noexec"],
    &["sync", "async"],
    &["dirsync"],
    &["atime", "noatime"],
    &["diratime", "nodiratime"],
    &["relatime", "norelatime"],
    &["strictatime", "nostrictatime"],
    &["mand", "nomand"],
    &["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"],
];

/// Options with a value.
const VALUES: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

/// The mount at `destination` with the options that every tmpfs has, and these after them.
pub(super) fn mount<'a>(
    destination: String,
    options: impl IntoIterator<Item = &'a str>,
) -> Result<Mount, TmpfsError> {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    let all = ["noexec", "nosuid", "nodev", DEFAULT_PROPAGATION].into_iter().chain(options);
    for option in all.filter(|option| !matches!(*option, "" | "defaults")) {
        let row = FLAGS.iter().find(|row| row.contains(&option)).map(|row| row[0]);
        let key = match (row, option.split_once('=')) {
            (Some(row), _) => row,
            (None, Some((name, _))) if VALUES.contains(&name) => name,
            (None, other) => {
                let option = other.map_or(option, |(name, _)| name).to_owned();
                return Err(TmpfsError { option });
            }
        };
        kept.retain(|(other, _)| *other != key);
        kept.push((key, option));
    }
    Ok(Mount {
        destination,
        kind: "tmpfs".into(),
        source: "tmpfs".into(),
        options: kept.into_iter().map(|(_, option)| option.to_owned()).collect(),
        ..Mount::default()
    })
}

#[cfg(test)]
mod tests {
    use super::mount;

    #[test]
    fn options() {
        for (text, options) in [
            ("", &["noexec", "nosuid", "nodev", "rprivate"][..]),
            ("exec,size=1m", &["nosuid", "nodev", "rprivate", "exec", "size=1m"]),
            ("size=1m,size=2m,mode=700", &["noexec", "nosuid", "nodev", "rprivate", "size=2m", "mode=700"]),
            ("ro,rw,defaults,slave", &["noexec", "nosuid", "nodev", "rw", "slave"]),
            // The kernel says what it thinks of it.
            ("size=-1", &["noexec", "nosuid", "nodev", "rprivate", "size=-1"]),
        ] {
            assert_eq!(mount("/x".into(), text.split(',')).unwrap().options, options, "{text}");
        }
    }

    #[test]
    fn what_is_no_option() {
        for (text, name) in [("x", "x"), ("x=1", "x"), ("size", "size"), ("bind", "bind")] {
            let message = mount("/x".into(), [text]).unwrap_err().to_string();
            assert_eq!(message, format!("invalid tmpfs option {name:?}"));
        }
    }
}
