//! What is to happen to a claim, by what the cluster says of it.

use serde_json::{Value, json};

use super::*;
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

/// A running server that asks for this size, whose claim is this.
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

fn only(observed: &Observed) -> Growth {
    let mut growths = growths(observed);
    assert_eq!(growths.len(), 1, "{growths:?}");
    growths.remove(0)
}

fn trouble(observed: &Observed) -> Trouble {
    match only(observed) {
        Growth::Stuck(trouble) => trouble,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_claim_that_is_as_large_as_the_spec_is_left_alone() {
    assert_eq!(growths(&observed("10Gi", claim("10Gi", bound("10Gi")))), []);
    assert_eq!(growths(&observed("1024Mi", claim("1Gi", bound("1Gi")))), []);
}

#[test]
fn a_claim_that_is_larger_than_the_spec_is_left_alone() {
    let observed = observed("10Gi", claim("20Gi", bound("20Gi")));
    assert_eq!(growths(&observed), []);
    assert_eq!(questions(&observed.server, &observed.claims), []);
}

#[test]
fn a_smaller_claim_is_asked_to_grow_if_the_api_server_allows_it_or_did_not_say() {
    for answer in [ExpansionAnswer::Allowed, ExpansionAnswer::Unread] {
        let observed = answered(observed("20Gi", claim("10Gi", bound("10Gi"))), answer);
        assert!(matches!(only(&observed), Growth::Ask { size, .. } if size == "20Gi"));
    }
}

#[test]
fn a_growth_that_is_refused_is_told_and_not_asked_for() {
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
        let trouble = trouble(&answered(smaller(), answer));
        assert_eq!(trouble.reason, reason);
        assert!(
            trouble.message.contains("metadata-files-0"),
            "{}",
            trouble.message
        );
    }
}

#[test]
fn an_unbound_claim_waits_because_the_api_server_would_refuse() {
    let observed = observed("20Gi", claim("10Gi", json!({"phase": "Pending"})));
    assert_eq!(questions(&observed.server, &observed.claims), []);
    assert!(matches!(only(&observed), Growth::UnderWay(_)));
}

#[test]
fn a_claim_that_has_not_got_what_it_asks_for_is_under_way() {
    let observed = observed("20Gi", claim("20Gi", bound("10Gi")));
    assert!(matches!(only(&observed), Growth::UnderWay(text) if text.contains("10Gi")));
}

#[test]
fn a_failed_resize_is_told_with_the_drivers_words() {
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
        let trouble = trouble(&condition(type_));
        assert_eq!(trouble.reason, reasons::VOLUME_RESIZE_FAILED);
        assert!(
            trouble.message.contains("disk full of bees"),
            "{}",
            trouble.message
        );
    }
    let infeasible = status(json!({"allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"}}));
    assert_eq!(trouble(&infeasible).reason, reasons::VOLUME_RESIZE_FAILED);
    let pending = trouble(&condition("FileSystemResizePending"));
    assert_eq!(pending.reason, reasons::FILE_SYSTEM_RESIZE_PENDING);
    assert!(pending.message.contains("files-0"), "{}", pending.message);
}

#[test]
fn a_server_that_is_being_deleted_grows_nothing() {
    let mut observed = observed("20Gi", claim("10Gi", bound("10Gi")));
    let server = Arc::make_mut(&mut observed.server);
    server.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(questions(&observed.server, &observed.claims), []);
}

/// Changes the StatefulSet, of which there is no pod.
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
    let asking = |request| stopped(observed("20Gi", claim(request, bound("10Gi"))));
    let follows = |observed: &Observed| template_may_follow(observed, "metadata");
    assert!(!follows(&asking("10Gi")));
    assert!(follows(&asking("20Gi")));
    let mut without = asking("10Gi");
    without.claims = Read::Found(Vec::new());
    assert!(follows(&without), "a new claim is made from it");
    without.claims = Read::Unreadable("timed out".into());
    assert!(!follows(&without));
}

#[test]
fn the_template_follows_once_the_pod_has_come_to_rest_and_until_then_the_volume_is_told_to_grow() {
    let template = |size: &str| json!([{"metadata": {"name": "metadata"}, "spec": {"resources": {"requests": {"storage": size}}}}]);
    let grown = observed("20Gi", claim("20Gi", bound("20Gi")));
    let behind = with_set(
        grown,
        &json!({"spec": {"volumeClaimTemplates": template("10Gi")}}),
    );
    assert!(
        !template_may_follow(&behind, "metadata"),
        "its pod is yet to come"
    );
    let Growth::UnderWay(told) = only(&behind) else {
        panic!("{:?}", growths(&behind));
    };
    assert_eq!(
        told,
        "StatefulSet files takes the sizes of its volumes over once its pod has come to rest"
    );
    assert_eq!(growths(&stopped(behind.clone())), [], "nothing to wait for");
    let followed = with_set(
        behind,
        &json!({"spec": {"volumeClaimTemplates": template("20Gi")}}),
    );
    assert_eq!(growths(&followed), []);
}

#[test]
fn another_storage_class_in_the_spec_is_told_and_the_default_written_out_is_not() {
    let with = |class: &str| {
        let spec = format!("{{storage: {{metadataSize: 10Gi, storageClassName: {class}}}}}");
        let mut observed = testing::running(&spec);
        observed.claims = Read::Found(vec![claim("10Gi", bound("10Gi"))]);
        class_trouble(&observed)
    };
    assert_eq!(with("standard"), None);
    assert_eq!(with("fast").unwrap().reason, reasons::STORAGE_CLASS_IMMUTABLE);
    assert_eq!(
        class_trouble(&observed("10Gi", claim("10Gi", bound("10Gi")))),
        None
    );
}

#[test]
fn only_a_pod_of_the_set_that_lacks_one_of_its_volumes_is_to_go() {
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
            "one whose claim cannot be made",
            &with("s2", &["metadata"], &["metadata"]),
            json!({}),
            false,
        ),
        (
            "one that the user replaces by hand",
            &lacking,
            json!({"spec": {"updateStrategy": {"type": "OnDelete"}}}),
            false,
        ),
    ];
    for (what, observed, patch, goes) in table {
        assert_eq!(
            pod_without_volume(observed, &set(patch)).is_some(),
            goes,
            "{what}"
        );
    }
    let mut unread = lacking;
    unread.claims = Read::Unreadable("timed out".into());
    assert!(pod_without_volume(&unread, &set(json!({}))).is_none());
}
