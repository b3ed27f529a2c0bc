//! OCI runtime: from a bundle's spec to a plan to a running, confined process.

pub mod cgroup;
pub mod container;
pub mod defaults;
pub mod exec;
pub mod external;
pub mod failpoint;
pub mod features;
pub mod hooks;
pub mod init;
pub mod launch;
mod monitor;
pub mod plan;
mod rootfs;
pub mod seccomp;
pub mod spawner;
pub mod spec;
pub mod state;
pub mod wire;
