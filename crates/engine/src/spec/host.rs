//! What this machine and its kernel can do: asked once, when the daemon starts.

use std::{fs, path::Path};

use longshore_runtime::cgroup::{self, CgroupError, Layout};
use rustix::thread::CapabilitySet;

use super::apparmor;

/// The features that decide about a container's settings.
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own")]
#[derive(Clone, Debug)]
pub struct Host {
    /// Online processors.
    pub cpus: usize,
    /// Bytes.
    pub memory: u64,
    pub cgroups: Layout,
    pub kernel: (u32, u32),
    pub memory_limit: bool,
    pub swap_limit: bool,
    pub memory_reservation: bool,
    pub memory_swappiness: bool,
    pub oom_kill_disable: bool,
    pub pids_limit: bool,
    pub cpu_shares: bool,
    /// Quota and period.
    pub cpu_bandwidth: bool,
    pub cpu_realtime: bool,
    pub cpuset: bool,
    pub blkio_weight: bool,
    pub blkio_throttle: bool,
    /// Processors and memory nodes that a container may ask for: `0-3`.
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub time_namespaces: bool,
    pub cgroup_namespaces: bool,
    pub apparmor: bool,
    /// Whether the profile of containers that name none is loaded.
    pub apparmor_default: bool,
    pub seccomp: bool,
    pub selinux: bool,
    pub ipv4_forwarding: bool,
    /// Capabilities of this process, by number: none other can be given away.
    pub capabilities: u64,
}

impl Host {
    /// Asks. Loads the default AppArmor profile where that is missing.
    pub fn probe() -> Result<Self, CgroupError> {
        let cgroups = Layout::detect()?;
        let files = Files::of(&cgroups);
        let exists = |path: &str| Path::new(path).exists();

        let (cpuset_cpus, cpuset_mems) = match files.directory("cpuset") {
            Some((cgroup::Version::V1, directory)) => {
                (read(directory.join("cpuset.cpus")), read(directory.join("cpuset.mems")))
            }
            Some((cgroup::Version::V2, directory)) => {
                let effective = |name| read(directory.join(name));
                (effective("cpuset.cpus.effective"), effective("cpuset.mems.effective"))
            }
            None => (String::new(), String::new()),
        };
        let apparmor = read("/sys/module/apparmor/parameters/enabled").starts_with('Y');
        let online = |found: String, path: &str| if found.is_empty() { read(path) } else { found };
        Ok(Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory(),
            kernel: kernel(&read("/proc/sys/kernel/osrelease")),
            memory_limit: files.has("memory"),
            swap_limit: files.file("memory", "memory.memsw.limit_in_bytes", || {
                exists("/proc/self/cgroup") && exists("/proc/swaps")
            }),
            memory_reservation: files.has("memory"),
            memory_swappiness: files.file("memory", "memory.swappiness", || false),
            oom_kill_disable: files.file("memory", "memory.oom_control", || false),
            pids_limit: files.has("pids"),
            cpu_shares: files.has("cpu"),
            cpu_bandwidth: files.file("cpu", "cpu.cfs_quota_us", || true),
            cpu_realtime: files.file("cpu", "cpu.rt_period_us", || false),
            cpuset: files.has("cpuset"),
            blkio_weight: files.file("blkio", "blkio.weight", || true)
                || files.file("blkio", "blkio.bfq.weight", || false),
            blkio_throttle: files.file("blkio", "blkio.throttle.read_bps_device", || true),
            cpuset_cpus: online(cpuset_cpus, "/sys/devices/system/cpu/online"),
            cpuset_mems: online(cpuset_mems, "/sys/devices/system/node/online"),
            time_namespaces: exists("/proc/self/ns/time"),
            cgroup_namespaces: exists("/proc/self/ns/cgroup"),
            apparmor,
            apparmor_default: apparmor && apparmor::load(),
            seccomp: exists("/proc/sys/kernel/seccomp/actions_avail"),
            selinux: exists("/sys/fs/selinux/enforce"),
            ipv4_forwarding: read("/proc/sys/net/ipv4/ip_forward") != "0",
            capabilities: rustix::thread::capabilities(None)
                .map_or(0, |sets| (sets.permitted & CapabilitySet::all()).bits()),
            cgroups,
        })
    }

    /// Whether cgroups are of version 2 alone.
    #[must_use]
    pub fn unified(&self) -> bool {
        self.cgroups.kind() == Some(cgroup::Kind::Unified)
    }
}

/// The directories of controllers.
struct Files<'a>(&'a Layout);

impl<'a> Files<'a> {
    fn of(layout: &'a Layout) -> Self {
        Self(layout)
    }

    fn directory(&self, controller: &str) -> Option<(cgroup::Version, std::path::PathBuf)> {
        let unified = if controller == "blkio" { "io" } else { controller };
        self.0.hierarchies().iter().find_map(|hierarchy| {
            let name = if hierarchy.version == cgroup::Version::V1 { controller } else { unified };
            let has = hierarchy.controllers.iter().any(|known| known == name);
            has.then(|| (hierarchy.version, hierarchy.mountpoint.join(&hierarchy.own)))
        })
    }

    fn has(&self, controller: &str) -> bool {
        self.directory(controller).is_some()
    }

    /// Whether version 1 has a file, or version 2 what stands for it.
    fn file(&self, controller: &str, name: &str, unified: impl FnOnce() -> bool) -> bool {
        match self.directory(controller) {
            Some((cgroup::Version::V1, directory)) => directory.join(name).exists(),
            Some((cgroup::Version::V2, _)) => unified(),
            None => false,
        }
    }
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Bytes of the machine's memory.
fn memory() -> u64 {
    let text = read("/proc/meminfo");
    let kilobytes = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    kilobytes.unwrap_or(0).saturating_mul(1024)
}

/// `6.12.1-arch` is (6, 12).
fn kernel(release: &str) -> (u32, u32) {
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Host, kernel};

    #[test]
    fn releases() {
        for (release, version) in [("6.12.1-arch1", (6, 12)), ("5.10", (5, 10)), ("4", (4, 0)), ("", (0, 0))]
        {
            assert_eq!(kernel(release), version);
        }
    }

    #[test]
    fn this_machine() {
        let host = Host::probe().unwrap();
        assert!(host.cpus > 0 && host.memory > 1 << 20 && host.kernel > (4, 0));
        assert!(!host.cpuset_cpus.is_empty());
        assert!(host.capabilities & 1 == 1, "tests run as root");
    }
}
