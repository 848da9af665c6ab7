//! `volume set` and `volume reset`, of a volume and of the pool.

use crate::gluster::outcome::Output;

use super::Quirk;
use super::answers::{Tail, no_daemon, operation, refused, usage};
use super::gluster::Phase;
use super::option_names::{NUMBER, SIZE, SWITCH, TEXT};
use super::world::{Daemon, World};

/// Options of the pool alone.
const POOL: &[&str] = &[
    "cluster.brick-multiplex",
    "cluster.max-bricks-per-process",
    "cluster.server-quorum-ratio",
    "cluster.enable-shared-storage",
    "cluster.op-version",
    "cluster.daemon-log-level",
    "cluster.brick-graceful-cleanup",
];
/// What switches take.
const SWITCHES: &[&str] = &[
    "on", "off", "yes", "no", "true", "false", "enable", "disable", "1", "0",
];
/// From this length on a value crashes glusterd.
const TOO_LONG: usize = 4096;

/// What the CLI refuses without asking glusterd.
pub(super) fn checked_by_cli(words: &[&str]) -> Option<Output> {
    match words {
        ["volume", "set", _, pairs @ ..] if pairs.is_empty() || pairs.len() % 2 != 0 => {
            Some(usage("", "volume set <VOLNAME> group <GROUP>"))
        }
        _ => None,
    }
}

fn is_in(names: &str, key: &str) -> bool {
    names.split(' ').any(|name| name == key)
}

fn is_size(value: &str) -> bool {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &value[digits.len()..];
    digits.parse::<u64>().is_ok() && matches!(unit, "" | "B" | "KB" | "MB" | "GB" | "TB" | "PB")
}

/// Why a volume can't have this option, or this value of it.
fn wrong(key: &str, value: &str) -> Option<String> {
    let name = key.rsplit('.').next().unwrap_or(key);
    if key.starts_with("user.") {
        return None;
    }
    if matches!(key, "features.quota" | "features.inode-quota") {
        return Some(format!(
            " 'gluster volume set <VOLNAME> {key} {value}' is deprecated. Use 'gluster volume quota <VOLNAME> enable' instead."
        ));
    }
    if POOL.contains(&key) {
        return Some("Not a valid option for single volume".to_owned());
    }
    if key == "cluster.server-quorum-type" {
        return (!matches!(value, "server" | "none" | "off"))
            .then(|| "Error, Validation Failed".to_owned());
    }
    if is_in(SIZE, key) {
        return (!is_size(value))
            .then(|| format!("invalid number format \"{value}\" in option \"{name}\""));
    }
    if is_in(NUMBER, key) {
        let most = if key == "network.ping-timeout" {
            1013
        } else {
            u64::MAX
        };
        return match value.parse::<u64>() {
            Err(_) => Some(format!(
                "invalid number format \"{value}\" in option \"{name}\""
            )),
            Ok(number) if number > most => Some(format!(
                "'{value}' in 'option {name} {value}' is out of range [0 - {most}]"
            )),
            Ok(_) => None,
        };
    }
    if is_in(SWITCH, key) {
        return (!SWITCHES.contains(&value)).then(|| "Error, Validation Failed".to_owned());
    }
    (!is_in(TEXT, key)).then(|| unknown(key))
}

/// Why the pool can't have it.
fn wrong_for_pool(key: &str, value: &str, op_version: u32, multiplex: bool) -> Option<String> {
    if !POOL.contains(&key) {
        let known = [SIZE, NUMBER, SWITCH, TEXT]
            .iter()
            .any(|names| is_in(names, key));
        return Some(if known {
            "Not a valid option for all volumes".to_owned()
        } else {
            unknown(key)
        });
    }
    match key {
        "cluster.brick-multiplex" if !SWITCHES.contains(&value) => Some(format!(
            "{value} is not a valid boolean value. {key} expects a valid boolean value."
        )),
        "cluster.max-bricks-per-process" if !multiplex => Some("Brick-multiplexing is not enabled. Please enable brick multiplexing before trying to set this option.".to_owned()),
        "cluster.op-version" => match value.parse::<u32>() {
            Ok(number) if number <= op_version => Some(format!(
                "Required op-version ({number}) should not be equal or lower than current cluster op-version ({op_version})."
            )),
            _ => Some(format!(
                "Required op_version ({value}) is not supported. Max supported op version is {op_version}"
            )),
        },
        _ => None,
    }
}

fn unknown(key: &str) -> String {
    format!("option : {key} does not exist\nDid you mean nfs.acl or ...drc?")
}

impl World {
    /// The glusterd that takes a value too long dies of it.
    fn crash(&mut self, host: &str, pairs: &[&str]) -> Option<Output> {
        let too_long = pairs.iter().any(|word| word.len() >= TOO_LONG);
        if too_long && self.quirk(Quirk::LongValueCrashes) {
            if let Some(machine) = self.machines.get_mut(host) {
                machine.daemon = Daemon::Stopped;
            }
            return Some(no_daemon());
        }
        None
    }

    pub(super) fn set(&mut self, host: &str, name: &str, pairs: &[&str]) -> Output {
        if let Err(refusal) = self.staged(host, name, Tail::Set) {
            return refusal;
        }
        let pairs: Vec<(&str, &str)> = pairs
            .chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect();
        let bad = pairs.iter().find_map(|(key, value)| wrong(key, value));
        if let Some(words) = bad {
            let good: Vec<_> = pairs
                .iter()
                .filter(|(key, value)| wrong(key, value).is_none())
                .collect();
            if !good.is_empty() && !self.quirk(Quirk::SetIsAtomic) {
                self.everywhere(host, name, |volume| {
                    for (key, value) in &good {
                        volume
                            .options
                            .insert((*key).to_owned(), (*value).to_owned());
                    }
                });
            }
            return refused(Tail::Set, &words);
        }
        if let Err(refusal) = self.peers_know(host, name, Phase::Staging, Tail::Set) {
            return refusal;
        }
        let values: Vec<&str> = pairs.iter().map(|(_, value)| *value).collect();
        if let Some(dead) = self.crash(host, &values) {
            return dead;
        }
        if values.iter().any(|value| value.contains('\n')) {
            for member in [self.connected_peers(host), vec![host.to_owned()]].concat() {
                if let Some(machine) = self.machines.get_mut(&member) {
                    machine.torn = true;
                }
            }
        }
        self.everywhere(host, name, |volume| {
            for (key, value) in &pairs {
                volume
                    .options
                    .insert((*key).to_owned(), (*value).to_owned());
            }
        });
        operation("volSet", "Set volume successful")
    }

    pub(super) fn pool_set(&mut self, host: &str, pairs: &[&str]) -> Output {
        let machine = self.machines.get(host);
        let op_version = machine.map_or(0, |machine| machine.op_version);
        let multiplex = machine
            .and_then(|machine| machine.pool_options.get("cluster.brick-multiplex"))
            .is_some_and(|value| value == "on");
        let mut pairs: Vec<(&str, &str)> = pairs
            .chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect();
        if pairs.len() > 1 && self.quirk(Quirk::PoolSetTakesFirst) {
            pairs.truncate(1);
        }
        if let Some(words) = pairs
            .iter()
            .find_map(|(key, value)| wrong_for_pool(key, value, op_version, multiplex))
        {
            return refused(Tail::Set, &words);
        }
        for member in [self.connected_peers(host), vec![host.to_owned()]].concat() {
            if let Some(machine) = self.machines.get_mut(&member) {
                for (key, value) in &pairs {
                    machine
                        .pool_options
                        .insert((*key).to_owned(), (*value).to_owned());
                }
            }
        }
        operation("volSet", "Set volume successful")
    }

    /// One that is not set is reset without a complaint.
    pub(super) fn pool_reset(&mut self, host: &str, key: &str) -> Output {
        if !POOL.contains(&key) {
            return refused(
                Tail::Reset,
                &format!("Option {key} does not exist\nDid you mean nfs.acl or ...drc?"),
            );
        }
        for member in [self.connected_peers(host), vec![host.to_owned()]].concat() {
            if let Some(machine) = self.machines.get_mut(&member) {
                machine.pool_options.remove(key);
            }
        }
        operation("volReset", "reset volume successful")
    }

    pub(super) fn reset(&mut self, host: &str, name: &str, key: &str) -> Output {
        if let Err(refusal) = self.staged(host, name, Tail::Reset) {
            return refusal;
        }
        if matches!(key, "features.quota" | "features.inode-quota") {
            return refused(
                Tail::Reset,
                &format!(
                    "'gluster volume reset <VOLNAME> {key}' is deprecated. Use 'gluster volume quota <VOLNAME> disable' instead."
                ),
            );
        }
        let of_user = key.starts_with("user.");
        let known = key == "cluster.server-quorum-type"
            || [SIZE, NUMBER, SWITCH, TEXT]
                .iter()
                .any(|names| is_in(names, key));
        if (of_user && self.quirk(Quirk::UserOptionStays)) || (!of_user && !known) {
            return refused(
                Tail::Reset,
                &format!("Option {key} does not exist\nDid you mean nfs.acl or ...drc?"),
            );
        }
        if let Err(refusal) = self.peers_know(host, name, Phase::Staging, Tail::Reset) {
            return refusal;
        }
        // its default is set anew at once
        if key != "nfs.disable" {
            self.everywhere(host, name, |volume| {
                volume.options.remove(key);
            });
        }
        operation("volReset", "reset volume successful")
    }
}
