//! The manifests that users apply: deploy/, examples/, and what docs/ shows.

#[path = "support/examples.rs"]
mod documented;

use std::path::{Path, PathBuf};

#[path = "support/openapi.rs"]
mod openapi;

use documented::examples;

use gluster_operator::api::{GlusterCluster, GlusterVolume};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[test]
fn every_document_names_what_it_is() {
    let files = files();
    assert!(files.len() >= 4, "only {files:?}");
    for file in files {
        for document in documents(&file) {
            for field in ["/apiVersion", "/kind", "/metadata/name"] {
                let value = document
                    .pointer(field)
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                assert!(
                    !value.is_empty(),
                    "{}: {field} is missing in {document}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn examples_are_valid_objects_without_unknown_fields() {
    let examples = examples();
    assert!(examples.len() >= 2, "only {examples:?}");
    for (place, document) in examples {
        let typed = match document["kind"].as_str() {
            Some("GlusterCluster") => typed::<GlusterCluster>(&document),
            Some("GlusterVolume") => typed::<GlusterVolume>(&document),
            other => panic!("{place}: there is no kind {other:?}"),
        };
        if let Some(path) = lost(&document["spec"], &typed["spec"], "spec") {
            panic!("{place}: nothing reads {path}");
        }
    }
}

/// The schema of one of our kinds, without what the API server adds to it: the fields that every object has.
fn schema(kind: &str) -> Value {
    let file = match kind {
        "GlusterCluster" => "crds/glusterclusters.yaml",
        "GlusterVolume" => "crds/glustervolumes.yaml",
        other => panic!("there is no kind {other}"),
    };
    let mut schema = documents(&path(file))
        .remove(0)
        .pointer("/spec/versions/0/schema/openAPIV3Schema")
        .expect("a definition has a schema")
        .clone();
    for (field, kind) in [
        ("apiVersion", "string"),
        ("kind", "string"),
        ("metadata", "object"),
    ] {
        schema["properties"][field] = json!({"type": kind});
    }
    schema
}

#[test]
fn examples_are_as_the_definitions_want_them() {
    let mut seen = std::collections::BTreeSet::new();
    for (place, document) in examples() {
        let kind = document["kind"].as_str().expect("a kind");
        let problems = openapi::problems(&schema(kind), &document, "");
        assert!(problems.is_empty(), "{place}: {problems:#?}");
        seen.insert((place, kind.to_owned()));
    }
    // what people copy first is not overlooked
    for kind in ["GlusterCluster", "GlusterVolume"] {
        assert!(
            seen.contains(&("README.md".to_owned(), kind.to_owned())),
            "{seen:?}"
        );
    }
}

#[test]
fn what_the_definitions_do_not_want_is_found() {
    let volume = json!({
        "apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterVolume", "metadata": {"name": "a"},
        "spec": {"clusterName": "prod", "layout": {"replicate": {"copies": 3}}, "options": {"a.b": "1"}},
    });
    let schema = schema("GlusterVolume");
    assert_eq!(openapi::problems(&schema, &volume, ""), [""; 0]);
    for (pointer, value, says) in [
        (
            "/spec/clusterName",
            json!("Prod"),
            ".spec.clusterName: \"Prod\" against pattern",
        ),
        ("/spec/clusterName", json!(1), "against type"),
        (
            "/spec/clusterName",
            json!("x".repeat(200)),
            "against maxLength",
        ),
        ("/spec/layout/replicate/copies", json!(1), "against minimum"),
        (
            "/spec/layout/replicate/copies",
            json!(1000),
            "against maximum",
        ),
        (
            "/spec/layout/replicate",
            json!({}),
            ".spec.layout.replicate.copies: required",
        ),
        (
            "/spec/options/a.b",
            json!(""),
            ".spec.options.a.b: \"\" against minLength",
        ),
        ("/spec/state", json!("Paused"), "against enum"),
        ("/spec/sttae", json!("Started"), ".spec.sttae: unknown"),
        (
            "/spec/claim",
            json!({"name": "c", "accessModes": []}),
            "against minItems",
        ),
    ] {
        let mut bad = volume.clone();
        let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
        bad.pointer_mut(parent).expect("it is there")[last] = value;
        let found = openapi::problems(&schema, &bad, "");
        assert!(
            found.iter().any(|problem| problem.contains(says)),
            "{pointer}: {found:?}"
        );
    }
}

#[test]
fn installed_is_this_version() {
    let wanted = format!("gluster-operator:{}", env!("CARGO_PKG_VERSION"));
    let mut seen = 0;
    for document in documents(&path("deploy/install.yaml")) {
        for container in document
            .pointer("/spec/template/spec/containers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            assert_eq!(container["image"], json!(wanted));
            seen += 1;
        }
    }
    assert_eq!(seen, 2, "containers: controller and node");
}

#[test]
fn the_node_plugin_has_no_access_to_the_api() {
    let documents = documents(&path("deploy/install.yaml"));
    let account = find(&documents, "ServiceAccount", "gluster-operator-node");
    assert_eq!(account["automountServiceAccountToken"], json!(false));
    let pod = &find(&documents, "DaemonSet", "gluster-operator-node")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    assert_eq!(pod["serviceAccountName"], json!("gluster-operator-node"));
    for document in &documents {
        for subject in document["subjects"].as_array().into_iter().flatten() {
            assert_eq!(
                subject["name"],
                json!("gluster-operator-controller"),
                "{document}"
            );
        }
    }
}

#[test]
fn the_controller_gets_what_it_needs_and_no_more() {
    let documents = documents(&path("deploy/install.yaml"));
    let cluster_wide = find(&documents, "ClusterRole", "gluster-operator-controller");
    for rule in cluster_wide["rules"].as_array().expect("rules") {
        for list in ["apiGroups", "resources", "verbs"] {
            assert!(
                !rule[list].as_array().expect("a list").contains(&json!("*")),
                "{rule}"
            );
        }
        let resources = rule["resources"].as_array().expect("a list");
        assert!(
            !resources.contains(&json!("secrets")),
            "secrets of all namespaces: {rule}"
        );
        let writes = rule["verbs"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|verb| !["get", "list", "watch"].contains(&verb.as_str().unwrap_or_default()));
        let foreign = ["pods", "nodes", "namespaces"]
            .iter()
            .any(|resource| resources.contains(&json!(resource)));
        assert!(!(writes && foreign), "{rule}");
    }
    let controller = &find(&documents, "Deployment", "gluster-operator-controller")["spec"];
    assert_eq!(controller["replicas"], json!(1));
    assert_eq!(controller["strategy"]["type"], json!("Recreate"));
    let container = &controller["template"]["spec"]["containers"][0]["securityContext"];
    assert_eq!(
        *container,
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
    );
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// All YAML files of deploy/ and examples/, the README, and the pages of docs/.
fn files() -> Vec<PathBuf> {
    let mut found = vec![path("README.md")];
    let mut open = vec![path("deploy"), path("examples"), path("docs")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("the directory is there") {
            let file = entry.expect("an entry").path();
            if file.is_dir() {
                open.push(file);
            } else if file
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "md")
            {
                found.push(file);
            }
        }
    }
    found.sort();
    found
}

fn documents(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("the file can be read");
    let text = if file.extension().is_some_and(|extension| extension == "md") {
        fenced(&text)
    } else {
        text
    };
    if text.trim().is_empty() {
        return Vec::new();
    }
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What a page shows between ```yaml and ```.
fn fenced(page: &str) -> String {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in page.lines() {
        match (&mut block, line.trim()) {
            (None, "```yaml") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), _) => *text = [text.as_str(), line, "\n"].concat(),
            (None, _) => {}
        }
    }
    assert!(block.is_none(), "a block does not end");
    blocks.join("---\n")
}

fn find<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = documents
        .iter()
        .find(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// The object as our type understands it, as JSON again.
fn typed<K: DeserializeOwned + Serialize>(document: &Value) -> Value {
    let object: K = serde_json::from_value(document.clone())
        .unwrap_or_else(|error| panic!("{error}: {document}"));
    serde_json::to_value(object).expect("JSON")
}

/// The path of the first field of `given` that `understood` does not have.
fn lost(given: &Value, understood: &Value, path: &str) -> Option<String> {
    match (given, understood) {
        (Value::Object(given), understood) => given.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            let Some(other) = understood.get(key) else {
                return Some(path);
            };
            lost(value, other, &path)
        }),
        (Value::Array(given), Value::Array(understood)) if given.len() == understood.len() => given
            .iter()
            .zip(understood)
            .enumerate()
            .find_map(|(index, (value, other))| lost(value, other, &format!("{path}[{index}]"))),
        (given, understood) => (given != understood).then(|| path.to_owned()),
    }
}
