//! From what users wrote to what plans are made from: every string becomes a checked name, every rule of the tenant
//! boundary is applied. What passes here can't be refused for its form any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::api::cluster::{
    Clients, From, GlusterClusterSpec, OpVersionPolicy, Permission, QuotaTimeouts, Tenancy,
};
use crate::api::condition::{ConditionType, Finding, Reason};
use crate::api::quantity;
use crate::api::volume::{
    AccessMode, Claim, DeletionPolicy, Disperse, GlusterVolumeSpec, GlusterVolumeStatus, Layout,
    Replicate, State,
};
use crate::gluster::names::{
    AddressPattern, Brick, Bytes, ClusterName, HostName, HostPath, OptionKey, OptionValue, OwnerId,
    OwnerMark, Uuid, VolumeName,
};
use crate::gluster::operation::SetShape;

use super::options;

/// A field that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Path from the object: `spec.nodes[1].address`.
    pub field: String,
    /// What is wrong and what helps; names the value.
    pub why: String,
    /// InvalidSpec, NotAdmitted or NotAllowed.
    pub reason: Reason,
}

impl Invalid {
    fn spec(field: impl Into<String>, why: impl Display) -> Self {
        Self {
            field: field.into(),
            why: why.to_string(),
            reason: Reason::InvalidSpec,
        }
    }

    fn not_allowed(field: impl Into<String>, why: impl Display) -> Self {
        Self {
            field: field.into(),
            why: why.to_string(),
            reason: Reason::NotAllowed,
        }
    }
}

/// The findings that tell of invalid fields: neither ready nor in sync, and nothing is done.
pub fn findings(problems: &[Invalid]) -> Vec<Finding> {
    let reason = problems
        .first()
        .map_or(Reason::InvalidSpec, |first| first.reason);
    let text = problems
        .iter()
        .map(|p| format!("{}: {}", p.field, p.why))
        .collect::<Vec<_>>()
        .join("; ");
    vec![
        Finding::no(ConditionType::Ready, reason, text.clone()),
        Finding::no(ConditionType::InSync, reason, text),
    ]
}

/// A GlusterCluster that can be worked with.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidCluster {
    /// Its name.
    pub name: ClusterName,
    /// What the owner files of its hosts hold.
    pub owner: OwnerId,
    /// Its hosts, in the order of the spec.
    pub nodes: Vec<ValidNode>,
    /// Pool options.
    pub options: BTreeMap<OptionKey, OptionValue>,
    /// Whether the op-version is raised.
    pub op_version: OpVersionWish,
    /// The ping-timeout of glusterd, seconds; `None`: it stays.
    pub ping_timeout: Option<u32>,
    /// How old what bricks know of use may be.
    pub quota_timeouts: QuotaTimeouts,
    /// How long the trash is kept.
    pub trash: TrashPolicy,
    /// Who may put volumes here.
    pub tenancy: Tenancy,
    /// Who may mount; `None`: anybody.
    pub clients: Option<Vec<AddressPattern>>,
    /// Whose pool we are told to take.
    pub take_over: Option<OwnerId>,
}

/// What shall become of the op-version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpVersionWish {
    /// It stays.
    Keep,
    /// To the highest that all hosts support.
    Max,
    /// To this one, never down.
    At(u32),
}

/// When bricks in the trash are destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrashPolicy {
    /// After so many seconds; `None`: never.
    pub retention: Option<u64>,
    /// Before that where a device has less free than this, in percent of its size; 0: free space does not matter.
    pub min_free_percent: u8,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidNode {
    /// Its name in gluster.
    pub name: HostName,
    /// How it is reached.
    pub address: HostName,
    /// Where bricks may live.
    pub devices: Vec<HostPath>,
    /// What fails together with it.
    pub zone: String,
}

impl ValidCluster {
    /// The device of that host below which the path lies.
    pub fn device_of(&self, brick: &Brick) -> Option<&HostPath> {
        let node = self.nodes.iter().find(|node| node.name == brick.host)?;
        node.devices
            .iter()
            .filter(|device| below(device, &brick.path))
            .max_by_key(|device| device.as_str().len())
    }
}

/// True if `path` lies strictly below `directory`.
pub fn below(directory: &HostPath, path: &HostPath) -> bool {
    path.as_str()
        .strip_prefix(directory.as_str())
        .is_some_and(|rest| rest.starts_with('/'))
}

fn parse_options(
    field: &str,
    options: &BTreeMap<String, String>,
    problems: &mut Vec<Invalid>,
) -> BTreeMap<OptionKey, OptionValue> {
    let mut parsed = BTreeMap::new();
    for (key, value) in options {
        match (key.parse::<OptionKey>(), value.parse::<OptionValue>()) {
            // gluster would take it, and keep it in small letters: it would never be seen to be set
            (Ok(key), Ok(_)) if key.as_str().contains(|c: char| c.is_ascii_uppercase()) => {
                let small = key.as_str().to_ascii_lowercase();
                problems.push(Invalid::spec(
                    field,
                    format!("{key}: the keys of options have small letters, write {small}"),
                ));
            }
            (Ok(key), Ok(value)) => {
                parsed.insert(key, value);
            }
            (key_result, value_result) => {
                let why = key_result.err().map(|e| e.to_string()).into_iter();
                let why = why
                    .chain(value_result.err().map(|e| e.to_string()))
                    .collect::<Vec<_>>()
                    .join(", ");
                problems.push(Invalid::spec(field, why));
            }
        }
    }
    parsed
}

/// Checks a GlusterCluster. `kube_system` is the uid of that namespace, which names this Kubernetes.
pub fn cluster(
    name: &str,
    uid: &str,
    kube_system: &str,
    spec: &GlusterClusterSpec,
) -> Result<ValidCluster, Vec<Invalid>> {
    let mut problems = Vec::new();
    let mut nodes = Vec::new();
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for (index, node) in spec.nodes.iter().enumerate() {
        let field = |what: &str| format!("spec.nodes[{index}].{what}");
        let mut devices = Vec::new();
        for (at, device) in node.devices.iter().enumerate() {
            match device.path.parse::<HostPath>() {
                Ok(path) => devices.push(path),
                Err(error) => {
                    problems.push(Invalid::spec(field(&format!("devices[{at}].path")), error));
                }
            }
        }
        for device in &devices {
            if devices.iter().any(|other| below(other, device)) {
                problems.push(Invalid::spec(
                    field("devices"),
                    format!("{device} lies below another device; each is a file system of its own"),
                ));
            }
        }
        let address = node.address.as_deref().unwrap_or(&node.name);
        match (node.name.parse::<HostName>(), address.parse::<HostName>()) {
            (Ok(name), Ok(address)) => {
                if !names.insert(name.as_str().to_ascii_lowercase()) {
                    problems.push(Invalid::spec(
                        field("name"),
                        format!("{name} is listed twice"),
                    ));
                }
                if !addresses.insert(address.as_str().to_ascii_lowercase()) {
                    problems.push(Invalid::spec(
                        field("address"),
                        format!("{address} is listed twice; two nodes are two hosts"),
                    ));
                }
                nodes.push(ValidNode {
                    zone: node.zone.clone().unwrap_or_else(|| name.to_string()),
                    name,
                    address,
                    devices,
                });
            }
            (name, address) => {
                problems.extend(name.err().map(|error| Invalid::spec(field("name"), error)));
                problems.extend(
                    address
                        .err()
                        .map(|error| Invalid::spec(field("address"), error)),
                );
            }
        }
    }
    let options = parse_options("spec.options", &spec.options, &mut problems);
    for (key, value) in &options {
        let why = options::forbidden_in_pool(key).or_else(|| options::forbidden_value(value));
        problems.extend(
            why.map(|why| Invalid::spec("spec.options", format!("{key} can't be set here: {why}"))),
        );
    }
    let op_version = match (spec.op_version.policy, spec.op_version.version) {
        (OpVersionPolicy::Keep, None) => OpVersionWish::Keep,
        (OpVersionPolicy::Max, None) => OpVersionWish::Max,
        (OpVersionPolicy::Version, Some(version)) => OpVersionWish::At(version),
        (OpVersionPolicy::Version, None) => {
            problems.push(Invalid::spec(
                "spec.opVersion.version",
                "policy Version needs a version, such as 100000",
            ));
            OpVersionWish::Keep
        }
        (OpVersionPolicy::Keep | OpVersionPolicy::Max, Some(version)) => {
            problems.push(Invalid::spec(
                "spec.opVersion.version",
                format!("{version} belongs to policy: Version, and to nothing else"),
            ));
            OpVersionWish::Keep
        }
    };
    if let Some(seconds) = spec
        .glusterd_ping_timeout
        .filter(|s| !(5..=300).contains(s))
    {
        problems.push(Invalid::spec(
            "spec.glusterdPingTimeout",
            format!("{seconds} is not 5 to 300 seconds"),
        ));
    }
    let QuotaTimeouts { soft, hard } = spec.quota_timeouts;
    if hard > soft {
        problems.push(Invalid::spec(
            "spec.quotaTimeouts",
            format!("hard {hard} is longer than soft {soft}; near its limit a volume is looked at more often"),
        ));
    }
    let min_free_percent = spec.trash.min_free_percent;
    if min_free_percent > 50 {
        problems.push(Invalid::spec(
            "spec.trash.minFreePercent",
            format!("{min_free_percent} is not 0 to 50"),
        ));
    }
    let retention = quantity::retention(&spec.trash.retention)
        .map_err(|error| problems.push(Invalid::spec("spec.trash.retention", error)))
        .ok()
        .flatten();
    let take_over = match spec.take_over.as_str() {
        "" => None,
        text => text
            .parse::<OwnerId>()
            .map_err(|error| problems.push(Invalid::spec("spec.takeOver", error)))
            .ok(),
    };
    let clients = spec.clients.as_ref().and_then(|Clients { addresses }| {
        let parsed: Result<Vec<_>, _> = addresses
            .iter()
            .map(|text| text.parse::<AddressPattern>())
            .collect();
        let joined: usize = addresses.iter().map(|text| text.len() + 1).sum();
        if joined > 256 {
            problems.push(Invalid::spec(
                "spec.clients.addresses",
                "together they have more than 255 characters; use prefixes like 10.0.*",
            ));
        }
        parsed
            .map_err(|error| problems.push(Invalid::spec("spec.clients.addresses", error)))
            .ok()
    });
    let parsed_name = name
        .parse::<ClusterName>()
        .map_err(|error| problems.push(Invalid::spec("metadata.name", error)));
    let owner = format!("{kube_system}.{uid}")
        .parse::<OwnerId>()
        .map_err(|error| problems.push(Invalid::spec("metadata.uid", error)));
    match (parsed_name, owner) {
        (Ok(name), Ok(owner)) if problems.is_empty() => Ok(ValidCluster {
            name,
            owner,
            nodes,
            options,
            op_version,
            ping_timeout: spec.glusterd_ping_timeout,
            quota_timeouts: spec.quota_timeouts,
            trash: TrashPolicy {
                retention,
                min_free_percent,
            },
            tenancy: spec.tenancy.clone(),
            clients,
            take_over,
        }),
        _ => Err(problems),
    }
}

fn quota_timeouts(wanted: QuotaTimeouts) -> BTreeMap<OptionKey, OptionValue> {
    let QuotaTimeouts { soft, hard } = wanted;
    [
        ("features.soft-timeout", soft),
        ("features.hard-timeout", hard),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.parse().ok()?, value.to_string().parse().ok()?)))
    .collect()
}

/// Who may reach the data of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Whoever the cluster's `clients` name; `*` when it names nobody.
    Clients(OptionValue),
    /// One node at a time.
    OneWriter,
}

/// A GlusterVolume that can be worked with.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidVolume {
    /// `namespace/name`, for messages.
    pub object: String,
    /// Its name in gluster.
    pub volume: VolumeName,
    /// Its uid.
    pub uid: Uuid,
    /// The mark of its bricks.
    pub mark: OwnerMark,
    /// The value of the option that says the same.
    pub mark_option: OptionValue,
    /// The sets.
    pub shape: SetShape,
    /// How many of them.
    pub sets: u32,
    /// Size of the blocks of large files, when they are cut.
    pub shard: Option<Bytes>,
    /// Bricks, when they were named.
    pub bricks: Option<Vec<Brick>>,
    /// The limit.
    pub capacity: Option<Bytes>,
    /// What bricks may go by in enforcing it; nothing without one.
    pub quota_timeouts: BTreeMap<OptionKey, OptionValue>,
    /// Options of the profile.
    pub profile: BTreeMap<OptionKey, OptionValue>,
    /// Options of the spec.
    pub options: BTreeMap<OptionKey, OptionValue>,
    /// Options that we set before and that left the spec.
    pub dropped: Vec<OptionKey>,
    /// Who may reach the data.
    pub access: Access,
    /// Whether it runs.
    pub state: State,
    /// What deletion does.
    pub deletion: DeletionPolicy,
    /// The claim to make.
    pub claim: Option<Claim>,
}

impl ValidVolume {
    /// Bricks of a set.
    pub fn set_size(&self) -> u32 {
        self.shape.size()
    }
}

/// What validation of a volume needs to know about the namespace it lives in.
#[derive(Debug, Clone)]
pub struct Tenant<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Its uid.
    pub namespace_uid: &'a str,
    /// True for the operator's own.
    pub operators_own: bool,
    /// True when the labels match the cluster's selector; not asked unless there is one.
    pub selected: bool,
}

impl Tenant<'_> {
    fn admitted(&self, tenancy: &Tenancy) -> bool {
        self.operators_own
            || match tenancy.namespaces.from {
                From::Same => false,
                From::All => true,
                From::Selector => self.selected,
            }
    }
}

/// The name in gluster of a volume that does not choose one: `<namespace>_<name>`, `.` as `_x2e`; past 54 characters
/// it is cut and ends in `_` and 8 hex digits of a hash of the whole.
pub fn default_volume_name(namespace: &str, name: &str) -> String {
    use sha2::{Digest, Sha256};
    let whole = format!("{namespace}_{}", name.replace('.', "_x2e"));
    if whole.len() <= 54 {
        return whole;
    }
    let hash = hex::encode(&Sha256::digest(whole.as_bytes())[..4]);
    format!("{}_{hash}", &whole[..45])
}

/// What GlusterFS takes as the size of a shard (tried on 10.3: 4194303 and 4398046511105 are out of range).
const BLOCK_SIZE: std::ops::RangeInclusive<u64> = (4 << 20)..=(4 << 40);

fn shape(layout: &Layout) -> Result<SetShape, Invalid> {
    match (&layout.replicate, &layout.disperse) {
        (Some(_), Some(_)) => Err(Invalid::spec(
            "spec.layout",
            "says replicate and disperse: a set keeps copies or fragments",
        )),
        (Some(Replicate { copies, arbiter }), None) => match (copies, arbiter) {
            (3, true) => Ok(SetShape::Arbiter),
            (_, true) => Err(Invalid::spec(
                "spec.layout.replicate.arbiter",
                format!("is the third of three copies, and copies is {copies}"),
            )),
            (2..=5, false) => Ok(SetShape::Replicate { copies: *copies }),
            (_, false) => Err(Invalid::spec(
                "spec.layout.replicate.copies",
                format!("{copies} is not 2 to 5"),
            )),
        },
        (None, Some(Disperse { data, redundancy })) => {
            if !(2..=16).contains(data) {
                Err(Invalid::spec(
                    "spec.layout.disperse.data",
                    format!("{data} is not 2 to 16"),
                ))
            } else if *redundancy < 1 || redundancy >= data {
                Err(Invalid::spec(
                    "spec.layout.disperse.redundancy",
                    format!("{redundancy} is not 1 to {} (data is {data})", data - 1),
                ))
            } else {
                Ok(SetShape::Disperse {
                    data: *data,
                    redundancy: *redundancy,
                })
            }
        }
        (None, None) if layout.distribute.is_some() => Ok(SetShape::Distribute),
        (None, None) => Err(Invalid::spec(
            "spec.layout",
            "says neither replicate nor disperse nor distribute",
        )),
    }
}

/// Checks a GlusterVolume against its cluster. `before` is its status: which options were set for it, and whether it was made, since where
/// the bricks of a volume lie that is there is settled, whatever devices the cluster lists today.
pub fn volume(
    tenant: &Tenant<'_>,
    name: &str,
    uid: &str,
    spec: &GlusterVolumeSpec,
    before: &GlusterVolumeStatus,
    cluster: &ValidCluster,
) -> Result<ValidVolume, Vec<Invalid>> {
    if !tenant.admitted(&cluster.tenancy) {
        let why = format!(
            "namespace {} is not admitted to cluster {}: its spec.tenancy.namespaces has to admit it",
            tenant.namespace, cluster.name
        );
        return Err(vec![Invalid {
            field: "spec.clusterName".into(),
            why,
            reason: Reason::NotAdmitted,
        }]);
    }
    let mut problems = Vec::new();
    let volume_name = spec
        .volume_name
        .clone()
        .unwrap_or_else(|| default_volume_name(tenant.namespace, name));
    let prefix = format!("{}_", tenant.namespace);
    // a default name is made from the namespace; where that is long it is cut, and ends in a hash instead
    if !tenant.operators_own && spec.volume_name.is_some() && !volume_name.starts_with(&prefix) {
        problems.push(Invalid::not_allowed(
            "spec.volumeName",
            format!("{volume_name:?} has to begin with {prefix:?} in this namespace"),
        ));
    }
    let volume = volume_name
        .parse::<VolumeName>()
        .map_err(|error| problems.push(Invalid::spec("spec.volumeName", error)))
        .ok();

    let shape = match shape(&spec.layout) {
        Ok(shape) => shape,
        Err(problem) => {
            problems.push(problem);
            SetShape::Distribute
        }
    };
    let shard =
        spec.layout
            .shard
            .as_ref()
            .and_then(|shard| match quantity::bytes(&shard.block_size) {
                Ok(size) if BLOCK_SIZE.contains(&size) => Some(Bytes(size)),
                Ok(size) => {
                    problems.push(Invalid::spec(
                        "spec.layout.shard.blockSize",
                        format!("{size} bytes are not 4Mi to 4Ti"),
                    ));
                    None
                }
                Err(error) => {
                    problems.push(Invalid::spec("spec.layout.shard.blockSize", error));
                    None
                }
            });
    let sets = spec.layout.distribute.unwrap_or(1);
    let size = shape.size();
    if !(1..=64).contains(&sets) || sets.saturating_mul(size) > 128 {
        problems.push(Invalid::spec(
            "spec.layout.distribute",
            format!("{sets} is not 1 to 64 with at most 128 bricks in all"),
        ));
    }
    let bricks = spec.bricks.as_ref().map(|list| {
        let is_made = before.volume_id.is_some();
        explicit_bricks(tenant, list, is_made, (sets, size), cluster, &mut problems)
    });
    let capacity = spec
        .capacity
        .as_ref()
        .and_then(|text| match quantity::bytes(text) {
            Ok(bytes) if bytes >= 1 << 20 => Some(Bytes(bytes)),
            Ok(bytes) => {
                problems.push(Invalid::spec(
                    "spec.capacity",
                    format!("{bytes} bytes are less than 1Mi"),
                ));
                None
            }
            Err(error) => {
                problems.push(Invalid::spec("spec.capacity", error));
                None
            }
        });
    let wanted = parse_options("spec.options", &spec.options, &mut problems);
    for (key, value) in &wanted {
        if let Some(why) = options::forbidden(key) {
            problems.push(Invalid::not_allowed(
                "spec.options",
                format!("{key} can't be set here: {why}"),
            ));
        } else if let Some(why) = options::forbidden_value(value) {
            problems.push(Invalid::not_allowed(
                "spec.options",
                format!("{key}: {value:?}: {why}", value = value.as_str()),
            ));
        } else if !tenant.operators_own && !options::tenant_may_set(&cluster.tenancy.options, key) {
            problems.push(Invalid::not_allowed(
                "spec.options",
                format!("{key} may not be set in this namespace: spec.tenancy.options of cluster {} does not list it", cluster.name),
            ));
        }
    }
    let profile = options::profile(spec.profile);
    let dropped = before
        .owned_options
        .iter()
        .filter_map(|text| text.parse::<OptionKey>().ok())
        .filter(|key| {
            !wanted.contains_key(key)
                && !profile.contains_key(key)
                && options::forbidden(key).is_none()
        })
        .collect();
    let one_writer = spec.claim.as_ref().is_some_and(|claim| {
        claim.access_modes.iter().all(|mode| {
            matches!(
                mode,
                AccessMode::ReadWriteOnce | AccessMode::ReadWriteOncePod
            )
        })
    });
    if spec.claim.is_some() && spec.capacity.is_none() {
        problems.push(Invalid::spec("spec.capacity", "a claim needs one"));
    }
    let access = if one_writer {
        Some(Access::OneWriter)
    } else {
        client_list(cluster).map(Access::Clients)
    };
    let uid = uid
        .parse::<Uuid>()
        .map_err(|error| problems.push(Invalid::spec("metadata.uid", error)))
        .ok();
    let mark = tenant
        .namespace_uid
        .parse::<Uuid>()
        .ok()
        .zip(uid.clone())
        .and_then(|(namespace_uid, uid)| {
            OwnerMark::new(&cluster.owner, &namespace_uid, tenant.namespace, name, &uid).ok()
        });
    let mark_option = uid
        .as_ref()
        .and_then(|uid| format!("v1:{}:{uid}", cluster.owner).parse().ok());
    match (volume, uid, mark, mark_option, access) {
        (Some(volume), Some(uid), Some(mark), Some(mark_option), Some(access))
            if problems.is_empty() =>
        {
            Ok(ValidVolume {
                object: format!("{}/{name}", tenant.namespace),
                volume,
                uid,
                mark,
                mark_option,
                shape,
                sets,
                shard,
                bricks,
                capacity,
                quota_timeouts: capacity
                    .map(|_| quota_timeouts(cluster.quota_timeouts))
                    .unwrap_or_default(),
                profile,
                options: wanted,
                dropped,
                access,
                state: spec.state,
                deletion: spec.deletion_policy,
                claim: spec.claim.clone(),
            })
        }
        _ if problems.is_empty() => Err(vec![Invalid::spec(
            "metadata",
            "the object's names make no valid owner mark",
        )]),
        _ => Err(problems),
    }
}

fn client_list(cluster: &ValidCluster) -> Option<OptionValue> {
    match &cluster.clients {
        None => "*".parse().ok(),
        Some(list) => list
            .iter()
            .map(AddressPattern::as_str)
            .collect::<Vec<_>>()
            .join(",")
            .parse()
            .ok(),
    }
}

fn explicit_bricks(
    tenant: &Tenant<'_>,
    list: &[String],
    is_made: bool,
    (sets, size): (u32, u32),
    cluster: &ValidCluster,
    problems: &mut Vec<Invalid>,
) -> Vec<Brick> {
    if !tenant.operators_own && cluster.tenancy.bricks == Permission::Deny {
        problems.push(Invalid::not_allowed(
            "spec.bricks",
            format!(
                "may not be named in this namespace: spec.tenancy.bricks of cluster {} denies it",
                cluster.name
            ),
        ));
    }
    if list.len() != sets.saturating_mul(size) as usize {
        problems.push(Invalid::spec(
            "spec.bricks",
            format!(
                "{} bricks, the layout needs {sets} times {size}",
                list.len()
            ),
        ));
    }
    let mut bricks: Vec<Brick> = Vec::new();
    for (index, text) in list.iter().enumerate() {
        let field = format!("spec.bricks[{index}]");
        match text.parse::<Brick>() {
            Err(error) => problems.push(Invalid::spec(field, error)),
            Ok(brick) if !is_made && cluster.device_of(&brick).is_none() => {
                problems.push(Invalid::spec(
                    field,
                    format!(
                        "{brick} does not lie below a device path of a listed node of cluster {}",
                        cluster.name
                    ),
                ));
            }
            Ok(brick)
                if brick
                    .path
                    .as_str()
                    .split('/')
                    .any(|part| matches!(part, ".trash" | ".glusterfs")) =>
            {
                problems.push(Invalid::spec(
                    field,
                    format!("{brick} lies in a directory that is not for bricks"),
                ));
            }
            Ok(brick) => {
                let touches = |other: &&Brick| {
                    other.host == brick.host
                        && (other.path == brick.path
                            || below(&other.path, &brick.path)
                            || below(&brick.path, &other.path))
                };
                if let Some(other) = bricks.iter().find(touches) {
                    problems.push(Invalid::spec(field, format!("{brick} and {other} overlap")));
                }
                bricks.push(brick);
            }
        }
    }
    // with `force` gluster would take it, and one host would be several copies
    if bricks.len() == list.len() {
        for (at, brick) in bricks.iter().enumerate() {
            let size = size.max(1) as usize;
            let set = at / size;
            if let Some(other) = bricks[set * size..at]
                .iter()
                .find(|other| other.host == brick.host)
            {
                problems.push(Invalid::spec(
                    format!("spec.bricks[{at}]"),
                    format!(
                        "{brick} and {other} are of one set, which is bricks {} to {}, and on one host: name bricks of {size} hosts for each set",
                        set * size,
                        set * size + size - 1
                    ),
                ));
            }
        }
    }
    bricks
}
