//! The writes by which volumes grow.
//!
//! A claim asks for its new size in place. The claim templates of a StatefulSet are immutable, so it is deleted with its
//! pod orphaned, and made again with the new templates and otherwise as it was; the pod is adopted and runs on.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{DeleteParams, Patch, PropagationPolicy};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::write::{Error, Writer, Written, stamped};
use super::{Outcome, compare};
use crate::cluster::client::params::{delete_exactly, delete_unchanged, dry_apply, patch_params, post};
use crate::reconcile::observe::claim_request;

/// How long a reconcile waits for the garbage collector to orphan the pod. It takes a moment; if it takes longer, the end
/// of the StatefulSet triggers the next reconcile, which makes the new one.
const ORPHANED_WITHIN: Duration = Duration::from_secs(10);
/// How often a StatefulSet is looked at that changes before it can be deleted.
const LOOKS: u8 = 5;
/// Pause between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whether a StatefulSet has other claim templates than it should.
pub(super) fn templates_differ(live: &StatefulSet, desired: &StatefulSet) -> Result<bool, serde_json::Error> {
    let templates = |set: &StatefulSet| {
        serde_json::to_value(
            set.spec
                .as_ref()
                .and_then(|spec| spec.volume_claim_templates.as_ref()),
        )
    };
    Ok(!compare::holds(&templates(live)?, &templates(desired)?))
}

impl Writer<'_> {
    /// Asks for a larger claim.
    pub(super) async fn grow(&self, claim: &PersistentVolumeClaim, size: &str) -> Outcome {
        if self.is_paused {
            return Outcome::Withheld;
        }
        let body = Patch::Merge(claim_request(claim, size));
        let api = self.api::<PersistentVolumeClaim>();
        match api.patch(&claim.name_any(), &patch_params(), &body).await {
            Ok(grown) => {
                self.context.caches.claims.wrote(grown);
                Outcome::Updated
            }
            Err(error) => Error::call("grow")(error).into(),
        }
    }

    /// Gives a StatefulSet other claim templates.
    pub(super) async fn replace(&self, name: &str, desired: StatefulSet) -> Written<StatefulSet> {
        Box::pin(self.try_replace(name, desired))
            .await
            .unwrap_or_else(|error| Written::without(self.failed(error)))
    }

    async fn try_replace(&self, name: &str, desired: StatefulSet) -> Result<Written<StatefulSet>, Error> {
        if self.is_paused {
            return Ok(Written::without(Outcome::Withheld));
        }
        self.confirm_server().await?;
        let (api, desired) = (self.api::<StatefulSet>(), stamped(desired)?);
        let merged = match self.orphan_merged(&api, name, &desired).await? {
            Ok(merged) => merged,
            Err(outcome) => return Ok(Written::without(outcome)),
        };
        if !is_gone(&api, name).await? {
            return Ok(Written::without(Outcome::Terminating));
        }
        let made = api
            .create(&post(), &like(&merged, &desired)?)
            .await
            .map_err(Error::call("create"))?;
        let made = keep_field_owners(&api, &made, &merged).await?;
        self.context.caches.stateful_sets.wrote(made.clone());
        Ok(Written::of(Outcome::Updated, made))
    }

    /// Deletes the StatefulSet and leaves its pod; gives what it would have become by an apply. Its status may change between
    /// the two, and a change of anything else would be lost: then it is looked at again.
    async fn orphan_merged(
        &self,
        api: &Api<StatefulSet>,
        name: &str,
        desired: &Value,
    ) -> Result<Result<StatefulSet, Outcome>, Error> {
        for _ in 0..LOOKS {
            let live = api.get(name).await.map_err(Error::call("read"))?;
            if let Some(outcome) = self.refusal(&live) {
                return Ok(Err(outcome));
            }
            self.take_over_fields(api, &live).await?;
            let merged = merged(api, name, &live, desired).await?;
            if orphan(api, name, &merged).await? {
                return Ok(Ok(merged));
            }
        }
        Ok(Err(Error::Raced.into()))
    }

    /// Deletes a pod to which its StatefulSet cannot add a volume.
    pub(super) async fn restart(&self, pod: &Pod) -> Outcome {
        let why = format!(
            "Deleted pod {}, which runs without a volume that was added: only a new one can mount it",
            pod.name_any()
        );
        let replaced = self.replace_pod(pod, &delete_exactly(&pod.metadata), why).await;
        replaced.unwrap_or(Outcome::Unchanged)
    }
}

/// What the live StatefulSet would be after an ordinary apply: what others added to it stays (a restart by `kubectl
/// rollout restart`, a mesh), or its pod would restart. The API server says so in a dry run.
///
/// It refuses a mount without volume, so a volume that the live templates lack has an empty one in its place meanwhile.
pub(super) async fn merged(
    api: &Api<StatefulSet>,
    name: &str,
    live: &StatefulSet,
    desired: &Value,
) -> Result<StatefulSet, Error> {
    let templates = serde_json::to_value(live)?["spec"]["volumeClaimTemplates"].take();
    let added = added(&templates, &desired["spec"]["volumeClaimTemplates"]);
    let mut body = desired.clone();
    body["metadata"]["uid"] = json!(live.metadata.uid);
    body["spec"]["volumeClaimTemplates"] = templates;
    if let Some(volumes) = body["spec"]["template"]["spec"]["volumes"].as_array_mut() {
        volumes.extend(added.iter().map(|name| json!({"name": name, "emptyDir": {}})));
    }
    let mut merged = api
        .patch(name, &dry_apply(), &Patch::Apply(&body))
        .await
        .map_err(Error::call("apply"))?;
    let pod = merged.spec.as_mut().and_then(|spec| spec.template.spec.as_mut());
    if let Some(volumes) = pod.and_then(|pod| pod.volumes.as_mut()) {
        volumes.retain(|volume| !added.contains(&volume.name));
    }
    Ok(merged)
}

/// The names of the desired claim templates that are not among the live ones.
fn added(live: &Value, desired: &Value) -> Vec<String> {
    let names = |templates: &Value| -> Vec<String> {
        let templates = templates.as_array().map(Vec::as_slice).unwrap_or_default();
        templates
            .iter()
            .filter_map(|template| template["metadata"]["name"].as_str().map(str::to_owned))
            .collect()
    };
    let live = names(live);
    let mut desired = names(desired);
    desired.retain(|name| !live.contains(name));
    desired
}

/// Deletes it and leaves its pod, if it is as it was when it was merged. Whether it was.
async fn orphan(api: &Api<StatefulSet>, name: &str, merged: &StatefulSet) -> Result<bool, Error> {
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..delete_unchanged(&merged.metadata)
    };
    match api.delete(name, &params).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(Error::call("delete")(error)),
    }
}

async fn is_gone(api: &Api<StatefulSet>, name: &str) -> Result<bool, Error> {
    let gone = async {
        while api
            .get_metadata_opt(name)
            .await
            .map_err(Error::call("read"))?
            .is_some()
        {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    match tokio::time::timeout(ORPHANED_WITHIN, gone).await {
        Ok(result) => result.map(|()| true),
        Err(_) => Ok(false),
    }
}

/// A new StatefulSet like the merged one, with the desired templates.
fn like(merged: &StatefulSet, desired: &Value) -> Result<StatefulSet, Error> {
    let mut set = merged.clone();
    let metadata = &merged.metadata;
    set.status = None;
    set.metadata = kube::api::ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        labels: metadata.labels.clone(),
        annotations: metadata.annotations.clone(),
        owner_references: metadata.owner_references.clone(),
        managed_fields: Some(owners_of_spec(merged)),
        ..kube::api::ObjectMeta::default()
    };
    if let Some(spec) = &mut set.spec {
        spec.volume_claim_templates =
            serde_json::from_value(desired["spec"]["volumeClaimTemplates"].clone())?;
    }
    Ok(set)
}

/// The create made every field ours too; what others had added is theirs alone again.
async fn keep_field_owners(
    api: &Api<StatefulSet>,
    made: &StatefulSet,
    merged: &StatefulSet,
) -> Result<StatefulSet, Error> {
    let body = json!({"metadata": {
        "uid": made.metadata.uid,
        "managedFields": owners_of_spec(merged),
    }});
    api.patch(&made.name_any(), &patch_params(), &Patch::Merge(&body))
        .await
        .map_err(Error::call("apply"))
}

/// Who owns which field, but for the status. Sent with the create as well: a kill before the patch must not make everything
/// ours, or our next apply would drop what others had added.
fn owners_of_spec(merged: &StatefulSet) -> Vec<ManagedFieldsEntry> {
    let entries = merged.managed_fields().iter();
    entries
        .filter(|entry| entry.subresource.is_none())
        .cloned()
        .collect()
}
