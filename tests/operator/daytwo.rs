//! Edits and deletions of things that are in use: what is declared later takes effect, what others did stays, and data
//! is where it was.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::operator_lab::{
    CLUSTERS, DEVICE, POOL, VOLUMES, World, as_declared, condition, is_false, say, text, until,
    world,
};

const SOON: Duration = Duration::from_secs(45);
const OWNER_FILE: &str = "/var/lib/gluster-operator/owner";

#[test]
fn day_two() {
    let Some(guard) = world() else { return };
    let Some(world) = guard.as_ref() else { return };
    // the controller is killed here, and nobody else may send a command
    world.scene("what `plan` tells is what is done, and all of it", || {
        crate::planned::plan_is_what_is_done(world);
    });
    // here glusterd is started again on each host of the pool; on the two others nobody sees that
    std::thread::scope(|threads| {
        threads.spawn(|| {
            world.scene(
                "a cluster goes after its volumes, and takes its owner files along",
                || cluster_goes(world),
            );
        });
        world.scene("a limit that comes later counts what is there", || {
            late_limit(world);
        });
    });
    // each on volumes of its own
    std::thread::scope(|threads| {
        threads.spawn(|| {
            world.scene(
                "the capacity of a volume with data goes up and down, and away",
                || capacity(world),
            );
        });
        threads.spawn(|| {
            world.scene(
                "a claim that somebody else has made is left alone, and ours is made when it is gone",
                || not_our_claim(world),
            );
        });
        threads.spawn(|| {
            world.scene(
                "a one-writer volume goes to another node only when its old one is shut out",
                || crate::onewriter::changes_hands(world),
            );
        });
        threads.spawn(|| {
            world.scene("options come, change and go; those of others stay", || {
                options(world);
            });
            world.scene(
                "a volume in use is not stopped; one that nobody uses is, and starts again",
                || stopped(world),
            );
        });
        world.scene(
            "Retain leaves the volume, and an object of the same name gets it back",
            || retain(world),
        );
        world.scene(
            "Delete puts the volume into the trash, from which it comes back",
            || trash(world),
        );
        world.scene(
            "a volume that was retained and taken back can be deleted",
            || retain_then_delete(world),
        );
    });
    world.curtain();
}

/// A volume mounted on the client, unmounted when the value is dropped.
struct Mount<'a> {
    world: &'a World,
    at: String,
}

impl<'a> Mount<'a> {
    fn of(world: &'a World, volume: &str) -> Self {
        let at = format!("/mnt/{volume}");
        world.hosts.run("client1", &["mkdir", "-p", &at]);
        world.hosts.run(
            "client1",
            &["mount", "-t", "glusterfs", &format!("node1:/{volume}"), &at],
        );
        Self { world, at }
    }

    fn sh(&self, line: &str) -> String {
        self.world
            .hosts
            .shell("client1", &format!("cd {} && {line}", self.at))
    }

    /// What a line of shell that may fail said, and whether it did not.
    fn try_sh(&self, line: &str) -> (bool, String) {
        let line = format!("cd {} && {line}", self.at);
        let output = self.world.hosts.sh("client1", &["sh", "-c", &line]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        self.world.hosts.sh("client1", &["umount", "-l", &self.at]);
    }
}

fn limit(world: &World, volume: &str) -> String {
    let list = world.quota_list(volume);
    let row = list.lines().find(|line| line.starts_with('/'));
    let column = row.and_then(|row| row.split_whitespace().nth(1));
    column.unwrap_or_default().to_owned()
}

fn edit(world: &World, name: &str, spec: &Value) {
    world.patch(&format!("{VOLUMES}/{name}"), &json!({"spec": spec}));
}

fn ready(world: &World, name: &str) -> Value {
    world.wait_volume(name, SOON, "is as declared", as_declared)
}

fn capacity(world: &World) {
    world.ready_volume("size", &json!({"capacity": "64Mi"}));
    assert_eq!(limit(world, "shop_size"), "64.0MB");
    let mount = Mount::of(world, "shop_size");
    let size = mount.sh("df -B1 --output=size . | tail -1");
    assert_eq!(
        size.trim(),
        (64 << 20).to_string(),
        "the client sees the capacity"
    );
    mount.sh("dd if=/dev/urandom of=data bs=1M count=40 conv=fsync 2>&1; sync");
    let sum = mount.sh("sha256sum data");
    // quota counts a moment later
    let used = |object: &Value| text(&object["status"]["quota"]["used"]).to_owned();
    // limits are asked for in turns, and not while something is written to the pool
    world.wait_volume("size", SOON * 2, "counts what is used", |object| {
        !matches!(used(object).as_str(), "" | "0")
    });

    edit(world, "size", &json!({"capacity": "128Mi"}));
    ready(world, "size");
    assert_eq!(limit(world, "shop_size"), "128.0MB");
    edit(world, "size", &json!({"capacity": "48Mi"}));
    ready(world, "size");
    assert_eq!(limit(world, "shop_size"), "48.0MB");

    edit(world, "size", &json!({"capacity": "20Mi"}));
    let object = world.wait_volume(
        "size",
        SOON,
        "says that it is less than what is used",
        |object| {
            is_false(
                object,
                "InSync",
                "CapacityBelowUsage",
                &["20Mi", "48Mi", "tried again every"],
            ) && condition(object, "Ready").0 == "True"
        },
    );
    say(&format!("       {}", condition(&object, "InSync").2));
    world.wait_event("size", &["CapacityBelowUsage"]);
    assert_eq!(limit(world, "shop_size"), "48.0MB");
    // room is made: the wish is fulfilled
    mount.sh("truncate -s 8M data && sync");
    ready(world, "size");
    assert_eq!(limit(world, "shop_size"), "20.0MB");
    assert!(!sum.is_empty());
    is_enforced(&mount);

    edit(world, "size", &json!({"capacity": null}));
    let object = ready(world, "size");
    assert!(
        !matches!(limit(world, "shop_size").as_str(), "20.0MB"),
        "{object}"
    );
    mount.sh("dd if=/dev/zero of=more bs=1M count=60 conv=fsync 2>&1");
    for host in POOL {
        let brick = world.on_device(host, "shop_size-").remove(0);
        let size = std::fs::metadata(world.path(host, &format!("{DEVICE}/{brick}/brick/more")))
            .unwrap()
            .len();
        assert_eq!(size, 60 << 20, "{host}");
    }
    drop(mount);
    world.delete(&format!("{VOLUMES}/size"));
}

/// Who goes on writing into a volume of 20 MB that holds 8 is refused, some seconds late; and may write again when there is room.
fn is_enforced(mount: &Mount<'_>) {
    const STEP: &str =
        "dd if=/dev/zero of=past bs=1M count=1 oflag=append conv=notrunc,fsync status=none";
    let mut written = 0;
    let mut said = String::new();
    // bricks ask what is used every 10 s at first, and every 5 s from 80 % on
    until(SOON, "the writer is refused", || {
        std::thread::sleep(Duration::from_millis(400));
        let (done, why) = mount.try_sh(STEP);
        written += u32::from(done);
        said = why;
        !done
    });
    assert!(said.contains("Disk quota exceeded"), "{said}");
    assert!(
        written >= 12,
        "refused after {written} MB of 12 that were free"
    );
    say(&format!(
        "       20 MB, of which 8 were used: refused after {written} MB more"
    ));
    mount.sh("rm past");
    until(SOON, "there is room again", || {
        mount.try_sh("echo again > after && sync after").0
    });
}

/// A volume that had no limit gets one: what was there before counts once it was looked up, and nothing of quota's
/// crawl is left.
fn late_limit(world: &World) {
    world.ready_volume("late-limit", &json!({}));
    let mount = Mount::of(world, "shop_late-limit");
    let sum = mount
        .sh("dd if=/dev/urandom of=old bs=1M count=30 conv=fsync 2>/dev/null && sha256sum old");
    // less than what is there is not sent, and quota is not even switched on
    edit(world, "late-limit", &json!({"capacity": "20Mi"}));
    let below = |words: &[&str]| {
        let object = world.wait_volume("late-limit", SOON, "says what its bricks hold", |object| {
            is_false(object, "InSync", "CapacityBelowUsage", words)
        });
        say(&format!("       {}", condition(&object, "InSync").2));
    };
    below(&["spec.capacity 20Mi", "32505856 bytes", "no limit is set"]);
    assert!(
        !world
            .gluster("node1", &["volume", "info", "shop_late-limit"])
            .contains("features.quota: on")
    );
    mount.sh("echo more > still-writable && sync && rm still-writable");
    edit(world, "late-limit", &json!({"capacity": "34Mi"}));
    wait_for_limit(world);
    // bricks that were started closed refuse the crawl: who looks a file up makes it count
    mount.sh("ls -lR . && stat old");
    ready(world, "late-limit");
    shows_limit(world, "shop_late-limit", "34.0MB");
    let info = world.gluster("node1", &["volume", "info", "shop_late-limit"]);
    assert!(
        info.contains("server.allow-insecure: off") && info.contains("client.bind-insecure: off"),
        "{info}"
    );
    world.wait_volume(
        "late-limit",
        SOON * 2,
        "counts what was there before",
        |object| !matches!(text(&object["status"]["quota"]["used"]), "" | "0"),
    );
    assert_eq!(
        mount.sh("sha256sum old"),
        sum,
        "the mount of before goes on"
    );
    no_crawl_is_left(world);
    // switched off while nobody looked, and more is stored than fits by then
    world.kill_controller();
    // what the controller had sent before it was killed may hold the volume's lock for a moment
    let disable = "gluster --mode=script volume quota shop_late-limit disable";
    until(SOON, "quota is disabled", || {
        let done = world.hosts.sh("node1", &["sh", "-c", disable]);
        done.status.success()
    });
    mount.sh("dd if=/dev/urandom of=more bs=1M count=10 conv=fsync 2>/dev/null");
    world.start_controller();
    below(&["spec.capacity 34Mi", "no limit is set"]);
    mount.sh("rm more && sync");
    // what was typed has left a crawl that hangs
    let command = "kill $(pgrep -f 'client_per_brick/shop_late-limit[.]client[.]')";
    world.wait_volume("late-limit", SOON, "names the crawl", |object| {
        is_false(object, "InSync", "QuotaCrawl", &[command])
    });
    // not on each host: some end when the bricks are opened
    let hangs = "pgrep -f 'client_per_brick/shop_late-limit[.]client[.]'";
    for host in POOL {
        world
            .hosts
            .shell(host, &format!("! {hangs} >/dev/null || {command}"));
    }
    ready(world, "late-limit");
    // of a root that nobody has looked at since, the list reads N/A
    mount.sh("ls -lR . && stat old");
    shows_limit(world, "shop_late-limit", "34.0MB");
    drop(mount);
    world.delete(&format!("{VOLUMES}/late-limit"));
}

/// Waits until gluster's list has that limit: it reads N/A until bricks know what is used.
fn shows_limit(world: &World, volume: &str, wanted: &str) {
    let begin = std::time::Instant::now();
    loop {
        let shown = limit(world, volume);
        if shown == wanted {
            return;
        }
        assert!(begin.elapsed() < SOON, "{}", world.quota_list(volume));
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Waits until the limit was set, as the coordinator's log says it.
fn wait_for_limit(world: &World) {
    let begin = std::time::Instant::now();
    let set = || {
        POOL.iter().any(|host| {
            let log = world.hosts.dir().join(host).join("log/cmd_history.log");
            std::fs::read_to_string(log)
                .unwrap_or_default()
                .contains("volume quota shop_late-limit limit-usage / 35651584 : SUCCESS")
        })
    };
    while !set() {
        assert!(begin.elapsed() < SOON, "no limit was set");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A crawl that hangs keeps glusterd's port, so that it can't be started again.
fn no_crawl_is_left(world: &World) {
    for host in POOL {
        let crawls = world
            .hosts
            .sh(host, &["pgrep", "-af", "volfile-id client_per_brick/"]);
        assert_eq!(String::from_utf8_lossy(&crawls.stdout), "", "{host}");
        world.lab(&["service", host, "glusterd", "restart"]);
        // the status may still be that of before
        until(SOON, "the peers see each other", || {
            POOL.iter().all(|host| {
                let list = world.hosts.sh(host, &["gluster", "pool", "list"]);
                let list = String::from_utf8_lossy(&list.stdout).into_owned();
                let connected = list
                    .lines()
                    .filter(|line| line.trim_end().ends_with("Connected"));
                connected.count() >= POOL.len() && !list.contains("Disconnected")
            })
        });
    }
    world.wait_cluster("prod", SOON, "is as declared", |object| {
        as_declared(object) && condition(object, "PeersConnected").0 == "True"
    });
}

fn options(world: &World) {
    world.ready_volume(
        "opts",
        &json!({"options": {"performance.cache-size": "64MB", "network.ping-timeout": "20"}}),
    );
    let info = || world.gluster("node1", &["volume", "info", "shop_opts"]);
    // somebody else's
    world.gluster(
        "node1",
        &[
            "volume",
            "set",
            "shop_opts",
            "performance.io-thread-count",
            "24",
        ],
    );
    edit(
        world,
        "opts",
        &json!({"options": {"performance.cache-size": "96MB", "cluster.lookup-optimize": "off", "network.ping-timeout": null}}),
    );
    let object = ready(world, "opts");
    let text = info();
    for line in [
        "performance.cache-size: 96MB",
        "cluster.lookup-optimize: off",
        "performance.io-thread-count: 24",
        "user.gluster-operator.owner: v1:",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(
        !text.contains("network.ping-timeout"),
        "it was reset: {text}"
    );
    assert_eq!(
        object["status"]["ownedOptions"],
        json!(["cluster.lookup-optimize", "performance.cache-size"])
    );
    // by hand against what is declared
    world.gluster(
        "node1",
        &["volume", "reset", "shop_opts", "performance.cache-size"],
    );
    let begin = std::time::Instant::now();
    while !info().contains("performance.cache-size: 96MB") {
        assert!(begin.elapsed() < SOON, "a declared option comes back");
        std::thread::sleep(Duration::from_millis(500));
    }
    edit(world, "opts", &json!({"options": null}));
    ready(world, "opts");
    let text = info();
    assert!(
        !text.contains("cache-size")
            && !text.contains("lookup-optimize")
            && text.contains("performance.io-thread-count: 24"),
        "{text}"
    );
    world.delete(&format!("{VOLUMES}/opts"));
}

fn stopped(world: &World) {
    const CLAIM: &str = "/api/v1/namespaces/shop/persistentvolumeclaims/still-data";
    let bound = || {
        let claim = world.get(CLAIM);
        claim.is_some_and(|claim| claim["status"]["phase"] == "Bound")
    };
    let claim = json!({"name": "still-data", "accessModes": ["ReadWriteMany"]});
    world.ready_volume("still", &json!({"capacity": "64Mi", "claim": claim}));
    world.wait(CLAIM, SOON, "is bound", |claim| {
        claim["status"]["phase"] == "Bound"
    });
    let mount = Mount::of(world, "shop_still");
    let sum = mount.sh("head -c 3000000 /dev/urandom > data; sync; sha256sum data");
    edit(world, "still", &json!({"state": "Stopped"}));
    let blocked = |words: &str| {
        world.wait_volume("still", SOON, words, |object| {
            is_false(object, "InSync", "StopBlocked", &[words])
                && condition(object, "Ready").0 == "True"
        });
    };
    blocked("PersistentVolumeClaim shop/still-data is bound");
    world.delete(CLAIM);
    blocked(&format!("mounted on {}", world.hosts.address("client1")));
    mount.sh("sha256sum data");
    drop(mount);
    world.wait_volume("still", SOON, "is stopped", |object| {
        is_false(object, "Ready", "Stopped", &["spec.state"])
            && condition(object, "InSync").0 == "True"
    });
    let info = || world.gluster("node1", &["volume", "info", "shop_still"]);
    assert!(info().contains("Status: Stopped"), "{}", info());
    assert!(
        !bound(),
        "the claim is not made again as long as it is stopped"
    );
    edit(world, "still", &json!({"state": "Started"}));
    ready(world, "still");
    world.wait(CLAIM, SOON, "is bound", |claim| {
        claim["status"]["phase"] == "Bound"
    });
    let mount = Mount::of(world, "shop_still");
    assert_eq!(mount.sh("sha256sum data"), sum);
    drop(mount);
    assert_eq!(limit(world, "shop_still"), "64.0MB");
    world.delete(&format!("{VOLUMES}/still"));
}

/// A claim of the wanted name that somebody else has made is left alone, and told; when it is gone, ours is made.
fn not_our_claim(world: &World) {
    const CLAIMS: &str = "/api/v1/namespaces/shop/persistentvolumeclaims";
    let path = format!("{CLAIMS}/taken-data");
    let theirs = world.post(
        CLAIMS,
        &json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "taken-data", "labels": {"app": "other"}},
            "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "", "resources": {"requests": {"storage": "32Mi"}}},
        }),
    );
    let claim = json!({"name": "taken-data", "accessModes": ["ReadWriteMany"]});
    world.volume("taken", &json!({"capacity": "64Mi", "claim": claim}));
    let object = world.wait_volume("taken", SOON, "tells of the claim", |object| {
        is_false(
            object,
            "InSync",
            "ClaimConflict",
            &[
                "PersistentVolumeClaim taken-data",
                "not made for this volume",
            ],
        ) && condition(object, "Ready").0 == "True"
    });
    world.wait_event("taken", &["ClaimConflict", "taken-data"]);
    let now = world.get(&path).unwrap();
    for field in ["/metadata/uid", "/metadata/labels", "/spec"] {
        assert_eq!(now.pointer(field), theirs.pointer(field), "{field}");
    }
    assert!(now["metadata"]["deletionTimestamp"].is_null(), "{now}");
    let persistent = format!(
        "/api/v1/persistentvolumes/gv-{}",
        text(&object["metadata"]["uid"])
    );
    assert_eq!(
        world.get(&persistent),
        None,
        "nothing that theirs could be bound to"
    );
    world.delete(&path);
    ready(world, "taken");
    let ours = world.wait(&path, SOON, "is bound", |claim| {
        claim["status"]["phase"] == "Bound"
    });
    assert_ne!(ours["metadata"]["uid"], theirs["metadata"]["uid"]);
    world.delete(&format!("{VOLUMES}/taken"));
}

fn retain(world: &World) {
    let first = world.ready_volume("kept", &json!({"capacity": "64Mi"}));
    let id = first["status"]["volumeId"].clone();
    let mount = Mount::of(world, "shop_kept");
    let sum = mount
        .sh("dd if=/dev/urandom of=data bs=1M count=5 conv=fsync 2>/dev/null && sha256sum data");
    world.delete(&format!("{VOLUMES}/kept"));
    world.wait_gone(&format!("{VOLUMES}/kept"), SOON);
    let info = world.gluster("node1", &["volume", "info", "shop_kept"]);
    assert!(
        info.contains("Status: Started") && info.contains("user.gluster-operator.owner: v1:"),
        "{info}"
    );
    assert_eq!(
        mount.sh("sha256sum data"),
        sum,
        "pods that are left over go on"
    );

    let again = world.ready_volume("kept", &json!({"capacity": "64Mi"}));
    assert_ne!(again["metadata"]["uid"], first["metadata"]["uid"]);
    assert_eq!(again["status"]["volumeId"], id, "the same volume");
    assert_eq!(condition(&again, "Owned").0, "True");
    assert_eq!(mount.sh("sha256sum data"), sum);
    let info = world.gluster("node1", &["volume", "info", "shop_kept"]);
    assert!(
        info.contains(text(&again["metadata"]["uid"])),
        "marked again: {info}"
    );
}

/// `kept` by now lies in directories that are named after an object of before.
fn retain_then_delete(world: &World) {
    let before = POOL.map(|host| world.on_device(host, "shop_kept"));
    edit(world, "kept", &json!({"deletionPolicy": "Delete"}));
    world.delete(&format!("{VOLUMES}/kept"));
    world.wait_gone(&format!("{VOLUMES}/kept"), SOON);
    assert!(
        !world
            .gluster("node1", &["volume", "list"])
            .lines()
            .any(|line| line == "shop_kept")
    );
    for (host, before) in POOL.into_iter().zip(before) {
        let after = world.on_device(host, "shop_kept");
        let wanted = before
            .iter()
            .flat_map(|name| [format!(".trash/{name}"), format!(".trash/{name}.json")])
            .collect::<Vec<_>>();
        assert_eq!(after, wanted, "{host}");
    }
}

fn trash(world: &World) {
    world.ready_volume("gone", &json!({"capacity": "64Mi", "deletionPolicy": "Delete", "options": {"performance.cache-size": "64MB"}}));
    let mount = Mount::of(world, "shop_gone");
    let sum = mount.sh("mkdir -p a/b && dd if=/dev/urandom of=a/b/data bs=1M count=5 conv=fsync 2>/dev/null && sha256sum a/b/data");
    drop(mount);
    world.delete(&format!("{VOLUMES}/gone"));
    world.wait_gone(&format!("{VOLUMES}/gone"), SOON * 3);
    assert!(
        !world
            .gluster("node1", &["volume", "list"])
            .lines()
            .any(|line| line == "shop_gone")
    );
    let mut manifests = Vec::new();
    for host in POOL {
        let list = world.on_device(host, "shop_gone");
        assert!(
            list.len() == 2
                && list.iter().all(|name| name.starts_with(".trash/"))
                && list[1] == format!("{}.json", list[0]),
            "{host}: {list:?}"
        );
        manifests.push(
            std::fs::read_to_string(world.path(host, &format!("{DEVICE}/{}", list[1]))).unwrap(),
        );
    }
    assert!(manifests.iter().all(|one| *one == manifests[0]));
    let manifest: Value = serde_json::from_str(&manifests[0]).unwrap();
    say(&format!("       {}", text(&manifest["restore"])));

    // by hand, with nothing but the manifest, as docs/deletion-and-trash.md says it
    for moved in manifest["trash"].as_array().unwrap() {
        let (from, to) = (text(&moved["from"]), text(&moved["to"]));
        world
            .hosts
            .run(text(&moved["host"]), &["mv", "-T", from, to]);
    }
    let bricks: Vec<&str> = manifest["bricks"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    let (name, copies) = (text(&manifest["volume"]), manifest["replica"].to_string());
    let mut create = vec!["volume", "create", name, "replica", &copies];
    create.extend(&bricks);
    create.push("force");
    world.gluster("node1", &create);
    for (key, value) in manifest["options"].as_object().unwrap() {
        if !key.starts_with("features.") {
            world.gluster("node1", &["volume", "set", name, key, text(value)]);
        }
    }
    world.gluster("node1", &["volume", "start", name]);
    let mount = Mount::of(world, "shop_gone");
    assert_eq!(mount.sh("sha256sum a/b/data"), sum, "the data is back");
    drop(mount);
    for moved in manifest["trash"].as_array().unwrap() {
        let file = format!("{}.json", text(&moved["from"]));
        world.hosts.run(text(&moved["host"]), &["rm", &file]);
    }
    // and an object of that name gets it back, quota and all
    world.ready_volume("gone", &json!({"capacity": "64Mi"}));
    assert_eq!(limit(world, "shop_gone"), "64.0MB");
}

fn cluster_goes(world: &World) {
    let spec = world.cluster_spec(&["node4", "node5"]);
    world.post(CLUSTERS, &json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "metadata": {"name": "leaving"}, "spec": spec}));
    for (name, policy) in [("last", "Retain"), ("late", "Delete")] {
        let mut wanted = super::support::operator_lab::volume(
            name,
            &json!({"layout": {"distribute": 1}, "deletionPolicy": policy}),
        );
        wanted["spec"]["clusterName"] = json!("leaving");
        world.post(VOLUMES, &wanted);
        ready(world, name);
    }
    world.delete(&format!("{CLUSTERS}/leaving"));
    world.wait_cluster("leaving", SOON, "waits for its volumes", |object| {
        is_false(
            object,
            "InSync",
            "DeletionBlocked",
            &["2 GlusterVolumes", "shop/last", "shop/late"],
        )
    });
    world.wait_event("leaving", &["DeletionBlocked", "shop/last"]);
    for host in ["node4", "node5"] {
        assert!(world.path(host, OWNER_FILE).exists());
    }
    for name in ["last", "late"] {
        world.delete(&format!("{VOLUMES}/{name}"));
        world.wait_gone(&format!("{VOLUMES}/{name}"), SOON);
    }
    world.wait_gone(&format!("{CLUSTERS}/leaving"), SOON);
    for host in ["node4", "node5"] {
        assert!(!world.path(host, OWNER_FILE).exists(), "{host}");
        let list = world.gluster(host, &["volume", "list"]);
        assert_eq!(
            list.trim(),
            "shop_last",
            "{host}: retained, and the other deleted"
        );
        assert_eq!(
            world
                .gluster(host, &["pool", "list"])
                .matches("Connected")
                .count(),
            2,
            "nothing is detached"
        );
    }

    // an object whose cluster is gone for good: made while it was there, and kept from being reconciled by its absence
    let mut orphan =
        super::support::operator_lab::volume("orphan", &json!({"layout": {"distribute": 1}}));
    orphan["spec"]["clusterName"] = json!("leaving");
    world.post(VOLUMES, &orphan);
    world.wait_volume("orphan", SOON, "has no cluster", |object| {
        is_false(object, "Ready", "ClusterNotFound", &["leaving"])
    });
    world.delete(&format!("{VOLUMES}/orphan"));
    world.wait_gone(&format!("{VOLUMES}/orphan"), SOON);
    orphan["spec"]["deletionPolicy"] = json!("Delete");
    world.post(VOLUMES, &orphan);
    world.wait_volume("orphan", SOON, "has no cluster", |object| {
        is_false(object, "Ready", "ClusterNotFound", &["leaving"])
    });
    world.delete(&format!("{VOLUMES}/orphan"));
    world.wait_volume("orphan", SOON, "waits", |object| {
        is_false(
            object,
            "Progressing",
            "DeletionBlocked",
            &["spec.deletionPolicy to Retain"],
        )
    });
    edit(world, "orphan", &json!({"deletionPolicy": "Retain"}));
    world.wait_gone(&format!("{VOLUMES}/orphan"), SOON);
    world.gluster("node4", &["volume", "stop", "shop_last"]);
    world.gluster("node4", &["volume", "delete", "shop_last"]);
    world.gluster("node4", &["peer", "detach", "node5"]);
}
