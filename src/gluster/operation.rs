//! What can be done on a host: typed operations, and the argument vectors that carry them out.
//!
//! An operation is the only thing that a transport takes; there is no way to hand it a free-form string.
//! Each token comes from a checked name, so none begins with `-` or needs quoting.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::{
    Brick, Bytes, GLUSTERD_PID, GLUSTERD_VOL, HostName, HostPath, OWNER_FILE, OWNER_XATTR,
    OptionKey, OptionValue, OwnerId, OwnerMark, RUN_DIR, TrashName, VolumeName,
};
use super::outcome::Family;

/// How long a read may take; glusterd answers in 0.1 s, or hangs.
pub const READ_DEADLINE: Duration = Duration::from_secs(12);
/// How long a write may take: gluster's own limit is 120 s, after which the command may still run on.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(150);
/// How long one [`Operation::PurgeTrash`] removes files; what is left then is removed by the next.
pub const PURGE_SLICE: Duration = Duration::from_secs(10);
/// How long one [`Operation::CountBricks`] counts: a disk with millions of files takes minutes.
pub const COUNT_TIME: Duration = Duration::from_secs(120);
/// The exit code of `timeout` when the time was up.
pub const SLICE_OVER_EXIT: i32 = 124;
/// The name under which those who write to the pool itself exclude each other; no volume can have it, since it has a dot.
pub const POOL_LOCK: &str = "the.pool";
/// `flock -E`: the exit code that says that somebody else holds the lock.
pub const LOCK_HELD_EXIT: i32 = 75;
/// How `gluster` is started. At each start it asks `gsyncd --version` whether geo-replication is installed, which starts Python: 0.09 s of
/// a command's 0.1 s (measured on 10.3 as Debian ships it). `gsyncd` takes the name of the interpreter from `PYTHON`; without an answer
/// `gluster` has no commands for geo-replication, and we have no use for them.
const GLUSTER: [&str; 4] = ["env", "PYTHON=true", "gluster", "--mode=script"];
/// What [`Operation::Prerequisites`] asks for: the program, and the Debian package that brings it.
pub const PROGRAMS: &[(&str, &str)] = &[
    ("gluster", "glusterfs-server"),
    ("glusterfs", "glusterfs-client"),
    ("flock", "util-linux"),
    ("mountpoint", "util-linux"),
    ("pgrep", "procps"),
    ("getfattr", "attr"),
    ("setfattr", "attr"),
    ("stat", "coreutils"),
    ("find", "findutils"),
];

/// One program run on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments, never empty.
    pub argv: Vec<String>,
    /// What it reads from standard input.
    pub stdin: Option<String>,
    /// After this its result is unknown.
    pub deadline: Duration,
}

impl Command {
    fn read<S: ToString>(argv: &[S]) -> Self {
        Self {
            argv: argv.iter().map(S::to_string).collect(),
            stdin: None,
            deadline: READ_DEADLINE,
        }
    }

    fn write<S: ToString>(argv: &[S]) -> Self {
        Self {
            deadline: WRITE_DEADLINE,
            ..Self::read(argv)
        }
    }
}

/// A read by a tool whose complaints are parsed: in the C locale, since a server may speak German.
fn tool(argv: &[&str]) -> Command {
    Command::read(&[&["env", "LC_ALL=C"], argv].concat())
}

/// Whose a directory is, and of which volume a brick.
fn marks(path: &str) -> Command {
    tool(&[
        "getfattr",
        "--absolute-names",
        "-h",
        "-d",
        "-m",
        "^trusted\\.(glusterfs\\.volume-id|gluster-operator)",
        "-e",
        "hex",
        path,
    ])
}

/// What bricks hold, without what gluster keeps for itself in their roots; never past their file system.
fn count(paths: &[HostPath], by_size: Option<&str>) -> Command {
    let time = COUNT_TIME.as_secs().to_string();
    let own: Vec<String> = paths
        .iter()
        .map(|path| format!("--exclude={path}/.glusterfs"))
        .collect();
    let mut argv = vec!["timeout", &time, "du", "-s", "-x", "-B1"];
    argv.extend(by_size);
    argv.extend(own.iter().map(String::as_str));
    argv.extend(paths.iter().map(HostPath::as_str));
    Command {
        deadline: COUNT_TIME + READ_DEADLINE,
        ..tool(&argv)
    }
}

/// What a set of bricks is, for `volume create`: a volume is one set, or files are hashed over several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetShape {
    /// A single brick.
    Distribute,
    /// Each file has this many copies.
    Replicate {
        /// 2 or more.
        copies: u32,
    },
    /// Two copies of each file, and a third brick, the last of the set, that keeps names and attributes without data: it has a
    /// voice when the copies are not of one mind.
    Arbiter,
    /// Each file is cut into fragments, so that any `data` of a set's bricks give it back.
    ///
    /// GlusterFS refuses `data` 1, `redundancy` 0, and a redundancy that is not less than `data`. It creates and starts a set of
    /// 17 data bricks, which then can't be mounted: 16 is the most (tried on 10.3).
    Disperse {
        /// How many bricks give a file back: 2 to 16.
        data: u32,
        /// How many may be lost: 1 or more, and less than `data`.
        redundancy: u32,
    },
}

impl SetShape {
    /// Bricks of a set.
    pub fn size(self) -> u32 {
        match self {
            Self::Distribute => 1,
            Self::Replicate { copies } => copies,
            Self::Arbiter => 3,
            Self::Disperse { data, redundancy } => data + redundancy,
        }
    }

    /// How many bricks of a set must run so that it takes writes.
    pub fn quorum(self) -> u32 {
        match self {
            Self::Distribute => 1,
            // GlusterFS' default quorum for two copies is none; three or more need a majority
            Self::Replicate { copies } if copies <= 2 => 1,
            Self::Replicate { copies } => copies / 2 + 1,
            Self::Arbiter => 2,
            Self::Disperse { data, .. } => data,
        }
    }

    /// How many bricks of a set must be heard of, so that a client which reaches only the others can't write there.
    pub fn majority(self) -> u32 {
        match self {
            // of four copies GlusterFS lets the two write that have the first brick among them: more than half is heard of
            Self::Distribute | Self::Replicate { .. } | Self::Arbiter => self.size() / 2 + 1,
            Self::Disperse { redundancy, .. } => redundancy + 1,
        }
    }

    /// True for that brick of a set, counted from 0, if it holds no data.
    pub fn is_arbiter(self, at: usize) -> bool {
        self == Self::Arbiter && at % 3 == 2
    }
}

/// A command for glusterd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gluster {
    /// The host's own uuid.
    Uuid,
    /// `peer probe`.
    Probe(HostName),
    /// `peer detach`, never with `force`. Measured: gluster refuses while any other peer is down, and while some bricks of a volume lie
    /// on that one; but a volume with all of its bricks there goes along with it, and is forgotten on the others. A peer that is down
    /// itself is detached, and goes on to believe that it belongs to the pool.
    Detach(HostName),
    /// `volume reset all`, one option. One that is not set is reset without a complaint (measured).
    PoolReset(OptionKey),
    /// `volume get all cluster.max-op-version`: the highest that all hosts support.
    MaxOpVersion,
    /// `volume set all`, one option: of several in one command gluster 10.3 sets the first, ignores the others, and says
    /// `opRet` 0 (tried).
    PoolSet(OptionKey, OptionValue),
    /// `volume create`, never with `force`.
    Create {
        /// The name.
        volume: VolumeName,
        /// The sets.
        shape: SetShape,
        /// Bricks in order; a multiple of the set's size.
        bricks: Vec<Brick>,
    },
    /// `volume set` of several options at once, which is atomic.
    Set(VolumeName, BTreeMap<OptionKey, OptionValue>),
    /// `volume reset` of one option, by name.
    Reset(VolumeName, OptionKey),
    /// `volume start`.
    Start(VolumeName),
    /// `volume start … force`: starts bricks of a started volume that do not run.
    StartBricks(VolumeName),
    /// `volume stop`.
    Stop(VolumeName),
    /// `volume delete`.
    Delete(VolumeName),
    /// `volume quota … enable`.
    QuotaEnable(VolumeName),
    /// `volume quota … limit-usage /`, in plain bytes, up to 2^63 - 1. Gluster mounts the volume for it, so it needs a
    /// majority of the bricks ("Failed to start aux mount"), but no admitted client: `auth.allow` of an address that
    /// nobody has, `server.allow-insecure off` and `client.bind-insecure off` hinder neither it nor the enable before.
    QuotaLimit(VolumeName, Bytes),
    /// `volume quota … remove /`.
    QuotaRemove(VolumeName),
    /// `volume quota … list /`: the path is always named, since one leaked entry empties the plain list.
    QuotaList(VolumeName),
    /// `volume status … clients`: takes the volume's lock, so only where a fence needs it.
    Clients(VolumeName),
    /// The same of one brick. On its own host alone: there a brick that has no client at all answers so, and elsewhere the command
    /// fails for it, as for one that can't be asked ("Commit failed on HOST"; measured on 10.3).
    BrickClients(VolumeName, Brick),
}

impl Gluster {
    /// The family whose rules classify the answer.
    pub fn family(&self) -> Family {
        match self {
            Self::Uuid => Family::SystemUuid,
            Self::Probe(_) => Family::PeerProbe,
            Self::Detach(_) => Family::PeerDetach,
            Self::MaxOpVersion => Family::VolumeGet,
            Self::PoolSet(..) | Self::Set(..) => Family::VolumeSet,
            Self::Create { .. } => Family::VolumeCreate,
            Self::Reset(..) | Self::PoolReset(_) => Family::VolumeReset,
            Self::Start(_) | Self::StartBricks(_) => Family::VolumeStart,
            Self::Stop(_) => Family::VolumeStop,
            Self::Delete(_) => Family::VolumeDelete,
            Self::QuotaEnable(_) => Family::QuotaEnable,
            Self::QuotaLimit(..) => Family::QuotaLimit,
            Self::QuotaRemove(_) => Family::QuotaRemove,
            Self::QuotaList(_) => Family::QuotaList,
            Self::Clients(_) | Self::BrickClients(..) => Family::VolumeStatus,
        }
    }

    /// True for commands that change nothing.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Uuid
                | Self::MaxOpVersion
                | Self::QuotaList(_)
                | Self::Clients(_)
                | Self::BrickClients(..)
        )
    }

    /// True for commands after which `get-state` shows something else than before.
    pub fn is_seen(&self) -> bool {
        !self.is_read() && !matches!(self, Self::QuotaLimit(..) | Self::QuotaRemove(_))
    }

    /// The name under which writers exclude each other: the volume's, or [`POOL_LOCK`].
    pub fn lock(&self) -> &str {
        match self {
            Self::Uuid
            | Self::Probe(_)
            | Self::Detach(_)
            | Self::PoolReset(_)
            | Self::MaxOpVersion
            | Self::PoolSet(..) => POOL_LOCK,
            Self::Create { volume, .. }
            | Self::Set(volume, _)
            | Self::Reset(volume, _)
            | Self::Start(volume)
            | Self::StartBricks(volume)
            | Self::Stop(volume)
            | Self::Delete(volume)
            | Self::QuotaEnable(volume)
            | Self::QuotaLimit(volume, _)
            | Self::QuotaRemove(volume)
            | Self::QuotaList(volume)
            | Self::Clients(volume)
            | Self::BrickClients(volume, _) => volume.as_str(),
        }
    }

    /// What stands behind `gluster`, as a person would type it.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut put =
            |items: &[&dyn ToString]| words.extend(items.iter().map(|item| item.to_string()));
        match self {
            Self::Uuid => put(&[&"system::", &"uuid", &"get"]),
            Self::Probe(host) => put(&[&"peer", &"probe", host]),
            Self::Detach(host) => put(&[&"peer", &"detach", host]),
            Self::PoolReset(key) => put(&[&"volume", &"reset", &"all", key]),
            Self::MaxOpVersion => put(&[&"volume", &"get", &"all", &"cluster.max-op-version"]),
            Self::PoolSet(key, value) => put(&[&"volume", &"set", &"all", key, value]),
            Self::Create {
                volume,
                shape,
                bricks,
            } => {
                put(&[&"volume", &"create", volume]);
                match shape {
                    SetShape::Distribute => {}
                    SetShape::Replicate { copies } => put(&[&"replica", copies]),
                    SetShape::Arbiter => put(&[&"replica", &3, &"arbiter", &1]),
                    // both are said: from fewer words gluster would choose a redundancy itself
                    SetShape::Disperse { data, redundancy } => {
                        put(&[&"disperse-data", data, &"redundancy", redundancy]);
                    }
                }
                put(&[&"transport", &"tcp"]);
                for brick in bricks {
                    put(&[brick]);
                }
            }
            Self::Set(volume, options) => {
                put(&[&"volume", &"set", volume]);
                for (key, value) in options {
                    put(&[key, value]);
                }
            }
            Self::Reset(volume, key) => put(&[&"volume", &"reset", volume, key]),
            Self::Start(volume) => put(&[&"volume", &"start", volume]),
            Self::StartBricks(volume) => put(&[&"volume", &"start", volume, &"force"]),
            Self::Stop(volume) => put(&[&"volume", &"stop", volume]),
            Self::Delete(volume) => put(&[&"volume", &"delete", volume]),
            Self::QuotaEnable(volume) => put(&[&"volume", &"quota", volume, &"enable"]),
            Self::QuotaLimit(volume, Bytes(limit)) => {
                put(&[&"volume", &"quota", volume, &"limit-usage", &"/", limit]);
            }
            Self::QuotaRemove(volume) => put(&[&"volume", &"quota", volume, &"remove", &"/"]),
            Self::QuotaList(volume) => put(&[&"volume", &"quota", volume, &"list", &"/"]),
            Self::Clients(volume) => put(&[&"volume", &"status", volume, &"clients"]),
            Self::BrickClients(volume, brick) => {
                put(&[&"volume", &"status", volume, brick, &"clients"]);
            }
        }
        words
    }

    /// The command as a person would type it, for messages.
    pub fn typed(&self) -> String {
        format!("gluster {}", self.words().join(" "))
    }

    fn command(&self) -> Command {
        let gluster = |timeout: &str| {
            let mut argv: Vec<String> = GLUSTER.map(str::to_owned).into();
            argv.push("--xml".into());
            if !timeout.is_empty() {
                argv.push(format!("--timeout={timeout}"));
            }
            argv.extend(self.words());
            argv
        };
        if self.is_read() {
            return Command::read(&gluster("10"));
        }
        let lock = format!("{RUN_DIR}/{}.lock", self.lock());
        let mut argv: Vec<String> = ["flock", "-n", "-E", "75", &lock]
            .into_iter()
            .map(str::to_owned)
            .collect();
        argv.extend(gluster(""));
        Command::write(&argv)
    }
}

/// Something that a host can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Finds out which of [`PROGRAMS`] are missing, and makes [`RUN_DIR`]. Answers: [`super::output::missing_programs`].
    Prerequisites,
    /// One command for glusterd. Answers are classified by [`super::outcome::classify`].
    Gluster(Gluster),
    /// `volume quota … list /` of many volumes in one process, which reads them from its standard input: limits that stand
    /// are looked at again and again ([`super::output::quotas`]). Takes each volume's lock for a moment.
    QuotaLists(Vec<VolumeName>),
    /// The state of glusterd: its answer, then the file ([`super::get_state::state`]). Takes no lock of gluster's: 0.06 s.
    ///
    /// glusterd (not the CLI) writes the file into [`RUN_DIR`], which must be there ([`Self::Prerequisites`] makes it; a
    /// reboot takes it away), and overwrites what is there. It writes one such file at a time, so that in the end it is
    /// whole; but who reads while another observer has the same file written can see a part (5 of 2400 reads).
    State {
        /// A name for the file, one for each observer of a pool, so that two do not overwrite each other's.
        slot: VolumeName,
    },
    /// What changes rarely: the version, and the host's own addresses ([`super::output::about`]).
    About,
    /// The owner file, ping-timeout, and the state of device directories ([`super::output::survey`]). Each device by processes of its own:
    /// where a disk hangs, they hang.
    Survey {
        /// Directories where bricks shall live.
        devices: Vec<HostPath>,
    },
    /// xattrs and emptiness of directories that are or will be bricks ([`super::output::brick_facts`]), two
    /// commands each.
    InspectBricks(Vec<HostPath>),
    /// How many bytes bricks hold ([`super::output::brick_uses`]): by the blocks of their files, and by their sizes. Goes through all
    /// files, so only where nothing else tells.
    ///
    /// GlusterFS counts the smaller of both for each file, since XFS gives a file that grows up to twice the blocks that it needs, for
    /// some minutes, and a sparse file has a larger size than blocks. Its own count can't be asked where there was no limit: quota that
    /// is switched on over data knows on each brick what somebody has looked up there since, and of a sharded file the first shard
    /// (19 MB of 52 MB after `ls -lR` and `stat` of all; measured on 10.3).
    CountBricks(Vec<HostPath>),
    /// Whether the crawl that `quota enable` begins on each host still runs there for a volume
    /// ([`super::output::crawling`]).
    Crawl(VolumeName),
    /// Clients of GlusterFS that run on the host, and what is mounted there ([`super::output::mounts`]): the bricks tell addresses
    /// alone, and from those of a storage host its daemons come, too.
    ///
    /// The command lines are the surest: they show the mounts of containers and of other namespaces, and those that were taken out
    /// of sight by `umount -l` while somebody is in them (tried). The table shows what was mounted by another program than
    /// `glusterfs`. Clients that mount nothing (libgfapi) are in neither.
    Mounts,
    /// Which ports below 1024 are taken on the host, by whatever and in whatever state of TCP ([`super::output::low_ports`]).
    LowPorts,
    /// Makes the directory of a brick and marks it. Fails when the device is not mounted any more.
    MakeBrick {
        /// The mount point below which it is made; it must exist.
        device: HostPath,
        /// `<device>/<volume>-<8 hex>`.
        parent: HostPath,
        /// `<parent>/brick`.
        path: HostPath,
        /// Whose it is.
        mark: OwnerMark,
    },
    /// Writes the mark of a brick that is ours again, after its object was made anew.
    MarkBrick {
        /// The brick.
        path: HostPath,
        /// Whose it is.
        mark: OwnerMark,
    },
    /// Writes, next to where a brick will lie in the trash, how to get it back. An existing manifest is written anew, so it is
    /// written only while the volume exists.
    WriteManifest {
        /// The mount point.
        device: HostPath,
        /// `<device>/.trash/<…>.json`.
        file: HostPath,
        /// JSON.
        manifest: String,
    },
    /// Moves the directory of a brick (its parent, which is that brick's alone) into the trash of its device. Fails when there
    /// is something of that name in the trash.
    TrashBrick {
        /// The mount point.
        device: HostPath,
        /// `<device>/<volume>-<8 hex>`.
        parent: HostPath,
        /// `<device>/.trash/<…>`, on the same file system.
        trash: HostPath,
    },
    /// Makes the owner file. One that is there stays as it is, unless it still holds the owner to be replaced.
    ClaimHost {
        /// Who owns the pool now.
        owner: OwnerId,
        /// The owner of before, who was named to be taken over.
        replace: Option<OwnerId>,
    },
    /// Removes the owner file.
    ReleaseHost,
    /// Directories of a volume's bricks on a device, whatever object they are named after ([`super::output::brick_directories`]).
    FindBricks {
        /// The mount point.
        device: HostPath,
        /// The volume whose bricks they would be.
        volume: VolumeName,
    },
    /// What lies in the trash of a device, the host's own clock, and what is mounted there ([`super::output::trash`]).
    ListTrash {
        /// The mount point.
        device: HostPath,
    },
    /// One entry of the trash: marks of the entry and of `brick` in it, what lies directly in it, its manifest, and what is mounted
    /// ([`super::output::trash_entry`]).
    InspectTrash {
        /// The mount point.
        device: HostPath,
        /// The entry.
        name: TrashName,
    },
    /// DESTROYS an entry of the trash, or a part of it: for at most [`PURGE_SLICE`], never past its file system, nothing where something
    /// is mounted in it. The manifest is renamed to `.purging` first, or an empty file made where there is none, and goes last, so that
    /// an entry of which a part is gone is never taken for a whole one.
    ///
    /// A bind mount of the same file system is one that rm does not notice: hence the look into the table of mounts right before, and a
    /// mount namespace of rm's own, into which nothing comes that is mounted while it runs.
    PurgeTrash {
        /// The mount point.
        device: HostPath,
        /// The entry.
        name: TrashName,
        /// Whether there is a manifest beside it.
        manifest: bool,
    },
    /// Removes what [`Self::PurgeTrash`] renamed a manifest to, of an entry that is gone; never an entry, which may have come there
    /// meanwhile.
    ForgetTrash {
        /// The mount point.
        device: HostPath,
        /// The entry.
        name: TrashName,
    },
    /// glusterd's configuration, when it changed, and when glusterd started ([`super::glusterd_vol::read`]).
    ReadGlusterdVol,
    /// Replaces glusterd's configuration; owner and mode stay. A restart of glusterd makes it take effect, which is not done here.
    WriteGlusterdVol {
        /// All of it.
        text: String,
    },
}

impl Operation {
    /// The commands, in order. Each runs only when the one before it exited with 0, unless
    /// [`Self::independent`].
    pub fn commands(&self) -> Vec<Command> {
        match self {
            Self::Prerequisites => {
                let mut which = vec!["which"];
                which.extend(PROGRAMS.iter().map(|(program, _)| *program));
                vec![
                    Command::read(&["mkdir", "-p", "-m", "0700", RUN_DIR]),
                    Command::read(&which),
                ]
            }
            Self::Gluster(gluster) => vec![gluster.command()],
            Self::QuotaLists(volumes) => {
                let lines = volumes
                    .iter()
                    .map(|volume| Gluster::QuotaList(volume.clone()).words().join(" ") + "\n");
                let read = Command::read(&[&GLUSTER[..], &["--xml", "--timeout=10"]].concat());
                // 0.05 s each where nothing else is going on
                let patience = Duration::from_millis(250)
                    .saturating_mul(u32::try_from(volumes.len()).unwrap_or(u32::MAX));
                vec![Command {
                    stdin: Some(lines.collect()),
                    deadline: read.deadline + patience,
                    ..read
                }]
            }
            Self::State { slot } => {
                let file = format!("state-{slot}");
                let path = format!("{RUN_DIR}/{file}");
                let get = ["--timeout=10", "get-state", "odir", RUN_DIR, "file", &file];
                let get = [&GLUSTER[..], &get].concat();
                vec![Command::read(&get), Command::read(&["cat", &path])]
            }
            Self::About => vec![tool(&["glusterfs", "--version"]), tool(&["hostname", "-I"])],
            Self::Survey { devices } => {
                let mut list = vec![
                    // each line with the name of its file: one process for both
                    tool(&["grep", "-aH", "", OWNER_FILE, GLUSTERD_VOL]),
                    tool(&["stat", "-L", "-c", "%.Z %.Y", GLUSTERD_VOL, GLUSTERD_PID]),
                ];
                for device in devices {
                    let path = device.as_str();
                    list.push(tool(&["stat", "-L", "-c", "%F %m", path]));
                    list.push(tool(&["stat", "-f", "-c", "%i %S %b %a", path]));
                }
                list
            }
            Self::InspectBricks(paths) => paths
                .iter()
                .flat_map(|path| {
                    let path = path.as_str();
                    [
                        marks(path),
                        // depth and type of the path itself, and of the first thing in it: a link or a
                        // file must not look like an empty directory. The self-heal daemon makes a directory in each
                        // brick of a replicated volume that has run; what is in that one counts
                        tool(&[
                            "find",
                            path,
                            "-maxdepth",
                            "2",
                            "-name",
                            ".glusterfs",
                            "-prune",
                            "-o",
                            "(",
                            "!",
                            "-name",
                            ".glusterfs-anonymous-inode-*",
                            "-o",
                            "!",
                            "-type",
                            "d",
                            ")",
                            "-printf",
                            "%d%y\\n",
                            "!",
                            "-path",
                            path,
                            "-quit",
                        ]),
                    ]
                })
                .collect(),
            Self::CountBricks(paths) => [None, Some("--apparent-size")]
                .map(|by_size| count(paths, by_size))
                .into(),
            // a pattern that does not match the command lines of what runs pgrep
            Self::Crawl(volume) => vec![tool(&[
                "pgrep",
                "-f",
                &format!("volfile-id client_per_brick/{volume}[.]client[.]"),
            ])],
            Self::Mounts => vec![
                tool(&["pgrep", "-a", "-x", "glusterfs"]),
                tool(&["cat", "/proc/self/mountinfo"]),
            ],
            // the local port is the second field's end, in hexadecimal; -s: a host may have no IPv6
            Self::LowPorts => vec![tool(&[
                "grep",
                "-shoE",
                "^ *[0-9]+: [0-9A-F]+:0[0-3][0-9A-F]{2} ",
                "/proc/net/tcp",
                "/proc/net/tcp6",
            ])],
            Self::MakeBrick {
                device,
                parent,
                path,
                mark,
            } => vec![
                Command::write(&["mountpoint", "-q", device.as_str()]),
                Command::write(&["mkdir", "-p", "-m", "0755", parent.as_str(), path.as_str()]),
                Command::write(&[
                    "setfattr",
                    "-h",
                    "-n",
                    OWNER_XATTR,
                    "-v",
                    mark.as_str(),
                    path.as_str(),
                ]),
            ],
            Self::MarkBrick { path, mark } => {
                vec![Command::write(&[
                    "setfattr",
                    "-h",
                    "-n",
                    OWNER_XATTR,
                    "-v",
                    mark.as_str(),
                    path.as_str(),
                ])]
            }
            Self::WriteManifest {
                device,
                file,
                manifest,
            } => {
                let trash = format!("{device}/.trash");
                vec![
                    Command::write(&["mountpoint", "-q", device.as_str()]),
                    Command::write(&["mkdir", "-p", "-m", "0700", &trash]),
                    Command {
                        stdin: Some(manifest.clone()),
                        ..Command::write(&["tee", file.as_str()])
                    },
                    // else it can be empty after a power cut, beside a brick that was moved there
                    Command::write(&["sync", file.as_str(), &trash]),
                ]
            }
            Self::TrashBrick {
                device,
                parent,
                trash,
            } => vec![
                Command::write(&["mountpoint", "-q", device.as_str()]),
                Command::write(&["mkdir", "-p", "-m", "0700", &format!("{device}/.trash")]),
                // a rename: it fails when a directory of that name is there and not empty
                Command::write(&["mv", "-T", parent.as_str(), trash.as_str()]),
            ],
            Self::ClaimHost { owner, replace } => {
                // A name of its own, and made anew: a hard link to the owner file that is left of an earlier claim
                // would let tee write into the owner file itself (tried).
                let new = format!("{OWNER_FILE}.{owner}");
                let claim = match replace {
                    // another may have taken it over since the look
                    Some(before) => vec![
                        Command::write(&["grep", "-qxF", before.as_str(), OWNER_FILE]),
                        Command::write(&["mv", "-T", &new, OWNER_FILE]),
                    ],
                    // ln fails when somebody was faster; the next look tells who
                    None => vec![Command::write(&["ln", "-T", &new, OWNER_FILE])],
                };
                let mut list = vec![
                    Command::write(&["mkdir", "-p", "/var/lib/gluster-operator"]),
                    Command::write(&["rm", "-f", &new]),
                    Command {
                        stdin: Some(format!("{owner}\n")),
                        ..Command::write(&["tee", &new])
                    },
                    // else the file can be empty after a power cut, and then the pool is somebody else's
                    Command::write(&["sync", &new]),
                ];
                list.extend(claim);
                list.push(Command::write(&["rm", "-f", &new]));
                list
            }
            Self::ReleaseHost => vec![Command::write(&["rm", "-f", OWNER_FILE])],
            Self::FindBricks { device, volume } => vec![tool(&[
                "find",
                device.as_str(),
                "-mindepth",
                "1",
                "-maxdepth",
                "1",
                "-name",
                &format!("{volume}-????????*"),
                "-printf",
                "%y %f\\0",
            ])],
            Self::ListTrash { device } => vec![
                tool(&[
                    "find",
                    &format!("{device}/.trash"),
                    "-mindepth",
                    "1",
                    "-maxdepth",
                    "1",
                    "-printf",
                    "%y %C@ %f\\0",
                ]),
                tool(&["date", "+%s"]),
                tool(&["cat", "/proc/self/mountinfo"]),
            ],
            Self::InspectTrash { device, name } => {
                let entry = format!("{device}/.trash/{name}");
                let mut list: Vec<Command> = [entry.as_str(), &format!("{entry}/brick")]
                    .map(marks)
                    .into();
                list.push(tool(&[
                    "find",
                    &entry,
                    "-mindepth",
                    "1",
                    "-maxdepth",
                    "1",
                    "-printf",
                    "%y %f\\0",
                ]));
                list.push(tool(&["cat", &format!("{entry}.json")]));
                list.push(tool(&["cat", "/proc/self/mountinfo"]));
                list
            }
            Self::PurgeTrash {
                device,
                name,
                manifest,
            } => {
                let entry = format!("{device}/.trash/{name}");
                let (json, purging) = (format!("{entry}.json"), format!("{entry}.purging"));
                let mut list = vec![Command::write(&["mountpoint", "-q", device.as_str()])];
                // exits with 1 when the fifth field of a line is the entry, or below it
                let mounted = format!(
                    "\\:^\\([^ ]* \\)\\{{4\\}}{}[ /]:q1",
                    entry.replace('.', "[.]")
                );
                let look = Command::write(&["sed", "-n", &mounted, "/proc/self/mountinfo"]);
                list.push(look);
                list.push(if *manifest {
                    Command::write(&["mv", "-T", &json, &purging])
                } else {
                    Command::write(&["touch", &purging])
                });
                let seconds = PURGE_SLICE.as_secs().to_string();
                list.push(Command::write(&[
                    "timeout",
                    &seconds,
                    "unshare",
                    "--mount",
                    "rm",
                    "-rf",
                    "--one-file-system",
                    "--preserve-root=all",
                    &entry,
                ]));
                list.push(Command::write(&["rm", "-f", &purging]));
                list
            }
            Self::ForgetTrash { device, name } => vec![Command::write(&[
                "rm",
                "-f",
                &format!("{device}/.trash/{name}.purging"),
            ])],
            Self::ReadGlusterdVol => vec![
                tool(&["cat", GLUSTERD_VOL]),
                tool(&["stat", "-L", "-c", "%.Z", GLUSTERD_VOL]),
                tool(&["stat", "-L", "-c", "%.Y", GLUSTERD_PID]),
            ],
            Self::WriteGlusterdVol { text } => {
                let new = format!("{GLUSTERD_VOL}.gluster-operator");
                let like = format!("--reference={GLUSTERD_VOL}");
                vec![
                    // made anew: a link of that name would be written through
                    Command::write(&["rm", "-f", &new]),
                    Command {
                        stdin: Some(text.clone()),
                        ..Command::write(&["tee", &new])
                    },
                    Command::write(&["chmod", &like, &new]),
                    Command::write(&["chown", &like, &new]),
                    Command::write(&["sync", &new]),
                    Command::write(&["mv", "-T", &new, GLUSTERD_VOL]),
                ]
            }
        }
    }

    /// True when the commands do not depend on each other: all run, side by side where the transport can.
    pub fn independent(&self) -> bool {
        matches!(
            self,
            Self::About
                | Self::Survey { .. }
                | Self::InspectBricks(_)
                | Self::CountBricks(_)
                | Self::Mounts
                | Self::ListTrash { .. }
                | Self::InspectTrash { .. }
                | Self::ReadGlusterdVol
        )
    }

    /// A short name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Prerequisites => "prerequisites",
            Self::Gluster(gluster) => gluster.family().as_str(),
            Self::QuotaLists(_) => "quota lists",
            Self::State { .. } => "get-state",
            Self::About => "about",
            Self::Survey { .. } => "survey",
            Self::InspectBricks(_) => "inspect bricks",
            Self::CountBricks(_) => "count bricks",
            Self::Crawl(_) => "quota crawl",
            Self::Mounts => "look for mounts",
            Self::LowPorts => "low ports",
            Self::MakeBrick { .. } => "make brick directory",
            Self::MarkBrick { .. } => "mark brick",
            Self::WriteManifest { .. } => "write manifest",
            Self::TrashBrick { .. } => "move brick to trash",
            Self::ClaimHost { .. } => "claim host",
            Self::ReleaseHost => "release host",
            Self::FindBricks { .. } => "find brick directories",
            Self::ListTrash { .. } => "list trash",
            Self::InspectTrash { .. } => "inspect trash",
            Self::PurgeTrash { .. } => "purge trash",
            Self::ForgetTrash { .. } => "forget trash",
            Self::ReadGlusterdVol => "read glusterd.vol",
            Self::WriteGlusterdVol { .. } => "write glusterd.vol",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_takes_writes_with_its_quorum_and_none_without_its_majority() {
        let disperse = |data, redundancy| SetShape::Disperse { data, redundancy };
        let copies = |copies| SetShape::Replicate { copies };
        for (shape, size, quorum, majority) in [
            (SetShape::Distribute, 1, 1, 1),
            (copies(2), 2, 1, 2),
            (copies(3), 3, 2, 2),
            (copies(4), 4, 3, 3),
            (copies(5), 5, 3, 3),
            (SetShape::Arbiter, 3, 2, 2),
            (disperse(2, 1), 3, 2, 2),
            (disperse(4, 2), 6, 4, 3),
            (disperse(16, 4), 20, 16, 5),
        ] {
            assert_eq!(
                (shape.size(), shape.quorum(), shape.majority()),
                (size, quorum, majority),
                "{shape:?}"
            );
            assert!(
                shape.size() - shape.majority() < shape.quorum(),
                "{shape:?}: who is not heard of could write"
            );
        }
        assert!(SetShape::Arbiter.is_arbiter(5) && !SetShape::Arbiter.is_arbiter(4));
        assert!(!copies(3).is_arbiter(2));
    }
}
