//! The names of a pool's servers, made known on this node.
//!
//! A volfile calls each brick's server by the name that the pool gives it, and a Kubernetes node often knows no
//! such name. Those are added to the hosts file of the plugin's own container, one marked line each. Lines of
//! others are never changed. A name that means something already is left alone where that may be the server: in a
//! node's own hosts file, or at a name server, it may be quite another machine, and a client that looks for a brick
//! there writes to the other copies alone, without a word. The kubelet binds that one file into the container, so it
//! is written in place: it can't be replaced by renaming.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use thiserror::Error;
use tokio::sync::Mutex;

use super::DRIVER_NAME;
use super::context::Server;
use super::servers;
use crate::gluster::names::ClusterName;

/// How long a resolver may take to know a name. A name that it has not found by then gets a line: the client
/// would wait for the same resolver.
const RESOLVE_WITHIN: Duration = Duration::from_secs(3);

/// Why the names could not be made known.
#[derive(Debug, Error)]
pub enum HostsError {
    /// Two clusters use one name for two servers.
    #[error(
        "the server name {name} already means {address} of cluster {cluster} on this node; two clusters whose \
         servers have the same names can't be used on one node"
    )]
    Conflict {
        /// The name.
        name: String,
        /// The cluster that used it first.
        cluster: String,
        /// What it means there.
        address: String,
    },
    /// The node's hosts file has another machine by the name of a server.
    #[error(
        "the hosts file of this node says that {name} is {means}, where no glusterd answers; the server {name} of this volume is \
         {address}: give it that address there, or another name to the machine that has it, and restart the node plugin on this node"
    )]
    AnotherMachine {
        /// The name.
        name: String,
        /// What the file says.
        means: String,
        /// Where the server is.
        address: String,
    },
    /// This node is a server of the volume, and knows itself by a loopback address.
    #[error(
        "the hosts file of this node says that {name}, a server of this volume, is {means}: its brick would not know this node by the address \
         that the volume lets in; give it {address} there, and restart the node plugin on this node"
    )]
    Loopback {
        /// The name.
        name: String,
        /// What the file says.
        means: String,
        /// Where the server is.
        address: String,
    },
    /// The address of a server is a name that has no address.
    #[error("the address {address} of server {name} can't be resolved on this node")]
    Unresolved {
        /// The server.
        name: String,
        /// Its address.
        address: String,
    },
    /// The file can't be read or written.
    #[error("can't use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

/// The hosts file of the plugin.
#[derive(Debug)]
pub struct HostsFile {
    path: PathBuf,
    writing: Mutex<()>,
}

/// A name that has to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    name: String,
    address: IpAddr,
    /// False if the address gave no answer: then it does not take the place of one that may.
    answers: bool,
}

impl HostsFile {
    /// Uses the file at this path.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            writing: Mutex::new(()),
        }
    }

    /// Makes the names of a cluster's servers known. `reachable` holds the addresses that answer. `one_node`: bricks let in a node by its
    /// address, so that none of them may be reached by a loopback address.
    pub async fn ensure(
        &self,
        cluster: &ClusterName,
        servers: &[Server],
        reachable: &BTreeSet<String>,
        one_node: bool,
    ) -> Result<(), HostsError> {
        let _writing = self.writing.lock().await;
        let text = self.io(tokio::fs::read_to_string(&self.path).await)?;
        let named = servers.iter().filter(|server| {
            server.name.as_str().parse::<IpAddr>().is_err() && server.name != server.address
        });
        let wanted = join_all(named.map(|server| want(&text, server, reachable, one_node))).await;
        let wanted = wanted
            .into_iter()
            .filter_map(Result::transpose)
            .collect::<Result<Vec<_>, _>>()?;
        let Some(new) = edit(&text, cluster, &wanted)? else {
            return Ok(());
        };
        tracing::info!(%cluster, file = %self.path.display(), "make the servers' names known");
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || write_in_place(&path, &text, &new)).await;
        self.io(written.unwrap_or_else(|_| Err(std::io::Error::other("the writer ended"))))
    }

    fn io<T>(&self, result: std::io::Result<T>) -> Result<T, HostsError> {
        result.map_err(|source| HostsError::Io {
            path: self.path.clone(),
            source,
        })
    }
}

/// The line that a server needs; none if its name resolves without us.
async fn want(
    text: &str,
    server: &Server,
    reachable: &BTreeSet<String>,
    one_node: bool,
) -> Result<Option<Wanted>, HostsError> {
    let name = server.name.as_str();
    let known = text.lines().map(Line::parse).find(|line| line.has(name));
    let by_others = known.as_ref().is_some_and(|line| line.cluster.is_none());
    let means: Vec<IpAddr> = match known {
        // each line that has it: of one for IPv6 and one for IPv4 the client takes the second
        Some(_) if by_others => {
            let lines = text.lines().map(Line::parse).filter(|line| line.has(name));
            lines.filter_map(|line| line.address.parse().ok()).collect()
        }
        Some(_) => Vec::new(),
        None => resolve(name).await,
    };
    let answers = reachable.contains(server.address.as_str());
    let addresses = match server.address.as_str().parse() {
        Ok(address) => vec![address],
        Err(_) => resolve(server.address.as_str()).await,
    };
    let is_loopback = means.iter().all(IpAddr::is_loopback);
    if let Some(first) = means.first().filter(|_| is_loopback && one_node && answers) {
        if by_others {
            return Err(HostsError::Loopback {
                name: name.to_owned(),
                means: first.to_string(),
                address: server.address.to_string(),
            });
        }
    } else if let Some(first) = means.first() {
        // it may be the server on another of its networks, or on its own machine (127.0.1.1); one that is down tells nothing
        let is_it = means.iter().any(|address| addresses.contains(address));
        if is_it || addresses.is_empty() || !answers || one_answers(&means).await {
            return Ok(None);
        }
        if by_others {
            return Err(HostsError::AnotherMachine {
                name: name.to_owned(),
                means: first.to_string(),
                address: server.address.to_string(),
            });
        }
        // a line in the file goes before what a name server says
    } else if by_others {
        return Ok(None);
    }
    match addresses.first().copied() {
        Some(address) => Ok(Some(Wanted {
            name: name.to_owned(),
            address,
            answers,
        })),
        // One server without an address must not keep the others from being used.
        None if !answers => {
            tracing::warn!(server = name, address = %server.address, "the server's address can't be resolved");
            Ok(None)
        }
        None => Err(HostsError::Unresolved {
            name: name.to_owned(),
            address: server.address.to_string(),
        }),
    }
}

async fn one_answers(addresses: &[IpAddr]) -> bool {
    let asked = addresses.iter().map(|address| async move {
        let address = address.to_string();
        servers::answers(&address).await
    });
    join_all(asked).await.contains(&true)
}

/// What the resolver says, IPv4 first; nothing of a name that it does not know.
async fn resolve(name: &str) -> Vec<IpAddr> {
    let found = tokio::time::timeout(RESOLVE_WITHIN, tokio::net::lookup_host((name, 0))).await;
    let found = found.ok().and_then(Result::ok).into_iter().flatten();
    let mut all: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    all.sort_by_key(IpAddr::is_ipv6);
    all
}

/// One line of the file: an address, names, and after `#` our mark, if it is ours.
struct Line<'a> {
    address: &'a str,
    names: Vec<&'a str>,
    /// The cluster for which we wrote it; `None` on a line of somebody else.
    cluster: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Self {
        let (entry, comment) = line.split_once('#').unwrap_or((line, ""));
        let mut words = entry.split_whitespace();
        let address = words.next().unwrap_or_default();
        let cluster = comment.trim().strip_prefix(DRIVER_NAME).map(str::trim);
        Self {
            address,
            names: words.collect(),
            cluster,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|other| other.eq_ignore_ascii_case(name))
    }
}

/// The new text of the file, or `None` if it may stay as it is.
fn edit(
    text: &str,
    cluster: &ClusterName,
    wanted: &[Wanted],
) -> Result<Option<String>, HostsError> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut changed = false;
    for want in wanted {
        let ours = format!("{} {} # {DRIVER_NAME} {cluster}", want.address, want.name);
        let Some(line) = lines
            .iter_mut()
            .find(|line| Line::parse(line).has(&want.name))
        else {
            lines.push(ours);
            changed = true;
            continue;
        };
        let known = Line::parse(line);
        let Some(owner) = known.cluster else { continue };
        if known.address == want.address.to_string() {
            continue;
        }
        if owner != cluster.as_str() {
            return Err(HostsError::Conflict {
                name: want.name.clone(),
                cluster: owner.to_owned(),
                address: known.address.to_owned(),
            });
        }
        if want.answers {
            *line = ours;
            changed = true;
        }
    }
    Ok(changed.then(|| lines.join("\n") + "\n"))
}

/// Readers see the old text or the new one, and between the two at worst a mixture of lines, never an empty file.
fn write_in_place(path: &Path, old: &str, new: &str) -> std::io::Result<()> {
    if let Some(added) = new.strip_prefix(old) {
        let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
        file.write_all(added.as_bytes())?;
        return file.sync_data();
    }
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.write_all_at(new.as_bytes(), 0)?;
    file.set_len(new.len() as u64)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, address: &str, answers: bool) -> Wanted {
        Wanted {
            name: name.into(),
            address: address.parse().unwrap(),
            answers,
        }
    }

    fn cluster(name: &str) -> ClusterName {
        name.parse().unwrap()
    }

    const FILE: &str =
        "127.0.0.1 localhost\n# node9 is gone\n10.0.0.1 node1 # csi.gluster-operator.io prod\n";

    #[test]
    fn unknown_names_are_appended_and_nothing_else_changes() {
        let new = edit(FILE, &cluster("prod"), &[wanted("node2", "10.0.0.2", true)])
            .unwrap()
            .unwrap();
        assert_eq!(
            new.strip_prefix(FILE),
            Some("10.0.0.2 node2 # csi.gluster-operator.io prod\n")
        );
        let again = edit(&new, &cluster("prod"), &[wanted("node2", "10.0.0.2", true)]).unwrap();
        assert_eq!(again, None);
    }

    #[test]
    fn a_line_of_somebody_else_stays() {
        let file = "10.9.9.9 node1 Node2\n";
        let names = [
            wanted("node1", "10.0.0.1", true),
            wanted("node2", "10.0.0.2", true),
        ];
        assert_eq!(edit(file, &cluster("prod"), &names).unwrap(), None);
    }

    #[test]
    fn our_line_follows_a_new_address_that_answers() {
        let new = edit(FILE, &cluster("prod"), &[wanted("node1", "10.0.0.7", true)])
            .unwrap()
            .unwrap();
        assert_eq!(new, FILE.replace("10.0.0.1 node1", "10.0.0.7 node1"));
        let silent = edit(
            FILE,
            &cluster("prod"),
            &[wanted("node1", "10.0.0.7", false)],
        )
        .unwrap();
        assert_eq!(silent, None);
    }

    #[test]
    fn a_name_of_another_cluster_is_not_taken_over() {
        let error = edit(
            FILE,
            &cluster("other"),
            &[wanted("node1", "10.0.0.7", true)],
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("node1 already means 10.0.0.1 of cluster prod"),
            "{error}"
        );
        let same = edit(
            FILE,
            &cluster("other"),
            &[wanted("node1", "10.0.0.1", true)],
        )
        .unwrap();
        assert_eq!(same, None, "the same address harms nobody");
    }

    #[tokio::test]
    async fn the_file_is_written_in_place() {
        use std::os::unix::fs::MetadataExt;
        let path =
            std::env::temp_dir().join(format!("gluster-operator-hosts-{}", std::process::id()));
        std::fs::write(&path, "127.0.0.1 localhost").unwrap();
        let before = std::fs::metadata(&path).unwrap().ino();
        let hosts = HostsFile::new(path.clone());
        let server = |name: &str, address: &str| Server {
            name: name.parse().unwrap(),
            address: address.parse().unwrap(),
        };
        let answering: BTreeSet<String> = ["10.0.0.1", "10.0.0.77"].map(String::from).into();
        let servers = [
            server("gluster-a.invalid", "10.0.0.1"),
            server("10.0.0.5", "10.0.0.5"),
            server("same.invalid", "same.invalid"),
            server("nowhere.invalid", "unknown.invalid"),
        ];
        hosts
            .ensure(&cluster("prod"), &servers, &answering, false)
            .await
            .unwrap();
        let line = |address: &str| {
            format!(
                "127.0.0.1 localhost\n{address} gluster-a.invalid # csi.gluster-operator.io prod\n"
            )
        };
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line("10.0.0.1"));
        let moved = [server("gluster-a.invalid", "10.0.0.77")];
        hosts
            .ensure(&cluster("prod"), &moved, &answering, true)
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line("10.0.0.77"));
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), before);
        std::fs::remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn a_name_of_another_machine_is_not_taken_for_the_server() {
        let server = |name: &str, address: &str| Server {
            name: name.parse().unwrap(),
            address: address.parse().unwrap(),
        };
        let node1 = server("node1", "10.0.0.1");
        let answering: BTreeSet<String> = ["10.0.0.1".to_owned()].into();
        // an address that nobody has (RFC 5737)
        let other = "192.0.2.1 node1\n";
        let error = want(other, &node1, &answering, true).await.unwrap_err();
        let said = error.to_string();
        for word in ["node1 is 192.0.2.1", "of this volume is 10.0.0.1"] {
            assert!(said.contains(word), "{said}");
        }
        // a server that is down tells nothing, and keeps no volume from being mounted
        assert_eq!(
            want(other, &node1, &BTreeSet::new(), true).await.unwrap(),
            None
        );
        for same in [
            "10.0.0.1 node1\n",
            "fd00::1 node1\n10.0.0.1 node1\n",
            "::1 node1\n10.0.0.1 x node1\n",
        ] {
            let same = want(same, &node1, &answering, true).await;
            assert_eq!(same.unwrap(), None);
        }
        // where a glusterd answers it may be the server by another of its addresses; one of this machine would do as well
        let _glusterd = tokio::net::TcpListener::bind(("127.0.9.2", 24007)).await;
        let there = want("127.0.9.2 node1\n", &node1, &answering, false).await;
        assert_eq!(there.unwrap(), None);
        // but its brick has to see this node by its address, where that is asked for
        let error = want("127.0.9.2 node1\n", &node1, &answering, true).await;
        let said = error.unwrap_err().to_string();
        assert!(
            said.contains("node1, a server of this volume, is 127.0.9.2"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn what_a_name_server_says_is_corrected() {
        // a name that every resolver knows
        let server = Server {
            name: "localhost".parse().unwrap(),
            address: "10.0.0.1".parse().unwrap(),
        };
        let answering: BTreeSet<String> = ["10.0.0.1".to_owned()].into();
        let line = want("", &server, &answering, false).await.unwrap();
        let corrected = wanted("localhost", "10.0.0.1", true);
        let is_right = servers::answers("localhost").await;
        assert_eq!(line, Some(corrected.clone()).filter(|_| !is_right));
        let line = want("", &server, &answering, true).await.unwrap();
        assert_eq!(line, Some(corrected));
    }
}
