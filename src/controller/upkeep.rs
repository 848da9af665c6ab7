//! What a GlusterCluster that is set up still needs: see [`crate::plan::upkeep`] and [`crate::plan::trash`], which decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::events::EventType;
use kube::{Api, Resource, ResourceExt};
use tracing::warn;

use crate::api::GlusterCluster;
use crate::api::cluster::NodeStatus;
use crate::api::condition::{ConditionType, EventReason, Finding, Reason};
use crate::gluster::model::{GlusterdVol, PoolView};
use crate::gluster::names::HostName;
use crate::gluster::outcome::Class;
use crate::plan::cluster as decide;
use crate::plan::step::Step;
use crate::plan::trash::{self, Candidate, DeviceTrash, Verdict};
use crate::plan::upkeep::{self, Care, Former, Upkeep};
use crate::plan::validate::{OpVersionWish, ValidCluster};
use crate::pool::{Leave, Pool, StepFailure};

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
    /// What was planned last.
    pub(super) planned: Vec<Step>,
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
        self.plan_with(want, view, owned, self.unsettled.as_deref())
    }

    fn plan_with(
        &self,
        want: &ValidCluster,
        view: &PoolView,
        owned: &[String],
        unsettled: Option<&str>,
    ) -> Care {
        let upkeep = Upkeep {
            owned,
            former: &self.former,
            former_view: &self.former_view,
            max_op_version: self.max_op_version,
            glusterd_vol: &self.glusterd_vol,
            unsettled,
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
        planned: Vec::new(),
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
        let uid = object.uid().unwrap_or_default();
        let (tries, generation) = (&context.tries, object.metadata.generation);
        for step in &care.plan.steps {
            if let Some(failure) = tries.too_early(&uid, generation, step) {
                tended.failed.get_or_insert(failure);
                continue;
            }
            let done = if let Step::DetachPeer { .. } = step {
                let declared: Leave<'_> = &|| Box::pin(is_declared(object, context));
                let owned = &status.owned_options;
                detach(pool, want, &gathered, owned, step, &coordinator, declared).await
            } else {
                pool.execute(step, &coordinator).await
            };
            if done.as_ref().is_err_and(StepFailure::is_withdrawn) {
                // the next plan says what keeps it
                continue;
            }
            context.metrics.step(step, done.is_ok());
            tries.note(&uid, generation, step, done.as_ref().err());
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
    tended.planned = care.plan.steps.clone();
    if tended.failed.is_none() {
        purge(object, context, want, pool, &mut tended, findings).await;
    }
    tended
}

/// Whether the API server, too, has the object as we know it: what a person takes back at the last moment is heeded.
async fn is_declared(object: &GlusterCluster, context: &Context) -> bool {
    let objects: Api<GlusterCluster> = Api::all(context.client.clone());
    let current = objects.get_opt(&object.name_any()).await;
    current.is_ok_and(|current| {
        current.is_some_and(|current| {
            current.uid() == object.uid()
                && current.metadata.generation == object.metadata.generation
                && current.metadata.deletion_timestamp.is_none()
        })
    })
}

/// Detaches a peer where a look right before still says that it may go. GlusterFS lets a volume go along whose bricks all lie
/// there, and hosts that left are visited before, which takes its time where they are dead: meanwhile one may have been made.
async fn detach(
    pool: &Pool,
    want: &ValidCluster,
    gathered: &Gathered,
    owned: &[String],
    step: &Step,
    coordinator: &HostName,
    declared: Leave<'_>,
) -> Result<(), StepFailure> {
    let leave: Leave<'_> = &|| {
        Box::pin(async move {
            if !declared().await {
                return false;
            }
            let view = pool.observe(Instant::now()).await.view;
            let unsettled = pool.unsettled_anywhere();
            let again = gathered.plan_with(want, &view, owned, unsettled.as_deref());
            again.plan.steps.contains(step)
        })
    };
    pool.execute_while(step, coordinator, leave).await
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
                    EventReason::NodeDetached,
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
                    EventReason::OwnerFileLeft,
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
    names.map(|name| Step::ForgetTrash {
        host: device.host.clone(),
        device: device.device.clone(),
        name: name.clone(),
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
        Verdict::Purge(step) | Verdict::Note(step) => step,
        Verdict::Young => return Purged::Young,
        Verdict::Kept(why) => return Purged::Kept(why),
    };
    let declared: Leave<'_> = &|| Box::pin(is_declared(object, context));
    let done = pool.execute_while(&step, host, declared).await;
    if done.as_ref().is_err_and(StepFailure::is_withdrawn) {
        return Purged::InPart;
    }
    context.metrics.step(&step, done.is_ok());
    if !matches!(step, Step::PurgeTrash { .. }) {
        return done.map_or_else(
            |failure| Purged::Kept(failure.to_string()),
            |()| Purged::Young,
        );
    }
    match done {
        Ok(()) => {
            let note = format!("{host}:{device}/.trash/{} is destroyed", item.name);
            report::publish(
                context,
                &object.object_ref(&()),
                EventType::Normal,
                EventReason::TrashPurged,
                &note,
            )
            .await;
            Purged::Gone
        }
        Err(failure) if failure.detail == "slice-over" => Purged::InPart,
        Err(failure) => Purged::Kept(failure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join;
    use serde_json::json;
    use tokio::sync::Notify;

    use super::*;
    use crate::gluster::names::{Brick, HostPath, VolumeName};
    use crate::gluster::operation::{Command, POOL_LOCK, SetShape};
    use crate::gluster::outcome::Output;
    use crate::host::Host;
    use crate::host::simulated::SimulatedPool;
    use crate::plan::validate;
    use crate::pool::Ledger;

    /// A pool of three, of which the third has left the spec.
    struct Scene {
        simulated: SimulatedPool,
        want: ValidCluster,
        pool: Pool,
        gathered: Gathered,
        step: Step,
        n1: HostName,
    }

    fn type_in(simulated: &SimulatedPool, line: &str) -> Output {
        let argv = ["gluster", "--mode=script", "--xml"]
            .into_iter()
            .chain(line.split(' '));
        let command = Command {
            argv: argv.map(str::to_owned).collect(),
            stdin: None,
            deadline: Duration::from_secs(150),
        };
        simulated.run(&"n1".parse().unwrap(), &command).unwrap()
    }

    impl Scene {
        async fn new() -> Self {
            let names: Vec<HostName> = ["n1", "n2", "n3"].map(|name| name.parse().unwrap()).into();
            let device: HostPath = "/b".parse().unwrap();
            let simulated = SimulatedPool::new(1, &names, &device);
            for name in ["n2", "n3"] {
                type_in(&simulated, &format!("peer probe {name}"));
            }
            let spec = json!({
                "access": {"ssh": {"secretRef": {"name": "s"}}},
                "nodes": [{"name": "n1", "devices": [{"path": "/b"}]}, {"name": "n2", "devices": [{"path": "/b"}]}],
                "tenancy": {"namespaces": {"from": "All"}},
            });
            let uid = "0000000b-0000-0000-0000-00000000000b";
            let spec = serde_json::from_value(spec).unwrap();
            let want = validate::cluster("prod", uid, uid, &spec).unwrap();
            let pool = Self::pool(&simulated, &names[..2], Arc::default());
            let all = Self::pool(&simulated, &names, Arc::default());
            let view = all.observe(Instant::now()).await.view;
            let former = Former {
                name: names[2].clone(),
                address: names[2].clone(),
                uuid: view.facts(&names[2]).unwrap().state.uuid.clone().unwrap(),
            };
            let gathered = Gathered {
                former: vec![former],
                visit: None,
                former_view: Arc::default(),
                max_op_version: None,
                glusterd_vol: BTreeMap::new(),
                unsettled: None,
            };
            let view = pool.observe(Instant::now()).await.view;
            let step = gathered.plan(&want, &view, &[]).plan.steps.remove(0);
            assert!(matches!(step, Step::DetachPeer { .. }), "{step:?}");
            Self {
                simulated,
                want,
                pool,
                gathered,
                step,
                n1: names[0].clone(),
            }
        }

        fn pool(simulated: &SimulatedPool, names: &[HostName], ledger: Arc<Ledger>) -> Pool {
            let host = |name: &HostName| {
                let host: Arc<dyn Host> = Arc::new(simulated.host(name));
                (host, vec!["/b".parse().unwrap()])
            };
            Pool::with(
                names.iter().map(host).collect(),
                "x".parse().unwrap(),
                ledger,
            )
        }

        async fn detach(&self, declared: Leave<'_>) -> Result<(), StepFailure> {
            let (pool, want, gathered) = (&self.pool, &self.want, &self.gathered);
            detach(pool, want, gathered, &[], &self.step, &self.n1, declared).await
        }

        /// Volumes and peers that n1 knows.
        async fn known(&self) -> (usize, usize) {
            let view = self.pool.observe(Instant::now()).await.view;
            let state = &view.facts(&self.n1).unwrap().state;
            (state.volumes.len(), state.peers.len())
        }
    }

    const YES: Leave<'static> = &|| Box::pin(async { true });

    /// Somebody makes a volume there after the plan: a Retained one that nobody declares, or one by hand.
    #[tokio::test]
    async fn a_volume_that_lies_on_a_leaving_host_alone_is_seen_right_before_it_is_detached() {
        let make = |scene: &Scene| {
            type_in(&scene.simulated, "volume create data n3:/b/data");
            type_in(&scene.simulated, "volume start data");
        };
        let scene = Scene::new().await;
        let declared: Leave<'_> = &|| {
            make(&scene);
            Box::pin(async { true })
        };
        let failure = scene.detach(declared).await.unwrap_err();
        assert!(failure.is_withdrawn(), "{failure}");
        assert_eq!(scene.known().await, (1, 2));
        // the next plan says what keeps it
        let view = scene.pool.observe(Instant::now()).await.view;
        let care = scene.gathered.plan(&scene.want, &view, &[]);
        assert!(care.plan.steps.is_empty());
        assert!(
            care.plan.findings[0]
                .message
                .contains("n3:/b/data of volume data")
        );

        // without that look GlusterFS lets it go, and the others forget it
        let scene = Scene::new().await;
        make(&scene);
        scene.pool.execute(&scene.step, &scene.n1).await.unwrap();
        assert_eq!(scene.known().await, (0, 1));

        // and where nothing lies there it goes
        let scene = Scene::new().await;
        scene.detach(YES).await.unwrap();
        assert_eq!(scene.known().await, (0, 1));
    }

    #[tokio::test]
    async fn a_host_that_was_listed_again_at_the_last_moment_is_not_detached() {
        let scene = Scene::new().await;
        let failure = scene.detach(&|| Box::pin(async { false })).await;
        assert!(failure.unwrap_err().is_withdrawn());
        assert_eq!(scene.known().await, (0, 2));
        // somebody's transaction is in the way for a moment, and the spec is edited meanwhile
        scene.simulated.hold_lock(&scene.n1, POOL_LOCK, true);
        let asked = AtomicUsize::new(0);
        let declared: Leave<'_> = &|| {
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            if !first {
                scene.simulated.hold_lock(&scene.n1, POOL_LOCK, false);
            }
            Box::pin(async move { first })
        };
        let failure = scene.detach(declared).await.unwrap_err();
        assert!(failure.is_withdrawn(), "{failure}");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert_eq!(scene.known().await, (0, 2));
    }

    /// A reconcile that began before the host left makes its volume through the pool of before.
    #[tokio::test]
    async fn no_peer_is_detached_while_a_volume_is_being_made_through_a_pool_of_before() {
        let mut scene = Scene::new().await;
        let names: Vec<HostName> = ["n1", "n2", "n3"].map(|name| name.parse().unwrap()).into();
        let ledger: Arc<Ledger> = Arc::default();
        let before = Scene::pool(&scene.simulated, &names, ledger.clone());
        scene.pool = Scene::pool(&scene.simulated, &names[..2], ledger);
        let volume: VolumeName = "late".parse().unwrap();
        let create = Step::CreateVolume {
            volume,
            shape: SetShape::Distribute,
            bricks: vec![Brick {
                host: names[2].clone(),
                path: "/b/late".parse().unwrap(),
            }],
        };
        let (begun, go_on) = (Notify::new(), Notify::new());
        let leave: Leave<'_> = &|| {
            Box::pin(async {
                begun.notify_one();
                go_on.notified().await;
                true
            })
        };
        let making = before.execute_while(&create, &scene.n1, leave);
        let meanwhile = async {
            begun.notified().await;
            let failure = scene.detach(YES).await.unwrap_err();
            assert_eq!(failure.class, Class::Busy, "{failure}");
            go_on.notify_one();
        };
        let (made, ()) = join(making, meanwhile).await;
        made.unwrap();
        assert!(scene.detach(YES).await.unwrap_err().is_withdrawn());
        assert_eq!(scene.known().await, (1, 2));
    }
}
