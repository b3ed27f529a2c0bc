//! Which cgroup hierarchies the host has, and where this process is in them.

use std::path::{Path, PathBuf};

use super::{CgroupError, file};

const MOUNTS: &str = "/proc/self/mountinfo";
const OWN: &str = "/proc/self/cgroup";

/// Which of the two interfaces a hierarchy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// How the host's hierarchies are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Version 1 alone.
    Legacy,
    /// Version 1, and a version 2 hierarchy with the controllers that version 1 left.
    Hybrid,
    /// Version 2 alone.
    Unified,
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    pub version: Version,
    /// V1: as in `/proc/self/cgroup` (`cpu`, `cpuacct`; or `name=systemd` alone). V2: what its
    /// mounted root has in `cgroup.controllers`.
    pub controllers: Vec<String>,
    pub mountpoint: PathBuf,
    /// The cgroup of this process, relative to the mount point; empty for its root, and where this
    /// process is outside of what is mounted.
    pub own: PathBuf,
}

/// The host's hierarchies, version 1 before version 2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    hierarchies: Vec<Hierarchy>,
}

impl Layout {
    /// Reads the layout: two files of `/proc`, and `cgroup.controllers` where there is a version 2.
    ///
    /// A host without any hierarchy is no error here: a container may do without.
    pub fn detect() -> Result<Self, CgroupError> {
        Self::seen_by(OWN)
    }

    /// The same, with the process `pid` in place of this one.
    pub fn of_process(pid: i32) -> Result<Self, CgroupError> {
        Self::seen_by(&format!("/proc/{pid}/cgroup"))
    }

    fn seen_by(cgroup: &str) -> Result<Self, CgroupError> {
        let read = |path: &str| {
            file::read_path(path).map_err(|source| CgroupError::Read { path: path.into(), source })
        };
        let mut layout = Self::parse(&read(MOUNTS)?, &read(cgroup)?)?;
        for hierarchy in &mut layout.hierarchies {
            if hierarchy.version == Version::V2 {
                let path = hierarchy.mountpoint.join("cgroup.controllers");
                let content = file::open_dir(&hierarchy.mountpoint)
                    .and_then(|dir| file::read(dir, "cgroup.controllers"))
                    .map_err(|source| CgroupError::Read { path, source })?;
                hierarchy.controllers = content.split_whitespace().map(str::to_owned).collect();
            }
        }
        Ok(layout)
    }

    /// Reads `mountinfo` and `cgroup` of `/proc/self`; the controllers of version 2 stay empty.
    fn parse(mounts: &str, own: &str) -> Result<Self, CgroupError> {
        let mounts: Vec<Mount<'_>> = mounts.lines().filter_map(Mount::parse).collect();
        let mut layout = Self::default();
        let mut unified = None;
        for line in own.lines() {
            let bad = || CgroupError::Format { path: OWN.into(), line: line.to_owned() };
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = fields.next().zip(fields.next()).ok_or_else(bad)?;
            let version = if controllers.is_empty() { Version::V2 } else { Version::V1 };
            let controllers: Vec<&str> = controllers.split(',').filter(|name| !name.is_empty()).collect();
            let Some(mount) = find(&mounts, version, &controllers) else { continue };
            let hierarchy = Hierarchy {
                version,
                controllers: controllers.into_iter().map(str::to_owned).collect(),
                mountpoint: mount.mountpoint.clone(),
                own: below(path, &mount.root),
            };
            match version {
                Version::V1 => layout.hierarchies.push(hierarchy),
                Version::V2 => unified = Some(hierarchy),
            }
        }
        layout.hierarchies.extend(unified);
        Ok(layout)
    }

    #[must_use]
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// `None` where no hierarchy is mounted.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        let has = |version| self.hierarchies.iter().any(|hierarchy| hierarchy.version == version);
        match (has(Version::V1), has(Version::V2)) {
            (true, true) => Some(Kind::Hybrid),
            (true, false) => Some(Kind::Legacy),
            (false, true) => Some(Kind::Unified),
            (false, false) => None,
        }
    }
}

/// A line of `mountinfo` that is of a cgroup.
struct Mount<'a> {
    version: Version,
    /// The part of the hierarchy that is mounted.
    root: String,
    mountpoint: PathBuf,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (place, device) = line.split_once(" - ")?;
        let mut device = device.split(' ');
        let version = match device.next()? {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let mut place = place.split(' ').skip(3);
        let (root, mountpoint) = (unescape(place.next()?), unescape(place.next()?).into());
        Some(Self { version, root, mountpoint, options: device.nth(1)? })
    }
}

/// The mount of the hierarchy with `controllers`: the one at its usual place if there are several,
/// else the one that shows most of it.
fn find<'a, 'b>(mounts: &'a [Mount<'b>], version: Version, controllers: &[&str]) -> Option<&'a Mount<'b>> {
    let fits = |mount: &&Mount<'_>| {
        mount.version == version
            && controllers.iter().all(|name| mount.options.split(',').any(|option| option == *name))
    };
    mounts
        .iter()
        .filter(fits)
        .min_by_key(|mount| (!mount.mountpoint.starts_with("/sys/fs/cgroup"), mount.root.len()))
}

/// `path` as seen from `root`, both of one hierarchy; empty where it is outside.
fn below(path: &str, root: &str) -> PathBuf {
    let relative = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    let leaves = relative.components().any(|part| part == std::path::Component::ParentDir);
    if leaves { PathBuf::new() } else { relative.to_path_buf() }
}

/// Undoes mountinfo's octal escapes of space, tab, newline and backslash.
fn unescape(field: &str) -> String {
    let mut plain = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let Some(code) = code.filter(u8::is_ascii) else {
            plain.push('\\');
            rest = after;
            continue;
        };
        plain.push(char::from(code));
        rest = &after[3..];
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::{Kind, Layout, Version, unescape};

    const HYBRID: &str = "\
25 1 8:1 / / rw - ext4 /dev/vda rw
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 /docker/1 /sys/fs/cgroup/memory rw shared:3 - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup none rw,xattr,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
35 25 0:28 /docker/1 /mnt/a\\040b rw - cgroup cgroup rw,memory
";

    #[test]
    fn a_hybrid_host() {
        let own = "4:memory:/docker/1/sub\n3:cpu,cpuacct:/\n2:net_cls:/\n1:name=systemd:/../x\n0::/u\n";
        let layout = Layout::parse(HYBRID, own).unwrap();
        assert_eq!(layout.kind(), Some(Kind::Hybrid));
        let seen: Vec<(Version, String, &str, &str)> = layout
            .hierarchies()
            .iter()
            .map(|h| {
                (h.version, h.controllers.join(","), h.mountpoint.to_str().unwrap(), h.own.to_str().unwrap())
            })
            .collect();
        assert_eq!(
            seen,
            [
                (Version::V1, "memory".into(), "/sys/fs/cgroup/memory", "sub"),
                (Version::V1, "cpu,cpuacct".into(), "/sys/fs/cgroup/cpu,cpuacct", ""),
                (Version::V1, "name=systemd".into(), "/sys/fs/cgroup/systemd", ""),
                (Version::V2, String::new(), "/sys/fs/cgroup/unified", "u"),
            ]
        );
    }

    #[test]
    fn a_unified_host_and_one_without() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(Layout::parse(mounts, "0::/\n").unwrap().kind(), Some(Kind::Unified));
        assert_eq!(Layout::parse("", "0::/\n").unwrap().kind(), None);
        assert!(Layout::parse(mounts, "what\n").is_err());
    }

    #[test]
    fn escapes_of_mountinfo() {
        for (field, plain) in [("/a", "/a"), ("/a\\040b\\134", "/a b\\"), ("/a\\9", "/a\\9"), ("\\", "\\")] {
            assert_eq!(unescape(field), plain);
        }
    }

    #[test]
    fn this_machine_has_a_layout() {
        assert!(Layout::detect().unwrap().kind().is_some());
    }
}
