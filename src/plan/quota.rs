//! The limit of a volume: what has to be done so that it is the capacity that is declared.

use std::time::Duration;

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::gluster::model::{PoolView, QuotaView, Volume, VolumeStatus, VolumeView};
use crate::gluster::names::{Bytes, OWNER_OPTION, VolumeName};

use super::options::{PRIVILEGED, pairs};
use super::step::Step;
use super::validate::{ValidCluster, ValidVolume};
use super::volume::join;
use super::{Plan, cluster};

/// Makes bricks refuse all others: without it any unprivileged process reads every file past `auth.allow`. Clients that are
/// [`PRIVILEGED`] do not notice when it changes (measured).
pub(super) const CLOSED: &str = "server.allow-insecure";

/// How often it is looked whether quota's crawl has ended. On an empty volume it takes some tenths of a second.
const CRAWL: Duration = Duration::from_secs(1);

/// True for a volume whose clients are privileged and whose bricks do not insist on it yet.
pub fn is_open(volume: &Volume) -> bool {
    let is_off = |key: &str| volume.options.get(key).map(String::as_str) == Some("off");
    is_off(PRIVILEGED.0) && !is_off(CLOSED)
}

/// Volumes of this cluster's owner whose limits can be asked for, by their marks in gluster.
pub fn limited(cluster: &ValidCluster, pool: &PoolView) -> Vec<VolumeName> {
    let Some(facts) = cluster::coordinator(cluster, pool).and_then(|host| pool.facts(host)) else {
        return Vec::new();
    };
    let ours = format!("v1:{}:", cluster.owner);
    let is_ours = |volume: &&Volume| {
        let mark = volume.options.get(OWNER_OPTION);
        mark.is_some_and(|mark| mark.starts_with(&ours))
    };
    let volumes = facts.state.volumes.iter().filter(is_ours);
    volumes
        .filter(|volume| volume.status == VolumeStatus::Started && volume.quota_enabled())
        .filter_map(|volume| volume.name.parse().ok())
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
    let name = want.volume.clone();
    let mut plan = Plan::default();
    let enabled = volume.quota_enabled();
    match (want.capacity, enabled, &view.quota) {
        (Some(capacity), false, _) => {
            // a crawl that bricks refuse hangs for ever, and its process keeps glusterd's port: glusterd can't be started
            // again on that host. Bricks that were started closed refuse it even when opened, but so that it ends: what
            // was there before is counted as soon as somebody looks it up (all measured)
            if volume
                .options
                .get(CLOSED)
                .is_some_and(|value| value == "off")
            {
                plan.steps.push(set_closed(want, "on"));
            }
            plan.steps.push(Step::EnableQuota(name.clone()));
            plan.steps.push(Step::LimitUsage(name, capacity));
        }
        (Some(capacity), true, QuotaView::NoLimit | QuotaView::Off) => {
            plan.steps = vec![Step::LimitUsage(name, capacity)];
        }
        (Some(capacity), true, QuotaView::Limit(limit)) if limit.hard_limit != capacity => {
            if capacity < limit.hard_limit && capacity < limit.used {
                plan.findings.push(Finding::no(
                    ConditionType::InSync,
                    Reason::CapacityBelowUsage,
                    format!("spec.capacity {capacity} is less than the {} bytes that are used; the limit stays at {}", limit.used.0, limit.hard_limit),
                ));
            } else {
                plan.steps = vec![Step::LimitUsage(name, capacity)];
            }
        }
        (None, true, QuotaView::Limit(_)) => plan.steps = vec![Step::RemoveLimit(name)],
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
                format!("quota still counts what is there; until it has, bricks let in clients of unprivileged ports ({CLOSED})"),
            ));
        }
    }
    plan
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
