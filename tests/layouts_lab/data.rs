//! Files, and where their data lies on the bricks.

use std::collections::BTreeMap;

use super::world::{Layout, World};

/// How many small files are written: with so many every one of four sets has some.
const SMALL: usize = 40;
/// Bytes of each: more than a fragment of a dispersed file, less than a shard.
const SMALL_BYTES: u64 = 10_000;
/// Blocks of 4 MiB of the large file, with little written in each. Where one lies is chance: with so many each of four sets has
/// some, but for one time in 200000.
const BLOCKS: usize = 48;

/// What the bricks of one set hold of a file that lies on it.
#[derive(Clone, Copy, Default)]
pub struct Where {
    /// Bricks with the whole of it.
    pub whole: usize,
    /// Bricks with its name and no data: arbiters.
    pub empty: usize,
    /// Bricks with a fragment of it.
    pub parts: usize,
    /// Whether large files are cut into blocks that lie on different sets.
    pub shards: bool,
}

pub fn write(world: &World<'_>, layout: &Layout) {
    let at = world.mount(layout.name);
    let blocks = if layout.set.shards { BLOCKS } else { 1 };
    let sparse = format!(
        "open(F, q(>), q(large)) or die; for $n (0..{}) {{ seek(F, $n << 22, 0); print F qq(block $n) x 1000 }} close(F) or die",
        blocks - 1
    );
    world.lab.shell(
        "client1",
        &format!(
            "cd {at} && for i in $(seq {SMALL}); do head -c {SMALL_BYTES} /dev/urandom > small-$i || exit 1; done; \
             perl -e '{sparse}' && sync large && md5sum small-* large > /root/{}.md5",
            layout.name
        ),
    );
}

/// All files are as they were written.
pub fn reads(world: &World<'_>, layout: &Layout) {
    let at = world.mount(layout.name);
    let sums = format!("cd {at} && md5sum --quiet -c /root/{}.md5", layout.name);
    world.lab.shell("client1", &sums);
}

/// Name → bytes of data, of each file of a brick; names that only point to another set are left out.
fn files(world: &World<'_>, layout: &Layout) -> Vec<BTreeMap<String, u64>> {
    let bricks = layout.bricks(world);
    let list = bricks.iter().map(|brick| {
        // a link of distribution has mode 1000 and no data
        let find = format!(
            "cd {} && find . -path ./.glusterfs -prune -o -type f ! -perm 1000 -printf '%P %s\\n'",
            brick.path
        );
        let text = world.lab.shell(brick.host.as_str(), &find);
        let entry = |line: &str| {
            let (name, bytes) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), bytes.parse().unwrap())
        };
        text.lines().map(entry).collect()
    });
    list.collect()
}

pub fn lies_where_it_should(world: &World<'_>, layout: &Layout) {
    let Where {
        whole,
        empty,
        parts,
        shards,
    } = layout.set;
    let name = layout.name;
    let bricks = files(world, layout);
    let sets: Vec<&[BTreeMap<String, u64>]> = bricks.chunks(layout.size()).collect();
    let mut on = vec![0; sets.len()];
    for file in (1..=SMALL).map(|number| format!("small-{number}")) {
        let holding: Vec<usize> = (0..sets.len())
            .filter(|set| sets[*set].iter().any(|brick| brick.contains_key(&file)))
            .collect();
        assert_eq!(holding.len(), 1, "{name}: {file} lies on one set");
        on[holding[0]] += 1;
        let sizes: Vec<Option<u64>> = sets[holding[0]]
            .iter()
            .map(|brick| brick.get(&file).copied())
            .collect();
        let count = |bytes: u64| sizes.iter().filter(|size| **size == Some(bytes)).count();
        if parts > 0 {
            let fragments = sizes
                .iter()
                .filter(|size| size.is_some_and(|bytes| bytes > 0 && bytes < SMALL_BYTES));
            assert_eq!(fragments.count(), parts, "{name}: {file}: {sizes:?}");
        } else {
            assert_eq!(
                (count(SMALL_BYTES), count(0)),
                (whole, empty),
                "{name}: {file}: {sizes:?}"
            );
        }
    }
    assert!(
        on.iter().all(|count| *count > 0),
        "{name}: small files on sets: {on:?}"
    );
    // an arbiter, the last of its set, holds no data at all
    if empty > 0 {
        for set in &sets {
            assert_eq!(
                set[set.len() - 1].values().sum::<u64>(),
                0,
                "{name}: {set:?}"
            );
        }
    }
    let blocks = |set: &[BTreeMap<String, u64>], brick: usize| {
        let mut names: Vec<String> = set[brick]
            .keys()
            .filter(|file| file.starts_with(".shard/"))
            .cloned()
            .collect();
        names.sort();
        names
    };
    let mut all = 0;
    for set in &sets {
        let first = blocks(set, 0);
        for brick in 1..set.len() {
            assert_eq!(
                blocks(set, brick),
                first,
                "{name}: the copies of a set have the same blocks"
            );
        }
        assert_eq!(
            !first.is_empty(),
            shards,
            "{name}: blocks of the large file on each set"
        );
        all += first.len();
    }
    let expected = if shards { BLOCKS - 1 } else { 0 };
    assert_eq!(all, expected, "{name}: the first block is the file itself");
    println!("{name}: small files on sets {on:?}, {all} further blocks of the large file");
}

/// With `redundancy` hosts dead, dispersed files are read, and so is what has copies.
pub fn is_read_with_hosts_dead(world: &World<'_>, all: &[Layout]) {
    let named = |name: &str| all.iter().find(|layout| layout.name == name).unwrap();
    let reread = |name: &str| {
        // a new mount has nothing in its caches
        world.lab.shell(
            "client1",
            &format!("umount /mnt/{name} || umount -l /mnt/{name}"),
        );
        reads(world, named(name));
    };
    for name in ["disperse", "distribute-disperse", "arbiter", "three"] {
        world.mount(name);
    }
    assert!(world.lab.script(&["kill", "node6"]).status.success());
    for name in ["disperse", "distribute-disperse", "arbiter", "three"] {
        reread(name);
    }
    assert!(world.lab.script(&["kill", "node5"]).status.success());
    reread("disperse");
}
