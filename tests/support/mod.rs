//! What the integration tests share: labs, and names for labs that may run side by side.
#![allow(dead_code, unused_imports)] // each test program uses a part of it

pub mod gluster_lab;
pub mod kube_lab;
pub mod operator_lab;

pub use gluster_lab::LabNames;
