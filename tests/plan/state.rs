//! Stopped and started: only where nobody uses it, and nothing else is taken away.

use std::collections::{BTreeMap, BTreeSet};

use gluster_operator::api::condition::{ConditionType, Reason};
use gluster_operator::gluster::model::{BrickClients, HostView, Search, VolumeStatus};
use gluster_operator::plan::attach::{PodUse, Wish};
use gluster_operator::plan::deletion::{self, Deletion};
use gluster_operator::plan::step::Step;
use gluster_operator::plan::validate::{ValidCluster, ValidVolume};
use gluster_operator::plan::volume::{Situation, needs_clients};
use gluster_operator::plan::{Plan, volume};
use serde_json::{Value, json};

use super::volume::{holds, ready, reason, settle};
use super::world::{World, want};

fn spec(state: &str) -> Value {
    json!({
        "layout": {"replicate": {"copies": 3}}, "capacity": "1Gi", "state": state,
        "claim": {"name": "c", "accessModes": ["ReadWriteMany"]},
    })
}

fn plan(
    world: &World,
    want: &ValidVolume,
    cluster: &ValidCluster,
    wish: &Wish,
    clients: Option<Vec<BrickClients>>,
) -> Plan {
    world.with(want, cluster, |situation| {
        let mut view = situation.view.clone();
        view.clients = clients;
        let situation = Situation {
            wish,
            view: &view,
            ..situation
        };
        volume::plan(want, situation)
    })
}

/// Every brick has the daemon of a storage host and somebody else as clients.
fn client(world: &World, address: &str) -> Vec<BrickClients> {
    clients(world, Some(&["10.0.9.1", address]))
}

/// The same clients of each brick; `None`: it told nothing.
fn clients(world: &World, addresses: Option<&[&str]>) -> Vec<BrickClients> {
    let (volume, _) = world.volume.as_ref().unwrap();
    let told = |list: &[&str]| list.iter().map(|&address| address.to_owned()).collect();
    let bricks = volume.bricks.iter().map(|brick| BrickClients {
        host: brick.host.clone(),
        path: brick.path.clone(),
        clients: addresses.map(told),
    });
    bricks.collect()
}

/// What the names of storage hosts stand for.
fn storage() -> BTreeMap<String, BTreeSet<String>> {
    [("n1".to_owned(), ["10.0.9.1".to_owned()].into())].into()
}

#[test]
fn a_volume_in_use_is_not_stopped_and_the_condition_says_who_uses_it() {
    let (world, cluster, _) = ready(spec("Started"), 3);
    let stop = want(&cluster, spec("Stopped"), &[]);
    let free = Wish {
        storage: storage(),
        ..Wish::default()
    };
    let pod = |deleting| Wish {
        pods: vec![PodUse {
            pod: "shop/web-0".into(),
            node: "k1".into(),
            finished: false,
            deleting,
        }],
        ..free.clone()
    };
    let bound = Wish {
        claim: Some("shop/c".into()),
        ..free.clone()
    };
    for (wish, clients, who) in [
        (
            pod(false),
            Some(client(&world, "10.0.9.1")),
            "pods use it: shop/web-0",
        ),
        (
            pod(true),
            Some(client(&world, "10.0.9.1")),
            "pods use it: shop/web-0",
        ),
        (
            bound,
            Some(client(&world, "10.0.9.1")),
            "PersistentVolumeClaim shop/c is bound",
        ),
        (
            free.clone(),
            Some(client(&world, "10.1.1.1")),
            "mounted on 10.1.1.1",
        ),
        (free.clone(), None, "could not be found out"),
    ] {
        let found = plan(&world, &stop, &cluster, &wish, clients);
        assert!(found.steps.is_empty(), "{who}: {:?}", found.steps);
        assert_eq!(
            reason(&found, ConditionType::InSync),
            Some(Reason::StopBlocked)
        );
        let says = |kind| {
            let finding = found.findings.iter().rfind(|finding| finding.kind == kind);
            finding.unwrap().message.clone()
        };
        let message = says(ConditionType::InSync);
        assert!(message.contains(who), "{message}");
        assert_eq!(
            holds(&found, ConditionType::Ready),
            Some(true),
            "it still runs"
        );
        assert!(found.recheck.is_some());
    }
    let found = plan(
        &world,
        &stop,
        &cluster,
        &free,
        Some(client(&world, "10.0.9.1")),
    );
    assert!(
        matches!(found.steps.as_slice(), [Step::StopVolume(_)]),
        "{:?}",
        found.steps
    );
    // what is asked of the bricks: only when nothing else keeps it
    let view = world.view(&cluster);
    assert!(needs_clients(&stop, &cluster, &view, &free));
    assert!(!needs_clients(&stop, &cluster, &view, &pod(false)));
    let run = want(&cluster, spec("Started"), &[]);
    assert!(!needs_clients(&run, &cluster, &view, &free));
}

/// Nobody is connected only where every brick was heard that could have a client, and has run for a while.
#[test]
fn a_volume_whose_clients_are_not_known_is_neither_stopped_nor_deleted() {
    let replicate = json!({"replicate": {"copies": 3}});
    for (layout, told_nothing_stops) in [(replicate, false), (json!({"distribute": 3}), true)] {
        let spec =
            |state: &str| json!({"layout": layout, "state": state, "deletionPolicy": "Delete"});
        let (world, cluster, _) = ready(spec("Started"), 3);
        let stop = want(&cluster, spec("Stopped"), &[]);
        let daemons = clients(&world, Some(&["n2"]));
        let mut one_down = daemons.clone();
        one_down.remove(1);
        let mut one_tells_nothing = daemons.clone();
        one_tells_nothing[2].clients = None;
        let rows = [
            (Some(daemons.clone()), false, true),
            (Some(daemons), true, false),
            (Some(one_down), false, false),
            (Some(one_tells_nothing), false, told_nothing_stops),
            (Some(clients(&world, None)), false, told_nothing_stops),
            (Some(Vec::new()), false, false),
            (None, false, false),
        ];
        for (clients, unsteady, stops) in rows {
            world.with(&stop, &cluster, |situation| {
                let mut view = situation.view.clone();
                (view.clients, view.unsteady) = (clients.clone(), unsteady);
                let situation = Situation {
                    view: &view,
                    ..situation
                };
                let found = volume::plan(&stop, situation);
                assert_eq!(!found.steps.is_empty(), stops, "{clients:?} {unsteady}");
                let Deletion::Going(going) = deletion::plan(&stop, situation, &[]) else {
                    panic!("it is there");
                };
                assert_eq!(!going.steps.is_empty(), stops, "{clients:?} {unsteady}");
            });
        }
    }
}

/// A brick that runs and was left out of the answer is not told to be down: starting it would change nothing.
#[test]
fn a_brick_of_which_gluster_told_nothing_is_told_as_such() {
    let spec = |state: &str| json!({"layout": {"distribute": 3}, "state": state});
    let (world, cluster, _) = ready(spec("Started"), 3);
    let stop = want(&cluster, spec("Stopped"), &[]);
    let mut left_out = clients(&world, Some(&[]));
    let brick = left_out.remove(1);
    for (online, told) in [
        (Some(true), "gluster told nothing of the brick"),
        (Some(false), "does not run, and clients may wait for it"),
        (None, "does not run, and clients may wait for it"),
    ] {
        let mut pool = world.view(&cluster);
        for host in pool.hosts.values_mut() {
            let HostView::Answered(facts) = host else {
                continue;
            };
            let bricks = &mut facts.state.volumes[0].bricks;
            let own = bricks.iter_mut().filter(|one| one.path == brick.path);
            own.filter(|one| one.online.is_some())
                .for_each(|one| one.online = online);
        }
        world.with(&stop, &cluster, |situation| {
            let mut view = situation.view.clone();
            view.clients = Some(left_out.clone());
            let (pool, view) = (&pool, &view);
            let situation = Situation {
                pool,
                view,
                ..situation
            };
            let found = volume::plan(&stop, situation);
            let why = found
                .findings
                .iter()
                .rfind(|one| one.reason == Reason::StopBlocked);
            let why = &why.unwrap().message;
            assert!(why.contains(told) && why.contains(&brick.path), "{why}");
        });
    }
}

/// What a host said it has mounted; `None` when it was not asked.
type Mounts = Option<Result<Vec<String>, String>>;

/// From the addresses of storage hosts their daemons come, too: what is mounted there is asked of the hosts themselves.
#[test]
fn a_volume_that_is_mounted_on_a_storage_host_is_neither_stopped_nor_deleted() {
    let spec = |state: &str| {
        json!({
            "layout": {"replicate": {"copies": 3}}, "state": state, "deletionPolicy": "Delete",
        })
    };
    let (world, cluster, _) = ready(spec("Started"), 3);
    let stop = want(&cluster, spec("Stopped"), &[]);
    let wish = Wish {
        storage: storage(),
        ..Wish::default()
    };
    let at = |list: &[&str]| Some(Ok(list.iter().map(|&at| at.to_owned()).collect()));
    let way_out = "set spec.deletionPolicy to Retain";
    let rows: [(Mounts, &[&str], &[&str]); 5] = [
        (at(&[]), &[], &[]),
        (
            at(&["/mnt/a"]),
            &["mounted on n2 at /mnt/a; unmount it there"],
            &[way_out],
        ),
        (
            at(&["/1", "/2", "/3", "/4", "/5"]),
            &["mounted on n2 at /1, /2, /3 and 2 more;"],
            &[way_out],
        ),
        (
            Some(Err("sshd says no".into())),
            &["whether n2 has the volume mounted could not be found out (sshd says no)"],
            &[],
        ),
        (
            None,
            &["whether n2 has the volume mounted could not be found out"],
            &[],
        ),
    ];
    for (mounts, says, says_not) in rows {
        world.with(&stop, &cluster, |situation| {
            let mut view = situation.view.clone();
            view.clients = Some(client(&world, "10.0.9.1"));
            let name = "n2".parse().unwrap();
            match &mounts {
                Some(mounts) => view.mounts.insert(name, mounts.clone()),
                None => view.mounts.remove(&name),
            };
            let situation = Situation {
                wish: &wish,
                view: &view,
                ..situation
            };
            let stopping = volume::plan(&stop, situation);
            let Deletion::Going(going) = deletion::plan(&stop, situation, &[]) else {
                panic!("it is there");
            };
            for (found, kind) in [
                (&stopping, ConditionType::InSync),
                (&going, ConditionType::Progressing),
            ] {
                assert_eq!(found.steps.is_empty(), !says.is_empty(), "{mounts:?}");
                let finding = found.findings.iter().rfind(|finding| finding.kind == kind);
                let message = &finding.unwrap().message;
                for says in says {
                    assert!(message.contains(says), "{message}");
                }
                for says in says_not {
                    assert!(!message.contains(says), "{message}");
                }
            }
            if !says.is_empty() {
                let blocked = Some(Reason::StopBlocked);
                assert_eq!(reason(&stopping, ConditionType::InSync), blocked);
            }
        });
    }
}

#[test]
fn a_stopped_volume_is_in_sync_and_not_ready_and_starts_again() {
    let (mut world, cluster, _) = ready(spec("Started"), 3);
    let stop = want(&cluster, spec("Stopped"), &[]);
    let free = Wish {
        storage: storage(),
        ..Wish::default()
    };
    for step in plan(
        &world,
        &stop,
        &cluster,
        &free,
        Some(client(&world, "10.0.9.1")),
    )
    .steps
    {
        world.take(&step).unwrap();
    }
    for _ in 0..2 {
        let found = plan(&world, &stop, &cluster, &free, None);
        assert!(found.steps.is_empty(), "{:?}", found.steps);
        assert_eq!(holds(&found, ConditionType::InSync), Some(true));
        assert_eq!(holds(&found, ConditionType::Ready), Some(false));
        assert_eq!(reason(&found, ConditionType::Ready), Some(Reason::Stopped));
    }
    // an option still comes
    let mut more = spec("Stopped");
    more["options"] = json!({"performance.cache-size": "64MB"});
    settle(&mut world, &want(&cluster, more, &[]), &cluster);
    let (volume, _) = world.volume.as_ref().unwrap();
    assert_eq!(volume.options["performance.cache-size"], "64MB");
    assert_eq!(volume.status, VolumeStatus::Stopped);
    let run = want(&cluster, spec("Started"), &[]);
    let end = settle(&mut world, &run, &cluster);
    assert_eq!(holds(&end, ConditionType::Ready), Some(true));
    assert_eq!(world.limit, Some(1 << 30), "the limit stayed");
}

#[test]
fn a_volume_that_is_declared_stopped_is_made_and_not_started() {
    let (world, cluster, _) = ready(spec("Stopped"), 3);
    let (volume, _) = world.volume.as_ref().unwrap();
    assert_eq!(volume.status, VolumeStatus::Created);
    assert_eq!(world.limit, None);
    let mut world = world;
    let end = settle(&mut world, &want(&cluster, spec("Started"), &[]), &cluster);
    assert_eq!(holds(&end, ConditionType::Ready), Some(true));
    assert_eq!(world.limit, Some(1 << 30));
}

/// A brick whose device left the spec can't go to the trash there; what to do about it is said.
#[test]
fn a_volume_whose_device_is_not_listed_any_more_is_not_deleted() {
    let spec = json!({"layout": {"replicate": {"copies": 3}}, "state": "Stopped", "deletionPolicy": "Delete"});
    let (world, cluster, _) = ready(spec.clone(), 3);
    let going = want(&cluster, spec, &[]);
    let without = ValidCluster {
        nodes: cluster.nodes.iter().skip(1).cloned().collect(),
        ..cluster.clone()
    };
    let full = cluster.clone();
    // the volume is gone, and nobody looks for the brick that was named there
    let named = ValidVolume {
        bricks: Some(vec!["n1:/b/x".parse().unwrap()]),
        ..going.clone()
    };
    let gone = World {
        volume: None,
        ..world.clone()
    };
    gone.with(&named, &full, |situation| {
        let mut view = situation.view.clone();
        view.search = Search::Complete;
        let situation = Situation {
            cluster: &without,
            view: &view,
            ..situation
        };
        let Deletion::Going(plan) = deletion::plan(&named, situation, &[]) else {
            panic!("a brick may be left");
        };
        assert!(
            plan.findings[0]
                .message
                .contains("n1:/b/x lies below no device")
        );
    });
    for (cluster, why) in [
        (&cluster, None),
        (
            &without,
            Some("n1:/b/shop_data-0000000d/brick lies below no device"),
        ),
    ] {
        world.with(&going, &full, |situation| {
            let situation = Situation {
                cluster,
                ..situation
            };
            let Deletion::Going(plan) = deletion::plan(&going, situation, &[]) else {
                panic!("it is there");
            };
            let mut findings = plan.findings.iter();
            let told = findings.find(|finding| finding.reason == Reason::DeletionBlocked);
            match why {
                None => assert!(told.is_none() && !plan.steps.is_empty(), "{plan:?}"),
                Some(why) => {
                    assert!(plan.steps.is_empty());
                    let told = &told.unwrap().message;
                    assert!(
                        told.contains(why) && told.contains("list its host"),
                        "{told}"
                    );
                }
            }
        });
    }
}
