//! How long a user waits from `kubectl apply` to Ready, against the literal commands by hand on the same pool, in the same run,
//! interleaved. Prints a table and writes `target/bench.json`.
#![allow(missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use support::LabNames;
use support::gluster_lab::GlusterLab;
use support::gluster_lab::said as words;
use support::kube_lab::KubeLab;

/// Measured pairs; one more before them is not counted. Even, since whoever comes first in a round pays 2 s more: daemons start anew after the
/// deletions of the round before.
const PAIRS: usize = 8;
const READY: Duration = Duration::from_secs(60);

/// Ends the controller, also when the bench panics.
struct Controller(Child);

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    // `cargo test --benches` and the like only want to know that it compiles
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let names = LabNames::unique("bench");
    let gluster = GlusterLab::up_as(&names, 3, 0);
    let Some(kube) = KubeLab::up_as(&names, 0) else {
        panic!("no Kubernetes lab: see above");
    };
    let _controller = operator(&names, &gluster, &kube);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");

    // stays for all rounds: whoever starts the first volume of a pool waits 2 s longer, for the daemons to come up
    by_hand(&gluster, "standing");

    let (mut ours, mut hands) = (Vec::new(), Vec::new());
    for round in 0..=PAIRS {
        // in turns, so that neither always comes first
        let (mut a, mut b) = (0.0, 0.0);
        for turn in [round % 2, (round + 1) % 2] {
            if turn == 0 {
                a = runtime.block_on(apply(&kube, &format!("ours{round}")));
            } else {
                b = by_hand(&gluster, &format!("hand{round}"));
            }
        }
        if round > 0 {
            ours.push(a);
            hands.push(b);
        }
        println!("round {round}: ours {a:.2} s, by hand {b:.2} s");
        clean(&gluster, &kube, round);
    }
    let row = Row {
        id: "apply-to-ready",
        what: "one volume of 3 copies with a quota of 1 GiB: apply to Ready, against create, start, quota enable, limit-usage by hand",
        ours,
        reference: hands,
        goal: 1.0,
        allowed: 1.3,
    };
    report(&[row]);
}

struct Row {
    id: &'static str,
    what: &'static str,
    ours: Vec<f64>,
    reference: Vec<f64>,
    goal: f64,
    allowed: f64,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

fn spread(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, 0.0), |(low, high), value| {
            (value.min(low), value.max(high))
        })
}

fn report(rows: &[Row]) {
    let mut list = Vec::new();
    println!("\n| id | ours, s (spread) | by hand, s (spread) | ratio | allowed now | goal |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for Row {
        id,
        what,
        ours,
        reference,
        goal,
        allowed,
    } in rows
    {
        let (mine, theirs) = (median(ours), median(reference));
        let ((low, high), (their_low, their_high)) = (spread(ours), spread(reference));
        let ratio = mine / theirs;
        println!(
            "| {id} | {mine:.2} ({low:.2}-{high:.2}) | {theirs:.2} ({their_low:.2}-{their_high:.2}) | {ratio:.2} | {allowed:.1} | {goal:.1} |"
        );
        list.push(json!({
            "id": id, "what": what, "ours": mine, "reference": theirs, "ratio": ratio, "unit": "s",
            "goal": goal, "met": ratio <= *goal, "allowed": allowed, "withinAllowed": ratio <= *allowed,
            "spread": {"ours": [low, high], "reference": [their_low, their_high]}, "runs": ours.len(),
        }));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench.json");
    let text = serde_json::to_string_pretty(&list).expect("rows are JSON");
    std::fs::write(&path, text + "\n").expect("target can be written");
    println!("\nwritten: target/bench.json");
}

/// The controller as a process of this machine, with a pool that is Ready.
fn operator(names: &LabNames, gluster: &GlusterLab, kube: &KubeLab) -> Controller {
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
    let log = std::fs::File::create(names.dir.join("controller.log")).expect("a log");
    let child = Command::new(env!("CARGO_BIN_EXE_gluster-operator"))
        .args(["controller", "--listen", "127.0.0.1:0", "--kubeconfig"])
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
async fn apply(kube: &KubeLab, name: &str) -> f64 {
    use gluster_operator::api::GlusterVolume;
    use gluster_operator::api::condition::{ConditionType, holds};
    use kube::config::{KubeConfigOptions, Kubeconfig};
    use kube::runtime::wait::await_condition;

    let file = Kubeconfig::read_from(kube.kubeconfig()).expect("the lab's kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .expect("the lab's kubeconfig");
    let client = kube::Client::try_from(config).expect("a client");
    let volumes: kube::Api<GlusterVolume> = kube::Api::namespaced(client, "default");
    let object: GlusterVolume = serde_json::from_value(json!({
        "apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterVolume", "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterName": "prod", "layout": {"replicate": {"copies": 3}}, "capacity": "1Gi", "deletionPolicy": "Delete"},
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
fn by_hand(gluster: &GlusterLab, name: &str) -> f64 {
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

/// Both volumes go, so that each round finds the same pool.
fn clean(gluster: &GlusterLab, kube: &KubeLab, round: usize) {
    let deleted = kube.kubectl(&["delete", "gv", &format!("ours{round}"), "--timeout=90s"]);
    assert!(deleted.status.success(), "{}", words(&deleted));
    gluster.shell(
        "node1",
        &format!(
            "g='gluster --mode=script'; $g volume stop hand{round} && $g volume delete hand{round}"
        ),
    );
}
