use std::{
    collections::{HashMap, VecDeque},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use longshore_runtime::wire::Target;

use super::{Config, Error, Exec, Prepared, State};
use crate::{
    attach::Keys,
    container::{Container, Containers, Phase},
};

const SIGKILL: i32 = 9;
/// Execs that are kept, those that run not counted.
const MAX_KEPT: usize = 1024;
/// Bytes of an ID, written as twice as many digits.
const ID: usize = 32;

/// All execs.
#[derive(Clone, Debug)]
pub struct Execs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    containers: Containers,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    all: HashMap<String, Arc<Exec>>,
    /// Those that may go, oldest first: never started, or ended.
    idle: VecDeque<String>,
}

impl Execs {
    /// None yet.
    #[must_use]
    pub fn new(containers: Containers) -> Self {
        Self(Arc::new(Inner { containers, table: Mutex::default() }))
    }

    /// The containers that they are in.
    #[must_use]
    pub fn containers(&self) -> &Containers {
        &self.0.containers
    }

    /// Takes note of a process to be started.
    ///
    /// # Errors
    /// Docker's refusals: no command, a container that does not run.
    pub async fn create(&self, container: &Container, config: Config) -> Result<Arc<Exec>, Error> {
        self.create_prepared(container, config, None).await
    }

    /// The same, of what was prepared before.
    pub(crate) async fn create_prepared(
        &self,
        container: &Container,
        config: Config,
        prepared: Option<Arc<Prepared>>,
    ) -> Result<Arc<Exec>, Error> {
        check(container)?;
        if config.command.first().is_none_or(String::is_empty) {
            return Err(Error::NoCommand);
        }
        let keys = Keys::parse(&config.detach_keys);
        let keys = keys.map_err(|_| Error::Keys { keys: config.detach_keys.clone() })?;
        if !config.user.is_empty() {
            let (containers, container) = (self.0.containers.clone(), container.clone());
            let user = config.user.clone();
            let found = tokio::task::spawn_blocking(move || {
                let root = containers.root(&container)?;
                crate::spec::user::resolve(root.as_fd(), &user, &[]).map_err(Error::User)
            });
            found.await.map_err(|source| Error::Task { source })??;
        }
        let id: String = (0..ID).map(|_| format!("{:02x}", fastrand::u8(..))).collect();
        let exec = Arc::new(Exec {
            id: id.clone(),
            container: container.clone(),
            config,
            keys,
            state: tokio::sync::watch::Sender::new(State::default()),
            prepared: prepared.map(Into::into).unwrap_or_default(),
            terminal: Mutex::default(),
        });
        let mut table = self.table();
        while table.idle.len() >= MAX_KEPT {
            if let Some(oldest) = table.idle.pop_front() {
                let is_idle = table.all.get(&oldest).is_some_and(|exec| !exec.state().running);
                if is_idle {
                    table.all.remove(&oldest);
                }
            }
        }
        table.all.insert(id.clone(), Arc::clone(&exec));
        table.idle.push_back(id);
        drop(table);
        let attributes = [("execID", exec.id.clone())];
        container.publish(self.0.containers.events(), &exec.action("exec_create"), attributes);
        Ok(exec)
    }

    /// The exec with this ID.
    ///
    /// # Errors
    /// [`Error::NoSuchExec`], also when its container has been removed.
    pub fn find(&self, id: &str) -> Result<Arc<Exec>, Error> {
        let found = self.table().all.get(id).cloned();
        let exec = found.ok_or_else(|| Error::NoSuchExec { id: id.into() })?;
        if self.0.containers.find(exec.container.id().as_str()).is_err() {
            self.table().all.remove(id);
            return Err(Error::NoSuchExec { id: id.into() });
        }
        Ok(exec)
    }

    /// The IDs of a container's execs that have not ended, as `inspect` shows them.
    #[must_use]
    pub fn of(&self, container: &Container) -> Vec<String> {
        let table = self.table();
        let live =
            |exec: &&Arc<Exec>| exec.container.id() == container.id() && exec.state().exit_code.is_none();
        table.all.values().filter(live).map(|exec| exec.id.clone()).collect()
    }

    /// Whether one can be started now.
    ///
    /// # Errors
    /// What [`Execs::start`] says when it runs, or has run, or its container does not.
    pub fn startable(&self, exec: &Exec) -> Result<(), Error> {
        let state = exec.state();
        match (state.exit_code, state.running) {
            (Some(_), _) => Err(Error::HasRun { id: exec.id.clone() }),
            (None, true) => Err(Error::Runs { id: exec.id.clone() }),
            (None, false) => check(&exec.container),
        }
    }

    /// Kills one that runs, without waiting for that.
    pub(crate) fn kill(&self, exec: Arc<Exec>) {
        tokio::task::spawn_blocking(move || {
            // It may have ended, and its container with it.
            if let Ok(mut control) = exec.container.control() {
                control.signal(Target::Exec(exec.id.clone()), SIGKILL).ok();
            }
        });
    }

    /// Tells that a user has left one that goes on.
    pub fn detached(&self, exec: &Exec) {
        let attributes = [("execID", exec.id.clone())];
        exec.container.publish(self.0.containers.events(), "exec_detach", attributes);
    }

    /// Forgets one that nobody knows of.
    pub(crate) fn forget(&self, exec: &Exec) {
        let mut table = self.table();
        table.all.remove(&exec.id);
        table.idle.retain(|id| *id != exec.id);
    }

    /// Takes note that one has ended: it may go.
    pub(super) fn rest(&self, exec: &Exec) {
        let mut table = self.table();
        if table.all.contains_key(&exec.id) {
            table.idle.push_back(exec.id.clone());
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether processes can be added to a container.
pub(super) fn check(container: &Container) -> Result<(), Error> {
    let id = || container.id().to_string();
    match container.record().state.phase {
        Phase::Running => Ok(()),
        Phase::Paused => Err(Error::Paused { id: id() }),
        Phase::Restarting => Err(Error::Restarting { id: id() }),
        _ => Err(Error::NotRunning { id: id() }),
    }
}
