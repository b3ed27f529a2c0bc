//! A container's end: who hears of it, what is noted, what comes next.
//!
//! One task for each container that runs. It waits on its connection to the monitor, and holds nothing else.

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use longshore_runtime::{
    launch::{self, Connection, Control, ControlError, Event},
    wire::{Attach, ExitRecord},
};
use longshore_types::Timestamp;

use super::{Container, Containers, Error, Phase, Remove, Result, blocking, restart};
use crate::{db::Durability, monitor::Stream};

/// How a container ended.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    pub(super) code: i32,
    pub(super) oom_killed: bool,
    pub(super) at: Timestamp,
    /// What went wrong with whoever watched it.
    pub(super) error: String,
}

impl From<ExitRecord> for End {
    fn from(record: ExitRecord) -> Self {
        let error = String::new();
        Self { code: record.exit_code, oom_killed: record.oom_killed, at: time(record.exited_at), error }
    }
}

/// Nanoseconds since 1970, as the monitor has them.
pub(super) fn time(nanos: u64) -> Timestamp {
    Timestamp(i64::try_from(nanos).unwrap_or(i64::MAX))
}

impl Containers {
    /// Has the end of a container that runs noted, and what its restart policy says done.
    pub(super) fn supervise(&self, container: &Container, control: Control) {
        self.0.forwards.begin(container);
        let (containers, container) = (self.clone(), container.clone());
        tokio::spawn(async move {
            let since = Instant::now();
            let watch = async {
                let (end, monitor) = containers.await_end(&container, control).await;
                containers.ended(&container, end, since.elapsed()).await;
                // It unmounts the root last, which can take as long as the disk likes.
                if let Some(mut monitor) = monitor {
                    while monitor.next().await.is_ok() {}
                }
            };
            if std::panic::AssertUnwindSafe(watch).catch_unwind().await.is_err() {
                tracing::error!(id = %container.id(), "whoever waited for its end panicked: the next daemon notes it");
            }
            container.0.unmounted.send_replace(true);
        });
    }

    /// How it ended, and the connection to its monitor, which has yet to leave.
    async fn await_end(&self, container: &Container, control: Control) -> (End, Option<Stream>) {
        let listening = listen(control);
        tokio::pin!(listening);
        let heard = tokio::select! {
            heard = &mut listening => heard,
            () = self.until_ill(container) => {
                let stopped = self.stop_ill(container, &mut listening).await;
                match stopped {
                    Some(heard) => heard,
                    None => listening.await,
                }
            }
        };
        match heard {
            Ok((record, monitor)) => {
                container.0.unmounted.send_replace(false);
                (record.into(), Some(monitor))
            }
            Err(error) => {
                let this = (self.clone(), container.clone());
                let looked = blocking(move || this.0.look(&this.1)).await;
                let end = looked.unwrap_or_else(|other| {
                    tracing::error!(id = %container.id(), error = crate::line(&error), other = other.line(), "its monitor is lost");
                    lost()
                });
                (end, None)
            }
        }
    }

    /// Waits until a container is unhealthy that is to be restarted then.
    async fn until_ill(&self, container: &Container) {
        let is_ill = |record: &std::sync::Arc<super::Record>| {
            let ill = |health: &super::Health| health.status == super::HealthStatus::Unhealthy;
            record.host.restart_policy.name == "on-unhealthy" && record.health.as_ref().is_some_and(ill)
        };
        if container.watch().wait_for(is_ill).await.is_err() {
            std::future::pending().await
        }
    }

    /// Asks an unhealthy container to end, then kills it. `None` when its end has not been heard of by then.
    async fn stop_ill(&self, container: &Container, listening: impl Future<Output = Heard>) -> Option<Heard> {
        let seconds = container.record().config.stop_timeout.unwrap_or(self.defaults().stop_timeout);
        let patience = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
        if let Err(error) = self.signal(container, container.stop_signal()).await {
            tracing::warn!(id = %container.id(), error = error.line(), "cannot ask an unhealthy container to end");
        }
        if let Ok(heard) = tokio::time::timeout(patience, listening).await {
            return Some(heard);
        }
        if let Err(error) = self.signal(container, super::kill::SIGKILL).await {
            tracing::warn!(id = %container.id(), error = error.line(), "cannot kill an unhealthy container");
        }
        None
    }

    /// How a container ended whose monitor is gone. What is left of it is killed. Blocks.
    pub(super) fn look(&self, container: &Container) -> Result<End> {
        let Some(directory) = container.open_state_dir()? else { return Ok(lost()) };
        let looked = launch::connect(directory.as_fd());
        let looked = looked.map_err(|source| Error::Control { id: container.id().to_string(), source })?;
        match looked {
            Connection::Ended(record) => Ok(record.into()),
            Connection::Running(mut control) => match control.wait() {
                Ok(record) => Ok(record.into()),
                Err(_) => self.clear_state(container).map(|()| lost()),
            },
            Connection::Lost => self.clear_state(container).map(|()| lost()),
        }
    }

    /// Notes the end, then restarts or removes the container, if that is what it is made for.
    pub(super) async fn ended(&self, container: &Container, end: End, ran: Duration) {
        let turn = container.lock().await;
        let next = self.note_end(container, end, ran).await;
        drop(turn);
        let next = match next {
            Ok(next) => next,
            Err(Error::NoSuchContainer { .. }) => return,
            Err(error) => {
                tracing::error!(id = %container.id(), error = error.line(), "cannot note its end");
                return;
            }
        };
        match next {
            restart::Next::Start(delay) => self.restart_after(container, delay),
            restart::Next::Remove => {
                let remove = Remove { force: true, volumes: true };
                match self.remove(container, remove).await {
                    Ok(()) | Err(Error::NoSuchContainer { .. } | Error::Removing { .. }) => {}
                    Err(error) => {
                        tracing::error!(id = %container.id(), error = error.line(), "cannot remove it at its end");
                    }
                }
            }
            restart::Next::Nothing => {}
        }
    }

    async fn note_end(&self, container: &Container, end: End, ran: Duration) -> Result<restart::Next> {
        let (code, oom_killed) = (end.code, end.oom_killed);
        let lasted = end.at.since(container.record().state.started_at).as_secs();
        let this = (self.clone(), container.clone());
        let next = blocking(move || {
            let (containers, container) = this;
            super::create::step("container.exit.row")?;
            let delay = container.next_delay(ran);
            let kept = container.0.kept.load(std::sync::atomic::Ordering::Relaxed);
            let next = containers.update(&container, Durability::Kernel, |record| {
                let mut next = restart::next(record, code, delay);
                if kept && next == restart::Next::Remove {
                    next = restart::Next::Nothing;
                }
                let state = &mut record.state;
                state.phase = if state.removing { Phase::Removing } else { Phase::Exited };
                if let restart::Next::Start(_) = next {
                    state.phase = Phase::Restarting;
                    state.restart_count += 1;
                }
                state.pid = 0;
                state.ends += 1;
                (state.exit_code, state.oom_killed) = (end.code, end.oom_killed);
                (state.error, state.finished_at) = (end.error, end.at);
                super::network::rest(record);
                Ok(next)
            })?;
            containers.clear_state(&container)?;
            Ok(next)
        })
        .await?;
        if oom_killed {
            container.publish(self.events(), "oom", []);
        }
        let attributes = [("exitCode", code.to_string()), ("execDuration", lasted.to_string())];
        container.publish(self.events(), "die", attributes);
        Ok(next)
    }
}

/// What is noted of a container of which nobody knows how it ended.
pub(super) fn lost() -> End {
    End {
        code: 137,
        oom_killed: false,
        at: Timestamp::now(),
        error: "the container's monitor was killed, and the container with it".into(),
    }
}

/// The init's end, and who told of it.
type Heard = std::result::Result<(ExitRecord, Stream), ControlError>;

/// Waits until the monitor tells of the init's end.
async fn listen(control: Control) -> Heard {
    let mut stream = Stream::new(control)?;
    loop {
        match stream.next().await? {
            Event::Exited(record) => return Ok((record, stream)),
            Event::Dropped(reason) => return Err(ControlError::Dropped(reason)),
            _ => {}
        }
    }
}

/// Asks a monitor to tell of the end on this connection. Blocks, for microseconds.
pub(super) fn subscribe(control: &mut Control) -> std::result::Result<(), ControlError> {
    control.attach(Attach { stdin: false, stdout: false, stderr: false, ..Attach::default() })
}
