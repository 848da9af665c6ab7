//! Which servers of a pool answer, from here and now.
//!
//! The client asks its volfile servers one after the other, and a silent one costs it 45 s (a dead one 4 s). A
//! connection tried beforehand costs a second at most, for all of them together.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use futures::future::join_all;
use tokio::net::{TcpStream, lookup_host};

use super::context::Server;
use crate::gluster::names::HostName;

/// Where glusterd listens.
const GLUSTERD_PORT: u16 = 24007;
/// How long a server may take to accept a connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The addresses of the servers that accept a connection.
pub async fn reachable(servers: &[Server]) -> BTreeSet<String> {
    let asked = servers.iter().map(|server| async move {
        let address = server.address.as_str();
        answers(address).await.then(|| address.to_owned())
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether a glusterd accepts a connection there.
pub async fn answers(address: &str) -> bool {
    let answer = tokio::time::timeout(ANSWER_WITHIN, TcpStream::connect((address, GLUSTERD_PORT)));
    matches!(answer.await, Ok(Ok(_)))
}

/// Those servers that are not this node itself. A glusterd gives whoever asks it from its own host a password for the bricks, and then
/// `auth.allow` is not asked any more (tried on 10.3): a node that is a storage host would have a volume of another node's.
pub async fn not_here<'a>(servers: &[&'a HostName]) -> Vec<&'a HostName> {
    let asked = servers.iter().map(|&server| async move {
        let found = lookup_host((server.as_str(), GLUSTERD_PORT)).await;
        let is_here = found.is_ok_and(|mut found| found.any(|address| is_own(address.ip())));
        (!is_here).then_some(server)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether this machine has that address: what goes there comes from the same one. Nothing is sent.
fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, GLUSTERD_PORT))?;
        socket.local_addr()
    };
    address.is_loopback() || source().is_ok_and(|source| source.ip() == address)
}

/// The addresses of all servers, those that answer first, otherwise in their order.
pub fn in_order<'a>(servers: &'a [Server], reachable: &BTreeSet<String>) -> Vec<&'a HostName> {
    let mut addresses: Vec<&HostName> = servers.iter().map(|server| &server.address).collect();
    addresses.sort_by_key(|address| !reachable.contains(address.as_str()));
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_node_is_not_asked() {
        let servers = ["127.0.0.1", "192.0.2.1", "localhost"];
        let servers: Vec<HostName> = servers.iter().map(|name| name.parse().unwrap()).collect();
        let all: Vec<&HostName> = servers.iter().collect();
        assert_eq!(not_here(&all).await, [&servers[1]]);
    }

    #[test]
    fn servers_that_answer_come_first() {
        let servers: Vec<Server> = ["a", "b", "c"]
            .map(|name| Server {
                name: name.parse().unwrap(),
                address: name.parse().unwrap(),
            })
            .into();
        let order = |up: &[&str]| {
            let up = up.iter().map(|name| (*name).to_owned()).collect();
            in_order(&servers, &up)
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join("")
        };
        assert_eq!(order(&["b", "c"]), "bca");
        assert_eq!(order(&[]), "abc");
    }
}
