use super::{Container, Record};

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// That it does not run: at once when it does not.
    #[default]
    NotRunning,
    /// That it ends, from now on.
    NextExit,
    /// That it is gone.
    Removed,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    pub code: i32,
    /// Why it did not start, or why nobody knows how it ended.
    pub error: String,
}

impl Container {
    /// Waits for a condition. What is waited for counts from this call, not from the first poll of what it returns.
    pub fn wait(&self, condition: Condition) -> impl Future<Output = Waited> + Send + use<> {
        let mut watch = self.watch();
        let before = watch.borrow_and_update().state.clone();
        async move {
            let reached = |record: &std::sync::Arc<Record>| {
                let state = &record.state;
                state.removed
                    || match condition {
                        Condition::NotRunning => !before.phase.is_up() || state.ends > before.ends,
                        Condition::NextExit => state.ends > before.ends,
                        Condition::Removed => false,
                    }
            };
            let state = match watch.wait_for(reached).await {
                Ok(record) => record.state.clone(),
                // Nobody changes it any more.
                Err(_) => before.clone(),
            };
            Waited { code: state.exit_code, error: state.error }
        }
    }
}
