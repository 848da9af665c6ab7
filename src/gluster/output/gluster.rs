//! Answers of glusterd that are read for more than their class.

use super::Malformed;
use crate::gluster::answer::{Answer, Element};
use crate::gluster::model::{BrickClients, QuotaLimit, QuotaView};
use crate::gluster::names::{Bytes, Uuid};
use crate::gluster::outcome::{Class, Family, Output, classify};

/// `quota list V /`.
///
/// Measured on 10.3: with quota on and no limit on `/` the answer is one entry whose `hard_limit` is `N/A`; a path that is
/// not there gives an empty `<volQuota/>` and a complaint on standard error. The plain list, without a path, prints no XML at
/// all (exit 1) as long as nothing was written to the volume, although a limit stands. Without a majority of its bricks a
/// replicated volume answers "Failed to start aux mount" to a list, a limit and a removal alike.
pub fn quota(output: &Output) -> QuotaView {
    let outcome = classify(Family::QuotaList, output);
    match (outcome.class, outcome.detail) {
        (Class::Absent, "quota-disabled") => return QuotaView::Off,
        (Class::Absent, "quota-limit") if nothing_else(&output.stderr) => {
            return QuotaView::NoLimit;
        }
        (Class::Ok, _) => {}
        _ => return QuotaView::Unknown,
    }
    let Ok(answer) = Answer::read(&output.stdout) else {
        return QuotaView::Unknown;
    };
    let limits = answer.root.descendants("limit");
    let mut of_root = limits
        .into_iter()
        .filter(|limit| limit.text_of("path") == Some("/"));
    let (Some(limit), None) = (of_root.next(), of_root.next()) else {
        return QuotaView::Unknown;
    };
    let bytes = |name: &str| {
        limit
            .text_of(name)
            .and_then(|text| text.parse().ok())
            .map(Bytes)
    };
    match (bytes("hard_limit"), bytes("used_space")) {
        (Some(hard_limit), Some(used)) => QuotaView::Limit(QuotaLimit {
            path: "/".to_owned(),
            hard_limit,
            used,
        }),
        _ => QuotaView::Unknown,
    }
}

/// `quota list V /` of several volumes in one process: its documents carry no name, only an order. So where there are more
/// or fewer than were asked for, none is believed. That one shows no limit is a hint only, since complaints on standard error, which
/// say why, belong to nobody there.
pub fn quotas(output: &Output, count: usize) -> Vec<QuotaView> {
    let starts: Vec<usize> = output
        .stdout
        .match_indices("<?xml")
        .map(|(at, _)| at)
        .collect();
    if output.exit.is_none() || starts.len() != count || starts.first() != Some(&0) {
        return vec![QuotaView::Unknown; count];
    }
    let ends = starts.iter().skip(1).copied().chain([output.stdout.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| {
            let document = output.stdout.get(*start..end).unwrap_or_default();
            let one = Output {
                exit: Some(0),
                stdout: document.to_owned(),
                stderr: String::new(),
            };
            quota(&one)
        })
        .collect()
}

/// True if standard error complains of nothing but of a path that is not there: with any other complaint the missing
/// limit may be there and unreadable.
fn nothing_else(stderr: &str) -> bool {
    stderr.lines().all(|line| {
        line.trim().is_empty() || line.trim_end().ends_with(" No such file or directory")
    })
}

/// `volume status V clients`: the bricks that run, as far as their hosts are connected. A brick whose process is down
/// has no clients and is left out, and so is, by gluster, one whose host is not connected: whoever must be sure that a
/// client is gone compares with the volume's bricks. Each host's own daemons (self-heal, quota) are clients, too. A brick that has no
/// client at all answers like one that could not be asked: an empty `<clientsStatus/>` and an error text, with opRet 0; all
/// bricks after it are left out. `nodeCount` says nothing: the host that is asked counts each further brick of its own twice (measured on
/// 10.3).
pub fn clients(output: &Output) -> Result<Vec<BrickClients>, Malformed> {
    const WHAT: &str = "volume status clients";
    let outcome = classify(Family::VolumeStatus, output);
    let answer = if outcome.class == Class::Ok {
        Answer::read(&output.stdout).map_err(|why| Malformed::new(WHAT, why.to_string()))?
    } else {
        let why = [outcome.detail, &outcome.message].join(" ");
        return Err(Malformed::new(WHAT, why));
    };
    let volumes = answer.root.descendants("volume");
    let [volume] = volumes[..] else {
        return Err(Malformed::new(WHAT, "it is not about one volume"));
    };
    let mut bricks = Vec::new();
    for node in volume.all("node") {
        let field = |name: &str| {
            node.text_of(name)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| Malformed::new(WHAT, format!("a node has no {name}")))
        };
        let path = field("path")?;
        match field("status")? {
            "1" if path.starts_with('/') => bricks.push(BrickClients {
                host: field("hostname")?.to_owned(),
                path: path.to_owned(),
                clients: match node.child("clientsStatus") {
                    Some(status) if status.children.is_empty() => None,
                    _ => Some(connections(node).ok_or_else(|| {
                        Malformed::new(WHAT, format!("the clients of {path} do not add up"))
                    })?),
                },
            }),
            "0" | "1" => {}
            other => return Err(Malformed::new(WHAT, format!("a node's status is {other}"))),
        }
    }
    Ok(bricks)
}

/// True for what `volume status V clients` says where a brick has no client at all, or where its host could not do its part: which of both
/// it does not tell. Other bricks may be missing from the answer then; of a brick on another host there is no answer at all.
pub fn brick_failed(output: &Output) -> bool {
    Answer::read(&output.stdout).is_ok_and(|answer| {
        let told = if answer.success {
            "Glusterd Syncop Mgmt brick op 'Status' failed"
        } else {
            "Commit failed on "
        };
        answer.error.starts_with(told)
    })
}

/// Addresses without their port, as many as `clientCount` says.
fn connections(node: &Element) -> Option<Vec<String>> {
    let status = node.child("clientsStatus")?;
    let count: usize = status.text_of("clientCount")?.parse().ok()?;
    let found: Option<Vec<String>> = status
        .all("client")
        .map(|client| {
            let (address, port) = client.text_of("hostname")?.rsplit_once(':')?;
            port.parse::<u16>().ok()?;
            (!address.is_empty()).then(|| address.to_owned())
        })
        .collect();
    found.filter(|found| found.len() == count)
}

/// `volume get all KEY`: the value of that one option.
pub fn option_value(output: &Output, key: &str) -> Result<String, Malformed> {
    const WHAT: &str = "volume get all";
    let outcome = classify(Family::VolumeGet, output);
    if outcome.class != Class::Ok {
        let why = [outcome.detail, &outcome.message].join(" ");
        return Err(Malformed::new(WHAT, why));
    }
    let answer =
        Answer::read(&output.stdout).map_err(|why| Malformed::new(WHAT, why.to_string()))?;
    let options = answer.root.descendants("Opt");
    match options[..] {
        [option] if option.text_of("Option") == Some(key) => option
            .text_of("Value")
            .map(str::to_owned)
            .ok_or_else(|| Malformed::new(WHAT, "there is no value in it")),
        _ => Err(Malformed::new(WHAT, format!("it is not about {key}"))),
    }
}

/// `system:: uuid get`.
pub fn uuid(output: &Output) -> Result<Uuid, Malformed> {
    const WHAT: &str = "system:: uuid get";
    let outcome = classify(Family::SystemUuid, output);
    if outcome.class != Class::Ok {
        let why = [outcome.detail, &outcome.message].join(" ");
        return Err(Malformed::new(WHAT, why));
    }
    let answer =
        Answer::read(&output.stdout).map_err(|why| Malformed::new(WHAT, why.to_string()))?;
    let text = answer
        .root
        .child("uuidGenerate")
        .and_then(|generate| generate.text_of("uuid"))
        .ok_or_else(|| Malformed::new(WHAT, "there is no uuid in it"))?;
    text.parse()
        .map_err(|bad| Malformed::new(WHAT, format!("{bad}")))
}
