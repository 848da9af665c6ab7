//! Answers about what lies on a device: directories of bricks, the trash.

use super::Malformed;
use super::host::{is_missing, marks, success};
use crate::gluster::model::{Marks, TrashEntry, TrashItem, TrashListing};
use crate::gluster::names::{HostPath, TrashName, VolumeName, is_directory_end};
use crate::gluster::outcome::Output;

/// Entries of `find … -printf '… %f\0'`. What is not ended by a NUL is torn.
fn entries(text: &str) -> Result<Vec<&str>, String> {
    match text.strip_suffix('\0') {
        _ if text.is_empty() => Ok(Vec::new()),
        Some(whole) => Ok(whole.split('\0').collect()),
        None => Err("what find said is torn".to_owned()),
    }
}

/// `Operation::FindBricks`: names of directories `<volume>-<8 hex digits>`, with a number behind for further ones on a device. Anything else that fits the search is left out: what
/// we did not name so is not ours.
pub fn brick_directories(
    outputs: &[Output],
    volume: &VolumeName,
) -> Result<Vec<String>, Malformed> {
    const WHAT: &str = "the search for brick directories";
    let malformed = |why: String| Malformed::new(WHAT, why);
    let [found] = outputs else {
        return Err(Malformed::new(WHAT, "answers are missing"));
    };
    let mut names = Vec::new();
    for entry in entries(success(found).map_err(malformed)?).map_err(malformed)? {
        let ours = entry
            .strip_prefix("d ")
            .and_then(|name| Some((name, name.strip_prefix(volume.as_str())?.strip_prefix('-')?)))
            .filter(|(_, end)| is_directory_end(end));
        names.extend(ours.map(|(name, _)| name.to_owned()));
    }
    names.sort();
    Ok(names)
}

/// `Operation::ListTrash`. A device without a trash has an empty one.
pub fn trash(outputs: &[Output], device: &HostPath) -> Result<TrashListing, Malformed> {
    const WHAT: &str = "the list of a trash";
    let malformed = |why: String| Malformed::new(WHAT, why);
    let [list, clock, mounts] = outputs else {
        return Err(Malformed::new(WHAT, "answers are missing"));
    };
    let clock = success(clock)
        .map_err(malformed)?
        .trim()
        .parse()
        .map_err(|_| Malformed::new(WHAT, "date told no time"))?;
    let found = if is_missing(list) {
        Vec::new()
    } else {
        entries(success(list).map_err(malformed)?).map_err(malformed)?
    };
    let mut listing = TrashListing {
        clock,
        ..TrashListing::default()
    };
    let (mut manifests, mut purging) = (Vec::new(), Vec::new());
    for entry in found {
        let mut words = entry.splitn(3, ' ');
        let (Some(kind), Some(changed), Some(name)) = (words.next(), words.next(), words.next())
        else {
            return Err(Malformed::new(WHAT, "a line has too few words"));
        };
        // seconds and a fraction
        let changed = changed
            .split('.')
            .next()
            .and_then(|seconds| seconds.parse::<u64>().ok())
            .ok_or_else(|| Malformed::new(WHAT, "find told no time"))?;
        let parse = |name: &str| name.parse::<TrashName>().ok();
        let known = match kind {
            "d" => parse(name).map(|name| {
                listing.items.push(TrashItem {
                    name,
                    changed,
                    manifest: false,
                    purging: false,
                });
            }),
            "f" => match (name.strip_suffix(".json"), name.strip_suffix(".purging")) {
                (Some(name), _) => parse(name).map(|name| manifests.push(name)),
                (_, Some(name)) => parse(name).map(|name| purging.push(name)),
                _ => None,
            },
            _ => None,
        };
        if known.is_none() {
            listing.strange.push(name.chars().take(80).collect());
        }
    }
    for item in &mut listing.items {
        item.manifest = manifests.contains(&item.name);
        // one that stayed from before the entry was brought back by hand tells nothing: the first slice takes the manifest away
        item.purging = !item.manifest && purging.contains(&item.name);
    }
    purging.retain(|name| listing.items.iter().all(|item| item.name != *name));
    listing.purged = purging;
    listing.items.sort_by(|a, b| a.name.cmp(&b.name));
    listing.strange.sort();
    listing.mounts = mounted(mounts, &format!("{device}/.trash")).map_err(malformed)?;
    Ok(listing)
}

/// What is mounted at a path or below it, by the fifth field of the table; \040 and the like stay as they are: no name of ours has
/// them.
fn mounted(table: &Output, path: &str) -> Result<Vec<String>, String> {
    let table = success(table)?;
    if table.trim().is_empty() {
        return Err("the table of mounts is empty".to_owned());
    }
    let mut found = Vec::new();
    for line in table.lines() {
        let at = line.split(' ').nth(4);
        let at = at.ok_or("the table of mounts is torn")?;
        let within = |rest: &str| rest.is_empty() || rest.starts_with('/');
        if at.strip_prefix(path).is_some_and(within) {
            found.push(at.to_owned());
        }
    }
    Ok(found)
}

/// `Operation::InspectTrash`.
pub fn trash_entry(
    outputs: &[Output],
    device: &HostPath,
    name: &TrashName,
) -> Result<TrashEntry, Malformed> {
    const WHAT: &str = "the look at an entry of the trash";
    let malformed = |why: String| Malformed::new(WHAT, why);
    let [own, brick, content, manifest, mounts] = outputs else {
        return Err(Malformed::new(WHAT, "answers are missing"));
    };
    let path = |path: String| -> Result<HostPath, Malformed> {
        path.parse().map_err(|bad| malformed(format!("{bad}")))
    };
    let read = |output: &Output, path: &HostPath| -> Result<Option<Marks>, Malformed> {
        if is_missing(output) {
            return Ok(None);
        }
        marks(path, success(output).map_err(malformed)?)
            .map(Some)
            .map_err(malformed)
    };
    let entry = path(format!("{device}/.trash/{name}"))?;
    let inner = path(format!("{entry}/brick"))?;
    let content = entries(success(content).map_err(malformed)?).map_err(malformed)?;
    Ok(TrashEntry {
        own: read(own, &entry)?.ok_or_else(|| Malformed::new(WHAT, "it is not there any more"))?,
        brick: read(brick, &inner)?,
        only_a_brick: content.iter().all(|entry| *entry == "d brick"),
        manifest: if is_missing(manifest) {
            None
        } else {
            Some(success(manifest).map_err(malformed)?.to_owned())
        },
        mounts: mounted(mounts, entry.as_str()).map_err(malformed)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stdout: &str) -> Output {
        Output {
            exit: Some(0),
            stdout: stdout.into(),
            stderr: String::new(),
        }
    }

    const MOUNTS: &str = "24 1 0:22 / / rw - xfs /dev/a rw\n25 24 0:23 / /d rw - xfs /dev/b rw\n26 25 0:24 / /d/.trash/v-0a1b2c3d/x rw - tmpfs t rw\n";

    fn list(text: &str) -> Result<TrashListing, Malformed> {
        trash(
            &[said(text), said("1700000100\n"), said(MOUNTS)],
            &"/d".parse().unwrap(),
        )
    }

    #[test]
    fn a_list_tells_ours_from_the_rest() {
        let found = list("d 1700000000.25 v-0a1b2c3d\0f 1.0 v-0a1b2c3d.json\0d 5.5 notes\0f 6.0 w-0a1b2c3d.purging\0l 7.0 x-0a1b2c3d\0d 8.0 y-0a1b2c3d\n\0").unwrap();
        assert_eq!(found.clock, 1_700_000_100);
        let [item] = &found.items[..] else {
            panic!("{found:?}");
        };
        assert_eq!(
            (
                item.name.as_str(),
                item.changed,
                item.manifest,
                item.purging
            ),
            ("v-0a1b2c3d", 1_700_000_000, true, false)
        );
        assert_eq!(found.strange, ["notes", "x-0a1b2c3d", "y-0a1b2c3d\n"]);
        assert_eq!(
            found
                .purged
                .iter()
                .map(TrashName::as_str)
                .collect::<Vec<_>>(),
            ["w-0a1b2c3d"]
        );
        assert_eq!(found.mounts, ["/d/.trash/v-0a1b2c3d/x"]);
        assert_eq!(list("").unwrap().items, []);
    }

    #[test]
    fn a_list_that_is_torn_is_no_list() {
        for torn in ["d 1.0 v-0a1b2c3d", "d 1.0\0", "d x v-0a1b2c3d\0"] {
            assert!(list(torn).is_err(), "{torn:?}");
        }
        let device = "/d".parse().unwrap();
        let missing = Output {
            exit: Some(1),
            stdout: String::new(),
            stderr: "find: '/d/.trash': No such file or directory\n".into(),
        };
        let denied = Output {
            stderr: "find: '/d/.trash': Input/output error\n".into(),
            ..missing.clone()
        };
        let rest = [said("5\n"), said(MOUNTS)];
        let with = |first: Output| trash(&[&[first], &rest[..]].concat(), &device);
        assert!(with(missing).unwrap().items.is_empty());
        assert!(with(denied).is_err());
        assert!(
            trash(&[said(""), said("5\n"), said("")], &device).is_err(),
            "no table of mounts"
        );
    }

    #[test]
    fn directories_of_a_volume() {
        let volume = "v".parse().unwrap();
        let found =
            |text: &str| brick_directories(&[said(text)], &volume).map_err(|error| error.why);
        assert_eq!(
            found("d v-0a1b2c3d\0f v-11111111\0d v-NotOurs1\0d v-00000000\0d v-0a1b2c3d-2\0")
                .unwrap(),
            ["v-00000000", "v-0a1b2c3d", "v-0a1b2c3d-2"]
        );
        // of a volume `v-0a1b2c3d`, and names that we do not give
        let others = "d v-0a1b2c3d-0a1b2c3d\0d v-0a1b2c3d-1\0d v-0a1b2c3d-9\0d v-0a1b2c3d-22\0";
        assert_eq!(found(others).unwrap(), Vec::<String>::new());
        assert!(found("d v-0a1b2c3d").is_err());
        assert!(
            brick_directories(
                &[Output {
                    exit: Some(1),
                    ..Output::default()
                }],
                &volume
            )
            .is_err()
        );
    }
}
