//! What a pool that is set up still needs: hosts that left the spec are detached, pool options that left it reset, the op-version
//! raised, glusterd's ping-timeout written.
//!
//! **Which peers are detached.** A peer that nobody ever listed is somebody's own doing, and is only reported. One that was listed
//! is known by its uuid, which status keeps from the time when it answered as a node of the spec. That memory is a hint and decides
//! nothing alone: every listed host has to answer now, know a peer of that uuid, and be none of that uuid itself (then it was
//! renamed); an owner file on the leaving host, where that can be read, must be ours or missing; and every brick of every volume
//! that any host knows must be seen to lie on another host. GlusterFS alone would not do: it refuses when *some* bricks of a volume
//! lie there, but a volume that has *all* of its bricks there it lets go along, and forgets on the other hosts (measured on 10.3).
//! Detaching a peer without bricks destroys nothing, and a probe takes it back.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::gluster::glusterd_vol;
use crate::gluster::model::{GlusterdVol, Peer, PoolView, SilentKind};
use crate::gluster::names::{HostName, OptionKey, Uuid};

use super::Plan;
use super::cluster::coordinator;
use super::step::Step;
use super::validate::{OpVersionWish, ValidCluster};

/// A host that was listed and is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// Its name in the spec of before.
    pub name: HostName,
    /// How it was reached.
    pub address: HostName,
    /// Its uuid in gluster.
    pub uuid: Uuid,
}

/// What is known besides the picture of the pool.
#[derive(Debug, Clone, Copy)]
pub struct Upkeep<'a> {
    /// Pool options that were set for this object.
    pub owned: &'a [String],
    /// Hosts that left the spec, as status remembers them.
    pub former: &'a [Former],
    /// A look at them, as far as they let us in.
    pub former_view: &'a PoolView,
    /// The highest op-version that all hosts support; `None`: not asked, or not found out.
    pub max_op_version: Option<u32>,
    /// glusterd's configuration by host; where it could not be read, why.
    pub glusterd_vol: &'a BTreeMap<HostName, Result<GlusterdVol, String>>,
    /// A write whose result is not known yet.
    pub unsettled: Option<&'a str>,
}

/// What shall be done, and what is over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Care {
    /// Steps, and a finding for each thing that is not as declared. No finding: all is.
    pub plan: Plan,
    /// Former nodes that are peers no more: their owner file can go, and they can be forgotten.
    pub detached: Vec<Former>,
    /// Former nodes that are listed under another name now.
    pub renamed: Vec<Former>,
    /// Names of peers that were never listed.
    pub strangers: Vec<String>,
}

/// Plans the upkeep of a pool whose own plan has no steps and is Ready.
pub fn plan(want: &ValidCluster, pool: &PoolView, upkeep: &Upkeep<'_>) -> Care {
    let mut care = Care::default();
    peers(want, pool, upkeep, &mut care);
    dropped_options(want, pool, upkeep, &mut care.plan);
    op_version(want, pool, upkeep, &mut care.plan);
    ping_timeout(want, pool, upkeep, &mut care.plan);
    care
}

fn no(reason: Reason, message: String) -> Finding {
    Finding::no(ConditionType::InSync, reason, message)
}

/// Why something that concerns the whole pool has to wait.
fn incomplete(pool: &PoolView, upkeep: &Upkeep<'_>, but: Option<&Uuid>) -> Option<String> {
    if let Some((host, why, _)) = pool.silent().next() {
        return Some(format!("{host} does not answer ({why})"));
    }
    if let Some(what) = upkeep.unsettled {
        return Some(what.to_owned());
    }
    pool.answered().find_map(|(name, facts)| {
        let mut others = facts
            .state
            .peers
            .iter()
            .filter(|peer| Some(&peer.uuid) != but);
        others
            .find(|peer| !peer.connected)
            .map(|peer| format!("{name} has no connection to {}", peer.hostname))
    })
}

fn names_of<'a>(pool: &'a PoolView, uuid: &Uuid) -> BTreeSet<&'a str> {
    pool.answered()
        .flat_map(|(_, facts)| &facts.state.peers)
        .filter(|peer| peer.uuid == *uuid)
        .flat_map(|peer| {
            std::iter::once(peer.hostname.as_str())
                .chain(peer.other_names.iter().map(String::as_str))
        })
        .collect()
}

/// Whose brick it is: uuids of all hosts that are known by that name. Empty: it can't be told.
fn holders<'a>(want: &ValidCluster, pool: &'a PoolView, host: &str) -> BTreeSet<&'a Uuid> {
    let same = |name: &str| name.eq_ignore_ascii_case(host);
    let by_peers = pool
        .answered()
        .flat_map(|(_, facts)| &facts.state.peers)
        .filter(|peer| same(&peer.hostname) || peer.other_names.iter().any(|name| same(name)))
        .map(|peer| &peer.uuid);
    let listed = want
        .nodes
        .iter()
        .filter(|node| same(node.name.as_str()) || same(node.address.as_str()))
        .filter_map(|node| pool.facts(&node.name)?.state.uuid.as_ref());
    by_peers.chain(listed).collect()
}

/// Bricks that lie on that host, or may.
fn bricks_on(want: &ValidCluster, pool: &PoolView, former: &Former) -> BTreeSet<String> {
    let own = |host: &str| {
        [former.name.as_str(), former.address.as_str()]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host))
    };
    let mut found = BTreeSet::new();
    for (_, facts) in pool.answered() {
        for volume in &facts.state.volumes {
            for brick in &volume.bricks {
                let holders = holders(want, pool, &brick.host);
                if holders.is_empty() || holders.contains(&former.uuid) || own(&brick.host) {
                    found.insert(format!(
                        "{}:{} of volume {}",
                        brick.host, brick.path, volume.name
                    ));
                }
            }
        }
    }
    found
}

fn peers(want: &ValidCluster, pool: &PoolView, upkeep: &Upkeep<'_>, care: &mut Care) {
    let listed: BTreeSet<&Uuid> = pool
        .answered()
        .filter_map(|(_, facts)| facts.state.uuid.as_ref())
        .collect();
    for former in upkeep.former {
        if listed.contains(&former.uuid) {
            // the same host under another name
            care.renamed.push(former.clone());
            continue;
        }
        let stays = |why: String| {
            no(
                Reason::NodeInUse,
                format!(
                    "{} left spec.nodes and stays a peer: {why}. It is detached when nothing keeps it any more, or can be listed again",
                    former.name
                ),
            )
        };
        let known: Vec<&Peer> = pool
            .answered()
            .flat_map(|(_, facts)| &facts.state.peers)
            .filter(|peer| peer.uuid == former.uuid)
            .collect();
        if let Some(why) = incomplete(pool, upkeep, Some(&former.uuid)) {
            care.plan.findings.push(stays(why));
            continue;
        }
        let Some(peer) = known.first() else {
            care.detached.push(former.clone());
            continue;
        };
        let bricks = bricks_on(want, pool, former);
        if !bricks.is_empty() {
            let count = bricks.len();
            let some = bricks.into_iter().take(10).collect::<Vec<_>>().join(", ");
            care.plan.findings.push(stays(format!(
                "{count} bricks lie there, or may: {some}; list it again, and delete these volumes while it is listed"
            )));
            continue;
        }
        if let Some(why) = not_ours(want, upkeep, former, peer) {
            care.plan.findings.push(stays(why));
            continue;
        }
        let Some(host) = names_of(pool, &former.uuid)
            .into_iter()
            .find_map(|name| name.parse::<HostName>().ok())
        else {
            care.plan
                .findings
                .push(stays("gluster knows it by no name that can be used".into()));
            continue;
        };
        care.plan.steps.push(Step::DetachPeer { host });
    }
    // a silent host may be the stranger
    if pool.silent().next().is_none() {
        let former: BTreeSet<&Uuid> = upkeep.former.iter().map(|former| &former.uuid).collect();
        let strangers: BTreeSet<&Uuid> = pool
            .answered()
            .flat_map(|(_, facts)| &facts.state.peers)
            .map(|peer| &peer.uuid)
            .filter(|uuid| !listed.contains(uuid) && !former.contains(uuid))
            .collect();
        care.strangers = strangers
            .into_iter()
            .map(|uuid| {
                names_of(pool, uuid)
                    .into_iter()
                    .next()
                    .map_or_else(|| uuid.to_string(), str::to_owned)
            })
            .collect();
    }
}

/// Why a peer without bricks is not detached all the same.
fn not_ours(
    want: &ValidCluster,
    upkeep: &Upkeep<'_>,
    former: &Former,
    peer: &Peer,
) -> Option<String> {
    if let Some(facts) = upkeep.former_view.facts(&former.name) {
        return match &facts.owner {
            _ if facts.state.uuid.as_ref() != Some(&former.uuid) => Some(format!(
                "at {} another host answers by now (its uuid is not {})",
                former.address, former.uuid
            )),
            Some(owner) if owner != want.owner.as_str() => {
                Some(format!("its owner file says that {owner} manages it"))
            }
            _ => None,
        };
    }
    let silent = upkeep
        .former_view
        .silent()
        .find(|(name, ..)| **name == former.name)?;
    // who is cut off silently makes a command hang for 120 s; who only refuses our key takes part in it
    (peer.connected && silent.2 == SilentKind::Unreachable).then(|| {
        format!(
            "it does not answer ({}), but the other hosts still believe it to be connected, and commands would hang for 120 s",
            silent.1
        )
    })
}

/// Pool options that nobody resets, though status says that they were ours.
fn never_reset(key: &OptionKey) -> bool {
    key.as_str().eq_ignore_ascii_case("cluster.op-version")
}

fn dropped_options(want: &ValidCluster, pool: &PoolView, upkeep: &Upkeep<'_>, plan: &mut Plan) {
    let Some(facts) = coordinator(want, pool).and_then(|host| pool.facts(host)) else {
        return;
    };
    let dropped = upkeep
        .owned
        .iter()
        .filter(|key| facts.state.global_options.contains_key(key.as_str()))
        .filter_map(|key| key.parse::<OptionKey>().ok())
        .filter(|key| !want.options.contains_key(key) && !never_reset(key));
    plan.steps.extend(dropped.map(Step::ResetPoolOption));
}

fn op_version(want: &ValidCluster, pool: &PoolView, upkeep: &Upkeep<'_>, plan: &mut Plan) {
    let Some(now) = pool
        .answered()
        .map(|(_, facts)| facts.state.op_version)
        .max()
    else {
        return;
    };
    let wanted = match (want.op_version, upkeep.max_op_version) {
        (OpVersionWish::Keep, _) => return,
        (OpVersionWish::At(version), _) if version < now => {
            plan.findings.push(no(
                Reason::OpVersionTooLow,
                format!(
                    "spec.opVersion.version {version} is lower than the op-version {now} of the pool, which can't be lowered; ask for {now}, or for policy Keep"
                ),
            ));
            return;
        }
        (OpVersionWish::At(version), _) | (OpVersionWish::Max, Some(version)) => version,
        (OpVersionWish::Max, None) => {
            if pool.silent().next().is_none() {
                plan.findings.push(no(
                    Reason::Unknown,
                    "`gluster volume get all cluster.max-op-version` gave no answer that can be trusted".into(),
                ));
            }
            return;
        }
    };
    if wanted <= now {
        return;
    }
    // an answer of all hosts, since one that joins later with an older GlusterFS would be shut out for good
    match incomplete(pool, upkeep, None) {
        Some(why) => plan.findings.push(no(
            Reason::HostUnreachable,
            format!("the op-version is raised from {now} to {wanted} when all hosts answer: {why}"),
        )),
        None => plan.steps.push(Step::RaiseOpVersion(wanted)),
    }
}

fn ping_timeout(want: &ValidCluster, pool: &PoolView, upkeep: &Upkeep<'_>, plan: &mut Plan) {
    let Some(seconds) = want.ping_timeout else {
        return;
    };
    let (mut restart, mut unknown, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for (host, _) in pool.answered() {
        match upkeep.glusterd_vol.get(host) {
            None => unknown.push(format!("{host} was not looked at")),
            Some(Err(why)) => problems.push(format!("{host}: {why}")),
            Some(Ok(file)) if glusterd_vol::ping_timeout(&file.text) == Some(seconds) => {
                match file.in_force {
                    Some(true) => {}
                    Some(false) => restart.push(host.as_str()),
                    None => unknown.push(format!("{host} does not tell when its glusterd started")),
                }
            }
            Some(Ok(file)) => match glusterd_vol::with_ping_timeout(&file.text, seconds) {
                Some(text) => plan.steps.push(Step::WritePingTimeout {
                    host: host.clone(),
                    seconds,
                    text,
                }),
                None => problems.push(format!(
                    "{host}: /etc/glusterfs/glusterd.vol is not one volume of type mgmt/glusterd; set `option ping-timeout {seconds}` there by hand"
                )),
            },
        }
    }
    let silent = pool
        .silent()
        .map(|(host, ..)| format!("{host} does not answer"));
    problems.extend(silent);
    problems.extend(unknown);
    if restart.is_empty() && problems.is_empty() {
        return;
    }
    let mut message = Vec::new();
    if !restart.is_empty() {
        message.push(format!(
            "ping-timeout {seconds} is written and takes effect at the next restart of glusterd on {}: one host after the other, when all bricks run and nothing heals. Where its unit has KillMode=control-group, as on Debian, a restart ends that host's bricks, too",
            restart.join(", ")
        ));
    }
    if !problems.is_empty() {
        message.push(format!("ping-timeout {seconds}: {}", problems.join("; ")));
    }
    let reason = if restart.is_empty() {
        Reason::Unknown
    } else {
        Reason::RestartNeeded
    };
    plan.findings.push(no(reason, message.join("; ")));
}
