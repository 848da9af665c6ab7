//! Answers of a host's own tools: `cat`, `stat`, `getfattr`, `find`, `which`.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::{About, Malformed, Survey};
use crate::gluster::glusterd_vol::{self, ping_timeout};
use crate::gluster::model::{BrickFacts, DeviceFacts, Marks};
use crate::gluster::names::{Bytes, GLUSTERD_VOL, HostPath, OWNER_FILE, OWNER_XATTR, OwnerMark};
use crate::gluster::operation::{COUNT_TIME, PROGRAMS, SLICE_OVER_EXIT};
use crate::gluster::outcome::Output;

/// The end of a tool's complaint about a path that is not there.
const NO_ENTRY: &str = ": No such file or directory";

/// True if the tool exited with 1 for one reason: the path is not there.
pub(super) fn is_missing(output: &Output) -> bool {
    let complaint = output.stderr.trim();
    output.exit == Some(1)
        && output.stdout.trim().is_empty()
        && complaint.lines().count() == 1
        && complaint.ends_with(NO_ENTRY)
}

/// The output when the tool exited with 0, else what it said.
pub(super) fn success(output: &Output) -> Result<&str, String> {
    match output.exit {
        Some(0) => Ok(&output.stdout),
        Some(code) => Err(match output.stderr.trim() {
            "" => format!("exit status {code}"),
            words => words.chars().take(200).collect(),
        }),
        None => Err("no end of it was seen".to_owned()),
    }
}

/// `Operation::About`.
pub fn about(outputs: &[Output]) -> Result<About, Malformed> {
    const WHAT: &str = "the question for the version";
    let [version, addresses] = outputs else {
        return Err(Malformed::new(WHAT, "answers are missing"));
    };
    let version = success(version)
        .map_err(|why| Malformed::new(WHAT, why))?
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("glusterfs "))
        .map(|version| version.trim().to_owned())
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        .ok_or_else(|| Malformed::new(WHAT, "glusterfs does not tell its version"))?;
    Ok(About {
        version,
        addresses: success(addresses).map(own_addresses).unwrap_or_default(),
    })
}

/// `Operation::Survey`: an owner file that can't be read for any other reason than being absent is an error.
pub fn survey(outputs: &[Output], devices: usize) -> Result<Survey, Malformed> {
    const WHAT: &str = "the survey of a host";
    let [files, times, stats @ ..] = outputs else {
        return Err(Malformed::new(WHAT, "answers are missing"));
    };
    if stats.len() != devices * 2 {
        return Err(Malformed::new(WHAT, "answers about devices are missing"));
    }
    let owner = file_in(files, OWNER_FILE).map_err(|why| Malformed::new(WHAT, why))?;
    let configuration = file_in(files, GLUSTERD_VOL).ok().flatten();
    Ok(Survey {
        owner: owner.map(|text| text.trim().to_owned()),
        ping_timeout: configuration.as_deref().and_then(ping_timeout),
        ping_in_force: success(times).ok().and_then(in_force),
        devices: stats
            .chunks_exact(2)
            .map(|pair| device(&pair[0], &pair[1]))
            .collect(),
    })
}

/// One of the files of which `grep -aH ''` printed each line with the name in front; `None` when it complained that there is no such
/// file, and of nothing else about it.
fn file_in(output: &Output, path: &str) -> Result<Option<String>, String> {
    // 1: no file has a line; 2: there was a complaint. Without one what else is said, by sudo as it may be, is not about the files
    let stderr = match output.exit {
        Some(0 | 1) => "",
        Some(2) => output.stderr.trim(),
        _ => return Err(success(output).err().unwrap_or_default()),
    };
    let about = format!("{path}: ");
    let complaints: Vec<&str> = stderr
        .lines()
        .filter(|line| line.contains(path) || !line.starts_with("grep: /"))
        .collect();
    match complaints[..] {
        [] if output.exit == Some(2) && stderr.is_empty() => {
            Err("grep failed without a word".to_owned())
        }
        [] => {
            let head = format!("{path}:");
            let lines = output.stdout.split_inclusive('\n');
            Ok(Some(
                lines.filter_map(|line| line.strip_prefix(&head)).collect(),
            ))
        }
        [line] if line.contains(&about) && line.trim_end().ends_with(NO_ENTRY) => Ok(None),
        _ => Err(stderr.chars().take(200).collect()),
    }
}

/// `hostname -I`: all addresses but those of the loopback and of links.
fn own_addresses(text: &str) -> BTreeSet<String> {
    let words = text.split_whitespace();
    words
        .filter(|word| word.parse::<IpAddr>().is_ok())
        .map(str::to_owned)
        .collect()
}

/// `Operation::LowPorts`: how many there are, each counted once; `None` where the tables could not be read.
pub fn low_ports(outputs: &[Output]) -> Option<usize> {
    let [output] = outputs else { return None };
    let ports = |text: &str| -> Option<BTreeSet<u16>> {
        let port = |line: &str| u16::from_str_radix(line.trim_end().rsplit_once(':')?.1, 16).ok();
        text.lines().map(port).collect()
    };
    match output.exit {
        // 1: no line is like that; 2: one of the tables is not there
        Some(0..=2) if output.exit != Some(2) || !output.stdout.is_empty() => {
            ports(&output.stdout).map(|ports| ports.len())
        }
        _ => None,
    }
}

/// `stat -c '%.Z %.Y'` of glusterd.vol, which counts when its inode changed, and of glusterd's pid file, which is written when it starts.
fn in_force(times: &str) -> Option<bool> {
    let lines: Vec<&str> = times.lines().collect();
    let [file, pid] = lines[..] else {
        return None;
    };
    let ((changed, _), (_, started)) = (file.split_once(' ')?, pid.split_once(' ')?);
    glusterd_vol::in_force(changed, started)
}

/// `stat -L -c '%F %m'` and `stat -f -c '%i %S %b %a'`.
fn device(place: &Output, system: &Output) -> DeviceFacts {
    if is_missing(place) && is_missing(system) {
        return DeviceFacts::Missing;
    }
    let read = || -> Result<DeviceFacts, String> {
        let place = success(place)?.trim_end_matches('\n');
        let mount_point = place
            .strip_prefix("directory ")
            .filter(|mount_point| mount_point.starts_with('/'))
            .ok_or_else(|| format!("it is no directory: {place}"))?;
        let system = success(system)?.trim();
        let numbers: Vec<&str> = system.split(' ').collect();
        let [fs_id, block, blocks, free] = numbers[..] else {
            return Err(format!("stat said {system}"));
        };
        let bytes = |count: &str| {
            let (count, block) = (count.parse::<u64>().ok()?, block.parse::<u64>().ok()?);
            count.checked_mul(block).map(Bytes)
        };
        match (bytes(blocks), bytes(free)) {
            (Some(size), Some(free)) if !fs_id.is_empty() => Ok(DeviceFacts::Present {
                mount_point: mount_point.to_owned(),
                size,
                free,
                fs_id: fs_id.to_owned(),
            }),
            _ => Err(format!("stat said {system}")),
        }
    };
    read().unwrap_or_else(DeviceFacts::Unknown)
}

/// `Operation::Crawl`: `None` when it could not be found out.
pub fn crawling(outputs: &[Output]) -> Option<bool> {
    let [output] = outputs else { return None };
    match output.exit {
        Some(0) => Some(true),
        Some(1) if output.stdout.is_empty() && output.stderr.is_empty() => Some(false),
        _ => None,
    }
}

/// `Operation::InspectBricks`: one entry for each path.
pub fn brick_facts(outputs: &[Output], paths: &[HostPath]) -> Vec<BrickFacts> {
    paths
        .iter()
        .enumerate()
        .map(|(index, path)| {
            let pair = (outputs.len() == paths.len() * 2)
                .then(|| outputs.get(index * 2..index * 2 + 2))
                .flatten();
            match pair {
                Some([attributes, entries]) => brick(path, attributes, entries),
                _ => BrickFacts::Unknown("answers are missing".to_owned()),
            }
        })
        .collect()
}

fn brick(path: &HostPath, attributes: &Output, entries: &Output) -> BrickFacts {
    if is_missing(attributes) && is_missing(entries) {
        return BrickFacts::Missing;
    }
    let read = || -> Result<BrickFacts, String> {
        // one line for the path itself, one for the first thing in it: depth and type
        let empty = match success(entries)?.lines().collect::<Vec<_>>()[..] {
            ["0d"] => true,
            ["0d", _] => false,
            ["0l"] => return Err("it is a symbolic link".to_owned()),
            _ => return Err("it is no directory".to_owned()),
        };
        let Marks {
            owner,
            foreign_mark,
            volume_id,
        } = marks(path, success(attributes)?)?;
        Ok(BrickFacts::Present {
            owner,
            foreign_mark,
            volume_id,
            empty,
        })
    };
    read().unwrap_or_else(BrickFacts::Unknown)
}

/// `Operation::CountBricks`: one entry for each path, at least as much as GlusterFS counts for its files. Where it is not known,
/// why.
pub fn brick_uses(outputs: &[Output], paths: &[HostPath]) -> Vec<Result<Bytes, String>> {
    let [by_blocks, by_size] = outputs else {
        return vec![Err("answers are missing".to_owned()); paths.len()];
    };
    paths
        .iter()
        .map(|path| Ok(counted(by_blocks, path)?.min(counted(by_size, path)?)))
        .collect()
}

/// What `du` printed of a path. Files that go while it counts are no failure.
fn counted(output: &Output, path: &HostPath) -> Result<Bytes, String> {
    let complaints = output.stderr.trim();
    let text = match output.exit {
        Some(1) if complaints.lines().all(|line| line.ends_with(NO_ENTRY)) => &output.stdout,
        Some(SLICE_OVER_EXIT) => {
            return Err(format!(
                "counting its files was given up after {} s",
                COUNT_TIME.as_secs()
            ));
        }
        _ => success(output)?,
    };
    let of_path = |line: &str| {
        let (bytes, counted) = line.split_once('\t')?;
        (counted == path.as_str()).then(|| bytes.parse().ok().map(Bytes))?
    };
    // each line has an end, so that a torn one is noticed
    let mut found = text
        .split_inclusive('\n')
        .filter_map(|line| of_path(line.strip_suffix('\n')?));
    match (found.next(), found.next()) {
        (Some(bytes), None) => Ok(bytes),
        _ if complaints.is_empty() => Err("du did not tell of it".to_owned()),
        _ => Err(complaints.chars().take(200).collect()),
    }
}

/// Whose a directory is, by what `getfattr` printed.
pub(super) fn marks(path: &HostPath, text: &str) -> Result<Marks, String> {
    let mut found = Marks::default();
    for (name, value) in xattrs(path, text)? {
        match name {
            "trusted.glusterfs.volume-id" => found.volume_id = Some(volume_uuid(&value)?),
            OWNER_XATTR => {
                found.owner = String::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse::<OwnerMark>().ok());
                found.foreign_mark |= found.owner.is_none();
            }
            name if name.starts_with("trusted.gluster-operator") => found.foreign_mark = true,
            _ => return Err(format!("getfattr told of {name}")),
        }
    }
    Ok(found)
}

/// Names and values that `getfattr -d -e hex` printed; it prints nothing at all where none matches.
fn xattrs<'a>(path: &HostPath, text: &'a str) -> Result<Vec<(&'a str, Vec<u8>)>, String> {
    let mut lines = text.lines();
    match lines.next() {
        None => return Ok(Vec::new()),
        Some(head) if head.strip_prefix("# file: ") == Some(path.as_str()) => {}
        Some(head) => return Err(format!("getfattr told of {head}")),
    }
    // an empty line ends the list, so that a torn one is noticed
    let mut found: Vec<(&str, Vec<u8>)> = Vec::new();
    for line in lines.by_ref() {
        if line.is_empty() {
            return match lines.next() {
                None => Ok(found),
                Some(more) => Err(format!("getfattr went on with {more}")),
            };
        }
        let (name, value) = line
            .split_once("=0x")
            .and_then(|(name, value)| Some((name, hex::decode(value).ok()?)))
            .ok_or_else(|| format!("getfattr said {line}"))?;
        if found.iter().any(|(known, _)| *known == name) {
            return Err(format!("getfattr told twice of {name}"));
        }
        found.push((name, value));
    }
    Err("what getfattr said is torn".to_owned())
}

fn volume_uuid(bytes: &[u8]) -> Result<String, String> {
    let hex = hex::encode(bytes);
    if bytes.len() != 16 {
        return Err(format!("the volume-id is {hex}"));
    }
    Ok([
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-"))
}

/// `Operation::Prerequisites`: names of missing programs with their package.
pub fn missing_programs(
    outputs: &[Output],
) -> Result<Vec<(&'static str, &'static str)>, Malformed> {
    const WHAT: &str = "the search for programs";
    let [made, which] = outputs else {
        let why = outputs.first().map_or(Ok(""), success);
        return Err(Malformed::new(WHAT, why.err().unwrap_or_default()));
    };
    success(made).map_err(|why| Malformed::new(WHAT, why))?;
    let found: Vec<&str> = which
        .stdout
        .lines()
        .filter_map(|line| line.rsplit_once('/').map(|(_, name)| name.trim_end()))
        .collect();
    let missing: Vec<(&str, &str)> = PROGRAMS
        .iter()
        .copied()
        .filter(|(program, _)| !found.contains(program))
        .collect();
    // which exits with 0 when it found all, and with 1 when not
    match which.exit {
        Some(0) if missing.is_empty() => Ok(missing),
        Some(1) if !missing.is_empty() => Ok(missing),
        _ => Err(Malformed::new(
            WHAT,
            success(which)
                .err()
                .unwrap_or_else(|| "which contradicts itself".to_owned()),
        )),
    }
}
