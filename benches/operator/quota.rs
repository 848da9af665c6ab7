//! Quota timeouts: how far a writer gets past its limit, and how long neighbours wait while quota daemons restart.

use std::time::Duration;

use crate::support::gluster_lab::GlusterLab;
use crate::writer::Writer;

/// Soft and hard timeout, in seconds; the first are those of GlusterFS, the third ours.
const TIMEOUTS: [(u32, u32); 5] = [(60, 5), (20, 5), (10, 5), (5, 2), (1, 1)];
const LIMIT_MB: f64 = 200.0;
/// Quotas that are switched on while neighbours write; each restarts the quota daemon of every host.
const RESTARTS: usize = 5;

/// Prints a table.
pub fn measure(gluster: &GlusterLab) {
    let volume = |soft, hard| format!("quota{soft}x{hard}");
    for (soft, hard) in TIMEOUTS {
        let name = volume(soft, hard);
        let bricks = bricks(&name);
        gluster.shell("node1", &format!(
            "set -e; g='gluster --mode=script'; $g volume create {name} replica 3 {bricks}; \
             $g volume set {name} features.soft-timeout {soft} features.hard-timeout {hard}; $g volume start {name}; \
             $g volume quota {name} enable; $g volume quota {name} limit-usage / {LIMIT_MB}MB"
        ));
        gluster.shell(
            "client1",
            &format!("mkdir -p /mnt/{name} && mount -t glusterfs node1:/{name} /mnt/{name}"),
        );
    }
    println!(
        "\n| soft / hard timeout, s | written into {LIMIT_MB:.0} MB, MB | at, MB/s | worst write of a neighbour below 80 %, s | above, s |"
    );
    println!("| --- | --- | --- | --- | --- |");
    let mut filled = Vec::new();
    for (soft, hard) in TIMEOUTS {
        let name = volume(soft, hard);
        // as fast as it goes, until it is refused, or 2.5 GB are in
        let line = format!(
            "cd /mnt/{name} && s=$(date +%s.%N) && i=0; while [ $i -lt 250 ]; do dd if=/dev/zero of=f$i bs=1M count=10 conv=fsync 2>/dev/null || break; i=$((i+1)); done; \
             e=$(date +%s.%N); echo \"$(du -sm --apparent-size . | cut -f1) $s $e\"; rm -f f*"
        );
        let text = gluster.shell("client1", &line);
        let numbers: Vec<f64> = text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [written, begin, end] = numbers[..] else {
            panic!("{text}")
        };
        filled.push((written, written / (end - begin)));
    }
    std::thread::sleep(Duration::from_secs(5));
    // neighbours with much room, then with 85 % in use
    let mut worst = Vec::new();
    for part in 0..2 {
        if part == 1 {
            for (soft, hard) in TIMEOUTS {
                let name = volume(soft, hard);
                gluster.shell(
                    "client1",
                    &format!(
                        "dd if=/dev/zero of=/mnt/{name}/fill bs=1M count=170 conv=fsync 2>/dev/null"
                    ),
                );
            }
            std::thread::sleep(Duration::from_secs(20));
        }
        let writers: Vec<Writer> = TIMEOUTS
            .iter()
            .map(|(soft, hard)| {
                Writer::start(
                    gluster,
                    "client1",
                    &format!("/mnt/{}", volume(*soft, *hard)),
                )
            })
            .collect();
        std::thread::sleep(Duration::from_secs(3));
        for writer in &writers {
            writer.worst();
        }
        for i in 0..RESTARTS {
            let name = format!("restart{part}x{i}");
            let bricks = bricks(&name);
            gluster.shell("node1", &format!(
                "set -e; g='gluster --mode=script'; $g volume create {name} replica 3 {bricks}; $g volume start {name}; $g volume quota {name} enable"
            ));
        }
        std::thread::sleep(Duration::from_secs(12));
        worst.push(writers.iter().map(Writer::worst).collect::<Vec<f64>>());
    }
    for (at, (soft, hard)) in TIMEOUTS.iter().enumerate() {
        let (written, rate) = filled[at];
        println!(
            "| {soft} / {hard} | {written:.0} | {rate:.0} | {:.2} | {:.2} |",
            worst[0][at], worst[1][at]
        );
    }
}

fn bricks(name: &str) -> String {
    let one = |i| format!("node{i}:/srv/bricks/d1/{name}");
    [one(1), one(2), one(3)].join(" ")
}
