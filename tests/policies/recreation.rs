//! Policies and quotas that refuse or change the StatefulSet when it is re-created for other claim templates.

use std::time::Instant;

use dittofs_operator::api::{DittoServer, names};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PostParams};
use serde_json::{Value, json};

use super::{
    annotate, bind, cluster_api, constraints, progressing, refuse, refused, serves_mutating_policies,
};
use crate::interrupted::recreation::{
    expansion, has_fields_of_others, held, recreated, release, with_fields_of_others,
};
use crate::support::process::POLL;
use crate::support::restarts::Restarts;
use crate::support::{World, fixtures, wait};

/// Refuses every create of the StatefulSet, once the policy is in force.
async fn refuse_creates(world: &World) {
    let on_create = constraints(world, "apps", "statefulsets", &["CREATE"]);
    refuse(
        world,
        on_create,
        "object.metadata.name == 'other'",
        "no StatefulSet today",
    )
    .await;
    let probe = |set: &kube::Result<StatefulSet>| matches!(set, Err(kube::Error::Api(status)) if status.message.contains("today"));
    created_until(world, probe).await;
}

async fn allow_creates(world: &World) {
    let bindings = cluster_api(&world.client, "ValidatingAdmissionPolicyBinding");
    let deleted = bindings.delete(&world.namespace, &DeleteParams::default()).await;
    deleted.expect("deleted");
}

/// Creates a StatefulSet as a dry run until the answer is this.
async fn created_until(world: &World, holds: impl Fn(&kube::Result<StatefulSet>) -> bool) {
    let set = json!({"metadata": {"name": "probe"}, "spec": {
        "serviceName": "x", "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "m"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "3Gi"}}}}],
    }});
    let set: StatefulSet = serde_json::from_value(set).expect("a StatefulSet");
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let deadline = Instant::now() + wait::LONGEST;
    while !holds(&world.api::<StatefulSet>().create(&params, &set).await) {
        assert!(Instant::now() < deadline, "the policy comes into force");
        tokio::time::sleep(POLL).await;
    }
}

fn message(server: &DittoServer) -> String {
    let progressing = wait::condition(server, "Progressing");
    progressing
        .map(|progressing| progressing.message.clone())
        .unwrap_or_default()
}

async fn is_refused(world: &World) -> DittoServer {
    let server = world
        .server_until("files", "refused", |server| {
            progressing(server, "True", "ApplyFailed")
        })
        .await;
    assert!(
        message(&server).contains("no StatefulSet today"),
        "{}",
        message(&server)
    );
    assert!(
        wait::is(&server, "Available", "True", "MinimumReplicasAvailable"),
        "the pod serves"
    );
    server
}

#[tokio::test]
async fn a_create_that_a_policy_refuses_is_tried_again_from_the_saved_stateful_set_and_the_pod_runs_on() {
    let mut world = held("norecreate").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    refuse_creates(&world).await;
    release(&world).await;
    is_refused(&world).await;
    let saved = world.get::<ConfigMap>("files-config").await;
    assert!(saved.annotations().contains_key(names::RECREATE_ANNOTATION));
    // A restart changes nothing, nor does an edit of the configuration: it would not fit the pod that runs.
    world.stop_operator().await;
    world.start_operator().await;
    let edit = json!({"spec": {"logging": {"level": "DEBUG"}}});
    world.merge::<DittoServer>("files", edit).await;
    world.observed().await;
    is_refused(&world).await;
    assert!(world.lacks::<StatefulSet>("files").await);
    assert_eq!(world.get::<ConfigMap>("files-config").await.data, saved.data);
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod, "the pod runs on");
    let edit = json!({"spec": {"logging": null}});
    world.merge::<DittoServer>("files", edit).await;

    allow_creates(&world).await;
    let set = recreated(&world).await;
    has_fields_of_others(&set, "RollingUpdate", "refused");
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod, "the pod runs on");
}

#[tokio::test]
async fn a_stateful_set_whose_create_a_policy_would_refuse_is_not_deleted() {
    let world = World::new("notdeleted").await;
    with_fields_of_others(&world, "RollingUpdate").await;
    let (pod, set) = (
        world.get::<Pod>("files-0").await.uid(),
        world.get::<StatefulSet>("files").await.uid(),
    );
    refuse_creates(&world).await;
    world.merge::<DittoServer>("files", expansion()).await;
    is_refused(&world).await;
    assert_eq!(world.get::<StatefulSet>("files").await.uid(), set);
    allow_creates(&world).await;
    let set = recreated(&world).await;
    has_fields_of_others(&set, "RollingUpdate", "allowed");
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod, "the pod runs on");
}

#[tokio::test]
async fn a_stateful_set_is_re_created_under_a_quota_that_it_exhausts() {
    let world = World::new("countquota").await;
    with_fields_of_others(&world, "RollingUpdate").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    let quota = json!({"metadata": {"name": "team"}, "spec": {"hard": {"count/statefulsets.apps": "1"}}});
    world
        .create::<ResourceQuota>(&serde_json::from_value(quota).expect("a ResourceQuota"))
        .await;
    wait::until(world.api::<ResourceQuota>(), "team", "counted", |quota| {
        let used = quota.status.as_ref().and_then(|status| status.used.as_ref());
        used.and_then(|used| used.get("count/statefulsets.apps"))
            .is_some_and(|count| count.0 == "1")
    })
    .await;
    world.merge::<DittoServer>("files", expansion()).await;
    let set = recreated(&world).await;
    has_fields_of_others(&set, "RollingUpdate", "quota");
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod, "the pod runs on");
}

/// A server in a namespace with a policy for updates of StatefulSets.
async fn with_policy_for_updates(expression: &str, refused_edit: Value) -> World {
    let world = World::new("needscontent").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let updates = constraints(&world, "apps", "statefulsets", &["UPDATE"]);
    refuse(&world, updates, expression, "content is required").await;
    refused::<StatefulSet>(&world, "files", &Patch::Merge(refused_edit)).await;
    world
}

#[tokio::test]
async fn a_volume_is_added_with_an_edit_that_a_policy_allows_only_with_the_volume() {
    let has_content = "object.spec.volumeClaimTemplates.exists(t, t.metadata.name == 'content')";
    let policy = format!("object.spec.template == oldObject.spec.template || {has_content}");
    let edit = json!({"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}});
    for and in [json!({}), json!({"logging": {"level": "DEBUG"}})] {
        let world = with_policy_for_updates(&policy, edit.clone()).await;
        let (pod, restarts) = (world.get::<Pod>("files-0").await.uid(), Restarts::of(&world));
        let mut spec = and;
        spec["storage"] = json!({"contentSize": "1Gi"});
        world.merge::<DittoServer>("files", json!({"spec": spec})).await;
        world.pod_other_than(pod.as_deref()).await;
        world.ready("files").await;
        assert_eq!(restarts.count(), 1);
        world.get::<PersistentVolumeClaim>("content-files-0").await;
    }
}

#[tokio::test]
async fn a_stateful_set_that_a_policy_denies_as_it_is_is_not_deleted_because_it_would_hang() {
    let policy = "object.spec.volumeClaimTemplates.exists(t, t.metadata.name == 'content')";
    let world = with_policy_for_updates(policy, json!({"metadata": {"annotations": {"a": "b"}}})).await;
    let (pod, set): (Pod, StatefulSet) = (world.get("files-0").await, world.get("files").await);
    let added = json!({"spec": {"storage": {"contentSize": "1Gi"}}});
    world.merge::<DittoServer>("files", added).await;
    let server = world
        .server_until("files", "refused", |server| {
            progressing(server, "True", "ApplyFailed")
        })
        .await;
    assert!(
        message(&server).contains("content is required"),
        "{}",
        message(&server)
    );
    assert_eq!(world.get::<StatefulSet>("files").await.uid(), set.uid());
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod.uid());
    assert!(wait::is(&server, "Available", "True", "MinimumReplicasAvailable"));
}

/// Changes claim templates when a StatefulSet is created, by these JSON patches.
async fn mutate_templates(world: &World, patches: &str, changed: (&str, Value)) {
    let spec = json!({
        "matchConstraints": constraints(world, "apps", "statefulsets", &["CREATE"]),
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patches}}],
    });
    bind(world, "MutatingAdmissionPolicy", spec).await;
    created_until(world, |set| {
        let set = serde_json::to_value(set.as_ref().expect("a dry run")).expect("JSON");
        set.pointer(changed.0) == Some(&changed.1)
    })
    .await;
}

fn recreations(world: &World) -> usize {
    let writes = world.audit().writes();
    let deletes = writes
        .iter()
        .filter(|call| call.verb == "delete" && call.resource == "statefulsets");
    deletes.count()
}

const SIZE: &str = r#"JSONPatch{op: "replace", path: "/spec/volumeClaimTemplates/0/spec/resources/requests/storage", value: "1Gi"}"#;
const SIZE_AT: &str = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";
const CLASS: &str =
    r#"JSONPatch{op: "add", path: "/spec/volumeClaimTemplates/0/spec/storageClassName", value: "standard"}"#;
const CLASS_AT: &str = "/spec/volumeClaimTemplates/0/spec/storageClassName";
const MODES: &str = r#"JSONPatch{op: "replace", path: "/spec/volumeClaimTemplates/0/spec/accessModes", value: ["ReadWriteOncePod"]}"#;
const MORE: &str = r#"JSONPatch{op: "add", path: "/spec/volumeClaimTemplates/-", value: Object.spec.volumeClaimTemplates{
    metadata: Object.spec.volumeClaimTemplates.metadata{name: "audit"},
    spec: Object.spec.volumeClaimTemplates.spec{accessModes: ["ReadWriteOnce"], resources: Object.spec.volumeClaimTemplates.spec.resources{requests: {"storage": "1Gi"}}}
}}"#;

#[tokio::test]
async fn a_stateful_set_whose_claim_templates_a_policy_changes_is_recreated_once() {
    for patches in [
        format!("[{SIZE}]"),
        format!("[{SIZE}, {CLASS}, {MODES}]"),
        format!("[{SIZE}, {MORE}]"),
    ] {
        let mut world = World::new("templates").await;
        if !serves_mutating_policies(&world).await {
            return;
        }
        world.create(&fixtures::minimal("files")).await;
        world.ready("files").await;
        mutate_templates(&world, &patches, (SIZE_AT, json!("1Gi"))).await;
        world.merge::<DittoServer>("files", expansion()).await;
        let server = world
            .server_until("files", "told", |server| {
                progressing(server, "False", "FieldOverridden")
            })
            .await;
        let message = message(&server);
        assert!(message.contains("volumeClaimTemplates[0]"), "{message}");
        annotate(&world).await;
        world.stop_operator().await;
        world.start_operator().await;
        annotate(&world).await;
        assert_eq!(recreations(&world), 1, "{patches}");
        let claim: PersistentVolumeClaim = world.get("metadata-files-0").await;
        let claim = serde_json::to_value(&claim).expect("JSON");
        assert_eq!(
            claim.pointer("/spec/resources/requests/storage"),
            Some(&json!("2Gi")),
            "it is expanded"
        );
    }
}

#[tokio::test]
async fn a_stateful_set_whose_class_and_access_modes_a_policy_changes_is_recreated_once_and_then_as_desired()
{
    let world = World::new("classes").await;
    if !serves_mutating_policies(&world).await {
        return;
    }
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let patches = format!("[{CLASS}, {MODES}]");
    mutate_templates(&world, &patches, (CLASS_AT, json!("standard"))).await;
    world.merge::<DittoServer>("files", expansion()).await;
    recreated(&world).await;
    annotate(&world).await;
    assert_eq!(recreations(&world), 1);
    let server = world.ready("files").await;
    assert!(
        progressing(&server, "False", "ReconcileComplete"),
        "{}",
        message(&server)
    );
}
