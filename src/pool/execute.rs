//! Taking steps.

use std::time::{Duration, Instant};

use futures::future::join_all;
use thiserror::Error;
use tracing::{info, warn};

use crate::gluster::names::{ALLOW_NOBODY, ALLOW_OPTION, HostName, OptionKey, OptionValue};
use crate::gluster::operation::{Gluster, Operation};
use crate::gluster::outcome::{Class, Outcome, Output, classify};
use crate::host::HostError;
use crate::plan::step::{BrickPlace, Step};

use super::{Pool, Unsettled};

/// How often a command is repeated at once when somebody else's transaction is in the way, and how long it waits before.
const BUSY_TRIES: u32 = 4;
const BUSY_PAUSE: Duration = Duration::from_millis(300);

/// A step that was not done, or not seen to be done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{host}: `{command}`: {words}")]
pub struct StepFailure {
    /// What was under way, in words.
    pub step: String,
    /// Where.
    pub host: HostName,
    /// What was run, as a person would type it.
    pub command: String,
    /// What may be concluded.
    pub class: Class,
    /// Why, as a fixed word.
    pub detail: &'static str,
    /// The program's own words.
    pub words: String,
}

impl Pool {
    /// Takes a step. Commands that change the pool run on `coordinator`.
    pub async fn execute(&self, step: &Step, coordinator: &HostName) -> Result<(), StepFailure> {
        let started = Instant::now();
        let result = self.take(step, coordinator).await;
        match &result {
            Ok(()) => info!(
                step = step.describe(),
                seconds = started.elapsed().as_secs_f64(),
                "done"
            ),
            Err(failure) => warn!(step = step.describe(), %failure, "not done"),
        }
        result
    }

    async fn take(&self, step: &Step, coordinator: &HostName) -> Result<(), StepFailure> {
        let lane = if step.restarts_daemons() {
            self.lane.acquire().await.ok()
        } else {
            None
        };
        let gluster = |command| self.gluster(step, coordinator, command);
        let result = match step.clone() {
            Step::ClaimHost {
                host,
                owner,
                replace,
            } => {
                self.plain(step, &host, Operation::ClaimHost { owner, replace })
                    .await
            }
            Step::ReleaseHost { host } => self.plain(step, &host, Operation::ReleaseHost).await,
            Step::ProbePeer { host } => gluster(Gluster::Probe(host)).await,
            Step::SetPoolOptions(options) => {
                let mut result = Ok(());
                for (key, value) in options {
                    let one = gluster(Gluster::PoolSet(key, value)).await;
                    // a refused one is no reason to leave out the others; anything else meets them, too
                    let stop = matches!(&one, Err(failure) if failure.class != Class::Refused);
                    result = result.and(one);
                    if stop {
                        break;
                    }
                }
                result
            }
            Step::MakeBricks { places, mark } => {
                let make = |place: BrickPlace| {
                    let BrickPlace {
                        host,
                        device,
                        parent,
                        path,
                    } = place;
                    (
                        host,
                        Operation::MakeBrick {
                            device,
                            parent,
                            path,
                            mark: mark.clone(),
                        },
                    )
                };
                self.everywhere(step, places.into_iter().map(make).collect())
                    .await
            }
            Step::MarkBricks { bricks, mark } => {
                let mark_one = |brick: crate::gluster::names::Brick| {
                    (
                        brick.host,
                        Operation::MarkBrick {
                            path: brick.path,
                            mark: mark.clone(),
                        },
                    )
                };
                self.everywhere(step, bricks.into_iter().map(mark_one).collect())
                    .await
            }
            Step::CreateVolume {
                volume,
                shape,
                bricks,
            } => {
                gluster(Gluster::Create {
                    volume,
                    shape,
                    bricks,
                })
                .await
            }
            Step::SetOptions {
                volume,
                options,
                each,
            } => {
                let result = gluster(Gluster::Set(volume.clone(), options.clone())).await;
                match result {
                    // one bad option spoils the whole command: the others are set one by one
                    Err(failure)
                        if each && failure.class == Class::Refused && options.len() > 1 =>
                    {
                        let mut last = Ok(());
                        for (key, value) in options {
                            let one =
                                gluster(Gluster::Set(volume.clone(), [(key, value)].into())).await;
                            last = last.and(one);
                        }
                        last
                    }
                    result => result,
                }
            }
            Step::ResetOption { volume, key } => gluster(Gluster::Reset(volume, key)).await,
            Step::StartVolume(volume) => gluster(Gluster::Start(volume)).await,
            Step::StartBricks(volume) => {
                let result = gluster(Gluster::StartBricks(volume.clone())).await;
                if result.is_ok() {
                    let now = Instant::now();
                    self.memory().brick_starts.insert(volume, now);
                }
                result
            }
            Step::EnableQuota(volume) => gluster(Gluster::QuotaEnable(volume)).await,
            Step::LimitUsage(volume, bytes) => gluster(Gluster::QuotaLimit(volume, bytes)).await,
            Step::RemoveLimit(volume) => gluster(Gluster::QuotaRemove(volume)).await,
            Step::Fence { volume, .. } => match allow(ALLOW_NOBODY) {
                Some(option) => gluster(Gluster::Set(volume, [option].into())).await,
                None => Ok(()),
            },
            Step::Admit {
                volume, addresses, ..
            } => match allow(addresses.as_str()) {
                Some(option) => gluster(Gluster::Set(volume, [option].into())).await,
                None => Ok(()),
            },
            Step::WriteManifest {
                places,
                name,
                manifest,
            } => {
                let mut operations = Vec::new();
                for place in places {
                    if let Ok(file) = format!("{}.json", place.trash(&name)).parse() {
                        operations.push((
                            place.host,
                            Operation::WriteManifest {
                                device: place.device,
                                file,
                                manifest: manifest.clone(),
                            },
                        ));
                    }
                }
                self.everywhere(step, operations).await
            }
            Step::StopVolume(volume) => gluster(Gluster::Stop(volume)).await,
            Step::DeleteVolume(volume) => gluster(Gluster::Delete(volume)).await,
            Step::TrashBricks { places, name } => {
                let mut operations = Vec::new();
                for place in places {
                    if let Ok(trash) = place.trash(&name).parse() {
                        operations.push((
                            place.host,
                            Operation::TrashBrick {
                                device: place.device,
                                parent: place.parent,
                                trash,
                            },
                        ));
                    }
                }
                self.everywhere(step, operations).await
            }
        };
        drop(lane);
        result
    }

    /// One command for glusterd, repeated a few times while somebody else's transaction is in the way.
    async fn gluster(
        &self,
        step: &Step,
        host: &HostName,
        command: Gluster,
    ) -> Result<(), StepFailure> {
        let operation = Operation::Gluster(command.clone());
        for attempt in 1.. {
            let sent = Instant::now();
            let outcome = match self.perform(host, &operation).await {
                Ok(outputs) => match outputs.last() {
                    Some(output) => classify(command.family(), output),
                    None => unknown("nothing came back"),
                },
                // nothing was run
                Err(error) => return Err(unreachable(step, &command.typed(), &error)),
            };
            if outcome.is_done() {
                return Ok(());
            }
            if outcome.class == Class::Unknown {
                let what = format!(
                    "the result of `{}` on {host} is not known ({})",
                    command.typed(),
                    outcome.message
                );
                self.memory()
                    .unsettled
                    .insert(command.lock().to_owned(), Unsettled { what, since: sent });
            }
            if outcome.class == Class::Busy && attempt < BUSY_TRIES {
                let jitter = rand::random_range(0..300);
                tokio::time::sleep(BUSY_PAUSE * attempt + Duration::from_millis(jitter)).await;
                continue;
            }
            return Err(StepFailure {
                step: step.describe(),
                host: host.clone(),
                command: command.typed(),
                class: outcome.class,
                detail: outcome.detail,
                words: outcome.message,
            });
        }
        Ok(())
    }

    async fn perform(
        &self,
        host: &HostName,
        operation: &Operation,
    ) -> Result<Vec<Output>, HostError> {
        match self.hosts.get(host) {
            Some(host) => host.perform(operation).await,
            None => Err(HostError {
                host: host.clone(),
                address: String::new(),
                kind: crate::gluster::model::SilentKind::Unreachable,
                why: "is not listed in spec.nodes".into(),
            }),
        }
    }

    /// Programs other than gluster: done means that each exited with 0.
    async fn plain(
        &self,
        step: &Step,
        host: &HostName,
        operation: Operation,
    ) -> Result<(), StepFailure> {
        let commands = operation.commands();
        let outputs = self
            .perform(host, &operation)
            .await
            .map_err(|error| unreachable(step, operation.name(), &error))?;
        let bad = outputs
            .iter()
            .zip(&commands)
            .find(|(output, _)| output.exit != Some(0));
        let (class, words, command) = match bad {
            None if outputs.len() == commands.len() => return Ok(()),
            None => (
                Class::Unknown,
                "not every command was run".to_owned(),
                operation.name().to_owned(),
            ),
            Some((output, command)) => {
                let words = match (output.exit, output.stderr.trim()) {
                    (None, _) => "its result is not known".to_owned(),
                    (Some(code), "") => format!("exit code {code}"),
                    (Some(_), text) => text.chars().take(300).collect(),
                };
                (
                    if output.exit.is_none() {
                        Class::Unknown
                    } else {
                        Class::Refused
                    },
                    words,
                    command.argv.join(" "),
                )
            }
        };
        Err(StepFailure {
            step: step.describe(),
            host: host.clone(),
            command,
            class,
            detail: "",
            words,
        })
    }

    async fn everywhere(
        &self,
        step: &Step,
        operations: Vec<(HostName, Operation)>,
    ) -> Result<(), StepFailure> {
        let all = operations
            .into_iter()
            .map(|(host, operation)| async move { self.plain(step, &host, operation).await });
        join_all(all).await.into_iter().collect()
    }
}

fn allow(value: &str) -> Option<(OptionKey, OptionValue)> {
    Some((ALLOW_OPTION.parse().ok()?, value.parse().ok()?))
}

fn unknown(message: &str) -> Outcome {
    Outcome {
        class: Class::Unknown,
        detail: "",
        message: message.into(),
    }
}

fn unreachable(step: &Step, command: &str, error: &HostError) -> StepFailure {
    StepFailure {
        step: step.describe(),
        host: error.host.clone(),
        command: command.into(),
        class: Class::Busy,
        detail: "unreachable",
        words: error.why.clone(),
    }
}
