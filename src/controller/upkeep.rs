//! What a GlusterCluster that is set up still needs: see [`crate::plan::upkeep`] and [`crate::plan::trash`], which decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::runtime::events::EventType;
use tracing::warn;

use crate::api::GlusterCluster;
use crate::api::cluster::NodeStatus;
use crate::api::condition::{ConditionType, Finding, Reason};
use crate::gluster::model::{GlusterdVol, PoolView};
use crate::gluster::names::HostName;
use crate::gluster::outcome::Class;
use crate::plan::cluster as decide;
use crate::plan::step::Step;
use crate::plan::trash::{self, Candidate, DeviceTrash, Verdict};
use crate::plan::upkeep::{self, Care, Former, Upkeep};
use crate::plan::validate::{OpVersionWish, ValidCluster};
use crate::pool::{Pool, StepFailure};

use super::context::Context;
use super::report;

/// Steps are planned anew from a fresh look at most so often in one reconcile.
const PASSES: usize = 3;
/// How long one reconcile destroys trash on a host, one slice more at most.
const PURGE_TIME: Duration = Duration::from_secs(10);

/// Where upkeep ended.
pub(super) struct Tended {
    pub(super) view: Arc<PoolView>,
    pub(super) failed: Option<StepFailure>,
    /// Names of former nodes that can be forgotten.
    pub(super) forgotten: BTreeSet<String>,
    /// There is more to do right away.
    pub(super) soon: bool,
}

/// Nodes of the status that are not in the spec any more.
pub(super) fn former(before: &[NodeStatus], want: &ValidCluster) -> Vec<Former> {
    let listed = |name: &str| {
        want.nodes
            .iter()
            .any(|node| node.name.as_str().eq_ignore_ascii_case(name))
    };
    let parse = |node: &NodeStatus| {
        Some(Former {
            name: node.name.parse().ok()?,
            address: node.address.as_ref().unwrap_or(&node.name).parse().ok()?,
            uuid: node.uuid.as_ref()?.parse().ok()?,
        })
    };
    before
        .iter()
        .filter(|node| !listed(&node.name))
        .filter_map(parse)
        .collect()
}

/// What upkeep is planned from besides the picture of the pool.
pub(super) struct Gathered {
    former: Vec<Former>,
    /// The way to former nodes.
    visit: Option<Pool>,
    former_view: Arc<PoolView>,
    max_op_version: Option<u32>,
    glusterd_vol: BTreeMap<HostName, Result<GlusterdVol, String>>,
    unsettled: Option<String>,
}

impl Gathered {
    /// Looks at it. `nodes` are those that status remembers.
    pub(super) async fn of(
        context: &Context,
        want: &ValidCluster,
        pool: &Pool,
        view: &PoolView,
        nodes: &[NodeStatus],
    ) -> Self {
        let former = former(nodes, want);
        let visit = context.pools.visit(want.name.as_str(), &former);
        let former_view = match &visit {
            Some(visit) => visit.observe(Instant::now()).await.view,
            None => Arc::default(),
        };
        let max_op_version = match decide::coordinator(want, view) {
            // it asks every peer
            Some(host)
                if want.op_version == OpVersionWish::Max && view.silent().next().is_none() =>
            {
                pool.max_op_version(host).await
            }
            _ => None,
        };
        let glusterd_vol = if want.ping_timeout.is_some() {
            pool.glusterd_vol().await
        } else {
            BTreeMap::new()
        };
        Self {
            former,
            visit,
            former_view,
            max_op_version,
            glusterd_vol,
            unsettled: pool.unsettled_anywhere(),
        }
    }

    /// The plan for that; `owned` are pool options that were set for this object.
    pub(super) fn plan(&self, want: &ValidCluster, view: &PoolView, owned: &[String]) -> Care {
        let upkeep = Upkeep {
            owned,
            former: &self.former,
            former_view: &self.former_view,
            max_op_version: self.max_op_version,
            glusterd_vol: &self.glusterd_vol,
            unsettled: self.unsettled.as_deref(),
        };
        upkeep::plan(want, view, &upkeep)
    }

    /// The step that removes the owner file of a host that is no peer any more; `None` where it has none of ours.
    ///
    /// # Errors
    /// The host did not tell: why.
    pub(super) fn owner_file(
        &self,
        want: &ValidCluster,
        former: &Former,
    ) -> Result<Option<Step>, String> {
        let (name, view) = (&former.name, &self.former_view);
        match view.facts(name).map(|facts| facts.owner.as_deref()) {
            Some(Some(owner)) if owner == want.owner.as_str() => {
                Ok(Some(Step::ReleaseHost { host: name.clone() }))
            }
            // none, or somebody else's by now
            Some(_) => Ok(None),
            None => Err(view.silent().find(|(host, ..)| *host == name).map_or_else(
                || "it was not looked at".to_owned(),
                |(_, why, _)| why.to_owned(),
            )),
        }
    }
}

/// Takes the steps of upkeep, and puts into the findings what keeps the pool from being as declared.
pub(super) async fn tend(
    object: &GlusterCluster,
    context: &Context,
    want: &ValidCluster,
    pool: &Pool,
    view: Arc<PoolView>,
    findings: &mut Vec<Finding>,
) -> Tended {
    let status = object.status.clone().unwrap_or_default();
    let mut tended = Tended {
        view,
        failed: None,
        forgotten: BTreeSet::new(),
        soon: false,
    };
    let mut care = Care::default();
    for pass in 0..=PASSES {
        let gathered = Gathered::of(context, want, pool, &tended.view, &status.nodes).await;
        let coordinator = decide::coordinator(want, &tended.view).cloned();
        care = gathered.plan(want, &tended.view, &status.owned_options);
        release(object, context, want, &gathered, &care, &mut tended).await;
        let Some(coordinator) = coordinator else {
            break;
        };
        if care.plan.steps.is_empty() || tended.failed.is_some() || pass == PASSES {
            break;
        }
        for step in &care.plan.steps {
            if matches!(step, Step::DetachPeer { .. }) {
                // hosts that left were visited meanwhile, which takes its time where they are dead: a volume may have been made
                tended.view = pool.observe(Instant::now()).await.view;
                let again = gathered.plan(want, &tended.view, &status.owned_options);
                if !again.plan.steps.contains(step) {
                    continue;
                }
            }
            let done = pool.execute(step, &coordinator).await;
            context.metrics.step(step, done.is_ok());
            if let Err(failure) = done {
                // what was refused is no reason to leave out the others; anything else meets them, too
                let stop = failure.class != Class::Refused;
                tended.failed.get_or_insert(failure);
                if stop {
                    break;
                }
            }
        }
        tended.view = pool.observe(Instant::now()).await.view;
    }
    say(findings, &care);
    if tended.failed.is_none() {
        purge(object, context, want, pool, &mut tended, findings).await;
    }
    tended
}

/// Hosts that are no peers any more: their owner file goes, where they let us in.
async fn release(
    object: &GlusterCluster,
    context: &Context,
    want: &ValidCluster,
    gathered: &Gathered,
    care: &Care,
    tended: &mut Tended,
) {
    let Some(visit) = &gathered.visit else {
        return;
    };
    for former in &care.detached {
        let name = &former.name;
        if !tended.forgotten.insert(name.to_string()) {
            continue;
        }
        let problem = match gathered.owner_file(want, former) {
            Ok(Some(step)) => {
                let done = visit.execute(&step, name).await;
                done.err().map(|failure| failure.to_string())
            }
            Ok(None) => None,
            Err(why) => Some(why),
        };
        let reference = object.object_ref(&());
        match problem {
            None => {
                let note = format!("{name} left spec.nodes and is no peer any more");
                report::publish(
                    context,
                    &reference,
                    EventType::Normal,
                    "NodeDetached",
                    &note,
                )
                .await;
            }
            Some(why) => {
                let note = format!(
                    "{name} left spec.nodes and is no peer any more, but its owner file could not be removed ({why}): remove /var/lib/gluster-operator/owner there before another pool takes that host. If it was down when it was detached, it goes on to believe that it is a peer: stop its glusterd, remove what is in /var/lib/glusterd/peers and /var/lib/glusterd/vols, and start it"
                );
                report::publish(
                    context,
                    &reference,
                    EventType::Warning,
                    "OwnerFileLeft",
                    &note,
                )
                .await;
            }
        }
    }
    tended
        .forgotten
        .extend(care.renamed.iter().map(|former| former.name.to_string()));
}

/// Puts what upkeep found into the conditions.
fn say(findings: &mut Vec<Finding>, care: &Care) {
    if !care.strangers.is_empty() {
        append(
            findings,
            ConditionType::PeersConnected,
            &format!(
                "peers that are not in spec.nodes and never were, left alone: {}; `gluster peer detach` is yours to type",
                care.strangers.join(", ")
            ),
        );
    }
    let problems: Vec<&Finding> = care.plan.findings.iter().collect();
    let Some(first) = problems.first() else {
        if !care.plan.steps.is_empty() {
            let list: Vec<String> = care.plan.steps.iter().map(Step::describe).collect();
            replace(
                findings,
                Finding::no(ConditionType::InSync, Reason::Working, list.join(", ")),
            );
        }
        return;
    };
    let text: Vec<&str> = problems
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();
    replace(
        findings,
        Finding::no(ConditionType::InSync, first.reason, text.join("; ")),
    );
}

fn replace(findings: &mut Vec<Finding>, new: Finding) {
    findings.retain(|finding| finding.kind != new.kind);
    findings.push(new);
}

fn append(findings: &mut [Finding], kind: ConditionType, text: &str) {
    for finding in findings.iter_mut().filter(|finding| finding.kind == kind) {
        finding.message = format!("{}; {text}", finding.message);
    }
}

/// The trash of all devices that could be looked at.
async fn trash_of(pool: &Pool) -> Vec<DeviceTrash> {
    let listed = pool.list_trash().await.into_iter();
    let one = |(host, device, listing)| DeviceTrash {
        host,
        device,
        listing,
    };
    listed.map(one).collect()
}

/// What the next look at the trash would destroy, each step with its host, and what can't be told of it.
pub(super) async fn foresee_purge(
    want: &ValidCluster,
    pool: &Pool,
    view: &PoolView,
) -> (Vec<(HostName, Step)>, Vec<Finding>) {
    let (mut steps, mut findings) = (Vec::new(), Vec::new());
    if want.trash.retention.is_none() {
        return (steps, findings);
    }
    let mut untold = |message: String| {
        let kind = ConditionType::DevicesReady;
        findings.push(Finding::unknown(kind, Reason::Unknown, message));
    };
    if let Some(why) = trash::held(want, view) {
        untold(format!(
            "what of the trash would be destroyed is not known: {why}"
        ));
        return (steps, findings);
    }
    let now = now();
    for device in &trash_of(pool).await {
        let host = &device.host;
        steps.extend(finished(device).map(|step| (host.clone(), step)));
        let mut some_go = false;
        for candidate in trash::candidates(want, view, device) {
            let name = &candidate.item.name;
            let place = format!("{host}:{}/.trash/{name}", device.device);
            if some_go && trash::is_early(want, &candidate) {
                untold(format!(
                    "{place} is destroyed, too, and what follows by age, if less than {} % of the device is free then",
                    want.trash.min_free_percent
                ));
                break;
            }
            match pool.inspect_trash(host, &device.device, name).await {
                Ok(entry) => {
                    if let Verdict::Purge(step) = trash::judge(want, view, &candidate, &entry, now)
                    {
                        some_go = true;
                        steps.push((host.clone(), step));
                    }
                }
                Err(why) => untold(format!("{place} could not be looked at: {why}")),
            }
        }
    }
    (steps, findings)
}

/// What is left to do of destructions that were cut off at their end.
fn finished(device: &DeviceTrash) -> impl Iterator<Item = Step> {
    let names = device.listing.purged.iter();
    names.map(|name| Step::PurgeTrash {
        host: device.host.clone(),
        device: device.device.clone(),
        name: name.clone(),
        manifest: false,
    })
}

/// Seconds since 1970.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

/// Destroys what is old enough in the trash, and tells of what is not ours there.
async fn purge(
    object: &GlusterCluster,
    context: &Context,
    want: &ValidCluster,
    pool: &Pool,
    tended: &mut Tended,
    findings: &mut [Finding],
) {
    if trash::held(want, &tended.view).is_some() || pool.unsettled_anywhere().is_some() {
        return;
    }
    let all = trash_of(pool).await;
    let mut kept = trash::strange(&all);
    let mut by_host: BTreeMap<&HostName, Vec<&DeviceTrash>> = BTreeMap::new();
    for one in &all {
        by_host.entry(&one.host).or_default().push(one);
    }
    let view = tended.view.clone();
    let work = by_host.into_values().map(|devices| {
        let view = &view;
        async move { purge_host(object, context, want, pool, view, devices).await }
    });
    for (more, told) in join_all(work).await {
        tended.soon |= more;
        kept.extend(told);
    }
    if !kept.is_empty() {
        kept.truncate(10);
        let text = format!("in the trash and left alone: {}", kept.join(", "));
        append(findings, ConditionType::DevicesReady, &text);
    }
}

/// One host's part: whether more is to be done at once, and what stays though it is old enough.
async fn purge_host(
    object: &GlusterCluster,
    context: &Context,
    want: &ValidCluster,
    pool: &Pool,
    view: &PoolView,
    devices: Vec<&DeviceTrash>,
) -> (bool, Vec<String>) {
    let begin = Instant::now();
    let mut kept = Vec::new();
    for device in devices {
        for step in finished(device) {
            let done = pool.execute(&step, &device.host).await;
            context.metrics.step(&step, done.is_ok());
        }
        let candidates = trash::candidates(want, view, device);
        let mut some_gone = false;
        for candidate in &candidates {
            if some_gone && trash::is_early(want, candidate) {
                break;
            }
            if begin.elapsed() > PURGE_TIME {
                return (true, kept);
            }
            match purge_one(object, context, want, pool, candidate).await {
                Purged::Gone => some_gone = true,
                Purged::Young => {}
                Purged::InPart => return (true, kept),
                Purged::Kept(why) => kept.push(why),
            }
        }
    }
    (false, kept)
}

enum Purged {
    Gone,
    InPart,
    Young,
    Kept(String),
}

async fn purge_one(
    object: &GlusterCluster,
    context: &Context,
    want: &ValidCluster,
    pool: &Pool,
    candidate: &Candidate,
) -> Purged {
    let Candidate {
        host, device, item, ..
    } = candidate;
    let entry = match pool.inspect_trash(host, device, &item.name).await {
        Ok(entry) => entry,
        Err(why) => {
            warn!(why, entry = item.name.as_str(), "could not be looked at");
            return Purged::Young;
        }
    };
    // what others destroyed before this one took its time
    let view = pool.observe(Instant::now()).await.view;
    if trash::held(want, &view).is_some() {
        return Purged::Young;
    }
    let step = match trash::judge(want, &view, candidate, &entry, now()) {
        Verdict::Purge(step) => step,
        Verdict::Young => return Purged::Young,
        Verdict::Kept(why) => return Purged::Kept(why),
    };
    let done = pool.execute(&step, host).await;
    context.metrics.step(&step, done.is_ok());
    match done {
        Ok(()) => {
            let note = format!("{host}:{device}/.trash/{} is destroyed", item.name);
            report::publish(
                context,
                &object.object_ref(&()),
                EventType::Normal,
                "TrashPurged",
                &note,
            )
            .await;
            Purged::Gone
        }
        Err(failure) if failure.detail == "slice-over" => Purged::InPart,
        Err(failure) => Purged::Kept(failure.to_string()),
    }
}
