//! One check.

use std::sync::Arc;

use longshore_types::Timestamp;

use super::{Checks, Container, Plan, Probe};
use crate::exec::{Config, Ends, Error, Exec, How, Prepared};

/// Bytes of output that are kept.
const OUTPUT: usize = 4096;

impl Checks {
    /// Runs a check. `prepared` is what of it is the same every time.
    pub(super) async fn probe(
        &self,
        container: &Container,
        plan: &Plan,
        prepared: &mut Option<Arc<Prepared>>,
    ) -> Probe {
        let start = Timestamp::now();
        let mut output = Vec::new();
        let (exit_code, output) = match self.ask(container, plan, prepared, &mut output).await {
            Ok(Some(code)) => (i64::from(code), text(output)),
            Ok(None) => {
                let what = format!("Health check exceeded timeout ({})", shown(plan.timeout));
                let output = text(output);
                (-1, if output.is_empty() { what } else { format!("{what}: {output}") })
            }
            Err(error) => (-1, crate::line(&error)),
        };
        Probe { start, end: Timestamp::now(), exit_code, output }
    }

    /// The exit code; `None` when the check took too long and was killed.
    async fn ask(
        &self,
        container: &Container,
        plan: &Plan,
        prepared: &mut Option<Arc<Prepared>>,
        output: &mut Vec<u8>,
    ) -> Result<Option<i32>, Error> {
        let config =
            Config { command: plan.command.clone(), stdout: true, stderr: true, ..Config::default() };
        let exec = self.execs.create_prepared(container, config, prepared.clone()).await?;
        let started = self.execs.start(&exec, How::default()).await;
        // Whoever hears of it in the events finds it while it runs.
        let kill = Kill { checks: self, exec: Arc::clone(&exec), running: started.is_ok() };
        let mut started = started?;
        if prepared.is_none() {
            *prepared = exec.prepared();
        }
        let ends = Ends(Arc::clone(&exec));
        let ended = async {
            if let Some(streams) = &mut started.streams {
                tokio::select! {
                    () = async {
                        while let Some((_, bytes)) = streams.output.next().await {
                            // One byte more says that there was more.
                            let room = (OUTPUT + 1).saturating_sub(output.len());
                            output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                        }
                    } => {}
                    () = ends.overdue() => {}
                }
            }
            exec.ended().await;
        };
        if tokio::time::timeout(plan.timeout, ended).await.is_err() {
            drop(kill);
            exec.ended().await;
            return Ok(None);
        }
        kill.ended();
        Ok(exec.state().exit_code)
    }
}

/// Forgets a check, and kills it when nobody waits for it any more.
struct Kill<'a> {
    checks: &'a Checks,
    exec: Arc<Exec>,
    running: bool,
}

impl Kill<'_> {
    fn ended(mut self) {
        self.running = false;
    }
}

impl Drop for Kill<'_> {
    fn drop(&mut self) {
        if self.running {
            self.checks.execs.kill(Arc::clone(&self.exec));
        }
        self.checks.execs.forget(&self.exec);
    }
}

/// Output as it is shown.
fn text(output: Vec<u8>) -> String {
    let cut = output.len() > OUTPUT;
    let text = String::from_utf8_lossy(&output[..output.len().min(OUTPUT)]).into_owned();
    if cut { text + "..." } else { text }
}

/// A duration as Go writes it, to the millisecond.
fn shown(duration: std::time::Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    if seconds == 0 {
        return format!("{millis}ms");
    }
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction =
        if millis == 0 { String::new() } else { format!(".{millis:03}").trim_end_matches('0').to_owned() };
    match (hours, minutes) {
        (0, 0) => format!("{rest}{fraction}s"),
        (0, minutes) => format!("{minutes}m{rest}{fraction}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}{fraction}s"),
    }
}
