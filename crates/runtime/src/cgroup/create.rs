//! Making the cgroups of a plan, with their limits, before any process is inside.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, CWD, Mode},
    io::Errno,
};

use super::{
    Cgroup, CgroupError, Group, Plan,
    device::{self, Policy, Rule},
    file,
    layout::{Layout, Version},
    limit::{Absent, Order, Write},
    plan::{Devices, GroupPlan},
    systemd::{self, Placeholder, Unit},
};

/// What a failed creation takes back: the directories that it made, the deepest last.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // The first error is on its way to the caller; a directory in use by now stays.
            fs::rmdir(path).ok();
        }
    }
}

impl Cgroup {
    /// Makes the cgroups of `plan`, all limits in place.
    ///
    /// A cgroup that is there already is taken over if it is empty and thawed. On failure, what was
    /// made is gone again.
    pub fn create(plan: &Plan, _host: &Layout) -> Result<Self, CgroupError> {
        let mut made = Made::default();
        let mut cgroup = Self {
            driver: plan.driver,
            unit: None,
            groups: Vec::with_capacity(plan.groups.len()),
            placeholder: RefCell::default(),
        };
        let scope = plan.unit.as_ref().map(|unit| start(unit, &plan.devices)).transpose()?;
        let taken = scope.is_some();
        for group in &plan.groups {
            match make(group, taken, &mut made) {
                Ok(group) => cgroup.groups.push(group),
                Err(error) if plan.optional && forbidden(&error) => {
                    return without(plan, error, group);
                }
                Err(error) => return Err(error),
            }
        }
        for (planned, group) in plan.groups.iter().zip(&cgroup.groups) {
            if group.controllers.iter().any(|name| name == "cpuset") && group.version == Version::V1 {
                inherit_cpuset(group, &planned.mountpoint)?;
            }
            write_all(group, &planned.writes)?;
            if let Some(owner) = plan.owner.filter(|owner| *owner != 0 && group.version == Version::V2) {
                hand_over(group, owner)?;
            }
        }
        match &plan.devices {
            Devices::Lists(index, policy) => write_lists(&cgroup.groups[*index], policy)?,
            Devices::Program(index, rules) => attach_program(&cgroup.groups[*index], rules)?,
            Devices::Open => {}
        }
        made.0.clear();
        if let Some(scope) = scope {
            (cgroup.unit, cgroup.placeholder) = (Some(scope.unit.clone()), RefCell::new(scope.keep()));
        }
        Ok(cgroup)
    }
}

/// Whether `error` says that this user may not make cgroups.
fn forbidden(error: &CgroupError) -> bool {
    let CgroupError::Make { source, .. } = error else { return false };
    matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// No cgroups at all, where none are needed.
fn without(plan: &Plan, error: CgroupError, group: &GroupPlan) -> Result<Cgroup, CgroupError> {
    match (&plan.wanted, error) {
        (Some(field), CgroupError::Make { source, .. }) => Err(CgroupError::NotAllowed {
            field: field.clone(),
            path: group.mountpoint.join(&group.path),
            source,
        }),
        (Some(_), error) => Err(error),
        (None, _) => Ok(Cgroup {
            driver: super::Driver::Disabled,
            unit: None,
            groups: Vec::new(),
            placeholder: RefCell::default(),
        }),
    }
}

/// A scope that was started, and is stopped again unless it is kept.
#[derive(Debug)]
struct Scope {
    unit: String,
    placeholder: Option<Placeholder>,
}

impl Scope {
    fn keep(mut self) -> Option<Placeholder> {
        self.placeholder.take()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // With its only process gone it would end by itself, but later.
        if self.placeholder.take().is_some() {
            systemd::stop(&self.unit).ok();
        }
    }
}

/// Has systemd make the cgroups that it manages.
fn start(unit: &Unit, devices: &Devices) -> Result<Scope, CgroupError> {
    let mut unit = unit.clone();
    if let Devices::Lists(_, policy) = devices {
        let groups = file::read_path("/proc/devices").unwrap_or_default();
        unit.properties.extend(systemd::device_properties(policy, &groups));
    }
    let placeholder = systemd::start(&unit)?;
    Ok(Scope { unit: unit.name, placeholder: Some(placeholder) })
}

/// Makes one directory and what is missing above it. `taken` says that systemd made it already.
fn make(plan: &GroupPlan, taken: bool, made: &mut Made) -> Result<Group, CgroupError> {
    let path = plan.mountpoint.join(&plan.path);
    let unified = plan.version == 2;
    if unified {
        enable(plan, made)?;
    }
    let fresh = make_all(&path, &plan.mountpoint, made)?;
    let dir = file::open_dir(&path).map_err(|source| CgroupError::Open { path: path.clone(), source })?;
    let version = if unified { Version::V2 } else { Version::V1 };
    let group = Group { version, controllers: plan.controllers.clone(), path, dir };
    if !fresh && !taken {
        refuse_used(&group)?;
    }
    Ok(group)
}

/// Makes `path` and its missing parents. Returns whether `path` itself is new.
fn make_all(path: &Path, top: &Path, made: &mut Made) -> Result<bool, CgroupError> {
    match fs::mkdirat(CWD, path, Mode::from(0o755)) {
        Ok(()) => {
            made.0.push(path.to_owned());
            Ok(true)
        }
        Err(Errno::EXIST) => Ok(false),
        Err(Errno::NOENT) if path != top && path.parent().is_some() => {
            make_all(path.parent().unwrap_or(top), top, made)?;
            make_all(path, top, made)
        }
        Err(error) => Err(CgroupError::Make { path: path.to_owned(), source: error.into() }),
    }
}

/// Switches `plan.enable` on for the children of every cgroup above the planned one, so that it has
/// their files.
///
/// Whether that succeeded shows when a limit's file is there or not: a cgroup on the way may belong
/// to somebody else, and hold processes.
fn enable(plan: &GroupPlan, made: &mut Made) -> Result<(), CgroupError> {
    if plan.enable.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = plan.enable.iter().map(|name| format!("+{name}")).collect();
    let mut current = plan.mountpoint.clone();
    for part in &plan.path {
        let dir = match file::open_dir(&current) {
            Ok(dir) => dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_all(&current, &plan.mountpoint, made)?;
                file::open_dir(&current)
                    .map_err(|source| CgroupError::Open { path: current.clone(), source })?
            }
            Err(source) => return Err(CgroupError::Open { path: current, source }),
        };
        if file::write(&dir, "cgroup.subtree_control", &all.join(" ")).is_err() && all.len() > 1 {
            for one in &all {
                file::write(&dir, "cgroup.subtree_control", one).ok();
            }
        }
        current.push(part);
    }
    Ok(())
}

/// Refuses a cgroup that was there before and is somebody's: with processes, or frozen.
fn refuse_used(group: &Group) -> Result<(), CgroupError> {
    let processes = super::process::all(&group.path)?.len();
    if processes > 0 {
        return Err(CgroupError::NotEmpty { path: group.path.clone(), processes });
    }
    if super::freeze::is_frozen(group)? {
        return Err(CgroupError::Frozen { path: group.path.clone() });
    }
    Ok(())
}

/// Gives a version 1 cpuset, which begins with no CPU and no memory, those of its parent; likewise
/// every parent that has none.
fn inherit_cpuset(group: &Group, top: &Path) -> Result<(), CgroupError> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        inherit(&group.path, top, name).map_err(|source| CgroupError::Write {
            field: name.replace("cpuset.", "cpu."),
            path: group.path.join(name),
            value: "its parent's".to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// The content of `name` in `path`, which is its parent's from here on if it was empty.
fn inherit(path: &Path, top: &Path, name: &str) -> io::Result<String> {
    let dir = file::open_dir(path)?;
    let own = file::read(&dir, name)?;
    let (false, Some(parent)) = (path == top || !own.trim().is_empty(), path.parent()) else {
        return Ok(own);
    };
    let inherited = inherit(parent, top, name)?;
    file::write(&dir, name, inherited.trim())?;
    Ok(inherited)
}

/// Writes the limits of one cgroup; those refused with `EINVAL` again when all others are written.
pub(super) fn write_all(group: &Group, writes: &[Write]) -> Result<(), CgroupError> {
    let mut again = Vec::new();
    for write in writes {
        match put(group, write) {
            Err(CgroupError::Write { source, .. })
                if write.order == Order::Again
                    && source.raw_os_error() == Some(Errno::INVAL.raw_os_error()) =>
            {
                again.push(write);
            }
            result => result?,
        }
    }
    again.into_iter().try_for_each(|write| put(group, write))
}

/// Writes one limit into the first of its files that the kernel has.
fn put(group: &Group, write: &Write) -> Result<(), CgroupError> {
    let files =
        [Some((&write.file, &write.value)), write.instead.as_ref().map(|(file, value)| (file, value))];
    for (name, value) in files.into_iter().flatten() {
        let file = match file::open_write(&group.dir, name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(refused(group, write, name, value, source)),
        };
        return file::write_fd(file, value).map_err(|source| refused(group, write, name, value, source));
    }
    match write.absent {
        Absent::Fine => Ok(()),
        Absent::Error => Err(CgroupError::NoFile { field: write.field.clone(), file: write.file.clone() }),
    }
}

fn refused(group: &Group, write: &Write, name: &str, value: &str, source: io::Error) -> CgroupError {
    CgroupError::Write {
        field: write.field.clone(),
        path: group.path.join(name),
        value: value.to_owned(),
        source,
    }
}

/// Closes a fresh cgroup to all devices but those of `policy`.
fn write_lists(group: &Group, policy: &Policy) -> Result<(), CgroupError> {
    let open = |name: &str| {
        file::open_write(&group.dir, name)
            .map_err(|source| CgroupError::Open { path: group.path.join(name), source })
    };
    let (allow, deny) = (open("devices.allow")?, open("devices.deny")?);
    for (name, value) in policy.fresh() {
        let file: &OwnedFd = if name == "devices.allow" { &allow } else { &deny };
        file::write_fd(file, &value).map_err(|source| CgroupError::Write {
            field: "devices".to_owned(),
            path: group.path.join(name),
            value,
            source,
        })?;
    }
    Ok(())
}

/// Puts the program for `rules` on a version 2 cgroup, in place of the one that it had.
pub(super) fn attach_program(group: &Group, rules: &[Rule]) -> Result<(), CgroupError> {
    use longshore_sys::bpf;
    let attach = || {
        let program = bpf::load_device_program(&device::program(rules))?;
        let before = bpf::device_programs(group.dir.as_fd())?;
        bpf::attach_device_program(group.dir.as_fd(), program.as_fd(), before.first().map(AsFd::as_fd))
    };
    attach().map_err(|source| CgroupError::DeviceProgram { path: group.path.clone(), source })
}

/// Gives a version 2 cgroup and the files that delegation is about to `owner`.
fn hand_over(group: &Group, owner: u32) -> Result<(), CgroupError> {
    let uid = Some(rustix::process::Uid::from_raw(owner));
    let files = file::read_path("/sys/kernel/cgroup/delegate").unwrap_or_default();
    let refused = |name: &str, source: Errno| CgroupError::Control {
        path: group.path.join(name),
        value: format!("owner {owner}"),
        source: source.into(),
    };
    fs::chownat(CWD, &group.path, uid, None, fs::AtFlags::empty()).map_err(|error| refused("", error))?;
    for name in files.lines() {
        match fs::chownat(&group.dir, name, uid, None, fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(refused(name, error)),
        }
    }
    Ok(())
}
