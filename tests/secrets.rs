//! Secrets that are created late, change, are deleted, or would crash the server.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

fn own_jwt() -> Value {
    json!({"identity": {"jwt": {"secretRef": {"name": "own", "key": "jwt"}}}})
}

fn good_key() -> String {
    "k".repeat(32)
}

/// Whether `ConfigReady` is not True and its message names both.
fn names(server: &DittoServer, secret: &str, key: &str) -> bool {
    wait::condition(server, "ConfigReady").is_some_and(|ready| {
        ready.status != "True" && ready.message.contains(secret) && ready.message.contains(key)
    })
}

#[tokio::test]
async fn a_missing_secret_is_named_and_used_once_it_exists() {
    let world = World::new("late").await;
    world.create(&fixtures::server("files", own_jwt())).await;
    world
        .server_until("files", "waiting for the Secret", |server| {
            names(server, "own", "jwt")
        })
        .await;
    assert!(
        world
            .api::<StatefulSet>()
            .get_opt("files")
            .await
            .expect("a read")
            .is_none(),
        "no pod is started without it"
    );

    world.create(&fixtures::secret("own", &[("other", "x")])).await;
    world
        .server_until("files", "waiting for the key", |server| {
            names(server, "own", "jwt") && !wait::is(server, "ConfigReady", "False", "SecretNotFound")
        })
        .await;
    world
        .merge::<Secret>("own", json!({"stringData": {"jwt": good_key()}}))
        .await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_secret_value_that_would_crash_the_server_is_reported_and_restarts_no_pod() {
    let world = World::new("short").await;
    world
        .create(&fixtures::secret("own", &[("jwt", &good_key())]))
        .await;
    world.create(&fixtures::server("files", own_jwt())).await;
    world.ready("files").await;
    let before = world.get::<Pod>("files-0").await.uid();

    world
        .merge::<Secret>("own", json!({"stringData": {"jwt": "too-short"}}))
        .await;
    let server = world
        .server_until("files", "refusing the key", |server| names(server, "own", "jwt"))
        .await;
    let message = &wait::condition(&server, "ConfigReady")
        .expect("a condition")
        .message;
    assert!(message.contains("32"), "the remedy is named: {message}");
    assert!(!message.contains("too-short"), "the value is not: {message}");
    assert_eq!(
        world.get::<Pod>("files-0").await.uid(),
        before,
        "the running pod is left alone"
    );

    world
        .merge::<Secret>("own", json!({"stringData": {"jwt": "x".repeat(64)}}))
        .await;
    world.pod_other_than(before.as_deref()).await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_deleted_secret_does_not_restart_the_pod_and_neither_does_the_same_value_again() {
    let world = World::new("gone").await;
    world
        .create(&fixtures::secret("own", &[("jwt", &good_key())]))
        .await;
    world.create(&fixtures::server("files", own_jwt())).await;
    world.ready("files").await;
    let before = world.get::<Pod>("files-0").await.uid();
    world.delete::<Secret>("own").await;
    world
        .server_until("files", "missing the Secret", |server| {
            names(server, "own", "jwt")
        })
        .await;
    world
        .create(&fixtures::secret("own", &[("jwt", &good_key())]))
        .await;
    world.ready("files").await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), before);
}

#[tokio::test]
async fn a_stopped_server_can_be_scaled_while_its_secret_is_missing() {
    let world = World::new("scalebroken").await;
    world
        .create(&fixtures::secret("own", &[("jwt", &good_key())]))
        .await;
    world.create(&fixtures::server("files", own_jwt())).await;
    world.ready("files").await;
    world.delete::<Secret>("own").await;
    world
        .server_until("files", "missing the Secret", |server| {
            names(server, "own", "jwt")
        })
        .await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"replicas": 0}}))
        .await;
    wait::until(world.api::<StatefulSet>(), "files", "scaled down", |set| {
        set.spec.as_ref().is_some_and(|spec| spec.replicas == Some(0))
    })
    .await;
}

#[tokio::test]
async fn a_generated_secret_is_not_generated_again_while_its_server_exists() {
    let world = World::new("managed").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let secret: Secret = world.get("files-jwt-secret").await;
    world.delete::<Secret>("files-jwt-secret").await;
    world
        .server_until("files", "missing it", |server| {
            names(server, "files-jwt-secret", "jwt-secret")
        })
        .await;
    assert!(
        world
            .api::<Secret>()
            .get_opt("files-jwt-secret")
            .await
            .expect("a read")
            .is_none()
    );

    let restored = Secret {
        metadata: kube::api::ObjectMeta {
            name: Some("files-jwt-secret".into()),
            ..kube::api::ObjectMeta::default()
        },
        data: secret.data,
        ..Secret::default()
    };
    let before = world.get::<Pod>("files-0").await.uid();
    world.create(&restored).await;
    world.ready("files").await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), before);
}

#[tokio::test]
async fn a_recreated_server_uses_the_generated_secrets_of_its_predecessor() {
    let world = World::new("again").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let before = world.get::<Secret>("files-admin-bootstrap-credentials").await;
    let server: DittoServer = world.get("files").await;
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let after = world.get::<Secret>("files-admin-bootstrap-credentials").await;
    assert_eq!(after.uid(), before.uid());
    assert_eq!(after.data, before.data);
}
