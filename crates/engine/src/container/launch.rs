//! From a record to a running init: root mounted, spec planned, monitor launched.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, PoisonError},
};

use longshore_runtime::{
    cgroup,
    external::{self, External},
    launch::{Control, ControlError, LaunchError, Launched, Request},
    plan::{self, Options, Plan},
    seccomp::{self, Filter},
    spec::{NamespaceKind, Seccomp, Spec},
    wire::{FdRole, Io, Stdin},
};
use longshore_store::Access;
use rustix::fs::{Mode, OFlags};

use super::{Container, Containers, Error, Record, Result, create::step, io, make_private};
use crate::{etc, network::Attachment, spec};

/// Where its cgroups are, in its state directory: for whoever has to kill what is left when the monitor is gone.
pub(super) const CGROUP: &str = "cgroup.json";

/// Filters kept: a host has few profiles, and one that has more compiles them again.
const FILTERS: usize = 16;

/// Below the state root: where roots are mounted, each in its own mount namespace.
pub(super) const PLACE: &str = "rootfs";

/// Compiled filters by their profiles, the last used at the end.
#[derive(Debug, Default)]
pub(super) struct Filters(Mutex<Vec<(Seccomp, Arc<Option<Filter>>)>>);

impl Filters {
    /// The filter of a profile, compiled the first time.
    pub(super) fn of(&self, id: &str, profile: Seccomp) -> Result<Arc<Option<Filter>>> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, filter)) = lock().iter().find(|(known, _)| *known == profile) {
            return Ok(Arc::clone(filter));
        }
        let filter = seccomp::compile(&profile).map_err(|source| Error::Seccomp { id: id.into(), source })?;
        let filter = Arc::new(filter);
        let mut filters = lock();
        if filters.len() == FILTERS {
            filters.remove(0);
        }
        filters.push((profile, Arc::clone(&filter)));
        Ok(filter)
    }
}

impl Containers {
    /// Starts the init of a container that has none. Blocks. When it fails nothing runs.
    pub(super) fn launch(&self, container: &Container) -> Result<Launched> {
        step("container.start.networks")?;
        let attachment = self.attach_networks(container)?;
        let launched = self.launch_on(container, &attachment);
        if launched.is_err() {
            self.detach_networks(container);
        }
        launched
    }

    fn launch_on(&self, container: &Container, attachment: &Attachment) -> Result<Launched> {
        let record = container.record();
        let launched = self.launch_with_mounts(container, &record, attachment);
        if launched.is_err()
            && let Err(error) = self.volumes().ended(container.id(), &record.mounts)
        {
            tracing::warn!(id = %container.id(), error = crate::line(&error), "cannot give up its volumes");
        }
        launched
    }

    fn launch_with_mounts(
        &self,
        container: &Container,
        record: &Record,
        attachment: &Attachment,
    ) -> Result<Launched> {
        step("container.start.mounts")?;
        // What is held for this start goes when the container has mounts of its own.
        let resolved = self.volumes().resolve(container.id(), &record.mounts, &record.asked)?;
        let snapshot = self.images().store().find_snapshot(record.snapshot)?;
        container.await_unmounted();
        let root = snapshot.mount(Access::ReadWrite)?;
        let plan = self.plan(container, record, root.as_fd(), resolved.mounts.clone(), attachment)?;
        step("container.start.directory")?;
        make_private(container.state_dir())?;
        let at = container.state_dir().join(CGROUP);
        let cgroups = serde_json::to_vec(&plan.cgroup.record());
        std::fs::write(&at, cgroups.unwrap_or_default()).map_err(io("write", &at))?;
        let open = |path: &std::path::Path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| io("open", path)(errno.into()))
        };
        let directory = open(container.state_dir())?;
        let stdin = match (record.config.open_stdin, record.config.stdin_once) {
            (false, _) => Stdin::Null,
            (true, true) => Stdin::Once,
            (true, false) => Stdin::Open,
        };
        let (log, log_directory) = crate::log::open(record, container.data_dir())?;
        let mut fds = vec![(FdRole::Directory, directory.as_fd()), (FdRole::Root, root.as_fd())];
        fds.extend(log_directory.as_ref().map(|directory| (FdRole::Log, directory.as_fd())));
        let request = Request { plan: &plan, io: Io::Pipes { stdin }, log, remove_cgroup: true, fds: &fds };
        step("container.start.launch")?;
        let launched = self.run(container, &request);
        launched.map_err(|error| {
            self.clear_state(container).ok();
            failure(record, error)
        })
    }

    /// Has the program run, once everybody who waits for its first output is attached.
    fn run(
        &self,
        container: &Container,
        request: &Request<'_>,
    ) -> std::result::Result<Launched, LaunchError> {
        let launcher = self.launcher()?;
        if container.lobby().is_empty() {
            return launcher.launch(request);
        }
        let mut launched = launcher.create(request)?;
        let directory = request.fds.iter().find(|(role, _)| *role == FdRole::Directory);
        if let Some((_, directory)) = directory {
            let admitted = container.lobby().admit(|| Control::connect(*directory));
            if let Err(error) = admitted {
                tracing::warn!(id = %container.id(), error = crate::line(&error), "cannot attach a client");
            }
        }
        step_of_launch()?;
        match launched.control.start() {
            Ok(started) => {
                launched.started_at = started.started_at;
                Ok(launched)
            }
            Err(error) => {
                // It ends by itself; what it leaves goes with its state.
                launched.control.wait().ok();
                Err(match error {
                    ControlError::Failed { step, cause, errno } => LaunchError::Failed { step, cause, errno },
                    error => LaunchError::Unexpected { what: crate::line(&error) },
                })
            }
        }
    }

    fn plan(
        &self,
        container: &Container,
        record: &Record,
        root: BorrowedFd<'_>,
        mounts: Vec<spec::ResolvedMount>,
        attachment: &Attachment,
    ) -> Result<Plan> {
        let settings = &*self.defaults();
        if !matches!(record.config.working_dir.as_str(), "" | "/") {
            spec::workdir::make(root, &record.config.working_dir)?;
        }
        let groups = record.host.group_add.clone().unwrap_or_default();
        let user = spec::user::resolve(root, &record.config.user, &groups).map_err(spec::Error::from)?;
        let inputs = spec::Inputs {
            settings,
            root: self.settings().exec_root.join(PLACE),
            network: attachment.namespace.clone(),
            joins: spec::Joins { pid: self.join_pid(&record.host)?, ipc: self.join_ipc(&record.host)? },
            mounts,
            etc: self.etc(container, record, attachment)?,
            shm: self.shm(container, record)?,
            user,
            init: Some(settings.init_path.clone().unwrap_or_else(|| self.settings().runtime.clone())),
        };
        let host = self.host()?;
        let mut spec = spec::build(record, host, &inputs)?;
        let profile = spec.linux.as_mut().and_then(|linux| linux.seccomp.take());
        let options = Options {
            id: record.id.clone(),
            cgroup_driver: settings.cgroup_driver,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            rootless: false,
        };
        let plan = plan::plan(&spec, container.data_dir(), &options, &host.cgroups);
        let mut plan = plan.map_err(|source| Error::Plan { id: record.id.to_string(), source })?;
        if let Some(runtime) = settings.external_runtime(&record.host.runtime) {
            if let Some(linux) = &mut spec.linux {
                linux.seccomp = profile;
            }
            plan.external = Some(external(container, runtime, spec)?);
        } else if let Some(profile) = profile {
            plan.seccomp = (*self.0.filters.of(record.id.as_str(), profile)?).clone();
        }
        Ok(plan)
    }

    /// The files of `/etc`; those of the container whose network is shared.
    fn etc(&self, container: &Container, record: &Record, attachment: &Attachment) -> Result<spec::EtcPaths> {
        if record.config.network_disabled {
            return Ok(spec::EtcPaths::default());
        }
        let mut inputs = etc::EtcInputs {
            hosts: attachment.hosts.clone(),
            gateways: attachment.gateways.clone(),
            nameservers: attachment.nameservers.clone(),
            links: self.link_hosts(record)?,
            ..self.etc_inputs()
        };
        if let Some(other) = spec::mode::network_of(&record.host.network_mode) {
            inputs.shared = Some(self.find(other)?.data_dir().to_owned());
        }
        Ok(etc::write(record, container.data_dir(), &inputs)?)
    }

    /// What the daemon's settings say of those files.
    pub(super) fn etc_inputs(&self) -> etc::EtcInputs {
        let resolvers = self.networks().resolvers();
        etc::EtcInputs {
            dns: resolvers.servers.clone(),
            dns_search: resolvers.search.clone(),
            dns_options: resolvers.options.clone(),
            ..etc::EtcInputs::default()
        }
    }

    /// Kills what may be left of a container whose monitor is gone, and takes its state directory. Blocks.
    pub(super) fn clear_state(&self, container: &Container) -> Result<()> {
        let at = container.state_dir().join(CGROUP);
        if let Ok(text) = std::fs::read(&at)
            && let Ok(record) = serde_json::from_slice::<cgroup::Record>(&text)
            && let Ok(cgroup) = cgroup::Cgroup::open(&record)
        {
            cgroup.kill_all(rustix::process::Signal::KILL)?;
            cgroup.remove()?;
        }
        spec::shm::unmount(container.data_dir())?;
        self.detach_networks(container);
        self.volumes().ended(container.id(), &container.record().mounts)?;
        match std::fs::remove_dir_all(container.state_dir()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", container.state_dir())(error))
            }
            _ => Ok(()),
        }
    }
}

/// A place where tests stop the daemon: the init waits for its start.
fn step_of_launch() -> std::result::Result<(), LaunchError> {
    let failed = |error| LaunchError::Unexpected { what: crate::line(&error) };
    longshore_runtime::failpoint::step("container.start.held").map_err(failed)
}

/// What another's runtime is called with.
fn external(container: &Container, runtime: &spec::Runtime, mut spec: Spec) -> Result<External> {
    let found = external::find(&runtime.path);
    let program = found.ok_or_else(|| Error::NoRuntime { path: runtime.path.display().to_string() })?;
    let bundle = container.state_dir().to_owned();
    if let Some(root) = &mut spec.root {
        root.path = External::root(&bundle).display().to_string();
    }
    if let Some(linux) = &mut spec.linux {
        // Nobody asks for one, and runtimes of their time do not know it.
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Time);
    }
    let config = serde_json::to_string(&spec).map_err(|source| Error::Io {
        operation: "write the specification of",
        object: container.id().to_string(),
        source: source.into(),
    })?;
    Ok(External { program, args: runtime.args.clone(), bundle, config })
}

/// What Docker says when a container cannot be started, with the words that its client looks for.
fn failure(record: &Record, error: LaunchError) -> Error {
    let LaunchError::Failed { step, cause, errno } = error else {
        return Error::Launch { id: record.id.to_string(), source: error };
    };
    let mut reason = format!("unable to start container process: {step}: {cause}");
    let program = record.command().first().map(|word| (*word).to_owned()).unwrap_or_default();
    if step == "exec" || step.starts_with("exec ") {
        reason = format!("unable to start container process: exec: {program:?}: {}", lower(&cause, errno));
    }
    let exit_code = match errno {
        Some(EACCES | EISDIR | ENOEXEC) => 126,
        Some(ENOENT | ENOTDIR) => 127,
        _ if reason.contains("executable file not found") => 127,
        // Another's runtime says it in words alone.
        _ if step.starts_with("OCI runtime") && cause.contains("no such file or directory") => 127,
        _ if step.starts_with("OCI runtime") && cause.contains("permission denied") => 126,
        // The machine's lack, not the caller's mistake.
        Some(EIO | EAGAIN | ENOMEM | ENFILE | EMFILE | ENOSPC) => return Error::Start { reason },
        _ => 128,
    };
    Error::BadCommand { reason, exit_code }
}

const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const ENOEXEC: i32 = 8;
const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;

/// The cause as Go's programs write it, which clients look for.
fn lower(cause: &str, errno: Option<i32>) -> String {
    match errno {
        Some(ENOENT) => "no such file or directory".into(),
        Some(EACCES) => "permission denied".into(),
        Some(EISDIR) => "is a directory: permission denied".into(),
        Some(ENOEXEC) => "exec format error".into(),
        _ => cause.to_owned(),
    }
}
