//! Mounts and unmounts, with the programs of the node: `glusterfs`, `mount`, `umount`, `stat`.
//!
//! The client is started directly and in the foreground, not by `mount -t glusterfs`: that one returns success for a
//! client that the servers are about to refuse, and what it started is then nobody's child. So a mount is believed
//! only when the mount table names it, its root answers within a deadline, and its client still runs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::clients::{clients_end_within, clients_of, kill_clients_of};
use super::helper::{HelperError, run};
use super::log;
use super::mountinfo::{Mount, Mounts, parse_mountinfo};
use super::options::MountOptions;
use super::status::Failure;
use crate::gluster::names::{HostName, VolumeName};

/// How long a look at a mount, a mount or an unmount may take before its process is killed.
pub const HELPER_DEADLINE: Duration = Duration::from_secs(5);
/// How long one try to mount may take. A server that went silently costs its clients up to 42 s, once.
const TRY_DEADLINE: Duration = Duration::from_secs(50);
/// How long the root of a fresh mount may answer with errors: bricks that start just now.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a mount that somebody still uses is asked to go, before it is detached instead.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// The programs that the plugin starts, and the device that a client needs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The GlusterFS client.
    pub glusterfs: PathBuf,
    /// `mount` of util-linux.
    pub mount: PathBuf,
    /// `umount` of util-linux.
    pub umount: PathBuf,
    /// `stat` of coreutils.
    pub stat: PathBuf,
    /// The FUSE device.
    pub fuse: PathBuf,
}

impl Default for Programs {
    fn default() -> Self {
        Self {
            glusterfs: "/usr/sbin/glusterfs".into(),
            mount: "/usr/bin/mount".into(),
            umount: "/usr/bin/umount".into(),
            stat: "/usr/bin/stat".into(),
            fuse: "/dev/fuse".into(),
        }
    }
}

/// What to mount where.
#[derive(Debug)]
pub struct Job<'a> {
    /// The volume, by its name in gluster.
    pub volume: &'a VolumeName,
    /// Servers that can tell how the volume is built, the best first.
    pub servers: &'a [&'a HostName],
    /// Checked options.
    pub options: &'a MountOptions,
    /// The client's log.
    pub log: &'a Path,
    /// The mount point, an existing directory.
    pub target: &'a Path,
}

/// How a mount is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Its root answers.
    Alive,
    /// No answer, but its client lives: it may come back, and pods may wait for that.
    Unwell(String),
    /// No answer, and nobody is left to give one.
    Dead(String),
}

/// Reads the mount table.
pub async fn read_mounts() -> Result<Mounts, Failure> {
    let bytes = tokio::fs::read("/proc/self/mountinfo")
        .await
        .map_err(Failure::io("read mountinfo"))?;
    Ok(parse_mountinfo(&bytes)?)
}

/// One try to mount a volume. In the end it is mounted, or nothing is left: no mount and no process. The error
/// is a reason in words, with those of the client's log.
pub async fn try_mount(
    programs: &Programs,
    job: &Job<'_>,
    deadline: Instant,
) -> Result<Mount, String> {
    let log_before = log::begin(job.log).await;
    let mut client = start(programs, job).map_err(|error| error.to_string())?;
    let deadline = deadline.min(Instant::now() + TRY_DEADLINE);
    let failure = match tokio::time::timeout_at(deadline, settle(programs, job, &mut client)).await
    {
        Ok(Ok(mount)) => {
            watch_over(client, job);
            return Ok(mount);
        }
        Ok(Err(why)) => why,
        Err(_) => "no answer in time".to_owned(),
    };
    let undone = undo(programs, job.target, &mut client).await;
    let words = log::last_words(job.log, log_before).await;
    let mut text = failure;
    if !words.is_empty() {
        text = format!("{text}; its log: {words}");
    }
    if let Err(error) = undone {
        tracing::error!(volume = %job.volume, %error, "a failed mount could not be undone");
        text = format!("{text}; and it could not be undone: {error}");
    }
    Err(text)
}

/// Starts the client in the foreground, in a process group of its own: signals for us are not for it.
fn start(programs: &Programs, job: &Job<'_>) -> std::io::Result<Child> {
    let errors = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(job.log)?;
    let mut command = Command::new(&programs.glusterfs);
    command
        .args(client_args(job))
        .env_clear()
        .env("LC_ALL", "C");
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .kill_on_drop(false);
    command.spawn()
}

fn client_args(job: &Job<'_>) -> Vec<OsString> {
    let mut args: Vec<OsString> = ["--no-daemon", "--process-name", "fuse"]
        .map(OsString::from)
        .into();
    let mut log = OsString::from("--log-file=");
    log.push(job.log);
    args.push(log);
    args.extend(
        job.servers
            .iter()
            .map(|server| format!("--volfile-server={server}").into()),
    );
    args.push(format!("--volfile-id=/{}", job.volume).into());
    args.extend(job.options.client.iter().map(OsString::from));
    if !job.options.kernel.is_empty() {
        args.push(format!("--fuse-mountopts={}", job.options.kernel.join(",")).into());
    }
    // Last, as `clients` expects it.
    args.push(job.target.into());
    args
}

/// Waits until the mount can be believed.
async fn settle(programs: &Programs, job: &Job<'_>, client: &mut Child) -> Result<Mount, String> {
    let ended = |status| format!("the client gave up ({status})");
    let look = || async { read_mounts().await.map_err(|error| error.to_string()) };
    let ours = |mounts: &Mounts| {
        let mount = mounts.at(job.target)?;
        (mount.gluster()?.1 == job.volume.as_str()).then(|| mount.clone())
    };
    let mount = loop {
        if let Some(mount) = ours(&look().await?) {
            break mount;
        }
        if let Some(status) = client.try_wait().map_err(|error| error.to_string())? {
            return Err(ended(status));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let settle_until = Instant::now() + SETTLE_DEADLINE;
    loop {
        let answer = tokio::select! {
            status = client.wait() => return Err(status.map_or_else(|error| error.to_string(), ended)),
            // Its own deadline is that of the whole try: a server that went may hold up the first answer.
            answer = probe(programs, &mount, TRY_DEADLINE) => answer,
        };
        match answer {
            Ok(_) => break,
            Err(why) if Instant::now() > settle_until => return Err(why),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    if let Some(status) = client.try_wait().map_err(|error| error.to_string())? {
        return Err(ended(status));
    }
    match ours(&look().await?) {
        Some(now) if now == mount => Ok(mount),
        _ => Err("the mount went away again".to_owned()),
    }
}

/// Asks a mount what it is and how full it is, in processes that can be killed; the error is a reason in words.
///
/// Both questions are needed: the kernel answers a `stat` of the root from its cache for a while (a client that was
/// killed a moment ago looks alive), and it passes every `statfs` on to the client, but that one names no device.
pub async fn probe(programs: &Programs, mount: &Mount, within: Duration) -> Result<Usage, String> {
    let path = mount.mount_point.as_os_str();
    let root = [OsStr::new("--format=%d %i"), OsStr::new("--"), path];
    let space = ["--file-system", "--format=%S %b %f %a %c %d", "--"].map(OsStr::new);
    let space = [&space[..], &[path]].concat();
    let (root, space) = tokio::join!(
        run(&programs.stat, &root, within),
        run(&programs.stat, &space, within)
    );
    let (root, space) = (
        root.map_err(|e| e.to_string())?,
        space.map_err(|e| e.to_string())?,
    );
    let mut numbers = root.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(device)), Some(Ok(inode))) = (numbers.next(), numbers.next()) else {
        return Err(format!("stat says {root:?}"));
    };
    let device = (rustix::fs::major(device), rustix::fs::minor(device));
    // The root of every GlusterFS mount has the inode 1.
    if device != mount.device || inode != 1 {
        return Err(format!(
            "device {device:?}, inode {inode} is not the root of the mount"
        ));
    }
    parse_usage(&space).ok_or_else(|| format!("stat says {space:?}"))
}

/// Asks a mount whether it is alive, until the deadline at most. `staging` is where its client was told to mount.
pub async fn health(
    programs: &Programs,
    mount: &Mount,
    staging: &Path,
    deadline: Instant,
) -> Result<Health, Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    // A mount gets a moment even when the call has none left: it must not look dead for that.
    let within = left.clamp(Duration::from_millis(500), HELPER_DEADLINE);
    match probe(programs, mount, within).await {
        Ok(_) => Ok(Health::Alive),
        Err(why) if clients_of(staging).await?.is_empty() => Ok(Health::Dead(why)),
        Err(why) => Ok(Health::Unwell(why)),
    }
}

/// Waits for the client's end, so that it leaves no dead process, and says so in the log.
fn watch_over(mut client: Child, job: &Job<'_>) {
    let (volume, target) = (job.volume.clone(), job.target.to_owned());
    tokio::spawn(async move {
        let status = client.wait().await;
        tracing::info!(%volume, target = %target.display(), ?status, "a glusterfs client ended");
    });
}

/// Removes what a failed try left: first its processes, since one of them may be about to mount.
async fn undo(programs: &Programs, target: &Path, client: &mut Child) -> Result<(), Failure> {
    if let Some(pid) = client
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
    {
        // An error means that nobody of the group is left.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let gone = tokio::time::timeout(HELPER_DEADLINE, client.wait())
        .await
        .is_ok();
    detach_all(programs, target).await?;
    if gone {
        return Ok(());
    }
    Err(Failure::Unwell {
        path: target.to_owned(),
        why: "its client does not end when killed".to_owned(),
    })
}

/// Detaches every GlusterFS mount at a path at once, used or not.
pub async fn detach_all(programs: &Programs, path: &Path) -> Result<(), Failure> {
    while gluster_mount_at(path).await?.is_some() {
        umount(programs, path, true).await?;
    }
    Ok(())
}

/// Unmounts every GlusterFS mount at a path. One that is in use is asked for some seconds, one that hangs is
/// not: then they are detached, and end with their last user.
pub async fn unmount_all(programs: &Programs, path: &Path) -> Result<(), Failure> {
    let begun = Instant::now();
    while let Some(mount) = gluster_mount_at(path).await? {
        let Err(error) = umount(programs, path, false).await else {
            continue;
        };
        let alive = begun.elapsed() < BUSY_PATIENCE
            && probe(programs, &mount, HELPER_DEADLINE).await.is_ok();
        if alive {
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        }
        tracing::warn!(path = %path.display(), %error, "detach a mount that can't be unmounted");
        umount(programs, path, true).await?;
    }
    Ok(())
}

/// Ends what is left of the clients of a mount point after it was unmounted: most end by themselves.
pub async fn end_clients(mount_point: &Path) -> Result<(), Failure> {
    if clients_end_within(mount_point, Duration::from_secs(3)).await? {
        return Ok(());
    }
    kill_clients_of(mount_point).await
}

/// The GlusterFS mount that is visible at a path; an error if something else is mounted there.
async fn gluster_mount_at(path: &Path) -> Result<Option<Mount>, Failure> {
    let mounts = read_mounts().await?;
    let Some(mount) = mounts.at(path) else {
        return Ok(None);
    };
    if mount.gluster().is_some() {
        return Ok(Some(mount.clone()));
    }
    let found = format!("has a mount of type {} that is not ours", mount.fs_type);
    Err(Failure::Precondition(format!("{} {found}", path.display())))
}

async fn umount(programs: &Programs, path: &Path, lazy: bool) -> Result<(), Failure> {
    // Not canonical: that would look at the mount. No helper of another program.
    let mut args: Vec<&OsStr> = ["--no-canonicalize", "--internal-only"]
        .map(OsStr::new)
        .into();
    if lazy {
        args.push(OsStr::new("--lazy"));
    }
    args.extend([OsStr::new("--"), path.as_os_str()]);
    match run(&programs.umount, &args, HELPER_DEADLINE).await {
        Ok(_) => Ok(()),
        // Somebody else was faster, for example the client itself.
        Err(HelperError::Failed { .. }) if read_mounts().await?.at(path).is_none() => Ok(()),
        Err(source) => Err(Failure::Helper {
            what: format!("can't unmount {}", path.display()),
            source,
        }),
    }
}

/// Binds a staged volume to a target, an existing directory, and checks that it is the volume that is there now. In
/// the end it is bound as asked, or nothing is mounted there.
pub async fn bind(
    programs: &Programs,
    staged: &Mount,
    target: &Path,
    read_only: bool,
) -> Result<(), Failure> {
    let bound = if read_only {
        bind_read_only(programs, &staged.mount_point, target).await
    } else {
        mount(programs, &["--bind"], &[&staged.mount_point, target]).await
    };
    let failure = if let Err(failure) = bound {
        failure
    } else {
        // The client may have ended since it was asked: then this is an empty directory of the node's disk.
        let as_asked = |now: &Mount| {
            now.device == staged.device && now.gluster().is_some() && now.read_only == read_only
        };
        if read_mounts().await?.at(target).is_some_and(as_asked) {
            return Ok(());
        }
        let why = format!("it is not what came to {}", target.display());
        Failure::Unwell {
            path: staged.mount_point.clone(),
            why,
        }
    };
    // What is there now is what our own bind made, whatever its type.
    while read_mounts().await?.at(target).is_some() {
        umount(programs, target, true).await?;
    }
    Err(failure)
}

async fn mount(programs: &Programs, flags: &[&str], paths: &[&Path]) -> Result<(), Failure> {
    let first = ["--no-canonicalize", "--internal-only"];
    let flags = first.iter().chain(flags).chain(&["--"]).map(OsStr::new);
    let args: Vec<&OsStr> = flags
        .chain(paths.iter().map(|path| path.as_os_str()))
        .collect();
    let done = run(&programs.mount, &args, HELPER_DEADLINE).await;
    done.map(drop).map_err(|source| Failure::Helper {
        what: format!(
            "can't mount at {}",
            paths
                .last()
                .map_or_else(String::new, |path| path.display().to_string())
        ),
        source,
    })
}

/// A bind that nobody can write through. `mount --bind -o ro` makes it in two steps, and the node, to which the first one is propagated, never
/// hears of the second: it would go on to write. So it is made read-only where nobody else sees it, and bound from there.
async fn bind_read_only(programs: &Programs, source: &Path, target: &Path) -> Result<(), Failure> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("gluster-operator-read-only-{}-{number}", std::process::id());
    let aside = std::env::temp_dir().join(name);
    let make = tokio::fs::create_dir_all(&aside).await;
    make.map_err(Failure::io("make a directory to bind from"))?;
    let steps = async {
        mount(programs, &["--bind", "--make-private"], &[source, &aside]).await?;
        mount(programs, &["-o", "remount,bind,ro"], &[&aside]).await?;
        mount(programs, &["--bind"], &[&aside, target]).await
    };
    let done = steps.await;
    while read_mounts().await?.at(&aside).is_some() {
        umount(programs, &aside, true).await?;
    }
    if let Err(error) = tokio::fs::remove_dir(&aside).await {
        tracing::warn!(path = %aside.display(), %error, "a directory stays");
    }
    done
}

/// Bytes or inodes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that an ordinary user may still write.
    pub available: u64,
    /// Bytes used.
    pub used: u64,
    /// Inodes in all.
    pub inodes: u64,
    /// Inodes free.
    pub inodes_free: u64,
}

/// `block-size blocks free available inodes inodes-free`
fn parse_usage(text: &str) -> Option<Usage> {
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [size, blocks, free, available, inodes, inodes_free] = numbers[..] else {
        return None;
    };
    Some(Usage {
        total: blocks.checked_mul(size)?,
        available: available.checked_mul(size)?,
        used: blocks.checked_sub(free)?.checked_mul(size)?,
        inodes,
        inodes_free,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_called_with_checked_tokens_alone() {
        let servers: Vec<HostName> = ["10.0.0.2", "10.0.0.1"].map(|s| s.parse().unwrap()).into();
        let options = MountOptions::parse(["acl", "noatime", "nodev"]).unwrap();
        let args = client_args(&Job {
            volume: &"default_mysql".parse().unwrap(),
            servers: &servers.iter().collect::<Vec<_>>(),
            options: &options,
            log: Path::new("/var/log/glusterfs/a.log"),
            target: Path::new("/k/globalmount"),
        });
        assert_eq!(
            args,
            [
                "--no-daemon",
                "--process-name",
                "fuse",
                "--log-file=/var/log/glusterfs/a.log",
                "--volfile-server=10.0.0.2",
                "--volfile-server=10.0.0.1",
                "--volfile-id=/default_mysql",
                "--acl",
                "--fuse-mountopts=noatime,nodev",
                "/k/globalmount"
            ]
        );
    }

    #[test]
    fn usage_is_counted_in_bytes() {
        assert_eq!(
            parse_usage("4096 100 60 50 1000 900\n"),
            Some(Usage {
                total: 409_600,
                available: 204_800,
                used: 163_840,
                inodes: 1000,
                inodes_free: 900
            })
        );
        for bad in [
            "",
            "1 2 3",
            "1 2 3 4 5 6 7",
            "a 1 1 1 1 1",
            "1 1 2 1 1 1",
            "-1 1 1 1 1 1",
        ] {
            assert_eq!(parse_usage(bad), None, "{bad:?}");
        }
        assert_eq!(parse_usage(&format!("4096 {} 0 0 0 0", u64::MAX)), None);
    }

    #[tokio::test]
    async fn a_mount_is_probed_and_another_root_is_refused() {
        let mounts = read_mounts().await.unwrap();
        let (programs, proc) = (Programs::default(), mounts.at(Path::new("/proc")).unwrap());
        // Its root has the inode 1, too.
        assert!(probe(&programs, proc, HELPER_DEADLINE).await.is_ok());
        let other = Mount {
            device: (9, 9),
            ..proc.clone()
        };
        let error = probe(&programs, &other, HELPER_DEADLINE).await.unwrap_err();
        assert!(error.contains("is not the root of the mount"), "{error}");
        assert!(unmount_all(&programs, Path::new("/proc")).await.is_err());
    }
}
