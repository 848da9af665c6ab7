//! Steps that restart daemons wait here: for new volumes that have not come as far, and for each other.
//!
//! `quota enable` ends and starts one daemon on every host, and a peer that does it answers nothing else for a second: glusterd
//! connects to the new daemon's socket some milliseconds before the daemon has made it, and sleeps for a second before it tries again, in the
//! only thread that answers its peers (seen in 10.3 with strace: `connect` says ENOENT, then `clock_nanosleep`). Between two of them every other
//! command of a burst waits, and most of a command's time would be such waits. So new volumes that are on their way are brought as far as they come before, and then the
//! daemons are restarted for one after the other.
//!
//! A volume that is closed to unprivileged processes (`client.bind-insecure off`) takes a port below 1024 for each connection to a brick. A quota
//! daemon that is ended leaves those of all its bricks behind for the minute that TCP keeps them (`TIME-WAIT`). Measured: with 23
//! volumes, twenty `quota enable` in 28 s left 930, the daemons found none any more, and writers of all volumes with a limit got ENOTCONN
//! after 45 s. So no more daemons are restarted in a minute than ports suffice for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::info;

use crate::gluster::names::VolumeName;
use crate::plan::step::Step;

/// How many steps that restart daemons run at once in a pool. Measured with 20 times `quota enable` and writers on other volumes whose
/// `features.soft-timeout` was 10 s: one after the other 2.0 s each, and no write took longer than 0.07 s; two at once 1.7 s, and a
/// write of a closed pool took 45 s; nine from three hosts 1.1 s, and writes took 10 to 20 s. A brick that finds no quota daemon asks again
/// after 5 s, and where restarts overlap a daemon is ended before it has found its bricks.
const WIDTH: usize = 1;
/// The longest that a volume waits for others which are on their way.
const PATIENCE: Duration = Duration::from_secs(10);
/// A volume on its way of which nothing was heard for so long is not waited for: its reconcile looks in between, or has ended.
const STALE: Duration = Duration::from_secs(2);
/// Ports that daemons of a host may take: those below 1024, but for what other programs have, and with some to spare: a daemon that finds
/// none takes a higher one, is refused by closed bricks, and does not try again before its next start (measured).
const LOW_PORTS: usize = 850;
/// Ports that a daemon takes for each brick: it asks glusterd for the brick's port first.
const FOR_A_BRICK: usize = 2;
/// Ports that each brick takes besides: self-heal and quota daemon have one each, and starting the volumes has left as many behind.
const STANDING: usize = 4;
/// How long a port is not free after its connection was closed: a minute, and a little more.
const TIME_WAIT: Duration = Duration::from_secs(62);
const POLL: Duration = Duration::from_millis(50);

/// Bricks that have closed volumes: each connection to one takes a port below 1024.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ClosedBricks {
    /// Of all volumes.
    pub(super) all: usize,
    /// Of those with a quota, to which every quota daemon connects.
    pub(super) limited: usize,
}

/// A new volume that is being made.
struct OnItsWay {
    /// Commands of it that run now.
    running: usize,
    heard: Instant,
}

/// What a volume waits for before its step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// New volumes that have not come as far.
    Others,
    /// Another volume for which daemons are restarted.
    Turn,
    /// Ports below 1024.
    Ports,
}

impl Waits {
    /// In words, for who watches the volume.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Others => "waits for other new volumes to come as far",
            Self::Turn => {
                "waits for its turn: daemons are restarted for one volume after the other"
            }
            Self::Ports => {
                "waits for ports below 1024, which TCP keeps for a minute after daemons were ended"
            }
        }
    }
}

/// Tells what a volume waits for, until it is dropped.
struct Told<'a> {
    lane: &'a Lane,
    volume: &'a VolumeName,
}

impl Told<'_> {
    fn waits(&self, what: Waits) {
        self.lane.waiting().insert(self.volume.clone(), what);
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.lane.waiting().remove(self.volume);
    }
}

/// The way to the daemons of one pool.
pub(super) struct Lane {
    permits: Semaphore,
    patience: Duration,
    stale: Duration,
    time_wait: Duration,
    on_their_way: Mutex<BTreeMap<VolumeName, OnItsWay>>,
    /// What volumes wait for here.
    waiting: Mutex<BTreeMap<VolumeName, Waits>>,
    /// When daemons were restarted lately, and how many ports each left behind.
    left: Mutex<Vec<(Instant, usize)>>,
    /// Volumes whose quota was switched on here: the last look may be older.
    limited: Mutex<BTreeSet<VolumeName>>,
}

/// Counts a command of a volume that is on its way, until it is dropped.
pub(super) struct Under<'a> {
    lane: &'a Lane,
    volume: VolumeName,
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        if let Some(one) = self.lane.entries().get_mut(&self.volume) {
            one.running = one.running.saturating_sub(1);
            one.heard = Instant::now();
        }
    }
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            permits: Semaphore::new(WIDTH),
            patience: PATIENCE,
            stale: STALE,
            time_wait: TIME_WAIT,
            on_their_way: Mutex::default(),
            waiting: Mutex::default(),
            left: Mutex::default(),
            limited: Mutex::default(),
        }
    }
}

impl Lane {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<VolumeName, OnItsWay>> {
        self.on_their_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<VolumeName, Waits>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limited(&self) -> MutexGuard<'_, BTreeSet<VolumeName>> {
        self.limited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the quota of a volume of that name was switched on here.
    pub(super) fn is_limited(&self, volume: &str) -> bool {
        self.limited().iter().any(|one| one.as_str() == volume)
    }

    /// What that volume waits for now.
    pub(super) fn waits(&self, volume: &VolumeName) -> Option<Waits> {
        self.waiting().get(volume).copied()
    }

    /// Says that this step is taken now, where it brings a new volume on its way.
    pub(super) fn under(&self, step: &Step) -> Option<Under<'_>> {
        let mut entries = self.entries();
        let volume = match step {
            Step::CreateVolume { volume, .. } => volume,
            Step::SetOptions { volume, .. } | Step::StartVolume(volume)
                if entries.contains_key(volume) =>
            {
                volume
            }
            _ => return None,
        };
        let entry = entries.entry(volume.clone()).or_insert(OnItsWay {
            running: 0,
            heard: Instant::now(),
        });
        entry.running += 1;
        Some(Under {
            lane: self,
            volume: volume.clone(),
        })
    }

    /// Waits for its turn, where the step restarts daemons. `closed` counts bricks whenever it is asked.
    pub(super) async fn enter(
        &self,
        step: &Step,
        closed: impl Fn() -> ClosedBricks,
    ) -> Option<SemaphorePermit<'_>> {
        let (Step::EnableQuota(volume)
        | Step::StartVolume(volume)
        | Step::StartBricks(volume)
        | Step::StopVolume(volume)
        | Step::DeleteVolume(volume)) = step
        else {
            return None;
        };
        // a new volume has no quota yet, so that no daemon of it is there
        if matches!(step, Step::StartVolume(_)) && self.entries().contains_key(volume) {
            return None;
        }
        let begin = Instant::now();
        let told = Told { lane: self, volume };
        if let Step::EnableQuota(_) = step {
            self.entries().remove(volume);
            told.waits(Waits::Others);
            while begin.elapsed() < self.patience && self.others_come() {
                tokio::time::sleep(POLL).await;
            }
        }
        // who waits for ports does not keep others from their turn: a stop of a small pool's last volume needs none
        let permit = loop {
            told.waits(Waits::Turn);
            let permit = self.permits.acquire().await.ok();
            if self.takes_ports(closed()) {
                match step {
                    Step::EnableQuota(volume) => self.limited().insert(volume.clone()),
                    Step::DeleteVolume(volume) => self.limited().remove(volume),
                    _ => false,
                };
                break permit;
            }
            drop(permit);
            told.waits(Waits::Ports);
            tokio::time::sleep(POLL).await;
        };
        if begin.elapsed() > Duration::from_secs(5) {
            info!(
                step = step.describe(),
                seconds = begin.elapsed().as_secs_f64(),
                "waited for its turn, and until ports of daemons that were ended are free again"
            );
        }
        permit
    }

    /// Takes what one more restart leaves behind, if it is there. One restart is always possible when there was none lately.
    fn takes_ports(&self, closed: ClosedBricks) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|(when, _)| when.elapsed() < self.time_wait);
        let held: usize = left.iter().map(|(_, ports)| ports).sum();
        let there = LOW_PORTS.saturating_sub(closed.all.saturating_mul(STANDING));
        let ports = closed.limited.saturating_mul(FOR_A_BRICK);
        if held > 0 && held.saturating_add(ports) > there {
            return false;
        }
        left.push((Instant::now(), ports));
        true
    }

    fn others_come(&self) -> bool {
        let mut entries = self.entries();
        entries.retain(|_, one| one.running > 0 || one.heard.elapsed() < self.stale);
        !entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_secs(3600);
    /// Long enough for whoever need not wait to pass.
    const MOMENT: Duration = Duration::from_millis(300);

    fn name(text: &str) -> VolumeName {
        text.parse().unwrap()
    }

    fn create(volume: &str) -> Step {
        Step::CreateVolume {
            volume: name(volume),
            shape: crate::gluster::operation::SetShape::Replicate { copies: 3 },
            bricks: Vec::new(),
        }
    }

    fn open() -> ClosedBricks {
        ClosedBricks::default()
    }

    fn lane(patience: Duration, stale: Duration) -> Lane {
        Lane {
            patience,
            stale,
            ..Lane::default()
        }
    }

    /// Whether the quota of `a` passes; where it may have to wait for ever, within a moment.
    async fn passes(lane: &Lane) -> bool {
        let step = Step::EnableQuota(name("a"));
        let bounded = lane.patience < NEVER;
        let time = if bounded { NEVER } else { MOMENT };
        let permit = tokio::time::timeout(time, lane.enter(&step, open)).await;
        permit.is_ok_and(|permit| permit.is_some())
    }

    #[tokio::test]
    async fn a_volume_alone_waits_for_nobody() {
        let lane = lane(NEVER, NEVER);
        drop(lane.under(&create("a")));
        drop(lane.under(&Step::StartVolume(name("a"))));
        assert!(passes(&lane).await);
        // what was there before is not on its way
        assert!(lane.under(&Step::StartVolume(name("old"))).is_none());
        assert!(passes(&lane).await);
    }

    #[tokio::test]
    async fn others_on_their_way_are_waited_for_and_not_for_ever() {
        let kept = lane(NEVER, Duration::ZERO);
        let running = kept.under(&create("b"));
        assert!(!passes(&kept).await, "b is being made");
        drop(running);
        assert!(passes(&kept).await, "nothing is heard of b any more");

        let kept = lane(NEVER, NEVER);
        drop(kept.under(&create("b")));
        assert!(!passes(&kept).await, "b will be heard of");
        let b = Step::EnableQuota(name("b"));
        assert!(kept.enter(&b, open).await.is_some(), "b is the last one");
        assert!(passes(&kept).await, "b has come");

        let hasty = lane(MOMENT, Duration::ZERO);
        let _running = hasty.under(&create("b"));
        assert!(passes(&hasty).await, "b takes too long");
    }

    #[tokio::test]
    async fn no_more_than_its_width_pass_at_once() {
        let lane = lane(NEVER, NEVER);
        let enable = Step::EnableQuota(name("a"));
        let stop = Step::StopVolume(name("z"));
        let mut held = Vec::new();
        for _ in 0..WIDTH {
            held.push(lane.enter(&enable, open).await);
        }
        assert_eq!(lane.waits(&name("z")), None);
        {
            // bricks of many volumes may have died at once
            let bricks = Step::StartBricks(name("y"));
            let waits = tokio::time::timeout(MOMENT, lane.enter(&bricks, open));
            assert!(waits.await.is_err(), "daemons are restarted for them, too");
            let next = tokio::time::timeout(MOMENT, lane.enter(&stop, open));
            let told = async {
                tokio::time::sleep(MOMENT / 2).await;
                lane.waits(&name("z"))
            };
            let (next, told) = tokio::join!(next, told);
            assert!(next.is_err(), "it has to wait");
            assert_eq!(told, Some(Waits::Turn));
        }
        assert_eq!(lane.waits(&name("z")), None, "it does not wait any more");
        held.pop();
        assert!(lane.enter(&stop, open).await.is_some());
        assert!(lane.enter(&create("a"), open).await.is_none());
        let start = Step::StartVolume(name("a"));
        assert!(lane.enter(&start, open).await.is_some());
        drop(lane.under(&create("a")));
        assert!(lane.enter(&start, open).await.is_none(), "it is new");
    }

    #[tokio::test]
    async fn no_more_daemons_end_in_a_minute_than_ports_suffice_for() {
        let count = |volumes: usize| {
            let lane = lane(NEVER, NEVER);
            let closed = ClosedBricks {
                all: 3 * volumes,
                limited: 3 * volumes,
            };
            let restarts = (0..1000).take_while(|_| lane.takes_ports(closed)).count();
            // what is left behind and what stands fits, or it is the one that is always possible
            let ports = 3 * volumes * (FOR_A_BRICK * restarts + STANDING);
            assert!(restarts == 1 || ports <= LOW_PORTS);
            restarts
        };
        assert_eq!([0, 10, 23, 100].map(count), [1000, 12, 4, 1]);
        // of twenty new ones on an empty pool thirteen do not wait
        let fresh = lane(NEVER, NEVER);
        let waits = |volumes: &usize| {
            !fresh.takes_ports(ClosedBricks {
                all: 60,
                limited: 3 * volumes,
            })
        };
        assert_eq!((1..=20).find(waits), Some(14));
        let short = Lane {
            time_wait: MOMENT,
            ..Lane::default()
        };
        let many = || ClosedBricks {
            all: 300,
            limited: 300,
        };
        let enable = Step::EnableQuota(name("a"));
        for _ in 0..3 {
            assert!(short.enter(&enable, many).await.is_some());
        }
        let (next, told) = tokio::join!(short.enter(&enable, many), async {
            tokio::time::sleep(MOMENT / 2).await;
            short.waits(&name("a"))
        });
        assert!(next.is_some());
        assert_eq!(told, Some(Waits::Ports));
        assert_eq!(short.left.lock().unwrap().len(), 1, "they came one by one");
    }
}
