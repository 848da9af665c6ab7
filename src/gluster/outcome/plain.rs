//! Answers that are not XML: of commands that have none, of a CLI that refuses by itself, of no glusterd at all.

use super::Class::{Absent, Already, Ok, Refused, Unknown};
use super::Family::{
    GetState, HealInfo, PeerProbe, PeerStatus, PoolList, QuotaList, Rebalance, SystemUuid,
    VolumeGet, VolumeInfo, VolumeList, VolumeStatus,
};
use super::{Family, Output, Verdict, sentences};

/// What `--timeout` or the 120 s of gluster's own end with.
const TIMED_OUT: &str = "Error : Request timed out";

/// What a text means, with the exit status that came with it.
pub(super) fn judge(family: Family, exit: i32, output: &Output) -> Verdict {
    let (stdout, stderr) = (output.stdout.trim(), output.stderr.trim());
    let has_line = |wanted: &str| {
        stdout
            .lines()
            .chain(stderr.lines())
            .any(|line| line.trim() == wanted)
    };
    if has_line(TIMED_OUT) {
        return (
            Unknown,
            if stdout.contains("<?xml") {
                "lying-info"
            } else {
                "timed-out"
            },
        );
    }
    if stdout.contains("<?xml") {
        return (Unknown, "torn");
    }
    if stdout.is_empty()
        && exit != 0
        && let Some(verdict) = never_ran(exit, stderr)
    {
        return verdict;
    }
    if stdout.is_empty() && stderr.is_empty() {
        return (Unknown, "empty");
    }
    if exit == 0 {
        success(family, stdout, stderr)
    } else {
        failure(family, stdout, stderr)
    }
}

/// Failures of what should have started gluster.
fn never_ran(exit: i32, stderr: &str) -> Option<Verdict> {
    match exit {
        _ if stderr.starts_with("flock: failed to execute") => Some((Refused, "no-program")),
        _ if stderr.starts_with("flock: ") => Some((Refused, "lock-failed")),
        126 | 127 => Some((Refused, "no-program")),
        _ => None,
    }
}

fn failure(family: Family, stdout: &str, stderr: &str) -> Verdict {
    if stdout.contains("gluster cli read error") || stdout.contains("please enter y/n") {
        return (Refused, "needs-confirmation");
    }
    let words = if stderr.is_empty() { stdout } else { stderr };
    // the CLI prints how the command is used when it finds the mistake itself, and then asks nobody
    let usage = |text: &str| {
        text.lines()
            .any(|line| line.trim() == "Usage:" || line.starts_with(" Usage: gluster "))
    };
    if usage(stdout) || usage(stderr) {
        let firsts = [stderr.lines().next(), stdout.lines().next()];
        return firsts
            .into_iter()
            .flatten()
            .find_map(|line| sentences::known(family, line).filter(|(class, _)| *class == Refused))
            .unwrap_or((Refused, "syntax"));
    }
    if stdout.starts_with("unrecognized word:") || stdout.starts_with("unrecognized command") {
        return (Refused, "syntax");
    }
    if let Some((head, inner)) = cli_head(words) {
        if inner.is_empty() {
            return (Unknown, "empty");
        }
        let verdict = sentences::judge(family, None, inner);
        return match sentences::known(family, words) {
            Some(whole) if verdict.1 == "other" && !head.is_empty() => whole,
            _ => verdict,
        };
    }
    let found = sentences::known(family, words).or_else(|| {
        words
            .lines()
            .next()
            .and_then(|line| sentences::known(family, line))
    });
    match found {
        Some(verdict) => verdict,
        // "Volume start failed": the CLI could not even send it
        None if words.lines().count() == 1 && words.ends_with(" failed") => (Unknown, "not-sent"),
        None => (Unknown, "unreadable"),
    }
}

/// Splits what the CLI puts before glusterd's words: `volume start: V: failed: `, `quota command failed : `.
fn cli_head(words: &str) -> Option<(&str, &str)> {
    [
        "failed: ",
        "failed : ",
        "unsuccessful : ",
        "failed:",
        "failed :",
    ]
    .iter()
    .filter_map(|mark| words.find(mark).map(|at| (at, at + mark.len())))
    .min()
    .map(|(at, end)| (&words[..at], words[end..].trim()))
    .filter(|(head, _)| {
        !head.is_empty()
            && head.len() <= 120
            && head
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | ':' | '_' | '-'))
            && [
                "volume ",
                "peer ",
                "quota ",
                "Bitrot ",
                "snapshot ",
                "Snapshot ",
            ]
            .iter()
            .any(|start| head.starts_with(start))
    })
}

fn success(family: Family, stdout: &str, stderr: &str) -> Verdict {
    let first = stdout.lines().next().unwrap_or_default();
    if stdout.is_empty() {
        let none = stderr.starts_with("No volumes present");
        return match family {
            VolumeInfo | VolumeStatus | VolumeList if none => (Ok, "empty"),
            _ => (Unknown, "unreadable"),
        };
    }
    match family {
        PeerProbe => match first.strip_prefix("peer probe: ") {
            Some("Probe on localhost not needed") => (Already, "localhost"),
            Some(words)
                if words.starts_with("Host ") && words.ends_with("already in peer list") =>
            {
                (Already, "known-peer")
            }
            Some(words) if words.starts_with("success") => (Ok, ""),
            _ => (Unknown, "unreadable"),
        },
        QuotaList => match sentences::known(family, stdout) {
            Some(verdict) => verdict,
            None if first.trim_start().starts_with("Path ") => {
                // the head and a line of dashes come also without any limit, and a path with N/A
                let limited = |line: &str| line.split_whitespace().nth(1) != Some("N/A");
                if stdout.lines().skip(2).any(limited) {
                    (Ok, "")
                } else {
                    (Absent, "quota-limit")
                }
            }
            None => (Unknown, "unreadable"),
        },
        GetState => {
            if first.starts_with("glusterd state dumped to /") {
                (Ok, "file-written")
            } else if !stdout.starts_with("[Global]") {
                (Unknown, "unreadable")
            } else if crate::gluster::get_state::parse(stdout).is_ok() {
                (Ok, "state-file")
            } else {
                (Unknown, "torn")
            }
        }
        _ => match table(family, stdout) {
            Some(verdict) => verdict,
            None if says_done(first) => (Ok, ""),
            None => (Unknown, "unreadable"),
        },
    }
}

/// `volume start: V: success`, `volume bitrot: success …`, `… has been successful`, `… successful`.
fn says_done(line: &str) -> bool {
    let line = line.trim();
    let by_command = ["volume ", "peer ", "snapshot "]
        .iter()
        .any(|start| line.starts_with(start))
        && line
            .split(": ")
            .skip(1)
            .any(|part| part == "success" || part.starts_with("success "))
        || line == "volume quota : success";
    by_command
        || line.ends_with(" has been successful")
        || (line.starts_with("Volume ") && line.ends_with(" successful"))
}

/// Tables that people read; we never do, so their first words suffice.
fn table(family: Family, stdout: &str) -> Option<Verdict> {
    let first = stdout.lines().next().unwrap_or_default();
    let starts = |head: &str| stdout.starts_with(head);
    match family {
        SystemUuid if starts("UUID: ") => Some((Ok, "")),
        PeerStatus if first == "Number of Peers: 0" => Some((Ok, "empty")),
        PeerStatus if starts("Number of Peers: ") => Some((Ok, "")),
        PoolList if starts("UUID\t") => Some((Ok, "")),
        VolumeInfo if starts("Volume Name: ") => Some((Ok, "")),
        VolumeGet if first.starts_with("Option ") && first.trim_end().ends_with("Value") => {
            Some((Ok, ""))
        }
        // nothing but names
        VolumeList
            if stdout.lines().all(|name| {
                !name.is_empty()
                    && name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            }) =>
        {
            Some((Ok, ""))
        }
        HealInfo if starts("Brick ") => {
            let cut_off = stdout
                .lines()
                .filter_map(|line| line.strip_prefix("Status: "))
                .any(|status| status.trim() != "Connected");
            Some((Ok, if cut_off { "brick-unreachable" } else { "" }))
        }
        Rebalance if first.trim_start().starts_with("Node ") => Some((Ok, "")),
        VolumeStatus if starts("Status of volume: ") => {
            Some((Ok, if brick_down(stdout) { "brick-down" } else { "" }))
        }
        VolumeStatus if first.contains(" for volume ") || starts("Task Status of Volume") => {
            Some((Ok, ""))
        }
        _ => None,
    }
}

/// `Brick host:/path  49152  0  Y  123`, where a long name pushes the numbers to the next line.
fn brick_down(stdout: &str) -> bool {
    let mut in_brick = false;
    for line in stdout.lines() {
        if line.starts_with("Brick ") {
            in_brick = true;
        } else if line.contains(" Daemon on ") {
            in_brick = false;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [.., online, _pid] = words[..]
            && in_brick
            && words.len() >= 4
            && matches!(online, "Y" | "N")
        {
            if online == "N" {
                return true;
            }
            in_brick = false;
        }
    }
    false
}
