//! Replaces a pod that keeps its StatefulSet from rolling out.
//!
//! A StatefulSet with the default pod management waits until its pod is ready before it replaces it. A pod that cannot become
//! ready, say of an image that does not exist, is so never replaced, not even by the spec that would mend it: Kubernetes
//! documents this as "forced rollback", by hand. Here it is done for the user: a pod of another revision than the one that is
//! wanted, and that is not ready, is deleted. It serves nobody, and the rollout would delete it anyway.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use std::sync::Arc;

use super::Step;
use super::write::Writer;
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::cluster::client::params::delete_unchanged;
use crate::domain::observed::Read;
use crate::domain::workload::{pods, rollout};

/// Deletes the pod of a StatefulSet if it stands in the way. `None` if there is nothing to do.
///
/// The UID and the resource version of the pod that was looked at are named. So a pod is deleted at most once, and never
/// one that has become ready in the meantime: then the API server refuses, and the change of the pod asks for another look.
pub(super) async fn replace(writer: &Writer<'_>, stateful_set: &Read<Arc<StatefulSet>>) -> Option<Step> {
    let name = names::pod(&writer.server.name_any());
    let Lookup::Found(pod) = writer.context.caches.pods.get(writer.namespace(), &name) else {
        return None;
    };
    let why = reason(stateful_set.found()?, &pod)?;
    let outcome = writer
        .replace_pod(&pod, &delete_unchanged(&pod.metadata), why)
        .await?;
    Some(Step {
        kind: "Pod",
        name,
        outcome,
    })
}

/// Why a pod is to be deleted, if it is.
fn reason(stateful_set: &StatefulSet, pod: &Pod) -> Option<String> {
    let wanted = rollout::update_revision(stateful_set)?;
    let present = rollout::revision(pod)?;
    let is_in_the_way = rollout::is_seen(stateful_set)
        && pods::is_of(pod, stateful_set)
        && rollout::replicas(stateful_set) > 0
        && rollout::is_automatic(stateful_set)
        && rollout::is_outdated(pod, stateful_set)
        && pod.metadata.deletion_timestamp.is_none()
        && !pods::is_ready(pod);
    is_in_the_way.then(|| {
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
        let why = judged(&json!({}), &json!({})).expect("it stands in the way");
        assert_eq!(
            why,
            "Deleted pod files-0 of revision files-a, which was not ready and kept revision files-b from being rolled out"
        );
        let without_status = json!({"status": {"conditions": []}});
        assert!(
            judged(&json!({}), &without_status).is_some(),
            "the kubelet has not said that it is ready"
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
                "a pod that is going",
                json!({}),
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            ),
            (
                "somebody else's pod",
                json!({}),
                json!({"metadata": {"ownerReferences": null}}),
            ),
            (
                "a template that the controller has not seen",
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
                "an update by hand",
                json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}}),
                json!({}),
            ),
        ];
        for (what, set, pod) in table {
            assert_eq!(judged(&set, &pod), None, "{what}");
        }
    }
}
