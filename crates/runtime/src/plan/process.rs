use std::ffi::CString;

use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::spec::{Capabilities, ConsoleSize, Linux, Process};

/// The process to execute, its attributes as the kernel's numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessPlan {
    pub args: Vec<CString>,
    pub env: Vec<CString>,
    /// Absolute.
    pub cwd: CString,
    pub uid: u32,
    pub gid: u32,
    pub additional_gids: Vec<u32>,
    pub umask: Option<u32>,
    pub terminal: bool,
    pub console_size: Option<ConsoleSize>,
    /// `None` leaves the runtime's own.
    pub capabilities: Option<CapabilityMasks>,
    pub rlimits: Vec<RlimitPlan>,
    pub no_new_privileges: bool,
    pub apparmor_profile: String,
    pub selinux_label: String,
    pub oom_score_adj: Option<i32>,
    /// Class and level for `ioprio_set(2)`.
    pub io_priority: Option<(u16, u16)>,
    pub scheduler: Option<SchedulerPlan>,
    pub personality: Option<u32>,
    pub memory_policy: Option<MemoryPolicyPlan>,
    /// CPU masks (64 CPUs a word) before and after joining the cgroup; empty leaves it.
    pub affinity: (Vec<u64>, Vec<u64>),
}

/// The five sets, bit n for capability n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityMasks {
    pub bounding: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub permitted: u64,
    pub ambient: u64,
}

/// One limit for `setrlimit(2)`; `name` is for messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RlimitPlan {
    pub name: String,
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// `struct sched_attr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerPlan {
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// Arguments of `set_mempolicy(2)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPolicyPlan {
    pub mode: i32,
    pub nodes: Vec<u64>,
}

/// The capabilities by number (`linux/capability.h`).
#[rustfmt::skip]
pub const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
    "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
];

/// The resource limits by number on x86-64 and AArch64 (`asm-generic/resource.h`).
const RLIMITS: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

/// Plans a process, of a container or of an exec.
pub fn plan_process(process: &Process, warnings: &mut Vec<String>) -> Result<ProcessPlan, PlanError> {
    if process.args.is_empty() {
        return Err(PlanError::Missing { field: "process.args" });
    }
    if process.args.first().is_some_and(String::is_empty) {
        return Err(invalid("process.args[0]", ""));
    }
    if process.cwd.is_empty() {
        return Err(PlanError::Missing { field: "process.cwd" });
    }
    if !process.cwd.starts_with('/') {
        return Err(PlanError::NotAbsolute { field: "process.cwd".into(), path: process.cwd.clone() });
    }
    if let Some(score) = process.oom_score_adj
        && !(-1000..=1000).contains(&score)
    {
        return Err(invalid("process.oomScoreAdj", score));
    }
    let umask = process.user.umask;
    if umask.is_some_and(|umask| umask > 0o777) {
        return Err(invalid("process.user.umask", umask.unwrap_or_default()));
    }
    let affinity = process.exec_cpu_affinity.clone().unwrap_or_default();
    Ok(ProcessPlan {
        args: c_strings("process.args", &process.args)?,
        env: environment(&process.env)?,
        cwd: c_string("process.cwd", &process.cwd)?,
        uid: process.user.uid,
        gid: process.user.gid,
        additional_gids: process.user.additional_gids.clone(),
        umask,
        terminal: process.terminal,
        console_size: process.console_size,
        capabilities: process.capabilities.as_ref().map(|sets| capabilities(sets, warnings)),
        rlimits: rlimits(process)?,
        no_new_privileges: process.no_new_privileges,
        apparmor_profile: process.apparmor_profile.clone(),
        selinux_label: process.selinux_label.clone(),
        oom_score_adj: process.oom_score_adj,
        io_priority: io_priority(process)?,
        scheduler: scheduler(process)?,
        personality: None,
        memory_policy: None,
        affinity: (
            id_list("process.execCPUAffinity.initial", &affinity.initial)?,
            id_list("process.execCPUAffinity.final", &affinity.last)?,
        ),
    })
}

fn invalid(field: &str, value: impl ToString) -> PlanError {
    PlanError::Invalid { field: field.into(), value: value.to_string() }
}

fn c_string(field: &str, text: &str) -> Result<CString, PlanError> {
    CString::new(text).map_err(|_| PlanError::Nul { field: field.into() })
}

fn c_strings(field: &str, list: &[String]) -> Result<Vec<CString>, PlanError> {
    list.iter().enumerate().map(|(index, text)| c_string(&format!("{field}[{index}]"), text)).collect()
}

/// `NAME=value` each; of two with the same name the last one stands, in its place (as runc).
fn environment(list: &[String]) -> Result<Vec<CString>, PlanError> {
    let name = |pair: &str| pair.split_once('=').map(|(name, _)| name.to_owned());
    let mut kept = Vec::with_capacity(list.len());
    let mut seen = std::collections::HashSet::with_capacity(list.len());
    for (index, pair) in list.iter().enumerate().rev() {
        match name(pair) {
            Some(name) if !name.is_empty() => {
                if seen.insert(name) {
                    kept.push(c_string(&format!("process.env[{index}]"), pair)?);
                }
            }
            _ => return Err(invalid(&format!("process.env[{index}]"), pair)),
        }
    }
    kept.reverse();
    Ok(kept)
}

fn capabilities(sets: &Capabilities, warnings: &mut Vec<String>) -> CapabilityMasks {
    let mut unknown = std::collections::BTreeSet::new();
    let mut mask = |names: &[String]| {
        names.iter().fold(0u64, |mask, name| match CAPABILITIES.iter().position(|known| known == name) {
            Some(bit) => mask | 1 << bit,
            None => {
                unknown.insert(name.clone());
                mask
            }
        })
    };
    let masks = CapabilityMasks {
        bounding: mask(&sets.bounding),
        effective: mask(&sets.effective),
        inheritable: mask(&sets.inheritable),
        permitted: mask(&sets.permitted),
        ambient: mask(&sets.ambient),
    };
    // The specification asks for a warning and not for an error (`config.md`, "capabilities"); the
    // words are runc's, which other programs look for.
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.into_iter().collect();
        warnings.push(format!("ignoring unknown or unavailable capabilities: [{}]", names.join(" ")));
    }
    masks
}

fn rlimits(process: &Process) -> Result<Vec<RlimitPlan>, PlanError> {
    let mut planned: Vec<RlimitPlan> = Vec::with_capacity(process.rlimits.len());
    for (index, limit) in process.rlimits.iter().enumerate() {
        let field = format!("process.rlimits[{index}]");
        let number = RLIMITS
            .iter()
            .position(|name| *name == limit.kind)
            .and_then(|position| u32::try_from(position).ok())
            .ok_or_else(|| invalid(&format!("{field}.type"), &limit.kind))?;
        if planned.iter().any(|other| other.resource == number) {
            return Err(PlanError::Conflict { field, with: "an earlier limit of the same type" });
        }
        if limit.soft > limit.hard {
            return Err(PlanError::Conflict { field: format!("{field}.soft"), with: "its lower hard limit" });
        }
        let name = limit.kind.clone();
        planned.push(RlimitPlan { name, resource: number, soft: limit.soft, hard: limit.hard });
    }
    Ok(planned)
}

fn io_priority(process: &Process) -> Result<Option<(u16, u16)>, PlanError> {
    let Some(priority) = &process.io_priority else { return Ok(None) };
    let class = match priority.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => return Err(invalid("process.ioPriority.class", other)),
    };
    match u16::try_from(priority.priority) {
        Ok(level @ 0..=7) => Ok(Some((class, level))),
        _ => Err(invalid("process.ioPriority.priority", priority.priority)),
    }
}

fn scheduler(process: &Process) -> Result<Option<SchedulerPlan>, PlanError> {
    const POLICIES: [(&str, u32); 7] = [
        ("SCHED_OTHER", 0),
        ("SCHED_FIFO", 1),
        ("SCHED_RR", 2),
        ("SCHED_BATCH", 3),
        ("SCHED_ISO", 4),
        ("SCHED_IDLE", 5),
        ("SCHED_DEADLINE", 6),
    ];
    const FLAGS: [(&str, u64); 7] = [
        ("SCHED_FLAG_RESET_ON_FORK", 0x01),
        ("SCHED_FLAG_RECLAIM", 0x02),
        ("SCHED_FLAG_DL_OVERRUN", 0x04),
        ("SCHED_FLAG_KEEP_POLICY", 0x08),
        ("SCHED_FLAG_KEEP_PARAMS", 0x10),
        ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
        ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
    ];
    let Some(scheduler) = &process.scheduler else { return Ok(None) };
    let policy = POLICIES
        .iter()
        .find(|(name, _)| *name == scheduler.policy)
        .ok_or_else(|| invalid("process.scheduler.policy", &scheduler.policy))?;
    let mut flags = 0;
    for flag in &scheduler.flags {
        let known = FLAGS.iter().find(|(name, _)| name == flag);
        flags |= known.ok_or_else(|| invalid("process.scheduler.flags", flag))?.1;
    }
    if !(-20..=19).contains(&scheduler.nice) {
        return Err(invalid("process.scheduler.nice", scheduler.nice));
    }
    let deadline = scheduler.runtime != 0 || scheduler.deadline != 0 || scheduler.period != 0;
    if deadline && policy.0 != "SCHED_DEADLINE" {
        let field = "process.scheduler.runtime, deadline or period".into();
        return Err(PlanError::Conflict { field, with: "a policy other than SCHED_DEADLINE" });
    }
    Ok(Some(SchedulerPlan {
        policy: policy.1,
        flags,
        nice: scheduler.nice,
        priority: u32::try_from(scheduler.priority)
            .map_err(|_| invalid("process.scheduler.priority", scheduler.priority))?,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
    }))
}

/// The execution domain of a container's processes, as `personality(2)` takes it.
pub fn personality(linux: &Linux) -> Result<Option<u32>, PlanError> {
    let Some(personality) = &linux.personality else { return Ok(None) };
    // The specification reserves `flags` and defines none.
    if let Some(flag) = personality.flags.first() {
        return Err(invalid("linux.personality.flags", flag));
    }
    match personality.domain.as_str() {
        "LINUX" => Ok(Some(0)),
        "LINUX32" => Ok(Some(8)),
        other => Err(invalid("linux.personality.domain", other)),
    }
}

pub(super) fn memory_policy(linux: &Linux) -> Result<Option<MemoryPolicyPlan>, PlanError> {
    const MODES: [(&str, i32); 7] = [
        ("MPOL_DEFAULT", 0),
        ("MPOL_PREFERRED", 1),
        ("MPOL_BIND", 2),
        ("MPOL_INTERLEAVE", 3),
        ("MPOL_LOCAL", 4),
        ("MPOL_PREFERRED_MANY", 5),
        ("MPOL_WEIGHTED_INTERLEAVE", 6),
    ];
    const FLAGS: [(&str, i32); 3] = [
        ("MPOL_F_NUMA_BALANCING", 1 << 13),
        ("MPOL_F_RELATIVE_NODES", 1 << 14),
        ("MPOL_F_STATIC_NODES", 1 << 15),
    ];
    let Some(policy) = &linux.memory_policy else { return Ok(None) };
    let mut mode = MODES
        .iter()
        .find(|(name, _)| *name == policy.mode)
        .ok_or_else(|| invalid("linux.memoryPolicy.mode", &policy.mode))?
        .1;
    for flag in &policy.flags {
        let known = FLAGS.iter().find(|(name, _)| name == flag);
        mode |= known.ok_or_else(|| invalid("linux.memoryPolicy.flags", flag))?.1;
    }
    Ok(Some(MemoryPolicyPlan { mode, nodes: id_list("linux.memoryPolicy.nodes", &policy.nodes)? }))
}

/// Reads `0-3,7` (cpuset(7), "List format") as a bit mask of at most 8,192 bits.
fn id_list(field: &str, text: &str) -> Result<Vec<u64>, PlanError> {
    let bad = || invalid(field, text);
    let mut mask: Vec<u64> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| bad())?;
        let last: usize = last.trim().parse().map_err(|_| bad())?;
        if first > last || last >= 8192 {
            return Err(bad());
        }
        if mask.len() <= last / 64 {
            mask.resize(last / 64 + 1, 0);
        }
        for id in first..=last {
            mask[id / 64] |= 1 << (id % 64);
        }
    }
    Ok(mask)
}
