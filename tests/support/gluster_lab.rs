//! A real GlusterFS of several hosts for one test: `tests/lab/gluster-hosts.sh` with a name and a network of its
//! own, brought down when the value is dropped, and also when the test's process dies in any other way.
#![allow(dead_code, unused_imports)] // each test program uses a part of it
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // a test stops at the first surprise

#[path = "names.rs"] // also where a test program takes this file alone
mod names;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub use names::{LabNames, dismiss, prerequisites, skip};

/// What the lab needs besides root; Debian has them in glusterfs-server, glusterfs-client, xfsprogs,
/// openssh-server, openssh-client, iproute2, util-linux and coreutils.
const PROGRAMS: [&str; 15] = [
    "bash",
    "ip",
    "nsenter",
    "unshare",
    "setsid",
    "timeout",
    "losetup",
    "mkfs.xfs",
    "sshd",
    "ssh",
    "ssh-keygen",
    "glusterd",
    "gluster",
    "glusterfs",
    "mount.glusterfs",
];

/// A running lab. `node1`… are servers with glusterd, sshd and one XFS brick file system at
/// `/srv/bricks/d1`; `client1`… are hosts without glusterd.
pub struct GlusterLab {
    names: LabNames,
    dir: PathBuf,
    /// Waits until its standard input ends, which it does when we drop it or die; then takes the lab down.
    guardian: Child,
}

impl GlusterLab {
    /// What is missing on this machine to run a lab, in words; `None` when all is there.
    pub fn missing() -> Option<String> {
        names::missing(&PROGRAMS)
    }

    /// Like [`GlusterLab::up`]; without what a lab needs it prints `skipped: <what>` and gives `None`,
    /// or panics when `CI=true`.
    pub fn up_or_skip(servers: u8, clients: u8) -> Option<Self> {
        prerequisites(&PROGRAMS).then(|| Self::up(servers, clients))
    }

    /// Brings up a lab with `servers` hosts `node1`… and `clients` hosts `client1`…; panics with the script's words
    /// when that fails.
    pub fn up(servers: u8, clients: u8) -> Self {
        Self::up_as(&LabNames::unique("gluster"), servers, clients)
    }

    /// The same under names that a Kubernetes lab may have, too: then it is on the same network.
    pub fn up_as(names: &LabNames, servers: u8, clients: u8) -> Self {
        let lab = Self {
            names: names.clone(),
            dir: names.dir.join("gluster"),
            guardian: names.guardian("gluster-hosts.sh"),
        };
        let (servers, clients) = (servers.to_string(), clients.to_string());
        let output = lab.script(&["up", &servers, &clients]);
        assert!(
            output.status.success(),
            "the lab does not come up: {}",
            said(&output)
        );
        lab
    }

    /// Runs the lab's script with these arguments (`kill`, `start`, `partition`, `service` …); at most 3 minutes.
    pub fn script(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("timeout starts")
    }

    /// Runs a command inside a host, with a clean environment; at most 3 minutes.
    pub fn sh(&self, host: &str, command: &[&str]) -> Output {
        let mut args = vec!["sh", host];
        args.extend_from_slice(command);
        self.script(&args)
    }

    /// Like [`GlusterLab::sh`]; gives what the command printed, or panics with its words when it fails.
    pub fn run(&self, host: &str, command: &[&str]) -> String {
        let output = self.sh(host, command);
        assert!(
            output.status.success(),
            "{command:?} on {host}: {}",
            said(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs one line of shell inside a host; gives what it printed, or panics with its words when it fails.
    pub fn shell(&self, host: &str, line: &str) -> String {
        self.run(host, &["sh", "-c", line])
    }

    /// The script as a command that still can be changed, for a program that is to run longer: see `start`.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", "180", "bash"])
            .arg(names::path_of("gluster-hosts.sh"))
            .args(args);
        command.envs(self.names.settings());
        command.stdin(Stdio::null());
        command
    }

    /// Starts a program inside a host and lets it run. It ends with the lab at the latest; its process here is the
    /// script's, so end the program itself from inside the host.
    pub fn start(&self, host: &str, program: &[&str], stdout: Stdio, stderr: Stdio) -> Child {
        let mut command = self.names.script("gluster-hosts.sh");
        command.args(["sh", host]).args(program);
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("bash starts")
    }

    /// Makes the first `servers` hosts one trusted pool, seen from node1.
    pub fn pool(&self, servers: u8) {
        for other in 2..=servers {
            self.run(
                "node1",
                &[
                    "gluster",
                    "--mode=script",
                    "peer",
                    "probe",
                    &format!("node{other}"),
                ],
            );
        }
        for _ in 0..100 {
            let list = self.run("node1", &["gluster", "pool", "list"]);
            if list.matches("Connected").count() == usize::from(servers) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!(
            "the pool does not connect: {}",
            self.run("node1", &["gluster", "pool", "list"])
        );
    }

    /// The IPv4 address of a host.
    pub fn address(&self, host: &str) -> String {
        let number = |text: &str| text.parse::<u32>().expect("a host is node<n> or client<n>");
        let last = match (host.strip_prefix("node"), host.strip_prefix("client")) {
            (Some(n), _) => 10 + number(n),
            (_, Some(n)) => 200 + number(n),
            _ => panic!("{host} is no host of a lab"),
        };
        format!("{}.{last}", self.names.net)
    }

    /// The directory with the lab's state. All hosts and the machine itself see it: files and sockets that
    /// they share can go into a directory of yours in it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The private key that every host lets in as root, over ssh.
    pub fn ssh_key(&self) -> PathBuf {
        self.dir.join("id")
    }

    /// The names of this lab, for a Kubernetes lab on the same network.
    pub fn names(&self) -> &LabNames {
        &self.names
    }

    /// `GLH_PREFIX`, for scripts that work on the same lab.
    pub fn prefix(&self) -> &str {
        &self.names.prefix
    }

    /// `GLH_NET`, the first three numbers of every address.
    pub fn net(&self) -> &str {
        &self.names.net
    }

    /// The end of each host's logs: what one wants to see when a test failed.
    fn logs(&self) -> String {
        let mut text = String::new();
        let Ok(list) = std::fs::read_to_string(self.dir.join("list")) else {
            return text;
        };
        for host in list.lines() {
            let base = self.dir.join(host);
            let logs = std::fs::read_dir(base.join("log"))
                .into_iter()
                .flatten()
                .flatten();
            let logs = logs.map(|entry| entry.path()).filter(|path| path.is_file());
            for path in std::iter::once(base.join("console.log")).chain(logs) {
                let bytes = std::fs::read(&path).unwrap_or_default();
                let content = String::from_utf8_lossy(&bytes);
                let lines: Vec<&str> = content.lines().collect();
                let _ = writeln!(text, "--- {}", path.display());
                for line in &lines[lines.len().saturating_sub(8)..] {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        text
    }
}

impl Drop for GlusterLab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        dismiss(&mut self.guardian, &self.names);
    }
}

/// Exit status and both outputs of a command, for a panic.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    format!(
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}
