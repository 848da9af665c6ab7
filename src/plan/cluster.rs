//! Plans for a pool: whose it is, who belongs to it, its options.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::gluster::model::{HostFacts, HostView, Peer, PoolView, SilentKind};
use crate::gluster::names::{HostName, OwnerId, Uuid};

use super::Plan;
use super::place::{device_full, device_ready};
use super::step::Step;
use super::validate::ValidCluster;

/// Of a longer ping-timeout, in seconds, not even a command that waits for it makes glusterd notice in time that a peer hangs.
const NOTICED_IN_TIME: u32 = 60;
/// When to look again while something is wrong.
pub const RETRY: Duration = Duration::from_secs(10);

/// The reason that a kind of silence gives.
pub fn silence_reason(kind: SilentKind) -> Reason {
    match kind {
        SilentKind::Unreachable => Reason::HostUnreachable,
        SilentKind::HostKey => Reason::HostKeyRefused,
        SilentKind::Authentication => Reason::AuthenticationFailed,
        SilentKind::Prerequisites => Reason::PrerequisitesMissing,
        SilentKind::Glusterd => Reason::GlusterdNotResponding,
    }
}

/// Which of the listed hosts form the pool that we work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership<'a> {
    /// Hosts that answered and belong to it.
    pub members: BTreeMap<&'a HostName, &'a HostFacts>,
    /// Hosts that answered, belong to no pool, and have no volume: they can be probed.
    pub lone: Vec<&'a HostName>,
    /// Hosts that answered and can't be members, with the reason.
    pub others: Vec<(&'a HostName, String)>,
}

/// Uuids that know each other, and the listed hosts among them.
type Group<'a> = (BTreeSet<&'a Uuid>, Vec<(&'a HostName, &'a HostFacts)>);

fn group(facts: &HostFacts) -> BTreeSet<&Uuid> {
    facts
        .state
        .peers
        .iter()
        .map(|peer| &peer.uuid)
        .chain(&facts.state.uuid)
        .collect()
}

/// Sorts the hosts that answered. The pool is the group with most listed hosts; among equal ones that which carries our
/// owner file, then that of the host listed first. Two equal groups that both have peers or volumes are a conflict.
pub fn membership<'a>(want: &ValidCluster, pool: &'a PoolView) -> Membership<'a> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for node in &want.nodes {
        let Some((name, facts)) = pool.answered().find(|(name, _)| **name == node.name) else {
            continue;
        };
        let (mut ids, mut hosts) = (group(facts), vec![(name, facts)]);
        // one host that knows two groups makes them one, even where these do not know each other
        let (joined, rest): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|(other, _)| !other.is_disjoint(&ids));
        for (other, members) in joined.into_iter().rev() {
            ids.extend(other);
            hosts.splice(0..0, members);
        }
        groups = rest;
        groups.push((ids, hosts));
    }
    // by the host listed first
    groups.sort_by_key(|(_, hosts)| {
        want.nodes
            .iter()
            .position(|node| hosts.iter().any(|(name, _)| **name == node.name))
    });
    let ours = |facts: &HostFacts| facts.owner.as_deref() == Some(want.owner.as_str());
    let rank = |(ids, hosts): &Group<'_>| {
        let owned = hosts.iter().any(|(_, facts)| ours(facts));
        let settled = ids.len() > 1
            || hosts
                .iter()
                .any(|(_, facts)| !facts.state.volumes.is_empty());
        (owned, hosts.len(), settled)
    };
    // max_by_key takes the last of equals; the first listed shall win
    let best = (0..groups.len()).rev().max_by_key(|at| rank(&groups[*at]));
    let mut result = Membership {
        members: BTreeMap::new(),
        lone: Vec::new(),
        others: Vec::new(),
    };
    for (at, (ids, hosts)) in groups.iter().enumerate() {
        for (name, facts) in hosts {
            if Some(at) == best {
                result.members.insert(*name, *facts);
            } else if ids.len() > 1 {
                result.others.push((*name, format!("{name} is a peer of another pool; detach it there, or take it out of spec.nodes")));
            } else if !facts.state.volumes.is_empty() {
                result.others.push((*name, format!("{name} is alone in a pool of its own and has volumes; GlusterFS refuses to probe it")));
            } else {
                result.lone.push(*name);
            }
        }
    }
    result
}

/// Whether somebody else owns the pool. `Err` holds the other id.
fn ownership(want: &ValidCluster, pool: &PoolView) -> Result<(), (HostName, String)> {
    for (name, facts) in pool.answered() {
        match &facts.owner {
            Some(id) if id == want.owner.as_str() => {}
            Some(id) if want.take_over.as_ref().map(OwnerId::as_str) == Some(id) => {}
            Some(id) => return Err((name.clone(), id.clone())),
            None => {}
        }
    }
    Ok(())
}

/// The host on which writes run: the lowest uuid among members that answer and see a majority of the pool. In a pool of two,
/// either.
pub fn coordinator<'a>(want: &ValidCluster, pool: &'a PoolView) -> Option<&'a HostName> {
    candidates(want, pool).first().copied()
}

/// The host that is asked for limits, another one where that is possible: GlusterFS mounts a volume to set a limit, and to tell of it, and
/// either takes ports below 1024 of the host for a minute ([`super::quota::limited`]).
pub fn teller<'a>(want: &ValidCluster, pool: &'a PoolView) -> Option<&'a HostName> {
    let candidates = candidates(want, pool);
    candidates.get(1).or(candidates.first()).copied()
}

/// Members that answer and see a majority of the pool, by their uuid.
fn candidates<'a>(want: &ValidCluster, pool: &'a PoolView) -> Vec<&'a HostName> {
    let membership = membership(want, pool);
    let candidates = membership.members.into_iter().filter(|(_, facts)| {
        let size = facts.state.peers.len() + 1;
        let seen = facts
            .state
            .peers
            .iter()
            .filter(|peer| peer.connected)
            .count()
            + 1;
        size <= 2 || seen * 2 > size
    });
    let mut candidates: Vec<_> = candidates.collect();
    candidates.sort_by_key(|(_, facts)| facts.state.uuid.as_ref());
    candidates.into_iter().map(|(name, _)| name).collect()
}

/// The picture without the members that answer us and that the coordinator has no connection to: a command does not reach them,
/// and what they say of volumes is what they knew before. `None`: there are none.
pub fn within_reach(want: &ValidCluster, pool: &PoolView) -> Option<PoolView> {
    let coordinator = coordinator(want, pool)?;
    let peers = &pool.facts(coordinator)?.state.peers;
    let lost = |facts: &HostFacts| {
        let mut peers = peers.iter().filter(|peer| !peer.connected);
        peers.any(|peer| Some(&peer.uuid) == facts.state.uuid.as_ref())
    };
    let cut_off: Vec<&HostName> = pool
        .answered()
        .filter(|(_, facts)| lost(facts))
        .map(|(name, _)| name)
        .collect();
    if cut_off.is_empty() {
        return None;
    }
    let mut near = pool.clone();
    for name in cut_off {
        let silent = HostView::Silent {
            why: format!("{coordinator} has no connection to {name}, which answers"),
            kind: SilentKind::Unreachable,
        };
        near.hosts.insert(name.clone(), silent);
    }
    Some(near)
}

/// The picture without listed hosts that belong to no pool yet: they have no volumes, and can't have known any of ours.
pub fn without_newcomers<'a>(want: &ValidCluster, pool: &'a PoolView) -> Cow<'a, PoolView> {
    let lone = membership(want, pool).lone;
    if lone.is_empty() {
        return Cow::Borrowed(pool);
    }
    let mut joined = pool.clone();
    joined.hosts.retain(|name, _| !lone.contains(&name));
    Cow::Owned(joined)
}

/// Whether the pool is ours already, so that work on its volumes need not wait for hosts that are to join it.
pub(super) fn is_ours(want: &ValidCluster, pool: &PoolView) -> bool {
    let facts = coordinator(want, pool).and_then(|host| pool.facts(host));
    facts.is_some_and(|facts| facts.owner.as_deref() == Some(want.owner.as_str()))
}

/// Why no write may be sent now though hosts answer: a silent host that the coordinator still believes to be connected
/// makes every locking command hang for 120 s.
///
/// Not where glusterd has a ping-timeout: it sends pings only while something is asked of a peer, so that without a command a glusterd that
/// hangs is never noticed, and a host that fell silent after 26 s. The first command is refused after some seconds more than the ping-timeout
/// (14.6 s with 10, measured), and from then on the pool goes on without the host.
pub fn held_back(want: &ValidCluster, pool: &PoolView) -> Option<String> {
    let coordinator = coordinator(want, pool)?;
    let facts = pool.facts(coordinator)?;
    let answered: BTreeSet<&Uuid> = pool
        .answered()
        .filter_map(|(_, facts)| facts.state.uuid.as_ref())
        .collect();
    let in_time = |seconds: u32| (1..=NOTICED_IN_TIME).contains(&seconds);
    if facts.ping_in_force == Some(true) && facts.ping_timeout.is_some_and(in_time) {
        return None;
    }
    for (name, why, _) in pool.silent() {
        let node = want.nodes.iter().find(|node| node.name == *name);
        let names = [
            name.as_str(),
            node.map_or(name.as_str(), |node| node.address.as_str()),
        ];
        let named = |peer: &&Peer| names.iter().any(|name| peer.is_named(name));
        let peers = &facts.state.peers;
        // gluster may know it by a name that we do not: then it may be any connected peer that gave no answer
        let peer = peers.iter().find(named).or_else(|| {
            peers
                .iter()
                .find(|peer| peer.connected && !answered.contains(&peer.uuid))
        });
        if peer.is_some_and(|peer| peer.connected) {
            let timeout = match facts.ping_timeout {
                Some(0) => "; glusterd's ping-timeout is 0, so that a command which waits for it does for 120 s: set `option ping-timeout 10` in /etc/glusterfs/glusterd.vol on every host and restart glusterd".to_owned(),
                Some(seconds) if in_time(seconds) => format!("; {coordinator}'s glusterd was not restarted since ping-timeout {seconds} was written into its glusterd.vol: restart it"),
                Some(seconds) => format!("; its ping-timeout is {seconds} s: set 10 in /etc/glusterfs/glusterd.vol on every host and restart glusterd"),
                None => String::new(),
            };
            return Some(format!(
                "{name} does not answer ({why}), but {coordinator} still believes it to be connected, and commands would hang for 120 s{timeout}"
            ));
        }
    }
    None
}

/// Plans for the pool.
pub fn plan(want: &ValidCluster, pool: &PoolView) -> Plan {
    let mut findings = vec![devices(want, pool)];
    let mut not_ready = |reason: Reason, message: String, peers: Option<Finding>| {
        let mut findings = std::mem::take(&mut findings);
        findings.push(peers.unwrap_or_else(|| connected(want, pool, &[])));
        findings.push(Finding::no(ConditionType::Ready, reason, message.clone()));
        findings.push(Finding::no(ConditionType::InSync, reason, message));
        Plan {
            steps: Vec::new(),
            findings,
            recheck: Some(RETRY),
        }
    };

    if let Some((a, b, uuid)) = same_host(pool) {
        let message = format!(
            "{a} and {b} are the same host (uuid {uuid}); take one of them out of spec.nodes"
        );
        return not_ready(
            Reason::IdentityConflict,
            message.clone(),
            Some(Finding::no(
                ConditionType::PeersConnected,
                Reason::IdentityConflict,
                message,
            )),
        );
    }
    if let Err((host, id)) = ownership(want, pool) {
        let message = format!(
            "{host} says that its pool is managed by {id}; nothing is changed. If that owner is gone, or shall hand it over, set spec.takeOver to {id:?}"
        );
        return not_ready(Reason::ManagedElsewhere, message, None);
    }
    let membership = membership(want, pool);
    if let Some((_, why)) = membership.others.first() {
        let all = membership
            .others
            .iter()
            .map(|(_, why)| why.as_str())
            .collect::<Vec<_>>()
            .join("; ");
        let peers = Finding::no(ConditionType::PeersConnected, Reason::OtherPool, all);
        return not_ready(Reason::OtherPool, why.clone(), Some(peers));
    }
    let claimed = pool
        .answered()
        .any(|(_, facts)| facts.owner.as_deref() == Some(want.owner.as_str()));
    if let (false, Some((name, why, kind))) = (claimed, pool.silent().next()) {
        let message = format!(
            "{why}; the pool is set up once every host of spec.nodes has answered, so that {name} can't turn out to be somebody else's"
        );
        return not_ready(silence_reason(kind), message, None);
    }
    // a host that has no peers, while others are silent, may have been left by its pool: that one may be theirs
    let alone = membership
        .members
        .values()
        .all(|facts| facts.state.peers.is_empty());
    if let (true, false, Some((name, why, kind))) =
        (alone, membership.members.is_empty(), pool.silent().next())
    {
        let message = format!(
            "{why}; the hosts that answer have no peers, and the pool may be where {name} is"
        );
        return not_ready(silence_reason(kind), message, None);
    }
    let Some(coordinator) = coordinator(want, pool) else {
        let (reason, message) = match pool.silent().next() {
            Some((_, why, kind)) if membership.members.is_empty() => {
                (silence_reason(kind), why.to_owned())
            }
            _ => (
                Reason::PeersDisconnected,
                "no host that answers sees a majority of the pool".to_owned(),
            ),
        };
        return not_ready(reason, message, None);
    };
    let steps = steps(want, pool, &membership, coordinator);
    let peers = connected(want, pool, &membership.lone);
    if let Some(why) = held_back(want, pool) {
        findings.push(peers);
        findings.push(Finding::no(
            ConditionType::Ready,
            Reason::HostUnreachable,
            why.clone(),
        ));
        findings.push(Finding::no(
            ConditionType::InSync,
            Reason::HostUnreachable,
            why,
        ));
        return Plan {
            steps: Vec::new(),
            findings,
            recheck: Some(Duration::from_secs(5)),
        };
    }
    findings.push(peers);
    findings.push(Finding::yes(
        ConditionType::Ready,
        format!("writes run on {coordinator}"),
    ));
    findings.push(if steps.is_empty() {
        Finding::yes(ConditionType::InSync, "the pool is as declared")
    } else {
        let list = steps
            .iter()
            .map(Step::describe)
            .collect::<Vec<_>>()
            .join(", ");
        Finding::no(ConditionType::InSync, Reason::Working, list)
    });
    Plan {
        steps,
        findings,
        recheck: None,
    }
}

fn steps(
    want: &ValidCluster,
    pool: &PoolView,
    membership: &Membership<'_>,
    coordinator: &HostName,
) -> Vec<Step> {
    let mut steps = Vec::new();
    // a host is claimed once it is a member: our file on a host outside would make that host look like our pool
    for (host, facts) in &membership.members {
        if facts.owner.as_deref() != Some(want.owner.as_str()) {
            steps.push(Step::ClaimHost {
                host: (*host).clone(),
                owner: want.owner.clone(),
                replace: want.take_over.clone().filter(|_| facts.owner.is_some()),
            });
        }
    }
    let Some(facts) = pool.facts(coordinator) else {
        return steps;
    };
    for host in &membership.lone {
        steps.push(Step::ProbePeer {
            host: (*host).clone(),
        });
    }
    for (host, other) in &membership.members {
        let peer = facts
            .state
            .peers
            .iter()
            .find(|peer| Some(&peer.uuid) == other.state.uuid.as_ref());
        let known = peer.is_some_and(|peer| peer.is_named(host.as_str()));
        // gluster knows it under another name only: a probe by this one adds it, and brick names resolve
        if *host != coordinator && peer.is_some() && !known {
            steps.push(Step::ProbePeer {
                host: (*host).clone(),
            });
        }
    }
    let missing: BTreeMap<_, _> = want
        .options
        .iter()
        .filter(|(key, value)| {
            facts
                .state
                .global_options
                .get(key.as_str())
                .map(String::as_str)
                != Some(value.as_str())
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !missing.is_empty() {
        steps.push(Step::SetPoolOptions(missing));
    }
    steps
}

fn same_host(pool: &PoolView) -> Option<(HostName, HostName, Uuid)> {
    let mut seen: BTreeMap<&Uuid, &HostName> = BTreeMap::new();
    for (name, facts) in pool.answered() {
        if let Some(uuid) = &facts.state.uuid
            && let Some(other) = seen.insert(uuid, name)
        {
            return Some((other.clone(), name.clone(), uuid.clone()));
        }
    }
    None
}

fn connected(want: &ValidCluster, pool: &PoolView, lone: &[&HostName]) -> Finding {
    let mut problems = Vec::new();
    let mut reason = None;
    for (_, why, kind) in pool.silent() {
        reason.get_or_insert(silence_reason(kind));
        problems.push(why.to_owned());
    }
    for host in lone {
        reason.get_or_insert(Reason::PeersDisconnected);
        problems.push(format!("{host} is not a peer yet"));
    }
    for (name, facts) in pool.answered() {
        for peer in &facts.state.peers {
            if let Some((why, text)) = peer_problem(name, peer) {
                reason.get_or_insert(why);
                problems.push(text);
            }
        }
    }
    match reason {
        None => Finding::yes(
            ConditionType::PeersConnected,
            format!("all {} hosts answer and see each other", want.nodes.len()),
        ),
        Some(reason) => Finding::no(
            ConditionType::PeersConnected,
            reason,
            format!(
                "{}; tried again every {} s",
                problems.join("; "),
                RETRY.as_secs()
            ),
        ),
    }
}

/// What is wrong between a host and a peer of it.
fn peer_problem(name: &HostName, peer: &Peer) -> Option<(Reason, String)> {
    let other = &peer.hostname;
    // told first: a peer that is rejected is connected, and takes part in nothing
    if peer.state == "Peer Rejected" {
        return Some((
            Reason::PeerRejected,
            format!(
                "{name} rejects {other} (state Peer Rejected), since what the two know of a volume differs: on the one of them that alone differs from all other hosts, stop glusterd, `mv /var/lib/glusterd/vols /var/lib/glusterd/vols.rejected && mkdir /var/lib/glusterd/vols`, and start it: it fetches the volumes from the others, and bricks keep their data. A brick there without a port in `gluster volume status` has to be ended, and is started again by the operator"
            ),
        ));
    }
    if !peer.connected {
        return Some((
            Reason::PeersDisconnected,
            format!("{name} has no connection to {other}"),
        ));
    }
    (peer.state != "Peer in Cluster").then(|| {
        (
            Reason::PeersDisconnected,
            format!(
                "{name} has not taken {other} into the pool yet (state {})",
                peer.state
            ),
        )
    })
}

fn devices(want: &ValidCluster, pool: &PoolView) -> Finding {
    let (mut problems, mut full, mut unknown, mut count) = (vec![], vec![], vec![], 0);
    for node in &want.nodes {
        for device in &node.devices {
            count += 1;
            match pool.facts(&node.name) {
                None => unknown.push(node.name.as_str()),
                Some(facts) => {
                    if let Err(why) = device_ready(facts.devices.get(device), device) {
                        problems.push(format!("{}: {device} {why}", node.name));
                    } else if facts.devices.get(device).is_some_and(device_full) {
                        full.push(format!("{}: {device}", node.name));
                    }
                }
            }
        }
    }
    if !problems.is_empty() {
        Finding::no(
            ConditionType::DevicesReady,
            Reason::DeviceNotReady,
            problems.join("; "),
        )
    } else if !full.is_empty() {
        Finding::no(
            ConditionType::DevicesReady,
            Reason::DeviceFull,
            format!(
                "no more than 1 % is free, and GlusterFS answers writes with ENOSPC: {}; make room there (files of volumes by a mount only)",
                full.join("; ")
            ),
        )
    } else if !unknown.is_empty() {
        unknown.dedup();
        Finding::unknown(
            ConditionType::DevicesReady,
            Reason::HostUnreachable,
            format!("{} did not answer", unknown.join(", ")),
        )
    } else {
        Finding::yes(
            ConditionType::DevicesReady,
            format!("{count} devices are mounted"),
        )
    }
}
