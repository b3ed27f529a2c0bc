//! `--sysctl`: what belongs to a namespace of the container's own, and nothing else.

use longshore_types::container::HostConfig;

use super::mode::{self, Mode};

/// Why a sysctl cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    #[error("sysctl '{key}={value}' is not whitelisted")]
    Unknown { key: String, value: String },
    #[error("sysctl '{key}' not allowed in host network namespace")]
    HostNetwork { key: String },
    #[error("sysctl '{key}' not allowed in host ipc namespace")]
    HostIpc { key: String },
    #[error("sysctl '{key}' not allowed in host uts namespace")]
    HostUts { key: String },
    #[error("sysctl '{key}': the value has a control character")]
    Control { key: String },
}

/// Keys of the IPC namespace that are no prefix.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

/// Checks the sysctls of a container against its namespaces.
pub(super) fn check(host: &HostConfig) -> Result<(), SysctlError> {
    let ipc_of_host = mode::ipc(&host.ipc_mode) == Some(Mode::Host);
    for (key, value) in host.sysctls.iter().flatten() {
        let key = || key.clone();
        let dotted = key().replace('/', ".");
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(SysctlError::Control { key: key() });
        }
        if dotted.starts_with("net.") {
            if host.network_mode == "host" {
                return Err(SysctlError::HostNetwork { key: key() });
            }
        } else if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
            if ipc_of_host {
                return Err(SysctlError::HostIpc { key: key() });
            }
        } else if dotted == "kernel.domainname" {
            if host.uts_mode == "host" {
                return Err(SysctlError::HostUts { key: key() });
            }
        } else {
            return Err(SysctlError::Unknown { key: key(), value: value.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longshore_types::container::HostConfig;

    fn check(key: &str, value: &str, host: HostConfig) -> Result<(), String> {
        let sysctls = Some([(key.to_owned(), value.to_owned())].into());
        super::check(&HostConfig { sysctls, ..host }).map_err(|error| error.to_string())
    }

    #[test]
    fn keys() {
        let none = HostConfig::default;
        for key in [
            "net.ipv4.ip_forward",
            "net/ipv4/conf/eth0.1/rp_filter",
            "kernel.shmmax",
            "fs.mqueue.msg_max",
            "kernel.domainname",
        ] {
            assert_eq!(check(key, "1", none()), Ok(()), "{key}");
        }
        for key in ["kernel.panic", "vm.swappiness", "fs.file-max", "kernel.core_pattern", "netx", ""] {
            assert_eq!(check(key, "1", none()), Err(format!("sysctl '{key}=1' is not whitelisted")));
        }
        let host = HostConfig { network_mode: "host".into(), ipc_mode: "host".into(), ..none() };
        assert_eq!(
            check("net.x", "1", host.clone()),
            Err("sysctl 'net.x' not allowed in host network namespace".into())
        );
        assert_eq!(
            check("kernel.sem", "1", host),
            Err("sysctl 'kernel.sem' not allowed in host ipc namespace".into())
        );
        assert!(check("net.x", "1\n2", none()).is_err());
    }
}
