//! Containers that share the PID or IPC namespace of another, which must run when they start.

use std::path::PathBuf;

use longshore_types::container::HostConfig;

use super::{Container, Containers, Error, Record, Result};
use crate::spec::{
    self,
    mode::{self, Mode},
};

/// What stands in front of a container in the mode of a namespace.
const PREFIX: &str = "container:";

/// The `/dev/shm` of those who share the host's.
const HOST_SHM: &str = "/dev/shm";

impl Containers {
    /// Puts IDs in place of names, so that a container stays with another that is renamed.
    ///
    /// # Errors
    /// [`Error::JoinNoContainer`] for a PID or IPC namespace of nobody. A network is looked for at the start.
    pub(super) fn adopt_joins(&self, host: &mut HostConfig) -> Result<()> {
        for (mode, must_be) in
            [(&mut host.pid_mode, true), (&mut host.ipc_mode, true), (&mut host.network_mode, false)]
        {
            let Some(word) = mode.strip_prefix(PREFIX) else { continue };
            match self.find(word) {
                Ok(found) => *mode = format!("{PREFIX}{}", found.id()),
                Err(Error::NoSuchContainer { word }) if must_be => {
                    return Err(Error::JoinNoContainer { word });
                }
                Err(Error::NoSuchContainer { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The PID namespace of another container, where the mode names one.
    pub(super) fn join_pid(&self, host: &HostConfig) -> Result<Option<PathBuf>> {
        let Some(Mode::Container(other)) = mode::pid(&host.pid_mode) else { return Ok(None) };
        let record = self.find(other)?.record();
        namespace("PID", "pid", &record).map(Some)
    }

    /// The IPC namespace of another container, where the mode names one.
    pub(super) fn join_ipc(&self, host: &HostConfig) -> Result<Option<PathBuf>> {
        let Some(Mode::Container(other)) = mode::ipc(&host.ipc_mode) else { return Ok(None) };
        let record = self.find(other)?.record();
        namespace("IPC", "ipc", &record).map(Some)
    }

    /// The `/dev/shm` that the container shares: its own for others to join, or that of the one it joins.
    pub(super) fn shm(&self, container: &Container, record: &Record) -> Result<Option<PathBuf>> {
        let Some(Mode::Container(other)) = mode::ipc(&record.host.ipc_mode) else {
            return Ok(spec::shm::mount(&record.host, container.data_dir())?);
        };
        let mut donor = self.find(other)?;
        loop {
            let host = donor.record().host.clone();
            donor = match mode::ipc(&host.ipc_mode) {
                Some(Mode::Shareable) => return Ok(Some(spec::shm::path(donor.data_dir()))),
                Some(Mode::Host) => return Ok(Some(HOST_SHM.into())),
                // It was there before the one that names it: the chain has an end.
                Some(Mode::Container(other)) => self.find(other)?,
                _ => return Err(Error::JoinPrivate { id: donor.id().to_string() }),
            };
        }
    }
}

fn namespace(name: &'static str, kind: &str, record: &Record) -> Result<PathBuf> {
    if !record.state.phase.has_processes() {
        return Err(Error::JoinNotRunning { namespace: name, id: record.id.to_string() });
    }
    Ok(PathBuf::from(format!("/proc/{}/ns/{kind}", record.state.pid)))
}
