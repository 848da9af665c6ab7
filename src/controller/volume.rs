//! Reconciles a GlusterVolume.

mod look;
pub(super) mod preview;
mod removal;
mod retained;
mod status;
mod take;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::{join, join3};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{Selector, SelectorExt};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, ResourceExt};
use tracing::instrument;

use crate::api::condition::{ConditionType, EventReason, Finding, Reason};
use crate::api::volume::{GlusterVolumeStatus, State};
use crate::api::{GlusterCluster, GlusterVolume};
use crate::gluster::model::{PoolView, QuotaView, VolumeStatus};
use crate::plan::attach::Wish;
use crate::plan::step::Step;
use crate::plan::validate::{self, Tenant, ValidCluster, ValidVolume};
use crate::plan::volume as decide;
use crate::plan::{Plan, cluster as pool_plan};
use crate::pool::{Pool, StepFailure};

use super::claim;
use super::cluster::{FIELD_MANAGER, backoff};
use super::context::Context;
use super::error::{Error, api};
use super::{RESYNC, calm, finalize, report};
use look::Look;

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

/// Where the taking of steps ended.
struct Converged {
    plan: Plan,
    look: Look,
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
        if self.awaits_its_cluster().await? {
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
    async fn awaits_its_cluster(&self) -> Result<bool, Error> {
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
                &converged.look.pool,
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
            let Look {
                wish, pool, volume, ..
            } = &converged.look;
            let now = self.now_of(&target, wish, pool, &volume.quota);
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
            &status,
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

    /// Looks, plans, takes the steps, and looks again, until nothing is left to do or something has to be waited for.
    async fn converge(&self, target: &Target) -> Result<Converged, Error> {
        let Target { want, cluster, .. } = target;
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
            let look = self.look(target, wish, since).await;
            let plan = decide::plan(want, look.situation(target));
            // the look may be newer than what was asked of quota, or the other way round
            if since < self.began && !plan.steps.is_empty() {
                since = self.began;
                continue;
            }
            pass += 1;
            let coordinator = pool_plan::coordinator(cluster, &look.pool)
                .filter(|_| failed.is_none() && !plan.steps.is_empty() && pass <= PASSES);
            let coordinator = coordinator.cloned();
            let converged = Converged { plan, look, failed };
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
}

fn ready(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.kind == ConditionType::Ready && finding.holds == Some(true))
}
