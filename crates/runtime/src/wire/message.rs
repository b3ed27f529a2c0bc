use serde::{Deserialize, Serialize};

use crate::{
    plan::{Plan, ProcessPlan},
    seccomp::Filter,
    spec::ConsoleSize,
};

/// Everything that the spawner needs to make a container's monitor and start its init.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Must preserve no descriptors: those of the monitor are none of the container's.
    pub plan: Plan,
    pub io: Io,
    pub log: LogSink,
    /// Whether the monitor removes the container's cgroup after it announced the exit.
    pub remove_cgroup: bool,
    /// Whether the program is to wait for [`Request::Start`]. Answered with [`Reply::Created`] then.
    pub hold: bool,
    /// What each descriptor of the message is, in order.
    pub fds: Vec<FdRole>,
}

/// What a donated descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FdRole {
    /// The container's directory: the monitor's socket and the exit record are made in it.
    Directory,
    /// The process's own, with [`Io::Donated`] or for an exec.
    Stdin,
    Stdout,
    Stderr,
    /// The file of [`LogSink::Raw`], opened for appending, or the directory of [`LogSink::Json`].
    Log,
    /// A detached mount to be the root instead of the plan's path.
    Root,
}

/// Where the init's standard streams come from. With a terminal in the plan it is that one, and the
/// monitor copies as for [`Io::Pipes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Io {
    /// Pipes that the monitor copies from and to.
    Pipes { stdin: Stdin },
    /// Descriptors of the message; `/dev/null` where one is absent. Nothing is logged.
    Donated,
}

/// What the init's standard input is when it is no terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// A pipe that ends when a client says [`Request::CloseInput`].
    Open,
    /// The same, and it ends too when the first client attached to it leaves.
    Once,
}

/// Where output goes besides the attached clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSink {
    None,
    /// The bytes as they come, both streams into one file, which should be a regular one: a
    /// full pipe would hold the container up.
    Raw,
    /// Docker's `json-file` format.
    Json {
        /// The file's name in the donated directory.
        name: String,
        /// The size in bytes at which the file is renamed to `name.1`; never when absent.
        max_size: Option<u64>,
        /// Files kept, the current one included; at least 1.
        max_files: u32,
        /// Labels and variables repeated in every record as `attrs`.
        attributes: Vec<(String, String)>,
    },
}

/// What a client asks of a monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Sends output to this client from now on, and [`Reply::Exited`] after it. [`Reply::Done`].
    Attach(Attach),
    /// Ends the init's standard input after what was sent. [`Reply::Done`].
    CloseInput,
    /// Sets the size of the init's terminal. [`Reply::Done`].
    Resize(ConsoleSize),
    /// Sends a signal by number. [`Reply::Done`].
    Signal { target: Target, signal: i32 },
    /// Starts another process in the container. [`Reply::Started`] or [`Reply::Failed`], and
    /// once it has ended [`Reply::ExecExited`] with the same sequence.
    Exec(Box<RunExec>),
    /// [`Reply::Status`].
    Status,
    /// Answered once the process has ended, by [`Reply::Exited`] or [`Reply::ExecExited`].
    Wait(Target),
    /// Lets the program of a container that was made with [`Launch::hold`] run. [`Reply::Started`], or
    /// [`Reply::Failed`] and the container ends.
    Start,
    /// Stops all processes of the container, and returns once they are. [`Reply::Done`].
    Pause,
    /// Lets them go on. [`Reply::Done`].
    Resume,
}

/// A process of the container that the monitor knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    Init,
    Exec(String),
    /// Every process in the container's cgroup; for signals alone.
    All,
}

/// How a client wants to be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Whether this client's leaving ends a [`Stdin::Once`].
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Bytes of output kept while the client does not read them;
    /// [`super::limits::DEFAULT_CLIENT_BUFFER`] when 0.
    pub buffer: u32,
    /// How long a full buffer may hold back the container's output, in milliseconds, before the
    /// client is dropped: 0 drops it at once, `u32::MAX` waits for ever, which is what Docker's
    /// attach does and only for a client that is trusted with the container's progress.
    pub patience: u32,
}

impl Default for Attach {
    fn default() -> Self {
        Self { stdin: false, stdout: true, stderr: true, buffer: 0, patience: 250 }
    }
}

/// Another process for a running container. The monitor knows the container; where the process
/// belongs is not for the client to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunExec {
    /// Unique among the container's running exec processes; a file name when `record` is set.
    pub id: String,
    /// With a terminal in it, the master comes back with [`Reply::Started`] after the pidfd.
    pub process: ProcessPlan,
    pub seccomp: Option<Filter>,
    /// Whether its exit is also kept as `exec-<id>.json` in the container's directory, which
    /// whoever asked deletes.
    pub record: bool,
    /// What each descriptor of the message is, in order: the streams alone. One that is
    /// absent is `/dev/null`.
    pub fds: Vec<FdRole>,
}

/// What the spawner or a monitor answers or tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    Pong {
        pid: u32,
        version: u8,
    },
    /// The process runs: its `execve` has succeeded. Carries its pidfd.
    Started(Started),
    /// It does not, and nothing of it is left.
    Failed {
        step: String,
        cause: String,
        errno: Option<i32>,
    },
    Done,
    Refused(Refusal),
    Status(Box<Status>),
    /// The init has ended and the record of it is on disk.
    Exited(ExitRecord),
    ExecExited(ExecStatus),
    /// The last message that this client gets.
    Dropped(DropReason),
    /// All is done but the program's exec. Carries the init's pidfd.
    Created {
        pid: i32,
    },
}

/// A process that has begun to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub pid: i32,
    /// Nanoseconds since the epoch.
    pub started_at: u64,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    #[error("peer speaks protocol version {ours}, the request came in another")]
    Version { ours: u8 },
    #[error("malformed request: {reason}")]
    Malformed { reason: String },
    #[error("container has ended")]
    Ended,
    #[error("no exec process {id}")]
    NoSuchExec { id: String },
    #[error("exec process {id} runs already")]
    ExecExists { id: String },
    #[error("too many {what}: {limit} at most")]
    TooMany { what: String, limit: u32 },
    #[error("container has no {what}")]
    Without { what: String },
    #[error("cannot {operation}: errno {errno}")]
    Failed { operation: String, errno: i32 },
    #[error("container has not been started")]
    NotStarted,
    #[error("container has been started already")]
    StartedAlready,
    #[error("container is paused")]
    Paused,
    #[error("container is not paused")]
    NotPaused,
}

/// Why a client was disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DropReason {
    #[error("output was not read in time")]
    TooSlow,
    #[error("replies were not read")]
    Unread,
    #[error("request was malformed")]
    Malformed,
    #[error("too many clients")]
    TooManyClients,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit status, or 128 plus the signal.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// The end of a container: `exit.json` in its directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    pub pid: i32,
    pub exit_code: i32,
    pub signal: Option<i32>,
    pub oom_killed: bool,
    /// Nanoseconds since the epoch; 0 when the program never ran.
    pub started_at: u64,
    pub exited_at: u64,
    /// The errno for which this record is not on disk: whoever is told is the only one to know.
    #[serde(default)]
    pub unrecorded: Option<i32>,
}

/// The end of an exec process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecStatus {
    pub id: String,
    pub pid: i32,
    pub exit: Exit,
    /// Nanoseconds since the epoch.
    pub exited_at: u64,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Made, and its program waits for [`Request::Start`].
    Created,
    Running,
    Paused,
    Ended,
}

/// A monitor's view of its container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub pid: i32,
    pub phase: Phase,
    /// Nanoseconds since the epoch; 0 before the start.
    pub started_at: u64,
    pub exit: Option<ExitRecord>,
    pub log: LogStatus,
    pub clients: u32,
    /// IDs of the running exec processes.
    pub execs: Vec<String>,
}

/// How the log fares. Output goes on when it cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// Bytes of output recorded.
    pub written: u64,
    /// Bytes of output that could not be.
    pub lost: u64,
    /// Failed writes and rotations.
    pub errors: u64,
    /// The last one's errno.
    pub last_errno: Option<i32>,
}
