//! `volume create`, for every layout.

use std::collections::{BTreeMap, BTreeSet};

use crate::gluster::outcome::Output;

use super::Quirk;
use super::answers::{self, Tail, refused, usage, xml};
use super::files::{GFID, VOLUME_ID, is_below, parent};
use super::gluster::Phase;
use super::world::{Brick, Shape, Volume, World};

const HOW: &str = "volume create <NEW-VOLNAME> [[replica <COUNT> [arbiter <COUNT>]]|[replica 2 thin-arbiter 1]] [disperse [<COUNT>]] [disperse-data <COUNT>] [redundancy <COUNT>] [transport <tcp|rdma|tcp,rdma>] <NEW-BRICK> <TA-BRICK>... [force]";
const FORCE: &str = "se 'force' at the end of the command if you want to override this behavior.";

/// What a command line asks for.
#[derive(Debug, Default)]
struct Wish<'a> {
    shape: Shape,
    bricks: Vec<&'a str>,
    force: bool,
}

/// Reads the words behind the volume's name.
fn read<'a>(words: &[&'a str]) -> Result<Wish<'a>, String> {
    let mut wish = Wish::default();
    wish.shape.replica = 1;
    let (mut data, mut redundancy, mut disperse) = (None, None, None);
    let mut rest = words;
    loop {
        let number = |text: &str| {
            text.parse::<usize>()
                .map_err(|_| format!("Invalid number {text}"))
        };
        rest = match rest {
            ["replica", count, rest @ ..] => {
                wish.shape.replica = number(count)?;
                if wish.shape.replica < 2 {
                    return Err("replica count should be greater than 1".to_owned());
                }
                rest
            }
            ["arbiter", count, rest @ ..] => {
                wish.shape.arbiter = number(count)?;
                // both `replica 3 arbiter 1` and `replica 2 arbiter 1` mean two copies and an arbiter
                if wish.shape.arbiter != 1 || !(2..=3).contains(&wish.shape.replica) {
                    return Err("For arbiter configuration, replica count must be 2 and arbiter count must be 1. The 3rd brick of the replica will be the arbiter".to_owned());
                }
                wish.shape.replica = 3;
                rest
            }
            ["disperse", count, rest @ ..] => {
                disperse = Some(number(count)?);
                rest
            }
            ["disperse-data", count, rest @ ..] => {
                data = Some(number(count)?);
                rest
            }
            ["redundancy", count, rest @ ..] => {
                redundancy = Some(number(count)?);
                rest
            }
            ["transport", _, rest @ ..] => rest,
            [bricks @ .., "force"] => {
                wish.force = true;
                wish.bricks = bricks.to_vec();
                break;
            }
            bricks => {
                wish.bricks = bricks.to_vec();
                break;
            }
        };
    }
    if disperse.is_some() || data.is_some() || redundancy.is_some() {
        let redundancy = redundancy.unwrap_or(1);
        let set = disperse
            .or(data.map(|data| data + redundancy))
            .unwrap_or(wish.bricks.len());
        if set < 3 {
            return Err(
                "disperse count must be greater than 2\ndisperse option given twice".to_owned(),
            );
        }
        if redundancy < 1 || redundancy * 2 >= set {
            return Err(format!(
                "redundancy must be greater than or equal to 1 and less than {} for a disperse {set} volume",
                set.div_ceil(2)
            ));
        }
        if wish.bricks.len() % set != 0 {
            return Err("number of bricks is not a multiple of disperse count".to_owned());
        }
        wish.shape.disperse = set;
        wish.shape.redundancy = redundancy;
    }
    let mut seen = BTreeSet::new();
    for brick in &wish.bricks {
        if !brick.contains(":/") {
            return Err(format!(
                "Wrong brick type: {brick}, use <HOSTNAME>:<export-dir-abs-path>"
            ));
        }
        if !seen.insert(*brick) {
            return Err(format!("Found duplicate exports {brick}"));
        }
    }
    Ok(wish)
}

/// What the CLI refuses without asking glusterd.
pub(super) fn checked_by_cli(words: &[&str]) -> Option<Output> {
    let ["volume", "create", _, rest @ ..] = words else {
        return None;
    };
    read(rest).err().map(|error| usage(&error, HOW))
}

impl World {
    pub(super) fn create(&mut self, host: &str, name: &str, words: &[&str]) -> Output {
        let Ok(wish) = read(words) else {
            return refused(Tail::Bare, "");
        };
        if self.known(host, name).is_some() {
            return xml(-1, 0, &format!("Volume {name} already exists"), "");
        }
        if let Some(refusal) = self.without_quorum(host) {
            return refusal;
        }
        let bricks: Vec<Brick> = wish
            .bricks
            .iter()
            .enumerate()
            .filter_map(|(at, text)| {
                let (brick_host, path) = text.split_once(':')?;
                Some(Brick {
                    host: brick_host.to_owned(),
                    path: path.to_owned(),
                    uuid: self.member(host, brick_host).unwrap_or_default(),
                    arbiter: wish.shape.arbiter > 0 && (at + 1) % wish.shape.set() == 0,
                })
            })
            .collect();
        if !wish.force
            && let Some(kind) = crowded(wish.shape, &bricks)
            && self.quirk(Quirk::CopiesOnOneHost)
        {
            return refused(
                Tail::Bare,
                &format!(
                    "Multiple bricks of a {kind} volume are present on the same server. This setup is not optimal. Bricks should be on different nodes to have best fault tolerant configuration. U{FORCE} "
                ),
            );
        }
        let id = self.uuid();
        let peers = self.connected_peers(host);
        let mut touched = Vec::new();
        let mut failure = self
            .stage_here(host, &bricks, &id, wish.force, &mut touched)
            .err();
        if failure.is_none() {
            failure =
                self.stage_on_peers(host, name, &peers, &bricks, &id, wish.force, &mut touched);
        }
        let volume = Volume {
            options: defaults(wish.shape),
            id: id.clone(),
            shape: wish.shape,
            bricks,
            status: "Created",
            version: 1,
            limits: BTreeMap::new(),
        };
        if failure.is_none() && !volume.bricks.len().is_multiple_of(wish.shape.set()) {
            failure = Some("Failed to create volume files".to_owned());
            if let Some(machine) = self.machines.get_mut(host) {
                machine.ghosts.insert(name.to_owned(), volume.clone());
            }
        }
        if let Some(words) = failure {
            if !touched.is_empty() && !self.quirk(Quirk::FailedCreateMarks) {
                for (owner, path) in touched {
                    if let Some(node) = self
                        .machines
                        .get_mut(&owner)
                        .and_then(|machine| machine.files.get_mut(&path))
                    {
                        node.xattrs.remove(VOLUME_ID);
                    }
                }
            }
            return refused(Tail::Bare, &words);
        }
        for member in [peers, vec![host.to_owned()]].concat() {
            if let Some(machine) = self.machines.get_mut(&member) {
                machine.ghosts.remove(name);
                machine.volumes.insert(name.to_owned(), volume.clone());
            }
        }
        answers::volume("volCreate", name, &id)
    }

    fn without_quorum(&mut self, host: &str) -> Option<Output> {
        let watched = self
            .machines
            .get(host)
            .is_some_and(|machine| machine.volumes.values().any(Volume::server_quorum));
        let lost = watched && !self.quorate(host);
        (lost && !self.quirk(Quirk::CreateWithoutQuorum))
            .then(|| refused(Tail::Bare, "Quorum not met. Volume operation not allowed."))
    }

    /// The uuid of a member of the pool by one of its names or addresses.
    fn member(&self, host: &str, name: &str) -> Option<String> {
        let me = self.machines.get(host)?;
        let found = self.resolve(name)?;
        (found.uuid == me.uuid || me.peers.iter().any(|peer| peer.uuid == found.uuid))
            .then(|| found.uuid.clone())
    }

    /// The originator looks at all bricks and marks its own, in their order, until one is wrong.
    fn stage_here(
        &mut self,
        host: &str,
        bricks: &[Brick],
        id: &str,
        force: bool,
        touched: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        let connected = self.connected_peers(host);
        for brick in bricks {
            let Some(owner) = self.by_uuid(&brick.uuid).map(|owner| owner.name.clone()) else {
                return Err(format!(
                    "Host {} is not in 'Peer in Cluster' state",
                    brick.host
                ));
            };
            if owner == host {
                self.stage_brick(host, brick, id, force, touched)?;
            } else if !connected.contains(&owner) {
                return Err(format!("Host {} not connected", brick.host));
            }
        }
        Ok(())
    }

    /// Each peer looks at its own; all of them do, whatever the others say.
    #[allow(clippy::too_many_arguments)] // the whole transaction
    fn stage_on_peers(
        &mut self,
        host: &str,
        name: &str,
        peers: &[String],
        bricks: &[Brick],
        id: &str,
        force: bool,
        touched: &mut Vec<(String, String)>,
    ) -> Option<String> {
        let mut failures = Vec::new();
        for peer in peers {
            let uuid = self
                .machines
                .get(peer)
                .map(|machine| machine.uuid.clone())
                .unwrap_or_default();
            let result = if self.known(peer, name).is_some() {
                Err(format!("Volume {name} already exists"))
            } else {
                bricks
                    .iter()
                    .filter(|brick| brick.uuid == uuid)
                    .try_for_each(|brick| self.stage_brick(peer, brick, id, force, touched))
            };
            if let Err(words) = result {
                failures.push(Phase::Staging.failed(&self.called(host, peer), &words));
            }
        }
        (!failures.is_empty()).then(|| failures.join("\n"))
    }

    /// Makes and marks one brick on its host.
    fn stage_brick(
        &mut self,
        owner: &str,
        brick: &Brick,
        id: &str,
        force: bool,
        touched: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        let Brick { host, path, .. } = brick;
        let Some(machine) = self.machines.get(owner) else {
            return Ok(());
        };
        let nested = machine
            .volumes
            .values()
            .flat_map(|volume| &volume.bricks)
            .any(|other| {
                other.uuid == machine.uuid
                    && (is_below(&other.path, path) || is_below(path, &other.path))
            });
        if nested && self.quirk(Quirk::NestedBrick) {
            return Err(format!(
                "Brick: {host}:{path} not available. Brick may be containing or be contained by an existing brick."
            ));
        }
        let Some(machine) = self.machines.get_mut(owner) else {
            return Ok(());
        };
        let files = &mut machine.files;
        let made = files.get(path).is_none();
        if made && !files.is_directory(parent(path)) {
            return Err(format!(
                "Failed to create brick directory for brick {host}:{path}. Reason : No such file or directory "
            ));
        }
        if !made && !files.is_directory(path) {
            return Err(format!(
                "The provided path {path} which is already present, is not a directory"
            ));
        }
        files.make_directories(path);
        let is_mount = files.is_mount(path);
        let on_root = files.file_system(path).0 == "/";
        if !force && is_mount && self.quirk(Quirk::MountPoint) {
            return Err(format!(
                "The brick {host}:{path} is a mount point. Please create a sub-directory under the mount point and use that as the brick directory. Or u{FORCE}"
            ));
        }
        if !force && on_root && self.quirk(Quirk::RootPartition) {
            if made && let Some(machine) = self.machines.get_mut(owner) {
                machine.files.remove(path);
            }
            return Err(format!(
                "The brick {host}:{path} is being created in the root partition. It is recommended that you don't use the system's root partition for storage backend. Or u{FORCE}"
            ));
        }
        let Some(machine) = self.machines.get_mut(owner) else {
            return Ok(());
        };
        if !force && let Some(words) = in_use(&machine.files, path) {
            return Err(words);
        }
        if let Some(node) = machine.files.get_mut(path) {
            let bytes = hex::decode(id.replace('-', "")).unwrap_or_default();
            node.xattrs.insert(VOLUME_ID.to_owned(), bytes);
            touched.push((owner.to_owned(), path.clone()));
        }
        machine
            .files
            .make_directories(&format!("{path}/.glusterfs"));
        Ok(())
    }
}

/// Whether a path, or a directory above it, was a brick.
fn in_use(files: &super::files::Files, path: &str) -> Option<String> {
    let marked = |path: &str| {
        files.get(path).is_some_and(|node| {
            node.xattrs.contains_key(VOLUME_ID) || node.xattrs.contains_key(GFID)
        })
    };
    if marked(path) {
        return Some(format!("{path} is already part of a volume"));
    }
    let mut above = parent(path);
    while above != "/" {
        if marked(above) {
            return Some(format!(
                "parent directory {above} is already part of a volume"
            ));
        }
        above = parent(above);
    }
    None
}

/// The kind of a volume two of whose copies would lie on one host.
fn crowded(shape: Shape, bricks: &[Brick]) -> Option<&'static str> {
    let kind = if shape.disperse > 0 {
        "disperse"
    } else if shape.replica > 1 {
        "replicate"
    } else {
        return None;
    };
    let twice = |set: &[Brick]| {
        let mut hosts = BTreeSet::new();
        set.iter()
            .any(|brick| !brick.uuid.is_empty() && !hosts.insert(&brick.uuid))
    };
    bricks.chunks(shape.set()).any(twice).then_some(kind)
}

/// Options that a new volume has.
fn defaults(shape: Shape) -> BTreeMap<String, String> {
    let mut options = vec![
        ("storage.fips-mode-rchecksum", "on"),
        ("transport.address-family", "inet"),
        ("nfs.disable", "on"),
    ];
    if shape.replica > 1 {
        options.push(("cluster.granular-entry-heal", "on"));
        options.push(("performance.client-io-threads", "off"));
    }
    options
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
