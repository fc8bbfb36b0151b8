//! The StatefulSet that is saved while it is re-created.
//!
//! What other field managers set is only in the live StatefulSet. So it is saved in an annotation of the ConfigMap before the
//! StatefulSet is deleted, and the new one is created from that. An operator that is killed in between, or whose create is refused,
//! continues from there. The annotation is removed once the new StatefulSet exists and its fields have their owners again.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::super::child::asked;
use super::super::error::Error;
use super::super::kept_metadata::{KEPT_METADATA, owners_of_spec, restore_owners};
use super::super::live::{Child, Live, Written};
use super::super::managed_fields::Reach;
use super::super::predict;
use super::super::writer::{Write, Writer};
use super::super::{Applied, Outcome, Step};
use super::{claim_templates, pod_check};
use crate::api::names::{self, FIELD_MANAGER, RECREATE_FIELD_MANAGER};
use crate::cluster::client::params::{post, post_dry_run};
use crate::domain::observed::Read;
use crate::domain::volumes;

/// The saved StatefulSet with all of its fields, if it stands for one that does not exist.
pub(in super::super) fn standing_in(applied: &Applied) -> Result<Option<Live<StatefulSet>>, Error> {
    match applied.stateful_set.found() {
        Some(set) if volumes::is_saved(set) => in_annotation(applied).map(Live::parse).transpose(),
        _ => Ok(None),
    }
}

/// The text of the annotation as JSON. Text that is not JSON is `null`: it was not written by this operator.
fn in_annotation(applied: &Applied) -> Option<Value> {
    let config_map = applied.config_map.found()?;
    let text = config_map.annotations().get(names::RECREATE_ANNOTATION)?;
    Some(serde_json::from_str(text).unwrap_or_default())
}

/// The outcome for a StatefulSet that was saved and deleted, and is not gone yet.
pub(in super::super) fn waiting(applied: &Applied) -> Option<Outcome> {
    let live = applied.stateful_set.found()?;
    live.metadata.deletion_timestamp.as_ref()?;
    let is_saved = replaces(&in_annotation(applied)?, live);
    is_saved.then(|| recreating(&live.name_any(), Some(live)))
}

/// Whether the saved StatefulSet replaces this one.
fn replaces(saved: &Value, live: &StatefulSet) -> bool {
    saved["metadata"]["uid"].as_str() == live.metadata.uid.as_deref()
}

pub(super) fn recreating(name: &str, deleted: Option<&StatefulSet>) -> Outcome {
    let finalizers = deleted.map(StatefulSet::finalizers).unwrap_or_default().iter();
    let others: Vec<&str> = finalizers
        .map(String::as_str)
        .filter(|finalizer| *finalizer != "orphan")
        .collect();
    let waits = if others.is_empty() {
        String::new()
    } else {
        format!(" once these finalizers are removed: {}", others.join(", "))
    };
    Outcome::Recreating(format!(
        "StatefulSet {name} is re-created for other claim templates{waits}. Its pod keeps running"
    ))
}

/// The StatefulSet that will be created in the place of the live one, with the UID of that.
pub(super) fn successor(merged: &Value) -> Value {
    let mut set = merged.clone();
    if let Some(fields) = set.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = set["metadata"].as_object_mut() {
        metadata.retain(|key, _| KEPT_METADATA.contains(&key.as_str()));
    }
    set["metadata"]["managedFields"] = owners_of_spec(merged);
    set
}

/// Asks whether the API server would accept the create, while the live StatefulSet still exists.
pub(super) async fn ask(writer: &Writer<'_>, successor: &Value) -> Result<(), Error> {
    let mut manifest: DynamicObject = serde_json::from_value(successor.clone())?;
    manifest.metadata.uid = None;
    let asked = writer
        .api::<StatefulSet>()
        .create(&post_dry_run(), &manifest)
        .await;
    let freed = |resource: &str| {
        if resource.starts_with("count/statefulsets") {
            pod_check::ONE
        } else {
            0
        }
    };
    pod_check::judge(asked, "a dry run of its re-creation", Some(&freed))
}

/// Saves a StatefulSet that is about to be deleted.
pub(super) async fn save(
    writer: &Writer<'_>,
    config_map: &ConfigMap,
    successor: &Value,
) -> Result<(), Error> {
    let annotated = annotate(writer, config_map, json!(successor.to_string())).await?;
    let annotated = Live::<ConfigMap>::parse(serde_json::to_value(annotated)?)?;
    ConfigMap::clone(&annotated.object).remember(writer.context);
    Ok(())
}

/// Sets or removes the annotation.
async fn annotate(writer: &Writer<'_>, config_map: &ConfigMap, value: Value) -> Result<DynamicObject, Error> {
    let body = json!({"metadata": {
        "uid": config_map.metadata.uid,
        "annotations": {names::RECREATE_ANNOTATION: value},
    }});
    let params = PatchParams {
        field_manager: Some(RECREATE_FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let api = writer.api::<ConfigMap>();
    let patched = api
        .patch(&config_map.name_any(), &params, &Patch::Merge(&body))
        .await;
    patched.map_err(Error::call("update"))
}

/// Creates the StatefulSet from the saved one, as it would be after an apply of what is desired now.
pub(super) async fn create(
    writer: &Writer<'_>,
    name: &str,
    saved: &Live<StatefulSet>,
    desired: &Value,
) -> Result<Written<StatefulSet>, Error> {
    let manifest = accepted(writer, saved, desired).await?;
    let write = Write::CreateSaved {
        saved,
        manifest: &manifest,
    };
    match writer.send(name, write).await {
        Err(error) if error.is_already_exists() => Err(Error::Raced),
        created => Ok(Written {
            outcome: Outcome::Updated,
            object: created?,
        }),
    }
}

/// The StatefulSet to create. If the spec has changed since it was saved, the API server is asked whether it accepts the
/// StatefulSet and its pod: fields of other managers may have to be taken over, and the pod that runs must be kept otherwise.
pub(in super::super) async fn accepted(
    writer: &Writer<'_>,
    saved: &Live<StatefulSet>,
    desired: &Value,
) -> Result<Value, Error> {
    let first = manifest(writer, saved, desired, Reach::Copies)?;
    if asked(&saved.fields) == asked(desired) {
        return Ok(first);
    }
    let manifest = match predict::create::<StatefulSet>(writer, &first).await {
        Err(error) if error.is_invalid() => {
            let second = manifest(writer, saved, desired, Reach::Everyone)?;
            let asked = predict::create::<StatefulSet>(writer, &second).await;
            asked.map_err(|_| error)?;
            second
        }
        asked => asked.map(|_| first)?,
    };
    pod_check::check(writer, saved, &manifest).await?;
    Ok(manifest)
}

/// The StatefulSet that is created from a saved one.
///
/// If the spec has changed since it was saved, it has the hash of the former spec. So the next reconcile applies the new one, which
/// changes no field, and makes the new fields ours.
fn manifest(
    writer: &Writer<'_>,
    saved: &Live<StatefulSet>,
    desired: &Value,
    reach: Reach,
) -> Result<Value, Error> {
    let mut manifest = saved.fields.clone();
    if asked(&saved.fields) != asked(desired) {
        manifest = claim_templates::merged_here(writer, saved, desired, reach);
    }
    let sizes = volumes::template_sizes(writer.server, &serde_json::from_value(manifest.clone())?);
    manifest["metadata"]["annotations"][names::RECREATED_FOR_ANNOTATION] = json!(sizes);
    if let Some(metadata) = manifest["metadata"].as_object_mut() {
        metadata.remove("uid");
    }
    Ok(manifest)
}

/// Creates the StatefulSet. The create makes us the owner of every field; what others had set becomes theirs again.
pub(in super::super) async fn send(
    writer: &Writer<'_>,
    name: &str,
    saved: &Live<StatefulSet>,
    manifest: &Value,
) -> Result<DynamicObject, Error> {
    writer.confirm_server().await?;
    let manifest = serde_json::from_value(manifest.clone())?;
    let created = writer.api::<StatefulSet>().create(&post(), &manifest).await;
    let created = created.map_err(Error::call("create"))?;
    let uid = created.metadata.uid.as_deref();
    restore_owners::<StatefulSet>(writer, name, uid, &saved.fields["metadata"]["managedFields"]).await
}

/// Removes the saved StatefulSet if another one than the replaced exists by now. Whether that succeeded, or nothing is to be removed.
pub(super) async fn finish(writer: &Writer<'_>, applied: &mut Applied) -> bool {
    match (in_annotation(applied), applied.stateful_set.found()) {
        (Some(saved), Some(live)) if !replaces(&saved, live) => forget(writer, applied).await,
        _ => true,
    }
}

/// Removes the saved StatefulSet once there is one in the cluster. Whether that succeeded, or nothing is to be removed.
pub(super) async fn forget(writer: &Writer<'_>, applied: &mut Applied) -> bool {
    let (Some(saved), Read::Found(config_map), Read::Found(live)) = (
        in_annotation(applied),
        applied.config_map.clone(),
        applied.stateful_set.clone(),
    ) else {
        return true;
    };
    if volumes::is_saved(&live) || live.metadata.deletion_timestamp.is_some() {
        return true;
    }
    let name = config_map.name_any();
    let write = Write::ForgetSaved {
        config_map: &config_map,
        saved: &saved,
        live: &live,
    };
    match writer.send::<ConfigMap>(&name, write).await {
        Ok(annotated) => {
            applied.config_map = annotated.map_or(Read::Found(config_map), Read::Found);
            true
        }
        Err(Error::Stopped(_)) => true,
        Err(error) => {
            applied.steps.push(Step {
                kind: ConfigMap::KIND,
                name,
                outcome: error.into(),
            });
            false
        }
    }
}

/// Removes the annotation. If the operator was killed after the create, the fields do not have their owners yet.
pub(in super::super) async fn send_forget(
    writer: &Writer<'_>,
    config_map: &ConfigMap,
    saved: &Value,
    live: &StatefulSet,
) -> Result<DynamicObject, Error> {
    if !replaces(saved, live) && was_only_created(live) {
        let entries = &saved["metadata"]["managedFields"];
        let uid = live.metadata.uid.as_deref();
        restore_owners::<StatefulSet>(writer, &live.name_any(), uid, entries).await?;
    }
    annotate(writer, config_map, Value::Null).await
}

/// Whether this operator has created a StatefulSet from a saved one, and no more.
fn was_only_created(live: &StatefulSet) -> bool {
    let is_create = |entry: &ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Update")
            && entry.subresource.is_none()
    };
    let entries = live.metadata.managed_fields.as_deref().unwrap_or_default();
    live.annotations().contains_key(names::RECREATED_FOR_ANNOTATION) && entries.iter().any(is_create)
}
