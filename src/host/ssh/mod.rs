//! A host reached over SSH: one kept connection, pinned host keys, and an answer within bounded time.
//!
//! The line between "not started" (a [`HostError`], which may be tried again) and "unknown" (an [`Output`] without exit
//! status, which has to be looked into) is the moment at which the request to run a command is handed to the
//! connection.

mod backoff;
mod connection;
mod credentials;
mod exec;
mod known_hosts;

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::{Mutex, watch};
use tracing::{debug, info, warn};

use crate::gluster::model::SilentKind;
use crate::gluster::names::HostName;
use crate::gluster::operation::{Command, Operation};
use crate::gluster::outcome::Output;

use super::run::{self, tail, unknown};
use super::{Host, HostError, quote};
use backoff::Backoff;
use connection::{Connection, connect};
pub use credentials::{Credentials, CredentialsError};
use exec::{Finished, NotStarted};

/// Where a host is, and as whom we come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshConfig {
    /// The name by which gluster knows it; its key may be pinned under it.
    pub name: HostName,
    /// How it is reached: an IP address or a name that resolves.
    pub address: String,
    /// sshd's port, usually 22.
    pub port: u16,
    /// The user to log in as, whose shell has to be a POSIX one.
    pub user: String,
    /// Whether each command is run by `sudo -n --`; for users other than root.
    pub sudo: bool,
}

impl SshConfig {
    /// `address:port`.
    fn place(&self) -> String {
        let Self { address, port, .. } = self;
        if address.contains(':') {
            format!("[{address}]:{port}")
        } else {
            format!("{address}:{port}")
        }
    }
}

/// A host at the other end of one kept SSH connection, which is made at the first command and again when it broke.
#[derive(Clone)]
pub struct SshHost {
    shared: Arc<Shared>,
}

struct Shared {
    config: SshConfig,
    credentials: watch::Receiver<Arc<Credentials>>,
    /// Locked while a connection is being made, so that only one is.
    connection: Mutex<Option<Arc<Connection>>>,
    backoff: StdMutex<Backoff>,
}

impl SshHost {
    /// A host. Nothing is connected yet. When other credentials come, connections that were made with the old ones end
    /// as soon as no command runs on them.
    pub fn new(config: SshConfig, credentials: watch::Receiver<Arc<Credentials>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                credentials,
                connection: Mutex::default(),
                backoff: StdMutex::default(),
            }),
        }
    }

    /// Runs one argument vector. Behind [`Host`] there are only operations; the tests run programs of their own.
    pub async fn run(&self, command: Command) -> Result<Output, HostError> {
        let start = Instant::now();
        let argv = command.argv.join(" ");
        let result = self.shared.run(command).await;
        let (host, ms) = (&self.shared.config.name, start.elapsed().as_millis());
        match &result {
            Ok(Output {
                exit: Some(exit),
                stderr,
                ..
            }) => debug!(%host, argv, exit, ms, stderr = tail(stderr), "command"),
            Ok(output) => {
                warn!(%host, argv, ms, stderr = tail(&output.stderr), "unknown how a command ended");
            }
            Err(error) => debug!(%host, argv, ms, %error, "command not started"),
        }
        result
    }
}

#[async_trait]
impl Host for SshHost {
    fn name(&self) -> &HostName {
        &self.shared.config.name
    }

    async fn perform(&self, operation: &Operation) -> Result<Vec<Output>, HostError> {
        run::commands(operation, |command| self.run(command)).await
    }
}

impl Shared {
    async fn run(self: &Arc<Self>, command: Command) -> Result<Output, HostError> {
        let Command {
            argv,
            stdin,
            deadline,
        } = command;
        let line = quote::remote(&argv, self.config.sudo)
            .map_err(|error| self.error(SilentKind::Unreachable, error.to_string()))?;
        let mut tries = 0;
        let (connection, started) = loop {
            let connection = self.connection().await?;
            match exec::start(&connection, line.clone(), deadline).await {
                Ok(started) => break (connection, started),
                Err(NotStarted::Busy(why)) => return Err(self.error(SilentKind::Unreachable, why)),
                Err(NotStarted::Retired) => {}
                Err(NotStarted::Lost(why)) => {
                    connection.retire();
                    tries += 1;
                    if tries == 2 {
                        let error = self.error(SilentKind::Unreachable, why);
                        self.backoff()
                            .failed(error.clone(), connection.credentials.clone());
                        return Err(error);
                    }
                }
            }
        };
        self.backoff().succeeded();
        // in a task of its own, so that a caller who gives up does not cut a command off in the middle
        let task = tokio::spawn(async move {
            let finished = started.finish(stdin, deadline).await;
            if matches!(finished, Finished::Abandoned(_)) {
                // the server keeps a session for it, and may be sick: the next command gets a new connection
                connection.retire();
            }
            finished
        });
        match task.await {
            Ok(Finished::Ended(output) | Finished::Abandoned(output)) => Ok(output),
            Ok(Finished::Refused) => Err(self.error(
                SilentKind::Unreachable,
                format!(
                    "the SSH server runs no commands for user {}; see its sshd_config and the options in authorized_keys",
                    self.config.user
                ),
            )),
            Err(error) => Ok(unknown(Output::default(), &error.to_string())),
        }
    }

    /// The kept connection, or a new one.
    async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, HostError> {
        let mut kept = self.connection.lock().await;
        let credentials = self.credentials.borrow().clone();
        if let Some(connection) = kept.as_ref()
            && connection.usable()
            && connection.credentials.same(&credentials)
        {
            return Ok(connection.clone());
        }
        *kept = None;
        if let Some(error) = self.backoff().holds(&credentials) {
            return Err(error);
        }
        let start = Instant::now();
        match connect(&self.config, &credentials).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *kept = Some(connection.clone());
                self.drop_when_rotated(&connection);
                let ms = start.elapsed().as_millis();
                info!(host = %self.config.name, address = self.place(), ms, "connected");
                Ok(connection)
            }
            Err((kind, why)) => {
                let error = self.error(kind, why);
                warn!(host = %self.config.name, %error, "no connection");
                self.backoff().failed(error.clone(), credentials);
                Err(error)
            }
        }
    }

    /// Lets go of an idle connection when the credentials change, without waiting for the next command.
    fn drop_when_rotated(self: &Arc<Self>, connection: &Arc<Connection>) {
        let (shared, weak) = (Arc::downgrade(self), Arc::downgrade(connection));
        let mut credentials = self.credentials.clone();
        let ended = connection.ended();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = ended.cancelled() => return,
                    changed = credentials.changed() => if changed.is_err() { return },
                }
                let (Some(shared), Some(connection)) = (shared.upgrade(), weak.upgrade()) else {
                    return;
                };
                let same = connection
                    .credentials
                    .same(&credentials.borrow_and_update());
                if !same {
                    connection.retire();
                    let mut kept = shared.connection.lock().await;
                    kept.take_if(|kept| Arc::ptr_eq(kept, &connection));
                    return;
                }
            }
        });
    }

    fn backoff(&self) -> std::sync::MutexGuard<'_, Backoff> {
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self) -> String {
        self.config.place()
    }

    fn error(&self, kind: SilentKind, why: String) -> HostError {
        HostError {
            host: self.config.name.clone(),
            address: self.place(),
            kind,
            why,
        }
    }
}
