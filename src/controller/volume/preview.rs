//! What a reconcile of a volume would do, without doing it.

use std::time::Instant;

use super::{Arc, Error, Target, Work, decide};
use crate::api::GlusterVolume;
use crate::api::condition::Finding;
use crate::controller::context::Context;
use crate::controller::preview::Foreseen;
use crate::gluster::model::PoolView;
use crate::plan::cluster as pool_plan;
use crate::plan::expect;

/// More passes than a reconcile needs for any volume.
const PASSES: usize = 10;

/// The steps that a volume's reconciles would take one after the other if each went well. `pool` is how the pool of its
/// cluster will be by then; `None`: as it is seen now.
///
/// # Errors
/// The API server does not answer.
pub(in crate::controller) async fn foresee(
    object: &GlusterVolume,
    context: &Context,
    pool: Option<PoolView>,
) -> Result<Foreseen, Error> {
    let work = Work::new(object, context)?;
    let target = match work.target().await? {
        Ok(target) => target,
        Err(findings) => return Ok(Foreseen::stuck(findings)),
    };
    let wish = work.wish(&target).await?;
    let seen = match pool {
        Some(pool) => pool,
        None => (*target.pool.observe(Instant::now()).await.view).clone(),
    };
    let mut look = work
        .look_in(&target, Arc::new(seen), wish, Instant::now())
        .await;
    let Target { want, cluster, .. } = &target;
    let mut foreseen = Foreseen::default();
    for pass in 0..PASSES {
        let plan = decide::plan(want, look.situation(&target));
        if pass == 0 {
            foreseen.now = unmet(&plan.findings);
        }
        let Some(coordinator) = pool_plan::coordinator(cluster, &look.pool).cloned() else {
            foreseen.end = unmet(&plan.findings);
            break;
        };
        if plan.steps.is_empty() {
            foreseen.end = unmet(&plan.findings);
            break;
        }
        for step in plan.steps {
            expect::after(&step, Arc::make_mut(&mut look.pool), &mut look.volume);
            foreseen.push(step, &coordinator);
        }
    }
    Ok(foreseen)
}

/// What does not hold.
pub(in crate::controller) fn unmet(findings: &[Finding]) -> Vec<Finding> {
    let unmet = findings
        .iter()
        .filter(|finding| finding.holds != Some(true));
    unmet.cloned().collect()
}
