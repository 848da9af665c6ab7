//! One volume with a limit: from the request to Ready.

use std::time::Instant;

use crate::report::Row;
use crate::setting::{apply, by_hand};
use crate::support::gluster_lab::{GlusterLab, said as words};
use crate::support::kube_lab::KubeLab;

/// Measured rounds; one more before them is not counted. A multiple of three, since whoever comes first in a round pays 2 s more: daemons
/// start anew after the deletions of the round before.
const ROUNDS: usize = 6;

pub fn measure(
    runtime: &tokio::runtime::Runtime,
    gluster: &GlusterLab,
    kube: &KubeLab,
) -> [Row; 2] {
    let mut seconds: [Vec<f64>; 3] = Default::default();
    for round in 0..=ROUNDS {
        let mut took = [0.0; 3];
        for turn in 0..3 {
            let who = (round + turn) % 3;
            took[who] = match who {
                0 => runtime.block_on(apply(kube, &format!("ours{round}"), "1Gi")),
                1 => by_hand(gluster, &format!("hand{round}")),
                _ => same_by_hand(gluster, &format!("same{round}")),
            };
        }
        let [ours, hand, same] = took;
        println!(
            "round {round}: ours {ours:.2} s, by hand {hand:.2} s, the same by hand {same:.2} s"
        );
        if round > 0 {
            for (all, one) in seconds.iter_mut().zip(took) {
                all.push(one);
            }
        }
        clean(gluster, kube, round);
    }
    let [ours, hand, same] = seconds;
    let row = |id, what: &str, reference| Row {
        id,
        what: what.into(),
        unit: "s",
        ours: ours.clone(),
        reference,
        goal: 1.0,
    };
    [
        row(
            "apply-to-ready",
            "one volume of 3 copies with a quota of 1 GiB: apply to Ready, against create, start, quota enable, limit-usage by hand",
            hand,
        ),
        row(
            "apply-to-same",
            "the same, against all commands that end in the same volume, options included, typed one by one",
            same,
        ),
    ]
}

/// Seconds for all that a person has to type for a volume like ours: with its mark, its access and its quota timeouts.
fn same_by_hand(gluster: &GlusterLab, name: &str) -> f64 {
    let bricks = [1, 2, 3]
        .map(|i| format!("node{i}:/srv/bricks/d1/{name}"))
        .join(" ");
    let mark = "v1:00000000-0000-0000-0000-000000000000.00000000-0000-0000-0000-000000000000:00000000-0000-0000-0000-000000000000";
    let line = format!(
        "set -e; g='gluster --mode=script'; $g volume create {name} replica 3 {bricks}; \
         $g volume set {name} user.gluster-operator.owner {mark}; $g volume set {name} auth.allow '*'; $g volume set {name} client.bind-insecure off; \
         $g volume set {name} features.soft-timeout 10; $g volume set {name} features.hard-timeout 5; \
         $g volume start {name}; $g volume quota {name} enable; $g volume quota {name} limit-usage / 1GB; $g volume set {name} server.allow-insecure off"
    );
    let started = Instant::now();
    gluster.shell("node1", &line);
    started.elapsed().as_secs_f64()
}

/// All volumes of the round go, so that each round finds the same pool.
fn clean(gluster: &GlusterLab, kube: &KubeLab, round: usize) {
    let deleted = kube.kubectl(&["delete", "gv", &format!("ours{round}"), "--timeout=90s"]);
    assert!(deleted.status.success(), "{}", words(&deleted));
    let line = format!(
        "g='gluster --mode=script'; for v in hand{round} same{round}; do $g volume stop $v && $g volume delete $v; done"
    );
    gluster.shell("node1", &line);
}
