//! What restarts a pod, and what does not.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::{World, fixtures, restarts::Restarts, wait};

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

/// Waits until the operator has handled everything up to now: it observes a new generation.
async fn settled(world: &World) {
    world.observed().await;
    world.ready("files").await;
}

/// Waits until the operator has acted on everything up to now: it handles an edit that comes after it.
async fn fenced(world: &World, fence: usize) {
    let edit = json!({"spec": {"service": {"annotations": {"fence": fence.to_string()}}}});
    world.merge::<DittoServer>("files", edit).await;
    wait::until(world.api::<Service>(), "files-api", "fenced", |service| {
        service.annotations().get("fence") == Some(&fence.to_string())
    })
    .await;
    settled(world).await;
}

/// Twenty edits that change nothing that the running server reads at start. They build on each other.
fn edits_without_restart() -> Vec<(&'static str, Value)> {
    let spec = |spec: Value| json!({"spec": spec});
    vec![
        ("a label", json!({"metadata": {"labels": {"team": "storage"}}})),
        (
            "an annotation",
            json!({"metadata": {"annotations": {"note": "hello"}}}),
        ),
        ("a label less", json!({"metadata": {"labels": {"team": null}}})),
        (
            "a Service annotation",
            spec(json!({"service": {"annotations": {"lb": "internal"}}})),
        ),
        ("the Service type", spec(json!({"service": {"type": "NodePort"}}))),
        (
            "a Service annotation less",
            spec(json!({"service": {"annotations": {"lb": null}}})),
        ),
        (
            "adapter Services",
            spec(json!({"adapterServices": {"type": "ClusterIP"}})),
        ),
        (
            "annotations of adapter Services",
            spec(json!({"adapterServices": {"annotations": {"a": "b"}}})),
        ),
        (
            "the polling interval",
            spec(json!({"adapterDiscovery": {"pollingInterval": "1m"}})),
        ),
        (
            "a snapshot policy",
            spec(json!({"snapshotPolicies": [{"share": "/a", "interval": "@daily"}]})),
        ),
        ("no snapshot policy", spec(json!({"snapshotPolicies": null}))),
        (
            "the progress deadline",
            spec(json!({"progressDeadlineSeconds": 300})),
        ),
        ("the retention", spec(json!({"storage": {"retention": "Delete"}}))),
        ("the default number of replicas", spec(json!({"replicas": 1}))),
        (
            "the default log level",
            spec(json!({"logging": {"level": "INFO"}})),
        ),
        ("the default port", spec(json!({"controlPlane": {"port": 8080}}))),
        (
            "the default token duration",
            spec(
                json!({"identity": {"jwt": {"accessTokenDuration": "15m", "secretRef": {"name": "own", "key": "jwt"}}}}),
            ),
        ),
        ("empty resources", spec(json!({"resources": {}}))),
        (
            "metrics that stay off",
            spec(json!({"metrics": {"enabled": false, "port": 9999}})),
        ),
        (
            "a database cluster that stays off",
            spec(json!({"percona": {"enabled": false, "replicas": 3}})),
        ),
    ]
}

/// Five edits of what the running server reads at start.
fn edits_with_restart() -> Vec<(&'static str, Value)> {
    let spec = |spec: Value| json!({"spec": spec});
    vec![
        ("the image", spec(json!({"image": "example.org/dittofs:2"}))),
        ("the log level", spec(json!({"logging": {"level": "DEBUG"}}))),
        (
            "the resources",
            spec(json!({"resources": {"requests": {"memory": "64Mi"}}})),
        ),
        ("metrics", spec(json!({"metrics": {"enabled": true}}))),
        ("the API port", spec(json!({"controlPlane": {"port": 8081}}))),
    ]
}

/// A server with a signing key of the user.
async fn with_own_key(world: &World) {
    world
        .create(&fixtures::secret("own", &[("jwt", &"k".repeat(40))]))
        .await;
    let identity = json!({"identity": {"jwt": {"secretRef": {"name": "own", "key": "jwt"}}}});
    world.create(&fixtures::server("files", identity)).await;
    world.ready("files").await;
}

// invariant: 4
#[tokio::test]
async fn twenty_edits_that_the_server_does_not_read_at_start_restart_nothing() {
    let mut world = World::new("norestart").await;
    with_own_key(&world).await;
    let restarts = Restarts::of(&world);
    let edits = edits_without_restart();
    assert_eq!(edits.len(), 20);
    for (number, (what, edit)) in edits.into_iter().enumerate() {
        world.merge::<DittoServer>("files", edit).await;
        fenced(&world, number).await;
        assert_eq!(restarts.count(), 0, "{what}");
    }
    // A new operator process does not restart it either.
    world.stop_operator().await;
    world.start_operator().await;
    fenced(&world, 100).await;
    assert_eq!((restarts.count(), revisions(&world).await), (0, 1));
    let service: Service = world.get("files-api").await;
    assert_eq!(service.spec.and_then(|spec| spec.type_), Some("NodePort".into()));
}

// invariant: 4
#[tokio::test]
async fn five_edits_that_the_server_reads_at_start_restart_it_once_each() {
    let world = World::new("restart").await;
    with_own_key(&world).await;
    let restarts = Restarts::of(&world);
    let edits = edits_with_restart();
    assert_eq!(edits.len(), 5);
    for (number, (what, edit)) in edits.into_iter().enumerate() {
        world.merge::<DittoServer>("files", edit).await;
        world.ready("files").await;
        fenced(&world, number).await;
        assert_eq!(restarts.count(), number + 1, "{what}");
        assert_eq!(revisions(&world).await, number + 2, "{what}");
    }
}

#[tokio::test]
async fn an_annotation_removed_from_the_spec_is_removed_from_the_service() {
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

// invariant: 4
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
    world.pod_other_than(before.as_deref()).await;
    world.ready("files").await;
    assert_eq!(revisions(&world).await, 2, "one restart");
}

#[tokio::test]
async fn ready_is_never_true_during_a_rollout() {
    let world = World::new("rollout").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let edited = world
        .merge::<DittoServer>("files", json!({"spec": {"image": "example.org/dittofs:2"}}))
        .await;
    // The first Ready for the new generation: by then the rollout of the StatefulSet must be complete.
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
