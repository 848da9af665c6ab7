//! Hostile input in every string field: refused by the API server, or by a condition that names the field; and nothing of
//! it reaches a host.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use gluster_operator::gluster::names::OptionValue;
use serde_json::{Value, json};

use crate::support::operator_lab::{
    CLUSTERS, DEVICE, OWN_VOLUMES, VOLUMES, World, as_declared, condition, is_false, is_read, say,
    volume, world,
};

/// Strings that mean something to a shell, a path, a command line, a volfile, a parser or a terminal.
fn hostile() -> Vec<String> {
    let mut list: Vec<String> = [
        "",
        " ",
        "a b",
        "a\tb",
        "a\nb",
        "\n",
        "a\r\nb",
        "a\0b",
        "\0",
        "'",
        "''",
        "a'b",
        "\"",
        "a\"b",
        "`id`",
        "$(id)",
        "$(touch /tmp/pwned)",
        "`touch /srv/pwned`",
        "${IFS}",
        "a;b",
        "; touch /srv/pwned;",
        "a|b",
        "a&b",
        "a && b",
        "a>b",
        "a<b",
        "a>/srv/pwned",
        "*",
        "?",
        "[a]",
        "{a,b}",
        "~",
        "~root",
        "!",
        "#",
        "a#b",
        "\\",
        "a\\",
        "a\\nb",
        "%00",
        "%n%s",
        "..",
        "../..",
        "../../etc/passwd",
        "/..",
        "/srv/bricks/d1/..",
        "/srv/bricks/d1/../../etc",
        "/srv//bricks",
        "/srv/bricks/./d1",
        "./a",
        "-a",
        "--xml",
        "--mode=script",
        "--help",
        "-rf",
        "-o ProxyCommand=id",
        "force ",
        " force",
        "all ",
        "help ",
        "a b force",
        "ä",
        "日本",
        "\u{202e}abc",
        "a\u{200b}b",
        "\u{feff}",
        "ａ",
        "a\u{0301}",
        "\u{1b}[2J",
        "\u{7f}",
        "<script>",
        "<!--",
        "]]>",
        "a=b c=d",
        "a:b:c d",
        "user@host",
        "[::1]",
        "fe80::1%eth0",
        "::1",
        "node1:/a b",
        "node1:relative",
        ":/srv/bricks/d1/x",
        "node1:",
        "0x41 ",
        "\u{1f4a9}",
        "volume\nend-volume",
        "a\u{2028}b",
        "-",
        "--",
        "_",
        ".",
        "a..",
        "../",
        "/",
        "//",
        "\\x00",
        "$'\\n'",
        "$PATH",
        "a\u{0}",
        "node1;reboot",
        "@revoked",
        "|1|abc",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    list.push("x".repeat(5 * 1024));
    list.push("/srv/bricks/d1/".to_owned() + &"x".repeat(5 * 1024));
    list.push("é".repeat(2500));
    list
}

/// Puts a string into one field of an object.
type Field = Box<dyn Fn(&str) -> Value>;

/// The string fields of a GlusterVolume: where each is, and strings of the list that are fine there.
fn volume_fields() -> Vec<(&'static str, Field)> {
    #[allow(clippy::needless_pass_by_value)] // each call makes its fields
    fn at(fields: Value) -> Value {
        volume("hostile", &fields)
    }
    vec![
        (
            "metadata.name",
            Box::new(|text: &str| volume(text, &json!({}))),
        ),
        (
            "spec.clusterName",
            Box::new(|text: &str| at(json!({"clusterName": text}))),
        ),
        (
            "spec.volumeName",
            Box::new(|text: &str| at(json!({"volumeName": text}))),
        ),
        (
            "spec.bricks",
            Box::new(|text: &str| at(json!({"layout": {"distribute": 1}, "bricks": [text]}))),
        ),
        (
            "spec.bricks.path",
            Box::new(|text: &str| {
                at(json!({"layout": {"distribute": 1}, "bricks": [format!("node1:{text}")]}))
            }),
        ),
        (
            "spec.capacity",
            Box::new(|text: &str| at(json!({"capacity": text}))),
        ),
        (
            "spec.profile",
            Box::new(|text: &str| at(json!({"profile": text}))),
        ),
        (
            "spec.deletionPolicy",
            Box::new(|text: &str| at(json!({"deletionPolicy": text}))),
        ),
        (
            "spec.options.key",
            Box::new(|text: &str| at(json!({"options": {text: "on"}}))),
        ),
        (
            "spec.options.key.tail",
            Box::new(|text: &str| at(json!({"options": {format!("diagnostics.{text}"): "on"}}))),
        ),
        (
            "spec.claim.name",
            Box::new(|text: &str| {
                at(
                    json!({"capacity": "1Gi", "claim": {"name": text, "accessModes": ["ReadWriteOnce"]}}),
                )
            }),
        ),
        (
            "spec.claim.accessModes",
            Box::new(|text: &str| {
                at(json!({"capacity": "1Gi", "claim": {"name": "c", "accessModes": [text]}}))
            }),
        ),
    ]
}

/// The string fields of a GlusterCluster.
fn cluster_fields(world: &World) -> Vec<(&'static str, Field)> {
    let mut base = world.cluster_spec(&["node4"]);
    // what is fine in some field must still not set up a pool
    base["access"]["ssh"]["secretRef"]["name"] = json!("nothing-there");
    let field = |pointer: &'static str| {
        let base = base.clone();
        Box::new(move |text: &str| {
            let mut spec = base.clone();
            put(&mut spec, pointer, json!(text));
            cluster("hostile", &spec)
        }) as Box<dyn Fn(&str) -> Value>
    };
    let named = base.clone();
    let keyed = base.clone();
    vec![
        (
            "metadata.name",
            Box::new(move |text: &str| cluster(text, &named)),
        ),
        ("spec.access.ssh.user", field("/access/ssh/user")),
        (
            "spec.access.ssh.secretRef.name",
            field("/access/ssh/secretRef/name"),
        ),
        ("spec.nodes.name", field("/nodes/0/name")),
        ("spec.nodes.address", field("/nodes/0/address")),
        ("spec.nodes.devices.path", field("/nodes/0/devices/0/path")),
        ("spec.tenancy.options", field("/tenancy/options/0")),
        ("spec.tenancy.bricks", field("/tenancy/bricks")),
        (
            "spec.tenancy.namespaces.from",
            field("/tenancy/namespaces/from"),
        ),
        ("spec.clients.addresses", {
            let base = base.clone();
            Box::new(move |text: &str| {
                let mut spec = base.clone();
                spec["clients"] = json!({"addresses": [text]});
                cluster("hostile", &spec)
            })
        }),
        ("spec.takeOver", field("/takeOver")),
        ("spec.trash.retention", {
            let base = base.clone();
            Box::new(move |text: &str| {
                let mut spec = base.clone();
                spec["trash"] = json!({"retention": text});
                cluster("hostile", &spec)
            })
        }),
        ("spec.opVersion.policy", {
            let base = base.clone();
            Box::new(move |text: &str| {
                let mut spec = base.clone();
                spec["opVersion"] = json!({"policy": text});
                cluster("hostile", &spec)
            })
        }),
        (
            "spec.options.key",
            Box::new(move |text: &str| {
                let mut spec = keyed.clone();
                spec["options"] = json!({text: "on"});
                cluster("hostile", &spec)
            }),
        ),
    ]
}

fn put(spec: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = spec.pointer_mut(pointer) {
        *place = value;
    } else {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[key] = value;
    }
}

fn cluster(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterCluster", "metadata": {"name": name}, "spec": spec})
}

#[test]
fn hostile_input_reaches_no_host() {
    let Some(guard) = world() else { return };
    let Some(world) = guard.as_ref() else { return };
    world.ready_volume("witness", &json!({"capacity": "16Mi"}));
    world.kill_controller();
    log_ssh(world);
    world.start_controller();
    world.wait_volume(
        "witness",
        Duration::from_secs(40),
        "is as declared",
        as_declared,
    );
    // long enough for each kind of look: both kinds of objects come round
    std::thread::sleep(Duration::from_secs(17));
    let before = Picture::of(world);
    let mut left: Vec<(String, String, Option<&'static str>)> = Vec::new();

    world.scene(
        "strings that are dangerous anywhere are refused by the API server",
        || {
            let (mut sent, mut refused, mut judged) = (0, 0, 0);
            let begin = Instant::now();
            for (fields, path) in [
                (volume_fields(), VOLUMES),
                (cluster_fields(world), CLUSTERS),
            ] {
                for (field, build) in fields {
                    for text in hostile() {
                        sent += 1;
                        let body = build(&text);
                        match world.try_post(path, &body.to_string()) {
                            Err(refusal) => {
                                assert!(
                                    (400..500).contains(&refusal.code),
                                    "{field} {text:?}: {refusal:?}"
                                );
                                refused += 1;
                            }
                            Ok(object) => {
                                // the controller refuses what the API server's patterns let through
                            let name = object["metadata"]["name"].as_str().unwrap();
                            let object = format!("{path}/{name}");
                            if !harmless(field, &text) {
                                let root = field.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
                                judged += 1;
                                world.wait(
                                    &object,
                                    Duration::from_secs(30),
                                    &format!("is refused for {field} = {text:?}"),
                                    |object| {
                                        ["InvalidSpec", "NotAllowed"].iter().any(|reason| {
                                            is_false(object, "Ready", reason, &[root.as_str()])
                                        })
                                    },
                                );
                            }
                            world.delete(&object);
                            world.wait_gone(&object, Duration::from_secs(20));
                        }
                        }
                    }
                }
            }
            assert!(refused >= 100, "only {refused}");
            say(&format!(
                "       {sent} strings, {refused} refused by the API server, {judged} by the controller ({:.1} s)",
                begin.elapsed().as_secs_f64()
            ));
            // values of options; what is fine as one reaches gluster in a scene of its own
            for text in hostile()
                .into_iter()
                .filter(|text| text.parse::<OptionValue>().is_err())
            {
                for (path, body) in [
                    (
                        VOLUMES,
                        volume(
                            "hostile",
                            &json!({"options": {"performance.cache-size": text}}),
                        ),
                    ),
                    (CLUSTERS, {
                        let mut spec = world.cluster_spec(&["node4"]);
                        spec["options"] = json!({"cluster.brick-multiplex": text});
                        cluster("hostile", &spec)
                    }),
                ] {
                    let answer = world.try_post(path, &body.to_string());
                    assert!(
                        answer.as_ref().is_err_and(|refusal| refusal.code == 422),
                        "{path} option value {text:?}: {answer:?}"
                    );
                }
            }
        },
    );

    world.scene("what a tenant may not ask for is refused by a condition that names the field", || {
        let one = json!({"distribute": 1});
        let cases: Vec<(&str, &str, Value, &str, &str, &str)> = vec![
            ("name-other", VOLUMES, json!({"volumeName": "alien_x"}), "NotAllowed", "spec.volumeName", "shop_"),
            ("name-prefix", VOLUMES, json!({"volumeName": "shopx"}), "NotAllowed", "spec.volumeName", "shop_"),
            ("name-all", VOLUMES, json!({"volumeName": "all"}), "NotAllowed", "spec.volumeName", "shop_"),
            ("own-all", OWN_VOLUMES, json!({"volumeName": "all"}), "InvalidSpec", "spec.volumeName", "all"),
            ("own-shared", OWN_VOLUMES, json!({"volumeName": "gluster_shared_storage"}), "InvalidSpec", "spec.volumeName", "gluster_shared_storage"),
            ("bricks-deny", VOLUMES, json!({"layout": one, "bricks": ["node1:/srv/bricks/d1/mine"]}), "NotAllowed", "spec.bricks", ""),
            ("bricks-etc", OWN_VOLUMES, json!({"layout": one, "bricks": ["node1:/etc/gluster"]}), "InvalidSpec", "spec.bricks", "/etc/gluster"),
            ("bricks-dots", OWN_VOLUMES, json!({"layout": one, "bricks": ["node1:/srv/bricks/d1/../../../etc"]}), "InvalidSpec", "spec.bricks", ".."),
            ("bricks-dot", OWN_VOLUMES, json!({"layout": one, "bricks": ["node1:/srv/bricks/d1/./x"]}), "InvalidSpec", "spec.bricks", ""),
            ("bricks-root", OWN_VOLUMES, json!({"layout": one, "bricks": ["node1:/srv/bricks/d1"]}), "InvalidSpec", "spec.bricks", ""),
            ("bricks-like", OWN_VOLUMES, json!({"layout": one, "bricks": ["node1:/srv/bricks/d1x/y"]}), "InvalidSpec", "spec.bricks", ""),
            ("bricks-trash", OWN_VOLUMES, json!({"layout": one, "bricks": ["node1:/srv/bricks/d1/.trash/x"]}), "InvalidSpec", "spec.bricks", ".trash"),
            ("bricks-glusterfs", OWN_VOLUMES, json!({"layout": one, "bricks": ["node1:/srv/bricks/d1/x/.glusterfs/y"]}), "InvalidSpec", "spec.bricks", ".glusterfs"),
            ("bricks-host", OWN_VOLUMES, json!({"layout": one, "bricks": ["node9:/srv/bricks/d1/x"]}), "InvalidSpec", "spec.bricks", "node9"),
            ("bricks-twice", OWN_VOLUMES, json!({"layout": {"distribute": 2}, "bricks": ["node1:/srv/bricks/d1/x", "node1:/srv/bricks/d1/x"]}), "InvalidSpec", "spec.bricks", ""),
            ("bricks-nested", OWN_VOLUMES, json!({"layout": {"distribute": 2}, "bricks": ["node1:/srv/bricks/d1/x", "node1:/srv/bricks/d1/x/y"]}), "InvalidSpec", "spec.bricks", ""),
            ("alien", "/apis/gluster-operator.io/v1alpha1/namespaces/alien/glustervolumes", json!({}), "NotAdmitted", "spec.clusterName", "alien"),
            ("option-list", VOLUMES, json!({"options": {"diagnostics.brick-log-level": "DEBUG"}}), "NotAllowed", "spec.options", "diagnostics.brick-log-level"),
            ("option-path", VOLUMES, json!({"options": {"performance.cache-size": "/etc/passwd"}}), "NotAllowed", "spec.options", "/etc/passwd"),
            ("option-path-own", OWN_VOLUMES, json!({"options": {"performance.cache-size": "../x"}}), "NotAllowed", "spec.options", "../x"),
            ("size", VOLUMES, json!({"capacity": "1.0000001Mi"}), "InvalidSpec", "spec.capacity", ""),
        ];
        let never = [
            "user.smb", "user.gluster-operator.owner", "features.quota", "features.quota-deem-statfs", "features.inode-quota",
            "features.shard", "features.trash", "features.read-only", "features.worm", "auth.allow", "auth.reject", "auth.ssl-allow",
            "client.ssl", "server.ssl", "ssl.cipher-list", "nfs.disable", "nfs.rpc-auth-allow", "debug.trace", "debug.error-gen",
            "delay-gen.posix", "changelog.changelog", "changelog.changelog-dir", "server.statedump-path", "storage.health-check-interval",
            "storage.owner-uid", "storage.build-pgfid", "cluster.server-quorum-type", "server.allow-insecure",
            "client.bind-insecure", "server.root-squash", "locks.mandatory-locking", "AUTH.allow", "Server.Allow-Insecure",
        ];
        // what the API server itself refuses has to name the field as well
        let mut early = std::collections::BTreeSet::new();
        let mut post = |path: &str, name: &str, fields: &Value, field: &str| {
            if let Err(refusal) = world.try_post(path, &volume(name, fields).to_string()) {
                let said = format!("{refusal:?}");
                assert!(refusal.code == 422 && said.contains(field), "{name}: {said}");
                early.insert(format!("{path}/{name}"));
            }
        };
        for (name, path, fields, _, field, _) in &cases {
            post(path, name, fields, field);
        }
        for (at, key) in never.iter().enumerate() {
            for path in [VOLUMES, OWN_VOLUMES] {
                post(path, &format!("never-{at}"), &json!({"options": {*key: "on"}}), "spec.options");
            }
        }
        for (name, path, _, reason, field, word) in &cases {
            if early.contains(&format!("{path}/{name}")) {
                continue;
            }
            world.wait(&format!("{path}/{name}"), Duration::from_secs(30), &format!("is refused: {reason} {field} {word}"), |object| {
                ["Ready", "InSync"].iter().all(|kind| is_false(object, kind, reason, &[field, word]))
            });
        }
        for (at, key) in never.iter().enumerate() {
            for path in [VOLUMES, OWN_VOLUMES] {
                if early.contains(&format!("{path}/never-{at}")) {
                    continue;
                }
                // a key with capitals is not even a key
                let reason = if key.chars().any(char::is_uppercase) { "InvalidSpec" } else { "NotAllowed" };
                world.wait(&format!("{path}/never-{at}"), Duration::from_secs(30), &format!("is refused: {key}"), |object| {
                    ["Ready", "InSync"].iter().all(|kind| is_false(object, kind, reason, &["spec.options", key]))
                });
            }
        }
        world.wait_event("name-other", &["NotAllowed", "spec.volumeName"]);
        say(&format!("       {} volumes refused by the controller", cases.len() + 2 * never.len()));
        for (name, path, ..) in cases {
            left.push((name.to_owned(), path.to_owned(), None));
        }
        for at in 0..never.len() {
            left.push((format!("never-{at}"), VOLUMES.to_owned(), None));
            left.push((format!("never-{at}"), OWN_VOLUMES.to_owned(), None));
        }
    });

    world.scene("objects that were refused go again", || {
        for (name, path, _) in &left {
            world.delete(&format!("{path}/{name}"));
        }
        for (name, path, _) in &left {
            world.wait_gone(&format!("{path}/{name}"), Duration::from_secs(30));
        }
    });

    world.scene(
        "command logs, sshd's logs and files of all hosts are as before",
        || {
            let after = Picture::of(world);
            before.same(&after);
            say(&format!(
                "       compared {} files and {} distinct commands over SSH on {} hosts",
                after.files.len(),
                after.commands.len(),
                5
            ));
            assert!(!after.files.is_empty() && !after.commands.is_empty() && after.sessions > 0);
            let witness = world.get(&format!("{VOLUMES}/witness")).unwrap();
            assert_eq!(condition(&witness, "Ready").0, "True");
        },
    );
    world.scene(
        "values of options reach gluster literally, or are refused in its words",
        || literally(world),
    );
    for host in ["node1", "node2", "node3", "node4", "node5"] {
        world.lab(&["service", host, "sshd", "restart"]);
    }
    world.restart_controller();
    world.delete(&format!("{VOLUMES}/witness"));
    world.curtain();
}

/// Options that take any text: of the bricks, of every mount, and one that the cluster's default list allows to tenants.
const FREE_TEXT: [&str; 3] = [
    "storage.gfid2path-separator",
    "cluster.rsync-hash-regex",
    "performance.xattr-cache-list",
];

/// What the grammar of values lets through is text for gluster, for bricks and for mounts, and nothing else anywhere.
fn literally(world: &World) {
    const NAME: &str = "literal";
    // in the name of nothing else on a host
    const VOLUME: &str = "gluster-operator_literal";
    let path = format!("{OWN_VOLUMES}/{NAME}");
    let info = |volume: &str| world.gluster("node1", &["volume", "info", volume]);
    let edit = |options: &Value| {
        world.patch(&path, &json!({"spec": {"options": options}}));
    };
    let declared = || {
        world.wait(
            &path,
            Duration::from_secs(40),
            "is as declared",
            as_declared,
        );
    };
    world.post(OWN_VOLUMES, &volume(NAME, &json!({})));
    declared();
    let witness = info("shop_witness");
    let before = Picture::of(world);

    let values = [
        "$(cd${IFS}srv;touch${IFS}pwned)",
        ";touch${IFS}pwned;",
        "a;touch>pwned",
        "'",
        "a'b",
        "|touch>pwned",
        "a>pwned",
        "a&&touch<pwned",
        "$PATH",
        "{a,b}",
        "*",
        "~root",
        "!",
        "%n%s",
        "@revoked",
    ];
    for round in values.chunks(FREE_TEXT.len()) {
        let options: BTreeMap<_, _> = FREE_TEXT.into_iter().zip(round).collect();
        edit(&json!(options));
        declared();
        let said = info(VOLUME);
        for (key, value) in &options {
            let line = format!("{key}: {value}");
            assert!(said.lines().any(|one| one == line), "{line} in {said}");
        }
    }
    // a word of the files that bricks are started from, and a path
    for value in ["end-volume", "$(touch${IFS}/srv/pwned)"] {
        edit(&json!({FREE_TEXT[1]: value}));
        world.wait(&path, Duration::from_secs(20), "is refused", |object| {
            is_false(object, "InSync", "NotAllowed", &["spec.options", value])
        });
    }
    assert!(!info(VOLUME).contains("end-volume"));
    // an option that takes sizes: gluster's own words, and the others apply
    let mixed = json!({"performance.cache-size": "$(id)", FREE_TEXT[0]: "$(id);", FREE_TEXT[1]: "|id", FREE_TEXT[2]: "'$(id)'"});
    edit(&mixed);
    let object = world.wait(&path, Duration::from_secs(40), "says it", |object| {
        is_false(
            object,
            "InSync",
            "BadOption",
            &["performance.cache-size", "$(id)"],
        )
    });
    say(&format!("       {}", condition(&object, "InSync").2));
    edit(&json!({"performance.cache-size": null}));
    declared();
    // bricks and a mount that are started from files with such values in them
    world.gluster("node1", &["volume", "stop", VOLUME]);
    world.wait(&path, Duration::from_secs(40), "runs again", |object| {
        as_declared(object) && info(VOLUME).contains("Status: Started")
    });
    let at = format!("/mnt/{VOLUME}");
    let line = format!(
        "mkdir -p {at} && mount -t glusterfs node1:/{VOLUME} {at} && cd {at} && stat -f -c %T . | grep -q fuse &&
         echo word > file && cat file && rm file; cd /; umount -l {at}; rmdir {at}; ls -d /srv/pwned /pwned /root/pwned; true"
    );
    assert_eq!(world.hosts.shell("client1", &line), "word\n");

    let after = Picture::of(world);
    // its own files, and the list of bricks that the daemons for healing are started from
    let others =
        |file: &&String| !file.contains(VOLUME) && !file.ends_with("/glustershd-server.vol");
    let differs = |file: &&String| before.files.get(*file) != after.files.get(*file);
    let changed: BTreeSet<_> = before
        .files
        .keys()
        .chain(after.files.keys())
        .filter(others)
        .filter(differs)
        .collect();
    assert!(changed.is_empty(), "{changed:#?}");
    for write in after
        .writes
        .iter()
        .filter(|line| !before.writes.contains(line))
    {
        assert!(write.contains(VOLUME), "{write}");
    }
    assert_eq!(info("shop_witness"), witness);
    world.delete(&path);
    world.wait_gone(&path, Duration::from_secs(40));
}

/// Which of the hostile strings are plain words in that field.
fn harmless(field: &str, text: &str) -> bool {
    match field {
        // the name of a user; there is no such user, and no Secret
        "spec.access.ssh.user" => text == "_",
        // an entry of an allow-list that no key can equal
        "spec.tenancy.options" => text == "a..",
        // an owner that nobody is
        "spec.takeOver" => matches!(text, "" | "a.." | "node1:" | "node1:relative"),
        "spec.clients.addresses" => text == "*",
        _ => false,
    }
}

/// sshd of each host writes down who comes, and each command that is asked for.
fn log_ssh(world: &World) {
    for host in ["node1", "node2", "node3", "node4", "node5"] {
        world.lab(&["service", host, "sshd", "stop"]);
        let key = world
            .hosts
            .dir()
            .join(host)
            .join("ssh/ssh_host_ed25519_key");
        let line = format!(
            "printf '%s\\n' '#!/bin/sh' 'printf \"%s\\\\n\" \"$SSH_ORIGINAL_COMMAND\" >> /var/log/ssh-commands.log' 'exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"' > /opt/log-command && chmod 755 /opt/log-command && \
             /usr/sbin/sshd -f /dev/null -E /var/log/sshd.log -o LogLevel=VERBOSE -o ForceCommand=/opt/log-command -o HostKey={} -o PidFile=/run/sshd.pid -o UsePAM=no -o PasswordAuthentication=no -o UseDNS=no -o MaxStartups=200 -o MaxSessions=100",
            key.display()
        );
        world.hosts.shell(host, &line);
    }
}

/// What a host shows from outside.
struct Picture {
    /// Lines of the command logs, without reads.
    writes: Vec<String>,
    /// The distinct lines that a shell was given over SSH.
    commands: BTreeSet<String>,
    /// Lines of sshd's logs but for those of one session of a kept connection.
    logins: Vec<String>,
    sessions: usize,
    /// Files with kind, mode, owner, size and time of change.
    files: BTreeMap<String, String>,
}

impl Picture {
    fn of(world: &World) -> Self {
        let mut picture = Self {
            writes: Vec::new(),
            commands: BTreeSet::new(),
            logins: Vec::new(),
            sessions: 0,
            files: BTreeMap::new(),
        };
        for host in ["node1", "node2", "node3", "node4", "node5"] {
            let history =
                std::fs::read_to_string(world.hosts.dir().join(host).join("log/cmd_history.log"))
                    .unwrap_or_default();
            picture.writes.extend(
                history
                    .lines()
                    .filter(|line| !is_read(line))
                    .map(|line| format!("{host} {line}")),
            );
            let commands = std::fs::read_to_string(world.path(host, "/var/log/ssh-commands.log"))
                .unwrap_or_default();
            picture
                .commands
                .extend(commands.lines().map(|line| format!("{host} {line}")));
            let log =
                std::fs::read_to_string(world.path(host, "/var/log/sshd.log")).unwrap_or_default();
            for line in log.lines() {
                // each command of the looks that go on has a session
                if ["Starting session:", "Close session:"]
                    .iter()
                    .any(|start| line.starts_with(start))
                {
                    picture.sessions += 1;
                } else {
                    picture.logins.push(format!("{host} {line}"));
                }
            }
            let root = world.path(host, "");
            for top in [
                "etc",
                "opt",
                "srv",
                "mnt",
                "root",
                "run",
                "var/lib",
                "var/spool",
                "var/tmp",
                "var/log",
            ] {
                walk(&root, &root.join(top), host, &mut picture.files);
            }
            assert!(!root.join("srv/pwned").exists() && !root.join("tmp/pwned").exists());
        }
        picture
    }

    fn same(&self, after: &Self) {
        assert_eq!(after.writes, self.writes, "commands were sent");
        let new: Vec<_> = after.commands.difference(&self.commands).collect();
        assert!(
            new.is_empty(),
            "other commands over SSH than before: {new:#?}"
        );
        assert_eq!(after.logins, self.logins, "logins");
        let changed: Vec<_> = after
            .files
            .iter()
            .filter(|(path, facts)| self.files.get(*path) != Some(facts))
            .collect();
        let gone: Vec<_> = self
            .files
            .keys()
            .filter(|path| !after.files.contains_key(*path))
            .collect();
        assert!(
            changed.is_empty() && gone.is_empty(),
            "changed: {changed:#?}\ngone: {gone:#?}"
        );
    }
}

/// Everything below a directory but for what changes by itself: logs grow, and each look writes its `state-…` file; and
/// daemons touch their counters in the bricks (`.glusterfs/health_check`, indices), whose times are left out.
fn walk(root: &Path, at: &Path, host: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = path.symlink_metadata() else {
            continue;
        };
        let shown = format!("/{}", path.strip_prefix(root).unwrap().display());
        let name = entry.file_name().to_string_lossy().into_owned();
        if shown.starts_with("/run/gluster-operator/state-") || name == "health_check" {
            continue;
        }
        // a log file is there or not; what is in the two that matter is compared above
        let grows = shown.starts_with("/var/log/") || shown == "/run/gluster-operator";
        let daemons = name == ".glusterfs"
            || shown.starts_with("/run/gluster")
            || shown.starts_with("/run/lock");
        let facts = if grows || daemons {
            format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid())
        } else {
            format!(
                "{:o} {}:{} {} {}.{}",
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.len(),
                meta.ctime(),
                meta.ctime_nsec()
            )
        };
        files.insert(format!("{host}:{shown}"), facts);
        let device = at.metadata().map(|parent| parent.dev()).ok();
        let brick = shown == DEVICE || shown == "/srv/bricks";
        if meta.is_dir()
            && (device == Some(meta.dev())
                || brick
                || shown.starts_with("/var/")
                || shown.starts_with("/run/"))
            && !shown.starts_with("/run/netns")
        {
            walk(root, &path, host, files);
        }
    }
}
