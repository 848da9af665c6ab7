//! `gluster-operator plan`

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::controller::{Preview, Wanted, preview};

/// Nothing to do; changes; usage. A failure is 1.
const CHANGES: u8 = 3;
const USAGE: u8 = 2;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing to do, 3 there are changes, 1 it could not be told or can't be done, 2 usage."
)]
pub(super) struct Args {
    /// YAML with GlusterClusters and GlusterVolumes, `-` for standard input; may be given several times
    #[arg(short, long = "filename", required = true, num_args = 1..)]
    filename: Vec<PathBuf>,
    /// The operator's own namespace: it holds the Secrets of clusters
    #[arg(long, env = "POD_NAMESPACE", default_value = "gluster-operator")]
    operator_namespace: String,
    /// The namespace of volumes that name none
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// A kubeconfig; otherwise as kubectl does it
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// The form of the output
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let wanted = match read(&args) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("gluster-operator plan: {error:#}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let (client, server) = super::client(args.kubeconfig.as_deref()).await?;
    let previews = preview(client, &args.operator_namespace, wanted)
        .await
        .with_context(|| format!("API server {server}"))?;
    let text = match args.output {
        Output::Text => text(&previews),
        Output::Json => serde_json::to_string_pretty(&previews)? + "\n",
    };
    std::io::stdout().write_all(text.as_bytes())?;
    let stuck = |one: &Preview| one.steps.is_empty() && !one.end.is_empty();
    Ok(if previews.iter().any(stuck) {
        ExitCode::FAILURE
    } else if previews.iter().any(|one| !one.steps.is_empty()) {
        ExitCode::from(CHANGES)
    } else {
        ExitCode::SUCCESS
    })
}

/// The objects of our kinds in the files. Other kinds are named and passed over.
fn read(args: &Args) -> anyhow::Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for path in &args.filename {
        let place = path.display();
        let text = if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        } else {
            std::fs::read_to_string(path).with_context(|| format!("{place} can't be read"))?
        };
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).with_context(|| format!("{place} is not YAML"))?;
        for mut document in documents {
            let kind = document["kind"].as_str().unwrap_or_default().to_owned();
            let invalid = || format!("{place}: this {kind} can't be read");
            match kind.as_str() {
                "GlusterCluster" => wanted.push(Wanted::Cluster(
                    serde_json::from_value(document).with_context(invalid)?,
                )),
                "GlusterVolume" => {
                    let metadata = &mut document["metadata"];
                    if metadata.is_object() && metadata["namespace"].is_null() {
                        metadata["namespace"] = args.namespace.clone().into();
                    }
                    wanted.push(Wanted::Volume(
                        serde_json::from_value(document).with_context(invalid)?,
                    ));
                }
                "" if document.is_null() => {}
                "" => bail!("{place}: a document has no kind"),
                other => eprintln!("gluster-operator plan: {place}: passed over a {other}"),
            }
        }
    }
    if wanted.is_empty() {
        bail!("there is no GlusterCluster and no GlusterVolume in what was given");
    }
    Ok(wanted)
}

fn text(previews: &[Preview]) -> String {
    let mut out = String::new();
    for preview in previews {
        // writing to a string does not fail
        let _ = tell(preview, &mut out);
    }
    out
}

fn tell(preview: &Preview, out: &mut String) -> std::fmt::Result {
    let Preview {
        object, new, steps, ..
    } = preview;
    match (steps.len(), preview.end.is_empty()) {
        (0, true) => writeln!(out, "{object}: as declared, nothing to do")?,
        (0, false) => writeln!(out, "{object}: nothing can be done")?,
        (count, _) => writeln!(out, "{object}: {count} steps")?,
    }
    if *new && !steps.is_empty() {
        writeln!(
            out,
            "  (not applied yet: the 8 hex digits in the names of directories will be those of the uid that it gets)"
        )?;
    }
    for step in steps {
        writeln!(out, "  {}", step.step)?;
        for command in &step.commands {
            writeln!(out, "    {:<12} {}", command.host, command.command)?;
        }
        if !step.risk.is_empty() {
            writeln!(out, "    risk: {}", step.risk)?;
        }
        if !step.then.is_empty() {
            writeln!(out, "    then waits until {}", step.then)?;
        }
    }
    for line in &preview.end {
        let what = if steps.is_empty() {
            "because"
        } else {
            "in the end"
        };
        writeln!(out, "  {what}: {line}")?;
    }
    Ok(())
}
