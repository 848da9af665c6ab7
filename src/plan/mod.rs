//! Decides what to do, and nothing else: from what is wanted (a validated object) and what is there (a picture of
//! the pool) to an ordered list of steps, and to what status shall say.
//!
//! Everything in here is a pure function: no I/O, no async, no clock (the time is an argument), no randomness.
//! Plans are made anew from fresh pictures and never stored, so a crash between any two steps is harmless.

pub mod attach;
pub mod cluster;
pub mod deletion;
pub mod expect;
pub mod fit;
pub mod health;
pub mod layout;
pub mod options;
pub mod ownership;
pub mod place;
pub mod quota;
pub mod step;
pub mod trash;
pub mod upkeep;
pub mod validate;
pub mod volume;

use std::time::Duration;

use crate::api::condition::Finding;
use step::Step;

/// What to do next, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In order; each is taken only when the one before it was done.
    pub steps: Vec<Step>,
    /// What was found out on the way; for conditions.
    pub findings: Vec<Finding>,
    /// When to look again though nothing changed; `None`: at the usual interval.
    pub recheck: Option<Duration>,
}

impl Plan {
    /// Nothing can be done now: one finding says why.
    pub fn wait(finding: Finding, recheck: Duration) -> Self {
        Self {
            steps: Vec::new(),
            findings: vec![finding],
            recheck: Some(recheck),
        }
    }
}
