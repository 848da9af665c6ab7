//! The real pool: the same acts on hosts of a lab.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use gluster_operator::gluster::model::SilentKind;
use gluster_operator::gluster::names::HostName;
use gluster_operator::gluster::operation::{Command, Operation};
use gluster_operator::gluster::outcome::{Class, Family, Output};
use gluster_operator::host::simulated::Fault;
use gluster_operator::host::{HostError, LocalHost};

use crate::acts::{Act, Client, Seen, answers, batch, command, looking, of_host, outcome, read};
use crate::gluster_lab::{GlusterLab, said};

/// How long the real pool may take to show what the simulated one shows at once: peers connect, bricks register.
const SETTLES: Duration = Duration::from_secs(15);
/// What gluster says of a mount of its own that has not reached the bricks.
const NOT_YET: &str = "Transport endpoint is not connected";

pub struct Real<'a> {
    lab: &'a GlusterLab,
    runtime: tokio::runtime::Runtime,
    /// The end of what the last command printed, for who wants to know why it was something else.
    words: RefCell<String>,
}

impl<'a> Real<'a> {
    pub fn new(lab: &'a GlusterLab) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            lab,
            runtime,
            words: RefCell::default(),
        }
    }

    /// What the last command printed.
    pub fn words(&self) -> String {
        self.words.borrow().clone()
    }

    /// Does it, and says what came back; for what is only read, again until it is what is expected or time is up.
    pub fn see(&self, act: &Act, expected: &Seen) -> Seen {
        let start = Instant::now();
        loop {
            let seen = self.act(act);
            let patient = match (act, &seen) {
                // somebody else's transaction: what the product does, too
                (_, Seen::Outcome(Class::Busy, _)) | (Act::Look(_), _) => true,
                // gluster mounts a volume to set its limit, and its mount has not reached the bricks yet: the product tries again, too
                (_, Seen::Outcome(Class::Refused, _)) if self.words().contains(NOT_YET) => true,
                // quotad needs a moment to have a limit, a brick to take a client
                (Act::Do(_, Operation::Gluster(gluster)), _) => gluster.is_read(),
                (Act::Gluster(_, family, ..), _) => *family == Family::QuotaList,
                (Act::Do(..) | Act::Batch(..), Seen::Read(_)) => true,
                _ => false,
            };
            if seen == *expected || !patient || start.elapsed() > SETTLES {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    async fn run(&self, host: &str, command: Command) -> Result<Output, HostError> {
        let name: HostName = host.parse().unwrap();
        let unreachable = || HostError {
            host: name.clone(),
            address: "lab".into(),
            kind: SilentKind::Unreachable,
            why: "it is down".into(),
        };
        let pid = std::fs::read_to_string(self.lab.dir().join(host).join("initpid"))
            .map_err(|_| unreachable())?;
        let enter = [
            "nsenter",
            "-t",
            pid.trim(),
            "-m",
            "-u",
            "-i",
            "-n",
            "-p",
            "--",
        ];
        let enter = enter.map(str::to_owned);
        let command = Command {
            argv: [&enter, command.argv.as_slice()].concat(),
            ..command
        };
        let output = LocalHost::new(name.clone()).run(command).await?;
        let said = format!("{:?} {}{}", output.exit, output.stdout, output.stderr);
        *self.words.borrow_mut() = said.chars().take(2000).collect();
        Ok(output)
    }

    async fn perform(&self, host: &str, operation: &Operation) -> Seen {
        let mut outputs = Vec::new();
        for command in operation.commands() {
            match self.run(host, command).await {
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

    fn act(&self, act: &Act) -> Seen {
        match act {
            Act::Do(host, operation) => self.runtime.block_on(self.perform(host, operation)),
            Act::Gluster(host, family, words, deadline) => {
                match self
                    .runtime
                    .block_on(self.run(host, command(words, *deadline)))
                {
                    Ok(output) => outcome(*family, &output),
                    Err(_) => Seen::Read("unreachable".to_owned()),
                }
            }
            Act::Batch(host, lines) => match self.runtime.block_on(self.run(host, batch(lines))) {
                Ok(output) => answers(&output),
                Err(_) => Seen::Read("unreachable".to_owned()),
            },
            Act::Fault(host, fault) => {
                let words: &[&str] = match fault {
                    Fault::Kill => &["kill", host],
                    Fault::Boot => &["start", host],
                    Fault::Cut => &["partition", host],
                    Fault::Restore => &["restore", host],
                    Fault::StopGlusterd => &["service", host, "glusterd", "stop"],
                    Fault::StartGlusterd => &["service", host, "glusterd", "restart"],
                    Fault::HangGlusterd => &["service", host, "glusterd", "hang"],
                    Fault::ResumeGlusterd => &["service", host, "glusterd", "resume"],
                };
                let output = self.lab.script(words);
                // one that can't read its store does not start; the next look shows it
                let may_fail = *fault == Fault::StartGlusterd;
                assert!(
                    may_fail || output.status.success(),
                    "{words:?}: {}",
                    said(&output)
                );
                Seen::Nothing
            }
            Act::Client(volume, client) => {
                let what = match client {
                    Client::Write(bytes) => format!(
                        "head -c {bytes} /dev/zero > /mnt/sim/written && sync /mnt/sim/written"
                    ),
                    Client::MakeDirectory(path) => format!("mkdir /mnt/sim{path}"),
                    Client::RemoveDirectory(path) => format!("rmdir /mnt/sim{path}"),
                };
                self.lab.shell(
                    "node1",
                    &format!("mkdir -p /mnt/sim && mount -t glusterfs node1:/{volume} /mnt/sim && mountpoint -q /mnt/sim && {what} && umount /mnt/sim"),
                );
                Seen::Nothing
            }
            Act::NoMoreBricks(host) => {
                // as many files as are open now, and a few more
                self.lab.shell(
                    host,
                    "p=$(pidof glusterfsd) && prlimit --nofile=$(( $(ls /proc/$p/fd | wc -l) + 8 )):20000 --pid $p",
                );
                Seen::Nothing
            }
            Act::Look(hosts) => {
                let operation = looking();
                let looks = hosts.iter().map(|host| self.perform(host, &operation));
                let seen = self.runtime.block_on(futures::future::join_all(looks));
                let lines: Vec<String> = hosts
                    .iter()
                    .zip(seen)
                    .map(|(host, seen)| of_host(host, &seen))
                    .collect();
                Seen::Read(lines.join("\n"))
            }
        }
    }
}
