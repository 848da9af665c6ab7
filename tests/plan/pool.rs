//! Pools: who belongs to them, whose they are, where writes run.

use std::collections::BTreeMap;

use gluster_operator::api::condition::{ConditionType, Reason};
use gluster_operator::gluster::model::{HostView, PoolView, SilentKind};
use gluster_operator::gluster::names::HostName;
use gluster_operator::plan::cluster::{self as pool, Membership};
use gluster_operator::plan::step::Step;
use gluster_operator::plan::validate::ValidCluster;
use gluster_operator::plan::{Plan, validate};
use proptest::prelude::*;
use serde_json::json;

use super::world::{World, cluster, host};

fn verdict(plan: &Plan) -> (Option<bool>, Reason) {
    let ready = plan
        .findings
        .iter()
        .find(|finding| finding.kind == ConditionType::Ready)
        .unwrap();
    (ready.holds, ready.reason)
}

fn plan(world: &World, want: &ValidCluster) -> Plan {
    pool::plan(want, &world.view(want))
}

fn short(step: &Step) -> String {
    match step {
        Step::ClaimHost { host, replace, .. } => {
            format!(
                "{} {host}",
                if replace.is_some() { "take" } else { "claim" }
            )
        }
        Step::ProbePeer { host } => format!("probe {host}"),
        Step::SetPoolOptions(options) => format!(
            "set {}",
            options
                .keys()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",")
        ),
        other => format!("{other:?}"),
    }
}

fn steps(plan: &Plan) -> String {
    plan.steps.iter().map(short).collect::<Vec<_>>().join(" ")
}

/// Takes the first steps of a plan where they would be taken; false: there are none.
fn act(world: &mut World, want: &ValidCluster, count: usize) -> bool {
    let view = world.view(want);
    let plan = pool::plan(want, &view);
    if let Some(coordinator) = pool::coordinator(want, &view) {
        world.main = world.hosts[coordinator].pool;
    }
    for step in plan.steps.iter().take(count) {
        world.take(step).unwrap();
    }
    !plan.steps.is_empty()
}

fn settle(world: &mut World, want: &ValidCluster) -> Plan {
    for _ in 0..5 {
        if !act(world, want, usize::MAX) {
            return plan(world, want);
        }
    }
    panic!("no end: {}", steps(&plan(world, want)));
}

#[test]
fn who_becomes_a_peer() {
    // which pool each of n1.. is in; the same number is the same pool
    for (name, pools, expected) in [
        (
            "three lone hosts",
            vec![0, 1, 2],
            "claim n1 probe n2 probe n3",
        ),
        ("two and one", vec![0, 0, 1], "claim n1 claim n2 probe n3"),
        ("one and two", vec![0, 1, 1], "claim n2 claim n3 probe n1"),
        ("all together", vec![0, 0, 0], "claim n1 claim n2 claim n3"),
        ("two pools", vec![0, 0, 1, 1], ""),
    ] {
        let want = cluster(pools.len(), json!({}));
        let mut world = World::lone(&want);
        for (host, pool) in world.hosts.values_mut().zip(&pools) {
            host.pool = *pool;
        }
        let found = plan(&world, &want);
        assert_eq!(steps(&found), expected, "{name}");
        if expected.is_empty() {
            assert_eq!(verdict(&found), (Some(false), Reason::OtherPool), "{name}");
        } else {
            assert_eq!(
                verdict(&settle(&mut world, &want)),
                (Some(true), Reason::AsDeclared),
                "{name}"
            );
        }
    }
}

#[test]
fn a_host_with_volumes_of_its_own_is_not_probed() {
    let want = cluster(3, json!({}));
    let mut world = World::lone(&want);
    let volume = gluster_operator::gluster::model::Volume {
        name: "old".into(),
        ..Default::default()
    };
    world.volume = Some((volume, [host("n2")].into()));
    // n2 has something to lose: it is the pool, and the others join it
    assert_eq!(steps(&plan(&world, &want)), "claim n2 probe n1 probe n3");
    let together = |world: &mut World, names: [&str; 2]| {
        names.map(|name| world.hosts.get_mut(&host(name)).unwrap().pool = 7)
    };
    together(&mut world, ["n1", "n3"]);
    let found = plan(&world, &want);
    assert_eq!(
        (steps(&found).as_str(), verdict(&found)),
        ("", (Some(false), Reason::OtherPool))
    );
}

#[test]
fn whose_pool_it_is() {
    let ours = cluster(3, json!({})).owner.to_string();
    let other = "someone.else";
    // owner file of each host, takeOver, whether n3 is silent; what happens
    for (name, owners, take_over, silent, expected) in [
        (
            "nobody's",
            [None, None, None],
            "",
            false,
            "claim n1 claim n2 claim n3",
        ),
        (
            "nobody's, and one is silent",
            [None, None, None],
            "",
            true,
            "HostUnreachable",
        ),
        ("ours", [Some(ours.as_str()); 3], "", false, ""),
        (
            "ours, and one is silent",
            [Some(ours.as_str()); 3],
            "",
            true,
            "",
        ),
        (
            "half claimed",
            [Some(ours.as_str()), None, None],
            "",
            false,
            "claim n2 claim n3",
        ),
        (
            "somebody else's",
            [Some(other); 3],
            "",
            false,
            "ManagedElsewhere",
        ),
        (
            "one host is somebody else's",
            [Some(ours.as_str()), Some(ours.as_str()), Some(other)],
            "",
            false,
            "ManagedElsewhere",
        ),
        (
            "told to take it",
            [Some(other); 3],
            other,
            false,
            "take n1 take n2 take n3",
        ),
        (
            "told to take it, half done",
            [Some(ours.as_str()), Some(other), None],
            other,
            false,
            "take n2 claim n3",
        ),
        (
            "told to take it, and one is silent",
            [Some(other); 3],
            other,
            true,
            "HostUnreachable",
        ),
        (
            "told to take another one",
            [Some(other); 3],
            "a.third",
            false,
            "ManagedElsewhere",
        ),
    ] {
        let want = cluster(3, json!({"takeOver": take_over}));
        let mut world = World::settled(&want);
        for (host, owner) in world.hosts.values_mut().zip(owners) {
            host.owner = owner.map(str::to_owned);
        }
        world.hosts.get_mut(&host("n3")).unwrap().silent = silent.then_some(false);
        let found = plan(&world, &want);
        match verdict(&found) {
            (Some(true), _) => assert_eq!(steps(&found), expected, "{name}"),
            (_, reason) => {
                assert_eq!(reason.as_str(), expected, "{name}");
                assert!(found.steps.is_empty(), "{name}");
            }
        }
        if expected == "ManagedElsewhere" {
            let text = validate_text(&found);
            assert!(
                text.contains("spec.takeOver") && text.contains(other),
                "{text}"
            );
        }
    }
}

fn validate_text(plan: &Plan) -> String {
    plan.findings
        .iter()
        .map(|finding| finding.message.clone())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn one_host_under_two_names_is_found_out() {
    let want = cluster(3, json!({}));
    let mut world = World::lone(&want);
    let uuid = world.hosts[&host("n1")].uuid.clone();
    world.hosts.get_mut(&host("n3")).unwrap().uuid = uuid;
    let found = plan(&world, &want);
    assert!(found.steps.is_empty());
    assert_eq!(verdict(&found), (Some(false), Reason::IdentityConflict));
}

#[test]
fn a_peer_under_another_name_is_probed_by_ours() {
    let want = cluster(3, json!({}));
    let world = World::settled(&want);
    let mut view = world.view(&want);
    rename(&mut view, "n2", "10.0.0.2", &[]);
    assert_eq!(steps(&pool::plan(&want, &view)), "probe n2");
    rename(&mut view, "10.0.0.2", "10.0.0.2", &["n2"]);
    assert_eq!(steps(&pool::plan(&want, &view)), "");
}

fn rename(view: &mut PoolView, from: &str, to: &str, others: &[&str]) {
    for facts in view.hosts.values_mut() {
        if let HostView::Answered(facts) = facts {
            for peer in facts
                .state
                .peers
                .iter_mut()
                .filter(|peer| peer.hostname == from)
            {
                peer.hostname = to.into();
                peer.other_names = others.iter().map(ToString::to_string).collect();
            }
        }
    }
}

#[test]
fn where_writes_run() {
    // and where it is asked for limits
    for (name, count, silent, expected, teller) in [
        ("all answer", 3, vec![], Some("n1"), Some("n2")),
        ("the lowest is down", 3, vec![1], Some("n2"), Some("n3")),
        ("a minority is left", 3, vec![1, 2], None, None),
        ("one of two", 2, vec![1], Some("n2"), Some("n2")),
        ("half of four", 4, vec![1, 2], None, None),
        ("three of five", 5, vec![1, 2], Some("n3"), Some("n4")),
        ("nobody", 3, vec![1, 2, 3], None, None),
    ] {
        let want = cluster(count, json!({}));
        let mut world = World::settled(&want);
        for i in &silent {
            world.hosts.get_mut(&host(&format!("n{i}"))).unwrap().silent = Some(false);
        }
        let view = world.view(&want);
        assert_eq!(
            pool::coordinator(&want, &view).map(HostName::as_str),
            expected,
            "{name}"
        );
        assert_eq!(
            pool::teller(&want, &view).map(HostName::as_str),
            teller,
            "{name}"
        );
        assert_eq!(
            verdict(&pool::plan(&want, &view)).0,
            Some(expected.is_some()),
            "{name}"
        );
    }
}

#[test]
fn a_silent_host_that_is_believed_connected_holds_everything_back() {
    let want = cluster(3, json!({"options": {"cluster.brick-multiplex": "on"}}));
    let mut world = World::settled(&want);
    world.hosts.get_mut(&host("n3")).unwrap().silent = Some(true);
    let found = plan(&world, &want);
    assert!(found.steps.is_empty());
    assert_eq!(verdict(&found), (Some(false), Reason::HostUnreachable));
    assert!(validate_text(&found).contains("ping-timeout is 0"));
    // also where gluster knows it by a name that nobody told us
    let mut view = world.view(&want);
    rename(&mut view, "n3", "storage-3.internal", &[]);
    assert!(pool::plan(&want, &view).steps.is_empty());
    assert!(pool::held_back(&want, &view).is_some());
    // and where the one that is listed first is down, and known to be
    world.hosts.get_mut(&host("n3")).unwrap().silent = Some(false);
    assert_eq!(steps(&plan(&world, &want)), "set cluster.brick-multiplex");
    view.hosts.remove(&host("n3"));
    let unknown = HostView::Silent {
        why: "?".into(),
        kind: SilentKind::Unreachable,
    };
    view.hosts.insert(host("a-stranger"), unknown);
    assert!(
        pool::held_back(&want, &view).is_some(),
        "a silent host that is not listed any more"
    );
}

/// With a ping-timeout of 10, glusterd 10.3 saw nothing of a peer that was stopped by a signal for as long as nothing was asked of it;
/// a `volume set` was refused after 10 s, and the next one done.
#[test]
fn a_glusterd_that_hangs_holds_nothing_back_where_a_command_makes_it_noticed() {
    let want = cluster(3, json!({"options": {"cluster.brick-multiplex": "on"}}));
    let mut world = World::settled(&want);
    world.hosts.get_mut(&host("n3")).unwrap().silent = Some(true);
    let held = |timeout: Option<u32>, in_force: Option<bool>, kind: SilentKind| {
        let mut view = world.view(&want);
        for facts in view.hosts.values_mut() {
            if let HostView::Answered(facts) = facts {
                (facts.ping_timeout, facts.ping_in_force) = (timeout, in_force);
            }
        }
        let silent = HostView::Silent {
            why: "?".into(),
            kind,
        };
        view.hosts.insert(host("n3"), silent);
        let found = pool::plan(&want, &view);
        assert_eq!(
            found.steps.is_empty(),
            pool::held_back(&want, &view).is_some()
        );
        found.steps.is_empty()
    };
    for (timeout, in_force, expected) in [
        (Some(10), Some(true), false),
        (Some(0), Some(true), true),
        (None, Some(true), true),
        // each command would take minutes
        (Some(300), Some(true), true),
        // what stands in the file does not hold before a restart
        (Some(10), Some(false), true),
        (Some(10), None, true),
    ] {
        for kind in [SilentKind::Glusterd, SilentKind::Unreachable] {
            let found = held(timeout, in_force, kind);
            assert_eq!(found, expected, "{timeout:?} {in_force:?} {kind:?}");
        }
    }
}

#[test]
fn a_host_that_its_pool_has_left_is_not_taken_for_the_pool() {
    let want = cluster(5, json!({}));
    let mut world = World::settled(&want);
    for name in ["n1", "n2"] {
        world.hosts.get_mut(&host(name)).unwrap().silent = Some(false);
    }
    for (pool, name) in (7..).zip(["n3", "n4", "n5"]) {
        world.hosts.get_mut(&host(name)).unwrap().pool = pool; // detached by hand; our file is still there
    }
    let found = plan(&world, &want);
    assert!(found.steps.is_empty(), "{:?}", found.steps);
    assert_eq!(verdict(&found), (Some(false), Reason::HostUnreachable));
}

#[test]
fn groups_that_one_host_knows_are_one() {
    let want = cluster(3, json!({}));
    let mut view = World::settled(&want).view(&want);
    // n1 and n2 have forgotten everybody, n3 knows both
    for name in ["n1", "n2"] {
        if let Some(HostView::Answered(facts)) = view.hosts.get_mut(&host(name)) {
            facts.state.peers.clear();
        }
    }
    let Membership {
        members,
        lone,
        others,
    } = pool::membership(&want, &view);
    assert_eq!(members.len(), 3);
    assert!(lone.is_empty() && others.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// From any mixture of lone hosts and one pool, cut off anywhere, it ends as declared; and a plan never claims a host that carries
    /// another's file.
    #[test]
    fn every_start_ends_in_one_pool(
        count in 1_usize..6, together in prop::collection::vec(any::<bool>(), 6), owned in prop::collection::vec(any::<bool>(), 6),
        cuts in prop::collection::vec(0_usize..6, 0..4), foreign in prop::option::of(0_usize..6),
    ) {
        let want = cluster(count, json!({"options": {"cluster.brick-multiplex": "on"}}));
        let mut world = World::lone(&want);
        let pool = (0..count).find(|i| together[*i]).unwrap_or(0);
        for (i, host) in world.hosts.values_mut().enumerate() {
            if together[i] {
                host.pool = u32::try_from(pool).unwrap();
                host.owner = owned[i].then(|| want.owner.to_string());
            }
        }
        let names: BTreeMap<_, _> = world.hosts.keys().cloned().enumerate().collect();
        if let Some(name) = foreign.and_then(|i| names.get(&i)) {
            world.hosts.get_mut(name).unwrap().owner = Some("someone.else".into());
            let found = plan(&world, &want);
            prop_assert!(found.steps.is_empty());
            return Ok(());
        }
        for cut in cuts {
            act(&mut world, &want, cut);
        }
        let end = settle(&mut world, &want);
        prop_assert_eq!(verdict(&end).0, Some(true));
        let pools: std::collections::BTreeSet<_> = world.hosts.values().map(|host| host.pool).collect();
        prop_assert_eq!(pools.len(), 1);
        prop_assert!(world.hosts.values().all(|host| host.owner.as_deref() == Some(want.owner.as_str())));
        prop_assert_eq!(world.options.len(), 1);
    }

    /// Two names of an object make one name in gluster only where the objects are the same; and that name is one.
    #[test]
    fn default_names_are_unique_and_valid(
        a in ("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "[a-z0-9]([a-z0-9.-]{0,52}[a-z0-9])?"),
        b in ("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "[a-z0-9]([a-z0-9.-]{0,52}[a-z0-9])?"), near in 0_usize..4,
    ) {
        let b = match near {
            0 => (a.0.clone(), b.1),
            1 => (b.0, a.1.clone()),
            // the same but for a dot in place of a dash, and the end of a long name
            2 => (a.0.clone(), a.1.replacen('-', ".", 1)),
            _ => (a.0.clone(), format!("{}x", a.1)),
        };
        let names = [&a, &b].map(|(namespace, name)| validate::default_volume_name(namespace, name));
        for name in &names {
            prop_assert!(name.len() <= 54 && name.parse::<gluster_operator::gluster::names::VolumeName>().is_ok(), "{name}");
        }
        prop_assert_eq!(a == b, names[0] == names[1], "{:?} {:?} {:?}", a, b, names);
    }
}
