//! What an apply would do: its writes as dry runs, for `kubectl dittofs diff`.
//!
//! What an object would be is predicted with the API server's help (`predict.rs`). A patch or a delete is not sent: what it does is
//! known.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::Value;

use super::error::Error;
use super::immutable;
use super::live::{Child, Live};
use super::plan::Plan;
pub use super::plan::{Change, Planned};
use super::predict::{self, merge_patch};
use super::stateful_set::{claim_templates, pod_check};
use super::writer::{Preview, Write, Writer};

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
            let created = predict::create::<K>(writer, desired).await?;
            (Some(created), Some(Change::Create(desired.clone())))
        }
        Write::Apply { live, desired } => {
            let after = predict::apply(writer, name, live, desired).await?;
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
            let created = predict::create::<StatefulSet>(writer, manifest).await?;
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

/// Claim templates are immutable: a StatefulSet with others is created again, and its pod keeps running.
async fn recreate(writer: &Writer<'_>, name: &str, desired: &Value) -> Result<WouldBe, Error> {
    let live = writer.read::<StatefulSet>(name).await?.ok_or(Error::Raced)?;
    writer.check(&live)?;
    let body = claim_templates::with_live_templates(&live, desired);
    let after = body.complete(predict::apply(writer, name, &live, &body.desired).await?);
    pod_check::check(writer, &live, &after).await?;
    Ok(updated(&live, after, desired.clone()))
}
