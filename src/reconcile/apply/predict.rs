//! What an object would be after a write: asked of the API server by a dry run, or put together here where it cannot be asked.
//!
//! Defaults, fields of others, quotas and webhooks are in the API server's answers. An apply first takes over fields
//! (`managed_fields.rs`), which no dry run can do; so these are taken out of the object here (`predict/prune.rs`), and the API
//! server is asked about the result.

pub mod merge_patch;
pub(super) mod overlay;
mod prune;

use kube::api::{DynamicObject, Patch};
use serde_json::{Value, json};

use super::error::Error;
use super::live::{Child, Live};
use super::managed_fields::Reach;
use super::writer::Writer;
use crate::api::names::FIELD_MANAGER;
use crate::cluster::client::params::{patch_dry_run, post_dry_run};

/// Whether the API server would accept a new child: a quota or a webhook may refuse it.
pub(super) async fn create<K: Child>(writer: &Writer<'_>, desired: &Value) -> Result<Value, Error> {
    let object: DynamicObject = serde_json::from_value(desired.clone())?;
    let created = writer.api::<K>().create(&post_dry_run(), &object).await;
    Ok(serde_json::to_value(created.map_err(Error::call("create"))?)?)
}

/// The object after an apply. Fields that the apply takes over first are taken out here. If the API server refuses what is desired
/// next to them, the object is put together here.
pub(super) async fn apply<K: Child>(
    writer: &Writer<'_>,
    name: &str,
    live: &Live<K>,
    desired: &Value,
) -> Result<Value, Error> {
    let body = live.guarded(desired);
    let applied = writer.try_apply::<K>(name, &body).await;
    let is_refused = matches!(&applied, Err(error) if error.is_invalid());
    let reach = if is_refused {
        Reach::Everyone
    } else {
        Reach::Copies
    };
    let Some(entries) = live.taken_over(writer.server, desired, reach) else {
        return applied;
    };
    let mut pruned = match &applied {
        Ok(applied) => applied.clone(),
        Err(_) => overlay::overlaid(&live.fields, desired, &entries),
    };
    prune::prune(&mut pruned, &entries, desired, FIELD_MANAGER);
    match applied {
        Ok(applied) if applied == pruned => Ok(applied),
        applied => match replace(writer, name, live, pruned).await {
            // What is desired is refused by itself: that answer is the right one.
            Err(error) if error.is_invalid() => applied,
            replaced => replaced,
        },
    }
}

/// The object after an apply, where the API server cannot be asked, or has to be asked about the pod first. Without the API
/// server's defaults.
pub(super) fn after_apply<K: Child>(
    writer: &Writer<'_>,
    live: &Live<K>,
    desired: &Value,
    reach: Reach,
) -> Value {
    let taken_over = live.taken_over(writer.server, desired, reach);
    let entries = taken_over.or_else(|| live.meta().managed_fields.clone());
    let entries = entries.unwrap_or_default();
    let mut after = overlay::overlaid(&live.fields, desired, &entries);
    prune::prune(&mut after, &entries, desired, FIELD_MANAGER);
    after["metadata"]["managedFields"] = json!(entries);
    after
}

/// The object as the API server would store it: with its defaults in place of the fields that were taken out.
async fn replace<K: Child>(
    writer: &Writer<'_>,
    name: &str,
    live: &Live<K>,
    after: Value,
) -> Result<Value, Error> {
    let body = Patch::Merge(replacement(live, &after));
    let patched = writer.api::<K>().patch(name, &patch_dry_run(), &body).await;
    Ok(serde_json::to_value(patched.map_err(Error::call("apply"))?)?)
}

/// The merge patch that makes an object what it is `after`. Its field owners stay.
pub(super) fn replacement<K: Child>(live: &Live<K>, after: &Value) -> Value {
    let mut body = merge_patch::between(&live.fields, after);
    body["metadata"] = merge_patch::between(&live.fields["metadata"], &after["metadata"]);
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    body["metadata"]["uid"] = json!(live.meta().uid);
    body["metadata"]["resourceVersion"] = json!(live.meta().resource_version);
    body
}
