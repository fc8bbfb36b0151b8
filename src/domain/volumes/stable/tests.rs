use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::testing;

/// A running server whose pod is a minute old, with changes to its StatefulSet and its pod; `null` for no pod.
fn judged(set: &Value, pod: &Value) -> Stability {
    let mut observed = testing::running("");
    let mut stateful_set = json!({
        "metadata": {"uid": "s1", "generation": 2},
        "spec": {"replicas": 1, "serviceName": "files-headless", "selector": {}, "template": {}},
        "status": {"replicas": 1, "observedGeneration": 2, "updateRevision": "files-b"},
    });
    let mut there = json!({
        "metadata": {
            "name": "files-0", "labels": {"controller-revision-hash": "files-b"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "files", "uid": "s1", "controller": true}],
        },
        "status": {"phase": "Running"},
    });
    testing::merge(&mut stateful_set, set);
    observed.stateful_set = Read::Found(Arc::new(serde_json::from_value(stateful_set).unwrap()));
    observed.pods = Read::Found(Vec::new());
    if !pod.is_null() {
        testing::merge(&mut there, pod);
        observed.pods = Read::Found(vec![Arc::new(serde_json::from_value(there).unwrap())]);
    }
    observed.at = "2026-01-01T00:01:00Z".parse().unwrap();
    stability(&observed)
}

#[test]
fn a_pod_that_a_new_stateful_set_adopted_counts_from_the_creation_of_the_stateful_set() {
    assert_eq!(
        judged(&created_at("2026-01-01T00:00:55Z"), &json!({})),
        Stability::StableIn(Duration::from_secs(5))
    );
    assert_eq!(
        judged(&created_at("2026-01-01T00:00:50Z"), &json!({})),
        Stability::Stable
    );
}

#[test]
fn the_stateful_set_decides_when_pods_cannot_be_read() {
    let unread = |current: &str| {
        let mut observed = testing::running("");
        let set = json!({
            "metadata": {"generation": 2},
            "spec": {"serviceName": "files-headless", "selector": {}, "template": {}},
            "status": {"replicas": 1, "observedGeneration": 2, "currentRevision": current, "updateRevision": "files-b"},
        });
        observed.stateful_set = Read::Found(Arc::new(serde_json::from_value(set).unwrap()));
        observed.pods = Read::Unreadable("forbidden".into());
        stability(&observed)
    };
    assert_eq!(unread("files-b"), Stability::Stable);
    assert_eq!(unread("files-a"), Stability::NotYet);
}

fn created_at(time: &str) -> Value {
    json!({"metadata": {"creationTimestamp": time}})
}

#[test]
fn a_pod_that_keeps_running_is_stable_whether_ready_or_not() {
    assert_eq!(judged(&json!({}), &json!({})), Stability::Stable);
    let crashing = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    assert_eq!(judged(&json!({}), &crashing), Stability::Stable);
    let on_delete = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}});
    let old = json!({"metadata": {"labels": {"controller-revision-hash": "files-a"}}});
    assert_eq!(
        judged(&on_delete, &old),
        Stability::Stable,
        "a user who updates manually decides when"
    );
    assert_eq!(
        judged(&json!({"spec": {"replicas": 0}}), &Value::Null),
        Stability::Stable,
        "stopped"
    );
}

#[test]
fn a_pod_that_is_created_or_deleted_is_not_stable() {
    let table = [
        ("no pod yet", json!({}), Value::Null),
        (
            "a pod that must stop",
            json!({"spec": {"replicas": 0}}),
            json!({}),
        ),
        (
            "a change that the controller has not seen",
            json!({"metadata": {"generation": 3}}),
            json!({}),
        ),
        (
            "a pod that is being deleted",
            json!({}),
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:59Z"}}),
        ),
        (
            "a pod of the previous revision",
            json!({}),
            json!({"metadata": {"labels": {"controller-revision-hash": "files-a"}}}),
        ),
        (
            "a pod that will be re-created",
            json!({}),
            json!({"status": {"phase": "Failed"}}),
        ),
        (
            "a pod of an earlier StatefulSet",
            json!({"metadata": {"uid": "s2"}}),
            json!({}),
        ),
    ];
    for (what, set, pod) in table {
        assert_eq!(judged(&set, &pod), Stability::NotYet, "{what}");
    }
}

#[test]
fn a_young_pod_is_stable_once_the_garbage_collector_has_seen_it() {
    let after = |seconds| Stability::StableIn(Duration::from_secs(seconds));
    let table = [
        ("2026-01-01T00:01:00Z", after(10)),
        ("2026-01-01T00:00:53Z", after(3)),
        ("2026-01-01T00:00:50Z", Stability::Stable),
        ("2026-01-01T00:01:05Z", after(15)),
        // The operator's clock is an hour slow: no reason to wait for an hour.
        ("2026-01-01T01:01:00Z", Stability::Stable),
    ];
    for (made, want) in table {
        assert_eq!(judged(&json!({}), &created_at(made)), want, "{made}");
    }
}
