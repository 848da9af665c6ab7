//! The CSI edge over its real socket, without root: what is answered when nothing can be mounted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // a test stops at the first surprise

#[path = "support/csi_client.rs"]
mod csi_client;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use csi_client::{Volume, code, connect, identity};
use gluster_operator::csi::proto::csi::node_client::NodeClient;
use gluster_operator::csi::proto::csi::volume_capability::{
    AccessType, BlockVolume, access_mode::Mode,
};
use gluster_operator::csi::proto::csi::{
    GetPluginCapabilitiesRequest, GetPluginInfoRequest, NodeGetCapabilitiesRequest,
    NodeGetInfoRequest, ProbeRequest,
};
use gluster_operator::csi::proto::registration::registration_client::RegistrationClient;
use gluster_operator::csi::proto::registration::{InfoRequest, RegistrationStatus};
use gluster_operator::csi::{self, Config, DRIVER_NAME};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::Channel;

/// Nobody listens on glusterd's port at this address of the machine itself.
const NOBODY: &str = "node1=127.0.99.99";

/// A plugin in this process, in a directory of its own.
struct Plugin {
    dir: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), csi::Error>>,
}

impl Plugin {
    fn start(name: &str, change: impl FnOnce(&mut Config)) -> Self {
        let dir =
            std::env::temp_dir().join(format!("gluster-operator-{name}-{}", std::process::id()));
        for below in [
            "kubelet/plugins_registry",
            "kubelet/pods/a",
            "kubelet/plugins",
        ] {
            std::fs::create_dir_all(dir.join(below)).unwrap();
        }
        Self::again(dir, change)
    }

    fn again(dir: PathBuf, change: impl FnOnce(&mut Config)) -> Self {
        let socket = dir.join("csi.sock");
        let endpoint = format!("unix://{}", socket.display());
        let mut config = Config::new("node-a".into(), &endpoint, dir.join("kubelet")).unwrap();
        config.log_dir = dir.join("log");
        config.hosts_file = None;
        config.require_shared = false;
        change(&mut config);
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(csi::serve(config, shutdown));
        Self {
            dir,
            stop: Some(stop),
            task,
        }
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("csi.sock")
    }

    fn registration(&self) -> PathBuf {
        self.dir
            .join(format!("kubelet/plugins_registry/{DRIVER_NAME}-reg.sock"))
    }

    fn kubelet(&self, below: &str) -> String {
        self.dir.join("kubelet").join(below).display().to_string()
    }

    fn volume(&self, channel: &Channel) -> Volume {
        let staging = self.kubelet("plugins/globalmount");
        std::fs::create_dir_all(&staging).unwrap();
        let volume = Volume::new(channel, "prod:default_mysql", NOBODY, &staging);
        volume.with(|volume| volume.timeout = Duration::from_secs(2))
    }

    async fn end(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.task).await.unwrap().unwrap();
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// All files below a directory that are no sockets, with their contents: to see that nothing was changed.
fn files(dir: &Path) -> BTreeMap<PathBuf, Option<String>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path));
            found.insert(path, None);
        } else {
            found.insert(path.clone(), std::fs::read_to_string(&path).ok());
        }
    }
    found
}

#[tokio::test]
async fn the_plugin_says_who_it_is_and_what_it_can() {
    let plugin = Plugin::start("identity", |config| {
        config.programs.fuse = "/dev/null".into();
    });
    let channel = connect(&plugin.socket()).await;
    let info = identity(&channel)
        .get_plugin_info(GetPluginInfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(info.name, "csi.gluster-operator.io");
    assert_eq!(info.vendor_version, env!("CARGO_PKG_VERSION"));
    let request = GetPluginCapabilitiesRequest {};
    let capabilities = identity(&channel)
        .get_plugin_capabilities(request)
        .await
        .unwrap();
    assert!(capabilities.into_inner().capabilities.is_empty());

    let mut node = NodeClient::new(channel.clone());
    let info = node
        .node_get_info(NodeGetInfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (info.node_id.as_str(), info.max_volumes_per_node),
        ("node-a", 0)
    );
    assert_eq!(info.accessible_topology, None);
    let answer = node
        .node_get_capabilities(NodeGetCapabilitiesRequest {})
        .await
        .unwrap();
    let answer = format!("{answer:?}");
    for wanted in [
        "StageUnstageVolume",
        "GetVolumeStats",
        "VolumeCondition",
        "SingleNodeMultiWriter",
    ] {
        assert!(answer.contains(wanted), "{answer}");
    }
}

#[tokio::test]
async fn a_node_that_can_not_mount_is_not_healthy() {
    let plugin = Plugin::start("probe", |config| {
        config.programs.glusterfs = "/no/glusterfs".into();
    });
    let channel = connect(&plugin.socket()).await;
    let status = identity(&channel).probe(ProbeRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "/no/glusterfs is missing on this node");

    let all = Plugin::start("probe-all", |config| {
        for program in [&mut config.programs.glusterfs, &mut config.programs.fuse] {
            *program = "/dev/null".into();
        }
    });
    let channel = connect(&all.socket()).await;
    let ready = identity(&channel)
        .probe(ProbeRequest {})
        .await
        .unwrap()
        .into_inner()
        .ready;
    assert_eq!(ready, Some(true));
}

#[tokio::test]
async fn each_bad_request_has_its_code_and_changes_nothing() {
    let plugin = Plugin::start("codes", |_| {});
    std::os::unix::fs::symlink("/tmp", plugin.kubelet("pods/link")).unwrap();
    std::fs::create_dir_all(plugin.kubelet("pods/full/mount")).unwrap();
    std::fs::write(plugin.kubelet("pods/full/mount/precious"), "x").unwrap();
    std::fs::write(plugin.kubelet("pods/file"), "x").unwrap();
    let channel = connect(&plugin.socket()).await;
    let good = plugin.volume(&channel);
    let target = plugin.kubelet("pods/a/mount");
    let before = files(&plugin.dir);

    let id = |id: &str| good.with(|volume| volume.id = id.to_owned());
    let long = "x".repeat(5000);
    let hostile_paths = [
        "relative",
        "/etc",
        "/",
        &plugin.kubelet("../escape"),
        &plugin.kubelet("pods/../../escape"),
        &plugin.kubelet("pods/link/escape"),
        &plugin.kubelet("pods/link"),
        &plugin.kubelet("pods/file"),
        &plugin.kubelet("pods/file/x"),
        &plugin.kubelet("pods/a\nb"),
        &plugin.kubelet(""),
        &plugin.kubelet(&long),
        "",
    ];

    // (what, volume, code); each as stage and as publish, each twice.
    let mut rows = vec![
        ("no id", id(""), Code::InvalidArgument),
        (
            "a long id",
            id(&format!("prod:{long}")),
            Code::InvalidArgument,
        ),
        ("an id of somebody else", id("pvc-1234"), Code::NotFound),
        ("an id with a path", id("prod:../../etc"), Code::NotFound),
        (
            "an id with an option",
            id("prod:--dump-fuse=x"),
            Code::NotFound,
        ),
        (
            "no servers",
            good.context("servers", ""),
            Code::InvalidArgument,
        ),
        (
            "servers that are options",
            good.context("servers", "--x=--y"),
            Code::InvalidArgument,
        ),
        (
            "servers for a shell",
            good.context("servers", "a=$(id)"),
            Code::InvalidArgument,
        ),
        (
            "servers in two lines",
            good.context("servers", "a=b\nc=d"),
            Code::InvalidArgument,
        ),
        (
            "servers without end",
            good.context("servers", &long),
            Code::InvalidArgument,
        ),
        (
            "another volume",
            good.context("volume", "other"),
            Code::InvalidArgument,
        ),
        (
            "another cluster",
            good.context("cluster", "other"),
            Code::InvalidArgument,
        ),
        (
            "an unknown key",
            good.context("logFile", "/etc/passwd"),
            Code::InvalidArgument,
        ),
        (
            "a forbidden option",
            good.context("mountOptions", "log-file=/x"),
            Code::InvalidArgument,
        ),
        (
            "an inline volume",
            good.context("csi.storage.k8s.io/ephemeral", "true"),
            Code::InvalidArgument,
        ),
        (
            "a forbidden flag",
            good.with(|v| v.flags = vec!["dump-fuse=/x".into()]),
            Code::InvalidArgument,
        ),
        (
            "no access mode",
            good.with(|v| v.mode = Mode::Unknown),
            Code::InvalidArgument,
        ),
    ];
    for path in hostile_paths.iter().filter(|path| !path.is_empty()) {
        rows.push((
            "a hostile staging path",
            good.with(|v| v.staging = (*path).to_owned()),
            Code::InvalidArgument,
        ));
    }
    for (what, volume, expected) in &rows {
        for _ in 0..2 {
            let staged = volume.stage().await;
            assert_eq!(code(&staged), *expected, "stage with {what}: {staged:?}");
            let published = volume.publish(&target, false).await;
            assert_eq!(
                code(&published),
                *expected,
                "publish with {what}: {published:?}"
            );
        }
    }

    // Capabilities that only a whole request can carry.
    let block = AccessType::Block(BlockVolume {});
    let mut stage = good.stage_request();
    stage.volume_capability.as_mut().unwrap().access_type = Some(block.clone());
    assert_eq!(
        code(&good.stage_with(stage.clone()).await),
        Code::InvalidArgument
    );
    stage.volume_capability = None;
    assert_eq!(code(&good.stage_with(stage).await), Code::InvalidArgument);
    let mut publish = good.publish_request(&target, false);
    publish.volume_capability.as_mut().unwrap().access_type = Some(block);
    assert_eq!(
        code(&good.publish_with(publish.clone()).await),
        Code::InvalidArgument
    );
    publish.volume_capability = None;
    assert_eq!(
        code(&good.publish_with(publish).await),
        Code::InvalidArgument
    );

    // Paths: staging that is missing means another thing for each call.
    let unstaged = good.with(|volume| volume.staging = String::new());
    let foreign = id("some-other-driver");
    for _ in 0..2 {
        assert_eq!(code(&unstaged.stage().await), Code::InvalidArgument);
        assert_eq!(code(&unstaged.unstage().await), Code::InvalidArgument);
        assert_eq!(
            code(&unstaged.publish(&target, false).await),
            Code::FailedPrecondition
        );
        for path in hostile_paths {
            let published = good.publish(path, false).await;
            assert_eq!(
                code(&published),
                Code::InvalidArgument,
                "{path}: {published:?}"
            );
            let unpublished = good.unpublish(path).await;
            assert_eq!(
                code(&unpublished),
                Code::InvalidArgument,
                "{path}: {unpublished:?}"
            );
            let stats = good.stats(path).await;
            let expected = if path.is_empty() {
                Code::InvalidArgument
            } else {
                Code::NotFound
            };
            assert_eq!(code(&stats), expected, "{path}: {stats:?}");
        }
        let overlapping = format!("{}/inside", good.staging);
        assert_eq!(
            code(&good.publish(&overlapping, false).await),
            Code::InvalidArgument
        );
        assert_eq!(
            code(&good.publish(&good.staging, false).await),
            Code::InvalidArgument
        );
        assert_eq!(code(&good.stats("some/path").await), Code::NotFound);
        assert_eq!(code(&good.stats(&target).await), Code::NotFound);
        assert_eq!(code(&foreign.stats(&target).await), Code::NotFound);
        assert_eq!(code(&id("").stats(&target).await), Code::InvalidArgument);
        assert_eq!(
            code(&id("").unpublish(&target).await),
            Code::InvalidArgument
        );
        assert_eq!(code(&id("").unstage().await), Code::InvalidArgument);
        // Gone is what was asked for, whoever's it was.
        assert_eq!(code(&good.unpublish(&target).await), Code::Ok);
        assert_eq!(code(&foreign.unpublish(&target).await), Code::Ok);
        assert_eq!(code(&good.unstage().await), Code::Ok);
        assert_eq!(code(&foreign.unstage().await), Code::Ok);
        // What somebody left below an unmounted target is not removed.
        let full = good.unpublish(&plugin.kubelet("pods/full/mount")).await;
        assert_eq!(code(&full), Code::FailedPrecondition, "{full:?}");
    }
    assert_eq!(files(&plugin.dir), before);
}

#[tokio::test]
async fn an_empty_target_directory_is_removed() {
    let plugin = Plugin::start("empty", |_| {});
    let volume = plugin.volume(&connect(&plugin.socket()).await);
    let target = plugin.kubelet("pods/a/mount");
    std::fs::create_dir(&target).unwrap();
    volume.unpublish(&target).await.unwrap();
    assert!(!Path::new(&target).exists());
    assert!(Path::new(&plugin.kubelet("pods/a")).exists());
}

#[tokio::test]
async fn servers_that_do_not_answer_are_asked_until_the_deadline() {
    let plugin = Plugin::start("deadline", |_| {});
    let volume = plugin.volume(&connect(&plugin.socket()).await);
    let volume = volume.with(|volume| volume.timeout = Duration::from_secs(4));
    let target = plugin.kubelet("pods/a/mount");
    for _ in 0..2 {
        let begun = Instant::now();
        let status = volume.stage().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        let words = status.message();
        assert!(
            words.contains("no server of the pool answers: 127.0.99.99"),
            "{words}"
        );
        assert!(
            words.contains(" tries in ") && !words.contains(" 1 tries"),
            "{words}"
        );
        let time = begun.elapsed();
        assert!(
            time > Duration::from_secs(2) && time < Duration::from_secs(4),
            "{time:?}"
        );
    }
    let status = volume.publish(&target, false).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(
        !Path::new(&target).exists(),
        "no directory is left of a publish that failed"
    );
}

#[tokio::test]
async fn a_second_call_for_a_volume_is_told_of_the_first() {
    let plugin = Plugin::start("inflight", |_| {});
    let volume = plugin.volume(&connect(&plugin.socket()).await);
    let other = volume.with(|volume| volume.id = "prod:other".into());
    let first = tokio::spawn({
        let volume = volume.clone();
        async move { volume.stage().await }
    });
    let mut aborted = 0;
    while !first.is_finished() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let answer = volume.unstage().await;
        if code(&answer) == Code::Aborted {
            aborted += 1;
            assert_eq!(
                code(&volume.publish(&plugin.kubelet("pods/a/m"), false).await),
                Code::Aborted
            );
            assert_eq!(
                code(&other.unstage().await),
                Code::Ok,
                "another volume is not held up"
            );
            break;
        }
    }
    assert!(aborted > 0);
    // A caller that goes away does not end the operation, and the volume is free when that ends.
    first.abort();
    let begun = Instant::now();
    while code(&volume.unstage().await) == Code::Aborted {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "the volume is not free again"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_kubelet_finds_the_plugin_and_finds_it_again() {
    let mut plugin = Plugin::start("registration", |_| {});
    let mut client = RegistrationClient::new(connect(&plugin.registration()).await);
    let info = client.get_info(InfoRequest {}).await.unwrap().into_inner();
    assert_eq!(
        (info.r#type.as_str(), info.name.as_str()),
        ("CSIPlugin", DRIVER_NAME)
    );
    assert_eq!(info.supported_versions, ["1.0.0"]);
    assert_eq!(
        info.endpoint,
        plugin.kubelet(&format!("plugins/{DRIVER_NAME}/csi.sock"))
    );
    let status = RegistrationStatus {
        plugin_registered: true,
        error: String::new(),
    };
    client.notify_registration_status(status).await.unwrap();

    // The registry is emptied, while the kubelet keeps its connection open.
    std::fs::remove_file(plugin.registration()).unwrap();
    let mut again = RegistrationClient::new(connect(&plugin.registration()).await);
    assert_eq!(
        again.get_info(InfoRequest {}).await.unwrap().into_inner(),
        info
    );

    plugin.end().await;
    assert!(!plugin.registration().exists() && !plugin.socket().exists());
    let registry = PathBuf::from(plugin.kubelet("plugins_registry"));
    assert_eq!(std::fs::read_dir(registry).unwrap().count(), 0);
}

#[tokio::test]
async fn a_kubelet_that_refused_the_plugin_is_asked_again() {
    let plugin = Plugin::start("refused", |_| {});
    let mut client = RegistrationClient::new(connect(&plugin.registration()).await);
    let error = "the node is not ready".to_owned();
    let status = RegistrationStatus {
        plugin_registered: false,
        error,
    };
    client.notify_registration_status(status).await.unwrap();
    let begun = Instant::now();
    while plugin.registration().exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "the kubelet sees no new socket"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut again = RegistrationClient::new(connect(&plugin.registration()).await);
    again.get_info(InfoRequest {}).await.unwrap();
    assert!(
        begun.elapsed() > Duration::from_secs(3),
        "not at once, and for ever"
    );
}

#[tokio::test]
async fn sockets_of_a_killed_plugin_do_not_stop_its_successor() {
    let plugin = Plugin::start("stale", |_| {});
    drop(connect(&plugin.registration()).await);
    // As after SIGKILL: the files stay.
    plugin.task.abort();
    while !plugin.task.is_finished() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(plugin.socket().exists() && plugin.registration().exists());
    let next = Plugin::again(plugin.dir.clone(), |_| {});
    let channel = connect(&next.socket()).await;
    identity(&channel)
        .get_plugin_info(GetPluginInfoRequest {})
        .await
        .unwrap();
    let mut client = RegistrationClient::new(connect(&next.registration()).await);
    client.get_info(InfoRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_configuration_that_can_not_work_ends_the_plugin() {
    for bad in [
        "tcp://1.2.3.4:1",
        "unix://relative.sock",
        "/csi/csi.sock",
        "unix:///csi/csi",
    ] {
        assert!(Config::new("a".into(), bad, "/k".into()).is_err(), "{bad}");
    }
    let mut plugin = Plugin::start("bad", |config| {
        config.kubelet_dir = "/does/not/exist".into();
    });
    let error = (&mut plugin.task).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("/does/not/exist"), "{error}");
}

#[tokio::test]
async fn a_mount_that_no_pod_would_see_is_refused() {
    // Whether the directory lies in a shared mount is this machine's affair; the answer follows it.
    let mounts = csi::mount::read_mounts().await.unwrap();
    let plugin = Plugin::start("shared", |config| config.require_shared = true);
    let volume = plugin.volume(&connect(&plugin.socket()).await);
    let shared = mounts.covering(Path::new(&volume.staging)).unwrap().shared;
    let status = volume.stage().await.unwrap_err();
    let expected = if shared {
        Code::Unavailable
    } else {
        Code::FailedPrecondition
    };
    assert_eq!(status.code(), expected, "{status:?}");
    assert_eq!(
        status.message().contains("mountPropagation: Bidirectional"),
        !shared,
        "{status:?}"
    );
}
