//! Quota: enable, disable, limits, and the list.

use std::fmt::Write as _;

use crate::gluster::outcome::Output;

use super::Quirk;
use super::answers::{ANY, Tail, done, operation, refused, text, usage, xml};
use super::gluster::Phase;
use super::world::{Brick, Machine, Volume, World};

const HOW: &str = "volume quota <VOLNAME> {enable|disable|list [<path> ...]| list-objects [<path> ...] | remove <path>| remove-objects <path> | default-soft-limit <percent>}\nvolume quota <VOLNAME> {limit-usage <path> <size> [<percent>]}";
/// What an unreadable list shows before its XML.
const NOT_READ: &str = "/                                            N/A       N/A        N/A     N/A             N/A                  N/A\n";

/// What the CLI refuses without asking glusterd.
pub(super) fn checked_by_cli(words: &[&str]) -> Option<Output> {
    let ["volume", "quota", _, rest @ ..] = words else {
        return None;
    };
    match rest {
        ["limit-usage" | "list" | "remove", path, ..] if !path.starts_with('/') => {
            Some(usage("Please enter absolute path", HOW))
        }
        ["limit-usage", _, size] if size.parse::<i64>().map_or(true, |size| size < 1) => {
            Some(usage(
                "Please enter an integer value in the range of (1 - 9223372036854775807)",
                HOW,
            ))
        }
        _ => None,
    }
}

impl World {
    pub(super) fn quota(&mut self, host: &str, name: &str, words: &[&str]) -> Output {
        let volume = match self.staged(host, name, Tail::Quota) {
            Ok(volume) => volume,
            Err(refusal) => return refusal,
        };
        if !volume.started() {
            return refused(
                Tail::Quota,
                "Volume is stopped, start volume before executing quota command.",
            );
        }
        if let Err(refusal) = self.peers_know(host, name, Phase::Staging, Tail::Quota) {
            return refusal;
        }
        match words {
            ["enable"] if volume.quota() => refused(Tail::Quota, "Quota is already enabled"),
            ["enable"] => self.quota_enable(host, name, &volume),
            _ if !volume.quota() => refused(Tail::Quota, "Quota is disabled, please enable quota"),
            ["disable"] => {
                self.everywhere(host, name, |volume| {
                    for key in ["features.quota", "features.inode-quota"] {
                        volume.options.insert(key.to_owned(), "off".to_owned());
                    }
                    volume.options.remove("features.quota-deem-statfs");
                    volume.limits.clear();
                });
                operation("volQuota", "")
            }
            _ if !self.writable(&volume) => refused(Tail::Quota, "Failed to start aux mount"),
            ["limit-usage", path, size] => self.limit(host, name, &volume, path, size),
            ["remove", path] => self.remove_limit(host, name, &volume, path),
            ["list"] => self.plain_list(name, &volume),
            ["list", paths @ ..] => self.list(name, &volume, paths),
            _ => usage("unknown option", HOW),
        }
    }

    fn quota_enable(&mut self, host: &str, name: &str, volume: &Volume) -> Output {
        self.everywhere(host, name, |volume| {
            for key in [
                "features.quota",
                "features.inode-quota",
                "features.quota-deem-statfs",
            ] {
                volume.options.insert(key.to_owned(), "on".to_owned());
            }
        });
        if volume.option("server.allow-insecure") == Some("off") {
            for brick in &volume.bricks {
                let owner = self
                    .machines
                    .values_mut()
                    .find(|machine| machine.uuid == brick.uuid);
                if let Some(machine) = owner.filter(|machine| machine.answers()) {
                    machine.crawls.insert(name.to_owned());
                }
            }
        }
        operation("volQuota", "")
    }

    /// Whether clients can write: each set has a majority of its bricks, or as many as it needs for its data.
    fn writable(&self, volume: &Volume) -> bool {
        let shape = volume.shape;
        let online = |brick: &&super::world::Brick| {
            self.by_uuid(&brick.uuid)
                .is_some_and(|machine| machine.reached() && machine.running.contains(&brick.path))
        };
        let needed = match shape.set() {
            set if shape.disperse > 0 => set - shape.redundancy,
            2 => 1,
            set => set / 2 + 1,
        };
        volume
            .bricks
            .chunks(shape.set())
            .all(|set| set.iter().filter(online).count() >= needed)
    }

    /// The crawl never ended, so nobody knows what is used.
    fn unread(&mut self, name: &str, volume: &Volume) -> bool {
        let crawls = volume.bricks.iter().any(|brick| {
            self.by_uuid(&brick.uuid)
                .is_some_and(|machine| machine.crawls.contains(name))
        });
        crawls && self.quirk(Quirk::CrawlHangsWhenClosed)
    }

    fn has_directory(&self, volume: &Volume, path: &str) -> bool {
        path == "/"
            || self
                .contents
                .get(&volume.id)
                .is_some_and(|content| content.directories.contains(path))
    }

    fn used(&self, volume: &Volume) -> u64 {
        self.contents
            .get(&volume.id)
            .map_or(0, |content| content.used)
    }

    /// `du -s` of bricks. What clients wrote is spread evenly over the sets.
    pub(super) fn count(&self, host: &str, words: &[&str]) -> Output {
        let Some(machine) = self.machines.get(host) else {
            return usage("no such host", "");
        };
        let (mut list, mut complaints) = (String::new(), String::new());
        for path in words.iter().filter(|word| word.starts_with('/')) {
            if machine.files.get(path).is_some() {
                let bytes = self.held(machine, path);
                let _ = writeln!(list, "{bytes}\t{path}");
            } else {
                let _ = writeln!(
                    complaints,
                    "du: cannot access '{path}': No such file or directory"
                );
            }
        }
        text(i32::from(!complaints.is_empty()), &list, &complaints)
    }

    fn held(&self, machine: &Machine, path: &str) -> u64 {
        let own = |brick: &Brick| brick.uuid == machine.uuid && brick.path == path;
        let Some(volume) = machine
            .volumes
            .values()
            .find(|volume| volume.bricks.iter().any(own))
        else {
            return 0;
        };
        let shape = volume.shape;
        let sets = (volume.bricks.len() / shape.set()).max(1) as u64;
        let fragments = shape.disperse.saturating_sub(shape.redundancy).max(1) as u64;
        if volume
            .bricks
            .iter()
            .any(|brick| own(brick) && brick.arbiter)
        {
            return 0;
        }
        self.used(volume).div_ceil(sets).div_ceil(fragments)
    }

    fn limit(&mut self, host: &str, name: &str, volume: &Volume, path: &str, size: &str) -> Output {
        if !self.has_directory(volume, path) {
            return no_directory(path);
        }
        let size: u64 = size.parse().unwrap_or_default();
        if path == "/" && size < self.used(volume) && !self.quirk(Quirk::LimitBelowUse) {
            return refused(Tail::Quota, "Hard-limit value out of range of what is used");
        }
        self.everywhere(host, name, |volume| {
            volume.limits.insert(path.to_owned(), size);
        });
        operation("volQuota", "")
    }

    fn remove_limit(&mut self, host: &str, name: &str, volume: &Volume, path: &str) -> Output {
        if !self.has_directory(volume, path) {
            return no_directory(path);
        }
        if !volume.limits.contains_key(path) {
            return refused(
                Tail::Quota,
                &format!(
                    "removexattr failed on /var/run/gluster/{name}_quota_limit{path}. Reason : No data available"
                ),
            );
        }
        self.everywhere(host, name, |volume| {
            volume.limits.remove(path);
        });
        operation("volQuota", "")
    }

    fn entry(&self, volume: &Volume, path: &str) -> String {
        let used = if path == "/" { self.used(volume) } else { 0 };
        let fields = match volume.limits.get(path) {
            Some(limit) => {
                let soft = limit / 5 * 4 + limit % 5 * 4 / 5;
                let exceeded = |limit: u64| if used > limit { "Yes" } else { "No" };
                [
                    limit.to_string(),
                    "80%".to_owned(),
                    soft.to_string(),
                    used.to_string(),
                    limit.saturating_sub(used).to_string(),
                    exceeded(soft).to_owned(),
                    exceeded(*limit).to_owned(),
                ]
            }
            None => {
                ["N/A", "N/A", "N/A", &used.to_string(), "N/A", "N/A", "N/A"].map(str::to_owned)
            }
        };
        let names = [
            "hard_limit",
            "soft_limit_percent",
            "soft_limit_value",
            "used_space",
            "avail_space",
            "sl_exceeded",
            "hl_exceeded",
        ];
        let mut entry = format!("    <limit>\n      <path>{path}</path>\n");
        for (name, value) in names.iter().zip(fields) {
            let _ = writeln!(entry, "      <{name}>{value}</{name}>");
        }
        entry + "    </limit>\n"
    }

    fn list(&mut self, name: &str, volume: &Volume, paths: &[&str]) -> Output {
        if self.unread(name, volume) {
            return text(0, &format!("{NOT_READ}{}", listed("")), "");
        }
        let (mut entries, mut complaints) = (String::new(), String::new());
        for path in paths {
            if self.has_directory(volume, path) {
                entries += &self.entry(volume, path);
            } else {
                let _ = writeln!(complaints, "{path:<40} No such file or directory");
            }
        }
        text(0, &listed(&entries), &complaints)
    }

    /// The list without a path goes by quota.conf, where entries of removed directories stay.
    fn plain_list(&mut self, name: &str, volume: &Volume) -> Output {
        if volume.limits.is_empty() {
            return xml(
                -1,
                0,
                &format!("No quota configured on volume {name}"),
                "  <cliOp>volQuota</cliOp>\n",
            );
        }
        if self.unread(name, volume) {
            return text(1, NOT_READ, "");
        }
        let leaked = volume
            .limits
            .keys()
            .any(|path| !self.has_directory(volume, path));
        if leaked && self.quirk(Quirk::LeakedLimit) {
            return text(1, "", "");
        }
        let entries: Vec<String> = volume
            .limits
            .keys()
            .filter(|path| self.has_directory(volume, path))
            .map(|path| self.entry(volume, path))
            .collect();
        text(0, &listed(&entries.concat()), "")
    }
}

fn listed(entries: &str) -> String {
    let list = if entries.is_empty() {
        "  <volQuota/>\n".to_owned()
    } else {
        format!("  <volQuota>\n{entries}  </volQuota>\n")
    };
    done(&list).stdout
}

fn no_directory(path: &str) -> Output {
    xml(
        -2,
        ANY,
        &format!(
            "Failed to get trusted.gfid attribute on path {path}. Reason : No such file or directory"
        ),
        "  <cliOp>volQuota</cliOp>\n",
    )
}
