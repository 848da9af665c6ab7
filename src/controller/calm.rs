//! Volumes that are as declared, and about which nothing has changed: they cost no look of their own.
//!
//! Each reconcile of a cluster looks at its pool once, for all of its volumes. A volume whose picture there is the one that
//! was found to be as declared is left alone, but for a whole look now and then: marks on bricks are in no picture.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::gluster::model::{PoolView, QuotaView};
use crate::plan::attach::Wish;
use crate::plan::validate::{ValidCluster, ValidVolume};
use crate::plan::volume::{Picture, picture};
use crate::pool::Pool;

/// After so long everything is looked at again.
const WHOLE_LOOK: Duration = Duration::from_secs(300);

/// What was there when a volume was found to be as declared.
struct Calm {
    found: Instant,
    generation: Option<i64>,
    want: ValidVolume,
    cluster: Arc<ValidCluster>,
    wish: Wish,
    picture: Picture,
}

/// Calm volumes, by the uid of their object.
#[derive(Default)]
pub(super) struct Registry(Mutex<HashMap<String, Calm>>);

/// What a volume is compared by.
pub(super) struct Now<'a> {
    pub(super) generation: Option<i64>,
    pub(super) want: &'a ValidVolume,
    pub(super) cluster: &'a Arc<ValidCluster>,
    pub(super) wish: &'a Wish,
    pub(super) view: &'a PoolView,
    pub(super) quota: &'a QuotaView,
}

impl Now<'_> {
    fn picture(&self) -> Picture {
        picture(self.want, self.cluster, self.view, self.quota)
    }
}

impl Registry {
    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<String, Calm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a volume is as declared.
    pub(super) fn note(&self, uid: &str, now: &Now<'_>) {
        let calm = Calm {
            found: Instant::now(),
            generation: now.generation,
            want: now.want.clone(),
            cluster: now.cluster.clone(),
            wish: now.wish.clone(),
            picture: now.picture(),
        };
        self.entries().insert(uid.to_owned(), calm);
    }

    /// Forgets a volume: something is to be done about it.
    pub(super) fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// Forgets all but those.
    pub(super) fn keep(&self, there: impl Fn(&str) -> bool) {
        self.entries().retain(|uid, _| there(uid));
    }

    /// Whether nothing has changed since it was noted, not so long ago.
    pub(super) fn holds(&self, uid: &str, now: &Now<'_>) -> bool {
        self.entries().get(uid).is_some_and(|calm| {
            calm.found.elapsed() < WHOLE_LOOK
                && calm.generation == now.generation
                && calm.want == *now.want
                && calm.cluster == *now.cluster
                && calm.wish == *now.wish
                && calm.picture.shows_the_same(&now.picture())
        })
    }

    /// Whether a look at the pool shows a calm volume of that cluster otherwise than it was.
    pub(super) fn is_disturbed(
        &self,
        cluster: &ValidCluster,
        pool: &Pool,
        view: &PoolView,
    ) -> bool {
        let recent = Instant::now().checked_sub(super::RESYNC * 2);
        self.entries()
            .values()
            .filter(|calm| calm.cluster.name == cluster.name)
            .any(|calm| {
                let quota = recent.and_then(|recent| pool.quota(&calm.want.volume, recent));
                let quota = quota.unwrap_or_default();
                let now = picture(&calm.want, &calm.cluster, view, &quota);
                !calm.picture.shows_the_same(&now)
            })
    }
}
