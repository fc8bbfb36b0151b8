//! Other claim templates for a StatefulSet.
//!
//! Claim templates are immutable. So the StatefulSet is deleted without its pod (orphaning), and created again with the new
//! templates and otherwise as it was. The new StatefulSet adopts the pod, which keeps running.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{DeleteParams, DynamicObject, Patch, PropagationPolicy};
use kube::{Api, ResourceExt};
use serde_json::{Map, Value, json};

use super::super::error::Error;
use super::super::live::Live;
use super::super::managed_fields::Reach;
use super::super::writer::Writer;
use super::super::{Outcome, compare};
use crate::api::names::{self, FIELD_MANAGER};
use crate::cluster::client::params::{delete_unchanged, patch_params, post};

/// How long a reconcile waits until the garbage collector has orphaned the pod. It takes a moment; if it takes longer, the end
/// of the StatefulSet triggers the next reconcile, which creates the new one.
const ORPHANED_WITHIN: Duration = Duration::from_secs(10);
/// How often a StatefulSet is read again that changes before it can be deleted.
const ATTEMPTS: u8 = 5;
/// Pause between two reads of it.
const READ_AGAIN: Duration = Duration::from_millis(50);

/// Whether a StatefulSet has other claim templates than it should.
pub(in super::super) fn templates_differ(
    live: &StatefulSet,
    desired: &StatefulSet,
) -> Result<bool, serde_json::Error> {
    let templates = |set: &StatefulSet| {
        let spec = set.spec.as_ref();
        serde_json::to_value(spec.and_then(|spec| spec.volume_claim_templates.as_ref()))
    };
    Ok(!compare::holds(&templates(live)?, &templates(desired)?))
}

/// Deletes a StatefulSet without its pod, and creates it with the desired claim templates.
pub(in super::super) async fn recreate(
    writer: &Writer<'_>,
    name: &str,
    desired: &Value,
) -> Result<DynamicObject, Error> {
    let api = writer.api::<StatefulSet>();
    let merged = orphan_merged(writer, name, desired).await?;
    if !is_gone(&api, name).await? {
        return Err(Error::Stopped(Outcome::Terminating));
    }
    let made = api.create(&post(), &like(&merged, desired)?).await;
    let made = made.map_err(Error::call("create"))?;
    keep_field_owners(&api, &made, &merged).await
}

/// Deletes the StatefulSet without its pod. Returns what it would have become by an apply. It may change between the two, and
/// that change would be lost; then it is read again.
async fn orphan_merged(writer: &Writer<'_>, name: &str, desired: &Value) -> Result<Value, Error> {
    let mut reach = Reach::Copies;
    for _ in 0..ATTEMPTS {
        let live = writer.read::<StatefulSet>(name).await?.ok_or(Error::Raced)?;
        writer.check(&live)?;
        writer.take_over_fields(name, &live, reach).await?;
        let merged = match merged(writer, name, &live, desired).await {
            Err(error) if error.is_invalid() && reach == Reach::Copies => {
                reach = Reach::Everyone;
                continue;
            }
            merged => merged?,
        };
        if orphan(&writer.api::<StatefulSet>(), name, &merged).await? {
            return Ok(merged);
        }
    }
    Err(Error::Raced)
}

/// What the live StatefulSet would be after an apply that leaves its claim templates. Fields that others set stay (a restart by
/// `kubectl rollout restart`, a mesh), or its pod would restart.
pub(in super::super) async fn merged(
    writer: &Writer<'_>,
    name: &str,
    live: &Live<StatefulSet>,
    desired: &Value,
) -> Result<Value, Error> {
    let body = with_live_templates(live, desired);
    let merged = writer.try_apply::<StatefulSet>(name, &body.desired).await?;
    Ok(body.with_mounts(merged))
}

/// A desired StatefulSet that a dry run can apply.
pub(in super::super) struct Body {
    pub(in super::super) desired: Value,
    /// Mounts of volumes that the live claim templates lack. The API server refuses a mount without a volume, so they are left
    /// out of the dry run. An empty volume in its place would be asked about too, and a policy may refuse that. Each comes
    /// with the path before it: another order would be another pod template.
    mounts: Vec<(Value, Value)>,
}

/// The desired StatefulSet with the claim templates of the live one.
pub(in super::super) fn with_live_templates(live: &Live<StatefulSet>, desired: &Value) -> Body {
    let templates = &live.fields["spec"]["volumeClaimTemplates"];
    let added = added(templates, &desired["spec"]["volumeClaimTemplates"]);
    let mut body = desired.clone();
    body["metadata"]["uid"] = json!(live.meta().uid);
    body["spec"]["volumeClaimTemplates"] = templates.clone();
    let mut mounts = Vec::new();
    if let Some(mounted) = mounts_mut(&mut body) {
        let is_added = |mount: &Value| added.iter().any(|name| mount["name"] == name.as_str());
        let mut before = Value::Null;
        for mount in mounted.iter() {
            let previous = std::mem::replace(&mut before, mount["mountPath"].clone());
            if is_added(mount) {
                mounts.push((previous, mount.clone()));
            }
        }
        mounted.retain(|mount| !is_added(mount));
    }
    Body {
        desired: body,
        mounts,
    }
}

impl Body {
    /// The answer of the dry run, with the mounts that were left out, as our fields.
    pub(in super::super) fn with_mounts(&self, mut merged: Value) -> Value {
        if self.mounts.is_empty() {
            return merged;
        }
        if let Some(mounted) = mounts_mut(&mut merged) {
            for (before, mount) in &self.mounts {
                let position = mounted.iter().position(|mount| mount["mountPath"] == *before);
                mounted.insert(position.map_or(0, |position| position + 1), mount.clone());
            }
        }
        let entries = merged["metadata"]["managedFields"].as_array_mut();
        for entry in entries.into_iter().flatten() {
            if entry["manager"] == FIELD_MANAGER
                && entry["operation"] == "Apply"
                && entry["subresource"].is_null()
            {
                own_mounts(&mut entry["fieldsV1"], &self.mounts);
            }
        }
        merged
    }
}

/// The mounts of the server's container.
fn mounts_mut(stateful_set: &mut Value) -> Option<&mut Vec<Value>> {
    let containers = stateful_set
        .pointer_mut("/spec/template/spec/containers")?
        .as_array_mut()?;
    let mut containers = containers.iter_mut();
    let container = containers.find(|container| container["name"] == names::CONTAINER)?;
    container["volumeMounts"].as_array_mut()
}

fn own_mounts(fields: &mut Value, mounts: &[(Value, Value)]) {
    let container = format!("k:{{\"name\":\"{}\"}}", names::CONTAINER);
    let list = &mut fields["f:spec"]["f:template"]["f:spec"]["f:containers"][container]["f:volumeMounts"];
    for (_, mount) in mounts {
        let owned = mount
            .as_object()
            .into_iter()
            .flatten()
            .map(|(field, _)| (format!("f:{field}"), json!({})));
        let mut owned: Map<String, Value> = owned.collect();
        owned.insert(".".to_owned(), json!({}));
        list[format!("k:{{\"mountPath\":{}}}", mount["mountPath"])] = Value::Object(owned);
    }
}

/// The names of the desired claim templates that are not among the live ones.
fn added(live: &Value, desired: &Value) -> Vec<String> {
    let names = |templates: &Value| -> Vec<String> {
        let templates = templates.as_array().into_iter().flatten();
        templates
            .filter_map(|template| template["metadata"]["name"].as_str().map(str::to_owned))
            .collect()
    };
    let live = names(live);
    let mut desired = names(desired);
    desired.retain(|name| !live.contains(name));
    desired
}

/// The desired claim templates. One that is live already is returned as the API server has it, with its defaults.
pub(in super::super) fn templates(live: &Value, desired: &Value) -> Value {
    let of = |set: &Value| {
        let templates = set["spec"]["volumeClaimTemplates"].as_array();
        templates.cloned().unwrap_or_default()
    };
    let live = of(live);
    let kept = |wanted: Value| {
        let mut held = live.iter().filter(|template| compare::holds(template, &wanted));
        held.next().cloned().unwrap_or(wanted)
    };
    of(desired).into_iter().map(kept).collect()
}

/// Deletes it without its pod, if it is as it was when it was merged. Whether it was.
async fn orphan(api: &Api<DynamicObject>, name: &str, merged: &Value) -> Result<bool, Error> {
    let metadata = serde_json::from_value(merged["metadata"].clone())?;
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..delete_unchanged(&metadata)
    };
    match api.delete(name, &params).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(Error::call("delete")(error)),
    }
}

async fn is_gone(api: &Api<DynamicObject>, name: &str) -> Result<bool, Error> {
    let gone = async {
        loop {
            let live = api.get_metadata_opt(name).await.map_err(Error::call("read"))?;
            if live.is_none() {
                return Ok(());
            }
            tokio::time::sleep(READ_AGAIN).await;
        }
    };
    match tokio::time::timeout(ORPHANED_WITHIN, gone).await {
        Ok(result) => result.map(|()| true),
        Err(_) => Ok(false),
    }
}

/// Metadata that an object keeps when it is created again.
pub(in super::super) const KEPT_METADATA: [&str; 5] =
    ["name", "namespace", "labels", "annotations", "ownerReferences"];

/// A new StatefulSet like the merged one, with the desired templates.
fn like(merged: &Value, desired: &Value) -> Result<DynamicObject, Error> {
    let mut set = merged.clone();
    if let Some(fields) = set.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = set["metadata"].as_object_mut() {
        metadata.retain(|key, _| KEPT_METADATA.contains(&key.as_str()));
    }
    set["metadata"]["managedFields"] = owners_of_spec(merged);
    set["spec"]["volumeClaimTemplates"] = desired["spec"]["volumeClaimTemplates"].clone();
    Ok(serde_json::from_value(set)?)
}

/// The create made us the owner of every field. What others had set becomes theirs again.
pub(in super::super) async fn keep_field_owners(
    api: &Api<DynamicObject>,
    made: &DynamicObject,
    merged: &Value,
) -> Result<DynamicObject, Error> {
    let body = json!({"metadata": {
        "uid": made.metadata.uid,
        "managedFields": owners_of_spec(merged),
    }});
    let patched = api
        .patch(&made.name_any(), &patch_params(), &Patch::Merge(&body))
        .await;
    patched.map_err(Error::call("apply"))
}

/// Who owns which field, without the status. Sent with the create as well: if the operator is killed before the patch, not
/// every field must become ours, or our next apply would remove what others had set.
fn owners_of_spec(merged: &Value) -> Value {
    let entries = merged["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten();
    entries
        .filter(|entry| entry["subresource"].is_null())
        .cloned()
        .collect()
}
