//! Seccomp profiles as Docker's users write them: the runtime's, and beside it conditions on
//! capabilities, architecture and kernel.

use longshore_runtime::{
    defaults,
    spec::{Arg, Seccomp, SyscallRule},
};
use serde::Deserialize;

use super::{Host, Settings, security::Security};

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    #[error("Decoding seccomp profile failed: {source}")]
    Decode { source: serde_json::Error },
    #[error(
        "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'"
    )]
    Architectures,
    #[error("both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'")]
    Names,
    #[error("invalid kernel version {text:?} in the seccomp profile: use a form like 4.8")]
    Kernel { text: String },
    #[error("seccomp is not enabled in your kernel, cannot run a custom seccomp profile")]
    Absent,
}

/// Says whether the text of a profile can be used.
///
/// # Errors
/// [`SeccompError::Decode`].
pub fn check(text: &str) -> Result<(), SeccompError> {
    let read = serde_json::from_str::<Profile>(text);
    read.map(drop).map_err(|source| SeccompError::Decode { source })
}

const UNCONFINED: &str = "unconfined";
const BUILT_IN: &str = "builtin";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<String>>,
    flags: Option<Vec<String>>,
    listener_path: Option<String>,
    listener_metadata: Option<String>,
    arch_map: Option<Vec<Architecture>>,
    syscalls: Option<Vec<Rule>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Architecture {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    name: String,
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Arg>>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// This machine's architecture: in the conditions of a profile, and in its table.
const NATIVE: (&str, &str) = if cfg!(target_arch = "aarch64") {
    ("arm64", "SCMP_ARCH_AARCH64")
} else {
    ("amd64", "SCMP_ARCH_X86_64")
};

/// The filter of a container with these capabilities; `None` for none.
pub(super) fn of(
    security: &Security,
    privileged: bool,
    capabilities: &[String],
    settings: &Settings,
    host: &Host,
) -> Result<Option<Seccomp>, SeccompError> {
    let asked = security.seccomp.as_str();
    if asked == UNCONFINED || privileged && asked.is_empty() {
        return Ok(None);
    }
    if !host.seccomp {
        return if matches!(asked, "" | BUILT_IN) { Ok(None) } else { Err(SeccompError::Absent) };
    }
    let text = if asked.is_empty() { settings.seccomp_profile.as_str() } else { asked };
    match text {
        UNCONFINED => Ok(None),
        "" | BUILT_IN | "default" => {
            let names: Vec<&str> = capabilities.iter().map(String::as_str).collect();
            Ok(Some(defaults::seccomp::profile(&names)))
        }
        text => read(text, capabilities, host.kernel),
    }
}

/// Reads a profile and takes what its conditions let through.
pub(super) fn read(
    text: &str,
    capabilities: &[String],
    kernel: (u32, u32),
) -> Result<Option<Seccomp>, SeccompError> {
    let profile: Profile = serde_json::from_str(text).map_err(|source| SeccompError::Decode { source })?;
    let rules = profile.syscalls.unwrap_or_default();
    if profile.default_action.is_empty() && rules.is_empty() {
        return Ok(None);
    }
    let mut architectures = profile.architectures.unwrap_or_default();
    let map = profile.arch_map.unwrap_or_default();
    if !architectures.is_empty() && !map.is_empty() {
        return Err(SeccompError::Architectures);
    }
    if let Some(entry) = map.into_iter().find(|entry| entry.architecture == NATIVE.1) {
        architectures.push(entry.architecture);
        architectures.extend(entry.sub_architectures.unwrap_or_default());
    }
    let mut syscalls = Vec::with_capacity(rules.len());
    for rule in rules {
        let mut names = rule.names.unwrap_or_default();
        if !rule.name.is_empty() {
            if !names.is_empty() {
                return Err(SeccompError::Names);
            }
            names.push(rule.name);
        }
        let excluded = match &rule.excludes {
            Some(condition) => excludes(condition, capabilities, kernel)?,
            None => false,
        };
        let included = match &rule.includes {
            Some(condition) => includes(condition, capabilities, kernel)?,
            None => true,
        };
        if included && !excluded {
            let args = rule.args.unwrap_or_default();
            syscalls.push(SyscallRule { names, action: rule.action, errno_ret: rule.errno_ret, args });
        }
    }
    Ok(Some(Seccomp {
        default_action: profile.default_action,
        default_errno_ret: profile.default_errno_ret,
        architectures,
        flags: profile.flags,
        listener_path: profile.listener_path.unwrap_or_default(),
        listener_metadata: profile.listener_metadata.unwrap_or_default(),
        syscalls,
    }))
}

/// Whether any of it applies.
fn excludes(
    condition: &Condition,
    capabilities: &[String],
    kernel: (u32, u32),
) -> Result<bool, SeccompError> {
    let arches = condition.arches.iter().flatten().any(|arch| arch == NATIVE.0);
    let caps = condition.caps.iter().flatten().any(|name| capabilities.contains(name));
    Ok(arches || caps || newer(condition, kernel)?.unwrap_or(false))
}

/// Whether all of it applies.
fn includes(
    condition: &Condition,
    capabilities: &[String],
    kernel: (u32, u32),
) -> Result<bool, SeccompError> {
    let arches = condition.arches.as_deref().unwrap_or_default();
    let arches = arches.is_empty() || arches.iter().any(|arch| arch == NATIVE.0);
    let caps = condition.caps.iter().flatten().all(|name| capabilities.contains(name));
    Ok(arches && caps && newer(condition, kernel)?.unwrap_or(true))
}

/// Whether the kernel is at least the one asked for.
fn newer(condition: &Condition, kernel: (u32, u32)) -> Result<Option<bool>, SeccompError> {
    let Some(text) = condition.min_kernel.as_ref().filter(|text| !text.is_empty()) else { return Ok(None) };
    let numbers = text
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    let wanted = numbers.ok_or_else(|| SeccompError::Kernel { text: text.clone() })?;
    Ok(Some(kernel >= wanted))
}

#[cfg(test)]
mod tests {
    use super::{SeccompError, read};

    fn names(profile: &str, capabilities: &[&str], kernel: (u32, u32)) -> Vec<String> {
        let capabilities: Vec<String> = capabilities.iter().map(|name| (*name).to_owned()).collect();
        let filter = read(profile, &capabilities, kernel).unwrap().unwrap();
        filter.syscalls.into_iter().flat_map(|rule| rule.names).collect()
    }

    #[test]
    fn conditions() {
        let profile = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["a"], "action": "SCMP_ACT_ALLOW"},
            {"name": "b", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
            {"names": ["c"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_BPF"]}},
            {"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "5.8"}},
            {"names": ["e"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390"]}},
            {"names": ["f"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "5.8"}},
            {"names": ["g"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64", "arm64"]}}
        ]}"#;
        assert_eq!(names(profile, &[], (6, 1)), ["a", "c", "d"]);
        assert_eq!(names(profile, &["CAP_BPF"], (5, 7)), ["a", "b", "f"]);
    }

    #[test]
    fn nothing_said_is_no_filter() {
        assert!(read("{}", &[], (6, 1)).unwrap().is_none());
    }

    #[test]
    fn contradictions() {
        let read = |text: &str| read(text, &[], (6, 1)).unwrap_err();
        assert!(matches!(
            read(r#"{"defaultAction": "x", "architectures": ["a"], "archMap": [{"architecture": "b"}]}"#),
            SeccompError::Architectures
        ));
        assert!(matches!(read(r#"{"syscalls": [{"name": "a", "names": ["b"]}]}"#), SeccompError::Names));
        assert!(read("[").to_string().starts_with("Decoding seccomp profile failed: "));
        assert!(matches!(
            read(r#"{"syscalls": [{"name": "a", "includes": {"minKernel": "new"}}]}"#),
            SeccompError::Kernel { .. }
        ));
    }
}
