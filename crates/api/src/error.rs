//! What a failed request is answered with.

use serde::{Deserialize, Serialize};

/// Docker's error document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    pub message: String,
}
