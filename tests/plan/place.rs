//! Where bricks go.
