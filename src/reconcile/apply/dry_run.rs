//! What an apply would do: its writes as dry runs, for `kubectl dittofs diff`.
//!
//! Defaults, fields of others, quotas and webhooks are in the API server's answers. Two things are computed here instead. An
//! apply first takes over fields (`managed_fields.rs`), which no dry run can do; so these are taken out of the object here
//! (`dry_run/prune.rs`), and the API server is asked about the result. And a patch or a delete is not sent: what it does is known.

pub mod merge_patch;
pub(super) mod overlay;
mod prune;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{DynamicObject, Patch};
use serde_json::{Value, json};

use super::error::Error;
use super::immutable;
use super::live::{Child, Live};
use super::managed_fields::Reach;
use super::plan::Plan;
pub use super::plan::{Change, Planned};
use super::stateful_set::{pod_check, recreate};
use super::writer::{Preview, Write, Writer};
use crate::api::names::FIELD_MANAGER;
use crate::cluster::client::params::{patch_dry_run, post_dry_run};

/// The object that a write would leave, and how that is shown.
type WouldBe = (Option<Value>, Option<Change>);

/// Asks what a write would do, and keeps the answer in the plan. Returns the object that would exist afterwards, if that is known.
pub(super) async fn add<K: Child>(
    plan: &Plan,
    writer: &Writer<'_>,
    name: &str,
    write: Write<'_, K>,
) -> Result<Option<Arc<K>>, Error> {
    let (object, change) = would_be(writer, name, write).await?;
    if let Some(change) = change {
        plan.push(Planned {
            kind: K::KIND,
            name: name.to_owned(),
            change,
        });
    }
    let parsed = object.map(Live::<K>::parse).transpose()?;
    Ok(parsed.map(|live| live.object))
}

async fn would_be<K: Child>(writer: &Writer<'_>, name: &str, write: Write<'_, K>) -> Result<WouldBe, Error> {
    Ok(match write {
        // Nothing is asked about Secrets: their values must not leave this process.
        Write::Create { .. } if K::IS_CONFIDENTIAL => (
            None,
            Some(Change::Other(
                "would be generated; its values are not shown".into(),
            )),
        ),
        Write::Create { desired } => {
            let created = create::<K>(writer, desired).await?;
            (Some(created), Some(Change::Create(desired.clone())))
        }
        Write::Apply { live, desired } => {
            let after = apply(writer, name, live, desired).await?;
            updated(live, after, desired.clone())
        }
        Write::Replace { live, desired } => updated(live, immutable::merged(live, desired), desired.clone()),
        Write::Patch {
            preview: Preview::Words(words),
            ..
        } => (None, Some(Change::Other(words))),
        Write::Patch {
            body,
            preview: Preview::Object(live),
            ..
        } => {
            let mut after = live.fields.clone();
            merge_patch::merge(&mut after, &body);
            updated(live, after, body)
        }
        Write::Delete { .. } => (None, Some(Change::Delete)),
        Write::Ask { live, desired } => {
            writer.ask(name, live, desired).await?;
            (None, None)
        }
        Write::AskForPod { pod, old } => {
            pod_check::ask(writer, pod, old).await?;
            (None, None)
        }
        Write::Recreate { desired, .. } => recreate(writer, name, desired).await?,
        Write::CreateSaved { saved, manifest } => {
            let created = create::<StatefulSet>(writer, manifest).await?;
            updated(saved, created, manifest.clone())
        }
        // Only this operator reads the annotation.
        Write::ForgetSaved { .. } => (None, None),
    })
}

fn updated<K>(live: &Live<K>, after: Value, desired: Value) -> WouldBe {
    let change = Change::Update {
        before: live.fields.clone(),
        after: after.clone(),
        desired,
    };
    (Some(after), Some(change))
}

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
    let mut body = desired.clone();
    body["metadata"]["uid"] = json!(live.meta().uid);
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

/// Claim templates are immutable: a StatefulSet with others is created again, and its pod keeps running.
async fn recreate(writer: &Writer<'_>, name: &str, desired: &Value) -> Result<WouldBe, Error> {
    let live = writer.read::<StatefulSet>(name).await?.ok_or(Error::Raced)?;
    writer.check(&live)?;
    let body = recreate::with_live_templates(&live, desired);
    let after = body.complete(apply(writer, name, &live, &body.desired).await?);
    pod_check::check(writer, &live, &after).await?;
    Ok(updated(&live, after, desired.clone()))
}
