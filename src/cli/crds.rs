//! `gluster-operator crds`: the CustomResourceDefinitions, generated from the types.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::api::{GlusterCluster, GlusterVolume};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write one file a kind into this directory instead
    #[arg(long)]
    output: Option<PathBuf>,
}

/// The definitions, with the file names under which they are kept in `crds/`.
pub fn definitions() -> anyhow::Result<Vec<(String, String)>> {
    [GlusterCluster::crd(), GlusterVolume::crd()]
        .iter()
        .map(|crd: &CustomResourceDefinition| {
            let name = format!("{}.yaml", crd.spec.names.plural);
            let text =
                serde_saphyr::to_string(crd).context("a definition can't be written as YAML")?;
            Ok((name, text))
        })
        .collect()
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    for (name, text) in definitions()? {
        match &args.output {
            Some(directory) => {
                let path = directory.join(name);
                std::fs::write(&path, text)
                    .with_context(|| format!("can't write {}", path.display()))?;
            }
            None => write!(std::io::stdout(), "---\n{text}")?,
        }
    }
    Ok(())
}
