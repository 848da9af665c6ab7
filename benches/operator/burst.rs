//! Twenty volumes at once: how long it takes, what a neighbour notices of it, and what they cost afterwards.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::report::Row;
use crate::setting::{apply, by_hand};
use crate::support::gluster_lab::GlusterLab;
use crate::support::kube_lab::KubeLab;
use crate::writer::Writer;

const VOLUMES: usize = 20;
/// Volumes made by hand for the reference, one after the other; their mean counts for all.
const BY_HAND: usize = 6;
/// How often the controller looks at a pool.
const RESYNC: f64 = 15.0;

/// The rows, with `standing` as the neighbour: a volume with a limit and the timeouts of the cluster.
pub fn measure(
    runtime: &tokio::runtime::Runtime,
    gluster: &GlusterLab,
    kube: &KubeLab,
) -> Vec<Row> {
    let neighbour = Writer::start(gluster, "client1", "/mnt/standing");
    std::thread::sleep(Duration::from_secs(20));
    let calm = neighbour.worst();
    let started = Instant::now();
    for i in 0..BY_HAND {
        by_hand(gluster, &format!("series{i}"));
    }
    let series = started.elapsed().as_secs_f64() / BY_HAND as f64 * VOLUMES as f64;
    let by_hands = neighbour.worst();
    let names: Vec<String> = (0..VOLUMES).map(|i| format!("burst{i}")).collect();
    let started = Instant::now();
    runtime.block_on(join_all(names.iter().map(|name| apply(kube, name, "64Mi"))));
    let ours = started.elapsed().as_secs_f64();
    let burst = neighbour.worst();
    println!(
        "{VOLUMES} at once: {ours:.1} s; by hand in series {series:.1} s ({BY_HAND} were made)"
    );
    println!(
        "worst write of a neighbour: {calm:.3} s in 20 s of calm, {by_hands:.3} s during the series, {burst:.3} s during the burst"
    );
    let processes = processes(gluster);
    println!(
        "gluster processes per resync with {} volumes: {processes:.1}",
        VOLUMES + 1
    );
    vec![
        Row {
            id: "burst-of-20",
            what: format!("{VOLUMES} volumes of 3 copies with a quota, applied at once: until all are Ready, against one after the other by hand"),
            unit: "s",
            ours: vec![ours],
            reference: vec![series],
            goal: 0.5,
        },
        Row {
            id: "neighbour-in-burst",
            what: "worst 4 KiB write with fsync, every 50 ms, on another volume with a limit during that burst, against the same during the series by hand".into(),
            unit: "s",
            ours: vec![burst],
            reference: vec![by_hands],
            goal: 1.0,
        },
        Row {
            id: "processes-per-resync",
            what: format!("gluster processes on all hosts in 15 s with {} volumes that are as declared, against 1 + hosts", VOLUMES + 1),
            unit: "processes",
            ours: vec![processes],
            reference: vec![4.0],
            goal: 1.0,
        },
    ]
}

/// Counts what is run on the hosts as `gluster` for four resyncs.
fn processes(gluster: &GlusterLab) -> f64 {
    const RESYNCS: f64 = 4.0;
    for host in ["node1", "node2", "node3"] {
        gluster.shell(
            host,
            "real=$(command -v gluster); cp $real /run/gluster-real; \
             printf '#!/bin/sh\\necho . >>/run/gluster-count\\nexec /run/gluster-real \"$@\"\\n' >/run/gluster-counted; \
             chmod 755 /run/gluster-counted; mount --bind /run/gluster-counted $real",
        );
    }
    // what was made last is looked at a few times more
    std::thread::sleep(Duration::from_secs(20));
    let count = || -> f64 {
        let lines = |host| gluster.shell(host, "cat /run/gluster-count 2>/dev/null | wc -l");
        ["node1", "node2", "node3"]
            .into_iter()
            .map(|host| lines(host).trim().parse::<f64>().expect("a number"))
            .sum()
    };
    let before = count();
    std::thread::sleep(Duration::from_secs_f64(RESYNCS * RESYNC));
    let counted = count() - before;
    for host in ["node1", "node2", "node3"] {
        gluster.shell(host, "umount $(command -v gluster)");
    }
    assert!(counted > 0.0, "nothing was counted");
    counted / RESYNCS
}
