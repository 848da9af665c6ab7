//! What happens to machines, and what then happens by itself.

use super::world::{Daemon, Machine, Peer, Volume, World};
use super::{Fault, Quirk};

impl World {
    /// What happens by itself: quorum is lost and regained, commands that hung go on.
    pub(super) fn settle(&mut self) {
        let mut volumes = self
            .machines
            .values()
            .flat_map(|machine| machine.volumes.values());
        if self.pending.is_empty() && !volumes.any(Volume::server_quorum) {
            let mut killed = self.machines.values().flat_map(|machine| &machine.killed);
            if killed.next().is_none() {
                return;
            }
        }
        let names: Vec<String> = self.machines.keys().cloned().collect();
        for name in &names {
            let quorate = self.quorate(name);
            let watched = self.machines.get(name).is_some_and(|machine| {
                machine.daemon == Daemon::Running
                    && machine.on
                    && machine
                        .volumes
                        .values()
                        .any(|volume| volume.server_quorum() && volume.started())
            });
            if watched && !quorate && self.quirk(Quirk::ServerQuorum) {
                self.kill_for_quorum(name);
            }
            if quorate {
                self.revive(name);
            }
        }
        let pending = std::mem::take(&mut self.pending);
        for one in pending {
            if !self.silent_peers(&one.originator).is_empty() {
                self.pending.push(one);
                continue;
            }
            let answered = self.machines.get(&one.originator).is_some_and(|from| {
                from.peers
                    .iter()
                    .filter_map(|peer| self.by_uuid(&peer.uuid))
                    .all(Machine::answers)
            });
            // a peer that was found to be gone lets it fail
            if answered && self.quirk(Quirk::HungCommandFinishes) {
                self.transaction(&one.originator, &one.words);
            }
        }
    }

    fn kill_for_quorum(&mut self, host: &str) {
        if let Some(machine) = self.machines.get_mut(host) {
            for (name, volume) in &machine.volumes {
                if volume.server_quorum() && volume.started() {
                    machine.killed.insert(name.clone());
                    for brick in volume
                        .bricks
                        .iter()
                        .filter(|brick| brick.uuid == machine.uuid)
                    {
                        machine.running.remove(&brick.path);
                    }
                }
            }
        }
    }

    fn revive(&mut self, host: &str) {
        if let Some(machine) = self.machines.get_mut(host) {
            for name in std::mem::take(&mut machine.killed) {
                machine.start_bricks(&name);
            }
        }
    }

    /// Peers that are believed to be connected and do not answer.
    pub(super) fn silent_peers(&self, host: &str) -> Vec<String> {
        let mut peers = self.connected_peers(host);
        peers.retain(|name| self.machines.get(name).is_some_and(|peer| !peer.answers()));
        peers
    }

    pub(super) fn fault(&mut self, host: &str, fault: Fault) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(host) else {
            return;
        };
        match fault {
            Fault::Kill => {
                machine.on = false;
                machine.cut = None;
                machine.daemon = Daemon::Stopped;
                machine.running.clear();
                machine.crawls.clear();
                machine.held_locks.clear();
                machine.files.remove("/run/gluster-operator");
            }
            Fault::Boot => {
                machine.on = true;
                self.start_glusterd(host);
            }
            Fault::Cut => machine.cut = machine.cut.or(Some(now)),
            Fault::Restore => self.heard_again(host, |machine| machine.cut = None),
            Fault::StopGlusterd => machine.daemon = Daemon::Stopped,
            Fault::StartGlusterd => self.start_glusterd(host),
            Fault::HangGlusterd => {
                if machine.daemon == Daemon::Running {
                    machine.daemon = Daemon::Hung;
                }
            }
            Fault::ResumeGlusterd => {
                self.heard_again(host, |machine| {
                    if machine.daemon == Daemon::Hung {
                        machine.daemon = Daemon::Running;
                    }
                });
            }
        }
        self.settle();
    }

    /// A host is heard of again. Where a connection to it had been given up, it is made anew, and the host takes over what it missed
    /// meanwhile.
    fn heard_again(&mut self, host: &str, change: impl Fn(&mut Machine)) {
        let was_given_up = self.is_given_up(host);
        if let Some(machine) = self.machines.get_mut(host) {
            change(machine);
        }
        self.connect(host);
        self.meet(host);
        if was_given_up && self.machines.get(host).is_some_and(Machine::answers) {
            self.import(host);
        }
    }

    /// Whether a host and some other that runs have no connection any more.
    fn is_given_up(&self, host: &str) -> bool {
        let Some(me) = self.machines.get(host) else {
            return false;
        };
        let runs = |other: &&Machine| other.on && other.daemon != Daemon::Stopped;
        let knows = |other: &&Machine| other.peers.iter().any(|peer| peer.uuid == me.uuid);
        let mut others = self.machines.values().filter(runs).filter(knows);
        others.any(|other| !self.connected(other, me) || !self.connected(me, other))
    }

    /// Connections between a host and all that can be reached are made anew.
    fn connect(&mut self, host: &str) {
        let Some(me) = self.machines.get(host).filter(|me| me.reached()) else {
            return;
        };
        let me = me.uuid.clone();
        let reached: Vec<String> = self
            .machines
            .values()
            .filter(|other| other.reached())
            .map(|other| other.uuid.clone())
            .collect();
        for machine in self.machines.values_mut() {
            if machine.name == host {
                machine.lost.retain(|peer| !reached.contains(peer));
            } else if machine.reached() {
                machine.lost.remove(&me);
            }
        }
    }

    fn start_glusterd(&mut self, host: &str) {
        let Some(machine) = self.machines.get_mut(host) else {
            return;
        };
        if !machine.on {
            return;
        }
        machine.daemon = Daemon::Stopped;
        if machine.torn && self.quirk(Quirk::LineBreakKeepsDown) {
            return;
        }
        let Some(machine) = self.machines.get_mut(host) else {
            return;
        };
        machine.daemon = Daemon::Running;
        let ghosts = std::mem::take(&mut machine.ghosts);
        if !ghosts.is_empty()
            && self.quirk(Quirk::GhostVolume)
            && let Some(machine) = self.machines.get_mut(host)
        {
            machine.volumes.extend(ghosts);
        }
        self.connect(host);
        self.meet(host);
        self.import(host);
        if let Some(machine) = self.machines.get_mut(host) {
            for name in machine.volumes.keys().cloned().collect::<Vec<_>>() {
                machine.start_bricks(&name);
            }
        }
    }

    /// Hosts that are connected again tell each other of peers that joined meanwhile.
    fn meet(&mut self, host: &str) {
        let Some(me) = self.machines.get(host).cloned() else {
            return;
        };
        let others: Vec<Machine> = self
            .machines
            .values()
            .filter(|other| other.answers() && other.peers.iter().any(|peer| peer.uuid == me.uuid))
            .cloned()
            .collect();
        for other in others {
            let itself = Peer {
                uuid: other.uuid.clone(),
                hostname: other.name.clone(),
                aliases: Vec::new(),
            };
            let told = other.peers.into_iter().chain([itself]);
            if let Some(machine) = self.machines.get_mut(host) {
                for peer in told {
                    let known = machine.peers.iter().any(|known| known.uuid == peer.uuid);
                    if peer.uuid != me.uuid && !known {
                        machine.peers.push(peer);
                    }
                }
            }
        }
    }

    /// A glusterd that starts takes over what its peers know better.
    fn import(&mut self, host: &str) {
        let newer: Vec<(String, Volume)> = self
            .connected_peers(host)
            .iter()
            .filter_map(|peer| self.machines.get(peer))
            .filter(|peer| peer.answers())
            .flat_map(|peer| peer.volumes.clone())
            .collect();
        for (name, volume) in newer {
            let have = self
                .machines
                .get(host)
                .and_then(|machine| machine.volumes.get(&name))
                .map_or(0, |mine| mine.version);
            if volume.version > have
                && self.quirk(Quirk::StartImports)
                && let Some(machine) = self.machines.get_mut(host)
            {
                machine.volumes.insert(name, volume);
            }
        }
        let options = self
            .connected_peers(host)
            .iter()
            .find_map(|peer| self.machines.get(peer))
            .map(|peer| peer.pool_options.clone());
        if let (Some(options), Some(machine)) = (options, self.machines.get_mut(host)) {
            machine.pool_options = options;
        }
    }

    pub(super) fn write(&mut self, volume: &str, bytes: u64) {
        let Some(found) = self
            .machines
            .values()
            .find_map(|machine| machine.volumes.get(volume))
            .cloned()
        else {
            return;
        };
        self.contents.entry(found.id).or_default().used += bytes;
        for brick in found.bricks {
            let machine = self
                .machines
                .values_mut()
                .find(|machine| machine.uuid == brick.uuid);
            if let Some(machine) = machine.filter(|machine| machine.running.contains(&brick.path)) {
                machine.files.put(&format!("{}/data", brick.path), "");
            }
        }
    }

    pub(super) fn directory(&mut self, volume: &str, path: &str, there: bool) {
        let id = self
            .machines
            .values()
            .find_map(|machine| machine.volumes.get(volume))
            .map(|found| found.id.clone());
        if let Some(content) = id.map(|id| self.contents.entry(id).or_default()) {
            if there {
                content.directories.insert(path.to_owned());
            } else {
                content.directories.remove(path);
            }
        }
    }
}

impl Machine {
    /// Starts the bricks of a started volume that do not run. True if there was no room for one of them.
    pub(super) fn start_bricks(&mut self, volume: &str) -> bool {
        let mut full = false;
        let Some(found) = self.volumes.get(volume).filter(|found| found.started()) else {
            return false;
        };
        for brick in found.bricks.iter().filter(|brick| brick.uuid == self.uuid) {
            if self.running.contains(&brick.path) || !self.files.is_directory(&brick.path) {
                continue;
            }
            if self
                .brick_limit
                .is_some_and(|limit| self.running.len() >= limit)
            {
                full = true;
                continue;
            }
            self.files
                .make_directories(&format!("{}/.glusterfs", brick.path));
            if let Some(node) = self.files.get_mut(&brick.path) {
                let root = [vec![0; 15], vec![1]].concat();
                node.xattrs.insert(super::files::GFID.to_owned(), root);
            }
            self.running.insert(brick.path.clone());
        }
        full
    }
}
