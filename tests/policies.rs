//! Admission policies and other programs that change or refuse what the operator writes.

mod pods;
mod recreation;
mod takeover;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::support::process::POLL;
use crate::support::{World, audit, fixtures, wait};

const GROUP: &str = "admissionregistration.k8s.io";

fn cluster_api(client: &Client, kind: &str) -> Api<DynamicObject> {
    Api::all_with(
        client.clone(),
        &ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1", kind)),
    )
}

/// A rule for this namespace's objects of one kind.
fn constraints(world: &World, group: &str, resource: &str, operations: &[&str]) -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "resourceRules": [{"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "operations": operations}],
    })
}

async fn bind(world: &World, kind: &str, spec: Value) {
    let binding = format!("{kind}Binding");
    let name = &world.namespace;
    let mut bound = json!({"policyName": name});
    if kind.starts_with("Validating") {
        bound["validationActions"] = json!(["Deny"]);
    }
    for (kind, spec) in [(kind, spec), (binding.as_str(), bound)] {
        let object = json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": name}, "spec": spec});
        let object = serde_json::from_value(object).expect("a policy");
        let api = cluster_api(&world.client, kind);
        api.create(&PostParams::default(), &object)
            .await
            .expect("a policy");
    }
}

/// Whether the API server serves the kind `MutatingAdmissionPolicy` in version v1, as Kubernetes 1.36 and later do. Otherwise, prints that
/// the test is skipped.
async fn serves_mutating_policies(world: &World) -> bool {
    let kind = GroupVersionKind::gvk(GROUP, "v1", "MutatingAdmissionPolicy");
    let is_served = kube::discovery::pinned_kind(&world.client, &kind).await.is_ok();
    if !is_served {
        println!("skipped: the API server does not serve {GROUP}/v1 MutatingAdmissionPolicy");
    }
    is_served
}

/// Changes objects by this merge (CEL), once the policy is in force.
async fn mutate(world: &World, constraints: Value, expression: &str) {
    let spec = json!({
        "matchConstraints": constraints,
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    });
    bind(world, "MutatingAdmissionPolicy", spec).await;
}

async fn refuse(world: &World, constraints: Value, expression: &str, message: &str) {
    let spec = json!({
        "matchConstraints": constraints,
        "failurePolicy": "Fail",
        "validations": [{"expression": expression, "message": message}],
    });
    bind(world, "ValidatingAdmissionPolicy", spec).await;
}

/// Waits until a dry run of this merge patch gives what `holds`.
async fn in_force<K: crate::support::Kind>(
    world: &World,
    name: &str,
    holds: impl Fn(kube::Result<K>) -> bool,
) {
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"probe": "1"}}}));
    let deadline = Instant::now() + wait::LONGEST;
    while !holds(world.api::<K>().patch(name, &params, &patch).await) {
        assert!(Instant::now() < deadline, "the policy comes into force");
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until a dry run of this patch is refused.
async fn refused<K: crate::support::Kind>(world: &World, name: &str, patch: &Patch<Value>) {
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let deadline = Instant::now() + wait::LONGEST;
    while world.api::<K>().patch(name, &params, patch).await.is_ok() {
        assert!(Instant::now() < deadline, "the policy comes into force");
        tokio::time::sleep(POLL).await;
    }
}

fn image(set: &StatefulSet) -> Option<&str> {
    let pod = set.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.first()?.image.as_deref()
}

fn writes(world: &World, resource: &str) -> usize {
    let calls = world.audit().writes();
    calls
        .iter()
        .filter(|call: &&audit::Call| call.resource == resource)
        .count()
}

fn progressing(server: &DittoServer, status: &str, reason: &str) -> bool {
    wait::is(server, "Progressing", status, reason)
}

/// Has the operator reconcile the server four times.
async fn annotate(world: &World) {
    for round in 0..4 {
        let patch = json!({"metadata": {"annotations": {"round": round.to_string()}}});
        world.merge::<DittoServer>("files", patch).await;
        fence(world).await;
    }
}

/// Makes one edit that changes no child, and waits until the operator has handled it, and everything before.
async fn fence(world: &World) {
    static NEXT: AtomicU32 = AtomicU32::new(31);
    let interval = format!("{}s", NEXT.fetch_add(1, Ordering::Relaxed));
    let edit = json!({"spec": {"adapterDiscovery": {"pollingInterval": interval}}});
    world.merge::<DittoServer>("files", edit).await;
    world.observed().await;
}

const MIRROR: &str = r#"Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [
    Object.spec.template.spec.containers{name: "dittofs", image: "mirror.example.org/dittofs:1"}]}}}}"#;

#[tokio::test]
async fn a_field_that_a_policy_rewrites_is_written_once_and_named() {
    let mut world = World::new("mirror").await;
    if !serves_mutating_policies(&world).await {
        return;
    }
    world.create(&fixtures::with_image("example.org/dittofs:1")).await;
    world.ready("files").await;
    mutate(
        &world,
        constraints(&world, "apps", "statefulsets", &["CREATE", "UPDATE"]),
        MIRROR,
    )
    .await;
    in_force::<StatefulSet>(&world, "files", |set| {
        set.is_ok_and(|set| image(&set) == Some("mirror.example.org/dittofs:1"))
    })
    .await;
    let edit = json!({"spec": {"terminationGracePeriodSeconds": 61}});
    world.merge::<DittoServer>("files", edit).await;
    let server = world
        .server_until("files", "told", |server| {
            progressing(server, "False", "FieldOverridden")
        })
        .await;
    let message = wait::condition(&server, "Progressing")
        .map(|told| told.message.clone())
        .unwrap_or_default();
    assert!(
        message.contains("spec.template.spec.containers[dittofs].image"),
        "{message}"
    );
    world.ready("files").await;
    assert!(world.event_note("FieldOverridden").await.contains("image"));
    let before = writes(&world, "statefulsets");
    annotate(&world).await;
    world.stop_operator().await;
    world.start_operator().await;
    annotate(&world).await;
    assert_eq!(
        writes(&world, "statefulsets"),
        before,
        "nothing was written again"
    );
    let pause = json!({"metadata": {"annotations": {"dittofs.dittofs.com/paused": "true"}}});
    world.merge::<DittoServer>("files", pause).await;
    world
        .server_until("files", "paused", |server| progressing(server, "False", "Paused"))
        .await;
    assert_eq!(world.all_notes("FieldOverridden").await.len(), 1);
}

#[tokio::test]
async fn a_label_of_a_service_that_a_policy_rewrites_is_written_once() {
    let world = World::new("label").await;
    if !serves_mutating_policies(&world).await {
        return;
    }
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let expression = r#"Object{metadata: Object.metadata{labels: {"instance": "team"}}}"#;
    let mut constraints = constraints(&world, "", "services", &["CREATE", "UPDATE"]);
    constraints["resourceRules"][0]["resourceNames"] = json!(["files-api"]);
    mutate(&world, constraints, expression).await;
    in_force::<Service>(&world, "files-api", |service| {
        service.is_ok_and(|service| {
            service
                .labels()
                .get("instance")
                .is_some_and(|value| value == "team")
        })
    })
    .await;
    let edit = json!({"spec": {"service": {"annotations": {"a": "1"}}}});
    world.merge::<DittoServer>("files", edit).await;
    world
        .server_until("files", "reported", |server| {
            progressing(server, "False", "FieldOverridden")
        })
        .await;
    let before = writes(&world, "services");
    annotate(&world).await;
    assert_eq!(writes(&world, "services"), before);
}

#[tokio::test]
async fn a_field_that_another_program_sets_again_and_again_is_corrected_with_growing_pauses() {
    let world = World::new("fight").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let before = writes(&world, "statefulsets");
    let params = PatchParams {
        field_manager: Some("tuner".into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}));
    let api = world.api::<StatefulSet>();
    let end = Instant::now() + Duration::from_secs(15);
    while Instant::now() < end {
        api.patch("files", &params, &patch).await.expect("a patch");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let server = world.get::<DittoServer>("files").await;
    let message = wait::condition(&server, "Progressing")
        .map(|told| told.message.clone())
        .unwrap_or_default();
    for wanted in ["tuner", "spec.template.spec.terminationGracePeriodSeconds"] {
        assert!(message.contains(wanted), "{message}");
    }
    let corrections = writes(&world, "statefulsets") - before;
    assert!(corrections <= 12, "{corrections} corrections");
    assert!(world.event_note("FieldConflict").await.contains("tuner"));
    world.ready("files").await;
    let set: StatefulSet = world.get("files").await;
    let pod = set.spec.and_then(|spec| spec.template.spec).expect("a pod");
    assert_ne!(pod.termination_grace_period_seconds, Some(7));
}

#[tokio::test]
async fn a_volume_is_added_where_a_policy_forbids_empty_directories() {
    let world = World::new("noempty").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let pod: Pod = world.get("files-0").await;
    let expression = "!has(object.spec.template.spec.volumes) || object.spec.template.spec.volumes.all(v, !has(v.emptyDir))";
    refuse(
        &world,
        constraints(&world, "apps", "statefulsets", &["CREATE", "UPDATE"]),
        expression,
        "no emptyDir",
    )
    .await;
    let empty = json!({"spec": {"template": {"spec": {"volumes": [{"name": "empty", "emptyDir": {}}]}}}});
    refused::<StatefulSet>(&world, "files", &Patch::Strategic(empty)).await;
    let added = json!({"spec": {"storage": {"contentSize": "1Gi"}}});
    world.merge::<DittoServer>("files", added).await;
    let after = world.pod_other_than(pod.uid().as_deref()).await;
    world.ready("files").await;
    let last: Pod = world.get("files-0").await;
    assert_eq!(last.uid(), after.uid(), "one restart");
    let mounts = last.spec.expect("a spec").containers[0]
        .volume_mounts
        .clone()
        .unwrap_or_default();
    assert!(mounts.iter().any(|mount| mount.name == "content"));
}
