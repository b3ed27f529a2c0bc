//! What a container gets where its creator asks for nothing: Docker's defaults, one file per kind.

pub mod identity;
pub mod seccomp;
