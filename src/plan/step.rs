//! The steps that a plan is made of.

use std::collections::BTreeMap;

use crate::gluster::names::{
    ALLOW_OPTION, Brick, Bytes, HostName, HostPath, OptionKey, OptionValue, OwnerId, OwnerMark,
    TrashName, VolumeName,
};
use crate::gluster::operation::SetShape;

/// Where a brick of ours lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrickPlace {
    /// The host.
    pub host: HostName,
    /// The mount point below which it lies.
    pub device: HostPath,
    /// The directory that is this brick's alone: it goes to the trash as a whole.
    pub parent: HostPath,
    /// The brick itself: `parent`, or a directory in it.
    pub path: HostPath,
}

impl BrickPlace {
    /// Where its directory lies in the trash of its device; beside it, with `.json` behind, the manifest. Several bricks of one
    /// device lie side by side there: those that we placed with their number, those named by hand with 8 hex of a hash of
    /// their path.
    pub fn trash(&self, name: &str) -> String {
        use sha2::{Digest, Sha256};
        let device = &self.device;
        if self.parent == self.path {
            let hash = hex::encode(&Sha256::digest(self.path.as_str().as_bytes())[..4]);
            format!("{device}/.trash/{name}-{hash}")
        } else {
            let (_, number) = self.directory();
            format!("{device}/.trash/{name}{number}")
        }
    }

    /// The name of the brick's directory: `<volume>-<8 hex>`, which the bricks of a volume share, and `-<n>` for the second
    /// brick on one device, the third, ….
    pub fn directory(&self) -> (&str, &str) {
        let name = self.parent.as_str();
        let name = name.rsplit('/').next().unwrap_or(name);
        match name.rfind('-') {
            // the last part has 8 digits, or it is a number
            Some(at) if name.len() - at - 1 < 8 => name.split_at(at),
            _ => (name, ""),
        }
    }

    /// As gluster writes it.
    pub fn brick(&self) -> Brick {
        Brick {
            host: self.host.clone(),
            path: self.path.clone(),
        }
    }
}

/// One step. Each can be taken again without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the owner file of a host.
    ClaimHost {
        /// The host.
        host: HostName,
        /// Who owns the pool now.
        owner: OwnerId,
        /// Whose file is replaced: `takeOver` names him.
        replace: Option<OwnerId>,
    },
    /// Remove the owner file of a host.
    ReleaseHost {
        /// The host.
        host: HostName,
    },
    /// Probe a host.
    ProbePeer {
        /// The host.
        host: HostName,
    },
    /// Detach a peer that left the spec and holds no brick.
    DetachPeer {
        /// A name by which gluster knows it.
        host: HostName,
    },
    /// Reset one option of the pool.
    ResetPoolOption(OptionKey),
    /// Raise the op-version of the pool, which can't be undone.
    RaiseOpVersion(u32),
    /// Write the ping-timeout into a host's glusterd.vol.
    WritePingTimeout {
        /// The host.
        host: HostName,
        /// Seconds.
        seconds: u32,
        /// The whole new file.
        text: String,
    },
    /// DESTROYS: remove an entry of the trash for good.
    PurgeTrash {
        /// The host.
        host: HostName,
        /// The mount point.
        device: HostPath,
        /// The entry.
        name: TrashName,
        /// Whether its manifest lies beside it.
        manifest: bool,
    },
    /// Write down beside an entry of the trash that has no manifest whose it is, and that it was found now.
    NoteTrash {
        /// The host.
        host: HostName,
        /// The mount point.
        device: HostPath,
        /// The entry.
        name: TrashName,
        /// JSON.
        manifest: String,
    },
    /// Remove the file that says that an entry of the trash is being destroyed, where the entry is gone.
    ForgetTrash {
        /// The host.
        host: HostName,
        /// The mount point.
        device: HostPath,
        /// The entry.
        name: TrashName,
    },
    /// Set options of the pool.
    SetPoolOptions(BTreeMap<OptionKey, OptionValue>),
    /// Make and mark brick directories.
    MakeBricks {
        /// Where.
        places: Vec<BrickPlace>,
        /// Whose they are.
        mark: OwnerMark,
    },
    /// Write the mark of bricks that are ours again.
    MarkBricks {
        /// Which.
        bricks: Vec<Brick>,
        /// Whose they are.
        mark: OwnerMark,
    },
    /// Create a volume.
    CreateVolume {
        /// Its name.
        volume: VolumeName,
        /// Its sets.
        shape: SetShape,
        /// Its bricks, in order.
        bricks: Vec<Brick>,
    },
    /// Set options of a volume, all or none.
    SetOptions {
        /// The volume.
        volume: VolumeName,
        /// What to set.
        options: BTreeMap<OptionKey, OptionValue>,
        /// True for options that a user asked for: gluster's refusal of one is reported, and the others still apply.
        each: bool,
    },
    /// Reset one option.
    ResetOption {
        /// The volume.
        volume: VolumeName,
        /// The option.
        key: OptionKey,
    },
    /// Start a volume.
    StartVolume(VolumeName),
    /// Start those bricks of a started volume that do not run.
    StartBricks(VolumeName),
    /// Switch quota on.
    EnableQuota(VolumeName),
    /// Limit the volume.
    LimitUsage(VolumeName, Bytes),
    /// Remove the limit.
    RemoveLimit(VolumeName),
    /// Keep everybody out of a one-writer volume, so that the node of before can't write any more.
    Fence {
        /// The volume.
        volume: VolumeName,
        /// The node that is shut out, for messages.
        node: String,
    },
    /// Let one node in; only after a fence was seen to hold.
    Admit {
        /// The volume.
        volume: VolumeName,
        /// The node.
        node: String,
        /// Its addresses, as `auth.allow` wants them.
        addresses: OptionValue,
    },
    /// DESTROYS: write down how to get the volume back, on each device.
    WriteManifest {
        /// Where.
        places: Vec<BrickPlace>,
        /// The name in the trash.
        name: String,
        /// JSON.
        manifest: String,
    },
    /// INTERRUPTS: stop a volume.
    StopVolume(VolumeName),
    /// DESTROYS: delete a volume in gluster; its bricks stay.
    DeleteVolume(VolumeName),
    /// DESTROYS: move brick directories to the trash of their devices.
    TrashBricks {
        /// Which.
        places: Vec<BrickPlace>,
        /// The name in the trash.
        name: String,
    },
}

impl Step {
    /// Steps that keep users from their data and destroy none: only for a volume that nobody uses, with `state: Stopped`, or
    /// where it is deleted.
    pub fn interrupts(&self) -> bool {
        matches!(self, Self::StopVolume(_))
    }

    /// Steps that take data away for good: only with `deletionPolicy: Delete`, for an object that is being deleted.
    pub fn destroys(&self) -> bool {
        match self {
            Self::WriteManifest { .. }
            | Self::DeleteVolume(_)
            | Self::TrashBricks { .. }
            | Self::PurgeTrash { .. } => true,
            Self::ClaimHost { .. }
            | Self::ReleaseHost { .. }
            | Self::ProbePeer { .. }
            | Self::DetachPeer { .. }
            | Self::ResetPoolOption(_)
            | Self::RaiseOpVersion(_)
            | Self::WritePingTimeout { .. }
            | Self::NoteTrash { .. }
            | Self::ForgetTrash { .. }
            | Self::SetPoolOptions(_)
            | Self::MakeBricks { .. }
            | Self::MarkBricks { .. }
            | Self::CreateVolume { .. }
            | Self::SetOptions { .. }
            | Self::ResetOption { .. }
            | Self::StartVolume(_)
            | Self::StartBricks(_)
            | Self::StopVolume(_)
            | Self::EnableQuota(_)
            | Self::LimitUsage(..)
            | Self::RemoveLimit(_)
            | Self::Fence { .. }
            | Self::Admit { .. } => false,
        }
    }

    /// What users of data may notice of it; empty when nothing.
    ///
    /// Start, stop and deletion of a volume restart the quota daemon of every host only where quota is on for that volume; the self-heal
    /// daemon, which others do restart, keeps nobody waiting (both measured).
    pub fn risk(&self) -> &'static str {
        match self {
            Self::RaiseOpVersion(_) => {
                "can't be undone; clients and hosts with an older GlusterFS are shut out"
            }
            Self::PurgeTrash { .. } => "destroys for good what is left there of a deleted volume",
            Self::WriteManifest { .. } => "the volume is about to be taken away",
            Self::TrashBricks { .. } => {
                "they stay in the trash of their devices until it is destroyed"
            }
            Self::DeleteVolume(_) => {
                "takes the volume away; its bricks go to the trash of their devices. Where quota is on for it, restarts the quota daemon of every host: writers of other volumes with a limit can wait for some seconds"
            }
            Self::StopVolume(_) => {
                "nobody can read or write the volume from then on. Where quota is on for it, restarts the quota daemon of every host: writers of other volumes with a limit can wait for some seconds"
            }
            Self::StartVolume(_) | Self::StartBricks(_) => {
                "where quota is on for it, restarts the quota daemon of every host: writers of other volumes with a limit can wait for some seconds"
            }
            Self::EnableQuota(_) => {
                "restarts the quota daemon of every host: writers of other volumes with a limit can wait for some seconds"
            }
            Self::RemoveLimit(_) => "writers can fill the devices from then on",
            Self::Fence { .. } => "the node that had the volume can't reach it any more",
            Self::SetOptions { options, .. } if narrows(options) => {
                "clients whose addresses auth.allow does not name can't reach the volume any more"
            }
            // what an option does to users is told where the option is; a new timeout waits for a restart that a person makes
            Self::SetOptions { .. }
            | Self::ResetOption { .. }
            | Self::SetPoolOptions(_)
            | Self::ResetPoolOption(_)
            | Self::WritePingTimeout { .. }
            | Self::ClaimHost { .. }
            | Self::ReleaseHost { .. }
            | Self::ProbePeer { .. }
            | Self::DetachPeer { .. }
            | Self::NoteTrash { .. }
            | Self::ForgetTrash { .. }
            | Self::MakeBricks { .. }
            | Self::MarkBricks { .. }
            | Self::CreateVolume { .. }
            | Self::LimitUsage(..)
            | Self::Admit { .. } => "",
        }
    }

    /// What is waited for before the next step; empty when nothing.
    pub fn then(&self) -> &'static str {
        match self {
            Self::ProbePeer { .. } => "the peers see each other",
            Self::EnableQuota(_) => {
                "quota has counted what is there; nothing but the last step waits for it"
            }
            Self::Fence { .. } => "no brick has a connection of that node",
            _ => "",
        }
    }

    /// For `Progressing`: what is under way.
    pub fn describe(&self) -> String {
        match self {
            Self::ClaimHost { host, .. } => format!("writing the owner file of {host}"),
            Self::ReleaseHost { host } => format!("removing the owner file of {host}"),
            Self::ProbePeer { host } => format!("probing peer {host}"),
            Self::DetachPeer { host } => format!("detaching peer {host}"),
            Self::ResetPoolOption(key) => format!("resetting pool option {key}"),
            Self::RaiseOpVersion(version) => format!("raising the op-version to {version}"),
            Self::WritePingTimeout { host, seconds, .. } => {
                format!("writing ping-timeout {seconds} into glusterd.vol of {host}")
            }
            Self::PurgeTrash {
                host, device, name, ..
            } => format!("destroying {host}:{device}/.trash/{name}"),
            Self::NoteTrash {
                host, device, name, ..
            } => format!("writing a manifest for {host}:{device}/.trash/{name}"),
            Self::ForgetTrash { host, device, name } => {
                format!("removing {host}:{device}/.trash/{name}.purging")
            }
            Self::SetPoolOptions(options) => format!("setting pool options {}", keys(options)),
            Self::MakeBricks { places, .. } => format!("making {} brick directories", places.len()),
            Self::MarkBricks { bricks, .. } => format!("marking {} bricks as ours", bricks.len()),
            Self::CreateVolume { volume, .. } => format!("creating volume {volume}"),
            Self::SetOptions { options, .. } => format!("setting options {}", keys(options)),
            Self::ResetOption { key, .. } => format!("resetting option {key}"),
            Self::StartVolume(volume) => format!("starting volume {volume}"),
            Self::StartBricks(volume) => format!("starting bricks of volume {volume}"),
            Self::EnableQuota(_) => "enabling quota".into(),
            Self::LimitUsage(_, bytes) => format!("limiting usage to {bytes}"),
            Self::RemoveLimit(_) => "removing the limit".into(),
            Self::Fence { node, .. } => format!("shutting out node {node}"),
            Self::Admit { node, .. } => format!("admitting node {node}"),
            Self::WriteManifest { .. } => "writing the manifest of the trash".into(),
            Self::StopVolume(volume) => format!("stopping volume {volume}"),
            Self::DeleteVolume(volume) => format!("deleting volume {volume}"),
            Self::TrashBricks { places, .. } => {
                format!("moving {} bricks to the trash", places.len())
            }
        }
    }
}

/// Whether they let in some addresses and no others.
fn narrows(options: &BTreeMap<OptionKey, OptionValue>) -> bool {
    options.iter().any(|(key, list)| {
        key.as_str() == ALLOW_OPTION && list.as_str().split(',').all(|address| address != "*")
    })
}

fn keys(options: &BTreeMap<OptionKey, OptionValue>) -> String {
    options
        .keys()
        .map(OptionKey::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn set(key: &str, value: &str) -> Step {
        Step::SetOptions {
            volume: parse("v"),
            options: BTreeMap::from([(parse(key), parse(value))]),
            each: false,
        }
    }

    #[test]
    fn what_users_may_notice_is_told() {
        let volume = || parse::<VolumeName>("v");
        let restarts = "restarts the quota daemon of every host";
        for (step, words) in [
            (Step::RaiseOpVersion(100_000), "can't be undone"),
            (Step::StartVolume(volume()), restarts),
            (Step::StartBricks(volume()), restarts),
            (Step::EnableQuota(volume()), restarts),
            (Step::StopVolume(volume()), restarts),
            (Step::StopVolume(volume()), "nobody can read or write"),
            (Step::DeleteVolume(volume()), restarts),
            (Step::DeleteVolume(volume()), "takes the volume away"),
            (Step::RemoveLimit(volume()), "can fill the devices"),
            (set(ALLOW_OPTION, "10.0.*,client1"), "can't reach"),
            (
                Step::Fence {
                    volume: volume(),
                    node: "a".into(),
                },
                "can't reach",
            ),
            (
                Step::WriteManifest {
                    places: Vec::new(),
                    name: "v".into(),
                    manifest: "{}".into(),
                },
                "taken away",
            ),
            (
                Step::TrashBricks {
                    places: Vec::new(),
                    name: "v".into(),
                },
                "until it is destroyed",
            ),
            (
                Step::PurgeTrash {
                    host: parse("n1"),
                    device: parse("/d"),
                    name: parse("v-01234567"),
                    manifest: true,
                },
                "for good",
            ),
        ] {
            assert!(step.risk().contains(words), "{step:?}: {}", step.risk());
        }
        for step in [
            Step::ClaimHost {
                host: parse("n1"),
                owner: parse("one"),
                replace: None,
            },
            Step::ProbePeer { host: parse("n1") },
            Step::LimitUsage(volume(), Bytes(1 << 20)),
            set("performance.cache-size", "64MB"),
            set(ALLOW_OPTION, "10.0.*,*"),
        ] {
            assert_eq!(step.risk(), "", "{step:?}");
        }
    }
}
