//! A one-writer volume changes hands between two nodes that no kubelet runs on: what Kubernetes says of pods and nodes is
//! written by the test, what follows is real: `auth.allow`, the order of the commands, mounts that die, and the data.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::operator_lab::{
    History, POOL, VOLUMES, World, as_declared, condition, is_false, say,
};

const SOON: Duration = Duration::from_secs(45);
const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const CLAIMS: &str = "/api/v1/namespaces/shop/persistentvolumeclaims";
/// What `auth.allow` says when nobody is let in: an address that no client has.
const NOBODY: &str = "0.0.0.0";
/// Long enough for two looks at a volume that waits for a fence.
const TWO_LOOKS: Duration = Duration::from_secs(5);

pub fn changes_hands(world: &World) {
    let (one, two) = (
        world.hosts.address("client1"),
        world.hosts.address("client2"),
    );
    // two bricks of it on each host: what gluster says of its clients counts those twice
    let layout = json!({"replicate": {"copies": 3}, "distribute": 2});
    let single = OneWriter::new(
        world,
        "single",
        &json!({"layout": layout, "capacity": "64Mi"}),
    );
    assert_eq!(single.allowed(), NOBODY, "no pod wants it yet");
    assert!(!single.mounts("client1"), "nobody is let in");

    // the first pod
    node(world, "kube-one", &one);
    node(world, "kube-two", &two);
    single.pod("first", "kube-one");
    single.attached("kube-one");
    assert_eq!(single.allowed(), one);
    single.told("Admitted", "kube-one");
    assert!(single.mounts("client1"));
    assert!(!single.mounts("client2"), "one node at a time");
    let data = random();
    std::fs::write(world.hosts.dir().join("single-data"), data).unwrap();
    let copy = world.hosts.dir().join("single-data").display().to_string();
    single.on_mount("client1", &format!("cp {copy} data && sync data"));
    let writer = Writer::start(&single, "client1");
    let histories = POOL.map(|host| world.history(host));

    // a node that is silent, with a pod that nobody deletes: a kubelet may be dead, and the database alive
    is_ready(world, "kube-one", false);
    single.pod("second", "kube-two");
    single.waits(&["kube-two waits", "shop/first", "on node kube-one has it"]);
    single.stays(&one, "kube-one");
    // one that is being deleted on a node that is ready may write to its end
    is_ready(world, "kube-one", true);
    world.delete(&format!("{PODS}/first"));
    single.waits(&["kube-two waits", "shop/first", "may still write"]);
    is_ready(world, "kube-one", true);
    single.stays(&one, "kube-one");
    assert_eq!(single.fences(&histories), Vec::<String>::new());

    // both: it will not come back to it
    let begin = Instant::now();
    is_ready(world, "kube-one", false);
    single.attached("kube-two");
    say(&format!(
        "       from NotReady to the new node: {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    assert_eq!(single.allowed(), two);
    single.told("Fenced", "kube-one");
    single.told("Admitted", "kube-two");
    assert_eq!(single.fences(&histories), [NOBODY, &two]);
    let rows = writer.fails();
    let late = "stat -f -c %T /mnt/single | grep -q fuse && echo late > /mnt/single/late";
    let late = world.hosts.sh("client1", &["sh", "-c", late]);
    assert!(!late.status.success(), "{late:?}");
    assert!(single.mounts("client2"));
    let equal = format!("cmp {copy} data");
    single.on_mount("client2", &equal);
    // all that was acknowledged is there, and of what was not at most one row more
    let found = single.on_mount("client2", "cat rows");
    assert!(
        found == rows || found == format!("{rows}{}\n", rows.lines().count() + 1),
        "acknowledged:\n{rows}\nfound:\n{found}"
    );
    single.on_mount("client2", "echo second >> rows && sync rows");

    // and back, by the administrator's word about a node that says it is well
    force(world, "first");
    is_ready(world, "kube-two", true);
    single.pod("third", "kube-one");
    world.delete(&format!("{PODS}/second"));
    single.waits(&["kube-one waits", "shop/second", "kube-two"]);
    let writer = Writer::start(&single, "client2");
    is_ready(world, "kube-two", true);
    let taint = json!([{"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}]);
    world.patch(
        &format!("{NODES}/kube-two"),
        &json!({"spec": {"taints": taint}}),
    );
    single.attached("kube-one");
    assert_eq!(single.fences(&histories), [NOBODY, &two, NOBODY, &one]);
    assert_eq!(single.allowed(), one);
    let more = writer.fails();
    assert!(single.mounts("client1"));
    single.on_mount("client1", &equal);
    let end = single.on_mount("client1", "cat rows");
    assert!(
        end.starts_with(&format!("{found}second\n{more}")),
        "{found}second\n{more}\nis not the beginning of\n{end}"
    );

    for host in ["client1", "client2"] {
        single.unmount(host);
    }
    for name in ["second", "third"] {
        force(world, name);
    }
    for name in ["kube-one", "kube-two"] {
        world.delete(&format!("{NODES}/{name}"));
    }
    world.delete(&format!("{VOLUMES}/single"));
}

/// Where a storage host is a node, too, no `auth.allow` holds it: GlusterFS lets its own hosts in. So it has to say that nothing is mounted
/// there, or somebody that it is off.
pub fn leaves_a_storage_host(world: &World) {
    const STORE: &str = "node3";
    // Kubernetes knows the host by another address than the pool's
    let (store, other) = (
        format!("{}.93", world.names.net),
        world.hosts.address("client1"),
    );
    // bricks see it under the pool's, and so both are let in
    let both = format!("{},{store}", world.hosts.address(STORE));
    let add = format!("ip addr add {store}/24 dev eth0");
    world.hosts.shell(STORE, &add);
    let told = |object: &Value| {
        let mut nodes = object["status"]["nodes"].as_array().into_iter().flatten();
        let host = nodes.find(|node| node["name"] == STORE);
        let addresses = host.and_then(|host| host["addresses"].as_array());
        addresses.is_some_and(|all| all.iter().any(|one| *one == store))
    };
    // what rarely changes of a host is asked by a new controller, and later every five minutes
    world.restart_controller();
    world.wait_cluster("prod", SOON, "knows it", |object| {
        told(object) && as_declared(object)
    });
    // what a client waits for a silent brick, instead of gluster's 42 s
    let fields = json!({"capacity": "64Mi", "options": {"network.ping-timeout": "10"}});
    let hosted = OneWriter::new(world, "hosted", &fields);
    node(world, "kube-store", &store);
    node(world, "kube-other", &other);
    hosted.pod("here", "kube-store");
    hosted.attached("kube-store");
    assert!(hosted.mounts(STORE));
    hosted.on_mount(STORE, "echo written here > rows && sync rows");
    let histories = POOL.map(|host| world.history(host));

    // its pod is deleted and the node is not ready, which is enough of any other node; but what wrote there may still write
    let leave = |pod: &str, from: &str, next: &str, to: &str| {
        hosted.pod(next, to);
        world.delete(&format!("{PODS}/{pod}"));
        is_ready(world, from, false);
    };
    leave("here", "kube-store", "there", "kube-other");
    let mounted = "which has it mounted at /mnt/hosted";
    let words = ["kube-other waits", "storage host node3", mounted];
    hosted.waits(&words);
    hosted.stays(&both, "kube-store");
    assert_eq!(hosted.fences(&histories), Vec::<String>::new());
    hosted.on_mount(STORE, "echo still written here >> rows && sync rows");
    assert!(!hosted.mounts("client1"), "one node at a time");
    hosted.unmount(STORE);
    hosted.attached("kube-other");
    assert_eq!(hosted.fences(&histories), [NOBODY, &other]);
    assert!(hosted.mounts("client1"));
    let rows = "written here\nstill written here\n";
    assert_eq!(hosted.on_mount("client1", "cat rows"), rows);
    force(world, "here");
    is_ready(world, "kube-store", true);

    // and back, to a host that dies with it: nobody can ask it, until somebody says that it is off
    leave("there", "kube-other", "again", "kube-store");
    hosted.attached("kube-store");
    assert_eq!(hosted.fences(&histories), [NOBODY, &other, NOBODY, &both]);
    hosted.unmount("client1");
    force(world, "there");
    is_ready(world, "kube-other", true);
    assert!(hosted.mounts(STORE));
    hosted.on_mount(STORE, "echo and once more >> rows && sync rows");
    world.lab(&["kill", STORE]);
    world.wait_cluster("prod", SOON, "misses it", |object| {
        is_false(object, "PeersConnected", "HostUnreachable", &[STORE])
    });
    // one that has never heard of it knows its addresses all the same
    world.restart_controller();
    leave("again", "kube-store", "last", "kube-other");
    let silent = "does not say whether it has it mounted";
    let remedy = "node.kubernetes.io/out-of-service";
    hosted.waits(&["kube-other waits", "storage host node3", silent, remedy]);
    hosted.stays(&both, "kube-store");
    let taint = json!([{"key": remedy, "value": "nodeshutdown", "effect": "NoExecute"}]);
    let begin = Instant::now();
    world.patch(
        &format!("{NODES}/kube-store"),
        &json!({"spec": {"taints": taint}}),
    );
    world.wait_volume("hosted", SOON, "is at kube-other", |object| {
        object["status"]["attachedNode"] == "kube-other"
    });
    say(&format!(
        "       from the taint to the new node: {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    assert_eq!(hosted.allowed(), other);
    assert!(hosted.mounts("client1"));
    let rows = format!("{rows}and once more\n");
    assert_eq!(hosted.on_mount("client1", "cat rows"), rows);

    hosted.unmount("client1");
    for name in ["again", "last"] {
        force(world, name);
    }
    for name in ["kube-store", "kube-other"] {
        world.delete(&format!("{NODES}/{name}"));
    }
    world.lab(&["start", STORE]);
    world.wait_volume("hosted", SOON, "is as declared", |object| {
        as_declared(object) && condition(object, "Healthy").0 == "True"
    });
    world.delete(&format!("{VOLUMES}/hosted"));
}

/// Three million bytes that do not repeat.
fn random() -> Vec<u8> {
    let mut bytes = vec![0; 3_000_000];
    let mut source = std::fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut source, &mut bytes).unwrap();
    bytes
}

// ---- what Kubernetes says

fn node(world: &World, name: &str, address: &str) {
    world.post(
        NODES,
        &json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "status": {"addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]},
        }),
    );
    is_ready(world, name, true);
}

/// What its kubelet would say. Without one the controller of nodes takes a Ready back after some seconds.
fn is_ready(world: &World, name: &str, ready: bool) {
    let status = if ready { "True" } else { "False" };
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let condition = json!({
        "type": "Ready", "status": status, "reason": "Test", "message": "",
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    });
    world.patch(
        &format!("{NODES}/{name}/status"),
        &json!({"status": {"conditions": [condition]}}),
    );
}

/// As `kubectl delete --force` does; a pod that is gone already is gone.
fn force(world: &World, name: &str) {
    let now = json!({"gracePeriodSeconds": 0}).to_string();
    let gone = world.request(
        "DELETE",
        &format!("{PODS}/{name}"),
        "application/json",
        &now,
    );
    assert!(
        gone.as_ref()
            .err()
            .is_none_or(|refusal| refusal.code == 404),
        "{gone:?}"
    );
}

// ---- a volume, what the operator says of it and does, and what nodes can do with it

struct OneWriter<'a> {
    world: &'a World,
    name: &'a str,
}

impl<'a> OneWriter<'a> {
    /// Makes it with these fields, and a claim of which the name ends with `-data`.
    fn new(world: &'a World, name: &'a str, fields: &Value) -> Self {
        let mut fields = fields.clone();
        let claim = format!("{name}-data");
        fields["claim"] = json!({"name": claim, "accessModes": ["ReadWriteOnce"]});
        world.ready_volume(name, &fields);
        world.wait(&format!("{CLAIMS}/{claim}"), SOON, "is bound", |claim| {
            claim["status"]["phase"] == "Bound"
        });
        Self { world, name }
    }

    fn pod(&self, name: &str, node: &str) {
        let claim = format!("{}-data", self.name);
        self.world.post(
            PODS,
            &json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                "spec": {
                    "nodeName": node,
                    // or it would be deleted with the node's silence: that is for this test to say
                    "tolerations": [{"operator": "Exists"}],
                    "terminationGracePeriodSeconds": 600,
                    "containers": [{"name": "c", "image": "none"}],
                    "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
                },
            }),
        );
    }

    /// What `auth.allow` says.
    fn allowed(&self) -> String {
        let volume = format!("shop_{}", self.name);
        let info = self.world.gluster("node1", &["volume", "info", &volume]);
        let value = info
            .lines()
            .find_map(|line| line.strip_prefix("auth.allow: "));
        value.unwrap_or("*").trim().to_owned()
    }

    fn attached(&self, node: &str) {
        let what = format!("is at {node}");
        self.world.wait_volume(self.name, SOON, &what, |object| {
            object["status"]["attachedNode"] == node && as_declared(object)
        });
    }

    fn waits(&self, words: &[&str]) {
        let world = self.world;
        let object = world.wait_volume(self.name, SOON, "waits for the fence", |object| {
            is_false(object, "Progressing", "WaitingForFence", words)
        });
        say(&format!("       {}", condition(&object, "Progressing").2));
    }

    /// Nothing changes hands, however often it is looked at.
    fn stays(&self, address: &str, node: &str) {
        let begin = Instant::now();
        while begin.elapsed() < TWO_LOOKS {
            assert_eq!(self.allowed(), address);
            std::thread::sleep(Duration::from_millis(300));
        }
        let object = self.world.get(&format!("{VOLUMES}/{}", self.name)).unwrap();
        assert_eq!(object["status"]["attachedNode"], node);
        assert_eq!(condition(&object, "Progressing").1, "WaitingForFence");
    }

    fn told(&self, reason: &str, node: &str) {
        let begin = Instant::now();
        let words = format!("Normal {reason} node {node} is ");
        loop {
            let events = self.world.events(self.name);
            if events.iter().any(|event| event.starts_with(&words)) {
                return;
            }
            assert!(begin.elapsed() < SOON, "{words}: {events:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whom the commands let in, in the order in which they were given, on all hosts.
    fn fences(&self, histories: &[History; 3]) -> Vec<String> {
        let mut lines: Vec<String> = histories.iter().flat_map(History::writes).collect();
        lines.sort(); // each begins with its time
        let words = format!("volume set shop_{} auth.allow ", self.name);
        let values = lines.iter().filter_map(|line| line.split_once(&words));
        values
            .map(|(_, rest)| {
                assert!(rest.ends_with("SUCCESS"), "{rest}");
                rest.split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect()
    }

    fn unmount(&self, host: &str) {
        let place = format!("/mnt/{}", self.name);
        self.world.hosts.sh(host, &["umount", "-l", &place]);
    }

    /// Mounts the volume anew; whether that worked is seen by the mount alone, as `mount` says 0 now and then where nothing was mounted.
    fn mounts(&self, host: &str) -> bool {
        self.unmount(host);
        let name = self.name;
        let line = format!(
            "mkdir -p /mnt/{name} && timeout 20 mount -t glusterfs node1:/shop_{name} /mnt/{name}; stat -f -c %T /mnt/{name}"
        );
        let output = self.world.hosts.sh(host, &["sh", "-c", &line]);
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("fuse")
    }

    fn on_mount(&self, host: &str, line: &str) -> String {
        let name = self.name;
        let inside = format!("cd /mnt/{name} && stat -f -c %T . | grep -q fuse && {line}");
        self.world.hosts.shell(host, &inside)
    }
}

/// A program that adds one row after the other to the file `rows`, and says each that is safely there.
struct Writer(Child);

impl Writer {
    fn start(volume: &OneWriter<'_>, host: &str) -> Self {
        const LOOP: &str = "export LC_ALL=C && n=1 &&
            while echo $n | dd of=rows oflag=append conv=notrunc,fsync status=none; do echo $n; n=$((n+1)); sleep 0.1; done";
        let line = format!("cd /mnt/{} && {LOOP}", volume.name);
        let hosts = &volume.world.hosts;
        let child = hosts.start(host, &["sh", "-c", &line], Stdio::piped(), Stdio::piped());
        let rows = format!("/mnt/{}/rows", volume.name);
        let begin = Instant::now();
        while !hosts.sh(host, &["test", "-s", &rows]).status.success() {
            assert!(begin.elapsed() < SOON, "nothing is written on {host}");
        }
        Self(child)
    }

    /// Waits until it can't write any more, which has to be since its mount is cut off; gives the rows that it was sure of.
    fn fails(mut self) -> String {
        let begin = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            if begin.elapsed() > SOON {
                self.0.kill().unwrap();
                panic!("it still writes");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let output = self.0.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            words.contains("Transport endpoint is not connected"),
            "{words}"
        );
        let rows = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!rows.is_empty());
        say(&format!(
            "       the writer of before had {} rows, then: {}",
            rows.lines().count(),
            words.trim()
        ));
        rows
    }
}
