//! The main job, as README tells users to see it: `make demo` on names of its own, with real kubelets, the node plugin in a
//! container, and a MySQL server whose node is killed. KubeLab and GlusterLab are what its script brings up.

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output, Stdio};

use support::LabNames;
use support::gluster_lab::{prerequisites, said};

fn demo(names: &LabNames, word: &str) -> Output {
    let mut command = Command::new("bash");
    // what cargo tells a test of its package would have the demo's own cargo compile half of the dependencies again, as the build
    // script of one of them looks at it; and then the next test once more
    for (name, _) in std::env::vars_os() {
        let ours = |start: &&str| name.as_encoded_bytes().starts_with(start.as_bytes());
        if ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(ours) {
            command.env_remove(&name);
        }
    }
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/demo.sh"))
        .arg(word)
        .env("DEMO_PREFIX", &names.prefix)
        .env("DEMO_NET", &names.net)
        .env("DEMO_DIR", &names.dir)
        .stdin(Stdio::null())
        .output()
        .expect("bash starts")
}

/// The network namespaces of its hosts and nodes, by the numbers that processes in them show.
fn networks(names: &LabNames) -> BTreeSet<u64> {
    let prefix = format!("{}-", names.prefix);
    let all = std::fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten();
    all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .filter_map(|entry| Some(std::fs::metadata(entry.path()).ok()?.ino()))
        .collect()
}

/// Processes in one of these, with their command lines.
fn with_networks(networks: &BTreeSet<u64>) -> Vec<String> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let network = std::fs::metadata(entry.path().join("ns/net")).ok()?.ino();
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let shown = format!("{} {line}", entry.file_name().to_string_lossy());
        networks.contains(&network).then_some(shown)
    })
    .collect()
}

/// Its cgroups of each hierarchy: a kubelet's root is named after its node.
fn cgroups(names: &LabNames) -> Vec<String> {
    let prefix = format!("{}-", names.prefix);
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten();
    hierarchies
        .flat_map(|one| {
            std::fs::read_dir(one.path())
                .into_iter()
                .flatten()
                .flatten()
        })
        .filter(|group| group.file_name().to_string_lossy().starts_with(&prefix))
        .map(|group| group.path().display().to_string())
        .collect()
}

#[test]
fn a_database_outlives_its_pod_and_its_node_and_the_demo_leaves_nothing() {
    if !prerequisites(&[
        "bash",
        "glusterd",
        "containerd",
        "runc",
        "etcd",
        "mkfs.xfs",
        "sshd",
    ]) {
        return;
    }
    let names = LabNames::unique("demo");
    let mut guardians = ["kubernetes.sh", "gluster-hosts.sh"].map(|script| names.guardian(script));
    let up = demo(&names, "up");
    let text = String::from_utf8_lossy(&up.stdout).into_owned();
    assert!(up.status.success(), "{text}\n{}", said(&up));

    // "mydb and its row '…' were read on kube1, and after its death on kube2"
    let line = text
        .lines()
        .find(|line| line.contains("were read on "))
        .unwrap_or_else(|| panic!("no line tells where the row was read:\n{text}"));
    let (_, places) = line.split_once("were read on ").expect("found above");
    let (first, second) = places
        .split_once(", and after its death on ")
        .expect("both nodes are named");
    assert!(
        first.starts_with("kube") && second.starts_with("kube") && first != second,
        "{line}"
    );

    // the data is where it was declared to be: a copy on each host
    for host in ["node1", "node2", "node3"] {
        let found = names
            .script("gluster-hosts.sh")
            .args([
                "sh",
                host,
                "find",
                "/srv/bricks/d1",
                "-path",
                "*/brick/mydb/notes.ibd",
                "-size",
                "+0",
            ])
            .output()
            .expect("bash starts");
        let paths = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!(
            paths.lines().count(),
            1,
            "on {host}: {paths}{}",
            said(&found)
        );
    }
    let networks = networks(&names);
    assert!(
        !with_networks(&networks).is_empty() && !cgroups(&names).is_empty(),
        "it runs, so there is something to be seen"
    );
    let down = demo(&names, "down");
    assert!(down.status.success(), "demo-down: {}", said(&down));
    let left = Command::new("ip")
        .args(["netns", "list"])
        .output()
        .expect("ip starts");
    let left = String::from_utf8_lossy(&left.stdout).into_owned();
    let prefix = format!("{}-", names.prefix);
    assert!(
        !left.lines().any(|line| line.starts_with(&prefix)),
        "{left}"
    );
    let left = with_networks(&networks);
    assert!(left.is_empty(), "processes in its networks: {left:#?}");
    // a cgroup can't be removed while a process is in it: so this is about those in pods, too
    let left = cgroups(&names);
    assert!(left.is_empty(), "{left:#?}");
    for guardian in &mut guardians {
        support::gluster_lab::dismiss(guardian, &names);
    }
}
