//! Whether a volume can be used: which bricks run, and what is wrong with those that do.

use std::time::Duration;

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::api::volume::State;
use crate::gluster::model::{PoolView, QuotaView, StartTried, Volume, VolumeStatus};
use crate::gluster::names::Brick;

use super::validate::ValidVolume;
use super::volume::{Situation, bricks_of};
use super::{cluster, place};

/// How long bricks that do not run are left alone after they were started: at first so long, twice as long each time, and
/// at last for [`START_AGAIN_MAX`]. A disk that is dead, or a process that somebody kills, is not mended by it, and each try
/// restarts daemons.
const START_AGAIN: Duration = Duration::from_secs(30);

const START_AGAIN_MAX: Duration = Duration::from_secs(300);

pub(super) fn start_again(tried: StartTried) -> Duration {
    let doubled = START_AGAIN * (1 << tried.times.saturating_sub(1).min(8));
    doubled.min(START_AGAIN_MAX)
}

/// Whether each brick's process runs, asked of the host that it lives on; `None` where that host does not answer.
pub fn online(want: &ValidVolume, pool: &PoolView) -> Vec<(Brick, Option<bool>)> {
    let mut result: Vec<(Brick, Option<bool>)> = Vec::new();
    for (_, facts) in pool.answered() {
        let Some(volume) = facts.state.volume(&want.volume) else {
            continue;
        };
        for (at, (brick, own)) in bricks_of(volume)
            .into_iter()
            .zip(&volume.bricks)
            .enumerate()
        {
            match result.get_mut(at) {
                Some((_, known)) => *known = known.or(own.online),
                None => result.push((brick, own.online)),
            }
        }
    }
    result
}

/// What to say of bricks that do not run though they were started.
pub(super) fn not_starting(
    want: &ValidVolume,
    down: &[Brick],
    tried: Option<StartTried>,
) -> String {
    let logs: Vec<String> = down
        .iter()
        .map(|brick| {
            let log = brick.path.as_str().trim_matches('/').replace('/', "-");
            format!("{brick} (see /var/log/glusterfs/bricks/{log}.log there)")
        })
        .collect();
    format!(
        "not running though `gluster volume start {} force` was done: {}; it is tried again {} s after the last time, and then less often",
        want.volume,
        logs.join(", "),
        tried.map_or(START_AGAIN, start_again).as_secs()
    )
}

pub(super) fn offline(want: &ValidVolume, pool: &PoolView) -> Vec<Brick> {
    online(want, pool)
        .into_iter()
        .filter(|(_, state)| *state == Some(false))
        .map(|(brick, _)| brick)
        .collect()
}

/// Ready and Healthy of a volume that exists. Ready: started, and every set has the bricks that writing needs; bricks of
/// a silent host do not count as running.
fn of_bricks(
    want: &ValidVolume,
    volume: &Volume,
    pool: &PoolView,
    quota: &QuotaView,
) -> Vec<Finding> {
    let bricks = online(want, pool);
    let down: Vec<String> = bricks
        .iter()
        .filter(|(_, state)| *state != Some(true))
        .map(|(brick, state)| {
            if state.is_none() {
                format!("{brick} (its host does not answer, or it is just starting)")
            } else {
                brick.to_string()
            }
        })
        .collect();
    let size = want.set_size() as usize;
    let needed = want.shape.quorum() as usize;
    let writable = !bricks.is_empty()
        && bricks
            .chunks(size)
            .all(|set| set.iter().filter(|(_, state)| *state == Some(true)).count() >= needed);
    let stopped = want.state == State::Stopped && volume.status != VolumeStatus::Started;
    let healthy = if stopped {
        Finding::no(
            ConditionType::Healthy,
            Reason::Stopped,
            "no brick runs, since spec.state is Stopped",
        )
    } else if down.is_empty() {
        Finding::yes(
            ConditionType::Healthy,
            format!("all {} bricks run", bricks.len()),
        )
    } else {
        Finding::no(
            ConditionType::Healthy,
            Reason::BrickDown,
            format!("not running: {}", down.join(", ")),
        )
    };
    // an answer that is not known takes nothing back
    let unlimited = matches!(quota, QuotaView::Off | QuotaView::NoLimit);
    let limited = want.capacity.is_none() || (volume.quota_enabled() && !unlimited);
    let ready = match volume.status {
        VolumeStatus::Created | VolumeStatus::Stopped if stopped => Finding::no(
            ConditionType::Ready,
            Reason::Stopped,
            "the volume is stopped, since spec.state is Stopped",
        ),
        VolumeStatus::Created | VolumeStatus::Stopped => Finding::no(
            ConditionType::Ready,
            Reason::Working,
            "the volume is not started",
        ),
        VolumeStatus::Started if !writable => Finding::no(
            ConditionType::Ready,
            Reason::BrickDown,
            format!("too few bricks run for writing: {}", down.join(", ")),
        ),
        VolumeStatus::Started if !limited => Finding::no(
            ConditionType::Ready,
            Reason::Working,
            "its quota is not in force yet",
        ),
        VolumeStatus::Started => Finding::yes(
            ConditionType::Ready,
            format!("volume {} can be mounted and written", want.volume),
        ),
    };
    vec![ready, healthy]
}

/// [`of_bricks`], and what is wrong with hosts and devices of bricks that run.
pub(super) fn of(want: &ValidVolume, volume: &Volume, situation: Situation<'_>) -> Vec<Finding> {
    let Situation {
        cluster,
        pool,
        view,
        ..
    } = situation;
    let mut findings = of_bricks(want, volume, pool, &view.quota);
    if volume.status != VolumeStatus::Started
        || findings
            .iter()
            .any(|finding| finding.kind == ConditionType::Healthy && finding.holds != Some(true))
    {
        return findings;
    }
    let bricks = bricks_of(volume);
    let near = cluster::within_reach(cluster, pool);
    let cut_off: Vec<&str> = near
        .iter()
        .flat_map(PoolView::silent)
        .filter(|(host, ..)| bricks.iter().any(|brick| brick.host == **host))
        .map(|(_, why, _)| why)
        .collect();
    let full: Vec<String> = bricks
        .iter()
        .filter(|brick| {
            let facts = pool.facts(&brick.host);
            let device = cluster.device_of(brick);
            device
                .and_then(|device| facts?.devices.get(device))
                .is_some_and(place::device_full)
        })
        .map(ToString::to_string)
        .collect();
    let problem = if !cut_off.is_empty() {
        Finding::no(
            ConditionType::Healthy,
            Reason::PeersDisconnected,
            format!(
                "its bricks run, but {}; what is written meanwhile is healed when it has",
                cut_off.join(", ")
            ),
        )
    } else if !full.is_empty() {
        Finding::no(
            ConditionType::Healthy,
            Reason::DeviceFull,
            format!(
                "its bricks run, but on a full file system, where GlusterFS answers writes with ENOSPC: {}; remove files of the volume by a mount, or make room on the device",
                full.join(", ")
            ),
        )
    } else {
        return findings;
    };
    findings.retain(|finding| finding.kind != ConditionType::Healthy);
    findings.push(problem);
    findings
}
