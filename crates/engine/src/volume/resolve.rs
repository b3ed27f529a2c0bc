//! What a container mounts when it starts: paths of the host.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use longshore_types::{
    ContainerId,
    container::{Mount, MountPoint, MountType},
};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
    mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree},
};

use super::{Error, LOCAL, Result, Volumes, driver, io, private};
use crate::spec::{ResolvedMount, point};

/// The mounts of a start. Dropped once the container has its own: then what was held for it goes.
#[derive(Debug, Default)]
pub struct Resolved {
    pub mounts: Vec<ResolvedMount>,
    held: Vec<PathBuf>,
}

impl Drop for Resolved {
    fn drop(&mut self) {
        for path in &self.held {
            drop_one(path);
        }
    }
}

/// Takes away what an earlier daemon held.
pub(super) fn drop_all(mounts: &Path) {
    for entry in std::fs::read_dir(mounts).into_iter().flatten().flatten() {
        drop_one(&entry.path());
    }
}

fn drop_one(path: &Path) {
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).ok();
    // A directory or a file.
    if std::fs::remove_dir(path).is_err() {
        std::fs::remove_file(path).ok();
    }
}

impl Volumes {
    /// Finds and mounts what a container that starts is to have, except what is a tmpfs. Blocks.
    pub fn resolve(
        &self,
        id: &ContainerId,
        points: &[MountPoint],
        asked: &BTreeMap<String, Mount>,
    ) -> Result<Resolved> {
        let mut resolved = Resolved::default();
        for point in points {
            let asked = asked.get(&point.destination).cloned().unwrap_or_default();
            let options = asked.bind_options.clone().unwrap_or_default();
            let mut mount = ResolvedMount {
                destination: point.destination.clone(),
                writable: point.rw,
                propagation: point.propagation.clone(),
                non_recursive: options.non_recursive,
                read_only_non_recursive: options.read_only_non_recursive,
                ..ResolvedMount::default()
            };
            mount.source = match point.kind {
                MountType::Volume => {
                    let subpath = asked.volume_options.map(|options| options.subpath).unwrap_or_default();
                    self.volume(id, point, &subpath, &mut resolved)?
                }
                MountType::Image => {
                    let subpath = asked.image_options.map(|options| options.subpath).unwrap_or_default();
                    self.image(id, &asked.source, &subpath, &mut resolved)?
                }
                MountType::Bind => {
                    let source = PathBuf::from(&point.source);
                    present(&source, options.create_mountpoint)?;
                    mount.propagation = propagation(&source, &mount.propagation, &options.propagation)?;
                    source
                }
                _ => continue,
            };
            resolved.mounts.push(mount);
        }
        Ok(resolved)
    }

    /// Notes that a container has ended: what the driver mounted for it alone goes. Blocks.
    pub fn ended(&self, id: &ContainerId, points: &[MountPoint]) -> Result<()> {
        let volumes = points.iter().filter(|point| point.kind == MountType::Volume);
        for point in volumes {
            let mut table = self.table();
            let Some(entry) = table.iter_mut().find(|entry| entry.volume.name == point.name) else {
                continue;
            };
            if !entry.running.remove(id.as_str()) {
                continue;
            }
            let path = self.path(&point.name);
            if entry.running.is_empty() && entry.volume.needs_mount() {
                driver::unmount(&path)?;
            }
            drop(table);
            self.publish("unmount", &point.name, &[("driver", LOCAL), ("container", id.as_str())]);
        }
        Ok(())
    }

    fn volume(
        &self,
        id: &ContainerId,
        point: &MountPoint,
        subpath: &str,
        resolved: &mut Resolved,
    ) -> Result<PathBuf> {
        let path = self.path(&point.name);
        let mut table = self.table();
        let entry = table.iter_mut().find(|entry| entry.volume.name == point.name);
        let entry = entry.ok_or_else(|| Error::NoSuchVolume { name: point.name.clone() })?;
        if entry.volume.needs_mount() {
            driver::mount(&entry.volume.options, &path)?;
        }
        entry.running.insert(id.to_string());
        drop(table);
        let writable = if point.rw { "true" } else { "false" };
        let attributes = [
            ("driver", LOCAL),
            ("container", id.as_str()),
            ("destination", &point.destination),
            ("read/write", writable),
            ("propagation", &point.propagation),
        ];
        self.publish("mount", &point.name, &attributes);
        if subpath.is_empty() {
            return Ok(path);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(&path, flags, Mode::empty()).map_err(io("open", &path))?;
        self.part(id, &top, &point.name, subpath, resolved)
    }

    fn image(
        &self,
        id: &ContainerId,
        image: &str,
        subpath: &str,
        resolved: &mut Resolved,
    ) -> Result<PathBuf> {
        let mount = self.0.images.mount(image)?;
        let place = self.place(id, resolved);
        private(&place)?;
        attach(&mount, &place).map_err(io("mount", &place))?;
        resolved.held.push(place.clone());
        if subpath.is_empty() {
            return Ok(place);
        }
        self.part(id, &mount, image, subpath, resolved)
    }

    /// Holds what is at `subpath` below `top`. Links are followed as long as they stay inside.
    fn part(
        &self,
        id: &ContainerId,
        top: &OwnedFd,
        name: &str,
        subpath: &str,
        resolved: &mut Resolved,
    ) -> Result<PathBuf> {
        let place = self.place(id, resolved);
        let fail = |errno: Errno| Error::Subpath {
            name: name.into(),
            subpath: subpath.into(),
            path: place.clone(),
            source: errno.into(),
        };
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let part = match rustix::fs::openat2(top, subpath, flags, Mode::empty(), inside) {
            Err(Errno::XDEV) => {
                return Err(Error::Escapes { name: name.into(), subpath: subpath.into() });
            }
            part => part.map_err(fail)?,
        };
        let status = rustix::fs::fstat(&part).map_err(fail)?;
        let is_directory =
            rustix::fs::FileType::from_raw_mode(status.st_mode) == rustix::fs::FileType::Directory;
        if is_directory {
            private(&place)?;
        } else {
            std::fs::File::create(&place).map_err(io("make", &place))?;
        }
        resolved.held.push(place.clone());
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        let mount = open_tree(part.as_fd(), c"", flags).map_err(fail)?;
        attach(&mount, &place).map_err(fail)?;
        Ok(place)
    }

    fn place(&self, id: &ContainerId, resolved: &Resolved) -> PathBuf {
        self.0.mounts.join(format!("{id}-{}", resolved.held.len()))
    }
}

fn attach(mount: &OwnedFd, place: &Path) -> rustix::io::Result<()> {
    move_mount(mount.as_fd(), c"", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Makes the source of a bind that may be made: a directory, with those above it.
fn present(source: &Path, make: bool) -> Result<()> {
    if source.exists() {
        return Ok(());
    }
    if !make {
        return Err(Error::NoSource { path: source.to_owned() });
    }
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(source)
        .map_err(|error| Error::Source { path: source.to_owned(), source: error })
}

/// The propagation of a bind: one that is to pass mounts on needs a source that does. What is ours because the
/// source is within the daemon's directories is private where they pass nothing on.
fn propagation(source: &Path, shown: &str, asked: &str) -> Result<String> {
    let wanted = match shown {
        "shared" | "rshared" => "shared",
        "slave" | "rslave" => "shared or slave",
        _ => return Ok(shown.into()),
    };
    let (mountpoint, fields) = mount_of(source);
    let passes = fields.contains("shared:") || wanted == "shared or slave" && fields.contains("master:");
    match (passes, asked.is_empty()) {
        (true, _) => Ok(shown.into()),
        (false, true) => Ok(point::DEFAULT_PROPAGATION.into()),
        (false, false) => Err(Error::Propagation { path: source.to_owned(), mountpoint, wanted }),
    }
}

/// Where the file system of a path is mounted, and that mount's fields for propagation.
fn mount_of(path: &Path) -> (String, String) {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut best = (String::new(), String::new());
    for line in text.lines() {
        let Some((before, _)) = line.split_once(" - ") else { continue };
        let mut fields = before.split(' ').skip(4);
        let mountpoint = fields.next().unwrap_or_default().replace("\\040", " ");
        // Of several on one path the last one counts.
        if real.starts_with(&mountpoint) && mountpoint.len() >= best.0.len() {
            best = (mountpoint, fields.skip(1).collect::<Vec<_>>().join(" "));
        }
    }
    best
}
