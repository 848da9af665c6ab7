//! `volume_context` and the volume's id → typed values. What we do not know is refused: a misspelt key would
//! otherwise be a setting that silently does nothing.

use std::collections::HashMap;

use thiserror::Error;

use super::options::{BadOption, MountOptions};
use crate::gluster::names::{BadName, HostName, VolumeId};

/// Most servers in one list; a pool has no more.
const MAX_SERVERS: usize = 64;

/// A context that does not say what to mount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadContext {
    /// A key is missing.
    #[error("the volume context has no {0:?}")]
    Missing(&'static str),
    /// A key is there that nobody knows.
    #[error("the volume context has the unknown key {0:?}")]
    Unknown(String),
    /// A key says something else than the volume's id.
    #[error("{key} is {value:?} in the volume context, but the volume's id is {id}")]
    Contradiction {
        /// The key.
        key: &'static str,
        /// Its value, cut to 80 characters.
        value: String,
        /// The id.
        id: String,
    },
    /// The list of servers can't be read.
    #[error("the servers in the volume context: {0}")]
    Servers(String),
    /// A server's name or address does not follow its grammar.
    #[error("the servers in the volume context: {0}")]
    Name(#[from] BadName),
    /// A mount option is refused.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// A volume that a pod carries in its own spec: its author would choose server and volume.
    #[error("inline ephemeral volumes are not supported: use a PersistentVolumeClaim")]
    Ephemeral,
}

/// A server of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The name by which gluster knows it, and by which volfiles call it.
    pub name: HostName,
    /// How this node reaches it.
    pub address: HostName,
}

/// What to mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeContext {
    /// The volume.
    pub id: VolumeId,
    /// All servers of the pool, in the order in which the controller found them reachable; at least one.
    pub servers: Vec<Server>,
    /// Options of the volume and of its mount capability together.
    pub options: MountOptions,
}

impl VolumeContext {
    /// Reads a context; `flags` are the mount flags of the request's capability.
    pub fn parse(
        id: &VolumeId,
        context: &HashMap<String, String>,
        flags: &[String],
    ) -> Result<Self, BadContext> {
        let (mut servers, mut options) = (None, "");
        for (key, value) in context {
            match key.as_str() {
                "cluster" => agrees(id, "cluster", value, id.cluster.as_str())?,
                "volume" => agrees(id, "volume", value, id.volume.as_str())?,
                "servers" => servers = Some(parse_servers(value)?),
                "mountOptions" => options = value,
                "csi.storage.k8s.io/ephemeral" if value == "true" => {
                    return Err(BadContext::Ephemeral);
                }
                // What Kubernetes and its sidecars add about pods, claims and themselves.
                other
                    if other.starts_with("csi.storage.k8s.io/")
                        || other.starts_with("storage.kubernetes.io/") => {}
                other => return Err(BadContext::Unknown(other.chars().take(80).collect())),
            }
        }
        let options =
            MountOptions::parse(options.split(',').chain(flags.iter().map(String::as_str)))?;
        Ok(Self {
            id: id.clone(),
            servers: servers.ok_or(BadContext::Missing("servers"))?,
            options,
        })
    }
}

fn agrees(id: &VolumeId, key: &'static str, value: &str, wanted: &str) -> Result<(), BadContext> {
    if value == wanted {
        return Ok(());
    }
    let value = value.chars().take(80).collect();
    Err(BadContext::Contradiction {
        key,
        value,
        id: id.to_string(),
    })
}

fn parse_servers(text: &str) -> Result<Vec<Server>, BadContext> {
    let mut servers: Vec<Server> = Vec::new();
    for pair in text.split(',') {
        let (name, address) = pair.split_once('=').ok_or_else(|| {
            let pair: String = pair.chars().take(80).collect();
            BadContext::Servers(format!("{pair:?} is not name=address"))
        })?;
        let server = Server {
            name: name.parse()?,
            address: address.parse()?,
        };
        if servers.iter().any(|other| other.name == server.name) {
            return Err(BadContext::Servers(format!(
                "{} is there twice",
                server.name
            )));
        }
        servers.push(server);
        if servers.len() > MAX_SERVERS {
            return Err(BadContext::Servers(format!("more than {MAX_SERVERS}")));
        }
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)], flags: &[&str]) -> Result<VolumeContext, BadContext> {
        let context = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        VolumeContext::parse(&"prod:default_mysql".parse().unwrap(), &context, &flags)
    }

    const SERVERS: (&str, &str) = ("servers", "node1=10.0.0.1,node2=10.0.0.2");

    #[test]
    fn a_whole_context_is_read_and_foreign_keys_are_ignored() {
        let context = read(
            &[
                ("cluster", "prod"),
                ("volume", "default_mysql"),
                SERVERS,
                ("mountOptions", "acl,noatime"),
                ("csi.storage.k8s.io/pod.name", "mysql-0"),
                ("csi.storage.k8s.io/ephemeral", "false"),
                ("storage.kubernetes.io/csiProvisionerIdentity", "x"),
            ],
            &["ro"],
        )
        .unwrap();
        let servers: Vec<_> = context
            .servers
            .iter()
            .map(|s| format!("{}={}", s.name, s.address))
            .collect();
        assert_eq!(servers, ["node1=10.0.0.1", "node2=10.0.0.2"]);
        assert_eq!(context.options.client, ["--acl"]);
        assert_eq!(context.options.kernel, ["noatime"]);
        assert!(context.options.read_only);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let many = (0..65)
            .map(|n| format!("n{n}=10.0.0.1"))
            .collect::<Vec<_>>()
            .join(",");
        let rows: [(&[(&str, &str)], &str); 14] = [
            (&[], "no \"servers\""),
            (&[("servers", "")], "not name=address"),
            (&[("servers", "node1")], "not name=address"),
            (&[("servers", "node1=10.0.0.1,")], "not name=address"),
            (&[("servers", "node1=")], "host name"),
            (&[("servers", "-o=10.0.0.1")], "host name"),
            (&[("servers", "node1=$(reboot)")], "host name"),
            (
                &[("servers", "node1=10.0.0.1\n10.6.6.6 node2")],
                "host name",
            ),
            (&[("servers", "a=10.0.0.1,a=10.0.0.2")], "twice"),
            (&[("servers", &many)], "more than 64"),
            (
                &[SERVERS, ("volume", "other")],
                "the volume's id is prod:default_mysql",
            ),
            (
                &[SERVERS, ("cluster", "other")],
                "the volume's id is prod:default_mysql",
            ),
            (&[SERVERS, ("server", "x")], "unknown key \"server\""),
            (
                &[SERVERS, ("mountOptions", "acl,log-file=/x")],
                "\"log-file\"",
            ),
        ];
        for (pairs, words) in rows {
            let error = read(pairs, &[]).unwrap_err().to_string();
            assert!(error.contains(words), "{pairs:?}: {error}");
        }
        assert_eq!(
            read(&[SERVERS, ("csi.storage.k8s.io/ephemeral", "true")], &[]),
            Err(BadContext::Ephemeral)
        );
        assert!(read(&[SERVERS], &["dump-fuse=/x"]).is_err());
    }
}
