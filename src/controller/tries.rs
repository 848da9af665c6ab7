//! What was tried in vain. A step that failed is not sent again before its time, however often its object is looked at meanwhile:
//! status is written, pods and clusters change, hosts come and go, and each of that wakes the object.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::gluster::outcome::Class;
use crate::plan::step::Step;
use crate::pool::StepFailure;

use super::cluster::backoff;

/// After which a step is tried again that somebody else was in the way of, or whose host we did not reach.
const SOON: Duration = Duration::from_secs(5);
/// The same for what shuts out a node or lets one in, whatever was in the way: a database that moves waits for it.
const MOVING: Duration = Duration::from_secs(2);
/// A step that has been due for so long, longer than the longest pause, is not planned any more.
const OVERDUE: Duration = Duration::from_secs(600);

/// Failed steps of all objects, by uid.
#[derive(Default)]
pub(super) struct Tries(Mutex<HashMap<String, Of>>);

/// Failed steps of one object.
struct Of {
    /// Of the spec that they were for; another one is tried at once.
    generation: Option<i64>,
    steps: Vec<Tried>,
}

struct Tried {
    step: Step,
    failure: StepFailure,
    times: u32,
    last: Instant,
}

impl Tried {
    fn pause(&self) -> Duration {
        match (&self.step, self.failure.class) {
            (Step::Fence { .. } | Step::Admit { .. }, _) => MOVING,
            (_, Class::Busy) => SOON,
            _ => backoff(self.times),
        }
    }

    fn left(&self) -> Duration {
        self.pause().saturating_sub(self.last.elapsed())
    }

    fn is_overdue(&self) -> bool {
        self.last.elapsed() > self.pause() + OVERDUE
    }
}

/// When something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Again {
    /// The whole pause, for messages.
    pub(super) every: Duration,
    /// What is left of it.
    pub(super) left: Duration,
}

impl Tries {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Of>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How that step ended, while it is too early to try it again.
    pub(super) fn too_early(
        &self,
        uid: &str,
        generation: Option<i64>,
        step: &Step,
    ) -> Option<StepFailure> {
        let all = self.all();
        let of = all.get(uid).filter(|of| of.generation == generation)?;
        let tried = of.steps.iter().find(|tried| is_same(&tried.step, step))?;
        (!tried.left().is_zero()).then(|| tried.failure.clone())
    }

    /// Notes how a step ended.
    pub(super) fn note(
        &self,
        uid: &str,
        generation: Option<i64>,
        step: &Step,
        failure: Option<&StepFailure>,
    ) {
        let mut all = self.all();
        let Some(failure) = failure else {
            if let Some(of) = all.get_mut(uid) {
                of.steps.retain(|tried| !is_same(&tried.step, step));
            }
            return;
        };
        let of = all.entry(uid.to_owned()).or_insert_with(|| Of {
            generation,
            steps: Vec::new(),
        });
        if of.generation != generation {
            of.generation = generation;
            of.steps.clear();
        }
        of.steps.retain(|tried| !tried.is_overdue());
        let before = of.steps.iter().position(|tried| is_same(&tried.step, step));
        let times = before.map_or(0, |at| of.steps.swap_remove(at).times);
        of.steps.push(Tried {
            step: step.clone(),
            failure: failure.clone(),
            times: times.saturating_add(1),
            last: Instant::now(),
        });
    }

    /// When the next of its failed steps is tried again, as far as they are still planned; the others are forgotten.
    pub(super) fn again(&self, uid: &str, planned: &[Step]) -> Option<Again> {
        let mut all = self.all();
        let of = all.get_mut(uid)?;
        of.steps
            .retain(|tried| planned.iter().any(|step| is_same(&tried.step, step)));
        let tried = of.steps.iter().min_by_key(|tried| tried.left())?;
        Some(Again {
            every: tried.pause(),
            left: tried.left(),
        })
    }

    /// Nothing of that object fails any more, or it is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.all().remove(uid);
    }

    /// Forgets all objects but those.
    pub(super) fn keep(&self, there: impl Fn(&str) -> bool) {
        self.all().retain(|uid, _| there(uid));
    }
}

/// Whether a step is what is left of one that was tried: a manifest has the time in it, and so has the name in the trash of what is left of a creation; of options that were set one by one those are
/// left that gluster refused.
fn is_same(tried: &Step, step: &Step) -> bool {
    match (tried, step) {
        (
            Step::SetOptions {
                options: tried,
                each: true,
                ..
            },
            Step::SetOptions {
                options,
                each: true,
                ..
            },
        ) => options
            .iter()
            .all(|(key, value)| tried.get(key) == Some(value)),
        (
            Step::WriteManifest {
                places: tried,
                name: before,
                ..
            },
            Step::WriteManifest { places, name, .. },
        ) => (tried, before) == (places, name),
        (Step::TrashBricks { places: tried, .. }, Step::TrashBricks { places, .. }) => {
            tried == places
        }
        _ => tried == step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::step::BrickPlace;

    fn failure(class: Class) -> StepFailure {
        StepFailure {
            step: "starting volume a".into(),
            host: "node1".parse().unwrap(),
            command: "gluster volume start a".into(),
            class,
            detail: "",
            words: "no".into(),
        }
    }

    fn start(volume: &str) -> Step {
        Step::StartVolume(volume.parse().unwrap())
    }

    #[test]
    fn what_failed_is_not_tried_again_before_its_time() {
        let tries = Tries::default();
        let (a, b) = (start("a"), start("b"));
        let refused = failure(Class::Refused);
        assert_eq!(tries.too_early("u", Some(1), &a), None);
        tries.note("u", Some(1), &a, Some(&refused));
        assert_eq!(tries.too_early("u", Some(1), &a), Some(refused.clone()));
        assert_eq!(tries.too_early("u", Some(1), &b), None, "another step");
        assert_eq!(tries.too_early("v", Some(1), &a), None, "another object");
        assert_eq!(tries.too_early("u", Some(2), &a), None, "another spec");
        let again = || tries.again("u", std::slice::from_ref(&a));
        assert_eq!(again().unwrap().every, backoff(1));
        tries.note("u", Some(1), &a, Some(&refused));
        tries.note("u", Some(1), &a, Some(&refused));
        let third = again().unwrap();
        assert_eq!(third.every, backoff(3));
        assert!(third.left <= third.every && third.left > backoff(2));
        // somebody in the way is gone soon, whatever was before
        tries.note("u", Some(1), &a, Some(&failure(Class::Busy)));
        assert_eq!(again().unwrap().every, SOON);
        tries.note("u", Some(1), &a, None);
        assert_eq!(tries.too_early("u", Some(1), &a), None);
        assert_eq!(again(), None);
        // what is not planned any more is forgotten
        tries.note("u", Some(1), &a, Some(&refused));
        assert_eq!(tries.again("u", &[b]), None);
        assert_eq!(tries.too_early("u", Some(1), &a), None);
    }

    #[test]
    fn the_bad_one_of_some_options_is_not_tried_anew_when_the_others_are_set() {
        let set = |keys: &[&str]| Step::SetOptions {
            volume: "a".parse().unwrap(),
            options: keys
                .iter()
                .map(|key| (key.parse().unwrap(), "1".parse().unwrap()))
                .collect(),
            each: true,
        };
        let tries = Tries::default();
        let refused = failure(Class::Refused);
        tries.note("u", None, &set(&["a.b", "c.d"]), Some(&refused));
        assert!(tries.too_early("u", None, &set(&["c.d"])).is_some());
        assert!(tries.too_early("u", None, &set(&["c.d", "e.f"])).is_none());
        tries.note("u", None, &set(&["c.d"]), Some(&refused));
        let again = tries.again("u", &[set(&["c.d"])]).unwrap();
        assert_eq!(again.every, backoff(2));
    }

    #[test]
    fn another_spec_begins_anew() {
        let tries = Tries::default();
        for _ in 0..5 {
            tries.note("u", Some(1), &start("a"), Some(&failure(Class::Refused)));
        }
        tries.note("u", Some(2), &start("b"), Some(&failure(Class::Refused)));
        let again = || tries.again("u", &[start("b"), start("c")]);
        assert_eq!(again().unwrap().every, backoff(1));
        assert_eq!(tries.too_early("u", Some(1), &start("a")), None);
        tries.forget("u");
        assert_eq!(again(), None);
    }

    #[test]
    fn a_manifest_that_can_not_be_written_is_not_tried_anew_since_time_goes_on() {
        let place = |host: &str| BrickPlace {
            host: host.parse().unwrap(),
            device: "/b".parse().unwrap(),
            parent: "/b/a-0a1b2c3d".parse().unwrap(),
            path: "/b/a-0a1b2c3d/brick".parse().unwrap(),
        };
        let write = |now: u64, host: &str| Step::WriteManifest {
            places: vec![place(host)],
            name: "a-0a1b2c3d".into(),
            manifest: format!("{{\"deletedAt\": {now}}}"),
        };
        let tries = Tries::default();
        let full = failure(Class::Refused);
        for now in 1..=3 {
            tries.note("u", None, &write(now, "n1"), Some(&full));
        }
        assert!(tries.too_early("u", None, &write(4, "n1")).is_some());
        assert!(tries.too_early("u", None, &write(4, "n2")).is_none());
        // what is left of a creation has the time in its name there
        let torn = |now: u64| Step::TrashBricks {
            places: vec![place("n1")],
            name: format!("a-0a1b2c3d-torn-{now}"),
        };
        tries.note("u", None, &torn(1), Some(&full));
        assert!(tries.too_early("u", None, &torn(2)).is_some());
        let again = tries.again("u", &[write(5, "n1")]).unwrap();
        assert_eq!(again.every, backoff(3));
    }

    #[test]
    fn what_has_not_been_planned_for_long_is_forgotten() {
        let tries = Tries::default();
        let refused = failure(Class::Refused);
        for volume in ["a", "b"] {
            tries.note("u", None, &start(volume), Some(&refused));
        }
        let long_ago = backoff(1) + OVERDUE + Duration::from_secs(1);
        let count = || tries.all()["u"].steps.len();
        tries.all().get_mut("u").unwrap().steps[0].last -= long_ago;
        assert_eq!(count(), 2);
        tries.note("u", None, &start("c"), Some(&refused));
        assert_eq!(count(), 2);
        assert!(tries.too_early("u", None, &start("b")).is_some());
    }

    #[test]
    fn a_peer_that_gluster_can_not_reach_is_probed_after_growing_pauses() {
        let probe = Step::ProbePeer {
            host: "node2".parse().unwrap(),
        };
        let tries = Tries::default();
        let refused = StepFailure {
            detail: "unreachable",
            ..failure(Class::Refused)
        };
        for times in 1..=4 {
            tries.note("u", None, &probe, Some(&refused));
            let again = tries.again("u", std::slice::from_ref(&probe)).unwrap();
            assert_eq!(again.every, backoff(times));
        }
    }

    #[test]
    fn a_node_that_waits_to_be_let_in_neither_waits_long_nor_is_tried_without_end() {
        let volume = || "a".parse().unwrap();
        let fence = Step::Fence {
            volume: volume(),
            node: "n1".into(),
        };
        let admit = |node: &str| Step::Admit {
            volume: volume(),
            node: node.into(),
            addresses: "10.0.0.1".parse().unwrap(),
        };
        let tries = Tries::default();
        for step in [fence, admit("n1")] {
            for class in [Class::Busy, Class::Refused, Class::Unknown, Class::Refused] {
                tries.note("u", None, &step, Some(&failure(class)));
                assert!(tries.too_early("u", None, &step).is_some());
                let again = tries.again("u", std::slice::from_ref(&step)).unwrap();
                assert_eq!(again.every, MOVING, "{step:?}");
            }
            assert!(tries.too_early("u", None, &admit("n2")).is_none());
            tries.note("u", None, &step, None);
            assert!(tries.too_early("u", None, &step).is_none());
        }
    }
}
