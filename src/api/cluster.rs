//! GlusterCluster: a pool of storage hosts that is managed.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A trusted pool of GlusterFS servers. Whoever may edit it is root on the storage.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "gluster-operator.io",
    version = "v1alpha1",
    kind = "GlusterCluster",
    shortname = "gc",
    category = "gluster",
    status = "GlusterClusterStatus",
    doc = "A trusted pool of GlusterFS servers that the operator manages. Whoever may edit it is root on the storage.",
    validation = Rule::new("self.metadata.name.size() <= 22").message("the name of a GlusterCluster has at most 22 characters, since it is part of volume ids"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("the name of a GlusterCluster has no '.', since it is part of volume ids"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Peers", type_ = "string", json_path = ".status.conditions[?(@.type==\"PeersConnected\")].status"),
    printcolumn(name = "Devices", type_ = "string", json_path = ".status.conditions[?(@.type==\"DevicesReady\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Op-version", type_ = "integer", json_path = ".status.opVersion", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct GlusterClusterSpec {
    /// How the hosts are reached.
    pub access: Access,
    /// The storage hosts. Adding one probes it as a peer; removing one from this list detaches nothing.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub nodes: Vec<Node>,
    /// Options of the whole pool (`gluster volume set all`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    pub options: BTreeMap<String, String>,
    /// Who may put volumes on this pool.
    #[serde(default)]
    pub tenancy: Tenancy,
    /// Who may mount volumes of this pool, unless a volume says it itself. Absent: anybody who reaches the ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
    /// The id of another operator, or of a deleted GlusterCluster, whose pool this one is told to take. The
    /// condition Ready with reason ManagedElsewhere names the id. Leave empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128), regex(pattern = schema::OWNER_ID))]
    pub take_over: String,
}

/// How the storage hosts are reached.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Access {
    /// By SSH, with a key and pinned host keys.
    pub ssh: Ssh,
}

/// SSH to the storage hosts.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Ssh {
    /// The user to log in as.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z_][a-z0-9_-]*$"))]
    pub user: String,
    /// The port of sshd.
    #[serde(default = "port_22")]
    #[schemars(range(min = 1, max = 65535), extend("format" = "int32"))]
    pub port: u16,
    /// Whether commands are run through `sudo -n`. Needed when the user is not root.
    #[serde(default)]
    pub sudo: bool,
    /// A Secret in the operator's namespace with `ssh-privatekey` (OpenSSH or PEM, no passphrase) and `known_hosts`
    /// (one line for each host: the pinned host keys). A change takes effect at once.
    pub secret_ref: SecretRef,
}

fn root() -> String {
    "root".into()
}

fn port_22() -> u16 {
    22
}

/// A Secret in the operator's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct SecretRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::DNS_NAME))]
    pub name: String,
}

/// A storage host.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Node {
    /// The host name by which gluster knows this peer: it stands in bricks and in what clients receive.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::HOST_NAME))]
    pub name: String,
    /// How the operator and the Kubernetes nodes reach it: a host name or IPv4 address. Default: `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::HOST_NAME))]
    pub address: Option<String>,
    /// What fails together with this host: a room, a rack, a power line. No two bricks of a set are placed in one zone while
    /// there are zones enough. Default: the name of the node, so that each is a zone of its own. A change moves no brick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::ZONE))]
    pub zone: Option<String>,
    /// Where bricks live, one entry a mounted file system. Empty: this host is a peer without bricks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    pub devices: Vec<Device>,
}

/// A file system for bricks.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Device {
    /// Its mount point, for example `/glusterfs/brick`. Nothing is ever created in it while nothing is mounted there.
    #[schemars(length(min = 2, max = 256), regex(pattern = schema::HOST_PATH))]
    #[x_kube(validation = Rule::new("!self.split('/').exists(part, part == '.' || part == '..')").message("a path has no '.' or '..' in it"))]
    pub path: String,
}

/// Who may put volumes on a pool, and what they may ask for.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Tenancy {
    /// From which namespaces GlusterVolumes are admitted. The operator's own always is.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Which volume options a volume of another namespace may set: keys, or prefixes that end in `.*`.
    #[serde(default = "performance_options")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 3, max = 100),
            regex(pattern = r"^[a-z][a-z0-9-]*\.([A-Za-z0-9._-]+|\*)$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub options: Vec<String>,
    /// Whether a volume of another namespace may name its bricks.
    #[serde(default)]
    pub bricks: Permission,
}

/// The same as `tenancy: {}`.
impl Default for Tenancy {
    fn default() -> Self {
        Self {
            namespaces: Namespaces::default(),
            options: performance_options(),
            bricks: Permission::default(),
        }
    }
}

fn performance_options() -> Vec<String> {
    vec!["performance.*".into()]
}

/// Allow or deny.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Permission {
    /// Not allowed.
    #[default]
    Deny,
    /// Allowed.
    Allow,
}

/// Namespaces, by rule.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = Rule::new("self.from == 'Selector' ? has(self.selector) : !has(self.selector)").message("selector belongs to from: Selector, and to nothing else"))]
pub struct Namespaces {
    /// `Same`: the operator's namespace alone. `All`: every one. `Selector`: those whose labels match.
    #[serde(default)]
    pub from: From,
    /// Labels of the namespaces, for `from: Selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
}

/// Which namespaces.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// The operator's own.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// By labels.
    Selector,
}

/// Who may mount.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Clients {
    /// IPv4 addresses, prefixes like `10.0.*`, or host names (`auth.allow`). No CIDR: GlusterFS knows none.
    #[schemars(
        length(min = 1, max = 16),
        inner(
            length(min = 1, max = 63),
            regex(pattern = schema::ADDRESS)
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub addresses: Vec<String>,
}

/// What is known of a pool.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GlusterClusterStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, PeersConnected, DevicesReady, InSync.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The op-version of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int32"))]
    pub op_version: Option<u32>,
    /// The id that the owner file of each host holds, for `takeOver`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeStatus>,
}

/// What is known of a host.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct NodeStatus {
    /// Its name in the spec.
    pub name: String,
    /// Its uuid in gluster, once it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The version of GlusterFS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it answers and is in the pool.
    pub connected: bool,
}
