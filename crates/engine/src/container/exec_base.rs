//! What every process of a container has, for one more of them.

use std::sync::Arc;

use longshore_runtime::{
    seccomp::Filter,
    spec::{Process, User},
};

use super::{Container, Containers, Result};
use crate::spec;

/// A container's process as its spec has it, and the filter that it runs under.
#[derive(Clone, Debug)]
pub struct Base {
    pub process: Process,
    pub filter: Arc<Option<Filter>>,
}

impl Containers {
    /// What a process that is added to a container begins from: the container's own, whose user is not looked up.
    /// Blocks.
    pub fn exec_base(&self, container: &Container) -> Result<Base> {
        let mut record = super::Record::clone(&container.record());
        // Namespaces and devices are there already.
        record.host.pid_mode.clear();
        record.host.ipc_mode.clear();
        record.host.network_mode = "host".into();
        record.host.resources.devices = None;
        record.host.resources.device_requests = None;
        let inputs = spec::Inputs {
            settings: &self.defaults(),
            root: self.settings().exec_root.join(super::launch::PLACE),
            network: spec::NetworkNamespace::Host,
            joins: spec::Joins { pid: None, ipc: None },
            mounts: Vec::new(),
            etc: spec::EtcPaths::default(),
            shm: None,
            user: User::default(),
            init: None,
        };
        let mut spec = spec::build(&record, self.host()?, &inputs)?;
        let profile = spec.linux.as_mut().and_then(|linux| linux.seccomp.take());
        let filter = match profile {
            Some(profile) => self.0.filters.of(record.id.as_str(), profile)?,
            None => Arc::new(None),
        };
        Ok(Base { process: spec.process.unwrap_or_default(), filter })
    }
}
