//! The binary: parses its arguments and runs.

fn main() -> std::process::ExitCode {
    gluster_operator::cli::main()
}
