use longshore_types::container::{Config, EndpointSettings, HostConfig, NetworkingConfig};
use serde::{Deserialize, Serialize};

use crate::Version;

/// What is asked of a new container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateRequest {
    #[serde(flatten)]
    pub config: Config,
    #[serde(default)]
    pub host_config: Option<HostConfig>,
    #[serde(default)]
    pub networking_config: Option<NetworkingConfig>,
}

/// A new container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateResponse {
    pub id: String,
    pub warnings: Vec<String>,
}

/// What a version of the API does not have of networks. In Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    #[error("Container cannot be created with multiple network endpoints: {names}")]
    SeveralNetworks { names: String },
    #[error("conflicting options: mac-address and the network mode")]
    MacAndMode,
    #[error("container-wide MAC address no longer supported; use endpoint-specific MAC address instead")]
    MacOfContainer,
    #[error("HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks")]
    NoSuchEndpoint,
    #[error(
        "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty"
    )]
    TwoMacs,
}

impl CreateRequest {
    /// Brings what a version says of networks into the form of the newest: a MAC address is that of an end (from 1.44),
    /// and several networks are asked for at once since then. Returns a warning, if there is one.
    pub fn settle_networks(&mut self, version: Version) -> Result<Option<&'static str>, CreateError> {
        let mode = match self.host_config.as_ref().map_or("", |host| host.network_mode.as_str()) {
            "" | "default" => "bridge".to_owned(),
            mode => mode.to_owned(),
        };
        let endpoints =
            self.networking_config.get_or_insert_default().endpoints_config.get_or_insert_default();
        // Docker's word for its default network.
        if let Some(endpoint) = endpoints.remove("default") {
            endpoints.insert(mode.clone(), endpoint);
        }
        if version < Version(44) && endpoints.len() > 1 {
            let names = endpoints.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(CreateError::SeveralNetworks { names });
        }
        let own = std::mem::take(&mut self.config.mac_address);
        let has_ends = !matches!(mode.as_str(), "host" | "none") && !mode.starts_with("container:");
        if own.is_empty() {
            if version < Version(44) {
                // An old daemon would not have known it.
                endpoints.values_mut().flatten().for_each(|endpoint| endpoint.mac_address.clear());
            }
            return Ok(None);
        }
        if version >= Version(52) {
            return Err(CreateError::MacOfContainer);
        }
        if version < Version(44) && !has_ends {
            return Err(CreateError::MacAndMode);
        }
        if has_ends {
            if endpoints.is_empty() {
                endpoints.insert(mode.clone(), None);
            }
            let key = if version < Version(44) {
                endpoints.keys().next().cloned().unwrap_or_default()
            } else {
                mode
            };
            let endpoint = endpoints.get_mut(&key).ok_or(CreateError::NoSuchEndpoint)?;
            let endpoint = endpoint.get_or_insert_with(EndpointSettings::default);
            if version >= Version(44) && !endpoint.mac_address.is_empty() && endpoint.mac_address != own {
                return Err(CreateError::TwoMacs);
            }
            endpoint.mac_address = own;
        }
        Ok((version >= Version(44)).then_some(
            "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{CreateError, CreateRequest};
    use crate::Version;

    fn settle(version: u16, request: Value) -> Result<(CreateRequest, bool), CreateError> {
        let mut request: CreateRequest = serde_json::from_value(request).unwrap();
        let warned = request.settle_networks(Version(version))?.is_some();
        Ok((request, warned))
    }

    fn mac(request: &CreateRequest, network: &str) -> String {
        assert_eq!(request.config.mac_address, "");
        let endpoints = request.networking_config.as_ref().unwrap().endpoints_config.as_ref().unwrap();
        endpoints[network].clone().unwrap_or_default().mac_address
    }

    #[test]
    fn a_mac_address_is_that_of_an_end() {
        let request = || json!({ "Image": "a", "MacAddress": "02:00:00:00:00:01" });
        let (old, warned) = settle(43, request()).unwrap();
        assert_eq!((mac(&old, "bridge").as_str(), warned), ("02:00:00:00:00:01", false));
        let (newer, warned) = settle(44, request()).unwrap();
        assert_eq!((mac(&newer, "bridge").as_str(), warned), ("02:00:00:00:00:01", true));
        assert_eq!(settle(52, request()).unwrap_err(), CreateError::MacOfContainer);
        let with = |mode: &str, endpoints: Value| {
            let mut request = request();
            request["HostConfig"] = json!({ "NetworkMode": mode });
            request["NetworkingConfig"] = json!({ "EndpointsConfig": endpoints });
            request
        };
        let (named, _) = settle(43, with("red", json!({ "red": {} }))).unwrap();
        assert_eq!(mac(&named, "red"), "02:00:00:00:00:01");
        assert_eq!(settle(43, with("host", json!({}))).unwrap_err(), CreateError::MacAndMode);
        assert_eq!(settle(44, with("red", json!({ "blue": {} }))).unwrap_err(), CreateError::NoSuchEndpoint);
        let other = json!({ "red": { "MacAddress": "02:00:00:00:00:02" } });
        assert_eq!(settle(44, with("red", other)).unwrap_err(), CreateError::TwoMacs);
    }

    #[test]
    fn several_networks_came_with_1_44() {
        let request = || {
            json!({ "Image": "a", "NetworkingConfig": { "EndpointsConfig": {
            "blue": { "MacAddress": "02:00:00:00:00:02" }, "red": null,
        } } })
        };
        let error = settle(43, request()).unwrap_err().to_string();
        assert_eq!(error, "Container cannot be created with multiple network endpoints: blue, red");
        assert_eq!(mac(&settle(44, request()).unwrap().0, "blue"), "02:00:00:00:00:02");
        let one = json!({ "Image": "a", "NetworkingConfig": { "EndpointsConfig": {
            "default": { "MacAddress": "02:00:00:00:00:02" },
        } } });
        assert_eq!(mac(&settle(55, one.clone()).unwrap().0, "bridge"), "02:00:00:00:00:02");
        assert_eq!(mac(&settle(43, one).unwrap().0, "bridge"), "");
    }
}
