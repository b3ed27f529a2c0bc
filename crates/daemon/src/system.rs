//! The daemon itself: its settings, and the facts of its host that `info` and `version` tell.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use crate::config::Config;

/// What is known of the daemon and its host.
#[derive(Clone, Debug)]
pub(crate) struct System(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    facts: Facts,
    /// Replaced at every reload.
    config: RwLock<Arc<Config>>,
}

/// What does not change while the daemon lives.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Of the engine: made once per data root.
    pub(crate) id: String,
    pub(crate) host_name: String,
    pub(crate) kernel: String,
    pub(crate) machine: String,
    pub(crate) operating_system: String,
    pub(crate) os_version: String,
    pub(crate) cpus: usize,
    pub(crate) memory: u64,
    pub(crate) cgroup_version: &'static str,
    pub(crate) backing_file_system: &'static str,
}

impl System {
    /// Looks at the host. The engine's ID is kept in the data root.
    pub(crate) fn open(config: Config) -> io::Result<Self> {
        let facts = Facts::find(&config.data_root)?;
        Ok(Self(Arc::new(Inner { facts, config: RwLock::new(Arc::new(config)) })))
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.0.facts
    }

    /// The settings of now.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.0.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other settings.
    pub(crate) fn reload(&self, config: Config) {
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

impl Facts {
    fn find(data_root: &Path) -> io::Result<Self> {
        let names = rustix::system::uname();
        let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
        let release =
            ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| fs::read_to_string(path).ok());
        let release = release.unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let version = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "2" } else { "1" };
        Ok(Self {
            id: engine_id(data_root)?,
            host_name: text(names.nodename()),
            kernel: text(names.release()),
            machine: text(names.machine()),
            operating_system: field(&release, "PRETTY_NAME").unwrap_or_else(|| "Linux".into()),
            os_version: field(&release, "VERSION_ID").unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory: total_memory(&memory),
            cgroup_version: version,
            backing_file_system: backing(data_root),
        })
    }
}

/// A value of `os-release`, without its quotes.
fn field(release: &str, name: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// Bytes of memory.
fn total_memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The ID in the data root: made when there is none.
fn engine_id(data_root: &Path) -> io::Result<String> {
    let path = data_root.join("engine-id");
    match fs::read_to_string(&path) {
        // Whoever looks after many hosts may have put one there.
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned();
    let unfinished = data_root.join("engine-id.new");
    fs::write(&unfinished, &id)?;
    fs::rename(&unfinished, &path)?;
    Ok(id)
}

/// The file system of the data root, as Docker names it.
fn backing(data_root: &Path) -> &'static str {
    match rustix::fs::statfs(data_root).map(|found| found.f_type) {
        Ok(0xef53) => "extfs",
        Ok(0x5846_5342) => "xfs",
        Ok(0x9123_683e) => "btrfs",
        Ok(0x0102_1994) => "tmpfs",
        Ok(0x2fc1_2fc1) => "zfs",
        Ok(0x794c_7630) => "overlayfs",
        _ => "<unknown>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_files() {
        assert_eq!(field("A=1\nPRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME").as_deref(), Some("Debian 12"));
        assert_eq!(field("PRETTY_NAMES=x", "PRETTY_NAME"), None);
        assert_eq!(total_memory("MemFree: 1 kB\nMemTotal:       24683120 kB\n"), 24_683_120 * 1024);
    }

    #[test]
    fn the_engine_keeps_its_id() {
        let dir = tempfile::tempdir().expect("a directory");
        let id = engine_id(dir.path()).expect("an ID");
        assert_eq!(id.len(), 36);
        assert_eq!(engine_id(dir.path()).expect("an ID"), id);
    }
}
