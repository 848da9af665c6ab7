//! `gluster-operator csi`

use std::path::PathBuf;

use crate::csi;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The Kubernetes node that this runs on
    #[arg(long, env = "NODE_NAME")]
    node_name: String,
    /// Where the kubelet finds the plugin
    #[arg(long, env = "CSI_ENDPOINT", default_value = "unix:///csi/csi.sock")]
    endpoint: String,
    /// The kubelet's directory, the same path inside and outside of the container
    #[arg(long, default_value = "/var/lib/kubelet")]
    kubelet_dir: PathBuf,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let config = csi::Config::new(args.node_name, &args.endpoint, args.kubelet_dir)?;
    Ok(csi::serve(config, super::stop_signal()?).await?)
}
