//! Which policy deletes what, and when a cleanup ends.

use serde_json::json;

use super::*;
use crate::domain::testing;

const DELETE: &str = "storage: {metadataSize: 1Gi, retention: Delete}";

fn plan(spec: &str, database: DatabaseState) -> Plan {
    Plan::of(&testing::server(&format!("{{{spec}}}")), database, false)
}

// invariant: 6
#[test]
fn without_a_policy_nothing_is_deleted() {
    let server = testing::server("{percona: {enabled: true}}");
    let plan = Plan::of(&server, DatabaseState::Cluster, false);
    assert_eq!(plan, Plan::keep_all(&server));
    assert_eq!(
        (plan.claims.len(), plan.secrets.len(), plan.kept_secrets.len()),
        (0, 0, 4)
    );
}

#[test]
fn volumes_are_deleted_with_the_secrets_that_only_they_use() {
    let plan = plan(DELETE, DatabaseState::Gone);
    assert_eq!(
        plan.claims,
        ["metadata-files-0", "content-files-0", "controlplane-files-0"]
    );
    assert_eq!(plan.secrets.len(), 4);
    assert!(!plan.delete_database);
}

#[test]
fn secrets_are_kept_with_a_database_that_is_kept() {
    let own = "database: {type: postgres, postgresSecretRef: {name: db, key: x}}";
    for (spec, database) in [
        (
            format!("{DELETE}, percona: {{enabled: true}}"),
            DatabaseState::Cluster,
        ),
        // Switched off by now; the cluster exists.
        (DELETE.to_owned(), DatabaseState::Cluster),
        (format!("{DELETE}, {own}"), DatabaseState::Gone),
    ] {
        let plan = plan(&spec, database);
        assert_eq!((plan.claims.len(), plan.secrets.len()), (3, 0), "{spec}");
        assert_eq!(plan.kept_secrets.len(), 4, "{spec}");
    }
    let all = plan(
        &format!("{DELETE}, percona: {{enabled: true, deleteWithServer: true}}"),
        DatabaseState::Cluster,
    );
    assert_eq!((all.secrets.len(), all.delete_database), (4, true));
}

#[test]
fn secrets_are_kept_while_a_server_still_uses_its_own_postgresql() {
    let server = testing::server(&format!(
        "{{{DELETE}, percona: {{enabled: true, deleteWithServer: true}}}}"
    ));
    let plan = Plan::of(&server, DatabaseState::Cluster, true);
    assert_eq!(
        (plan.claims.len(), plan.secrets.len(), plan.kept_secrets.len()),
        (3, 0, 4)
    );
    assert!(plan.delete_database, "it is empty");
    assert!(
        plan.annotate_kept_secrets,
        "the annotation on the claims is deleted with them"
    );
    let own = "database: {type: postgres, postgresSecretRef: {name: db, key: x}}";
    let server = testing::server(&format!("{{{DELETE}, {own}}}"));
    assert!(
        !Plan::of(&server, DatabaseState::Gone, true).annotate_kept_secrets,
        "the spec says it"
    );
}

#[test]
fn secrets_are_kept_with_the_volumes_of_a_cluster_that_was_deleted_manually() {
    for percona in ["", ", percona: {enabled: true, deleteWithServer: true}"] {
        let plan = plan(&format!("{DELETE}{percona}"), DatabaseState::UserSecret);
        assert_eq!((plan.claims.len(), plan.secrets.len()), (3, 0), "{percona}");
        assert_eq!(plan.kept_secrets.len(), 4, "{percona}");
    }
}

// invariant: 11
#[test]
fn a_database_that_is_switched_off_is_not_deleted() {
    assert!(
        !plan(
            "percona: {enabled: false, deleteWithServer: true}",
            DatabaseState::Cluster
        )
        .delete_database
    );
}

#[test]
fn the_finalizer_is_needed_where_a_policy_deletes_and_while_the_database_is_bound() {
    let needs = |spec: &str| needs_finalizer(&testing::ready(&format!("{{{spec}}}")));
    assert!(!needs(""));
    assert!(!needs("percona: {enabled: true}"));
    assert!(needs(DELETE));
    assert!(needs("percona: {enabled: true, deleteWithServer: true}"));

    let mut observed = testing::ready("{percona: {enabled: true}}");
    let mut cluster = testing::percona("{postgresVersion: 17}", &json!({}));
    let owner = json!([{"apiVersion": "dittofs.dittofs.com/v1alpha1", "kind": "DittoServer", "name": "files",
        "uid": observed.server.uid(), "controller": true}]);
    cluster.metadata.owner_references = serde_json::from_value(owner).unwrap();
    observed.database.cluster = Read::Found(Arc::new(cluster));
    assert!(
        needs_finalizer(&observed),
        "the policy has changed, and the cluster is still bound"
    );
    observed.database.cluster = Read::Unreadable("timed out".into());
    assert!(!needs_finalizer(&observed), "as it is");
}

#[test]
fn the_finalizer_stays_while_a_secret_that_is_to_be_kept_would_be_deleted_with_the_server() {
    let mut observed = testing::ready("{}");
    let owner = json!([{"apiVersion": "dittofs.dittofs.com/v1alpha1", "kind": "DittoServer", "name": "files",
        "uid": observed.server.uid(), "controller": true}]);
    let metadata = ObjectMeta {
        owner_references: serde_json::from_value(owner).unwrap(),
        ..ObjectMeta::default()
    };
    let bound = SecretData::default().with_metadata(metadata);
    observed
        .secrets
        .insert("files-operator-credentials".into(), Read::Found(bound));
    assert!(needs_finalizer(&observed));
}

#[test]
fn the_finalizer_is_needed_while_a_pod_has_lost_its_stateful_set() {
    let pod = |metadata: Value| -> Pod { serde_json::from_value(json!({"metadata": metadata})).unwrap() };
    let labels = json!({"app": "dittofs-server", "instance": "files"});
    let lost = json!({"name": "files-0", "labels": labels});
    let mut owned = lost.clone();
    owned["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "files", "uid": "u"}]);
    let mut going = lost.clone();
    going["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let of_others = json!({"name": "files-backup", "labels": labels});

    let mut observed = testing::nothing("");
    for (metadata, is_needed) in [
        (lost.clone(), true),
        (owned, false),
        (going, false),
        (of_others, false),
    ] {
        observed.pods = Read::Found(vec![Arc::new(pod(metadata.clone()))]);
        assert_eq!(needs_finalizer(&observed), is_needed, "{metadata}");
    }
    let mut adopting = testing::running("");
    adopting.pods = Read::Found(vec![Arc::new(pod(lost))]);
    let saved = adopting.stateful_set.found().unwrap().as_ref().clone();
    let mut live = saved.clone();
    live.metadata.resource_version = Some("7".into());
    adopting.stateful_set = Read::Found(Arc::new(live.clone()));
    assert!(!needs_finalizer(&adopting), "its StatefulSet is back");
    let mut deleted = live;
    deleted.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    for away in [saved, deleted] {
        adopting.stateful_set = Read::Found(Arc::new(away));
        assert!(needs_finalizer(&adopting), "it is being re-created");
    }
    observed.pods = Read::Unreadable("timed out".into());
    assert!(!needs_finalizer(&observed), "as it is");
}

fn task(kind: &'static str, state: TaskState) -> Task {
    Task {
        kind,
        name: "x".into(),
        state,
        is_vital: false,
    }
}

fn next(tasks: Vec<Task>, seconds: u64) -> Next {
    Cleanup { tasks }.next(Duration::from_secs(seconds))
}

#[test]
fn a_claim_that_is_being_deleted_is_not_waited_for() {
    let claim = task("PersistentVolumeClaim", TaskState::Terminating);
    assert_eq!(
        next(vec![claim, task("Secret", TaskState::Requested)], 0),
        Next::RemoveFinalizer
    );
    assert_eq!(next(Vec::new(), 0), Next::RemoveFinalizer);
}

#[test]
fn the_end_of_a_database_is_waited_for_with_a_limit() {
    let database = || vec![task(PerconaPGCluster::KIND, TaskState::Terminating)];
    assert!(matches!(next(database(), 0), Next::Retry(_)));
    assert_eq!(next(database(), 58), Next::Retry(Duration::from_secs(2)));
    let end = next(database(), 60);
    assert!(matches!(end, Next::GiveUp(left) if left.contains("PerconaPGCluster x")));
}

#[test]
fn an_api_server_that_does_not_answer_gets_more_time_than_one_that_refuses() {
    let refused = || vec![task("Secret", TaskState::Refused("no".into()))];
    let unanswered = || vec![task("Secret", TaskState::Unanswered("timed out".into()))];
    assert!(matches!(next(refused(), 61), Next::GiveUp(_)));
    assert!(matches!(next(unanswered(), 61), Next::Retry(_)));
    assert!(matches!(next(unanswered(), 601), Next::GiveUp(_)));
}

#[test]
fn a_database_that_must_be_kept_and_is_still_bound_keeps_the_server() {
    let bound = Task {
        is_vital: true,
        ..task(PerconaPGCluster::KIND, TaskState::Refused("no".into()))
    };
    assert!(matches!(next(vec![bound.clone()], 10_000), Next::Retry(pause) if !pause.is_zero()));
    let released = Task {
        state: TaskState::Kept,
        ..bound
    };
    assert_eq!(next(vec![released], 0), Next::RemoveFinalizer);
}

#[test]
fn a_cluster_that_is_kept_loses_only_what_binds_it_to_the_server() {
    let server = testing::server("{}");
    let ours = json!({"apiVersion": "dittofs.dittofs.com/v1alpha1", "kind": "DittoServer", "name": "files",
        "uid": server.uid(), "controller": true});
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"});
    let metadata = |owners: Value| -> ObjectMeta {
        let finalizers = [
            percona::REMOVAL_FINALIZERS[0],
            "theirs",
            percona::REMOVAL_FINALIZERS[1],
        ];
        serde_json::from_value(json!({"ownerReferences": owners, "finalizers": finalizers})).unwrap()
    };
    let kept = kept_cluster_metadata(&metadata(json!([other, ours])), &server);
    assert_eq!(
        (&kept["ownerReferences"], &kept["finalizers"]),
        (&json!([other]), &json!(["theirs"]))
    );
    let labelled: ObjectMeta = serde_json::from_value(json!({"labels": kept["labels"]})).unwrap();
    assert_eq!(
        owner(&labelled, &server),
        Owner::Orphan,
        "a server of the same name can use it again"
    );

    let mut bound = ours.clone();
    bound["controller"] = json!(false);
    let kept = kept_cluster_metadata(&metadata(json!([bound])), &server);
    assert_eq!(kept["ownerReferences"], json!([]));
    assert_eq!(
        kept.get("labels"),
        None,
        "a cluster that we never controlled does not become ours"
    );
}

#[test]
fn the_finalizers_of_percona_are_added_to_the_existing_ones() {
    let mut cluster = testing::percona("{postgresVersion: 17}", &json!({}));
    cluster.metadata.finalizers = Some(vec!["theirs".into(), percona::REMOVAL_FINALIZERS[0].into()]);
    let finalizers = missing_removal_finalizers(&cluster.metadata).unwrap();
    assert_eq!(
        finalizers,
        [
            "theirs",
            percona::REMOVAL_FINALIZERS[0],
            percona::REMOVAL_FINALIZERS[1]
        ]
    );
    cluster.metadata.finalizers = Some(finalizers);
    assert_eq!(missing_removal_finalizers(&cluster.metadata), None);
}

#[test]
fn volumes_wait_for_uploads_without_a_time_limit() {
    let cleanup = Cleanup::waiting("files", "the server uploads".into());
    assert_eq!(
        cleanup.pending().as_deref(),
        Some("the volumes of files (the server uploads)")
    );
    for age in [Duration::ZERO, TIMEOUT, TIMEOUT_UNANSWERED * 100] {
        assert!(matches!(cleanup.next(age), Next::Retry(_)), "{age:?}");
    }
}
