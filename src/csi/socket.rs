//! Unix sockets at fixed paths: made ready under another name, then moved into place, so that whoever sees one
//! can connect to it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// A socket that we put at a path.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Listens at a path, in place of a socket that a dead predecessor left there. Only root may connect.
pub fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("a socket needs a file name"))?;
    // The kubelet passes over names that begin with a dot.
    let mut fresh = std::ffi::OsString::from(".");
    fresh.push(name);
    let fresh = path.with_file_name(fresh);
    for old in [&fresh, &path.to_owned()] {
        match fs::symlink_metadata(old) {
            Ok(found) if found.file_type().is_socket() => {}
            Ok(_) => {
                return Err(io::Error::other(format!(
                    "{} is there and is no socket",
                    old.display()
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        if old == &fresh {
            fs::remove_file(old)?;
        }
    }
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    let found = fs::symlink_metadata(&fresh)?;
    fs::rename(&fresh, path)?;
    Ok((
        listener,
        SocketFile {
            path: path.to_owned(),
            identity: (found.dev(), found.ino()),
        },
    ))
}

impl SocketFile {
    /// True if the file at the path still is the one that we put there.
    pub fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }

    /// Removes the file, unless a successor has put its own there.
    pub fn remove(&self) {
        if self.is_there()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a socket can't be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let dir =
            std::env::temp_dir().join(format!("gluster-operator-socket-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("a.sock");
        let (old, first) = listen(&path).unwrap();
        drop(old);
        let (_listener, second) = listen(&path).unwrap();
        assert!(!first.is_there() && second.is_there());
        first.remove();
        assert!(
            second.is_there(),
            "a predecessor does not remove its successor's socket"
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        tokio::net::UnixStream::connect(&path).await.unwrap();
        second.remove();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::write(&path, "precious").unwrap();
        assert!(listen(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_dir_all(&dir).unwrap();
    }
}
