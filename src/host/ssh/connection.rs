//! One connection: TCP, the host's key, our key.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, AuthResult, DisconnectReason, Handle};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{AlgorithmKind, MethodKind, Preferred};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::gluster::model::SilentKind;

use super::super::run::SIDE_BY_SIDE;
use super::known_hosts::{Server, Verdict, describe};
use super::{Credentials, SshConfig};

const TCP_DEADLINE: Duration = Duration::from_secs(3);
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// A peer that says nothing for this long is asked whether it is there …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(4);
/// … this often, before it is given up: 12 s in all.
const KEEPALIVE_MAX: usize = 2;
/// The end of a connection where not even the questions can be written.
const INACTIVITY: Duration = Duration::from_secs(20);

/// Why there is no connection: the kind of failure, and the text for the user.
pub(super) type Refusal = (SilentKind, String);

/// A connection that has passed both keys. It ends when the last one lets go of it.
pub(super) struct Connection {
    pub(super) handle: Handle<Guard>,
    pub(super) credentials: Arc<Credentials>,
    /// One for each command that may run at the same time.
    pub(super) permits: Arc<Semaphore>,
    /// How many permits are held.
    pub(super) held: AtomicUsize,
    retired: AtomicBool,
    notes: Arc<Mutex<Notes>>,
    ended: CancellationToken,
    _end: DropGuard,
}

/// What the client's event loop finds out.
#[derive(Default)]
struct Notes {
    refused_key: Option<String>,
    lost: Option<String>,
}

fn lock(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// True while new commands may be started on it.
    pub(super) fn usable(&self) -> bool {
        !self.retired.load(Ordering::Acquire) && !self.handle.is_closed()
    }

    /// Lets running commands end, and starts no more; who waits for a place has to look for another connection.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.permits.close();
    }

    /// Why it broke.
    pub(super) fn lost(&self) -> String {
        let why = lock(&self.notes).lost.clone();
        format!(
            "the SSH connection broke: {}",
            why.as_deref().unwrap_or("closed by the host")
        )
    }

    /// Cancelled when nobody holds the connection any more.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }
}

/// Makes a connection.
pub(super) async fn connect(
    config: &SshConfig,
    credentials: &Arc<Credentials>,
) -> Result<Connection, Refusal> {
    let stream = dial(config).await?;
    let server = Server::new(&config.address, config.name.as_str(), config.port);
    let notes = Arc::new(Mutex::new(Notes::default()));
    let guard = Guard {
        place: config.place(),
        address: config.address.clone(),
        port: config.port,
        server: server.clone(),
        credentials: credentials.clone(),
        notes: notes.clone(),
    };
    let settings = client::Config {
        preferred: Preferred {
            key: Cow::Owned(credentials.known_hosts.algorithms(&server)),
            ..Preferred::default()
        },
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVE_MAX,
        inactivity_timeout: Some(INACTIVITY),
        ..client::Config::default()
    };
    let handshake = async {
        let mut handle = client::connect_stream(Arc::new(settings), stream, guard)
            .await
            .map_err(|error| no_handshake(&error, &notes))?;
        authenticate(&mut handle, config, credentials, &notes).await?;
        Ok(handle)
    };
    let handle = timeout(HANDSHAKE_DEADLINE, handshake).await.map_err(|_| {
        let why = format!(
            "the port is open but SSH did not answer within {} s",
            HANDSHAKE_DEADLINE.as_secs()
        );
        (SilentKind::Unreachable, why)
    })??;
    let ended = CancellationToken::new();
    Ok(Connection {
        handle,
        credentials: credentials.clone(),
        permits: Arc::new(Semaphore::new(SIDE_BY_SIDE)),
        held: AtomicUsize::new(0),
        retired: AtomicBool::new(false),
        notes,
        _end: ended.clone().drop_guard(),
        ended,
    })
}

async fn dial(config: &SshConfig) -> Result<TcpStream, Refusal> {
    let unreachable = |why: String| (SilentKind::Unreachable, why);
    let lookup = tokio::net::lookup_host((config.address.as_str(), config.port));
    let addresses: Vec<SocketAddr> = match timeout(TCP_DEADLINE, lookup).await {
        Ok(Ok(addresses)) => addresses.take(3).collect(),
        Ok(Err(error)) => {
            return Err(unreachable(format!(
                "the name {} does not resolve: {error}",
                config.address
            )));
        }
        Err(_) => {
            return Err(unreachable(format!(
                "the name {} does not resolve: no answer within {} s",
                config.address,
                TCP_DEADLINE.as_secs()
            )));
        }
    };
    let mut why = format!("the name {} has no address", config.address);
    let share = u32::try_from(addresses.len().max(1)).unwrap_or(1);
    for address in addresses {
        match timeout(TCP_DEADLINE / share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // requests are small, and each waits for its answer
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => why = format!("cannot connect to {address}: {error}"),
            Err(_) => why = format!("cannot connect to {address}: no answer"),
        }
    }
    Err(unreachable(why))
}

fn no_handshake(error: &russh::Error, notes: &Mutex<Notes>) -> Refusal {
    if let Some(why) = lock(notes).refused_key.take() {
        return (SilentKind::HostKey, why);
    }
    match error {
        russh::Error::NoCommonAlgo {
            kind: AlgorithmKind::Key,
            theirs,
            ..
        } => (
            SilentKind::HostKey,
            format!(
                "host key refused: the server has only keys that are not accepted any more ({}); make one there with `ssh-keygen -A` and pin it in known_hosts",
                theirs.join(", ")
            ),
        ),
        other => (
            SilentKind::Unreachable,
            format!("the SSH handshake failed: {other}"),
        ),
    }
}

async fn authenticate(
    handle: &mut Handle<Guard>,
    config: &SshConfig,
    credentials: &Credentials,
    notes: &Mutex<Notes>,
) -> Result<(), Refusal> {
    let broke = |error: String| {
        let why = lock(notes).lost.take().unwrap_or(error);
        (
            SilentKind::Unreachable,
            format!("the connection broke while the SSH server checked our key: {why}"),
        )
    };
    let hash = if credentials.key.algorithm().is_rsa() {
        let best = handle.best_supported_rsa_hash().await;
        let best = best.map_err(|error| broke(error.to_string()))?;
        // never SHA-1; a server that does not say what it takes is of before 2018
        Some(best.flatten().unwrap_or(HashAlg::Sha256))
    } else {
        None
    };
    let key = PrivateKeyWithHashAlg::new(credentials.key.clone(), hash);
    let result = handle.authenticate_publickey(&config.user, key).await;
    let (methods, partial) = match result.map_err(|error| broke(error.to_string()))? {
        AuthResult::Success => return Ok(()),
        AuthResult::Failure {
            remaining_methods,
            partial_success,
        } => (remaining_methods, partial_success),
    };
    let user = &config.user;
    let why = if partial {
        format!("the SSH server wants more than a key from user {user}; allow a key alone")
    } else if methods.is_empty() {
        return Err(broke("closed by the host".to_owned()));
    } else if methods.contains(&MethodKind::PublicKey) {
        format!(
            "the SSH server refused our key {} for user {user}; add its public half to ~{user}/.ssh/authorized_keys there (and allow the user: PermitRootLogin, AllowUsers), or correct ssh-privatekey in the Secret",
            describe(credentials.key.public_key())
        )
    } else {
        format!(
            "the SSH server takes no keys from user {user}; set `PubkeyAuthentication yes` in its sshd_config"
        )
    };
    Err((SilentKind::Authentication, why))
}

/// Judges the host's key, and notes why a connection ended.
pub(super) struct Guard {
    place: String,
    address: String,
    port: u16,
    server: Server,
    credentials: Arc<Credentials>,
    notes: Arc<Mutex<Notes>>,
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        // certificates are never asked for, so this is a plain key
        let key = shown.public_key();
        let Self {
            place,
            address,
            port,
            ..
        } = self;
        let offered = format!("{place} shows {}", describe(&key));
        let why = match self.credentials.known_hosts.judge(&self.server, &key) {
            Verdict::Pinned => return Ok(true),
            Verdict::Missing { authority: None } => format!(
                "host key missing: {offered}, and known_hosts has no line for it; compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host, and add what `ssh-keyscan -p {port} {address}` prints to known_hosts in the Secret"
            ),
            Verdict::Missing {
                authority: Some(line),
            } => format!(
                "host key missing: {offered}, and known_hosts has only a @cert-authority line ({line}) for it, which is not supported; add what `ssh-keyscan -p {port} {address}` prints to known_hosts in the Secret"
            ),
            Verdict::Different(pinned) => {
                let pinned: Vec<_> = pinned
                    .iter()
                    .map(|(line, key)| format!("line {line}: {key}"))
                    .collect();
                format!(
                    "host key different: {offered}, but known_hosts pins {}; if the host was installed anew, compare its key there and replace the line in the Secret, else somebody stands between",
                    pinned.join(", ")
                )
            }
            Verdict::Revoked { line } => format!(
                "host key revoked: {offered}, which line {line} of known_hosts revokes; give the host a new key and pin that"
            ),
        };
        lock(&self.notes).refused_key = Some(why);
        Ok(false)
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        let (why, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (format!("the host said: {}", info.message), Ok(()))
            }
            DisconnectReason::Error(error) => {
                let why = match &error {
                    russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout => {
                        "the host does not answer any more".to_owned()
                    }
                    russh::Error::Disconnect | russh::Error::HUP => "closed by the host".to_owned(),
                    other => other.to_string(),
                };
                (why, Err(error))
            }
        };
        lock(&self.notes).lost = Some(why);
        result
    }
}
