//! gluster-operator: GlusterFS pools of real servers, managed from Kubernetes and mounted into pods.
//!
//! ARCHITECTURE.md tells how the parts hang together, and who may import whom.

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::todo,
    clippy::dbg_macro,
    clippy::print_stdout
)]

pub mod api;
pub mod cli;
pub mod controller;
pub mod csi;
pub mod gluster;
pub mod host;
pub mod plan;
pub mod pool;
pub mod telemetry;
