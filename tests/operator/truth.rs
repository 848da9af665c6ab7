//! The truth is told, and nothing wrong is done: ghosts, bricks that are killed, a transaction of somebody else, a full
//! device, a host that its peers have lost. What has nothing to do with it goes on.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::data::{Mounted, joined};
use crate::support::operator_lab::{
    CLUSTERS, DEVICE, History, POOL, VOLUMES, World, as_declared, clocked, condition, is_false,
    say, until, volume, world,
};

const SOON: Duration = Duration::from_secs(45);
/// Ready flips, and conditions name what is wrong.
const TOLD: Duration = Duration::from_secs(30);

#[test]
fn the_truth_is_told_and_nothing_wrong_is_done() {
    let Some(guard) = world() else { return };
    let Some(world) = guard.as_ref() else { return };
    let begin = Instant::now();
    // what a client waits for a silent brick, instead of gluster's 42 s
    let options = json!({"network.ping-timeout": "10"});
    let fields = json!({"capacity": "16Mi", "options": options});
    world.ready_volume("steady", &fields);
    std::thread::scope(|threads| {
        // another pool: what goes on there concerns nobody else
        threads.spawn(|| {
            world.scene("a device without space", || full(world));
        });
        world.scene("volumes that one host alone knows", || ghosts(world));
        world.scene("bricks that are killed", || killed(world));
        world.scene(
            "a host that its peers have lost, a transaction that waits for it, and then nobody reaches it",
            || split(world),
        );
    });
    world.delete(&format!("{VOLUMES}/steady"));
    say(&format!("       {:.0} s", begin.elapsed().as_secs_f64()));
    world.curtain();
}

fn writes(histories: &[History]) -> Vec<String> {
    histories.iter().flat_map(History::writes).collect()
}

fn set(world: &World, name: &str, value: &str) {
    let options = json!({"spec": {"options": {"performance.cache-size": value}}});
    world.patch(&format!("{VOLUMES}/{name}"), &options);
}

fn cache_size(world: &World, host: &str) -> String {
    let info = world.gluster(host, &["volume", "info", "shop_steady"]);
    let mut lines = info.lines();
    let line = lines.find_map(|line| line.strip_prefix("performance.cache-size: "));
    line.unwrap_or_default().to_owned()
}

/// A `create` with a brick too many fails in its last phase, and the host that was asked comes up with the volume when its
/// glusterd is started again. Meanwhile glusterd is told to notice silence, which takes the same start.
fn ghosts(world: &World) {
    let coordinator = world.coordinator();
    let host = POOL.into_iter().find(|host| **host != coordinator).unwrap();
    for name in ["shop_haunted", "nobodys"] {
        let mut create = vec!["gluster", "--mode=script", "volume", "create", name];
        create.extend(["replica", "3"]);
        let bricks = ["node1", "node2", "node3", "node1"];
        let bricks: Vec<String> = (0..4)
            .map(|at| format!("{}:{DEVICE}/{name}-{at}", bricks[at]))
            .collect();
        create.extend(bricks.iter().map(String::as_str));
        create.push("force");
        assert!(!world.hosts.sh(host, &create).status.success());
    }
    for each in POOL {
        world.hosts.shell(
            each,
            "sed -i 's/option ping-timeout .*/option ping-timeout 10/' /etc/glusterfs/glusterd.vol",
        );
        world.lab(&["service", each, "glusterd", "restart"]);
    }
    until(SOON, "glusterd knows them", || {
        world.gluster(host, &["volume", "list"]).contains("nobodys")
    });
    let histories = POOL.map(|host| world.history(host));
    world.volume("haunted", &json!({}));
    let file = "/var/lib/glusterd/vols/shop_haunted";
    let remedy = format!("systemctl stop glusterd && rm -r {file} && systemctl start glusterd");
    let told = world.wait_volume("haunted", SOON, "is a ghost", |object| {
        let words = ["volume shop_haunted is known on", host, &remedy];
        is_false(object, "Ready", "GhostVolume", &words)
            && is_false(object, "InSync", "GhostVolume", &words)
    });
    say(&format!("       {}", condition(&told, "Ready").2));
    world.wait_event("haunted", &["GhostVolume", host]);
    // neither that one nor one of a name that nobody declared is in the way of others
    set(world, "steady", "40MB");
    world.wait_volume("steady", SOON, "is as declared", as_declared);
    let touched: Vec<String> = writes(&histories)
        .into_iter()
        .filter(|line| line.contains("shop_haunted") || line.contains("nobodys"))
        .collect();
    assert_eq!(touched, Vec::<String>::new(), "a ghost was touched");
    // the one command, as there is no systemd in the lab
    world.lab(&["service", host, "glusterd", "stop"]);
    world.hosts.run(host, &["rm", "-r", file]);
    world.lab(&["service", host, "glusterd", "start"]);
    world.wait_volume("haunted", SOON, "is as declared", as_declared);
    let listed = world.gluster(host, &["volume", "list"]);
    assert!(listed.contains("nobodys"), "{listed}");
    world.delete(&format!("{VOLUMES}/haunted"));
    world.wait_cluster("prod", SOON, "is as declared", as_declared);
}

/// Bricks of `steady` are killed, at once when they run again, too.
fn killed(world: &World) {
    let brick = |host: &str| world.process(host, "glusterfsd", "shop_steady");
    let histories = POOL.map(|host| world.history(host));
    let data = Mounted::of(world, &POOL, "shop_steady");
    let old = brick("node2");
    world.kill_process("node2", "glusterfsd", "shop_steady");
    let begin = Instant::now();
    let served = data.serves();
    // told before it is started
    world.wait_volume("steady", TOLD, "misses a brick", |object| {
        is_false(object, "Healthy", "BrickDown", &["node2:"])
    });
    until(TOLD, "the brick runs again", || {
        brick("node2").is_some_and(|pid| Some(pid) != old)
    });
    let first = begin.elapsed().as_secs_f64();
    let healthy = |object: &Value| condition(object, "Healthy").0 == "True";
    world.wait_volume("steady", TOLD, "is healthy", healthy);

    data.is_whole();
    let begin = Instant::now();
    for host in ["node2", "node3"] {
        world.kill_process(host, "glusterfsd", "shop_steady");
    }
    // one of three takes no writes, and says so instead of losing them
    let (code, refused) = data.try_sh("head -c 100000 /dev/urandom > one && sync one");
    assert_ne!(code, Some(0), "{refused}");
    let object = world.wait_volume("steady", TOLD, "can't be written", |object| {
        is_false(object, "Ready", "BrickDown", &["node2:", "node3:"])
            && is_false(object, "Healthy", "BrickDown", &["node2:", "node3:"])
    });
    say(&format!(
        "       one: read and written in {served:.1} s, runs again after {first:.1} s; two: {}; told after {:.1} s: {}",
        refused.trim(),
        begin.elapsed().as_secs_f64(),
        condition(&object, "Healthy").2
    ));
    let steady = world.wait_volume("steady", SOON, "is as before", |object| {
        as_declared(object) && healthy(object)
    });
    assert_eq!(steady["status"]["bricks"].as_array().unwrap().len(), 3);
    data.is_whole();
    data.serves();
    let starts = writes(&histories);
    let starts = starts
        .iter()
        .filter(|line| line.contains(": volume start shop_steady force"));
    let starts: Vec<&String> = starts.collect();
    assert!(
        (2..=3).contains(&starts.len()),
        "each was started once, not for ever: {starts:?}"
    );
}

/// The operator reaches all three, and two of them do not reach the third; then nobody reaches it.
fn split(world: &World) {
    let coordinator = world.coordinator();
    let lost = POOL.into_iter().find(|host| **host != coordinator).unwrap();
    let others: Vec<&str> = POOL.into_iter().filter(|host| *host != lost).collect();
    let routes = |what: &str| {
        for other in &others {
            let route = format!("{}/32", world.hosts.address(other));
            world
                .hosts
                .run(lost, &["ip", "route", what, "blackhole", &route]);
        }
    };
    let data = Mounted::of(world, &POOL, "shop_steady");
    let minority = [world.history(lost)];
    routes("add");
    say(&format!(
        "       read and written by a client that reaches all in {:.1} s",
        data.serves()
    ));
    // somebody else's work waits for the lost one, with gluster's lock on the volume in its hands
    let set_by_hand = ["volume", "set", "shop_steady", "performance.quick-read"];
    let mut holder = world.hosts.start(
        &coordinator,
        &[&["gluster", "--mode=script"], &set_by_hand[..], &["off"]].concat(),
        Stdio::null(),
        Stdio::null(),
    );
    std::thread::sleep(Duration::from_millis(500));
    let begin = Instant::now();
    set(world, "steady", "56MB");
    let object = world.wait_volume("steady", SOON, "is busy", |object| {
        let words = [
            coordinator.as_str(),
            "Another transaction",
            "tried again every",
        ];
        is_false(object, "InSync", "Busy", &words) && condition(object, "Ready").0 == "True"
    });
    say(&format!("       {}", condition(&object, "InSync").2));
    assert!(
        !holder.wait().unwrap().success(),
        "it can't lock the lost one"
    );
    // its use can't be read from bricks that drop packets: InSync may be Unknown meanwhile, and never says that all is well
    world.wait_volume("steady", SOON * 2, "goes on with one host lost", |object| {
        condition(object, "Ready").0 == "True"
            && condition(object, "InSync").1 != "Busy"
            && is_false(object, "Healthy", "PeersDisconnected", &[lost])
    });
    until(SOON * 2, "the edit is done", || {
        cache_size(world, &coordinator) == "56MB"
    });
    say(&format!(
        "       an edit was done after {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    let object = world.wait_cluster("prod", TOLD, "names the lost one", |object| {
        condition(object, "Ready").0 == "True"
            && others.iter().all(|other| {
                let both = format!("{other} has no connection to {lost}");
                is_false(object, "PeersConnected", "PeersDisconnected", &[&both])
            })
    });
    say(&format!(
        "       {}",
        condition(&object, "PeersConnected").2
    ));
    // one volume finds its place on the others, one does not
    world.volume("narrow", &json!({"layout": {"distribute": 1}}));
    world.volume("wide", &json!({}));
    world.wait_volume("narrow", SOON, "is as declared", as_declared);
    world.wait_volume("wide", SOON, "does not fit", |object| {
        is_false(object, "Ready", "DoesNotFit", &[lost])
    });
    assert_eq!(cache_size(world, lost), "40MB");
    assert_eq!(world.on_device(lost, "shop_wide"), Vec::<String>::new());

    world.lab(&["partition", lost]);
    let begin = Instant::now();
    set(world, "steady", "64MB");
    std::thread::scope(|threads| {
        let served = threads.spawn(|| data.serves());
        let missed = || {
            let object = world.get(&format!("{CLUSTERS}/prod")).unwrap();
            condition(&object, "Ready").0 == "True"
                && is_false(&object, "PeersConnected", "HostUnreachable", &[lost])
        };
        let edited = || cache_size(world, &coordinator) == "64MB";
        let by_volume = || {
            let object = world.get(&format!("{VOLUMES}/steady")).unwrap();
            condition(&object, "Ready").0 == "True"
                && is_false(&object, "Healthy", "BrickDown", &[lost])
        };
        clocked(
            begin,
            &[
                ("nobody reaches it: told by the pool", 30, &missed),
                ("by its volume", 45, &by_volume),
                ("an edit on that pool done", 45, &edited),
            ],
        );
        say(&format!(
            "       read and written in {:.1} s",
            joined(served)
        ));
    });
    assert_eq!(
        writes(&minority),
        Vec::<String>::new(),
        "nothing is written on the side of the fewer"
    );
    routes("del");
    world.lab(&["restore", lost]);
    let begin = Instant::now();
    // a connection that was begun during the split is tried less and less often: TCP doubles its pauses up to a minute
    world.wait_cluster("prod", SOON * 2, "is as declared", |object| {
        as_declared(object) && condition(object, "PeersConnected").0 == "True"
    });
    for name in ["steady", "narrow", "wide"] {
        world.wait_volume(name, SOON, "is as declared", |object| {
            as_declared(object) && condition(object, "Healthy").0 == "True"
        });
    }
    assert_eq!(cache_size(world, lost), "64MB");
    say(&format!(
        "       as declared {:.1} s after it was back",
        begin.elapsed().as_secs_f64()
    ));
    data.is_whole();
    for name in ["narrow", "wide"] {
        world.delete(&format!("{VOLUMES}/{name}"));
    }
    // the ghost that was in nobody's way goes, too
    world.lab(&["service", lost, "glusterd", "stop"]);
    world
        .hosts
        .run(lost, &["rm", "-rf", "/var/lib/glusterd/vols/nobodys"]);
    world.lab(&["service", lost, "glusterd", "start"]);
    world.wait_cluster("prod", SOON, "is as declared", as_declared);
}

/// A pool of one host with a small device that somebody fills.
fn full(world: &World) {
    const SMALL: &str = "/srv/small";
    let shell = |script: &str| world.hosts.shell("node4", script);
    shell(&format!(
        "mkdir -p {SMALL} && mount -t tmpfs -o size=96m tmpfs {SMALL}"
    ));
    let mut spec = world.cluster_spec(&["node4"]);
    spec["nodes"][0]["devices"] = json!([{"path": SMALL}]);
    world.post(
        CLUSTERS,
        &json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "metadata": {"name": "small"}, "spec": spec}),
    );
    let post = |name: &str, capacity: &str| {
        let fields = json!({"layout": {"distribute": 1}, "capacity": capacity});
        let mut wanted = volume(name, &fields);
        wanted["spec"]["clusterName"] = json!("small");
        world.post(VOLUMES, &wanted);
    };
    post("brimful", "32Mi");
    world.wait_volume("brimful", SOON, "is as declared", as_declared);
    let data = Mounted::of(world, &["node4"], "shop_brimful");
    // of less than the 1 % that would make it be full no more when it goes
    data.sh("head -c 100000 old > spare && sync");
    shell(&format!("! cat /dev/zero > {SMALL}/filler"));
    let histories = [world.history("node4")];
    let (code, refused) = data.try_sh("dd if=/dev/urandom of=more bs=100k count=20 conv=fsync");
    assert!(
        code != Some(0) && refused.contains("No space left on device"),
        "{refused}"
    );
    data.is_whole();
    data.sh("cat old > /dev/null && rm spare && ! ls spare 2>/dev/null");
    let begin = Instant::now();
    world.wait_cluster("small", TOLD, "has a full device", |object| {
        condition(object, "Ready").0 == "True"
            && is_false(
                object,
                "DevicesReady",
                "DeviceFull",
                &["node4: /srv/small", "ENOSPC"],
            )
    });
    let object = world.wait_volume("brimful", TOLD, "is full", |object| {
        condition(object, "Ready").0 == "True"
            && is_false(object, "Healthy", "DeviceFull", &["node4:/srv/small/"])
    });
    say(&format!(
        "       full, told after {:.1} s: {}",
        begin.elapsed().as_secs_f64(),
        condition(&object, "Healthy").2
    ));
    post("toomuch", "16Mi");
    let object = world.wait_volume("toomuch", SOON, "does not fit", |object| {
        is_false(object, "Ready", "DoesNotFit", &["16Mi", "node4"])
    });
    say(&format!("       {}", condition(&object, "Ready").2));
    assert_eq!(writes(&histories), Vec::<String>::new());
    shell(&format!("rm {SMALL}/filler"));
    world.wait_volume("toomuch", SOON, "has room again", as_declared);
    world.wait_cluster("small", TOLD, "has room again", |object| {
        condition(object, "DevicesReady").0 == "True"
    });
    world.wait_volume("brimful", TOLD, "is healthy", |object| {
        condition(object, "Healthy").0 == "True"
    });
    data.is_whole();
    data.serves();
    drop(data);
    for name in ["brimful", "toomuch"] {
        world.delete(&format!("{VOLUMES}/{name}"));
        world.wait_gone(&format!("{VOLUMES}/{name}"), SOON);
    }
    world.delete(&format!("{CLUSTERS}/small"));
    world.wait_gone(&format!("{CLUSTERS}/small"), SOON);
    for name in ["shop_brimful", "shop_toomuch"] {
        world.gluster("node4", &["volume", "stop", name]);
        world.gluster("node4", &["volume", "delete", name]);
    }
}
