//! What a picture of a pool looks like after a step, when the step goes well: so that a plan can be told to its end
//! without taking it. Nothing is ever done for what is expected; a reconcile plans from what it sees.

use std::collections::BTreeMap;

use crate::gluster::model::{
    BrickClients, BrickFacts, HostFacts, HostView, Peer, PoolView, QuotaLimit, QuotaView, Volume,
    VolumeBrick, VolumeStatus, VolumeView,
};
use crate::gluster::names::{
    ALLOW_NOBODY, ALLOW_OPTION, Brick, Bytes, HostName, OptionKey, OptionValue, VolumeName,
};
use crate::gluster::operation::SetShape;

use super::step::Step;

/// Changes both pictures as the step would change the pool.
pub fn after(step: &Step, pool: &mut PoolView, view: &mut VolumeView) {
    match step {
        Step::ClaimHost { host, owner, .. } => {
            if let Some(facts) = facts(pool, host) {
                facts.owner = Some(owner.to_string());
            }
        }
        Step::ReleaseHost { host } => {
            if let Some(facts) = facts(pool, host) {
                facts.owner = None;
            }
        }
        Step::ProbePeer { host } => probe(pool, host),
        Step::SetPoolOptions(options) => {
            for facts in all(pool) {
                facts.state.global_options.extend(strings(options));
            }
        }
        Step::DetachPeer { host } => {
            for facts in all(pool) {
                let peers = &mut facts.state.peers;
                peers.retain(|peer| !peer.is_named(host.as_str()));
            }
        }
        Step::ResetPoolOption(key) => {
            for facts in all(pool) {
                facts.state.global_options.remove(key.as_str());
            }
        }
        Step::RaiseOpVersion(version) => {
            for facts in all(pool) {
                facts.state.op_version = *version;
            }
        }
        Step::MakeBricks { places, mark } => {
            for place in places {
                let made = BrickFacts::Present {
                    owner: Some(mark.clone()),
                    foreign_mark: false,
                    volume_id: None,
                    empty: true,
                };
                view.bricks.insert(place.brick(), made);
            }
        }
        Step::MarkBricks { bricks, mark } => {
            for brick in bricks {
                if let Some(BrickFacts::Present { owner, .. }) = view.bricks.get_mut(brick) {
                    *owner = Some(mark.clone());
                }
            }
        }
        Step::CreateVolume {
            volume,
            shape,
            bricks,
        } => {
            for facts in all(pool) {
                facts.state.volumes.push(created(volume, *shape, bricks));
            }
        }
        Step::SetOptions {
            volume, options, ..
        } => set(pool, volume, &strings(options)),
        Step::ResetOption { volume, key } => {
            for volume in volumes(pool, volume) {
                volume.options.remove(key.as_str());
            }
        }
        Step::StartVolume(volume) | Step::StartBricks(volume) => {
            run(pool, volume, VolumeStatus::Started);
        }
        Step::StopVolume(volume) => run(pool, volume, VolumeStatus::Stopped),
        Step::EnableQuota(volume) => {
            set(
                pool,
                volume,
                &[("features.quota".to_owned(), "on".to_owned())],
            );
            view.crawling = Some(false);
            view.quota = QuotaView::NoLimit;
        }
        Step::LimitUsage(_, limit) => {
            let used = match &view.quota {
                QuotaView::Limit(before) => before.used,
                QuotaView::Unknown | QuotaView::Off | QuotaView::NoLimit => Bytes(0),
            };
            view.quota = QuotaView::Limit(QuotaLimit {
                path: "/".to_owned(),
                hard_limit: *limit,
                used,
            });
        }
        Step::RemoveLimit(_) => view.quota = QuotaView::NoLimit,
        Step::Fence { volume, .. } => {
            set(
                pool,
                volume,
                &[(ALLOW_OPTION.to_owned(), ALLOW_NOBODY.to_owned())],
            );
            view.clients = Some(nobody(pool, volume));
        }
        Step::Admit {
            volume, addresses, ..
        } => set(
            pool,
            volume,
            &[(ALLOW_OPTION.to_owned(), addresses.to_string())],
        ),
        // in neither picture
        Step::WriteManifest { .. }
        | Step::WritePingTimeout { .. }
        | Step::PurgeTrash { .. }
        | Step::NoteTrash { .. }
        | Step::ForgetTrash { .. } => {}
        Step::DeleteVolume(volume) => {
            for facts in all(pool) {
                facts
                    .state
                    .volumes
                    .retain(|other| other.name != volume.as_str());
            }
        }
        Step::TrashBricks { places, .. } => {
            for place in places {
                view.bricks.insert(place.brick(), BrickFacts::Missing);
            }
        }
    }
}

fn all(pool: &mut PoolView) -> impl Iterator<Item = &mut HostFacts> {
    pool.hosts.values_mut().filter_map(|view| match view {
        HostView::Answered(facts) => Some(facts.as_mut()),
        HostView::Silent { .. } => None,
    })
}

fn facts<'a>(pool: &'a mut PoolView, host: &HostName) -> Option<&'a mut HostFacts> {
    match pool.hosts.get_mut(host) {
        Some(HostView::Answered(facts)) => Some(facts.as_mut()),
        _ => None,
    }
}

fn volumes<'a>(
    pool: &'a mut PoolView,
    name: &'a VolumeName,
) -> impl Iterator<Item = &'a mut Volume> {
    all(pool)
        .flat_map(|facts| &mut facts.state.volumes)
        .filter(|volume| volume.name == name.as_str())
}

fn strings(options: &BTreeMap<OptionKey, OptionValue>) -> Vec<(String, String)> {
    let pair = |(key, value): (&OptionKey, &OptionValue)| (key.to_string(), value.to_string());
    options.iter().map(pair).collect()
}

fn set(pool: &mut PoolView, name: &VolumeName, options: &[(String, String)]) {
    for volume in volumes(pool, name) {
        volume.options.extend(options.iter().cloned());
    }
}

/// A host joins the others: each knows each.
fn probe(pool: &mut PoolView, host: &HostName) {
    let Some(uuid) = facts(pool, host).and_then(|facts| facts.state.uuid.clone()) else {
        return;
    };
    let peer = |hostname: &HostName, uuid| Peer {
        uuid,
        hostname: hostname.to_string(),
        other_names: Vec::new(),
        state: "Peer in Cluster".to_owned(),
        connected: true,
    };
    // the pool that it joins: hosts which have peers, or one that is alone
    let members: Vec<_> = pool
        .answered()
        .filter(|(name, _)| *name != host)
        .filter_map(|(name, facts)| Some((name.clone(), facts.state.uuid.clone()?)))
        .collect();
    let known: Vec<Peer> = members
        .iter()
        .map(|(name, uuid)| peer(name, uuid.clone()))
        .collect();
    for (name, _) in members {
        let Some(facts) = facts(pool, &name) else {
            continue;
        };
        match facts.state.peers.iter_mut().find(|peer| peer.uuid == uuid) {
            Some(known) => known.other_names.push(host.to_string()),
            None => facts.state.peers.push(peer(host, uuid.clone())),
        }
    }
    if let Some(facts) = facts(pool, host)
        && facts.state.peers.is_empty()
    {
        facts.state.peers = known;
    }
}

fn created(name: &VolumeName, shape: SetShape, bricks: &[Brick]) -> Volume {
    let size = shape.size();
    let sets = bricks.len() / (size as usize).max(1);
    let kind = match shape {
        SetShape::Distribute => "Distribute",
        SetShape::Replicate { .. } | SetShape::Arbiter => "Replicate",
        SetShape::Disperse { .. } => "Disperse",
    };
    let type_name = if sets > 1 && shape != SetShape::Distribute {
        format!("Distributed-{kind}")
    } else {
        kind.to_owned()
    };
    let (replicas, dispersed, redundancy) = match shape {
        SetShape::Distribute => (1, 0, 0),
        SetShape::Replicate { .. } | SetShape::Arbiter => (size, 0, 0),
        SetShape::Disperse { redundancy, .. } => (1, size, redundancy),
    };
    let brick = |(at, brick): (usize, &Brick)| VolumeBrick {
        host: brick.host.to_string(),
        path: brick.path.to_string(),
        online: None,
        port: None,
        arbiter: shape == SetShape::Arbiter && (at + 1) % 3 == 0,
    };
    Volume {
        name: name.to_string(),
        id: "its id".to_owned(),
        type_name,
        status: VolumeStatus::Created,
        bricks: bricks.iter().enumerate().map(brick).collect(),
        replica_count: replicas,
        arbiter_count: u32::from(shape == SetShape::Arbiter),
        disperse_count: dispersed,
        redundancy_count: redundancy,
        options: BTreeMap::new(),
    }
}

fn run(pool: &mut PoolView, name: &VolumeName, status: VolumeStatus) {
    for (host, view) in &mut pool.hosts {
        let HostView::Answered(facts) = view else {
            continue;
        };
        let same = |volume: &&mut Volume| volume.name == name.as_str();
        for volume in facts.state.volumes.iter_mut().filter(same) {
            volume.status = status;
            for brick in &mut volume.bricks {
                if brick.host == host.as_str() {
                    brick.online = Some(status == VolumeStatus::Started);
                }
            }
        }
    }
}

/// All bricks, without clients.
fn nobody(pool: &PoolView, name: &VolumeName) -> Vec<BrickClients> {
    let volume = pool
        .answered()
        .find_map(|(_, facts)| facts.state.volume(name));
    let bricks = volume.iter().flat_map(|volume| &volume.bricks);
    let empty = |brick: &VolumeBrick| BrickClients {
        host: brick.host.clone(),
        path: brick.path.clone(),
        clients: Some(Vec::new()),
    };
    bricks.map(empty).collect()
}
