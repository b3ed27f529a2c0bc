use longshore_types::Kind;

/// Why output is not logged as asked for, or cannot be read. Where Docker has words for it, these are they.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("logger: no log driver named '{driver}' is registered")]
    UnknownDriver { driver: String },
    #[error("unknown log opt '{option}' for {driver} log driver")]
    UnknownOption { driver: &'static str, option: String },
    /// An option's value, in the driver's words.
    #[error("{reason}")]
    BadOption { reason: String },
    #[error("logger: logging mode not supported: {mode}")]
    Mode { mode: String },
    #[error("logger: max-buffer-size option is only supported with 'mode=non-blocking'")]
    BufferWithoutMode,
    #[error("error parsing option {option}: invalid size: '{value}'")]
    Buffer { option: &'static str, value: String },
    /// An option's value, found when the container starts.
    #[error("failed to initialize logging driver: {reason}")]
    Value { reason: String },
    /// Nobody listens where output is to be sent.
    #[error("failed to initialize logging driver: {reason}")]
    Unreachable { reason: String },
    #[error("failed to initialize logging driver: {operation} {object}")]
    Open { operation: &'static str, object: String, source: std::io::Error },
    #[error("You must choose at least one stream")]
    NoStream,
    #[error("can not get logs from container which is dead or marked for removal")]
    Removed,
    #[error("configured logging driver does not support reading")]
    NotReadable,
    #[error("{operation} {object}")]
    Read { operation: &'static str, object: String, source: std::io::Error },
    #[error("watch {object} for changes")]
    Watch { object: String, source: std::io::Error },
    #[error("reading the log ended")]
    Task { source: tokio::task::JoinError },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownDriver { .. }
            | Self::UnknownOption { .. }
            | Self::Mode { .. }
            | Self::BufferWithoutMode
            | Self::Buffer { .. }
            | Self::BadOption { .. }
            | Self::Value { .. }
            | Self::NoStream => Kind::InvalidInput,
            Self::Removed => Kind::Conflict,
            Self::NotReadable => Kind::Unsupported,
            Self::Unreachable { .. }
            | Self::Open { .. }
            | Self::Read { .. }
            | Self::Watch { .. }
            | Self::Task { .. } => Kind::Internal,
        }
    }
}
