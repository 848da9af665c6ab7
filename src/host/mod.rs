//! How a host is reached: one trait over typed operations, and its transports.
//!
//! A transport knows bytes, not GlusterFS: it runs the argument vectors of an [`Operation`] and hands back what
//! the programs left. It never decides what an answer means.

mod local;
mod quote;
mod run;
pub mod simulated;
mod ssh;

use async_trait::async_trait;
use thiserror::Error;

use crate::gluster::model::SilentKind;
use crate::gluster::names::HostName;
use crate::gluster::operation::Operation;
use crate::gluster::outcome::Output;

pub use local::LocalHost;
pub use ssh::{Credentials, CredentialsError, SshConfig, SshHost};

/// A host that could not be asked. Nothing was run on it: whenever a command may have been started, its
/// result is an [`Output`] without exit status instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{host} ({address}): {why}")]
pub struct HostError {
    /// The host's name.
    pub host: HostName,
    /// Where it was tried, `address:port`.
    pub address: String,
    /// The kind of failure.
    pub kind: SilentKind,
    /// What happened, and the remedy where there is one.
    pub why: String,
}

/// A host of a pool.
#[async_trait]
pub trait Host: Send + Sync {
    /// The name that gluster uses.
    fn name(&self) -> &HostName;

    /// Runs the commands of an operation: one output for each command that was started. When one fails,
    /// those behind it are not started, unless the operation's commands are independent.
    async fn perform(&self, operation: &Operation) -> Result<Vec<Output>, HostError>;
}
