//! `GET /exec/{id}/json`.

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use longshore_api::exec::{Inspect, ProcessConfig};
use longshore_engine::exec::Execs;

use super::super::{body::Json, error::Failure};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/exec/{id}/json", get(inspect))
}

async fn inspect(State(execs): State<Execs>, Path(id): Path<String>) -> Result<Json<Inspect>, Failure> {
    let exec = execs.find(&id)?;
    let (state, config) = (exec.state(), &exec.config);
    let (program, arguments) =
        config.command.split_first().map_or(("", &[][..]), |(program, rest)| (program, rest));
    Ok(Json(Inspect {
        id: exec.id.clone(),
        running: state.running,
        exit_code: state.exit_code,
        process_config: ProcessConfig {
            tty: config.tty,
            entrypoint: program.to_owned(),
            arguments: arguments.to_vec(),
            privileged: config.privileged,
            user: config.user.clone(),
        },
        open_stdin: config.stdin,
        open_stderr: config.stderr,
        open_stdout: config.stdout,
        can_remove: false,
        container_id: exec.container.id().to_string(),
        detach_keys: String::new(),
        pid: state.pid,
    }))
}
