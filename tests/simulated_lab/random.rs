//! Operations by chance: as many that are refused as that are not.

use gluster_operator::gluster::names::HostPath;
use gluster_operator::gluster::operation::{Gluster, Operation, SetShape};
use gluster_operator::gluster::outcome::Family;

use crate::acts::{Act, DEVICE};
use crate::directed::{
    clients, create, delete, enable, gluster, inspect, limit, list, probe, reset, set, start, stop,
    unlimit, words,
};

#[path = "../support/dice.rs"]
mod dice;

use dice::Dice;

const HOSTS: [&str; 4] = ["node1", "node2", "node3", "node4"];
const VOLUMES: [&str; 5] = ["r1", "r2", "r3", "r4", "nope"];

/// `count` operations and now and then a look. What takes seconds on a real host is rationed.
pub fn acts(seed: u64, count: usize) -> Vec<Act> {
    let mut dice = Dice(seed);
    let (mut starts, mut stops, mut enables) = (11, 6, 3);
    let mut acts = Vec::new();
    while acts.len() < count {
        let host = dice.pick(&HOSTS);
        let volume = dice.pick(&VOLUMES);
        let known = dice.pick(&VOLUMES[..4]);
        let act = match dice.below(100) {
            0..18 => any_create(&mut dice, host, known),
            18..25 if starts > 0 => {
                starts -= 1;
                start(host, volume)
            }
            25..29 if stops > 0 => {
                stops -= 1;
                stop(host, volume)
            }
            29..36 => delete(host, volume),
            36..40 if enables > 0 => {
                enables -= 1;
                enable(host, volume)
            }
            40..45 => limit(host, volume, 1 << (20 + dice.below(8))),
            45..48 => unlimit(host, volume),
            48..54 => list(host, volume),
            54..64 => any_set(&mut dice, host, volume),
            64..70 => reset(
                host,
                volume,
                dice.pick(&[
                    "performance.cache-size",
                    "user.a",
                    "no.such",
                    "features.quota",
                    "auth.allow",
                    "nfs.disable",
                ]),
            ),
            70..74 => clients(host, volume),
            74..80 => {
                let paths = ["r1-0", "r2-1", "r3-0", "none", "t-1/brick"];
                inspect(host, &[dice.pick(&paths), dice.pick(&paths)])
            }
            80..88 => of_the_host(&mut dice, host),
            88..92 => words(
                host,
                Family::VolumeSet,
                dice.pick(&[
                    "volume set all no.such on",
                    "volume set all cluster.brick-multiplex maybe",
                    "volume set all cluster.server-quorum-ratio 51",
                    "volume set all performance.cache-size 32MB",
                    "volume set all cluster.op-version 90000",
                ]),
            ),
            92..95 => probe(host, dice.pick(&HOSTS)),
            95..97 => gluster(host, Gluster::Uuid),
            97..100 => Act::Look(&["node1", "node2", "node3", "node4"]),
            _ => continue,
        };
        acts.push(act);
    }
    acts.push(Act::Look(&["node1", "node2", "node3", "node4"]));
    acts
}

/// Few paths, so that most are taken after a while.
fn any_create(dice: &mut Dice, host: &'static str, volume: &str) -> Act {
    let mut hosts = HOSTS.to_vec();
    // some begin elsewhere
    hosts.rotate_left(dice.below(4));
    let number = dice.below(12);
    let brick = |host: &&str| format!("{host}:{volume}-{number}");
    let bricks: Vec<String> = hosts.iter().map(brick).collect();
    let all: Vec<&str> = bricks.iter().map(String::as_str).collect();
    let raw = |layout: &str, count: usize| {
        let bricks: Vec<String> = hosts[..count]
            .iter()
            .map(|host| format!("{host}:{DEVICE}/{volume}-{number}"))
            .collect();
        words(
            host,
            Family::VolumeCreate,
            &format!("volume create {volume} {layout} {}", bricks.join(" ")),
        )
    };
    match dice.below(10) {
        0..3 => create(host, volume, SetShape::Distribute, &all[..1]),
        3..5 => create(host, volume, SetShape::Distribute, &all[..3]),
        5 => create(host, volume, SetShape::Replicate { copies: 2 }, &all[..2]),
        6 => create(host, volume, SetShape::Replicate { copies: 2 }, &all),
        7 => create(host, volume, SetShape::Replicate { copies: 3 }, &all[1..]),
        8 => raw("replica 3 arbiter 1", 3),
        _ => raw("disperse 3 redundancy 1", 3),
    }
}

fn any_set(dice: &mut Dice, host: &'static str, volume: &str) -> Act {
    let good = [
        ("performance.cache-size", "64MB"),
        ("user.a", "b"),
        ("network.ping-timeout", "10"),
        ("auth.allow", "10.0.0.1"),
        ("features.shard", "on"),
        ("performance.write-behind", "off"),
    ];
    let bad = [
        ("no.such", "1"),
        ("performance.cache-size", "banana"),
        ("performance.read-ahead", "perhaps"),
        ("cluster.brick-multiplex", "on"),
        ("network.ping-timeout", "9999"),
    ];
    match dice.below(3) {
        0 => set(host, volume, &[dice.pick(&good)]),
        1 => set(host, volume, &[dice.pick(&bad)]),
        _ => set(host, volume, &[("user.b", "c"), dice.pick(&bad)]),
    }
}

fn of_the_host(dice: &mut Dice, host: &'static str) -> Act {
    let path = |end: &str| -> HostPath { format!("{DEVICE}/{end}").parse().unwrap() };
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    let mark = format!("v1:a.b:{uuid}:shop/data:{uuid}").parse().unwrap();
    let device: HostPath = DEVICE.parse().unwrap();
    Act::Do(
        host,
        match dice.below(8) {
            0 | 1 => Operation::MakeBrick {
                device,
                parent: path("t-1"),
                path: path("t-1/brick"),
                mark,
            },
            2 => Operation::MarkBrick {
                path: path("t-1/brick"),
                mark,
            },
            3 => Operation::TrashBrick {
                device,
                parent: path("t-1"),
                trash: path(".trash/t-1"),
            },
            4 => Operation::Survey {
                devices: vec![device, "/srv/none".parse().unwrap()],
            },
            5 => Operation::ClaimHost {
                owner: dice.pick(&["one", "two"]).parse().unwrap(),
                replace: (dice.below(3) == 0).then(|| dice.pick(&["one", "two"]).parse().unwrap()),
            },
            6 => Operation::ReleaseHost,
            _ => Operation::MakeBrick {
                device: "/srv/none".parse().unwrap(),
                parent: path("t-2"),
                path: path("t-2/brick"),
                mark,
            },
        },
    )
}
