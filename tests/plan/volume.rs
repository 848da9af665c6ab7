//! Volumes: made, kept and deleted, whatever was cut off.

use std::collections::BTreeSet;

use gluster_operator::api::condition::{ConditionType, EventReason, Reason};
use gluster_operator::gluster::model::{
    BrickFacts, HostView, QuotaView, StartTried, Volume, VolumeBrick, VolumeStatus, VolumeView,
};
use gluster_operator::gluster::names::{Bytes, OwnerMark};
use gluster_operator::plan::attach::PodUse;
use gluster_operator::plan::deletion::{self, Deletion};
use gluster_operator::plan::step::Step;
use gluster_operator::plan::validate::{ValidCluster, ValidVolume};
use gluster_operator::plan::volume::Situation;
use gluster_operator::plan::{Plan, volume};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{CLOSED, World, cluster, host, want};

pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

pub fn plan(world: &World, want: &ValidVolume, cluster: &ValidCluster) -> Plan {
    world.with(want, cluster, |situation| volume::plan(want, situation))
}

pub fn holds(plan: &Plan, kind: ConditionType) -> Option<bool> {
    plan.findings
        .iter()
        .rev()
        .find(|finding| finding.kind == kind)
        .and_then(|finding| finding.holds)
}

pub fn reason(plan: &Plan, kind: ConditionType) -> Option<Reason> {
    plan.findings
        .iter()
        .rev()
        .find(|finding| finding.kind == kind)
        .map(|finding| finding.reason)
}

/// What must hold of every plan for a volume that nobody asked to delete, whatever the world is like.
fn is_safe(plan: &Plan, world: &World, want: &ValidVolume) {
    let believed = world.hosts.values().any(|host| host.silent == Some(true));
    assert!(
        !believed || plan.steps.is_empty(),
        "writes would hang: {:?}",
        plan.steps
    );
    let silent = world.hosts.values().any(|host| host.silent.is_some());
    for step in &plan.steps {
        match step {
            // torn: empty, marked as ours, and no host has the volume
            Step::TrashBricks { places, .. } => {
                assert!(!silent && world.volume.is_none(), "a guess: {step:?}");
                for place in places {
                    let facts = &world.bricks[&place.brick()];
                    let torn = matches!(facts, BrickFacts::Present { owner: Some(owner), empty: true, foreign_mark: false, .. } if *owner == want.mark);
                    assert!(torn, "{place:?}: {facts:?}");
                }
            }
            Step::CreateVolume { .. } => assert!(world.volume.is_none(), "made twice"),
            step => assert!(!step.destroys() && !step.interrupts(), "{step:?}"),
        }
    }
}

/// Plans and executes until nothing is left to do.
pub fn settle(world: &mut World, want: &ValidVolume, cluster: &ValidCluster) -> Plan {
    for _ in 0..10 {
        let plan = plan(world, want, cluster);
        is_safe(&plan, world, want);
        if plan.steps.is_empty() {
            return plan;
        }
        for step in &plan.steps {
            world
                .take(step)
                .unwrap_or_else(|why| panic!("{step:?}: {why}"));
        }
    }
    panic!("no end: {:?}", plan(world, want, cluster).steps);
}

fn as_declared(plan: &Plan, world: &World, want: &ValidVolume) {
    for kind in [
        ConditionType::Ready,
        ConditionType::InSync,
        ConditionType::Owned,
    ] {
        assert_eq!(holds(plan, kind), Some(true), "{:?}", plan.findings);
    }
    let (volume, _) = world.volume.as_ref().unwrap();
    assert_eq!(volume.status, VolumeStatus::Started);
    assert_eq!(world.limit, want.capacity.map(|bytes| bytes.0));
    let option = |key: &str| volume.options.get(key).cloned();
    assert_eq!(
        (
            option("features.shard"),
            option("features.shard-block-size")
        ),
        (
            want.shard.map(|_| "on".into()),
            want.shard.map(|size| size.0.to_string())
        )
    );
    for (key, value) in want.options.iter().chain(&want.profile) {
        let wanted = want.options.get(key).unwrap_or(value);
        assert_eq!(
            volume.options.get(key.as_str()).map(String::as_str),
            Some(wanted.as_str())
        );
    }
    assert_eq!(
        volume.options["user.gluster-operator.owner"],
        want.mark_option.as_str()
    );
}

pub fn specs() -> impl Strategy<Value = Value> {
    let layout = prop::sample::select(vec![
        json!({"distribute": 1}),
        json!({"distribute": 3}),
        json!({"replicate": {"copies": 2}}),
        json!({"replicate": {"copies": 3}}),
        json!({"replicate": {"copies": 2}, "distribute": 2}),
        json!({"replicate": {"copies": 3, "arbiter": true}}),
        json!({"disperse": {"data": 2, "redundancy": 1}}),
        json!({"disperse": {"data": 3, "redundancy": 1}, "shard": {"blockSize": "8Mi"}}),
        json!({"distribute": 2, "shard": {}}),
    ]);
    let options = prop::sample::select(vec![
        json!({}),
        json!({"performance.cache-size": "64MB", "performance.readdir-ahead": "off"}),
    ]);
    let profile = prop::sample::select(vec![
        "default",
        "database",
        "virtual-machines",
        "small-files",
    ]);
    let claim = prop::sample::select(vec!["none", "ReadWriteOnce", "ReadWriteMany"]);
    (layout, options, profile, prop::option::of(1_u32..9), claim).prop_map(
        |(layout, options, profile, size, claim)| {
            let mut spec = json!({"layout": layout, "options": options, "profile": profile});
            if let Some(size) = size {
                spec["capacity"] = json!(format!("{size}Gi"));
                if claim != "none" {
                    spec["claim"] = json!({"name": "c", "accessModes": [claim]});
                }
            }
            spec
        },
    )
}

proptest! {
    #![proptest_config(config(150))]

    /// From a start where any of the steps were done, cut off after any step of any plan: the end is what the spec says.
    #[test]
    fn every_start_ends_as_declared(spec in specs(), nodes in 4_usize..7, done in prop::collection::vec(any::<bool>(), 9), cuts in prop::collection::vec(0_usize..7, 0..4)) {
        let cluster = cluster(nodes, json!({}));
        let want = want(&cluster, spec, &[]);
        let mut world = World::settled(&cluster);
        for (step, done) in plan(&world, &want, &cluster).steps.iter().zip(done) {
            if done {
                let _ = world.take(step); // what gluster would refuse was not done
            }
        }
        for cut in cuts {
            let plan = plan(&world, &want, &cluster);
            is_safe(&plan, &world, &want);
            for step in plan.steps.iter().take(cut) {
                world.take(step).map_err(TestCaseError::fail)?;
            }
        }
        // started without its first options, by somebody else: closed then, it would break mounts
        let opened = world.volume.as_ref().is_some_and(|(volume, _)| volume.status == VolumeStatus::Started && !volume.options.contains_key("client.bind-insecure"));
        let end = settle(&mut world, &want, &cluster);
        if opened && want.shard.is_some() {
            // it may have files by now, which are whole
            prop_assert_eq!(reason(&end, ConditionType::InSync), Some(Reason::LayoutDiffers));
            return Ok(());
        }
        as_declared(&end, &world, &want);
        let closed = world.volume.as_ref().unwrap().0.options.get(CLOSED).is_some_and(|value| value == "off");
        prop_assert!(closed || opened);
        let bricks = world.volume.as_ref().unwrap().0.bricks.len();
        prop_assert_eq!(world.bricks.len(), bricks, "something half made stayed: {:?}", world.bricks);
    }

    /// Hosts fall silent and come back between steps, a creation reaches one host alone: nothing is done on a guess, and when all are
    /// back it ends as declared.
    #[test]
    fn silence_is_never_taken_for_absence(
        spec in specs(), nodes in 3_usize..7,
        events in prop::collection::vec((0_usize..7, prop::option::of(any::<bool>()), 0_usize..4, any::<bool>()), 1..8),
    ) {
        let cluster = cluster(nodes, json!({}));
        let want = want(&cluster, spec, &[]);
        let mut world = World::settled(&cluster);
        for (which, silent, steps, torn) in events {
            let name = host(&format!("n{}", which % nodes + 1));
            world.hosts.get_mut(&name).unwrap().silent = silent;
            let plan = plan(&world, &want, &cluster);
            is_safe(&plan, &world, &want);
            for step in plan.steps.iter().take(steps) {
                world.take(step).map_err(TestCaseError::fail)?;
                if let (Step::CreateVolume { .. }, true, Some((_, known))) = (step, torn, &mut world.volume) {
                    // the host that it ran on wrote it down, and was cut off before the others did
                    let alone = world.hosts.keys().find(|name| world.hosts[*name].silent.is_none()).unwrap().clone();
                    *known = [alone.clone()].into();
                    world.hosts.get_mut(&alone).unwrap().silent = Some(false);
                    break;
                }
            }
        }
        for host in world.hosts.values_mut() {
            host.silent = None;
        }
        let names: BTreeSet<_> = world.hosts.keys().cloned().collect();
        if let Some((_, known)) = &mut world.volume && *known != names {
            let torn = plan(&world, &want, &cluster);
            prop_assert!(torn.steps.is_empty());
            prop_assert_eq!(reason(&torn, ConditionType::Ready), Some(Reason::GhostVolume));
            if let Some((_, known)) = &mut world.volume {
                *known = names; // gluster tells its peers
            }
        }
        let fits = nodes >= want.set_size() as usize;
        let end = settle(&mut world, &want, &cluster);
        if fits {
            as_declared(&end, &world, &want);
            let bricks = world.volume.as_ref().unwrap().0.bricks.len();
            prop_assert_eq!(world.bricks.len(), bricks, "something half made stayed: {:?}", world.bricks);
        } else {
            prop_assert_eq!(reason(&end, ConditionType::Ready), Some(Reason::DoesNotFit));
            prop_assert!(world.bricks.is_empty());
        }
    }

    /// One brick with somebody else's mark, and no step is taken on the volume.
    #[test]
    fn a_foreign_mark_forbids_every_step(spec in specs(), at in 0_usize..4, other_program in any::<bool>(), started in any::<bool>()) {
        let cluster = cluster(4, json!({}));
        let want = want(&cluster, spec, &[]);
        let mut world = World::settled(&cluster);
        settle(&mut world, &want, &cluster);
        let (volume, _) = world.volume.as_mut().unwrap();
        volume.options.clear(); // much would be left to do
        if !started {
            volume.status = VolumeStatus::Stopped;
        }
        let foreign: OwnerMark = format!("v1:{}:{}:shop/other:{}", super::world::KUBE, super::world::KUBE, super::world::UID).parse().unwrap();
        let count = world.bricks.len();
        if let Some(BrickFacts::Present { owner, foreign_mark, .. }) = world.bricks.values_mut().nth(at % count) {
            *foreign_mark = other_program;
            *owner = (!other_program).then_some(foreign);
        }
        let found = plan(&world, &want, &cluster);
        prop_assert!(found.steps.is_empty(), "{:?}", found.steps);
        prop_assert_eq!(reason(&found, ConditionType::Owned), Some(Reason::NotOwned));
        // nor is it deleted
        let going = world.with(&want, &cluster, |situation| deletion::plan(&want, situation, &[]));
        prop_assert!(matches!(going, Deletion::Going(plan) if plan.steps.is_empty()));
    }

    /// Deleting, cut off anywhere, ends with nothing left; while a host is silent, or a brick is not ours, nothing goes.
    #[test]
    fn deletion_ends_and_never_guesses(mut spec in specs(), cuts in prop::collection::vec(0_usize..5, 0..4), silent in prop::option::of((0_usize..5, any::<bool>()))) {
        spec["deletionPolicy"] = json!("Delete");
        let cluster = cluster(5, json!({}));
        let want = want(&cluster, spec, &[]);
        let mut world = World::settled(&cluster);
        settle(&mut world, &want, &cluster);
        let going = |world: &World, users: &[PodUse]| match world.with(&want, &cluster, |situation| deletion::plan(&want, situation, users)) {
            Deletion::Done => None,
            Deletion::Going(plan) => Some(plan),
        };
        let user = PodUse { pod: "shop/p".into(), node: "k".into(), finished: false, deleting: true };
        prop_assert!(going(&world, &[user]).unwrap().steps.is_empty(), "a pod uses it");
        for cut in cuts {
            for step in going(&world, &[]).into_iter().flat_map(|plan| plan.steps).take(cut) {
                world.take(&step).map_err(TestCaseError::fail)?;
            }
            if let Some((which, believed)) = silent {
                let name = host(&format!("n{}", which + 1));
                world.hosts.get_mut(&name).unwrap().silent = Some(believed);
                let waits = going(&world, &[]);
                prop_assert!(waits.as_ref().is_some_and(|plan| plan.steps.is_empty()), "{waits:?}");
                world.hosts.get_mut(&name).unwrap().silent = None;
            }
        }
        for _ in 0..5 {
            for step in going(&world, &[]).into_iter().flat_map(|plan| plan.steps) {
                world.take(&step).map_err(TestCaseError::fail)?;
            }
        }
        prop_assert_eq!(going(&world, &[]), None);
        prop_assert!(world.volume.is_none() && world.bricks.is_empty());
    }
}

/// A brick that does not run is started once, and then left alone for a while: the condition says where to look.
#[test]
fn a_brick_that_does_not_start_is_not_started_for_ever() {
    use std::time::Duration;
    let (world, cluster, spec) = ready(json!({"layout": {"replicate": {"copies": 3}}}), 3);
    let want = want(&cluster, spec, &[]);
    let mut view = world.view(&cluster);
    if let Some(gluster_operator::gluster::model::HostView::Answered(facts)) =
        view.hosts.get_mut(&host("n2"))
    {
        let bricks = &mut facts.state.volumes[0].bricks;
        let own = bricks.iter_mut().find(|brick| brick.host == "n2");
        own.unwrap().online = Some(false);
    }
    let planned = |start_tried| {
        world.with(&want, &cluster, |situation| {
            let mut seen = situation.view.clone();
            seen.start_tried = start_tried;
            volume::plan(
                &want,
                volume::Situation {
                    pool: &view,
                    view: &seen,
                    ..situation
                },
            )
        })
    };
    let tried = |ago, times| {
        let ago = Duration::from_secs(ago);
        Some(StartTried { ago, times })
    };
    for age in [
        None,
        tried(31, 1),
        tried(61, 2),
        tried(301, 5),
        tried(301, 999),
    ] {
        let found = planned(age);
        assert!(
            matches!(found.steps.as_slice(), [Step::StartBricks(_)]),
            "{age:?}: {:?}",
            found.steps
        );
    }
    for age in [tried(29, 1), tried(59, 2), tried(299, 5), tried(299, 999)] {
        let found = planned(age);
        assert!(found.steps.is_empty() && found.recheck.is_some(), "{age:?}");
    }
    let found = planned(tried(1, 1));
    for kind in [ConditionType::Healthy, ConditionType::InSync] {
        let finding = found.findings.iter().rfind(|finding| finding.kind == kind);
        let finding = finding.unwrap();
        assert_eq!(
            (finding.holds, finding.reason),
            (Some(false), Reason::BrickDown)
        );
        assert!(
            finding.message.contains("n2:/b/shop_data-0000000d/brick")
                && finding
                    .message
                    .contains("/var/log/glusterfs/bricks/b-shop_data-0000000d-brick.log"),
            "{}",
            finding.message
        );
    }
    assert_eq!(
        holds(&found, ConditionType::Ready),
        Some(true),
        "two of three run"
    );
}

/// Sharding that is not as declared is never changed once a volume may have data.
#[test]
fn shards_of_a_volume_with_data_are_left_alone() {
    for (had, wanted) in [
        (Some("8Mi"), None),
        (None, Some("8Mi")),
        (Some("8Mi"), Some("16Mi")),
    ] {
        let spec = |blocks: Option<&str>| match blocks {
            Some(size) => json!({"layout": {"distribute": 1, "shard": {"blockSize": size}}}),
            None => json!({"layout": {"distribute": 1}}),
        };
        let (mut world, cluster, _) = ready(spec(had), 3);
        let next = want(
            &cluster,
            spec(wanted),
            &["features.shard", "features.shard-block-size"],
        );
        for status in [VolumeStatus::Started, VolumeStatus::Stopped] {
            world.volume.as_mut().unwrap().0.status = status;
            let found = plan(&world, &next, &cluster);
            assert!(found.steps.is_empty(), "{:?}", found.steps);
            assert_eq!(
                reason(&found, ConditionType::InSync),
                Some(Reason::LayoutDiffers)
            );
        }
    }
}

/// A volume was retained, its object made again, and the deletion of that one cut off between the volume and its bricks: they lie in
/// directories that are named after the object of before.
#[test]
fn bricks_that_an_older_object_named_are_found_by_their_mark() {
    let cluster = cluster(3, json!({}));
    let want = want(
        &cluster,
        json!({"layout": {"replicate": {"copies": 3}}, "deletionPolicy": "Delete"}),
        &[],
    );
    let brick = |node: usize, id: &str| format!("n{node}:/b/shop_data-{id}/brick").parse().unwrap();
    let facts = |owner: &OwnerMark| BrickFacts::Present {
        owner: Some(owner.clone()),
        foreign_mark: false,
        volume_id: Some("id-0".into()),
        empty: false,
    };
    let old = want
        .mark
        .as_str()
        .replace(super::world::VOLUME_UID, super::world::UID);
    let old: OwnerMark = old.parse().unwrap();
    let mut world = World::settled(&cluster);
    for node in 1..=3 {
        world
            .bricks
            .insert(brick(node, "0badcafe"), facts(&want.mark));
        // what the object of before retained, and nobody took back
        world.bricks.insert(brick(node, "00000001"), facts(&old));
    }
    let going = |world: &World| {
        world.with(&want, &cluster, |situation| {
            deletion::plan(&want, situation, &[])
        })
    };
    let Deletion::Going(found) = going(&world) else {
        panic!("bricks are left");
    };
    let [Step::TrashBricks { places, name }] = &found.steps[..] else {
        panic!("{:?}", found.steps);
    };
    assert_eq!((places.len(), name.as_str()), (3, "shop_data-0badcafe"));
    // a person made another volume of them: its bricks run
    let of_person = |id: &str, path: &str| {
        world.with(&want, &cluster, |situation| {
            let mut pool = situation.pool.clone();
            let Some(HostView::Answered(facts)) = pool.hosts.get_mut(&host("n3")) else {
                panic!("n3 answers");
            };
            facts.state.volumes.push(Volume {
                name: "mine".into(),
                id: id.into(),
                bricks: vec![VolumeBrick {
                    host: "n3".into(),
                    path: path.into(),
                    online: Some(true),
                    port: None,
                    arbiter: false,
                }],
                ..Volume::default()
            });
            let situation = Situation {
                pool: &pool,
                ..situation
            };
            deletion::plan(&want, situation, &[])
        })
    };
    for (id, path) in [
        ("id-0", "/b/elsewhere"),
        ("id-1", "/b/shop_data-0badcafe/brick"),
    ] {
        let Deletion::Going(used) = of_person(id, path) else {
            panic!("bricks are left");
        };
        assert!(used.steps.is_empty(), "{:?}", used.steps);
        let text = &used.findings.last().unwrap().message;
        assert!(text.contains("volume mine"), "{text}");
    }
    world.take(&found.steps[0]).unwrap();
    assert_eq!(going(&world), Deletion::Done);
    assert_eq!(world.bricks.len(), 3, "those of the object of before stay");
    // a device that could not be searched: unknown is not absent
    world.hosts.get_mut(&host("n2")).unwrap().silent = Some(false);
    let Deletion::Going(found) = going(&world) else {
        panic!("n2 is silent");
    };
    assert!(found.steps.is_empty());
    let text = &found.findings.last().unwrap().message;
    assert!(
        text.contains("n2") && text.contains("set spec.deletionPolicy to Retain"),
        "{text}"
    );
}

/// What somebody made in a directory of ours goes along when that is moved to the trash: so it keeps the volume.
#[test]
fn a_brick_of_another_volume_beside_ours_keeps_it_from_the_trash() {
    let spec = json!({"layout": {"replicate": {"copies": 3}}, "deletionPolicy": "Delete"});
    let (world, cluster, spec) = ready(spec, 3);
    let want = want(&cluster, spec, &[]);
    let brick = world.volume.as_ref().unwrap().0.bricks[1].clone();
    let parent = brick.path.strip_suffix("/brick").unwrap().to_owned();
    let with = |path: &str| {
        world.with(&want, &cluster, |situation| {
            let mut pool = situation.pool.clone();
            for view in pool.hosts.values_mut() {
                let HostView::Answered(facts) = view else {
                    panic!("all answer");
                };
                let other = VolumeBrick {
                    path: path.into(),
                    ..brick.clone()
                };
                facts.state.volumes.push(Volume {
                    name: "other".into(),
                    id: "id-other".into(),
                    bricks: vec![other],
                    ..Volume::default()
                });
            }
            let situation = Situation {
                pool: &pool,
                ..situation
            };
            let Deletion::Going(found) = deletion::plan(&want, situation, &[]) else {
                panic!("it is there");
            };
            found
        })
    };
    let found = with(&format!("{parent}/extra"));
    assert!(found.steps.is_empty(), "{:?}", found.steps);
    let message = &found.findings.last().unwrap().message;
    assert!(
        message.contains(&parent) && message.contains("volume other"),
        "{message}"
    );
    let found = with(&format!("{parent}-2/extra"));
    assert!(
        matches!(found.steps.last(), Some(Step::TrashBricks { .. })),
        "{found:?}"
    );
    // and none is made there: of a name that we give, whosever it is
    let taken: BTreeSet<_> = [format!("n2:{parent}/extra")].into();
    let exact = json!({"layout": {"distribute": 1}, "bricks": taken, "volumeName": "shop_more"});
    let exact = super::world::want(&cluster, exact, &[]);
    let refused = plan(&world, &exact, &cluster);
    assert_eq!(
        reason(&refused, ConditionType::Ready),
        Some(Reason::DoesNotFit),
        "{refused:?}"
    );
}

/// A host that is to join and can't keeps new volumes waiting, and no volume that is there from anything.
#[test]
fn a_host_that_can_not_join_keeps_nothing_from_volumes_that_are_there() {
    let spec = json!({"layout": {"replicate": {"copies": 3}}, "capacity": "1Gi"});
    let (mut world, small, spec) = ready(spec, 3);
    let cluster = cluster(4, json!({}));
    let newcomer = World::lone(&cluster).hosts[&host("n4")].clone();
    world.hosts.insert(host("n4"), newcomer);
    let there = want(&cluster, spec.clone(), &[]);
    assert_eq!(there.volume, want(&small, spec, &[]).volume);
    let found = plan(&world, &there, &cluster);
    assert!(found.steps.is_empty(), "{:?}", found.steps);
    for kind in [ConditionType::Ready, ConditionType::InSync] {
        assert_eq!(holds(&found, kind), Some(true), "{:?}", found.findings);
    }
    world.limit = None;
    let found = plan(&world, &there, &cluster);
    assert!(
        matches!(found.steps.as_slice(), [Step::LimitUsage(..)]),
        "{:?}",
        found.steps
    );
    let gone = json!({"layout": {"replicate": {"copies": 3}}, "capacity": "1Gi", "deletionPolicy": "Delete"});
    let gone = want(&cluster, gone, &[]);
    let Deletion::Going(going) = world.with(&gone, &cluster, |situation| {
        deletion::plan(&gone, situation, &[])
    }) else {
        panic!("it is there");
    };
    // and ends, though the volume is not there any more
    let mut left = world.clone();
    for step in &going.steps {
        let rest = world.with(&gone, &cluster, |situation| {
            deletion::plan(&gone, situation, &[])
        });
        assert!(
            matches!(&rest, Deletion::Going(rest) if !rest.steps.is_empty()),
            "{step:?}: {rest:?}"
        );
        left = world.clone();
        world.take(step).unwrap();
    }
    assert!(left.volume.is_none() && !left.bricks.is_empty());
    let end = world.with(&gone, &cluster, |situation| {
        deletion::plan(&gone, situation, &[])
    });
    assert_eq!(end, Deletion::Done);
    let new = want(
        &cluster,
        json!({"layout": {"distribute": 1}, "volumeName": "shop_new"}),
        &[],
    );
    world.volume = None;
    let waits = plan(&world, &new, &cluster);
    assert!(waits.steps.is_empty(), "{:?}", waits.steps);
    let message = &waits.findings[0].message;
    assert!(
        message.contains("is being set up: probing peer n4"),
        "{message}"
    );
}

pub fn ready(spec: Value, nodes: usize) -> (World, ValidCluster, Value) {
    let cluster = cluster(nodes, json!({}));
    let first = want(&cluster, spec.clone(), &[]);
    let mut world = World::settled(&cluster);
    settle(&mut world, &first, &cluster);
    (world, cluster, spec)
}

#[test]
fn only_owned_options_are_reset() {
    let (mut world, cluster, _) = ready(
        json!({"layout": {"distribute": 1}, "options": {"performance.cache-size": "64MB", "performance.io-thread-count": "8"}}),
        3,
    );
    world
        .volume
        .as_mut()
        .unwrap()
        .0
        .options
        .insert("performance.readdir-ahead".into(), "off".into());
    // status names ours, one that a user may never set, and one that is set no more
    let owned = [
        "performance.cache-size",
        "performance.io-thread-count",
        "auth.allow",
        "performance.gone",
    ];
    let next = want(
        &cluster,
        json!({"layout": {"distribute": 1}, "options": {"performance.io-thread-count": "16"}}),
        &owned,
    );
    let steps = plan(&world, &next, &cluster).steps;
    let reset: Vec<_> = steps
        .iter()
        .filter_map(|step| {
            if let Step::ResetOption { key, .. } = step {
                Some(key.as_str())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(reset, ["performance.cache-size"]);
    for (key, value) in [("nfs.disable", "on"), ("transport.address-family", "inet")] {
        let (volume, _) = world.volume.as_mut().unwrap();
        volume.options.insert(key.into(), value.into()); // as gluster itself does
    }
    let end = settle(&mut world, &next, &cluster);
    let in_sync = end
        .findings
        .iter()
        .rfind(|finding| finding.kind == ConditionType::InSync);
    assert_eq!(
        in_sync.unwrap().message,
        "everything is as declared; options that others have set are left alone: performance.readdir-ahead"
    );
    let options = &world.volume.as_ref().unwrap().0.options;
    assert_eq!(
        options["performance.readdir-ahead"], "off",
        "somebody else's"
    );
    assert_eq!(options["performance.io-thread-count"], "16");
    assert_eq!(options["auth.allow"], "*");
    assert!(!options.contains_key("performance.cache-size"));
}

/// From one profile to another: what the new one does not set is reset, what a user sets himself is not, and never what is on
/// the never-list, whatever status says.
#[test]
fn a_profile_that_left_takes_its_options_along() {
    let spec = |profile: &str, options: Value| json!({"layout": {"distribute": 1}, "profile": profile, "options": options});
    let (mut world, cluster, _) = ready(spec("small-files", json!({})), 3);
    let before = world.volume.as_ref().unwrap().0.options.clone();
    assert_eq!(before["performance.nl-cache"], "on");
    let mut owned: Vec<&str> = before.keys().map(String::as_str).collect();
    owned.extend(["features.shard", "user.x"]); // status was written by somebody else
    if let Some((volume, _)) = world.volume.as_mut() {
        volume.options.insert("features.shard".into(), "off".into());
    }
    let next = spec("database", json!({"performance.nl-cache-timeout": "120"}));
    let next = want(&cluster, next, &owned);
    settle(&mut world, &next, &cluster);
    let options = &world.volume.as_ref().unwrap().0.options;
    for (key, value) in [
        ("performance.nl-cache-timeout", Some("120")),
        ("performance.nl-cache", None),
        ("features.cache-invalidation", None),
        ("network.ping-timeout", Some("10")),
        ("client.bind-insecure", Some("off")),
        ("features.shard", Some("off")),
    ] {
        assert_eq!(options.get(key).map(String::as_str), value, "{key}");
    }
}

#[test]
fn capacities() {
    let gi = |n: u64| Some(n << 30);
    for (name, before, used, after, limit, reason_after) in [
        ("grows", gi(2), 0, gi(3), gi(3), Reason::AsDeclared),
        (
            "shrinks above what is used",
            gi(3),
            1 << 30,
            gi(2),
            gi(2),
            Reason::AsDeclared,
        ),
        (
            "shrinks to what is used",
            gi(3),
            1 << 30,
            gi(1),
            gi(1),
            Reason::AsDeclared,
        ),
        (
            "shrinks below what is used",
            gi(3),
            2 << 30,
            gi(1),
            gi(3),
            Reason::CapacityBelowUsage,
        ),
        (
            "grows though more is used",
            gi(1),
            2 << 30,
            gi(2),
            gi(2),
            Reason::AsDeclared,
        ),
        ("comes", None, 0, gi(2), gi(2), Reason::AsDeclared),
        ("goes", gi(2), 0, None, None, Reason::AsDeclared),
        ("stays", gi(2), 5 << 30, gi(2), gi(2), Reason::AsDeclared),
    ] {
        let spec = |bytes: Option<u64>| match bytes {
            Some(bytes) => json!({"layout": {"distribute": 1}, "capacity": bytes.to_string()}),
            None => json!({"layout": {"distribute": 1}}),
        };
        let (mut world, cluster, _) = ready(spec(before), 3);
        world.used = used;
        let end = settle(&mut world, &want(&cluster, spec(after), &[]), &cluster);
        assert_eq!(world.limit, limit, "{name}");
        assert_eq!(
            reason(&end, ConditionType::InSync),
            Some(reason_after),
            "{name}"
        );
        assert_eq!(holds(&end, ConditionType::Ready), Some(true), "{name}");
    }
    // switched on, and no limit yet: nobody may believe that there is one
    let (mut world, cluster, spec) =
        ready(json!({"layout": {"distribute": 1}, "capacity": "2Gi"}), 3);
    world.limit = None;
    let found = plan(&world, &want(&cluster, spec, &[]), &cluster);
    assert_eq!(holds(&found, ConditionType::Ready), Some(false));
    assert!(matches!(found.steps.as_slice(), [Step::LimitUsage(..)]));
}

/// A limit that can't be read while a host is silent stands, when it is the one that was set; anything else is not known.
#[test]
fn a_limit_that_was_known_stands_while_it_cant_be_read() {
    let (world, cluster, spec) = ready(
        json!({"layout": {"replicate": {"copies": 3}}, "capacity": "2Gi"}),
        3,
    );
    let want = want(&cluster, spec, &[]);
    for (before, holds_then) in [
        (Some(2 << 30), Some(true)),
        (Some(1 << 30), None),
        (None, None),
    ] {
        let found = world.with(&want, &cluster, |situation| {
            let view = VolumeView {
                quota: QuotaView::Unknown,
                limit_before: before.map(Bytes),
                ..situation.view.clone()
            };
            let situation = Situation {
                view: &view,
                ..situation
            };
            volume::plan(&want, situation)
        });
        assert_eq!(found.steps, []);
        assert!(found.recheck.is_some());
        assert_eq!(
            holds(&found, ConditionType::InSync),
            holds_then,
            "{before:?}"
        );
        assert_eq!(
            holds(&found, ConditionType::Ready),
            Some(true),
            "{before:?}"
        );
    }
}

/// A switch that did not reach every host is told, with the remedy, and not thrown again; nor is the limit touched.
#[test]
fn hosts_that_differ_on_quota_are_named() {
    let (world, cluster, spec) = ready(
        json!({"layout": {"replicate": {"copies": 3}}, "capacity": "2Gi"}),
        3,
    );
    let want = want(&cluster, spec, &[]);
    let mut pool = world.view(&cluster);
    let Some(HostView::Answered(facts)) = pool.hosts.get_mut(&host("n2")) else {
        panic!("n2 is silent");
    };
    facts.state.volumes[0]
        .options
        .insert("features.quota".into(), "off".into());
    let found = world.with(&want, &cluster, |situation| {
        volume::plan(
            &want,
            Situation {
                pool: &pool,
                ..situation
            },
        )
    });
    assert_eq!(found.steps, []);
    assert_eq!(
        reason(&found, ConditionType::InSync),
        Some(Reason::QuotaDiffers)
    );
    let said = &found
        .findings
        .iter()
        .rev()
        .find(|f| f.kind == ConditionType::InSync)
        .unwrap()
        .message;
    assert!(said.contains("on for n1, n3 and off for n2"), "{said}");
}

/// While quota counts what is there nobody shuts its crawl out, and the limit does not wait for it.
#[test]
fn a_crawl_is_neither_disturbed_nor_waited_for() {
    for crawling in [Some(true), None] {
        let spec = |size: &str| json!({"layout": {"distribute": 1}, "capacity": size});
        let cluster = cluster(3, json!({}));
        let first = want(&cluster, spec("1Gi"), &[]);
        let mut world = World::settled(&cluster);
        world.crawling = crawling;
        let waits = settle(&mut world, &first, &cluster);
        assert_eq!(
            reason(&waits, ConditionType::InSync),
            Some(Reason::QuotaCrawl)
        );
        assert!(waits.recheck.is_some());
        assert_eq!(world.limit, Some(1 << 30));
        assert!(
            !world
                .volume
                .as_ref()
                .unwrap()
                .0
                .options
                .contains_key(CLOSED)
        );
        settle(&mut world, &want(&cluster, spec("2Gi"), &[]), &cluster);
        assert_eq!(world.limit, Some(2 << 30), "an edit is not held up");
        world.limit = None;
        settle(&mut world, &first, &cluster);
        assert_eq!(world.limit, Some(1 << 30), "nor what a crash left out");
        world.crawling = Some(false);
        let end = settle(&mut world, &first, &cluster);
        as_declared(&end, &world, &first);
        assert_eq!(world.volume.as_ref().unwrap().0.options[CLOSED], "off");
        // without a limit there is nothing to crawl for; with one again, the door opens before the crawl comes
        let (mut world, cluster, _) = ready(json!({"layout": {"distribute": 1}}), 3);
        assert_eq!(world.volume.as_ref().unwrap().0.options[CLOSED], "off");
        settle(&mut world, &want(&cluster, spec("1Gi"), &[]), &cluster);
        assert_eq!(world.limit, Some(1 << 30));
        assert_eq!(world.volume.as_ref().unwrap().0.options[CLOSED], "off");
    }
}

#[test]
fn ghosts_are_left_alone() {
    let (mut world, cluster, spec) = ready(json!({"layout": {"replicate": {"copies": 3}}}), 3);
    let want = want(&cluster, spec, &[]);
    world.volume.as_mut().unwrap().1.remove(&host("n2"));
    let found = plan(&world, &want, &cluster);
    assert!(found.steps.is_empty());
    assert_eq!(
        reason(&found, ConditionType::Ready),
        Some(Reason::GhostVolume)
    );
    let told = |found: &Plan| {
        let mut ready = found.findings.iter();
        let ready = ready.find(|finding| finding.kind == ConditionType::Ready);
        ready.unwrap().message.clone()
    };
    assert!(
        told(&found).contains("restart glusterd on n2"),
        "{}",
        told(&found)
    );
    // what was never started and is on one host alone is what a failed create leaves
    let (volume, known) = world.volume.as_mut().unwrap();
    volume.status = VolumeStatus::Created;
    *known = BTreeSet::from([host("n3")]);
    let found = plan(&world, &want, &cluster);
    assert!(found.steps.is_empty());
    assert!(
        told(&found).contains("one command on n3")
            && told(&found).contains("rm -r /var/lib/glusterd/vols/shop_data "),
        "{}",
        told(&found)
    );
    let (volume, known) = world.volume.as_mut().unwrap();
    volume.status = VolumeStatus::Started;
    *known = (1..=3).map(|n| host(&format!("n{n}"))).collect();
    // two volumes of one name
    let mut view = world.view(&cluster);
    if let Some(gluster_operator::gluster::model::HostView::Answered(facts)) =
        view.hosts.get_mut(&host("n3"))
    {
        facts.state.volumes[0].id = "id-2".into();
    }
    let inspected = world.inspect(&want, &cluster);
    let found = world.with(&want, &cluster, |situation| {
        volume::plan(
            &want,
            volume::Situation {
                pool: &view,
                view: &inspected,
                ..situation
            },
        )
    });
    assert!(found.steps.is_empty());
    assert_eq!(
        reason(&found, ConditionType::Ready),
        Some(Reason::GhostVolume)
    );
}

/// A host that answers us, and that its peers do not reach.
fn cut_off(view: &mut gluster_operator::gluster::model::PoolView, name: &str) {
    let lost = view.facts(&host(name)).unwrap().state.uuid.clone().unwrap();
    for (this, seen) in &mut view.hosts {
        if let HostView::Answered(facts) = seen {
            for peer in &mut facts.state.peers {
                peer.connected = this.as_str() != name && peer.uuid != lost;
            }
        }
    }
}

/// It misses what is done meanwhile: neither a ghost nor a disagreement is made of that.
#[test]
fn a_host_that_is_cut_off_is_behind_and_nothing_more() {
    let (world, cluster, spec) = ready(json!({"layout": {"replicate": {"copies": 3}}}), 3);
    let want = want(&cluster, spec, &[]);
    let look = |view: &gluster_operator::gluster::model::PoolView| {
        world.with(&want, &cluster, |situation| {
            volume::plan(
                &want,
                Situation {
                    pool: view,
                    ..situation
                },
            )
        })
    };
    for name in ["n1", "n2", "n3"] {
        let mut view = world.view(&cluster);
        cut_off(&mut view, name);
        let Some(HostView::Answered(facts)) = view.hosts.get_mut(&host(name)) else {
            unreachable!()
        };
        facts.state.volumes[0].options.remove("auth.allow");
        let found = look(&view);
        assert!(found.steps.is_empty(), "{:?}", found.steps);
        assert_eq!(
            reason(&found, ConditionType::Ready),
            Some(Reason::AsDeclared)
        );
        assert_eq!(
            reason(&found, ConditionType::InSync),
            Some(Reason::AsDeclared)
        );
        let healthy = found
            .findings
            .iter()
            .find(|f| f.kind == ConditionType::Healthy);
        let healthy = healthy.unwrap();
        assert_eq!(
            (healthy.holds, healthy.reason),
            (Some(false), Reason::PeersDisconnected)
        );
        assert!(healthy.message.contains(name), "{}", healthy.message);
        // a volume that was made meanwhile
        let Some(HostView::Answered(facts)) = view.hosts.get_mut(&host(name)) else {
            unreachable!()
        };
        facts.state.volumes.clear();
        let found = look(&view);
        assert_eq!(
            reason(&found, ConditionType::Ready),
            Some(Reason::AsDeclared)
        );
        // a volume that it alone knows is not made again by the others
        let mut view = world.view(&cluster);
        cut_off(&mut view, name);
        for (this, seen) in &mut view.hosts {
            if let HostView::Answered(facts) = seen
                && this.as_str() != name
            {
                facts.state.volumes.clear();
            }
        }
        let found = look(&view);
        assert!(found.steps.is_empty(), "{:?}", found.steps);
        assert_eq!(
            reason(&found, ConditionType::Ready),
            Some(Reason::PeersDisconnected)
        );
    }
}

#[test]
fn a_full_device_is_told_by_the_pool_and_by_the_volume() {
    use gluster_operator::gluster::model::DeviceFacts;
    let (world, cluster, spec) = ready(json!({"layout": {"replicate": {"copies": 3}}}), 3);
    let want = want(&cluster, spec, &[]);
    let mut view = world.view(&cluster);
    let Some(HostView::Answered(facts)) = view.hosts.get_mut(&host("n2")) else {
        unreachable!()
    };
    for device in facts.devices.values_mut() {
        if let DeviceFacts::Present { size, free, .. } = device {
            free.0 = size.0 / 100;
        }
    }
    let pool = gluster_operator::plan::cluster::plan(&cluster, &view);
    assert_eq!(
        reason(&pool, ConditionType::DevicesReady),
        Some(Reason::DeviceFull)
    );
    assert_eq!(
        reason(&pool, ConditionType::Ready),
        Some(Reason::AsDeclared)
    );
    let found = world.with(&want, &cluster, |situation| {
        volume::plan(
            &want,
            Situation {
                pool: &view,
                ..situation
            },
        )
    });
    assert!(found.steps.is_empty());
    assert_eq!(
        reason(&found, ConditionType::Healthy),
        Some(Reason::DeviceFull)
    );
    assert_eq!(
        reason(&found, ConditionType::Ready),
        Some(Reason::AsDeclared)
    );
}

#[test]
fn nothing_is_sent_while_a_result_is_unknown() {
    let cluster = cluster(3, json!({}));
    let want = want(
        &cluster,
        json!({"layout": {"distribute": 1}, "deletionPolicy": "Delete"}),
        &[],
    );
    let world = World::settled(&cluster);
    let found = world.with(&want, &cluster, |s| {
        volume::plan(
            &want,
            volume::Situation {
                unsettled: Some("a start"),
                ..s
            },
        )
    });
    assert!(found.steps.is_empty());
    assert_eq!(
        reason(&found, ConditionType::InSync),
        Some(Reason::ResultUnknown)
    );
    let going = world.with(&want, &cluster, |s| {
        deletion::plan(
            &want,
            volume::Situation {
                unsettled: Some("a start"),
                ..s
            },
            &[],
        )
    });
    assert!(matches!(going, Deletion::Going(plan) if plan.steps.is_empty()));
}

#[test]
fn bricks_by_name_do_not_lie_in_others() {
    let (world, cluster, _) = ready(json!({"layout": {"distribute": 1}}), 3);
    let taken = world.bricks.keys().next().unwrap().clone();
    for (path, fits) in [
        (format!("{}/x", taken.path), false),
        (
            format!("/b/{}", taken.path.as_str().split('/').nth(2).unwrap()),
            false,
        ),
        ("/b/fine".into(), true),
    ] {
        let spec = json!({"layout": {"distribute": 1}, "volumeName": "shop_other", "bricks": [format!("{}:{path}", taken.host)]});
        let want = want(&cluster, spec, &[]);
        let found = plan(&world, &want, &cluster);
        assert_eq!(
            !found.steps.is_empty(),
            fits,
            "{path}: {:?}",
            found.findings
        );
    }
}

/// Who names bricks by hand gives them the same path on each host, of different volumes, too.
#[test]
fn bricks_by_name_may_have_the_path_of_one_on_another_host() {
    let spec = json!({"layout": {"distribute": 1}, "bricks": ["n1:/b/x"]});
    let (world, cluster, _) = ready(spec, 3);
    let other =
        json!({"layout": {"distribute": 1}, "volumeName": "shop_other", "bricks": ["n2:/b/x"]});
    let found = plan(&world, &want(&cluster, other, &[]), &cluster);
    assert!(!found.steps.is_empty(), "{:?}", found.findings);
}

#[test]
fn what_is_dangerous_is_told() {
    let (two, open) = (EventReason::TwoCopies, EventReason::OpenToNetwork);
    let copies = |copies| json!({"layout": {"replicate": {"copies": copies}}});
    let with = |mode: &str| {
        json!({
            "layout": {"replicate": {"copies": 3}}, "capacity": "1Gi", "claim": {"name": "c", "accessModes": [mode]},
        })
    };
    let known = json!({"clients": {"addresses": ["10.0.*"]}});
    let any = json!({"clients": {"addresses": ["10.0.0.1", "*"]}});
    for (clients, spec, told) in [
        (json!({}), copies(2), &[two, open][..]),
        (json!({}), copies(3), &[open]),
        (known.clone(), copies(2), &[two]),
        (known.clone(), copies(3), &[]),
        (known, json!({"layout": {"distribute": 2}}), &[]),
        (json!({}), with("ReadWriteMany"), &[open]),
        (json!({}), with("ReadWriteOnce"), &[]),
        (any, copies(3), &[open]),
    ] {
        let cluster = cluster(3, clients.clone());
        let found = volume::warnings(&want(&cluster, spec.clone(), &[]));
        let reasons: Vec<EventReason> = found.iter().map(|(reason, _)| *reason).collect();
        assert_eq!(reasons, told, "{clients} {spec}");
    }
}
