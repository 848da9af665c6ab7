//! What the API server shall accept and refuse: a row for each rule, tried on a real one.

use serde_json::{Value, json};

/// A kind of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cluster,
    Volume,
}

impl Kind {
    pub fn plural(self) -> &'static str {
        match self {
            Self::Cluster => "glusterclusters",
            Self::Volume => "glustervolumes",
        }
    }

    /// The smallest valid object.
    pub fn minimal(self) -> Value {
        match self {
            Self::Cluster => json!({
                "apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "metadata": {"name": "prod"},
                "spec": {
                    "access": {"ssh": {"secretRef": {"name": "gluster-ssh"}}},
                    "nodes": [{"name": "node1", "devices": [{"path": "/srv/b"}]}],
                },
            }),
            Self::Volume => json!({
                "apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterVolume",
                "metadata": {"name": "data", "namespace": "default"},
                "spec": {"clusterName": "prod", "layout": {"replicate": {"copies": 3}}},
            }),
        }
    }
}

/// Changes of an object, by JSON pointer; [`ABSENT`] takes the field away.
pub type Changes = Vec<(&'static str, Value)>;
/// As a value in [`Changes`]: the field is not there.
pub const ABSENT: &str = "<absent>";

/// One try.
pub struct Row {
    pub kind: Kind,
    pub name: &'static str,
    /// An object that is there before: the minimal one with these changes. `None`: the row creates.
    pub before: Option<Changes>,
    /// What is sent: the minimal one (or the one of before) with these changes.
    pub changes: Changes,
    /// Part of the refusal; `None`: accepted.
    pub refusal: Option<&'static str>,
}

/// Applies changes to an object.
pub fn changed(mut object: Value, changes: &Changes) -> Value {
    for (pointer, value) in changes {
        let (parent, last) = pointer.rsplit_once('/').expect("a pointer begins with '/'");
        let mut at = &mut object;
        for part in parent.split('/').skip(1) {
            at = match part.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[part],
            };
        }
        if *value == json!(ABSENT) {
            at.as_object_mut().expect("an object").remove(last);
        } else if let Ok(index) = last.parse::<usize>() {
            at[index] = value.clone();
        } else {
            at[last] = value.clone();
        }
    }
    object
}

fn row(kind: Kind, name: &'static str, changes: Changes, refusal: Option<&'static str>) -> Row {
    Row {
        kind,
        name,
        before: None,
        changes,
        refusal,
    }
}

fn x(count: usize) -> String {
    "x".repeat(count)
}

fn nodes(count: usize) -> Value {
    (0..count)
        .map(|i| json!({"name": format!("n{i}")}))
        .collect()
}

fn many(count: usize, make: impl Fn(usize) -> String) -> Value {
    (0..count).map(|i| Value::String(make(i))).collect()
}

fn map(count: usize) -> Value {
    (0..count)
        .map(|i| (format!("performance.o{i}"), json!("on")))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

const PATTERN: &str = "should match";

/// Rows of GlusterCluster.
#[rustfmt::skip] // a row is a line
pub fn cluster() -> Vec<Row> {
    use Kind::Cluster as C;
    let one = |name, pointer, value, refusal| row(C, name, vec![(pointer, value)], refusal);
    let user = "/spec/access/ssh/user";
    let secret = "/spec/access/ssh/secretRef/name";
    let node = "/spec/nodes/0/name";
    let address = "/spec/nodes/0/address";
    let devices = "/spec/nodes/0/devices";
    let path = "/spec/nodes/0/devices/0/path";
    let namespaces = "/spec/tenancy";
    let selector =
        |selector: Value| json!({"namespaces": {"from": "Selector", "selector": selector}});
    let expression = |value: Value| selector(json!({"matchExpressions": [value]}));
    let labels = |count: usize| {
        (0..count)
            .map(|i| (format!("l{i}"), json!("v")))
            .collect::<serde_json::Map<_, _>>()
    };
    vec![
        row(C, "the minimal one", vec![], None),
        // metadata
        one("a name of 22", "/metadata/name", json!(x(22)), None),
        one("a name of 23", "/metadata/name", json!(x(23)), Some("at most 22 characters")),
        one("a name with a dot", "/metadata/name", json!("a.b"), Some("has no '.'")),
        // access
        one("no access", "/spec/access", json!(ABSENT), Some("Required value")),
        one("access by nothing", "/spec/access", json!({}), Some("Required value")),
        one("another user", user, json!("storage-admin"), None),
        one("an empty user", user, json!(""), Some("at least 1 chars long")),
        one("a user of 33", user, json!(x(33)), Some("Too long")),
        one("a user that is an option", user, json!("-oProxyCommand=x"), Some(PATTERN)),
        one("a user with a blank", user, json!("root x"), Some(PATTERN)),
        one("port 65535", "/spec/access/ssh/port", json!(65535), None),
        one("port 0", "/spec/access/ssh/port", json!(0), Some("greater than or equal to 1")),
        one("port 65536", "/spec/access/ssh/port", json!(65536), Some("less than or equal to 65535")),
        one("no secret", "/spec/access/ssh/secretRef", json!(ABSENT), Some("Required value")),
        one("a secret without a name", "/spec/access/ssh/secretRef", json!({}), Some("Required value")),
        one("a secret with an empty name", secret, json!(""), Some("at least 1 chars long")),
        one("a secret's name of 254", secret, json!(x(254)), Some("Too long")),
        one("a secret of another namespace", secret, json!("kube-system/admin"), Some(PATTERN)),
        one("a secret's name with two dots", secret, json!("a..b"), Some(PATTERN)),
        // nodes
        one("no nodes", "/spec/nodes", json!(ABSENT), Some("Required value")),
        one("an empty list of nodes", "/spec/nodes", json!([]), Some("should have at least 1 items")),
        one("64 nodes", "/spec/nodes", nodes(64), None),
        one("65 nodes", "/spec/nodes", nodes(65), Some("Too many")),
        one("a node twice", "/spec/nodes", json!([{"name": "a"}, {"name": "a"}]), Some("Duplicate value")),
        one("a zone", "/spec/nodes/0/zone", json!("rack-1.B"), None),
        one("an empty zone", "/spec/nodes/0/zone", json!(""), Some("at least 1 chars long")),
        one("a zone of 64", "/spec/nodes/0/zone", json!(x(64)), Some("Too long")),
        one("a zone with a blank", "/spec/nodes/0/zone", json!("rack 1"), Some(PATTERN)),
        one("a node without a name", "/spec/nodes", json!([{}]), Some("Required value")),
        one("a node with an empty name", node, json!(""), Some("at least 1 chars long")),
        one("a name of 63", node, json!(x(63)), None),
        one("a name of 64", node, json!(x(64)), Some("Too long")),
        one("a name with an underscore", node, json!("node_1"), Some(PATTERN)),
        one("a name with a command", node, json!("$(reboot)"), Some(PATTERN)),
        one("a name that is an option", node, json!("--xml"), Some(PATTERN)),
        one("a name with a line break", node, json!("node1\n"), Some(PATTERN)),
        one("a name with two dots", node, json!("a..b"), Some(PATTERN)),
        one("an IPv4 address", address, json!("192.168.1.101"), None),
        one("an IPv6 address", address, json!("fe80::1"), Some(PATTERN)),
        one("an empty address", address, json!(""), Some("at least 1 chars long")),
        one("an address of 64", address, json!(x(64)), Some("Too long")),
        // devices
        one("no device", devices, json!([]), None),
        one("16 devices", devices, (0..16).map(|i| json!({"path": format!("/b{i}")})).collect(), None),
        one("17 devices", devices, (0..17).map(|i| json!({"path": format!("/b{i}")})).collect(), Some("Too many")),
        one("a device twice", devices, json!([{"path": "/b"}, {"path": "/b"}]), Some("Duplicate value")),
        one("a device without a path", devices, json!([{}]), Some("Required value")),
        one("a path of 256", path, json!(format!("/{}", x(255))), None),
        one("a path of 257", path, json!(format!("/{}/b", x(254))), Some("Too long")),
        one("the root", path, json!("/"), Some("at least 2 chars long")),
        one("a relative path", path, json!("srv/b"), Some(PATTERN)),
        one("a path with ..", path, json!("/srv/../etc"), Some("no '.' or '..'")),
        one("a path with .", path, json!("/srv/./b"), Some("no '.' or '..'")),
        one("a path that ends in ..", path, json!("/srv/.."), Some("no '.' or '..'")),
        one("a path with three dots", path, json!("/srv/..."), None),
        one("a path with an empty part", path, json!("/srv//b"), Some(PATTERN)),
        one("a path with a blank", path, json!("/srv/a b"), Some(PATTERN)),
        one("a path with a quote", path, json!("/srv/a'b"), Some(PATTERN)),
        // options
        one("an option", "/spec/options", json!({"cluster.brick-multiplex": "on"}), None),
        one("64 options", "/spec/options", map(64), None),
        one("65 options", "/spec/options", map(65), Some("Too many")),
        one("an empty value", "/spec/options", json!({"a.b": ""}), Some("at least 1 chars long")),
        one("a value of 257", "/spec/options", json!({"a.b": x(257)}), Some("Too long")),
        one("a value with a line break", "/spec/options", json!({"a.b": "1\n2"}), Some(PATTERN)),
        one("a key without a dot", "/spec/options", json!({"ab": "1"}), Some("an option key looks like")),
        one("a key that is an option", "/spec/options", json!({"--a.b": "1"}), Some("an option key looks like")),
        one("a key of 101", "/spec/options", json!({format!("a.{}", x(99)): "1"}), Some("an option key looks like")),
        // opVersion
        one("the op-version is kept", "/spec/opVersion", json!({"policy": "Keep"}), None),
        one("the highest op-version", "/spec/opVersion", json!({"policy": "Max"}), None),
        one("an op-version", "/spec/opVersion", json!({"policy": "Version", "version": 100_000}), None),
        one("policy Version without one", "/spec/opVersion", json!({"policy": "Version"}), Some("version belongs to policy: Version")),
        one("a version that no policy asks for", "/spec/opVersion", json!({"policy": "Max", "version": 100_000}), Some("version belongs to policy: Version")),
        one("a version without a policy", "/spec/opVersion", json!({"version": 100_000}), Some("version belongs to policy: Version")),
        one("another policy", "/spec/opVersion", json!({"policy": "Newest"}), Some("Unsupported value")),
        one("an op-version that is none", "/spec/opVersion", json!({"policy": "Version", "version": 10}), Some("greater than or equal to 30000")),
        one("an op-version of seven digits", "/spec/opVersion", json!({"policy": "Version", "version": 1_000_000}), Some("less than or equal to 999999")),
        // quotaTimeouts
        one("quota timeouts", "/spec/quotaTimeouts", json!({"soft": 60, "hard": 5}), None),
        one("quota timeouts, one of them", "/spec/quotaTimeouts", json!({"hard": 2}), None),
        one("a soft timeout of 0", "/spec/quotaTimeouts", json!({"soft": 0, "hard": 0}), Some("greater than or equal to 1")),
        one("a hard timeout of 1801", "/spec/quotaTimeouts", json!({"soft": 1801, "hard": 1801}), Some("less than or equal to 1800")),
        one("a hard timeout above the soft one", "/spec/quotaTimeouts", json!({"soft": 5, "hard": 6}), Some("hard is not longer than soft")),
        // glusterdPingTimeout
        one("a ping-timeout", "/spec/glusterdPingTimeout", json!(10), None),
        one("a ping-timeout of 0", "/spec/glusterdPingTimeout", json!(0), Some("greater than or equal to 5")),
        one("a ping-timeout of 301", "/spec/glusterdPingTimeout", json!(301), Some("less than or equal to 300")),
        one("a ping-timeout in words", "/spec/glusterdPingTimeout", json!("10s"), Some("must be of type integer")),
        // trash
        one("the trash of a week", "/spec/trash", json!({"retention": "7d"}), None),
        one("the trash of five digits", "/spec/trash", json!({"retention": "99999m"}), None),
        one("the trash for ever", "/spec/trash", json!({"retention": "Never"}), None),
        one("the trash of no time", "/spec/trash", json!({"retention": "h"}), Some("at least 2 chars long")),
        one("no trash", "/spec/trash", json!({"retention": "0s"}), Some(PATTERN)),
        one("the trash of a number", "/spec/trash", json!({"retention": "24"}), Some(PATTERN)),
        one("the trash of a week, by its letter", "/spec/trash", json!({"retention": "1w"}), Some(PATTERN)),
        one("the trash of two times", "/spec/trash", json!({"retention": "1d12h"}), Some(PATTERN)),
        one("the trash of six digits", "/spec/trash", json!({"retention": "100000s"}), Some(PATTERN)),
        one("the trash of eight letters", "/spec/trash", json!({"retention": "1000000s"}), Some("Too long")),
        one("free space does not matter", "/spec/trash", json!({"minFreePercent": 0}), None),
        one("half of a device", "/spec/trash", json!({"minFreePercent": 50}), None),
        one("more than half of a device", "/spec/trash", json!({"minFreePercent": 51}), Some("less than or equal to 50")),
        one("less than nothing free", "/spec/trash", json!({"minFreePercent": -1}), Some("greater than or equal to 0")),
        // tenancy
        one("tenants from all namespaces", namespaces, json!({"namespaces": {"from": "All"}}), None),
        one("tenants from somewhere", namespaces, json!({"namespaces": {"from": "Some"}}), Some("Unsupported value")),
        one("tenants by labels", namespaces, selector(json!({"matchLabels": {"a/b": "c"}})), None),
        one("a selector without labels", namespaces, json!({"namespaces": {"from": "Selector"}}), Some("selector belongs to from: Selector")),
        one("labels without a selector", namespaces, json!({"namespaces": {"from": "All", "selector": {}}}), Some("selector belongs to from: Selector")),
        one("16 labels", namespaces, selector(json!({"matchLabels": labels(16)})), None),
        one("17 labels", namespaces, selector(json!({"matchLabels": labels(17)})), Some("Too many")),
        one("a label's value of 64", namespaces, selector(json!({"matchLabels": {"a": x(64)}})), Some("Too long")),
        one("a label's value with a blank", namespaces, selector(json!({"matchLabels": {"a": "b c"}})), Some(PATTERN)),
        one("17 expressions", namespaces, selector(json!({"matchExpressions": vec![json!({"key": "a", "operator": "Exists"}); 17]})), Some("Too many")),
        one("an expression", namespaces, expression(json!({"key": "a", "operator": "In", "values": ["b", ""]})), None),
        one("an expression without a key", namespaces, expression(json!({"operator": "Exists"})), Some("Required value")),
        one("an expression with an empty key", namespaces, expression(json!({"key": "", "operator": "Exists"})), Some("at least 1 chars long")),
        one("a label's key of 318", namespaces, expression(json!({"key": x(318), "operator": "Exists"})), Some("Too long")),
        one("a label's key with a blank", namespaces, expression(json!({"key": "a b", "operator": "Exists"})), Some(PATTERN)),
        one("an expression without an operator", namespaces, expression(json!({"key": "a"})), Some("Required value")),
        one("another operator", namespaces, expression(json!({"key": "a", "operator": "Gt"})), Some("Unsupported value")),
        one("In without values", namespaces, expression(json!({"key": "a", "operator": "In"})), Some("In and NotIn need values")),
        one("Exists with values", namespaces, expression(json!({"key": "a", "operator": "Exists", "values": ["b"]})), Some("In and NotIn need values")),
        one("33 values", namespaces, expression(json!({"key": "a", "operator": "In", "values": many(33, |i| i.to_string())})), Some("Too many")),
        one("a value of an expression twice", namespaces, expression(json!({"key": "a", "operator": "In", "values": ["b", "b"]})), Some("Duplicate value")),
        one("a value of an expression of 64", namespaces, expression(json!({"key": "a", "operator": "In", "values": [x(64)]})), Some("Too long")),
        one("a value of an expression with a blank", namespaces, expression(json!({"key": "a", "operator": "In", "values": ["b c"]})), Some(PATTERN)),
        one("options of tenants", namespaces, json!({"options": ["performance.*", "network.ping-timeout"]}), None),
        one("no options of tenants", namespaces, json!({"options": []}), None),
        one("all options of tenants", namespaces, json!({"options": ["*"]}), Some("at least 3 chars long")),
        one("half a prefix", namespaces, json!({"options": ["perf*"]}), Some(PATTERN)),
        one("an option of tenants twice", namespaces, json!({"options": ["a.b", "a.b"]}), Some("Duplicate value")),
        one("an option of tenants of 101", namespaces, json!({"options": [format!("a.{}", x(99))]}), Some("Too long")),
        one("65 options of tenants", namespaces, json!({"options": many(65, |i| format!("a.b{i}"))}), Some("Too many")),
        one("tenants may name bricks", namespaces, json!({"bricks": "Allow"}), None),
        one("tenants may perhaps name bricks", namespaces, json!({"bricks": "Maybe"}), Some("Unsupported value")),
        // clients
        one("clients", "/spec/clients", json!({"addresses": ["10.0.*", "db1.example.org", "10.1.2.3"]}), None),
        one("every client", "/spec/clients", json!({"addresses": ["*"]}), None),
        one("clients without addresses", "/spec/clients", json!({}), Some("Required value")),
        one("no address", "/spec/clients", json!({"addresses": []}), Some("should have at least 1 items")),
        one("17 addresses", "/spec/clients", json!({"addresses": many(17, |i| format!("10.0.0.{i}"))}), Some("Too many")),
        one("an address twice", "/spec/clients", json!({"addresses": ["10.0.*", "10.0.*"]}), Some("Duplicate value")),
        one("an empty client", "/spec/clients", json!({"addresses": [""]}), Some("at least 1 chars long")),
        one("a client of 64", "/spec/clients", json!({"addresses": [x(64)]}), Some("Too long")),
        one("a CIDR", "/spec/clients", json!({"addresses": ["10.0.0.0/24"]}), Some(PATTERN)),
        one("a prefix of 300", "/spec/clients", json!({"addresses": ["300.*"]}), Some(PATTERN)),
        one("two clients in one", "/spec/clients", json!({"addresses": ["a,b"]}), Some(PATTERN)),
        // takeOver
        one("an owner", "/spec/takeOver", json!("rest:0d9c3c2e-7b1b-4a53-9a2c-3f0f3bd6a1aa"), None),
        one("no owner", "/spec/takeOver", json!(""), None),
        one("an owner of 129", "/spec/takeOver", json!(x(129)), Some("Too long")),
        one("an owner with a blank", "/spec/takeOver", json!("a b"), Some(PATTERN)),
    ]
}

/// Rows of GlusterVolume.
#[rustfmt::skip] // a row is a line
pub fn volume() -> Vec<Row> {
    use Kind::Volume as V;
    let one = |name, pointer, value, refusal| row(V, name, vec![(pointer, value)], refusal);
    let layout = |name, value, refusal| one(name, "/spec/layout", value, refusal);
    let capacity = |name, value: &str, refusal| one(name, "/spec/capacity", json!(value), refusal);
    let claim = |name, value: Value, refusal| {
        let changes = vec![("/spec/capacity", json!("2Gi")), ("/spec/claim", value)];
        row(V, name, changes, refusal)
    };
    let bricks = |name, value: Value, refusal| {
        let changes = vec![
            ("/spec/layout", json!({"distribute": 1})),
            ("/spec/bricks", value),
        ];
        row(V, name, changes, refusal)
    };
    let cluster = "/spec/clusterName";
    let volume = "/spec/volumeName";
    let options = "/spec/options";
    vec![
        row(V, "the minimal one", vec![], None),
        // metadata
        one("a name of 54", "/metadata/name", json!(x(54)), None),
        one("a name of 55", "/metadata/name", json!(x(55)), Some("at most 54 characters")),
        one("a name with a dot", "/metadata/name", json!("a.b"), None),
        // cluster and volume
        one("no cluster", cluster, json!(ABSENT), Some("Required value")),
        one("an empty cluster", cluster, json!(""), Some("at least 1 chars long")),
        one("a cluster of 23", cluster, json!(x(23)), Some("Too long")),
        one("a cluster in capitals", cluster, json!("Prod"), Some(PATTERN)),
        one("a volume of 54", volume, json!(x(54)), None),
        one("a volume of 55", volume, json!(x(55)), Some("Too long")),
        one("an empty volume", volume, json!(""), Some("at least 1 chars long")),
        one("a volume with a dot", volume, json!("a.b"), Some(PATTERN)),
        one("a volume with a command", volume, json!("a;reboot"), Some(PATTERN)),
        one("a volume that is an option", volume, json!("-all"), Some(PATTERN)),
        one("all volumes", volume, json!("all"), Some("a meaning of its own")),
        one("the shared volume", volume, json!("gluster_shared_storage"), Some("a meaning of its own")),
        // layout
        layout("no layout", json!(ABSENT), Some("Required value")),
        layout("an empty layout", json!({}), Some("no accidental bare brick")),
        layout("nulls in a layout", json!({"replicate": null, "distribute": null}), Some("no accidental bare brick")),
        layout("one brick, said so", json!({"distribute": 1}), None),
        layout("64 bricks", json!({"distribute": 64}), None),
        layout("65 bricks", json!({"distribute": 65}), Some("less than or equal to 64")),
        layout("no brick", json!({"distribute": 0}), Some("greater than or equal to 1")),
        layout("replicate without copies", json!({"replicate": {}}), Some("Required value")),
        layout("one copy", json!({"replicate": {"copies": 1}}), Some("greater than or equal to 2")),
        layout("two copies", json!({"replicate": {"copies": 2}}), None),
        layout("five copies", json!({"replicate": {"copies": 5}}), None),
        layout("six copies", json!({"replicate": {"copies": 6}}), Some("less than or equal to 5")),
        layout("half a copy", json!({"replicate": {"copies": 2.5}}), Some("must be of type integer")),
        layout("120 bricks", json!({"replicate": {"copies": 3}, "distribute": 40}), None),
        layout("129 bricks", json!({"replicate": {"copies": 3}, "distribute": 43}), Some("at most 128 bricks")),
        layout("no arbiter, said so", json!({"replicate": {"copies": 2, "arbiter": false}}), None),
        layout("an arbiter", json!({"replicate": {"copies": 3, "arbiter": true}, "distribute": 2}), None),
        layout("an arbiter of two copies", json!({"replicate": {"copies": 2, "arbiter": true}}), Some("copies must be 3")),
        layout("an arbiter of five copies", json!({"replicate": {"copies": 5, "arbiter": true}}), Some("copies must be 3")),
        layout("two arbiters", json!({"replicate": {"copies": 3, "arbiter": 2}}), Some("must be of type boolean")),
        layout("dispersed", json!({"disperse": {"data": 2, "redundancy": 1}}), None),
        layout("the widest dispersed", json!({"disperse": {"data": 16, "redundancy": 15}, "distribute": 4}), None),
        layout("dispersed, too many bricks", json!({"disperse": {"data": 16, "redundancy": 15}, "distribute": 5}), Some("at most 128 bricks")),
        layout("dispersed without data", json!({"disperse": {"redundancy": 1}}), Some("Required value")),
        layout("dispersed without redundancy", json!({"disperse": {"data": 2}}), Some("Required value")),
        layout("one brick of data", json!({"disperse": {"data": 1, "redundancy": 1}}), Some("greater than or equal to 2")),
        layout("17 bricks of data", json!({"disperse": {"data": 17, "redundancy": 1}}), Some("less than or equal to 16")),
        layout("no redundancy", json!({"disperse": {"data": 2, "redundancy": 0}}), Some("greater than or equal to 1")),
        layout("16 of redundancy", json!({"disperse": {"data": 16, "redundancy": 16}}), Some("less than or equal to 15")),
        layout("half a brick of data", json!({"disperse": {"data": 2.5, "redundancy": 1}}), Some("must be of type integer")),
        layout("as much redundancy as data", json!({"disperse": {"data": 2, "redundancy": 2}}), Some("redundancy must be less than data")),
        layout("copies and fragments", json!({"replicate": {"copies": 3}, "disperse": {"data": 2, "redundancy": 1}}), Some("exclude each other")),
        layout("shards of the usual size", json!({"distribute": 2, "shard": {}}), None),
        layout("shards of 4Mi", json!({"replicate": {"copies": 3}, "shard": {"blockSize": "4Mi"}}), None),
        layout("shards of 4Ti", json!({"distribute": 1, "shard": {"blockSize": "4Ti"}}), None),
        layout("shards of odd size", json!({"distribute": 1, "shard": {"blockSize": "4194305"}}), None),
        layout("shards alone", json!({"shard": {}}), Some("no accidental bare brick")),
        layout("shards that are too small", json!({"distribute": 1, "shard": {"blockSize": "4194303"}}), Some("4Mi to 4Ti")),
        layout("shards that are too large", json!({"distribute": 1, "shard": {"blockSize": "5Ti"}}), Some("4Mi to 4Ti")),
        layout("shards as gluster writes them", json!({"distribute": 1, "shard": {"blockSize": "64MB"}}), Some(PATTERN)),
        layout("half a shard", json!({"distribute": 1, "shard": {"blockSize": "4.5Mi"}}), Some(PATTERN)),
        layout("shards of no size", json!({"distribute": 1, "shard": {"blockSize": ""}}), Some("at least 1 chars long")),
        layout("shards of a long size", json!({"distribute": 1, "shard": {"blockSize": "0".repeat(25)}}), Some("Too long")),
        // state
        one("started", "/spec/state", json!("Started"), None),
        one("stopped", "/spec/state", json!("Stopped"), None),
        one("half started", "/spec/state", json!("Paused"), Some("Unsupported value")),
        row(V, "a parent, which is not there yet, in place of the layout", vec![("/spec/layout", json!(ABSENT)), ("/spec/parent", json!({"name": "pool"}))], Some("layout: Required value")),
        // bricks
        bricks("a brick", json!(["node1:/srv/b/x"]), None),
        bricks("no bricks", json!([]), Some("should have at least 1 items")),
        bricks("two bricks for one", json!(["n1:/b/x", "n2:/b/x"]), Some("as many as")),
        one("one brick for three", "/spec/bricks", json!(["n1:/b/x"]), Some("as many as")),
        row(V, "bricks of a dispersed set", vec![("/spec/layout", json!({"disperse": {"data": 2, "redundancy": 1}})), ("/spec/bricks", json!(["n1:/b/x", "n2:/b/x", "n3:/b/x"]))], None),
        row(V, "too few bricks for two dispersed sets", vec![("/spec/layout", json!({"disperse": {"data": 2, "redundancy": 1}, "distribute": 2})), ("/spec/bricks", json!(["n1:/b/x", "n2:/b/x", "n3:/b/x"]))], Some("as many as")),
        bricks("129 bricks by name", many(129, |i| format!("n{i}:/b/x")), Some("Too many")),
        bricks("half a brick", json!(["n:x"]), Some("at least 4 chars long")),
        bricks("a brick of 321", json!([format!("n:/{}/{}", x(250), x(67))]), Some("Too long")),
        bricks("a brick without a host", json!(["/srv/b/x"]), Some(PATTERN)),
        bricks("a brick with ..", json!(["n1:/srv/b/../../etc"]), Some("no '.' or '..'")),
        bricks("a brick with a blank", json!(["n1:/srv/b x"]), Some(PATTERN)),
        // capacity
        capacity("2Gi", "2Gi", None),
        capacity("1Mi", "1Mi", None),
        capacity("whole bytes", "1048576", None),
        capacity("a part of a unit", "1.5Gi", None),
        capacity("nothing", "0", Some("at least 1Mi")),
        capacity("1Ki", "1Ki", Some("at least 1Mi")),
        capacity("a byte less than 1Mi", "1048575", Some("at least 1Mi")),
        capacity("1M is less than 1Mi", "1M", Some("at least 1Mi")),
        capacity("GiB", "10GiB", Some(PATTERN)),
        capacity("an exponent", "1e9", Some(PATTERN)),
        capacity("less than nothing", "-1Gi", Some(PATTERN)),
        capacity("a blank", "1 Gi", Some(PATTERN)),
        capacity("an empty capacity", "", Some("at least 1 chars long")),
        capacity("a long capacity", "1000000000000000000000000", Some("Too long")),
        one("a number", "/spec/capacity", json!(2_147_483_648_i64), Some("must be of type string")),
        // profile, deletionPolicy
        one("the profile of databases", "/spec/profile", json!("database"), None),
        one("another profile", "/spec/profile", json!("fast"), Some("Unsupported value")),
        one("Delete", "/spec/deletionPolicy", json!("Delete"), None),
        one("delete in small letters", "/spec/deletionPolicy", json!("delete"), Some("Unsupported value")),
        // options
        one("an option", options, json!({"performance.cache-size": "256MB"}), None),
        one("64 options", options, map(64), None),
        one("65 options", options, map(65), Some("Too many")),
        one("an empty value", options, json!({"a.b": ""}), Some("at least 1 chars long")),
        one("a value of 256", options, json!({"a.b": x(256)}), None),
        one("a value of 257", options, json!({"a.b": x(257)}), Some("Too long")),
        one("a value that is an option", options, json!({"a.b": "--mode=script"}), Some(PATTERN)),
        one("a value with a dash in it", options, json!({"a.b": "read-only"}), None),
        one("a value that is run as a command", options, json!({"a.b": "a`id`"}), Some(PATTERN)),
        one("a value that ends a line", options, json!({"a.b": "a\"b"}), Some(PATTERN)),
        one("a value that eats the next character", options, json!({"a.b": "a\\"}), Some(PATTERN)),
        one("a value that is a comment", options, json!({"a.b": "#a"}), Some(PATTERN)),
        one("a value of all other characters", options, json!({"a.b": "!$%&'()*+,-./:;<=>?@[]^_{|}~"}), None),
        one("a value with a blank", options, json!({"a.b": "1 2"}), Some(PATTERN)),
        one("a value beyond ASCII", options, json!({"a.b": "ü"}), Some(PATTERN)),
        one("a key with a blank", options, json!({"a.b c": "1"}), Some("an option key looks like")),
        one("a key of 101", options, json!({format!("a.{}", x(99)): "1"}), Some("an option key looks like")),
        // claim
        claim("a claim", json!({"name": "c", "accessModes": ["ReadWriteOnce"]}), None),
        claim("a claim for many", json!({"name": "c", "accessModes": ["ReadWriteMany", "ReadOnlyMany"]}), None),
        one("a claim without a capacity", "/spec/claim", json!({"name": "c", "accessModes": ["ReadWriteOnce"]}), Some("a claim needs a capacity")),
        claim("a claim without a name", json!({"accessModes": ["ReadWriteOnce"]}), Some("Required value")),
        claim("a claim with an empty name", json!({"name": "", "accessModes": ["ReadWriteOnce"]}), Some("at least 1 chars long")),
        claim("a claim with a name of 254", json!({"name": x(254), "accessModes": ["ReadWriteOnce"]}), Some("Too long")),
        claim("a claim in capitals", json!({"name": "Data", "accessModes": ["ReadWriteOnce"]}), Some(PATTERN)),
        claim("a claim without modes", json!({"name": "c"}), Some("Required value")),
        claim("a claim with no mode", json!({"name": "c", "accessModes": []}), Some("should have at least 1 items")),
        claim("a claim with four modes", json!({"name": "c", "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"]}), Some("Too many")),
        claim("a mode twice", json!({"name": "c", "accessModes": ["ReadWriteOnce", "ReadWriteOnce"]}), Some("Duplicate value")),
        claim("another mode", json!({"name": "c", "accessModes": ["ReadWriteTwice"]}), Some("Unsupported value")),
        claim("one pod, or one node", json!({"name": "c", "accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]}), Some("ReadWriteOncePod stands alone")),
    ]
}

/// Rows of edits.
#[rustfmt::skip] // a row is a line
pub fn edits() -> Vec<Row> {
    let edit = |kind, name, before, changes, refusal| Row {
        kind,
        name,
        before: Some(before),
        changes,
        refusal,
    };
    let claimed = || {
        vec![
            ("/spec/capacity", json!("2Gi")),
            (
                "/spec/claim",
                json!({"name": "c", "accessModes": ["ReadWriteMany", "ReadOnlyMany"]}),
            ),
        ]
    };
    let v = |name, before, pointer, value, refusal| {
        edit(Kind::Volume, name, before, vec![(pointer, value)], refusal)
    };
    let named = || vec![("/spec/volumeName", json!("default_x"))];
    let bricks = || {
        vec![
            ("/spec/layout", json!({"distribute": 2})),
            ("/spec/bricks", json!(["n1:/b/x", "n2:/b/x"])),
        ]
    };
    let other_cluster = vec![
        ("/spec/clusterName", json!("test")),
        ("/spec/capacity", json!("2Gi")),
    ];
    vec![
        v("nothing", vec![], "/spec/profile", json!("default"), None),
        edit(Kind::Volume, "to another cluster", vec![], other_cluster, Some("clusterName is immutable")),
        v("a volume name comes", vec![], "/spec/volumeName", json!("default_x"), Some("volumeName is immutable")),
        v("a volume name goes", named(), "/spec/volumeName", json!(ABSENT), Some("volumeName is immutable")),
        v("a volume name becomes null", named(), "/spec/volumeName", json!(null), Some("volumeName is immutable")),
        v("a volume name changes", named(), "/spec/volumeName", json!("default_y"), Some("volumeName is immutable")),
        v("a volume name stays", named(), "/spec/capacity", json!("2Gi"), None),
        v("more copies", vec![], "/spec/layout/replicate/copies", json!(5), Some("layout is immutable")),
        v("an arbiter comes", vec![], "/spec/layout/replicate/arbiter", json!(true), Some("layout is immutable")),
        v("no arbiter is said", vec![], "/spec/layout/replicate", json!({"copies": 3}), None),
        v("shards come", vec![], "/spec/layout/shard", json!({}), Some("layout is immutable")),
        v("shards go", vec![("/spec/layout", json!({"distribute": 2, "shard": {}}))], "/spec/layout", json!({"distribute": 2}), Some("layout is immutable")),
        v("shards grow", vec![("/spec/layout", json!({"distribute": 2, "shard": {}}))], "/spec/layout/shard/blockSize", json!("128Mi"), Some("layout is immutable")),
        v("from copies to fragments", vec![], "/spec/layout", json!({"disperse": {"data": 2, "redundancy": 1}}), Some("layout is immutable")),
        v("more redundancy", vec![("/spec/layout", json!({"disperse": {"data": 3, "redundancy": 1}}))], "/spec/layout/disperse/redundancy", json!(2), Some("layout is immutable")),
        v("it stops", vec![], "/spec/state", json!("Stopped"), None),
        v("it starts", vec![("/spec/state", json!("Stopped"))], "/spec/state", json!("Started"), None),
        v("distribute comes", vec![], "/spec/layout/distribute", json!(2), Some("layout is immutable")),
        v("from copies to distribute", vec![], "/spec/layout", json!({"distribute": 3}), Some("layout is immutable")),
        v("the layout is emptied", vec![], "/spec/layout", json!({}), Some("no accidental bare brick")),
        edit(Kind::Volume, "from a layout to a parent", vec![], vec![("/spec/layout", json!(ABSENT)), ("/spec/parent", json!({"name": "pool"}))], Some("layout: Required value")),
        v("bricks come", vec![], "/spec/bricks", json!(["n1:/b/x", "n2:/b/x", "n3:/b/x"]), Some("bricks are immutable")),
        v("bricks go", bricks(), "/spec/bricks", json!(ABSENT), Some("bricks are immutable")),
        v("bricks change places", bricks(), "/spec/bricks", json!(["n2:/b/x", "n1:/b/x"]), Some("bricks are immutable")),
        v("a capacity comes", vec![], "/spec/capacity", json!("2Gi"), None),
        v("a capacity grows", claimed(), "/spec/capacity", json!("3Gi"), None),
        v("a capacity shrinks", claimed(), "/spec/capacity", json!("1Gi"), None),
        v("the capacity of a claim goes", claimed(), "/spec/capacity", json!(ABSENT), Some("a claim needs a capacity")),
        v("options change", vec![("/spec/options", json!({"a.b": "1"}))], "/spec/options", json!({"a.c": "1"}), None),
        v("Delete", vec![], "/spec/deletionPolicy", json!("Delete"), None),
        edit(Kind::Volume, "a claim comes", vec![], claimed(), None),
        v("a claim goes", claimed(), "/spec/claim", json!(ABSENT), Some("a claim stays")),
        v("a claim becomes null", claimed(), "/spec/claim", json!(null), Some("a claim stays")),
        v("another claim", claimed(), "/spec/claim/name", json!("d"), Some("the name of the claim is immutable")),
        v("other modes", claimed(), "/spec/claim/accessModes", json!(["ReadWriteOnce"]), Some("access modes are immutable")),
        v("modes in another order", claimed(), "/spec/claim/accessModes", json!(["ReadOnlyMany", "ReadWriteMany"]), None),
        edit(Kind::Cluster, "a zone comes", vec![], vec![("/spec/nodes/0/zone", json!("a"))], None),
        edit(Kind::Cluster, "a node comes", vec![], vec![("/spec/nodes", json!([{"name": "a"}, {"name": "b"}]))], None),
        edit(Kind::Cluster, "the secret changes", vec![], vec![("/spec/access/ssh/secretRef/name", json!("other"))], None),
        edit(Kind::Cluster, "to no tenants", vec![("/spec/tenancy", json!({"namespaces": {"from": "All"}}))], vec![("/spec/tenancy", json!(ABSENT))], None),
    ]
}
