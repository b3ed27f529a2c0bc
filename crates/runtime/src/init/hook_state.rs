use std::io;

use crate::{
    plan::Plan,
    spec::OCI_VERSION,
    state::{OciState, Status},
};

/// What hooks get on their stdin, but for the status and PID of the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HookState<'a>(pub(crate) &'a Plan);

impl HookState<'_> {
    /// The document.
    pub(crate) fn json(&self, status: Status, pid: i32) -> io::Result<Vec<u8>> {
        let state = OciState {
            oci_version: OCI_VERSION,
            id: self.0.id.as_str(),
            status,
            pid: Some(pid),
            bundle: &self.0.bundle,
            annotations: &self.0.annotations,
        };
        Ok(serde_json::to_vec(&state)?)
    }
}
