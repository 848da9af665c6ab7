//! The sentences with which gluster refuses, as templates: `{}` stands for one word, `{*}` for anything.
//!
//! Templates are anchored at both ends, so that a name or a path inside a sentence can't pass for another one.

use super::Class::{Absent, Already, Busy, Refused, Unknown};
use super::Family::{
    Bitrot, Bricks, Heal, HealInfo, PeerDetach, PeerProbe, QuotaDisable, QuotaEnable, QuotaLimit,
    QuotaList, QuotaRemove, Rebalance, RebalanceStop, VolumeCreate, VolumeDelete, VolumeInfo,
    VolumeReset, VolumeSet, VolumeStart, VolumeStop,
};
use super::{Class, Family, Verdict};

/// Rules for all families.
const ANY: &[Family] = &[];
const QUOTA: &[Family] = &[QuotaLimit, QuotaRemove];
const OPTIONS: &[Family] = &[VolumeSet, VolumeReset, Family::VolumeGet];
const REBALANCE: &[Family] = &[Rebalance, RebalanceStop];

/// Families, template, class, detail: the first that fits decides.
type Rule = (&'static [Family], &'static str, Class, &'static str);

#[rustfmt::skip]
const RULES: &[Rule] = &[
    // somebody else is at it
    (ANY, "Another transaction is in progress{*}", Busy, "transaction"),
    (ANY, "Another transaction could be in progress{*}", Busy, "transaction"),
    (ANY, "Locking failed on {*}", Busy, "locking-failed"),
    (ANY, "locking failed for one of the peers{*}", Busy, "locking-failed"),
    (ANY, "Failed to acquire lock{*}", Busy, "locking-failed"),
    // it may have been done, at least somewhere
    (ANY, "{*}timed out{*}", Unknown, "timed-out"),
    (ANY, "Error through RPC layer{*}", Unknown, "rpc"),
    (ANY, "Commit Op Failed", Unknown, "commit-failed"),
    (ANY, "Commit Failed", Unknown, "commit-failed"),
    (ANY, "Brick Op Failed", Unknown, "commit-failed"),
    (ANY, "Post Validation Failed", Unknown, "commit-failed"),
    (ANY, "Unlocking failed{*}", Unknown, "unlocking-failed"),
    (ANY, "Unlock failed on peers", Unknown, "unlocking-failed"),
    (ANY, "Connection failed. Please check if quota daemon is operational", Unknown, "quotad-down"),
    (ANY, "Connection failed. Please check if gluster daemon is operational", Unknown, "glusterd-down"),
    (ANY, "{}: Not able to fetch volfile from glusterd{*}", Unknown, "no-volfile"),
    // the state of the pool forbids it
    (ANY, "Quorum not met{*}", Refused, "quorum"),
    (ANY, "Server quorum not met{*}", Refused, "quorum"),
    (ANY, "Cluster quorum is not met{*}", Refused, "quorum"),
    (ANY, "Some of the peers are down{*}", Refused, "peer-down"),
    (ANY, "One of the peers is probably down{*}", Refused, "peer-down"),
    (ANY, "One or more bricks are down{*}", Refused, "brick-down"),
    (ANY, "Host {} not connected", Refused, "peer-down"),
    (ANY, "Host {} is not connected", Refused, "peer-down"),
    (ANY, "{},is not connected at the moment", Refused, "peer-down"),
    (ANY, "{}, is not connected at the moment", Refused, "peer-down"),
    (ANY, "Host node of the brick {} is down", Refused, "peer-down"),
    (ANY, "Host node of the brick {} is not in cluster", Refused, "not-a-peer"),
    (ANY, "Host {} is not in 'Peer in Cluster' state{*}", Refused, "not-a-peer"),
    (ANY, "The cluster is operating at version {*}", Refused, "op-version"),
    (ANY, "Cannot execute command. The cluster is operating at version {*}", Refused, "op-version"),
    (ANY, "One or more nodes do not support the required op{*}version", Refused, "op-version"),
    (ANY, "LVM commands not found{*}", Refused, "no-lvm"),
    (ANY, "Pre Validation Failed", Refused, "staging-failed"),
    // volume create
    (&[VolumeCreate], "Volume {} already exists", Refused, "exists"),
    (&[VolumeCreate], "Failed to create volume files", Refused, "commit-failed"),
    (&[VolumeCreate], "Volume name{*}", Refused, "bad-name"),
    (&[VolumeCreate], "\"{}\" cannot be the name of a volume", Refused, "bad-name"),
    (&[VolumeCreate], "Not creating the volume because of bad brick order{*}", Refused, "bad-brick-order"),
    // bricks, also of volume create
    (&[VolumeCreate, Bricks], "{*} is already part of a volume", Refused, "brick-leftover"),
    (&[VolumeCreate, Bricks], "Brick: {*} not available. Brick may be containing or be contained by an existing brick{*}", Refused, "brick-in-use"),
    (&[VolumeCreate, Bricks], "Brick not available.{*}", Refused, "brick-in-use"),
    (&[VolumeCreate, Bricks], "The brick {*} is being created in the root partition{*}", Refused, "force-needed"),
    (&[VolumeCreate, Bricks], "The brick {*} is a mount point{*}", Refused, "force-needed"),
    (&[VolumeCreate, Bricks], "Multiple bricks of a {} volume are present on the same server{*}", Refused, "force-needed"),
    (&[VolumeCreate, Bricks], "Failed to create brick directory for brick {*}. Reason : No such file or directory", Refused, "parent-missing"),
    (&[VolumeCreate, Bricks], "Failed to create brick directory for brick {*}", Refused, "brick-dir-failed"),
    (&[VolumeCreate, Bricks], "The provided path {*} is not a directory", Refused, "not-a-directory"),
    (&[VolumeCreate, Bricks], "brick path {*} is too long", Refused, "path-too-long"),
    (&[VolumeCreate, Bricks], "Volume file path for volume {} and brick path {*} is too long", Refused, "path-too-long"),
    (&[VolumeCreate, Bricks], "Glusterfs is not supported on brick: {*}", Refused, "no-xattr"),
    (&[VolumeCreate, Bricks], "Incorrect number of bricks supplied {} with count {}", Refused, "bad-brick-count"),
    (&[VolumeCreate, Bricks], "Incorrect number of bricks {*} supplied for replica count {*}", Refused, "bad-brick-count"),
    (&[VolumeCreate, Bricks], "number of bricks is not a multiple of {*}", Refused, "bad-brick-count"),
    (&[VolumeCreate, Bricks], "Wrong brick type: {*}", Refused, "bad-brick"),
    (&[VolumeCreate, Bricks], "wrong brick type: {*}", Refused, "bad-brick"),
    (&[VolumeCreate, Bricks], "Found duplicate exports {*}", Refused, "bad-brick"),
    (&[VolumeCreate, Bricks], "Duplicate bricks found {*}", Refused, "bad-brick"),
    (&[VolumeCreate, Bricks], "Please provide a valid hostname/ip other than localhost{*}", Refused, "bad-brick"),
    (&[VolumeCreate], "redundancy must be {*}", Refused, "bad-redundancy"),
    (&[VolumeCreate], "disperse{*} must be greater than {*}", Refused, "bad-redundancy"),
    (&[VolumeCreate], "Disperse count{*}", Refused, "bad-redundancy"),
    (&[VolumeCreate, Bricks], "replica count should be greater than {*}", Refused, "replica-count"),
    (&[VolumeCreate, Bricks], "For arbiter configuration, {*}", Refused, "replica-count"),
    (&[Bricks], "Incorrect brick {*} for volume {}", Absent, "brick"),
    (&[Bricks], "Incorrect brick for volume {}", Absent, "brick"),
    (&[Bricks], "brick: {*} does not exist in volume: {}", Absent, "brick"),
    (&[Bricks], "No brick {*} in volume {}", Absent, "brick"),
    (&[Bricks], "remove-brick not started for volume {}", Absent, "remove-brick"),
    (&[Bricks], "No remove-brick command issued", Absent, "remove-brick"),
    (&[Bricks], "Removing bricks from replicate configuration is not allowed{*}", Refused, "replica-count"),
    (&[Bricks], "need {} for reducing replica count{*}", Refused, "replica-count"),
    (&[Bricks], "Remove exactly {} brick(s) from each subvolume", Refused, "replica-count"),
    (&[Bricks], "use 'force' option as migration is in progress", Refused, "migration-in-progress"),
    (&[Bricks], "Migration is in progress", Refused, "migration-in-progress"),
    // a volume that is not there
    (&[VolumeInfo], "Volume does not exist", Absent, "volume"),
    // start, stop, delete
    (&[VolumeStart], "Volume {} already started", Already, "started"),
    (&[VolumeStart], "Failed to find brick directory {*}", Refused, "brick-dir-missing"),
    (&[VolumeStart], "Failed to get extended attribute {*} for brick dir {*}", Refused, "brick-id"),
    (&[VolumeStart], "Volume id mismatch for brick {*}", Refused, "brick-id"),
    (&[VolumeStop], "Volume {} is not in the started state", Already, "stopped"),
    (ANY, "Volume {} is not in the started state", Refused, "not-started"),
    (ANY, "Volume {} is not started", Refused, "not-started"),
    (ANY, "Volume is not started", Refused, "not-started"),
    (ANY, "Volume is stopped, start volume {*}", Refused, "not-started"),
    (ANY, "Volume {} needs to be started{*}", Refused, "not-started"),
    (&[VolumeDelete], "Volume {} has been started.{*}", Refused, "started"),
    (&[VolumeDelete], "Cannot delete Volume {} ,as it has {} snapshots{*}", Refused, "has-snapshots"),
    (ANY, "rebalance session is in progress for the volume {*}", Refused, "migration-in-progress"),
    (ANY, "Rebalance is in progress. Please retry after completion", Refused, "migration-in-progress"),
    (ANY, "Volume name {} rebalance is in progress. Please retry after completion", Refused, "migration-in-progress"),
    // quota
    (&[QuotaEnable], "Quota is already enabled", Already, "enabled"),
    (&[QuotaDisable], "Quota is already disabled", Already, "disabled"),
    (&[QuotaDisable], "Quota is disabled, please enable quota", Already, "disabled"),
    (&[QuotaList, QuotaRemove], "Quota is disabled, please enable quota", Absent, "quota-disabled"),
    (&[QuotaList, QuotaRemove], "Quota is not enabled on volume {}", Absent, "quota-disabled"),
    (ANY, "Quota is disabled, please enable quota", Refused, "quota-disabled"),
    (ANY, "Quota is not enabled on volume {}", Refused, "quota-disabled"),
    (&[QuotaList], "{*}No quota configured on volume {}", Absent, "quota-limit"),
    (QUOTA, "Failed to get trusted.gfid attribute on path {*}. Reason : No such file or directory{*}", Absent, "directory"),
    (QUOTA, "Failed to get trusted.gfid attribute on path {*}", Refused, "aux-mount"),
    (&[QuotaRemove], "removexattr failed on {*}. Reason : No data available", Absent, "quota-limit"),
    (ANY, "Failed to start aux mount", Refused, "aux-mount"),
    (QUOTA, "Please enter an integer value in the range {*}", Refused, "bad-size"),
    (QUOTA, "Hard-limit value out of range {*}", Refused, "bad-size"),
    // options
    (OPTIONS, "option : {} does not exist{*}", Refused, "bad-option"),
    (OPTIONS, "option {} does not exist{*}", Refused, "bad-option"),
    (OPTIONS, "Option {} does not exist{*}", Refused, "bad-option"),
    (OPTIONS, "Option with name: {} does not exist{*}", Refused, "bad-option"),
    (OPTIONS, "Did you mean {*}", Refused, "bad-option"),
    (OPTIONS, "Option \"{}\" {*}", Refused, "bad-option"),
    (OPTIONS, "Not a valid option {*}", Refused, "bad-option"),
    (OPTIONS, "'gluster volume {} <VOLNAME> {*}", Refused, "bad-option"),
    (OPTIONS, "Brick-multiplexing is not enabled{*}", Refused, "bad-option"),
    (OPTIONS, "'{}' is protected. To reset use 'force'", Refused, "protected"),
    (OPTIONS, "Required op{}version ({}) is not supported{*}", Refused, "op-version"),
    (OPTIONS, "{}, required op-version = {*}", Refused, "op-version"),
    (OPTIONS, "Error, Validation Failed", Refused, "bad-value"),
    (OPTIONS, "invalid {} format {*}", Refused, "bad-value"),
    (OPTIONS, "'{*}' in 'option {*}' is {*} than {*}", Refused, "bad-value"),
    (OPTIONS, "'{*}' in 'option {*}' is out of range {*}", Refused, "bad-value"),
    (OPTIONS, "'{*}' in 'option {*}' should not be fractional value{*}", Refused, "bad-value"),
    (OPTIONS, "option {} {*}: '{*}' is not {*}", Refused, "bad-value"),
    (OPTIONS, "option {} {*}: Can not parse {*}", Refused, "bad-value"),
    (OPTIONS, "Invalid option({*}). Valid options are {*}", Refused, "bad-value"),
    (OPTIONS, "Invalid value {*}", Refused, "bad-value"),
    (OPTIONS, "One or more connected clients cannot support the feature{*}", Refused, "old-clients"),
    (&[VolumeSet], "Unable to open file '{*}'. Error: No such file or directory", Refused, "no-such-group"),
    // peers
    (&[PeerProbe], "{} is either already part of another cluster or having volumes configured", Refused, "other-cluster"),
    (&[PeerProbe], "Atleast one volume on {} conflicts with existing volumes in the cluster", Refused, "volume-conflict"),
    (&[PeerProbe], "Peer uuid (host {}) is same as local uuid", Refused, "same-uuid"),
    (&[PeerProbe], "{} responded with 'unknown peer' error{*}", Refused, "unknown-peer"),
    (&[PeerProbe], "Failed to add peer information on {}", Unknown, "add-failed"),
    (&[PeerProbe], "Probe returned with Transport endpoint is not connected", Refused, "unreachable"),
    (&[PeerProbe], "Probe returned with Connection refused", Refused, "unreachable"),
    (&[PeerProbe], "Probe returned with No route to host", Refused, "unreachable"),
    (&[PeerProbe], "Probe returned with Network is unreachable", Refused, "unreachable"),
    (&[PeerProbe], "Probe returned with {*}", Unknown, "probe-failed"),
    (&[PeerProbe], "{} is an invalid address", Refused, "bad-name"),
    (&[PeerProbe, PeerDetach], "Peer is already being detached from cluster{*}", Busy, "detaching"),
    (&[PeerDetach], "{} is localhost", Refused, "localhost"),
    (&[PeerDetach], "{} is not part of cluster", Absent, "peer"),
    (&[PeerDetach], "Peer {} hosts one or more bricks{*}", Refused, "has-bricks"),
    // rebalance, heal, bitrot
    (&[Rebalance], "Rebalance on {} is already started", Already, "started"),
    (&[Rebalance], "rebalance on volume {} already started", Already, "started"),
    (REBALANCE, "Rebalance not started for volume {}", Absent, "rebalance"),
    (REBALANCE, "Volume {} is not a distribute {*}", Refused, "not-distributed"),
    (&[Heal, HealInfo], "{*}supported for only volume{*}Volume {} is not of type {*}", Refused, "not-replicated"),
    (&[Heal, HealInfo], "Volume {} is not of type {*}", Refused, "not-replicated"),
    (&[Heal], "Launching heal operation {*} has been unsuccessful{*}", Refused, "heal-failed"),
    (&[Bitrot], "Bitrot is already enabled", Already, "enabled"),
    (&[Bitrot], "Bitrot is already disabled", Already, "disabled"),
    (&[Family::GetState], "Failed to get daemon state: Output directory {*} does not exist", Refused, "no-run-dir"),
    (&[Family::GetState], "Failed to get daemon state{*}", Refused, "other"),
    (ANY, "Failed to reconfigure barrier", Refused, "barrier-failed"),
    // anywhere at the end, since a brick's sentence may say it, too
    (&[VolumeCreate, Bricks], "{*}se 'force' at the end of the command if you want to override this behavior{*}", Refused, "force-needed"),
];

/// Sentences that say that a volume is not there; never believed of `volume create`, nor from another host.
const NO_VOLUME: &[&str] = &[
    "Volume {} does not exist",
    "Volume {} does not exists",
    "Volume {} doesn't exist",
    "Volume ({}) does not exist",
    "Volume with name: {} does not exist",
    "Volume with name: {} not exists",
    "Volume name {} does not exist",
    "Unable to get volinfo for volume name {}",
];

/// How a sentence about a phase on one host begins, and whether something may have been changed by then.
const PHASES: &[(&str, bool)] = &[
    ("Staging failed on ", false),
    ("Pre Validation failed on ", false),
    ("Pre-validation failed on ", false),
    ("Commit failed on ", true),
    ("Post commit failed on ", true),
    ("Post Validation failed on ", true),
    ("Post-validation failed on ", true),
    ("Brick Op failed on ", true),
    ("Brick ops failed on ", true),
    ("Brick op failed on ", true),
    ("Unlocking failed on ", true),
];

/// What a failure means, by its number (where there is one) and sentence.
pub(super) fn judge(family: Family, errno: Option<i64>, text: &str) -> Verdict {
    if errno == Some(30802) {
        return (Busy, "transaction");
    }
    let hosts = per_host(text);
    if !hosts.is_empty() {
        // the worst decides: possibly changed, then busy, then the first
        let verdicts: Vec<Verdict> = hosts
            .iter()
            .map(|(changed, inner)| elsewhere(family, *changed, inner))
            .collect();
        let worst = [Unknown, Busy, Refused];
        return worst
            .iter()
            .find_map(|class| verdicts.iter().find(|verdict| verdict.0 == *class))
            .copied()
            .unwrap_or((Unknown, "other"));
    }
    let text = flat(text);
    if let Some(verdict) = known(family, &text) {
        return verdict;
    }
    match (family, errno) {
        (VolumeInfo, Some(30806)) => (Absent, "volume"),
        (PeerProbe, Some(3)) => (Refused, "other-cluster"),
        (PeerProbe | PeerDetach, Some(8)) => (Refused, "quorum"),
        (PeerProbe, Some(107)) if text.is_empty() => (Refused, "unreachable"),
        // nobody said why, so nobody said when either
        _ if text.is_empty() => (Unknown, "empty"),
        _ => (Refused, "other"),
    }
}

/// The verdict of the first rule that fits, if there is one.
pub(super) fn known(family: Family, text: &str) -> Option<Verdict> {
    let text = flat(text);
    if let Some(verdict) = op_version(family, &text) {
        return Some(verdict);
    }
    if family != VolumeCreate && NO_VOLUME.iter().any(|template| fits(template, &text)) {
        return Some((Absent, "volume"));
    }
    RULES
        .iter()
        .find(|(families, template, ..)| {
            (families.is_empty() || families.contains(&family)) && fits(template, &text)
        })
        .map(|(_, _, class, detail)| (*class, *detail))
}

/// `set all cluster.op-version N` with the number in force is refused, like one below it.
fn op_version(family: Family, text: &str) -> Option<Verdict> {
    let numbers = text
        .strip_prefix("Required op-version (")?
        .split_once(") should not be equal or lower than current cluster op-version (")?;
    let have = numbers.1.strip_suffix(')')?;
    Some(if family == VolumeSet && numbers.0 == have {
        (Already, "op-version")
    } else {
        (Refused, "op-version")
    })
}

/// What a host other than the one that was asked said: never `Already` or `Absent`, since then the hosts differ.
fn elsewhere(family: Family, changed: bool, inner: &str) -> Verdict {
    if changed {
        return (Unknown, "commit-failed");
    }
    match known(family, inner) {
        // the host that was asked knows the volume, or it would have refused by itself
        Some((Absent, "volume")) => (Refused, "ghost"),
        Some((Absent | Already | Class::Ok, _)) => (Refused, "hosts-differ"),
        Some((Refused | Busy, detail)) if detail == "transaction" => (Busy, detail),
        Some(verdict @ (Refused | Busy, _)) => verdict,
        Some((Unknown, _)) | None => (Refused, "staging-failed"),
    }
}

/// `Staging failed on HOST. Error: …`, one or more, each with whether a change is possible and the host's words.
fn per_host(text: &str) -> Vec<(bool, String)> {
    let mut found: Vec<(bool, String)> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        match PHASES.iter().find(|(head, _)| line.starts_with(head)) {
            Some((head, changed)) => {
                // a host's name may have dots, but no blank
                let rest = line[head.len()..]
                    .split_once(". ")
                    .map_or("", |(_, rest)| rest);
                let words = rest.strip_prefix("Error: ").unwrap_or(rest);
                found.push((*changed, words.to_owned()));
            }
            None => match found.last_mut() {
                Some((_, words)) => {
                    words.push(' ');
                    words.push_str(line);
                }
                None if line.is_empty() => {}
                None => return Vec::new(),
            },
        }
    }
    found
}

/// On one line, without a full stop at the end.
fn flat(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.trim_end_matches(['.', ' ']).to_owned()
}

/// True if the text is the template: `{}` one word, `{*}` anything, also nothing.
fn fits(template: &str, text: &str) -> bool {
    let Some(start) = template.find('{') else {
        return template == text;
    };
    let (head, mut pattern) = template.split_at(start);
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    loop {
        let (word, after) = match pattern.strip_prefix("{}") {
            Some(after) => (true, after),
            None => (false, pattern.strip_prefix("{*}").unwrap_or(pattern)),
        };
        let end = after.find('{').unwrap_or(after.len());
        let (literal, next) = after.split_at(end);
        // the last piece must reach the end, those before it are taken where they come first
        let found = match (next.is_empty(), literal.is_empty()) {
            (true, true) => Some(text.len()),
            (true, false) => text.strip_suffix(literal).map(str::len),
            (false, _) => text.find(literal),
        };
        let Some(found) = found else {
            return false;
        };
        if word && (found == 0 || text[..found].contains(char::is_whitespace)) {
            return false;
        }
        if next.is_empty() {
            return true;
        }
        text = &text[found + literal.len()..];
        pattern = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_anchored() {
        for (template, text, want) in [
            ("Volume {} does not exist", "Volume a does not exist", true),
            ("Volume {} does not exist", "Volume  does not exist", false),
            (
                "Volume {} does not exist",
                "Volume a b does not exist",
                false,
            ),
            (
                "Volume {} does not exist",
                "Volume a does not exist in b",
                false,
            ),
            (
                "Volume {} does not exist",
                "The Volume a does not exist",
                false,
            ),
            ("Quorum not met{*}", "Quorum not met", true),
            ("Quorum not met{*}", "Quorum not met. No.", true),
            ("{*}timed out{*}", "Request timed out", true),
            (
                "Rebalance not started for volume {}",
                "Rebalance not started for volume d",
                true,
            ),
            ("a {} b {} c", "a 1 b 2 c", true),
            ("a {} b {} c", "a 1 b 2 3 c", false),
            ("a {*} b {*} c", "a 1 2 b 3 4 c", true),
            ("no gap", "no gap", true),
            ("no gap", "no gap!", false),
        ] {
            assert_eq!(fits(template, text), want, "{template} / {text}");
        }
    }

    /// Each template is written as `fits` reads it, and can be met.
    #[test]
    fn every_rule_can_be_met() {
        for (families, template, class, detail) in RULES {
            let text = template.replace("{*}", "some words").replace("{}", "word");
            let family = families.first().copied().unwrap_or(Family::Other);
            assert!(
                !template.ends_with('.'),
                "{template}: flat() takes the full stop away"
            );
            assert!(fits(template, &flat(&text)), "{template}");
            assert!(!detail.is_empty(), "{template}");
            let got = known(family, &text).unwrap();
            assert_eq!(
                got,
                (*class, *detail),
                "{template} is hidden by an earlier rule"
            );
        }
    }
}
