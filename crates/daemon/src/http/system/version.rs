use std::collections::BTreeMap;

use axum::extract::State;
use longshore_api::{
    Version,
    system::{COMPATIBLE, Component, Platform, VersionInfo},
};

use crate::{http::body::Json, system::System};

/// Our own version.
pub(super) const OWN: &str = env!("CARGO_PKG_VERSION");

/// The release of Docker's that this engine is like, and our own version behind it.
pub(super) fn server_version() -> String {
    format!("{COMPATIBLE}+longshore-{OWN}")
}

/// Docker's name of the architecture.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What this is, and of what parts.
pub(super) async fn version(State(system): State<System>) -> Json<VersionInfo> {
    let kernel = &system.facts().kernel;
    let details = [
        ("ApiVersion", Version::NEWEST.to_string()),
        ("Arch", architecture().into()),
        ("Experimental", "false".into()),
        ("KernelVersion", kernel.clone()),
        ("MinAPIVersion", Version::OLDEST.to_string()),
        ("Os", "linux".into()),
    ];
    let details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let part = |name: &str| Component { name: name.into(), version: OWN.into(), details: BTreeMap::new() };
    Json(VersionInfo {
        platform: Platform { name: format!("Longshore {OWN}") },
        components: vec![
            Component { name: "Engine".into(), version: server_version(), details },
            part("longshored"),
            part("longshore-runtime"),
        ],
        version: server_version(),
        api_version: Version::NEWEST.to_string(),
        min_api_version: Version::OLDEST.to_string(),
        git_commit: String::new(),
        go_version: String::new(),
        os: "linux".into(),
        arch: architecture().into(),
        kernel_version: kernel.clone(),
        build_time: String::new(),
    })
}
