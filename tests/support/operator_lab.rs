//! The controller as a process of its own, between a real API server and real storage hosts: five of them, of which
//! the first three become the pool `prod`, and two clients.
//!
//! One lab serves all tests of a program, one after the other. It goes down when the test's process ends.
#![allow(dead_code)] // each test program uses a part of it
#![allow(clippy::format_push_string)] // a report for people, put together once

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Request;
use serde_json::{Value, json};

use super::gluster_lab::{GlusterLab, LabNames, said};
use super::kube_lab::KubeLab;

/// The device of every host.
pub const DEVICE: &str = "/srv/bricks/d1";
/// The hosts of the pool `prod`.
pub const POOL: [&str; 3] = ["node1", "node2", "node3"];
/// The namespace of the tenant that `prod` admits.
pub const TENANT: &str = "shop";
/// Paths of the API.
pub const CLUSTERS: &str = "/apis/gluster-operator.io/v1alpha1/glusterclusters";
pub const VOLUMES: &str = "/apis/gluster-operator.io/v1alpha1/namespaces/shop/glustervolumes";
pub const OWN_VOLUMES: &str =
    "/apis/gluster-operator.io/v1alpha1/namespaces/gluster-operator/glustervolumes";
pub const SECRETS: &str = "/api/v1/namespaces/gluster-operator/secrets";

/// What the API server said instead of doing it.
#[derive(Debug)]
pub struct Refusal {
    /// The status code; 0 when there was none.
    pub code: u16,
    pub message: String,
}

/// Everything that a test needs.
pub struct World {
    pub names: LabNames,
    pub kube: KubeLab,
    pub hosts: GlusterLab,
    /// How the setting up of the pool was cut off; see [`World::set_up_pool`].
    pub probe: String,
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
    controller: Mutex<Option<Child>>,
    /// Ends the controller when we are gone.
    ender: Child,
    failures: Mutex<Vec<String>>,
}

/// The lab of this test program; `None` when a prerequisite is missing, which has been said.
pub fn world() -> Option<MutexGuard<'static, Option<World>>> {
    static WORLD: Mutex<Option<World>> = Mutex::new(None);
    let mut guard = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if guard.is_none() {
        *guard = Some(World::up()?);
    }
    Some(guard)
}

/// Prints a line though the test's output is captured: who waits for minutes wants to see something.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Waits until something holds.
pub fn until(deadline: Duration, what: &str, mut good: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !good() {
        assert!(
            begin.elapsed() < deadline,
            "{what}: not within {deadline:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What is waited for after a fault: its name, the seconds from the fault on within which it has to hold, and how it is looked at.
pub type Clocked<'a> = (&'a str, u64, &'a dyn Fn() -> bool);

/// Waits until each of these has held once, and says after how many seconds since `begin` it did, for each of its own: a sum of waits
/// would hide which of them was late.
pub fn clocked(begin: Instant, waits: &[Clocked<'_>]) {
    let mut held: Vec<Option<f64>> = vec![None; waits.len()];
    while held.iter().any(Option::is_none) {
        for ((what, deadline, good), held) in waits.iter().zip(&mut held) {
            if held.is_some() {
                continue;
            }
            let late = begin.elapsed() > Duration::from_secs(*deadline);
            if good() {
                *held = Some(begin.elapsed().as_secs_f64());
            } else {
                assert!(!late, "{what}: not within {deadline} s");
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let told: Vec<String> = waits
        .iter()
        .zip(held.into_iter().flatten())
        .map(|((what, ..), seconds)| format!("{what} after {seconds:.1} s"))
        .collect();
    say(&format!("       {}", told.join(", ")));
}

impl World {
    fn up() -> Option<Self> {
        let begin = Instant::now();
        if let Some(missing) = GlusterLab::missing() {
            super::gluster_lab::skip(&missing);
            return None;
        }
        let names = LabNames::unique(&format!("operator {}", std::process::id()));
        // the network, which both share; then both at once
        let network = names
            .script("gluster-hosts.sh")
            .args(["up", "0", "0"])
            .output()
            .expect("bash starts");
        assert!(network.status.success(), "{}", said(&network));
        let (kube, hosts) = std::thread::scope(|threads| {
            let hosts = threads.spawn(|| GlusterLab::up_as(&names, 5, 2));
            let kube = kubernetes(&names);
            (kube, hosts.join())
        });
        let (kube, hosts) = (kube?, hosts.expect("the hosts are up"));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let client = runtime.block_on(client(&kube));
        let ender = ender(&names);
        let mut world = Self {
            names,
            kube,
            hosts,
            probe: String::new(),
            runtime,
            client,
            controller: Mutex::new(None),
            ender,
            failures: Mutex::new(Vec::new()),
        };
        for (name, labels) in [("shop", json!({"gluster": "yes"})), ("alien", json!({}))] {
            world.post(
                "/api/v1/namespaces",
                &json!({"metadata": {"name": name, "labels": labels}}),
            );
        }
        let known: Vec<String> = (1..=5)
            .map(|n| world.known_host(&format!("node{n}")))
            .collect();
        world.secret("gluster-ssh", &world.key(), &known.concat());
        say(&format!(
            "lab is up ({:.1} s)",
            begin.elapsed().as_secs_f64()
        ));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.set_up_pool())) {
            world.dump();
            std::panic::resume_unwind(panic);
        }
        Some(world)
    }

    /// The pool of three hosts is made by a controller that is killed as soon as the first of two probes is done; when the kill came
    /// too late, the hosts are taken apart again, and it is tried once more.
    fn set_up_pool(&mut self) {
        let begin = Instant::now();
        let spec = self.cluster_spec(&POOL);
        self.post(CLUSTERS, &json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "metadata": {"name": "prod"}, "spec": spec}));
        for _ in 0..4 {
            let history = self.history("node1");
            self.start_controller();
            self.kill_when(Duration::from_secs(20), || {
                history
                    .writes()
                    .iter()
                    .any(|line| line.contains("peer probe"))
            });
            // what had been sent by then would be there by now
            std::thread::sleep(Duration::from_millis(700));
            self.probe = history.writes().join("\n");
            if self.probe.lines().count() == 1 {
                break;
            }
            for host in &POOL[1..] {
                self.gluster("node1", &["peer", "detach", host]);
            }
        }
        self.start_controller();
        // its status may still be that of before they were taken apart
        until(Duration::from_secs(30), "the hosts are one pool", || {
            POOL.iter().all(|host| {
                // while peers change glusterd may refuse to list them
                let list = self.hosts.sh(host, &["gluster", "pool", "list"]);
                let list = String::from_utf8_lossy(&list.stdout).into_owned();
                list.matches("Connected").count() == POOL.len()
            })
        });
        self.wait_cluster(
            "prod",
            Duration::from_secs(30),
            "is as declared",
            as_declared,
        );
        say(&format!(
            "pool is up, with a kill after the first probe ({:.1} s)",
            begin.elapsed().as_secs_f64()
        ));
    }

    /// The spec of a cluster of these hosts.
    pub fn cluster_spec(&self, hosts: &[&str]) -> Value {
        let nodes: Vec<Value> = hosts
            .iter()
            .map(|host| json!({"name": host, "address": self.hosts.address(host), "devices": [{"path": DEVICE}]}))
            .collect();
        json!({
            "access": {"ssh": {"secretRef": {"name": "gluster-ssh"}}},
            "nodes": nodes,
            "tenancy": {
                "namespaces": {"from": "Selector", "selector": {"matchLabels": {"gluster": "yes"}}},
                "options": ["performance.*", "network.*", "cluster.*"],
            },
        })
    }

    /// The private key that every host lets in.
    pub fn key(&self) -> String {
        std::fs::read_to_string(self.hosts.ssh_key()).expect("the lab has a key")
    }

    /// The host key of a host, as a line of `known_hosts`.
    pub fn known_host(&self, host: &str) -> String {
        let file = self
            .hosts
            .dir()
            .join(host)
            .join("ssh/ssh_host_ed25519_key.pub");
        let text = std::fs::read_to_string(file).expect("the host has a key");
        let words: Vec<&str> = text.split_whitespace().collect();
        format!("{} {} {}\n", self.hosts.address(host), words[0], words[1])
    }

    /// Makes or changes a Secret for SSH.
    pub fn secret(&self, name: &str, key: &str, known_hosts: &str) {
        let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"ssh-privatekey": key, "known_hosts": known_hosts}});
        self.apply(&format!("{SECRETS}/{name}"), &body);
    }

    // ---- the API

    /// One request; `kind` is the content type of a patch.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &str,
    ) -> Result<Value, Refusal> {
        let text = self.request_text(method, path, kind, body)?;
        Ok(serde_json::from_str(&text).expect("JSON"))
    }

    fn request_text(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &str,
    ) -> Result<String, Refusal> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(body.as_bytes().to_vec())
            .expect("a request");
        let asked = async {
            tokio::time::timeout(Duration::from_secs(30), self.client.request_text(request)).await
        };
        match self
            .runtime
            .block_on(asked)
            .expect("the API server answers in 30 s")
        {
            Ok(text) => Ok(text),
            Err(kube::Error::Api(status)) => Err(Refusal {
                code: status.code,
                message: status.message.clone(),
            }),
            Err(error) => Err(Refusal {
                code: 0,
                message: error.to_string(),
            }),
        }
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, &body.to_string())
            .unwrap_or_else(|refusal| panic!("{path}: {refusal:?}: {body}"))
    }

    pub fn try_post(&self, path: &str, body: &str) -> Result<Value, Refusal> {
        self.request("POST", path, "application/json", body)
    }

    pub fn apply(&self, path: &str, body: &Value) -> Value {
        self.request(
            "PATCH",
            &format!("{path}?fieldManager=test&force=true"),
            "application/apply-patch+yaml",
            &body.to_string(),
        )
        .unwrap_or_else(|refusal| panic!("{path}: {refusal:?}: {body}"))
    }

    /// A merge patch: `null` removes.
    pub fn patch(&self, path: &str, body: &Value) -> Value {
        self.try_patch(path, body)
            .unwrap_or_else(|refusal| panic!("{path}: {refusal:?}: {body}"))
    }

    pub fn try_patch(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        self.request(
            "PATCH",
            path,
            "application/merge-patch+json",
            &body.to_string(),
        )
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        match self.request("GET", path, "application/json", "") {
            Ok(value) => Some(value),
            Err(Refusal { code: 404, .. }) => None,
            Err(refusal) => panic!("{path}: {refusal:?}"),
        }
    }

    /// All that became of an object since it was as given, in order: also what was true for a moment only.
    pub fn changes(&self, collection: &str, since: &Value) -> Vec<Value> {
        let [name, version] = ["name", "resourceVersion"].map(|key| text(&since["metadata"][key]));
        let path = format!(
            "{collection}?watch=true&timeoutSeconds=1&resourceVersion={version}&fieldSelector=metadata.name%3D{name}"
        );
        let told = self
            .request_text("GET", &path, "application/json", "")
            .unwrap_or_else(|refusal| panic!("{path}: {refusal:?}"));
        let event = |line: &str| -> Value { serde_json::from_str(line).expect("JSON") };
        told.lines()
            .map(|line| event(line)["object"].take())
            .collect()
    }

    pub fn delete(&self, path: &str) {
        match self.request("DELETE", path, "application/json", "") {
            Ok(_) | Err(Refusal { code: 404, .. }) => {}
            Err(refusal) => panic!("{path}: {refusal:?}"),
        }
    }

    /// Asks until the object is as wanted, and gives it.
    pub fn wait(
        &self,
        path: &str,
        deadline: Duration,
        what: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        let begin = Instant::now();
        loop {
            let object = self.get(path).unwrap_or(Value::Null);
            if good(&object) {
                return object;
            }
            assert!(
                begin.elapsed() < deadline,
                "{path} {what}: not within {deadline:?}:\n{}",
                conditions(&object)
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn wait_cluster(
        &self,
        name: &str,
        deadline: Duration,
        what: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        self.wait(&format!("{CLUSTERS}/{name}"), deadline, what, good)
    }

    /// Waits for a volume of the tenant.
    pub fn wait_volume(
        &self,
        name: &str,
        deadline: Duration,
        what: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        self.wait(&format!("{VOLUMES}/{name}"), deadline, what, good)
    }

    pub fn wait_gone(&self, path: &str, deadline: Duration) {
        self.wait(path, deadline, "is gone", Value::is_null);
    }

    /// Makes a GlusterVolume of the tenant on `prod`: three copies, and these fields.
    pub fn volume(&self, name: &str, fields: &Value) -> Value {
        self.post(VOLUMES, &volume(name, fields))
    }

    /// Makes it and waits until it is as declared.
    pub fn ready_volume(&self, name: &str, fields: &Value) -> Value {
        self.volume(name, fields);
        self.wait_volume(name, Duration::from_secs(40), "is as declared", as_declared)
    }

    /// Events about an object, as `TYPE REASON NOTE` lines.
    pub fn events(&self, name: &str) -> Vec<String> {
        let list = self
            .get("/apis/events.k8s.io/v1/events")
            .unwrap_or(Value::Null);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .filter(|event| event["regarding"]["name"] == name)
            .map(|event| {
                format!(
                    "{} {} {}",
                    text(&event["type"]),
                    text(&event["reason"]),
                    text(&event["note"])
                )
            })
            .collect()
    }

    /// Waits for a warning about an object that has all of these words in it.
    pub fn wait_event(&self, name: &str, words: &[&str]) {
        let begin = Instant::now();
        loop {
            let events = self.events(name);
            if events.iter().any(|event| {
                event.starts_with("Warning ") && words.iter().all(|word| event.contains(word))
            }) {
                return;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "no warning about {name} with {words:?}:\n{}",
                events.join("\n")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    // ---- the controller

    /// Starts the controller, as the same replica as before.
    pub fn start_controller(&self) {
        let child = self.spawn_controller("operator-0", "controller.log");
        std::fs::write(
            self.names.dir.join("controller.pid"),
            child.id().to_string(),
        )
        .expect("a pid file");
        let old = self
            .controller
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(child);
        assert!(old.is_none(), "a controller runs already");
    }

    /// Starts one more process under that identity; the caller ends it.
    pub fn spawn_controller(&self, identity: &str, log: &str) -> Child {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.names.dir.join(log))
            .expect("a log");
        Command::new(env!("CARGO_BIN_EXE_gluster-operator"))
            .args([
                "controller",
                "--listen",
                "127.0.0.1:0",
                "--log-level",
                "info",
                "--kubeconfig",
            ])
            .arg(self.kube.kubeconfig())
            .env("POD_NAME", identity)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file descriptor is left"))
            .stderr(log)
            .spawn()
            .expect("the controller starts")
    }

    /// SIGKILL, by its pid.
    pub fn kill_controller(&self) {
        let child = self
            .controller
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut child = child.expect("a controller runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// SIGTERM, as the kubelet sends it; waits for the end.
    pub fn stop_controller(&self) -> ExitStatus {
        let child = self
            .controller
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        stop(child.expect("a controller runs"))
    }

    pub fn restart_controller(&self) {
        self.kill_controller();
        self.start_controller();
    }

    /// Looks without pause, and kills the controller the moment that `seen` holds.
    pub fn kill_when(&self, deadline: Duration, mut seen: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !seen() {
            assert!(
                begin.elapsed() < deadline,
                "what should be interrupted did not begin within {deadline:?}"
            );
            std::thread::sleep(Duration::from_micros(300));
        }
        self.kill_controller();
    }

    /// The end of the controller's log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text =
            std::fs::read_to_string(self.names.dir.join("controller.log")).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    // ---- the hosts

    /// A path of a host, seen from here.
    pub fn path(&self, host: &str, path: &str) -> PathBuf {
        let pid = std::fs::read_to_string(self.hosts.dir().join(host).join("initpid"))
            .unwrap_or_default();
        PathBuf::from(format!("/proc/{}/root{path}", pid.trim()))
    }

    /// What that host's glusterd is asked to do from now on.
    pub fn history(&self, host: &str) -> History {
        let path = self.hosts.dir().join(host).join("log/cmd_history.log");
        let offset = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        History { path, offset }
    }

    /// The host that takes commands now.
    pub fn coordinator(&self) -> String {
        let cluster = self
            .get(&format!("{CLUSTERS}/prod"))
            .expect("prod is there");
        let (_, _, message) = condition(&cluster, "Ready");
        message.rsplit(' ').next().unwrap_or_default().to_owned()
    }

    /// `gluster` on a host.
    pub fn gluster(&self, host: &str, args: &[&str]) -> String {
        let mut all = vec!["gluster", "--mode=script"];
        all.extend_from_slice(args);
        self.hosts.run(host, &all)
    }

    /// The table of `quota list /` of a volume, asked until it has its row: other transactions are in the way of it, and a
    /// moment after quotad was restarted the row is missing.
    pub fn quota_list(&self, volume: &str) -> String {
        let list = [
            "gluster",
            "--mode=script",
            "volume",
            "quota",
            volume,
            "list",
            "/",
        ];
        let mut answer = String::new();
        for _ in 0..20 {
            let output = self.hosts.sh("node1", &list);
            answer = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() && answer.lines().any(|line| line.starts_with('/')) {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        panic!("no limit of {volume}: {answer}");
    }

    /// Names on the device of a host that begin with `prefix`, those in the trash as `.trash/…`.
    pub fn on_device(&self, host: &str, prefix: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (below, shown) in [
            (DEVICE.to_owned(), ""),
            (format!("{DEVICE}/.trash"), ".trash/"),
        ] {
            let list = std::fs::read_dir(self.path(host, &below))
                .into_iter()
                .flatten()
                .flatten();
            found.extend(
                list.map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .filter(|name| name.starts_with(prefix))
                    .map(|name| format!("{shown}{name}")),
            );
        }
        found.sort();
        found
    }

    /// The process of a program on a host, as this machine numbers it.
    pub fn pid_of(&self, host: &str, program: &str) -> Option<i32> {
        self.process(host, program, "")
    }

    /// The same, of several of that program the one whose arguments have that word in them.
    pub fn process(&self, host: &str, program: &str, word: &str) -> Option<i32> {
        let space = std::fs::read_link(self.path(host, "").parent()?.join("ns/pid")).ok()?;
        std::fs::read_dir("/proc")
            .ok()?
            .flatten()
            .find_map(|entry| {
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
                let arguments = std::fs::read(entry.path().join("cmdline")).ok()?;
                let same = name.trim() == program
                    && String::from_utf8_lossy(&arguments).contains(word)
                    && std::fs::read_link(entry.path().join("ns/pid")).ok()? == space;
                same.then_some(pid)
            })
    }

    /// Waits until no gluster command has run on a host for a moment. Where one is under way when the host falls silent, its peers keep the
    /// lock that it had for three minutes (or until they notice the silence), and limits are asked for right after a status was written.
    pub fn wait_idle(&self, host: &str) {
        let mut since = Instant::now();
        until(Duration::from_secs(30), "no gluster command runs", || {
            if self.process(host, "gluster", "--mode=script").is_some() {
                since = Instant::now();
            }
            since.elapsed() > Duration::from_millis(1500)
        });
    }

    /// SIGKILL for a program of a host.
    pub fn kill_on(&self, host: &str, program: &str) {
        self.kill_process(host, program, "");
    }

    /// The same for the one whose arguments have that word in them.
    pub fn kill_process(&self, host: &str, program: &str, word: &str) {
        let pid = self
            .process(host, program, word)
            .unwrap_or_else(|| panic!("{program} {word} runs on {host}"));
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)
            .expect("it can be killed");
    }

    /// The lab's script, which has to succeed.
    pub fn lab(&self, args: &[&str]) {
        let output = self.hosts.script(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
    }

    // ---- scenes

    /// Plays a scene of a test, says how long it took, and goes on with the next one also when it failed.
    pub fn scene(&self, name: &str, play: impl FnOnce()) {
        if std::env::var("OPERATOR_SCENE")
            .is_ok_and(|only| !only.split(',').any(|part| name.contains(part)))
        {
            return;
        }
        let begin = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(play));
        let seconds = begin.elapsed().as_secs_f64();
        if let Err(panic) = result {
            let words = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default();
            say(&format!("FAILED {seconds:5.1} s  {name}: {words}"));
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            if failures.len() < 3 {
                self.dump();
            }
            failures.push(format!("{name}: {words}"));
        } else {
            say(&format!("ok     {seconds:5.1} s  {name}"));
        }
    }

    /// Fails when a scene has.
    pub fn curtain(&self) {
        let failures =
            std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner));
        assert!(
            failures.is_empty(),
            "{} scenes failed:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }

    /// Shows what one wants to see when something failed.
    pub fn dump(&self) {
        let mut text = String::new();
        for path in [
            CLUSTERS,
            "/apis/gluster-operator.io/v1alpha1/glustervolumes",
        ] {
            let list = self.get(path).unwrap_or(Value::Null);
            for item in list["items"].as_array().into_iter().flatten() {
                text.push_str(
                    &[
                        "--- ",
                        &item["metadata"]["name"].to_string(),
                        "\n",
                        &conditions(item),
                        "\n",
                    ]
                    .concat(),
                );
            }
        }
        let events = self
            .get("/apis/events.k8s.io/v1/events")
            .unwrap_or(Value::Null);
        text += "--- events\n";
        for event in events["items"].as_array().into_iter().flatten() {
            text += &format!(
                "{} {} {}\n",
                event["regarding"]["name"], event["reason"], event["note"]
            );
        }
        text += &format!("--- controller.log\n{}\n", self.log_tail(60));
        for host in POOL {
            let path = self.hosts.dir().join(host).join("log/cmd_history.log");
            let history = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = history.lines().filter(|line| !is_read(line)).collect();
            text += &format!(
                "--- {host} cmd_history\n{}\n",
                lines[lines.len().saturating_sub(12)..].join("\n")
            );
        }
        say(&text);
    }
}

/// Ends a controller by SIGTERM, and gives how it ended.
pub fn stop(mut child: Child) -> ExitStatus {
    let pid = i32::try_from(child.id()).expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if begin.elapsed() > Duration::from_secs(30) {
            child.kill().expect("it runs");
            panic!("SIGTERM does not end the controller");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A control plane with our objects in it.
fn kubernetes(names: &LabNames) -> Option<KubeLab> {
    let kube = KubeLab::up_as(names, 0)?;
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let [crds, install] =
        ["crds", "deploy/install.yaml"].map(|file| project.join(file).display().to_string());
    let applied = kube.kubectl(&["apply", "-f", &crds, "-f", &install]);
    assert!(applied.status.success(), "{}", said(&applied));
    // ours runs beside the cluster; its pods could not start here anyway
    kube.kubectl(&["-n", "gluster-operator", "delete", "deploy,ds", "--all"]);
    Some(kube)
}

async fn client(kube: &KubeLab) -> kube::Client {
    let file = kube::config::Kubeconfig::read_from(kube.kubeconfig()).expect("a kubeconfig");
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options);
    kube::Client::try_from(config.await.expect("a configuration")).expect("a client")
}

/// A process that kills the controller when its standard input ends, that is when we are gone; and removes our files when
/// the labs are down.
fn ender(names: &LabNames) -> Child {
    use std::os::unix::process::CommandExt as _;
    const END: &str = "read -r _; cd \"$0\" || exit
        p=$(cat controller.pid) && [ \"$(cat /proc/$p/comm)\" = gluster-operato ] && kill -9 $p
        for n in $(seq 600); do [ -e gluster ] || [ -e kube ] || break; sleep 0.1; done
        [ \"$(cat test)\" != \"$1\" ] || rm -rf \"$0\"";
    Command::new("bash")
        .args(["-c", END])
        .arg(&names.dir)
        .arg(format!("operator {}", std::process::id()))
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("bash starts")
}

/// The log of commands of one host's glusterd, from some moment on.
pub struct History {
    path: PathBuf,
    offset: u64,
}

impl History {
    /// All lines since then.
    pub fn lines(&self) -> Vec<String> {
        let mut text = String::new();
        if let Ok(mut file) = File::open(&self.path)
            && file.seek(SeekFrom::Start(self.offset)).is_ok()
        {
            let _ = file.read_to_string(&mut text);
        }
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    /// Those of commands that change something.
    pub fn writes(&self) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter(|line| !is_read(line))
            .collect()
    }
}

/// True for the commands by which the controller looks at a pool.
pub fn is_read(line: &str) -> bool {
    line.contains(" : get-state ")
        || line.contains(" : system:: uuid get")
        || (line.contains(" : volume quota ") && line.contains(" list"))
        || (line.contains(" : volume status ") && line.contains(" clients"))
        || line.contains(" : volume info")
        || line.contains(" : volume list")
}

/// A GlusterVolume on `prod`.
pub fn volume(name: &str, fields: &Value) -> Value {
    let mut spec = json!({"clusterName": "prod", "layout": {"replicate": {"copies": 3}}});
    for (key, value) in fields.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterVolume", "metadata": {"name": name}, "spec": spec})
}

/// A string of JSON, or nothing.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Status, reason and message of a condition.
pub fn condition(object: &Value, kind: &str) -> (String, String, String) {
    let mut list = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let found = list.find(|c| c["type"] == kind);
    let field = |name: &str| found.map_or("", |c| text(&c[name])).to_owned();
    (field("status"), field("reason"), field("message"))
}

/// True when the status speaks of the present spec, and both Ready and InSync hold.
pub fn as_declared(object: &Value) -> bool {
    let current = object["status"]["conditions"]
        .as_array()
        .is_some_and(|list| {
            ["Ready", "InSync"].iter().all(|kind| {
                list.iter().any(|c| {
                    c["type"] == *kind
                        && c["status"] == "True"
                        && c["observedGeneration"] == object["metadata"]["generation"]
                })
            })
        });
    current && object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// True when that condition is false, for this reason, and its message has all of these words.
pub fn is_false(object: &Value, kind: &str, reason: &str, words: &[&str]) -> bool {
    let (status, found, message) = condition(object, kind);
    status == "False" && found == reason && words.iter().all(|word| message.contains(word))
}

/// All conditions, one a line.
pub fn conditions(object: &Value) -> String {
    let list = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let lines: Vec<String> = list
        .map(|c| {
            format!(
                "{}={} {} g{}: {}",
                text(&c["type"]),
                text(&c["status"]),
                text(&c["reason"]),
                c["observedGeneration"],
                text(&c["message"])
            )
        })
        .collect();
    format!(
        "generation {}\n{}",
        object["metadata"]["generation"],
        lines.join("\n")
    )
}
