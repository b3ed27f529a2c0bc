//! Which capabilities a container gets.

use longshore_runtime::{defaults::identity, plan::CAPABILITIES};
use longshore_types::container::HostConfig;

use super::Host;

/// Why a capability cannot be given or taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    #[error("unknown capability: {name:?}")]
    Unknown { name: String },
    #[error("capability not supported by your kernel or not available in the current environment: {name:?}")]
    Unavailable { name: String },
}

const ALL: &str = "ALL";

/// The names as the kernel has them; the prefix may be missing and letters small.
pub(super) fn normal(names: Option<&Vec<String>>, host: &Host) -> Result<Vec<String>, CapabilityError> {
    let one = |name: &String| {
        let mut name = name.to_uppercase();
        if name == ALL {
            return Ok(name);
        }
        if !name.starts_with("CAP_") {
            name.insert_str(0, "CAP_");
        }
        match CAPABILITIES.iter().position(|known| *known == name) {
            None => Err(CapabilityError::Unknown { name }),
            Some(bit) if host.capabilities & (1 << bit) == 0 => Err(CapabilityError::Unavailable { name }),
            Some(_) => Ok(name),
        }
    };
    names.into_iter().flatten().map(one).collect()
}

/// The set that a container's root has.
pub(super) fn of(config: &HostConfig, host: &Host) -> Result<Vec<String>, CapabilityError> {
    let available = || {
        let bits = CAPABILITIES.iter().enumerate();
        bits.filter(|(bit, _)| host.capabilities & (1 << bit) != 0).map(|(_, name)| (*name).to_owned())
    };
    if config.privileged {
        return Ok(available().collect());
    }
    let (add, drop) = (normal(config.cap_add.as_ref(), host)?, normal(config.cap_drop.as_ref(), host)?);
    let dropped = |name: &str| drop.iter().any(|other| other == name);
    if add.iter().any(|name| name == ALL) {
        return Ok(available().filter(|name| !dropped(name)).collect());
    }
    let basis = if dropped(ALL) { &[][..] } else { &identity::CAPABILITIES[..] };
    let mut set: Vec<String> =
        basis.iter().filter(|name| !dropped(name)).map(|name| (*name).to_owned()).collect();
    for name in add {
        if !set.contains(&name) {
            set.push(name);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use longshore_types::container::HostConfig;

    use crate::spec::tests::host;

    #[test]
    fn sets() {
        for (add, drop, count, has, lacks) in [
            (&[][..], &[][..], 14, "CAP_CHOWN", "CAP_SYS_ADMIN"),
            (&["sys_admin", "CAP_SYS_ADMIN"], &[], 15, "CAP_SYS_ADMIN", "CAP_BPF"),
            (&[], &["CHOWN"], 13, "CAP_KILL", "CAP_CHOWN"),
            (&["net_admin"], &["all"], 1, "CAP_NET_ADMIN", "CAP_CHOWN"),
            (&["ALL"], &["MKNOD"], 40, "CAP_BPF", "CAP_MKNOD"),
        ] {
            let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
            let config = HostConfig { cap_add: list(add), cap_drop: list(drop), ..HostConfig::default() };
            let set = super::of(&config, &host()).unwrap();
            let contains = |name: &str| set.iter().any(|other| other == name);
            assert_eq!(set.len(), count, "{add:?} {drop:?}");
            assert!(contains(has) && !contains(lacks), "{add:?} {drop:?}: {set:?}");
        }
    }

    #[test]
    fn unknown_ones() {
        let config = HostConfig { cap_add: Some(vec!["x".into()]), ..HostConfig::default() };
        let error = super::of(&config, &host()).unwrap_err();
        assert_eq!(error.to_string(), "unknown capability: \"CAP_X\"");
        let mut host = host();
        host.capabilities = 1;
        let config = HostConfig { cap_add: Some(vec!["BPF".into()]), ..HostConfig::default() };
        let error = super::of(&config, &host).unwrap_err().to_string();
        assert!(error.starts_with("capability not supported by your kernel"), "{error}");
    }
}
