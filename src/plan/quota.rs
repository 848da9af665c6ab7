//! The limit of a volume: what has to be done so that it is the capacity that is declared.

use std::time::Duration;

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::api::volume::State;
use crate::gluster::model::{
    BrickFacts, PORTS_FOR_A_BRICK, PoolView, QuotaView, Volume, VolumeStatus, VolumeView,
};
use crate::gluster::names::{Brick, Bytes, OWNER_OPTION, VolumeName};
use crate::gluster::operation::SetShape;

use super::options::pairs;
use super::step::Step;
use super::validate::{ValidCluster, ValidVolume};
use super::volume::{bricks_of, join};
use super::{Plan, cluster};

/// Makes bricks refuse all others: without it any unprivileged process reads every file past `auth.allow`. Clients that are
/// privileged ([`Volume::is_privileged`]) do not notice when it changes (measured).
pub(super) const CLOSED: &str = "server.allow-insecure";

/// How often it is looked whether quota's crawl has ended. On an empty volume it takes some tenths of a second.
const CRAWL: Duration = Duration::from_secs(1);

/// True for a volume whose clients are privileged and whose bricks do not insist on it yet.
pub fn is_open(volume: &Volume) -> bool {
    volume.is_privileged() && !volume.has(CLOSED, "off")
}

/// Volumes of this cluster's owner whose limits can be asked for, by their marks in gluster; each with the ports below 1024 that its answer
/// takes of the host that is asked: GlusterFS mounts a volume to tell of its limit ([`PORTS_FOR_A_BRICK`]).
pub fn limited(cluster: &ValidCluster, pool: &PoolView) -> Vec<(VolumeName, usize)> {
    let Some(facts) = cluster::coordinator(cluster, pool).and_then(|host| pool.facts(host)) else {
        return Vec::new();
    };
    let ours = format!("v1:{}:", cluster.owner);
    let is_ours = |volume: &&Volume| {
        let mark = volume.options.get(OWNER_OPTION);
        mark.is_some_and(|mark| mark.starts_with(&ours))
    };
    let ports = |volume: &Volume| {
        if volume.is_privileged() {
            volume.bricks.len() * PORTS_FOR_A_BRICK
        } else {
            0
        }
    };
    let volumes = facts.state.volumes.iter().filter(is_ours);
    volumes
        .filter(|volume| volume.status == VolumeStatus::Started && volume.quota_enabled())
        .filter_map(|volume| Some((volume.name.parse().ok()?, ports(volume))))
        .collect()
}

/// Hosts that do not agree on whether quota is on: a switch that did not reach all of them. Each enforces what it knows.
pub(super) fn differs(want: &ValidVolume, pool: &PoolView) -> Option<Finding> {
    let mut on = Vec::new();
    let mut off = Vec::new();
    for (name, facts) in pool.answered() {
        match facts.state.volume(&want.volume).map(Volume::quota_enabled) {
            Some(true) => on.push(name),
            Some(false) => off.push(name),
            None => {}
        }
    }
    let (Some(_), Some(_)) = (on.first(), off.first()) else {
        return None;
    };
    Some(Finding::no(
        ConditionType::InSync,
        Reason::QuotaDiffers,
        format!(
            "quota of volume {} is on for {} and off for {}: restart glusterd on the hosts that are behind, so that they fetch what the others know",
            want.volume,
            join(&on),
            join(&off)
        ),
    ))
}

pub(super) fn plan(want: &ValidVolume, volume: &Volume, view: &VolumeView) -> Plan {
    let name = &want.volume;
    let mut plan = Plan::default();
    let enabled = volume.quota_enabled();
    match (want.capacity, enabled, &view.quota) {
        (Some(capacity), false, _) => {
            if let Err(finding) = fits(capacity, want, volume, view) {
                plan.recheck = recheck(&finding);
                plan.findings.push(finding);
            } else {
                // a crawl that bricks refuse hangs for ever, and its process keeps glusterd's port: glusterd can't be started
                // again on that host. Bricks that were started closed refuse it even when opened, but so that it ends: what
                // was there before is counted as soon as somebody looks it up (all measured)
                if volume.has(CLOSED, "off") {
                    plan.steps.push(set_closed(want, "on"));
                }
                plan.steps.push(Step::EnableQuota(name.clone()));
                plan.steps.push(Step::LimitUsage(name.clone(), capacity));
            }
        }
        (Some(capacity), true, now)
            if now.limit() != Some(capacity) && *now != QuotaView::Unknown =>
        {
            match fits(capacity, want, volume, view) {
                Ok(()) => plan.steps = vec![Step::LimitUsage(name.clone(), capacity)],
                Err(finding) => {
                    plan.recheck = recheck(&finding);
                    plan.findings.push(finding);
                }
            }
        }
        (None, true, QuotaView::Limit(_)) => plan.steps = vec![Step::RemoveLimit(name.clone())],
        // its client waits for bricks of a silent host, longer than anybody waits for it (measured); the limit stands meanwhile
        (Some(capacity), true, QuotaView::Unknown) if view.limit_before == Some(capacity) => {
            plan.recheck = Some(cluster::RETRY);
        }
        (Some(_), true, QuotaView::Unknown) if volume.status == VolumeStatus::Started => {
            // right after a limit was set its daemon may not answer yet, and any other transaction is in the way
            plan.recheck = Some(Duration::from_secs(3));
            plan.findings.push(Finding::unknown(
                ConditionType::InSync,
                Reason::Unknown,
                format!("`gluster volume quota {name} list /` gave no answer that can be trusted"),
            ));
        }
        (Some(_), true, _) | (None, ..) => {}
    }
    // a crawl over much data takes hours: the limit does not wait for it
    if is_open(volume)
        && !plan
            .steps
            .iter()
            .any(|step| matches!(step, Step::EnableQuota(_)))
    {
        if !enabled || view.crawling == Some(false) {
            plan.steps.push(set_closed(want, "off"));
        } else if volume.status == VolumeStatus::Started {
            plan.recheck = Some(CRAWL);
            plan.findings.push(Finding::no(
                ConditionType::InSync,
                Reason::QuotaCrawl,
                // `quota disable` crawls, too; of bricks that only let in privileged clients that one never ends (measured)
                format!(
                    "quota still counts what is there; until it has, bricks let in clients of unprivileged ports ({CLOSED}). Where somebody has typed `gluster volume quota {name} disable`, a crawl of that hangs for ever: end it on each host with `kill $(pgrep -f 'client_per_brick/{name}[.]client[.]')`"
                ),
            ));
        }
    }
    plan
}

/// Whether a plan has to know what the bricks hold: a limit is to be set where there is none, or a lower one. What gluster itself
/// counts is less than what is there where quota was switched on over data ([`crate::gluster::operation::Operation::CountBricks`]).
/// A volume that was just made is empty, and needs none.
pub fn needs_count(want: &ValidVolume, volume: &Volume, view: &VolumeView) -> bool {
    let runs = want.state == State::Started || volume.status == VolumeStatus::Started;
    let Some(capacity) = want.capacity.filter(|_| runs) else {
        return false;
    };
    let unlimited = !volume.quota_enabled()
        || match &view.quota {
            QuotaView::Off | QuotaView::NoLimit => true,
            QuotaView::Limit(limit) => limit.used <= capacity && capacity < limit.hard_limit,
            QuotaView::Unknown => false,
        };
    let is_full = |brick: &Brick| !is_empty(brick, view);
    unlimited && bricks_of(volume).iter().any(is_full)
}

fn is_empty(brick: &Brick, view: &VolumeView) -> bool {
    matches!(
        view.bricks.get(brick),
        Some(BrickFacts::Present { empty: true, .. })
    )
}

/// Whether that limit may be set now; else what to say. Below what is used it would refuse every write at once.
fn fits(
    capacity: Bytes,
    want: &ValidVolume,
    volume: &Volume,
    view: &VolumeView,
) -> Result<(), Finding> {
    let name = &want.volume;
    let now = match &view.quota {
        QuotaView::Limit(limit) if volume.quota_enabled() => Some(limit),
        _ => None,
    };
    let stays = now.map_or_else(
        || "no limit is set".to_owned(),
        |now| format!("the limit stays at {}", now.hard_limit),
    );
    let below = |used: Bytes, how: &str| {
        // not each byte of a writer is news
        let step = (capacity.0 / 20).max(1);
        let about = used.0.div_ceil(step).saturating_mul(step);
        Finding::no(
            ConditionType::InSync,
            Reason::CapacityBelowUsage,
            format!(
                "spec.capacity {capacity} is less than {how}, {about} bytes (rounded up); {stays}"
            ),
        )
    };
    match now {
        Some(now) if capacity >= now.hard_limit => return Ok(()),
        Some(now) if capacity < now.used => return Err(below(now.used, "what is used")),
        _ => {}
    }
    match held(want, volume, view) {
        Ok(held) if held <= capacity => Ok(()),
        Ok(held) => Err(below(held, "what its bricks hold")),
        Err(why) => Err(Finding::unknown(
            ConditionType::InSync,
            Reason::Unknown,
            format!(
                "whether more is stored than spec.capacity {capacity} allows is not known: {why}; {stays} until it is. It can be set by hand: `gluster volume quota {name} limit-usage / {}`, after `gluster volume quota {name} enable` where quota is off",
                capacity.0
            ),
        )),
    }
}

/// When to look again after a limit could not be set: a host that is silent, or a disk with many files, needs time.
fn recheck(finding: &Finding) -> Option<Duration> {
    (finding.reason == Reason::Unknown).then_some(cluster::RETRY)
}

/// What a volume holds, as its bricks tell it: of the bricks with the same data the one with the most, since another may have missed
/// something; times the fragments that make a whole; and all sets together. Where it is not known, why.
fn held(want: &ValidVolume, volume: &Volume, view: &VolumeView) -> Result<Bytes, String> {
    let shape = want.shape;
    let (fragments, voices) = match shape {
        SetShape::Disperse { data, .. } => (u64::from(data), 0),
        SetShape::Arbiter => (1, 1),
        SetShape::Distribute | SetShape::Replicate { .. } => (1, 0),
    };
    // what was written is on so many bricks with data; so of as many less one it does not matter that they are not known
    let written = (shape.quorum() - voices) as usize;
    let of_brick = |brick: &Brick| match view.held.get(brick) {
        _ if is_empty(brick, view) => Ok(Bytes(0)),
        Some(Ok(held)) => Ok(*held),
        Some(Err(why)) => Err(format!("{brick}: {why}")),
        None => Err(format!("{brick} was not counted")),
    };
    let mut all = Bytes(0);
    for set in bricks_of(volume).chunks(want.set_size() as usize) {
        let with_data = set.iter().enumerate();
        let with_data = with_data.filter(|(at, _)| !shape.is_arbiter(*at));
        let mut most = Bytes(0);
        let mut unknown = Vec::new();
        for (_, brick) in with_data {
            match of_brick(brick) {
                Ok(held) => most = most.max(held),
                Err(why) => unknown.push(why),
            }
        }
        if unknown.len() >= written {
            return Err(unknown.join("; "));
        }
        all = Bytes(all.0.saturating_add(most.0.saturating_mul(fragments)));
    }
    Ok(all)
}

fn set_closed(want: &ValidVolume, value: &'static str) -> Step {
    Step::SetOptions {
        volume: want.volume.clone(),
        options: pairs(&[(CLOSED, value)]),
        each: false,
    }
}

/// Use in steps of 5 % of the limit, rounded down: status must not change with every byte.
pub fn coarse_use(limit: Bytes, used: Bytes) -> Bytes {
    let step = (limit.0 / 20).max(1);
    Bytes(used.0 / step * step)
}
