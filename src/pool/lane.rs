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
//! after 45 s. So daemons are restarted for a volume when every host has the ports for it: hosts are asked how many are taken, by whatever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{debug, info};

use crate::gluster::model::PORTS_FOR_A_BRICK;
use crate::gluster::names::{HostName, VolumeName};
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
/// How many ports of a host may be taken: those below 1024, with some to spare: a daemon that finds none takes a higher one, is refused by
/// closed bricks, and does not try again before its next start (measured).
const LOW_PORTS: usize = 900;
/// Ports that each brick takes besides, where no host tells: self-heal and quota daemon have one each, and starting the volumes has
/// left as many behind.
const STANDING: usize = 4;
/// How long a daemon that was restarted may go on to connect to its bricks: what it takes by then may be missing in a count.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long a port is not free after its connection was closed: a minute, and a little more.
const TIME_WAIT: Duration = Duration::from_secs(62);
const POLL: Duration = Duration::from_millis(50);
/// How long bricks wait for their turn before their volume is looked at again: its node may have died meanwhile, and then a database that
/// moves comes first.
const BRICKS_PATIENCE: Duration = Duration::from_secs(3);

/// What decides whether daemons find the ports below 1024 that a restart takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ports {
    /// How many are taken on the host that has the fewest left; `None` where that is not known.
    pub(super) taken: Option<(usize, HostName)>,
    /// Bricks of closed volumes: each connection to one takes such a port.
    pub(super) closed: usize,
    /// Those that have a quota, to which every quota daemon connects.
    pub(super) limited: usize,
}

/// Why one more volume can't have its quota switched on: the quota daemon of a host would not find the bricks of others any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "not sent: of the 1023 ports below 1024 of {host} {taken} are taken, for longer than a minute, and the quota daemon would need {wanted} at its start: \
     volumes with a limit would lose it, and their writers would be cut off. Make volumes of another pool, or remove some here"
)]
pub(super) struct NoPorts {
    host: HostName,
    taken: usize,
    wanted: usize,
}

/// Why a step did not have its turn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum NoTurn {
    /// It will not, as it is.
    #[error(transparent)]
    Ports(#[from] NoPorts),
    /// Not yet.
    #[error(
        "not sent: daemons are restarted for other volumes first, or their ports are not free yet"
    )]
    Later,
}

/// What becomes of one who asks for ports.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Taken,
    /// Some come free within a minute.
    Later,
    /// As it is there will never be enough.
    Never(NoPorts),
}

/// Counts them, whenever it is asked.
pub(super) type AskPorts<'a> = &'a (dyn Fn() -> BoxFuture<'a, Ports> + Send + Sync);

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
    /// Those that wait for ports.
    short: tokio::sync::Mutex<()>,
    patience: Duration,
    stale: Duration,
    time_wait: Duration,
    /// Restarts before that are not known.
    begin: Instant,
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
            short: tokio::sync::Mutex::default(),
            patience: PATIENCE,
            stale: STALE,
            time_wait: TIME_WAIT,
            begin: Instant::now(),
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

    /// Waits for its turn, where the step restarts daemons. Fails for a volume that shall have its quota switched on, and where ports do not
    /// suffice for that, however long it waits; and for bricks that do not have their turn within some seconds.
    pub(super) async fn enter(
        &self,
        step: &Step,
        ports: AskPorts<'_>,
    ) -> Result<Option<SemaphorePermit<'_>>, NoTurn> {
        let (Step::EnableQuota(volume)
        | Step::StartVolume(volume)
        | Step::StartBricks(volume)
        | Step::StopVolume(volume)
        | Step::DeleteVolume(volume)) = step
        else {
            return Ok(None);
        };
        // a new volume has no quota yet, so that no daemon of it is there
        if matches!(step, Step::StartVolume(_)) && self.entries().contains_key(volume) {
            return Ok(None);
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
        let is_short = matches!(step, Step::StartBricks(_));
        let permit = loop {
            told.waits(Waits::Turn);
            let turn = self.permits.acquire();
            let permit = if is_short {
                let turn = tokio::time::timeout(BRICKS_PATIENCE, turn).await;
                turn.map_err(|_| NoTurn::Later)?.ok()
            } else {
                turn.await.ok()
            };
            match self.takes_ports(ports().await, step) {
                Answer::Taken => {
                    match step {
                        Step::EnableQuota(volume) => self.limited().insert(volume.clone()),
                        Step::DeleteVolume(volume) => self.limited().remove(volume),
                        _ => false,
                    };
                    break permit;
                }
                Answer::Later if is_short => return Err(NoTurn::Later),
                Answer::Later => {}
                Answer::Never(why) => return Err(why.into()),
            }
            drop(permit);
            told.waits(Waits::Ports);
            // one after the other: each question is one to every host
            let _next = self.short.lock().await;
            tokio::time::sleep(self.time_wait / 60).await;
        };
        if begin.elapsed() > Duration::from_secs(5) {
            info!(
                step = step.describe(),
                seconds = begin.elapsed().as_secs_f64(),
                "waited for its turn, and until ports of daemons that were ended are free again"
            );
        }
        Ok(permit)
    }

    /// Takes what one more restart leaves behind, if it is there. What is taken when there was no restart for a minute does not come free by
    /// waiting: then no quota is switched on any more. But bricks that do not run are worse, and a volume that goes makes room.
    fn takes_ports(&self, ports: Ports, step: &Step) -> Answer {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|(when, _)| when.elapsed() < self.time_wait);
        let held = |since: Duration| -> usize {
            let young = left.iter().filter(|(when, _)| when.elapsed() < since);
            young.map(|(_, ports)| ports).sum()
        };
        let taken = match &ports.taken {
            Some((taken, _)) => taken.saturating_add(held(CONNECTING)),
            None => ports
                .closed
                .saturating_mul(STANDING)
                .saturating_add(held(self.time_wait)),
        };
        let wanted = ports.limited.saturating_mul(PORTS_FOR_A_BRICK);
        let lately = held(self.time_wait) > 0 || self.begin.elapsed() < self.time_wait;
        debug!(?ports, taken, wanted, lately, "ports below 1024");
        let suffice = taken.saturating_add(wanted) <= LOW_PORTS;
        if !suffice && lately {
            return Answer::Later;
        }
        // an estimate is no reason to refuse
        if let Some((_, host)) = ports.taken
            && !suffice
            && matches!(step, Step::EnableQuota(_))
        {
            return Answer::Never(NoPorts {
                host,
                taken,
                wanted,
            });
        }
        left.push((Instant::now(), wanted));
        Answer::Taken
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

    fn asked<'a>(ports: Ports) -> BoxFuture<'a, Ports> {
        Box::pin(async move { ports })
    }

    const OPEN: AskPorts<'static> = &|| asked(Ports::default());

    /// Whether it has its turn, and holds it: `Some(false)` for a step that needs none.
    fn has_turn(entered: Result<Option<SemaphorePermit<'_>>, NoTurn>) -> Option<bool> {
        entered.ok().map(|permit| permit.is_some())
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
        let permit = tokio::time::timeout(time, lane.enter(&step, OPEN)).await;
        permit.is_ok_and(|entered| has_turn(entered) == Some(true))
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
        assert_eq!(
            has_turn(kept.enter(&b, OPEN).await),
            Some(true),
            "b is the last one"
        );
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
            held.push(lane.enter(&enable, OPEN).await);
        }
        assert_eq!(lane.waits(&name("z")), None);
        {
            // bricks of many volumes may have died at once
            let bricks = Step::StartBricks(name("y"));
            let waits = tokio::time::timeout(MOMENT, lane.enter(&bricks, OPEN));
            assert!(waits.await.is_err(), "daemons are restarted for them, too");
            let next = tokio::time::timeout(MOMENT, lane.enter(&stop, OPEN));
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
        assert_eq!(has_turn(lane.enter(&stop, OPEN).await), Some(true));
        assert_eq!(has_turn(lane.enter(&create("a"), OPEN).await), Some(false));
        let start = Step::StartVolume(name("a"));
        assert_eq!(has_turn(lane.enter(&start, OPEN).await), Some(true));
        drop(lane.under(&create("a")));
        assert_eq!(
            has_turn(lane.enter(&start, OPEN).await),
            Some(false),
            "it is new"
        );
    }

    fn ports(taken: Option<usize>, closed: usize, limited: usize) -> Ports {
        Ports {
            taken: taken.map(|taken| (taken, "n1".parse().unwrap())),
            closed,
            limited,
        }
    }

    #[tokio::test]
    async fn daemons_are_restarted_where_the_hosts_have_ports_for_them() {
        let aged = |seconds: u64| Lane {
            begin: Instant::now()
                .checked_sub(Duration::from_secs(seconds))
                .unwrap(),
            ..lane(NEVER, NEVER)
        };
        // what the hosts say decides, whoever has taken the ports
        let old = aged(70);
        let taken = |lane: &Lane, taken: usize, step: &Step| {
            lane.takes_ports(ports(Some(taken), 30, 30), step)
        };
        let enable = Step::EnableQuota(name("a"));
        let bricks = Step::StartBricks(name("a"));
        // what is taken in calm does not come free: quota is refused, and bricks are started
        let never = Answer::Never(NoPorts {
            host: "n1".parse().unwrap(),
            taken: 1000,
            wanted: 60,
        });
        assert_eq!(taken(&old, 1000, &enable), never);
        assert_eq!(taken(&old, 1000, &bricks), Answer::Taken);
        assert_eq!(taken(&old, 1000, &enable), Answer::Later);
        assert_eq!(taken(&old, LOW_PORTS - 119, &enable), Answer::Later);
        let later = old
            .enter(&bricks, &|| asked(ports(Some(1000), 30, 30)))
            .await;
        assert!(later.is_err_and(|why| why == NoTurn::Later));
        // the first one may not be connected yet
        assert_eq!(taken(&old, LOW_PORTS - 120, &enable), Answer::Taken);
        // what came before the lane is not known to it
        let young = aged(0);
        assert_eq!(taken(&young, LOW_PORTS - 59, &enable), Answer::Later);
        assert_eq!(taken(&young, LOW_PORTS - 60, &enable), Answer::Taken);
        let full = aged(70);
        let refused = full
            .enter(&enable, &|| asked(ports(Some(1000), 30, 30)))
            .await;
        assert!(refused.is_err_and(|why| why.to_string().contains("of n1 1000 are taken")));
        assert_eq!(full.waits(&name("a")), None);
    }

    #[tokio::test]
    async fn no_more_daemons_end_in_a_minute_than_ports_suffice_for() {
        let count = |volumes: usize| {
            let lane = lane(NEVER, NEVER);
            let ports = ports(None, 3 * volumes, 3 * volumes);
            let enable = Step::EnableQuota(name("a"));
            let takes = || lane.takes_ports(ports.clone(), &enable) == Answer::Taken;
            let restarts = (0..1000).take_while(|_| takes()).count();
            // what is left behind and what stands fits
            assert!(
                3 * volumes * (PORTS_FOR_A_BRICK * restarts + STANDING) <= LOW_PORTS
                    || restarts == 0
            );
            restarts
        };
        assert_eq!([0, 10, 23, 100].map(count), [1000, 13, 4, 0]);
        // of twenty new ones on an empty pool fourteen do not wait
        let fresh = lane(NEVER, NEVER);
        let waits = |volumes: &usize| {
            let enable = Step::EnableQuota(name("a"));
            fresh.takes_ports(ports(None, 60, 3 * volumes), &enable) == Answer::Later
        };
        assert_eq!((1..=20).find(waits), Some(15));
        let short = Lane {
            time_wait: MOMENT,
            ..Lane::default()
        };
        let many = &|| asked(ports(None, 300, 300));
        let enable = Step::EnableQuota(name("a"));
        for _ in 0..3 {
            assert_eq!(has_turn(short.enter(&enable, many).await), Some(true));
        }
        let (next, told) = tokio::join!(short.enter(&enable, many), async {
            tokio::time::sleep(MOMENT / 2).await;
            short.waits(&name("a"))
        });
        assert_eq!(has_turn(next), Some(true));
        assert_eq!(told, Some(Waits::Ports));
        assert_eq!(short.left.lock().unwrap().len(), 1, "they came one by one");
    }

    /// The volume of bricks that wait for long may have lost its node meanwhile.
    #[tokio::test]
    async fn bricks_that_do_not_have_their_turn_are_tried_again() {
        let lane = lane(MOMENT, NEVER);
        let bricks = Step::StartBricks(name("a"));
        let turn = lane
            .enter(&Step::StopVolume(name("b")), OPEN)
            .await
            .unwrap();
        assert!(turn.is_some());
        let refused = lane.enter(&bricks, OPEN).await;
        assert!(refused.is_err_and(|why| why == NoTurn::Later));
        drop(turn);
        assert_eq!(has_turn(lane.enter(&bricks, OPEN).await), Some(true));
    }
}
