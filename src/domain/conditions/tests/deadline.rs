//! Whether a rollout takes too long, and its message.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Value, json};

use super::*;
use crate::domain::conditions::time_left;
use crate::domain::validate::fixtures::stateful_set;

const SPEC: &str = "progressDeadlineSeconds: 60";
const STARTS: i64 = 0;

/// A server whose pod pulls an image that does not exist, created at a time.
fn starting(spec: &str, pod_made: i64) -> (Observed, Applied) {
    let mut observed = world(spec);
    let pod = json!({
        "metadata": {"name": "files-0", "creationTimestamp": Time(at(pod_made))},
        "status": {"containerStatuses": [{
            "name": "dittofs", "image": "x:2", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff"}},
        }]},
    });
    observed.pods = Read::Found(vec![Arc::new(serde_json::from_value::<Pod>(pod).expect("a pod"))]);
    let mut live = stateful_set(&observed.server, &json!({"observedGeneration": 2, "replicas": 1}));
    live.metadata.creation_timestamp = Some(Time(at(STARTS)));
    let applied = applied(&observed, Some(live));
    (observed, applied)
}

fn judged_at(
    (observed, applied): &(Observed, Applied),
    previous: &[Condition],
    seconds: i64,
) -> Vec<Condition> {
    with_inputs(observed, applied, |inputs| {
        conditions(inputs, previous, 3, at(seconds))
    })
}

fn left_at(
    (observed, applied): &(Observed, Applied),
    summary: &[Condition],
    seconds: i64,
) -> Option<Duration> {
    with_inputs(observed, applied, |inputs| {
        time_left(inputs, summary, at(seconds))
    })
}

fn reason(conditions: &[Condition]) -> (&str, &str) {
    let progressing = condition(conditions, PROGRESSING);
    (&progressing.status, &progressing.reason)
}

#[test]
fn the_cause_is_reported_before_the_deadline_and_after() {
    let world = starting(SPEC, STARTS);
    let cause = "pod files-0: image x:2 cannot be pulled (ImagePullBackOff)";
    let first = judged_at(&world, &[], STARTS);
    assert_eq!(
        one(&first, PROGRESSING),
        format!("True ScalingReplicas: Scaling: 0/1 replicas ready; {cause}")
    );
    assert_eq!(
        one(&first, AVAILABLE),
        format!("False NoReplicasAvailable: Waiting for replicas: 0/1 ready; {cause}")
    );
    let late = judged_at(&world, &first, STARTS + 60);
    assert_eq!(
        one(&late, PROGRESSING),
        format!(
            "False ProgressDeadlineExceeded: Not finished within 60 s: Scaling: 0/1 replicas ready; {cause}"
        )
    );
    assert_eq!(condition(&late, READY).status, "False");
}

#[test]
fn the_deadline_passes_to_the_second_and_is_waited_for() {
    let world = starting(SPEC, STARTS);
    let first = judged_at(&world, &[], STARTS);
    assert_eq!(
        reason(&judged_at(&world, &first, STARTS + 59)),
        ("True", "ScalingReplicas")
    );
    let left = left_at(&world, &first, STARTS + 20).expect("a deadline");
    assert!(
        left >= Duration::from_secs(40) && left < Duration::from_secs(41),
        "{left:?}"
    );
    let late = judged_at(&world, &first, STARTS + 60);
    assert_eq!(
        left_at(&world, &late, STARTS + 60),
        None,
        "nothing more is waited for"
    );
}

#[test]
fn the_default_is_ten_minutes() {
    let world = starting("", STARTS);
    let first = judged_at(&world, &[], STARTS);
    assert_eq!(reason(&judged_at(&world, &first, STARTS + 599)).0, "True");
    assert_eq!(
        reason(&judged_at(&world, &first, STARTS + 600)).1,
        "ProgressDeadlineExceeded"
    );
}

#[test]
fn it_stays_exceeded_until_something_new_begins() {
    let world = starting(SPEC, STARTS);
    let first = judged_at(&world, &[], STARTS);
    let late = judged_at(&world, &first, STARTS + 60);
    let later = judged_at(&world, &late, STARTS + 5000);
    assert_eq!(later, late, "a fixpoint");

    let with_new_pod = starting(SPEC, STARTS + 100);
    let again = judged_at(&with_new_pod, &later, STARTS + 101);
    assert_eq!(reason(&again), ("True", "ScalingReplicas"), "another pod");
    assert_eq!(
        reason(&judged_at(&with_new_pod, &again, STARTS + 161)).1,
        "ProgressDeadlineExceeded"
    );

    let mut edited = later.clone();
    for condition in &mut edited {
        condition.observed_generation = Some(2);
    }
    assert_eq!(
        reason(&judged_at(&world, &edited, STARTS + 5001)).0,
        "True",
        "another spec"
    );
}

#[test]
fn the_time_spent_waiting_for_secrets_or_the_database_does_not_count() {
    let world = starting(SPEC, STARTS);
    let mut waited = judged_at(&world, &[], STARTS);
    for condition in &mut waited {
        if condition.type_ == PROGRESSING {
            condition.reason = "WaitingForSecrets".into();
        } else if condition.type_ == CONFIG_READY {
            condition.status = "False".into();
        }
    }
    let began = judged_at(&world, &waited, STARTS + 500);
    assert_eq!(reason(&began), ("True", "ScalingReplicas"));
    assert_eq!(reason(&judged_at(&world, &began, STARTS + 559)).0, "True");
    assert_eq!(
        reason(&judged_at(&world, &began, STARTS + 560)).1,
        "ProgressDeadlineExceeded"
    );
}

#[test]
fn a_stop_that_takes_too_long_says_what_is_left() {
    let mut observed = world("replicas: 0\n  progressDeadlineSeconds: 60");
    let going = json!({"metadata": {"name": "files-0", "deletionTimestamp": Time(at(STARTS))}});
    observed.pods = Read::Found(vec![Arc::new(
        serde_json::from_value::<Pod>(going).expect("a pod"),
    )]);
    let live = stateful_set(&observed.server, &json!({"observedGeneration": 2, "replicas": 1}));
    let world = (observed.clone(), applied(&observed, Some(live)));
    let first = judged_at(&world, &[], STARTS);
    assert_eq!(
        one(&first, PROGRESSING),
        "True ScalingReplicas: Scaling to 0: the pod is being stopped"
    );
    let late = judged_at(&world, &first, STARTS + 60);
    assert_eq!(
        one(&late, PROGRESSING),
        "False ProgressDeadlineExceeded: Not finished within 60 s: Scaling to 0: the pod is being stopped; pod files-0: is being deleted"
    );
}

#[test]
fn a_rollout_that_is_blocked_while_the_old_pod_serves_is_not_ready_either() {
    let observed = world(SPEC);
    let mut status: Value =
        json!({"observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 0});
    status["currentRevision"] = json!("files-a");
    status["updateRevision"] = json!("files-b");
    let live = stateful_set(&observed.server, &status);
    let world = (observed.clone(), applied(&observed, Some(live)));
    let first = judged_at(&world, &[], STARTS);
    let late = judged_at(&world, &first, STARTS + 60);
    assert_eq!(
        summary(&late)[..2],
        [
            "Ready=False ConditionsNotMet",
            "Available=True MinimumReplicasAvailable"
        ]
    );
    assert!(
        condition(&late, READY)
            .message
            .contains("Not finished within 60 s")
    );
}

#[test]
fn an_edit_in_the_middle_of_another_state_starts_the_clock() {
    let (observed, mut applied) = starting(SPEC, STARTS);
    let first = judged_at(&(observed.clone(), applied_again(&applied)), &[], STARTS);
    // Progressing has been True since the start, and the StatefulSet was changed just now.
    let Read::Found(live) = &mut applied.stateful_set else {
        panic!("a StatefulSet");
    };
    Arc::make_mut(live).metadata.managed_fields = Some(vec![ManagedFieldsEntry {
        manager: Some("dittofs-operator".into()),
        operation: Some("Apply".into()),
        time: Some(Time(at(STARTS + 100))),
        ..ManagedFieldsEntry::default()
    }]);
    let world = (observed, applied);
    assert_eq!(reason(&judged_at(&world, &first, STARTS + 110)).0, "True");
    assert_eq!(
        reason(&judged_at(&world, &first, STARTS + 160)).1,
        "ProgressDeadlineExceeded"
    );
}

fn applied_again(applied: &Applied) -> Applied {
    Applied {
        steps: Vec::new(),
        config_map: applied.config_map.clone(),
        stateful_set: applied.stateful_set.clone(),
        database: applied.database.clone(),
    }
}

/// Makes the pod lose its readiness at a time.
fn unready_since((observed, applied): (Observed, Applied), seconds: i64) -> (Observed, Applied) {
    let mut observed = observed;
    let Read::Found(pods) = &mut observed.pods else {
        panic!("pods");
    };
    let condition = json!([{"type": "Ready", "status": "False", "lastTransitionTime": Time(at(seconds))}]);
    let status = Arc::make_mut(&mut pods[0]).status.as_mut().expect("a status");
    status.conditions = serde_json::from_value(condition).expect("conditions");
    (observed, applied)
}

#[test]
fn a_restart_after_a_long_expansion_has_its_own_time() {
    let (observed, applied) = starting(SPEC, STARTS);
    let mut expanding = judged_at(&(observed.clone(), applied_again(&applied)), &[], STARTS);
    for condition in &mut expanding {
        if condition.type_ == PROGRESSING {
            condition.reason = "VolumeGrowing".into();
        }
    }
    let world = unready_since((observed, applied), STARTS + 840);
    let restarted = judged_at(&world, &expanding, STARTS + 841);
    assert_eq!(reason(&restarted), ("True", "ScalingReplicas"));
    assert_eq!(
        reason(&judged_at(&world, &restarted, STARTS + 850)),
        ("True", "ScalingReplicas")
    );
    let late = judged_at(&world, &restarted, STARTS + 900);
    assert_eq!(reason(&late).1, "ProgressDeadlineExceeded");
}

#[test]
fn a_crash_loop_exceeds_its_deadline_whatever_the_update_strategy_and_the_other_children() {
    let strategies = [
        json!({"type": "OnDelete"}),
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}),
    ];
    for strategy in strategies {
        let (observed, mut applied) = starting(SPEC, STARTS);
        if let Read::Found(live) = &mut applied.stateful_set {
            let spec = Arc::make_mut(live).spec.as_mut().expect("a spec");
            spec.update_strategy = serde_json::from_value(strategy.clone()).expect("a strategy");
        }
        let world = (observed, applied);
        let first = judged_at(&world, &[], STARTS);
        assert!(left_at(&world, &first, STARTS).is_some(), "{strategy}");
        let late = judged_at(&world, &first, STARTS + 60);
        assert_eq!(reason(&late).1, "ProgressDeadlineExceeded", "{strategy}");
    }
    let (observed, mut applied) = starting(SPEC, STARTS);
    applied.steps.push(step("Service", "files-api", failed()));
    let world = (observed, applied);
    let first = judged_at(&world, &[], STARTS);
    assert_eq!(reason(&first), ("True", "ApplyFailed"));
    let late = judged_at(&world, &first, STARTS + 60);
    assert_eq!(reason(&late), ("False", "ProgressDeadlineExceeded"));
    let message = one(&late, PROGRESSING);
    for part in ["ImagePullBackOff", "Failed to reconcile Service files-api"] {
        assert!(message.contains(part), "{message}");
    }
}
