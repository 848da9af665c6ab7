//! GlusterVolume: something that can be mounted and has a size.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A GlusterFS volume.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "gluster-operator.io",
    version = "v1alpha1",
    kind = "GlusterVolume",
    namespaced,
    shortname = "gv",
    category = "gluster",
    status = "GlusterVolumeStatus",
    selectable = ".spec.clusterName",
    doc = "A volume of a GlusterFS pool: created, started, limited and kept as declared, and handed to pods through a claim.",
    validation = Rule::new("self.metadata.name.size() <= 54").message("the name of a GlusterVolume has at most 54 characters, since it becomes part of volume names and ids"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterName"),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.type"),
    printcolumn(name = "Capacity", type_ = "string", json_path = ".spec.capacity"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Volume", type_ = "string", json_path = ".status.volumeName", priority = 1),
    printcolumn(name = "Used", type_ = "string", json_path = ".status.quota.used", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.clusterName == oldSelf.clusterName").message("clusterName is immutable: data does not move between pools by an edit"))]
#[x_kube(validation = Rule::new("has(self.volumeName) == has(oldSelf.volumeName) && (!has(self.volumeName) || self.volumeName == oldSelf.volumeName)").message("volumeName is immutable: GlusterFS can't rename a volume"))]
#[x_kube(validation = Rule::new("self.layout == oldSelf.layout").message("layout is immutable"))]
#[x_kube(validation = Rule::new("has(self.bricks) == has(oldSelf.bricks) && (!has(self.bricks) || self.bricks == oldSelf.bricks)").message("bricks are immutable"))]
#[x_kube(validation = Rule::new("!has(self.bricks) || self.bricks.size() == (has(self.layout.replicate) ? self.layout.replicate.copies : has(self.layout.disperse) ? self.layout.disperse.data + self.layout.disperse.redundancy : 1) * (has(self.layout.distribute) ? self.layout.distribute : 1)").message("bricks must be as many as a set has (replicate.copies, or disperse.data plus disperse.redundancy, or 1) times layout.distribute"))]
#[x_kube(validation = Rule::new("!has(self.claim) || has(self.capacity)").message("a claim needs a capacity"))]
#[x_kube(validation = Rule::new("!has(oldSelf.claim) || has(self.claim)").message("a claim stays as long as the GlusterVolume: pods may use it, and only one node may reach its data"))]
pub struct GlusterVolumeSpec {
    /// The GlusterCluster that holds the volume. Immutable.
    #[schemars(
        length(min = 1, max = 22),
        regex(pattern = schema::CLUSTER_NAME)
    )]
    pub cluster_name: String,
    /// The name of the volume in GlusterFS. Default: `<namespace>_<name>`. Another name is admitted only in the
    /// operator's own namespace, or when it begins with `<namespace>_`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 54), regex(pattern = schema::VOLUME_NAME))]
    #[x_kube(validation = Rule::new("self != 'all' && self != 'gluster_shared_storage'").message("this name has a meaning of its own in GlusterFS"))]
    pub volume_name: Option<String>,
    /// What the volume is built from. Immutable.
    pub layout: Layout,
    /// The exact bricks, `host:/path`, in gluster's order, set by set: each below a device path of a listed node, no two of a
    /// set on one host; the last of each set is the arbiter where there is one. Default: placed, one brick of a set on a
    /// host, and in a zone while zones allow. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        inner(
            length(min = 4, max = 320),
            regex(pattern = schema::BRICK)
        )
    )]
    #[x_kube(validation = Rule::new("self.all(brick, !brick.split('/').exists(part, part == '.' || part == '..'))").message("a path has no '.' or '..' in it"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub bricks: Option<Vec<String>>,
    /// How much may be stored, enforced by GlusterFS quota: a quantity of whole bytes, at least 1Mi. May be raised, and
    /// lowered to what is used. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 24),
        regex(pattern = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$")
    )]
    #[x_kube(validation = Rule::new("quantity(self).compareTo(quantity('1Mi')) >= 0").message("a capacity is at least 1Mi"))]
    pub capacity: Option<String>,
    /// A named set of options.
    #[serde(default)]
    pub profile: Profile,
    /// Options of the volume. A key that leaves this list is reset. Options that others set stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    pub options: BTreeMap<String, String>,
    /// `Stopped` stops the volume once no pod uses it, its claim is not bound (delete the claim; the data stays, and `Started`
    /// makes the claim again) and nobody has it mounted. `Started` starts it again.
    #[serde(default)]
    pub state: State,
    /// What happens to the volume in GlusterFS when this object is deleted. `Retain` leaves it as it is, started.
    /// `Delete` stops and deletes it once no pod uses it; its bricks are kept in the trash of their devices.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Makes a PersistentVolume and a bound PersistentVolumeClaim in this namespace. May be added later; it goes with the
    /// GlusterVolume alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

/// How files are spread over bricks. Bricks make sets (of copies, or dispersed, or single ones), and files are hashed over
/// the sets.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.replicate) || has(self.disperse) || has(self.distribute)").message("a layout says replicate, disperse or distribute: there is no accidental bare brick"))]
#[x_kube(validation = Rule::new("!(has(self.replicate) && has(self.disperse))").message("replicate and disperse exclude each other: a set keeps copies or fragments"))]
#[x_kube(validation = Rule::new("(has(self.replicate) ? self.replicate.copies : has(self.disperse) ? self.disperse.data + self.disperse.redundancy : 1) * (has(self.distribute) ? self.distribute : 1) <= 128").message("at most 128 bricks"))]
pub struct Layout {
    /// Each file is kept whole on several bricks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicate: Option<Replicate>,
    /// Each file is cut into fragments with redundancy: less space than copies, more work for small writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disperse: Option<Disperse>,
    /// Over how many sets (of copies, dispersed ones, or single bricks) files are hashed. Default with `replicate` or
    /// `disperse`: 1. Alone: files lie on single bricks, and those of a brick that is lost are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64), extend("format" = "int32"))]
    pub distribute: Option<u32>,
    /// Cuts large files into blocks that are hashed over the sets one by one, so that a file can be larger than a brick and
    /// is read from many. For large files (disk images, video), not for many small ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

/// Copies of each file.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("!self.arbiter || self.copies == 3").message("an arbiter is the third of three copies: copies must be 3"))]
pub struct Replicate {
    /// How many. Two can split (each side accepts writes while it does not see the other): use three, or three with an
    /// arbiter.
    #[schemars(range(min = 2, max = 5), extend("format" = "int32"))]
    pub copies: u32,
    /// Makes the third copy an arbiter: it keeps names and attributes of files and no data, so that two copies do not split at
    /// the price of little space. A file is lost with both of its data copies.
    #[serde(default)]
    pub arbiter: bool,
}

/// Fragments of each file: `data` of a set's `data + redundancy` bricks give it back.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("self.redundancy < self.data").message("redundancy must be less than data: GlusterFS wants more than half of a set to hold a file"))]
pub struct Disperse {
    /// Bricks that give a file back. A set stores this many bricks' worth of data. Powers of two (2, 4, 8) write fastest.
    #[schemars(range(min = 2, max = 16), extend("format" = "int32"))]
    pub data: u32,
    /// Bricks of a set that may be lost without loss of data.
    #[schemars(range(min = 1, max = 15), extend("format" = "int32"))]
    pub redundancy: u32,
}

/// Blocks of large files.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Shard {
    /// Size of a block: a quantity of whole bytes from 4Mi to 4Ti. A file that is not larger lies on one set as a whole.
    #[serde(default = "block_size")]
    #[schemars(
        length(min = 1, max = 24),
        regex(pattern = r"^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$")
    )]
    #[x_kube(validation = Rule::new("quantity(self).compareTo(quantity('4Mi')) >= 0 && quantity(self).compareTo(quantity('4Ti')) <= 0").message("blockSize is 4Mi to 4Ti"))]
    pub block_size: String,
}

/// GlusterFS' own default.
fn block_size() -> String {
    "64Mi".into()
}

/// Whether a volume runs.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Its bricks run.
    #[default]
    Started,
    /// Its bricks do not run, and nobody can mount it.
    Stopped,
}

/// A named set of options: docs/profiles.md has each of them with its reason.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// GlusterFS' own defaults.
    #[default]
    Default,
    /// For databases: a client that was cut off learns of it long before the servers give its locks to another, and no cache
    /// stands between the database and its files.
    Database,
    /// For disk images: large files that are written in place through direct I/O. Best with `layout.shard`.
    VirtualMachines,
    /// For many small files: names and attributes are cached on the clients, and servers tell them what changes.
    SmallFiles,
}

/// What deletion does.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// GlusterFS is left alone.
    #[default]
    Retain,
    /// The volume goes to the trash.
    Delete,
}

/// The claim to make.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.name == oldSelf.name").message("the name of the claim is immutable"))]
#[x_kube(validation = Rule::new("self.accessModes == oldSelf.accessModes").message("access modes are immutable"))]
#[x_kube(validation = Rule::new("!(self.accessModes.exists(m, m == 'ReadWriteOncePod') && self.accessModes.size() > 1)").message("ReadWriteOncePod stands alone"))]
pub struct Claim {
    /// Name of the PersistentVolumeClaim. Immutable.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::DNS_NAME))]
    pub name: String,
    /// `ReadWriteOnce` and `ReadWriteOncePod` volumes are fenced: one node at a time can reach the data. Databases need
    /// one of them. Beside a mode of many nodes they fence nothing. Immutable.
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub access_modes: Vec<AccessMode>,
}

/// How a claim may be used.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// By the pods of one node.
    ReadWriteOnce,
    /// By one pod.
    ReadWriteOncePod,
    /// By pods of many nodes, reading.
    ReadOnlyMany,
    /// By pods of many nodes. Nothing keeps writers apart.
    ReadWriteMany,
}

impl AccessMode {
    /// As in a PersistentVolume.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
            Self::ReadOnlyMany => "ReadOnlyMany",
            Self::ReadWriteMany => "ReadWriteMany",
        }
    }
}

/// What is known of a volume.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GlusterVolumeStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Owned, Healthy, InSync, Progressing.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// GlusterFS' own word, as `Replicate`, `Distributed-Replicate` or `Disperse`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// The volume's name in GlusterFS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_name: Option<String>,
    /// The volume's id in GlusterFS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<String>,
    /// Its bricks, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bricks: Vec<BrickStatus>,
    /// Options that the operator set, and will reset when they leave the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned_options: Vec<String>,
    /// The one node that may reach the data of a ReadWriteOnce volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached_node: Option<String>,
    /// The limit in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaStatus>,
}

/// A brick.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct BrickStatus {
    /// The host.
    pub node: String,
    /// The directory.
    pub path: String,
    /// Whether its process runs; absent when the host does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
}

/// Quota of the volume's root.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct QuotaStatus {
    /// The limit, as GlusterFS reports it.
    pub limit: String,
    /// What GlusterFS counts as used, in steps of 5 % of the limit.
    pub used: String,
}
