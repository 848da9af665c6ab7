//! The programs of a host besides gluster, with their complaints in the C locale.

use crate::gluster::operation::{Command, LOCK_HELD_EXIT};
use crate::gluster::outcome::Output;

use super::Quirk;
use super::answers::{silence, text};
use super::files::{Files, Node, parent};
use super::world::{Machine, Volume, World};

impl World {
    /// Runs an argument vector.
    pub(super) fn program(&mut self, host: &str, command: &Command) -> Output {
        let words: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        self.words(host, &words, command)
    }

    fn words(&mut self, host: &str, words: &[&str], command: &Command) -> Output {
        match words {
            ["env", rest @ ..] => {
                let first = rest.iter().position(|word| !word.contains('='));
                self.words(host, &rest[first.unwrap_or(rest.len())..], command)
            }
            ["flock", "-n", "-E", "75", lock, rest @ ..] => {
                let rest = rest.to_vec();
                match self.machines.get_mut(host) {
                    Some(machine) if machine.held_locks.contains(*lock) => {
                        text(LOCK_HELD_EXIT, "", "")
                    }
                    Some(machine) if !machine.files.is_directory(parent(lock)) => text(
                        66,
                        "",
                        &format!(
                            "flock: cannot open lock file {lock}: No such file or directory\n"
                        ),
                    ),
                    _ => self.words(host, &rest, command),
                }
            }
            ["gluster", rest @ ..] => match &command.stdin {
                Some(lines) if rest.iter().all(|word| word.starts_with("--")) => {
                    self.batch(host, rest, lines, command.deadline)
                }
                _ => self.gluster(host, rest, command.deadline),
            },
            ["pgrep", "-f", pattern] => {
                let volume = pattern
                    .strip_prefix("volfile-id client_per_brick/")
                    .and_then(|rest| rest.strip_suffix("[.]client[.]"));
                let crawls = self.machines.get(host).is_some_and(|machine| {
                    volume.is_some_and(|volume| machine.crawls.contains(volume))
                });
                if crawls && self.quirk(Quirk::CrawlHangsWhenClosed) {
                    text(0, "4711\n", "")
                } else {
                    text(1, "", "")
                }
            }
            ["pgrep", "-a", "-x", "glusterfs"] => match self.clients_on(host) {
                list if list.is_empty() => text(1, "", ""),
                list => text(0, &list, ""),
            },
            ["date", "+%s"] => text(0, &format!("{}\n", self.now.as_secs()), ""),
            ["du", rest @ ..] => self.count(host, rest),
            // what it removes, or counts, takes no time here
            ["timeout", _, rest @ ..] => {
                let rest = rest.to_vec();
                self.words(host, &rest, command)
            }
            _ => match self.machines.get_mut(host) {
                Some(machine) => tool(machine, words, command),
                None => missing(words),
            },
        }
    }
}

impl World {
    /// What `pgrep -a` shows of the clients of a host: its own daemons, and mounts.
    fn clients_on(&self, host: &str) -> String {
        let Some(machine) = self.machines.get(host) else {
            return String::new();
        };
        let started = machine.volumes.iter().filter(|(_, one)| one.started());
        let healed = started.filter(|(_, volume)| volume.shape.set() > 1);
        let healers = healed.map(|(name, _)| {
            format!(
                "-s localhost --volfile-id shd/{name} --process-name glustershd --client-pid=-6"
            )
        });
        let limited = machine.volumes.values().any(Volume::quota);
        let quotad = limited
            .then(|| "-s localhost --volfile-id gluster/quotad --process-name quotad".to_owned());
        let mounts = machine.volume_mounts.iter().map(|(path, volume)| {
            format!("--process-name fuse --volfile-server={host} --volfile-id=/{volume} {path}")
        });
        let all = healers.chain(quotad).chain(mounts).enumerate();
        let line = |(at, words)| format!("{} /usr/sbin/glusterfs {words}\n", 5000 + at);
        all.map(line).collect::<Vec<_>>().concat()
    }
}

/// The mounts of volumes, as the kernel lists them.
fn volume_mounts(machine: &Machine) -> String {
    let line = |(at, (path, volume)): (usize, (&String, &String))| {
        let (id, name) = (900 + at, &machine.name);
        format!("{id} 1 0:{id} / {path} rw,relatime - fuse.glusterfs {name}:/{volume} rw\n")
    };
    machine.volume_mounts.iter().enumerate().map(line).collect()
}

fn missing(words: &[&str]) -> Output {
    let program = words.first().copied().unwrap_or_default();
    text(
        127,
        "",
        &format!("env: '{program}': No such file or directory\n"),
    )
}

fn gone(program: &str, doing: &str, path: &str) -> Output {
    let doing = if doing.is_empty() {
        String::new()
    } else {
        format!("{doing} ")
    };
    text(
        1,
        "",
        &format!("{program}: {doing}{path}: No such file or directory\n"),
    )
}

fn tool(machine: &mut Machine, words: &[&str], command: &Command) -> Output {
    if let ["cat", "/proc/self/mountinfo"] = words {
        let table = machine.files.mountinfo() + &volume_mounts(machine);
        return text(0, &table, "");
    }
    let files = &mut machine.files;
    match words {
        ["which", wanted @ ..] => {
            let found: Vec<String> = wanted
                .iter()
                .filter(|program| machine.programs.contains(**program))
                .map(|program| format!("/usr/bin/{program}\n"))
                .collect();
            text(i32::from(found.len() < wanted.len()), &found.concat(), "")
        }
        ["mkdir", rest @ ..] => {
            let path = rest.last().copied().unwrap_or_default();
            if files.make_directories(path) {
                silence()
            } else {
                text(
                    1,
                    "",
                    &format!("mkdir: cannot create directory '{path}': File exists\n"),
                )
            }
        }
        ["mountpoint", "-q", path] => match files.get(path) {
            _ if files.is_mount(path) => silence(),
            Some(_) => text(32, "", ""),
            None => text(1, "", ""),
        },
        ["cat", path] => match files.get(path).map(|node| node.content.clone()) {
            Some(Some(content)) => text(0, &content, ""),
            Some(None) => text(1, "", &format!("cat: {path}: Is a directory\n")),
            None => gone("cat", "", path),
        },
        ["grep", "-qxF", line, path] => {
            let content = files.get(path).and_then(|node| node.content.clone());
            match content {
                Some(content) => text(
                    i32::from(!content.lines().any(|known| known == *line)),
                    "",
                    "",
                ),
                None => text(2, "", &format!("grep: {path}: No such file or directory\n")),
            }
        }
        ["grep", "-aH", "", paths @ ..] => {
            let (mut lines, mut complaints) = (String::new(), String::new());
            for path in paths {
                match files.get(path).and_then(|node| node.content.as_ref()) {
                    Some(content) => {
                        lines.extend(content.lines().flat_map(|line| [path, ":", line, "\n"]));
                    }
                    None => complaints.extend(["grep: ", path, ": No such file or directory\n"]),
                }
            }
            let exit = match (complaints.is_empty(), lines.is_empty()) {
                (false, _) => 2,
                (true, true) => 1,
                (true, false) => 0,
            };
            text(exit, &lines, &complaints)
        }
        // nothing connects to bricks here
        ["grep", "-shoE", _, "/proc/net/tcp", "/proc/net/tcp6"] => {
            text(0, "   0: 00000000:0016 \n", "")
        }
        ["glusterfs", "--version"] => text(0, "glusterfs 10.3\n", ""),
        ["hostname", "-I"] => text(0, &format!("{} \n", machine.address), ""),
        ["stat", "-L", "-c", "%F %m", path] => match files.get(path) {
            Some(node) => {
                let kind = if node.content.is_none() {
                    "directory"
                } else {
                    "regular file"
                };
                text(0, &format!("{kind} {}\n", files.file_system(path).0), "")
            }
            None => gone("stat", "cannot statx", &format!("'{path}'")),
        },
        ["stat", "-f", "-c", "%i %S %b %a", path] => match files.get(path) {
            // 1 TiB in blocks of 4 KiB, half of it free
            Some(_) => text(
                0,
                &format!("{:x} 4096 268435456 134217728\n", files.file_system(path).1),
                "",
            ),
            None => gone(
                "stat",
                "cannot read file system information for",
                &format!("'{path}'"),
            ),
        },
        ["getfattr", options @ .., path] => match files.get(path) {
            Some(node) => text(0, &attributes(node, options, path), ""),
            None => gone("getfattr", "", path),
        },
        ["setfattr", "-h", "-n", name, "-v", value, path] => match files.get_mut(path) {
            Some(node) => {
                node.xattrs
                    .insert((*name).to_owned(), value.as_bytes().to_vec());
                silence()
            }
            None => gone("setfattr", "", path),
        },
        ["find", path, options @ ..] if options.contains(&"-mindepth") => {
            list(files, path, options)
        }
        ["find", path, ..] => match files.get(path).map(|node| node.content.is_none()) {
            Some(true) => {
                let first = files
                    .children(path)
                    .find(|child| !child.ends_with("/.glusterfs"));
                let first = first
                    .and_then(|child| files.get(child))
                    .map(|node| node.content.is_none());
                text(
                    0,
                    match first {
                        None => "0d\n",
                        Some(true) => "0d\n1d\n",
                        Some(false) => "0d\n1f\n",
                    },
                    "",
                )
            }
            Some(false) => text(0, "0f\n", ""),
            None => gone("find", "", &format!("'{path}'")),
        },
        ["tee", path] => {
            if !files.is_directory(parent(path)) {
                return gone("tee", "", path);
            }
            let content = command.stdin.clone().unwrap_or_default();
            files.put(path, &content);
            text(0, &content, "")
        }
        ["touch", path] => {
            if !files.is_directory(parent(path)) {
                return gone("touch", "cannot touch", &format!("'{path}'"));
            }
            if files.get(path).is_none() {
                files.put(path, "");
            }
            silence()
        }
        // the only script in use: is anything mounted there
        ["sed", "-n", script, "/proc/self/mountinfo"] => {
            let path = script.split_once("\\}").map_or("", |(_, rest)| rest);
            let path = path.trim_end_matches("[ /]:q1").replace("[.]", ".");
            text(i32::from(files.has_mount_below(&path)), "", "")
        }
        ["unshare", "--mount", rest @ ..] => {
            let rest = rest.to_vec();
            tool(machine, &rest, command)
        }
        ["sync", paths @ ..] => match paths.iter().find(|path| files.get(path).is_none()) {
            Some(path) => gone("sync", "error opening", &format!("'{path}'")),
            None => silence(),
        },
        ["chmod" | "chown", _, path] if files.get(path).is_some() => silence(),
        // of what never changes here: when the machine booted
        // what is in the file is in force there
        ["stat", "-L", "-c", "%.Z %.Y", _, _] => {
            text(0, &"1.000000000 1.000000000\n".repeat(2), "")
        }
        ["stat", "-L", "-c", "%.Z" | "%.Y", path] => match files.get(path) {
            Some(_) => text(0, "0.000000000\n", ""),
            None => gone("stat", "cannot statx", &format!("'{path}'")),
        },
        ["rm", "-f", path]
        | [
            "rm",
            "-rf",
            "--one-file-system",
            "--preserve-root=all",
            path,
        ] => {
            files.remove(path);
            silence()
        }
        ["ln", "-T", from, to] => {
            if files.get(to).is_some() {
                return text(
                    1,
                    "",
                    &format!("ln: failed to create hard link '{to}': File exists\n"),
                );
            }
            match files.get(from).and_then(|node| node.content.clone()) {
                Some(content) => {
                    files.put(to, &content);
                    silence()
                }
                None => gone("ln", "failed to access", &format!("'{from}'")),
            }
        }
        ["mv", "-T", from, to] => {
            if files.get(from).is_none() {
                return gone("mv", "cannot stat", &format!("'{from}'"));
            }
            if files.is_directory(to) && files.children(to).next().is_some() {
                return text(
                    1,
                    "",
                    &format!("mv: cannot move '{from}' to '{to}': Directory not empty\n"),
                );
            }
            files.remove(to);
            files.rename(from, to);
            silence()
        }
        _ => missing(words),
    }
}

/// `find DIRECTORY -mindepth 1 -maxdepth 1 [-name START*] -printf FORMAT`, each entry ended by a NUL.
fn list(files: &Files, path: &str, options: &[&str]) -> Output {
    let after = |word: &str| {
        let at = options.iter().position(|option| *option == word)?;
        options.get(at + 1).copied()
    };
    if files.get(path).is_none() {
        return gone("find", "", &format!("'{path}'"));
    }
    // the only pattern in use is a name, question marks and a star
    let pattern = after("-name");
    let fits = |name: &str| {
        pattern.is_none_or(|pattern| {
            let least = pattern.trim_end_matches('*');
            name.len() >= least.len() && name.starts_with(least.trim_end_matches('?'))
        })
    };
    let with_time = after("-printf").is_some_and(|format| format.contains("%C@"));
    let mut entries = String::new();
    for child in files.children(path) {
        let name = child.rsplit('/').next().unwrap_or(child);
        let kind = if files.is_directory(child) { 'd' } else { 'f' };
        let time = if with_time { " 0.0000000000" } else { "" };
        if fits(name) {
            entries += &[kind.to_string().as_str(), time, " ", name, "\0"].concat();
        }
    }
    text(0, &entries, "")
}

/// `getfattr -d -m PATTERN -e hex`: the patterns in use are of fixed beginnings.
fn attributes(node: &Node, options: &[&str], path: &str) -> String {
    let ours = options.iter().any(|option| option.starts_with("^trusted"));
    let shown: Vec<String> = node
        .xattrs
        .iter()
        .filter(|(name, _)| {
            !ours
                || name.starts_with("trusted.glusterfs.volume-id")
                || name.starts_with("trusted.gluster-operator")
        })
        .map(|(name, value)| format!("{name}=0x{}\n", hex::encode(value)))
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    format!("# file: {path}\n{}\n", shown.concat())
}
