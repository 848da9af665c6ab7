//! Looking: one lock-free `get-state` a host, whatever the number of volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::gluster::get_state;
use crate::gluster::model::{
    BrickClients, BrickFacts, HostFacts, HostView, PoolView, QuotaView, Search, SilentKind,
    StartTried, VolumeView,
};
use crate::gluster::names::{Brick, Bytes, HostName, HostPath, VolumeName};
use crate::gluster::operation::{Gluster, Operation};
use crate::gluster::outcome::{Class, Output, classify};
use crate::gluster::output::{self, About};
use crate::host::{Host, HostError};

use super::execute::{BUSY_PAUSE, BUSY_TRIES};
use super::{LISTING_PATIENCE, Observation, Pool, QUIET, by_host};

/// How long a look waits for a host that gave no answer to the look before. One that is well answers in a fraction of it.
const IMPATIENT: Duration = Duration::from_secs(3);
/// How often it is waited for as long as for any other: it may be alive and slow.
const PATIENT_AGAIN: Duration = Duration::from_secs(60);
/// How long a list of quotas waits for a moment without a write, and how often it looks for one.
const LIST_PATIENCE: Duration = Duration::from_secs(3);
const LIST_PAUSE: Duration = Duration::from_millis(100);
/// How many ports below 1024 a look at limits may take of a host. With a look every 15 s, and TCP keeping them for a minute, four times as
/// many of its 1023 are taken; its own daemons need the others.
const LIST_PORTS: usize = 42;
/// How long what changes rarely of a host is believed: an update of GlusterFS, or another address, is told by then.
const KNOWN_FOR: Duration = Duration::from_secs(300);

/// Adds what hosts tell now of their addresses. One that a host does not tell any more may be that of a network which is down, while its
/// clients live: it is kept until another host tells that it has it.
fn join_addresses(
    known: &mut BTreeMap<HostName, BTreeSet<String>>,
    now: &BTreeMap<HostName, BTreeSet<String>>,
) {
    for (host, told) in now.iter().filter(|(_, told)| !told.is_empty()) {
        known
            .entry(host.clone())
            .or_default()
            .extend(told.iter().cloned());
    }
    for (host, addresses) in known.iter_mut() {
        let has_now = |address: &String| now.get(host).is_some_and(|told| told.contains(address));
        let has_moved = |address: &String| {
            let mut others = now.iter().filter(|(other, _)| *other != host);
            others.any(|(_, told)| told.contains(address))
        };
        addresses.retain(|address| has_now(address) || !has_moved(address));
    }
}

impl Pool {
    /// A look that began at `not_before` or later: the last one where it is young enough, or a new one, which callers that
    /// come at the same time share.
    pub async fn observe(&self, not_before: Instant) -> Observation {
        let _one = self.observing.lock().await;
        if let Some(latest) = self
            .seen()
            .latest
            .clone()
            .filter(|latest| latest.started >= not_before)
        {
            return latest;
        }
        let started = Instant::now();
        let before = self.seen().latest.clone();
        let looks = self.hosts.values().map(|host| {
            let before = before
                .as_ref()
                .and_then(|before| before.view.hosts.get(host.name()));
            self.observe_again(host, before)
        });
        let views = join_all(looks).await;
        let hosts: BTreeMap<HostName, HostView> = self.hosts.keys().cloned().zip(views).collect();
        let mut view = PoolView {
            hosts,
            addresses: BTreeMap::new(),
        };
        let told = view.answered();
        let told = told.map(|(name, facts)| (name.clone(), facts.addresses.clone()));
        view.addresses = self.told(&told.collect());
        let observation = Observation {
            started,
            view: Arc::new(view),
        };
        debug!(
            seconds = started.elapsed().as_secs_f64(),
            "looked at the pool"
        );
        self.settle(&observation);
        self.seen().latest = Some(observation.clone());
        observation
    }

    /// Remembers addresses that hosts told of themselves, and gives all that are known.
    fn told(
        &self,
        now: &BTreeMap<HostName, BTreeSet<String>>,
    ) -> BTreeMap<HostName, BTreeSet<String>> {
        let known = &mut self.memory().addresses;
        join_addresses(known, now);
        known.clone()
    }

    /// What hosts told of their addresses before this process began.
    pub fn told_before(&self, addresses: BTreeMap<HostName, BTreeSet<String>>) {
        let known = &mut self.memory().addresses;
        for (host, told) in addresses {
            known.entry(host).or_default().extend(told);
        }
    }

    /// Forgets writes without a known end once this look, which began after them, had an answer from every host, or the others
    /// see the silent ones as disconnected.
    fn settle(&self, observation: &Observation) {
        let view = &observation.view;
        let is_down = |volume: &VolumeName| {
            let hosts = view.answered();
            let mut seen = hosts.filter_map(|(_, facts)| facts.state.volume(volume));
            seen.any(|volume| {
                volume
                    .bricks
                    .iter()
                    .any(|brick| brick.online == Some(false))
            })
        };
        self.memory()
            .brick_starts
            .retain(|volume, (last, _)| last.elapsed() < QUIET || is_down(volume));
        self.memory().steadiness.saw(view);
        let known_down = |name: &HostName| {
            let mut seen = view
                .answered()
                .flat_map(|(_, facts)| &facts.state.peers)
                .filter(|peer| peer.is_named(name.as_str()));
            let mut any = false;
            seen.all(|peer| {
                any = true;
                !peer.connected
            }) && any
        };
        if view
            .silent()
            .all(|(name, _, kind)| kind == SilentKind::Unreachable && known_down(name))
        {
            self.memory()
                .unsettled
                .retain(|_, write| write.since >= observation.started);
        }
    }

    /// A host that gave no answer is not waited for to the end each time: news of the others would come late.
    async fn observe_again(&self, host: &Arc<dyn Host>, before: Option<&HostView>) -> HostView {
        let silent = before.filter(|before| matches!(before, HostView::Silent { .. }));
        let patient = self.seen().patient.get(host.name()).copied();
        if let (Some(silent), Some(patient)) = (silent, patient)
            && patient.elapsed() < PATIENT_AGAIN
        {
            let look = tokio::time::timeout(IMPATIENT, self.observe_host(host));
            return look.await.unwrap_or_else(|_| silent.clone());
        }
        let view = self.observe_host(host).await;
        if matches!(view, HostView::Silent { .. }) {
            self.seen()
                .patient
                .insert(host.name().clone(), Instant::now());
        }
        view
    }

    async fn observe_host(&self, host: &Arc<dyn Host>) -> HostView {
        let name = host.name();
        let about = match self.known(host).await {
            Ok(about) => about,
            Err(silent) => return silent,
        };
        let devices = self.devices.get(name).cloned().unwrap_or_default();
        // two names may turn out to be one host: each writes a file of its own there
        let at = self.hosts.keys().position(|other| other == name);
        let slot = format!("{}-{}", self.slot, at.unwrap_or_default())
            .parse()
            .unwrap_or_else(|_| self.slot.clone());
        match look(host, &devices, &slot, about).await {
            Ok(facts) => HostView::Answered(Box::new(facts)),
            Err((kind, why)) => {
                warn!(host = %name, why, "host gave no picture");
                // it may have been rebooted, and /run be empty
                self.seen().known.remove(name);
                HostView::Silent { why, kind }
            }
        }
    }

    /// What changes rarely of a host that has all that is needed; a view of silence where it has not, or can't be asked.
    async fn known(&self, host: &Arc<dyn Host>) -> Result<About, HostView> {
        let name = host.name();
        if let Some((when, about)) = self.seen().known.get(name)
            && when.elapsed() < KNOWN_FOR
        {
            return Ok(about.clone());
        }
        if let Some(silent) = prerequisites(host).await {
            return Err(silent);
        }
        let outputs = host.perform(&Operation::About).await;
        let outputs = outputs.map_err(|error| silent(&error))?;
        let about = output::about(&outputs).map_err(|error| HostView::Silent {
            why: format!("{name}: {error}"),
            kind: SilentKind::Prerequisites,
        })?;
        let known = (Instant::now(), about.clone());
        self.seen().known.insert(name.clone(), known);
        Ok(about)
    }

    /// Looks at what one volume's plan needs beyond the picture of the pool.
    pub async fn inspect(
        &self,
        volume: &VolumeName,
        bricks: &[Brick],
        quota_from: Option<&HostName>,
        clients_from: Option<&HostName>,
        crawl: bool,
    ) -> VolumeView {
        let crawling = async {
            if crawl {
                self.crawling(volume, bricks).await
            } else {
                None
            }
        };
        let inspected = join_all(
            by_host(bricks)
                .into_iter()
                .map(|(name, paths)| self.inspect_bricks(name, paths)),
        );
        // one after the other: each takes the volume's lock, and would be refused by that of the other
        let locking = async {
            let quota = match quota_from {
                Some(name) => self.ask_quota(name, volume).await,
                None => QuotaView::Unknown,
            };
            let clients = match clients_from {
                Some(name) => Some(self.clients(name, volume, bricks).await),
                None => None,
            };
            (quota, clients)
        };
        let mounts = async {
            match clients_from {
                Some(_) => self.mounts(volume).await,
                None => BTreeMap::new(),
            }
        };
        let ((inspected, (quota, clients)), (mounts, crawling)) =
            join(join(inspected, locking), join(mounts, crawling)).await;
        let (clients, clients_unknown) = match clients.transpose() {
            Ok(clients) => (clients, None),
            Err(why) => (None, Some(why)),
        };
        self.remember_limit(volume, &quota);
        let limit_before = self.limit_before(volume);
        let unsteady = self.memory().steadiness.is_unsteady(volume.as_str());
        VolumeView {
            bricks: inspected.into_iter().flatten().collect(),
            held: BTreeMap::new(),
            search: Search::NotAsked,
            limit_before,
            quota,
            crawling,
            mounts,
            unsteady,
            clients,
            clients_unknown,
            start_tried: self
                .memory()
                .brick_starts
                .get(volume)
                .map(|(last, times)| StartTried {
                    ago: last.elapsed(),
                    times: *times,
                }),
        }
    }

    /// Asks one host for limits and use of these volumes, in one process, and keeps them for [`Self::quota`]. Where all of them would
    /// take more ports than one look may, they take turns. Not while a write is under way: it is waited for a moment, and in a pool where
    /// there is always one the next look has to do.
    pub async fn look_at_quotas(&self, host: &HostName, limited: Vec<(VolumeName, usize)>) {
        let volumes = self.next_asked(limited);
        let Some(host) = self.hosts.get(host).filter(|_| !volumes.is_empty()) else {
            return;
        };
        let begin = Instant::now();
        // whoever writes comes first, also who comes meanwhile
        let _alone = loop {
            match self.ledger.listing.try_write() {
                Ok(alone) => break alone,
                Err(_) if begin.elapsed() > LIST_PATIENCE => return,
                Err(_) => tokio::time::sleep(LIST_PAUSE).await,
            }
        };
        let started = Instant::now();
        let answer = host.perform(&Operation::QuotaLists(volumes.clone())).await;
        let Some(output) = answer.ok().and_then(|mut outputs| outputs.pop()) else {
            return;
        };
        let views = output::quotas(&output, volumes.len());
        for (volume, view) in volumes.iter().zip(&views) {
            if matches!(view, QuotaView::Limit(_)) {
                self.remember_limit(volume, view);
            }
        }
        let views = views.into_iter().map(|view| (started, view));
        self.memory().quotas.extend(volumes.into_iter().zip(views));
    }

    /// Those whose turn it is to be asked for limit and use: first who was not asked for the longest time. Forgets those that are gone.
    fn next_asked(&self, mut limited: Vec<(VolumeName, usize)>) -> Vec<VolumeName> {
        let quotas = &mut self.memory().quotas;
        let there: BTreeSet<&VolumeName> = limited.iter().map(|(volume, _)| volume).collect();
        quotas.retain(|volume, _| there.contains(volume));
        limited.sort_by_key(|(volume, _)| quotas.get(volume).map(|(when, _)| *when));
        let mut ports = 0;
        let turn = limited.into_iter().take_while(|(_, taken)| {
            let first = ports == 0;
            ports += taken;
            first || ports <= LIST_PORTS
        });
        turn.map(|(volume, _)| volume).collect()
    }

    /// Asks one host for the limit and use of one volume, and keeps them for [`Self::quota`].
    pub async fn ask_quota(&self, host: &HostName, volume: &VolumeName) -> QuotaView {
        // both would be refused by the lock of the other
        let _no_list = timeout(LISTING_PATIENCE, self.ledger.listing.read()).await;
        let started = Instant::now();
        let answer = self.ask(host, Gluster::QuotaList(volume.clone())).await;
        let view = answer.map_or(QuotaView::Unknown, |answer| output::quota(&answer));
        if view != QuotaView::Unknown {
            let kept = (started, view.clone());
            self.memory().quotas.insert(volume.clone(), kept);
        }
        view
    }

    /// Who is connected to each brick that told of it, or why that is not known. A brick without any client spoils the answer: for all
    /// where it is not on the host that was asked, for all after it where it is. Of a volume that has no daemons such bricks may be
    /// many, and are asked one by one.
    async fn clients(
        &self,
        from: &HostName,
        volume: &VolumeName,
        bricks: &[Brick],
    ) -> Result<Vec<BrickClients>, String> {
        let answer = self.ask_clients(from, Gluster::Clients(volume.clone()));
        let answer = answer.await?;
        let told = output::clients(&answer);
        let all_told = told.as_ref().is_ok_and(|told| told.len() == bricks.len());
        if all_told || !(output::brick_failed(&answer) && self.has_no_daemons(volume)) {
            return told.map_err(|why| {
                debug!(%volume, %why, said = answer.stdout, "an answer that tells nothing of clients");
                why.to_string()
            });
        }
        let mut all = Vec::new();
        // one after the other: each takes the volume's lock
        for brick in bricks {
            let command = Gluster::BrickClients(volume.clone(), brick.clone());
            let answer = self.ask_clients(&brick.host, command).await?;
            all.extend(output::clients(&answer).map_err(|why| format!("{brick}: {why}"))?);
        }
        Ok(all)
    }

    /// Whether no self-heal and no quota daemon is connected to its bricks, as it was last seen.
    fn has_no_daemons(&self, volume: &VolumeName) -> bool {
        let latest = self.seen().latest.clone();
        latest.is_some_and(|latest| {
            let mut seen = latest.view.answered();
            seen.find_map(|(_, facts)| facts.state.volume(volume))
                .is_some_and(|volume| volume.daemons() == 0)
        })
    }

    /// Asks one host for clients of bricks; a few times where another command has the volume's lock.
    async fn ask_clients(&self, host: &HostName, command: Gluster) -> Result<Output, String> {
        let _no_list = timeout(LISTING_PATIENCE, self.ledger.listing.read()).await;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let answer = self.ask(host, command.clone()).await;
            let answer = answer.ok_or_else(|| format!("{host} was not reached"))?;
            let class = classify(command.family(), &answer).class;
            if class != Class::Busy || attempt == BUSY_TRIES {
                return Ok(answer);
            }
            tokio::time::sleep(BUSY_PAUSE).await;
        }
    }

    fn remember_limit(&self, volume: &VolumeName, view: &QuotaView) {
        let limits = &mut self.memory().limits;
        match view {
            QuotaView::Limit(limit) => {
                limits.insert(volume.clone(), limit.hard_limit);
            }
            QuotaView::Off | QuotaView::NoLimit => {
                limits.remove(volume);
            }
            QuotaView::Unknown => {}
        }
    }

    /// The limit that was in force when it was last known.
    pub fn limit_before(&self, volume: &VolumeName) -> Option<Bytes> {
        self.memory().limits.get(volume).copied()
    }

    /// What was last found of a limit, if that look began at `not_before` or later, and after our last write on the volume. That there
    /// is none is a hint only ([`output::quotas`]).
    pub fn quota(&self, volume: &VolumeName, not_before: Instant) -> Option<QuotaView> {
        let memory = self.memory();
        let (started, view) = memory.quotas.get(volume)?;
        let written = memory.written.get(volume.as_str());
        let fresh = *started >= not_before && written.is_none_or(|written| started >= written);
        (fresh && *view != QuotaView::Unknown).then(|| view.clone())
    }

    /// Whether the crawl of a `quota enable` still runs on a host of these bricks; `None` when one of them did not say.
    async fn crawling(&self, volume: &VolumeName, bricks: &[Brick]) -> Option<bool> {
        let hosts: BTreeSet<&HostName> = bricks.iter().map(|brick| &brick.host).collect();
        let answers = join_all(hosts.into_iter().map(|name| async move {
            let host = self.hosts.get(name)?;
            let outputs = host.perform(&Operation::Crawl(volume.clone())).await.ok()?;
            output::crawling(&outputs)
        }))
        .await;
        let known: Option<Vec<bool>> = answers.into_iter().collect();
        known.map(|all| all.into_iter().any(|one| one))
    }

    /// Where each host has the volume mounted.
    async fn mounts(&self, volume: &VolumeName) -> BTreeMap<HostName, Result<Vec<String>, String>> {
        let answers = join_all(self.hosts.iter().map(|(name, host)| async move {
            let found = match host.perform(&Operation::Mounts).await {
                Ok(outputs) => output::mounts(&outputs, volume).map_err(|error| error.to_string()),
                Err(error) => Err(error.why),
            };
            (name.clone(), found)
        }));
        answers.await.into_iter().collect()
    }

    pub(super) async fn ask(&self, name: &HostName, command: Gluster) -> Option<Output> {
        let host = self.hosts.get(name)?;
        host.perform(&Operation::Gluster(command)).await.ok()?.pop()
    }

    async fn inspect_bricks(
        &self,
        name: &HostName,
        paths: Vec<HostPath>,
    ) -> Vec<(Brick, BrickFacts)> {
        let facts = match self.hosts.get(name) {
            None => vec![
                BrickFacts::Unknown(format!("{name} is not listed in spec.nodes"));
                paths.len()
            ],
            Some(host) => match host.perform(&Operation::InspectBricks(paths.clone())).await {
                Ok(outputs) => output::brick_facts(&outputs, &paths),
                Err(error) => vec![BrickFacts::Unknown(error.to_string()); paths.len()],
            },
        };
        paths
            .into_iter()
            .map(|path| Brick {
                host: name.clone(),
                path,
            })
            .zip(facts)
            .collect()
    }
}

fn silent(error: &HostError) -> HostView {
    HostView::Silent {
        why: error.to_string(),
        kind: error.kind,
    }
}

/// `None` when everything is there.
async fn prerequisites(host: &Arc<dyn Host>) -> Option<HostView> {
    let missing = match host.perform(&Operation::Prerequisites).await {
        Ok(outputs) => output::missing_programs(&outputs),
        Err(error) => return Some(silent(&error)),
    };
    let why = match missing {
        Ok(list) if list.is_empty() => return None,
        Ok(list) => {
            let list: Vec<_> = list
                .iter()
                .map(|(program, package)| format!("{program} (package {package})"))
                .collect();
            format!("{}: missing there: {}", host.name(), list.join(", "))
        }
        Err(error) => format!("{}: {error}", host.name()),
    };
    Some(HostView::Silent {
        why,
        kind: SilentKind::Prerequisites,
    })
}

async fn look(
    host: &Arc<dyn Host>,
    devices: &[HostPath],
    slot: &VolumeName,
    about: About,
) -> Result<HostFacts, (SilentKind, String)> {
    let state = Operation::State { slot: slot.clone() };
    let survey = Operation::Survey {
        devices: devices.to_vec(),
    };
    let (state, survey) = join(host.perform(&state), host.perform(&survey)).await;
    let unreachable = |error: HostError| (error.kind, error.to_string());
    let malformed =
        |error: output::Malformed| (SilentKind::Glusterd, format!("{}: {error}", host.name()));
    let mut state = get_state::state(&state.map_err(unreachable)?).map_err(malformed)?;
    if state.uuid.is_none() {
        // it has not made its uuid yet, and does when asked: by it two names of one host are told from two hosts
        let operation = Operation::Gluster(Gluster::Uuid);
        let outputs = host.perform(&operation).await.map_err(unreachable)?;
        let answer = outputs.last().cloned().unwrap_or_default();
        state.uuid = Some(output::uuid(&answer).map_err(malformed)?);
    }
    let survey = output::survey(&survey.map_err(unreachable)?, devices.len()).map_err(malformed)?;
    Ok(HostFacts {
        state,
        owner: survey.owner,
        ping_timeout: survey.ping_timeout,
        ping_in_force: survey.ping_in_force,
        version: about.version,
        addresses: about.addresses,
        devices: devices.iter().cloned().zip(survey.devices).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::gluster::outcome::Output;

    /// Refuses at first, and then takes connections and never answers.
    struct Hangs(HostName, AtomicUsize);

    #[async_trait]
    impl Host for Hangs {
        fn name(&self) -> &HostName {
            &self.0
        }

        async fn perform(&self, _: &Operation) -> Result<Vec<Output>, HostError> {
            if self.1.fetch_add(1, Ordering::SeqCst) > 0 {
                std::future::pending::<()>().await;
            }
            Err(HostError {
                host: self.0.clone(),
                address: String::new(),
                kind: SilentKind::Glusterd,
                why: "refused".into(),
            })
        }
    }

    #[tokio::test]
    async fn who_gave_no_answer_last_time_does_not_keep_the_others_waiting() {
        let name: HostName = "n1".parse().unwrap();
        let host: Arc<dyn Host> = Arc::new(Hangs(name.clone(), AtomicUsize::new(0)));
        let pool = Pool::new(vec![(host, vec![])], "x".parse().unwrap());
        let first = pool.observe(Instant::now()).await;
        // this one would never end
        let second = pool.observe(Instant::now()).await;
        assert_eq!(first.view, second.view);
        assert!(matches!(
            &second.view.hosts[&name],
            HostView::Silent { kind: SilentKind::Glusterd, why } if why.contains("refused")
        ));
    }

    #[test]
    fn limits_are_asked_for_in_turns_where_all_at_once_would_take_too_many_ports() {
        let pool = Pool::new(vec![], "x".parse().unwrap());
        let limited = |count: usize, ports: usize| -> Vec<(VolumeName, usize)> {
            let name = |at| format!("v{at:02}").parse().unwrap();
            (0..count).map(|at| (name(at), ports)).collect()
        };
        let ask = |limited| {
            let turn = pool.next_asked(limited);
            let asked = (Instant::now(), QuotaView::NoLimit);
            let all = turn.iter().map(|volume| (volume.clone(), asked.clone()));
            pool.memory().quotas.extend(all);
            turn
        };
        // three bricks each
        let turns: Vec<_> = (0..3).map(|_| ask(limited(20, 6))).collect();
        assert_eq!(turns.iter().map(Vec::len).collect::<Vec<_>>(), [7, 7, 7]);
        assert_eq!(turns.concat().iter().collect::<BTreeSet<_>>().len(), 20);
        assert_eq!(
            ask(limited(20, 6))[..],
            turns[0][1..]
                .iter()
                .cloned()
                .chain([turns[1][0].clone()])
                .collect::<Vec<_>>()
        );
        // one is always asked; those that any process may mount take none
        assert_eq!(ask(limited(5, 1000)).len(), 1);
        assert_eq!(ask(limited(500, 0)).len(), 500);
        // who is gone is forgotten
        assert!(ask(Vec::new()).is_empty());
        assert!(pool.memory().quotas.is_empty());
    }

    #[test]
    fn an_address_is_kept_until_another_host_has_it() {
        let told = |all: &[(&str, &[&str])]| -> BTreeMap<HostName, BTreeSet<String>> {
            let each = all.iter().map(|(host, told)| {
                let told = told.iter().map(|&one| one.to_owned()).collect();
                (host.parse().unwrap(), told)
            });
            each.collect()
        };
        let mut known = told(&[]);
        for (now, then) in [
            (
                told(&[("n1", &["10.0.0.1", "192.168.1.1"]), ("n2", &["10.0.0.2"])]),
                told(&[("n1", &["10.0.0.1", "192.168.1.1"]), ("n2", &["10.0.0.2"])]),
            ),
            // a network of n1 is down, and n2 is silent
            (
                told(&[("n1", &["10.0.0.1"])]),
                told(&[("n1", &["10.0.0.1", "192.168.1.1"]), ("n2", &["10.0.0.2"])]),
            ),
            // it tells nothing
            (
                told(&[("n1", &[])]),
                told(&[("n1", &["10.0.0.1", "192.168.1.1"]), ("n2", &["10.0.0.2"])]),
            ),
            // the address has moved, and one is that of a bridge which each host has
            (
                told(&[
                    ("n1", &["172.17.0.1"]),
                    ("n2", &["192.168.1.1", "172.17.0.1"]),
                ]),
                told(&[
                    ("n1", &["10.0.0.1", "172.17.0.1"]),
                    ("n2", &["10.0.0.2", "192.168.1.1", "172.17.0.1"]),
                ]),
            ),
        ] {
            join_addresses(&mut known, &now);
            assert_eq!(known, then);
        }
    }
}
