//! Sets and shards of a volume that exists, against those that are declared. A layout is for ever.

use std::collections::BTreeMap;

use crate::gluster::model::{Volume, VolumeStatus};
use crate::gluster::names::{Bytes, OptionKey, OptionValue};
use crate::gluster::operation::SetShape;

use super::options::pairs;
use super::validate::ValidVolume;
use super::volume::bricks_of;

/// Whether large files are cut into blocks.
pub const SHARD: &str = "features.shard";
/// The size of those, in bytes; 64 MiB where it was not set.
pub const SHARD_SIZE: &str = "features.shard-block-size";

/// Sharding, which is set before the first start and never changed after it: files that were written with one size of blocks
/// are garbage with another, or without.
pub fn shard_options(want: &ValidVolume) -> BTreeMap<OptionKey, OptionValue> {
    want.shard.map_or_else(BTreeMap::new, |Bytes(size)| {
        pairs(&[(SHARD, "on"), (SHARD_SIZE, &size.to_string())])
    })
}

/// The size of the blocks into which a volume cuts large files; `None` when it does not. As a number of bytes where that is
/// how it was set, which is how we set it.
fn shard_of(volume: &Volume) -> Option<String> {
    let option = |key: &str| volume.options.get(key).map(String::as_str);
    matches!(option(SHARD), Some("on" | "enable" | "yes" | "true" | "1"))
        .then(|| option(SHARD_SIZE).unwrap_or("67108864").to_owned())
}

/// How the layout of a volume that exists differs from the declared one, in words; `None` when it does not.
pub fn differs(want: &ValidVolume, volume: &Volume) -> Option<String> {
    let shape = shape_of(volume);
    let bricks = volume.bricks.len();
    let same = shape == want.shape && bricks == want.set_size() as usize * want.sets as usize;
    let same_bricks = want
        .bricks
        .as_ref()
        .is_none_or(|wanted| *wanted == bricks_of(volume));
    let blocks = want.shard.map(|Bytes(size)| size.to_string());
    // before the first start it has no files, and is still to be set
    if same && same_bricks && volume.status != VolumeStatus::Created && shard_of(volume) != blocks {
        let words = |blocks: Option<String>| {
            blocks.map_or_else(
                || "does not cut files into shards".to_owned(),
                |size| format!("cuts files into shards of {size} bytes"),
            )
        };
        return Some(format!(
            "volume {} {}, the spec's {}; on a volume with data that is never changed, since files could not be read any more",
            want.volume,
            words(shard_of(volume)),
            words(blocks)
        ));
    }
    (!same || !same_bricks).then(|| {
        format!(
            "volume {} is {} with {bricks} bricks ({}) in sets of {}, the spec declares {} sets of {}; a layout is not changed by an edit",
            want.volume, volume.type_name,
            volume.bricks.iter().map(|brick| format!("{}:{}", brick.host, brick.path)).collect::<Vec<_>>().join(" "),
            in_words(shape), want.sets, in_words(want.shape)
        )
    })
}

/// The sets of a volume that exists, by gluster's counts.
pub fn shape_of(volume: &Volume) -> SetShape {
    match (
        volume.disperse_count,
        volume.arbiter_count,
        volume.replica_count,
    ) {
        (0, 0, 0 | 1) => SetShape::Distribute,
        (0, 1, 3) => SetShape::Arbiter,
        (0, _, copies) => SetShape::Replicate { copies },
        (count, ..) => SetShape::Disperse {
            data: count.saturating_sub(volume.redundancy_count),
            redundancy: volume.redundancy_count,
        },
    }
}

fn in_words(shape: SetShape) -> String {
    match shape {
        SetShape::Distribute => "one brick".into(),
        SetShape::Replicate { copies } => format!("{copies} copies"),
        SetShape::Arbiter => "two copies and an arbiter".into(),
        SetShape::Disperse { data, redundancy } => {
            format!("{data} bricks of data and {redundancy} of redundancy")
        }
    }
}
