//! Argument vectors as one line for a POSIX shell, since that is all that SSH's `exec` carries.

use thiserror::Error;

/// Where the programs of an operation are looked for. The shell of a login that is not interactive has often no
/// `sbin` directory in its path, and gluster lives in one.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Linux takes no argument of 128 KiB or more, and the whole line is one argument of the remote shell.
const LONGEST: usize = 120 * 1024;

/// An argument vector that cannot be handed over. Nothing was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unquotable {
    /// No program ever receives such an argument.
    #[error("an argument contains a NUL byte")]
    Nul,
    /// It would fail on the host with "Argument list too long".
    #[error("the command is {0} bytes long, more than {LONGEST}")]
    TooLong(usize),
}

/// The line that makes a remote POSIX shell run `argv`: in the C locale, whose messages can be parsed, and as root by
/// `sudo` when asked to. `sudo` must need no password.
pub fn remote<T: AsRef<[u8]>>(argv: &[T], sudo: bool) -> Result<Vec<u8>, Unquotable> {
    let path = format!("PATH={PATH}");
    let mut words: Vec<&[u8]> = Vec::new();
    if sudo {
        words.extend([b"sudo".as_slice(), b"-n", b"--"]);
    }
    words.extend([b"env".as_slice(), b"LC_ALL=C", path.as_bytes()]);
    words.extend(argv.iter().map(AsRef::as_ref));
    line(&words)
}

/// The words as one line. The first must be no reserved word of the shell, such as `if`.
fn line(words: &[&[u8]]) -> Result<Vec<u8>, Unquotable> {
    let mut line = Vec::new();
    for word in words {
        if word.contains(&0) {
            return Err(Unquotable::Nul);
        }
        if !line.is_empty() {
            line.push(b' ');
        }
        push(&mut line, word);
    }
    if line.len() > LONGEST {
        return Err(Unquotable::TooLong(line.len()));
    }
    Ok(line)
}

fn push(line: &mut Vec<u8>, word: &[u8]) {
    if !word.is_empty() && word.iter().all(|byte| is_plain(*byte)) {
        line.extend_from_slice(word);
        return;
    }
    line.push(b'\'');
    for byte in word {
        match byte {
            // nothing has a meaning between single quotes, but for the quote itself
            b'\'' => line.extend_from_slice(br"'\''"),
            other => line.push(*other),
        }
    }
    line.push(b'\'');
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'.' | b'/' | b':' | b'@' | b'%' | b'+' | b',' | b'-'
        )
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// The shells of this machine; `/bin/sh` is always there.
    fn shells() -> Vec<&'static Path> {
        ["/bin/sh", "/bin/dash", "/bin/bash"]
            .into_iter()
            .map(Path::new)
            .filter(|shell| shell.exists())
            .collect()
    }

    fn argument() -> impl Strategy<Value = Vec<u8>> {
        let hostile = prop::sample::select(vec![
            "",
            "-n",
            "--",
            "-e",
            "'",
            "''",
            "\"",
            "\\",
            "\\'",
            "'\\''",
            "$(id)",
            "`id`",
            "$HOME",
            "*",
            "~",
            "~root",
            "a b",
            " ",
            "\n",
            "a\nb\n",
            "\t",
            ";",
            "&&",
            "|",
            "> /x",
            "#",
            "!!",
            "!",
            "{a,b}",
            "[a]",
            "?",
            "A=b",
            "if",
            "%s",
            "%n",
            "ä",
            "日本語",
            "\u{202e}",
            "\r\n",
            "\x1b[31m",
            "\x7f",
            "..",
            "/bin/../x",
        ]);
        prop_oneof![
            hostile.prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(1..=255_u8, 0..40),
            "\\PC{0,30}".prop_map(String::into_bytes),
            prop::collection::vec(prop::sample::select(b"'\\\"$`\n -".to_vec()), 0..12),
        ]
    }

    fn read_back(shell: &Path, path: &str, line: &[u8]) -> Vec<Vec<u8>> {
        let run = Command::new(shell)
            .env("PATH", path)
            .arg("-c")
            .arg(OsStr::from_bytes(line))
            .output()
            .unwrap();
        assert!(
            run.status.success() && run.stderr.is_empty(),
            "{} {:?}: {}",
            shell.display(),
            String::from_utf8_lossy(line),
            String::from_utf8_lossy(&run.stderr)
        );
        let mut parts: Vec<_> = run.stdout.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
        assert_eq!(parts.pop(), Some(Vec::new()), "each argument ends with NUL");
        parts
    }

    /// A directory with a `sudo` that insists on `-n --` and runs the rest, as the real one does for root.
    struct Sudo(PathBuf);

    impl Sudo {
        fn new() -> Self {
            let dir = std::env::temp_dir().join(format!("quote-sudo-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            let script = "#!/bin/sh\n[ \"$1 $2\" = '-n --' ] || exit 99\nshift 2\nexec \"$@\"\n";
            std::fs::write(dir.join("sudo"), script).unwrap();
            std::fs::set_permissions(dir.join("sudo"), PermissionsExt::from_mode(0o755)).unwrap();
            Self(dir)
        }
    }

    impl Drop for Sudo {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_real_shell_reads_the_arguments_back() {
        let sudo = Sudo::new();
        let with_sudo = format!("{}:{PATH}", sudo.0.display());
        let shells = shells();
        let config = ProptestConfig {
            cases: 150,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        proptest!(config, |(arguments in prop::collection::vec(argument(), 1..12))| {
            // `--` is for printf alone, it takes it off
            let mut argv = vec![b"printf".to_vec(), b"%s\\0".to_vec()];
            argv.extend(arguments.iter().cloned());
            for shell in &shells {
                let words: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
                prop_assert_eq!(&read_back(shell, PATH, &line(&words).unwrap()), &arguments);
                prop_assert_eq!(&read_back(shell, PATH, &remote(&argv, false).unwrap()), &arguments);
                prop_assert_eq!(&read_back(shell, &with_sudo, &remote(&argv, true).unwrap()), &arguments);
            }
        });
    }

    #[test]
    fn the_line_is_readable_where_it_can_be() {
        let argv = ["gluster", "--mode=script", "it's", ""];
        assert_eq!(
            String::from_utf8(remote(&argv, true).unwrap()).unwrap(),
            format!(
                "sudo -n -- env 'LC_ALL=C' 'PATH={PATH}' gluster '--mode=script' 'it'\\''s' ''"
            )
        );
    }

    #[test]
    fn what_no_program_can_get_is_refused() {
        assert_eq!(remote(&["cat", "a\0b"], false), Err(Unquotable::Nul));
        let long = "x".repeat(130 * 1024);
        assert!(matches!(
            remote(&["cat", &long], false),
            Err(Unquotable::TooLong(_))
        ));
    }
}
