//! Layers onto real directories and back, as root. Tests of a row of the list of attacks carry its number.

mod apply;
mod diff;
mod hostile;
mod layer;
mod merged;
mod model;
mod mount;
mod orders;
mod outside;
mod remove;
mod tree;
mod umoci;
