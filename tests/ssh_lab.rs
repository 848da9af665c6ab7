//! The SSH transport in a network of real hosts: what they answer to our operations, and what a cut cable, a
//! dead machine and a hung glusterd look like from here.
//!
//! Needs what the lab needs ([`GlusterLab::missing`]). The test starts itself once more inside a host of the lab
//! (`support/inside.rs`).

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // it is all tests

#[path = "support/gluster_lab.rs"]
mod gluster_lab;
#[path = "support/inside.rs"]
mod inside;

use std::time::{Duration, Instant};

use gluster_operator::gluster::model::SilentKind;
use gluster_operator::gluster::operation::{Command, Gluster, Operation};
use gluster_operator::gluster::outcome::Output;
use gluster_operator::gluster::output;
use gluster_operator::host::{Host, SshHost};

use gluster_lab::GlusterLab;
use inside::Inside;

const BRICK: &str = "/srv/bricks/d1/seen";

#[test]
fn hosts_of_a_lab() {
    let Some(lab) = GlusterLab::up_or_skip(2, 1) else {
        return;
    };
    lab.pool(2);
    lab.shell("node1", &format!(
        "gluster --mode=script volume create seen replica 2 node1:{BRICK} node2:{BRICK} >/dev/null \
         && gluster --mode=script volume set seen client.bind-insecure off >/dev/null \
         && gluster --mode=script volume start seen >/dev/null \
         && gluster --mode=script volume create other node1:{BRICK}2 >/dev/null && gluster --mode=script volume start other >/dev/null \
         && mkdir /mnt/hand /mnt/sub /mnt/hidden /mnt/other \
         && mount -t glusterfs node1:/seen /mnt/hand && mkdir /mnt/hand/dir && mount -t glusterfs node2:seen/dir /mnt/sub \
         && mount -t glusterfs node1:/other /mnt/other \
         && unshare --mount sh -c 'mount -t glusterfs node1:/seen /mnt/hidden && exec sleep 900 >/dev/null 2>&1 &' \
         && gluster --mode=script volume quota seen enable >/dev/null && gluster --mode=script volume quota seen limit-usage / 1GB >/dev/null"
    ));
    inside::play(&lab, &["node1", "node2"]);
}

struct Hosts {
    inside: Inside,
    node1: SshHost,
    node2: SshHost,
}

fn all_well(outputs: &[Output]) -> bool {
    !outputs.is_empty() && outputs.iter().all(|output| output.exit == Some(0))
}

async fn works_again(host: &SshHost) {
    let start = Instant::now();
    let state = Operation::Gluster(Gluster::Uuid);
    loop {
        let result = host.perform(&state).await;
        if result.as_ref().is_ok_and(|outputs| all_well(outputs)) {
            println!("{} is back after {:?}", host.name(), start.elapsed());
            return;
        }
        assert!(start.elapsed().as_secs() < 45, "still {result:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
#[ignore = "hosts_of_a_lab runs it inside a host"]
async fn inside() {
    let lab = Inside::new();
    let lab = Hosts {
        node1: lab.ssh("node1", &lab.address("node1")),
        // by a name that has to resolve
        node2: lab.ssh("node2", "node2"),
        inside: lab,
    };
    mounts(&lab).await;
    low_ports(&lab).await;
    operations(&lab).await;
    cut_cable(&lab).await;
    dead_machine(&lab).await;
    hung_glusterd(&lab).await;
}

/// What somebody has mounted on a host is told from what gluster itself runs there, self-heal and quota among them.
async fn mounts(lab: &Hosts) {
    let of = async |host: &SshHost, volume: &str| {
        let outputs = host.perform(&Operation::Mounts).await.unwrap();
        let found = output::mounts(&outputs, &volume.parse().unwrap());
        let mut found = found.unwrap_or_else(|error| panic!("{error}: {outputs:?}"));
        found.sort();
        found
    };
    let found = of(&lab.node1, "seen").await;
    assert_eq!(found[..1], ["/mnt/hand"], "{found:?}");
    // in a namespace of its own, as in a container
    assert!(found[1].starts_with("/mnt/hidden (process "), "{found:?}");
    assert_eq!(found[2..], ["/mnt/sub"], "{found:?}");
    assert_eq!(of(&lab.node1, "other").await, ["/mnt/other"]);
    for volume in ["seen", "other"] {
        assert!(of(&lab.node2, volume).await.is_empty());
    }
}

/// As many as another program tells of; daemons of started volumes come and go with theirs.
async fn low_ports(lab: &Hosts) {
    let told = async || {
        let outputs = lab.node1.perform(&Operation::LowPorts).await.unwrap();
        output::low_ports(&outputs).unwrap_or_else(|| panic!("{outputs:?}"))
    };
    let listed = async || {
        let list = lab.inside.sh("node1", "ss -Htan").await;
        let ports = list.lines().filter_map(|line| {
            let (_, port) = line.split_whitespace().nth(3)?.rsplit_once(':')?;
            port.parse::<u16>().ok().filter(|port| *port < 1024)
        });
        ports.collect::<std::collections::BTreeSet<_>>().len()
    };
    let begin = Instant::now();
    loop {
        let (before, count, after) = (listed().await, told().await, listed().await);
        println!("ports below 1024 of node1: {before}, {count}, {after}");
        if before == after {
            assert_eq!(count, before);
            assert!(count > 1, "sshd, and what connects to bricks");
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
}

async fn operations(lab: &Hosts) {
    let state = Operation::State {
        slot: "test".parse().unwrap(),
    };
    let device = "/srv/bricks/d1";
    let survey = Operation::Survey {
        devices: vec![device.parse().unwrap()],
    };
    for host in [&lab.node1, &lab.node2] {
        let outputs = host.perform(&Operation::Prerequisites).await.unwrap();
        assert!(all_well(&outputs), "{outputs:?}");
        let start = Instant::now();
        let outputs = host.perform(&state).await.unwrap();
        println!("state of {} in {:?}", host.name(), start.elapsed());
        assert!(all_well(&outputs), "{outputs:?}");
        assert!(
            outputs[1].stdout.contains("[Global]"),
            "{}",
            outputs[1].stdout
        );
        let outputs = host.perform(&survey).await.unwrap();
        assert_eq!(outputs.len(), survey.commands().len());
        assert_eq!(output::survey(&outputs, 1).unwrap().owner, None);
        let outputs = host.perform(&Operation::About).await.unwrap();
        let about = output::about(&outputs).unwrap();
        assert!(!about.addresses.is_empty(), "{about:?}");
    }
    let path = |end: &str| format!("{device}/{end}").parse().unwrap();
    let (parent, brick) = (path("v-0123abcd"), path("v-0123abcd/brick"));
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    let mark = format!("v1:a.b:{uuid}:shop/data:{uuid}");
    let make = Operation::MakeBrick {
        device: device.parse().unwrap(),
        parent,
        path: brick,
        mark: mark.parse().unwrap(),
    };
    assert!(all_well(&lab.node1.perform(&make).await.unwrap()));
    let inspect = Operation::InspectBricks(vec![path("v-0123abcd/brick"), path("none")]);
    let outputs = lab.node1.perform(&inspect).await.unwrap();
    let hex = hex::encode(&mark);
    assert!(outputs[0].stdout.contains(&hex), "{outputs:?}");

    // the owner file: the first one wins, unless somebody is told to take over
    let claim = |owner: &str, replace: Option<&str>| Operation::ClaimHost {
        owner: owner.parse().unwrap(),
        replace: replace.map(|replace| replace.parse().unwrap()),
    };
    for (operation, well, owner) in [
        (claim("one", None), true, "one"),
        (claim("two", None), false, "one"),
        (claim("two", Some("one")), true, "two"),
        // who was faster is not who was named
        (claim("three", Some("one")), false, "two"),
    ] {
        let outputs = lab.node2.perform(&operation).await.unwrap();
        assert_eq!(all_well(&outputs), well, "{outputs:?}");
        let outputs = lab.node2.perform(&survey).await.unwrap();
        let found = output::survey(&outputs, 1).unwrap().owner;
        assert_eq!(found.as_deref(), Some(owner));
    }
    let outputs = lab.node2.perform(&Operation::ReleaseHost).await.unwrap();
    assert!(all_well(&outputs), "{outputs:?}");
}

async fn cut_cable(lab: &Hosts) {
    let sleep = Command {
        argv: vec!["sleep".into(), "60".into()],
        stdin: None,
        deadline: Duration::from_secs(60),
    };
    let cut = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        lab.inside.script("partition node2").await;
        Instant::now()
    };
    let (output, cut) = tokio::join!(lab.node2.run(sleep), cut);
    let output = output.unwrap();
    println!("cut cable: {:?} after {:?}", output.stderr, cut.elapsed());
    assert_eq!(output.exit, None);
    assert!(cut.elapsed() < Duration::from_secs(18));
    let start = Instant::now();
    let error = lab
        .node2
        .perform(&Operation::Prerequisites)
        .await
        .unwrap_err();
    println!("{error} after {:?}", start.elapsed());
    assert_eq!(error.kind, SilentKind::Unreachable);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(all_well(
        &lab.node1.perform(&Operation::Prerequisites).await.unwrap()
    ));
    lab.inside.script("restore node2").await;
    works_again(&lab.node2).await;
}

async fn dead_machine(lab: &Hosts) {
    // the connection is idle, so nothing has told us when the command comes
    lab.inside.script("poweroff node2").await;
    let start = Instant::now();
    let error = lab
        .node2
        .perform(&Operation::Prerequisites)
        .await
        .unwrap_err();
    println!("dead machine: {error} after {:?}", start.elapsed());
    assert_eq!(error.kind, SilentKind::Unreachable);
    assert!(start.elapsed() < Duration::from_secs(18));
    lab.inside.script("start node2").await;
    works_again(&lab.node2).await;
}

async fn hung_glusterd(lab: &Hosts) {
    lab.inside.script("service node1 glusterd hang").await;
    let start = Instant::now();
    let outputs = lab
        .node1
        .perform(&Operation::Gluster(Gluster::Uuid))
        .await
        .unwrap();
    println!("hung glusterd: {outputs:?} after {:?}", start.elapsed());
    assert!(!all_well(&outputs));
    assert!(start.elapsed() < Duration::from_secs(16));
    lab.inside.script("service node1 glusterd resume").await;
    works_again(&lab.node1).await;
}
