//! The drivers, and what may be said to each.

use std::collections::BTreeMap;

use longshore_types::container::LogConfig;

use super::{Error, remote::Remote};

/// Who keeps a container's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    JsonFile,
    Local,
    None,
    Journald,
    Syslog,
    Fluentd,
    Gelf,
}

/// Options that every driver but `none` takes.
const COMMON: [&str; 2] = ["mode", "max-buffer-size"];
/// Of the local copy that the drivers which send away keep for reading.
const CACHE: [&str; 4] = ["cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];
/// What is added to a record.
const DETAILS: [&str; 5] = ["env", "env-regex", "labels", "labels-regex", "tag"];

impl Driver {
    const ALL: [Self; 7] =
        [Self::JsonFile, Self::Local, Self::None, Self::Journald, Self::Syslog, Self::Fluentd, Self::Gelf];

    /// The driver by name; empty is `json-file`.
    pub fn named(name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            return Ok(Self::JsonFile);
        }
        let found = Self::ALL.into_iter().find(|driver| driver.name() == name);
        found.ok_or_else(|| Error::UnknownDriver { driver: name.into() })
    }

    /// As it is written in a log configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file",
            Self::Local => "local",
            Self::None => "none",
            Self::Journald => "journald",
            Self::Syslog => "syslog",
            Self::Fluentd => "fluentd",
            Self::Gelf => "gelf",
        }
    }

    /// Whether output is sent away, and the file here is a copy of it.
    #[must_use]
    pub fn forwards(self) -> bool {
        matches!(self, Self::Journald | Self::Syslog | Self::Fluentd | Self::Gelf)
    }

    /// Those that it alone knows.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::JsonFile | Self::Local => &["compress", "max-file", "max-size"],
            Self::None | Self::Journald => &[],
            Self::Syslog => &[
                "syslog-address",
                "syslog-facility",
                "syslog-format",
                "syslog-tls-ca-cert",
                "syslog-tls-cert",
                "syslog-tls-key",
                "syslog-tls-skip-verify",
            ],
            Self::Fluentd => &[
                "fluentd-address",
                "fluentd-async",
                "fluentd-async-reconnect-interval",
                "fluentd-buffer-limit",
                "fluentd-max-retries",
                "fluentd-read-timeout",
                "fluentd-request-ack",
                "fluentd-retry-wait",
                "fluentd-sub-second-precision",
                "fluentd-write-timeout",
            ],
            Self::Gelf => &[
                "gelf-address",
                "gelf-compression-level",
                "gelf-compression-type",
                "gelf-tcp-max-reconnect",
                "gelf-tcp-reconnect-delay",
            ],
        }
    }

    fn knows(self, option: &str) -> bool {
        let own = self.options().contains(&option) || COMMON.contains(&option);
        own || DETAILS.contains(&option) || (self.forwards() && CACHE.contains(&option))
    }
}

/// Says whether a container may be made with this configuration.
///
/// # Errors
/// Docker's words for an unknown driver or option, and for values of the drivers that send away. Other values are
/// looked at when the container starts.
pub fn validate(config: &LogConfig) -> Result<(), Error> {
    let driver = Driver::named(&config.kind)?;
    let nothing = BTreeMap::new();
    let options = config.config.as_ref().unwrap_or(&nothing);
    if driver == Driver::None {
        return Ok(());
    }
    let mode = options.get("mode").map_or("", String::as_str);
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return Err(Error::Mode { mode: mode.into() });
    }
    if let Some(value) = options.get("max-buffer-size") {
        if mode != "non-blocking" {
            return Err(Error::BufferWithoutMode);
        }
        super::size::binary(value)
            .ok_or_else(|| Error::Buffer { option: "max-buffer-size", value: value.clone() })?;
    }
    match options.keys().find(|option| !driver.knows(option)) {
        Some(option) => Err(Error::UnknownOption { driver: driver.name(), option: option.clone() }),
        None => Remote::read(driver, options).map(drop),
    }
}

/// What a configuration asks for that is not done.
#[must_use]
pub fn warnings(config: &LogConfig) -> Vec<String> {
    let options = config.config.iter().flatten();
    let asks = |(key, value): (&String, &String)| {
        (matches!(key.as_str(), "compress" | "cache-compress") && super::open::go_bool(value) == Some(true))
            .then(|| {
                format!("log option {key} has no effect: files of logs that were rotated are not compressed")
            })
    };
    options.filter_map(asks).collect()
}

/// Fills in the daemon's default, as Docker does: its options hold for containers of the same driver.
pub fn merge(config: &mut LogConfig, default: &LogConfig) {
    if config.kind.is_empty() {
        config.kind.clone_from(&default.kind);
    }
    if config.kind.is_empty() {
        config.kind = Driver::JsonFile.name().into();
    }
    let options = config.config.get_or_insert_default();
    if config.kind == default.kind {
        for (key, value) in default.config.iter().flatten() {
            options.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_types::container::LogConfig;

    use super::{merge, validate, warnings};

    type Options = [(&'static str, &'static str)];

    fn config(kind: &str, options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        LogConfig { kind: kind.into(), config: Some(options) }
    }

    #[test]
    fn docker_s_words_for_what_is_wrong() {
        let table: [(&str, &Options, &str); 8] = [
            ("foo", &[], "logger: no log driver named 'foo' is registered"),
            ("json-file", &[("x", "")], "unknown log opt 'x' for json-file log driver"),
            ("", &[("syslog-format", "")], "unknown log opt 'syslog-format' for json-file log driver"),
            (
                "json-file",
                &[("cache-disabled", "")],
                "unknown log opt 'cache-disabled' for json-file log driver",
            ),
            ("syslog", &[("max-size", "1m")], "unknown log opt 'max-size' for syslog log driver"),
            ("local", &[("mode", "x")], "logger: logging mode not supported: x"),
            (
                "local",
                &[("max-buffer-size", "1m")],
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            (
                "local",
                &[("max-buffer-size", "lot"), ("mode", "non-blocking")],
                "error parsing option max-buffer-size: invalid size: 'lot'",
            ),
        ];
        for (kind, options, message) in table {
            assert_eq!(validate(&config(kind, options)).unwrap_err().to_string(), message);
        }
        validate(&config("none", &[("whatever", "")])).unwrap();
        validate(&config("json-file", &[("max-size", "10m"), ("tag", "x"), ("mode", "blocking")])).unwrap();
        validate(&config("gelf", &[("gelf-address", "udp://localhost:1"), ("cache-max-size", "1m")]))
            .unwrap();
        let message = validate(&config("gelf", &[])).unwrap_err().to_string();
        assert_eq!(message, "gelf-address is a required parameter");
        let asked = config("json-file", &[("compress", "true"), ("max-size", "1m")]);
        assert_eq!(warnings(&asked).len(), 1);
        assert!(warnings(&config("json-file", &[("compress", "false")])).is_empty());
    }

    #[test]
    fn defaults_hold_for_the_same_driver() {
        let default = config("json-file", &[("max-size", "1m"), ("max-file", "3")]);
        let mut own = config("json-file", &[("max-file", "2")]);
        merge(&mut own, &default);
        assert_eq!(own, config("json-file", &[("max-size", "1m"), ("max-file", "2")]));
        let mut none = LogConfig::default();
        merge(&mut none, &default);
        assert_eq!(none, default);
        let mut other = config("local", &[]);
        merge(&mut other, &default);
        assert_eq!(other, config("local", &[]));
        let mut plain = LogConfig::default();
        merge(&mut plain, &LogConfig::default());
        assert_eq!(plain, config("json-file", &[]));
    }
}
