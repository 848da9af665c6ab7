//! Reconciles a GlusterCluster.

use std::collections::BTreeSet;
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

use crate::api::cluster::{DeviceStatus, GlusterClusterStatus, NodeStatus};
use crate::api::condition::{self, ConditionType, EventReason, Finding, Reason};
use crate::api::{GlusterCluster, GlusterVolume, quantity};
use crate::gluster::model::{DeviceFacts, PoolView};
use crate::gluster::names::{Bytes, HostPath, OWNER_FILE};
use crate::host::Credentials;
use crate::plan::step::Step;
use crate::plan::validate::{self, ValidCluster};
use crate::plan::{self, cluster as decide};
use crate::pool::Pool;

use super::context::Context;
use super::error::{Error, api};
use super::{RESYNC, finalize, report, upkeep};

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
    let result = fresh(&object, &context).await;
    context.metrics.reconciled(
        "GlusterCluster",
        result.as_ref().map(|_| ()).map_err(Error::category),
        timer.elapsed(),
    );
    result
}

/// Works on the object as the API server has it. The one that we were given may be older than the status that we wrote last, which
/// remembers former nodes and options that are ours.
async fn fresh(object: &GlusterCluster, context: &Context) -> Result<Action, Error> {
    let objects: Api<GlusterCluster> = Api::all(context.client.clone());
    let current = objects
        .get_opt(&object.name_any())
        .await
        .map_err(api("reading the cluster"))?;
    match current {
        None => Ok(Action::await_change()),
        Some(object) if object.metadata.deletion_timestamp.is_some() => {
            remove(&object, context).await
        }
        Some(object) => keep(&object, context).await,
    }
}

async fn keep(object: &GlusterCluster, context: &Context) -> Result<Action, Error> {
    let objects: Api<GlusterCluster> = Api::all(context.client.clone());
    finalize::ensure(&objects, object).await?;
    let (want, pool) = match usable(object, context).await? {
        Ok(usable) => usable,
        Err(mut findings) => {
            context.pools.remove(&object.name_any());
            report::say_interval(&mut findings, 30);
            write_status(object, context, findings, None).await?;
            return Ok(Action::requeue(Duration::from_secs(30)));
        }
    };
    announce(object, context, &want).await?;
    let uid = object.uid().unwrap_or_default();
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
            let tries = &context.tries;
            let (uid, generation) = (&uid, object.metadata.generation);
            if let Some(failure) = tries.too_early(uid, generation, step) {
                failed = Some(failure);
                break;
            }
            let done = pool.execute(step, &coordinator).await;
            context.metrics.step(step, done.is_ok());
            tries.note(uid, generation, step, done.as_ref().err());
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
    let ready = findings
        .iter()
        .any(|finding| finding.kind == ConditionType::Ready && finding.holds == Some(true));
    let mut upkeep_steps = Vec::new();
    let mut forgotten = BTreeSet::new();
    let mut soon = false;
    if failed.is_none() && ready && plan.steps.is_empty() {
        let tended = upkeep::tend(object, context, &want, &pool, view, &mut findings).await;
        view = tended.view;
        failed = tended.failed;
        forgotten = tended.forgotten;
        upkeep_steps = tended.planned;
        soon = tended.soon;
    }
    let mut next = plan.recheck.unwrap_or(RESYNC);
    let mut every = next;
    if let Some(failure) = &failed {
        report::blame(&mut findings, failure);
        // whatever fails, the pool is looked at all the same
        let planned = [plan.steps, upkeep_steps].concat();
        if let Some(again) = context.tries.again(&uid, &planned) {
            every = again.every;
            next = next.min(again.left);
        }
    } else {
        context.tries.forget(&uid);
    }
    report::say_interval(&mut findings, every.as_secs());
    context.metrics.pool(&want, &view);
    let seen = Seen {
        want: &want,
        view: &view,
        forgotten,
    };
    write_status(object, context, findings, Some(seen)).await?;
    // a calm volume whose object is gone would look disturbed for ever
    context.forget_objects_gone();
    let wake = || {
        if context.calm.is_disturbed(&want, &pool, &view) {
            // the receiver goes with the process
            let _ = context.wake.unbounded_send(());
        }
    };
    // news of bricks do not wait for what a locked volume or a glusterd that hangs may delay, nor does the next look
    wake();
    let told = Instant::now();
    // no command that takes a lock is sent while one would hang
    if let Some(host) = decide::teller(&want, &view)
        && decide::held_back(&want, &view).is_none()
        // the list waits for bricks of a silent host, and writes would wait for the list
        && view.silent().next().is_none()
        && decide::within_reach(&want, &view).is_none()
    {
        let limited = plan::quota::limited(&want, &view);
        pool.look_at_quotas(host, limited).await;
        wake();
    }
    Ok(Action::requeue(if soon {
        Duration::from_secs(1)
    } else {
        let spent = told.elapsed();
        next.saturating_sub(spent).max(Duration::from_secs(1))
    }))
}

/// Before any option of the pool is set: writes down which will be ours, so that a crash can't make us forget to reset them.
async fn announce(
    object: &GlusterCluster,
    context: &Context,
    want: &ValidCluster,
) -> Result<(), Error> {
    let before = object.status.clone().unwrap_or_default();
    let mut owned: BTreeSet<String> = before.owned_options.iter().cloned().collect();
    owned.extend(want.options.keys().map(ToString::to_string));
    let owned: Vec<String> = owned.into_iter().collect();
    if owned == before.owned_options {
        return Ok(());
    }
    let status = GlusterClusterStatus {
        owned_options: owned,
        ..before
    };
    apply_status(object, context, &status).await
}

async fn apply_status(
    object: &GlusterCluster,
    context: &Context,
    status: &GlusterClusterStatus,
) -> Result<(), Error> {
    let objects: Api<GlusterCluster> = Api::all(context.client.clone());
    let patch = json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "status": status});
    let params = PatchParams::apply(FIELD_MANAGER).force();
    objects
        .patch_status(&object.name_any(), &params, &Patch::Apply(patch))
        .await
        .map(|_| ())
        .map_err(api("writing the status"))
}

/// What a status is filled in from.
struct Seen<'a> {
    want: &'a ValidCluster,
    view: &'a PoolView,
    /// Former nodes that are remembered no more.
    forgotten: BTreeSet<String>,
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

/// 5 s, doubled with each failure in a row, at most 5 min.
pub(super) fn backoff(misses: u32) -> Duration {
    Duration::from_secs((5_u64 << misses.saturating_sub(1).min(6)).min(300))
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
    let before = object.status.as_ref();
    let before = before.map_or(&[][..], |status| &status.nodes);
    let pool = context
        .pools
        .put(want.clone(), ssh, &version, credentials, before);
    Ok(Ok((Arc::new(want), pool)))
}

async fn write_status(
    object: &GlusterCluster,
    context: &Context,
    findings: Vec<Finding>,
    seen: Option<Seen<'_>>,
) -> Result<(), Error> {
    let before = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default();
    let mut status = GlusterClusterStatus {
        observed_generation: Some(generation),
        conditions: condition::merge(&before.conditions, &findings, generation, Timestamp::now()),
        ..before.clone()
    };
    if let Some(seen) = &seen {
        describe(&mut status, &before, seen);
    }
    if object.status.as_ref() == Some(&status) {
        return Ok(());
    }
    apply_status(object, context, &status).await?;
    report::transitions(
        context,
        &object.object_ref(&()),
        &before.conditions,
        &status.conditions,
    )
    .await;
    Ok(())
}

/// Fills in what was seen. What could not be seen stays as it was.
fn describe(status: &mut GlusterClusterStatus, before: &GlusterClusterStatus, seen: &Seen<'_>) {
    let Seen {
        want,
        view,
        forgotten,
    } = seen;
    let member = decide::membership(want, view);
    status.owner = Some(want.owner.to_string());
    status.op_version = member
        .members
        .values()
        .map(|facts| facts.state.op_version)
        .max()
        .or(before.op_version);
    // what left the spec is ours until it is seen to be reset
    let coordinator = decide::coordinator(want, view).and_then(|host| view.facts(host));
    let is_set =
        |key: &str| coordinator.is_none_or(|facts| facts.state.global_options.contains_key(key));
    let left = before
        .owned_options
        .iter()
        .filter(|key| is_set(key))
        .cloned();
    let owned: BTreeSet<String> = left
        .chain(want.options.keys().map(ToString::to_string))
        .collect();
    status.owned_options = owned.into_iter().collect();
    let listed = want.nodes.iter().map(|node| {
        let facts = view.facts(&node.name);
        let old = before
            .nodes
            .iter()
            .find(|old| old.name == node.name.as_str());
        let seen = |device: &HostPath| {
            let old =
                old.and_then(|old| old.devices.iter().find(|old| old.path == device.as_str()));
            match facts {
                Some(facts) => device_status(device, facts.devices.get(device)?, old),
                None => old.cloned(),
            }
        };
        NodeStatus {
            name: node.name.to_string(),
            address: Some(node.address.to_string()),
            uuid: facts
                .and_then(|facts| facts.state.uuid.as_ref())
                .map(ToString::to_string)
                .or_else(|| old?.uuid.clone()),
            version: facts
                .map(|facts| facts.version.clone())
                .or_else(|| old?.version.clone()),
            // those of before are among them: the pool was told of them when it was put together
            addresses: view
                .addresses
                .get(&node.name)
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            connected: member.members.contains_key(&node.name),
            leaving: false,
            devices: node.devices.iter().filter_map(seen).collect(),
        }
    });
    let former = upkeep::former(&before.nodes, want)
        .into_iter()
        .filter_map(|former| {
            let old = before
                .nodes
                .iter()
                .find(|old| old.name == former.name.as_str())?;
            (!forgotten.contains(&old.name)).then(|| NodeStatus {
                leaving: true,
                connected: false,
                devices: Vec::new(),
                ..old.clone()
            })
        });
    status.nodes = listed.chain(former).collect();
}

/// Size and free space of a mounted device. What is free is told in steps of 5 % of the size, and a step is left only when it is
/// clearly behind, so that status does not change with every file.
fn device_status(
    device: &HostPath,
    facts: &DeviceFacts,
    old: Option<&DeviceStatus>,
) -> Option<DeviceStatus> {
    let DeviceFacts::Present {
        mount_point,
        size,
        free,
        fs_id,
    } = facts
    else {
        return None;
    };
    if mount_point != device.as_str() {
        return None;
    }
    let step = (size.0 / 20).max(1);
    let near = |told: &u64| {
        let margin = step / 4;
        (told.saturating_sub(margin)..told.saturating_add(step + margin)).contains(&free.0)
    };
    let told = old
        .filter(|old| old.fs_id == *fs_id && old.size == size.to_string())
        .and_then(|old| quantity::bytes(&old.free).ok())
        .filter(near)
        .unwrap_or(free.0 / step * step);
    Some(DeviceStatus {
        path: device.to_string(),
        fs_id: fs_id.clone(),
        size: size.to_string(),
        free: Bytes(told).to_string(),
    })
}

/// Removes our owner files; gives the hosts where that could not be done.
async fn release(want: &ValidCluster, pool: &Pool) -> Vec<String> {
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
    left
}

/// What to do about owner files that stay behind when their GlusterCluster goes. An event holds 1000 characters, so that what is to
/// be done comes before what may be long.
fn owner_file_left(hosts: &[String], why: &str, owner: &str) -> String {
    let named: Vec<&str> = hosts.iter().take(10).map(String::as_str).collect();
    let more = match hosts.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the owner file on {}{more} could not be removed and stays there. Remove it by hand, on each as root: `grep -qxF {owner} {OWNER_FILE} && rm {OWNER_FILE}`; or who manages that pool next sets spec.takeOver to {owner}. Why: {why}",
        named.join(", ")
    )
}

/// A GlusterCluster that is being deleted: it does not go before its volumes, then takes its owner files along. Nothing is
/// detached, stopped or unmounted.
async fn remove(object: &GlusterCluster, context: &Context) -> Result<Action, Error> {
    let name = object.name_any();
    // its volumes are looked after until they are gone, also by a controller that has just begun
    let usable = usable(object, context).await?;
    if usable.is_err() {
        context.pools.remove(&name);
    }
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
        write_status(object, context, vec![finding], None).await?;
        return Ok(Action::requeue(Duration::from_secs(5)));
    }
    let nodes = object.status.clone().unwrap_or_default().nodes;
    let left = match usable {
        Ok((want, pool)) => {
            let mut left = release(&want, &pool).await;
            // hosts that left the spec and are peers still carry our file, too
            let former = upkeep::former(&nodes, &want);
            if let Some(visit) = context.pools.visit(&name, &former) {
                left.extend(release(&want, &visit).await);
            }
            let since = object
                .metadata
                .deletion_timestamp
                .as_ref()
                .map(|time| time.0.as_second())
                .unwrap_or_default();
            let waited = Timestamp::now().as_second().saturating_sub(since);
            let patience = i64::try_from(RELEASE_PATIENCE.as_secs()).unwrap_or(60);
            if !left.is_empty() && waited < patience {
                let message = format!(
                    "the owner file on {} could not be removed; tried for {} s",
                    left.join(", "),
                    RELEASE_PATIENCE.as_secs()
                );
                let finding = Finding::no(ConditionType::InSync, Reason::DeletionBlocked, message);
                write_status(object, context, vec![finding], None).await?;
                return Ok(Action::requeue(Duration::from_secs(5)));
            }
            let why = "no answer, or a refusal".to_owned();
            (!left.is_empty()).then_some((left, why))
        }
        // there is no way to the hosts, and none may ever come
        Err(findings) => {
            let listed = object.spec.nodes.iter().map(|node| node.name.clone());
            let seen = nodes.iter().map(|node| node.name.clone());
            let all: BTreeSet<String> = listed.chain(seen).collect();
            let why = findings.into_iter().next().map(|finding| finding.message);
            Some((all.into_iter().collect(), why.unwrap_or_default()))
        }
    };
    if let Some((hosts, why)) = left {
        let uid = object.uid().ok_or(Error::Incomplete("uid"))?;
        let note = owner_file_left(&hosts, &why, &format!("{}.{uid}", context.kube_system));
        report::publish(
            context,
            &object.object_ref(&()),
            EventType::Warning,
            EventReason::OwnerFileLeft,
            &note,
        )
        .await;
    }
    context.pools.remove(&name);
    context.tries.forget(&object.uid().unwrap_or_default());
    finalize::release(&objects, object).await?;
    Ok(Action::await_change())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_files_that_stay_are_told_with_their_hosts_and_the_way_to_remove_them() {
        let owner = "6d8e4b4a-0000-4000-8000-000000000001.6d8e4b4a-0000-4000-8000-000000000002";
        let hosts = |count| (1..=count).map(|i| format!("node{i}")).collect::<Vec<_>>();
        let why = "Secret gluster-operator/gluster-ssh (spec.access.ssh.secretRef): does not exist";
        for (count, names) in [
            (1, "on node1 could"),
            (3, "on node1, node2, node3 could"),
            (12, "node9, node10 and 2 more could"),
        ] {
            let note = owner_file_left(&hosts(count), why, owner);
            let command = format!(
                "`grep -qxF {owner} /var/lib/gluster-operator/owner && rm /var/lib/gluster-operator/owner`"
            );
            let take_over = format!("spec.takeOver to {owner}");
            for part in [names, &command, &take_over, why] {
                assert!(note.contains(part), "{part}: {note}");
            }
        }
        let long = vec!["n".repeat(63); 12];
        let note = owner_file_left(&long, &"why ".repeat(200), owner);
        let end = note.find("rm /var/lib").unwrap();
        assert!(end < 950, "what is to be done is not cut off: {end}");
    }
}
