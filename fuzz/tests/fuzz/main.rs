//! Runs of the targets, and agreement with other readers of tar.

mod agree;
mod run;
