//! The AppArmor profile of containers that name none: Docker's `docker-default`.
//!
//! Where the kernel has AppArmor and the profile is not loaded yet, `apparmor_parser` loads it, once for each start of
//! the daemon. Where that is impossible containers run without a profile, which is told.

use std::{
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

/// The profile's name.
pub(super) const DEFAULT: &str = "docker-default";

const LOADED: &str = "/sys/kernel/security/apparmor/profiles";
const MACROS: &str = "/etc/apparmor.d";

/// Makes sure that the profile is loaded; says whether it is.
pub(super) fn load() -> bool {
    match is_loaded() {
        Ok(true) => true,
        Ok(false) => match parse(&text(&own_profile(), |name| Path::new(MACROS).join(name).exists())) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "AppArmor profile {DEFAULT} cannot be loaded by apparmor_parser: containers run without one");
                false
            }
        },
        Err(error) => {
            tracing::warn!(%error, "{LOADED} cannot be read: containers run without an AppArmor profile");
            false
        }
    }
}

fn is_loaded() -> io::Result<bool> {
    let profiles = std::fs::read_to_string(LOADED)?;
    Ok(profiles.lines().any(|line| line.split(" (").next() == Some(DEFAULT)))
}

/// The profile that this process is under, whose signals containers must get.
fn own_profile() -> String {
    let current = std::fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let name = current.trim_end_matches(['\n', '\0']).split(" (").next().unwrap_or_default();
    if name.is_empty() { "unconfined".into() } else { name.to_owned() }
}

fn parse(text: &str) -> io::Result<()> {
    let mut command = Command::new("apparmor_parser");
    command.arg("-Kr").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// What containers may and may not: files, networks and capabilities are left to mounts, namespaces and seccomp; what
/// of `/proc` and `/sys` is the host's is denied whatever is mounted there.
fn text(daemon: &str, has: impl Fn(&str) -> bool) -> String {
    let abi = if has("abi/3.0") { "abi <abi/3.0>,\n" } else { "" };
    let variables = if has("tunables/global") { "#include <tunables/global>\n" } else { "@{PROC}=/proc/\n" };
    let base = if has("abstractions/base") { "  #include <abstractions/base>\n" } else { "" };
    let mut text =
        format!("{abi}{variables}\nprofile {DEFAULT} flags=(attach_disconnected,mediate_deleted) {{\n{base}");
    for rule in RULES {
        text.push_str("  ");
        text.push_str(&rule.replace("{daemon}", daemon).replace("{self}", DEFAULT));
        text.push_str(",\n");
    }
    text.push_str("}\n");
    text
}

const RULES: [&str; 28] = [
    "network",
    "deny network alg",
    "capability",
    "file",
    "umount",
    // From the host, other runtimes, and each other.
    "signal (receive) peer=unconfined",
    "signal (receive) peer=runc",
    "signal (receive) peer=crun",
    "signal (receive) peer=\"{daemon}\"",
    "signal (send,receive) peer={self}",
    "ptrace (trace,tracedby,read,readby) peer={self}",
    "deny mount",
    // Of /proc: what is of no process, and of its settings all but shared memory's.
    "deny @{PROC}/* w",
    "deny @{PROC}/{[^1-9/],[^1-9/][^0-9/],[^1-9s/][^0-9y/][^0-9s/],[^1-9/][^0-9/][^0-9/][^0-9/]*}/** w",
    "deny @{PROC}/sys/[^k]** w",
    "deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w",
    "deny @{PROC}/sysrq-trigger rwklx",
    "deny @{PROC}/kcore rwklx",
    "deny @{PROC}/keys rwklx",
    "deny @{PROC}/timer_list rwklx",
    // Of /sys: all but cgroups.
    "deny /sys/[^f]*/** wklx",
    "deny /sys/f[^s]*/** wklx",
    "deny /sys/fs/[^c]*/** wklx",
    "deny /sys/fs/c[^g]*/** wklx",
    "deny /sys/fs/cg[^r]*/** wklx",
    "deny /sys/firmware/** rwklx",
    "deny /sys/devices/virtual/powercap/** rwklx",
    "deny /sys/kernel/security/** rwklx",
];

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn macros_are_used_where_they_are() {
        let with = text("/usr/bin/x", |_| true);
        assert!(with.starts_with("abi <abi/3.0>,\n#include <tunables/global>\n"));
        assert!(with.contains("  #include <abstractions/base>\n"));
        assert!(with.contains("signal (receive) peer=\"/usr/bin/x\",\n"));
        let without = text("unconfined", |_| false);
        assert!(without.starts_with("@{PROC}=/proc/\n") && !without.contains("#include"));
        assert!(without.contains("  signal (send,receive) peer=docker-default,\n"));
    }
}
