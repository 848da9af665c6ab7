//! What a pool looks like: the picture that observation gives and that plans are made from.
//!
//! A picture is made of what each host said. A host that did not answer is *silent*, and what only it
//! could know is unknown; it never counts as absent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::{Brick, Bytes, HostName, HostPath, OwnerMark, TrashName, Uuid, VolumeName};

/// Ports below 1024 that a client of a closed volume takes for each brick: it asks glusterd for the brick's port first, and TCP keeps either for a
/// minute after it has ended (measured: 6 for three bricks).
pub const PORTS_FOR_A_BRICK: usize = 2;

/// The state of one glusterd, as `get-state` tells it. All of it is that host's own view.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GlusterdState {
    /// The host's own uuid; `None` where glusterd printed none.
    pub uuid: Option<Uuid>,
    /// The cluster's op-version as this host knows it.
    pub op_version: u32,
    /// `volume set all` options.
    pub global_options: BTreeMap<String, String>,
    /// The other peers of the pool.
    pub peers: Vec<Peer>,
    /// All volumes that this host knows of.
    pub volumes: Vec<Volume>,
    /// Names of daemons that are online (`bitd`, `scrub`, `quotad`).
    pub services_online: Vec<String>,
}

impl GlusterdState {
    /// The volume of that name.
    pub fn volume(&self, name: &VolumeName) -> Option<&Volume> {
        self.volumes
            .iter()
            .find(|volume| volume.name == name.as_str())
    }
}

/// Another member of the pool, as one host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its uuid, the only name that never has an alias.
    pub uuid: Uuid,
    /// The name under which it was probed.
    pub hostname: String,
    /// Further names.
    pub other_names: Vec<String>,
    /// `Peer in Cluster` when all is well.
    pub state: String,
    /// Whether this host has a connection to it. With a ping-timeout of 0 this stays true for a host that
    /// was cut off silently.
    pub connected: bool,
}

impl Peer {
    /// True when gluster knows it by that name.
    pub fn is_named(&self, name: &str) -> bool {
        self.hostname == name || self.other_names.iter().any(|other| other == name)
    }
}

/// A volume, as one host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// Its name; not a [`VolumeName`], since foreign volumes may have names that we would not give.
    pub name: String,
    /// Its id, made at creation.
    pub id: String,
    /// `Replicate`, `Distributed-Replicate`, … as gluster prints it.
    pub type_name: String,
    /// Created, Started or Stopped.
    pub status: VolumeStatus,
    /// Bricks in gluster's order.
    pub bricks: Vec<VolumeBrick>,
    /// Copies of each file; 1 without replication.
    pub replica_count: u32,
    /// Of the copies, how many arbiters.
    pub arbiter_count: u32,
    /// Bricks of a dispersed set; 0 when not dispersed.
    pub disperse_count: u32,
    /// Bricks of a dispersed set that may be lost.
    pub redundancy_count: u32,
    /// Options that were set on it (not defaults).
    pub options: BTreeMap<String, String>,
}

impl Volume {
    /// True when `features.quota` is on.
    pub fn quota_enabled(&self) -> bool {
        self.has("features.quota", "on")
    }

    /// How many daemons of each host are clients of each of its bricks: one that heals, and one that counts for quota.
    pub fn daemons(&self) -> usize {
        let heals = self.replica_count > 1 || self.disperse_count > 0;
        usize::from(heals) + usize::from(self.quota_enabled())
    }

    /// True when its clients take a port below 1024 for each connection to a brick.
    pub fn is_privileged(&self) -> bool {
        self.has("client.bind-insecure", "off")
    }

    /// True when that option was set to that value.
    pub fn has(&self, key: &str, value: &str) -> bool {
        self.options.get(key).is_some_and(|set| set == value)
    }
}

/// The state of a volume as `get-state` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VolumeStatus {
    /// Made and never started.
    #[default]
    Created,
    /// Its bricks should run.
    Started,
    /// Stopped by a command.
    Stopped,
}

/// One brick of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeBrick {
    /// The host name with which the volume was created; may be any alias of the peer.
    pub host: String,
    /// The directory.
    pub path: String,
    /// Whether its process runs; only its own host knows, so `None` in the view of any other host, and of its own while the
    /// brick is starting or stopping.
    pub online: Option<bool>,
    /// The port on which it listens, another one after each start; only its own host knows, and only while it runs.
    pub port: Option<u32>,
    /// True for an arbiter.
    pub arbiter: bool,
}

/// A limit of `quota list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaLimit {
    /// Path from the root of the volume, `/` for the volume.
    pub path: String,
    /// The limit.
    pub hard_limit: Bytes,
    /// What gluster counts as used.
    pub used: Bytes,
}

/// One client connection of a brick, from `volume status V clients`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrickClients {
    /// Host name of the brick.
    pub host: String,
    /// Path of the brick.
    pub path: String,
    /// Addresses of its clients, without the port, one for each connection. `None`: it told nothing, since it has no client at all or
    /// could not be asked.
    pub clients: Option<Vec<String>>,
}

/// What one host said, or why it said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostView {
    /// It answered.
    Answered(Box<HostFacts>),
    /// It could not be reached, or its glusterd did not answer; everything that it alone knows is unknown.
    Silent {
        /// What we tell the user: what was tried and what came back.
        why: String,
        /// The kind of failure, for reasons in conditions.
        kind: SilentKind,
    },
}

/// Why a host gave no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SilentKind {
    /// The name does not resolve, nothing listens, or the connection broke.
    Unreachable,
    /// Its key is not the pinned one.
    HostKey,
    /// It refused our key.
    Authentication,
    /// Programs that we need are missing there.
    Prerequisites,
    /// SSH works but glusterd does not answer.
    Glusterd,
}

/// What a host that answered said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// Its glusterd's view.
    pub state: GlusterdState,
    /// The content of the owner file; `None` when there is none.
    pub owner: Option<String>,
    /// `ping-timeout` in glusterd.vol, seconds; 0 means that a silent peer is never noticed; `None`: not found out.
    pub ping_timeout: Option<u32>,
    /// Whether its glusterd was started since that file changed, so that the value holds; `None`: not found out.
    pub ping_in_force: Option<bool>,
    /// `glusterfs --version`.
    pub version: String,
    /// Its own IP addresses, on whatever network: from these its daemons connect to bricks. Empty: not found out.
    pub addresses: BTreeSet<String>,
    /// The devices that were asked about.
    pub devices: BTreeMap<HostPath, DeviceFacts>,
}

/// What a host says of a directory where bricks shall live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceFacts {
    /// There is no such directory.
    Missing,
    /// It could not be found out.
    Unknown(String),
    /// It is there.
    Present {
        /// The mount point of the file system that holds it.
        mount_point: String,
        /// Whole size of that file system.
        size: Bytes,
        /// What is free.
        free: Bytes,
        /// The file system's id.
        fs_id: String,
    },
}

/// What a host says of a directory that is, or will be, a brick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrickFacts {
    /// There is no such directory.
    Missing,
    /// It could not be found out.
    Unknown(String),
    /// It is there.
    Present {
        /// Our mark, when it has one that can be read.
        owner: Option<OwnerMark>,
        /// True when there is an owner xattr which is not a mark of ours.
        foreign_mark: bool,
        /// `trusted.glusterfs.volume-id`, as a uuid, when gluster has made it a brick.
        volume_id: Option<String>,
        /// True when it holds nothing, or nothing but `.glusterfs`.
        empty: bool,
    },
}

/// Marks of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// Our mark, when it has one that can be read.
    pub owner: Option<OwnerMark>,
    /// True when there is an owner xattr which is not a mark of ours.
    pub foreign_mark: bool,
    /// `trusted.glusterfs.volume-id`, as a uuid, when gluster has made it a brick.
    pub volume_id: Option<String>,
}

/// What lies in the trash of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrashListing {
    /// Directories whose names we could have given.
    pub items: Vec<TrashItem>,
    /// What was destroyed, but for the file that says so.
    pub purged: Vec<TrashName>,
    /// Names of everything else.
    pub strange: Vec<String>,
    /// The host's own time, seconds since 1970.
    pub clock: u64,
    /// Mount points of the trash itself and below it.
    pub mounts: Vec<String>,
}

/// A directory in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashItem {
    /// Its name.
    pub name: TrashName,
    /// When it was moved there or changed since, by the host's clock, seconds since 1970.
    pub changed: u64,
    /// Whether its manifest lies beside it.
    pub manifest: bool,
    /// Whether its destruction was begun.
    pub purging: bool,
}

/// A closer look at a directory in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrashEntry {
    /// Its own marks: a brick that was named by hand lies there as itself.
    pub own: Marks,
    /// Marks of `brick` in it.
    pub brick: Option<Marks>,
    /// True when nothing lies directly in it but `brick`.
    pub only_a_brick: bool,
    /// The manifest, when there is one.
    pub manifest: Option<String>,
    /// Mount points in it, and itself where it is one.
    pub mounts: Vec<String>,
}

/// glusterd's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GlusterdVol {
    /// The file.
    pub text: String,
    /// Whether glusterd was started after its last change; `None` when that can't be told.
    pub in_force: Option<bool>,
}

/// Whether all directories were looked for that may be bricks of a volume that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Search {
    /// Nobody looked.
    #[default]
    NotAsked,
    /// Some device could not be searched: why.
    Incomplete(String),
    /// All were found, and are among the bricks that were inspected.
    Complete,
}

/// The picture of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolView {
    /// Each host that was asked, by the name that the cluster gives it.
    pub hosts: BTreeMap<HostName, HostView>,
    /// The addresses that each host had by its own word when it last answered ([`HostFacts::addresses`]), of hosts that left the cluster,
    /// too: one that is silent goes on to connect to bricks from them. No entry: it never told.
    pub addresses: BTreeMap<HostName, BTreeSet<String>>,
}

impl PoolView {
    /// Hosts that answered.
    pub fn answered(&self) -> impl Iterator<Item = (&HostName, &HostFacts)> {
        self.hosts.iter().filter_map(|(name, view)| match view {
            HostView::Answered(facts) => Some((name, facts.as_ref())),
            HostView::Silent { .. } => None,
        })
    }

    /// Hosts that did not, with the reason.
    pub fn silent(&self) -> impl Iterator<Item = (&HostName, &str, SilentKind)> {
        self.hosts.iter().filter_map(|(name, view)| match view {
            HostView::Answered(_) => None,
            HostView::Silent { why, kind } => Some((name, why.as_str(), *kind)),
        })
    }

    /// What that host said.
    pub fn facts(&self, host: &HostName) -> Option<&HostFacts> {
        match self.hosts.get(host) {
            Some(HostView::Answered(facts)) => Some(facts),
            _ => None,
        }
    }

    /// Names of the hosts that answered and know the volume, and of those that answered and do not.
    pub fn who_knows(&self, volume: &VolumeName) -> (Vec<&HostName>, Vec<&HostName>) {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for (name, facts) in self.answered() {
            if facts.state.volume(volume).is_some() {
                with.push(name);
            } else {
                without.push(name);
            }
        }
        (with, without)
    }
}

/// What was found out about one volume beyond the picture of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeView {
    /// Facts of each brick directory that was asked about.
    pub bricks: BTreeMap<Brick, BrickFacts>,
    /// What bricks hold, counted file by file, or why that is not known; empty when not asked.
    pub held: BTreeMap<Brick, Result<Bytes, String>>,
    /// Whether directories of bricks were searched for, of whatever object's name.
    pub search: Search,
    /// Limit and use of the volume's root.
    pub quota: QuotaView,
    /// The limit that was in force when this was last known.
    pub limit_before: Option<Bytes>,
    /// Whether the crawl of a `quota enable` still runs on a host; `None` when not asked or not found out on each.
    pub crawling: Option<bool>,
    /// Client addresses by brick; `None` when not asked or not found out.
    pub clients: Option<Vec<BrickClients>>,
    /// Why they could not be found out, where they were asked for.
    pub clients_unknown: Option<String>,
    /// A brick of it did not run, or was started, a short while ago: clients that have it mounted may not be back yet.
    pub unsteady: bool,
    /// Where each storage host has the volume mounted, or why that is not known; no entry for one that was not asked.
    pub mounts: BTreeMap<HostName, Result<Vec<String>, String>>,
    /// When bricks of it that did not run were started; `None` when that was not needed for a while.
    pub start_tried: Option<StartTried>,
}

/// Bricks that did not run were started by [`super::operation::Gluster::StartBricks`], which says that all is well also when
/// one ends at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartTried {
    /// How long ago the last time was.
    pub ago: Duration,
    /// How often it was done without a quiet time between.
    pub times: u32,
}

/// What `quota list V /` said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum QuotaView {
    /// Not asked, or no answer that can be trusted.
    #[default]
    Unknown,
    /// Quota is off.
    Off,
    /// Quota is on and the root has no limit.
    NoLimit,
    /// The limit of the root.
    Limit(QuotaLimit),
}

impl QuotaView {
    /// The limit that is in force, where that is known.
    pub fn limit(&self) -> Option<Bytes> {
        match self {
            Self::Limit(limit) => Some(limit.hard_limit),
            Self::Unknown | Self::Off | Self::NoLimit => None,
        }
    }
}
