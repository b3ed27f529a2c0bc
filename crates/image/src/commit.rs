//! An image out of what a container, or a step of a build, wrote.
//!
//! A step's snapshot is over with: its directory becomes the layer, nothing is copied. A container goes on writing to
//! its own, so its layer is a copy, made in the one pass that hashes it. Nothing written is no layer at all.

use std::{
    io::{self, PipeWriter, Write},
    os::fd::{BorrowedFd, OwnedFd},
    thread,
};

use longshore_archive::{
    apply::{self, Options},
    diff,
};
use longshore_store::{Life, Prepared, Resource, Snapshot};
use longshore_types::{
    Algorithm, DiffId, Hasher, ImageId, Kind, Platform,
    oci::{ContainerConfig, ImageConfig, RootFs},
    time,
};
use serde_json::Value;
use std::os::fd::AsFd;

use crate::{
    Images, Result, changes,
    create::step,
    import::{Hash, facts},
    tag::new_tag,
};

/// Where the files of a new layer are.
#[derive(Debug)]
pub enum Changed {
    /// A snapshot that nobody needs any more.
    Snapshot(Snapshot),
    /// The upper directory of one that is still used: its content is copied.
    Upper(OwnedFd),
}

/// What the new image is to be.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// The image that the container was made from.
    pub parent: Option<ImageId>,
    /// The container's configuration.
    pub container_config: ContainerConfig,
    /// What the caller wants otherwise; what is absent is the container's.
    pub config: ContainerConfig,
    /// Lines of a Dockerfile; see [`changes::apply`].
    pub changes: Vec<String>,
    pub author: String,
    pub comment: String,
    /// The container's command.
    pub created_by: String,
    /// The container's id.
    pub container: String,
    /// The engine's version.
    pub engine: String,
    /// Repository and tag; without a repository it gets no name.
    pub repository: String,
    pub tag: String,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("read what changed")]
    Read(#[from] diff::Error),
    #[error("copy what changed")]
    Copy(#[from] apply::Error),
    #[error("start to copy what changed")]
    Start(#[source] io::Error),
}

impl CommitError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Read(error) => error.kind(),
            Self::Copy(error) => error.kind(),
            Self::Start(_) => Kind::Internal,
        }
    }
}

impl Images {
    /// Makes an image of what changed. Names and changes are checked before anything is done. Blocks.
    pub fn commit(&self, changed: Changed, options: &CommitOptions) -> Result<ImageId> {
        let tag = if options.repository.is_empty() {
            None
        } else {
            Some(new_tag(&options.repository, &options.tag)?)
        };
        let mut config = options.config.clone();
        changes::apply(&mut config, &options.changes, &options.container_config.env)?;
        merge(&mut config, &options.container_config);
        let parent = options.parent.as_ref().map(|parent| self.config(parent)).transpose()?;
        let lease = self.store().lease("commit", Life::Process)?;
        if let Some(parent) = &options.parent {
            lease.add(Resource::Image(parent.clone()))?;
        }
        let mut prepared = Vec::new();
        let layer = match changed {
            Changed::Snapshot(snapshot) => self.take(snapshot, &lease)?,
            Changed::Upper(upper) => self.copy(upper.as_fd(), &mut prepared)?,
        };
        let config = image_config(config, parent, options, layer);
        self.create(&config, options.parent.clone(), tag.as_ref(), prepared)
    }

    /// Makes a snapshot a layer; nothing if it is empty.
    fn take(&self, snapshot: Snapshot, lease: &longshore_store::Lease) -> Result<Option<DiffId>> {
        let mut hash = Hash(Hasher::new(Algorithm::Sha256));
        let upper = snapshot.upper()?;
        let written = diff::write_layer(upper.as_fd(), &mut hash).map_err(CommitError::from)?;
        drop(upper);
        if written.entries == 0 {
            snapshot.remove()?;
            return Ok(None);
        }
        let diff_id = DiffId(hash.0.finish());
        lease.add(Resource::Layer(diff_id.clone()))?;
        snapshot.commit(diff_id.clone(), facts(&written))?;
        Ok(Some(diff_id))
    }

    /// Copies an upper directory to a new layer; nothing if it is empty.
    fn copy(&self, upper: BorrowedFd<'_>, prepared: &mut Vec<Prepared>) -> Result<Option<DiffId>> {
        let layer = self.store().begin_layer()?;
        let (reader, pipe) = io::pipe().map_err(CommitError::Start)?;
        let mut tee = Tee { pipe, hasher: Hasher::new(Algorithm::Sha256) };
        // Our own archive of our own files: limits are for others'.
        let options = Options { limits: self.settings().limits, ..Options::default() };
        let (written, diff_id) = thread::scope(|scope| -> Result<_> {
            let writing = thread::Builder::new().name("commit".to_owned());
            let writing = writing.spawn_scoped(scope, move || {
                let written = diff::write_layer(upper, &mut tee);
                written.map(|written| (written, tee.hasher.finish()))
            });
            let writing = writing.map_err(CommitError::Start)?;
            let applied = apply::apply(reader, layer.dir(), &options);
            let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            applied.map_err(CommitError::from)?;
            let (written, digest) = written.map_err(CommitError::from)?;
            Ok((written, DiffId(digest)))
        })?;
        if written.entries == 0 {
            return Ok(None);
        }
        prepared.push(Prepared::Layer(layer.prepare(diff_id.clone(), facts(&written))?));
        Ok(Some(diff_id))
    }
}

/// The new image's configuration: the parent's platform, layers and history, and one step more.
fn image_config(
    config: ContainerConfig,
    parent: Option<ImageConfig>,
    options: &CommitOptions,
    layer: Option<DiffId>,
) -> ImageConfig {
    let created = time::rfc3339(time::now());
    let platform = parent.as_ref().map_or_else(Platform::host, ImageConfig::platform);
    let (mut diff_ids, mut history) =
        parent.map_or_else(Default::default, |parent| (parent.rootfs.diff_ids, parent.history));
    history.push(step(&created, &options.author, &options.created_by, &options.comment, layer.is_none()));
    diff_ids.extend(layer);
    let mut other = serde_json::Map::new();
    for (key, value) in [
        ("comment", &options.comment),
        ("container", &options.container),
        ("docker_version", &options.engine),
    ] {
        if !value.is_empty() {
            other.insert(key.to_owned(), Value::String(value.clone()));
        }
    }
    let container_config = serde_json::to_value(&options.container_config).unwrap_or_default();
    other.insert("container_config".to_owned(), container_config);
    ImageConfig {
        created: Some(created),
        author: options.author.clone(),
        architecture: platform.architecture,
        os: platform.os,
        os_version: platform.os_version,
        os_features: platform.os_features,
        variant: platform.variant,
        config,
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids },
        history,
        other,
    }
}

/// Fills in what `config` does not say from the container's, as Docker does.
fn merge(config: &mut ContainerConfig, container: &ContainerConfig) {
    let name = |one: &str| one.split_once('=').map_or_else(|| one.to_owned(), |(name, _)| name.to_owned());
    let known: Vec<_> = config.env.iter().map(|one| name(one)).collect();
    let more = container.env.iter().filter(|one| !known.contains(&name(one))).cloned();
    // The container's variables keep their places.
    config.env = more.chain(std::mem::take(&mut config.env)).collect();
    for (port, value) in &container.exposed_ports {
        config.exposed_ports.entry(port.clone()).or_insert_with(|| value.clone());
    }
    for (volume, value) in &container.volumes {
        config.volumes.entry(volume.clone()).or_insert_with(|| value.clone());
    }
    for (label, value) in &container.labels {
        config.labels.entry(label.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in &container.other {
        config.other.entry(key.clone()).or_insert_with(|| value.clone());
    }
    if config.user.is_empty() {
        config.user.clone_from(&container.user);
    }
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&container.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&container.entrypoint);
        }
    }
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&container.working_dir);
    }
    if config.stop_signal.is_empty() {
        config.stop_signal.clone_from(&container.stop_signal);
    }
    config.shell = config.shell.take().or_else(|| container.shell.clone());
    config.stop_timeout = config.stop_timeout.or(container.stop_timeout);
    config.healthcheck = config.healthcheck.take().or_else(|| container.healthcheck.clone());
    if config.on_build.is_empty() {
        config.on_build.clone_from(&container.on_build);
    }
}

/// Hashes what goes into a pipe.
struct Tee {
    pipe: PipeWriter,
    hasher: Hasher,
}

impl Write for Tee {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let length = self.pipe.write(piece)?;
        self.hasher.update(&piece[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}
