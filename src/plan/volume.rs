//! Plans for a volume: from nothing to created, marked, started, limited and attached; and back to what is declared
//! after any edit.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::api::volume::State;
use crate::gluster::model::{
    BrickFacts, HostFacts, PoolView, QuotaView, StartTried, Volume, VolumeStatus, VolumeView,
};
use crate::gluster::names::{
    ALLOW_NOBODY, ALLOW_OPTION, Brick, Bytes, HostName, OWNER_OPTION, OptionKey, OptionValue,
    VolumeName,
};

use super::attach::{self, Wish};
use super::ownership::{self, Verdict};
use super::place;
use super::step::{BrickPlace, Step};
use super::validate::{Access, ValidCluster, ValidVolume};
use super::{Plan, cluster, layout};

/// Makes clients come from privileged ports. It is set before the first start only: toggled on a running volume it breaks
/// mounts and quotad (measured).
const PRIVILEGED: (&str, &str) = ("client.bind-insecure", "off");
/// Makes bricks refuse all others: without it any unprivileged process reads every file past `auth.allow`. Clients that are
/// [`PRIVILEGED`] do not notice when it changes (measured).
const CLOSED: &str = "server.allow-insecure";

/// How often it is looked whether quota's crawl has ended. On an empty volume it takes some tenths of a second.
const CRAWL: Duration = Duration::from_secs(1);

/// How long bricks that do not run are left alone after they were started: at first so long, twice as long each time, and
/// at last for [`START_AGAIN_MAX`]. A disk that is dead, or a process that somebody kills, is not mended by it, and each try
/// restarts daemons.
const START_AGAIN: Duration = Duration::from_secs(30);
const START_AGAIN_MAX: Duration = Duration::from_secs(300);

fn start_again(tried: StartTried) -> Duration {
    let doubled = START_AGAIN * (1 << tried.times.saturating_sub(1).min(8));
    doubled.min(START_AGAIN_MAX)
}

/// True for a volume whose clients are privileged and whose bricks do not insist on it yet.
pub fn is_open(volume: &Volume) -> bool {
    let is_off = |key: &str| volume.options.get(key).map(String::as_str) == Some("off");
    is_off(PRIVILEGED.0) && !is_off(CLOSED)
}

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
    /// Whether there is a limit; it, and the use as far as status tells it. `None`: not known.
    quota: Option<Option<(Bytes, Bytes)>>,
}

impl Picture {
    /// Whether a plan has nothing new to go by. That a limit could not be read is no news.
    pub fn shows_the_same(&self, later: &Self) -> bool {
        self.volume == later.volume
            && self.pool == later.pool
            && (later.quota.is_none() || self.quota == later.quota)
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
            QuotaView::Limit(limit) => {
                let used = coarse_use(limit.hard_limit, limit.used);
                Some(Some((limit.hard_limit, used)))
            }
            QuotaView::Off | QuotaView::NoLimit => Some(None),
            QuotaView::Unknown => None,
        },
    }
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
            && attach::holder(volume, &wish.nodes) == attach::Holder::Nobody
            && wish.pods.iter().any(|pod| !pod.finished && !pod.deleting);
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
fn stop_blocked(volume: &Volume, situation: Situation<'_>) -> Option<String> {
    wanted_by(situation.wish).or_else(|| super::deletion::mounted(volume, situation))
}

/// Plans for a volume that shall be there.
pub fn plan(want: &ValidVolume, situation: Situation<'_>) -> Plan {
    let Situation { cluster, pool, .. } = situation;
    if let Some(blocked) = blocked(want, situation) {
        return blocked;
    }
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

fn join(hosts: &[&HostName]) -> String {
    hosts
        .iter()
        .map(|host| host.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Nothing can be done: neither ready nor in sync.
fn stuck(reason: Reason, message: String) -> Plan {
    let findings = vec![
        Finding::no(ConditionType::Ready, reason, message.clone()),
        Finding::no(ConditionType::InSync, reason, message),
    ];
    Plan {
        steps: Vec::new(),
        findings,
        recheck: Some(cluster::RETRY),
    }
}

/// What keeps any plan from being made: no coordinator, somebody else's pool, a write without a known end.
pub fn blocked(want: &ValidVolume, situation: Situation<'_>) -> Option<Plan> {
    let Situation {
        cluster,
        pool,
        unsettled,
        ..
    } = situation;
    let waiting = |reason, message: String| {
        let mut findings = vec![Finding::no(ConditionType::InSync, reason, message.clone())];
        match seen(want, cluster, pool) {
            Some(volume) => findings.extend(health_of(want, volume, situation)),
            None => findings.push(Finding::unknown(ConditionType::Ready, reason, message)),
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
    if pool_plan
        .steps
        .iter()
        .any(|step| matches!(step, Step::ClaimHost { .. } | Step::ProbePeer { .. }))
    {
        return waiting(
            Reason::Working,
            format!("cluster {} is being set up", cluster.name),
        );
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
                    (Some(owner), _, _) => format!("is marked as {owner}"),
                    (None, Some(id), _) => format!("was a brick of a volume (id {id})"),
                    (None, None, _) => "is not empty".into(),
                };
                return stuck(
                    Reason::NotOwned,
                    format!("{brick} {what}; nothing is made there, and nothing is removed"),
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
    steps.extend(first_options(want));
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

pub(super) fn pairs(list: &[(&str, &str)]) -> BTreeMap<OptionKey, OptionValue> {
    list.iter()
        .filter_map(|(key, value)| Some((key.parse().ok()?, value.parse().ok()?)))
        .collect()
}

/// What has to be set besides the user's own options, in one command.
fn base_options(want: &ValidVolume) -> BTreeMap<OptionKey, OptionValue> {
    let mut options = want.profile.clone();
    options.retain(|key, _| !want.options.contains_key(key));
    options.extend(want.quota_timeouts.clone());
    if let Ok(key) = OWNER_OPTION.parse() {
        options.insert(key, want.mark_option.clone());
    }
    if let (Some(key), Access::Clients(list)) = (attach::key(), &want.access) {
        options.insert(key, list.clone());
    }
    options
}

/// The options of a volume that has never been started: mark, access and profile at once, then what the user asked for.
fn first_options(want: &ValidVolume) -> Vec<Step> {
    let mut base = base_options(want);
    base.extend(pairs(&[PRIVILEGED]));
    base.extend(layout::shard_options(want));
    // quota's crawl is a client that is not privileged: where it comes later, this does too
    if want.capacity.is_none() {
        base.extend(pairs(&[(CLOSED, "off")]));
    }
    if want.access == Access::OneWriter {
        base.extend(pairs(&[(ALLOW_OPTION, ALLOW_NOBODY)]));
    }
    let mut steps = vec![Step::SetOptions {
        volume: want.volume.clone(),
        options: base,
        each: false,
    }];
    if !want.options.is_empty() {
        steps.push(Step::SetOptions {
            volume: want.volume.clone(),
            options: want.options.clone(),
            each: true,
        });
    }
    steps
}

fn foreign(want: &ValidVolume, why: &str) -> Plan {
    let message = format!(
        "a volume {} exists and is not ours: {why}; it is left alone. Choose another spec.volumeName",
        want.volume
    );
    let mut plan = stuck(Reason::NotOwned, message.clone());
    plan.findings
        .push(Finding::no(ConditionType::Owned, Reason::NotOwned, message));
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
    let health = || health_of(want, volume, situation);
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
    steps.extend(options_steps(want, volume));
    let down = offline(want, pool);
    let waits = view
        .start_tried
        .and_then(|tried| start_again(tried).checked_sub(tried.ago))
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
    let quota = match quota_differs(want, pool) {
        // a further switch would meet some hosts that have made it already
        Some(problem) => Plan::wait(problem, cluster::RETRY),
        None if want.state == State::Started || volume.status == VolumeStatus::Started => {
            quota_steps(want, volume, view)
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
        if let Some(why) = stop_blocked(volume, situation) {
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
        let why = not_starting(want, &down, view.start_tried);
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
        &foreign_options(want, volume, pool),
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
                || clients
                    .iter()
                    .any(|one| one.host == brick.host.as_str() && one.path == brick.path.as_str())
        };
        let bricks = online(want, pool);
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
    attach::plan(&want.volume, volume, wish, heard.map(Vec::as_slice))
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

fn options_steps(want: &ValidVolume, volume: &Volume) -> Vec<Step> {
    let never_started = volume.status == VolumeStatus::Created;
    if never_started && !volume.options.contains_key(OWNER_OPTION) {
        return first_options(want);
    }
    let missing = |options: &BTreeMap<OptionKey, OptionValue>| -> BTreeMap<OptionKey, OptionValue> {
        let differs = |key: &OptionKey, value: &OptionValue| {
            volume.options.get(key.as_str()).map(String::as_str) != Some(value.as_str())
        };
        options
            .iter()
            .filter(|(key, value)| differs(key, value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let mut steps = Vec::new();
    let mut base = base_options(want);
    if never_started {
        base.extend(layout::shard_options(want));
    }
    for (options, each) in [(missing(&base), false), (missing(&want.options), true)] {
        if !options.is_empty() {
            steps.push(Step::SetOptions {
                volume: want.volume.clone(),
                options,
                each,
            });
        }
    }
    for key in want
        .dropped
        .iter()
        .filter(|key| volume.options.contains_key(key.as_str()))
    {
        steps.push(Step::ResetOption {
            volume: want.volume.clone(),
            key: key.clone(),
        });
    }
    steps
}

/// Options that GlusterFS sets itself when it creates a volume or switches quota on.
const GLUSTERS_OWN: [(&str, &str); 6] = [
    ("transport.address-family", "inet"),
    ("storage.fips-mode-rchecksum", "on"),
    ("nfs.disable", "on"),
    ("performance.client-io-threads", "off"),
    ("cluster.granular-entry-heal", "on"),
    ("features.quota-deem-statfs", "on"),
];

/// Options of the volume that neither its spec nor we nor GlusterFS itself have set: they are told, and never touched.
fn foreign_options(want: &ValidVolume, volume: &Volume, pool: &PoolView) -> Vec<String> {
    let ours = |key: &str| {
        let base = [OWNER_OPTION, ALLOW_OPTION, PRIVILEGED.0, CLOSED];
        let quota = [
            "features.quota",
            "features.inode-quota",
            "features.soft-timeout",
            "features.hard-timeout",
        ];
        let shard = [layout::SHARD, layout::SHARD_SIZE];
        base.contains(&key)
            || quota.contains(&key)
            || (want.shard.is_some() && shard.contains(&key))
    };
    // options of the whole pool show up among those of each volume
    let of_the_pool = |key: &String| {
        let mut hosts = pool.answered();
        hosts.any(|(_, facts)| facts.state.global_options.contains_key(key))
    };
    let declared = |key: &String| {
        let mut keys = want.options.keys().chain(want.profile.keys());
        keys.any(|other| other.as_str() == key)
            || want.dropped.iter().any(|one| one.as_str() == key)
    };
    volume
        .options
        .iter()
        .filter(|(key, value)| {
            !ours(key)
                && !declared(key)
                && !of_the_pool(key)
                && !GLUSTERS_OWN.contains(&(key.as_str(), value.as_str()))
        })
        .map(|(key, _)| key.clone())
        .collect()
}

/// Hosts that do not agree on whether quota is on: a switch that did not reach all of them. Each enforces what it knows.
fn quota_differs(want: &ValidVolume, pool: &PoolView) -> Option<Finding> {
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

fn quota_steps(want: &ValidVolume, volume: &Volume, view: &VolumeView) -> Plan {
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
fn not_starting(want: &ValidVolume, down: &[Brick], tried: Option<StartTried>) -> String {
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

fn offline(want: &ValidVolume, pool: &PoolView) -> Vec<Brick> {
    online(want, pool)
        .into_iter()
        .filter(|(_, state)| *state == Some(false))
        .map(|(brick, _)| brick)
        .collect()
}

/// Ready and Healthy of a volume that exists. Ready: started, and every set has the bricks that writing needs; bricks of
/// a silent host do not count as running.
pub fn health(
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

/// [`health`], and what is wrong with hosts and devices of bricks that run.
fn health_of(want: &ValidVolume, volume: &Volume, situation: Situation<'_>) -> Vec<Finding> {
    let Situation {
        cluster,
        pool,
        view,
        ..
    } = situation;
    let mut findings = health(want, volume, pool, &view.quota);
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

/// Use in steps of 5 % of the limit, rounded down: status must not change with every byte.
pub fn coarse_use(limit: Bytes, used: Bytes) -> Bytes {
    let step = (limit.0 / 20).max(1);
    Bytes(used.0 / step * step)
}
