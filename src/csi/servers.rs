//! Which servers of a pool answer, from here and now.
//!
//! The client asks its volfile servers one after the other, and a silent one costs it 45 s (a dead one 4 s). A
//! connection tried beforehand costs a second at most, for all of them together.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use tokio::net::TcpStream;

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

/// The addresses of all servers, those that answer first, otherwise in their order.
pub fn in_order<'a>(servers: &'a [Server], reachable: &BTreeSet<String>) -> Vec<&'a HostName> {
    let mut addresses: Vec<&HostName> = servers.iter().map(|server| &server.address).collect();
    addresses.sort_by_key(|address| !reachable.contains(address.as_str()));
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

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
