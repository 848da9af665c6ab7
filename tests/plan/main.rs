//! Plans against a small world in memory: whatever was cut off, planning and executing ends where the spec says, and nothing
//! is ever done on a guess.

#![allow(clippy::needless_pass_by_value)] // so that json! can stand in the call

mod attach;
mod expect;
mod place;
mod pool;
mod quota;
mod state;
mod trash;
mod upkeep;
mod validate;
mod volume;
mod world;
