use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::testing;

/// A running server whose pod is a minute old, with changes to its StatefulSet and its pod; `null` for no pod.
fn judged(set: &Value, pod: &Value) -> Settled {
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
    settled(&observed)
}

#[test]
fn an_old_pod_that_a_new_stateful_set_has_adopted_is_as_young_as_that() {
    assert_eq!(
        judged(&made_at("2026-01-01T00:00:55Z"), &json!({})),
        Settled::In(Duration::from_secs(5))
    );
    assert_eq!(judged(&made_at("2026-01-01T00:00:50Z"), &json!({})), Settled::Now);
}

#[test]
fn of_pods_that_cannot_be_read_the_stateful_set_has_the_word() {
    let unread = |current: &str| {
        let mut observed = testing::running("");
        let set = json!({
            "metadata": {"generation": 2},
            "spec": {"serviceName": "files-headless", "selector": {}, "template": {}},
            "status": {"replicas": 1, "observedGeneration": 2, "currentRevision": current, "updateRevision": "files-b"},
        });
        observed.stateful_set = Read::Found(Arc::new(serde_json::from_value(set).unwrap()));
        observed.pods = Read::Unreadable("forbidden".into());
        settled(&observed)
    };
    assert_eq!(unread("files-b"), Settled::Now);
    assert_eq!(unread("files-a"), Settled::NotYet);
}

fn made_at(time: &str) -> Value {
    json!({"metadata": {"creationTimestamp": time}})
}

#[test]
fn a_pod_that_stays_is_settled_ready_or_not() {
    assert_eq!(judged(&json!({}), &json!({})), Settled::Now);
    let crashing = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    assert_eq!(judged(&json!({}), &crashing), Settled::Now);
    let by_hand = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}});
    let old = json!({"metadata": {"labels": {"controller-revision-hash": "files-a"}}});
    assert_eq!(
        judged(&by_hand, &old),
        Settled::Now,
        "who updates by hand decides when"
    );
    assert_eq!(
        judged(&json!({"spec": {"replicas": 0}}), &Value::Null),
        Settled::Now,
        "stopped"
    );
}

#[test]
fn a_pod_that_comes_or_goes_is_not_settled() {
    let table = [
        ("no pod yet", json!({}), Value::Null),
        (
            "a pod that is to stop",
            json!({"spec": {"replicas": 0}}),
            json!({}),
        ),
        (
            "a change that the controller has not seen",
            json!({"metadata": {"generation": 3}}),
            json!({}),
        ),
        (
            "a pod that is going",
            json!({}),
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:59Z"}}),
        ),
        (
            "a pod of the last revision",
            json!({}),
            json!({"metadata": {"labels": {"controller-revision-hash": "files-a"}}}),
        ),
        (
            "a pod that will be made again",
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
        assert_eq!(judged(&set, &pod), Settled::NotYet, "{what}");
    }
}

#[test]
fn a_young_pod_is_settled_once_the_garbage_collector_has_seen_it() {
    let after = |seconds| Settled::In(Duration::from_secs(seconds));
    let table = [
        ("2026-01-01T00:01:00Z", after(10)),
        ("2026-01-01T00:00:53Z", after(3)),
        ("2026-01-01T00:00:50Z", Settled::Now),
        ("2026-01-01T00:01:05Z", after(15)),
        // The operator's clock is an hour slow: no reason to wait for an hour.
        ("2026-01-01T01:01:00Z", Settled::Now),
    ];
    for (made, want) in table {
        assert_eq!(judged(&json!({}), &made_at(made)), want, "{made}");
    }
}
