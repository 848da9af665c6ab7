//! Which host keys are pinned: the text of an OpenSSH `known_hosts` file.
//!
//! What OpenSSH accepts is understood, with two differences: a line that makes no sense is an error, since
//! the file was written for us, and for another port than 22 only `[name]:port` counts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{Algorithm, HashAlg, PublicKey, parse_public_key_base64};
use sha1::Sha1;

/// The lines that carry keys.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct KnownHosts {
    lines: Vec<Line>,
}

#[derive(Clone, PartialEq, Eq)]
struct Line {
    number: usize,
    mark: Mark,
    hosts: Hosts,
    key: PublicKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Pinned,
    Revoked,
    Authority,
}

#[derive(Clone, PartialEq, Eq)]
enum Hosts {
    Patterns(Vec<String>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// What the file says of a key that a server showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is pinned for this host.
    Pinned,
    /// No line is about this host; `authority` when a `@cert-authority` line is.
    Missing {
        /// The number of that line.
        authority: Option<usize>,
    },
    /// Lines are about this host, with other keys: line number, kind and fingerprint of each.
    Different(Vec<(usize, String)>),
    /// A `@revoked` line names it.
    Revoked {
        /// The number of that line.
        line: usize,
    },
}

/// A server as the file may name it.
#[derive(Debug, Clone)]
pub(super) struct Server {
    names: Vec<String>,
}

impl Server {
    /// A server that is reached at `address`, and goes by `name`.
    pub(super) fn new(address: &str, name: &str, port: u16) -> Self {
        let mut names = Vec::new();
        for name in [address, name] {
            let name = name.to_ascii_lowercase();
            if port == 22 {
                names.push(name.clone());
            }
            names.push(format!("[{name}]:{port}"));
        }
        names.dedup();
        Self { names }
    }
}

impl KnownHosts {
    /// Parses the text; an error is a line number and what is wrong there.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut lines = Vec::new();
        for (number, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            lines.push(Line::parse(number, text).map_err(|why| (number, why))?);
        }
        Ok(Self { lines })
    }

    /// True when nothing can be pinned by it.
    pub(super) fn is_empty(&self) -> bool {
        !self.lines.iter().any(|line| line.mark == Mark::Pinned)
    }

    /// Judges a key that a server showed.
    pub(super) fn judge(&self, server: &Server, key: &PublicKey) -> Verdict {
        let of = |mark: Mark| {
            self.lines
                .iter()
                .filter(move |line| line.mark == mark && line.hosts.cover(server))
        };
        let same = |line: &&Line| line.key.key_data() == key.key_data();
        if let Some(line) = of(Mark::Revoked).find(same) {
            return Verdict::Revoked { line: line.number };
        }
        if of(Mark::Pinned).any(|line| same(&line)) {
            return Verdict::Pinned;
        }
        let others: Vec<_> = of(Mark::Pinned)
            .map(|line| (line.number, describe(&line.key)))
            .collect();
        if others.is_empty() {
            let authority = of(Mark::Authority).next().map(|line| line.number);
            return Verdict::Missing { authority };
        }
        Verdict::Different(others)
    }

    /// The host key algorithms to ask a server for: those of its pinned keys first, since a server that has
    /// several keys shows the one of the kind that is asked for first. The others follow, so that a server which has
    /// none of these kinds can still show which key it has, for the message.
    pub(super) fn algorithms(&self, server: &Server) -> Vec<Algorithm> {
        let pinned: Vec<Algorithm> = self
            .lines
            .iter()
            .filter(|line| line.mark == Mark::Pinned && line.hosts.cover(server))
            .map(|line| line.key.algorithm())
            .collect();
        let (mut first, rest): (Vec<_>, Vec<_>) = russh::Preferred::DEFAULT
            .key
            .iter()
            // without SHA-1
            .filter(|algorithm| !matches!(algorithm, Algorithm::Rsa { hash: None }))
            .cloned()
            .partition(|algorithm| pinned.iter().any(|other| same_kind(algorithm, other)));
        first.extend(rest);
        first
    }
}

fn same_kind(a: &Algorithm, b: &Algorithm) -> bool {
    a == b || matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

/// Kind and fingerprint of a key, as `ssh-keygen -l` prints them.
pub(super) fn describe(key: &PublicKey) -> String {
    format!(
        "{} {}",
        key.algorithm().as_str(),
        key.fingerprint(HashAlg::Sha256)
    )
}

impl Line {
    fn parse(number: usize, text: &str) -> Result<Self, &'static str> {
        let mut words = text.split_ascii_whitespace();
        let mut hosts = words.next().unwrap_or_default();
        let mut mark = Mark::Pinned;
        if hosts.starts_with('@') {
            mark = match hosts {
                "@revoked" => Mark::Revoked,
                "@cert-authority" => Mark::Authority,
                _ => return Err("an unknown marker, not @revoked or @cert-authority"),
            };
            hosts = words.next().unwrap_or_default();
        }
        let (Some(kind), Some(key)) = (words.next(), words.next()) else {
            return Err("not of the form: hosts, type of the key, key");
        };
        let key = parse_public_key_base64(key).map_err(|_| "the key is damaged")?;
        if key.algorithm().as_str() != kind {
            return Err("the key is not of the type that is named before it");
        }
        Ok(Self {
            number,
            mark,
            hosts: Hosts::parse(hosts)?,
            key,
        })
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(hashed) = text.strip_prefix("|1|") else {
            return Ok(Self::Patterns(
                text.split(',').map(str::to_ascii_lowercase).collect(),
            ));
        };
        let bad = "the hashed name is damaged";
        let (salt, hash) = hashed.split_once('|').ok_or(bad)?;
        Ok(Self::Hashed {
            salt: STANDARD.decode(salt).map_err(|_| bad)?,
            hash: STANDARD.decode(hash).map_err(|_| bad)?,
        })
    }

    fn cover(&self, server: &Server) -> bool {
        match self {
            Self::Patterns(patterns) => {
                let hit = |pattern: &str| server.names.iter().any(|name| glob(pattern, name));
                let mut covered = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        // an exception wins, wherever it stands
                        Some(exception) if hit(exception) => return false,
                        Some(_) => {}
                        None => covered |= hit(pattern),
                    }
                }
                covered
            }
            Self::Hashed { salt, hash } => server.names.iter().any(|name| {
                Hmac::<Sha1>::new_from_slice(salt)
                    .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok())
            }),
        }
    }
}

/// `*` stands for any text, `?` for one character.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                // let the last star take one character more
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn key(line: &str) -> PublicKey {
        line.parse().unwrap()
    }

    /// A name hashed as `ssh-keygen -H` does.
    fn hashed(name: &str) -> String {
        let salt = b"12345678901234567890";
        let mac = Hmac::<Sha1>::new_from_slice(salt).unwrap();
        let hash = mac.chain_update(name).finalize().into_bytes();
        format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
    }

    #[test]
    fn keys_are_judged() {
        let at22 = Server::new("10.0.0.1", "node1", 22);
        let at2222 = Server::new("10.0.0.1", "node1", 2222);
        let pinned = Verdict::Pinned;
        let missing = Verdict::Missing { authority: None };
        let different = Verdict::Different(vec![(1, describe(&key(B)))]);
        let h22 = hashed("10.0.0.1");
        let h2222 = hashed("[10.0.0.1]:2222");
        for (text, server, want) in [
            (format!("10.0.0.1 {A}"), &at22, &pinned),
            (format!("node1 {A} a comment"), &at22, &pinned),
            (format!("\t NODE1,other\t{A}\r\n"), &at22, &pinned),
            (format!("# node1 {A}\n\nnode2 {A}"), &at22, &missing),
            (format!("node1 {A}"), &at2222, &missing),
            (format!("[node1]:2222 {A}"), &at2222, &pinned),
            (format!("[node1]:22 {A}"), &at22, &pinned),
            (format!("[10.0.0.1]:2222 {A}"), &at22, &missing),
            (format!("10.0.0.1 {B}"), &at22, &different),
            (format!("10.0.0.1 {B}\n10.0.0.1 {A}"), &at22, &pinned),
            (format!("node1 {A}\n@revoked node1 {B}"), &at22, &pinned),
            (
                format!("node1 {A}\n@revoked * {A}"),
                &at22,
                &Verdict::Revoked { line: 2 },
            ),
            (
                format!("@cert-authority * {A}"),
                &at22,
                &Verdict::Missing { authority: Some(1) },
            ),
            (format!("10.0.*,!10.0.0.1 {A}"), &at22, &missing),
            (format!("*,!10.0.0.1 {A}"), &at22, &missing),
            (format!("!10.0.0.9,* {A}"), &at22, &pinned),
            (format!("10.0.0.? {A}"), &at22, &pinned),
            (format!("10.0.0.?? {A}"), &at22, &missing),
            (format!("node10 {A}"), &at22, &missing),
            (format!("{h22} {A}"), &at22, &pinned),
            (format!("{h22} {B}"), &at22, &different),
            (format!("{h22} {A}"), &at2222, &missing),
            (format!("{h2222} {A}"), &at2222, &pinned),
        ] {
            let known =
                KnownHosts::parse(&text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(&known.judge(server, &key(A)), want, "{text} {server:?}");
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        let good = format!("node1 {A}\n");
        for bad in [
            "node1".to_owned(),
            "node1 ssh-ed25519".to_owned(),
            "node1 ssh-ed25519 AAAA".to_owned(),
            "node1 ssh-ed25519 !!!".to_owned(),
            A.to_owned(),
            format!("@unheard node1 {A}"),
            format!("|1|salt {A}"),
            format!("node1 {}", A.replace("ssh-ed25519", "ssh-rsa")),
        ] {
            let error = KnownHosts::parse(&format!("{good}{bad}")).err();
            assert_eq!(error.map(|(line, _)| line), Some(2), "{bad}");
        }
    }

    #[test]
    fn only_pinned_lines_count_as_content() {
        for (text, empty) in [
            (String::new(), true),
            ("# nothing\n".into(), true),
            (format!("@revoked * {A}"), true),
            (format!("@cert-authority * {A}"), true),
            (format!("x {A}"), false),
        ] {
            assert_eq!(
                KnownHosts::parse(&text).unwrap().is_empty(),
                empty,
                "{text}"
            );
        }
    }

    #[test]
    fn pinned_kinds_are_asked_for_first() {
        let p256 = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBMxBTpMIGvo7CnordO7wP0QQRqpBwUjOLl4eMhfucfE1sjTYyK5wmTl1UqoSDS1PtRVTBdl+0+9pquFb46U7fwg=";
        let server = Server::new("10.0.0.1", "node1", 22);
        let names = |text: &str| -> Vec<String> {
            let known = KnownHosts::parse(text).unwrap();
            let list = known.algorithms(&server);
            list.iter().map(ToString::to_string).collect()
        };
        let none = names(&format!("node2 {p256}"));
        assert_eq!(none[0], "ssh-ed25519");
        assert!(!none.contains(&"ssh-rsa".to_owned()), "no SHA-1: {none:?}");
        let one = names(&format!("node1 {p256}"));
        assert_eq!(one[0], "ecdsa-sha2-nistp256");
        assert_eq!(one.len(), none.len());
        assert_eq!(names(&format!("@revoked node1 {p256}")), none);
    }
}
