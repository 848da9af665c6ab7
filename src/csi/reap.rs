//! Ends of processes that nobody waits for.
//!
//! Where the plugin is the first process of its container it becomes the parent of whatever its clients leave behind:
//! `glusterfs --no-daemon` forks twice for each mount and waits for neither. Tokio waits for those alone that it started.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, getpid, waitpid};

/// How often we look. One that was dead at the look before is nobody else's: Tokio waits for its own at once.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Waits for dead children that nobody waits for, for ever.
pub async fn reap() {
    let mut dead = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = tokio::task::spawn_blocking(|| dead_children(getpid()));
        let Ok(Ok(now)) = now.await else { continue };
        for pid in now.intersection(&dead) {
            // an error means that somebody was faster
            let _ = waitpid(Pid::from_raw(*pid), WaitOptions::NOHANG);
        }
        dead = now;
    }
}

/// Children of that process that have ended and were not waited for.
fn dead_children(parent: Pid) -> io::Result<BTreeSet<i32>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // gone meanwhile
        let Ok(text) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if is_dead_child(&text, parent.as_raw_nonzero().get()) {
            found.insert(pid);
        }
    }
    Ok(found)
}

/// `PID (NAME) STATE PARENT …`, and a name may hold anything.
fn is_dead_child(stat: &str, parent: i32) -> bool {
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = fields.split_ascii_whitespace();
    fields.next() == Some("Z") && fields.next().and_then(|text| text.parse().ok()) == Some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_child_is_told_by_its_state_and_parent() {
        for (stat, dead) in [
            ("9 (glusterfs) Z 1 9 9 0", true),
            ("9 (a) Z 1 (b) Z 1 9", true),
            ("9 (glusterfs) S 1 9 9 0", false),
            ("9 (glusterfs) Z 7 9 9 0", false),
            ("9 (Z 1) S 7", false),
            ("", false),
        ] {
            assert_eq!(is_dead_child(stat, 1), dead, "{stat}");
        }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_waited_for() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // never waited for
        std::mem::forget(child);
        let is_there = || dead_children(getpid()).unwrap().contains(&pid);
        let begin = std::time::Instant::now();
        while !is_there() {
            assert!(begin.elapsed() < Duration::from_secs(10), "it does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let reaper = tokio::spawn(reap());
        while is_there() {
            assert!(begin.elapsed() < Duration::from_secs(40), "it stays");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        reaper.abort();
    }
}
