//! What restarts a pod, and what does not.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

async fn pod_uid(world: &World) -> Option<String> {
    world.get::<Pod>("files-0").await.uid()
}

async fn revisions(world: &World) -> usize {
    world
        .api::<ControllerRevision>()
        .list(&ListParams::default())
        .await
        .expect("a list")
        .items
        .len()
}

/// Waits until the operator has worked through everything up to now: it answers a fresh generation.
async fn settled(world: &World) {
    let server: DittoServer = world.get("files").await;
    let generation = server.metadata.generation;
    world
        .server_until("files", "observed", |server| {
            server
                .status
                .as_ref()
                .is_some_and(|status| status.observed_generation >= generation)
        })
        .await;
    world.ready("files").await;
}

/// Edits that the running server does not read at start.
fn edits_without_restart() -> Vec<(&'static str, Value)> {
    vec![
        ("a label", json!({"metadata": {"labels": {"team": "storage"}}})),
        (
            "an annotation",
            json!({"metadata": {"annotations": {"note": "hello"}}}),
        ),
        (
            "a Service annotation",
            json!({"spec": {"service": {"annotations": {"lb": "internal"}}}}),
        ),
        (
            "the Service type",
            json!({"spec": {"service": {"type": "NodePort"}}}),
        ),
        (
            "adapter Services",
            json!({"spec": {"adapterServices": {"type": "ClusterIP"}}}),
        ),
        (
            "the polling interval",
            json!({"spec": {"adapterDiscovery": {"pollingInterval": "1m"}}}),
        ),
        (
            "a snapshot policy",
            json!({"spec": {"snapshotPolicies": [{"share": "/a", "interval": "@daily"}]}}),
        ),
    ]
}

#[tokio::test]
async fn edits_that_the_server_does_not_read_at_start_do_not_restart_the_pod() {
    let world = World::new("norestart").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let before = pod_uid(&world).await;
    for (what, edit) in edits_without_restart() {
        world.merge::<DittoServer>("files", edit).await;
        settled(&world).await;
        assert_eq!(pod_uid(&world).await, before, "{what}");
    }
    assert_eq!(revisions(&world).await, 1);
    let service: Service = world.get("files-api").await;
    assert_eq!(service.spec.and_then(|spec| spec.type_), Some("NodePort".into()));
    assert_eq!(
        service.metadata.annotations.unwrap_or_default().get("lb"),
        Some(&"internal".to_owned())
    );
}

#[tokio::test]
async fn an_annotation_that_leaves_the_spec_leaves_the_service() {
    let world = World::new("annotation").await;
    world
        .create(&fixtures::server(
            "files",
            json!({"service": {"annotations": {"a": "1", "b": "2"}}}),
        ))
        .await;
    world.ready("files").await;
    world
        .merge::<Service>("files-api", json!({"metadata": {"annotations": {"mesh": "on"}}}))
        .await;
    world
        .merge::<DittoServer>(
            "files",
            json!({"spec": {"service": {"annotations": {"a": null}}}}),
        )
        .await;
    wait::until(
        world.api::<Service>(),
        "files-api",
        "without annotation a",
        |service| {
            let annotations = service.annotations();
            !annotations.contains_key("a")
                && annotations.contains_key("b")
                && annotations.contains_key("mesh")
        },
    )
    .await;
}

#[tokio::test]
async fn a_changed_initial_admin_password_does_not_restart_the_pod_and_a_rotated_jwt_key_restarts_it_once() {
    let world = World::new("rotation").await;
    let key = "k".repeat(40);
    world
        .create(&fixtures::secret(
            "own",
            &[("jwt", &key), ("admin", "first-password")],
        ))
        .await;
    let identity = json!({"identity": {
        "jwt": {"secretRef": {"name": "own", "key": "jwt"}},
        "admin": {"passwordSecretRef": {"name": "own", "key": "admin"}},
    }});
    world.create(&fixtures::server("files", identity)).await;
    let first = world.ready("files").await;
    let before = pod_uid(&world).await;

    world
        .merge::<Secret>("own", json!({"stringData": {"admin": "second-password"}}))
        .await;
    world
        .merge::<DittoServer>(
            "files",
            json!({"spec": {"service": {"annotations": {"fence": "1"}}}}),
        )
        .await;
    settled(&world).await;
    assert_eq!(pod_uid(&world).await, before);

    world
        .merge::<Secret>("own", json!({"stringData": {"jwt": "n".repeat(40)}}))
        .await;
    let hash = first.status.and_then(|status| status.config_hash);
    world
        .server_until("files", "on the new key", |server| {
            server
                .status
                .as_ref()
                .is_some_and(|status| status.config_hash != hash)
        })
        .await;
    wait::until(world.api::<Pod>(), "files-0", "another pod", |pod| {
        pod.uid() != before
    })
    .await;
    world.ready("files").await;
    assert_eq!(revisions(&world).await, 2, "one restart");
}

#[tokio::test]
async fn ready_is_never_true_in_the_middle_of_a_rollout() {
    let world = World::new("rollout").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let edited = world
        .merge::<DittoServer>("files", json!({"spec": {"image": "example.org/dittofs:2"}}))
        .await;
    // The first Ready for the new generation: by then the StatefulSet must be through.
    let server = world.ready("files").await;
    assert!(server.metadata.generation >= edited.metadata.generation);
    let set: StatefulSet = world.get("files").await;
    let status = set.status.expect("a status");
    assert_eq!(status.updated_replicas, Some(1), "{status:?}");
    assert_eq!(status.current_revision, status.update_revision, "{status:?}");
    let pod: Pod = world.get("files-0").await;
    let image = pod
        .spec
        .and_then(|spec| spec.containers.into_iter().next()?.image);
    assert_eq!(image.as_deref(), Some("example.org/dittofs:2"));
}
