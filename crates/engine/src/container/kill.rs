//! Signals, and being paused.

use longshore_runtime::{
    launch::{Control, ControlError},
    wire::Target,
};

use super::{
    Container, Containers, Error, Phase, Result, Verb, blocking,
    create::step,
    state::{Refusal, Verdict},
};
use crate::db::Durability;

pub(super) const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// What a monitor is asked to do.
type Ask = fn(&mut Control) -> std::result::Result<(), ControlError>;

impl Containers {
    /// Sends a signal to a container's init; what SIGKILL does is waited for. `signal` is a number or a name,
    /// SIGKILL when empty.
    pub async fn kill(&self, container: &Container, signal: &str) -> Result<()> {
        let signal = if signal.is_empty() { SIGKILL } else { parse(signal)? };
        let word = container.id().to_string();
        let refused = |source| Error::Kill { word: word.clone(), source: Box::new(source) };
        if container.record().state.phase.judge(Verb::Kill) != Verdict::Go {
            return Err(refused(Error::NotRunning { id: container.id().to_string() }));
        }
        let stop = container.stop_signal();
        step("container.kill.row")?;
        if signal == SIGKILL || signal == stop {
            self.change(container, Durability::Kernel, |record| {
                record.state.stopped_by_user = true;
                Ok(())
            })
            .await?;
        }
        let ended = container.wait(super::Condition::NotRunning);
        step("container.kill.signal")?;
        self.signal(container, signal).await.map_err(refused)?;
        if signal == SIGKILL {
            ended.await;
        }
        Ok(())
    }

    /// Sends a signal; a paused container goes on, so that it can take it.
    pub(super) async fn signal(&self, container: &Container, signal: i32) -> Result<()> {
        let was_paused = container.record().state.phase == Phase::Paused;
        container.ask(move |control| control.signal(Target::Init, signal)).await?;
        // The monitor itself lets one go on that it kills.
        if was_paused && signal != SIGKILL {
            match self.unpause(container).await {
                Ok(()) | Err(Error::NotPaused { .. } | Error::NotRunning { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        container.publish(self.events(), "kill", [("signal", signal.to_string())]);
        Ok(())
    }

    /// Stops all processes of a container where they are.
    pub async fn pause(&self, container: &Container) -> Result<()> {
        self.hold(container, Verb::Pause, Phase::Paused, [Control::pause, Control::resume]).await?;
        container.publish(self.events(), "pause", []);
        Ok(())
    }

    /// Pauses a container for a while that ends with this daemon at the latest; [`Containers::let_go`] ends it.
    pub(crate) async fn stop_still(&self, container: &Container) -> Result<()> {
        step("container.hold.row")?;
        self.note_held(container, true).await?;
        let paused = self.pause(container).await;
        if paused.is_err() {
            self.note_held(container, false).await?;
        }
        paused
    }

    /// Lets a container go on that was paused for a while.
    pub(crate) async fn let_go(&self, container: &Container) -> Result<()> {
        step("container.hold.end")?;
        self.unpause(container).await
    }

    async fn note_held(&self, container: &Container, held: bool) -> Result<()> {
        self.change(container, Durability::Kernel, move |record| {
            record.state.held = held;
            Ok(())
        })
        .await
    }

    /// Lets a paused container go on.
    pub async fn unpause(&self, container: &Container) -> Result<()> {
        self.hold(container, Verb::Unpause, Phase::Running, [Control::resume, Control::pause]).await?;
        container.publish(self.events(), "unpause", []);
        Ok(())
    }

    /// Has the monitor do the first, and notes it; the second undoes it.
    async fn hold(
        &self,
        container: &Container,
        verb: Verb,
        phase: Phase,
        [work, undo]: [Ask; 2],
    ) -> Result<()> {
        let turn = container.lock().await;
        container.judge(verb)?;
        step("container.pause.ask")?;
        container.ask(work).await?;
        let noted = match step("container.pause.row") {
            Ok(()) => {
                let change = self.change(container, Durability::Kernel, move |record| {
                    if record.state.phase.has_processes() {
                        record.state.phase = phase;
                        record.state.held &= phase == Phase::Paused;
                    }
                    Ok(())
                });
                change.await
            }
            Err(error) => Err(error),
        };
        if noted.is_err() {
            // The first failure is the one to tell.
            container.ask(undo).await.ok();
        }
        drop(turn);
        noted
    }
}

impl Container {
    /// The signal that asks it to end.
    #[must_use]
    pub fn stop_signal(&self) -> i32 {
        parse(&self.record().config.stop_signal).unwrap_or(SIGTERM)
    }

    /// Whether a verb is possible now.
    pub fn judge(&self, verb: Verb) -> Result<()> {
        match self.record().state.phase.judge(verb) {
            Verdict::Go => Ok(()),
            Verdict::Nothing => Err(Error::refused(Refusal::NotRunning, self.id().to_string())),
            Verdict::Refused(refusal) => Err(Error::refused(refusal, self.id().to_string())),
        }
    }

    /// Asks its monitor something.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Control) -> std::result::Result<T, ControlError> + Send + 'static,
    ) -> Result<T> {
        let container = self.clone();
        blocking(move || {
            let mut control = container.control()?;
            question(&mut control).map_err(|source| match source {
                ControlError::Gone => Error::NotRunning { id: container.id().to_string() },
                ControlError::Refused(longshore_runtime::wire::Refusal::Ended) => {
                    Error::NotRunning { id: container.id().to_string() }
                }
                source => Error::Control { id: container.id().to_string(), source },
            })
        })
        .await
    }
}

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// A signal by its number or name, with or without `SIG`: `TERM`, `sigkill`, `9`, `RTMIN+3`.
pub fn parse(text: &str) -> Result<i32> {
    let bad = || Error::BadSignal { signal: text.into() };
    if let Ok(number) = text.parse::<i32>() {
        let known = (1..=31).contains(&number) || REAL_TIME.contains(&number);
        return if known { Ok(number) } else { Err(bad()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let name = match name {
        "CLD" => "CHLD",
        "IOT" => "ABRT",
        "POLL" => "IO",
        name => name,
    };
    if let Some(index) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(index + 1).map_err(|_| bad());
    }
    let offset = |text: &str| if text.is_empty() { Some(0) } else { text[1..].parse::<i32>().ok() };
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        offset(rest).filter(|_| rest.is_empty() || rest.starts_with('+')).map(|by| REAL_TIME.start() + by)
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        offset(rest).filter(|_| rest.is_empty() || rest.starts_with('-')).map(|by| REAL_TIME.end() - by)
    } else {
        None
    };
    number.filter(|number| REAL_TIME.contains(number)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn signals_by_number_and_name() {
        let good = [
            ("9", 9),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigkill", 9),
            ("TERM", 15),
            ("RTMIN", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("64", 64),
            ("CLD", 17),
            ("SYS", 31),
        ];
        for (text, number) in good {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for text in ["", "0", "-1", "32", "33", "65", "NOPE", "SIG", "RTMIN-1", "RTMAX+1", "RTMIN+é", "9 "] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
