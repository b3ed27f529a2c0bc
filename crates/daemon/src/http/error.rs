//! What a request that failed is answered with: a status and Docker's `{"message": …}`.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use longshore_api::ErrorResponse;
use longshore_types::Kind;

/// A request that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The caller's input is wrong.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The status that Docker has for a kind of error.
    pub(crate) fn of(kind: Kind, message: impl Into<String>) -> Self {
        let status = match kind {
            Kind::InvalidInput => StatusCode::BAD_REQUEST,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::PermissionDenied => StatusCode::FORBIDDEN,
            Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::ResourceExhausted | Kind::Timeout | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, axum::Json(ErrorResponse { message: self.message })).into_response()
    }
}

/// Lets routes use `?` on the errors of services.
macro_rules! failures {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(error.kind(), longshore_engine::line(&error))
            }
        })*
    };
}

failures!(
    longshore_engine::attach::Error,
    longshore_engine::changes::Error,
    longshore_engine::container::Error,
    longshore_engine::copy::Error,
    longshore_engine::db::DbError,
    longshore_engine::exec::Error,
    longshore_engine::export::Error,
    longshore_engine::log::Error,
    longshore_engine::network::Error,
    longshore_engine::stats::Error,
    longshore_engine::top::Error,
    longshore_engine::volume::Error,
    longshore_image::Error,
    longshore_types::filter::FilterError,
);

impl From<longshore_api::lenient::ReadError> for Failure {
    fn from(error: longshore_api::lenient::ReadError) -> Self {
        Self::bad(longshore_engine::line(&error))
    }
}
