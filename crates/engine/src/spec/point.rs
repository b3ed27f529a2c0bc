//! Mounts as they are asked for: `Binds` and `Mounts`, brought into one form.

use std::path::Path;

use longshore_types::container::{BindOptions, DriverConfig, Mount, MountType, TmpfsOptions, VolumeOptions};

/// Why a mount cannot be asked for so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    #[error("invalid volume specification: '{text}'")]
    Form { text: String },
    #[error("invalid mode: {mode}")]
    Mode { mode: String },
    #[error("invalid volume specification: '{text}': {source}")]
    Bind {
        text: String,
        #[source]
        source: Unexplained,
    },
    #[error("invalid mount config for type {:?}: {why}", name(kind))]
    Mount { kind: MountType, why: Why },
    #[error("Duplicate mount point: {destination}")]
    Duplicate { destination: String },
    #[error("volumes-from specification cannot be an empty string")]
    EmptyFrom,
}

/// An error that its message has named already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexplained(String);

impl std::fmt::Display for Unexplained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unexplained {}

/// What is wrong with a mount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("field {field} must not be specified")]
    Extra { field: &'static str },
    #[error("field {field} must not be empty")]
    Missing { field: &'static str },
    #[error("invalid specification: destination can't be '/'")]
    Root,
    #[error("invalid mount path: '{path}' mount path must be absolute")]
    Relative { path: String },
    #[error("invalid mount path: '{path}' must not have NUL bytes or line breaks")]
    Control { path: String },
    #[error("invalid propagation mode: {mode}")]
    Propagation { mode: String },
    #[error("bind source path does not exist: {path}")]
    NoSource { path: String },
    #[error("must not set Subpath when using anonymous volumes")]
    AnonymousSubpath,
    #[error("subpath must be a relative path within the volume")]
    Subpath,
    #[error("invalid option array length")]
    OptionLength,
    #[error("invalid option: {option}")]
    Option { option: String },
    #[error("mount options conflict: {what}")]
    Conflict { what: &'static str },
    #[error("mount type unknown")]
    Unknown,
}

/// As Docker writes it.
#[must_use]
pub fn name(kind: &MountType) -> &str {
    match kind {
        MountType::Unset => "",
        MountType::Bind => "bind",
        MountType::Volume => "volume",
        MountType::Tmpfs => "tmpfs",
        MountType::Image => "image",
        MountType::Npipe => "npipe",
        MountType::Cluster => "cluster",
        MountType::Other(name) => name,
    }
}

/// Propagation modes of a bind.
pub const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "rshared", "rslave", "shared", "slave"];
/// The one of binds that ask for none.
pub const DEFAULT_PROPAGATION: &str = "rprivate";

/// A mount that was asked for, and the words of its third part if it is one of `Binds`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    pub mount: Mount,
    pub mode: String,
    /// Whether it is one of `Binds`: what a bind shows is made there if it is absent.
    pub bind: bool,
}

/// Reads one of `Binds`: `[source:]target[:options]`.
pub fn parse(text: &str, volume_driver: &str) -> Result<Point, PointError> {
    let form = || PointError::Form { text: text.into() };
    let parts: Vec<&str> = text.split(':').collect();
    if parts[0].is_empty() {
        return Err(form());
    }
    let (source, target, mode) = match parts[..] {
        [target] => ("", target, ""),
        // A target with options and nothing in front would be no volume.
        [_, second] if is_mode(second) => return Err(form()),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(form()),
    };
    if !is_mode(mode) {
        return Err(PointError::Mode { mode: mode.into() });
    }
    let has = |word: &str| mode.split(',').any(|option| option == word);
    let mut mount = Mount {
        kind: if source.starts_with('/') { MountType::Bind } else { MountType::Volume },
        source: source.into(),
        target: target.into(),
        read_only: has("ro"),
        ..Mount::default()
    };
    if mount.kind == MountType::Volume && (!volume_driver.is_empty() || has("nocopy")) {
        let driver = DriverConfig { name: volume_driver.into(), options: None };
        mount.volume_options = Some(VolumeOptions {
            no_copy: has("nocopy"),
            driver_config: (!volume_driver.is_empty()).then_some(driver),
            ..VolumeOptions::default()
        });
    }
    if let Some(propagation) = mode.split(',').find(|word| PROPAGATIONS.contains(word)) {
        mount.bind_options = Some(BindOptions { propagation: propagation.into(), ..BindOptions::default() });
    } else if mount.kind == MountType::Bind && has("nocopy") {
        let why = Why::Extra { field: "VolumeOptions" };
        let source = Unexplained(PointError::Mount { kind: MountType::Bind, why }.to_string());
        return Err(PointError::Bind { text: text.into(), source });
    }
    check(&mount, false)
        .map_err(|error| PointError::Bind { text: text.into(), source: Unexplained(error.to_string()) })?;
    Ok(Point { mount, mode: mode.into(), bind: true })
}

/// Whether these words, separated by commas, may stand behind a target: one of each kind at most.
fn is_mode(mode: &str) -> bool {
    const KINDS: [&[&str]; 5] =
        [&["rw", "ro"], &["z", "Z"], &PROPAGATIONS, &["nocopy"], &["consistent", "cached", "delegated"]];
    let mut seen = [0; KINDS.len()];
    mode.is_empty()
        || mode.split(',').all(|word| {
            let kind = KINDS.iter().position(|words| words.contains(&word));
            kind.is_some_and(|kind| {
                seen[kind] += 1;
                seen[kind] == 1
            })
        })
}

/// Reads one of `VolumesFrom`: `container[:options]`. Says whether its volumes may be written to.
pub fn parse_from(text: &str) -> Result<(&str, bool), PointError> {
    if text.is_empty() {
        return Err(PointError::EmptyFrom);
    }
    let (container, mode) = text.split_once(':').unwrap_or((text, ""));
    let own = |word: &str| PROPAGATIONS.contains(&word) || word == "nocopy";
    if !is_mode(mode) || mode.split(',').any(own) {
        return Err(PointError::Mode { mode: mode.into() });
    }
    Ok((container, !mode.split(',').any(|word| word == "ro")))
}

/// Checks a mount; with `sources`, that what a bind shows is there.
pub fn check(mount: &Mount, sources: bool) -> Result<(), PointError> {
    why(mount, sources).map_err(|why| PointError::Mount { kind: mount.kind.clone(), why })
}

fn why(mount: &Mount, sources: bool) -> Result<(), Why> {
    let kind = &mount.kind;
    for (field, given, of) in [
        ("BindOptions", mount.bind_options.is_some(), MountType::Bind),
        ("VolumeOptions", mount.volume_options.is_some(), MountType::Volume),
        ("ImageOptions", mount.image_options.is_some(), MountType::Image),
        ("TmpfsOptions", mount.tmpfs_options.is_some(), MountType::Tmpfs),
    ] {
        if given && *kind != of {
            return Err(Why::Extra { field });
        }
    }
    if mount.target.is_empty() {
        return Err(Why::Missing { field: "Target" });
    }
    target(&mount.target)?;
    match kind {
        MountType::Bind => bind(mount, sources),
        MountType::Volume => {
            let subpath = mount.volume_options.as_ref().map_or("", |options| &options.subpath);
            if !subpath.is_empty() && mount.source.is_empty() {
                return Err(Why::AnonymousSubpath);
            }
            local(subpath)
        }
        MountType::Image if mount.source.is_empty() => Err(Why::Missing { field: "Source" }),
        MountType::Image => local(mount.image_options.as_ref().map_or("", |options| &options.subpath)),
        MountType::Tmpfs if !mount.source.is_empty() => Err(Why::Extra { field: "Source" }),
        MountType::Tmpfs => tmpfs_options(mount.tmpfs_options.as_ref(), mount.read_only).map(drop),
        MountType::Unset | MountType::Npipe | MountType::Cluster | MountType::Other(_) => Err(Why::Unknown),
    }
}

/// Checks where something is to be mounted.
pub fn target(path: &str) -> Result<(), Why> {
    if clean(path) == "/" {
        return Err(Why::Root);
    }
    absolute(path)
}

fn absolute(path: &str) -> Result<(), Why> {
    if path.contains(['\0', '\n', '\r']) {
        return Err(Why::Control { path: path.escape_default().to_string() });
    }
    if path.starts_with('/') { Ok(()) } else { Err(Why::Relative { path: path.into() }) }
}

fn bind(mount: &Mount, sources: bool) -> Result<(), Why> {
    if mount.source.is_empty() {
        return Err(Why::Missing { field: "Source" });
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    let propagation = options.propagation.as_str();
    if !propagation.is_empty() && !PROPAGATIONS.contains(&propagation) {
        return Err(Why::Propagation { mode: propagation.into() });
    }
    absolute(&mount.source)?;
    if sources && !options.create_mountpoint && !Path::new(&mount.source).exists() {
        return Err(Why::NoSource { path: mount.source.clone() });
    }
    let (plain, forced) = (options.read_only_non_recursive, options.read_only_force_recursive);
    let conflict = match mount.read_only {
        false if plain => "!ReadOnly && BindOptions.ReadOnlyNonRecursive",
        false if forced => "!ReadOnly && BindOptions.ReadOnlyForceRecursive",
        _ if plain && forced => "ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive",
        _ => return Ok(()),
    };
    Err(Why::Conflict { what: conflict })
}

/// Whether a path below something leaves it not, by its letters alone.
fn local(path: &str) -> Result<(), Why> {
    if path.is_empty() {
        return Ok(());
    }
    let leaves = path.starts_with('/') || clean(path).split('/').next() == Some("..");
    if leaves || path.contains('\0') { Err(Why::Subpath) } else { Ok(()) }
}

/// The options of a tmpfs that was asked for among `Mounts`.
pub fn tmpfs_options(options: Option<&TmpfsOptions>, read_only: bool) -> Result<Vec<String>, Why> {
    let mut words = Vec::new();
    if read_only {
        words.push("ro".into());
    }
    let Some(options) = options else { return Ok(words) };
    if options.mode != 0 {
        words.push(format!("mode={:o}", options.mode));
    }
    if options.size_bytes != 0 {
        let size = options.size_bytes;
        let units = [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];
        let unit = units.into_iter().find(|(_, unit)| size % unit == 0).unwrap_or(("", 1));
        words.push(format!("size={}{}", size / unit.1, unit.0));
    }
    for option in options.options.iter().flatten() {
        match &option[..] {
            [name] if is_exec(name) => words.push(name.clone()),
            [name, value] if is_exec(name) => words.push(format!("{name}={value}")),
            [name] | [name, _] => return Err(Why::Option { option: name.clone() }),
            _ => return Err(Why::OptionLength),
        }
    }
    Ok(words)
}

fn is_exec(name: &str) -> bool {
    matches!(name, "exec" | "noexec")
}

/// A path without `.`, `..` that can be taken back, and doubled slashes, as Go's `path.Clean`.
#[must_use]
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests;
