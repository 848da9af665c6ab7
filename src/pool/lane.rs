//! Steps that restart daemons wait here: for new volumes that have not come as far, and for each other.
//!
//! `quota enable` ends and starts one daemon on every host, and a peer that does it answers nothing else for a second
//! (measured on GlusterFS 10.3: its one thread sleeps): between two of them every other command of a burst waits, and most of
//! a command's time would be such waits. So new volumes that are on their way are brought as far as they come before, and then the
//! daemons are restarted for one after the other.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::gluster::names::VolumeName;
use crate::plan::step::Step;

/// How many steps that restart daemons run at once in a pool. Measured with 20 times `quota enable` and writers on other volumes whose
/// `features.soft-timeout` was 10 s: one after the other 41 s, two at once 35 s, and nobody was stalled; four 30 s, and a write took
/// 5 s; nine from three hosts 22 s, and writes took 10 to 20 s. Restarts that overlap end each other's daemon, and a brick asks it again only
/// after 5 s.
const WIDTH: usize = 2;
/// The longest that a volume waits for others which are on their way.
const PATIENCE: Duration = Duration::from_secs(10);
/// A volume on its way of which nothing was heard for so long is not waited for: its reconcile looks in between, or has ended.
const STALE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

/// A new volume that is being made.
struct OnItsWay {
    /// Commands of it that run now.
    running: usize,
    heard: Instant,
}

/// The way to the daemons of one pool.
pub(super) struct Lane {
    permits: Semaphore,
    patience: Duration,
    stale: Duration,
    on_their_way: Mutex<BTreeMap<VolumeName, OnItsWay>>,
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

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            permits: Semaphore::new(WIDTH),
            patience: PATIENCE,
            stale: STALE,
            on_their_way: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<VolumeName, OnItsWay>> {
        self.on_their_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

    /// Waits for its turn, where the step restarts daemons.
    pub(super) async fn enter(&self, step: &Step) -> Option<SemaphorePermit<'_>> {
        match step {
            // a new volume has no quota yet, so that no daemon of it is there
            Step::StartVolume(volume) if self.entries().contains_key(volume) => return None,
            Step::EnableQuota(volume) => {
                self.entries().remove(volume);
                let begin = Instant::now();
                while begin.elapsed() < self.patience && self.others_come() {
                    tokio::time::sleep(POLL).await;
                }
            }
            step if !step.restarts_daemons() => return None,
            _ => {}
        }
        self.permits.acquire().await.ok()
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

    fn lane(patience: Duration, stale: Duration) -> Lane {
        Lane {
            patience,
            stale,
            ..Lane::new()
        }
    }

    /// Whether the quota of `a` passes; where it may have to wait for ever, within a moment.
    async fn passes(lane: &Lane) -> bool {
        let step = Step::EnableQuota(name("a"));
        let bounded = lane.patience < NEVER;
        let time = if bounded { NEVER } else { MOMENT };
        let permit = tokio::time::timeout(time, lane.enter(&step)).await;
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
        assert!(kept.enter(&b).await.is_some(), "b is the last one");
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
            held.push(lane.enter(&enable).await);
        }
        let next = tokio::time::timeout(MOMENT, lane.enter(&stop));
        assert!(next.await.is_err(), "it has to wait");
        held.pop();
        assert!(lane.enter(&stop).await.is_some());
        assert!(lane.enter(&create("a")).await.is_none());
        let start = Step::StartVolume(name("a"));
        assert!(lane.enter(&start).await.is_some());
        drop(lane.under(&create("a")));
        assert!(lane.enter(&start).await.is_none(), "it is new");
    }
}
