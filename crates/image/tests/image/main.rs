//! What images do in a real store: with a real registry that has images of other tools, and with one that fails.

mod bed;
mod crash;
mod disk;
mod fake;
mod faults;
mod local;
mod pull;
mod push;
mod push_crash;
mod sharing;
