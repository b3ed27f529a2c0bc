use std::os::fd::AsFd;

use longshore_runtime::launch::{Control, Launched};
use longshore_types::Timestamp;

use super::{
    Container, Containers, Effect, Error, Phase, Remove, Result, Verb, blocking,
    state::{Refusal, Verdict},
    to_the_end,
};
use crate::db::Durability;

impl Containers {
    /// Starts a container; one that runs is left alone.
    ///
    /// # Errors
    /// One that is made to be removed at its end is removed, too, when it cannot be started.
    pub async fn start(&self, container: &Container) -> Result<Effect> {
        let (containers, container) = (self.clone(), container.clone());
        to_the_end(async move { containers.start_by_user(&container).await }).await
    }

    async fn start_by_user(&self, container: &Container) -> Result<Effect> {
        let turn = container.lock().await;
        match container.record().state.phase.judge(Verb::Start) {
            Verdict::Go => {}
            Verdict::Nothing => return Ok(Effect::Nothing),
            Verdict::Refused(Refusal::Paused) => return Err(Error::StartPaused),
            Verdict::Refused(_) => return Err(Error::StartRemoving),
        }
        let started = self.start_now(container, true).await;
        drop(turn);
        if started.is_err() && container.record().host.auto_remove {
            let remove = Remove { force: true, volumes: true };
            if let Err(error) = self.remove(container, remove).await {
                tracing::error!(id = %container.id(), error = error.line(), "cannot remove a container that did not start");
            }
        }
        started.map(|()| Effect::Done)
    }

    /// Starts a container whose turn it is and has its end noted. A start that fails is on record.
    pub(super) async fn start_now(&self, container: &Container, by_user: bool) -> Result<()> {
        let this = (self.clone(), container.clone());
        let launched = blocking(move || {
            let (containers, container) = this;
            match containers.launch(&container) {
                Ok(launched) => containers.note_start(&container, launched, by_user),
                Err(error) => {
                    container.lobby().dismiss();
                    Err(containers.note_failure(&container, error))
                }
            }
        })
        .await?;
        container.publish(self.events(), "start", []);
        self.supervise(container, launched.control);
        Ok(())
    }

    fn note_start(&self, container: &Container, launched: Launched, by_user: bool) -> Result<Launched> {
        super::create::step("container.start.row")?;
        let noted = self.update(container, Durability::Kernel, |record| {
            record.health = super::Health::at_start(record);
            let state = &mut record.state;
            state.begin(super::exit::time(launched.started_at));
            state.pid = launched.pid;
            if by_user {
                state.restart_count = 0;
            }
            Ok(())
        });
        if let Err(error) = noted {
            // Nobody would know that it runs.
            self.clear_state(container).ok();
            return Err(error);
        }
        // Those who came while it was being started.
        if !container.lobby().is_empty()
            && let Ok(Some(directory)) = container.open_state_dir()
        {
            container.lobby().admit(|| Control::connect(directory.as_fd())).ok();
        }
        Ok(launched)
    }

    fn note_failure(&self, container: &Container, error: Error) -> Error {
        let line = error.line();
        let exit_code = if let Error::BadCommand { exit_code, .. } = error { exit_code } else { 128 };
        let noted = self.update(container, Durability::Kernel, |record| {
            let state = &mut record.state;
            (state.error, state.exit_code) = (line, exit_code);
            // Who waits for the end of a run does not hear of one that never was.
            if state.phase == Phase::Restarting {
                (state.phase, state.finished_at) = (Phase::Exited, Timestamp::now());
                state.ends += 1;
            }
            super::network::rest(record);
            Ok(())
        });
        if let Err(error) = noted {
            tracing::error!(id = %container.id(), error = error.line(), "cannot note that it did not start");
        }
        error
    }
}
