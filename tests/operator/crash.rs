//! The controller is killed after each step and before the next; so is a glusterd in the middle of one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::operator_lab::{
    CLUSTERS, DEVICE, History, POOL, VOLUMES, World, as_declared, condition, is_false, say, stop,
    text, until, world,
};

const SOON: Duration = Duration::from_secs(120);

/// What is declared in all of these scenes, so that each has the same end.
fn fields() -> Value {
    json!({"capacity": "64Mi", "profile": "database", "options": {"performance.cache-size": "64MB"}})
}

/// The steps in order: the name, and what the host's log of commands says of it.
const STEPS: [(&str, &str); 7] = [
    ("create", "volume create NAME "),
    ("set", "volume set NAME auth.allow"),
    ("options", "volume set NAME performance.cache-size"),
    ("start", "volume start NAME"),
    ("enable", "volume quota NAME enable"),
    ("limit", "volume quota NAME limit-usage"),
    ("close", "volume set NAME server.allow-insecure off"),
];

#[test]
fn killed_at_every_step_it_comes_to_the_same_end() {
    let Some(guard) = world() else { return };
    let Some(world) = guard.as_ref() else { return };
    world.scene("killed after the first probe, before the second", || {
        assert_eq!(world.probe.lines().count(), 1, "{}", world.probe);
        assert!(
            world.probe.contains("peer probe node") && world.probe.ends_with("SUCCESS"),
            "{}",
            world.probe
        );
        for host in POOL {
            let list = world.gluster(host, &["pool", "list"]);
            assert_eq!(list.matches("Connected").count(), 3, "{host}: {list}");
        }
    });
    let mut undisturbed = None;
    world.scene("undisturbed", || {
        let object = world.ready_volume("calm", &fields());
        undisturbed = Some(end_state(world, &object));
    });
    let Some(undisturbed) = undisturbed else {
        return world.curtain();
    };
    let same = |object: &Value| {
        let end = end_state(world, object);
        assert_eq!(end, undisturbed, "another end than the undisturbed one");
    };
    world.scene("killed after the first brick directory", || {
        let name = "brick";
        killed_at_bricks(world, name, |marked, made| made > 0 && marked < 3);
        same(&converged(world, name));
    });
    world.scene("killed after the brick directories, before create", || {
        let name = "bricks";
        killed_at_bricks(world, name, |marked, _| marked == 3);
        same(&converged(world, name));
    });
    for (at, (step, _)) in STEPS.iter().enumerate() {
        world.scene(&format!("killed after {step}, before what follows"), || {
            let (name, lines) = killed_after(world, at);
            let object = converged(world, &name);
            same(&object);
            // what was done before is not done again
            let writes = lines().join("\n");
            for (_, words) in STEPS {
                let words = words.replace("NAME", &format!("shop_{name}"));
                assert_eq!(writes.matches(&words).count(), 1, "{words}:\n{writes}");
            }
        });
    }
    world.scene("glusterd of another host is killed during create", || {
        let coordinator = world.coordinator();
        let victim = POOL.into_iter().find(|host| **host != coordinator).unwrap();
        glusterd_killed(world, "peer", victim);
        same(&converged(world, "peer"));
    });
    world.scene(
        "glusterd that takes the command is killed during create",
        || {
            let victim = world.coordinator();
            glusterd_killed(world, "self", &victim);
            same(&converged(world, "self"));
        },
    );
    world.scene(
        "told to end, it finishes its step and hands over to the one that stands by",
        || {
            let name = handed_over(world);
            same(&converged(world, name));
        },
    );
    world.scene("a torn create goes to the trash", || {
        world.kill_controller();
        let uid = text(&world.volume("torn", &fields())["metadata"]["uid"]).to_owned();
        // as a create leaves it that was cut off: each host at another point
        let brick = brick_path("shop_torn", &uid);
        let mark = mark(world, "torn", &uid);
        for host in ["node1", "node2"] {
            make_brick(world, host, &brick, &mark);
        }
        world.hosts.shell("node1", &format!("setfattr -n trusted.glusterfs.volume-id -v 0x00112233445566778899aabbccddeeff {brick} && mkdir {brick}/.glusterfs"));
        world.start_controller();
        same(&converged(world, "torn"));
        let trashed = world.on_device("node1", "shop_torn");
        assert!(trashed.len() == 2 && trashed[0].starts_with(".trash/shop_torn-") && trashed[0].contains("-torn-"), "{trashed:?}");
        for host in ["node2", "node3"] {
            assert_eq!(world.on_device(host, "shop_torn").len(), 1);
        }
    });
    world.scene("a brick of ours with data in it is not taken for a torn create", || {
        world.kill_controller();
        let uid = text(&world.volume("full", &fields())["metadata"]["uid"]).to_owned();
        let brick = brick_path("shop_full", &uid);
        make_brick(world, "node1", &brick, &mark(world, "full", &uid));
        world.hosts.shell("node1", &format!("setfattr -n trusted.glusterfs.volume-id -v 0x00112233445566778899aabbccddeeff {brick} && mkdir {brick}/.glusterfs && echo precious > {brick}/data"));
        world.start_controller();
        world.wait_volume("full", SOON, "is refused", |object| {
            is_false(object, "Ready", "NotOwned", &[&format!("node1:{brick}"), "nothing is removed", "tried again every"])
        });
        assert_eq!(world.hosts.run("node1", &["cat", &format!("{brick}/data")]), "precious\n");
        world.wait_event("full", &["NotOwned", "node1"]);
        // the administrator moves it away
        world.hosts.run("node1", &["rm", "-rf", &brick]);
        same(&converged(world, "full"));
    });
    world.scene("nothing is left half made", || {
        let list: Vec<String> = POOL
            .iter()
            .map(|host| world.gluster(host, &["volume", "list"]))
            .collect();
        assert!(list.iter().all(|one| *one == list[0]), "{list:?}");
        for host in POOL {
            let volumes = list[0].lines().count();
            let bricks: Vec<String> = world
                .on_device(host, "shop_")
                .into_iter()
                .filter(|name| !name.starts_with(".trash"))
                .collect();
            assert_eq!(bricks.len(), volumes, "{host}: {bricks:?} {list:?}");
        }
    });
    let names = world.get(VOLUMES).unwrap();
    for item in names["items"].as_array().unwrap() {
        world.delete(&format!("{VOLUMES}/{}", text(&item["metadata"]["name"])));
    }
    world.curtain();
}

/// The controller gets SIGTERM in the middle of a volume, while another one stands by. Gives the volume's name.
fn handed_over(world: &World) -> &'static str {
    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/gluster-operator/leases/gluster-operator-controller";
    const NAME: &str = "handed";
    // a Lease holds for 15 s, so what is taken sooner was given back
    const AT_ONCE: Duration = Duration::from_secs(5);
    let holder = || text(&world.get(LEASE).unwrap()["spec"]["holderIdentity"]).to_owned();
    assert_eq!(holder(), "operator-0");
    let log = world.names.dir.join("standby.log");
    let standby = world.spawn_controller("operator-1", "standby.log");
    until(SOON, "the other one stands by", || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("standing by"))
    });
    let histories = POOL.map(|host| world.history(host));
    let writes = || -> Vec<String> { histories.iter().flat_map(History::writes).collect() };
    world.volume(NAME, &fields());
    until(SOON, "the volume is being made", || {
        writes().iter().any(|line| line.contains("volume create "))
    });
    let begin = Instant::now();
    let status = world.stop_controller();
    let ended = begin.elapsed();
    assert_eq!(status.code(), Some(0), "{status}");
    assert_ne!(holder(), "operator-0", "it was given back");
    let given = Instant::now();
    until(SOON, "the other one has the lease", || {
        holder() == "operator-1"
    });
    let taken = given.elapsed();
    say(&format!(
        "       ended {:.1} s after SIGTERM, taken over {:.1} s later",
        ended.as_secs_f64(),
        taken.as_secs_f64()
    ));
    assert!(taken < AT_ONCE, "{taken:?}");
    converged(world, NAME);
    // neither did what the other one had done
    let writes = writes().join("\n");
    for (_, words) in STEPS {
        let words = words.replace("NAME", &format!("shop_{NAME}"));
        assert_eq!(writes.matches(&words).count(), 1, "{words}:\n{writes}");
    }
    // and where nobody stands by, it is free
    assert_eq!(stop(standby).code(), Some(0));
    assert_eq!(holder(), "");
    world.start_controller();
    until(AT_ONCE, "the lease is held", || holder() == "operator-0");
    NAME
}

fn converged(world: &World, name: &str) -> Value {
    world.wait_volume(name, SOON, "is as declared", |object| {
        as_declared(object) && condition(object, "Healthy").0 == "True"
    })
}

fn brick_path(volume: &str, uid: &str) -> String {
    format!("{DEVICE}/{volume}-{}/brick", &uid[..8])
}

fn mark(world: &World, name: &str, uid: &str) -> String {
    let cluster = world.get(&format!("{CLUSTERS}/prod")).unwrap();
    let namespace = world.get("/api/v1/namespaces/shop").unwrap();
    format!(
        "v1:{}:{}:shop/{name}:{uid}",
        text(&cluster["status"]["owner"]),
        text(&namespace["metadata"]["uid"])
    )
}

fn make_brick(world: &World, host: &str, brick: &str, mark: &str) {
    world.hosts.shell(
        host,
        &format!(
            "mkdir -p {brick} && setfattr -n trusted.gluster-operator.owner -v {mark} {brick}"
        ),
    );
}

fn xattr(world: &World, host: &str, path: &str, key: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 1024];
    let length = rustix::fs::getxattr(world.path(host, path), key, &mut buffer[..]).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// Makes a volume and kills the controller once its brick directories are as `enough` wants: how many are marked, how many
/// are there. Proves that no command was sent.
fn killed_at_bricks(world: &World, name: &str, enough: impl Fn(usize, usize) -> bool) {
    let histories = POOL.map(|host| world.history(host));
    let uid = text(&world.volume(name, &fields())["metadata"]["uid"]).to_owned();
    let path = brick_path(&format!("shop_{name}"), &uid);
    let count = || {
        let made = POOL
            .iter()
            .filter(|host| world.path(host, &path).exists())
            .count();
        let marked = POOL
            .iter()
            .filter(|host| xattr(world, host, &path, "trusted.gluster-operator.owner").is_some())
            .count();
        (marked, made)
    };
    world.kill_when(Duration::from_secs(20), || {
        let (marked, made) = count();
        enough(marked, made)
    });
    std::thread::sleep(Duration::from_millis(700));
    let writes: Vec<String> = histories.iter().flat_map(History::writes).collect();
    assert_eq!(
        writes,
        Vec::<String>::new(),
        "a command was sent before the kill"
    );
    world.start_controller();
}

/// Makes a volume and kills the controller after that step and before the next; when the kill came too late, tries again
/// with another volume. Gives the volume's name, and its lines in the hosts' logs.
fn killed_after(world: &World, at: usize) -> (String, impl Fn() -> Vec<String>) {
    let (step, _) = STEPS[at];
    for attempt in 1..=4 {
        let name = format!("{step}-{attempt}");
        let histories = POOL.map(|host| world.history(host));
        let lines = {
            let volume = format!(" shop_{name} ");
            move || -> Vec<String> {
                let all = histories.iter().flat_map(History::writes);
                all.filter(|line| line.replace(" :", "  :").contains(&volume))
                    .collect()
            }
        };
        let words: Vec<String> = STEPS
            .iter()
            .map(|(_, words)| words.replace("NAME", &format!("shop_{name}")))
            .collect();
        world.volume(&name, &fields());
        // it may wait for ports below 1024, a minute at most
        world.kill_when(SOON, || {
            lines().iter().any(|line| line.contains(&words[at]))
        });
        // what had been sent by then would be there by now
        std::thread::sleep(Duration::from_millis(700));
        let seen = lines();
        world.start_controller();
        let in_order = seen.len() == at + 1
            && seen
                .iter()
                .zip(&words)
                .all(|(line, words)| line.contains(words) && line.ends_with("SUCCESS"));
        if in_order {
            return (name, lines);
        }
        assert!(seen.len() > at, "{}", seen.join("\n"));
        converged(world, &name);
    }
    panic!("no kill came between {step} and what follows");
}

/// Makes a volume and kills a glusterd the moment that all brick directories are marked, so while `create` is on its way.
fn glusterd_killed(world: &World, name: &str, victim: &str) {
    let uid = text(&world.volume(name, &fields())["metadata"]["uid"]).to_owned();
    let path = brick_path(&format!("shop_{name}"), &uid);
    let begin = Instant::now();
    while !POOL.iter().all(|host| {
        xattr(world, host, &path, "trusted.glusterfs.volume-id").is_some() || *host != victim
    }) && !POOL
        .iter()
        .any(|host| xattr(world, host, &path, "trusted.glusterfs.volume-id").is_some())
    {
        assert!(begin.elapsed() < Duration::from_secs(20), "no create began");
        std::thread::sleep(Duration::from_micros(200));
    }
    world.kill_on(victim, "glusterd");
    std::thread::sleep(Duration::from_secs(3));
    let object = world.get(&format!("{VOLUMES}/{name}")).unwrap();
    say(&format!(
        "       while glusterd of {victim} is dead: InSync={:?}",
        condition(&object, "InSync")
    ));
    let start = || {
        world
            .hosts
            .script(&["service", victim, "glusterd", "start"])
    };
    // a glusterd that starts asks its peers what it missed: not at once
    let knows = || {
        until(SOON, "the killed glusterd knows the volume", || {
            let list = ["gluster", "--mode=script", "volume", "list"];
            let list = world.hosts.sh(victim, &list);
            let volume = format!("shop_{name}");
            String::from_utf8_lossy(&list.stdout)
                .lines()
                .any(|line| line == volume)
        });
    };
    if start().status.success() {
        // or it starts, and no change of the volume gets through: its own part of the create was cut off later
        let torn = "Commit failed on localhost";
        let begin = Instant::now();
        let ready = |object: &Value| condition(object, "Ready").0 == "True";
        let object = loop {
            let object = world.get(&format!("{VOLUMES}/{name}")).unwrap();
            if ready(&object) || begin.elapsed() > Duration::from_secs(15) {
                break object;
            }
            std::thread::sleep(Duration::from_millis(300));
        };
        if ready(&object) || !condition(&object, "InSync").2.contains(torn) {
            return knows();
        }
        say(
            "       it starts, but can't commit to its store: the half-written volume is removed there by hand",
        );
        let store = format!("/var/lib/glusterd/vols/shop_{name}");
        world.lab(&["service", victim, "glusterd", "stop"]);
        world.hosts.run(victim, &["rm", "-r", &store]);
        assert!(start().status.success());
        return knows();
    }
    // glusterd makes a volume's directory, then its `info`, and empties that before it writes it: killed in between it can't read its own
    // store. Only a person can mend that; what follows is the operator's again
    let store = format!("/var/lib/glusterd/vols/shop_{name}");
    let info = std::fs::metadata(world.path(victim, &format!("{store}/info")));
    assert!(
        info.map_or_else(
            |error| error.kind() == std::io::ErrorKind::NotFound,
            |info| info.len() == 0
        ),
        "glusterd of {victim} does not start again: {}",
        world.hosts.shell(
            victim,
            &format!("ls -la {store}; grep ' E ' /var/log/glusterfs/glusterd.log | tail -12"),
        )
    );
    say(
        "       its store is torn and it does not start: the half-written volume is removed by hand",
    );
    world.hosts.run(victim, &["rm", "-r", &store]);
    let again = start();
    assert!(again.status.success(), "{again:?}");
    knows();
}

/// What is there in the end, without what differs between volumes by their nature.
fn end_state(world: &World, object: &Value) -> BTreeMap<String, String> {
    let (name, uid) = (
        text(&object["metadata"]["name"]),
        text(&object["metadata"]["uid"]),
    );
    let volume_name = format!("shop_{name}");
    let brick = brick_path(&volume_name, uid);
    let info = world.gluster("node1", &["volume", "info", &volume_name]);
    let mut state = BTreeMap::new();
    let mut bricks = Vec::new();
    for line in info.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if key.starts_with("Brick") && key != "Bricks" {
            bricks.push(value.to_owned());
        } else if key == "Volume ID" {
            assert_eq!(object["status"]["volumeId"], value);
            let raw = hex(value);
            for host in POOL {
                assert_eq!(
                    xattr(world, host, &brick, "trusted.glusterfs.volume-id"),
                    Some(raw.clone()),
                    "{host}"
                );
            }
        } else {
            state.insert(
                key.to_owned(),
                value.replace(&volume_name, "NAME").replace(uid, "UID"),
            );
        }
    }
    // each volume begins at another host, by its uid
    let start = usize::from_str_radix(&uid[..8], 16).unwrap() % 3;
    let wanted: Vec<String> = (0..3)
        .map(|at| format!("{}:{brick}", POOL[(start + at) % 3]))
        .collect();
    assert_eq!(bricks, wanted, "order of bricks");
    let quota = world.quota_list(&volume_name);
    let limit = quota
        .lines()
        .last()
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>();
    state.insert("quota".into(), limit[..3.min(limit.len())].join(" "));
    let mark = mark(world, name, uid).into_bytes();
    for host in POOL {
        assert_eq!(
            xattr(world, host, &brick, "trusted.gluster-operator.owner"),
            Some(mark.clone()),
            "{host}"
        );
        let mut found = world.on_device(host, &format!("{volume_name}-"));
        found.retain(|name| !name.contains("-torn-"));
        assert_eq!(found, [format!("{volume_name}-{}", &uid[..8])], "{host}");
        let count = world
            .gluster(host, &["volume", "list"])
            .lines()
            .filter(|line| *line == volume_name)
            .count();
        assert_eq!(count, 1, "{host}");
    }
    let bricks = object["status"]["bricks"].as_array().unwrap();
    assert!(
        bricks.len() == 3 && bricks.iter().all(|brick| brick["online"] == true),
        "{bricks:?}"
    );
    state
}

/// The bytes of a uuid.
fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}
