//! Plans against a small world in memory: whatever was cut off, planning and executing ends where the spec says, and nothing
//! is ever done on a guess.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // it is all tests

mod attach;
mod pool;
mod validate;
mod volume;
mod world;
