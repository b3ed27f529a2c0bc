//! Settings: dockerd's flags and the keys of its `daemon.json`.
//!
//! A directive is said once, on the command line or in the file, and a key that nobody knows is refused, as with
//! dockerd. What is known and has no meaning here is taken and warned of.

mod flags;
mod services;
mod table;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use longshore_engine::spec;
use longshore_types::container::Ulimit;
use serde::Deserialize;
use serde_json::{Map, Value};

use table::Becomes;

/// Where settings are looked for unless `--config-file` says so.
const FILE: &str = "/etc/longshore/daemon.json";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(transparent)]
    Usage(#[from] clap::Error),
    #[error("invalid value {value:?} of --{flag}")]
    Flag { flag: &'static str, value: String },
    #[error("unable to configure the Docker daemon with file {}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("{0}")]
    Value(longshore_api::lenient::ReadError),
    #[error("log-level: {0:?} is none of debug, info, warn, error and fatal")]
    Level(String),
    #[error("log-format: {0:?} is neither text nor json")]
    Format(String),
    #[error("{key}: {value} is too small")]
    Small { key: &'static str, value: i64 },
    #[error("default-shm-size: {0} is no size: it is bytes, or a number with k, m or g")]
    Size(Value),
    #[error("seccomp-profile {}", path.display())]
    Seccomp { path: PathBuf, source: io::Error },
    #[error("{key} cannot be set: {why}")]
    Refused { key: String, why: &'static str },
    #[error("seccomp-profile {}", path.display())]
    Profile { path: PathBuf, source: spec::SeccompError },
    #[error("{key}: {value:?} is none of {allowed}")]
    Mode { key: &'static str, value: String, allowed: &'static str },
    #[error("specified default runtime {0:?} does not exist: add it to runtimes")]
    NoRuntime(String),
    #[error("runtime name {0:?} is reserved for the built-in one")]
    ReservedRuntime(String),
    #[error("runtime {name:?}: {what}")]
    BadRuntime { name: String, what: &'static str },
    #[error("failed to set log opts")]
    Log(#[source] longshore_engine::log::Error),
    #[error("init-path {}", path.display())]
    InitPath { path: PathBuf, source: io::Error },
    #[error("label {0:?} is not NAME=VALUE")]
    Label(String),
    #[error("conflict labels for {0}")]
    LabelTwice(String),
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot be read")]
    Read(#[source] io::Error),
    #[error("{0}")]
    Json(serde_json::Error),
    #[error("it holds no object")]
    NoObject,
    #[error("the following directives don't match any configuration option: {0}")]
    Unknown(String),
    #[error("the following directives are specified both as a flag and in the configuration file: {0}")]
    Twice(String),
}

/// An OCI runtime of another's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Runtime {
    pub(crate) path: String,
    #[serde(alias = "runtimeArgs")]
    pub(crate) args: Vec<String>,
    /// A shim of containerd's.
    pub(crate) runtime_type: String,
    pub(crate) options: Value,
}

/// Proxies for requests of the daemon's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Proxies {
    pub(crate) http_proxy: String,
    pub(crate) https_proxy: String,
    pub(crate) no_proxy: String,
}

/// What flags and file say, with defaults for the rest.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Config {
    pub(crate) config_file: PathBuf,
    pub(crate) validate: bool,
    pub(crate) data_root: PathBuf,
    pub(crate) exec_root: PathBuf,
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) hosts: Vec<String>,
    pub(crate) group: Option<String>,
    pub(crate) tls: Option<bool>,
    pub(crate) tlsverify: Option<bool>,
    pub(crate) tlscacert: Option<PathBuf>,
    pub(crate) tlscert: Option<PathBuf>,
    pub(crate) tlskey: Option<PathBuf>,
    pub(crate) debug: bool,
    pub(crate) log_level: String,
    pub(crate) log_format: String,
    pub(crate) raw_logs: bool,
    pub(crate) metrics_addr: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) live_restore: bool,
    pub(crate) shutdown_timeout: i64,
    pub(crate) default_stop_timeout: i64,
    pub(crate) max_concurrent_downloads: i64,
    pub(crate) max_concurrent_uploads: i64,
    pub(crate) max_download_attempts: i64,
    pub(crate) insecure_registries: Vec<String>,
    pub(crate) registry_mirrors: Vec<String>,
    pub(crate) proxies: Proxies,
    pub(crate) http_proxy: String,
    pub(crate) https_proxy: String,
    pub(crate) no_proxy: String,
    pub(crate) default_runtime: String,
    pub(crate) runtimes: BTreeMap<String, Runtime>,
    pub(crate) log_driver: String,
    pub(crate) log_opts: BTreeMap<String, String>,
    pub(crate) cgroup_parent: String,
    pub(crate) default_ulimits: BTreeMap<String, Ulimit>,
    /// Bytes, or with a unit: `64M`.
    pub(crate) default_shm_size: Value,
    pub(crate) default_ipc_mode: String,
    pub(crate) default_cgroupns_mode: String,
    pub(crate) init: bool,
    pub(crate) init_path: Option<PathBuf>,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp_profile: String,
    pub(crate) dns: Vec<String>,
    pub(crate) dns_opts: Vec<String>,
    pub(crate) dns_search: Vec<String>,
    pub(crate) features: BTreeMap<String, bool>,
    pub(crate) cdi_spec_dirs: Option<Vec<PathBuf>>,
    /// What is for networks, by key.
    #[serde(skip)]
    pub(crate) network: Map<String, Value>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            config_file: FILE.into(),
            validate: false,
            data_root: "/var/lib/longshore".into(),
            exec_root: "/run/longshore".into(),
            pidfile: None,
            hosts: Vec::new(),
            group: None,
            tls: None,
            tlsverify: None,
            tlscacert: None,
            tlscert: None,
            tlskey: None,
            debug: false,
            log_level: "info".into(),
            log_format: "text".into(),
            raw_logs: false,
            metrics_addr: None,
            labels: Vec::new(),
            live_restore: true,
            shutdown_timeout: 15,
            default_stop_timeout: 10,
            max_concurrent_downloads: 3,
            max_concurrent_uploads: 5,
            max_download_attempts: 5,
            insecure_registries: Vec::new(),
            registry_mirrors: Vec::new(),
            proxies: Proxies::default(),
            http_proxy: String::new(),
            https_proxy: String::new(),
            no_proxy: String::new(),
            default_runtime: String::new(),
            runtimes: BTreeMap::new(),
            log_driver: "json-file".into(),
            log_opts: BTreeMap::new(),
            cgroup_parent: String::new(),
            default_ulimits: BTreeMap::new(),
            default_shm_size: Value::Null,
            default_ipc_mode: "private".into(),
            default_cgroupns_mode: String::new(),
            init: false,
            init_path: None,
            no_new_privileges: false,
            seccomp_profile: String::new(),
            dns: Vec::new(),
            dns_opts: Vec::new(),
            dns_search: Vec::new(),
            features: BTreeMap::new(),
            cdi_spec_dirs: None,
            network: Map::new(),
        }
    }
}

/// Settings, what they were read from, and what there is to say of them.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<String>,
    /// Of the command line, for the next reading.
    given: Map<String, Value>,
}

impl Read {
    /// Reads the command line and the file.
    pub(crate) fn new(args: impl IntoIterator<Item = OsString>) -> Result<Self, ConfigError> {
        let given = flags::given(&flags::command().try_get_matches_from(args)?)?;
        Self::with(given)
    }

    /// Reads the file again.
    pub(crate) fn again(&self) -> Result<Self, ConfigError> {
        Self::with(self.given.clone())
    }

    fn with(given: Map<String, Value>) -> Result<Self, ConfigError> {
        let named = given.get("config-file").and_then(Value::as_str);
        let path = PathBuf::from(named.unwrap_or(FILE));
        let file = read_file(&path, named.is_some());
        let file = file.and_then(|file| check_file(&file, &given).map(|()| file));
        let file = file.map_err(|source| ConfigError::File { path, source })?;
        let mut merged = given.clone();
        merged.extend(file);
        let mut warnings = Vec::new();
        let mut network = Map::new();
        for (key, value) in &merged {
            match table::by_key(key).map(|directive| directive.becomes) {
                Some(Becomes::Ignored(_) | Becomes::Refused(_)) if table::asks_for_nothing(key, value) => {}
                Some(Becomes::Ignored(why)) => warnings.push(format!("{key} has no effect: {why}")),
                Some(Becomes::Refused(why)) => {
                    return Err(ConfigError::Refused { key: key.clone(), why });
                }
                Some(Becomes::Network) => drop(network.insert(key.clone(), value.clone())),
                _ => {}
            }
        }
        let mut config: Config =
            longshore_api::lenient::from_value(Value::Object(merged)).map_err(ConfigError::Value)?;
        config.network = network;
        if !config.live_restore {
            warnings.push("live-restore cannot be turned off: containers outlive the daemon always".into());
        }
        for (name, _) in config.features.iter().filter(|(name, is_on)| **is_on && *name != "cdi") {
            warnings.push(format!("feature {name} has no effect"));
        }
        check(&config)?;
        Ok(Self { config, warnings, given })
    }
}

fn read_file(path: &Path, must_exist: bool) -> Result<Map<String, Value>, FileError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return Ok(Map::new()),
        Err(error) => return Err(FileError::Read(error)),
    };
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text).map_err(FileError::Json)? {
        Value::Object(file) => Ok(file),
        _ => Err(FileError::NoObject),
    }
}

/// Refuses keys that nobody knows, and those that were given as flags too.
fn check_file(file: &Map<String, Value>, given: &Map<String, Value>) -> Result<(), FileError> {
    let unknown: Vec<&str> =
        file.keys().map(String::as_str).filter(|key| table::by_key(key).is_none()).collect();
    if !unknown.is_empty() {
        return Err(FileError::Unknown(unknown.join(", ")));
    }
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let words = items.iter().map(|item| item.as_str().map_or(item.to_string(), Into::into));
            format!("[{}]", words.collect::<Vec<String>>().join(" "))
        }
        other => other.to_string(),
    };
    let twice = file.iter().filter_map(|(key, value)| {
        let flag = given.get(key)?;
        Some(format!("{key}: (from flag: {}, from file: {})", shown(flag), shown(value)))
    });
    let twice: Vec<String> = twice.collect();
    if twice.is_empty() { Ok(()) } else { Err(FileError::Twice(twice.join(", "))) }
}

/// What types do not say.
fn check(config: &Config) -> Result<(), ConfigError> {
    if !["debug", "info", "warn", "warning", "error", "fatal", "panic", "trace"]
        .contains(&config.log_level.as_str())
    {
        return Err(ConfigError::Level(config.log_level.clone()));
    }
    if !["text", "json"].contains(&config.log_format.as_str()) {
        return Err(ConfigError::Format(config.log_format.clone()));
    }
    let least = [
        ("max-concurrent-downloads", config.max_concurrent_downloads, 0),
        ("max-concurrent-uploads", config.max_concurrent_uploads, 0),
        ("max-download-attempts", config.max_download_attempts, 1),
        ("shutdown-timeout", config.shutdown_timeout, -1),
        ("default-stop-timeout", config.default_stop_timeout, -1),
    ];
    if let Some((key, value, _)) = least.into_iter().find(|(_, value, least)| value < least) {
        return Err(ConfigError::Small { key, value });
    }
    runtimes(config)?;
    modes(config)?;
    // Whatever the services refuse is refused here, before anything is touched.
    let containers = config.containers()?;
    longshore_engine::log::validate(&containers.log).map_err(ConfigError::Log)?;
    let mut labels = BTreeMap::new();
    for label in &config.labels {
        let (name, value) = label.split_once('=').ok_or_else(|| ConfigError::Label(label.clone()))?;
        if labels.insert(name, value).is_some_and(|before| before != value) {
            return Err(ConfigError::LabelTwice(name.into()));
        }
    }
    Ok(())
}

/// Runtimes are programs, none is named like the built-in one, and the default is one of them.
fn runtimes(config: &Config) -> Result<(), ConfigError> {
    for (name, runtime) in &config.runtimes {
        let bad = |what| Err(ConfigError::BadRuntime { name: name.clone(), what });
        if spec::BUILT_IN.contains(&name.as_str()) {
            return Err(ConfigError::ReservedRuntime(name.clone()));
        }
        if !runtime.runtime_type.is_empty() || !runtime.options.is_null() {
            return bad("there are no shims of containerd's here: name the program's path");
        }
        if runtime.path.is_empty() {
            return bad("it has no path");
        }
    }
    let default = &config.default_runtime;
    let is_known = default.is_empty()
        || spec::BUILT_IN.contains(&default.as_str())
        || config.runtimes.contains_key(default);
    if is_known { Ok(()) } else { Err(ConfigError::NoRuntime(default.clone())) }
}

/// Words of which there are few.
fn modes(config: &Config) -> Result<(), ConfigError> {
    let modes: [(&'static str, &String, &'static str); 2] = [
        ("default-ipc-mode", &config.default_ipc_mode, "private and shareable"),
        ("default-cgroupns-mode", &config.default_cgroupns_mode, "private and host"),
    ];
    for (key, value, allowed) in modes {
        if !value.is_empty() && !allowed.split(" and ").any(|word| word == value) {
            return Err(ConfigError::Mode { key, value: value.clone(), allowed });
        }
    }
    match &config.init_path {
        Some(path) => {
            let found = fs::metadata(path);
            found.map(drop).map_err(|source| ConfigError::InitPath { path: path.clone(), source })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
