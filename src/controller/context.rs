//! What every reconcile needs.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt};

use crate::api::GlusterCluster;
use kube::runtime::events::Recorder;

use super::metrics::Metrics;
use super::registry::Registry;

/// Shared by all reconciles of a process.
pub(super) struct Context {
    pub(super) client: Client,
    /// The operator's own namespace.
    pub(super) namespace: String,
    /// Uid of the namespace kube-system: names this Kubernetes.
    pub(super) kube_system: String,
    pub(super) pools: Registry,
    /// The GlusterClusters that there are, once they are watched.
    pub(super) clusters: OnceLock<Store<GlusterCluster>>,
    pub(super) recorder: Recorder,
    pub(super) metrics: Metrics,
    /// How often each object failed in a row, by uid; for backoff, and for Ready, which flips at the second miss.
    pub(super) misses: Mutex<HashMap<String, u32>>,
}

impl Context {
    /// Forgets the pool of a GlusterCluster that is gone without its own reconcile having seen it off: deleted by force, or under a
    /// name that another object has by now. What nobody declares any more is not written to.
    pub(super) fn forget_gone(&self, cluster: &str) {
        let Some(known) = self.clusters.get() else {
            return;
        };
        let Some((_, want)) = self.pools.get(cluster) else {
            return;
        };
        let there = known.get(&ObjectRef::new(cluster)).is_some_and(|object| {
            object
                .uid()
                .is_some_and(|uid| want.owner.as_str().ends_with(&format!(".{uid}")))
        });
        if !there {
            self.pools.remove(cluster);
        }
    }

    /// Counts a miss of that object, or forgets them all; returns how many in a row.
    pub(super) fn missed(&self, uid: &str, missed: bool) -> u32 {
        let mut misses = self
            .misses
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if missed {
            let count = misses.entry(uid.to_owned()).or_default();
            *count = count.saturating_add(1);
            *count
        } else {
            misses.remove(uid);
            0
        }
    }
}
