//! A real GlusterFS of several hosts for one test: `tests/lab/gluster-hosts.sh` with a name and a network of its
//! own, brought down when the value is dropped, and also when the test's process dies in any other way.
#![allow(dead_code)] // each test program uses a part of it
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // a test stops at the first surprise

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

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
    script: PathBuf,
    dir: PathBuf,
    prefix: String,
    net: String,
    /// Waits until its standard input ends, which it does when we drop it or die; then takes the lab down.
    guardian: Child,
}

impl GlusterLab {
    /// What is missing on this machine to run a lab, in words; `None` when all is there.
    pub fn missing() -> Option<String> {
        let mut missing: Vec<String> = Vec::new();
        let root = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
            status
                .lines()
                .find_map(|line| line.strip_prefix("Uid:"))
                .is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0"))
        });
        if !root {
            missing.push("root".to_owned());
        }
        let path = std::env::var("PATH").unwrap_or_default();
        for program in PROGRAMS {
            let found = path
                .split(':')
                .chain(["/usr/sbin", "/sbin"])
                .any(|dir| Path::new(dir).join(program).exists());
            if !found {
                missing.push(format!("the program {program}"));
            }
        }
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    /// Like [`GlusterLab::up`]; without what a lab needs it prints `skipped: <what>` and gives `None`,
    /// or panics when `CI=true`.
    pub fn up_or_skip(servers: u8, clients: u8) -> Option<Self> {
        if let Some(missing) = Self::missing() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "CI lacks {missing}"
            );
            println!("skipped: a GlusterFS lab needs {missing}");
            return None;
        }
        Some(Self::up(servers, clients))
    }

    /// Brings up a lab with `servers` hosts `node1`… and `clients` hosts `client1`…; panics with the script's words
    /// when that fails.
    pub fn up(servers: u8, clients: u8) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // Interfaces are called `<prefix>-client1`, and such a name has at most 15 characters.
        let prefix = format!("g{}{}", base36(pid), base36(count % 36));
        // The machine joins the network of a lab with Kubernetes, so two labs differ in the second number, and the
        // third one stays below 64: from there on are that lab's services and pods.
        let net = format!("10.{}.{}", 128 + (pid + count) % 64, pid / 64 % 64);
        let dir = std::env::temp_dir().join(format!("gluster-lab-{prefix}"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/gluster-hosts.sh");
        let guardian = {
            let mut command = Command::new("bash");
            command
                .args(["-c", "read -r _; exec bash \"$0\" down"])
                .arg(&script);
            settings(&mut command, &dir, &prefix, &net);
            // A group of its own: the interrupt key of a terminal must not end it.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.spawn().expect("bash starts")
        };
        let lab = Self {
            script,
            dir,
            prefix,
            net,
            guardian,
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
            .arg(&self.script)
            .args(args);
        settings(&mut command, &self.dir, &self.prefix, &self.net);
        command.stdin(Stdio::null());
        command
    }

    /// Starts a program inside a host and lets it run. It ends with the lab at the latest; its process here is the
    /// script's, so end the program itself from inside the host.
    pub fn start(&self, host: &str, program: &[&str], stdout: Stdio, stderr: Stdio) -> Child {
        let mut command = Command::new("bash");
        command.arg(&self.script).args(["sh", host]).args(program);
        settings(&mut command, &self.dir, &self.prefix, &self.net);
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
        format!("{}.{last}", self.net)
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

    /// `GLH_PREFIX`, for scripts that work on the same lab.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `GLH_NET`, the first three numbers of every address.
    pub fn net(&self) -> &str {
        &self.net
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
        drop(self.guardian.stdin.take());
        if !self.guardian.wait().is_ok_and(|status| status.success()) {
            eprintln!("the lab {} may not be down", self.dir.display());
        }
    }
}

fn settings(command: &mut Command, dir: &Path, prefix: &str, net: &str) {
    command
        .env("GLH_DIR", dir)
        .env("GLH_PREFIX", prefix)
        .env("GLH_NET", net)
        .env("GLH_SIZE", "4G");
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

fn base36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(number % 36, 36).expect("a digit"));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}
