//! A real Kubernetes for one test: `tests/lab/kubernetes.sh` under names of its own.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use super::gluster_lab::{LabNames, dismiss, prerequisites, said};

/// What the lab needs besides root. `hack/packages.sh lab` installs it, `tests/lab/kubernetes-tools.sh` the Kubernetes programs.
const PROGRAMS: &[&str] = &[
    "bash",
    "ip",
    "iptables-restore",
    "nsenter",
    "unshare",
    "setpriv",
    "openssl",
    "etcd",
    "containerd",
    "runc",
    "mount.glusterfs",
];

/// A running control plane with some nodes: `cp`, `kube1`, `kube2`… It goes down with this value, and also when the
/// test's process is killed.
pub struct KubeLab {
    names: LabNames,
    /// Takes the lab down when its standard input ends.
    guardian: Child,
}

impl KubeLab {
    /// Brings up a control plane with `nodes` nodes (0: the control plane alone) under unique names. `None`: a
    /// prerequisite is missing, which has been said; under `CI=true` that panics instead.
    ///
    /// # Panics
    /// When the lab does not come up, with the script's words.
    pub fn up(nodes: usize) -> Option<Self> {
        prerequisites(PROGRAMS).then(|| Self::start(&LabNames::unique("kube"), nodes))
    }

    /// The same under names that a gluster lab may have, too.
    pub fn up_as(names: &LabNames, nodes: usize) -> Option<Self> {
        prerequisites(PROGRAMS).then(|| Self::start(names, nodes))
    }

    fn start(names: &LabNames, nodes: usize) -> Self {
        let guardian = names.guardian("kubernetes.sh");
        let lab = Self {
            names: names.clone(),
            guardian,
        };
        let up = lab.script(&["up", &nodes.to_string()]);
        assert!(
            up.status.success(),
            "the Kubernetes lab does not come up: {}",
            said(&up)
        );
        lab
    }

    /// The names of this lab, for a gluster lab on the same network.
    pub fn names(&self) -> &LabNames {
        &self.names
    }

    /// The path of the administrator's kubeconfig; works from the test's process and from every host of the lab.
    pub fn kubeconfig(&self) -> PathBuf {
        self.names.dir.join("kube/admin.kubeconfig")
    }

    /// Runs `kubernetes.sh` with these arguments (`kill kube1`, `image all x.tar`, …).
    pub fn script(&self, args: &[&str]) -> Output {
        self.names
            .script("kubernetes.sh")
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("bash starts")
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        let mut all = vec!["kubectl"];
        all.extend_from_slice(args);
        self.script(&all)
    }

    /// `kubectl apply -f -` of `yaml`; gives the answer, also when it is a refusal.
    pub fn apply(&self, yaml: &str) -> Output {
        let mut child = self
            .names
            .script("kubernetes.sh")
            .args(["kubectl", "apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let mut input = child.stdin.take().expect("standard input is a pipe");
        input
            .write_all(yaml.as_bytes())
            .expect("kubectl reads its standard input");
        drop(input);
        child.wait_with_output().expect("kubectl ends")
    }

    /// Runs a command inside `cp` or a node.
    pub fn sh(&self, host: &str, command: &[&str]) -> Output {
        let mut all = vec!["sh", host];
        all.extend_from_slice(command);
        self.script(&all)
    }

    /// Asks until `kubectl` with these arguments prints something that `good` accepts, and gives that.
    ///
    /// # Panics
    /// After `deadline`, with the last answer.
    pub fn wait(&self, deadline: Duration, args: &[&str], good: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let answer = self.kubectl(args);
            let text = String::from_utf8_lossy(&answer.stdout).into_owned();
            if answer.status.success() && good(text.trim()) {
                return text;
            }
            assert!(
                start.elapsed() < deadline,
                "gave up after {deadline:?}: kubectl {args:?}: {}",
                said(&answer)
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for KubeLab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for args in [
                &["get", "gc,gv,pv,pvc,pods,nodes", "-A", "-o", "wide"][..],
                &["get", "events", "-A"][..],
            ] {
                eprintln!("--- kubectl {args:?}\n{}", said(&self.kubectl(args)));
            }
        }
        dismiss(&mut self.guardian, &self.names);
    }
}
