//! Which options may be set, by whom; what a profile means.

use std::collections::BTreeMap;

use crate::api::volume::Profile;
use crate::gluster::names::{OptionKey, OptionValue};

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

/// Why nobody may set that value: a path on the hosts.
pub fn forbidden_value(value: &OptionValue) -> Option<&'static str> {
    value
        .as_str()
        .contains('/')
        .then_some("a value with '/' would name a file on the storage hosts")
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

/// Options that a profile stands for.
pub fn profile(profile: Profile) -> BTreeMap<OptionKey, OptionValue> {
    let pairs: &[(&str, &str)] = match profile {
        Profile::Default => &[],
        // measured: a database that was cut off learns of it after 10-18 s instead of 42-84 s, while the servers
        // give its locks away after 42 s
        Profile::Database => &[("network.ping-timeout", "10")],
    };
    pairs
        .iter()
        .filter_map(|(key, value)| Some((key.parse().ok()?, value.parse().ok()?)))
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
        assert_eq!(profile(Profile::Database).len(), 1);
        for (name, value) in profile(Profile::Database) {
            assert!(forbidden(&name).is_none() && forbidden_value(&value).is_none());
        }
    }
}
