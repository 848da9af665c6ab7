//! What can go wrong in a call, and the one table that says which gRPC code each becomes.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};

use super::context::BadContext;
use super::helper::HelperError;
use super::hosts::HostsError;
use super::mountinfo::BadLine;

/// Why a call of the node service failed. Texts go to events of the user's pod, so they speak about that volume
/// and that node alone.
#[derive(Debug, Error)]
pub enum Failure {
    /// A field of the request is missing or can't be.
    #[error("{field} {problem}")]
    Invalid {
        /// The field of the request.
        field: &'static str,
        /// What is wrong with it: "is missing", "is not …".
        problem: String,
    },
    /// The volume context is not ours or contradicts the request.
    #[error(transparent)]
    Context(#[from] BadContext),
    /// There is no such volume here.
    #[error("volume {volume:?} {problem}")]
    NotFound {
        /// The id in the request, cut to 128 characters.
        volume: String,
        /// Where it was not found.
        problem: String,
    },
    /// Something else is where the volume should be.
    #[error("{} {found}", path.display())]
    Occupied {
        /// Where.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// The state on the node does not allow the call now.
    #[error("{0}")]
    Precondition(String),
    /// Another call works on the volume.
    #[error("another operation on volume {volume:?} is not finished")]
    InFlight {
        /// The id.
        volume: String,
    },
    /// The volume could not be mounted in time. Trying again later may help; nothing was left behind.
    #[error("volume {volume} could not be mounted: {tries} tries in {} s; the last one: {why}", after.as_secs())]
    NotMounted {
        /// The id.
        volume: String,
        /// How often it was tried.
        tries: u32,
        /// For how long.
        after: Duration,
        /// What the last try met, with the last words of the client's log.
        why: String,
    },
    /// A mount is there, and its client lives, but it gives no answer: neither usable nor safe to replace.
    #[error("the mount at {} does not answer: {why}", path.display())]
    Unwell {
        /// Where.
        path: PathBuf,
        /// What was tried.
        why: String,
    },
    /// Names of servers could not be made known on this node.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// A mount could not be removed or made.
    #[error("{what}: {source}")]
    Helper {
        /// What was attempted, with its path.
        what: String,
        /// How it failed.
        source: HelperError,
    },
    /// The mount table could not be read.
    #[error("can't tell what is mounted: {0}")]
    Mounts(#[from] BadLine),
    /// The operating system refused something.
    #[error("can't {what}: {source}")]
    Io {
        /// What was attempted, with its subject.
        what: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// A bug of ours.
    #[error("the operation ended unexpectedly; the plugin's log says more")]
    Bug,
}

impl Failure {
    /// A missing or impossible field.
    pub fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            problem: problem.into(),
        }
    }

    /// Wraps an error of the operating system.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// The code by which the caller decides what to do.
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } | Self::Context(_) => Code::InvalidArgument,
            Self::NotFound { .. } => Code::NotFound,
            Self::Occupied { .. } => Code::AlreadyExists,
            Self::Precondition(_)
            | Self::Hosts(
                HostsError::Conflict { .. }
                | HostsError::AnotherMachine { .. }
                | HostsError::Loopback { .. },
            ) => Code::FailedPrecondition,
            Self::InFlight { .. } => Code::Aborted,
            // The kubelet takes this one for "perhaps it goes on": it cleans up before it gives up.
            Self::NotMounted { .. } | Self::Unwell { .. } => Code::Unavailable,
            Self::Hosts(_)
            | Self::Helper { .. }
            | Self::Mounts(_)
            | Self::Io { .. }
            | Self::Bug => Code::Internal,
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        // A status travels in a header; a client's log could fill it.
        let text: String = failure.to_string().chars().take(1500).collect();
        Self::new(failure.code(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_code() {
        let io = || std::io::Error::other("x");
        let path = PathBuf::from("/p");
        let rows = [
            (
                Failure::invalid("volume_id", "is missing"),
                Code::InvalidArgument,
            ),
            (
                Failure::Context(BadContext::Ephemeral),
                Code::InvalidArgument,
            ),
            (
                Failure::NotFound {
                    volume: "v".into(),
                    problem: "x".into(),
                },
                Code::NotFound,
            ),
            (
                Failure::Occupied {
                    path: path.clone(),
                    found: "x".into(),
                },
                Code::AlreadyExists,
            ),
            (Failure::Precondition("x".into()), Code::FailedPrecondition),
            (Failure::InFlight { volume: "v".into() }, Code::Aborted),
            (
                Failure::NotMounted {
                    volume: "v".into(),
                    tries: 1,
                    after: Duration::from_secs(1),
                    why: "x".into(),
                },
                Code::Unavailable,
            ),
            (
                Failure::Unwell {
                    path: path.clone(),
                    why: "x".into(),
                },
                Code::Unavailable,
            ),
            (
                Failure::Hosts(HostsError::Conflict {
                    name: "n".into(),
                    cluster: "c".into(),
                    address: "a".into(),
                }),
                Code::FailedPrecondition,
            ),
            (
                Failure::Hosts(HostsError::AnotherMachine {
                    name: "n".into(),
                    means: "b".into(),
                    address: "a".into(),
                }),
                Code::FailedPrecondition,
            ),
            (
                Failure::Hosts(HostsError::Io {
                    path: path.clone(),
                    source: io(),
                }),
                Code::Internal,
            ),
            (
                Failure::Helper {
                    what: "x".into(),
                    source: HelperError::Start {
                        program: path,
                        source: io(),
                    },
                },
                Code::Internal,
            ),
            (
                Failure::Mounts(BadLine {
                    line: 1,
                    text: "x".into(),
                }),
                Code::Internal,
            ),
            (
                Failure::Io {
                    what: "x".into(),
                    source: io(),
                },
                Code::Internal,
            ),
            (Failure::Bug, Code::Internal),
        ];
        for (failure, code) in rows {
            let text = failure.to_string();
            let status = Status::from(failure);
            assert_eq!((status.code(), status.message()), (code, text.as_str()));
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let status = Status::from(Failure::Precondition("ä".repeat(5000)));
        assert_eq!(status.message().chars().count(), 1500);
    }
}
