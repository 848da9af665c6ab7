//! The names that gluster understands, each with a grammar that its only constructor checks.
//!
//! What passes here can stand on a command line, in a volfile and in a path without any quoting. The
//! same patterns stand in the CRDs, so that a user hears of a bad name at `kubectl apply`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A string that does not follow the grammar of the thing that it should name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} {value:?} is not valid: {rule}")]
pub struct BadName {
    /// What the string should have named, for example `volume name`.
    pub what: &'static str,
    /// The string, cut to 80 characters.
    pub value: String,
    /// The grammar, in words.
    pub rule: &'static str,
}

impl BadName {
    fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self {
            what,
            value: value.chars().take(80).collect(),
            rule,
        }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The text, exactly as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(BadName::new($what, text, $rule)) }
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn word(text: &str, max: usize, first: fn(char) -> bool, rest: fn(char) -> bool) -> bool {
    let mut chars = text.chars();
    text.len() <= max && chars.next().is_some_and(first) && chars.all(rest)
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn path(text: &str, max: usize) -> bool {
    text.len() <= max
        && text.len() > 1
        && text.starts_with('/')
        && text[1..].split('/').all(|part| {
            !matches!(part, "" | "." | "..")
                && part.len() <= 255
                && part
                    .chars()
                    .all(|c| alphanumeric(c) || matches!(c, '.' | '_' | '-'))
        })
}

name!(
    /// The name of a volume in gluster. GlusterFS itself allows no `.`; 54 leaves room for what we
    /// put behind it in brick paths and volume ids.
    VolumeName, "volume name",
    "letters, digits, '_' and '-', first a letter or digit, at most 54 characters, not 'all' or 'gluster_shared_storage'",
    |text| word(text, 54, alphanumeric, |c| alphanumeric(c) || matches!(c, '_' | '-'))
        && !matches!(text, "all" | "gluster_shared_storage")
);

name!(
    /// A host name or IPv4 address, as gluster knows a peer. No IPv6: its colons collide with `host:/brick`.
    HostName, "host name",
    "letters, digits, '.' and '-', first and last a letter or digit, at most 63 characters",
    |text| word(text, 63, alphanumeric, |c| alphanumeric(c) || matches!(c, '.' | '-'))
        && text.ends_with(alphanumeric) && !text.contains("..")
);

name!(
    /// An absolute path on a storage host: no empty, `.` or `..` components, only characters that need
    /// no quoting anywhere.
    HostPath, "path",
    "an absolute path of letters, digits, '.', '_', '-' and '/', without '.', '..' or empty parts, at most 512 characters",
    |text| path(text, 512)
);

name!(
    /// The key of a volume or pool option, `xlator.option`.
    OptionKey, "option key",
    "letters, digits, '.', '_' and '-' with at least one '.', first a letter, at most 100 characters",
    |text| word(text, 100, |c| c.is_ascii_alphabetic(), |c| alphanumeric(c) || matches!(c, '.' | '_' | '-'))
        && text.contains('.') && !text.ends_with('.')
);

name!(
    /// The value of an option. A line break keeps glusterd from starting again, 4096 bytes crash it
    /// (both measured), and a blank can't be passed on its standard input: so printable ASCII, and short. Nor may it begin
    /// with `-`: gluster takes its own options anywhere on the line, and as root it wrote the file of a value
    /// `--log-file=/tmp/x` (measured). Values stand as they are in the files that every brick and every mount is started
    /// from, and whoever reads such a file runs what stands between backticks as a command, as root (measured); `"`, `\` and `#`
    /// end or eat the line there, so that nothing of that volume starts any more.
    OptionValue, "option value",
    "1 to 256 printable ASCII characters without blanks, '`', '\"', '\\' and '#', the first not '-'",
    |text| (1..=256).contains(&text.len()) && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '`' | '"' | '\\' | '#'))
);

name!(
    /// The name of a GlusterCluster.
    ClusterName, "cluster name",
    "lower-case letters, digits and '-', first and last a letter or digit, at most 22 characters",
    |text| word(text, 22, |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') && !text.ends_with('-')
);

name!(
    /// The id of whoever may write to a pool: `<kube-system uid>.<cluster uid>`, or `rest:<peer uuid>`.
    OwnerId, "owner id",
    "letters, digits, '.', ':' and '-', at most 128 characters",
    |text| word(text, 128, alphanumeric, |c| alphanumeric(c) || matches!(c, '.' | ':' | '-'))
);

name!(
    /// A UUID in its usual form of 36 characters: of a peer, a volume or a Kubernetes object.
    Uuid, "uuid",
    "8-4-4-4-12 hexadecimal digits",
    |text| text.len() == 36 && text.bytes().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => b == b'-',
        _ => b.is_ascii_hexdigit(),
    })
);

name!(
    /// An address pattern of `auth.allow`: an IPv4 address whose last parts may be `*`, a host name, or `*`.
    AddressPattern, "address pattern",
    "an IPv4 address or host name, or an IPv4 prefix that ends in '.*', or '*'; at most 63 characters",
    |text| text == "*" || text.parse::<HostName>().is_ok()
        || text.strip_suffix(".*").is_some_and(|head| head.split('.').count() <= 3
            && head.split('.').all(|part| part.len() <= 3
                && part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u8>().is_ok()))
);

name!(
    /// What stands in the xattr `trusted.gluster-operator.owner` of each brick root:
    /// `v1:<pool owner>:<namespace uid>:<namespace>/<name>:<object uid>`.
    OwnerMark, "owner mark",
    "v1:<pool owner>:<namespace uid>:<namespace>/<name>:<object uid>, at most 512 characters",
    |text| text.starts_with("v1:") && text.len() <= 512
        && text.chars().all(|c| alphanumeric(c) || matches!(c, ':' | '.' | '-' | '/' | '_'))
);

name!(
    /// The name of something in `.trash` of a device that we may have put there: a volume's name, 8 hex digits of its object's uid,
    /// for a creation that was cut off `-torn-` and a time; then for a brick that was named by hand 8 hex digits of its path, and for a
    /// second brick on the device and further ones their number.
    TrashName, "name in the trash",
    "<volume>-<8 hex digits>, then at most -torn-<digits>, and -<8 hex digits> or -<2 to 8>",
    trash_name
);

/// The most bricks of one volume on one device: more would share its disk.
pub const BRICKS_ON_A_DEVICE: u32 = 8;

fn is_hex(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether that is the number of a second brick of a volume on one device, or of a further one.
fn is_further(text: &str) -> bool {
    text.len() == 1 && matches!(text.parse(), Ok(2..=BRICKS_ON_A_DEVICE))
}

/// Whether that is what comes behind `<volume>-` in the name of a brick's directory: 8 hex digits of the uid of its object, and `-<2 to 8>`
/// where the device has several bricks of the volume.
pub fn is_directory_end(text: &str) -> bool {
    match text.split_once('-') {
        Some((digits, number)) => is_hex(digits) && is_further(number),
        None => is_hex(text),
    }
}

fn trash_name(text: &str) -> bool {
    let digits =
        |text: &str| (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let directory = |text: &str| {
        text.rsplit_once('-')
            .is_some_and(|(volume, id)| is_hex(id) && volume.parse::<VolumeName>().is_ok())
    };
    let base = |text: &str| {
        directory(text)
            || text
                .rsplit_once("-torn-")
                .is_some_and(|(head, time)| digits(time) && directory(head))
    };
    base(text)
        || text
            .rsplit_once('-')
            .is_some_and(|(head, end)| (is_hex(end) || is_further(end)) && base(head))
}

/// The xattr of a brick root that says whose brick it is.
pub const OWNER_XATTR: &str = "trusted.gluster-operator.owner";
/// The volume option that says the same; a cache of the xattrs, since `volume reset` drops it.
pub const OWNER_OPTION: &str = "user.gluster-operator.owner";
/// The volume option that says which addresses may mount.
pub const ALLOW_OPTION: &str = "auth.allow";
/// Its value that admits nobody: no client has this source address.
pub const ALLOW_NOBODY: &str = "0.0.0.0";
/// The configuration of glusterd.
pub const GLUSTERD_VOL: &str = "/etc/glusterfs/glusterd.vol";
/// Where glusterd's unit has it write its process id, when it starts.
pub const GLUSTERD_PID: &str = "/run/glusterd.pid";
/// Where each host of a pool keeps the id of whoever may write to that pool.
pub const OWNER_FILE: &str = "/var/lib/gluster-operator/owner";
/// Where a host keeps our locks and the files of `get-state`; gone at a reboot, and may be.
pub const RUN_DIR: &str = "/run/gluster-operator";

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    /// In the largest binary unit that leaves no remainder: `2Gi`, `1536Mi`, `1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")] {
            if self.0 != 0 && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// A brick: a directory of one host, `host:/path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Brick {
    /// The host, by the name that gluster uses.
    pub host: HostName,
    /// The directory.
    pub path: HostPath,
}

impl fmt::Display for Brick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.path)
    }
}

impl FromStr for Brick {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let rule = "host:/absolute/path";
        let (host, path) = text
            .split_once(':')
            .ok_or_else(|| BadName::new("brick", text, rule))?;
        Ok(Self {
            host: host.parse()?,
            path: path.parse()?,
        })
    }
}

impl OwnerMark {
    /// Builds the mark of the volume of one GlusterVolume.
    pub fn new(
        owner: &OwnerId,
        namespace_uid: &Uuid,
        namespace: &str,
        name: &str,
        uid: &Uuid,
    ) -> Result<Self, BadName> {
        format!("v1:{owner}:{namespace_uid}:{namespace}/{name}:{uid}").parse()
    }

    /// Who owns the pool, what the object is (namespace by uid and name), and the object's own uid.
    fn parts(&self) -> Option<(&str, &str, &str)> {
        let (head, uid) = self.0.strip_prefix("v1:")?.rsplit_once(':')?;
        // an owner id may hold ':' ("rest:…"), a namespace uid and names do not
        let (rest, name) = head.rsplit_once(':')?;
        let (owner, _) = rest.rsplit_once(':')?;
        Some((owner, &head[owner.len() + 1..], uid)).filter(|_| name.contains('/'))
    }

    /// Who owned the pool when the brick was marked.
    pub fn pool_owner(&self) -> Option<&str> {
        self.parts().map(|(owner, ..)| owner)
    }

    /// True if `other` marks the same namespace (by uid) and name for the same pool owner, or for the one that we were
    /// told to take over from; the object's own uid may differ: then the object was deleted, its volume retained, and
    /// the object made again.
    pub fn same_object(&self, other: &Self, take_over: Option<&OwnerId>) -> bool {
        match self.parts().zip(other.parts()) {
            Some(((owner, object, _), (other_owner, other_object, _))) => {
                object == other_object
                    && (owner == other_owner
                        || take_over.is_some_and(|from| from.as_str() == other_owner))
            }
            None => false,
        }
    }

    /// The pool owner of `other`, if that is another one and all but for it is the same namespace (by uid) and name: the GlusterCluster
    /// was made anew, or two share a pool.
    pub fn other_owner<'a>(&self, other: &'a Self) -> Option<&'a str> {
        let ((owner, object, _), (other_owner, other_object, _)) =
            self.parts().zip(other.parts())?;
        (object == other_object && owner != other_owner).then_some(other_owner)
    }
}

/// `volume_id` of CSI: `<cluster>:<gluster volume>`, made of names of gluster things so that a
/// PersistentVolume outlives the loss of our objects. At most 77 bytes (CSI allows 128).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VolumeId {
    /// The GlusterCluster.
    pub cluster: ClusterName,
    /// The volume in gluster.
    pub volume: VolumeName,
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.cluster, self.volume)
    }
}

impl FromStr for VolumeId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let rule = "<cluster>:<volume>";
        let (cluster, volume) = text
            .split_once(':')
            .ok_or_else(|| BadName::new("volume id", text, rule))?;
        Ok(Self {
            cluster: cluster.parse()?,
            volume: volume.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_printed_in_whole_units() {
        for (bytes, text) in [
            (2 << 30, "2Gi"),
            (1536 << 20, "1536Mi"),
            (1000, "1000"),
            (0, "0"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn names_follow_their_grammar() {
        let long = "x".repeat(5000);
        for bad in [
            "", "-a", "a b", "a\nb", "a;b", "$(id)", "a.b", "ä", "all", "../x", &long,
        ] {
            assert!(bad.parse::<VolumeName>().is_err(), "{bad:?}");
        }
        for bad in [
            "", "a", "/", "/a/../b", "/a//b", "/a/", "/a b", "/a\n", "/./a", "/a;b", "/ä",
        ] {
            assert!(bad.parse::<HostPath>().is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "a b",
            "a\tb",
            "ä",
            "a\n",
            "-1",
            "--log-file=/x",
            "`id`",
            "a`",
            "\"",
            "a\"b",
            "\\",
            "a\\",
            "#",
            &long,
        ] {
            assert!(bad.parse::<OptionValue>().is_err(), "{bad:?}");
        }
        for good in [
            "75%",
            "*.jpg:3,*:1",
            "$(id)",
            "a;b|c&d",
            "'",
            "^[.](.+)[.][^.]+$",
            "~[]^_",
        ] {
            assert!(good.parse::<OptionValue>().is_ok(), "{good:?}");
        }
        for bad in ["", "noxlator", "a b.c", "-a.b", "--xml.x", "a.b\n", "a."] {
            assert!(bad.parse::<OptionKey>().is_err(), "{bad:?}");
        }
        for bad in ["", "-n", "n1-", "a..b", "fe80::1", "a_b", "h o"] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
        for good in ["*", "10.0.*", "10.0.0.7", "db1.example.org"] {
            assert!(good.parse::<AddressPattern>().is_ok(), "{good:?}");
        }
        for bad in [
            "10.0.0.0/24",
            "10.*.*",
            "a,b",
            "*.*",
            "10.0.0.0.*",
            "+1.*",
            "0001.*",
        ] {
            assert!(bad.parse::<AddressPattern>().is_err(), "{bad:?}");
        }
        assert!("default_mysql".parse::<VolumeName>().is_ok());
        assert!("performance.cache-size".parse::<OptionKey>().is_ok());
        assert_eq!("n1:/b/x".parse::<Brick>().unwrap().to_string(), "n1:/b/x");
        assert_eq!(
            "prod:default_mysql"
                .parse::<VolumeId>()
                .unwrap()
                .to_string(),
            "prod:default_mysql"
        );
        assert!("prod".parse::<VolumeId>().is_err());
    }

    #[test]
    fn only_names_that_we_give_are_names_in_the_trash() {
        for good in [
            "shop_data-0a1b2c3d",
            "shop-a-0a1b2c3d-torn-1700000000",
            "v-0a1b2c3d-torn-1-deadbeef",
            "v-0a1b2c3d-deadbeef",
        ] {
            assert!(good.parse::<TrashName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "data",
            "data-0A1B2C3D",
            "-0a1b2c3d",
            "../x-0a1b2c3d",
            "a/b-0a1b2c3d",
            "a b-0a1b2c3d",
            "v-0a1b2c3d-torn-",
            "v-0a1b2c3d-torn-12x",
            "v-0a1b2c3d.json",
            "v-0a1b2c3d\n",
        ] {
            assert!(bad.parse::<TrashName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_mark_knows_the_same_object_made_again() {
        let owner: OwnerId = "a.b".parse().unwrap();
        let [a, b, c] = ["0", "1", "2"]
            .map(|d| {
                format!(
                    "{0}-{1}-{1}-{1}-{2}",
                    d.repeat(8),
                    d.repeat(4),
                    d.repeat(12)
                )
            })
            .map(|text| text.parse::<Uuid>().unwrap());
        let mark = |ns: &Uuid, name: &str, uid: &Uuid| {
            OwnerMark::new(&owner, ns, "shop", name, uid).unwrap()
        };
        let same = |x: &OwnerMark, y: &OwnerMark| x.same_object(y, None);
        assert!(same(&mark(&a, "data", &b), &mark(&a, "data", &c)));
        assert!(
            !same(&mark(&a, "data", &b), &mark(&b, "data", &b)),
            "a reused namespace name"
        );
        assert!(!same(&mark(&a, "data", &b), &mark(&a, "other", &b)));
        let before: OwnerId = "rest:before".parse().unwrap();
        let old = OwnerMark::new(&before, &a, "shop", "data", &c).unwrap();
        assert!(!same(&mark(&a, "data", &b), &old), "another owner's");
        assert!(
            mark(&a, "data", &b).same_object(&old, Some(&before)),
            "told to take over"
        );
    }
}
