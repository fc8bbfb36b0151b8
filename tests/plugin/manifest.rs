//! `kubectl dittofs diff -f` with an invalid manifest.

use dittofs_operator::api::DittoServer;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use super::{Said, against, applied, command, fed, manifest};
use crate::support::World;

/// The output of `diff -f -` for this text.
async fn against_text(world: &World, text: String) -> Said {
    let mut command = command(&world.control_plane().kubeconfig());
    command.args(["-n", &world.namespace, "diff", "-f", "-"]);
    fed(command, text).await
}

/// A manifest with a field that does not exist.
fn mistyped() -> Value {
    let mut manifest: Value = serde_json::from_str(&manifest(json!({}))).expect("JSON");
    manifest["spec"]["imag"] = json!("example.org/dittofs:2");
    manifest
}

#[tokio::test]
async fn a_manifest_that_the_api_server_refuses_is_an_error() {
    let world = World::new("diff").await;
    let said = against(&world, json!({"replicas": 7})).await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    assert!(said.error.contains("spec.replicas"), "{}", said.error);
}

#[tokio::test]
async fn manual_annotations_are_kept_under_a_manifest_without_them() {
    let world = World::new("manifest").await;
    applied(&world, json!({})).await;
    let paused = json!({"metadata": {"annotations": {"dittofs.dittofs.com/paused": "true"}}});
    world.merge::<DittoServer>("files", paused).await;
    let said = against(&world, json!({"image": "example.org/dittofs:2"})).await;
    assert!(said.text.contains("the server is paused"), "{}", said.text);
}

#[tokio::test]
async fn a_wrong_type_in_a_new_manifest_is_reported_with_the_api_servers_message() {
    let world = World::without_operator("manifest").await;
    let mut wrong: Value = serde_json::from_str(&manifest(json!({}))).expect("JSON");
    wrong["spec"]["storage"] = json!("a lot");
    let said = against_text(&world, wrong.to_string()).await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    assert!(said.error.contains("spec.storage"), "{}", said.error);
    assert!(said.error.contains("Mend the manifest"), "{}", said.error);
    assert!(!said.error.contains("kubectl edit"), "{}", said.error);
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_an_error_in_a_new_manifest_and_over_a_stored_server() {
    let world = World::new("manifest").await;
    let said = against_text(&world, mistyped().to_string()).await;
    assert_eq!(said.code, Some(2), "new: {}", said.text);
    assert!(said.error.contains("spec.imag"), "{}", said.error);

    applied(&world, json!({})).await;
    let said = against_text(&world, mistyped().to_string()).await;
    assert_eq!(said.code, Some(2), "by kubectl apply: {}", said.text);
    assert!(said.error.contains("spec.imag"), "{}", said.error);

    // Like the writes of Argo CD and Flux.
    let resource = ApiResource::erase::<DittoServer>(&());
    let servers: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let good: Value = serde_json::from_str(&manifest(json!({}))).expect("JSON");
    servers
        .patch("files", &PatchParams::apply("flux").force(), &Patch::Apply(&good))
        .await
        .expect("it is applied");
    let said = against_text(&world, mistyped().to_string()).await;
    assert_eq!(said.code, Some(2), "by server-side apply: {}", said.text);
    assert!(said.error.contains("spec.imag"), "{}", said.error);
}
