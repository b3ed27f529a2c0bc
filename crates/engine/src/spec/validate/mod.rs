//! Whether a container may be asked for so. What the kernel cannot hold is taken away and told.

mod config;
mod host;
mod invalid;
mod resources;
#[cfg(test)]
mod tests;

use longshore_types::container::{Config, HostConfig, NetworkingConfig};

pub use config::signal;
pub use invalid::Invalid;

use super::{Error, Host, Settings};

/// Checks what is asked for, before [`super::defaults`]; makes paths clean and takes away limits that this kernel
/// does not know. Returns the warnings.
///
/// # Errors
/// The first thing that is wrong, in Docker's order and words.
pub fn validate(
    config: &mut Config,
    host_config: &mut HostConfig,
    networking: &NetworkingConfig,
    settings: &Settings,
    host: &Host,
) -> Result<Vec<String>, Error> {
    host::modes(config, host_config)?;
    config::check(config)?;
    let mut warnings = Vec::new();
    host::check(host_config)?;
    resources::check(&mut host_config.resources, host, false, &mut warnings)?;
    host::platform(host_config, settings, host, &mut warnings)?;
    host::networks(networking)?;
    Ok(warnings)
}

/// Checks what `update` is asked for. Returns the warnings.
pub fn validate_update(host_config: &mut HostConfig, host: &Host) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    host::restart(&host_config.restart_policy, host_config.auto_remove)?;
    resources::check(&mut host_config.resources, host, true, &mut warnings)?;
    Ok(warnings)
}
