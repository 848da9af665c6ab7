//! A one-writer volume changes hands between two nodes that no kubelet runs on: what Kubernetes says of pods and nodes is
//! written by the test, what follows is real: `auth.allow`, the order of the commands, mounts that die, and the data.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::operator_lab::{
    History, POOL, VOLUMES, World, as_declared, condition, is_false, say,
};

const SOON: Duration = Duration::from_secs(45);
const VOLUME: &str = "shop_single";
const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const CLAIM: &str = "/api/v1/namespaces/shop/persistentvolumeclaims/single-data";
/// What `auth.allow` says when nobody is let in: an address that no client has.
const NOBODY: &str = "0.0.0.0";
/// Long enough for two looks at a volume that waits for a fence.
const TWO_LOOKS: Duration = Duration::from_secs(5);

pub fn changes_hands(world: &World) {
    let (one, two) = (
        world.hosts.address("client1"),
        world.hosts.address("client2"),
    );
    let claim = json!({"name": "single-data", "accessModes": ["ReadWriteOnce"]});
    world.ready_volume("single", &json!({"capacity": "64Mi", "claim": claim}));
    world.wait(CLAIM, SOON, "is bound", |claim| {
        claim["status"]["phase"] == "Bound"
    });
    assert_eq!(allowed(world), NOBODY, "no pod wants it yet");
    assert!(!mounts(world, "client1"), "nobody is let in");

    // the first pod
    node(world, "kube-one", &one);
    node(world, "kube-two", &two);
    pod(world, "first", "kube-one");
    attached(world, "kube-one");
    assert_eq!(allowed(world), one);
    told(world, "Admitted", "kube-one");
    assert!(mounts(world, "client1"));
    assert!(!mounts(world, "client2"), "one node at a time");
    let data = random();
    std::fs::write(world.hosts.dir().join("single-data"), data).unwrap();
    let copy = world.hosts.dir().join("single-data").display().to_string();
    on_mount(world, "client1", &format!("cp {copy} data && sync data"));
    let writer = Writer::start(world, "client1");
    let histories = POOL.map(|host| world.history(host));

    // a node that is silent, with a pod that nobody deletes: a kubelet may be dead, and the database alive
    is_ready(world, "kube-one", false);
    pod(world, "second", "kube-two");
    waits(
        world,
        &["kube-two waits", "shop/first", "on node kube-one has it"],
    );
    stays(world, &one, "kube-one");
    // one that is being deleted on a node that is ready may write to its end
    is_ready(world, "kube-one", true);
    world.delete(&format!("{PODS}/first"));
    waits(world, &["kube-two waits", "shop/first", "may still write"]);
    is_ready(world, "kube-one", true);
    stays(world, &one, "kube-one");
    assert_eq!(fences(&histories), Vec::<String>::new());

    // both: it will not come back to it
    let begin = Instant::now();
    is_ready(world, "kube-one", false);
    attached(world, "kube-two");
    say(&format!(
        "       from NotReady to the new node: {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    assert_eq!(allowed(world), two);
    told(world, "Fenced", "kube-one");
    told(world, "Admitted", "kube-two");
    assert_eq!(fences(&histories), [NOBODY, &two]);
    let rows = writer.fails();
    let late = "stat -f -c %T /mnt/single | grep -q fuse && echo late > /mnt/single/late";
    let late = world.hosts.sh("client1", &["sh", "-c", late]);
    assert!(!late.status.success(), "{late:?}");
    assert!(mounts(world, "client2"));
    let equal = format!("cmp {copy} data");
    on_mount(world, "client2", &equal);
    // all that was acknowledged is there, and of what was not at most one row more
    let found = on_mount(world, "client2", "cat rows");
    assert!(
        found == rows || found == format!("{rows}{}\n", rows.lines().count() + 1),
        "acknowledged:\n{rows}\nfound:\n{found}"
    );
    on_mount(world, "client2", "echo second >> rows && sync rows");

    // and back, by the administrator's word about a node that says it is well
    force(world, "first");
    is_ready(world, "kube-two", true);
    pod(world, "third", "kube-one");
    world.delete(&format!("{PODS}/second"));
    waits(world, &["kube-one waits", "shop/second", "kube-two"]);
    let writer = Writer::start(world, "client2");
    is_ready(world, "kube-two", true);
    let taint = json!([{"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}]);
    world.patch(
        &format!("{NODES}/kube-two"),
        &json!({"spec": {"taints": taint}}),
    );
    attached(world, "kube-one");
    assert_eq!(fences(&histories), [NOBODY, &two, NOBODY, &one]);
    assert_eq!(allowed(world), one);
    let more = writer.fails();
    assert!(mounts(world, "client1"));
    on_mount(world, "client1", &equal);
    let end = on_mount(world, "client1", "cat rows");
    assert!(
        end.starts_with(&format!("{found}second\n{more}")),
        "{found}second\n{more}\nis not the beginning of\n{end}"
    );

    for host in ["client1", "client2"] {
        unmount(world, host);
    }
    for name in ["second", "third"] {
        force(world, name);
    }
    for name in ["kube-one", "kube-two"] {
        world.delete(&format!("{NODES}/{name}"));
    }
    world.delete(&format!("{VOLUMES}/single"));
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

fn pod(world: &World, name: &str, node: &str) {
    world.post(
        PODS,
        &json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {
                "nodeName": node,
                // or it would be deleted with the node's silence: that is for this test to say
                "tolerations": [{"operator": "Exists"}],
                "terminationGracePeriodSeconds": 600,
                "containers": [{"name": "c", "image": "none"}],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "single-data"}}],
            },
        }),
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

// ---- what the operator says and does

fn allowed(world: &World) -> String {
    let info = world.gluster("node1", &["volume", "info", VOLUME]);
    let value = info
        .lines()
        .find_map(|line| line.strip_prefix("auth.allow: "));
    value.unwrap_or("*").trim().to_owned()
}

fn attached(world: &World, node: &str) {
    world.wait_volume("single", SOON, &format!("is at {node}"), |object| {
        object["status"]["attachedNode"] == node && as_declared(object)
    });
}

fn waits(world: &World, words: &[&str]) {
    let object = world.wait_volume("single", SOON, "waits for the fence", |object| {
        is_false(object, "Progressing", "WaitingForFence", words)
    });
    say(&format!("       {}", condition(&object, "Progressing").2));
}

/// Nothing changes hands, however often it is looked at.
fn stays(world: &World, address: &str, node: &str) {
    let begin = Instant::now();
    while begin.elapsed() < TWO_LOOKS {
        assert_eq!(allowed(world), address);
        std::thread::sleep(Duration::from_millis(300));
    }
    let object = world.get(&format!("{VOLUMES}/single")).unwrap();
    assert_eq!(object["status"]["attachedNode"], node);
    assert_eq!(condition(&object, "Progressing").1, "WaitingForFence");
}

fn told(world: &World, reason: &str, node: &str) {
    let begin = Instant::now();
    let words = format!("Normal {reason} node {node} is ");
    while !world
        .events("single")
        .iter()
        .any(|event| event.starts_with(&words))
    {
        assert!(
            begin.elapsed() < SOON,
            "{words}: {:?}",
            world.events("single")
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whom the commands let in, in the order in which they were given, on all hosts.
fn fences(histories: &[History; 3]) -> Vec<String> {
    let mut lines: Vec<String> = histories.iter().flat_map(History::writes).collect();
    lines.sort(); // each begins with its time
    let words = format!("volume set {VOLUME} auth.allow ");
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

// ---- what the nodes can do

fn unmount(world: &World, host: &str) {
    world.hosts.sh(host, &["umount", "-l", "/mnt/single"]);
}

/// Mounts the volume anew; whether that worked is seen by the mount alone, as `mount` says 0 now and then where nothing was mounted.
fn mounts(world: &World, host: &str) -> bool {
    unmount(world, host);
    let line = format!(
        "mkdir -p /mnt/single && timeout 20 mount -t glusterfs node1:/{VOLUME} /mnt/single; stat -f -c %T /mnt/single"
    );
    let output = world.hosts.sh(host, &["sh", "-c", &line]);
    output.status.success() && String::from_utf8_lossy(&output.stdout).contains("fuse")
}

fn on_mount(world: &World, host: &str, line: &str) -> String {
    let inside = format!("cd /mnt/single && stat -f -c %T . | grep -q fuse && {line}");
    world.hosts.shell(host, &inside)
}

/// A program that adds one row after the other to the file `rows`, and says each that is safely there.
struct Writer(Child);

impl Writer {
    fn start(world: &World, host: &str) -> Self {
        const LOOP: &str = "cd /mnt/single && export LC_ALL=C && n=1 &&
            while echo $n | dd of=rows oflag=append conv=notrunc,fsync status=none; do echo $n; n=$((n+1)); sleep 0.1; done";
        let program = ["sh", "-c", LOOP];
        let child = world
            .hosts
            .start(host, &program, Stdio::piped(), Stdio::piped());
        let begin = Instant::now();
        while !world
            .hosts
            .sh(host, &["test", "-s", "/mnt/single/rows"])
            .status
            .success()
        {
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
