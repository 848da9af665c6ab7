//! One parser for each output that we read.
//!
//! Each gives the whole picture that its command should give, or an error, or a value that says "unknown"; never a
//! part. Texts of tools are compared in the C locale, in which [`super::operation`] runs them.

mod gluster;
mod host;
mod mounts;
mod trash;

use std::collections::BTreeSet;

use super::model::DeviceFacts;
use thiserror::Error;

pub use gluster::{brick_failed, clients, option_value, quota, quotas, uuid};
pub use host::{about, brick_facts, brick_uses, crawling, low_ports, missing_programs, survey};
pub use mounts::mounts;
pub use trash::{brick_directories, trash, trash_entry};

/// An answer that does not have the form that its command should give.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} gave an answer that can't be read: {why}")]
pub struct Malformed {
    /// The command.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Malformed {
    pub(super) fn new(what: &'static str, why: impl AsRef<str>) -> Self {
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        Self {
            what,
            why: why.as_ref().trim().chars().map(clean).take(300).collect(),
        }
    }
}

/// What [`super::operation::Operation::About`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The first line of `glusterfs --version`, without its first word: `10.3`.
    pub version: String,
    /// The host's own IP addresses; empty: not found out.
    pub addresses: BTreeSet<String>,
}

/// What [`super::operation::Operation::Survey`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Content of the owner file, trimmed; `None` when there is no such file.
    pub owner: Option<String>,
    /// `option ping-timeout` of glusterd.vol.
    pub ping_timeout: Option<u32>,
    /// Whether glusterd has read the file as it is; `None`: not found out.
    pub ping_in_force: Option<bool>,
    /// One entry for each device asked about, in order.
    pub devices: Vec<DeviceFacts>,
}
