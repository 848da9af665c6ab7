//! The program as a person runs it: version, exit codes, log lines.

#![allow(clippy::unwrap_used, clippy::panic)] // it is all tests

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gluster-operator"))
        .args(args)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn it_says_its_version() {
    let output = run(&["--version"]);
    let version = concat!("gluster-operator ", env!("CARGO_PKG_VERSION"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout).lines().next(), Some(version));
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    let missing = "/nonexistent/kubeconfig";
    for (args, code, says) in [
        (&["--help"][..], 0, ""),
        (&["crds"], 0, ""),
        (&[], 2, "Usage"),
        (&["--no-such-option"], 2, "--no-such-option"),
        (&["no-such-command"], 2, "no-such-command"),
        (&["plan"], 2, "-f"),
        (&["crds", "--log-format", "xml"], 2, "xml"),
        (&["crds", "--log-level", "a=b=c"], 1, "log-level"),
        (&["controller", "--kubeconfig", missing], 1, missing),
    ] {
        let output = run(args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
        assert!(
            code == 0 || output.stdout.is_empty(),
            "{args:?}: errors go to standard error"
        );
    }
}

/// As much of an API server as a controller without objects asks for: a namespace, empty lists, watches in which nothing happens,
/// and a Lease.
type Lease = Arc<Mutex<Option<Value>>>;

async fn api(State(lease): State<Lease>, method: Method, uri: Uri, body: Bytes) -> Response {
    let say = |status: StatusCode, answer: &Value| {
        let kind = [(header::CONTENT_TYPE, "application/json")];
        (status, kind, answer.to_string()).into_response()
    };
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    if query.contains("watch=true") {
        return std::future::pending().await;
    }
    let missing = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "message": path, "code": 404,
    });
    if path.contains("/leases") {
        let mut lease = lease.lock().unwrap();
        if method != Method::GET {
            *lease = Some(serde_json::from_slice(&body).unwrap());
        }
        return match &*lease {
            Some(lease) => say(StatusCode::OK, lease),
            None => say(StatusCode::NOT_FOUND, &missing),
        };
    }
    let answer = match path {
        "/api/v1/namespaces/kube-system" => json!({
            "kind": "Namespace", "apiVersion": "v1",
            "metadata": {"name": "kube-system", "uid": "0000000b-0000-0000-0000-00000000000b"},
        }),
        _ if method == Method::GET => json!({
            "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [],
        }),
        _ => return say(StatusCode::NOT_FOUND, &missing),
    };
    say(StatusCode::OK, &answer)
}

fn holder(lease: &Lease) -> Option<String> {
    let lease = lease.lock().unwrap();
    let holder = lease.as_ref()?.pointer("/spec/holderIdentity")?;
    holder.as_str().map(str::to_owned)
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "not yet: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A controller that is told to end gives its Lease back, so that the next one need not wait, and exits with 0. Its log is a JSON
/// object a line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_is_told_to_end_gives_its_lease_back() {
    let lease = Lease::default();
    let app = Router::new().fallback(api).with_state(lease.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let kubeconfig = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubeconfig-of-nobody");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": server}}],
        "users": [{"name": "it", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_gluster-operator"))
        .args(["controller", "--listen", "127.0.0.1:0", "--identity", "me"])
        .args(["--log-format", "json", "--kubeconfig"])
        .arg(&kubeconfig)
        .env_clear()
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let (stderr, seen) = (child.stderr.take().unwrap(), lines.clone());
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines() {
            seen.lock().unwrap().push(line.unwrap());
        }
    });
    let said = |word: &str| lines.lock().unwrap().iter().any(|line| line.contains(word));
    until("it watches", || said("\"watching\"")).await;
    assert_eq!(holder(&lease).as_deref(), Some("me"));
    let pid = child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(told.success());
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    let ended = ended.expect("it ends by itself").unwrap();
    reader.join().unwrap();
    let lines = lines.lock().unwrap();
    assert_eq!(ended.code(), Some(0), "{lines:#?}");
    assert_eq!(holder(&lease).as_deref(), Some(""), "{lines:#?}");
    for line in lines.iter() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string());
    }
}
