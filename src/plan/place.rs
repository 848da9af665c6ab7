//! Where bricks go.

use crate::gluster::model::{BrickFacts, DeviceFacts, PoolView, VolumeView};
use crate::gluster::names::{Brick, HostName, HostPath};

use super::step::BrickPlace;
use super::validate::{ValidCluster, ValidNode, ValidVolume, below};

/// `<volume>-<8 hex of the object's uid>`: the name of a volume's directories, on devices and in the trash. A volume made
/// again under the same name never meets the bricks of the one before.
pub fn directory_name(want: &ValidVolume) -> String {
    format!("{}-{}", want.volume, &want.uid.as_str()[..8])
}

/// True when bricks may be made on that device: it is there, and it is a mounted file system of its own.
pub fn device_ready(facts: Option<&DeviceFacts>, device: &HostPath) -> Result<(), String> {
    match facts {
        None => Err("was not looked at".into()),
        Some(DeviceFacts::Unknown(why)) => Err(format!("can't be looked at: {why}")),
        Some(DeviceFacts::Missing) => {
            Err("does not exist; make it and mount the brick file system there".into())
        }
        Some(DeviceFacts::Present { mount_point, .. }) if mount_point == device.as_str() => Ok(()),
        Some(DeviceFacts::Present { mount_point, .. }) => Err(format!(
            "is not a mount point: it lies on the file system of {mount_point}; mount the brick file system there"
        )),
    }
}

/// The places of all bricks of a volume, in gluster's order. Deterministic in its arguments.
///
/// # Errors
/// When it does not fit: the arithmetic, in words.
pub fn bricks(
    want: &ValidVolume,
    cluster: &ValidCluster,
    pool: &PoolView,
    view: &VolumeView,
) -> Result<Vec<BrickPlace>, String> {
    if let Some(bricks) = &want.bricks {
        return bricks
            .iter()
            .map(|brick| {
                let device = cluster
                    .device_of(brick)
                    .ok_or_else(|| format!("{brick} lies below no device"))?;
                usable(pool, &brick.host, device)?;
                apart(pool, brick)?;
                Ok(BrickPlace {
                    host: brick.host.clone(),
                    device: device.clone(),
                    parent: brick.path.clone(),
                    path: brick.path.clone(),
                })
            })
            .collect();
    }
    let needed = want.sets as usize * want.set_size() as usize;
    let mut reasons = Vec::new();
    let mut places = Vec::new();
    // begin at another host for each volume, so that the first hosts of the list do not carry everything
    let start = usize::from_str_radix(&want.uid.as_str()[..8], 16).unwrap_or(0)
        % cluster.nodes.len().max(1);
    for node in cluster
        .nodes
        .iter()
        .cycle()
        .skip(start)
        .take(cluster.nodes.len())
    {
        match place_on(want, node, pool, view) {
            Ok(place) => places.push(place),
            Err(why) => reasons.push(why),
        }
    }
    if places.len() < needed {
        let have = places.len();
        let why = if reasons.is_empty() {
            "no other host is listed".into()
        } else {
            reasons.join("; ")
        };
        return Err(format!(
            "needs {needed} hosts with a device for bricks (one brick a host), has {have}: {why}"
        ));
    }
    // free space and answers change between two tries: what was begun is gone on with, so that nothing half made stays
    let mut places: Vec<_> = places.into_iter().enumerate().collect();
    places.sort_by_key(|(_, place)| !begun(want, place, view));
    places.truncate(needed);
    // the order of bricks stays what it would have been
    places.sort_by_key(|(at, _)| *at);
    Ok(places.into_iter().map(|(_, place)| place).collect())
}

fn begun(want: &ValidVolume, place: &BrickPlace, view: &VolumeView) -> bool {
    matches!(view.bricks.get(&place.brick()), Some(BrickFacts::Present { owner: Some(owner), .. }) if *owner == want.mark)
}

/// A brick that a user names lies neither in the brick of another volume nor around one: its directory would be made
/// before gluster refuses it. Hosts have several names, so the paths alone are compared.
fn apart(pool: &PoolView, brick: &Brick) -> Result<(), String> {
    for (_, facts) in pool.answered() {
        for volume in &facts.state.volumes {
            for other in &volume.bricks {
                let Ok(path) = other.path.parse::<HostPath>() else {
                    continue;
                };
                if below(&path, &brick.path) || below(&brick.path, &path) {
                    return Err(format!(
                        "{brick} and the brick {}:{path} of volume {} lie in each other",
                        other.host, volume.name
                    ));
                }
            }
        }
    }
    Ok(())
}

fn usable(pool: &PoolView, host: &HostName, device: &HostPath) -> Result<(), String> {
    let facts = pool
        .facts(host)
        .ok_or_else(|| format!("{host} does not answer"))?;
    device_ready(facts.devices.get(device), device).map_err(|why| format!("{host}: {device} {why}"))
}

fn free(pool: &PoolView, host: &HostName, device: &HostPath) -> u64 {
    match pool.facts(host).and_then(|facts| facts.devices.get(device)) {
        Some(DeviceFacts::Present { free, .. }) => free.0,
        _ => 0,
    }
}

fn place_on(
    want: &ValidVolume,
    node: &ValidNode,
    pool: &PoolView,
    view: &VolumeView,
) -> Result<BrickPlace, String> {
    let mut why = format!("{} lists no device", node.name);
    let mut devices: Vec<&HostPath> = node.devices.iter().collect();
    // where an earlier try has begun; then the emptiest first; the first of the list where they are equal
    devices.sort_by_key(|device| {
        let begun =
            candidate(want, &node.name, device).is_some_and(|place| begun(want, &place, view));
        std::cmp::Reverse((begun, free(pool, &node.name, device)))
    });
    for device in devices {
        match usable(pool, &node.name, device) {
            Ok(()) => {
                let place = candidate(want, &node.name, device).ok_or_else(|| {
                    format!("{}: the path of a brick on {device} is too long", node.name)
                })?;
                return Ok(place);
            }
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

fn candidate(want: &ValidVolume, host: &HostName, device: &HostPath) -> Option<BrickPlace> {
    let parent = format!("{device}/{}", directory_name(want));
    let path = format!("{parent}/brick").parse().ok()?;
    Some(BrickPlace {
        host: host.clone(),
        device: device.clone(),
        parent: parent.parse().ok()?,
        path,
    })
}

/// The place of a brick that gluster has: one that the spec names, or one in a directory that we placed for a volume of
/// this name. That directory may be named after an object of before, whose volume was retained and taken back.
pub fn of_brick(want: &ValidVolume, cluster: &ValidCluster, brick: &Brick) -> Option<BrickPlace> {
    let device = cluster.device_of(brick)?.clone();
    if let Some(bricks) = &want.bricks {
        return bricks.contains(brick).then(|| BrickPlace {
            host: brick.host.clone(),
            device,
            parent: brick.path.clone(),
            path: brick.path.clone(),
        });
    }
    let parent = brick.path.as_str().strip_suffix("/brick")?;
    let name = parent.strip_prefix(device.as_str())?.strip_prefix('/')?;
    let digits = name.strip_prefix(want.volume.as_str())?.strip_prefix('-')?;
    let ours = digits.len() == 8 && digits.chars().all(|c| c.is_ascii_hexdigit());
    Some(BrickPlace {
        host: brick.host.clone(),
        parent: parent.parse().ok().filter(|_| ours)?,
        device,
        path: brick.path.clone(),
    })
}

/// Every place where a brick of this volume may lie, whether or not it fits there now: where to look for leftovers.
pub fn candidates(want: &ValidVolume, cluster: &ValidCluster) -> Vec<BrickPlace> {
    if let Some(bricks) = &want.bricks {
        return bricks
            .iter()
            .filter_map(|brick| {
                let device = cluster.device_of(brick)?.clone();
                Some(BrickPlace {
                    host: brick.host.clone(),
                    device,
                    parent: brick.path.clone(),
                    path: brick.path.clone(),
                })
            })
            .collect();
    }
    let pairs = cluster
        .nodes
        .iter()
        .flat_map(|node| node.devices.iter().map(move |device| (&node.name, device)));
    pairs
        .filter_map(|(host, device)| candidate(want, host, device))
        .collect()
}
