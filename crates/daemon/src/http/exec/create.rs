//! `POST /containers/{id}/exec`.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use longshore_api::exec::{Create, Created, console_size};
use longshore_engine::{
    container::Containers,
    exec::{Config, Error, Execs},
};
use longshore_runtime::spec::ConsoleSize;

use super::super::{body::Json, error::Failure, version::Requested};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/exec", post(create))
}

async fn create(
    State(containers): State<Containers>,
    State(execs): State<Execs>,
    Path(id): Path<String>,
    Requested(version): Requested,
    Json(asked): Json<Create>,
) -> Result<(StatusCode, Json<Created>), Failure> {
    let command = asked.cmd.unwrap_or_default();
    if command.is_empty() {
        return Err(Error::NoCommand.into());
    }
    let container = containers.find(&id)?;
    let size = console_size(asked.console_size, version);
    let config = Config {
        command,
        stdin: asked.attach_stdin.unwrap_or_default(),
        stdout: asked.attach_stdout.unwrap_or_default(),
        stderr: asked.attach_stderr.unwrap_or_default(),
        tty: asked.tty.unwrap_or_default(),
        privileged: asked.privileged.unwrap_or_default(),
        env: asked.env.unwrap_or_default(),
        user: asked.user.unwrap_or_default(),
        working_dir: asked.working_dir.unwrap_or_default(),
        detach_keys: asked.detach_keys.unwrap_or_default(),
        console_size: size.map(|[height, width]| ConsoleSize { height, width }),
    };
    let exec = execs.create(&container, config).await?;
    Ok((StatusCode::CREATED, Json(Created { id: exec.id.clone() })))
}
