//! The Kubernetes edge: watches our kinds, lets [`crate::plan`] decide, takes steps through [`crate::pool`], and writes
//! down what came of it.

mod calm;
mod claim;
mod cluster;
mod context;
mod error;
mod finalize;
mod http;
mod lease;
mod metrics;
mod preview;
mod registry;
mod report;
mod run;
mod tries;
mod upkeep;
mod uses;
mod volume;

use std::time::Duration;

pub use preview::{Preview, PreviewCommand, PreviewStep, Wanted, preview};
pub use run::{Config, run};

/// How often a pool, and a volume that is as declared, is looked at.
const RESYNC: Duration = Duration::from_secs(15);
