//! Puts the table back when somebody else takes it, or a part of it, away: `nft flush ruleset`, a firewall's reload.
//!
//! The kernel tells of every change, and by whose socket it was made.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use rustix::io::Errno;

use super::Firewall;
use crate::{
    Error, Result,
    error::io,
    netlink::{Family, Socket, attributes},
};

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
/// Kinds that take something away: of a table, chain, rule, set, element.
const REMOVALS: [u16; 5] = [2, 5, 8, 11, 14];
/// Others may still be at it: what comes within this time is one change.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_secs(5);

impl Firewall {
    /// Begins to watch over the table, from a thread that ends some time after this is dropped.
    pub fn watch(self: &Arc<Self>) -> Result<()> {
        let socket = Socket::listen(Family::Netfilter, GROUP, LOOK)?;
        let firewall = Arc::downgrade(self);
        let thread = std::thread::Builder::new().name("nft-watch".into());
        thread.spawn(move || watch(&socket, &firewall)).map(drop).map_err(io("start", "a thread"))
    }

    /// Whether this change takes away what is ours, by somebody else's hand.
    fn is_robbed(&self, kind: u16, port: u32, body: &[u8]) -> bool {
        let state = self.state();
        REMOVALS.contains(&(kind & 0xff))
            && port != state.port
            && body.get(4..).is_some_and(|rest| attributes(rest).name(1) == Some(state.name.as_str()))
    }
}

fn watch(socket: &Socket, firewall: &Weak<Firewall>) {
    let mut is_due = false;
    loop {
        let heard = socket.hear(|kind, port, body| {
            is_due = is_due || firewall.upgrade().is_some_and(|own| own.is_robbed(kind, port, body));
        });
        let Some(own) = firewall.upgrade() else { return };
        match heard {
            Ok(()) => {}
            // Nothing was said for a while.
            Err(Errno::AGAIN | Errno::INTR) => continue,
            // More was said than could be kept.
            Err(Errno::NOBUFS) => is_due = true,
            Err(_) => return,
        }
        if is_due {
            std::thread::sleep(PAUSE);
            is_due = false;
            // One that ended in order has taken its table away itself.
            if let Err(error) = own.reinstall() {
                tracing::error!(error = %line(&error), "cannot put the table of rules back");
            } else {
                tracing::info!("the table of rules was changed by somebody, and put back");
            }
        }
    }
}

fn line(error: &Error) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}
