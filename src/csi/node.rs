//! CSI's Node service: checks each request, and hands it to the operations.
//!
//! An operation runs in a task of its own to its end, also when its caller goes away: half a mount would be worse
//! than an unwanted one. Until then further calls for the volume are told that one is under way.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::context::VolumeContext;
use super::deadline::deadline;
use super::hosts::HostsFile;
use super::inflight::InFlight;
use super::mount::{HELPER_DEADLINE, Programs, probe, read_mounts};
use super::mountinfo::Mounts;
use super::paths::KubeletDir;
use super::proto::csi::node_server::Node;
use super::proto::csi::node_service_capability::{Rpc, Type as CapabilityType, rpc};
use super::proto::csi::volume_capability::{AccessType, access_mode::Mode};
use super::proto::csi::volume_usage::Unit;
use super::proto::csi::{
    NodeGetCapabilitiesRequest, NodeGetCapabilitiesResponse, NodeGetInfoRequest,
    NodeGetInfoResponse, NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse,
    NodePublishVolumeRequest, NodePublishVolumeResponse, NodeServiceCapability,
    NodeStageVolumeRequest, NodeStageVolumeResponse, NodeUnpublishVolumeRequest,
    NodeUnpublishVolumeResponse, NodeUnstageVolumeRequest, NodeUnstageVolumeResponse,
    VolumeCapability, VolumeCondition, VolumeUsage,
};
use super::publish::{Publication, publish, unpublish};
use super::stage::{stage, unstage};
use super::status::Failure;
use crate::gluster::names::VolumeId;

/// What the operations need.
#[derive(Debug)]
pub struct Plugin {
    /// The programs that they start.
    pub programs: Programs,
    /// Where all paths of requests lie.
    pub kubelet: KubeletDir,
    /// Mounts are made only where the node sees them.
    pub require_shared: bool,
    /// Where unknown names of servers are made known; `None`: they have to be known already.
    pub hosts: Option<HostsFile>,
    /// Where the clients write their logs.
    pub log_dir: PathBuf,
}

impl Plugin {
    /// Refuses to mount where only this container would see it.
    fn check_seen(&self, path: &Path, mounts: &Mounts) -> Result<(), Failure> {
        let seen = path
            .parent()
            .and_then(|dir| mounts.covering(dir))
            .is_some_and(|mount| mount.shared);
        if seen || !self.require_shared {
            return Ok(());
        }
        Err(Failure::Precondition(format!(
            "pods would not see a mount at {}: the plugin's container needs the kubelet's directory with \
             mountPropagation: Bidirectional",
            path.display()
        )))
    }
}

/// The Node service.
#[derive(Debug, Clone)]
pub struct NodeService {
    node_name: String,
    plugin: Arc<Plugin>,
    in_flight: InFlight,
}

impl NodeService {
    /// `node_name`: the Kubernetes node, as which the plugin registers.
    pub fn new(node_name: String, plugin: Plugin) -> Self {
        Self {
            node_name,
            plugin: Arc::new(plugin),
            in_flight: InFlight::default(),
        }
    }

    /// Runs an operation on a volume to its end, alone.
    async fn run<T, W, F>(
        &self,
        rpc: &'static str,
        volume_id: &str,
        work: W,
    ) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Plugin>) -> F,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let guard = self.in_flight.enter(volume_id)?;
        let work = work(Arc::clone(&self.plugin));
        let span = tracing::info_span!("csi", rpc, volume_id);
        let task = async move {
            let _guard = guard;
            let result = work.await;
            match &result {
                Ok(_) => tracing::debug!("done"),
                Err(failure) => tracing::warn!(code = ?failure.code(), %failure, "failed"),
            }
            result
        };
        match tokio::spawn(task.instrument(span)).await {
            Ok(result) => Ok(Response::new(result?)),
            Err(error) => {
                tracing::error!(rpc, volume_id, %error, "an operation ended unexpectedly");
                Err(Failure::Bug.into())
            }
        }
    }
}

/// The id of a request, which has to be there. Whether it is one of ours is another question: what is
/// mounted at a path can be unmounted under any id.
fn given_id(text: &str) -> Result<&str, Failure> {
    match text.len() {
        0 => Err(Failure::invalid("volume_id", "is missing")),
        1..=192 => Ok(text),
        _ => Err(Failure::invalid("volume_id", "is too long")),
    }
}

fn our_id(text: &str) -> Result<VolumeId, Failure> {
    given_id(text)?.parse().map_err(|error| Failure::NotFound {
        volume: text.to_owned(),
        problem: format!("can't exist: {error}"),
    })
}

/// How a volume is to be used, checked.
struct Use {
    flags: Vec<String>,
    mode: Mode,
}

impl Use {
    fn parse(capability: Option<VolumeCapability>) -> Result<Self, Failure> {
        let wrong = |problem: &str| Failure::invalid("volume_capability", problem);
        let capability = capability.ok_or_else(|| wrong("is missing"))?;
        let mount = match capability.access_type {
            Some(AccessType::Mount(mount)) => mount,
            Some(AccessType::Block(_)) => {
                return Err(wrong(
                    "asks for a block device; GlusterFS volumes are file systems",
                ));
            }
            None => return Err(wrong("has no access type")),
        };
        if !matches!(mount.fs_type.as_str(), "" | "glusterfs") {
            return Err(wrong("asks for a file system type; leave it empty"));
        }
        if !mount.volume_mount_group.is_empty() {
            return Err(wrong(
                "has a volume_mount_group, which the driver does not offer",
            ));
        }
        let mode = capability
            .access_mode
            .map_or(Mode::Unknown, |access| access.mode());
        if mode == Mode::Unknown {
            return Err(wrong("has no access mode that we know"));
        }
        Ok(Self {
            flags: mount.mount_flags,
            mode,
        })
    }

    fn read_only(&self) -> bool {
        matches!(
            self.mode,
            Mode::SingleNodeReaderOnly | Mode::MultiNodeReaderOnly
        )
    }

    /// One node at a time may have it.
    fn one_node(&self) -> bool {
        matches!(
            self.mode,
            Mode::SingleNodeWriter
                | Mode::SingleNodeReaderOnly
                | Mode::SingleNodeSingleWriter
                | Mode::SingleNodeMultiWriter
        )
    }

    /// Many targets on one node: the modes for many nodes, and the one that says so.
    fn single_target(&self) -> bool {
        matches!(
            self.mode,
            Mode::SingleNodeWriter | Mode::SingleNodeReaderOnly | Mode::SingleNodeSingleWriter
        )
    }
}

#[tonic::async_trait]
impl Node for NodeService {
    async fn node_get_info(
        &self,
        _request: Request<NodeGetInfoRequest>,
    ) -> Result<Response<NodeGetInfoResponse>, Status> {
        // No limit and no topology: every node reaches every server.
        Ok(Response::new(NodeGetInfoResponse {
            node_id: self.node_name.clone(),
            max_volumes_per_node: 0,
            accessible_topology: None,
        }))
    }

    async fn node_get_capabilities(
        &self,
        _request: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        let capabilities = [
            rpc::Type::StageUnstageVolume,
            rpc::Type::GetVolumeStats,
            rpc::Type::VolumeCondition,
            rpc::Type::SingleNodeMultiWriter,
        ];
        let capabilities = capabilities
            .map(|capability| NodeServiceCapability {
                r#type: Some(CapabilityType::Rpc(Rpc {
                    r#type: capability.into(),
                })),
            })
            .into();
        Ok(Response::new(NodeGetCapabilitiesResponse { capabilities }))
    }

    async fn node_stage_volume(
        &self,
        request: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        let deadline = deadline(request.metadata());
        let request = request.into_inner();
        given_id(&request.volume_id)?;
        let staging = self
            .plugin
            .kubelet
            .resolve("staging_target_path", &request.staging_target_path)?;
        let usage = Use::parse(request.volume_capability)?;
        let id = our_id(&request.volume_id)?;
        let context = VolumeContext::parse(&id, &request.volume_context, &usage.flags)
            .map_err(Failure::from)?;
        self.run("NodeStageVolume", &request.volume_id, |plugin| async move {
            let mounts = read_mounts().await?;
            plugin
                .kubelet
                .check_real("staging_target_path", &staging, &mounts)
                .await?;
            plugin.check_seen(&staging, &mounts)?;
            stage(&plugin, &context, usage.one_node(), &staging, deadline).await?;
            Ok(NodeStageVolumeResponse {})
        })
        .await
    }

    async fn node_unstage_volume(
        &self,
        request: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        let request = request.into_inner();
        let id = given_id(&request.volume_id)?.to_owned();
        let staging = self
            .plugin
            .kubelet
            .resolve("staging_target_path", &request.staging_target_path)?;
        self.run(
            "NodeUnstageVolume",
            &request.volume_id,
            |plugin| async move {
                plugin
                    .kubelet
                    .check_real("staging_target_path", &staging, &read_mounts().await?)
                    .await?;
                unstage(&plugin, &id, &staging).await?;
                Ok(NodeUnstageVolumeResponse {})
            },
        )
        .await
    }

    async fn node_publish_volume(
        &self,
        request: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        let deadline = deadline(request.metadata());
        let request = request.into_inner();
        given_id(&request.volume_id)?;
        let kubelet = &self.plugin.kubelet;
        let target = kubelet.resolve("target_path", &request.target_path)?;
        if request.staging_target_path.is_empty() {
            let text = "staging_target_path is missing: the volume has to be staged first";
            return Err(Failure::Precondition(text.to_owned()).into());
        }
        let staging = kubelet.resolve("staging_target_path", &request.staging_target_path)?;
        if target.starts_with(&staging) || staging.starts_with(&target) {
            return Err(Failure::invalid("target_path", "overlaps staging_target_path").into());
        }
        let usage = Use::parse(request.volume_capability)?;
        let id = our_id(&request.volume_id)?;
        let context = VolumeContext::parse(&id, &request.volume_context, &usage.flags)
            .map_err(Failure::from)?;
        let read_only = request.readonly || usage.read_only() || context.options.read_only;
        self.run(
            "NodePublishVolume",
            &request.volume_id,
            |plugin| async move {
                let mounts = read_mounts().await?;
                plugin
                    .kubelet
                    .check_real("staging_target_path", &staging, &mounts)
                    .await?;
                plugin
                    .kubelet
                    .check_real("target_path", &target, &mounts)
                    .await?;
                plugin.check_seen(&target, &mounts)?;
                let wish = Publication {
                    context: &context,
                    staging: &staging,
                    target: &target,
                    read_only,
                    single_target: usage.single_target(),
                    one_node: usage.one_node(),
                };
                publish(&plugin, &wish, deadline).await?;
                Ok(NodePublishVolumeResponse {})
            },
        )
        .await
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        given_id(&request.volume_id)?;
        let target = self
            .plugin
            .kubelet
            .resolve("target_path", &request.target_path)?;
        self.run(
            "NodeUnpublishVolume",
            &request.volume_id,
            |plugin| async move {
                plugin
                    .kubelet
                    .check_real("target_path", &target, &read_mounts().await?)
                    .await?;
                unpublish(&plugin, &target).await?;
                Ok(NodeUnpublishVolumeResponse {})
            },
        )
        .await
    }

    /// A volume that gives no answer is abnormal, and its usage is unknown, not zero.
    async fn node_get_volume_stats(
        &self,
        request: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        let request = request.into_inner();
        given_id(&request.volume_id)?;
        if request.volume_path.is_empty() {
            return Err(Failure::invalid("volume_path", "is missing").into());
        }
        let id = our_id(&request.volume_id)?;
        let not_here = || Failure::NotFound {
            volume: request.volume_id.clone(),
            problem: "is not mounted at this volume_path".to_owned(),
        };
        let path = self
            .plugin
            .kubelet
            .resolve("volume_path", &request.volume_path)
            .map_err(|_| not_here())?;
        let mounts = read_mounts().await?;
        let mount = mounts
            .at(&path)
            .filter(|mount| {
                mount
                    .gluster()
                    .is_some_and(|(_, volume)| volume == id.volume.as_str())
            })
            .ok_or_else(not_here)?;
        let (usage, condition) = match probe(&self.plugin.programs, mount, HELPER_DEADLINE).await {
            Ok(usage) => {
                let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
                let bytes = VolumeUsage {
                    available: number(usage.available),
                    total: number(usage.total),
                    used: number(usage.used),
                    unit: Unit::Bytes.into(),
                };
                let inodes = VolumeUsage {
                    available: number(usage.inodes_free),
                    total: number(usage.inodes),
                    used: number(usage.inodes.saturating_sub(usage.inodes_free)),
                    unit: Unit::Inodes.into(),
                };
                let message = "the volume answers".to_owned();
                (
                    vec![bytes, inodes],
                    VolumeCondition {
                        abnormal: false,
                        message,
                    },
                )
            }
            Err(why) => {
                let message = format!("the volume does not answer on this node: {why}");
                (
                    Vec::new(),
                    VolumeCondition {
                        abnormal: true,
                        message,
                    },
                )
            }
        };
        Ok(Response::new(NodeGetVolumeStatsResponse {
            usage,
            volume_condition: Some(condition),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csi::proto::csi::volume_capability::{AccessMode, BlockVolume, MountVolume};

    #[allow(clippy::unnecessary_wraps)] // as requests have it
    fn capability(access_type: Option<AccessType>, mode: Mode) -> Option<VolumeCapability> {
        Some(VolumeCapability {
            access_type,
            access_mode: Some(AccessMode { mode: mode.into() }),
        })
    }

    #[allow(clippy::unnecessary_wraps)] // as requests have it
    fn mount(fs_type: &str, group: &str) -> Option<AccessType> {
        Some(AccessType::Mount(MountVolume {
            fs_type: fs_type.into(),
            mount_flags: vec!["acl".into()],
            volume_mount_group: group.into(),
        }))
    }

    #[test]
    fn only_file_systems_with_an_access_mode_are_served() {
        let writer = Mode::MultiNodeMultiWriter;
        assert!(Use::parse(capability(mount("", ""), writer)).is_ok());
        assert!(Use::parse(capability(mount("glusterfs", ""), writer)).is_ok());
        for bad in [
            None,
            capability(None, writer),
            capability(Some(AccessType::Block(BlockVolume {})), writer),
            capability(mount("ext4", ""), writer),
            capability(mount("", "1000"), writer),
            capability(mount("", ""), Mode::Unknown),
            Some(VolumeCapability {
                access_type: mount("", ""),
                access_mode: None,
            }),
            Some(VolumeCapability {
                access_type: mount("", ""),
                access_mode: Some(AccessMode { mode: 99 }),
            }),
        ] {
            let shown = format!("{bad:?}");
            assert!(Use::parse(bad).is_err(), "{shown}");
        }
    }

    #[test]
    fn access_modes_say_how_many_targets_and_whether_they_write() {
        for (mode, read_only, single) in [
            (Mode::SingleNodeWriter, false, true),
            (Mode::SingleNodeReaderOnly, true, true),
            (Mode::MultiNodeReaderOnly, true, false),
            (Mode::MultiNodeSingleWriter, false, false),
            (Mode::MultiNodeMultiWriter, false, false),
            (Mode::SingleNodeSingleWriter, false, true),
            (Mode::SingleNodeMultiWriter, false, false),
        ] {
            let usage = Use::parse(capability(mount("", ""), mode)).unwrap();
            assert_eq!(
                (usage.read_only(), usage.single_target()),
                (read_only, single),
                "{mode:?}"
            );
        }
    }
}
