//! What requests of older versions mean in the newest one, but for their networks.

use longshore_types::container::{Config, Mount, MountType};

use super::CreateRequest;
use crate::Version;

/// What an older version could not be asked for. Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OlderError {
    #[error("config cannot be empty in order to create a container")]
    NoConfig,
    #[error("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")]
    ForceRecursive,
    #[error("VolumeOptions.Subpath needs API v1.45 or newer")]
    Subpath,
    #[error("Mount type \"Image\" needs API v1.48 or newer")]
    Image,
}

impl CreateRequest {
    /// Up to 1.43, what is mounted below a read-only bind stays writable.
    pub const RECURSIVE: Version = Version(44);

    /// What a request of `version` means in the newest one. `unified`: whether cgroups are of version 2 alone.
    pub fn newest(mut self, version: Version, unified: bool) -> Result<Self, OlderError> {
        if self.config == Config::default() {
            return Err(OlderError::NoConfig);
        }
        let host = self.host_config.get_or_insert_default();
        let set = |word: &mut String, default: &str| {
            if word.is_empty() {
                default.clone_into(word);
            }
        };
        if version < Version(40) {
            set(&mut host.ipc_mode, "shareable");
        }
        if version < Version(41) && !unified {
            set(&mut host.cgroupns_mode, "host");
        }
        if version < Version(42) {
            host.console_size = [0, 0];
        }
        if version < Version(43) {
            host.annotations = None;
        }
        if version < Self::RECURSIVE
            && let Some(health) = &mut self.config.healthcheck
        {
            health.start_interval = 0;
        }
        // All of these are "no limit", which is said by saying nothing.
        host.resources.pids_limit = host.resources.pids_limit.filter(|limit| *limit > 0);
        for mount in host.mounts.iter_mut().flatten() {
            self::mount(mount, version)?;
        }
        if version < Version(48) {
            let networking = self.networking_config.iter_mut();
            let endpoints =
                networking.filter_map(|networking| networking.endpoints_config.as_mut()).flatten();
            endpoints
                .filter_map(|(_, endpoint)| endpoint.as_mut())
                .for_each(|endpoint| endpoint.gw_priority = 0);
        }
        Ok(self)
    }
}

fn mount(mount: &mut Mount, version: Version) -> Result<(), OlderError> {
    if let Some(options) = &mut mount.bind_options {
        options.non_recursive &= version >= Version(40);
        options.create_mountpoint &= version >= Version(42);
        if options.read_only_force_recursive && version < CreateRequest::RECURSIVE {
            return Err(OlderError::ForceRecursive);
        }
    }
    if version < Version(42) {
        // Not looked at in those days.
        mount.volume_options = mount.volume_options.take().filter(|_| mount.kind == MountType::Volume);
        mount.tmpfs_options = mount.tmpfs_options.take().filter(|_| mount.kind == MountType::Tmpfs);
    }
    let has_subpath = mount.volume_options.as_ref().is_some_and(|options| !options.subpath.is_empty());
    if version < Version(45) && has_subpath {
        return Err(OlderError::Subpath);
    }
    if version < Version(48) && mount.kind == MountType::Image {
        return Err(OlderError::Image);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{CreateRequest, OlderError};
    use crate::Version;

    fn newest(minor: u16, document: Value) -> Result<CreateRequest, OlderError> {
        let request: CreateRequest = serde_json::from_value(document).unwrap();
        request.newest(Version(minor), false)
    }

    fn words(minor: u16, document: Value) -> String {
        newest(minor, document).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_those_of_the_version() {
        let modes = |minor| {
            let host = newest(minor, json!({"Image": "a"})).unwrap().host_config.unwrap();
            (host.ipc_mode, host.cgroupns_mode)
        };
        assert_eq!(modes(39), ("shareable".into(), "host".into()));
        assert_eq!(modes(40), (String::new(), "host".into()));
        assert_eq!(modes(41), (String::new(), String::new()));
        let health = |minor| {
            let document = json!({"Image": "a", "Healthcheck": {"StartInterval": 5, "Interval": 7}});
            newest(minor, document).unwrap().config.healthcheck.unwrap().start_interval
        };
        assert_eq!((health(43), health(44)), (0, 5));
        for limit in [0, -1, -2] {
            let document = json!({"Image": "a", "HostConfig": {"PidsLimit": limit}});
            let host = newest(55, document).unwrap().host_config.unwrap();
            assert_eq!(host.resources.pids_limit, None, "{limit}");
        }
    }

    #[test]
    fn what_a_version_did_not_know_is_refused_in_dockers_words() {
        assert_eq!(words(55, json!({})), "config cannot be empty in order to create a container");
        let mount = |mount: Value| json!({"Image": "a", "HostConfig": {"Mounts": [mount]}});
        let subpath = mount(json!({"Type": "volume", "Target": "/v", "VolumeOptions": {"Subpath": "s"}}));
        assert!(newest(45, subpath.clone()).is_ok());
        assert_eq!(words(44, subpath), "VolumeOptions.Subpath needs API v1.45 or newer");
        let image = mount(json!({"Type": "image", "Source": "i", "Target": "/v"}));
        assert!(newest(48, image.clone()).is_ok());
        assert_eq!(words(47, image), "Mount type \"Image\" needs API v1.48 or newer");
        let forced =
            mount(json!({"Type": "bind", "Target": "/v", "BindOptions": {"ReadOnlyForceRecursive": true}}));
        assert!(newest(44, forced.clone()).is_ok());
        assert_eq!(words(43, forced), "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer");
    }
}
