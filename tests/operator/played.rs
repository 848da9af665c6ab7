//! What somebody tries who wants to break it: a host that two clusters name, a deletion that is called back while it is under way, edits
//! faster than they are done, a destruction of trash that is killed on both ends, a glusterd that hangs while other things break.

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::operator_lab::{
    CLUSTERS, DEVICE, History, POOL, VOLUMES, World, as_declared, condition, conditions, is_false,
    say, text, until, volume, world,
};

const SOON: Duration = Duration::from_secs(60);
const OWNER_FILE: &str = "/var/lib/gluster-operator/owner";

#[test]
fn who_wants_to_break_it() {
    let Some(guard) = world() else { return };
    let Some(world) = guard.as_ref() else { return };
    let begin = Instant::now();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            world.scene("two clusters that name the same hosts", || twice(world));
        });
        world.scene("Retain while the volume is being stopped", || {
            called_back(world);
        });
        world.scene("edits in quick succession while somebody writes", || {
            hasty(world);
        });
    });
    world.scene("a glusterd that hangs while a brick dies", || hangs(world));
    world.scene("a destruction of trash that is killed on both ends", || {
        purged(world);
    });
    say(&format!("       {:.0} s", begin.elapsed().as_secs_f64()));
    world.curtain();
}

fn cluster(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "metadata": {"name": name}, "spec": spec})
}

fn on(cluster: &str, name: &str, fields: &Value) -> Value {
    let mut wanted = volume(name, fields);
    wanted["spec"]["clusterName"] = json!(cluster);
    wanted
}

/// Both at once, one of them under other names: each host is claimed by one, whoever that is, and stays so; who has not got all says
/// who has the others.
fn twice(world: &World) {
    let hosts = ["node4", "node5"];
    let one = world.cluster_spec(&hosts);
    let mut other = world.cluster_spec(&["node5", "node4"]);
    // gluster knows them by their addresses, too
    for node in other["nodes"].as_array_mut().unwrap() {
        node["name"] = node["address"].clone();
    }
    let owner = |host: &str| std::fs::read_to_string(world.path(host, OWNER_FILE)).ok();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let watch = threads.spawn(|| {
            let mut seen: [Vec<String>; 2] = Default::default();
            while !done.load(Ordering::Relaxed) {
                for (host, seen) in hosts.iter().zip(&mut seen) {
                    if let Some(owner) = owner(host)
                        && seen.last() != Some(&owner)
                    {
                        seen.push(owner);
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            seen
        });
        for (name, spec) in [("one", &one), ("other", &other)] {
            world.post(CLUSTERS, &cluster(name, spec));
        }
        let fetch = |name: &str| world.get(&format!("{CLUSTERS}/{name}")).unwrap();
        let settled = |object: &Value| {
            let (status, reason, _) = condition(object, "Ready");
            as_declared(object) || (status == "False" && reason == "ManagedElsewhere")
        };
        until(SOON, "both have said something", || {
            ["one", "other"].iter().all(|name| settled(&fetch(name)))
        });
        // and go on to say so
        std::thread::sleep(Duration::from_secs(20));
        let objects = ["one", "other"].map(fetch);
        let uid = |object: &Value| text(&object["metadata"]["uid"]).to_owned();
        let ids = [uid(&objects[0]), uid(&objects[1])];
        let owners = hosts.map(|host| owner(host).unwrap_or_default());
        for (object, other) in objects.iter().zip(ids.iter().rev()) {
            let lost = owners.iter().any(|owner| owner.contains(other.as_str()));
            let (status, _, message) = condition(object, "Ready");
            say(&format!(
                "       {}: {status}: {message}",
                object["metadata"]["name"]
            ));
            assert!(settled(object), "{}", conditions(object));
            if lost {
                assert!(
                    is_false(object, "Ready", "ManagedElsewhere", &[other]),
                    "{}",
                    conditions(object)
                );
            }
        }
        assert!(owners.iter().any(|owner| !owner.is_empty()));
        done.store(true, Ordering::Relaxed);
        for (host, seen) in hosts.iter().zip(watch.join().unwrap()) {
            assert!(
                seen.iter().filter(|owner| !owner.is_empty()).count() <= 1,
                "{host}: {seen:?}"
            );
        }
    });
    // when one goes it takes along what is its own, and the other goes on
    world.delete(&format!("{CLUSTERS}/one"));
    world.wait_gone(&format!("{CLUSTERS}/one"), SOON);
    world.wait_cluster("other", SOON, "has them all", as_declared);
    world.delete(&format!("{CLUSTERS}/other"));
    world.wait_gone(&format!("{CLUSTERS}/other"), SOON);
    assert_eq!(hosts.map(owner), [None, None]);
    world.gluster("node4", &["peer", "detach", "node5"]);
}

/// A volume on the client.
fn mounted<T>(world: &World, volume: &str, play: impl FnOnce(&dyn Fn(&str) -> String) -> T) -> T {
    let at = format!("/mnt/{volume}");
    world.hosts.run("client1", &["mkdir", "-p", &at]);
    let source = format!("node1:/{volume}");
    world
        .hosts
        .run("client1", &["mount", "-t", "glusterfs", &source, &at]);
    let sh = |line: &str| world.hosts.shell("client1", &format!("cd {at} && {line}"));
    let result = play(&sh);
    // a writer that was ended may leave a program that has a file open for a moment
    until(SOON, "it is unmounted", || {
        let umount = world.hosts.sh("client1", &["umount", &at]);
        umount.status.success()
    });
    result
}

fn called_back(world: &World) {
    let fields = json!({"capacity": "64Mi", "deletionPolicy": "Delete"});
    world.ready_volume("regret", &fields);
    let sum = mounted(world, "shop_regret", |sh| {
        sh("head -c 3000000 /dev/urandom > data; sync; sha256sum data")
    });
    let histories = POOL.map(|host| world.history(host));
    let coordinator = world.coordinator();
    let info = world.path(&coordinator, "/var/lib/glusterd/vols/shop_regret/info");
    world.delete(&format!("{VOLUMES}/regret"));
    until(SOON, "it is being stopped", || {
        std::fs::read_to_string(&info).is_ok_and(|info| info.contains("\nstatus=2\n"))
    });
    let retain = json!({"spec": {"deletionPolicy": "Retain"}});
    world.patch(&format!("{VOLUMES}/regret"), &retain);
    let begin = Instant::now();
    world.wait_gone(&format!("{VOLUMES}/regret"), SOON);
    let writes: Vec<String> = histories.iter().flat_map(History::writes).collect();
    assert!(
        writes.iter().all(|line| !line.contains("volume delete")),
        "{writes:#?}"
    );
    let told = world.gluster("node1", &["volume", "info", "shop_regret"]);
    assert!(told.contains("Status: Started"), "{told}");
    let events = world.events("regret");
    assert!(
        events.iter().any(|event| event.contains("VolumeStarted")),
        "{events:?}"
    );
    say(&format!(
        "       started again after {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    // the manifest of a deletion that did not happen is in nobody's way
    world.ready_volume("regret", &json!({"capacity": "64Mi"}));
    assert_eq!(
        mounted(world, "shop_regret", |sh| sh("sha256sum data")),
        sum
    );
    // one brick finds its place in the trash taken: then the volume is deleted and that brick is not moved
    let bricks = world.on_device("node2", "shop_regret-");
    let taken = format!("{DEVICE}/.trash/{}", bricks.last().unwrap());
    world
        .hosts
        .run("node2", &["mkdir", "-p", &format!("{taken}/something")]);
    world.patch(
        &format!("{VOLUMES}/regret"),
        &json!({"spec": {"deletionPolicy": "Delete"}}),
    );
    world.delete(&format!("{VOLUMES}/regret"));
    world.wait_volume("regret", SOON, "says what is in the way", |object| {
        is_false(
            object,
            "Progressing",
            "DeletionBlocked",
            &["node2", "mv -T"],
        )
    });
    world.patch(&format!("{VOLUMES}/regret"), &retain);
    world.wait_gone(&format!("{VOLUMES}/regret"), SOON);
    let events = world.events("regret");
    let told = |event: &&String| event.contains("BricksLeft") && event.contains("node2:");
    let told = events.iter().find(told);
    say(&format!("       {}", told.expect("it is told")));
    let brick = format!("{DEVICE}/{}/brick/data", bricks.last().unwrap());
    let left = std::fs::metadata(world.path("node2", &brick)).unwrap();
    assert_eq!(left.len(), 3_000_000);
    world.hosts.run("node2", &["rm", "-r", &taken]);
}

fn hasty(world: &World) {
    world.ready_volume("hasty", &json!({"capacity": "64Mi"}));
    mounted(world, "shop_hasty", |sh| {
        let mut writer = world.hosts.start(
            "client1",
            &[
                "sh",
                "-c",
                "cd /mnt/shop_hasty && for n in $(seq 100); do dd if=/dev/zero of=w$((n % 3)) bs=1M count=4 conv=fsync 2>/dev/null || exit; done",
            ],
            Stdio::null(),
            Stdio::null(),
        );
        let path = format!("{VOLUMES}/hasty");
        let keys = [
            "performance.read-ahead",
            "performance.quick-read",
            "performance.io-cache",
            "performance.open-behind",
            "performance.readdir-ahead",
        ];
        for round in 0..3 {
            let begin = Instant::now();
            for (at, key) in keys.iter().enumerate() {
                let capacity = format!("{}Mi", 80 + round * 16 + at);
                let profile = [
                    "database",
                    "default",
                    "small-files",
                    "virtual-machines",
                    "default",
                ][at];
                let mut options = json!({});
                for other in keys {
                    options[other] = Value::Null;
                }
                options[key] = json!("off");
                let spec = json!({"capacity": capacity, "profile": profile, "options": options});
                world.patch(&path, &json!({"spec": spec}));
                std::thread::sleep(Duration::from_millis(150));
            }
            let edited = begin.elapsed().as_secs_f64();
            let object = world.wait_volume("hasty", SOON, "is as declared", as_declared);
            assert_eq!(object["status"]["ownedOptions"], json!([keys[4]]));
            let (_, _, message) = condition(&object, "InSync");
            assert!(!message.contains("others have set"), "{message}");
            for host in POOL {
                let info = world.gluster(host, &["volume", "info", "shop_hasty"]);
                let left: Vec<&str> = info
                    .lines()
                    .filter(|line| line.starts_with("performance.") && !line.contains(keys[4]))
                    .filter(|line| !line.contains("client-io-threads"))
                    .collect();
                assert_eq!(left, Vec::<&str>::new(), "{host}");
                assert!(info.contains(&format!("{}: off", keys[4])), "{info}");
            }
            let limit = world.quota_list("shop_hasty");
            let wanted = format!("{}.0MB", 80 + round * 16 + 4);
            assert!(limit.contains(&wanted), "{wanted}: {limit}");
            say(&format!(
                "       five edits in {edited:.1} s, as declared {:.1} s after the first",
                begin.elapsed().as_secs_f64()
            ));
        }
        assert!(writer.try_wait().unwrap().is_none_or(|end| end.success()));
        let _ = writer.kill();
        let _ = writer.wait();
        sh("sync; rm -f w0 w1 w2");
    });
    world.delete(&format!("{VOLUMES}/hasty"));
}

fn plan(world: &World, object: &Value) -> Output {
    let file = world.names.dir.join("played.yaml");
    std::fs::write(&file, object.to_string()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_gluster-operator"))
        .args(["plan", "-n", "shop", "-f"])
        .arg(&file)
        .arg("--kubeconfig")
        .arg(world.kube.kubeconfig())
        .output()
        .unwrap()
}

/// How long until news reach the status while one host's glusterd answers nobody, with glusterd's ping-timeout as Debian ships it.
fn hangs(world: &World) {
    let coordinator = world.coordinator();
    let victim = POOL
        .into_iter()
        .rfind(|host| **host != coordinator)
        .unwrap();
    let third = POOL
        .into_iter()
        .find(|host| *host != victim && **host != coordinator)
        .unwrap();
    world.ready_volume("amid", &json!({"capacity": "32Mi"}));
    let healthy = |object: &Value| condition(object, "Healthy").0 == "True";
    world.wait_volume("amid", SOON, "is healthy", healthy);
    world.lab(&["service", victim, "glusterd", "hang"]);
    let begin = Instant::now();
    world.wait_cluster("prod", SOON, "says who hangs", |object| {
        is_false(object, "PeersConnected", "GlusterdNotResponding", &[victim])
    });
    let first = begin.elapsed().as_secs_f64();
    let mut told = Vec::new();
    for host in [third, coordinator.as_str()] {
        world.kill_process(host, "glusterfsd", "shop_amid");
        let begin = Instant::now();
        world.wait_volume("amid", SOON, "misses that brick", |object| {
            let bricks = object["status"]["bricks"].as_array();
            let down = |brick: &Value| brick["node"] == host && brick["online"] == false;
            is_false(object, "Healthy", "BrickDown", &[host])
                && bricks.is_some_and(|bricks| bricks.iter().any(down))
        });
        told.push(format!("{:.1} s", begin.elapsed().as_secs_f64()));
    }
    say(&format!(
        "       {victim} hangs, told after {first:.1} s; bricks that died on others after {}",
        told.join(" and ")
    ));
    // what can't be told is not told, and nothing is sent
    let histories = POOL.map(|host| world.history(host));
    let mut wanted = volume("amid", &json!({"capacity": "48Mi"}));
    wanted["metadata"]["namespace"] = json!("shop");
    let begin = Instant::now();
    let output = plan(world, &wanted);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains(victim), "{said}");
    say(&format!(
        "       plan after {:.1} s: {}",
        begin.elapsed().as_secs_f64(),
        said.lines().nth(1).unwrap_or_default().trim()
    ));
    let mut created = volume("amid-new", &json!({}));
    created["metadata"]["namespace"] = json!("shop");
    let output = plan(world, &created);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    world.patch(
        &format!("{VOLUMES}/amid"),
        &json!({"spec": {"capacity": "48Mi"}}),
    );
    world.wait_volume("amid", SOON, "waits, and says for whom", |object| {
        condition(object, "InSync").0 == "False" && condition(object, "InSync").2.contains(victim)
    });
    let writes: Vec<String> = histories.iter().flat_map(History::writes).collect();
    assert_eq!(writes, Vec::<String>::new());
    world.lab(&["service", victim, "glusterd", "resume"]);
    world.wait_volume("amid", SOON, "is as declared", |object| {
        as_declared(object) && healthy(object)
    });
    world.delete(&format!("{VOLUMES}/amid"));
}

fn purged(world: &World) {
    let mut spec = world.cluster_spec(&["node4"]);
    spec["trash"] = json!({"retention": "Never"});
    world.post(CLUSTERS, &cluster("heap", &spec));
    let fields = json!({"layout": {"distribute": 1}, "deletionPolicy": "Delete"});
    world.post(VOLUMES, &on("heap", "much", &fields));
    world.wait_volume("much", SOON, "is as declared", as_declared);
    world.delete(&format!("{VOLUMES}/much"));
    world.wait_gone(&format!("{VOLUMES}/much"), SOON);
    let trash = format!("{DEVICE}/.trash");
    let listed = world.on_device("node4", "shop_much");
    assert_eq!(listed.len(), 2, "{listed:?}");
    let entry = format!("{DEVICE}/{}", listed[0]);
    // so many files that their removal can be met under way, and something that is nobody's business
    world.hosts.shell(
        "node4",
        &format!(
            "mkdir -p {trash}/mine && echo precious > {trash}/mine/file; cd {entry}/brick && for d in $(seq 60); do mkdir d$d && (cd d$d && seq 4000 | xargs touch); done; ln -s {trash}/mine out"
        ),
    );
    let marker = || {
        world
            .on_device("node4", "shop_much")
            .iter()
            .any(|name| name.ends_with(".purging"))
    };
    let rm = || world.process("node4", "rm", &entry);
    world.patch(
        &format!("{CLUSTERS}/heap"),
        &json!({"spec": {"trash": {"retention": "1s"}}}),
    );
    until(SOON, "rm runs", || rm().is_some());
    assert!(marker(), "{:?}", world.on_device("node4", "shop_much"));
    world.kill_process("node4", "rm", &entry);
    until(SOON, "rm runs again", || rm().is_some());
    // the controller dies, and somebody says Never while it is dead
    world.kill_controller();
    world.patch(
        &format!("{CLUSTERS}/heap"),
        &json!({"spec": {"trash": {"retention": "Never"}}}),
    );
    until(SOON, "rm has ended", || rm().is_none());
    let left = world.on_device("node4", "shop_much");
    say(&format!("       left after both were killed: {left:?}"));
    world.start_controller();
    world.wait_cluster("heap", SOON, "is as declared", as_declared);
    std::thread::sleep(Duration::from_secs(20));
    assert_eq!(
        world.on_device("node4", "shop_much"),
        left,
        "Never is never"
    );
    world.patch(
        &format!("{CLUSTERS}/heap"),
        &json!({"spec": {"trash": {"retention": "1s"}}}),
    );
    until(SOON, "all of it is gone", || {
        world.on_device("node4", "shop_much").is_empty()
    });
    let precious = std::fs::read_to_string(world.path("node4", &format!("{trash}/mine/file")));
    assert_eq!(precious.unwrap(), "precious\n");
    world.hosts.shell("node4", &format!("rm -r {trash}/mine"));
    world.delete(&format!("{CLUSTERS}/heap"));
    world.wait_gone(&format!("{CLUSTERS}/heap"), SOON);
}
