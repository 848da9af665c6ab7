//! Parser of the file that `get-state` writes: one glusterd's whole view, without taking a lock.
//!
//! The file is lines of `key: value` below `[Section]` heads. It is believed only when it is whole: all sections in
//! their order down to `[Misc]`, which glusterd writes last and of which nothing is read; volumes, bricks and
//! peers counted without a gap; each volume with as many bricks as its `brickcount`. So a file cut off anywhere, or one
//! into which two glusterd threads wrote at once, is an error and never a pool with fewer volumes.
//!
//! Measured on 10.3:
//! - A host that never made its uuid prints zeros; `[Services]` and `[Misc]` may be empty.
//! - `BrickN.status` stands only at the host's own bricks, and turns to `Stopped` within 1 s of a brick's death, while
//!   `port_registered` stays 1: that one is ignored.
//! - The value of an option may hold `: `, brackets and blanks; a line break would tear the file (and keeps glusterd
//!   from starting again), so such a file is refused as a whole.

use std::collections::BTreeMap;

use super::model::{GlusterdState, Peer, Volume, VolumeBrick, VolumeStatus};
use super::outcome::{Class, Family, Output, classify};
use super::output::Malformed;

/// Sections that every file has, in order.
const SECTIONS: [&str; 6] = [
    "Global",
    "Global options",
    "Peers",
    "Volumes",
    "Services",
    "Misc",
];
/// What a host without a uuid prints.
const NO_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// Parses the answers of [`super::operation::Operation::State`]: gluster's, then the file.
pub fn state(outputs: &[Output]) -> Result<GlusterdState, Malformed> {
    let (written, rest) = outputs
        .split_first()
        .ok_or_else(|| malformed("there is no answer"))?;
    let outcome = classify(Family::GetState, written);
    if outcome.class != Class::Ok || outcome.detail != "file-written" {
        let why = [outcome.detail, &outcome.message].join(" ");
        return Err(malformed(why.trim()));
    }
    match rest {
        [file] if file.exit == Some(0) => parse(&file.stdout),
        [file] => Err(malformed(&format!(
            "its file can't be read: {}",
            file.stderr.trim()
        ))),
        _ => Err(malformed("its file was not read")),
    }
}

/// Parses the file.
pub fn parse(text: &str) -> Result<GlusterdState, Malformed> {
    let sections = sections(text)?;
    let lines = |name: &str| sections.get(name).map_or(&[][..], Vec::as_slice);
    let mut state = GlusterdState {
        global_options: lines("Global options")
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..GlusterdState::default()
    };
    let global: BTreeMap<&str, &str> = lines("Global").iter().copied().collect();
    state.uuid = match *need(&global, "MYUUID")? {
        NO_UUID => None,
        uuid => Some(uuid.parse().map_err(|bad| malformed(&format!("{bad}")))?),
    };
    state.op_version = number(&global, "op-version")?;
    for peer in numbered("Peer", lines("Peers"))? {
        state.peers.push(read_peer(&peer)?);
    }
    for volume in numbered("Volume", lines("Volumes"))? {
        state.volumes.push(read_volume(&volume)?);
    }
    for service in numbered("svc", lines("Services"))? {
        let name = need(&service, "name")?;
        match *need(&service, "online_status")? {
            "Online" => state.services_online.push((*name).to_owned()),
            "Offline" => {}
            other => return Err(malformed(&format!("{name} is {other:?}"))),
        }
    }
    Ok(state)
}

type Lines<'a> = Vec<(&'a str, &'a str)>;
type Fields<'a> = BTreeMap<&'a str, &'a str>;

/// Lines by section. Sections that we do not know may stand between those that we do.
fn sections(text: &str) -> Result<BTreeMap<&str, Lines<'_>>, Malformed> {
    if !text.contains("\n[Misc]\n") {
        return Err(malformed("it is cut off before its last section"));
    }
    let mut found: BTreeMap<&str, Lines<'_>> = BTreeMap::new();
    let mut wanted = SECTIONS.iter();
    let mut next = wanted.next();
    let mut current: Option<&str> = None;
    // the last piece is what no line break ended; a head in it may be cut, and its line is no line
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.split('\n') {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            if next == Some(&name) {
                next = wanted.next();
            } else if SECTIONS.contains(&name) {
                return Err(malformed(&format!("[{name}] is out of order")));
            }
            if found.insert(name, Vec::new()).is_some() {
                return Err(malformed(&format!("[{name}] stands there twice")));
            }
            current = Some(name);
        } else if !line.is_empty() {
            let field = line
                .split_once(": ")
                .or_else(|| line.strip_suffix(':').map(|key| (key, "")))
                .ok_or_else(|| malformed(&format!("the line {line:?} is no field")))?;
            current
                .and_then(|name| found.get_mut(name))
                .ok_or_else(|| malformed("it begins without a section"))?
                .push(field);
        }
    }
    match next {
        None => Ok(found),
        Some(name) => Err(malformed(&format!("it ends before [{name}]"))),
    }
}

/// Splits `Peer1.uuid`, `Peer1.state`, `Peer2.uuid`, … into one map for each number, which count from 1 without a gap.
fn numbered<'a>(head: &str, lines: &[(&'a str, &'a str)]) -> Result<Vec<Fields<'a>>, Malformed> {
    let mut found: Vec<Fields<'a>> = Vec::new();
    for (key, value) in lines {
        let (number, field) = key
            .strip_prefix(head)
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(number, field)| Some((number.parse::<usize>().ok()?, field)))
            .ok_or_else(|| malformed(&format!("{key:?} is no field of {head}")))?;
        if number == found.len() + 1 {
            found.push(Fields::new());
        }
        let last = found.len();
        match found.last_mut() {
            Some(fields) if number == last => {
                if fields.insert(field, value).is_some() {
                    return Err(malformed(&format!("{key} stands there twice")));
                }
            }
            _ => return Err(malformed(&format!("{head}{number} is out of order"))),
        }
    }
    Ok(found)
}

fn read_peer(fields: &Fields<'_>) -> Result<Peer, Malformed> {
    Ok(Peer {
        uuid: need(fields, "uuid")?
            .parse()
            .map_err(|bad| malformed(&format!("{bad}")))?,
        hostname: (*need(fields, "primary_hostname")?).to_owned(),
        other_names: need(fields, "othernames")?
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        state: (*need(fields, "state")?).to_owned(),
        connected: match *need(fields, "connected")? {
            "Connected" => true,
            "Disconnected" => false,
            other => return Err(malformed(&format!("a peer is {other:?}"))),
        },
    })
}

fn read_volume(fields: &Fields<'_>) -> Result<Volume, Malformed> {
    let name = (*need(fields, "name")?).to_owned();
    let mut in_order: Vec<(&str, &str)> = Vec::new();
    for (key, value) in fields {
        if key.starts_with("Brick") {
            in_order.push((key, value));
        }
    }
    // a map sorts Brick10 before Brick2
    in_order.sort_by_key(|(key, _)| {
        let digits = key.trim_start_matches("Brick");
        digits
            .split('.')
            .next()
            .and_then(|n| n.parse::<usize>().ok())
    });
    let bricks = numbered("Brick", &in_order)?
        .iter()
        .map(read_brick)
        .collect::<Result<Vec<_>, _>>()?;
    let count: usize = number(fields, "brickcount")?;
    if count == 0 || bricks.len() != count {
        return Err(malformed(&format!(
            "volume {name} shows {} of {count} bricks",
            bricks.len()
        )));
    }
    Ok(Volume {
        id: (*need(fields, "id")?).to_owned(),
        type_name: (*need(fields, "type")?).to_owned(),
        status: match *need(fields, "status")? {
            "Created" => VolumeStatus::Created,
            "Started" => VolumeStatus::Started,
            "Stopped" => VolumeStatus::Stopped,
            other => return Err(malformed(&format!("volume {name} is {other:?}"))),
        },
        bricks,
        replica_count: number(fields, "replica_count")?,
        arbiter_count: number(fields, "arbiter_count")?,
        disperse_count: number(fields, "disperse_count")?,
        redundancy_count: number(fields, "redundancy_count")?,
        options: fields
            .iter()
            .filter_map(|(key, value)| {
                let option = key.strip_prefix("options.")?;
                Some((option.to_owned(), (*value).to_owned()))
            })
            .collect(),
        name,
    })
}

fn read_brick(fields: &Fields<'_>) -> Result<VolumeBrick, Malformed> {
    let whole = need(fields, "path")?;
    let host = (*need(fields, "hostname")?).to_owned();
    let path = whole
        .strip_prefix(host.as_str())
        .and_then(|rest| rest.strip_prefix(':'))
        .filter(|path| path.starts_with('/'))
        .ok_or_else(|| malformed(&format!("the brick {whole:?} is not on {host:?}")))?
        .to_owned();
    Ok(VolumeBrick {
        host,
        path,
        port: fields
            .get("port")
            .and_then(|port| port.parse().ok())
            .filter(|port| *port > 0),
        online: match fields.get("status") {
            // on its way: in some tenths of a second it runs, or it does not
            None | Some(&"Starting" | &"Stopping") => None,
            Some(&"Started") => Some(true),
            Some(&"Stopped") => Some(false),
            Some(other) => return Err(malformed(&format!("brick {whole} is {other:?}"))),
        },
        arbiter: fields.get("is_arbiter") == Some(&"1"),
    })
}

fn need<'f>(fields: &'f Fields<'_>, key: &str) -> Result<&'f &'f str, Malformed> {
    fields
        .get(key)
        .ok_or_else(|| malformed(&format!("{key} is missing")))
}

fn number<N: std::str::FromStr>(fields: &Fields<'_>, key: &str) -> Result<N, Malformed> {
    let text = need(fields, key)?;
    text.parse()
        .map_err(|_| malformed(&format!("{key} is {text:?}, not a number")))
}

fn malformed(why: &str) -> Malformed {
    Malformed::new("get-state", why)
}
