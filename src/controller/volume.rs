//! Reconciles a GlusterVolume.

pub(super) mod preview;
mod retained;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{Either, join, join3, select};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{Selector, SelectorExt};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tracing::instrument;

use crate::api::condition::{self, ConditionType, EventReason, Finding, Reason};
use crate::api::volume::{BrickStatus, DeletionPolicy, GlusterVolumeStatus, QuotaStatus, State};
use crate::api::{GlusterCluster, GlusterVolume};
use crate::gluster::model::{PoolView, QuotaView, Search, VolumeStatus, VolumeView};
use crate::gluster::names::HostName;
use crate::gluster::outcome::Class;
use crate::plan::attach::{self, Wish};
use crate::plan::deletion::{self, Deletion};
use crate::plan::step::Step;
use crate::plan::validate::{self, Access, Tenant, ValidCluster, ValidVolume};
use crate::plan::volume::{self as decide, Situation};
use crate::plan::{Plan, cluster as pool_plan, health, quota};
use crate::pool::{Leave, Pool, StepFailure};

use super::claim::{self, Removal};
use super::cluster::{FIELD_MANAGER, backoff};
use super::context::Context;
use super::error::{Error, api};
use super::{RESYNC, calm, finalize, report, uses};

/// A look of so long ago is not repeated for a volume that missed; shorter than the time to its second miss.
const RECENT: Duration = Duration::from_secs(4);
/// What is due is not tried sooner than that after the last time.
const SHORTEST: Duration = Duration::from_secs(1);
/// A wait that is shorter is not told.
const WORTH_TELLING: Duration = Duration::from_secs(2);
/// Steps are planned anew from a fresh look at most so often in one reconcile.
const PASSES: usize = 6;

#[instrument(skip_all, fields(kind = "GlusterVolume", namespace = object.namespace(), name = %object.name_any(), generation = object.metadata.generation))]
pub(super) async fn reconcile(
    object: Arc<GlusterVolume>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let timer = Instant::now();
    let work = Work::new(&object, &context);
    let result = match work {
        Ok(work) => Box::pin(work.run()).await,
        Err(error) => Err(error),
    };
    context.metrics.reconciled(
        "GlusterVolume",
        result.as_ref().map(|_| ()).map_err(Error::category),
        timer.elapsed(),
    );
    result
}

/// One reconcile of one object.
struct Work<'a> {
    object: &'a GlusterVolume,
    context: &'a Context,
    objects: Api<GlusterVolume>,
    namespace: String,
    uid: String,
    began: Instant,
    /// The conditions of which events have told already, once this reconcile wrote a status.
    told: Mutex<Option<Vec<Condition>>>,
}

/// What is wanted, and where.
struct Target {
    want: ValidVolume,
    cluster: Arc<ValidCluster>,
    pool: Arc<Pool>,
    /// The status as the API server has it: the object that we were given may be older than what we wrote last.
    status: GlusterVolumeStatus,
}

/// What a volume is planned from, now.
fn situation<'a>(
    target: &'a Target,
    pool: &'a PoolView,
    view: &'a VolumeView,
    wish: &'a Wish,
    unsettled: Option<&'a str>,
) -> Situation<'a> {
    Situation {
        cluster: &target.cluster,
        pool,
        view,
        wish,
        unsettled,
        now: u64::try_from(Timestamp::now().as_second()).unwrap_or_default(),
    }
}

/// Where the taking of steps ended.
struct Converged {
    plan: Plan,
    view: Arc<PoolView>,
    inspected: VolumeView,
    wish: Wish,
    failed: Option<StepFailure>,
}

impl<'a> Work<'a> {
    fn new(object: &'a GlusterVolume, context: &'a Context) -> Result<Self, Error> {
        let namespace = object.namespace().ok_or(Error::Incomplete("namespace"))?;
        let uid = object.uid().ok_or(Error::Incomplete("uid"))?;
        let objects = Api::namespaced(context.client.clone(), &namespace);
        Ok(Self {
            object,
            context,
            objects,
            namespace,
            uid,
            began: Instant::now(),
            told: Mutex::default(),
        })
    }

    async fn run(&self) -> Result<Action, Error> {
        if self.too_early().await? {
            return Ok(Action::requeue(Duration::from_millis(500)));
        }
        if self.object.metadata.deletion_timestamp.is_some() {
            Box::pin(self.remove()).await
        } else {
            Box::pin(self.keep()).await
        }
    }

    /// True while the cluster is there and its own reconcile has not come to it yet, as right after a start: unknown is not
    /// absent, so nothing is said of the volume until then.
    async fn too_early(&self) -> Result<bool, Error> {
        let name = &self.object.spec.cluster_name;
        if self.context.pools.is_judged(name) {
            return Ok(false);
        }
        let clusters: Api<GlusterCluster> = Api::all(self.context.client.clone());
        let found = clusters
            .get_opt(name)
            .await
            .map_err(api("reading the cluster"))?;
        Ok(found.is_some())
    }

    async fn keep(&self) -> Result<Action, Error> {
        let pool = self.context.pools.get(&self.object.spec.cluster_name);
        let look = async {
            match pool {
                Some((pool, _)) if self.is_new() => Some(pool.observe(self.began).await),
                _ => None,
            }
        };
        let kept = finalize::ensure(&self.objects, self.object);
        let (kept, _, target) = join3(kept, look, self.target()).await;
        kept?;
        let target = match target? {
            Ok(target) => target,
            Err(mut findings) => {
                self.context.calm.forget(&self.uid);
                decide::unjudged(&mut findings);
                report::say_interval(&mut findings, 30);
                self.write_status(findings, None).await?;
                // a change of the cluster or of this object wakes us; namespaces' labels do not
                return Ok(Action::requeue(Duration::from_secs(30)));
            }
        };
        if self.is_calm(&target).await? {
            return Ok(Action::requeue(RESYNC));
        }
        self.context.calm.forget(&self.uid);
        self.announce(&target).await?;
        let (converged, ()) = join(Box::pin(self.converge(&target)), self.warn(&target)).await;
        let converged = converged?;
        if converged
            .failed
            .as_ref()
            .is_some_and(StepFailure::is_withdrawn)
        {
            return Ok(Action::requeue(Duration::from_millis(500)));
        }
        let mut findings = converged.plan.findings.clone();
        let mut next = converged.plan.recheck.unwrap_or(RESYNC);
        let mut every = next;
        let misses = self
            .context
            .missed(&self.uid, converged.failed.is_some() || !ready(&findings));
        if let Some(failure) = &converged.failed {
            report::blame(&mut findings, failure);
            // whatever fails, the volume is looked at all the same
            if let Some(again) = self.context.tries.again(&self.uid, &converged.plan.steps) {
                every = again.every;
                next = next.min(again.left.max(SHORTEST));
            } else {
                every = next.min(backoff(1));
                next = every;
            }
        } else {
            self.context.tries.forget(&self.uid);
        }
        self.forgive_first_miss(&mut findings, misses, &mut next);
        // a claim that was deleted so that the volume can be stopped is not made again
        if ready(&findings)
            && target.want.state == State::Started
            && let Some(wanted) = &target.want.claim
        {
            let problem = Box::pin(claim::ensure(
                self.context,
                &self.namespace,
                wanted,
                &target.want,
                &target.cluster,
                &converged.view,
            ))
            .await?;
            if let Some(problem) = problem {
                findings.retain(|finding| finding.kind != ConditionType::InSync);
                findings.push(problem);
            }
        }
        if !findings
            .iter()
            .any(|finding| finding.kind == ConditionType::Progressing)
        {
            findings.push(Finding::no(
                ConditionType::Progressing,
                Reason::AsDeclared,
                "no step is under way",
            ));
        }
        report::say_interval(&mut findings, every.as_secs());
        let settled = converged.failed.is_none()
            && converged.plan.recheck.is_none()
            && ready(&findings)
            && !findings
                .iter()
                .any(|f| f.kind != ConditionType::Progressing && f.holds != Some(true));
        self.write_status(findings, Some((&target, &converged)))
            .await?;
        if settled {
            let now = self.now_of(
                &target,
                &converged.wish,
                &converged.view,
                &converged.inspected.quota,
            );
            self.context.calm.note(&self.uid, &now);
        }
        Ok(Action::requeue(next))
    }

    fn now_of<'b>(
        &self,
        target: &'b Target,
        wish: &'b Wish,
        view: &'b PoolView,
        quota: &'b QuotaView,
    ) -> calm::Now<'b> {
        calm::Now {
            generation: self.object.metadata.generation,
            want: &target.want,
            cluster: &target.cluster,
            wish,
            view,
            quota,
        }
    }

    /// Whether the volume was found to be as declared, and nothing has changed since: by the last look at the pool, which its
    /// cluster takes for all of its volumes.
    async fn is_calm(&self, target: &Target) -> Result<bool, Error> {
        let Target { want, pool, .. } = target;
        let Some(since) = self
            .began
            .checked_sub(RESYNC * 2)
            .filter(|_| !self.is_new())
        else {
            return Ok(false);
        };
        let wish = self.wish(target).await?;
        let look = pool.observe(since.max(pool.changed(&want.volume))).await;
        let quota = pool.quota(&want.volume, since).unwrap_or_default();
        let now = self.now_of(target, &wish, &look.view, &quota);
        if pool.unsettled(&want.volume).is_some() || !self.context.calm.holds(&self.uid, &now) {
            return Ok(false);
        }
        self.context.metrics.volume(want, &quota);
        let Some(claim) = &want.claim else {
            return Ok(true);
        };
        let problem = claim::ensure(
            self.context,
            &self.namespace,
            claim,
            want,
            &target.cluster,
            &look.view,
        );
        Ok(Box::pin(problem).await?.is_none())
    }

    /// Validates against the cluster and the namespace. The inner error holds what to write into the status.
    async fn target(&self) -> Result<Result<Target, Vec<Finding>>, Error> {
        let name = &self.object.spec.cluster_name;
        self.context.forget_gone(name);
        let Some((pool, cluster)) = self.context.pools.get(name) else {
            let message = format!(
                "GlusterCluster {name} does not exist, or its own conditions say why it can't be used"
            );
            let no = |kind| Finding::no(kind, Reason::ClusterNotFound, message.clone());
            return Ok(Err(vec![
                no(ConditionType::Ready),
                no(ConditionType::InSync),
            ]));
        };
        let namespaces: Api<Namespace> = Api::all(self.context.client.clone());
        let name = self.object.name_any();
        let (namespace, current) =
            join(namespaces.get(&self.namespace), self.objects.get_opt(&name)).await;
        let namespace = namespace.map_err(api("reading the namespace"))?;
        // options of a spec that was there for a moment are forgotten by nobody
        let status = current
            .map_err(api("reading the volume"))?
            .filter(|current| current.uid() == self.object.uid())
            .map_or_else(|| self.object.status.clone(), |current| current.status)
            .unwrap_or_default();
        let selected = cluster
            .tenancy
            .namespaces
            .selector
            .clone()
            .is_some_and(|selector| {
                Selector::try_from(selector)
                    .is_ok_and(|selector| selector.matches(namespace.labels()))
            });
        let tenant = Tenant {
            namespace: &self.namespace,
            namespace_uid: &namespace.uid().unwrap_or_default(),
            operators_own: self.namespace == self.context.namespace,
            selected,
        };
        match validate::volume(
            &tenant,
            &name,
            &self.uid,
            &self.object.spec,
            &status.owned_options,
            &cluster,
        ) {
            Ok(want) => Ok(Ok(Target {
                want,
                cluster,
                pool,
                status,
            })),
            Err(problems) => Ok(Err(validate::findings(&problems))),
        }
    }

    /// Before anything is done for a new generation: writes down which options will be ours, so that a crash can't make us forget
    /// to reset them later.
    async fn announce(&self, target: &Target) -> Result<(), Error> {
        let before = &target.status;
        let mut owned: BTreeSet<String> = before.owned_options.iter().cloned().collect();
        owned.extend(
            target
                .want
                .profile
                .keys()
                .chain(target.want.options.keys())
                .map(ToString::to_string),
        );
        let owned: Vec<String> = owned.into_iter().collect();
        if owned != before.owned_options {
            self.apply(&GlusterVolumeStatus {
                owned_options: owned,
                ..before.clone()
            })
            .await?;
        }
        Ok(())
    }

    /// Warns, once for each spec, of what is allowed but dangerous.
    async fn warn(&self, target: &Target) {
        if target.status.observed_generation == self.object.metadata.generation {
            return;
        }
        let reference = self.object.object_ref(&());
        for (reason, note) in decide::warnings(&target.want) {
            report::publish(self.context, &reference, EventType::Warning, reason, note).await;
        }
    }

    /// Looks at what the plan needs beyond the pool; limit and use may have been asked for at `since` or later.
    async fn inspect(
        &self,
        target: &Target,
        view: &PoolView,
        wish: &Wish,
        since: Instant,
    ) -> VolumeView {
        let Target {
            want,
            cluster,
            pool,
            ..
        } = target;
        let coordinator = pool_plan::coordinator(cluster, view);
        let mut bricks = decide::bricks_to_inspect(want, cluster, view);
        let started = decide::seen(want, cluster, view)
            .filter(|volume| volume.status == VolumeStatus::Started);
        let limited = started.is_some_and(crate::gluster::model::Volume::quota_enabled);
        // no command that may hang is sent while one would
        let safe = pool_plan::held_back(cluster, view).is_none();
        // before a volume is stopped for good, whoever still has it mounted counts, by a pod or by hand, and its limit does not
        let going = self.object.metadata.deletion_timestamp.is_some() && started.is_some();
        let quota_from = coordinator.filter(|_| limited && safe && !going);
        let clients_from = coordinator
            .filter(|_| safe && (going || decide::needs_clients(want, cluster, view, wish)));
        let crawl = started.is_some_and(|volume| volume.quota_enabled() && quota::is_open(volume));
        // nothing is left to do only when no directory of that name holds a brick of ours, whatever object it is named after
        let search = self.object.metadata.deletion_timestamp.is_some()
            && decide::seen(want, cluster, view).is_none()
            && want.bricks.is_none();
        let search = match search {
            true => pool.search(&want.volume, &mut bricks).await,
            // bricks that were named by hand lie where they were named
            false if want.bricks.is_some() => Search::Complete,
            false => Search::NotAsked,
        };
        let known = pool
            .quota(&want.volume, since)
            .filter(|view| matches!(view, QuotaView::Limit(_)));
        // the list waits for bricks of a silent host, and the limit that was known stands meanwhile
        let heard = bricks.iter().all(|brick| view.facts(&brick.host).is_some());
        let stands = !heard && pool.limit_before(&want.volume).is_some();
        let quota_from = quota_from.filter(|_| known.is_none() && !stands);
        let found = pool
            .inspect(&want.volume, &bricks, quota_from, clients_from, crawl)
            .await;
        let mut found = VolumeView {
            quota: known.unwrap_or(found.quota),
            search,
            ..found
        };
        // whoever deletes a volume sets no limit
        if self.object.metadata.deletion_timestamp.is_none()
            && let Some(volume) = decide::seen(want, cluster, view)
            && quota::needs_count(want, volume, &found)
        {
            found.held = pool.count(&want.volume, &bricks).await;
        }
        found
    }

    async fn wish(&self, target: &Target) -> Result<Wish, Error> {
        let Target { want, cluster, .. } = target;
        let stop = want.state == State::Stopped;
        let mut wish = match &want.claim {
            Some(claim) if stop || want.access == Access::OneWriter => {
                uses::wish(self.context, &self.namespace, &claim.name, cluster).await?
            }
            _ if stop => Wish {
                storage: uses::storage(cluster).await,
                ..Wish::default()
            },
            _ => Wish::default(),
        };
        if stop {
            wish.claim = claim::bound(self.context, &self.uid).await?;
        }
        Ok(wish)
    }

    /// Looks, plans, takes the steps, and looks again, until nothing is left to do or something has to be waited for.
    async fn converge(&self, target: &Target) -> Result<Converged, Error> {
        let Target {
            want,
            cluster,
            pool,
            ..
        } = target;
        let mut failed: Option<StepFailure> = None;
        let mut pass = 0;
        // what has been seen lately is good enough to find that nothing has to be done
        let mut since = if self.is_new() {
            self.began
        } else if self.context.misses(&self.uid) == 0 {
            // the last look of the cluster, which comes a little later than each RESYNC
            self.began.checked_sub(RESYNC * 2).unwrap_or(self.began)
        } else {
            self.began.checked_sub(RECENT).unwrap_or(self.began)
        };
        loop {
            let wish = self.wish(target).await?;
            let look = pool.observe(since.max(pool.changed(&want.volume))).await;
            let view = look.view;
            let inspected = self.inspect(target, &view, &wish, since).await;
            let unsettled = pool.unsettled(&want.volume);
            let situation = situation(target, &view, &inspected, &wish, unsettled.as_deref());
            let plan = decide::plan(want, situation);
            // the look may be newer than what was asked of quota, or the other way round
            if since < self.began && !plan.steps.is_empty() {
                since = self.began;
                continue;
            }
            pass += 1;
            let coordinator = pool_plan::coordinator(cluster, &view)
                .filter(|_| failed.is_none() && !plan.steps.is_empty() && pass <= PASSES);
            let coordinator = coordinator.cloned();
            let converged = Converged {
                plan,
                view,
                inspected,
                wish,
                failed,
            };
            let Some(coordinator) = coordinator else {
                return Ok(converged);
            };
            let starts = |step: &Step| matches!(step, Step::StartBricks(_));
            if !self.is_new() && converged.plan.steps.iter().any(starts) {
                // that they were down is told, though they may run again in a second
                let mut told = converged.plan.findings.clone();
                told.retain(|finding| finding.kind == ConditionType::Healthy);
                self.write_status(told, None).await?;
            }
            // who waits for the volume does not wait for the last option of it
            if pass > 1 && ready(&converged.plan.findings) && !self.was_ready() {
                self.write_status(converged.plan.findings.clone(), Some((target, &converged)))
                    .await?;
            }
            failed = self.take(&converged.plan, target, &coordinator).await?;
        }
    }

    /// Whether this spec has not been worked on to its end yet.
    fn is_new(&self) -> bool {
        let observed = self.object.status.as_ref();
        observed.and_then(|status| status.observed_generation) != self.object.metadata.generation
    }

    /// Whether the status said Ready when this reconcile began, or says so since.
    fn was_ready(&self) -> bool {
        condition::holds(&self.conditions_told(), ConditionType::Ready)
    }

    /// The conditions of which events have told.
    fn conditions_told(&self) -> Vec<Condition> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.clone().unwrap_or_else(|| {
            let status = self.object.status.as_ref();
            status.map_or_else(Vec::new, |status| status.conditions.clone())
        })
    }

    /// Takes the steps of a plan. An option that gluster refuses does not keep the others from being taken.
    async fn take(
        &self,
        plan: &Plan,
        target: &Target,
        coordinator: &HostName,
    ) -> Result<Option<StepFailure>, Error> {
        let mut failed = None;
        let planned = Instant::now();
        let tries = &self.context.tries;
        let generation = self.object.metadata.generation;
        for step in &plan.steps {
            if let Some(failure) = tries.too_early(&self.uid, generation, step) {
                if let Step::SetOptions { each: true, .. } = step {
                    failed = failed.or(Some(failure));
                    continue;
                }
                return Ok(failed.or(Some(failure)));
            }
            let leave: Leave<'_> = &|| Box::pin(self.may_take(target, step, planned));
            let done = target.pool.execute_while(step, coordinator, leave);
            let both = self.telling(step, target, done);
            let (told, done) = if let Step::LimitUsage(..) = step {
                let (pool, volume) = (&target.pool, &target.want.volume);
                let read_back = async {
                    let (told, done) = both.await;
                    if done.is_ok() {
                        pool.ask_quota(coordinator, volume).await;
                    }
                    (told, done)
                };
                // a look shows nothing of a limit, so the next one need not wait for it
                join(read_back, pool.observe(Instant::now())).await.0
            } else {
                both.await
            };
            let withdrawn = done.as_ref().is_err_and(StepFailure::is_withdrawn);
            if !withdrawn {
                self.context.metrics.step(step, done.is_ok());
                tries.note(&self.uid, generation, step, done.as_ref().err());
            }
            told?;
            match (done, step) {
                (Ok(()), Step::Fence { node, .. }) => {
                    let note = format!("node {node} is shut out of volume {}", target.want.volume);
                    report::publish(
                        self.context,
                        &self.object.object_ref(&()),
                        EventType::Normal,
                        EventReason::Fenced,
                        &note,
                    )
                    .await;
                }
                (Ok(()), Step::Admit { node, .. }) => {
                    let note = format!("node {node} is admitted to volume {}", target.want.volume);
                    report::publish(
                        self.context,
                        &self.object.object_ref(&()),
                        EventType::Normal,
                        EventReason::Admitted,
                        &note,
                    )
                    .await;
                }
                (Ok(()), _) => {}
                (Err(failure), Step::SetOptions { each: true, .. })
                    if failure.class == Class::Refused =>
                {
                    failed = failed.or(Some(failure));
                }
                (Err(failure), _) => return Ok(Some(failure)),
            }
        }
        Ok(failed)
    }

    /// Whether a step of a plan may still be taken, asked right before each of its commands: other volumes' steps may have been waited
    /// for since the plan was made.
    async fn may_take(&self, target: &Target, step: &Step, planned: Instant) -> bool {
        let name = &self.object.spec.cluster_name;
        let same = |cluster: &ValidCluster| {
            cluster.owner == target.cluster.owner && cluster.nodes == target.cluster.nodes
        };
        let known = self.context.pools.get(name);
        if !known.is_some_and(|(_, cluster)| same(&cluster)) {
            return false;
        }
        if !step.interrupts() && !step.destroys() {
            return true;
        }
        if !self.is_as_given().await.unwrap_or_default() {
            return false;
        }
        // others of the lane were waited for: a pod may have come, or somebody have mounted it
        !step.interrupts()
            || planned.elapsed() < RECENT
            || self.is_planned(target, step).await.unwrap_or_default()
    }

    /// Whether a plan from a fresh look has that step.
    async fn is_planned(&self, target: &Target, step: &Step) -> Result<bool, Error> {
        if self.object.metadata.deletion_timestamp.is_some() {
            let (deletion, _) = self.plan_removal(target).await?;
            return Ok(match deletion {
                Deletion::Done => false,
                Deletion::Going(plan) => plan.steps.contains(step),
            });
        }
        let now = Instant::now();
        let wish = self.wish(target).await?;
        let view = target.pool.observe(now).await.view;
        let inspected = self.inspect(target, &view, &wish, now).await;
        let unsettled = target.pool.unsettled(&target.want.volume);
        let situation = situation(target, &view, &inspected, &wish, unsettled.as_deref());
        let plan = decide::plan(&target.want, situation);
        Ok(plan.steps.contains(step))
    }

    /// Says what is under way while it is done, and again when that has to wait for something, or does not any more. No message is
    /// given up that was begun, since it could come after a later one; and whatever comes of messages, the step is taken to its end.
    async fn telling<D>(
        &self,
        step: &Step,
        target: &Target,
        done: impl Future<Output = D>,
    ) -> (Result<(), Error>, D) {
        let what = step.describe();
        let mut done = pin!(done);
        // a step does not wait for a message about itself
        let mut told = match select(pin!(self.progress(&what)), done.as_mut()).await {
            Either::Left((told, _)) => told,
            Either::Right((done, told)) => return (told.await, done),
        };
        let mut before = None;
        while told.is_ok() {
            let pause = pin!(tokio::time::sleep(WORTH_TELLING));
            if let Either::Right((done, _)) = select(pause, done.as_mut()).await {
                return (told, done);
            }
            let waits = target.pool.waits(&target.want.volume);
            if waits != before {
                let why = waits.map(|waits| format!(", which {}", waits.as_str()));
                let what = format!("{what}{}", why.unwrap_or_default());
                told = self.progress(&what).await;
                before = waits;
            }
        }
        (told, done.await)
    }

    async fn progress(&self, what: &str) -> Result<(), Error> {
        let now = self.object.status.clone().unwrap_or_default();
        let finding = Finding {
            kind: ConditionType::Progressing,
            holds: Some(true),
            reason: Reason::Working,
            message: what.to_owned(),
        };
        let generation = now.observed_generation.unwrap_or_default();
        let conditions =
            condition::merge(&now.conditions, &[finding], generation, Timestamp::now());
        // a field manager of its own, so that no other field is touched by it
        let progressing: Vec<_> = conditions
            .into_iter()
            .filter(|c| c.type_ == ConditionType::Progressing.as_str())
            .collect();
        let patch = json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterVolume", "status": {"conditions": progressing}});
        let params = PatchParams::apply("gluster-operator-progress").force();
        self.objects
            .patch_status(&self.object.name_any(), &params, &Patch::Apply(patch))
            .await
            .map_err(api("writing the progress"))?;
        Ok(())
    }

    /// Ready flips at the second miss: one look that found a brick's host silent is no news yet.
    fn forgive_first_miss(&self, findings: &mut [Finding], misses: u32, next: &mut Duration) {
        let before = self.object.status.as_ref();
        let was_ready =
            before.is_some_and(|before| condition::holds(&before.conditions, ConditionType::Ready));
        if misses != 1 || !was_ready {
            return;
        }
        for finding in findings.iter_mut() {
            if finding.kind == ConditionType::Ready
                && finding.holds != Some(true)
                && matches!(finding.reason, Reason::BrickDown | Reason::HostUnreachable)
            {
                finding.holds = Some(true);
                finding.reason = Reason::AsDeclared;
                finding.message = "was ready; one look failed, the next decides".into();
                *next = Duration::from_secs(5);
            }
        }
    }

    async fn write_status(
        &self,
        mut findings: Vec<Finding>,
        found: Option<(&Target, &Converged)>,
    ) -> Result<(), Error> {
        // our own earlier writes of this reconcile are not in the object that we were given
        let current = self
            .objects
            .get_opt(&self.object.name_any())
            .await
            .map_err(api("reading the volume"))?;
        let Some(current) = current else {
            return Ok(());
        };
        let before = current.status.clone().unwrap_or_default();
        // nothing is taken back that nobody has said
        findings.retain(|finding| {
            let told = condition::find(&before.conditions, finding.kind).is_some();
            let judges = matches!(finding.kind, ConditionType::Healthy | ConditionType::Owned);
            finding.holds.is_some() || told || !judges
        });
        let generation = self.object.metadata.generation.unwrap_or_default();
        let mut status = GlusterVolumeStatus {
            observed_generation: Some(generation),
            conditions: condition::merge(
                &before.conditions,
                &findings,
                generation,
                Timestamp::now(),
            ),
            ..before.clone()
        };
        if let Some((target, converged)) = found {
            describe(&mut status, target, converged);
            self.context
                .metrics
                .volume(&target.want, &converged.inspected.quota);
        }
        if before != status {
            self.apply(&status).await?;
        }
        let told = self.conditions_told();
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(status.conditions.clone());
        report::transitions(
            self.context,
            &self.object.object_ref(&()),
            &told,
            &status.conditions,
        )
        .await;
        Ok(())
    }

    async fn apply(&self, status: &GlusterVolumeStatus) -> Result<(), Error> {
        let patch = json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterVolume", "status": status});
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.objects
            .patch_status(&self.object.name_any(), &params, &Patch::Apply(patch))
            .await
            .map_err(api("writing the status"))?;
        Ok(())
    }

    /// A GlusterVolume that is being deleted: first its claim goes, which waits for pods, then its PersistentVolume, then, when
    /// the spec says so, the volume.
    async fn remove(&self) -> Result<Action, Error> {
        self.context.calm.forget(&self.uid);
        if let Removal::Waiting(why) =
            claim::remove(self.context, self.object, &self.namespace).await?
        {
            return self.wait(why).await;
        }
        if self.object.spec.deletion_policy == DeletionPolicy::Retain {
            Box::pin(self.bring_back()).await?;
            self.context.tries.forget(&self.uid);
            finalize::release(&self.objects, self.object).await?;
            return Ok(Action::await_change());
        }
        let target = match self.target().await? {
            Ok(target) => target,
            Err(findings) => {
                let why = findings
                    .first()
                    .map(|finding| finding.message.clone())
                    .unwrap_or_default();
                return self.wait(format!("{why}; {}", deletion::WAY_OUT)).await;
            }
        };
        for _ in 0..PASSES {
            let (deletion, coordinator) = self.plan_removal(&target).await?;
            let plan = match deletion {
                Deletion::Done => {
                    self.context.tries.forget(&self.uid);
                    finalize::release(&self.objects, self.object).await?;
                    return Ok(Action::await_change());
                }
                Deletion::Going(plan) => plan,
            };
            let (false, Some(coordinator)) = (plan.steps.is_empty(), coordinator) else {
                let next = plan.recheck.unwrap_or(pool_plan::RETRY);
                self.write_status(plan.findings, None).await?;
                return Ok(Action::requeue(next));
            };
            if let Some(failure) = self.take(&plan, &target, &coordinator).await? {
                if failure.is_withdrawn() {
                    return Ok(Action::requeue(Duration::from_millis(500)));
                }
                return self.wait(format!("{}: {failure}", failure.step)).await;
            }
        }
        self.wait("its bricks are not all in the trash yet".into())
            .await
    }

    /// The deletion as it is planned from a fresh look, and who takes commands.
    async fn plan_removal(&self, target: &Target) -> Result<(Deletion, Option<HostName>), Error> {
        let Target {
            want,
            cluster,
            pool,
            ..
        } = target;
        let users = match &want.claim {
            Some(claim) => uses::pods(self.context, &self.namespace, &claim.name).await?,
            None => Vec::new(),
        };
        let wish = Wish {
            storage: uses::storage(cluster).await,
            ..Wish::default()
        };
        let now = Instant::now();
        let view = pool.observe(now).await.view;
        let inspected = self.inspect(target, &view, &wish, now).await;
        let unsettled = pool.unsettled(&want.volume);
        let situation = situation(target, &view, &inspected, &wish, unsettled.as_deref());
        let deletion = deletion::plan(want, situation, &users);
        let coordinator = pool_plan::coordinator(cluster, &view).cloned();
        Ok((deletion, coordinator))
    }

    /// Whether the API server, too, has the object as we know it: a person who lets go of it at the last moment shall not come too
    /// late because our watch does.
    async fn is_as_given(&self) -> Result<bool, Error> {
        let current = self
            .objects
            .get_opt(&self.object.name_any())
            .await
            .map_err(api("reading the volume"))?;
        Ok(current.is_some_and(|current| {
            current.uid() == self.object.uid()
                && current.metadata.generation == self.object.metadata.generation
                && current.spec.deletion_policy == self.object.spec.deletion_policy
        }))
    }

    async fn wait(&self, why: String) -> Result<Action, Error> {
        let Deletion::Going(plan) = deletion::wait(why) else {
            return Ok(Action::await_change());
        };
        self.write_status(plan.findings, None).await?;
        Ok(Action::requeue(Duration::from_secs(5)))
    }
}

fn ready(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.kind == ConditionType::Ready && finding.holds == Some(true))
}

/// Fills in what was seen. What could not be seen stays as it was.
fn describe(status: &mut GlusterVolumeStatus, target: &Target, converged: &Converged) {
    let Target { want, cluster, .. } = target;
    let Converged {
        view,
        inspected,
        wish,
        ..
    } = converged;
    status.volume_name = Some(want.volume.to_string());
    let Some(volume) = decide::seen(want, cluster, view) else {
        let gone = view.silent().next().is_none() && view.who_knows(&want.volume).0.is_empty();
        if gone {
            (status.type_, status.volume_id, status.quota) = (None, None, None);
            (status.bricks, status.attached_node) = (Vec::new(), None);
        }
        return;
    };
    status.type_ = Some(volume.type_name.clone());
    status.volume_id = Some(volume.id.clone());
    let online = health::online(want, view);
    status.bricks = online
        .into_iter()
        .map(|(brick, online)| BrickStatus {
            node: brick.host.to_string(),
            path: brick.path.to_string(),
            online,
        })
        .collect();
    let wanted = want
        .profile
        .keys()
        .chain(want.options.keys())
        .map(ToString::to_string);
    let dropped = want
        .dropped
        .iter()
        .map(ToString::to_string)
        .filter(|key| volume.options.contains_key(key));
    status.owned_options = wanted
        .chain(dropped)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if want.access == Access::OneWriter {
        status.attached_node = match attach::holder(volume, &wish.nodes) {
            attach::Holder::Node(node) => Some(node),
            attach::Holder::Nobody | attach::Holder::Stranger(_) => None,
        };
    }
    match &inspected.quota {
        QuotaView::Limit(limit) => {
            let used = quota::coarse_use(limit.hard_limit, limit.used);
            status.quota = Some(QuotaStatus {
                limit: limit.hard_limit.to_string(),
                used: used.to_string(),
            });
        }
        QuotaView::Off | QuotaView::NoLimit => status.quota = None,
        QuotaView::Unknown => {}
    }
}
