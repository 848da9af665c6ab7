//! Reconciles a GlusterCluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tracing::instrument;

use crate::api::cluster::{GlusterClusterStatus, NodeStatus};
use crate::api::condition::{self, ConditionType, Finding, Reason};
use crate::api::{GlusterCluster, GlusterVolume};
use crate::gluster::model::PoolView;
use crate::host::Credentials;
use crate::plan::step::Step;
use crate::plan::validate::{self, ValidCluster};
use crate::plan::{self, cluster as decide};
use crate::pool::Pool;

use super::context::Context;
use super::error::{Error, api};
use super::{RESYNC, finalize, report};

/// Steps are planned anew from a fresh look at most so often in one reconcile.
const PASSES: usize = 4;
/// How long the deletion of a GlusterCluster waits for hosts that do not answer, to remove its owner file there.
const RELEASE_PATIENCE: Duration = Duration::from_secs(60);
/// Who writes our statuses.
pub(super) const FIELD_MANAGER: &str = "gluster-operator";

#[instrument(skip_all, fields(kind = "GlusterCluster", name = %object.name_any(), generation = object.metadata.generation))]
pub(super) async fn reconcile(
    object: Arc<GlusterCluster>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let timer = Instant::now();
    let result = if object.metadata.deletion_timestamp.is_some() {
        remove(&object, &context).await
    } else {
        keep(&object, &context).await
    };
    context.metrics.reconciled(
        "GlusterCluster",
        result.as_ref().map(|_| ()).map_err(Error::category),
        timer.elapsed(),
    );
    result
}

async fn keep(object: &GlusterCluster, context: &Context) -> Result<Action, Error> {
    let objects: Api<GlusterCluster> = Api::all(context.client.clone());
    finalize::ensure(&objects, object).await?;
    let (want, pool) = match usable(object, context).await? {
        Ok(usable) => usable,
        Err(mut findings) => {
            context.pools.remove(&object.name_any());
            report::say_interval(&mut findings, 30);
            write_status(object, context, findings, None, None).await?;
            return Ok(Action::requeue(Duration::from_secs(30)));
        }
    };
    let mut plan = plan::Plan::default();
    let mut view = pool.observe(Instant::now()).await.view;
    let mut failed = None;
    for _ in 0..PASSES {
        plan = decide::plan(&want, &view);
        let Some(coordinator) = decide::coordinator(&want, &view).cloned() else {
            break;
        };
        if plan.steps.is_empty() {
            break;
        }
        for step in &plan.steps {
            let done = pool.execute(step, &coordinator).await;
            context.metrics.step(step, done.is_ok());
            if let Err(failure) = done {
                failed = Some(failure);
                break;
            }
        }
        view = settled(&want, &pool).await;
        if failed.is_some() {
            plan = decide::plan(&want, &view);
            break;
        }
    }
    let mut findings = plan.findings;
    let misses = context.missed(&object.uid().unwrap_or_default(), failed.is_some());
    let mut next = plan.recheck.unwrap_or(RESYNC);
    if let Some(failure) = &failed {
        report::blame(&mut findings, failure);
        next = backoff(misses);
    }
    report::say_interval(&mut findings, next.as_secs());
    context.metrics.pool(&want, &view);
    write_status(object, context, findings, Some(&want), Some(&view)).await?;
    // no command that takes a lock is sent while one would hang
    if let Some(host) = decide::coordinator(&want, &view)
        && decide::held_back(&want, &view).is_none()
    {
        let limited = plan::volume::limited(&want, &view);
        pool.look_at_quotas(host, limited).await;
    }
    if context.calm.is_disturbed(&want, &pool, &view) {
        // the receiver goes with the process
        let _ = context.wake.unbounded_send(());
    }
    Ok(Action::requeue(next))
}

/// A look after steps. Peers that were just probed take a moment to see each other; looking at once would say that they do not.
async fn settled(want: &ValidCluster, pool: &Pool) -> Arc<PoolView> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let view = pool.observe(Instant::now()).await.view;
        let peers = decide::plan(want, &view)
            .findings
            .iter()
            .any(|f| f.kind == ConditionType::PeersConnected && f.holds == Some(true));
        if peers || Instant::now() > deadline {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// 10 s, doubled with each failure in a row, at most 5 min.
pub(super) fn backoff(misses: u32) -> Duration {
    Duration::from_secs((10_u64 << misses.saturating_sub(1).min(5)).min(300))
}

pub(super) type Usable = (Arc<ValidCluster>, Arc<Pool>);

/// Checks the object and its Secret. The inner error holds what to write into the status.
pub(super) async fn usable(
    object: &GlusterCluster,
    context: &Context,
) -> Result<Result<Usable, Vec<Finding>>, Error> {
    let uid = object.uid().ok_or(Error::Incomplete("uid"))?;
    let want = match validate::cluster(&object.name_any(), &uid, &context.kube_system, &object.spec)
    {
        Ok(want) => want,
        Err(problems) => return Ok(Err(validate::findings(&problems))),
    };
    let ssh = &object.spec.access.ssh;
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &context.namespace);
    let name = &ssh.secret_ref.name;
    let secret = secrets
        .get_opt(name)
        .await
        .map_err(api("reading the Secret"))?;
    let refused = |why: String| {
        let message = format!(
            "Secret {}/{name} (spec.access.ssh.secretRef): {why}",
            context.namespace
        );
        let no = |kind| Finding::no(kind, Reason::InvalidCredentials, message.clone());
        Ok(Err(vec![
            no(ConditionType::Ready),
            no(ConditionType::InSync),
            no(ConditionType::PeersConnected),
        ]))
    };
    let Some(secret) = secret else {
        return refused(format!(
            "does not exist; make it with `kubectl -n {} create secret generic {name} --from-file=ssh-privatekey=KEY --from-file=known_hosts=FILE`",
            context.namespace
        ));
    };
    let data = secret.data.clone().unwrap_or_default();
    let text = |key: &str| {
        data.get(key)
            .and_then(|value| String::from_utf8(value.0.clone()).ok())
    };
    let (Some(key), Some(known_hosts)) = (text("ssh-privatekey"), text("known_hosts")) else {
        return refused("has to have the keys ssh-privatekey and known_hosts, both text".into());
    };
    let credentials = match Credentials::parse(&key, &known_hosts) {
        Ok(credentials) => credentials,
        Err(error) => return refused(super::error::chain(&error)),
    };
    let version = secret.resource_version().unwrap_or_default();
    let pool = context.pools.put(want.clone(), ssh, &version, credentials);
    Ok(Ok((Arc::new(want), pool)))
}

async fn write_status(
    object: &GlusterCluster,
    context: &Context,
    findings: Vec<Finding>,
    want: Option<&ValidCluster>,
    view: Option<&PoolView>,
) -> Result<(), Error> {
    let before = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default();
    let mut status = GlusterClusterStatus {
        observed_generation: Some(generation),
        conditions: condition::merge(&before.conditions, &findings, generation, Timestamp::now()),
        ..before.clone()
    };
    if let (Some(want), Some(view)) = (want, view) {
        let member = decide::membership(want, view);
        status.owner = Some(want.owner.to_string());
        status.op_version = member
            .members
            .values()
            .map(|facts| facts.state.op_version)
            .max()
            .or(before.op_version);
        status.nodes = want
            .nodes
            .iter()
            .map(|node| {
                let facts = view.facts(&node.name);
                let old = before
                    .nodes
                    .iter()
                    .find(|old| old.name == node.name.as_str());
                NodeStatus {
                    name: node.name.to_string(),
                    uuid: facts
                        .and_then(|facts| facts.state.uuid.as_ref())
                        .map(ToString::to_string)
                        .or_else(|| old?.uuid.clone()),
                    version: facts
                        .map(|facts| facts.version.clone())
                        .or_else(|| old?.version.clone()),
                    connected: member.members.contains_key(&node.name),
                }
            })
            .collect();
    }
    if object.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let objects: Api<GlusterCluster> = Api::all(context.client.clone());
    let patch = json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "status": status});
    let params = PatchParams::apply(FIELD_MANAGER).force();
    objects
        .patch_status(&object.name_any(), &params, &Patch::Apply(patch))
        .await
        .map_err(api("writing the status"))?;
    report::transitions(
        context,
        &object.object_ref(&()),
        &before.conditions,
        &status.conditions,
    )
    .await;
    Ok(())
}

/// A GlusterCluster that is being deleted: it does not go before its volumes, then takes its owner files along. Nothing is
/// detached, stopped or unmounted.
async fn remove(object: &GlusterCluster, context: &Context) -> Result<Action, Error> {
    let name = object.name_any();
    let objects: Api<GlusterCluster> = Api::all(context.client.clone());
    let all: Api<GlusterVolume> = Api::all(context.client.clone());
    let selector = ListParams::default().fields(&format!("spec.clusterName={name}"));
    let volumes = all.list(&selector).await.map_err(api("listing volumes"))?;
    if !volumes.items.is_empty() {
        let mut names: Vec<_> = volumes
            .items
            .iter()
            .map(|v| format!("{}/{}", v.namespace().unwrap_or_default(), v.name_any()))
            .collect();
        let count = names.len();
        names.truncate(10);
        let message = format!(
            "{count} GlusterVolumes are on this cluster: {}; deletion goes on by itself when they are gone",
            names.join(", ")
        );
        let finding = Finding::no(ConditionType::InSync, Reason::DeletionBlocked, message);
        write_status(object, context, vec![finding], None, None).await?;
        return Ok(Action::requeue(Duration::from_secs(5)));
    }
    if let Ok((want, pool)) = usable(object, context).await? {
        let view = pool.observe(Instant::now()).await.view;
        let mut left: Vec<String> = view.silent().map(|(host, _, _)| host.to_string()).collect();
        for (host, _) in view
            .answered()
            .filter(|(_, facts)| facts.owner.as_deref() == Some(want.owner.as_str()))
        {
            let step = Step::ReleaseHost { host: host.clone() };
            if pool.execute(&step, host).await.is_err() {
                left.push(host.to_string());
            }
        }
        if !left.is_empty() {
            let since = object
                .metadata
                .deletion_timestamp
                .as_ref()
                .map(|time| time.0.as_second())
                .unwrap_or_default();
            let waited = Timestamp::now().as_second().saturating_sub(since);
            let message = format!("the owner file on {} could not be removed", left.join(", "));
            if waited < i64::try_from(RELEASE_PATIENCE.as_secs()).unwrap_or(60) {
                let finding = Finding::no(
                    ConditionType::InSync,
                    Reason::DeletionBlocked,
                    format!("{message}; tried for {} s", RELEASE_PATIENCE.as_secs()),
                );
                write_status(object, context, vec![finding], None, None).await?;
                return Ok(Action::requeue(Duration::from_secs(5)));
            }
            let note = format!(
                "{message}; it stays there, and who manages that pool next sets spec.takeOver to {}",
                want.owner
            );
            report::publish(
                context,
                &object.object_ref(&()),
                EventType::Warning,
                "OwnerFileLeft",
                &note,
            )
            .await;
        }
    }
    context.pools.remove(&name);
    finalize::release(&objects, object).await?;
    Ok(Action::await_change())
}
