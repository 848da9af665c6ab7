//! What is run on a host, word for word, and that no name can become anything else than a name.

use std::time::Duration;

use gluster_operator::gluster::names::{
    Brick, Bytes, HostName, HostPath, OptionKey, OptionValue, OwnerId, OwnerMark, VolumeName,
};
use gluster_operator::gluster::operation::{
    Gluster, Operation, READ_DEADLINE, SetShape, WRITE_DEADLINE,
};
use proptest::prelude::*;

fn name<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is no name"))
}

fn volume() -> VolumeName {
    name("shop_data")
}

fn bricks(count: usize) -> Vec<Brick> {
    (1..=count)
        .map(|n| name(&format!("node{n}:/d/shop_data-0a1b2c3d/brick")))
        .collect()
}

fn options(list: &[(&str, &str)]) -> std::collections::BTreeMap<OptionKey, OptionValue> {
    list.iter()
        .map(|(key, value)| (name(key), name(value)))
        .collect()
}

/// One of each, with its words and whether it is a read.
fn every_gluster() -> Vec<(Gluster, &'static str, bool)> {
    let shape = SetShape::Replicate { copies: 3 };
    vec![
        (Gluster::Uuid, "system:: uuid get", true),
        (Gluster::Probe(name("node2")), "peer probe node2", false),
        (Gluster::Detach(name("node2")), "peer detach node2", false),
        (
            Gluster::PoolReset(name("cluster.brick-multiplex")),
            "volume reset all cluster.brick-multiplex",
            false,
        ),
        (
            Gluster::MaxOpVersion,
            "volume get all cluster.max-op-version",
            true,
        ),
        (
            Gluster::PoolSet(name("cluster.brick-multiplex"), name("on")),
            "volume set all cluster.brick-multiplex on",
            false,
        ),
        (
            Gluster::Create {
                volume: volume(),
                shape,
                bricks: bricks(3),
            },
            "volume create shop_data replica 3 transport tcp node1:/d/shop_data-0a1b2c3d/brick \
             node2:/d/shop_data-0a1b2c3d/brick node3:/d/shop_data-0a1b2c3d/brick",
            false,
        ),
        (
            Gluster::Create {
                volume: volume(),
                shape: SetShape::Distribute,
                bricks: bricks(1),
            },
            "volume create shop_data transport tcp node1:/d/shop_data-0a1b2c3d/brick",
            false,
        ),
        (
            Gluster::Create {
                volume: volume(),
                shape: SetShape::Arbiter,
                bricks: bricks(3),
            },
            "volume create shop_data replica 3 arbiter 1 transport tcp node1:/d/shop_data-0a1b2c3d/brick \
             node2:/d/shop_data-0a1b2c3d/brick node3:/d/shop_data-0a1b2c3d/brick",
            false,
        ),
        (
            Gluster::Create {
                volume: volume(),
                shape: SetShape::Disperse {
                    data: 2,
                    redundancy: 1,
                },
                bricks: bricks(3),
            },
            "volume create shop_data disperse-data 2 redundancy 1 transport tcp node1:/d/shop_data-0a1b2c3d/brick \
             node2:/d/shop_data-0a1b2c3d/brick node3:/d/shop_data-0a1b2c3d/brick",
            false,
        ),
        (
            Gluster::Set(
                volume(),
                options(&[
                    ("performance.cache-size", "64MB"),
                    ("auth.allow", "10.0.0.*,10.1.2.3"),
                ]),
            ),
            "volume set shop_data auth.allow 10.0.0.*,10.1.2.3 performance.cache-size 64MB",
            false,
        ),
        (
            Gluster::Reset(volume(), name("performance.cache-size")),
            "volume reset shop_data performance.cache-size",
            false,
        ),
        (Gluster::Start(volume()), "volume start shop_data", false),
        (
            Gluster::StartBricks(volume()),
            "volume start shop_data force",
            false,
        ),
        (Gluster::Stop(volume()), "volume stop shop_data", false),
        (Gluster::Delete(volume()), "volume delete shop_data", false),
        (
            Gluster::QuotaEnable(volume()),
            "volume quota shop_data enable",
            false,
        ),
        (
            Gluster::QuotaLimit(volume(), Bytes(2_147_483_648)),
            "volume quota shop_data limit-usage / 2147483648",
            false,
        ),
        (
            Gluster::QuotaRemove(volume()),
            "volume quota shop_data remove /",
            false,
        ),
        (
            Gluster::QuotaList(volume()),
            "volume quota shop_data list /",
            true,
        ),
        (
            Gluster::Clients(volume()),
            "volume status shop_data clients",
            true,
        ),
        (
            Gluster::BrickClients(
                volume(),
                Brick {
                    host: "node1".parse().unwrap(),
                    path: "/d/b".parse().unwrap(),
                },
            ),
            "volume status shop_data node1:/d/b clients",
            true,
        ),
    ]
}

#[test]
fn gluster_commands_word_for_word() {
    for (gluster, words, read) in every_gluster() {
        assert_eq!(gluster.words().join(" "), words);
        assert_eq!(gluster.typed(), format!("gluster {words}"));
        assert_eq!(gluster.is_read(), read, "{words}");
        let whole = if read {
            format!("env PYTHON=true gluster --mode=script --xml --timeout=10 {words}")
        } else {
            let lock = match gluster {
                Gluster::Probe(_)
                | Gluster::Detach(_)
                | Gluster::PoolReset(_)
                | Gluster::PoolSet(..) => "the.pool",
                _ => "shop_data",
            };
            format!(
                "flock -n -E 75 /run/gluster-operator/{lock}.lock env PYTHON=true gluster --mode=script --xml {words}"
            )
        };
        let operation = Operation::Gluster(gluster);
        assert!(!operation.independent());
        let commands = operation.commands();
        let [command] = &commands[..] else {
            panic!("{words}: {commands:?}");
        };
        assert_eq!(command.argv.join(" "), whole);
        assert_eq!(command.stdin, None);
        assert_eq!(
            command.deadline,
            if read { READ_DEADLINE } else { WRITE_DEADLINE }
        );
    }
    // gluster gives up after 10 s and 120 s by itself: its own words come before our deadline
    assert!(READ_DEADLINE > Duration::from_secs(10) && WRITE_DEADLINE > Duration::from_secs(120));
}

const OWNER: &str = "6f1d2b9e-0000-0000-0000-000000000001.6f1d2b9e-0000-0000-0000-000000000002";
const MARK: &str = "v1:6f1d.2b9e:0e9d5a4e-0000-0000-0000-000000000001:shop/data:0e9d5a4e-0000-0000-0000-000000000002";

/// Each operation but gluster's own, with its commands; `< …` is what a command reads from standard input.
#[test]
fn host_commands_word_for_word() {
    let device: HostPath = name("/d");
    let parent: HostPath = name("/d/shop_data-0a1b2c3d");
    let path: HostPath = name("/d/shop_data-0a1b2c3d/brick");
    let trash: HostPath = name("/d/.trash/shop_data-0a1b2c3d");
    let mark: OwnerMark = name(MARK);
    let owner: OwnerId = name(OWNER);
    let claim = "/var/lib/gluster-operator/owner";
    let table: Vec<(Operation, bool, Vec<String>)> = vec![
        (
            Operation::Prerequisites,
            false,
            vec![
                "mkdir -p -m 0700 /run/gluster-operator".into(),
                "which gluster glusterfs flock mountpoint pgrep getfattr setfattr stat find".into(),
            ],
        ),
        (
            Operation::State { slot: name("prod") },
            false,
            vec![
                "env PYTHON=true gluster --mode=script --timeout=10 get-state odir /run/gluster-operator file state-prod".into(),
                "cat /run/gluster-operator/state-prod".into(),
            ],
        ),
        (
            Operation::About,
            true,
            vec![
                "env LC_ALL=C glusterfs --version".into(),
                "env LC_ALL=C hostname -I".into(),
            ],
        ),
        (
            Operation::Survey { devices: vec![device.clone()] },
            true,
            vec![
                format!("env LC_ALL=C grep -aH  {claim} /etc/glusterfs/glusterd.vol"),
                "env LC_ALL=C stat -L -c %.Z %.Y /etc/glusterfs/glusterd.vol /run/glusterd.pid".into(),
                "env LC_ALL=C stat -L -c %F %m /d".into(),
                "env LC_ALL=C stat -f -c %i %S %b %a /d".into(),
            ],
        ),
        (
            Operation::InspectBricks(vec![path.clone()]),
            true,
            vec![
                format!(
                    "env LC_ALL=C getfattr --absolute-names -h -d -m \
                     ^trusted\\.(glusterfs\\.volume-id|gluster-operator) -e hex {path}"
                ),
                format!(
                    "env LC_ALL=C find {path} -maxdepth 2 -name .glusterfs -prune -o \
                     ( ! -name .glusterfs-anonymous-inode-* -o ! -type d ) -printf %d%y\\n ! -path {path} -quit"
                ),
            ],
        ),
        (
            Operation::CountBricks(vec![path.clone(), device.clone()]),
            true,
            ["", "--apparent-size "]
                .map(|by_size| {
                    format!(
                        "env LC_ALL=C timeout 120 du -s -x -B1 {by_size}\
                         --exclude={path}/.glusterfs --exclude=/d/.glusterfs {path} /d"
                    )
                })
                .into(),
        ),
        (
            Operation::Crawl(name("shop_data")),
            false,
            vec![
                "env LC_ALL=C pgrep -f volfile-id client_per_brick/shop_data[.]client[.]".into(),
            ],
        ),
        (
            Operation::Mounts,
            true,
            vec![
                "env LC_ALL=C pgrep -a -x glusterfs".into(),
                "env LC_ALL=C cat /proc/self/mountinfo".into(),
            ],
        ),
        (
            Operation::LowPorts,
            false,
            vec![
                "env LC_ALL=C grep -shoE ^ *[0-9]+: [0-9A-F]+:0[0-3][0-9A-F]{2}  /proc/net/tcp /proc/net/tcp6"
                    .into(),
            ],
        ),
        (
            Operation::MakeBrick {
                device: device.clone(),
                parent: parent.clone(),
                path: path.clone(),
                mark: mark.clone(),
            },
            false,
            vec![
                "mountpoint -q /d".into(),
                format!("mkdir -p -m 0755 {parent} {path}"),
                format!("setfattr -h -n trusted.gluster-operator.owner -v {MARK} {path}"),
            ],
        ),
        (
            Operation::MarkBrick { path: path.clone(), mark },
            false,
            vec![format!("setfattr -h -n trusted.gluster-operator.owner -v {MARK} {path}")],
        ),
        (
            Operation::WriteManifest {
                device: device.clone(),
                file: name("/d/.trash/shop_data-0a1b2c3d.json"),
                manifest: "{}".into(),
            },
            false,
            vec![
                "mountpoint -q /d".into(),
                "mkdir -p -m 0700 /d/.trash".into(),
                format!("tee {trash}.json < {{}}"),
                format!("sync {trash}.json /d/.trash"),
            ],
        ),
        (
            Operation::FindBricks { device: device.clone(), volume: volume() },
            false,
            vec!["env LC_ALL=C find /d -mindepth 1 -maxdepth 1 -name shop_data-????????* -printf %y %f\\0".into()],
        ),
        (
            Operation::ListTrash { device: device.clone() },
            true,
            vec![
                "env LC_ALL=C find /d/.trash -mindepth 1 -maxdepth 1 -printf %y %C@ %f\\0".into(),
                "env LC_ALL=C date +%s".into(),
                "env LC_ALL=C cat /proc/self/mountinfo".into(),
            ],
        ),
        (
            Operation::InspectTrash { device: device.clone(), name: name("shop_data-0a1b2c3d") },
            true,
            vec![
                format!(
                    "env LC_ALL=C getfattr --absolute-names -h -d -m \
                     ^trusted\\.(glusterfs\\.volume-id|gluster-operator) -e hex {trash}"
                ),
                format!(
                    "env LC_ALL=C getfattr --absolute-names -h -d -m \
                     ^trusted\\.(glusterfs\\.volume-id|gluster-operator) -e hex {trash}/brick"
                ),
                format!("env LC_ALL=C find {trash} -mindepth 1 -maxdepth 1 -printf %y %f\\0"),
                format!("env LC_ALL=C cat {trash}.json"),
                "env LC_ALL=C cat /proc/self/mountinfo".into(),
            ],
        ),
        (
            Operation::PurgeTrash {
                device: device.clone(),
                name: name("shop_data-0a1b2c3d"),
                manifest: true,
            },
            false,
            vec![
                "mountpoint -q /d".into(),
                "sed -n \\:^\\([^ ]* \\)\\{4\\}/d/[.]trash/shop_data-0a1b2c3d[ /]:q1 /proc/self/mountinfo".into(),
                format!("mv -T {trash}.json {trash}.purging"),
                format!("timeout 10 unshare --mount rm -rf --one-file-system --preserve-root=all {trash}"),
                format!("rm -f {trash}.purging"),
            ],
        ),
        (
            Operation::PurgeTrash {
                device: device.clone(),
                name: name("shop_data-0a1b2c3d"),
                manifest: false,
            },
            false,
            vec![
                "mountpoint -q /d".into(),
                "sed -n \\:^\\([^ ]* \\)\\{4\\}/d/[.]trash/shop_data-0a1b2c3d[ /]:q1 /proc/self/mountinfo".into(),
                format!("touch {trash}.purging"),
                format!("timeout 10 unshare --mount rm -rf --one-file-system --preserve-root=all {trash}"),
                format!("rm -f {trash}.purging"),
            ],
        ),
        (
            Operation::ForgetTrash { device: device.clone(), name: name("shop_data-0a1b2c3d") },
            false,
            vec![format!("rm -f {trash}.purging")],
        ),
        (
            Operation::ReadGlusterdVol,
            true,
            vec![
                "env LC_ALL=C cat /etc/glusterfs/glusterd.vol".into(),
                "env LC_ALL=C stat -L -c %.Z /etc/glusterfs/glusterd.vol".into(),
                "env LC_ALL=C stat -L -c %.Y /run/glusterd.pid".into(),
            ],
        ),
        (
            Operation::WriteGlusterdVol { text: "volume management\n".into() },
            false,
            vec![
                "rm -f /etc/glusterfs/glusterd.vol.gluster-operator".into(),
                "tee /etc/glusterfs/glusterd.vol.gluster-operator < volume management\n".into(),
                "chmod --reference=/etc/glusterfs/glusterd.vol /etc/glusterfs/glusterd.vol.gluster-operator".into(),
                "chown --reference=/etc/glusterfs/glusterd.vol /etc/glusterfs/glusterd.vol.gluster-operator".into(),
                "sync /etc/glusterfs/glusterd.vol.gluster-operator".into(),
                "mv -T /etc/glusterfs/glusterd.vol.gluster-operator /etc/glusterfs/glusterd.vol".into(),
            ],
        ),
        (
            Operation::TrashBrick { device, parent: parent.clone(), trash: trash.clone() },
            false,
            vec![
                "mountpoint -q /d".into(),
                "mkdir -p -m 0700 /d/.trash".into(),
                format!("mv -T {parent} {trash}"),
            ],
        ),
        (
            Operation::ClaimHost { owner: owner.clone(), replace: None },
            false,
            vec![
                "mkdir -p /var/lib/gluster-operator".into(),
                format!("rm -f {claim}.{OWNER}"),
                format!("tee {claim}.{OWNER} < {OWNER}\n"),
                format!("sync {claim}.{OWNER}"),
                format!("ln -T {claim}.{OWNER} {claim}"),
                format!("rm -f {claim}.{OWNER}"),
            ],
        ),
        (
            Operation::ClaimHost { owner, replace: Some(name("a.b")) },
            false,
            vec![
                "mkdir -p /var/lib/gluster-operator".into(),
                format!("rm -f {claim}.{OWNER}"),
                format!("tee {claim}.{OWNER} < {OWNER}\n"),
                format!("sync {claim}.{OWNER}"),
                format!("grep -qxF a.b {claim}"),
                format!("mv -T {claim}.{OWNER} {claim}"),
                format!("rm -f {claim}.{OWNER}"),
            ],
        ),
        (Operation::ReleaseHost, false, vec![format!("rm -f {claim}")]),
    ];
    for (operation, independent, wanted) in table {
        let commands: Vec<String> = operation
            .commands()
            .into_iter()
            .map(|command| match command.stdin {
                Some(text) => format!("{} < {text}", command.argv.join(" ")),
                None => command.argv.join(" "),
            })
            .collect();
        assert_eq!(commands, wanted);
        assert_eq!(operation.independent(), independent, "{}", operation.name());
        // it is stored and sent as JSON, and comes back as it was
        let json = serde_json::to_string(&operation).unwrap();
        assert_eq!(serde_json::from_str::<Operation>(&json).unwrap(), operation);
    }
}

/// Strings of the kind that people and attackers write; those that are no name are left out.
fn valid<T: std::str::FromStr + std::fmt::Debug>(pattern: &str) -> BoxedStrategy<T> {
    proptest::string::string_regex(pattern)
        .unwrap()
        .prop_filter_map("no name", |text| text.parse().ok())
        .boxed()
}

fn any_gluster() -> impl Strategy<Value = Gluster> {
    let volume = || valid::<VolumeName>("[A-Za-z0-9_-]{1,54}");
    let host = || valid::<HostName>("[A-Za-z0-9.-]{1,63}");
    let path = || valid::<HostPath>("(/[A-Za-z0-9._-]{1,40}){1,6}");
    let brick = move || (host(), path()).prop_map(|(host, path)| Brick { host, path });
    let key = || valid::<OptionKey>("[A-Za-z][A-Za-z0-9._-]{0,20}\\.[a-z0-9-]{1,20}");
    // any printable character, and quotes, dollars and semicolons more often; a leading dash is not a name of ours
    let value = || valid::<OptionValue>("[!$-\\[\\]-_a-~]{1,256}|[-$;'&|<>(){}*?!~%=]{1,20}");
    let pairs = move || prop::collection::btree_map(key(), value(), 1..5);
    let shape = prop_oneof![
        Just(SetShape::Distribute),
        Just(SetShape::Arbiter),
        (2..17_u32, 1..16_u32)
            .prop_map(|(data, redundancy)| SetShape::Disperse { data, redundancy }),
        (2..9_u32).prop_map(|copies| SetShape::Replicate { copies })
    ];
    prop_oneof![
        host().prop_map(Gluster::Probe),
        host().prop_map(Gluster::Detach),
        key().prop_map(Gluster::PoolReset),
        (key(), value()).prop_map(|(key, value)| Gluster::PoolSet(key, value)),
        (volume(), shape, prop::collection::vec(brick(), 1..7)).prop_map(
            |(volume, shape, bricks)| Gluster::Create {
                volume,
                shape,
                bricks
            }
        ),
        (volume(), pairs()).prop_map(|(volume, options)| Gluster::Set(volume, options)),
        (volume(), key()).prop_map(|(volume, key)| Gluster::Reset(volume, key)),
        volume().prop_map(Gluster::Start),
        volume().prop_map(Gluster::Stop),
        volume().prop_map(Gluster::Delete),
        volume().prop_map(Gluster::QuotaEnable),
        (volume(), any::<u64>())
            .prop_map(|(volume, bytes)| Gluster::QuotaLimit(volume, Bytes(bytes))),
        volume().prop_map(Gluster::QuotaList),
        volume().prop_map(Gluster::Clients),
        (volume(), brick()).prop_map(|(volume, brick)| Gluster::BrickClients(volume, brick)),
    ]
}

proptest! {
    /// No token of a gluster command can be an option, or more than one word.
    #[test]
    fn names_stay_names(gluster in any_gluster()) {
        for word in gluster.words() {
            prop_assert!(!word.is_empty() && !word.starts_with('-'), "{word:?}");
            prop_assert!(!word.contains(|c: char| c.is_control() || c.is_whitespace()), "{word:?}");
        }
        // and the lock is one file in our directory
        let lock = gluster.lock().to_owned();
        prop_assert!(!lock.contains('/') && !lock.starts_with('.') && !lock.is_empty());
    }

    /// Whatever text a user sends, it is refused or is a name that passes the test above.
    #[test]
    fn hostile_texts_are_refused(text in "(\\PC|[\\x00-\\x20;'\"$`\\\\/.-]){0,80}") {
        let odd = |c: char| c.is_control() || c.is_whitespace() || !c.is_ascii();
        if text.parse::<VolumeName>().is_ok() || text.parse::<HostName>().is_ok()
            || text.parse::<OptionKey>().is_ok() || text.parse::<HostPath>().is_ok()
            || text.parse::<OptionValue>().is_ok() || text.parse::<OwnerId>().is_ok()
            || text.parse::<OwnerMark>().is_ok() || text.parse::<Brick>().is_ok()
        {
            prop_assert!(!text.contains(odd) && !text.starts_with('-'), "{text:?}");
        }
    }
}
