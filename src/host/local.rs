//! This machine as a host: the same operations, as child processes.

use std::process::Stdio;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command as Process;
use tracing::{debug, warn};

use crate::gluster::model::SilentKind;
use crate::gluster::names::HostName;
use crate::gluster::operation::{Command, Operation};
use crate::gluster::outcome::Output;

use super::quote::PATH;
use super::run::{self, OUTPUT_LIMIT, TOO_MUCH, tail, unknown};
use super::{Host, HostError};

/// The machine that this process runs on.
#[derive(Debug, Clone)]
pub struct LocalHost {
    name: HostName,
}

impl LocalHost {
    /// This machine, under the name by which gluster knows it.
    pub fn new(name: HostName) -> Self {
        Self { name }
    }

    /// Runs one argument vector. Behind [`Host`] there are only operations; the tests run programs of their own.
    pub async fn run(&self, command: Command) -> Result<Output, HostError> {
        let start = std::time::Instant::now();
        let output = self.start_and_wait(&command).await?;
        let (host, argv) = (&self.name, command.argv.join(" "));
        let ms = start.elapsed().as_millis();
        if output.exit.is_none() {
            warn!(%host, argv, ms, stderr = tail(&output.stderr), "unknown how a command ended");
        } else {
            debug!(%host, argv, exit = output.exit, ms, stderr = tail(&output.stderr), "command");
        }
        Ok(output)
    }

    async fn start_and_wait(&self, command: &Command) -> Result<Output, HostError> {
        let not_started = |why: String| HostError {
            host: self.name.clone(),
            address: "local".into(),
            kind: SilentKind::Unreachable,
            why,
        };
        let Some((program, arguments)) = command.argv.split_first() else {
            return Err(not_started("no program is named".into()));
        };
        let spawned = Process::new(program)
            .args(arguments)
            .env("LC_ALL", "C")
            .env("PATH", PATH)
            .stdin(match command.stdin {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            // what a shell says and does, so that a missing program looks the same on every transport
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Output {
                    exit: Some(127),
                    stdout: String::new(),
                    stderr: format!("env: '{program}': No such file or directory\n"),
                });
            }
            Err(error) => return Err(not_started(format!("cannot start {program}: {error}"))),
        };
        let mut group = Group::of(&child);
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = {
            let feed = async {
                if let (Some(mut pipe), Some(text)) = (stdin, &command.stdin) {
                    // a program that does not read all of it tells by its exit status whether that is bad
                    let _ = pipe.write_all(text.as_bytes()).await;
                }
                Ok(())
            };
            let work = async {
                tokio::try_join!(feed, read(stdout, &mut out), read(stderr, &mut err))?;
                child.wait().await.map_err(|error| error.to_string())
            };
            tokio::time::timeout(command.deadline, work).await
        };
        let mut output = Output {
            exit: None,
            stdout: String::from_utf8_lossy(&out).into_owned(),
            stderr: String::from_utf8_lossy(&err).into_owned(),
        };
        let why = match ended {
            Ok(Ok(status)) => {
                group.0 = None;
                if let Some(code) = status.code() {
                    output.exit = Some(code);
                    return Ok(output);
                }
                status.to_string()
            }
            Ok(Err(why)) => why,
            Err(_) => format!("no result within {} s", command.deadline.as_secs_f32()),
        };
        drop(group);
        let _ = child.wait().await;
        Ok(unknown(output, &why))
    }
}

#[async_trait]
impl Host for LocalHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn perform(&self, operation: &Operation) -> Result<Vec<Output>, HostError> {
        run::commands(operation, |command| self.run(command)).await
    }
}

/// Reads to the end; an error when that is behind the limit.
async fn read(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> Result<(), String> {
    if let Some(pipe) = pipe {
        let limit = u64::try_from(OUTPUT_LIMIT).unwrap_or(u64::MAX);
        // an error while reading is what a pipe never has
        let _ = pipe.take(limit + 1).read_to_end(into).await;
    }
    if into.len() > OUTPUT_LIMIT {
        return Err(TOO_MUCH.to_owned());
    }
    Ok(())
}

/// The process group of a child that was not waited for: killed when it goes out of scope.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        Self(pid.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
