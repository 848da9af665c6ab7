//! Who has a volume mounted on a host, by the command lines of GlusterFS' clients and by the table of mounts.

use super::Malformed;
use super::host::success;
use crate::gluster::names::VolumeName;
use crate::gluster::outcome::Output;

const WHAT: &str = "the search for mounts";

/// `Operation::Mounts`: where the volume, or a directory of it, is mounted. A mount that only the process shows, in a
/// namespace of its own or out of sight, is named with it. GlusterFS' own daemons do not count, nor the crawls and mounts
/// that its quota makes for itself.
pub fn mounts(outputs: &[Output], volume: &VolumeName) -> Result<Vec<String>, Malformed> {
    let malformed = |why: String| Malformed::new(WHAT, why);
    let [processes, table] = outputs else {
        return Err(malformed("answers are missing".into()));
    };
    let mut found = in_table(success(table).map_err(malformed)?, volume).map_err(malformed)?;
    let processes = match processes.exit {
        // pgrep found none
        Some(1) if processes.stdout.is_empty() && processes.stderr.is_empty() => "",
        _ => success(processes).map_err(malformed)?,
    };
    for (pid, at) in clients(processes, volume).map_err(malformed)? {
        if !found.contains(&at) {
            found.push(format!("{at} (process {pid})"));
        }
    }
    Ok(found)
}

/// Mount points of the volume, by `/proc/self/mountinfo`. `\040` and the like stay as they are.
fn in_table(table: &str, volume: &VolumeName) -> Result<Vec<String>, String> {
    if !table.ends_with('\n') {
        return Err("the table of mounts is empty or torn".to_owned());
    }
    let mut found = Vec::new();
    for line in table.lines() {
        let mut fields = line.split(' ');
        let at = fields.nth(4);
        let mut fields = fields.skip_while(|field| *field != "-").skip(1);
        let (Some(at), Some(kind), Some(source)) = (at, fields.next(), fields.next()) else {
            return Err("the table of mounts is torn".to_owned());
        };
        // a server may be an IPv6 address, and a directory may have any name
        let of_volume = || {
            source
                .match_indices(':')
                .any(|(colon, _)| is_of(&source[colon + 1..], volume))
        };
        if kind == "fuse.glusterfs" && of_volume() && !is_own(at, volume) {
            found.push(at.to_owned());
        }
    }
    Ok(found)
}

/// Processes that have the volume mounted, and where: what `pgrep -a -x glusterfs` printed.
fn clients(list: &str, volume: &VolumeName) -> Result<Vec<(u32, String)>, String> {
    if !list.is_empty() && !list.ends_with('\n') {
        return Err("the list of processes is torn".to_owned());
    }
    let mut found = Vec::new();
    for line in list.lines() {
        let line = line.split_once(' ');
        let line = line.and_then(|(pid, words)| Some((pid.parse().ok()?, words)));
        let (pid, words) = line.ok_or("pgrep told of something that is no process")?;
        if let Some(at) = client(words, volume) {
            found.push((pid, at));
        }
    }
    Ok(found)
}

/// Where the client with that command line has the volume mounted.
fn client(words: &str, volume: &VolumeName) -> Option<String> {
    let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let value = |names: &[&str]| {
        let at = |(index, word): (usize, &&str)| match word.split_once('=') {
            Some((name, value)) if names.contains(&name) => Some(value.to_owned()),
            _ if names.contains(word) => words.get(index + 1).map(|&word| word.to_owned()),
            _ => None,
        };
        words.iter().enumerate().find_map(at)
    };
    // shd, quotad, rebalance and the like; a mount has the name fuse or none
    if value(&["--process-name"]).is_some_and(|name| name != "fuse") {
        return None;
    }
    let at = (*words.last()?).to_owned();
    match value(&["--volfile-id"]) {
        Some(id) => (is_of(&id, volume) && !is_own(&at, volume)).then_some(at),
        // a file describes the volume, which may be this one
        None => value(&["--volfile", "-f"]).map(|file| format!("{at} by the file {file}")),
    }
}

/// Whether `VOLUME`, `/VOLUME`, `/VOLUME/directory` or `VOLUME.transport` is asked for.
fn is_of(asked: &str, volume: &VolumeName) -> bool {
    let rest = asked.trim_start_matches('/').strip_prefix(volume.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
}

/// The mounts that `quota … limit-usage` and `quota … list` make, and do not always take away.
fn is_own(at: &str, volume: &VolumeName) -> bool {
    let at = at.strip_prefix("/var").unwrap_or(at).trim_end_matches('/');
    let rest = at
        .strip_prefix("/run/gluster/")
        .and_then(|rest| rest.strip_prefix(volume.as_str()));
    matches!(rest, Some("_quota_limit" | "_quota_list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(exit: i32, stdout: &str) -> Output {
        Output {
            exit: Some(exit),
            stdout: stdout.into(),
            stderr: String::new(),
        }
    }

    fn volume() -> VolumeName {
        "vol".parse().unwrap()
    }

    const ROOT: &str = "384 350 7:3 / / rw,noatime shared:1 - xfs /dev/loop3 rw,inode64\n";

    /// Lines of a real host with 10.3.
    #[test]
    fn mounts_are_told_from_daemons_crawls_and_auxiliary_mounts() {
        let fuse = "/usr/sbin/glusterfs --process-name fuse --volfile-server=node1";
        let own = "/usr/sbin/glusterfs --volfile-server localhost --volfile-id vol -l /var/log/glusterfs/quota-mount-vol.log";
        for (line, at) in [
            (format!("{fuse} --volfile-id=/vol /mnt/a"), Some("/mnt/a")),
            (format!("{fuse} --volfile-id=vol /mnt/a"), Some("/mnt/a")),
            (format!("{fuse} --volfile-id=vol.tcp /mnt/a"), Some("/mnt/a")),
            (
                format!("{fuse} --volfile-id=/vol --subdir-mount=/sub /mnt/b"),
                Some("/mnt/b"),
            ),
            (
                "/usr/sbin/glusterfs --no-daemon --process-name fuse --volfile-server=10.0.0.2 --volfile-id=/vol /var/lib/kubelet/plugins/x/globalmount".into(),
                Some("/var/lib/kubelet/plugins/x/globalmount"),
            ),
            (
                "glusterfs -s node1 --volfile-id vol /mnt/c".into(),
                Some("/mnt/c"),
            ),
            (
                "glusterfs -f /root/any.vol /mnt/d".into(),
                Some("/mnt/d by the file /root/any.vol"),
            ),
            (format!("{fuse} --volfile-id=/vol-2 /mnt/a"), None),
            (format!("{fuse} --volfile-id=/other --subdir-mount=/vol /mnt/a"), None),
            ("/usr/sbin/glusterfs -s localhost --volfile-id shd/vol -p /var/run/gluster/shd/vol/vol-shd.pid -l /var/log/glusterfs/glustershd.log -S /var/run/gluster/b658009134f1d2d6.socket --xlator-option *replicate*.node-uuid=df4a1302-923e-4a7d-a2c3-52635ca2c9bf --process-name glustershd --client-pid=-6".into(), None),
            ("/usr/sbin/glusterfs -s localhost --volfile-id gluster/quotad -p /var/run/gluster/quotad/quotad.pid -l /var/log/glusterfs/quotad.log -S /var/run/gluster/56721b73898b86f1.socket --process-name quotad".into(), None),
            ("/usr/sbin/glusterfs -s localhost --volfile-id client_per_brick/vol.client.node1.srv-bricks-d1-vol.vol --use-readdirp=yes --client-pid -100 -l /var/log/glusterfs/quota_crawl/srv-bricks-d1-vol.log /var/run/gluster/tmp/mntPpCFHe".into(), None),
            (format!("{own} -p /var/run/gluster/vol_quota_limit.pid --client-pid -5 /var/run/gluster/vol_quota_limit/"), None),
            (format!("{own} -p /var/run/gluster/vol_quota_list.pid --client-pid -5 /var/run/gluster/vol_quota_list/"), None),
            ("[glusterfs] <defunct>".into(), None),
            ("glusterfs --version".into(), None),
        ] {
            let list = format!("902 {line}\n");
            let found = mounts(&[output(0, &list), output(0, ROOT)], &volume()).unwrap();
            let want: Vec<String> = at.iter().map(|at| format!("{at} (process 902)")).collect();
            assert_eq!(found, want, "{line}");
        }
    }

    #[test]
    fn the_table_names_a_mount_whatever_its_server_and_directory() {
        for (source, at, counts) in [
            ("node1:/vol", "/mnt/a", true),
            ("node1:vol", "/mnt/a", true),
            ("node1:/vol/sub:x", "/mnt/my\\040files", true),
            ("fd00::1:/vol", "/mnt/a", true),
            ("node1:/vol-2", "/mnt/a", false),
            ("vol", "/mnt/a", false),
            ("localhost:vol", "/run/gluster/vol_quota_limit", false),
            ("localhost:vol", "/run/gluster/vol_quota_list", false),
            ("localhost:vol", "/run/gluster/else", true),
        ] {
            let line = format!(
                "{ROOT}730 393 0:321 / {at} rw,relatime shared:7 master:2 - fuse.glusterfs {source} rw,user_id=0\n"
            );
            let found = mounts(&[output(1, ""), output(0, &line)], &volume()).unwrap();
            assert_eq!(found == [at], counts, "{source} {at}: {found:?}");
        }
        let line = format!("{ROOT}730 393 0:321 / /mnt/a rw - fuse.glusterfs node1:/vol rw\n");
        let process = "281 glusterfs --process-name fuse --volfile-id=/vol /mnt/a\n";
        let both = mounts(&[output(0, process), output(0, &line)], &volume());
        assert_eq!(both.unwrap(), ["/mnt/a"], "named once");
    }

    #[test]
    fn an_answer_that_is_not_whole_is_no_answer() {
        let pgrep = "281 glusterfs --process-name fuse --volfile-id=/vol /mnt/a\n";
        for (processes, table) in [
            (output(2, ""), output(0, ROOT)),
            (output(127, ""), output(0, ROOT)),
            (output(1, pgrep), output(0, ROOT)),
            (output(0, &pgrep[..30]), output(0, ROOT)),
            (output(0, "glusterfs\n"), output(0, ROOT)),
            (output(1, ""), output(0, "")),
            (output(1, ""), output(1, ROOT)),
            (output(1, ""), output(0, &ROOT[..20])),
            (output(1, ""), output(0, "384 350 7:3 / /\n")),
        ] {
            let found = mounts(&[processes.clone(), table.clone()], &volume());
            assert!(found.is_err(), "{processes:?} {table:?}: {found:?}");
        }
        assert!(mounts(&[], &volume()).is_err());
    }
}
