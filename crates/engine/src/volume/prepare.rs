//! What a container is to mount, found when it is made: its volumes are there from then on.

use std::{
    collections::BTreeMap,
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use longshore_types::{
    ContainerId,
    container::{Config, HostConfig, Mount, MountPoint, MountType},
};
use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{Create, Error, LOCAL, Result, Volume, Volumes, copy};
use crate::spec::point::{self, Point};

/// Another container, whose mounts are taken over.
#[derive(Clone, Debug, Default)]
pub struct Other {
    pub mounts: Vec<MountPoint>,
    pub asked: BTreeMap<String, Mount>,
}

/// The mounts of a container.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// In the order of their destinations: what `inspect` shows, and the record keeps.
    pub points: Vec<MountPoint>,
    /// How each was asked for, by destination: the record keeps it too.
    pub asked: BTreeMap<String, Mount>,
    /// Volumes that were made for it.
    pub made: Vec<String>,
}

impl Prepared {
    /// Has read-only binds leave what is mounted below them as it is, unless they ask for all of it.
    pub fn make_shallow(&mut self) {
        for point in self.points.iter().filter(|point| point.kind == MountType::Bind && !point.rw) {
            if let Some(asked) = self.asked.get_mut(&point.destination) {
                let options = asked.bind_options.get_or_insert_default();
                options.read_only_non_recursive |= !options.read_only_force_recursive;
            }
        }
    }
}

/// Mounts while they are collected, by destination.
#[derive(Debug, Default)]
struct Points {
    all: BTreeMap<String, (MountPoint, Mount)>,
    made: Vec<String>,
}

impl Volumes {
    /// Makes the volumes of a container that is being made and has it use them. `find` gives the containers that
    /// `VolumesFrom` names. Blocks.
    ///
    /// # Errors
    /// Nothing has been made then.
    pub fn prepare(
        &self,
        id: &ContainerId,
        config: &Config,
        host: &HostConfig,
        find: impl Fn(&str) -> Option<Other>,
    ) -> Result<Prepared> {
        let mut points = Points::default();
        match self.collect(id.as_str(), config, host, find, &mut points) {
            Ok(()) => {
                let asked =
                    points.all.iter().map(|(path, (_, asked))| (path.clone(), asked.clone())).collect();
                let made = points.made;
                Ok(Prepared {
                    points: points.all.into_values().map(|(point, _)| point).collect(),
                    asked,
                    made,
                })
            }
            Err(error) => {
                self.forget(id.as_str(), &points.made);
                Err(error)
            }
        }
    }

    /// Undoes [`Self::prepare`] for a container that was not made after all. Blocks.
    pub fn undo(&self, id: &ContainerId, prepared: &Prepared) {
        self.forget(id.as_str(), &prepared.made);
    }

    fn collect(
        &self,
        id: &str,
        config: &Config,
        host: &HostConfig,
        find: impl Fn(&str) -> Option<Other>,
        points: &mut Points,
    ) -> Result<()> {
        for text in host.volumes_from.iter().flatten() {
            let (container, writable) = point::parse_from(text)?;
            let other = find(container).ok_or_else(|| Error::NoContainer { container: container.into() })?;
            self.take_over(id, other, writable, points);
        }
        let binds = host.binds.iter().flatten().map(|text| point::parse(text, &host.volume_driver));
        let mounts = host.mounts.iter().flatten().map(|mount| {
            point::check(mount, true)?;
            Ok(Point { mount: mount.clone(), mode: String::new(), bind: false })
        });
        let mut own: Vec<String> = Vec::new();
        for point in binds.chain(mounts) {
            let point = point?;
            let destination = point::clean(&point.mount.target);
            if own.contains(&destination) {
                return Err(point::PointError::Duplicate { destination }.into());
            }
            own.push(destination.clone());
            let (shown, asked) = self.point(id, point, &destination, points)?;
            points.all.insert(destination, (shown, asked));
        }
        for path in config.volumes.iter().flatten().map(|(path, _)| point::clean(path)) {
            let tmpfs = host.tmpfs.iter().flatten().any(|(tmpfs, _)| point::clean(tmpfs) == path);
            if points.all.contains_key(&path) || tmpfs {
                continue;
            }
            let create = Create { driver: host.volume_driver.clone(), ..Create::default() };
            let volume = self.used(id, create, points)?;
            let asked = Mount { kind: MountType::Volume, target: path.clone(), ..Mount::default() };
            let shown = MountPoint { mode: String::new(), ..self.shown(&volume, &path, true) };
            points.all.insert(path, (shown, asked));
        }
        Ok(())
    }

    /// What is mounted for one of `Binds` or `Mounts`.
    fn point(
        &self,
        id: &str,
        Point { mut mount, mode, bind }: Point,
        destination: &str,
        points: &mut Points,
    ) -> Result<(MountPoint, Mount)> {
        let shown = match mount.kind {
            MountType::Volume => {
                let options = mount.volume_options.clone().unwrap_or_default();
                let driver = options.driver_config.unwrap_or_default();
                let create = Create {
                    name: mount.source.clone(),
                    driver: driver.name,
                    labels: options.labels.unwrap_or_default(),
                    options: driver.options.unwrap_or_default(),
                };
                let volume = self.used(id, create, points)?;
                let mode = if mode.is_empty() { "z".into() } else { mode };
                MountPoint { mode, ..self.shown(&volume, destination, !mount.read_only) }
            }
            MountType::Image => {
                let asked = mount.source.clone();
                // Its name may be another image's by the time of the start.
                mount.source = self.0.images.find(&asked)?;
                MountPoint {
                    kind: MountType::Image,
                    name: asked,
                    destination: destination.into(),
                    propagation: point::DEFAULT_PROPAGATION.into(),
                    ..MountPoint::default()
                }
            }
            MountType::Tmpfs => MountPoint {
                kind: MountType::Tmpfs,
                destination: destination.into(),
                rw: !mount.read_only,
                ..MountPoint::default()
            },
            _ => {
                let options = mount.bind_options.get_or_insert_default();
                options.create_mountpoint |= bind;
                let source = point::clean(&mount.source);
                let propagation = self.propagation(&source, &options.propagation);
                MountPoint {
                    kind: MountType::Bind,
                    source,
                    destination: destination.into(),
                    mode,
                    rw: !mount.read_only,
                    propagation,
                    ..MountPoint::default()
                }
            }
        };
        Ok((shown, mount))
    }

    /// What is mounted within the daemon's directories comes and goes in the container too.
    fn propagation(&self, source: &str, asked: &str) -> String {
        let within = self.0.data_root.to_str().is_some_and(|root| {
            let (source, root) = (Path::new(source), Path::new(root));
            source.starts_with(root) || root.starts_with(source)
        });
        match asked {
            "" if within => "rslave".into(),
            "" => point::DEFAULT_PROPAGATION.into(),
            asked => asked.into(),
        }
    }

    fn shown(&self, volume: &Volume, destination: &str, rw: bool) -> MountPoint {
        MountPoint {
            kind: MountType::Volume,
            name: volume.name.clone(),
            source: self.path(&volume.name).display().to_string(),
            destination: destination.into(),
            driver: LOCAL.into(),
            rw,
            ..MountPoint::default()
        }
    }

    /// Makes a volume for a container, and notes whether it is new.
    fn used(&self, id: &str, create: Create, points: &mut Points) -> Result<Volume> {
        let was_there = !create.name.is_empty() && self.inspect(&create.name).is_ok();
        let volume = self.create_for(create, Some(id))?;
        if !was_there {
            points.made.push(volume.name.clone());
        }
        Ok(volume)
    }

    fn take_over(&self, id: &str, other: Other, writable: bool, points: &mut Points) {
        let mut table = self.table();
        for point in other.mounts.into_iter().filter(|point| point.kind != MountType::Tmpfs) {
            if let Some(entry) = table.iter_mut().find(|entry| entry.volume.name == point.name) {
                entry.users.insert(id.to_owned());
            }
            let mut asked = other.asked.get(&point.destination).cloned().unwrap_or_default();
            // What is in it is what the other container left.
            if point.kind == MountType::Volume {
                asked.volume_options.get_or_insert_default().no_copy = true;
            }
            let rw = point.rw && writable;
            let shown = MountPoint { rw, mode: String::new(), ..point };
            points.all.insert(shown.destination.clone(), (shown, asked));
        }
    }

    /// Fills empty volumes with what the image has at their places; `root` is the container's, without mounts.
    /// Blocks.
    pub fn populate(
        &self,
        points: &[MountPoint],
        asked: &BTreeMap<String, Mount>,
        root: BorrowedFd<'_>,
    ) -> Result<()> {
        for point in points.iter().filter(|point| point.kind == MountType::Volume) {
            let options = asked.get(&point.destination).and_then(|asked| asked.volume_options.clone());
            let options = options.unwrap_or_default();
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let relative = point.destination.trim_start_matches('/');
            let from = match rustix::fs::openat2(root, relative, flags, Mode::empty(), inside) {
                Ok(from) => from,
                Err(Errno::NOTDIR) if asked_by_image(asked.get(&point.destination)) => {
                    return Err(Error::OverFile { path: point.destination.clone() });
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(errno) => {
                    return Err(super::io("open", &PathBuf::from(&point.destination))(errno));
                }
            };
            if options.no_copy {
                continue;
            }
            let volume = self.inspect(&point.name)?;
            let path = self.path(&volume.name);
            if volume.needs_mount() {
                super::driver::mount(&volume.options, &path)?;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let to = rustix::fs::open(&path, flags, Mode::empty()).map_err(super::io("open", &path))?;
            let copied = match part(to, &options.subpath) {
                Some(to) => copy::into_empty(&from, &to).map_err(super::io("copy into", &path)),
                None => Ok(()),
            };
            if volume.needs_mount()
                && self
                    .table()
                    .iter()
                    .all(|entry| entry.volume.name != volume.name || entry.running.is_empty())
            {
                super::driver::unmount(&path)?;
            }
            copied?;
        }
        Ok(())
    }
}

/// The directory of a volume that is to be filled; none where its start will say why it cannot be.
fn part(top: OwnedFd, subpath: &str) -> Option<OwnedFd> {
    if subpath.is_empty() {
        return Some(top);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(top, subpath, flags, Mode::empty(), inside).ok()
}

/// Whether a volume is one of the image, or was asked for without a source.
fn asked_by_image(asked: Option<&Mount>) -> bool {
    asked.is_some_and(|asked| asked.source.is_empty())
}
