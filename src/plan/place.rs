//! Where bricks go.

use crate::gluster::model::{BrickFacts, DeviceFacts, PoolView, VolumeView};
use crate::gluster::names::{
    BRICKS_ON_A_DEVICE, Brick, Bytes, HostName, HostPath, is_directory_end,
};
use crate::gluster::operation::SetShape;

use super::fit::{self, Load, Room, Site};
use super::step::BrickPlace;
use super::validate::{ValidCluster, ValidNode, ValidVolume, below};

/// `<volume>-<8 hex of the object's uid>`: the name of a volume's directories, on devices and in the trash. A volume made
/// again under the same name never meets the bricks of the one before.
pub fn directory_name(want: &ValidVolume) -> String {
    format!("{}-{}", want.volume, &want.uid.as_str()[..8])
}

/// The least that a brick needs: GlusterFS' own files.
const LEAST: u64 = 1 << 20;

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

/// True when bricks on that device take no more data: GlusterFS keeps a hundredth of it (`storage.reserve`).
pub fn device_full(facts: &DeviceFacts) -> bool {
    matches!(facts, DeviceFacts::Present { size, free, .. } if size.0 > 0 && free.0 <= size.0 / 100)
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
    // begin at another host for each volume, so that the first hosts of the list do not carry everything
    let start = usize::from_str_radix(&want.uid.as_str()[..8], 16).unwrap_or(0)
        % cluster.nodes.len().max(1);
    let mut nodes: Vec<&ValidNode> = cluster.nodes.iter().collect();
    nodes.rotate_left(start);
    let zones: Vec<&str> = nodes.iter().map(|node| node.zone.as_str()).collect();
    let zone_of = |node: &ValidNode| zones.iter().position(|zone| *zone == node.zone);
    let with_devices = nodes.iter().filter(|node| !node.devices.is_empty());
    let declared: Vec<usize> = with_devices.filter_map(|node| zone_of(node)).collect();
    let size = want.set_size() as usize;
    let need = Need::of(want);
    let mut sites = Vec::new();
    let mut reasons = Vec::new();
    for node in &nodes {
        let (site, why) = site(want, node, zone_of(node).unwrap_or(0), pool, view);
        sites.push(site);
        reasons.push(why);
    }
    let load = Load {
        shape: want.shape,
        sets: want.sets as usize,
        data: need.data,
        arbiter: need.arbiter,
        // a set that has not hosts enough does not fit, wherever they are
        per_zone: fit::per_zone(size, &declared).unwrap_or(size),
    };
    let Some(spots) = fit::spread(&load, &sites) else {
        return Err(shortage(want, &load, &nodes, &sites, &reasons));
    };
    spots
        .iter()
        .map(|spot| {
            let node = nodes[spot.site];
            let device = &node.devices[spot.room];
            candidate(want, &node.name, device, spot.number).ok_or_else(|| {
                format!("{}: the path of a brick on {device} is too long", node.name)
            })
        })
        .collect()
}

/// Bytes that a brick of a volume needs.
struct Need {
    data: u64,
    arbiter: u64,
}

impl Need {
    /// The capacity, shared by the sets, and in a dispersed set by its data bricks. An arbiter keeps some KiB for each file
    /// and no data: a sixteenth is enough for files of 64 KiB. Without a capacity any free space will do.
    fn of(want: &ValidVolume) -> Self {
        let sharers = match want.shape {
            SetShape::Disperse { data, .. } => u64::from(data),
            SetShape::Distribute | SetShape::Replicate { .. } | SetShape::Arbiter => 1,
        } * u64::from(want.sets);
        let data = want
            .capacity
            .map_or(0, |Bytes(bytes)| bytes.div_ceil(sharers.max(1)))
            .max(LEAST);
        Self {
            data,
            arbiter: (data / 16).max(LEAST),
        }
    }
}

/// What a host can take; and what of it can't be used, in words.
fn site(
    want: &ValidVolume,
    node: &ValidNode,
    zone: usize,
    pool: &PoolView,
    view: &VolumeView,
) -> (Site, Option<String>) {
    let mut why = node
        .devices
        .is_empty()
        .then(|| format!("{} lists no device", node.name));
    let rooms = node
        .devices
        .iter()
        .map(|device| {
            if let Err(reason) = usable(pool, &node.name, device) {
                why = Some(reason);
                // the others are listed in its place, so that it keeps its number
                return Room::default();
            }
            let begun = (1..=BRICKS_ON_A_DEVICE).filter(|number| {
                candidate(want, &node.name, device, *number)
                    .is_some_and(|place| begun(want, &place, view))
            });
            Room {
                free: free(pool, &node.name, device),
                begun: begun.collect(),
                taken: Vec::new(),
            }
        })
        .collect();
    let limit = match brick_limit(node, pool) {
        Ok(limit) => limit,
        Err(full) => {
            why = Some(full);
            0
        }
    };
    (Site { zone, rooms, limit }, why)
}

/// How many bricks one process serves with `cluster.brick-multiplex`: each has about 260 files open, and past the limit of the
/// process `volume start` still says `opRet` 0 while the brick is not online (measured: 75 bricks with 20000 files). Debian
/// gives glusterd 65536 files, other systems less: this many fit into 20000.
const PER_PROCESS: u64 = 64;

/// How many more bricks a host can run. Without multiplex each brick has a process of its own, and memory is the limit (21 MB
/// each), which nobody can tell beforehand.
fn brick_limit(node: &ValidNode, pool: &PoolView) -> Result<u64, String> {
    let Some(facts) = pool.facts(&node.name) else {
        return Ok(u64::MAX);
    };
    let option = |key: &str| facts.state.global_options.get(key).map(String::as_str);
    let multiplexed = matches!(option("cluster.brick-multiplex"), Some("on" | "enable"));
    let each = option("cluster.max-bricks-per-process").and_then(|text| text.parse::<u64>().ok());
    if !multiplexed || each.is_some_and(|each| (1..=PER_PROCESS).contains(&each)) {
        return Ok(u64::MAX);
    }
    let running = facts
        .state
        .volumes
        .iter()
        .flat_map(|volume| &volume.bricks)
        .filter(|brick| brick.online == Some(true))
        .count() as u64;
    match PER_PROCESS.saturating_sub(running) {
        0 => Err(format!(
            "{} runs {running} bricks in one process (cluster.brick-multiplex), which has not files enough for more than {PER_PROCESS}: set cluster.max-bricks-per-process to 10 in spec.options of the cluster",
            node.name
        )),
        left => Ok(left),
    }
}

/// Why a volume does not fit: what it needs, what there is, host by host.
fn shortage(
    want: &ValidVolume,
    load: &Load,
    nodes: &[&ValidNode],
    sites: &[Site],
    reasons: &[Option<String>],
) -> String {
    let size = want.set_size();
    let fits: Vec<u64> = sites.iter().map(|site| site.fits(load.data)).collect();
    let hosts = fits.iter().filter(|fits| **fits > 0).count();
    let bytes = Bytes(load.data);
    let free = if want.capacity.is_some() {
        format!("{bytes} free for a brick")
    } else {
        "a device for bricks".to_owned()
    };
    let alone = nodes.iter().all(|node| node.zone == node.name.as_str());
    let zones = match load.per_zone {
        most if alone || most >= size as usize => String::new(),
        1 => ", each in another zone".to_owned(),
        most => format!(", at most {most} in a zone"),
    };
    let (needs, has) = if load.sets == 1 {
        (
            format!("{size} hosts with {free}{zones}"),
            hosts.to_string(),
        )
    } else {
        let all = size as usize * load.sets;
        (
            format!(
                "{size} hosts with {free} for each of {} sets{zones}: {all} bricks",
                load.sets
            ),
            format!(
                "room for {} on {hosts}",
                fit::room(sites, &fits, load.sets, load.per_zone)
            ),
        )
    };
    let mut details: Vec<(&HostName, String)> = nodes
        .iter()
        .zip(sites)
        .zip(&fits)
        .zip(reasons)
        .filter_map(|(((node, site), fits), why)| {
            let zone = if zones.is_empty() {
                String::new()
            } else {
                format!(" (zone {})", node.zone)
            };
            let room = match *fits {
                0 if why.is_some() => None,
                0 => {
                    let most = site.rooms.iter().map(|room| room.free).max().unwrap_or(0);
                    Some(format!("{}{zone} has {}", node.name, rough(most)))
                }
                count if load.sets > 1 => {
                    let count = count.min(load.sets as u64);
                    Some(format!("{}{zone} has room for {count}", node.name))
                }
                _ if !zones.is_empty() => Some(format!("{}{zone} has room", node.name)),
                _ => None,
            };
            let why = why.as_ref().map(|why| format!("{why}{zone}"));
            let parts: Vec<String> = why.into_iter().chain(room).collect();
            (!parts.is_empty()).then(|| (&node.name, parts.join(", ")))
        })
        .collect();
    details.sort();
    let why = if details.is_empty() {
        "no other host is listed".into()
    } else {
        let texts: Vec<String> = details.into_iter().map(|(_, text)| text).collect();
        texts.join("; ")
    };
    format!("needs {needs}, has {has}: {why}")
}

/// Bytes for people, rounded down to three digits or so.
fn rough(bytes: u64) -> String {
    let (shift, unit) = [(40, "Ti"), (30, "Gi"), (20, "Mi")]
        .into_iter()
        .find(|(shift, _)| bytes >> shift > 0)
        .unwrap_or((10, "Ki"));
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{}{unit} free", tenths / 10, tenths % 10)
}

fn begun(want: &ValidVolume, place: &BrickPlace, view: &VolumeView) -> bool {
    matches!(view.bricks.get(&place.brick()), Some(BrickFacts::Present { owner: Some(owner), .. }) if *owner == want.mark)
}

/// A brick that a user names lies neither in the brick of another volume nor around one: its directory would be made
/// before gluster refuses it. Nor does it lie in a directory that we made for a brick, which goes to the trash as a whole. Hosts have
/// several names, so the paths alone are compared.
fn apart(pool: &PoolView, brick: &Brick) -> Result<(), String> {
    for (_, facts) in pool.answered() {
        for volume in &facts.state.volumes {
            for other in &volume.bricks {
                let Ok(path) = other.path.parse::<HostPath>() else {
                    continue;
                };
                let own =
                    own_directory(&volume.name, path.as_str()).and_then(|own| own.parse().ok());
                let is_own = own.as_ref() == Some(&brick.path);
                let taken = own.unwrap_or_else(|| path.clone());
                if is_own || below(&taken, &brick.path) || below(&brick.path, &taken) {
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

/// What bricks may use: what the file system has free (what lies in the trash is used), without the hundredth of it that
/// GlusterFS keeps (`storage.reserve`).
fn free(pool: &PoolView, host: &HostName, device: &HostPath) -> u64 {
    match pool.facts(host).and_then(|facts| facts.devices.get(device)) {
        Some(DeviceFacts::Present { free, size, .. }) => free.0.saturating_sub(size.0 / 100),
        _ => 0,
    }
}

/// The place of the `number`th brick of a volume on a device, from 1.
fn candidate(
    want: &ValidVolume,
    host: &HostName,
    device: &HostPath,
    number: u32,
) -> Option<BrickPlace> {
    let mut parent = format!("{device}/{}", directory_name(want));
    if number > 1 {
        parent = format!("{parent}-{number}");
    }
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
    let parent = own_directory(want.volume.as_str(), brick.path.as_str())?;
    let (above, _) = parent.rsplit_once('/')?;
    Some(BrickPlace {
        host: brick.host.clone(),
        parent: parent.parse().ok().filter(|_| above == device.as_str())?,
        device,
        path: brick.path.clone(),
    })
}

/// The directory that a brick of that volume has for itself, when it is such as we make them: `<volume>-<8 hex>`, with `-<number>` where a
/// device has several.
fn own_directory<'a>(volume: &str, path: &'a str) -> Option<&'a str> {
    let parent = path.strip_suffix("/brick")?;
    let (_, name) = parent.rsplit_once('/')?;
    let end = name.strip_prefix(volume)?.strip_prefix('-')?;
    is_directory_end(end).then_some(parent)
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
    // a device has no more bricks of a volume than there are sets
    let most = want.sets.min(BRICKS_ON_A_DEVICE);
    pairs
        .flat_map(|(host, device)| {
            (1..=most).filter_map(move |number| candidate(want, host, device, number))
        })
        .collect()
}
