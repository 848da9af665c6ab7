//! The subcommands: arguments → configuration → wiring. The only place that reads the environment and builds
//! clients.

mod controller;
pub mod crds;
mod csi;
mod plan;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
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
    /// Tell what applying files would do, command by command, without doing it
    Plan(plan::Args),
    /// Print the CustomResourceDefinitions, or write them to a directory
    Crds(crds::Args),
}

/// Parses the command line, runs what it asks for, and turns an error into a message and an exit code.
pub fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gluster-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<ExitCode> {
    telemetry::init(&args.log_level, args.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match args.command {
        Command::Crds(args) => crds::run(&args)?,
        Command::Csi(args) => runtime.block_on(csi::run(args))?,
        Command::Controller(args) => runtime.block_on(controller::run(args))?,
        Command::Plan(args) => return runtime.block_on(plan::run(args)),
    }
    Ok(ExitCode::SUCCESS)
}

/// A client for the API server, of that kubeconfig or as kubectl finds it; and the server's address, for messages.
async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<(Client, String)> {
    let config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("--kubeconfig {}", path.display()))?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .context("--kubeconfig")?
        }
        None => Config::infer()
            .await
            .context("no kubeconfig was found, and this is no pod; use --kubeconfig")?,
    };
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).with_context(|| format!("can't talk to {server}"))?;
    Ok((client, server))
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
