//! Peers: who joins, and under which names.

use crate::gluster::outcome::Output;

use super::Quirk;
use super::answers::xml;
use super::world::{Peer, Volume, World};

const NOT_CONNECTED: i32 = 107;

impl World {
    pub(super) fn probe(&mut self, host: &str, other: &str) -> Output {
        let success =
            |errno, words: &str| xml(0, errno, "", &format!("  <output>{words}</output>\n"));
        let unreachable = || {
            xml(
                -1,
                NOT_CONNECTED,
                "Probe returned with Transport endpoint is not connected",
                "",
            )
        };
        let Some(me) = self.machines.get(host).cloned() else {
            return unreachable();
        };
        let needs_quorum = me.volumes.values().any(super::world::Volume::server_quorum);
        let target = self.resolve(other).cloned();
        if target.as_ref().is_some_and(|target| target.name == host) {
            return success(1, "Probe on localhost not needed");
        }
        if needs_quorum && !self.quorate(host) && self.quirk(Quirk::ProbeNeedsQuorum) {
            return xml(
                -1,
                8,
                "Cluster quorum is not met. Changing peers is not allowed in this state",
                "",
            );
        }
        let is_named =
            |peer: &Peer| peer.hostname == other || peer.aliases.iter().any(|name| name == other);
        if me.peers.iter().any(is_named) {
            return success(2, &format!("Host {other} port 24007 already in peer list"));
        }
        let Some(target) = target.filter(|target| target.answers() && me.cut.is_none()) else {
            return unreachable();
        };
        if me.peers.iter().any(|peer| peer.uuid == target.uuid) {
            if !self.quirk(Quirk::AliasByProbe) {
                return success(2, &format!("Host {other} port 24007 already in peer list"));
            }
            let mut members = self.connected_peers(host);
            members.push(host.to_owned());
            for member in members {
                let peers = self
                    .machines
                    .get_mut(&member)
                    .map(|machine| &mut machine.peers);
                for peer in peers.into_iter().flatten() {
                    if peer.uuid == target.uuid {
                        peer.aliases.push(other.to_owned());
                    }
                }
            }
            return success(0, "success");
        }
        let foreign = !target.peers.is_empty() || !target.volumes.is_empty();
        if foreign && self.quirk(Quirk::ForeignPool) {
            let words = format!(
                "{other} is either already part of another cluster or having volumes configured"
            );
            return xml(-1, 3, &words, "");
        }
        self.join(&me.name, &target.name, other);
        success(0, "success")
    }

    fn join(&mut self, host: &str, joining: &str, called: &str) {
        let members = [self.connected_peers(host), vec![host.to_owned()]].concat();
        let (Some(me), Some(new)) = (
            self.machines.get(host).cloned(),
            self.machines.get(joining).cloned(),
        ) else {
            return;
        };
        let peer = |uuid: &str, hostname: &str| Peer {
            uuid: uuid.to_owned(),
            hostname: hostname.to_owned(),
            aliases: Vec::new(),
        };
        let mut theirs = vec![peer(&me.uuid, &me.name)];
        theirs.extend(me.peers.iter().cloned());
        for member in members {
            if let Some(machine) = self.machines.get_mut(&member) {
                machine.peers.push(peer(&new.uuid, called));
            }
        }
        if let Some(machine) = self.machines.get_mut(joining) {
            machine.peers = theirs;
            machine.volumes = me.volumes;
            machine.pool_options = me.pool_options;
        }
    }

    pub(super) fn detach(&mut self, host: &str, other: &str) -> Output {
        let Some(target) = self.resolve(other).cloned() else {
            return xml(-1, 2, &format!("{other} is not part of cluster"), "");
        };
        if target.name == host {
            return xml(-1, 1, &format!("{other} is localhost"), "");
        }
        let Some(me) = self.machines.get(host).cloned() else {
            return xml(-1, 2, &format!("{other} is not part of cluster"), "");
        };
        if !me.peers.iter().any(|peer| peer.uuid == target.uuid) {
            return xml(-1, 2, &format!("{other} is not part of cluster"), "");
        }
        let on_target = |volume: &Volume| {
            let mut bricks = volume.bricks.iter();
            let all = volume.bricks.len();
            (
                bricks
                    .by_ref()
                    .filter(|brick| brick.uuid == target.uuid)
                    .count(),
                all,
            )
        };
        let partly = |volume: &Volume| {
            let (there, all) = on_target(volume);
            there > 0 && there < all
        };
        if me.volumes.values().any(partly) {
            let words = format!(
                "Peer {other} hosts one or more bricks. If the peer is in not recoverable state then use either replace-brick or remove-brick command with force to remove all bricks from the peer and attempt the peer detach again."
            );
            return xml(1, 3, &words, "");
        }
        let others = me
            .peers
            .iter()
            .filter(|peer| peer.uuid != target.uuid)
            .count();
        let mut connected = self.connected_peers(host);
        connected.retain(|name| *name != target.name);
        if connected.len() != others {
            return xml(
                -1,
                4,
                "One of the peers is probably down. Check with 'peer status'",
                "",
            );
        }
        // a volume that lies there as a whole goes along
        let gone: Vec<String> = me
            .volumes
            .iter()
            .filter(|(_, volume)| on_target(volume).0 > 0)
            .map(|(name, _)| name.clone())
            .collect();
        for member in [connected, vec![host.to_owned()]].concat() {
            if let Some(machine) = self.machines.get_mut(&member) {
                machine.peers.retain(|peer| peer.uuid != target.uuid);
                machine.volumes.retain(|name, _| !gone.contains(name));
            }
        }
        // one that is down goes on to believe that it belongs to the pool
        let told = target.answers();
        if let Some(machine) = self.machines.get_mut(&target.name).filter(|_| told) {
            machine.peers.clear();
            machine.volumes.retain(|name, _| gone.contains(name));
        }
        xml(0, 0, "", "  <output>success</output>\n")
    }
}
