//! From a record to a running init: root mounted, spec planned, monitor launched.

use std::{
    os::fd::AsFd,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use longshore_runtime::{
    cgroup::{self, Driver, Layout},
    defaults::identity,
    launch::{Control, ControlError, LaunchError, Launched, Request},
    plan::{self, Options, Plan},
    seccomp::{self, Filter},
    spec::{Seccomp, Spec},
    wire::{FdRole, Io, Stdin},
};
use longshore_store::Access;
use rustix::fs::{Mode, OFlags};

use super::{Container, Containers, Error, Record, Result, create::step, io, make_private};

/// Where its cgroups are, in its state directory: for whoever has to kill what is left when the monitor is gone.
const CGROUP: &str = "cgroup.json";

/// Filters kept: a host has few profiles, and one that has more compiles them again.
const FILTERS: usize = 16;

/// What plans are made with.
#[derive(Debug, Default)]
pub(super) struct Plans {
    layout: OnceLock<Layout>,
    /// Compiled filters by their profiles, the last used at the end.
    filters: Mutex<Vec<(Seccomp, Arc<Option<Filter>>)>>,
}

impl Plans {
    fn layout(&self) -> Result<&Layout> {
        if let Some(layout) = self.layout.get() {
            return Ok(layout);
        }
        let layout = Layout::detect()?;
        Ok(self.layout.get_or_init(|| layout))
    }

    /// The filter of a profile, compiled the first time.
    fn filter(&self, id: &str, profile: Seccomp) -> Result<Arc<Option<Filter>>> {
        let lock = || self.filters.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn plan(&self, id: &longshore_types::ContainerId, mut spec: Spec, bundle: PathBuf) -> Result<Plan> {
        let profile = spec.linux.as_mut().and_then(|linux| linux.seccomp.take());
        let options = Options {
            id: id.clone(),
            cgroup_driver: Driver::Cgroupfs,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            rootless: false,
        };
        let mut plan = plan::plan(&spec, &bundle, &options, self.layout()?)
            .map_err(|source| Error::Plan { id: id.to_string(), source })?;
        if let Some(profile) = profile {
            plan.seccomp = (*self.filter(id.as_str(), profile)?).clone();
        }
        Ok(plan)
    }
}

impl Containers {
    /// Starts the init of a container that has none. Blocks. When it fails nothing runs.
    pub(super) fn launch(&self, container: &Container) -> Result<Launched> {
        let record = container.record();
        let snapshot = self.images().store().find_snapshot(record.snapshot)?;
        let root = snapshot.mount(Access::ReadWrite)?;
        let spec = spec(&record);
        let plan = self.0.plans.plan(&record.id, spec, container.data_dir().to_owned())?;
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
        let (log, log_directory) = crate::log::open(&record, container.data_dir())?;
        let mut fds = vec![(FdRole::Directory, directory.as_fd()), (FdRole::Root, root.as_fd())];
        fds.extend(log_directory.as_ref().map(|directory| (FdRole::Log, directory.as_fd())));
        let request = Request { plan: &plan, io: Io::Pipes { stdin }, log, remove_cgroup: true, fds: &fds };
        step("container.start.launch")?;
        let launched = self.run(container, &request);
        launched.map_err(|error| {
            self.clear_state(container).ok();
            failure(&record, error)
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
        match std::fs::remove_dir_all(container.state_dir()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", container.state_dir())(error))
            }
            _ => Ok(()),
        }
    }
}

/// What Docker says when a container cannot be started, with the words that its client looks for.
fn failure(record: &Record, error: LaunchError) -> Error {
    let LaunchError::Failed { step, cause, errno } = error else {
        return Error::Launch { id: record.id.to_string(), source: error };
    };
    let mut reason = format!("unable to start container process: {step}: {cause}");
    let program = record.command().first().map(|word| (*word).to_owned()).unwrap_or_default();
    if step == "exec" {
        reason = format!("unable to start container process: exec: {program:?}: {}", lower(&cause, errno));
    }
    let exit_code = match errno {
        Some(EACCES | EISDIR | ENOEXEC) => 126,
        Some(ENOENT | ENOTDIR) => 127,
        _ if reason.contains("executable file not found") => 127,
        _ => return Error::Start { reason },
    };
    Error::BadCommand { reason, exit_code }
}

const ENOENT: i32 = 2;
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

/// The spec of a container.
fn spec(record: &Record) -> Spec {
    let command = record.command();
    let mut spec = identity::spec("rootfs", &command, identity::Host::default());
    spec.hostname.clone_from(&record.config.hostname);
    if let Some(process) = &mut spec.process {
        let own = record.config.env.clone().unwrap_or_default();
        if own.iter().any(|text| text.starts_with("PATH=")) {
            process.env.clear();
        }
        process.env.push(format!("HOSTNAME={}", record.config.hostname));
        process.env.extend(own);
        process.terminal = record.config.tty;
        if record.config.tty {
            process.env.push("TERM=xterm".into());
        }
        if !record.config.working_dir.is_empty() {
            process.cwd.clone_from(&record.config.working_dir);
        }
    }
    if let Some(linux) = &mut spec.linux {
        linux.cgroups_path = format!("/longshore/{}", record.id);
    }
    spec
}
