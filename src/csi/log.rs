//! The last words of a GlusterFS client: its exit status says nothing (a refused client may end with 0), the
//! reason stands in its log alone.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A log that is longer than this is put aside before the next client writes to it.
const ROTATE_AT: u64 = 4 << 20;
/// A log of a client that lives is emptied when it has grown to this: clients write a line for each write that is refused, and nothing keeps the
/// node's disk from being filled by it.
const EMPTY_AT: u64 = 64 << 20;
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How much of a log is read at most, from its end.
const READ_AT_MOST: u64 = 64 << 10;

/// The length of a log in bytes, 0 if it does not exist; a long one is renamed to `<name>.old` first.
pub async fn begin(path: &Path) -> u64 {
    let length = tokio::fs::metadata(path)
        .await
        .map_or(0, |found| found.len());
    if length < ROTATE_AT {
        return length;
    }
    let mut old = path.as_os_str().to_owned();
    old.push(".old");
    match tokio::fs::rename(path, old).await {
        Ok(()) => 0,
        Err(_) => length,
    }
}

/// Keeps the logs of clients that live small, for ever.
pub async fn keep_small(directory: PathBuf) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let directory = directory.clone();
        let looked = tokio::task::spawn_blocking(move || empty(&directory, EMPTY_AT)).await;
        if let Ok(Err(error)) = looked {
            tracing::warn!(%error, "the clients' logs can't be looked at");
        }
    }
}

/// Empties those logs in a directory that are longer. They are open for appending (seen on 10.3), so that the next line is the first.
fn empty(directory: &Path, longer_than: u64) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_log = path.extension().is_some_and(|end| end == "log");
        let length = std::fs::symlink_metadata(&path).map_or(0, |found| found.len());
        if is_log && length > longer_than {
            tracing::warn!(path = %path.display(), length, "a client's log is emptied");
            std::fs::OpenOptions::new()
                .write(true)
                .open(&path)?
                .set_len(0)?;
        }
    }
    Ok(())
}

/// What a client wrote behind byte `from`, in at most three messages; empty if it wrote nothing of interest.
pub async fn last_words(path: &Path, from: u64) -> String {
    let path = path.to_owned();
    let read = move || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(
            from.max(length.saturating_sub(READ_AT_MOST)).min(length),
        ))?;
        let mut bytes = Vec::new();
        file.take(READ_AT_MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(bytes)) => parse_last_words(&String::from_utf8_lossy(&bytes)),
        _ => String::new(),
    }
}

/// Errors, or if there are none warnings: without time and place in gluster's source, each once, the last three.
fn parse_last_words(text: &str) -> String {
    let lines: Vec<(char, &str)> = text.lines().filter_map(parse_line).collect();
    let of = |levels: &[char]| {
        let mut found: Vec<String> = Vec::new();
        for (level, message) in lines.iter().rev() {
            let message: String = message.chars().take(240).collect();
            if levels.contains(level) && !found.contains(&message) && found.len() < 3 {
                found.insert(0, message);
            }
        }
        found
    };
    let errors = of(&['E', 'C', 'A']);
    let found = if errors.is_empty() {
        of(&['W'])
    } else {
        errors
    };
    found.join("; ")
}

/// `[time] E [MSGID: 1] [file.c:7:function] 0-vol-client-0: message` → level and what follows the brackets.
fn parse_line(line: &str) -> Option<(char, &str)> {
    let (_, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let (level, mut rest) = rest.split_once(' ')?;
    let level = level.chars().next().filter(|_| level.len() == 1)?;
    while let Some(inside) = rest.strip_prefix('[') {
        rest = inside.split_once("] ")?.1;
    }
    // Backtraces and the farewell of a client that was told to end.
    if rest.starts_with('(') || rest.contains("received signum") {
        return None;
    }
    Some((level, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "\
[2026-11-23 15:12:02.808665 +0000] W [MSGID: 114043] [client-handshake.c:726:client_setvolume_cbk] 0-v1-client-0: failed to set the volume [{errno=13}, {error=Permission denied}] 
[2026-11-23 15:12:02.808688 +0000] E [MSGID: 114044] [client-handshake.c:756:client_setvolume_cbk] 0-v1-client-0: SETVOLUME on remote-host failed [{remote-error=Authentication failed}, {errno=13}, {error=Permission denied}] 
[2026-11-23 15:12:02.808714 +0000] E [fuse-bridge.c:6552:notify] 0-fuse: Server authentication failed. Shutting down.
[2026-11-23 15:12:02.808714 +0000] E [fuse-bridge.c:6552:notify] 0-fuse: Server authentication failed. Shutting down.
[2026-11-23 15:12:02.810566 +0000] W [glusterfsd.c:1458:cleanup_and_exit] (-->/lib/x86_64-linux-gnu/libc.so.6(+0x891f5) [0x7f4bdf6761f5] ) 0-: received signum (15), shutting down 
";

    #[test]
    fn the_reason_is_found_in_a_clients_log() {
        assert_eq!(
            parse_last_words(REFUSED),
            "0-v1-client-0: SETVOLUME on remote-host failed [{remote-error=Authentication failed}, \
             {errno=13}, {error=Permission denied}]; 0-fuse: Server authentication failed. Shutting down."
        );
    }

    #[test]
    fn warnings_stand_in_and_noise_is_passed_over() {
        let only_warning = REFUSED.lines().next().unwrap();
        assert!(parse_last_words(only_warning).starts_with("0-v1-client-0: failed to set"));
        assert_eq!(parse_last_words(""), "");
        assert_eq!(
            parse_last_words("[\n] E\nplain\n[a] E\n[a] EE b\n[a] E [b\n"),
            ""
        );
    }

    #[tokio::test]
    async fn only_what_was_added_counts() {
        let path =
            std::env::temp_dir().join(format!("gluster-operator-log-{}", std::process::id()));
        assert_eq!(begin(&path).await, 0);
        assert_eq!(last_words(&path, 0).await, "");
        std::fs::write(&path, REFUSED).unwrap();
        let from = begin(&path).await;
        assert_eq!(from, REFUSED.len() as u64);
        assert_eq!(last_words(&path, from).await, "");
        assert_ne!(last_words(&path, 0).await, "");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_log_that_has_grown_is_emptied_and_written_on() {
        use std::io::Write;
        let name = format!("gluster-operator-logs-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let file = |name: &str| directory.join(name);
        for name in ["long.log", "short.log", "long.log.old"] {
            let bytes = if name.starts_with("long") { 101 } else { 100 };
            std::fs::write(file(name), vec![b'x'; bytes]).unwrap();
        }
        let mut client = std::fs::OpenOptions::new();
        let mut client = client.append(true).open(file("long.log")).unwrap();
        empty(&directory, 100).unwrap();
        client.write_all(b"next").unwrap();
        let length = |name: &str| std::fs::metadata(file(name)).unwrap().len();
        assert_eq!(length("long.log"), 4);
        assert_eq!((length("short.log"), length("long.log.old")), (100, 101));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
