//! The pod that blocks the rollout of its StatefulSet.
//!
//! A StatefulSet with the default pod management waits until its pod is ready before it replaces it. So a pod that cannot become
//! ready, for example of an image that does not exist, is never replaced, not even by the spec that would fix it: Kubernetes documents
//! a manual "forced rollback" for that. The operator does it for the user: it deletes a pod of another revision than the wanted one that
//! is not ready. The pod serves nobody, and the rollout would delete it anyway.
//!
//! A pod that is only starting is not deleted: it is within its startup budget, and nothing is wrong with its image, its containers, its
//! volumes or its node. A start may take long, for example because the server migrates its database, and must not be interrupted by
//! each edit.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use super::{pods, rollout};
use crate::domain::observed::Observed;

/// How long a pod may start: the failures that the startup probe allows, times its period (`desired::probes`).
const STARTUP_BUDGET: SignedDuration = SignedDuration::from_secs(150);
/// Reasons of the kubelet for a container that is being created.
const CREATING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// Why a pod must be deleted, if it must.
#[must_use]
pub fn reason(stateful_set: &StatefulSet, pod: &Pod, now: Timestamp) -> Option<String> {
    let wanted = rollout::update_revision(stateful_set)?;
    let present = rollout::revision(pod)?;
    (blocks(stateful_set, pod) && starts_for(pod, now).is_none()).then(|| {
        format!(
            "Deleted pod {} of revision {present}, which was not ready and blocked the rollout of revision {wanted}",
            pod.name_any()
        )
    })
}

/// The time until a pod that blocks a rollout is no longer only starting. Then the server must be reconciled again.
#[must_use]
pub fn recheck_in(observed: &Observed) -> Option<Duration> {
    let stateful_set = observed.stateful_set.found()?;
    let mut pods = observed.pods.found()?.iter();
    let pod = pods.find(|pod| blocks(stateful_set, pod))?;
    starts_for(pod, observed.at)
}

fn blocks(stateful_set: &StatefulSet, pod: &Pod) -> bool {
    rollout::is_seen(stateful_set)
        && pods::is_of(pod, stateful_set)
        && rollout::replicas(stateful_set) > 0
        && rollout::is_automatic(stateful_set)
        && rollout::is_outdated(pod, stateful_set)
        && pod.metadata.deletion_timestamp.is_none()
        && !pods::is_ready(pod)
}

/// How much longer a pod may be only starting. `None` if it is not: its time is over, it has started, or something is wrong with it.
pub(crate) fn starts_for(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let status = pod.status.as_ref()?;
    let is_unscheduled = pods::condition(pod, "PodScheduled").is_some_and(|(status, _)| status == "False");
    let has_failed = status.phase.as_deref() == Some("Failed");
    let init = status.init_container_statuses.iter().flatten();
    let main = status.container_statuses.iter().flatten();
    if is_unscheduled || has_failed || init.chain(main.clone()).any(is_faulty) {
        return None;
    }
    let running = || {
        main.clone()
            .filter_map(|container| container.state.as_ref()?.running.as_ref())
    };
    let count = main.clone().count();
    if count > 0 && main.clone().all(|container| container.started == Some(true)) {
        return None;
    }
    let begun = running()
        .filter_map(|running| running.started_at.as_ref())
        .map(|time| time.0);
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let since = begun.max().max(created)?;
    let left = Duration::try_from(STARTUP_BUDGET - now.duration_since(since)).ok()?;
    (!left.is_zero()).then_some(left)
}

/// Whether something is wrong with a container: it was restarted, has failed, or cannot be created.
fn is_faulty(container: &ContainerStatus) -> bool {
    let Some(state) = &container.state else {
        return container.restart_count > 0;
    };
    let waiting = state
        .waiting
        .as_ref()
        .and_then(|waiting| waiting.reason.as_deref());
    let has_failed = state
        .terminated
        .as_ref()
        .is_some_and(|ended| ended.exit_code != 0);
    container.restart_count > 0 || has_failed || waiting.is_some_and(|reason| !CREATING.contains(&reason))
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
            "2026-01-01T00:01:00Z".parse().expect("a time"),
        )
    }

    #[test]
    fn a_pod_of_another_revision_that_is_not_ready_is_deleted() {
        let why = judged(&json!({}), &json!({})).expect("it blocks the rollout");
        assert_eq!(
            why,
            "Deleted pod files-0 of revision files-a, which was not ready and blocked the rollout of revision files-b"
        );
        let without_status = json!({"status": {"conditions": []}});
        assert!(
            judged(&json!({}), &without_status).is_some(),
            "the kubelet has not reported it as ready"
        );
    }

    #[test]
    fn every_other_pod_is_kept() {
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
                "the update strategy OnDelete",
                json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}}),
                json!({}),
            ),
        ];
        for (what, set, pod) in table {
            assert_eq!(judged(&set, &pod), None, "{what}");
        }
    }

    /// A pod whose container has this status.
    fn container(status: &Value) -> Value {
        let mut container =
            json!({"name": "dittofs", "image": "i", "imageID": "", "ready": false, "restartCount": 0});
        testing::merge(&mut container, status);
        json!({
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"containerStatuses": [container]},
        })
    }

    #[test]
    fn a_pod_that_is_only_starting_is_kept() {
        let running =
            |since: &str| container(&json!({"started": false, "state": {"running": {"startedAt": since}}}));
        let table = [
            (
                "its containers are not created yet",
                json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}),
            ),
            (
                "its container is being created",
                container(&json!({"state": {"waiting": {"reason": "ContainerCreating"}}})),
            ),
            (
                "its server has not answered the startup probe yet",
                running("2026-01-01T00:00:30Z"),
            ),
        ];
        for (what, pod) in table {
            assert_eq!(judged(&json!({}), &pod), None, "{what}");
        }
    }

    #[test]
    fn a_pod_with_a_fault_and_one_beyond_its_startup_budget_are_deleted() {
        let waiting = |reason: &str| container(&json!({"state": {"waiting": {"reason": reason}}}));
        let old = json!({
            "metadata": {"creationTimestamp": "2025-12-31T23:50:00Z"},
            "status": {"containerStatuses": [{
                "name": "dittofs", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "started": false, "state": {"running": {"startedAt": "2025-12-31T23:58:00Z"}},
            }]},
        });
        let table = [
            ("its image cannot be pulled", waiting("ImagePullBackOff")),
            (
                "its container cannot be created",
                waiting("CreateContainerConfigError"),
            ),
            ("its container crashes in a loop", waiting("CrashLoopBackOff")),
            (
                "its container was restarted",
                container(&json!({"restartCount": 1, "state": {"running": {}}})),
            ),
            (
                "its container has failed",
                container(&json!({"state": {"terminated": {"exitCode": 1}}})),
            ),
            (
                "its server started and is not ready",
                container(&json!({"started": true, "state": {"running": {}}})),
            ),
            (
                "no node accepts it",
                json!({
                    "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
                    "status": {"conditions": [{"type": "PodScheduled", "status": "False"}]},
                }),
            ),
            ("it starts for longer than its budget", old),
        ];
        for (what, pod) in table {
            assert!(judged(&json!({}), &pod).is_some(), "{what}");
        }
    }
}
