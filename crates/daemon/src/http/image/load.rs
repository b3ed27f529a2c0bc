use axum::{body::Body, extract::State, response::Response};
use longshore_api::{Version, progress::Message};
use longshore_engine::image::Library;
use longshore_image::LoadOptions;
use longshore_types::{Progress, ProgressEvent, Status};

use super::{
    Failure, blocking,
    pipe::Input,
    platform,
    transfer::{Reporter, respond_with_text},
};
use crate::http::{query::Query, version::Requested};

/// Takes an archive of images.
pub(super) async fn load(
    State(library): State<Library>,
    Requested(version): Requested,
    query: Query,
    body: Body,
) -> Result<Response, Failure> {
    let platform = if version >= Version(48) { platform::at_most_one(&query, "platform")? } else { None };
    let options = LoadOptions { platform };
    let quiet = query.flag_or("quiet", true);
    let input = Input::of(body);
    respond_with_text(move |reporter| async move {
        let told = Told { reporter: reporter.clone(), quiet };
        if let Err(failure) = blocking(move || library.load(input, &options, &told)).await {
            // A line always, as Docker has it: who loads looks for errors there.
            reporter.send(Message::error(failure.message));
        }
        Ok(())
    })
    .await
}

/// Leaves amounts out for whoever wants it quiet.
struct Told {
    reporter: Reporter,
    quiet: bool,
}

impl Progress for Told {
    fn report(&self, event: ProgressEvent) {
        if !(self.quiet && matches!(event.status, Status::Loading { .. })) {
            self.reporter.report(event);
        }
    }
}
