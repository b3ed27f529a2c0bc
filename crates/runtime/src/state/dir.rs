use std::{
    cell::OnceCell,
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::DirBuilderExt,
    },
    path::{Path, PathBuf},
};

use longshore_types::{ContainerId, Kind};
use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags},
    io::Errno,
    process::{Flock, FlockType},
};
use serde::Serialize;

use super::{Record, record::FORMAT};
use crate::{
    failpoint,
    spec::{LoadError, Spec, parse},
};

/// The name of the FIFO on which init waits for `start`.
pub const EXEC_FIFO: &str = "exec.fifo";
const LOCK: &str = "lock";
const RECORD: &str = "state.json";
const SPEC: &str = "spec.json";
/// More bytes than most of these files have: they are read at once.
const TYPICAL: usize = 8192;

/// Why the state of a container could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("container with given ID already exists")]
    Exists { id: ContainerId },
    #[error("container does not exist")]
    NotFound { id: ContainerId },
    #[error("container {id} is half made or half deleted: delete it")]
    Broken { id: ContainerId },
    #[error("container {id} has a state of format {format}, not {FORMAT}")]
    Format { id: ContainerId, format: u32 },
    #[error("cannot {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("state of container {id}")]
    Load { id: ContainerId, source: LoadError },
}

impl StateError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Exists { .. } | Self::Broken { .. } => Kind::Conflict,
            Self::NotFound { .. } => Kind::NotFound,
            Self::Format { .. } => Kind::Unsupported,
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Kind::PermissionDenied
            }
            Self::File { .. } | Self::Load { .. } => Kind::Internal,
        }
    }
}

/// The directory of all containers of one `--root`.
#[derive(Clone, Debug)]
pub struct Root {
    path: PathBuf,
}

impl Root {
    /// The root at `path`, which is made when the first container is.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the directory of the container `id` is or would be.
    #[must_use]
    pub fn path_of(&self, id: &ContainerId) -> PathBuf {
        self.path.join(id.as_str())
    }

    /// Makes the directory of a new container and locks it. Exactly one caller wins an ID.
    ///
    /// # Errors
    /// `Exists` when the ID is taken, even by the remains of a killed `create`.
    pub fn create(&self, id: &ContainerId) -> Result<Dir, StateError> {
        let path = self.path_of(id);
        let mut made = make_dir(&path, 0o711);
        if matches!(&made, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            self.make()?;
            made = make_dir(&path, 0o711);
        }
        match made {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(StateError::Exists { id: id.clone() });
            }
            Err(source) => return Err(StateError::File { action: "create", path, source }),
        }
        let dir = self.open(id)?;
        match dir.step("state.made").and_then(|()| dir.lock()).and_then(|()| dir.step("state.locked")) {
            Ok(()) => Ok(dir),
            Err(error) => {
                // Nobody else may have it and nothing is in it.
                dir.remove().ok();
                Err(error)
            }
        }
    }

    /// Opens the directory of a container, whole or broken.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn open(&self, id: &ContainerId) -> Result<Dir, StateError> {
        let path = self.path_of(id);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(fd) => Ok(Dir { id: id.clone(), path, fd, lock: OnceCell::new() }),
            Err(Errno::NOENT) => Err(StateError::NotFound { id: id.clone() }),
            Err(error) => Err(StateError::File { action: "open", path, source: error.into() }),
        }
    }

    /// The IDs of all containers, whole or broken, sorted.
    pub fn list(&self) -> Result<Vec<ContainerId>, StateError> {
        let error = |source| StateError::File { action: "list", path: self.path.clone(), source };
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(error(source)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let entry = entry.map_err(error)?;
            let is_dir = entry.file_type().map_err(error)?.is_dir();
            // What is no ID was not put there by this program.
            let id = entry.file_name().into_string().ok().and_then(|name| ContainerId::new(name).ok());
            ids.extend(id.filter(|_| is_dir));
        }
        ids.sort();
        Ok(ids)
    }

    fn make(&self) -> Result<(), StateError> {
        let error = |source| StateError::File { action: "create", path: self.path.clone(), source };
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent).map_err(error)?;
        }
        match make_dir(&self.path, 0o700) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.map_err(error),
        }
    }
}

fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().mode(mode).create(path)
}

/// Whether a container's directory holds a container.
#[derive(Debug)]
pub enum Presence {
    Whole(Box<Record>),
    /// Its `create` or `delete` is at work.
    Busy,
    /// What a killed `create` or `delete` left. Nothing outside the directory belongs to it.
    Broken,
}

/// The directory of one container. Holds the lock, once taken, until dropped or [`Dir::unlock`].
#[derive(Debug)]
pub struct Dir {
    id: ContainerId,
    path: PathBuf,
    fd: OwnedFd,
    /// The one open description of `lock`: closing any other one would drop the lock.
    lock: OnceCell<OwnedFd>,
}

impl Dir {
    /// The container's ID.
    #[must_use]
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The directory's path, for messages and for those that can pass no descriptor.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the container's lock, waiting for whoever has it.
    ///
    /// # Errors
    /// `NotFound` when the container was deleted meanwhile.
    pub fn lock(&self) -> Result<(), StateError> {
        let lock = self.lock_file()?;
        rustix::fs::fcntl_lock(lock, FlockOperation::LockExclusive).map_err(self.file("lock", LOCK))?;
        // Whoever had it may have deleted the container, file and all.
        let status = rustix::fs::fstat(lock).map_err(self.file("read", LOCK))?;
        if status.st_nlink == 0 { Err(StateError::NotFound { id: self.id.clone() }) } else { Ok(()) }
    }

    /// Gives the lock back.
    pub fn unlock(&self) -> Result<(), StateError> {
        let lock = self.lock_file()?;
        rustix::fs::fcntl_lock(lock, FlockOperation::Unlock).map_err(self.file("unlock", LOCK))
    }

    /// Whether another process changes the container just now.
    #[must_use]
    pub fn is_locked_by_another(&self) -> bool {
        let wanted = Flock::from(FlockType::WriteLock);
        self.lock_file().is_ok_and(|lock| matches!(rustix::process::fcntl_getlk(lock, &wanted), Ok(Some(_))))
    }

    /// Whether init still waits for `start`.
    #[must_use]
    pub fn awaits_start(&self) -> bool {
        rustix::fs::accessat(&self.fd, EXEC_FIFO, rustix::fs::Access::EXISTS, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok()
    }

    /// What there is: a container, or the remains of one.
    pub fn presence(&self) -> Result<Presence, StateError> {
        match self.record() {
            Ok(record) => Ok(Presence::Whole(Box::new(record))),
            Err(StateError::Broken { .. }) if self.is_locked_by_another() => Ok(Presence::Busy),
            Err(StateError::Broken { .. }) => Ok(Presence::Broken),
            Err(error) => Err(error),
        }
    }

    /// Reads the record.
    ///
    /// # Errors
    /// `Broken` when there is none.
    pub fn record(&self) -> Result<Record, StateError> {
        let text = self.read(RECORD)?;
        let load = |source| StateError::Load { id: self.id.clone(), source };
        let record: Record = parse(&self.path.join(RECORD), &text).map_err(load)?;
        if record.format != FORMAT {
            return Err(StateError::Format { id: self.id.clone(), format: record.format });
        }
        Ok(record)
    }

    /// Reads the spec that the container was made from.
    pub fn spec(&self) -> Result<Spec, StateError> {
        let text = self.read(SPEC)?;
        parse(&self.path.join(SPEC), &text).map_err(|source| StateError::Load { id: self.id.clone(), source })
    }

    /// Replaces the record. The caller holds the lock.
    pub fn save_record(&self, record: &Record) -> Result<(), StateError> {
        self.save(RECORD, "state.json.new", record)
    }

    /// Writes the spec of a new container. In place: nobody asks for it before its init is on record.
    pub fn create_spec(&self, spec: &Spec) -> Result<(), StateError> {
        self.step("state.save")?;
        let path = || self.path.join(SPEC);
        let text = serde_json::to_vec(spec).map_err(|source| file_error("encode", &path(), source.into()))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, SPEC, flags, Mode::RUSR | Mode::WUSR)
            .map_err(self.file("create", SPEC))?;
        File::from(file).write_all(&text).map_err(|source| file_error("write", &path(), source))
    }

    /// Replaces the spec. The caller holds the lock.
    pub fn save_spec(&self, spec: &Spec) -> Result<(), StateError> {
        self.save(SPEC, "spec.json.new", spec)
    }

    /// Removes the directory. The caller holds the lock, and has removed what the record names.
    ///
    /// The record goes first and the lock last: a crash between leaves [`Presence::Broken`].
    pub fn remove(self) -> Result<(), StateError> {
        // Here, as in all cleaning up, a failpoint can only kill: what fails once must not fail twice.
        failpoint::step("state.remove.record").ok();
        self.unlink(RECORD)?;
        failpoint::step("state.remove.rest").ok();
        let entries = fs::read_dir(&self.path).map_err(|source| file_error("list", &self.path, source))?;
        for entry in entries {
            let name = entry.map_err(|source| file_error("list", &self.path, source))?.file_name();
            if name == LOCK {
                continue;
            }
            match rustix::fs::unlinkat(&self.fd, &name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => {
                    let path = self.path.join(&name);
                    fs::remove_dir_all(&path).map_err(|source| file_error("remove", &path, source))?;
                }
                Err(error) => return Err(file_error("remove", &self.path.join(&name), error.into())),
            }
        }
        failpoint::step("state.remove.lock").ok();
        self.unlink(LOCK)?;
        failpoint::step("state.remove.directory").ok();
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(file_error("remove", &self.path, error))
            }
            _ => Ok(()),
        }
    }

    fn lock_file(&self) -> Result<&OwnedFd, StateError> {
        if let Some(fd) = self.lock.get() {
            return Ok(fd);
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, LOCK, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(self.lock.get_or_init(|| fd)),
            // The directory itself is gone: nothing can be made in it.
            Err(Errno::NOENT) => Err(StateError::NotFound { id: self.id.clone() }),
            Err(error) => Err(file_error("open", &self.path.join(LOCK), error.into())),
        }
    }

    fn read(&self, name: &'static str) -> Result<Vec<u8>, StateError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) if self.is_linked() => return Err(StateError::Broken { id: self.id.clone() }),
            Err(Errno::NOENT) => return Err(StateError::NotFound { id: self.id.clone() }),
            Err(error) => return Err(file_error("open", &self.path.join(name), error.into())),
        };
        let mut text = Vec::with_capacity(TYPICAL);
        File::from(fd)
            .read_to_end(&mut text)
            .map_err(|source| file_error("read", &self.path.join(name), source))?;
        Ok(text)
    }

    /// Whether the directory is still in its place, and not merely open here.
    fn is_linked(&self) -> bool {
        rustix::fs::fstat(&self.fd).is_ok_and(|status| status.st_nlink > 0)
    }

    fn save(&self, name: &'static str, new: &'static str, value: &impl Serialize) -> Result<(), StateError> {
        self.step("state.save")?;
        let text = serde_json::to_vec(value)
            .map_err(|source| file_error("encode", &self.path.join(name), source.into()))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, new, flags, Mode::RUSR | Mode::WUSR)
            .map_err(self.file("create", new))?;
        File::from(fd)
            .write_all(&text)
            .map_err(|source| file_error("write", &self.path.join(new), source))?;
        self.step("state.rename")?;
        rustix::fs::renameat(&self.fd, new, &self.fd, name).map_err(self.file("rename", new))
    }

    fn step(&self, name: &'static str) -> Result<(), StateError> {
        failpoint::step(name).map_err(|source| file_error("change", &self.path, source))
    }

    fn unlink(&self, name: impl AsRef<Path>) -> Result<(), StateError> {
        let name = name.as_ref();
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(file_error("remove", &self.path.join(name), error.into())),
        }
    }

    fn file(&self, action: &'static str, name: &'static str) -> impl FnOnce(Errno) -> StateError + '_ {
        move |errno| file_error(action, &self.path.join(name), errno.into())
    }
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::File { action, path: path.into(), source }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
