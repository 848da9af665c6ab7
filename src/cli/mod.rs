//! The subcommands: arguments → configuration → wiring. The only place that reads the environment and builds
//! clients.

pub mod crds;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// GlusterFS pools of real servers, managed from Kubernetes and mounted into pods.
#[derive(Debug, Parser)]
#[command(name = "gluster-operator", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the CustomResourceDefinitions, or write them to a directory
    Crds(crds::Args),
}

/// Parses the command line, runs what it asks for, and turns an error into a message and an exit code.
pub fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Crds(args) => crds::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gluster-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
