//! A limit that comes where there was none: set where what the bricks hold fits into it, and not by guess.

use gluster_operator::api::condition::{ConditionType, Reason};
use gluster_operator::gluster::model::BrickFacts;
use gluster_operator::gluster::names::Bytes;
use gluster_operator::gluster::operation::SetShape;
use gluster_operator::plan::quota::needs_count;
use gluster_operator::plan::step::Step;
use gluster_operator::plan::validate::{ValidCluster, ValidVolume};
use gluster_operator::plan::volume;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::volume::{config, plan, reason, settle};
use super::world::{World, cluster, want};

/// A volume without a limit, as declared, whose bricks hold something.
fn with_data(layout: &Value) -> (World, ValidCluster) {
    let cluster = cluster(5, json!({}));
    let mut world = World::settled(&cluster);
    let unlimited = want(&cluster, json!({"layout": layout}), &[]);
    settle(&mut world, &unlimited, &cluster);
    for facts in world.bricks.values_mut() {
        if let BrickFacts::Present { empty, .. } = facts {
            *empty = false;
        }
    }
    (world, cluster)
}

fn limited(cluster: &ValidCluster, layout: &Value, capacity: u64) -> ValidVolume {
    let spec = json!({"layout": layout, "capacity": capacity.to_string()});
    want(cluster, spec, &[])
}

/// Puts `amounts`, one for each set, onto the bricks: of each set so many hold all of it as a write needs, the others have missed
/// a part.
fn fill(world: &mut World, shape: SetShape, amounts: &[u64], missed: u64) {
    let bricks = volume::bricks_of(&world.volume.as_ref().unwrap().0);
    for (set, amount) in bricks.chunks(shape.size() as usize).zip(amounts) {
        let (share, whole) = match shape {
            SetShape::Disperse { data, .. } => (amount.div_ceil(u64::from(data)), data as usize),
            SetShape::Replicate { copies: 3 } => (*amount, 2),
            SetShape::Replicate { .. } | SetShape::Distribute | SetShape::Arbiter => (*amount, 1),
        };
        for (at, brick) in set.iter().enumerate() {
            let held = if shape.is_arbiter(at) {
                0
            } else if at < whole {
                share
            } else {
                share.saturating_sub(missed)
            };
            world.held.insert(brick.clone(), Ok(Bytes(held)));
        }
    }
}

fn sent(found: &[Step]) -> bool {
    let limits = |step: &Step| matches!(step, Step::LimitUsage(..));
    let enables = |step: &Step| matches!(step, Step::EnableQuota(_));
    assert_eq!(
        found.iter().any(limits),
        found.iter().any(enables),
        "{found:?}"
    );
    found.iter().any(limits)
}

proptest! {
    #![proptest_config(config(300))]

    /// Whatever the layout, whichever bricks can't be counted: a limit below what is stored is never set, and one that has room is
    /// where enough is known; else it is said why not.
    #[test]
    fn a_first_limit_is_never_below_what_is_there(
        layout in prop::sample::select(vec![
            json!({"distribute": 1}),
            json!({"distribute": 3}),
            json!({"distribute": 2, "shard": {}}),
            json!({"replicate": {"copies": 2}}),
            json!({"replicate": {"copies": 3}, "shard": {}}),
            json!({"replicate": {"copies": 2}, "distribute": 2}),
            json!({"replicate": {"copies": 3, "arbiter": true}}),
            json!({"disperse": {"data": 2, "redundancy": 1}}),
            json!({"disperse": {"data": 3, "redundancy": 2}}),
        ]),
        amounts in prop::collection::vec(0_u64..3 << 30, 3),
        missed in 0_u64..1 << 30,
        capacity in (1_u64 << 20)..(8 << 30),
        uncounted in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        left_on in any::<bool>(),
    ) {
        let (mut world, cluster) = with_data(&layout);
        let wish = limited(&cluster, &layout, capacity);
        fill(&mut world, wish.shape, &amounts, missed);
        if left_on {
            // a limit that was removed, or never came though quota did
            world.take(&Step::SetOptions {
                volume: wish.volume.clone(),
                options: [("server.allow-insecure".parse().unwrap(), "on".parse().unwrap())].into(),
                each: false,
            }).unwrap();
            world.take(&Step::EnableQuota(wish.volume.clone())).unwrap();
        }
        let bricks = volume::bricks_of(&world.volume.as_ref().unwrap().0);
        for index in &uncounted {
            world.held.insert(index.get(&bricks).clone(), Err("n9 does not answer".into()));
        }
        let sets = bricks.len() / wish.shape.size() as usize;
        let stored: u64 = amounts.iter().take(sets).sum();
        let found = plan(&world, &wish, &cluster);
        let sends = if left_on {
            found.steps.iter().any(|step| matches!(step, Step::LimitUsage(..)))
        } else {
            sent(&found.steps)
        };
        prop_assert!(!sends || stored <= capacity, "{} stored: {:?}", stored, found.steps);
        let text = found.findings.iter().rev().find(|one| one.kind == ConditionType::InSync).unwrap();
        let fragments = 3; // a fragment is rounded up
        if uncounted.is_empty() {
            prop_assert_eq!(sends, stored + fragments <= capacity || (stored <= capacity && sends));
            if !sends {
                prop_assert_eq!(text.reason, Reason::CapacityBelowUsage);
                prop_assert!(text.message.contains(&Bytes(capacity).to_string()), "{}", text.message);
            }
        } else if !sends && text.reason != Reason::CapacityBelowUsage {
            prop_assert_eq!(text.reason, Reason::Unknown);
            prop_assert!(text.message.contains("n9 does not answer"), "{}", text.message);
            prop_assert!(found.recheck.is_some());
        }
    }
}

/// Which hosts have to be heard: of copies so many that a write can't be on the others alone.
#[test]
fn what_is_stored_is_known_from_enough_bricks() {
    for (layout, silent, known) in [
        (json!({"distribute": 3}), 1, false),
        (json!({"replicate": {"copies": 2}}), 1, false),
        (json!({"replicate": {"copies": 3}}), 1, true),
        (json!({"replicate": {"copies": 3}}), 2, false),
        (
            json!({"replicate": {"copies": 3, "arbiter": true}}),
            1,
            false,
        ),
        (json!({"disperse": {"data": 4, "redundancy": 1}}), 1, true),
        (json!({"disperse": {"data": 2, "redundancy": 1}}), 2, false),
    ] {
        let (mut world, cluster) = with_data(&layout);
        let wish = limited(&cluster, &layout, 2 << 30);
        fill(&mut world, wish.shape, &[1 << 20, 1 << 20, 1 << 20], 0);
        for brick in volume::bricks_of(&world.volume.as_ref().unwrap().0)
            .into_iter()
            .take(silent)
        {
            world.held.insert(brick, Err("no answer".into()));
        }
        let found = plan(&world, &wish, &cluster);
        assert_eq!(
            sent(&found.steps),
            known,
            "{layout} {silent}: {:?}",
            found.findings
        );
    }
}

/// A count goes through all files, so it is asked for only where a limit comes or falls, and never for a volume that is new.
#[test]
fn files_are_counted_only_where_it_matters() {
    let layout = json!({"replicate": {"copies": 3}});
    let asks = |world: &World, cluster: &ValidCluster, capacity: Option<u64>| {
        let wish = match capacity {
            Some(bytes) => limited(cluster, &layout, bytes),
            None => want(cluster, json!({"layout": layout}), &[]),
        };
        world.with(&wish, cluster, |situation| {
            let volume = &world.volume.as_ref().unwrap().0;
            needs_count(&wish, volume, situation.view)
        })
    };
    let (mut world, cluster) = with_data(&layout);
    assert!(asks(&world, &cluster, Some(1 << 30)), "a limit comes");
    assert!(!asks(&world, &cluster, None), "none is wanted");
    fill(&mut world, SetShape::Replicate { copies: 3 }, &[1 << 20], 0);
    settle(&mut world, &limited(&cluster, &layout, 1 << 30), &cluster);
    assert_eq!(world.limit, Some(1 << 30));
    assert!(!asks(&world, &cluster, Some(1 << 30)), "it stands");
    assert!(!asks(&world, &cluster, Some(2 << 30)), "it rises");
    assert!(asks(&world, &cluster, Some(1 << 29)), "it falls");
    world.used = 1 << 29;
    assert!(
        !asks(&world, &cluster, Some(1 << 28)),
        "gluster itself says that it may not"
    );
    // what gluster counts is less than what is there
    world.used = 0;
    let found = plan(&world, &limited(&cluster, &layout, 1 << 20), &cluster);
    assert!(found.steps.contains(&Step::LimitUsage(
        "shop_data".parse().unwrap(),
        Bytes(1 << 20)
    )));
    let (mut fresh, cluster) = with_data(&layout);
    fresh.bricks.values_mut().for_each(|facts| {
        if let BrickFacts::Present { empty, .. } = facts {
            *empty = true;
        }
    });
    assert!(
        !asks(&fresh, &cluster, Some(1 << 20)),
        "nothing is in it: {:?}",
        reason(
            &plan(&fresh, &limited(&cluster, &layout, 1 << 20), &cluster),
            ConditionType::InSync
        )
    );
    let steps = plan(&fresh, &limited(&cluster, &layout, 1 << 20), &cluster).steps;
    assert!(sent(&steps));
}
