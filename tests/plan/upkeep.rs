//! What a pool that is set up still needs: hosts that left are detached, options that left are reset, versions raised.

use std::collections::BTreeMap;

use gluster_operator::api::condition::{ConditionType, Reason};
use gluster_operator::gluster::model::{
    GlusterdVol, HostFacts, HostView, PoolView, SilentKind, Volume, VolumeBrick,
};
use gluster_operator::gluster::names::HostName;
use gluster_operator::plan::cluster as pool;
use gluster_operator::plan::step::Step;
use gluster_operator::plan::upkeep::{self, Care, Former, Upkeep};
use gluster_operator::plan::validate::ValidCluster;
use serde_json::json;

use super::world::{World, cluster, host};

/// A pool of four whose fourth has left the spec, and what status remembers of it.
fn four() -> (ValidCluster, ValidCluster, World, Former) {
    let before = cluster(4, json!({}));
    let world = World::settled(&before);
    let former = Former {
        name: host("n4"),
        address: host("n4"),
        uuid: world.hosts[&host("n4")].uuid.parse().unwrap(),
    };
    (before, cluster(3, json!({})), world, former)
}

/// The look at a former node: that of a cluster which still has it.
fn visit(world: &World, before: &ValidCluster) -> PoolView {
    let mut view = world.view(before);
    view.hosts.retain(|name, _| name.as_str() == "n4");
    view
}

struct Around<'a> {
    owned: &'a [&'a str],
    former: Vec<Former>,
    view: PoolView,
    max: Option<u32>,
    vol: BTreeMap<HostName, Result<GlusterdVol, String>>,
    unsettled: Option<&'a str>,
}

impl Around<'_> {
    fn nothing() -> Self {
        Self {
            owned: &[],
            former: vec![],
            view: PoolView::default(),
            max: None,
            vol: BTreeMap::new(),
            unsettled: None,
        }
    }

    fn plan(&self, want: &ValidCluster, pool: &PoolView) -> Care {
        let owned: Vec<String> = self.owned.iter().map(ToString::to_string).collect();
        upkeep::plan(
            want,
            pool,
            &Upkeep {
                owned: &owned,
                former: &self.former,
                former_view: &self.view,
                max_op_version: self.max,
                glusterd_vol: &self.vol,
                unsettled: self.unsettled,
            },
        )
    }
}

/// Steps in words, or the reason and the words of what is waited for.
fn told(care: &Care) -> (String, Option<Reason>, String) {
    let steps: Vec<String> = care.plan.steps.iter().map(Step::describe).collect();
    let first = care.plan.findings.first();
    assert!(
        care.plan
            .findings
            .iter()
            .all(|f| f.kind == ConditionType::InSync && f.holds == Some(false))
    );
    (
        steps.join(", "),
        first.map(|finding| finding.reason),
        care.plan
            .findings
            .iter()
            .map(|f| f.message.clone())
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

fn brick_on(name: &str, host: &str) -> Volume {
    Volume {
        name: name.into(),
        bricks: vec![VolumeBrick {
            host: host.into(),
            path: "/b/x".into(),
            online: None,
            port: None,
            arbiter: false,
        }],
        ..Volume::default()
    }
}

fn each(view: &mut PoolView, change: impl Fn(&str, &mut HostFacts)) {
    for (name, seen) in &mut view.hosts {
        if let HostView::Answered(facts) = seen {
            change(name.as_str(), facts);
        }
    }
}

#[test]
fn a_node_that_left_the_spec_is_detached_and_then_forgotten() {
    let (before, want, mut world, former) = four();
    let mut around = Around {
        former: vec![former.clone()],
        view: visit(&world, &before),
        ..Around::nothing()
    };
    assert!(
        pool::plan(&want, &world.view(&want)).steps.is_empty(),
        "the pool's own plan leaves it alone"
    );
    let care = around.plan(&want, &world.view(&want));
    assert_eq!(told(&care).0, "detaching peer n4");
    assert!(care.detached.is_empty() && care.strangers.is_empty());
    world.take(&care.plan.steps[0]).unwrap();
    around.view = visit(&world, &before);
    let care = around.plan(&want, &world.view(&want));
    assert!(care.plan.steps.is_empty() && care.plan.findings.is_empty());
    assert_eq!(care.detached, [former], "its owner file may go now");
    assert!(!care.plan.steps.iter().any(Step::destroys));
}

#[test]
fn what_keeps_a_node_that_left_the_spec() {
    type Change = fn(&mut World, &mut Around<'_>, &mut PoolView);
    let table: Vec<(&str, Change, &str)> = vec![
        (
            "a brick by its name",
            |_, _, view| {
                each(view, |_, facts| {
                    facts.state.volumes.push(brick_on("data", "n4"));
                });
            },
            "n4:/b/x of volume data",
        ),
        (
            "a brick by its name in capitals",
            |_, _, view| {
                each(view, |_, facts| {
                    facts.state.volumes.push(brick_on("data", "N4"));
                });
            },
            "N4:/b/x of volume data",
        ),
        (
            "a brick by an alias that one host alone knows",
            |_, _, view| {
                each(view, |name, facts| {
                    facts.state.volumes.push(brick_on("data", "10.9.9.4"));
                    if name == "n2" {
                        let peer = facts
                            .state
                            .peers
                            .iter_mut()
                            .find(|peer| peer.hostname == "n4");
                        peer.unwrap().other_names.push("10.9.9.4".into());
                    }
                });
            },
            "10.9.9.4:/b/x of volume data",
        ),
        (
            "a brick of a host that nobody knows",
            |_, _, view| {
                each(view, |_, facts| {
                    facts.state.volumes.push(brick_on("data", "storage-x"));
                });
            },
            "storage-x:/b/x of volume data",
        ),
        (
            "a brick that one host alone knows of",
            |_, _, view| {
                each(view, |name, facts| {
                    if name == "n3" {
                        facts.state.volumes.push(brick_on("ghost", "n4"));
                    }
                });
            },
            "of volume ghost",
        ),
        (
            "another host that is silent",
            |world, _, view| {
                world.hosts.get_mut(&host("n2")).unwrap().silent = Some(false);
                *view = world.view(&cluster(3, json!({})));
            },
            "n2 does not answer",
        ),
        (
            "two others that do not see each other",
            |_, _, view| {
                each(view, |name, facts| {
                    if name == "n2" {
                        facts
                            .state
                            .peers
                            .iter_mut()
                            .find(|peer| peer.hostname == "n3")
                            .unwrap()
                            .connected = false;
                    }
                });
            },
            "n2 has no connection to n3",
        ),
        (
            "an unknown result",
            |_, around, _| around.unsettled = Some("the result of `x` is not known"),
            "the result of `x`",
        ),
        (
            "somebody else's owner file",
            |_, around, _| {
                each(&mut around.view, |_, facts| {
                    facts.owner = Some("someone.else".into());
                });
            },
            "someone.else manages it",
        ),
        (
            "another host at its address",
            |_, around, _| {
                each(&mut around.view, |_, facts| {
                    facts.state.uuid =
                        Some("99999999-1111-1111-1111-111111111111".parse().unwrap());
                });
            },
            "another host answers",
        ),
        (
            "silence that the others have not noticed",
            |_, around, _| {
                let silent = HostView::Silent {
                    why: "no route".into(),
                    kind: SilentKind::Unreachable,
                };
                around.view.hosts.insert(host("n4"), silent);
            },
            "would hang for 120 s",
        ),
    ];
    for (name, change, words) in table {
        let (before, want, mut world, former) = four();
        let mut around = Around {
            former: vec![former],
            view: visit(&world, &before),
            ..Around::nothing()
        };
        let mut view = world.view(&want);
        change(&mut world, &mut around, &mut view);
        let care = around.plan(&want, &view);
        let (steps, reason, text) = told(&care);
        assert_eq!(
            (steps.as_str(), reason),
            ("", Some(Reason::NodeInUse)),
            "{name}"
        );
        assert!(
            text.contains(words) && text.contains("can be listed again"),
            "{name}: {text}"
        );
        assert!(care.detached.is_empty(), "{name}");
    }
}

#[test]
fn what_does_not_keep_a_node_that_left_the_spec() {
    type Change = fn(&mut PoolView, &mut PoolView);
    let table: Vec<(&str, Change)> = vec![
        ("bricks of the others", |view, _| {
            each(view, |_, facts| {
                facts.state.volumes.push(brick_on("data", "n3"));
            });
        }),
        ("it refuses our key by now", |_, visit| {
            let silent = HostView::Silent {
                why: "no".into(),
                kind: SilentKind::HostKey,
            };
            visit.hosts.insert(host("n4"), silent);
        }),
        ("it is down, and all know it", |view, visit| {
            let silent = HostView::Silent {
                why: "no".into(),
                kind: SilentKind::Unreachable,
            };
            visit.hosts.insert(host("n4"), silent);
            each(view, |_, facts| {
                facts
                    .state
                    .peers
                    .iter_mut()
                    .filter(|peer| peer.hostname == "n4")
                    .for_each(|peer| peer.connected = false);
            });
        }),
        ("it has no owner file", |_, visit| {
            each(visit, |_, facts| facts.owner = None);
        }),
    ];
    for (name, change) in table {
        let (before, want, world, former) = four();
        let (mut view, mut seen) = (world.view(&want), visit(&world, &before));
        change(&mut view, &mut seen);
        let around = Around {
            former: vec![former],
            view: seen,
            ..Around::nothing()
        };
        assert_eq!(
            told(&around.plan(&want, &view)).0,
            "detaching peer n4",
            "{name}"
        );
    }
}

#[test]
fn a_peer_that_was_never_listed_is_only_reported() {
    let (_, want, world, _) = four();
    let care = Around::nothing().plan(&want, &world.view(&want));
    assert_eq!(care.strangers, ["n4"]);
    assert!(care.plan.steps.is_empty() && care.plan.findings.is_empty());
}

#[test]
fn a_host_under_a_new_name_is_no_host_that_left() {
    let (_, want, world, mut former) = four();
    former.uuid = world.hosts[&host("n2")].uuid.parse().unwrap();
    let care = Around {
        former: vec![former.clone()],
        ..Around::nothing()
    }
    .plan(&want, &world.view(&want));
    assert_eq!((care.renamed, care.detached), (vec![former], vec![]));
    assert!(care.plan.steps.is_empty());
}

#[test]
fn only_pool_options_that_were_ours_are_reset() {
    let want = cluster(3, json!({"options": {"cluster.brick-multiplex": "on"}}));
    let mut world = World::settled(&want);
    for key in [
        "cluster.brick-multiplex",
        "cluster.max-bricks-per-process",
        "cluster.server-quorum-ratio",
        "cluster.op-version",
    ] {
        world.options.insert(key.into(), "on".into());
    }
    for (owned, expected) in [
        (&[][..], ""),
        (&["cluster.brick-multiplex"][..], ""),
        (
            &["cluster.max-bricks-per-process", "cluster.brick-multiplex"][..],
            "resetting pool option cluster.max-bricks-per-process",
        ),
        (&["cluster.not-set"][..], ""),
        (&["cluster.op-version", "no key", "--xml"][..], ""),
    ] {
        let around = Around {
            owned,
            ..Around::nothing()
        };
        assert_eq!(
            told(&around.plan(&want, &world.view(&want))).0,
            expected,
            "{owned:?}"
        );
    }
}

#[test]
fn the_op_version_goes_up_when_all_answer_and_never_down() {
    let at = |version: u32| json!({"policy": "Version", "version": version});
    for (name, policy, max, silent, expected) in [
        ("kept", json!({}), Some(110_000), false, ("", None)),
        (
            "to the highest",
            json!({"policy": "Max"}),
            Some(110_000),
            false,
            ("raising the op-version to 110000", None),
        ),
        (
            "it is the highest",
            json!({"policy": "Max"}),
            Some(100_000),
            false,
            ("", None),
        ),
        (
            "the highest is not known",
            json!({"policy": "Max"}),
            None,
            false,
            ("", Some(Reason::Unknown)),
        ),
        (
            "to one",
            at(110_000),
            None,
            false,
            ("raising the op-version to 110000", None),
        ),
        ("it is that one", at(100_000), None, false, ("", None)),
        (
            "down",
            at(90_000),
            None,
            false,
            ("", Some(Reason::OpVersionTooLow)),
        ),
        (
            "a host is silent",
            at(110_000),
            None,
            true,
            ("", Some(Reason::HostUnreachable)),
        ),
    ] {
        let want = cluster(3, json!({"opVersion": policy}));
        let mut world = World::settled(&want);
        world.hosts.get_mut(&host("n3")).unwrap().silent = silent.then_some(false);
        let (steps, reason, text) = told(
            &Around {
                max,
                ..Around::nothing()
            }
            .plan(&want, &world.view(&want)),
        );
        assert_eq!((steps.as_str(), reason), expected, "{name}: {text}");
        if reason == Some(Reason::OpVersionTooLow) {
            assert!(
                text.contains("90000")
                    && text.contains("100000")
                    && text.contains("can't be lowered"),
                "{text}"
            );
        }
    }
}

const FILE: &str =
    "volume management\n    type mgmt/glusterd\n    option ping-timeout 0\nend-volume\n";

#[test]
fn a_ping_timeout_is_written_and_told_until_glusterd_was_restarted() {
    let want = cluster(2, json!({"glusterdPingTimeout": 10}));
    let world = World::settled(&want);
    let file = |text: &str, in_force| {
        Ok(GlusterdVol {
            text: text.into(),
            in_force,
        })
    };
    let new = FILE.replace("timeout 0", "timeout 10");
    for (name, n1, n2, steps, reason, words) in [
        (
            "both are old",
            file(FILE, Some(true)),
            file(FILE, Some(true)),
            "writing ping-timeout 10 into glusterd.vol of n1, writing ping-timeout 10 into glusterd.vol of n2",
            None,
            "",
        ),
        (
            "one is written",
            file(&new, Some(false)),
            file(&new, Some(true)),
            "",
            Some(Reason::RestartNeeded),
            "restart of glusterd on n1:",
        ),
        (
            "all is done",
            file(&new, Some(true)),
            file(&new, Some(true)),
            "",
            None,
            "",
        ),
        (
            "one can't be read",
            Err("no such file".into()),
            file(&new, Some(true)),
            "",
            Some(Reason::Unknown),
            "n1: no such file",
        ),
        (
            "nobody knows when it started",
            file(&new, None),
            file(&new, Some(true)),
            "",
            Some(Reason::Unknown),
            "n1 does not tell",
        ),
        (
            "it is no such file",
            file("something else\n", Some(true)),
            file(&new, Some(true)),
            "",
            Some(Reason::Unknown),
            "by hand",
        ),
    ] {
        let vol = [(host("n1"), n1), (host("n2"), n2)].into();
        let (told_steps, told_reason, text) = told(
            &Around {
                vol,
                ..Around::nothing()
            }
            .plan(&want, &world.view(&want)),
        );
        assert_eq!(
            (told_steps.as_str(), told_reason),
            (steps, reason),
            "{name}: {text}"
        );
        assert!(text.contains(words), "{name}: {text}");
    }
    // whoever does not answer is skipped, and said
    let mut world = world;
    world.hosts.get_mut(&host("n2")).unwrap().silent = Some(false);
    let vol = [(host("n1"), file(FILE, Some(true)))].into();
    let (steps, _, text) = told(
        &Around {
            vol,
            ..Around::nothing()
        }
        .plan(&want, &world.view(&want)),
    );
    assert_eq!(steps, "writing ping-timeout 10 into glusterd.vol of n1");
    assert!(text.contains("n2 does not answer"), "{text}");
}

#[test]
fn a_rejected_peer_is_told_with_its_remedy() {
    let want = cluster(3, json!({}));
    let mut view = World::settled(&want).view(&want);
    each(&mut view, |name, facts| {
        if name == "n1" {
            facts.state.peers[0].state = "Peer Rejected".into();
        }
    });
    let plan = pool::plan(&want, &view);
    let found = plan
        .findings
        .iter()
        .find(|f| f.kind == ConditionType::PeersConnected)
        .unwrap();
    assert_eq!(
        (found.holds, found.reason),
        (Some(false), Reason::PeerRejected)
    );
    for words in ["n1 rejects n2", "/var/lib/glusterd/vols"] {
        assert!(found.message.contains(words), "{}", found.message);
    }
}
