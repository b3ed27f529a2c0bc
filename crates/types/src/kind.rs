/// What an error means to whoever asked, whatever failed underneath.
///
/// Every error type of every crate maps to one kind, and each front door (HTTP, gRPC, exit code)
/// maps kinds exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The caller's input is wrong, and would be wrong tomorrow too.
    InvalidInput,
    /// The thing named does not exist.
    NotFound,
    /// The thing exists already, or is in a state that forbids the operation.
    Conflict,
    /// The caller may not do this.
    PermissionDenied,
    /// This kernel or host cannot do it.
    Unsupported,
    /// A limit (space, processes, descriptors) was reached.
    ResourceExhausted,
    /// It did not finish in the time allowed.
    Timeout,
    /// The other side went away; the same call may work later.
    Unavailable,
    /// Anything else: a bug, or a failure of the machine.
    Internal,
}
