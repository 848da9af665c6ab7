//! One volume with a limit: from the request to Ready.

use crate::report::Row;
use crate::setting::{apply, by_hand};
use crate::support::gluster_lab::{GlusterLab, said as words};
use crate::support::kube_lab::KubeLab;

/// Measured pairs; one more before them is not counted. Even, since whoever comes first in a round pays 2 s more: daemons start anew after the
/// deletions of the round before.
const PAIRS: usize = 8;

pub fn measure(runtime: &tokio::runtime::Runtime, gluster: &GlusterLab, kube: &KubeLab) -> Row {
    let (mut ours, mut hands) = (Vec::new(), Vec::new());
    for round in 0..=PAIRS {
        // in turns, so that neither always comes first
        let (mut a, mut b) = (0.0, 0.0);
        for turn in [round % 2, (round + 1) % 2] {
            if turn == 0 {
                a = runtime.block_on(apply(kube, &format!("ours{round}"), "1Gi"));
            } else {
                b = by_hand(gluster, &format!("hand{round}"));
            }
        }
        if round > 0 {
            ours.push(a);
            hands.push(b);
        }
        println!("round {round}: ours {a:.2} s, by hand {b:.2} s");
        clean(gluster, kube, round);
    }
    Row {
        id: "apply-to-ready",
        what: "one volume of 3 copies with a quota of 1 GiB: apply to Ready, against create, start, quota enable, limit-usage by hand".into(),
        unit: "s",
        ours,
        reference: hands,
        goal: 1.0,
    }
}

/// Both volumes go, so that each round finds the same pool.
fn clean(gluster: &GlusterLab, kube: &KubeLab, round: usize) {
    let deleted = kube.kubectl(&["delete", "gv", &format!("ours{round}"), "--timeout=90s"]);
    assert!(deleted.status.success(), "{}", words(&deleted));
    let line = format!(
        "g='gluster --mode=script'; $g volume stop hand{round} && $g volume delete hand{round}"
    );
    gluster.shell("node1", &line);
}
