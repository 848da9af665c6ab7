//! Wiring: the two controllers, the lease, the probes; and their end.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Secret};
use kube::api::ListParams;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::api::{GlusterCluster, GlusterVolume};
use crate::gluster::names::VolumeName;
use crate::plan::attach::NodeFacts;

use super::context::Context;
use super::http::{self, Probes};
use super::{cluster, error, lease, uses, volume};

/// How the controller is run.
#[derive(Debug, Clone)]
pub struct Config {
    /// The operator's own namespace: Secrets, Lease.
    pub namespace: String,
    /// Who we are, for the Lease; the same only for a process that can't run beside the one before.
    pub identity: String,
    /// Where metrics and probes are served.
    pub listen: SocketAddr,
}

/// Objects of a kind that are worked on at once; nearly all of the time they wait for hosts.
const CONCURRENCY: u16 = 64;

/// Runs until `stop`, or until something fails that can't be mended without a new start.
///
/// # Errors
/// The API server can't be reached at first, the address is taken, the Lease is lost, or a task ended.
pub async fn run(
    client: Client,
    config: Config,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let stop = stop.shared();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let kube_system = namespaces
        .get("kube-system")
        .await
        .context("can't read the namespace kube-system")?;
    // the files on the hosts are named after whoever looks
    let slot: VolumeName = format!("c{:08x}", rand::random::<u32>()).parse()?;
    let uid = kube_system
        .uid()
        .context("the namespace kube-system has no uid")?;
    let (wake, woken) = unbounded();
    let context = Context::new(
        client.clone(),
        &config.namespace,
        uid,
        slot,
        &config.identity,
        wake,
    );
    let context = Arc::new(context);
    let ready = Arc::new(AtomicBool::new(false));
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("can't listen on {}", config.listen))?;
    let app = http::app(Probes {
        context: context.clone(),
        ready: ready.clone(),
    });
    let server = tokio::spawn(axum::serve(listener, app).into_future());

    let held = tokio::select! {
        held = async {
            crds_served(&client).await;
            ready.store(true, Ordering::Relaxed);
            lease::acquire(client.clone(), &config.namespace, &config.identity).await
        } => held,
        () = stop.clone() => return Ok(()),
        ended = server => return ended?.context("the server of metrics and probes ended"),
    };
    let (ended, end) = watch::channel(false);
    let mut renewing = tokio::spawn(held.keep(async move {
        let mut end = end;
        let _ = end.wait_for(|ended| *ended).await;
    }));
    let mut work = tokio::spawn(controllers(context, woken, stop.clone()));
    let result = tokio::select! {
        lost = &mut renewing => return Err(lost?.err().map_or_else(|| anyhow::anyhow!("the lease was given back"), Into::into)),
        done = &mut work => done.context("the controllers ended"),
    };
    // reconciles that ran have finished; now somebody else may begin
    let _ = ended.send(true);
    let _ = tokio::time::timeout(Duration::from_secs(5), renewing).await;
    result
}

/// Waits until the API server serves both kinds.
async fn crds_served(client: &Client) {
    let clusters: Api<GlusterCluster> = Api::all(client.clone());
    let volumes: Api<GlusterVolume> = Api::all(client.clone());
    let one = ListParams::default().limit(1);
    loop {
        let missing = match (clusters.list(&one).await, volumes.list(&one).await) {
            (Ok(_), Ok(_)) => return,
            (Err(error), _) | (_, Err(error)) => error,
        };
        warn!(%missing, "the API server does not serve our kinds yet: kubectl apply -f crds/");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn controllers(
    context: Arc<Context>,
    woken: UnboundedReceiver<()>,
    stop: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    let client = context.client.clone();
    let any = watcher::Config::default;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &context.namespace);
    let options = || controller::Config::default().concurrency(CONCURRENCY);

    let clusters =
        Controller::new(Api::<GlusterCluster>::all(client.clone()), any()).with_config(options());
    let known_clusters = clusters.store();
    let cluster_store = known_clusters.clone();
    let _ = context.clusters.set(known_clusters.clone());
    let clusters = clusters
        .watches(secrets, any(), move |secret| {
            clusters_with_secret(&known_clusters, &secret.name_any())
        })
        .graceful_shutdown_on(stop.clone())
        .run(
            cluster::reconcile,
            |_, error, _| failed(error),
            context.clone(),
        )
        .for_each(|result| async move { log(result.map(|(object, _)| object.name)) });

    let volumes =
        Controller::new(Api::<GlusterVolume>::all(client.clone()), any()).with_config(options());
    let known = volumes.store();
    let volume_store = known.clone();
    let _ = context.volumes.set(known.clone());
    let (by_cluster, by_pod, by_node) = (known.clone(), known.clone(), known);
    let nodes_seen: Mutex<HashMap<String, NodeFacts>> = Mutex::default();
    let volumes = volumes
        .watches(
            Api::<GlusterCluster>::all(client.clone()),
            any(),
            move |cluster| {
                let name = cluster.name_any();
                some(&by_cluster, |volume| volume.spec.cluster_name == name)
            },
        )
        .watches(Api::<Pod>::all(client.clone()), any(), move |pod| {
            let namespace = pod.namespace();
            some(&by_pod, |volume| {
                volume.namespace() == namespace
                    && volume
                        .spec
                        .claim
                        .as_ref()
                        .is_some_and(|claim| uses::uses_claim(&pod, &claim.name))
            })
        })
        .watches(Api::<Node>::all(client.clone()), any(), move |node| {
            // nodes report every few seconds: only what matters to a fence wakes anybody
            let facts = uses::node_facts(&node);
            let mut seen = nodes_seen
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if seen.insert(node.name_any(), facts.clone()) == Some(facts) {
                return Vec::new();
            }
            some(&by_node, |volume| volume.spec.claim.is_some())
        })
        .reconcile_all_on(woken)
        .graceful_shutdown_on(stop.clone())
        .run(volume::reconcile, |_, error, _| failed(error), context)
        .for_each(|result| async move { log(result.map(|(object, _)| object.name)) });
    info!("watching");
    futures::join!(
        once_known(clusters, cluster_store, stop.clone()),
        once_known(volumes, volume_store, stop),
    );
    info!("stopped");
}

/// A controller that is told to stop before it knows its objects never ends by itself (kube 5): its reconciles wait for them, and
/// nothing brings them any more. So it is left then; none of its reconciles has begun.
async fn once_known<K>(
    work: impl Future<Output = ()>,
    known: Store<K>,
    stop: impl Future<Output = ()>,
) where
    K: reflector::Lookup + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    let mut work = pin!(work);
    tokio::select! {
        biased;
        () = &mut work => return,
        _ = known.wait_until_ready() => {}
        () = stop => return,
    }
    work.await;
}

fn failed(error: &error::Error) -> controller::Action {
    warn!(error = error::chain(error), "reconcile failed");
    error::retry()
}

fn log<E: std::error::Error>(result: Result<String, E>) {
    match result {
        Ok(name) => debug!(name, "reconciled"),
        Err(error) => debug!(
            error = error::chain(&error),
            "reconcile ended with an error"
        ),
    }
}

fn clusters_with_secret(
    store: &Store<GlusterCluster>,
    secret: &str,
) -> Vec<ObjectRef<GlusterCluster>> {
    let found = store.state_filter(|cluster| cluster.spec.access.ssh.secret_ref.name == secret);
    found
        .iter()
        .map(|cluster| ObjectRef::from_obj(cluster.as_ref()))
        .collect()
}

fn some(
    store: &Store<GlusterVolume>,
    wanted: impl Fn(&GlusterVolume) -> bool,
) -> Vec<ObjectRef<GlusterVolume>> {
    store
        .state()
        .iter()
        .filter(|volume| wanted(volume))
        .map(|volume| ObjectRef::from_obj(volume.as_ref()))
        .collect()
}
