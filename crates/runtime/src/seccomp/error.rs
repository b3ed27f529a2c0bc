/// Why a profile cannot be compiled. Fields are relative to `linux.seccomp`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeccompError {
    #[error("{field}: unknown action {action:?}")]
    UnknownAction { field: String, action: String },
    #[error("{field}: {value} is no errno that a filter can return (at most 65535)")]
    BadErrno { field: String, value: u32 },
    #[error("architectures[{index}]: unknown architecture {name:?}")]
    UnknownArchitecture { index: usize, name: String },
    #[error("flags[{index}]: unknown flag {name:?}")]
    UnknownFlag { index: usize, name: String },
    #[error("flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY")]
    WaitKillableWithoutNotify,
    #[error("syscalls[{rule}].args[{arg}]: unknown operator {op:?}")]
    UnknownOperator { rule: usize, arg: usize, op: String },
    #[error("syscalls[{rule}].args[{arg}]: argument index {index} is above 5")]
    BadArgumentIndex { rule: usize, arg: usize, index: u32 },
    #[error("syscalls[{rule}].names: a name is empty")]
    EmptyName { rule: usize },
    #[error("syscalls: {name} under one condition has two actions")]
    ConflictingActions { name: String },
    #[error(
        "defaultAction: SCMP_ACT_NOTIFY cannot be the default: the runtime itself would wait for the agent"
    )]
    NotifyAsDefault,
    #[error(
        "syscalls[{rule}]: SCMP_ACT_NOTIFY cannot be used for write: the runtime itself would wait for the agent"
    )]
    NotifyForWrite { rule: usize },
    #[error("listenerPath is missing, and a rule has SCMP_ACT_NOTIFY")]
    NoListenerPath,
    #[error("the filter would have more than {} instructions", super::MAX_INSTRUCTIONS)]
    TooLong,
}
