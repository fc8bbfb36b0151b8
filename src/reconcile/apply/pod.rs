//! The pod: it is deleted if only a new one can have what is desired. Its StatefulSet then creates the new one.
//!
//! One case is a pod that blocks a rollout. A StatefulSet with the default pod management waits until its pod is ready before it
//! replaces it. So a pod that cannot become ready, for example because its image does not exist, is never replaced, not even if
//! the spec is corrected. Kubernetes documents this as "forced rollback", to be resolved manually. Here it is resolved for
//! the user: a pod that is not ready, and has another revision than the desired one, is deleted. It serves no client, and the
//! rollout would delete it anyway.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;

use super::child::Child;
use super::writer::{Write, Writer};
use super::{Applied, Outcome, Step};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::cluster::client::params::{delete_exactly, delete_unchanged};
use crate::domain::observed::Observed;
use crate::domain::ownership::{Owner, owner};
use crate::domain::volumes;
use crate::domain::workload::{pods, rollout};
use crate::reconcile::context::Context;

impl Child for Pod {
    const KIND: &'static str = "Pod";

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.pods.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.pods.wrote(self);
    }
}

/// Deletes the pod of a StatefulSet if it blocks a rollout.
///
/// The delete names the UID and the resource version of the pod that was read. So a pod is deleted at most once, and never
/// one that has become ready in the meantime: then the API server refuses, and the change of the pod triggers a reconcile.
pub(super) async fn replace_stuck(writer: &Writer<'_>, applied: &mut Applied) {
    let name = names::pod(&writer.server.name_any());
    let Lookup::Found(pod) = Pod::lookup(writer.context, writer.namespace(), &name) else {
        return;
    };
    let stateful_set = applied.stateful_set.found();
    if let Some(why) = stateful_set.and_then(|stateful_set| reason(stateful_set, &pod)) {
        delete(writer, applied, &pod, &delete_unchanged(&pod.metadata), why).await;
    }
}

/// Deletes a pod to which its StatefulSet cannot add a volume.
pub(super) async fn replace_without_volume(writer: &Writer<'_>, applied: &mut Applied, observed: &Observed) {
    let Some(stateful_set) = applied.stateful_set.found().map(Arc::clone) else {
        return;
    };
    if owner(&stateful_set.metadata, writer.server) != Owner::Us {
        return;
    }
    if let Some(pod) = volumes::pod_without_volume(observed, &stateful_set) {
        let why = format!(
            "Deleted pod {}, which runs without a volume that was added: only a new pod can mount it",
            pod.name_any()
        );
        delete(writer, applied, pod, &delete_exactly(&pod.metadata), why).await;
    }
}

/// Deletes the pod that `params` name. There is no step if it is gone, or has changed since it was read.
async fn delete(writer: &Writer<'_>, applied: &mut Applied, pod: &Pod, params: &DeleteParams, why: String) {
    let name = pod.name_any();
    let outcome = match writer.send::<Pod>(&name, Write::Delete { params }).await {
        Ok(_) => Outcome::Replaced(why),
        Err(error) if matches!(error.code(), Some(404 | 409)) => return,
        Err(error) => error.into(),
    };
    applied.steps.push(Step {
        kind: Pod::KIND,
        name,
        outcome,
    });
}

/// Why a pod must be deleted, if it must.
fn reason(stateful_set: &StatefulSet, pod: &Pod) -> Option<String> {
    let wanted = rollout::update_revision(stateful_set)?;
    let present = rollout::revision(pod)?;
    let is_blocking = rollout::is_seen(stateful_set)
        && pods::is_of(pod, stateful_set)
        && rollout::replicas(stateful_set) > 0
        && rollout::is_automatic(stateful_set)
        && rollout::is_outdated(pod, stateful_set)
        && pod.metadata.deletion_timestamp.is_none()
        && !pods::is_ready(pod);
    is_blocking.then(|| {
        format!("Deleted pod {} of revision {present}, which was not ready and kept revision {wanted} from being rolled out", pod.name_any())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::testing;

    /// A StatefulSet in the middle of a rollout to `files-b`, and its pod of `files-a`, each with changes.
    fn judged(set: &Value, pod: &Value) -> Option<String> {
        let mut stateful_set = json!({
            "metadata": {"uid": "s1", "generation": 2},
            "spec": {"replicas": 1, "serviceName": "files-headless", "selector": {}, "template": {},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}},
            "status": {"replicas": 1, "observedGeneration": 2, "updateRevision": "files-b"},
        });
        let mut stuck = json!({
            "metadata": {
                "name": "files-0", "labels": {"controller-revision-hash": "files-a"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "files", "uid": "s1", "controller": true}],
            },
            "status": {"conditions": [{"type": "Ready", "status": "False"}]},
        });
        testing::merge(&mut stateful_set, set);
        testing::merge(&mut stuck, pod);
        let read = |value| serde_json::from_value(value);
        reason(
            &read(stateful_set).expect("a StatefulSet"),
            &serde_json::from_value(stuck).expect("a pod"),
        )
    }

    #[test]
    fn a_pod_of_another_revision_that_is_not_ready_is_deleted() {
        let why = judged(&json!({}), &json!({})).expect("it blocks the rollout");
        assert_eq!(
            why,
            "Deleted pod files-0 of revision files-a, which was not ready and kept revision files-b from being rolled out"
        );
        let without_status = json!({"status": {"conditions": []}});
        assert!(
            judged(&json!({}), &without_status).is_some(),
            "the kubelet has not reported it as ready"
        );
    }

    #[test]
    fn every_other_pod_is_left_alone() {
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let table = [
            ("a ready pod", json!({}), ready),
            (
                "a pod of the wanted revision",
                json!({}),
                json!({"metadata": {"labels": {"controller-revision-hash": "files-b"}}}),
            ),
            (
                "a pod without revision",
                json!({}),
                json!({"metadata": {"labels": null}}),
            ),
            (
                "a pod that is being deleted",
                json!({}),
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            ),
            (
                "a pod of another owner",
                json!({}),
                json!({"metadata": {"ownerReferences": null}}),
            ),
            (
                "a template that the controller has not observed",
                json!({"status": {"observedGeneration": 1}}),
                json!({}),
            ),
            (
                "a revision without name",
                json!({"status": {"updateRevision": null}}),
                json!({}),
            ),
            ("a stopped server", json!({"spec": {"replicas": 0}}), json!({})),
            (
                "a partition",
                json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}}),
                json!({}),
            ),
            (
                "a manual update",
                json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}}),
                json!({}),
            ),
        ];
        for (what, set, pod) in table {
            assert_eq!(judged(&set, &pod), None, "{what}");
        }
    }
}
