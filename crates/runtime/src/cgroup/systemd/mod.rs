//! The systemd driver: a container is a transient scope, whose cgroup systemd makes and removes.
//!
//! A scope needs a process from its first moment to its last, and the container's init is born only
//! when its cgroup is there. So a process that does nothing holds the place, until the [`Cgroup`]
//! that was created is dropped; by then init must be inside. `pids.limit` 1 leaves no room for both.
//!
//! Systemd is told the limits that it knows, since it sets those again when it reloads. The runtime
//! writes all of them to the cgroup, as with the other driver.
//!
//! [`Cgroup`]: super::Cgroup

mod annotation;
mod bus;
mod unit;
mod wire;

use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use longshore_sys::clone::{Cloned, clone3};
use rustix::process::{
    Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process, pidfd_send_signal,
    set_parent_process_death_signal, waitid,
};

pub(super) use annotation::properties as annotated;
pub use bus::BusError;
pub(super) use unit::{Unit, device_properties, properties};
pub(super) use wire::Value;

use self::{bus::Bus, wire::Writer};
use super::CgroupError;

/// The process that holds a scope until the container is in it.
#[derive(Debug)]
pub(super) struct Placeholder {
    pidfd: OwnedFd,
}

impl Placeholder {
    fn start() -> std::io::Result<(i32, Self)> {
        let parent = getpid();
        if let Cloned::Parent { pid, pidfd } = clone3(0, None)? {
            return Ok((pid, Self { pidfd }));
        }
        // Ends with its parent, however that ends, and whether it did so already.
        let bound = set_parent_process_death_signal(Some(Signal::KILL));
        while bound.is_ok() && getppid() == Some(parent) {
            std::thread::sleep(Duration::from_secs(3600));
        }
        kill_process(getpid(), Signal::KILL).ok();
        std::process::abort()
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        pidfd_send_signal(&self.pidfd, Signal::KILL).ok();
        waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED).ok();
    }
}

fn failed(operation: &'static str, unit: &str) -> impl FnOnce(BusError) -> CgroupError {
    let unit = unit.to_owned();
    move |source| CgroupError::Systemd { operation, unit, source }
}

/// Starts the scope with a placeholder inside.
pub(super) fn start(unit: &Unit) -> Result<Placeholder, CgroupError> {
    let error = |source| CgroupError::Systemd { operation: "start", unit: unit.name.clone(), source };
    let mut bus = Bus::connect().map_err(error)?;
    let (pid, placeholder) = Placeholder::start().map_err(|source| error(source.into()))?;
    let mut properties: Vec<(String, Value)> = vec![
        ("Description".to_owned(), Value::Text(format!("container {}", unit.name))),
        ("Slice".to_owned(), Value::Text(unit.slice.clone())),
        ("Delegate".to_owned(), Value::Bool(true)),
        ("PIDs".to_owned(), Value::Numbers(vec![pid.unsigned_abs()])),
        ("DefaultDependencies".to_owned(), Value::Bool(false)),
    ];
    for name in ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"] {
        properties.push((name.to_owned(), Value::Bool(true)));
    }
    properties.extend(unit.properties.iter().cloned());
    let mut body = Writer::default();
    body.text(&unit.name);
    body.text("replace");
    body.properties(&properties);
    body.no_units();
    let begin = |bus: &mut Bus| bus.job("StartTransientUnit", "ssa(sv)a(sa(sv))", &body);
    let result = match begin(&mut bus) {
        // A scope of that name which failed earlier stays until somebody looked at it.
        Err(BusError::Reply { name, .. }) if name == "org.freedesktop.systemd1.UnitExists" => {
            reset(&mut bus, &unit.name);
            begin(&mut bus)
        }
        result => result,
    };
    result.map_err(error)?;
    Ok(placeholder)
}

/// Tells systemd new values of properties, until the next boot.
pub(super) fn set(unit: &str, properties: &[(String, Value)]) -> Result<(), CgroupError> {
    let change = || {
        let mut body = Writer::default();
        body.text(unit);
        body.bool(true);
        body.properties(properties);
        Bus::connect()?.manager("SetUnitProperties", "sba(sv)", &body)
    };
    change().map(drop).map_err(failed("change", unit))
}

/// Stops the scope; one that is gone is fine.
pub(super) fn stop(unit: &str) -> Result<(), CgroupError> {
    let mut bus = Bus::connect().map_err(failed("stop", unit))?;
    let mut body = Writer::default();
    body.text(unit);
    body.text("replace");
    match bus.job("StopUnit", "ss", &body) {
        Err(BusError::Reply { name, .. }) if name == "org.freedesktop.systemd1.NoSuchUnit" => Ok(()),
        result => {
            reset(&mut bus, unit);
            result.map_err(failed("stop", unit))
        }
    }
}

/// Lets systemd forget a unit that failed. There is none, as a rule, so the answer is of no use.
fn reset(bus: &mut Bus, unit: &str) {
    let mut body = Writer::default();
    body.text(unit);
    bus.manager("ResetFailedUnit", "s", &body).ok();
}
