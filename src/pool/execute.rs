//! Taking steps.

use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use thiserror::Error;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::gluster::model::HostFacts;
use crate::gluster::names::{HostName, OptionKey, OptionValue, VolumeName};
use crate::gluster::operation::{Gluster, Operation, SLICE_OVER_EXIT};
use crate::gluster::outcome::{Class, Outcome, Output, classify};
use crate::gluster::output;
use crate::host::HostError;
use crate::plan::step::Step;

use super::commands::operations;
use super::lane::{Ports, Waits};
use super::{LISTING_PATIENCE, Pool, Unsettled};

/// How often a command is repeated at once when somebody else's transaction is in the way, and how long it waits before.
pub(super) const BUSY_TRIES: u32 = 4;
pub(super) const BUSY_PAUSE: Duration = Duration::from_millis(300);

/// How long a host is waited for that is to tell of its ports: the next in the lane wait, too.
const PORTS_PATIENCE: Duration = Duration::from_secs(2);

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

/// Whether what a step was planned from still holds; asked right before each command is sent.
pub type Leave<'a> = &'a (dyn Fn() -> BoxFuture<'a, bool> + Send + Sync);

/// The detail of a step that was not gone on with, since its [`Leave`] was gone.
const WITHDRAWN: &str = "withdrawn";

impl StepFailure {
    /// True when what the step was planned from did not hold any more, so that nothing was sent.
    pub fn is_withdrawn(&self) -> bool {
        self.detail == WITHDRAWN
    }
}

impl Pool {
    /// Takes a step. Commands that change the pool run on `coordinator`.
    pub async fn execute(&self, step: &Step, coordinator: &HostName) -> Result<(), StepFailure> {
        self.execute_while(step, coordinator, &|| Box::pin(async { true }))
            .await
    }

    /// The same for as long as `leave` holds. It is asked right before each command, when all that had to be waited for is over: other
    /// steps of the lane, somebody else's transaction.
    pub async fn execute_while(
        &self,
        step: &Step,
        coordinator: &HostName,
        leave: Leave<'_>,
    ) -> Result<(), StepFailure> {
        let started = Instant::now();
        let result = self.take(step, coordinator, leave).await;
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

    async fn take(
        &self,
        step: &Step,
        coordinator: &HostName,
        leave: Leave<'_>,
    ) -> Result<(), StepFailure> {
        let _on_its_way = self.ledger.lane.under(step);
        let ports = || Box::pin(self.ports(step)) as BoxFuture<'_, Ports>;
        let turn = self.ledger.lane.enter(step, &ports).await;
        let _turn = turn.map_err(|why| not_sent(step, coordinator, why.to_string()))?;
        // whoever is asked for leave to detach a peer looks at all volumes: none is made between that look and the command
        let _making = match step {
            Step::CreateVolume { .. } => Some(self.ledger.members.read().await),
            _ => None,
        };
        let _detaching = match step {
            Step::DetachPeer { .. } => {
                let alone = self.ledger.members.try_write();
                let why = "not sent: a volume is being made";
                Some(alone.map_err(|_| not_sent(step, coordinator, why.into()))?)
            }
            _ => None,
        };
        let (mut commands, mut plain) = (Vec::new(), Vec::new());
        let operations = operations(step, coordinator);
        if operations.is_empty() {
            return Err(StepFailure {
                step: step.describe(),
                host: coordinator.clone(),
                command: String::new(),
                class: Class::Refused,
                detail: "",
                words: "there is no command for it: a path in it is too long".into(),
            });
        }
        for (host, operation) in operations {
            match operation {
                Operation::Gluster(command) => commands.push((host, command)),
                operation => plain.push((host, operation)),
            }
        }
        let mut result = self.in_turn(step, commands, leave).await;
        if let Some((host, operation)) = plain.first().filter(|_| result.is_ok())
            && !leave().await
        {
            result = Err(withdrawn(step, host, operation.name()));
        } else {
            result = result.and(self.everywhere(step, plain).await);
        }
        if let (
            Step::SetOptions {
                volume,
                options,
                each: true,
            },
            Err(failure),
        ) = (step, &result)
            && failure.class == Class::Refused
            && options.len() > 1
        {
            // one bad option spoils the whole command: the others are set one by one
            let set = |(key, value): (&OptionKey, &OptionValue)| {
                let one = [(key.clone(), value.clone())].into();
                (coordinator.clone(), Gluster::Set(volume.clone(), one))
            };
            let each = options.iter().map(set).collect();
            result = self.in_turn(step, each, leave).await;
        }
        if let (Step::CreateVolume { volume, .. }, Ok(())) = (step, &result) {
            self.memory().steadiness.made(volume.as_str());
        }
        if let (Step::LimitUsage(volume, limit), Ok(())) = (step, &result) {
            self.memory().limits.insert(volume.clone(), *limit);
        }
        if let (Step::StartBricks(volume), Ok(())) = (step, &result) {
            let now = Instant::now();
            let mut memory = self.memory();
            let entry = memory.brick_starts.entry(volume.clone());
            let (last, times) = entry.or_insert((now, 0));
            *last = now;
            *times = times.saturating_add(1);
        }
        result
    }

    /// What keeps a step of that volume, which is under way, from being taken at once.
    pub fn waits(&self, volume: &VolumeName) -> Option<Waits> {
        self.ledger.lane.waits(volume)
    }

    /// What is known of ports below 1024: bricks of closed volumes as they were last seen, and with those whose quota was, or is to be, switched
    /// on since; and where there are such, what the hosts say that is taken.
    async fn ports(&self, step: &Step) -> Ports {
        let Some(latest) = self.seen().latest.clone() else {
            return Ports::default();
        };
        let new = match step {
            Step::EnableQuota(volume) => Some(volume.as_str()),
            _ => None,
        };
        let of_host = |facts: &HostFacts| {
            let volumes = &facts.state.volumes;
            let closed = volumes.iter().filter(|volume| volume.is_privileged());
            closed.fold(Ports::default(), |sum, volume| {
                let bricks = volume.bricks.len();
                let limited = volume.quota_enabled()
                    || new == Some(volume.name.as_str())
                    || self.ledger.lane.is_limited(&volume.name);
                Ports {
                    taken: None,
                    closed: sum.closed + bricks,
                    limited: sum.limited + if limited { bricks } else { 0 },
                }
            })
        };
        let hosts = latest.view.answered().map(|(_, facts)| of_host(facts));
        let ports = hosts.max_by_key(|ports| ports.closed).unwrap_or_default();
        if ports.limited == 0 {
            return ports;
        }
        let hosts = latest.view.answered();
        let counts: Vec<_> = hosts.map(|(name, _)| self.taken_ports(name)).collect();
        Ports {
            taken: join_all(counts).await.into_iter().flatten().max(),
            ..ports
        }
    }

    /// How many ports below 1024 are taken on a host, if it tells soon.
    async fn taken_ports(&self, name: &HostName) -> Option<(usize, HostName)> {
        let host = self.hosts.get(name)?;
        let answer = timeout(PORTS_PATIENCE, host.perform(&Operation::LowPorts));
        let taken = output::low_ports(&answer.await.ok()?.ok()?)?;
        Some((taken, name.clone()))
    }

    fn remember_write(&self, command: &Gluster) {
        let (now, lock) = (Instant::now(), command.lock().to_owned());
        let mut memory = self.memory();
        if let Gluster::QuotaEnable(volume)
        | Gluster::QuotaLimit(volume, _)
        | Gluster::QuotaRemove(volume)
        | Gluster::Delete(volume) = command
        {
            memory.limits.remove(volume);
        }
        if command.is_seen() {
            memory.changed.insert(lock.clone(), now);
        }
        // `volume set` changes no limit: what was told of it holds
        if !matches!(command, Gluster::Set(..)) {
            memory.written.insert(lock, now);
        }
    }

    /// Commands for glusterd, one after the other. One that is refused is no reason to leave out the others; anything else meets them,
    /// too.
    async fn in_turn(
        &self,
        step: &Step,
        commands: Vec<(HostName, Gluster)>,
        leave: Leave<'_>,
    ) -> Result<(), StepFailure> {
        let mut result = Ok(());
        for (host, command) in commands {
            let one = self.gluster(step, &host, command, leave).await;
            if matches!(&one, Err(failure) if failure.class != Class::Refused) {
                return one;
            }
            result = result.and(one);
        }
        result
    }

    /// One command for glusterd, repeated a few times while somebody else's transaction is in the way.
    async fn gluster(
        &self,
        step: &Step,
        host: &HostName,
        command: Gluster,
        leave: Leave<'_>,
    ) -> Result<(), StepFailure> {
        let operation = Operation::Gluster(command.clone());
        let mut attempt = 0;
        loop {
            attempt += 1;
            // who lists may wait for a brick that hangs; its locks are short
            let listing = timeout(LISTING_PATIENCE, self.ledger.listing.read()).await;
            if !leave().await {
                return Err(withdrawn(step, host, &command.typed()));
            }
            let sent = Instant::now();
            let answer = self.perform(host, &operation).await;
            drop(listing);
            let outcome = match answer {
                Ok(outputs) => match outputs.last() {
                    Some(output) => classify(command.family(), output),
                    None => unknown("nothing came back"),
                },
                // nothing was run
                Err(error) => return Err(unreachable(step, &command.typed(), &error)),
            };
            self.remember_write(&command);
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
        let over = bad.is_some_and(|(output, command)| {
            output.exit == Some(SLICE_OVER_EXIT)
                && command.argv.first().map(String::as_str) == Some("timeout")
        });
        let (class, words, command) = match bad {
            None if outputs.len() == commands.len() => return Ok(()),
            // there was much to do, and a part of it is done
            Some((_, command)) if over => (
                Class::Busy,
                "a part is done, the rest follows".to_owned(),
                command.argv.join(" "),
            ),
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
            detail: if over { "slice-over" } else { "" },
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

fn unknown(message: &str) -> Outcome {
    Outcome {
        class: Class::Unknown,
        detail: "",
        message: message.into(),
    }
}

/// A step that has to wait for something that is not in sight.
fn not_sent(step: &Step, coordinator: &HostName, why: String) -> StepFailure {
    let command = |(_, operation)| match operation {
        Operation::Gluster(command) => Some(command.typed()),
        _ => None,
    };
    let mut commands = operations(step, coordinator).into_iter();
    StepFailure {
        step: step.describe(),
        host: coordinator.clone(),
        command: commands.find_map(command).unwrap_or_default(),
        class: Class::Busy,
        detail: "",
        words: why,
    }
}

fn withdrawn(step: &Step, host: &HostName, command: &str) -> StepFailure {
    StepFailure {
        step: step.describe(),
        host: host.clone(),
        command: command.into(),
        class: Class::Busy,
        detail: WITHDRAWN,
        words: "not sent: what it was planned from does not hold any more".into(),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::gluster::names::Brick;
    use crate::gluster::operation::SetShape;
    use crate::host::Host;
    use crate::host::simulated::{Fault, SimulatedPool};

    fn one_host() -> (SimulatedPool, Pool, HostName) {
        let name: HostName = "n1".parse().unwrap();
        let simulated = SimulatedPool::new(1, std::slice::from_ref(&name), &"/b".parse().unwrap());
        let host: Arc<dyn Host> = Arc::new(simulated.host(&name));
        let pool = Pool::new(vec![(host, vec![])], "x".parse().unwrap());
        (simulated, pool, name)
    }

    fn one_by_one(keys: [&str; 2]) -> Step {
        let option = |key: &str| (key.parse().unwrap(), "16".parse().unwrap());
        Step::SetOptions {
            volume: "a".parse().unwrap(),
            options: keys.map(option).into(),
            each: true,
        }
    }

    #[tokio::test]
    async fn a_step_whose_leave_is_gone_asks_for_it_no_more() {
        let (_, pool, name) = one_host();
        let keys = ["performance.cache-size", "performance.io-thread-count"];
        let pool_wide = match one_by_one(keys) {
            Step::SetOptions { options, .. } => Step::SetPoolOptions(options),
            step => step,
        };
        for step in [one_by_one(keys), pool_wide] {
            let asked = AtomicUsize::new(0);
            let leave: Leave<'_> = &|| {
                asked.fetch_add(1, Ordering::SeqCst);
                Box::pin(async { false })
            };
            let failure = pool.execute_while(&step, &name, leave).await.unwrap_err();
            assert!(failure.is_withdrawn(), "{failure}");
            assert_eq!(asked.load(Ordering::SeqCst), 1, "{}", step.describe());
        }
    }

    #[tokio::test]
    async fn options_are_not_sent_one_by_one_to_a_host_that_is_gone() {
        let (simulated, pool, name) = one_host();
        pool.observe(Instant::now()).await;
        let create = Step::CreateVolume {
            volume: "a".parse().unwrap(),
            shape: SetShape::Distribute,
            bricks: vec![Brick {
                host: name.clone(),
                path: "/b/a".parse().unwrap(),
            }],
        };
        pool.execute(&create, &name).await.unwrap();
        let step = one_by_one(["no.such-option", "no.such-option-either"]);
        let asked = AtomicUsize::new(0);
        let leave: Leave<'_> = &|| {
            // all of them at once, which is refused, then the first
            if asked.fetch_add(1, Ordering::SeqCst) == 1 {
                simulated.fault(&name, Fault::Kill);
            }
            Box::pin(async { true })
        };
        let failure = pool.execute_while(&step, &name, leave).await.unwrap_err();
        assert_eq!(failure.detail, "unreachable", "{failure}");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}
