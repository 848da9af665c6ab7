//! The binary: parses its arguments and runs.
fn main() {}
