//! The SSH transport against a real sshd on the loopback, and the local one beside it.
//!
//! Needs root and Debian's openssh-server. Each test has an sshd of its own, with its own keys and port.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // it is all tests
mod commands;
mod faults;
mod sshd;
mod trust;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use gluster_operator::gluster::model::SilentKind;
use gluster_operator::gluster::operation::{Command, Operation};
use gluster_operator::gluster::outcome::Output;
use gluster_operator::host::{Credentials, Host, HostError, LocalHost, SshConfig, SshHost};
use tokio::sync::watch;

use sshd::{Kind, Sshd};

fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(ToString::to_string).collect(),
        stdin: None,
        deadline: Duration::from_secs(20),
    }
}

fn shell(script: &str) -> Command {
    command(&["sh", "-c", script])
}

fn within(command: Command, seconds: f32) -> Command {
    Command {
        deadline: Duration::from_secs_f32(seconds),
        ..command
    }
}

fn fed(command: Command, text: impl Into<String>) -> Command {
    Command {
        stdin: Some(text.into()),
        ..command
    }
}

fn config(sshd: &Sshd) -> SshConfig {
    SshConfig {
        name: "node1".parse().unwrap(),
        address: "127.0.0.1".into(),
        port: sshd.port,
        user: "root".into(),
        sudo: false,
    }
}

type Rotate = watch::Sender<Arc<Credentials>>;

/// A host that logs in with the sshd's own client key.
fn host(sshd: &Sshd) -> (SshHost, Rotate) {
    host_with(sshd, &sshd.client_key(Kind::Ed25519), &sshd.known_hosts())
}

fn host_with(sshd: &Sshd, key: &str, known_hosts: &str) -> (SshHost, Rotate) {
    let (sender, receiver) =
        watch::channel(Arc::new(Credentials::parse(key, known_hosts).unwrap()));
    (SshHost::new(config(sshd), receiver), sender)
}

async fn ok(host: &SshHost, command: Command) -> String {
    let argv = command.argv.clone();
    let output = host
        .run(command)
        .await
        .unwrap_or_else(|error| panic!("{argv:?}: {error}"));
    assert_eq!(output.exit, Some(0), "{argv:?}: {}", output.stderr);
    output.stdout
}

async fn refused(host: &SshHost) -> HostError {
    host.run(command(&["true"])).await.expect_err("refused")
}

/// Tries until it works, through the backoff.
async fn works_again(host: &SshHost) {
    let start = Instant::now();
    loop {
        match host.run(command(&["true"])).await {
            Ok(output) => return assert_eq!(output.exit, Some(0), "{}", output.stderr),
            Err(error) => assert!(start.elapsed().as_secs() < 15, "still {error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
