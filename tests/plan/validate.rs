//! What validation refuses: the field, the value, and what helps.

use gluster_operator::api::condition::Reason;
use gluster_operator::api::volume::GlusterVolumeStatus;
use gluster_operator::plan::validate::{self, Access, Invalid, Tenant};
use serde_json::{Value, json};

use super::world::{self, KUBE, NAMESPACE_UID, UID, VOLUME_UID};

fn refused(problems: &[Invalid], name: &str, field: &str, words: &[&str], reason: Reason) {
    let hit = problems.iter().find(|problem| {
        problem.field == field && words.iter().all(|word| problem.why.contains(word))
    });
    let hit = hit.unwrap_or_else(|| panic!("{name}: not {field} with {words:?}: {problems:?}"));
    assert_eq!(hit.reason, reason, "{name}");
}

#[test]
fn clusters() {
    for (name, pointer, value, field, words) in [
        (
            "a name in capitals",
            "/nodes/0/name",
            json!("n_1"),
            "spec.nodes[0].name",
            &["n_1", "letters"][..],
        ),
        (
            "a bad address",
            "/nodes/1/address",
            json!("fe80::1"),
            "spec.nodes[1].address",
            &["fe80::1"],
        ),
        (
            "a node twice",
            "/nodes/1/name",
            json!("N1"),
            "spec.nodes[1].name",
            &["N1", "twice"],
        ),
        (
            "an address twice",
            "/nodes/1/address",
            json!("n1"),
            "spec.nodes[1].address",
            &["n1", "two nodes are two hosts"],
        ),
        (
            "a path with ..",
            "/nodes/0/devices",
            json!([{"path": "/a/.."}]),
            "spec.nodes[0].devices[0].path",
            &["/a/..", "without"],
        ),
        (
            "a device in a device",
            "/nodes/0/devices",
            json!([{"path": "/a"}, {"path": "/a/b"}]),
            "spec.nodes[0].devices",
            &["/a/b", "below another"],
        ),
        (
            "a bad key",
            "/options",
            json!({"x": "1"}),
            "spec.options",
            &["\"x\"", "at least one '.'"],
        ),
        (
            "a bad value",
            "/options",
            json!({"a.b": "1\n2"}),
            "spec.options",
            &["1\\n2", "printable"],
        ),
        (
            "a key in capitals",
            "/options",
            json!({"A.b": "1"}),
            "spec.options",
            &["A.b", "write a.b"],
        ),
        (
            "the op-version",
            "/options",
            json!({"cluster.op-version": "100000"}),
            "spec.options",
            &["cluster.op-version", "undone"],
        ),
        (
            "a volume that nobody declares",
            "/options",
            json!({"cluster.enable-shared-storage": "enable"}),
            "spec.options",
            &["cluster.enable-shared-storage", "deletes that volume"],
        ),
        (
            "a path on the hosts",
            "/options",
            json!({"cluster.daemon-log-level": "/etc/passwd"}),
            "spec.options",
            &["cluster.daemon-log-level", "'/'"],
        ),
        (
            "a bad owner",
            "/takeOver",
            json!("a b"),
            "spec.takeOver",
            &["a b", "letters"],
        ),
        (
            "a CIDR",
            "/clients",
            json!({"addresses": ["10.0.0.0/24"]}),
            "spec.clients.addresses",
            &["10.0.0.0/24", "prefix"],
        ),
        (
            "too many addresses",
            "/clients",
            json!({"addresses": vec!["x".repeat(60); 5]}),
            "spec.clients.addresses",
            &["255", "prefixes"],
        ),
    ] {
        let mut spec = json!({
            "access": {"ssh": {"secretRef": {"name": "s"}}}, "nodes": [{"name": "n1"}, {"name": "n2"}], "options": {}, "takeOver": "", "clients": null,
        });
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[last] = value;
        let problems = validate::cluster("prod", UID, KUBE, &serde_json::from_value(spec).unwrap())
            .unwrap_err();
        refused(&problems, name, field, words, Reason::InvalidSpec);
    }
    let spec = serde_json::from_value(
        json!({"access": {"ssh": {"secretRef": {"name": "s"}}}, "nodes": [{"name": "n1"}]}),
    )
    .unwrap();
    let problems = validate::cluster("a.b", UID, KUBE, &spec).unwrap_err();
    refused(
        &problems,
        "a name with a dot",
        "metadata.name",
        &["a.b"],
        Reason::InvalidSpec,
    );
    assert!(validate::cluster("prod", UID, "a b", &spec).is_err());
}

fn tenant(namespace: &str, operators_own: bool) -> Tenant<'_> {
    Tenant {
        namespace,
        namespace_uid: NAMESPACE_UID,
        operators_own,
        selected: false,
    }
}

fn volume(
    tenant: &Tenant<'_>,
    tenancy: Value,
    more: Value,
) -> Result<validate::ValidVolume, Vec<Invalid>> {
    let cluster = world::cluster(3, json!({"tenancy": tenancy}));
    let mut spec = json!({"clusterName": "prod", "layout": {"distribute": 1}});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    validate::volume(
        tenant,
        "data",
        VOLUME_UID,
        &serde_json::from_value(spec).unwrap(),
        &GlusterVolumeStatus::default(),
        &cluster,
    )
}

#[test]
fn volumes() {
    use Reason::{InvalidSpec, NotAllowed};
    for (name, more, field, words, reason) in [
        (
            "a name of another namespace",
            json!({"volumeName": "bank_data"}),
            "spec.volumeName",
            &["bank_data", "shop_"][..],
            NotAllowed,
        ),
        (
            "a bad name",
            json!({"volumeName": "shop_a.b"}),
            "spec.volumeName",
            &["shop_a.b", "letters"],
            InvalidSpec,
        ),
        (
            "no layout",
            json!({"layout": {}}),
            "spec.layout",
            &["replicate nor disperse nor distribute"],
            InvalidSpec,
        ),
        (
            "one copy",
            json!({"layout": {"replicate": {"copies": 1}}}),
            "spec.layout.replicate.copies",
            &["1", "2 to 5"],
            InvalidSpec,
        ),
        (
            "copies and fragments",
            json!({"layout": {"replicate": {"copies": 3}, "disperse": {"data": 2, "redundancy": 1}}}),
            "spec.layout",
            &["replicate and disperse"],
            InvalidSpec,
        ),
        (
            "an arbiter of two",
            json!({"layout": {"replicate": {"copies": 2, "arbiter": true}}}),
            "spec.layout.replicate.arbiter",
            &["third of three", "2"],
            InvalidSpec,
        ),
        (
            "too much data in a set: gluster would make it, and nobody could mount it",
            json!({"layout": {"disperse": {"data": 17, "redundancy": 4}}}),
            "spec.layout.disperse.data",
            &["17", "2 to 16"],
            InvalidSpec,
        ),
        (
            "too much redundancy",
            json!({"layout": {"disperse": {"data": 4, "redundancy": 4}}}),
            "spec.layout.disperse.redundancy",
            &["4", "1 to 3"],
            InvalidSpec,
        ),
        (
            "a redundancy past every number",
            json!({"layout": {"disperse": {"data": 4, "redundancy": u32::MAX}}}),
            "spec.layout.disperse.redundancy",
            &["1 to 3"],
            InvalidSpec,
        ),
        (
            "small shards",
            json!({"layout": {"distribute": 1, "shard": {"blockSize": "1Mi"}}}),
            "spec.layout.shard.blockSize",
            &["1048576", "4Mi to 4Ti"],
            InvalidSpec,
        ),
        (
            "shards of no size",
            json!({"layout": {"distribute": 1, "shard": {"blockSize": "64MB"}}}),
            "spec.layout.shard.blockSize",
            &["64MB"],
            InvalidSpec,
        ),
        (
            "two copies on one host",
            json!({"layout": {"replicate": {"copies": 2}, "distribute": 2}, "bricks": ["n1:/b/x", "n2:/b/x", "n3:/b/y", "n3:/b/x"]}),
            "spec.bricks[3]",
            &[
                "n3:/b/x and n3:/b/y",
                "one set, which is bricks 2 to 3",
                "one host",
            ],
            InvalidSpec,
        ),
        (
            "too many bricks",
            json!({"layout": {"replicate": {"copies": 5}, "distribute": 64}}),
            "spec.layout.distribute",
            &["64", "128"],
            InvalidSpec,
        ),
        (
            "too few bricks",
            json!({"layout": {"distribute": 2}, "bricks": ["n1:/b/x"]}),
            "spec.bricks",
            &["1 bricks", "needs 2"],
            InvalidSpec,
        ),
        (
            "a brick elsewhere",
            json!({"bricks": ["n1:/etc/x"]}),
            "spec.bricks[0]",
            &["n1:/etc/x", "below a device"],
            InvalidSpec,
        ),
        (
            "the device itself",
            json!({"bricks": ["n1:/b"]}),
            "spec.bricks[0]",
            &["n1:/b", "below a device"],
            InvalidSpec,
        ),
        (
            "a brick on no node",
            json!({"bricks": ["n9:/b/x"]}),
            "spec.bricks[0]",
            &["n9:/b/x", "listed node"],
            InvalidSpec,
        ),
        (
            "a brick in the trash",
            json!({"bricks": ["n1:/b/.trash/x"]}),
            "spec.bricks[0]",
            &[".trash", "not for bricks"],
            InvalidSpec,
        ),
        (
            "a bad brick",
            json!({"bricks": ["n1:/b/../x"]}),
            "spec.bricks[0]",
            &["/b/../x", "without"],
            InvalidSpec,
        ),
        (
            "a brick twice",
            json!({"layout": {"distribute": 2}, "bricks": ["n1:/b/x", "n1:/b/x"]}),
            "spec.bricks[1]",
            &["n1:/b/x", "overlap"],
            InvalidSpec,
        ),
        (
            "a brick in a brick",
            json!({"layout": {"distribute": 2}, "bricks": ["n1:/b/x", "n1:/b/x/y"]}),
            "spec.bricks[1]",
            &["n1:/b/x/y", "overlap"],
            InvalidSpec,
        ),
        (
            "a small capacity",
            json!({"capacity": "1Ki"}),
            "spec.capacity",
            &["1024", "1Mi"],
            InvalidSpec,
        ),
        (
            "no capacity",
            json!({"capacity": "much"}),
            "spec.capacity",
            &["much", "2Gi"],
            InvalidSpec,
        ),
        (
            "part of a byte",
            json!({"capacity": "1048576.5"}),
            "spec.capacity",
            &["1048576.5", "fraction"],
            InvalidSpec,
        ),
        (
            "a claim without capacity",
            json!({"claim": {"name": "c", "accessModes": ["ReadWriteOnce"]}}),
            "spec.capacity",
            &["claim"],
            InvalidSpec,
        ),
        (
            "a key in capitals",
            json!({"options": {"performance.Cache-size": "1"}}),
            "spec.options",
            &["performance.cache-size"],
            InvalidSpec,
        ),
        (
            "an option of nobody",
            json!({"options": {"auth.allow": "*"}}),
            "spec.options",
            &["auth.allow", "spec.clients"],
            NotAllowed,
        ),
        (
            "a path",
            json!({"options": {"performance.x": "/etc/passwd"}}),
            "spec.options",
            &["/etc/passwd", "file"],
            NotAllowed,
        ),
        (
            "an option of the admin",
            json!({"options": {"network.ping-timeout": "5"}}),
            "spec.options",
            &["network.ping-timeout", "spec.tenancy.options"],
            NotAllowed,
        ),
    ] {
        let tenancy = json!({"namespaces": {"from": "All"}, "bricks": "Allow"});
        let problems = volume(&tenant("shop", false), tenancy, more).unwrap_err();
        refused(&problems, name, field, words, reason);
    }
    let problems = volume(
        &tenant("shop", false),
        json!({"namespaces": {"from": "All"}}),
        json!({"bricks": ["n1:/b/x"]}),
    )
    .unwrap_err();
    refused(
        &problems,
        "bricks by a tenant",
        "spec.bricks",
        &["spec.tenancy.bricks"],
        NotAllowed,
    );
}

#[test]
fn who_is_admitted() {
    let all = json!({"namespaces": {"from": "All"}});
    let same = json!({"namespaces": {"from": "Same"}});
    let some = json!({"namespaces": {"from": "Selector", "selector": {}}});
    let selected = Tenant {
        selected: true,
        ..tenant("shop", false)
    };
    for (name, tenant, tenancy, admitted) in [
        ("another namespace, all", tenant("shop", false), &all, true),
        (
            "another namespace, same",
            tenant("shop", false),
            &same,
            false,
        ),
        (
            "another namespace, not selected",
            tenant("shop", false),
            &some,
            false,
        ),
        ("another namespace, selected", selected.clone(), &some, true),
        ("selected counts for nothing else", selected, &same, false),
        (
            "the operator's",
            tenant("gluster-operator", true),
            &same,
            true,
        ),
        (
            "the operator's, not selected",
            tenant("gluster-operator", true),
            &some,
            true,
        ),
    ] {
        match volume(&tenant, tenancy.clone(), json!({})) {
            Ok(_) => assert!(admitted, "{name}"),
            Err(problems) => {
                assert!(!admitted, "{name}: {problems:?}");
                refused(
                    &problems,
                    name,
                    "spec.clusterName",
                    &["shop", "prod", "spec.tenancy.namespaces"],
                    Reason::NotAdmitted,
                );
            }
        }
    }
    // the operator's own namespace may name its volumes as it likes, and set what tenants may not
    let own = json!({"volumeName": "old", "options": {"network.ping-timeout": "5"}, "bricks": ["n1:/b/x"]});
    assert!(volume(&tenant("gluster-operator", true), same, own).is_ok());
}

#[test]
fn a_long_namespace_gets_its_default_name() {
    let namespace = "n".repeat(60);
    let made = volume(
        &tenant(&namespace, false),
        json!({"namespaces": {"from": "All"}}),
        json!({}),
    )
    .unwrap();
    assert_eq!(made.volume.as_str().len(), 54);
}

#[test]
fn who_may_reach_the_data() {
    let access = |modes: Value| {
        let more = json!({"capacity": "1Gi", "claim": {"name": "c", "accessModes": modes}});
        volume(
            &tenant("shop", false),
            json!({"namespaces": {"from": "All"}}),
            more,
        )
        .unwrap()
        .access
    };
    for one in [json!(["ReadWriteOnce"]), json!(["ReadWriteOncePod"])] {
        assert_eq!(access(one), Access::OneWriter);
    }
    for many in [
        json!(["ReadWriteMany"]),
        json!(["ReadOnlyMany"]),
        json!(["ReadWriteOnce", "ReadWriteMany"]),
    ] {
        assert_eq!(access(many), Access::Clients("*".parse().unwrap()));
    }
}

/// A device or a host may leave the spec while bricks lie there: what is made goes on to be looked after.
#[test]
fn bricks_of_a_volume_that_is_made_lie_where_they_lie() {
    let spec = serde_json::from_value(json!({
        "clusterName": "prod", "layout": {"distribute": 2}, "bricks": ["n9:/b/x", "n1:/old/x"],
    }));
    let spec = spec.unwrap();
    let cluster = world::cluster(3, json!({}));
    let own = tenant("gluster-operator", true);
    let judge = |volume_id: Option<&str>| {
        let before = GlusterVolumeStatus {
            volume_id: volume_id.map(str::to_owned),
            ..GlusterVolumeStatus::default()
        };
        validate::volume(&own, "data", VOLUME_UID, &spec, &before, &cluster)
    };
    assert_eq!(judge(None).unwrap_err().len(), 2);
    let made = judge(Some("00000000-0000-0000-0000-0000000000aa")).unwrap();
    assert_eq!(made.bricks.unwrap().len(), 2);
}
