//! Containers' life.

mod asked;
mod ends;
mod files;
mod restore;
mod runtimes;
mod verbs;
