//! An object with `deletionPolicy: Retain` goes and its volume stays, also where its deletion had begun when the policy still was Delete:
//! what was stopped for that is started again, and what can't be taken back is told.

use super::{
    Error, EventReason, EventType, RESYNC, State, Step, VolumeStatus, Work, decide, pool_plan,
};
use crate::gluster::model::BrickFacts;
use crate::plan::step::BrickPlace;
use crate::plan::{ownership, place};

impl Work<'_> {
    /// One try, on what is known of the pool: letting go of an object waits for no host.
    pub(super) async fn bring_back(&self) -> Result<(), Error> {
        let Ok(target) = self.target().await? else {
            return Ok(());
        };
        let (want, pool, cluster) = (&target.want, &target.pool, &target.cluster);
        let since = self.began.checked_sub(RESYNC * 2).unwrap_or(self.began);
        let look = pool.observe(since.max(pool.changed(&want.volume))).await;
        let view = &look.view;
        let volume = &want.volume;
        match decide::seen(want, cluster, view) {
            Some(seen) if seen.status == VolumeStatus::Stopped && want.state == State::Started => {
                let bricks = decide::bricks_of(seen);
                let found = pool.inspect(volume, &bricks, None, None, false).await;
                let take_over = cluster.take_over.as_ref();
                let verdict = ownership::for_change(&want.mark, take_over, &bricks, &found.bricks);
                let coordinator = pool_plan::coordinator(cluster, view);
                let ours = matches!(verdict, ownership::Verdict::Ours { .. });
                let held_back = pool_plan::held_back(cluster, view).is_some();
                let (true, false, Some(coordinator)) = (ours, held_back, coordinator) else {
                    let note = format!(
                        "volume {volume} is stopped, and can't be started now; it stays so"
                    );
                    self.say(EventType::Warning, EventReason::VolumeLeftStopped, &note)
                        .await;
                    return Ok(());
                };
                let start = Step::StartVolume(volume.clone());
                let (kind, reason, note) = match pool.execute(&start, coordinator).await {
                    Ok(()) => (
                        EventType::Normal,
                        EventReason::VolumeStarted,
                        format!(
                            "volume {volume} was stopped, and runs again: spec.deletionPolicy is Retain"
                        ),
                    ),
                    Err(failure) => (
                        EventType::Warning,
                        EventReason::VolumeLeftStopped,
                        format!(
                            "volume {volume} is stopped, and could not be started: {failure}; `gluster volume start {volume}` is yours to type"
                        ),
                    ),
                };
                self.say(kind, reason, &note).await;
            }
            None if view.silent().next().is_none() && view.who_knows(volume).0.is_empty() => {
                let candidates = place::candidates(want, cluster);
                let mut bricks: Vec<_> = candidates.iter().map(BrickPlace::brick).collect();
                // what can't be searched is told of by nobody: the object goes all the same
                let _ = pool.search(volume, &mut bricks).await;
                let found = pool.inspect(volume, &bricks, None, None, false).await;
                let left: Vec<String> = found
                    .bricks
                    .iter()
                    .filter(|(_, facts)| {
                        matches!(facts, BrickFacts::Present { owner: Some(owner), .. } if *owner == want.mark)
                    })
                    .map(|(brick, _)| brick.to_string())
                    .collect();
                if !left.is_empty() {
                    let note = format!(
                        "volume {volume} had been deleted before spec.deletionPolicy was Retain; its bricks stay where they are: {}. The manifest in .trash of their devices has the command that makes the volume of them again (`create`) and its options",
                        left.join(", ")
                    );
                    self.say(EventType::Warning, EventReason::BricksLeft, &note)
                        .await;
                }
            }
            Some(_) | None => {}
        }
        Ok(())
    }
}
