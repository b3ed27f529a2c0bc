//! Where a container's cgroups go: the reading of `linux.cgroupsPath`.

use std::path::{Component, Path, PathBuf};

use longshore_types::ContainerId;

use super::{CgroupError, layout::Hierarchy, layout::Version};

/// The longest name the kernel takes for one cgroup, in bytes.
const NAME_MAX: usize = 255;

/// A cgroup's place by the cgroupfs driver, the same in every hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Below the mount point of each hierarchy.
    Root(PathBuf),
    /// Below the runtime's own cgroup; beside it in version 2, where a cgroup with processes cannot
    /// have children with controllers (runc does the same).
    Own(PathBuf),
}

impl Place {
    /// Reads `linux.cgroupsPath`: absolute, relative, or empty for the container's ID.
    ///
    /// # Errors
    /// A path with `..`, or with a component that is no file name.
    pub(super) fn parse(path: &str, id: &ContainerId) -> Result<Self, CgroupError> {
        if path.is_empty() {
            return Ok(Self::Own(id.as_str().into()));
        }
        let mut clean = PathBuf::new();
        for part in Path::new(path).components() {
            match part {
                Component::Normal(name) if name.len() > NAME_MAX => {
                    return Err(CgroupError::BadPath { path: path.to_owned() });
                }
                Component::Normal(name) => clean.push(name),
                Component::ParentDir => return Err(CgroupError::Escape { path: path.to_owned() }),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        if path.contains(['\n', '\0']) {
            return Err(CgroupError::BadPath { path: path.to_owned() });
        }
        if clean.as_os_str().is_empty() {
            return Err(CgroupError::RootPath { path: path.to_owned() });
        }
        Ok(if path.starts_with('/') { Self::Root(clean) } else { Self::Own(clean) })
    }

    /// The path of the cgroup below the mount point of `hierarchy`.
    pub(super) fn within(&self, hierarchy: &Hierarchy) -> PathBuf {
        match (self, hierarchy.version) {
            (Self::Root(path), _) => path.clone(),
            (Self::Own(path), Version::V1) => hierarchy.own.join(path),
            (Self::Own(path), Version::V2) => hierarchy.own.parent().unwrap_or(Path::new("")).join(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use longshore_types::ContainerId;

    use super::Place;
    use crate::cgroup::layout::{Hierarchy, Version};

    fn within(path: &str, version: Version, own: &str) -> Result<PathBuf, String> {
        let hierarchy = Hierarchy { version, controllers: vec![], mountpoint: "/m".into(), own: own.into() };
        let place = Place::parse(path, &ContainerId::new("web").unwrap()).map_err(|e| e.to_string())?;
        Ok(place.within(&hierarchy))
    }

    #[test]
    fn paths_of_each_form() {
        for (path, own, v1, v2) in [
            ("", "", "web", "web"),
            ("", "a/b", "a/b/web", "a/web"),
            ("/x/y", "a/b", "x/y", "x/y"),
            ("//x/./y/", "a/b", "x/y", "x/y"),
            ("x/y", "a/b", "a/b/x/y", "a/x/y"),
        ] {
            assert_eq!(within(path, Version::V1, own), Ok(v1.into()), "{path}");
            assert_eq!(within(path, Version::V2, own), Ok(v2.into()), "{path}");
        }
    }

    #[test]
    fn paths_that_no_container_gets() {
        for (path, cause) in [
            ("../x", "leaves"),
            ("/x/../../y", "leaves"),
            ("/", "root cgroup"),
            (".", "root cgroup"),
            ("/a\nb", "component"),
            (&format!("/{}", "a".repeat(256)), "component"),
        ] {
            let message = within(path, Version::V1, "").unwrap_err();
            assert!(message.contains(cause), "{path}: {message}");
        }
    }
}
