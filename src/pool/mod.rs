//! A pool at work: looks at it through its hosts, and takes steps on it.
//!
//! It keeps what must outlive one look: which writes have no known end, and the last picture, so that many volumes
//! share one look. It never decides what to do; that is [`crate::plan`].

mod commands;
mod count;
mod execute;
mod observe;
mod trash;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, RwLock, Semaphore};

use crate::gluster::model::{PoolView, QuotaView};
use crate::gluster::names::{Bytes, HostName, HostPath, VolumeName};
use crate::host::Host;

pub use commands::operations;
pub use execute::StepFailure;

/// How many steps that restart daemons run at once in a pool: bunched they cost half, more of them stall writers.
const DAEMON_LANE: usize = 4;

/// A volume whose bricks had to be started begins to count anew when they have run for so long.
const QUIET: Duration = Duration::from_secs(300);

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

#[derive(Default)]
struct Memory {
    latest: Option<Observation>,
    /// Hosts whose prerequisites were found to be there.
    checked: BTreeSet<HostName>,
    /// By the name of the lock: the volume, or `pool`.
    unsettled: BTreeMap<String, Unsettled>,
    /// When the last write of ours that a look shows had ended, by the name of the lock.
    changed: BTreeMap<String, Instant>,
    /// When the last write of ours had ended, whatever shows it, by the name of the lock.
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
}

/// The hosts of one GlusterCluster.
pub struct Pool {
    hosts: BTreeMap<HostName, Arc<dyn Host>>,
    devices: BTreeMap<HostName, Vec<HostPath>>,
    /// Names our files on the hosts.
    slot: VolumeName,
    lane: Semaphore,
    /// When this pool was put together; nothing was seen before.
    made: Instant,
    observing: Mutex<()>,
    /// Held for writing while quotas of all volumes are listed, which takes their locks: a write of ours on one of them would be
    /// refused. Writes share it.
    listing: RwLock<()>,
    memory: std::sync::Mutex<Memory>,
}

impl Pool {
    /// A pool of these hosts, each with the devices that are looked at. `slot` must differ between processes that look at
    /// the same host, and between pools of one process: it names files on the hosts.
    pub fn new(hosts: Vec<(Arc<dyn Host>, Vec<HostPath>)>, slot: VolumeName) -> Self {
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
            lane: Semaphore::new(DAEMON_LANE),
            made: Instant::now(),
            observing: Mutex::new(()),
            listing: RwLock::new(()),
            memory: std::sync::Mutex::default(),
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // the data behind it is replaced whole, so a panic elsewhere leaves nothing half done in it
        self.memory
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes over which writes have no known end, from the pool that this one replaces.
    pub fn inherit(&self, before: &Self) {
        let unsettled = before.memory().unsettled.clone();
        self.memory().unsettled = unsettled;
    }

    /// When our last write on that volume, or on the pool, had ended. A look that began before may not show it.
    pub fn changed(&self, volume: &VolumeName) -> Instant {
        let memory = self.memory();
        let of = |lock: &str| memory.changed.get(lock).copied().unwrap_or(self.made);
        of(volume.as_str()).max(of("pool"))
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
            .or_else(|| memory.unsettled.get("pool"))?;
        Some(entry.what.clone())
    }
}
