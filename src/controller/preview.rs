//! What applying objects would do, without doing it: the same plans as the reconciles make, told to their end.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ListParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::api::{GlusterCluster, GlusterVolume};
use crate::gluster::model::{PoolView, VolumeView};
use crate::gluster::names::{HostName, VolumeName};
use crate::gluster::operation::Operation;
use crate::plan::step::Step;
use crate::plan::{cluster as decide, expect};
use crate::pool;

use super::cluster;
use super::context::Context;
use super::upkeep::{self, Gathered};
use super::volume::preview::{foresee, unmet};

/// An object as it stands in a file.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A pool.
    Cluster(Box<GlusterCluster>),
    /// A volume.
    Volume(Box<GlusterVolume>),
}

/// What would come of an object.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// `GlusterVolume shop/data`.
    pub object: String,
    /// True when the API server does not have it yet: the directories of its bricks will be named after the uid that it gets.
    pub new: bool,
    /// What would be done, in order; empty when nothing.
    pub steps: Vec<PreviewStep>,
    /// What is not as declared before the steps, as conditions would say it.
    pub now: Vec<String>,
    /// What is still not as declared after them: what is waited for, or why nothing is done.
    pub end: Vec<String>,
}

/// A step.
#[derive(Debug, Serialize)]
pub struct PreviewStep {
    /// In words.
    pub step: String,
    /// What may go wrong for users of data; empty when nothing.
    pub risk: &'static str,
    /// What is waited for before the next step; empty when nothing.
    pub then: &'static str,
    /// What is run, and where.
    pub commands: Vec<PreviewCommand>,
}

/// A command on a host.
#[derive(Debug, Serialize)]
pub struct PreviewCommand {
    /// The host.
    pub host: String,
    /// As a person would type it.
    pub command: String,
}

/// The steps of one object, and what holds before and after.
#[derive(Debug, Default)]
pub(super) struct Foreseen {
    steps: Vec<(Step, HostName)>,
    pub(super) now: Vec<Finding>,
    pub(super) end: Vec<Finding>,
}

impl Foreseen {
    /// Nothing would be done.
    pub(super) fn stuck(findings: Vec<Finding>) -> Self {
        Self {
            steps: Vec::new(),
            now: findings.clone(),
            end: findings,
        }
    }

    pub(super) fn push(&mut self, step: Step, coordinator: &HostName) {
        self.steps.push((step, coordinator.clone()));
    }

    /// Leaves out what the object's conditions say already.
    fn without_known(mut self, known: &[Condition]) -> Self {
        let is_known = |finding: &Finding| {
            known.iter().any(|condition| {
                condition.type_ == finding.kind.as_str()
                    && condition.status != "True"
                    && condition.reason == finding.reason.as_str()
            })
        };
        self.end.retain(|finding| !is_known(finding));
        self
    }

    fn told(self, object: String, new: bool) -> Preview {
        let text = |findings: &[Finding]| {
            let mut told: Vec<String> = Vec::new();
            for finding in findings {
                let line = format!("{}: {}", finding.reason.as_str(), finding.message);
                if !told.contains(&line) {
                    told.push(line);
                }
            }
            told
        };
        let step = |(step, coordinator): &(Step, HostName)| PreviewStep {
            step: step.describe(),
            risk: step.risk(),
            then: step.then(),
            commands: commands(step, coordinator),
        };
        Preview {
            object,
            new,
            steps: self.steps.iter().map(step).collect(),
            now: text(&self.now),
            end: text(&self.end),
        }
    }
}

fn commands(step: &Step, coordinator: &HostName) -> Vec<PreviewCommand> {
    let typed = |(host, operation): (HostName, Operation)| {
        let lines = match &operation {
            Operation::Gluster(command) => vec![command.typed()],
            other => other
                .commands()
                .iter()
                .map(|command| command.argv.join(" "))
                .collect(),
        };
        let host = host.to_string();
        lines.into_iter().map(move |command| PreviewCommand {
            host: host.clone(),
            command,
        })
    };
    pool::operations(step, coordinator)
        .into_iter()
        .flat_map(typed)
        .collect()
}

/// Looks at the pools and tells what applying the objects would do. Nothing is changed: the API server is asked with
/// `dryRun`, and hosts are looked at as the controller looks at them.
///
/// # Errors
/// The API server does not answer or refuses an object, in its own words.
pub async fn preview(
    client: Client,
    namespace: &str,
    wanted: Vec<Wanted>,
) -> anyhow::Result<Vec<Preview>> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let kube_system = namespaces
        .get("kube-system")
        .await
        .context("can't read the namespace kube-system")?;
    let slot: VolumeName = format!("p{:08x}", rand::random::<u32>()).parse()?;
    let uid = kube_system
        .uid()
        .context("the namespace kube-system has no uid")?;
    let (wake, _) = futures::channel::mpsc::unbounded();
    let context = Context::new(client.clone(), namespace, uid, slot, "plan", wake);
    let mut previews = Vec::new();
    let own = |object: &GlusterVolume| {
        let namespace = object.namespace();
        namespace.unwrap_or_else(|| "default".to_owned())
    };
    // pools as they will be, so that volumes of the same files are planned on those
    let mut pools: HashMap<String, Option<PoolView>> = HashMap::new();
    for object in &wanted {
        let Wanted::Cluster(object) = object else {
            continue;
        };
        let (asked, new) = dry_run(&Api::all(client.clone()), object.as_ref()).await?;
        let (foreseen, view) = foresee_cluster(&asked, &context).await?;
        pools.insert(asked.name_any(), view);
        let name = format!("GlusterCluster {}", asked.name_any());
        previews.push(foreseen.told(name, new));
    }
    // an edit of a pool reaches volumes that no file names, too
    let named: BTreeSet<(String, String)> = wanted
        .iter()
        .filter_map(|object| match object {
            Wanted::Volume(object) => Some((own(object), object.name_any())),
            Wanted::Cluster(_) => None,
        })
        .collect();
    let others = if pools.values().any(Option::is_some) {
        let all: Api<GlusterVolume> = Api::all(client.clone());
        let all = all.list(&ListParams::default()).await;
        all.context("reading the volumes of the pool")?.items
    } else {
        Vec::new()
    };
    for object in others {
        let name = (own(&object), object.name_any());
        if named.contains(&name) || object.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let Some(Some(pool)) = pools.get(&object.spec.cluster_name) else {
            continue;
        };
        let foreseen = foresee(&object, &context, Some(pool.clone())).await?;
        let known = object.status.unwrap_or_default().conditions;
        let foreseen = foreseen.without_known(&known);
        if !foreseen.steps.is_empty() || !foreseen.end.is_empty() {
            let (namespace, name) = name;
            previews.push(foreseen.told(format!("GlusterVolume {namespace}/{name}"), false));
        }
    }
    for object in wanted {
        let Wanted::Volume(object) = object else {
            continue;
        };
        let own = own(&object);
        let (asked, new) = dry_run(&namespaced(&client, &own), object.as_ref()).await?;
        let cluster = asked.spec.cluster_name.clone();
        if !pools.contains_key(&cluster) {
            let clusters: Api<GlusterCluster> = Api::all(client.clone());
            let found = clusters
                .get_opt(&cluster)
                .await
                .context("reading the cluster")?;
            if let Some(found) = found {
                cluster::usable(&found, &context).await?.ok();
            }
            pools.insert(cluster.clone(), None);
        }
        let pool = pools.get(&cluster).cloned().flatten();
        let foreseen = foresee(&asked, &context, pool).await?;
        let name = format!("GlusterVolume {own}/{}", asked.name_any());
        previews.push(foreseen.told(name, new));
    }
    Ok(previews)
}

fn namespaced<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

/// Whether a name can be one of an object or a namespace.
fn is_object_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let parts = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().copied().is_some_and(inner)
            && bytes.last().copied().is_some_and(inner)
            && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(parts)
}

/// The object as it would be if its spec were that of the file and nothing else, with defaults and, where it is there
/// already, uid and status; and whether it is new.
async fn dry_run<K>(objects: &Api<K>, object: &K) -> anyhow::Result<(K, bool)>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let name = object.name_any();
    let what = format!("{} {name}", K::kind(&()));
    for part in [Some(name.clone()), object.namespace()]
        .into_iter()
        .flatten()
    {
        // the client puts it into an address as it is: behind a '#' the server would not see `dryRun`, and do it
        ensure!(
            is_object_name(&part),
            "{what}: {part:?} is no name of an object: lower case letters, digits, '-' and '.', at most 253"
        );
    }
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let current = objects
        .get_opt(&name)
        .await
        .with_context(|| format!("reading {what}"))?;
    let new = current.is_none();
    let asked = match current {
        Some(current) => {
            let mut changed = object.clone();
            *changed.meta_mut() = current.meta().clone();
            objects.replace(&name, &params, &changed).await
        }
        None => objects.create(&params, object).await,
    };
    let refused = || format!("the API server does not take {what}");
    Ok((asked.with_context(refused)?, new))
}

/// The steps for a pool, and the pool as it will be after them, where it can be used.
async fn foresee_cluster(
    object: &GlusterCluster,
    context: &Context,
) -> anyhow::Result<(Foreseen, Option<PoolView>)> {
    let (want, pool) = match cluster::usable(object, context).await? {
        Ok(usable) => usable,
        Err(findings) => return Ok((Foreseen::stuck(findings), None)),
    };
    let mut view = (*pool.observe(Instant::now()).await.view).clone();
    let mut foreseen = Foreseen::default();
    for pass in 0..6 {
        let plan = decide::plan(&want, &view);
        if pass == 0 {
            foreseen.now = unmet(&plan.findings);
        }
        foreseen.end = unmet(&plan.findings);
        let Some(coordinator) = decide::coordinator(&want, &view).cloned() else {
            break;
        };
        if plan.steps.is_empty() {
            break;
        }
        for step in plan.steps {
            expect::after(&step, &mut view, &mut VolumeView::default());
            foreseen.push(step, &coordinator);
        }
    }
    let is_ready = |finding: &Finding| finding.kind == ConditionType::Ready;
    if !foreseen.end.iter().any(is_ready)
        && let Some(coordinator) = decide::coordinator(&want, &view).cloned()
    {
        let status = object.status.clone().unwrap_or_default();
        let gathered = Gathered::of(context, &want, &pool, &view, &status.nodes).await;
        let mut care = gathered.plan(&want, &view, &status.owned_options);
        foreseen.end.extend(unmet(&care.plan.findings));
        for step in std::mem::take(&mut care.plan.steps) {
            expect::after(&step, &mut view, &mut VolumeView::default());
            foreseen.push(step, &coordinator);
        }
        // who is no peer any more by then
        let care = gathered.plan(&want, &view, &status.owned_options);
        for former in &care.detached {
            match gathered.owner_file(&want, former) {
                Ok(Some(step)) => foreseen.push(step, &former.name),
                Ok(None) => {}
                Err(why) => foreseen.end.push(left(&former.name, &why)),
            }
        }
        let (steps, findings) = upkeep::foresee_purge(&want, &pool, &view).await;
        for (host, step) in steps {
            foreseen.push(step, &host);
        }
        foreseen.end.extend(findings);
    }
    Ok((foreseen, Some(view)))
}

/// An owner file that nobody removes.
fn left(host: &HostName, why: &str) -> Finding {
    Finding::no(
        ConditionType::InSync,
        Reason::HostUnreachable,
        format!("the owner file of {host} stays, since it can't be looked at: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_reaches_past_its_place_in_an_address() {
        for good in ["data", "a", "a.b-c.d0", &"x".repeat(253)] {
            assert!(is_object_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "data#",
            "data?x=",
            "a/b",
            "../x",
            "a%23",
            "A",
            "a b",
            "-a",
            "a.",
            "a\n",
            &"x".repeat(254),
        ] {
            assert!(!is_object_name(bad), "{bad:?}");
        }
    }
}
