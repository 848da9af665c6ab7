//! A real sshd on the loopback, with keys of its own in a temporary directory. Nothing of it survives the value.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// A type of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ed25519,
    Ecdsa,
    Rsa,
}

const KINDS: [Kind; 3] = [Kind::Ed25519, Kind::Ecdsa, Kind::Rsa];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Ed25519 => "ed25519",
            Kind::Ecdsa => "ecdsa",
            Kind::Rsa => "rsa",
        }
    }
}

/// For directories of their own.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The server. What it runs carries its directory in the environment, and is found by that.
pub struct Sshd {
    pub port: u16,
    pub dir: PathBuf,
    options: Vec<String>,
    listener: Option<Child>,
}

impl Sshd {
    /// Starts one that lets root in with each of its client keys; `None` where that is not possible.
    pub fn start(options: &[&str]) -> Option<Self> {
        let sshd = Path::new("/usr/sbin/sshd").exists();
        if !geteuid().is_root() || !sshd {
            let why = "needs root and Debian's openssh-server";
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            println!("skipped: {why}");
            return None;
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("sshd-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        for kind in KINDS {
            make_key(kind, &dir.join(format!("host_{}", kind.name())));
            make_key(kind, &dir.join(format!("client_{}", kind.name())));
        }
        make_key(Kind::Ed25519, &dir.join("foreign"));
        let sudo = dir.join("bin/sudo");
        fs::create_dir(dir.join("bin")).unwrap();
        let script = format!(
            "#!/bin/sh\n[ \"$1 $2\" = '-n --' ] || exit 99\nshift 2\necho >> {}/sudo-calls\nexec \"$@\"\n",
            dir.display()
        );
        fs::write(&sudo, script).unwrap();
        fs::set_permissions(&sudo, PermissionsExt::from_mode(0o755)).unwrap();
        let mut sshd = Self {
            port: 0,
            dir,
            options: options.iter().map(ToString::to_string).collect(),
            listener: None,
        };
        sshd.authorize(&KINDS);
        for _ in 0..5 {
            sshd.port = free_port();
            if sshd.listen() {
                return Some(sshd);
            }
        }
        panic!("sshd does not start:\n{}", sshd.log());
    }

    fn listen(&mut self) -> bool {
        let dir = self.dir.display();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-f", "/dev/null", "-E", &format!("{dir}/log")]);
        command.args(["-p", &self.port.to_string()]);
        let mut options = self.options.clone();
        options.extend(KINDS.map(|kind| format!("HostKey={dir}/host_{}", kind.name())));
        options.extend([
            format!("AuthorizedKeysFile={dir}/authorized_keys"),
            // a home without start-up files: they may be slow, and must not be killed in the middle
            format!("SetEnv=SSHD_LAB={dir} HOME={dir} PATH={dir}/bin:/usr/bin:/bin"),
        ]);
        options.extend(
            [
                "ListenAddress=127.0.0.1",
                "PidFile=none",
                "LogLevel=VERBOSE",
                "StrictModes=no",
                "UsePAM=no",
                "PermitRootLogin=yes",
                "PasswordAuthentication=no",
                "KbdInteractiveAuthentication=no",
                "UseDNS=no",
                "MaxStartups=100",
            ]
            .map(str::to_owned),
        );
        for option in options {
            command.args(["-o", &option]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                self.listener = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// Kills it, its sessions and what they run.
    pub fn stop(&mut self) {
        let Some(mut listener) = self.listener.take() else {
            return;
        };
        let sessions = children_of(listener.id());
        let _ = listener.kill();
        let _ = listener.wait();
        for pid in sessions.into_iter().chain(self.commands(None)) {
            signal(pid, Signal::KILL);
        }
    }

    /// Starts it again, at the same port.
    pub fn again(&mut self) {
        let start = Instant::now();
        while !self.listen() {
            assert!(start.elapsed().as_secs() < 10, "{}", self.log());
        }
    }

    /// Which client keys are let in.
    pub fn authorize(&self, kinds: &[Kind]) {
        let keys: String = kinds
            .iter()
            .map(|kind| self.read(&format!("client_{}.pub", kind.name())))
            .collect();
        fs::write(self.dir.join("authorized_keys"), keys).unwrap();
    }

    pub fn client_key(&self, kind: Kind) -> String {
        self.read(&format!("client_{}", kind.name()))
    }

    /// Type and key, as they stand in `known_hosts` behind the names.
    pub fn host_key(&self, kind: Kind) -> String {
        public(&self.read(&format!("host_{}.pub", kind.name())))
    }

    /// A key that is not the server's.
    pub fn foreign_host_key(&self) -> String {
        public(&self.read("foreign.pub"))
    }

    pub fn host_fingerprint(&self, kind: Kind) -> String {
        let text = ssh_keygen(&[
            "-lf",
            &format!("{}/host_{}", self.dir.display(), kind.name()),
        ]);
        text.split(' ').nth(1).unwrap().to_owned()
    }

    pub fn known_hosts(&self) -> String {
        format!(
            "[127.0.0.1]:{} {}\n",
            self.port,
            self.host_key(Kind::Ed25519)
        )
    }

    /// The line with its names hashed by ssh-keygen.
    pub fn hashed(&self, line: &str) -> String {
        let file = self.dir.join("known_hosts");
        fs::write(&file, format!("{line}\n")).unwrap();
        ssh_keygen(&["-q", "-H", "-f", file.to_str().unwrap()]);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("|1|"), "{text}");
        text
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// How often somebody logged in.
    pub fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// The type of key of the last login, as sshd's log calls it.
    pub fn last_login_key(&self) -> String {
        let log = self.log();
        let line = log
            .lines()
            .rfind(|line| line.contains("Accepted publickey"));
        let words: Vec<_> = line.unwrap().split(' ').collect();
        let at = words.iter().position(|word| *word == "ssh2:").unwrap();
        words[at + 1].to_owned()
    }

    pub fn sudo_calls(&self) -> usize {
        self.read("sudo-calls").lines().count()
    }

    /// How many connections are open.
    pub fn sessions(&self) -> usize {
        self.session_pids().len()
    }

    pub fn kill_sessions(&self) {
        for pid in self.session_pids() {
            signal(pid, Signal::KILL);
        }
    }

    /// Stops the processes that serve connections, so that nothing answers and nothing ends.
    pub fn freeze_sessions(&self) {
        for pid in self.session_pids() {
            signal(pid, Signal::STOP);
        }
    }

    pub async fn wait_for_sessions(&self, count: usize) {
        wait_until(|| self.sessions() == count, &format!("{count} connections")).await;
    }

    /// Waits until that many programs of that name run for us.
    pub async fn wait_for(&self, program: &str, count: usize) {
        let what = format!("{count} {program}");
        wait_until(|| self.commands(Some(program)).len() == count, &what).await;
    }

    fn session_pids(&self) -> Vec<u32> {
        let listener = self.listener.as_ref().map(Child::id);
        listener.map(children_of).unwrap_or_default()
    }

    /// Processes that were started over this server.
    fn commands(&self, program: Option<&str>) -> Vec<u32> {
        let mark = format!("SSHD_LAB={}", self.dir.display());
        let ours = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|item| item == mark.as_bytes())
                && program.is_none_or(|program| name.trim() == program)
        };
        pids().into_iter().filter(ours).collect()
    }

    /// A new pipe: who reads it waits until somebody writes.
    pub fn gate(&self) -> PathBuf {
        let path = self.dir.join("gate");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.is_ok_and(|status| status.success()));
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
        let start = Instant::now();
        let mut left = self.commands(None);
        while !left.is_empty() && start.elapsed() < Duration::from_secs(5) {
            for pid in &left {
                signal(*pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(20));
            left = self.commands(None);
        }
        if std::thread::panicking() {
            eprintln!("sshd's log:\n{}", self.log());
        } else {
            assert!(left.is_empty(), "processes are left: {left:?}");
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

async fn wait_until(mut condition: impl FnMut() -> bool, what: &str) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed().as_secs() < 15, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // pid (name) state parent …, and the name may hold anything
        let mut rest = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let state = rest.next().unwrap_or("Z");
        state != "Z" && rest.next() == Some(parent.to_string().as_str())
    };
    pids().into_iter().filter(is_child).collect()
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // it may have ended by itself
        let _ = kill_process(pid, signal);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn make_key(kind: Kind, file: &Path) {
    let bits = if kind == Kind::Rsa { "2048" } else { "256" };
    let file = file.to_str().unwrap();
    ssh_keygen(&[
        "-q",
        "-t",
        kind.name(),
        "-b",
        bits,
        "-N",
        "",
        "-C",
        "test",
        "-f",
        file,
    ]);
}

fn ssh_keygen(arguments: &[&str]) -> String {
    let run = Command::new("ssh-keygen").args(arguments).output().unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8(run.stdout).unwrap()
}

/// Without the comment.
fn public(line: &str) -> String {
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
