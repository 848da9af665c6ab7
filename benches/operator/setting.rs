//! A lab with a controller at work, and what both sides of a measurement do in it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gluster_operator::api::GlusterVolume;
use gluster_operator::api::condition::{ConditionType, holds};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::await_condition;
use serde_json::json;

use crate::support::LabNames;
use crate::support::gluster_lab::{GlusterLab, said as words};
use crate::support::kube_lab::KubeLab;

const READY: Duration = Duration::from_secs(180);

/// Ends the controller, also when the bench panics.
pub struct Controller(Child);

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The controller as a process of this machine, with a pool that is Ready.
pub fn operator(names: &LabNames, gluster: &GlusterLab, kube: &KubeLab) -> Controller {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done =
        |output: std::process::Output| assert!(output.status.success(), "{}", words(&output));
    done(kube.kubectl(&["apply", "-f", &project.join("crds").to_string_lossy()]));
    done(kube.kubectl(&["create", "namespace", "gluster-operator"]));
    let known: Vec<String> = (1..=3)
        .map(|i| {
            let key = std::fs::read_to_string(
                gluster
                    .dir()
                    .join(format!("node{i}/ssh/ssh_host_ed25519_key.pub")),
            )
            .expect("a host key");
            format!("{} {key}", gluster.address(&format!("node{i}")))
        })
        .collect();
    let file = names.dir.join("known_hosts");
    std::fs::write(&file, known.concat()).expect("the lab's directory can be written");
    let key = format!("--from-file=ssh-privatekey={}", gluster.ssh_key().display());
    let known_hosts = format!("--from-file=known_hosts={}", file.display());
    done(kube.kubectl(&[
        "-n",
        "gluster-operator",
        "create",
        "secret",
        "generic",
        "gluster-ssh",
        &key,
        &known_hosts,
    ]));
    // stays, so that a number can be explained: `BENCH_LOG=debug` tells of every command and its time
    let log = project.join("target/bench-controller.log");
    let log = std::fs::File::create(log).expect("a log");
    let level = std::env::var("BENCH_LOG").unwrap_or_else(|_| "info".into());
    let child = Command::new(env!("CARGO_BIN_EXE_gluster-operator"))
        .args(["controller", "--log-level", &level])
        .args(["--listen", "127.0.0.1:0", "--kubeconfig"])
        .arg(kube.kubeconfig())
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the controller starts");
    let nodes: Vec<_> = (1..=3)
        .map(|i| json!({"name": format!("node{i}"), "address": gluster.address(&format!("node{i}")), "devices": [{"path": "/srv/bricks/d1"}]}))
        .collect();
    let cluster = json!({
        "apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "metadata": {"name": "prod"},
        "spec": {"access": {"ssh": {"secretRef": {"name": "gluster-ssh"}}}, "nodes": nodes, "tenancy": {"namespaces": {"from": "All"}}},
    });
    let controller = Controller(child);
    kube.wait(Duration::from_secs(20), &["get", "gc"], |_| true);
    done(kube.apply(&cluster.to_string()));
    done(kube.kubectl(&["wait", "gc/prod", "--for=condition=InSync", "--timeout=60s"]));
    controller
}

/// Seconds from the request to the moment when a watch shows Ready.
pub async fn apply(kube: &KubeLab, name: &str, capacity: &str) -> f64 {
    let file = Kubeconfig::read_from(kube.kubeconfig()).expect("the lab's kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .expect("the lab's kubeconfig");
    let client = kube::Client::try_from(config).expect("a client");
    let volumes: kube::Api<GlusterVolume> = kube::Api::namespaced(client, "default");
    let object: GlusterVolume = serde_json::from_value(json!({
        "apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterVolume", "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterName": "prod", "layout": {"replicate": {"copies": 3}}, "capacity": capacity, "deletionPolicy": "Delete"},
    }))
    .expect("a volume");
    let started = Instant::now();
    let params = kube::api::PatchParams::apply("bench");
    volumes
        .patch(name, &params, &kube::api::Patch::Apply(&object))
        .await
        .expect("the API server takes the volume");
    let ready = await_condition(volumes, name, |object: Option<&GlusterVolume>| {
        object
            .and_then(|object| object.status.as_ref())
            .is_some_and(|status| holds(&status.conditions, ConditionType::Ready))
    });
    tokio::time::timeout(READY, ready)
        .await
        .expect("Ready in time")
        .expect("the watch goes on");
    started.elapsed().as_secs_f64()
}

/// Seconds for what a person types on node1: one process a command.
pub fn by_hand(gluster: &GlusterLab, name: &str) -> f64 {
    let bricks = format!(
        "node1:/srv/bricks/d1/{name} node2:/srv/bricks/d1/{name} node3:/srv/bricks/d1/{name}"
    );
    let line = format!(
        "set -e; g='gluster --mode=script'; $g volume create {name} replica 3 {bricks}; $g volume start {name}; \
         $g volume quota {name} enable; $g volume quota {name} limit-usage / 1GB"
    );
    let started = Instant::now();
    gluster.shell("node1", &line);
    started.elapsed().as_secs_f64()
}
