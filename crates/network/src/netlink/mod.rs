//! Netlink: messages, and sockets that send several at once and wait for the kernel's word on each.

mod message;
mod socket;

pub(crate) use message::{Message, attributes};
pub(crate) use socket::{Family, Socket};

/// `NLM_F_REQUEST`.
pub(crate) const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`: an answer also when it went well.
pub(crate) const ACK: u16 = 0x4;
/// `NLM_F_ROOT | NLM_F_MATCH`: everything there is.
pub(crate) const DUMP: u16 = 0x300;
/// `NLM_F_EXCL`: fail if it is there.
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`.
pub(crate) const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`.
pub(crate) const APPEND: u16 = 0x800;
/// `NLM_F_REPLACE`.
pub(crate) const REPLACE: u16 = 0x100;
