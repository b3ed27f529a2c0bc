/// What is wrong. The words are Docker's, capital letters and all: clients look for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    // Config.
    #[error("hostname {name:?} is too long (maximum 64 bytes)")]
    HostnameTooLong { name: String },
    #[error("invalid hostname {name:?}: control characters are not allowed")]
    Hostname { name: String },
    #[error("the working directory '{path}' is invalid, it needs to be an absolute path")]
    WorkingDir { path: String },
    #[error("invalid signal: {signal}")]
    Signal { signal: String },
    #[error("invalid environment variable: {pair}")]
    Environment { pair: String },
    #[error("{field} has a NUL byte")]
    Nul { field: &'static str },
    #[error("{field} in Healthcheck cannot be less than 1ms")]
    HealthDuration { field: &'static str },
    #[error("Retries in Healthcheck cannot be negative")]
    HealthRetries,
    #[error("invalid port specification: {port:?}")]
    Port { port: String },
    #[error("invalid JSON: invalid port '{port}': {why}")]
    BoundPort { port: String, why: &'static str },
    #[error("invalid volume specification: '{path}'")]
    Volume { path: String },

    // Modes.
    #[error("conflicting options: hostname and the UTS mode")]
    HostnameAndUts,
    #[error(
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
    )]
    LinksAndHostNetwork,
    #[error("invalid network mode: invalid container format container:<name|id>")]
    NetworkContainer,
    #[error("conflicting options: {option} and the network mode")]
    AndNetworkMode { option: &'static str },
    #[error(
        "conflicting options: container type network can't be used with links. This would result in undefined behavior"
    )]
    LinksAndContainerNetwork,
    #[error("conflicting options: {option} and the container type network mode")]
    AndContainerNetwork { option: &'static str },
    #[error("invalid isolation ({isolation}): linux only supports 'default'")]
    Isolation { isolation: String },
    #[error("invalid IPC mode: {mode}")]
    IpcMode { mode: String },
    #[error("invalid PID mode: {mode}")]
    PidMode { mode: String },
    #[error("invalid UTS mode: {mode}")]
    UtsMode { mode: String },
    #[error("invalid user namespace mode: {mode}")]
    UsernsMode { mode: String },
    #[error("invalid cgroup namespace mode: {mode}")]
    CgroupnsMode { mode: String },

    // HostConfig.
    #[error("can't create 'AutoRemove' container with restart policy")]
    AutoRemove,
    #[error("invalid restart policy: maximum retry count can only be used with 'on-failure'{}", if *.negative { " and cannot be negative" } else { "" })]
    RetryCount { negative: bool },
    #[error("invalid restart policy: maximum retry count cannot be negative")]
    NegativeRetries,
    #[error(
        "invalid restart policy: unknown policy '{policy}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
    )]
    RestartPolicy { policy: String },
    #[error("bad format for add-host: {host:?}")]
    ExtraHost { host: String },
    #[error("invalid IP address in add-host: {address:?}")]
    ExtraHostAddress { address: String },
    #[error("invalid IP address: {address}")]
    DnsAddress { address: String },
    #[error("invalid domain {domain:?} in dns-search")]
    DnsSearch { domain: String },
    #[error("invalid dns option {option:?}")]
    DnsOption { option: String },
    #[error("invalid Annotations: the empty string is not permitted as an annotation key")]
    EmptyAnnotation,
    #[error("SHM size can not be less than 0")]
    ShmSize,
    #[error("Invalid value {value}, range for oom score adj is [-1000, 1000]")]
    OomScore { value: i64 },
    #[error("cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"")]
    Slice,
    #[error("invalid cgroup-parent {parent:?}: it must not leave the hierarchy")]
    CgroupParent { parent: String },
    #[error("unknown or invalid runtime name: {name}")]
    Runtime { name: String },
    #[error(
        "storage-opt {key:?} is not supported: layers are directories of one file system, which has no quota here"
    )]
    StorageOpt { key: String },
    #[error("invalid link {link:?}: the form is container:alias")]
    Link { link: String },
    #[error("invalid group {group:?}")]
    Group { group: String },
    #[error(
        "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when mount source is within the daemon root, daemon root: {root:?}, bind mount source: {source_path:?}, propagation: {propagation:?}"
    )]
    DaemonRoot { root: String, source_path: String, propagation: String },
    #[error("{why}")]
    TmpfsTarget { why: super::super::point::Why },
    #[error("invalid endpoint settings:\n{why}")]
    Endpoint { why: String },

    // Resources.
    #[error("invalid option: QoS maximum bandwidth configuration is not supported on linux")]
    Bandwidth,
    #[error("invalid option: QoS maximum IOPs configuration is not supported on linux")]
    Iops,
    #[error("kernel does not support CPU real-time scheduler")]
    NoRealtime,
    #[error("cpu real-time runtime cannot be higher than cpu real-time period")]
    Realtime,
    #[error("invalid CPU shares ({shares}): value must be a positive integer")]
    Shares { shares: i64 },
    #[error("Minimum memory limit allowed is 6MB")]
    Memory,
    #[error("Minimum memoryswap limit should be larger than memory limit, see usage")]
    SwapBelowMemory,
    #[error("You should always set the Memory limit when using Memoryswap limit, see usage")]
    SwapAlone,
    #[error("invalid memory swap limit ({swap}): use -1 for no limit")]
    NegativeSwap { swap: i64 },
    #[error("Invalid value: {value}, valid memory swappiness range is 0-100")]
    Swappiness { value: i64 },
    #[error("Minimum memory reservation allowed is 6MB")]
    Reservation,
    #[error("Minimum memory limit can not be less than memory reservation limit, see usage")]
    MemoryBelowReservation,
    #[error("Conflicting options: Nano CPUs and CPU {other} cannot both be set")]
    NanoCpus { other: &'static str },
    #[error(
        "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
    )]
    NoBandwidth,
    #[error("range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")]
    Cpus { cpus: usize },
    #[error("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")]
    Period,
    #[error("CPU cfs quota can not be less than 1ms (i.e. 1000)")]
    Quota,
    #[error("Invalid value {list} for cpuset {what}")]
    Cpuset { what: &'static str, list: String },
    #[error("Requested CPUs are not available - requested {list}, available: {available}")]
    CpusAbsent { list: String, available: String },
    #[error("Requested memory nodes are not available - requested {list}, available: {available}")]
    NodesAbsent { list: String, available: String },
    #[error("Range of blkio weight is from 10 to 1000")]
    Weight,
}
