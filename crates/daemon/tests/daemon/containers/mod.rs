//! Containers' life.

mod ends;
mod restore;
mod verbs;
