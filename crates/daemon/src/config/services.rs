//! Settings, as the services take them.

use std::path::PathBuf;

use longshore_engine::spec;
use longshore_types::container::LogConfig;
use serde_json::Value;

use super::{Config, ConfigError, Runtime};

impl Config {
    /// How registries are talked to.
    pub(crate) fn registry(&self) -> longshore_registry::Config {
        let mut config = longshore_registry::Config {
            mirrors: self.registry_mirrors.clone(),
            insecure_registries: self.insecure_registries.clone(),
            ..Default::default()
        };
        config.patience.attempts = u32::try_from(self.max_download_attempts).unwrap_or(1);
        let said = |flag: &str, file: &str| if flag.is_empty() { file.to_owned() } else { flag.to_owned() };
        let http = said(&self.http_proxy, &self.proxies.http_proxy);
        let https = said(&self.https_proxy, &self.proxies.https_proxy);
        if !http.is_empty() || !https.is_empty() {
            let except = said(&self.no_proxy, &self.proxies.no_proxy);
            let given = |proxy: String| Some(proxy).filter(|proxy| !proxy.is_empty());
            config.proxies = longshore_registry::Proxies::new(given(http), given(https), &except);
        }
        config
    }

    /// How images are pulled and pushed.
    pub(crate) fn images(&self) -> longshore_image::Settings {
        let at_once =
            |count: i64| usize::try_from(count).ok().filter(|count| *count > 0).unwrap_or(usize::MAX >> 8);
        longshore_image::Settings {
            max_concurrent_downloads: at_once(self.max_concurrent_downloads),
            max_concurrent_uploads: at_once(self.max_concurrent_uploads),
            ..Default::default()
        }
    }

    /// The level of the log.
    pub(crate) fn level(&self) -> &str {
        match self.log_level.as_str() {
            _ if self.debug => "debug",
            "warning" => "warn",
            "fatal" | "panic" => "error",
            level => level,
        }
    }

    /// How containers are made unless their creators say otherwise.
    pub(crate) fn containers(&self) -> Result<spec::Settings, ConfigError> {
        let defaults = spec::Settings::default();
        let runtime = |(name, runtime): (&String, &Runtime)| {
            let runtime = spec::Runtime { path: (&runtime.path).into(), args: runtime.args.clone() };
            (name.clone(), runtime)
        };
        let or = |said: &str, default: String| if said.is_empty() { default } else { said.to_owned() };
        let options = Some(self.log_opts.clone()).filter(|options| !options.is_empty());
        Ok(spec::Settings {
            data_root: self.data_root.clone(),
            cgroup_parent: self.cgroup_parent.clone(),
            ipc_mode: or(&self.default_ipc_mode, defaults.ipc_mode),
            cgroupns_mode: self.default_cgroupns_mode.clone(),
            shm_size: match &self.default_shm_size {
                Value::Null => defaults.shm_size,
                given => size(given).ok_or_else(|| ConfigError::Size(given.clone()))?,
            },
            ulimits: self.default_ulimits.clone(),
            no_new_privileges: self.no_new_privileges,
            cdi_directories: self.cdi_directories(),
            init: self.init,
            init_path: self.init_path.clone(),
            stop_timeout: self.default_stop_timeout,
            seccomp_profile: self.seccomp()?,
            default_runtime: or(&self.default_runtime, defaults.default_runtime),
            runtimes: self.runtimes.iter().map(runtime).collect(),
            log: LogConfig { kind: self.log_driver.clone(), config: options },
            ..defaults
        })
    }

    /// Where devices are described: nowhere where the feature is off.
    pub(crate) fn cdi_directories(&self) -> Vec<PathBuf> {
        if self.features.get("cdi") == Some(&false) {
            return Vec::new();
        }
        let said = self.cdi_spec_dirs.clone();
        let all = said.unwrap_or_else(|| spec::cdi::DIRECTORIES.map(Into::into).to_vec());
        all.into_iter().filter(|directory| !directory.as_os_str().is_empty()).collect()
    }

    /// The text of the seccomp profile, or the word for one.
    fn seccomp(&self) -> Result<String, ConfigError> {
        match self.seccomp_profile.as_str() {
            "" | "builtin" => Ok(String::new()),
            "unconfined" => Ok("unconfined".into()),
            path => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Seccomp { path: path.into(), source })?;
                spec::check_seccomp(&text)
                    .map_err(|source| ConfigError::Profile { path: path.into(), source })?;
                Ok(text)
            }
        }
    }
}

/// Bytes: a number, or one with a unit of 1024: `64M`, `64mb`.
fn size(value: &Value) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        value => return value.as_i64().filter(|bytes| *bytes > 0),
    };
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: i64 = match text[digits.len()..].trim_end_matches("ib").trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    digits.trim().parse::<i64>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let of = |text: &str| size(&Value::from(text));
        assert_eq!(size(&Value::from(5)), Some(5));
        assert_eq!(of("64M"), Some(64 << 20));
        assert_eq!(of("1gb"), Some(1 << 30));
        assert_eq!(of("2KiB"), Some(2048));
        for text in ["", "x", "-1", "0", "1x", "9999999999t"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
