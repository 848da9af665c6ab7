//! A test that starts itself once more inside a host of a lab, since only hosts reach hosts as the operator does. What is to be
//! done to the lab meanwhile, it asks for by writing to a file: only out here is the lab's script.
#![allow(dead_code)] // each test program uses a part of it
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test stops at the first surprise

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gluster_operator::host::{Credentials, SshConfig, SshHost};
use tokio::sync::watch;

use super::gluster_lab::{GlusterLab, said};

/// The environment variable by which the inside finds the directory that both see.
const SHARED: &str = "GLUSTER_OPERATOR_INSIDE";

/// Runs the test `inside` of this program, which is marked as ignored, in `client1`; panics with its words when it fails.
pub fn play(lab: &GlusterLab, hosts: &[&str]) {
    let shared = lab.dir().join("shared");
    fs::create_dir(&shared).unwrap();
    let known = hosts.iter().map(|host| {
        let file = lab.dir().join(host).join("ssh/ssh_host_ed25519_key.pub");
        let key = fs::read_to_string(file).unwrap();
        format!("{host},{} {key}", lab.address(host))
    });
    fs::write(shared.join("known_hosts"), known.collect::<String>()).unwrap();
    fs::copy(lab.ssh_key(), shared.join("key")).unwrap();
    fs::write(shared.join("net"), lab.net()).unwrap();
    let program = std::env::current_exe().unwrap();
    let command = [
        "env",
        &format!("{SHARED}={}", shared.display()),
        program.to_str().unwrap(),
        "--exact",
        "inside",
        "--ignored",
        "--nocapture",
    ];
    let output = std::thread::scope(|scope| {
        let inside = scope.spawn(|| lab.sh("client1", &command));
        while !inside.is_finished() {
            serve(lab, &shared);
            std::thread::sleep(Duration::from_millis(20));
        }
        inside.join().unwrap()
    });
    let text = said(&output);
    println!("{text}");
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

/// Does what the inside asks for, if it does.
fn serve(lab: &GlusterLab, shared: &Path) {
    let wish = shared.join("wish");
    let Ok(text) = fs::read_to_string(&wish) else {
        return;
    };
    let (whom, line) = text.split_once(' ').unwrap();
    let output = if whom == "lab" {
        lab.script(&line.split(' ').collect::<Vec<_>>())
    } else {
        lab.sh(whom, &["sh", "-c", line])
    };
    fs::write(shared.join("answer"), said(&output)).unwrap();
    fs::remove_file(wish).unwrap();
}

/// What the inside has.
pub struct Inside {
    shared: PathBuf,
    net: String,
    credentials: watch::Receiver<Arc<Credentials>>,
    _sender: watch::Sender<Arc<Credentials>>,
}

impl Inside {
    pub fn new() -> Self {
        let shared = PathBuf::from(std::env::var(SHARED).unwrap());
        let read = |name: &str| fs::read_to_string(shared.join(name)).unwrap();
        let credentials = Credentials::parse(&read("key"), &read("known_hosts")).unwrap();
        let (sender, credentials) = watch::channel(Arc::new(credentials));
        Self {
            net: read("net"),
            shared,
            credentials,
            _sender: sender,
        }
    }

    /// The address of `node<n>`.
    pub fn address(&self, host: &str) -> String {
        let number: u32 = host.strip_prefix("node").unwrap().parse().unwrap();
        format!("{}.{}", self.net, 10 + number)
    }

    /// The way to a host, by its address or by a name that has to resolve.
    pub fn ssh(&self, host: &str, address: &str) -> SshHost {
        let config = SshConfig {
            name: host.parse().unwrap(),
            address: address.to_owned(),
            port: 22,
            user: "root".into(),
            sudo: false,
        };
        SshHost::new(config, self.credentials.clone())
    }

    /// What a person does on a host, as a line of shell; gives what was printed. Has to succeed.
    pub async fn sh(&self, host: &str, line: &str) -> String {
        self.done(&format!("{host} {line}")).await
    }

    /// A command of the lab's script, which has to succeed.
    pub async fn script(&self, line: &str) {
        self.done(&format!("lab {line}")).await;
    }

    async fn done(&self, what: &str) -> String {
        let draft = self.shared.join("draft");
        fs::write(&draft, what).unwrap();
        let wish = self.shared.join("wish");
        fs::rename(draft, &wish).unwrap();
        let start = Instant::now();
        while wish.exists() {
            assert!(start.elapsed().as_secs() < 60, "nobody does: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = fs::read_to_string(self.shared.join("answer")).unwrap();
        let rest = answer.strip_prefix("exit status: 0\n");
        rest.unwrap_or_else(|| panic!("{what}: {answer}"))
            .trim()
            .to_owned()
    }
}
