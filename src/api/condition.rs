//! Conditions: how status says what holds, and why what does not hold does not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Types of conditions; all of positive polarity. There will be no others: what goes wrong is a [`Reason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Cluster: writes can be made. Volume: mountable, writable, its quota in force.
    Ready,
    /// All nodes are peers of one pool and answer.
    PeersConnected,
    /// Every directory for bricks is there and on a file system of its own.
    DevicesReady,
    /// Nothing is left to do.
    InSync,
    /// The volume, or the pool, is ours.
    Owned,
    /// All bricks of the volume run.
    Healthy,
    /// A step is under way, or something is waited for.
    Progressing,
}

impl ConditionType {
    /// As in `status.conditions[].type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::PeersConnected => "PeersConnected",
            Self::DevicesReady => "DevicesReady",
            Self::InSync => "InSync",
            Self::Owned => "Owned",
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
        }
    }
}

macro_rules! reasons {
    ($(#[$what:meta])* $of:ident: $($(#[$doc:meta])* $name:ident,)*) => {
        $(#[$what])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $of { $($(#[$doc])* $name,)* }
        impl $of {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// As it stands in the field `reason`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    /// Why a condition is as it is.
    Reason:
    /// Nothing is wrong.
    AsDeclared,
    /// Not looked at yet, or it could not be found out.
    Unknown,
    /// A field has a value that can't be used.
    InvalidSpec,
    /// The Secret is missing or can't be used.
    InvalidCredentials,
    /// No GlusterCluster of that name.
    ClusterNotFound,
    /// The namespace may not put volumes on that cluster.
    NotAdmitted,
    /// A tenant asked for what only the cluster's owner may grant.
    NotAllowed,
    /// A host does not answer.
    HostUnreachable,
    /// A host shows a key that is not pinned.
    HostKeyRefused,
    /// A host refused our key.
    AuthenticationFailed,
    /// Programs are missing on a host.
    PrerequisitesMissing,
    /// The host answers, its glusterd does not.
    GlusterdNotResponding,
    /// Two names are one host, or one host is not who it was.
    IdentityConflict,
    /// A host belongs to another pool.
    OtherPool,
    /// Peers are not all connected with each other.
    PeersDisconnected,
    /// A peer rejects another: what they know of volumes differs.
    PeerRejected,
    /// A host that left the spec can't be detached: bricks lie there, or it can't be known.
    NodeInUse,
    /// The op-version that is asked for is lower than that of the pool.
    OpVersionTooLow,
    /// A setting takes effect when a person restarts glusterd.
    RestartNeeded,
    /// Somebody else's owner file is on the pool.
    ManagedElsewhere,
    /// A brick directory's parent is missing or not a file system of its own.
    DeviceNotReady,
    /// A file system of bricks has no space left that GlusterFS would give to writers.
    DeviceFull,
    /// Not enough hosts for the layout.
    DoesNotFit,
    /// The volume of that name is not ours.
    NotOwned,
    /// Hosts do not agree on whether the volume exists.
    GhostVolume,
    /// The volume's bricks or type are not what was declared.
    LayoutDiffers,
    /// Gluster refused an option.
    BadOption,
    /// Gluster refused a command.
    Refused,
    /// A command was sent and its result is not known.
    ResultUnknown,
    /// Somebody else's transaction or lock, or ports of a host that others have taken.
    Busy,
    /// Steps are being taken.
    Working,
    /// The volume is being deleted and something keeps it.
    DeletionBlocked,
    /// A brick does not run.
    BrickDown,
    /// The volume is stopped, as its spec says.
    Stopped,
    /// The volume is to be stopped and somebody uses it.
    StopBlocked,
    /// Less than what is used.
    CapacityBelowUsage,
    /// Quota counts what was there before it was switched on.
    QuotaCrawl,
    /// Hosts do not agree on whether quota is on.
    QuotaDiffers,
    /// A claim or PersistentVolume of that name is not ours.
    ClaimConflict,
    /// A node waits to be admitted to a one-writer volume.
    WaitingForFence,
    /// A condition of its cluster keeps this volume from going on.
    ClusterNotReady,
}

reasons! {
    /// Why an event is sent, besides those that tell of a condition with its [`Reason`].
    EventReason:
    /// A host that left the spec is no peer any more.
    NodeDetached,
    /// Our owner file stays on a host that could not be reached.
    OwnerFileLeft,
    /// An entry of the trash is gone for good.
    TrashPurged,
    /// A node is shut out of a one-writer volume.
    Fenced,
    /// A node is let in.
    Admitted,
    /// Two copies can split.
    TwoCopies,
    /// Anybody who reaches the ports can mount it.
    OpenToNetwork,
    /// What was stopped to be deleted runs again, since it shall stay.
    VolumeStarted,
    /// It shall stay, and could not be started again.
    VolumeLeftStopped,
    /// It shall stay, and was deleted already; its bricks are there.
    BricksLeft,
}

/// A condition, before it is merged into a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which condition.
    pub kind: ConditionType,
    /// True, false, or `None` for unknown.
    pub holds: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// For people: command, host, gluster's words, what is done next.
    pub message: String,
}

impl Finding {
    /// The condition holds.
    pub fn yes(kind: ConditionType, message: impl Into<String>) -> Self {
        Self {
            kind,
            holds: Some(true),
            reason: Reason::AsDeclared,
            message: message.into(),
        }
    }

    /// It does not.
    pub fn no(kind: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind,
            holds: Some(false),
            reason,
            message: message.into(),
        }
    }

    /// It is not known.
    pub fn unknown(kind: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind,
            holds: None,
            reason,
            message: message.into(),
        }
    }
}

/// Merges findings into the conditions of before: a condition whose status does not change keeps its transition
/// time, and one that nobody found anything about stays.
pub fn merge(
    before: &[Condition],
    findings: &[Finding],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let mut merged: Vec<Condition> = before.to_vec();
    for finding in findings {
        let status = match finding.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let old = merged
            .iter_mut()
            .find(|condition| condition.type_ == finding.kind.as_str());
        let since = old
            .as_ref()
            .filter(|old| old.status == status)
            .map_or(Time(now), |old| old.last_transition_time.clone());
        let new = Condition {
            type_: finding.kind.as_str().into(),
            status: status.into(),
            reason: finding.reason.as_str().into(),
            message: finding.message.chars().take(4000).collect(),
            observed_generation: Some(generation),
            last_transition_time: since,
        };
        match old {
            Some(old) => *old = new,
            None => merged.push(new),
        }
    }
    merged
}

/// The condition of that type.
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == kind.as_str())
}

/// True when the condition is there and `True`.
pub fn holds(conditions: &[Condition], kind: ConditionType) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const CLUSTER: &str = include_str!("../../docs/glustercluster.md");
    const VOLUME: &str = include_str!("../../docs/glustervolume.md");

    /// The words between backquotes.
    fn quoted(text: &str) -> impl Iterator<Item = &str> {
        text.split('`').skip(1).step_by(2)
    }

    /// The table of conditions, and behind it what is said of events: for each condition, and for `Events`, which reasons are told.
    fn told(page: &str) -> BTreeMap<&str, BTreeSet<&str>> {
        let section = page.split("## Conditions and reasons").nth(1).unwrap();
        let (table, events) = section.split_once("\nEvents: ").unwrap();
        let events: BTreeSet<&str> = quoted(events).collect();
        let mut told = BTreeMap::from([("Events", events)]);
        let mut of = Vec::new();
        for line in table.lines().filter(|line| line.starts_with("| ")) {
            let mut cells = line.split(" | ");
            let conditions: Vec<&str> = quoted(cells.next().unwrap()).collect();
            // an empty cell is that of the row above
            if !conditions.is_empty() {
                of = conditions;
            }
            let reasons: Vec<&str> = cells.next().into_iter().flat_map(quoted).collect();
            for condition in &of {
                told.entry(condition).or_default().extend(&reasons);
            }
        }
        assert!(told.len() > 4, "{told:?}");
        told
    }

    #[test]
    fn reasons_are_documented() {
        let told: BTreeSet<&str> = [CLUSTER, VOLUME]
            .into_iter()
            .flat_map(told)
            .flat_map(|(_, reasons)| reasons)
            .collect();
        let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
        let events = EventReason::ALL.iter().map(|reason| reason.as_str());
        let all: BTreeSet<&str> = reasons.chain(events).collect();
        let missing: Vec<_> = all.difference(&told).collect();
        assert!(missing.is_empty(), "no page tells of {missing:?}");
        let unknown: Vec<_> = told.difference(&all).collect();
        assert!(unknown.is_empty(), "nothing says {unknown:?}");
    }

    /// Each page tells of a reason under the conditions that have it.
    #[test]
    #[allow(clippy::enum_glob_use)] // it is a table of them
    fn reasons_are_documented_where_they_are_given() {
        use ConditionType::{
            DevicesReady, Healthy, InSync, Owned, PeersConnected, Progressing, Ready,
        };
        use Reason::*;
        // a host that does not answer, for the pool and for each volume on it
        let silent = [
            HostUnreachable,
            HostKeyRefused,
            AuthenticationFailed,
            PrerequisitesMissing,
            GlusterdNotResponding,
        ];
        let no_pool = [
            IdentityConflict,
            OtherPool,
            ManagedElsewhere,
            PeersDisconnected,
        ];
        // a step that failed
        let failed = [Busy, BadOption, Refused, ResultUnknown, HostUnreachable];
        let rows: &[(&str, ConditionType, &[&[Reason]])] = &[
            (
                CLUSTER,
                Ready,
                &[&silent, &no_pool, &[InvalidSpec, InvalidCredentials]],
            ),
            (
                CLUSTER,
                PeersConnected,
                &[
                    &silent,
                    &[
                        IdentityConflict,
                        OtherPool,
                        InvalidCredentials,
                        PeersDisconnected,
                        PeerRejected,
                    ],
                ],
            ),
            (
                CLUSTER,
                DevicesReady,
                &[&[DeviceNotReady, DeviceFull, HostUnreachable]],
            ),
            (
                CLUSTER,
                InSync,
                &[
                    &failed,
                    &[
                        OtherPool,
                        Working,
                        NodeInUse,
                        OpVersionTooLow,
                        RestartNeeded,
                        Unknown,
                        DeletionBlocked,
                    ],
                ],
            ),
            (
                VOLUME,
                Ready,
                &[
                    &silent,
                    &no_pool,
                    &failed,
                    &[
                        InvalidSpec,
                        NotAllowed,
                        NotAdmitted,
                        ClusterNotFound,
                        ClusterNotReady,
                        DoesNotFit,
                        GhostVolume,
                        NotOwned,
                        Unknown,
                        Working,
                        Stopped,
                        BrickDown,
                    ],
                ],
            ),
            (VOLUME, Owned, &[&[NotOwned, Unknown]]),
            (
                VOLUME,
                Healthy,
                &[&[BrickDown, Stopped, PeersDisconnected, DeviceFull]],
            ),
            (
                VOLUME,
                InSync,
                &[
                    &silent,
                    &no_pool,
                    &failed,
                    &[
                        Working,
                        LayoutDiffers,
                        BrickDown,
                        CapacityBelowUsage,
                        Unknown,
                        QuotaCrawl,
                        QuotaDiffers,
                        StopBlocked,
                        ClaimConflict,
                        ClusterNotReady,
                    ],
                ],
            ),
            (
                VOLUME,
                Progressing,
                &[&[Working, AsDeclared, WaitingForFence, DeletionBlocked]],
            ),
        ];
        for (page, condition, reasons) in rows {
            let told = &told(page)[condition.as_str()];
            for reason in reasons.iter().copied().flatten() {
                assert!(told.contains(reason.as_str()), "{condition:?} {reason:?}");
            }
        }
    }
}
