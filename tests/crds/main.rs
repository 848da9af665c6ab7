//! The CustomResourceDefinitions: fresh, documented, bounded, and each rule of them tried on a real API server.

#[path = "../support/examples.rs"]
mod documented;
#[path = "../support/mod.rs"]
mod support;

mod grammar;
mod rows;
mod schema;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams, ValidationDirective};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};

use documented::{blocks, examples};
use rows::{Kind, Row, changed};
use schema::Demand;
use support::gluster_lab::said as words;
use support::kube_lab::KubeLab;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// File name, text and content of each definition.
fn definitions() -> Vec<(String, String, Value)> {
    gluster_operator::cli::crds::definitions()
        .unwrap()
        .into_iter()
        .map(|(name, text)| {
            let value = serde_saphyr::from_str(&text).unwrap();
            (name, text, value)
        })
        .collect()
}

fn definition(kind: Kind) -> Value {
    let name = format!("{}.yaml", kind.plural());
    definitions()
        .into_iter()
        .find(|(file, _, _)| *file == name)
        .unwrap()
        .2
}

#[test]
fn files_are_fresh() {
    let all = definitions();
    assert_eq!(all.len(), 2);
    for (name, text, _) in &all {
        let path = root("crds").join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == *text, "{} is stale: make crds", path.display());
    }
    let kept = std::fs::read_dir(root("crds")).unwrap().count();
    assert_eq!(kept, all.len(), "crds/ holds a file that nothing generates");
}

#[test]
fn every_field_is_documented_and_bounded() {
    for (name, _, definition) in definitions() {
        let gaps = schema::gaps(&definition);
        assert!(gaps.is_empty(), "{name}:\n{}", gaps.join("\n"));
    }
}

#[test]
fn printer_columns() {
    let columns = |kind, wide: bool| {
        let definition = definition(kind);
        let columns = definition
            .pointer("/spec/versions/0/additionalPrinterColumns")
            .unwrap()
            .clone();
        let shown = |column: &&Value| (column["priority"].as_i64().unwrap_or(0) > 0) == wide;
        let columns = columns.as_array().unwrap().iter().filter(shown);
        columns
            .map(|c| c["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        columns(Kind::Volume, false),
        "Cluster Type Capacity Ready Age"
    );
    assert_eq!(columns(Kind::Volume, true), "Volume Used Reason");
    assert_eq!(columns(Kind::Cluster, false), "Ready Peers Devices Age");
    assert_eq!(columns(Kind::Cluster, true), "Op-version Reason");
}

/// A real API server with our kinds.
struct Server {
    lab: KubeLab,
    client: Client,
}

impl Server {
    async fn up() -> Option<Self> {
        let lab = KubeLab::up(0)?;
        let crds = root("crds");
        let applied = lab.kubectl(&["apply", "-f", &crds.display().to_string()]);
        assert!(applied.status.success(), "{}", words(&applied));
        let wait = [
            "wait",
            "crd",
            "--all",
            "--for=condition=Established",
            "--timeout=60s",
        ];
        let established = lab.kubectl(&wait);
        assert!(established.status.success(), "{}", words(&established));
        let kubeconfig = Kubeconfig::read_from(lab.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options);
        let client = Client::try_from(config.await.unwrap()).unwrap();
        Some(Self { lab, client })
    }

    fn api(&self, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("gluster-operator.io", "v1alpha1", kind);
        let resource = ApiResource::from_gvk(&gvk);
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    fn api_of(&self, kind: Kind) -> Api<DynamicObject> {
        match kind {
            Kind::Cluster => self.api("GlusterCluster", None),
            Kind::Volume => self.api("GlusterVolume", Some("default")),
        }
    }

    /// Sends the object of a row without leaving it there.
    async fn try_row(&self, row: &Row, number: usize) -> Result<DynamicObject, kube::Error> {
        let api = self.api_of(row.kind);
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let minimal = row.kind.minimal();
        let Some(before) = &row.before else {
            return api
                .create(&dry, &object(changed(minimal, &row.changes)))
                .await;
        };
        let mut before = changed(minimal, before);
        before["metadata"]["name"] = json!(format!("edit-{number}"));
        let kept = api
            .create(&PostParams::default(), &object(before))
            .await
            .unwrap_or_else(|error| {
                panic!("{}: the object of before is refused: {error}", row.name)
            });
        let next = changed(serde_json::to_value(&kept).unwrap(), &row.changes);
        api.replace(&kept.name_any(), &dry, &object(next)).await
    }
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

/// Tries a row, and says what it was refused for.
async fn check(server: &Server, row: &Row, number: usize, wrong: &mut Vec<String>) -> Vec<Demand> {
    let name = format!("{:?}: {}", row.kind, row.name);
    let status = match (server.try_row(row, number).await, row.refusal) {
        (Ok(_), None) => return Vec::new(),
        (Ok(_), Some(_)) => {
            wrong.push(format!("{name}: accepted"));
            return Vec::new();
        }
        (Err(kube::Error::Api(status)), _) => status,
        (Err(error), _) => panic!("{name}: {error}"),
    };
    match row.refusal {
        Some(part) if status.message.contains(part) => {}
        Some(part) => wrong.push(format!(
            "{name}: refused, but not for {part:?}: {}",
            status.message
        )),
        None => wrong.push(format!("{name}: refused: {}", status.message)),
    }
    let definition = definition(row.kind);
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .map(|cause| schema::refused(&cause.field, &cause.message, &definition))
        .collect()
}

#[tokio::test]
async fn rules_on_a_real_api_server() {
    let Some(server) = Server::up().await else {
        return;
    };
    every_rule_accepts_and_refuses(&server).await;
    defaults_are_filled_in(&server).await;
    unknown_fields_are_refused(&server).await;
    every_example_is_valid(&server).await;
    people_see_columns_and_documentation(&server).await;
}

async fn every_rule_accepts_and_refuses(server: &Server) {
    let mut wrong = Vec::new();
    let mut all = rows::cluster();
    all.extend(rows::volume());
    all.extend(rows::edits());
    let mut seen: [BTreeSet<Demand>; 2] = [BTreeSet::new(), BTreeSet::new()];
    for (number, row) in all.iter().enumerate() {
        let refused = check(server, row, number, &mut wrong).await;
        seen[row.kind as usize].extend(refused);
    }
    assert!(
        wrong.is_empty(),
        "{} of {} rows:\n{}",
        wrong.len(),
        all.len(),
        wrong.join("\n")
    );
    println!("{} rows", all.len());
    for kind in [Kind::Cluster, Kind::Volume] {
        let demands = schema::demands(&definition(kind));
        assert!(demands.len() > 20, "only {demands:?}");
        let missing: Vec<_> = demands.difference(&seen[kind as usize]).collect();
        assert!(
            missing.is_empty(),
            "{kind:?}: no row is refused for\n{missing:#?}"
        );
    }
}

async fn defaults_are_filled_in(server: &Server) {
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let filled = async |kind: Kind| {
        let made = server
            .api_of(kind)
            .create(&dry, &object(kind.minimal()))
            .await
            .unwrap();
        made.data["spec"].clone()
    };
    assert_eq!(
        filled(Kind::Volume).await,
        json!({
            "clusterName": "prod", "layout": {"replicate": {"copies": 3, "arbiter": false}},
            "profile": "default", "state": "Started", "deletionPolicy": "Retain",
        })
    );
    assert_eq!(
        filled(Kind::Cluster).await,
        json!({
            "access": {"ssh": {"user": "root", "port": 22, "sudo": false, "secretRef": {"name": "gluster-ssh"}}},
            "nodes": [{"name": "node1", "devices": [{"path": "/srv/b"}]}],
            "tenancy": {"namespaces": {"from": "Same"}, "options": ["performance.*"], "bricks": "Deny"},
            "opVersion": {"policy": "Keep"},
            "quotaTimeouts": {"soft": 10, "hard": 5},
            "trash": {"retention": "24h", "minFreePercent": 10},
        })
    );
}

fn strict() -> PatchParams {
    PatchParams {
        dry_run: true,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("test")
    }
}

async fn unknown_fields_are_refused(server: &Server) {
    let changes = vec![("/spec/layout/stripe", json!(2))];
    let object = changed(Kind::Volume.minimal(), &changes);
    let api = server.api_of(Kind::Volume);
    let error = api
        .patch("data", &strict(), &Patch::Apply(&object))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("stripe"), "{error}");
}

#[test]
fn blocks_of_markdown_are_found() {
    let text = "a\n```yaml\nb: 1\n```\n  ```yaml\n  c:\n    d: 2\n  ```\n```sh\ne\n```\n";
    assert_eq!(blocks(text), ["b: 1\n", "c:\n  d: 2\n"]);
}

async fn every_example_is_valid(server: &Server) {
    let examples = examples();
    assert!(examples.len() >= 2, "only {examples:?}");
    for (place, example) in examples {
        let namespace = example["metadata"]["namespace"].as_str();
        if let Some(namespace) = namespace {
            server.lab.kubectl(&["create", "namespace", namespace]); // may be there already
        }
        let kind = example["kind"].as_str().unwrap();
        let name = example["metadata"]["name"].as_str().unwrap();
        let namespace = namespace.or((kind == "GlusterVolume").then_some("default"));
        let api = server.api(kind, namespace);
        if let Err(error) = api.patch(name, &strict(), &Patch::Apply(&example)).await {
            panic!("{place}: {kind} {name}: {error}");
        }
    }
}

async fn people_see_columns_and_documentation(server: &Server) {
    let api = server.api_of(Kind::Volume);
    let changes = vec![
        ("/spec/capacity", json!("2Gi")),
        ("/metadata/name", json!("shown")),
    ];
    let shown = changed(Kind::Volume.minimal(), &changes);
    api.create(&PostParams::default(), &object(shown))
        .await
        .unwrap();
    let now = "2026-01-01T00:00:00Z";
    let ready = json!({"type": "Ready", "status": "True", "reason": "AsDeclared", "message": "", "lastTransitionTime": now});
    let status = json!({"status": {
        "type": "Replicate", "volumeName": "default_shown", "conditions": [ready],
        "quota": {"limit": "2Gi", "used": "100Mi"},
    }});
    api.patch_status("shown", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    let table = |args: &[&str]| {
        let answer = server.lab.kubectl(args);
        assert!(answer.status.success(), "{}", words(&answer));
        let text = String::from_utf8(answer.stdout).unwrap();
        let lines = text.lines().map(|line| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
        lines.collect::<Vec<_>>()
    };
    let normal = table(&["get", "gv", "shown"]);
    assert_eq!(
        normal[0],
        ["NAME", "CLUSTER", "TYPE", "CAPACITY", "READY", "AGE"]
    );
    assert_eq!(
        normal[1][..5],
        ["shown", "prod", "Replicate", "2Gi", "True"]
    );
    let wide = table(&["get", "gv", "shown", "-o", "wide"]);
    assert_eq!(wide[0][6..], ["VOLUME", "USED", "REASON"]);
    assert_eq!(wide[1][6..], ["default_shown", "100Mi", "AsDeclared"]);
    // found by the cluster that it is on, and by the category of all our kinds
    let selected = table(&[
        "get",
        "gv",
        "--field-selector",
        "spec.clusterName=prod",
        "-o",
        "name",
    ]);
    assert!(
        selected.iter().any(|line| line[0].ends_with("/shown")),
        "{selected:?}"
    );
    assert!(!table(&["get", "gluster", "-A", "-o", "name"]).is_empty());

    for (field, part) in [
        ("gv.spec.capacity", "enforced by GlusterFS quota"),
        (
            "gv.spec.claim.accessModes",
            "one node at a time can reach the data",
        ),
        ("gc.spec.access.ssh.secretRef", "ssh-privatekey"),
    ] {
        let answer = server.lab.kubectl(&["explain", field]);
        let text = String::from_utf8(answer.stdout).unwrap();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(part), "kubectl explain {field}: {text}");
    }
}
