//! The program as a person runs it: version, exit codes, log lines.

#![allow(clippy::unwrap_used, clippy::panic)] // it is all tests

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gluster-operator"))
        .args(args)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn it_says_its_version() {
    let output = run(&["--version"]);
    let version = concat!("gluster-operator ", env!("CARGO_PKG_VERSION"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout).lines().next(), Some(version));
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    let missing = "/nonexistent/kubeconfig";
    for (args, code, says) in [
        (&["--help"][..], 0, ""),
        (&["crds"], 0, ""),
        (&[], 2, "Usage"),
        (&["--no-such-option"], 2, "--no-such-option"),
        (&["no-such-command"], 2, "no-such-command"),
        (&["plan"], 2, "-f"),
        (&["crds", "--log-format", "xml"], 2, "xml"),
        (&["crds", "--log-level", "a=b=c"], 1, "log-level"),
        (&["controller", "--kubeconfig", missing], 1, missing),
    ] {
        let output = run(args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
        assert!(
            code == 0 || output.stdout.is_empty(),
            "{args:?}: errors go to standard error"
        );
    }
}
