//! From the limits of a spec to files and what to write to them. Pure.
//!
//! Each limit goes to the hierarchy that has its controller: version 1 where one is mounted, else
//! version 2. A limit for which there is none, or that its controller cannot express, is an error
//! that names it. Zero means "not set" where runc reads it so: shares, quota, periods, weights,
//! memory limits, class ID.

mod blkio;
mod cpu;
mod memory;
mod rest;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(super) use cpu::weight;
pub(super) use memory::swap_alone as memory_swap_alone;

use super::{CgroupError, layout::Version};
use crate::spec::Resources;

/// One file of a cgroup and what goes there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Write {
    /// The limit's name below `linux.resources`, for errors.
    pub(super) field: String,
    pub(super) file: String,
    pub(super) value: String,
    /// Where kernels without `file` keep it.
    pub(super) instead: Option<(String, String)>,
    /// When the kernel has neither file.
    pub(super) absent: Absent,
    /// What to do on `EINVAL`: several limits are only valid together with another one.
    pub(super) order: Order,
}

/// What the absence of a file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Absent {
    /// The limit cannot be held.
    Error,
    /// Nothing is lost: the value asks for no limit, or the kernel has the same elsewhere.
    Fine,
}

/// Whether a refused value is worth a second try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    Once,
    /// Refused with `EINVAL`, it is tried again after the other limits of the same cgroup.
    Again,
}

/// A write and the hierarchy it belongs to, by its index in [`Homes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) home: usize,
    pub(super) controller: String,
    pub(super) write: Write,
}

/// The hierarchies that limits may go to, with their controllers.
#[derive(Clone, Debug)]
pub(super) struct Homes<'a>(pub(super) Vec<(Version, &'a [String])>);

impl Homes<'_> {
    /// The first hierarchy with `controller`. `devices` and `freezer` are part of any version 2.
    pub(super) fn of(&self, controller: &str) -> Option<(usize, Version)> {
        let has = |(version, controllers): &(Version, &[String])| {
            controllers.iter().any(|name| name == controller)
                || (*version == Version::V2 && matches!(controller, "devices" | "freezer"))
        };
        self.0.iter().position(has).map(|index| (index, self.0[index].0))
    }

    fn unified(&self) -> Option<usize> {
        self.0.iter().position(|(version, _)| *version == Version::V2)
    }
}

/// All writes for `resources`, but for devices (see `device`).
pub(super) fn compile(resources: &Resources, homes: &Homes<'_>) -> Result<Vec<Placed>, CgroupError> {
    let mut sheet = Sheet { homes, placed: Vec::new() };
    if let Some(cpu) = &resources.cpu {
        cpu::compile(cpu, &mut sheet)?;
    }
    if let Some(memory) = &resources.memory {
        memory::compile(memory, &mut sheet)?;
    }
    if let Some(block_io) = &resources.block_io {
        blkio::compile(block_io, &mut sheet)?;
    }
    rest::compile(resources, &mut sheet)?;
    Ok(sheet.placed)
}

/// The list of writes in the making.
struct Sheet<'a> {
    homes: &'a Homes<'a>,
    placed: Vec<Placed>,
}

/// Where a controller's limits go.
#[derive(Clone, Copy)]
struct Home<'a> {
    index: usize,
    version: Version,
    controller: &'a str,
}

impl Sheet<'_> {
    /// The home of `controller`, which `field` needs.
    fn home<'c>(&self, controller: &'c str, field: &str) -> Result<Home<'c>, CgroupError> {
        let (index, version) = self.homes.of(controller).ok_or_else(|| CgroupError::NoController {
            field: field.to_owned(),
            controller: controller.to_owned(),
        })?;
        Ok(Home { index, version, controller })
    }

    /// The home of `blkio` and of what version 2 calls `io`.
    fn block_home(&self, field: &str) -> Result<Home<'static>, CgroupError> {
        self.home("blkio", field).or_else(|_| self.home("io", field))
    }

    /// Adds a write; the caller may refine it.
    fn put(
        &mut self,
        home: Home<'_>,
        field: &str,
        file: impl Into<String>,
        value: impl ToString,
    ) -> &mut Write {
        let write = Write {
            field: field.to_owned(),
            file: file.into(),
            value: value.to_string(),
            instead: None,
            absent: Absent::Error,
            order: Order::Once,
        };
        self.placed.push(Placed { home: home.index, controller: home.controller.to_owned(), write });
        let last = self.placed.len() - 1;
        &mut self.placed[last].write
    }
}

/// That `field` holds nothing which version 2 knows.
fn only_v1(home: Home<'_>, field: &str) -> Result<(), CgroupError> {
    match home.version {
        Version::V1 => Ok(()),
        Version::V2 => Err(unsupported(field, "cgroup v2 has nothing like it")),
    }
}

fn unsupported(field: &str, reason: &'static str) -> CgroupError {
    CgroupError::Unsupported { field: field.to_owned(), reason }
}

fn bad_value(field: &str, value: impl ToString, expected: &'static str) -> CgroupError {
    CgroupError::Value { field: field.to_owned(), value: value.to_string(), expected }
}
