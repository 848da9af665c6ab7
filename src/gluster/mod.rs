//! The world of GlusterFS, without I/O: its names, its commands, what its answers mean, and the picture
//! of a pool that they give.
//!
//! Nothing in here knows Kubernetes, a network or a clock. Every token that reaches a gluster command
//! line is a type of [`names`], whose only constructor checks a grammar.

pub mod answer;
pub mod get_state;
pub mod glusterd_vol;
pub mod model;
pub mod names;
pub mod operation;
pub mod outcome;
pub mod output;
