//! When bricks in the trash are destroyed, and when not.

use gluster_operator::gluster::model::{
    DeviceFacts, HostView, Marks, PoolView, TrashEntry, TrashItem, TrashListing, Volume,
    VolumeBrick,
};
use gluster_operator::gluster::names::Bytes;
use gluster_operator::plan::step::Step;
use gluster_operator::plan::trash::{
    Candidate, DeviceTrash, Verdict, candidates, held, is_early, judge, strange,
};
use gluster_operator::plan::validate::ValidCluster;
use serde_json::{Value, json};

use super::world::{World, cluster, host};

const DAY: u64 = 86_400;
/// Now, by all clocks that are right.
const NOW: u64 = 1_700_000_000;
const NAME: &str = "shop_data-0a1b2c3d";
const ID: &str = "11111111-2222-3333-4444-555555555555";

fn want(trash: Value) -> (ValidCluster, World) {
    let want = cluster(3, json!({"trash": trash}));
    let world = World::settled(&want);
    (want, world)
}

fn item(name: &str, changed: u64) -> TrashItem {
    TrashItem {
        name: name.parse().unwrap(),
        changed,
        manifest: true,
        purging: false,
    }
}

fn device(items: Vec<TrashItem>) -> DeviceTrash {
    DeviceTrash {
        host: host("n1"),
        device: "/b".parse().unwrap(),
        listing: TrashListing {
            items,
            clock: NOW,
            ..TrashListing::default()
        },
    }
}

fn mark(owner: &str) -> Marks {
    let mark = format!(
        "v1:{owner}:00000000-0000-0000-0000-00000000000c:shop/data:0000000d-0000-0000-0000-00000000000d"
    );
    Marks {
        owner: Some(mark.parse().unwrap()),
        foreign_mark: false,
        volume_id: Some(ID.into()),
    }
}

fn manifest(marks: &Marks, at: u64) -> String {
    json!({"version": 1, "owner": marks.owner.as_ref().unwrap().as_str(), "volumeId": ID, "deletedAt": at}).to_string()
}

/// An entry of ours that was deleted at that time.
fn entry(want: &ValidCluster, at: u64) -> TrashEntry {
    let marks = mark(want.owner.as_str());
    TrashEntry {
        own: Marks::default(),
        manifest: Some(manifest(&marks, at)),
        brick: Some(marks),
        only_a_brick: true,
        mounts: Vec::new(),
    }
}

fn names(found: &[Candidate]) -> Vec<&str> {
    found.iter().map(|one| one.item.name.as_str()).collect()
}

fn first(want: &ValidCluster, pool: &PoolView, trash: &DeviceTrash) -> Candidate {
    candidates(want, pool, trash).remove(0)
}

#[test]
fn the_age_by_the_hosts_clock() {
    for (retention, age, expected) in [
        ("24h", DAY - 1, 0),
        ("24h", DAY, 1),
        ("1d", DAY, 1),
        ("2d", DAY, 0),
        ("Never", 1000 * DAY, 0),
        ("1s", 1, 1),
    ] {
        let (want, world) = want(json!({"retention": retention}));
        let trash = device(vec![item(NAME, NOW - age)]);
        assert_eq!(
            candidates(&want, &world.view(&want), &trash).len(),
            expected,
            "{retention} {age}"
        );
    }
    // what lies in the future is not old
    let (want, world) = want(json!({"retention": "1s"}));
    assert!(
        candidates(
            &want,
            &world.view(&want),
            &device(vec![item(NAME, NOW + 5)])
        )
        .is_empty()
    );
}

/// A device with that much of 100 free.
fn with_free(want: &ValidCluster, world: &World, percent: u64) -> PoolView {
    let mut view = world.view(want);
    let Some(HostView::Answered(facts)) = view.hosts.get_mut(&host("n1")) else {
        panic!("n1 answers");
    };
    let there = DeviceFacts::Present {
        mount_point: "/b".into(),
        size: Bytes(100 << 30),
        free: Bytes(percent << 30),
        fs_id: "1".into(),
    };
    facts.devices.insert("/b".parse().unwrap(), there);
    view
}

#[test]
fn a_full_device_loses_its_oldest_trash_first_but_none_of_the_last_hour() {
    let (a, b, c) = ("a-00000000", "b-00000000", "c-00000000");
    let items = vec![
        item(a, NOW - 7200),
        item(b, NOW - 9000),
        item(c, NOW - 3599),
    ];
    for (trash, free, expected) in [
        (json!({}), 10, vec![]),
        (json!({}), 9, vec![b, a]),
        (json!({"minFreePercent": 0}), 0, vec![]),
        (json!({"minFreePercent": 50}), 49, vec![b, a]),
        (json!({"retention": "Never"}), 0, vec![]),
        (json!({"retention": "2h"}), 9, vec![a, b]),
    ] {
        let (want, world) = want(trash.clone());
        let pool = with_free(&want, &world, free);
        let found = candidates(&want, &pool, &device(items.clone()));
        assert_eq!(names(&found), expected, "{trash} {free}");
        let early = trash["retention"] != "2h";
        assert!(
            found.iter().all(|one| is_early(&want, one) == early),
            "{trash} {free}"
        );
    }
    // what is old comes first, and does not stand in the way of the rest when it has to stay
    let (some, world_of_some) = want(json!({"retention": "8000s"}));
    let pool = with_free(&some, &world_of_some, 9);
    let found = candidates(&some, &pool, &device(items.clone()));
    assert_eq!(names(&found), [b, a]);
    assert_eq!(
        found
            .iter()
            .map(|one| is_early(&some, one))
            .collect::<Vec<_>>(),
        [false, true]
    );
    // an unmounted device shows the free space of another file system
    let (want, world) = want(json!({}));
    let mut pool = with_free(&want, &world, 1);
    if let Some(HostView::Answered(facts)) = pool.hosts.get_mut(&host("n1"))
        && let Some(DeviceFacts::Present { mount_point, .. }) = facts.devices.values_mut().next()
    {
        *mount_point = "/".into();
    }
    assert!(candidates(&want, &pool, &device(items)).is_empty());
}

#[test]
fn what_is_destroyed_and_what_stays() {
    type Change = fn(&mut Candidate, &mut TrashEntry, &mut PoolView);
    fn volume(id: &str, path: &str) -> Volume {
        Volume {
            name: "other".into(),
            id: id.into(),
            bricks: vec![VolumeBrick {
                host: "n9".into(),
                path: path.into(),
                online: None,
                port: None,
                arbiter: false,
            }],
            ..Volume::default()
        }
    }
    fn add(pool: &mut PoolView, volume: &Volume) {
        if let Some(HostView::Answered(facts)) = pool.hosts.get_mut(&host("n3")) {
            facts.state.volumes.push(volume.clone());
        }
    }
    fn mounted_at(pool: &mut PoolView, at: &str) {
        if let Some(HostView::Answered(facts)) = pool.hosts.get_mut(&host("n1"))
            && let Some(DeviceFacts::Present { mount_point, .. }) =
                facts.devices.values_mut().next()
        {
            *mount_point = at.into();
        }
    }
    let table: Vec<(&str, Change, &str)> = vec![
        ("ours and old", |_, _, _| {}, "purge"),
        (
            "begun before",
            |one, entry, _| {
                one.item.purging = true;
                one.item.manifest = false;
                entry.manifest = None;
            },
            "purge",
        ),
        (
            "begun before, and only the directory is left",
            |one, entry, _| {
                one.item.purging = true;
                entry.brick = None;
                entry.manifest = None;
            },
            "purge",
        ),
        (
            "named by hand, with data in it",
            |_, entry, _| {
                entry.own = entry.brick.take().unwrap();
                entry.only_a_brick = false;
            },
            "purge",
        ),
        (
            "no manifest: it gets one",
            |one, entry, _| {
                one.item.manifest = false;
                entry.manifest = None;
            },
            "note",
        ),
        (
            "something mounted in it since the list was made",
            |_, entry, _| entry.mounts = vec![format!("/b/.trash/{NAME}/brick/m")],
            "mounted in it",
        ),
        (
            "begun, and something mounted in it since",
            |one, entry, _| {
                one.item.purging = true;
                entry.mounts = vec![format!("/b/.trash/{NAME}")];
            },
            "mounted in it",
        ),
        (
            "a device that has become a link to another",
            |_, _, pool| mounted_at(pool, "/mnt/other"),
            "nothing is mounted at /b",
        ),
        (
            "begun, on a device that is not mounted",
            |one, _, pool| {
                one.item.purging = true;
                mounted_at(pool, "/");
            },
            "nothing is mounted at /b",
        ),
        (
            "torn, by its name",
            |one, entry, _| {
                one.item.name = format!("{NAME}-torn-{}", NOW - DAY).parse().unwrap();
                entry.manifest = None;
            },
            "purge",
        ),
        (
            "torn, and too young by its name",
            |one, entry, _| {
                one.item.name = format!("{NAME}-torn-{}", NOW - 5).parse().unwrap();
                entry.manifest = None;
            },
            "young",
        ),
        (
            "too young by the manifest",
            |_, entry, _| {
                let marks = entry.brick.clone().unwrap();
                entry.manifest = Some(manifest(&marks, NOW - DAY + 1));
            },
            "young",
        ),
        (
            "a manifest of the future",
            |_, entry, _| {
                let marks = entry.brick.clone().unwrap();
                entry.manifest = Some(manifest(&marks, NOW + DAY));
            },
            "young",
        ),
        (
            "a manifest that is torn",
            |_, entry, _| entry.manifest = Some("{".into()),
            "can't be read",
        ),
        (
            "a manifest without a time",
            |_, entry, _| entry.manifest = Some("{}".into()),
            "can't be read",
        ),
        (
            "the manifest of another object",
            |_, entry, _| {
                let other = mark("a.b");
                entry.manifest = Some(manifest(&other, 0));
            },
            "another volume",
        ),
        (
            "another volume's brick",
            |_, entry, _| entry.brick.as_mut().unwrap().volume_id = Some("x".into()),
            "another volume",
        ),
        (
            "another owner's mark",
            |_, entry, _| entry.brick = Some(mark("a.b")),
            "does not carry the mark of this pool",
        ),
        (
            "another program's mark",
            |_, entry, _| entry.brick.as_mut().unwrap().foreign_mark = true,
            "does not carry the mark",
        ),
        (
            "no mark",
            |_, entry, _| entry.brick = Some(Marks::default()),
            "does not carry the mark",
        ),
        (
            "no brick",
            |_, entry, _| entry.brick = None,
            "does not carry the mark",
        ),
        (
            "another's mark on the entry itself",
            |_, entry, _| entry.own = mark("a.b"),
            "does not carry the mark",
        ),
        (
            "begun, but the mark is not ours",
            |one, entry, _| {
                one.item.purging = true;
                entry.brick = Some(mark("a.b"));
            },
            "does not carry the mark",
        ),
        (
            "something else beside the brick",
            |_, entry, _| entry.only_a_brick = false,
            "other things than a brick",
        ),
        (
            "something mounted in it",
            |one, _, _| one.mounts = vec![format!("/b/.trash/{NAME}/brick/m")],
            "mounted in it",
        ),
        (
            "begun, and something mounted in it",
            |one, _, _| {
                one.item.purging = true;
                one.mounts = vec![format!("/b/.trash/{NAME}/x")];
            },
            "mounted in it",
        ),
        (
            "a volume of that id exists",
            |_, _, pool| add(pool, &volume(ID, "/b/y")),
            "which exists",
        ),
        (
            "a volume lies in it",
            |_, _, pool| add(pool, &volume("z", &format!("/b/.trash/{NAME}/brick"))),
            "has a brick",
        ),
        (
            "a volume lies around it",
            |_, _, pool| add(pool, &volume("z", "/b/.trash")),
            "has a brick",
        ),
        (
            "a volume lies beside it",
            |_, _, pool| add(pool, &volume("z", &format!("/b/.trash/{NAME}x/brick"))),
            "purge",
        ),
    ];
    for (name, change, expected) in table {
        let (want, world) = want(json!({}));
        let mut pool = world.view(&want);
        let mut candidate = first(&want, &pool, &device(vec![item(NAME, NOW - DAY)]));
        let mut entry = entry(&want, NOW - DAY);
        change(&mut candidate, &mut entry, &mut pool);
        match judge(&want, &pool, &candidate, &entry, NOW) {
            Verdict::Purge(step) => {
                assert_eq!(expected, "purge", "{name}");
                assert!(step.destroys());
                let Step::PurgeTrash {
                    host,
                    device,
                    name: gone,
                    manifest,
                } = step
                else {
                    panic!("{name}: {step:?}");
                };
                assert_eq!(
                    (host.as_str(), device.as_str(), &gone),
                    ("n1", "/b", &candidate.item.name)
                );
                assert_eq!(manifest, candidate.item.manifest, "{name}");
            }
            Verdict::Note(step) => {
                assert_eq!(expected, "note", "{name}");
                assert!(!step.destroys());
            }
            Verdict::Young => assert_eq!(expected, "young", "{name}"),
            Verdict::Kept(why) => {
                assert!(
                    why.contains(expected) && why.contains("n1:/b/.trash/"),
                    "{name}: {why}"
                );
            }
        }
    }
}

#[test]
fn two_clocks_have_to_agree() {
    let (want, world) = want(json!({}));
    let pool = world.view(&want);
    // the host's clock went ahead by years: the manifest against ours keeps it
    let mut ahead = device(vec![item(NAME, NOW)]);
    ahead.listing.clock = NOW + 1000 * DAY;
    let one = first(&want, &pool, &ahead);
    assert_eq!(
        judge(&want, &pool, &one, &entry(&want, NOW), NOW),
        Verdict::Young
    );
    // ours went ahead, or the manifest was written in 1970: the host's keeps it
    assert!(candidates(&want, &pool, &device(vec![item(NAME, NOW)])).is_empty());
}

#[test]
fn what_has_no_manifest_stays_from_when_it_is_found_whatever_the_hosts_clock_says() {
    let (want, world) = want(json!({}));
    let pool = world.view(&want);
    // the host's clock went ahead by years, or was in 1970 when the directory came there
    for (clock, changed) in [(NOW + 1000 * DAY, NOW), (NOW, 100)] {
        let mut found = item(NAME, changed);
        found.manifest = false;
        let mut trash = device(vec![found]);
        trash.listing.clock = clock;
        let mut entry = entry(&want, 0);
        entry.manifest = None;
        let one = first(&want, &pool, &trash);
        let Verdict::Note(Step::NoteTrash { name, manifest, .. }) =
            judge(&want, &pool, &one, &entry, NOW)
        else {
            panic!("it has no manifest");
        };
        assert_eq!(name.as_str(), NAME);
        // the note is a manifest by which it is judged from then on
        trash.listing.items[0].manifest = true;
        let one = first(&want, &pool, &trash);
        entry.manifest = Some(manifest);
        let judged = |now| judge(&want, &pool, &one, &entry, now);
        assert_eq!(judged(NOW + DAY - 1), Verdict::Young);
        assert!(matches!(judged(NOW + DAY), Verdict::Purge(_)));
        // a brick without a volume-id, too
        entry.brick.as_mut().unwrap().volume_id = None;
        assert!(matches!(
            judge(&want, &pool, &one, &entry, NOW + DAY),
            Verdict::Purge(_)
        ));
    }
}

#[test]
fn nothing_is_destroyed_while_a_volume_may_be_overlooked() {
    let (keep, world) = want(json!({"retention": "Never"}));
    assert!(held(&keep, &world.view(&keep)).is_some());
    let (want, mut world) = want(json!({}));
    assert_eq!(held(&want, &world.view(&want)), None);
    world.hosts.get_mut(&host("n2")).unwrap().owner = None;
    assert!(held(&want, &world.view(&want)).unwrap().contains("n2"));
    world.hosts.get_mut(&host("n3")).unwrap().silent = Some(false);
    assert!(
        held(&want, &world.view(&want))
            .unwrap()
            .contains("n3 does not answer")
    );
}

#[test]
fn what_we_did_not_put_there_is_told() {
    let mut trash = device(vec![]);
    trash.listing.strange = vec!["notes".into(), "a\nb".into()];
    assert_eq!(
        strange(&[trash]),
        ["n1:/b/.trash/a\\nb", "n1:/b/.trash/notes"]
    );
}
