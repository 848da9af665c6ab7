//! glusterd's own configuration, `glusterd.vol`: one option of it is read and written, all else stays as it is.

use super::model::GlusterdVol;
use super::outcome::Output;
use super::output::Malformed;

/// The value of a line `option ping-timeout N` that is no comment.
fn value(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["option", "ping-timeout", seconds] => Some(seconds),
        _ => None,
    }
}

/// What the file says: the last line counts. `None` when it says nothing that is a number.
pub fn ping_timeout(text: &str) -> Option<u32> {
    text.lines()
        .filter_map(value)
        .next_back()
        .and_then(|seconds| seconds.parse().ok())
}

/// The file with that ping-timeout: in place of each line that sets it, or else before the end of the volume. Everything else stays,
/// byte for byte. `None` when the file is not one volume, and so not what glusterd ships.
pub fn with_ping_timeout(text: &str, seconds: u32) -> Option<String> {
    let is = |line: &str, word: &str| line.trim() == word;
    let ends = text.lines().filter(|line| is(line, "end-volume")).count();
    if ends != 1 || !text.lines().any(|line| is(line, "type mgmt/glusterd")) {
        return None;
    }
    let option = format!("option ping-timeout {seconds}");
    let there = text.lines().any(|line| value(line).is_some());
    let mut new = String::with_capacity(text.len() + 40);
    for line in text.split_inclusive('\n') {
        if value(line).is_some() {
            let indent: String = line
                .chars()
                .take_while(|c| *c == ' ' || *c == '\t')
                .collect();
            let end = if line.ends_with('\n') { "\n" } else { "" };
            new.extend([indent.as_str(), option.as_str(), end]);
        } else {
            if !there && is(line, "end-volume") {
                new.extend(["    ", option.as_str(), "\n"]);
            }
            new.push_str(line);
        }
    }
    Some(new)
}

/// Parses the answers of [`super::operation::Operation::ReadGlusterdVol`].
pub fn read(outputs: &[Output]) -> Result<GlusterdVol, Malformed> {
    const WHAT: &str = "reading glusterd.vol";
    let [text, changed, started] = outputs else {
        return Err(Malformed::new(WHAT, "answers are missing"));
    };
    if text.exit != Some(0) {
        return Err(Malformed::new(WHAT, &text.stderr));
    }
    let known = changed.exit == Some(0) && started.exit == Some(0);
    Ok(GlusterdVol {
        text: text.stdout.clone(),
        in_force: known
            .then(|| in_force(&changed.stdout, &started.stdout))
            .flatten(),
    })
}

/// Whether glusterd has read the file as it is, from when the file changed and when glusterd started, as `stat` prints times: with
/// nanoseconds, so that a restart right after a change is seen.
pub(super) fn in_force(changed: &str, started: &str) -> Option<bool> {
    let time = |text: &str| -> Option<(u64, u32)> {
        let (seconds, nanos) = text.trim().split_once('.')?;
        (nanos.len() == 9).then_some((seconds.parse().ok()?, nanos.parse().ok()?))
    };
    Some(time(started)? >= time(changed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = "volume management\n    type mgmt/glusterd\n    option ping-timeout 0\n#   option ping-timeout 7\n    option max-port  60999\nend-volume\n";

    #[test]
    fn only_the_one_option_changes() {
        let new = with_ping_timeout(SHIPPED, 10).unwrap();
        assert_eq!(new, SHIPPED.replace("ping-timeout 0", "ping-timeout 10"));
        assert_eq!(ping_timeout(&new), Some(10));
        assert_eq!(with_ping_timeout(&new, 10).unwrap(), new);
        let without = SHIPPED.replace("    option ping-timeout 0\n", "");
        assert_eq!(ping_timeout(&without), None);
        let new = with_ping_timeout(&without, 10).unwrap();
        assert_eq!(ping_timeout(&new), Some(10));
        assert_eq!(
            new.replace("    option ping-timeout 10\n", ""),
            without,
            "nothing else"
        );
    }

    #[test]
    fn what_is_not_glusterds_file_is_not_written() {
        for other in [
            "",
            "volume x\n    type protocol/client\nend-volume\n",
            "volume management\n    type mgmt/glusterd\n",
            &[SHIPPED, SHIPPED].concat(),
        ] {
            assert_eq!(with_ping_timeout(other, 10), None, "{other:?}");
        }
    }

    #[test]
    fn whether_it_is_in_force() {
        let said = |stdout: &str| Output {
            exit: Some(0),
            stdout: stdout.into(),
            stderr: String::new(),
        };
        for (changed, started, expected) in [
            ("5.000000001\n", "5.000000002\n", Some(true)),
            ("5.000000002\n", "5.000000001\n", Some(false)),
            ("5.000000000\n", "", None),
            ("5\n", "6\n", None),
        ] {
            let found = read(&[said(SHIPPED), said(changed), said(started)]).unwrap();
            assert_eq!(found.in_force, expected, "{changed} {started}");
        }
        assert!(read(&[Output::default(), said("1.0"), said("1.0")]).is_err());
    }
}
