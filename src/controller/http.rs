//! `/metrics`, `/healthz`, `/readyz`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::context::Context;

/// What the probes look at.
#[derive(Clone)]
pub(super) struct Probes {
    pub(super) context: Arc<Context>,
    /// True once the API server serves our kinds.
    pub(super) ready: Arc<AtomicBool>,
}

/// The routes.
pub(super) fn app(probes: Probes) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probes)
}

async fn ready(State(probes): State<Probes>) -> impl IntoResponse {
    if probes.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the CustomResourceDefinitions are not served: kubectl apply -f crds/\n",
        )
    }
}

async fn metrics(State(probes): State<Probes>) -> impl IntoResponse {
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    (kind, probes.context.metrics.encode())
}
