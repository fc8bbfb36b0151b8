//! Starts, stops and rollouts, as the status of the StatefulSet shows them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::testing;
use crate::domain::validate::fixtures::stateful_set;

/// Conditions of a minimal server whose StatefulSet has this status.
fn with_status(spec: &str, status: &serde_json::Value) -> Vec<Condition> {
    let observed = world(spec);
    let live = stateful_set(&observed.server, status);
    judged(&observed, &applied(&observed, Some(live)))
}

#[test]
fn a_server_that_starts_says_what_it_waits_for() {
    let conditions = with_status("", &json!({"observedGeneration": 2, "replicas": 1}));
    assert_eq!(
        one(&conditions, AVAILABLE),
        "False NoReplicasAvailable: Waiting for replicas: 0/1 ready"
    );
    assert_eq!(
        one(&conditions, PROGRESSING),
        "True ScalingReplicas: Scaling: 0/1 replicas ready"
    );
    assert_eq!(
        one(&conditions, READY),
        "False ConditionsNotMet: Not ready: [NotAvailable StillProgressing]: Scaling: 0/1 replicas ready"
    );
}

/// Kubernetes takes the pod out of the StatefulSet's status before the StatefulSet is gone.
#[test]
fn a_server_whose_stateful_set_is_deleted_without_its_pod_is_available() {
    let mut observed = world("");
    let pod = json!({
        "metadata": {"name": "files-0"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    observed.pods = Read::Found(vec![Arc::new(serde_json::from_value(pod).expect("a pod"))]);
    let mut live = stateful_set(&observed.server, &json!({"observedGeneration": 2, "replicas": 0}));
    live.metadata.deletion_timestamp = Some(Time(at(0)));
    let conditions = judged(&observed, &applied(&observed, Some(live)));
    assert_eq!(
        one(&conditions, AVAILABLE),
        "True MinimumReplicasAvailable: StatefulSet has 1/1 ready replicas"
    );
}

#[test]
fn a_stopped_server_is_ready_once_no_pod_is_left() {
    let stopped = with_status("replicas: 0", &json!({"observedGeneration": 2, "replicas": 0}));
    assert_eq!(
        one(&stopped, AVAILABLE),
        "True Stopped: DittoServer is stopped (replicas=0)"
    );
    assert_eq!(
        one(&stopped, READY),
        "True AllConditionsMet: DittoServer is stopped as its spec asks (replicas=0)"
    );

    for status in [
        json!({"observedGeneration": 2, "replicas": 1, "readyReplicas": 1}),
        json!({"observedGeneration": 2, "replicas": 1}),
        json!({"observedGeneration": 1, "replicas": 0}),
    ] {
        let stopping = with_status("replicas: 0", &status);
        assert_eq!(condition(&stopping, AVAILABLE).reason, "Stopped", "{status}");
        assert_eq!(condition(&stopping, READY).status, "False", "{status}");
    }
}

#[test]
fn a_stopped_server_is_not_behind_a_revision() {
    let status =
        json!({"observedGeneration": 2, "replicas": 0, "currentRevision": "a", "updateRevision": "b"});
    assert_eq!(
        condition(&with_status("replicas: 0", &status), READY).status,
        "True"
    );
}

#[test]
fn a_server_is_never_ready_in_the_middle_of_a_rollout() {
    let table = [
        (json!({"observedGeneration": 1}), "StatefulSetUpdating"),
        (json!({"observedGeneration": null}), "StatefulSetUpdating"),
        (
            json!({"updateRevision": "files-b", "updatedReplicas": 0}),
            "RolloutInProgress",
        ),
        (
            json!({"updateRevision": "files-b", "readyReplicas": 0}),
            "RolloutInProgress",
        ),
        (json!({"replicas": 2}), "ScalingReplicas"),
        (json!({"readyReplicas": 0}), "ScalingReplicas"),
        (json!({"updatedReplicas": 0}), "RolloutInProgress"),
    ];
    for (change, reason) in table {
        let mut status = json!({
            "observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1,
            "currentRevision": "files-a", "updateRevision": "files-a",
        });
        for (key, value) in change.as_object().expect("a map") {
            status[key] = value.clone();
        }
        let conditions = with_status("", &status);
        assert_eq!(condition(&conditions, PROGRESSING).reason, reason, "{change}");
        assert_eq!(condition(&conditions, READY).status, "False", "{change}");
    }
}

#[test]
fn a_replica_count_that_did_not_reach_the_stateful_set_is_scaling() {
    let mut observed = world("replicas: 0");
    let mut live = stateful_set(&observed.server, &json!({"observedGeneration": 2, "replicas": 0}));
    live.spec.as_mut().expect("a spec").replicas = Some(1);
    observed.stateful_set = Read::Found(Arc::new(live.clone()));
    let conditions = judged(&observed, &applied(&observed, Some(live)));
    assert_eq!(condition(&conditions, PROGRESSING).reason, "ScalingReplicas");
}

#[test]
fn a_rollout_says_what_it_waits_for_and_a_manual_one_has_no_deadline() {
    let status = json!({
        "observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 0,
        "currentRevision": "files-a", "updateRevision": "files-b",
    });
    let summary = |change: &Value| {
        let observed = world("progressDeadlineSeconds: 60");
        let mut live = serde_json::to_value(stateful_set(&observed.server, &status)).expect("JSON");
        testing::merge(&mut live, change);
        let live = serde_json::from_value(live).expect("a StatefulSet");
        let applied = applied(&observed, Some(live));
        with_inputs(&observed, &applied, |inputs| {
            let first = conditions(inputs, &[], 3, at(0));
            let late = conditions(inputs, &first, 3, at(60));
            let message = condition(&first, PROGRESSING).message.clone();
            (message, condition(&late, PROGRESSING).reason.clone())
        })
    };
    let on_delete = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}});
    let held = "Rolling out revision files-b: 0/1 updated, 1/1 ready; the update strategy is OnDelete: kubectl delete pod files-0 at a convenient time to roll out";
    assert_eq!(summary(&on_delete), (held.into(), "RolloutInProgress".into()));
    let added = json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "content"}}]}});
    let waits = "Rolling out revision files-b: 0/1 updated, 1/1 ready; PersistentVolumeClaim content-files-0 does not exist yet, and the pod is not replaced before. If this lasts, kubectl describe statefulset files shows why the claim is refused";
    assert_eq!(summary(&added), (waits.into(), "ProgressDeadlineExceeded".into()));
}

#[test]
fn replicas_of_a_foreign_stateful_set_are_not_ours() {
    let observed = world("");
    let mut other = running(&observed.server);
    other.metadata = foreign("files");
    let conditions = judged(&observed, &applied(&observed, Some(other)));
    assert_eq!(condition(&conditions, AVAILABLE).reason, "ResourceConflict");
}

#[test]
fn a_stateful_set_that_was_skipped_is_still_to_come() {
    let observed = world("");
    let mut applied = applied(&observed, None);
    applied.steps.push(step("StatefulSet", "files", Outcome::Skipped));
    assert_eq!(
        one(&judged(&observed, &applied), PROGRESSING),
        "True StatefulSetUpdating: StatefulSet has not been created yet"
    );
}

#[test]
fn a_partition_is_named_and_not_the_pod() {
    let observed = world("");
    let status = json!({
        "observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 0,
        "currentRevision": "files-a", "updateRevision": "files-b",
    });
    let mut live = serde_json::to_value(stateful_set(&observed.server, &status)).expect("JSON");
    let partition =
        json!({"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}});
    testing::merge(&mut live, &partition);
    let live = serde_json::from_value(live).expect("a StatefulSet");
    let message = one(&judged(&observed, &applied(&observed, Some(live))), PROGRESSING);
    assert!(
        message.contains("partition 1 of the update strategy blocks the rollout"),
        "{message}"
    );
    assert!(
        message.contains("partition of StatefulSet files to 0"),
        "{message}"
    );
    assert!(!message.contains("kubectl delete pod"), "{message}");
}

#[test]
fn a_manual_rollout_is_complete_although_kubernetes_does_not_update_the_current_revision() {
    let complete = json!({
        "observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1,
        "currentRevision": "files-a", "updateRevision": "files-b",
    });
    let conditions = with_status("", &complete);
    assert_eq!(condition(&conditions, PROGRESSING).reason, "ReconcileComplete");
    assert_eq!(condition(&conditions, READY).status, "True");

    // A later crash is not a rollout.
    let observed = world("");
    let mut crashed = serde_json::to_value(stateful_set(&observed.server, &complete)).expect("JSON");
    let on_delete = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}, "status": {"readyReplicas": 0}});
    testing::merge(&mut crashed, &on_delete);
    let crashed = serde_json::from_value(crashed).expect("a StatefulSet");
    let conditions = judged(&observed, &applied(&observed, Some(crashed)));
    assert_eq!(condition(&conditions, PROGRESSING).reason, "ScalingReplicas");

    // The status of the StatefulSet may be newer than the pod, or the other way round.
    let mut observed = world("");
    let mut live = stateful_set(&observed.server, &complete);
    live.metadata.uid = Some("s1".into());
    let pod = json!({"metadata": {
        "name": "files-0", "labels": {"controller-revision-hash": "files-a"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "files", "uid": "s1", "controller": true}],
    }});
    observed.pods = Read::Found(vec![Arc::new(serde_json::from_value(pod).expect("a pod"))]);
    let conditions = judged(&observed, &applied(&observed, Some(live)));
    assert_eq!(condition(&conditions, PROGRESSING).reason, "RolloutInProgress");
}
