//! A pool whose hosts come and go, what keeps a deletion, and what becomes of the trash.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::planned::{file_of, plan, steps};
use crate::support::operator_lab::{
    CLUSTERS, DEVICE, History, VOLUMES, World, as_declared, condition, is_false, say, text, until,
    volume, world,
};

const SOON: Duration = Duration::from_secs(60);
const OWNER_FILE: &str = "/var/lib/gluster-operator/owner";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const CLAIMS: &str = "/api/v1/namespaces/shop/persistentvolumeclaims";

#[test]
fn hosts_and_deletions() {
    let Some(guard) = world() else { return };
    let Some(world) = guard.as_ref() else { return };
    std::thread::scope(|threads| {
        // on the three hosts of the pool, and on the two others
        threads.spawn(|| {
            world.scene(
                "a deletion names what blocks it, and goes on by itself",
                || blocked(world),
            );
            world.scene(
                "a host without ports below 1024 gets no limit more, and says so",
                || crowded(world),
            );
        });
        world.scene(
            "a host that left the spec is detached when nothing keeps it, and its trash goes",
            || leaving(world),
        );
        world.scene(
            "a volume whose cluster can't be reached, or is gone, can be let go of",
            || let_go(world),
        );
    });
    world.curtain();
}

fn set(world: &World, name: &str, spec: &Value) {
    world.patch(&format!("{CLUSTERS}/{name}"), &json!({"spec": spec}));
}

fn nodes(world: &World, hosts: &[&str]) -> Value {
    world.cluster_spec(hosts)["nodes"].clone()
}

/// A pod that Kubernetes believes to run on a node with that claim, without any kubelet.
fn pod(name: &str, claim: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "nodeName": "kube9",
            "containers": [{"name": "c", "image": "none"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
        },
    })
}

fn is_blocked(object: &Value, words: &[&str]) -> bool {
    is_false(object, "Progressing", "DeletionBlocked", words)
}

fn blocked(world: &World) {
    let claim = json!({"name": "busy-data", "accessModes": ["ReadWriteMany"]});
    let object = world.ready_volume(
        "busy",
        &json!({"capacity": "64Mi", "claim": claim, "deletionPolicy": "Delete"}),
    );
    let persistent = format!(
        "/api/v1/persistentvolumes/gv-{}",
        text(&object["metadata"]["uid"])
    );
    world.wait(&format!("{CLAIMS}/busy-data"), SOON, "is bound", |claim| {
        claim["status"]["phase"] == "Bound"
    });
    world.post(PODS, &pod("user", "busy-data"));
    let held = world.get(&persistent).unwrap();
    let mut finalizers = held["metadata"]["finalizers"].as_array().unwrap().clone();
    finalizers.push(json!("example.org/backup"));
    world.patch(
        &persistent,
        &json!({"metadata": {"finalizers": finalizers}}),
    );

    world.delete(&format!("{VOLUMES}/busy"));
    world.wait_volume("busy", SOON, "waits for the pod", |object| {
        is_blocked(object, &["busy-data", "shop/user", "goes on by itself"])
    });
    world.wait_event("busy", &["DeletionBlocked", "shop/user"]);
    world
        .request(
            "DELETE",
            &format!("{PODS}/user"),
            "application/json",
            &json!({"gracePeriodSeconds": 0}).to_string(),
        )
        .unwrap();
    world.wait_volume("busy", SOON, "waits for the PersistentVolume", |object| {
        is_blocked(object, &["PersistentVolume gv-", "example.org/backup"])
    });
    assert!(
        world
            .gluster("node1", &["volume", "info", "shop_busy"])
            .contains("Status: Started")
    );
    world.lab(&["kill", "node3"]);
    world.patch(&persistent, &json!({"metadata": {"finalizers": null}}));
    let object = world.wait_volume("busy", SOON, "waits for the host", |object| {
        is_blocked(object, &["node3", "spec.deletionPolicy to Retain"])
    });
    say(&format!("       {}", condition(&object, "Progressing").2));
    world.lab(&["start", "node3"]);
    world.wait_gone(&format!("{VOLUMES}/busy"), SOON);
    for host in ["node1", "node2", "node3"] {
        assert_eq!(
            world.on_device(host, "shop_busy").len(),
            2,
            "{host}: brick and manifest"
        );
    }
    world.wait_cluster("prod", SOON, "is as declared", as_declared);
}

/// Somebody has taken the ports of a host that daemons connect to closed bricks from. What has a limit keeps it.
fn crowded(world: &World) {
    const TAKES: &str = r#"
        use Socket;
        $| = 1;
        my @taken;
        for my $port (1 .. 900) {
            socket(my $one, PF_INET, SOCK_STREAM, 0) or die;
            push @taken, $one if bind($one, sockaddr_in($port, INADDR_LOOPBACK)) and listen($one, 1);
        }
        print scalar(@taken), "\n";
        sleep 1 while -e "/run/crowd";
    "#;
    let fields = json!({"capacity": "64Mi"});
    world.ready_volume("early", &fields);
    world.hosts.run("node3", &["touch", "/run/crowd"]);
    let mut crowd = world.hosts.start(
        "node3",
        &["perl", "-e", TAKES],
        Stdio::piped(),
        Stdio::inherit(),
    );
    let mut taken = String::new();
    let stdout = crowd.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut taken).unwrap();
    let taken: usize = taken.trim().parse().unwrap();
    // sshd has one already
    assert!(taken > 890, "{taken}");
    let histories = ["node1", "node2", "node3"].map(|host| world.history(host));
    world.volume("portless", &fields);
    // first it may be TCP that keeps them
    let waits = |object: &Value| {
        condition(object, "Progressing")
            .2
            .contains("ports below 1024")
    };
    let object = world.wait_volume("portless", SOON, "waits for ports", waits);
    say(&format!("       {}", condition(&object, "Progressing").2));
    let words = [
        "enabling quota",
        "ports below 1024 of node3",
        "another pool",
        "tried again",
    ];
    let told = world.wait_volume("portless", SOON * 2, "is refused", |object| {
        is_false(object, "InSync", "Busy", &words) && condition(object, "Ready").0 == "False"
    });
    say(&format!("       {}", condition(&told, "InSync").2));
    let sent = || {
        let mut lines = histories.iter().flat_map(History::writes);
        lines.any(|line| line.contains("quota shop_portless"))
    };
    assert!(!sent());
    let early = world.get(&format!("{VOLUMES}/early")).unwrap();
    assert!(as_declared(&early), "what has a limit keeps it");
    world.hosts.run("node3", &["rm", "/run/crowd"]);
    world.wait_volume("portless", SOON * 2, "is as declared", as_declared);
    assert!(sent());
    crowd.wait().unwrap();
    for name in ["early", "portless"] {
        world.delete(&format!("{VOLUMES}/{name}"));
    }
}

fn pair(world: &World) {
    let mut spec = world.cluster_spec(&["node4", "node5"]);
    spec["trash"] = json!({"retention": "1h"});
    world.post(CLUSTERS, &json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "metadata": {"name": "pair"}, "spec": spec}));
    world.wait_cluster("pair", SOON, "is as declared", as_declared);
}

fn on_pair(name: &str, fields: &Value) -> Value {
    let mut wanted = volume(name, fields);
    wanted["spec"]["clusterName"] = json!("pair");
    wanted
}

/// Waits for an event about an object with all of these words.
fn told(world: &World, name: &str, words: &[&str]) {
    let begin = std::time::Instant::now();
    loop {
        let events = world.events(name);
        if events
            .iter()
            .any(|event| words.iter().all(|word| event.contains(word)))
        {
            return;
        }
        assert!(begin.elapsed() < SOON, "{words:?} in {events:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn peers(world: &World, host: &str) -> usize {
    world.gluster(host, &["pool", "list"]).lines().count() - 1
}

fn leaving(world: &World) {
    pair(world);
    let object = world.wait_cluster("pair", SOON, "tells of its devices", |object| {
        object["status"]["nodes"].as_array().is_some_and(|nodes| {
            nodes
                .iter()
                .all(|node| node["devices"][0]["path"] == DEVICE)
        })
    });
    for node in object["status"]["nodes"].as_array().unwrap() {
        let device = &node["devices"][0];
        assert!(
            !text(&device["fsId"]).is_empty() && !text(&device["size"]).is_empty(),
            "{node}"
        );
        assert!(
            node["uuid"].is_string() && node["version"].is_string() && node["connected"] == true
        );
    }
    world.post(
        VOLUMES,
        &on_pair(
            "spread",
            // two bricks on each host
            &json!({"layout": {"distribute": 4}, "capacity": "64Mi", "deletionPolicy": "Delete"}),
        ),
    );
    world.wait_volume("spread", SOON, "is as declared", as_declared);

    // who may mount is edited: volumes that are there follow
    set(
        world,
        "pair",
        &json!({"clients": {"addresses": ["10.1.*", "10.2.3.4"]}}),
    );
    let begin = std::time::Instant::now();
    let info = || world.gluster("node4", &["volume", "info", "shop_spread"]);
    while !info().contains("auth.allow: 10.1.*,10.2.3.4") {
        assert!(begin.elapsed() < SOON, "{}", info());
        std::thread::sleep(Duration::from_millis(300));
    }

    quota_timeouts(world, info);

    // a brick keeps the host
    set(world, "pair", &json!({"nodes": nodes(world, &["node4"])}));
    let object = world.wait_cluster("pair", SOON, "keeps node5", |object| {
        is_false(
            object,
            "InSync",
            "NodeInUse",
            &["node5", "of volume shop_spread"],
        )
    });
    say(&format!("       {}", condition(&object, "InSync").2));
    assert_eq!(object["status"]["nodes"][1]["leaving"], true);
    assert_eq!(peers(world, "node4"), 2);
    world.delete(&format!("{VOLUMES}/spread"));
    world.wait_volume("spread", SOON, "waits for node5", |object| {
        is_blocked(object, &["node5", "not listed"])
    });
    set(
        world,
        "pair",
        &json!({"nodes": nodes(world, &["node4", "node5"])}),
    );
    world.wait_gone(&format!("{VOLUMES}/spread"), SOON);
    // its bricks went to the trash, and are destroyed there when they are older than the spec says; that is told before
    trash_is_told(world);
    set(world, "pair", &json!({"trash": {"retention": "2s"}}));
    for host in ["node4", "node5"] {
        let begin = std::time::Instant::now();
        while !world.on_device(host, "shop_spread").is_empty() {
            assert!(
                begin.elapsed() < SOON,
                "{host}: {:?}",
                world.on_device(host, "shop_spread")
            );
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    told(world, "pair", &["TrashPurged", "shop_spread-"]);

    // now nothing keeps it
    let mut wanted = file_of(world, "pair");
    wanted["spec"]["nodes"] = nodes(world, &["node4"]);
    let output = plan(world, &[wanted]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told_steps = steps(&output);
    let [(detach, by), (file, at)] = told_steps.as_slice() else {
        panic!("{told_steps:#?}");
    };
    assert_eq!(
        (text(&detach["step"]), by.as_slice()),
        ("detaching peer node5", &["node4".to_owned()][..])
    );
    assert_eq!(
        (text(&file["step"]), at.as_slice()),
        (
            "removing the owner file of node5",
            &["node5".to_owned()][..]
        )
    );
    assert!(world.path("node5", OWNER_FILE).exists(), "only told");
    set(world, "pair", &json!({"nodes": nodes(world, &["node4"])}));
    world.wait_cluster("pair", SOON, "has let node5 go", |object| {
        as_declared(object)
            && object["status"]["nodes"]
                .as_array()
                .is_some_and(|nodes| nodes.len() == 1)
    });
    assert_eq!((peers(world, "node4"), peers(world, "node5")), (1, 1));
    assert!(!world.path("node5", OWNER_FILE).exists(), "it is nobody's");
    assert!(world.path("node4", OWNER_FILE).exists());
    told(world, "pair", &["NodeDetached", "node5"]);
}

/// How soon writers are stopped is edited: volumes that are there follow, one of the two values and both, and back.
fn quota_timeouts(world: &World, info: impl Fn() -> String) {
    for (wanted, soft, hard) in [
        (json!({"soft": 30, "hard": 7}), 30, 7),
        (json!({"soft": 20, "hard": null}), 20, 5),
        (Value::Null, 10, 5),
    ] {
        set(world, "pair", &json!({"quotaTimeouts": wanted}));
        let lines = [
            format!("features.soft-timeout: {soft}\n"),
            format!("features.hard-timeout: {hard}\n"),
        ];
        until(SOON, &format!("{lines:?}"), || {
            let text = info();
            lines.iter().all(|line| text.contains(line))
        });
    }
}

/// What a shorter retention destroys at once is told, and not done by that.
fn trash_is_told(world: &World) {
    let lies = |host: &str| world.on_device(host, "shop_spread");
    let before = ["node4", "node5"].map(lies);
    // two bricks on each, and the manifest of each
    assert!(before.iter().all(|names| names.len() == 4), "{before:?}");
    let same = plan(world, &[file_of(world, "pair")]);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    let mut wanted = file_of(world, "pair");
    wanted["spec"]["trash"] = json!({"retention": "1s"});
    let begin = std::time::Instant::now();
    let told = loop {
        let output = plan(world, std::slice::from_ref(&wanted));
        let told = steps(&output);
        if told.len() == 4 {
            assert_eq!(output.status.code(), Some(3), "{output:?}");
            break told;
        }
        assert!(begin.elapsed() < SOON, "{output:?}");
    };
    let mut entries: Vec<(&str, String)> = Vec::new();
    for (host, names) in ["node4", "node5"].into_iter().zip(&before) {
        let bricks = names.iter().filter(|name| !name.contains(".json"));
        entries.extend(bricks.map(|name| (host, format!("{DEVICE}/{name}"))));
    }
    for ((step, hosts), (host, entry)) in told.iter().zip(entries) {
        assert_eq!(hosts.as_slice(), [host.to_owned()], "{step}");
        assert_eq!(step["step"], format!("destroying {host}:{entry}"));
        assert!(text(&step["risk"]).starts_with("destroys"), "{step}");
        let commands = step["commands"].as_array().unwrap();
        let removes = |command: &Value| {
            let line = text(&command["command"]);
            line.contains(" rm -rf ") && line.ends_with(&entry)
        };
        assert!(commands.iter().any(removes), "{commands:#?}");
    }
    say(&format!(
        "       {}: {}",
        text(&told[0].0["step"]),
        text(&told[0].0["risk"])
    ));
    assert_eq!(["node4", "node5"].map(lies), before, "only told");
}

fn let_go(world: &World) {
    // the cluster is there and can't be reached, and the namespace is going
    if world.get(&format!("{CLUSTERS}/pair")).is_none() {
        pair(world);
        set(world, "pair", &json!({"nodes": nodes(world, &["node4"])}));
        world.wait_cluster("pair", SOON, "has let node5 go", |object| {
            let nodes = object["status"]["nodes"].as_array();
            as_declared(object) && nodes.is_some_and(|nodes| nodes.len() == 1)
        });
    }
    world.post(
        "/api/v1/namespaces",
        &json!({"metadata": {"name": "doomed", "labels": {"gluster": "yes"}}}),
    );
    let doomed = "/apis/gluster-operator.io/v1alpha1/namespaces/doomed/glustervolumes";
    let fields = |claim: &str| json!({"layout": {"distribute": 1}, "capacity": "64Mi", "deletionPolicy": "Delete", "claim": {"name": claim, "accessModes": ["ReadWriteMany"]}});
    world.post(doomed, &on_pair("left", &fields("left-data")));
    world.post(VOLUMES, &on_pair("lost", &fields("lost-data")));
    world.wait(
        &format!("{doomed}/left"),
        SOON,
        "is as declared",
        as_declared,
    );
    let lost = world.wait_volume("lost", SOON, "is as declared", as_declared);
    world.wait(
        "/api/v1/namespaces/doomed/persistentvolumeclaims/left-data",
        SOON,
        "is bound",
        |claim| claim["status"]["phase"] == "Bound",
    );
    world.lab(&["partition", "node4"]);
    world.delete("/api/v1/namespaces/doomed");
    let object = world.wait(
        &format!("{doomed}/left"),
        SOON,
        "waits for node4",
        |object| is_blocked(object, &["node4", "spec.deletionPolicy to Retain"]),
    );
    say(&format!("       {}", condition(&object, "Progressing").2));
    world.patch(
        &format!("{doomed}/left"),
        &json!({"spec": {"deletionPolicy": "Retain"}}),
    );
    world.wait_gone("/api/v1/namespaces/doomed", SOON);
    world.lab(&["restore", "node4"]);
    world.wait_cluster("pair", SOON, "answers again", |object| {
        condition(object, "Ready").0 == "True"
    });

    // the cluster object is gone, by force
    world.patch(
        &format!("{CLUSTERS}/pair"),
        &json!({"metadata": {"finalizers": null}}),
    );
    world.delete(&format!("{CLUSTERS}/pair"));
    // ours comes back as long as it is not being deleted
    if world.get(&format!("{CLUSTERS}/pair")).is_some() {
        world.patch(
            &format!("{CLUSTERS}/pair"),
            &json!({"metadata": {"finalizers": null}}),
        );
    }
    world.wait_gone(&format!("{CLUSTERS}/pair"), SOON);
    world.delete(&format!("{VOLUMES}/lost"));
    world.wait_volume("lost", SOON, "waits for the cluster", |object| {
        is_blocked(object, &["pair", "spec.deletionPolicy to Retain"])
    });
    world.patch(
        &format!("{VOLUMES}/lost"),
        &json!({"spec": {"deletionPolicy": "Retain"}}),
    );
    world.wait_gone(&format!("{VOLUMES}/lost"), SOON);
    world.wait_gone(&format!("{CLAIMS}/lost-data"), SOON);
    world.wait_gone(
        &format!(
            "/api/v1/persistentvolumes/gv-{}",
            text(&lost["metadata"]["uid"])
        ),
        SOON,
    );
    // nothing was destroyed
    let list = world.gluster("node4", &["volume", "list"]);
    assert_eq!(
        list.lines().collect::<Vec<_>>(),
        ["doomed_left", "shop_lost"]
    );
    for name in ["doomed_left", "shop_lost"] {
        assert!(
            world
                .gluster("node4", &["volume", "info", name])
                .contains("Status: Started")
        );
        world.gluster("node4", &["volume", "stop", name]);
        world.gluster("node4", &["volume", "delete", name]);
    }
    for host in ["node4", "node5"] {
        world.hosts.shell(host, &format!("rm -f {OWNER_FILE}"));
    }
}
