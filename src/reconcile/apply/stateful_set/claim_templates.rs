//! The claim templates of a StatefulSet. They are immutable: a dry run can only be asked with the live ones, and the desired ones are
//! put into its answer.

use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::{Map, Value, json};

use super::super::child::asked;
use super::super::error::Error;
use super::super::live::Live;
use super::super::managed_fields::Reach;
use super::super::writer::Writer;
use super::super::{compare, predict};
use crate::api::names::{self, FIELD_MANAGER};

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

/// As [`merged`], without the API server: what it was asked about has the old claim templates, and a policy may refuse just that. With
/// the hash of the former spec, so that the first apply to the new StatefulSet makes the new fields ours.
pub(super) fn merged_here(
    writer: &Writer<'_>,
    live: &Live<StatefulSet>,
    desired: &Value,
    reach: Reach,
) -> Value {
    let mut merged = predict::after_apply(writer, live, desired, reach);
    let templates = |set: &Value| set["spec"]["volumeClaimTemplates"].clone();
    merged["spec"]["volumeClaimTemplates"] = self::templates(&templates(&live.fields), &templates(desired));
    merged["metadata"]["annotations"][names::APPLIED_HASH_ANNOTATION] = json!(asked(&live.fields));
    merged
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
    Ok(body.complete(merged))
}

/// A desired StatefulSet that a dry run can apply.
pub(in super::super) struct Body {
    pub(in super::super) desired: Value,
    /// Mounts of volumes that the live claim templates lack. The API server refuses a mount without a volume, so they are left
    /// out of the dry run. An empty volume in its place would be asked about too, and a policy may refuse that. Each comes
    /// with the path before it: another order would be another pod template.
    mounts: Vec<(Value, Value)>,
    /// The desired claim templates.
    templates: Value,
}

/// The desired StatefulSet with the claim templates of the live one.
pub(in super::super) fn with_live_templates(live: &Live<StatefulSet>, desired: &Value) -> Body {
    let templates = &live.fields["spec"]["volumeClaimTemplates"];
    let added = added(templates, &desired["spec"]["volumeClaimTemplates"]);
    let mut body = live.guarded(desired);
    let wanted = std::mem::replace(&mut body["spec"]["volumeClaimTemplates"], templates.clone());
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
        templates: wanted,
    }
}

impl Body {
    /// Whether other claim templates are desired than the live ones.
    pub(in super::super) fn has_other_templates(&self) -> bool {
        !compare::holds(&self.desired["spec"]["volumeClaimTemplates"], &self.templates)
    }

    /// The answer of the dry run, with the desired claim templates, and with the mounts that were left out, as our fields.
    pub(in super::super) fn complete(&self, mut merged: Value) -> Value {
        merged["spec"]["volumeClaimTemplates"] =
            templates(&merged["spec"]["volumeClaimTemplates"], &self.templates);
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
pub(super) fn templates(live: &Value, desired: &Value) -> Value {
    let live = live.as_array().map(Vec::as_slice).unwrap_or_default();
    let kept = |wanted: &Value| {
        let mut held = live.iter().filter(|template| compare::holds(template, wanted));
        held.next().unwrap_or(wanted).clone()
    };
    let desired = desired.as_array().into_iter().flatten();
    desired.map(kept).collect()
}
