//! One parser for each output that we read.

use super::model::{BrickClients, BrickFacts, DeviceFacts, QuotaView};
use super::names::{HostPath, Uuid};
use super::outcome::Output;
use thiserror::Error;

/// An answer that does not have the form that its command should give.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} gave an answer that can't be read: {why}")]
pub struct Malformed {
    /// The command.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// What [`super::operation::Operation::Survey`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Content of the owner file, trimmed; `None` when there is no such file.
    pub owner: Option<String>,
    /// `option ping-timeout` of glusterd.vol.
    pub ping_timeout: Option<u32>,
    /// The first line of `glusterfs --version`, without its first word: `10.3`.
    pub version: String,
    /// One entry for each device asked about, in order.
    pub devices: Vec<DeviceFacts>,
}
/// `Operation::Survey`: an owner file that can't be read for any other reason than being absent is an error.
pub fn survey(_outputs: &[Output], _devices: usize) -> Result<Survey, Malformed> {
    Ok(Survey::default())
}
/// `Operation::InspectBricks`: one entry for each path.
pub fn brick_facts(_outputs: &[Output], _paths: &[HostPath]) -> Vec<BrickFacts> {
    Vec::new()
}
/// `Operation::Prerequisites`: names of missing programs with their package.
pub fn missing_programs(
    _outputs: &[Output],
) -> Result<Vec<(&'static str, &'static str)>, Malformed> {
    Ok(vec![])
}
/// `quota list V /`.
pub fn quota(_output: &Output) -> QuotaView {
    QuotaView::Unknown
}
/// `volume status V clients`.
pub fn clients(_output: &Output) -> Result<Vec<BrickClients>, Malformed> {
    Ok(vec![])
}
/// `system:: uuid get`.
pub fn uuid(_output: &Output) -> Result<Uuid, Malformed> {
    Err(Malformed {
        what: "uuid",
        why: String::new(),
    })
}
