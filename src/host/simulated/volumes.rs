//! Starting, stopping and deleting volumes, and who is connected to their bricks.

use std::fmt::Write as _;

use crate::gluster::outcome::Output;

use super::Quirk;
use super::answers::{self, Tail, refused};
use super::files::{GFID, VOLUME_ID};
use super::gluster::Phase;
use super::world::{Brick, Machine, Volume, World};

/// What is wrong with a host's bricks of a volume that shall be started.
fn unfit(machine: &Machine, name: &str, volume: &Volume) -> Option<String> {
    let wanted = hex::decode(volume.id.replace('-', "")).unwrap_or_default();
    volume.bricks.iter().filter(|brick| brick.uuid == machine.uuid).find_map(|brick| {
        let (host, path) = (&brick.host, &brick.path);
        let Some(node) = machine.files.get(path) else {
            return Some(format!(
                "Failed to find brick directory {path} for volume {name}. Reason : No such file or directory"
            ));
        };
        match node.xattrs.get(VOLUME_ID) {
            None => Some(format!(
                "Failed to get extended attribute {VOLUME_ID} for brick dir {path}. Reason : No data available"
            )),
            Some(found) if *found != wanted => Some(format!(
                "Volume id mismatch for brick {host}:{path}. Expected volume id {}, volume id {} found",
                volume.id,
                hex::encode(found)
            )),
            Some(_) => None,
        }
    })
}

impl World {
    pub(super) fn start(&mut self, host: &str, name: &str, force: bool) -> Output {
        let volume = match self.staged(host, name, Tail::Bare) {
            Ok(volume) => volume,
            Err(refusal) => return refusal,
        };
        if volume.started() && !force {
            return refused(Tail::Bare, &format!("Volume {name} already started"));
        }
        let peers = self.connected_peers(host);
        if !force {
            let here = self
                .machines
                .get(host)
                .and_then(|machine| unfit(machine, name, &volume));
            if let Some(words) = here {
                return refused(Tail::Bare, &words);
            }
        }
        if let Err(refusal) = self.peers_know(host, name, Phase::PreValidation, Tail::Bare) {
            return refusal;
        }
        let failures: Vec<String> = peers
            .iter()
            .filter(|_| !force)
            .filter_map(|peer| {
                let words = unfit(self.machines.get(peer)?, name, &volume)?;
                Some(Phase::PreValidation.failed(&self.called(host, peer), &words))
            })
            .collect();
        if !failures.is_empty() {
            return refused(Tail::Bare, &failures.join("\n"));
        }
        self.everywhere(host, name, |volume| volume.status = "Started");
        let mut full = false;
        for member in [peers, vec![host.to_owned()]].concat() {
            if let Some(machine) = self.machines.get_mut(&member) {
                full |= machine.start_bricks(name);
            }
        }
        if full && !self.quirk(Quirk::StartLies) {
            return refused(
                Tail::Bare,
                "Commit failed on localhost. Please check the log file for more details.",
            );
        }
        answers::volume("volStart", name, &volume.id)
    }

    pub(super) fn stop(&mut self, host: &str, name: &str) -> Output {
        let volume = match self.staged(host, name, Tail::Bare) {
            Ok(volume) => volume,
            Err(refusal) => return refusal,
        };
        if !volume.started() {
            return refused(
                Tail::Bare,
                &format!("Volume {name} is not in the started state"),
            );
        }
        if let Err(refusal) = self.peers_know(host, name, Phase::Staging, Tail::Bare) {
            return refusal;
        }
        self.everywhere(host, name, |volume| volume.status = "Stopped");
        for member in [self.connected_peers(host), vec![host.to_owned()]].concat() {
            if let Some(machine) = self.machines.get_mut(&member) {
                for brick in &volume.bricks {
                    if brick.uuid == machine.uuid {
                        machine.running.remove(&brick.path);
                    }
                }
                machine.crawls.remove(name);
            }
        }
        answers::volume("volStop", name, &volume.id)
    }

    pub(super) fn delete(&mut self, host: &str, name: &str) -> Output {
        let volume = match self.staged(host, name, Tail::Bare) {
            Ok(volume) => volume,
            Err(refusal) => return refusal,
        };
        if volume.started() {
            return refused(
                Tail::Bare,
                &format!(
                    "Volume {name} has been started.Volume needs to be stopped before deletion."
                ),
            );
        }
        let all = self
            .machines
            .get(host)
            .map_or(0, |machine| machine.peers.len());
        if self.connected_peers(host).len() < all && self.quirk(Quirk::DeleteNeedsPeers) {
            return refused(Tail::Bare, "Some of the peers are down");
        }
        if let Err(refusal) = self.peers_know(host, name, Phase::Staging, Tail::Bare) {
            return refusal;
        }
        let keeps = self.quirk(Quirk::DeleteKeepsMark);
        for member in [self.connected_peers(host), vec![host.to_owned()]].concat() {
            if let Some(machine) = self.machines.get_mut(&member) {
                machine.volumes.remove(name);
                for brick in volume
                    .bricks
                    .iter()
                    .filter(|brick| brick.uuid == machine.uuid)
                {
                    if let Some(node) = machine.files.get_mut(&brick.path).filter(|_| !keeps) {
                        node.xattrs.remove(VOLUME_ID);
                        node.xattrs.remove(GFID);
                    }
                }
            }
        }
        answers::volume("volDelete", name, &volume.id)
    }

    /// `volume status V clients`, or of that one brick: bricks of hosts that are not connected are missing from the list.
    pub(super) fn status_clients(&mut self, host: &str, name: &str, only: Option<&str>) -> Output {
        let Some(mut volume) = self.known(host, name) else {
            return refused(Tail::Status, &format!("Volume {name} does not exist"));
        };
        if !volume.started() {
            return refused(Tail::Status, &format!("Volume {name} is not started"));
        }
        if let Err(refusal) = self.peers_know(host, name, Phase::Staging, Tail::Status) {
            return refusal;
        }
        let members = [self.connected_peers(host), vec![host.to_owned()]].concat();
        let clients = self.clients_of(name, &volume, &members);
        if let Some(only) = only {
            let called = |brick: &Brick| format!("{}:{}", brick.host, brick.path) == only;
            volume.bricks.retain(called);
            if volume.bricks.is_empty() {
                return refused(Tail::Status, &format!("No brick {only} in volume {name}"));
            }
        }
        let running = |machine: &Machine| {
            let mut bricks = volume.bricks.iter();
            bricks.any(|brick| brick.uuid == machine.uuid && machine.running.contains(&brick.path))
        };
        let elsewhere = members
            .iter()
            .filter(|member| *member != host)
            .find(|member| self.machines.get(*member).is_some_and(running))
            .cloned();
        if clients.is_empty()
            && self.quirk(Quirk::NoClientsLooksUnasked)
            && let Some(other) = elsewhere
        {
            let other = self.called(host, &other);
            return refused(
                Tail::Status,
                &format!("Commit failed on {other}. Please check log file for details."),
            );
        }
        let unasked = clients.is_empty() && !self.off.contains(&Quirk::NoClientsLooksUnasked);
        let (mut nodes, mut count, mut own) = (String::new(), 0_usize, 0_usize);
        let mut left_out = false;
        for brick in &volume.bricks {
            let Some(machine) = self
                .by_uuid(&brick.uuid)
                .filter(|machine| members.contains(&machine.name))
            else {
                continue;
            };
            count += 1;
            let online = machine.running.contains(&brick.path);
            own += usize::from(online && machine.name == host);
            if left_out {
                continue;
            }
            let (status, port, pid) = if online {
                ("1", "49152", "4711")
            } else {
                ("0", "N/A", "-1")
            };
            let _ = write!(
                nodes,
                "        <node>\n          <hostname>{}</hostname>\n          <path>{}</path>\n          <peerid>{}</peerid>\n          <status>{status}</status>\n          <port>{port}</port>\n          <ports>\n            <tcp>{port}</tcp>\n            <rdma>N/A</rdma>\n          </ports>\n          <pid>{pid}</pid>\n",
                brick.host, brick.path, brick.uuid
            );
            if online && unasked {
                nodes += "          <clientsStatus/>\n";
                left_out = true;
            } else if online {
                nodes += &connections(&clients);
            }
            nodes += "        </node>\n";
        }
        if !left_out && own > 1 && self.quirk(Quirk::OwnBricksCountTwice) {
            count += own - 1;
        }
        let error = if left_out {
            "Glusterd Syncop Mgmt brick op 'Status' failed. Please check brick log file for details."
        } else {
            ""
        };
        answers::xml(
            0,
            0,
            error,
            &format!(
                "  <volStatus>\n    <volumes>\n      <volume>\n        <volName>{name}</volName>\n        <nodeCount>{count}</nodeCount>\n{nodes}      </volume>\n    </volumes>\n  </volStatus>\n"
            ),
        )
    }

    /// Who is connected to the bricks that run: mounts, and the daemons of all hosts where there are any.
    fn clients_of(&self, name: &str, volume: &Volume, members: &[String]) -> Vec<String> {
        let has_it = |machine: &&Machine| machine.volume_mounts.values().any(|one| one == name);
        let mounted = self.machines.values().filter(has_it);
        let mut clients: Vec<String> = mounted.map(|machine| machine.address.clone()).collect();
        if volume.shape.set() > 1 || volume.quota() {
            let daemons = members
                .iter()
                .filter_map(|member| self.machines.get(member));
            clients.extend(daemons.map(|machine| machine.address.clone()));
        }
        clients
    }
}

fn connections(clients: &[String]) -> String {
    let list: Vec<String> = clients
        .iter()
        .map(|address| {
            format!(
                "            <client>\n              <hostname>{address}:1023</hostname>\n              <bytesRead>1680</bytesRead>\n              <bytesWrite>1792</bytesWrite>\n              <opVersion>100000</opVersion>\n            </client>\n"
            )
        })
        .collect();
    format!(
        "          <clientsStatus>\n            <clientCount>{}</clientCount>\n{}          </clientsStatus>\n",
        list.len(),
        list.concat()
    )
}
