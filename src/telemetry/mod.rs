//! Logs: to standard error, as text or JSON lines.

use clap::ValueEnum;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A log level that can't be used.
#[derive(Debug, Error)]
#[error(
    "--log-level {level:?} is not valid: {why}; write error, warn, info, debug, trace, or a filter like info,gluster_operator=debug"
)]
pub struct BadLevel {
    level: String,
    why: String,
}

/// Starts logging. A second call in a process changes nothing.
pub fn init(level: &str, format: LogFormat) -> Result<(), BadLevel> {
    let filter = EnvFilter::try_new(level).map_err(|error| BadLevel {
        level: level.to_owned(),
        why: error.to_string(),
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // an error means that logging has been started before
    let _ = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}
