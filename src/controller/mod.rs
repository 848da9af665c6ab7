//! The Kubernetes edge: watches our kinds, lets [`crate::plan`] decide, takes steps through [`crate::pool`], and writes
//! down what came of it.

mod claim;
mod cluster;
mod context;
mod error;
mod finalize;
mod http;
mod lease;
mod metrics;
mod registry;
mod report;
mod run;
mod upkeep;
mod uses;
mod volume;

pub use run::{Config, run};
