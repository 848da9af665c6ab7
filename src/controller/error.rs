//! What can go wrong at this edge. Waiting is not among it: that is an outcome, and stands in conditions.

use std::time::Duration;

use kube::runtime::controller::Action;
use thiserror::Error;

/// A reconcile that could not be finished.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("the API server refused or did not answer: {what}")]
    Api {
        what: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("object has no {0}")]
    Incomplete(&'static str),
}

impl Error {
    /// A bounded word for metrics.
    pub(super) fn category(&self) -> &'static str {
        match self {
            Self::Api { .. } => "api",
            Self::Incomplete(_) => "incomplete",
        }
    }
}

/// `map_err(api("reading the namespace"))`
pub(super) fn api(what: &'static str) -> impl FnOnce(kube::Error) -> Error {
    move |source| Error::Api {
        what,
        source: Box::new(source),
    }
}

/// The error with all its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// When a failed reconcile is tried again.
pub(super) fn retry() -> Action {
    Action::requeue(Duration::from_secs(5))
}
