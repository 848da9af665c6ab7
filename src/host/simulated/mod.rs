//! A pool in memory: hosts that take the operations of real ones and answer with the texts of the real programs.
//!
//! Planning, executing and reading of answers run on it in microseconds, without root. It knows what GlusterFS 10.3 does
//! with peers, bricks and their xattrs, volumes of all layouts, options, quota and locks, and its quirks ([`Quirk`]), each
//! of which can be switched off. It is compared with real hosts by the same sequences of operations
//! (`tests/simulated_lab.rs`), so that a test on it says something about them.
//!
//! It reads argument vectors, as a host does: an operation that needs no new program or word of gluster's works at once;
//! else it is one arm in `programs.rs` or `gluster.rs`.
//!
//! Nothing in it waits: a command that would hang for 120 s answers at once with what it would say then, and what it left
//! behind (locks) stays until the pool's clock is advanced or the silent host comes back.

mod answers;
mod create;
mod faults;
mod files;
mod get_state;
mod gluster;
mod option_names;
mod options;
mod peers;
mod programs;
mod quirk;
mod quota;
mod volumes;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::gluster::model::SilentKind;
use crate::gluster::names::{HostName, HostPath};
use crate::gluster::operation::{Command, Operation};
use crate::gluster::outcome::Output;

use super::{Host, HostError, run};

pub use quirk::Quirk;
use world::World;

/// Something that happens to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It dies; connections to it are refused, so the others notice.
    Kill,
    /// It boots again, with what was on its disks.
    Boot,
    /// Its cable is cut: silence.
    Cut,
    /// The cable is back.
    Restore,
    /// glusterd is stopped; bricks go on.
    StopGlusterd,
    /// glusterd is started, also when it runs already: then it is a restart.
    StartGlusterd,
    /// glusterd is stopped by SIGSTOP: it takes connections and never answers.
    HangGlusterd,
    /// It goes on.
    ResumeGlusterd,
}

/// A pool in memory, and the machines that may become part of it. Clones are the same pool.
#[derive(Debug, Clone)]
pub struct SimulatedPool {
    world: Arc<Mutex<World>>,
}

impl SimulatedPool {
    /// Machines with glusterd, each alone, with one file system for bricks mounted at `device`. Their uuids, and those of
    /// their volumes, follow from `seed`. Their addresses are 10.0.0.1 and so on.
    pub fn new(seed: u64, hosts: &[HostName], device: &HostPath) -> Self {
        let mut world = World::new(seed);
        for host in hosts {
            world.add(host.as_str(), device.as_str());
        }
        Self {
            world: Arc::new(Mutex::new(world)),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // a test that panics while it holds the pool has failed already
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A machine as something that takes operations.
    pub fn host(&self, name: &HostName) -> SimulatedHost {
        SimulatedHost {
            name: name.clone(),
            pool: self.clone(),
        }
    }

    /// Switches a quirk off: the pool does what one would expect instead.
    pub fn without(&self, quirk: Quirk) {
        self.world().off.insert(quirk);
    }

    /// How often each quirk decided about an answer.
    pub fn hits(&self) -> BTreeMap<Quirk, u64> {
        self.world().hits.clone()
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let mut world = self.world();
        world.now += time;
        world.settle();
    }

    /// Time since the pool was made.
    pub fn now(&self) -> Duration {
        self.world().now
    }

    /// Lets something happen to a host.
    pub fn fault(&self, host: &HostName, fault: Fault) {
        self.world().fault(host.as_str(), fault);
    }

    /// Sets `ping-timeout` in a host's glusterd.vol and in its glusterd, in seconds; Debian ships 0. With another, a command that
    /// waits for a silent peer is refused, and those after it go on without that peer.
    pub fn set_ping_timeout(&self, host: &HostName, seconds: u32) {
        self.world().set_ping_timeout(host.as_str(), seconds);
    }

    /// Gives a host the address by which others know it, besides its name.
    pub fn set_address(&self, host: &HostName, address: &str) {
        if let Some(machine) = self.world().machines.get_mut(host.as_str()) {
            address.clone_into(&mut machine.address);
        }
    }

    /// Mounts one more file system.
    pub fn mount(&self, host: &HostName, path: &HostPath) {
        if let Some(machine) = self.world().machines.get_mut(host.as_str()) {
            machine.files.mount(path.as_str());
        }
    }

    /// Unmounts a file system; what was in it can't be seen any more.
    pub fn unmount(&self, host: &HostName, path: &HostPath) {
        if let Some(machine) = self.world().machines.get_mut(host.as_str()) {
            machine.files.unmount(path.as_str());
        }
    }

    /// How many bricks a host can run, past which one that is started stays down while `volume start` says success;
    /// `None`: any number.
    pub fn limit_bricks(&self, host: &HostName, bricks: Option<usize>) {
        if let Some(machine) = self.world().machines.get_mut(host.as_str()) {
            machine.brick_limit = bricks;
        }
    }

    /// A brick's process dies.
    pub fn kill_brick(&self, host: &HostName, path: &HostPath) {
        if let Some(machine) = self.world().machines.get_mut(host.as_str()) {
            machine.running.remove(path.as_str());
        }
    }

    /// A client writes so many bytes into a volume; its bricks are not empty from then on.
    pub fn write(&self, volume: &str, bytes: u64) {
        self.world().write(volume, bytes);
    }

    /// A client makes a directory in a volume.
    pub fn make_directory(&self, volume: &str, path: &str) {
        self.world().directory(volume, path, true);
    }

    /// A client removes a directory of a volume. A limit that it had stays in quota.conf.
    pub fn remove_directory(&self, volume: &str, path: &str) {
        self.world().directory(volume, path, false);
    }

    /// Somebody mounts a volume on a host of the pool, by hand or by a pod.
    pub fn mount_volume(&self, host: &HostName, volume: &str, path: &HostPath) {
        if let Some(machine) = self.world().machines.get_mut(host.as_str()) {
            let mounts = &mut machine.volume_mounts;
            mounts.insert(path.to_string(), volume.to_owned());
        }
    }

    /// What [`Self::mount_volume`] mounted there is unmounted.
    pub fn unmount_volume(&self, host: &HostName, path: &HostPath) {
        if let Some(machine) = self.world().machines.get_mut(host.as_str()) {
            machine.volume_mounts.remove(path.as_str());
        }
    }

    /// Somebody else holds or leaves one of our locks on a host.
    pub fn hold_lock(&self, host: &HostName, lock: &str, held: bool) {
        if let Some(machine) = self.world().machines.get_mut(host.as_str()) {
            let path = format!("{}/{lock}.lock", crate::gluster::names::RUN_DIR);
            if held {
                machine.held_locks.insert(path);
            } else {
                machine.held_locks.remove(&path);
            }
        }
    }

    /// Directories of a host that carry a volume-id or a mark, and whether they hold anything: what must not get lost.
    pub fn bricks(&self, host: &HostName) -> Vec<(String, bool)> {
        let world = self.world();
        let Some(machine) = world.machines.get(host.as_str()) else {
            return Vec::new();
        };
        machine.files.marked()
    }

    /// Runs one command on a host, as a person or a test would.
    pub fn run(&self, host: &HostName, command: &Command) -> Result<Output, HostError> {
        let mut world = self.world();
        world.settle();
        let reached = world
            .machines
            .get(host.as_str())
            .is_some_and(world::Machine::reached);
        if !reached {
            return Err(HostError {
                host: host.clone(),
                address: "simulated".into(),
                kind: SilentKind::Unreachable,
                why: "no answer".into(),
            });
        }
        let output = world.program(host.as_str(), command);
        world.settle();
        Ok(output)
    }
}

/// One machine of a [`SimulatedPool`].
#[derive(Debug, Clone)]
pub struct SimulatedHost {
    name: HostName,
    pool: SimulatedPool,
}

#[async_trait]
impl Host for SimulatedHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn perform(&self, operation: &Operation) -> Result<Vec<Output>, HostError> {
        run::commands(operation, |command| {
            let result = self.pool.run(&self.name, &command);
            async move { result }
        })
        .await
    }
}
