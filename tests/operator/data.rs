//! Data while something is broken: a volume on the client whose old file is read from bricks, and which takes new ones.

use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use crate::support::operator_lab::{World, until};

/// How long a client may be refused after a host was cut off before the test gives it up: GlusterFS' own affair, while what the operator
/// says and does meanwhile is clocked. Usually it goes on after the volume's ping-timeout.
const RECOVERS: Duration = Duration::from_secs(90);

/// A volume mounted on the client, with a file in it. It is unmounted when the value is dropped.
pub(crate) struct Mounted<'a> {
    world: &'a World,
    at: String,
    sum: String,
}

impl<'a> Mounted<'a> {
    /// Mounts it from the first of these servers that answers, and writes the file.
    pub(crate) fn of(world: &'a World, servers: &[&str], volume: &str) -> Self {
        let at = format!("/mnt/{volume}");
        let (first, others) = servers.split_first().unwrap();
        let source = format!("{first}:/{volume}");
        let mount = match others {
            [] => format!("mount -t glusterfs {source} {at}"),
            others => format!(
                "mount -t glusterfs -o backup-volfile-servers={} {source} {at}",
                others.join(":")
            ),
        };
        // mount gives 0 with nothing mounted, too
        world.hosts.shell(
            "client1",
            &format!("mkdir -p {at} && {mount} && grep -q ' {at} fuse.glusterfs' /proc/mounts"),
        );
        let mut mounted = Self {
            world,
            at,
            sum: String::new(),
        };
        mounted.reaches_all();
        is_healed(world, first, volume);
        mounted.sh("dd if=/dev/urandom of=old bs=100k count=10 conv=fsync status=none");
        mounted.sum = mounted.sum_of("old");
        mounted
    }

    /// Waits until the client is connected to every brick, as it says itself. One that is not serves all the same while two of three are
    /// there, and nothing any more when one of these is cut off.
    fn reaches_all(&self) {
        const MISSING: &str = "for brick in .meta/graphs/active/*-client-[0-9]*/private; do \
            grep -q '^connected *= *1' $brick || { echo $brick; cat $brick; }; done";
        let begin = Instant::now();
        loop {
            let missing = self.sh(MISSING);
            if missing.is_empty() {
                break;
            }
            assert!(
                begin.elapsed() < RECOVERS,
                "{} is not connected to: {missing}",
                self.at
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        if begin.elapsed() > Duration::from_secs(2) {
            let seconds = begin.elapsed().as_secs_f64();
            println!(
                "       {} was connected to every brick after {seconds:.1} s",
                self.at
            );
        }
    }

    /// A line of shell in its root, which has to succeed.
    pub(crate) fn sh(&self, line: &str) -> String {
        self.world.hosts.shell("client1", &self.inside(line))
    }

    /// `cd` does not say why it failed.
    fn inside(&self, line: &str) -> String {
        let at = &self.at;
        format!("cd {at} || {{ stat {at}; exit 2; }}; {line}")
    }

    /// Exit code and words of a line of shell in its root that may fail.
    pub(crate) fn try_sh(&self, line: &str) -> (Option<i32>, String) {
        let line = self.inside(line);
        let output = self.world.hosts.sh("client1", &["sh", "-c", &line]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    }

    /// The connections of the client, and its log without what it says of each refusal.
    fn client_says(&self) -> String {
        let log = self.at.trim_start_matches('/').replace('/', "-");
        let ask = format!(
            "ss -tnp | grep glusterfs; grep -v 'fuse-bridge.c' /var/log/glusterfs/{log}.log | tail -n 120 | cut -c1-300"
        );
        let output = self.world.hosts.sh("client1", &["sh", "-c", &ask]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// As bricks have it: not from what the client keeps in its memory.
    fn sum_of(&self, file: &str) -> String {
        self.sh(&format!(
            "dd if={file} iflag=direct bs=128k status=none | sha256sum"
        ))
    }

    /// When all is over the file of before is as it was. A client that had too few bricks looks for them every 3 s.
    pub(crate) fn is_whole(&self) {
        until(RECOVERS, "the mount goes on", || {
            self.try_sh("stat old").0 == Some(0)
        });
        self.is_as_before();
    }

    fn is_as_before(&self) {
        assert_eq!(self.sum_of("old"), self.sum, "{}: an old file", self.at);
    }

    /// The file of before is as it was, and a new one takes bytes and gives them back. Tells how many seconds that took. Until then the client may
    /// be refused: how often, and by which words, is told.
    pub(crate) fn serves(&self) -> f64 {
        const WRITES: &str = "stat old && head -c 1000000 /dev/urandom > /root/new && \
            dd if=/root/new of=new bs=128k conv=fsync status=none";
        const READS: &str =
            "dd if=new iflag=direct bs=128k status=none | cmp - /root/new && rm new";
        let begin = Instant::now();
        let mut refused = Vec::new();
        loop {
            let (code, said) = self.try_sh(WRITES);
            if code == Some(0) {
                break;
            }
            refused.push(format!(
                "{:.1} s: {code:?} {}",
                begin.elapsed().as_secs_f64(),
                said.trim()
            ));
            assert!(
                begin.elapsed() < RECOVERS,
                "{} does not serve: {:?} … {:?}\n{}",
                self.at,
                refused.first(),
                refused.last(),
                self.client_says()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        if let Some(first) = refused.first() {
            let (at, count) = (&self.at, refused.len());
            println!("       {at} was refused {count} times: {}", first.trim());
        }
        self.is_as_before();
        self.sh(READS);
        begin.elapsed().as_secs_f64()
    }
}

/// Waits until no copy is behind. What was written while bricks were down is copied to them when they are back, by the hosts that have it, and
/// until then the copies that are behind are read from nobody: a client that loses the last good one is refused, however many bricks it reaches.
fn is_healed(world: &World, host: &str, volume: &str) {
    if !world
        .gluster(host, &["volume", "info", volume])
        .contains("Replicate")
    {
        return;
    }
    let begin = Instant::now();
    until(RECOVERS, "all copies are whole", || {
        let whole = whole_copies(world, host, volume).is_some();
        if !whole {
            // else some wait for the next of GlusterFS' own rounds, which are ten minutes apart
            world.hosts.sh(host, &["gluster", "volume", "heal", volume]);
        }
        whole
    });
    if begin.elapsed() > Duration::from_secs(2) {
        let seconds = begin.elapsed().as_secs_f64();
        println!("       {volume} was healed after {seconds:.1} s");
    }
}

/// How many bricks a volume has, if each says that nothing is left to be copied to others.
pub(crate) fn whole_copies(world: &World, host: &str, volume: &str) -> Option<usize> {
    let info = ["gluster", "volume", "heal", volume, "info"];
    let output = world.hosts.sh(host, &info);
    let said = String::from_utf8_lossy(&output.stdout);
    let counts = said
        .lines()
        .filter_map(|line| line.strip_prefix("Number of entries: "));
    let counts: Vec<&str> = counts.collect();
    let whole = !counts.is_empty() && counts.iter().all(|count| *count == "0");
    whole.then_some(counts.len())
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        self.world.hosts.sh("client1", &["umount", "-l", &self.at]);
    }
}

/// What a thread of a scene gave, or its panic with its words.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
