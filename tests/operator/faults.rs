//! Faults: each is a false condition that says what is wrong, an event, and nothing half made; and each is over by itself
//! once what is wrong is mended.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::data::{Mounted, joined, whole_copies};
use crate::support::operator_lab::{
    CLUSTERS, DEVICE, POOL, SECRETS, VOLUMES, World, as_declared, clocked, condition, is_false,
    say, text, until, volume, world,
};

const SOON: Duration = Duration::from_secs(45);
const OWNER_FILE: &str = "/var/lib/gluster-operator/owner";

fn cluster(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "metadata": {"name": name}, "spec": spec})
}

#[test]
fn faults_are_told_and_mended() {
    let Some(guard) = world() else { return };
    let Some(world) = guard.as_ref() else { return };
    // what a client waits for a silent brick, instead of gluster's 42 s
    let options = json!({"network.ping-timeout": "10"});
    let fields = json!({"capacity": "16Mi", "options": options});
    world.ready_volume("steady", &fields);
    std::thread::scope(|threads| {
        // hosts that the pool does not have, and what is no matter of hosts
        threads.spawn(|| {
            world.scene(
                "a host that can't be reached, trusted or entered stops the setting up of a pool",
                || set_up_faults(world),
            );
            world.scene(
                "two owners: ManagedElsewhere, and takeOver hands the pool over",
                || owners(world),
            );
            world.scene(
                "a pool that was forgotten and is declared anew gets its volumes back by takeOver",
                || anew(world),
            );
            world.scene(
                "a device that is missing or on the root file system gets no brick",
                || devices(world),
            );
            world.scene("a second controller stands by", || standby(world));
        });
        world.scene(
            "a foreign volume, a bad option, a lock that somebody holds",
            || volume_faults(world),
        );
        world.scene(
            "an owner file of another operator appears in a pool at work",
            || owner_appears(world),
        );
        world.scene("a device that is unmounted under running bricks", || {
            unmounted(world);
        });
        world.scene("a disk is dead, and another one takes its place", || {
            replaced(world);
        });
    });
    world.scene("a host of another pool", || other_pool(world));
    world.scene(
        "a storage host that is a node, too, gives a one-writer volume up when nothing is mounted there, or it is off",
        || crate::onewriter::leaves_a_storage_host(world),
    );
    world.scene("a host that is killed", || down(world, "kill", "node3"));
    world.scene(
        "a host that falls silent, never noticed by glusterd",
        || silent_for_ever(world),
    );
    world.scene("glusterd is told to notice silence", || notice(world));
    world.scene("a glusterd that hangs", || hung(world));
    world.scene(
        "a host that falls silent, noticed by glusterd after 10 s",
        || down(world, "poweroff", "node2"),
    );
    world.delete(&format!("{VOLUMES}/steady"));
    world.curtain();
}

/// All at once, since none of them may touch its hosts.
fn set_up_faults(world: &World) {
    let with = |address: &str, secret: &str| {
        let mut spec = world.cluster_spec(&["node4"]);
        spec["access"]["ssh"]["secretRef"]["name"] = json!(secret);
        spec["nodes"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "other", "address": address}));
        spec
    };
    let alone = |secret: &str| {
        let mut spec = world.cluster_spec(&["node4"]);
        spec["access"]["ssh"]["secretRef"]["name"] = json!(secret);
        spec
    };
    let net = world.names.net.clone();
    // one host under two addresses
    world.hosts.run(
        "node4",
        &["ip", "addr", "add", &format!("{net}.44/24"), "dev", "eth0"],
    );
    let key4 = world.known_host("node4");
    let twin = key4.replacen(&world.hosts.address("node4"), &format!("{net}.44"), 1);
    world.secret("twin", &world.key(), &format!("{key4}{twin}"));
    let other_key = world.known_host("node5").replacen(
        &world.hosts.address("node5"),
        &world.hosts.address("node4"),
        1,
    );
    world.secret("wrong-host-key", &world.key(), &other_key);
    world.secret("revoked", &world.key(), &format!("{key4}@revoked {key4}"));
    let stranger = world.names.dir.join("stranger");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&stranger)
        .status();
    assert!(made.unwrap().success());
    world.secret(
        "wrong-key",
        &std::fs::read_to_string(&stranger).unwrap(),
        &key4,
    );
    let dead = format!("{net}.250");
    let cases = [
        (
            "unresolved",
            with("nowhere.invalid", "gluster-ssh"),
            "HostUnreachable",
            vec!["other", "nowhere.invalid"],
        ),
        (
            "dead",
            with(&dead, "gluster-ssh"),
            "HostUnreachable",
            vec!["other", dead.as_str()],
        ),
        (
            "twins",
            with(&format!("{net}.44"), "twin"),
            "IdentityConflict",
            vec!["node4 and other are the same host"],
        ),
        (
            "wrong-host-key",
            alone("wrong-host-key"),
            "HostKeyRefused",
            vec!["node4"],
        ),
        (
            "revoked",
            alone("revoked"),
            "HostKeyRefused",
            vec!["node4", "revoked"],
        ),
        (
            "wrong-key",
            alone("wrong-key"),
            "AuthenticationFailed",
            vec!["node4", "root"],
        ),
        (
            "no-secret",
            alone("no-secret"),
            "InvalidCredentials",
            vec!["gluster-operator/no-secret", "spec.access.ssh.secretRef"],
        ),
        (
            "bare",
            world.cluster_spec(&["node5"]),
            "PrerequisitesMissing",
            vec!["node5", "getfattr (package attr)"],
        ),
    ];
    // a program of that host alone that can't be run
    let hide = "mount --bind /dev/null /usr/bin/getfattr";
    world.hosts.shell("node5", hide);
    // a dead address has no pinned key of its own; give it one, so that silence is what is met
    world.secret(
        "gluster-ssh",
        &world.key(),
        &((1..=5)
            .map(|n| world.known_host(&format!("node{n}")))
            .collect::<String>()
            + &key4.replacen(&world.hosts.address("node4"), &dead, 1)),
    );
    for (name, spec, ..) in &cases {
        world.post(CLUSTERS, &cluster(name, spec));
    }
    for (name, _, reason, words) in &cases {
        let object =
            world.wait_cluster(name, SOON, &format!("says {reason} {words:?}"), |object| {
                is_false(object, "Ready", reason, words)
            });
        let (_, _, message) = condition(&object, "Ready");
        assert!(message.contains("tried again every"), "{message}");
        say(&format!("       {name}: {message}"));
        world.wait_event(name, &[reason]);
    }
    // nothing was done on the hosts that answer
    for host in ["node4", "node5"] {
        assert!(!world.path(host, OWNER_FILE).exists());
        assert!(world.gluster(host, &["pool", "list"]).lines().count() == 2);
    }
    // the package is installed
    let installed = Instant::now();
    world.hosts.shell("node5", "umount /usr/bin/getfattr");
    for (name, ..) in &cases[..5] {
        world.delete(&format!("{CLUSTERS}/{name}"));
    }
    // the administrator brings the right key: the pool is there at once
    let begin = Instant::now();
    world.secret("wrong-key", &world.key(), &key4);
    world.wait_cluster("wrong-key", SOON, "is as declared", as_declared);
    say(&format!(
        "       ready {:.1} s after the right key came",
        begin.elapsed().as_secs_f64()
    ));
    world.wait_cluster("bare", SOON, "is as declared", as_declared);
    say(&format!(
        "       ready {:.1} s after the missing program came",
        installed.elapsed().as_secs_f64()
    ));
    world.delete(&format!("{CLUSTERS}/bare"));
    world.wait_gone(&format!("{CLUSTERS}/bare"), SOON);
}

/// `wrong-key` owns node4 by now, and `no-secret` wants it, too.
fn owners(world: &World) {
    let owner = |name: &str| {
        let object = world.get(&format!("{CLUSTERS}/{name}")).unwrap();
        text(&object["status"]["owner"]).to_owned()
    };
    let file = || std::fs::read_to_string(world.path("node4", OWNER_FILE)).unwrap_or_default();
    let first = owner("wrong-key");
    assert_eq!(file().trim(), first);
    let history = world.history("node4");
    world.secret("no-secret", &world.key(), &world.known_host("node4"));
    world.wait_cluster("no-secret", SOON, "is not ours", |object| {
        is_false(
            object,
            "Ready",
            "ManagedElsewhere",
            &["node4", &first, "takeOver"],
        )
    });
    world.wait_event("no-secret", &["ManagedElsewhere", &first]);
    assert_eq!(file().trim(), first);
    assert_eq!(history.writes(), Vec::<String>::new());
    let second = owner("no-secret");
    world.patch(
        &format!("{CLUSTERS}/no-secret"),
        &json!({"spec": {"takeOver": first}}),
    );
    world.wait_cluster("no-secret", SOON, "has taken it over", as_declared);
    assert_eq!(file().trim(), second);
    world.wait_cluster("wrong-key", SOON, "is not ours any more", |object| {
        is_false(object, "Ready", "ManagedElsewhere", &[&second])
    });
    for name in ["wrong-key", "no-secret"] {
        world.delete(&format!("{CLUSTERS}/{name}"));
        world.wait_gone(&format!("{CLUSTERS}/{name}"), SOON);
    }
    assert!(!world.path("node4", OWNER_FILE).exists());
}

fn devices(world: &World) {
    world.hosts.run("node5", &["mkdir", "-p", "/srv/plain"]);
    let mut spec = world.cluster_spec(&["node5"]);
    spec["nodes"][0]["devices"] = json!([{"path": "/srv/plain"}, {"path": "/srv/missing"}]);
    world.post(CLUSTERS, &cluster("devices", &spec));
    let mut wanted = volume("on-root", &json!({"layout": {"distribute": 1}}));
    wanted["spec"]["clusterName"] = json!("devices");
    world.post(VOLUMES, &wanted);
    world.wait_cluster("devices", SOON, "has no device", |object| {
        is_false(
            object,
            "DevicesReady",
            "DeviceNotReady",
            &[
                "node5: /srv/plain is not a mount point",
                "node5: /srv/missing does not exist",
            ],
        )
    });
    world.wait_event("devices", &["DeviceNotReady", "/srv/plain"]);
    world.wait_volume("on-root", SOON, "does not fit", |object| {
        is_false(
            object,
            "Ready",
            "DoesNotFit",
            &["node5", "needs 1 hosts", "tried again every"],
        )
    });
    assert_eq!(
        std::fs::read_dir(world.path("node5", "/srv/plain"))
            .unwrap()
            .count(),
        0
    );
    assert!(!world.path("node5", "/srv/missing").exists());
    world
        .hosts
        .run("node5", &["mount", "--bind", DEVICE, "/srv/plain"]);
    world.wait_volume("on-root", SOON, "is as declared", as_declared);
    world.delete(&format!("{VOLUMES}/on-root"));
    world.wait_gone(&format!("{VOLUMES}/on-root"), SOON);
    world.delete(&format!("{CLUSTERS}/devices"));
    world.wait_gone(&format!("{CLUSTERS}/devices"), SOON);
    world.gluster("node5", &["volume", "stop", "shop_on-root"]);
    world.gluster("node5", &["volume", "delete", "shop_on-root"]);
}

fn volume_faults(world: &World) {
    // made by hand, under the name that ours would have
    let mut create = vec!["volume", "create", "shop_foreign", "replica", "3"];
    let bricks = POOL.map(|host| format!("{host}:{DEVICE}/byhand"));
    create.extend(bricks.iter().map(String::as_str));
    world.gluster("node1", &create);
    let coordinator = world.coordinator();
    let histories = POOL.map(|host| world.history(host));
    world.volume("foreign", &json!({"capacity": "16Mi"}));
    // somebody else's work on a volume of that name
    let mut holder = world.hosts.start(
        &coordinator,
        &[
            "flock",
            "/run/gluster-operator/shop_locked.lock",
            "sh",
            "-c",
            "until [ -e /run/free ]; do sleep 0.2; done",
        ],
        std::process::Stdio::null(),
        std::process::Stdio::null(),
    );
    std::thread::sleep(Duration::from_millis(500));
    world.volume("locked", &json!({}));
    let posted = Instant::now();
    world.volume("options", &json!({"capacity": "16Mi", "options": {"performance.cache-size": "64MB", "performance.io-thread-count": "9999", "network.ping-timeout": "20"}}));

    world.wait_volume("foreign", SOON, "is not ours", |object| {
        is_false(object, "Owned", "NotOwned", &["shop_foreign", "not ours"])
            && is_false(object, "Ready", "NotOwned", &["tried again every"])
    });
    world.wait_event("foreign", &["NotOwned"]);
    world.wait_volume("locked", SOON, "is busy", |object| {
        is_false(
            object,
            "InSync",
            "Busy",
            &[
                &coordinator,
                "gluster volume create shop_locked",
                "tried again every",
            ],
        )
    });
    world.hosts.run(&coordinator, &["touch", "/run/free"]);
    assert!(holder.wait().unwrap().success());
    let object = world.wait_volume("options", SOON, "has a bad option", |object| {
        condition(object, "Ready").0 == "True"
            && is_false(
                object,
                "InSync",
                "BadOption",
                &[
                    &coordinator,
                    "performance.io-thread-count 9999",
                    "tried again every",
                ],
            )
    });
    say(&format!("       {}", condition(&object, "InSync").2));
    world.wait_event("options", &["BadOption", "performance.io-thread-count"]);
    let info = world.gluster("node1", &["volume", "info", "shop_options"]);
    assert!(
        info.contains("performance.cache-size: 64MB")
            && info.contains("network.ping-timeout: 20")
            && info.contains("features.quota: on"),
        "{info}"
    );

    world.wait_volume("locked", SOON, "goes on once the lock is free", as_declared);
    let touched: Vec<String> = histories
        .iter()
        .flat_map(super::support::operator_lab::History::writes)
        .filter(|line| line.contains("shop_foreign"))
        .collect();
    assert_eq!(
        touched,
        Vec::<String>::new(),
        "the foreign volume was touched"
    );
    world.gluster("node1", &["volume", "delete", "shop_foreign"]);
    for host in POOL {
        world
            .hosts
            .run(host, &["rm", "-rf", &format!("{DEVICE}/byhand")]);
    }
    world.wait_volume("foreign", SOON, "is as declared", as_declared);
    // what gluster refuses is tried again ever less often, and not at each of our own writes of a status
    let asked = posted.elapsed().as_secs();
    let tries: Vec<String> = histories
        .iter()
        .flat_map(super::support::operator_lab::History::writes)
        .filter(|line| line.contains("performance.io-thread-count 9999"))
        .collect();
    say(&format!(
        "       a bad option was tried {} times in {asked} s",
        tries.len()
    ));
    let most = 4 * asked.div_ceil(30);
    assert!(
        (1..=most).contains(&(tries.len() as u64)),
        "in {asked} s: {tries:#?}"
    );
    world.patch(
        &format!("{VOLUMES}/options"),
        &json!({"spec": {"options": {"performance.io-thread-count": "16"}}}),
    );
    world.wait_volume("options", SOON, "is as declared", as_declared);
    for name in ["foreign", "locked", "options"] {
        world.delete(&format!("{VOLUMES}/{name}"));
    }
}

fn other_pool(world: &World) {
    world.gluster("node4", &["peer", "probe", "node5"]);
    let nodes = |hosts: &[&str]| json!({"spec": {"nodes": world.cluster_spec(hosts)["nodes"]}});
    let histories = ["node1", "node4"].map(|host| world.history(host));
    world.patch(
        &format!("{CLUSTERS}/prod"),
        &nodes(&["node1", "node2", "node3", "node4"]),
    );
    world.wait_cluster("prod", SOON, "has a host of another pool", |object| {
        is_false(
            object,
            "PeersConnected",
            "OtherPool",
            &["node4 is a peer of another pool"],
        ) && is_false(
            object,
            "Ready",
            "OtherPool",
            &["node4", "tried again every"],
        )
    });
    world.wait_event("prod", &["OtherPool", "node4"]);
    let steady = world.get(&format!("{VOLUMES}/steady")).unwrap();
    assert_eq!(
        condition(&steady, "Ready").0,
        "True",
        "its data can still be used"
    );
    world.patch(&format!("{CLUSTERS}/prod"), &nodes(&POOL));
    world.wait_cluster("prod", SOON, "is as declared", as_declared);
    world.wait_volume("steady", SOON, "is as declared", as_declared);
    let writes: Vec<String> = histories
        .iter()
        .flat_map(super::support::operator_lab::History::writes)
        .collect();
    assert_eq!(writes, Vec::<String>::new());
    assert!(!world.path("node4", OWNER_FILE).exists());
    world.gluster("node4", &["peer", "detach", "node5"]);
}

fn owner_appears(world: &World) {
    let path = world.path("node2", OWNER_FILE);
    let ours = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "rest:somebody-else\n").unwrap();
    let histories = POOL.map(|host| world.history(host));
    world.volume("elsewhere", &json!({}));
    world.wait_cluster("prod", SOON, "is managed elsewhere", |object| {
        is_false(
            object,
            "Ready",
            "ManagedElsewhere",
            &["node2", "rest:somebody-else", "takeOver"],
        )
    });
    world.wait_volume("elsewhere", SOON, "waits", |object| {
        condition(object, "InSync").1 == "ManagedElsewhere"
    });
    world.patch(
        &format!("{VOLUMES}/steady"),
        &json!({"spec": {"options": {"performance.cache-size": "32MB"}}}),
    );
    world.wait_volume("steady", SOON, "waits", |object| {
        condition(object, "Ready").0 == "True"
            && is_false(
                object,
                "InSync",
                "ManagedElsewhere",
                &["rest:somebody-else"],
            )
    });
    let writes: Vec<String> = histories
        .iter()
        .flat_map(super::support::operator_lab::History::writes)
        .collect();
    assert_eq!(
        writes,
        Vec::<String>::new(),
        "nothing is written to somebody else's pool"
    );
    assert_eq!(
        world.on_device("node1", "shop_elsewhere"),
        Vec::<String>::new()
    );
    std::fs::write(&path, ours).unwrap();
    world.wait_volume("elsewhere", SOON, "is as declared", as_declared);
    world.wait_volume("steady", SOON, "is as declared", as_declared);
    world.delete(&format!("{VOLUMES}/elsewhere"));
}

fn unmounted(world: &World) {
    let source = world
        .hosts
        .run("node3", &["findmnt", "-n", "-o", "SOURCE", DEVICE]);
    world.hosts.run("node3", &["umount", "-l", DEVICE]);
    world.volume("homeless", &json!({}));
    world.wait_cluster("prod", SOON, "has lost a device", |object| {
        is_false(
            object,
            "DevicesReady",
            "DeviceNotReady",
            &[&format!("node3: {DEVICE} is not a mount point")],
        )
    });
    world.wait_volume("homeless", SOON, "does not fit", |object| {
        is_false(
            object,
            "Ready",
            "DoesNotFit",
            &["needs 3 hosts", "has 2", "node3"],
        )
    });
    assert_eq!(
        std::fs::read_dir(world.path("node3", DEVICE))
            .unwrap()
            .count(),
        0,
        "nothing is made on the root file system"
    );
    assert_eq!(
        world.on_device("node1", "shop_homeless"),
        Vec::<String>::new()
    );
    world.hosts.run("node3", &["mount", source.trim(), DEVICE]);
    world.wait_volume("homeless", SOON, "is as declared", as_declared);
    world.wait_cluster("prod", SOON, "is as declared", |object| {
        condition(object, "DevicesReady").0 == "True"
    });
    world.delete(&format!("{VOLUMES}/homeless"));
}

fn standby(world: &World) {
    let mut second = world.spawn_controller("operator-1", "second.log");
    let log = || std::fs::read_to_string(world.names.dir.join("second.log")).unwrap_or_default();
    let begin = Instant::now();
    while !log().contains("standing by") && begin.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(100));
    }
    // longer than it takes to ask for the lease again
    std::thread::sleep(Duration::from_secs(5));
    let log = log();
    let alive = second.try_wait().unwrap().is_none();
    second.kill().unwrap();
    second.wait().unwrap();
    assert!(
        alive && log.contains("standing by") && !log.contains("watching"),
        "{log}"
    );
}

/// Ready and in sync it may be called with a host less; this is with all of them, each of which sees the others.
fn is_whole(object: &Value) -> bool {
    as_declared(object) && condition(object, "PeersConnected").0 == "True"
}

/// An edit of a volume, as gluster is to have it.
fn set_cache_size(world: &World, value: &str) {
    let options = json!({"performance.cache-size": value});
    let edit = json!({"spec": {"options": options}});
    world.patch(&format!("{VOLUMES}/steady"), &edit);
}

/// Whether that host's glusterd has it so; read from its files, since a command could be in the way of others.
fn has_cache_size(world: &World, host: &str, value: &str) -> bool {
    let info = world.path(host, "/var/lib/glusterd/vols/shop_steady/info");
    let line = format!("performance.cache-size={value}");
    std::fs::read_to_string(info).is_ok_and(|text| text.lines().any(|found| found == line))
}

/// Of the present spec, also where what is said of it is that it can't be looked at.
fn in_sync(object: &Value) -> bool {
    condition(object, "InSync").0 == "True"
        && object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

fn hung(world: &World) {
    world.wait_cluster("prod", SOON, "is whole", is_whole);
    let coordinator = world.coordinator();
    let victim = POOL.into_iter().find(|host| **host != coordinator).unwrap();
    let data = Mounted::of(world, &POOL, "shop_steady");
    world.lab(&["service", victim, "glusterd", "hang"]);
    let begin = Instant::now();
    world.volume("patient", &json!({}));
    set_cache_size(world, "24MB");
    std::thread::scope(|threads| {
        let served = threads.spawn(|| data.serves());
        let others = threads.spawn(|| others_go_on(world, "while-hung"));
        let told = || {
            let object = world.get(&format!("{CLUSTERS}/prod")).unwrap();
            is_false(
                &object,
                "PeersConnected",
                "GlusterdNotResponding",
                &[victim],
            )
        };
        let edited = || has_cache_size(world, &coordinator, "24MB");
        let said = || in_sync(&world.get(&format!("{VOLUMES}/steady")).unwrap());
        clocked(
            begin,
            &[
                ("told", 30, &told),
                ("an edit on that pool done", 45, &edited),
                ("and told", 60, &said),
            ],
        );
        joined(others);
        say(&format!(
            "       {victim} hangs: read and written in {:.1} s",
            joined(served)
        ));
    });
    world.lab(&["service", victim, "glusterd", "resume"]);
    world.wait_cluster("prod", SOON, "is whole", is_whole);
    world.wait_volume("patient", SOON, "is as declared", as_declared);
    data.is_whole();
    world.delete(&format!("{VOLUMES}/patient"));
}

/// As after an uninstall: all objects are gone, gluster goes on, and everything is applied once more.
fn anew(world: &World) {
    let pool = cluster("anew", &world.cluster_spec(&["node4"]));
    let mut kept = volume("kept", &json!({"layout": {"distribute": 1}}));
    kept["spec"]["clusterName"] = json!("anew");
    let at = (format!("{CLUSTERS}/anew"), format!("{VOLUMES}/kept"));
    let declare = || {
        world.post(CLUSTERS, &pool);
        world.wait_cluster("anew", SOON, "is as declared", as_declared);
        world.post(VOLUMES, &kept);
    };
    declare();
    world.wait_volume("kept", SOON, "is as declared", as_declared);
    let owner = text(&world.get(&at.0).unwrap()["status"]["owner"]).to_owned();
    let data = Mounted::of(world, &["node4"], "shop_kept");
    for path in [&at.1, &at.0] {
        world.delete(path);
        world.wait_gone(path, SOON);
    }
    assert!(!world.path("node4", OWNER_FILE).exists());
    declare();
    let remedy = format!("set spec.takeOver of the GlusterCluster to {owner:?}");
    world.wait_volume("kept", SOON, "is of the one before", |object| {
        is_false(object, "Owned", "NotOwned", &["left alone", &remedy])
    });
    let take_over = |id: &str| world.patch(&at.0, &json!({"spec": {"takeOver": id}}));
    take_over(&owner);
    world.wait_volume("kept", SOON, "is ours", as_declared);
    data.is_whole();
    // it carries the mark of the new one by now
    take_over("");
    world.wait_cluster("anew", SOON, "is as declared", as_declared);
    world.patch(
        &at.1,
        &json!({"spec": {"options": {"performance.cache-size": "48MB"}}}),
    );
    world.wait_volume("kept", SOON, "is changed", as_declared);
    data.is_whole();
    drop(data);
    world.patch(&at.1, &json!({"spec": {"deletionPolicy": "Delete"}}));
    for path in [&at.1, &at.0] {
        world.delete(path);
        world.wait_gone(path, Duration::from_secs(90));
    }
    let volumes = world.gluster("node4", &["volume", "list"]);
    assert!(!volumes.contains("shop_kept"), "{volumes}");
}

/// What docs/faults.md says of a dead disk, word for word. Of the disk that is new and mounted in its place this has what the operator and
/// glusterd see of it: the brick is not there.
fn replaced(world: &World) {
    const VOLUME: &str = "shop_mended";
    const HOST: &str = "node3";
    let object = world.ready_volume("mended", &json!({"capacity": "64Mi"}));
    let brick = object["status"]["bricks"].as_array().unwrap().iter();
    let brick = brick
        .map(|one| text(&one["path"]))
        .next()
        .unwrap()
        .to_owned();
    let data = Mounted::of(world, &POOL, VOLUME);
    let mark = |host: &str| {
        let read = "getfattr --absolute-names --only-values -n trusted.gluster-operator.owner";
        world.hosts.shell(host, &format!("{read} {brick}"))
    };
    let marked = mark(HOST);
    let top = brick.strip_suffix("/brick").unwrap();
    let die = format!("kill -9 $(cat /run/gluster/vols/{VOLUME}/*.pid) && rm -r {top}");
    world.hosts.shell(HOST, &die);
    world.wait_volume("mended", SOON, "has lost a brick", |object| {
        is_false(object, "Healthy", "BrickDown", &[HOST]) && condition(object, "Ready").0 == "True"
    });
    data.serves();
    let reset = |last: &[&str]| {
        let place = format!("{HOST}:{brick}");
        let words = [&["volume", "reset-brick", VOLUME, &place], last].concat();
        // the operator tries to start the brick now and then, and has the volume's lock for it
        until(SOON, "gluster takes it", || {
            let words = [&["gluster", "--mode=script"], words.as_slice()].concat();
            world.hosts.sh("node1", &words).status.success()
        });
    };
    reset(&["start"]);
    world.hosts.run(HOST, &["mkdir", "-p", &brick]);
    let place = format!("{HOST}:{brick}");
    reset(&[&place, "commit", "force"]);
    world.wait_volume("mended", SOON, "is whole", |object| {
        as_declared(object) && condition(object, "Healthy").0 == "True"
    });
    assert_eq!(mark(HOST), marked);
    until(Duration::from_secs(90), "the file is healed", || {
        let same = format!("test \"$(stat -c %s {brick}/old)\" = 1024000");
        world.hosts.sh(HOST, &["sh", "-c", &same]).status.success()
            && whole_copies(world, "node1", VOLUME) == Some(3)
    });
    data.is_whole();
    drop(data);
    // and it can go
    world.patch(
        &format!("{VOLUMES}/mended"),
        &json!({"spec": {"deletionPolicy": "Delete"}}),
    );
    world.delete(&format!("{VOLUMES}/mended"));
    world.wait_gone(&format!("{VOLUMES}/mended"), Duration::from_secs(90));
}

/// What has nothing to do with the fault is as quick as ever: another cluster is set up, and gets a volume.
fn others_go_on(world: &World, name: &str) {
    let begin = Instant::now();
    world.post(CLUSTERS, &cluster(name, &world.cluster_spec(&["node4"])));
    let mut wanted = volume(name, &json!({"layout": {"distribute": 1}}));
    wanted["spec"]["clusterName"] = json!(name);
    world.post(VOLUMES, &wanted);
    world.wait_volume(name, Duration::from_secs(20), "is as declared", as_declared);
    say(&format!(
        "       another cluster and its volume were ready in {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    world.delete(&format!("{VOLUMES}/{name}"));
    world.delete(&format!("{CLUSTERS}/{name}"));
    world.wait_gone(&format!("{CLUSTERS}/{name}"), SOON);
    let volume = format!("shop_{name}");
    world.gluster("node4", &["volume", "stop", &volume]);
    world.gluster("node4", &["volume", "delete", &volume]);
}

/// A host is killed, or falls silent; everything is asked for at that moment, and looked at on its own.
fn down(world: &World, how: &str, victim: &str) {
    // of a connection that is reset glusterd knows at once, of silence when TCP's keepalive has given up
    let (soon, late) = if how == "kill" { (20, 20) } else { (40, 75) };
    world.wait_cluster("prod", SOON, "is whole", is_whole);
    world.wait_volume("steady", SOON, "is as declared", as_declared);
    let left = POOL.into_iter().find(|host| *host != victim).unwrap();
    let data = Mounted::of(world, &POOL, "shop_steady");
    world.wait_idle(victim);
    world.lab(&[how, victim]);
    let begin = Instant::now();
    let value = if how == "kill" { "48MB" } else { "96MB" };
    set_cache_size(world, value);
    world.volume("too-few", &json!({}));
    std::thread::scope(|threads| {
        let served = threads.spawn(|| data.serves());
        let others = threads.spawn(|| others_go_on(world, &format!("while-{how}")));
        let volume = |name: &str| world.get(&format!("{VOLUMES}/{name}")).unwrap();
        let by_pool = || {
            let object = world.get(&format!("{CLUSTERS}/prod")).unwrap();
            is_false(&object, "PeersConnected", "HostUnreachable", &[victim])
        };
        let by_volume = || is_false(&volume("steady"), "Healthy", "BrickDown", &[victim]);
        let any = || condition(&volume("too-few"), "InSync").0 == "False";
        let unfit = || is_false(&volume("too-few"), "Ready", "DoesNotFit", &[victim]);
        let edited = || has_cache_size(world, left, value);
        let said = || in_sync(&volume("steady"));
        clocked(
            begin,
            &[
                ("told by the pool", 30, &by_pool),
                ("by its volume", 30, &by_volume),
                ("another volume's status", 20, &any),
                ("that it does not fit", soon, &unfit),
                ("an edit on that pool done", late, &edited),
                ("and told", late, &said),
            ],
        );
        joined(others);
        say(&format!(
            "       {victim} is gone: read and written in {:.1} s",
            joined(served)
        ));
    });
    let steady = world.get(&format!("{VOLUMES}/steady")).unwrap();
    assert_eq!(
        condition(&steady, "Ready").0,
        "True",
        "two of three copies are enough"
    );
    world.delete(&format!("{VOLUMES}/too-few"));
    world.lab(&["start", victim]);
    world.wait_cluster("prod", Duration::from_secs(60), "is whole", is_whole);
    let steady = world.wait_volume("steady", Duration::from_secs(60), "is healthy", |object| {
        as_declared(object) && condition(object, "Healthy").0 == "True"
    });
    assert_eq!(steady["status"]["bricks"].as_array().unwrap().len(), 3);
    data.is_whole();
}

/// A ping-timeout of 10 s on the hosts of the pool; Debian ships 0. Comes back when nothing is left to do after the restarts: what is on its
/// way when a host falls silent hangs for gluster's own 120 s, and that is not what is tried here.
fn notice(world: &World) {
    // a change that a glusterd is restarted in the middle of is committed on some hosts only, and they reject each other afterwards
    let patience = Duration::from_secs(60);
    world.wait_cluster("prod", patience, "is as declared", as_declared);
    world.wait_volume("steady", patience, "is as declared", as_declared);
    for host in POOL {
        world.hosts.shell(
            host,
            "sed -i 's/option ping-timeout .*/option ping-timeout 10/' /etc/glusterfs/glusterd.vol",
        );
        world.lab(&["service", host, "glusterd", "restart"]);
    }
    let histories = POOL.map(|host| world.history(host));
    let (mut count, mut quiet) = (0, Instant::now());
    let begin = Instant::now();
    while quiet.elapsed() < Duration::from_secs(17) {
        let now = histories.iter().map(|history| history.writes().len()).sum();
        if now != count {
            (count, quiet) = (now, Instant::now());
        }
        assert!(
            begin.elapsed() < Duration::from_secs(90),
            "the pool does not come to rest"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    world.wait_cluster("prod", SOON, "is as declared", as_declared);
    world.wait_volume("steady", SOON, "is as declared", as_declared);
}

fn silent_for_ever(world: &World) {
    world.wait_cluster(
        "prod",
        Duration::from_secs(60),
        "is as declared",
        as_declared,
    );
    world.wait_volume(
        "steady",
        Duration::from_secs(60),
        "is as declared",
        as_declared,
    );
    let coordinator = world.coordinator();
    let victim = POOL.into_iter().find(|host| **host != coordinator).unwrap();
    let data = Mounted::of(world, &POOL, "shop_steady");
    world.wait_idle(victim);
    world.lab(&["poweroff", victim]);
    let begin = Instant::now();
    let histories: Vec<_> = POOL
        .iter()
        .filter(|host| **host != victim)
        .map(|host| world.history(host))
        .collect();
    set_cache_size(world, "128MB");
    std::thread::scope(|threads| {
        let served = threads.spawn(|| data.serves());
        let others = threads.spawn(|| others_go_on(world, "while-silent"));
        let held = || {
            let object = world.get(&format!("{CLUSTERS}/prod")).unwrap();
            let words = [victim, "ping-timeout is 0", "would hang"];
            is_false(&object, "Ready", "HostUnreachable", &words)
        };
        let missed = || {
            let object = world.get(&format!("{VOLUMES}/steady")).unwrap();
            is_false(&object, "Healthy", "BrickDown", &[victim])
                && condition(&object, "Ready").0 == "True"
        };
        clocked(
            begin,
            &[
                ("told by the pool", 35, &held),
                ("by its volume", 35, &missed),
            ],
        );
        joined(others);
        say(&format!(
            "       {victim} is silent: read and written in {:.1} s",
            joined(served)
        ));
    });
    let writes = histories
        .iter()
        .flat_map(super::support::operator_lab::History::writes);
    // an option that gluster refuses is tried now and then
    let refused = |line: &String| line.contains("performance.io-thread-count 9999");
    let hung: Vec<String> = writes
        .filter(|line| !line.ends_with("SUCCESS") && !refused(line))
        .collect();
    assert_eq!(hung, Vec::<String>::new(), "a command was sent that hangs");
    // a change that a host comes back in the middle of can fail on that one alone, and then the peers reject each other
    until(Duration::from_secs(90), "the edit is done", || {
        has_cache_size(world, &coordinator, "128MB")
    });
    say(&format!(
        "       an edit was held back, and done after {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    // one that still hangs is in no log: each of ours runs under flock
    until(Duration::from_secs(5), "no command is under way", || {
        let running = |host: &&str| world.process(host, "flock", "gluster-operator").is_some();
        !POOL.iter().filter(|host| **host != victim).any(running)
    });
    world.lab(&["start", victim]);
    world.wait_cluster("prod", Duration::from_secs(150), "is whole", is_whole);
    world.wait_volume(
        "steady",
        Duration::from_secs(150),
        "is as declared",
        |object| as_declared(object) && condition(object, "Healthy").0 == "True",
    );
    data.is_whole();
    for name in [
        "wrong-key",
        "no-secret",
        "twin",
        "revoked",
        "wrong-host-key",
    ] {
        world.delete(&format!("{SECRETS}/{name}"));
    }
}
