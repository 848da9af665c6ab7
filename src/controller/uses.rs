//! Who uses a volume: pods with its claim, and the nodes that they are bound to. Read anew from the API server for each
//! decision; a cache could be behind, and a fence decides over data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use tokio::net::lookup_host;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::plan::attach::{self, NodeFacts, PodUse, Wish};
use crate::plan::validate::ValidCluster;
use crate::pool::Pool;

use super::context::Context;
use super::error::{Error, api};

/// How long a name server may take.
const LOOKUP: Duration = Duration::from_secs(3);

/// True when the pod mounts that claim.
pub(super) fn uses_claim(pod: &Pod, claim: &str) -> bool {
    let volumes = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    volumes
        .filter_map(|volume| volume.persistent_volume_claim.as_ref())
        .any(|source| source.claim_name == claim)
}

fn pod_use(pod: &Pod) -> Option<PodUse> {
    let node = pod.spec.as_ref()?.node_name.clone()?;
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default();
    Some(PodUse {
        pod: format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any()),
        node,
        finished: matches!(phase, "Succeeded" | "Failed"),
        deleting: pod.metadata.deletion_timestamp.is_some(),
    })
}

/// Pods of that namespace with that claim, bound to a node.
pub(super) async fn pods(
    context: &Context,
    namespace: &str,
    claim: &str,
) -> Result<Vec<PodUse>, Error> {
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let list = pods
        .list(&ListParams::default())
        .await
        .map_err(api("listing pods"))?;
    Ok(list
        .items
        .iter()
        .filter(|pod| uses_claim(pod, claim))
        .filter_map(pod_use)
        .collect())
}

/// What matters of a node.
pub(super) fn node_facts(node: &Node) -> NodeFacts {
    let status = node.status.as_ref();
    let addresses = status
        .iter()
        .flat_map(|status| status.addresses.iter().flatten());
    let ready = status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    NodeFacts {
        addresses: addresses
            .filter(|address| {
                address.type_ == "InternalIP"
                    && address.address.parse::<std::net::Ipv4Addr>().is_ok()
            })
            .map(|address| address.address.clone())
            .collect(),
        ready,
        out_of_service: taints
            .into_iter()
            .any(|taint| taint.key == "node.kubernetes.io/out-of-service"),
    }
}

/// All nodes, as they were last listed. Where one of them falls silent all volumes ask at once.
#[derive(Default)]
pub(super) struct Nodes(Mutex<Option<(Instant, Arc<ByName>)>>);

type ByName = BTreeMap<String, NodeFacts>;

impl Nodes {
    /// A list that began at `not_before` or later: a new one, which all who wait for it share.
    async fn since(&self, not_before: Instant, context: &Context) -> Result<Arc<ByName>, Error> {
        let mut last = self.0.lock().await;
        if let Some((_, nodes)) = last.as_ref().filter(|(began, _)| *began >= not_before) {
            return Ok(nodes.clone());
        }
        let began = Instant::now();
        let nodes: Api<Node> = Api::all(context.client.clone());
        let list = nodes
            .list(&ListParams::default())
            .await
            .map_err(api("listing nodes"))?;
        let nodes = list.items.iter();
        let nodes = nodes.map(|node| (node.name_any(), node_facts(node)));
        let nodes = Arc::new(nodes.collect::<ByName>());
        *last = Some((began, nodes.clone()));
        Ok(nodes)
    }
}

/// The wish to attach a one-writer volume.
pub(super) async fn wish(
    context: &Context,
    namespace: &str,
    claim: &str,
    cluster: &ValidCluster,
    pool: &Pool,
) -> Result<Wish, Error> {
    let pods = pods(context, namespace, claim).await?;
    let nodes = context.nodes.since(Instant::now(), context).await?;
    let storage = storage(cluster, pool).await;
    let mut wish = Wish {
        pods,
        nodes: (*nodes).clone(),
        storage,
        claim: None,
    };
    if let Some(view) = pool.latest() {
        wish.place_storage(cluster, &view);
    }
    Ok(wish)
}

/// Addresses that the names of storage hosts stand for, for hosts that do not answer, or are not asked, and so do not tell their own:
/// bricks know their clients by address. One that does not resolve leaves its host a stranger, and strangers make a fence wait. Which peers
/// there are that the cluster does not list is known from the last look.
pub(super) async fn storage(
    cluster: &ValidCluster,
    pool: &Pool,
) -> BTreeMap<String, BTreeSet<String>> {
    let listed = cluster.nodes.iter().map(|node| node.address.to_string());
    let last = pool.latest();
    let others = last.map_or_else(Vec::new, |view| attach::unlisted(cluster, &view));
    let names = listed.chain(others.into_iter().flatten());
    let names: BTreeSet<String> = names
        .filter(|name| name.parse::<IpAddr>().is_err())
        .collect();
    let found = names.into_iter().map(|name| async move {
        // a name server that is down must not keep a database from moving
        let found = timeout(LOOKUP, lookup_host((name.as_str(), 0))).await;
        let addresses = found.ok().and_then(Result::ok).into_iter().flatten();
        let addresses = addresses.map(|address| address.ip().to_string()).collect();
        (name, addresses)
    });
    join_all(found).await.into_iter().collect()
}
