//! Real outputs of gluster, with what each of them is: `tests/fixtures/gluster/*/classes.tsv`.
//!
//! `GLUSTER_OUTPUTS` names one more folder of the same form.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gluster_operator::gluster::get_state;
use gluster_operator::gluster::model::QuotaView;
use gluster_operator::gluster::outcome::{Class, Family, Output, classify};
use gluster_operator::gluster::output::{clients, quota, uuid};

/// Details that the recorder knew and that do not stand in the output, and what classify says instead.
const NOT_IN_THE_OUTPUT: &[(&str, &[&str], &str)] = &[
    (
        "alias-added",
        &[""],
        "the answer is byte for byte that of a new peer; only the peers of before tell",
    ),
    (
        "host-missing",
        &["", "brick-down"],
        "bricks of a host that is not connected are missing from the list, which does not say so",
    ),
    (
        "remote-host",
        &["empty"],
        "--remote-host stands in the command; the output is empty",
    ),
];

struct Row {
    file: String,
    command: String,
    class: String,
    detail: String,
}

fn folders() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gluster");
    let mut found: Vec<PathBuf> = fs::read_dir(&all)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("classes.tsv").is_file())
        .collect();
    if let Some(more) = std::env::var_os("GLUSTER_OUTPUTS") {
        found.push(PathBuf::from(more));
    }
    assert!(!found.is_empty(), "no folder below {}", all.display());
    found
}

fn rows(folder: &Path) -> Vec<Row> {
    let table = fs::read_to_string(folder.join("classes.tsv"))
        .unwrap_or_else(|error| panic!("{}/classes.tsv: {error}", folder.display()));
    table
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let mut cells = line.split('\t').map(|cell| cell.trim().to_owned());
            let mut next = || cells.next().unwrap_or_default();
            Row {
                file: next(),
                command: next(),
                class: next(),
                detail: next(),
            }
        })
        .collect()
}

/// Exit statuses from the table of README.md: `| file | `command` (host) | rc | …`, the rc being the first cell
/// behind the command that is a number.
fn exits(folder: &Path) -> BTreeMap<String, i32> {
    let text = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
            let exit = cells
                .iter()
                .skip(2)
                .find_map(|cell| cell.trim().parse().ok())?;
            Some((cells[0].trim().to_owned(), exit))
        })
        .collect()
}

/// A recorder's negative status says that it killed the command.
fn exit(code: i32) -> Option<i32> {
    (code >= 0).then_some(code)
}

/// Rebuilds what the program left from a file. `None`: the file is no output (only the stderr of another one).
fn output(folder: &Path, file: &str, exits: &BTreeMap<String, i32>) -> Option<Output> {
    let read =
        |name: &str| String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap()).into_owned();
    let text = read(file);
    if let Some(name) = file.strip_suffix(".xml") {
        let stderr = format!("{name}.stderr.txt");
        let has_stderr = folder.join(&stderr).is_file();
        return Some(Output {
            exit: exit(exits.get(file).copied().unwrap_or(0)),
            stdout: text,
            stderr: if has_stderr {
                read(&stderr)
            } else {
                String::new()
            },
        });
    }
    if let Some(name) = file.strip_suffix(".stderr.txt") {
        assert!(
            folder.join(format!("{name}.xml")).is_file(),
            "{file} belongs to no output"
        );
        return None;
    }
    let (head, rest) = text
        .split_once("--- stdout\n")
        .unwrap_or_else(|| panic!("{file} has no stdout"));
    let (stdout, stderr) = rest
        .split_once("--- stderr\n")
        .unwrap_or_else(|| panic!("{file} has no stderr"));
    let code = head
        .lines()
        .find_map(|line| line.strip_prefix("--- rc="))
        .unwrap_or_else(|| panic!("{file} has no rc"));
    Some(Output {
        exit: exit(code.parse().unwrap()),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    })
}

/// The family of a command as the table writes it.
fn family(command: &str) -> Family {
    let exact = Family::ALL.iter().find(|family| family.as_str() == command);
    if let Some(family) = exact {
        return *family;
    }
    let by_start = [
        ("system", Family::SystemUuid),
        ("volume status", Family::VolumeStatus),
        ("volume quota limit", Family::QuotaLimit),
        ("volume quota remove", Family::QuotaRemove),
        ("volume quota list", Family::QuotaList),
        ("volume heal info", Family::HealInfo),
        ("volume heal", Family::Heal),
        ("volume rebalance stop", Family::RebalanceStop),
        ("volume rebalance", Family::Rebalance),
        ("volume add-brick", Family::Bricks),
        ("volume remove-brick", Family::Bricks),
        ("volume replace-brick", Family::Bricks),
        ("volume reset-brick", Family::Bricks),
        ("volume bitrot", Family::Bitrot),
        ("volume set", Family::VolumeSet),
        ("volume get", Family::VolumeGet),
        ("volume info", Family::VolumeInfo),
        ("volume list", Family::VolumeList),
        ("snapshot", Family::Snapshot),
        ("get-state", Family::GetState),
    ];
    by_start
        .iter()
        .find(|(start, _)| command.starts_with(start))
        .map_or(Family::Other, |(_, family)| *family)
}

fn concludes(class: Class) -> bool {
    matches!(class, Class::Ok | Class::Already | Class::Absent)
}

#[test]
fn outputs_are_classified() {
    let mut wrong: Vec<String> = Vec::new();
    let mut read = 0;
    for folder in folders() {
        let (rows, exits) = (rows(&folder), exits(&folder));
        let (mut compared, mut texts, mut beyond) = (0, 0, 0);
        let mut named = BTreeSet::new();
        for row in &rows {
            let at = format!("{}/{} [{}]", folder.display(), row.file, row.command);
            assert!(named.insert(row.file.clone()), "{at} stands there twice");
            if !folder.join(&row.file).is_file() {
                wrong.push(format!("{at}: there is no such file"));
                continue;
            }
            let Some(output) = output(&folder, &row.file, &exits) else {
                // not an output; it was read as the stderr of the one that it belongs to
                if row.class != "text" {
                    wrong.push(format!("{at}: a stderr alone can't be {}", row.class));
                }
                texts += 1;
                continue;
            };
            let got = classify(family(&row.command), &output);
            let message_is_tame =
                got.message.chars().count() <= 300 && !got.message.contains(char::is_control);
            assert!(message_is_tame, "{at}: {:?}", got.message);
            if row.class == "text" {
                // no answer of gluster: whatever it is taken for, it must not lead to a conclusion
                if concludes(got.class) {
                    wrong.push(format!("{at}: a text, taken for {got:?}"));
                }
                texts += 1;
                continue;
            }
            compared += 1;
            let class_fits = got.class.as_str() == row.class;
            let else_known = NOT_IN_THE_OUTPUT
                .iter()
                .find(|(detail, ..)| *detail == row.detail);
            let detail_fits = match else_known {
                Some((_, instead, _)) => {
                    beyond += 1;
                    got.detail == row.detail || instead.contains(&got.detail)
                }
                None => got.detail == row.detail,
            };
            if !class_fits || !detail_fits {
                let want = format!("{}/{}", row.class, row.detail);
                let got_words = format!("{}/{}", got.class.as_str(), got.detail);
                wrong.push(format!(
                    "{at}: want {want}, got {got_words}: {}",
                    got.message
                ));
            }
        }
        for entry in fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !named.contains(&name) && name != "README.md" && name != "classes.tsv" {
                wrong.push(format!("{}/{name} has no row", folder.display()));
            }
        }
        assert!(compared > 0, "{} has nothing to compare", folder.display());
        println!(
            "{}: {compared} outputs compared by class and detail ({beyond} of them with a detail that is \
             not in the output), {texts} texts",
            folder.display()
        );
        read += compared;
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(read > 300, "only {read} outputs were read");
}

/// What each command printed must not lead to a conclusion when it was cut off at any byte.
#[test]
fn torn_outputs_lead_to_no_conclusion() {
    let mut cuts = 0;
    for folder in folders() {
        let exits = exits(&folder);
        for row in rows(&folder) {
            if Path::new(&row.file).extension() != Some("xml".as_ref()) || row.class == "text" {
                continue;
            }
            let whole = output(&folder, &row.file, &exits).unwrap();
            let document = whole.stdout.trim_end();
            // in steps, but with each byte of the end
            let step = (document.len() / 12).max(211);
            let ends = (0..document.len().saturating_sub(40))
                .step_by(step)
                .chain(document.len().saturating_sub(40)..document.len());
            for end in ends {
                let Some(part) = document.get(..end) else {
                    continue;
                };
                let torn = Output {
                    stdout: part.to_owned(),
                    ..whole.clone()
                };
                let got = classify(family(&row.command), &torn);
                assert_eq!(
                    got.class,
                    Class::Unknown,
                    "{} cut at {end}: {got:?}",
                    row.file
                );
                match family(&row.command) {
                    Family::QuotaList => assert_eq!(quota(&torn), QuotaView::Unknown),
                    Family::VolumeStatus => assert!(clients(&torn).is_err()),
                    Family::SystemUuid => assert!(uuid(&torn).is_err()),
                    _ => {}
                }
                cuts += 1;
            }
            // nobody saw it end
            let open = Output {
                exit: None,
                ..whole
            };
            assert_eq!(classify(family(&row.command), &open).class, Class::Unknown);
        }
    }
    println!("{cuts} torn answers");
    assert!(cuts > 5_000);
}

/// Each recorded file of `get-state`, cut anywhere, is an error until all that is read of it is there.
#[test]
fn torn_get_state_files_are_refused() {
    let mut files = 0;
    for folder in folders() {
        let exits = exits(&folder);
        for row in rows(&folder)
            .iter()
            .filter(|row| row.detail == "state-file")
        {
            let whole = output(&folder, &row.file, &exits).unwrap().stdout;
            let state = get_state::parse(&whole).unwrap();
            let last = whole.find("\n[Misc]\n").unwrap() + "\n[Misc]\n".len();
            for end in 0..=whole.len() {
                let Some(part) = whole.get(..end) else {
                    continue;
                };
                match get_state::parse(part) {
                    Ok(parsed) if end >= last => assert_eq!(parsed, state, "{} at {end}", row.file),
                    Err(_) if end < last => {}
                    // behind the last head only a line that is no field may stop it
                    Err(error) => assert!(!part.ends_with('\n'), "{} at {end}: {error}", row.file),
                    Ok(parsed) => panic!("{} cut at {end} is believed: {parsed:?}", row.file),
                }
            }
            files += 1;
        }
    }
    assert!(files > 0);
}
