//! The fence, model checked: random pods, nodes, addresses and failures of gluster, and at no time may two nodes write.

use std::collections::{BTreeMap, BTreeSet};

use gluster_operator::api::condition::Reason;
use gluster_operator::gluster::model::{BrickClients, HostView, Peer, SilentKind, Volume};
use gluster_operator::gluster::names::{ALLOW_NOBODY, ALLOW_OPTION};
use gluster_operator::plan::attach::{self, NodeFacts, PodUse, StorageHost, Wish};
use gluster_operator::plan::step::Step;
use gluster_operator::plan::validate::{ValidCluster, ValidVolume};
use gluster_operator::plan::volume::{self, Situation};
use proptest::prelude::*;
use serde_json::json;

use crate::volume::settle;
use crate::world::{World, cluster, want};

const NODES: [&str; 3] = ["a", "b", "c"];
const STORAGE: &str = "10.9.0.1";

#[derive(Clone, Debug)]
enum Event {
    PodAppears(usize),
    PodIsDeleted(usize),
    PodFinishes(usize),
    PodGoes(usize),
    Ready(usize, bool),
    OutOfService(usize, bool),
    /// The Node object goes, or comes back.
    Known(usize, bool),
    Address(usize, u8),
    /// The kubelet mounts: a connection, where the bricks admit it.
    Mounts(usize),
    /// Bricks drop the connections of those that they do not admit any more.
    Dropped,
    Gluster {
        refuses: bool,
    },
    /// Whether the list of connections can be had.
    Clients(bool),
    /// Somebody resets the volume's options by hand.
    Reset,
    /// The controller looks, plans and executes; it keeps nothing between two of these, so each is a restart, too.
    Reconcile,
}

fn event() -> impl Strategy<Value = Event> {
    let node = || 0..NODES.len();
    prop_oneof![
        3 => node().prop_map(Event::PodAppears),
        2 => node().prop_map(Event::PodIsDeleted),
        1 => node().prop_map(Event::PodFinishes),
        1 => node().prop_map(Event::PodGoes),
        2 => (node(), any::<bool>()).prop_map(|(n, yes)| Event::Ready(n, yes)),
        1 => (node(), any::<bool>()).prop_map(|(n, yes)| Event::OutOfService(n, yes)),
        1 => (node(), any::<bool>()).prop_map(|(n, yes)| Event::Known(n, yes)),
        1 => (node(), 0_u8..3).prop_map(|(n, a)| Event::Address(n, a)),
        4 => node().prop_map(Event::Mounts),
        2 => Just(Event::Dropped),
        1 => any::<bool>().prop_map(|refuses| Event::Gluster { refuses }),
        1 => any::<bool>().prop_map(Event::Clients),
        1 => Just(Event::Reset),
        12 => Just(Event::Reconcile),
    ]
}

/// A node as it is, whatever Kubernetes says.
#[derive(Clone, Debug)]
struct Node {
    known: bool,
    facts: NodeFacts,
}

struct Model {
    nodes: BTreeMap<&'static str, Node>,
    pods: Vec<PodUse>,
    /// `auth.allow`; `None`: the option is not set, and everybody is admitted.
    allow: Option<String>,
    /// Connections: the node that has it, and its address of then.
    connected: BTreeSet<(&'static str, String)>,
    refuses: bool,
    clients: bool,
}

impl Model {
    fn new() -> Self {
        let node = |(i, name): (usize, &&'static str)| {
            let facts = NodeFacts {
                addresses: [format!("10.0.{i}.1")].into(),
                ready: true,
                out_of_service: false,
            };
            (*name, Node { known: true, facts })
        };
        Self {
            nodes: NODES.iter().enumerate().map(node).collect(),
            pods: vec![],
            allow: Some(ALLOW_NOBODY.into()), // as it is made
            connected: BTreeSet::new(),
            refuses: false,
            clients: true,
        }
    }

    fn admits(&self, address: &str) -> bool {
        self.allow
            .as_deref()
            .is_none_or(|list| list.split(',').any(|one| one == address))
    }

    fn wish(&self) -> Wish {
        let known = self.nodes.iter().filter(|(_, node)| node.known);
        Wish {
            pods: self.pods.clone(),
            nodes: known
                .map(|(name, node)| ((*name).to_owned(), node.facts.clone()))
                .collect(),
            storage: BTreeMap::new(),
            claim: None,
        }
    }

    fn happen(&mut self, event: &Event) {
        let node = |i: &usize| NODES[*i];
        match event {
            Event::PodAppears(i) => self.pods.push(PodUse {
                pod: format!("shop/p{}", self.pods.len()),
                node: node(i).into(),
                finished: false,
                deleting: false,
            }),
            Event::PodIsDeleted(i) => self
                .pods
                .iter_mut()
                .filter(|pod| pod.node == node(i))
                .for_each(|pod| pod.deleting = true),
            Event::PodFinishes(i) => self
                .pods
                .iter_mut()
                .filter(|pod| pod.node == node(i))
                .for_each(|pod| pod.finished = true),
            Event::PodGoes(i) => self.pods.retain(|pod| pod.node != node(i)),
            Event::Ready(i, yes) => self.nodes.get_mut(node(i)).unwrap().facts.ready = *yes,
            Event::OutOfService(i, yes) => {
                self.nodes.get_mut(node(i)).unwrap().facts.out_of_service = *yes;
            }
            Event::Known(i, yes) => self.nodes.get_mut(node(i)).unwrap().known = *yes,
            Event::Address(i, last) => {
                self.nodes.get_mut(node(i)).unwrap().facts.addresses =
                    [format!("10.0.{i}.{}", last + 1)].into();
            }
            Event::Mounts(i) => {
                let address = self.nodes[node(i)].facts.addresses.first().unwrap().clone();
                if self.admits(&address) {
                    self.connected.insert((node(i), address));
                }
            }
            Event::Dropped => {
                let allow = self.allow.clone();
                self.connected.retain(|(_, address)| {
                    allow
                        .as_deref()
                        .is_none_or(|list| list.split(',').any(|one| one == address))
                });
            }
            Event::Gluster { refuses } => self.refuses = *refuses,
            Event::Clients(yes) => self.clients = *yes,
            Event::Reset => self.allow = None,
            Event::Reconcile => self.reconcile(),
        }
    }

    fn reconcile(&mut self) {
        let wish = self.wish();
        let mut volume = Volume::default();
        volume.options.extend(
            self.allow
                .iter()
                .map(|value| (ALLOW_OPTION.to_owned(), value.clone())),
        );
        let clients = self.clients.then(|| {
            let own = self.connected.iter().map(|(_, address)| address.clone());
            vec![BrickClients {
                host: "n1".into(),
                path: "/b".into(),
                clients: Some(own.chain([STORAGE.to_owned()]).collect()),
            }]
        });
        let before = attach::holder(&volume, &wish);
        let storage = [StorageHost {
            name: "n1".to_owned(),
            addresses: [STORAGE.to_owned()].into(),
            told: true,
            listed: true,
            mounts: Some(Vec::new()),
        }];
        let name = "v".parse().unwrap();
        let plan = attach::plan(&name, &volume, &wish, clients.as_deref(), &storage);
        assert!(
            plan.steps.len() <= 1,
            "one thing at a time: {:?}",
            plan.steps
        );
        match plan.steps.first() {
            None => {}
            Some(Step::Fence { .. }) => {
                // whoever is shut out had no pod that may still write, as far as Kubernetes knows the node
                if let attach::Holder::Node(node) = &before {
                    let facts = &wish.nodes[node];
                    let lost = !facts.ready || facts.out_of_service;
                    let writer = wish
                        .pods
                        .iter()
                        .find(|pod| pod.node == *node && !pod.finished && !(pod.deleting && lost));
                    assert_eq!(writer, None, "{node} is fenced under a pod");
                }
                if !self.refuses {
                    self.allow = Some(ALLOW_NOBODY.into());
                }
            }
            Some(Step::Admit {
                node, addresses, ..
            }) => {
                assert_ne!(self.allow, None, "everybody was admitted a moment ago");
                if before != attach::Holder::Node(node.clone()) {
                    assert_eq!(
                        before,
                        attach::Holder::Nobody,
                        "{node} is let in before the other is out"
                    );
                    assert!(clients.is_some(), "a guess");
                    let others = self
                        .connected
                        .iter()
                        .filter(|(_, address)| !wish.nodes[node].addresses.contains(address));
                    assert_eq!(
                        others.count(),
                        0,
                        "somebody is still connected: {:?}",
                        self.connected
                    );
                    assert!(
                        wish.pods
                            .iter()
                            .any(|pod| pod.node == *node && !pod.finished && !pod.deleting),
                        "nobody asked for it"
                    );
                }
                if !self.refuses {
                    self.allow = Some(addresses.to_string());
                }
            }
            Some(other) => panic!("{other:?}"),
        }
        self.one_writer();
    }

    /// No two nodes are admitted by addresses of theirs.
    fn one_writer(&self) {
        if self.allow.is_none() {
            return; // reset by hand; the next look fences
        }
        let admitted = self.nodes.values().filter(|node| {
            node.facts
                .addresses
                .iter()
                .any(|address| self.admits(address))
        });
        assert!(
            admitted.count() <= 1,
            "two nodes are admitted by {:?}",
            self.allow
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_node_at_a_time_and_never_forever_nobody(events in prop::collection::vec(event(), 1..60)) {
        let mut model = Model::new();
        for event in &events {
            model.happen(event);
            model.one_writer();
        }
        // a is lost with all its pods being deleted; b has a pod that is to run; gluster works; nobody else wants it
        model.pods.retain(|pod| pod.node == "a");
        model.pods.iter_mut().for_each(|pod| pod.deleting = true);
        let lost = model.nodes.get_mut("a").unwrap();
        lost.facts.ready = false;
        model.happen(&Event::PodAppears(1));
        let b = model.nodes.get_mut("b").unwrap();
        (b.known, b.facts.ready, b.facts.out_of_service) = (true, true, false);
        (model.refuses, model.clients) = (false, true);
        for _ in 0..4 {
            model.happen(&Event::Reconcile);
            model.happen(&Event::Dropped);
        }
        let address = model.nodes["b"].facts.addresses.first().unwrap().clone();
        prop_assert_eq!(model.allow.as_deref(), Some(address.as_str()), "b waits for ever");
        model.happen(&Event::Mounts(1));
        prop_assert!(model.connected.iter().all(|(node, _)| *node == "b"));
    }
}

#[test]
fn a_pod_on_a_node_that_kubernetes_forgot_is_waited_for() {
    let mut model = Model::new();
    for event in [
        Event::PodAppears(0),
        Event::Reconcile,
        Event::Mounts(0),
        Event::Known(0, false),
        Event::PodAppears(1),
        Event::Reconcile,
    ] {
        model.happen(&event);
    }
    assert_eq!(
        model.allow.as_deref(),
        Some("10.0.0.1"),
        "its pod may run on"
    );
    model.happen(&Event::PodIsDeleted(0));
    for event in [Event::Reconcile, Event::Dropped, Event::Reconcile] {
        model.happen(&event);
    }
    assert_eq!(model.allow.as_deref(), Some("10.0.1.1"));
}

/// Without quorum one brick that is not heard of is enough to write: then a node is admitted only when every brick was heard.
#[test]
fn a_fence_waits_for_every_brick_where_somebody_took_the_quorum_away() {
    let cluster = cluster(3, json!({}));
    let claim = json!({"name": "c", "accessModes": ["ReadWriteOnce"]});
    let spec = json!({"layout": {"replicate": {"copies": 3}}, "capacity": "1Gi", "claim": claim});
    let want = want(&cluster, spec, &[]);
    let mut world = World::settled(&cluster);
    settle(&mut world, &want, &cluster);
    let node = NodeFacts {
        addresses: ["10.1.0.1".to_owned()].into(),
        ready: true,
        out_of_service: false,
    };
    let pod = PodUse {
        pod: "shop/db".into(),
        node: "a".into(),
        finished: false,
        deleting: false,
    };
    let wish = Wish {
        pods: vec![pod],
        nodes: [("a".to_owned(), node)].into(),
        ..Wish::default()
    };
    // whether the node is admitted with that option set by hand and that many of the three bricks heard
    let admits = |option: Option<(&str, &str)>, heard: usize| {
        let mut world = world.clone();
        let (volume, _) = world.volume.as_mut().unwrap();
        if let Some((key, value)) = option {
            volume.options.insert(key.into(), value.into());
        }
        let bricks = volume.bricks.clone();
        let clients = bricks.into_iter().take(heard).map(|brick| BrickClients {
            host: brick.host,
            path: brick.path,
            clients: Some(vec![]),
        });
        let pool = world.view(&cluster);
        let mut view = world.inspect(&want, &cluster);
        view.clients = Some(clients.collect());
        let plan = volume::plan(
            &want,
            Situation {
                cluster: &cluster,
                pool: &pool,
                view: &view,
                wish: &wish,
                unsettled: None,
                now: 1,
            },
        );
        let admits = plan
            .steps
            .iter()
            .any(|step| matches!(step, Step::Admit { .. }));
        let waits = plan
            .findings
            .iter()
            .any(|finding| finding.reason == Reason::WaitingForFence);
        assert_ne!(admits, waits, "{plan:?}");
        admits
    };
    for (option, needed) in [
        (None, 2),
        (Some(("cluster.quorum-type", "auto")), 2),
        (Some(("cluster.quorum-type", "none")), 3),
        (Some(("cluster.quorum-type", "fixed")), 3),
        (Some(("cluster.quorum-count", "1")), 3),
    ] {
        for heard in 0..=3 {
            assert_eq!(admits(option, heard), heard >= needed, "{option:?} {heard}");
        }
    }
}

fn node(address: &str, ready: bool) -> NodeFacts {
    NodeFacts {
        addresses: [address.to_owned()].into(),
        ready,
        out_of_service: false,
    }
}

fn pod(node: &str, deleting: bool) -> PodUse {
    PodUse {
        pod: format!("shop/on-{node}"),
        node: node.into(),
        finished: false,
        deleting,
    }
}

/// A volume that `holder`, by its address, is admitted to, and what it is wanted as.
fn one_writer(holder: &str) -> (World, ValidCluster, ValidVolume) {
    let spec = json!({
        "layout": {"replicate": {"copies": 3}}, "capacity": "1Gi",
        "claim": {"name": "c", "accessModes": ["ReadWriteOnce"]},
    });
    let (mut world, cluster, spec) = crate::volume::ready(spec, 3);
    let want = want(&cluster, spec, &[]);
    let (volume, _) = world.volume.as_mut().unwrap();
    volume.options.insert(ALLOW_OPTION.into(), holder.into());
    (world, cluster, want)
}

/// A storage host is let in whatever the volume says: before it is shut out it has to say what it has mounted.
#[test]
fn a_storage_host_that_is_to_be_shut_out_is_asked_what_it_has_mounted() {
    let (world, cluster, want) = one_writer("10.0.0.1");
    let pool = world.view(&cluster);
    let wish = |pods: &[PodUse], a_stores: bool| Wish {
        pods: pods.to_vec(),
        nodes: [
            ("a".to_owned(), node("10.0.0.1", true)),
            ("b".to_owned(), node("10.0.0.2", true)),
        ]
        .into(),
        storage: if a_stores {
            [("n1".parse().unwrap(), ["10.0.0.1".to_owned()].into())].into()
        } else {
            BTreeMap::new()
        },
        claim: None,
    };
    let asks = |wish: &Wish| volume::needs_clients(&want, &cluster, &pool, wish);
    let moves = [pod("b", false)];
    assert!(asks(&wish(&moves, true)));
    assert!(
        !asks(&wish(&moves, false)),
        "it is shut out without a question"
    );
    let stays = [pod("a", true), pod("b", false)];
    assert!(!asks(&wish(&stays, true)), "its pod may still write");
    assert!(!asks(&wish(&[], true)), "nobody else wants it");
}

/// A volume whose holder is `n1`, by its InternalIP on another network than the pool's, and is NotReady; `b` wants it.
fn held_by_a_storage_host() -> (World, ValidCluster, ValidVolume, Wish) {
    let (world, cluster, want) = one_writer("192.168.1.1");
    let wish = Wish {
        pods: vec![pod("n1", true), pod("b", false)],
        nodes: [
            ("n1".to_owned(), node("192.168.1.1", false)),
            ("b".to_owned(), node("192.168.1.2", true)),
        ]
        .into(),
        ..Wish::default()
    };
    (world, cluster, want, wish)
}

/// What a silent host told of itself before still says that it is that node: fenced it would go on to write, since GlusterFS lets its own
/// hosts in.
#[test]
fn a_silent_storage_host_is_known_by_what_it_told_before() {
    let (world, cluster, want, wish) = held_by_a_storage_host();
    let decide = |told: &[&str], of: &str, wish: &Wish| {
        let mut pool = world.view(&cluster);
        let silent = HostView::Silent {
            why: "no answer".into(),
            kind: SilentKind::Unreachable,
        };
        pool.hosts.insert("n1".parse().unwrap(), silent);
        for host in pool.hosts.values_mut() {
            if let HostView::Answered(facts) = host {
                let mut peers = facts.state.peers.iter_mut();
                peers.find(|peer| peer.is_named("n1")).unwrap().connected = false;
            }
        }
        let told: BTreeSet<String> = told.iter().map(|&one| one.to_owned()).collect();
        if !told.is_empty() {
            pool.addresses.insert(of.parse().unwrap(), told);
        }
        assert!(volume::needs_clients(&want, &cluster, &pool, wish));
        let mut view = world.inspect(&want, &cluster);
        view.mounts.remove(&"n1".parse().unwrap());
        let plan = volume::plan(
            &want,
            Situation {
                cluster: &cluster,
                pool: &pool,
                view: &view,
                wish,
                unsettled: None,
                now: 1,
            },
        );
        let mut steps = plan.steps.iter();
        let fences = steps.any(|step| matches!(step, Step::Fence { .. }));
        let mut findings = plan.findings.iter();
        let waits = findings.find(|finding| finding.reason == Reason::WaitingForFence);
        assert_eq!(fences, waits.is_none(), "{plan:?}");
        if let Some(waits) = waits {
            assert!(
                waits.message.contains("is the storage host n1"),
                "{}",
                waits.message
            );
        }
        fences
    };
    assert!(!decide(&["10.0.0.3", "192.168.1.1"], "n1", &wish));
    // it never told: then the name has to do
    assert!(!decide(&[], "n1", &wish));
    let mut off = wish.clone();
    off.nodes.get_mut("n1").unwrap().out_of_service = true;
    assert!(decide(&["10.0.0.3", "192.168.1.1"], "n1", &off));
    // another machine of that name
    let free = || world.view(&cluster);
    let mut pool = free();
    pool.addresses
        .insert("n1".parse().unwrap(), ["10.0.0.3".to_owned()].into());
    assert!(
        !volume::needs_clients(&want, &cluster, &pool, &wish),
        "it is shut out without a question"
    );
}

/// Daemons of a peer that the cluster does not list are connected to each brick as those of all others are.
#[test]
fn a_peer_that_is_not_listed_keeps_no_node_out_and_no_volume_is_stopped_behind_it() {
    let (mut world, cluster, want, mut wish) = held_by_a_storage_host();
    wish.pods.remove(0);
    let (volume, _) = world.volume.as_mut().unwrap();
    let allow = volume.options.get_mut(ALLOW_OPTION).unwrap();
    "0.0.0.0".clone_into(allow);
    let bricks = volume.bricks.clone();
    let daemons = volume.daemons();
    let mut pool = world.view(&cluster);
    for host in pool.hosts.values_mut() {
        let HostView::Answered(facts) = host else {
            continue;
        };
        facts.state.peers.push(Peer {
            uuid: "0a0a0a0a-0000-0000-0000-00000000000a".parse().unwrap(),
            hostname: "10.0.0.77".into(),
            other_names: vec!["old.example".into()],
            state: "Peer in Cluster".into(),
            connected: true,
        });
    }
    wish.storage = [("old.example".to_owned(), ["10.9.9.77".to_owned()].into())].into();
    let planned = |want: &ValidVolume, wish: &Wish, address: &str, connections: usize| {
        let mut view = world.inspect(want, &cluster);
        let clients = bricks.iter().map(|brick| BrickClients {
            host: brick.host.clone(),
            path: brick.path.clone(),
            clients: Some(vec![address.to_owned(); connections]),
        });
        view.clients = Some(clients.collect());
        let situation = Situation {
            cluster: &cluster,
            pool: &pool,
            view: &view,
            wish,
            unsettled: None,
            now: 1,
        };
        volume::plan(want, situation)
    };
    for (address, connections, admits) in [
        ("10.0.0.77", daemons, true),
        ("10.9.9.77", daemons, true),
        ("10.0.0.77", daemons + 1, false),
        ("10.0.0.78", 1, false),
    ] {
        let plan = planned(&want, &wish, address, connections);
        let mut steps = plan.steps.iter();
        let admitted = steps.any(|step| matches!(step, Step::Admit { .. }));
        assert_eq!(admitted, admits, "{address} {connections}: {plan:?}");
    }
    // it can't be asked whether that is a mount or a daemon
    let spec = json!({
        "layout": {"replicate": {"copies": 3}}, "capacity": "1Gi", "state": "Stopped",
        "claim": {"name": "c", "accessModes": ["ReadWriteOnce"]},
    });
    let stop = crate::world::want(&cluster, spec, &[]);
    let plan = planned(&stop, &Wish::default(), "10.0.0.77", daemons);
    let mut findings = plan.findings.iter();
    let why = findings.find(|finding| finding.reason == Reason::StopBlocked);
    let why = &why.unwrap().message;
    assert!(
        why.contains("10.0.0.77 is a peer that spec.nodes does not list"),
        "{why}"
    );
}
