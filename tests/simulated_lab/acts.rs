//! What is done to both pools, and what is compared.

use std::fmt::{self, Write as _};
use std::time::Duration;

use gluster_operator::gluster::get_state;
use gluster_operator::gluster::model::{BrickFacts, DeviceFacts, QuotaView};
use gluster_operator::gluster::names::Bytes;
use gluster_operator::gluster::operation::{Command, Operation};
use gluster_operator::gluster::outcome::{Class, Family, Output, classify};
use gluster_operator::gluster::output;
use gluster_operator::host::HostError;
use gluster_operator::host::simulated::{Fault, SimulatedPool};

/// Four hosts become a pool, the fifth stays alone and is spoilt.
pub const HOSTS: [&str; 5] = ["node1", "node2", "node3", "node4", "node5"];
pub const DEVICE: &str = "/srv/bricks/d1";

/// What a client of a volume does.
#[derive(Debug, Clone)]
pub enum Client {
    Write(u64),
    MakeDirectory(&'static str),
    RemoveDirectory(&'static str),
}

#[derive(Debug, Clone)]
pub enum Act {
    /// What the product does.
    Do(&'static str, Operation),
    /// Words for gluster that no operation has; a deadline shorter than gluster's own, seconds.
    Gluster(&'static str, Family, Vec<String>, u64),
    /// Lines for gluster's standard input: how many answers there are, and what becomes of them.
    Batch(&'static str, &'static [&'static str]),
    Fault(&'static str, Fault),
    Client(&'static str, Client),
    /// The host has room for the bricks that run there, and no more.
    NoMoreBricks(&'static str),
    /// The states of these hosts.
    Look(&'static [&'static str]),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Do(host, Operation::Gluster(gluster)) => write!(f, "{host}: {}", gluster.typed()),
            Self::Gluster(host, _, words, _) => {
                let text: String = words.join(" ").chars().take(120).collect();
                write!(f, "{host}: gluster {text}")
            }
            other => write!(f, "{other:?}"),
        }
    }
}

/// What came back, as far as both pools must agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Of a command for glusterd.
    Outcome(Class, &'static str),
    /// The same of one that succeeded, and what a parser made of it.
    Told(Class, String),
    /// What a parser made of it.
    Read(String),
    /// Exit codes.
    Exits(Vec<Option<i32>>),
    Nothing,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(class, detail) => write!(f, "{} {detail}", class.as_str()),
            Self::Read(text) | Self::Told(_, text) => write!(f, "{text}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// The lines that differ.
pub fn difference(real: &Seen, simulated: &Seen) -> String {
    let (real, simulated) = (real.to_string(), simulated.to_string());
    let only = |here: &str, there: &str, whose: &str| -> String {
        let lines = here
            .lines()
            .filter(|line| !there.lines().any(|other| other == *line));
        let mut text = String::new();
        for line in lines {
            let _ = writeln!(text, "  {whose}: {line}");
        }
        text
    };
    only(&real, &simulated, "real") + &only(&simulated, &real, "simulated")
}

impl Seen {
    /// What an operation came to; `None` for what is no operation.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Outcome(class, _) | Self::Told(class, _) => Some(*class),
            Self::Exits(exits) if exits.iter().all(|exit| *exit == Some(0)) => Some(Class::Ok),
            Self::Exits(_) => Some(Class::Refused),
            Self::Read(_) | Self::Nothing => None,
        }
    }
}

/// The words for gluster as a command.
pub fn command(words: &[String], deadline: u64) -> Command {
    let head = ["gluster", "--mode=script", "--xml"].map(str::to_owned);
    Command {
        argv: [&head, words].concat(),
        stdin: None,
        deadline: Duration::from_secs(deadline),
    }
}

/// Lines for gluster's standard input as a command.
pub fn batch(lines: &[&str]) -> Command {
    Command {
        stdin: Some(lines.join("\n") + "\n"),
        ..command(&[], 30)
    }
}

/// Each document of a batch by its success, in order.
pub fn answers(output: &Output) -> Seen {
    let documents = output.stdout.split("<?xml").skip(1);
    let results = documents.map(|document| document.contains("<opRet>0</opRet>"));
    Seen::Read(format!("{:?}", results.collect::<Vec<_>>()))
}

/// The state of a host without what differs between any two pools: uuids, ids, daemons that come and go.
fn state(outputs: &[Output]) -> String {
    let Ok(mut state) = get_state::state(outputs) else {
        return "unreadable".to_owned();
    };
    state
        .peers
        .sort_by(|one, other| one.hostname.cmp(&other.hostname));
    let mut text = format!(
        "op-version {} options {:?}\n",
        state.op_version, state.global_options
    );
    for peer in &state.peers {
        let _ = writeln!(
            text,
            "peer {} {:?} {} {}",
            peer.hostname, peer.other_names, peer.state, peer.connected
        );
    }
    for volume in &mut state.volumes {
        volume.id.clear();
        for brick in &mut volume.bricks {
            // which one it is, is a matter of chance
            let runs = brick.online == Some(true);
            brick.port = brick.port.filter(|_| runs).map(|_| 1);
        }
        let _ = writeln!(text, "{volume:?}");
    }
    text
}

fn rounded(view: QuotaView) -> String {
    match view {
        QuotaView::Limit(limit) => format!(
            "{} limited to {}, {} MB used",
            limit.path,
            limit.hard_limit,
            limit.used.0 / 1_000_000
        ),
        other => format!("{other:?}"),
    }
}

/// What is compared of the outputs of an operation.
pub fn read(operation: &Operation, outputs: &Result<Vec<Output>, HostError>) -> Seen {
    let Ok(outputs) = outputs else {
        return Seen::Read("unreachable".to_owned());
    };
    match operation {
        Operation::Gluster(gluster) => match outputs.last() {
            Some(output) => outcome(gluster.family(), output),
            None => Seen::Nothing,
        },
        Operation::State { .. } => Seen::Read(state(outputs)),
        Operation::Survey { devices } => Seen::Read(match output::survey(outputs, devices.len()) {
            Ok(survey) => {
                let kinds: Vec<String> = survey.devices.iter().map(device).collect();
                format!("{:?} {:?} {kinds:?}", survey.owner, survey.ping_timeout)
            }
            Err(_) => "unreadable".to_owned(),
        }),
        Operation::About => Seen::Read(match output::about(outputs) {
            Ok(about) => format!("{} {}", about.version, about.addresses.len()),
            Err(_) => "unreadable".to_owned(),
        }),
        Operation::InspectBricks(paths) => {
            let facts = output::brick_facts(outputs, paths);
            Seen::Read(facts.iter().map(brick).collect::<Vec<_>>().join(", "))
        }
        Operation::CountBricks(paths) => {
            let count = |one: &Result<Bytes, String>| match one {
                Ok(bytes) => format!("{} MB", bytes.0 / 1_000_000),
                Err(_) => "unknown".to_owned(),
            };
            let uses = output::brick_uses(outputs, paths);
            Seen::Read(uses.iter().map(count).collect::<Vec<_>>().join(", "))
        }
        Operation::QuotaLists(volumes) => {
            let views = match outputs.last() {
                Some(output) => output::quotas(output, volumes.len()),
                None => Vec::new(),
            };
            let text: Vec<String> = views.into_iter().map(rounded).collect();
            Seen::Read(text.join(", "))
        }
        Operation::Crawl(_) => Seen::Read(format!("{:?}", output::crawling(outputs))),
        _ => Seen::Exits(outputs.iter().map(|output| output.exit).collect()),
    }
}

fn device(facts: &DeviceFacts) -> String {
    match facts {
        DeviceFacts::Present { mount_point, .. } => format!("mounted at {mount_point}"),
        DeviceFacts::Unknown(_) => "unknown".to_owned(),
        DeviceFacts::Missing => "missing".to_owned(),
    }
}

fn brick(facts: &BrickFacts) -> String {
    match facts {
        BrickFacts::Present {
            owner,
            foreign_mark,
            volume_id,
            empty,
        } => format!(
            "{owner:?} {foreign_mark} id {} empty {empty}",
            volume_id.is_some()
        ),
        BrickFacts::Unknown(_) => "unknown".to_owned(),
        BrickFacts::Missing => "missing".to_owned(),
    }
}

pub fn outcome(family: Family, output: &Output) -> Seen {
    let outcome = classify(family, output);
    if family == Family::QuotaList && outcome.class == Class::Ok {
        return Seen::Read(rounded(output::quota(output)));
    }
    if family == Family::VolumeStatus && outcome.class == Class::Ok {
        return Seen::Told(outcome.class, bricks_told(output));
    }
    Seen::Outcome(outcome.class, outcome.detail)
}

/// Which bricks told of clients and which of nothing, and how many nodes gluster says there are.
fn bricks_told(output: &Output) -> String {
    let (_, count) = output.stdout.split_once("<nodeCount>").unwrap_or_default();
    let (count, _) = count.split_once('<').unwrap_or_default();
    let mut text = format!("nodeCount {count}\n");
    for brick in output::clients(output).unwrap_or_default() {
        let told = if brick.clients.is_some() {
            "clients"
        } else {
            "nothing"
        };
        let _ = writeln!(text, "{}:{} told {told}", brick.host, brick.path);
    }
    text
}

impl Act {
    /// Does it to a simulated pool.
    pub fn on(&self, pool: &SimulatedPool) -> Seen {
        let name = |host: &str| host.parse().unwrap();
        match self {
            Self::Do(host, operation) => {
                let mut outputs = Vec::new();
                for command in operation.commands() {
                    match pool.run(&name(host), &command) {
                        Ok(output) => {
                            let stop = output.exit != Some(0) && !operation.independent();
                            outputs.push(output);
                            if stop {
                                break;
                            }
                        }
                        Err(error) => return read(operation, &Err(error)),
                    }
                }
                read(operation, &Ok(outputs))
            }
            Self::Gluster(host, family, words, deadline) => {
                match pool.run(&name(host), &command(words, *deadline)) {
                    Ok(output) => outcome(*family, &output),
                    Err(_) => Seen::Read("unreachable".to_owned()),
                }
            }
            Self::Batch(host, lines) => match pool.run(&name(host), &batch(lines)) {
                Ok(output) => answers(&output),
                Err(_) => Seen::Read("unreachable".to_owned()),
            },
            Self::Fault(host, fault) => {
                pool.fault(&name(host), *fault);
                Seen::Nothing
            }
            Self::Client(volume, client) => {
                match client {
                    Client::Write(bytes) => pool.write(volume, *bytes),
                    Client::MakeDirectory(path) => pool.make_directory(volume, path),
                    Client::RemoveDirectory(path) => pool.remove_directory(volume, path),
                }
                Seen::Nothing
            }
            Self::NoMoreBricks(host) => {
                pool.limit_bricks(&name(host), Some(1));
                Seen::Nothing
            }
            Self::Look(hosts) => {
                let look = |host: &&'static str| of_host(host, &Self::Do(host, looking()).on(pool));
                Seen::Read(hosts.iter().map(look).collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

/// What was seen of one host, its name before each line.
pub fn of_host(host: &str, seen: &Seen) -> String {
    let text = seen.to_string();
    let lines: Vec<String> = text.lines().map(|line| format!("{host}: {line}")).collect();
    lines.join("\n")
}

/// How a look is taken.
pub fn looking() -> Operation {
    Operation::State {
        slot: "sim".parse().unwrap(),
    }
}
