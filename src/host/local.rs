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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn command(argv: &[&str], stdin: Option<&str>, seconds: f32) -> Command {
        Command {
            argv: argv.iter().map(ToString::to_string).collect(),
            stdin: stdin.map(str::to_owned),
            deadline: Duration::from_secs_f32(seconds),
        }
    }

    async fn run(argv: &[&str], stdin: Option<&str>, seconds: f32) -> Output {
        let host = LocalHost::new("node1".parse().unwrap());
        host.run(command(argv, stdin, seconds)).await.unwrap()
    }

    /// True while a process with exactly these arguments runs.
    fn runs(argv: &[&str]) -> bool {
        let want: Vec<u8> = argv
            .iter()
            .flat_map(|a| [a.as_bytes(), &[0]].concat())
            .collect();
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .any(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == want))
    }

    async fn gone(argv: &[&str]) -> bool {
        for _ in 0..100 {
            if !runs(argv) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    #[tokio::test]
    async fn programs_run_and_leave_what_they_leave() {
        let output = run(
            &["sh", "-c", "cat; echo $LC_ALL >&2; exit 7"],
            Some("in"),
            9.0,
        )
        .await;
        let want = Output {
            exit: Some(7),
            stdout: "in".into(),
            stderr: "C\n".into(),
        };
        assert_eq!(output, want);
        let hostile = ["$(id)", "a b\n", "'", "", "-n"];
        let output = run(&[&["printf", "%s\\0"], &hostile[..]].concat(), None, 9.0).await;
        assert_eq!(
            output.stdout.split_terminator('\0').collect::<Vec<_>>(),
            hostile
        );
        // not read, and longer than a pipe holds
        let output = run(&["true"], Some(&"x".repeat(1 << 20)), 9.0).await;
        assert_eq!(output.exit, Some(0));
        let output = run(&["no-such-program"], None, 9.0).await;
        assert_eq!(output.exit, Some(127));
        assert!(output.stderr.contains("no-such-program"));
        let output = run(&["sh", "-c", "echo x; kill -9 $$"], None, 9.0).await;
        assert_eq!((output.exit, output.stdout.as_str()), (None, "x\n"));
        assert!(output.stderr.contains("signal: 9"), "{}", output.stderr);
    }

    #[tokio::test]
    async fn past_the_deadline_all_of_it_is_killed() {
        // a number of seconds that nobody else sleeps
        let seconds = format!("61.{}", std::process::id());
        let sleep = ["sleep", seconds.as_str()];
        let script = format!("echo x; sleep {seconds} & sleep {seconds}");
        let start = Instant::now();
        let output = run(&["sh", "-c", &script], None, 0.5).await;
        assert_eq!((output.exit, output.stdout.as_str()), (None, "x\n"));
        assert!(
            output.stderr.contains("no result within 0.5 s"),
            "{}",
            output.stderr
        );
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(gone(&sleep).await, "children as well");
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_no_process() {
        let seconds = format!("62.{}", std::process::id());
        let sleep = ["sleep", seconds.as_str()];
        let script = format!("sleep {seconds} & sleep {seconds}");
        let argv = ["sh", "-c", &script];
        let work = tokio::time::timeout(Duration::from_millis(500), run(&argv, None, 60.0));
        assert!(work.await.is_err());
        assert!(gone(&sleep).await);
    }

    #[tokio::test]
    async fn output_has_a_limit() {
        let output = run(&["head", "-c", "16777216", "/dev/zero"], None, 20.0).await;
        assert_eq!((output.exit, output.stdout.len()), (Some(0), OUTPUT_LIMIT));
        for redirect in ["", ">&2"] {
            let script = format!("cat /dev/zero {redirect}");
            let output = run(&["sh", "-c", &script], None, 20.0).await;
            assert_eq!(output.exit, None);
            assert!(output.stderr.ends_with(TOO_MUCH));
        }
    }
}
