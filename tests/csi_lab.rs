//! The CSI edge on real GlusterFS: three servers, and the plugin on a client host, with real mounts. Data is
//! looked at on the bricks, not only statuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // a test stops at the first surprise

#[path = "support/csi_client.rs"]
mod csi_client;
#[path = "support/gluster_lab.rs"]
mod gluster_lab;

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use csi_client::{Volume, code, connect};
use gluster_lab::GlusterLab;
use gluster_operator::csi::proto::csi::volume_capability::access_mode::Mode;
use gluster_operator::csi::proto::csi::volume_usage::Unit;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::Code;
use tonic::transport::Channel;

const HOST: &str = "client1";

/// Labs at a time: more of them only wait for each other on a small machine.
static ROOM: Semaphore = Semaphore::const_new(2);

/// A lab with a pool, and the plugin running on its client.
struct World {
    lab: GlusterLab,
    plugin: Option<Child>,
    channel: Channel,
    _room: SemaphorePermit<'static>,
}

impl World {
    async fn up() -> Option<Self> {
        let room = ROOM.acquire().await.unwrap();
        let lab = GlusterLab::up_or_skip(3, 1)?;
        lab.pool(3);
        // As on a node that has never heard of the servers.
        lab.shell(HOST, "sed -i /node/d /etc/hosts");
        for below in [
            "pods",
            "plugins/csi.gluster-operator.io",
            "plugins_registry",
        ] {
            std::fs::create_dir_all(lab.dir().join("kubelet").join(below)).unwrap();
        }
        std::fs::copy(
            env!("CARGO_BIN_EXE_gluster-operator"),
            lab.dir().join("gluster-operator"),
        )
        .unwrap();
        // As the kubelet's directory comes into the plugin's container.
        let kubelet = lab.dir().join("kubelet").display().to_string();
        lab.run(HOST, &["mount", "--bind", &kubelet, &kubelet]);
        lab.run(HOST, &["mount", "--make-shared", &kubelet]);
        let plugin = Some(start(&lab));
        let channel = connect(&socket(&lab)).await;
        Some(Self {
            lab,
            plugin,
            channel,
            _room: room,
        })
    }

    /// A started three-copy volume, and its CSI side.
    fn volume(&self, name: &str) -> Volume {
        let bricks = [1, 2, 3].map(|n| format!("node{n}:/srv/bricks/d1/{name}"));
        let mut create = vec![
            "gluster",
            "--mode=script",
            "volume",
            "create",
            name,
            "replica",
            "3",
        ];
        create.extend(bricks.iter().map(String::as_str));
        self.lab.run("node1", &create);
        self.gluster(&["volume", "set", name, "network.ping-timeout", "10"]);
        self.gluster(&["volume", "start", name]);
        let servers: Vec<String> = [1, 2, 3]
            .map(|n| format!("node{n}={}", self.lab.address(&format!("node{n}"))))
            .into();
        let ours = "plugins/kubernetes.io/csi/csi.gluster-operator.io";
        let staging = self.path(&format!("{ours}/{name}/globalmount"));
        std::fs::create_dir_all(&staging).unwrap();
        std::fs::create_dir_all(self.path(&format!("pods/{name}"))).unwrap();
        Volume::new(
            &self.channel,
            &format!("prod:{name}"),
            &servers.join(","),
            &staging,
        )
    }

    fn gluster(&self, args: &[&str]) {
        let mut command = vec!["gluster", "--mode=script"];
        command.extend_from_slice(args);
        self.lab.run("node1", &command);
    }

    fn path(&self, below: &str) -> String {
        self.lab
            .dir()
            .join("kubelet")
            .join(below)
            .display()
            .to_string()
    }

    /// Lines of the client's mount table that name this volume.
    fn mounts(&self, name: &str) -> Vec<String> {
        let table = self.lab.run(HOST, &["cat", "/proc/self/mountinfo"]);
        table
            .lines()
            .filter(|line| line.contains(&format!(":/{name} ")))
            .map(str::to_owned)
            .collect()
    }

    /// Process ids of this volume's clients.
    fn clients(&self, name: &str) -> Vec<String> {
        let listed = self.lab.sh(
            HOST,
            &[
                "pgrep",
                "-f",
                &format!("^/usr/sbin/glusterfs .*--volfile-id=/{name} "),
            ],
        );
        String::from_utf8_lossy(&listed.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Waits until no mount and no client of the volume is left.
    fn nothing_left(&self, name: &str) {
        until("nothing is left", || {
            self.mounts(name).is_empty() && self.clients(name).is_empty()
        });
    }

    fn kill_clients(&self, name: &str) {
        for pid in self.clients(name) {
            self.lab.run(HOST, &["kill", "-9", &pid]);
        }
        until("the clients are gone", || self.clients(name).is_empty());
    }

    /// What every server has in a file of the volume.
    fn on_bricks(&self, name: &str, file: &str) -> Vec<String> {
        let path = format!("/srv/bricks/d1/{name}/{file}");
        ["node1", "node2", "node3"]
            .map(|host| self.lab.run(host, &["cat", &path]))
            .into()
    }

    /// SIGKILL for the plugin alone, as its clients outlive it here (in a container they would not).
    fn kill_plugin(&mut self) {
        self.lab.shell(
            HOST,
            &format!("kill -9 $(cat {}/plugin.pid)", self.lab.dir().display()),
        );
        self.plugin.take().unwrap().wait().unwrap();
    }

    async fn start_plugin(&mut self) {
        self.plugin = Some(start(&self.lab));
        self.channel = connect(&socket(&self.lab)).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log =
                std::fs::read_to_string(self.lab.dir().join("plugin.log")).unwrap_or_default();
            eprintln!("--- the plugin\n{log}");
            eprintln!("{}", self.lab.run(HOST, &["cat", "/proc/self/mountinfo"]));
        }
    }
}

fn socket(lab: &GlusterLab) -> PathBuf {
    lab.dir()
        .join("kubelet/plugins/csi.gluster-operator.io/csi.sock")
}

fn start(lab: &GlusterLab) -> Child {
    let path = lab.dir().join("plugin.log");
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    // with mounts of its own, as in a container: what the node has of them comes there by propagation
    let line = "echo $$ > $0/plugin.pid; exec unshare --mount --propagation unchanged $0/gluster-operator csi --node-name client1 \
                --endpoint unix://$0/kubelet/plugins/csi.gluster-operator.io/csi.sock --kubelet-dir $0/kubelet";
    let dir = lab.dir().display().to_string();
    lab.start(HOST, &["sh", "-c", line, &dir], Stdio::null(), log.into())
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "not so after 20 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_lives_on_a_node() {
    let Some(world) = World::up().await else {
        return;
    };
    let volume = world.volume("life");
    let (one, two) = (world.path("pods/life/one"), world.path("pods/life/two"));
    let shell = |line: &str| world.lab.shell(HOST, line);

    // Twice each: what is so already is a success.
    for _ in 0..2 {
        volume.stage().await.unwrap();
        assert_eq!(
            (world.mounts("life").len(), world.clients("life").len()),
            (1, 1)
        );
    }
    for _ in 0..2 {
        volume.publish(&one, false).await.unwrap();
        assert_eq!(
            (world.mounts("life").len(), world.clients("life").len()),
            (2, 1)
        );
    }
    let hosts = shell("cat /etc/hosts");
    for n in 1..=3 {
        let address = world.lab.address(&format!("node{n}"));
        let line = format!("{address} node{n} # csi.gluster-operator.io prod\n");
        assert_eq!(hosts.matches(&line).count(), 1, "{hosts}");
    }

    // Data is on every brick, and on none of the node's own disk.
    shell(&format!("echo through the pod > {one}/file"));
    assert_eq!(world.on_bricks("life", "file"), ["through the pod\n"; 3]);
    assert_eq!(
        std::fs::read_dir(&one).unwrap().count(),
        0,
        "the machine itself does not see the mount"
    );

    let stats = volume.stats(&one).await.unwrap();
    assert!(
        !stats.volume_condition.as_ref().unwrap().abnormal,
        "{stats:?}"
    );
    let usage = |unit: Unit| {
        stats
            .usage
            .iter()
            .find(|usage| usage.unit() == unit)
            .unwrap()
    };
    assert!(
        usage(Unit::Bytes).total > 1 << 30 && usage(Unit::Bytes).available > 1 << 30,
        "{stats:?}"
    );
    assert!(
        usage(Unit::Inodes).total > 1000 && usage(Unit::Inodes).used > 0,
        "{stats:?}"
    );
    assert_eq!(stats, volume.stats(&volume.staging).await.unwrap());

    // The same target with something else; another target in each access mode.
    assert_eq!(code(&volume.publish(&one, true).await), Code::AlreadyExists);
    for mode in [
        Mode::SingleNodeSingleWriter,
        Mode::SingleNodeWriter,
        Mode::SingleNodeReaderOnly,
    ] {
        let alone = volume.with(|volume| volume.mode = mode);
        let refused = alone.publish(&two, false).await;
        assert_eq!(
            code(&refused),
            Code::FailedPrecondition,
            "{mode:?}: {refused:?}"
        );
        assert!(!std::path::Path::new(&two).exists());
    }
    for mode in [Mode::SingleNodeSingleWriter, Mode::SingleNodeWriter] {
        volume
            .with(|volume| volume.mode = mode)
            .publish(&one, false)
            .await
            .unwrap();
    }
    let many = volume.with(|volume| volume.mode = Mode::SingleNodeMultiWriter);
    for _ in 0..2 {
        many.publish(&two, true).await.unwrap();
    }
    let refused = world.lab.sh(HOST, &["touch", &format!("{two}/no")]);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("Read-only file system"),
        "{refused:?}"
    );
    assert_eq!(shell(&format!("cat {two}/file")), "through the pod\n");
    shell(&format!("echo more >> {one}/file"));
    assert_eq!(shell(&format!("cat {two}/file")), "through the pod\nmore\n");
    for _ in 0..2 {
        many.unpublish(&two).await.unwrap();
        assert!(!std::path::Path::new(&two).exists());
    }
    for (what, mode, flags) in [
        ("a reader's mode", Mode::MultiNodeReaderOnly, vec![]),
        (
            "the flag ro",
            Mode::MultiNodeMultiWriter,
            vec!["ro".to_owned()],
        ),
    ] {
        let reader = volume.with(|volume| (volume.mode, volume.flags) = (mode, flags));
        reader.publish(&two, false).await.unwrap();
        let refused = world.lab.sh(HOST, &["touch", &format!("{two}/no")]);
        assert!(!refused.status.success(), "{what}");
        reader.unpublish(&two).await.unwrap();
    }

    // Another volume at the same places is refused and changes nothing.
    let other = world
        .volume("other")
        .with(|other| other.staging.clone_from(&volume.staging));
    assert_eq!(code(&other.stage().await), Code::AlreadyExists);
    assert_eq!(code(&other.publish(&one, false).await), Code::AlreadyExists);
    assert_eq!(code(&other.stats(&one).await), Code::NotFound);
    assert_eq!(shell(&format!("cat {one}/file")), "through the pod\nmore\n");

    // The client dies.
    world.kill_clients("life");
    for path in [&one, &volume.staging] {
        let stats = volume.stats(path).await.unwrap();
        let condition = stats.volume_condition.unwrap();
        assert!(
            condition.abnormal && stats.usage.is_empty(),
            "{condition:?}"
        );
        assert!(condition.message.contains("not connected"), "{condition:?}");
    }
    volume.stage().await.unwrap();
    assert!(
        volume
            .stats(&one)
            .await
            .unwrap()
            .volume_condition
            .unwrap()
            .abnormal,
        "the pod's is dead still"
    );
    volume.publish(&one, false).await.unwrap();
    assert_eq!(shell(&format!("cat {one}/file")), "through the pod\nmore\n");
    assert_eq!(
        (world.mounts("life").len(), world.clients("life").len()),
        (2, 1)
    );
    // It dies, and the kubelet asks for the pod's mount only.
    world.kill_clients("life");
    volume.publish(&one, false).await.unwrap();
    shell(&format!("echo again >> {one}/file"));
    assert_eq!(
        world.on_bricks("life", "file"),
        ["through the pod\nmore\nagain\n"; 3]
    );
    // It dies, and the pod goes.
    world.kill_clients("life");
    for _ in 0..2 {
        volume.unpublish(&one).await.unwrap();
        volume.unstage().await.unwrap();
    }
    assert!(!std::path::Path::new(&one).exists());
    assert!(
        std::path::Path::new(&volume.staging).exists(),
        "the kubelet's directory stays"
    );
    world.nothing_left("life");

    // And an ordinary end.
    volume.stage().await.unwrap();
    volume.publish(&one, false).await.unwrap();
    assert_eq!(
        shell(&format!("cat {one}/file")),
        "through the pod\nmore\nagain\n"
    );
    volume.unpublish(&one).await.unwrap();
    volume.unstage().await.unwrap();
    world.nothing_left("life");
    assert_eq!(code(&volume.stats(&one).await), Code::NotFound);
    assert_eq!(std::fs::read_dir(&volume.staging).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_the_servers_refuse_waits_to_be_admitted() {
    let Some(world) = World::up().await else {
        return;
    };
    let volume = world.volume("fence");
    let target = world.path("pods/fence/one");
    let address = world.lab.address(HOST);
    world.gluster(&["volume", "set", "fence", "auth.allow", "10.255.255.1"]);

    // Refused to the end.
    for _ in 0..2 {
        let begun = Instant::now();
        let status = volume
            .with(|v| v.timeout = Duration::from_secs(6))
            .stage()
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(
            status.message().contains("Server authentication failed"),
            "{status:?}"
        );
        assert!(status.message().contains(" tries in "), "{status:?}");
        assert!(
            begun.elapsed() > Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
        world.nothing_left("fence");
    }
    // No publish on the node's disk either.
    let status = volume
        .with(|v| v.timeout = Duration::from_secs(3))
        .publish(&target, false)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!std::path::Path::new(&target).exists());
    world.nothing_left("fence");

    // Admitted while it tries.
    let trying = tokio::spawn({
        let volume = volume.clone();
        async move { volume.stage().await.map(|()| Instant::now()) }
    });
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!trying.is_finished());
    world.gluster(&["volume", "set", "fence", "auth.allow", &address]);
    let admitted = Instant::now();
    let staged = trying.await.unwrap().unwrap();
    assert!(
        staged < admitted + Duration::from_secs(5),
        "{:?}",
        staged - admitted
    );
    volume.publish(&target, false).await.unwrap();
    world
        .lab
        .shell(HOST, &format!("echo admitted > {target}/file"));
    assert_eq!(world.on_bricks("fence", "file"), ["admitted\n"; 3]);

    // Shut out while in use: the client ends by itself, the mount of the pod is dead, and comes back when admitted.
    world.gluster(&["volume", "set", "fence", "auth.allow", "10.255.255.1"]);
    until("the client has ended", || world.clients("fence").is_empty());
    let condition = volume
        .stats(&target)
        .await
        .unwrap()
        .volume_condition
        .unwrap();
    assert!(condition.abnormal, "{condition:?}");
    let status = volume
        .with(|v| v.timeout = Duration::from_secs(3))
        .stage()
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    world.gluster(&["volume", "set", "fence", "auth.allow", &address]);
    volume.stage().await.unwrap();
    volume.publish(&target, false).await.unwrap();
    assert_eq!(
        world.lab.shell(HOST, &format!("cat {target}/file")),
        "admitted\n"
    );
    volume.unpublish(&target).await.unwrap();
    volume.unstage().await.unwrap();
    world.nothing_left("fence");

    // A volume that is not there: the reason is said, and nothing is left.
    let absent = volume.with(|volume| {
        volume.id = "prod:absent".into();
        volume.context.insert("volume".into(), "absent".into());
        volume.timeout = Duration::from_secs(3);
    });
    let status = absent.stage().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(
        status.message().contains("failed to fetch volume file"),
        "{status:?}"
    );
    world.nothing_left("absent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_killed_at_any_point_goes_on() {
    let Some(mut world) = World::up().await else {
        return;
    };
    let volume = world.volume("killed");
    let target = world.path("pods/killed/one");
    let again = |world: &World, volume: &Volume| volume.with(|v| v.channel = world.channel.clone());

    // In the middle of a stage and a publish that are sent at once, and of their undoing.
    for delay in [0, 10, 25, 50, 80, 120, 200, 400] {
        let mine = again(&world, &volume);
        let calls = tokio::spawn({
            let (volume, target) = (mine.clone(), target.clone());
            async move {
                volume.stage().await?;
                volume.publish(&target, false).await
            }
        });
        tokio::time::sleep(Duration::from_millis(delay)).await;
        world.kill_plugin();
        let _ = calls.await.unwrap();
        world.start_plugin().await;
        let mine = again(&world, &volume);
        mine.stage().await.unwrap();
        mine.publish(&target, false).await.unwrap();
        world
            .lab
            .shell(HOST, &format!("echo {delay} > {target}/file"));
        assert_eq!(
            world.on_bricks("killed", "file"),
            [
                format!("{delay}\n"),
                format!("{delay}\n"),
                format!("{delay}\n")
            ]
        );
        until("one client, two mounts", || {
            (world.mounts("killed").len(), world.clients("killed").len()) == (2, 1)
        });

        let calls = tokio::spawn({
            let (volume, target) = (mine.clone(), target.clone());
            async move {
                volume.unpublish(&target).await?;
                volume.unstage().await
            }
        });
        tokio::time::sleep(Duration::from_millis(delay / 4)).await;
        world.kill_plugin();
        let _ = calls.await.unwrap();
        world.start_plugin().await;
        let mine = again(&world, &volume);
        mine.unpublish(&target).await.unwrap();
        mine.unstage().await.unwrap();
        assert!(!std::path::Path::new(&target).exists());
        world.nothing_left("killed");
    }

    // Its clients die with it, as in a container: the kubelet makes the staging directory before it asks for anything, and can't where a
    // dead mount lies.
    let mine = again(&world, &volume);
    mine.stage().await.unwrap();
    mine.publish(&target, false).await.unwrap();
    world.kill_plugin();
    for pid in world.clients("killed") {
        world.lab.run(HOST, &["kill", "-9", &pid]);
    }
    until("its client is dead", || world.clients("killed").is_empty());
    assert_eq!(world.mounts("killed").len(), 2);
    world.start_plugin().await;
    let left = world.mounts("killed");
    assert!(left.len() == 1 && left[0].contains(&target), "{left:?}");
    let mine = again(&world, &volume);
    mine.publish(&target, false).await.unwrap();
    world
        .lab
        .shell(HOST, &format!("test -f {target}/file || ls {target}"));
    mine.unpublish(&target).await.unwrap();
    mine.unstage().await.unwrap();
    world.nothing_left("killed");

    // A client that was started and never mounted, and one that mounted and was never asked.
    let address = world.lab.address("node1");
    let staging = volume.staging.clone();
    let mine = again(&world, &volume);
    let orphan = |volfile: &str| {
        let server = format!("--volfile-server={address}");
        let id = format!("--volfile-id=/{volfile}");
        let program = ["/usr/sbin/glusterfs", "--no-daemon", &server, &id, &staging];
        world
            .lab
            .start(HOST, &program, Stdio::null(), Stdio::null())
    };
    let mut stopped = orphan("killed");
    until("the orphan runs", || !world.clients("killed").is_empty());
    until("the orphan has mounted", || {
        world.mounts("killed").len() == 1
    });
    mine.stage().await.unwrap();
    assert_eq!(
        (world.mounts("killed").len(), world.clients("killed").len()),
        (1, 1)
    );
    world.lab.run(HOST, &["umount", "-l", &staging]);
    let pids = world.clients("killed");
    if let Some(pid) = pids.first() {
        world.lab.sh(HOST, &["kill", "-STOP", pid]);
    }
    mine.stage().await.unwrap();
    assert_eq!(
        (world.mounts("killed").len(), world.clients("killed").len()),
        (1, 1)
    );
    assert!(world.clients("killed") != pids, "the orphan is gone");
    stopped.wait().unwrap();

    // Somebody unmounts the staging path by hand, while a pod uses the volume.
    mine.publish(&target, false).await.unwrap();
    let pids = world.clients("killed");
    world.lab.run(HOST, &["umount", &staging]);
    mine.stage().await.unwrap();
    assert_eq!(
        (world.mounts("killed").len(), world.clients("killed")),
        (2, pids)
    );
    world.lab.shell(
        HOST,
        &format!("echo both > {staging}/file; grep -q both {target}/file"),
    );
    mine.unpublish(&target).await.unwrap();
    mine.unstage().await.unwrap();
    world.nothing_left("killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_is_busy_or_is_not_ours_is_dealt_with_in_bounded_time() {
    let Some(mut world) = World::up().await else {
        return;
    };
    let volume = world.volume("hang");
    let target = world.path("pods/hang/one");
    let shell = |line: &str| world.lab.shell(HOST, line);
    let soon = |begun: Instant, seconds: u64| {
        assert!(
            begun.elapsed() < Duration::from_secs(seconds),
            "{:?}",
            begun.elapsed()
        );
    };

    // A server that is silent, first in the list, does not hold up a mount.
    world.lab.script(&["partition", "node1"]);
    let begun = Instant::now();
    volume.stage().await.unwrap();
    println!(
        "staged in {:?} while the first server was silent",
        begun.elapsed()
    );
    soon(begun, 20);
    volume.publish(&target, false).await.unwrap();
    shell(&format!("echo two copies > {target}/file"));
    world.lab.script(&["restore", "node1"]);

    // A client that hangs: nothing is torn down that may come back, and no call hangs with it.
    let pid = world.clients("hang").remove(0);
    world.lab.run(HOST, &["kill", "-STOP", &pid]);
    let begun = Instant::now();
    let condition = volume
        .stats(&target)
        .await
        .unwrap()
        .volume_condition
        .unwrap();
    assert!(
        condition.abnormal && condition.message.contains("no answer"),
        "{condition:?}"
    );
    soon(begun, 8);
    let status = volume
        .with(|v| v.timeout = Duration::from_secs(8))
        .stage()
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let status = volume.publish(&target, false).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(world.clients("hang"), *std::slice::from_ref(&pid));
    world.lab.run(HOST, &["kill", "-CONT", &pid]);
    volume.stage().await.unwrap();
    volume.publish(&target, false).await.unwrap();
    assert_eq!(world.clients("hang"), *std::slice::from_ref(&pid));
    assert_eq!(shell(&format!("cat {target}/file")), "two copies\n");
    // It hangs for good, and the pod goes.
    world.lab.run(HOST, &["kill", "-STOP", &pid]);
    let begun = Instant::now();
    volume.unpublish(&target).await.unwrap();
    volume.unstage().await.unwrap();
    soon(begun, 40);
    world.nothing_left("hang");

    // A pod's mount that somebody still uses is detached.
    volume.stage().await.unwrap();
    volume.publish(&target, false).await.unwrap();
    let mut user = world.lab.start(
        HOST,
        &["sh", "-c", "cd $0 && exec sleep 60", &target],
        Stdio::null(),
        Stdio::null(),
    );
    let busy = || shell("for p in /proc/[0-9]*; do readlink $p/cwd; done; true").contains(&target);
    until("the mount is in use", busy);
    let begun = Instant::now();
    volume.unpublish(&target).await.unwrap();
    soon(begun, 15);
    assert!(!std::path::Path::new(&target).exists());
    volume.unstage().await.unwrap();
    world.nothing_left("hang");
    user.kill().unwrap();
    user.wait().unwrap();

    // Where no pod would see it, nothing is mounted.
    let kubelet = world.path("");
    let pid = std::fs::read_to_string(world.lab.dir().join("plugin.pid")).unwrap();
    shell(&format!(
        "nsenter --mount --target {} mount --make-private {kubelet}",
        pid.trim()
    ));
    for answer in [volume.stage().await, volume.publish(&target, false).await] {
        assert_eq!(code(&answer), Code::FailedPrecondition, "{answer:?}");
    }
    world.nothing_left("hang");
    world.kill_plugin();
    world.start_plugin().await;
    let volume = volume.with(|volume| volume.channel = world.channel.clone());
    let shell = |line: &str| world.lab.shell(HOST, line);

    // Mounts that are not ours stay.
    shell(&format!(
        "mkdir {target} && mount -t tmpfs none {target} && touch {target}/theirs"
    ));
    assert_eq!(
        code(&volume.publish(&target, false).await),
        Code::AlreadyExists
    );
    assert_eq!(
        code(&volume.unpublish(&target).await),
        Code::FailedPrecondition
    );
    assert_eq!(code(&volume.stats(&target).await), Code::NotFound);
    shell(&format!(
        "test -e {target}/theirs && umount {target} && rmdir {target}"
    ));
    shell(&format!("mount -t tmpfs none {}", volume.staging));
    assert_eq!(code(&volume.stage().await), Code::AlreadyExists);
    assert_eq!(code(&volume.unstage().await), Code::FailedPrecondition);
    shell(&format!("umount {}", volume.staging));

    // Files on the node's own disk are neither hidden nor removed.
    shell(&format!("mkdir {target} && touch {target}/local"));
    assert_eq!(
        code(&volume.publish(&target, false).await),
        Code::FailedPrecondition
    );
    assert_eq!(
        code(&volume.unpublish(&target).await),
        Code::FailedPrecondition
    );
    shell(&format!("test -e {target}/local && rm -r {target}"));

    // A target inside of the volume itself, and one behind a link that the volume holds.
    volume.publish(&target, false).await.unwrap();
    shell(&format!("mkdir {target}/dir; ln -s /etc {target}/link"));
    for inside in ["dir", "link", "link/cron.d", "dir/new"] {
        let answer = volume.publish(&format!("{target}/{inside}"), false).await;
        assert_eq!(code(&answer), Code::InvalidArgument, "{inside}: {answer:?}");
        let answer = volume.unpublish(&format!("{target}/{inside}")).await;
        assert_eq!(code(&answer), Code::InvalidArgument, "{inside}: {answer:?}");
    }
    shell(&format!(
        "test -d {target}/dir && rm -r {target}/dir {target}/link"
    ));

    // All servers lose their power: no call hangs, and the volume can leave the node.
    for node in ["node1", "node2", "node3"] {
        world.lab.script(&["poweroff", node]);
    }
    let begun = Instant::now();
    let condition = volume
        .stats(&target)
        .await
        .unwrap()
        .volume_condition
        .unwrap();
    assert!(condition.abnormal, "{condition:?}");
    volume.unpublish(&target).await.unwrap();
    volume.unstage().await.unwrap();
    soon(begun, 60);
    println!(
        "left {:?} after all servers had lost their power",
        begun.elapsed()
    );
    world.nothing_left("hang");
    let status = volume
        .with(|v| v.timeout = Duration::from_secs(4))
        .stage()
        .await
        .unwrap_err();
    assert!(
        status.message().contains("no server of the pool answers"),
        "{status:?}"
    );
    world.nothing_left("hang");
}
