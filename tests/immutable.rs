//! Objects that somebody made immutable.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::ResourceExt;
use serde_json::json;

use crate::support::restarts::Restarts;
use crate::support::{World, fixtures, wait};

#[tokio::test]
async fn an_immutable_configuration_is_created_again_with_what_others_set_on_it() {
    let world = World::new("immutable").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let restarts = Restarts::of(&world);
    let frozen =
        json!({"immutable": true, "metadata": {"annotations": {"mesh": "on"}}, "data": {"theirs": "1"}});
    let before = world.merge::<ConfigMap>("files-config", frozen).await;
    let edit = json!({"spec": {"logging": {"level": "DEBUG"}}});
    world.merge::<DittoServer>("files", edit).await;
    world.ready("files").await;
    let after: ConfigMap = world.get("files-config").await;
    let data = after.data.clone().unwrap_or_default();
    assert!(data["config.yaml"].contains("DEBUG"));
    assert_ne!(after.uid(), before.uid());
    assert_ne!(after.immutable, Some(true));
    assert_eq!(restarts.count(), 1);

    // What others set is still theirs, so the next change keeps it.
    let edit = json!({"spec": {"logging": {"level": "WARN"}}});
    world.merge::<DittoServer>("files", edit).await;
    world.ready("files").await;
    let last: ConfigMap = world.get("files-config").await;
    assert_eq!(last.uid(), after.uid(), "it is updated in place again");
    assert!(last.annotations().contains_key("mesh"));
    assert_eq!(
        last.data.unwrap_or_default().get("theirs").map(String::as_str),
        Some("1")
    );
}

#[tokio::test]
async fn an_immutable_secret_is_never_deleted_and_the_condition_says_how_to_rotate_it() {
    let world = World::new("immutablesecret").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let secret = "files-jwt-secret";
    let before = world.merge::<Secret>(secret, json!({"immutable": true})).await;
    let pod = world.get::<Pod>("files-0").await.uid();
    let request =
        |value: &str| json!({"metadata": {"annotations": {"dittofs.dittofs.com/rotate-secrets": value}}});
    world.merge::<DittoServer>("files", request("monday")).await;
    let server = world
        .server_until("files", "reported", |server| {
            wait::condition(server, "ConfigReady").is_some_and(|ready| ready.message.contains("is immutable"))
        })
        .await;
    let message = &wait::condition(&server, "ConfigReady")
        .expect("a condition")
        .message;
    for part in [secret, "never deletes", "kubectl delete secret", "rotate-secrets"] {
        assert!(message.contains(part), "{message}");
    }
    let after: Secret = world.get(secret).await;
    assert_eq!((after.uid(), &after.data), (before.uid(), &before.data));
    assert_eq!(
        world.get::<Pod>("files-0").await.uid(),
        pod,
        "the server keeps its key"
    );

    world.delete::<Secret>(secret).await;
    wait::until(
        world.api::<Secret>(),
        secret,
        "generated for the request",
        |new| new.uid() != before.uid() && new.data != before.data,
    )
    .await;
    world.ready("files").await;
}
