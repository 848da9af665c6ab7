//! `/proc/self/mountinfo`, which is the truth about what is mounted: read whole, parsed purely, and never guessed.
//!
//! A line that can't be understood makes the whole table unknown instead of shorter: an entry that we overlook
//! could be a mount that we then mount over, or a directory that we then remove.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The file system type of a GlusterFS client.
pub const GLUSTERFS: &str = "fuse.glusterfs";

/// A line of mountinfo that does not have the shape that the kernel documents.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} of mountinfo can't be read: {text:?}")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// Its text, cut to 200 characters.
    pub text: String,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Device number, major and minor: each FUSE mount has its own, and its bind mounts share it.
    pub device: (u32, u32),
    /// Where in its file system the mount begins; `/` unless a subdirectory was bound.
    pub root: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// True if this mount (not its file system) is read-only.
    pub read_only: bool,
    /// True if mounts made below it are seen in other mount namespaces: in a container, by the node and its pods.
    pub shared: bool,
    /// The file system type, for example `fuse.glusterfs`.
    pub fs_type: String,
    /// What is mounted; of a GlusterFS client `<server>:/<volume>`.
    pub source: String,
}

impl Mount {
    /// Server and volume, if this is the mount of a GlusterFS client (or a bind mount of one).
    pub fn gluster(&self) -> Option<(&str, &str)> {
        if self.fs_type != GLUSTERFS {
            return None;
        }
        let (server, volume) = self.source.split_once(':')?;
        Some((server, volume.trim_start_matches('/')))
    }
}

/// All mounts that this process sees, in the kernel's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// The visible mount exactly at this path: the last one, since later ones cover earlier ones.
    pub fn at(&self, path: &Path) -> Option<&Mount> {
        self.0.iter().rev().find(|mount| mount.mount_point == path)
    }

    /// The mount in which a path lies: the one whose mount point is its longest beginning.
    pub fn covering(&self, path: &Path) -> Option<&Mount> {
        path.ancestors().find_map(|ancestor| self.at(ancestor))
    }

    /// All mounts of one device.
    pub fn of_device(&self, device: (u32, u32)) -> impl Iterator<Item = &Mount> {
        self.0.iter().filter(move |mount| mount.device == device)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }
}

/// Parses the text of a mountinfo file.
pub fn parse_mountinfo(text: &[u8]) -> Result<Mounts, BadLine> {
    let mut mounts = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        mounts.push(parse_line(line).ok_or_else(|| BadLine {
            line: index + 1,
            text: String::from_utf8_lossy(line).chars().take(200).collect(),
        })?);
    }
    Ok(Mounts(mounts))
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let _id: u32 = number(fields.next()?)?;
    let _parent: u32 = number(fields.next()?)?;
    let mut device = fields.next()?.split(|&byte| byte == b':');
    let device = (number(device.next()?)?, number(device.next()?)?);
    let root = path(fields.next()?)?;
    let mount_point = path(fields.next()?)?;
    let options = fields.next()?;
    // Any number of optional fields, ended by a single "-".
    let mut shared = false;
    loop {
        match fields.next()? {
            b"-" => break,
            field => shared |= field.starts_with(b"shared:"),
        }
    }
    let fs_type = String::from_utf8(unescape(fields.next()?)?).ok()?;
    // A source may be anything, also nothing; only UTF-8 can be ours.
    let source = String::from_utf8_lossy(&unescape(fields.next()?)?).into_owned();
    fields.next()?;
    let read_only = options
        .split(|&byte| byte == b',')
        .any(|option| option == b"ro");
    Some(Mount {
        device,
        root,
        mount_point,
        read_only,
        shared,
        fs_type,
        source,
    })
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn path(field: &[u8]) -> Option<PathBuf> {
    Some(PathBuf::from(OsString::from_vec(unescape(field)?)))
}

/// The kernel writes blank, tab, line break, backslash (and some more) as `\` and three octal digits.
fn unescape(field: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'\\' {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let digits = tail
            .get(..3)
            .filter(|d| d.iter().all(|d| (b'0'..=b'7').contains(d)))?;
        let value = digits
            .iter()
            .fold(0_u32, |sum, digit| sum * 8 + u32::from(digit - b'0'));
        bytes.push(u8::try_from(value).ok()?);
        rest = &tail[3..];
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = br"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
201 168 0:99 / /var/lib/kubelet/a\040b\011c\012d\134e rw,relatime shared:7 master:2 - fuse.glusterfs 10.81.0.11:/v1 rw,user_id=0
202 168 0:99 / /pods/x ro,relatime shared:7 - fuse.glusterfs 10.81.0.11:/v1 rw,user_id=0
203 168 0:50 /sub /tmp/none rw - tmpfs  rw
204 202 0:44 / /pods/x rw - tmpfs tmpfs rw
";

    #[test]
    fn a_table_is_read_with_its_escapes() {
        let mounts = parse_mountinfo(TABLE).unwrap();
        assert_eq!(mounts.iter().count(), 5);
        let staged = mounts
            .at(Path::new("/var/lib/kubelet/a b\tc\nd\\e"))
            .unwrap();
        assert_eq!(staged.device, (0, 99));
        assert_eq!(staged.gluster(), Some(("10.81.0.11", "v1")));
        assert!(!staged.read_only && staged.shared);
        let points: Vec<_> = mounts
            .of_device((0, 99))
            .map(|m| (m.read_only, m.root.clone()))
            .collect();
        assert_eq!(
            points,
            [(false, PathBuf::from("/")), (true, PathBuf::from("/"))]
        );
    }

    #[test]
    fn the_last_of_several_mounts_at_a_path_is_the_visible_one() {
        let mounts = parse_mountinfo(TABLE).unwrap();
        assert_eq!(mounts.at(Path::new("/pods/x")).unwrap().fs_type, "tmpfs");
        assert_eq!(mounts.at(Path::new("/pods")), None);
        let covering = |path| {
            mounts
                .covering(Path::new(path))
                .map(|mount| (mount.fs_type.as_str(), mount.shared))
        };
        assert_eq!(covering("/pods"), Some(("ext4", false)));
        assert_eq!(covering("/pods/x/y/z"), Some(("tmpfs", false)));
        assert_eq!(
            covering("/var/lib/kubelet/a b\tc\nd\\e/f"),
            Some((GLUSTERFS, true))
        );
    }

    #[test]
    fn an_empty_source_is_allowed() {
        let mounts = parse_mountinfo(TABLE).unwrap();
        assert_eq!(mounts.at(Path::new("/tmp/none")).unwrap().source, "");
    }

    #[test]
    fn a_line_that_is_not_understood_makes_the_table_unknown() {
        for bad in [
            "22 1 254:0 / / rw,relatime ext4 /dev/vda rw",
            "22 1 254 / / rw - ext4 /dev/vda rw",
            "22 1 254:0 / /a\\04 rw - ext4 /dev/vda rw",
            "22 1 254:0 / /a\\777 rw - ext4 /dev/vda rw",
            "x 1 254:0 / / rw - ext4 /dev/vda rw",
            "22 1 254:0 / / rw - ext4",
        ] {
            let error =
                parse_mountinfo(format!("22 1 254:0 / / rw - ext4 a rw\n{bad}\n").as_bytes());
            assert_eq!(error.unwrap_err().line, 2, "{bad}");
        }
    }

    #[test]
    fn the_table_of_this_process_is_understood() {
        let mounts = parse_mountinfo(&std::fs::read("/proc/self/mountinfo").unwrap()).unwrap();
        assert!(mounts.at(Path::new("/proc")).is_some());
    }
}
