//! Every bound of the protocol, in one table.

/// The largest payload that travels in the message itself, in bytes. With its header it fits the
/// kernel's default socket buffer (208 KiB) three times over.
pub const MAX_INLINE: usize = 64 << 10;
/// The largest payload at all, in bytes: above [`MAX_INLINE`] it travels in a sealed memory file.
pub const MAX_PAYLOAD: usize = 16 << 20;
/// The most file descriptors in one message. The kernel allows 253.
pub const MAX_FDS: usize = 32;
/// The largest chunk of input or output in one message, in bytes.
pub const MAX_DATA: usize = 32 << 10;
/// Connections that a monitor serves at once.
pub const MAX_CLIENTS: usize = 512;
/// Connections that have not sent their request yet, which the spawner keeps open.
pub const MAX_PENDING: usize = 256;
/// Exec processes of one container at once.
pub const MAX_EXECS: usize = 1024;
/// Ended exec processes whose status is still known.
pub const MAX_ENDED_EXECS: usize = 64;
/// Exits that one connection waits for at once.
pub const MAX_WAITS: usize = 1024;
/// Output kept for one attached client when it asks for nothing else, in bytes.
pub const DEFAULT_CLIENT_BUFFER: usize = 256 << 10;
/// The most output that a client may ask to have kept, in bytes.
pub const MAX_CLIENT_BUFFER: usize = 8 << 20;
/// Input taken from clients ahead of what the container has read, in bytes.
pub const MAX_PENDING_INPUT: usize = 64 << 10;
