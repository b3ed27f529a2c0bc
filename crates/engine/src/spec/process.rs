//! The process of a container: what it executes, its environment and limits.

use longshore_runtime::spec::{Capabilities, ConsoleSize, Process, Rlimit};
use longshore_types::container::Ulimit;

use super::{
    Host, Inputs, apparmor,
    error::Error,
    mode::{self, Mode},
    mounts::INIT,
    security::Security,
};
use crate::container::Record;

/// Where programs are looked for unless an image says otherwise.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Names of limits that may be set, as after `RLIMIT_`, in small letters.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

pub(super) fn of(
    record: &Record,
    inputs: &Inputs<'_>,
    security: &Security,
    capabilities: Vec<String>,
    host: &Host,
) -> Result<Process, Error> {
    let config = &record.config;
    let mut args: Vec<String> = record.command().into_iter().map(str::to_owned).collect();
    if args.is_empty() {
        return Err(Error::NoCommand);
    }
    if has_init(record, inputs) {
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    let score = i32::try_from(record.host.oom_score_adj).unwrap_or(0);
    Ok(Process {
        terminal: config.tty,
        console_size: config.tty.then(|| console_size(record.host.console_size)).flatten(),
        user: inputs.user.clone(),
        args,
        env: environment(&config.hostname, config.tty, config.env.as_deref().unwrap_or_default()),
        cwd: if config.working_dir.is_empty() { "/".into() } else { config.working_dir.clone() },
        capabilities: Some(sets(capabilities)),
        rlimits: rlimits(record, inputs),
        no_new_privileges: security.no_new_privileges,
        apparmor_profile: if host.apparmor {
            apparmor_profile(record, security, host.apparmor_default)
        } else {
            String::new()
        },
        oom_score_adj: Some(score),
        ..Process::default()
    })
}

/// Whether an init of ours is to be the first process: not where another container's or the host's is.
pub(super) fn has_init(record: &Record, inputs: &Inputs<'_>) -> bool {
    let private = !matches!(mode::pid(&record.host.pid_mode), Some(Mode::Host | Mode::Container(_)));
    private && inputs.init.is_some() && record.host.init.unwrap_or(inputs.settings.init)
}

fn console_size([height, width]: [u64; 2]) -> Option<ConsoleSize> {
    let side = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
    (height > 0 && width > 0).then(|| ConsoleSize { height: side(height), width: side(width) })
}

/// For whoever is not root the kernel empties all but the bounding set at exec.
fn sets(capabilities: Vec<String>) -> Capabilities {
    Capabilities {
        bounding: capabilities.clone(),
        permitted: capabilities.clone(),
        effective: capabilities,
        ..Capabilities::default()
    }
}

fn apparmor_profile(record: &Record, security: &Security, has_default: bool) -> String {
    match security.apparmor.as_str() {
        "" if record.host.privileged => "unconfined".into(),
        "" if has_default => apparmor::DEFAULT.into(),
        // None could be loaded; the container runs under the daemon's.
        "" => String::new(),
        profile => profile.into(),
    }
}

/// The variables that every container has, then its own in the place of those: a name without a value takes one
/// away.
#[must_use]
pub fn environment(hostname: &str, terminal: bool, own: &[String]) -> Vec<String> {
    let mut all = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if terminal {
        all.push("TERM=xterm".into());
    }
    merge_environment(&mut all, own);
    all
}

/// The name of a variable, with its value or without.
pub(super) fn variable(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

/// Sets the variables of `own` in `all`; a name without a value takes one away.
pub fn merge_environment(all: &mut Vec<String>, own: &[String]) {
    for pair in own {
        let place = all.iter().position(|other| variable(other) == variable(pair));
        match (place, pair.contains('=')) {
            (Some(place), true) => all[place].clone_from(pair),
            (Some(place), false) => drop(all.remove(place)),
            (None, true) => all.push(pair.clone()),
            (None, false) => {}
        }
    }
}

/// Those of the container, and the daemon's that it does not name.
fn rlimits(record: &Record, inputs: &Inputs<'_>) -> Vec<Rlimit> {
    let own: Vec<&Ulimit> = record.host.resources.ulimits.iter().flatten().collect();
    let defaults = inputs.settings.ulimits.values();
    let more = defaults.filter(|limit| !own.iter().any(|other| other.name == limit.name));
    let limit = |limit: &Ulimit| Rlimit {
        kind: format!("RLIMIT_{}", limit.name.to_uppercase()),
        // −1 is none.
        hard: limit.hard.cast_unsigned(),
        soft: limit.soft.cast_unsigned(),
    };
    let mut limits: Vec<Rlimit> = Vec::new();
    for found in own.iter().copied().chain(more).map(limit) {
        limits.retain(|other| other.kind != found.kind);
        limits.push(found);
    }
    limits
}

/// Why a limit cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UlimitError {
    #[error("invalid ulimit type: {name}")]
    Unknown { name: String },
    #[error("ulimit soft limit must be less than or equal to hard limit: {} > {}", shown(*soft), shown(*hard))]
    SoftAboveHard { soft: i64, hard: i64 },
    #[error("invalid ulimit value for {name}: {value}, −1 (unlimited) is the lowest")]
    Negative { name: String, value: i64 },
}

fn shown(value: i64) -> String {
    if value == -1 { "unlimited".into() } else { value.to_string() }
}

/// Checks a limit.
pub fn check_ulimit(limit: &Ulimit) -> Result<(), UlimitError> {
    if !ULIMITS.contains(&limit.name.as_str()) {
        return Err(UlimitError::Unknown { name: limit.name.clone() });
    }
    for value in [limit.soft, limit.hard] {
        if value < -1 {
            return Err(UlimitError::Negative { name: limit.name.clone(), value });
        }
    }
    if limit.soft.cast_unsigned() > limit.hard.cast_unsigned() {
        return Err(UlimitError::SoftAboveHard { soft: limit.soft, hard: limit.hard });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longshore_types::container::Ulimit;

    use super::{PATH, check_ulimit, environment};

    #[test]
    fn variables() {
        let own = |list: &[&str]| list.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>();
        for (list, terminal, all) in [
            (&[][..], false, &[PATH, "HOSTNAME=h"][..]),
            (&[], true, &[PATH, "HOSTNAME=h", "TERM=xterm"]),
            (&["PATH=/x", "A=b=c"], false, &["PATH=/x", "HOSTNAME=h", "A=b=c"]),
            (&["PATH", "NEVER"], false, &["HOSTNAME=h"]),
            (&["A=1", "A=2"], false, &[PATH, "HOSTNAME=h", "A=2"]),
            (&["A=1\n2"], false, &[PATH, "HOSTNAME=h", "A=1\n2"]),
        ] {
            assert_eq!(environment("h", terminal, &own(list)), all, "{list:?}");
        }
    }

    #[test]
    fn limits() {
        let check = |name: &str, soft, hard| {
            let limit = Ulimit { name: name.into(), soft, hard };
            check_ulimit(&limit).map_err(|error| error.to_string())
        };
        assert_eq!(check("nofile", 1, 2), Ok(()));
        assert_eq!(check("nofile", 5, -1), Ok(()));
        assert_eq!(check("core", -1, -1), Ok(()));
        assert_eq!(check("as", 1, 2), Err("invalid ulimit type: as".into()));
        let above = "ulimit soft limit must be less than or equal to hard limit";
        assert_eq!(check("nofile", 3, 2), Err(format!("{above}: 3 > 2")));
        assert_eq!(check("nofile", -1, 2), Err(format!("{above}: unlimited > 2")));
        assert!(check("nofile", -2, 2).unwrap_err().contains("lowest"));
    }
}
