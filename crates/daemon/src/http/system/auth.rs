use axum::{extract::State, http::StatusCode};
use longshore_api::system::{AuthConfig, AuthResponse};
use longshore_image::Images;
use longshore_registry::{Account, Secret};

use crate::http::{body::Json, error::Failure};

/// What Docker Hub is called in the configuration of clients.
const HUB: &str = "https://index.docker.io/v1/";

/// Asks a registry whether it knows an account.
pub(super) async fn auth(
    State(images): State<Images>,
    Json(config): Json<AuthConfig>,
) -> Result<Json<AuthResponse>, Failure> {
    let account = if !config.identitytoken.is_empty() {
        Account::IdentityToken { token: Secret::new(config.identitytoken) }
    } else if !config.registrytoken.is_empty() {
        Account::RegistryToken { token: Secret::new(config.registrytoken) }
    } else {
        Account::Password { user: config.username, password: Secret::new(config.password) }
    };
    let login = images.registry().login(host(&config.serveraddress), &account).await;
    let login = login.map_err(|error| {
        let message = longshore_engine::line(&error);
        match error.status() {
            Some(401) => Failure::new(StatusCode::UNAUTHORIZED, message),
            _ => Failure::of(error.kind(), message),
        }
    })?;
    let identity_token = login.identity_token.map(|token| token.expose().to_owned()).unwrap_or_default();
    Ok(Json(AuthResponse { status: "Login Succeeded", identity_token }))
}

/// The host of an address, with its port.
fn host(address: &str) -> &str {
    if address.is_empty() || address == HUB {
        return "docker.io";
    }
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or(rest) {
        "index.docker.io" => "docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn addresses_name_hosts() {
        assert_eq!(host(""), "docker.io");
        assert_eq!(host("https://index.docker.io/v1/"), "docker.io");
        assert_eq!(host("index.docker.io/v1/"), "docker.io");
        assert_eq!(host("http://reg.example:5000/v2/"), "reg.example:5000");
        assert_eq!(host("reg.example"), "reg.example");
    }
}
