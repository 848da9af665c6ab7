//! `gluster-operator controller`

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;

use crate::controller;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The operator's own namespace: it holds the Secrets of clusters and the Lease
    #[arg(long, env = "POD_NAMESPACE", default_value = "gluster-operator")]
    namespace: String,
    /// A kubeconfig; otherwise as kubectl does it: KUBECONFIG, ~/.kube/config, or the pod's service account
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Where /metrics, /healthz and /readyz are served
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// The name of this process in the Lease; by default one that no other process has
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let (client, server) = super::client(args.kubeconfig.as_deref()).await?;
    let identity = args
        .identity
        .unwrap_or_else(|| format!("gluster-operator-{:016x}", rand::random::<u64>()));
    let config = controller::Config {
        namespace: args.namespace,
        identity,
        listen: args.listen,
    };
    controller::run(client, config, super::stop_signal()?)
        .await
        .with_context(|| format!("API server {server}"))
}
