//! Which options may be set, by whom; what a profile means; and how a volume gets those that it shall have.

use std::collections::BTreeMap;

use crate::api::volume::Profile;
use crate::gluster::model::{PoolView, Volume, VolumeStatus};
use crate::gluster::names::{ALLOW_NOBODY, ALLOW_OPTION, OWNER_OPTION, OptionKey, OptionValue};

use super::quota::CLOSED;
use super::step::Step;
use super::validate::{Access, ValidVolume};
use super::{attach, layout};

/// Keys, or prefixes that end in `*`, that nobody sets through `spec.options`, with the reason. They hold for
/// `ownedOptions` too, before any reset.
const NEVER: &[(&str, &str)] = &[
    (
        "user.*",
        "a shipped hook script exports volumes by user options, and our mark is one",
    ),
    ("features.quota*", "quota follows spec.capacity"),
    ("features.inode-quota*", "quota follows spec.capacity"),
    (
        "features.soft-timeout",
        "spec.quotaTimeouts of the cluster says it",
    ),
    (
        "features.hard-timeout",
        "spec.quotaTimeouts of the cluster says it",
    ),
    (
        "features.shard*",
        "sharding is part of a layout; switched off on a volume with data it destroys files",
    ),
    (
        "features.trash*",
        "it moves deleted files to a path of its own",
    ),
    ("features.read-only", "the access modes of a claim say it"),
    ("features.worm*", "files could never be removed again"),
    (
        "auth.*",
        "who may mount follows spec.clients of the cluster, or the claim",
    ),
    ("*ssl*", "TLS is a matter of the whole pool"),
    ("nfs.*", "it exports the volume past every check"),
    ("debug.*", "it makes glusterd write files or inject errors"),
    ("delay-gen*", "it injects delays"),
    ("changelog.*", "it belongs to geo-replication"),
    ("server.statedump-path", "it is a path on the hosts"),
    (
        "storage.health-check*",
        "a brick with a dead disk must stop",
    ),
    (
        "storage.owner-*",
        "it changes the owner of the root of the volume",
    ),
    ("storage.build-pgfid", "it rewrites the xattrs of all files"),
    (
        "cluster.server-quorum*",
        "it stops bricks of the whole pool",
    ),
    (
        "cluster.quorum-type",
        "without the quorum of a layout copies split, and a node that was shut out goes on writing to one of them",
    ),
    (
        "cluster.quorum-count",
        "without the quorum of a layout copies split, and a node that was shut out goes on writing to one of them",
    ),
    ("cluster.op-version", "raising it can't be undone"),
    (
        "server.allow-insecure",
        "off: otherwise any unprivileged process reads every file",
    ),
    (
        "client.bind-insecure",
        "off: it goes with server.allow-insecure",
    ),
    ("server.root-squash", "it is about who may do what"),
    ("server.all-squash", "it is about who may do what"),
    ("locks.mandatory-locking", "databases hang with it"),
    ("client.strict-locks", "set on one volume it is set on all"),
];

fn matches(pattern: &str, key: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => key.contains(rest.trim_end_matches('*')),
        (None, Some(prefix)) => key.starts_with(prefix),
        (Some(suffix), None) => key.ends_with(suffix),
        (None, None) => key == pattern,
    }
}

/// Why nobody may set that key; `None` when it may be set.
pub fn forbidden(key: &OptionKey) -> Option<&'static str> {
    // gluster takes a key without its xlator and in any case as well: compare what it would take
    let key = key.as_str().to_ascii_lowercase();
    NEVER
        .iter()
        .find(|(pattern, _)| matches(pattern, &key))
        .map(|(_, why)| *why)
}

/// Keys that nobody sets through `spec.options` of a cluster, with the reason. Whoever edits a cluster is root on its hosts, so these
/// are not about rights: they do what the object does not say, or what can't be taken back.
const NEVER_IN_POOL: &[(&str, &str)] = &[
    (
        "cluster.op-version",
        "raising it can't be undone; see spec.opVersion",
    ),
    (
        "cluster.enable-shared-storage",
        "a hook script makes a volume of its own with it and mounts it on every host, and deletes that volume with all its data when it is switched off; type it on a host if you want that",
    ),
];

/// Why that key may not be set for a pool; `None` when it may be set.
pub fn forbidden_in_pool(key: &OptionKey) -> Option<&'static str> {
    NEVER_IN_POOL
        .iter()
        .find(|(never, _)| *never == key.as_str())
        .map(|(_, why)| *why)
}

/// Why nobody may set that value: a path on the hosts, or a word that bricks and mounts do not take for a value in the files
/// that they are started from (measured: none of them starts any more).
pub fn forbidden_value(value: &OptionValue) -> Option<&'static str> {
    match value.as_str() {
        path if path.contains('/') => {
            Some("a value with '/' would name a file on the storage hosts")
        }
        "volume" | "type" | "end-volume" | "subvolumes" | "option" => {
            Some("as a value it would keep bricks and mounts from starting")
        }
        _ => None,
    }
}

/// True if the cluster's list lets tenants set the key.
pub fn tenant_may_set(list: &[String], key: &OptionKey) -> bool {
    list.iter().any(|pattern| {
        pattern
            .strip_suffix(".*")
            .map_or(pattern == key.as_str(), |head| {
                key.as_str()
                    .strip_prefix(head)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
    })
}

/// Options that a profile stands for; docs/profiles.md says why each. GlusterFS 10.3 takes every one for every layout (tried):
/// they are set at once with the mark of a volume, and one that is refused would keep it from being made. What is its default
/// anyway is not set.
pub fn profile(profile: Profile) -> BTreeMap<OptionKey, OptionValue> {
    // measured: a client that was cut off learns of it after 10-18 s instead of 42-84 s, while the servers give its locks
    // away after 42 s
    let notice = ("network.ping-timeout", "10");
    let pairs: &[(&str, &str)] = match profile {
        Profile::Default => &[],
        // after the group db-workload
        Profile::Database => &[
            notice,
            ("client.event-threads", "4"),
            ("performance.client-io-threads", "on"),
            ("performance.quick-read", "off"),
            ("performance.stat-prefetch", "off"),
            ("performance.strict-o-direct", "on"),
            ("performance.write-behind", "off"),
            ("server.event-threads", "4"),
        ],
        // after the group virt, without what layouts decide (sharding, quorum), what is not for every layout
        // (cluster.shd-*), and what gives locks away sooner (server.tcp-user-timeout, server.keepalive-*)
        Profile::VirtualMachines => &[
            notice,
            ("client.event-threads", "4"),
            ("cluster.choose-local", "off"),
            ("cluster.data-self-heal-algorithm", "full"),
            ("cluster.locking-scheme", "granular"),
            ("cluster.lookup-optimize", "off"),
            ("performance.client-io-threads", "on"),
            ("performance.low-prio-threads", "32"),
            ("performance.quick-read", "off"),
            ("performance.strict-o-direct", "on"),
            ("server.event-threads", "4"),
        ],
        // the groups metadata-cache and nl-cache
        Profile::SmallFiles => &[
            ("features.cache-invalidation", "on"),
            ("features.cache-invalidation-timeout", "600"),
            ("network.inode-lru-limit", "200000"),
            ("performance.cache-invalidation", "on"),
            ("performance.md-cache-timeout", "600"),
            ("performance.nl-cache", "on"),
            ("performance.nl-cache-timeout", "600"),
        ],
    };
    pairs
        .iter()
        .filter_map(|(key, value)| Some((key.parse().ok()?, value.parse().ok()?)))
        .collect()
}

/// Makes clients come from privileged ports. It is set before the first start only: toggled on a running volume it breaks
/// mounts and quotad (measured).
pub(super) const PRIVILEGED: (&str, &str) = ("client.bind-insecure", "off");

pub(super) fn pairs(list: &[(&str, &str)]) -> BTreeMap<OptionKey, OptionValue> {
    list.iter()
        .filter_map(|(key, value)| Some((key.parse().ok()?, value.parse().ok()?)))
        .collect()
}

/// What has to be set besides the user's own options, in one command.
fn base(want: &ValidVolume) -> BTreeMap<OptionKey, OptionValue> {
    let mut options = want.profile.clone();
    options.retain(|key, _| !want.options.contains_key(key));
    options.extend(want.quota_timeouts.clone());
    if let Ok(key) = OWNER_OPTION.parse() {
        options.insert(key, want.mark_option.clone());
    }
    if let (Some(key), Access::Clients(list)) = (attach::key(), &want.access) {
        options.insert(key, list.clone());
    }
    options
}

/// The options of a volume that has never been started: mark, access and profile at once, then what the user asked for.
pub(super) fn first(want: &ValidVolume) -> Vec<Step> {
    let mut base = base(want);
    base.extend(pairs(&[PRIVILEGED]));
    base.extend(layout::shard_options(want));
    // quota's crawl is a client that is not privileged: where it comes later, this does too
    if want.capacity.is_none() {
        base.extend(pairs(&[(CLOSED, "off")]));
    }
    if want.access == Access::OneWriter {
        base.extend(pairs(&[(ALLOW_OPTION, ALLOW_NOBODY)]));
    }
    let mut steps = vec![Step::SetOptions {
        volume: want.volume.clone(),
        options: base,
        each: false,
    }];
    if !want.options.is_empty() {
        steps.push(Step::SetOptions {
            volume: want.volume.clone(),
            options: want.options.clone(),
            each: true,
        });
    }
    steps
}

pub(super) fn steps(want: &ValidVolume, volume: &Volume) -> Vec<Step> {
    let never_started = volume.status == VolumeStatus::Created;
    if never_started && !volume.options.contains_key(OWNER_OPTION) {
        return first(want);
    }
    let missing = |options: &BTreeMap<OptionKey, OptionValue>| -> BTreeMap<OptionKey, OptionValue> {
        let differs = |key: &OptionKey, value: &OptionValue| {
            volume.options.get(key.as_str()).map(String::as_str) != Some(value.as_str())
        };
        options
            .iter()
            .filter(|(key, value)| differs(key, value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let mut steps = Vec::new();
    let mut base = base(want);
    if never_started {
        base.extend(layout::shard_options(want));
    }
    for (options, each) in [(missing(&base), false), (missing(&want.options), true)] {
        if !options.is_empty() {
            steps.push(Step::SetOptions {
                volume: want.volume.clone(),
                options,
                each,
            });
        }
    }
    for key in want
        .dropped
        .iter()
        .filter(|key| volume.options.contains_key(key.as_str()))
    {
        steps.push(Step::ResetOption {
            volume: want.volume.clone(),
            key: key.clone(),
        });
    }
    steps
}

/// Options that GlusterFS sets itself when it creates a volume or switches quota on.
const GLUSTERS_OWN: [(&str, &str); 6] = [
    ("transport.address-family", "inet"),
    ("storage.fips-mode-rchecksum", "on"),
    ("nfs.disable", "on"),
    ("performance.client-io-threads", "off"),
    ("cluster.granular-entry-heal", "on"),
    ("features.quota-deem-statfs", "on"),
];

/// Options of the volume that neither its spec nor we nor GlusterFS itself have set: they are told, and never touched.
pub(super) fn foreign(want: &ValidVolume, volume: &Volume, pool: &PoolView) -> Vec<String> {
    let ours = |key: &str| {
        let base = [OWNER_OPTION, ALLOW_OPTION, PRIVILEGED.0, CLOSED];
        let quota = [
            "features.quota",
            "features.inode-quota",
            "features.soft-timeout",
            "features.hard-timeout",
        ];
        let shard = [layout::SHARD, layout::SHARD_SIZE];
        base.contains(&key)
            || quota.contains(&key)
            || (want.shard.is_some() && shard.contains(&key))
    };
    // options of the whole pool show up among those of each volume
    let of_the_pool = |key: &String| {
        let mut hosts = pool.answered();
        hosts.any(|(_, facts)| facts.state.global_options.contains_key(key))
    };
    let declared = |key: &String| {
        let mut keys = want.options.keys().chain(want.profile.keys());
        keys.any(|other| other.as_str() == key)
            || want.dropped.iter().any(|one| one.as_str() == key)
    };
    volume
        .options
        .iter()
        .filter(|(key, value)| {
            !ours(key)
                && !declared(key)
                && !of_the_pool(key)
                && !GLUSTERS_OWN.contains(&(key.as_str(), value.as_str()))
        })
        .map(|(key, _)| key.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> OptionKey {
        text.parse().unwrap()
    }

    #[test]
    fn the_never_list_holds() {
        for bad in [
            "user.smb",
            "auth.allow",
            "auth.ssl-allow",
            "client.ssl",
            "server.SSL",
            "features.quota-timeout",
            "features.shard",
            "nfs.disable",
            "server.allow-insecure",
            "changelog.changelog",
            "USER.cifs",
            "cluster.quorum-type",
            "cluster.quorum-count",
        ] {
            assert!(forbidden(&key(bad)).is_some(), "{bad}");
        }
        for good in [
            "performance.cache-size",
            "network.ping-timeout",
            "cluster.self-heal-daemon",
        ] {
            assert!(forbidden(&key(good)).is_none(), "{good}");
        }
        assert!(forbidden_value(&"/etc/passwd".parse().unwrap()).is_some());
        assert!(forbidden_value(&"end-volume".parse().unwrap()).is_some());
        assert!(forbidden_value(&"volumes".parse().unwrap()).is_none());
    }

    #[test]
    fn tenants_set_what_the_list_says() {
        let list = [
            "performance.*".to_owned(),
            "network.ping-timeout".to_owned(),
        ];
        for (name, may) in [
            ("performance.cache-size", true),
            ("performancex.a", false),
            ("network.ping-timeout", true),
            ("network.other", false),
        ] {
            assert_eq!(tenant_may_set(&list, &key(name)), may, "{name}");
        }
    }

    #[test]
    fn every_profile_sets_only_what_may_be_set() {
        for (which, count) in [
            (Profile::Default, 0),
            (Profile::Database, 8),
            (Profile::VirtualMachines, 11),
            (Profile::SmallFiles, 7),
        ] {
            let options = profile(which);
            assert_eq!(options.len(), count, "{which:?}: one of them is no option");
            for (name, value) in options {
                assert!(
                    forbidden(&name).is_none() && forbidden_value(&value).is_none(),
                    "{which:?}: {name}"
                );
            }
        }
    }

    /// docs/profiles.md names each option of each profile, with its value, and no other.
    #[test]
    fn profiles_are_documented() {
        let text = include_str!("../../docs/profiles.md");
        for (which, head) in [
            (Profile::Database, "## database"),
            (Profile::VirtualMachines, "## virtual-machines"),
            (Profile::SmallFiles, "## small-files"),
        ] {
            let section = text.split(head).nth(1).unwrap();
            let section = section.split("\n## ").next().unwrap();
            let rows: BTreeMap<String, String> = section
                .lines()
                .filter_map(|line| {
                    let mut cells = line.strip_prefix("| `")?.split(" | ");
                    let key = cells.next()?.trim_matches('`').to_owned();
                    Some((key, cells.next()?.to_owned()))
                })
                .collect();
            let options = profile(which);
            let set = options
                .iter()
                .map(|(k, v)| (k.to_string(), v.as_str().to_owned()));
            assert_eq!(rows, set.collect(), "{which:?}");
        }
    }

    /// docs/glustervolume.md names what nobody may set, and nothing else.
    #[test]
    fn what_nobody_may_set_is_documented() {
        let text = include_str!("../../docs/glustervolume.md");
        let section = text
            .split("### Options that nobody may set")
            .nth(1)
            .unwrap();
        let table = section.split("\n\n").nth(1).unwrap();
        let told: Vec<&str> = table
            .lines()
            .filter_map(|line| line.split(" | ").next())
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        for (pattern, _) in NEVER {
            assert!(told.contains(pattern), "the page lacks {pattern}");
        }
        assert_eq!(told.len(), NEVER.len(), "{told:?}");
    }
}
