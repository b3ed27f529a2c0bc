//! What the engine does, by its own interface.

mod copy;
