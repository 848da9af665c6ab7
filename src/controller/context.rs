//! What every reconcile needs.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures::channel::mpsc::UnboundedSender;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt};

use crate::api::{GlusterCluster, GlusterVolume};
use crate::gluster::names::VolumeName;

use super::calm;
use super::metrics::Metrics;
use super::registry::Registry;
use super::tries::Tries;
use super::uses;

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
    /// The GlusterVolumes that there are, once they are watched.
    pub(super) volumes: OnceLock<Store<GlusterVolume>>,
    reporter: Reporter,
    /// Who sends events, by their words, and when last.
    recorders: Mutex<HashMap<String, (Recorder, Instant)>>,
    pub(super) metrics: Metrics,
    /// How often each object failed in a row, by uid; for Ready, which flips at the second miss.
    pub(super) misses: Mutex<HashMap<String, u32>>,
    /// Steps that failed, and when they are tried again.
    pub(super) tries: Tries,
    /// Volumes about which nothing has changed since they were found to be as declared.
    pub(super) calm: calm::Registry,
    /// The nodes of Kubernetes.
    pub(super) nodes: uses::Nodes,
    /// Wakes all volumes: a look showed one of them otherwise than it was.
    pub(super) wake: UnboundedSender<()>,
}

impl Context {
    /// Knows nothing yet. `slot` names our files on the hosts, `identity` who reports events.
    pub(super) fn new(
        client: Client,
        namespace: &str,
        kube_system: String,
        slot: VolumeName,
        identity: &str,
        wake: UnboundedSender<()>,
    ) -> Self {
        let reporter = Reporter {
            controller: "gluster-operator".into(),
            instance: Some(identity.to_owned()),
        };
        Self {
            namespace: namespace.to_owned(),
            kube_system,
            pools: Registry::new(slot),
            clusters: OnceLock::new(),
            volumes: OnceLock::new(),
            reporter,
            recorders: Mutex::default(),
            client,
            metrics: Metrics::new(),
            misses: Mutex::default(),
            tries: Tries::default(),
            calm: calm::Registry::default(),
            nodes: uses::Nodes::default(),
            wake,
        }
    }

    /// Who sends an event with these words. A recorder takes an event of the same reason for the one before, counts it and leaves
    /// the words of the first: "node b is admitted" was told as a second "node a is admitted". So each text has a recorder of
    /// its own, for as long as that counts events together.
    pub(super) fn recorder(&self, note: &str) -> Recorder {
        const COUNTED: Duration = Duration::from_secs(6 * 60);
        let mut recorders = self
            .recorders
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        recorders.retain(|_, (_, last)| last.elapsed() < COUNTED);
        let (recorder, last) = recorders.entry(note.to_owned()).or_insert_with(|| {
            let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
            (recorder, Instant::now())
        });
        *last = Instant::now();
        recorder.clone()
    }

    /// How often that object failed in a row.
    pub(super) fn misses(&self, uid: &str) -> u32 {
        let misses = self
            .misses
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        misses.get(uid).copied().unwrap_or_default()
    }

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

    /// Forgets what is remembered of objects that there are no more, however they went: one whose finalizer was taken away by hand is
    /// gone before its own reconcile sees it off.
    pub(super) fn forget_objects_gone(&self) {
        let (Some(clusters), Some(volumes)) = (self.clusters.get(), self.volumes.get()) else {
            return;
        };
        let clusters = clusters.state().into_iter().filter_map(|one| one.uid());
        let volumes = volumes.state().into_iter().filter_map(|one| one.uid());
        let known: HashSet<String> = clusters.chain(volumes).collect();
        self.calm.keep(|uid| known.contains(uid));
        self.tries.keep(|uid| known.contains(uid));
        self.misses
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .retain(|uid, _| known.contains(uid));
    }

    /// The metrics as text, without numbers of objects that there are no more, however they went.
    pub(super) fn numbers(&self) -> String {
        if let (Some(clusters), Some(volumes)) = (self.clusters.get(), self.volumes.get()) {
            self.metrics.keep(
                |cluster| clusters.get(&ObjectRef::new(cluster)).is_some(),
                |volume| {
                    volume.split_once('/').is_some_and(|(namespace, name)| {
                        let object = ObjectRef::new(name).within(namespace);
                        volumes.get(&object).is_some()
                    })
                },
            );
        }
        self.metrics.encode()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use axum::http::{Request, Response};
    use kube::client::Body;
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;
    use serde_json::json;
    use tower::service_fn;

    use super::*;
    use crate::api::volume::GlusterVolumeStatus;
    use crate::gluster::model::{HostView, PoolView, QuotaView};
    use crate::gluster::outcome::Class;
    use crate::plan::attach::Wish;
    use crate::plan::step::Step;
    use crate::plan::validate::{self, Tenant};
    use crate::pool::{Pool, StepFailure};

    const UID: &str = "0000000b-0000-0000-0000-00000000000b";

    fn context() -> Context {
        let nobody = service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        });
        let client = Client::new(nobody, "gluster-operator");
        let (wake, _woken) = futures::channel::mpsc::unbounded();
        let slot = "c1".parse().unwrap();
        Context::new(client, "gluster-operator", UID.into(), slot, "me", wake)
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_an_object_that_went_without_being_seen_off() {
        let context = context();
        let cluster_spec = serde_json::from_value(json!({
            "access": {"ssh": {"secretRef": {"name": "s"}}},
            "nodes": [{"name": "n1", "devices": [{"path": "/b"}]}],
            "tenancy": {"namespaces": {"from": "All"}},
        }));
        let volume_spec =
            serde_json::from_value(json!({"clusterName": "prod", "layout": {"distribute": 1}}));
        let mut cluster = GlusterCluster::new("prod", cluster_spec.unwrap());
        cluster.metadata.uid = Some("cluster".into());
        let mut volume = GlusterVolume::new("a", volume_spec.unwrap());
        volume.metadata.namespace = Some("shop".into());
        volume.metadata.uid = Some("volume".into());
        let (clusters, mut writer) = reflector::store();
        writer.apply_watcher_event(&Event::Apply(cluster.clone()));
        assert!(context.clusters.set(clusters).is_ok());
        let (volumes, mut writer) = reflector::store();
        writer.apply_watcher_event(&Event::Apply(volume.clone()));
        assert!(context.volumes.set(volumes).is_ok());

        let valid = validate::cluster("prod", UID, UID, &cluster.spec).unwrap();
        let tenant = Tenant {
            namespace: "shop",
            namespace_uid: UID,
            operators_own: false,
            selected: false,
        };
        let want = validate::volume(
            &tenant,
            "a",
            UID,
            &volume.spec,
            &GlusterVolumeStatus::default(),
            &valid,
        )
        .unwrap();
        let (valid, start) = (Arc::new(valid), Step::StartVolume(want.volume.clone()));
        let now = calm::Now {
            generation: None,
            want: &want,
            cluster: &valid,
            wish: &Wish::default(),
            view: &PoolView::default(),
            quota: &QuotaView::Unknown,
        };
        let failure = StepFailure {
            step: start.describe(),
            host: "n1".parse().unwrap(),
            command: String::new(),
            class: Class::Refused,
            detail: "",
            words: "no".into(),
        };
        let pool = Pool::new(vec![], "x".parse().unwrap());
        let later = HostView::Answered(Box::default());
        let later = PoolView {
            hosts: BTreeMap::from([("n1".parse().unwrap(), later)]),
            ..PoolView::default()
        };
        let remembered = |uid: &str| {
            (
                context.calm.holds(uid, &now),
                context.tries.too_early(uid, None, &start).is_some(),
                context.misses(uid) > 0,
            )
        };
        for uid in ["volume", "cluster", "gone"] {
            context.calm.note(uid, &now);
            context.tries.note(uid, None, &start, Some(&failure));
            context.missed(uid, true);
        }
        context.forget_objects_gone();
        assert_eq!(remembered("volume"), (true, true, true));
        assert_eq!(remembered("cluster"), (true, true, true));
        assert_eq!(remembered("gone"), (false, false, false));
        assert!(context.calm.is_disturbed(&valid, &pool, &later));
        // the last one that is not as it was
        context.calm.forget("cluster");
        writer.apply_watcher_event(&Event::Delete(volume));
        context.forget_objects_gone();
        assert_eq!(remembered("volume"), (false, false, false));
        assert!(!context.calm.is_disturbed(&valid, &pool, &later));
    }
}
