//! Every operation of the newest API, and how far it is served.
//!
//! `docs/compat/engine-api.md` is written from this table, and a test of the daemon holds both to the routes.

use std::fmt::Write;

use State::{Done, Not, Partly};

/// How far an operation is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Done,
    /// What of it.
    Partly(&'static str),
    /// Why not.
    Not(&'static str),
}

/// An operation, as the specification names it.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub id: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    pub state: State,
}

const fn op(id: &'static str, method: &'static str, path: &'static str, state: State) -> Operation {
    Operation { id, method, path, state }
}

/// All of them, in the order of the specification.
pub const OPERATIONS: &[Operation] = &[
    op("ContainerList", "GET", "/containers/json", Done),
    op("ContainerCreate", "POST", "/containers/create", Done),
    op("ContainerInspect", "GET", "/containers/{id}/json", Done),
    op("ContainerTop", "GET", "/containers/{id}/top", Done),
    op("ContainerLogs", "GET", "/containers/{id}/logs", Done),
    op("ContainerChanges", "GET", "/containers/{id}/changes", Done),
    op("ContainerExport", "GET", "/containers/{id}/export", Done),
    op("ContainerStats", "GET", "/containers/{id}/stats", Done),
    op("ContainerResize", "POST", "/containers/{id}/resize", Done),
    op("ContainerStart", "POST", "/containers/{id}/start", Done),
    op("ContainerStop", "POST", "/containers/{id}/stop", Done),
    op("ContainerRestart", "POST", "/containers/{id}/restart", Done),
    op("ContainerKill", "POST", "/containers/{id}/kill", Done),
    op("ContainerUpdate", "POST", "/containers/{id}/update", Done),
    op("ContainerRename", "POST", "/containers/{id}/rename", Done),
    op("ContainerPause", "POST", "/containers/{id}/pause", Done),
    op("ContainerUnpause", "POST", "/containers/{id}/unpause", Done),
    op("ContainerAttach", "POST", "/containers/{id}/attach", Done),
    op("ContainerAttachWebsocket", "GET", "/containers/{id}/attach/ws", Done),
    op("ContainerWait", "POST", "/containers/{id}/wait", Done),
    op("ContainerDelete", "DELETE", "/containers/{id}", Done),
    op("ContainerArchiveInfo", "HEAD", "/containers/{id}/archive", Done),
    op("ContainerArchive", "GET", "/containers/{id}/archive", Done),
    op("PutContainerArchive", "PUT", "/containers/{id}/archive", Done),
    op("ContainerPrune", "POST", "/containers/prune", Done),
    op("ImageList", "GET", "/images/json", Done),
    op("ImageBuild", "POST", "/build", Not("builds are to come")),
    op("BuildPrune", "POST", "/build/prune", Partly("there is no cache to prune")),
    op("ImageCreate", "POST", "/images/create", Done),
    op("ImageInspect", "GET", "/images/{name}/json", Done),
    op("ImageAttestations", "GET", "/images/{name}/attestations", Done),
    op("ImageHistory", "GET", "/images/{name}/history", Done),
    op("ImagePush", "POST", "/images/{name}/push", Done),
    op("ImageTag", "POST", "/images/{name}/tag", Done),
    op("ImageDelete", "DELETE", "/images/{name}", Done),
    op("ImageSearch", "GET", "/images/search", Done),
    op("ImagePrune", "POST", "/images/prune", Done),
    op("SystemAuth", "POST", "/auth", Done),
    op("SystemInfo", "GET", "/info", Done),
    op("SystemVersion", "GET", "/version", Done),
    op("SystemPing", "GET", "/_ping", Done),
    op("SystemPingHead", "HEAD", "/_ping", Done),
    op("ImageCommit", "POST", "/commit", Done),
    op("SystemEvents", "GET", "/events", Done),
    op("SystemDataUsage", "GET", "/system/df", Done),
    op("ImageGet", "GET", "/images/{name}/get", Done),
    op("ImageGetAll", "GET", "/images/get", Done),
    op("ImageLoad", "POST", "/images/load", Done),
    op("ContainerExec", "POST", "/containers/{id}/exec", Done),
    op("ExecStart", "POST", "/exec/{id}/start", Done),
    op("ExecResize", "POST", "/exec/{id}/resize", Done),
    op("ExecInspect", "GET", "/exec/{id}/json", Done),
    op("VolumeList", "GET", "/volumes", Done),
    op("VolumeCreate", "POST", "/volumes/create", Done),
    op("VolumeInspect", "GET", "/volumes/{name}", Done),
    op("VolumeUpdate", "PUT", "/volumes/{name}", Partly("cluster volumes need a swarm, which there is not")),
    op("VolumeDelete", "DELETE", "/volumes/{name}", Done),
    op("VolumePrune", "POST", "/volumes/prune", Done),
    op("NetworkList", "GET", "/networks", Done),
    op("NetworkInspect", "GET", "/networks/{id}", Done),
    op("NetworkDelete", "DELETE", "/networks/{id}", Done),
    op("NetworkCreate", "POST", "/networks/create", Done),
    op("NetworkConnect", "POST", "/networks/{id}/connect", Done),
    op("NetworkDisconnect", "POST", "/networks/{id}/disconnect", Done),
    op("NetworkPrune", "POST", "/networks/prune", Done),
    op("PluginList", "GET", "/plugins", Partly("as an engine without plugins")),
    op("GetPluginPrivileges", "GET", "/plugins/privileges", Partly("as an engine without plugins")),
    op("PluginPull", "POST", "/plugins/pull", Partly("as an engine without plugins")),
    op("PluginInspect", "GET", "/plugins/{name}/json", Partly("as an engine without plugins")),
    op("PluginDelete", "DELETE", "/plugins/{name}", Partly("as an engine without plugins")),
    op("PluginEnable", "POST", "/plugins/{name}/enable", Partly("as an engine without plugins")),
    op("PluginDisable", "POST", "/plugins/{name}/disable", Partly("as an engine without plugins")),
    op("PluginUpgrade", "POST", "/plugins/{name}/upgrade", Partly("as an engine without plugins")),
    op("PluginCreate", "POST", "/plugins/create", Partly("as an engine without plugins")),
    op("PluginPush", "POST", "/plugins/{name}/push", Partly("as an engine without plugins")),
    op("PluginSet", "POST", "/plugins/{name}/set", Partly("as an engine without plugins")),
    op("NodeList", "GET", "/nodes", Partly("as an engine in no swarm")),
    op("NodeInspect", "GET", "/nodes/{id}", Partly("as an engine in no swarm")),
    op("NodeDelete", "DELETE", "/nodes/{id}", Partly("as an engine in no swarm")),
    op("NodeUpdate", "POST", "/nodes/{id}/update", Partly("as an engine in no swarm")),
    op("SwarmInspect", "GET", "/swarm", Partly("as an engine in no swarm")),
    op("SwarmInit", "POST", "/swarm/init", Partly("as an engine in no swarm")),
    op("SwarmJoin", "POST", "/swarm/join", Partly("as an engine in no swarm")),
    op("SwarmLeave", "POST", "/swarm/leave", Partly("as an engine in no swarm")),
    op("SwarmUpdate", "POST", "/swarm/update", Partly("as an engine in no swarm")),
    op("SwarmUnlockkey", "GET", "/swarm/unlockkey", Partly("as an engine in no swarm")),
    op("SwarmUnlock", "POST", "/swarm/unlock", Partly("as an engine in no swarm")),
    op("ServiceList", "GET", "/services", Partly("as an engine in no swarm")),
    op("ServiceCreate", "POST", "/services/create", Partly("as an engine in no swarm")),
    op("ServiceInspect", "GET", "/services/{id}", Partly("as an engine in no swarm")),
    op("ServiceDelete", "DELETE", "/services/{id}", Partly("as an engine in no swarm")),
    op("ServiceUpdate", "POST", "/services/{id}/update", Partly("as an engine in no swarm")),
    op("ServiceLogs", "GET", "/services/{id}/logs", Partly("as an engine in no swarm")),
    op("TaskList", "GET", "/tasks", Partly("as an engine in no swarm")),
    op("TaskInspect", "GET", "/tasks/{id}", Partly("as an engine in no swarm")),
    op("TaskLogs", "GET", "/tasks/{id}/logs", Partly("as an engine in no swarm")),
    op("SecretList", "GET", "/secrets", Partly("as an engine in no swarm")),
    op("SecretCreate", "POST", "/secrets/create", Partly("as an engine in no swarm")),
    op("SecretInspect", "GET", "/secrets/{id}", Partly("as an engine in no swarm")),
    op("SecretDelete", "DELETE", "/secrets/{id}", Partly("as an engine in no swarm")),
    op("SecretUpdate", "POST", "/secrets/{id}/update", Partly("as an engine in no swarm")),
    op("ConfigList", "GET", "/configs", Partly("as an engine in no swarm")),
    op("ConfigCreate", "POST", "/configs/create", Partly("as an engine in no swarm")),
    op("ConfigInspect", "GET", "/configs/{id}", Partly("as an engine in no swarm")),
    op("ConfigDelete", "DELETE", "/configs/{id}", Partly("as an engine in no swarm")),
    op("ConfigUpdate", "POST", "/configs/{id}/update", Partly("as an engine in no swarm")),
    op("DistributionInspect", "GET", "/distribution/{name}/json", Done),
    op("Session", "POST", "/session", Not("builds are to come")),
];

/// The table for people to read.
#[must_use]
pub fn table() -> String {
    let count =
        |wanted: fn(&State) -> bool| OPERATIONS.iter().filter(|operation| wanted(&operation.state)).count();
    let done = count(|state| matches!(state, Done));
    let partly = count(|state| matches!(state, Partly(_)));
    let not = count(|state| matches!(state, Not(_)));
    let mut text = String::from("# Docker's Engine API, operation by operation\n\n");
    // Writing to a string does not fail.
    writeln!(
        text,
        "Written from `crates/api/src/operation.rs`; `LONGSHORE_UPDATE=1 cargo test -p longshore-daemon compat` writes it \
         anew.\nVersions 1.24 to 1.55 are served. Of the {} operations of 1.55, {done} are done, {partly} partly, {not} not.\n",
        OPERATIONS.len(),
    )
    .ok();
    text.push_str("| operation | method | path | served |\n|---|---|---|---|\n");
    for Operation { id, method, path, state } in OPERATIONS {
        let state = match state {
            Done => "yes".to_owned(),
            Partly(what) => format!("partly: {what}"),
            Not(why) => format!("no: {why}"),
        };
        writeln!(text, "| {id} | {method} | `{path}` | {state} |").ok();
    }
    text
}
