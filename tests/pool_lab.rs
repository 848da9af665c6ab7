//! A pool and its trash on real hosts, without Kubernetes: plans are made from what the hosts say, and their steps taken over SSH.
//!
//! Needs what the lab needs ([`GlusterLab::missing`]). The test starts itself once more inside a host of the lab
//! (`support/inside.rs`).

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // it is all tests

#[path = "support/gluster_lab.rs"]
mod gluster_lab;
#[path = "support/inside.rs"]
mod inside;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gluster_operator::api::condition::Reason;
use gluster_operator::gluster::glusterd_vol;
use gluster_operator::gluster::model::PoolView;
use gluster_operator::gluster::names::{HostName, OwnerMark};
use gluster_operator::gluster::operation::Operation;
use gluster_operator::host::Host;
use gluster_operator::plan::cluster as decide;
use gluster_operator::plan::step::{BrickPlace, Step};
use gluster_operator::plan::trash::{self, DeviceTrash, Verdict};
use gluster_operator::plan::upkeep::{self, Care, Former, Upkeep};
use gluster_operator::plan::validate::{self, OpVersionWish, ValidCluster};
use gluster_operator::pool::Pool;
use serde_json::{Value, json};

use gluster_lab::GlusterLab;
use inside::Inside;

const DEVICE: &str = "/srv/bricks/d1";
const NODES: [&str; 3] = ["node1", "node2", "node3"];
const UID: &str = "0000000b-0000-0000-0000-00000000000b";

#[test]
fn pool_and_trash_of_a_lab() {
    let Some(lab) = GlusterLab::up_or_skip(3, 1) else {
        return;
    };
    inside::play(&lab, &NODES);
}

impl Inside {
    fn host(&self, node: &str) -> Arc<dyn Host> {
        Arc::new(self.ssh(node, &self.address(node)))
    }

    /// A cluster of these hosts with these fields, and the way to it.
    fn cluster(&self, nodes: &[&str], more: &Value) -> (ValidCluster, Pool) {
        let list: Vec<Value> = nodes
            .iter()
            .map(|node| json!({"name": node, "address": self.address(node), "devices": [{"path": DEVICE}]}))
            .collect();
        let mut spec = json!({"access": {"ssh": {"secretRef": {"name": "s"}}}, "nodes": list});
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        let want =
            validate::cluster("lab", UID, UID, &serde_json::from_value(spec).unwrap()).unwrap();
        (want, self.pool(nodes, "lab"))
    }

    fn pool(&self, nodes: &[&str], slot: &str) -> Pool {
        let hosts = nodes
            .iter()
            .map(|node| (self.host(node), vec![DEVICE.parse().unwrap()]));
        Pool::new(hosts.collect(), slot.parse().unwrap())
    }
}

async fn look(pool: &Pool) -> Arc<PoolView> {
    pool.observe(Instant::now()).await.view
}

/// Takes the steps of the pool's own plan until there is none, and all see each other.
async fn settle(want: &ValidCluster, pool: &Pool) -> Arc<PoolView> {
    let start = Instant::now();
    loop {
        let view = look(pool).await;
        let plan = decide::plan(want, &view);
        let connected = plan
            .findings
            .iter()
            .all(|finding| finding.holds == Some(true));
        if plan.steps.is_empty() && connected {
            return view;
        }
        assert!(start.elapsed().as_secs() < 40, "{:?}", plan.findings);
        let coordinator = decide::coordinator(want, &view).cloned();
        for step in &plan.steps {
            println!("{}", step.describe());
            pool.execute(step, coordinator.as_ref().unwrap())
                .await
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One look and plan of upkeep.
async fn care(
    want: &ValidCluster,
    pool: &Pool,
    former: &[Former],
    owned: &[&str],
    visit: Option<&Pool>,
) -> (Arc<PoolView>, Care) {
    let view = look(pool).await;
    let former_view = match visit {
        Some(visit) => look(visit).await,
        None => Arc::default(),
    };
    let coordinator = decide::coordinator(want, &view).unwrap();
    let max_op_version = if want.op_version == OpVersionWish::Max {
        pool.max_op_version(coordinator).await
    } else {
        None
    };
    let glusterd_vol = if want.ping_timeout.is_some() {
        pool.glusterd_vol().await
    } else {
        BTreeMap::new()
    };
    let owned: Vec<String> = owned.iter().map(ToString::to_string).collect();
    let care = upkeep::plan(
        want,
        &view,
        &Upkeep {
            owned: &owned,
            former,
            former_view: &former_view,
            max_op_version,
            glusterd_vol: &glusterd_vol,
            unsettled: pool.unsettled_anywhere().as_deref(),
        },
    );
    (view, care)
}

fn described(care: &Care) -> Vec<String> {
    care.plan.steps.iter().map(Step::describe).collect()
}

async fn take(want: &ValidCluster, pool: &Pool, view: &PoolView, care: &Care) {
    let coordinator: &HostName = decide::coordinator(want, view).unwrap();
    for step in &care.plan.steps {
        println!("{}", step.describe());
        pool.execute(step, coordinator).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "pool_and_trash_of_a_lab runs it inside a host"]
async fn inside() {
    let lab = Inside::new();
    let start = Instant::now();
    op_version(&lab).await;
    println!("op-version {:?}", start.elapsed());
    options(&lab).await;
    println!("options {:?}", start.elapsed());
    ping_timeout(&lab).await;
    println!("ping-timeout {:?}", start.elapsed());
    nodes(&lab).await;
    println!("nodes {:?}", start.elapsed());
    trash_is_purged(&lab).await;
    println!("trash {:?}", start.elapsed());
}

/// Hosts whose op-version is that of an older GlusterFS become a pool, which is raised to the highest.
async fn op_version(lab: &Inside) {
    for node in NODES {
        lab.script(&format!("service {node} glusterd stop")).await;
        lab.sh(node, "grep -q operating-version /var/lib/glusterd/glusterd.info && sed -i s/operating-version=.*/operating-version=90000/ /var/lib/glusterd/glusterd.info || printf 'operating-version=90000\\n' > /var/lib/glusterd/glusterd.info").await;
        lab.script(&format!("service {node} glusterd start")).await;
    }
    let (want, pool) = lab.cluster(&NODES, &json!({}));
    let view = settle(&want, &pool).await;
    assert!(
        view.answered()
            .all(|(_, facts)| facts.state.op_version == 90_000
                && facts.owner.as_deref() == Some(want.owner.as_str()))
    );
    let (_, kept) = care(&want, &pool, &[], &[], None).await;
    assert!(
        kept.plan.steps.is_empty() && kept.plan.findings.is_empty(),
        "{kept:?}"
    );

    let (high, _) = lab.cluster(&NODES, &json!({"opVersion": {"policy": "Max"}}));
    let (view, wanted) = care(&high, &pool, &[], &[], None).await;
    assert_eq!(described(&wanted), ["raising the op-version to 100000"]);
    take(&high, &pool, &view, &wanted).await;
    let (view, done) = care(&high, &pool, &[], &[], None).await;
    assert!(done.plan.steps.is_empty(), "{done:?}");
    assert!(
        view.answered()
            .all(|(_, facts)| facts.state.op_version == 100_000)
    );

    // more than GlusterFS has: its own words; less: not even sent
    let (beyond, _) = lab.cluster(
        &NODES,
        &json!({"opVersion": {"policy": "Version", "version": 110_000}}),
    );
    let (view, wanted) = care(&beyond, &pool, &[], &[], None).await;
    let coordinator = decide::coordinator(&beyond, &view).unwrap();
    let refused = pool
        .execute(&wanted.plan.steps[0], coordinator)
        .await
        .unwrap_err();
    assert!(
        refused.words.contains("Max supported op version is 100000"),
        "{refused}"
    );
    let (low, _) = lab.cluster(
        &NODES,
        &json!({"opVersion": {"policy": "Version", "version": 90_000}}),
    );
    let (_, wanted) = care(&low, &pool, &[], &[], None).await;
    assert!(wanted.plan.steps.is_empty());
    assert_eq!(wanted.plan.findings[0].reason, Reason::OpVersionTooLow);
}

async fn options(lab: &Inside) {
    let key = "cluster.max-bricks-per-process";
    let (want, pool) = lab.cluster(
        &NODES,
        &json!({"options": {"cluster.brick-multiplex": "on", key: "7"}}),
    );
    let view = settle(&want, &pool).await;
    assert!(
        view.answered()
            .all(|(_, facts)| facts.state.global_options.get(key).map(String::as_str) == Some("7"))
    );
    // one that somebody else set stays
    lab.sh(
        "node1",
        "gluster --mode=script volume set all cluster.localtime-logging enable",
    )
    .await;
    let (less, _) = lab.cluster(&NODES, &json!({}));
    let (view, wanted) = care(&less, &pool, &[], &["cluster.brick-multiplex", key], None).await;
    assert_eq!(
        described(&wanted),
        [
            "resetting pool option cluster.brick-multiplex",
            "resetting pool option cluster.max-bricks-per-process"
        ]
    );
    take(&less, &pool, &view, &wanted).await;
    // a reset of one that is not set is no failure
    take(&less, &pool, &view, &wanted).await;
    let (view, done) = care(&less, &pool, &[], &["cluster.brick-multiplex", key], None).await;
    assert!(done.plan.steps.is_empty());
    for (_, facts) in view.answered() {
        let left: Vec<&String> = facts.state.global_options.keys().collect();
        assert_eq!(left, ["cluster.localtime-logging"]);
    }
}

async fn ping_timeout(lab: &Inside) {
    let file = "/etc/glusterfs/glusterd.vol";
    let before = lab
        .sh(
            "node1",
            &format!(
                "chmod 640 {file}; chgrp daemon {file}; stat -c '%a %U %G' {file}; cat {file}"
            ),
        )
        .await;
    let (want, pool) = lab.cluster(&NODES, &json!({"glusterdPingTimeout": 12}));
    let (view, wanted) = care(&want, &pool, &[], &[], None).await;
    assert_eq!(wanted.plan.steps.len(), 3, "{:?}", described(&wanted));
    take(&want, &pool, &view, &wanted).await;
    let after = lab
        .sh("node1", &format!("stat -c '%a %U %G' {file}; cat {file}"))
        .await;
    assert!(after.starts_with("640 root daemon"), "{after}");
    let shipped = glusterd_vol::ping_timeout(&before).unwrap();
    assert_eq!(
        after,
        before.replace(
            &format!("option ping-timeout {shipped}"),
            "option ping-timeout 12"
        ),
        "nothing else changed"
    );
    let (_, written) = care(&want, &pool, &[], &[], None).await;
    let [finding] = &written.plan.findings[..] else {
        panic!("{written:?}");
    };
    assert!(written.plan.steps.is_empty() && finding.reason == Reason::RestartNeeded);
    assert!(
        finding.message.contains("node1, node2, node3"),
        "{}",
        finding.message
    );
    for node in NODES {
        lab.script(&format!("service {node} glusterd restart"))
            .await;
    }
    settle(&want, &pool).await;
    let (_, done) = care(&want, &pool, &[], &[], None).await;
    assert!(
        done.plan.steps.is_empty() && done.plan.findings.is_empty(),
        "{done:?}"
    );
}

/// node3 leaves the spec: kept while a brick lies there, by any name; then detached, released, and taken back.
async fn nodes(lab: &Inside) {
    let (three, whole_pool) = lab.cluster(&NODES, &json!({}));
    let view = settle(&three, &whole_pool).await;
    // gluster gets to know it by its address, too: one peer, since its uuid is one
    let by_address = lab.address("node3");
    lab.sh(
        "node1",
        &format!("gluster --mode=script peer probe {by_address}"),
    )
    .await;
    let view = {
        drop(view);
        settle(&three, &whole_pool).await
    };
    let former = Former {
        name: "node3".parse().unwrap(),
        address: by_address.parse().unwrap(),
        uuid: view
            .facts(&"node3".parse().unwrap())
            .unwrap()
            .state
            .uuid
            .clone()
            .unwrap(),
    };
    assert!(
        view.answered()
            .all(|(_, facts)| facts.state.peers.len() == 2),
        "an IP and a name of one host are one peer"
    );
    let (two, pool) = lab.cluster(&NODES[..2], &json!({}));
    let visit = lab.pool(&["node3"], "visit");
    lab.sh(
        "node1",
        &format!("gluster --mode=script volume create keeps node1:{DEVICE}/keeps {by_address}:{DEVICE}/keeps"),
    )
    .await;
    let one = std::slice::from_ref(&former);
    let (_, held) = care(&two, &pool, one, &[], Some(&visit)).await;
    assert!(held.plan.steps.is_empty());
    assert_eq!(held.plan.findings[0].reason, Reason::NodeInUse);
    assert!(
        held.plan.findings[0]
            .message
            .contains(&format!("{by_address}:{DEVICE}/keeps of volume keeps")),
        "{}",
        held.plan.findings[0].message
    );
    // gluster itself refuses, too, since nothing is forced
    let coordinator = "node1".parse().unwrap();
    let detach = Step::DetachPeer {
        host: "node3".parse().unwrap(),
    };
    let refused = pool.execute(&detach, &coordinator).await.unwrap_err();
    assert_eq!(refused.detail, "has-bricks", "{refused}");
    lab.sh("node1", "gluster --mode=script volume delete keeps")
        .await;
    // never listed: reported, and left alone
    let (_, stranger) = care(&two, &pool, &[], &[], None).await;
    assert!(
        stranger.plan.steps.is_empty() && stranger.strangers.len() == 1,
        "{stranger:?}"
    );
    // another host down: nobody is detached
    lab.script("service node2 glusterd stop").await;
    let (_, held) = care(&two, &pool, one, &[], Some(&visit)).await;
    assert!(
        held.plan.steps.is_empty() && held.plan.findings[0].message.contains("node2"),
        "{held:?}"
    );
    lab.script("service node2 glusterd start").await;
    settle(&two, &pool).await;

    let (view, wanted) = care(&two, &pool, one, &[], Some(&visit)).await;
    assert_eq!(wanted.plan.steps.len(), 1, "{wanted:?}");
    take(&two, &pool, &view, &wanted).await;
    let view = settle(&two, &pool).await;
    assert!(
        view.answered()
            .all(|(_, facts)| facts.state.peers.len() == 1)
    );
    let (_, done) = care(&two, &pool, one, &[], Some(&visit)).await;
    assert_eq!(done.detached, std::slice::from_ref(&former));
    let release = Step::ReleaseHost {
        host: former.name.clone(),
    };
    visit.execute(&release, &former.name).await.unwrap();
    assert_eq!(lab.sh("node3", "ls /var/lib/gluster-operator").await, "");
    // and back
    let view = settle(&three, &whole_pool).await;
    assert!(
        view.answered()
            .all(|(_, facts)| facts.state.peers.len() == 2 && facts.owner.is_some())
    );
}

/// Puts bricks into the trash as a deletion does: the name there, whose mark it is, and how long ago by the manifest.
async fn throw_away(lab: &Inside, pool: &Pool, name: &str, mark: &str, ago: u64) {
    let place = BrickPlace {
        host: "node1".parse().unwrap(),
        device: DEVICE.parse().unwrap(),
        parent: format!("{DEVICE}/{name}").parse().unwrap(),
        path: format!("{DEVICE}/{name}/brick").parse().unwrap(),
    };
    let mark: OwnerMark = mark.parse().unwrap();
    let make = Step::MakeBricks {
        places: vec![place.clone()],
        mark: mark.clone(),
    };
    pool.execute(&make, &place.host).await.unwrap();
    let id = "11111111-2222-3333-4444-555555555555";
    let fill = format!(
        "cd {DEVICE}/{name}/brick && setfattr -n trusted.glusterfs.volume-id -v 0x{} . && mkdir -p a/b .glusterfs && dd if=/dev/urandom of=a/b/data bs=64k count=4 2>/dev/null && ln a/b/data .glusterfs/link",
        id.replace('-', "")
    );
    lab.sh("node1", &fill).await;
    let manifest =
        json!({"version": 1, "owner": mark.as_str(), "volumeId": id, "deletedAt": now() - ago});
    for step in [
        Step::WriteManifest {
            places: vec![place.clone()],
            name: name.into(),
            manifest: manifest.to_string(),
        },
        Step::TrashBricks {
            places: vec![place.clone()],
            name: name.into(),
        },
    ] {
        pool.execute(&step, &place.host).await.unwrap();
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// One look at node1's trash: what is destroyed, and what is told of the rest.
async fn purge(want: &ValidCluster, pool: &Pool) -> (Vec<String>, Vec<String>) {
    let view = look(pool).await;
    assert_eq!(trash::held(want, &view), None);
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for (host, device, listing) in pool.list_trash().await {
        let one = DeviceTrash {
            host: host.clone(),
            device: device.clone(),
            listing,
        };
        kept.extend(trash::strange(std::slice::from_ref(&one)));
        for candidate in trash::candidates(want, &view, &one) {
            let name = &candidate.item.name;
            let entry = pool.inspect_trash(&host, &device, name).await.unwrap();
            match trash::judge(want, &view, &candidate, &entry, now()) {
                Verdict::Purge(step) => {
                    pool.execute(&step, &host).await.unwrap();
                    gone.push(name.to_string());
                }
                Verdict::Note(step) => {
                    pool.execute(&step, &host).await.unwrap();
                    kept.push(format!("{name} is noted"));
                }
                Verdict::Young => kept.push(format!("{name} is young")),
                Verdict::Kept(why) => kept.push(why),
            }
        }
    }
    (gone, kept)
}

async fn trash_is_purged(lab: &Inside) {
    let (want, pool) = lab.cluster(&NODES, &json!({"trash": {"retention": "2s"}}));
    let ours = format!("v1:{}:{UID}:shop/data:{UID}", want.owner);
    let theirs = format!("v1:some.one:{UID}:shop/data:{UID}");
    let day = 86_400;
    throw_away(lab, &pool, "old-0a1b2c3d", &ours, day).await;
    throw_away(lab, &pool, "theirs-0a1b2c3d", &theirs, day).await;
    throw_away(lab, &pool, "young-0a1b2c3d", &ours, 0).await;
    throw_away(lab, &pool, "mounted-0a1b2c3d", &ours, day).await;
    throw_away(lab, &pool, "bound-0a1b2c3d", &ours, day).await;
    throw_away(lab, &pool, "begun-0a1b2c3d", &ours, day).await;
    throw_away(lab, &pool, "unnoted-0a1b2c3d", &ours, day).await;
    let t = format!("{DEVICE}/.trash");
    lab.sh("node1", &format!("
        mkdir {t}/mounted-0a1b2c3d/brick/other && mount -t tmpfs tmpfs {t}/mounted-0a1b2c3d/brick/other && echo precious > {t}/mounted-0a1b2c3d/brick/other/file
        mkdir -p {DEVICE}/elsewhere {t}/bound-0a1b2c3d/brick/bind && echo precious > {DEVICE}/elsewhere/file && mount --bind {DEVICE}/elsewhere {t}/bound-0a1b2c3d/brick/bind
        mkdir {t}/notes && echo mine > {t}/notes/file && echo mine > {t}/list.txt
        mv {t}/begun-0a1b2c3d.json {t}/begun-0a1b2c3d.purging && rm -r {t}/begun-0a1b2c3d/brick/a
        sed -i 's/deletedAt\":[0-9]*/deletedAt\":99999999999/' {t}/young-0a1b2c3d.json
        rm {t}/unnoted-0a1b2c3d.json && touch {t}/lone-0a1b2c3d.purging
        mkdir -p {t}/bare-0a1b2c3d/brick && echo data > {t}/bare-0a1b2c3d/brick/data")).await;
    // a directory full of links out of the trash: they go, and what they name stays
    lab.sh("node1", &format!("ln -s {DEVICE}/elsewhere {t}/old-0a1b2c3d/brick/a/out && ln -s / {t}/old-0a1b2c3d/brick/root")).await;
    tokio::time::sleep(Duration::from_millis(2200)).await;

    let (mut gone, kept) = purge(&want, &pool).await;
    gone.sort();
    assert_eq!(gone, ["begun-0a1b2c3d", "old-0a1b2c3d"], "{kept:?}");
    for words in [
        "theirs-0a1b2c3d does not carry the mark",
        "young-0a1b2c3d is young",
        "mounted-0a1b2c3d has something mounted",
        "bound-0a1b2c3d has something mounted",
        "bare-0a1b2c3d does not carry the mark",
        "unnoted-0a1b2c3d is noted",
        ".trash/notes",
        ".trash/list.txt",
    ] {
        assert!(
            kept.iter().any(|one| one.contains(words)),
            "{words} in {kept:?}"
        );
    }
    let left = lab.sh("node1", &format!("ls {t}")).await;
    for name in ["theirs", "young", "mounted", "bound"] {
        assert!(
            left.contains(&format!("{name}-0a1b2c3d\n"))
                && left.contains(&format!("{name}-0a1b2c3d.json")),
            "{left}"
        );
    }
    assert!(
        !left.contains("old-") && !left.contains("begun-") && left.contains("notes"),
        "{left}"
    );
    let data = format!(
        "cat {DEVICE}/elsewhere/file {t}/mounted-0a1b2c3d/brick/other/file {t}/bound-0a1b2c3d/brick/bind/file {t}/notes/file {t}/bare-0a1b2c3d/brick/data; stat -c %s {t}/theirs-0a1b2c3d/brick/a/b/data"
    );
    assert_eq!(
        lab.sh("node1", &data).await,
        "precious\nprecious\nprecious\nmine\ndata\n262144"
    );
    // what is mounted after the look keeps an entry, too: another file system, or a bind mount of the same one, which rm would
    // enter
    for name in ["mounted-0a1b2c3d", "bound-0a1b2c3d"] {
        let operation = Operation::PurgeTrash {
            device: DEVICE.parse().unwrap(),
            name: name.parse().unwrap(),
            manifest: true,
        };
        let outputs = lab.host("node1").perform(&operation).await.unwrap();
        assert_eq!(
            (outputs.len(), outputs[1].exit),
            (2, Some(1)),
            "{outputs:?}"
        );
    }
    let data = format!(
        "cat {t}/mounted-0a1b2c3d/brick/other/file {t}/bound-0a1b2c3d/brick/bind/file {DEVICE}/elsewhere/file; stat -c %s {t}/bound-0a1b2c3d/brick/a/b/data"
    );
    assert_eq!(
        lab.sh("node1", &data).await,
        "precious\nprecious\nprecious\n262144"
    );
    // an entry that came to the place of one that is gone is not taken for it
    throw_away(lab, &pool, "lone-0a1b2c3d", &ours, 0).await;
    let forget = Step::ForgetTrash {
        host: "node1".parse().unwrap(),
        device: DEVICE.parse().unwrap(),
        name: "lone-0a1b2c3d".parse().unwrap(),
    };
    pool.execute(&forget, &"node1".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(
        lab.sh(
            "node1",
            &format!("ls -d {t}/lone*; stat -c %s {t}/lone-0a1b2c3d/brick/a/b/data")
        )
        .await,
        format!("{t}/lone-0a1b2c3d\n{t}/lone-0a1b2c3d.json\n262144")
    );
    // unmounted, they go at the next look; so does what had no manifest, and what came last
    tokio::time::sleep(Duration::from_millis(2200)).await;
    lab.sh(
        "node1",
        &format!("umount {t}/mounted-0a1b2c3d/brick/other {t}/bound-0a1b2c3d/brick/bind"),
    )
    .await;
    let (mut gone, kept) = purge(&want, &pool).await;
    gone.sort();
    assert_eq!(
        gone,
        [
            "bound-0a1b2c3d",
            "lone-0a1b2c3d",
            "mounted-0a1b2c3d",
            "unnoted-0a1b2c3d"
        ],
        "{kept:?}"
    );
    assert_eq!(
        lab.sh("node1", &format!("cat {DEVICE}/elsewhere/file"))
            .await,
        "precious"
    );
    // a brick in the trash of a volume that exists stays: somebody used it where it lies
    throw_away(lab, &pool, "used-0a1b2c3d", &ours, day).await;
    lab.sh(
        "node1",
        &format!("gluster --mode=script volume create used node1:{t}/used-0a1b2c3d/brick force"),
    )
    .await;
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let (gone, kept) = purge(&want, &pool).await;
    assert!(
        gone.is_empty() && kept.iter().any(|one| one.contains("volume used")),
        "{gone:?} {kept:?}"
    );
    assert_eq!(
        lab.sh(
            "node1",
            &format!("stat -c %s {t}/used-0a1b2c3d/brick/a/b/data")
        )
        .await,
        "262144"
    );
}
