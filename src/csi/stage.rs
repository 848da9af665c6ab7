//! NodeStage and NodeUnstage: one GlusterFS client per volume and node, at the staging path.

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::clients::{clients_of, kill_clients_of};
use super::context::VolumeContext;
use super::mount::{
    Health, Job, bind, detach_all, end_clients, health, read_mounts, try_mount, unmount_all,
};
use super::mountinfo::{Mount, Mounts};
use super::node::Plugin;
use super::servers;
use super::status::Failure;
use crate::gluster::names::HostName;

/// How long we wait between two tries.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// A try needs about this long; with less left we stop.
const LEAST_TIME: Duration = Duration::from_millis(500);

/// How one try ended without a mount.
enum Try {
    /// A reason that may go away: the servers do not admit this node yet, or do not answer.
    Again(String),
    /// A reason that stays.
    Final(Failure),
}

impl From<Failure> for Try {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// Has the volume mounted at `staging` when it returns, and alive; or nothing of a new mount is left.
///
/// It goes on trying until the deadline: the servers admit a node to a one-writer volume only after they have shut
/// out the node that had it before, so a refusal is an expected answer. `one_node`: it is such a volume.
pub async fn stage(
    plugin: &Plugin,
    context: &VolumeContext,
    one_node: bool,
    staging: &Path,
    deadline: Instant,
) -> Result<Mount, Failure> {
    let begun = Instant::now();
    let mut tries = 0;
    let mut before: Option<String> = None;
    loop {
        tries += 1;
        let mut why = match stage_once(plugin, context, one_node, staging, deadline).await {
            Ok(mount) => return Ok(mount),
            Err(Try::Final(failure)) => return Err(failure),
            Err(Try::Again(why)) => why,
        };
        tracing::info!(volume = %context.id, tries, why, "not staged yet");
        if Instant::now() + TRY_EVERY + LEAST_TIME > deadline {
            let volume = context.id.to_string();
            // the deadline may have cut the last try off, and then it is the one before that tells what is wrong
            if let Some(before) = before.filter(|before| *before != why) {
                why = format!("{why}; the one before: {before}");
            }
            return Err(Failure::NotMounted {
                volume,
                tries,
                after: begun.elapsed(),
                why,
            });
        }
        before = Some(why);
        tokio::time::sleep(TRY_EVERY).await;
    }
}

async fn stage_once(
    plugin: &Plugin,
    context: &VolumeContext,
    one_node: bool,
    staging: &Path,
    deadline: Instant,
) -> Result<Mount, Try> {
    let programs = &plugin.programs;
    let mounts = read_mounts().await?;
    if let Some(mount) = mounts.at(staging) {
        if mount.gluster().map(|(_, volume)| volume) != Some(context.id.volume.as_str()) {
            let found = format!("has a mount of {:?}, type {}", mount.source, mount.fs_type);
            return Err(Failure::Occupied {
                path: staging.to_owned(),
                found,
            }
            .into());
        }
        match health(programs, mount, staging, deadline).await? {
            Health::Alive => return Ok(mount.clone()),
            Health::Unwell(why) => {
                return Err(Try::Again(format!(
                    "it is mounted, but does not answer: {why}"
                )));
            }
            Health::Dead(why) => {
                tracing::warn!(volume = %context.id, why, "remove a dead mount");
                detach_all(programs, staging).await?;
            }
        }
    } else if let Some(mount) =
        back_from_target(plugin, context, staging, &mounts, deadline).await?
    {
        return Ok(mount);
    }
    // The kubelet makes it, and removes it.
    if !tokio::fs::try_exists(staging).await.unwrap_or(false) {
        let text = format!("the staging directory {} does not exist", staging.display());
        return Err(Failure::Precondition(text).into());
    }
    // A client without its mount: one that a predecessor of this process had just started.
    kill_clients_of(staging).await?;
    detach_all(programs, staging).await?;

    let reachable = servers::reachable(&context.servers).await;
    if reachable.is_empty() {
        let all: Vec<&str> = context
            .servers
            .iter()
            .map(|server| server.address.as_str())
            .collect();
        return Err(Try::Again(format!(
            "no server of the pool answers: {}",
            all.join(", ")
        )));
    }
    let mut servers = servers::in_order(&context.servers, &reachable);
    // a pool of one host has nobody else to ask
    if one_node && servers.len() > 1 {
        servers = servers::not_here(&servers).await;
        let answers = |server: &&HostName| reachable.contains(server.as_str());
        if !servers.iter().any(answers) {
            return Err(Try::Again(
                "of the servers of the pool this node alone answers; it lets itself in whoever has the volume, and so is not asked".to_owned(),
            ));
        }
    }
    if let Some(hosts) = &plugin.hosts {
        hosts
            .ensure(&context.id.cluster, &context.servers, &reachable, one_node)
            .await
            .map_err(Failure::from)?;
    }
    let log = plugin
        .log_dir
        .join(format!("{}.{}.log", context.id.cluster, context.id.volume));
    let job = Job {
        volume: &context.id.volume,
        servers: &servers,
        options: &context.options,
        log: &log,
        target: staging,
    };
    try_mount(programs, &job, deadline)
        .await
        .map_err(Try::Again)
}

/// Detaches staged volumes whose clients have ended, as all do with the plugin. The kubelet makes the staging directory before it asks for a
/// volume to be staged, can't where a dead mount lies on it, and then asks for nothing any more. Pods that have it keep their own mounts.
pub async fn detach_dead(plugin: &Plugin) {
    let mounts = match read_mounts().await {
        Ok(mounts) => mounts,
        Err(error) => return tracing::warn!(%error, "can't look for dead mounts"),
    };
    let staged = mounts
        .iter()
        .filter(|mount| mount.gluster().is_some() && plugin.kubelet.is_staging(&mount.mount_point));
    let looks = staged.map(|mount| async move {
        let staging = &mount.mount_point;
        let deadline = Instant::now() + LEAST_TIME;
        match health(&plugin.programs, mount, staging, deadline).await {
            Ok(Health::Dead(why)) => {
                tracing::warn!(staging = %staging.display(), why, "remove a dead mount");
                detach_all(&plugin.programs, staging).await
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    });
    for failed in join_all(looks).await.into_iter().filter_map(Result::err) {
        tracing::warn!(error = %failed, "a dead mount stays");
    }
}

/// The staging mount alone is gone, while its client still serves pods of this volume: the way back is a bind
/// mount. A second client would be unmounted by the first one's end, and killing that one would cut off the pods.
async fn back_from_target(
    plugin: &Plugin,
    context: &VolumeContext,
    staging: &Path,
    mounts: &Mounts,
    deadline: Instant,
) -> Result<Option<Mount>, Try> {
    if clients_of(staging).await?.is_empty() {
        return Ok(None);
    }
    let mut unwell = None;
    for target in mounts_of(context, mounts).filter(|mount| !mount.read_only) {
        match health(&plugin.programs, target, staging, deadline).await? {
            Health::Alive => {
                tracing::warn!(volume = %context.id, "stage it again from a pod's mount");
                bind(&plugin.programs, target, staging, false).await?;
                return Ok(read_mounts().await?.at(staging).cloned());
            }
            Health::Unwell(why) => unwell = Some(why),
            Health::Dead(_) => {}
        }
    }
    match unwell {
        Some(why) => Err(Try::Again(format!("its client does not answer: {why}"))),
        None => Ok(None),
    }
}

/// Every mount of this volume, of whatever client, at whatever path.
pub fn mounts_of<'a>(
    context: &'a VolumeContext,
    mounts: &'a Mounts,
) -> impl Iterator<Item = &'a Mount> {
    mounts.iter().filter(|mount| {
        mount.gluster().is_some_and(|(host, volume)| {
            volume == context.id.volume.as_str()
                && context
                    .servers
                    .iter()
                    .any(|server| host == server.address.as_str() || host == server.name.as_str())
        })
    })
}

/// Leaves no mount at `staging`, and no client of it unless pods still use that. The directory stays: it is the
/// kubelet's.
pub async fn unstage(plugin: &Plugin, volume_id: &str, staging: &Path) -> Result<(), Failure> {
    unmount_all(&plugin.programs, staging).await?;
    let volume = volume_id
        .split_once(':')
        .map_or(volume_id, |(_, volume)| volume);
    let mounts = read_mounts().await?;
    let users: Vec<_> = mounts
        .iter()
        .filter(|mount| mount.gluster().is_some_and(|(_, name)| name == volume))
        .map(|mount| mount.mount_point.display().to_string())
        .collect();
    if users.is_empty() {
        return end_clients(staging).await;
    }
    tracing::warn!(
        volume_id,
        ?users,
        "unstaged, but still mounted elsewhere: its client goes on"
    );
    Ok(())
}
