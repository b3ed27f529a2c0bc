//! How far a layer is, and the words for it.

use std::{hash::Hash, time::Duration};

use longshore_types::{Progress, ProgressEvent, Status, oci::Descriptor};
use tokio::time::Instant;

use crate::{Result, flight::Ticket};

/// How far the fetching of a layer is. Amounts are bytes of the compressed form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    #[default]
    Begun,
    /// Others are being fetched.
    Waiting,
    Downloading(u64),
    /// The registry failed; it is asked again in so many seconds.
    Retrying(u64),
    Extracting(u64),
}

/// The shortest time between two reports of one layer's amount.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits for a layer and reports how far it is.
pub(crate) async fn watch<K: Hash + Eq, T: Clone>(
    ticket: &mut Ticket<K, Stage, T>,
    descriptor: &Descriptor,
    progress: &dyn Progress,
) -> Result<T> {
    let mut stage = ticket.stage.clone();
    let mut reporter = Reporter {
        id: descriptor.digest.short(),
        total: descriptor.size,
        progress,
        downloaded: false,
        last: None,
        shown: Stage::Begun,
    };
    let mut is_told = true;
    loop {
        tokio::select! {
            biased;
            changed = stage.changed(), if is_told => {
                is_told = changed.is_ok();
                let now = *stage.borrow_and_update();
                reporter.show(now);
            }
            landed = ticket.landed() => {
                let landed = landed?;
                reporter.show(*stage.borrow());
                reporter.end();
                return Ok(landed);
            }
        }
    }
}

struct Reporter<'a> {
    id: &'a str,
    total: u64,
    progress: &'a dyn Progress,
    downloaded: bool,
    /// When an amount was last reported.
    last: Option<Instant>,
    shown: Stage,
}

impl Reporter<'_> {
    fn say(&self, status: Status) {
        self.progress.report(ProgressEvent::new(self.id, status));
    }

    fn show(&mut self, stage: Stage) {
        if stage == self.shown {
            return;
        }
        self.shown = stage;
        let total = self.total;
        match stage {
            Stage::Begun => {}
            Stage::Waiting => self.say(Status::Waiting),
            Stage::Retrying(seconds) => self.say(Status::Retrying { seconds }),
            Stage::Downloading(current) => {
                if self.may_show(current) {
                    self.say(Status::Downloading { current, total });
                }
            }
            Stage::Extracting(current) => {
                self.downloaded();
                if self.may_show(current) {
                    self.say(Status::Extracting { current, total });
                }
            }
        }
    }

    /// Whether it is time again to report an amount; the whole always is.
    fn may_show(&mut self, current: u64) -> bool {
        let now = Instant::now();
        if current < self.total && self.last.is_some_and(|last| now - last < PAUSE) {
            return false;
        }
        self.last = Some(now);
        true
    }

    /// The words after the last byte came.
    fn downloaded(&mut self) {
        if !self.downloaded {
            self.downloaded = true;
            self.last = None;
            self.say(Status::VerifyingChecksum);
            self.say(Status::DownloadComplete);
        }
    }

    fn end(&mut self) {
        self.downloaded();
        self.show(Stage::Extracting(self.total));
        self.say(Status::PullComplete);
    }
}
