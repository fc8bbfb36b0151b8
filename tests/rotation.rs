//! Generated Secrets: they are rotated only on request, and what happens when one is lost.

use dittofs_operator::api::DittoServer;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{World, fixtures, wait};

const JWT: &str = "files-jwt-secret";
const ADMIN: &str = "files-admin-bootstrap-credentials";

fn request(value: &str) -> Value {
    json!({"metadata": {"annotations": {"dittofs.dittofs.com/rotate-secrets": value}}})
}

async fn key(world: &World, secret: &str) -> Option<std::collections::BTreeMap<String, ByteString>> {
    world.get::<Secret>(secret).await.data
}

async fn revisions(world: &World) -> usize {
    let params = ListParams::default();
    let revisions = world.api::<ControllerRevision>().list(&params).await;
    revisions.expect("a list").items.len()
}

/// Waits until the operator has handled everything up to now, and the server is Ready.
async fn settled(world: &World, fence: &str) {
    let edit = json!({"spec": {"service": {"annotations": {"fence": fence}}}});
    world.merge::<DittoServer>("files", edit).await;
    world.ready("files").await;
}

/// Whether the Secret was generated for this request.
fn answers(secret: &Secret, value: &str) -> bool {
    secret
        .annotations()
        .get("dittofs.io/rotated-for")
        .is_some_and(|answered| answered == value)
}

async fn rotated(world: &World, value: &str) -> Secret {
    wait::until(world.api::<Secret>(), JWT, "rotated", |secret| {
        answers(secret, value)
    })
    .await
}

#[tokio::test]
async fn a_rotation_request_generates_one_new_key_and_causes_one_restart() {
    let mut world = World::new("rotate").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let (before, admin) = (world.get::<Secret>(JWT).await, key(&world, ADMIN).await);
    let pod = world.get::<Pod>("files-0").await.uid();

    world.merge::<DittoServer>("files", request("monday")).await;
    let after = rotated(&world, "monday").await;
    assert_eq!(after.uid(), before.uid(), "the same Secret");
    assert_ne!(after.data, before.data);
    world.pod_other_than(pod.as_deref()).await;
    settled(&world, "1").await;
    assert_eq!(revisions(&world).await, 2, "one restart");

    world.stop_operator().await;
    world.start_operator().await;
    world
        .merge::<DittoServer>(
            "files",
            json!({"metadata": {"annotations": {"dittofs.dittofs.com/rotate-secrets": null}}}),
        )
        .await;
    settled(&world, "2").await;
    world.merge::<DittoServer>("files", request("monday")).await;
    settled(&world, "3").await;
    assert_eq!(
        key(&world, JWT).await,
        after.data,
        "the same value is the same request"
    );
    assert_eq!(revisions(&world).await, 2);
    assert_eq!(
        key(&world, ADMIN).await,
        admin,
        "the first password is not rotated"
    );

    world.merge::<DittoServer>("files", request("tuesday")).await;
    assert_ne!(rotated(&world, "tuesday").await.data, after.data);
    settled(&world, "4").await;
    assert_eq!(revisions(&world).await, 3);
}

#[tokio::test]
async fn a_key_of_the_user_is_never_rotated() {
    let world = World::new("ownkey").await;
    world
        .create(&fixtures::secret("own", &[("jwt", &"k".repeat(32))]))
        .await;
    let spec = json!({"identity": {"jwt": {"secretRef": {"name": "own", "key": "jwt"}}}});
    world.create(&fixtures::server("files", spec)).await;
    world.ready("files").await;
    let before = world.get::<Secret>("own").await.resource_version();
    world.merge::<DittoServer>("files", request("monday")).await;
    settled(&world, "1").await;
    assert_eq!(world.get::<Secret>("own").await.resource_version(), before);
    assert_eq!(revisions(&world).await, 1);
}

#[tokio::test]
async fn an_operator_killed_at_any_write_of_a_rotation_rotates_once() {
    for moment in ["asked", "written", "rolling"] {
        let world = World::without_operator("rotatekilled").await;
        let operator = Process::start(&world, &[]).await;
        world.create(&fixtures::minimal("files")).await;
        let ready = world.ready("files").await;
        let before = key(&world, JWT).await;
        let hash = ready.status.and_then(|status| status.config_hash);
        world.merge::<DittoServer>("files", request("monday")).await;
        match moment {
            "written" => drop(rotated(&world, "monday").await),
            "rolling" => drop(
                wait::until(world.api::<StatefulSet>(), "files", "of another hash", |set| {
                    let set = serde_json::to_value(set).unwrap_or_default();
                    let live = &set["spec"]["template"]["metadata"]["annotations"]["dittofs.io/config-hash"];
                    live.as_str() != hash.as_deref()
                })
                .await,
            ),
            _ => {}
        }
        drop(operator);
        let at_kill = world.get::<Secret>(JWT).await;

        let _operator = Process::start(&world, &[]).await;
        let at_end = rotated(&world, "monday").await;
        settled(&world, "1").await;
        assert_ne!(at_end.data, before, "killed when {moment}");
        if answers(&at_kill, "monday") {
            assert_eq!(
                at_end.data, at_kill.data,
                "not rotated twice, killed when {moment}"
            );
        }
        assert_eq!(key(&world, JWT).await, at_end.data, "killed when {moment}");
        assert_eq!(revisions(&world).await, 2, "one restart, killed when {moment}");
    }
}

// invariant: 16
#[tokio::test]
async fn a_deleted_key_is_generated_again_only_on_request() {
    let world = World::new("lostkey").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    world.delete::<Secret>(JWT).await;
    let server = lost(&world).await;
    let message = &wait::condition(&server, "ConfigReady")
        .expect("a condition")
        .message;
    assert!(
        message.contains("rotate-secrets") && message.contains(JWT),
        "the way out is reported: {message}"
    );
    assert_eq!(
        world.get::<Pod>("files-0").await.uid(),
        pod,
        "the running pod is left alone"
    );

    world.merge::<DittoServer>("files", request("monday")).await;
    rotated(&world, "monday").await;
    settled(&world, "1").await;
    assert_eq!(revisions(&world).await, 2, "one restart");

    world.delete::<Secret>(JWT).await;
    lost(&world).await;
    assert_eq!(revisions(&world).await, 2, "that request has had its key");
}

async fn lost(world: &World) -> DittoServer {
    world
        .server_until("files", "missing its key", |server| {
            wait::is(server, "ConfigReady", "False", "ManagedSecretLost")
        })
        .await
}

// invariant: 16
#[tokio::test]
async fn no_deleted_secret_is_generated_again_while_volumes_exist() {
    let world = World::new("lostpassword").await;
    world.create(&fixtures::minimal("files")).await;
    let old = world.ready("files").await;
    let set = world.get::<StatefulSet>("files").await.uid();
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", old.uid()).await;
    wait::until_gone(world.api::<StatefulSet>(), "files", set).await;
    let before = key(&world, JWT).await;
    world.delete::<Secret>(ADMIN).await;

    world.create(&fixtures::minimal("files")).await;
    let second = world.ready("files").await;
    assert_eq!(key(&world, JWT).await, before, "adopted again");
    let admin = world.api::<Secret>().get_opt(ADMIN).await.expect("a read");
    assert!(admin.is_none(), "the volume knows another password");

    let set = world.get::<StatefulSet>("files").await.uid();
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", second.uid()).await;
    wait::until_gone(world.api::<StatefulSet>(), "files", set).await;
    world.delete::<Secret>(JWT).await;
    world.create(&fixtures::minimal("files")).await;
    lost(&world).await;
    world.merge::<DittoServer>("files", request("monday")).await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_rotation_request_in_a_recreated_server_is_fulfilled() {
    let world = World::new("recreated").await;
    world.create(&fixtures::minimal("files")).await;
    let server = world.ready("files").await;
    let (set, before) = (
        world.get::<StatefulSet>("files").await.uid(),
        world.get::<Secret>(JWT).await,
    );
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    wait::until_gone(world.api::<StatefulSet>(), "files", set).await;

    let mut again = fixtures::minimal("files");
    again
        .annotations_mut()
        .insert("dittofs.dittofs.com/rotate-secrets".into(), "1".into());
    world.create(&again).await;
    let after = rotated(&world, "1").await;
    assert_eq!(after.uid(), before.uid(), "the same Secret");
    assert_ne!(after.data, before.data);
    world.ready("files").await;
    settled(&world, "1").await;
    assert_eq!(key(&world, JWT).await, after.data, "one new key");
    assert_eq!(revisions(&world).await, 1, "the pod starts with it");
}

#[tokio::test]
async fn a_server_with_a_key_of_the_user_may_change_to_a_generated_key() {
    let world = World::new("owntomanaged").await;
    world
        .create(&fixtures::secret("own", &[("jwt", &"k".repeat(32))]))
        .await;
    let spec = json!({"identity": {"jwt": {"secretRef": {"name": "own", "key": "jwt"}}}});
    world.create(&fixtures::server("files", spec)).await;
    world.ready("files").await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"identity": {"jwt": null}}}))
        .await;
    let _ = wait::until(world.api::<Secret>(), JWT, "there", |_| true).await;
    settled(&world, "1").await;
    assert_eq!(revisions(&world).await, 2, "one restart");
}

#[tokio::test]
async fn volumes_that_were_restored_without_labels_count_as_data() {
    let world = World::new("restored").await;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "controlplane-files-0"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
            "resources": {"requests": {"storage": "1Gi"}}},
    });
    let claim: PersistentVolumeClaim = serde_json::from_value(claim).expect("a claim");
    world.create(&claim).await;
    world
        .create(&fixtures::secret(JWT, &[("jwt-secret", &"k".repeat(43))]))
        .await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let admin = world.api::<Secret>().get_opt(ADMIN).await.expect("a read");
    assert!(admin.is_none(), "the volume may know another password");
    assert_eq!(
        key(&world, JWT).await.expect("data")["jwt-secret"].0,
        "k".repeat(43).into_bytes()
    );
}
