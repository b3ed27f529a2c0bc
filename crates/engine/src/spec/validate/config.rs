use longshore_types::container::{Config, HealthConfig};

use super::Invalid;
use crate::spec::point;

/// The shortest duration of a health check, in nanoseconds.
const MIN_DURATION: i64 = 1_000_000;
/// The longest host name, in bytes.
const MAX_HOSTNAME: usize = 64;

pub(super) fn check(config: &mut Config) -> Result<(), Invalid> {
    if !config.working_dir.is_empty() {
        if !config.working_dir.starts_with('/') {
            return Err(Invalid::WorkingDir { path: config.working_dir.clone() });
        }
        config.working_dir = point::clean(&config.working_dir);
    }
    if !config.stop_signal.is_empty() && !is_signal(&config.stop_signal) {
        return Err(Invalid::Signal { signal: config.stop_signal.clone() });
    }
    for pair in config.env.iter().flatten() {
        if pair.is_empty() || pair.starts_with('=') {
            return Err(Invalid::Environment { pair: pair.clone() });
        }
    }
    nul(config)?;
    if let Some(health) = &config.healthcheck {
        self::health(health)?;
    }
    for port in config.exposed_ports.iter().flatten().map(|(port, _)| port) {
        if !is_port(port) {
            return Err(Invalid::Port { port: port.clone() });
        }
    }
    for path in config.volumes.iter().flatten().map(|(path, _)| path) {
        if point::target(path).is_err() {
            return Err(Invalid::Volume { path: path.clone() });
        }
    }
    for name in [&config.hostname, &config.domainname] {
        if name.chars().any(char::is_control) {
            return Err(Invalid::Hostname { name: name.clone() });
        }
        if name.len() > MAX_HOSTNAME {
            return Err(Invalid::HostnameTooLong { name: name.clone() });
        }
    }
    Ok(())
}

/// The kernel ends words at a NUL.
fn nul(config: &Config) -> Result<(), Invalid> {
    let lists = [("Env", &config.env), ("Cmd", &config.cmd), ("Entrypoint", &config.entrypoint)];
    for (field, list) in lists {
        if list.iter().flatten().any(|word| word.contains('\0')) {
            return Err(Invalid::Nul { field });
        }
    }
    for (field, word) in [("User", &config.user), ("WorkingDir", &config.working_dir)] {
        if word.contains(['\0', '\n']) {
            return Err(Invalid::Nul { field });
        }
    }
    Ok(())
}

fn health(health: &HealthConfig) -> Result<(), Invalid> {
    let short = |duration: i64| duration != 0 && duration < MIN_DURATION;
    for (field, duration) in [("Interval", health.interval), ("Timeout", health.timeout)] {
        if short(duration) {
            return Err(Invalid::HealthDuration { field });
        }
    }
    if health.retries < 0 {
        return Err(Invalid::HealthRetries);
    }
    for (field, duration) in [("StartPeriod", health.start_period), ("StartInterval", health.start_interval)]
    {
        if short(duration) {
            return Err(Invalid::HealthDuration { field });
        }
    }
    Ok(())
}

/// `80`, `80/tcp`, `8000-8010/udp`.
pub(super) fn is_port(text: &str) -> bool {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|c| c.is_ascii_digit()));
    let known = matches!(protocol.to_ascii_lowercase().as_str(), "tcp" | "udp" | "sctp" | "");
    known && number(first).zip(number(last)).is_some_and(|(first, last)| first > 0 && first <= last)
}

/// Names of signals without `SIG`.
const SIGNALS: [(&str, i32); 36] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

/// The number of a signal: a number, or a name with or without `SIG`, in any case, `RTMIN+3` among them.
#[must_use]
pub fn signal(word: &str) -> Option<i32> {
    if let Ok(number) = word.parse::<i32>() {
        return (number > 0 && number <= 64).then_some(number);
    }
    let upper = word.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = |name: &str| SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let offset = |text: &str| text.parse::<i32>().ok().filter(|offset| (1..=15).contains(offset));
    match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(text), _) => offset(text).map(|offset| 34 + offset),
        (_, Some(text)) => offset(text).filter(|offset| *offset < 15).map(|offset| 64 - offset),
        _ => number(name),
    }
}

fn is_signal(word: &str) -> bool {
    signal(word).is_some()
}
