//! A pool at work: looks at it through its hosts, and takes steps on it.
//!
//! It keeps what must outlive one look: which writes have no known end, and the last picture, so that many volumes
//! share one look. It never decides what to do; that is [`crate::plan`].

mod commands;
mod count;
mod execute;
mod lane;
mod observe;
mod steady;
mod trash;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, RwLock};

use crate::gluster::model::{PoolView, QuotaView};
use crate::gluster::names::{Brick, Bytes, HostName, HostPath, VolumeName};
use crate::gluster::operation::POOL_LOCK;
use crate::gluster::output::About;
use crate::host::Host;

pub use commands::operations;
pub use execute::{Leave, StepFailure};

/// A volume whose bricks had to be started begins to count anew when they have run for so long.
const QUIET: Duration = Duration::from_secs(300);

/// How long a command waits for a list of all quotas, which would refuse it. The list may wait for a brick that hangs.
const LISTING_PATIENCE: Duration = Duration::from_secs(2);

/// A look at the pool.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When it began: it shows nothing of what happened later, and all that had ended before.
    pub started: Instant,
    /// What was seen.
    pub view: Arc<PoolView>,
}

/// A write that was sent and whose result is not known.
#[derive(Debug, Clone)]
struct Unsettled {
    what: String,
    since: Instant,
}

/// What was seen through these hosts.
#[derive(Default)]
struct Seen {
    latest: Option<Observation>,
    /// Hosts whose prerequisites were found to be there, when, and what changes rarely of them.
    known: BTreeMap<HostName, (Instant, About)>,
    /// When hosts that gave no answer were last waited for to the end.
    patient: BTreeMap<HostName, Instant>,
}

#[derive(Default)]
struct Memory {
    /// By the name of the lock: the volume, or [`POOL_LOCK`].
    unsettled: BTreeMap<String, Unsettled>,
    /// When the last write of ours that a look shows had ended, by the name of the lock.
    changed: BTreeMap<String, Instant>,
    /// When the last write of ours that may have changed a limit had ended, by the name of the lock.
    written: BTreeMap<String, Instant>,
    /// Limits and use, and when they were asked for.
    quotas: BTreeMap<VolumeName, (Instant, QuotaView)>,
    /// Limits as they were last seen, or set, and not touched since.
    limits: BTreeMap<VolumeName, Bytes>,
    /// What bricks hold.
    counts: BTreeMap<VolumeName, count::Counted>,
    /// When bricks of these volumes that did not run were last started, and how often; gone when all of them have run for
    /// [`QUIET`] since.
    brick_starts: BTreeMap<VolumeName, (Instant, u32)>,
    /// Whether bricks have run for a while.
    steadiness: steady::Steadiness,
    /// What each host last told of its own addresses.
    addresses: BTreeMap<HostName, BTreeSet<String>>,
}

/// What is common to all [`Pool`]s of one GlusterCluster. An edit of its nodes makes a new pool, while reconciles that began before
/// go on with the old one: neither may do what the other's writes forbid.
#[derive(Default)]
pub struct Ledger {
    lane: lane::Lane,
    /// Held for writing while quotas of all volumes are listed, which takes their locks: a write of ours on one of them would be
    /// refused. Writes share it.
    listing: RwLock<()>,
    /// Held for writing from the last look before a peer is detached until it is. Whoever makes a volume shares it, since GlusterFS
    /// lets a volume go along whose bricks all lie on that peer.
    members: RwLock<()>,
    memory: std::sync::Mutex<Memory>,
}

/// The hosts of one GlusterCluster.
pub struct Pool {
    hosts: BTreeMap<HostName, Arc<dyn Host>>,
    devices: BTreeMap<HostName, Vec<HostPath>>,
    /// Names our files on the hosts.
    slot: VolumeName,
    /// When this pool was put together; nothing was seen before.
    made: Instant,
    observing: Mutex<()>,
    seen: std::sync::Mutex<Seen>,
    ledger: Arc<Ledger>,
}

impl Pool {
    /// A pool of these hosts, each with the devices that are looked at. `slot` must differ between processes that look at
    /// the same host, and between pools of one process: it names files on the hosts.
    pub fn new(hosts: Vec<(Arc<dyn Host>, Vec<HostPath>)>, slot: VolumeName) -> Self {
        Self::with(hosts, slot, Arc::default())
    }

    /// The same, in the place of a pool of before, whose ledger this is.
    pub fn with(
        hosts: Vec<(Arc<dyn Host>, Vec<HostPath>)>,
        slot: VolumeName,
        ledger: Arc<Ledger>,
    ) -> Self {
        let devices = hosts
            .iter()
            .map(|(host, devices)| (host.name().clone(), devices.clone()))
            .collect();
        let hosts = hosts
            .into_iter()
            .map(|(host, _)| (host.name().clone(), host))
            .collect();
        Self {
            hosts,
            devices,
            slot,
            made: Instant::now(),
            observing: Mutex::new(()),
            seen: std::sync::Mutex::default(),
            ledger,
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // the data behind it is replaced whole, so a panic elsewhere leaves nothing half done in it
        self.ledger
            .memory
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What the last look saw, however long ago; `None` before the first.
    pub fn latest(&self) -> Option<Arc<PoolView>> {
        let latest = &self.seen().latest;
        latest.as_ref().map(|latest| latest.view.clone())
    }

    /// When our last write on that volume, or on the pool, had ended. A look that began before may not show it.
    pub fn changed(&self, volume: &VolumeName) -> Instant {
        let memory = self.memory();
        let of = |lock: &str| memory.changed.get(lock).copied().unwrap_or(self.made);
        of(volume.as_str()).max(of(POOL_LOCK))
    }

    /// A write on the pool or on any of its volumes whose result is not known yet.
    pub fn unsettled_anywhere(&self) -> Option<String> {
        let memory = self.memory();
        memory
            .unsettled
            .values()
            .next()
            .map(|entry| entry.what.clone())
    }

    /// The write on that volume, or on the pool, whose result is not known yet.
    pub fn unsettled(&self, volume: &VolumeName) -> Option<String> {
        let memory = self.memory();
        let entry = memory
            .unsettled
            .get(volume.as_str())
            .or_else(|| memory.unsettled.get(POOL_LOCK))?;
        Some(entry.what.clone())
    }
}

/// The paths on each host.
fn by_host(bricks: &[Brick]) -> BTreeMap<&HostName, Vec<HostPath>> {
    let mut by_host: BTreeMap<&HostName, Vec<HostPath>> = BTreeMap::new();
    for brick in bricks {
        let paths = by_host.entry(&brick.host).or_default();
        paths.push(brick.path.clone());
    }
    by_host
}
