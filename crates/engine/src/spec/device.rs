//! Devices of the host in the container, and who may use them.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use longshore_runtime::spec::{Device, DeviceRule};
use longshore_types::container::{DeviceMapping, HostConfig};

use super::cdi;

/// Why a device cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("stat {path}: {}", reason(source))]
    Stat { path: String, source: std::io::Error },
    #[error("error gathering device information while adding custom device {path:?}: {reason}")]
    Gather { path: String, reason: String },
    #[error("invalid device cgroup rule format: '{rule}'")]
    Rule { rule: String },
    #[error("could not select device driver {driver:?} with capabilities: {capabilities}")]
    Request { driver: String, capabilities: String },
}

/// What the kernel says, as Docker's users know it.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// The number of the device at a path.
pub(super) fn number(path: &str) -> Result<(i64, i64), DeviceError> {
    let status = fs::metadata(path).map_err(|source| DeviceError::Stat { path: path.into(), source })?;
    Ok(split(status.rdev()))
}

fn split(device: u64) -> (i64, i64) {
    (rustix::fs::major(device).into(), rustix::fs::minor(device).into())
}

/// The nodes to make, and the rules that allow their use, after those of every container.
pub(super) fn of(
    config: &HostConfig,
    rules: Vec<DeviceRule>,
    cdi: &[PathBuf],
) -> Result<(Vec<Device>, Vec<DeviceRule>), DeviceError> {
    let mut requests = config.resources.device_requests.iter().flatten();
    if let Some(request) = requests.find(|request| !cdi::serves(request, cdi)) {
        let words = |list: &Vec<String>| format!("[{}]", list.join(" "));
        let capabilities: Vec<String> = request.capabilities.iter().flatten().map(words).collect();
        return Err(DeviceError::Request {
            driver: request.driver.clone(),
            capabilities: format!("[{}]", capabilities.join(" ")),
        });
    }
    let mappings = config.resources.devices.iter().flatten();
    let mut nodes = Vec::new();
    if config.privileged {
        host_devices(Path::new("/dev"), &mut nodes);
        for mapping in mappings.filter(|mapping| mapping.path_on_host != mapping.path_in_container) {
            let (more, _) = mapped(mapping)?;
            nodes.extend(more);
        }
        return Ok((nodes, vec![DeviceRule { allow: true, access: "rwm".into(), ..DeviceRule::default() }]));
    }
    let mut rules = rules;
    for mapping in mappings {
        let (more, allowed) = mapped(mapping)?;
        nodes.extend(more);
        rules.extend(allowed);
    }
    for rule in config.resources.device_cgroup_rules.iter().flatten() {
        rules.push(parse_rule(rule)?);
    }
    Ok((nodes, rules))
}

/// `c 1:3 rwm`, with `*` for any number and `a` for any type.
pub(super) fn parse_rule(rule: &str) -> Result<DeviceRule, DeviceError> {
    let bad = || DeviceError::Rule { rule: rule.into() };
    let mut words = rule.split(' ');
    let (Some(kind), Some(numbers), Some(access), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
    let number = |word: &str| match word {
        "*" => Ok(None),
        word if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) => {
            word.parse::<u32>().map(|number| Some(i64::from(number))).map_err(|_| bad())
        }
        _ => Err(bad()),
    };
    let accesses = (1..=3).contains(&access.len()) && access.bytes().all(|byte| b"rwm".contains(&byte));
    if !matches!(kind, "a" | "b" | "c") || !accesses {
        return Err(bad());
    }
    let kind = if kind == "a" { String::new() } else { kind.into() };
    Ok(DeviceRule { allow: true, kind, major: number(major)?, minor: number(minor)?, access: access.into() })
}

/// The device of a mapping, or all below its directory.
fn mapped(mapping: &DeviceMapping) -> Result<(Vec<Device>, Vec<DeviceRule>), DeviceError> {
    let host = &mapping.path_on_host;
    let fail = |reason: String| DeviceError::Gather { path: host.clone(), reason };
    let inside = if mapping.path_in_container.is_empty() { host } else { &mapping.path_in_container };
    let access = if mapping.cgroup_permissions.is_empty() { "rwm" } else { &mapping.cgroup_permissions };
    if !access.bytes().all(|byte| b"rwm".contains(&byte)) {
        return Err(fail(format!("invalid device mode: {access}")));
    }
    // A link is followed once, here; what is given is the device that it leads to.
    let real = fs::canonicalize(host).map_err(|error| {
        let error = reason(&error);
        fail(format!("lstat {host}: {error}"))
    })?;
    let mut nodes = Vec::new();
    if real.is_dir() {
        below(&real, &real, inside, &mut nodes);
    } else {
        nodes.extend(node(&real, inside));
    }
    if nodes.is_empty() {
        return Err(fail("not a device node".into()));
    }
    let rules = nodes.iter().map(|device| DeviceRule {
        allow: true,
        kind: device.kind.clone(),
        major: Some(device.major),
        minor: Some(device.minor),
        access: access.into(),
    });
    let rules = rules.collect();
    Ok((nodes, rules))
}

fn below(top: &Path, directory: &Path, inside: &str, nodes: &mut Vec<Device>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type();
        if kind.is_ok_and(|kind| kind.is_dir()) {
            below(top, &path, inside, nodes);
        } else if let Ok(relative) = path.strip_prefix(top) {
            let place = Path::new(inside).join(relative);
            nodes.extend(place.to_str().and_then(|place| node(&path, place)));
        }
    }
}

/// Directories of `/dev` that every container has of its own, or that hold nothing of the kernel's.
const OWN: [&str; 7] = [".lxc", ".lxd-mounts", ".udev", "fd", "mqueue", "pts", "shm"];

/// All devices of the host, at their places.
fn host_devices(directory: &Path, nodes: &mut Vec<Device>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if !OWN.iter().any(|own| name == *own) {
                host_devices(&path, nodes);
            }
        } else if name != "console" {
            nodes.extend(path.to_str().and_then(|place| node(&path, place)));
        }
    }
}

/// The device node at `path`, for a node at `inside`; `None` for what is none.
fn node(path: &Path, inside: &str) -> Option<Device> {
    let status = fs::symlink_metadata(path).ok()?;
    let kind = match status.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return None,
    };
    let (major, minor) = split(status.rdev());
    Some(Device {
        kind: kind.into(),
        path: inside.into(),
        major,
        minor,
        file_mode: Some(status.mode() & 0o7777),
        uid: Some(status.uid()),
        gid: Some(status.gid()),
    })
}

#[cfg(test)]
mod tests {
    use longshore_types::container::{DeviceMapping, DeviceRequest, HostConfig};

    use super::{of, parse_rule};

    #[test]
    fn rules() {
        for (rule, kind, major, minor, access) in [
            ("c 1:3 rwm", "c", Some(1), Some(3), "rwm"),
            ("b *:7 r", "b", None, Some(7), "r"),
            ("a *:* rw", "", None, None, "rw"),
        ] {
            let read = parse_rule(rule).unwrap();
            assert_eq!(
                (read.kind.as_str(), read.major, read.minor, read.access.as_str()),
                (kind, major, minor, access)
            );
        }
        for rule in [
            "",
            "c 1:3",
            "c 1 rwm",
            "d 1:3 r",
            "c 1:3 x",
            "c -1:3 r",
            "c 1:3 rwmr",
            "c 1:3 r ",
            "c 99999999999:1 r",
        ] {
            let message = parse_rule(rule).unwrap_err().to_string();
            assert_eq!(message, format!("invalid device cgroup rule format: '{rule}'"));
        }
    }

    fn with(host: &str, inside: &str) -> HostConfig {
        let mapping = DeviceMapping {
            path_on_host: host.into(),
            path_in_container: inside.into(),
            cgroup_permissions: "rw".into(),
        };
        let mut config = HostConfig::default();
        config.resources.devices = Some(vec![mapping]);
        config
    }

    #[test]
    fn a_device_under_another_name() {
        let (nodes, rules) = of(&with("/dev/null", "/dev/x"), Vec::new(), &[]).unwrap();
        assert_eq!((nodes[0].path.as_str(), nodes[0].major, nodes[0].minor), ("/dev/x", 1, 3));
        assert_eq!((rules[0].major, rules[0].minor, rules[0].access.as_str()), (Some(1), Some(3), "rw"));
    }

    #[test]
    fn a_directory_and_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("below");
        std::fs::create_dir(&place).unwrap();
        let device = rustix::fs::makedev(1, 5);
        let kind = rustix::fs::FileType::CharacterDevice;
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, place.join("zero"), kind, mode, device).unwrap();
        std::os::unix::fs::symlink(&place, directory.path().join("link")).unwrap();
        let link = directory.path().join("link");
        let (nodes, _) = of(&with(link.to_str().unwrap(), "/dev/there"), Vec::new(), &[]).unwrap();
        assert_eq!(nodes.len(), 1);
        assert_eq!((nodes[0].path.as_str(), nodes[0].minor), ("/dev/there/zero", 5));
    }

    #[test]
    fn what_is_no_device() {
        for (path, end) in
            [("/etc/passwd", "not a device node"), ("/no", "lstat /no: no such file or directory")]
        {
            let message = of(&with(path, "/dev/x"), Vec::new(), &[]).unwrap_err().to_string();
            let begin = "error gathering device information while adding custom device";
            assert_eq!(message, format!("{begin} {path:?}: {end}"));
        }
    }

    #[test]
    fn all_of_the_host() {
        let config = HostConfig { privileged: true, ..HostConfig::default() };
        let (nodes, rules) = of(&config, Vec::new(), &[]).unwrap();
        assert!(nodes.iter().any(|node| node.path == "/dev/null"));
        assert!(!nodes.iter().any(|node| node.path.starts_with("/dev/pts/")));
        assert!(rules[0].allow && rules[0].kind.is_empty() && rules[0].major.is_none());
    }

    #[test]
    fn requests_have_no_driver() {
        let mut config = HostConfig::default();
        let request =
            DeviceRequest { capabilities: Some(vec![vec!["gpu".into()]]), ..DeviceRequest::default() };
        config.resources.device_requests = Some(vec![request]);
        let message = of(&config, Vec::new(), &[]).unwrap_err().to_string();
        assert_eq!(message, "could not select device driver \"\" with capabilities: [[gpu]]");
    }
}
