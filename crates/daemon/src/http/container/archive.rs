//! `docker cp`: files out of a container and into it.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use longshore_api::archive::{HEADER, PathStat};
use longshore_engine::{
    container::Containers,
    copy::{self, Unpack},
};

use super::pipe;
use crate::{
    app::App,
    http::{error::Failure, query::Query},
};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/archive", get(download).head(look).put(upload))
}

async fn look(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Failure> {
    let path = path(&query)?;
    let found = pipe::blocking(move || containers.copy_from(&id, &path)).await?;
    Ok((stat_header(&found.stat)?, StatusCode::OK).into_response())
}

async fn download(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Failure> {
    let path = path(&query)?;
    let source = pipe::blocking(move || {
        let source = containers.copy_from(&id, &path)?;
        containers.find(&id)?.publish(containers.events(), "archive-path", []);
        Ok::<_, copy::Error>(source)
    })
    .await?;
    let stat = stat_header(&source.stat)?;
    let body = pipe::download(move |out| source.write(out));
    Ok((stat, [(header::CONTENT_TYPE, "application/x-tar")], body).into_response())
}

async fn upload(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
    body: Body,
) -> Result<StatusCode, Failure> {
    let path = path(&query)?;
    let (keep_kinds, to_user) = (query.flag("noOverwriteDirNonDir"), query.flag("copyUIDGID"));
    pipe::upload(body, move |input| {
        containers.copy_into(&id, &path, Unpack { keep_kinds, ..Unpack::default() }, to_user, input)?;
        containers.find(&id)?.publish(containers.events(), "extract-to-dir", []);
        Ok::<_, copy::Error>(())
    })
    .await?;
    Ok(StatusCode::OK)
}

fn path(query: &Query) -> Result<String, Failure> {
    let path = query.word("path").ok_or_else(|| Failure::bad("bad parameter: path cannot be empty"))?;
    Ok(path.to_owned())
}

fn stat_header(stat: &copy::PathStat) -> Result<[(HeaderName, String); 1], Failure> {
    let stat = PathStat {
        name: stat.name.clone(),
        size: stat.size,
        mode: stat.mode,
        mtime: stat.modified,
        link_target: stat.link_target.clone(),
    };
    let json = serde_json::to_vec(&stat)
        .map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok([(HeaderName::from_static(HEADER), BASE64_STANDARD.encode(json))])
}
