//! Taking the steps of a plan, each as long as what it was planned from holds.

use std::pin::pin;
use std::time::Instant;

use futures::future::{Either, join, select};
use kube::ResourceExt;
use kube::runtime::events::EventType;

use super::{Error, RECENT, Target, WORTH_TELLING, Work, api};
use crate::api::condition::EventReason;
use crate::gluster::names::HostName;
use crate::gluster::outcome::Class;
use crate::plan::deletion::Deletion;
use crate::plan::step::Step;
use crate::plan::validate::ValidCluster;
use crate::plan::{Plan, volume as decide};
use crate::pool::{Leave, StepFailure};

impl Work<'_> {
    /// Takes the steps of a plan. An option that gluster refuses does not keep the others from being taken.
    pub(super) async fn take(
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
                    self.say(EventType::Normal, EventReason::Fenced, &note)
                        .await;
                }
                (Ok(()), Step::Admit { node, .. }) => {
                    let note = format!("node {node} is admitted to volume {}", target.want.volume);
                    self.say(EventType::Normal, EventReason::Admitted, &note)
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
    pub(super) async fn may_take(&self, target: &Target, step: &Step, planned: Instant) -> bool {
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
    pub(super) async fn is_planned(&self, target: &Target, step: &Step) -> Result<bool, Error> {
        if self.object.metadata.deletion_timestamp.is_some() {
            let (deletion, _) = self.plan_removal(target).await?;
            return Ok(match deletion {
                Deletion::Done => false,
                Deletion::Going(plan) => plan.steps.contains(step),
            });
        }
        let now = Instant::now();
        let wish = self.wish(target).await?;
        let look = self.look(target, wish, now).await;
        let plan = decide::plan(&target.want, look.situation(target));
        Ok(plan.steps.contains(step))
    }

    /// Says what is under way while it is done, and again when that has to wait for something, or does not any more. No message is
    /// given up that was begun, since it could come after a later one; and whatever comes of messages, the step is taken to its end.
    pub(super) async fn telling<D>(
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

    /// Whether the API server, too, has the object as we know it: a person who lets go of it at the last moment shall not come too
    /// late because our watch does.
    pub(super) async fn is_as_given(&self) -> Result<bool, Error> {
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
}
