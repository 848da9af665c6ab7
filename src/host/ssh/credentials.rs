//! What the SSH client proves itself with, and by what it knows the hosts: the content of a Secret.

use std::fmt;
use std::sync::Arc;

use russh::keys::{Algorithm, PrivateKey, decode_secret_key};
use thiserror::Error;

use super::known_hosts::KnownHosts;

/// A private key and the pinned host keys. The key is wiped from memory when the last user is gone.
pub struct Credentials {
    pub(super) key: Arc<PrivateKey>,
    pub(super) known_hosts: KnownHosts,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// A Secret that cannot be used. The text names the key of the Secret and what to do, and never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CredentialsError {
    /// The private key.
    #[error("ssh-privatekey: {why}")]
    PrivateKey {
        /// What is wrong, and the remedy.
        why: &'static str,
    },
    /// A line of the known hosts.
    #[error(
        "known_hosts: line {line}: {why}; each line is what `ssh-keyscan HOST` prints: host, type of the key, key"
    )]
    KnownHosts {
        /// From 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// There is no line that pins a key.
    #[error(
        "known_hosts: no host key is pinned; put in what `ssh-keyscan HOST` prints for each storage host, compared with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there"
    )]
    NoKnownHosts,
}

impl Credentials {
    /// Checks and parses the two values of the Secret: a private key without passphrase (OpenSSH, PKCS#1 or PKCS#8;
    /// Ed25519, ECDSA or RSA), and the text of a `known_hosts` file.
    pub fn parse(private_key_pem: &str, known_hosts: &str) -> Result<Self, CredentialsError> {
        let key =
            private_key(private_key_pem).map_err(|why| CredentialsError::PrivateKey { why })?;
        let known_hosts = KnownHosts::parse(known_hosts)
            .map_err(|(line, why)| CredentialsError::KnownHosts { line, why })?;
        if known_hosts.is_empty() {
            return Err(CredentialsError::NoKnownHosts);
        }
        Ok(Self {
            key: Arc::new(key),
            known_hosts,
        })
    }

    /// True when a connection that was made with the one is as good as one made with the other.
    pub(super) fn same(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || (self.key == other.key && self.known_hosts == other.known_hosts)
    }
}

fn private_key(pem: &str) -> Result<PrivateKey, &'static str> {
    if pem.trim().is_empty() {
        return Err(
            "is empty; make a key with `ssh-keygen -t ed25519 -N '' -f id` and put in the file id",
        );
    }
    if pem.trim_start().starts_with("ssh-") || pem.trim_start().starts_with("ecdsa-") {
        return Err("is a public key; put in the private half, the file without .pub");
    }
    let key = decode_secret_key(pem, None).map_err(|error| match error {
        russh::keys::Error::KeyIsEncrypted => {
            "is protected by a passphrase; take it off with `ssh-keygen -p -N ''`, or make a key for this purpose"
        }
        // the error may quote the text, so it is not passed on
        _ => "is no private key that can be read; it is the whole file that `ssh-keygen -t ed25519` wrote, from -----BEGIN to -----END",
    })?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(key),
        _ => Err("is neither Ed25519, ECDSA nor RSA; make one with `ssh-keygen -t ed25519 -N ''`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str =
        "node1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn errors_name_the_key_of_the_secret_and_not_its_value() {
        let half = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n";
        for (pem, word) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("ssh-ed25519 AAAAC3Nz me@here", "public key"),
            ("secretsecret", "no private key"),
            (half, "no private key"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\n%%%\n-----END OPENSSH PRIVATE KEY-----",
                "no private key",
            ),
        ] {
            let error = Credentials::parse(pem, HOST).unwrap_err().to_string();
            assert!(error.starts_with("ssh-privatekey: "), "{error}");
            assert!(error.contains(word), "{error}");
            assert!(
                !error.contains("secretsecret") && !error.contains("c2Vj"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_key_of_ssh_keygen_is_taken_and_never_printed() {
        let dir = tempdir();
        for (kind, phrase, want) in [
            ("ed25519", "", None),
            ("ecdsa", "", None),
            ("rsa", "", None),
            ("ed25519", "hush hush", Some("passphrase")),
        ] {
            let file = dir.0.join(format!("{kind}{}", phrase.len()));
            let made = std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", kind, "-N", phrase, "-f"])
                .arg(&file)
                .status();
            assert!(
                made.is_ok_and(|status| status.success()),
                "ssh-keygen -t {kind}"
            );
            let pem = std::fs::read_to_string(&file).unwrap();
            match (Credentials::parse(&pem, HOST), want) {
                (Ok(credentials), None) => {
                    assert_eq!(format!("{credentials:?}"), "Credentials { .. }");
                    let again = Credentials::parse(&pem.replace('\n', "\r\n"), HOST).unwrap();
                    assert!(credentials.same(&again), "{kind}");
                    let other = Credentials::parse(&pem, &format!("{HOST}\n@revoked {HOST}"));
                    assert!(!credentials.same(&other.unwrap()), "{kind}");
                }
                (Err(error), Some(word)) => assert!(error.to_string().contains(word), "{error}"),
                (result, want) => panic!("{kind}: {result:?}, not {want:?}"),
            }
        }
        let pem = std::fs::read_to_string(dir.0.join("ed255190")).unwrap();
        for (known, want) in [
            ("", CredentialsError::NoKnownHosts),
            (
                "node1 junk",
                CredentialsError::KnownHosts {
                    line: 1,
                    why: "not of the form: hosts, type of the key, key",
                },
            ),
        ] {
            assert_eq!(Credentials::parse(&pem, known).unwrap_err(), want);
        }
    }

    struct TempDir(std::path::PathBuf);

    fn tempdir() -> TempDir {
        let dir = std::env::temp_dir().join(format!("credentials-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        TempDir(dir)
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
