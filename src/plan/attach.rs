//! Which node may reach the data of a one-writer volume.
//!
//! GlusterFS itself does not keep two databases apart once a client was silent for 42 s (measured, with loss of
//! data). So `auth.allow` of such a volume names the addresses of exactly one node, and changes hands in this order:
//! shut the old node out, read that back, see that its clients are gone on every brick that answers, let the new one in.
//! Where one of these can't be done, the new node waits: waiting is the safe failure.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::gluster::model::{BrickClients, Peer, PoolView, Volume};
use crate::gluster::names::{
    ALLOW_NOBODY as NOBODY, ALLOW_OPTION as ALLOW, HostName, OptionKey, OptionValue, Uuid,
    VolumeName,
};

use super::Plan;
use super::step::Step;
use super::validate::ValidCluster;
use super::volume::Situation;

/// A pod that has the claim of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodUse {
    /// `namespace/name`.
    pub pod: String,
    /// The node that it was bound to.
    pub node: String,
    /// It has ended (Succeeded or Failed): its containers do not run any more.
    pub finished: bool,
    /// It is being deleted.
    pub deleting: bool,
}

/// A Kubernetes node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its IPv4 addresses, as the storage hosts see them.
    pub addresses: BTreeSet<String>,
    /// Ready, as Kubernetes has it.
    pub ready: bool,
    /// It carries the taint `node.kubernetes.io/out-of-service`.
    pub out_of_service: bool,
}

/// What Kubernetes says about the use of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Pods with the claim, bound to a node.
    pub pods: Vec<PodUse>,
    /// All nodes.
    pub nodes: BTreeMap<String, NodeFacts>,
    /// Addresses that names of storage hosts stand for. What the hosts say themselves is in the picture of the pool.
    pub storage: BTreeMap<String, BTreeSet<String>>,
    /// The claim of the volume where it is bound, as `namespace/name`: a pod may mount it at any time.
    pub claim: Option<String>,
}

/// A storage host as bricks see it. Its daemons are clients of every brick, and so the address alone tells nothing of mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageHost {
    /// Its name.
    pub name: String,
    /// From these it may be connected to bricks.
    pub addresses: BTreeSet<String>,
    /// Whether its own addresses are among them: they are not when it never told them.
    pub told: bool,
    /// Whether the cluster lists it. One that it does not is a peer all the same, and is asked nothing.
    pub listed: bool,
    /// Where it has the volume mounted; `None`: that is not known.
    pub mounts: Option<Vec<String>>,
}

impl StorageHost {
    /// Whether that client of a brick comes from this host. From a loopback address comes who is on the brick's own host: its name may
    /// stand for one there (Debian writes `127.0.1.1 NAME` into /etc/hosts).
    pub(super) fn is_client(&self, brick: &BrickClients, address: &str) -> bool {
        let is_loopback = address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
        self.addresses.contains(address) || (is_loopback && self.addresses.contains(&brick.host))
    }

    /// Whether a Kubernetes node is this host, as far as that can be told. One whose own addresses are not known may be known to
    /// Kubernetes by one of these: then its name has to do.
    fn may_be(&self, node: &str, addresses: &[&str]) -> bool {
        addresses
            .iter()
            .any(|address| self.addresses.contains(*address))
            || (!self.told && self.name.eq_ignore_ascii_case(node))
    }
}

/// The storage hosts: those of the cluster, and other peers of the pool, whose daemons are clients of each brick as well: hosts that left
/// the cluster and have bricks, and those that never were in it. Where a volume is mounted on them is not said here.
fn hosts(cluster: &ValidCluster, pool: &PoolView, wish: &Wish) -> Vec<StorageHost> {
    let host = |names: Vec<String>, listed: bool| {
        let told = names.iter().filter_map(|name| {
            let name: HostName = name.parse().ok()?;
            pool.addresses.get(&name)
        });
        let told: Vec<&BTreeSet<String>> = told.collect();
        let resolved = names.iter().filter_map(|name| wish.storage.get(name));
        let more = told.iter().copied().chain(resolved).flatten().cloned();
        StorageHost {
            name: names.first().cloned().unwrap_or_default(),
            told: !told.is_empty(),
            addresses: more.chain(names.iter().cloned()).collect(),
            listed,
            mounts: None,
        }
    };
    let listed = cluster.nodes.iter();
    let listed =
        listed.map(|node| host(vec![node.name.to_string(), node.address.to_string()], true));
    let others = unlisted(cluster, pool).into_iter();
    listed
        .chain(others.map(|names| host(names, false)))
        .collect()
}

/// The names of each peer that is not in the cluster, that by which it was probed first.
pub fn unlisted(cluster: &ValidCluster, pool: &PoolView) -> Vec<Vec<String>> {
    let is_listed = |peer: &Peer| {
        let has_name = |name: &str| peer.is_named(name);
        let mut nodes = cluster.nodes.iter();
        nodes.any(|node| {
            let uuid = pool
                .facts(&node.name)
                .and_then(|facts| facts.state.uuid.as_ref());
            uuid == Some(&peer.uuid)
                || has_name(node.name.as_str())
                || has_name(node.address.as_str())
        })
    };
    let peers = pool.answered().flat_map(|(_, facts)| &facts.state.peers);
    let mut found: BTreeMap<&Uuid, Vec<String>> = BTreeMap::new();
    for peer in peers.filter(|peer| !is_listed(peer)) {
        let names = found.entry(&peer.uuid).or_default();
        for name in std::iter::once(&peer.hostname).chain(&peer.other_names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    found.into_values().collect()
}

/// The storage hosts, and where each has the volume mounted.
pub(super) fn storage(situation: Situation<'_>) -> Vec<StorageHost> {
    let Situation {
        cluster,
        pool,
        view,
        wish,
        ..
    } = situation;
    let mounts = |name: &str| {
        view.mounts
            .get(&name.parse::<HostName>().ok()?)?
            .clone()
            .ok()
    };
    let hosts = hosts(cluster, pool, wish).into_iter();
    let with_mounts = hosts.map(|host| StorageHost {
        mounts: mounts(&host.name).filter(|_| host.listed),
        ..host
    });
    with_mounts.collect()
}

/// Who is admitted now, by what gluster says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// That node.
    Node(String),
    /// An address that belongs to no node: of one that left the cluster, or set by hand.
    Stranger(String),
}

/// Reads the holder off the volume's options. An absent option means that everybody is admitted: a stranger. Where several nodes have these
/// addresses (a machine that was registered again under another name) it is the one whose pod runs.
pub fn holder(volume: &Volume, wish: &Wish) -> Holder {
    let value = volume.options.get(ALLOW).map_or("*", String::as_str);
    if value == NOBODY {
        return Holder::Nobody;
    }
    let listed: BTreeSet<&str> = value.split(',').collect();
    let has_them = |(_, node): &(&String, &NodeFacts)| {
        let mut listed = listed.iter();
        !node.addresses.is_empty() && listed.all(|address| node.addresses.contains(*address))
    };
    let found = wish.nodes.iter().filter(has_them);
    // of equal ones the first by name
    let found = found.min_by_key(|(name, _)| !wish.runs_on(name));
    found.map_or_else(
        || Holder::Stranger(value.into()),
        |(name, _)| Holder::Node(name.clone()),
    )
}

impl Wish {
    /// Pods on that node that may still write: neither finished, nor being deleted on a node that is gone, not ready or
    /// out of service.
    fn holding(&self, node: &str) -> Vec<&PodUse> {
        let lost = self
            .nodes
            .get(node)
            .is_none_or(|facts| !facts.ready || facts.out_of_service);
        self.pods
            .iter()
            .filter(|pod| pod.node == node && !pod.finished && !(pod.deleting && lost))
            .collect()
    }

    /// Whether a pod is to run on that node.
    fn runs_on(&self, node: &str) -> bool {
        let mut pods = self.pods.iter();
        pods.any(|pod| pod.node == node && !pod.finished && !pod.deleting)
    }

    /// Gives nodes that are storage hosts the address by which the pool knows them: with a network for storage bricks see them under it.
    /// A node of which this is not known has the addresses that Kubernetes names.
    pub fn place_storage(&mut self, cluster: &ValidCluster, pool: &PoolView) {
        for host in &cluster.nodes {
            // what it has now: another machine may have got what it had before
            let now = pool.facts(&host.name).map(|facts| &facts.addresses);
            let now = now.filter(|now| !now.is_empty());
            let Some(told) = now.or_else(|| pool.addresses.get(&host.name)) else {
                continue;
            };
            let address = host.address.to_string();
            let resolved = self.storage.get(&address).cloned().unwrap_or_default();
            let known = std::iter::once(address).chain(resolved);
            let known: Vec<String> = known
                .filter(|address| told.contains(address) && address.parse::<Ipv4Addr>().is_ok())
                .collect();
            for node in self.nodes.values_mut() {
                if !node.addresses.is_disjoint(told) {
                    node.addresses.extend(known.iter().cloned());
                }
            }
        }
    }

    /// The IPv4 addresses of a node; none of one that Kubernetes does not know.
    fn addresses(&self, node: &str) -> Vec<&str> {
        let facts = self.nodes.get(node).into_iter();
        facts
            .flat_map(|facts| facts.addresses.iter().map(String::as_str))
            .collect()
    }

    /// The node that wants the volume: that of a pod which is to run. The first by name where there are several.
    fn wanted(&self) -> Option<&str> {
        self.pods
            .iter()
            .filter(|pod| !pod.finished && !pod.deleting)
            .map(|pod| pod.node.as_str())
            .min()
    }
}

/// Whether it matters who has the volume mounted: nobody is admitted and somebody shall be; or a storage host is to be shut out, which has
/// to say so itself.
pub fn asks_for_mounts(
    volume: &Volume,
    cluster: &ValidCluster,
    pool: &PoolView,
    wish: &Wish,
) -> bool {
    let stores = |holder: &str, addresses: Vec<&str>| {
        let hosts = hosts(cluster, pool, wish);
        hosts.iter().any(|host| host.may_be(holder, &addresses))
    };
    wish.wanted().is_some()
        && match holder(volume, wish) {
            Holder::Nobody => true,
            Holder::Node(node) => {
                wish.holding(&node).is_empty() && stores(&node, wish.addresses(&node))
            }
            Holder::Stranger(addresses) => stores(&addresses, addresses.split(',').collect()),
        }
}

/// What to do so that the right node has the volume. `clients` are the connections of each brick, and `storage` tells which of them may
/// be those of daemons; they matter only while nobody is admitted.
pub fn plan(
    name: &VolumeName,
    volume: &Volume,
    wish: &Wish,
    clients: Option<&[BrickClients]>,
    storage: &[StorageHost],
) -> Plan {
    let holder = holder(volume, wish);
    let current = match &holder {
        Holder::Node(node) => Some(node.as_str()),
        Holder::Nobody | Holder::Stranger(_) => None,
    };
    // whoever holds it keeps it as long as a pod of its own wants it
    if let Some(node) = current
        && (wish
            .pods
            .iter()
            .any(|pod| pod.node == node && !pod.finished && !pod.deleting)
            || wish.wanted().is_none())
    {
        let stays = refresh(name, volume, wish, node);
        return if stays.steps.is_empty() {
            kept_out(wish, node).unwrap_or(stays)
        } else {
            stays
        };
    }
    let Some(next) = wish.wanted() else {
        return match holder {
            // nobody wants it, and a stranger could write
            Holder::Stranger(address) => fence(name, &address),
            Holder::Nobody | Holder::Node(_) => Plan::default(),
        };
    };
    match holder {
        Holder::Node(node) => {
            let holding = wish.holding(&node);
            if holding.is_empty() {
                let facts = wish.nodes.get(&node);
                let is_off = facts.is_some_and(|facts| facts.out_of_service);
                let addresses = wish.addresses(&node);
                return match not_to_be_shut_out(&node, &addresses, is_off, storage) {
                    Some(why) => waiting(format!("node {next} waits for the volume: {why}")),
                    None => fence(name, &node),
                };
            }
            let pods = holding
                .iter()
                .map(|pod| pod.pod.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            waiting(format!(
                "node {next} waits for the volume: {pods} on node {node} may still write to it; it is admitted when that pod is gone, or \
                 is being deleted while {node} is not ready or carries node.kubernetes.io/out-of-service"
            ))
        }
        Holder::Stranger(address) => {
            // it may be the address of a node that Kubernetes has forgotten, with a pod that runs on
            let lost = wish
                .pods
                .iter()
                .find(|pod| !pod.finished && !pod.deleting && !wish.nodes.contains_key(&pod.node));
            if let Some(pod) = lost {
                return waiting(format!(
                    "node {next} waits for the volume: Kubernetes does not know node {} of {}, which may still write to it; {address} is \
                     shut out when that pod is gone or being deleted",
                    pod.node, pod.pod
                ));
            }
            let addresses: Vec<&str> = address.split(',').collect();
            match not_to_be_shut_out(&address, &addresses, false, storage) {
                Some(why) => waiting(format!(
                    "node {next} waits for the volume: {why}. Where Kubernetes has no such node any more, `gluster volume set {name} {ALLOW} {NOBODY}` does the same \
                     once it is switched off"
                )),
                None => fence(name, &address),
            }
        }
        Holder::Nobody => {
            let connected = |clients| still_connected(volume, wish, next, clients, storage);
            let obstacle = match clients.map(connected) {
                _ if let Some(why) = mounted_elsewhere(wish, next, storage) => Some(why),
                None => Some(
                    "which clients its bricks still have could not be found out for enough bricks"
                        .to_owned(),
                ),
                Some(None) => None,
                Some(Some(who)) => Some(format!(
                    "{who} is shut out, but a brick still has its connection"
                )),
            };
            admit(name, wish, next, obstacle)
        }
    }
}

/// Who waits while the holder keeps the volume. Nothing can be done about it, and a pod that hangs there wants to be explained.
fn kept_out(wish: &Wish, holder: &str) -> Option<Plan> {
    let running = |pod: &&PodUse| !pod.finished && !pod.deleting;
    let next = wish
        .pods
        .iter()
        .filter(running)
        .find(|pod| pod.node != holder)?;
    let keeps = wish
        .pods
        .iter()
        .filter(running)
        .find(|pod| pod.node == holder)?;
    let message = format!(
        "node {} waits for the volume with {}: {} on node {holder} has it, and keeps it until it is deleted, also while {holder} is \
         not ready",
        next.node, next.pod, keeps.pod
    );
    let finding = Finding::no(ConditionType::Progressing, Reason::WaitingForFence, message);
    // it may last, and need not be looked at again by itself: pods and nodes that change are told at once
    Some(Plan {
        findings: vec![finding],
        ..Plan::default()
    })
}

fn fence(name: &VolumeName, node: &str) -> Plan {
    Plan {
        steps: vec![Step::Fence {
            volume: name.clone(),
            node: node.into(),
        }],
        ..Plan::default()
    }
}

/// The new node waits, and the old one stays out.
pub fn waiting(message: String) -> Plan {
    Plan::wait(
        Finding::no(ConditionType::Progressing, Reason::WaitingForFence, message),
        Duration::from_secs(2),
    )
}

fn addresses_of(node: &NodeFacts) -> Option<OptionValue> {
    node.addresses
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(",")
        .parse()
        .ok()
}

/// Why a fence would not keep the holder out: GlusterFS gives its own hosts a volfile with a password, which `auth.allow` does not concern
/// (tried on 10.3: a mount on a storage host went on after it). So of such a node it has to be known that nothing is mounted there, or that
/// it is switched off.
fn not_to_be_shut_out(
    holder: &str,
    addresses: &[&str],
    is_off: bool,
    storage: &[StorageHost],
) -> Option<String> {
    let mut hosts = storage.iter();
    let host = hosts.find(|host| host.may_be(holder, addresses))?;
    let why = "GlusterFS lets its own hosts in whatever auth.allow says";
    match &host.mounts {
        Some(mounts) if mounts.is_empty() => None,
        Some(mounts) => Some(format!(
            "{holder} is the storage host {}, which has it mounted at {}, and {why}: unmount it there",
            host.name,
            mounts.join(", ")
        )),
        None if is_off => None,
        None if !host.listed => Some(format!(
            "{holder} is the peer {}, which spec.nodes of the cluster does not list and which is not asked whether it has it mounted, and {why}: list it, or give the node \
             node.kubernetes.io/out-of-service once it is switched off",
            host.name
        )),
        None => Some(format!(
            "{holder} is the storage host {}, which does not say whether it has it mounted, and {why}: it is gone on with when that host answers, or when \
             the node carries node.kubernetes.io/out-of-service",
            host.name
        )),
    }
}

/// A storage host other than the node that shall have the volume says itself that it has it mounted. Its connections may be fewer than they
/// are at other times, while its daemons are started again.
fn mounted_elsewhere(wish: &Wish, next: &str, storage: &[StorageHost]) -> Option<String> {
    let addresses = wish.addresses(next);
    let mut others = storage.iter().filter(|host| !host.may_be(next, &addresses));
    others.find_map(|host| {
        let mounts = host.mounts.as_ref().filter(|mounts| !mounts.is_empty())?;
        Some(format!(
            "the storage host {} has it mounted at {}, and GlusterFS lets its own hosts in whatever auth.allow says: unmount it there",
            host.name,
            mounts.join(", ")
        ))
    })
}

/// Whoever is connected to a brick and is neither the node that shall have the volume nor a daemon. Of a storage host that may have the
/// volume mounted more connections than it has daemons are counted as a mount: a brick can't tell them apart.
fn still_connected(
    volume: &Volume,
    wish: &Wish,
    next: &str,
    clients: &[BrickClients],
    storage: &[StorageHost],
) -> Option<String> {
    let own = wish.nodes.get(next).map(|node| &node.addresses);
    let is_next = |address: &str| own.is_some_and(|own| own.contains(address));
    clients.iter().find_map(|brick| {
        let mut connections = brick.clients.iter().flatten();
        connections.find_map(|address| {
            if is_next(address) {
                return None;
            }
            let mut hosts = storage.iter();
            let Some(host) = hosts.find(|host| host.is_client(brick, address)) else {
                return Some(address.clone());
            };
            let without_mount = host.mounts.as_ref().is_some_and(Vec::is_empty);
            if without_mount || host.addresses.iter().any(|address| is_next(address)) {
                return None;
            }
            let of_host = |address: &&String| host.is_client(brick, address);
            let count = brick.clients.iter().flatten().filter(of_host).count();
            (count > volume.daemons()).then(|| format!("{} ({address})", host.name))
        })
    })
}

/// Lets the node in, unless there is an obstacle.
fn admit(name: &VolumeName, wish: &Wish, next: &str, obstacle: Option<String>) -> Plan {
    let Some(addresses) = wish.nodes.get(next).and_then(addresses_of) else {
        return waiting(format!(
            "node {next} waits for the volume: Kubernetes names no IPv4 address (InternalIP) of it"
        ));
    };
    if let Some(why) = obstacle {
        return waiting(format!("node {next} waits for the volume: {why}"));
    }
    Plan {
        steps: vec![Step::Admit {
            volume: name.clone(),
            node: next.into(),
            addresses,
        }],
        ..Plan::default()
    }
}

/// The holder stays; when its addresses have changed, they are written anew (it is the same node).
fn refresh(name: &VolumeName, volume: &Volume, wish: &Wish, node: &str) -> Plan {
    let now = wish.nodes.get(node).and_then(addresses_of);
    match now {
        Some(addresses)
            if volume.options.get(ALLOW).map(String::as_str) != Some(addresses.as_str()) =>
        {
            Plan {
                steps: vec![Step::Admit {
                    volume: name.clone(),
                    node: node.into(),
                    addresses,
                }],
                ..Plan::default()
            }
        }
        _ => Plan::default(),
    }
}

/// `auth.allow` is ours alone on a one-writer volume.
pub fn key() -> Option<OptionKey> {
    ALLOW.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gluster::model::{HostFacts, HostView};

    fn node(address: &str, ready: bool) -> NodeFacts {
        NodeFacts {
            addresses: [address.to_owned()].into(),
            ready,
            out_of_service: false,
        }
    }

    fn pod(node: &str, deleting: bool) -> PodUse {
        PodUse {
            pod: format!("default/mysql-on-{node}"),
            node: node.into(),
            finished: false,
            deleting,
        }
    }

    fn wish(a_ready: bool, pods: &[PodUse]) -> Wish {
        let nodes = [
            ("a".to_owned(), node("10.0.0.1", a_ready)),
            ("b".to_owned(), node("10.0.0.2", true)),
        ];
        Wish {
            pods: pods.to_vec(),
            nodes: nodes.into(),
            storage: BTreeMap::new(),
            claim: None,
        }
    }

    /// With a storage host that is no node and has not mounted it.
    fn decide(allow: &str, wish: &Wish, clients: Option<&[&str]>) -> String {
        decide_with(allow, wish, clients, &[storage_host("10.0.9.1", Some(&[]))])
    }

    fn storage_host(address: &str, mounts: Option<&[&str]>) -> StorageHost {
        StorageHost {
            name: "n1".to_owned(),
            addresses: ["n1".to_owned(), address.to_owned()].into(),
            told: true,
            listed: true,
            mounts: mounts.map(|list| list.iter().map(|&at| at.to_owned()).collect()),
        }
    }

    fn decide_with(
        allow: &str,
        wish: &Wish,
        clients: Option<&[&str]>,
        storage: &[StorageHost],
    ) -> String {
        let mut volume = Volume {
            replica_count: 3,
            ..Volume::default()
        };
        volume.options.insert(ALLOW.into(), allow.into());
        let clients = clients.map(|list| {
            vec![BrickClients {
                host: "n1".into(),
                path: "/b".into(),
                clients: Some(list.iter().map(|c| (*c).to_owned()).collect()),
            }]
        });
        let name = "v".parse().unwrap();
        let plan = plan(&name, &volume, wish, clients.as_deref(), storage);
        match plan.steps.as_slice() {
            [Step::Fence { node, .. }] => format!("fence {node}"),
            [
                Step::Admit {
                    node, addresses, ..
                },
            ] => format!("admit {node} {addresses}"),
            [] if plan.findings.is_empty() => "nothing".into(),
            [] => format!("wait: {}", plan.findings[0].message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_node_that_stores_is_told_from_its_daemons() {
        let wanted = wish(false, &[pod("a", true), pod("b", false)]);
        // the storage host is node a, which had the volume: one connection is that of its self-heal daemon
        let decide = |connections: &[&str], mounts| {
            let storage = [storage_host("10.0.0.1", mounts)];
            decide_with(NOBODY, &wanted, Some(connections), &storage)
        };
        assert_eq!(decide(&["10.0.0.1"], None), "admit b 10.0.0.2");
        let waits = decide(&["10.0.0.1", "10.0.0.1"], None);
        assert!(waits.contains("n1 (10.0.0.1) is shut out"), "{waits}");
        // by its own word nothing is mounted there
        let both = ["10.0.0.1", "10.0.0.1"];
        assert_eq!(decide(&both, Some(&[])), "admit b 10.0.0.2");
        // by its own word it has it mounted, whatever connections there are while its daemons are started again
        let waits = decide(&["10.0.0.1"], Some(&["/mnt/x"]));
        assert!(waits.contains("n1 has it mounted at /mnt/x"), "{waits}");
        assert!(decide(&[], Some(&["/mnt/x"])).starts_with("wait"));
        // a name that stands for a loopback address on its own host
        assert_eq!(decide(&["127.0.0.1"], None), "admit b 10.0.0.2");
        assert!(decide(&["127.0.0.1", "10.0.0.1"], None).starts_with("wait"));
        assert!(
            decide_with(NOBODY, &wanted, Some(&["127.0.0.1"]), &[]).starts_with("wait"),
            "a brick on a host that we do not know"
        );
        // what is left on the node that gets it is no danger
        let storage = [storage_host("10.0.0.2", None)];
        let both = ["10.0.0.2", "10.0.0.2"];
        assert_eq!(
            decide_with(NOBODY, &wanted, Some(&both), &storage),
            "admit b 10.0.0.2"
        );
        let storage = [storage_host("10.0.0.2", Some(&["/mnt"]))];
        assert_eq!(
            decide_with(NOBODY, &wanted, Some(&both), &storage),
            "admit b 10.0.0.2"
        );
    }

    /// With a network for storage bricks see a node that stores under the pool's address of it.
    #[test]
    fn a_node_that_stores_is_let_in_by_both_of_its_addresses() {
        let spec = serde_json::json!({
            "access": {"ssh": {"secretRef": {"name": "s"}}},
            "nodes": [{"name": "n1", "address": "10.9.0.1"}, {"name": "n2", "address": "store.example"}],
        });
        let spec = serde_json::from_value(spec).unwrap();
        let uid = "00000000-0000-0000-0000-000000000001";
        let cluster = crate::plan::validate::cluster("prod", uid, uid, &spec).unwrap();
        let told = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
        let addresses = [
            (
                "n1".parse().unwrap(),
                told(&["10.9.0.1", "10.0.0.1", "172.17.0.1"]),
            ),
            ("n2".parse().unwrap(), told(&["10.9.0.2", "172.17.0.1"])),
        ];
        let pool = PoolView {
            addresses: addresses.into(),
            ..PoolView::default()
        };
        let mut wish = wish(true, &[pod("a", false)]);
        wish.storage = [("store.example".to_owned(), told(&["10.9.0.2"]))].into();
        wish.place_storage(&cluster, &pool);
        let both = told(&["10.0.0.1", "10.9.0.1"]);
        assert_eq!(wish.nodes["a"].addresses, both);
        assert_eq!(wish.nodes["b"].addresses, told(&["10.0.0.2"]));
        assert_eq!(
            decide(NOBODY, &wish, Some(&[])),
            "admit a 10.0.0.1,10.9.0.1"
        );
        // what was let in by one of them is the same node
        assert!(decide("10.0.0.1", &wish, None).starts_with("admit a"));
        // an address that another machine has by now
        let mut moved = pool;
        let facts = HostFacts {
            addresses: told(&["10.9.0.1"]),
            ..HostFacts::default()
        };
        let answered = HostView::Answered(Box::new(facts));
        moved.hosts.insert("n1".parse().unwrap(), answered);
        let mut other = self::wish(true, &[pod("a", false)]);
        other.place_storage(&cluster, &moved);
        assert_eq!(other.nodes["a"].addresses, told(&["10.0.0.1"]));
    }

    /// A machine that was registered again under another name.
    #[test]
    fn of_two_nodes_with_one_address_the_one_whose_pod_runs_has_it() {
        let mut wanted = wish(true, &[pod("a", true), pod("c", false)]);
        wanted.nodes.insert("c".to_owned(), node("10.0.0.1", true));
        wanted.nodes.get_mut("a").unwrap().ready = false;
        assert_eq!(decide("10.0.0.1", &wanted, None), "nothing");
        let volume = Volume {
            options: [(ALLOW.to_owned(), "10.0.0.1".to_owned())].into(),
            ..Volume::default()
        };
        assert_eq!(holder(&volume, &wanted), Holder::Node("c".to_owned()));
    }

    /// A fence does not concern storage hosts.
    #[test]
    fn a_node_that_stores_gives_the_volume_up_only_when_nothing_is_mounted_there() {
        let mut wanted = wish(false, &[pod("a", true), pod("b", false)]);
        let decide = |wanted: &Wish, mounts: Option<&[&str]>| {
            decide_with(
                "10.0.0.1",
                wanted,
                None,
                &[storage_host("10.0.0.1", mounts)],
            )
        };
        assert_eq!(decide(&wanted, Some(&[])), "fence a");
        let waits = decide(&wanted, Some(&["/var/lib/kubelet/x", "/mnt"]));
        assert!(
            waits.contains("mounted at /var/lib/kubelet/x, /mnt"),
            "{waits}"
        );
        let waits = decide(&wanted, None);
        assert!(waits.contains("out-of-service"), "{waits}");
        wanted.nodes.get_mut("a").unwrap().out_of_service = true;
        assert_eq!(decide(&wanted, None), "fence a");
        assert!(
            decide(&wanted, Some(&["/mnt"])).starts_with("wait"),
            "it is on"
        );
        // one that Kubernetes has forgotten
        wanted.nodes.remove("a");
        let waits = decide(&wanted, None);
        assert!(
            waits.starts_with("wait") && waits.contains("gluster volume set v auth.allow 0.0.0.0"),
            "{waits}"
        );
        assert_eq!(decide(&wanted, Some(&[])), "fence 10.0.0.1");
        // a peer that is asked nothing
        let unlisted = StorageHost {
            listed: false,
            ..storage_host("10.0.0.1", None)
        };
        let wanted = wish(false, &[pod("a", true), pod("b", false)]);
        let waits = decide_with("10.0.0.1", &wanted, None, &[unlisted]);
        assert!(
            waits.contains("does not list") && waits.contains("list it"),
            "{waits}"
        );
        // others are shut out as ever
        let wanted = wish(false, &[pod("a", true), pod("b", false)]);
        let elsewhere = [storage_host("10.0.9.1", None)];
        assert_eq!(
            decide_with("10.0.0.1", &wanted, None, &elsewhere),
            "fence a"
        );
    }

    #[test]
    fn one_node_at_a_time() {
        let fresh = wish(true, &[pod("b", false)]);
        assert_eq!(
            decide(NOBODY, &fresh, Some(&["10.0.9.1"])),
            "admit b 10.0.0.2"
        );
        assert!(
            decide(NOBODY, &fresh, None).starts_with("wait"),
            "unknown clients are not absent clients"
        );
        assert!(
            decide(NOBODY, &fresh, Some(&["10.0.0.1"])).starts_with("wait"),
            "the old node is still connected"
        );
        assert_eq!(
            decide("10.0.0.1", &fresh, None),
            "fence a",
            "no pod of a is left"
        );
        assert_eq!(decide("10.0.0.2", &fresh, None), "nothing");
        assert_eq!(
            decide("*", &fresh, None),
            "fence *",
            "everybody is a stranger"
        );
        assert_eq!(decide("10.7.7.7", &wish(true, &[]), None), "fence 10.7.7.7");
        assert_eq!(
            decide("10.0.0.1", &wish(true, &[]), None),
            "nothing",
            "nobody else wants it"
        );

        let both = wish(true, &[pod("a", true), pod("b", false)]);
        assert!(
            decide("10.0.0.1", &both, None).starts_with("wait"),
            "a pod that is being deleted on a ready node may still write"
        );
        assert_eq!(
            decide(
                "10.0.0.1",
                &wish(false, &[pod("a", true), pod("b", false)]),
                None
            ),
            "fence a"
        );
        assert_eq!(
            decide("10.0.0.1", &wish(false, &[pod("a", false)]), None),
            "nothing",
            "never for NotReady alone"
        );
        for a_ready in [true, false] {
            let kept = decide(
                "10.0.0.1",
                &wish(a_ready, &[pod("a", false), pod("b", false)]),
                None,
            );
            assert!(
                kept.starts_with("wait: node b waits") && kept.contains("mysql-on-a"),
                "{kept}"
            );
        }
        let mut gone = wish(true, &[pod("a", true), pod("b", false)]);
        gone.nodes.get_mut("a").unwrap().out_of_service = true;
        assert_eq!(decide("10.0.0.1", &gone, None), "fence a");
        gone.nodes.remove("a");
        assert_eq!(decide("10.0.0.1", &gone, None), "fence 10.0.0.1");
        let mut finished = both.clone();
        finished.pods[0].finished = true;
        assert_eq!(decide("10.0.0.1", &finished, None), "fence a");
        let mut moved = wish(true, &[pod("a", false)]);
        moved
            .nodes
            .get_mut("a")
            .unwrap()
            .addresses
            .insert("10.0.0.9".into());
        assert_eq!(
            decide("10.0.0.1", &moved, None),
            "admit a 10.0.0.1,10.0.0.9"
        );
    }
}
