use longshore_types::container::HostConfig;
use serde::{Deserialize, Serialize};

use crate::Version;

/// What a container was changed with, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateResponse {
    pub warnings: Vec<String>,
}

/// The containers that did not run and are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PruneResponse {
    pub containers_deleted: Option<Vec<String>>,
    /// Bytes.
    pub space_reclaimed: u64,
}

/// What an update of `version` means in the newest one.
#[must_use]
pub fn newest_update(mut changes: HostConfig, version: Version) -> HostConfig {
    let resources = &mut changes.resources;
    if version < Version(40) {
        resources.pids_limit = None;
    }
    if version < Version(55) {
        resources.blkio_weight_device = None;
        resources.blkio_device_read_bps = None;
        resources.blkio_device_write_bps = None;
        resources.blkio_device_read_iops = None;
        resources.blkio_device_write_iops = None;
    }
    // Every negative number has always meant no limit, and is kept as 0.
    resources.pids_limit = resources.pids_limit.map(|limit| limit.max(0));
    changes
}

#[cfg(test)]
mod tests {
    use longshore_types::container::{HostConfig, Resources};

    use super::newest_update;
    use crate::Version;

    #[test]
    fn versions_change_what_they_knew() {
        let changes = |pids_limit| {
            let blkio_device_read_bps = Some(Vec::new());
            let resources = Resources { pids_limit, blkio_device_read_bps, ..Resources::default() };
            HostConfig { resources, ..HostConfig::default() }
        };
        let newest = |minor, limit| newest_update(changes(limit), Version(minor)).resources;
        assert_eq!(newest(39, Some(5)).pids_limit, None);
        for (asked, kept) in [(Some(5), Some(5)), (Some(-2), Some(0)), (Some(0), Some(0)), (None, None)] {
            assert_eq!(newest(40, asked).pids_limit, kept);
        }
        assert_eq!(newest(54, None).blkio_device_read_bps, None);
        assert_eq!(newest(55, None).blkio_device_read_bps, Some(Vec::new()));
    }
}
