//! Our finalizer: added before anything is done for an object, removed when nothing of it is left to do.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::FINALIZER;

use super::error::{Error, api};

/// Writes the finalizer list; refused by the server when the object changed meanwhile.
async fn write<K>(objects: &Api<K>, object: &K, list: Vec<String>) -> Result<(), Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let patch =
        json!({"metadata": {"finalizers": list, "resourceVersion": object.resource_version()}});
    objects
        .patch(
            &object.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .map(|_| ())
        .map_err(api("writing the finalizer"))
}

/// Adds it where it is missing.
pub(super) async fn ensure<K>(objects: &Api<K>, object: &K) -> Result<(), Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    if object.finalizers().iter().any(|name| name == FINALIZER) {
        return Ok(());
    }
    let mut list = object.finalizers().to_vec();
    list.push(FINALIZER.to_owned());
    write(objects, object, list).await
}

/// Removes it, from the object as it is now: our own statuses of this reconcile have changed it.
pub(super) async fn release<K>(objects: &Api<K>, object: &K) -> Result<(), Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let current = objects
        .get_opt(&object.name_any())
        .await
        .map_err(api("reading the object"))?;
    // another object of that name is not ours to let go
    let Some(current) = current.filter(|current| current.uid() == object.uid()) else {
        return Ok(());
    };
    let list: Vec<_> = current
        .finalizers()
        .iter()
        .filter(|name| *name != FINALIZER)
        .cloned()
        .collect();
    if list.len() == current.finalizers().len() {
        return Ok(());
    }
    write(objects, &current, list).await
}
