use std::error::Error;

/// An error with its causes, in one line.
#[must_use]
pub fn line(error: &dyn Error) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
