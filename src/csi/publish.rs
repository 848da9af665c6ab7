//! NodePublish and NodeUnpublish: a bind mount of the staged volume, one per pod.

use std::path::Path;

use tokio::time::Instant;

use super::context::VolumeContext;
use super::mount::{Health, bind, detach_all, health, read_mounts, unmount_all};
use super::mountinfo::{Mount, Mounts};
use super::node::Plugin;
use super::stage::{mounts_of, stage};
use super::status::Failure;

/// What a pod asks for.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The volume.
    pub context: &'a VolumeContext,
    /// Where it is staged.
    pub staging: &'a Path,
    /// Where the pod wants it.
    pub target: &'a Path,
    /// Bound read-only.
    pub read_only: bool,
    /// No second target on this node.
    pub single_target: bool,
    /// One node at a time may have the volume.
    pub one_node: bool,
}

/// Has the volume bound at its target when it returns, and alive. A staged volume whose client died (as all do with
/// the plugin's container) is staged again first: the kubelet would not ask for that.
pub async fn publish(
    plugin: &Plugin,
    wish: &Publication<'_>,
    deadline: Instant,
) -> Result<(), Failure> {
    let mounts = read_mounts().await?;
    if let Some(mount) = mounts.at(wish.target)
        && published(plugin, wish, mount, &mounts, deadline).await?
    {
        return Ok(());
    }
    refuse_second_target(plugin, wish, &mounts)?;
    let staged = stage(plugin, wish.context, wish.one_node, wish.staging, deadline).await?;
    let made = make_directory(wish.target).await?;
    let bound = bind(&plugin.programs, &staged, wish.target, wish.read_only).await;
    if bound.is_err()
        && made
        && let Err(error) = tokio::fs::remove_dir(wish.target).await
    {
        tracing::warn!(target = %wish.target.display(), %error, "a directory of ours stays behind");
    }
    bound
}

/// True if what is mounted at the target is what the pod asks for. A dead mount is removed.
async fn published(
    plugin: &Plugin,
    wish: &Publication<'_>,
    mount: &Mount,
    mounts: &Mounts,
    deadline: Instant,
) -> Result<bool, Failure> {
    let occupied = |found: String| {
        Err(Failure::Occupied {
            path: wish.target.to_owned(),
            found,
        })
    };
    if !mounts_of(wish.context, mounts).any(|ours| ours == mount) {
        return occupied(format!(
            "has a mount of {:?}, type {}",
            mount.source, mount.fs_type
        ));
    }
    let state = health(&plugin.programs, mount, wish.staging, deadline).await?;
    // A client that was replaced was killed before: what it served is dead, whatever its successor does.
    let replaced = mounts
        .at(wish.staging)
        .is_some_and(|staged| staged.device != mount.device);
    match state {
        Health::Alive if mount.read_only == wish.read_only => Ok(true),
        Health::Alive => {
            let mode = if mount.read_only {
                "read-only"
            } else {
                "writable"
            };
            occupied(format!("has this volume already, but {mode}"))
        }
        Health::Unwell(why) if !replaced => Err(Failure::Unwell {
            path: wish.target.to_owned(),
            why,
        }),
        Health::Unwell(why) | Health::Dead(why) => {
            tracing::warn!(volume = %wish.context.id, why, "remove a dead bind mount");
            detach_all(&plugin.programs, wish.target).await?;
            Ok(false)
        }
    }
}

fn refuse_second_target(
    plugin: &Plugin,
    wish: &Publication<'_>,
    mounts: &Mounts,
) -> Result<(), Failure> {
    if !wish.single_target {
        return Ok(());
    }
    let other = mounts_of(wish.context, mounts).find(|mount| {
        plugin.kubelet.contains(&mount.mount_point)
            && mount.mount_point != wish.target
            && mount.mount_point != wish.staging
    });
    match other {
        None => Ok(()),
        Some(other) => Err(Failure::Precondition(format!(
            "volume {} may be used by one pod alone, and is published at {}",
            wish.context.id,
            other.mount_point.display()
        ))),
    }
}

/// Makes the target directory; true if it was not there. What it holds already would be hidden by the mount, and
/// would keep the directory from being removed.
async fn make_directory(target: &Path) -> Result<bool, Failure> {
    match tokio::fs::DirBuilder::new()
        .mode(0o750)
        .create(target)
        .await
    {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Failure::io(format!("make {}", target.display()))(error)),
    }
    let read = || Failure::io(format!("read {}", target.display()));
    let mut entries = tokio::fs::read_dir(target).await.map_err(read())?;
    if entries.next_entry().await.map_err(read())?.is_some() {
        let text = format!(
            "{} is not empty, and nothing is mounted there",
            target.display()
        );
        return Err(Failure::Precondition(text));
    }
    Ok(false)
}

/// Leaves neither mount nor directory at the target.
pub async fn unpublish(plugin: &Plugin, target: &Path) -> Result<(), Failure> {
    unmount_all(&plugin.programs, target).await?;
    match tokio::fs::remove_dir(target).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        // Somebody wrote below it while the volume was not mounted. Those files are nobody's to delete.
        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
            Err(Failure::Precondition(format!(
                "{} holds files that are on this node's disk and not on the volume; remove them by hand",
                target.display()
            )))
        }
        Err(error) => Err(Failure::io(format!("remove {}", target.display()))(error)),
    }
}
