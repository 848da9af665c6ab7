//! Every layout on six real hosts in three zones, as the planner places and makes it: gluster's own word for it, the order of
//! its bricks, and where the data lies; with hosts dead; and put together again from the trash.
//!
//! Needs root, and what a lab needs ([`GlusterLab::missing`]).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // it is all tests

#[path = "../support/gluster_lab.rs"]
mod gluster_lab;

mod data;
mod world;

use gluster_operator::api::condition::{ConditionType, Reason};
use gluster_operator::gluster::operation::{Gluster, Operation};
use gluster_operator::plan::options;
use gluster_operator::plan::step::Step;
use serde_json::json;

use data::Where;
use gluster_lab::GlusterLab;
use world::{Layout, World, holds, reason};

/// The article's seven types, then what came after: gluster's words for each, and how many bricks of a set hold what.
fn layouts() -> Vec<Layout> {
    let one = |name, spec, type_name, count, set| Layout {
        name,
        spec,
        exact: &[],
        type_name,
        count,
        set,
    };
    let copies = |n: usize| Where {
        whole: n,
        ..Where::default()
    };
    let arbiter = Where {
        whole: 2,
        empty: 1,
        ..Where::default()
    };
    let parts = |n: usize| Where {
        parts: n,
        ..Where::default()
    };
    let cut = |set: Where| Where {
        shards: true,
        ..set
    };
    let shard = json!({"blockSize": "4Mi"});
    vec![
        one(
            "distribute",
            json!({"distribute": 3}),
            "Distribute",
            "3",
            copies(1),
        ),
        one(
            "stripe",
            json!({"distribute": 2, "shard": shard}),
            "Distribute",
            "2",
            cut(copies(1)),
        ),
        one(
            "replica",
            json!({"replicate": {"copies": 2}}),
            "Replicate",
            "1 x 2 = 2",
            copies(2),
        ),
        one(
            "distribute-stripe",
            json!({"distribute": 4, "shard": shard}),
            "Distribute",
            "4",
            cut(copies(1)),
        ),
        one(
            "distribute-replica",
            json!({"replicate": {"copies": 2}, "distribute": 2}),
            "Distributed-Replicate",
            "2 x 2 = 4",
            copies(2),
        ),
        one(
            "stripe-replica",
            json!({"replicate": {"copies": 2}, "shard": shard}),
            "Replicate",
            "1 x 2 = 2",
            cut(copies(2)),
        ),
        one(
            "distribute-stripe-replica",
            json!({"replicate": {"copies": 2}, "distribute": 3, "shard": shard}),
            "Distributed-Replicate",
            "3 x 2 = 6",
            cut(copies(2)),
        ),
        one(
            "three",
            json!({"replicate": {"copies": 3}, "distribute": 4}),
            "Distributed-Replicate",
            "4 x 3 = 12",
            copies(3),
        ),
        one(
            "arbiter",
            json!({"replicate": {"copies": 3, "arbiter": true}}),
            "Replicate",
            "1 x (2 + 1) = 3",
            arbiter,
        ),
        one(
            "distribute-arbiter",
            json!({"replicate": {"copies": 3, "arbiter": true}, "distribute": 2, "shard": shard}),
            "Distributed-Replicate",
            "2 x (2 + 1) = 6",
            cut(arbiter),
        ),
        one(
            "disperse",
            json!({"disperse": {"data": 4, "redundancy": 2}}),
            "Disperse",
            "1 x (4 + 2) = 6",
            parts(6),
        ),
        one(
            "distribute-disperse",
            json!({"disperse": {"data": 2, "redundancy": 1}, "distribute": 2}),
            "Distributed-Disperse",
            "2 x (2 + 1) = 6",
            parts(3),
        ),
        Layout {
            // two on one host, in one directory; and no order that placing would come to
            exact: &[
                "node6:/srv/bricks/d1/exact/one",
                "node1:/srv/bricks/d1/exact/deep/one",
                "node4:/srv/bricks/d1/exact",
                "node6:/srv/bricks/d1/exact/two",
            ],
            ..one(
                "exact",
                json!({"replicate": {"copies": 2}, "distribute": 2}),
                "Distributed-Replicate",
                "2 x 2 = 4",
                copies(2),
            )
        },
    ]
}

/// Two bricks on each host, that nobody has mounted and that have no daemons: what gluster says of its clients is spoiled, whoever is
/// asked.
fn without_clients() -> Layout {
    Layout {
        name: "nobody",
        spec: json!({"distribute": 12}),
        exact: &[
            "node1:/srv/bricks/d1/nobody/one",
            "node1:/srv/bricks/d1/nobody/two",
            "node2:/srv/bricks/d1/nobody/one",
            "node2:/srv/bricks/d1/nobody/two",
            "node3:/srv/bricks/d1/nobody/one",
            "node3:/srv/bricks/d1/nobody/two",
            "node4:/srv/bricks/d1/nobody/one",
            "node4:/srv/bricks/d1/nobody/two",
            "node5:/srv/bricks/d1/nobody/one",
            "node5:/srv/bricks/d1/nobody/two",
            "node6:/srv/bricks/d1/nobody/one",
            "node6:/srv/bricks/d1/nobody/two",
        ],
        type_name: "Distribute",
        count: "12",
        set: Where::default(),
    }
}

#[test]
fn every_layout_on_six_hosts() {
    let Some(lab) = GlusterLab::up_or_skip(6, 1) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = World::new(&lab);
    let start = std::time::Instant::now();
    let stage = |name: &str| println!("{:6.1} s  {name}", start.elapsed().as_secs_f64());
    runtime.block_on(world.join_hosts());
    stage("the hosts are one pool");
    let all = layouts();
    // a pool has many volumes that are made at once
    runtime.block_on(async {
        futures::join!(world.make(&all), profiles_and_a_bad_option(&world));
    });
    stage("all volumes are there");
    for layout in &all {
        layout.is_as_gluster_says(&world);
    }
    std::thread::scope(|scope| {
        for layout in &all {
            scope.spawn(|| data::write(&world, layout));
        }
    });
    stage("files are written");
    for layout in &all {
        data::lies_where_it_should(&world, layout);
    }
    stage("files lie where they should");
    runtime.block_on(stopped_and_started(&world, &all[2]));
    stage("stopped and started");
    let some = [
        "three",
        "distribute-arbiter",
        "distribute-disperse",
        "exact",
    ];
    for layout in all.iter().filter(|layout| some.contains(&layout.name)) {
        world.unmount(layout.name);
        runtime.block_on(world.delete(layout));
        world.is_in_the_trash(layout);
        world.restore(layout);
        data::reads(&world, layout);
    }
    stage("from the trash and back");
    let nobody = without_clients();
    runtime.block_on(async {
        world.make(std::slice::from_ref(&nobody)).await;
        world.delete(&nobody).await;
    });
    world.is_in_the_trash(&nobody);
    stage("bricks that have no client at all are deleted, too");
    data::is_read_with_hosts_dead(&world, &all);
    stage("read with hosts dead");
}

/// Each option of each profile exists and is taken; one that does not exist is one refusal, and the others are set.
async fn profiles_and_a_bad_option(world: &World<'_>) {
    let all = [
        ("db", "database"),
        ("vm", "virtual-machines"),
        ("files", "small-files"),
    ];
    let each = all.map(|(name, profile)| async move {
        let want = world.want(
            name,
            &json!({"layout": {"distribute": 1}, "profile": profile}),
        );
        world.settle(&want).await;
        let seen = world.volume(&want).await;
        assert!(!want.profile.is_empty());
        for (key, value) in &want.profile {
            let set = seen.options.get(key.as_str()).map(String::as_str);
            assert_eq!(set, Some(value.as_str()), "{profile}: {key}");
            assert!(options::forbidden(key).is_none());
        }
    });
    futures::future::join_all(each).await;
    let spec = json!({"layout": {"distribute": 1}, "options": {
        "performance.cache-size": "64MB", "performance.io-thread-count": "many", "performance.no-such": "1",
    }});
    let want = world.want("bad", &spec);
    let failed = world.settle(&want).await;
    let words: Vec<String> = failed.iter().map(ToString::to_string).collect();
    assert!(
        words
            .iter()
            .any(|words| words.contains("io-thread-count") || words.contains("no-such")),
        "{words:?}"
    );
    let seen = world.volume(&want).await;
    assert_eq!(seen.options["performance.cache-size"], "64MB");
    assert_eq!(
        seen.status,
        gluster_operator::gluster::model::VolumeStatus::Started
    );
}

/// A volume that somebody has mounted is not stopped; then it is, with its data, and starts again.
async fn stopped_and_started(world: &World<'_>, layout: &Layout) {
    let mut spec = json!({"layout": layout.spec});
    spec["state"] = json!("Stopped");
    let stop = world.want(layout.name, &spec);
    let found = world.plan(&stop).await;
    assert!(found.steps.is_empty(), "{:?}", found.steps);
    assert_eq!(
        reason(&found, ConditionType::InSync),
        Some(Reason::StopBlocked)
    );
    let address = world.lab.address("client1");
    let message = &found
        .findings
        .iter()
        .rfind(|f| f.kind == ConditionType::InSync)
        .unwrap()
        .message;
    assert!(message.contains(&address), "{message}");
    world.unmount(layout.name);
    let found = world.plan(&stop).await;
    assert!(
        matches!(found.steps.as_slice(), [Step::StopVolume(_)]),
        "{found:?}"
    );
    world.settle(&stop).await;
    let found = world.plan(&stop).await;
    assert_eq!(holds(&found, ConditionType::InSync), Some(true));
    assert_eq!(reason(&found, ConditionType::Ready), Some(Reason::Stopped));
    let status = Operation::Gluster(Gluster::Clients(stop.volume.clone()));
    let answer = world.perform("node1", &status).await;
    assert!(answer.stdout.contains("not started"), "{answer:?}");
    let start = world.want(layout.name, &json!({"layout": layout.spec}));
    world.settle(&start).await;
    data::reads(world, layout);
}
