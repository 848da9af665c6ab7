//! No parser panics or concludes anything from rubbish: arbitrary bytes, and real outputs with holes and changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gluster_operator::gluster::get_state;
use gluster_operator::gluster::model::QuotaView;
use gluster_operator::gluster::names::{Bytes, HostPath};
use gluster_operator::gluster::outcome::{Class, Family, Output, classify};
use gluster_operator::gluster::output::{
    about, brick_facts, brick_uses, clients, missing_programs, quota, quotas, survey, uuid,
};
use proptest::prelude::*;

/// All recorded outputs, whole files.
static REAL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            if bytes.len() < 40_000 {
                found.push(bytes);
            }
        }
    }
    found
});

fn feed(output: &Output) {
    for family in Family::ALL {
        let outcome = classify(*family, output);
        assert!(outcome.message.chars().count() <= 300);
        assert!(!outcome.message.contains(char::is_control));
        if output.exit.is_none() {
            assert_eq!(outcome.class, Class::Unknown);
        }
        // done needs words that say so, and an exit that does not deny it
        if outcome.class == Class::Ok {
            assert_eq!(output.exit, Some(0), "{family:?} {output:?}");
            assert!(!(output.stdout.is_empty() && output.stderr.is_empty()));
        }
    }
    let paths: Vec<HostPath> = vec!["/a".parse().unwrap()];
    let two = [output.clone(), output.clone()];
    let _ = get_state::parse(&output.stdout);
    let _ = get_state::state(&two);
    let _ = (quota(output), clients(output), uuid(output));
    for count in 0..3 {
        assert_eq!(quotas(output, count).len(), count);
    }
    let _ = (brick_facts(&two, &paths), missing_programs(&two));
    assert_eq!(brick_uses(&two, &paths).len(), 1);
    let _ = survey(&vec![output.clone(); 4], 1);
    let _ = about(&two);
}

fn exit() -> impl Strategy<Value = Option<i32>> {
    prop_oneof![
        Just(None),
        Just(Some(0)),
        Just(Some(1)),
        Just(Some(75)),
        any::<i32>().prop_map(Some)
    ]
}

/// A real output with some bytes cut out, doubled or overwritten.
fn mutated() -> impl Strategy<Value = String> {
    let change = (
        any::<prop::sample::Index>(),
        0_usize..60,
        0..3_u8,
        any::<u8>(),
    );
    (
        any::<prop::sample::Index>(),
        prop::collection::vec(change, 0..6),
    )
        .prop_map(|(file, changes)| {
            let mut bytes = file.get(&REAL).clone();
            for (at, length, kind, byte) in changes {
                if bytes.is_empty() {
                    break;
                }
                let start = at.index(bytes.len());
                let end = (start + length).min(bytes.len());
                match kind {
                    0 => drop(bytes.drain(start..end)),
                    1 => {
                        let copy = bytes[start..end].to_vec();
                        bytes.splice(start..start, copy);
                    }
                    _ => bytes[start..end].fill(byte),
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
}

/// Sections of recordings, as programs would have printed them.
fn streams(text: &str) -> (String, String) {
    let rest = text
        .split_once("--- stdout\n")
        .map_or(text, |(_, rest)| rest);
    let (stdout, stderr) = rest.split_once("--- stderr\n").unwrap_or((rest, ""));
    (stdout.to_owned(), stderr.to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_are_survived(
        stdout in prop::collection::vec(any::<u8>(), 0..2000),
        stderr in ".{0,300}",
        exit in exit(),
        xml in any::<bool>(),
    ) {
        let head = if xml { "<?xml version=\"1.0\"?>\n<cliOutput>" } else { "" };
        let stdout = format!("{head}{}", String::from_utf8_lossy(&stdout));
        feed(&Output { exit, stdout, stderr });
    }

    #[test]
    fn changed_outputs_are_survived(text in mutated(), exit in exit()) {
        let (stdout, stderr) = streams(&text);
        feed(&Output { exit, stdout, stderr });
    }

    /// A failure in words that nobody knows is never taken for a wish fulfilled or a thing that is absent.
    #[test]
    fn unknown_words_conclude_nothing(words in "[A-Z][a-z]{3,9}( [a-z]{2,9}){1,8}", code in 1..=255, plain in any::<bool>()) {
        let output = if plain {
            Output { exit: Some(code), stdout: String::new(), stderr: words }
        } else {
            let stdout = format!(
                "<?xml version=\"1.0\"?>\n<cliOutput><opRet>-1</opRet><opErrno>30800</opErrno><opErrstr>{words}</opErrstr></cliOutput>"
            );
            Output { exit: Some(0), stdout, stderr: String::new() }
        };
        for family in Family::ALL {
            let class = classify(*family, &output).class;
            let concludes = matches!(class, Class::Ok | Class::Already | Class::Absent);
            prop_assert!(!concludes, "{family:?}: {class:?}");
        }
    }

    /// Each line of a file of get-state that is lost or comes twice gives an error, or no less than the same bricks.
    #[test]
    fn a_lost_line_loses_no_brick(at in any::<prop::sample::Index>(), double in any::<bool>()) {
        let text = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts/10.3/get-state--file.txt"),
        ).unwrap();
        let whole = streams(&text).0;
        let count = |state: &gluster_operator::gluster::model::GlusterdState| -> (usize, usize, usize) {
            let bricks = state.volumes.iter().map(|volume| volume.bricks.len()).sum();
            (state.peers.len(), state.volumes.len(), bricks)
        };
        let state = get_state::parse(&whole).unwrap();
        let mut lines: Vec<&str> = whole.lines().collect();
        let at = at.index(lines.len());
        if double {
            lines.insert(at, lines[at]);
        } else {
            lines.remove(at);
        }
        let changed = format!("{}\n", lines.join("\n"));
        if let Ok(found) = get_state::parse(&changed) {
            prop_assert_eq!(count(&found), count(&state));
        }
    }
}

/// Documents of a batch carry no name: only a whole batch is believed.
#[test]
fn a_batch_of_quota_lists_is_believed_whole_or_not_at_all() {
    let read = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gluster/10.3");
        fs::read_to_string(folder.join(name)).unwrap()
    };
    let (one, off) = (
        read("quota-list--one.xml"),
        read("quota-list--disabled.xml"),
    );
    let batch = |documents: &[&str], exit| Output {
        exit,
        stdout: documents.concat(),
        stderr: "Welcome to gluster prompt\n".into(),
    };
    let limit = quota(&batch(&[&one], Some(0)));
    assert!(matches!(limit, QuotaView::Limit(_)), "{limit:?}");
    let unknown = QuotaView::Unknown;
    assert_eq!(
        quotas(&batch(&[&one, &off, &one], Some(0)), 3),
        [limit.clone(), QuotaView::Off, limit.clone()]
    );
    for (documents, exit, count) in [
        (vec![one.as_str(), &one], Some(0), 3),
        (vec![one.as_str(), &one, &one], Some(0), 2),
        (vec![one.as_str(), &one], None, 2),
        (
            vec!["Error : Request timed out\n", one.as_str(), &one],
            Some(0),
            2,
        ),
        (vec![], Some(0), 2),
    ] {
        let views = quotas(&batch(&documents, exit), count);
        assert_eq!(views, vec![unknown.clone(); count], "{documents:?}");
    }
}

/// As `du` tells it; a file that goes meanwhile is no failure, and anything else is not known.
#[test]
fn what_bricks_hold_is_the_smaller_of_two_counts() {
    let paths: Vec<HostPath> = vec!["/b/one/brick".parse().unwrap(), "/b/two".parse().unwrap()];
    let said = |exit: i32, stdout: &str, stderr: &str| Output {
        exit: Some(exit),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    };
    let blocks = said(0, "52772864\t/b/one/brick\n4096\t/b/two\n", "");
    let sizes = said(0, "34082066\t/b/one/brick\n6\t/b/two\n", "");
    let found = brick_uses(&[blocks.clone(), sizes.clone()], &paths);
    assert_eq!(found, [Ok(Bytes(34_082_066)), Ok(Bytes(6))]);
    let went = said(
        1,
        "34082066\t/b/one/brick\n",
        "du: cannot access '/b/one/brick/x': No such file or directory\ndu: cannot access '/b/two': No such file or directory\n",
    );
    let found = brick_uses(&[blocks.clone(), went], &paths);
    assert_eq!(found[0], Ok(Bytes(34_082_066)));
    assert!(found[1].as_ref().unwrap_err().contains("/b/two"));
    for (bad, words) in [
        (said(124, "", ""), "given up after 120 s"),
        (
            said(0, "34082066\t/b/one/brick\n6\t/b/tw", ""),
            "du did not tell",
        ),
        (said(0, "1\t/b/two\n2\t/b/two\n", ""), "du did not tell"),
        (
            said(
                1,
                "1\t/b/two\n",
                "du: cannot read directory '/b/two/x': Input/output error\n",
            ),
            "Input/output error",
        ),
    ] {
        let found = brick_uses(&[blocks.clone(), bad], &paths);
        assert!(found[1].as_ref().unwrap_err().contains(words), "{found:?}");
    }
    assert!(brick_uses(&[sizes], &paths).iter().all(Result::is_err));
}
