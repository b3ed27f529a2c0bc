//! Networks whose containers are parts of an interface of the host: neighbours of the host, not behind it.

use longshore_network::endpoint::MacvlanMode;

use super::{Error, Networks, Record, Result};

/// The name of the driver.
pub(super) const DRIVER: &str = "macvlan";

/// Whether a network has something on the host that is made and taken away with it.
pub(super) fn has_link(record: &Record) -> bool {
    matches!(record.driver.as_str(), "bridge" | DRIVER) && !record.config_only
}

/// The interface that a network's containers are parts of, and how.
pub(super) fn of(record: &Record) -> Result<Option<(String, MacvlanMode)>> {
    if record.driver != DRIVER {
        return Ok(None);
    }
    let bad = |option: &str, value: &str| Error::BadOption { option: option.into(), value: value.into() };
    let parent = match record.options.get("parent").map(String::as_str) {
        // One that leads nowhere.
        None | Some("") => format!("dm-{}", record.id.get(..12).unwrap_or(&record.id)),
        Some("lo") => return Err(bad("parent", "lo")),
        Some(parent) => parent.to_owned(),
    };
    let mode = match record.options.get("macvlan_mode").map(String::as_str) {
        None | Some("") => MacvlanMode::Bridge,
        Some(text) => text.parse().map_err(|()| bad("macvlan_mode", text))?,
    };
    Ok(Some((parent, mode)))
}

impl Networks {
    /// Has the interface there: a VLAN's is made if its parent is there.
    pub(super) fn bring_up_parent(&self, record: &Record, parent: &str) -> Result<()> {
        let links = &self.0.links;
        if links.exists(parent)? {
            return Ok(());
        }
        let vlan = parent.rsplit_once('.').and_then(|(link, id)| Some((link, id.parse().ok()?)));
        let vlan = vlan.filter(|(_, id)| (1..4095).contains(id));
        let is_named = record.options.get("parent").is_some_and(|parent| !parent.is_empty());
        if is_named && !vlan.map_or(Ok(false), |(link, _)| links.exists(link))? {
            return Err(Error::NoParent { name: parent.into() });
        }
        let owner = format!("{}:{}", self.0.settings.table, record.id);
        Ok(links.ensure_parent(parent, &owner, vlan)?)
    }
}
