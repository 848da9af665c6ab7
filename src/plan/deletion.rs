//! Plans for a volume that shall go. Only these destroy, only where the spec says `deletionPolicy: Delete`, and only
//! after every brick was read and carries exactly our mark.

use std::collections::BTreeMap;

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::gluster::model::{
    BrickClients, BrickFacts, PoolView, Search, Volume, VolumeBrick, VolumeStatus,
};
use crate::gluster::names::Brick;
use crate::gluster::operation::Gluster;

use super::attach::{self, PodUse};
use super::layout::shape_of;
use super::step::{BrickPlace, Step};
use super::validate::{ValidCluster, ValidVolume};
use super::volume::{Situation, blocked, bricks_of};
use super::{Plan, cluster, health, ownership, place, trash};

/// What deletion comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// Nothing of it is left to do.
    Done,
    /// Steps, or a reason to wait.
    Going(Plan),
}

/// A deletion that has to wait.
pub fn wait(message: impl std::fmt::Display) -> Deletion {
    let message = format!("{message}; deletion goes on by itself after that");
    Deletion::Going(Plan::wait(
        Finding::no(ConditionType::Progressing, Reason::DeletionBlocked, message),
        cluster::RETRY,
    ))
}

/// The same where the storage keeps it, and may for ever: with the way out that destroys nothing.
pub fn wait_or_leave(message: impl std::fmt::Display) -> Deletion {
    wait(format!("{message}; {WAY_OUT}"))
}

/// How to let go of an object whose volume can't be deleted.
pub const WAY_OUT: &str = "to let go of the object and leave the volume and its data as they are, set spec.deletionPolicy to Retain";

/// Plans the deletion of a volume whose policy is Delete. `users` are pods that still have its claim.
pub fn plan(want: &ValidVolume, situation: Situation<'_>, users: &[PodUse]) -> Deletion {
    let running: Vec<&str> = users
        .iter()
        .filter(|pod| !pod.finished)
        .map(|pod| pod.pod.as_str())
        .collect();
    if !running.is_empty() {
        return wait(format!("pods use the volume: {}", running.join(", ")));
    }
    if let Some(mut plan) = blocked(want, situation, true) {
        let why = plan
            .findings
            .first()
            .map_or_else(String::new, |finding| finding.message.clone());
        plan.findings.push(Finding::no(
            ConditionType::Progressing,
            Reason::DeletionBlocked,
            format!("{why}; deletion goes on by itself after that; {WAY_OUT}"),
        ));
        return Deletion::Going(plan);
    }
    let joined = cluster::without_newcomers(situation.cluster, situation.pool);
    let situation = Situation {
        pool: &joined,
        ..situation
    };
    let Situation {
        cluster: pool_want,
        pool,
        view,
        ..
    } = situation;
    if let Some((host, why, _)) = pool.silent().next() {
        return wait_or_leave(format!(
            "{host} does not answer ({why}), and GlusterFS deletes nothing while a peer is down"
        ));
    }
    let (with, without) = pool.who_knows(&want.volume);
    if with.is_empty() {
        return leftovers(want, situation);
    }
    if let Some(host) = without.first() {
        return wait_or_leave(format!(
            "{host} does not know the volume {} that others have; nothing is deleted",
            want.volume
        ));
    }
    let mut volumes = with
        .iter()
        .filter_map(|host| pool.facts(host)?.state.volume(&want.volume));
    let Some(volume) = volumes.next() else {
        return wait("no host can take commands now");
    };
    if volumes.any(|other| other.id != volume.id || other.bricks.len() != volume.bricks.len()) {
        return wait_or_leave("the hosts do not agree on what the volume is");
    }
    let disconnected = pool.answered().find_map(|(name, facts)| {
        facts
            .state
            .peers
            .iter()
            .find(|peer| !peer.connected)
            .map(|peer| format!("{name} has no connection to {}", peer.hostname))
    });
    if let Some(why) = disconnected {
        return wait_or_leave(format!(
            "{why}, and GlusterFS deletes nothing while a peer is down"
        ));
    }
    let bricks = bricks_of(volume);
    if bricks.len() != volume.bricks.len() {
        return wait_or_leave("the volume has bricks with names that we would not give");
    }
    if let Err(why) = ownership::for_destruction(&want.mark, &bricks, &view.bricks) {
        return wait_or_leave(format!(
            "volume {} is not deleted, since not every brick is known to be ours: {why}",
            want.volume
        ));
    }
    match (volume.status, use_of(want, volume, situation)) {
        (VolumeStatus::Started, Use::By(who)) => return wait(who),
        // a brick that hangs may do so for ever
        (VolumeStatus::Started, Use::Unknown(why)) => return wait_or_leave(why),
        _ => {}
    }
    let mut places: Vec<BrickPlace> = Vec::new();
    for brick in &bricks {
        match place::of_brick(want, pool_want, brick) {
            Some(place) => places.push(place),
            None if pool_want.device_of(brick).is_none() => {
                return wait_or_leave(unlisted(brick, pool_want));
            }
            None => {
                return wait_or_leave(format!(
                    "{brick} does not lie in a directory that is this volume's own"
                ));
            }
        }
    }
    if let Some(why) = shared(volume, &places, pool) {
        return wait_or_leave(why);
    }
    let name = trash_name(want, &places);
    let moved: Vec<_> = places
        .iter()
        .map(|place| {
            serde_json::json!({
                "host": place.host.as_str(),
                "from": place.trash(&name),
                "to": place.parent.as_str(),
            })
        })
        .collect();
    let manifest = serde_json::json!({
        "version": 1,
        "object": want.object,
        "volume": want.volume.as_str(),
        "volumeId": volume.id,
        "type": volume.type_name,
        "replica": volume.replica_count,
        "arbiter": volume.arbiter_count,
        "disperse": volume.disperse_count,
        "redundancy": volume.redundancy_count,
        "create": create_again(want, volume, &bricks),
        "bricks": bricks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "options": volume.options,
        "owner": want.mark.as_str(),
        "deletedAt": situation.now,
        "trash": moved,
        "restore": "move each directory of `trash` on its host back (from, to), then `gluster volume create` as `create` has it (this name, these sets, these bricks in this order, and `force`); before the first start set the options, those of features.shard above all: without them large files are read as their first block alone; start",
    });
    let mut steps = vec![Step::WriteManifest {
        places: places.clone(),
        name: name.clone(),
        manifest: format!("{manifest:#}\n"),
    }];
    if volume.status == VolumeStatus::Started {
        steps.push(Step::StopVolume(want.volume.clone()));
    }
    steps.push(Step::DeleteVolume(want.volume.clone()));
    steps.push(Step::TrashBricks { places, name });
    let finding = Finding::yes(
        ConditionType::Progressing,
        format!(
            "deleting volume {}; its bricks go to the trash",
            want.volume
        ),
    );
    Deletion::Going(Plan {
        steps,
        findings: vec![finding],
        recheck: None,
    })
}

/// What would go along to the trash: a brick of another volume that somebody put into a directory of ours.
fn shared(volume: &Volume, places: &[BrickPlace], pool: &PoolView) -> Option<String> {
    let mut ours = places.iter().filter(|place| place.parent != place.path);
    ours.find_map(|place| {
        let why = trash::in_gluster(pool, Some(place.parent.as_str()), None, &volume.name)?;
        Some(format!(
            "{}:{} {why}; nothing is deleted as long as it lies there",
            place.host, place.parent
        ))
    })
}

/// The command that makes the volume from its bricks again. It alone has `force`, since the bricks have been part of a volume;
/// a person types it.
fn create_again(want: &ValidVolume, volume: &Volume, bricks: &[Brick]) -> String {
    let create = Gluster::Create {
        volume: want.volume.clone(),
        shape: shape_of(volume),
        bricks: bricks.to_vec(),
    };
    format!("{} force", create.typed())
}

/// The name in the trash: that of the directories, which may be older than the object.
fn trash_name(want: &ValidVolume, places: &[BrickPlace]) -> String {
    places
        .iter()
        .filter(|place| place.parent != place.path)
        .map(|place| place.directory().0.to_owned())
        .next()
        .unwrap_or_else(|| place::directory_name(want))
}

/// Whether anybody has a volume mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Use {
    /// Nobody.
    Nobody,
    /// Somebody: who, and what to do about it.
    By(String),
    /// It could not be found out: why.
    Unknown(String),
}

impl Use {
    /// What keeps the volume from being stopped.
    pub(super) fn reason(self) -> Option<String> {
        match self {
            Self::Nobody => None,
            Self::By(why) | Self::Unknown(why) => Some(why),
        }
    }
}

/// How many mounts of a host are named: pods on it have two or more each.
const NAMED: usize = 3;

/// Who still has the volume mounted: elsewhere by what the bricks say, on storage hosts by what these have mounted. From there
/// gluster's own daemons are connected, too, so that the address of such a host tells nothing.
pub(super) fn use_of(want: &ValidVolume, volume: &Volume, situation: Situation<'_>) -> Use {
    // a host that does not answer is told before its bricks, which are not heard for that reason
    match (on_storage(situation), elsewhere(want, volume, situation)) {
        (Use::By(who), _) | (_, Use::By(who)) => Use::By(who),
        (Use::Unknown(why), _) | (_, Use::Unknown(why)) => Use::Unknown(why),
        (Use::Nobody, Use::Nobody) => Use::Nobody,
    }
}

/// Who has it mounted by what the bricks say, storage hosts aside. A client is connected to every brick that it reaches, so each brick
/// has to be heard, and each has to have run for a while: clients come back to one that was started some seconds later.
///
/// A brick without any client answers like one that could not be asked ([`BrickClients`]). Where self-heal or quota daemons
/// must be among its clients that is unknown; a distributed volume without quota has none, and there it counts as nobody.
fn elsewhere(want: &ValidVolume, volume: &Volume, situation: Situation<'_>) -> Use {
    let view = situation.view;
    let unknown = |why: &str| {
        Use::Unknown(format!(
            "which clients have the volume mounted could not be found out{why}"
        ))
    };
    let Some(clients) = &view.clients else {
        let why = view.clients_unknown.as_ref();
        return unknown(&why.map(|why| format!(": {why}")).unwrap_or_default());
    };
    let storage = attach::storage(situation);
    let connections = clients.iter().flat_map(|brick| {
        let of_brick = brick.clients.iter().flatten();
        of_brick.map(move |address| (brick, address))
    });
    let mut unlisted = None;
    for (brick, address) in connections {
        match storage.iter().find(|host| host.is_client(brick, address)) {
            None => {
                return Use::By(format!(
                    "the volume is mounted on {address}; unmount it there"
                ));
            }
            Some(host) if !host.listed => unlisted = Some(host),
            Some(_) => {}
        }
    }
    let online = health::online(want, situation.pool);
    let runs = |brick: &VolumeBrick| {
        online.iter().any(|(one, online)| {
            one.host.as_str() == brick.host
                && one.path.as_str() == brick.path
                && *online == Some(true)
        })
    };
    for brick in &volume.bricks {
        let told = clients
            .iter()
            .find(|told| told.host == brick.host && told.path == brick.path);
        let name = format!("{}:{}", brick.host, brick.path);
        match told {
            None if runs(brick) => {
                return unknown(&format!(": gluster told nothing of the brick {name}"));
            }
            None => {
                return unknown(&format!(
                    ": the brick {name} does not run, and clients may wait for it; start it (`gluster volume start {} force`), or, where nobody has the volume mounted, stop the volume by hand",
                    volume.name
                ));
            }
            Some(BrickClients { clients: None, .. }) if volume.daemons() > 0 => {
                return unknown(&format!(
                    ": the brick {name} told of none, not even of daemons"
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(host) = unlisted {
        let name = &host.name;
        return unknown(&format!(
            ": {name} is a peer that spec.nodes does not list, so its daemons are connected to the bricks, and it is not asked whether it has \
             the volume mounted; list it, or detach it (`gluster peer detach {name}`)"
        ));
    }
    if view.unsteady {
        return unknown(
            ": a brick of it did not run a short while ago, and clients may not have come back to it yet",
        );
    }
    Use::Nobody
}

/// Who has it mounted on a storage host. One that was not asked, or did not answer, may have.
fn on_storage(situation: Situation<'_>) -> Use {
    let mut unknown = Use::Nobody;
    for node in &situation.cluster.nodes {
        match situation.view.mounts.get(&node.name) {
            Some(Ok(mounts)) if mounts.is_empty() => {}
            Some(Ok(mounts)) => {
                let named: Vec<&str> = mounts.iter().take(NAMED).map(String::as_str).collect();
                let more = match mounts.len().saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                return Use::By(format!(
                    "the volume is mounted on {} at {}{more}; unmount it there",
                    node.name,
                    named.join(", ")
                ));
            }
            other => {
                let why = match other {
                    Some(Err(why)) => format!(" ({why})"),
                    _ => String::new(),
                };
                unknown = Use::Unknown(format!(
                    "whether {} has the volume mounted could not be found out{why}",
                    node.name
                ));
            }
        }
    }
    unknown
}

/// Why a directory with our mark is not moved: a volume of whatever name has it. Directories that were named by hand may have
/// the like on other hosts, so their paths tell nothing.
pub(super) fn in_use(
    place: &BrickPlace,
    volume_id: Option<&str>,
    situation: Situation<'_>,
) -> Option<String> {
    let path = (place.parent != place.path).then(|| place.parent.as_str());
    trash::in_gluster(situation.pool, path, volume_id, "")
}

fn unlisted(brick: &Brick, cluster: &ValidCluster) -> String {
    format!(
        "{brick} lies below no device of a host that GlusterCluster {} lists, so that it can't go to the trash there; list its host and device again",
        cluster.name
    )
}

/// The volume is gone everywhere; bricks that carry our mark may still lie where they were. A volume that was retained and taken
/// back lies in directories named after an object of before: so every directory of the volume's name counts, and the mark in
/// it decides. It has to be exactly ours: what an object of before retained is not this one's to remove.
fn leftovers(want: &ValidVolume, situation: Situation<'_>) -> Deletion {
    match &situation.view.search {
        Search::Complete => {}
        Search::Incomplete(why) => {
            return wait_or_leave(format!("bricks that are left can't be looked for: {why}"));
        }
        Search::NotAsked => return wait("bricks that are left were not looked for"),
    }
    // where nobody looks nothing is known to be gone
    let mut named = want.bricks.iter().flatten();
    if let Some(brick) = named.find(|brick| situation.cluster.device_of(brick).is_none()) {
        return wait_or_leave(unlisted(brick, situation.cluster));
    }
    let mut left: BTreeMap<String, Vec<BrickPlace>> = BTreeMap::new();
    let mut places = place::candidates(want, situation.cluster);
    for brick in situation.view.bricks.keys() {
        if let Some(place) = place::of_brick(want, situation.cluster, brick)
            && !places.contains(&place)
        {
            places.push(place);
        }
    }
    for place in places {
        match situation.view.bricks.get(&place.brick()) {
            Some(BrickFacts::Present {
                owner: Some(owner),
                foreign_mark: false,
                volume_id,
                ..
            }) if *owner == want.mark => {
                // somebody may have made another volume of them
                if let Some(why) = in_use(&place, volume_id.as_deref(), situation) {
                    return wait_or_leave(format!(
                        "{} {why}, though it carries our mark; it is left where it is",
                        place.brick()
                    ));
                }
                // beside the manifest that was written before the volume was deleted
                let name = trash_name(want, std::slice::from_ref(&place));
                left.entry(name).or_default().push(place);
            }
            Some(BrickFacts::Missing | BrickFacts::Present { .. }) => {}
            Some(BrickFacts::Unknown(why)) => {
                return wait_or_leave(format!("{} can't be looked at: {why}", place.brick()));
            }
            None => return wait(format!("{} was not looked at", place.brick())),
        }
    }
    if left.is_empty() {
        return Deletion::Done;
    }
    let finding = Finding::yes(
        ConditionType::Progressing,
        format!("moving bricks of {} to the trash", want.volume),
    );
    Deletion::Going(Plan {
        steps: left
            .into_iter()
            .map(|(name, places)| Step::TrashBricks { places, name })
            .collect(),
        findings: vec![finding],
        recheck: None,
    })
}
