//! The `gluster` program: what the CLI does by itself, and which commands take a lock of the pool's.

use std::time::Duration;

use crate::gluster::outcome::Output;

use super::answers::{self, CLI_WAITS, Tail, done, no_daemon, text, timed_out};
use super::world::{Daemon, NOTICED_LATER, Pending, World};
use super::{Quirk, get_state};

/// `volume get all cluster.max-op-version`.
const MAX_OP_VERSION: &str = "  <cliOp>volGetopts</cliOp>\n  <volGetopts>\n    <count>1</count>\n    <Opt>\n      <Option>cluster.max-op-version</Option>\n      <Value>100000</Value>\n    </Opt>\n  </volGetopts>\n";

impl World {
    /// `gluster` with these words behind it.
    pub(super) fn gluster(&mut self, host: &str, words: &[&str], deadline: Duration) -> Output {
        let waits = words
            .iter()
            .find_map(|word| word.strip_prefix("--timeout=")?.parse().ok())
            .unwrap_or(CLI_WAITS);
        let words: Vec<String> = words
            .iter()
            .filter(|word| !word.starts_with("--"))
            .map(|word| (*word).to_owned())
            .collect();
        let plain: Vec<&str> = words.iter().map(String::as_str).collect();
        // what the CLI finds wrong by itself is never sent
        if let Some(refused) = super::create::checked_by_cli(&plain)
            .or_else(|| super::options::checked_by_cli(&plain))
            .or_else(|| super::quota::checked_by_cli(&plain))
        {
            return refused;
        }
        match self.machines.get(host).map(|machine| machine.daemon) {
            Some(Daemon::Running) => {}
            Some(Daemon::Hung) => return self.hung(&plain, waits, deadline),
            Some(Daemon::Stopped) | None => return no_daemon(),
        }
        match plain[..] {
            ["system::", "uuid", "get"] => self.uuid_get(host),
            ["get-state", "odir", directory, "file", file] => {
                let path = format!("{}/{file}", directory.trim_end_matches('/'));
                let state = get_state::render(self, host);
                match self.machines.get_mut(host) {
                    Some(machine) if machine.files.is_directory(directory) => {
                        machine.files.put(&path, &state);
                        text(0, &format!("glusterd state dumped to {path}\n"), "")
                    }
                    _ => text(
                        1,
                        "",
                        &format!(
                            "Failed to get daemon state: Output directory {directory} does not exist.\n"
                        ),
                    ),
                }
            }
            ["volume", "info", ..] => self.volume_info(host),
            ["volume", "get", "all", "cluster.max-op-version"] => done(MAX_OP_VERSION),
            ["peer", "probe", other] => self.probe(host, other),
            ["peer", "detach", other] => self.detach(host, other),
            ["volume", ..] => self.locking(host, &words, waits, deadline),
            _ => unrecognized(&plain),
        }
    }

    /// Commands that `gluster` reads from standard input: one answer after the other, without a word of whose it is.
    pub(super) fn batch(
        &mut self,
        host: &str,
        options: &[&str],
        lines: &str,
        deadline: Duration,
    ) -> Output {
        let mut all = text(0, "", "");
        for line in lines.lines() {
            let words: Vec<&str> = options
                .iter()
                .copied()
                .chain(line.split_whitespace())
                .collect();
            let one = self.gluster(host, &words, deadline);
            all.stdout += &one.stdout;
            all.stderr += &one.stderr;
            if one.exit.is_none() {
                return Output { exit: None, ..all };
            }
            if !one.stdout.starts_with("<?xml") && self.quirk(Quirk::CliErrorEndsBatch) {
                return Output {
                    exit: Some(1),
                    ..all
                };
            }
        }
        all
    }

    fn hung(&mut self, words: &[&str], waits: u64, deadline: Duration) -> Output {
        let mut output = timed_out(waits, deadline);
        if output.exit.is_some()
            && matches!(words, ["volume", "info", ..])
            && self.quirk(Quirk::HungLooksEmpty)
        {
            output.exit = Some(0);
            output.stdout += &volume_count(0);
        }
        output
    }

    fn uuid_get(&self, host: &str) -> Output {
        let uuid = self.machines.get(host).map(|machine| machine.uuid.clone());
        done(&format!(
            "  <uuidGenerate>\n    <uuid>{}</uuid>\n  </uuidGenerate>\n",
            uuid.unwrap_or_default()
        ))
    }

    fn volume_info(&self, host: &str) -> Output {
        let known = self
            .machines
            .get(host)
            .map_or(0, |machine| machine.volumes.len());
        text(0, &volume_count(known), "")
    }

    /// A command that goes through all connected peers.
    fn locking(&mut self, host: &str, words: &[String], waits: u64, deadline: Duration) -> Output {
        let volume = words.get(2).cloned().unwrap_or_default();
        if self.pending.iter().any(|pending| pending.volume == volume)
            && self.quirk(Quirk::LockStays)
        {
            return answers::locked(tail(words), &volume);
        }
        let silent = self.silent_peers(host);
        let pings = self
            .machines
            .get(host)
            .map_or(0, |machine| machine.ping_timeout);
        if pings > 0 && !silent.is_empty() {
            return self.given_up(host, &silent, pings, tail(words), waits, deadline);
        }
        if !silent.is_empty() && self.quirk(Quirk::SilentPeerHangs) {
            self.pending.push(Pending {
                volume,
                originator: host.to_owned(),
                words: words.to_vec(),
            });
            return timed_out(waits, deadline);
        }
        self.transaction(host, words)
    }

    /// A glusterd with a ping-timeout waits for silent peers so long, lets the command fail and keeps no lock, also where nobody
    /// waits for its answer any more. From then on these peers are gone for it, and commands go on without them. Measured with 10: the
    /// answer came after 15.7 s, and the next command took 0.14 s. `tests/simulated_lab.rs` does not compare this with a real pool.
    fn given_up(
        &mut self,
        host: &str,
        silent: &[String],
        pings: u32,
        tail: Tail,
        waits: u64,
        deadline: Duration,
    ) -> Output {
        let failed = |peer: &String| {
            let called = self.called(host, peer);
            format!("Locking failed on {called}. Please check log file for details.")
        };
        let words: Vec<String> = silent.iter().map(failed).collect();
        let gone: Vec<String> = silent
            .iter()
            .filter_map(|peer| Some(self.machines.get(peer)?.uuid.clone()))
            .collect();
        if let Some(machine) = self.machines.get_mut(host) {
            machine.lost.extend(gone);
        }
        let comes = Duration::from_secs(pings.into()) + NOTICED_LATER;
        if comes > deadline.min(Duration::from_secs(waits)) {
            return timed_out(waits, deadline);
        }
        answers::refused(tail, &words.join("\n"))
    }

    /// What a command does once it has its locks.
    pub(super) fn transaction(&mut self, host: &str, words: &[String]) -> Output {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["volume", "create", name, ref rest @ ..] => self.create(host, name, rest),
            ["volume", "start", name] => self.start(host, name, false),
            ["volume", "start", name, "force"] => self.start(host, name, true),
            ["volume", "stop", name] => self.stop(host, name),
            ["volume", "delete", name] => self.delete(host, name),
            ["volume", "status", name, "clients"] => self.status_clients(host, name, None),
            ["volume", "status", name, brick, "clients"] => {
                self.status_clients(host, name, Some(brick))
            }
            ["volume", "set", "all", ref pairs @ ..] => self.pool_set(host, pairs),
            ["volume", "set", name, ref pairs @ ..] => self.set(host, name, pairs),
            ["volume", "reset", "all", key] => self.pool_reset(host, key),
            ["volume", "reset", name, key] => self.reset(host, name, key),
            ["volume", "quota", name, ref rest @ ..] => self.quota(host, name, rest),
            _ => unrecognized(&words),
        }
    }

    /// Changes a volume in the stores of a host and all peers that are connected.
    pub(super) fn everywhere(
        &mut self,
        host: &str,
        name: &str,
        change: impl Fn(&mut super::world::Volume),
    ) {
        let mut hosts = self.connected_peers(host);
        hosts.push(host.to_owned());
        for host in hosts {
            let machine = self.machines.get_mut(&host);
            if let Some(volume) = machine.and_then(|machine| machine.volumes.get_mut(name)) {
                change(volume);
                volume.version += 1;
            }
        }
    }

    /// What every change of a volume needs: that this host knows it, quorum, and that all others know it.
    pub(super) fn staged(
        &mut self,
        host: &str,
        name: &str,
        tail: Tail,
    ) -> Result<super::world::Volume, Output> {
        let Some(volume) = self.known(host, name) else {
            return Err(answers::refused(
                tail,
                &format!("Volume {name} does not exist"),
            ));
        };
        if volume.server_quorum() && !self.quorate(host) && self.quirk(Quirk::ServerQuorum) {
            return Err(answers::refused(
                tail,
                "Quorum not met. Volume operation not allowed.",
            ));
        }
        Ok(volume)
    }

    pub(super) fn known(&self, host: &str, name: &str) -> Option<super::world::Volume> {
        self.machines.get(host)?.volumes.get(name).cloned()
    }

    /// The refusal of those peers that do not know a volume which this host knows.
    pub(super) fn peers_know(
        &self,
        host: &str,
        name: &str,
        phase: Phase,
        tail: Tail,
    ) -> Result<(), Output> {
        let missing: Vec<String> = self
            .connected_peers(host)
            .iter()
            .filter(|peer| self.known(peer, name).is_none())
            .map(|peer| {
                phase.failed(
                    &self.called(host, peer),
                    &format!("Volume {name} does not exist"),
                )
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(answers::refused(tail, &missing.join("\n")))
    }

    /// The name by which one host knows another.
    pub(super) fn called(&self, host: &str, other: &str) -> String {
        let uuid = self.machines.get(other).map(|other| &other.uuid);
        self.machines
            .get(host)
            .and_then(|machine| machine.peers.iter().find(|peer| Some(&peer.uuid) == uuid))
            .map_or_else(|| other.to_owned(), |peer| peer.hostname.clone())
    }
}

/// In which phase a peer says no; gluster has two engines for its transactions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    Staging,
    PreValidation,
}

impl Phase {
    pub(super) fn failed(self, host: &str, words: &str) -> String {
        match self {
            Self::Staging => format!("Staging failed on {host}. Error: {words}"),
            Self::PreValidation => format!("Pre Validation failed on {host}. {words}"),
        }
    }
}

/// How the answer of a command ends when it fails.
fn tail(words: &[String]) -> Tail {
    match words.get(1).map(String::as_str) {
        Some("set") => Tail::Set,
        Some("reset") => Tail::Reset,
        Some("quota") => Tail::Quota,
        Some("status") => Tail::Status,
        _ => Tail::Bare,
    }
}

fn volume_count(count: usize) -> String {
    let body = format!(
        "  <volInfo>\n    <volumes>\n      <count>{count}</count>\n    </volumes>\n  </volInfo>\n"
    );
    done(&body).stdout
}

fn unrecognized(words: &[&str]) -> Output {
    let word = words.last().copied().unwrap_or_default();
    let position = words.len().saturating_sub(1);
    text(
        1,
        &format!(
            "unrecognized word: {word} (position {position})\n\n Usage: gluster [options] <help> <peer> <pool> <volume>\n"
        ),
        "",
    )
}
