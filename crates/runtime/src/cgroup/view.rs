//! What a container sees at `/sys/fs/cgroup`.

use std::path::PathBuf;

use super::{
    Cgroup,
    layout::{Layout, Version},
};

/// The container's cgroups for its own mount of them.
///
/// With version 2 alone that is one mount. Otherwise it is a tmpfs with a directory per hierarchy,
/// and links for the controllers that share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub hierarchies: Vec<HierarchyView>,
}

/// The container's part of one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HierarchyView {
    pub version: Version,
    /// The directory below `/sys/fs/cgroup`: the host's, as `cpu,cpuacct`, `systemd` or `unified`.
    pub name: String,
    /// What to mount it with: `cpu,cpuacct` or `name=systemd`; empty for version 2.
    pub options: String,
    /// Names to link to `name`, as `cpu` and `cpuacct`.
    pub links: Vec<String>,
    /// The host's directory to bind, for a container without a cgroup namespace.
    pub path: PathBuf,
}

impl View {
    /// Whether version 2 alone is mounted, right at `/sys/fs/cgroup`.
    #[must_use]
    pub fn is_unified(&self) -> bool {
        matches!(&*self.hierarchies, [only] if only.version == Version::V2)
    }
}

impl Cgroup {
    /// The container's view. A hierarchy without a cgroup of the container's own is not in it, but
    /// where it has none at all, everything is shown as the host has it.
    #[must_use]
    pub fn view(&self, host: &Layout) -> View {
        let shown = host.hierarchies().iter().filter_map(|hierarchy| {
            let own = self.groups.iter().find(|g| {
                g.version == hierarchy.version
                    && (g.version == Version::V2 || g.controllers == hierarchy.controllers)
            });
            let path = match own {
                Some(group) => group.path.clone(),
                None if self.groups.is_empty() => hierarchy.mountpoint.join(&hierarchy.own),
                None => return None,
            };
            let name = match hierarchy.version {
                Version::V2 => "unified".to_owned(),
                Version::V1 => hierarchy.mountpoint.file_name()?.to_str()?.to_owned(),
            };
            let links = match hierarchy.version {
                Version::V2 => Vec::new(),
                Version::V1 => hierarchy
                    .controllers
                    .iter()
                    .filter(|link| **link != name && !link.contains('='))
                    .cloned()
                    .collect(),
            };
            let options = match hierarchy.version {
                Version::V2 => String::new(),
                Version::V1 => hierarchy.controllers.join(","),
            };
            Some(HierarchyView { version: hierarchy.version, name, options, links, path })
        });
        View { hierarchies: shown.collect() }
    }
}
