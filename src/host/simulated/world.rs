//! The state of all machines, who sees whom, and what happens by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::gluster::operation::PROGRAMS;

use super::Quirk;
use super::files::Files;

/// How long after a cut a glusterd with a ping-timeout notices, besides that timeout (measured: 15.7 s with 10).
pub(super) const NOTICED_LATER: Duration = Duration::from_secs(6);
pub(super) const GLUSTERD_VOL: &str = "/etc/glusterfs/glusterd.vol";

/// How a glusterd is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Daemon {
    Running,
    Stopped,
    Hung,
}

/// Another host, as a glusterd knows it.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub uuid: String,
    pub hostname: String,
    pub aliases: Vec<String>,
}

/// A brick of a volume.
#[derive(Debug, Clone)]
pub(super) struct Brick {
    pub host: String,
    pub path: String,
    pub uuid: String,
    pub arbiter: bool,
}

/// How many bricks make a set, and how many of them what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Copies; 1 without.
    pub replica: usize,
    /// Of them, arbiters.
    pub arbiter: usize,
    /// Bricks of a dispersed set; 0: not dispersed.
    pub disperse: usize,
    pub redundancy: usize,
}

impl Shape {
    /// Bricks of one set.
    pub(super) fn set(self) -> usize {
        self.replica.max(self.disperse).max(1)
    }
}

/// A volume, as one glusterd has it in its store.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    pub id: String,
    pub shape: Shape,
    pub bricks: Vec<Brick>,
    /// Created, Started or Stopped.
    pub status: &'static str,
    pub options: BTreeMap<String, String>,
    /// Grows with each change, so that who comes back can tell what is newer.
    pub version: u64,
    /// Limits by path.
    pub limits: BTreeMap<String, u64>,
}

impl Volume {
    pub(super) fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    pub(super) fn quota(&self) -> bool {
        self.option("features.quota") == Some("on")
    }

    pub(super) fn started(&self) -> bool {
        self.status == "Started"
    }

    pub(super) fn server_quorum(&self) -> bool {
        self.option("cluster.server-quorum-type") == Some("server")
    }
}

/// What clients put into a volume.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub used: u64,
    pub directories: BTreeSet<String>,
}

/// A command that hangs in a glusterd, since a peer is silent.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub volume: String,
    pub originator: String,
    pub words: Vec<String>,
}

/// A machine.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub name: String,
    pub address: String,
    pub uuid: String,
    pub on: bool,
    /// Since when its cable is cut.
    pub cut: Option<Duration>,
    pub daemon: Daemon,
    /// Its store can't be read any more.
    pub torn: bool,
    pub ping_timeout: u32,
    /// Uuids of peers that a command waited for in vain: they count as gone until they are heard of again.
    pub lost: BTreeSet<String>,
    pub op_version: u32,
    pub peers: Vec<Peer>,
    pub volumes: BTreeMap<String, Volume>,
    /// On disk, and unknown to the glusterd that runs.
    pub ghosts: BTreeMap<String, Volume>,
    pub pool_options: BTreeMap<String, String>,
    pub files: Files,
    /// Paths of bricks whose process runs.
    pub running: BTreeSet<String>,
    pub brick_limit: Option<usize>,
    /// Volumes whose bricks were killed for want of quorum.
    pub killed: BTreeSet<String>,
    pub held_locks: BTreeSet<String>,
    pub programs: BTreeSet<String>,
    /// Volumes whose crawl never ends.
    pub crawls: BTreeSet<String>,
    /// Where volumes are mounted, and which.
    pub volume_mounts: BTreeMap<String, String>,
}

impl Machine {
    /// It can be reached from outside.
    pub(super) fn reached(&self) -> bool {
        self.on && self.cut.is_none()
    }

    /// Its glusterd does what others ask.
    pub(super) fn answers(&self) -> bool {
        self.reached() && self.daemon == Daemon::Running
    }
}

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct World {
    seed: u64,
    pub now: Duration,
    pub off: BTreeSet<Quirk>,
    pub hits: BTreeMap<Quirk, u64>,
    pub machines: BTreeMap<String, Machine>,
    /// By volume id.
    pub contents: BTreeMap<String, Content>,
    pub pending: Vec<Pending>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            now: Duration::ZERO,
            off: BTreeSet::new(),
            hits: BTreeMap::new(),
            machines: BTreeMap::new(),
            contents: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, name: &str, device: &str) {
        let mut files = Files::new();
        files.mount(device);
        let uuid = self.uuid();
        let address = format!("10.0.0.{}", self.machines.len() + 1);
        let machine = Machine {
            name: name.to_owned(),
            address,
            uuid,
            on: true,
            cut: None,
            daemon: Daemon::Running,
            torn: false,
            ping_timeout: 0,
            lost: BTreeSet::new(),
            op_version: 100_000,
            peers: Vec::new(),
            volumes: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            pool_options: BTreeMap::new(),
            files,
            running: BTreeSet::new(),
            brick_limit: None,
            killed: BTreeSet::new(),
            held_locks: BTreeSet::new(),
            programs: PROGRAMS
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            crawls: BTreeSet::new(),
            volume_mounts: BTreeMap::new(),
        };
        self.machines.insert(name.to_owned(), machine);
        self.set_ping_timeout(name, 0);
    }

    /// True if the quirk is on; then it is counted.
    pub(super) fn quirk(&mut self, quirk: Quirk) -> bool {
        if self.off.contains(&quirk) {
            return false;
        }
        *self.hits.entry(quirk).or_default() += 1;
        true
    }

    /// The next number of the seed (splitmix64).
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn uuid(&mut self) -> String {
        let hex = format!("{:016x}{:016x}", self.random(), self.random());
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        parts.join("-")
    }

    pub(super) fn set_ping_timeout(&mut self, host: &str, seconds: u32) {
        if let Some(machine) = self.machines.get_mut(host) {
            machine.ping_timeout = seconds;
            let text = format!(
                "volume management\n    type mgmt/glusterd\n    option ping-timeout {seconds}\nend-volume\n"
            );
            machine.files.put(GLUSTERD_VOL, &text);
        }
    }

    /// The machine with that name or address.
    pub(super) fn resolve(&self, name: &str) -> Option<&Machine> {
        self.machines
            .values()
            .find(|machine| machine.name == name || machine.address == name)
    }

    pub(super) fn by_uuid(&self, uuid: &str) -> Option<&Machine> {
        self.machines.values().find(|machine| machine.uuid == uuid)
    }

    /// Whether glusterd of one machine believes to be connected with another.
    pub(super) fn connected(&self, from: &Machine, to: &Machine) -> bool {
        if !to.on || to.daemon == Daemon::Stopped || from.lost.contains(&to.uuid) {
            return false;
        }
        // a cable is cut for both ends
        let lost = to.cut.max(from.cut);
        lost.is_none_or(|since| {
            let seconds = Duration::from_secs(u64::from(from.ping_timeout));
            from.ping_timeout == 0 || self.now < since + seconds + NOTICED_LATER
        })
    }

    /// Peers of a machine that are connected, as it believes: their names.
    pub(super) fn connected_peers(&self, host: &str) -> Vec<String> {
        let Some(machine) = self.machines.get(host) else {
            return Vec::new();
        };
        let peers = machine.peers.iter();
        peers
            .filter_map(|peer| self.by_uuid(&peer.uuid))
            .filter(|peer| self.connected(machine, peer))
            .map(|peer| peer.name.clone())
            .collect()
    }

    /// Whether a machine sees enough of its pool for volumes with server quorum.
    pub(super) fn quorate(&self, host: &str) -> bool {
        let Some(machine) = self.machines.get(host) else {
            return false;
        };
        let all = machine.peers.len() + 1;
        let seen = self.connected_peers(host).len() + 1;
        let ratio = machine.pool_options.get("cluster.server-quorum-ratio");
        let needed = match ratio.and_then(|text| text.trim_end_matches('%').parse::<usize>().ok()) {
            Some(percent) => (all * percent).div_ceil(100),
            None => all / 2 + 1,
        };
        seen >= needed
    }
}
