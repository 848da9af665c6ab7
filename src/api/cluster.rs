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
    /// The storage hosts. Adding one probes it as a peer. One that is taken out of this list is detached once no brick of any
    /// volume lies on it and every other host answers; until then the condition InSync says what keeps it.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub nodes: Vec<Node>,
    /// Options of the whole pool (`gluster volume set all`). A key that leaves this list is reset, unless it was never ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    pub options: BTreeMap<String, String>,
    /// Whether the op-version of the pool is raised. Raising can't be undone, and hosts of an older GlusterFS can't join after it.
    #[serde(default)]
    pub op_version: OpVersion,
    /// Seconds after which a glusterd counts a silent peer as gone: written as `option ping-timeout` into
    /// /etc/glusterfs/glusterd.vol of each host, where it takes effect at the next restart of glusterd. Absent: the file stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 300), extend("format" = "int32"))]
    pub glusterd_ping_timeout: Option<u32>,
    /// How soon a volume that is being filled is stopped at its capacity. Bricks go by what they knew so many seconds ago of
    /// how much is used, so a writer can get past the limit by what it writes in that time.
    #[serde(default)]
    pub quota_timeouts: QuotaTimeouts,
    /// What becomes of bricks of deleted volumes, which lie in `.trash` of their devices.
    #[serde(default)]
    pub trash: Trash,
    /// Who may put volumes on this pool.
    #[serde(default)]
    pub tenancy: Tenancy,
    /// Who may mount volumes of this pool, but those with a ReadWriteOnce claim, which let in one node. Absent: anybody who reaches the
    /// ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
    /// The id of another operator, or of a deleted GlusterCluster, whose pool this one is told to take. The
    /// condition Ready with reason ManagedElsewhere names the id. Leave empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128), regex(pattern = schema::OWNER_ID))]
    pub take_over: String,
}

/// How old what a brick knows of a volume's use may be (`features.soft-timeout`, `features.hard-timeout`). Shorter times stop
/// writers sooner, and make more of them wait while the quota daemon is restarted for another volume.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new("self.hard <= self.soft").message("hard is not longer than soft: near its limit a volume is looked at more often"))]
pub struct QuotaTimeouts {
    /// Seconds, while less than 80 % of the capacity is used.
    #[serde(default = "soft_timeout")]
    #[schemars(range(min = 1, max = 1800), extend("format" = "int32"))]
    pub soft: u32,
    /// Seconds, from there on.
    #[serde(default = "hard_timeout")]
    #[schemars(range(min = 1, max = 1800), extend("format" = "int32"))]
    pub hard: u32,
}

/// The same as `quotaTimeouts: {}`.
impl Default for QuotaTimeouts {
    fn default() -> Self {
        Self {
            soft: soft_timeout(),
            hard: hard_timeout(),
        }
    }
}

fn soft_timeout() -> u32 {
    10
}

fn hard_timeout() -> u32 {
    5
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

/// What is done about the op-version of a pool.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new("self.policy == 'Version' ? has(self.version) : !has(self.version)").message("version belongs to policy: Version, and to nothing else"))]
pub struct OpVersion {
    /// `Keep`: it stays. `Max`: it is raised to the highest that all hosts support. `Version`: it is raised to `version`.
    #[serde(default)]
    pub policy: OpVersionPolicy,
    /// The op-version, such as 100000, for `policy: Version`. Never lowered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30000, max = 999_999), extend("format" = "int32"))]
    pub version: Option<u32>,
}

/// Whether the op-version is raised.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpVersionPolicy {
    /// It stays.
    #[default]
    Keep,
    /// To the highest that all hosts support.
    Max,
    /// To a given one.
    Version,
}

/// How long bricks of deleted volumes are kept.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Trash {
    /// After this time in the trash bricks are destroyed for good: a whole number with `s`, `m`, `h` or `d` behind it, such as `24h`; or
    /// `Never`, then nothing is ever destroyed, whatever `minFreePercent` says.
    #[serde(default = "one_day")]
    #[schemars(length(min = 2, max = 7), regex(pattern = schema::RETENTION))]
    pub retention: String,
    /// Where a device has less than this much free, in percent of its size, its trash is destroyed before that time, oldest first, until
    /// enough is free; but never within its first hour. 0: free space does not matter.
    #[serde(default = "ten_percent")]
    #[schemars(range(min = 0, max = 50), extend("format" = "int32"))]
    pub min_free_percent: u8,
}

/// The same as `trash: {}`.
impl Default for Trash {
    fn default() -> Self {
        Self {
            retention: one_day(),
            min_free_percent: ten_percent(),
        }
    }
}

fn one_day() -> String {
    "24h".into()
}

fn ten_percent() -> u8 {
    10
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
    /// Options of the pool that were set for this object, so that they can be reset when they leave the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned_options: Vec<String>,
    /// The hosts, and those that left the spec and are still peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeStatus>,
}

/// What is known of a host.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct NodeStatus {
    /// Its name in the spec.
    pub name: String,
    /// How it was reached last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its uuid in gluster, once it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The version of GlusterFS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its own IP addresses, as it told them last: bricks know its daemons by them, and a Kubernetes node that has one of them is this
    /// host, also while it is silent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Whether it answers and is in the pool.
    pub connected: bool,
    /// True for a host that left `spec.nodes` and is not detached yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
    /// Its devices, as far as they were seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceStatus>,
}

/// What is known of a device.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    /// Its mount point.
    pub path: String,
    /// The id of the file system that is mounted there.
    pub fs_id: String,
    /// Its size.
    pub size: String,
    /// What is free, in steps of 5 % of the size; metrics have the exact number.
    pub free: String,
}
