use std::{collections::BTreeMap, path::PathBuf};

use longshore_runtime::cgroup::Driver;
use longshore_types::container::{LogConfig, Ulimit};

use super::cdi;

/// What the daemon's configuration says about containers whose creator says nothing.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where images, containers and volumes are.
    pub data_root: PathBuf,
    pub cgroup_driver: Driver,
    /// Empty for the driver's own.
    pub cgroup_parent: String,
    /// `private` or `shareable`.
    pub ipc_mode: String,
    /// `private` or `host`; empty for what the cgroups' version asks for.
    pub cgroupns_mode: String,
    /// Bytes of `/dev/shm`.
    pub shm_size: i64,
    pub ulimits: BTreeMap<String, Ulimit>,
    pub no_new_privileges: bool,
    /// Whether containers get an init.
    pub init: bool,
    /// Instead of the built-in one.
    pub init_path: Option<PathBuf>,
    /// Seconds that a container has to end when it is asked to.
    pub stop_timeout: i64,
    /// Empty for the built-in one, `unconfined`, or the text of a profile.
    pub seccomp_profile: String,
    /// The runtime of containers that name none.
    pub default_runtime: String,
    /// Runtimes beside the built-in one.
    pub runtimes: BTreeMap<String, Runtime>,
    pub log: LogConfig,
    /// Where devices are described, the directory that counts most at the end; none where they are not to be.
    pub cdi_directories: Vec<PathBuf>,
}

/// An OCI runtime of somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    pub path: PathBuf,
    pub args: Vec<String>,
}

/// Names of the built-in runtime: its own, and what Docker calls the default one.
pub const BUILT_IN: [&str; 3] = ["longshore", "runc", "io.containerd.runc.v2"];

/// The bytes of `/dev/shm`.
pub const SHM_SIZE: i64 = 64 << 20;

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_root: PathBuf::from("/var/lib/longshore"),
            cgroup_driver: Driver::Cgroupfs,
            cgroup_parent: String::new(),
            ipc_mode: "private".into(),
            cgroupns_mode: String::new(),
            shm_size: SHM_SIZE,
            ulimits: BTreeMap::new(),
            no_new_privileges: false,
            init: false,
            init_path: None,
            stop_timeout: 10,
            seccomp_profile: String::new(),
            default_runtime: "runc".into(),
            runtimes: BTreeMap::new(),
            log: LogConfig { kind: "json-file".into(), config: None },
            cdi_directories: cdi::DIRECTORIES.map(Into::into).to_vec(),
        }
    }
}

impl Settings {
    /// Whether `name` is a runtime here.
    #[must_use]
    pub fn knows_runtime(&self, name: &str) -> bool {
        name.is_empty() || BUILT_IN.contains(&name) || self.runtimes.contains_key(name)
    }

    /// The program of an external runtime; `None` for the built-in one.
    #[must_use]
    pub fn external_runtime(&self, name: &str) -> Option<&Runtime> {
        let name = if name.is_empty() { &self.default_runtime } else { name };
        self.runtimes.get(name)
    }
}
