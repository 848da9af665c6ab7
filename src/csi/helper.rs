//! Runs small programs (`stat`, `mount`, `umount`) for everything that can block on a mount.
//!
//! A system call on a FUSE mount whose client hangs does not return, and a thread in it can't be ended. A process
//! can: each one here has a deadline and is killed at it. Arguments are a list, never a shell's line.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::process::Command;

/// Why a program did not do its work.
#[derive(Debug, Error)]
pub enum HelperError {
    /// It could not be started.
    #[error("{} can't be started: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It was killed at its deadline.
    #[error("{} gave no answer for {} s", program.display(), after.as_secs())]
    Timeout {
        /// The program.
        program: PathBuf,
        /// The deadline.
        after: Duration,
    },
    /// It ended with an error.
    #[error("{words}")]
    Failed {
        /// Its own words, cut to 300 characters.
        words: String,
    },
}

/// Runs a program to its end, and gives its standard output.
pub async fn run<A: AsRef<OsStr>>(
    program: &Path,
    args: &[A],
    deadline: Duration,
) -> Result<String, HelperError> {
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().map_err(|source| HelperError::Start {
        program: program.to_owned(),
        source,
    })?;
    // Dropping the future kills the child; the runtime reaps it, whenever the kernel lets go of it.
    let output = match tokio::time::timeout(deadline, child.wait_with_output()).await {
        Err(_) => {
            return Err(HelperError::Timeout {
                program: program.to_owned(),
                after: deadline,
            });
        }
        Ok(Err(source)) => {
            return Err(HelperError::Start {
                program: program.to_owned(),
                source,
            });
        }
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words: String = String::from_utf8_lossy(&output.stderr)
        .trim()
        .chars()
        .take(300)
        .collect();
    let words = if words.is_empty() {
        format!("{} ended with {}", program.display(), output.status)
    } else {
        words
    };
    Err(HelperError::Failed { words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_hangs_is_killed_at_its_deadline() {
        let begun = std::time::Instant::now();
        let result = run(Path::new("sleep"), &["60"], Duration::from_millis(200)).await;
        assert!(
            matches!(result, Err(HelperError::Timeout { .. })),
            "{result:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn output_and_errors_are_told_apart() {
        let second = Duration::from_secs(10);
        assert_eq!(
            run(Path::new("printf"), &["a b"], second).await.unwrap(),
            "a b"
        );
        let error = run(Path::new("stat"), &["/does/not/exist"], second)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
        let error = run(Path::new("false"), &[] as &[&str], second)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("ended with"), "{error}");
        let error = run(Path::new("/does/not/exist"), &["x"], second)
            .await
            .unwrap_err();
        assert!(matches!(error, HelperError::Start { .. }), "{error}");
    }
}
