//! Other claim templates for a StatefulSet.
//!
//! Claim templates are immutable. So the StatefulSet is saved (`saved.rs`), deleted without its pod (orphaning), and created again
//! with the new templates and otherwise as it was. The new StatefulSet adopts the pod, which keeps running. The delete takes a
//! moment, and longer if the StatefulSet has a finalizer. The reconcile does not wait for it: the watch reports the end of the
//! StatefulSet, and the next reconcile creates the new one.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, DynamicObject, Patch, PropagationPolicy};
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::live::Live;
use super::super::managed_fields::Reach;
use super::super::writer::Writer;
use super::claim_templates::{merged, merged_here, with_live_templates};
use super::{pod_check, saved};
use crate::cluster::client::params::{delete_unchanged, patch_dry_run};

/// How often a StatefulSet is read again that changes before it can be deleted.
const ATTEMPTS: u8 = 5;

/// Saves a StatefulSet, and deletes it without its pod. Returns it as it is being deleted. It may change between the two, and that
/// change would be lost; then it is read and saved again.
///
/// Before that, the API server is asked about the object that will be created, and about its pod.
pub(in super::super) async fn recreate(
    writer: &Writer<'_>,
    name: &str,
    config_map: &ConfigMap,
    desired: &Value,
) -> Result<Option<DynamicObject>, Error> {
    let mut reach = Reach::Copies;
    for _ in 0..ATTEMPTS {
        let live = writer.read::<StatefulSet>(name).await?.ok_or(Error::Raced)?;
        writer.check(&live)?;
        let merged = match merged_live(writer, name, &live, desired, reach).await {
            Err(refused) if refused.is_refusal() && reach == Reach::Copies => {
                let body = with_live_templates(&live, desired);
                let after = writer.after_takeover(name, &live, &body.desired, refused).await;
                let Err(refused) = after else {
                    reach = Reach::Everyone;
                    continue;
                };
                merged_unless_denied(writer, name, &live, desired, refused).await?
            }
            merged => merged?,
        };
        let successor = saved::successor(&merged);
        saved::ask(writer, &successor).await?;
        pod_check::check(writer, &live, &successor).await?;
        saved::save(writer, config_map, &successor).await?;
        match writer
            .api::<StatefulSet>()
            .delete(name, &orphaning(&merged)?)
            .await
        {
            Ok(deleted) => return Ok(deleted.left()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(Error::call("delete")(error)),
        }
    }
    Err(Error::Raced)
}

async fn merged_live(
    writer: &Writer<'_>,
    name: &str,
    live: &Live<StatefulSet>,
    desired: &Value,
    reach: Reach,
) -> Result<Value, Error> {
    writer.take_over_fields(name, live, desired, reach).await?;
    merged(writer, name, live, desired).await
}

/// Asks whether the API server would accept the create of a StatefulSet with the desired claim templates, and its pod. `refused` is
/// the answer about the live StatefulSet.
pub(in super::super) async fn ask(
    writer: &Writer<'_>,
    name: &str,
    live: &Live<StatefulSet>,
    desired: &Value,
    refused: Error,
) -> Result<(), Error> {
    let merged = merged_unless_denied(writer, name, live, desired, refused).await?;
    let successor = saved::successor(&merged);
    saved::ask(writer, &successor).await?;
    pod_check::check(writer, live, &successor).await
}

/// [`merged_here`], unless the live StatefulSet itself is refused: then the garbage collector could not remove its finalizer, and it
/// would hang in its deletion.
async fn merged_unless_denied(
    writer: &Writer<'_>,
    name: &str,
    live: &Live<StatefulSet>,
    desired: &Value,
    refused: Error,
) -> Result<Value, Error> {
    let same = Patch::Merge(json!({"metadata": {"uid": live.meta().uid}}));
    let asked = writer
        .api::<StatefulSet>()
        .patch(name, &patch_dry_run(), &same)
        .await;
    asked.map_err(|_| refused)?;
    Ok(merged_here(writer, live, desired, Reach::Copies))
}

/// Deletes the StatefulSet without its pod, if it is as it was when it was merged.
fn orphaning(merged: &Value) -> Result<DeleteParams, Error> {
    let metadata = serde_json::from_value(merged["metadata"].clone())?;
    Ok(DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..delete_unchanged(&metadata)
    })
}
