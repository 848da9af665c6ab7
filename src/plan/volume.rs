//! Plans for a volume: from nothing to created, marked, started, limited and attached; and back to what is declared
//! after any edit.

use std::time::Duration;

use crate::api::condition::{ConditionType, EventReason, Finding, Reason};
use crate::api::volume::State;
use crate::gluster::model::{
    BrickFacts, HostFacts, PoolView, QuotaLimit, QuotaView, Volume, VolumeStatus, VolumeView,
};
use crate::gluster::names::{ALLOW_OPTION, Brick, Bytes, HostName};
use crate::gluster::operation::SetShape;

use super::attach::{self, Wish};
use super::ownership::{self, Verdict};
use super::place;
use super::step::{BrickPlace, Step};
use super::validate::{Access, ValidCluster, ValidVolume};
use super::{Plan, cluster, health, layout, options, quota};

/// All that a plan for a volume is made from.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Its cluster.
    pub cluster: &'a ValidCluster,
    /// The picture of the pool.
    pub pool: &'a PoolView,
    /// What was found out about this volume.
    pub view: &'a VolumeView,
    /// Who wants to use it.
    pub wish: &'a Wish,
    /// A write whose result is not known yet.
    pub unsettled: Option<&'a str>,
    /// Seconds since 1970, for names in the trash.
    pub now: u64,
}

/// All that a look at the pool tells about a volume: where two pictures show the same, a plan has nothing new to go by.
#[derive(Debug, Clone)]
pub struct Picture {
    /// As each host sees it.
    volume: Vec<(HostName, Option<Volume>)>,
    /// What is said of the pool.
    pool: Vec<Finding>,
    quota: Limited,
}

/// What a picture tells of a limit.
#[derive(Debug, Clone, PartialEq)]
enum Limited {
    Unknown,
    Not,
    /// The use as far as status tells it.
    To {
        limit: Bytes,
        used: Bytes,
    },
}

impl Picture {
    /// Whether a plan has nothing new to go by. That a limit could not be read is no news.
    pub fn shows_the_same(&self, later: &Self) -> bool {
        self.volume == later.volume
            && self.pool == later.pool
            && (later.quota == Limited::Unknown || self.quota == later.quota)
    }
}

/// The picture of that volume.
pub fn picture(
    want: &ValidVolume,
    cluster: &ValidCluster,
    pool: &PoolView,
    quota: &QuotaView,
) -> Picture {
    let of_host = |(name, facts): (&HostName, &HostFacts)| {
        (name.clone(), facts.state.volume(&want.volume).cloned())
    };
    Picture {
        volume: pool.answered().map(of_host).collect(),
        pool: cluster::plan(cluster, pool).findings,
        quota: match quota {
            QuotaView::Limit(QuotaLimit {
                hard_limit, used, ..
            }) => Limited::To {
                limit: *hard_limit,
                used: quota::coarse_use(*hard_limit, *used),
            },
            QuotaView::Off | QuotaView::NoLimit => Limited::Not,
            QuotaView::Unknown => Limited::Unknown,
        },
    }
}

/// The volume as the coordinator sees it.
pub fn seen<'a>(
    want: &ValidVolume,
    cluster: &ValidCluster,
    pool: &'a PoolView,
) -> Option<&'a Volume> {
    let host = cluster::coordinator(cluster, pool)?;
    pool.facts(host)?.state.volume(&want.volume)
}

/// Bricks of a volume in gluster, as far as their names are such that we could have made them.
pub fn bricks_of(volume: &Volume) -> Vec<Brick> {
    let parse = |brick: &crate::gluster::model::VolumeBrick| {
        Some(Brick {
            host: brick.host.parse().ok()?,
            path: brick.path.parse().ok()?,
        })
    };
    volume.bricks.iter().filter_map(parse).collect()
}

/// The directories to inspect before a plan can be made.
pub fn bricks_to_inspect(
    want: &ValidVolume,
    cluster: &ValidCluster,
    pool: &PoolView,
) -> Vec<Brick> {
    match seen(want, cluster, pool) {
        Some(volume) => bricks_of(volume),
        None => place::candidates(want, cluster)
            .iter()
            .map(BrickPlace::brick)
            .collect(),
    }
}

/// Whether the plan depends on who is connected to the bricks.
pub fn needs_clients(
    want: &ValidVolume,
    cluster: &ValidCluster,
    pool: &PoolView,
    wish: &Wish,
) -> bool {
    let started = seen(want, cluster, pool).filter(|one| one.status == VolumeStatus::Started);
    started.is_some_and(|volume| {
        let to_admit = want.access == Access::OneWriter
            && attach::asks_for_mounts(volume, cluster, pool, wish);
        // before a volume is stopped, whoever has it mounted counts, by a pod or by hand
        to_admit || (want.state == State::Stopped && wanted_by(wish).is_none())
    })
}

/// Who of Kubernetes keeps a volume from being stopped.
fn wanted_by(wish: &Wish) -> Option<String> {
    let pods: Vec<&str> = wish
        .pods
        .iter()
        .filter(|pod| !pod.finished)
        .map(|pod| pod.pod.as_str())
        .collect();
    if !pods.is_empty() {
        return Some(format!("pods use it: {}", pods.join(", ")));
    }
    let claim = wish.claim.as_ref()?;
    Some(format!(
        "its PersistentVolumeClaim {claim} is bound, and a pod may come with it: delete the claim, the data stays, and with state Started the claim is made again"
    ))
}

/// Why a volume that is to be stopped is not.
fn stop_blocked(want: &ValidVolume, volume: &Volume, situation: Situation<'_>) -> Option<String> {
    wanted_by(situation.wish).or_else(|| super::deletion::use_of(want, volume, situation).reason())
}

/// What is allowed and dangerous all the same, to be told once.
pub fn warnings(want: &ValidVolume) -> Vec<(EventReason, &'static str)> {
    let mut found = Vec::new();
    if want.shape == (SetShape::Replicate { copies: 2 }) {
        found.push((EventReason::TwoCopies, "two copies can split: while the two hosts do not see each other, both accept writes, and one side's are lost. Three copies do not"));
    }
    let open = match &want.access {
        Access::Clients(addresses) => addresses.as_str().split(',').any(|address| address == "*"),
        Access::OneWriter => false,
    };
    if open {
        found.push((EventReason::OpenToNetwork, "whoever reaches the ports of the storage hosts as root can mount this volume: set spec.clients.addresses of the cluster"));
    }
    found
}

/// Plans for a volume that shall be there.
pub fn plan(want: &ValidVolume, situation: Situation<'_>) -> Plan {
    if let Some(blocked) = blocked(want, situation, false) {
        return blocked;
    }
    let joined = cluster::without_newcomers(situation.cluster, situation.pool);
    let situation = Situation {
        pool: &joined,
        ..situation
    };
    let Situation { cluster, pool, .. } = situation;
    // a host that is cut off does not know what was done since, and learns it when it is back
    let near = cluster::within_reach(cluster, pool);
    let near = near.as_ref().unwrap_or(pool);
    let (with, without) = near.who_knows(&want.volume);
    match (with.is_empty(), without.is_empty()) {
        // what only a host knows that is cut off may be ours all the same
        (true, _) => match pool.who_knows(&want.volume).0.first() {
            Some(host) => stuck(
                Reason::PeersDisconnected,
                format!(
                    "{host} knows the volume {}, and its peers, which do not, have no connection to it; nothing is made until they have",
                    want.volume
                ),
            ),
            None => plan_new(want, situation, near),
        },
        (false, false) => stuck(Reason::GhostVolume, ghost(want, near, &with, &without)),
        (false, true) => match seen(want, cluster, pool) {
            Some(volume) => plan_existing(want, volume, situation, near),
            None => stuck(
                Reason::ClusterNotReady,
                "no host can take commands now".into(),
            ),
        },
    }
}

/// What to say of a volume that only some hosts have. A `create` that failed in its last phase leaves the volume on the host
/// that was asked, which comes up with it at the next start of its glusterd; `start` and `delete` then refuse for ever, and only
/// removing its directory helps (measured). A volume that was ever started was known to all: then a host has missed something.
fn ghost(want: &ValidVolume, pool: &PoolView, with: &[&HostName], without: &[&HostName]) -> String {
    let volume = &want.volume;
    let never_started = with.iter().all(|host| {
        let facts = pool.facts(host);
        let volume = facts.and_then(|facts| facts.state.volume(volume));
        volume.is_some_and(|volume| volume.status == VolumeStatus::Created)
    });
    let remedy = if never_started && with.len() < without.len() {
        format!(
            "a `volume create` that failed there leaves this behind. It was never started, so it goes with one command on {}, as root: `systemctl stop glusterd && rm -r /var/lib/glusterd/vols/{volume} && systemctl start glusterd`; directories of bricks stay as they are, and the rest is done by itself. With Debian's unit this restarts the host's bricks, too",
            join(with)
        )
    } else {
        format!(
            "restart glusterd on {}, so that it fetches what the others know: `systemctl restart glusterd`",
            join(without)
        )
    };
    format!(
        "a volume {volume} is known on {} and not on {}; what only some hosts have can't be worked with, and nothing is changed: {remedy}",
        join(with),
        join(without)
    )
}

pub(super) fn join(hosts: &[&HostName]) -> String {
    hosts
        .iter()
        .map(|host| host.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where a volume can't be judged, what was said of its bricks and of whose it is does not stand any more: adds that to findings of
/// why it is not Ready.
pub fn unjudged(findings: &mut Vec<Finding>) {
    let mut all = findings.iter();
    let Some(ready) = all.find(|one| one.kind == ConditionType::Ready).cloned() else {
        return;
    };
    for kind in [ConditionType::Healthy, ConditionType::Owned] {
        if findings.iter().all(|one| one.kind != kind) {
            findings.push(Finding::unknown(kind, ready.reason, ready.message.clone()));
        }
    }
}

/// Nothing can be done: neither ready nor in sync.
fn stuck(reason: Reason, message: String) -> Plan {
    let mut findings = vec![
        Finding::no(ConditionType::Ready, reason, message.clone()),
        Finding::no(ConditionType::InSync, reason, message),
    ];
    unjudged(&mut findings);
    Plan {
        steps: Vec::new(),
        findings,
        recheck: Some(cluster::RETRY),
    }
}

/// What keeps any plan from being made: no coordinator, somebody else's pool, a write without a known end. `going`: of a volume that is
/// being deleted, and may be gone already.
pub fn blocked(want: &ValidVolume, situation: Situation<'_>, going: bool) -> Option<Plan> {
    let Situation {
        cluster,
        pool,
        unsettled,
        ..
    } = situation;
    let waiting = |reason, message: String| {
        let mut findings = vec![Finding::no(ConditionType::InSync, reason, message.clone())];
        if let Some(volume) = seen(want, cluster, pool) {
            findings.extend(health::of(want, volume, situation));
        } else {
            findings.push(Finding::unknown(ConditionType::Ready, reason, message));
            unjudged(&mut findings);
        }
        Some(Plan {
            steps: Vec::new(),
            findings,
            recheck: Some(Duration::from_secs(5)),
        })
    };
    let pool_plan = cluster::plan(cluster, pool);
    let ready = pool_plan
        .findings
        .iter()
        .find(|finding| finding.kind == ConditionType::Ready);
    if let Some(Finding {
        holds: Some(false),
        reason,
        message,
        ..
    }) = ready
    {
        return waiting(*reason, format!("cluster {}: {message}", cluster.name));
    }
    // a host that can't join must not keep a database of the pool from moving
    let exists = going || seen(want, cluster, pool).is_some();
    let goes_on = exists && cluster::is_ours(cluster, pool);
    let mut joins = pool_plan.steps.iter();
    if let Some(step) = joins
        .find(|step| matches!(step, Step::ClaimHost { .. } | Step::ProbePeer { .. }))
        .filter(|_| !goes_on)
    {
        let message = format!(
            "cluster {} is being set up: {}",
            cluster.name,
            step.describe()
        );
        return waiting(Reason::Working, message);
    }
    if let Some(what) = unsettled {
        return waiting(
            Reason::ResultUnknown,
            format!(
                "{what}; nothing more is sent until every host has answered, or is known to be down"
            ),
        );
    }
    None
}

/// `near` is the picture without hosts that are cut off; the situation's own has them.
fn plan_new(want: &ValidVolume, situation: Situation<'_>, near: &PoolView) -> Plan {
    let Situation {
        cluster, view, now, ..
    } = situation;
    let places = match place::bricks(want, cluster, near, view) {
        Ok(places) => places,
        Err(why) => return stuck(Reason::DoesNotFit, why),
    };
    if let Some(why) = may_be_elsewhere(want, situation) {
        return stuck(Reason::HostUnreachable, why);
    }
    let mut steps = Vec::new();
    let mut torn = Vec::new();
    for place in &places {
        let brick = place.brick();
        match view.bricks.get(&brick) {
            Some(
                BrickFacts::Missing
                | BrickFacts::Present {
                    foreign_mark: false,
                    owner: None,
                    volume_id: None,
                    empty: true,
                },
            ) => {}
            Some(BrickFacts::Present {
                foreign_mark: false,
                owner: Some(owner),
                volume_id: None,
                empty: true,
            }) if *owner == want.mark => {}
            // a create that was cut off: ours, nothing in it, and no host knows a volume
            Some(BrickFacts::Present {
                foreign_mark: false,
                owner: Some(owner),
                volume_id: Some(id),
                empty: true,
            }) if *owner == want.mark
                && super::deletion::in_use(place, Some(id), situation).is_none() =>
            {
                torn.push(place.clone());
            }
            Some(BrickFacts::Present {
                owner,
                volume_id,
                empty,
                ..
            }) => {
                let what = match (owner, volume_id, empty) {
                    (Some(owner), _, _) => ownership::marked(&want.mark, &brick, owner),
                    (None, Some(id), _) => format!("{brick} was a brick of a volume (id {id})"),
                    (None, None, _) => format!("{brick} is not empty"),
                };
                return stuck(
                    Reason::NotOwned,
                    format!("{what}; nothing is made there, and nothing is removed"),
                );
            }
            Some(BrickFacts::Unknown(why)) => {
                return stuck(
                    Reason::HostUnreachable,
                    format!("{brick} can't be looked at: {why}"),
                );
            }
            None => return stuck(Reason::Unknown, format!("{brick} was not looked at")),
        }
    }
    if !torn.is_empty() {
        steps.push(Step::TrashBricks {
            places: torn,
            name: format!("{}-torn-{now}", place::directory_name(want)),
        });
    }
    steps.push(Step::MakeBricks {
        places: places.clone(),
        mark: want.mark.clone(),
    });
    steps.push(Step::CreateVolume {
        volume: want.volume.clone(),
        shape: want.shape,
        bricks: places.iter().map(BrickPlace::brick).collect(),
    });
    steps.extend(options::first(want));
    if want.state == State::Started {
        steps.push(Step::StartVolume(want.volume.clone()));
    }
    if let Some(capacity) = want.capacity.filter(|_| want.state == State::Started) {
        steps.push(Step::EnableQuota(want.volume.clone()));
        steps.push(Step::LimitUsage(want.volume.clone(), capacity));
    }
    let message = format!("volume {} is not there yet", want.volume);
    let findings = vec![
        Finding::no(ConditionType::Ready, Reason::Working, message.clone()),
        Finding::no(ConditionType::InSync, Reason::Working, message),
    ];
    Plan {
        steps,
        findings,
        recheck: None,
    }
}

/// Whether a host that does not answer may know the volume though the others do not: a creation that was cut off can have
/// reached one host alone. Bricks are marked on every host of them before that, so a mark on a host that answers tells of
/// such a try; and where so many hosts are silent that all bricks may lie on them, nothing tells.
fn may_be_elsewhere(want: &ValidVolume, situation: Situation<'_>) -> Option<String> {
    let Situation {
        cluster,
        pool,
        view,
        ..
    } = situation;
    let silent: Vec<&HostName> = pool.silent().map(|(name, _, _)| name).collect();
    let first = silent.first()?;
    let tried = view.bricks.iter().find(|(_, facts)| {
        matches!(facts, BrickFacts::Present { owner: Some(owner), .. } if want.mark.same_object(owner, cluster.take_over.as_ref()))
    });
    // sets share hosts, so the hosts of one set may hold all
    let could_hold_all = want.bricks.is_none() && silent.len() >= want.set_size() as usize;
    let why = match tried {
        Some((brick, _)) => format!("{brick} is marked already, so it may have been made before"),
        None if could_hold_all => "all of its bricks may lie there".to_owned(),
        None => return None,
    };
    Some(format!(
        "{first} does not answer and may know the volume {}: {why}; it is made when that host has answered",
        want.volume
    ))
}

fn foreign(want: &ValidVolume, why: &str) -> Plan {
    let message = format!(
        "a volume {} exists and is not ours: {why}; it is left alone. For a new volume choose another spec.volumeName",
        want.volume
    );
    let mut plan = stuck(Reason::NotOwned, message.clone());
    let findings = &mut plan.findings;
    findings.retain(|finding| finding.kind != ConditionType::Owned);
    findings.push(Finding::no(ConditionType::Owned, Reason::NotOwned, message));
    plan
}

/// `pool` is the picture without hosts that are cut off; the situation's own has them.
fn plan_existing(
    want: &ValidVolume,
    volume: &Volume,
    situation: Situation<'_>,
    pool: &PoolView,
) -> Plan {
    let Situation { cluster, view, .. } = situation;
    let health = || health::of(want, volume, situation);
    let situation = Situation { pool, ..situation };
    let differs = pool
        .answered()
        .filter_map(|(name, facts)| Some((name, facts.state.volume(&want.volume)?)))
        .find(|(_, other)| other.id != volume.id);
    if let Some((host, other)) = differs {
        let message = format!(
            "{host} has another volume {} (id {}) than the others (id {}); nothing is changed",
            want.volume, other.id, volume.id
        );
        return stuck(Reason::GhostVolume, message);
    }
    let bricks = bricks_of(volume);
    let remark = match ownership::for_change(
        &want.mark,
        cluster.take_over.as_ref(),
        &bricks,
        &view.bricks,
    ) {
        // whose the bricks are that we could not have named can't be read
        Verdict::Ours { .. } if bricks.len() != volume.bricks.len() => {
            return foreign(want, "some of its bricks have names that we would not give");
        }
        Verdict::Ours { remark } => remark,
        Verdict::Foreign(why) => return foreign(want, &why),
        Verdict::Unknown(why) => {
            let message = format!(
                "whether volume {} is ours can't be told now: {why}; nothing is changed",
                want.volume
            );
            let mut findings = health();
            findings.push(Finding::no(
                ConditionType::InSync,
                Reason::HostUnreachable,
                message.clone(),
            ));
            findings.push(Finding::unknown(
                ConditionType::Owned,
                Reason::Unknown,
                message,
            ));
            return Plan {
                steps: Vec::new(),
                findings,
                recheck: Some(cluster::RETRY),
            };
        }
    };
    let owned = Finding::yes(
        ConditionType::Owned,
        format!("all bricks that can be read carry the mark {}", want.mark),
    );
    if let Some(why) = layout::differs(want, volume) {
        let mut findings = health();
        findings.extend([
            owned,
            Finding::no(ConditionType::InSync, Reason::LayoutDiffers, why),
        ]);
        return Plan {
            steps: Vec::new(),
            findings,
            recheck: None,
        };
    }
    let mut steps = Vec::new();
    if !remark.is_empty() {
        steps.push(Step::MarkBricks {
            bricks: remark,
            mark: want.mark.clone(),
        });
    }
    steps.extend(options::steps(want, volume));
    let down = health::offline(want, pool);
    let waits = view
        .start_tried
        .and_then(|tried| health::start_again(tried).checked_sub(tried.ago))
        .filter(|_| !down.is_empty() && volume.status == VolumeStatus::Started);
    match volume.status {
        VolumeStatus::Created | VolumeStatus::Stopped => {
            if want.state == State::Started {
                steps.push(Step::StartVolume(want.volume.clone()));
            }
        }
        VolumeStatus::Started if down.is_empty() => {}
        VolumeStatus::Started if waits.is_none() => {
            steps.push(Step::StartBricks(want.volume.clone()));
        }
        VolumeStatus::Started => {}
    }
    let mut findings = vec![owned];
    // quota is a matter of a volume that runs
    let quota = match quota::differs(want, pool) {
        // a further switch would meet some hosts that have made it already
        Some(problem) => Plan::wait(problem, cluster::RETRY),
        None if want.state == State::Started || volume.status == VolumeStatus::Started => {
            quota::plan(want, volume, view)
        }
        None => Plan::default(),
    };
    steps.extend(quota.steps);
    let mut problem = quota.findings.first().cloned();
    let mut recheck = quota.recheck;
    // who may write comes first, and alone: a brick that does not start, or an option that gluster refuses, must not
    // keep a database from moving to a living node
    let attach = match volume.status {
        VolumeStatus::Started if want.access == Access::OneWriter => {
            attach(want, volume, situation)
        }
        _ => Plan::default(),
    };
    if !attach.steps.is_empty() {
        steps = attach.steps;
    }
    if want.state == State::Stopped && volume.status == VolumeStatus::Started {
        if let Some(why) = stop_blocked(want, volume, situation) {
            let why = format!("volume {} is not stopped: {why}", want.volume);
            problem = Some(Finding::no(ConditionType::InSync, Reason::StopBlocked, why));
            recheck = Some(cluster::RETRY);
        } else {
            // nothing else matters to a volume that nobody uses
            steps = vec![Step::StopVolume(want.volume.clone())];
        }
    }
    findings.extend(attach.findings);
    findings.extend(health());
    if let Some(left) = waits {
        let why = health::not_starting(want, &down, view.start_tried);
        findings.push(Finding::no(
            ConditionType::Healthy,
            Reason::BrickDown,
            why.clone(),
        ));
        problem = problem.or(Some(Finding::no(
            ConditionType::InSync,
            Reason::BrickDown,
            why,
        )));
        // one that was slow to start is up by then
        recheck = recheck.or(Some(left.min(Duration::from_secs(2))));
    }
    findings.push(in_sync(
        &steps,
        problem,
        &options::foreign(want, volume, pool),
    ));
    Plan {
        steps,
        findings,
        recheck: attach.recheck.or(recheck),
    }
}

fn attach(want: &ValidVolume, volume: &Volume, situation: Situation<'_>) -> Plan {
    let Situation {
        pool, view, wish, ..
    } = situation;
    if let Some(why) = disagree(want, pool) {
        return attach::waiting(why);
    }
    // whoever is not heard of may still be written to; enough bricks must be heard that the rest is no quorum
    let heard = view.clients.as_ref().filter(|clients| {
        let heard = |(brick, online): &(Brick, Option<bool>)| {
            *online == Some(false)
                || clients.iter().any(|one| {
                    one.host == brick.host.as_str()
                        && one.path == brick.path.as_str()
                        && one.clients.is_some()
                })
        };
        let bricks = health::online(want, pool);
        let size = want.set_size() as usize;
        // where somebody took the quorum away by hand one brick that is not heard of is enough to write
        let weakened = ["cluster.quorum-type", "cluster.quorum-count"]
            .iter()
            .filter_map(|key| volume.options.get(*key))
            .any(|value| value != "auto");
        let majority = if weakened {
            size
        } else {
            want.shape.majority() as usize
        };
        !bricks.is_empty()
            && bricks
                .chunks(size)
                .all(|set| set.iter().filter(|brick| heard(brick)).count() >= majority)
    });
    let storage = attach::storage(situation);
    let heard = heard.map(Vec::as_slice);
    attach::plan(&want.volume, volume, wish, heard, &storage)
}

/// A fence holds only where every host has it: each brick is told by its own glusterd.
fn disagree(want: &ValidVolume, pool: &PoolView) -> Option<String> {
    let allow = |facts: &HostFacts| {
        facts
            .state
            .volume(&want.volume)?
            .options
            .get(ALLOW_OPTION)
            .cloned()
    };
    let mut hosts = pool.answered().map(|(name, facts)| (name, allow(facts)));
    let (first, value) = hosts.next()?;
    let (other, _) = hosts.find(|(_, theirs)| *theirs != value)?;
    Some(format!(
        "{first} and {other} do not agree on {} of volume {}",
        ALLOW_OPTION, want.volume
    ))
}

fn in_sync(steps: &[Step], problem: Option<Finding>, foreign: &[String]) -> Finding {
    match problem {
        Some(problem) => problem,
        None if steps.is_empty() && foreign.is_empty() => {
            Finding::yes(ConditionType::InSync, "everything is as declared")
        }
        None if steps.is_empty() => {
            let message = format!(
                "everything is as declared; options that others have set are left alone: {}",
                foreign.join(", ")
            );
            Finding::yes(ConditionType::InSync, message)
        }
        None => {
            let list = steps
                .iter()
                .map(Step::describe)
                .collect::<Vec<_>>()
                .join(", ");
            Finding::no(ConditionType::InSync, Reason::Working, list)
        }
    }
}
