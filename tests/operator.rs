//! The controller between a real API server (KubeLab) and real storage hosts (GlusterLab): killed at every step, fed
//! with hostile input, met by faults, and asked for what day two brings. What counts is seen from outside: the hosts' own
//! logs and directories, and the data on bricks.
//!
//! Each test plays scenes one after the other and says the seconds of each; `OPERATOR_SCENE=text` plays only the scenes with
//! that text in their names.

mod support;

#[path = "operator/cluster.rs"]
mod cluster;
#[path = "operator/crash.rs"]
mod crash;
#[path = "operator/data.rs"]
mod data;
#[path = "operator/daytwo.rs"]
mod daytwo;
#[path = "operator/faults.rs"]
mod faults;
#[path = "operator/hostile.rs"]
mod hostile;
#[path = "operator/onewriter.rs"]
mod onewriter;
#[path = "operator/planned.rs"]
mod planned;
#[path = "operator/played.rs"]
mod played;
#[path = "operator/truth.rs"]
mod truth;
