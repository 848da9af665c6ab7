//! Mount options by an allow-list. The GlusterFS client runs as root on the node, and some of its options write
//! files of their caller's choice (`log-file`, `dump-fuse`) or change any translator (`xlator-option`): an option
//! that is not in the table here is refused.

use std::collections::BTreeMap;

use thiserror::Error;

/// A mount option that we do not pass on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadOption {
    /// It is not in the table.
    #[error("mount option {name:?} is not allowed; allowed are {}", allowed())]
    NotAllowed {
        /// The option's name, cut to 80 characters.
        name: String,
    },
    /// Its value does not fit.
    #[error("mount option {name} has the value {value:?}, it takes {takes}")]
    BadValue {
        /// The option's name.
        name: &'static str,
        /// What was given, cut to 80 characters.
        value: String,
        /// What is possible, in words.
        takes: String,
    },
    /// It is given twice with different values.
    #[error("mount option {name} is given twice, with different values")]
    Contradiction {
        /// The option's name.
        name: &'static str,
    },
}

/// Checked options, in the forms in which they are used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// Arguments of the client, `--name` or `--name=value`.
    pub client: Vec<String>,
    /// Options for the kernel's side of the mount.
    pub kernel: Vec<&'static str>,
    /// The volume is bound read-only into the pod. The client itself stays writable: it is shared by all pods.
    pub read_only: bool,
}

enum Takes {
    /// No value; says nothing that is not so anyway.
    Nothing,
    ReadOnly,
    /// No value; an option of the mount itself.
    Kernel,
    /// No value; an argument of the client.
    Flag,
    Word(&'static [&'static str]),
    Number(u32, u32),
}

use Takes::{Flag, Kernel, Nothing, Number, ReadOnly, Word};

const TABLE: [(&str, Takes); 26] = [
    ("rw", Nothing),
    ("ro", ReadOnly),
    ("_netdev", Nothing),
    ("noatime", Kernel),
    ("nodiratime", Kernel),
    ("relatime", Kernel),
    ("strictatime", Kernel),
    ("nodev", Kernel),
    ("nosuid", Kernel),
    ("noexec", Kernel),
    ("acl", Flag),
    ("attribute-timeout", Number(0, 3600)),
    ("entry-timeout", Number(0, 3600)),
    ("negative-timeout", Number(0, 3600)),
    ("gid-timeout", Number(0, 3600)),
    ("lru-limit", Number(0, 1 << 20)),
    ("invalidate-limit", Number(0, 1 << 20)),
    ("background-qlen", Number(16, 4096)),
    ("congestion-threshold", Number(12, 4096)),
    ("reader-thread-count", Number(1, 16)),
    ("direct-io-mode", Word(&["enable", "disable", "auto"])),
    ("use-readdirp", Word(&["yes", "no"])),
    ("fopen-keep-cache", Word(&["on", "off"])),
    ("kernel-writeback-cache", Word(&["yes", "no"])),
    // Not DEBUG or TRACE: they fill the node's disk.
    ("log-level", Word(&["INFO", "WARNING", "ERROR", "CRITICAL"])),
    ("event-history", Word(&["on", "off"])),
];

fn allowed() -> String {
    TABLE
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}

impl MountOptions {
    /// Checks options given as `name` or `name=value`.
    pub fn parse<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<Self, BadOption> {
        let mut seen: BTreeMap<&'static str, &str> = BTreeMap::new();
        let mut checked = Self::default();
        for option in options.into_iter().filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let cut = |text: &str| text.chars().take(80).collect::<String>();
            let Some((name, takes)) = TABLE.iter().find(|(known, _)| *known == name) else {
                return Err(BadOption::NotAllowed { name: cut(name) });
            };
            match seen.insert(name, value) {
                Some(before) if before == value => continue,
                Some(_) => return Err(BadOption::Contradiction { name }),
                None => {}
            }
            let fits = match takes {
                Nothing | ReadOnly | Kernel | Flag => !option.contains('='),
                Word(words) => words.contains(&value),
                // No sign, no leading zero, nothing that parses in more than one way.
                Number(least, most) => value.parse().is_ok_and(|number: u32| {
                    (least..=most).contains(&&number) && number.to_string() == value
                }),
            };
            if !fits {
                let takes = match takes {
                    Nothing | ReadOnly | Kernel | Flag => "no value".to_owned(),
                    Word(words) => words.join(", "),
                    Number(least, most) => format!("a number from {least} to {most}"),
                };
                return Err(BadOption::BadValue {
                    name,
                    value: cut(value),
                    takes,
                });
            }
            match takes {
                Nothing => {}
                ReadOnly => checked.read_only = true,
                Kernel => checked.kernel.push(name),
                Flag => checked.client.push(format!("--{name}")),
                Word(_) | Number(..) => checked.client.push(format!("--{name}={value}")),
            }
        }
        if seen.contains_key("rw") && seen.contains_key("ro") {
            return Err(BadOption::Contradiction { name: "ro" });
        }
        Ok(checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_options_become_arguments() {
        let options = MountOptions::parse([
            "ro",
            "noatime",
            "acl",
            "attribute-timeout=5",
            "use-readdirp=no",
            "acl",
            "",
        ]);
        assert_eq!(
            options.unwrap(),
            MountOptions {
                client: vec![
                    "--acl".into(),
                    "--attribute-timeout=5".into(),
                    "--use-readdirp=no".into()
                ],
                kernel: vec!["noatime"],
                read_only: true,
            }
        );
    }

    #[test]
    fn options_that_act_as_root_or_do_not_fit_are_refused() {
        for bad in [
            "log-file=/etc/passwd",
            "dump-fuse=/etc/cron.d/x",
            "xlator-option=*.remote-host=evil",
            "xlator-option",
            "volfile-server=evil",
            "fuse-mountopts=suid",
            "oom-score-adj=-1000",
            "log-level=TRACE",
            "attribute-timeout=-1",
            "attribute-timeout=+1",
            "attribute-timeout=007",
            "attribute-timeout=99999999999999999999",
            "attribute-timeout",
            "use-readdirp=no --dump-fuse=/x",
            "ro=1",
            "acl=",
            " ro",
            "ro\n",
            "--acl",
            "=",
        ] {
            assert!(MountOptions::parse([bad]).is_err(), "{bad:?}");
        }
        assert!(MountOptions::parse(["ro", "rw"]).is_err());
        assert!(MountOptions::parse(["lru-limit=1", "lru-limit=2"]).is_err());
    }

    #[test]
    fn a_refusal_names_the_option_and_what_is_allowed() {
        let text = MountOptions::parse(["log-file=/x"])
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("\"log-file\"") && text.contains("attribute-timeout"),
            "{text}"
        );
        let text = MountOptions::parse(["acl=1"]).unwrap_err().to_string();
        assert_eq!(
            text,
            "mount option acl has the value \"1\", it takes no value"
        );
    }
}
