//! The host's cgroup hierarchies.

use crate::mountinfo;
use std::fs;
use std::path::PathBuf;

/// Mount points of all hierarchies, v1 and v2.
pub fn hierarchies() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("own mounts");
    let mounts = mountinfo::parse(&text).into_iter();
    let mut points: Vec<PathBuf> =
        mounts.filter(|mount| mount.kind.starts_with("cgroup")).map(|mount| mount.point.into()).collect();
    points.dedup();
    points
}

/// Whether `/sys/fs/cgroup` is one v2 tree.
pub fn is_unified() -> bool {
    fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap_or(false)
}

/// The hierarchy with this v1 controller, or the v2 tree if it has it.
pub fn controller(name: &str) -> Option<PathBuf> {
    if is_unified() {
        let known = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").ok()?;
        return known.split_whitespace().any(|known| known == name).then(|| "/sys/fs/cgroup".into());
    }
    let text = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut mounts = mountinfo::parse(&text).into_iter();
    let mount = mounts
        .find(|mount| mount.kind == "cgroup" && mount.super_options.iter().any(|option| option == name))?;
    Some(mount.point.into())
}

/// The value of a file of a cgroup in the hierarchy of a controller, trimmed.
///
/// # Panics
/// If the controller or the file is not there.
#[track_caller]
pub fn value(controller_name: &str, cgroup: &str, file: &str) -> String {
    let Some(hierarchy) = controller(controller_name) else { panic!("no controller {controller_name}") };
    let path = hierarchy.join(cgroup.trim_start_matches('/')).join(file);
    match fs::read_to_string(&path) {
        Ok(value) => value.trim().to_owned(),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
