//! One command on a connection: a channel, its streams, and how it ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::gluster::outcome::Output;

use super::super::run::{OUTPUT_LIMIT, SIDE_BY_SIDE, TOO_MUCH, unknown};
use super::connection::Connection;

/// How long a server may think about a new channel.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);
/// After which pauses a refused channel is asked for again.
const REOPEN_PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(200)];
/// How long it may take to get rid of a channel.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// A command that was certainly not started.
pub(super) enum NotStarted {
    /// The connection is of no use any more; another may be.
    Lost(String),
    /// The connection was given up before it was our turn; nothing was tried.
    Retired,
    /// Too many commands hang.
    Busy(String),
}

/// A command that may have been started.
pub(super) struct Started {
    channel: Channel<Msg>,
    slot: Slot,
}

/// The place of a command on its connection.
struct Slot {
    connection: Arc<Connection>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    fn new(connection: &Arc<Connection>, permit: OwnedSemaphorePermit) -> Self {
        connection.held.fetch_add(1, Ordering::AcqRel);
        Self {
            connection: connection.clone(),
            permit: Some(permit),
        }
    }

    /// Takes the place off its connection for good; false when it was the last one in use.
    fn remove(mut self) -> bool {
        let others = self.connection.held.fetch_sub(1, Ordering::AcqRel) > 1;
        if let Some(permit) = self.permit.take()
            && others
        {
            permit.forget();
        }
        others
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.permit.is_some() {
            self.connection.held.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// How a started command went.
pub(super) enum Finished {
    /// It ended, or the connection did.
    Ended(Output),
    /// It may still run, and takes a place in the server's books.
    Abandoned(Output),
    /// The server did not start it.
    Refused,
}

/// Opens a channel and hands over the line. Waits at most `patience` for a place.
pub(super) async fn start(
    connection: &Arc<Connection>,
    line: Vec<u8>,
    patience: Duration,
) -> Result<Started, NotStarted> {
    loop {
        let permit = timeout(patience, connection.permits.clone().acquire_owned()).await;
        let slot = match permit {
            Ok(Ok(permit)) => Slot::new(connection, permit),
            Ok(Err(_)) => return Err(NotStarted::Retired),
            Err(_) => {
                return Err(NotStarted::Busy(format!(
                    "up to {SIDE_BY_SIDE} commands run there already, and none ended within {} s",
                    patience.as_secs()
                )));
            }
        };
        let channel = match timeout(OPEN_DEADLINE, open(connection)).await {
            Ok(Ok(channel)) => channel,
            // MaxSessions may be less than ours: while others have places, this one is taken off the connection
            Ok(Err(russh::Error::ChannelOpenFailure(why))) => {
                if !slot.remove() {
                    return Err(NotStarted::Lost(format!(
                        "the SSH server opens no session ({why:?}); see MaxSessions in its sshd_config"
                    )));
                }
                continue;
            }
            Ok(Err(_)) => return Err(NotStarted::Lost(connection.lost())),
            Err(_) => {
                return Err(NotStarted::Lost(format!(
                    "the SSH server opened no session within {} s",
                    OPEN_DEADLINE.as_secs()
                )));
            }
        };
        // an error here says that the request did not leave us
        return match channel.exec(true, line).await {
            Ok(()) => Ok(Started { channel, slot }),
            Err(_) => Err(NotStarted::Lost(connection.lost())),
        };
    }
}

/// Opens a channel. sshd may count a session that has just ended for a moment longer, so a refusal is not believed at
/// once.
async fn open(connection: &Connection) -> Result<Channel<Msg>, russh::Error> {
    for pause in REOPEN_PAUSES {
        match connection.handle.channel_open_session().await {
            Err(russh::Error::ChannelOpenFailure(_)) => tokio::time::sleep(pause).await,
            other => return other,
        }
    }
    connection.handle.channel_open_session().await
}

impl Started {
    /// Feeds the command and gathers what it leaves. Only an exit status and the end of its output make a result that
    /// is known.
    pub(super) async fn finish(self, stdin: Option<String>, deadline: Duration) -> Finished {
        let (mut reader, writer) = self.channel.split();
        let mut streams = Streams::default();
        let work = async {
            let feed = async {
                if let Some(text) = stdin {
                    writer.data_bytes(text.into_bytes()).await?;
                }
                writer.eof().await
            };
            tokio::pin!(feed);
            let mut fed = false;
            loop {
                tokio::select! {
                    message = reader.wait() => match message {
                        Some(message) => {
                            if let Some(end) = streams.take(message) {
                                return end;
                            }
                        }
                        None => return End::Broken,
                    },
                    // a program that does not read its input says by its exit status whether that is bad
                    _ = &mut feed, if !fed => fed = true,
                }
            }
        };
        let end = timeout(deadline, work).await;
        let lost = || self.slot.connection.lost();
        match end {
            Ok(End::Closed) => Finished::Ended(streams.ended()),
            Ok(End::Broken) if streams.eof && streams.exit.is_some() => {
                Finished::Ended(streams.ended())
            }
            Ok(End::Broken) => Finished::Ended(unknown(streams.output(), &lost())),
            Ok(End::Refused) => {
                let _ = timeout(CLOSE_DEADLINE, writer.close()).await;
                Finished::Refused
            }
            Ok(End::TooMuch) => {
                let _ = timeout(CLOSE_DEADLINE, writer.close()).await;
                Finished::Abandoned(unknown(streams.output(), TOO_MUCH))
            }
            Err(_) => {
                let _ = timeout(CLOSE_DEADLINE, writer.close()).await;
                let why = format!(
                    "no result within {} s; it may still run",
                    deadline.as_secs_f32()
                );
                Finished::Abandoned(unknown(streams.output(), &why))
            }
        }
    }
}

enum End {
    Closed,
    Broken,
    Refused,
    TooMuch,
}

#[derive(Default)]
struct Streams {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exit: Option<u32>,
    signal: Option<String>,
    eof: bool,
}

impl Streams {
    fn take(&mut self, message: ChannelMsg) -> Option<End> {
        match message {
            ChannelMsg::Data { data } => return Self::gather(&mut self.stdout, &data),
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                return Self::gather(&mut self.stderr, &data);
            }
            // output may follow: only the end of the channel is the end
            ChannelMsg::ExitStatus { exit_status } => self.exit = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.signal = Some(format!("{signal_name:?}"));
            }
            ChannelMsg::Eof => self.eof = true,
            ChannelMsg::Close => return Some(End::Closed),
            ChannelMsg::Failure => return Some(End::Refused),
            _ => {}
        }
        None
    }

    fn gather(stream: &mut Vec<u8>, data: &[u8]) -> Option<End> {
        let room = OUTPUT_LIMIT - stream.len();
        stream.extend_from_slice(&data[..data.len().min(room)]);
        (data.len() > room).then_some(End::TooMuch)
    }

    fn output(&self) -> Output {
        Output {
            exit: None,
            stdout: String::from_utf8_lossy(&self.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&self.stderr).into_owned(),
        }
    }

    /// The output when the server has said that this is all.
    fn ended(&self) -> Output {
        let output = self.output();
        match (self.exit.map(i32::try_from), &self.signal) {
            (Some(Ok(exit)), _) => Output {
                exit: Some(exit),
                ..output
            },
            (_, Some(signal)) => unknown(output, &format!("ended by signal {signal}")),
            (_, None) => unknown(output, "ended without an exit status"),
        }
    }
}
