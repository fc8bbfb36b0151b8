//! What happens to a claim, depending on what the cluster holds.

use serde_json::{Value, json};

use k8s_openapi::api::apps::v1::StatefulSet;

use super::*;
use crate::domain::observed::ExpansionAnswer;
use crate::domain::testing;

/// A claim `metadata-files-0` of class `standard`.
fn claim(request: &str, status: impl Into<Value>) -> Arc<PersistentVolumeClaim> {
    let status: Value = status.into();
    let claim = json!({
        "metadata": {"name": "metadata-files-0", "uid": "c1", "labels": {"app": "dittofs-server", "instance": "files"}},
        "spec": {"storageClassName": "standard", "resources": {"requests": {"storage": request}}},
        "status": status,
    });
    Arc::new(serde_json::from_value(claim).unwrap())
}

fn bound(capacity: &str) -> Value {
    json!({"phase": "Bound", "capacity": {"storage": capacity}})
}

/// A running server whose spec has this size, with this claim.
fn observed(size: &str, claim: Arc<PersistentVolumeClaim>) -> Observed {
    let mut observed = testing::running(&format!("{{storage: {{metadataSize: {size}}}}}"));
    observed.claims = Read::Found(vec![claim]);
    observed
}

fn answered(mut observed: Observed, answer: ExpansionAnswer) -> Observed {
    observed
        .expansion_answers
        .insert("metadata-files-0".into(), answer);
    observed
}

fn only(observed: &Observed) -> Expansion {
    let mut expansions = expansions(observed);
    assert_eq!(expansions.len(), 1, "{expansions:?}");
    expansions.remove(0)
}

fn problem(observed: &Observed) -> VolumeProblem {
    match only(observed) {
        Expansion::Blocked(problem) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_claim_that_is_as_large_as_the_spec_is_not_changed() {
    assert_eq!(expansions(&observed("10Gi", claim("10Gi", bound("10Gi")))), []);
    assert_eq!(expansions(&observed("1024Mi", claim("1Gi", bound("1Gi")))), []);
}

#[test]
fn a_claim_that_is_larger_than_the_spec_is_not_changed() {
    let observed = observed("10Gi", claim("20Gi", bound("20Gi")));
    assert_eq!(expansions(&observed), []);
    assert_eq!(to_expand(&observed.server, &observed.claims), []);
}

#[test]
fn a_smaller_claim_is_expanded_if_the_api_server_allows_it_or_did_not_answer() {
    for answer in [ExpansionAnswer::Allowed, ExpansionAnswer::Unread] {
        let observed = answered(observed("20Gi", claim("10Gi", bound("10Gi"))), answer);
        assert!(matches!(only(&observed), Expansion::Request { size, .. } if size == "20Gi"));
    }
}

#[test]
fn an_expansion_that_is_refused_is_reported_and_not_requested() {
    let smaller = || observed("20Gi", claim("10Gi", bound("10Gi")));
    let cases = [
        (
            ExpansionAnswer::Fixed("standard".into()),
            reasons::VOLUME_NOT_EXPANDABLE,
        ),
        (
            ExpansionAnswer::Refused("exceeded quota: small".into()),
            reasons::VOLUME_QUOTA_EXCEEDED,
        ),
        (
            ExpansionAnswer::Refused("the storageclass must support resize".into()),
            reasons::VOLUME_NOT_EXPANDABLE,
        ),
        (
            ExpansionAnswer::Refused("a webhook says no".into()),
            reasons::VOLUME_GROWTH_REFUSED,
        ),
    ];
    for (answer, reason) in cases {
        let problem = problem(&answered(smaller(), answer));
        assert_eq!(problem.reason, reason);
        assert!(
            problem.message.contains("metadata-files-0"),
            "{}",
            problem.message
        );
    }
}

#[test]
fn an_unbound_claim_waits_because_the_api_server_would_refuse() {
    let observed = observed("20Gi", claim("10Gi", json!({"phase": "Pending"})));
    assert_eq!(to_expand(&observed.server, &observed.claims), []);
    assert!(matches!(only(&observed), Expansion::InProgress(_)));
}

#[test]
fn the_expansion_of_a_claim_that_is_smaller_than_it_requests_is_in_progress() {
    let observed = observed("20Gi", claim("20Gi", bound("10Gi")));
    assert!(matches!(only(&observed), Expansion::InProgress(text) if text.contains("10Gi")));
}

#[test]
fn a_failed_resize_is_reported_with_the_words_of_the_driver() {
    let status = |extra: Value| {
        let mut status = bound("10Gi");
        status
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        observed("20Gi", claim("20Gi", status))
    };
    let condition = |type_: &str| {
        status(json!({"conditions": [{"type": type_, "status": "True", "message": "disk full of bees"}]}))
    };
    for type_ in ["ControllerResizeError", "NodeResizeError"] {
        let problem = problem(&condition(type_));
        assert_eq!(problem.reason, reasons::VOLUME_RESIZE_FAILED);
        assert!(
            problem.message.contains("disk full of bees"),
            "{}",
            problem.message
        );
    }
    let infeasible = status(json!({"allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"}}));
    assert_eq!(problem(&infeasible).reason, reasons::VOLUME_RESIZE_FAILED);
    let pending = problem(&condition("FileSystemResizePending"));
    assert_eq!(pending.reason, reasons::FILE_SYSTEM_RESIZE_PENDING);
    assert!(pending.message.contains("files-0"), "{}", pending.message);
}

#[test]
fn a_server_that_is_being_deleted_expands_nothing() {
    let mut observed = observed("20Gi", claim("10Gi", bound("10Gi")));
    let server = Arc::make_mut(&mut observed.server);
    server.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(to_expand(&observed.server, &observed.claims), []);
}

/// Changes the StatefulSet, which has no pod.
fn with_set(mut observed: Observed, patch: &Value) -> Observed {
    let live = observed.stateful_set.found().expect("a StatefulSet");
    let mut live = serde_json::to_value(live.as_ref()).unwrap();
    testing::merge(&mut live, patch);
    observed.stateful_set = Read::Found(Arc::new(serde_json::from_value(live).unwrap()));
    observed
}

fn stopped(observed: Observed) -> Observed {
    with_set(
        observed,
        &json!({"spec": {"replicas": 0}, "status": {"replicas": 0}}),
    )
}

#[test]
fn the_template_follows_the_claim_and_not_the_spec() {
    let requesting = |request| stopped(observed("20Gi", claim(request, bound("10Gi"))));
    let follows = |observed: &Observed| may_follow(observed, "metadata");
    assert!(!follows(&requesting("10Gi")));
    assert!(follows(&requesting("20Gi")));
    let mut without = requesting("10Gi");
    without.claims = Read::Found(Vec::new());
    assert!(follows(&without), "a new claim is created from it");
    without.claims = Read::Unreadable("timed out".into());
    assert!(!follows(&without));
}

#[test]
fn the_template_follows_once_the_pod_is_stable_and_until_then_the_expansion_is_in_progress() {
    let template = |size: &str| json!([{"metadata": {"name": "metadata"}, "spec": {"resources": {"requests": {"storage": size}}}}]);
    let expanded = observed("20Gi", claim("20Gi", bound("20Gi")));
    let behind = with_set(
        expanded,
        &json!({"spec": {"volumeClaimTemplates": template("10Gi")}}),
    );
    assert!(!may_follow(&behind, "metadata"), "its pod does not exist yet");
    let Expansion::InProgress(message) = only(&behind) else {
        panic!("{:?}", expansions(&behind));
    };
    assert_eq!(
        message,
        "StatefulSet files gets the new sizes of its volumes once its pod is stable"
    );
    assert_eq!(expansions(&stopped(behind.clone())), [], "nothing to wait for");
    let followed = with_set(
        behind,
        &json!({"spec": {"volumeClaimTemplates": template("20Gi")}}),
    );
    assert_eq!(expansions(&followed), []);
}

#[test]
fn another_storage_class_in_the_spec_is_a_problem_and_the_default_class_by_name_is_not() {
    let with = |class: &str| {
        let spec = format!("{{storage: {{metadataSize: 10Gi, storageClassName: {class}}}}}");
        let mut observed = testing::running(&spec);
        observed.claims = Read::Found(vec![claim("10Gi", bound("10Gi"))]);
        class_problem(&observed)
    };
    assert_eq!(with("standard"), None);
    assert_eq!(with("fast").unwrap().reason, reasons::STORAGE_CLASS_IMMUTABLE);
    assert_eq!(
        class_problem(&observed("10Gi", claim("10Gi", bound("10Gi")))),
        None
    );
}

#[test]
fn only_a_pod_of_the_stateful_set_that_lacks_one_of_its_volumes_is_deleted() {
    let set = |patch: Value| -> StatefulSet {
        let mut set = json!({
            "metadata": {"name": "files", "uid": "s2"},
            "spec": {
                "serviceName": "files-headless", "selector": {}, "template": {},
                "volumeClaimTemplates": [{"metadata": {"name": "metadata"}}, {"metadata": {"name": "content"}}],
            },
        });
        testing::merge(&mut set, &patch);
        serde_json::from_value(set).unwrap()
    };
    let with = |owner: &str, volumes: &[&str], claims: &[&str]| {
        let volumes: Vec<Value> = volumes
            .iter()
            .map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": format!("{name}-files-0")}}))
            .collect();
        let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "files", "uid": owner, "controller": true});
        let pod = json!({
            "metadata": {"name": "files-0", "ownerReferences": [owner]},
            "spec": {"containers": [], "volumes": volumes},
        });
        let claims = claims.iter().map(|name| {
            serde_json::from_value(json!({"metadata": {"name": format!("{name}-files-0")}})).unwrap()
        });
        let mut observed = testing::running("");
        observed.pods = Read::Found(vec![Arc::new(serde_json::from_value(pod).unwrap())]);
        observed.claims = Read::Found(claims.map(Arc::new).collect());
        observed
    };
    let both = ["metadata", "content"];
    let lacking = with("s2", &["metadata"], &both);
    let table = [
        ("a pod that lacks a volume", &lacking, json!({}), true),
        ("one that has all", &with("s2", &both, &both), json!({}), false),
        (
            "one that is not adopted yet",
            &with("s1", &["metadata"], &both),
            json!({}),
            false,
        ),
        (
            "one whose claim cannot be created",
            &with("s2", &["metadata"], &["metadata"]),
            json!({}),
            false,
        ),
        (
            "one that the user deletes manually",
            &lacking,
            json!({"spec": {"updateStrategy": {"type": "OnDelete"}}}),
            false,
        ),
    ];
    for (what, observed, patch, is_deleted) in table {
        assert_eq!(
            pod_without_volume(observed, &set(patch)).is_some(),
            is_deleted,
            "{what}"
        );
    }
    let mut unread = lacking;
    unread.claims = Read::Unreadable("timed out".into());
    assert!(pod_without_volume(&unread, &set(json!({}))).is_none());
}

#[test]
fn claims_of_pods_that_do_not_exist_are_reported() {
    let with = |names: &[&str]| {
        let mut observed = testing::running("");
        let claims = names.iter().map(|name| {
            Arc::new(serde_json::from_value(json!({"metadata": {"name": name}})).expect("a claim"))
        });
        observed.claims = Read::Found(claims.collect());
        differences(&observed)
    };
    assert_eq!(
        with(&[
            "metadata-files-0",
            "controlplane-files-0",
            "metadata-files-x",
            "other-files-1"
        ]),
        []
    );
    let found = with(&["metadata-files-1", "metadata-files-0", "content-files-2"]);
    let [Expansion::Blocked(problem)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(problem.reason, reasons::VOLUME_CLAIM_UNUSED);
    assert!(
        problem.message.contains("content-files-2, metadata-files-1:"),
        "{}",
        problem.message
    );
}

#[test]
fn another_storage_class_of_the_database_is_a_problem() {
    let with = |spec: &str, live: &str| {
        let mut observed = testing::running(&format!("percona: {{enabled: true{spec}}}"));
        let cluster = format!(
            "{{postgresVersion: 17, instances: [{{name: instance1, dataVolumeClaimSpec: {{{live}}}}}]}}"
        );
        let cluster = testing::percona(&cluster, &json!({"state": "ready"}));
        observed.database.cluster = Read::Found(Arc::new(cluster));
        database_class_problem(&observed).map(|problem| problem.message)
    };
    assert_eq!(with("", "storageClassName: fast"), None);
    assert_eq!(with(", storageClassName: fast", "storageClassName: fast"), None);
    let edited = with(", storageClassName: slow", "storageClassName: fast").expect("a problem");
    assert!(
        edited.contains("\"slow\"") && edited.contains("the class \"fast\""),
        "{edited}"
    );
    let default = with(", storageClassName: slow", "").expect("a problem");
    assert!(default.contains("the default class"), "{default}");
}
