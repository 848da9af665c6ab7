//! A GlusterVolume that is being deleted.

use std::time::{Duration, Instant};

use kube::runtime::controller::Action;

use super::{Error, PASSES, Target, Work};
use crate::api::volume::DeletionPolicy;
use crate::controller::claim::{self, Removal};
use crate::controller::{finalize, uses};
use crate::gluster::names::HostName;
use crate::plan::attach::Wish;
use crate::plan::cluster as pool_plan;
use crate::plan::deletion::{self, Deletion};

impl Work<'_> {
    /// A GlusterVolume that is being deleted: first its claim goes, which waits for pods, then its PersistentVolume, then, when
    /// the spec says so, the volume.
    pub(super) async fn remove(&self) -> Result<Action, Error> {
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
    pub(super) async fn plan_removal(
        &self,
        target: &Target,
    ) -> Result<(Deletion, Option<HostName>), Error> {
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
            storage: uses::storage(cluster, pool).await,
            ..Wish::default()
        };
        let now = Instant::now();
        let look = self.look(target, wish, now).await;
        let deletion = deletion::plan(want, look.situation(target), &users);
        let coordinator = pool_plan::coordinator(cluster, &look.pool).cloned();
        Ok((deletion, coordinator))
    }

    pub(super) async fn wait(&self, why: String) -> Result<Action, Error> {
        let Deletion::Going(plan) = deletion::wait(why) else {
            return Ok(Action::await_change());
        };
        self.write_status(plan.findings, None).await?;
        Ok(Action::requeue(Duration::from_secs(5)))
    }
}
