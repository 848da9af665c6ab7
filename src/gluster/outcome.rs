//! What the answer of a command lets us conclude: done, done before, not there, busy, refused, or unknown.
//!
//! The rules are general: they know the sentences of GlusterFS 10 with gaps for names and numbers, not whole
//! outputs. **An answer that fits no rule never counts as done, done before or absent.** Measured on 10.3:
//!
//! - With `--xml` a failure exits with 0, and `opRet` may be -1, -2 or 1: success is `opRet` 0, exactly.
//! - `opErrno` discriminates badly (30800 is the catch-all, 0 occurs in failures), so the sentences decide;
//!   only where a number has one meaning (30802, 30806, the probe's 1 to 11) does it speak.
//! - Standard output must *start* with `<?xml`: a hung glusterd makes `volume info` print `Error : Request
//!   timed out` and then a successful document without volumes, exit 0.
//! - Errors that the CLI finds itself, and a few commands (`get-state`, `heal`, `bitrot`), give plain text.
//! - A failure in the commit of a transaction may have been done on some hosts: unknown. One in locking or
//!   staging has changed nothing (but `volume create` leaves its mark on local bricks in staging).

mod plain;
mod sentences;

use super::answer::{Answer, NoAnswer};
use super::operation::LOCK_HELD_EXIT;

/// What a program on a host left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Its exit status; `None` when it is not known how it ended: killed, cut off, past its deadline.
    pub exit: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

macro_rules! families {
    ($($(#[$doc:meta])* $name:ident = $words:literal,)*) => {
        /// Groups of commands whose answers follow the same rules.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Family { $($(#[$doc])* $name,)* }

        impl Family {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The words of the command.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

families! {
    /// `system:: uuid get`
    SystemUuid = "system uuid get",
    /// `peer probe`
    PeerProbe = "peer probe",
    /// `peer detach`
    PeerDetach = "peer detach",
    /// `peer status`
    PeerStatus = "peer status",
    /// `pool list`
    PoolList = "pool list",
    /// `volume create`
    VolumeCreate = "volume create",
    /// `volume set`, also of `all`
    VolumeSet = "volume set",
    /// `volume reset`
    VolumeReset = "volume reset",
    /// `volume get`, also of `all`
    VolumeGet = "volume get",
    /// `volume start`
    VolumeStart = "volume start",
    /// `volume stop`
    VolumeStop = "volume stop",
    /// `volume delete`
    VolumeDelete = "volume delete",
    /// `volume info`
    VolumeInfo = "volume info",
    /// `volume list`
    VolumeList = "volume list",
    /// `volume status` and its variants (`detail`, `clients`, …)
    VolumeStatus = "volume status",
    /// `volume quota V enable`
    QuotaEnable = "volume quota enable",
    /// `volume quota V disable`
    QuotaDisable = "volume quota disable",
    /// `volume quota V limit-usage`, `limit-objects`
    QuotaLimit = "volume quota limit-usage",
    /// `volume quota V remove`, `remove-objects`
    QuotaRemove = "volume quota remove",
    /// `volume quota V list`, `list-objects`
    QuotaList = "volume quota list",
    /// `volume add-brick`, `remove-brick`, `replace-brick`, `reset-brick`
    Bricks = "volume bricks",
    /// `volume rebalance V start`, `status`, `fix-layout`
    Rebalance = "volume rebalance",
    /// `volume rebalance V stop`
    RebalanceStop = "volume rebalance stop",
    /// `volume heal V`, `full`, `statistics`: always plain text
    Heal = "volume heal",
    /// `volume heal V info` and its variants
    HealInfo = "volume heal info",
    /// `volume bitrot`: always plain text
    Bitrot = "volume bitrot",
    /// `snapshot`
    Snapshot = "snapshot",
    /// `get-state`: always plain text
    GetState = "get-state",
    /// What we never issue.
    Other = "other",
}

/// What may be concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// It was done, or what was read can be trusted.
    Ok,
    /// It had been done before.
    Already,
    /// What it is about is not there, as this host sees it.
    Absent,
    /// Somebody else is at it; the same command may work later.
    Busy,
    /// Gluster said no; the same command will be refused again unless something changes.
    Refused,
    /// Nothing may be concluded: it may have been done, or not, or be under way.
    Unknown,
}

impl Class {
    /// One lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Already => "already",
            Self::Absent => "absent",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// A classified answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What may be concluded.
    pub class: Class,
    /// Why, as a fixed word: `transaction`, `peer-down`, `timed-out`; empty when there is nothing to say.
    pub detail: &'static str,
    /// Gluster's own words, one line without control characters, at most 300 characters.
    pub message: String,
}

impl Outcome {
    /// True when the wish is fulfilled, by this command or before.
    pub fn is_done(&self) -> bool {
        matches!(self.class, Class::Ok | Class::Already)
    }
}

/// A class and a detail.
type Verdict = (Class, &'static str);

/// Longest [`Outcome::message`], in characters.
const MAX_MESSAGE: usize = 300;

/// Classifies the answer of a `gluster --mode=script --xml` command, or of one without `--xml`.
///
/// Details that every family can have: `lock-held` (busy: our own lock on that host), `transaction` and
/// `locking-failed` (busy: gluster's locks), `timed-out` (unknown: no end was seen, or gluster gave up waiting;
/// the command may still run on in glusterd), `glusterd-down`, `empty`, `torn`, `commit-failed` (unknown),
/// `other` (refused, in words that we do not know).
pub fn classify(family: Family, output: &Output) -> Outcome {
    let answer = Answer::read(&output.stdout);
    let message = match &answer {
        Ok(answer) if !answer.error.is_empty() => one_line(&answer.error),
        Ok(answer) => one_line(answer.root.text_of("output").unwrap_or_default()),
        Err(_) if output.stderr.trim().is_empty() => one_line(&output.stdout),
        Err(_) => one_line(&output.stderr),
    };
    let (class, detail) = match (output.exit, &answer) {
        (None, _) => (Class::Unknown, "timed-out"),
        (Some(LOCK_HELD_EXIT), Err(_)) if output.stdout.is_empty() => (Class::Busy, "lock-held"),
        (Some(exit), Ok(answer)) => document(family, exit, answer),
        (Some(_), Err(NoAnswer::Torn)) => (Class::Unknown, "torn"),
        (Some(exit), Err(NoAnswer::NotXml)) => plain::judge(family, exit, output),
    };
    Outcome {
        class,
        detail,
        message,
    }
}

/// Text on one line without control characters and doubled blanks, cut to 300 characters.
fn one_line(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_MESSAGE {
        return line;
    }
    let mut cut: String = line.chars().take(MAX_MESSAGE - 1).collect();
    cut.push('…');
    cut
}

fn document(family: Family, exit: i32, answer: &Answer) -> Verdict {
    if !answer.success {
        return sentences::judge(family, Some(answer.errno), failure(answer));
    }
    if exit != 0 {
        return (Class::Unknown, "contradiction");
    }
    let root = &answer.root;
    match family {
        Family::PeerProbe => match answer.errno {
            0 => (Class::Ok, ""),
            1 => (Class::Already, "localhost"),
            2 => (Class::Already, "known-peer"),
            11 => (Class::Busy, "detaching"),
            _ => (Class::Unknown, "other"),
        },
        Family::QuotaList => match root.child("volQuota") {
            // the paths that were asked for are not there, or have no limit
            Some(list) if !list.all("limit").any(limited) => (Class::Absent, "quota-limit"),
            Some(_) => (Class::Ok, ""),
            None => (Class::Unknown, "torn"),
        },
        Family::VolumeStatus => status(answer),
        Family::VolumeInfo | Family::VolumeList => match root.descendants("count").first() {
            Some(count) if count.text == "0" => (Class::Ok, "empty"),
            _ => (Class::Ok, ""),
        },
        Family::PeerStatus if root.descendants("peer").is_empty() => (Class::Ok, "empty"),
        Family::Snapshot if answer.root.child("snapStatus").is_some_and(hollow) => {
            (Class::Ok, "empty")
        }
        Family::HealInfo => {
            let unreachable = |brick: &&super::answer::Element| {
                brick
                    .text_of("status")
                    .is_none_or(|status| status != "Connected")
            };
            if root.descendants("brick").iter().any(unreachable) {
                (Class::Ok, "brick-unreachable")
            } else {
                (Class::Ok, "")
            }
        }
        Family::RebalanceStop => {
            // stopping what does not run shows the nodes of the last run, none of them "stopped"
            let stopped = |node: &&super::answer::Element| {
                matches!(
                    node.text_of("statusStr"),
                    Some("stopped" | "in progress" | "stopping")
                )
            };
            if root.descendants("node").iter().any(stopped) {
                (Class::Ok, "")
            } else {
                (Class::Ok, "nothing-to-stop")
            }
        }
        _ => (Class::Ok, ""),
    }
}

/// The sentence of a failure: `opErrstr`, or `output` where gluster left that empty.
fn failure(answer: &Answer) -> &str {
    if answer.error.is_empty() {
        answer.root.text_of("output").unwrap_or_default()
    } else {
        &answer.error
    }
}

/// An entry of `quota list`: one without a limit says `N/A`.
fn limited(entry: &super::answer::Element) -> bool {
    entry.text_of("hard_limit") != Some("N/A")
}

fn hollow(list: &super::answer::Element) -> bool {
    list.children
        .iter()
        .all(|child| child.children.is_empty() && child.text.is_empty())
}

/// `volume status` tells of bricks and daemons alike as nodes; a brick's path begins with `/`. Bricks of a
/// host that is not connected are missing from the list, which nothing in the answer shows: `nodeCount` is too large where the host that
/// was asked has several bricks of the volume (measured on 10.3).
fn status(answer: &Answer) -> Verdict {
    let volumes = answer.root.descendants("volume");
    if volumes.is_empty() {
        return (Class::Ok, "empty");
    }
    let down = |node: &&super::answer::Element| {
        node.text_of("path")
            .is_some_and(|path| path.starts_with('/'))
            && node.text_of("status") == Some("0")
    };
    if volumes
        .iter()
        .any(|volume| volume.all("node").any(|node| down(&node)))
    {
        return (Class::Ok, "brick-down");
    }
    (Class::Ok, "")
}
