//! What images do in a real store, with a real registry and images that other tools made.

mod bed;
