//! The daemon's start: what runs is found again, what ended meanwhile is noted, what was half done is finished.

use std::{os::fd::AsFd, time::Duration};

use longshore_runtime::launch::{self, Connection, Control, ControlError};
use longshore_types::Timestamp;

use super::{
    Container, Containers, Error, Phase, Remove, Result, State, blocking,
    create::OWNER,
    exit::{self, End},
    remove::remove_tree,
    restart,
};
use crate::{
    db::{Durability, Table},
    spec,
};

/// How often a monitor is asked that is just ending.
const LOOKS: usize = 5;

/// What became of a container while no daemon was there.
#[derive(Debug)]
enum Found {
    Running(Box<Control>, i32, Timestamp, bool),
    Ended(End),
    /// Nothing is left of it: the machine was started anew.
    Rebooted,
    Idle,
    Removing,
}

impl Containers {
    /// Takes up every container where the last daemon left it. To be called once, before anything else is asked of
    /// them; what takes time goes on after this returns.
    pub async fn restore(&self) -> Result<()> {
        let mut booting = Vec::new();
        let mut looks = tokio::task::JoinSet::new();
        for container in self.all() {
            let containers = self.clone();
            looks.spawn_blocking(move || {
                let found = containers.look_up(&container);
                (container, found)
            });
        }
        let looked = looks.join_all().await;
        let running = looked.iter().filter(|(_, found)| matches!(found, Ok(Found::Running(..))));
        let running: Vec<_> = running.map(|(container, _)| container.record()).collect();
        let networks = self.networks().clone();
        blocking(move || Ok(networks.restore(&running)?)).await?;
        for (container, found) in looked {
            let starts = match found {
                Ok(found) => self.take_up(&container, found).await,
                Err(error) => Err(error),
            };
            match starts {
                Ok(true) => booting.push(container),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(id = %container.id(), error = error.line(), "cannot take it up again");
                }
            }
        }
        let containers = self.clone();
        blocking(move || containers.sweep()).await?;
        // Those that have ended may have left output that was not sent yet.
        self.all().iter().for_each(|container| self.0.forwards.begin(container));
        self.start_all(booting);
        Ok(())
    }

    /// Looks what became of a container. A monitor that ends meanwhile is looked at again: then it has.
    fn look_up(&self, container: &Container) -> Result<Found> {
        for _ in 0..LOOKS {
            match self.look_once(container) {
                Err(Error::Control { source: ControlError::Gone, .. }) => {}
                other => return other,
            }
        }
        self.look_once(container)
    }

    fn look_once(&self, container: &Container) -> Result<Found> {
        let state = container.record().state.clone();
        if state.phase == Phase::Removing {
            return Ok(Found::Removing);
        }
        let nothing = || match state.phase {
            phase if phase.has_processes() => Ok(Found::Rebooted),
            // Its creation was never acknowledged: power went away before both databases were on the disk.
            Phase::Created if self.snapshot(&container.record())?.is_none() => Ok(Found::Removing),
            _ => Ok(Found::Idle),
        };
        let Some(directory) = container.open_state_dir()? else { return nothing() };
        let connected = launch::connect(directory.as_fd());
        let connected =
            connected.map_err(|source| Error::Control { id: container.id().to_string(), source })?;
        let control = |source| Error::Control { id: container.id().to_string(), source };
        match connected {
            Connection::Running(mut connection) => {
                let status = connection.status().map_err(control)?;
                if let Some(record) = status.exit {
                    return Ok(Found::Ended(record.into()));
                }
                if status.phase == longshore_runtime::wire::Phase::Created {
                    // It waits for a start that nobody will ask for.
                    self.clear_state(container)?;
                    return Ok(Found::Idle);
                }
                exit::subscribe(&mut connection).map_err(control)?;
                let paused = status.phase == longshore_runtime::wire::Phase::Paused;
                Ok(Found::Running(Box::new(connection), status.pid, exit::time(status.started_at), paused))
            }
            Connection::Ended(record) => {
                let end = End::from(record);
                if !state.phase.has_processes() && state.finished_at == end.at {
                    // It was noted, and its directory was to go next.
                    self.clear_state(container)?;
                    return Ok(Found::Idle);
                }
                Ok(Found::Ended(end))
            }
            Connection::Lost => {
                self.clear_state(container)?;
                nothing().map(|found| match found {
                    Found::Rebooted => Found::Ended(exit::lost()),
                    found => found,
                })
            }
        }
    }

    /// Returns whether the container is to be started now.
    async fn take_up(&self, container: &Container, found: Found) -> Result<bool> {
        match found {
            Found::Running(control, pid, started_at, paused) => {
                let phase = if paused { Phase::Paused } else { Phase::Running };
                let state = container.record().state.clone();
                if (state.phase, state.pid) != (phase, pid) || state.stopped_by_user {
                    self.change(container, Durability::Kernel, move |record| {
                        if !record.state.phase.has_processes() {
                            record.state.begin(started_at);
                            record.health = super::Health::at_start(record);
                        }
                        let state = &mut record.state;
                        (state.phase, state.pid) = (phase, pid);
                        // Whoever was to stop it has not come to it.
                        state.stopped_by_user = false;
                        Ok(())
                    })
                    .await?;
                    self.volumes().hold(container.id(), &container.record().mounts, true);
                }
                self.supervise(container, *control);
                if let Err(error) = self.finish(container, &state).await {
                    tracing::error!(id = %container.id(), error = error.line(), "cannot end what was begun with it");
                }
                if state.removing {
                    self.finish_removal(container);
                }
            }
            Found::Ended(end) => {
                let removing = container.record().state.removing;
                let ran = end.at.since(container.record().state.started_at);
                self.ended(container, end, ran).await;
                if removing {
                    self.finish_removal(container);
                }
            }
            Found::Rebooted => {
                let end = End { code: 255, error: String::new(), ..exit::lost() };
                self.ended(container, end, Duration::ZERO).await;
                if container.record().state.phase != Phase::Restarting {
                    return Ok(false);
                }
                // With the others, in their order.
                self.change(container, Durability::Kernel, |record| {
                    record.state.phase = Phase::Exited;
                    Ok(())
                })
                .await?;
                return Ok(true);
            }
            Found::Removing => self.finish_removal(container),
            Found::Idle => {
                self.clear_start(container).await?;
                let state = &container.record().state;
                if state.phase == Phase::Restarting {
                    self.restart_after(container, Duration::ZERO);
                } else if restart::is_to_go(&container.record()) {
                    self.finish_removal(container);
                } else if restart::at_boot(&container.record()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Ends what an earlier daemon had begun with a container that runs.
    async fn finish(&self, container: &Container, state: &State) -> Result<()> {
        if state.held && state.phase.has_processes() {
            match self.let_go(container).await {
                Ok(()) | Err(Error::NotPaused { .. } | Error::NotRunning { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if state.limits_due {
            let this = (self.clone(), container.clone());
            blocking(move || this.0.set_limits(&this.1)).await?;
        }
        Ok(())
    }

    /// Takes away what a start made that did not come to its end.
    async fn clear_start(&self, container: &Container) -> Result<()> {
        let record = container.record();
        let is_at_rest = super::network::is_at_rest(&record);
        if is_at_rest && record.host.ipc_mode != "shareable" {
            return Ok(());
        }
        let (containers, container) = (self.clone(), container.clone());
        blocking(move || {
            spec::shm::unmount(container.data_dir())?;
            if is_at_rest {
                return Ok(());
            }
            containers.update(&container, Durability::Kernel, |record| {
                super::network::rest(record);
                Ok(())
            })
        })
        .await
    }

    fn finish_removal(&self, container: &Container) {
        let (containers, container) = (self.clone(), container.clone());
        tokio::spawn(async move {
            let state = container.record().state.clone();
            // One that goes though nobody asked, at its end or because it never came to be, goes with all it has.
            let remove = Remove { force: true, volumes: state.removing_volumes || !state.removing };
            let removed = if state.phase == Phase::Removing {
                containers.go_on_removing(&container, remove).await
            } else {
                containers.remove(&container, remove).await
            };
            if let Err(error) = removed {
                tracing::error!(id = %container.id(), error = error.line(), "cannot finish its removal");
            }
        });
    }

    /// Removes what belongs to no container: of creations and removals that did not come to their ends.
    fn sweep(&self) -> Result<()> {
        // What belongs to a container whose record cannot be read is kept for whoever can.
        let known = self.db().keys(Table::Containers)?;
        let store = self.images().store();
        for entry in store.snapshots()? {
            if let Some(id) = entry.owner.strip_prefix(OWNER)
                && !known.contains(id)
            {
                store.find_snapshot(entry.id)?.remove()?;
            }
        }
        for root in [&self.settings().data_root, &self.settings().exec_root] {
            let directory = root.join("containers");
            let entries = std::fs::read_dir(&directory).map_err(super::io("read", &directory))?;
            for entry in entries.flatten() {
                if !known.contains(entry.file_name().to_string_lossy().as_ref()) {
                    remove_tree(&entry.path())?;
                }
            }
        }
        Ok(self.volumes().sweep(&known)?)
    }
}
