//! When bricks of deleted volumes are destroyed for good. The only steps here destroy; each needs all of this:
//!
//! - the spec's retention is not `Never`, and the pool is ours;
//! - every host answers, so that no volume is overlooked: none has a brick in the trash, or the id of the entry's brick;
//! - the brick root carries a mark of this pool's owner, and nothing else lies in the entry;
//! - **two clocks agree** that it is old enough: the host's own, on the time when the directory was moved there (its ctime, which
//!   nobody can set), and ours against the time in the manifest, which another process of ours may have written under another
//!   clock. A clock that is wrong keeps bricks longer, and never destroys them earlier. A creation that was cut off has no manifest;
//!   what it left is empty, and its name tells the time. Anything else without a manifest gets one when it is found, and stays for the
//!   whole retention from then on;
//! - its device is mounted where the spec says, and nothing is mounted in it.

use std::collections::BTreeSet;

use crate::gluster::model::{DeviceFacts, Marks, PoolView, TrashEntry, TrashItem, TrashListing};
use crate::gluster::names::{HostName, HostPath, TrashName};

use super::step::Step;
use super::validate::{TrashPolicy, ValidCluster};

/// Nothing is destroyed for the sake of free space within its first hour, seconds.
const GRACE: u64 = 3600;

/// A device's trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTrash {
    /// The host.
    pub host: HostName,
    /// The mount point.
    pub device: HostPath,
    /// What lies there.
    pub listing: TrashListing,
}

/// Something that may be old enough: look at it, then ask [`judge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The host.
    pub host: HostName,
    /// The mount point.
    pub device: HostPath,
    /// The entry.
    pub item: TrashItem,
    /// How old it has to be by the manifest, seconds.
    pub age: u64,
    /// The mount points in it.
    pub mounts: Vec<String>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may go.
    Purge(Step),
    /// It has no manifest, so nothing tells when it came there but the host's clock: it gets one, with the time of now.
    Note(Step),
    /// It is ours and stays for now.
    Young,
    /// It is left alone, and people are told.
    Kept(String),
}

/// Why nothing is destroyed now; `None`: it may be.
pub fn held(want: &ValidCluster, pool: &PoolView) -> Option<String> {
    if want.trash.retention.is_none() {
        return Some("spec.trash.retention is Never".into());
    }
    if let Some((host, why, _)) = pool.silent().next() {
        return Some(format!("{host} does not answer ({why})"));
    }
    let strange = pool
        .answered()
        .find(|(_, facts)| facts.owner.as_deref() != Some(want.owner.as_str()));
    strange.map(|(host, _)| format!("the owner file of {host} is not ours"))
}

fn is_full(pool: &PoolView, trash: &DeviceTrash, policy: TrashPolicy) -> bool {
    match pool
        .facts(&trash.host)
        .and_then(|facts| facts.devices.get(&trash.device))
    {
        Some(DeviceFacts::Present {
            mount_point,
            size,
            free,
            ..
        }) if mount_point == trash.device.as_str() => {
            u128::from(free.0) * 100 < u128::from(size.0) * u128::from(policy.min_free_percent)
        }
        _ => false,
    }
}

/// What may be old enough, by the host's own clock; behind it, where the device is nearly full, what may go before its time, the
/// oldest first.
pub fn candidates(want: &ValidCluster, pool: &PoolView, trash: &DeviceTrash) -> Vec<Candidate> {
    let Some(retention) = want.trash.retention else {
        return Vec::new();
    };
    let listing = &trash.listing;
    let make = |item: &TrashItem, age: u64| {
        let inside = format!("{}/.trash/{}", trash.device, item.name);
        let within = |at: &&String| {
            at.strip_prefix(inside.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        Candidate {
            host: trash.host.clone(),
            device: trash.device.clone(),
            item: item.clone(),
            age,
            mounts: listing.mounts.iter().filter(within).cloned().collect(),
        }
    };
    let old = |item: &TrashItem, age: u64| {
        item.purging || age_of(listing.clock, item.changed) >= Some(age)
    };
    let (expired, mut rest): (Vec<&TrashItem>, Vec<&TrashItem>) =
        listing.items.iter().partition(|item| old(item, retention));
    let mut found: Vec<Candidate> = expired
        .into_iter()
        .map(|item| make(item, retention))
        .collect();
    if is_full(pool, trash, want.trash) {
        let age = retention.min(GRACE);
        rest.retain(|item| old(item, age));
        rest.sort_by_key(|item| (item.changed, &item.name));
        found.extend(rest.into_iter().map(|item| make(item, age)));
    }
    found
}

/// True for what goes before its time, for the sake of free space: at most one such is destroyed at a look, and only where nothing
/// else was, since the next look tells whether that was enough.
pub fn is_early(want: &ValidCluster, candidate: &Candidate) -> bool {
    want.trash
        .retention
        .is_some_and(|retention| candidate.age < retention)
}

/// `None`: it lies in the future.
fn age_of(now: u64, then: u64) -> Option<u64> {
    now.checked_sub(then)
}

/// What a manifest says that matters here.
struct Manifest {
    deleted_at: u64,
    volume_id: String,
    owner: String,
}

fn manifest(text: &str) -> Option<Manifest> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(Manifest {
        deleted_at: json["deletedAt"].as_u64()?,
        volume_id: json["volumeId"].as_str()?.to_owned(),
        owner: json["owner"].as_str()?.to_owned(),
    })
}

/// The manifest of what has none. It tells as much as is known, and how to get a volume back is not.
fn note(brick: &Marks, now: u64) -> String {
    let manifest = serde_json::json!({
        "version": 1,
        "owner": brick.owner.as_ref().map(ToString::to_string),
        "volumeId": brick.volume_id.as_deref().unwrap_or_default(),
        "deletedAt": now,
        "note": "there was no manifest: deletedAt is when this was found, name and bricks of the volume are not known",
    });
    format!("{manifest:#}\n")
}

/// The time in the name of what a creation left that was cut off.
fn torn_at(name: &TrashName) -> Option<u64> {
    let (head, rest) = name.as_str().rsplit_once("-torn-")?;
    let time = match rest.split_once('-') {
        // a brick that was named by hand has 8 digits of its path behind it, a further one on the device its number
        Some((time, end)) if matches!(end.len(), 1 | 8) => time,
        Some(_) => return None,
        None => rest,
    };
    // `x-torn-1-0a1b2c3d` is the directory of a volume of that name
    head.parse::<TrashName>().ok()?;
    time.parse().ok()
}

/// Judges an entry after a close look at it. `now` is our own clock, seconds since 1970.
pub fn judge(
    want: &ValidCluster,
    pool: &PoolView,
    candidate: &Candidate,
    entry: &TrashEntry,
    now: u64,
) -> Verdict {
    let Candidate {
        host, device, item, ..
    } = candidate;
    let path = format!("{device}/.trash/{}", item.name);
    let kept = |why: String| Verdict::Kept(format!("{host}:{path} {why}"));
    // behind a link the trash is that of another file system, and the table of mounts has it under another name
    let mounted = matches!(
        pool.facts(host).and_then(|facts| facts.devices.get(device)),
        Some(DeviceFacts::Present { mount_point, .. }) if mount_point == device.as_str()
    );
    if !mounted {
        return kept(format!(
            "can't be told from what is elsewhere: nothing is mounted at {device}"
        ));
    }
    if let Some(at) = candidate.mounts.iter().chain(&entry.mounts).next() {
        return kept(format!("has something mounted in it ({at})"));
    }
    let ours = |marks: &Marks| {
        !marks.foreign_mark
            && marks
                .owner
                .as_ref()
                .is_some_and(|mark| mark.pool_owner() == Some(want.owner.as_str()))
    };
    let bare = |marks: &Marks| *marks == Marks::default();
    let brick = match &entry.brick {
        // a brick that was named by hand is the entry itself, whatever lies in it
        _ if ours(&entry.own) => &entry.own,
        Some(brick) if bare(&entry.own) && ours(brick) && entry.only_a_brick => brick,
        Some(_) if !entry.only_a_brick => {
            return kept("holds other things than a brick".into());
        }
        // all of it is gone but for the directory, which rm did not come to
        None if item.purging && bare(&entry.own) && entry.only_a_brick => &entry.own,
        _ => return kept("does not carry the mark of this pool".into()),
    };
    if let Some(why) = in_gluster(pool, Some(&path), brick.volume_id.as_deref(), "") {
        return kept(why);
    }
    let purge = Verdict::Purge(Step::PurgeTrash {
        host: host.clone(),
        device: device.clone(),
        name: item.name.clone(),
        manifest: item.manifest,
    });
    if item.purging {
        return purge;
    }
    let since = match (&entry.manifest, torn_at(&item.name)) {
        (Some(text), _) => {
            let Some(found) = manifest(text) else {
                return kept("has a manifest that can't be read".into());
            };
            let same = brick.owner.as_ref().map(ToString::to_string) == Some(found.owner)
                && brick
                    .volume_id
                    .as_ref()
                    .is_none_or(|id| *id == found.volume_id);
            if !same {
                return kept("has the manifest of another volume".into());
            }
            found.deleted_at
        }
        (None, Some(time)) => time,
        // somebody removed it, or a deletion was cut off before it came to write one
        (None, None) => {
            return Verdict::Note(Step::NoteTrash {
                host: host.clone(),
                device: device.clone(),
                name: item.name.clone(),
                manifest: note(brick, now),
            });
        }
    };
    if age_of(now, since) < Some(candidate.age) {
        return Verdict::Young;
    }
    purge
}

/// Why a volume that gluster has may need it: by its path, where that is such that no other host has the like, and by the
/// volume-id of the brick. The volume `but` is passed over.
pub(super) fn in_gluster(
    pool: &PoolView,
    path: Option<&str>,
    volume_id: Option<&str>,
    but: &str,
) -> Option<String> {
    let touches = |path: &str, other: &str| {
        let inside = |a: &str, b: &str| {
            a.strip_prefix(b)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        inside(other, path) || inside(path, other)
    };
    for (_, facts) in pool.answered() {
        for volume in facts.state.volumes.iter().filter(|one| one.name != but) {
            if volume_id == Some(volume.id.as_str()) {
                return Some(format!(
                    "is a brick of volume {}, which exists",
                    volume.name
                ));
            }
            let mut bricks = volume.bricks.iter();
            if path.is_some_and(|path| bricks.any(|brick| touches(path, &brick.path))) {
                return Some(format!("is where volume {} has a brick", volume.name));
            }
        }
    }
    None
}

/// What lies in trashes that we did not put there, for people: at most ten names.
pub fn strange(all: &[DeviceTrash]) -> Vec<String> {
    let names: BTreeSet<String> = all
        .iter()
        .flat_map(|trash| {
            trash.listing.strange.iter().map(move |name| {
                format!(
                    "{}:{}/.trash/{}",
                    trash.host,
                    trash.device,
                    name.escape_default()
                )
            })
        })
        .collect();
    names.into_iter().take(10).collect()
}
