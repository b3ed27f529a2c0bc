//! Removing a container, whole. Once its row says that it is being removed, the next start of the daemon goes on with
//! what is left to be done.

use std::path::PathBuf;

use longshore_store::Snapshot;
use longshore_types::ContainerId;

use super::{
    Condition, Container, Containers, Error, Phase, Record, Result, Verb, blocking,
    create::{OWNER, step},
    io, kill,
    state::{Refusal, Verdict},
    to_the_end,
};
use crate::{
    db::{Durability, Table},
    volume,
};

/// How a container is removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remove {
    /// One that runs is killed.
    pub force: bool,
    /// With its volumes that have no name of their own.
    pub volumes: bool,
}

impl Containers {
    /// Removes a container.
    pub async fn remove(&self, container: &Container, remove: Remove) -> Result<()> {
        let (containers, container) = (self.clone(), container.clone());
        to_the_end(async move { containers.remove_to_the_end(&container, remove).await }).await
    }

    async fn remove_to_the_end(&self, container: &Container, remove: Remove) -> Result<()> {
        let mut turn = container.lock().await;
        let ended = container.wait(Condition::NotRunning);
        let record = container.record();
        let id = || container.id().to_string();
        if record.state.removed {
            return Err(Error::NoSuchContainer { word: id() });
        }
        match record.state.phase.judge(Verb::Remove) {
            Verdict::Go => {}
            Verdict::Refused(Refusal::Removing) => return Err(Error::Removing { id: id() }),
            _ if remove.force => {}
            Verdict::Refused(Refusal::Paused) => {
                return Err(Error::RemovePaused { name: record.name.clone() });
            }
            _ => {
                let phase = record.state.phase.name();
                return Err(Error::RemoveRunning { name: record.name.clone(), phase });
            }
        }
        let has_processes = record.state.phase.has_processes();
        if has_processes {
            let this = (self.clone(), container.clone());
            blocking(move || this.0.begin_removal(&this.1, remove)).await?;
            // Whoever notes its end wants its turn too.
            drop(turn);
            step("container.remove.kill")?;
            match self.signal(container, kill::SIGKILL).await {
                Ok(()) | Err(Error::NotRunning { .. }) => {}
                Err(error) => return Err(self.give_up(container, error).await),
            }
            ended.await;
            turn = container.lock().await;
        }
        self.0.forwards.finish(container).await;
        let this = (self.clone(), container.clone());
        let removed = blocking(move || {
            let (containers, container) = this;
            if !has_processes {
                containers.begin_removal(&container, remove)?;
            }
            containers.take_away(&container, remove)
        })
        .await;
        drop(turn);
        match removed {
            Ok(()) => Ok(()),
            Err(error) => Err(self.give_up(container, error).await),
        }
    }

    /// Notes that it is being removed, for good: whatever happens from here on, it is gone in the end. Blocks.
    fn begin_removal(&self, container: &Container, remove: Remove) -> Result<()> {
        step("container.remove.row")?;
        self.update(container, Durability::Disk, |record| {
            (record.state.removing, record.state.removing_volumes) = (true, remove.volumes);
            if !record.state.phase.has_processes() {
                record.state.phase = Phase::Removing;
            }
            Ok(())
        })
    }

    /// Goes on with a removal that an earlier daemon began.
    pub(super) async fn go_on_removing(&self, container: &Container, remove: Remove) -> Result<()> {
        let turn = container.lock().await;
        let this = (self.clone(), container.clone());
        let removed = blocking(move || this.0.take_away(&this.1, remove)).await;
        drop(turn);
        match removed {
            Ok(()) => Ok(()),
            Err(error) => Err(self.give_up(container, error).await),
        }
    }

    /// A removal that failed can be tried again.
    async fn give_up(&self, container: &Container, error: Error) -> Error {
        let line = error.line();
        let noted = self.change(container, Durability::Kernel, |record| {
            record.state.removing = false;
            if record.state.phase == Phase::Removing {
                record.state.phase = Phase::Dead;
            }
            record.state.error = line;
            Ok(())
        });
        if let Err(error) = noted.await {
            tracing::error!(id = %container.id(), error = error.line(), "cannot note that it was not removed");
        }
        error
    }

    /// Takes away all that belongs to a container without processes; what is gone already is fine. Blocks.
    pub(super) fn take_away(&self, container: &Container, remove: Remove) -> Result<()> {
        step("container.remove.state")?;
        self.clear_state(container)?;
        step("container.remove.snapshot")?;
        if let Some(snapshot) = self.snapshot(&container.record())? {
            snapshot.remove_for(Durability::Kernel)?;
        }
        step("container.remove.volumes")?;
        self.volumes().release(container.id(), &container.record().mounts, remove.volumes)?;
        step("container.remove.directory")?;
        remove_tree(container.data_dir())?;
        step("container.remove.forget")?;
        self.db().delete(Table::Containers, container.id().as_str(), Durability::Kernel)?;
        self.forget(container);
        container.lobby().dismiss();
        container.publish(self.events(), "destroy", []);
        container.0.record.send_modify(|record| {
            let mut gone = super::Record::clone(record);
            gone.state.removed = true;
            *record = std::sync::Arc::new(gone);
        });
        Ok(())
    }
}

impl Containers {
    /// The snapshot of a container, if the store has it. Power loss may have taken one, and its number be another's.
    pub(super) fn snapshot(&self, record: &Record) -> Result<Option<Snapshot>> {
        match self.images().store().find_snapshot(record.snapshot) {
            Ok(snapshot) => {
                let is_its = snapshot.owner().strip_prefix(OWNER) == Some(record.id.as_str());
                Ok(is_its.then_some(snapshot))
            }
            Err(longshore_store::Error::NoSuchSnapshot { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn remove_tree(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// What a creation has made so far. Goes when dropped before all of it is there.
#[derive(Debug)]
pub(super) struct Leftovers<'a> {
    containers: &'a Containers,
    id: &'a ContainerId,
    name: &'a str,
    pub(super) row: bool,
    pub(super) snapshot: Option<u64>,
    pub(super) directory: Option<PathBuf>,
    pub(super) volumes: Option<volume::Prepared>,
    kept: bool,
}

impl<'a> Leftovers<'a> {
    pub(super) fn new(containers: &'a Containers, id: &'a ContainerId, name: &'a str) -> Self {
        Self { containers, id, name, row: false, snapshot: None, directory: None, volumes: None, kept: false }
    }

    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Leftovers<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        self.containers.release_name(self.name, self.id);
        // What stays behind is found at the next start.
        if self.row {
            self.containers.db().delete(Table::Containers, self.id.as_str(), Durability::Kernel).ok();
        }
        if let Some(id) = self.snapshot
            && let Ok(snapshot) = self.containers.images().store().find_snapshot(id)
        {
            snapshot.remove().ok();
        }
        if let Some(directory) = &self.directory {
            remove_tree(directory).ok();
        }
        if let Some(prepared) = &self.volumes {
            self.containers.volumes().undo(self.id, prepared);
        }
    }
}
