//! The CSI edge: a GlusterFS volume in a pod of this node.
//!
//! One process per node answers the kubelet on a Unix socket: Identity and Node services, and the kubelet's plugin
//! registration, without sidecars. It has no access to the Kubernetes API: what it needs stands in the request. All
//! its state is the mount table and the process table, so it can be killed at any point and started again.
//!
//! **The GlusterFS clients are plain children of this process, inside its container: they end with the container,
//! and so do the mounts in running pods.** A pod that is started afterwards gets a fresh mount (the volume is
//! staged again when its mount is dead); a pod that was running has to be restarted.
//!
//! - [`node`] checks requests; [`stage`] and [`publish`] are the operations; [`identity`], [`registration`];
//! - [`context`], [`options`], [`paths`], [`deadline`] turn a request's strings into checked values;
//! - [`mount`], [`mountinfo`], [`clients`], [`helper`], [`log`] deal with mounts and the programs that make them;
//! - [`hosts`] and [`servers`] with how the servers are found;
//! - [`status`] says which gRPC code each failure has; [`inflight`] keeps calls for one volume apart.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use hosts::HostsFile;
use identity::IdentityService;
use mount::Programs;
use node::{NodeService, Plugin};
use paths::KubeletDir;
use proto::csi::identity_server::IdentityServer;
use proto::csi::node_server::NodeServer;

pub mod authority;
pub mod clients;
pub mod context;
pub mod deadline;
pub mod helper;
pub mod hosts;
pub mod identity;
pub mod inflight;
pub mod log;
pub mod mount;
pub mod mountinfo;
pub mod node;
pub mod options;
pub mod paths;
pub mod publish;
pub mod reap;
pub mod registration;
pub mod servers;
pub mod socket;
pub mod stage;
pub mod status;

/// The generated messages and services.
#[allow(missing_docs, clippy::pedantic)] // generated code
pub mod proto {
    /// `csi.v1`.
    pub mod csi {
        tonic::include_proto!("csi.v1");
    }
    /// `pluginregistration`.
    pub mod registration {
        tonic::include_proto!("pluginregistration");
    }
}

/// The name of the driver, in CSIDriver objects and PersistentVolumes.
pub const DRIVER_NAME: &str = "csi.gluster-operator.io";

/// How long calls under way may go on after the plugin was told to end.
const GRACE: Duration = Duration::from_secs(10);

/// Why the plugin ended.
#[derive(Debug, Error)]
pub enum Error {
    /// The endpoint has not the form that CSI gives it.
    #[error("the endpoint {0:?} is not unix:///absolute/path.sock")]
    Endpoint(String),
    /// A socket can't be made.
    #[error("can't listen at {}: {source}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A directory is missing or can't be made.
    #[error("can't use the directory {}: {source}", path.display())]
    Directory {
        /// Its path.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A server ended by itself.
    #[error("the {what} server failed")]
    Serve {
        /// Which one.
        what: &'static str,
        /// Why.
        source: tonic::transport::Error,
    },
    /// A task ended by itself.
    #[error("the {0} task ended unexpectedly")]
    Ended(&'static str),
}

/// What a plugin needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The Kubernetes node.
    pub node_name: String,
    /// Where the CSI socket is made.
    pub socket: PathBuf,
    /// The kubelet's directory; it has the same path for the kubelet and for us.
    pub kubelet_dir: PathBuf,
    /// Where the kubelet looks for plugins, and the path of the CSI socket as the kubelet sees it; `None`: the plugin
    /// does not register.
    pub registration: Option<(PathBuf, PathBuf)>,
    /// Mounts are refused where the node would not see them: below a kubelet directory that is no shared mount. Without
    /// that, a pod would get an empty directory of the node's disk. Off for tests alone.
    pub require_shared: bool,
    /// The hosts file in which unknown names of servers are made known. Only a container's own: `None` elsewhere.
    pub hosts_file: Option<PathBuf>,
    /// Where the clients write their logs.
    pub log_dir: PathBuf,
    /// The programs that mount.
    pub programs: Programs,
}

impl Config {
    /// The configuration inside a container, as the DaemonSet makes it. `endpoint` is `unix:///path.sock`.
    pub fn new(node_name: String, endpoint: &str, kubelet_dir: PathBuf) -> Result<Self, Error> {
        let socket = endpoint
            .strip_prefix("unix://")
            .filter(|path| path.starts_with('/') && path.strip_suffix(".sock").is_some())
            .ok_or_else(|| Error::Endpoint(endpoint.to_owned()))?;
        let registry = kubelet_dir.join("plugins_registry");
        let seen = kubelet_dir
            .join("plugins")
            .join(DRIVER_NAME)
            .join("csi.sock");
        Ok(Self {
            node_name,
            socket: socket.into(),
            kubelet_dir,
            registration: Some((registry, seen)),
            require_shared: true,
            hosts_file: Some("/etc/hosts".into()),
            log_dir: "/var/log/glusterfs".into(),
            programs: Programs::default(),
        })
    }
}

/// Serves until `shutdown`, then ends gracefully: no new calls, those under way get ten seconds, no socket is left.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let directory = |path: &PathBuf| {
        let path = path.clone();
        move |source| Error::Directory { path, source }
    };
    tokio::fs::create_dir_all(&config.log_dir)
        .await
        .map_err(directory(&config.log_dir))?;
    let kubelet = KubeletDir::open(config.kubelet_dir.clone())
        .await
        .map_err(directory(&config.kubelet_dir))?;
    let programs = config.programs;
    let needs = [
        &programs.glusterfs,
        &programs.mount,
        &programs.umount,
        &programs.stat,
        &programs.fuse,
    ];
    let identity = IdentityService::new(needs.map(Clone::clone).into());
    let plugin = Plugin {
        programs,
        kubelet,
        require_shared: config.require_shared,
        hosts: config.hosts_file.map(HostsFile::new),
        log_dir: config.log_dir.clone(),
    };
    let log_dir = config.log_dir;
    // before the first call: the kubelet does not even ask us to stage a volume on a mount that is dead
    stage::detach_dead(&plugin).await;
    let node = NodeService::new(config.node_name, plugin);

    let (listener, socket) = socket::listen(&config.socket).map_err(|source| Error::Socket {
        path: config.socket.clone(),
        source,
    })?;
    let stop = CancellationToken::new();
    let mut services = tokio::spawn(
        Server::builder()
            .add_service(IdentityServer::new(identity))
            .add_service(NodeServer::new(node))
            .serve_with_incoming_shutdown(
                UnixListenerStream::new(listener),
                stop.clone().cancelled_owned(),
            ),
    );
    let registered = {
        let stop = stop.clone();
        let registration = config.registration;
        async move {
            let Some((directory, endpoint)) = registration else {
                stop.cancelled().await;
                return Ok(());
            };
            let path = directory.join(format!("{DRIVER_NAME}-reg.sock"));
            let endpoint = endpoint.to_string_lossy().into_owned();
            registration::keep_registered(path, endpoint, stop).await
        }
    };
    let mut registration = tokio::spawn(registered);
    let reaper = tokio::spawn(reap::reap());
    let logs = tokio::spawn(log::keep_small(log_dir));
    tracing::info!(socket = %config.socket.display(), "serving");

    let served = |result| Error::Serve {
        what: "CSI",
        source: result,
    };
    let mut result = tokio::select! {
        () = shutdown => Ok(()),
        ended = &mut services => match ended {
            Ok(Err(source)) => Err(served(source)),
            _ => Err(Error::Ended("CSI")),
        },
        ended = &mut registration => match ended {
            Ok(Err(error)) => Err(error),
            _ => Err(Error::Ended("registration")),
        },
    };
    reaper.abort();
    logs.abort();
    stop.cancel();
    if !registration.is_finished()
        && tokio::time::timeout(GRACE, &mut registration)
            .await
            .is_err()
    {
        registration.abort();
    }
    if !services.is_finished() {
        match tokio::time::timeout(GRACE, &mut services).await {
            Ok(Ok(Err(source))) if result.is_ok() => result = Err(served(source)),
            Ok(_) => {}
            Err(_) => {
                tracing::warn!("calls are still under way");
                services.abort();
            }
        }
    }
    socket.remove();
    result
}
