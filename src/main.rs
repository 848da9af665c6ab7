//! The binary: parses its arguments and runs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gluster_operator::csi;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves CSI on a node
    Csi {
        /// The Kubernetes node
        #[arg(long, env = "NODE_NAME")]
        node_name: String,
        /// Where to listen
        #[arg(long, default_value = "unix:///csi/csi.sock")]
        endpoint: String,
        /// The kubelet's directory
        #[arg(long, default_value = "/var/lib/kubelet")]
        kubelet_dir: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let Command::Csi {
        node_name,
        endpoint,
        kubelet_dir,
    } = args.command;
    let config = csi::Config::new(node_name, &endpoint, kubelet_dir)?;
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let shutdown = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    };
    Ok(csi::serve(config, shutdown).await?)
}
