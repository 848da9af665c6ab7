//! Where bricks go: thousands of pools, and what must hold of every placement; and that what does not fit does not.

use std::collections::{BTreeMap, BTreeSet};

use gluster_operator::gluster::model::{
    BrickFacts, DeviceFacts, HostView, PoolView, SilentKind, Volume, VolumeBrick, VolumeView,
};
use gluster_operator::gluster::names::{Bytes, TrashName};
use gluster_operator::gluster::operation::SetShape;
use gluster_operator::plan::place;
use gluster_operator::plan::step::BrickPlace;
use gluster_operator::plan::validate::{ValidCluster, ValidVolume};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{World, cluster, host, want};

const GI: u64 = 1 << 30;

/// A host: zone, devices with what they have free (`None`: not mounted), and whether it answers.
type Node = (usize, Vec<Option<u64>>, bool);

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let device = prop_oneof![
        1 => Just(None),
        8 => prop::sample::select(vec![GI / 2, GI, 2 * GI, 5 * GI, 100 * GI]).prop_map(Some),
    ];
    let node = (
        0_usize..4,
        prop::collection::vec(device, 0..3),
        prop::bool::weighted(0.9),
    );
    prop::collection::vec(node, 1..7)
}

fn layouts() -> impl Strategy<Value = Value> {
    let sets = || 1_u32..4;
    prop_oneof![
        sets().prop_map(|n| json!({"distribute": n})),
        (2_u32..4, sets())
            .prop_map(|(copies, n)| json!({"replicate": {"copies": copies}, "distribute": n})),
        sets().prop_map(|n| json!({"replicate": {"copies": 3, "arbiter": true}, "distribute": n})),
        (2_u32..4, sets()).prop_map(
            |(data, n)| json!({"disperse": {"data": data, "redundancy": 1}, "distribute": n})
        ),
    ]
}

/// With `zoned`, nodes are in zones; without, each is one of its own.
fn pool(nodes: &[Node], zoned: bool) -> (ValidCluster, PoolView) {
    let list: Vec<Value> = nodes
        .iter()
        .enumerate()
        .map(|(at, (zone, devices, _))| {
            let devices: Vec<Value> = (0..devices.len())
                .map(|d| json!({"path": format!("/d{d}")}))
                .collect();
            let mut node = json!({"name": format!("n{}", at + 1), "devices": devices});
            if zoned {
                node["zone"] = json!(format!("z{zone}"));
            }
            node
        })
        .collect();
    let cluster = cluster(0, json!({"nodes": list}));
    let mut view = World::settled(&cluster).view(&cluster);
    for (at, (_, devices, answers)) in nodes.iter().enumerate() {
        let name = host(&format!("n{}", at + 1));
        if !answers {
            let why = format!("{name} does not answer");
            let kind = SilentKind::Unreachable;
            view.hosts.insert(name, HostView::Silent { why, kind });
            continue;
        }
        let Some(HostView::Answered(facts)) = view.hosts.get_mut(&name) else {
            panic!("{name} answers");
        };
        for (d, free) in devices.iter().enumerate() {
            let path = format!("/d{d}");
            let found = DeviceFacts::Present {
                mount_point: if free.is_some() {
                    path.clone()
                } else {
                    "/".into()
                },
                size: Bytes(0),
                free: Bytes(free.unwrap_or(1 << 50)),
                fs_id: "1".into(),
            };
            facts.devices.insert(path.parse().unwrap(), found);
        }
    }
    (cluster, view)
}

/// Bytes that the brick at that place of a set needs.
fn need(want: &ValidVolume, at: usize) -> u64 {
    let sharers = u64::from(want.sets)
        * match want.shape {
            SetShape::Disperse { data, .. } => u64::from(data),
            _ => 1,
        };
    let data = want
        .capacity
        .map_or(1 << 20, |bytes| bytes.0.div_ceil(sharers))
        .max(1 << 20);
    if want.shape.is_arbiter(at) {
        (data / 16).max(1 << 20)
    } else {
        data
    }
}

/// How many bricks of a set have to share a zone, whatever answers now.
fn crowd(nodes: &[Node], zoned: bool, size: usize) -> usize {
    let mut zones: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, (zone, devices, _)) in nodes.iter().enumerate() {
        if !devices.is_empty() {
            *zones.entry(if zoned { *zone } else { at }).or_default() += 1;
        }
    }
    (1..size)
        .find(|most| zones.values().map(|hosts| hosts.min(most)).sum::<usize>() >= size)
        .unwrap_or(size)
}

fn zone(nodes: &[Node], zoned: bool, place: &BrickPlace) -> usize {
    let at: usize = place.host.as_str()[1..].parse().unwrap();
    if zoned { nodes[at - 1].0 } else { at - 1 }
}

/// What must hold of every placement.
fn holds(places: &[BrickPlace], want: &ValidVolume, nodes: &[Node], zoned: bool) {
    let size = want.set_size() as usize;
    assert_eq!(places.len(), size * want.sets as usize);
    let mut used: BTreeMap<(String, String), (u64, usize)> = BTreeMap::new();
    for (at, place) in places.iter().enumerate() {
        let device = (place.host.to_string(), place.device.to_string());
        let entry = used.entry(device).or_default();
        *entry = (entry.0 + need(want, at % size), entry.1 + 1);
        let below = format!("{}/", place.device);
        assert!(place.path.as_str().starts_with(&below), "{place:?}");
    }
    for ((name, device), (bytes, count)) in used {
        let at: usize = name[1..].parse().unwrap();
        let (_, devices, answers) = &nodes[at - 1];
        let device: usize = device[2..].parse().unwrap();
        let free = devices[device].expect("only what is mounted");
        assert!(
            *answers && bytes <= free && count <= 8,
            "{name}: {bytes} of {free}, {count} bricks"
        );
    }
    for set in places.chunks(size) {
        let hosts: BTreeSet<_> = set.iter().map(|place| &place.host).collect();
        assert_eq!(hosts.len(), size, "two of a set on one host: {set:?}");
        let mut zones: BTreeMap<usize, usize> = BTreeMap::new();
        for place in set {
            *zones.entry(zone(nodes, zoned, place)).or_default() += 1;
        }
        let most = crowd(nodes, zoned, size);
        assert!(
            zones.values().all(|count| *count <= most),
            "{most} in a zone do: {set:?}"
        );
    }
    let paths: BTreeSet<_> = places.iter().map(BrickPlace::brick).collect();
    let trash: BTreeSet<_> = places
        .iter()
        .map(|place| (&place.host, place.trash("shop_data-0000000d")))
        .collect();
    assert_eq!((paths.len(), trash.len()), (places.len(), places.len()));
    // each is known for ours when its time has come
    for name in ["shop_data-0000000d", "shop_data-0000000d-torn-1700000000"] {
        for place in places {
            let path = place.trash(name);
            let entry = path.rsplit('/').next().unwrap();
            assert!(entry.parse::<TrashName>().is_ok(), "{entry}");
        }
    }
}

/// How many bricks of data each host has room for.
fn rooms(want: &ValidVolume, nodes: &[Node]) -> Vec<u64> {
    let room = |(_, devices, answers): &Node| {
        let each = devices.iter().flatten();
        let all: u64 = each.map(|free| (free / need(want, 0)).min(8)).sum();
        if *answers { all } else { 0 }
    };
    nodes.iter().map(room).collect()
}

/// Whether there is any placement, by trying all.
fn fits_somehow(sets: u32, size: usize, most: usize, zones: &[usize], rooms: &mut [u64]) -> bool {
    if sets == 0 {
        return true;
    }
    (0_u32..1 << rooms.len()).any(|chosen| {
        let hosts: Vec<usize> = (0..rooms.len())
            .filter(|at| chosen >> at & 1 == 1)
            .collect();
        let crowded = |zone: &usize| hosts.iter().filter(|at| zones[**at] == *zone).count() > most;
        if hosts.len() != size
            || hosts.iter().any(|at| rooms[*at] == 0)
            || zones.iter().any(crowded)
        {
            return false;
        }
        for at in &hosts {
            rooms[*at] -= 1;
        }
        let fits = fits_somehow(sets - 1, size, most, zones, rooms);
        for at in &hosts {
            rooms[*at] += 1;
        }
        fits
    })
}

/// The numbers in "needs … has …" are those of the pool, and every host that has no room is named.
fn sums(why: &str, want: &ValidVolume, nodes: &[Node]) {
    let size = want.set_size();
    assert!(
        why.starts_with(&format!("needs {size} hosts with ")),
        "{why}"
    );
    let (needs, rest) = why.split_once(", has ").expect(why);
    let (has, details) = rest.split_once(": ").expect(why);
    let rooms = rooms(want, nodes);
    let hosts = rooms.iter().filter(|room| **room > 0).count();
    if want.sets == 1 {
        assert_eq!(has, hosts.to_string(), "{why}");
    } else {
        assert!(
            needs.ends_with(&format!("{} bricks", size * want.sets)),
            "{why}"
        );
        let (bricks, on) = has
            .strip_prefix("room for ")
            .unwrap()
            .split_once(" on ")
            .unwrap();
        assert_eq!(on, hosts.to_string(), "{why}");
        let all: u64 = rooms
            .iter()
            .map(|room| *room.min(&u64::from(want.sets)))
            .sum();
        assert!(bricks.parse::<u64>().unwrap() <= all, "{why}");
    }
    for (at, room) in rooms.iter().enumerate() {
        assert!(
            *room > 0 || details.contains(&format!("n{}", at + 1)),
            "n{}: {why}",
            at + 1
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_placement_keeps_the_rules_and_what_fits_is_found(
        nodes in nodes(), zoned in any::<bool>(), layout in layouts(), gi in prop::option::of(1_u64..12),
    ) {
        let (cluster, view) = pool(&nodes, zoned);
        let mut spec = json!({"layout": layout});
        if let Some(gi) = gi {
            spec["capacity"] = json!(format!("{gi}Gi"));
        }
        let want = want(&cluster, spec, &[]);
        let nothing = VolumeView::default();
        let found = place::bricks(&want, &cluster, &view, &nothing);
        prop_assert_eq!(&found, &place::bricks(&want, &cluster, &view, &nothing), "not deterministic");
        let size = want.set_size() as usize;
        match found {
            Ok(places) => {
                holds(&places, &want, &nodes, zoned);
                // all of them are looked at when a plan is made, and recognised later
                let looked: BTreeSet<_> = place::candidates(&want, &cluster).into_iter().collect();
                for place in &places {
                    prop_assert!(looked.contains(place));
                    let again = place::of_brick(&want, &cluster, &place.brick());
                    prop_assert_eq!(again.as_ref(), Some(place));
                }
            }
            Err(why) => {
                sums(&why, &want, &nodes);
                let zones: Vec<usize> = nodes.iter().enumerate().map(|(at, node)| if zoned { node.0 } else { at }).collect();
                let most = crowd(&nodes, zoned, size);
                let data = size - usize::from(want.shape == SetShape::Arbiter);
                let all = fits_somehow(want.sets, size, most, &zones, &mut rooms(&want, &nodes));
                prop_assert!(!all, "three of the size of data fit, but: {}", why);
                let exact = data == size && fits_somehow(want.sets, data, most, &zones, &mut rooms(&want, &nodes));
                prop_assert!(!exact, "it fits: {}", why);
            }
        }
    }

    /// What was begun is gone on with, though by then other devices are the emptiest.
    #[test]
    fn what_was_begun_is_gone_on_with(
        nodes in nodes(), zoned in any::<bool>(), layout in layouts(), made in prop::collection::vec(any::<bool>(), 12),
        free in prop::collection::vec(prop::sample::select(vec![20 * GI, 40 * GI, 90 * GI]), 18),
    ) {
        let nodes: Vec<Node> = nodes.into_iter().map(|(zone, devices, _)| {
            (zone, devices.into_iter().map(|free| free.map(|_| 50 * GI)).collect(), true)
        }).collect();
        let (cluster, view) = pool(&nodes, zoned);
        let want = want(&cluster, json!({"layout": layout, "capacity": "1Gi"}), &[]);
        let Ok(first) = place::bricks(&want, &cluster, &view, &VolumeView::default()) else {
            return Ok(());
        };
        let begun: Vec<&BrickPlace> = first.iter().zip(&made).filter(|(_, made)| **made).map(|(place, _)| place).collect();
        let marked = BrickFacts::Present { owner: Some(want.mark.clone()), foreign_mark: false, volume_id: None, empty: true };
        let seen = VolumeView {
            bricks: begun.iter().map(|place| (place.brick(), marked.clone())).collect(),
            ..VolumeView::default()
        };
        let mut free = free.into_iter();
        let later: Vec<Node> = nodes.iter().map(|(zone, devices, answers)| {
            (*zone, devices.iter().map(|now| now.and(free.next())).collect(), *answers)
        }).collect();
        let (_, view) = pool(&later, zoned);
        let second = place::bricks(&want, &cluster, &view, &seen).unwrap();
        holds(&second, &want, &later, zoned);
        if want.sets == 1 && want.shape != SetShape::Arbiter && first.iter().all(|place| second.contains(place)) {
            prop_assert_eq!(&first, &second, "the order of bricks stays what it would have been");
        }
        for place in begun {
            prop_assert!(second.contains(place), "{place:?} stays behind: {second:?}");
        }
    }
}

fn even(count: usize, free: u64) -> Vec<Node> {
    (0..count).map(|at| (at, vec![Some(free)], true)).collect()
}

#[test]
fn several_sets_share_hosts_and_are_spread_over_them() {
    let count = |nodes: &[Node], layout: Value| {
        let (cluster, view) = pool(nodes, false);
        let want = want(&cluster, json!({"layout": layout}), &[]);
        let places = place::bricks(&want, &cluster, &view, &VolumeView::default()).unwrap();
        holds(&places, &want, nodes, false);
        let mut on: BTreeMap<String, usize> = BTreeMap::new();
        for place in places {
            *on.entry(place.host.to_string()).or_default() += 1;
        }
        on.into_values().collect::<Vec<_>>()
    };
    let two = json!({"replicate": {"copies": 3}, "distribute": 2});
    assert_eq!(count(&even(3, GI), two.clone()), [2, 2, 2]);
    assert_eq!(count(&even(6, GI), two.clone()), [1, 1, 1, 1, 1, 1]);
    assert_eq!(count(&even(4, GI), two).iter().sum::<usize>(), 6);
    assert_eq!(count(&even(4, GI), json!({"distribute": 4})), [1, 1, 1, 1]);
}

/// The host that is full of data still has room for arbiters, and gets them.
#[test]
fn arbiters_lie_where_there_is_least_space() {
    let mut nodes = even(3, 50 * GI);
    nodes[1].1 = vec![Some(2 * GI)];
    let (cluster, view) = pool(&nodes, false);
    let spec = json!({"layout": {"replicate": {"copies": 3, "arbiter": true}, "distribute": 2}, "capacity": "20Gi"});
    let want = want(&cluster, spec, &[]);
    let places = place::bricks(&want, &cluster, &view, &VolumeView::default()).unwrap();
    holds(&places, &want, &nodes, false);
    for at in [2, 5] {
        assert_eq!(places[at].host.as_str(), "n2", "{places:?}");
    }
}

#[test]
fn what_does_not_fit_is_said_in_numbers() {
    let text = |nodes: &[Node], zoned: bool, more: Value| {
        let (cluster, view) = pool(nodes, zoned);
        let want = want(&cluster, more, &[]);
        place::bricks(&want, &cluster, &view, &VolumeView::default()).unwrap_err()
    };
    let three = json!({"layout": {"replicate": {"copies": 3}}, "capacity": "2Gi"});
    let mut nodes = even(3, 5 * GI);
    nodes[2].2 = false;
    assert_eq!(
        text(&nodes, false, three.clone()),
        "needs 3 hosts with 2Gi free for a brick, has 2: n3 does not answer"
    );
    nodes[2] = (2, vec![Some(GI + GI / 2)], true);
    assert_eq!(
        text(&nodes, false, three.clone()),
        "needs 3 hosts with 2Gi free for a brick, has 2: n3 has 1.5Gi free"
    );
    nodes[2] = (2, vec![], true);
    assert_eq!(
        text(&nodes, false, three),
        "needs 3 hosts with 2Gi free for a brick, has 2: n3 lists no device"
    );
    let sets = json!({"layout": {"disperse": {"data": 2, "redundancy": 1}, "distribute": 2}, "capacity": "12Gi"});
    assert_eq!(
        text(&even(3, 5 * GI), false, sets),
        "needs 3 hosts with 3Gi free for a brick for each of 2 sets: 6 bricks, has room for 3 on 3: n1 has room for 1; n2 has room for 1; n3 has room for 1"
    );
    // a zone that is down is waited for: a layout is for ever
    let mut zones = even(3, 5 * GI);
    zones[2].2 = false;
    zones.push((1, vec![Some(5 * GI)], true));
    let why = text(
        &zones,
        true,
        json!({"layout": {"replicate": {"copies": 3}}}),
    );
    assert_eq!(
        why,
        "needs 3 hosts with a device for bricks, each in another zone, has 3: n1 (zone z0) has room; n2 (zone z1) has room; n3 does not answer (zone z2); n4 (zone z1) has room"
    );
}

/// Past the files that one process may open, `volume start` says that all is well and the brick does not run.
#[test]
fn a_multiplexed_host_takes_no_more_bricks_than_its_process_has_files_for() {
    let try_with = |running: usize, options: &[(&str, &str)]| {
        let (cluster, mut view) = pool(&even(1, GI), false);
        let Some(HostView::Answered(facts)) = view.hosts.get_mut(&host("n1")) else {
            panic!("it answers");
        };
        let options = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        facts.state.global_options = options.collect();
        let brick = |at| VolumeBrick {
            host: "n1".into(),
            path: format!("/d0/other-{at}"),
            online: Some(true),
            port: None,
            arbiter: false,
        };
        facts.state.volumes = vec![Volume {
            name: "other".into(),
            bricks: (0..running).map(brick).collect(),
            ..Volume::default()
        }];
        let want = want(&cluster, json!({"layout": {"distribute": 1}}), &[]);
        place::bricks(&want, &cluster, &view, &VolumeView::default())
    };
    let on = ("cluster.brick-multiplex", "on");
    assert!(try_with(63, &[on]).is_ok());
    let why = try_with(64, &[on]).unwrap_err();
    assert!(
        why.contains("n1 runs 64 bricks in one process") && why.contains("max-bricks-per-process"),
        "{why}"
    );
    assert!(try_with(64, &[("cluster.brick-multiplex", "off")]).is_ok());
    assert!(try_with(64, &[on, ("cluster.max-bricks-per-process", "10")]).is_ok());
    assert!(try_with(64, &[on, ("cluster.max-bricks-per-process", "250")]).is_err());
}
