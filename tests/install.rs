//! The manifests on a real API server: what README tells users to apply is accepted, and grants what it should.

mod support;

use std::path::Path;
use std::time::Duration;

use support::gluster_lab::said as words;
use support::kube_lab::KubeLab;

const CONTROLLER: &str = "--as=system:serviceaccount:gluster-operator:gluster-operator-controller";
const NODE: &str = "--as=system:serviceaccount:gluster-operator:gluster-operator-node";
const OURS: &str = "gluster-operator";

#[test]
fn installation_is_accepted_and_grants_no_more_than_is_needed() {
    let Some(lab) = KubeLab::up(0) else { return };
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = |name: &str| project.join(name).to_string_lossy().into_owned();

    for (what, path) in [
        ("the CRDs", file("crds")),
        ("the operator", file("deploy/install.yaml")),
    ] {
        let applied = lab.kubectl(&["apply", "--validate=strict", "-f", &path]);
        assert!(applied.status.success(), "{what}: {}", words(&applied));
    }
    lab.wait(
        Duration::from_secs(20),
        &[
            "get",
            "crd",
            "-o",
            "jsonpath={.items[*].status.conditions[?(@.type=='Established')].status}",
        ],
        |text| text == "True True",
    );
    let again = lab.kubectl(&[
        "apply",
        "-f",
        &file("crds"),
        "-f",
        &file("deploy/install.yaml"),
    ]);
    let said = words(&again);
    assert!(
        again.status.success() && !said.contains(" configured") && !said.contains(" created"),
        "not idempotent: {said}"
    );

    // the API server serves a new kind a moment after it says so
    lab.wait(Duration::from_secs(20), &["get", "gc,gv", "-A"], |_| true);
    let examples = lab.kubectl(&[
        "apply",
        "--validate=strict",
        "--dry-run=server",
        "-R",
        "-f",
        &file("examples"),
    ]);
    assert!(
        examples.status.success(),
        "the examples: {}",
        words(&examples)
    );

    for (who, verb, resource, namespace, allowed) in [
        (
            CONTROLLER,
            "patch",
            "glusterclusters.gluster-operator.io",
            "",
            true,
        ),
        (
            CONTROLLER,
            "patch",
            "glustervolumes.gluster-operator.io/status",
            "default",
            true,
        ),
        (
            CONTROLLER,
            "delete",
            "glustervolumes.gluster-operator.io",
            "default",
            false,
        ),
        (
            CONTROLLER,
            "create",
            "persistentvolumeclaims",
            "default",
            true,
        ),
        (CONTROLLER, "delete", "persistentvolumes", "", true),
        (CONTROLLER, "list", "pods", "default", true),
        (CONTROLLER, "delete", "pods", "default", false),
        (CONTROLLER, "patch", "nodes", "", false),
        (CONTROLLER, "patch", "events.events.k8s.io", "default", true),
        (CONTROLLER, "watch", "secrets", OURS, true),
        (CONTROLLER, "get", "secrets", "default", false),
        (
            CONTROLLER,
            "create",
            "leases.coordination.k8s.io",
            OURS,
            true,
        ),
        (
            CONTROLLER,
            "update",
            "leases.coordination.k8s.io/gluster-operator-controller",
            OURS,
            true,
        ),
        (
            CONTROLLER,
            "update",
            "leases.coordination.k8s.io/another",
            OURS,
            false,
        ),
        (
            CONTROLLER,
            "create",
            "leases.coordination.k8s.io",
            "kube-system",
            false,
        ),
        (NODE, "get", "secrets", OURS, false),
        (
            NODE,
            "list",
            "glusterclusters.gluster-operator.io",
            "",
            false,
        ),
        (NODE, "get", "pods", OURS, false),
    ] {
        let (resource, subresource) = match resource.strip_suffix("/status") {
            Some(resource) => (resource, "--subresource=status"),
            None => (resource, "--subresource="),
        };
        let namespace = if namespace.is_empty() {
            "default"
        } else {
            namespace
        };
        let args = [
            "auth",
            "can-i",
            verb,
            resource,
            subresource,
            who,
            "-n",
            namespace,
        ];
        let answer = lab.kubectl(&args);
        let said = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        assert_eq!(
            said,
            if allowed { "yes" } else { "no" },
            "{args:?}: {}",
            words(&answer)
        );
    }
}
