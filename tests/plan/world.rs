//! A pool in memory, small: hosts that answer or not, brick directories, one volume, its quota. It takes steps as gluster
//! would, and refuses what gluster would refuse.

use std::collections::{BTreeMap, BTreeSet};

use gluster_operator::api::volume::GlusterVolumeStatus;
use gluster_operator::gluster::model::{
    BrickClients, BrickFacts, DeviceFacts, GlusterdState, HostFacts, HostView, Peer, PoolView,
    QuotaLimit, QuotaView, Search, SilentKind, Volume, VolumeBrick, VolumeStatus, VolumeView,
};
use gluster_operator::gluster::names::{
    ALLOW_NOBODY, ALLOW_OPTION, Brick, Bytes, HostName, OwnerId,
};
use gluster_operator::gluster::operation::SetShape;
use gluster_operator::plan::attach::Wish;
use gluster_operator::plan::step::Step;
use gluster_operator::plan::validate::{self, Tenant, ValidCluster, ValidVolume};
use gluster_operator::plan::volume::{Situation, bricks_to_inspect};
use serde_json::{Value, json};

pub const KUBE: &str = "00000000-0000-0000-0000-00000000000a";
pub const UID: &str = "0000000b-0000-0000-0000-00000000000b";
pub const NAMESPACE_UID: &str = "00000000-0000-0000-0000-00000000000c";
pub const VOLUME_UID: &str = "0000000d-0000-0000-0000-00000000000d";

pub const CLOSED: &str = "server.allow-insecure";

pub fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// A cluster of hosts `n1`…, each with a device `/b`, with these fields besides.
pub fn cluster(count: usize, more: Value) -> ValidCluster {
    let nodes: Vec<Value> = (1..=count)
        .map(|i| json!({"name": format!("n{i}"), "devices": [{"path": "/b"}]}))
        .collect();
    let mut spec = json!({
        "access": {"ssh": {"secretRef": {"name": "s"}}}, "nodes": nodes,
        "tenancy": {"namespaces": {"from": "All"}, "bricks": "Allow"},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    validate::cluster("prod", UID, KUBE, &serde_json::from_value(spec).unwrap()).unwrap()
}

pub fn tenant() -> Tenant<'static> {
    Tenant {
        namespace: "shop",
        namespace_uid: NAMESPACE_UID,
        operators_own: false,
        selected: false,
    }
}

/// The volume `shop/data` with these fields besides its cluster, and the options that were owned before.
pub fn want(cluster: &ValidCluster, more: Value, owned: &[&str]) -> ValidVolume {
    let mut spec = json!({"clusterName": "prod"});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let before = GlusterVolumeStatus {
        owned_options: owned.iter().map(ToString::to_string).collect(),
        ..GlusterVolumeStatus::default()
    };
    validate::volume(
        &tenant(),
        "data",
        VOLUME_UID,
        &serde_json::from_value(spec).unwrap(),
        &before,
        cluster,
    )
    .unwrap()
}

#[derive(Clone, Debug)]
pub struct Host {
    pub uuid: String,
    pub owner: Option<String>,
    /// Which pool it is in.
    pub pool: u32,
    /// `Some(believed)`: it does not answer, and the others believe it to be connected, or not.
    pub silent: Option<bool>,
}

#[derive(Clone, Debug)]
pub struct World {
    pub hosts: BTreeMap<HostName, Host>,
    pub bricks: BTreeMap<Brick, BrickFacts>,
    /// The one volume, and the hosts that know it.
    pub volume: Option<(Volume, BTreeSet<HostName>)>,
    pub limit: Option<u64>,
    pub used: u64,
    /// What counting the files of bricks gives.
    pub held: BTreeMap<Brick, Result<Bytes, String>>,
    /// What hosts say of quota's crawl.
    pub crawling: Option<bool>,
    pub options: BTreeMap<String, String>,
    /// The pool that a probed host joins: that of the host on which commands run.
    pub main: u32,
}

impl World {
    /// Hosts `n1`… that answer, all in one pool that `cluster` owns, without a volume.
    pub fn settled(cluster: &ValidCluster) -> Self {
        let mut world = Self::lone(cluster);
        for host in world.hosts.values_mut() {
            host.pool = 0;
            host.owner = Some(cluster.owner.to_string());
        }
        world
    }

    /// Each alone, owned by nobody.
    pub fn lone(cluster: &ValidCluster) -> Self {
        let make = |(i, name): (usize, HostName)| {
            let uuid = format!("{:08x}-1111-1111-1111-111111111111", i + 1);
            (
                name,
                Host {
                    uuid,
                    owner: None,
                    pool: u32::try_from(i).unwrap(),
                    silent: None,
                },
            )
        };
        let names = cluster.nodes.iter().map(|node| node.name.clone());
        Self {
            hosts: names.enumerate().map(make).collect(),
            bricks: BTreeMap::new(),
            volume: None,
            limit: None,
            used: 0,
            held: BTreeMap::new(),
            crawling: Some(false),
            options: BTreeMap::new(),
            main: 0,
        }
    }

    pub fn view(&self, cluster: &ValidCluster) -> PoolView {
        let device = DeviceFacts::Present {
            mount_point: "/b".into(),
            size: Bytes(1 << 40),
            free: Bytes(1 << 39),
            fs_id: "1".into(),
        };
        let mut hosts = BTreeMap::new();
        for node in &cluster.nodes {
            let me = &self.hosts[&node.name];
            if me.silent.is_some() {
                let why = format!("{}: no answer", node.name);
                hosts.insert(
                    node.name.clone(),
                    HostView::Silent {
                        why,
                        kind: SilentKind::Unreachable,
                    },
                );
                continue;
            }
            let mates = self
                .hosts
                .iter()
                .filter(|(name, other)| **name != node.name && other.pool == me.pool);
            let peers = mates.map(|(name, other)| Peer {
                uuid: other.uuid.parse().unwrap(),
                hostname: name.to_string(),
                other_names: vec![],
                state: "Peer in Cluster".into(),
                connected: other.silent.unwrap_or(true),
            });
            let known = self
                .volume
                .iter()
                .filter(|(_, known)| known.contains(&node.name));
            let volumes = known.map(|(volume, _)| {
                let mut volume = volume.clone();
                for brick in &mut volume.bricks {
                    let own = brick.host == node.name.as_str();
                    brick.online = own.then_some(volume.status == VolumeStatus::Started);
                }
                volume
            });
            let facts = HostFacts {
                state: GlusterdState {
                    uuid: Some(me.uuid.parse().unwrap()),
                    op_version: 100_000,
                    global_options: self.options.clone(),
                    peers: peers.collect(),
                    volumes: volumes.collect(),
                    services_online: vec![],
                },
                owner: me.owner.clone(),
                ping_timeout: Some(0),
                ping_in_force: Some(true),
                version: "10.3".into(),
                addresses: BTreeSet::new(),
                devices: node
                    .devices
                    .iter()
                    .map(|path| (path.clone(), device.clone()))
                    .collect(),
            };
            hosts.insert(node.name.clone(), HostView::Answered(Box::new(facts)));
        }
        PoolView {
            hosts,
            ..PoolView::default()
        }
    }

    pub fn inspect(&self, want: &ValidVolume, cluster: &ValidCluster) -> VolumeView {
        let look = |brick: Brick| {
            let silent = self
                .hosts
                .get(&brick.host)
                .is_none_or(|host| host.silent.is_some());
            let facts = if silent {
                BrickFacts::Unknown("no answer".into())
            } else {
                self.bricks
                    .get(&brick)
                    .cloned()
                    .unwrap_or(BrickFacts::Missing)
            };
            (brick, facts)
        };
        let quota = match (&self.volume, self.limit) {
            (Some((volume, _)), _) if !volume.quota_enabled() => QuotaView::Off,
            (Some(_), Some(limit)) => QuotaView::Limit(QuotaLimit {
                path: "/".into(),
                hard_limit: Bytes(limit),
                used: Bytes(self.used),
            }),
            (Some(_), None) => QuotaView::NoLimit,
            (None, _) => QuotaView::Unknown,
        };
        let mut bricks = bricks_to_inspect(want, cluster, &self.view(cluster));
        if want.bricks.is_none() {
            let prefix = format!("{}-", want.volume);
            let named = |brick: &&Brick| {
                brick
                    .path
                    .as_str()
                    .split('/')
                    .any(|part| part.starts_with(&prefix))
            };
            bricks.extend(self.bricks.keys().filter(named).cloned());
        }
        VolumeView {
            limit_before: None,
            held: self.held.clone(),
            bricks: bricks.into_iter().map(look).collect(),
            search: self.search(cluster),
            quota,
            crawling: self.crawling,
            clients: Some(self.nobody()),
            clients_unknown: None,
            unsteady: false,
            mounts: cluster
                .nodes
                .iter()
                .map(|node| {
                    let silent = self.hosts[&node.name].silent.is_some();
                    let found = if silent {
                        Err("no answer".to_owned())
                    } else {
                        Ok(Vec::new())
                    };
                    (node.name.clone(), found)
                })
                .collect(),
            start_tried: None,
        }
    }

    /// Bricks without clients.
    fn nobody(&self) -> Vec<BrickClients> {
        let bricks = self.volume.iter().flat_map(|(volume, _)| &volume.bricks);
        let nobody = bricks.map(|brick| BrickClients {
            host: brick.host.clone(),
            path: brick.path.clone(),
            clients: Some(Vec::new()),
        });
        nobody.collect()
    }

    /// Whether every device could be searched for bricks.
    fn search(&self, cluster: &ValidCluster) -> Search {
        let mut names = cluster.nodes.iter().map(|node| &node.name);
        match names.find(|name| self.hosts[*name].silent.is_some()) {
            Some(name) => Search::Incomplete(format!("{name}: no answer")),
            None => Search::Complete,
        }
    }

    /// Calls `f` with the situation as it is now.
    pub fn with<T>(
        &self,
        want: &ValidVolume,
        cluster: &ValidCluster,
        f: impl FnOnce(Situation<'_>) -> T,
    ) -> T {
        let (pool, view) = (self.view(cluster), self.inspect(want, cluster));
        f(Situation {
            cluster,
            pool: &pool,
            view: &view,
            wish: &Wish::default(),
            unsettled: None,
            now: 1,
        })
    }

    fn volume(&mut self) -> Result<&mut Volume, String> {
        self.volume
            .as_mut()
            .map(|(volume, _)| volume)
            .ok_or_else(|| "no such volume".into())
    }

    /// Takes a step, or says why gluster would not.
    pub fn take(&mut self, step: &Step) -> Result<(), String> {
        let refuse = |why: &str| Err(why.to_owned());
        match step {
            Step::ClaimHost {
                host,
                owner,
                replace,
            } => {
                let host = self.hosts.get_mut(host).unwrap();
                let before = host.owner.as_deref();
                let replaced = replace.as_ref().map(OwnerId::as_str);
                if before.is_some() && before != replaced && before != Some(owner.as_str()) {
                    return refuse("there is another owner");
                }
                host.owner = Some(owner.to_string());
            }
            Step::ReleaseHost { host } => self.hosts.get_mut(host).unwrap().owner = None,
            Step::ProbePeer { host } => {
                self.hosts.get_mut(host).unwrap().pool = self.main;
            }
            Step::SetPoolOptions(options) => {
                self.options
                    .extend(options.iter().map(|(k, v)| (k.to_string(), v.to_string())));
            }
            Step::MakeBricks { places, mark } => {
                for place in places {
                    if self.hosts[&place.host].silent.is_some() {
                        return refuse("no answer");
                    }
                    let made = BrickFacts::Present {
                        owner: Some(mark.clone()),
                        foreign_mark: false,
                        volume_id: None,
                        empty: true,
                    };
                    let facts = self.bricks.entry(place.brick()).or_insert(made);
                    if let BrickFacts::Present { owner, .. } = facts {
                        *owner = Some(mark.clone());
                    }
                }
            }
            Step::MarkBricks { bricks, mark } => {
                for brick in bricks {
                    match self.bricks.get_mut(brick) {
                        Some(BrickFacts::Present { owner, .. }) => *owner = Some(mark.clone()),
                        _ => return refuse("no such brick"),
                    }
                }
            }
            Step::CreateVolume {
                volume,
                shape,
                bricks,
            } => {
                if self.volume.is_some() {
                    return refuse("already exists");
                }
                for brick in bricks {
                    match self.bricks.get_mut(brick) {
                        Some(BrickFacts::Present {
                            volume_id: id @ None,
                            owner: Some(_),
                            ..
                        }) => *id = Some("id-1".into()),
                        _ => return refuse("a brick is not there, or part of a volume"),
                    }
                }
                // as get-state prints the counts
                let (replica_count, arbiter_count, disperse_count, redundancy_count) = match *shape
                {
                    SetShape::Distribute => (1, 0, 0, 0),
                    SetShape::Replicate { copies } => (copies, 0, 0, 0),
                    SetShape::Arbiter => (3, 1, 0, 0),
                    SetShape::Disperse { data, redundancy } => {
                        (1, 0, data + redundancy, redundancy)
                    }
                };
                let list = bricks.iter().enumerate().map(|(at, brick)| VolumeBrick {
                    host: brick.host.to_string(),
                    path: brick.path.to_string(),
                    online: None,
                    port: None,
                    arbiter: shape.is_arbiter(at),
                });
                let made = Volume {
                    name: volume.to_string(),
                    id: "id-1".into(),
                    type_name: "Replicate".into(),
                    bricks: list.collect(),
                    replica_count,
                    arbiter_count,
                    disperse_count,
                    redundancy_count,
                    ..Volume::default()
                };
                self.volume = Some((made, self.hosts.keys().cloned().collect()));
            }
            Step::SetOptions { options, .. } => {
                let set = options.iter().map(|(k, v)| (k.to_string(), v.to_string()));
                self.volume()?.options.extend(set);
            }
            Step::ResetOption { key, .. } => {
                self.volume()?.options.remove(key.as_str());
            }
            Step::StartVolume(_) => self.volume()?.status = VolumeStatus::Started,
            Step::EnableQuota(_) => {
                let volume = self.volume()?;
                if volume.status != VolumeStatus::Started {
                    return refuse("not started");
                }
                if volume
                    .options
                    .get(CLOSED)
                    .is_some_and(|value| value == "off")
                {
                    return refuse("the crawl would hang for ever");
                }
                volume.options.insert("features.quota".into(), "on".into());
            }
            Step::LimitUsage(_, bytes) => {
                if !self.volume()?.quota_enabled() {
                    return refuse("quota is off");
                }
                self.limit = Some(bytes.0);
            }
            Step::RemoveLimit(_) => self.limit = None,
            Step::Fence { .. } => {
                self.volume()?
                    .options
                    .insert(ALLOW_OPTION.into(), ALLOW_NOBODY.into());
            }
            Step::Admit { addresses, .. } => {
                self.volume()?
                    .options
                    .insert(ALLOW_OPTION.into(), addresses.to_string());
            }
            Step::DetachPeer { host } => {
                let other = self.hosts.values().map(|host| host.pool).max().unwrap() + 1;
                self.hosts.get_mut(host).unwrap().pool = other;
            }
            Step::ResetPoolOption(key) => {
                self.options.remove(key.as_str());
            }
            Step::RaiseOpVersion(_)
            | Step::WritePingTimeout { .. }
            | Step::PurgeTrash { .. }
            | Step::NoteTrash { .. }
            | Step::ForgetTrash { .. }
            | Step::StartBricks(_)
            | Step::WriteManifest { .. } => {}
            Step::StopVolume(_) => self.volume()?.status = VolumeStatus::Stopped,
            Step::DeleteVolume(_) => {
                if self.volume()?.status == VolumeStatus::Started {
                    return refuse("it is started");
                }
                self.volume = None;
                self.limit = None;
            }
            Step::TrashBricks { places, .. } => {
                for place in places {
                    self.bricks.remove(&place.brick());
                }
            }
        }
        Ok(())
    }
}
