//! All that a plan of a volume is made from.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::jiff::Timestamp;

use super::{Error, Target, Work};
use crate::api::volume::State;
use crate::controller::{claim, uses};
use crate::gluster::model::{PoolView, QuotaView, Search, Volume, VolumeStatus, VolumeView};
use crate::plan::attach::Wish;
use crate::plan::validate::Access;
use crate::plan::volume::{self as decide, Situation};
use crate::plan::{cluster as pool_plan, quota};

/// What was seen of a volume and of what it is part of.
pub(super) struct Look {
    pub(super) pool: Arc<PoolView>,
    pub(super) volume: VolumeView,
    pub(super) wish: Wish,
    /// A write whose result is not known yet.
    unsettled: Option<String>,
}

impl Look {
    /// What is planned from it, now.
    pub(super) fn situation<'a>(&'a self, target: &'a Target) -> Situation<'a> {
        Situation {
            cluster: &target.cluster,
            pool: &self.pool,
            view: &self.volume,
            wish: &self.wish,
            unsettled: self.unsettled.as_deref(),
            now: u64::try_from(Timestamp::now().as_second()).unwrap_or_default(),
        }
    }
}

impl Work<'_> {
    /// A look at the pool and at the volume that began at `since` or later, and after our last write.
    pub(super) async fn look(&self, target: &Target, wish: Wish, since: Instant) -> Look {
        let (pool, name) = (&target.pool, &target.want.volume);
        let view = pool.observe(since.max(pool.changed(name))).await.view;
        self.look_in(target, view, wish, since).await
    }

    /// The same in that picture of the pool.
    pub(super) async fn look_in(
        &self,
        target: &Target,
        pool: Arc<PoolView>,
        wish: Wish,
        since: Instant,
    ) -> Look {
        let volume = self.inspect(target, &pool, &wish, since).await;
        Look {
            unsettled: target.pool.unsettled(&target.want.volume),
            pool,
            volume,
            wish,
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
        let limited = started.is_some_and(Volume::quota_enabled);
        // no command that may hang is sent while one would
        let safe = pool_plan::held_back(cluster, view).is_none();
        // before a volume is stopped for good, whoever still has it mounted counts, by a pod or by hand, and its limit does not
        let going = self.object.metadata.deletion_timestamp.is_some() && started.is_some();
        let teller = pool_plan::teller(cluster, view);
        let quota_from = teller.filter(|_| limited && safe && !going);
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

    pub(super) async fn wish(&self, target: &Target) -> Result<Wish, Error> {
        let Target {
            want,
            cluster,
            pool,
            ..
        } = target;
        let stop = want.state == State::Stopped;
        let mut wish = match &want.claim {
            Some(claim) if stop || want.access == Access::OneWriter => {
                uses::wish(self.context, &self.namespace, &claim.name, cluster, pool).await?
            }
            _ if stop => Wish {
                storage: uses::storage(cluster, pool).await,
                ..Wish::default()
            },
            _ => Wish::default(),
        };
        if stop {
            wish.claim = claim::bound(self.context, &self.uid).await?;
        }
        Ok(wish)
    }
}
