//! What is sent to which host for a step. Used to send it, and to tell beforehand what would be sent.

use crate::gluster::names::{ALLOW_NOBODY, ALLOW_OPTION, HostName, OptionKey, OptionValue};
use crate::gluster::operation::{Gluster, Operation};
use crate::plan::step::{BrickPlace, Step};

/// The operations of a step, each with its host: commands for glusterd run on `coordinator`, one after the other; whatever
/// concerns directories runs on the hosts that have them, at once.
pub fn operations(step: &Step, coordinator: &HostName) -> Vec<(HostName, Operation)> {
    let gluster = |command| vec![(coordinator.clone(), Operation::Gluster(command))];
    match step.clone() {
        Step::ClaimHost {
            host,
            owner,
            replace,
        } => vec![(host, Operation::ClaimHost { owner, replace })],
        Step::ReleaseHost { host } => vec![(host, Operation::ReleaseHost)],
        Step::ProbePeer { host } => gluster(Gluster::Probe(host)),
        Step::DetachPeer { host } => gluster(Gluster::Detach(host)),
        Step::ResetPoolOption(key) => gluster(Gluster::PoolReset(key)),
        Step::RaiseOpVersion(version) => option("cluster.op-version", &version.to_string())
            .map(|(key, value)| gluster(Gluster::PoolSet(key, value)))
            .unwrap_or_default(),
        Step::WritePingTimeout { host, text, .. } => {
            vec![(host, Operation::WriteGlusterdVol { text })]
        }
        Step::PurgeTrash {
            host,
            device,
            name,
            manifest,
        } => {
            let purge = Operation::PurgeTrash {
                device,
                name,
                manifest,
            };
            vec![(host, purge)]
        }
        Step::NoteTrash {
            host,
            device,
            name,
            manifest,
        } => {
            // of what has a longer name there is no such file
            let Ok(file) = format!("{device}/.trash/{name}.json").parse() else {
                return Vec::new();
            };
            let note = Operation::WriteManifest {
                device,
                file,
                manifest,
            };
            vec![(host, note)]
        }
        Step::ForgetTrash { host, device, name } => {
            vec![(host, Operation::ForgetTrash { device, name })]
        }
        Step::SetPoolOptions(options) => options
            .into_iter()
            .flat_map(|(key, value)| gluster(Gluster::PoolSet(key, value)))
            .collect(),
        Step::MakeBricks { places, mark } => {
            let make = |place: BrickPlace| {
                let operation = Operation::MakeBrick {
                    device: place.device,
                    parent: place.parent,
                    path: place.path,
                    mark: mark.clone(),
                };
                (place.host, operation)
            };
            places.into_iter().map(make).collect()
        }
        Step::MarkBricks { bricks, mark } => bricks
            .into_iter()
            .map(|brick| {
                let mark = mark.clone();
                (
                    brick.host,
                    Operation::MarkBrick {
                        path: brick.path,
                        mark,
                    },
                )
            })
            .collect(),
        Step::CreateVolume {
            volume,
            shape,
            bricks,
        } => gluster(Gluster::Create {
            volume,
            shape,
            bricks,
        }),
        Step::SetOptions {
            volume, options, ..
        } => gluster(Gluster::Set(volume, options)),
        Step::ResetOption { volume, key } => gluster(Gluster::Reset(volume, key)),
        Step::StartVolume(volume) => gluster(Gluster::Start(volume)),
        Step::StartBricks(volume) => gluster(Gluster::StartBricks(volume)),
        Step::EnableQuota(volume) => gluster(Gluster::QuotaEnable(volume)),
        Step::LimitUsage(volume, bytes) => gluster(Gluster::QuotaLimit(volume, bytes)),
        Step::RemoveLimit(volume) => gluster(Gluster::QuotaRemove(volume)),
        Step::Fence { volume, .. } => allow(ALLOW_NOBODY)
            .map(|option| gluster(Gluster::Set(volume, [option].into())))
            .unwrap_or_default(),
        Step::Admit {
            volume, addresses, ..
        } => allow(addresses.as_str())
            .map(|option| gluster(Gluster::Set(volume, [option].into())))
            .unwrap_or_default(),
        Step::WriteManifest {
            places,
            name,
            manifest,
        } => places
            .into_iter()
            .filter_map(|place| {
                let operation = Operation::WriteManifest {
                    file: format!("{}.json", place.trash(&name)).parse().ok()?,
                    device: place.device,
                    manifest: manifest.clone(),
                };
                Some((place.host, operation))
            })
            .collect(),
        Step::StopVolume(volume) => gluster(Gluster::Stop(volume)),
        Step::DeleteVolume(volume) => gluster(Gluster::Delete(volume)),
        Step::TrashBricks { places, name } => places
            .into_iter()
            .filter_map(|place| {
                let operation = Operation::TrashBrick {
                    trash: place.trash(&name).parse().ok()?,
                    device: place.device,
                    parent: place.parent,
                };
                Some((place.host, operation))
            })
            .collect(),
    }
}

fn allow(value: &str) -> Option<(OptionKey, OptionValue)> {
    option(ALLOW_OPTION, value)
}

fn option(key: &str, value: &str) -> Option<(OptionKey, OptionValue)> {
    Some((key.parse().ok()?, value.parse().ok()?))
}
