//! Operations in an order that meets every quirk.

use gluster_operator::gluster::names::{Brick, Bytes, HostPath};
use gluster_operator::gluster::operation::{Gluster, Operation, SetShape};
use gluster_operator::gluster::outcome::Family;
use gluster_operator::host::simulated::Fault;

use crate::acts::{Act, Client, DEVICE};

/// Longer than gluster waits by itself.
const LONG: u64 = 150;
/// Short enough to give up on a command that hangs, and long enough for one that does not.
const SHORT: u64 = 2;
const ALL: &[&str] = &["node1", "node2", "node3", "node4"];

pub fn gluster(host: &'static str, gluster: Gluster) -> Act {
    Act::Do(host, Operation::Gluster(gluster))
}

pub fn words(host: &'static str, family: Family, line: &str) -> Act {
    let words = line.split(' ').map(str::to_owned).collect();
    Act::Gluster(host, family, words, LONG)
}

fn within(host: &'static str, family: Family, line: &str, seconds: u64) -> Act {
    let words = line.split(' ').map(str::to_owned).collect();
    Act::Gluster(host, family, words, seconds)
}

pub fn create(host: &'static str, volume: &str, shape: SetShape, bricks: &[&str]) -> Act {
    let brick = |text: &&str| {
        let (host, path) = text.split_once(':').unwrap();
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{DEVICE}/{path}")
        };
        Brick {
            host: host.parse().unwrap(),
            path: path.parse().unwrap(),
        }
    };
    gluster(
        host,
        Gluster::Create {
            volume: volume.parse().unwrap(),
            shape,
            bricks: bricks.iter().map(brick).collect(),
        },
    )
}

pub fn set(host: &'static str, volume: &str, options: &[(&str, &str)]) -> Act {
    let options = options
        .iter()
        .map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap()));
    gluster(
        host,
        Gluster::Set(volume.parse().unwrap(), options.collect()),
    )
}

pub fn reset(host: &'static str, volume: &str, key: &str) -> Act {
    gluster(
        host,
        Gluster::Reset(volume.parse().unwrap(), key.parse().unwrap()),
    )
}

pub fn start(host: &'static str, volume: &str) -> Act {
    gluster(host, Gluster::Start(volume.parse().unwrap()))
}

pub fn stop(host: &'static str, volume: &str) -> Act {
    gluster(host, Gluster::Stop(volume.parse().unwrap()))
}

pub fn delete(host: &'static str, volume: &str) -> Act {
    gluster(host, Gluster::Delete(volume.parse().unwrap()))
}

pub fn enable(host: &'static str, volume: &str) -> Act {
    gluster(host, Gluster::QuotaEnable(volume.parse().unwrap()))
}

pub fn limit(host: &'static str, volume: &str, bytes: u64) -> Act {
    gluster(
        host,
        Gluster::QuotaLimit(volume.parse().unwrap(), Bytes(bytes)),
    )
}

pub fn unlimit(host: &'static str, volume: &str) -> Act {
    gluster(host, Gluster::QuotaRemove(volume.parse().unwrap()))
}

pub fn list(host: &'static str, volume: &str) -> Act {
    gluster(host, Gluster::QuotaList(volume.parse().unwrap()))
}

pub fn lists(host: &'static str, volumes: &[&str]) -> Act {
    let volumes = volumes.iter().map(|volume| volume.parse().unwrap());
    Act::Do(host, Operation::QuotaLists(volumes.collect()))
}

pub fn clients(host: &'static str, volume: &str) -> Act {
    gluster(host, Gluster::Clients(volume.parse().unwrap()))
}

pub fn brick_clients(host: &'static str, volume: &str, brick: (&str, &str)) -> Act {
    let (at, path) = brick;
    let brick = Brick {
        host: at.parse().unwrap(),
        path: format!("{DEVICE}/{path}").parse().unwrap(),
    };
    gluster(host, Gluster::BrickClients(volume.parse().unwrap(), brick))
}

pub fn probe(host: &'static str, other: &str) -> Act {
    gluster(host, Gluster::Probe(other.parse().unwrap()))
}

pub fn inspect(host: &'static str, paths: &[&str]) -> Act {
    let path = |path: &&str| -> HostPath { format!("{DEVICE}/{path}").parse().unwrap() };
    Act::Do(
        host,
        Operation::InspectBricks(paths.iter().map(path).collect()),
    )
}

pub fn count(host: &'static str, paths: &[&str]) -> Act {
    let path = |path: &&str| -> HostPath { format!("{DEVICE}/{path}").parse().unwrap() };
    Act::Do(
        host,
        Operation::CountBricks(paths.iter().map(path).collect()),
    )
}

const ONE: SetShape = SetShape::Distribute;
const TWO: SetShape = SetShape::Replicate { copies: 2 };
const THREE: SetShape = SetShape::Replicate { copies: 3 };

/// A host that is alone, and will not survive it.
pub fn alone(unique: &str) -> Vec<Act> {
    let root = format!("node5:/tmp/simulated-{unique}");
    let long = "x".repeat(4200);
    let raw = |line: &str| {
        let mut words: Vec<String> = "volume set m1 user.x"
            .split(' ')
            .map(str::to_owned)
            .collect();
        words.push(line.to_owned());
        Act::Gluster("node5", Family::VolumeSet, words, LONG)
    };
    vec![
        // without the directory of our locks nothing is sent
        probe("node1", "node5"),
        Act::Do("node1", Operation::Prerequisites),
        Act::Do("node5", Operation::Prerequisites),
        Act::Do("node5", Operation::About),
        Act::Look(&["node5"]),
        gluster("node5", Gluster::Uuid),
        create("node5", "m0", ONE, &["node5:/srv/bricks/d1"]),
        create("node5", "m0", ONE, &[&root]),
        words(
            "node5",
            Family::VolumeSet,
            "volume set all cluster.brick-multiplex on",
        ),
        create("node5", "m1", ONE, &["node5:m1"]),
        start("node5", "m1"),
        Act::Look(&["node5"]),
        Act::NoMoreBricks("node5"),
        create("node5", "m2", ONE, &["node5:m2"]),
        start("node5", "m2"),
        Act::Look(&["node5"]),
        clients("node5", "m2"),
        start("node5", "m2"),
        stop("node5", "m2"),
        delete("node5", "m2"),
        create("node5", "m2", ONE, &["node5:m2"]),
        probe("node1", "node5"),
        raw(&"x".repeat(4000)),
        set("node5", "m1", &[("user.x", "short")]),
        raw(&long),
        gluster("node5", Gluster::Uuid),
        Act::Fault("node5", Fault::StartGlusterd),
        Act::Look(&["node5"]),
        raw("one\ntwo"),
        Act::Fault("node5", Fault::StartGlusterd),
        Act::Look(&["node5"]),
        gluster("node5", Gluster::Uuid),
    ]
}

/// Four hosts become a pool; volumes of all layouts are made, and much is refused.
pub fn pool(second: &str) -> Vec<Act> {
    let mut acts: Vec<Act> = ALL
        .iter()
        .map(|host| Act::Do(host, Operation::Prerequisites))
        .collect();
    let second_brick = format!("{second}:copies-b");
    acts.extend([
        probe("node1", "node1"),
        probe("node1", "no-such-host"),
        probe("node1", "node2"),
        Act::Look(&["node1", "node2"]),
        probe("node1", "node2"),
        probe("node2", "node3"),
        Act::Look(&["node1", "node2", "node3"]),
        probe("node1", "node4"),
        Act::Look(ALL),
        words("node1", Family::PeerDetach, "peer detach node4"),
        Act::Look(ALL),
        probe("node1", "node4"),
        Act::Look(ALL),
        probe("node1", second),
        Act::Look(&["node1", "node3"]),
        probe("node1", second),
        words("node1", Family::PeerDetach, "peer detach node9"),
        words("node1", Family::PeerDetach, "peer detach node1"),
        // layouts
        create("node1", "one", ONE, &["node1:one"]),
        create("node2", "spread", ONE, &["node1:spread", "node2:spread", "node4:spread"]),
        create("node1", "two", TWO, &["node2:two", "node3:two"]),
        create("node3", "three", THREE, &["node1:three", "node2:three", "node3:three"]),
        create("node4", "five", SetShape::Replicate { copies: 4 }, &["node1:f", "node2:f", "node3:f", "node4:f"]),
        create("node1", "both", TWO, &["node1:both", "node2:both", "node3:both", "node4:both"]),
        words("node1", Family::VolumeCreate, "volume create arbiter replica 3 arbiter 1 node1:/srv/bricks/d1/arb node2:/srv/bricks/d1/arb node3:/srv/bricks/d1/arb"),
        words("node2", Family::VolumeCreate, "volume create arbiters replica 2 arbiter 1 node1:/srv/bricks/d1/ar1 node2:/srv/bricks/d1/ar1 node3:/srv/bricks/d1/ar1 node2:/srv/bricks/d1/ar2 node3:/srv/bricks/d1/ar2 node4:/srv/bricks/d1/ar2"),
        words("node1", Family::VolumeCreate, "volume create coded disperse 3 redundancy 1 node1:/srv/bricks/d1/coded node2:/srv/bricks/d1/coded node3:/srv/bricks/d1/coded"),
        words("node1", Family::VolumeCreate, "volume create codeds disperse-data 2 redundancy 1 node1:/srv/bricks/d1/cs1 node2:/srv/bricks/d1/cs1 node3:/srv/bricks/d1/cs1 node2:/srv/bricks/d1/cs2 node3:/srv/bricks/d1/cs2 node4:/srv/bricks/d1/cs2"),
        Act::Look(ALL),
        // refusals of the CLI and of glusterd
        words("node1", Family::VolumeCreate, "volume create bad replica 1 node1:/srv/bricks/d1/bad"),
        words("node1", Family::VolumeCreate, "volume create bad disperse 3 redundancy 1 node1:/srv/bricks/d1/bad node2:/srv/bricks/d1/bad"),
        words("node1", Family::VolumeCreate, "volume create bad disperse 4 redundancy 2 node1:/srv/bricks/d1/bad node2:/srv/bricks/d1/bad node3:/srv/bricks/d1/bad node4:/srv/bricks/d1/bad"),
        words("node1", Family::VolumeCreate, "volume create bad disperse 3 redundancy 1 node1:/srv/bricks/d1/bad node2:/srv/bricks/d1/bad node1:/srv/bricks/d1/bad2"),
        words("node1", Family::VolumeCreate, "volume create bad node1:/srv/bricks/d1/bad node1:/srv/bricks/d1/bad"),
        words("node1", Family::Other, "volume frobnicate bad"),
        create("node1", "one", ONE, &["node1:again"]),
        create("node1", "bad", ONE, &["node9:bad"]),
        create("node1", "bad", TWO, &["node1:copies-a", "node1:copies-b"]),
        create("node1", "bad", TWO, &["node2:copies-a", &second_brick]),
        create("node1", "bad", ONE, &["node1:one"]),
        create("node1", "bad", ONE, &["node1:one/below"]),
        create("node1", "bad", ONE, &["node2:spread/below"]),
        create("node1", "bad", ONE, &["node1:no/such/parent"]),
        create("node1", "bad", ONE, &["node2:no/such/parent"]),
        // a mark is left behind
        create("node1", "torn", THREE, &["node1:torn", "node2:torn", "node3:no/such/torn"]),
        inspect("node1", &["torn"]),
        inspect("node2", &["torn"]),
        create("node1", "torn", THREE, &["node1:torn", "node2:torn", "node3:torn"]),
        create("node3", "torn", THREE, &["node3:torn", "node2:torn", "node4:torn"]),
        create("node1", "torn", ONE, &["node1:torn/below"]),
        // options
        set("node1", "one", &[("user.a", "b"), ("performance.cache-size", "64MB")]),
        set("node2", "one", &[("user.c", "d"), ("no.such", "1")]),
        set("node2", "one", &[("user.c", "d"), ("performance.cache-size", "banana")]),
        set("node2", "one", &[("cluster.brick-multiplex", "on")]),
        set("node2", "one", &[("features.quota", "on")]),
        set("node2", "one", &[("network.ping-timeout", "9999")]),
        set("node2", "one", &[("performance.read-ahead", "perhaps")]),
        Act::Look(&["node1", "node3"]),
        reset("node1", "one", "user.a"),
        reset("node1", "one", "performance.cache-size"),
        reset("node1", "one", "performance.cache-size"),
        reset("node1", "one", "no.such"),
        reset("node1", "one", "features.quota"),
        words("node1", Family::VolumeSet, "volume set all cluster.server-quorum-ratio 51 cluster.brick-multiplex on"),
        words("node1", Family::VolumeSet, "volume set all cluster.max-bricks-per-process 10"),
        words("node1", Family::VolumeSet, "volume set all performance.cache-size 32MB"),
        words("node1", Family::VolumeSet, "volume set all no.such on"),
        words("node1", Family::VolumeSet, "volume set all cluster.op-version 100000"),
        words("node1", Family::VolumeSet, "volume set one performance.cache-size"),
        Act::Look(ALL),
        // the life of a volume
        stop("node1", "spread"),
        start("node2", "spread"),
        start("node1", "spread"),
        delete("node1", "spread"),
        clients("node1", "spread"),
        clients("node1", "one"),
        // a brick that has no client says so on its own host alone
        brick_clients("node4", "spread", ("node4", "spread")),
        brick_clients("node1", "spread", ("node4", "spread")),
        brick_clients("node4", "spread", ("node4", "nothing")),
        brick_clients("node2", "coded", ("node2", "coded")),
        Act::Look(ALL),
        stop("node1", "spread"),
        delete("node3", "spread"),
        delete("node1", "spread"),
        inspect("node4", &["spread", "nothing"]),
        create("node1", "spread", ONE, &["node4:spread"]),
        start("node1", "coded"),
        start("node1", "arbiter"),
        Act::Look(ALL),
        // several bricks of it on one host: with daemons as clients, and with nobody
        start("node1", "codeds"),
        Act::Look(ALL),
        clients("node2", "codeds"),
        clients("node1", "codeds"),
        stop("node1", "codeds"),
        create("node1", "narrow", ONE, &["node2:narrow-1", "node2:narrow-2", "node2:narrow-3"]),
        start("node1", "narrow"),
        Act::Look(ALL),
        clients("node2", "narrow"),
        clients("node1", "narrow"),
        brick_clients("node2", "narrow", ("node2", "narrow-2")),
        stop("node1", "narrow"),
        delete("node1", "narrow"),
        Act::Look(ALL),
    ]);
    acts
}

pub fn quota() -> Vec<Act> {
    let plain = |volume: &str| {
        words(
            "node1",
            Family::QuotaList,
            &format!("volume quota {volume} list"),
        )
    };
    vec![
        create("node1", "q", THREE, &["node1:q", "node2:q", "node3:q"]),
        enable("node1", "q"),
        list("node1", "q"),
        start("node1", "q"),
        // what gluster's own daemon makes there is nothing
        inspect("node1", &["q"]),
        limit("node1", "q", 1 << 20),
        enable("node1", "q"),
        enable("node2", "q"),
        Act::Look(ALL),
        plain("q"),
        list("node1", "q"),
        unlimit("node1", "q"),
        unlimit("node1", "q"),
        limit("node2", "q", 100 << 20),
        list("node1", "q"),
        Act::Client("q", Client::Write(9_000_000)),
        limit("node1", "q", 1 << 20),
        list("node3", "q"),
        words(
            "node1",
            Family::QuotaLimit,
            "volume quota q limit-usage /d 1000000",
        ),
        words(
            "node1",
            Family::QuotaLimit,
            "volume quota q limit-usage d 1000000",
        ),
        words(
            "node1",
            Family::QuotaLimit,
            "volume quota q limit-usage / 10Gi",
        ),
        limit("node1", "q", 100 << 20),
        list("node3", "q"),
        lists("node1", &["q"]),
        // a refusal of glusterd is an answer, what the CLI itself does not understand is the end
        lists("node2", &["q", "nobody", "q"]),
        Act::Batch(
            "node1",
            &[
                "volume start nobody",
                "volume quota q list /",
                "volume quota q limit-usage / 10Gi",
                "volume quota q list /",
            ],
        ),
        Act::Client("q", Client::MakeDirectory("/d")),
        words(
            "node1",
            Family::QuotaLimit,
            "volume quota q limit-usage /d 1000000",
        ),
        words("node1", Family::QuotaList, "volume quota q list /d"),
        plain("q"),
        Act::Client("q", Client::RemoveDirectory("/d")),
        plain("q"),
        list("node1", "q"),
        gluster("node1", Gluster::MaxOpVersion),
        gluster(
            "node2",
            Gluster::PoolReset("cluster.max-bricks-per-process".parse().unwrap()),
        ),
        gluster("node1", Gluster::Detach("node2".parse().unwrap())),
        gluster("node2", Gluster::Detach("node2".parse().unwrap())),
        gluster("node1", Gluster::Detach("node5".parse().unwrap())),
        Act::Look(ALL),
        inspect("node2", &["q"]),
        count("node1", &["q"]),
        count("node4", &["q"]),
        // a brick of an arbiter holds nothing, one of a dispersed set its part
        create(
            "node1",
            "voices",
            SetShape::Arbiter,
            &["node1:voices", "node2:voices", "node3:voices"],
        ),
        create(
            "node1",
            "parts",
            SetShape::Disperse {
                data: 2,
                redundancy: 1,
            },
            &["node1:parts", "node2:parts", "node3:parts"],
        ),
        start("node1", "voices"),
        start("node1", "parts"),
        Act::Client("voices", Client::Write(9_500_000)),
        Act::Client("parts", Client::Write(9_500_000)),
        count("node1", &["voices", "parts", "q"]),
        count("node3", &["parts", "voices", "none"]),
        // the crawl that never ends
        create("node1", "closed", ONE, &["node2:closed"]),
        set(
            "node1",
            "closed",
            &[
                ("server.allow-insecure", "off"),
                ("client.bind-insecure", "off"),
            ],
        ),
        start("node1", "closed"),
        enable("node1", "closed"),
        limit("node1", "closed", 1 << 20),
        list("node1", "closed"),
        Act::Do("node2", Operation::Crawl("closed".parse().unwrap())),
        Act::Do("node1", Operation::Crawl("q".parse().unwrap())),
        Act::Look(ALL),
    ]
}

pub fn faults() -> Vec<Act> {
    vec![
        create("node1", "idle", ONE, &["node1:idle"]),
        Act::Fault("node4", Fault::Kill),
        Act::Look(&["node1", "node2", "node3"]),
        gluster("node4", Gluster::Uuid),
        delete("node1", "idle"),
        set("node1", "idle", &[("user.x", "missed")]),
        create("node1", "late", ONE, &["node1:late"]),
        create("node1", "bad", ONE, &["node1:late2", "node4:late2"]),
        words("node1", Family::PeerDetach, "peer detach node4"),
        probe("node1", "node4"),
        Act::Fault("node4", Fault::Boot),
        Act::Do("node4", Operation::Prerequisites),
        Act::Look(ALL),
        // server quorum
        set("node1", "q", &[("cluster.server-quorum-type", "server")]),
        Act::Fault("node3", Fault::Kill),
        Act::Fault("node4", Fault::Kill),
        Act::Look(&["node1", "node2"]),
        set("node1", "q", &[("user.x", "1")]),
        start("node1", "q"),
        stop("node1", "q"),
        delete("node1", "q"),
        list("node1", "q"),
        reset("node1", "q", "performance.cache-size"),
        set("node1", "idle", &[("user.x", "2")]),
        create("node1", "fresh", ONE, &["node1:fresh"]),
        probe("node1", "node5"),
        Act::Fault("node3", Fault::Boot),
        Act::Fault("node4", Fault::Boot),
        Act::Do("node3", Operation::Prerequisites),
        Act::Do("node4", Operation::Prerequisites),
        Act::Look(ALL),
        set("node1", "q", &[("user.x", "3")]),
        reset("node2", "q", "cluster.server-quorum-type"),
        // a glusterd that hangs: what it says itself, and what others wait for
        Act::Fault("node3", Fault::HangGlusterd),
        within(
            "node3",
            Family::VolumeInfo,
            "--timeout=1 volume info all",
            LONG,
        ),
        within(
            "node3",
            Family::SystemUuid,
            "--timeout=1 system:: uuid get",
            LONG,
        ),
        within(
            "node3",
            Family::VolumeSet,
            "--timeout=1 volume set idle user.x 4",
            LONG,
        ),
        Act::Look(&["node1"]),
        within(
            "node1",
            Family::VolumeSet,
            "volume set idle user.x 5",
            SHORT,
        ),
        Act::Fault("node3", Fault::ResumeGlusterd),
        Act::Look(ALL),
        // a cable that is cut
        Act::Fault("node4", Fault::Cut),
        within(
            "node1",
            Family::VolumeSet,
            "volume set idle user.x 6",
            SHORT,
        ),
        within("node1", Family::VolumeSet, "volume set idle user.x 7", LONG),
        Act::Look(&["node1", "node2"]),
        Act::Fault("node4", Fault::Restore),
        Act::Look(ALL),
        set("node1", "idle", &[("user.x", "8")]),
        delete("node1", "idle"),
    ]
}

/// A volume that one host knows.
pub fn ghost() -> Vec<Act> {
    vec![
        create(
            "node1",
            "ghost",
            THREE,
            &["node1:g", "node2:g", "node3:g", "node4:g"],
        ),
        start("node1", "ghost"),
        create("node2", "ghost", ONE, &["node2:g"]),
        Act::Fault("node1", Fault::StartGlusterd),
        Act::Look(ALL),
        start("node1", "ghost"),
        set("node1", "ghost", &[("user.x", "1")]),
        delete("node1", "ghost"),
        stop("node1", "ghost"),
        create("node2", "ghost", ONE, &["node2:fresh"]),
        start("node2", "ghost"),
        Act::Look(ALL),
    ]
}
