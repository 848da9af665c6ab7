//! The pools that are at work, one for each GlusterCluster.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::api::cluster::{NodeStatus, Ssh};
use crate::gluster::names::VolumeName;
use crate::host::{Credentials, Host, SshConfig, SshHost};
use crate::plan::upkeep::Former;
use crate::plan::validate::{ValidCluster, ValidNode};
use crate::pool::{Ledger, Pool};

struct Entry {
    nodes: Vec<ValidNode>,
    ssh: Ssh,
    secret_version: String,
    credentials: watch::Sender<Arc<Credentials>>,
    pool: Arc<Pool>,
    want: Arc<ValidCluster>,
}

/// Pools by name of their GlusterCluster.
pub(super) struct Registry {
    entries: Mutex<HashMap<String, Entry>>,
    /// By the owner id; they outlive the pools, which come and go with edits of nodes and Secrets while reconciles are under way.
    ledgers: Mutex<HashMap<String, Arc<Ledger>>>,
    /// Clusters that their own reconcile has judged since this process began, usable or not.
    judged: Mutex<HashSet<String>>,
    /// Names our files on the hosts.
    slot: VolumeName,
}

impl Registry {
    pub(super) fn new(slot: VolumeName) -> Self {
        Self {
            entries: Mutex::default(),
            ledgers: Mutex::default(),
            judged: Mutex::default(),
            slot,
        }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.entries
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn judge(&self, cluster: &str) {
        self.judged
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(cluster.to_owned());
    }

    /// False while this process does not know yet whether that cluster can be used: that it is not in here says nothing then.
    pub(super) fn is_judged(&self, cluster: &str) -> bool {
        self.judged
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .contains(cluster)
    }

    /// The pool of that cluster, made anew where the way to its hosts changed. New credentials are handed to the connections
    /// that there are. `before` is what status remembers of the hosts.
    pub(super) fn put(
        &self,
        want: ValidCluster,
        ssh: &Ssh,
        secret_version: &str,
        credentials: Credentials,
        before: &[NodeStatus],
    ) -> Arc<Pool> {
        self.judge(want.name.as_str());
        let mut entries = self.entries();
        let want = Arc::new(want);
        if let Some(entry) = entries.get_mut(want.name.as_str())
            && entry.nodes == want.nodes
            && entry.ssh == *ssh
        {
            if entry.secret_version != secret_version {
                secret_version.clone_into(&mut entry.secret_version);
                entry.credentials.send_replace(Arc::new(credentials));
            }
            entry.want = want;
            return entry.pool.clone();
        }
        let (sender, receiver) = watch::channel(Arc::new(credentials));
        let hosts = want.nodes.iter().map(|node| {
            let config = SshConfig {
                name: node.name.clone(),
                address: node.address.as_str().to_owned(),
                port: ssh.port,
                user: ssh.user.clone(),
                sudo: ssh.sudo,
            };
            let host: Arc<dyn Host> = Arc::new(SshHost::new(config, receiver.clone()));
            (host, node.devices.clone())
        });
        let slot = format!("{}-{}", self.slot, want.name);
        let slot = slot.parse().unwrap_or_else(|_| self.slot.clone());
        let ledger = self
            .ledgers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .entry(want.owner.to_string())
            .or_default()
            .clone();
        let pool = Arc::new(Pool::with(hosts.collect(), slot, ledger));
        // a host that is silent now has told them to the controller of before
        let told = before.iter().filter(|node| !node.addresses.is_empty());
        let told = told.filter_map(|node| {
            let addresses = node.addresses.iter().cloned().collect();
            Some((node.name.parse().ok()?, addresses))
        });
        pool.told_before(told.collect());
        let name = want.name.as_str().to_owned();
        let entry = Entry {
            nodes: want.nodes.clone(),
            ssh: ssh.clone(),
            secret_version: secret_version.to_owned(),
            credentials: sender,
            pool: pool.clone(),
            want,
        };
        entries.insert(name, entry);
        pool
    }

    /// A way to hosts that left a cluster, under the names and addresses of before. `None` when there are none.
    pub(super) fn visit(&self, cluster: &str, former: &[Former]) -> Option<Pool> {
        let entries = self.entries();
        let entry = entries.get(cluster).filter(|_| !former.is_empty())?;
        let hosts = former.iter().map(|one| {
            let config = SshConfig {
                name: one.name.clone(),
                address: one.address.as_str().to_owned(),
                port: entry.ssh.port,
                user: entry.ssh.user.clone(),
                sudo: entry.ssh.sudo,
            };
            let host: Arc<dyn Host> = Arc::new(SshHost::new(config, entry.credentials.subscribe()));
            (host, Vec::new())
        });
        let slot = format!("{}-{cluster}-former", self.slot).parse();
        Some(Pool::new(
            hosts.collect(),
            slot.unwrap_or_else(|_| self.slot.clone()),
        ))
    }

    /// The pool of that cluster, and what is wanted of it, once its own reconcile has found it usable.
    pub(super) fn get(&self, cluster: &str) -> Option<(Arc<Pool>, Arc<ValidCluster>)> {
        self.entries()
            .get(cluster)
            .map(|entry| (entry.pool.clone(), entry.want.clone()))
    }

    /// Forgets a cluster: it is gone, or can't be used as it is.
    pub(super) fn remove(&self, cluster: &str) {
        self.judge(cluster);
        self.entries().remove(cluster);
    }
}
