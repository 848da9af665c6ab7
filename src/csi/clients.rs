//! The GlusterFS clients of this node, found by their command lines: `glusterfs … <mount point>`.
//!
//! A client writes nothing down, and the plugin may have been started again since it started one. A client that
//! outlives its mount is no mere leftover: when it ends, it unmounts its mount point *by path*, so a new mount made
//! there would go with it. Only processes of our own pid namespace are seen.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::status::Failure;

/// How long a killed client may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// The process ids of all clients whose mount point is this path.
pub async fn clients_of(mount_point: &Path) -> Result<Vec<i32>, Failure> {
    let mount_point = mount_point.to_owned();
    match tokio::task::spawn_blocking(move || scan(&mount_point)).await {
        Ok(found) => found.map_err(Failure::io("look through the processes")),
        Err(_) => Err(Failure::Bug),
    }
}

/// Ends all clients of a mount point at once, and waits until they are gone. They get no chance to unmount by
/// themselves: what is mounted there now may not be theirs any more.
pub async fn kill_clients_of(mount_point: &Path) -> Result<(), Failure> {
    let begun = tokio::time::Instant::now();
    loop {
        let clients = clients_of(mount_point).await?;
        if clients.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > GONE_WITHIN {
            return Err(Failure::Unwell {
                path: mount_point.to_owned(),
                why: format!("its clients {clients:?} do not end when killed"),
            });
        }
        for pid in clients {
            tracing::info!(pid, mount_point = %mount_point.display(), "kill a glusterfs client");
            kill(pid, mount_point);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// True if no client of the mount point is left within this time.
pub async fn clients_end_within(mount_point: &Path, time: Duration) -> Result<bool, Failure> {
    let begun = tokio::time::Instant::now();
    while !clients_of(mount_point).await?.is_empty() {
        if begun.elapsed() > time {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(true)
}

/// Kills by a handle on the process, taken before its command line is read again: a number may be given to
/// another process in between.
fn kill(pid: i32, mount_point: &Path) {
    let Some(handle) = handle(pid) else { return };
    if is_client_of(pid, mount_point) {
        // An error means that it is gone.
        let _ = pidfd_send_signal(&handle, Signal::KILL);
    }
}

fn handle(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

fn scan(mount_point: &Path) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if is_client_of(pid, mount_point) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn is_client_of(pid: i32, mount_point: &Path) -> bool {
    let path: PathBuf = ["/proc", &pid.to_string(), "cmdline"].iter().collect();
    // A process that can't be read is gone; a dead one that nobody reaped has an empty command line.
    std::fs::read(path).is_ok_and(|bytes| is_client_line(&bytes, mount_point))
}

fn is_client_line(bytes: &[u8], mount_point: &Path) -> bool {
    let mut args = bytes
        .strip_suffix(b"\0")
        .unwrap_or(bytes)
        .split(|&byte| byte == 0);
    let program = args.next().map(|arg| Path::new(OsStr::from_bytes(arg)));
    program
        .and_then(Path::file_name)
        .is_some_and(|name| name == "glusterfs")
        && args
            .next_back()
            .is_some_and(|last| last == mount_point.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_client_with_that_mount_point_last_is_one() {
        let path = Path::new("/a/b c");
        for (line, expected) in [
            (&b"/usr/sbin/glusterfs\0--volfile-id=/v\0/a/b c\0"[..], true),
            (b"glusterfs\0/a/b c\0", true),
            (b"glusterfs\0/a/b c\0--extra\0", false),
            (b"glusterfs\0/a/b\0", false),
            (b"/usr/sbin/glusterfsd\0/a/b c\0", false),
            (b"vim\0/a/b c\0", false),
            (b"glusterfs\0", false),
            (b"", false),
        ] {
            assert_eq!(
                is_client_line(line, path),
                expected,
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }

    #[tokio::test]
    async fn no_client_has_a_path_that_nobody_mounts() {
        assert!(
            clients_of(Path::new("/does/not/exist"))
                .await
                .unwrap()
                .is_empty()
        );
        assert!(kill_clients_of(Path::new("/does/not/exist")).await.is_ok());
    }
}
