//! Parser of the file that `get-state` writes.

use super::model::GlusterdState;
use super::outcome::Output;
use super::output::Malformed;

/// Parses the answers of [`super::operation::Operation::State`].
pub fn state(_outputs: &[Output]) -> Result<GlusterdState, Malformed> {
    Ok(GlusterdState::default())
}
