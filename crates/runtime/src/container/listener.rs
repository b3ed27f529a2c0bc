//! Handing the seccomp listener to the agent that the profile names.

use std::{
    collections::BTreeMap,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use longshore_sys::pidfd;
use longshore_types::ContainerId;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Serialize;

use crate::{
    init::{At, Step, StepError},
    seccomp::Filter,
    spec::OCI_VERSION,
    state::{OciState, Status},
};

/// Whose process it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) id: &'a ContainerId,
    pub(crate) status: Status,
    /// The container's init where the process is another one.
    pub(crate) init: Option<i32>,
    pub(crate) bundle: &'a Path,
    pub(crate) annotations: &'a BTreeMap<String, String>,
}

/// What the agent reads (`config-linux.md`, "The Container Process State").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: OciState<'a>,
}

/// Takes descriptor `number` of the process and sends it to the profile's `listenerPath`.
pub(crate) fn hand_over(
    filter: Option<&Filter>,
    container: &Owner<'_>,
    pid: i32,
    process: BorrowedFd<'_>,
    number: i32,
) -> Result<(), StepError> {
    let Some(target) = filter.and_then(|filter| filter.listener.as_ref()) else {
        return Err(io::Error::other("no listener was asked for")).at(Step::Seccomp);
    };
    let state = ContainerProcessState {
        oci_version: OCI_VERSION,
        fds: ["seccompFd"],
        pid,
        metadata: &target.metadata,
        state: OciState {
            oci_version: OCI_VERSION,
            id: container.id.as_str(),
            status: container.status,
            pid: Some(container.init.unwrap_or(pid)),
            bundle: container.bundle,
            annotations: container.annotations,
        },
    };
    let send = || -> io::Result<()> {
        let listener = pidfd::get_descriptor(process, number)?;
        let text = serde_json::to_vec(&state)?;
        let agent = UnixStream::connect(&target.path)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [listener.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let sent = sendmsg(&agent, &[io::IoSlice::new(&text)], &mut control, SendFlags::NOSIGNAL)?;
        if sent < text.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    };
    send().on(Step::Seccomp, format_args!("listener at {}", target.path))
}
