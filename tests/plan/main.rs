//! Plans against a small world in memory: whatever was cut off, planning and executing ends where the spec says, and nothing
//! is ever done on a guess.

mod attach;
mod pool;
mod validate;
mod volume;
mod world;
