//! Six hosts, and a planner and executor at work on them without Kubernetes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::future::join_all;
use gluster_operator::api::condition::{ConditionType, Reason};
use gluster_operator::api::volume::GlusterVolumeStatus;
use gluster_operator::gluster::model::{
    PoolView, Search, SilentKind, Volume, VolumeStatus, VolumeView,
};
use gluster_operator::gluster::names::{Brick, HostName};
use gluster_operator::gluster::operation::{Command, Operation};
use gluster_operator::gluster::outcome::{Class, Output};
use gluster_operator::host::{Host, HostError, LocalHost};
use gluster_operator::plan::attach::Wish;
use gluster_operator::plan::deletion::{self, Deletion};
use gluster_operator::plan::step::Step;
use gluster_operator::plan::validate::{self, Tenant, ValidCluster, ValidVolume};
use gluster_operator::plan::volume::{self, Situation};
use gluster_operator::plan::{Plan, cluster};
use gluster_operator::pool::{Pool, StepFailure};
use serde_json::{Value, json};

use super::data::Where;
use super::gluster_lab::GlusterLab;

const KUBE: &str = "00000000-0000-0000-0000-00000000000a";
const UID: &str = "0000000b-0000-0000-0000-00000000000b";

/// A host of the lab, entered from this machine.
struct Inside {
    name: HostName,
    /// Its process 1, as this machine sees it.
    pid: String,
}

#[async_trait]
impl Host for Inside {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn perform(&self, operation: &Operation) -> Result<Vec<Output>, HostError> {
        let local = LocalHost::new(self.name.clone());
        let mut outputs = Vec::new();
        for command in operation.commands() {
            if !std::path::Path::new("/proc").join(&self.pid).exists() {
                return Err(HostError {
                    host: self.name.clone(),
                    address: self.pid.clone(),
                    kind: SilentKind::Unreachable,
                    why: "it is dead".into(),
                });
            }
            let enter = [
                "nsenter", "-t", &self.pid, "-m", "-u", "-i", "-n", "-p", "--",
            ];
            let argv = enter.iter().map(ToString::to_string).chain(command.argv);
            let command = Command {
                argv: argv.collect(),
                ..command
            };
            let output = local.run(command).await?;
            let failed = output.exit != Some(0);
            outputs.push(output);
            if failed && !operation.independent() {
                break;
            }
        }
        Ok(outputs)
    }
}

/// One layout, and what gluster shall say of it.
pub struct Layout {
    /// The volume is `shop_<name>`.
    pub name: &'static str,
    /// `spec.layout`.
    pub spec: Value,
    /// `spec.bricks`; none: the planner places them.
    pub exact: &'static [&'static str],
    /// `Type:` of `gluster volume info`.
    pub type_name: &'static str,
    /// `Number of Bricks:`.
    pub count: &'static str,
    /// What a set holds of a file.
    pub set: Where,
}

pub struct World<'a> {
    pub lab: &'a GlusterLab,
    cluster: ValidCluster,
    pool: Pool,
    hosts: BTreeMap<String, Arc<dyn Host>>,
}

/// Two hosts a zone.
pub fn zone(host: &str) -> usize {
    (host.strip_prefix("node").unwrap().parse::<usize>().unwrap() - 1) / 2
}

fn names() -> impl Iterator<Item = String> {
    (1..=6).map(|number| format!("node{number}"))
}

impl<'a> World<'a> {
    pub fn new(lab: &'a GlusterLab) -> Self {
        let nodes: Vec<Value> = names()
            .map(|name| {
                json!({"name": name, "zone": format!("z{}", zone(&name)), "devices": [{"path": "/srv/bricks/d1"}]})
            })
            .collect();
        let spec = json!({
            "access": {"ssh": {"secretRef": {"name": "s"}}}, "nodes": nodes,
            "tenancy": {"namespaces": {"from": "All"}, "bricks": "Allow"},
        });
        let spec = serde_json::from_value(spec).unwrap();
        let cluster = validate::cluster("prod", UID, KUBE, &spec).unwrap();
        let hosts: BTreeMap<String, Arc<dyn Host>> = names()
            .map(|name| {
                let pid = std::fs::read_to_string(lab.dir().join(&name).join("initpid")).unwrap();
                let host = Inside {
                    name: name.parse().unwrap(),
                    pid: pid.trim().to_owned(),
                };
                (name, Arc::new(host) as Arc<dyn Host>)
            })
            .collect();
        let devices = vec!["/srv/bricks/d1".parse().unwrap()];
        let list = hosts.values().map(|host| (host.clone(), devices.clone()));
        let pool = Pool::new(list.collect(), "layouts".parse().unwrap());
        Self {
            lab,
            cluster,
            pool,
            hosts,
        }
    }

    pub async fn perform(&self, host: &str, operation: &Operation) -> Output {
        self.hosts[host]
            .perform(operation)
            .await
            .unwrap()
            .pop()
            .unwrap()
    }

    /// Six hosts become one pool.
    pub async fn join_hosts(&self) {
        for _ in 0..60 {
            let view = self.pool.observe(Instant::now()).await.view;
            let plan = cluster::plan(&self.cluster, &view);
            let connected = view.answered().all(|(_, facts)| {
                facts.state.peers.len() == 5 && facts.state.peers.iter().all(|peer| peer.connected)
            });
            if plan.steps.is_empty() && connected {
                return;
            }
            if let Some(host) = cluster::coordinator(&self.cluster, &view) {
                for step in &plan.steps {
                    self.pool.execute(step, host).await.unwrap();
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        panic!("the hosts do not join");
    }

    pub fn want(&self, name: &str, more: &Value) -> ValidVolume {
        let mut spec = json!({"clusterName": "prod", "deletionPolicy": "Delete"});
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        let tenant = Tenant {
            namespace: "shop",
            namespace_uid: KUBE,
            operators_own: false,
            selected: false,
        };
        // each an id of its own
        let hash = name
            .bytes()
            .fold(7_u32, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
        let uid = format!("{hash:08x}-0000-0000-0000-00000000000d");
        let spec = serde_json::from_value(spec).unwrap();
        validate::volume(
            &tenant,
            name,
            &uid,
            &spec,
            &GlusterVolumeStatus::default(),
            &self.cluster,
        )
        .unwrap()
    }

    pub async fn make(&self, layouts: &[Layout]) {
        let all = layouts.iter().map(|layout| async {
            let want = self.want(layout.name, &layout.fields());
            let failed = self.settle(&want).await;
            assert!(failed.is_empty(), "{}: {failed:?}", layout.name);
        });
        join_all(all).await;
    }

    async fn look(&self, want: &ValidVolume) -> (Arc<PoolView>, VolumeView, Wish) {
        let view = self.pool.observe(Instant::now()).await.view;
        let wish = Wish::default();
        let mut bricks = volume::bricks_to_inspect(want, &self.cluster, &view);
        let search = if volume::seen(want, &self.cluster, &view).is_none() {
            // as in the product: a search that took too long is looked for again
            self.pool.search(&want.volume, &mut bricks).await
        } else {
            Search::NotAsked
        };
        let started = volume::seen(want, &self.cluster, &view)
            .is_some_and(|volume| volume.status == VolumeStatus::Started);
        let ask = started && want.state != gluster_operator::api::volume::State::Started;
        let coordinator = cluster::coordinator(&self.cluster, &view);
        let inspected = self
            .pool
            .inspect(
                &want.volume,
                &bricks,
                None,
                coordinator.filter(|_| ask),
                false,
            )
            .await;
        let inspected = VolumeView {
            search,
            ..inspected
        };
        (view, inspected, wish)
    }

    fn situation<'s>(
        &'s self,
        pool: &'s PoolView,
        view: &'s VolumeView,
        wish: &'s Wish,
    ) -> Situation<'s> {
        Situation {
            cluster: &self.cluster,
            pool,
            view,
            wish,
            unsettled: None,
            now: 1,
        }
    }

    pub async fn plan(&self, want: &ValidVolume) -> Plan {
        let (pool, view, wish) = self.look(want).await;
        volume::plan(want, self.situation(&pool, &view, &wish))
    }

    /// Looks, plans, takes the steps, until nothing is left to do; what gluster refused of the user's options.
    pub async fn settle(&self, want: &ValidVolume) -> Vec<StepFailure> {
        let mut refused = Vec::new();
        let mut findings = Vec::new();
        for _ in 0..20 {
            let (pool, view, wish) = self.look(want).await;
            let plan = volume::plan(want, self.situation(&pool, &view, &wish));
            let host = cluster::coordinator(&self.cluster, &pool).unwrap();
            let bricks_down = holds(&plan, ConditionType::Healthy) == Some(false)
                && reason(&plan, ConditionType::Healthy) == Some(Reason::BrickDown);
            if plan.steps.is_empty()
                && !bricks_down
                && holds(&plan, ConditionType::InSync) == Some(true)
            {
                return refused;
            }
            findings.clone_from(&plan.findings);
            for step in &plan.steps {
                match (self.pool.execute(step, host).await, step) {
                    (Ok(()), _) => {}
                    (Err(failure), Step::SetOptions { each: true, .. })
                        if failure.class == Class::Refused =>
                    {
                        refused.push(failure);
                    }
                    (Err(failure), _) if failure.class == Class::Busy => break,
                    (Err(failure), step) => panic!("{step:?}: {failure}"),
                }
            }
            if !refused.is_empty() {
                return refused;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{}: no end: {findings:?}", want.volume);
    }

    pub async fn volume(&self, want: &ValidVolume) -> Volume {
        let view = self.pool.observe(Instant::now()).await.view;
        volume::seen(want, &self.cluster, &view).unwrap().clone()
    }

    /// To the trash, with its manifest.
    pub async fn delete(&self, layout: &Layout) {
        let mut spec = layout.fields();
        spec["state"] = json!("Stopped");
        let want = self.want(layout.name, &spec);
        for _ in 0..10 {
            let (pool, view, wish) = self.look(&want).await;
            let situation = self.situation(&pool, &view, &wish);
            let Deletion::Going(plan) = deletion::plan(&want, situation, &[]) else {
                return;
            };
            let host = cluster::coordinator(&self.cluster, &pool).unwrap();
            for step in &plan.steps {
                self.pool
                    .execute(step, host)
                    .await
                    .unwrap_or_else(|failure| panic!("{failure}"));
            }
            assert!(!plan.steps.is_empty(), "{:?}", plan.findings);
        }
        panic!("{}: it stays", layout.name);
    }

    /// What lies in the trash of the volume's bricks: those named by hand may lie side by side, and have 8 hex of their path in
    /// their names there.
    pub fn is_in_the_trash(&self, layout: &Layout) {
        for brick in layout.exact {
            let (host, path) = brick.split_once(':').unwrap();
            let hash = self
                .lab
                .shell(host, &format!("printf %s {path} | sha256sum | cut -c1-8"));
            let entry = format!(
                "/srv/bricks/d1/.trash/shop_{}-*-{}",
                layout.name,
                hash.trim()
            );
            let look = format!(
                "test -d {entry}/.glusterfs && test -f $(echo {entry}).json && ! test -e {path}"
            );
            self.lab.shell(host, &look);
        }
    }

    /// Does by hand what the manifest says.
    pub fn restore(&self, layout: &Layout) {
        let want = self.want(layout.name, &layout.fields());
        let file = format!("/srv/bricks/d1/.trash/{}-*.json", want.volume);
        let found = names().find_map(|host| {
            let output = self.lab.sh(
                &host,
                &["sh", "-c", &format!("cat $(ls {file} | head -n1)")],
            );
            output.status.success().then_some(output.stdout)
        });
        let manifest: Value = serde_json::from_slice(&found.unwrap()).unwrap();
        for moved in manifest["trash"].as_array().unwrap() {
            let word = |key: &str| moved[key].as_str().unwrap();
            self.lab
                .run(word("host"), &["mv", "-T", word("from"), word("to")]);
        }
        let create = manifest["create"].as_str().unwrap();
        self.gluster(create.strip_prefix("gluster ").unwrap());
        for (key, value) in manifest["options"].as_object().unwrap() {
            if key.starts_with("features.shard") {
                self.gluster(&format!(
                    "volume set {} {key} {}",
                    want.volume,
                    value.as_str().unwrap()
                ));
            }
        }
        self.gluster(&format!("volume start {}", want.volume));
    }

    /// What gluster says on node1.
    pub fn gluster(&self, words: &str) -> String {
        self.lab
            .shell("node1", &format!("gluster --mode=script {words}"))
    }

    pub fn mount(&self, name: &str) -> String {
        let at = format!("/mnt/{name}");
        let volume = format!("shop_{name}");
        self.lab.shell(
            "client1",
            &format!(
                "mkdir -p {at}; mountpoint -q {at} || mount -t glusterfs -o backup-volfile-servers=node2:node3 node1:/{volume} {at}; \
                 for i in $(seq 100); do grep -q ' {at} fuse.glusterfs' /proc/self/mounts && stat {at} >/dev/null && exit 0; sleep 0.1; done; exit 1"
            ),
        );
        at
    }

    pub fn unmount(&self, name: &str) {
        self.lab.shell(
            "client1",
            &format!(
                "if mountpoint -q /mnt/{name}; then umount /mnt/{name} || umount -l /mnt/{name}; fi"
            ),
        );
        // the bricks learn of it a moment later
        for _ in 0..100 {
            let clients = self.gluster(&format!("volume status shop_{name} clients"));
            if !clients.contains(&format!("{}:", self.lab.address("client1"))) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{name} stays mounted");
    }
}

impl Layout {
    /// What a spec has of it.
    pub fn fields(&self) -> Value {
        let mut fields = json!({"layout": self.spec});
        if !self.exact.is_empty() {
            fields["bricks"] = json!(self.exact);
        }
        fields
    }

    /// Its bricks, as gluster lists them.
    pub fn bricks(&self, world: &World<'_>) -> Vec<Brick> {
        let info = world.gluster(&format!("volume info shop_{}", self.name));
        let bricks = info.lines().filter_map(|line| {
            let (head, brick) = line.split_once(": ")?;
            let numbered = head.strip_prefix("Brick")?.parse::<u32>().is_ok();
            let brick = brick.trim_end_matches(" (arbiter)");
            numbered.then(|| brick.parse().unwrap())
        });
        bricks.collect()
    }

    /// Bricks of a set.
    pub fn size(&self) -> usize {
        self.set.whole + self.set.empty + self.set.parts
    }

    pub fn is_as_gluster_says(&self, world: &World<'_>) {
        let info = world.gluster(&format!("volume info shop_{}", self.name));
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{info}")).trim().to_owned()
        };
        assert_eq!(field("Type:"), self.type_name, "{}", self.name);
        assert_eq!(field("Number of Bricks:"), self.count, "{}", self.name);
        let size = self.size();
        let bricks = self.bricks(world);
        if !self.exact.is_empty() {
            let list: Vec<String> = bricks.iter().map(ToString::to_string).collect();
            assert_eq!(list, self.exact, "{}: the order of bricks", self.name);
        }
        for set in bricks.chunks(size) {
            let mut zones = [0; 3];
            for (at, brick) in set.iter().enumerate() {
                zones[zone(brick.host.as_str())] += 1;
                assert!(
                    set[..at].iter().all(|other| other.host != brick.host),
                    "{}: {set:?}",
                    self.name
                );
            }
            let most = size.div_ceil(3);
            assert!(
                zones.iter().all(|count| *count <= most),
                "{}: {set:?}",
                self.name
            );
        }
        let arbiters = info
            .lines()
            .filter(|line| line.ends_with(" (arbiter)"))
            .count();
        assert_eq!(arbiters, self.set.empty * bricks.len() / size, "{info}");
    }
}

pub fn holds(plan: &Plan, kind: ConditionType) -> Option<bool> {
    let finding = plan.findings.iter().rfind(|finding| finding.kind == kind);
    finding.and_then(|finding| finding.holds)
}

pub fn reason(plan: &Plan, kind: ConditionType) -> Option<Reason> {
    let finding = plan.findings.iter().rfind(|finding| finding.kind == kind);
    finding.map(|finding| finding.reason)
}
