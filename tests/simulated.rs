//! The real plans, executed by the real pool code, on hosts in memory: whatever is cut off or breaks down on the way, in the
//! end everything is as declared, and nothing was touched that is not ours.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // it is all tests
#![allow(clippy::needless_pass_by_value)] // so that json! can stand in the call

#[path = "support/dice.rs"]
mod dice;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use gluster_operator::api::condition::{ConditionType, Finding, Reason};
use gluster_operator::api::volume::GlusterVolumeStatus;
use gluster_operator::gluster::model::{QuotaView, Search, SilentKind, VolumeStatus, VolumeView};
use gluster_operator::gluster::names::{Bytes, HostName, HostPath};
use gluster_operator::gluster::operation::{Command, Gluster, Operation};
use gluster_operator::gluster::outcome::{Class, Family, Outcome, Output, classify};
use gluster_operator::gluster::output;
use gluster_operator::host::simulated::{Fault, SimulatedPool};
use gluster_operator::host::{Host, HostError};
use gluster_operator::plan::attach::Wish;
use gluster_operator::plan::deletion::{self, Deletion};
use gluster_operator::plan::step::Step;
use gluster_operator::plan::validate::{self, Tenant, ValidCluster, ValidVolume};
use gluster_operator::plan::volume::{self as decide, Situation};
use gluster_operator::plan::{Plan, cluster as pool_plan, quota};
use gluster_operator::pool::{Leave, Pool};
use serde_json::{Value, json};

const KUBE: &str = "00000000-0000-0000-0000-00000000000a";
use dice::Dice;

const UID: &str = "0000000b-0000-0000-0000-00000000000b";
const NAMESPACE_UID: &str = "00000000-0000-0000-0000-00000000000c";
const VOLUME_UID: &str = "0000000d-0000-0000-0000-00000000000d";
const DEVICE: &str = "/b";
/// How our bricks begin.
const OURS: &str = "/b/shop_data-";

/// What happens while commands run.
#[derive(Debug, Default)]
struct Script {
    /// Commands so far.
    count: usize,
    /// After so many commands something happens to a host.
    faults: Vec<(usize, HostName, Broken)>,
    /// After so many commands the controller is gone; whether the last one was still run.
    dies: Option<(usize, bool)>,
}

/// What breaks.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Host(Fault),
    /// The processes of our bricks there die.
    Bricks,
}

fn kill_bricks(pool: &SimulatedPool, host: &HostName) {
    for (path, _) in pool.bricks(host) {
        if path.starts_with(OURS) {
            pool.kill_brick(host, &parse(&path));
        }
    }
}

/// A host of a simulated pool, as a controller reaches it that may die.
struct Reached {
    name: HostName,
    pool: SimulatedPool,
    script: Arc<Mutex<Script>>,
}

impl Reached {
    fn run(&self, command: &Command) -> Result<Output, HostError> {
        let mut script = self.script.lock().unwrap();
        script.count += 1;
        let at = script.count;
        for (_, host, broken) in script.faults.iter().filter(|(when, ..)| *when == at) {
            match broken {
                Broken::Host(fault) => self.pool.fault(host, *fault),
                Broken::Bricks => kill_bricks(&self.pool, host),
            }
        }
        let gone = HostError {
            host: self.name.clone(),
            address: "simulated".into(),
            kind: SilentKind::Unreachable,
            why: "the controller is dead".into(),
        };
        match script.dies {
            Some((when, run)) if at >= when => {
                if run && at == when {
                    let _ = self.pool.run(&self.name, command);
                }
                Err(gone)
            }
            _ => self.pool.run(&self.name, command),
        }
    }
}

#[async_trait]
impl Host for Reached {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn perform(&self, operation: &Operation) -> Result<Vec<Output>, HostError> {
        let mut outputs = Vec::new();
        for command in operation.commands() {
            match self.run(&command) {
                Ok(output) => {
                    let stop = output.exit != Some(0) && !operation.independent();
                    outputs.push(output);
                    if stop {
                        break;
                    }
                }
                Err(error) if outputs.is_empty() => return Err(error),
                Err(_) => {
                    outputs.push(Output::default());
                    break;
                }
            }
        }
        Ok(outputs)
    }
}

/// A simulated pool, and what is wanted of it.
struct Scene {
    pool: SimulatedPool,
    cluster: ValidCluster,
    names: Vec<HostName>,
    /// How many more commands of a deletion have leave to be sent.
    leave: AtomicUsize,
}

fn parse<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

impl Scene {
    fn new(seed: u64, count: usize) -> Self {
        let names: Vec<HostName> = (1..=count).map(|i| parse(&format!("n{i}"))).collect();
        let pool = SimulatedPool::new(seed, &names, &parse(DEVICE));
        // as Debian ships it, and as it should be
        let ping_timeout = if seed.is_multiple_of(2) { 0 } else { 10 };
        for name in &names {
            pool.set_ping_timeout(name, ping_timeout);
        }
        let nodes: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name.as_str(), "devices": [{"path": DEVICE}]}))
            .collect();
        let spec = json!({
            "access": {"ssh": {"secretRef": {"name": "s"}}}, "nodes": nodes,
            "tenancy": {"namespaces": {"from": "All"}, "bricks": "Allow"},
        });
        let spec = serde_json::from_value(spec).unwrap();
        let cluster = validate::cluster("prod", UID, KUBE, &spec).unwrap();
        Self {
            pool,
            cluster,
            names,
            leave: AtomicUsize::new(usize::MAX),
        }
    }

    fn want(&self, more: Value, owned: &[String]) -> ValidVolume {
        let mut spec = json!({"clusterName": "prod"});
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        let tenant = Tenant {
            namespace: "shop",
            namespace_uid: NAMESPACE_UID,
            operators_own: false,
            selected: false,
        };
        let spec = serde_json::from_value(spec).unwrap();
        let before = GlusterVolumeStatus {
            owned_options: owned.to_vec(),
            ..GlusterVolumeStatus::default()
        };
        validate::volume(&tenant, "data", VOLUME_UID, &spec, &before, &self.cluster).unwrap()
    }

    /// A controller that has just started.
    fn controller(&self, script: Script) -> Pool {
        let script = Arc::new(Mutex::new(script));
        let host = |name: &HostName| {
            let host: Arc<dyn Host> = Arc::new(Reached {
                name: name.clone(),
                pool: self.pool.clone(),
                script: script.clone(),
            });
            (host, vec![parse::<HostPath>(DEVICE)])
        };
        Pool::new(self.names.iter().map(host).collect(), parse("prod"))
    }

    /// A person types something on a host.
    fn typed(&self, host: usize, line: &str) -> Outcome {
        let argv = ["gluster", "--mode=script", "--xml"]
            .into_iter()
            .chain(line.split(' '));
        let command = Command {
            argv: argv.map(str::to_owned).collect(),
            stdin: None,
            deadline: Duration::from_secs(150),
        };
        let output = self.pool.run(&self.names[host], &command).unwrap();
        classify(Family::Other, &output)
    }

    /// The same, where nothing is wrong.
    fn by_hand(&self, host: usize, line: &str) {
        let outcome = self.typed(host, line);
        assert_eq!(outcome.class, Class::Ok, "{line}: {}", outcome.message);
    }

    fn quota_list(&self) -> QuotaView {
        let list = Gluster::QuotaList(parse("shop_data"));
        let command = Operation::Gluster(list).commands().remove(0);
        output::quota(&self.pool.run(&self.names[0], &command).unwrap())
    }

    /// All hosts are well again.
    fn mend(&self) {
        for name in &self.names {
            for fault in [Fault::Restore, Fault::ResumeGlusterd, Fault::Boot] {
                self.pool.fault(name, fault);
            }
        }
        // one that came back before the others has not seen them
        for name in &self.names {
            self.pool.fault(name, Fault::StartGlusterd);
        }
        self.pool.advance(Duration::from_secs(60));
    }

    /// What is not ours: marked directories outside of ours, and what is in them.
    fn foreign(&self) -> Vec<(String, String, bool)> {
        let bricks = |name: &HostName| {
            let name = name.to_string();
            self.pool
                .bricks(&parse(&name))
                .into_iter()
                .filter(|(path, _)| !path.starts_with(OURS) && !path.contains("/.trash/"))
                .map(move |(path, full)| (name.clone(), path, full))
                .collect::<Vec<_>>()
        };
        self.names.iter().flat_map(bricks).collect()
    }

    /// Our bricks that hold data.
    fn data(&self) -> Vec<(String, String)> {
        let bricks = |name: &HostName| {
            let name = name.to_string();
            self.pool
                .bricks(&parse(&name))
                .into_iter()
                .filter(|(path, full)| *full && path.starts_with(OURS))
                .map(move |(path, _)| (name.clone(), path))
                .collect::<Vec<_>>()
        };
        self.names.iter().flat_map(bricks).collect()
    }

    /// Looks, decides and does, once; says what was planned and how much of it was done.
    async fn pass(&self, pool: &Pool, want: &ValidVolume, going: bool) -> (Plan, bool, usize) {
        let view = pool.observe(Instant::now()).await.view;
        let whole = pool_plan::plan(&self.cluster, &view);
        let coordinator = pool_plan::coordinator(&self.cluster, &view).cloned();
        if let Some(coordinator) = coordinator.as_ref().filter(|_| !whole.steps.is_empty()) {
            let mut done = 0;
            for step in &whole.steps {
                assert!(!step.destroys(), "{step:?}");
                if pool.execute(step, coordinator).await.is_err() {
                    break;
                }
                done += 1;
            }
            return (whole, false, done);
        }
        let started = decide::seen(want, &self.cluster, &view)
            .filter(|volume| volume.status == VolumeStatus::Started);
        let safe = pool_plan::held_back(&self.cluster, &view).is_none();
        let limited = started.is_some_and(gluster_operator::gluster::model::Volume::quota_enabled);
        let mut bricks = decide::bricks_to_inspect(want, &self.cluster, &view);
        let seen = decide::seen(want, &self.cluster, &view).is_some();
        let search = if going && !seen {
            pool.search(&want.volume, &mut bricks).await
        } else {
            Search::NotAsked
        };
        let teller = pool_plan::teller(&self.cluster, &view);
        let quota_from = teller.filter(|_| limited && safe);
        let clients_from = coordinator
            .as_ref()
            .filter(|_| safe && going && started.is_some());
        let crawl = started.is_some_and(|volume| volume.quota_enabled() && quota::is_open(volume));
        let found = pool.inspect(&want.volume, &bricks, quota_from, clients_from, crawl);
        let mut inspected = VolumeView {
            search,
            ..found.await
        };
        if let Some(volume) = decide::seen(want, &self.cluster, &view)
            && quota::needs_count(want, volume, &inspected)
        {
            inspected.held = pool.count(&want.volume, &bricks).await;
        }
        let wish = Wish::default();
        let unsettled = pool.unsettled(&want.volume);
        let situation = Situation {
            cluster: &self.cluster,
            pool: &view,
            view: &inspected,
            wish: &wish,
            unsettled: unsettled.as_deref(),
            now: 1,
        };
        let plan = if going {
            match deletion::plan(want, situation, &[]) {
                Deletion::Done => return (Plan::default(), true, 0),
                Deletion::Going(plan) => plan,
            }
        } else {
            decide::plan(want, situation)
        };
        let leave: Leave<'_> = &|| {
            let less = |left: usize| left.checked_sub(1);
            let left = self
                .leave
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
            Box::pin(async move { left.is_ok() })
        };
        let mut done = 0;
        if let Some(coordinator) = &coordinator {
            for step in &plan.steps {
                let torn = matches!(step, Step::TrashBricks { .. });
                assert!(going || torn || !step.destroys(), "{step:?}");
                if pool.execute_while(step, coordinator, leave).await.is_err() {
                    break;
                }
                done += 1;
            }
        }
        (plan, false, done)
    }

    /// As many passes as it takes until there is nothing left to do; says the last plan and the steps that were taken.
    async fn converge(&self, want: &ValidVolume, going: bool) -> (Plan, bool, usize) {
        let pool = self.controller(Script::default());
        let (mut last, mut steps) = (Plan::default(), 0);
        for _ in 0..20 {
            let (plan, gone, done) = self.pass(&pool, want, going).await;
            steps += done;
            let nothing = plan.steps.is_empty();
            last = plan;
            if gone || nothing {
                return (last, gone, steps);
            }
        }
        (last, false, steps)
    }
}

fn holds(plan: &Plan, kind: ConditionType) -> Option<bool> {
    let of_kind = |finding: &&Finding| finding.kind == kind;
    plan.findings
        .iter()
        .rev()
        .find(of_kind)
        .and_then(|finding| finding.holds)
}

fn spec(dice: &mut Dice) -> Value {
    let layout = dice.pick(&[
        json!({"distribute": 1}),
        json!({"distribute": 3}),
        json!({"replicate": {"copies": 2}}),
        json!({"replicate": {"copies": 3}}),
        json!({"replicate": {"copies": 2}, "distribute": 2}),
        json!({"replicate": {"copies": 3, "arbiter": true}}),
        json!({"disperse": {"data": 2, "redundancy": 1}}),
    ]);
    let mut spec = json!({"layout": layout, "profile": dice.pick(&["default", "database"])});
    if dice.below(2) == 0 {
        spec["options"] =
            json!({"performance.cache-size": "64MB", "performance.readdir-ahead": "off"});
    }
    if dice.below(3) > 0 {
        spec["capacity"] = json!(format!("{}Gi", 1 + dice.below(8)));
    }
    spec
}

/// Up to three things that happen to hosts, and bricks that die; none of it takes data.
fn script(dice: &mut Dice, names: &[HostName]) -> Script {
    let kinds = [
        (Fault::Kill, Fault::Boot),
        (Fault::Cut, Fault::Restore),
        (Fault::HangGlusterd, Fault::ResumeGlusterd),
        (Fault::StopGlusterd, Fault::StartGlusterd),
    ];
    let mut script = Script::default();
    for _ in 0..dice.below(4) {
        let (begin, end) = dice.pick(&kinds);
        let host = dice.pick(names);
        let at = 1 + dice.below(80);
        script.faults.push((at, host.clone(), Broken::Host(begin)));
        if dice.below(2) == 0 {
            let later = at + 1 + dice.below(40);
            script.faults.push((later, host, Broken::Host(end)));
        }
    }
    if dice.below(3) == 0 {
        let at = 1 + dice.below(80);
        script.faults.push((at, dice.pick(names), Broken::Bricks));
    }
    if dice.below(2) == 0 {
        script.dies = Some((1 + dice.below(120), dice.below(2) == 0));
    }
    script
}

/// Controllers that die, on hosts that fail.
async fn storm(scene: &Scene, want: &ValidVolume, dice: &mut Dice, going: bool) {
    for _ in 0..=dice.below(3) {
        let pool = scene.controller(script(dice, &scene.names));
        for _ in 0..6 {
            let (plan, gone, done) = scene.pass(&pool, want, going).await;
            if gone || plan.steps.is_empty() || done == 0 {
                break;
            }
        }
        if dice.below(2) == 0 {
            scene.mend();
        }
    }
}

/// Somebody else's volume and directory, with data.
fn strangers(scene: &Scene) {
    scene.by_hand(0, &format!("volume create theirs n1:{DEVICE}/theirs"));
    scene.by_hand(0, "volume start theirs");
    scene.pool.write("theirs", 1 << 20);
}

fn is_as_declared(plan: &Plan, seed: u64) {
    for kind in [
        ConditionType::Ready,
        ConditionType::Healthy,
        ConditionType::InSync,
        ConditionType::Owned,
    ] {
        assert_eq!(
            holds(plan, kind),
            Some(true),
            "seed {seed}: {:?}",
            plan.findings
        );
    }
}

/// Plays a case for each seed, or for that of `SIM_SEED` alone. Many at a time: the pool code sleeps before it tries again
/// what met somebody else's transaction.
fn play<F: Future<Output = ()>>(cases: u64, case: impl Fn(u64) -> F) {
    let only: Option<u64> = std::env::var("SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..cases, |seed| seed..seed + 1);
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let all = futures::stream::iter(seeds).map(case).buffer_unordered(200);
    let played = runtime.block_on(all.count());
    assert!(played > 0);
    println!("{played} cases in {:?}", start.elapsed());
}

#[test]
fn whatever_breaks_down_it_ends_as_declared() {
    play(1000, |seed| async move {
        let mut dice = Dice(seed);
        let scene = Scene::new(seed, 4 + dice.below(3));
        strangers(&scene);
        let first = spec(&mut dice);
        let want = scene.want(first.clone(), &[]);
        let foreign = scene.foreign();
        storm(&scene, &want, &mut dice, false).await;
        scene.mend();
        let (end, _, _) = scene.converge(&want, false).await;
        is_as_declared(&end, seed);
        scene.pool.write("shop_data", 1 << 20);
        let data = scene.data();
        assert!(!data.is_empty(), "seed {seed}");
        // edited, with data in it
        let mut next = first.clone();
        next["options"] = json!({"performance.cache-size": "32MB"});
        if first.get("capacity").is_some() && dice.below(2) == 0 {
            next["capacity"] = json!("9Gi");
        }
        let before = want.options.keys().chain(want.profile.keys());
        let owned: Vec<String> = before.map(ToString::to_string).collect();
        let want = scene.want(next, &owned);
        storm(&scene, &want, &mut dice, false).await;
        scene.mend();
        // no host comes back for these
        kill_bricks(&scene.pool, &dice.pick(&scene.names));
        let (end, _, _) = scene.converge(&want, false).await;
        is_as_declared(&end, seed);
        let (again, _, steps) = scene.converge(&want, false).await;
        assert_eq!(steps, 0, "seed {seed}: {:?}", again.steps);
        assert_eq!(scene.data(), data, "seed {seed}: data is not where it was");
        assert_eq!(scene.foreign(), foreign, "seed {seed}: not ours");
    });
}

#[test]
fn deletion_ends_in_the_trash_and_nowhere_else() {
    play(400, |seed| async move {
        let mut dice = Dice(seed);
        let scene = Scene::new(seed, 4 + dice.below(3));
        strangers(&scene);
        let mut spec = spec(&mut dice);
        spec["deletionPolicy"] = json!("Delete");
        let want = scene.want(spec, &[]);
        let foreign = scene.foreign();
        let (end, _, _) = scene.converge(&want, false).await;
        is_as_declared(&end, seed);
        scene.pool.write("shop_data", 1 << 20);
        let data = scene.data();
        assert!(!data.is_empty(), "seed {seed}");
        storm(&scene, &want, &mut dice, true).await;
        scene.mend();
        let (end, gone, _) = scene.converge(&want, true).await;
        assert!(gone, "seed {seed}: {:?}", end.findings);
        assert!(scene.data().is_empty(), "seed {seed}: {:?}", scene.data());
        // every byte is in the trash of its own host
        let mut kept = Vec::new();
        for name in &scene.names {
            for (path, full) in scene.pool.bricks(name) {
                if full && path.contains("/.trash/") {
                    kept.push(name.to_string());
                }
            }
        }
        let were: Vec<String> = data.into_iter().map(|(host, _)| host).collect();
        assert_eq!(kept, were, "seed {seed}");
        assert_eq!(scene.foreign(), foreign, "seed {seed}: not ours");
    });
}

/// With a ping-timeout the first command is refused, and others go on without the host, which learns of them when it is back. Without
/// one the first hangs, and keeps its lock until then.
#[test]
fn a_silent_peer_is_given_up_where_glusterd_pings() {
    play(2, |seed| async move {
        for (fault, end) in [
            (Fault::Cut, Fault::Restore),
            (Fault::HangGlusterd, Fault::ResumeGlusterd),
        ] {
            let scene = Scene::new(seed, 4);
            let want = scene.want(json!({"layout": {"distribute": 1}}), &[]);
            let (made, ..) = scene.converge(&want, false).await;
            is_as_declared(&made, seed);
            let set = |value: &str| {
                let outcome = scene.typed(0, &format!("volume set shop_data user.x {value}"));
                (outcome.class, outcome.message)
            };
            let silent = &scene.names[3];
            scene.pool.fault(silent, fault);
            // which of the two is done in the end
            let (first, words, second, expected) = if seed.is_multiple_of(2) {
                (Class::Unknown, "timed out", Class::Busy, "1")
            } else {
                (Class::Busy, "Locking failed on n4", Class::Ok, "2")
            };
            let (class, message) = set("1");
            assert_eq!(class, first, "seed {seed}, {fault:?}: {message}");
            assert!(message.contains(words), "{message}");
            assert_eq!(set("2").0, second, "seed {seed}, {fault:?}");
            scene.pool.fault(silent, end);
            let pool = scene.controller(Script::default());
            let view = pool.observe(Instant::now()).await.view;
            for (host, facts) in view.answered() {
                let volume = facts.state.volume(&want.volume).unwrap();
                assert_eq!(volume.options["user.x"], expected, "seed {seed}: {host}");
                let connected = facts.state.peers.iter().all(|peer| peer.connected);
                assert!(connected, "seed {seed}: {host}");
            }
            assert_eq!(view.silent().count(), 0, "seed {seed}");
            assert_eq!(set("3").0, Class::Ok, "seed {seed}");
        }
    });
}

/// From the address of a storage host its daemons are connected, too, so that what is mounted there is asked of it.
#[test]
fn a_volume_that_is_mounted_on_a_storage_host_is_not_deleted() {
    let layouts = [
        json!({"distribute": 1}),
        json!({"replicate": {"copies": 3}}),
    ];
    play(layouts.len() as u64, |case| {
        let layout = layouts[usize::try_from(case).unwrap()].clone();
        async move {
            let scene = Scene::new(case, 4);
            let want = scene.want(
                json!({"layout": layout, "capacity": "1Gi", "deletionPolicy": "Delete"}),
                &[],
            );
            scene.converge(&want, false).await;
            scene.pool.write("shop_data", 1 << 20);
            let data = scene.data();
            let (host, at) = (scene.names[3].clone(), "/mnt/by/hand".parse().unwrap());
            scene.pool.mount_volume(&host, "shop_data", &at);
            let (end, gone, _) = scene.converge(&want, true).await;
            let finding = end.findings.last().unwrap();
            assert!(!gone && end.steps.is_empty(), "{:?}", end.steps);
            assert_eq!(finding.reason, Reason::DeletionBlocked);
            let says = format!("mounted on {host} at /mnt/by/hand");
            assert!(finding.message.contains(&says), "{}", finding.message);
            assert_eq!(scene.data(), data);
            scene.pool.unmount_volume(&host, &at);
            let (_, gone, _) = scene.converge(&want, true).await;
            assert!(gone, "it goes when nobody has it mounted");
        }
    });
}

/// Somebody says Retain after so many commands.
#[test]
fn a_deletion_that_is_called_back_does_nothing_more() {
    play(60, |seed| async move {
        let mut dice = Dice(seed);
        let scene = Scene::new(seed, 4 + dice.below(3));
        let mut spec = spec(&mut dice);
        spec["deletionPolicy"] = json!("Delete");
        let want = scene.want(spec, &[]);
        scene.converge(&want, false).await;
        scene.pool.write("shop_data", 1 << 20);
        let data = scene.data();
        let allowed = usize::try_from(seed % 4).unwrap();
        scene.leave.store(allowed, Ordering::SeqCst);
        let pool = scene.controller(Script::default());
        for pass in 0..3 {
            let (plan, gone, done) = scene.pass(&pool, &want, true).await;
            assert!(!gone && !plan.steps.is_empty(), "seed {seed}");
            assert_eq!(done, if pass == 0 { allowed } else { 0 }, "seed {seed}");
        }
        let view = pool.observe(Instant::now()).await.view;
        let known = decide::seen(&want, &scene.cluster, &view).map(|volume| volume.status);
        // manifest, stop, delete, and then the bricks would go
        let expected = [
            Some(VolumeStatus::Started),
            Some(VolumeStatus::Started),
            Some(VolumeStatus::Stopped),
            None,
        ];
        assert_eq!(known, expected[allowed], "seed {seed}");
        assert_eq!(scene.data(), data, "seed {seed}: data is not where it was");
    });
}

fn reason(plan: &Plan) -> (Reason, String) {
    let of_kind = |finding: &&Finding| finding.kind == ConditionType::InSync;
    let found = plan.findings.iter().rev().find(of_kind).unwrap();
    (found.reason, found.message.clone())
}

/// A limit is set on a volume that has data and none: not below what is there, whatever switched quota off before, and not while
/// that can't be known.
#[test]
fn a_limit_that_comes_late_is_not_below_what_is_there() {
    let layouts = [
        json!({"distribute": 3}),
        json!({"replicate": {"copies": 3}}),
        json!({"replicate": {"copies": 2}, "distribute": 2}),
        json!({"replicate": {"copies": 3, "arbiter": true}}),
        json!({"disperse": {"data": 2, "redundancy": 1}}),
    ];
    play(layouts.len() as u64, |case| {
        let layout = layouts[usize::try_from(case).unwrap()].clone();
        async move {
            let scene = Scene::new(case, 6);
            let want = |capacity: Option<&str>| {
                let mut spec = json!({"layout": layout});
                if let Some(capacity) = capacity {
                    spec["capacity"] = json!(capacity);
                }
                scene.want(spec, &[])
            };
            let limits = || {
                let said = scene.quota_list();
                said.limit().map(|Bytes(limit)| limit >> 30)
            };
            let (end, ..) = scene.converge(&want(None), false).await;
            is_as_declared(&end, case);
            scene.pool.write("shop_data", 3 << 30);
            let below = async |limit: Option<u64>| {
                let (end, ..) = scene.converge(&want(Some("2Gi")), false).await;
                let (why, text) = reason(&end);
                assert_eq!(why, Reason::CapacityBelowUsage, "{layout}: {text}");
                assert!(
                    text.contains("2Gi") && text.contains("3328599642 bytes"),
                    "{text}"
                );
                assert_eq!(limits(), limit, "{layout}");
            };
            below(None).await;
            let (end, ..) = scene.converge(&want(Some("4Gi")), false).await;
            is_as_declared(&end, case);
            assert_eq!(limits(), Some(4));
            below(Some(4)).await;
            // switched off by somebody: on again, where there is room
            scene.by_hand(0, "volume quota shop_data disable");
            below(None).await;
            let (end, ..) = scene.converge(&want(Some("4Gi")), false).await;
            is_as_declared(&end, case);
            assert_eq!(limits(), Some(4));
        }
    });
}

#[test]
fn the_same_seed_is_the_same_pool() {
    let uuids = |seed: u64| -> BTreeSet<String> {
        let scene = Scene::new(seed, 3);
        let operation = Operation::Gluster(gluster_operator::gluster::operation::Gluster::Uuid);
        let ask = |name: &HostName| {
            scene
                .pool
                .run(name, &operation.commands()[0])
                .unwrap()
                .stdout
        };
        scene.names.iter().map(ask).collect()
    };
    assert_eq!(uuids(7), uuids(7));
    assert_eq!(uuids(7).len(), 3, "each host has a uuid of its own");
    assert!(uuids(7).is_disjoint(&uuids(8)));
}
