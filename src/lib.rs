//! gluster-operator
#![allow(missing_docs)]
pub mod api;
pub mod cli;
pub mod controller;
pub mod csi;
pub mod gluster;
pub mod host;
pub mod plan;
pub mod pool;
pub mod telemetry;
