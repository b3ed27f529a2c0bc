use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{WaitOptions, WaitStatus, wait},
};

use super::{client::Client, record, running::Monitor, start::Held};
use crate::wire::{Exit, ExitRecord, Reply, Target};

/// How long output may still come after the init's end, from a process that outlived it.
const DRAIN: Duration = Duration::from_secs(1);

/// How long clients may take to read the last they get.
const LINGER: Duration = Duration::from_secs(5);

/// Where the container is in its life, and the monitor with it.
///
/// `Created`, where the start is to be asked for → `Running` → (the init has ended and the record of it is on disk) → `Draining` → (output is at its
/// end) → `Leaving`, in which clients have been told and read on.
#[derive(Debug)]
pub(super) enum Phase {
    Created(Held),
    Running,
    Draining { record: ExitRecord, until: Instant },
    Leaving { record: ExitRecord, until: Instant },
}

impl Phase {
    /// Whether the init is alive, as far as is known.
    pub(super) fn has_init(&self) -> bool {
        matches!(self, Self::Created(_) | Self::Running)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Created(_) | Self::Running => None,
            Self::Draining { until, .. } | Self::Leaving { until, .. } => Some(*until),
        }
    }

    /// The init's end, as soon as it is on disk.
    pub(super) fn record(&self) -> Option<&ExitRecord> {
        match self {
            Self::Created(_) | Self::Running => None,
            Self::Draining { record, .. } | Self::Leaving { record, .. } => Some(record),
        }
    }

    /// The init's end, once it follows all output.
    pub(super) fn announced(&self) -> Option<&ExitRecord> {
        match self {
            Self::Created(_) | Self::Running | Self::Draining { .. } => None,
            Self::Leaving { record, .. } => Some(record),
        }
    }
}

impl Monitor {
    /// Reaps every child that has ended: the init, exec processes, orphans.
    pub(super) fn reap(&mut self) {
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG) {
                Ok(Some(ended)) => ended,
                Err(Errno::INTR) => continue,
                Ok(None) | Err(_) => return,
            };
            let (pid, exit) = (pid.as_raw_nonzero().get(), exit(status));
            if pid == self.parts.container.pid {
                self.init_ended(exit);
            } else if let Some(status) = self.execs.ended(pid, exit, &self.parts.directory) {
                let target = Target::Exec(status.id.clone());
                self.announce(&target, &Reply::ExecExited(status));
            }
        }
    }

    /// Takes the next steps of the container's end, if they are due.
    pub(super) fn advance(&mut self, now: Instant) {
        if let Phase::Draining { until, record } = &mut self.phase {
            let outputs = &mut self.parts.outputs;
            if *until <= now && outputs.are_paused() {
                // A client holds what is left back, within its own patience.
                *until = now + DRAIN;
            } else if *until <= now {
                outputs.finish();
            }
            if outputs.are_finished() {
                let record = record.clone();
                self.announce(&Target::Init, &Reply::Exited(record.clone()));
                self.phase = Phase::Leaving { record, until: now + LINGER };
            }
        }
    }

    /// Whether nobody needs this monitor any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Created(_) | Phase::Running | Phase::Draining { .. } => false,
            Phase::Leaving { until, .. } => {
                let unserved = || self.clients.iter().filter(|client| !client.is_served());
                unserved().next().is_none() || (*until <= now && !unserved().any(Client::is_trusted))
            }
        }
    }

    fn init_ended(&mut self, exit: Exit) {
        // Frozen, what is left of it could not end either.
        self.parts.container.resume().ok();
        let mut record = self.parts.container.exit_record(exit);
        let written = record::write(self.parts.directory.as_fd(), record::EXIT_RECORD, &record);
        // Whoever listens hears of the end and of this; nobody else ever will.
        record.unrecorded = written.err().map(Errno::raw_os_error);
        self.parts.container.kill_rest();
        // Before anybody hears of the end, who may take the directory away that the runtime's state is in.
        if let Some((external, id)) = self.parts.container.external.take() {
            external.delete(id.as_str());
        }
        // The terminal's end comes once nobody holds the slave.
        self.parts.terminal = None;
        self.phase = Phase::Draining { record, until: Instant::now() + DRAIN };
    }

    fn announce(&mut self, target: &Target, reply: &Reply) {
        for client in &mut self.clients {
            while let Some(at) = client.waits.iter().position(|(waited, _)| waited == target) {
                let (_, sequence) = client.waits.swap_remove(at);
                client.reply(sequence, reply, Vec::new());
            }
            client.register(&self.parts.poll);
        }
    }
}

fn exit(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit { code, signal: None },
        (None, signal) => Exit { code: 128 + signal.unwrap_or_default(), signal },
    }
}
