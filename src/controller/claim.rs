//! The PersistentVolume and claim of a GlusterVolume. Their fields come from code only; objects of these names that are
//! not ours are never touched.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::api::condition::{ConditionType, Finding, Reason};
use crate::api::quantity;
use crate::api::volume::{AccessMode, Claim};
use crate::api::{CSI_DRIVER, GlusterVolume, VOLUME_UID_LABEL};
use crate::gluster::model::PoolView;
use crate::gluster::names::VolumeId;
use crate::plan::validate::{ValidCluster, ValidVolume};

use super::context::Context;
use super::error::{Error, api};

/// Name of the PersistentVolume.
fn persistent_volume_name(uid: &str) -> String {
    format!("gv-{uid}")
}

fn is_ours(labels: &BTreeMap<String, String>, uid: &str) -> bool {
    labels
        .get(VOLUME_UID_LABEL)
        .is_some_and(|value| value == uid)
}

fn conflict(what: &str, name: &str) -> Finding {
    Finding::no(
        ConditionType::InSync,
        Reason::ClaimConflict,
        format!(
            "a {what} {name} exists and was not made for this volume; it is left alone. Remove it, or name another claim"
        ),
    )
}

/// `name=address` of all hosts, those that answer first.
fn servers(cluster: &ValidCluster, pool: &PoolView) -> String {
    let mut nodes: Vec<_> = cluster.nodes.iter().collect();
    nodes.sort_by_key(|node| pool.facts(&node.name).is_none());
    nodes
        .iter()
        .map(|node| format!("{}={}", node.name, node.address))
        .collect::<Vec<_>>()
        .join(",")
}

/// Sees to it that claim and PersistentVolume are there and fit. `None` when they are; otherwise what is wrong.
pub(super) async fn ensure(
    context: &Context,
    namespace: &str,
    claim: &Claim,
    want: &ValidVolume,
    cluster: &ValidCluster,
    pool: &PoolView,
) -> Result<Option<Finding>, Error> {
    let uid = want.uid.as_str();
    let Some(capacity) = want.capacity else {
        return Ok(None);
    };
    let modes: Vec<_> = claim
        .access_modes
        .iter()
        .copied()
        .map(AccessMode::as_str)
        .collect();
    let volumes: Api<PersistentVolume> = Api::all(context.client.clone());
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), namespace);
    let name = persistent_volume_name(uid);

    let found_claim = claims
        .get_opt(&claim.name)
        .await
        .map_err(api("reading the claim"))?;
    if found_claim
        .as_ref()
        .is_some_and(|found| !is_ours(found.labels(), uid))
    {
        return Ok(Some(conflict("PersistentVolumeClaim", &claim.name)));
    }
    match volumes
        .get_opt(&name)
        .await
        .map_err(api("reading the PersistentVolume"))?
    {
        Some(found) if !is_ours(found.labels(), uid) => {
            return Ok(Some(conflict("PersistentVolume", &name)));
        }
        Some(found) => {
            let spec = found.spec.as_ref();
            let size = spec
                .and_then(|spec| spec.capacity.as_ref())
                .and_then(|all| all.get("storage"));
            // the API server writes 1500000000 as 1500M
            let size = size.and_then(|size| quantity::bytes(&size.0).ok());
            if size != Some(capacity.0) {
                let patch = json!({"spec": {"capacity": {"storage": capacity.to_string()}}});
                volumes
                    .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                    .await
                    .map_err(api("resizing the PersistentVolume"))?;
            }
            let bound_to = spec
                .and_then(|spec| spec.claim_ref.as_ref())
                .and_then(|claim| claim.uid.clone());
            if found_claim.is_none() && bound_to.is_some() {
                // its claim was deleted by somebody: the PersistentVolume waits for the one that is made now
                let patch = json!({"spec": {"claimRef": {"uid": null, "resourceVersion": null}}});
                volumes
                    .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                    .await
                    .map_err(api("freeing the PersistentVolume"))?;
            }
        }
        None => {
            let handle = VolumeId {
                cluster: cluster.name.clone(),
                volume: want.volume.clone(),
            };
            let object: PersistentVolume = from_json(json!({
                "metadata": {"name": name, "labels": {VOLUME_UID_LABEL: uid}},
                "spec": {
                    "capacity": {"storage": capacity.to_string()},
                    "accessModes": modes,
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": "",
                    "volumeMode": "Filesystem",
                    "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim.name},
                    "csi": {
                        "driver": CSI_DRIVER,
                        "volumeHandle": handle.to_string(),
                        "volumeAttributes": {
                            "cluster": cluster.name.as_str(),
                            "volume": want.volume.as_str(),
                            "servers": servers(cluster, pool),
                        },
                    },
                },
            }))?;
            volumes
                .create(&PostParams::default(), &object)
                .await
                .map_err(api("making the PersistentVolume"))?;
        }
    }
    if found_claim.is_none() {
        let object: PersistentVolumeClaim = from_json(json!({
            "metadata": {"name": claim.name, "namespace": namespace, "labels": {VOLUME_UID_LABEL: uid}},
            "spec": {
                "accessModes": modes,
                "storageClassName": "",
                "volumeMode": "Filesystem",
                "volumeName": name,
                "resources": {"requests": {"storage": capacity.to_string()}},
            },
        }))?;
        claims
            .create(&PostParams::default(), &object)
            .await
            .map_err(api("making the claim"))?;
    }
    Ok(None)
}

/// `namespace/name` of the claim that our PersistentVolume is bound to, or waits for: a pod can come with it.
pub(super) async fn bound(context: &Context, uid: &str) -> Result<Option<String>, Error> {
    let volumes: Api<PersistentVolume> = Api::all(context.client.clone());
    let found = volumes
        .get_opt(&persistent_volume_name(uid))
        .await
        .map_err(api("reading the PersistentVolume"))?;
    let Some(found) = found.filter(|found| is_ours(found.labels(), uid)) else {
        return Ok(None);
    };
    let phase = found
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    // its claim was deleted: nobody is bound to it until it is freed, which is done for a new claim alone
    if matches!(phase, Some("Released" | "Failed")) {
        return Ok(None);
    }
    let claim = found.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    let name = |part: Option<&String>| part.cloned().unwrap_or_default();
    Ok(claim.map(|claim| {
        format!(
            "{}/{}",
            name(claim.namespace.as_ref()),
            name(claim.name.as_ref())
        )
    }))
}

fn from_json<K: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<K, Error> {
    serde_json::from_value(value).map_err(|_| Error::Incomplete("field that its kind needs"))
}

/// How far the removal of claim and PersistentVolume has come.
pub(super) enum Removal {
    /// Neither is there any more, or what is there is not ours.
    Done,
    /// What is waited for.
    Waiting(String),
}

/// Removes our claim, and when it is gone (which Kubernetes allows only when no pod uses it) our PersistentVolume.
pub(super) async fn remove(
    context: &Context,
    object: &GlusterVolume,
    namespace: &str,
) -> Result<Removal, Error> {
    let uid = object.uid().unwrap_or_default();
    let Some(claim) = &object.spec.claim else {
        return Ok(Removal::Done);
    };
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), namespace);
    if let Some(found) = claims
        .get_opt(&claim.name)
        .await
        .map_err(api("reading the claim"))?
        .filter(|found| is_ours(found.labels(), &uid))
    {
        if found.metadata.deletion_timestamp.is_none() {
            delete(&claims, &found).await?;
        }
        let users = super::uses::pods(context, namespace, &claim.name).await?;
        let users: Vec<_> = users
            .iter()
            .filter(|pod| !pod.finished)
            .map(|pod| pod.pod.as_str())
            .collect();
        let who = if users.is_empty() {
            "Kubernetes to let go of it".to_owned()
        } else {
            format!("pods that use it: {}", users.join(", "))
        };
        return Ok(Removal::Waiting(format!(
            "the claim {} waits for {who}",
            claim.name
        )));
    }
    let volumes: Api<PersistentVolume> = Api::all(context.client.clone());
    let name = persistent_volume_name(&uid);
    if let Some(found) = volumes
        .get_opt(&name)
        .await
        .map_err(api("reading the PersistentVolume"))?
        .filter(|found| is_ours(found.labels(), &uid))
    {
        if found.metadata.deletion_timestamp.is_none() {
            delete(&volumes, &found).await?;
        }
        let kept = match found.finalizers() {
            [] => String::new(),
            list => format!(", and is kept by {}", list.join(", ")),
        };
        return Ok(Removal::Waiting(format!(
            "the PersistentVolume {name} is being deleted{kept}"
        )));
    }
    Ok(Removal::Done)
}

/// Deletes exactly that object, not one that has taken its name since.
async fn delete<K>(objects: &Api<K>, found: &K) -> Result<(), Error>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let precondition = kube::api::Preconditions {
        uid: found.uid(),
        resource_version: None,
    };
    let params = DeleteParams {
        preconditions: Some(precondition),
        ..DeleteParams::default()
    };
    match objects.delete(&found.name_any(), &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(api("deleting the claim or PersistentVolume")(error)),
    }
}
