//! The subcommands: arguments → configuration → wiring. The only place that reads the environment and builds
//! clients.

mod controller;
pub mod crds;
mod csi;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::telemetry::{self, LogFormat};

/// GlusterFS pools of real servers, managed from Kubernetes and mounted into pods.
#[derive(Debug, Parser)]
#[command(name = "gluster-operator", version)]
struct Args {
    /// error, warn, info, debug, trace, or a filter like info,gluster_operator=debug
    #[arg(long, global = true, env = "LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// The form of log lines, which go to standard error
    #[arg(
        long,
        global = true,
        env = "LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep GlusterClusters and GlusterVolumes as they are declared
    Controller(controller::Args),
    /// Mount volumes on one node, for the kubelet
    Csi(csi::Args),
    /// Print the CustomResourceDefinitions, or write them to a directory
    Crds(crds::Args),
}

/// Parses the command line, runs what it asks for, and turns an error into a message and an exit code.
pub fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gluster-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    telemetry::init(&args.log_level, args.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match args.command {
        Command::Crds(args) => crds::run(&args),
        Command::Csi(args) => runtime.block_on(csi::run(args)),
        Command::Controller(args) => runtime.block_on(controller::run(args)),
    }
}

/// Ends at SIGTERM or SIGINT.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + Sync + 'static> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
