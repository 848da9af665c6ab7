//! Parsers against what real hosts printed: `tests/fixtures/hosts/10.3`, recorded with the commands of
//! [`Operation::commands`].

use std::fs;
use std::path::Path;

use gluster_operator::gluster::get_state;
use gluster_operator::gluster::model::{
    BrickFacts, DeviceFacts, GlusterdState, QuotaView, VolumeStatus,
};
use gluster_operator::gluster::names::{Bytes, HostPath, OwnerMark, VolumeName};
use gluster_operator::gluster::operation::{Operation, PROGRAMS};
use gluster_operator::gluster::outcome::{Class, Family, Output, classify};
use gluster_operator::gluster::output::{
    Malformed, Survey, about, brick_facts, brick_failed, clients, low_ports, missing_programs,
    quota, survey, uuid,
};

const FOLDER: &str = "tests/fixtures/hosts/10.3";

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The command line of a recording, and what it left.
fn recording(file: &str) -> (String, Output) {
    let text = read(&format!("{FOLDER}/{file}.txt"));
    let (head, rest) = text.split_once("--- stdout\n").unwrap();
    let (stdout, stderr) = rest.split_once("--- stderr\n").unwrap();
    let mut lines = head.lines();
    let command = lines.next().unwrap().strip_prefix("$ ").unwrap().to_owned();
    let exit = lines.next().unwrap().strip_prefix("--- rc=").unwrap();
    let output = Output {
        exit: Some(exit.parse().unwrap()),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    };
    (command, output)
}

fn recorded(file: &str) -> Output {
    recording(file).1
}

fn failed(exit: Option<i32>, stderr: &str) -> Output {
    Output {
        exit,
        stderr: stderr.to_owned(),
        ..Output::default()
    }
}

fn path(text: &str) -> HostPath {
    text.parse().unwrap()
}

/// The recordings were made with the commands that we run today.
#[test]
fn recordings_are_of_our_commands() {
    let typed = |operation: &Operation| -> Vec<String> {
        let commands = operation.commands();
        commands
            .iter()
            .map(|command| command.argv.join(" "))
            .collect()
    };
    let brick = |name: &str| path(&format!("/srv/bricks/d1/{name}"));
    let check = |commands: Vec<String>, files: &[&str]| {
        let made: Vec<String> = files.iter().map(|file| recording(file).0).collect();
        assert_eq!(commands, made);
    };
    let slot: VolumeName = "prod".parse().unwrap();
    check(
        typed(&Operation::State { slot }),
        &["get-state--written", "get-state--file"],
    );
    check(
        typed(&Operation::InspectBricks(vec![
            brick("r3-0a/brick"),
            brick("link"),
        ])),
        &[
            "brick-ours--getfattr",
            "brick-ours--find",
            "brick-link--getfattr",
            "brick-link--find",
        ],
    );
    check(
        typed(&Operation::Survey {
            devices: vec![path("/srv/bricks/d1"), path("/srv/bricks/d7")],
        }),
        &[
            "files--no-owner",
            "ping-timeout--times",
            "device--present--place",
            "device--present--size",
            "device--missing--place",
            "device--missing--size",
        ],
    );
    check(typed(&Operation::About), &["version", "addresses"]);
    assert_eq!(
        typed(&Operation::Prerequisites).last(),
        Some(&recording("programs--all").0)
    );
}

fn state(file: &str) -> GlusterdState {
    get_state::parse(&recorded(file).stdout).unwrap()
}

#[test]
fn state_tells_peers_volumes_and_bricks() {
    let outputs = [recorded("get-state--written"), recorded("get-state--file")];
    let state = get_state::state(&outputs).unwrap();
    let uuid = state.uuid.as_ref().unwrap();
    assert_eq!(uuid.as_str(), "f5f9c8f1-e297-4bb3-9f4d-4e08da8e9b1b");
    assert_eq!(state.op_version, 100_000);
    let option = state.global_options.get("cluster.brick-multiplex");
    assert_eq!(option.map(String::as_str), Some("off"));
    assert_eq!(state.services_online, ["quotad"]);

    let peers: Vec<_> = state
        .peers
        .iter()
        .map(|peer| {
            (
                peer.hostname.as_str(),
                peer.connected,
                peer.other_names.join("+"),
            )
        })
        .collect();
    let aliases = "10.84.0.12+node2-storage.example".to_owned();
    assert_eq!(
        peers,
        [("node2", true, aliases), ("node3", false, String::new())]
    );
    assert!(
        state
            .peers
            .iter()
            .all(|peer| peer.state == "Peer in Cluster")
    );

    let names: Vec<&str> = state
        .volumes
        .iter()
        .map(|volume| volume.name.as_str())
        .collect();
    assert_eq!(names, ["dd", "n0", "n255", "qq", "r3"]);
    let dd = state.volume(&"dd".parse().unwrap()).unwrap();
    assert_eq!((dd.type_name.as_str(), dd.replica_count), ("Distribute", 1));
    assert_eq!(dd.status, VolumeStatus::Started);
    assert!(!dd.quota_enabled());

    let r3 = state.volume(&"r3".parse().unwrap()).unwrap();
    assert_eq!(r3.id, "38ae6c27-e1df-40f9-8d4a-5826c8fe0163");
    assert_eq!((r3.type_name.as_str(), r3.replica_count), ("Replicate", 3));
    assert_eq!(
        (r3.arbiter_count, r3.disperse_count, r3.redundancy_count),
        (0, 0, 0)
    );
    assert!(r3.quota_enabled());
    assert_eq!(r3.options["user.gluster-operator.owner"], "v1:o.u:x");
    // only this host's own bricks tell whether they run; port_registered is 1 for the dead one, too
    let online = |name: &str| -> Vec<(String, Option<bool>)> {
        let volume = state.volume(&name.parse().unwrap()).unwrap();
        let bricks = volume.bricks.iter();
        bricks
            .map(|brick| (format!("{}:{}", brick.host, brick.path), brick.online))
            .collect()
    };
    assert_eq!(
        online("qq"),
        [
            ("node1:/srv/bricks/d1/qq".to_owned(), Some(false)),
            ("node2:/srv/bricks/d1/qq".to_owned(), None),
            ("node3:/srv/bricks/d1/qq".to_owned(), None),
        ]
    );
    assert_eq!(online("r3")[0].1, Some(true));
    let qq = state.volume(&"qq".parse().unwrap()).unwrap();
    assert_eq!(qq.options["user.odd"], "a:b_\"<&>[Misc]=%;");
    assert!(!qq.bricks.iter().any(|brick| brick.arbiter));

    // the other host sees the same volumes and knows of its own bricks
    let other = self::state("get-state--other-host");
    assert_eq!(other.volumes.len(), 5);
    let own: Vec<_> = other.volumes[3]
        .bricks
        .iter()
        .map(|brick| brick.online)
        .collect();
    assert_eq!(own, [None, Some(true), None]);
}

#[test]
fn a_host_of_no_pool_has_a_state_too() {
    // what glusterd prints before anything was done with it
    let text = "[Global]\nMYUUID: 00000000-0000-0000-0000-000000000000\nop-version: 100000\n\n\
                [Global options]\n\n[Peers]\n\n[Volumes]\n\n[Services]\n\n[Misc]\n";
    let state = get_state::parse(text).unwrap();
    assert_eq!(state.uuid, None);
    assert!(state.peers.is_empty() && state.volumes.is_empty());
}

#[test]
fn arbiters_and_dispersed_sets_are_told() {
    let text = read("tests/fixtures/gluster/10.3/get-state--file.txt");
    let (_, rest) = text.split_once("--- stdout\n").unwrap();
    let state = get_state::parse(rest.split_once("--- stderr\n").unwrap().0).unwrap();
    assert_eq!((state.peers.len(), state.volumes.len()), (5, 10));
    let volume = |name: &str| {
        state
            .volumes
            .iter()
            .find(|volume| volume.name == name)
            .unwrap()
    };
    let arbiters: Vec<bool> = volume("arb")
        .bricks
        .iter()
        .map(|brick| brick.arbiter)
        .collect();
    assert_eq!(arbiters, [false, false, true]);
    assert_eq!(volume("arb").arbiter_count, 1);
    let dispersed = volume("ddisp");
    assert_eq!(
        (dispersed.disperse_count, dispersed.redundancy_count),
        (3, 1)
    );
    assert_eq!(dispersed.bricks.len(), 6);
    assert_eq!(dispersed.type_name, "Distributed-Disperse");
    assert!(state.services_online.is_empty());
}

#[test]
fn state_is_an_error_when_gluster_did_not_write_it() {
    let (written, file) = (recorded("get-state--written"), recorded("get-state--file"));
    let hung = Output {
        exit: Some(1),
        stdout: "Error : Request timed out\n".to_owned(),
        ..Output::default()
    };
    let gone = failed(
        Some(1),
        "cat: /run/gluster-operator/state-prod: No such file or directory",
    );
    let cases: Vec<Vec<Output>> = vec![
        vec![],
        vec![written.clone()],
        vec![hung.clone()],
        // a file of before must not be read as an answer of now
        vec![hung, file.clone()],
        vec![recorded("get-state--no-directory"), file.clone()],
        vec![written.clone(), gone],
        vec![
            written.clone(),
            Output {
                exit: None,
                ..file.clone()
            },
        ],
        vec![
            Output {
                exit: None,
                ..written.clone()
            },
            file.clone(),
        ],
        vec![written, file.clone(), file],
    ];
    for (index, outputs) in cases.iter().enumerate() {
        assert!(get_state::state(outputs).is_err(), "case {index}");
    }
    let refused = classify(Family::GetState, &recorded("get-state--no-directory"));
    assert_eq!(
        (refused.class, refused.detail),
        (Class::Refused, "no-run-dir")
    );
}

/// Seen while other volumes were started: the state of the whole host could not be read then.
#[test]
fn a_brick_that_is_just_starting_is_neither_up_nor_down() {
    let whole = recorded("get-state--file").stdout;
    for word in ["Starting", "Stopping"] {
        let changed = whole.replacen(
            "Volume4.Brick1.status: Stopped\n",
            &format!("Volume4.Brick1.status: {word}\n"),
            1,
        );
        let state = get_state::parse(&changed).unwrap();
        assert_eq!(state.volumes[3].bricks[0].online, None, "{word}");
    }
    let state = get_state::parse(&whole).unwrap();
    assert_eq!(state.volumes[3].bricks[0].online, Some(false));
}

/// Lines that vanish from, or come twice into, a file that two threads wrote.
#[test]
fn a_state_with_gaps_or_repeats_is_refused() {
    let whole = recorded("get-state--file").stdout;
    assert!(get_state::parse(&whole).is_ok());
    for (from, to) in [
        (
            "Volume5.Brick3.path: node3:/srv/bricks/d1/r3-0a/brick\n",
            "",
        ),
        ("Volume5.Brick2.hostname: node2\n", ""),
        ("Volume2.brickcount: 3\n", "Volume2.brickcount: 4\n"),
        ("Volume2.brickcount: 3\n", ""),
        ("Volume3.name: n255\n", ""),
        ("Volume3.status: Started\n", "Volume3.status: Sta\n"),
        ("Volume1.name: dd\n", "Volume1.name: dd\nVolume1.name: dd\n"),
        ("Volume1.name: dd\n", "Volume2.name: dd\n"),
        ("Volume5.name: r3\n", "Volume6.name: r3\n"),
        (
            "Volume4.Brick1.status: Stopped\n",
            "Volume4.Brick1.status: \n",
        ),
        ("Volume4.Brick1.status: Stopped\n", "Volume4.Brick1.stat\n"),
        ("Volume4.replica_count: 3\n", "Volume4.replica_count: \n"),
        ("Peer2.connected: Disconnected\n", "Peer2.connected: \n"),
        ("Peer2.connected: Disconnected\n", ""),
        ("Peer1.uuid: cfa29a76", "Peer1.uuid: fa29a76"),
        (
            "Peer2.primary_hostname: node3\n",
            "Peer3.primary_hostname: node3\n",
        ),
        ("[Peers]\n", ""),
        ("[Services]\n", "[Services]\n[Services]\n"),
        ("[Volumes]\n", "[Misc]\n"),
        ("MYUUID: f5f9c8f1", "MYUUID: "),
        ("op-version: 100000\n", ""),
        ("a:b_\"<&>", "a\nb"),
    ] {
        assert!(whole.contains(from), "{from:?}");
        let changed = whole.replacen(from, to, 1);
        assert!(get_state::parse(&changed).is_err(), "{from:?} -> {to:?}");
    }
}

#[test]
fn a_survey_tells_of_owner_and_devices() {
    let devices = |names: &[&str]| -> Vec<Output> {
        let mut outputs = vec![recorded("files--no-owner"), recorded("ping-timeout--times")];
        for name in names {
            outputs.push(recorded(&format!("device--{name}--place")));
            outputs.push(recorded(&format!("device--{name}--size")));
        }
        outputs
    };
    let outputs = devices(&["present", "missing", "file"]);
    let found = survey(&outputs, 3).unwrap();
    assert_eq!(found.owner, None);
    assert_eq!(found.ping_timeout, Some(10));
    assert_eq!(found.ping_in_force, Some(true));
    assert_eq!(
        found.devices[0],
        DeviceFacts::Present {
            mount_point: "/srv/bricks/d1".to_owned(),
            size: Bytes(8_522_825_728),
            free: Bytes(8_114_102_272),
            fs_id: "70900000000".to_owned(),
        }
    );
    assert_eq!(found.devices[1], DeviceFacts::Missing);
    assert!(matches!(&found.devices[2], DeviceFacts::Unknown(why) if why.contains("regular file")));

    // an answer too few or too many is nothing to guess from
    for (count, wanted) in [(8, 2), (7, 3), (8, 4), (1, 0), (0, 0)] {
        assert!(
            survey(&outputs[..count], wanted).is_err(),
            "{count} {wanted}"
        );
    }
    // one of a device's answers is missing: not known, and never Missing
    for index in [4, 5] {
        for bad in [failed(None, ""), failed(Some(1), "stat: Permission denied")] {
            let mut outputs = outputs.clone();
            outputs[index] = bad;
            let found = survey(&outputs, 3).unwrap();
            assert!(
                matches!(found.devices[1], DeviceFacts::Unknown(_)),
                "{index}"
            );
        }
    }
}

#[test]
fn a_host_tells_its_version_and_its_addresses() {
    let found = about(&[recorded("version"), recorded("addresses")]).unwrap();
    assert_eq!(found.version, "10.3");
    let addresses: Vec<&str> = found.addresses.iter().map(String::as_str).collect();
    assert_eq!(addresses, ["10.91.0.11"]);
    // a host without that program has a version all the same
    let found = about(&[
        recorded("version"),
        failed(Some(127), "hostname: not found"),
    ])
    .unwrap();
    assert!(found.addresses.is_empty());
    for bad in [failed(None, ""), failed(Some(0), ""), recorded("addresses")] {
        assert!(about(&[bad, recorded("addresses")]).is_err());
    }
    assert!(about(&[recorded("version")]).is_err());
}

/// What a survey says of the files of a host.
fn with_files(exit: Option<i32>, stdout: &str, stderr: &str) -> Result<Survey, Malformed> {
    let files = Output {
        exit,
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    };
    survey(&[files, recorded("ping-timeout--times")], 0)
}

#[test]
fn the_owner_file_is_absent_only_when_grep_says_so() {
    let owner = "/var/lib/gluster-operator/owner";
    let own = recorded("files--owned");
    let found = survey(&[own, recorded("ping-timeout--times")], 0).unwrap();
    assert_eq!(found.owner.as_deref(), Some("6f1d.2b9e"));
    assert_eq!(found.ping_timeout, Some(10));
    // one that is there and empty is somebody's
    let empty = with_files(
        Some(0),
        "/etc/glusterfs/glusterd.vol:volume management\n",
        "",
    );
    assert_eq!(empty.unwrap().owner.as_deref(), Some(""));
    let absent = format!("grep: {owner}: No such file or directory\n");
    let other = "grep: /etc/glusterfs/glusterd.vol: No such file or directory\n";
    assert_eq!(with_files(Some(2), "", &absent).unwrap().owner, None);
    let both = with_files(Some(2), "", &format!("{absent}{other}")).unwrap();
    assert_eq!((both.owner, both.ping_timeout), (None, None));
    // a word of another program is none of grep's
    let sudo = "sudo: unable to resolve host node1: Name or service not known\n";
    let warned = with_files(Some(0), &format!("{owner}:me\n"), sudo).unwrap();
    assert_eq!(warned.owner.as_deref(), Some("me"));
    assert!(with_files(Some(2), "", &format!("{sudo}{absent}")).is_err());
    let kept = with_files(Some(2), &format!("{owner}:me\n"), other).unwrap();
    assert_eq!(kept.owner.as_deref(), Some("me"));
    for (exit, words) in [
        (None, absent.clone()),
        (Some(127), "sh: 1: grep: not found".to_owned()),
        (Some(2), String::new()),
        (Some(2), format!("grep: {owner}: Input/output error")),
        (Some(2), format!("grep: {owner}: Permission denied")),
        (Some(2), format!("grep: {owner}: Is a directory")),
        (
            Some(2),
            format!("grep: {owner}: Datei oder Verzeichnis nicht gefunden"),
        ),
        (Some(2), "grep: memory exhausted".to_owned()),
        (Some(2), format!("{absent}{absent}")),
    ] {
        let found = with_files(exit, "", &words);
        assert!(found.is_err(), "{exit:?} {words}: {found:?}");
    }
}

#[test]
fn ping_timeout_is_read_like_glusterd_does() {
    let with = |lines: &[&str]| {
        let line = |line: &&str| format!("/etc/glusterfs/glusterd.vol:{line}\n");
        let text: String = lines.iter().map(line).collect();
        with_files(Some(0), &text, "").unwrap().ping_timeout
    };
    let (zero, comment) = ("    option ping-timeout 0", "#   option ping-timeout 30");
    assert_eq!(with(&[zero]), Some(0));
    assert_eq!(with(&[comment]), None);
    let last = "\toption ping-timeout 10";
    assert_eq!(with(&["volume management", zero, comment, last]), Some(10));
    assert_eq!(with(&["    option ping-timeout soon"]), None);
    assert_eq!(with(&[]), None);
}

#[test]
fn bricks_tell_whose_they_are() {
    let inspect = |name: &str| {
        let outputs = [
            recorded(&format!("brick-{name}--getfattr")),
            recorded(&format!("brick-{name}--find")),
        ];
        let place = recording(&format!("brick-{name}--getfattr")).0;
        let place = path(place.rsplit(' ').next().unwrap());
        brick_facts(&outputs, &[place]).remove(0)
    };
    let mark: OwnerMark = "v1:o.u:0e9d5a4e-0000-0000-0000-000000000001:default/mysql:\
                           0e9d5a4e-0000-0000-0000-000000000002"
        .parse()
        .unwrap();
    assert_eq!(
        inspect("ours"),
        BrickFacts::Present {
            owner: Some(mark),
            foreign_mark: false,
            volume_id: Some("38ae6c27-e1df-40f9-8d4a-5826c8fe0163".to_owned()),
            empty: false,
        }
    );
    let plain = |foreign_mark, empty| BrickFacts::Present {
        owner: None,
        foreign_mark,
        volume_id: None,
        empty,
    };
    assert_eq!(inspect("new"), plain(false, true));
    // what gluster's own daemon has made in the brick of a volume that nobody has written to
    assert!(matches!(
        inspect("healed"),
        BrickFacts::Present {
            volume_id: Some(_),
            empty: true,
            ..
        }
    ));
    assert_eq!(inspect("theirs"), plain(true, false));
    assert_eq!(inspect("missing"), BrickFacts::Missing);
    assert_eq!(
        inspect("file"),
        BrickFacts::Unknown("it is no directory".to_owned())
    );
    assert_eq!(
        inspect("link"),
        BrickFacts::Unknown("it is a symbolic link".to_owned())
    );
}

#[test]
fn what_is_not_known_of_a_brick_is_not_absent() {
    let place = path("/b/d");
    let unknown = |attributes: &Output, entries: &Output| {
        let facts = brick_facts(
            &[attributes.clone(), entries.clone()],
            std::slice::from_ref(&place),
        );
        matches!(facts[..], [BrickFacts::Unknown(_)])
    };
    let said = |stdout: &str| Output {
        exit: Some(0),
        stdout: stdout.to_owned(),
        ..Output::default()
    };
    let (no_attributes, empty) = (said(""), said("0d\n"));
    let gone = failed(Some(1), "getfattr: /b/d: No such file or directory\n");
    let nothing = failed(Some(1), "find: '/b/d': No such file or directory\n");
    let one = |facts: &[BrickFacts]| facts.to_vec();
    assert_eq!(
        one(&brick_facts(
            &[gone.clone(), nothing.clone()],
            std::slice::from_ref(&place)
        )),
        [BrickFacts::Missing]
    );
    for (attributes, entries) in [
        (&gone, &empty),
        (&no_attributes, &nothing),
        (&failed(None, ""), &empty),
        (&no_attributes, &failed(None, "")),
        (
            &failed(Some(1), "getfattr: /b/d: Operation not supported"),
            &empty,
        ),
        (
            &failed(Some(1), "getfattr: /b/d: Not a directory"),
            &failed(Some(1), "find: '/b/d': Not a directory"),
        ),
        (&no_attributes, &said("")),
        (&no_attributes, &said("0d")),
        (&no_attributes, &said("1f\n")),
        (
            &said("# file: /b/other\ntrusted.gluster-operator.owner=0x61\n\n"),
            &empty,
        ),
        (
            &said("# file: /b/d\ntrusted.gluster-operator.owner=0x6"),
            &empty,
        ),
        (
            &said("# file: /b/d\ntrusted.gluster-operator.owner=0x61\n"),
            &empty,
        ),
        (
            &said("# file: /b/d\ntrusted.glusterfs.volume-id=0x61\n\n"),
            &empty,
        ),
        (&said("# file: /b/d\n"), &empty),
    ] {
        let known_empty = entries.stdout == "0d" && attributes.stdout.is_empty();
        assert_eq!(
            unknown(attributes, entries),
            !known_empty,
            "{attributes:?} {entries:?}"
        );
    }
    // an owner that is empty, or under another name, is somebody else's mark
    for text in [
        "# file: /b/d\ntrusted.gluster-operator.owner=0x\n\n",
        "# file: /b/d\ntrusted.gluster-operator.owner=0xff\n\n",
        "# file: /b/d\ntrusted.gluster-operator.other=0x78\n\n",
    ] {
        let facts = brick_facts(&[said(text), empty.clone()], std::slice::from_ref(&place));
        assert!(
            matches!(
                facts[..],
                [BrickFacts::Present {
                    owner: None,
                    foreign_mark: true,
                    ..
                }]
            ),
            "{text}"
        );
    }
    // one answer too few for two paths: neither is known
    let facts = brick_facts(&[no_attributes, empty, gone], &[path("/b/d"), path("/b/e")]);
    assert!(
        facts.len() == 2
            && facts
                .iter()
                .all(|facts| matches!(facts, BrickFacts::Unknown(_)))
    );
}

#[test]
fn missing_programs_are_named_with_their_package() {
    let made = Output {
        exit: Some(0),
        ..Output::default()
    };
    let found = |which: &str| missing_programs(&[made.clone(), recorded(which)]);
    assert_eq!(found("programs--all").unwrap(), []);
    assert_eq!(
        found("programs--two-missing").unwrap(),
        [("flock", "util-linux"), ("getfattr", "attr")]
    );
    let none = missing_programs(&[made.clone(), failed(Some(1), "")]).unwrap();
    assert_eq!(none, PROGRAMS);
    for outputs in [
        vec![],
        vec![failed(
            Some(1),
            "mkdir: cannot create directory '/run/x': Read-only file system",
        )],
        vec![failed(Some(1), "mkdir: no"), recorded("programs--all")],
        vec![made.clone(), failed(Some(127), "sh: 1: which: not found")],
        vec![made.clone(), failed(None, "")],
        vec![made.clone(), failed(Some(0), "")],
        vec![
            made,
            Output {
                exit: Some(1),
                ..recorded("programs--all")
            },
        ],
    ] {
        assert!(missing_programs(&outputs).is_err(), "{outputs:?}");
    }
}

#[test]
fn ports_below_1024_are_counted_once_each() {
    let count = |exit, stdout: &str| {
        low_ports(&[Output {
            exit: Some(exit),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }])
    };
    // sshd, for both families, with two who are connected, and a client on port 1023
    let table = "   0: 00000000:0016 \n  12: 0B00650A:0016 \n  13: 0B00650A:0016 \n 104: 0B00650A:03FF \n   0: 00000000000000000000000000000000:0016 \n";
    assert_eq!(count(0, table), Some(2));
    // a host without IPv6
    assert_eq!(count(2, "   0: 00000000:0016 \n"), Some(1));
    assert_eq!(count(1, ""), Some(0));
    for (exit, stdout) in [(2, ""), (127, ""), (0, "what\n"), (0, "0: 0B00650A:\n")] {
        assert_eq!(count(exit, stdout), None, "{exit} {stdout}");
    }
    assert_eq!(low_ports(&[]), None);
}

fn xml(file: &str) -> Output {
    Output {
        exit: Some(0),
        stdout: read(&format!("tests/fixtures/gluster/10.3/{file}.xml")),
        ..Output::default()
    }
}

fn refusal(file: &str) -> Output {
    let text = read(&format!("tests/fixtures/gluster/10.3-refusals/{file}.txt"));
    let (head, rest) = text.split_once("--- stdout\n").unwrap();
    let (stdout, stderr) = rest.split_once("--- stderr\n").unwrap();
    Output {
        exit: head.split_once("--- rc=").unwrap().1.trim().parse().ok(),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    }
}

#[test]
fn quota_of_the_root() {
    let limit = |output: &Output| match quota(output) {
        QuotaView::Limit(limit) => (limit.path, limit.hard_limit, limit.used),
        other => panic!("{other:?}"),
    };
    let root = "/".to_owned();
    assert_eq!(
        limit(&xml("quota-list--one")),
        (root.clone(), Bytes(104_857_600), Bytes(0))
    );
    assert_eq!(
        limit(&xml("quota-list--many")),
        (root.clone(), Bytes(1_073_741_824), Bytes(10_485_760))
    );
    assert_eq!(
        limit(&xml("quota-list--exceeded")),
        (root.clone(), Bytes(104_857_600), Bytes(209_715_200))
    );
    let beside_a_missing_path = refusal("quota-list--one-without--xml");
    assert_eq!(limit(&beside_a_missing_path).0, root);
    assert_eq!(
        quota(&refusal("quota-list--no-limit--xml")),
        QuotaView::NoLimit
    );
    assert_eq!(
        quota(&refusal("quota-list--plain-no-limit--xml")),
        QuotaView::NoLimit
    );
    assert_eq!(quota(&xml("quota-list--path-nolimit")), QuotaView::NoLimit);
    let complains = Output {
        stderr: "/          Transport endpoint is not connected".to_owned(),
        ..xml("quota-list--path-nolimit")
    };
    assert_eq!(quota(&complains), QuotaView::Unknown);
    assert_eq!(
        quota(&Output {
            exit: Some(2),
            ..xml("quota-list--disabled")
        }),
        QuotaView::Off
    );
    for unknown in [
        Output {
            exit: Some(1),
            ..Output::default()
        },
        Output {
            exit: None,
            ..xml("quota-list--one")
        },
        Output {
            exit: Some(0),
            ..Output::default()
        },
        Output {
            exit: Some(2),
            stdout: "Error : Request timed out\n".to_owned(),
            ..Output::default()
        },
        Output {
            exit: Some(1),
            stdout: "/         N/A       N/A        N/A     N/A      N/A         N/A\n".to_owned(),
            ..Output::default()
        },
        refusal("quota-list--stopped--xml"),
        refusal("quota-list--unknown--xml"),
        refusal("quota-list--bricks-down--xml"),
        // a limit of another directory says nothing of the root
        Output {
            stdout: xml("quota-list--one")
                .stdout
                .replace("<path>/<", "<path>/sub<"),
            ..xml("quota-list--one")
        },
    ] {
        assert_eq!(quota(&unknown), QuotaView::Unknown, "{unknown:?}");
    }
}

#[test]
fn clients_by_brick() {
    let found = clients(&xml("volume-status-clients--rep3")).unwrap();
    let bricks: Vec<_> = found
        .iter()
        .map(|brick| format!("{}:{}", brick.host, brick.path))
        .collect();
    assert_eq!(
        bricks,
        [
            "node1:/bricks/d1/rep3",
            "node2:/bricks/d1/rep3",
            "node3:/bricks/d1/rep3"
        ]
    );
    assert_eq!(
        found[0].clients.clone().unwrap(),
        [
            "10.77.0.11",
            "10.77.0.15",
            "10.77.0.16",
            "10.77.0.14",
            "10.77.0.12",
            "10.77.0.13"
        ]
    );
    // bricks whose process is down have no clients and are left out
    let alive = clients(&refusal("clients--bricks-down--xml")).unwrap();
    let hosts: Vec<&str> = alive.iter().map(|brick| brick.host.as_str()).collect();
    assert_eq!(hosts, ["node1"]);
    for file in ["clients--stopped--xml", "status--unknown--xml"] {
        assert!(clients(&refusal(file)).is_err(), "{file}");
        assert!(!brick_failed(&refusal(file)), "{file}");
    }
    // a host that is asked of its own two bricks counts seven of six
    let twice = xml("volume-status-clients--two-bricks-a-host");
    assert!(twice.stdout.contains("<nodeCount>7<"));
    let twice = clients(&twice).unwrap();
    assert_eq!(twice.len(), 6);
    assert!(twice.iter().all(|brick| brick.clients.is_some()));
    // one that has none told nothing, and spoils the answer where it is on another host
    let nobody = clients(&refusal("clients--nobody-here--xml")).unwrap();
    assert_eq!((nobody.len(), &nobody[0].clients), (1, &None));
    assert!(brick_failed(&refusal("clients--nobody-here--xml")));
    assert!(!brick_failed(&xml("volume-status-clients--rep3")));
    // those after it are left out
    let hidden = refusal("clients--nobody-on-three-bricks--xml");
    let told = clients(&hidden).unwrap();
    assert_eq!((told.len(), &told[0].clients), (1, &None));
    assert!(brick_failed(&hidden));
    let elsewhere = refusal("clients--nobody-elsewhere--xml");
    assert!(clients(&elsewhere).is_err() && brick_failed(&elsewhere));
    let whole = xml("volume-status-clients--rep3");
    for (from, to) in [
        ("<clientCount>6<", "<clientCount>7<"),
        ("10.77.0.15:49139", "10.77.0.15"),
        ("<status>1<", "<status>?<"),
        ("<path>/bricks/d1/rep3</path>", "<path/>"),
    ] {
        assert!(whole.stdout.contains(from));
        let stdout = whole.stdout.replacen(from, to, 1);
        assert!(
            clients(&Output {
                stdout,
                ..whole.clone()
            })
            .is_err(),
            "{from}"
        );
    }
    // one node of three answered
    assert!(clients(&xml("volume-status-callpool--rep3")).is_err());
}

#[test]
fn the_uuid_of_a_host() {
    let own = uuid(&recorded("uuid")).unwrap();
    assert_eq!(own.as_str(), "f5f9c8f1-e297-4bb3-9f4d-4e08da8e9b1b");
    for output in [
        Output::default(),
        Output {
            exit: None,
            ..recorded("uuid")
        },
        Output {
            exit: Some(0),
            stdout: "UUID: f5f9c8f1-e297-4bb3-9f4d-4e08da8e9b1b".into(),
            ..Output::default()
        },
        xml("volume-set--ok"),
    ] {
        assert!(uuid(&output).is_err(), "{output:?}");
    }
}
