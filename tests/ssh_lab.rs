//! The SSH transport in a network of real hosts: what they answer to our operations, and what a cut cable, a
//! dead machine and a hung glusterd look like from here.
//!
//! Needs what the lab needs ([`GlusterLab::missing`]). The test starts itself once more inside a host of the lab, since
//! only hosts reach hosts; there it asks for faults by writing to a file.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // it is all tests

#[path = "support/gluster_lab.rs"]
mod gluster_lab;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gluster_operator::gluster::model::SilentKind;
use gluster_operator::gluster::operation::{Command, Gluster, Operation};
use gluster_operator::gluster::outcome::Output;
use gluster_operator::host::{Credentials, Host, SshConfig, SshHost};
use tokio::sync::watch;

use gluster_lab::{GlusterLab, said};

#[test]
fn hosts_of_a_lab() {
    let Some(lab) = GlusterLab::up_or_skip(2, 1) else {
        return;
    };
    lab.pool(2);
    let shared = lab.dir().join("shared");
    fs::create_dir(&shared).unwrap();
    let known = ["node1", "node2"].map(|node| {
        let file = lab.dir().join(node).join("ssh/ssh_host_ed25519_key.pub");
        let key = fs::read_to_string(file).unwrap();
        format!("{node},{} {key}", lab.address(node))
    });
    fs::write(shared.join("known_hosts"), known.concat()).unwrap();
    fs::copy(lab.ssh_key(), shared.join("key")).unwrap();
    fs::write(shared.join("address"), lab.address("node1")).unwrap();
    let program = std::env::current_exe().unwrap();
    let command = [
        "env",
        &format!("SSH_LAB={}", shared.display()),
        program.to_str().unwrap(),
        "--exact",
        "inside",
        "--ignored",
        "--nocapture",
    ];
    let output = std::thread::scope(|scope| {
        let inside = scope.spawn(|| lab.sh("client1", &command));
        while !inside.is_finished() {
            serve(&lab, &shared);
            std::thread::sleep(Duration::from_millis(20));
        }
        inside.join().unwrap()
    });
    let text = said(&output);
    println!("{text}");
    assert!(output.status.success() && text.contains("1 passed"));
}

/// Does to the lab what the inside asks for.
fn serve(lab: &GlusterLab, shared: &Path) {
    let wish = shared.join("wish");
    if let Ok(text) = fs::read_to_string(&wish) {
        let words: Vec<&str> = text.split(' ').collect();
        let output = lab.script(&words);
        assert!(output.status.success(), "{text}: {}", said(&output));
        fs::remove_file(wish).unwrap();
    }
}

struct Inside {
    shared: PathBuf,
    node1: SshHost,
    node2: SshHost,
}

impl Inside {
    fn new() -> Self {
        let shared = PathBuf::from(std::env::var("SSH_LAB").unwrap());
        let read = |name: &str| fs::read_to_string(shared.join(name)).unwrap();
        let credentials = Credentials::parse(&read("key"), &read("known_hosts")).unwrap();
        let (_, credentials) = watch::channel(Arc::new(credentials));
        let host = |name: &str, address: String| {
            let config = SshConfig {
                name: name.parse().unwrap(),
                address,
                port: 22,
                user: "root".into(),
                sudo: false,
            };
            SshHost::new(config, credentials.clone())
        };
        Self {
            node1: host("node1", read("address")),
            // by a name that has to resolve
            node2: host("node2", "node2".into()),
            shared,
        }
    }

    async fn wish(&self, what: &str) {
        let draft = self.shared.join("draft");
        fs::write(&draft, what).unwrap();
        let wish = self.shared.join("wish");
        fs::rename(draft, &wish).unwrap();
        let start = Instant::now();
        while wish.exists() {
            assert!(start.elapsed().as_secs() < 30, "nobody does {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
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
    operations(&lab).await;
    cut_cable(&lab).await;
    dead_machine(&lab).await;
    hung_glusterd(&lab).await;
}

async fn operations(lab: &Inside) {
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
        assert_eq!(outputs[0].exit, Some(1), "no owner yet");
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
        (claim("one", None), true, "one\n"),
        (claim("two", None), false, "one\n"),
        (claim("two", Some("one")), true, "two\n"),
        // who was faster is not who was named
        (claim("three", Some("one")), false, "two\n"),
    ] {
        let outputs = lab.node2.perform(&operation).await.unwrap();
        assert_eq!(all_well(&outputs), well, "{outputs:?}");
        let outputs = lab.node2.perform(&survey).await.unwrap();
        assert_eq!(outputs[0].stdout, owner);
    }
    let outputs = lab.node2.perform(&Operation::ReleaseHost).await.unwrap();
    assert!(all_well(&outputs), "{outputs:?}");
}

async fn cut_cable(lab: &Inside) {
    let sleep = Command {
        argv: vec!["sleep".into(), "60".into()],
        stdin: None,
        deadline: Duration::from_secs(60),
    };
    let cut = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        lab.wish("partition node2").await;
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
    lab.wish("restore node2").await;
    works_again(&lab.node2).await;
}

async fn dead_machine(lab: &Inside) {
    // the connection is idle, so nothing has told us when the command comes
    lab.wish("poweroff node2").await;
    let start = Instant::now();
    let error = lab
        .node2
        .perform(&Operation::Prerequisites)
        .await
        .unwrap_err();
    println!("dead machine: {error} after {:?}", start.elapsed());
    assert_eq!(error.kind, SilentKind::Unreachable);
    assert!(start.elapsed() < Duration::from_secs(18));
    lab.wish("start node2").await;
    works_again(&lab.node2).await;
}

async fn hung_glusterd(lab: &Inside) {
    lab.wish("service node1 glusterd hang").await;
    let start = Instant::now();
    let outputs = lab
        .node1
        .perform(&Operation::Gluster(Gluster::Uuid))
        .await
        .unwrap();
    println!("hung glusterd: {outputs:?} after {:?}", start.elapsed());
    assert!(!all_well(&outputs));
    assert!(start.elapsed() < Duration::from_secs(16));
    lab.wish("service node1 glusterd resume").await;
    works_again(&lab.node1).await;
}
