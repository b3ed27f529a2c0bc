//! What must not be possible from inside a container, or by what a bundle holds. The names carry
//! the number of the advisory (`a1_…`) or of the attempt (`c4_…`) in the project's security table.

mod cgroup;
mod descriptors;
mod kernel;
mod masks;
mod paths;
mod privileges;
mod processes;
mod races;
mod settings;
mod terminal;
