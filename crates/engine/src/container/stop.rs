use std::{sync::atomic::Ordering, time::Duration};

use super::{
    Condition, Container, Containers, Effect, Error, Phase, Result, Verb, kill, state::Verdict, to_the_end,
};
use crate::db::Durability;

/// How long a killed container may take.
const KILLED: Duration = Duration::from_secs(30);

/// How a container is stopped.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Instead of its own.
    pub signal: Option<String>,
    /// Seconds before it is killed, instead of its own; negative waits for ever.
    pub timeout: Option<i64>,
}

impl Containers {
    /// Asks a container to end, and kills it when it does not in time.
    pub async fn stop(&self, container: &Container, stop: Stop) -> Result<Effect> {
        let (containers, container) = (self.clone(), container.clone());
        let signal =
            stop.signal.as_deref().filter(|signal| !signal.is_empty()).map(kill::parse).transpose()?;
        to_the_end(async move { containers.stop_to_the_end(&container, signal, stop.timeout).await }).await
    }

    async fn stop_to_the_end(
        &self,
        container: &Container,
        signal: Option<i32>,
        timeout: Option<i64>,
    ) -> Result<Effect> {
        let ended = container.wait(Condition::NotRunning);
        let turn = container.lock().await;
        let phase = container.record().state.phase;
        if phase.judge(Verb::Stop) != Verdict::Go {
            return Ok(Effect::Nothing);
        }
        super::create::step("container.stop.row")?;
        self.change(container, Durability::Kernel, |record| {
            record.state.stopped_by_user = true;
            // It waits for its next start, which will not be.
            if record.state.phase == Phase::Restarting {
                record.state.phase = Phase::Exited;
            }
            Ok(())
        })
        .await?;
        drop(turn);
        if phase == Phase::Restarting {
            container.publish(self.events(), "stop", []);
            return Ok(Effect::Done);
        }
        tokio::pin!(ended);
        let signal = signal.unwrap_or_else(|| container.stop_signal());
        super::create::step("container.stop.signal")?;
        let sent = match self.signal(container, signal).await {
            Ok(()) => true,
            Err(Error::NotRunning { .. }) => true,
            Err(error) => {
                tracing::warn!(id = %container.id(), error = error.line(), "cannot ask it to end");
                false
            }
        };
        let seconds =
            timeout.or(container.record().config.stop_timeout).unwrap_or(self.defaults().stop_timeout);
        let patience = u64::try_from(seconds).map(Duration::from_secs);
        let in_time = match patience {
            _ if !sent => false,
            Ok(patience) => tokio::time::timeout(patience, &mut ended).await.is_ok(),
            Err(_) => {
                (&mut ended).await;
                true
            }
        };
        if !in_time {
            match self.signal(container, kill::SIGKILL).await {
                Ok(()) | Err(Error::NotRunning { .. }) => {}
                Err(error) => return Err(error),
            }
            let ended = tokio::time::timeout(KILLED, &mut ended).await;
            ended.map_err(|_| Error::Unkillable { id: container.id().to_string() })?;
        }
        container.publish(self.events(), "stop", []);
        Ok(Effect::Done)
    }

    /// Stops a container if it runs, and starts it, also when whoever asked for it goes away between the two.
    pub async fn restart(&self, container: &Container, stop: Stop) -> Result<()> {
        let (containers, container) = (self.clone(), container.clone());
        to_the_end(async move {
            container.0.kept.store(true, Ordering::Relaxed);
            let stopped = containers.stop(&container, stop).await;
            let started = match stopped {
                Ok(_) => containers.start(&container).await,
                Err(error) => Err(error),
            };
            container.0.kept.store(false, Ordering::Relaxed);
            started?;
            container.publish(containers.events(), "restart", []);
            Ok(())
        })
        .await
    }
}
