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
    (kind, probes.context.numbers())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, Response};
    use kube::Client;
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn get(app: &Router, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
        let kind = kind.map_or_else(String::new, |kind| kind.to_str().unwrap().to_owned());
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn probes_and_metrics_answer_without_an_api_server() {
        let nobody = service_fn(|_: Request<kube::client::Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        });
        let client = Client::new(nobody, "gluster-operator");
        let (wake, _woken) = futures::channel::mpsc::unbounded();
        let slot = "c1".parse().unwrap();
        let context = Context::new(client, "gluster-operator", "uid".into(), slot, "me", wake);
        context.metrics.reconciled(
            "GlusterVolume",
            Err("conflict"),
            std::time::Duration::from_millis(70),
        );
        let ready = Arc::new(AtomicBool::new(false));
        let app = app(Probes {
            context: Arc::new(context),
            ready: ready.clone(),
        });
        let (status, _, body) = get(&app, "/healthz").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "ok\n"));
        let (status, _, body) = get(&app, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("kubectl apply -f crds/"), "{body}");
        ready.store(true, Ordering::Relaxed);
        let (status, ..) = get(&app, "/readyz").await;
        assert_eq!(status, StatusCode::OK);
        let (status, kind, body) = get(&app, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        let counted =
            "gluster_operator_reconciles_total{kind=\"GlusterVolume\",result=\"conflict\"} 1\n";
        assert!(body.contains(counted), "{body}");
        assert!(body.ends_with("# EOF\n"), "{body}");
        let (status, ..) = get(&app, "/").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}
