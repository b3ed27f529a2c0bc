use std::path::{Path, PathBuf};

use longshore_runtime::state::Root;

use super::{
    failure::Failure,
    flag::{Arguments, Flag, Matches, Syntax, UsageError},
    log::{Format, Log},
};

/// The flags before the command.
pub(super) const SYNTAX: Syntax = Syntax {
    command: "longshore-runtime",
    flags: &[&[
        Flag::switch("debug", "log what is done"),
        Flag::value("log", "file", "append messages to FILE instead of writing them to stderr"),
        Flag::value("log-format", "format", "form of the messages: text or json"),
        Flag::value("root", "directory", "where the state of containers is kept, on a tmpfs"),
        Flag::switch("systemd-cgroup", "let systemd make the cgroups; cgroupsPath is \"slice:prefix:name\""),
        Flag::value("rootless", "when", "ignore cgroup permission errors: true, false or auto"),
        Flag::value("criu", "path", "ignored").hidden(),
        Flag::switch("version", "print the version").short('v'),
    ]],
    arguments: Arguments::AtLeast(0),
    flags_first: true,
};

/// What the global flags decide for every command.
#[derive(Debug)]
pub(super) struct Global {
    pub(super) root: Root,
    pub(super) log: Log,
    pub(super) systemd_cgroup: bool,
    /// The caller has no privileges of its own: cgroups that it may not touch are no error.
    pub(super) rootless: bool,
}

impl Global {
    /// Takes the values of the global flags and opens the log.
    pub(super) fn new(matches: &Matches) -> Result<Self, Failure> {
        let format = match matches.text("log-format") {
            None | Some("" | "text") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => {
                let (value, reason) = (other.into(), "neither text nor json".into());
                return Err(UsageError::BadValue { name: "log-format", value, reason }.into());
            }
        };
        let path = matches.owned::<PathBuf>("log");
        let log = Log::open(path.as_deref(), format, matches.has("debug"))
            .map_err(|source| Failure::File { action: "open log", path: path.unwrap_or_default(), source })?;
        if matches.text("criu").is_some() {
            log.warning("--criu is ignored: checkpoint and restore are not supported");
        }
        let rootless = match matches.text("rootless") {
            None | Some("" | "auto") => !is_root_of_the_host(),
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(other) => {
                let (value, reason) = (other.into(), "none of true, false and auto".into());
                return Err(UsageError::BadValue { name: "rootless", value, reason }.into());
            }
        };
        let root = match matches.owned::<PathBuf>("root") {
            Some(path) => absolute(&path)?,
            None => default_root(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), rootless),
        };
        let systemd_cgroup = matches.has("systemd-cgroup");
        Ok(Self { root: Root::new(root), log, systemd_cgroup, rootless })
    }
}

/// `path` below the current directory where it is relative.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|source| Failure::File { action: "resolve", path: path.into(), source })
}

fn default_root(runtime_dir: Option<PathBuf>, rootless: bool) -> PathBuf {
    match runtime_dir {
        Some(dir) if rootless && dir.is_absolute() => dir.join("longshore/runtime"),
        _ => PathBuf::from("/run/longshore/runtime"),
    }
}

/// Whether this is uid 0 of the initial user namespace, which alone maps every id to itself.
fn is_root_of_the_host() -> bool {
    rustix::process::geteuid().is_root()
        && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| maps_all_ids(&map))
}

fn maps_all_ids(uid_map: &str) -> bool {
    uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Global, SYNTAX, default_root, maps_all_ids};

    fn read(line: &str) -> Result<Global, String> {
        let matches = SYNTAX.read(&mut line.split_whitespace().map(Into::into)).unwrap();
        Global::new(&matches).map_err(|failure| failure.to_string())
    }

    #[test]
    fn values_are_checked() {
        assert!(read("--rootless=true").unwrap().rootless);
        assert!(!read("--rootless false").unwrap().rootless);
        assert!(read("--systemd-cgroup").unwrap().systemd_cgroup);
        assert!(!read("--systemd-cgroup=false").unwrap().systemd_cgroup);
        for (line, error) in [
            ("--log-format xml", "invalid value \"xml\" for flag -log-format: neither text nor json"),
            ("--rootless maybe", "invalid value \"maybe\" for flag -rootless: none of true, false and auto"),
            ("--log /nonexistent/log", "cannot open log /nonexistent/log"),
        ] {
            assert_eq!(read(line).unwrap_err(), error);
        }
    }

    #[test]
    fn the_root_follows_the_user() {
        let user = || Some(PathBuf::from("/run/user/1000"));
        for (dir, rootless, expected) in [
            (None, false, "/run/longshore/runtime"),
            (user(), false, "/run/longshore/runtime"),
            (None, true, "/run/longshore/runtime"),
            (user(), true, "/run/user/1000/longshore/runtime"),
            (Some(PathBuf::from("relative")), true, "/run/longshore/runtime"),
        ] {
            assert_eq!(default_root(dir, rootless), Path::new(expected));
        }
    }

    #[test]
    fn only_the_initial_user_namespace_maps_all_ids() {
        assert!(maps_all_ids("         0          0 4294967295\n"));
        assert!(!maps_all_ids("         0       1000          1\n"));
        assert!(!maps_all_ids("0 0 1\n1 1 4294967294\n"));
        assert!(!maps_all_ids(""));
    }
}
