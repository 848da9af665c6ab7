//! A CSI caller, as the kubelet is one: clients on a Unix socket, and requests with what every test needs.
#![allow(dead_code)] // each test program uses a part of it
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // a test stops at the first surprise

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use gluster_operator::csi::proto::csi::identity_client::IdentityClient;
use gluster_operator::csi::proto::csi::node_client::NodeClient;
use gluster_operator::csi::proto::csi::volume_capability::{
    AccessMode, AccessType, MountVolume, access_mode::Mode,
};
use gluster_operator::csi::proto::csi::{
    NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, NodePublishVolumeRequest,
    NodeStageVolumeRequest, NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest, VolumeCapability,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// Connects to a socket, as soon as somebody listens there.
pub async fn connect(socket: &Path) -> Channel {
    let endpoint = Endpoint::try_from(format!("unix:{}", socket.display())).unwrap();
    for _ in 0..200 {
        if let Ok(channel) = endpoint.connect().await {
            return channel;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody listens at {}", socket.display());
}

/// The Identity service behind a channel.
pub fn identity(channel: &Channel) -> IdentityClient<Channel> {
    IdentityClient::new(channel.clone())
}

/// A volume as the kubelet knows it, and where it is to be.
#[derive(Clone)]
pub struct Volume {
    pub channel: Channel,
    pub id: String,
    pub context: HashMap<String, String>,
    pub staging: String,
    pub mode: Mode,
    pub flags: Vec<String>,
    pub timeout: Duration,
}

impl Volume {
    /// A volume for many writers, with the servers as `name=address,…`.
    pub fn new(channel: &Channel, id: &str, servers: &str, staging: &str) -> Self {
        let (cluster, volume) = id.split_once(':').unwrap_or(("", id));
        let context = [
            ("cluster", cluster),
            ("volume", volume),
            ("servers", servers),
        ];
        Self {
            channel: channel.clone(),
            id: id.to_owned(),
            context: context
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            staging: staging.to_owned(),
            mode: Mode::MultiNodeMultiWriter,
            flags: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// The same volume with something else.
    pub fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        change(&mut other);
        other
    }

    /// The same volume with another entry of its context; an empty value removes it.
    pub fn context(&self, key: &str, value: &str) -> Self {
        self.with(|volume| {
            volume.context.remove(key);
            if !value.is_empty() {
                volume.context.insert(key.to_owned(), value.to_owned());
            }
        })
    }

    pub fn capability(&self) -> VolumeCapability {
        VolumeCapability {
            access_type: Some(AccessType::Mount(MountVolume {
                fs_type: String::new(),
                mount_flags: self.flags.clone(),
                volume_mount_group: String::new(),
            })),
            access_mode: Some(AccessMode {
                mode: self.mode.into(),
            }),
        }
    }

    fn client(&self) -> NodeClient<Channel> {
        NodeClient::new(self.channel.clone())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }

    pub fn stage_request(&self) -> NodeStageVolumeRequest {
        NodeStageVolumeRequest {
            volume_id: self.id.clone(),
            publish_context: HashMap::new(),
            staging_target_path: self.staging.clone(),
            volume_capability: Some(self.capability()),
            volume_context: self.context.clone(),
        }
    }

    pub fn publish_request(&self, target: &str, readonly: bool) -> NodePublishVolumeRequest {
        NodePublishVolumeRequest {
            volume_id: self.id.clone(),
            publish_context: HashMap::new(),
            staging_target_path: self.staging.clone(),
            target_path: target.to_owned(),
            volume_capability: Some(self.capability()),
            readonly,
            volume_context: self.context.clone(),
        }
    }

    pub async fn stage(&self) -> Result<(), Status> {
        self.stage_with(self.stage_request()).await
    }

    pub async fn stage_with(&self, message: NodeStageVolumeRequest) -> Result<(), Status> {
        self.client()
            .node_stage_volume(self.request(message))
            .await
            .map(drop)
    }

    pub async fn publish(&self, target: &str, readonly: bool) -> Result<(), Status> {
        self.publish_with(self.publish_request(target, readonly))
            .await
    }

    pub async fn publish_with(&self, message: NodePublishVolumeRequest) -> Result<(), Status> {
        self.client()
            .node_publish_volume(self.request(message))
            .await
            .map(drop)
    }

    pub async fn unpublish(&self, target: &str) -> Result<(), Status> {
        let message = NodeUnpublishVolumeRequest {
            volume_id: self.id.clone(),
            target_path: target.to_owned(),
        };
        self.client()
            .node_unpublish_volume(self.request(message))
            .await
            .map(drop)
    }

    pub async fn unstage(&self) -> Result<(), Status> {
        let message = NodeUnstageVolumeRequest {
            volume_id: self.id.clone(),
            staging_target_path: self.staging.clone(),
        };
        self.client()
            .node_unstage_volume(self.request(message))
            .await
            .map(drop)
    }

    pub async fn stats(&self, path: &str) -> Result<NodeGetVolumeStatsResponse, Status> {
        let message = NodeGetVolumeStatsRequest {
            volume_id: self.id.clone(),
            volume_path: path.to_owned(),
            staging_target_path: String::new(),
        };
        let answer = self
            .client()
            .node_get_volume_stats(self.request(message))
            .await;
        answer.map(tonic::Response::into_inner)
    }
}

/// The code of an answer, and its words for a panic.
pub fn code<T>(result: &Result<T, Status>) -> Code {
    result.as_ref().map_or_else(Status::code, |_| Code::Ok)
}
